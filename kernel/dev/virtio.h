/* SPDX-License-Identifier: MIT */
/*
 * virtio.h - virtio 1.x devices over MMIO and PCI (virtio 1.2 specification,
 * chapters 2 and 4). A driver stands in the table of dev/virtio.c; the transport
 * finds devices, negotiates features, sets up queues and calls the driver's
 * callback, in interrupt context, when buffers come back.
 */
#ifndef DEV_VIRTIO_H
#define DEV_VIRTIO_H

#include "core/spinlock.h"
#include "lib/types.h"

struct virtio_device;
struct virtqueue;

struct virtio_driver {
	const char *name;
	u32 device_id;      /* virtio 1.2, 5: 1 net, 2 block, 3 console, 4 entropy, 5 balloon */
	u64 features;       /* wanted of those offered; VIRTIO_F_VERSION_1 is implied */
	int (*probe)(struct virtio_device *d);
	void (*config_changed)(struct virtio_device *d);
};

struct virtio_buffer { /* one piece of a request */
	paddr_t address;
	u32 length;
	bool device_writes;
};

int virtqueue_create(struct virtio_device *d, unsigned index, void (*done)(struct virtqueue *q), struct virtqueue **out);
/* Queues a chain; cookie comes back from virtqueue_get. -ENOSPC: the ring is full. Under q's lock. */
int virtqueue_add(struct virtqueue *q, const struct virtio_buffer *b, unsigned n, void *cookie);
void virtqueue_kick(struct virtqueue *q);
/* The next finished chain, or NULL; *length: bytes the device wrote. */
void *virtqueue_get(struct virtqueue *q, u32 *length);
u64 virtio_features(struct virtio_device *d); /* negotiated */
void virtio_config_read(struct virtio_device *d, unsigned offset, void *p, size_t n);
void virtio_config_write(struct virtio_device *d, unsigned offset, const void *p, size_t n);
void virtio_driver_ok(struct virtio_device *d);
void virtio_init(void); /* finds all devices */

#endif
