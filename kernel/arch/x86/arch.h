/* SPDX-License-Identifier: MIT */
/*
 * arch.h - the rest of what the machine offers to the portable layers: context
 * switch, FPU state, the clock's hardware, idle, power.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include "core/task.h"
#include "arch/x86/trap.h"

/* --- order of start-up, called by main/main.c --- */
void arch_init_early(
	void); /* traps, the boot CPU's struct cpu, serial log; printk works after it */
void arch_init_memory(void); /* mmu_init: the final map */
void arch_init_devices(
	void); /* ACPI/MP tables, APICs, clock calibration, copy_choose; after slab_init */

/* --- tasks --- */
/* Saves prev's kernel context and continues next's; FPU, FS/GS base, kstack_top, CR3 included. */
void arch_switch(struct task *prev, struct task *next);
/* Prepares a new task's stack so that its first switch calls fn(arg) (kernel thread) ... */
void arch_task_setup_kernel(struct task *t, void (*fn)(void *), void *arg);
/* ... or returns to user mode with *frame (fork: a copy of the parent's with rax = 0). */
void arch_task_setup_user(struct task *t, const struct trapframe *frame);
/* The kernel stack is used from the top down; the new task first runs sched_finish_switch(). */
void sched_finish_switch(void); /* in proc/sched.c */

/* --- FPU (XSAVE; SDM vol. 1, chapter 13). task->fpu is fpu.c's: NULL until first used. --- */
size_t fpu_size(void);		 /* bytes of the area, 64-aligned; standard format */
void fpu_init_state(void *area); /* the state of a fresh process */
/* Signal frames: write current's state in the layout that Linux uses (fxsave + sw bytes +
 * xsave header, magic 2): size by fpu_frame_size(); dst 64-aligned; restoring checks it: -EFAULT,
 * -EINVAL. A task that has not used the FPU has size 0: store a NULL pointer in the frame;
 * restoring from 0 gives the initial state. */
size_t fpu_frame_size(void);
int fpu_save_to_user(uaddr_t dst);
int fpu_restore_from_user(uaddr_t src);
void fpu_reset_current(void);	   /* exec */
int fpu_clone(struct task *child); /* gives child a copy of current's live state: -ENOMEM */
void fpu_free(struct task *t);

/* --- thread-local storage bases (arch_prctl(2)) --- */
void arch_set_fsbase(u64 base); /* of current, now */
void arch_set_gsbase(u64 base);
u64 arch_get_fsbase(void);
u64 arch_get_gsbase(void);

/* --- the clock's hardware --- */
void arch_timer_arm(ktime_t expires); /* one-shot interrupt of this CPU; KTIME_NEVER: none */
u64 arch_tsc_khz(void);
s64 arch_rtc_read(void); /* seconds since 1970 from the CMOS clock; 0: none */

/* --- CPU features for the auxv and cpuinfo --- */
u32 arch_hwcap(void);  /* CPUID.1:EDX */
u32 arch_hwcap2(void); /* bit 1: FSGSBASE usable */
size_t arch_cpuinfo(unsigned cpu, char *buf,
		    size_t size); /* the text of /proc/cpuinfo for one CPU */
u64 arch_random_seed(bool *ok);	  /* RDSEED or RDRAND, once */

/* --- idle and power --- */
u64 interrupts_of(unsigned cpu); /* that it took since boot */
void arch_idle_wait(void);	 /* interrupts on, halt until one comes, interrupts off */
void cpu_relax_interrupts(void); /* lets pending interrupts in, for resched_point() */
void arch_power_off(void) __noreturn;
void arch_reset(void) __noreturn;
void arch_exit_panic(void)
	__noreturn; /* isa-debug-exit if "debug_exit" is on the command line, else reset */

/* --- the vDSO: pages that every process maps, the data page directly below the code --- */
struct vdso_image {
	const void *code; /* page-aligned ELF shared object */
	size_t code_size; /* bytes, a multiple of the page size */
	void *data;	  /* one page: clock parameters, read by user code */
	u64 sigreturn;	  /* offset of __restore_rt in code */
};
const struct vdso_image *arch_vdso(void);
void arch_vdso_update(void); /* the realtime offset changed */

#endif
