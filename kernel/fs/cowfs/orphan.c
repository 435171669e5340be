/* SPDX-License-Identifier: MIT */
/*
 * orphan.c - inodes without a name that are still in use: a doubly linked list through `next` and
 * `prev` of their records, from the volume's orphan_head on, so that none is lost in a crash. The
 * last cow_inode_put deletes an orphan; cow_orphans_drop those that a crash or a clone left.
 *
 * Deleting works off a big file in several operations. The inode stays on the list until the last
 * one, so a crash in between leaves an orphan with less in it.
 */
#include "fs/cowfs/internal.h"

/* --- the list --- */

/* The record of another one on the list, writable from now on. */
static int neighbour_prepare(struct cow_volume *v, u64 ino)
{
	union cow_record *r;
	struct cow_buf *leaf;
	int err;

	if (!ino)
		return 0;
	err = cow_record_write(v, ino, &leaf, &r);
	if (err)
		return err;
	if (!r->mode || !(r->inode.flags & COW_INODE_ORPHAN)) {
		cow_log(v->fs->platform, "volume %lu: the list of orphans is broken at inode %lu",
			(unsigned long)v->id, (unsigned long)ino);
		err = -EIO;
	}
	cow_buf_put(leaf);
	return err;
}

/* Prepared, so that it is only found again. NULL: stays as it is. */
static void neighbour_set(struct cow_volume *v, u64 ino, const u64 *next, const u64 *prev)
{
	union cow_record *r;
	struct cow_buf *leaf;
	int err = cow_record_write(v, ino, &leaf, &r);

	COW_BUG_ON(err);
	if (next)
		r->inode.next = *next;
	if (prev)
		r->inode.prev = *prev;
	cow_buf_put(leaf);
	cow_inode_relink(v, ino, next, prev);
}

int cow_orphan_prepare(struct cow_inode *i)
{
	struct cow_volume *v = i->volume;
	int err = i->ino ? cow_inode_prepare(i) : 0;

	if (err)
		return err;
	if (!(i->rec.flags & COW_INODE_ORPHAN))
		return neighbour_prepare(v, v->rec.orphan_head);
	if (!i->rec.prev && v->rec.orphan_head != i->ino)
		return -EIO;
	err = neighbour_prepare(v, i->rec.prev);
	return err ? err : neighbour_prepare(v, i->rec.next);
}

void cow_orphan_add(struct cow_inode *i)
{
	struct cow_volume *v = i->volume;

	COW_BUG_ON(i->rec.flags & COW_INODE_ORPHAN);
	i->rec.flags |= COW_INODE_ORPHAN;
	i->rec.next = v->rec.orphan_head;
	i->rec.prev = 0;
	if (i->rec.next)
		neighbour_set(v, i->rec.next, NULL, &i->ino);
	v->rec.orphan_head = i->ino;
	cow_inode_store(i, COW_STORE_NAMES);
}

void cow_orphan_remove(struct cow_inode *i)
{
	struct cow_volume *v = i->volume;

	COW_BUG_ON(!(i->rec.flags & COW_INODE_ORPHAN));
	if (i->rec.prev)
		neighbour_set(v, i->rec.prev, &i->rec.next, NULL);
	else
		v->rec.orphan_head = i->rec.next;
	if (i->rec.next)
		neighbour_set(v, i->rec.next, NULL, &i->rec.prev);
	i->rec.flags &= ~(u32)COW_INODE_ORPHAN;
	i->rec.next = i->rec.prev = 0;
	cow_inode_store(i, COW_STORE_NAMES);
}

/* --- deletion --- */

/* An empty directory has at most a leaf. */
static int drop_directory(struct cow_inode *i)
{
	struct cow_shape s = { COW_TREE_DIR, i->rec.depth };
	struct cow_buf *held;
	int err;

	if (i->rec.depth > 1)
		return -EIO;
	err = cow_block_drop_prepare(i->volume, &i->rec.root, s, &held);
	if (err)
		return err;
	cow_block_drop(i->volume, &i->rec.root, s, held);
	i->rec.depth = 0;
	return 0;
}

