/* SPDX-License-Identifier: MIT */
/* dirblock.c - leaves and nodes of directories, one block at a time (contract: dirblock.h). */
#include "fs/cowfs/dirblock.h"

int cow_leaf_search(const struct cow_dir_leaf *l, u64 key, unsigned *at)
{
	unsigned low = 0, high = l->count;
	const struct cow_dirent *e;

	if (l->count > COW_LEAF_COUNT_MAX)
		return -EIO;
	while (low < high) {
		unsigned mid = (low + high) / 2;

		e = cow_leaf_entry(l, mid);
		if (!e)
			return -EIO;
		if (e->key < key)
			low = mid + 1;
		else
			high = mid;
	}
	*at = low;
	return 0;
}

int cow_leaf_check(const struct cow_dir_leaf *l)
{
	unsigned offset = 16;
	u64 key = COW_DIR_KEY_MIN;

	for (unsigned i = 0; i < l->count; i++) {
		const struct cow_dirent *e = cow_leaf_entry(l, i);

		if (!e || *cow_leaf_offset(l, i) != offset || e->key < key)
			return -EIO;
		if (memchr(e->name, '/', e->name_len) || memchr(e->name, 0, e->name_len))
			return -EIO;
		offset += cow_dirent_bytes(e->name_len);
		key = e->key + 1;
	}
	return l->used == offset - 16 && l->used + 2u * l->count <= COW_LEAF_ROOM ? 0 : -EIO;
}

int cow_node_check(const struct cow_dir_node *n)
{
	if (!cow_node_sane(n))
		return -EIO;
	for (unsigned i = 1; i < n->count; i++)
		if (n->key[i] <= (i > 1 ? n->key[i - 1] : 0))
			return -EIO;
	return 0;
}

/* --- leaves --- */

/* The entries from `at` on lie `by` bytes further on now. */
static void shift_offsets(struct cow_dir_leaf *l, unsigned at, int by)
{
	for (unsigned i = at; i < l->count; i++)
		*cow_leaf_offset(l, i) += by;
}

static unsigned offset_of(const struct cow_dir_leaf *l, unsigned at)
{
	return at < l->count ? *cow_leaf_offset(l, at) : 16u + l->used;
}

struct cow_dirent *cow_leaf_insert(struct cow_dir_leaf *l, unsigned at, u64 key, const char *name,
				   size_t len)
{
	unsigned bytes = cow_dirent_bytes(len), offset = offset_of(l, at);
	struct cow_dirent *e = (struct cow_dirent *)((u8 *)l + offset);

	COW_BUG_ON(!cow_leaf_fits(l, len) || at > l->count);
	memmove((u8 *)e + bytes, e, 16u + l->used - offset);
	shift_offsets(l, at, bytes);
	/* offsets grow downwards: those behind `at` move to lower addresses */
	memmove(cow_leaf_offset(l, l->count), cow_leaf_offset(l, l->count) + 1,
		2u * (l->count - at));
	*cow_leaf_offset(l, at) = offset;
	l->count++;
	l->used += bytes;
	memset(e, 0, bytes);
	e->key = key;
	e->name_len = len;
	memcpy(e->name, name, len);
	return e;
}

void cow_leaf_remove(struct cow_dir_leaf *l, unsigned at)
{
	unsigned offset = offset_of(l, at), next = offset_of(l, at + 1), bytes = next - offset;

	COW_BUG_ON(at >= l->count);
	memmove((u8 *)l + offset, (u8 *)l + next, 16u + l->used - next);
	memset((u8 *)l + 16 + l->used - bytes, 0, bytes);
	memmove(cow_leaf_offset(l, l->count - 2), cow_leaf_offset(l, l->count - 1),
		2u * (l->count - 1 - at));
	*cow_leaf_offset(l, l->count - 1) = 0;
	l->count--;
	l->used -= bytes;
	shift_offsets(l, at, -(int)bytes);
}

u64 cow_leaf_split(struct cow_dir_leaf *l, struct cow_dir_leaf *right)
{
	unsigned at = 1, count = l->count, offset, bytes;

	while (at < count - 1 && offset_of(l, at) - 16u < l->used / 2u)
		at++;
	offset = offset_of(l, at);
	bytes = 16u + l->used - offset;
	memcpy(right->data, (u8 *)l + offset, bytes);
	right->count = count - at;
	right->used = bytes;
	for (unsigned i = at; i < count; i++)
		*cow_leaf_offset(right, i - at) = *cow_leaf_offset(l, i) - offset + 16u;
	memset((u8 *)l + offset, 0, bytes);
	memset(cow_leaf_offset(l, count - 1), 0, 2u * (count - at));
	l->count = at;
	l->used -= bytes;
	return cow_leaf_entry(right, 0)->key;
}

/* --- nodes --- */

void cow_node_insert(struct cow_dir_node *n, unsigned at, u64 key, const struct cow_ptr *p)
{
	COW_BUG_ON(n->count >= COW_DIR_FANOUT || at > n->count);
	memmove(&n->key[at + 1], &n->key[at], (n->count - at) * sizeof(n->key[0]));
	memmove(&n->ptr[at + 1], &n->ptr[at], (n->count - at) * sizeof(n->ptr[0]));
	n->key[at] = at ? key : 0;
	n->ptr[at] = *p;
	n->count++;
}

void cow_node_remove(struct cow_dir_node *n, unsigned at)
{
	COW_BUG_ON(at >= n->count);
	n->count--;
	memmove(&n->key[at], &n->key[at + 1], (n->count - at) * sizeof(n->key[0]));
	memmove(&n->ptr[at], &n->ptr[at + 1], (n->count - at) * sizeof(n->ptr[0]));
	n->key[n->count] = 0;
	n->ptr[n->count] = (struct cow_ptr){ 0 };
	n->key[0] = 0;
}

u64 cow_node_split(struct cow_dir_node *n, struct cow_dir_node *right)
{
	unsigned left = n->count / 2, rest = n->count - left;
	u64 key = n->key[left];

	memcpy(right->key, &n->key[left], rest * sizeof(n->key[0]));
	memcpy(right->ptr, &n->ptr[left], rest * sizeof(n->ptr[0]));
	memset(&n->key[left], 0, rest * sizeof(n->key[0]));
	memset(&n->ptr[left], 0, rest * sizeof(n->ptr[0]));
	right->key[0] = 0;
	right->count = rest;
	n->count = left;
	return key;
}
