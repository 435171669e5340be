/* SPDX-License-Identifier: MIT */
/* loadavg.h - load averages. See loadavg.c. */
#ifndef PROC_LOADAVG_H
#define PROC_LOADAVG_H

#include "lib/types.h"

void loadavg_tick(ktime_t now); /* from a busy CPU's tick */

#endif
