/* SPDX-License-Identifier: MIT */
/*
 * virtio.h - virtio 1.x devices over MMIO and PCI (virtio 1.2 specification,
 * chapters 2 and 4). Drivers stand in the table of dev/virtio.c; a transport
 * finds devices and offers them through const ops; virtio.c negotiates and calls
 * the driver's probe. Queues call back in interrupt context.
 */
#ifndef DEV_VIRTIO_H
#define DEV_VIRTIO_H

#include "core/spinlock.h"
#include "lib/types.h"

struct virtio_device;
struct virtqueue;

struct virtio_driver {
	const char *name;
	u32 device_id; /* virtio 1.2, 5: 2 block, 3 console, 4 entropy */
	u64 features;  /* wanted of those offered; VIRTIO_F_VERSION_1 is implied */
	/* Makes its queues, calls virtio_driver_ok, may then use them. -errno: the device fails. */
	int (*probe)(struct virtio_device *d);
	void (*config_changed)(struct virtio_device *d); /* interrupt context; or NULL */
};

struct virtio_transport {
	u64 (*features)(struct virtio_device *d);
	void (*accept)(struct virtio_device *d, u64 features);
	u8 (*status)(struct virtio_device *d);
	void (*set_status)(struct virtio_device *d, u8 status);
	/* Selects queue `index`; its largest size, 0: not there. */
	u16 (*queue_max)(struct virtio_device *d, unsigned index);
	void (*queue_enable)(struct virtio_device *d, struct virtqueue *q);
	void (*notify)(struct virtio_device *d, struct virtqueue *q);
	void (*config_read)(struct virtio_device *d, unsigned offset, void *p, size_t n);
	void (*config_write)(struct virtio_device *d, unsigned offset, const void *p, size_t n);
	int (*interrupt)(struct virtio_device *d); /* routes its interrupt to virtio_interrupt() */
};

#define VIRTIO_QUEUES_MAX 64

struct virtio_device {
	const struct virtio_transport *transport;
	const struct virtio_driver *driver;
	u32 device_id;
	u64 features; /* negotiated */
	struct virtqueue *queue[VIRTIO_QUEUES_MAX];
	unsigned queues;
	void *private; /* the driver's */
	/* the transport's */
	volatile u8 *regs, *config, *isr, *notify_base;
	u32 notify_multiplier;
	u32 gsi;
	u32 pci; /* bus << 8 | device << 3 | function */
};

struct virtio_buffer { /* one piece of a request */
	paddr_t address;
	u32 length;
	bool device_writes;
};

struct virtq_desc {
	u64 address;
	u32 length;
	u16 flags, next;
};
struct virtq_avail {
	u16 flags, index;
	u16 ring[];
};
struct virtq_used {
	u16 flags, index;
	struct {
		u32 id, length;
	} ring[];
};

struct virtqueue { /* the driver's lock guards it */
	struct virtio_device *device;
	unsigned index;
	u16 size; /* a power of two */
	u16 free_head, free_count, seen, kicked;
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	void **cookie;			   /* by head descriptor */
	void (*done)(struct virtqueue *q); /* interrupt context */
	u16 notify_offset;
	void *private;
};

#define VIRTIO_F_VERSION_1 (1ull << 32)

/* Queue `index` with up to `want` descriptors: -ENOENT, -ENOMEM. */
int virtqueue_create(struct virtio_device *d, unsigned index, u16 want,
		     void (*done)(struct virtqueue *q), struct virtqueue **out);
/* Queues a chain; cookie comes back from virtqueue_get. -ENOSPC: the ring is full. */
int virtqueue_add(struct virtqueue *q, const struct virtio_buffer *b, unsigned n, void *cookie);
void virtqueue_kick(struct virtqueue *q); /* tells the device of what was added */
/* The next finished chain, or NULL; *length: bytes that the device wrote. */
void *virtqueue_get(struct virtqueue *q, u32 *length);
void virtio_driver_ok(struct virtio_device *d);
void virtio_config_read(struct virtio_device *d, unsigned offset, void *p, size_t n);

/* --- for the transports --- */
struct virtio_device *virtio_device_alloc(const struct virtio_transport *t, u32 device_id);
void virtio_device_add(struct virtio_device *d); /* binds its driver */
/* All queues' callbacks; config: its configuration changed as well. */
void virtio_interrupt(struct virtio_device *d, bool config);
void virtio_mmio_init(void);
void virtio_pci_init(void);

void virtio_init(void); /* finds all devices */

extern const struct virtio_driver virtio_console_driver, virtio_block_driver, virtio_rng_driver;

#endif
