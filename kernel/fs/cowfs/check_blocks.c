/* SPDX-License-Identifier: MIT */
/*
 * check_blocks.c - the walk over all blocks in use (contract: check.h): what each block says by
 * itself, and how often each is pointed to.
 *
 * A block that was met before is not entered again: what is below it was counted then, and counts
 * once, since a pointer lies in one block, however many trees share that. What is known of below
 * (leaves) is remembered.
 */
#include "fs/cowfs/check.h"

/* Where a pointer was found. */
struct place {
	u64 birth;  /* of the block it lies in */
	u64 index;  /* first leaf below it */
	u64 lo, hi; /* directories: keys below it, hi not included (0: no end) */
};

static int visit(struct checker *k, const struct cow_ptr *p, struct cow_shape s, struct place at,
		 u64 *leaves);

static void wrong(struct checker *k, const struct cow_ptr *p, struct cow_shape s, u64 index,
		  const char *what)
{
	check_problem(k, "volume %lu: inode %lu: %s%s at offset %lu: block %lu: %s",
		      check_volume_id(k), k->ino, s.level ? "pointers of " : "", k->part,
		      s.tree == COW_TREE_FILE ? index << COW_BLOCK_SHIFT : index, p->addr, what);
}

static bool in_range(struct checker *k, u64 addr)
{
	return addr >= k->fs->super.data_start && addr < k->fs->super.blocks - 2;
}

int check_read_raw(struct checker *k, u64 addr, struct cow_page *page, void *data)
{
	struct cow_io io;

	cow_io_init(&io, k->fs->platform);
	cow_io_start(&io, false, addr, &page, &data, 1);
	return cow_io_wait(&io);
}

/* The second copy: counted as a block of its own. */
static int visit_mirror(struct checker *k, const struct cow_ptr *p, struct cow_shape s, u64 index)
{
	struct check_block *b;
	struct cow_page *page;
	void *data;
	int err = 0;

	if (!in_range(k, p->mirror)) {
		wrong(k, p, s, index, "its second copy lies outside of the disk's data");
		return 0;
	}
	b = sparse_get(&k->blocks, p->mirror);
	if (!b)
		return -ENOMEM;
	if (b->refs++)
		return 0;
	if (!k->clean)
		return 0;
	page = cow_page_alloc(k->fs->platform, false, &data);
	if (!page)
		return -ENOMEM;
	if (check_read_raw(k, p->mirror, page, data) || cow_checksum(data, COW_BLOCK) != p->csum) {
		wrong(k, p, s, index, "its second copy is bad");
		err = repair_mirror(k, p, data, page);
	}
	cow_page_put(page);
	return err;
}

/* --- what is in a block --- */

static void reserved_found(struct checker *k, struct place at)
{
	k->reserved++;
	if (k->volume && at.birth > k->volume->rec.base_birth)
		k->volume->own++;
}

static int enter_map(struct checker *k, const struct cow_map *map, struct cow_shape s,
		     struct place at, u64 *leaves)
{
	const struct cow_shape below = { s.tree, s.level - 1 };
	u64 span = 1ull << (below.level * COW_FANOUT_SHIFT), start = at.index;
	int err = 0;

	for (u32 n = 0; !err && n < COW_FANOUT; n++) {
		const struct cow_ptr *p = &map->ptr[n];

		at.index = start + n * span;
		if (p->addr == COW_ADDR_RESERVED && s.tree == COW_TREE_FILE && s.level == 1) {
			if (p->mirror || p->birth || p->csum)
				wrong(k, p, s, at.index, "reserved space has more than that");
			reserved_found(k, at);
			++*leaves;
		} else if (p->addr) {
			err = visit(k, p, below, at, leaves);
		} else if (p->mirror || p->birth || p->csum) {
			wrong(k, p, s, at.index, "a pointer to nothing has more than that");
		}
	}
	return err;
}

static bool is_type(u32 mode)
{
	static const u8 types[] = { 1, 2, 4, 6, 8, 10, 12 };

	for (u32 n = 0; n < ARRAY_SIZE(types); n++)
		if ((mode & COW_S_TYPE) >> 12 == types[n])
			return mode <= 0177777;
	return false;
}

