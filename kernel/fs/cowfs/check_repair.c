/* SPDX-License-Identifier: MIT */
/*
 * check_repair.c - fsck sets right what it found wrong (contract: check.h).
 *
 * Counts come first: an operation that allocates must not be given a block that somebody has. All
 * that follows are operations like others, committed together at the end; a crash before that
 * leaves the disk as it was. Numbers are corrected by the difference between what was found and
 * what was expected, since repairs before may have moved both. Frozen volumes are repaired like
 * others.
 */
#include "fs/cowfs/check.h"

#define LOST_FOUND "lost+found"

/* --- blocks --- */

static int write_raw(struct checker *k, u64 addr, struct cow_page *page, void *data)
{
	struct cow_io io;
	int err;

	cow_io_init(&io, k->fs->platform);
	cow_io_start(&io, true, addr, &page, &data, 1);
	err = cow_io_wait(&io);
	return err ? err : cow_io_flush(k->fs->platform);
}

/* The same bytes as the copy that is good: no crash makes that worse. */
int repair_super(struct checker *k, u64 addr, void *data, struct cow_page *page)
{
	int err;

	if (!k->c->repair) {
		check_note(k, "superblock at block %lu: was torn by a crash; its copy is good",
			   addr);
		return 0;
	}
	memcpy(data, &k->fs->super, COW_BLOCK);
	err = write_raw(k, addr, page, data);
	if (!err)
		check_repaired(k, "superblock at block %lu: written again from its copy", addr);
	return err;
}

int repair_mirror(struct checker *k, const struct cow_ptr *p, void *data, struct cow_page *page)
{
	int err;

	if (!k->c->repair)
		return 0;
	if (check_read_raw(k, p->addr, page, data) || cow_checksum(data, COW_BLOCK) != p->csum)
		return 0;
	err = write_raw(k, p->mirror, page, data);
	if (!err)
		check_repaired(k, "block %lu: its second copy %lu is written again", p->addr,
			       p->mirror);
	return err;
}

int repair_count(struct checker *k, u64 addr, u32 expected)
{
	struct cow_op op;
	int err;

	if (!k->c->repair)
		return 0;
	err = cow_op_begin(k->fs->meta, 0, COW_OP_FREES | COW_OP_NOWAIT, &op);
	if (err)
		return err;
	err = cow_counts_touch(k->fs, addr);
	if (!err)
		cow_counts_set(k->fs, addr, expected);
	cow_op_end(&op);
	if (!err)
		check_repaired(k, "block %lu: reference count is %u now", addr, expected);
	return err;
}

int repair_reserved(struct checker *k)
{
	if (!k->c->repair)
		return 0;
	cow_reserved_add(k->fs, (s64)k->reserved - (s64)k->fs->reserved_blocks);
	check_repaired(k, "superblock: reserved blocks are %lu now", k->reserved);
	return 0;
}

/* --- operations on the volume at hand --- */

struct repair {
	struct cow_volume *volume;
	u32 flags; /* of the volume, before */
	struct cow_op op;
};

static int repair_open(struct checker *k, struct repair *r)
{
	int err = 0;

	r->volume = k->fs->meta;
	if (k->volume)
		err = cow_volume_get_id(k->fs, k->volume->id, &r->volume);
	if (err)
		return err;
	r->flags = r->volume->rec.flags;
	r->volume->rec.flags &= ~COW_VOLUME_FROZEN;
	return 0;
}

static void repair_close(struct checker *k, struct repair *r)
{
	r->volume->rec.flags = r->flags;
	if (k->volume)
		cow_volume_put(r->volume);
}

static int repair_begin(struct checker *k, struct repair *r)
{
	int err = repair_open(k, r);

	if (err)
		return err;
	err = cow_op_begin(r->volume, COW_OP_META, COW_OP_FREES, &r->op);
	if (err)
		repair_close(k, r);
	return err;
}

static void repair_end(struct checker *k, struct repair *r)
{
	cow_op_end(&r->op);
	repair_close(k, r);
}

