/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - the tables that a CPU needs before it can take a trap: GDT, TSS,
 * interrupt stacks, %gs and the system-call registers; and CPUID.
 *
 *	boot CPU   cpu_early_init() (before any C that looks at current)
 *	others     cpu_prepare() by the boot CPU, cpu_load() on themselves (smp.c)
 *
 * Segments (trap.h): SYSRET wants user SS at base+8 and user CS at base+16 (SDM
 * vol. 2, SYSRET). At base itself there is no 32-bit code segment, on purpose: user
 * code cannot enter compatibility mode, where SYSCALL would go to CSTAR.
 */
#include "arch/x86/cpu_arch.h"
#include "arch/x86/arch.h"
#include "arch/x86/io.h"
#include "arch/x86/layout.h"
#include "core/printk.h"

struct cpu *cpus[CPU_MAX];
unsigned cpu_count = 1;
struct cpu_features cpu_has;

extern char boot_stack_top[]; /* boot.S */

static struct cpu_arch boot_cpu __aligned(IST_SIZE);
/* `current` before there are tasks: so that nobody needs to ask whether there is one. */
static struct task boot_task;

/* Flags that are cleared when a system call enters: TF IF DF IOPL NT RF AC ID. */
#define SYSCALL_MASK 0x257700ull
#define STAR_USER    0x23ull /* user SS = this + 8, user CS = this + 16 */

static void features_read(void)
{
	u32 max = cpuid(0, 0).a, max_ext = cpuid(0x80000000, 0).a;
	struct cpuid l1 = cpuid(1, 0), l7 = { 0 }, ld = { 0 }, e1 = { 0 }, e7 = { 0 };

	if (max >= 7)
		l7 = cpuid(7, 0);
	if (max >= 0xd)
		ld = cpuid(0xd, 1);
	if (max_ext >= 0x80000001)
		e1 = cpuid(0x80000001, 0);
	if (max_ext >= 0x80000007)
		e7 = cpuid(0x80000007, 0);
	cpu_has = (struct cpu_features){
		.mce = l1.d & BIT(7),
		.pge = l1.d & BIT(13),
		.pat = l1.d & BIT(16),
		.x2apic = l1.c & BIT(21),
		.tsc_deadline = l1.c & BIT(24),
		.xsave = l1.c & BIT(26),
		.avx = l1.c & BIT(28),
		.rdrand = l1.c & BIT(30),
		.hypervisor = l1.c & BIT(31),
		.fsgsbase = l7.b & BIT(0),
		.smep = l7.b & BIT(7),
		.erms = l7.b & BIT(9),
		.rdseed = l7.b & BIT(18),
		.smap = l7.b & BIT(20),
		.umip = l7.c & BIT(2),
		.xsaveopt = ld.a & BIT(0),
		.nx = e1.d & BIT(20),
		.gb_pages = e1.d & BIT(26),
		.rdtscp = e1.d & BIT(27),
		.invariant_tsc = e7.d & BIT(8),
	};
	if (cpu_has.hypervisor) {
		struct cpuid h = cpuid(0x40000000, 0);
		/* "TCGTCGTCGTCG" */
		cpu_has.tcg = h.b == 0x54474354 && h.c == 0x43544743 && h.d == 0x47435447;
	}
}

static void gdt_fill(struct cpu_arch *a)
{
	u64 base = (u64)&a->tss, limit = sizeof(a->tss) - 1;

	a->gdt[KERNEL_CS / 8] = 0x00af9b000000ffff;
	a->gdt[KERNEL_SS / 8] = 0x00cf93000000ffff;
	a->gdt[USER_SS / 8] = 0x00cff3000000ffff;
	a->gdt[USER_CS / 8] = 0x00affb000000ffff;
	/* SDM vol. 3, 7.2.3: a 64-bit TSS descriptor takes two entries */
	a->gdt[GDT_TSS / 8] =
		limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	a->gdt[GDT_TSS / 8 + 1] = base >> 32;
}

void cpu_prepare(struct cpu_arch *a, unsigned id)
{
	struct cpu *c = &a->cpu;

	c->self = c;
	c->id = id;
	c->arch = a;
	c->task = &boot_task;
	a->tss.io_bitmap = sizeof(a->tss);
	for (unsigned i = 0; i < IST_COUNT; i++) {
		u64 *top = (u64 *)(a->ist[i] + IST_SIZE);
		top[-1] = (u64)c; /* found by nmi_entry from its stack pointer */
		a->tss.ist[i] = (u64)(top - 2);
	}
	gdt_fill(a);
	cpus[id] = c;
}

static void segments_load(struct cpu_arch *a)
{
	struct {
		u16 limit;
		u64 base;
	} __packed gdtr = { sizeof(a->gdt) - 1, (u64)a->gdt };

	__asm__ volatile(
		"lgdt %0\n\t"
		"pushq %1\n\t"
		"leaq 1f(%%rip), %%rax\n\t"
		"pushq %%rax\n\t"
		"lretq\n"
		"1:\tmov %2, %%eax\n\t"
		"mov %%eax, %%ss\n\t"
		"xor %%eax, %%eax\n\t"
		"mov %%eax, %%ds\n\t"
		"mov %%eax, %%es\n\t"
		"mov %%eax, %%fs\n\t"
		"mov %%eax, %%gs\n\t"
		"ltr %w3\n\t"
		"lldt %%ax" /* 0, from above: none: a selector of the local table is a #GP */
		:
		: "m"(gdtr), "i"(KERNEL_CS), "i"(KERNEL_SS), "r"(GDT_TSS)
		: "rax", "memory");
}

void cpu_load(struct cpu_arch *a)
{
	segments_load(a);
	idt_load();
	wrmsr(MSR_GS_BASE, (u64)&a->cpu);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_STAR, STAR_USER << 48 | (u64)KERNEL_CS << 32);
	wrmsr(MSR_LSTAR, (u64)syscall_entry);
	wrmsr(MSR_SFMASK, SYSCALL_MASK);
	if (cpu_has.rdtscp)
		wrmsr(MSR_TSC_AUX, a->cpu.id);
}

void cpu_early_init(void)
{
	features_read();
	boot_task.state = TASK_RUNNABLE;
	cpu_prepare(&boot_cpu, 0);
	boot_cpu.cpu.online = true;
	boot_cpu.cpu.kstack_top = (u64)boot_stack_top;
	idt_init();
	cpu_load(&boot_cpu);
}

/* --- what user space asks --- */

u32 arch_hwcap(void)
{
	return cpuid(1, 0).d;
}

u32 arch_hwcap2(void)
{
	return cpu_has.fsgsbase ? BIT(1) : 0;
}

u64 arch_random_seed(bool *ok)
{
	u64 v = 0;
	bool got = false;

	if (cpu_has.rdseed)
		__asm__ volatile("rdseed %0" : "=r"(v), "=@ccc"(got));
	if (!got && cpu_has.rdrand)
		__asm__ volatile("rdrand %0" : "=r"(v), "=@ccc"(got));
	*ok = got;
	return v;
}
