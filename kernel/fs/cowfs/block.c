/* SPDX-License-Identifier: MIT */
/*
 * block.c - pointers to blocks: making what they point to writable, giving it up, sharing it; and
 * which pointers a block holds.
 *
 * Copy on write: a block may change in place only while nobody but its pointer's holder can see it
 * (cow_buf_writable). Otherwise a copy takes its place. The copy's children then have one pointer
 * more if the original stays in use, and none more if it goes: the copy takes them over. So cloning
 * a tree costs one count, and the counts of its blocks follow lazily, along the paths that are
 * written (O. Rodeh, "B-trees, shadowing, and clones", 2008).
 *
 * A block whose count falls to 0 was either born in the open commit, and not named by the log: then
 * neither the disk nor anybody else knows of it ("fresh"), and its address may be given away at
 * once; or the last commit has it, and it stays as it is until the next one is durable.
 */
#include "fs/cowfs/internal.h"

/* --- what a block points to --- */

typedef int pointer_fn(void *arg, struct cow_ptr *p, struct cow_shape child);

static inline bool points(const struct cow_ptr *p)
{
	return p->addr > COW_ADDR_RESERVED;
}

static int root_pointer(struct cow_ptr *p, u8 tree, u32 depth, pointer_fn *fn, void *arg)
{
	if (!points(p))
		return 0;
	if (depth > COW_DEPTH_MAX)
		return -EIO;
	return fn(arg, p, (struct cow_shape){ tree, depth });
}

int cow_record_pointers(union cow_record *r, pointer_fn *fn, void *arg)
{
	int err;

	if (r->mode == COW_S_FREE)
		return 0;
	if (r->mode == COW_S_VOLUME)
		return root_pointer(&r->volume.table, COW_TREE_TABLE, r->volume.depth, fn, arg);
	if (r->mode == COW_S_DEAD)
		return root_pointer(&r->dead.ptr, r->dead.tree, r->dead.level, fn, arg);
	err = root_pointer(&r->inode.root,
			   (r->mode & 0170000) == 0040000 ? COW_TREE_DIR : COW_TREE_FILE,
			   r->inode.depth, fn, arg);
	if (!err)
		err = root_pointer(&r->inode.xattr, COW_TREE_FILE, r->inode.xattr_depth, fn, arg);
	return err;
}

static int leaf_pointers(struct cow_inode_leaf *leaf, pointer_fn *fn, void *arg)
{
	int err = 0;

	for (unsigned i = 0; i < COW_INODES_PER_LEAF && !err; i++)
		err = cow_record_pointers(&leaf->record[i], fn, arg);
	return err;
}

static int each_pointer(struct cow_ptr *p, unsigned n, struct cow_shape child, pointer_fn *fn,
			void *arg)
{
	int err = 0;

	for (unsigned i = 0; i < n && !err; i++)
		if (points(&p[i]))
			err = fn(arg, &p[i], child);
	return err;
}

int cow_block_pointers(struct cow_shape s, void *data, pointer_fn *fn, void *arg)
{
	struct cow_shape child = { s.tree, s.level - 1 };
	struct cow_dir_node *node = data;
	struct cow_map *map = data;

	if (!s.level)
		return s.tree == COW_TREE_TABLE ? leaf_pointers(data, fn, arg) : 0;
	if (s.tree != COW_TREE_DIR)
		return each_pointer(map->ptr, COW_FANOUT, child, fn, arg);
	if (node->count > COW_DIR_FANOUT)
		return -EIO;
	return each_pointer(node->ptr, node->count, child, fn, arg);
}

/* How many pointers in a block of pointers of a file say "reserved". */
static u64 reserved_in(struct cow_shape s, const void *data)
{
	const struct cow_map *map = data;
	u64 n = 0;

	if (s.tree != COW_TREE_FILE || s.level != 1)
		return 0;
	for (unsigned i = 0; i < COW_FANOUT; i++)
		n += map->ptr[i].addr == COW_ADDR_RESERVED;
	return n;
}

void cow_reserved_add(struct cow_fs *fs, s64 n)
{
	if (!n)
		return;
	cow_lock_write(&fs->counts_lock);
	fs->reserved_blocks += n;
	cow_unlock_write(&fs->counts_lock);
}

/* --- counts of one pointer: the block and its mirror --- */

static bool is_own(const struct cow_volume *v, const struct cow_ptr *p)
{
	return p->birth > v->rec.base_birth;
}

static int touch(struct cow_fs *fs, const struct cow_ptr *p)
{
	int err = cow_counts_touch(fs, p->addr);

	return err || !p->mirror ? err : cow_counts_touch(fs, p->mirror);
}

static int touch_child(void *arg, struct cow_ptr *p, struct cow_shape child)
{
	return touch(arg, p);
}

static int inc_child(void *arg, struct cow_ptr *p, struct cow_shape child)
{
	cow_counts_inc(arg, p->addr);
	if (p->mirror)
		cow_counts_inc(arg, p->mirror);
	return 0;
}

