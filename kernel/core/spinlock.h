/* SPDX-License-Identifier: MIT */
/*
 * spinlock.h - spin locks. Interrupts are off in the kernel anyway (cpu.h), so
 * there is one kind. Unfair test-and-test-and-set: under a hypervisor a ticket
 * lock hands over to a CPU that may not be running. Never sleep while holding
 * one. The word costs 4 bytes; the debug kernel adds holder, rank and place.
 */
#ifndef CORE_SPINLOCK_H
#define CORE_SPINLOCK_H

#include "core/cpu.h"
#include "core/lockrank.h"
#include "core/printk.h"

typedef struct spinlock {
	u32 locked;
#if DEBUG
	u16 rank;
	u16 holder; /* CPU id + 1; 0: free */
	const void *place;
	const char *name;
	struct spinlock *outer; /* the lock this CPU took before this one */
#endif
} spinlock_t;

/* The address of the code where this is written (inlined or not). */
#define code_place()                                       \
	({                                                 \
		const void *place_;                        \
		__asm__("lea (%%rip), %0" : "=r"(place_)); \
		place_;                                    \
	})

#if DEBUG
#define SPINLOCK_INIT(r)                \
	{                               \
		.rank = (r), .name = #r \
	}
#define spin_init(l, r) (*(l) = (spinlock_t)SPINLOCK_INIT(r))
/* For a lock that starts as zeros (per-CPU data): gives it its rank. */
#define spin_set_rank(l, r) ((l)->rank = (r), (l)->name = #r)
void spin_check_acquire(spinlock_t *l, bool nested);
void spin_note_acquired(spinlock_t *l, const void *place);
void spin_note_release(spinlock_t *l);
bool spin_held(const spinlock_t *l); /* by this CPU */
/* Panics if this CPU holds more than `allowed` spin locks: before anything that may sleep. */
void sleep_check(unsigned allowed);
/* The spin locks that a CPU holds, innermost first, through printk. For panics and the watchdog. */
void spin_print_held(unsigned cpu);
#else
#define SPINLOCK_INIT(r) \
	{                \
		0        \
	}
#define spin_init(l, r)	    (*(l) = (spinlock_t){ 0 })
#define spin_set_rank(l, r) ((void)(l))
static inline void spin_check_acquire(spinlock_t *l, bool nested) {}
static inline void spin_note_acquired(spinlock_t *l, const void *place) {}
static inline void spin_note_release(spinlock_t *l) {}
#define spin_held(l)	    true
static inline void sleep_check(unsigned allowed) {}
static inline void spin_print_held(unsigned cpu) {}
#endif
#define spin_assert_held(l) ASSERT(spin_held(l))

void spin_lock_slow(spinlock_t *l); /* spins with cpu_spin_wait() */

static __inline_always bool spin_trylock(spinlock_t *l)
{
	if (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE))
		return false;
	spin_note_acquired(l, code_place());
	return true;
}

static __inline_always void spin_lock_common(spinlock_t *l, bool nested)
{
	spin_check_acquire(l, nested);
	if (unlikely(__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE)))
		spin_lock_slow(l);
	spin_note_acquired(l, code_place());
}

static __inline_always void spin_lock(spinlock_t *l)
{
	spin_lock_common(l, false);
}

/* A second lock of the same rank; the caller's comment says why that is safe. */
static __inline_always void spin_lock_nested(spinlock_t *l)
{
	spin_lock_common(l, true);
}

static inline void spin_unlock(spinlock_t *l)
{
	spin_note_release(l);
	__atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
}

#endif
