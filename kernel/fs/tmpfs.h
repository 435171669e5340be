/* SPDX-License-Identifier: MIT */
/*
 * tmpfs.h - between the files of tmpfs: tmpfs.c (superblock, names), tmpfs_file.c
 * (data), xattr_memory.c (extended attributes kept in memory).
 */
#ifndef FS_TMPFS_H
#define FS_TMPFS_H

#include "fs/vfs.h"

struct tmpfs {
	u64 max_blocks, used_blocks; /* pages; max 0: no limit; used: atomic */
	u64 max_inodes, used_inodes; /* the same */
	u32 mode, uid, gid;	     /* of the root, when it is made */
};

static inline struct tmpfs *tmpfs_of(const struct superblock *sb)
{
	return sb->private;
}

/* Takes n of a counter with a limit: -ENOSPC. */
static inline int tmpfs_take(u64 *used, u64 max, u64 n)
{
	u64 now = __atomic_add_fetch(used, n, __ATOMIC_RELAXED);

	if (likely(!max || now <= max))
		return 0;
	__atomic_sub_fetch(used, n, __ATOMIC_RELAXED);
	return -28; /* -ENOSPC */
}

int tmpfs_reserve_page(struct inode *i);
void tmpfs_unreserve_page(struct inode *i);
int tmpfs_setattr(struct inode *i, const struct iattr *a);
void tmpfs_give_back(struct inode *i); /* blocks whose pages have gone */
extern const struct file_ops tmpfs_file_ops;

/* Extended attributes in inode->private. */
int xattr_memory_list(struct inode *i, char *buf, size_t size, size_t *len);
int xattr_memory_get(struct inode *i, const char *name, void *buf, size_t size, size_t *len);
int xattr_memory_set(struct inode *i, const char *name, const void *v, size_t n, int flags);
int xattr_memory_remove(struct inode *i, const char *name);
void xattr_memory_free(struct inode *i);

#endif
