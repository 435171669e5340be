/* SPDX-License-Identifier: MIT */
/*
 * pci.c - finding PCI functions and their capabilities. The firmware has assigned
 * the bars. Functions are found once, at boot, on all buses that bridges name.
 */
#include "dev/pci.h"
#include "arch/x86/io.h"
#include "arch/x86/mmu.h"
#include "core/errno.h"
#include "core/printk.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define FUNCTIONS_MAX  256

#define REG_COMMAND	    0x04
#define REG_STATUS	    0x06
#define REG_CLASS	    0x0a
#define REG_HEADER	    0x0e
#define REG_BAR		    0x10
#define REG_SECONDARY_BUS   0x19
#define REG_CAPABILITIES    0x34
#define COMMAND_MEMORY	    2
#define COMMAND_MASTER	    4
#define COMMAND_NO_INTX	    0x400
#define STATUS_CAPABILITIES 0x10
#define CLASS_BRIDGE	    0x0604
#define CAP_MSIX	    0x11

static u32 functions[FUNCTIONS_MAX];
static unsigned function_count;

static void config_select(u32 bdf, unsigned reg)
{
	outl(CONFIG_ADDRESS, 0x80000000u | bdf << 8 | (reg & ~3u));
}

u32 pci_read32(u32 bdf, unsigned reg)
{
	config_select(bdf, reg);
	return inl(CONFIG_DATA);
}

u16 pci_read16(u32 bdf, unsigned reg)
{
	return pci_read32(bdf, reg) >> (reg & 2) * 8;
}

u8 pci_read8(u32 bdf, unsigned reg)
{
	return pci_read32(bdf, reg) >> (reg & 3) * 8;
}

void pci_write32(u32 bdf, unsigned reg, u32 v)
{
	config_select(bdf, reg);
	outl(CONFIG_DATA, v);
}

void pci_write16(u32 bdf, unsigned reg, u16 v)
{
	config_select(bdf, reg);
	outw(CONFIG_DATA + (reg & 2), v);
}

unsigned pci_capability(u32 bdf, u8 id, unsigned from)
{
	unsigned at, left = 48; /* a broken list may be circular */

	if (!(pci_read16(bdf, REG_STATUS) & STATUS_CAPABILITIES))
		return 0;
	at = pci_read8(bdf, from ? from + 1 : REG_CAPABILITIES) & ~3u;
	while (at && left-- && pci_read8(bdf, at) != id)
		at = pci_read8(bdf, at + 1) & ~3u;
	return at;
}

paddr_t pci_bar(u32 bdf, unsigned n)
{
	u32 low = pci_read32(bdf, REG_BAR + 4 * n);

	if (low & 1)
		return 0;
	if ((low >> 1 & 3) == 2)
		return (low & ~15u) | (u64)pci_read32(bdf, REG_BAR + 4 * n + 4) << 32;
	return low & ~15u;
}

void pci_enable(u32 bdf)
{
	pci_write16(bdf, REG_COMMAND,
		    pci_read16(bdf, REG_COMMAND) | COMMAND_MEMORY | COMMAND_MASTER);
}

/* Table offset and bar: PCI 3.0, 6.8.2.4; an entry is address, data, control. */
int pci_msix_request(u32 bdf, irq_fn fn, void *arg)
{
	unsigned cap = pci_capability(bdf, CAP_MSIX, 0);
	volatile u8 *entry;
	u64 address;
	u32 table, data;
	int err;

	if (!cap)
		return -ENODEV;
	err = irq_request_msi(fn, arg, &address, &data);
	if (err)
		return err;
	table = pci_read32(bdf, cap + 4);
	entry = mmio_map(pci_bar(bdf, table & 7) + (table & ~7u), 16);
	mmio_write32(entry, (u32)address);
	mmio_write32(entry + 4, address >> 32);
	mmio_write32(entry + 8, data);
	mmio_write32(entry + 12, 0); /* not masked */
	pci_write16(bdf, REG_COMMAND, pci_read16(bdf, REG_COMMAND) | COMMAND_NO_INTX);
	pci_write16(bdf, cap + 2, (pci_read16(bdf, cap + 2) & ~0x4000u) | 0x8000);
	return 0;
}

static void scan_bus(u8 bus);

static void scan_function(u32 bdf)
{
	if (pci_read16(bdf, 0) == 0xffff)
		return;
	if (function_count < FUNCTIONS_MAX)
		functions[function_count++] = bdf;
	if (pci_read16(bdf, REG_CLASS) == CLASS_BRIDGE &&
	    pci_read8(bdf, REG_SECONDARY_BUS) > bdf >> 8)
		scan_bus(pci_read8(bdf, REG_SECONDARY_BUS));
}

static void scan_bus(u8 bus)
{
	for (unsigned device = 0; device < 32; device++) {
		u32 bdf = bus << 8 | device << 3;
		unsigned last = pci_read8(bdf, REG_HEADER) & 0x80 ? 7 : 0;

		if (pci_read16(bdf, 0) == 0xffff)
			continue;
		for (unsigned f = 0; f <= last; f++)
			scan_function(bdf | f);
	}
}

bool pci_present(void)
{
	return function_count;
}

void pci_init(void)
{
	outl(CONFIG_ADDRESS, 0x80000000u);
	if (inl(CONFIG_ADDRESS) == 0x80000000u)
		scan_bus(0);
}

void pci_for_each(u16 vendor, void (*fn)(u32 bdf, u16 device))
{
	for (unsigned i = 0; i < function_count; i++)
		if (pci_read16(functions[i], 0) == vendor)
			fn(functions[i], pci_read16(functions[i], 2));
}
