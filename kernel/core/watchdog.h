/* SPDX-License-Identifier: MIT */
/*
 * watchdog.h - finds CPUs that are stuck, in the debug kernel: each CPU has a
 * timer once a second that notes its heartbeat and looks at its neighbour's.
 */
#ifndef CORE_WATCHDOG_H
#define CORE_WATCHDOG_H

#if DEBUG
void watchdog_init(void); /* once all CPUs are up */
#else
static inline void watchdog_init(void) {}
#endif

#endif
