/* SPDX-License-Identifier: MIT */
/*
 * reap.c - gives back the trees of deleted volumes, a block at a time.
 *
 * A dead tree is a record of the meta volume that points to the top block of a tree nobody else
 * points to from there; dead trees are a list from fs->dead_head on. A step is one operation on the
 * meta volume, with the first of the list:
 *
 *	others have the block too       its count falls by one, the record goes
 *	nothing below it needs a step   the block and its children go, and the record
 *	few children do                 they become dead trees instead of the block
 *	many do                         a few of them become dead trees, and leave the block (its
 *	                                copy) for that
 *
 * So between two steps each pointer is somewhere, a crash at any place loses nothing, and the list
 * stays about as long as trees are deep. A child needs a step of its own if nobody else has it and
 * it is not a leaf, or a leaf of an inode table.
 *
 * What the disk got wrong is skipped: its blocks stay in use until fsck.
 *
 * What others have and what not is looked at and acted upon with fs->share_lock held.
 *
 * Blocks of dead trees belong to no volume: the operations of block.c are given `grave`, a volume
 * whose base is younger than anything, so that nothing is counted as its own.
 */
#include "fs/cowfs/dirblock.h"
#include "fs/cowfs/internal.h"

#define CHAIN_MAX    8u		/* new dead trees of a step */
#define CHILDREN_MAX COW_FANOUT /* the most that a block has: 128, 102, 16 * 2 */
#define STEPS	     64u

struct child {
	struct cow_ptr *ptr; /* in the block; NULL: left alone */
	struct cow_shape shape;
	bool direct; /* no step of its own */
};

struct reaper {
	struct cow_fs *fs;
	struct cow_volume grave;
	struct cow_op op;
	struct cow_buf *leaf; /* of the record */
	union cow_record *record;
	u64 ino;
	struct cow_shape shape;
	struct cow_buf *block; /* counted, or NULL: nothing is known of what is in it */
	unsigned count, chained;
	struct child child[CHILDREN_MAX];
	struct {
		u64 ino;
		struct cow_buf *leaf;
		union cow_record *record;
	} made[CHAIN_MAX];
};

static struct cow_shape alone(struct cow_shape s)
{
	return (struct cow_shape){ s.tree == COW_TREE_TABLE ? COW_TREE_FILE : s.tree, 0 };
}

/* --- looking --- */

/* What the record of dead tree `ino` says: -EIO: it is none. */
static int dead_read(struct cow_fs *fs, u64 ino, struct cow_dead_record *out)
{
	union cow_record r;
	int err = cow_record_read(fs->meta, ino, &r);

	if (err)
		return err == -ENOENT ? -EIO : err;
	*out = r.dead;
	if (r.mode != COW_S_DEAD || r.dead.level > COW_DEPTH_MAX || r.dead.tree < COW_TREE_FILE ||
	    r.dead.tree > COW_TREE_DIR)
		return -EIO;
	return 0;
}

/*
 * Brings the block that the next step needs into memory before the step takes the lock. Nobody else
 * gives it back: there is one reaper.
 */
static void prefetch(struct cow_fs *fs)
{
	struct cow_dead_record d;
	struct cow_buf *b;
	u64 ino;
	int err;

	cow_lock_read(&fs->meta->lock);
	ino = fs->dead_head;
	err = ino ? dead_read(fs, ino, &d) : -ENOENT;
	cow_unlock_read(&fs->meta->lock);
	if (err || (!d.level && d.tree != COW_TREE_TABLE))
		return;
	if (!cow_buf_read(fs, &d.ptr, (struct cow_shape){ d.tree, d.level }, &b))
		cow_buf_put(b);
}

static int touch(struct cow_fs *fs, const struct cow_ptr *p)
{
	int err = cow_counts_touch(fs, p->addr);

	return err || !p->mirror ? err : cow_counts_touch(fs, p->mirror);
}

