/* SPDX-License-Identifier: MIT */
/*
 * trace.h - per-CPU rings of typed events with the container on each. Off by
 * default but for a small always-on set; when off, an event costs one
 * predictable branch. A panic prints the last events of every CPU.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include "lib/types.h"

enum trace_event {
	TRACE_SWITCH,	 /* a: tid left, b: tid entered */
	TRACE_SYSCALL,	 /* a: number, b: first argument */
	TRACE_SYSRET,	 /* a: number, b: result */
	TRACE_FAULT,	 /* a: address, b: error code */
	TRACE_SIGNAL,	 /* a: signal, b: tid */
	TRACE_CHARGE,	 /* a: resource, b: bytes refused */
	TRACE_DENIAL,	 /* a: call, b: errno */
	TRACE_CONTAINER, /* a: id, b: new state */
	TRACE_EVENTS,
};

extern u32 trace_enabled; /* bit per event; debug kernels: all */
void trace_record(enum trace_event e, u64 a, u64 b);
static inline void trace(enum trace_event e, u64 a, u64 b)
{
	if (unlikely(trace_enabled & (1u << e)))
		trace_record(e, a, b);
}
/* SLOW_CALLS_TRACED if system calls are recorded from the start, else 0. */
u8 trace_calls_at_boot(void);
void trace_dump(unsigned last); /* the last events of each CPU, through printk */

#endif
