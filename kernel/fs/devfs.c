/* SPDX-License-Identifier: MIT */
/*
 * devfs.c - /dev. A registry of entries, shown by every mount of the filesystem;
 * a container's shows those for everywhere only, so the machine's own devices
 * have no name there. Also the memory devices (man 4 null, full, random).
 *
 * The registry only grows, and is read without a lock: entries are appended
 * under registry_lock and published by the count.
 */
#include "fs/devfs.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/random.h"
#include "core/task.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/aspace.h"

#define DEVFS_MAX   128
#define DEVFS_MAGIC 0x01021994 /* TMPFS_MAGIC: as Linux's devtmpfs reports */

static struct {
	const struct pseudo_entry *entry;
	enum devfs_scope scope;
} registry[DEVFS_MAX];
static u32 registered; /* atomic */
static spinlock_t registry_lock = SPINLOCK_INIT(RANK_DEVICE);

int devfs_register(const struct pseudo_entry *e, enum devfs_scope scope)
{
	int err = 0;

	spin_lock(&registry_lock);
	if (registered == DEVFS_MAX) {
		err = -ENOSPC;
	} else {
		registry[registered].entry = e;
		registry[registered].scope = scope;
		__atomic_store_n(&registered, registered + 1, __ATOMIC_RELEASE);
	}
	spin_unlock(&registry_lock);
	return err;
}

/* --- the directory; its object is the superblock --- */

static bool shown(const struct superblock *sb, u32 n)
{
	return registry[n].scope == DEVFS_EVERYWHERE || sb->owner == &owner_host;
}

static int devfs_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e,
			void **child)
{
	u32 count = __atomic_load_n(&registered, __ATOMIC_ACQUIRE);

	for (u32 i = 0; i < count; i++) {
		if (strcmp(registry[i].entry->name, name) || !shown(object, i))
			continue;
		*e = *registry[i].entry;
		*child = object;
		return 0;
	}
	return -ENOENT;
}

static bool devfs_next(void *object, u64 *cookie, char *name, size_t size, u32 *mode)
{
	u32 count = __atomic_load_n(&registered, __ATOMIC_ACQUIRE);

	while (*cookie < count && !shown(object, *cookie))
		(*cookie)++;
	if (*cookie >= count)
		return false;
	strlcpy(name, registry[*cookie].entry->name, size);
	*mode = registry[*cookie].entry->mode;
	return true;
}

static const struct pseudo_dir_ops devfs_root = {
	.lookup = devfs_lookup,
	.next = devfs_next,
};

static int devfs_mount(const struct fs_type *t, const char *source, u32 flags, const char *data,
		       struct superblock **out)
{
	return pseudo_mount(t, &devfs_root, DEVFS_MAGIC, out);
}

const struct fs_type devfs_type = {
	.name = "devtmpfs",
	.device_nodes = true,
	.mount = devfs_mount,
};

/* --- the memory devices: major 1 --- */

static s64 null_read(struct file *f, struct uio *u, u64 *pos)
{
	return 0;
}

static s64 null_write(struct file *f, struct uio *u, u64 *pos)
{
	s64 n = u->left;

	u->left = 0;
	return n;
}

static s64 zero_read(struct file *f, struct uio *u, u64 *pos)
{
	u64 left = u->left, done = 0;

	while (done < left) {
		s64 n = uio_clear(u, MIN(left - done, 64 * PAGE_SIZE));
		if (n <= 0)
			return done ? (s64)done : n;
		done += n;
		if (done < left) {
			resched_point();
			if (signal_pending())
				break;
		}
	}
	return done;
}

static s64 full_write(struct file *f, struct uio *u, u64 *pos)
{
	return -ENOSPC;
}

static s64 random_read(struct file *f, struct uio *u, u64 *pos)
{
	u8 chunk[256];
	s64 done = 0;

	while (u->left) {
		u64 want = MIN(u->left, sizeof(chunk));
		s64 n;

		random_bytes(chunk, want);
		n = uio_copy_out(u, chunk, want);
		if (n <= 0)
			return done ? done : n;
		done += n;
		if ((u64)n < want || signal_pending())
			break;
		if (!(done & 0xffff))
			resched_point();
	}
	memset(chunk, 0, sizeof(chunk));
	return done;
}

