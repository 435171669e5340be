/* SPDX-License-Identifier: MIT */
/*
 * account.c - hierarchical counters with limits (core/account.h).
 *
 * The problem: every page fault charges a page to a container and to all its
 * ancestors, up to the root, which all CPUs share. So memory is charged to the
 * counters in batches of STOCK_BATCH, and what is left of a batch stays in a
 * stock of this CPU: a few (account, bytes) pairs, the one used last first. A
 * stock is its CPU's alone: interrupts are off and nothing here waits for a
 * lock, so that no cross-CPU call can come in between either.
 *
 * What memory is used for goes along in the same pairs, as differences.
 *
 * Invariants:
 * (1) res[].used of an account is at all times at least what is charged to it
 *     and its descendants; it exceeds that only by stocks, and for a moment by
 *     charges that are being refused and rolled back.
 * (2) A charge is refused only if it does not fit with all stocks of the
 *     refusing account's subtree given back.
 * (3) An account with used > 0 has one reference per such resource, so that
 *     whoever uncharges last frees it. (Used can reach 0 only by giving back
 *     what was charged completely, so the reference was taken by then.) A
 *     stock's pair holds one more.
 *
 * Release costs nothing: the ancestors' counters contain what is left already.
 * The account stays, marked, between its charges and its parent; nobody is
 * charged to it any more (account_effective), and the last uncharge frees it.
 */
#include "core/account.h"

#include "arch/x86/smp.h"
#include "core/cpu.h"
#include "core/errno.h"
#include "core/task.h"
#include "core/trace.h"
#include "mm/slab.h"

#define STOCK_SLOTS 4
#define STOCK_BATCH (32 << 10) /* bytes charged at a time; from this size on no stock is used */
#define STOCK_MAX   (64 << 10) /* bytes a pair may hold */

struct stock {
	struct stock_pair {
		struct account *account; /* NULL: unused, as are all after it */
		s64 bytes;
		s64 use[MEM_USES]; /* to be added to the counters; of either sign */
	} pair[STOCK_SLOTS];
} __cacheline;

static PERCPU(struct stock, stock);

void (*account_refusal)(struct account *by, enum resource what);

size_t account_io_size;

struct account account_root = {
	.refs = { 1 },
	.res = {
		[RES_MEMORY] = { .max = INT64_MAX },
		[RES_PIDS] = { .max = INT64_MAX },
		[RES_FILES] = { .max = INT64_MAX },
		[RES_DISK] = { .max = INT64_MAX },
		[RES_INODES] = { .max = INT64_MAX },
	},
	.memory_high = INT64_MAX,
};

/* --- life --- */

int account_create(struct account *parent, struct account **out)
{
	struct account *a = kmalloc(sizeof(*a), KM_ZERO | KM_ACCOUNT);

	if (!a)
		return -ENOMEM;
	a->io = account_io_size ? kmalloc(account_io_size, KM_ZERO | KM_ACCOUNT) : NULL;
	if (account_io_size && !a->io) {
		kfree(a);
		return -ENOMEM;
	}
	ref_init(&a->refs, 1);
	a->parent = account_get(parent);
	for (unsigned i = 0; i < RES_COUNT; i++)
		a->res[i].max = INT64_MAX;
	a->memory_high = INT64_MAX;
	*out = a;
	return 0;
}

struct account *account_get(struct account *a)
{
	ref_get(&a->refs);
	return a;
}

static void account_free(struct rcu_head *h)
{
	struct account *a = container_of(h, struct account, rcu);

	kfree(a->io);
	kfree(a);
}

void account_put(struct account *a)
{
	while (a && ref_put(&a->refs)) {
		struct account *parent = a->parent;

		for (unsigned i = 0; i < RES_COUNT; i++)
			BUG_IF(a->res[i].used, "account %u: resource %u: used=%ld", a->id, i,
			       a->res[i].used);
		for (unsigned i = 0; i < MEM_USES; i++)
			BUG_IF(a->use[i], "account %u: %ld bytes of use %u", a->id, a->use[i], i);
		rcu_call(&a->rcu, account_free); /* account_read() looks at other CPUs' stocks */
		a = parent;
	}
}

static void growth_drop(struct account *a, enum resource what, s64 n);

