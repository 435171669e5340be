/* SPDX-License-Identifier: MIT */
/*
 * record.c - the records of an inode table: inodes, and in the meta volume volumes and dead trees.
 * Record n is the n % 16th of leaf n / 16 of the table; leaves are never dropped, so a number below
 * next_ino that was ever used has its place. Free records (mode 0) are a list from free_head on:
 * giving and taking a number costs the same however many there are.
 *
 * A record's place, once made writable in an operation, stays so until its end.
 */
#include "fs/cowfs/internal.h"

#define INO_END (1ull << 60) /* 16 records in each of 128^8 leaves */

static const struct cow_shape leaf_shape = { COW_TREE_TABLE, 0 };

static union cow_record *record_in(const struct cow_buf *leaf, u64 ino)
{
	return &((struct cow_inode_leaf *)leaf->data)->record[ino % COW_INODES_PER_LEAF];
}

int cow_record_load(struct cow_volume *v, u64 ino, union cow_record *out, u64 *birth)
{
	struct cow_root table = cow_table_root(&v->rec);
	struct cow_buf *leaf;
	struct cow_ptr p;
	int err;

	if (!ino || ino >= v->rec.next_ino)
		return -ENOENT;
	err = cow_tree_find(v->fs, &table, ino / COW_INODES_PER_LEAF, &p);
	if (!err && !p.addr)
		err = -ENOENT;
	if (!err)
		err = cow_buf_read(v->fs, &p, leaf_shape, &leaf);
	if (err)
		return err;
	*out = *record_in(leaf, ino);
	*birth = p.birth;
	cow_buf_put(leaf);
	return 0;
}

int cow_record_read(struct cow_volume *v, u64 ino, union cow_record *out)
{
	u64 birth;

	return cow_record_load(v, ino, out, &birth);
}

static int place_write(struct cow_volume *v, u64 ino, struct cow_buf **leaf, union cow_record **out)
{
	struct cow_root table = cow_table_root(&v->rec);
	struct cow_buf *map;
	struct cow_ptr *slot;
	int err = cow_tree_path(v, &table, ino / COW_INODES_PER_LEAF, &map, &slot);

	if (err)
		return err;
	err = cow_block_make_writable(v, slot, leaf_shape, 0, NULL, leaf);
	if (map)
		cow_buf_put(map);
	if (!err)
		*out = record_in(*leaf, ino);
	return err;
}

int cow_record_write(struct cow_volume *v, u64 ino, struct cow_buf **leaf, union cow_record **out)
{
	/* numbers come from lists on the disk */
	return ino && ino < v->rec.next_ino ? place_write(v, ino, leaf, out) : -EIO;
}

static bool over_quota(const struct cow_volume_record *r)
{
	return r->quota_inodes && (s64)(r->inodes - r->base_inodes) >= (s64)r->quota_inodes;
}

int cow_record_alloc(struct cow_volume *v, u64 *ino, struct cow_buf **leaf, union cow_record **out)
{
	struct cow_volume_record *r = &v->rec;
	u64 n = r->free_head ? r->free_head : MAX(r->next_ino, COW_ROOT_INO);
	u32 generation;
	int err;

	if (over_quota(r))
		return -EDQUOT;
	err = (s64)(r->inodes - r->base_inodes) < 0 ? 0 : cow_volume_fits(v, 0, 1);
	if (err)
		return err;
	if (n >= INO_END || (r->free_head && n >= r->next_ino))
		return r->free_head ? -EIO : -ENOSPC;
	err = place_write(v, n, leaf, out);
	if (err)
		return err;
	if ((*out)->mode != COW_S_FREE) {
		cow_log(v->fs->platform, "volume %lu: inode %lu is on the list of free ones",
			(unsigned long)v->id, (unsigned long)n);
		cow_buf_put(*leaf);
		return -EIO;
	}
	if (r->free_head)
		r->free_head = (*out)->inode.next;
	else
		r->next_ino = n + 1;
	r->inodes++;
	cow_volume_tell(v);
	generation = (*out)->inode.generation + 1;
	**out = (union cow_record){ 0 };
	(*out)->inode.generation = generation;
	*ino = n;
	return 0;
}

static u32 generation_of(const union cow_record *r)
{
	switch (r->mode) {
	case COW_S_VOLUME:
		return r->volume.generation;
	case COW_S_DEAD:
		return 0; /* has none */
	default:
		return r->inode.generation;
	}
}

void cow_record_free(struct cow_volume *v, u64 ino, union cow_record *r)
{
	u32 generation = generation_of(r);

	*r = (union cow_record){ 0 };
	r->inode.generation = generation;
	r->inode.next = v->rec.free_head;
	v->rec.free_head = ino;
	v->rec.inodes--;
	cow_volume_tell(v);
}

int cow_table_create(struct cow_volume *v, const struct cow_new *root)
{
	union cow_record *r;
	struct cow_buf *leaf;
	u64 ino;
	int err = cow_record_alloc(v, &ino, &leaf, &r);

	if (err)
		return err;
	COW_BUG_ON(ino != COW_ROOT_INO);
	r->inode.mode = root->mode;
	r->inode.nlink = 2;
	r->inode.uid = root->uid;
	r->inode.gid = root->gid;
	r->inode.atime = r->inode.mtime = r->inode.ctime = r->inode.btime = root->now;
	cow_buf_put(leaf);
	return 0;
}
