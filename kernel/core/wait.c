/* SPDX-License-Identifier: MIT */
/*
 * wait.c - wait queues (core/wait.h).
 *
 * Why no wake-up is lost. The sleeper (1) marks itself SLEEPING, (2) is then put
 * on the queue under the queue's lock, (3) only then releases the condition's
 * lock, and (4) switches away only if it is still SLEEPING. A waker changes the
 * condition under its lock: either before the sleeper took that lock, who then
 * saw the change; or after (3), when it finds the sleeper on the queue and makes
 * it RUNNABLE, which (4) notices. Signals: task_set_work() comes before the
 * sender's sched_wake(); the sleeper looks at task->work after (1). So either it
 * sees the bit, or the sender sees it SLEEPING.
 *
 * Who removes a sleeper: the waker, under the queue's lock, which it holds until
 * it is done with the sleeper's task and stack; its last store is task = NULL. A
 * sleeper that sees it may return without the lock. One that does not see it
 * (signal, deadline, a stray wake-up) takes the lock and removes itself. A
 * sleeper that was woken says 0 even if a signal is there as well: a wake-up for
 * one (exclusive) is never lost with its receiver.
 */
#include "core/wait.h"

#include "core/errno.h"
#include "core/mutex.h"
#include "core/task.h"

void waitq_init(struct waitq *q)
{
	spin_init(&q->lock, RANK_WAITQ);
	list_init(&q->waiters);
}

void waiter_init(struct waiter *w, waiter_fn wake, u32 events)
{
	*w = (struct waiter){ .wake = wake, .events = events };
	list_init(&w->node);
}

static void waitq_insert(struct waitq *q, struct waiter *w)
{
	if (w->exclusive)
		list_append(&q->waiters, &w->node);
	else
		list_push(&q->waiters, &w->node);
}

void waitq_add(struct waitq *q, struct waiter *w)
{
	spin_lock(&q->lock);
	waitq_insert(q, w);
	spin_unlock(&q->lock);
	/* on the queue, then the caller's look at the condition; waitq_wake() has the other half */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void waitq_remove(struct waitq *q, struct waiter *w)
{
	spin_lock(&q->lock);
	list_remove(&w->node);
	spin_unlock(&q->lock);
}

/* waiter_fn of a sleeping task. */
static bool sleeper_wake(struct waiter *w, u32 events)
{
	list_remove(&w->node);
	sched_wake(w->task);
	__atomic_store_n(&w->task, NULL, __ATOMIC_RELEASE);
	return true;
}

void waitq_wake_slow(struct waitq *q, unsigned n, u32 events)
{
	struct waiter *w, *next;

	spin_lock(&q->lock);
	list_for_each_safe (w, next, &q->waiters, node) {
		if (w->exclusive && !n)
			break;
		if (events && w->events && !(events & w->events))
			continue;
		if (w->wake(w, events) && w->exclusive)
			n--;
	}
	spin_unlock(&q->lock);
}

static bool sleep_interrupted(enum sleep_kind kind)
{
	if (kind == SLEEP_INTERRUPTIBLE)
		return signal_pending();
	return kind == SLEEP_KILLABLE && kill_pending();
}

/* Steps (1) and (2). */
static void sleep_begin(struct waitq *q, struct waiter *w, bool exclusive)
{
	waiter_init(w, sleeper_wake, 0);
	w->task = current;
	w->exclusive = exclusive;
	sched_prepare_sleep();
	spin_lock(&q->lock); /* a full barrier: SLEEPING is visible before task->work is read */
	waitq_insert(q, w);
	spin_unlock(&q->lock);
}

/* Step (4), with the condition's lock released; then off the queue. */
static int sleep_finish(struct waitq *q, struct waiter *w, enum sleep_kind kind, ktime_t deadline)
{
	bool expired = false;

	sleep_check(0);
	if (sleep_interrupted(kind))
		sched_cancel_sleep();
	else
		expired = sched_sleep(deadline);
	if (!__atomic_load_n(&w->task, __ATOMIC_ACQUIRE))
		return 0;
	waitq_remove(q, w);
	if (!w->task)
		return 0;
	if (sleep_interrupted(kind))
		return -ERESTARTSYS;
	return expired ? -ETIMEDOUT : 0;
}

static int waitq_sleep_common(struct waitq *q, spinlock_t *lock, enum sleep_kind kind,
			      ktime_t deadline, bool exclusive)
{
	struct waiter w;
	int err;

	spin_assert_held(lock);
	sleep_begin(q, &w, exclusive);
	spin_unlock(lock);
	err = sleep_finish(q, &w, kind, deadline);
	spin_lock(lock);
	return err;
}

int waitq_sleep(struct waitq *q, spinlock_t *lock, enum sleep_kind kind, ktime_t deadline)
{
	return waitq_sleep_common(q, lock, kind, deadline, false);
}

int waitq_sleep_exclusive(struct waitq *q, spinlock_t *lock, enum sleep_kind kind, ktime_t deadline)
{
	return waitq_sleep_common(q, lock, kind, deadline, true);
}

int waitq_sleep_mutex(struct waitq *q, struct mutex *lock, enum sleep_kind kind, ktime_t deadline)
{
	struct waiter w;
	int err;

	mutex_assert_held(lock);
	sleep_begin(q, &w, false);
	mutex_unlock(lock); /* wakes others, never sleeps: current stays SLEEPING */
	err = sleep_finish(q, &w, kind, deadline);
	mutex_lock(lock);
	return err;
}
