/* SPDX-License-Identifier: MIT */
/*
 * vfs_mmap.c - cowfs's files in address spaces.
 *
 * A page of a file is mapped read-only until somebody writes to it in a shared
 * area: then the core makes the block one that may be written in place
 * (COW_WRITE_MAPPED), perhaps with another page, which takes the old one's place.
 * It may be written until the core says stop (cowfs_protect), before it takes the
 * checksum or shares the block; the next write faults again.
 *
 * The core names the file by its cowfs_inode, which may be gone when it calls: so
 * that is only looked for in a table of those that were ever mapped writable.
 *
 * Holes are mapped as the zero page.
 *
 * Locks: as->lock is held by faults, so inode->lock cannot be taken. mapped_lock
 * guards the table, and is held while cowfs_protect works on an inode's mapping.
 */
#include "fs/cowfs/vfs_internal.h"
#include "mm/aspace.h"

#define HASH_BITS 8

static struct hlist mapped[1 << HASH_BITS];
static spinlock_t mapped_lock = SPINLOCK_INIT(RANK_INODE_HASH);

static struct hlist *bucket_of(const void *c)
{
	return &mapped[hash_ptr(c, HASH_BITS)];
}

static void set_mapped(struct cowfs_inode *c)
{
	if (likely(READ_ONCE(c->mapped)))
		return;
	spin_lock(&mapped_lock);
	if (!c->mapped) {
		hlist_push(bucket_of(c), &c->mapped_node);
		WRITE_ONCE(c->mapped, true);
	}
	spin_unlock(&mapped_lock);
}

void cowfs_unmapped(struct inode *i)
{
	spin_lock(&mapped_lock);
	hlist_remove(&cowfs_of(i)->mapped_node);
	spin_unlock(&mapped_lock);
}

/* What was written behind the end of the file, which only page tables let happen, is no part of it.
 */
static void clear_tail(const struct cow_inode *core, u64 index, struct page *page)
{
	u64 size = READ_ONCE(core->rec.size);

	if (size >> PAGE_SHIFT == index && (size & PAGE_MASK))
		memset((char *)page_virt(page) + (size & PAGE_MASK), 0,
		       PAGE_SIZE - (size & PAGE_MASK));
}

/* Whoever is not in the table is mapped nowhere. */
void cowfs_protect(struct cow_buf *buf, void *inode_private, u64 index)
{
	struct page *page = (struct page *)cow_buf_page(buf);
	struct cowfs_inode *c;

	spin_lock(&mapped_lock);
	hlist_for_each (c, bucket_of(inode_private), mapped_node)
		if (c == inode_private) {
			/* else the block may be another file's by now, though still told of as its
			 */
			if (mapping_protect(&c->inode->own_mapping, index, page))
				clear_tail(c->core, index, page);
			break;
		}
	spin_unlock(&mapped_lock);
}

/* --- faults --- */

/* The block at index, writable through page tables from now on: its page, counted. */
static int map_writable(struct inode *i, u64 index, struct page **out)
{
	struct mapping *m = i->mapping;
	struct cow_buf *b;
	struct page *p;
	u64 changes;
	int err;

	set_mapped(cowfs_of(i));
	changes = mapping_changes(m);
	err = cow_file_write_begin(core_of(i), index, COW_WRITE_MAPPED, NULL, &b);
	if (err)
		return cowfs_fault_error(err);
	p = page_get((struct page *)cow_buf_page(b));
	err = mapping_set_writable(m, index, p, changes);
	cow_buf_put(b);
	if (err) {
		page_put(p);
		return err;
	}
	*out = p;
	return 0;
}

static int map_readable(struct inode *i, u64 index, struct page **out)
{
	struct mapping *m = i->mapping;
	struct cow_buf *b;
	struct page *p;
	u64 changes;
	int err;

	for (;;) {
		changes = mapping_changes(m);
		err = cow_file_find(core_of(i), index, &b);
		if (err)
			return cowfs_fault_error(err);
		p = page_get(b ? (struct page *)cow_buf_page(b) : zero_page);
		if (b)
			cow_buf_put(b);
		err = mapping_add_if(m, index, p, changes);
		if (!err) {
			*out = p;
			return 0;
		}
		page_put(p);
		if (err == -ENOMEM)
			return err;
		if (err == -EEXIST && (*out = mapping_find(m, index)))
			return 0;
	}
}

static int cowfs_vm_fault(struct vma *v, u64 pgoff, bool write, struct page **out)
{
	struct inode *i = v->file->inode;

	if (pgoff >= DIV_ROUND_UP(READ_ONCE(i->size), PAGE_SIZE))
		return -EFAULT;
	cowfs_make_room();
	return write ? map_writable(i, pgoff, out) : map_readable(i, pgoff, out);
}

/* The times may be written by two at once: either is now. */
static void written(struct inode *i)
{
	inode_touch(i, ATTR_MTIME | ATTR_CTIME);
	cowfs_of(i)->times_dirty = true;
}

static int cowfs_vm_make_writable(struct vma *v, u64 pgoff, struct page **p)
{
	struct inode *i = v->file->inode;
	struct page *now;
	int err;

	written(i);
	if (READ_ONCE((*p)->flags) & PG_DIRTY)
		return 0;
	block_dirty(cowfs_super_of(i->sb)->disk->platform.device);
	err = map_writable(i, pgoff, &now);
	if (err)
		return err;
	page_put(*p);
	*p = now;
	return 0;
}

static int cowfs_vm_sync(struct vma *v, u64 first, u64 last)
{
	return cowfs_fsync(v->file, first << PAGE_SHIFT, (last + 1) << PAGE_SHIFT, false);
}

static void cowfs_vm_open(struct vma *v)
{
	file_get(v->file);
}

static void cowfs_vm_close(struct vma *v)
{
	file_put(v->file);
}

static const struct vm_ops cowfs_vm_ops = {
	.open = cowfs_vm_open,
	.close = cowfs_vm_close,
	.fault = cowfs_vm_fault,
	.make_writable = cowfs_vm_make_writable,
	.sync = cowfs_vm_sync,
};

int cowfs_mmap(struct file *f, struct vma *v)
{
	v->ops = &cowfs_vm_ops;
	v->mapping = f->inode->mapping;
	file_accessed(f);
	return 0;
}
