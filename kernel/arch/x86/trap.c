/* SPDX-License-Identifier: MIT */
/*
 * trap.c - exceptions. entry.S made the frame; interrupts are off.
 *
 *	page fault at a user address, from user mode or from the copy routines
 *	    -> aspace_fault(); if that fails: a signal, or the routine's fixup
 *	another exception from user mode -> a signal, with Linux's si_code
 *	#NM -> fpu.c (the FPU is loaded when it is first used)
 *	an interrupt -> irq.c, the timer, or another CPU's request
 *	anything else in the kernel -> panic
 *
 * Signals: SDM vol. 3, 6.15 says what each exception means, sigaction(2) the codes.
 */
#include "arch/x86/arch.h"
#include "arch/x86/asm.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/mmu.h"
#include "arch/x86/smp.h"
#include "core/printk.h"
#include "core/rcu.h"
#include "core/task.h"
#include "core/time.h"
#include "core/trace.h"
#include "mm/aspace.h"

_Static_assert(offsetof(struct cpu, task) == CPU_TASK, "asm.h");
_Static_assert(offsetof(struct cpu, kstack_top) == CPU_KSTACK_TOP, "asm.h");
_Static_assert(offsetof(struct cpu, user_rsp) == CPU_USER_RSP, "asm.h");
_Static_assert(offsetof(struct cpu, percpu_offset) == 32, "cpu.h: percpu_this");
_Static_assert(offsetof(struct cpu, slow_calls) == CPU_SLOW_CALLS, "asm.h");
_Static_assert(offsetof(struct task, kernel_rsp) == TASK_KERNEL_RSP, "asm.h");
_Static_assert(offsetof(struct task, work) == TASK_WORK, "asm.h");
_Static_assert(offsetof(struct trapframe, r11) == FRAME_R11, "asm.h");
_Static_assert(offsetof(struct trapframe, rax) == FRAME_RAX, "asm.h");
_Static_assert(offsetof(struct trapframe, rcx) == FRAME_RCX, "asm.h");
_Static_assert(offsetof(struct trapframe, rip) == FRAME_RIP, "asm.h");
_Static_assert(offsetof(struct trapframe, cs) == FRAME_CS, "asm.h");
_Static_assert(offsetof(struct trapframe, rflags) == FRAME_RFLAGS, "asm.h");
_Static_assert(sizeof(struct trapframe) == FRAME_SIZE, "asm.h");
_Static_assert(IST_SIZE == IST_BYTES, "asm.h");

enum {
	TRAP_DEBUG = 1,
	TRAP_NMI = 2,
	TRAP_BREAKPOINT = 3,
	TRAP_NO_FPU = 7,
	TRAP_DOUBLE_FAULT = 8,
	TRAP_GENERAL = 13,
	TRAP_PAGE_FAULT = 14,
	TRAP_X87 = 16,
	TRAP_MACHINE_CHECK = 18,
	TRAP_SIMD = 19,
	TRAP_COUNT = 32,
};

/* Signal numbers and si_codes (man 2 sigaction); proc/signal.h has them all. */
enum { SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGSEGV = 11 };
enum {
	SI_KERNEL = 0x80,
	FPE_INTDIV = 1,
	SEGV_MAPERR = 1,
	ILL_ILLOPN = 2,
	TRAP_TRACE = 2,
	BUS_ADRALN = 1
};

/* What an exception of user mode turns into. signal 0: it has a case of its own. */
static const struct {
	const char *name;
	u8 signal, code;
	bool at_rip; /* si_addr is the instruction */
} traps[TRAP_COUNT] = {
	[0] = { "divide error", SIGFPE, FPE_INTDIV, true },
	[TRAP_DEBUG] = { "debug", SIGTRAP, TRAP_TRACE, true },
	[TRAP_NMI] = { "NMI", 0, 0, false },
	[TRAP_BREAKPOINT] = { "breakpoint", SIGTRAP, SI_KERNEL, false },
	[4] = { "overflow", SIGSEGV, SI_KERNEL, false },
	[5] = { "bound range", SIGSEGV, SI_KERNEL, false },
	[6] = { "invalid opcode", SIGILL, ILL_ILLOPN, true },
	[TRAP_NO_FPU] = { "no FPU", 0, 0, false },
	[TRAP_DOUBLE_FAULT] = { "double fault", 0, 0, false },
	[10] = { "invalid TSS", SIGSEGV, SI_KERNEL, false },
	[11] = { "segment not present", SIGBUS, SI_KERNEL, false },
	[12] = { "stack segment", SIGBUS, SI_KERNEL, false },
	[TRAP_GENERAL] = { "general protection", SIGSEGV, SI_KERNEL, false },
	[TRAP_PAGE_FAULT] = { "page fault", 0, 0, false },
	[TRAP_X87] = { "x87 exception", 0, 0, true },
	[17] = { "alignment check", SIGBUS, BUS_ADRALN, false },
	[TRAP_MACHINE_CHECK] = { "machine check", 0, 0, false },
	[TRAP_SIMD] = { "SIMD exception", 0, 0, true },
	[21] = { "control protection", SIGSEGV, SI_KERNEL, false },
};

struct trapframe *task_frame(struct task *t)
{
	return (struct trapframe *)t->kstack_top - 1;
}

