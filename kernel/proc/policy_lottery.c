/* SPDX-License-Identifier: MIT */
/*
 * policy_lottery.c - the policy `lottery`: each turn goes to a task drawn at random,
 * by tickets (Waldspurger and Weil, "Lottery scheduling", 1994). A task of nice value
 * 0 has 1024 tickets; each step of nice is a quarter less.
 *
 * The draw is a race: whoever joins gets a random finishing time, exponentially
 * distributed with his tickets as rate, after the queue's clock; the first to finish
 * has won, and the clock stands there. The minimum of such times falls on each task
 * with a probability that is its share of the tickets, and, as the distribution has
 * no memory, those who have not won need no new number. So a draw among n tasks costs
 * log n, and nobody counts tickets.
 */
#include "core/random.h"
#include "proc/sched.h"

#define LOG_BITS 20 /* of fraction, in logarithms */

/* -ln(u / 2^32), u > 0, with LOG_BITS of fraction: log2 by squaring, times ln 2. */
static u64 minus_ln(u32 u)
{
	int top = 31 - __builtin_clz(u);
	u64 x = (u64)u << (31 - top); /* 1 <= x / 2^31 < 2 */
	u64 log = (u64)top << LOG_BITS;

	for (int bit = LOG_BITS - 1; bit >= 0; bit--) {
		x = x * x >> 31;
		if (x >> 32) {
			x >>= 1;
			log |= 1ull << bit;
		}
	}
	return (((u64)32 << LOG_BITS) - log) * 45426 >> 16; /* ln 2 = 45426 / 65536 */
}

static void lottery_join(struct runqueue *rq, struct sched_queue *q, struct task *t,
			 enum sched_join how)
{
	u32 u = (u32)random_u64() | 1;

	if (how == JOIN_PREEMPTED && t->sched.slice_used < SLICE)
		return;
	t->sched.slice_used = 0;
	t->sched.key = q->clock + minus_ln(u) * t->sched.slowness;
}

static void lottery_chosen(struct sched_queue *q, const struct task *t)
{
	if ((s64)(t->sched.key - q->clock) > 0)
		q->clock = t->sched.key;
}

/* The end of a turn: it puts its tickets in, too, and may win again. */
static bool lottery_preempts(const struct task *first, const struct task *t, ktime_t now)
{
	return t->sched.slice_used >= SLICE;
}

const struct sched_policy policy_lottery = {
	.name = "lottery",
	.join = lottery_join,
	.chosen = lottery_chosen,
	.preempts = lottery_preempts,
	.turn = sched_turn_equal,
};
