/* SPDX-License-Identifier: MIT */
/*
 * tree.c - radix trees of blocks: the data of files, extended attributes, inode tables.
 *
 * A tree of depth d has room for COW_FANOUT^d leaves; its root block is at level d, a leaf at level
 * 0. It hangs in a record (struct cow_root): the caller makes the record's place writable before it
 * changes the tree, and stores the record after it, also when the change failed half way: what is
 * writable by then has moved.
 *
 *	cow_inode_prepare(i);
 *	err = cow_tree_path(v, &root, index, &map, &slot);	the path is ours now
 *	if (!err) ... cow_block_make_writable(v, slot, leaf shape, ...); cow_buf_put(map)
 *	cow_inode_store(i, how);
 *
 * A tree grows at the root: a new one gets the old root as its first child. It shrinks where leaves
 * are dropped. A path that was made and not used leaves blocks of pointers without leaves, which is
 * a legal tree; the next drop takes them away.
 *
 * COW_ADDR_RESERVED is in blocks of pointers only, never in a record: cow_tree_reserve_path sees to
 * that. So a copy of a record's block copies no promise of space.
 */
#include "fs/cowfs/internal.h"

#define SLOT_MASK (COW_FANOUT - 1)

/* Leaves below a block at `level` (at most COW_DEPTH_MAX: 2^56). */
static u64 span(u8 level)
{
	return 1ull << (level * COW_FANOUT_SHIFT);
}

static unsigned slot_of(u64 index, u8 level)
{
	return (index >> ((level - 1) * COW_FANOUT_SHIFT)) & SLOT_MASK;
}

static struct cow_shape shape(const struct cow_root *r, u8 level)
{
	return (struct cow_shape){ r->tree, level };
}

static struct cow_ptr *slots(const struct cow_buf *map)
{
	return ((struct cow_map *)map->data)->ptr;
}

/* Depths come from the disk. */
static int root_check(const struct cow_root *r)
{
	return unlikely(*r->depth > COW_DEPTH_MAX) ? -EIO : 0;
}

/* --- looking --- */

int cow_tree_find_run(struct cow_fs *fs, const struct cow_root *r, u64 index, unsigned n,
		      struct cow_ptr *out)
{
	u8 level = *r->depth;
	unsigned slot = 0, got = 1;
	struct cow_buf *map;
	int err = root_check(r);

	if (err)
		return err;
	*out = index < span(level) ? *r->ptr : (struct cow_ptr){ 0 };
	for (; level > 0 && out->addr; level--) {
		err = cow_buf_read(fs, out, shape(r, level), &map);
		if (err)
			return err;
		slot = slot_of(index, level);
		got = level == 1 ? MIN(n, COW_FANOUT - slot) : 1;
		memcpy(out, slots(map) + slot, got * sizeof(*out));
		cow_buf_put(map);
	}
	return got;
}

int cow_tree_find(struct cow_fs *fs, const struct cow_root *r, u64 index, struct cow_ptr *out)
{
	return MIN(cow_tree_find_run(fs, r, index, 1, out), 0);
}

static bool is_wanted(enum cow_tree_want want, u64 addr)
{
	switch (want) {
	case COW_TREE_ANY:
		return addr != 0;
	case COW_TREE_DATA:
		return addr > COW_ADDR_RESERVED;
	default:
		return addr <= COW_ADDR_RESERVED;
	}
}

struct search {
	struct cow_fs *fs;
	const struct cow_root *r;
	enum cow_tree_want want;
	u64 index; /* from here on; what was found; where it gave up */
	struct cow_ptr out;
	unsigned reads; /* blocks of pointers that may still be read */
};

/* The subtree of p, whose first leaf is `base`: 0, -ENOENT, -EAGAIN, -EIO. */
static int search_below(struct search *s, struct cow_ptr p, u8 level, u64 base)
{
	struct cow_buf *map;
	int err;

	if (!level || !p.addr) {
		if (!is_wanted(s->want, p.addr))
			return -ENOENT;
		s->index = MAX(s->index, base);
		s->out = p;
		return 0;
	}
	if (!s->reads) {
		s->index = MAX(s->index, base);
		return -EAGAIN;
	}
	s->reads--;
	err = cow_buf_read(s->fs, &p, shape(s->r, level), &map);
	if (err)
		return err;
	err = -ENOENT;
	for (unsigned k = s->index > base ? slot_of(s->index, level) : 0; k < COW_FANOUT; k++) {
		err = search_below(s, slots(map)[k], level - 1, base + k * span(level - 1));
		if (err != -ENOENT)
			break;
	}
	cow_buf_put(map);
	cow_resched();
	return err;
}

