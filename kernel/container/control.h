/* SPDX-License-Identifier: MIT */
/* control.h - what the files that print and take control files share. */
#ifndef CONTAINER_CONTROL_H
#define CONTAINER_CONTROL_H

#include "container/container.h"
#include "fs/pseudo.h"
#include "proc/procfs.h"

/* control_limits.c: what the files of every resource say and take */
int control_show_max(void *object, enum resource what, struct text *t);
int control_show_used(void *object, enum resource what, struct text *t);
int control_show_peak(void *object, enum resource what, struct text *t);
int control_show_events(void *object, enum resource what, struct text *t);
int control_store_max(void *object, enum resource what, const char *s);

/* control_disk.c; the objects are containers */
int show_disk_max(void *object, struct text *t);
int store_disk_max(void *object, char *s, size_t n);
int show_disk_current(void *object, struct text *t);
int show_disk_peak(void *object, struct text *t);
int show_disk_events(void *object, struct text *t);
int show_inodes_max(void *object, struct text *t);
int store_inodes_max(void *object, char *s, size_t n);
int show_inodes_current(void *object, struct text *t);
int show_inodes_peak(void *object, struct text *t);
int show_inodes_events(void *object, struct text *t);
int diff_open(void *object, bool write);
int diff_show(void *object, struct text *t);
int volume_open(void *object, bool write);
int volume_show(void *object, struct text *t);

/* control_mount.c; the same */
int mount_open(void *object, bool write);
int mount_store(void *object, char *s, size_t n);

/* control_cpu.c; the same */
int show_cpu_weight(void *object, struct text *t);
int store_cpu_weight(void *object, char *s, size_t n);
int show_cpu_max(void *object, struct text *t);
int store_cpu_max(void *object, char *s, size_t n);
int show_cpuset(void *object, struct text *t);
int store_cpuset(void *object, char *s, size_t n);
int show_cpuset_effective(void *object, struct text *t);
int show_cpu_stat(void *object, struct text *t);
int show_sched_policy(void *object, struct text *t);
int store_sched_policy(void *object, char *s, size_t n);
int show_sched_log(void *object, struct text *t);
int store_sched_log(void *object, char *s, size_t n);
int show_sched_state(void *object, struct text *t);

/* control_limits.c */
int show_pids_max(void *object, struct text *t);
int show_pids_current(void *object, struct text *t);
int show_pids_peak(void *object, struct text *t);
int show_pids_events(void *object, struct text *t);
int show_files_max(void *object, struct text *t);
int show_files_current(void *object, struct text *t);
int show_files_peak(void *object, struct text *t);
int show_files_events(void *object, struct text *t);
int show_memory_max(void *object, struct text *t);
int show_memory_high(void *object, struct text *t);
int show_memory_min(void *object, struct text *t);
int show_memory_current(void *object, struct text *t);
int show_memory_peak(void *object, struct text *t);
int show_memory_events(void *object, struct text *t);
int show_memory_stat(void *object, struct text *t);
int store_pids_max(void *object, char *s, size_t n);
int store_files_max(void *object, char *s, size_t n);
int store_memory_max(void *object, char *s, size_t n);
int store_memory_high(void *object, char *s, size_t n);
int store_memory_min(void *object, char *s, size_t n);

/* control_io.c */
int show_io_stat(void *object, struct text *t);
int show_io_max(void *object, struct text *t);
int store_io_max(void *object, char *s, size_t n);

/* memory_log.c */
int show_memory_log(void *object, struct text *t);
int store_memory_log(void *object, char *s, size_t n);
extern const struct file_ops memory_address_file_ops;

/* control_usermap.c */
int usermap_open(void *object, bool write);
int show_uid_map(void *object, struct text *t);
int show_gid_map(void *object, struct text *t);
int store_uid_map(void *object, char *s, size_t n);
int store_gid_map(void *object, char *s, size_t n);

int show_cfd(void *object, struct text *t);    /* cfd.c */
void cpu_list_print(struct text *t, u64 mask); /* "0-3,5" */

#endif
