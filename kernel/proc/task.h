/* SPDX-License-Identifier: MIT */
/* task.h - birth and end of tasks, between the files of proc. */
#ifndef PROC_TASK_H
#define PROC_TASK_H

#include "core/task.h"

/* What a kernel thread is: credentials, owner and account of the host's root; no process. */
void task_init_kernel(struct task *t, const char *name);
/* t has been switched away from for the last time: gives back its stack and the run's reference. */
void task_finish_dead(struct task *t);
/* current ends: switched away from, never to return. Everything but the stack is given back. */
void sched_exit(void) __noreturn;
void task_init(void); /* caches */

#endif
