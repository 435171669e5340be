/* SPDX-License-Identifier: MIT */
/*
 * sched_place.c - on which CPU a task waits: waking, starting, stealing, affinity.
 *
 *	sched_prepare_sleep	current is SLEEPING but still runs
 *	sched_sleep, schedule	takes it off the CPU, unless it was woken meanwhile
 *	sched_wake		SLEEPING -> RUNNABLE and into a queue
 *
 * No wake-up is lost: a sleeper stores SLEEPING before it looks at its condition
 * for the last time, a waker makes the condition true before it looks at the
 * state. schedule() decides under the lock of its run queue (R), and so does
 * sched_wake() under that of the sleeper's CPU: if rq->running is still the
 * sleeper, it has not left and will find itself RUNNABLE. If it has left but its
 * stack is still in use (on_cpu), the waker queues it on that same CPU, which
 * cannot pick it before its switch is complete; nobody waits for a switch.
 *
 * A woken task goes to an idle CPU if there is one. An idle CPU takes waiting tasks
 * from others. A busy one looks around at its ticks and takes a waiting task
 *
 *	of a container that is behind the one that runs here by more than STEAL_LEAD,
 *	which is what keeps shares fair across CPUs;
 *	of the container that runs here, if more of its tasks wait there than here, or
 *	the task has waited for STARVED: there, another container may be due for long.
 */
#include "arch/x86/smp.h"
#include "core/errno.h"
#include "proc/sched.h"

#define BALANCE_SPAN (30 * NSEC_PER_MSEC)
#define STEAL_LEAD   (2 * SLICE)
#define STARVED	     (60 * NSEC_PER_MSEC)
#define STEAL_LOOKS  32 /* tasks looked at for one that may move */

static u64 idle_mask; /* atomic: CPUs that are in the idle loop and not yet given work */

struct runqueue *runqueue_lock_task(struct task *t)
{
	for (;;) {
		u32 cpu = READ_ONCE(t->sched.cpu);
		struct runqueue *rq = runqueue_of(cpu);

		spin_lock(&rq->lock);
		if (likely(t->sched.cpu == cpu))
			return rq;
		spin_unlock(&rq->lock);
	}
}

/* --- which CPU --- */

void cpu_mark_idle(unsigned cpu, bool idle)
{
	if (cpu_count == 1)
		return;
	if (idle)
		__atomic_fetch_or(&idle_mask, BIT(cpu), __ATOMIC_SEQ_CST);
	else if (READ_ONCE(idle_mask) & BIT(cpu))
		__atomic_fetch_and(&idle_mask, ~BIT(cpu), __ATOMIC_SEQ_CST);
}

/*
 * Where t, which is about to become runnable, goes: to its last CPU if that is idle, to another
 * idle one, or to the shorter queue of this and its last. A task that ends gives its CPU away.
 */
static unsigned sched_place(const struct task *t)
{
	unsigned last = t->sched.cpu, this = this_cpu()->id;
	u64 allowed = READ_ONCE(t->sched.allowed), idle;

	if (cpu_count == 1 || READ_ONCE(t->sched.on_cpu))
		return last;
	if (current->exiting && allowed >> this & 1 && !runqueue_this()->count)
		return this;
	idle = READ_ONCE(idle_mask) & allowed;
	if (idle >> last & 1)
		return last;
	if (idle)
		return __builtin_ctzll(idle);
	if (!(allowed >> last & 1))
		return allowed >> this & 1 ? this : (unsigned)__builtin_ctzll(allowed);
	if (allowed >> this & 1 && runqueue_this()->count <= runqueue_of(last)->count)
		return this;
	return last;
}

/* t has joined this CPU's queue: preempts current if it is more entitled. Releases R. */
static void sched_notice_local(struct runqueue *rq, struct task *t)
{
	struct task *running = current;
	ktime_t now, tick;

	if (running == this_cpu()->idle_task) { /* the idle loop looks */
		spin_unlock(&rq->lock);
		return;
	}
	now = ktime_get();
	sched_account(rq, running, now);
	if (running->state == TASK_RUNNABLE && sched_preempts(t, running, now))
		task_set_work(running, WORK_RESCHED);
	tick = sched_tick_wanted(rq, running, now);
	spin_unlock(&rq->lock);
	sched_tick_arm(rq, tick);
}

/* Another CPU got work: an IPI if it halts; else so that it compares and ticks. Releases its R. */
static void sched_notice_remote(struct runqueue *rq, unsigned cpu)
{
	spin_unlock(&rq->lock);
	cpu_mark_idle(cpu, false);
	smp_request(cpu, CPU_REQ_RESCHED);
}

/* t's key, which fits its queue on rq's CPU, is made to fit that of `to`. R of rq. */
static void sched_move_key(struct runqueue *rq, struct task *t, unsigned to)
{
	struct sched_queue *q = queue_of(t, rq->cpu);

	if (q->policy->move && t->sched.keyed_by == q->policy)
		q->policy->move(rq, q, queue_of(t, to), t);
	else
		t->sched.keyed_by = NULL;
}

