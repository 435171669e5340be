/* SPDX-License-Identifier: MIT */
/*
 * dir.c - a directory: a B+ tree of entries, by key (format.h).
 *
 * It hangs at the root of the inode's record. A name's entry is among those with the hash of the
 * name, which lie side by side, from the key `base` on; a new one takes the smallest key of them
 * that is free. So keys never change, and readdir's position is a key.
 *
 * Blocks split on the way down to where an entry goes, each split leaving a tree that means the
 * same (I6). A block that becomes empty is dropped; others are not merged, so a directory that
 * shrank keeps some slack until it is empty. A root with one child left is dropped by the next
 * removal. Only the leaf at depth 0 may be empty: an insertion that came to nothing leaves that.
 *
 * Locks: all with the volume's lock held; for writing where something is prepared or changed. Who
 * prepares has prepared the directory's record (cow_inode_prepare), and stores it in any case:
 * preparing may move the root.
 *
 * Two changes in one operation: the insertion is prepared first, since it may split what a removal
 * would use. A change finds its entry by key, so they may share a leaf.
 */
#include "fs/cowfs/dirblock.h"
#include "fs/cowfs/internal.h"

static struct cow_shape shape_of(unsigned level)
{
	return (struct cow_shape){ COW_TREE_DIR, level };
}

static u64 base_of(struct cow_inode *dir, const char *name, size_t len)
{
	return cow_dir_base(dir->volume->fs->super.name_seed, name, len);
}

static void complain(struct cow_inode *dir, const struct cow_ptr *p)
{
	cow_log(dir->volume->fs->platform,
		"volume %lu: inode %lu: block %lu of the directory is bad",
		(unsigned long)dir->volume->id, (unsigned long)dir->ino, (unsigned long)p->addr);
}

/*
 * The leaf where `key` is or would be, counted; *bound: where the next leaf begins, 0 if it is the
 * last. -ENOENT: no leaves.
 */
static int leaf_at(struct cow_inode *dir, u64 key, struct cow_buf **out, u64 *bound)
{
	unsigned level = dir->rec.depth, at;
	struct cow_dir_node *n;
	struct cow_buf *b;
	struct cow_ptr p;
	int err = cow_inode_sums(dir);

	*bound = 0;
	if (err)
		return err;
	p = dir->rec.root;
	if (!p.addr)
		return level ? -EIO : -ENOENT;
	if (level >= COW_DEPTH_MAX)
		return -EIO;
	for (;; level--) {
		err = cow_buf_read(dir->volume->fs, &p, shape_of(level), &b);
		if (err == -EIO)
			complain(dir, &p);
		if (err)
			return err;
		if (!level)
			break;
		n = b->data;
		if (!cow_node_sane(n)) {
			cow_buf_put(b);
			return -EIO;
		}
		at = cow_node_search(n, key);
		if (at + 1 < n->count)
			*bound = n->key[at + 1];
		p = n->ptr[at];
		cow_buf_put(b);
	}
	if (*bound && *bound <= key) { /* nobody walks in circles */
		cow_buf_put(b);
		return -EIO;
	}
	*out = b;
	return 0;
}

/* --- looking --- */

struct search {
	u64 base;
	const char *name;
	size_t len;
	struct cow_dirent *found; /* without the name; NULL: not wanted */
	u64 free;		  /* the smallest free key; 0: none */
};

/* In one leaf: 0: found; -ENOENT: it is not there; 1: perhaps in the next one. */
static int search_leaf(struct search *s, const struct cow_dir_leaf *l)
{
	const struct cow_dirent *e;
	unsigned i;
	int err;

	err = cow_leaf_search(l, s->base, &i);
	if (err)
		return err;
	for (; i < l->count; i++) {
		e = cow_leaf_entry(l, i);
		if (!e)
			return -EIO;
		if ((e->key & ~COW_DIR_KEY_CLASH) != s->base)
			return -ENOENT;
		if (e->name_len == s->len && !memcmp(e->name, s->name, s->len)) {
			if (s->found)
				*s->found = *e;
			return 0;
		}
		if (e->key == s->free)
			s->free++;
	}
	return 1;
}

static int dir_search(struct cow_inode *dir, struct search *s)
{
	u64 key = s->base, bound;
	struct cow_buf *b;
	int err;

	s->free = s->base;
	do {
		err = leaf_at(dir, key, &b, &bound);
		if (err)
			return err;
		err = search_leaf(s, b->data);
		cow_buf_put(b);
		if (err <= 0)
			return err;
		key = bound;
	} while (bound && (bound & ~COW_DIR_KEY_CLASH) == s->base);
	return -ENOENT;
}

