/* SPDX-License-Identifier: MIT */
/*
 * policy_rr.c - the policy `rr`: tasks take turns. Who begins to wait goes to the
 * end of the line and keeps the CPU for a turn once he has it; a turn is the longer
 * the lower the nice value is. The key is the order of arrival. Who was only
 * interrupted (another container was due) goes on with the rest of his turn.
 */
#include "proc/sched.h"

#define TURN_MIN (1 * NSEC_PER_MSEC)
#define TURN_MAX (60 * NSEC_PER_MSEC)

ktime_t sched_turn_equal(const struct task *t)
{
	return SLICE;
}

static ktime_t rr_turn(const struct task *t)
{
	return MIN(MAX(((ktime_t)SLICE << 16) / t->sched.slowness, (ktime_t)TURN_MIN),
		   (ktime_t)TURN_MAX);
}

static void rr_join(struct runqueue *rq, struct sched_queue *q, struct task *t, enum sched_join how)
{
	if (how == JOIN_PREEMPTED && t->sched.slice_used < rr_turn(t))
		return;
	t->sched.slice_used = 0;
	t->sched.key = q->sequence++;
}

static bool rr_preempts(const struct task *first, const struct task *t, ktime_t now)
{
	return t->sched.slice_used >= rr_turn(t);
}

const struct sched_policy policy_rr = {
	.name = "rr",
	.join = rr_join,
	.preempts = rr_preempts,
	.turn = rr_turn,
};
