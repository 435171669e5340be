/* SPDX-License-Identifier: MIT */
/*
 * spinlock.c - the slow path of spin locks, and the debug kernel's checks.
 *
 * The debug kernel keeps the locks that a CPU holds as a chain, the one taken
 * last first (spinlock_t.outer). Interrupts are off while one is held, so the
 * chain is the CPU's own. Locks may be released in any order.
 */
#include "core/spinlock.h"

#include "core/task.h"

void spin_lock_slow(spinlock_t *l)
{
	do {
		while (READ_ONCE(l->locked))
			cpu_spin_wait();
	} while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE));
}

#if DEBUG
static PERCPU(spinlock_t *, spin_innermost);

bool spin_held(const spinlock_t *l)
{
	return panic_active || (READ_ONCE(l->locked) && READ_ONCE(l->holder) == this_cpu()->id + 1);
}

/* Panics unless l may be taken now: upwards in rank, and not twice. */
void spin_check_acquire(spinlock_t *l, bool nested)
{
	if (panic_active)
		return;
	if (READ_ONCE(l->locked) && l->holder == this_cpu()->id + 1)
		panic("lock: %s %p is taken twice, first at %pS", l->name ?: "lock", l, l->place);
	if (l->rank == RANK_NONE)
		return;
	BUG_IF(l->rank < RANK_SPIN, "%s %p: rank %u is a sleeping lock's", l->name, l, l->rank);
	for (spinlock_t *held = percpu_this(spin_innermost); held; held = held->outer) {
		bool ok = nested ? held->rank <= l->rank : held->rank < l->rank;
		if (!ok && held->rank != RANK_NONE)
			panic("lock order: %s %p (rank %u) is taken while %s %p (rank %u), taken "
			      "at %pS, is held",
			      l->name, l, l->rank, held->name, held, held->rank, held->place);
	}
}

void spin_note_acquired(spinlock_t *l, const void *place)
{
	struct cpu *cpu = this_cpu();

	l->holder = cpu->id + 1;
	l->place = place;
	l->outer = percpu_this(spin_innermost);
	percpu_this(spin_innermost) = l;
	cpu->spin_depth++;
}

static void check_release(const spinlock_t *l)
{
	if (!l->locked || l->holder != this_cpu()->id + 1)
		panic("lock: %s %p is released by CPU %u; holder: CPU %d, last taken at %pS",
		      l->name ?: "lock", l, this_cpu()->id, l->holder - 1, l->place);
}

void spin_note_release(spinlock_t *l)
{
	spinlock_t **link = &percpu_this(spin_innermost);

	if (!panic_active)
		check_release(l);
	while (*link && *link != l)
		link = &(*link)->outer;
	if (!*link)
		return; /* only in a panic: another CPU's */
	*link = l->outer;
	l->outer = NULL;
	l->holder = 0;
	this_cpu()->spin_depth--;
}

void sleep_check(unsigned allowed)
{
	spinlock_t *held = percpu_this(spin_innermost);

	if (panic_active || this_cpu()->spin_depth <= allowed)
		return;
	for (; allowed && held->outer; allowed--)
		held = held->outer;
	panic("sleeping while %s %p is held, taken at %pS (%u held)", held->name ?: "lock", held,
	      held->place, this_cpu()->spin_depth);
}

void spin_print_held(unsigned cpu)
{
	spinlock_t *held = READ_ONCE(percpu_of(spin_innermost, cpu));

	for (unsigned i = 0; held && i < RANK_COUNT; held = held->outer, i++)
		printk(LOG_EMERG, "  CPU %u holds %s %p, taken at %pS\n", cpu, held->name ?: "lock",
		       held, held->place);
}
#endif
