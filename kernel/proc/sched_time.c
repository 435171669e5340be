/* SPDX-License-Identifier: MIT */
/*
 * sched_time.c - the scheduler's time: booking it on tasks, containers and CPUs;
 * ticks.
 *
 * Time is booked when a task leaves the CPU, at ticks, and when somebody compares:
 * what was in between is exact, which of user and system time it was is sampled at
 * ticks.
 *
 * A CPU ticks at the slice while somebody waits; with one runnable task it ticks
 * ever more rarely (to sample user or system time), when idle not at all; while the
 * running task's container has a cpu.max, when that may be used up.
 */
#include "arch/x86/arch.h"
#include "arch/x86/io.h"
#include "proc/loadavg.h"
#include "proc/sched.h"

#define TICK_FIRST    (10 * NSEC_PER_MSEC)
#define TICK_LAST     (160 * NSEC_PER_MSEC)
#define SLOWNESS_IDLE 22369621 /* weight 3 of 1024, as Linux's WEIGHT_IDLEPRIO */

/* 65536 * 1.25^nice: one step of nice is a quarter more or less. */
static const u32 slowness_of_nice[NICE_MAX - NICE_MIN + 1] = {
	756,	944,	1181,	1476,	 1845,	  2306,	   2882,    3603,    4504,    5629,
	7037,	8796,	10995,	13744,	 17180,	  21475,   26844,   33554,   41943,   52429,
	65536,	81920,	102400, 128000,	 160000,  200000,  250000,  312500,  390625,  488281,
	610352, 762939, 953674, 1192093, 1490116, 1862645, 2328306, 2910383, 3637979, 4547474,
};

u32 sched_slowness(u8 policy, s8 nice)
{
	return policy == SCHED_IDLE ? SLOWNESS_IDLE : slowness_of_nice[nice - NICE_MIN];
}

void sched_account(struct runqueue *rq, struct task *t, ktime_t now)
{
	ktime_t span = now - t->time_mark;
	bool system = t->sched.in_system;

	rq->now = now;
	if (t == this_cpu()->idle_task)
		return;
	t->time_mark = now;
	if (system) {
		t->stime += span;
		rq->stats.system += span;
	} else {
		t->utime += span;
		rq->stats.user += span;
	}
	t->sched.slice_used += span;
	t->sched.vruntime += (u64)span * t->sched.slowness >> 16;
	if (!group_alone(t->sched.group))
		group_charge(t, rq->cpu, span, system, now);
}

void process_account_time(struct task *t, ktime_t *utime, ktime_t *stime)
{
	ktime_t span = 0;

	*utime = READ_ONCE(t->utime);
	*stime = READ_ONCE(t->stime);
	if (READ_ONCE(t->sched.on_cpu))
		span = MAX(ktime_get() - READ_ONCE(t->time_mark), 0);
	if (t->sched.in_system)
		*stime += span;
	else
		*utime += span;
}

/* --- ticks --- */

/* When somebody waits: until the end of t's turn, as its policy has it, at most a slice. */
static ktime_t turn_left(const struct task *t)
{
	const struct sched_policy *p = t->sched.keyed_by;

	if (!p || !p->turn)
		return SLICE;
	return MIN(MAX(p->turn(t) - t->sched.slice_used, (ktime_t)BUDGET_MIN), (ktime_t)SLICE);
}

ktime_t sched_tick_wanted_slow(const struct runqueue *rq, struct task *running, ktime_t now)
{
	ktime_t span = rq->count ? turn_left(running) : TICK_FIRST, budget;

	if (running == this_cpu()->idle_task)
		return KTIME_NEVER;
	budget = sched_budget(running, now);
	if (unlikely(budget < span)) {
		if (!budget)
			task_set_work(running, WORK_THROTTLE);
		span = MAX(budget, (ktime_t)BUDGET_MIN);
		return rq->tick_at <= now + span ? KTIME_NEVER : now + span;
	}
	if (likely(rq->tick_at <= now + span) || (!rq->count && rq->tick_at != KTIME_NEVER))
		return KTIME_NEVER;
	return now + span;
}

void sched_tick_arm(struct runqueue *rq, ktime_t at)
{
	if (likely(at == KTIME_NEVER))
		return;
	rq->tick_at = at;
	rq->tick_span = TICK_FIRST;
	timer_arm(&rq->tick, at);
}

/*
 * Was current in the kernel when the timer expired? Interrupts are off there, so
 * the interrupt comes at the first user instruction after SYSRET, where RCX and
 * R11 still are what SYSRET took RIP and RFLAGS from; or in a resched_point().
 */
static bool tick_hit_system(void)
{
	const struct trapframe *f;

	if (!current->process)
		return true;
	f = task_frame(current);
	return (s64)f->orig_rax >= 0 || f->vector < 32 || (f->rcx == f->rip && f->r11 == f->rflags);
}

/* When to tick next; the longer alone, the later. */
static ktime_t sched_tick_next(struct runqueue *rq, const struct task *t, bool alone, ktime_t now)
{
	ktime_t next = turn_left(t);

	if (alone) {
		next = rq->tick_span;
		rq->tick_span = MIN(rq->tick_span * 2, TICK_LAST);
	}
	return MIN(next, MAX(sched_budget(t, now), (ktime_t)BUDGET_MIN));
}

static void sched_tick_fire(struct timer *timer)
{
	struct runqueue *rq = container_of(timer, struct runqueue, tick);
	struct task *t = current, *first;
	ktime_t now = ktime_get();

	rq->tick_at = KTIME_NEVER;
	if (t == this_cpu()->idle_task)
		return;
	spin_lock(&rq->lock);
	t->sched.in_system = tick_hit_system();
	sched_account(rq, t, now);
	first = runqueue_first(rq);
	if (t->sched.policy == SCHED_RR && now - t->sched.slice_start >= SLICE)
		t->sched.key = queue_of(t, rq->cpu)->sequence++;
	if (first && sched_preempts(first, t, now))
		task_set_work(t, WORK_RESCHED);
	rq->tick_at = now + sched_tick_next(rq, t, !first, now);
	spin_unlock(&rq->lock);
	sched_balance(rq, now);
	loadavg_tick(now);
	timer_arm(timer, rq->tick_at);
}

void sched_time_init_cpu(struct runqueue *rq)
{
	timer_init(&rq->tick, sched_tick_fire);
	rq->tick_at = KTIME_NEVER;
}