void account_release(struct account *a)
{
	BUG_IF(a->released || !a->parent, "account %u", a->id);
	__atomic_store_n(&a->released, true, __ATOMIC_SEQ_CST);
	growth_drop(a, RES_DISK, INT64_MAX);
	growth_drop(a, RES_INODES, INT64_MAX);
	account_put(a);
}

struct account *account_effective(struct account *a)
{
	while (READ_ONCE(a->released))
		a = a->parent;
	return a;
}

bool account_is_ancestor(const struct account *a, const struct account *b)
{
	while (b && b != a)
		b = b->parent;
	return b;
}

/* --- counters --- */

/* Returns what is used now. */
static s64 counter_add(struct account *a, enum resource what, s64 n)
{
	s64 old = __atomic_fetch_add(&a->res[what].used, n, __ATOMIC_RELAXED);

	if (!old)
		account_get(a);
	return old + n;
}

/* `now` is of a charge that holds: the counter itself may just contain one that is being refused.
 */
static void counter_note_peak(struct account_counter *c, s64 now)
{
	if (now > READ_ONCE(c->peak))
		WRITE_ONCE(c->peak, now); /* racing with a near equal is fine */
}

/* Down to but not including `end`. */
static void counters_sub(struct account *a, struct account *end, enum resource what, s64 n)
{
	while (a != end) {
		struct account *parent = a->parent;
		s64 left = __atomic_sub_fetch(&a->res[what].used, n, __ATOMIC_RELAXED);

		BUG_IF(left < 0, "account %u: resource %u: used=%ld after -%ld", a->id, what, left,
		       n);
		if (!left)
			account_put(a);
		a = parent;
	}
}

/* All from a to below `end`, or nothing. Returns the account that refused, or NULL. */
static struct account *counters_charge_below(struct account *a, struct account *end,
					     enum resource what, s64 n)
{
	for (struct account *up = a; up != end; up = up->parent) {
		struct account_counter *c = &up->res[what];
		s64 now = counter_add(up, what, n);

		if (now > READ_ONCE(c->max)) {
			counters_sub(a, up->parent, what, n);
			return up;
		}
		counter_note_peak(c, now);
	}
	return NULL;
}

static struct account *counters_charge(struct account *a, enum resource what, s64 n)
{
	return counters_charge_below(a, NULL, what, n);
}

/* --- stocks --- */

/* This CPU's pair of a, moved to the front; NULL. */
static struct stock_pair *stock_find(struct account *a)
{
	struct stock *s = &percpu_this(stock);

	if (likely(s->pair[0].account == a))
		return &s->pair[0];
	for (unsigned i = 1; i < STOCK_SLOTS; i++) {
		if (s->pair[i].account != a)
			continue;
		struct stock_pair found = s->pair[i];
		for (; i; i--)
			s->pair[i] = s->pair[i - 1];
		s->pair[0] = found;
		return &s->pair[0];
	}
	return NULL;
}

static void use_add(struct account *a, enum memory_use use, s64 n)
{
	for (; n && a; a = a->parent)
		__atomic_fetch_add(&a->use[use], n, __ATOMIC_RELAXED);
}

static void pair_flush(struct stock_pair *p)
{
	struct account *a = p->account;
	s64 bytes = p->bytes;

	if (!a)
		return;
	for (unsigned i = 0; i < MEM_USES; i++)
		use_add(a, i, p->use[i]);
	*p = (struct stock_pair){ 0 };
	if (bytes)
		counters_sub(a, NULL, RES_MEMORY, bytes);
	account_put(a);
}

/* Puts bytes that are charged to a into this CPU's stock; too much goes back to the counters. */
static void stock_put(struct account *a, s64 bytes)
{
	struct stock *s = &percpu_this(stock);
	struct stock_pair *p = stock_find(a);

	if (!p) {
		pair_flush(&s->pair[STOCK_SLOTS - 1]);
		for (unsigned i = STOCK_SLOTS - 1; i; i--)
			s->pair[i] = s->pair[i - 1];
		p = &s->pair[0];
		*p = (struct stock_pair){ .account = account_get(a) };
	}
	p->bytes += bytes;
	if (p->bytes > STOCK_MAX) {
		s64 excess = p->bytes - STOCK_BATCH;
		p->bytes = STOCK_BATCH;
		counters_sub(a, NULL, RES_MEMORY, excess);
	}
}

static void stock_drain(void *arg)
{
	struct stock *s = &percpu_this(stock);

	for (unsigned i = 0; i < STOCK_SLOTS; i++)
		pair_flush(&s->pair[i]);
}

