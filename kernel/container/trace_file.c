/* SPDX-License-Identifier: MIT */
/*
 * trace_file.c - /sys/container/ID/trace: the events of a container and of all inside
 * it, as text, while the file is open. A line is
 *
 *	TIME CPU CONTAINER TID EVENT WORD WORD	(time in ns, monotonic)
 *
 *	switch CONTAINER TID	the CPU goes on with that task (0 0: idle, or somebody unseen)
 *	syscall NAME ARGUMENT, sysret NAME RESULT, denial NAME RULE
 *	fault ADDRESS ERROR	signal NUMBER PID	charge-refused RESOURCE AMOUNT
 *	container ID STATE	throttle CONTAINER NS
 *	lost COUNT 0		so many were overwritten before they were read
 *
 * Who may manage the container from outside may read it; that of the host is for the
 * host's administrator. A reader learns nothing of whom it does not see: of a switch
 * between one that it sees and another, the other side reads as 0 0.
 *
 * With the first reader everything is recorded, and system calls of the containers
 * in some reader's sight go the slow way (core/owner.h); with the last one it ends.
 *
 * A read waits until there is something; the rings wake nobody (an event may happen
 * under any lock), so it looks again every few milliseconds.
 */
#include "arch/x86/smp.h"
#include "container/container.h"
#include "core/errno.h"
#include "core/time.h"
#include "core/trace.h"
#include "fs/poll.h"
#include "fs/pseudo.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/slab.h"

#define LOOK_AGAIN (5 * NSEC_PER_MSEC)
#define LINE_MAX   128

struct cursor {
	u64 at, lost;
	bool full; /* next holds an event */
	struct trace_entry next;
};

struct trace_session {
	struct list node;	 /* filter_mutex */
	struct container *scope; /* counted by the inode */
	struct mutex lock;	 /* R: one reader at a time */
	struct cursor cursor[];	 /* per CPU; R */
};

static struct list sessions = LIST_INIT(sessions); /* filter_mutex */

static spinlock_t wait_lock = SPINLOCK_INIT(RANK_NOTIFY);
static struct waitq never = WAITQ_INIT(never); /* sleepers here only wait for their deadline */

/* --- who is traced --- */

void trace_inherit(struct container *c)
{
	u8 traced = c->parent->owner.slow_calls & SLOW_CALLS_TRACED;

	__atomic_fetch_or(&c->owner.slow_calls, traced, __ATOMIC_RELAXED);
}

static void scope_renew_one(struct container *c)
{
	bool traced = trace_calls_at_boot();
	struct trace_session *s;

	list_for_each (s, &sessions, node)
		traced |= sees(&s->scope->owner, &c->owner);
	if (traced)
		__atomic_fetch_or(&c->owner.slow_calls, SLOW_CALLS_TRACED, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&c->owner.slow_calls, ~SLOW_CALLS_TRACED, __ATOMIC_RELAXED);
}

/* After the list of sessions has changed, by one with this scope. */
static void scope_renew(struct container *scope)
{
	struct container *c;

	scope_renew_one(scope);
	for (u32 id = 1; container_next(&scope->owner, &id, &c); id++) {
		scope_renew_one(c);
		container_put(c);
	}
	syscall_gate_sync();
}

/* On each CPU: who runs at the beginning, so that one who is never switched away is seen. */
static void record_current(void *arg)
{
	trace(TRACE_SWITCH, current->owner->id, current->tid);
}

static int session_begin(struct trace_session *s)
{
	int err = 0;

	filter_lock();
	if (list_empty(&sessions))
		err = trace_start();
	if (!err) {
		list_append(&sessions, &s->node);
		for_each_cpu (i)
			s->cursor[i].at = trace_position(i);
		scope_renew(s->scope);
		smp_call_all(record_current, NULL);
	}
	filter_unlock();
	return err;
}

static void session_end(struct trace_session *s)
{
	filter_lock();
	list_remove(&s->node);
	scope_renew(s->scope);
	if (list_empty(&sessions))
		trace_stop();
	filter_unlock();
}

static bool may_trace(const struct container *c)
{
	if (&c->owner == current->owner)
		return may_host(CAP_SYS_ADMIN);
	return sees(current->owner, &c->owner) && !container_may_manage(c);
}

static int trace_open(struct inode *i, struct file *f)
{
	struct container *c = pseudo_object(i);
	struct trace_session *s;
	int err;

	if (f->mode & FILE_WRITE)
		return -EACCES;
	if (!may_trace(c))
		return -EPERM;
	s = kmalloc(sizeof(*s) + cpu_count * sizeof(s->cursor[0]), KM_ACCOUNT | KM_ZERO);
	if (!s)
		return -ENOMEM;
	mutex_init(&s->lock, RANK_FILE_POS);
	s->scope = c;
	err = session_begin(s);
	if (err)
		kfree(s);
	f->private = s;
	return err;
}

static void trace_release(struct file *f)
{
	session_end(f->private);
	kfree(f->private);
}

/* --- what the reader sees --- */

static bool sees_id(const struct trace_session *s, u32 id)
{
	const struct owner *scope = &s->scope->owner;
	struct container *c;

	if (id == scope->id || scope == &owner_host)
		return true;
	if (container_find(scope, id, &c))
		return false;
	container_put(c);
	return true;
}

