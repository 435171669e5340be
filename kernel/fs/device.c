/* SPDX-License-Identifier: MIT */
/*
 * device.c - which driver is behind a device number.
 *
 * Drivers register ranges of minors at start-up (and ptys when they are made);
 * a node of that number opens with the driver's operations. The table only
 * grows; readers walk it without a lock.
 */
#include "fs/internal.h"

struct device_range {
	struct device_range *next;
	u32 major, first, count;
	bool block;
	const struct file_ops *ops;
};

static struct device_range *devices; /* read without a lock */
static spinlock_t devices_lock = SPINLOCK_INIT(RANK_DEVICE);

static bool device_overlaps(const struct device_range *a, const struct device_range *b)
{
	return a->block == b->block && a->major == b->major && a->first < b->first + b->count &&
	       b->first < a->first + a->count;
}

static int device_register(bool block, u32 major, u32 first, u32 count, const struct file_ops *ops)
{
	struct device_range *r = kmalloc(sizeof(*r), 0);

	if (!r)
		return -ENOMEM;
	*r = (struct device_range){ NULL, major, first, count, block, ops };
	spin_lock(&devices_lock);
	for (struct device_range *o = devices; o; o = o->next)
		if (device_overlaps(o, r)) {
			spin_unlock(&devices_lock);
			kfree(r);
			return -EBUSY;
		}
	r->next = devices;
	__atomic_store_n(&devices, r, __ATOMIC_RELEASE);
	spin_unlock(&devices_lock);
	return 0;
}

int chrdev_register(u32 major, u32 minor_first, u32 minor_count, const struct file_ops *ops)
{
	return device_register(false, major, minor_first, minor_count, ops);
}

int blkdev_register(u32 major, u32 minor_first, u32 minor_count, const struct file_ops *ops)
{
	return device_register(true, major, minor_first, minor_count, ops);
}

const struct file_ops *device_file_ops(u32 mode, u64 rdev)
{
	u32 major = dev_major(rdev), minor = dev_minor(rdev);
	struct device_range *r = __atomic_load_n(&devices, __ATOMIC_ACQUIRE);

	for (; r; r = r->next)
		if (r->block == S_ISBLK(mode) && r->major == major && minor - r->first < r->count)
			return r->ops;
	return NULL;
}
