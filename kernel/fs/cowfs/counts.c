/* SPDX-License-Identifier: MIT */
/*
 * counts.c - reference counts of blocks, and which blocks are free.
 *
 * On disk (format.h): a static tree. Level 0 holds the counts, 1024 a block; a block of level n + 1
 * says of 256 blocks of level n which of their two slots is valid, its checksum, and how many zero
 * counts there are below. A commit writes each changed block to its other slot, so it needs no
 * space.
 *
 * In memory: those blocks that were ever looked at (4 KiB for 4 MiB of disk), as they are in the
 * open commit. `data` is changed in place. The seal copies it to `image`, which is what is written
 * while `data` goes on. A block gets its image, and its ancestors theirs, before it may be changed
 * (block_touch), so that counting cannot fail. When memory is short, cow_trim() forgets blocks that
 * the disk has, but not while an operation may count on what it touched.
 *
 * A block of the disk may be allocated if its bit in `busy` is clear. A bit is set while the count
 * is not 0, and from then on until the commit that made it 0 is durable (invariant I7): `pending`
 * of the open and of the sealed commit say which those are. All is under fs->counts_lock.
 */
#include "fs/cowfs/internal.h"

#define CHUNK 512u
#define WORDS (COW_COUNTS_PER_BLOCK / 64)

struct count_block {
	u64 index; /* in its level */
	u32 level;
	bool dirty;  /* data is not what the last seal had: on the level's list */
	u8 slot_now; /* where the image goes */
	u64 sum_now; /* of the image */
	struct cow_page *page, *image_page;
	void *data, *image; /* image NULL: not to be changed */
	struct list dirty_node, sealed_node;
	struct list pending_node[2];
	u64 busy[WORDS], pending[2][WORDS]; /* level 0 */
};

struct count_level {
	u64 blocks; /* of this level */
	u64 place;  /* of its first slot, on disk */
	struct count_block ***chunks;
	struct list dirty;
};

struct cow_counts {
	unsigned levels;
	struct count_level level[COW_COUNT_LEVELS];
	struct list sealed;	  /* images to be written */
	struct list pending[2];	  /* blocks with bits in pending[i] */
	u64 pending_count[2];	  /* those bits */
	unsigned open;		  /* which of the two is the open commit's */
	u64 last;		  /* where somebody allocated last */
	struct cow_count_ref top; /* of the open commit; csum and slot of the last seal */
};

/* --- the tree --- */

static u64 level_blocks(u64 disk_blocks, unsigned level)
{
	u64 n = DIV_ROUND_UP(disk_blocks, COW_COUNTS_PER_BLOCK);

	while (level--)
		n = DIV_ROUND_UP(n, COW_REFS_PER_BLOCK);
	return n;
}

unsigned cow_counts_levels(u64 disk_blocks)
{
	unsigned n = 1;

	while (level_blocks(disk_blocks, n - 1) > 1)
		n++;
	return n;
}

u64 cow_counts_size(u64 disk_blocks)
{
	u64 n = 0;

	for (unsigned i = 0; i < cow_counts_levels(disk_blocks); i++)
		n += 2 * level_blocks(disk_blocks, i);
	return n;
}

static bool in_range(const struct cow_fs *fs, u64 addr)
{
	return addr >= fs->super.data_start && addr < fs->super.blocks - 2;
}

/* Counts of a level-0 block `index`, or of all below a higher one, that are 0 if nothing was ever
 * allocated. */
static u64 virgin_free(const struct cow_fs *fs, unsigned level, u64 index)
{
	u64 span = COW_COUNTS_PER_BLOCK, from, to;

	while (level--)
		span *= COW_REFS_PER_BLOCK;
	from = MAX(index * span, fs->super.data_start);
	to = MIN((index + 1) * span, fs->super.blocks - 2);
	return to > from ? to - from : 0;
}