/* False: nothing in it is for this reader. What is not is cleared. */
static bool entry_mask(const struct trace_session *s, struct trace_entry *e)
{
	bool visible = sees_id(s, e->container);

	if (e->event == TRACE_SWITCH) {
		bool enters = sees_id(s, e->a);
		if (!enters)
			e->a = e->b = 0;
		if (!visible)
			e->container = e->tid = 0;
		return visible || enters;
	}
	if (e->event == TRACE_CONTAINER || e->event == TRACE_THROTTLE) {
		if (!visible)
			e->container = e->tid = 0;
		return sees_id(s, e->a);
	}
	return visible;
}

/* The oldest event of all CPUs that the reader may see; *cpu is its place. */
static bool next_event(struct trace_session *s, unsigned *cpu, struct trace_entry *e)
{
	for (;;) {
		struct cursor *oldest = NULL;

		for_each_cpu (i) {
			struct cursor *c = &s->cursor[i];
			if (!c->full)
				c->full = trace_read(i, &c->at, &c->next, &c->lost);
			if (c->full && (!oldest || c->next.time < oldest->next.time))
				oldest = c;
		}
		if (!oldest)
			return false;
		oldest->full = false;
		*e = oldest->next;
		*cpu = oldest - s->cursor;
		if (entry_mask(s, e))
			return true;
		resched_point();
	}
}

static int print_words(char *line, size_t size, const struct trace_entry *e)
{
	static const char *const resource[RES_COUNT] = {
		[RES_MEMORY] = "memory", [RES_PIDS] = "pids",	  [RES_FILES] = "files",
		[RES_DISK] = "disk",	 [RES_INODES] = "inodes",
	};

	switch (e->event) {
	case TRACE_SYSCALL:
		return snprintf(line, size, "%s 0x%lx\n", syscall_name(e->a), e->b);
	case TRACE_SYSRET:
		return snprintf(line, size, "%s %ld\n", syscall_name(e->a), (long)e->b);
	case TRACE_DENIAL:
		return snprintf(line, size, "%s 0x%lx\n", syscall_name(e->a), e->b);
	case TRACE_FAULT:
		return snprintf(line, size, "0x%lx 0x%lx\n", e->a, e->b);
	case TRACE_CHARGE:
		return snprintf(line, size, "%s %ld\n", e->a < RES_COUNT ? resource[e->a] : "?",
				(long)e->b);
	case TRACE_CONTAINER:
		return snprintf(line, size, "%lu %s\n", e->a, container_state_name(e->b));
	default:
		return snprintf(line, size, "%lu %lu\n", e->a, e->b);
	}
}

static int print_event(char *line, size_t size, unsigned cpu, const struct trace_entry *e)
{
	int n = snprintf(line, size, "%ld %u %u %u %s ", (long)e->time, cpu, e->container, e->tid,
			 trace_event_name(e->event));

	return n + print_words(line + n, size - n, e);
}

/* A line for what was lost on some CPU since the last one; false: nothing. */
static bool next_loss(struct trace_session *s, char *line, size_t size, int *n)
{
	for_each_cpu (i) {
		struct cursor *c = &s->cursor[i];
		if (!c->lost)
			continue;
		*n = snprintf(line, size, "%ld %u 0 0 lost %lu 0\n", (long)ktime_get(), i, c->lost);
		c->lost = 0;
		return true;
	}
	return false;
}

/* As many whole lines as there are and fit: bytes, 0 if there is nothing now, -EFAULT. */
static s64 read_lines(struct trace_session *s, struct uio *u)
{
	char line[LINE_MAX];
	struct trace_entry e;
	s64 done = 0, copied;
	unsigned cpu;
	int n;

	while (u->left >= LINE_MAX) {
		if (next_event(s, &cpu, &e))
			n = print_event(line, sizeof(line), cpu, &e);
		else if (!next_loss(s, line, sizeof(line), &n))
			break;
		copied = uio_copy_out(u, line, n);
		if (copied < n)
			return done ? done : -EFAULT;
		done += n;
	}
	return done;
}

static s64 trace_file_read(struct file *f, struct uio *u, u64 *pos)
{
	struct trace_session *s = f->private;
	s64 done;

	if (u->left < LINE_MAX)
		return -EINVAL;
	for (;;) {
		int err = mutex_lock_killable(&s->lock);
		if (err)
			return err;
		done = read_lines(s, u);
		mutex_unlock(&s->lock);
		if (done)
			return done;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		spin_lock(&wait_lock);
		err = waitq_sleep(&never, &wait_lock, SLEEP_INTERRUPTIBLE,
				  ktime_get() + LOOK_AGAIN);
		spin_unlock(&wait_lock);
		if (err != -ETIMEDOUT)
			return err;
	}
}

static u32 trace_poll(struct file *f, struct poll_table *pt)
{
	return POLLIN | POLLRDNORM; /* there is something sooner or later */
}

const struct file_ops trace_file_ops = {
	.open = trace_open,
	.release = trace_release,
	.read = trace_file_read,
	.poll = trace_poll,
	.no_seek = true,
};
