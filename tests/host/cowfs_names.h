/* SPDX-License-Identifier: MIT */
/*
 * cowfs_names.h - names in a directory, for tests that make and remove them; and a check that the
 * tree of a directory is right.
 */
#ifndef COWFS_NAMES_H
#define COWFS_NAMES_H

#include "cowfs_fixture.h"
#include "fs/cowfs/dirblock.h"

static inline int lookup(struct cow_inode *dir, const char *name, u64 *ino)
{
	return cow_lookup(dir, name, strlen(name), ino);
}

static inline int make(struct cow_inode *dir, const char *name, u32 mode)
{
	struct cow_new n = { .mode = mode, .now = now };
	struct cow_inode *i;
	int err = cow_create(dir, name, strlen(name), &n, &i);

	if (!err)
		cow_inode_put(i);
	return err;
}

static inline int take(struct cow_inode *dir, const char *name)
{
	struct cow_inode *i;
	u64 ino;
	int err = lookup(dir, name, &ino);

	if (err)
		return err;
	must_do(cow_inode_get(dir->volume, ino, &i));
	err = cow_unlink(dir, name, strlen(name), i, &now);
	cow_inode_put(i);
	return err;
}

/* --- a tree that is right --- */

static inline u64 check_block(struct cow_fs *fs, const struct cow_ptr *p, unsigned level, u64 low,
			      u64 high, bool root)
{
	struct cow_buf *b;
	u64 n = 0;

	must_do(cow_buf_read(fs, p, (struct cow_shape){ COW_TREE_DIR, level }, &b));
	if (!level) {
		struct cow_dir_leaf *l = b->data;

		must_do(cow_leaf_check(l));
		must(l->count || root);
		for (unsigned i = 0; i < l->count; i++) {
			struct cow_dirent *e = cow_leaf_entry(l, i);

			must(e->key >= low && e->key < high);
			must((e->key & ~COW_DIR_KEY_CLASH) ==
			     cow_dir_base(fs->super.name_seed, e->name, e->name_len));
		}
		n = l->count;
	} else {
		struct cow_dir_node *d = b->data;

		must_do(cow_node_check(d));
		must_be(d->key[0], 0);
		for (unsigned i = 0; i < d->count; i++)
			n += check_block(fs, &d->ptr[i], level - 1, i ? d->key[i] : low,
					 i + 1 < d->count ? d->key[i + 1] : high, false);
	}
	cow_buf_put(b);
	return n;
}

static inline void check_dir(struct cow_inode *dir)
{
	u64 n = 0, ino;

	(void)lookup(dir, "any", &ino); /* brings the sum of the root up to date */
	if (dir->rec.root.addr)
		n = check_block(dir->volume->fs, &dir->rec.root, dir->rec.depth, 0, ~0ull,
				!dir->rec.depth);
	must_be(n, dir->rec.size);
}

/* Many names around, so that paths are deep and splits happen now and then. */
static inline void crowd(struct cow_inode *dir, unsigned n)
{
	char name[80];

	for (unsigned k = 0; k < n; k++) {
		snprintf(name, sizeof(name), "%064u", k);
		must_do(make(dir, name, FILE_MODE));
	}
}

#endif