/* Born in the open commit, and the log does not know it either. */
static bool is_fresh(struct cow_fs *fs, const struct cow_ptr *p)
{
	struct cow_buf *b;
	bool logged;

	if (p->birth <= cow_load(&fs->sealed_birth))
		return false;
	b = cow_buf_peek(fs, p->addr);
	if (!b) /* only a damaged disk has such a pointer */
		return false;
	logged = b->flags & COW_BUF_LOGGED || b->birth != p->birth;
	cow_buf_put(b);
	return !logged;
}

/* One pointer less: the count that is left. Touched. */
static u32 unref(struct cow_fs *fs, const struct cow_ptr *p)
{
	bool fresh = is_fresh(fs, p);
	u32 left = cow_counts_dec(fs, p->addr, fresh);

	if (p->mirror)
		cow_counts_dec(fs, p->mirror, fresh);
	if (!left)
		cow_buf_forget(fs, p);
	return left;
}

static bool has_children(struct cow_shape s)
{
	return s.level || s.tree == COW_TREE_TABLE;
}

/* --- making writable --- */

static int alloc_addresses(struct cow_volume *v, u64 *addr, u64 *mirror)
{
	int err = cow_counts_alloc(v->fs, v->alloc_hint ? v->alloc_hint + 1 : 0, addr);

	*mirror = 0;
	if (err)
		return err;
	v->alloc_hint = *addr;
	if (v != v->fs->meta)
		return 0;
	err = cow_counts_alloc(v->fs, *addr + 1, mirror);
	if (err)
		cow_counts_dec(v->fs, *addr, true);
	else
		v->alloc_hint = *mirror;
	return err;
}

/* A new block, which *p then names; its bytes are what `page` has, or undefined. */
static int make_new(struct cow_volume *v, struct cow_ptr *p, struct cow_shape s, u32 flags,
		    struct cow_page *page, struct cow_buf **out)
{
	u64 addr, mirror;
	int err = alloc_addresses(v, &addr, &mirror);

	if (err)
		return err;
	err = cow_buf_create(v->fs, addr, mirror, s, page, flags & COW_MAKE_CHARGED, out);
	if (err) {
		cow_counts_dec(v->fs, addr, true);
		if (mirror)
			cow_counts_dec(v->fs, mirror, true);
		return err;
	}
	cow_volume_count(v, 1);
	*p = (struct cow_ptr){ .addr = addr, .mirror = mirror, .birth = (*out)->birth };
	return 0;
}

/* A block where none was, or space was promised. */
static int make_first(struct cow_volume *v, struct cow_ptr *p, struct cow_shape s, u32 flags,
		      struct cow_page *page, struct cow_buf **out)
{
	bool reserved = p->addr == COW_ADDR_RESERVED;
	int err = make_new(v, p, s, flags, page, out);

	if (err)
		return err;
	if (reserved) {
		cow_reserved_add(v->fs, -1);
		cow_volume_count(v, -1);
	}
	if (!page && !(flags & COW_MAKE_WHOLE))
		cow_clear_block((*out)->data);
	return 0;
}

/* In place; page is used up. */
static int make_same(struct cow_buf *b, struct cow_page *page, struct cow_buf **out)
{
	if (page) { /* readers may stand in the old page, so its bytes change, not the page */
		cow_copy_block(b->data, cow_page_data(page));
		cow_page_put(page);
	}
	cow_buf_clear(b, COW_BUF_SUMMED);
	*out = b;
	return 0;
}

/* A copy of a block of pointers promises what the original does: is there room for both? */
static int promise_again(struct cow_fs *fs, u64 n)
{
	bool room;

	cow_lock_read(&fs->counts_lock);
	room = fs->free >= fs->op_reserved + fs->reserved_blocks + n;
	cow_unlock_read(&fs->counts_lock);
	return room ? 0 : -ENOSPC;
}

/*
 * The reference of a copy's maker to the original goes. The children have one pointer more, unless
 * the others gave up the original meanwhile: then the copy takes them over. All is touched.
 */
static void leave_shared(struct cow_fs *fs, const struct cow_ptr *was, struct cow_shape s,
			 struct cow_buf *old, u64 reserved)
{
	u32 count;

	cow_lock_write(&fs->share_lock);
	if (!cow_counts_get(fs, was->addr, &count) && count > 1) {
		cow_block_pointers(s, old->data, inc_child, fs);
		cow_reserved_add(fs, reserved);
	}
	unref(fs, was);
	cow_unlock_write(&fs->share_lock);
}

/* old: the bytes to be copied, or NULL if they are not needed. */
static int make_copy(struct cow_volume *v, struct cow_ptr *p, struct cow_shape s, u32 flags,
		     struct cow_page *page, struct cow_buf *old, struct cow_buf **out)
{
	struct cow_fs *fs = v->fs;
	u64 reserved = old ? reserved_in(s, old->data) : 0;
	struct cow_ptr was = *p;
	u32 count;
	int err = touch(fs, &was);

