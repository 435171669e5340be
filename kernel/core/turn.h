/* SPDX-License-Identifier: MIT */
/*
 * turn.h - one at a time, for as long as it takes: whoever reads a terminal keeps its turn while it
 * waits for somebody to type. Unlike a mutex a turn can be waited for interruptibly, and nobody is
 * asked to hurry. It is guarded by the spin lock of the object that it belongs to (L below).
 */
#ifndef CORE_TURN_H
#define CORE_TURN_H

#include "core/wait.h"

struct turn {
	bool taken; /* L */
	struct waitq waiting;
};

static inline void turn_init(struct turn *t)
{
	t->taken = false;
	waitq_init(&t->waiting);
}

/* L held. */
static inline bool turn_try(struct turn *t)
{
	bool ours = !t->taken;

	t->taken = true;
	return ours;
}

/* L held, released while waiting. 0; -ERESTARTSYS: a signal, or a kill if `kind` says so. */
static inline int turn_take(struct turn *t, spinlock_t *lock, enum sleep_kind kind)
{
	int err = 0;

	while (!err && !turn_try(t))
		err = waitq_sleep_exclusive(&t->waiting, lock, kind, KTIME_NEVER);
	return err;
}

/* L held. */
static inline void turn_give(struct turn *t)
{
	t->taken = false;
	waitq_wake(&t->waiting, 1, 0);
}

#endif
