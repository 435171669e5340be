/* SPDX-License-Identifier: MIT */
/*
 * sched.c - who runs next, and on which CPU.
 *
 * Every CPU has a run queue: a tree of the tasks that wait for it. Among normal
 * tasks the one with the smallest virtual run time is due: time on the CPU, which
 * passes more slowly the lower the nice value is. A task that slept joins at the
 * queue's minimum less a small bonus, so that it soon runs but cannot save up.
 * Real-time tasks (host only) come before all others, by priority. A struct
 * sched_queue stands between the CPU and its tasks, so that one per container
 * can go there.
 *
 *	sched_prepare_sleep	current is SLEEPING but still runs
 *	sched_sleep, schedule	takes it off the CPU, unless it was woken meanwhile
 *	sched_wake		SLEEPING -> RUNNABLE and into a queue
 *	schedule		keeps current, or switches to the one that is due
 *
 * No wake-up is lost: a sleeper stores SLEEPING before it looks at its condition
 * for the last time, a waker makes the condition true before it looks at the
 * state. schedule() decides under the lock of its run queue (R), and so does
 * sched_wake() under that of the sleeper's CPU: if rq->running is still the
 * sleeper, it has not left and will find itself RUNNABLE. If it has left but its
 * stack is still in use (on_cpu), the waker queues it on that same CPU, which
 * cannot pick it before its switch is complete; nobody waits for a switch.
 *
 * A legal switch: no spin lock is held (the debug kernel checks), current's state
 * is set. Everything of a task is released after the switch away from it, in
 * sched_finish_switch().
 *
 * Ticks: a CPU ticks at the slice while somebody waits; with one runnable task it
 * ticks ever more rarely (to sample user or system time), when idle not at all.
 */
#include "proc/sched.h"
#include "arch/x86/arch.h"
#include "arch/x86/io.h"
#include "arch/x86/smp.h"
#include "core/printk.h"
#include "core/trace.h"
#include "lib/string.h"
#include "proc/loadavg.h"
#include "proc/process.h"
#include "proc/task.h"
#include "syscalls.h"

#define SLICE	      (6 * NSEC_PER_MSEC)
#define SLEEPER_BONUS (3 * NSEC_PER_MSEC)
#define PREEMPT_GAIN  (1 * NSEC_PER_MSEC) /* a woken task must be that much more entitled */
#define TICK_FIRST    (10 * NSEC_PER_MSEC)
#define TICK_LAST     (160 * NSEC_PER_MSEC)
#define BALANCE_SPAN  (60 * NSEC_PER_MSEC)
#define STEAL_LOOKS   32       /* tasks of a queue looked at for one that may move */
#define SLOWNESS_IDLE 22369621 /* weight 3 of 1024, as Linux's WEIGHT_IDLEPRIO */

static PERCPU(struct runqueue, runqueues);
static PERCPU(struct task, idle_tasks);
static u64 idle_mask; /* atomic: CPUs that are in the idle loop and not yet given work */

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

struct runqueue *runqueue_of(unsigned cpu)
{
	return &percpu_of(runqueues, cpu);
}

static inline struct runqueue *runqueue_this(void)
{
	return &percpu_this(runqueues);
}

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

static inline bool sched_allowed(const struct task *t, unsigned cpu)
{
	return READ_ONCE(t->sched.affinity) >> cpu & 1;
}

/* --- queues --- */

#define task_of_node(n) container_of(n, struct task, sched.node)

static inline bool sched_before(const struct sched_entity *a, const struct sched_entity *b)
{
	if (unlikely(a->rt_priority != b->rt_priority))
		return a->rt_priority > b->rt_priority;
	return (s64)(a->vruntime - b->vruntime) < 0;
}

static void queue_insert(struct sched_queue *q, struct task *t)
{
	struct tree_node **link = &q->tasks.root, *parent = NULL;
	bool first = true;

	ASSERT(!t->sched.on_queue);
	while (*link) {
		parent = *link;
		if (sched_before(&t->sched, &task_of_node(parent)->sched)) {
			link = &parent->left;
		} else {
			link = &parent->right;
			first = false;
		}
	}
	tree_insert(&q->tasks, &t->sched.node, parent, link);
	if (first)
		q->first = &t->sched.node;
	q->count++;
	t->sched.on_queue = true;
}

static void queue_remove(struct sched_queue *q, struct task *t)
{
	ASSERT(t->sched.on_queue);
	if (q->first == &t->sched.node)
		q->first = q->count > 1 ? tree_next(q->first) : NULL;
	tree_remove(&q->tasks, &t->sched.node);
	q->count--;
	t->sched.on_queue = false;
}

static inline struct task *queue_first(struct sched_queue *q)
{
	return q->first ? task_of_node(q->first) : NULL;
}

