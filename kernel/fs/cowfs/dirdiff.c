/* SPDX-License-Identifier: MIT */
/*
 * dirdiff.c - how two directories differ, the paths of inodes, and both for a person: which paths
 * of a volume differ from another's.
 *
 * Two directories' trees hold the same keys in the same order, if in blocks that were split in
 * different places. Two cursors go through them; each stands before a block that it has not entered
 * yet, or at an entry. Two cursors before the same block pass it by. So what is shared is not read,
 * but for the blocks on the way to what is not.
 *
 * An inode's path follows the records' homes upwards. Locks and batches as in diff.c.
 */
#include "fs/cowfs/dirblock.h"
#include "fs/cowfs/internal.h"

#define BATCH 16u

struct frame {
	struct cow_buf *buf;
	unsigned at;
	u64 low; /* no key below here is less */
};

struct cursor {
	struct cow_fs *fs;
	struct cow_ptr root;
	unsigned level; /* of root */
	unsigned count; /* frames; 0: before the root */
	bool end;
	struct frame frame[COW_DEPTH_MAX + 1];
};

/* Where a cursor stands. */
struct stand {
	bool block;
	struct cow_ptr ptr; /* of the block */
	unsigned level;
	u64 low;		    /* the block's, or the entry's key */
	const struct cow_dirent *e; /* or the entry */
};

static void cursor_end(struct cursor *c)
{
	while (c->count)
		cow_buf_put(c->frame[--c->count].buf);
	c->end = true;
}

static unsigned count_in(const struct cow_buf *b)
{
	return b->shape.level ? ((struct cow_dir_node *)b->data)->count
			      : ((struct cow_dir_leaf *)b->data)->count;
}

/* Off the ends of blocks, upwards. */
static void cursor_settle(struct cursor *c)
{
	while (c->count) {
		struct frame *f = &c->frame[c->count - 1];

		if (f->at < count_in(f->buf))
			return;
		cow_buf_put(f->buf);
		c->count--;
		if (c->count)
			c->frame[c->count - 1].at++;
	}
	c->end = true;
}

static void cursor_next(struct cursor *c)
{
	if (!c->count) {
		c->end = true;
		return;
	}
	c->frame[c->count - 1].at++;
	cursor_settle(c);
}

static void cursor_stand(const struct cursor *c, struct stand *s)
{
	const struct frame *f = c->count ? &c->frame[c->count - 1] : NULL;
	const struct cow_dir_node *n;

	*s = (struct stand){ 0 };
	if (c->end)
		return;
	s->block = !f || f->buf->shape.level;
	if (!f) {
		s->ptr = c->root;
		s->level = c->level;
	} else if (s->block) {
		n = f->buf->data;
		s->ptr = n->ptr[f->at];
		s->level = f->buf->shape.level - 1;
		s->low = f->at ? n->key[f->at] : f->low;
	} else {
		s->e = cow_leaf_entry(f->buf->data, f->at); /* the leaf was checked */
		s->low = s->e->key;
	}
}

/* Into the block that the cursor stands before. */
static int cursor_enter(struct cursor *c, const struct stand *s)
{
	struct frame *f = &c->frame[c->count];
	int err =
		cow_buf_read(c->fs, &s->ptr, (struct cow_shape){ COW_TREE_DIR, s->level }, &f->buf);

	if (err)
		return err;
	err = s->level ? cow_node_check(f->buf->data) : cow_leaf_check(f->buf->data);
	if (err) {
		cow_buf_put(f->buf);
		return err;
	}
	f->at = 0;
	f->low = s->low;
	c->count++;
	cursor_settle(c);
	return 0;
}

/* dir NULL: an empty one. At the first entry with a key >= pos. */
static int cursor_begin(struct cursor *c, struct cow_inode *dir, u64 pos)
{
	struct stand s;
	int err = 0;

	*c = (struct cursor){ .end = true };
	if (!dir)
		return 0;
	c->fs = dir->volume->fs;
	c->level = dir->rec.depth;
	err = cow_inode_sums(dir);
	c->root = dir->rec.root;
	if (err || !c->root.addr)
		return err;
	if (c->level >= COW_DEPTH_MAX)
		return -EIO;
	c->end = false;
	while (pos && !c->end) {
		struct frame *f;

		cursor_stand(c, &s);
		err = cursor_enter(c, &s);
		if (err || c->end)
			break;
		f = &c->frame[c->count - 1];
		if (!f->buf->shape.level) {
			err = cow_leaf_search(f->buf->data, pos, &f->at);
			break;
		}
		f->at = cow_node_search(f->buf->data, pos);
	}
	if (c->count)
		cursor_settle(c);
	return err;
}

