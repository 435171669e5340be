/* SPDX-License-Identifier: MIT */
/*
 * clock.c - ktime_get() (core/time.h): the TSC, scaled; and the clocks' start.
 *
 *	ns = (tsc - base) * mult >> 32
 *
 * base is the TSC at boot; mult is constant once clock_init() has measured the
 * frequency. Before that it assumes a TSC faster than any, so that the clock only
 * jumps forward. The vDSO computes the same from its data page.
 */
#include "arch/x86/arch.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/vdso/data.h"
#include "core/printk.h"
#include "core/time.h"

#define TSC_HZ_UNKNOWN 16000000000ull

static u64 tsc_base, tsc_mult, tsc_hz;

static u64 mult_for(u64 hz)
{
	return mul_div(NSEC_PER_SEC, 1ull << 32, hz);
}

ktime_t ktime_get(void)
{
	return (unsigned __int128)(rdtsc() - tsc_base) * tsc_mult >> 32;
}

u64 arch_tsc_khz(void)
{
	return tsc_hz / 1000;
}

/* The earliest moment that is known: before anything asks for the time. */
void clock_start(void)
{
	tsc_base = rdtsc();
	tsc_mult = mult_for(TSC_HZ_UNKNOWN);
}

void clock_init(void)
{
	u64 apic_hz;
	s64 seconds = arch_rtc_read();

	tsc_hz = calibrate_tsc(&apic_hz);
	tsc_mult = mult_for(tsc_hz);
	apic_timer_set_frequency(apic_hz);
	struct vdso_data *d = arch_vdso()->data;
	d->tsc_base = tsc_base;
	d->tsc_mult = tsc_mult;
	d->has_rdtscp = cpu_has.rdtscp;
	realtime_set(seconds * NSEC_PER_SEC);
}