/* The minimum follows the least entitled of who runs and who is due next. */
static void queue_advance(struct sched_queue *q, const struct task *running)
{
	const struct task *first = queue_first(q);
	u64 v = running->sched.vruntime;

	if (running->sched.rt_priority)
		return;
	if (first && !first->sched.rt_priority && (s64)(first->sched.vruntime - v) < 0)
		v = first->sched.vruntime;
	if ((s64)(v - q->min_vruntime) > 0)
		q->min_vruntime = v;
}

bool runqueue_suspend(struct runqueue *rq, struct task *t)
{
	bool queued = t->sched.on_queue;

	if (queued)
		queue_remove(&rq->queue, t);
	return queued;
}

void runqueue_resume(struct runqueue *rq, struct task *t, bool was_queued, bool new_class)
{
	if (new_class)
		t->sched.vruntime =
			t->sched.rt_priority ? rq->rt_sequence++ : rq->queue.min_vruntime;
	if (was_queued)
		queue_insert(&rq->queue, t);
}

/* --- time --- */

/* Books the time since the last mark on t, which runs. R, or t is current with interrupts off. */
static void sched_account(struct runqueue *rq, struct task *t, ktime_t now)
{
	ktime_t span = now - t->time_mark;

	if (t == this_cpu()->idle_task)
		return;
	t->time_mark = now;
	if (t->sched.in_system) {
		t->stime += span;
		rq->stats.system += span;
	} else {
		t->utime += span;
		rq->stats.user += span;
	}
	if (likely(!t->sched.rt_priority))
		t->sched.vruntime += (u64)span * t->sched.slowness >> 16;
	queue_advance(&rq->queue, t);
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

/* Is `first` to run instead of t, which runs? At the end of its slice any advantage counts. */
static bool sched_preempts(const struct task *first, const struct task *t, ktime_t now)
{
	s64 gain;

	if (unlikely(first->sched.rt_priority != t->sched.rt_priority))
		return first->sched.rt_priority > t->sched.rt_priority;
	if (t->sched.rt_priority) /* SCHED_RR got a new place at the end of its slice */
		return (s64)(first->sched.vruntime - t->sched.vruntime) < 0;
	gain = t->sched.vruntime - first->sched.vruntime;
	return gain > (now - t->sched.slice_start >= SLICE ? 0 : PREEMPT_GAIN);
}

/* When this CPU must tick at the latest, or KTIME_NEVER if the timer is right as it is. */
static ktime_t sched_tick_wanted(const struct runqueue *rq, const struct task *running, ktime_t now)
{
	ktime_t at = now + (rq->queue.count ? SLICE : TICK_FIRST);

	if (running == this_cpu()->idle_task)
		return KTIME_NEVER;
	if (likely(rq->tick_at <= at) || (!rq->queue.count && rq->tick_at != KTIME_NEVER))
		return KTIME_NEVER;
	return at;
}

/* No spin lock of the scheduler is held: timers rank below. */
static void sched_tick_arm(struct runqueue *rq, ktime_t at)
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

static void sched_balance(struct runqueue *rq, ktime_t now);

static void sched_tick_fire(struct timer *timer)
{
	struct runqueue *rq = container_of(timer, struct runqueue, tick);
	struct task *t = current, *first;
	ktime_t now = ktime_get(), next;

	rq->tick_at = KTIME_NEVER;
	if (t == this_cpu()->idle_task)
		return;
	spin_lock(&rq->lock);
	t->sched.in_system = tick_hit_system();
	sched_account(rq, t, now);
	first = queue_first(&rq->queue);
	if (t->sched.policy == SCHED_RR && now - t->sched.slice_start >= SLICE)
		t->sched.vruntime = rq->rt_sequence++;
	if (first && sched_preempts(first, t, now))
		task_set_work(t, WORK_RESCHED);
	spin_unlock(&rq->lock);
	sched_balance(rq, now);
	loadavg_tick(now);
	if (first) {
		next = SLICE;
	} else {
		next = rq->tick_span;
		rq->tick_span = MIN(rq->tick_span * 2, TICK_LAST);
	}
	rq->tick_at = now + next;
	timer_arm(timer, rq->tick_at);
}

/* --- which CPU --- */

static void cpu_mark_idle(unsigned cpu, bool idle)
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
	u64 allowed = READ_ONCE(t->sched.affinity), idle;

	if (cpu_count == 1 || READ_ONCE(t->sched.on_cpu))
		return last;
	if (current->exiting && allowed >> this & 1 && !runqueue_this()->queue.count)
		return this;
	idle = READ_ONCE(idle_mask) & allowed;
	if (idle >> last & 1)
		return last;
	if (idle)
		return __builtin_ctzll(idle);
	if (!(allowed >> last & 1))
		return allowed >> this & 1 ? this : (unsigned)__builtin_ctzll(allowed);
	if (allowed >> this & 1 && runqueue_this()->queue.count <= runqueue_of(last)->queue.count)
		return this;
	return last;
}

