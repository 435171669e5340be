/* SPDX-License-Identifier: MIT */
/*
 * lock_records.h - the ranges of a file that are locked, and by whom.
 *
 * Records of one owner do not overlap, and neighbours of one kind are one record. Each
 * record stands in two trees: by place, where those that overlap a range are found in
 * O(log n) each, and by owner, where one owner's stand in order. The caller, locks.c,
 * has a sleeping lock around each set: what says so lets others run meanwhile.
 */
#ifndef FS_LOCK_RECORDS_H
#define FS_LOCK_RECORDS_H

#include "lib/tree.h"

struct owner; /* core/owner.h: a container */

struct lock_record {
	struct tree_node place, own;
	u64 start, end;	       /* inclusive */
	u64 reach, reach_excl; /* behind the largest end below here, of all and of exclusive ones */
	const void *owner;     /* fd_table, or file */
	bool exclusive, ofd;
	u32 pid;	    /* for F_GETLK */
	struct owner *home; /* where that pid counts */
};

struct lock_records {
	struct tree by_place, by_owner;
};

void lock_records_init(struct lock_records *s);
/* One of another owner that `want` cannot be beside, or NULL. Others may run. */
struct lock_record *lock_records_conflict(const struct lock_records *s,
					  const struct lock_record *want);
/* The first of an owner's that ends at `from` or later, or NULL. */
struct lock_record *lock_records_of(const struct lock_records *s, const void *owner, u64 from);
/*
 * Takes the range of `want` away from its owner's. May use *spare, for the end of one that splits.
 * Others may run.
 */
void lock_records_clear(struct lock_records *s, const struct lock_record *want,
			struct lock_record **spare);
/* Puts r there, which overlaps none of its owner's; neighbours of its kind become part of it. */
void lock_records_add(struct lock_records *s, struct lock_record *r);
/* Removes all of an owner's; true: there were some. Others may run. */
bool lock_records_drop_owner(struct lock_records *s, const void *owner);

struct lock_record *lock_record_alloc(void);  /* NULL: no memory */
void lock_record_free(struct lock_record *r); /* takes NULL */

#endif