/* Only a lack of memory stops the step. */
static int child_found(void *arg, struct cow_ptr *p, struct cow_shape s)
{
	struct reaper *r = arg;
	struct child *c = &r->child[r->count];
	u32 refs = 0;
	int err = touch(r->fs, p);

	if (!err)
		err = cow_counts_get(r->fs, p->addr, &refs);
	if (err == -ENOMEM)
		return err;
	if (err || r->count == CHILDREN_MAX)
		return 0;
	c->ptr = p;
	c->shape = s;
	c->direct = refs > 1 || (!s.level && s.tree != COW_TREE_TABLE);
	r->count++;
	r->chained += !c->direct;
	return 0;
}

static int children_find(struct reaper *r)
{
	int err;

	r->count = r->chained = 0;
	err = cow_block_pointers(r->shape, r->block->data, child_found, r);
	return err == -EIO ? 0 : err;
}

/* --- changing --- */

/* Places for n new dead trees. */
static int places_make(struct reaper *r, unsigned n)
{
	struct cow_volume *meta = r->fs->meta;
	unsigned k;
	int err = 0;

	for (k = 0; k < n && !err; k++)
		err = cow_record_alloc(meta, &r->made[k].ino, &r->made[k].leaf, &r->made[k].record);
	if (!err)
		return 0;
	for (k--; k--;) {
		cow_record_free(meta, r->made[k].ino, r->made[k].record);
		cow_buf_put(r->made[k].leaf);
	}
	return err;
}

static void head_set(struct cow_fs *fs, u64 ino)
{
	__atomic_store_n(&fs->dead_head, ino, __ATOMIC_RELEASE);
}

/* The child at *c is a dead tree of its own from now on. */
static void chain(struct reaper *r, unsigned k, const struct child *c)
{
	r->made[k].record->dead = (struct cow_dead_record){ .mode = COW_S_DEAD,
							    .tree = c->shape.tree,
							    .level = c->shape.level,
							    .ptr = *c->ptr,
							    .next = r->fs->dead_head };
	head_set(r->fs, r->made[k].ino);
	cow_buf_put(r->made[k].leaf);
}

static void record_goes(struct reaper *r)
{
	head_set(r->fs, r->record->dead.next);
	cow_record_free(r->fs->meta, r->ino, r->record);
}

/* The block goes, and the record: what it points to was seen to. Its count was touched. */
static void block_goes(struct reaper *r)
{
	struct cow_ptr p = r->record->dead.ptr;

	record_goes(r);
	cow_block_drop(&r->grave, &p, alone(r->shape), NULL);
}

static int drop_alone(struct reaper *r)
{
	int err = touch(r->fs, &r->record->dead.ptr);

	if (err == -ENOMEM)
		return err;
	if (err) /* it cannot even be counted: forget it */
		record_goes(r);
	else
		block_goes(r);
	return 0;
}

static void drop_direct(struct reaper *r, const struct child *c)
{
	struct cow_ptr p = *c->ptr;

	cow_block_drop(&r->grave, &p, alone(c->shape), NULL);
}

/* Few children need a step. */
static int dissolve(struct reaper *r)
{
	unsigned n = 0;
	int err = touch(r->fs, &r->record->dead.ptr);

	if (!err)
		err = places_make(r, r->chained);
	if (err)
		return err;
	block_goes(r);
	for (unsigned i = 0; i < r->count; i++)
		if (r->child[i].direct)
			drop_direct(r, &r->child[i]);
		else
			chain(r, n++, &r->child[i]);
	return 0;
}

/* What a record says of a tree that it has no more. */
static void record_empty(struct cow_inode_record *i, const struct cow_ptr *p)
{
	if (p == &i->root) {
		i->depth = 0;
		i->size = i->blocks = 0;
	} else {
		i->xattr_depth = 0;
		i->xattr_size = 0;
	}
}

/* Takes the last child out of the block: the ones behind it are out already. */
static void take_out(struct reaper *r, struct child *c)
{
	struct cow_inode_leaf *leaf = r->block->data;
	struct cow_dir_node *node = r->block->data;
	unsigned at;

	if (r->shape.tree == COW_TREE_DIR) {
		at = c->ptr - node->ptr;
		while (node->count > at)
			cow_node_remove(node, node->count - 1);
		return;
	}
	*c->ptr = (struct cow_ptr){ 0 };
	if (!r->shape.level) {
		at = ((u8 *)c->ptr - (u8 *)leaf) / sizeof(union cow_record);
		record_empty(&leaf->record[at].inode, c->ptr);
	}
}

