/* SPDX-License-Identifier: MIT */
/*
 * posix_timer.c - timer_create(2) and its family.
 *
 * A timer owns its queue entry, so that expiry cannot fail. A periodic one that
 * has sent its signal waits: it is armed again when the signal is taken, and what
 * it has missed by then is its overrun. So nobody makes the machine busy with
 * expiries that he does not take, however short the interval. One whose signal is
 * ignored waits until it is not; SIGEV_NONE is never armed. A timer on a CPU-time
 * clock polls, as itimer.c does. Everything is under process->signal_lock.
 *
 * A process has one timer of the kernel for all of these, armed for the first that is due. It
 * works off at most FIRE_MAX at a time, and lets FIRE_PAUSE pass before it goes on: so thousands
 * that expire at the same instant make no long interrupt, and stand in nobody else's way.
 */
#include "arch/x86/uaccess.h"
#include "core/trace.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/process.h"
#include "proc/sigtimer.h"
#include "syscalls.h"

#define SIGEV_SIGNAL	0
#define SIGEV_NONE	1
#define SIGEV_THREAD	2
#define SIGEV_THREAD_ID 4
#define OVERRUN_MAX	INT32_MAX
#define TIMER_ABSTIME	1
#define TIMERS_MAX	4096 /* of one process */
#define FIRE_MAX	16
#define FIRE_PAUSE	(100 * NSEC_PER_USEC)

struct posix_timer {
	struct tree_node due_node; /* in signal_shared->posix_due, if is_due */
	ktime_t due;		   /* monotonic */
	bool is_due;
	struct process *process;
	struct task *task; /* SIGEV_THREAD_ID: counted; else NULL */
	u64 id;
	s32 clock;
	int notify, signo;
	u64 value;	 /* sigev_value */
	ktime_t expires; /* monotonic, or CPU time for CPU clocks; KTIME_NEVER: disarmed */
	ktime_t interval;
	bool waits;  /* expires is past: the signal is to be taken first */
	s64 overrun; /* of the signal taken last */
	struct sigqueue_entry entry;
};

struct sigevent_user {
	u64 value;
	s32 signo, notify;
	s32 tid;
	u8 pad[44];
};

struct itimerspec_user {
	struct timespec_user interval, value;
};

/* The reading that `expires` is compared with. */
static ktime_t posix_timer_now(const struct posix_timer *t)
{
	ktime_t user, system;

	if (!clock_is_cpu(t->clock))
		return ktime_get();
	if (t->clock == CLOCK_THREAD_CPUTIME_ID && t->task)
		process_account_time(t->task, &user, &system);
	else
		process_cpu_time(t->process, &user, &system);
	return user + system;
}

static struct posix_timer *posix_timer_first(const struct signal_shared *sh)
{
	struct tree_node *n = tree_first(&sh->posix_due);

	return n ? container_of(n, struct posix_timer, due_node) : NULL;
}

static void posix_timer_disarm(struct posix_timer *t)
{
	struct signal_shared *sh = t->process->signals;

	if (!t->is_due)
		return;
	tree_remove(&sh->posix_due, &t->due_node);
	t->is_due = false;
	if (!sh->posix_due.root)
		timer_cancel(&sh->posix_timer);
}

/* Those that are due at the same time stand in the order of their arming. */
static void posix_timer_arm(struct posix_timer *t, ktime_t due)
{
	struct signal_shared *sh = t->process->signals;
	struct tree_node **link, *parent = NULL;
	bool first = true;

	posix_timer_disarm(t);
	t->due = due;
	for (link = &sh->posix_due.root; *link;) {
		parent = *link;
		if (due < container_of(parent, struct posix_timer, due_node)->due) {
			link = &parent->left;
		} else {
			link = &parent->right;
			first = false;
		}
	}
	tree_insert(&sh->posix_due, &t->due_node, parent, link);
	t->is_due = true;
	if (first)
		timer_arm(&sh->posix_timer, due);
}

