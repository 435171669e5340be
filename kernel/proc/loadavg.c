/* SPDX-License-Identifier: MIT */
/*
 * loadavg.c - how many tasks ran or waited for a CPU, averaged over 1, 5 and 15
 * minutes (man 5 proc, /proc/loadavg), and what each CPU did.
 *
 * An average moves every 5 seconds towards the number of runnable tasks; busy
 * CPUs' ticks do it. Idle CPUs do not tick: the steps that were missed are made
 * up for, as of nothing to run, by the next tick or reader.
 *
 * A container's averages, with what is inside it, are not of samples: each of its groups
 * counts the time that tasks ran or waited for a CPU (sched_group.c), and what that grew
 * by since the last step, divided by the time between, is how many there were. Whoever
 * books time, or reads, makes the steps that are due. So no container costs anything
 * while nothing runs in it.
 */
#include "proc/loadavg.h"
#include "lib/string.h"
#include "proc/sched.h"

#define LOAD_PERIOD (5 * NSEC_PER_SEC)
#define STEPS_MAX   1000 /* after so many at once nothing is left of what was before */

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

/* load: times LOAD_ONE. */
static void load_step(u64 average[3], u64 load)
{
	for (int i = 0; i < 3; i++)
		average[i] = (average[i] * decay[i] + load * (LOAD_ONE - decay[i])) >> LOAD_SHIFT;
}

static void load_update(ktime_t now, u32 runnable)
{
	spin_lock(&load_lock);
	if (now - load_due > STEPS_MAX * LOAD_PERIOD) { /* all has decayed */
		memset(averages, 0, sizeof(averages));
		load_due = now;
	}
	while (now >= load_due + LOAD_PERIOD) {
		load_step(averages, 0);
		load_due += LOAD_PERIOD;
	}
	if (now >= load_due) {
		load_step(averages, (u64)runnable * LOAD_ONE);
		load_due += LOAD_PERIOD;
	}
	spin_unlock(&load_lock);
}

void loadavg_tick(ktime_t now)
{
	if (unlikely(now >= READ_ONCE(load_due)))
		load_update(now, sched_runnable());
}

/* --- of a container --- */

void loadavg_group_init(struct sched_load *l)
{
	spin_init(&l->lock, RANK_CPU_MAX);
	l->at = ktime_get();
	l->due = l->at + LOAD_PERIOD;
}

/* What the tasks in g have run and waited so far. */
static ktime_t group_sum(const struct sched_group *g)
{
	ktime_t sum = 0;

	for_each_cpu (i) {
		const struct sched_usage *u = &g->nodes[i].used;

		sum += READ_ONCE(u->user) + READ_ONCE(u->system) + READ_ONCE(u->waited);
	}
	return sum;
}

void loadavg_group_step(struct sched_group *g, ktime_t now)
{
	struct sched_load *l = &g->load;
	ktime_t sum, steps;
	u64 load;

	spin_lock(&l->lock);
	if (now >= l->due) {
		sum = group_sum(g);
		load = MAX(sum - l->sum, (ktime_t)0) / NSEC_PER_USEC * LOAD_ONE /
		       ((now - l->at) / NSEC_PER_USEC);
		steps = 1 + (now - l->due) / LOAD_PERIOD;
		for (ktime_t i = 0; i < MIN(steps, (ktime_t)STEPS_MAX); i++)
			load_step(l->average, load);
		l->sum = sum;
		l->at = now;
		WRITE_ONCE(l->due, l->due + steps * LOAD_PERIOD);
	}
	spin_unlock(&l->lock);
}

void sched_loadavg(struct sched_group *g, u64 load[3])
{
	bool machine = !g->parent;
	spinlock_t *lock = machine ? &load_lock : &g->load.lock;

	if (machine)
		load_update(ktime_get(), sched_runnable());
	else
		loadavg_group_step(g, ktime_get());
	spin_lock(lock);
	memcpy(load, machine ? averages : g->load.average, sizeof(averages));
	spin_unlock(lock);
}

void sched_stats_of(unsigned cpu, struct sched_stats *s)
{
	struct runqueue *rq = runqueue_of(cpu);

	spin_lock(&rq->lock);
	*s = rq->stats;
	spin_unlock(&rq->lock);
	s->idle = MAX(ktime_get() - s->user - s->system, (ktime_t)0);
}
