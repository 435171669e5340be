/* SPDX-License-Identifier: MIT */
/*
 * rcu.c - read-copy-update by quiescent states (core/rcu.h).
 *
 * Grace periods are numbered. One is under way while gp_started != gp_done;
 * `pending` has a bit for each CPU that has not been quiescent since it began.
 * The CPU that clears the last bit ends it.
 *
 * Callbacks move through three lists of their CPU, a whole list at a time:
 *
 *	next  --callbacks_move-->  waiting (for the end of grace period wait_for)
 *	      --callbacks_move-->  rcu_done (global), which the thread "rcu" runs
 *
 * A CPU with callbacks asks for a timer interrupt (timer_poke) RCU_BATCH after
 * the first, and from then on every RCU_FORCE; rcu_tick() in it moves the lists,
 * and pushes CPUs that are late: with an interrupt, which is a quiescent state,
 * because the kernel is interrupted only outside of read sections (core/cpu.h).
 * So a grace period takes a few milliseconds, its cost is shared by all
 * callbacks of that time, and a CPU without callbacks does nothing.
 *
 * Idle CPUs: between rcu_idle_enter() and rcu_idle_exit() a CPU counts as
 * quiescent. Exit is a store with a full barrier before the first read of
 * anything protected; the starter reads the mark after a full barrier behind the
 * removal. So if it sees "idle", that CPU sees the removal.
 */
#include "core/rcu.h"

#include "arch/x86/smp.h"
#include "core/cpu.h"
#include "core/mutex.h"
#include "core/printk.h"
#include "core/task.h"
#include "core/time.h"

#define RCU_BATCH     (1 * NSEC_PER_MSEC)
#define RCU_FORCE     (2 * NSEC_PER_MSEC)
#define RCU_HURRY     (NSEC_PER_MSEC / 4) /* in place of it while somebody sleeps for the end */
#define RCU_RUN_CHUNK 32		  /* callbacks between two resched points */

struct rcu_list {
	struct rcu_head *first, **last; /* last NULL: not yet used */
};

/* This CPU's alone, but for idle. */
struct rcu_cpu {
	struct rcu_list next, waiting;
	u64 wait_for; /* grace period whose end `waiting` waits for */
	u64 seen;     /* grace period in which this CPU last cleared its bit */
	bool idle;    /* read by others */
};

static PERCPU(struct rcu_cpu, rcu_cpu);
static spinlock_t rcu_lock = SPINLOCK_INIT(RANK_RCU); /* G */
static u64 gp_started, gp_done;			      /* G; read without it */
static u64 gp_wanted;				      /* G: the highest number asked for */
static u64 pending;				      /* G */
static struct rcu_list rcu_done;		      /* G */
static bool rcu_urgent; /* somebody sleeps for a grace period: no batching */
static struct task *rcu_thread;
static struct waitq gp_waiters = WAITQ_INIT(gp_waiters);
static spinlock_t gp_wait_lock = SPINLOCK_INIT(RANK_WORK);

static inline bool list_is_empty(const struct rcu_list *l)
{
	return !l->first;
}

static inline void list_add(struct rcu_list *l, struct rcu_head *h)
{
	h->next = NULL;
	if (!l->first)
		l->last = &l->first;
	*l->last = h;
	l->last = &h->next;
}

/* All of `from` goes behind `to`. */
static void list_move(struct rcu_list *to, struct rcu_list *from)
{
	if (!from->first)
		return;
	if (!to->first)
		to->last = &to->first;
	*to->last = from->first;
	to->last = from->last;
	from->first = NULL;
}

#if DEBUG
void rcu_read_lock(void)
{
	if (current)
		current->rcu_depth++;
}

void rcu_read_unlock(void)
{
	BUG_IF(current && !current->rcu_depth--, "no read section");
}

static void check_no_reader(void)
{
	BUG_IF(!panic_active && current && current->rcu_depth,
	       "quiescent state inside %u read sections", current->rcu_depth);
}
#else
static inline void check_no_reader(void) {}
#endif

