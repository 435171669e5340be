/* SPDX-License-Identifier: MIT */
/*
 * names.c - what happens to names: look up, create, link, unlink, rename.
 *
 * Each is one operation on the volume (I6):
 *
 *	names_begin     the volume's lock, and room
 *	names_prepare   the records of all inodes that take part: writable
 *	cow_dir_..._prepare, cow_record_alloc ...
 *	the changes     cannot fail
 *	names_end       stores the records. Directories in any case: preparing may move their roots
 *
 * An inode that has no name any more (nlink 0) is on the volume's list of orphans until the last
 * cow_inode_put() deletes it, or after a crash the volume's next user.
 *
 * A directory's nlink is 2 and one for each directory in it, without a limit that matters; a file
 * has up to COW_LINK_MAX links.
 *
 * An inode's record says where one of its names is (struct cow_home): kept here, for all but
 * symbolic links, whose text may be there instead.
 */
#include "fs/cowfs/internal.h"

#define S_IFMT	0170000u
#define S_IFDIR 0040000u
#define S_IFLNK 0120000u

static bool is_dir(const struct cow_inode *i)
{
	return (i->rec.mode & S_IFMT) == S_IFDIR;
}

/* DT_* of readdir(3). */
static u8 type_of(u32 mode)
{
	return (mode & S_IFMT) >> 12;
}