int cow_dir_find(struct cow_inode *dir, const char *name, size_t len, struct cow_dirent *out)
{
	struct search s = { base_of(dir, name, len), name, len, out, 0 };

	return dir_search(dir, &s);
}

int cow_dir_entry_at(struct cow_inode *dir, u64 key, struct cow_dirent *out, char *name)
{
	const struct cow_dirent *e;
	struct cow_buf *b;
	unsigned i;
	u64 bound;
	int err;

	for (;;) {
		err = leaf_at(dir, key, &b, &bound);
		if (err)
			return err;
		err = cow_leaf_search(b->data, key, &i);
		if (err || i < ((struct cow_dir_leaf *)b->data)->count || !bound)
			break;
		cow_buf_put(b);
		key = bound;
	}
	e = err ? NULL : cow_leaf_entry(b->data, i);
	if (!err && !e)
		err = i < ((struct cow_dir_leaf *)b->data)->count ? -EIO : -ENOENT;
	if (!err) {
		*out = *e;
		memcpy(name, e->name, e->name_len);
		name[e->name_len] = 0;
	}
	cow_buf_put(b);
	return err;
}

/* 0: go on; 1: emit is full; -EIO. */
static int emit_leaf(const struct cow_dir_leaf *l, u64 *pos,
		     bool (*emit)(void *arg, const char *name, size_t len, u64 ino, u32 type,
				  u64 next),
		     void *arg)
{
	unsigned i;

	if (cow_leaf_check(l) || cow_leaf_search(l, *pos, &i))
		return -EIO;
	for (; i < l->count; i++) {
		const struct cow_dirent *e = cow_leaf_entry(l, i);

		if (!emit(arg, e->name, e->name_len, e->ino, e->type, e->key + 1))
			return 1;
		*pos = e->key + 1;
	}
	return 0;
}

int cow_readdir(struct cow_inode *dir, u64 *pos,
		bool (*emit)(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next),
		void *arg)
{
	struct cow_volume *v = dir->volume;
	struct cow_buf *b;
	u64 key = *pos, bound;
	int err;

	cow_lock_read(&v->lock);
	do {
		err = leaf_at(dir, key, &b, &bound);
		if (err)
			break;
		err = emit_leaf(b->data, pos, emit, arg);
		cow_buf_put(b);
		key = bound;
	} while (!err && bound);
	cow_unlock_read(&v->lock);
	return err < 0 && err != -ENOENT ? err : 0;
}

int cow_dir_empty(struct cow_inode *dir)
{
	struct cow_buf *b;
	u64 bound;
	int err;

	if (dir->rec.size)
		return -ENOTEMPTY;
	err = leaf_at(dir, COW_DIR_KEY_MIN, &b, &bound);
	if (err)
		return err == -ENOENT ? 0 : err;
	/* entries that the size does not know of: the disk is wrong */
	err = dir->rec.depth || ((struct cow_dir_leaf *)b->data)->count ? -EIO : 0;
	cow_buf_put(b);
	return err;
}

/* --- putting in --- */

void cow_dir_place_put(struct cow_dir_place *p)
{
	if (p->leaf)
		cow_buf_put(p->leaf);
	p->leaf = NULL;
}

static int block_check(const struct cow_buf *b)
{
	return b->shape.level ? cow_node_check(b->data) : cow_leaf_check(b->data);
}

/* A new, empty block, counted. */
static int block_create(struct cow_volume *v, unsigned level, struct cow_ptr *p,
			struct cow_buf **out)
{
	*p = (struct cow_ptr){ 0 };
	return cow_block_make_writable(v, p, shape_of(level), 0, NULL, out);
}

/* One level more: a root that has the old one as its child. Counted in *out. */
static int tree_grow(struct cow_inode *dir, struct cow_buf **out)
{
	struct cow_ptr p;
	int err;

	if (dir->rec.depth + 1u >= COW_DEPTH_MAX)
		return -ENOSPC;
	err = block_create(dir->volume, dir->rec.depth + 1, &p, out);
	if (err)
		return err;
	cow_node_insert((*out)->data, 0, 0, &dir->rec.root);
	dir->rec.root = p;
	dir->rec.depth++;
	return 0;
}

/* Child `at` of parent is *b, and full: afterwards *b is the half where key belongs. */
static int block_split(struct cow_volume *v, struct cow_buf *parent, unsigned at, u64 key,
		       struct cow_buf **b)
{
	struct cow_buf *right;
	struct cow_ptr p;
	u64 separator;
	int err;

