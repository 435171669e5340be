/* SPDX-License-Identifier: MIT */
/*
 * dirblock.h - the two sorts of blocks of a directory (format.h), one at a time:
 * looking with every bound checked, since what the disk holds is not trusted,
 * and the changes of a block that was checked as a whole.
 */
#ifndef COWFS_DIRBLOCK_H
#define COWFS_DIRBLOCK_H

#include "fs/cowfs/format.h"
#include "fs/cowfs/platform.h"

#define COW_LEAF_ROOM	   (COW_BLOCK - 16u) /* for entries and their offsets */
#define COW_LEAF_COUNT_MAX (COW_LEAF_ROOM / (32u + 2u))

static inline unsigned cow_dirent_bytes(size_t name_len)
{
	return ALIGN_UP((unsigned)(sizeof(struct cow_dirent) + name_len), 8u);
}

/* Where the keys of names with this one's hash begin. */
static inline u64 cow_dir_base(u64 seed, const char *name, size_t len)
{
	u64 base = cow_name_hash(seed, name, len) & ~COW_DIR_KEY_CLASH;

	return MAX(base, COW_DIR_KEY_MIN);
}

static inline u16 *cow_leaf_offset(const struct cow_dir_leaf *l, unsigned i)
{
	return (u16 *)((u8 *)l + COW_BLOCK) - 1 - i;
}

/* The i-th entry; NULL: it would not lie within the block. */
static inline struct cow_dirent *cow_leaf_entry(const struct cow_dir_leaf *l, unsigned i)
{
	struct cow_dirent *e;
	unsigned offset, end;

	if (i >= l->count || l->count > COW_LEAF_COUNT_MAX)
		return NULL;
	offset = *cow_leaf_offset(l, i);
	end = COW_BLOCK - 2u * l->count;
	if (offset < 16 || offset % 8 || offset + sizeof(*e) > end)
		return NULL;
	e = (struct cow_dirent *)((u8 *)l + offset);
	if (!e->name_len || e->name_len > COW_NAME_MAX ||
	    offset + cow_dirent_bytes(e->name_len) > end)
		return NULL;
	return e;
}

static inline bool cow_node_sane(const struct cow_dir_node *n)
{
	return n->count && n->count <= COW_DIR_FANOUT;
}

/* Which child the key is in. The node is sane; key[0] bounds nothing. */
static inline unsigned cow_node_search(const struct cow_dir_node *n, u64 key)
{
	unsigned low = 0, high = n->count;

	while (high - low > 1) {
		unsigned mid = (low + high) / 2;

		if (n->key[mid] <= key)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* The first entry with a key >= key: *at <= count. -EIO: the leaf is corrupt. */
int cow_leaf_search(const struct cow_dir_leaf *l, u64 key, unsigned *at);
/* All that the format asks of one block: 0 or -EIO. */
int cow_leaf_check(const struct cow_dir_leaf *l);
int cow_node_check(const struct cow_dir_node *n);

/* Changes, of blocks that were checked. */
static inline bool cow_leaf_fits(const struct cow_dir_leaf *l, size_t name_len)
{
	return l->used + 2u * l->count + cow_dirent_bytes(name_len) + 2u <= COW_LEAF_ROOM;
}
/* It fits. */
struct cow_dirent *cow_leaf_insert(struct cow_dir_leaf *l, unsigned at, u64 key, const char *name,
				   size_t len);
void cow_leaf_remove(struct cow_dir_leaf *l, unsigned at);
/* Moves the upper half to `right`, which is empty; where `right` begins. */
u64 cow_leaf_split(struct cow_dir_leaf *l, struct cow_dir_leaf *right);
void cow_node_insert(struct cow_dir_node *n, unsigned at, u64 key, const struct cow_ptr *p);
void cow_node_remove(struct cow_dir_node *n, unsigned at);
u64 cow_node_split(struct cow_dir_node *n, struct cow_dir_node *right);

#endif