static void virgin_fill(const struct cow_fs *fs, struct count_block *b)
{
	u32 *counts = b->data;
	struct cow_count_ref *refs = b->data;
	u64 first;

	if (!b->level) {
		for (unsigned i = 0; i < COW_COUNTS_PER_BLOCK; i++)
			counts[i] = !in_range(fs, b->index * COW_COUNTS_PER_BLOCK + i);
		return;
	}
	first = b->index * COW_REFS_PER_BLOCK;
	for (unsigned i = 0; i < COW_REFS_PER_BLOCK; i++)
		refs[i] = (struct cow_count_ref){ .free = virgin_free(fs, b->level - 1, first + i),
						  .slot = COW_SLOT_VIRGIN };
}

static struct count_block **place_of(struct cow_counts *c, unsigned level, u64 index)
{
	struct count_block **chunk = NULL;

	if (index < c->level[level].blocks)
		chunk = c->level[level].chunks[index / CHUNK];
	return chunk ? &chunk[index % CHUNK] : NULL;
}

static u64 disk_place(const struct cow_counts *c, unsigned level, u64 index, unsigned slot)
{
	return c->level[level].place + 2 * index + slot;
}

static void block_free(struct count_block *b)
{
	if (b->page)
		cow_page_put(b->page);
	if (b->image_page)
		cow_page_put(b->image_page);
	cow_free(b);
}

static int block_fill(struct cow_fs *fs, struct count_block *b, const struct cow_count_ref *r)
{
	struct cow_io io;
	int err;

	if (r->slot == COW_SLOT_VIRGIN) {
		virgin_fill(fs, b);
		return 0;
	}
	if (r->slot > 1)
		return -EIO;
	cow_io_init(&io, fs->platform);
	__atomic_add_fetch(&fs->stat_reads, 1, __ATOMIC_RELAXED);
	cow_io_start(&io, false, disk_place(fs->counts, b->level, b->index, r->slot), &b->page,
		     &b->data, 1);
	err = cow_io_wait(&io);
	if (err || cow_checksum(b->data, COW_BLOCK) == r->csum)
		return err;
	cow_log(fs->platform, "reference counts: level %u block %lu has a wrong checksum", b->level,
		(unsigned long)b->index);
	return -EIO;
}

static void busy_fill(struct count_block *b)
{
	const u32 *counts = b->data;

	for (unsigned i = 0; i < COW_COUNTS_PER_BLOCK; i++)
		if (counts[i])
			b->busy[i / 64] |= 1ull << i % 64;
}

static int block_load(struct cow_fs *fs, unsigned level, u64 index, struct count_block **out);

/* What describes the block: in the parent's data, or the top. */
static int ref_of(struct cow_fs *fs, unsigned level, u64 index, struct cow_count_ref **out)
{
	struct cow_counts *c = fs->counts;
	struct count_block *up;
	int err;

	if (level + 1 == c->levels) {
		*out = &c->top;
		return 0;
	}
	err = block_load(fs, level + 1, index / COW_REFS_PER_BLOCK, &up);
	if (!err)
		*out = (struct cow_count_ref *)up->data + index % COW_REFS_PER_BLOCK;
	return err;
}

static int block_create(struct cow_fs *fs, unsigned level, u64 index, struct count_block ***slot,
			struct count_block **out)
{
	struct count_block ***chunk = &fs->counts->level[level].chunks[index / CHUNK];
	struct count_block *b;

	if (!*chunk)
		*chunk = cow_alloc(CHUNK * sizeof(**chunk));
	b = *chunk ? cow_alloc(sizeof(*b)) : NULL;
	if (!b)
		return -ENOMEM;
	b->level = level;
	b->index = index;
	for (unsigned i = 0; i < 2; i++)
		list_init(&b->pending_node[i]);
	list_init(&b->dirty_node);
	list_init(&b->sealed_node);
	b->page = cow_page_alloc(fs->platform, false, &b->data);
	if (!b->page) {
		cow_free(b);
		return -ENOMEM;
	}
	*slot = &(*chunk)[index % CHUNK];
	*out = b;
	return 0;
}