/* --- two directories --- */

struct item {
	enum cow_difference what;
	u64 ino, old_ino;
	u32 type;
	u16 len;
	char name[COW_NAME_MAX + 1];
};

struct walk {
	struct cow_inode *a, *b;
	struct cursor x, y;
	u64 pos; /* the keys before it were told */
	unsigned count;
	struct item item[BATCH];
};

static void tell(struct walk *w, enum cow_difference what, const struct cow_dirent *e, u64 old_ino)
{
	struct item *it = &w->item[w->count++];

	it->what = what;
	it->ino = e->ino;
	it->old_ino = old_ino;
	it->type = e->type;
	it->len = e->name_len;
	memcpy(it->name, e->name, e->name_len);
	it->name[e->name_len] = 0;
}

/* Both stand at entries with the same key. */
static void compare(struct walk *w, const struct cow_dirent *a, const struct cow_dirent *b)
{
	if (a->name_len != b->name_len || memcmp(a->name, b->name, a->name_len)) {
		tell(w, COW_REMOVED, a, a->ino); /* another name of the same hash came */
		tell(w, COW_ADDED, b, 0);
	} else if (a->ino != b->ino || a->generation != b->generation) {
		tell(w, COW_CHANGED, b, a->ino);
	}
}

/* One of the cursors, or both, go on. */
static int walk_step(struct walk *w)
{
	struct cursor *x = &w->x, *y = &w->y;
	struct stand a, b;
	bool a_first, b_first;
	int err = 0;

	cursor_stand(x, &a);
	cursor_stand(y, &b);
	if (a.block && b.block && a.ptr.addr == b.ptr.addr && a.ptr.birth == b.ptr.birth &&
	    a.level == b.level) {
		cursor_next(x);
		cursor_next(y);
		return 0;
	}
	a_first = !x->end && (y->end || a.low <= b.low);
	b_first = !y->end && (x->end || b.low <= a.low);
	if ((a_first && a.block) || (b_first && b.block)) {
		/* both before blocks that begin at the same key: the larger one first */
		bool both = a_first && b_first && a.block && b.block;

		if (a_first && a.block && (!both || a.level >= b.level))
			err = cursor_enter(x, &a);
		if (!err && b_first && b.block && (!both || b.level >= a.level))
			err = cursor_enter(y, &b);
		return err;
	}
	w->pos = (a_first ? a.low : b.low) + 1;
	if (a_first && b_first)
		compare(w, a.e, b.e);
	else if (a_first)
		tell(w, COW_REMOVED, a.e, a.e->ino);
	else
		tell(w, COW_ADDED, b.e, 0);
	if (a_first)
		cursor_next(x);
	if (b_first)
		cursor_next(y);
	return 0;
}

/* 1: there may be more. */
static int batch_fill(struct walk *w)
{
	struct cow_volume *a = w->a ? w->a->volume : NULL, *b = w->b ? w->b->volume : NULL;
	int err;

	w->count = 0;
	cow_volumes_lock_two(a, b);
	err = cursor_begin(&w->x, w->a, w->pos);
	if (!err)
		err = cursor_begin(&w->y, w->b, w->pos);
	else
		w->y = (struct cursor){ 0 };
	while (!err && !(w->x.end && w->y.end) && w->count <= BATCH - 2)
		err = walk_step(w);
	if (!err)
		err = !(w->x.end && w->y.end);
	cursor_end(&w->x);
	cursor_end(&w->y);
	cow_volumes_unlock_two(a, b);
	return err;
}

int cow_dir_diff(struct cow_inode *a, struct cow_inode *b,
		 int (*emit)(void *arg, enum cow_difference what, const char *name, size_t len,
			     u64 old_ino, u64 ino, u32 type),
		 void *arg)
{
	struct walk *w;
	int more = 1, err = 0;

	if (!a && !b)
		return 0;
	if (a && b && a->volume->fs != b->volume->fs)
		return -EXDEV;
	w = cow_alloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->a = a;
	w->b = b;
	while (more > 0 && !err) {
		more = batch_fill(w);
		for (unsigned i = 0; i < w->count && more >= 0 && !err; i++) {
			struct item *it = &w->item[i];

			err = emit(arg, it->what, it->name, it->len, it->old_ino,
				   it->what == COW_REMOVED ? 0 : it->ino, it->type);
		}
	}
	cow_free(w);
	return more < 0 ? more : err;
}

