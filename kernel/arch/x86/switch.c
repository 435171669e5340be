/* SPDX-License-Identifier: MIT */
/*
 * switch.c - from one task to the next, and how a task begins.
 *
 *	schedule() (proc) -> arch_switch -> switch_stacks (entry.S) -> ... in next
 *
 * A new task's stack is made to look as if it had called switch_stacks from
 * task_enter_user or task_enter_kernel. Below a user task's frame nothing needs
 * to survive, so those run at its very top.
 *
 * The user's FS and GS bases: with FSGSBASE user code changes them by itself, so
 * they are read at each switch; without, only arch_set_*base() writes them. The
 * user's GS base is in KERNEL_GS_BASE while the kernel runs: SWAPGS around the
 * instruction is far cheaper than the MSR (interrupts are off; NMIs cope).
 */
#include "arch/x86/arch.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/mmu.h"

void switch_stacks(struct task *prev, struct task *next);
void task_enter_user(void);
void task_enter_kernel(void);

static inline u64 gsbase_read(void)
{
	u64 v;

	__asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(v)::"memory");
	return v;
}

static inline void gsbase_write(u64 v)
{
	__asm__ volatile("swapgs; wrgsbase %0; swapgs" ::"r"(v) : "memory");
}

static inline u64 fsbase_read(void)
{
	u64 v;

	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}

static inline void fsbase_write(u64 v)
{
	__asm__ volatile("wrfsbase %0" ::"r"(v) : "memory");
}

static void bases_save(struct task *t)
{
	if (!cpu_has.fsgsbase)
		return;
	t->user_fsbase = fsbase_read();
	t->user_gsbase = gsbase_read();
}

static void bases_load(const struct task *t)
{
	if (cpu_has.fsgsbase) {
		fsbase_write(t->user_fsbase);
		gsbase_write(t->user_gsbase);
	} else {
		wrmsr(MSR_FS_BASE, t->user_fsbase);
		wrmsr(MSR_KERNEL_GS_BASE, t->user_gsbase);
	}
}

void arch_switch(struct task *prev, struct task *next)
{
	struct cpu *c = this_cpu();
	struct cpu_arch *a = c->arch;

	fpu_switch(prev, next);
	if (prev->aspace)
		bases_save(prev);
	if (next->aspace)
		bases_load(next);
	mmu_switch(next->aspace);
	c->task = next;
	c->slow_calls = READ_ONCE(next->owner->slow_calls);
	c->kstack_top = next->kstack_top;
	a->tss.rsp[0] = next->kstack_top;
	switch_stacks(prev, next);
}

/* What switch_stacks pops. */
struct switch_frame {
	u64 r15, r14, r13, r12, rbx, rbp, rip;
};

void arch_task_setup_kernel(struct task *t, void (*fn)(void *), void *arg)
{
	struct switch_frame *s = (struct switch_frame *)(t->kstack_top - 16) - 1;

	*s = (struct switch_frame){
		.rbx = (u64)fn,
		.r12 = (u64)arg,
		.rip = (u64)task_enter_kernel,
	};
	t->kernel_rsp = (u64)s;
}

void arch_task_setup_user(struct task *t, const struct trapframe *frame)
{
	struct trapframe *f = task_frame(t);
	struct switch_frame *s = (struct switch_frame *)f - 1;

	*f = *frame;
	*s = (struct switch_frame){ .rip = (u64)task_enter_user };
	t->kernel_rsp = (u64)s;
}

void arch_set_fsbase(u64 base)
{
	current->user_fsbase = base;
	if (cpu_has.fsgsbase)
		fsbase_write(base);
	else
		wrmsr(MSR_FS_BASE, base);
}

void arch_set_gsbase(u64 base)
{
	current->user_gsbase = base;
	if (cpu_has.fsgsbase)
		gsbase_write(base);
	else
		wrmsr(MSR_KERNEL_GS_BASE, base);
}

u64 arch_get_fsbase(void)
{
	return cpu_has.fsgsbase ? fsbase_read() : current->user_fsbase;
}

u64 arch_get_gsbase(void)
{
	return cpu_has.fsgsbase ? gsbase_read() : current->user_gsbase;
}

void arch_idle_wait(void)
{
	/* STI holds interrupts off for one more instruction: none is lost before HLT. */
	__asm__ volatile("sti; hlt; cli" ::: "memory");
}

void cpu_relax_interrupts(void)
{
	__asm__ volatile("sti; nop; cli" ::: "memory");
}
