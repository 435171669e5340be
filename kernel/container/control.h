/* SPDX-License-Identifier: MIT */
/* control.h - what the files that print and take control files share. */
#ifndef CONTAINER_CONTROL_H
#define CONTAINER_CONTROL_H

#include "container/container.h"
#include "fs/pseudo.h"

/* control.c: what a resource's files say and take */
int control_show_max(struct container *c, enum resource what, struct text *t);
int control_show_used(struct container *c, enum resource what, struct text *t);
int control_show_peak(struct container *c, enum resource what, struct text *t);
int control_show_events(struct container *c, enum resource what, struct text *t);
int control_store_max(struct container *c, enum resource what, const char *s);

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

/* memory_log.c */
int show_memory_log(void *object, struct text *t);
int store_memory_log(void *object, char *s, size_t n);
extern const struct file_ops memory_address_file_ops;

int show_cfd(void *object, struct text *t);    /* cfd.c */
void cpu_list_print(struct text *t, u64 mask); /* "0-3,5" */

#endif