/* t gets a place in rq's order. R of rq. */
static void sched_join(struct runqueue *rq, struct task *t, bool woken)
{
	u64 floor = rq->queue.min_vruntime - (woken ? SLEEPER_BONUS : 0);

	if (unlikely(t->sched.rt_priority))
		t->sched.vruntime = rq->rt_sequence++;
	else if ((s64)(t->sched.vruntime - floor) < 0)
		t->sched.vruntime = floor;
	queue_insert(&rq->queue, t);
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

/* Queues t, RUNNABLE and on no queue, on `cpu`. rq is that of t's CPU, locked; releases it. */
static void sched_enqueue(struct task *t, struct runqueue *rq, unsigned cpu, bool woken)
{
	struct runqueue *to = runqueue_of(cpu);

	while (rq != to) {
		t->sched.vruntime += READ_ONCE(to->queue.min_vruntime) - rq->queue.min_vruntime;
		t->sched.cpu = cpu;
		spin_unlock(&rq->lock);
		rq = to;
		spin_lock(&rq->lock);
		if (likely(sched_allowed(t, cpu)))
			break;
		cpu = __builtin_ctzll(READ_ONCE(t->sched.affinity)); /* it has just changed */
		to = runqueue_of(cpu);
	}
	sched_join(rq, t, woken);
	if (cpu == this_cpu()->id)
		sched_notice_local(rq, t);
	else
		sched_notice_remote(rq, cpu);
}

/* Takes one waiting task from a queue with more than `spare` of them to this CPU's queue. */
static bool sched_steal(struct runqueue *rq, u32 spare)
{
	struct runqueue *from = NULL;
	struct tree_node *n;
	unsigned me = this_cpu()->id;
	struct task *t = NULL;
	int looks = STEAL_LOOKS;

	for_each_cpu (i) {
		struct runqueue *other = runqueue_of(i);
		u32 count = READ_ONCE(other->queue.count);

		if (i != me && count > spare) {
			spare = count;
			from = other;
		}
	}
	if (!from)
		return false;
	spin_lock(&from->lock);
	for (n = tree_last(&from->queue.tasks); n && looks--; n = tree_prev(n)) {
		t = task_of_node(n);
		if (!READ_ONCE(t->sched.on_cpu) && sched_allowed(t, me))
			break;
		t = NULL;
	}
	if (!t) {
		spin_unlock(&from->lock);
		return false;
	}
	queue_remove(&from->queue, t);
	t->sched.vruntime += READ_ONCE(rq->queue.min_vruntime) - from->queue.min_vruntime;
	t->sched.cpu = me;
	spin_unlock(&from->lock);
	spin_lock(&rq->lock);
	sched_join(rq, t, false); /* a change of affinity meanwhile is seen when it is picked */
	spin_unlock(&rq->lock);
	return true;
}

/* From the tick of a busy CPU: evens out queues; wakes an idle CPU to take what waits here. */
static void sched_balance(struct runqueue *rq, ktime_t now)
{
	u64 idle;

	if (cpu_count == 1)
		return;
	idle = READ_ONCE(idle_mask);
	if (rq->queue.count && idle)
		smp_request(__builtin_ctzll(idle), CPU_REQ_RESCHED);
	if (now - rq->balanced < BALANCE_SPAN)
		return;
	rq->balanced = now;
	sched_steal(rq, rq->queue.count + 1);
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

	if (READ_ONCE(t->state) != TASK_SLEEPING)
		return false;
	rq = runqueue_lock_task(t);
	if (!__atomic_compare_exchange_n(&t->state, &expected, TASK_RUNNABLE, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED) ||
	    rq->running == t) {
		spin_unlock(&rq->lock);
		return expected == TASK_SLEEPING;
	}
	sched_enqueue(t, rq, sched_place(t), true);
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
	t->sched.vruntime = current->sched.vruntime;
	/* Whom vfork creates runs where its parent makes room at once. */
	if (!t->vfork_waiter || !sched_allowed(t, cpu))
		cpu = sched_place(t);
	spin_lock(&runqueue_this()->lock);
	sched_enqueue(t, runqueue_this(), cpu, false);
}

void sched_compare(unsigned cpu)
{
	if (cpu == this_cpu()->id)
		task_set_work(current, WORK_RESCHED);
	else
		smp_request(cpu, CPU_REQ_RESCHED);
}

void sched_set_affinity(struct task *t, u64 mask)
{
	struct runqueue *rq = runqueue_lock_task(t);
	bool running = rq->running == t;
	unsigned cpu = t->sched.cpu;

	WRITE_ONCE(t->sched.affinity, mask);
	if (mask >> cpu & 1) {
		spin_unlock(&rq->lock);
	} else if (t->sched.on_queue && !READ_ONCE(t->sched.on_cpu)) {
		queue_remove(&rq->queue, t);
		sched_enqueue(t, rq, __builtin_ctzll(mask), false);
	} else {
		spin_unlock(&rq->lock);
		if (t == current)
			schedule();
		else if (running)
			smp_request(cpu, CPU_REQ_RESCHED);
	}
}

/* --- switching --- */

static void sched_check_legal(const struct task *prev)
{
	BUG_IF(DEBUG && this_cpu()->spin_depth, "%s sleeps with %u spin locks held", prev->name,
	       this_cpu()->spin_depth);
	BUG_IF(DEBUG && prev->state != TASK_RUNNABLE && prev == this_cpu()->idle_task,
	       "the idle task of CPU %u sleeps", this_cpu()->id);
}

/* Who runs next; takes it from the queue and puts prev there if it stays runnable. R. */
static struct task *sched_choose(struct runqueue *rq, struct task *prev, ktime_t now)
{
	struct task *first = queue_first(&rq->queue), *idle = this_cpu()->idle_task;
	bool yielding = rq->yielding;

	rq->yielding = false;
	if (prev->state == TASK_RUNNABLE && prev != idle) {
		if (likely(sched_allowed(prev, this_cpu()->id))) {
			if (!first ||
			    (!sched_preempts(first, prev, now) &&
			     !(yielding && first->sched.rt_priority >= prev->sched.rt_priority)))
				return prev;
			queue_remove(&rq->queue, first);
			queue_insert(&rq->queue, prev);
			return first;
		}
		/* else sched_finish_switch() moves it */
	}
	if (!first)
		return idle;
	queue_remove(&rq->queue, first);
	return first;
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
		return;
	}
	if (prev->state == TASK_RUNNABLE)
		prev->sched.switches_involuntary++;
	else
		prev->sched.switches_voluntary++;
	rq->stats.switches++;
	rq->running = next;
	rq->previous = prev;
	next->sched.on_cpu = true;
	next->time_mark = next->sched.slice_start = now;
	spin_unlock(&rq->lock);
	sched_tick_arm(rq, tick);
	trace(TRACE_SWITCH, next->owner->id, next->tid);
	arch_switch(prev, next);
	sched_finish_switch();
}

