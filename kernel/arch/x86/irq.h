/* SPDX-License-Identifier: MIT */
/*
 * irq.h - device interrupts. A handler runs with interrupts off, on the CPU that
 * the line is routed to, must not sleep, and returns whether its device had
 * asked. GSIs are the global interrupt numbers of ACPI; MSI vectors are given
 * out by irq_alloc_msi.
 */
#ifndef ARCH_IRQ_H
#define ARCH_IRQ_H

#include "lib/types.h"

typedef bool (*irq_fn)(void *arg);

/* Routes a GSI (legacy ISA number: through the overrides) here; shared lines call every handler. */
int irq_request_gsi(u32 gsi, bool level, bool active_low, irq_fn fn, void *arg);
int irq_request_isa(unsigned irq, irq_fn fn, void *arg);
/* A vector for MSI/MSI-X: what to write into the device's table entry. -ENOSPC. */
int irq_request_msi(irq_fn fn, void *arg, u64 *address, u32 *data);

#endif
