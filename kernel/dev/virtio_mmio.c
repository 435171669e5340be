/* SPDX-License-Identifier: MIT */
/*
 * virtio_mmio.c - virtio over memory-mapped registers (virtio 1.2, 4.2), as in
 * microVMs: devices told by "virtio_mmio.device=SIZE@ADDRESS:IRQ" on the command
 * line, else the fixed slots of QEMU's microvm machine (PLATFORM.md's figures).
 */
#include "arch/x86/boot.h"
#include "arch/x86/io.h"
#include "arch/x86/irq.h"
#include "arch/x86/mmu.h"
#include "core/errno.h"
#include "dev/pci.h"
#include "dev/virtio.h"
#include "lib/string.h"
#include "mm/page.h"

#define MAGIC	       0x74726976 /* "virt" */
#define MICROVM_BASE   0xfeb00000ull
#define MICROVM_STRIDE 0x200
#define MICROVM_SLOTS  24
#define MICROVM_GSI    24

enum {
	REG_MAGIC = 0x00,
	REG_VERSION = 0x04,
	REG_DEVICE_ID = 0x08,
	REG_FEATURES = 0x10,
	REG_FEATURES_SEL = 0x14,
	REG_ACCEPT = 0x20,
	REG_ACCEPT_SEL = 0x24,
	REG_QUEUE_SEL = 0x30,
	REG_QUEUE_MAX = 0x34,
	REG_QUEUE_SIZE = 0x38,
	REG_QUEUE_READY = 0x44,
	REG_NOTIFY = 0x50,
	REG_ISR = 0x60,
	REG_ISR_ACK = 0x64,
	REG_STATUS = 0x70,
	REG_DESC = 0x80,
	REG_AVAIL = 0x90,
	REG_USED = 0xa0,
	REG_CONFIG = 0x100,
};

static u32 reg(struct virtio_device *d, unsigned r)
{
	return mmio_read32(d->regs + r);
}

static void set_reg(struct virtio_device *d, unsigned r, u32 v)
{
	mmio_write32(d->regs + r, v);
}

static void set_reg64(struct virtio_device *d, unsigned r, u64 v)
{
	set_reg(d, r, (u32)v);
	set_reg(d, r + 4, v >> 32);
}

static u64 mmio_features(struct virtio_device *d)
{
	u64 low;

	set_reg(d, REG_FEATURES_SEL, 0);
	low = reg(d, REG_FEATURES);
	set_reg(d, REG_FEATURES_SEL, 1);
	return low | (u64)reg(d, REG_FEATURES) << 32;
}

static void mmio_accept(struct virtio_device *d, u64 features)
{
	set_reg(d, REG_ACCEPT_SEL, 0);
	set_reg(d, REG_ACCEPT, (u32)features);
	set_reg(d, REG_ACCEPT_SEL, 1);
	set_reg(d, REG_ACCEPT, features >> 32);
}

static u8 mmio_status(struct virtio_device *d)
{
	return reg(d, REG_STATUS);
}

static void mmio_set_status(struct virtio_device *d, u8 status)
{
	set_reg(d, REG_STATUS, status);
}

static u16 mmio_queue_max(struct virtio_device *d, unsigned index)
{
	set_reg(d, REG_QUEUE_SEL, index);
	return reg(d, REG_QUEUE_MAX);
}

static void mmio_queue_enable(struct virtio_device *d, struct virtqueue *q)
{
	set_reg(d, REG_QUEUE_SEL, q->index);
	set_reg(d, REG_QUEUE_SIZE, q->size);
	set_reg64(d, REG_DESC, virt_to_phys(q->desc));
	set_reg64(d, REG_AVAIL, virt_to_phys(q->avail));
	set_reg64(d, REG_USED, virt_to_phys(q->used));
	set_reg(d, REG_QUEUE_READY, 1);
}

static void mmio_notify(struct virtio_device *d, struct virtqueue *q)
{
	set_reg(d, REG_NOTIFY, q->index);
}

static void mmio_config_read(struct virtio_device *d, unsigned offset, void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((u8 *)p)[i] = mmio_read8(d->regs + REG_CONFIG + offset + i);
}

static void mmio_config_write(struct virtio_device *d, unsigned offset, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mmio_write8(d->regs + REG_CONFIG + offset + i, ((const u8 *)p)[i]);
}

static bool mmio_handler(void *arg)
{
	struct virtio_device *d = arg;
	u32 isr = reg(d, REG_ISR);

	if (!isr)
		return false;
	set_reg(d, REG_ISR_ACK, isr);
	virtio_interrupt(d, isr & 2);
	return true;
}

static int mmio_interrupt(struct virtio_device *d)
{
	return irq_request_gsi(d->gsi, true, false, mmio_handler, d);
}

static const struct virtio_transport mmio_transport = {
	.features = mmio_features,
	.accept = mmio_accept,
	.status = mmio_status,
	.set_status = mmio_set_status,
	.queue_max = mmio_queue_max,
	.queue_enable = mmio_queue_enable,
	.notify = mmio_notify,
	.config_read = mmio_config_read,
	.config_write = mmio_config_write,
	.interrupt = mmio_interrupt,
};

static void mmio_probe(volatile u8 *regs, u32 gsi)
{
	struct virtio_device *d;

	if (mmio_read32(regs + REG_MAGIC) != MAGIC || mmio_read32(regs + REG_VERSION) != 2 ||
	    !mmio_read32(regs + REG_DEVICE_ID))
		return;
	d = virtio_device_alloc(&mmio_transport, mmio_read32(regs + REG_DEVICE_ID));
	d->regs = regs;
	d->gsi = gsi;
	virtio_device_add(d);
}

/* "4K@0xd0000000:5": false if it does not parse. */
static bool device_option(char *s, u64 *size, u64 *address, u64 *gsi)
{
	char *at = strchr(s, '@'), *colon = strrchr(s, ':');

	if (!at || !colon || colon < at)
		return false;
	*at = *colon = 0;
	return !parse_size(s, size) && !parse_u64(at + 1, address) && !parse_u64(colon + 1, gsi);
}

void virtio_mmio_init(void)
{
	volatile u8 *slots;
	u64 size, address, gsi;
	unsigned n = 0;
	char s[80];

	for (; boot_option("virtio_mmio.device", n, s, sizeof(s)); n++)
		if (device_option(s, &size, &address, &gsi))
			mmio_probe((volatile u8 *)mmio_map(address, size), gsi);
	if (n || pci_present())
		return;
	slots = mmio_map(MICROVM_BASE, MICROVM_SLOTS * MICROVM_STRIDE);
	for (unsigned i = 0; i < MICROVM_SLOTS; i++)
		mmio_probe(slots + i * MICROVM_STRIDE, MICROVM_GSI + i);
}