/* Begins the next grace period if one is wanted and none is under way. G held. */
static void gp_start(void)
{
	if (gp_started != gp_done || gp_wanted <= gp_done)
		return;
	for_each_cpu (i)
		pending |= BIT(i);
	WRITE_ONCE(gp_started, gp_started + 1);
}

/* The CPUs in mask have been quiescent. True if that ended a grace period. G held. */
static bool gp_report(u64 mask)
{
	bool ended = false;

	while (pending & mask) {
		pending &= ~mask;
		if (pending)
			break;
		WRITE_ONCE(gp_done, gp_started);
		ended = true;
		gp_start();
		mask = 0;
	}
	return ended;
}

/* Idle CPUs need not be asked. G held. */
static u64 idle_mask(void)
{
	u64 mask = 0;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for_each_cpu (i)
		if (READ_ONCE(percpu_of(rcu_cpu, i).idle))
			mask |= BIT(i);
	return mask;
}

void rcu_quiescent(void)
{
	struct rcu_cpu *c = &percpu_this(rcu_cpu);
	bool ended;

	check_no_reader();
	if (likely(c->seen == READ_ONCE(gp_started)))
		return;
	spin_lock(&rcu_lock);
	c->seen = gp_started;
	ended = gp_report(BIT(this_cpu()->id));
	spin_unlock(&rcu_lock);
	/* The scheduler may call us with its locks about to be taken: wake in the interrupt. */
	if (ended && READ_ONCE(rcu_urgent))
		timer_poke(0);
}

void rcu_idle_enter(void)
{
	rcu_quiescent();
	__atomic_store_n(&percpu_this(rcu_cpu).idle, true, __ATOMIC_RELEASE);
}

void rcu_idle_exit(void)
{
	if (percpu_this(rcu_cpu).idle)
		__atomic_store_n(&percpu_this(rcu_cpu).idle, false, __ATOMIC_SEQ_CST);
}

/* Asks for the first grace period that begins from now on; its number. G held. */
static u64 gp_request(void)
{
	u64 number = gp_started + 1;

	gp_wanted = MAX(gp_wanted, number);
	gp_start();
	return number;
}

/* The CPUs that hold up the grace period get an interrupt; idle ones are reported. True: it ended.
 */
static bool gp_force(void)
{
	bool ended;
	u64 late;

	spin_lock(&rcu_lock);
	ended = gp_report(idle_mask() & ~BIT(this_cpu()->id));
	late = pending & ~BIT(this_cpu()->id);
	spin_unlock(&rcu_lock);
	for_each_cpu (i)
		if (late & BIT(i))
			smp_request(i, CPU_REQ_RESCHED);
	return ended;
}

/* Moves this CPU's callbacks on. True if some are left that wait. */
static bool callbacks_move(struct rcu_cpu *c)
{
	bool wake = false;

	spin_lock(&rcu_lock);
	if (!list_is_empty(&c->waiting) && gp_done >= c->wait_for) {
		list_move(&rcu_done, &c->waiting);
		wake = true;
	}
	if (list_is_empty(&c->waiting) && !list_is_empty(&c->next)) {
		list_move(&c->waiting, &c->next);
		c->wait_for = gp_request();
	}
	spin_unlock(&rcu_lock);
	if (wake && rcu_thread)
		sched_wake(rcu_thread);
	return !list_is_empty(&c->waiting);
}

void rcu_tick(void)
{
	struct rcu_cpu *c = &percpu_this(rcu_cpu);
	bool waiting = false;

	if (!list_is_empty(&c->waiting) || !list_is_empty(&c->next)) {
		callbacks_move(c);
		rcu_quiescent(); /* we are in an interrupt: if a grace period has begun, this is one
				  */
		waiting = callbacks_move(c);
	}
	if (READ_ONCE(gp_started) != READ_ONCE(gp_done) && (waiting || READ_ONCE(rcu_urgent)))
		gp_force();
	if (waiting)
		waiting = callbacks_move(c);
	if (waiting)
		timer_poke(ktime_get() + (READ_ONCE(rcu_urgent) ? RCU_HURRY : RCU_FORCE));
	if (READ_ONCE(rcu_urgent)) {
		spin_lock(&gp_wait_lock);
		waitq_wake_all(&gp_waiters, 0);
		spin_unlock(&gp_wait_lock);
	}
}