/* --- paths --- */

/* The name of inode `ino` and where it is: -ENOENT: not known. name: COW_NAME_MAX + 1 bytes. */
static int home_of(struct cow_volume *v, u64 ino, u64 *parent, char *name)
{
	struct cow_inode *dir;
	struct cow_dirent e;
	union cow_record r;
	int err;

	cow_lock_read(&v->lock);
	err = cow_record_read(v, ino, &r);
	cow_unlock_read(&v->lock);
	if (err)
		return err;
	if ((r.mode & 0170000) == 0120000 || !r.mode || !r.inode.home.dir)
		return -ENOENT;
	*parent = r.inode.home.dir;
	err = cow_inode_get(v, *parent, &dir);
	if (err)
		return err == -EIO || err == -ENOMEM ? err : -ENOENT;
	cow_lock_read(&v->lock);
	err = (dir->rec.mode & 0170000) == 0040000
		      ? cow_dir_entry_at(dir, r.inode.home.key, &e, name)
		      : -ENOENT;
	cow_unlock_read(&v->lock);
	cow_inode_put(dir);
	if (err)
		return err;
	return e.key == r.inode.home.key && e.ino == ino ? 0 : -ENOENT;
}

int cow_path(struct cow_volume *v, u64 ino, char *buf, size_t size)
{
	char name[COW_NAME_MAX + 1];
	size_t at = size, len;
	int err;

	if (size < 2)
		return -ERANGE;
	buf[--at] = 0;
	if (ino == COW_ROOT_INO)
		buf[--at] = '/';
	while (ino != COW_ROOT_INO) {
		err = home_of(v, ino, &ino, name);
		if (err)
			return err;
		len = strlen(name);
		if (len + 1 > at)
			return -ERANGE;
		at -= len;
		memcpy(buf + at, name, len);
		buf[--at] = '/';
	}
	memmove(buf, buf + at, size - at);
	return 0;
}

/* --- paths that differ --- */

struct paths {
	struct cow_volume *a, *b;
	int (*emit)(void *arg, enum cow_difference what, u64 ino, const char *path);
	void *arg;
	size_t len; /* of the directory's path in `path`, which ends with a slash */
	char path[COW_PATH_MAX + COW_NAME_MAX + 2];
};

static int name_differs(void *arg, enum cow_difference what, const char *name, size_t len,
			u64 old_ino, u64 ino, u32 type)
{
	struct paths *p = arg;

	memcpy(p->path + p->len, name, len);
	p->path[p->len + len] = 0;
	return p->emit(p->arg, what, what == COW_REMOVED ? old_ino : ino, p->path);
}

/* Directory `ino`, whose path stands in p->path. is_new: a has none to compare it with. */
static int names_differ(struct paths *p, u64 ino, bool is_new)
{
	struct cow_inode *a = NULL, *b;
	int err = cow_inode_get(p->b, ino, &b);

	if (err)
		return err;
	if (!is_new)
		err = cow_inode_get(p->a, ino, &a);
	p->len = strlen(p->path);
	if (p->len > 1)
		p->path[p->len++] = '/';
	if (!err)
		err = cow_dir_diff(a, b, name_differs, p);
	if (a)
		cow_inode_put(a);
	cow_inode_put(b);
	return err;
}

static int inode_differs(void *arg, enum cow_difference what, u64 ino,
			 const struct cow_inode_record *old, const struct cow_inode_record *now)
{
	struct paths *p = arg;
	bool dir = now && (now->mode & 0170000) == 0040000;
	int err;

	/* what came and went is told by its directory */
	if (what == COW_REMOVED || (what == COW_ADDED && !dir))
		return 0;
	err = cow_path(p->b, ino, p->path, COW_PATH_MAX);
	if (what == COW_CHANGED && (!err || err == -ENOENT))
		err = p->emit(p->arg, what, ino, err ? NULL : p->path) ?: err;
	if (!err && dir)
		err = names_differ(p, ino, what == COW_ADDED);
	/* it went while we looked */
	return err == -ENOENT || err == -ESTALE ? 0 : err;
}

int cow_volume_diff_paths(struct cow_volume *a, struct cow_volume *b,
			  int (*emit)(void *arg, enum cow_difference what, u64 ino,
				      const char *path),
			  void *arg)
{
	struct paths *p = cow_alloc(sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->a = a;
	p->b = b;
	p->emit = emit;
	p->arg = arg;
	err = cow_volume_diff(a, b, inode_differs, p);
	cow_free(p);
	return err;
}
