/* SPDX-License-Identifier: MIT */
/*
 * futex.c - waiting on a word of user memory (man 2 futex; Franke, Russell and
 * Kirkwood, "Fuss, Futexes and Furwocks", 2002).
 *
 * A waiter stands in the hash bucket of its key. The key of memory that only
 * one address space can see is (address space, address); of shared memory,
 * (page-cache mapping, byte offset), so that processes meet wherever they have
 * mapped it. Private futexes skip the look-up of the page.
 *
 * No wake-up is lost: the waiter compares the word under its bucket's lock
 * before it queues, the waker changes the word before it takes that lock.
 *
 * A key may name a mapping that has died meanwhile (another thread unmapped it):
 * then a waiter can be woken for nothing, which futex(2) allows.
 */
#include "proc/futex.h"
#include "proc/process.h"
#include "arch/x86/uaccess.h"
#include "lib/hash.h"
#include "lib/list.h"
#include "lib/string.h"
#include "mm/aspace.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/process.h"
#include "proc/sigtimer.h"
#include "syscalls.h"

#define FUTEX_HASH_BITS	 10
#define FUTEX_BITSET_ANY 0xffffffffu

struct futex_key {
	const void *object; /* struct aspace or struct mapping */
	u64 offset;
};

struct bucket {
	spinlock_t lock; /* B; RANK_FUTEX; two of them: lower address first */
	struct list waiters;
} __cacheline;

struct futex_waiter {	       /* on the sleeper's stack */
	struct list node;      /* B */
	struct futex_key key;  /* B */
	struct bucket *bucket; /* where it stands: changes by requeue, under both locks */
	struct task *task;
	u32 bitset;
	bool woken; /* B; set as the waker's last access */
};

static struct bucket *buckets;

void futex_init(void)
{
	buckets = kmalloc(sizeof(*buckets) << FUTEX_HASH_BITS, KM_ZERO);
	BUG_ON(!buckets);
	for (unsigned i = 0; i < 1u << FUTEX_HASH_BITS; i++) {
		spin_init(&buckets[i].lock, RANK_FUTEX);
		list_init(&buckets[i].waiters);
	}
}

/* --- keys and buckets --- */

/* -EINVAL: not aligned; -EFAULT. write: the caller means to have changed the word, so it must be
 * writable. */
static int futex_key(uaddr_t address, bool shared, bool write, struct futex_key *key)
{
	struct mapping *file;
	u64 offset;

	if (address % 4)
		return -EINVAL;
	if (!user_range_ok(address, 4))
		return -EFAULT;
	*key = (struct futex_key){ current->aspace, address };
	if (!shared)
		return 0;
	if (aspace_object(current->aspace, address, write, &file, &offset))
		return -EFAULT;
	if (file)
		*key = (struct futex_key){ file, offset };
	return 0;
}

static bool key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

static struct bucket *bucket_of(const struct futex_key *k)
{
	return &buckets[hash_u64((u64)k->object ^ k->offset * 0x9e3779b97f4a7c15ull,
				 FUTEX_HASH_BITS)];
}

static void bucket_lock_both(struct bucket *a, struct bucket *b)
{
	if (a > b)
		return bucket_lock_both(b, a);
	spin_lock(&a->lock);
	if (a != b)
		spin_lock_nested(&b->lock);
}

static void bucket_unlock_both(struct bucket *a, struct bucket *b)
{
	spin_unlock(&a->lock);
	if (a != b)
		spin_unlock(&b->lock);
}

/* --- waking: the bucket's lock is held, for at most WAKE_STEP of them --- */
#define WAKE_STEP 64

static void waiter_wake(struct futex_waiter *w)
{
	struct task *t = w->task;

	list_remove(&w->node);
	/* From here on w may be gone; the task itself is kept by RCU. */
	__atomic_store_n(&w->woken, true, __ATOMIC_RELEASE);
	sched_wake(t);
}

static u32 bucket_wake(struct bucket *b, const struct futex_key *key, u32 n, u32 bitset)
{
	struct futex_waiter *w, *next;
	u32 woken = 0;

	list_for_each_safe (w, next, &b->waiters, node) {
		if (woken == n)
			break;
		if (!key_equal(&w->key, key) || !(w->bitset & bitset))
			continue;
		waiter_wake(w);
		woken++;
	}
	return woken;
}

