/* SPDX-License-Identifier: MIT */
/*
 * cpu_arch.h - what the files of arch/x86 share and nobody else needs: the
 * per-CPU tables, CPUID, MSR numbers, the vectors.
 */
#ifndef ARCH_CPU_ARCH_H
#define ARCH_CPU_ARCH_H

#include "arch/x86/trap.h"
#include "core/cpu.h"

/* Model-specific registers (SDM vol. 4) and control-register bits (vol. 3, 2.5). */
#define MSR_APIC_BASE	   0x1b
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_X2APIC	   0x800
#define MSR_PAT		   0x277
#define MSR_EFER	   0xc0000080
#define MSR_STAR	   0xc0000081
#define MSR_LSTAR	   0xc0000082
#define MSR_CSTAR	   0xc0000083
#define MSR_SFMASK	   0xc0000084
#define MSR_FS_BASE	   0xc0000100
#define MSR_GS_BASE	   0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX	   0xc0000103

#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)

#define CR4_MCE	       BIT(6)
#define CR4_PGE	       BIT(7)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_FSGSBASE   BIT(16)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)

#define EFER_SCE BIT(0)
#define EFER_NXE BIT(11)

/* Interrupt vectors. 0..31 are exceptions, 32..47 the masked legacy PICs' strays. */
#define VECTOR_LEGACY	    0x20
#define VECTOR_DEVICE_FIRST 0x30
#define VECTOR_DEVICE_LAST  0xef
#define VECTOR_TIMER	    0xf0
#define VECTOR_IPI	    0xf1
#define VECTOR_SPURIOUS	    0xff

/* Interrupt stacks (SDM vol. 3, 6.14.5): entry.S finds the CPU at the top of one. */
enum { IST_NMI = 1, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_COUNT = IST_MACHINE_CHECK };
#define IST_SIZE 4096

struct tss { /* SDM vol. 3, 7.7 */
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, io_bitmap;
} __packed;

#define GDT_TSS	    0x38
#define GDT_ENTRIES 9

/* All that a CPU has. The stacks come first: they are aligned to their size. */
struct cpu_arch {
	u8 ist[IST_COUNT][IST_SIZE];
	struct cpu cpu;
	struct tss tss __aligned(16);
	u64 gdt[GDT_ENTRIES];
	/* tlb.c: one request at a time, as the requester waits for it */
	struct {
		struct aspace *as; /* NULL: kernel addresses */
		u64 start, end;
		bool strict; /* lazy CPUs drop `as` */
	} flush __cacheline;
	u64 flush_pending; /* atomic: bits of the CPUs that have not answered */
	u64 flush_from;	   /* atomic: bits of the CPUs that ask this one */
	u32 lazy;	   /* atomic: enum lazy_state (tlb.c) */
	/* fpu.c */
	bool fpu_live;	 /* CR0.TS is clear: the registers are current's */
	void *fpu_owner; /* whose state the registers (still) hold */
};

static inline struct cpu_arch *this_arch(void)
{
	return this_cpu()->arch;
}

struct cpuid {
	u32 a, b, c, d;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/* a * b / c with 128 bits in between; the result must fit. */
static inline u64 mul_div(u64 a, u64 b, u64 c)
{
	u64 lo, hi;

	__asm__("mulq %3" : "=a"(lo), "=d"(hi) : "0"(a), "rm"(b));
	__asm__("divq %2" : "+a"(lo), "+d"(hi) : "rm"(c));
	return lo;
}

/* What this CPU has, from CPUID; all CPUs are taken to be alike. */
struct cpu_features {
	bool nx, mce, pge, pat, gb_pages, smep, smap, umip, fsgsbase, xsave, xsaveopt, avx, x2apic,
		tsc_deadline, rdtscp, rdrand, rdseed, invariant_tsc, hypervisor, tcg, erms;
};
extern struct cpu_features cpu_has;

/* cpu.c */
void cpu_early_init(void); /* boot CPU: features, its struct cpu, %gs */
void cpu_prepare(struct cpu_arch *a, unsigned id);
void cpu_load(struct cpu_arch *a); /* on that CPU: tables, %gs, syscall registers */

/* main/main.c */
void kernel_main(void) __noreturn;

/* boot.c */
void boot_alloc_unlimited(void);
bool boot_alloc_is_open(void);

/* mmu.c */
paddr_t kernel_cr3(void);

/* tlb.c */
void tlb_serve(void);
void mmu_flush_all(void); /* of this CPU, global pages too */

/* trap.c, entry.S */
extern u64 trap_stubs[256]; /* 16 bytes each */
void idt_init(void);
void idt_load(void);
void syscall_entry(void);
void trap_dispatch(struct trapframe *f);
void nmi_dispatch(struct trapframe *f);
void syscall_slow(struct trapframe *f);
void trap_bad_return(struct trapframe *f);

/* uaccess.c */
void uaccess_init(void); /* patches STAC and CLAC in */
bool extable_fixup(struct trapframe *f);
bool extable_may_sleep(u64 rip, bool *sleeps);

/* fpu.c */
void fpu_init(void);
void fpu_init_cpu(void);
bool fpu_trap(void); /* #NM */
void fpu_switch(struct task *prev, struct task *next);
int fpu_exception_code(bool simd); /* si_code of #MF or #XM */

/* apic.c */
void apic_init(void);
void apic_init_cpu(void);
void apic_eoi(void);
void apic_send(u32 apic_id, u32 command);
u32 apic_id(void);
void apic_timer_interrupt(void);
u32 apic_timer_count(void); /* counts down from 2^32-1 during calibration */
void apic_timer_set_frequency(u64 hz);
#define APIC_INIT    0x4500
#define APIC_STARTUP 0x4600
#define APIC_NMI     0x4400
#define APIC_FIXED   0x4000

/* irq.c, acpi.c, mptable.c, pic.c */
struct irq_override {
	u32 gsi;
	bool level, active_low;
};
struct machine { /* what the firmware's tables say */
	u32 apic_ids[CPU_MAX];
	unsigned cpu_count;
	struct {
		paddr_t address;
		u32 gsi_base;
	} ioapic[8];
	unsigned ioapic_count;
	struct irq_override isa[16];
	paddr_t hpet;
	u16 pm_timer; /* port; 0: none */
	bool pm_timer_32;
	u16 pm1a_control;	/* port; 0: none (FADT) */
	paddr_t sleep_control;	/* hardware-reduced ACPI; 0: none */
	paddr_t reset_register; /* memory-mapped; 0: none */
	u16 reset_port;
	u8 reset_value;
	u8 s5_type, s5_type_reduced;
	bool has_i8042, has_acpi;
};
extern struct machine machine;
bool acpi_init(void);
bool mptable_init(void);
void machine_add_cpu(u32 id);
void machine_add_ioapic(paddr_t address, u32 gsi_base);
void pic_init(void);
void ioapic_init(void);
void irq_dispatch(struct trapframe *f);

/* clock.c, calibrate.c */
void clock_start(void);
void clock_init(void);
void calibrate_begin(void);
u64 calibrate_tsc(u64 *apic_hz);

/* smp.c */
void ipi_interrupt(void);
void nmi_interrupt(struct trapframe *f);
void smp_ap_main(struct cpu_arch *a) __noreturn;
extern char ap_trampoline[], ap_trampoline_end[];

/* power.c */
void power_init(void);

/* vdso.c */
void vdso_init(void);

#endif