static int block_load(struct cow_fs *fs, unsigned level, u64 index, struct count_block **out)
{
	struct count_block **place = place_of(fs->counts, level, index), *b;
	struct cow_count_ref *r;
	int err;

	if (likely(place && *place)) {
		*out = *place;
		return 0;
	}
	if (index >= fs->counts->level[level].blocks)
		return -EIO;
	err = ref_of(fs, level, index, &r);
	if (!err)
		err = block_create(fs, level, index, &place, &b);
	if (err)
		return err;
	err = block_fill(fs, b, r);
	if (err) {
		block_free(b);
		return err;
	}
	if (!level)
		busy_fill(b);
	*out = *place = b;
	return 0;
}

/* The block may be changed: it and all above have an image. */
static int block_touch(struct cow_fs *fs, unsigned level, u64 index, struct count_block **out)
{
	struct count_block *up;
	int err = block_load(fs, level, index, out);

	if (err || (*out)->image)
		return err;
	if (level + 1 < fs->counts->levels) {
		err = block_touch(fs, level + 1, index / COW_REFS_PER_BLOCK, &up);
		if (err)
			return err;
	}
	(*out)->image_page = cow_page_alloc(fs->platform, false, &(*out)->image);
	return (*out)->image_page ? 0 : -ENOMEM;
}

/* The block, which was touched, changes. */
static void block_dirty(struct cow_counts *c, struct count_block *b)
{
	if (b->dirty)
		return;
	b->dirty = true;
	list_append(&c->level[b->level].dirty, &b->dirty_node);
}

/* `n` more (or fewer) zero counts below level-0 block b: in all that describe it. */
static void free_changed(struct cow_fs *fs, struct count_block *b, s32 n)
{
	struct cow_counts *c = fs->counts;
	u64 index = b->index;

	block_dirty(c, b);
	for (unsigned level = 1; level < c->levels; level++) {
		struct count_block *up = *place_of(c, level, index / COW_REFS_PER_BLOCK);
		((struct cow_count_ref *)up->data)[index % COW_REFS_PER_BLOCK].free += n;
		block_dirty(c, up);
		index /= COW_REFS_PER_BLOCK;
	}
	c->top.free += n;
}

int cow_counts_load(struct cow_fs *fs)
{
	struct cow_counts *c = cow_alloc(sizeof(*c));
	u64 place = fs->super.counts_start;

	if (!c)
		return -ENOMEM;
	fs->counts = c;
	c->levels = fs->super.counts_levels;
	c->top = fs->super.counts;
	c->last = fs->super.data_start;
	list_init(&c->sealed);
	for (unsigned i = 0; i < 2; i++)
		list_init(&c->pending[i]);
	for (unsigned i = 0; i < c->levels; i++) {
		struct count_level *l = &c->level[i];
		l->blocks = level_blocks(fs->super.blocks, i);
		l->place = place;
		place += 2 * l->blocks;
		list_init(&l->dirty);
		l->chunks = cow_alloc(DIV_ROUND_UP(l->blocks, CHUNK) * sizeof(*l->chunks));
		if (!l->chunks)
			return -ENOMEM;
	}
	cow_lock_init(&fs->counts_lock, COW_LOCK_COUNTS);
	fs->free = fs->super.free_blocks;
	fs->reserved_blocks = fs->super.reserved_blocks;
	return 0;
}

void cow_counts_free(struct cow_fs *fs)
{
	struct cow_counts *c = fs->counts;

	for (unsigned i = 0; c && i < c->levels; i++) {
		struct count_level *l = &c->level[i];
		for (u64 k = 0; l->chunks && k < DIV_ROUND_UP(l->blocks, CHUNK); k++) {
			for (unsigned j = 0; l->chunks[k] && j < CHUNK; j++)
				if (l->chunks[k][j])
					block_free(l->chunks[k][j]);
			cow_free(l->chunks[k]);
		}
		cow_free(l->chunks);
	}
	cow_free(c);
	fs->counts = NULL;
}