int futex_wake(uaddr_t address, bool shared, u32 n, u32 bitset)
{
	struct futex_key key;
	struct bucket *b;
	u32 woken = 0, step, now;
	int err = futex_key(address, shared, true, &key);

	if (err)
		return err;
	if ((s32)n < 1)
		n = 1; /* as Linux has it */
	b = bucket_of(&key);
	do {
		step = MIN(n - woken, (u32)WAKE_STEP);
		spin_lock(&b->lock);
		now = bucket_wake(b, &key, step, bitset);
		spin_unlock(&b->lock);
		woken += now;
		resched_point();
	} while (now == WAKE_STEP && woken < n);
	return woken;
}

/* --- waiting --- */

/* Locks the bucket in which w stands now. */
static struct bucket *waiter_lock(struct futex_waiter *w)
{
	for (;;) {
		struct bucket *b = READ_ONCE(w->bucket);
		spin_lock(&b->lock);
		if (b == w->bucket)
			return b;
		spin_unlock(&b->lock);
	}
}

/* Queues w if the word still holds `expected`: 0, -EAGAIN, -EFAULT, -EINVAL. */
static int futex_queue(struct futex_waiter *w, uaddr_t address, bool shared, u32 expected)
{
	u32 value;
	int err;

	for (;;) {
		err = futex_key(address, shared, false, &w->key);
		if (err)
			return err;
		w->bucket = bucket_of(&w->key);
		spin_lock(&w->bucket->lock);
		err = user_load_u32_nofault(address, &value);
		if (!err)
			break;
		spin_unlock(&w->bucket->lock);
		err = user_load_u32(address, &value); /* brings it in */
		if (err)
			return err;
	}
	if (value == expected)
		list_append(&w->bucket->waiters, &w->node);
	spin_unlock(&w->bucket->lock);
	return value == expected ? 0 : -EAGAIN;
}

/* Sleeps until w is woken: 0, -ETIMEDOUT, -ERESTARTSYS. */
static int futex_sleep(struct futex_waiter *w, ktime_t deadline)
{
	struct bucket *b;
	bool late = false;

	for (;;) {
		sched_prepare_sleep();
		if (READ_ONCE(w->woken) || signal_pending()) {
			sched_cancel_sleep();
			break;
		}
		late = sched_sleep(deadline);
		if (late)
			break;
	}
	b = waiter_lock(w);
	list_remove(&w->node);
	spin_unlock(&b->lock);
	if (w->woken)
		return 0;
	return late ? -ETIMEDOUT : -ERESTARTSYS;
}

/* arg: 0 address, 1 expected value, 2 deadline, 3 bitset, 4 shared */
static s64 futex_wait(struct restart *r)
{
	struct futex_waiter w = { .task = current, .bitset = r->arg[3] };
	ktime_t deadline = r->arg[2];
	int err;

	list_init(&w.node);
	err = futex_queue(&w, r->arg[0], r->arg[4], r->arg[1]);
	if (err)
		return err;
	err = futex_sleep(&w, deadline);
	if (err != -ERESTARTSYS || deadline == KTIME_NEVER)
		return err;
	r->fn = futex_wait;
	return -ERESTART_RESTARTBLOCK;
}

/* --- requeueing --- */

