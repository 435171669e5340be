/* SPDX-License-Identifier: MIT */
/*
 * check_counts.c - fsck: the superblocks, and after the walk the reference counts (contract:
 * check.h).
 *
 * With nothing dirty the counts are read from the disk, by the way that the superblock names; else
 * (a read-only mount whose log was replayed in memory) they are asked from memory.
 */
#include "fs/cowfs/check.h"

/* --- superblocks --- */

static bool super_valid(const struct cow_super *s)
{
	return s->magic == COW_MAGIC &&
	       s->csum == cow_checksum(s, offsetof(struct cow_super, csum));
}

/*
 * The slot of the last commit and its copy are that commit's. A crash may have torn one of them:
 * that is said, and set right, but no problem: the other one is what was mounted. Nor is a commit
 * that a crash did not let finish, which a mount for writing takes away.
 */
int check_supers(struct checker *k)
{
	struct cow_super *now = &k->fs->super, *s;
	struct cow_page *page;
	void *data;
	int err = 0;

	if (!k->clean)
		return 0;
	page = cow_page_alloc(k->fs->platform, false, &data);
	if (!page)
		return -ENOMEM;
	s = data;
	for (u32 n = 0; n < 4 && !err; n++) {
		u64 at = n / 2 * (now->blocks - 2) + n % 2;
		bool last = n % 2 == (now->generation & 1);

		if (check_read_raw(k, at, page, data)) {
			if (last)
				check_problem(k, "superblock at block %lu: cannot be read", at);
		} else if (last && (!super_valid(s) || memcmp(s, now, sizeof(*now)))) {
			err = repair_super(k, at, data, page);
		} else if (super_valid(s) && s->generation > now->generation) {
			check_note(k, "superblock at block %lu: commit %lu was not finished", at,
				   s->generation);
		}
	}
	cow_page_put(page);
	return err;
}

/* --- counts --- */

struct level {
	struct cow_page *page;
	void *data;
	u64 place; /* of its first slot */
};

struct count_walk {
	struct checker *k;
	struct level level[COW_COUNT_LEVELS];
	u64 zeros, reserved; /* found in all */
};

static int check_count(struct checker *k, u64 addr, u32 count)
{
	struct check_block *b = sparse_peek(&k->blocks, addr);
	u32 expected = b ? b->refs : 0;

	if (count == expected)
		return 0;
	check_problem(k, "block %lu: reference count: expected %u, found %u", addr, expected,
		      count);
	return repair_count(k, addr, expected);
}

/* The 1024 counts of block `index` of level 0. */
static int check_leaf(struct count_walk *w, const u32 *counts, u64 index, u64 *zeros)
{
	struct cow_super *s = &w->k->fs->super;
	int err = 0;

	for (u64 n = 0; !err && n < COW_COUNTS_PER_BLOCK; n++) {
		u64 addr = index * COW_COUNTS_PER_BLOCK + n;
		bool data = addr >= s->data_start && addr < s->blocks - 2;
		u32 count = counts ? counts[n] : !data;

		if (!data && count != 1) {
			check_problem(w->k, "block %lu: reference count: expected 1, found %u",
				      addr, count);
			continue;
		}
		*zeros += data && !count;
		if (data)
			err = check_count(w->k, addr, count);
	}
	return err;
}

