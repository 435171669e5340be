/* SPDX-License-Identifier: MIT */
/*
 * trace.h - per-CPU rings of typed events with the container on each. Off by
 * default but for a small always-on set; when off, an event costs one
 * predictable branch. A panic prints the last events of every CPU. Readers
 * (container/trace_file.c) ask for all events and for longer rings.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include "lib/types.h"

enum trace_event {
	TRACE_SWITCH,	 /* a: container entered, b: tid entered */
	TRACE_SYSCALL,	 /* a: number, b: first argument */
	TRACE_SYSRET,	 /* a: number, b: result */
	TRACE_FAULT,	 /* a: address, b: error code */
	TRACE_SIGNAL,	 /* a: signal, b: tid */
	TRACE_CHARGE,	 /* a: resource, b: bytes refused */
	TRACE_DENIAL,	 /* a: call, b: its rule (container/filter.h) */
	TRACE_CONTAINER, /* a: id, b: new state */
	TRACE_THROTTLE,	 /* a: container, b: ns until it may run on */
	TRACE_EVENTS,
};

struct trace_entry {
	u64 number; /* 1 ..; 0: never written, or being written */
	ktime_t time;
	u64 a, b;
	u32 event, container;
	u32 tid;
};

extern u32 trace_enabled; /* bit per event; debug kernels: all */
void trace_record(enum trace_event e, u64 a, u64 b);
static inline void trace(enum trace_event e, u64 a, u64 b)
{
	if (unlikely(trace_enabled & (1u << e)))
		trace_record(e, a, b);
}
const char *trace_event_name(unsigned event);
/* SLOW_CALLS_TRACED if system calls are recorded from the start, else 0. */
u8 trace_calls_at_boot(void);
void trace_dump(unsigned last); /* the last events of each CPU, through printk */

/* Everything is recorded, in long rings that current's account pays for, until the stop. The
 * caller sees to it that the two alternate. -ENOMEM */
int trace_start(void);
void trace_stop(void);
/* For readers, while it is started: a position on a CPU, first that of the next event ... */
u64 trace_position(unsigned cpu);
/* ... and what is there: true: *e, and *at is behind it. *lost: how many were overwritten. */
bool trace_read(unsigned cpu, u64 *at, struct trace_entry *e, u64 *lost);

#endif
