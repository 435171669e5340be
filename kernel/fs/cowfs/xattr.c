/* SPDX-License-Identifier: MIT */
/*
 * xattr.c - extended attributes: a list of (name, value), one behind the other (struct cow_xattr),
 * in a file of its own that hangs in the inode's record; at most COW_XATTR_MAX bytes.
 *
 * A look reads the whole list into memory under v->lock. A change builds the new list there, writes
 * it to a new tree, and then, as the last thing and all at once, puts that in the place of the old
 * one; so what fails changes nothing. Names are checked for their namespace by the VFS. Errors as
 * in setxattr(2) and getxattr(2); a list that makes no sense, from a damaged disk, is -EIO.
 */
#include "fs/cowfs/internal.h"

#define XATTR_CREATE  1
#define XATTR_REPLACE 2
#define XATTR_BLOCKS  (COW_XATTR_MAX / COW_BLOCK)

static const struct cow_shape data_shape = { COW_TREE_FILE, 0 };

/* --- the list in memory --- */

static u64 entry_size(u64 name_len, u64 value_len)
{
	return ALIGN_UP(sizeof(struct cow_xattr) + name_len + value_len, 8);
}

static u64 entry_bytes(const struct cow_xattr *x)
{
	return entry_size(x->name_len, x->value_len);
}

/* The entry at *at of a list of n bytes, and *at behind it; NULL: the end, or *err. */
static struct cow_xattr *entry_next(char *list, u64 n, u64 *at, int *err)
{
	struct cow_xattr *x = (struct cow_xattr *)(list + *at);

	if (*at == n)
		return NULL;
	if (n - *at < sizeof(*x) || !x->name_len || x->name_len > COW_NAME_MAX ||
	    x->value_len > COW_XATTR_MAX || entry_bytes(x) > n - *at) {
		*err = -EIO;
		return NULL;
	}
	*at += entry_bytes(x);
	return x;
}

/* NULL: it is not there. */
static struct cow_xattr *entry_find(char *list, u64 n, const char *name, int *err)
{
	size_t len = strlen(name);
	struct cow_xattr *x;
	u64 at = 0;

	while ((x = entry_next(list, n, &at, err)))
		if (x->name_len == len && !memcmp(x->name, name, len))
			return x;
	return NULL;
}

static u64 entry_remove(char *list, u64 n, struct cow_xattr *x)
{
	u64 at = (char *)x - list, len = entry_bytes(x);

	memmove(list + at, list + at + len, n - at - len);
	return n - len;
}

static u64 entry_append(char *list, u64 n, const char *name, const void *value, u64 len)
{
	struct cow_xattr *x = (struct cow_xattr *)(list + n);
	u64 name_len = strlen(name), size = entry_size(name_len, len);

	memset(x, 0, size);
	x->name_len = name_len;
	x->value_len = len;
	memcpy(x->name, name, name_len);
	memcpy(x->name + name_len, value, len);
	return n + size;
}

/* --- the list on disk --- */

/* v->lock held; `room` bytes more than the list has. To be freed. */
static int list_read(struct cow_inode *i, u64 room, char **out)
{
	struct cow_root root = cow_xattr_root(&i->rec);
	u64 n = i->rec.xattr_size;
	struct cow_buf *b;
	struct cow_ptr p;
	char *list;
	int err = 0;

	if (n > COW_XATTR_MAX)
		return -EIO;
	err = cow_inode_sums(i);
	if (err)
		return err;
	list = cow_alloc(ALIGN_UP(n, COW_BLOCK) + room + 8);
	if (!list)
		return -ENOMEM;
	for (u64 at = 0; at < n && !err; at += COW_BLOCK) {
		err = cow_tree_find(i->volume->fs, &root, at >> COW_BLOCK_SHIFT, &p);
		if (!err)
			err = p.addr ? cow_buf_read(i->volume->fs, &p, data_shape, &b) : -EIO;
		if (err)
			break;
		memcpy(list + at, b->data, COW_BLOCK);
		cow_buf_put(b);
	}
	if (err)
		cow_free(list);
	else
		*out = list;
	if (err == -EIO)
		cow_log(i->volume->fs->platform, "volume %lu: inode %lu: bad extended attributes",
			(unsigned long)i->volume->id, (unsigned long)i->ino);
	return err;
}

struct new_tree {
	struct cow_ptr ptr;
	u8 depth;
};

/* Blocks of a tree that nobody else has yet, or of the old one. At most XATTR_BLOCKS leaves. */
static int tree_drop(struct cow_volume *v, struct cow_ptr *ptr, u8 *depth)
{
	struct cow_root root = { ptr, depth, COW_TREE_FILE };
	u64 dropped, next;
	int err = cow_tree_drop(v, &root, 0, ~0ull, &dropped, &next);

	return !err && next ? -EIO : err;
}

static int tree_build(struct cow_volume *v, const char *list, u64 n, struct new_tree *t)
{
	struct cow_root root = { &t->ptr, &t->depth, COW_TREE_FILE };
	struct cow_buf *map, *b;
	struct cow_ptr *slot;
	int err = 0;

	*t = (struct new_tree){ 0 };
	for (u64 at = 0; at < n && !err; at += COW_BLOCK) {
		u64 len = MIN(n - at, (u64)COW_BLOCK);

		err = cow_tree_path(v, &root, at >> COW_BLOCK_SHIFT, &map, &slot);
		if (err)
			break;
		err = cow_block_make_writable(v, slot, data_shape, 0, NULL, &b);
		if (map)
			cow_buf_put(map);
		if (err)
			break;
		memcpy(b->data, list + at, len);
		cow_buf_put(b);
	}
	if (err)
		(void)tree_drop(v, &t->ptr, &t->depth); /* all in memory: leaks only if broken */
	return err;
}

