/* SPDX-License-Identifier: MIT */
/*
 * gaptree.h - disjoint ranges of addresses in a tree that also knows the holes
 * between them: finding a range by address and a hole by size are O(log n).
 * Each node knows the hole directly below it and the largest such hole in its
 * subtree. The owner locks.
 */
#ifndef MM_GAPTREE_H
#define MM_GAPTREE_H

#include "lib/tree.h"

struct gap_node {
	struct tree_node node;
	u64 start, end; /* [start, end) */
	u64 gap;	/* bytes between the range below (or 0) and start */
	u64 max_gap;	/* the largest gap in this subtree */
};

void gap_tree_init(struct tree *t);
void gap_insert(struct tree *t, struct gap_node *n); /* overlaps nothing */
void gap_remove(struct tree *t, struct gap_node *n);
/* Changes a range in place: it must not pass a neighbour. */
void gap_resize(struct tree *t, struct gap_node *n, u64 start, u64 end);
/* The range that holds `at`, or the first above it; NULL. */
struct gap_node *gap_find(const struct tree *t, u64 at);
struct gap_node *gap_next(const struct gap_node *n);
struct gap_node *gap_prev(const struct gap_node *n);
struct gap_node *gap_first(const struct tree *t);
/* The highest place for `size` bytes in [low, high): 0 or -ENOMEM. */
int gap_search_down(const struct tree *t, u64 low, u64 high, u64 size, u64 *out);

#endif
