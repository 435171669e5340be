/* SPDX-License-Identifier: MIT */
/*
 * trace.c - per-CPU rings of events (core/trace.h). A ring is written by its
 * CPU alone, with interrupts off; a reader on another CPU may see an entry that
 * is being overwritten, which its sequence number shows.
 *
 * Each CPU has a short ring for panics. trace_start() gives it a long one, on the
 * CPU itself, so that no event is being written meanwhile; numbers go on, and what
 * the long one does not hold counts as lost.
 */
#include "core/trace.h"

#include "arch/x86/smp.h"
#include "core/cpu.h"
#include "core/errno.h"
#include "core/owner.h"
#include "core/printk.h"
#include "core/task.h"
#include "core/time.h"
#include "mm/slab.h"

#define TRACE_SHORT 256	 /* entries per CPU, a power of two */
#define TRACE_LONG  8192 /* the same, while somebody reads */

struct trace_ring {
	u64 count;		       /* entries written so far */
	u64 size;		       /* of long_ring; 0: there is none */
	struct trace_entry *long_ring; /* changed by its CPU alone */
	struct trace_entry short_ring[TRACE_SHORT];
};

static PERCPU(struct trace_ring, trace_ring);

#if DEBUG
#define TRACE_AT_BOOT ((1u << TRACE_EVENTS) - 1)
#else
#define TRACE_AT_BOOT (1u << TRACE_CHARGE | 1u << TRACE_DENIAL | 1u << TRACE_CONTAINER)
#endif

u32 trace_enabled = TRACE_AT_BOOT;

static const char *const trace_names[TRACE_EVENTS] = {
	[TRACE_SWITCH] = "switch",     [TRACE_SYSCALL] = "syscall",
	[TRACE_SYSRET] = "sysret",     [TRACE_FAULT] = "fault",
	[TRACE_SIGNAL] = "signal",     [TRACE_CHARGE] = "charge-refused",
	[TRACE_DENIAL] = "denial",     [TRACE_CONTAINER] = "container",
	[TRACE_THROTTLE] = "throttle",
};

const char *trace_event_name(unsigned event)
{
	return event < TRACE_EVENTS ? trace_names[event] : "?";
}

static struct trace_entry *ring_entry(struct trace_ring *ring, u64 n)
{
	return ring->size ? &ring->long_ring[n % ring->size] : &ring->short_ring[n % TRACE_SHORT];
}

void trace_record(enum trace_event event, u64 a, u64 b)
{
	struct trace_ring *ring = &percpu_this(trace_ring);
	struct trace_entry *e = ring_entry(ring, ring->count);
	const struct task *t = current;

	WRITE_ONCE(e->number, 0);
	barrier();
	e->time = ktime_get();
	e->event = event;
	e->a = a;
	e->b = b;
	e->tid = t ? t->tid : 0;
	e->container = t && t->owner ? t->owner->id : 0;
	__atomic_store_n(&e->number, ring->count + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&ring->count, ring->count + 1, __ATOMIC_RELEASE);
}

u8 trace_calls_at_boot(void)
{
	return TRACE_AT_BOOT & 1u << TRACE_SYSCALL ? SLOW_CALLS_TRACED : 0;
}

/* --- for readers --- */

static struct trace_entry *new_rings[CPU_MAX]; /* what take_ring gives to each CPU */

/* On each CPU: swaps its long ring with what stands in new_rings. */
static void take_ring(void *arg)
{
	struct trace_ring *ring = &percpu_this(trace_ring);
	struct trace_entry **mine = &new_rings[this_cpu()->id], *old = ring->long_ring;

	ring->long_ring = *mine;
	ring->size = *mine ? TRACE_LONG : 0;
	*mine = old;
}

static void free_rings(void)
{
	for_each_cpu (i) {
		vfree(new_rings[i]);
		new_rings[i] = NULL;
	}
}

int trace_start(void)
{
	for_each_cpu (i) {
		new_rings[i] =
			vmalloc(sizeof(struct trace_entry) * TRACE_LONG, KM_ACCOUNT | KM_ZERO);
		if (!new_rings[i]) {
			free_rings();
			return -ENOMEM;
		}
	}
	smp_call_all(take_ring, NULL);
	WRITE_ONCE(trace_enabled, (1u << TRACE_EVENTS) - 1);
	return 0;
}

void trace_stop(void)
{
	WRITE_ONCE(trace_enabled, TRACE_AT_BOOT);
	smp_call_all(take_ring, NULL);
	free_rings();
}

u64 trace_position(unsigned cpu)
{
	return __atomic_load_n(&percpu_of(trace_ring, cpu).count, __ATOMIC_ACQUIRE);
}

bool trace_read(unsigned cpu, u64 *at, struct trace_entry *e, u64 *lost)
{
	struct trace_ring *ring = &percpu_of(trace_ring, cpu);
	u64 count = trace_position(cpu);

	if (count - *at > TRACE_LONG) {
		/* with some room, or the writer would overtake this reader again */
		*lost += count - *at - TRACE_LONG / 2;
		*at = count - TRACE_LONG / 2;
	}
	while (*at < count) {
		const struct trace_entry *from = ring_entry(ring, (*at)++);
		u64 number = __atomic_load_n(&from->number, __ATOMIC_ACQUIRE);

		*e = *from;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (number == *at && READ_ONCE(from->number) == number)
			return true;
		++*lost;
	}
	return false;
}

/* --- panic --- */

static void trace_print(const struct trace_entry *e)
{
	printk(LOG_EMERG, "  %5ld.%06ld container %u task %u %s %lx %lx\n", e->time / NSEC_PER_SEC,
	       e->time % NSEC_PER_SEC / NSEC_PER_USEC, e->container, e->tid,
	       trace_event_name(e->event), e->a, e->b);
}

void trace_dump(unsigned last)
{
	for_each_cpu (i) {
		struct trace_ring *ring = &percpu_of(trace_ring, i);
		u64 count = READ_ONCE(ring->count), n = MIN((u64)last, count);

		if (n)
			printk(LOG_EMERG, "CPU %u: last events:\n", i);
		for (u64 at = count - n; at < count; at++) {
			struct trace_entry e = *ring_entry(ring, at);
			if (e.number == at + 1)
				trace_print(&e);
		}
	}
}
