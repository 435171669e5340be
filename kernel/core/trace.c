/* SPDX-License-Identifier: MIT */
/*
 * trace.c - per-CPU rings of events (core/trace.h). A ring is written by its
 * CPU alone, with interrupts off; a reader on another CPU may see an entry that
 * is being overwritten, which its sequence number shows.
 */
#include "core/trace.h"

#include "core/cpu.h"
#include "core/owner.h"
#include "core/printk.h"
#include "core/task.h"
#include "core/time.h"

#define TRACE_RING 256 /* entries per CPU, a power of two */

struct trace_entry {
	u64 number; /* 1 ..; 0: never written, or being written */
	ktime_t time;
	u64 a, b;
	u32 event, container;
	u32 tid;
};

struct trace_ring {
	u64 count; /* entries written so far */
	struct trace_entry entry[TRACE_RING];
};

static PERCPU(struct trace_ring, trace_ring);

#if DEBUG
u32 trace_enabled = (1u << TRACE_EVENTS) - 1;
#else
u32 trace_enabled = 1u << TRACE_CHARGE | 1u << TRACE_DENIAL | 1u << TRACE_CONTAINER;
#endif

static const char *const trace_names[TRACE_EVENTS] = {
	[TRACE_SWITCH] = "switch", [TRACE_SYSCALL] = "syscall",
	[TRACE_SYSRET] = "sysret", [TRACE_FAULT] = "fault",
	[TRACE_SIGNAL] = "signal", [TRACE_CHARGE] = "charge-refused",
	[TRACE_DENIAL] = "denial", [TRACE_CONTAINER] = "container",
};

void trace_record(enum trace_event event, u64 a, u64 b)
{
	struct trace_ring *ring = &percpu_this(trace_ring);
	struct trace_entry *e = &ring->entry[ring->count % TRACE_RING];
	const struct task *t = current;

	WRITE_ONCE(e->number, 0);
	barrier();
	e->time = ktime_get();
	e->event = event;
	e->a = a;
	e->b = b;
	e->tid = t ? t->tid : 0;
	e->container = t && t->owner ? t->owner->id : 0;
	__atomic_store_n(&e->number, ++ring->count, __ATOMIC_RELEASE);
}

u8 trace_calls_at_boot(void)
{
	return trace_enabled & 1u << TRACE_SYSCALL ? SLOW_CALLS_TRACED : 0;
}

static void trace_print(const struct trace_entry *e)
{
	printk(LOG_EMERG, "  %5ld.%06ld container %u task %u %s %lx %lx\n", e->time / NSEC_PER_SEC,
	       e->time % NSEC_PER_SEC / NSEC_PER_USEC, e->container, e->tid,
	       e->event < TRACE_EVENTS ? trace_names[e->event] : "?", e->a, e->b);
}

void trace_dump(unsigned last)
{
	for_each_cpu (i) {
		const struct trace_ring *ring = &percpu_of(trace_ring, i);
		u64 count = READ_ONCE(ring->count), n = MIN((u64)last, count);

		if (n)
			printk(LOG_EMERG, "CPU %u: last events:\n", i);
		for (u64 at = count - n; at < count; at++) {
			struct trace_entry e = ring->entry[at % TRACE_RING];
			if (e.number == at + 1)
				trace_print(&e);
		}
	}
}