	if (!err)
		err = cow_counts_get(fs, was.addr, &count);
	if (!err && count > 1 && old)
		err = cow_block_pointers(s, old->data, touch_child, fs);
	if (!err && count > 1 && reserved)
		err = promise_again(fs, reserved);
	if (!err)
		err = make_new(v, p, s, flags, page, out);
	if (err)
		return err;
	if (old && !page) {
		cow_copy_block((*out)->data, old->data);
		cow_buf_set(*out, old->flags & COW_BUF_NEWS); /* a clone has the old one */
	}
	if (count > 1 && old && has_children(s))
		leave_shared(fs, &was, s, old, reserved);
	else
		unref(fs, &was);
	cow_volume_count(v, is_own(v, &was) ? -1 : (s64)reserved);
	return 0;
}

int cow_block_make_writable(struct cow_volume *v, struct cow_ptr *p, struct cow_shape s, u32 flags,
			    struct cow_page *page, struct cow_buf **out)
{
	bool open = p->birth > cow_load(&v->fs->sealed_birth);
	bool whole = flags & COW_MAKE_WHOLE || page;
	struct cow_buf *old = NULL;
	int err = 0;

	if (!points(p))
		return make_first(v, p, s, flags, page, out);
	if (open || !whole)
		err = cow_buf_read(v->fs, p, s, &old);
	if (err)
		return err;
	if (open && cow_buf_writable(v, old))
		return make_same(old, page, out);
	err = make_copy(v, p, s, flags, page, whole ? NULL : old, out);
	if (old)
		cow_buf_put(old);
	return err;
}

/* --- giving up, sharing --- */

int cow_block_drop_prepare(struct cow_volume *v, const struct cow_ptr *p, struct cow_shape s,
			   struct cow_buf **held)
{
	int err;

	*held = NULL;
	if (!points(p))
		return 0;
	err = touch(v->fs, p);
	if (err || s.level != 1)
		return err;
	err = cow_buf_read(v->fs, p, s, held);
	if (err)
		return err;
	err = cow_block_pointers(s, (*held)->data, touch_child, v->fs);
	if (err) {
		cow_buf_put(*held);
		*held = NULL;
	}
	return err;
}

struct drop {
	struct cow_volume *volume;
	bool last; /* the block goes, so its children lose a pointer */
	s64 own;   /* blocks that the volume has fewer */
};

static int drop_child(void *arg, struct cow_ptr *p, struct cow_shape child)
{
	struct drop *d = arg;

	d->own += is_own(d->volume, p);
	if (d->last)
		unref(d->volume->fs, p);
	return 0;
}

/* See fs->share_lock: not while somebody makes a copy of it and counts its children. */
static u32 unref_parent(struct cow_fs *fs, const struct cow_ptr *p)
{
	u32 left;

	cow_lock_write(&fs->share_lock);
	left = unref(fs, p);
	cow_unlock_write(&fs->share_lock);
	return left;
}

bool cow_block_drop_shared(struct cow_volume *v, struct cow_ptr *p)
{
	struct cow_fs *fs = v->fs;
	bool shared;
	u32 count;

	cow_lock_write(&fs->share_lock);
	shared = !cow_counts_get(fs, p->addr, &count) && count > 1;
	if (shared)
		unref(fs, p);
	cow_unlock_write(&fs->share_lock);
	if (shared)
		*p = (struct cow_ptr){ 0 };
	return shared;
}

void cow_block_drop(struct cow_volume *v, struct cow_ptr *p, struct cow_shape s,
		    struct cow_buf *held)
{
	struct drop d = { .volume = v };
	u64 reserved;

	if (p->addr == COW_ADDR_RESERVED) {
		cow_reserved_add(v->fs, -1);
		cow_volume_count(v, -1);
	}
	if (points(p)) {
		d.own = is_own(v, p);
		d.last = has_children(s) ? !unref_parent(v->fs, p) : !unref(v->fs, p);
	}
	if (held) {
		reserved = reserved_in(s, held->data);
		d.own += d.own ? (s64)reserved : 0;
		if (d.last)
			cow_reserved_add(v->fs, -(s64)reserved);
		cow_block_pointers(s, held->data, drop_child, &d);
		cow_buf_put(held);
	}
	cow_volume_count(v, -d.own);
	*p = (struct cow_ptr){ 0 };
}

int cow_block_share(struct cow_volume *v, const struct cow_ptr *p)
{
	struct cow_buf *b;
	int err = touch(v->fs, p);

	if (err)
		return err;
	if (p->birth > cow_load(&v->fs->sealed_birth)) {
		b = cow_buf_peek(v->fs, p->addr);
		if (!b)
			return -EIO;
		cow_buf_set(b, COW_BUF_SHARED);
		cow_buf_put(b);
	}
	cow_counts_inc(v->fs, p->addr);
	cow_volume_count(v, is_own(v, p));
	return 0;
}
