/* SPDX-License-Identifier: MIT */
/*
 * poll.c - poll, ppoll, select, pselect6 (man 2 poll, select).
 *
 * A struct poll_sleep hangs one waiter on each queue that the polled files name,
 * on the first scan only, and only if the call may sleep. A waiter holds its
 * file, so that a close by another thread cannot take the queue away. A wake-up
 * sets `triggered`; the caller scans again. The condition is re-read after
 * sched_prepare_sleep(), so no wake-up is lost.
 */
#include "fs/poll.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/rlimit.h"
#include "core/task.h"
#include "core/time.h"
#include "fs/fdtable.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "syscalls.h"

#define SCAN_STEP   256
#define POLL_INLINE 6

struct poll_entry {
	struct waiter waiter;
	struct waitq *queue;
	struct file *file;
	struct poll_sleep *owner;
};

struct poll_chunk {
	struct poll_chunk *next;
	u32 used, size;
	struct poll_entry entry[];
};

struct poll_sleep {
	struct poll_table table;
	struct task *task;
	bool triggered;
	int err;	   /* -ENOMEM: an entry could not be made */
	struct file *file; /* that is being scanned */
	u32 used;
	struct poll_entry first[POLL_INLINE];
	struct poll_chunk *chunks;
};

/* --- the wait --- */

static bool poll_wake(struct waiter *w, u32 events)
{
	struct poll_entry *e = container_of(w, struct poll_entry, waiter);

	WRITE_ONCE(e->owner->triggered, true);
	sched_wake(e->owner->task);
	return false;
}

static struct poll_entry *poll_entry_new(struct poll_sleep *s)
{
	struct poll_chunk *c = s->chunks;

	if (s->used < POLL_INLINE)
		return &s->first[s->used++];
	if (!c || c->used == c->size) {
		u32 size = (PAGE_SIZE - sizeof(*c)) / sizeof(struct poll_entry);

		c = kmalloc(sizeof(*c) + size * sizeof(struct poll_entry), KM_ACCOUNT);
		if (!c)
			return NULL;
		c->next = s->chunks;
		c->used = 0;
		c->size = size;
		s->chunks = c;
	}
	return &c->entry[c->used++];
}

static void poll_queue(struct poll_table *pt, struct waitq *q)
{
	struct poll_sleep *s = container_of(pt, struct poll_sleep, table);
	struct poll_entry *e = poll_entry_new(s);

	if (!e) {
		s->err = -ENOMEM;
		return;
	}
	*e = (struct poll_entry){
		.waiter = { .wake = poll_wake, .events = pt->events },
		.queue = q,
		.file = file_get(s->file),
		.owner = s,
	};
	waitq_add(q, &e->waiter);
}

static void poll_sleep_init(struct poll_sleep *s, bool may_sleep)
{
	s->table.queue = may_sleep ? poll_queue : NULL;
	s->task = current;
	s->triggered = false;
	s->err = 0;
	s->used = 0;
	s->chunks = NULL;
}

static void poll_entry_done(struct poll_entry *e)
{
	waitq_remove(e->queue, &e->waiter);
	file_put(e->file);
}

static void poll_sleep_done(struct poll_sleep *s)
{
	struct poll_chunk *c, *next;

	for (u32 i = 0; i < s->used; i++)
		poll_entry_done(&s->first[i]);
	for (c = s->chunks; c; c = next) {
		next = c->next;
		for (u32 i = 0; i < c->used; i++)
			poll_entry_done(&c->entry[i]);
		kfree(c);
		resched_point();
	}
}

/* The events of interest that hold for f now. */
static u32 poll_file(struct poll_sleep *s, struct file *f, u32 events)
{
	s->file = f;
	s->table.events = events | POLLERR | POLLHUP;
	if (!f->ops->poll)
		return (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM) & events;
	return f->ops->poll(f, s->table.queue ? &s->table : NULL) & s->table.events;
}

/*
 * Calls scan(arg, s) until it returns non-zero or the deadline has passed (then
 * 0). -EINTR: a signal; the caller says how its call restarts.
 */
static s64 poll_loop(struct poll_sleep *s, ktime_t deadline,
		     s64 (*scan)(void *arg, struct poll_sleep *s), void *arg)
{
	bool late = deadline == 0;

	for (;;) {
		s64 n;

		WRITE_ONCE(s->triggered, false);
		n = scan(arg, s);
		s->table.queue = NULL;
		if (n || late)
			return n;
		if (s->err)
			return s->err;
		sched_prepare_sleep();
		if (READ_ONCE(s->triggered) || signal_pending()) {
			sched_cancel_sleep();
			if (!READ_ONCE(s->triggered))
				return -EINTR;
			continue;
		}
		late = sched_sleep(deadline);
	}
}

/* There may be a million descriptors to look at. */
static void scan_pause(u32 n)
{
	if (n % SCAN_STEP == SCAN_STEP - 1)
		resched_point();
}

