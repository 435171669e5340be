/* SPDX-License-Identifier: MIT */
/*
 * radix.h - a radix tree from u64 to pointer, 64 ways a level, as deep as its
 * largest index needs; a tree with nothing but an entry at index 0 needs no node
 * at all, one with nothing beyond index 7 a small one. Entries are pointers to
 * something aligned (bit 0 is clear). Writers hold the owner's lock; radix_get()
 * and radix_next() may also run under RCU alone (nodes are freed after a grace
 * period). Used for the page cache, descriptors of ids, and pid tables: idmap_*
 * adds "lowest free index".
 */
#ifndef LIB_RADIX_H
#define LIB_RADIX_H

#include "lib/types.h"

struct radix_node;

struct radix {
	void *root; /* NULL: empty; bit 0 set: a node; else: the entry at index 0 */
	u64 count;  /* entries */
};

void radix_init(struct radix *r);
void *radix_get(const struct radix *r, u64 index); /* NULL: nothing there */
/* Stores a non-NULL entry where none is: -EEXIST, -ENOMEM (nodes are charged as slab is). */
int radix_insert(struct radix *r, u64 index, void *entry);
void *radix_remove(struct radix *r, u64 index);		      /* what was there, or NULL */
void *radix_replace(struct radix *r, u64 index, void *entry); /* in place of a present one */
/* The first entry at or after *index; sets *index to where it stands. NULL: none. */
void *radix_next(const struct radix *r, u64 *index);
/* The first index in [from, to] without an entry; `to` + 1 if there is none. The owner's lock. */
u64 radix_next_free(const struct radix *r, u64 from, u64 to);
void radix_destroy(struct radix *r); /* frees the nodes; entries must be gone or unowned */

/* Ids from `min` to `max` inclusive, never reused before wrap: the search starts after the last. */
struct idmap {
	struct radix ids;
	u64 min, max, last;
};

void idmap_init(struct idmap *m, u64 min, u64 max);
/* Takes a free id for entry: -ENOSPC if all are taken, -ENOMEM. */
int idmap_alloc(struct idmap *m, void *entry, u64 *id);
/* Takes this one; those that are found later are behind it. -EEXIST, -ENOMEM. */
int idmap_take(struct idmap *m, void *entry, u64 id);

#endif
