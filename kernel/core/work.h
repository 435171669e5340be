/* SPDX-License-Identifier: MIT */
/*
 * work.h - work that an interrupt handler, or a place that must not sleep,
 * hands to a kernel thread. Items are embedded in their owners; queueing one
 * that is queued already does nothing. Items run in process context, one after
 * the other.
 */
#ifndef CORE_WORK_H
#define CORE_WORK_H

#include "lib/list.h"

struct work {
	struct list node;
	void (*fn)(struct work *w);
};

void work_init(struct work *w, void (*fn)(struct work *w));
void work_queue(struct work *w); /* any context */
void work_drain(void);		 /* sleeps until all that was queued has run */
void work_init_thread(void);

#endif