/* --- poll --- */

struct pollfd {
	s32 fd;
	s16 events, revents;
};

struct poll_list {
	struct pollfd *fds;
	u32 n;
};

static s64 poll_scan(void *arg, struct poll_sleep *s)
{
	struct poll_list *l = arg;
	s64 ready = 0;

	for (u32 i = 0; i < l->n; i++) {
		struct pollfd *p = &l->fds[i];
		struct fd_ref r;

		scan_pause(i);
		p->revents = 0;
		if (p->fd < 0)
			continue;
		if (fd_begin(p->fd, &r)) {
			p->revents = POLLNVAL;
		} else {
			p->revents = poll_file(s, r.file, (u16)p->events);
			fd_end(r);
		}
		ready += p->revents != 0;
		if (ready)
			s->table.queue = NULL; /* there will be no sleep */
	}
	return ready;
}

static s64 poll_until(uaddr_t ufds, u32 n, ktime_t deadline)
{
	struct pollfd few[32];
	struct poll_list l = { few, n };
	struct poll_sleep s;
	s64 ready;

	if (n > rlimit_cur(RLIMIT_NOFILE))
		return -EINVAL;
	if (n > ARRAY_SIZE(few)) {
		l.fds = kmalloc(n * sizeof(*l.fds), KM_ACCOUNT);
		if (!l.fds)
			return -ENOMEM;
	}
	ready = copy_from_user(l.fds, ufds, n * sizeof(*l.fds));
	if (!ready) {
		poll_sleep_init(&s, deadline != 0);
		ready = poll_loop(&s, deadline, poll_scan, &l);
		poll_sleep_done(&s);
		/* In one piece, fd and events with their old values: opening user memory per entry
		 * costs more. */
		if (ready >= 0 && copy_to_user(ufds, l.fds, n * sizeof(*l.fds)))
			ready = -EFAULT;
	}
	if (l.fds != few)
		kfree(l.fds);
	return ready;
}

/* arg: 0 address, 1 count, 2 deadline */
static s64 poll_restart(struct restart *r)
{
	s64 n = poll_until(r->arg[0], r->arg[1], r->arg[2]);

	if (n != -EINTR)
		return n;
	r->fn = poll_restart;
	return -ERESTART_RESTARTBLOCK;
}

s64 sys_poll(uaddr_t fds, u32 n, int timeout_ms)
{
	ktime_t deadline = timeout_ms < 0 ? KTIME_NEVER
			   : timeout_ms	  ? ktime_get() + timeout_ms * NSEC_PER_MSEC
					  : 0;

	current->restart = (struct restart){ .arg = { fds, n, deadline } };
	return poll_restart(&current->restart);
}

/* --- time-outs and masks of ppoll, select, pselect6 --- */

struct timespec_user {
	s64 sec, nsec;
};

