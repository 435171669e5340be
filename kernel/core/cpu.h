/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - what there is once per CPU, and the kernel's rule about interrupts.
 *
 * THE RULE. Interrupts are off in the kernel. They are on in user mode, in the
 * idle loop, and for an instant in cpu_relax_interrupts() (called by
 * resched_point() in long loops, with no spin lock held). So kernel code is
 * never interrupted at a place that does not say so; there is no irqsave
 * variant of anything; per-CPU data is stable until the next sleep; and an
 * interrupt handler runs on an otherwise empty stack.
 *
 * The price: a CPU that spins for a lock cannot take the interrupt that its
 * holder may wait for (a TLB shootdown). Therefore every spin loop calls
 * cpu_spin_wait(), which serves the mailbox of cross-CPU requests by polling.
 *
 * The kernel is not preempted: a task gives up its CPU only by sleeping, in
 * resched_point(), and on its way to user mode.
 */
#ifndef CORE_CPU_H
#define CORE_CPU_H

#include "lib/types.h"

#define CPU_MAX 64

struct task;
struct aspace;

/* %gs points here. Offsets of the first six fields are known to entry.S. */
struct cpu {
	struct cpu *self;  /* 0 */
	struct task *task; /* 8: current */
	u64 kstack_top;	   /* 16: of current, loaded at syscall entry */
	u64 user_rsp;	   /* 24: scratch of syscall entry */
	u64 percpu_offset; /* 32: add to the address of a PERCPU variable */
	u8 slow_calls;	   /* 40: of current's owner: its system calls take the long way */
	u32 id;		   /* 0 .. cpu_count-1 */
	u32 apic_id;
	u32 spin_depth; /* debug: spin locks held (no sleeping while > 0) */
	bool idle;	/* in the idle loop; read by others to save an IPI */
	bool online;
	u64 requests;	       /* mailbox: bits CPU_REQ_*, set by others, see smp.h */
	struct aspace *loaded; /* whose page tables CR3 holds (lazy: may not be current's) */
	u64 ticks;	       /* timer interrupts taken: the watchdog watches it */
	struct task *idle_task;
	void *arch; /* GDT, TSS, ...: arch/x86's own */
};

extern struct cpu *cpus[CPU_MAX];
extern unsigned cpu_count; /* CPUs that run; fixed after boot */

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;
	__asm__ volatile("mov %%gs:0, %0" : "=r"(c));
	return c;
}

static inline struct task *current_task(void)
{
	struct task *t;
	__asm__ volatile("mov %%gs:8, %0" : "=r"(t));
	return t;
}
#define current current_task()

#define for_each_cpu(i) for (unsigned i = 0; i < cpu_count; i++)

/*
 * static PERCPU(struct foo, foo): one per CPU, zeroed at boot.
 * percpu_this(foo) is this CPU's, percpu_of(foo, i) CPU i's.
 */
#define PERCPU(type, name) __attribute__((section(".percpu"))) type name
#define percpu_this(var)                                                                        \
	(*({                                                                                    \
		u64 off_;                                                                       \
		__asm__ volatile("mov %%gs:32, %0" : "=r"(off_));                               \
		(__typeof__(var) *)((u64) & (var) + off_); /* integers: it leaves the object */ \
	}))
#define percpu_of(var, i) (*(__typeof__(var) *)((u64) & (var) + cpus[i]->percpu_offset))

/* One turn of a spin loop: PAUSE, and serve this CPU's mailbox if it is not empty. */
void cpu_spin_wait(void);

/*
 * In a long loop that holds no spin lock: lets interrupts in for an instant
 * (27 ns under TCG), and runs another task first if one is due.
 */
void resched_point(void);

#endif
