/* SPDX-License-Identifier: MIT */
/*
 * calibrate.c - how fast the TSC and the local APIC's timer run. In order of
 * trust: what CPUID says; TCG's APIC timer, which is 1 GHz exactly; the HPET; the
 * ACPI PM timer; the PIT.
 *
 * calibrate_begin() notes the start early in boot, and calibrate_tsc() ends the
 * measurement: what boot does meanwhile need not be waited for. A reading is
 * bracketed by two of the TSC, and the tightest of a few is taken.
 */
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/mmu.h"
#include "core/printk.h"

#define TCG_APIC_HZ 1000000000ull
#define PM_TIMER_HZ 3579545ull
#define PIT_HZ	    1193182ull
#define SAMPLES	    5
#define WINDOW_TCG  1000000u /* APIC ticks: 1 ms */
#define WINDOW_NS   10000000ull

struct sample {
	u64 tsc, reference, apic;
};

struct reference {
	const char *name;
	u64 (*read)(void);
	u64 hz;
	u64 mask; /* it wraps around at this */
};

static struct sample begin;
static volatile u8 *hpet;

static u64 hpet_read(void)
{
	return mmio_read32(hpet + 0xf0);
}

static u64 pm_timer_read(void)
{
	return inl(machine.pm_timer);
}

/* Channel 0, counting down from 65536; latched (8254 data sheet). */
static u64 pit_read(void)
{
	outb(0x43, 0);
	u64 lo = inb(0x40);
	return 0x10000 - (lo | (u64)inb(0x40) << 8);
}

static u64 apic_elapsed(void)
{
	return UINT32_MAX - apic_timer_count();
}

static struct sample sample(u64 (*read)(void))
{
	struct sample best = { 0 };
	u64 best_width = UINT64_MAX;

	for (int i = 0; i < SAMPLES; i++) {
		u64 t0 = rdtsc();
		u64 v = read();
		u64 t1 = rdtsc();
		if (t1 - t0 < best_width) {
			best_width = t1 - t0;
			best = (struct sample){ .tsc = t0 + (t1 - t0) / 2, .reference = v };
		}
	}
	best.apic = apic_elapsed();
	return best;
}

void calibrate_begin(void)
{
	begin = sample(apic_elapsed);
}

static u64 tsc_from_cpuid(u64 *apic_hz)
{
	if (cpu_has.hypervisor && cpuid(0x40000000, 0).a >= 0x40000010) {
		struct cpuid c = cpuid(0x40000010, 0); /* kHz; the APIC bus in EBX */
		*apic_hz = (u64)c.b * 1000;
		return (u64)c.a * 1000;
	}
	if (cpuid(0, 0).a >= 0x15) {
		struct cpuid c = cpuid(0x15, 0);
		if (c.a && c.b && c.c) {
			*apic_hz = c.c;
			return (u64)c.c * c.b / c.a;
		}
	}
	return 0;
}

static u64 tsc_from_tcg(u64 *apic_hz)
{
	struct sample end;

	do
		end = sample(apic_elapsed);
	while (end.reference - begin.reference < WINDOW_TCG);
	*apic_hz = TCG_APIC_HZ;
	return mul_div(end.tsc - begin.tsc, TCG_APIC_HZ, end.reference - begin.reference);
}

static struct reference reference_choose(void)
{
	if (machine.hpet) {
		hpet = mmio_map(machine.hpet, 0x400);
		u64 period_fs = mmio_read32(hpet + 4);
		mmio_write32(hpet + 0x10, mmio_read32(hpet + 0x10) | 1); /* enable */
		return (struct reference){ "hpet", hpet_read, 1000000000000000ull / period_fs,
					   UINT32_MAX };
	}
	if (machine.pm_timer)
		return (struct reference){ "pm timer", pm_timer_read, PM_TIMER_HZ,
					   machine.pm_timer_32 ? UINT32_MAX : 0xffffff };
	outb(0x43, 0x34); /* channel 0, both bytes, rate generator */
	outb(0x40, 0);
	outb(0x40, 0);
	return (struct reference){ "pit", pit_read, PIT_HZ, 0xffff };
}

static u64 tsc_from_reference(u64 *apic_hz)
{
	struct reference r = reference_choose();
	struct sample start = sample(r.read), end;
	u64 passed, window = r.hz * WINDOW_NS / NSEC_PER_SEC;

	do {
		end = sample(r.read);
		passed = (end.reference - start.reference) & r.mask;
	} while (passed < window);
	*apic_hz = mul_div(end.apic - start.apic, r.hz, passed);
	return mul_div(end.tsc - start.tsc, r.hz, passed);
}

u64 calibrate_tsc(u64 *apic_hz)
{
	u64 hz, measured;

	*apic_hz = 0;
	if (cpu_has.tcg)
		return tsc_from_tcg(apic_hz);
	hz = tsc_from_cpuid(apic_hz);
	if (hz && *apic_hz)
		return hz;
	measured = tsc_from_reference(apic_hz);
	return hz ? hz : measured;
}