void sched_finish_switch(void)
{
	struct runqueue *rq = runqueue_this();
	struct task *prev = rq->previous;
	bool dead = prev->state == TASK_DEAD;
	bool leaves = unlikely(!sched_allowed(prev, this_cpu()->id));

	if (unlikely(leaves)) {
		spin_lock(&rq->lock);
		leaves = prev->state == TASK_RUNNABLE && !prev->sched.on_queue &&
			 prev->sched.cpu == this_cpu()->id;
		__atomic_store_n(&prev->sched.on_cpu, false, __ATOMIC_RELEASE);
		if (leaves)
			sched_enqueue(prev, rq, __builtin_ctzll(prev->sched.affinity), false);
		else
			spin_unlock(&rq->lock);
	} else {
		__atomic_store_n(&prev->sched.on_cpu, false, __ATOMIC_RELEASE);
	}
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

	if (!rq->queue.count)
		return 0;
	if (current->sched.rt_priority) {
		spin_lock(&rq->lock);
		current->sched.vruntime = rq->rt_sequence++;
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
		if (!READ_ONCE(rq->queue.count) && !(cpu_count > 1 && sched_steal(rq, 0))) {
			__atomic_store_n(&cpu->idle, true, __ATOMIC_SEQ_CST);
			cpu_mark_idle(cpu->id, true);
			rcu_idle_enter();
			if (!READ_ONCE(rq->queue.count))
				arch_idle_wait();
			rcu_idle_exit();
			cpu_mark_idle(cpu->id, false);
			WRITE_ONCE(cpu->idle, false);
		}
		if (READ_ONCE(rq->queue.count))
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
	timer_init(&rq->tick, sched_tick_fire);
	rq->tick_at = KTIME_NEVER;
	task_init_kernel(t, "idle");
	snprintf(t->name, sizeof(t->name), "idle/%u", cpu->id);
	t->kstack_top = cpu->kstack_top;
	t->state = TASK_RUNNABLE;
	t->sched.cpu = cpu->id;
	t->sched.affinity = BIT(cpu->id);
	t->sched.on_cpu = true;
	rq->running = t;
	cpu->idle_task = t;
	cpu->task = t;
}
