/* SPDX-License-Identifier: MIT */
/*
 * virtio_blk.c - block devices (virtio 1.2, 5.2): vda, vdb, ... in the order in
 * which they are found. A request is header, data segments, status byte. Those
 * that find the ring full, or no free struct flight, wait in a list and go out as
 * others come back: so nothing here needs memory.
 */
#include "core/errno.h"
#include "core/printk.h"
#include "dev/block.h"
#include "dev/virtio.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"

#define FEATURE_SEG_MAX (1ull << 2)
#define FEATURE_RO	(1ull << 5)
#define FEATURE_FLUSH	(1ull << 9)
#define FEATURE_DISCARD (1ull << 13)
#define QUEUE_SIZE	128
#define SEGMENTS_MAX	62
#define FLIGHTS_MAX	(QUEUE_SIZE / 2) /* a chain has two buffers at least */
#define DISKS_MAX	26

enum { TYPE_READ = 0, TYPE_WRITE = 1, TYPE_FLUSH = 4, TYPE_DISCARD = 11 };

struct header {
	u32 type, reserved;
	u64 sector;
};

struct discard {
	u64 sector;
	u32 sectors, flags;
};

struct flight { /* one request under way */
	struct header header;
	struct discard discard;
	u8 status;
	struct block_request *request;
	struct flight *next; /* L: free ones */
};

struct disk {
	struct block_device block;
	struct virtio_device *device;
	spinlock_t lock;	 /* L; RANK_VIRTQUEUE */
	struct virtqueue *queue; /* L */
	struct list waiting;	 /* L: struct block_request */
	struct flight *free;	 /* L */
	struct flight flights[FLIGHTS_MAX];
	char name[8];
};

static unsigned disk_count;

static u32 type_of(enum block_op op)
{
	static const u32 type[] = { TYPE_READ, TYPE_WRITE, TYPE_FLUSH, TYPE_DISCARD };

	return type[op];
}

/* The chain of r: how many buffers. */
static unsigned chain_build(struct flight *f, struct block_request *r, struct virtio_buffer *b)
{
	unsigned n = 0;

	b[n++] = (struct virtio_buffer){ virt_to_phys(&f->header), sizeof(f->header), false };
	if (r->op == BLOCK_DISCARD)
		b[n++] = (struct virtio_buffer){ virt_to_phys(&f->discard), sizeof(f->discard),
						 false };
	for (u32 i = 0; i < r->segment_count && r->op != BLOCK_DISCARD; i++) {
		struct block_segment *s = &r->segments[i];
		b[n++] = (struct virtio_buffer){ page_phys(s->page) + s->offset, s->length,
						 r->op == BLOCK_READ };
	}
	b[n++] = (struct virtio_buffer){ virt_to_phys(&f->status), 1, true };
	return n;
}

/* 0, -ENOSPC: later. lock held */
static int disk_start(struct disk *d, struct block_request *r)
{
	struct virtio_buffer chain[SEGMENTS_MAX + 2];
	struct flight *f = d->free;
	int err;

	if (!f)
		return -ENOSPC;
	f->header = (struct header){ type_of(r->op), 0, r->op == BLOCK_FLUSH ? 0 : r->sector };
	if (r->op == BLOCK_DISCARD)
		f->discard = (struct discard){ r->sector, r->segments[0].length / 512, 0 };
	f->status = 0xff;
	f->request = r;
	err = virtqueue_add(d->queue, chain, chain_build(f, r, chain), f);
	if (!err)
		d->free = f->next;
	return err;
}

static void disk_submit(struct block_device *b, struct block_request *r)
{
	struct disk *d = b->private;
	int err = 0;

	if (r->op == BLOCK_FLUSH && !(d->device->features & FEATURE_FLUSH)) {
		r->status = 0; /* the device has no cache */
		r->done(r);
		return;
	}
	if (r->op == BLOCK_DISCARD && !(d->device->features & FEATURE_DISCARD)) {
		r->status = -EOPNOTSUPP;
		r->done(r);
		return;
	}
	spin_lock(&d->lock);
	if (list_empty(&d->waiting))
		err = disk_start(d, r);
	if (err || !list_empty(&d->waiting))
		list_append(&d->waiting, &r->node);
	virtqueue_kick(d->queue);
	spin_unlock(&d->lock);
}

static int status_errno(u8 status)
{
	switch (status) {
	case 0:
		return 0;
	case 2:
		return -EOPNOTSUPP;
	}
	return -EIO;
}

static void disk_done(struct virtqueue *q)
{
	struct disk *d = q->device->private;
	struct flight *f;

	spin_lock(&d->lock);
	while ((f = virtqueue_get(q, NULL))) {
		struct block_request *r = f->request;

		r->status = status_errno(f->status);
		f->next = d->free;
		d->free = f;
		spin_unlock(&d->lock);
		r->done(r);
		spin_lock(&d->lock);
	}
	while (!list_empty(&d->waiting)) {
		struct block_request *r = list_first(&d->waiting, struct block_request, node);
		if (disk_start(d, r))
			break;
		list_remove(&r->node);
	}
	virtqueue_kick(q);
	spin_unlock(&d->lock);
}

static int disk_probe(struct virtio_device *v)
{
	struct disk *d = kmalloc(sizeof(*d), KM_ZERO);
	u32 segments = 1;
	int err;

	if (!d || disk_count == DISKS_MAX) {
		kfree(d);
		return -ENOMEM;
	}
	d->device = v;
	v->private = d;
	spin_init(&d->lock, RANK_VIRTQUEUE);
	list_init(&d->waiting);
	for (unsigned i = 0; i < FLIGHTS_MAX; i++) {
		d->flights[i].next = d->free;
		d->free = &d->flights[i];
	}
	err = virtqueue_create(v, 0, QUEUE_SIZE, disk_done, &d->queue);
	if (err) {
		kfree(d);
		return err;
	}
	snprintf(d->name, sizeof(d->name), "vd%c", 'a' + disk_count++);
	virtio_config_read(v, 0, &d->block.sectors, 8);
	if (v->features & FEATURE_SEG_MAX)
		virtio_config_read(v, 12, &segments, 4);
	d->block.name = d->name;
	d->block.read_only = v->features & FEATURE_RO;
	d->block.segments_max = MIN(segments, (u32)SEGMENTS_MAX);
	d->block.submit = disk_submit;
	d->block.private = d;
	virtio_driver_ok(v);
	return block_register(&d->block);
}

const struct virtio_driver virtio_block_driver = {
	.name = "block",
	.device_id = 2,
	.features = FEATURE_SEG_MAX | FEATURE_RO | FEATURE_FLUSH | FEATURE_DISCARD,
	.probe = disk_probe,
};