/* Some of the blocks: *more says that there are others. Prepared; to be stored in any case. */
static int drop_blocks(struct cow_inode *i, bool *more)
{
	struct cow_root data = cow_file_root(&i->rec), xattr = cow_xattr_root(&i->rec);
	u64 dropped, next = 0;
	int err = 0;

	if (!i->rec.root.addr) {
		i->rec.depth = 0;
	} else if ((i->rec.mode & 0170000) == 0040000) {
		err = drop_directory(i);
	} else {
		err = cow_tree_drop(i->volume, &data, 0, ~0ull, &dropped, &next);
		i->rec.blocks = i->rec.root.addr ? i->rec.blocks - MIN(dropped, i->rec.blocks) : 0;
	}
	if (!err && !next && i->rec.xattr.addr)
		err = cow_tree_drop(i->volume, &xattr, 0, ~0ull, &dropped, &next);
	if (!i->rec.xattr.addr)
		i->rec.xattr_size = 0;
	*more = next != 0;
	return err;
}

static int free_number(struct cow_inode *i)
{
	struct cow_volume *v = i->volume;
	union cow_record *r;
	struct cow_buf *leaf;
	int err = cow_orphan_prepare(i);

	if (!err)
		err = cow_record_write(v, i->ino, &leaf, &r);
	if (err)
		return err;
	cow_orphan_remove(i);
	cow_record_free(v, i->ino, r);
	cow_buf_put(leaf);
	cow_inode_unhash(i);
	return 0;
}

#define DELETE_BLOCKS (2 * COW_TREE_DROP_BLOCKS + 3 * COW_TREE_PATH_BLOCKS)

int cow_inode_delete(struct cow_inode *i)
{
	bool more = true;
	struct cow_op op;
	int err = 0;

	while (more && !err) {
		err = cow_op_begin(i->volume, DELETE_BLOCKS, COW_OP_FREES, &op);
		if (err)
			return err;
		i->map_epoch = ~0ull;
		err = cow_inode_prepare(i);
		if (!err) {
			err = drop_blocks(i, &more);
			cow_inode_store(i, COW_STORE_NAMES);
		}
		if (!err && !more)
			err = free_number(i);
		cow_op_end(&op);
	}
	return err;
}

int cow_orphan_delete(struct cow_volume *v, u64 ino)
{
	struct cow_inode *i;
	int err = cow_inode_get_any(v, ino, true, &i);

	return err ? err : cow_inode_put_any(i);
}

/* The first one that nobody has in memory; 0: none. */
static int find_left(struct cow_volume *v, u64 *ino)
{
	union cow_record r;
	int err = 0;

	cow_lock_read(&v->lock);
	*ino = v->rec.orphan_head;
	for (u64 n = 0; *ino && cow_inode_is_loaded(v, *ino); *ino = r.inode.next) {
		err = n++ > v->rec.inodes ? -EIO : cow_record_read(v, *ino, &r);
		if (err)
			break;
	}
	cow_unlock_read(&v->lock);
	return err;
}

#define DROP_AT_ONCE 16

int cow_orphans_drop(struct cow_volume *v)
{
	unsigned deleted = 0;
	u64 ino;
	int err;

	if (v->rec.flags & COW_VOLUME_FROZEN || cow_load(&v->rec.orphan_head) == 0)
		return 0;
	for (unsigned n = 0; n < DROP_AT_ONCE; n++) {
		err = find_left(v, &ino);
		if (err || !ino)
			return err;
		err = cow_orphan_delete(v, ino);
		/* somebody else may be about it */
		if (err && err != -ESTALE && err != -ENOENT)
			return err;
		deleted += !err;
	}
	return deleted ? 1 : -EIO;
}