static s64 random_write(struct file *f, struct uio *u, u64 *pos)
{
	u8 chunk[256];
	s64 done = 0;

	while (u->left) {
		s64 n = uio_copy_in(u, chunk, MIN(u->left, sizeof(chunk)));
		if (n <= 0)
			return done ? done : n;
		random_add(chunk, n);
		done += n;
	}
	return done;
}

static s64 mem_seek(struct file *f, s64 off, int whence)
{
	return f->pos = 0;
}

/* Mappings of /dev/zero are anonymous memory; shared ones of each mmap call's own. */
static int zero_mmap(struct file *f, struct vma *v)
{
	if (!(v->flags & VM_SHARED))
		return 0;
	v->ops = &shmem_vm_ops;
	v->pgoff = 0;
	return shmem_create(v->end - v->start, &v->mapping);
}

static const struct file_ops null_ops = { .read = null_read,
					  .write = null_write,
					  .seek = mem_seek };
static const struct file_ops zero_ops = {
	.read = zero_read, .write = null_write, .seek = mem_seek, .mmap = zero_mmap
};
static const struct file_ops full_ops = { .read = zero_read,
					  .write = full_write,
					  .seek = mem_seek };
static const struct file_ops random_ops = { .read = random_read,
					    .write = random_write,
					    .seek = mem_seek };

static const struct {
	u32 minor;
	const struct file_ops *ops;
} memory_devices[] = {
	{ 3, &null_ops },   { 5, &zero_ops },	{ 7, &full_ops },
	{ 8, &random_ops }, { 9, &random_ops },
};

/* --- what every /dev has --- */

static int link_fd(void *object, char *buf, size_t size)
{
	return strlcpy(buf, "/proc/self/fd", size), 0;
}

static int link_stdin(void *object, char *buf, size_t size)
{
	return strlcpy(buf, "/proc/self/fd/0", size), 0;
}

static int link_stdout(void *object, char *buf, size_t size)
{
	return strlcpy(buf, "/proc/self/fd/1", size), 0;
}

static int link_stderr(void *object, char *buf, size_t size)
{
	return strlcpy(buf, "/proc/self/fd/2", size), 0;
}

static const struct pseudo_dir_ops empty_dir; /* a place to mount on */

#define DEV(major, minor) ((minor) | (u64)(major) << 8)
static const struct pseudo_entry standard[] = {
	{ .name = "null", .mode = S_IFCHR | 0666, .rdev = DEV(1, 3) },
	{ .name = "zero", .mode = S_IFCHR | 0666, .rdev = DEV(1, 5) },
	{ .name = "full", .mode = S_IFCHR | 0666, .rdev = DEV(1, 7) },
	{ .name = "random", .mode = S_IFCHR | 0666, .rdev = DEV(1, 8) },
	{ .name = "urandom", .mode = S_IFCHR | 0666, .rdev = DEV(1, 9) },
	{ .name = "fd", .mode = S_IFLNK | 0777, .readlink = link_fd },
	{ .name = "stdin", .mode = S_IFLNK | 0777, .readlink = link_stdin },
	{ .name = "stdout", .mode = S_IFLNK | 0777, .readlink = link_stdout },
	{ .name = "stderr", .mode = S_IFLNK | 0777, .readlink = link_stderr },
	{ .name = "shm", .mode = S_IFDIR | 01777, .dir = &empty_dir },
};

void devfs_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(memory_devices); i++)
		BUG_ON(chrdev_register(1, memory_devices[i].minor, 1, memory_devices[i].ops));
	for (size_t i = 0; i < ARRAY_SIZE(standard); i++)
		BUG_ON(devfs_register(&standard[i], DEVFS_EVERYWHERE));
}