static u64 read_cr2(void)
{
	u64 v;

	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

static void __noreturn trap_panic(struct trapframe *f, u64 address)
{
	const char *name = f->vector < TRAP_COUNT ? traps[f->vector].name : NULL;

	printk(LOG_EMERG, "rip %04lx:%016lx %pS rflags %08lx\n", f->cs, f->rip, (void *)f->rip,
	       f->rflags);
	printk(LOG_EMERG, "rsp %04lx:%016lx error %lx cr2 %016lx\n", f->ss, f->rsp, f->error,
	       address);
	printk(LOG_EMERG, "rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx,
	       f->rdx);
	printk(LOG_EMERG, "rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp,
	       f->r8);
	printk(LOG_EMERG, "r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11,
	       f->r12);
	printk(LOG_EMERG, "r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
	panic("%s in the kernel at %pS, address %lx, error %lx", name ? name : "unknown trap",
	      (void *)f->rip, address, f->error);
}

/* --- page faults --- */

static void fault_user(struct trapframe *f, u64 address)
{
	int sig, code;

	trace(TRACE_FAULT, address, f->error);
	current->fault_address = address;
	if (address < USER_END) {
		if (likely(aspace_fault(current->aspace, address, f->error, &sig, &code) == 0))
			return;
	} else {
		sig = SIGSEGV;
		code = SEGV_MAPERR;
		f->error |=
			FAULT_PRESENT; /* as Linux: says nothing of what the kernel has mapped */
	}
	signal_fault(sig, code, address, TRAP_PAGE_FAULT, f->error | FAULT_USER);
}

/* In the kernel: only the copy routines may, at user addresses. */
static void fault_kernel(struct trapframe *f, u64 address)
{
	bool sleeps;
	int sig, code;

	if (!extable_may_sleep(f->rip, &sleeps))
		trap_panic(f, address);
	trace(TRACE_FAULT, address, f->error);
	if (sleeps && !current->faults_at_once && address < USER_END && current->aspace &&
	    aspace_fault(current->aspace, address, f->error, &sig, &code) == 0)
		return;
	extable_fixup(f);
}

/* --- the rest --- */

static void trap_user(struct trapframe *f)
{
	int sig = traps[f->vector].signal, code = traps[f->vector].code;

	if (f->vector == TRAP_X87 || f->vector == TRAP_SIMD) {
		sig = SIGFPE;
		code = fpu_exception_code(f->vector == TRAP_SIMD);
	}
	if (!sig)
		sig = SIGSEGV, code = SI_KERNEL;
	signal_fault(sig, code, traps[f->vector].at_rip ? f->rip : 0, f->vector, f->error);
}

static void trap_exception(struct trapframe *f)
{
	if (f->vector == TRAP_NO_FPU && fpu_trap())
		return;
	if (trap_from_user(f)) {
		trap_user(f);
		return;
	}
	trap_panic(f, 0);
}

static PERCPU(u64, interrupts);

u64 interrupts_of(unsigned cpu)
{
	return READ_ONCE(percpu_of(interrupts, cpu));
}

void trap_dispatch(struct trapframe *f)
{
	u64 vector = f->vector;

	if (likely(vector == TRAP_PAGE_FAULT)) {
		u64 address = read_cr2();
		if (likely(trap_from_user(f)))
			fault_user(f, address);
		else
			fault_kernel(f, address);
		return;
	}
	if (vector < TRAP_COUNT) {
		trap_exception(f);
		return;
	}
	if (!trap_from_user(f))
		rcu_idle_exit(); /* the handler may read under RCU */
	percpu_this(interrupts)++;
	if (vector == VECTOR_TIMER)
		apic_timer_interrupt();
	else if (vector == VECTOR_IPI)
		ipi_interrupt();
	else
		irq_dispatch(f);
	if (trap_from_user(f))
		rcu_quiescent();
}

/* On an interrupt stack: NMI, double fault, machine check. */
void nmi_dispatch(struct trapframe *f)
{
	if (f->vector == TRAP_NMI) {
		nmi_interrupt(f);
		return;
	}
	trap_panic(f, read_cr2());
}

/*
 * A return to user mode with a rip above the canonical hole's lower end, which
 * sigreturn or a wild SYSCALL at the last address may ask for. task_user_work is
 * called next and moves rip to a handler, or ends the task.
 */
void trap_bad_return(struct trapframe *f)
{
	signal_fault(SIGSEGV, SI_KERNEL, 0, TRAP_GENERAL, 0);
}

/* --- the descriptor table (SDM vol. 3, 6.14.1) --- */

struct idt_gate {
	u16 offset0, selector;
	u8 ist, type;
	u16 offset1;
	u32 offset2, reserved;
};

static struct idt_gate idt[256] __aligned(PAGE_SIZE);

void nmi_entry(void);
void double_fault_entry(void);
void machine_check_entry(void);

static void gate_set(unsigned vector, u64 entry, unsigned ist, unsigned dpl)
{
	idt[vector] = (struct idt_gate){
		.offset0 = entry,
		.selector = KERNEL_CS,
		.ist = ist,
		.type = 0x8e | dpl << 5, /* present, interrupt gate */
		.offset1 = entry >> 16,
		.offset2 = entry >> 32,
	};
}

void idt_init(void)
{
	for (unsigned v = 0; v < 256; v++)
		gate_set(v, (u64)trap_stubs + v * 16, 0, v == TRAP_BREAKPOINT || v == 4 ? 3 : 0);
	gate_set(TRAP_NMI, (u64)nmi_entry, IST_NMI, 0);
	gate_set(TRAP_DOUBLE_FAULT, (u64)double_fault_entry, IST_DOUBLE_FAULT, 0);
	gate_set(TRAP_MACHINE_CHECK, (u64)machine_check_entry, IST_MACHINE_CHECK, 0);
}

void idt_load(void)
{
	struct {
		u16 limit;
		u64 base;
	} __packed idtr = { sizeof(idt) - 1, (u64)idt };

	__asm__ volatile("lidt %0" ::"m"(idtr));
}
