/* SPDX-License-Identifier: MIT */
/*
 * init.c - the order in which arch/x86 comes up (arch.h). What there is before
 * arch_init_early: the boot map, boot_info, %gs and the IDT (boot.c).
 */
#include "arch/x86/arch.h"
#include "arch/x86/boot.h"
#include "arch/x86/copy.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/mmu.h"
#include "core/printk.h"

void arch_init_early(void)
{
	clock_start();
	uaccess_init();
}

void arch_init_memory(void)
{
	mmu_init();
	apic_init(); /* its timer starts to count: clock_init needs some time to have passed */
	calibrate_begin();
}

void arch_init_devices(void)
{
	this_cpu()->apic_id = apic_id();
	if (!acpi_init() && !mptable_init())
		machine_add_cpu(apic_id()); /* one CPU, and no IOAPIC: only MSIs */
	pic_init();
	ioapic_init();
	fpu_init();
	fpu_init_cpu();
	copy_choose();
	power_init();
	clock_init();
	log_info("%s, %u CPUs, TSC %lu kHz%s\n", boot_info.loader, machine.cpu_count,
		 arch_tsc_khz(), cpu_has.tcg ? ", TCG" : "");
}