void sched_enqueue(struct task *t, struct runqueue *rq, unsigned cpu, enum sched_join how)
{
	struct runqueue *to = runqueue_of(cpu);

	while (rq != to) {
		sched_move_key(rq, t, cpu);
		t->sched.cpu = cpu;
		spin_unlock(&rq->lock);
		rq = to;
		spin_lock(&rq->lock);
		if (likely(sched_allowed(t, cpu)))
			break;
		cpu = __builtin_ctzll(READ_ONCE(t->sched.allowed)); /* it has just changed */
		to = runqueue_of(cpu);
	}
	runqueue_insert(rq, t, how);
	if (cpu == this_cpu()->id)
		sched_notice_local(rq, t);
	else
		sched_notice_remote(rq, cpu);
}

/* --- stealing --- */

/* May CPU `me`, which runs r (NULL: it is idle), take t, which waits on another? R of the other. */
static bool steal_wanted(const struct task *t, const struct task *r, unsigned me, ktime_t now)
{
	const struct sched_queue *there, *here;
	s64 lead;

	if (READ_ONCE(t->sched.on_cpu) || !sched_allowed(t, me) || t->sched.lent)
		return false;
	if (!r)
		return true;
	if (group_lead(t->sched.group, r->sched.group, &lead))
		return lead > (s64)STEAL_LEAD;
	there = queue_of(t, t->sched.cpu);
	here = queue_of(t, me);
	return there->count > READ_ONCE(here->count) + 1 || now - t->sched.queued_at > STARVED;
}

/* Of the tasks that wait in n and below, in the order in which groups are due. R of their CPU. */
static struct task *steal_find(struct sched_node *n, const struct task *r, unsigned me, ktime_t now,
			       int *looks)
{
	struct tree_node *at;
	struct task *t = NULL;

	for (at = n->first_child; at && !t && *looks; at = tree_next(at))
		t = steal_find(container_of(at, struct sched_node, node), r, me, now, looks);
	for (at = tree_last(&n->queue.tasks); at && !t && *looks; at = tree_prev(at)) {
		--*looks;
		if (steal_wanted(task_of_node(at), r, me, now))
			t = task_of_node(at);
	}
	return t;
}

/* Takes one waiting task of `from` to this CPU's queue, if there is one that r gives way to. */
static bool sched_steal(struct runqueue *rq, struct runqueue *from, const struct task *r)
{
	int looks = STEAL_LOOKS;
	struct task *t;

	spin_lock(&from->lock);
	t = steal_find(from->root, r, rq->cpu, from->now, &looks);
	if (!t) {
		spin_unlock(&from->lock);
		return false;
	}
	runqueue_remove(from, t);
	sched_move_key(from, t, rq->cpu);
	t->sched.cpu = rq->cpu;
	spin_unlock(&from->lock);
	spin_lock(&rq->lock);
	/* a change of affinity meanwhile is seen when it is picked */
	runqueue_insert(rq, t, JOIN_PREEMPTED);
	if (r && sched_preempts(t, current, rq->now))
		task_set_work(current, WORK_RESCHED);
	spin_unlock(&rq->lock);
	return true;
}

bool sched_steal_idle(struct runqueue *rq)
{
	struct runqueue *from = NULL;
	u32 most = 0;

	for_each_cpu (i) {
		u32 count = READ_ONCE(runqueue_of(i)->count);

		if (i != rq->cpu && count > most) {
			most = count;
			from = runqueue_of(i);
		}
	}
	return from && sched_steal(rq, from, NULL);
}

void sched_balance(struct runqueue *rq, ktime_t now)
{
	u64 idle;

	if (cpu_count == 1)
		return;
	idle = READ_ONCE(idle_mask);
	if (rq->count && idle)
		smp_request(__builtin_ctzll(idle), CPU_REQ_RESCHED);
	if (now - rq->balanced < BALANCE_SPAN)
		return;
	rq->balanced = now;
	for (unsigned i = 1; i < cpu_count; i++) {
		struct runqueue *from = runqueue_of((rq->cpu + i) % cpu_count);

		if (READ_ONCE(from->count) && sched_steal(rq, from, current))
			break;
	}
}

/* --- sleeping and waking --- */

void sched_prepare_sleep(void)
{
	__atomic_store_n(&current->state, TASK_SLEEPING, __ATOMIC_SEQ_CST);
}

void sched_cancel_sleep(void)
{
	WRITE_ONCE(current->state, TASK_RUNNABLE);
}

struct sleep_timer {
	struct timer timer;
	struct task *task;
	bool fired;
};

static void sleep_timer_fire(struct timer *timer)
{
	struct sleep_timer *s = container_of(timer, struct sleep_timer, timer);

	WRITE_ONCE(s->fired, true);
	sched_wake(s->task);
}

