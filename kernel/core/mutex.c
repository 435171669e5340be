/* SPDX-License-Identifier: MIT */
/*
 * mutex.c - sleeping locks with one owner (core/mutex.h).
 *
 * owner is the holding task, or NULL; bit 0 says that somebody is on the list,
 * so that the fast paths (one compare-and-swap between NULL and current) fail.
 * Everything else happens under waiters.lock (W):
 *
 *	NULL     --mutex_lock-->    task       fast
 *	task     --mutex_unlock-->  NULL       fast
 *	task     --mutex_slow-->    task | 1   a waiter goes on the list
 *	task | 1 --mutex_unlock-->  1          the first waiter is woken, stays listed
 *	                            next (| 1) or gets it, if it has waited for long
 *	1        --mutex_slow-->    task (| 1) a waiter or a newcomer, who comes first
 *
 * So a lock in demand does not wait for its next owner to be scheduled, and yet
 * nobody is passed over for longer than MUTEX_PATIENCE and one turn.
 *
 * Who waits lends the owner the CPU (sched_lend), so that a container does not stop
 * others by being slow, or out of time, while it holds a lock; the owner gives that
 * back when it leaves a lock with waiters, or on its way to user mode.
 *
 * Invariant, under W: bit 0 is set if and only if the list is not empty; if
 * owner is 1, the first waiter is awake or being woken.
 */
#include "core/mutex.h"

#include "core/errno.h"
#include "core/task.h"
#include "core/time.h"

#define MUTEX_WAITERS  1ul
#define MUTEX_SPINS    200 /* some 10 us */
#define MUTEX_PATIENCE (1 * NSEC_PER_MSEC)

struct mutex_waiter {
	struct list node; /* W */
	struct task *task;
	ktime_t since;	  /* when it began to wait */
	bool passed_over; /* W: others have been faster for MUTEX_PATIENCE */
};

static inline u64 owner_word(const struct mutex *m)
{
	return (u64)__atomic_load_n(&m->owner, __ATOMIC_RELAXED);
}

