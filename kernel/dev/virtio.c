/* SPDX-License-Identifier: MIT */
/*
 * virtio.c - the part of virtio that is the same for all devices and transports:
 * negotiation (virtio 1.2, 3.1), split virtqueues (2.7), and the table of drivers.
 *
 * A virtqueue has no lock of its own: its driver's lock covers it. Descriptors
 * are a free list through desc[].next; a chain's cookie stands at its head.
 */
#include "dev/virtio.h"
#include "core/errno.h"
#include "core/printk.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER	   2
#define STATUS_DRIVER_OK   4
#define STATUS_FEATURES_OK 8
#define STATUS_FAILED	   128

#define DESC_NEXT      1
#define DESC_WRITE     2
#define USED_NO_NOTIFY 1

static const struct virtio_driver *const drivers[] = {
	&virtio_console_driver,
	&virtio_block_driver,
	&virtio_rng_driver,
};

/* --- virtqueues --- */

static unsigned order_of(size_t bytes)
{
	unsigned order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return order;
}

/* The three rings in one piece of memory, each aligned as 2.7 asks. */
static int virtqueue_alloc_rings(struct virtqueue *q)
{
	size_t avail = q->size * sizeof(struct virtq_desc);
	size_t used = ALIGN_UP(avail + 6 + 2ul * q->size, 4ul);
	struct page *p =
		page_alloc(order_of(used + 6 + 8ul * q->size), PAGE_ZERO | PAGE_KERNEL, NULL);

	if (!p)
		return -ENOMEM;
	q->desc = page_virt(p);
	q->avail = (void *)((char *)page_virt(p) + avail);
	q->used = (void *)((char *)page_virt(p) + used);
	for (u16 i = 0; i < q->size; i++)
		q->desc[i].next = i + 1;
	q->free_count = q->size;
	return 0;
}

int virtqueue_create(struct virtio_device *d, unsigned index, u16 want,
		     void (*done)(struct virtqueue *q), struct virtqueue **out)
{
	u16 max = index < VIRTIO_QUEUES_MAX ? d->transport->queue_max(d, index) : 0;
	struct virtqueue *q;

	if (!max)
		return -ENOENT;
	q = kmalloc(sizeof(*q), KM_ZERO);
	if (!q)
		return -ENOMEM;
	q->size = MIN(max, want);
	q->cookie = kmalloc(q->size * sizeof(*q->cookie), KM_ZERO);
	if (!q->cookie || virtqueue_alloc_rings(q)) {
		kfree(q->cookie);
		kfree(q);
		return -ENOMEM;
	}
	q->device = d;
	q->index = index;
	q->done = done;
	d->transport->queue_enable(d, q);
	d->queue[index] = q;
	d->queues = MAX(d->queues, index + 1);
	*out = q;
	return 0;
}

int virtqueue_add(struct virtqueue *q, const struct virtio_buffer *b, unsigned n, void *cookie)
{
	u16 head = q->free_head, at = head, last = head;

	if (!n || n > q->free_count)
		return -ENOSPC;
	for (unsigned i = 0; i < n; i++) {
		struct virtq_desc *d = &q->desc[at];

		d->address = b[i].address;
		d->length = b[i].length;
		d->flags = DESC_NEXT | (b[i].device_writes ? DESC_WRITE : 0);
		last = at;
		at = d->next;
	}
	q->desc[last].flags &= ~DESC_NEXT;
	q->free_head = at;
	q->free_count -= n;
	q->cookie[head] = cookie;
	q->avail->ring[q->avail->index & (q->size - 1)] = head;
	__atomic_store_n(&q->avail->index, q->avail->index + 1, __ATOMIC_RELEASE);
	return 0;
}

void virtqueue_kick(struct virtqueue *q)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* index before the look at flags (2.7.13) */
	if (q->kicked == q->avail->index)
		return;
	q->kicked = q->avail->index;
	if (!(READ_ONCE(q->used->flags) & USED_NO_NOTIFY))
		q->device->transport->notify(q->device, q);
}

void *virtqueue_get(struct virtqueue *q, u32 *length)
{
	u16 head, at, n = 1;

	if (__atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE) == q->seen)
		return NULL;
	head = q->used->ring[q->seen & (q->size - 1)].id;
	if (length)
		*length = q->used->ring[q->seen & (q->size - 1)].length;
	q->seen++;
	BUG_IF(head >= q->size, "device returned descriptor %u of %u", head, q->size);
	for (at = head; q->desc[at].flags & DESC_NEXT; at = q->desc[at].next)
		n++;
	q->desc[at].next = q->free_head;
	q->free_head = head;
	q->free_count += n;
	return q->cookie[head];
}

/* --- devices --- */

void virtio_interrupt(struct virtio_device *d, bool config)
{
	for (unsigned i = 0; i < d->queues; i++)
		if (d->queue[i] && d->queue[i]->done &&
		    READ_ONCE(d->queue[i]->used->index) != d->queue[i]->seen)
			d->queue[i]->done(d->queue[i]);
	if (config && d->driver->config_changed)
		d->driver->config_changed(d);
}

void virtio_config_read(struct virtio_device *d, unsigned offset, void *p, size_t n)
{
	d->transport->config_read(d, offset, p, n);
}

static void status_add(struct virtio_device *d, u8 bits)
{
	d->transport->set_status(d, d->transport->status(d) | bits);
}

void virtio_driver_ok(struct virtio_device *d)
{
	status_add(d, STATUS_DRIVER_OK);
}

struct virtio_device *virtio_device_alloc(const struct virtio_transport *t, u32 device_id)
{
	struct virtio_device *d = kmalloc(sizeof(*d), KM_ZERO);

	BUG_ON(!d); /* at boot */
	d->transport = t;
	d->device_id = device_id;
	return d;
}

/* Reset, acknowledge, features (3.1.1, steps 1 to 6). */
static int virtio_negotiate(struct virtio_device *d)
{
	u64 offered;

	d->transport->set_status(d, 0);
	while (d->transport->status(d))
		cpu_spin_wait();
	status_add(d, STATUS_ACKNOWLEDGE);
	status_add(d, STATUS_DRIVER);
	offered = d->transport->features(d);
	if (!(offered & VIRTIO_F_VERSION_1))
		return -ENODEV;
	d->features = offered & (d->driver->features | VIRTIO_F_VERSION_1);
	d->transport->accept(d, d->features);
	status_add(d, STATUS_FEATURES_OK);
	return d->transport->status(d) & STATUS_FEATURES_OK ? 0 : -ENODEV;
}

void virtio_device_add(struct virtio_device *d)
{
	int err = -ENODEV;

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (drivers[i]->device_id == d->device_id)
			d->driver = drivers[i];
	if (!d->driver)
		return;
	err = virtio_negotiate(d);
	if (!err)
		err = d->transport->interrupt(d);
	if (!err)
		err = d->driver->probe(d);
	if (!err)
		return;
	status_add(d, STATUS_FAILED);
	log_err("virtio: %s: error %d\n", d->driver->name, err);
}

void virtio_init(void)
{
	virtio_pci_init();
	virtio_mmio_init();
}