/* --- counting --- */

static u32 *count_of(struct cow_fs *fs, u64 addr, struct count_block **b)
{
	struct count_block **place = place_of(fs->counts, 0, addr / COW_COUNTS_PER_BLOCK);

	COW_BUG_ON(!place || !*place || !(*place)->image);
	*b = *place;
	return (u32 *)(*b)->data + addr % COW_COUNTS_PER_BLOCK;
}

int cow_counts_touch(struct cow_fs *fs, u64 addr)
{
	struct count_block *b;
	int err;

	if (!in_range(fs, addr))
		return -EIO;
	cow_lock_write(&fs->counts_lock);
	err = block_touch(fs, 0, addr / COW_COUNTS_PER_BLOCK, &b);
	cow_unlock_write(&fs->counts_lock);
	return err;
}

int cow_counts_get(struct cow_fs *fs, u64 addr, u32 *count)
{
	struct count_block *b;
	int err;

	if (!in_range(fs, addr))
		return -EIO;
	cow_lock_write(&fs->counts_lock);
	err = block_load(fs, 0, addr / COW_COUNTS_PER_BLOCK, &b);
	if (!err)
		*count = ((u32 *)b->data)[addr % COW_COUNTS_PER_BLOCK];
	cow_unlock_write(&fs->counts_lock);
	/* somebody points to it: only a damaged disk says that nobody does */
	return !err && !*count ? -EIO : err;
}

void cow_counts_inc(struct cow_fs *fs, u64 addr)
{
	struct count_block *b;
	u32 *count;

	cow_lock_write(&fs->counts_lock);
	count = count_of(fs, addr, &b);
	if (!*count || *count == UINT32_MAX) {
		cow_fail(fs, -EIO, "a count is wrong", addr);
	} else {
		++*count;
		free_changed(fs, b, 0);
	}
	cow_unlock_write(&fs->counts_lock);
}

static void make_free(struct cow_fs *fs, struct count_block *b, unsigned i, bool fresh)
{
	struct cow_counts *c = fs->counts;
	u64 bit = 1ull << i % 64;

	if (fresh) {
		b->busy[i / 64] &= ~bit;
		fs->free++;
		return;
	}
	b->pending[c->open][i / 64] |= bit;
	c->pending_count[c->open]++;
	if (list_empty(&b->pending_node[c->open]))
		list_append(&c->pending[c->open], &b->pending_node[c->open]);
}

u32 cow_counts_dec(struct cow_fs *fs, u64 addr, bool fresh)
{
	struct count_block *b;
	u32 *count, left;

	cow_lock_write(&fs->counts_lock);
	count = count_of(fs, addr, &b);
	if (*count) {
		left = --*count;
		if (!left)
			make_free(fs, b, addr % COW_COUNTS_PER_BLOCK, fresh);
		free_changed(fs, b, !left);
	} else {
		left = 1;
		cow_fail(fs, -EIO, "a count is wrong", addr);
	}
	cow_unlock_write(&fs->counts_lock);
	return left;
}

/* --- allocation --- */

/* The next block of this level, from *index on, that describes zero counts: -ENOSPC, -EIO, -ENOMEM.
 */
static int next_with_free(struct cow_fs *fs, unsigned level, u64 *index)
{
	struct cow_counts *c = fs->counts;
	u64 up = *index / COW_REFS_PER_BLOCK;
	struct count_block *b;
	int err;

	if (level + 1 == c->levels)
		return *index || !c->top.free ? -ENOSPC : 0;
	for (unsigned i = *index % COW_REFS_PER_BLOCK;; i = 0, up++) {
		err = next_with_free(fs, level + 1, &up);
		if (!err)
			err = block_load(fs, level + 1, up, &b);
		if (err)
			return err;
		if (up != *index / COW_REFS_PER_BLOCK)
			i = 0;
		for (; i < COW_REFS_PER_BLOCK; i++)
			if (((struct cow_count_ref *)b->data)[i].free) {
				*index = up * COW_REFS_PER_BLOCK + i;
				return 0;
			}
	}
}

