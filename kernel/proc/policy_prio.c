/* SPDX-License-Identifier: MIT */
/*
 * policy_prio.c - the policy `prio`: strictly by nice value; among equals, turns. A
 * task waits as long as one with a lower nice value wants to run, so a container may
 * starve its own tasks with it, and nobody else's. SCHED_IDLE tasks come last of
 * all. The key is the priority and the order of arrival.
 */
#include "proc/sched.h"

#define PRIO_SHIFT 56 /* above all sequence numbers */

static u64 prio_of(const struct task *t)
{
	return t->sched.policy == SCHED_IDLE ? NICE_MAX - NICE_MIN + 1
					     : (u64)(t->sched.nice - NICE_MIN);
}

static void prio_join(struct runqueue *rq, struct sched_queue *q, struct task *t,
		      enum sched_join how)
{
	if (how == JOIN_PREEMPTED && t->sched.slice_used < SLICE &&
	    t->sched.key >> PRIO_SHIFT == prio_of(t))
		return;
	t->sched.slice_used = 0;
	t->sched.key = prio_of(t) << PRIO_SHIFT | q->sequence++;
}

static bool prio_preempts(const struct task *first, const struct task *t, ktime_t now)
{
	u64 mine = prio_of(t), its = prio_of(first);

	return its < mine || (its == mine && t->sched.slice_used >= SLICE);
}

const struct sched_policy policy_prio = {
	.name = "prio",
	.join = prio_join,
	.preempts = prio_preempts,
	.turn = sched_turn_equal,
};
