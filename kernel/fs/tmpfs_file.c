/* SPDX-License-Identifier: MIT */
/*
 * tmpfs_file.c - the data of regular files of tmpfs: pages of the page cache and
 * nothing else.
 *
 * inode->blocks counts what this file has reserved of the superblock's limit
 * (8 units of 512 bytes to the page), the mapping what it has. A block is
 * reserved before its page is made. Two that make one page at once both
 * reserve; the surplus goes back at the next tmpfs_give_back(), which every
 * truncation and the end of the inode call. So reserved >= pages, but for the
 * moment between making and counting, and nothing is lost.
 */
#include "fs/internal.h"
#include "fs/tmpfs.h"

#define SECTORS_PER_PAGE (PAGE_SIZE / 512)

#define FALLOC_KEEP_SIZE  1
#define FALLOC_PUNCH_HOLE 2

int tmpfs_reserve_page(struct inode *i)
{
	struct tmpfs *t = tmpfs_of(i->sb);

	return tmpfs_take(&t->used_blocks, t->max_blocks, 1);
}

void tmpfs_unreserve_page(struct inode *i)
{
	__atomic_sub_fetch(&tmpfs_of(i->sb)->used_blocks, 1, __ATOMIC_RELAXED);
}

void tmpfs_give_back(struct inode *i)
{
	u64 reserved = READ_ONCE(i->blocks) / SECTORS_PER_PAGE, pages = i->own_mapping.pages.count;

	if (reserved <= pages)
		return;
	__atomic_sub_fetch(&i->blocks, (reserved - pages) * SECTORS_PER_PAGE, __ATOMIC_RELAXED);
	__atomic_sub_fetch(&tmpfs_of(i->sb)->used_blocks, reserved - pages, __ATOMIC_RELAXED);
}

static void tmpfs_truncate(struct inode *i, u64 size)
{
	u64 old = i->size;

	WRITE_ONCE(i->size, size);
	if (size >= old)
		return;
	mapping_truncate(i->mapping, size);
	tmpfs_give_back(i);
}

int tmpfs_setattr(struct inode *i, const struct iattr *a)
{
	if ((a->valid & ATTR_SIZE) && S_ISREG(i->mode))
		tmpfs_truncate(i, a->size);
	inode_attr_copy(i, a);
	return 0;
}

/* --- fallocate(2) --- */

static void tmpfs_zero_part(struct inode *i, u64 from, u64 to)
{
	struct page *p = from < to ? mapping_find(i->mapping, from >> PAGE_SHIFT) : NULL;

	if (!p)
		return;
	memset((char *)page_virt(p) + (from & PAGE_MASK), 0, to - from);
	page_put(p);
}

static void tmpfs_punch(struct inode *i, u64 off, u64 end)
{
	u64 first = ALIGN_UP(off, PAGE_SIZE), last = ALIGN_DOWN(end, PAGE_SIZE);

	if (first > last) { /* inside one page */
		tmpfs_zero_part(i, off, end);
		return;
	}
	tmpfs_zero_part(i, off, first);
	tmpfs_zero_part(i, last, end);
	if (first < last)
		mapping_remove_range(i->mapping, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1);
	tmpfs_give_back(i);
}

/* More than could ever fit, so that it need not be tried. */
static bool tmpfs_hopeless(struct tmpfs *t, u64 pages)
{
	struct page_stats s;

	page_stats(&s);
	return pages > s.total || (t->max_blocks && pages > t->max_blocks) ||
	       (s64)(pages << PAGE_SHIFT) > account_available(current->account, RES_MEMORY);
}

/* Drops the pages of [first, last) in which nobody has written: what a failed call made. */
static void tmpfs_unallocate(struct inode *i, u64 first, u64 last)
{
	for (; first < last; first++) {
		struct page *p = mapping_find(i->mapping, first);
		bool unused = p && !(READ_ONCE(p->flags) & PG_DIRTY);

		if (p)
			page_put(p);
		if (unused)
			mapping_remove_range(i->mapping, first, first);
		if (first % 64 == 63)
			resched_point();
	}
	tmpfs_give_back(i);
}

static int tmpfs_allocate(struct inode *i, u64 off, u64 end)
{
	u64 first = off >> PAGE_SHIFT, last = DIV_ROUND_UP(end, PAGE_SIZE), index;
	struct page *p;
	int err = 0;

	if (tmpfs_hopeless(tmpfs_of(i->sb), last - first))
		return -ENOSPC;
	for (index = first; index < last && !err; index++) {
		err = signal_pending() ? -EINTR : inode_page(i, index, &p);
		if (!err)
			page_put(p);
		if (index % 64 == 63)
			resched_point();
	}
	if (err)
		tmpfs_unallocate(i, first, index);
	return err == -ENOMEM ? -ENOSPC : err;
}

static int tmpfs_fallocate(struct file *f, int mode, u64 off, u64 len)
{
	struct inode *i = f->inode;
	u64 room = UINT64_MAX;
	int err = 0;

	if (mode & ~(FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE))
		return -EOPNOTSUPP;
	mutex_lock(&i->lock);
	if (mode & FALLOC_PUNCH_HOLE) {
		tmpfs_punch(i, off, off + len);
	} else {
		if (off + len > i->size) /* with FALLOC_KEEP_SIZE too, as Linux's tmpfs */
			err = file_size_limit(i, off + len - 1, &room);
		err = err ? err : tmpfs_allocate(i, off, off + len);
		if (err) { /* what was made beyond the end is of no use */
			mapping_truncate(i->mapping, i->size);
			tmpfs_give_back(i);
		}
		if (!err && !(mode & FALLOC_KEEP_SIZE) && off + len > i->size)
			WRITE_ONCE(i->size, off + len);
	}
	if (!err) {
		inode_remove_suid(i);
		inode_touch(i, ATTR_MTIME | ATTR_CTIME);
	}
	mutex_unlock(&i->lock);
	return err;
}

static int tmpfs_file_open(struct inode *i, struct file *f)
{
	return f->flags & O_DIRECT ? -EINVAL : 0;
}

const struct file_ops tmpfs_file_ops = {
	.open = tmpfs_file_open,
	.read = pagecache_read,
	.write = pagecache_write,
	.mmap = pagecache_mmap,
	.fallocate = tmpfs_fallocate,
};
