/* SPDX-License-Identifier: MIT */
/*
 * diff.c - how two volumes differ: both inode tables are walked at once, and what both point to is
 * passed by. So the cost is that of the difference (and of the paths to it), whatever the size.
 *
 * The volumes may be in use. A batch of differences is gathered with both locked, and told with
 * nothing locked; the next batch goes on behind its last inode. Of a volume that changes meanwhile
 * each batch sees a later state. Two volumes are locked as the committer does it, with commit_lock
 * held, in order of their ids.
 *
 * Not a difference: atime, and what only says where a record lies on a list.
 */
#include "fs/cowfs/internal.h"

#define BATCH 32u

struct item {
	enum cow_difference what;
	u64 ino;
	struct cow_inode_record old, now;
};

struct walk {
	struct cow_fs *fs;
	u64 from; /* the first inode that was not told yet */
	unsigned count;
	struct item item[BATCH];
};

/* A tree or a part of one: addr 0 in ptr: nothing. */
struct side {
	struct cow_ptr ptr;
	unsigned level;
};

/* --- locks --- */

void cow_volumes_lock_two(struct cow_volume *a, struct cow_volume *b)
{
	struct cow_fs *fs = a ? a->fs : b->fs;

	cow_lock_write(&fs->commit_lock);
	if (a && b && a->id > b->id) {
		struct cow_volume *x = a;
		a = b;
		b = x;
	}
	if (a)
		cow_lock_write_nested(&a->lock);
	if (b && b != a)
		cow_lock_write_nested(&b->lock);
}

void cow_volumes_unlock_two(struct cow_volume *a, struct cow_volume *b)
{
	struct cow_fs *fs = a ? a->fs : b->fs;

	if (a)
		cow_unlock_write(&a->lock);
	if (b && b != a)
		cow_unlock_write(&b->lock);
	cow_unlock_write(&fs->commit_lock);
}

/* --- records --- */

/* Inodes without a name are in nobody's view. */
static bool is_there(const struct cow_inode_record *r)
{
	return r->mode != COW_S_FREE && r->nlink;
}

static void blur(struct cow_inode_record *r)
{
	r->atime = (struct cow_time){ 0 };
	r->next = r->prev = 0;
	/* a block that is still dirty has no sum yet: the address says it */
	r->root.csum = r->xattr.csum = 0;
}

static bool is_same(struct cow_inode_record a, struct cow_inode_record b)
{
	blur(&a);
	blur(&b);
	return !memcmp(&a, &b, sizeof(a));
}

static void tell(struct walk *w, enum cow_difference what, u64 ino,
		 const struct cow_inode_record *old, const struct cow_inode_record *now)
{
	struct item *it = &w->item[w->count++];

	it->what = what;
	it->ino = ino;
	it->old = *old;
	it->now = *now;
}

/* There is room for two. */
static void compare(struct walk *w, u64 ino, const struct cow_inode_record *a,
		    const struct cow_inode_record *b)
{
	bool in_a = is_there(a), in_b = is_there(b);

	if (in_a && in_b && a->generation == b->generation && !((a->mode ^ b->mode) & 0170000)) {
		if (!is_same(*a, *b))
			tell(w, COW_CHANGED, ino, a, b);
		return;
	}
	if (in_a)
		tell(w, COW_REMOVED, ino, a, b);
	if (in_b)
		tell(w, COW_ADDED, ino, a, b);
}

/* --- tables --- */

static bool is_shared(const struct side *a, const struct side *b)
{
	return a->ptr.addr == b->ptr.addr && a->ptr.birth == b->ptr.birth &&
	       (!a->ptr.addr || a->level == b->level);
}

/* Its block, if it has one at this level, counted; else NULL. */
static int block_of(struct walk *w, const struct side *s, unsigned level, struct cow_buf **out)
{
	*out = NULL;
	if (!s->ptr.addr || s->level != level)
		return 0;
	return cow_buf_read(w->fs, &s->ptr, (struct cow_shape){ COW_TREE_TABLE, level }, out);
}

/* Part i of s, which is seen as having the level `level` > 0. */
static struct side part_of(const struct side *s, const struct cow_buf *b, unsigned i)
{
	if (b)
		return (struct side){ ((struct cow_map *)b->data)->ptr[i], s->level - 1 };
	return i ? (struct side){ 0 } : *s;
}

/* 1: the batch is full. */
static int walk_leaf(struct walk *w, const struct cow_buf *a, const struct cow_buf *b, u64 leaf)
{
	static const struct cow_inode_leaf nothing;
	const struct cow_inode_leaf *x = a ? a->data : &nothing, *y = b ? b->data : &nothing;

	for (unsigned i = 0; i < COW_INODES_PER_LEAF; i++) {
		u64 ino = leaf * COW_INODES_PER_LEAF + i;

		if (ino < w->from)
			continue;
		if (w->count > BATCH - 2)
			return 1;
		compare(w, ino, &x->record[i].inode, &y->record[i].inode);
		w->from = ino + 1;
	}
	return 0;
}

/* Both sides from leaf `first` on, as trees of the level `level`. */
static int walk_part(struct walk *w, struct side a, struct side b, unsigned level, u64 first)
{
	u64 span = 1ull << (level * COW_FANOUT_SHIFT), below = span >> COW_FANOUT_SHIFT;
	struct cow_buf *x = NULL, *y = NULL;
	int err;

	if (is_shared(&a, &b) || (first + span) * COW_INODES_PER_LEAF <= w->from)
		return 0;
	err = block_of(w, &a, level, &x);
	if (!err)
		err = block_of(w, &b, level, &y);
	if (!err && !level)
		err = walk_leaf(w, x, y, first);
	else
		for (unsigned i = 0; i < COW_FANOUT && !err; i++)
			err = walk_part(w, part_of(&a, x, i), part_of(&b, y, i), level - 1,
					first + i * below);
	if (x)
		cow_buf_put(x);
	if (y)
		cow_buf_put(y);
	return err;
}

static int batch_fill(struct walk *w, struct cow_volume *a, struct cow_volume *b)
{
	struct side x, y;
	int err;

	w->count = 0;
	cow_volumes_lock_two(a, b);
	x = (struct side){ a->rec.table, a->rec.depth };
	y = (struct side){ b->rec.table, b->rec.depth };
	err = MAX(x.level, y.level) > COW_DEPTH_MAX ? -EIO
						    : walk_part(w, x, y, MAX(x.level, y.level), 0);
	cow_volumes_unlock_two(a, b);
	return err;
}

int cow_volume_diff(struct cow_volume *a, struct cow_volume *b,
		    int (*emit)(void *arg, enum cow_difference what, u64 ino,
				const struct cow_inode_record *old,
				const struct cow_inode_record *now),
		    void *arg)
{
	struct walk *w;
	int more = 1, err = 0;

	if (a->fs != b->fs)
		return -EXDEV;
	w = cow_alloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->fs = a->fs;
	while (more > 0 && !err) {
		more = batch_fill(w, a, b);
		for (unsigned i = 0; i < w->count && more >= 0 && !err; i++) {
			struct item *it = &w->item[i];

			err = emit(arg, it->what, it->ino, it->what == COW_ADDED ? NULL : &it->old,
				   it->what == COW_REMOVED ? NULL : &it->now);
		}
	}
	cow_free(w);
	return more < 0 ? more : err;
}
