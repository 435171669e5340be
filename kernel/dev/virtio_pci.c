/* SPDX-License-Identifier: MIT */
/*
 * virtio_pci.c - virtio over PCI (virtio 1.2, 4.1): modern devices, and
 * transitional ones through their modern capabilities. One MSI-X vector serves
 * all queues and the configuration.
 */
#include "arch/x86/io.h"
#include "arch/x86/mmu.h"
#include "core/errno.h"
#include "dev/pci.h"
#include "dev/virtio.h"

#define VENDOR_VIRTIO	    0x1af4
#define DEVICE_TRANSITIONAL 0x1000
#define DEVICE_MODERN	    0x1040
#define CAP_VENDOR	    0x09

/* struct virtio_pci_cap (4.1.4): type at 3, bar at 4, offset at 8, length at 12 */
enum { CFG_COMMON = 1, CFG_NOTIFY, CFG_ISR, CFG_DEVICE };

/* struct virtio_pci_common_cfg (4.1.4.3) */
enum {
	COMMON_FEATURE_SEL = 0,
	COMMON_FEATURE = 4,
	COMMON_ACCEPT_SEL = 8,
	COMMON_ACCEPT = 12,
	COMMON_CONFIG_VECTOR = 16,
	COMMON_STATUS = 20,
	COMMON_QUEUE_SEL = 22,
	COMMON_QUEUE_SIZE = 24,
	COMMON_QUEUE_VECTOR = 26,
	COMMON_QUEUE_ENABLE = 28,
	COMMON_NOTIFY_OFFSET = 30,
	COMMON_DESC = 32,
	COMMON_AVAIL = 40,
	COMMON_USED = 48,
};

static u64 pci_features(struct virtio_device *d)
{
	u64 low;

	mmio_write32(d->regs + COMMON_FEATURE_SEL, 0);
	low = mmio_read32(d->regs + COMMON_FEATURE);
	mmio_write32(d->regs + COMMON_FEATURE_SEL, 1);
	return low | (u64)mmio_read32(d->regs + COMMON_FEATURE) << 32;
}

static void pci_accept(struct virtio_device *d, u64 features)
{
	mmio_write32(d->regs + COMMON_ACCEPT_SEL, 0);
	mmio_write32(d->regs + COMMON_ACCEPT, (u32)features);
	mmio_write32(d->regs + COMMON_ACCEPT_SEL, 1);
	mmio_write32(d->regs + COMMON_ACCEPT, features >> 32);
}

static u8 pci_status(struct virtio_device *d)
{
	return mmio_read8(d->regs + COMMON_STATUS);
}

static void pci_set_status(struct virtio_device *d, u8 status)
{
	mmio_write8(d->regs + COMMON_STATUS, status);
}

static u16 pci_queue_max(struct virtio_device *d, unsigned index)
{
	mmio_write16(d->regs + COMMON_QUEUE_SEL, index);
	return mmio_read16(d->regs + COMMON_QUEUE_SIZE);
}

static void set64(struct virtio_device *d, unsigned reg, u64 v)
{
	mmio_write32(d->regs + reg, (u32)v);
	mmio_write32(d->regs + reg + 4, v >> 32);
}

static void pci_queue_enable(struct virtio_device *d, struct virtqueue *q)
{
	mmio_write16(d->regs + COMMON_QUEUE_SEL, q->index);
	mmio_write16(d->regs + COMMON_QUEUE_SIZE, q->size);
	mmio_write16(d->regs + COMMON_QUEUE_VECTOR, 0);
	q->notify_offset = mmio_read16(d->regs + COMMON_NOTIFY_OFFSET);
	set64(d, COMMON_DESC, virt_to_phys(q->desc));
	set64(d, COMMON_AVAIL, virt_to_phys(q->avail));
	set64(d, COMMON_USED, virt_to_phys(q->used));
	mmio_write16(d->regs + COMMON_QUEUE_ENABLE, 1);
}

static void pci_notify(struct virtio_device *d, struct virtqueue *q)
{
	mmio_write16(d->notify_base + q->notify_offset * d->notify_multiplier, q->index);
}

static void pci_config_read(struct virtio_device *d, unsigned offset, void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((u8 *)p)[i] = mmio_read8(d->config + offset + i);
}

static void pci_config_write(struct virtio_device *d, unsigned offset, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mmio_write8(d->config + offset + i, ((const u8 *)p)[i]);
}

static bool pci_handler(void *arg)
{
	virtio_interrupt(arg, true);
	return true;
}

static int pci_interrupt(struct virtio_device *d)
{
	int err = pci_msix_request(d->pci, pci_handler, d);

	if (!err)
		mmio_write16(d->regs + COMMON_CONFIG_VECTOR, 0);
	return err;
}

static const struct virtio_transport pci_transport = {
	.features = pci_features,
	.accept = pci_accept,
	.status = pci_status,
	.set_status = pci_set_status,
	.queue_max = pci_queue_max,
	.queue_enable = pci_queue_enable,
	.notify = pci_notify,
	.config_read = pci_config_read,
	.config_write = pci_config_write,
	.interrupt = pci_interrupt,
};

static volatile u8 *map_capability(u32 bdf, unsigned cap)
{
	paddr_t bar = pci_bar(bdf, pci_read8(bdf, cap + 4));
	u32 length = pci_read32(bdf, cap + 12);

	return bar && length ? (volatile u8 *)mmio_map(bar + pci_read32(bdf, cap + 8), length)
			     : NULL;
}

static void find_capabilities(struct virtio_device *d)
{
	for (unsigned cap = 0; (cap = pci_capability(d->pci, CAP_VENDOR, cap));) {
		switch (pci_read8(d->pci, cap + 3)) {
		case CFG_COMMON:
			d->regs = map_capability(d->pci, cap);
			break;
		case CFG_NOTIFY:
			d->notify_base = map_capability(d->pci, cap);
			d->notify_multiplier = pci_read32(d->pci, cap + 16);
			break;
		case CFG_DEVICE:
			d->config = map_capability(d->pci, cap);
			break;
		}
	}
}

/* Transitional devices tell their type by the subsystem id. */
static void probe(u32 bdf, u16 device)
{
	struct virtio_device *d;
	u32 id = device >= DEVICE_MODERN ? device - DEVICE_MODERN : pci_read16(bdf, 0x2e);

	if (device < DEVICE_TRANSITIONAL || device > DEVICE_MODERN + 0x3f)
		return;
	d = virtio_device_alloc(&pci_transport, id);
	d->pci = bdf;
	pci_enable(bdf);
	find_capabilities(d);
	if (d->regs && d->notify_base)
		virtio_device_add(d);
}

void virtio_pci_init(void)
{
	pci_for_each(VENDOR_VIRTIO, probe);
}
