/* SPDX-License-Identifier: MIT */
/* loadavg.h - load averages, for the files of the scheduler. See loadavg.c. */
#ifndef PROC_LOADAVG_H
#define PROC_LOADAVG_H

#include "proc/sched.h"

void loadavg_tick(ktime_t now); /* from a busy CPU's tick */
void loadavg_group_init(struct sched_load *l);
void loadavg_group_step(struct sched_group *g, ktime_t now); /* if it is due. R or not */

#endif