int repair_volume(struct checker *k, u64 used, u64 inodes)
{
	struct cow_volume_record *was = check_record(k);
	struct repair r;
	int err;

	if (!k->c->repair)
		return 0;
	err = repair_begin(k, &r);
	if (err)
		return err;
	r.volume->rec.used_blocks += used - was->used_blocks;
	r.volume->rec.inodes += inodes - was->inodes;
	repair_end(k, &r);
	check_repaired(k, "volume %lu: counts of blocks and inodes are set right",
		       check_volume_id(k));
	return 0;
}

/* One record of the volume changes: `change` says how. */
static int repair_record(struct checker *k, u64 ino,
			 void (*change)(union cow_record *r, const u64 *arg), const u64 *arg)
{
	union cow_record *rec;
	struct cow_buf *leaf;
	struct repair r;
	int err = repair_begin(k, &r);

	if (err)
		return err;
	err = cow_record_write(r.volume, ino, &leaf, &rec);
	if (!err) {
		change(rec, arg);
		cow_buf_put(leaf);
	}
	repair_end(k, &r);
	return err;
}

static void set_nlink(union cow_record *r, const u64 *arg)
{
	if (r->mode == COW_S_VOLUME)
		r->volume.nlink = arg[0];
	else
		r->inode.nlink = arg[0];
}

int repair_nlink(struct checker *k, u64 ino, u32 nlink)
{
	const u64 arg = nlink;
	int err;

	if (!k->c->repair)
		return 0;
	err = repair_record(k, ino, set_nlink, &arg);
	if (!err)
		check_repaired(k, "volume %lu: inode %lu: links are %u now", check_volume_id(k),
			       ino, nlink);
	return err;
}

/* --- lists --- */

static void set_list(union cow_record *r, const u64 *arg)
{
	if (r->mode == COW_S_DEAD) {
		r->dead.next = arg[0];
	} else {
		r->inode.next = arg[0];
		r->inode.prev = arg[1];
	}
}

/* All inodes with `state` in one chain, in order of their numbers. */
static int chain(struct checker *k, u8 state, u16 mode, u64 *head)
{
	u64 next = 0, previous = 0, behind = 0;
	int err = 0;

	*head = 0;
	for (u64 ino = k->top_ino; !err && ino; ino--) {
		struct check_inode *i = sparse_peek(&k->inodes, ino);
		u64 arg[2];

		if (!i || (i->state & (SEEN_USED | SEEN_FREE | SEEN_ORPHAN)) != state ||
		    (mode && i->mode != mode))
			continue;
		/* `prev` is not known before the next one down is found */
		if (next && state & SEEN_ORPHAN) {
			arg[0] = behind;
			arg[1] = ino;
			err = repair_record(k, next, set_list, arg);
		}
		arg[0] = next;
		arg[1] = previous;
		if (!err)
			err = repair_record(k, ino, set_list, arg);
		behind = next;
		next = *head = ino;
	}
	return err;
}

int repair_lists(struct checker *k)
{
	u64 heads[2], dead = 0;
	struct repair r;
	int err;

	if (!k->c->repair)
		return 0;
	err = chain(k, SEEN_FREE, 0, &heads[0]);
	if (!err)
		err = chain(k, SEEN_USED | SEEN_ORPHAN, 0, &heads[1]);
	if (!err && !k->volume)
		err = chain(k, SEEN_USED, (u16)COW_S_DEAD, &dead);
	if (!err)
		err = repair_begin(k, &r);
	if (err)
		return err;
	r.volume->rec.free_head = heads[0];
	r.volume->rec.orphan_head = heads[1];
	if (!k->volume)
		k->fs->dead_head = dead;
	repair_end(k, &r);
	check_repaired(k, "volume %lu: lists of free numbers and of orphans are made anew",
		       check_volume_id(k));
	return 0;
}

/* --- names --- */

static int take_entry(struct cow_inode *dir, const char *name, size_t len)
{
	struct cow_dir_place place;
	int err = cow_inode_prepare(dir);

	if (err)
		return err;
	err = cow_dir_remove_prepare(dir, name, len, &place);
	if (!err)
		cow_dir_remove(dir, &place);
	cow_inode_store(dir, COW_STORE_NAMES);
	return err;
}

