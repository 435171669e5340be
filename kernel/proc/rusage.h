/* SPDX-License-Identifier: MIT */
/* rusage.h - struct rusage of x86-64 (man 2 getrusage). */
#ifndef PROC_RUSAGE_H
#define PROC_RUSAGE_H

#include "proc/process.h"

struct timeval_user {
	s64 sec, usec;
};

struct rusage_user {
	struct timeval_user utime, stime;
	s64 maxrss; /* KiB */
	s64 ixrss, idrss, isrss;
	s64 minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv, nsignals, nvcsw, nivcsw;
};

/* Of a child and all that it had waited for, as wait4 gives it. tree_lock held. */
void rusage_of_waited(struct process *p, struct rusage_user *u);

#endif
