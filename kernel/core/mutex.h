/* SPDX-License-Identifier: MIT */
/*
 * mutex.h - sleeping locks: struct mutex, and struct rwmutex (many readers or
 * one writer; writers are not starved). The uncontended paths are one atomic
 * operation. Waiting is SLEEP_KILLABLE only through the *_killable functions;
 * plain mutex_lock() waits without regard to signals and is for locks whose
 * holders never sleep for a user's event. The holder is known (owner), so that
 * the scheduler can lend it the share of those who wait.
 */
#ifndef CORE_MUTEX_H
#define CORE_MUTEX_H

#include "core/wait.h"

#if DEBUG
const char *rank_name(enum lock_rank rank); /* of a sleeping lock */
/* Panics unless current may take a sleeping lock of this rank now. */
void sleeping_lock_check(enum lock_rank rank, const char *name, const void *lock, bool nested);
#endif

/* Waiters stand in `waiters`, first come first served; its lock guards the slow path. */
struct mutex {
	struct task *owner; /* atomic; bit 0: there are waiters */
	struct waitq waiters;
#if DEBUG
	u16 rank;
	const char *name;
	const void *place;   /* where it was taken last */
	struct mutex *outer; /* the mutex this task took before */
#endif
};

#if DEBUG
#define MUTEX_INIT(m, r)                                                    \
	{                                                                   \
		.waiters = WAITQ_INIT((m).waiters), .rank = (r), .name = #r \
	}
#else
#define MUTEX_INIT(m, r)                           \
	{                                          \
		.waiters = WAITQ_INIT((m).waiters) \
	}
#endif
void mutex_init(struct mutex *m, enum lock_rank rank);
void mutex_lock(struct mutex *m);
void mutex_lock_nested(struct mutex *m);	       /* a second one of that rank */
int mutex_lock_killable(struct mutex *m) __must_check; /* 0 or -EINTR */
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_held(const struct mutex *m); /* by current */
#define mutex_assert_held(m) ASSERT(mutex_held(m))
/* The mutexes that t holds, innermost first, through printk. For panics; nothing in other kernels.
 */
void mutex_print_held(const struct task *t);

/* Who waits gets it by hand-over in order of arrival, neighbouring readers together. */
struct rwmutex {
	spinlock_t lock; /* L; RANK_WAITQ */
	s32 holders;	 /* L: > 0: readers; -1: a writer */
	u16 rank;
	struct task *writer; /* L; the holder, or NULL */
	struct list waiters; /* L */
};

void rwmutex_init(struct rwmutex *m, enum lock_rank rank);
void rwmutex_read_lock(struct rwmutex *m);
bool rwmutex_read_trylock(struct rwmutex *m);
void rwmutex_read_unlock(struct rwmutex *m);
void rwmutex_write_lock(struct rwmutex *m);
void rwmutex_write_lock_nested(struct rwmutex *m); /* a second one of that rank */
int rwmutex_write_lock_killable(struct rwmutex *m) __must_check;
void rwmutex_write_unlock(struct rwmutex *m);
/* It stays locked for writing, but by nobody, until anybody, an interrupt too, unlocks it so. */
void rwmutex_write_disown(struct rwmutex *m);
void rwmutex_write_unlock_disowned(struct rwmutex *m);
bool rwmutex_write_held(const struct rwmutex *m);

#endif
