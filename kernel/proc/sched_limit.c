/* SPDX-License-Identifier: MIT */
/*
 * sched_limit.c - cpu.max: a container may use so much CPU time in each period, all
 * CPUs together.
 *
 *	sched_limit_use		books time; says when nothing is left
 *	sched_budget		how long a task may run until somebody must look
 *	sched_hold		where a task of a used-up container waits
 *
 * What is left is one number for all CPUs, so nobody is held back while there is
 * something left. A CPU that runs a task of a limited container ticks when its part
 * of the rest may be used up, at least every BUDGET_MAX. What was used beyond the
 * quota (in the kernel, where nobody is stopped) is taken from the next periods.
 *
 * A task is held only on its way to user mode, where it has no lock, and it can be
 * killed there. Each waits by itself for the period to end; the first to look then
 * begins the next one. What is not used in a period does not count in the next.
 */
#include "core/errno.h"
#include "core/trace.h"
#include "proc/sched.h"

#define PERIOD_MIN (1 * NSEC_PER_MSEC)
#define PERIOD_MAX NSEC_PER_SEC
#define QUOTA_MIN  (1 * NSEC_PER_MSEC)
#define BUDGET_MAX (1 * NSEC_PER_MSEC)
#define HOLD_LOOK  (100 * NSEC_PER_MSEC) /* a changed limit is seen after that at the latest */

void sched_limit_init(struct sched_limit *l)
{
	spin_init(&l->lock, RANK_CPU_MAX);
	l->period = CPU_PERIOD_DEFAULT;
}

/* If the period has ended, the next begins, or the one in which `now` lies. M. */
static void limit_refill(struct sched_limit *l, ktime_t now)
{
	ktime_t gone;

	if (now < l->ends)
		return;
	gone = (now - l->ends) / l->period + 1;
	if (l->hit)
		l->throttled_time += l->ends - l->hit_at;
	l->hit = false;
	l->periods++;
	if (gone > (l->quota - l->left) / l->quota)
		l->left = l->quota;
	else
		l->left += gone * l->quota;
	l->ends += gone * l->period;
}

bool sched_limit_use(struct sched_limit *l, ktime_t span, ktime_t now)
{
	bool none;

	spin_lock(&l->lock);
	if (l->quota)
		limit_refill(l, now);
	l->left -= span;
	none = l->quota && l->left <= 0;
	spin_unlock(&l->lock);
	return none;
}

static ktime_t limit_left(struct sched_limit *l, ktime_t now)
{
	ktime_t left = KTIME_NEVER;

	spin_lock(&l->lock);
	if (l->quota) {
		limit_refill(l, now);
		left = MAX(l->left, (ktime_t)0);
	}
	spin_unlock(&l->lock);
	return left;
}

ktime_t sched_budget_slow(const struct task *t, ktime_t now)
{
	ktime_t budget = KTIME_NEVER;

	for (struct sched_group *g = t->sched.group; g->parent; g = g->parent)
		if (READ_ONCE(g->limit.quota))
			budget = MIN(budget, limit_left(&g->limit, now));
	if (budget == 0 || budget == KTIME_NEVER)
		return budget;
	return MIN(MAX(budget / cpu_count, (ktime_t)BUDGET_MIN), (ktime_t)BUDGET_MAX);
}

/* Until when current is to wait for g's limit; 0: not at all. */
static ktime_t limit_wait_until(struct sched_group *g, ktime_t now)
{
	struct sched_limit *l = &g->limit;
	ktime_t until = 0;

	spin_lock(&l->lock);
	if (l->quota)
		limit_refill(l, now);
	if (l->quota && l->left <= 0) {
		until = MIN(l->ends, now + (ktime_t)HOLD_LOOK);
		if (!l->hit) {
			l->throttled++;
			l->hit = true;
			l->hit_at = now;
			trace(TRACE_THROTTLE, g->id, l->ends - now);
		}
	}
	spin_unlock(&l->lock);
	return until;
}

void sched_hold(void)
{
	struct sched_group *g = current->sched.group;

	task_clear_work(current, WORK_THROTTLE);
	current->sched.held = true;
	while (g->parent && !kill_pending()) {
		ktime_t until = limit_wait_until(g, ktime_get());

		if (!until) {
			g = g->parent;
			continue;
		}
		sched_prepare_sleep();
		/* After the state is set: either we see the kill, or the killer sees us SLEEPING.
		 */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (kill_pending())
			sched_cancel_sleep();
		else
			sched_sleep(until);
	}
	current->sched.held = false;
	task_set_work(current, WORK_RESCHED); /* so that this CPU ticks as the new budget says */
}

int sched_limit_set(struct sched_limit *l, ktime_t quota, ktime_t period)
{
	ktime_t now = ktime_get();

	if (period < PERIOD_MIN || period > PERIOD_MAX || quota < QUOTA_MIN)
		return -EINVAL;
	spin_lock(&l->lock);
	if (l->quota)
		limit_refill(l, now);
	WRITE_ONCE(l->quota, quota == KTIME_NEVER ? 0 : quota);
	l->period = period;
	l->ends = now + period;
	l->left = quota == KTIME_NEVER ? 0 : quota;
	if (l->hit)
		l->throttled_time += now - l->hit_at;
	l->hit = false;
	spin_unlock(&l->lock);
	return 0;
}

void sched_limit_stat(struct sched_limit *l, u64 *periods, u64 *throttled, ktime_t *time)
{
	ktime_t now = ktime_get();

	spin_lock(&l->lock);
	*periods = l->periods;
	*throttled = l->throttled;
	*time = l->throttled_time;
	if (l->hit)
		*time += MIN(now, l->ends) - l->hit_at;
	spin_unlock(&l->lock);
}
