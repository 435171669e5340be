/* SPDX-License-Identifier: MIT */
/*
 * block.c - the list of block devices, and each as a raw file, /dev/vda: reads and
 * writes go straight to the disk through one bounce page at a time (a filesystem
 * has a cache of its own), so what write() returned for is with the device, and
 * fsync flushes the device's cache.
 */
#include "dev/block.h"
#include "dev/dev.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/task.h"
#include "fs/devfs.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"

#define SECTOR	     512ul
#define BLKROGET     0x125e
#define BLKGETSIZE   0x1260
#define BLKFLSBUF    0x1261
#define BLKSSZGET    0x1268
#define BLKPBSZGET   0x127b
#define BLKGETSIZE64 0x80081272

static struct block_device *devices[BLOCK_DEVICES_MAX];
static unsigned device_count; /* grows at boot only */

struct block_wait {
	spinlock_t lock;
	struct waitq done;
	bool finished;
};

static void request_done(struct block_request *r)
{
	struct block_wait *w = r->private;

	spin_lock(&w->lock);
	w->finished = true;
	waitq_wake_all(&w->done, 0);
	spin_unlock(&w->lock);
}

static u64 request_bytes(const struct block_request *r)
{
	u64 n = 0;

	for (u32 i = 0; i < r->segment_count; i++)
		n += r->segments[i].length;
	return n;
}

int block_do(struct block_device *d, struct block_request *r)
{
	struct block_wait w = { .finished = false };

	spin_init(&w.lock, RANK_DEVICE);
	waitq_init(&w.done);
	r->done = request_done;
	r->private = &w;
	block_charge(d, r->op, request_bytes(r), r->account);
	d->submit(d, r);
	spin_lock(&w.lock);
	while (!w.finished)
		waitq_sleep(&w.done, &w.lock, SLEEP_DEVICE, KTIME_NEVER);
	spin_unlock(&w.lock);
	return r->status;
}

struct block_device *block_find(const char *name)
{
	for (unsigned i = 0; i < device_count; i++)
		if (!strcmp(devices[i]->name, name))
			return devices[i];
	return NULL;
}

struct block_device *block_device_at(unsigned number)
{
	return number < device_count ? devices[number] : NULL;
}

struct block_device *block_by_number(u64 rdev)
{
	if (dev_major(rdev) != BLOCK_MAJOR || dev_minor(rdev) >= device_count)
		return NULL;
	return devices[dev_minor(rdev)];
}

/* --- the raw file --- */

static u64 device_bytes(const struct block_device *d)
{
	return d->sectors * SECTOR;
}

static int block_open(struct inode *i, struct file *f)
{
	u32 n = dev_minor(i->rdev);

	if (n >= device_count)
		return -ENXIO;
	if (devices[n]->read_only && (f->mode & FILE_WRITE))
		return -EACCES;
	f->private = devices[n];
	return 0;
}

static int sectors_do(struct block_device *d, enum block_op op, struct page *page, u64 sector,
		      u32 length)
{
	struct block_segment s = { page, 0, length };
	struct block_request r = {
		.op = op,
		.sector = sector,
		.segments = &s,
		.segment_count = 1,
		.account = current->account,
	};

	return block_do(d, &r);
}

static s64 block_read(struct file *f, struct uio *u, u64 *pos)
{
	struct block_device *d = f->private;
	struct page *page = page_alloc(0, 0, current->account);
	u64 size = device_bytes(d);
	s64 done = 0, n = page ? 0 : -ENOMEM;

	while (!n && u->left && *pos < size) {
		u64 start = ALIGN_DOWN(*pos, SECTOR), skip = *pos - start;
		u64 length = MIN(PAGE_SIZE, size - start);

		n = sectors_do(d, BLOCK_READ, page, start / SECTOR, length);
		if (!n)
			n = uio_copy_out(u, (char *)page_virt(page) + skip,
					 MIN(u->left, length - skip));
		if (n <= 0)
			break;
		*pos += n;
		done += n;
		n = signal_pending() ? -ERESTARTSYS : 0;
	}
	if (page)
		page_put(page);
	return done ? done : n;
}

static s64 block_write(struct file *f, struct uio *u, u64 *pos)
{
	struct block_device *d = f->private;
	struct page *page = page_alloc(0, 0, current->account);
	u64 size = device_bytes(d);
	s64 done = 0, n = page ? 0 : -ENOMEM;

	if (!n && u->left && *pos >= size)
		n = -ENOSPC;
	while (!n && u->left && *pos < size) {
		u64 start = ALIGN_DOWN(*pos, SECTOR), skip = *pos - start;
		u64 room = MIN(PAGE_SIZE - skip, size - *pos), want = MIN(u->left, room);
		u64 length = ALIGN_UP(skip + want, SECTOR);

		if (skip || (skip + want) % SECTOR)
			n = sectors_do(d, BLOCK_READ, page, start / SECTOR, length);
		if (!n)
			n = uio_copy_in(u, (char *)page_virt(page) + skip, want);
		if (n > 0 && (u64)n < want)
			n = -EFAULT;
		if (n > 0)
			n = sectors_do(d, BLOCK_WRITE, page, start / SECTOR, length);
		if (n < 0)
			break;
		*pos += want;
		done += want;
		n = signal_pending() ? -ERESTARTSYS : 0;
	}
	if (page)
		page_put(page);
	return done ? done : n;
}

static s64 block_seek(struct file *f, s64 off, int whence)
{
	struct block_device *d = f->private;

	if (whence == 1)
		off += f->pos;
	else if (whence == 2)
		off += device_bytes(d);
	else if (whence != 0)
		return -EINVAL;
	if (off < 0 || (u64)off > device_bytes(d))
		return -EINVAL;
	return f->pos = off;
}

static int block_fsync(struct file *f, u64 start, u64 end, bool data_only)
{
	struct block_request r = { .op = BLOCK_FLUSH, .account = current->account };

	return block_do(f->private, &r);
}

static s64 block_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct block_device *d = f->private;
	u64 bytes = device_bytes(d), sectors = d->sectors;
	s32 value;

	switch (cmd) {
	case BLKGETSIZE64:
		return put_user(arg, &bytes);
	case BLKGETSIZE:
		return put_user(arg, &sectors);
	case BLKSSZGET:
	case BLKPBSZGET:
		value = SECTOR;
		return put_user(arg, &value);
	case BLKROGET:
		value = d->read_only;
		return put_user(arg, &value);
	case BLKFLSBUF:
		return block_fsync(f, 0, bytes, false);
	}
	return -ENOTTY;
}

static const struct file_ops block_file_ops = {
	.open = block_open,
	.read = block_read,
	.write = block_write,
	.seek = block_seek,
	.fsync = block_fsync,
	.ioctl = block_ioctl,
};

int block_register(struct block_device *d)
{
	struct pseudo_entry *e = kmalloc(sizeof(*e), KM_ZERO);

	if (!e || device_count == BLOCK_DEVICES_MAX) {
		kfree(e);
		return -ENOSPC;
	}
	*e = (struct pseudo_entry){
		.name = d->name,
		.mode = S_IFBLK | 0660,
		.rdev = makedev(BLOCK_MAJOR, device_count),
	};
	d->number = device_count;
	devices[device_count++] = d;
	block_account_device(device_count);
	return devfs_register(e, DEVFS_HOST);
}

void block_init(void)
{
	BUG_ON(blkdev_register(BLOCK_MAJOR, 0, BLOCK_DEVICES_MAX, &block_file_ops));
}
