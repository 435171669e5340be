/* SPDX-License-Identifier: MIT */
/* sigtimer.h - clock ids, user time structs, and the timers that send signals. */
#ifndef PROC_SIGTIMER_H
#define PROC_SIGTIMER_H

#include "proc/signal.h"

enum {
	CLOCK_REALTIME,
	CLOCK_MONOTONIC,
	CLOCK_PROCESS_CPUTIME_ID,
	CLOCK_THREAD_CPUTIME_ID,
	CLOCK_MONOTONIC_RAW,
	CLOCK_REALTIME_COARSE,
	CLOCK_MONOTONIC_COARSE,
	CLOCK_BOOTTIME,
	CLOCK_REALTIME_ALARM,
	CLOCK_BOOTTIME_ALARM,
	CLOCK_TAI = 11,
};

struct timespec_user {
	s64 sec, nsec;
};
int timespec_valid(const struct timespec_user *t);
s64 timespec_ns(const struct timespec_user *t); /* saturates */
struct timespec_user ns_timespec(s64 ns);
int timespec_from_user(uaddr_t p, s64 *ns); /* -EFAULT, -EINVAL */
int timespec_to_user(uaddr_t p, s64 ns);

bool clock_is_cpu(s32 id);
/* The monotonic time at which clock `id` reads ns (or will have advanced by ns). -EINVAL */
int clock_deadline(s32 id, s64 ns, bool absolute, ktime_t *deadline);

#endif
