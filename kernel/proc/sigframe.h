/* SPDX-License-Identifier: MIT */
/* sigframe.h - the user-stack frame of a handler; see sigframe.c. */
#ifndef PROC_SIGFRAME_H
#define PROC_SIGFRAME_H

#include "arch/x86/trap.h"
#include "proc/signal.h"

#define MINSIGSTKSZ 2048

/* Makes f continue in a's handler; old_mask is what sigreturn restores. -EFAULT: no room. */
int sigframe_push(struct trapframe *f, int sig, const struct sigaction_kernel *a,
		  const struct siginfo *info, sigset_t old_mask);

#endif