static int deadline_from_ns(s64 sec, s64 nsec, ktime_t *deadline)
{
	if (sec < 0 || (u64)nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if (!sec && !nsec)
		*deadline = 0;
	else if (sec >= INT64_MAX / NSEC_PER_SEC ||
		 __builtin_add_overflow(ktime_get(), sec * NSEC_PER_SEC + nsec, deadline))
		*deadline = KTIME_NEVER;
	return 0;
}

static int deadline_from_timespec(uaddr_t p, ktime_t *deadline)
{
	struct timespec_user t;

	*deadline = KTIME_NEVER;
	if (!p)
		return 0;
	if (get_user(&t, p))
		return -EFAULT;
	return deadline_from_ns(t.sec, t.nsec, deadline);
}

static s64 deadline_left(ktime_t deadline)
{
	return deadline ? MAX(deadline - ktime_get(), (s64)0) : 0;
}

/* Linux writes back what is left of the time-out; an error in doing so is nobody's business. */
static void timespec_left_to_user(uaddr_t p, ktime_t deadline)
{
	s64 left = deadline_left(deadline);
	struct timespec_user t = { left / NSEC_PER_SEC, left % NSEC_PER_SEC };

	if (p && deadline != KTIME_NEVER && put_user(p, &t))
		return;
}

/* After the wait: the old mask comes back now, or after the signal's handler. */
static s64 poll_finish_mask(s64 result, bool masked)
{
	if (result == -EINTR)
		return -ERESTARTNOHAND;
	if (masked)
		signal_mask_restore();
	return result;
}

s64 sys_ppoll(uaddr_t fds, u32 n, uaddr_t utimeout, uaddr_t umask, size_t size)
{
	ktime_t deadline;
	s64 result = deadline_from_timespec(utimeout, &deadline);

	if (!result && umask)
		result = signal_mask_replace(umask, size);
	if (result)
		return result;
	result = poll_until(fds, n, deadline);
	timespec_left_to_user(utimeout, deadline);
	return poll_finish_mask(result, umask);
}

/* --- select --- */

#define SELECT_IN  (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EX  POLLPRI

struct select_set {
	u32 n; /* descriptors looked at */
	u32 words;
	u64 *want[3], *got[3]; /* in, out, exceptional */
};

static bool set_has(const u64 *set, u32 fd)
{
	return set[fd / 64] >> (fd % 64) & 1;
}

static s64 select_scan(void *arg, struct poll_sleep *s)
{
	static const u32 class[3] = { SELECT_IN, SELECT_OUT, SELECT_EX };
	struct select_set *set = arg;
	s64 ready = 0;

	for (int k = 0; k < 3; k++)
		memset(set->got[k], 0, set->words * 8);
	for (u32 fd = 0; fd < set->n; fd++) {
		u32 events = 0, state;
		struct fd_ref r;

		for (int k = 0; k < 3; k++)
			events |= set_has(set->want[k], fd) ? class[k] : 0;
		if (!events)
			continue;
		if (fd_begin(fd, &r))
			return -EBADF;
		state = poll_file(s, r.file, events);
		fd_end(r);
		for (int k = 0; k < 3; k++) {
			if (!set_has(set->want[k], fd) || !(state & class[k]))
				continue;
			set->got[k][fd / 64] |= BIT(fd % 64);
			ready++;
		}
		if (ready)
			s->table.queue = NULL;
	}
	return ready;
}

static s64 select_sets(struct select_set *set, const uaddr_t *uset, ktime_t deadline)
{
	struct poll_sleep s;
	s64 ready;

	for (int k = 0; k < 3; k++) {
		if (uset[k] && copy_from_user(set->want[k], uset[k], set->words * 8))
			return -EFAULT;
	}
	poll_sleep_init(&s, deadline != 0);
	ready = poll_loop(&s, deadline, select_scan, set);
	poll_sleep_done(&s);
	for (int k = 0; k < 3 && ready >= 0; k++)
		if (uset[k] && copy_to_user(uset[k], set->got[k], set->words * 8))
			ready = -EFAULT;
	return ready;
}

static s64 select_until(int n, const uaddr_t *uset, ktime_t deadline)
{
	struct select_set set;
	u64 few[6 * 2];
	u64 *words = few;
	s64 ready;

	if (n < 0)
		return -EINVAL;
	set.n = MIN((u64)n, MAX(rlimit_cur(RLIMIT_NOFILE), 1024ul));
	set.words = DIV_ROUND_UP(set.n, 64);
	if (set.words > 2) {
		words = kmalloc(set.words * 6 * sizeof(u64), KM_ACCOUNT);
		if (!words)
			return -ENOMEM;
	}
	memset(words, 0, set.words * 6 * sizeof(u64));
	for (int k = 0; k < 3; k++) {
		set.want[k] = words + k * set.words;
		set.got[k] = words + (3 + k) * set.words;
	}
	ready = select_sets(&set, uset, deadline);
	if (words != few)
		kfree(words);
	return ready;
}

struct timeval_user {
	s64 sec, usec;
};

s64 sys_select(int n, uaddr_t in, uaddr_t out, uaddr_t ex, uaddr_t utimeout)
{
	const uaddr_t set[3] = { in, out, ex };
	ktime_t deadline = KTIME_NEVER;
	struct timeval_user t;
	s64 result, left;

	if (utimeout) {
		if (get_user(&t, utimeout))
			return -EFAULT;
		if (t.sec < 0 || t.usec < 0)
			return -EINVAL;
		result = deadline_from_ns(t.sec + t.usec / 1000000,
					  t.usec % 1000000 * NSEC_PER_USEC, &deadline);
		if (result)
			return result;
	}
	result = select_until(n, set, deadline);
	if (utimeout && deadline != KTIME_NEVER) {
		left = deadline_left(deadline) / NSEC_PER_USEC;
		t = (struct timeval_user){ left / 1000000, left % 1000000 };
		if (put_user(utimeout, &t) && result == -EINTR)
			return -EINTR; /* a restart would wait the whole time again */
	}
	return result == -EINTR ? -ERESTARTNOHAND : result;
}

s64 sys_pselect6(int n, uaddr_t in, uaddr_t out, uaddr_t ex, uaddr_t utimeout, uaddr_t umask)
{
	const uaddr_t set[3] = { in, out, ex };
	struct {
		u64 mask, size;
	} m = { 0, 0 };
	ktime_t deadline;
	s64 result;

	if (umask && get_user(&m, umask))
		return -EFAULT;
	result = deadline_from_timespec(utimeout, &deadline);
	if (!result && m.mask)
		result = signal_mask_replace(m.mask, m.size);
	if (result)
		return result;
	result = select_until(n, set, deadline);
	timespec_left_to_user(utimeout, deadline);
	return poll_finish_mask(result, m.mask);
}