/* What all CPUs have in stock below a. Exact when they are quiet; accounts are freed under RCU. */
static s64 stock_total(const struct account *a)
{
	s64 total = 0;

	rcu_read_lock();
	for_each_cpu (i) {
		const struct stock *s = &percpu_of(stock, i);
		for (unsigned j = 0; j < STOCK_SLOTS; j++) {
			const struct account *owner = READ_ONCE(s->pair[j].account);
			if (owner && account_is_ancestor(a, owner))
				total += READ_ONCE(s->pair[j].bytes);
		}
	}
	rcu_read_unlock();
	return total;
}

void account_use(struct account *a, enum memory_use use, s64 n)
{
	struct stock_pair *p = stock_find(a);

	if (likely(p))
		p->use[use] += n;
	else
		use_add(a, use, n);
}

void account_read_uses(const struct account *a, s64 uses[MEM_USES])
{
	for (unsigned u = 0; u < MEM_USES; u++)
		uses[u] = READ_ONCE(a->use[u]);
	rcu_read_lock();
	for_each_cpu (i) {
		const struct stock *s = &percpu_of(stock, i);
		for (unsigned j = 0; j < STOCK_SLOTS; j++) {
			const struct account *owner = READ_ONCE(s->pair[j].account);
			if (!owner || !account_is_ancestor(a, owner))
				continue;
			for (unsigned u = 0; u < MEM_USES; u++)
				uses[u] += READ_ONCE(s->pair[j].use[u]);
		}
	}
	rcu_read_unlock();
}

void account_drain(void)
{
	smp_call_all(stock_drain, NULL);
}

/* --- charging --- */

static void refusal_report(struct task_callback *cb)
{
	struct account *a = container_of(cb, struct account, refusal);
	u32 bits = __atomic_exchange_n(&a->refused, 0, __ATOMIC_ACQ_REL);

	for (; bits; bits &= bits - 1)
		account_refusal(a, __builtin_ctz(bits));
	account_put(a);
}

/* Any lock may be held here: the report waits until none is. */
static void refusal_note(struct account *a, enum resource what)
{
	if (what == RES_MEMORY || !account_refusal || !current->aspace || current->exiting)
		return;
	if (__atomic_fetch_or(&a->refused, 1u << what, __ATOMIC_ACQ_REL))
		return;
	account_get(a);
	a->refusal.fn = refusal_report;
	task_callback_add(current, &a->refusal);
}

static int charge_refused(struct account *by, enum resource what, s64 n)
{
	static const int error[RES_COUNT] = { [RES_MEMORY] = -ENOMEM,
					      [RES_PIDS] = -EAGAIN,
					      [RES_FILES] = -EAGAIN,
					      [RES_DISK] = -EDQUOT,
					      [RES_INODES] = -EDQUOT };

	__atomic_fetch_add(&by->res[what].failed, 1, __ATOMIC_RELAXED);
	trace(TRACE_CHARGE, what, n);
	refusal_note(by, what);
	return error[what];
}

/* current slows down on its way to user mode, if a, to which it was charged, is over memory.high.
 */
static void high_check(struct account *a)
{
	for (; a; a = a->parent)
		if (READ_ONCE(a->res[RES_MEMORY].used) > READ_ONCE(a->memory_high)) {
			if (current->aspace && !current->exiting)
				task_set_work(current, WORK_RECLAIM);
			return;
		}
}

/* The stock has too little: a batch if it fits, else just n, else with all stocks given back. */
static __noinline int charge_memory_slow(struct account *a, s64 n)
{
	struct account *by;

	if (n < STOCK_BATCH && !counters_charge(a, RES_MEMORY, STOCK_BATCH)) {
		stock_put(a, STOCK_BATCH - n);
		high_check(a);
		return 0;
	}
	by = counters_charge(a, RES_MEMORY, n);
	while (by && stock_total(by) > 0) {
		s64 had = stock_total(by);

		account_drain();
		by = counters_charge(a, RES_MEMORY, n);
		if (by && stock_total(by) >= had)
			break; /* others fill theirs as fast: they are the ones who use it up */
	}
	if (by)
		return charge_refused(by, RES_MEMORY, n);
	high_check(a);
	return 0;
}

