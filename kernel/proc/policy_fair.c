/* SPDX-License-Identifier: MIT */
/*
 * policy_fair.c - the policy `fair`: among a container's tasks the one with the
 * smallest virtual run time is due: time on the CPU, which passes more slowly the
 * lower the nice value is. A task that slept joins at the queue's minimum less a
 * small bonus, so that it soon runs but cannot save up. The key is that time when it
 * joined; who runs is compared by his present time.
 */
#include "proc/sched.h"

static inline bool is_fair(const struct task *t)
{
	return t->sched.keyed_by == &policy_fair;
}

/* q's clock follows the least entitled of who runs and who is due next of group g. */
static inline u64 fair_clock(struct runqueue *rq, struct sched_queue *q,
			     const struct sched_group *g)
{
	const struct task *first = queue_first(q), *running = rq->running;
	u64 v = q->clock;

	if (is_fair(running) && running->sched.group == g)
		v = running->sched.vruntime;
	else if (first && is_fair(first))
		v = first->sched.key;
	if (first && is_fair(first) && (s64)(first->sched.key - v) < 0)
		v = first->sched.key;
	if ((s64)(v - q->clock) > 0)
		q->clock = v;
	return q->clock;
}

static void fair_join(struct runqueue *rq, struct sched_queue *q, struct task *t,
		      enum sched_join how)
{
	u64 floor;

	if (how != JOIN_PREEMPTED) {
		floor = fair_clock(rq, q, t->sched.group);
		if (how == JOIN_WOKEN)
			floor -= SLEEPER_BONUS;
		if ((s64)(t->sched.vruntime - floor) < 0 || !is_fair(t))
			t->sched.vruntime = floor;
	}
	t->sched.key = t->sched.vruntime;
}

/* At the end of its slice any advantage counts. */
static bool fair_preempts(const struct task *first, const struct task *t, ktime_t now)
{
	s64 gain = t->sched.vruntime - first->sched.key;

	return gain > (now - t->sched.slice_start >= SLICE ? 0 : PREEMPT_GAIN);
}

static void fair_move(struct runqueue *rq, struct sched_queue *q, const struct sched_queue *to,
		      struct task *t)
{
	t->sched.vruntime += READ_ONCE(to->clock) - fair_clock(rq, q, t->sched.group);
}

const struct sched_policy policy_fair = {
	.name = "fair",
	.join = fair_join,
	.preempts = fair_preempts,
	.move = fair_move,
};