static int visit_tree(struct checker *k, const struct cow_ptr *p, struct cow_shape s, u64 birth,
		      const char *part, u64 *leaves)
{
	struct place at = { .birth = birth };

	k->part = part;
	*leaves = 0;
	if (!p->addr && s.level <= COW_DEPTH_MAX)
		return 0;
	if (s.level > COW_DEPTH_MAX) {
		check_problem(k, "volume %lu: inode %lu: %s: depth %u", check_volume_id(k), k->ino,
			      part, s.level);
		return 0;
	}
	return visit(k, p, s, at, leaves);
}

static int enter_inode(struct checker *k, const struct cow_inode_record *r, u64 birth)
{
	u64 v = check_volume_id(k), leaves;
	bool dir = (r->mode & COW_S_TYPE) == COW_S_DIR;
	int err;

	if (!is_type(r->mode)) {
		check_problem(k, "volume %lu: inode %lu: mode 0%o is of no type", v, k->ino,
			      r->mode);
		return 0;
	}
	k->c->inodes++;
	err = visit_tree(k, &r->root,
			 (struct cow_shape){ dir ? COW_TREE_DIR : COW_TREE_FILE, r->depth }, birth,
			 dir ? "entries" : "data", &leaves);
	if (err)
		return err;
	if (dir && r->size != leaves)
		check_problem(k, "volume %lu: inode %lu: size: expected %lu entries, found %lu", v,
			      k->ino, leaves, r->size);
	if (!dir && r->blocks != leaves)
		check_problem(k, "volume %lu: inode %lu: blocks: expected %lu, found %lu", v,
			      k->ino, leaves, r->blocks);
	if (!dir && r->size > COW_FILE_MAX)
		check_problem(k, "volume %lu: inode %lu: size: %lu is too much", v, k->ino,
			      r->size);
	if (r->inline_size && (r->inline_size > COW_INLINE_MAX || r->size != r->inline_size ||
			       (r->mode & COW_S_TYPE) != COW_S_LINK))
		check_problem(k, "volume %lu: inode %lu: text of %u bytes in its record, size %lu",
			      v, k->ino, r->inline_size, r->size);
	err = visit_tree(k, &r->xattr, (struct cow_shape){ COW_TREE_FILE, r->xattr_depth }, birth,
			 "attributes", &leaves);
	if (!err && leaves != DIV_ROUND_UP(r->xattr_size, COW_BLOCK))
		check_problem(k, "volume %lu: inode %lu: attributes: %u bytes in %lu blocks", v,
			      k->ino, r->xattr_size, leaves);
	if (r->xattr_size > COW_XATTR_MAX)
		check_problem(k, "volume %lu: inode %lu: attributes: %u bytes are too many", v,
			      k->ino, r->xattr_size);
	return err;
}