int cow_name_check(const char *name, size_t len)
{
	if (len > COW_NAME_MAX)
		return -ENAMETOOLONG;
	if (!len || memchr(name, '/', len) || memchr(name, 0, len) ||
	    (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return -EINVAL;
	return 0;
}

/* Names go into directories that have one themselves. */
static int parent_check(const struct cow_inode *dir)
{
	if (!is_dir(dir))
		return -ENOTDIR;
	return dir->rec.nlink ? 0 : -ENOENT;
}

/* --- operations --- */

#define NAMES_INODES 4u

struct names {
	struct cow_op op;
	struct cow_inode *inode[NAMES_INODES]; /* prepared */
	unsigned count;
};

static int names_begin(struct names *n, struct cow_volume *v, u32 flags)
{
	n->count = 0;
	return cow_op_begin(v, COW_OP_META, flags, &n->op);
}

/* i takes part: NULL and those who do already are fine. */
static int names_prepare(struct names *n, struct cow_inode *i)
{
	int err;

	for (unsigned k = 0; k < n->count; k++)
		if (n->inode[k] == i)
			return 0;
	if (!i)
		return 0;
	err = cow_inode_prepare(i);
	if (!err)
		n->inode[n->count++] = i;
	return err;
}

/* err: nothing was changed that can be seen, but the trees of directories may have moved. */
static int names_end(struct names *n, int err)
{
	for (unsigned k = 0; k < n->count; k++)
		if (!err || is_dir(n->inode[k]))
			cow_inode_store(n->inode[k], COW_STORE_NAMES);
	cow_op_end(&n->op);
	return err;
}

static void set_changed(struct cow_inode *dir, const struct cow_time *now)
{
	dir->rec.mtime = *now;
	dir->rec.ctime = *now;
}

/* --- where a name is --- */

static void home_set(struct cow_inode_record *r, u64 dir, u64 key)
{
	if ((r->mode & S_IFMT) != S_IFLNK)
		r->home = (struct cow_home){ dir, key };
}

/* The name at (dir, key) goes. */
static void home_drop(struct cow_inode_record *r, u64 dir, u64 key)
{
	if ((r->mode & S_IFMT) != S_IFLNK && r->home.dir == dir && r->home.key == key)
		r->home = (struct cow_home){ 0 };
}

/* --- looking up --- */

int cow_lookup(struct cow_inode *dir, const char *name, size_t len, u64 *ino)
{
	struct cow_dirent e;
	int err;

	if (!is_dir(dir))
		return -ENOTDIR;
	if (len > COW_NAME_MAX)
		return -ENAMETOOLONG;
	cow_lock_read(&dir->volume->lock);
	err = cow_dir_find(dir, name, len, &e);
	cow_unlock_read(&dir->volume->lock);
	if (!err)
		*ino = e.ino;
	return err;
}

/* --- creating --- */

/* The record of a new inode, but for what cow_record_alloc gave it. */
static void record_fill(struct cow_inode_record *r, const struct cow_new *n, u32 nlink)
{
	u32 type = n->mode & S_IFMT;
	bool device = type == 0020000 || type == 0060000;

	*r = (struct cow_inode_record){ .mode = n->mode,
					.nlink = nlink,
					.uid = n->uid,
					.gid = n->gid,
					.atime = n->now,
					.mtime = n->now,
					.ctime = n->now,
					.btime = n->now,
					.rdev = device ? n->rdev : 0 };
}

static int new_check(const struct cow_new *n)
{
	switch (n->mode & S_IFMT) {
	case 0010000: /* fifo */
	case 0020000: /* character device */
	case 0060000: /* block device */
	case 0100000: /* regular file */
	case 0140000: /* socket */
	case S_IFDIR:
		return n->mode & ~07777u & ~S_IFMT ? -EINVAL : 0;
	case S_IFLNK:
		if (!n->link || !n->link[0])
			return -EINVAL;
		return strnlen(n->link, COW_BLOCK) < COW_BLOCK ? 0 : -ENAMETOOLONG;
	default:
		return -EINVAL;
	}
}

/* A symbolic link's text: in the record, or in a block of its own. */
static int link_text(struct cow_volume *v, struct cow_inode_record *r, const char *text)
{
	size_t len = strlen(text);
	struct cow_buf *b;
	int err;

	r->size = len;
	if (len <= COW_INLINE_MAX) {
		memcpy(r->inline_data, text, len);
		r->inline_size = len;
		return 0;
	}
	err = cow_block_make_writable(v, &r->root, (struct cow_shape){ COW_TREE_FILE, 0 }, 0, NULL,
				      &b);
	if (err)
		return err;
	memcpy(b->data, text, len);
	cow_buf_put(b);
	r->blocks = 1;
	return 0;
}

/* What a new inode's record points to goes again: it was made by this operation. */
static void record_undo(struct cow_volume *v, struct cow_inode_record *r)
{
	struct cow_shape s = { COW_TREE_FILE, 0 };
	struct cow_buf *none;

	if (r->root.addr && !cow_block_drop_prepare(v, &r->root, s, &none))
		cow_block_drop(v, &r->root, s, NULL);
}

/*
 * i becomes a new inode of v with rec's content, and in memory: nothing of it can be seen before
 * there is a name. The last thing of an operation that may fail.
 */
static int inode_make(struct cow_inode *i, struct cow_inode_record *rec)
{
	union cow_record *place;
	struct cow_buf *leaf;
	u64 ino;
	int err = cow_record_alloc(i->volume, &ino, &leaf, &place);

	if (err)
		return err;
	i->rec = *rec;
	cow_inode_publish(i, ino, leaf, place);
	cow_buf_put(leaf);
	return 0;
}

/* The opposite, in the same operation. */
static void inode_unmake(struct cow_inode *i)
{
	struct cow_inode_leaf *leaf = i->leaf->data;

	cow_inode_unhash(i);
	cow_record_free(i->volume, i->ino, &leaf->record[i->ino % COW_INODES_PER_LEAF]);
	cow_inode_discard(i);
}

int cow_create(struct cow_inode *dir, const char *name, size_t len, const struct cow_new *n,
	       struct cow_inode **out)
{
	bool subdir = (n->mode & S_IFMT) == S_IFDIR;
	struct cow_volume *v = dir->volume;
	struct cow_dir_place p = { 0 };
	struct cow_inode_record rec;
	struct cow_inode *i = NULL;
	struct names op;
	int err = cow_name_check(name, len);

	if (!err)
		err = new_check(n);
	if (!err)
		err = names_begin(&op, v, 0);
	if (err)
		return err;
	record_fill(&rec, n, subdir ? 2 : 1);
	err = parent_check(dir);
	if (!err && subdir && dir->rec.nlink >= COW_DIR_LINK_MAX)
		err = -EMLINK;
	if (!err)
		err = names_prepare(&op, dir);
	if (!err)
		err = cow_dir_insert_prepare(dir, name, len, &p);
	if (!err)
		err = cow_inode_alloc(v, &i);
	if (!err && n->link && type_of(n->mode) == type_of(S_IFLNK))
		err = link_text(v, &rec, n->link);
	home_set(&rec, dir->ino, p.key);
	if (!err)
		err = inode_make(i, &rec);
	if (err) {
		record_undo(v, &rec);
		cow_dir_place_put(&p);
		if (i)
			cow_inode_discard(i);
		return names_end(&op, err);
	}
	cow_dir_insert(dir, &p, name, len, i->ino, i->rec.generation, type_of(n->mode));
	dir->rec.nlink += subdir;
	set_changed(dir, &n->now);
	*out = i;
	return names_end(&op, 0);
}

int cow_create_orphan(struct cow_inode *dir, const struct cow_new *n, struct cow_inode **out)
{
	struct cow_volume *v = dir->volume;
	struct cow_inode_record rec;
	struct cow_inode *i = NULL;
	struct names op;
	int err = new_check(n);

	if (!err && ((n->mode & S_IFMT) == S_IFDIR || (n->mode & S_IFMT) == S_IFLNK))
		err = -EINVAL;
	if (!err)
		err = names_begin(&op, v, 0);
	if (err)
		return err;
	record_fill(&rec, n, 0);
	err = parent_check(dir);
	if (!err)
		err = cow_inode_alloc(v, &i);
	if (!err)
		err = inode_make(i, &rec);
	if (err) {
		if (i)
			cow_inode_discard(i);
		return names_end(&op, err);
	}
	err = cow_orphan_prepare(i);
	if (err) {
		inode_unmake(i);
		return names_end(&op, err);
	}
	cow_orphan_add(i);
	*out = i;
	return names_end(&op, 0);
}

/* --- linking, unlinking --- */

int cow_link(struct cow_inode *i, struct cow_inode *dir, const char *name, size_t len,
	     const struct cow_time *now)
{
	struct cow_dir_place p = { 0 };
	struct names op;
	int err = cow_name_check(name, len);

	if (!err && i->volume != dir->volume)
		err = -EXDEV;
	if (!err)
		err = names_begin(&op, i->volume, 0);
	if (err)
		return err;
	err = parent_check(dir);
	if (!err && is_dir(i))
		err = -EPERM;
	if (!err && i->rec.nlink >= COW_LINK_MAX)
		err = -EMLINK;
	if (!err)
		err = names_prepare(&op, dir);
	if (!err)
		err = names_prepare(&op, i);
	if (!err && !i->rec.nlink)
		err = cow_orphan_prepare(i);
	if (!err)
		err = cow_dir_insert_prepare(dir, name, len, &p);
	if (err)
		return names_end(&op, err);
	if (!i->rec.nlink)
		cow_orphan_remove(i);
	if (!i->rec.nlink || !i->rec.home.dir)
		home_set(&i->rec, dir->ino, p.key);
	cow_dir_insert(dir, &p, name, len, i->ino, i->rec.generation, type_of(i->rec.mode));
	i->rec.nlink++;
	i->rec.ctime = *now;
	set_changed(dir, now);
	return names_end(&op, 0);
}

/* One name less for i: it is prepared for that (goes_prepare). The name was at (dir, key). */
static void name_goes(struct cow_inode *i, struct cow_inode *dir, u64 key,
		      const struct cow_time *now)
{
	home_drop(&i->rec, dir->ino, key);
	if (is_dir(i)) {
		i->rec.nlink = 0;
		dir->rec.nlink--;
	} else {
		i->rec.nlink--;
	}
	i->rec.ctime = *now;
	if (!i->rec.nlink)
		cow_orphan_add(i);
}

/* May i lose a name in dir? */
static int goes_prepare(struct names *op, struct cow_inode *i, const struct cow_inode *dir)
{
	int err = 0;

	/* fewer links than names, which the disk is to blame for, must not wrap around */
	if (!i->rec.nlink || (is_dir(i) && dir->rec.nlink <= 2))
		return -EIO;
	if (is_dir(i))
		err = cow_dir_empty(i);
	if (!err)
		err = names_prepare(op, i);
	if (!err && (is_dir(i) || i->rec.nlink == 1))
		err = cow_orphan_prepare(i);
	return err;
}

/* The entry in dir, which must be i's, may be changed or removed. */
static int entry_prepare(struct cow_inode *dir, const char *name, size_t len,
			 const struct cow_inode *i, struct cow_dir_place *p)
{
	struct cow_dirent e;
	int err = cow_dir_find(dir, name, len, &e);

	if (err)
		return err;
	if (e.ino != i->ino)
		return -ESTALE;
	return cow_dir_remove_prepare(dir, name, len, p);
}

int cow_unlink(struct cow_inode *dir, const char *name, size_t len, struct cow_inode *i,
	       const struct cow_time *now)
{
	struct cow_dir_place p = { 0 };
	struct names op;
	u64 key;
	int err;

	if (i->volume != dir->volume || i == dir)
		return -EINVAL;
	err = names_begin(&op, dir->volume, COW_OP_FREES);
	if (err)
		return err;
	err = parent_check(dir);
	if (!err)
		err = names_prepare(&op, dir);
	if (!err)
		err = goes_prepare(&op, i, dir);
	if (!err)
		err = entry_prepare(dir, name, len, i, &p);
	if (err)
		return names_end(&op, err);
	key = p.key;
	cow_dir_remove(dir, &p);
	name_goes(i, dir, key, now);
	set_changed(dir, now);
	return names_end(&op, 0);
}

/* --- renaming --- */

struct rename {
	struct cow_inode *from_dir, *i, *to_dir, *target;
	const char *from, *to;
	size_t from_len, to_len;
	const struct cow_time *now;
	struct cow_dir_place from_place, to_place;
};

/* Directories that i's ".." counts in: one less in a, one more in b. */
static void parent_moves(const struct cow_inode *i, struct cow_inode *a, struct cow_inode *b)
{
	if (!is_dir(i))
		return;
	a->rec.nlink--;
	b->rec.nlink++;
}

static int rename_check(const struct rename *r, bool exchange)
{
	const struct cow_inode *t = r->target;
	int err = parent_check(r->from_dir);

	if (!err)
		err = parent_check(r->to_dir);
	if (err)
		return err;
	if (r->i == r->to_dir || r->i == r->from_dir || (exchange && t == r->from_dir))
		return -EINVAL;
	if (is_dir(r->i) && r->from_dir->rec.nlink <= 2)
		return -EIO;
	if (is_dir(r->i) && r->to_dir->rec.nlink >= COW_DIR_LINK_MAX)
		return -EMLINK;
	if (!t || exchange)
		return exchange && t && is_dir(t) && r->to_dir->rec.nlink <= 2 ? -EIO : 0;
	if (t == r->from_dir || t == r->to_dir) /* it holds what is moved */
		return -ENOTEMPTY;
	if (is_dir(t) != is_dir(r->i))
		return is_dir(t) ? -EISDIR : -ENOTDIR;
	return 0;
}

static int rename_prepare(struct names *op, struct rename *r, bool exchange)
{
	int err = names_prepare(op, r->from_dir);

	if (!err)
		err = names_prepare(op, r->to_dir);
	if (!err)
		err = names_prepare(op, r->i);
	if (!err && r->target)
		err = exchange ? names_prepare(op, r->target)
			       : goes_prepare(op, r->target, r->to_dir);
	if (err)
		return err;
	if (r->target)
		err = entry_prepare(r->to_dir, r->to, r->to_len, r->target, &r->to_place);
	else
		err = cow_dir_insert_prepare(r->to_dir, r->to, r->to_len, &r->to_place);
	if (!err)
		err = entry_prepare(r->from_dir, r->from, r->from_len, r->i, &r->from_place);
	if (err)
		cow_dir_place_put(&r->to_place);
	return err;
}

static void place_set(struct cow_dir_place *p, struct cow_inode *i, struct cow_inode *dir)
{
	home_set(&i->rec, dir->ino, p->key);
	cow_dir_replace(p, i->ino, i->rec.generation, type_of(i->rec.mode));
}

static void rename_exchange(struct rename *r)
{
	place_set(&r->from_place, r->target, r->from_dir);
	place_set(&r->to_place, r->i, r->to_dir);
	parent_moves(r->i, r->from_dir, r->to_dir);
	parent_moves(r->target, r->to_dir, r->from_dir);
	r->target->rec.ctime = *r->now;
}

static void rename_move(struct rename *r)
{
	u64 key = r->to_place.key;

	if (r->target) {
		cow_dir_replace(&r->to_place, r->i->ino, r->i->rec.generation,
				type_of(r->i->rec.mode));
		name_goes(r->target, r->to_dir, key, r->now);
	} else {
		cow_dir_insert(r->to_dir, &r->to_place, r->to, r->to_len, r->i->ino,
			       r->i->rec.generation, type_of(r->i->rec.mode));
	}
	cow_dir_remove(r->from_dir, &r->from_place);
	home_set(&r->i->rec, r->to_dir->ino, key);
	parent_moves(r->i, r->from_dir, r->to_dir);
}

int cow_rename(struct cow_inode *from_dir, const char *from, size_t from_len, struct cow_inode *i,
	       struct cow_inode *to_dir, const char *to, size_t to_len, struct cow_inode *target,
	       bool exchange, const struct cow_time *now)
{
	struct rename r = { .from_dir = from_dir,
			    .i = i,
			    .to_dir = to_dir,
			    .target = target,
			    .from = from,
			    .to = to,
			    .from_len = from_len,
			    .to_len = to_len,
			    .now = now };
	struct cow_volume *v = i->volume;
	struct names op;
	int err = cow_name_check(to, to_len);

	if (err)
		return err;
	if (from_dir->volume != v || to_dir->volume != v || (target && target->volume != v))
		return -EXDEV;
	if (exchange && !target)
		return -ENOENT;
	if (i == target) /* two names of one inode: rename(2) leaves both */
		return 0;
	err = names_begin(&op, v, 0);
	if (err)
		return err;
	err = rename_check(&r, exchange);
	if (!err)
		err = rename_prepare(&op, &r, exchange);
	if (err)
		return names_end(&op, err);
	if (exchange)
		rename_exchange(&r);
	else
		rename_move(&r);
	i->rec.ctime = *now;
	set_changed(from_dir, now);
	set_changed(to_dir, now);
	return names_end(&op, 0);
}
