/* SPDX-License-Identifier: MIT */
/* virtio_rng.c - the entropy device (virtio 1.2, 5.4): seeds the pool once. */
#include "core/errno.h"
#include "core/random.h"
#include "dev/virtio.h"
#include "mm/page.h"
#include "mm/slab.h"

#define SEED_BYTES 64

static void rng_done(struct virtqueue *q)
{
	u32 length;
	void *buf;

	while ((buf = virtqueue_get(q, &length)))
		random_add(buf, MIN(length, (u32)SEED_BYTES));
}

static int rng_probe(struct virtio_device *d)
{
	struct virtqueue *q;
	void *buf = kmalloc(SEED_BYTES, 0);
	int err = buf ? virtqueue_create(d, 0, 8, rng_done, &q) : -ENOMEM;

	if (err) {
		kfree(buf);
		return err;
	}
	virtio_driver_ok(d);
	err = virtqueue_add(q, &(struct virtio_buffer){ virt_to_phys(buf), SEED_BYTES, true }, 1,
			    buf);
	virtqueue_kick(q);
	return err;
}

const struct virtio_driver virtio_rng_driver = {
	.name = "rng",
	.device_id = 4,
	.probe = rng_probe,
};