static void posix_timer_rearm(struct posix_timer *t)
{
	ktime_t left;

	if (t->expires == KTIME_NEVER)
		return;
	if (!clock_is_cpu(t->clock)) {
		posix_timer_arm(t, t->expires);
		return;
	}
	left = MAX(t->expires - posix_timer_now(t), NSEC_PER_MSEC);
	posix_timer_arm(t, ktime_get() + left);
}

/* Moves a periodic timer beyond now, another one to never: how many times it has expired. */
static s64 posix_timer_advance(struct posix_timer *t, ktime_t now)
{
	s64 n;

	if (!t->interval) {
		t->expires = KTIME_NEVER;
		return 1;
	}
	if (t->expires > now)
		return 0;
	n = 1 + (now - t->expires) / t->interval;
	t->expires += n * t->interval;
	return n;
}

static struct sigpending *posix_timer_pending(const struct posix_timer *t)
{
	return t->task ? &((struct task_signals *)t->task->signals)->pending
		       : &t->process->signals->pending;
}

static void posix_timer_queue(struct posix_timer *t)
{
	if (!list_empty(&t->entry.node))
		return;
	memset(&t->entry.info, 0, sizeof(t->entry.info));
	t->entry.info.signo = t->signo;
	t->entry.info.code = SI_TIMER;
	t->entry.info.timer.timer_id = t->id;
	t->entry.info.timer.value = t->value;
	sigpending_append(posix_timer_pending(t), &t->entry);
}

static void posix_timer_send(struct posix_timer *t)
{
	posix_timer_queue(t);
	signal_send_locked(t->process, t->task, t->signo, NULL);
	trace(TRACE_SIGNAL, t->signo, t->process->pid);
	/* If the signal was ignored, its entry is in the queue for nothing. */
	if (!list_empty(&t->entry.node) && !(posix_timer_pending(t)->set & SIGBIT(t->signo)))
		sigqueue_unlink(&t->entry);
}

/* t was due, and is not armed any more. */
static void posix_timer_expire(struct posix_timer *t)
{
	if (t->waits)
		return;
	if (t->expires > posix_timer_now(t)) {
		posix_timer_rearm(t);
		return;
	}
	t->waits = t->interval && (!t->task || t->task->signals);
	if (!t->waits)
		t->expires = KTIME_NEVER;
	if (!t->task || t->task->signals)
		posix_timer_send(t);
}

void posix_timers_fire(struct timer *timer)
{
	struct signal_shared *sh = container_of(timer, struct signal_shared, posix_timer);
	struct process *p = sh->process;
	struct posix_timer *t;
	u32 count = 0;

	spin_lock(&p->signal_lock);
	while ((t = posix_timer_first(sh)) && t->due <= ktime_get() && count++ < FIRE_MAX) {
		posix_timer_disarm(t);
		posix_timer_expire(t);
	}
	if (t)
		timer_arm(timer, count > FIRE_MAX ? ktime_get() + FIRE_PAUSE : t->due);
	spin_unlock(&p->signal_lock);
}

s64 posix_timer_taken(struct posix_timer *t)
{
	s64 n;

	if (!t->waits)
		return 0;
	t->waits = false;
	n = posix_timer_advance(t, posix_timer_now(t));
	posix_timer_rearm(t);
	return MAX(n - 1, 0l);
}

void posix_timer_dequeued(struct posix_timer *t, struct siginfo *info)
{
	t->overrun = MIN(posix_timer_taken(t), (s64)OVERRUN_MAX);
	info->timer.overrun = t->overrun;
}

void posix_timers_unignored(struct process *p, int sig)
{
	struct posix_timer *t;

	for (u64 id = 0; (t = radix_next(&p->signals->posix_timers.ids, &id)); id++)
		if (t->signo == sig && list_empty(&t->entry.node))
			posix_timer_taken(t);
}

/* --- creating and finding --- */

static struct posix_timer *posix_timer_find(struct process *p, int id)
{
	return id < 0 ? NULL : radix_get(&p->signals->posix_timers.ids, id);
}

