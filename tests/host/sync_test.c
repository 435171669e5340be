/* SPDX-License-Identifier: MIT */
/*
 * sync_test.c - wait queues, mutexes, read-write mutexes, timers and RCU of
 * kernel/core, with several CPUs at once. A lost wake-up shows as a hang.
 */
#include "core/errno.h"
#include "core/mutex.h"
#include "core/rcu.h"
#include "core/task.h"
#include "core/time.h"
#include "core/work.h"
#include "tests/host/machine.h"

enum { CPUS = 6, ITEMS = 4000 };

/* --- a bounded buffer --- */

static spinlock_t box_lock = SPINLOCK_INIT(RANK_DEVICE);
static struct waitq box_room = WAITQ_INIT(box_room), box_full = WAITQ_INIT(box_full);
static unsigned box_items, box_taken, interrupted, timed_out;
static bool box_exclusive;

static int box_wait(struct waitq *q, unsigned cpu)
{
	ktime_t deadline = machine_random() % 4 ? KTIME_NEVER : ktime_get() + 200000;
	int err = box_exclusive ? waitq_sleep_exclusive(q, &box_lock, SLEEP_INTERRUPTIBLE, deadline)
				: waitq_sleep(q, &box_lock, SLEEP_INTERRUPTIBLE, deadline);

	if (err == -ERESTARTSYS) {
		interrupted++;
		task_clear_work(current, WORK_SIGNAL | WORK_KILLED);
	}
	timed_out += err == -ETIMEDOUT;
	return err;
}

static void box_put(unsigned cpu)
{
	spin_lock(&box_lock);
	while (box_items >= 2)
		box_wait(&box_room, cpu);
	box_items++;
	waitq_wake(&box_full, 1, 0);
	spin_unlock(&box_lock);
}

static void box_take(unsigned cpu)
{
	spin_lock(&box_lock);
	while (!box_items)
		box_wait(&box_full, cpu);
	box_items--;
	box_taken++;
	waitq_wake(&box_room, 1, 0);
	spin_unlock(&box_lock);
}

static void box_run(unsigned cpu)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		if (cpu % 2)
			box_put(cpu);
		else
			box_take(cpu);
		if (machine_random() % 64 == 0)
			machine_send_signal(machine_random() % CPUS);
		machine_user();
	}
}

static void test_waitq(bool exclusive)
{
	box_taken = interrupted = timed_out = 0;
	box_exclusive = exclusive;
	machine_run(CPUS, box_run);
	ok(box_taken == CPUS / 2 * ITEMS && !box_items && !waitq_active(&box_full) &&
		   !waitq_active(&box_room),
	   "waitq%s: all items went through (%u sleeps interrupted, %u timed out)",
	   exclusive ? " exclusive" : "", interrupted, timed_out);
}

/* --- mutexes --- */

static struct mutex mutex = MUTEX_INIT(mutex, RANK_INODE);
static struct waitq mutex_queue = WAITQ_INIT(mutex_queue);
static u64 guarded, killed;

static void mutex_run(unsigned cpu)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		if (i % 8 == 0) {
			if (mutex_lock_killable(&mutex)) {
				task_clear_work(current, WORK_SIGNAL | WORK_KILLED);
				__atomic_fetch_add(&killed, 1, __ATOMIC_RELAXED);
				i--;
				continue;
			}
		} else if (i % 8 != 1 || !mutex_trylock(&mutex)) {
			mutex_lock(&mutex);
		}
		must(mutex_held(&mutex), "held");
		u64 old = READ_ONCE(guarded);
		if (i % 16 == 3) /* sleep with it, as for disk */
			machine_user();
		if (i % 64 == 5)
			(void)waitq_sleep_mutex(&mutex_queue, &mutex, SLEEP_DEVICE,
						ktime_get() + 1000),
				old = READ_ONCE(guarded);
		WRITE_ONCE(guarded, old + 1);
		if (i % 64 == 9)
			waitq_wake_all(&mutex_queue, 0);
		mutex_unlock(&mutex);
		if (machine_random() % 64 == 0)
			machine_send_signal(machine_random() % CPUS);
		machine_user();
	}
}

static void test_mutex(void)
{
	machine_run(CPUS, mutex_run);
	ok(guarded == CPUS * ITEMS && !mutex.owner, "mutex: excludes (%lu waits killed)", killed);
}