void rcu_call(struct rcu_head *h, void (*fn)(struct rcu_head *h))
{
	struct rcu_cpu *c = &percpu_this(rcu_cpu);
	bool first = list_is_empty(&c->next);

	h->fn = fn;
	list_add(&c->next, h);
	if (first && list_is_empty(&c->waiting))
		timer_poke(ktime_get() + RCU_BATCH);
}

/* Sleeping for grace periods: one at a time is urgent for all. */
static unsigned urgent_count; /* gp_wait_lock */

static void urgent_begin(void)
{
	spin_lock(&gp_wait_lock);
	urgent_count++;
	WRITE_ONCE(rcu_urgent, true);
	spin_unlock(&gp_wait_lock);
}

static void urgent_end(void)
{
	spin_lock(&gp_wait_lock);
	WRITE_ONCE(rcu_urgent, --urgent_count != 0);
	spin_unlock(&gp_wait_lock);
}

void rcu_synchronize(void)
{
	u64 number;

	sleep_check(0);
	urgent_begin();
	spin_lock(&rcu_lock);
	number = gp_request();
	gp_report(BIT(this_cpu()->id)); /* who sleeps reads nothing */
	spin_unlock(&rcu_lock);
	spin_lock(&gp_wait_lock);
	while (READ_ONCE(gp_done) < number) {
		if (gp_force())
			continue;
		/* The deadline: whoever ends it may have missed that it is urgent. */
		waitq_sleep(&gp_waiters, &gp_wait_lock, SLEEP_DEVICE, ktime_get() + RCU_FORCE);
	}
	spin_unlock(&gp_wait_lock);
	urgent_end();
}

/* --- the thread --- */

static struct rcu_head *done_take(void)
{
	struct rcu_head *h;

	spin_lock(&rcu_lock);
	h = rcu_done.first;
	rcu_done.first = NULL;
	spin_unlock(&rcu_lock);
	return h;
}

static void rcu_thread_main(void *arg)
{
	unsigned n = 0;

	for (;;) {
		struct rcu_head *h, *next;

		sched_prepare_sleep();
		h = done_take();
		if (!h) {
			sched_sleep(KTIME_NEVER);
			continue;
		}
		sched_cancel_sleep();
		for (; h; h = next) {
			next = h->next;
			h->fn(h);
			if (++n % RCU_RUN_CHUNK == 0)
				resched_point();
		}
	}
}

void rcu_init(void) {}

void rcu_init_thread(void)
{
	if (kthread_create("rcu", rcu_thread_main, NULL, &rcu_thread))
		panic("rcu: no memory for the thread");
	sched_wake(rcu_thread);
}

/* --- rcu_drain: a marker behind what each CPU has queued --- */

static PERCPU(struct rcu_head, drain_marker);
static struct mutex drain_mutex =
	MUTEX_INIT(drain_mutex, RANK_MUTEX_LEAF); /* one drain at a time */
static u32 drain_left;				  /* markers that have not run; atomic */

static void drain_marker_run(struct rcu_head *h)
{
	__atomic_fetch_sub(&drain_left, 1, __ATOMIC_RELEASE);
	spin_lock(&gp_wait_lock);
	waitq_wake_all(&gp_waiters, 0);
	spin_unlock(&gp_wait_lock);
}

static void drain_post(void *arg)
{
	rcu_call(&percpu_this(drain_marker), drain_marker_run);
	timer_poke(0);
}

void rcu_drain(void)
{
	mutex_lock(&drain_mutex);
	drain_left = cpu_count;
	urgent_begin();
	smp_call_all(drain_post, NULL);
	spin_lock(&gp_wait_lock);
	while (__atomic_load_n(&drain_left, __ATOMIC_ACQUIRE))
		waitq_sleep(&gp_waiters, &gp_wait_lock, SLEEP_DEVICE, KTIME_NEVER);
	spin_unlock(&gp_wait_lock);
	urgent_end();
	mutex_unlock(&drain_mutex);
}