int repair_entry(struct checker *k, u64 ino, const char *name, size_t len)
{
	struct cow_inode *dir;
	struct repair r;
	char copy[COW_NAME_MAX + 1] = { 0 };
	int err;

	if (!k->c->repair)
		return 0;
	memcpy(copy, name, len); /* the block that it is in may move */
	err = repair_open(k, &r);
	if (err)
		return err;
	err = cow_inode_get(r.volume, ino, &dir);
	if (!err) {
		err = cow_op_begin(r.volume, COW_OP_META, COW_OP_FREES, &r.op);
		if (!err) {
			err = take_entry(dir, copy, len);
			cow_op_end(&r.op);
		}
		cow_inode_put(dir);
	}
	repair_close(k, &r);
	if (!err)
		check_repaired(k, "volume %lu: inode %lu: the entry \"%s\" is taken away",
			       check_volume_id(k), ino, copy);
	return err;
}

/* The directory for what has no name: the volume's /lost+found; the only one there is for volumes.
 */
static int lost_dir(struct checker *k, struct cow_volume *v, struct cow_inode **out)
{
	struct cow_new new = { .mode = COW_S_DIR | 0700 };
	struct cow_inode *root;
	u64 ino;
	int err = cow_inode_get(v, COW_ROOT_INO, &root);

	if (err || !k->volume) {
		*out = root;
		return err;
	}
	cow_now(&new.now);
	err = cow_lookup(root, LOST_FOUND, sizeof(LOST_FOUND) - 1, &ino);
	if (!err)
		err = cow_inode_get(v, ino, out);
	else if (err == -ENOENT)
		err = cow_create(root, LOST_FOUND, sizeof(LOST_FOUND) - 1, &new, out);
	cow_inode_put(root);
	if (!err && ((*out)->rec.mode & COW_S_TYPE) != COW_S_DIR) {
		cow_inode_put(*out);
		err = -ENOTDIR;
	}
	return err;
}

/* Its record, then its entry in dir. */
static int give_name(struct repair *r, struct cow_inode *dir, u64 ino, const struct check_inode *i)
{
	bool is_dir = (i->mode & COW_S_TYPE) == COW_S_DIR;
	struct cow_dir_place place;
	union cow_record *rec;
	struct cow_buf *leaf;
	char name[32];
	u64 nlink = is_dir ? 2 + i->subdirs : 1;
	size_t len = snprintf(name, sizeof(name), "#%lu", ino);
	int err = cow_inode_prepare(dir);

	if (err)
		return err;
	err = cow_record_write(r->volume, ino, &leaf, &rec);
	if (!err) {
		err = cow_dir_insert_prepare(dir, name, len, &place);
		if (!err) {
			set_nlink(rec, &nlink);
			cow_dir_insert(dir, &place, name, len, ino, i->generation,
				       (i->mode & COW_S_TYPE) >> 12);
			dir->rec.nlink += is_dir;
		}
		cow_buf_put(leaf);
	}
	cow_inode_store(dir, COW_STORE_NAMES);
	return err;
}

int repair_lost(struct checker *k, u64 ino, const struct check_inode *i)
{
	struct cow_inode *dir;
	struct repair r;
	int err;

	if (!k->c->repair)
		return 0;
	err = repair_open(k, &r);
	if (err)
		return err;
	err = lost_dir(k, r.volume, &dir);
	if (!err) {
		err = cow_op_begin(r.volume, COW_OP_META, COW_OP_FREES, &r.op);
		if (!err) {
			err = give_name(&r, dir, ino, i);
			cow_op_end(&r.op);
		}
		cow_inode_put(dir);
	}
	repair_close(k, &r);
	if (!err)
		check_repaired(k, "volume %lu: inode %lu: is " LOST_FOUND "/#%lu now",
			       check_volume_id(k), ino, ino);
	return err;
}
