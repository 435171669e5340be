/* SPDX-License-Identifier: MIT */
/*
 * apic.c - the local APIC (SDM vol. 3, chapter 10): end of interrupt, messages to
 * other CPUs, and this CPU's one-shot timer. x2APIC where the CPU has it (MSRs),
 * else a page of device memory.
 */
#include "arch/x86/arch.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/mmu.h"
#include "core/printk.h"
#include "core/time.h"

enum {
	APIC_ID = 0x20,
	APIC_TPR = 0x80,
	APIC_EOI = 0xb0,
	APIC_SPURIOUS = 0xf0,
	APIC_ESR = 0x280,
	APIC_ICR = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
};

#define APIC_BASE_ENABLE  BIT(11)
#define APIC_BASE_X2APIC  BIT(10)
#define APIC_BASE_ADDRESS 0xffffff000ull
#define SPURIOUS_ENABLE	  BIT(8)
#define LVT_MASKED	  BIT(16)
#define LVT_NMI		  (4 << 8)
#define LVT_TSC_DEADLINE  (2 << 17)
#define ICR_PENDING	  BIT(12)
#define DIVIDE_BY_1	  0xb
#define COUNT_MAX	  UINT32_MAX

#define SPAN_MAX (1000 * NSEC_PER_SEC) /* the timer may fire early: core looks again */

static volatile u8 *registers; /* NULL: x2APIC */
static u64 ticks_per_ns_32;    /* timer ticks per nanosecond, 32.32 fixed point */
static bool deadline_mode;

static inline void fence(void)
{
	__asm__ volatile("mfence; lfence" ::: "memory");
}

static u32 apic_read(u32 reg)
{
	return registers ? mmio_read32(registers + reg) : (u32)rdmsr(MSR_X2APIC + (reg >> 4));
}

static void apic_write(u32 reg, u32 v)
{
	if (likely(registers != NULL))
		mmio_write32(registers + reg, v);
	else
		wrmsr(MSR_X2APIC + (reg >> 4), v);
}

u32 apic_id(void)
{
	u32 id = apic_read(APIC_ID);

	return registers ? id >> 24 : id;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_send(u32 target, u32 command)
{
	if (!registers) {
		fence(); /* an x2APIC write does not order earlier stores (10.12.3) */
		wrmsr(MSR_X2APIC + (APIC_ICR >> 4), (u64)target << 32 | command);
		return;
	}
	while (apic_read(APIC_ICR) & ICR_PENDING)
		cpu_pause();
	apic_write(APIC_ICR_HIGH, target << 24);
	apic_write(APIC_ICR, command);
}

void apic_init_cpu(void)
{
	u64 base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, registers ? base : base | APIC_BASE_X2APIC);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_LVT_LINT0, LVT_MASKED); /* the 8259s are masked as well */
	apic_write(APIC_LVT_LINT1, LVT_NMI);
	apic_write(APIC_LVT_ERROR, LVT_MASKED);
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | (deadline_mode ? LVT_TSC_DEADLINE : 0));
	apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	fence(); /* before the first deadline (10.5.4.1) */
}

/* Also starts the timer, with its interrupt masked: a clock to calibrate with. */
void apic_init(void)
{
	if (!cpu_has.x2apic)
		registers = mmio_map(rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS, PAGE_SIZE);
	apic_init_cpu();
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_MASKED);
	apic_write(APIC_TIMER_INITIAL, COUNT_MAX);
}

u32 apic_timer_count(void)
{
	return apic_read(APIC_TIMER_CURRENT);
}

/*
 * Calibration is over: the timer becomes arch_timer_arm's. It fires at once, so that
 * what was asked for before is looked at.
 */
void apic_timer_set_frequency(u64 hz)
{
	ticks_per_ns_32 = mul_div(hz, 1ull << 32, NSEC_PER_SEC);
	deadline_mode = cpu_has.tsc_deadline;
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_init_cpu();
	arch_timer_arm(0);
}

void arch_timer_arm(ktime_t expires)
{
	if (unlikely(!ticks_per_ns_32))
		return; /* apic_timer_set_frequency will look again */
	ktime_t now = ktime_get();
	u64 ns = expires > now ? MIN(expires - now, SPAN_MAX) : 0;
	if (deadline_mode) {
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + ns * arch_tsc_khz() / 1000000 + 1);
		return;
	}
	unsigned __int128 ticks = ((unsigned __int128)ns * ticks_per_ns_32 >> 32) + 1;
	apic_write(APIC_TIMER_INITIAL, ticks > COUNT_MAX ? COUNT_MAX : (u32)ticks);
}

void apic_timer_interrupt(void)
{
	apic_eoi();
	timer_interrupt();
}
