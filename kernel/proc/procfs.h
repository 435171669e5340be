/* SPDX-License-Identifier: MIT */
/* procfs.h - /proc: procfs.c has the system's files, procfs_pid.c those of a process. */
#ifndef PROC_PROCFS_H
#define PROC_PROCFS_H

#include "fs/pseudo.h"
#include "proc/process.h"

extern const struct fs_type procfs_type;

/* Whose processes a mount shows; object: the superblock. */
static inline struct pid_table *procfs_table(void *object)
{
	return ((struct superblock *)object)->owner->pids;
}

/* The computed entries of the root: process directories. */
int procfs_pid_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e,
		      void **child);
bool procfs_pid_next(void *object, u64 *cookie, char *name, size_t size, u32 *mode);
/* /proc/mounts and /proc/PID/mounts, /proc/PID/mountinfo */
int procfs_show_mounts(struct process *p, struct text *t, bool info);
/* Clock ticks of user space: 100 a second (USER_HZ). */
static inline u64 procfs_ticks(ktime_t ns)
{
	return ns / (NSEC_PER_SEC / 100);
}

#endif