static struct rwmutex rw;
static u64 pair[2], rw_killed;

static void rwmutex_run(unsigned cpu)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		if (machine_random() % 4) {
			rwmutex_read_lock(&rw);
			must(READ_ONCE(pair[0]) == READ_ONCE(pair[1]), "no writer beside a reader");
			rwmutex_read_unlock(&rw);
		} else if (machine_random() % 2) {
			if (rwmutex_write_lock_killable(&rw)) {
				task_clear_work(current, WORK_SIGNAL | WORK_KILLED);
				__atomic_fetch_add(&rw_killed, 1, __ATOMIC_RELAXED);
				continue;
			}
			WRITE_ONCE(pair[0], pair[0] + 1);
			machine_user();
			WRITE_ONCE(pair[1], pair[1] + 1);
			rwmutex_write_unlock(&rw);
		} else {
			rwmutex_write_lock(&rw);
			must(rwmutex_write_held(&rw), "held");
			WRITE_ONCE(pair[0], pair[0] + 1);
			WRITE_ONCE(pair[1], pair[1] + 1);
			rwmutex_write_unlock(&rw);
		}
		if (machine_random() % 64 == 0)
			machine_send_signal(machine_random() % CPUS);
		machine_user();
	}
}

static void test_rwmutex(void)
{
	rwmutex_init(&rw, RANK_ASPACE);
	machine_run(CPUS, rwmutex_run);
	ok(!rw.holders && pair[0] == pair[1] && pair[0], "rwmutex: excludes (%lu waits killed)",
	   rw_killed);
}

/* --- timers --- */

enum { TIMERS = 12 };
static struct timed {
	struct timer timer;
	spinlock_t lock;
	bool allowed; /* may fire */
	u64 fired;
} timed[TIMERS];

static void timed_fire(struct timer *t)
{
	struct timed *x = container_of(t, struct timed, timer);

	must(READ_ONCE(x->allowed), "no timer fires after timer_cancel_sync");
	x->fired++;
}

static void timer_run(unsigned cpu)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		struct timed *x = &timed[machine_random() % TIMERS];
		spin_lock(&x->lock);
		if (machine_random() % 3) {
			WRITE_ONCE(x->allowed, true);
			timer_arm(&x->timer, ktime_get() + machine_random() % 40000);
		} else {
			timer_cancel_sync(&x->timer);
			WRITE_ONCE(x->allowed, false);
		}
		spin_unlock(&x->lock);
		for (unsigned n = 0; n < 8; n++)
			machine_user();
	}
}

static void timer_cleanup(unsigned cpu)
{
	if (cpu == 0)
		for (unsigned i = 0; i < TIMERS; i++)
			timer_cancel_sync(&timed[i].timer);
}

static ktime_t due;
static bool early;

static void due_fire(struct timer *t)
{
	early |= ktime_get() < due;
	due = 0;
}

static void test_timer_order(void)
{
	struct timer t;

	timer_init(&t, due_fire);
	for (unsigned i = 0; i < 200; i++) {
		due = ktime_get() + machine_random() % 100000;
		timer_arm(&t, due);
		while (READ_ONCE(due))
			machine_user();
	}
	ok(!early, "timers: none fires early");
	timer_arm(&t, ktime_get() + NSEC_PER_SEC);
	ok(timer_cancel(&t) && !timer_cancel(&t) && timer_next_expiry() == KTIME_NEVER,
	   "timers: cancel says whether");
}

enum { CROWD = 1000, CROWD_MAX = 64 };
static unsigned crowd_fired, crowd_at_once;

static void crowd_fire(struct timer *t)
{
	crowd_fired++;
	crowd_at_once++;
}

/* Many that are due at one instant: an interrupt runs some, in order, and the rest is not forgotten. */
static void test_timer_crowd(void)
{
	static struct timer crowd[CROWD];
	ktime_t at = ktime_get();
	unsigned interrupts = 0, most = 0;

	for (unsigned i = 0; i < CROWD; i++) {
		timer_init(&crowd[i], crowd_fire);
		timer_arm(&crowd[i], at);
	}
	while (crowd_fired < CROWD) {
		unsigned before = crowd_fired;

		crowd_at_once = 0;
		machine_user();
		most = crowd_at_once > most ? crowd_at_once : most;
		interrupts += crowd_fired != before;
		must(crowd[crowd_fired - 1].armed == false &&
			     (crowd_fired == CROWD || crowd[crowd_fired].armed),
		     "they run in the order in which they were armed");
	}
	ok(most <= CROWD_MAX && interrupts >= CROWD / CROWD_MAX &&
		   timer_next_expiry() == KTIME_NEVER,
	   "timers: of a crowd at most %u run in one interrupt, all in %u", most, interrupts);
}

