/* SPDX-License-Identifier: MIT */
/*
 * watchdog.c - finding stuck CPUs in the debug kernel (core/watchdog.h).
 *
 * A CPU that does not take its timer interrupt for WATCHDOG_WARN loops in the
 * kernel with interrupts off, or waits for a lock that nobody gives back. Its
 * neighbour then has it print its backtrace from an NMI, once per time, and
 * after WATCHDOG_PANIC ends the machine. The bounds allow for an emulator
 * whose virtual CPUs share few real ones.
 */
#include "core/watchdog.h"

#include "arch/x86/smp.h"
#include "core/cpu.h"
#include "core/mutex.h"
#include "core/printk.h"
#include "core/time.h"

#if DEBUG
#define WATCHDOG_PERIOD (1 * NSEC_PER_SEC)
#define WATCHDOG_WARN	(10 * NSEC_PER_SEC)
#define WATCHDOG_PANIC	(60 * NSEC_PER_SEC)

struct watchdog {
	struct timer timer;
	ktime_t heartbeat; /* when the timer ran last; read by the neighbour */
	bool reported;	   /* written by the neighbour only */
};

static PERCPU(struct watchdog, watchdog);

static void watchdog_report(unsigned cpu, ktime_t silent)
{
	printk(LOG_EMERG, "watchdog: CPU %u took no timer interrupt for %ld s\n", cpu,
	       silent / NSEC_PER_SEC);
	spin_print_held(cpu);
	smp_nmi_backtrace(cpu);
}

static void watchdog_look_at(unsigned cpu, ktime_t now)
{
	struct watchdog *w = &percpu_of(watchdog, cpu);
	ktime_t silent = now - READ_ONCE(w->heartbeat);

	if (silent < WATCHDOG_WARN) {
		w->reported = false;
		return;
	}
	if (!w->reported)
		watchdog_report(cpu, silent);
	w->reported = true;
	if (silent > WATCHDOG_PANIC)
		panic("watchdog: CPU %u is stuck", cpu);
}

static void watchdog_tick(struct timer *t)
{
	ktime_t now = ktime_get();
	unsigned neighbour = (this_cpu()->id + 1) % cpu_count;

	WRITE_ONCE(percpu_this(watchdog).heartbeat, now);
	if (neighbour != this_cpu()->id)
		watchdog_look_at(neighbour, now);
	timer_arm(t, now + WATCHDOG_PERIOD);
}

static void watchdog_start(void *arg)
{
	struct watchdog *w = &percpu_this(watchdog);

	timer_init(&w->timer, watchdog_tick);
	w->timer.cpu = this_cpu()->id;
	w->heartbeat = ktime_get();
	timer_arm(&w->timer, w->heartbeat + WATCHDOG_PERIOD);
}

void watchdog_init(void)
{
	smp_call_all(watchdog_start, NULL);
}
#endif
