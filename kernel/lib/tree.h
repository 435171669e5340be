/* SPDX-License-Identifier: MIT */
/*
 * tree.h - an intrusive red-black tree (Cormen et al., chapter 13). The caller
 * finds the place (walk from tree->root, remember the parent and the link) and
 * tree_insert() puts the node there and rebalances. `augment`, if the tree has
 * one, recomputes what a node caches about its subtree (say, the largest gap)
 * from the node and its children: it is called bottom-up for each node whose
 * subtree changed; after changing a node's own key data call tree_update().
 */
#ifndef LIB_TREE_H
#define LIB_TREE_H

#include "lib/types.h"

struct tree_node {
	struct tree_node *parent, *left, *right;
	bool red;
};

struct tree {
	struct tree_node *root;
	void (*augment)(struct tree_node *n); /* or NULL */
};

void tree_insert(struct tree *t, struct tree_node *n, struct tree_node *parent,
		 struct tree_node **link);
void tree_remove(struct tree *t, struct tree_node *n);
void tree_update(struct tree *t, struct tree_node *n); /* augment n and all above it */
struct tree_node *tree_first(const struct tree *t);    /* NULL if empty; O(log n) */
struct tree_node *tree_last(const struct tree *t);
struct tree_node *tree_next(const struct tree_node *n); /* NULL at the end */
struct tree_node *tree_prev(const struct tree_node *n);

#endif
