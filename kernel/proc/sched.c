/* SPDX-License-Identifier: MIT */
/*
 * sched.c - switching: who runs next on this CPU.
 *
 * Scheduling has two levels. The kernel chooses a container by weight
 * (sched_group.c); the container's policy chooses one of its tasks (policy_*.c).
 * doc/scheduling.md tells the whole story; proc/sched.h lists the files.
 *
 *	schedule		keeps current, or switches to the one that is due
 *	sched_finish_switch	what is left to do for the one that was left
 *
 * Above both levels stand the host's real-time tasks, and above those a task that
 * holds a mutex for which others wait (sched_lend).
 *
 * A legal switch: no spin lock is held (the debug kernel checks), current's state
 * is set. Everything of a task is released after the switch away from it, in
 * sched_finish_switch().
 */
#include "proc/sched.h"
#include "arch/x86/arch.h"
#include "core/printk.h"
#include "core/trace.h"
#include "lib/string.h"
#include "proc/task.h"
#include "syscalls.h"

PERCPU(struct runqueue, runqueues);
static PERCPU(struct task, idle_tasks);

bool runqueue_suspend(struct runqueue *rq, struct task *t)
{
	bool queued = t->sched.on_queue;

	if (queued)
		runqueue_remove(rq, t);
	return queued;
}

void runqueue_resume(struct runqueue *rq, struct task *t, bool was_queued, bool new_class)
{
	if (!t->sched.lent)
		t->sched.rank = t->sched.rt_priority;
	if (new_class)
		t->sched.keyed_by = NULL;
	if (was_queued)
		runqueue_insert(rq, t, new_class ? JOIN_NEW : JOIN_PREEMPTED);
}

/* --- switching --- */

static void sched_check_legal(const struct task *prev)
{
	BUG_IF(DEBUG && this_cpu()->spin_depth, "%s sleeps with %u spin locks held", prev->name,
	       this_cpu()->spin_depth);
	BUG_IF(DEBUG && prev->state != TASK_RUNNABLE && prev == this_cpu()->idle_task,
	       "the idle task of CPU %u sleeps", this_cpu()->id);
}

/* Who runs next; takes it from its queue and puts prev into its if it stays runnable. R. */
static struct task *sched_choose(struct runqueue *rq, struct task *prev, ktime_t now)
{
	struct task *idle = this_cpu()->idle_task, *first, *next;
	bool yielding = rq->yielding;

	rq->yielding = false;
	if (prev->state != TASK_RUNNABLE || prev == idle)
		return runqueue_take(rq) ?: idle;
	if (unlikely(!sched_allowed(prev, rq->cpu))) {
		rq->evicts = true;
		return runqueue_take(rq) ?: idle;
	}
	first = runqueue_first(rq);
	if (!first)
		return prev;
	if (yielding && first->sched.rank >= prev->sched.rank) {
		next = runqueue_take(rq);
		runqueue_insert(rq, prev, JOIN_PREEMPTED);
		return next;
	}
	if (!sched_preempts(first, prev, now))
		return prev;
	runqueue_insert(rq, prev, JOIN_PREEMPTED);
	return runqueue_take(rq);
}

/* The container's log is on: says whom its policy chose. */
static __noinline void sched_log(const struct task *t)
{
	printk(LOG_INFO, "Container + %u : Scheduling process + %u\n", t->sched.group->id,
	       t->process ? t->process->pid : t->tid);
}

/* Somebody is to be told of what happened under R, which is not held any more. */
static __noinline void sched_wake_later(struct runqueue *rq)
{
	struct waitq *q = rq->wake_later;

	rq->wake_later = NULL;
	waitq_wake_all(q, 0);
}

static inline void sched_count_switch(struct runqueue *rq, struct task *prev, bool voluntary)
{
	if (voluntary) {
		prev->sched.switches_voluntary++;
		rq->stats.voluntary++;
	} else if (prev != this_cpu()->idle_task) {
		prev->sched.switches_involuntary++;
		rq->stats.involuntary++;
	}
	if (!group_alone(prev->sched.group))
		group_count_switch(prev, rq->cpu, voluntary);
}