static inline bool owner_swap(struct mutex *m, u64 from, u64 to)
{
	struct task *expected = (struct task *)from;

	return __atomic_compare_exchange_n(&m->owner, &expected, (struct task *)to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline struct mutex_waiter *first_waiter(struct mutex *m)
{
	return list_empty(&m->waiters.waiters)
		       ? NULL
		       : list_first(&m->waiters.waiters, struct mutex_waiter, node);
}

static inline u64 waiters_bit(struct mutex *m)
{
	return list_empty(&m->waiters.waiters) ? 0 : MUTEX_WAITERS;
}

#if DEBUG
static const char *rank_names[RANK_SPIN] = {
	[RANK_NONE] = "mutex",
	[RANK_CONTAINER_ADMIN] = "CONTAINER_ADMIN",
	[RANK_EXEC] = "EXEC",
	[RANK_RENAME] = "RENAME",
	[RANK_MOUNT] = "MOUNT",
	[RANK_INODE] = "INODE",
	[RANK_FILE_POS] = "FILE_POS",
	[RANK_TTY_LOCK] = "TTY_LOCK",
	[RANK_PIPE] = "PIPE",
	[RANK_SOCKET] = "SOCKET",
	[RANK_ASPACE] = "ASPACE",
	[RANK_COWFS_DISKS] = "COWFS_DISKS",
	[RANK_COWFS_COMMIT] = "COWFS_COMMIT",
	[RANK_COWFS_SEAL] = "COWFS_SEAL",
	[RANK_COWFS_VOLUME] = "COWFS_VOLUME",
	[RANK_COWFS_META] = "COWFS_META",
	[RANK_COWFS_COUNTS] = "COWFS_COUNTS",
	[RANK_COWFS_IO] = "COWFS_IO",
	[RANK_MUTEX_LEAF] = "MUTEX_LEAF",
};

const char *rank_name(enum lock_rank rank)
{
	return rank < RANK_SPIN && rank_names[rank] ? rank_names[rank] : "mutex";
}

void sleeping_lock_check(enum lock_rank rank, const char *name, const void *lock, bool nested)
{
	sleep_check(0);
	if (panic_active || !current || rank == RANK_NONE)
		return;
	BUG_IF(rank >= RANK_SPIN, "%s: rank %u is a spin lock's", name, rank);
	BUG_IF(current->rcu_depth, "taking %s %p inside an RCU read section", name, lock);
	for (struct mutex *held = current->mutexes; held; held = held->outer) {
		bool ok = nested ? held->rank <= rank : held->rank < rank;
		if (!ok && held->rank != RANK_NONE)
			panic("lock order: %s %p is taken while %s %p, taken at %pS, is held", name,
			      lock, held->name, held, held->place);
	}
	for (unsigned r = rank + nested; r < RANK_SPIN; r++)
		if (current->rwmutexes[r])
			panic("lock order: %s %p is taken while a %s is held", name, lock,
			      rank_name(r));
}

static void mutex_check(struct mutex *m, bool nested)
{
	if (current && mutex_held(m) && !panic_active)
		panic("lock: %s %p is taken twice, first at %pS", m->name, m, m->place);
	sleeping_lock_check(m->rank, m->name, m, nested);
}

static void mutex_note_acquired(struct mutex *m, const void *place)
{
	if (!current)
		return;
	m->place = place;
	m->outer = current->mutexes;
	current->mutexes = m;
}

static void mutex_note_release(struct mutex *m)
{
	struct mutex **link;

	if (!current || panic_active)
		return;
	BUG_IF(!mutex_held(m), "%s %p is not held by this task but by %p", m->name, m, m->owner);
	for (link = &current->mutexes; *link != m; link = &(*link)->outer)
		BUG_IF(!*link, "%s %p is not on this task's chain", m->name, m);
	*link = m->outer;
	m->outer = NULL;
}

void mutex_print_held(const struct task *t)
{
	unsigned n = 0;

	for (struct mutex *m = t ? t->mutexes : NULL; m && n < RANK_COUNT; m = m->outer, n++)
		printk(LOG_EMERG, "  task %u holds %s %p, taken at %pS\n", t->tid,
		       m->name ?: "mutex", m, m->place);
}

#else
static inline void mutex_check(struct mutex *m, bool nested) {}
static inline void mutex_note_acquired(struct mutex *m, const void *place) {}
static inline void mutex_note_release(struct mutex *m) {}
void mutex_print_held(const struct task *t) {}
#endif

void mutex_init(struct mutex *m, enum lock_rank rank)
{
	m->owner = NULL;
	waitq_init(&m->waiters);
#if DEBUG
	m->rank = rank;
	m->name = rank_name(rank);
	m->outer = NULL;
#endif
}

bool mutex_held(const struct mutex *m)
{
	return panic_active || (owner_word(m) & ~MUTEX_WAITERS) == (u64)current;
}

/* Takes m if it has no owner; under W, where `1` and NULL cannot turn into each other. */
static bool mutex_take_free(struct mutex *m)
{
	u64 word = owner_word(m);

	return !(word & ~MUTEX_WAITERS) && owner_swap(m, word, (u64)current | waiters_bit(m));
}

/* Sets bit 0, so that the owner's unlock comes to W. False: there is no owner any more. */
static bool mutex_mark(struct mutex *m)
{
	for (;;) {
		u64 word = owner_word(m);

		if (!(word & ~MUTEX_WAITERS))
			return false;
		if (word & MUTEX_WAITERS || owner_swap(m, word, word | MUTEX_WAITERS))
			return true;
	}
}

/* Gives up waiting (W held): the wake-up that was ours goes to the next, if m is free. */
static void mutex_abandon(struct mutex *m, struct mutex_waiter *w)
{
	u64 word;

	list_remove(&w->node);
	do {
		word = owner_word(m);
	} while (!owner_swap(m, word, (word & ~MUTEX_WAITERS) | waiters_bit(m)));
	if (!(word & ~MUTEX_WAITERS) && first_waiter(m))
		sched_wake(first_waiter(m)->task);
}

/* One turn of waiting, W held at both ends. 1: m is ours; 0: look again; -EINTR: abandoned. */
static int mutex_wait_turn(struct mutex *m, struct mutex_waiter *w, bool killable)
{
	u64 owner = owner_word(m) & ~MUTEX_WAITERS;

	if (owner && owner == (u64)current)
		return 1; /* handed over: mutex_pass_on took us off the list */
	if (!owner && w == first_waiter(m)) {
		list_remove(&w->node);
		BUG_IF(!mutex_take_free(m), "owner=%lx", owner_word(m));
		return 1;
	}
	w->passed_over = w == first_waiter(m) && ktime_get() - w->since > MUTEX_PATIENCE;
	if (killable && kill_pending()) {
		mutex_abandon(m, w);
		return -EINTR;
	}
	if (owner) /* it cannot give it up, and so not end, without W */
		sched_lend((struct task *)owner);
	sched_prepare_sleep();
	spin_unlock(&m->waiters.lock);
	/* After the state is set: either we see the kill, or the killer sees us SLEEPING. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (killable && kill_pending())
		sched_cancel_sleep();
	else
		sched_sleep(KTIME_NEVER);
	spin_lock(&m->waiters.lock);
	return 0;
}

/*
 * Waits a little without sleeping while the owner runs on another CPU: it will
 * mostly be done sooner than a sleeper can be woken. True: m is ours. (The owner
 * may end meanwhile; the memory of tasks stays one until a grace period later.)
 */
static bool mutex_spin(struct mutex *m)
{
	if (cpu_count == 1)
		return false;
	for (unsigned turns = 0; turns < MUTEX_SPINS; turns++) {
		u64 word = owner_word(m);
		const struct task *owner = (const struct task *)(word & ~MUTEX_WAITERS);

		if (!word && owner_swap(m, 0, (u64)current))
			return true;
		if (word == MUTEX_WAITERS || (owner && !READ_ONCE(owner->sched.on_cpu)) ||
		    READ_ONCE(current->work) & WORK_RESCHED)
			return false;
		cpu_spin_wait();
	}
	return false;
}

static __noinline int mutex_slow(struct mutex *m, bool killable)
{
	struct mutex_waiter w = { .task = current };
	int turn = 0;

	if (mutex_spin(m))
		return 0;
	w.since = ktime_get();
	spin_lock(&m->waiters.lock);
	while (!mutex_mark(m)) {
		if (mutex_take_free(m)) {
			spin_unlock(&m->waiters.lock);
			return 0;
		}
	}
	list_append(&m->waiters.waiters, &w.node);
	while (!turn)
		turn = mutex_wait_turn(m, &w, killable);
	spin_unlock(&m->waiters.lock);
	return MIN(turn, 0);
}

static inline int mutex_lock_common(struct mutex *m, bool nested, bool killable, const void *place)
{
	int err = 0;

	mutex_check(m, nested);
	if (unlikely(!owner_swap(m, 0, (u64)current)))
		err = mutex_slow(m, killable);
	if (!err)
		mutex_note_acquired(m, place);
	return err;
}

void mutex_lock(struct mutex *m)
{
	(void)mutex_lock_common(m, false, false, __builtin_return_address(0));
}

void mutex_lock_nested(struct mutex *m)
{
	(void)mutex_lock_common(m, true, false, __builtin_return_address(0));
}

int mutex_lock_killable(struct mutex *m)
{
	return mutex_lock_common(m, false, true, __builtin_return_address(0));
}

bool mutex_trylock(struct mutex *m)
{
	if (!owner_swap(m, 0, (u64)current))
		return false;
	mutex_note_acquired(m, __builtin_return_address(0));
	return true;
}

/*
 * The owner leaves and somebody waits: hands over, or frees m and wakes the first.
 * False: nobody waits after all. (m may be gone as soon as it has no owner, so
 * the caller then frees it by its last access.)
 */
static __noinline bool mutex_pass_on(struct mutex *m)
{
	struct mutex_waiter *w;
	u64 next = 0;

	sched_lend_end();
	spin_lock(&m->waiters.lock);
	w = first_waiter(m);
	if (w) {
		if (w->passed_over) {
			list_remove(&w->node);
			next = (u64)w->task;
		}
		__atomic_store_n(&m->owner, (struct task *)(next | waiters_bit(m)),
				 __ATOMIC_RELEASE);
		sched_wake(w->task);
	}
	spin_unlock(&m->waiters.lock);
	return w;
}

void mutex_unlock(struct mutex *m)
{
	mutex_note_release(m);
	while (unlikely(!owner_swap(m, (u64)current, 0)))
		if (mutex_pass_on(m))
			return;
}