/* Wakes n_wake and moves n_move more to the second key: how many of both. */
static s64 futex_requeue(uaddr_t from, uaddr_t to, bool shared, u32 n_wake, u32 n_move,
			 const u32 *expected)
{
	struct futex_waiter *w, *next;
	struct futex_key k1, k2;
	struct bucket *b1, *b2;
	u32 woken = 0, moved = 0, value;
	int err;

again:
	err = futex_key(from, shared, false, &k1);
	if (!err)
		err = futex_key(to, shared, true, &k2);
	if (err)
		return err;
	b1 = bucket_of(&k1);
	b2 = bucket_of(&k2);
	bucket_lock_both(b1, b2);
	if (expected && user_load_u32_nofault(from, &value)) {
		bucket_unlock_both(b1, b2);
		if (user_load_u32(from, &value))
			return -EFAULT;
		goto again;
	}
	if (expected && value != *expected) {
		bucket_unlock_both(b1, b2);
		return -EAGAIN;
	}
	list_for_each_safe (w, next, &b1->waiters, node) {
		if (!key_equal(&w->key, &k1))
			continue;
		if (woken < n_wake) {
			waiter_wake(w);
			woken++;
		} else if (moved < n_move) {
			w->key = k2;
			moved++;
			if (b1 == b2) /* it keeps its place in the list that we walk */
				continue;
			list_remove(&w->node);
			WRITE_ONCE(w->bucket, b2);
			list_append(&b2->waiters, &w->node);
		} else {
			break;
		}
	}
	bucket_unlock_both(b1, b2);
	return woken + moved; /* also for FUTEX_REQUEUE, whatever the man page says */
}

/* --- FUTEX_WAKE_OP --- */

static int wake_op_apply(u32 op, u32 old, u32 *new)
{
	s32 arg = (s32)(op << 8) >> 20;

	if (op & 0x80000000u) /* FUTEX_OP_OPARG_SHIFT */
		arg = 1 << (arg & 31);
	switch (op >> 28 & 7) {
	case 0:
		*new = arg;
		return 0;
	case 1:
		*new = old + arg;
		return 0;
	case 2:
		*new = old | arg;
		return 0;
	case 3:
		*new = old & ~arg;
		return 0;
	case 4:
		*new = old ^ arg;
		return 0;
	}
	return -ENOSYS;
}

static int wake_op_compare(u32 op, u32 old)
{
	s32 arg = (s32)(op << 20) >> 20, v = old;

	switch (op >> 24 & 15) {
	case 0:
		return v == arg;
	case 1:
		return v != arg;
	case 2:
		return v < arg;
	case 3:
		return v <= arg;
	case 4:
		return v > arg;
	case 5:
		return v >= arg;
	}
	return -ENOSYS;
}

static s64 futex_wake_op(uaddr_t a1, uaddr_t a2, bool shared, u32 n1, u32 n2, u32 op)
{
	u32 old, new, seen;
	int err, woken, second;

	if (a2 % 4)
		return -EINVAL;
	do {
		err = user_load_u32(a2, &old);
		if (!err)
			err = wake_op_apply(op, old, &new);
		if (!err)
			err = user_cmpxchg_u32(a2, old, new, &seen);
		if (err)
			return err;
	} while (seen != old && !signal_pending());
	if (seen != old)
		return -ERESTARTNOINTR;
	second = wake_op_compare(op, old);
	if (second < 0)
		return second;
	woken = futex_wake(a1, shared, n1, FUTEX_BITSET_ANY);
	if (woken < 0 || !second)
		return woken;
	second = futex_wake(a2, shared, n2, FUTEX_BITSET_ANY);
	return second < 0 ? second : woken + second;
}

/* --- the call --- */

enum {
	FUTEX_WAIT,
	FUTEX_WAKE,
	FUTEX_FD,
	FUTEX_REQUEUE,
	FUTEX_CMP_REQUEUE,
	FUTEX_WAKE_OP,
	FUTEX_WAIT_BITSET = 9,
	FUTEX_WAKE_BITSET = 10,
};
#define FUTEX_PRIVATE_FLAG   128
#define FUTEX_CLOCK_REALTIME 256

static s64 futex_wait_call(uaddr_t address, int op, u32 value, uaddr_t timeout, u32 bitset)
{
	bool absolute = (op & 127) == FUTEX_WAIT_BITSET;
	s32 clock = op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	ktime_t deadline = KTIME_NEVER;
	s64 ns;
	int err;

	if (!bitset)
		return -EINVAL;
	if (timeout) {
		err = timespec_from_user(timeout, &ns);
		if (!err)
			err = clock_deadline(clock, ns, absolute, &deadline);
		if (err)
			return err;
	}
	current->restart = (struct restart){
		.arg = { address, value, deadline, bitset, !(op & FUTEX_PRIVATE_FLAG) },
	};
	return futex_wait(&current->restart);
}

