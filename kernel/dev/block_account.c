/* SPDX-License-Identifier: MIT */
/*
 * block_account.c - who causes how much I/O, and at what rate they may: io.stat and io.max.
 *
 * Each account has for each device what it has read and written (with what is below it), four
 * limits, and for each limit a clock: the moment at which all that was asked for so far is paid at
 * that rate. A request moves the clocks on, in the account that caused it and in all above:
 * a read's is that of the task that reads; a written block's is that of who dirtied it, whoever
 * writes it back.
 *
 * A request is never held up: whoever submits it may hold locks that others wait for. It is the
 * tasks of the account that wait, for the clocks, on their way to user mode: one that has asked
 * for I/O itself, and one that dirties a block while the clocks are ahead because others write
 * back what it had dirtied before. So no one is slower because of another's limit. One that is
 * born while the clocks are ahead waits first: else who forks and kills would never wait.
 *
 * The clocks are changed by compare and swap, without a lock: any lock may be held here.
 */
#include "core/errno.h"
#include "core/task.h"
#include "core/time.h"
#include "dev/block.h"
#include "dev/dev.h"
#include "lib/string.h"
#include "mm/slab.h"

#define SLICE (50 * NSEC_PER_MSEC) /* so often who waits looks whether the limit is still there */

static struct account_io root_io[BLOCK_DEVICES_MAX];
static u32 limits_set; /* atomic: how often a limit was written; 0: nobody has any */

static spinlock_t wait_lock = SPINLOCK_INIT(RANK_LRU);
static struct waitq never = WAITQ_INIT(never); /* sleepers here only wait for their deadline */

void block_account_device(unsigned count)
{
	account_root.io = root_io;
	account_io_size = count * sizeof(struct account_io);
}

/* --- clocks --- */

/* amount more at this rate: when that will be paid. */
static ktime_t clock_add(ktime_t *clock, u64 rate, u64 amount, ktime_t now)
{
	ktime_t old = READ_ONCE(*clock), next;
	ktime_t cost = (ktime_t)(amount * NSEC_PER_SEC / rate);

	do
		next = MAX(old, now) + cost;
	while (!__atomic_compare_exchange_n(clock, &old, next, true, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED));
	return next;
}

static ktime_t clocks_add(struct account_io *io, bool write, u64 bytes, u64 ops, ktime_t now)
{
	enum io_limit by_bytes = write ? IO_WBPS : IO_RBPS, by_ops = write ? IO_WIOPS : IO_RIOPS;
	u64 rate = READ_ONCE(io->max[by_bytes]);
	ktime_t until = 0;

	if (rate)
		until = clock_add(&io->clock[by_bytes], rate, bytes, now);
	rate = READ_ONCE(io->max[by_ops]);
	if (rate)
		until = MAX(until, clock_add(&io->clock[by_ops], rate, ops, now));
	return until;
}

static void count(struct account_io *io, enum block_op op, u64 bytes, u64 ops)
{
	__atomic_fetch_add(&io->bytes[op], bytes, __ATOMIC_RELAXED);
	__atomic_fetch_add(&io->ops[op], ops, __ATOMIC_RELAXED);
}

/* current waits on its way to user mode, as long as that is not later than `until`. */
static void wait_later(ktime_t until)
{
	if (!current->aspace || current->exiting)
		return;
	current->io_until = MAX(current->io_until, until);
	task_set_work(current, WORK_IO);
}

void block_charge(struct block_device *d, enum block_op op, u64 bytes, struct account *a)
{
	bool limited = READ_ONCE(limits_set) && (op == BLOCK_READ || op == BLOCK_WRITE), own;
	ktime_t now = limited ? ktime_get() : 0, until = 0;

	if (op == BLOCK_FLUSH || !a)
		return;
	rcu_read_lock();
	a = account_effective(a);
	own = a == account_effective(current->account);
	for (; a; a = a->parent) {
		struct account_io *io = &a->io[d->number];

		count(io, op, bytes, 1);
		if (limited)
			until = MAX(until, clocks_add(io, op == BLOCK_WRITE, bytes, 1, now));
	}
	rcu_read_unlock();
	if (own && until > now)
		wait_later(until);
}

/* When the writes that a has caused so far are paid, or, with reads, all that it has. */
static ktime_t paid_at(const struct account *a, const struct block_device *d, bool reads)
{
	ktime_t until = 0;

	for (; a; a = a->parent)
		for (unsigned i = 0; i < IO_LIMITS; i++)
			if (reads || i == IO_WBPS || i == IO_WIOPS)
				until = MAX(until, READ_ONCE(a->io[d->number].clock[i]));
	return until;
}

void block_dirty(struct block_device *d)
{
	ktime_t until;

	if (likely(!READ_ONCE(limits_set)))
		return;
	until = paid_at(current->account, d, false);
	if (until > ktime_get())
		wait_later(until);
}

/* --- waiting --- */

static ktime_t all_paid_at(const struct account *a)
{
	struct block_device *d;
	ktime_t until = 0;

	for (unsigned i = 0; (d = block_device_at(i)); i++)
		until = MAX(until, paid_at(a, d, true));
	return until;
}

void block_born(struct task *t)
{
	if (likely(!READ_ONCE(limits_set)) || all_paid_at(t->account) <= ktime_get())
		return;
	t->io_until = KTIME_NEVER;
	task_set_work(t, WORK_IO);
}

void block_throttle(void)
{
	ktime_t now, until;
	int err = 0;

	task_clear_work(current, WORK_IO);
	while (!err) {
		now = ktime_get();
		/* the clocks of a limit that was taken away are 0 */
		until = MIN(current->io_until, all_paid_at(current->account));
		if (until <= now)
			break;
		spin_lock(&wait_lock);
		err = waitq_sleep(&never, &wait_lock, SLEEP_INTERRUPTIBLE, MIN(until, now + SLICE));
		spin_unlock(&wait_lock);
		if (err == -ETIMEDOUT)
			err = 0;
	}
	if (err)
		task_set_work(current, WORK_IO); /* after the signal */
	else
		current->io_until = 0;
}

/* --- limits --- */

void block_limit_set(struct block_device *d, struct account *a, const u64 max[IO_LIMITS])
{
	struct account_io *io = &a->io[d->number];

	for (unsigned i = 0; i < IO_LIMITS; i++) {
		if (max[i] == READ_ONCE(io->max[i]))
			continue;
		WRITE_ONCE(io->max[i], max[i]);
		WRITE_ONCE(io->clock[i], 0);
	}
	__atomic_fetch_add(&limits_set, 1, __ATOMIC_RELAXED);
}