/* Many children need a step: the last ones leave a copy of the block. */
static int thin_out(struct reaper *r)
{
	struct cow_buf *b;
	unsigned n = 0;
	int err = cow_block_make_writable(&r->grave, &r->record->dead.ptr, r->shape, 0, NULL, &b);

	if (err)
		return err;
	cow_buf_put(r->block);
	r->block = b;
	err = children_find(r); /* the same ones, in the copy */
	if (!err)
		err = places_make(r, CHAIN_MAX);
	if (err)
		return err;
	while (r->count && n < CHAIN_MAX) {
		struct child *c = &r->child[--r->count];

		if (c->direct)
			drop_direct(r, c);
		else
			chain(r, n++, c);
		take_out(r, c);
	}
	return 0;
}

/* --- a step --- */

/* A block of pointers to data goes with them: block.c can, reserved ones too. */
static int drop_map(struct reaper *r)
{
	struct cow_ptr p = r->record->dead.ptr;
	struct cow_buf *held;
	int err = cow_block_drop_prepare(&r->grave, &p, r->shape, &held);

	if (err == -EIO)
		return drop_alone(r);
	if (err)
		return err;
	record_goes(r);
	cow_block_drop(&r->grave, &p, r->shape, held);
	return 0;
}

/* The block is the dead tree's alone. */
static int step_own(struct reaper *r)
{
	int err = cow_buf_read(r->fs, &r->record->dead.ptr, r->shape, &r->block);

	if (err)
		return err == -EIO ? drop_alone(r) : err;
	err = children_find(r); /* loads their counts, so that it is fast the second time */
	if (err)
		return err;
	cow_lock_write(&r->fs->share_lock);
	err = children_find(r);
	if (!err)
		err = r->chained <= CHAIN_MAX ? dissolve(r) : thin_out(r);
	cow_unlock_write(&r->fs->share_lock);
	return err;
}

static int step_block(struct reaper *r)
{
	struct cow_ptr p = r->record->dead.ptr;
	int err = touch(r->fs, &p);

	if (err == -ENOMEM)
		return err;
	if (err || (!r->shape.level && r->shape.tree != COW_TREE_TABLE))
		return drop_alone(r);
	if (cow_block_drop_shared(&r->grave, &p)) {
		record_goes(r);
		return 0;
	}
	if (r->shape.tree == COW_TREE_FILE && r->shape.level == 1)
		return drop_map(r);
	return step_own(r);
}

/* 1: there is more. */
static int step(struct reaper *r)
{
	struct cow_fs *fs = r->fs;
	struct cow_dead_record d;
	int err;

	prefetch(fs);
	err = cow_op_begin(fs->meta, COW_OP_META, COW_OP_FREES | COW_OP_NOWAIT, &r->op);
	if (err)
		return err;
	r->block = NULL;
	r->ino = fs->dead_head;
	err = r->ino ? dead_read(fs, r->ino, &d) : -ENOENT;
	if (!err)
		err = cow_record_write(fs->meta, r->ino, &r->leaf, &r->record);
	if (!err) {
		r->shape = (struct cow_shape){ d.tree, d.level };
		err = step_block(r);
		cow_buf_put(r->leaf);
	}
	if (r->block)
		cow_buf_put(r->block);
	cow_op_end(&r->op);
	return err ? err : fs->dead_head != 0;
}

int cow_reap(struct cow_fs *fs)
{
	struct reaper *r;
	int err = 1;

	if (!cow_load(&fs->dead_head))
		return 0;
	if (__atomic_exchange_n(&fs->reaping, true, __ATOMIC_ACQ_REL))
		return 1; /* somebody is at it */
	r = cow_alloc(sizeof(*r));
	if (r) {
		r->fs = fs;
		r->grave.fs = fs;
		r->grave.rec.base_birth = ~0ull;
	} else {
		err = -ENOMEM;
	}
	for (unsigned n = 0; err == 1 && n < STEPS; n++) {
		err = step(r);
		cow_resched();
	}
	cow_free(r);
	__atomic_store_n(&fs->reaping, false, __ATOMIC_RELEASE);
	return err == -ENOENT ? 0 : err;
}
