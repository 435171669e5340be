/* SPDX-License-Identifier: MIT */
/* rlimit.h - resource limits of a process (man 2 getrlimit). */
#ifndef CORE_RLIMIT_H
#define CORE_RLIMIT_H

#include "core/task.h"

enum {
	RLIMIT_CPU,
	RLIMIT_FSIZE,
	RLIMIT_DATA,
	RLIMIT_STACK,
	RLIMIT_CORE,
	RLIMIT_RSS,
	RLIMIT_NPROC,
	RLIMIT_NOFILE,
	RLIMIT_MEMLOCK,
	RLIMIT_AS,
	RLIMIT_LOCKS,
	RLIMIT_SIGPENDING,
	RLIMIT_MSGQUEUE,
	RLIMIT_NICE,
	RLIMIT_RTPRIO,
	RLIMIT_RTTIME,
	RLIMIT_COUNT,
};
#define RLIM_INFINITY UINT64_MAX

struct rlimit {
	u64 cur, max;
};
struct rlimits {
	struct rlimit
		lim[RLIMIT_COUNT]; /* written under process->signal_lock, read with READ_ONCE */
};

/* The soft limit of current; infinite for kernel threads. */
static inline u64 rlimit_cur(unsigned which)
{
	return current->rlimits ? READ_ONCE(current->rlimits->lim[which].cur) : RLIM_INFINITY;
}

#endif