/* The first clear bit from `from` on, or -1. */
static int first_free(const struct count_block *b, unsigned from)
{
	u64 mask = ~0ull << from % 64;

	for (unsigned w = from / 64; w < WORDS; w++, mask = ~0ull)
		if (~b->busy[w] & mask)
			return w * 64 + __builtin_ctzll(~b->busy[w] & mask);
	return -1;
}

/* From block `addr` on to the end of the disk: -ENOSPC if there is none. */
static int find_free(struct cow_fs *fs, u64 addr, u64 *out)
{
	u64 index = addr / COW_COUNTS_PER_BLOCK, before = index;
	unsigned from = addr % COW_COUNTS_PER_BLOCK;
	struct count_block *b;
	int err, bit;

	for (;; index++, from = 0) {
		if (index >= fs->counts->level[0].blocks)
			return -ENOSPC;
		err = next_with_free(fs, 0, &index);
		if (!err)
			err = block_touch(fs, 0, index, &b);
		if (err)
			return err;
		bit = first_free(b, index == before ? from : 0);
		if (bit >= 0) {
			*out = index * COW_COUNTS_PER_BLOCK + bit;
			return 0;
		}
	}
}

static void take(struct cow_fs *fs, u64 addr)
{
	unsigned i = addr % COW_COUNTS_PER_BLOCK;
	struct count_block *b;
	u32 *count = count_of(fs, addr, &b);

	COW_BUG_ON(*count);
	*count = 1;
	b->busy[i / 64] |= 1ull << i % 64;
	free_changed(fs, b, -1);
	COW_BUG_ON(!fs->free);
	fs->free--;
}

int cow_counts_alloc(struct cow_fs *fs, u64 hint, u64 *addr)
{
	struct cow_counts *c = fs->counts;
	u64 start;
	int err;

	cow_lock_write(&fs->counts_lock);
	start = in_range(fs, hint) ? hint : c->last;
	err = fs->free ? find_free(fs, start, addr) : -ENOSPC;
	if (err == -ENOSPC && fs->free)
		err = find_free(fs, fs->super.data_start, addr);
	if (!err) {
		take(fs, *addr);
		c->last = *addr;
	}
	cow_unlock_write(&fs->counts_lock);
	return err;
}

int cow_counts_claim(struct cow_fs *fs, u64 addr)
{
	u64 index = addr / COW_COUNTS_PER_BLOCK;
	struct count_block *b;
	int err;

	if (!in_range(fs, addr))
		return -EIO;
	cow_lock_write(&fs->counts_lock);
	err = block_touch(fs, 0, index, &b);
	if (!err && (!fs->free || ((u32 *)b->data)[addr % COW_COUNTS_PER_BLOCK]))
		err = -EIO;
	if (!err)
		take(fs, addr);
	cow_unlock_write(&fs->counts_lock);
	return err;
}

/* The disk had it wrong, so nothing is taken for granted: not the count of free blocks either. */
void cow_counts_set(struct cow_fs *fs, u64 addr, u32 now)
{
	unsigned i = addr % COW_COUNTS_PER_BLOCK;
	struct count_block *b;
	u32 *count, was;

	cow_lock_write(&fs->counts_lock);
	count = count_of(fs, addr, &b);
	was = *count;
	if (was && !now) {
		make_free(fs, b, i, false);
	} else if (!was && now && !(b->busy[i / 64] & 1ull << i % 64)) {
		b->busy[i / 64] |= 1ull << i % 64;
		fs->free -= fs->free != 0;
	} else if (!was && now) {
		now = 0; /* was given up just now */
	}
	*count = now;
	free_changed(fs, b, (s32)!now - (s32)!was);
	cow_unlock_write(&fs->counts_lock);
}