	err = block_create(v, (*b)->shape.level, &p, &right);
	if (err)
		return err;
	if ((*b)->shape.level)
		separator = cow_node_split((*b)->data, right->data);
	else
		separator = cow_leaf_split((*b)->data, right->data);
	cow_node_insert(parent->data, at + 1, separator, &p);
	if (key < separator) {
		cow_buf_put(right);
	} else {
		cow_buf_put(*b);
		*b = right;
	}
	return 0;
}

/* Must it be split before something may go in below or into it? */
static bool block_full(const struct cow_buf *b, size_t name_len)
{
	if (b->shape.level)
		return ((struct cow_dir_node *)b->data)->count == COW_DIR_FANOUT;
	return !cow_leaf_fits(b->data, name_len);
}

/* Checks *b, child `at` of *parent (NULL: it is the root), and splits it if it is full. */
static int make_room(struct cow_inode *dir, struct cow_buf **parent, unsigned at, u64 key,
		     size_t name_len, struct cow_buf **b)
{
	int err = block_check(*b);

	if (err || !block_full(*b, name_len))
		return err;
	if (!*parent) {
		err = tree_grow(dir, parent);
		if (err)
			return err;
	}
	return block_split(dir->volume, *parent, at, key, b);
}

/* The way down to the leaf for key, writable, with room for a name at each level. */
static int path_with_room(struct cow_inode *dir, u64 key, size_t name_len, struct cow_buf **out)
{
	struct cow_ptr *slot = &dir->rec.root;
	struct cow_buf *parent = NULL, *b;
	unsigned level = dir->rec.depth, at = 0;
	int err;

	if (level >= COW_DEPTH_MAX || (level && !slot->addr))
		return -EIO;
	for (;; level--) {
		err = cow_block_make_writable(dir->volume, slot, shape_of(level), 0, NULL, &b);
		if (err)
			break;
		err = make_room(dir, &parent, at, key, name_len, &b);
		if (parent)
			cow_buf_put(parent);
		parent = b;
		if (err || !level)
			break;
		at = cow_node_search(b->data, key);
		slot = &((struct cow_dir_node *)b->data)->ptr[at];
	}
	if (!err)
		*out = parent;
	else if (parent)
		cow_buf_put(parent);
	return err;
}

int cow_dir_path_with_room(struct cow_inode *dir, u64 key, size_t name_len, struct cow_dir_place *p)
{
	p->leaf = NULL;
	p->key = key;
	return path_with_room(dir, key, name_len, &p->leaf);
}

int cow_dir_insert_prepare(struct cow_inode *dir, const char *name, size_t len,
			   struct cow_dir_place *p)
{
	struct search s = { base_of(dir, name, len), name, len, NULL, 0 };
	int err;

	p->leaf = NULL;
	err = dir_search(dir, &s);
	if (!err)
		return -EEXIST;
	if (err != -ENOENT)
		return err;
	if ((s.free & ~COW_DIR_KEY_CLASH) != s.base)
		return -ENOSPC;
	return cow_dir_path_with_room(dir, s.free, len, p);
}

void cow_dir_insert(struct cow_inode *dir, struct cow_dir_place *p, const char *name, size_t len,
		    u64 ino, u32 generation, u8 type)
{
	struct cow_dirent *e;

	COW_BUG_ON(cow_leaf_search(p->leaf->data, p->key, &p->at));
	e = cow_leaf_insert(p->leaf->data, p->at, p->key, name, len);
	e->ino = ino;
	e->generation = generation;
	e->type = type;
	dir->rec.size++;
	cow_dir_place_put(p);
}

/* --- taking out --- */

/*
 * A block of this directory, writable and so in nobody else's hands, goes without what it points
 * to. Level 0 says that: leaves of directories have no children.
 */
static int drop_alone_prepare(struct cow_volume *v, const struct cow_ptr *p)
{
	struct cow_buf *none;

	return cow_block_drop_prepare(v, p, shape_of(0), &none);
}

static void drop_alone(struct cow_volume *v, struct cow_ptr *p)
{
	cow_block_drop(v, p, shape_of(0), NULL);
}

/* Roots with a single child go. */
static int tree_shrink(struct cow_inode *dir)
{
	struct cow_inode_record *rec = &dir->rec;
	struct cow_dir_node *n;
	struct cow_ptr old;
	struct cow_buf *b;
	int err;

	while (rec->depth) {
		err = cow_buf_read(dir->volume->fs, &rec->root, shape_of(rec->depth), &b);
		if (err)
			return err;
		n = b->data;
		if (n->count != 1) {
			cow_buf_put(b);
			return 0;
		}
		cow_buf_put(b);
		/* our own copy: its child has then one reference from it, which moves to the record
		 */
		err = cow_block_make_writable(dir->volume, &rec->root, shape_of(rec->depth), 0,
					      NULL, &b);
		if (err)
			return err;
		err = drop_alone_prepare(dir->volume, &rec->root);
		if (!err) {
			old = rec->root;
			rec->root = ((struct cow_dir_node *)b->data)->ptr[0];
			rec->depth--;
			drop_alone(dir->volume, &old);
		}
		cow_buf_put(b);
		if (err)
			return err;
	}
	return 0;
}