/* Volumes and dead trees are entered later. */
static int remember_volume(struct checker *k, const union cow_record *r)
{
	struct check_volume *more;

	if (k->volume_count == k->volume_room) {
		k->volume_room = k->volume_room ? 2 * k->volume_room : 16;
		more = cow_alloc(k->volume_room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		if (k->volumes)
			memcpy(more, k->volumes, k->volume_count * sizeof(*more));
		cow_free(k->volumes);
		k->volumes = more;
	}
	more = &k->volumes[k->volume_count++];
	*more = (struct check_volume){ .id = k->ino, .rec = r->volume };
	return 0;
}

static int enter_table_leaf(struct checker *k, const struct cow_inode_leaf *leaf, struct place at)
{
	int err = 0;

	for (u32 n = 0; !err && n < COW_INODES_PER_LEAF; n++) {
		const union cow_record *r = &leaf->record[n];

		k->ino = at.index * COW_INODES_PER_LEAF + n;
		if (r->mode == COW_S_FREE)
			continue;
		if (!k->volume && (r->mode == COW_S_VOLUME || r->mode == COW_S_DEAD))
			err = remember_volume(k, r);
		else
			err = enter_inode(k, &r->inode, at.birth);
	}
	return err;
}

/* --- directories --- */

static bool name_valid(const struct cow_dirent *e)
{
	if (!e->name_len || e->name_len > COW_NAME_MAX || memchr(e->name, '/', e->name_len) ||
	    memchr(e->name, 0, e->name_len))
		return false;
	return e->name[0] != '.' || (e->name_len > 1 && (e->name_len > 2 || e->name[1] != '.'));
}

/* The entry that starts at `offset` of the block; NULL: it does not fit. */
static const struct cow_dirent *entry_at(const struct cow_dir_leaf *l, u32 offset)
{
	const struct cow_dirent *e = (const void *)((const char *)l + offset);

	if (offset % 8 || offset + sizeof(*e) > 16u + l->used ||
	    offset + sizeof(*e) + e->name_len > 16u + l->used)
		return NULL;
	return e;
}

static int enter_dir_leaf(struct checker *k, const struct cow_ptr *p, const struct cow_dir_leaf *l,
			  struct place at, u64 *leaves)
{
	const struct cow_shape s = { COW_TREE_DIR, 0 };
	const u16 *offsets = (const u16 *)((const char *)l + COW_BLOCK);
	u64 seed = k->fs->super.name_seed, key = at.lo, next = 16;

	if (16u + l->used + 2u * l->count > COW_BLOCK) {
		wrong(k, p, s, at.lo, "it says that it has more entries than fit");
		return 0;
	}
	for (u32 n = 0; n < l->count; n++) {
		const struct cow_dirent *e =
			offsets[-1 - (s32)n] == next ? entry_at(l, next) : NULL;

		if (!e || !name_valid(e)) {
			wrong(k, p, s, at.lo, "an entry is not where it should be, or has no name");
			return 0;
		}
		if (e->key < key || (at.hi && e->key >= at.hi) || e->key < COW_DIR_KEY_MIN)
			wrong(k, p, s, e->key, "an entry is out of order");
		if ((e->key ^ MAX(cow_name_hash(seed, e->name, e->name_len), COW_DIR_KEY_MIN)) &
		    ~COW_DIR_KEY_CLASH)
			wrong(k, p, s, e->key, "an entry's key is not its name's");
		key = e->key + 1;
		next += ALIGN_UP(sizeof(*e) + e->name_len, 8);
		++*leaves;
	}
	if (next != 16u + l->used)
		wrong(k, p, s, at.lo, "it has more bytes than entries");
	return 0;
}

static int enter_dir_node(struct checker *k, const struct cow_ptr *p, const struct cow_dir_node *d,
			  struct cow_shape s, struct place at, u64 *leaves)
{
	const struct cow_shape below = { s.tree, s.level - 1 };
	struct place sub = at;
	int err = 0;

	if (!d->count || d->count > COW_DIR_FANOUT) {
		wrong(k, p, s, at.lo, "a node with a wrong number of children");
		return 0;
	}
	if (d->key[0])
		wrong(k, p, s, at.lo, "the first key is not 0");
	for (u32 n = 0; !err && n < d->count; n++) {
		sub.lo = n ? d->key[n] : at.lo;
		sub.hi = n + 1 < d->count ? d->key[n + 1] : at.hi;
		if (sub.hi && sub.hi <= sub.lo) {
			wrong(k, p, s, sub.lo, "keys are out of order");
			sub.hi = 0;
		}
		if (!d->ptr[n].addr)
			wrong(k, p, s, sub.lo, "a child that is nothing");
		else
			err = visit(k, &d->ptr[n], below, sub, leaves);
	}
	return err;
}

/* --- blocks --- */

static int enter(struct checker *k, const struct cow_ptr *p, struct cow_shape s, const void *data,
		 struct place at, u64 *leaves)
{
	at.birth = p->birth;
	if (s.tree == COW_TREE_DIR && s.level)
		return enter_dir_node(k, p, data, s, at, leaves);
	if (s.tree == COW_TREE_DIR)
		return enter_dir_leaf(k, p, data, at, leaves);
	if (s.level)
		return enter_map(k, data, s, at, leaves);
	++*leaves;
	return s.tree == COW_TREE_TABLE ? enter_table_leaf(k, data, at) : 0;
}

static u32 tag_of(struct checker *k, const struct cow_ptr *p, struct cow_shape s)
{
	u64 t = (u64)s.tree << 56 | (u64)s.level << 48;

	t = (t ^ p->birth) * 0x9e3779b97f4a7c15ull;
	if (k->clean)
		t = (t ^ p->csum ^ p->mirror << 1) * 0x9e3779b97f4a7c15ull;
	return t >> 32 | 1;
}

static int check_pointer(struct checker *k, const struct cow_ptr *p, struct cow_shape s,
			 struct place at)
{
	u64 base = k->volume ? k->volume->rec.base_birth : 0;

	if (p->birth > cow_load(&k->fs->birth))
		wrong(k, p, s, at.index, "it was born in the future");
	if (k->volume && p->birth > base) {
		k->volume->own++;
		if (at.birth <= base)
			wrong(k, p, s, at.index,
			      "the volume changed it in a block that is not its own");
	}
	if (!p->mirror && !k->volume && s.tree == COW_TREE_TABLE)
		wrong(k, p, s, at.index, "it has no second copy");
	return p->mirror ? visit_mirror(k, p, s, at.index) : 0;
}

/* What p says of its block, and if the block is new, what the block says. */
static int visit(struct checker *k, const struct cow_ptr *p, struct cow_shape s, struct place at,
		 u64 *leaves)
{
	struct check_block *seen;
	struct cow_buf *b;
	u64 below = 0;
	int err;

	if (!in_range(k, p->addr)) {
		wrong(k, p, s, at.index, "it lies outside of the disk's data");
		return 0;
	}
	seen = sparse_get(&k->blocks, p->addr);
	err = seen ? check_pointer(k, p, s, at) : -ENOMEM;
	if (err)
		return err;
	if (seen->refs++) {
		if (seen->tag != tag_of(k, p, s))
			wrong(k, p, s, at.index, "another pointer says another thing of it");
		*leaves += seen->leaves;
		return 0;
	}
	seen->tag = tag_of(k, p, s);
	k->c->blocks++;
	err = cow_buf_read(k->fs, p, s, &b);
	if (err == -EIO)
		wrong(k, p, s, at.index, "it cannot be read, or its checksum is wrong");
	if (err)
		return err == -EIO ? 0 : err;
	if (k->clean && cow_buf_csum(b) != p->csum)
		wrong(k, p, s, at.index, "its checksum in memory is another");
	err = enter(k, p, s, cow_buf_data(b), at, &below);
	cow_buf_put(b);
	seen->leaves = below;
	*leaves += below;
	if (cow_load(&k->fs->cached) > 1u << 16)
		cow_shrink(k->fs, 1u << 12);
	cow_resched();
	return err;
}

static bool earlier(const struct check_volume *a, const struct check_volume *b)
{
	bool dead_a = a->rec.mode == COW_S_DEAD, dead_b = b->rec.mode == COW_S_DEAD;

	if (dead_a != dead_b)
		return dead_b;
	return !dead_a && a->rec.base_birth < b->rec.base_birth;
}

/* Few, and mostly in order. */
static void sort_volumes(struct checker *k)
{
	for (u64 n = 1; n < k->volume_count; n++) {
		struct check_volume v = k->volumes[n];
		u64 at = n;

		for (; at && earlier(&v, &k->volumes[at - 1]); at--)
			k->volumes[at] = k->volumes[at - 1];
		k->volumes[at] = v;
	}
}

static int walk_table(struct checker *k, const struct cow_volume_record *r)
{
	const struct cow_shape s = { COW_TREE_TABLE, MIN(r->depth, 255u) };
	u64 leaves;

	k->ino = 0;
	return visit_tree(k, &r->table, s, cow_load(&k->fs->birth), "inode table", &leaves);
}

static int walk_dead(struct checker *k, const struct check_volume *v)
{
	const struct cow_dead_record *d = (const void *)&v->rec;
	const struct cow_shape s = { d->tree, d->level };
	u64 leaves;

	if (d->tree < COW_TREE_FILE || d->tree > COW_TREE_DIR || !d->ptr.addr) {
		check_problem(k, "dead tree %lu: it is no tree", v->id);
		return 0;
	}
	k->ino = v->id;
	return visit_tree(k, &d->ptr, s, cow_load(&k->fs->birth), "a dead tree", &leaves);
}

int check_walk(struct checker *k)
{
	int err;

	k->volume = NULL;
	err = walk_table(k, &k->fs->meta->rec);
	sort_volumes(k);
	for (u64 n = 0; !err && n < k->volume_count; n++) {
		struct check_volume *v = &k->volumes[n];

		/* nothing of a dead tree counts for a volume, and its inodes are in none */
		k->volume = v;
		k->c->volumes += v->rec.mode == COW_S_VOLUME;
		if (v->rec.mode == COW_S_VOLUME)
			err = walk_table(k, &v->rec);
		else
			err = walk_dead(k, v);
	}
	return err;
}