int cow_tree_search(struct cow_fs *fs, const struct cow_root *r, enum cow_tree_want want,
		    u64 *index, struct cow_ptr *out)
{
	struct search s = { .fs = fs, .r = r, .want = want, .index = *index, .reads = 256 };
	int err = root_check(r);

	if (err)
		return err;
	if (*index < span(*r->depth))
		err = search_below(&s, *r->ptr, *r->depth, 0);
	else
		err = want == COW_TREE_HOLE ? 0 : -ENOENT;
	/* behind the tree are holes only */
	if (err == -ENOENT && want == COW_TREE_HOLE) {
		s.index = MAX(s.index, span(*r->depth));
		err = 0;
	}
	if (!err || err == -EAGAIN) {
		*index = s.index;
		*out = s.out;
	}
	return err;
}

int cow_tree_next(struct cow_fs *fs, const struct cow_root *r, u64 *index, struct cow_ptr *out)
{
	int err;

	do {
		err = cow_tree_search(fs, r, COW_TREE_ANY, index, out);
	} while (err == -EAGAIN);
	return err;
}

/* --- making a path --- */

/* One level more: a new root whose first child is the old one. */
static int grow(struct cow_volume *v, const struct cow_root *r)
{
	struct cow_ptr top = { 0 };
	struct cow_buf *map;
	int err;

	if (r->ptr->addr) {
		err = cow_block_make_writable(v, &top, shape(r, *r->depth + 1), 0, NULL, &map);
		if (err)
			return err;
		slots(map)[0] = *r->ptr;
		cow_buf_set(map, COW_BUF_NEWS); /* the path to come may not lead through it */
		cow_buf_put(map);
		*r->ptr = top;
	}
	++*r->depth;
	return 0;
}

static int tree_path(struct cow_volume *v, const struct cow_root *r, u8 depth, u64 index,
		     struct cow_buf **map, struct cow_ptr **slot)
{
	struct cow_ptr *p = r->ptr;
	struct cow_buf *b = NULL, *parent;
	int err = root_check(r);

	if (!err && index >= span(COW_DEPTH_MAX))
		err = -EFBIG;
	while (!err && (*r->depth < depth || index >= span(*r->depth)))
		err = grow(v, r);
	if (err)
		return err;
	for (u8 level = *r->depth; level > 0; level--) {
		parent = b;
		err = cow_block_make_writable(v, p, shape(r, level), 0, NULL, &b);
		if (parent)
			cow_buf_put(parent);
		if (err)
			return err;
		if (!(b->flags & COW_BUF_NEWS))
			cow_buf_set(b, COW_BUF_NEWS);
		p = &slots(b)[slot_of(index, level)];
	}
	*map = b;
	*slot = p;
	return 0;
}

int cow_tree_path(struct cow_volume *v, const struct cow_root *r, u64 index, struct cow_buf **map,
		  struct cow_ptr **slot)
{
	return tree_path(v, r, 0, index, map, slot);
}

int cow_tree_reserve_path(struct cow_volume *v, const struct cow_root *r, u64 index,
			  struct cow_buf **map, struct cow_ptr **slot)
{
	return tree_path(v, r, 1, index, map, slot);
}

/* --- dropping --- */

/*
 * One step of a drop costs at most DROP_BUDGET: a leaf costs 1, a block of pointers that is read 8,
 * one that is made writable (and so may need a new block) 64. So a step makes at most 16 + depth
 * blocks writable, which is COW_TREE_DROP_BLOCKS.
 */
#define DROP_BUDGET 1024
#define COST_READ   8
#define COST_WRITE  64

struct drop {
	struct cow_volume *v;
	const struct cow_root *r;
	u64 first, last;
	s64 budget;
	u64 dropped; /* leaves */
	u64 next;    /* where it stopped */
	bool stopped;
};

/* How many leaves there are below *p, at `level` 0 to 2. */
static int count_leaves(struct drop *d, const struct cow_ptr *p, u8 level, u64 *n)
{
	struct cow_buf *map;
	int err;

	if (!level || !p->addr) {
		*n += p->addr != 0;
		return 0;
	}
	err = cow_buf_read(d->v->fs, p, shape(d->r, level), &map);
	if (err)
		return err;
	d->budget -= COST_READ;
	for (unsigned k = 0; k < COW_FANOUT && !err; k++)
		err = count_leaves(d, &slots(map)[k], level - 1, n);
	cow_buf_put(map);
	return err;
}

/*
 * May the subtree go as a whole, by cow_block_drop? Up to level 1 always. Above, if others have it
 * and none of its blocks counts for this volume: one reference count goes down. Then at level 2
 * somebody must still look how many leaves that were, unless it is the whole tree.
 */
static int goes_whole(struct drop *d, const struct cow_ptr *p, u8 level, bool *whole)
{
	bool all = p == d->r->ptr;
	u32 count;
	int err;

	*whole = level <= 1;
	if (level <= 1 || p->birth > d->v->rec.base_birth || (level > 2 && !all))
		return 0;
	err = cow_counts_get(d->v->fs, p->addr, &count);
	*whole = !err && count > 1;
	return err;
}

