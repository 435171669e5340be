/* SPDX-License-Identifier: MIT */
/* pid.h - ids, between the files of proc. See pid.c. */
#ifndef PROC_PID_H
#define PROC_PID_H

#include "proc/process.h"

enum pid_use { PID_TASK, PID_PROCESS, PID_GROUP, PID_SESSION };

/* A fresh entry with one use (what, object); wanted: that id or 0. -EAGAIN (none free), -EEXIST,
 * -ENOMEM. */
int pid_create(struct pid_table *t, u32 wanted, enum pid_use what, void *object, u32 *id);
/* One more use of an id that is in use (the caller's object keeps it so). */
void pid_attach(struct pid_table *t, u32 id, enum pid_use what, void *object);
/* The use ends; the last one frees the id. */
void pid_detach(struct pid_table *t, u32 id, enum pid_use what);
/* exec by another thread than the leader: the id now names that task. */
void pid_replace_task(struct pid_table *t, u32 id, struct task *task);
/*
 * The thread with that tid in t, or NULL, not counted: for the scheduler, under RCU, which finds
 * out under R whether it is who it was looked for.
 */
struct task *pid_peek_task(struct pid_table *t, u32 tid);
/* The group or session with that id in t, counted; NULL. */
struct process_group *pid_find_group(struct pid_table *t, u32 id);
void pid_init(void); /* caches */

#endif