u64 cow_counts_pending(struct cow_fs *fs)
{
	return fs->counts->pending_count[0] + fs->counts->pending_count[1];
}

/* --- giving memory back --- */

static bool is_idle(const struct count_block *b)
{
	return b && !b->dirty && list_empty(&b->sealed_node) && list_empty(&b->pending_node[0]) &&
	       list_empty(&b->pending_node[1]);
}

/* Those of level 0: they are nearly all, and higher ones are changed with each of them. */
u64 cow_trim(struct cow_fs *fs)
{
	struct count_level *l = &fs->counts->level[0];
	u64 freed = 0;

	cow_lock_write(&fs->commit_lock);
	cow_lock_write(&fs->counts_lock);
	/* an operation counts on what it touched, a commit on what it seals */
	for (u64 k = 0; !fs->op_reserved && k < DIV_ROUND_UP(l->blocks, CHUNK); k++)
		for (unsigned j = 0; l->chunks[k] && j < CHUNK; j++)
			if (is_idle(l->chunks[k][j])) {
				freed += 1 + (l->chunks[k][j]->image != NULL);
				block_free(l->chunks[k][j]);
				l->chunks[k][j] = NULL;
			}
	cow_unlock_write(&fs->counts_lock);
	cow_unlock_write(&fs->commit_lock);
	return freed;
}

/* --- commits --- */

/* The image of b, to its other slot; who describes it is told. */
static void block_seal(struct cow_fs *fs, struct count_block *b)
{
	struct cow_counts *c = fs->counts;
	struct cow_count_ref *r = NULL;

	COW_BUG_ON(ref_of(fs, b->level, b->index, &r));
	r->slot = r->slot == 0 ? 1 : 0;
	cow_copy_block(b->image, b->data);
	r->csum = cow_checksum(b->image, COW_BLOCK);
	b->slot_now = r->slot;
	b->sum_now = r->csum;
	b->dirty = false;
	list_append(&c->sealed, &b->sealed_node);
}

void cow_counts_seal(struct cow_fs *fs, struct cow_count_ref *top, u64 *free)
{
	struct cow_counts *c = fs->counts;

	cow_lock_write(&fs->counts_lock);
	COW_BUG_ON(!list_empty(&c->sealed) || c->pending_count[!c->open]);
	for (unsigned i = 0; i < c->levels; i++)
		while (!list_empty(&c->level[i].dirty)) {
			struct count_block *b =
				list_first(&c->level[i].dirty, struct count_block, dirty_node);
			list_remove(&b->dirty_node);
			block_seal(fs, b);
		}
	c->open = !c->open;
	*top = c->top;
	*free = c->top.free;
	cow_unlock_write(&fs->counts_lock);
}

void cow_counts_write(struct cow_fs *fs, struct cow_io *io)
{
	struct count_block *b;

	list_for_each (b, &fs->counts->sealed, sealed_node) {
		u64 addr = disk_place(fs->counts, b->level, b->index, b->slot_now);

		__atomic_add_fetch(&fs->stat_writes, 1, __ATOMIC_RELAXED);
		cow_commit_lists(fs, addr, b->sum_now);
		cow_io_start(io, true, addr, &b->image_page, &b->image, 1);
	}
}

void cow_counts_commit_done(struct cow_fs *fs)
{
	struct cow_counts *c = fs->counts;
	unsigned was = !c->open;

	cow_lock_write(&fs->counts_lock);
	while (!list_empty(&c->sealed))
		list_remove(c->sealed.next);
	while (!list_empty(&c->pending[was])) {
		struct count_block *b =
			list_entry(c->pending[was].next, struct count_block, pending_node[was]);
		for (unsigned w = 0; w < WORDS; w++) {
			b->busy[w] &= ~b->pending[was][w];
			b->pending[was][w] = 0;
		}
		list_remove(&b->pending_node[was]);
	}
	fs->free += c->pending_count[was];
	c->pending_count[was] = 0;
	cow_unlock_write(&fs->counts_lock);
}