static int posix_timer_clock_ok(s32 clock)
{
	s64 ns;

	switch (clock) {
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		return capable(CAP_WAKE_ALARM) ? 0 : -EPERM;
	}
	return clock_read(clock, &ns);
}

static int posix_timer_target(struct posix_timer *t, const struct sigevent_user *ev)
{
	struct task *task;

	t->notify = ev->notify;
	t->signo = ev->signo;
	t->value = ev->value;
	if (ev->notify == SIGEV_NONE)
		return 0;
	if (ev->notify != SIGEV_SIGNAL && ev->notify != SIGEV_THREAD &&
	    ev->notify != SIGEV_THREAD_ID && ev->notify != (SIGEV_SIGNAL | SIGEV_THREAD_ID))
		return -EINVAL;
	if (ev->signo <= 0 || ev->signo > NSIG)
		return -EINVAL;
	if (!(ev->notify & SIGEV_THREAD_ID))
		return 0;
	if (task_find(ev->tid, &task))
		return -EINVAL;
	if (task->process != current->process) {
		task_put(task);
		return -EINVAL;
	}
	t->task = task;
	return 0;
}

/* Gives it an id in the table. -EAGAIN, -ENOMEM */
static int posix_timer_add(struct process *p, struct posix_timer *t)
{
	int err = -EAGAIN;

	spin_lock(&p->signal_lock);
	if (p->signals->posix_timers.ids.count < TIMERS_MAX)
		err = idmap_alloc(&p->signals->posix_timers, t, &t->id);
	spin_unlock(&p->signal_lock);
	return err == -ENOSPC ? -EAGAIN : err;
}

static void posix_timer_free(struct posix_timer *t)
{
	if (t->task)
		task_put(t->task);
	kfree(t);
}

s64 sys_timer_create(int clock, uaddr_t uevent, uaddr_t uid)
{
	struct sigevent_user ev = { .notify = SIGEV_SIGNAL, .signo = SIGALRM };
	struct process *p = current->process;
	struct posix_timer *t;
	s32 id;
	int err = posix_timer_clock_ok(clock);

	if (err)
		return err;
	if (uevent && get_user(&ev, uevent))
		return -EFAULT;
	t = kmalloc(sizeof(*t), KM_ZERO | KM_ACCOUNT);
	if (!t)
		return -EAGAIN;
	t->process = p;
	t->clock = clock;
	t->expires = KTIME_NEVER;
	t->entry.timer = t;
	list_init(&t->entry.node);
	list_init(&t->entry.same);
	err = posix_timer_target(t, &ev);
	if (!err)
		err = posix_timer_add(p, t);
	if (err)
		goto free_timer;
	if (!uevent)
		t->value = t->id;
	id = t->id;
	if (put_user(uid, &id)) {
		sys_timer_delete(id);
		return -EFAULT;
	}
	return 0;

free_timer:
	posix_timer_free(t);
	return err;
}

/* --- the other calls --- */

static void posix_timer_read(const struct posix_timer *t, ktime_t *value, ktime_t *interval)
{
	struct posix_timer next = *t;
	ktime_t now;

	*interval = t->interval;
	*value = 0;
	if (t->expires == KTIME_NEVER)
		return;
	now = posix_timer_now(t);
	if (t->expires <= now && (t->waits || t->notify == SIGEV_NONE))
		posix_timer_advance(&next, now);
	if (next.expires != KTIME_NEVER)
		*value = MAX(next.expires - now, (ktime_t)1);
}

static int itimerspec_to_user(uaddr_t out, ktime_t value, ktime_t interval)
{
	struct itimerspec_user u = { ns_timespec(interval), ns_timespec(value) };

	return put_user(out, &u);
}

s64 sys_timer_gettime(int id, uaddr_t out)
{
	struct process *p = current->process;
	struct posix_timer *t;
	ktime_t value, interval;

	spin_lock(&p->signal_lock);
	t = posix_timer_find(p, id);
	if (t)
		posix_timer_read(t, &value, &interval);
	spin_unlock(&p->signal_lock);
	return t ? itimerspec_to_user(out, value, interval) : -EINVAL;
}

