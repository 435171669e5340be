/* SPDX-License-Identifier: MIT */
/*
 * tree.c - red-black trees (Cormen, Leiserson, Rivest, Stein: Introduction to
 * Algorithms, chapter 13), without a sentinel: NULL is a black leaf, so the
 * repair after a removal carries the parent along.
 *
 * Invariants: (1) the root is black; (2) a red node has no red child; (3) every
 * path from a node down to a NULL has the same number of black nodes.
 *
 * Augmentation: a change below some node is made known by tree_update() from
 * the lowest changed node up to the root, before the rotations of the repair.
 * A rotation does not change the set of nodes below the place where it happens,
 * so that it only recomputes the two nodes that it turns.
 */
#include "lib/tree.h"

static inline bool is_red(const struct tree_node *n)
{
	return n && n->red;
}

static inline void augment(struct tree *t, struct tree_node *n)
{
	if (t->augment)
		t->augment(n);
}

void tree_update(struct tree *t, struct tree_node *n)
{
	if (!t->augment)
		return;
	for (; n; n = n->parent)
		t->augment(n);
}

/* Where the pointer to n stands: in its parent or in the tree. */
static inline struct tree_node **link_of(struct tree *t, struct tree_node *n)
{
	if (!n->parent)
		return &t->root;
	return n->parent->left == n ? &n->parent->left : &n->parent->right;
}

/* Puts `with` (may be NULL) where n hangs. */
static void replace(struct tree *t, struct tree_node *n, struct tree_node *with)
{
	*link_of(t, n) = with;
	if (with)
		with->parent = n->parent;
}

/* n goes down to the left, its right child takes its place. */
static void rotate_left(struct tree *t, struct tree_node *n)
{
	struct tree_node *up = n->right;

	n->right = up->left;
	if (n->right)
		n->right->parent = n;
	replace(t, n, up);
	up->left = n;
	n->parent = up;
	augment(t, n);
	augment(t, up);
}

static void rotate_right(struct tree *t, struct tree_node *n)
{
	struct tree_node *up = n->left;

	n->left = up->right;
	if (n->left)
		n->left->parent = n;
	replace(t, n, up);
	up->right = n;
	n->parent = up;
	augment(t, n);
	augment(t, up);
}

/* n is red and its parent may be: moves the conflict up or rotates it away. */
static void repair_insert(struct tree *t, struct tree_node *n)
{
	while (is_red(n->parent)) {
		struct tree_node *parent = n->parent, *grand = parent->parent;
		bool on_left = parent == grand->left;
		struct tree_node *uncle = on_left ? grand->right : grand->left;

		if (is_red(uncle)) {
			parent->red = uncle->red = false;
			grand->red = true;
			n = grand;
			continue;
		}
		if (on_left && n == parent->right) {
			rotate_left(t, parent);
			parent = n;
		} else if (!on_left && n == parent->left) {
			rotate_right(t, parent);
			parent = n;
		}
		parent->red = false;
		grand->red = true;
		if (on_left)
			rotate_right(t, grand);
		else
			rotate_left(t, grand);
		break;
	}
	t->root->red = false;
}

void tree_insert(struct tree *t, struct tree_node *n, struct tree_node *parent,
		 struct tree_node **link)
{
	n->parent = parent;
	n->left = n->right = NULL;
	n->red = true;
	*link = n;
	tree_update(t, n);
	repair_insert(t, n);
}

/*
 * The left subtree of parent (n, may be NULL) is one black node short. Returns
 * where the shortage went (a node to go on with), or NULL when it is gone.
 */
static struct tree_node *repair_left(struct tree *t, struct tree_node *parent)
{
	struct tree_node *sibling = parent->right;

	if (sibling->red) {
		sibling->red = false;
		parent->red = true;
		rotate_left(t, parent);
		sibling = parent->right;
	}
	if (!is_red(sibling->left) && !is_red(sibling->right)) {
		sibling->red = true;
		return parent;
	}
	if (!is_red(sibling->right)) {
		sibling->left->red = false;
		sibling->red = true;
		rotate_right(t, sibling);
		sibling = parent->right;
	}
	sibling->red = parent->red;
	parent->red = false;
	sibling->right->red = false;
	rotate_left(t, parent);
	return NULL;
}

static struct tree_node *repair_right(struct tree *t, struct tree_node *parent)
{
	struct tree_node *sibling = parent->left;

	if (sibling->red) {
		sibling->red = false;
		parent->red = true;
		rotate_right(t, parent);
		sibling = parent->left;
	}
	if (!is_red(sibling->left) && !is_red(sibling->right)) {
		sibling->red = true;
		return parent;
	}
	if (!is_red(sibling->left)) {
		sibling->right->red = false;
		sibling->red = true;
		rotate_left(t, sibling);
		sibling = parent->left;
	}
	sibling->red = parent->red;
	parent->red = false;
	sibling->left->red = false;
	rotate_right(t, parent);
	return NULL;
}

/* The subtree n (may be NULL) below parent lacks a black node. */
static void repair_remove(struct tree *t, struct tree_node *n, struct tree_node *parent)
{
	while (parent && !is_red(n)) {
		n = n == parent->left ? repair_left(t, parent) : repair_right(t, parent);
		if (!n)
			return;
		parent = n->parent;
	}
	if (n)
		n->red = false;
}

/* n has two children: its successor takes its place, colour included. */
static void remove_inner(struct tree *t, struct tree_node *n)
{
	struct tree_node *heir = n->right, *child, *parent;
	bool lost_black;

	while (heir->left)
		heir = heir->left;
	child = heir->right;
	parent = heir->parent == n ? heir : heir->parent;
	lost_black = !heir->red;
	if (parent != heir) {
		replace(t, heir, child);
		heir->right = n->right;
		heir->right->parent = heir;
	}
	replace(t, n, heir);
	heir->left = n->left;
	heir->left->parent = heir;
	heir->red = n->red;
	tree_update(t, parent);
	if (lost_black)
		repair_remove(t, child, parent);
}

void tree_remove(struct tree *t, struct tree_node *n)
{
	if (n->left && n->right) {
		remove_inner(t, n);
		return;
	}
	struct tree_node *child = n->left ? n->left : n->right;

	replace(t, n, child);
	tree_update(t, n->parent);
	if (!n->red)
		repair_remove(t, child, n->parent);
}

struct tree_node *tree_first(const struct tree *t)
{
	struct tree_node *n = t->root;

	while (n && n->left)
		n = n->left;
	return n;
}

struct tree_node *tree_last(const struct tree *t)
{
	struct tree_node *n = t->root;

	while (n && n->right)
		n = n->right;
	return n;
}

struct tree_node *tree_next(const struct tree_node *n)
{
	if (n->right) {
		n = n->right;
		while (n->left)
			n = n->left;
		return (struct tree_node *)n;
	}
	while (n->parent && n == n->parent->right)
		n = n->parent;
	return n->parent;
}

struct tree_node *tree_prev(const struct tree_node *n)
{
	if (n->left) {
		n = n->left;
		while (n->right)
			n = n->right;
		return (struct tree_node *)n;
	}
	while (n->parent && n == n->parent->left)
		n = n->parent;
	return n->parent;
}
