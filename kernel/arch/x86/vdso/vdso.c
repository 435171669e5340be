/* SPDX-License-Identifier: MIT */
/*
 * vdso.c - the code that the kernel lends to every process (vdso(7)): clocks and
 * the CPU's number without a system call. A shared object of its own, position
 * independent, with no data but the page below it; user code: no kernel header
 * but types and data.h applies here.
 */
#include "arch/x86/vdso/data.h"

#define EXPORT __attribute__((visibility("default")))

extern const struct vdso_data vdso_data __attribute__((visibility("hidden"))); /* vdso.lds */

struct timespec {
	s64 sec, nsec;
};
struct timeval {
	s64 sec, usec;
};
struct timezone {
	s32 minutes_west, dst;
};

enum { NR_GETTIMEOFDAY = 96, NR_CLOCK_GETTIME = 228, NR_CLOCK_GETRES = 229, NR_GETCPU = 309 };
enum {
	CLOCK_REALTIME = 0,
	CLOCK_MONOTONIC = 1,
	CLOCK_MONOTONIC_RAW = 4,
	CLOCK_REALTIME_COARSE = 5,
	CLOCK_MONOTONIC_COARSE = 6,
	CLOCK_BOOTTIME = 7,
};

int __vdso_clock_gettime(int clock, struct timespec *ts);
int __vdso_clock_getres(int clock, struct timespec *ts);
int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz);
s64 __vdso_time(s64 *t);
int __vdso_getcpu(u32 *cpu, u32 *node, void *unused);

static s64 system_call(s64 nr, s64 a, s64 b, s64 c)
{
	s64 r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (u64)hi << 32 | lo;
}

/* ns of the monotonic clock, plus the wall offset if asked. */
static inline u64 now(bool wall)
{
	u32 seq;
	u64 ns;

	do {
		seq = __atomic_load_n(&vdso_data.seq, __ATOMIC_ACQUIRE) & ~1u;
		ns = (unsigned __int128)(rdtsc() - vdso_data.tsc_base) * vdso_data.tsc_mult >> 32;
		if (wall)
			ns += vdso_data.wall_offset;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (unlikely(__atomic_load_n(&vdso_data.seq, __ATOMIC_RELAXED) != seq));
	return ns;
}

EXPORT int __vdso_clock_gettime(int clock, struct timespec *ts)
{
	const u32 monotonic = BIT(CLOCK_MONOTONIC) | BIT(CLOCK_MONOTONIC_RAW) |
			      BIT(CLOCK_MONOTONIC_COARSE) | BIT(CLOCK_BOOTTIME);
	const u32 wall = BIT(CLOCK_REALTIME) | BIT(CLOCK_REALTIME_COARSE);
	u64 ns;

	if (unlikely((u32)clock > CLOCK_BOOTTIME || !(BIT(clock) & (monotonic | wall))))
		return system_call(NR_CLOCK_GETTIME, clock, (s64)ts, 0);
	ns = now(BIT(clock) & wall);
	ts->sec = ns / NSEC_PER_SEC;
	ts->nsec = ns % NSEC_PER_SEC;
	return 0;
}

EXPORT int __vdso_clock_getres(int clock, struct timespec *ts)
{
	return system_call(NR_CLOCK_GETRES, clock, (s64)ts, 0);
}

EXPORT int __vdso_gettimeofday(struct timeval *tv, struct timezone *tz)
{
	if (tv) {
		u64 us = now(true) / 1000;
		tv->sec = us / 1000000;
		tv->usec = us % 1000000;
	}
	if (tz)
		*tz = (struct timezone){ 0, 0 };
	return 0;
}

EXPORT s64 __vdso_time(s64 *t)
{
	s64 sec = now(true) / NSEC_PER_SEC;

	if (t)
		*t = sec;
	return sec;
}

EXPORT int __vdso_getcpu(u32 *cpu, u32 *node, void *unused)
{
	u32 lo, hi, aux;

	if (!vdso_data.has_rdtscp)
		return system_call(NR_GETCPU, (s64)cpu, (s64)node, 0);
	__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
	if (cpu)
		*cpu = aux;
	if (node)
		*node = 0;
	return 0;
}

int clock_gettime(int clock, struct timespec *ts)
	__attribute__((weak, alias("__vdso_clock_gettime"))) EXPORT;
int clock_getres(int clock, struct timespec *ts)
	__attribute__((weak, alias("__vdso_clock_getres"))) EXPORT;
int gettimeofday(struct timeval *tv, struct timezone *tz)
	__attribute__((weak, alias("__vdso_gettimeofday"))) EXPORT;
s64 time(s64 *t) __attribute__((weak, alias("__vdso_time"))) EXPORT;
int getcpu(u32 *cpu, u32 *node, void *unused) __attribute__((weak, alias("__vdso_getcpu"))) EXPORT;

/* Where a signal handler may return to: rt_sigreturn(2). Debuggers know these bytes. */
__asm__(".text\n"
	".balign 16\n"
	".globl __restore_rt\n"
	".hidden __restore_rt\n"
	".type __restore_rt, @function\n"
	"__restore_rt:\n"
	"\tmov $15, %rax\n"
	"\tsyscall\n"
	".size __restore_rt, . - __restore_rt\n");