/* 1: the others have given it up since; it goes in parts. */
static int drop_whole(struct drop *d, struct cow_ptr *p, u8 level)
{
	struct cow_buf *held;
	u64 n = 0;
	int err = 0;

	if (level <= 2)
		err = count_leaves(d, p, level, &n);
	if (!err)
		err = cow_block_drop_prepare(d->v, p, shape(d->r, level), &held);
	if (err)
		return err;
	if (level <= 1)
		cow_block_drop(d->v, p, shape(d->r, level), held);
	else if (!cow_block_drop_shared(d->v, p))
		return 1;
	d->dropped += n;
	d->budget -= n;
	cow_resched();
	return 0;
}

static bool is_empty(const struct cow_buf *map)
{
	for (unsigned k = 0; k < COW_FANOUT; k++)
		if (slots(map)[k].addr)
			return false;
	return true;
}

static int drop_below(struct drop *d, struct cow_ptr *p, u8 level, u64 base);

/* Part of a block of pointers, or one whose parts are dropped one by one. Empty, it goes itself. */
static int drop_parts(struct drop *d, struct cow_ptr *p, u8 level, u64 base)
{
	u64 step = span(level - 1), last = MIN((d->last - base) / step, (u64)SLOT_MASK);
	struct cow_buf *map;
	int err;

	err = cow_block_make_writable(d->v, p, shape(d->r, level), 0, NULL, &map);
	if (err)
		return err;
	d->budget -= COST_WRITE;
	err = cow_counts_touch(d->v->fs, p->addr); /* so that it can go */
	for (u64 k = d->first > base ? (d->first - base) / step : 0; !err && k <= last; k++) {
		if (!slots(map)[k].addr)
			continue;
		if (d->budget <= 0) {
			d->stopped = true;
			d->next = MAX(d->first, base + k * step);
		} else {
			err = drop_below(d, &slots(map)[k], level - 1, base + k * step);
		}
		if (d->stopped)
			break;
	}
	if (is_empty(map))
		cow_block_drop(d->v, p, shape(d->r, level), NULL);
	cow_buf_put(map);
	return err;
}

/* p is in a writable place; some of its leaves are in the range. */
static int drop_below(struct drop *d, struct cow_ptr *p, u8 level, u64 base)
{
	bool whole = base >= d->first && base + span(level) - 1 <= d->last;
	int err;

	if (!p->addr)
		return 0;
	if (whole) {
		err = goes_whole(d, p, level, &whole);
		if (err)
			return err;
	}
	err = whole ? drop_whole(d, p, level) : 1;
	return err == 1 ? drop_parts(d, p, level, base) : err;
}

/* The first slot is the only one in use, and may hang in the place of the block itself. */
static bool can_shrink(const struct drop *d, const struct cow_buf *map)
{
	const struct cow_ptr *p = slots(map);

	if (map->birth != d->r->ptr->birth || map->shape.tree != d->r->tree ||
	    map->shape.level != *d->r->depth || !cow_buf_writable(d->v, map) ||
	    p[0].addr <= COW_ADDR_RESERVED)
		return false;
	for (unsigned k = 1; k < COW_FANOUT; k++)
		if (p[k].addr)
			return false;
	return true;
}

/* Takes off root blocks with one child, as far as they are in memory to be changed. */
static int shrink(struct drop *d)
{
	const struct cow_root *r = d->r;
	int err = 0;

	while (!err && r->ptr->addr && *r->depth) {
		struct cow_buf *map = cow_buf_peek(d->v->fs, r->ptr->addr);
		struct cow_ptr child;

		if (!map)
			return 0;
		if (!can_shrink(d, map)) {
			cow_buf_put(map);
			return 0;
		}
		err = cow_counts_touch(d->v->fs, r->ptr->addr);
		if (!err) {
			child = slots(map)[0];
			slots(map)[0] = (struct cow_ptr){ 0 };
			cow_block_drop(d->v, r->ptr, shape(r, *r->depth), NULL);
			*r->ptr = child;
			--*r->depth;
		}
		cow_buf_put(map);
	}
	return err;
}

int cow_tree_drop(struct cow_volume *v, const struct cow_root *r, u64 first, u64 last, u64 *dropped,
		  u64 *next)
{
	struct drop d = { .v = v, .r = r, .first = first, .last = last, .budget = DROP_BUDGET };
	int err = root_check(r);

	*dropped = 0;
	*next = 0;
	if (err)
		return err;
	if (first <= last && first < span(*r->depth))
		err = drop_below(&d, r->ptr, *r->depth, 0);
	if (!err && !d.stopped)
		err = shrink(&d);
	if (!r->ptr->addr)
		*r->depth = 0;
	*dropped = d.dropped;
	*next = d.stopped ? d.next : 0;
	return err;
}
