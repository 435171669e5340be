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
/* procfs_pid.c. The leader's thread and the address space of p, counted; NULL: it has none. */
struct task *procfs_process_task(struct process *p);
struct aspace *procfs_process_aspace(struct process *p);

/* procfs_status.c. t: NULL if it has gone; id: what it is called */
int procfs_print_stat(struct process *p, struct task *t, u32 id, struct text *out);
int procfs_print_status(struct process *p, struct task *t, u32 id, struct text *out);
int procfs_show_stat(void *object, struct text *out);
int procfs_show_status(void *object, struct text *out);
int procfs_show_statm(void *object, struct text *out);

/* procfs_usermap.c; m: NULL: the host's */
void procfs_print_usermap(const struct usermap *m, bool groups, struct text *out);
int procfs_show_uid_map(void *object, struct text *out);
int procfs_show_gid_map(void *object, struct text *out);
int procfs_show_setgroups(void *object, struct text *out);

/* procfs_memory.c */
int procfs_open_private(void *object, bool write); /* -EACCES: may not look into its memory */
int procfs_show_cmdline(void *object, struct text *out);
int procfs_show_environ(void *object, struct text *out);
int procfs_show_auxv(void *object, struct text *out);
int procfs_show_maps(void *object, struct text *out);

/* procfs_links.c */
int procfs_follow_exe(void *object, struct path *out);
int procfs_follow_root(void *object, struct path *out);
int procfs_follow_cwd(void *object, struct path *out);
int procfs_read_exe(void *object, char *buf, size_t size);
int procfs_read_root(void *object, char *buf, size_t size);
int procfs_read_cwd(void *object, char *buf, size_t size);
int procfs_fd_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e,
		     void **child);
bool procfs_fd_next(void *object, u64 *cookie, char *name, size_t size, u32 *mode);

/* Clock ticks of user space: 100 a second (USER_HZ). */
static inline u64 procfs_ticks(ktime_t ns)
{
	return ns / (NSEC_PER_SEC / 100);
}

#endif
