/* SPDX-License-Identifier: MIT */
/*
 * machine.h - a machine for unit tests of kernel/lib and kernel/core: CPUs are
 * threads of this program, each with the struct cpu, the per-CPU variables and
 * the one task that kernel code finds through %gs. Sleeping waits for the task's
 * state; a CPU takes "interrupts" (calls from others, the timer) in
 * machine_user(), when it sleeps, and in cpu_spin_wait() calls from others only.
 */
#ifndef TESTS_HOST_MACHINE_H
#define TESTS_HOST_MACHINE_H

#include "lib/types.h"

/* libc, whose headers would fight with the kernel's. */
int printf(const char *fmt, ...) __printf(1, 2);
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void free(void *p);
void exit(int status);

extern s64 machine_live;    /* kmalloc and slab objects allocated now; atomic */
extern u64 machine_fail_in; /* n > 0: the n-th allocation from now on fails; 0: none */

/* Makes the calling thread CPU 0. Before anything else. */
void machine_init(void);
/* Runs fn(cpu) on that many CPUs at once, kernel threads included; returns when all have returned.
 */
void machine_run(unsigned count, void (*fn)(unsigned cpu));
/* The CPU is in user mode for an instant. */
void machine_user(void);
void machine_send_signal(unsigned cpu); /* WORK_SIGNAL to its task, and wakes it */
u64 machine_random(void);		/* repeatable, per CPU */

/* --- TAP --- */
extern int tap_count, tap_failures;
#define ok(cond, ...)                                                       \
	do {                                                                \
		bool ok_ = (cond);                                          \
		printf("%sok %d - ", ok_ ? "" : "not ", ++tap_count);       \
		printf(__VA_ARGS__);                                        \
		printf("\n");                                               \
		if (!ok_)                                                   \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
		tap_failures += !ok_;                                       \
	} while (0)
/* A check inside a loop: prints only if it fails. */
#define must(cond, ...)                        \
	do {                                   \
		if (!(cond)) {                 \
			ok(cond, __VA_ARGS__); \
			exit(1);               \
		}                              \
	} while (0)
static inline int tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures != 0;
}

#endif
