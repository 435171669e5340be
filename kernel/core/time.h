/* SPDX-License-Identifier: MIT */
/*
 * time.h - the clock and one-shot timers.
 *
 * ktime_get() is nanoseconds since boot, monotonic on every CPU, cheap (TSC).
 * Wall time is it plus an offset that clock_settime changes. Timers are one-shot
 * and per CPU (a tree ordered by expiry; the LAPIC is armed for the first); the
 * callback runs in interrupt context on the CPU that armed it, must not sleep,
 * and may arm its timer again. No tick when idle.
 */
#ifndef CORE_TIME_H
#define CORE_TIME_H

#include "core/spinlock.h"
#include "lib/tree.h"

ktime_t ktime_get(void);
s64 realtime_get(void); /* ns since 1970 */
void realtime_set(s64 ns);
s64 realtime_offset(void); /* realtime_get() - ktime_get() */

struct timer {
	struct tree_node node;
	ktime_t expires;
	void (*fn)(struct timer *t);
	u32 cpu;    /* in whose tree it is, or was last */
	bool armed; /* in a tree */
};

void timer_init(struct timer *t, void (*fn)(struct timer *t));
/*
 * Arms t for an absolute time on this CPU (re-arms it if it was armed). The owner
 * serialises the calls for one timer; fn may arm its own. While fn runs on
 * another CPU, t stays on that CPU.
 */
void timer_arm(struct timer *t, ktime_t expires);
/* Disarms; true if it was armed (fn will not run). Does not wait for a running fn. */
bool timer_cancel(struct timer *t);
/* As timer_cancel, then waits until fn no longer runs: after it t may be freed. */
bool timer_cancel_sync(struct timer *t);
void timer_interrupt(void); /* arch calls this from the LAPIC timer's handler */
/*
 * Makes timer_interrupt() run on this CPU at `when` or before, to look after RCU and the log.
 * Takes no lock: for places that may hold any.
 */
void timer_poke(ktime_t when);
ktime_t timer_next_expiry(void); /* of this CPU; KTIME_NEVER */

#endif