bool sched_sleep(ktime_t deadline)
{
	struct sleep_timer s;

	if (likely(deadline == KTIME_NEVER)) {
		schedule();
		return false;
	}
	if (deadline <= ktime_get()) {
		sched_cancel_sleep();
		return true;
	}
	s.task = current;
	s.fired = false;
	timer_init(&s.timer, sleep_timer_fire);
	timer_arm(&s.timer, deadline);
	schedule();
	timer_cancel_sync(&s.timer);
	return s.fired;
}

bool sched_wake(struct task *t)
{
	enum task_state expected = TASK_SLEEPING;
	struct runqueue *rq;

	/* what t is woken for, then its state; sched_prepare_sleep() has the other half */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (READ_ONCE(t->state) != TASK_SLEEPING)
		return false;
	rq = runqueue_lock_task(t);
	if (!__atomic_compare_exchange_n(&t->state, &expected, TASK_RUNNABLE, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED) ||
	    rq->running == t) {
		spin_unlock(&rq->lock);
		return expected == TASK_SLEEPING;
	}
	sched_enqueue(t, rq, sched_place(t), JOIN_WOKEN);
	return true;
}

void sched_kick(struct task *t)
{
	if (!sched_wake(t) && t != current && READ_ONCE(t->sched.on_cpu))
		smp_request(READ_ONCE(t->sched.cpu), CPU_REQ_RESCHED);
}

void sched_start(struct task *t)
{
	unsigned cpu = this_cpu()->id;

	ASSERT(t->state == TASK_NEW);
	t->sched.cpu = cpu;
	t->state = TASK_RUNNABLE;
	t->sched.slowness = sched_slowness(t->sched.policy, t->sched.nice);
	t->sched.allowed = group_allowed(t->sched.group, t->sched.affinity);
	if (t->sched.group == current->sched.group) {
		t->sched.vruntime = current->sched.vruntime;
		t->sched.keyed_by = current->sched.keyed_by;
	}
	/* Whom vfork creates runs where its parent makes room at once. */
	if (!t->vfork_waiter || !sched_allowed(t, cpu))
		cpu = sched_place(t);
	spin_lock(&runqueue_this()->lock);
	sched_enqueue(t, runqueue_this(), cpu, JOIN_NEW);
}

void sched_compare(unsigned cpu)
{
	if (cpu == this_cpu()->id)
		task_set_work(current, WORK_RESCHED);
	else
		smp_request(cpu, CPU_REQ_RESCHED);
}

/* t may run on `allowed` only: moves it if it stands or runs elsewhere. rq is its, locked; releases
 * it. */
static void sched_confine(struct task *t, struct runqueue *rq, u64 allowed)
{
	bool running = rq->running == t;
	unsigned cpu = t->sched.cpu;

	WRITE_ONCE(t->sched.allowed, allowed);
	if (allowed >> cpu & 1) {
		spin_unlock(&rq->lock);
	} else if (t->sched.on_queue && !READ_ONCE(t->sched.on_cpu)) {
		runqueue_remove(rq, t);
		sched_enqueue(t, rq, __builtin_ctzll(allowed), JOIN_PREEMPTED);
	} else {
		spin_unlock(&rq->lock);
		if (running)
			sched_compare(cpu);
	}
}

int sched_set_affinity(struct task *t, u64 mask)
{
	struct runqueue *rq = runqueue_lock_task(t);
	u64 allowed = group_allowed(t->sched.group, mask);

	if (!(allowed & mask)) {
		spin_unlock(&rq->lock);
		return -EINVAL;
	}
	t->sched.affinity = mask;
	sched_confine(t, rq, allowed);
	if (t == current && !sched_allowed(t, this_cpu()->id))
		schedule();
	return 0;
}

void sched_confine_to_group(struct task *t)
{
	struct runqueue *rq = runqueue_lock_task(t);

	sched_confine(t, rq, group_allowed(t->sched.group, t->sched.affinity));
}

/* --- lending --- */

/* t's rank becomes that of its class or that of a lent task. R. */
static void sched_set_lent(struct runqueue *rq, struct task *t, bool lent)
{
	bool queued = t->sched.on_queue;

	if (queued)
		runqueue_remove(rq, t);
	t->sched.lent = lent;
	t->sched.rank = lent ? SCHED_LENT : t->sched.rt_priority;
	t->sched.keyed_by = NULL;
	if (queued)
		runqueue_insert(rq, t, JOIN_NEW);
}

void sched_lend(struct task *t)
{
	struct runqueue *rq;

	if (READ_ONCE(t->sched.lent))
		return;
	rq = runqueue_lock_task(t);
	if (!t->sched.lent && t->sched.group) {
		t->sched.group->lent++;
		sched_set_lent(rq, t, true);
		task_set_work(t, WORK_LENT);
	}
	spin_unlock(&rq->lock);
}

void sched_lend_end(void)
{
	struct runqueue *rq = runqueue_this();

	if (likely(!READ_ONCE(current->sched.lent)))
		return;
	spin_lock(&rq->lock);
	sched_set_lent(rq, current, false);
	spin_unlock(&rq->lock);
	task_clear_work(current, WORK_LENT);
	task_set_work(current, WORK_RESCHED);
}