static void test_timers(void)
{
	u64 fired = 0;

	for (unsigned i = 0; i < TIMERS; i++) {
		timer_init(&timed[i].timer, timed_fire);
		spin_init(&timed[i].lock, RANK_WAITQ);
	}
	machine_run(CPUS, timer_run);
	machine_run(CPUS, timer_cleanup);
	for (unsigned i = 0; i < TIMERS; i++)
		fired += timed[i].fired;
	ok(fired > 100, "timers: %lu fired, none after its end", fired);
}

/* --- RCU: ASan sees a reader of something that was freed too early --- */

struct thing {
	struct rcu_head rcu;
	u64 a, b;
};
static struct thing *things[4];
static spinlock_t things_lock = SPINLOCK_INIT(RANK_DEVICE);
static u64 frees;

void *kmalloc(size_t size, u32 flags);
void kfree(const void *p);

static void thing_free(struct rcu_head *h)
{
	struct thing *t = container_of(h, struct thing, rcu);

	t->a = 0;
	__atomic_fetch_add(&frees, 1, __ATOMIC_RELAXED);
	kfree(t);
}

static void thing_replace(unsigned i)
{
	struct thing *t = kmalloc(sizeof(*t), 0), *old;

	t->a = machine_random();
	t->b = ~t->a;
	spin_lock(&things_lock);
	old = things[i];
	rcu_assign(things[i], t);
	spin_unlock(&things_lock);
	if (old)
		rcu_call(&old->rcu, thing_free);
}

static void rcu_run(unsigned cpu)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		rcu_read_lock();
		for (unsigned n = 0; n < 20; n++) {
			struct thing *t = rcu_dereference(things[machine_random() % 4]);
			must(!t || t->b == ~t->a, "a reader sees whole things");
		}
		rcu_read_unlock();
		if (machine_random() % 4 == 0)
			thing_replace(machine_random() % 4);
		if (cpu == 1 && i % 512 == 0)
			rcu_synchronize();
		if (machine_random() % 8 == 0) {
			rcu_quiescent(); /* as a task switch would */
			machine_user();
		}
	}
	if (cpu == 0)
		rcu_drain();
}

static void rcu_finish(unsigned cpu)
{
	if (cpu)
		return;
	for (unsigned i = 0; i < 4; i++) {
		rcu_call(&things[i]->rcu, thing_free);
		things[i] = NULL;
	}
	rcu_drain();
}

static void test_rcu(void)
{
	machine_run(CPUS, rcu_run);
	machine_run(CPUS, rcu_finish);
	ok(frees > 1000 && !machine_live, "rcu: %lu things freed, none too early, %ld left", frees,
	   machine_live);
}

/* --- work --- */

static struct work works[8];
static u64 works_done;

static void work_fn(struct work *w)
{
	__atomic_fetch_add(&works_done, 1, __ATOMIC_RELAXED);
}

static void work_run(unsigned cpu)
{
	for (unsigned i = 0; i < ITEMS / 4; i++) {
		u64 before = __atomic_load_n(&works_done, __ATOMIC_RELAXED);
		work_queue(&works[machine_random() % 8]);
		if (i % 64 == 0) {
			work_drain();
			must(__atomic_load_n(&works_done, __ATOMIC_RELAXED) > before, "drained");
		}
		machine_user();
	}
}

static void test_work(void)
{
	for (unsigned i = 0; i < 8; i++)
		work_init(&works[i], work_fn);
	machine_run(CPUS, work_run);
	work_drain();
	ok(works_done > 10, "work: %lu items run, drains wait for them", works_done);
}

int main(void)
{
	machine_init();
	rcu_init_thread();
	work_init_thread();
	test_waitq(false);
	test_waitq(true);
	test_mutex();
	test_rwmutex();
	test_timer_order();
	test_timer_crowd();
	test_timers();
	test_rcu();
	test_work();
	return tap_end();
}
