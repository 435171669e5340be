/* SPDX-License-Identifier: MIT */
/*
 * pci.h - PCI configuration space by ports 0xcf8/0xcfc (PCI 3.0, 3.2.2.3.2), and
 * MSI-X (PCI 3.0, 6.8.2). Devices are named by bus << 8 | device << 3 | function.
 */
#ifndef DEV_PCI_H
#define DEV_PCI_H

#include "arch/x86/irq.h"
#include "lib/types.h"

void pci_init(void); /* finds the functions that exist */
bool pci_present(void);
/* Calls fn for each function with that vendor. */
void pci_for_each(u16 vendor, void (*fn)(u32 bdf, u16 device));

u8 pci_read8(u32 bdf, unsigned reg);
u16 pci_read16(u32 bdf, unsigned reg);
u32 pci_read32(u32 bdf, unsigned reg);
void pci_write16(u32 bdf, unsigned reg, u16 v);
void pci_write32(u32 bdf, unsigned reg, u32 v);
/* The first capability `id` after `from` (0: the first of all); 0: none. */
unsigned pci_capability(u32 bdf, u8 id, unsigned from);
paddr_t pci_bar(u32 bdf, unsigned n); /* 0: none, or an I/O bar */
void pci_enable(u32 bdf);	      /* memory decoding and bus mastering */
/* Routes MSI-X entry 0 to fn: -ENODEV, -ENOSPC. */
int pci_msix_request(u32 bdf, irq_fn fn, void *arg);

#endif