/* The way down to the leaf of key, writable; all of it may be dropped. */
static int path_to_remove(struct cow_inode *dir, u64 key, struct cow_buf **out)
{
	struct cow_ptr *slot = &dir->rec.root;
	struct cow_buf *parent = NULL, *b;
	unsigned level = dir->rec.depth;
	int err;

	for (;; level--) {
		err = cow_block_make_writable(dir->volume, slot, shape_of(level), 0, NULL, &b);
		if (!err) {
			err = block_check(b);
			if (!err)
				err = drop_alone_prepare(dir->volume, slot);
			if (parent)
				cow_buf_put(parent);
			parent = b;
		}
		if (err || !level)
			break;
		slot = &((struct cow_dir_node *)b->data)->ptr[cow_node_search(b->data, key)];
	}
	if (!err)
		*out = parent;
	else if (parent)
		cow_buf_put(parent);
	return err;
}

int cow_dir_remove_prepare(struct cow_inode *dir, const char *name, size_t len,
			   struct cow_dir_place *p)
{
	struct cow_dirent e;
	int err;

	p->leaf = NULL;
	err = cow_dir_find(dir, name, len, &e);
	if (err)
		return err;
	if (!dir->rec.size)
		return -EIO;
	err = tree_shrink(dir);
	if (err)
		return err;
	p->key = e.key;
	err = path_to_remove(dir, p->key, &p->leaf);
	if (err)
		return err;
	/* a leaf that was searched by name and one that was found by key are the same, unless the
	 * keys above are wrong */
	err = cow_leaf_search(p->leaf->data, p->key, &p->at);
	if (!err && (p->at >= ((struct cow_dir_leaf *)p->leaf->data)->count ||
		     cow_leaf_entry(p->leaf->data, p->at)->key != p->key))
		err = -EIO;
	if (err)
		cow_dir_place_put(p);
	return err;
}

/* The writable blocks down to key, counted, by level; at[l]: which child the block of level l is.
 */
static void path_find(struct cow_inode *dir, u64 key, struct cow_buf **path, unsigned *at)
{
	struct cow_ptr p = dir->rec.root;

	for (unsigned level = dir->rec.depth;; level--) {
		COW_BUG_ON(cow_buf_read(dir->volume->fs, &p, shape_of(level), &path[level]));
		if (!level)
			return;
		at[level - 1] = cow_node_search(path[level]->data, key);
		p = ((struct cow_dir_node *)path[level]->data)->ptr[at[level - 1]];
	}
}

void cow_dir_remove(struct cow_inode *dir, struct cow_dir_place *p)
{
	unsigned at[COW_DEPTH_MAX], level, depth = dir->rec.depth;
	struct cow_buf *path[COW_DEPTH_MAX];
	struct cow_ptr gone;
	bool empty;

	path_find(dir, p->key, path, at);
	COW_BUG_ON(path[0] != p->leaf || cow_leaf_search(p->leaf->data, p->key, &p->at));
	cow_leaf_remove(p->leaf->data, p->at);
	dir->rec.size--;
	cow_dir_place_put(p);
	empty = !((struct cow_dir_leaf *)path[0]->data)->count;
	for (level = 0; empty && level < depth; level++) {
		struct cow_dir_node *above = path[level + 1]->data;

		gone = above->ptr[at[level]];
		cow_node_remove(above, at[level]);
		drop_alone(dir->volume, &gone);
		empty = !above->count;
	}
	if (empty) {
		drop_alone(dir->volume, &dir->rec.root);
		dir->rec.depth = 0;
	}
	for (level = 0; level <= depth; level++)
		cow_buf_put(path[level]);
}

void cow_dir_replace(struct cow_dir_place *p, u64 ino, u32 generation, u8 type)
{
	struct cow_dirent *e;

	COW_BUG_ON(cow_leaf_search(p->leaf->data, p->key, &p->at));
	e = cow_leaf_entry(p->leaf->data, p->at);
	COW_BUG_ON(!e || e->key != p->key);
	e->ino = ino;
	e->generation = generation;
	e->type = type;
	cow_dir_place_put(p);
}