int charge(struct account *a, enum resource what, s64 n)
{
	struct account *by;

	ASSERT(n >= 0);
	if (likely(what == RES_MEMORY)) {
		struct stock_pair *p = stock_find(a);
		if (likely(p && p->bytes >= n)) {
			p->bytes -= n;
			return 0;
		}
		return charge_memory_slow(a, n);
	}
	by = counters_charge(a, what, n);
	return by ? charge_refused(by, what, n) : 0;
}

int account_grow_check(struct account *a, struct account *top, enum resource what, s64 n)
{
	ASSERT(what != RES_MEMORY && n >= 0);
	for (struct account *up = a; up != top; up = up->parent) {
		const struct account_counter *c = &up->res[what];
		s64 max = READ_ONCE(c->max);

		if (max != INT64_MAX && READ_ONCE(c->used) > max - n)
			return charge_refused(up, what, n);
	}
	return 0;
}

int charge_check(struct account *a, enum resource what, s64 n)
{
	return account_grow_check(a, NULL, what, n);
}

/* Takes n from what has grown, or as much as there is. */
static s64 growth_take(struct account *a, enum resource what, s64 n)
{
	s64 had = __atomic_load_n(&a->grown[what], __ATOMIC_SEQ_CST), taken;

	do
		taken = MIN(had, n);
	while (!__atomic_compare_exchange_n(&a->grown[what], &had, had - taken, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return taken;
}

static void growth_drop(struct account *a, enum resource what, s64 n)
{
	s64 taken = growth_take(a, what, n);

	if (taken)
		counters_sub(a, a->parent, what, taken);
}

void account_grow(struct account *a, struct account *top, enum resource what, s64 n)
{
	for (; n && a != top; a = a->parent) {
		if (n < 0) {
			growth_drop(a, what, -n);
			continue;
		}
		counter_note_peak(&a->res[what], counter_add(a, what, n));
		__atomic_fetch_add(&a->grown[what], n, __ATOMIC_SEQ_CST);
		/* released meanwhile: whoever sees the other's last */
		if (unlikely(__atomic_load_n(&a->released, __ATOMIC_SEQ_CST)))
			growth_drop(a, what, INT64_MAX);
	}
}

int charge_below(struct account *a, struct account *top, enum resource what, s64 n)
{
	struct account *by;

	ASSERT(what != RES_MEMORY && n >= 0 && account_is_ancestor(top, a));
	by = counters_charge_below(a, top, what, n);
	return by ? charge_refused(by, what, n) : 0;
}

void uncharge_below(struct account *a, struct account *top, enum resource what, s64 n)
{
	ASSERT(what != RES_MEMORY && n >= 0 && account_is_ancestor(top, a));
	counters_sub(a, top, what, n);
}

void charge_force(struct account *a, enum resource what, s64 n)
{
	for (; n && a; a = a->parent) {
		s64 now = counter_add(a, what, n);

		counter_note_peak(&a->res[what], now);
	}
}

void uncharge(struct account *a, enum resource what, s64 n)
{
	struct stock_pair *p;

	ASSERT(n >= 0);
	if (!n)
		return;
	if (what != RES_MEMORY || n >= STOCK_BATCH || READ_ONCE(a->released)) {
		counters_sub(a, NULL, what, n);
		return;
	}
	p = stock_find(a);
	if (likely(p && p->bytes + n <= STOCK_MAX))
		p->bytes += n;
	else
		stock_put(a, n);
}

/* --- reading and limiting --- */

s64 account_read(const struct account *a, enum resource what)
{
	s64 used = READ_ONCE(a->res[what].used);

	if (what == RES_MEMORY)
		used -= stock_total(a);
	return MAX(used, 0);
}

s64 account_available(const struct account *a, enum resource what)
{
	s64 available = INT64_MAX;

	for (; a; a = a->parent) {
		s64 max = READ_ONCE(a->res[what].max);
		if (max != INT64_MAX)
			available = MIN(available, MAX(max - account_read(a, what), 0));
	}
	return available;
}

s64 account_limit(const struct account *a, enum resource what)
{
	s64 limit = INT64_MAX;

	for (; a; a = a->parent)
		limit = MIN(limit, READ_ONCE(a->res[what].max));
	return limit;
}

void account_set_max(struct account *a, enum resource what, s64 max)
{
	WRITE_ONCE(a->res[what].max, max);
	if (what == RES_MEMORY)
		account_drain(); /* what is in stock was charged under the old limit */
}