/* value 0 disarms. CLOCK_REALTIME's absolute times are taken against the offset of now. */
static void posix_timer_set(struct posix_timer *t, s64 value, s64 interval, bool absolute)
{
	ktime_t base = posix_timer_now(t);

	t->interval = interval;
	t->overrun = 0;
	t->waits = false;
	if (!value)
		t->expires = KTIME_NEVER;
	else if (!absolute)
		t->expires =
			__builtin_add_overflow(base, value, &t->expires) ? KTIME_NEVER : t->expires;
	else if (clock_is_cpu(t->clock))
		t->expires = value;
	else if (clock_deadline(t->clock, value, true, &t->expires))
		t->expires = KTIME_NEVER;
	sigqueue_unlink(&t->entry);
	if (t->expires == KTIME_NEVER || t->notify == SIGEV_NONE)
		posix_timer_disarm(t);
	else
		posix_timer_rearm(t);
}

s64 sys_timer_settime(int id, int flags, uaddr_t in, uaddr_t out)
{
	struct process *p = current->process;
	struct itimerspec_user u;
	struct posix_timer *t;
	ktime_t value, interval;

	if (!in)
		return -EINVAL;
	if (get_user(&u, in))
		return -EFAULT;
	if (!timespec_valid(&u.value) || !timespec_valid(&u.interval))
		return -EINVAL;
	spin_lock(&p->signal_lock);
	t = posix_timer_find(p, id);
	if (t) {
		posix_timer_read(t, &value, &interval);
		posix_timer_set(t, timespec_ns(&u.value), timespec_ns(&u.interval),
				flags & TIMER_ABSTIME);
	}
	spin_unlock(&p->signal_lock);
	if (!t)
		return -EINVAL;
	return out ? itimerspec_to_user(out, value, interval) : 0;
}

s64 sys_timer_getoverrun(int id)
{
	struct process *p = current->process;
	struct posix_timer *t;
	s64 n = -EINVAL;

	spin_lock(&p->signal_lock);
	t = posix_timer_find(p, id);
	if (t)
		n = t->overrun;
	spin_unlock(&p->signal_lock);
	return n;
}

static void posix_timer_delete(struct process *p, u64 id)
{
	struct posix_timer *t;

	spin_lock(&p->signal_lock);
	t = radix_remove(&p->signals->posix_timers.ids, id);
	if (t) {
		t->expires = KTIME_NEVER;
		t->interval = 0;
		t->waits = false;
		sigqueue_unlink(&t->entry);
		posix_timer_disarm(t);
	}
	spin_unlock(&p->signal_lock);
	if (t)
		posix_timer_free(t);
}

s64 sys_timer_delete(int id)
{
	struct process *p = current->process;
	bool known;

	spin_lock(&p->signal_lock);
	known = posix_timer_find(p, id);
	spin_unlock(&p->signal_lock);
	if (!known)
		return -EINVAL;
	posix_timer_delete(p, id);
	return 0;
}

void timers_exec(struct process *p)
{
	u64 id = 0;

	while (radix_next(&p->signals->posix_timers.ids, &id)) {
		posix_timer_delete(p, id);
		resched_point();
	}
}

void timers_destroy_process(struct process *p)
{
	struct signal_shared *sh = p->signals;

	timers_exec(p);
	radix_destroy(&sh->posix_timers.ids);
	spin_lock(&p->signal_lock);
	sh->real_interval = 0;
	sh->real_waits = false;
	sh->real_expires = KTIME_NEVER;
	sh->virt.expires = sh->prof.expires = sh->limit.expires = KTIME_NEVER;
	spin_unlock(&p->signal_lock);
	timer_cancel_sync(&sh->posix_timer);
	timer_cancel_sync(&sh->real_timer);
	timer_cancel_sync(&sh->cpu_poll);
}