s64 sys_futex(uaddr_t address, int op, u32 value, uaddr_t timeout, uaddr_t address2, u32 value3)
{
	bool shared = !(op & FUTEX_PRIVATE_FLAG);
	int cmd = op & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	u32 value2 = timeout;

	if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	switch (cmd) {
	case FUTEX_WAIT:
		return futex_wait_call(address, op, value, timeout, FUTEX_BITSET_ANY);
	case FUTEX_WAIT_BITSET:
		return futex_wait_call(address, op, value, timeout, value3);
	case FUTEX_WAKE:
		return futex_wake(address, shared, value, FUTEX_BITSET_ANY);
	case FUTEX_WAKE_BITSET:
		return value3 ? futex_wake(address, shared, value, value3) : -EINVAL;
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
		if ((s32)value < 0 || (s32)value2 < 0)
			return -EINVAL;
		return futex_requeue(address, address2, shared, value, value2,
				     cmd == FUTEX_CMP_REQUEUE ? &value3 : NULL);
	case FUTEX_WAKE_OP:
		return futex_wake_op(address, address2, shared, value, value2, value3);
	}
	return -ENOSYS;
}

/* --- robust lists, and the end of a thread --- */

#define ROBUST_LIMIT	 2048
#define FUTEX_WAITERS	 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK	 0x3fffffffu

struct robust_head {
	u64 next, offset, pending;
};

s64 sys_set_robust_list(uaddr_t head, size_t size)
{
	if (size != sizeof(struct robust_head))
		return -EINVAL;
	current->robust_list = head;
	return 0;
}

/* Of another thread only to who might trace it (man 2 get_robust_list). */
s64 sys_get_robust_list(int tid, uaddr_t uhead, uaddr_t usize)
{
	const u64 size = sizeof(struct robust_head);
	struct task *t;
	u64 head;
	int err;

	if (tid < 0)
		return -ESRCH;
	err = task_find(tid ? (u32)tid : current->tid, &t);
	if (err)
		return err;
	head = t->robust_list;
	if (t->process != current->process && !may(t->owner, CAP_SYS_PTRACE))
		err = -EPERM;
	task_put(t);
	if (err)
		return err;
	return put_user(usize, &size) || put_user(uhead, &head) ? -EFAULT : 0;
}

/* A lock that the dying thread holds: marked, and a waiter woken. */
static int robust_release(struct task *t, uaddr_t address, bool pending)
{
	u32 value, seen;

	if (address % 4)
		return -EINVAL;
	do {
		if (user_load_u32(address, &value))
			return -EFAULT;
		if (pending && !value) { /* it was unlocking, and may have missed its wake */
			futex_wake(address, true, 1, FUTEX_BITSET_ANY);
			return 0;
		}
		if ((value & FUTEX_TID_MASK) != t->tid)
			return 0;
		if (user_cmpxchg_u32(address, value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED,
				     &seen))
			return -EFAULT;
	} while (seen != value);
	if (value & FUTEX_WAITERS)
		futex_wake(address, true, 1, FUTEX_BITSET_ANY);
	return 0;
}

static void robust_list_walk(struct task *t)
{
	struct robust_head head;
	u64 entry, next;

	if (get_user(&head, t->robust_list))
		return;
	entry = head.next;
	for (int n = 0; n < ROBUST_LIMIT && (entry & ~1ull) != t->robust_list; n++) {
		int err = get_user(&next,
				   entry & ~1ull); /* before the lock goes: its owner may free it */
		if (entry != head.pending &&
		    robust_release(t, (entry & ~1ull) + head.offset, false))
			return;
		if (err)
			return;
		entry = next;
	}
	if (head.pending & ~1ull)
		robust_release(t, (head.pending & ~1ull) + head.offset, true);
}

void futex_exit_task(struct task *t)
{
	u32 zero = 0;

	if (!t->aspace)
		return;
	if (t->robust_list)
		robust_list_walk(t);
	t->robust_list = 0;
	if (t->clear_tid && ref_read(&t->aspace->users) > 1 && !put_user(t->clear_tid, &zero))
		futex_wake(t->clear_tid, true, 1, FUTEX_BITSET_ANY);
	t->clear_tid = 0;
}
