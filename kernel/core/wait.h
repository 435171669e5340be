/* SPDX-License-Identifier: MIT */
/*
 * wait.h - sleeping until something is true, and being told of it.
 *
 * A sleep names its condition's lock, and whoever makes the condition true
 * holds that lock while it wakes: so no wake-up is lost. Typical sequence:
 *
 *	spin_lock(&pipe->lock);
 *	while (pipe_empty(pipe)) {
 *		err = waitq_sleep(&pipe->readers, &pipe->lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
 *		if (err)
 *			break;
 *	}
 *
 * and the writer, with the lock held: fill it; waitq_wake(&pipe->readers, 1, POLLIN).
 *
 * poll, select and epoll hang a struct waiter with their own callback on any
 * number of queues. Callbacks run under the queue's lock, must not sleep, and
 * may take only locks of a higher rank than RANK_WAITQ. They may look at the condition
 * without its lock, after waitq_add(): what they do not see yet finds them on the queue.
 *
 * A sleep is interruptible (ends with any signal), killable (ends when the task
 * is being killed), or bounded by a device; there is no other kind.
 */
#ifndef CORE_WAIT_H
#define CORE_WAIT_H

#include "core/spinlock.h"
#include "lib/list.h"

enum sleep_kind {
	SLEEP_INTERRUPTIBLE,
	SLEEP_KILLABLE,
	SLEEP_DEVICE, /* the waker is hardware or a kernel thread that always answers */
};

struct mutex;
struct waiter;
/* Returns true if this waiter used up an exclusive wake-up. */
typedef bool (*waiter_fn)(struct waiter *w, u32 events);

struct waiter {
	struct list node; /* W */
	waiter_fn wake;
	struct task *task; /* of a sleeper, NULL once woken; NULL for poll's */
	u32 events;	   /* which events it wants; 0: any */
	bool exclusive;	   /* counts against waitq_wake's n */
};

struct waitq {
	spinlock_t lock; /* W: guards the list */
	struct list waiters;
};

#define WAITQ_INIT(q)                                             \
	{                                                         \
		SPINLOCK_INIT(RANK_WAITQ), LIST_INIT((q).waiters) \
	}
void waitq_init(struct waitq *q);
void waiter_init(struct waiter *w, waiter_fn wake, u32 events); /* not exclusive, no task */

/*
 * Adds w: w->wake is called at each matching wake-up until it is removed. Exclusive waiters stand
 * at the tail, first come first served; the others before them, so that a wake-up ends at the
 * n-th exclusive one and never walks over those it does not wake.
 */
void waitq_add(struct waitq *q, struct waiter *w);
void waitq_remove(struct waitq *q, struct waiter *w);

/*
 * Releases `lock`, sleeps, takes `lock` again. 0: woken (the condition may still
 * be false: look again). -ERESTARTSYS: a signal (or, SLEEP_KILLABLE, a kill) is
 * pending. -ETIMEDOUT: `deadline` (monotonic ns; KTIME_NEVER: none) has passed.
 */
int waitq_sleep(struct waitq *q, spinlock_t *lock, enum sleep_kind kind, ktime_t deadline);
/* The same under a sleeping lock. */
int waitq_sleep_mutex(struct waitq *q, struct mutex *lock, enum sleep_kind kind, ktime_t deadline);
/* As waitq_sleep, but exclusive: waitq_wake(q, 1, ...) wakes only one such sleeper. */
int waitq_sleep_exclusive(struct waitq *q, spinlock_t *lock, enum sleep_kind kind,
			  ktime_t deadline);

/* Wakes all non-exclusive waiters that want one of `events` (0: any) and n exclusive ones. */
void waitq_wake_slow(struct waitq *q, unsigned n, u32 events);
static inline bool waitq_active(struct waitq *q)
{
	return !list_empty(&q->waiters);
}
static inline void waitq_wake(struct waitq *q, unsigned n, u32 events)
{
	/* the condition, then the queue; waitq_add() has the other half */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (waitq_active(q))
		waitq_wake_slow(q, n, events);
}
#define waitq_wake_all(q, events) waitq_wake(q, UINT32_MAX, events)

#endif
