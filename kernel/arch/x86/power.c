/* SPDX-License-Identifier: MIT */
/*
 * power.c - switching the machine off and starting it again: ACPI's registers
 * (acpi.c found them; specification 6.4, 4.8.3), then what PCs have always had, and
 * at last a triple fault, which every machine and monitor takes as a reset.
 */
#include "arch/x86/arch.h"
#include "arch/x86/boot.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/mmu.h"
#include "core/printk.h"

#define SLEEP_ENABLE_REDUCED BIT(5)
#define SLEEP_ENABLE	     BIT(13)
#define PORT_RESET_CONTROL   0xcf9
#define PORT_8042_COMMAND    0x64
#define I8042_PULSE_RESET    0xfe
#define PORT_DEBUG_EXIT	     0xf4
#define PANIC_EXIT	     60 /* QEMU ends with status 60 << 1 | 1 = 121 */

static volatile u8 *sleep_register, *reset_register;

void power_init(void)
{
	if (machine.sleep_control)
		sleep_register = mmio_map(machine.sleep_control, 1);
	if (machine.reset_register)
		reset_register = mmio_map(machine.reset_register, 1);
}

/* The effect of a write may take a moment. */
static void settle(void)
{
	for (int i = 0; i < 100000; i++)
		cpu_pause();
}

static void __noreturn triple_fault(void)
{
	struct {
		u16 limit;
		u64 base;
	} __packed none = { 0, 0 };

	__asm__ volatile("lidt %0; int3" ::"m"(none));
	for (;;)
		__asm__ volatile("cli; hlt");
}

void arch_power_off(void)
{
	interrupts_off();
	printk_flush();
	if (sleep_register) {
		mmio_write8(sleep_register, SLEEP_ENABLE_REDUCED | machine.s5_type << 2);
		settle();
	}
	if (machine.pm1a_control) {
		outw(machine.pm1a_control, SLEEP_ENABLE | machine.s5_type << 10);
		settle();
	}
	arch_reset(); /* a machine without ACPI: its monitor is told by -no-reboot */
}

void arch_reset(void)
{
	interrupts_off();
	printk_flush();
	if (reset_register) {
		mmio_write8(reset_register, machine.reset_value);
		settle();
	}
	if (machine.reset_port) {
		outb(machine.reset_port, machine.reset_value);
		settle();
	}
	outb(PORT_8042_COMMAND, I8042_PULSE_RESET);
	settle();
	outb(PORT_RESET_CONTROL, 0x06); /* reset the CPU, hard */
	settle();
	triple_fault();
}

void arch_exit_panic(void)
{
	if (boot_option("debug_exit", 0, NULL, 0))
		outb(PORT_DEBUG_EXIT, PANIC_EXIT);
	arch_reset();
}