static int check_below(struct count_walk *w, const struct cow_count_ref *ref, u32 level, u64 index)
{
	struct level *l = &w->level[level];
	struct checker *k = w->k;
	u64 addr = l->place + 2 * index + ref->slot, zeros = 0, span = COW_COUNTS_PER_BLOCK;
	int err = 0;

	for (u32 n = 0; n < level; n++)
		span *= COW_REFS_PER_BLOCK;
	if (index * span >= k->fs->super.blocks)
		return 0;
	if (ref->slot > COW_SLOT_VIRGIN) {
		check_problem(k, "counts: level %u, block %lu: slot %u", level, index, ref->slot);
		return 0;
	}
	if (ref->slot != COW_SLOT_VIRGIN && (check_read_raw(k, addr, l->page, l->data) ||
					     cow_checksum(l->data, COW_BLOCK) != ref->csum)) {
		check_problem(
			k, "counts: level %u, block %lu: cannot be read, or its checksum is wrong",
			level, index);
		return 0;
	}
	if (!level) {
		err = check_leaf(w, ref->slot == COW_SLOT_VIRGIN ? NULL : l->data, index, &zeros);
	} else {
		const struct cow_count_ref virgin = { .slot = COW_SLOT_VIRGIN };
		u64 before = w->zeros;

		for (u32 n = 0; !err && n < COW_REFS_PER_BLOCK; n++)
			err = check_below(w,
					  ref->slot == COW_SLOT_VIRGIN
						  ? &virgin
						  : &((struct cow_count_ref *)l->data)[n],
					  level - 1, index * COW_REFS_PER_BLOCK + n);
		zeros = w->zeros - before;
	}
	if (!level)
		w->zeros += zeros;
	if (ref->slot != COW_SLOT_VIRGIN && ref->free != zeros)
		check_problem(
			k, "counts: level %u, block %lu: free blocks below: expected %lu, found %u",
			level, index, zeros, ref->free);
	return err;
}

static int walk_counts(struct count_walk *w)
{
	struct cow_super *s = &w->k->fs->super;
	u64 place = s->counts_start, blocks = DIV_ROUND_UP(s->blocks, (u64)COW_COUNTS_PER_BLOCK);
	int err = 0;

	for (u32 n = 0; n < s->counts_levels; n++) {
		struct level *l = &w->level[n];

		l->page = cow_page_alloc(w->k->fs->platform, false, &l->data);
		if (!l->page)
			err = -ENOMEM;
		l->place = place;
		place += 2 * blocks;
		blocks = DIV_ROUND_UP(blocks, (u64)COW_REFS_PER_BLOCK);
	}
	if (!err)
		err = check_below(w, &s->counts, s->counts_levels - 1, 0);
	for (u32 n = 0; n < s->counts_levels; n++)
		if (w->level[n].page)
			cow_page_put(w->level[n].page);
	return err;
}

static int ask_counts(struct count_walk *w)
{
	struct cow_super *s = &w->k->fs->super;
	int err = 0;

	for (u64 addr = s->data_start; !err && addr < s->blocks - 2; addr++) {
		u32 count = 1;

		err = cow_counts_get(w->k->fs, addr, &count);
		if (err == -EIO && !count)
			err = 0;
		if (err == -EIO) {
			check_problem(w->k, "block %lu: its reference count cannot be read", addr);
			err = 0;
			continue;
		}
		w->zeros += !err && !count;
		if (!err)
			err = check_count(w->k, addr, count);
	}
	return err;
}

int check_counts(struct checker *k)
{
	struct count_walk w = { .k = k };
	struct cow_fs *fs = k->fs;
	u64 problems = k->c->problems;
	int err = k->clean ? walk_counts(&w) : ask_counts(&w);

	if (err)
		return err;
	if (k->clean && fs->super.free_blocks != w.zeros)
		check_problem(k, "superblock: free blocks: expected %lu, found %lu", w.zeros,
			      fs->super.free_blocks);
	/* repairs above were at work on it */
	if (problems == k->c->problems && !k->c->repaired &&
	    fs->free + cow_counts_pending(fs) != w.zeros)
		check_problem(k, "free blocks in memory: expected %lu, found %lu and %lu pending",
			      w.zeros, fs->free, cow_counts_pending(fs));
	if (k->reserved == fs->reserved_blocks)
		return 0;
	check_problem(k, "superblock: reserved blocks: expected %lu, found %lu", k->reserved,
		      fs->reserved_blocks);
	return repair_reserved(k);
}
