/* SPDX-License-Identifier: MIT */
/*
 * rwmutex.c - sleeping locks for many readers or one writer (core/mutex.h).
 *
 * A spin lock (L) guards the state; it is held for a few instructions. Whoever
 * has to wait stands in line, and who releases the lock gives it to the first
 * in line, if that is a reader to all readers up to the next writer. While
 * anybody stands in line, newcomers do too. So nobody is overtaken, and neither
 * readers nor writers starve.
 *
 * Invariant, under L: if the line is not empty, its first cannot have the lock
 * now (holders != 0, and it is a writer, or a writer holds it).
 */
#include "core/errno.h"
#include "core/mutex.h"
#include "core/task.h"

struct rw_waiter {
	struct list node; /* L */
	struct task *task;
	bool write;
	bool granted; /* L */
};

#if DEBUG
static void note_check(struct rwmutex *m, bool nested)
{
	sleeping_lock_check(m->rank, rank_name(m->rank), m, nested);
}

static void note_held(struct rwmutex *m, int n)
{
	if (current && m->rank < RANK_SPIN)
		current->rwmutexes[m->rank] += n;
}
#else
static inline void note_check(struct rwmutex *m, bool nested) {}
static inline void note_held(struct rwmutex *m, int n) {}
#endif

void rwmutex_init(struct rwmutex *m, enum lock_rank rank)
{
	spin_init(&m->lock, RANK_WAITQ);
	m->holders = 0;
	m->rank = rank;
	m->writer = NULL;
	list_init(&m->waiters);
}

static bool available(const struct rwmutex *m, bool write)
{
	return write ? m->holders == 0 : m->holders >= 0;
}

static void take(struct rwmutex *m, struct task *t, bool write)
{
	m->holders = write ? -1 : m->holders + 1;
	m->writer = write ? t : NULL;
}

/* Gives m to those at the head of the line that can have it. L held. */
static void grant(struct rwmutex *m)
{
	while (!list_empty(&m->waiters)) {
		struct rw_waiter *w = list_first(&m->waiters, struct rw_waiter, node);

		if (!available(m, w->write))
			return;
		take(m, w->task, w->write);
		list_remove(&w->node);
		w->granted = true;
		sched_wake(w->task);
	}
}

/* Stands in line. L held at the start, released at the end. */
static __noinline int wait_in_line(struct rwmutex *m, bool write, bool killable)
{
	struct rw_waiter w = { .task = current, .write = write };
	int err = 0;

	list_append(&m->waiters, &w.node);
	while (!w.granted) {
		if (killable && kill_pending()) {
			list_remove(&w.node);
			grant(m); /* those behind us may have waited for us only */
			err = -EINTR;
			break;
		}
		sched_prepare_sleep();
		spin_unlock(&m->lock);
		__atomic_thread_fence(__ATOMIC_SEQ_CST); /* SLEEPING before task->work is read */
		if (killable && kill_pending())
			sched_cancel_sleep();
		else
			sched_sleep(KTIME_NEVER);
		spin_lock(&m->lock);
	}
	spin_unlock(&m->lock);
	return err;
}

static inline int lock_common(struct rwmutex *m, bool write, bool nested, bool killable)
{
	int err = 0;

	note_check(m, nested);
	spin_lock(&m->lock);
	if (likely(available(m, write) && list_empty(&m->waiters))) {
		take(m, current, write);
		spin_unlock(&m->lock);
	} else {
		err = wait_in_line(m, write, killable);
	}
	if (!err)
		note_held(m, 1);
	return err;
}

void rwmutex_read_lock(struct rwmutex *m)
{
	(void)lock_common(m, false, false, false);
}

bool rwmutex_read_trylock(struct rwmutex *m)
{
	bool ok;

	spin_lock(&m->lock);
	ok = available(m, false) && list_empty(&m->waiters);
	if (ok)
		take(m, current, false);
	spin_unlock(&m->lock);
	if (ok)
		note_held(m, 1);
	return ok;
}

void rwmutex_read_unlock(struct rwmutex *m)
{
	note_held(m, -1);
	spin_lock(&m->lock);
	BUG_IF(m->holders <= 0, "holders=%d", m->holders);
	if (!--m->holders)
		grant(m);
	spin_unlock(&m->lock);
}

void rwmutex_write_lock(struct rwmutex *m)
{
	(void)lock_common(m, true, false, false);
}

void rwmutex_write_lock_nested(struct rwmutex *m)
{
	(void)lock_common(m, true, true, false);
}

int rwmutex_write_lock_killable(struct rwmutex *m)
{
	return lock_common(m, true, false, true);
}

void rwmutex_write_unlock(struct rwmutex *m)
{
	note_held(m, -1);
	spin_lock(&m->lock);
	BUG_IF(m->holders != -1 || m->writer != current, "holders=%d writer=%p", m->holders,
	       m->writer);
	m->holders = 0;
	m->writer = NULL;
	grant(m);
	spin_unlock(&m->lock);
}

void rwmutex_write_disown(struct rwmutex *m)
{
	note_held(m, -1);
	spin_lock(&m->lock);
	BUG_IF(m->holders != -1 || m->writer != current, "holders=%d writer=%p", m->holders,
	       m->writer);
	m->writer = NULL;
	spin_unlock(&m->lock);
}

void rwmutex_write_unlock_disowned(struct rwmutex *m)
{
	spin_lock(&m->lock);
	BUG_IF(m->holders != -1 || m->writer, "holders=%d writer=%p", m->holders, m->writer);
	m->holders = 0;
	grant(m);
	spin_unlock(&m->lock);
}

bool rwmutex_write_held(const struct rwmutex *m)
{
	return panic_active || (READ_ONCE(m->holders) == -1 && READ_ONCE(m->writer) == current);
}
