/* SPDX-License-Identifier: MIT */
/*
 * smp.h - starting the other CPUs, and asking them for something.
 *
 * A request is a bit in the target's mailbox (cpu->requests) plus an IPI; the
 * target serves it in its interrupt handler or, if it spins with interrupts
 * off, in cpu_spin_wait(). So a request is answered even by a CPU that waits
 * for the requester's lock.
 */
#ifndef ARCH_SMP_H
#define ARCH_SMP_H

#include "core/cpu.h"

#define CPU_REQ_RESCHED BIT(0) /* look at the run queue (also: wake from halt; RCU) */
#define CPU_REQ_TLB	BIT(1) /* serve the TLB shootdown queue */
#define CPU_REQ_CALL	BIT(2) /* run the posted function */
#define CPU_REQ_STOP	BIT(3) /* panic: print the backtrace if asked, and halt */

/*
 * Sends the other CPUs on their way. Each runs init(), and when smp_wait_others()
 * has seen all of them, which makes them count, enter(), which does not return.
 */
void smp_start_others(void (*init)(void), void (*enter)(void));
void smp_wait_others(void);
void smp_request(unsigned cpu, u64 bits);
void smp_serve_requests(void); /* of this CPU */
/* Runs fn(arg) on every CPU, this one included, and waits for all. fn must not sleep. */
void smp_call_all(void (*fn)(void *arg), void *arg);
void smp_nmi_backtrace(unsigned cpu); /* make it print its backtrace, even with interrupts off */
void smp_stop_others(void);	      /* panic */

#endif