void schedule(void)
{
	struct runqueue *rq = runqueue_this();
	struct task *prev = current, *next;
	ktime_t now = ktime_get(), tick;

	sched_check_legal(prev);
	rcu_quiescent();
	spin_lock(&rq->lock);
	if (READ_ONCE(prev->work) & WORK_RESCHED)
		task_clear_work(prev, WORK_RESCHED);
	sched_account(rq, prev, now);
	next = sched_choose(rq, prev, now);
	tick = sched_tick_wanted(rq, next, now);
	if (next == prev) {
		spin_unlock(&rq->lock);
		sched_tick_arm(rq, tick);
		if (unlikely(rq->wake_later))
			sched_wake_later(rq);
		return;
	}
	sched_count_switch(rq, prev, prev->state != TASK_RUNNABLE);
	rq->stats.switches++;
	rq->running = next;
	rq->previous = prev;
	next->sched.on_cpu = true;
	if (unlikely(!sched_allowed(next, rq->cpu))) /* since it waits here: it leaves at once */
		task_set_work(next, WORK_RESCHED);
	next->time_mark = next->sched.slice_start = now;
	spin_unlock(&rq->lock);
	sched_tick_arm(rq, tick);
	trace(TRACE_SWITCH, next->owner->id, next->tid);
	if (unlikely(next->sched.group->log))
		sched_log(next);
	arch_switch(prev, next);
	sched_finish_switch();
}

/* prev was left because it may not run here. Whether it may by now does not matter: it has no
 * queue. */
static __noinline void sched_evict(struct runqueue *rq, struct task *prev)
{
	spin_lock(&rq->lock);
	rq->evicts = false;
	__atomic_store_n(&prev->sched.on_cpu, false, __ATOMIC_RELEASE);
	sched_enqueue(prev, rq, __builtin_ctzll(READ_ONCE(prev->sched.allowed)), JOIN_PREEMPTED);
}

void sched_finish_switch(void)
{
	struct runqueue *rq = runqueue_this();
	struct task *prev = rq->previous;
	bool dead = prev->state == TASK_DEAD;

	if (unlikely(rq->evicts))
		sched_evict(rq, prev);
	else
		__atomic_store_n(&prev->sched.on_cpu, false, __ATOMIC_RELEASE);
	if (unlikely(rq->wake_later))
		sched_wake_later(rq);
	if (dead)
		task_finish_dead(prev);
}

void resched_point(void)
{
	ASSERT(!this_cpu()->spin_depth);
	if (unlikely(READ_ONCE(current->work) & WORK_RESCHED))
		schedule();
	else
		rcu_quiescent();
	cpu_relax_interrupts();
}

void sched_exit(void)
{
	struct runqueue *rq = runqueue_this();

	spin_lock(&rq->lock);
	current->state = TASK_DEAD;
	spin_unlock(&rq->lock);
	schedule();
	panic("%s runs although it has ended", current->name);
}

s64 sys_sched_yield(void)
{
	struct runqueue *rq = runqueue_this();

	if (!rq->count)
		return 0;
	if (current->sched.rank) {
		spin_lock(&rq->lock);
		current->sched.key = queue_of(current, rq->cpu)->sequence++;
		spin_unlock(&rq->lock);
	}
	rq->yielding = true;
	schedule();
	return 0;
}

/* --- idle --- */

void sched_idle_loop(void)
{
	struct cpu *cpu = this_cpu();
	struct runqueue *rq = runqueue_this();

	for (;;) {
		rcu_quiescent();
		if (!READ_ONCE(rq->count) && !(cpu_count > 1 && sched_steal_idle(rq))) {
			__atomic_store_n(&cpu->idle, true, __ATOMIC_SEQ_CST);
			cpu_mark_idle(cpu->id, true);
			rcu_idle_enter();
			if (!READ_ONCE(rq->count))
				arch_idle_wait();
			rcu_idle_exit();
			cpu_mark_idle(cpu->id, false);
			WRITE_ONCE(cpu->idle, false);
		}
		if (READ_ONCE(rq->count))
			schedule();
	}
}

/* --- start-up --- */

void sched_init(void) {}

void sched_init_cpu(void)
{
	struct cpu *cpu = this_cpu();
	struct runqueue *rq = runqueue_this();
	struct task *t = &percpu_this(idle_tasks);

	spin_init(&rq->lock, RANK_RUNQUEUE);
	rq->cpu = cpu->id;
	rq->root = node_of(&sched_host, cpu->id);
	group_init_cpu(cpu->id);
	sched_time_init_cpu(rq);
	task_init_kernel(t, "idle");
	snprintf(t->name, sizeof(t->name), "idle/%u", cpu->id);
	t->kstack_top = cpu->kstack_top;
	t->state = TASK_RUNNABLE;
	t->sched.cpu = cpu->id;
	t->sched.affinity = t->sched.allowed = BIT(cpu->id);
	t->sched.on_cpu = true;
	rq->running = t;
	cpu->idle_task = t;
	cpu->task = t;
}