/* Gives up the old tree; at depth 1 or less, so that it goes as a whole or not at all. */
static int old_drop_prepare(struct cow_inode *i, struct cow_buf **held)
{
	struct cow_shape s = { COW_TREE_FILE, i->rec.xattr_depth };

	*held = NULL;
	if (!i->rec.xattr.addr)
		return 0;
	return s.level > 1 ? -EIO : cow_block_drop_prepare(i->volume, &i->rec.xattr, s, held);
}

/* The inode is prepared. */
static int list_write(struct cow_inode *i, const char *list, u64 n, const struct cow_time *now)
{
	struct cow_volume *v = i->volume;
	struct new_tree t;
	struct cow_buf *held;
	int err = old_drop_prepare(i, &held);

	if (err)
		return err;
	err = tree_build(v, list, n, &t);
	if (err) {
		if (held)
			cow_buf_put(held);
		return err;
	}
	if (i->rec.xattr.addr)
		cow_block_drop(v, &i->rec.xattr,
			       (struct cow_shape){ COW_TREE_FILE, i->rec.xattr_depth }, held);
	i->rec.xattr = t.ptr;
	i->rec.xattr_depth = t.depth;
	i->rec.xattr_size = n;
	if (now)
		i->rec.ctime = *now;
	cow_inode_store(i, COW_STORE_NAMES);
	return 0;
}

/* --- looking --- */

/* The list, read under the lock. */
static int list_get(struct cow_inode *i, char **list, u64 *n)
{
	int err;

	cow_lock_read(&i->volume->lock);
	*n = i->rec.xattr_size;
	err = list_read(i, 0, list);
	cow_unlock_read(&i->volume->lock);
	return err;
}

int cow_xattr_get(struct cow_inode *i, const char *name, void *buf, size_t size, size_t *len)
{
	struct cow_xattr *x;
	char *list;
	u64 n;
	int err;

	if (!READ_ONCE(i->rec.xattr_size))
		return -ENODATA;
	err = list_get(i, &list, &n);
	if (err)
		return err;
	x = entry_find(list, n, name, &err);
	if (!err && !x)
		err = -ENODATA;
	if (!err && size && x->value_len > size)
		err = -ERANGE;
	if (!err) {
		*len = x->value_len;
		if (size)
			memcpy(buf, x->name + x->name_len, x->value_len);
	}
	cow_free(list);
	return err;
}

int cow_xattr_list(struct cow_inode *i, char *buf, size_t size, size_t *len)
{
	struct cow_xattr *x;
	u64 n, at = 0;
	char *list;
	int err;

	*len = 0;
	if (!READ_ONCE(i->rec.xattr_size))
		return 0;
	err = list_get(i, &list, &n);
	if (err)
		return err;
	while (!err && (x = entry_next(list, n, &at, &err))) {
		if (size && *len + x->name_len + 1 > size) {
			err = -ERANGE;
			break;
		}
		if (size) {
			memcpy(buf + *len, x->name, x->name_len);
			buf[*len + x->name_len] = '\0';
		}
		*len += x->name_len + 1;
	}
	cow_free(list);
	return err;
}

/* --- changing --- */

/* The new tree; the table's path; the old tree is dropped as a whole. */
#define CHANGE_BLOCKS (XATTR_BLOCKS + 2 + 2 * COW_TREE_PATH_BLOCKS)

static int change_begin(struct cow_inode *i, u32 flags, struct cow_op *op)
{
	int err = cow_op_begin(i->volume, CHANGE_BLOCKS, flags, op);

	if (err)
		return err;
	err = cow_inode_prepare(i);
	if (err)
		cow_op_end(op);
	return err;
}

static int set_in(struct cow_inode *i, char *list, const char *name, const void *value, size_t n,
		  int flags, const struct cow_time *now)
{
	u64 size = i->rec.xattr_size;
	int err = 0;
	struct cow_xattr *old = entry_find(list, size, name, &err);

	if (err)
		return err;
	if (old && flags & XATTR_CREATE)
		return -EEXIST;
	if (!old && flags & XATTR_REPLACE)
		return -ENODATA;
	if (old)
		size = entry_remove(list, size, old);
	if (size + entry_size(strlen(name), n) > COW_XATTR_MAX)
		return -ENOSPC;
	size = entry_append(list, size, name, value, n);
	return list_write(i, list, size, now);
}

int cow_xattr_set(struct cow_inode *i, const char *name, const void *value, size_t n, int flags,
		  const struct cow_time *now)
{
	size_t len = strlen(name);
	struct cow_op op;
	char *list;
	int err;

	if (!len || len > COW_NAME_MAX)
		return -ERANGE;
	if (n > COW_XATTR_MAX)
		return -E2BIG;
	err = change_begin(i, 0, &op);
	if (err)
		return err;
	err = list_read(i, entry_size(len, n), &list);
	if (!err) {
		err = set_in(i, list, name, value, n, flags, now);
		cow_free(list);
	}
	cow_op_end(&op);
	return err;
}

int cow_xattr_remove(struct cow_inode *i, const char *name, const struct cow_time *now)
{
	struct cow_xattr *x;
	struct cow_op op;
	char *list;
	int err = change_begin(i, COW_OP_FREES, &op);

	if (err)
		return err;
	err = list_read(i, 0, &list);
	if (!err) {
		x = entry_find(list, i->rec.xattr_size, name, &err);
		if (!err)
			err = x ? list_write(i, list, entry_remove(list, i->rec.xattr_size, x), now)
				: -ENODATA;
		cow_free(list);
	}
	cow_op_end(&op);
	return err;
}
