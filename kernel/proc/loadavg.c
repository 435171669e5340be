/* SPDX-License-Identifier: MIT */
/*
 * loadavg.c - how many tasks ran or waited for a CPU, averaged over 1, 5 and 15
 * minutes (man 5 proc, /proc/loadavg), and what each CPU did.
 *
 * An average moves every 5 seconds towards the number of runnable tasks; busy
 * CPUs' ticks do it. Idle CPUs do not tick: the steps that were missed are made
 * up for, as of nothing to run, by the next tick or reader.
 */
#include "proc/loadavg.h"
#include "lib/string.h"
#include "proc/sched.h"

#define LOAD_PERIOD (5 * NSEC_PER_SEC)

/* 2^11 / e^(5/60), e^(5/300), e^(5/900) */
static const u32 decay[3] = { 1884, 2014, 2037 };

static spinlock_t load_lock = SPINLOCK_INIT(RANK_TASK);
static u64 averages[3]; /* load_lock */
static ktime_t load_due = LOAD_PERIOD;

u32 sched_runnable(void)
{
	u32 n = 0;

	for_each_cpu (i) {
		struct runqueue *rq = runqueue_of(i);
		n += READ_ONCE(rq->count) + (READ_ONCE(rq->running) != cpus[i]->idle_task);
	}
	return n;
}

static void load_step(u32 runnable)
{
	for (int i = 0; i < 3; i++)
		averages[i] = (averages[i] * decay[i] +
			       (u64)runnable * LOAD_ONE * (LOAD_ONE - decay[i])) >>
			      LOAD_SHIFT;
}

static void load_update(ktime_t now, u32 runnable)
{
	spin_lock(&load_lock);
	if (now - load_due > 400 * LOAD_PERIOD) { /* all has decayed */
		memset(averages, 0, sizeof(averages));
		load_due = now;
	}
	while (now >= load_due + LOAD_PERIOD) {
		load_step(0);
		load_due += LOAD_PERIOD;
	}
	if (now >= load_due) {
		load_step(runnable);
		load_due += LOAD_PERIOD;
	}
	spin_unlock(&load_lock);
}

void loadavg_tick(ktime_t now)
{
	if (unlikely(now >= READ_ONCE(load_due)))
		load_update(now, sched_runnable());
}

void sched_loadavg(u64 load[3])
{
	load_update(ktime_get(), sched_runnable());
	spin_lock(&load_lock);
	memcpy(load, averages, sizeof(averages));
	spin_unlock(&load_lock);
}

void sched_stats_of(unsigned cpu, struct sched_stats *s)
{
	struct runqueue *rq = runqueue_of(cpu);

	spin_lock(&rq->lock);
	*s = rq->stats;
	spin_unlock(&rq->lock);
	s->idle = MAX(ktime_get() - s->user - s->system, (ktime_t)0);
}
