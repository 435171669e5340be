/* SPDX-License-Identifier: MIT */
/*
 * vfs_internal.h - what the files that put cowfs into the kernel share:
 * platform.c (disk, memory), vfs.c (disks, superblocks), vfs_inode.c (inodes in
 * memory, attributes), vfs_dir.c (names), vfs_file.c (data), vfs_range.c (parts of
 * files), vfs_mmap.c (page faults), vfs_volume.c (volumes).
 *
 * One struct cowfs_disk for each disk, shared by the superblocks of its volumes,
 * of which there is one for each volume that is mounted.
 *
 * A file's pages are the core's: its mapping holds those that were used lately,
 * and what the core says about block n is what belongs at index n. See
 * mm/pagecache.h for how the two are kept the same.
 *
 * Locks, after the VFS's: disks_lock (sleeping); the core's; then, spinning,
 * those of vfs_inode.c and vfs_mmap.c, mapping->lock, page tables.
 */
#ifndef FS_COWFS_VFS_INTERNAL_H
#define FS_COWFS_VFS_INTERNAL_H

#include "dev/block.h"
#include "fs/cowfs/cowfs.h"
#include "fs/cowfs/vfs.h"
#include "fs/internal.h"

/* --- the platform (platform.c) --- */

#define COWFS_REQUESTS 16 /* under way at once */

struct cowfs_request {
	struct block_request block;
	struct cow_io *io;
	struct list node; /* P: free ones */
	struct block_segment segments[COW_IO_BLOCKS];
};

struct cow_platform {
	struct block_device *device;
	struct cow_fs *fs; /* NULL until it is mounted */
	bool no_discard;
	spinlock_t lock;     /* P; RANK_DEVICE */
	struct list free;    /* P */
	unsigned free_count; /* P: of them */
	struct waitq change; /* P: a request came back */
	struct cowfs_request requests[COWFS_REQUESTS];
};

void cow_platform_init(struct cow_platform *p, struct block_device *d);

/* --- disks and superblocks (vfs.c) --- */

struct cowfs_disk {
	struct cow_platform platform;
	struct cow_fs *fs;
	struct list node;   /* D: disks_lock */
	struct list supers; /* D */
	/* its thread, which does cow_work: under platform.lock */
	struct waitq work;
	bool wanted, stop, stopped;
};

struct cowfs_super {
	struct superblock *sb;
	struct cowfs_disk *disk;
	struct cow_volume *volume;
	struct list node;	 /* D: disk->supers */
	struct account *account; /* counted, or NULL: what the volume's use is counted in */
	bool delete_after; /* constant once it is known: the volume goes with the last mount */
};

static inline struct cowfs_super *cowfs_super_of(const struct superblock *sb)
{
	return sb->private;
}
extern struct mutex cowfs_disks_lock;
/* Before pages are taken for file data: empties caches if memory is short, so that they never take
 * the last of it. inode->lock or as->lock may be held. */
void cowfs_make_room(void);
/* The superblock of a volume of that disk, counted; v's reference is used up. disks_lock held. */
int cowfs_super_get(struct cowfs_disk *d, struct cow_volume *v, u32 flags, struct superblock **out);

/* --- inodes (vfs_inode.c) --- */

struct cowfs_inode { /* inode->private */
	struct inode *inode;
	struct cow_inode *core;
	struct hlist_node number_node; /* by (superblock, number) */
	struct hlist_node mapped_node; /* vfs_mmap.c: may have been mapped writable */
	struct list all_node;	       /* all of them, for the shrinker */
	u64 ahead_next;		       /* a read of this index is the next of a sequence */
	u64 ahead_end;		       /* the first that was not asked for ahead */
	u32 ahead;		       /* how many were asked for last */
	bool mapped;
	bool times_dirty; /* mtime and ctime are newer than the core's */
};

static inline struct cowfs_inode *cowfs_of(const struct inode *i)
{
	return i->private;
}
static inline struct cow_inode *core_of(const struct inode *i)
{
	return cowfs_of(i)->core;
}
static inline struct cow_time cow_time_of(struct timespec64 t)
{
	return (struct cow_time){ .sec = t.sec, .nsec = t.nsec };
}
static inline struct cow_time cowfs_now(void)
{
	return cow_time_of(fs_now());
}
/* The inode of that number, counted. -EIO: there is none; -ENOMEM. */
int cowfs_inode_get(struct superblock *sb, u64 ino, struct inode **out);
/* One to be filled by cowfs_inode_set, or dropped by inode_put. */
int cowfs_inode_alloc(struct superblock *sb, struct inode **out);
void cowfs_inode_set(struct inode *i, struct cow_inode *core); /* takes over core's reference */
/* What the core changed shows in the inode. */
void cowfs_refresh(struct inode *i);
void cowfs_evict(struct inode *i);
/* Times that only memory has (relatime, writes through page tables) go to the core. */
int cowfs_write_times(struct inode *i);
int cowfs_setattr(struct inode *i, const struct iattr *a);
u64 cowfs_inodes_shrink(u64 pages, bool mapped);
int cowfs_listxattr(struct inode *i, char *buf, size_t size, size_t *len);
int cowfs_getxattr(struct inode *i, const char *name, void *buf, size_t size, size_t *len);
int cowfs_setxattr(struct inode *i, const char *name, const void *v, size_t n, int flags);
int cowfs_removexattr(struct inode *i, const char *name);
#define COWFS_XATTR_OPS                                                                       \
	.listxattr = cowfs_listxattr, .getxattr = cowfs_getxattr, .setxattr = cowfs_setxattr, \
	.removexattr = cowfs_removexattr

/* --- names (vfs_dir.c), data (vfs_file.c, vfs_range.c, vfs_mmap.c), volumes (vfs_volume.c) --- */

extern const struct inode_ops cowfs_dir_inode_ops;
extern const struct file_ops cowfs_dir_ops, cowfs_file_ops;
extern const struct mapping_ops cowfs_mapping_ops;

int cowfs_fsync(struct file *f, u64 start, u64 end, bool data_only);
/* Sets the size; under i->lock. */
int cowfs_truncate(struct inode *i, u64 size);
int cowfs_fallocate(struct file *f, int mode, u64 off, u64 len);
s64 cowfs_share(struct file *in, u64 in_pos, struct file *out, u64 out_pos, u64 n);
s64 cowfs_ioctl(struct file *f, u32 cmd, u64 arg);
int cowfs_seek_data(struct inode *i, u64 *offset, bool data);
int cowfs_mmap(struct file *f, struct vma *v);
void cowfs_unmapped(struct inode *i); /* it goes: no longer to be found by cowfs_protect */
void cowfs_protect(struct cow_buf *buf, void *inode_private, u64 index);
s64 cowfs_volume_ioctl(struct superblock *sb, u32 cmd, u64 arg);
/* Errors of the core as a page fault knows them. */
static inline int cowfs_fault_error(int err)
{
	return err == -ENOMEM || err == -EAGAIN ? err : -EFAULT;
}

#endif
