/* SPDX-License-Identifier: MIT */
/* gaptree.c - see gaptree.h. A node's gap is kept right by whoever changes the range below. */
#include "mm/gaptree.h"
#include "core/errno.h"

#define NODE(p) container_of(p, struct gap_node, node)

static inline u64 max_gap_of(const struct tree_node *n)
{
	return n ? NODE(n)->max_gap : 0;
}

static void gap_augment(struct tree_node *t)
{
	struct gap_node *n = NODE(t);
	u64 below = MAX(max_gap_of(t->left), max_gap_of(t->right));

	n->max_gap = MAX(n->gap, below);
}

void gap_tree_init(struct tree *t)
{
	t->root = NULL;
	t->augment = gap_augment;
}

struct gap_node *gap_next(const struct gap_node *n)
{
	struct tree_node *t = tree_next(&n->node);
	return t ? NODE(t) : NULL;
}

struct gap_node *gap_prev(const struct gap_node *n)
{
	struct tree_node *t = tree_prev(&n->node);
	return t ? NODE(t) : NULL;
}

struct gap_node *gap_first(const struct tree *t)
{
	struct tree_node *n = tree_first(t);
	return n ? NODE(n) : NULL;
}

static void gap_set(struct tree *t, struct gap_node *n, u64 gap)
{
	if (n->gap == gap)
		return;
	n->gap = gap;
	tree_update(t, &n->node);
}

void gap_insert(struct tree *t, struct gap_node *n)
{
	struct tree_node **link = &t->root, *parent = NULL;
	struct gap_node *below = NULL, *above = NULL;

	while (*link) {
		parent = *link;
		if (n->start < NODE(parent)->start) {
			above = NODE(parent);
			link = &parent->left;
		} else {
			below = NODE(parent);
			link = &parent->right;
		}
	}
	n->gap = n->start - (below ? below->end : 0);
	n->max_gap = n->gap;
	tree_insert(t, &n->node, parent, link);
	if (above)
		gap_set(t, above, above->start - n->end);
}

void gap_remove(struct tree *t, struct gap_node *n)
{
	struct gap_node *above = gap_next(n);
	u64 from = n->start - n->gap;

	tree_remove(t, &n->node);
	if (above)
		gap_set(t, above, above->start - from);
}

void gap_resize(struct tree *t, struct gap_node *n, u64 start, u64 end)
{
	u64 from = n->start - n->gap;

	if (end != n->end) {
		struct gap_node *above = gap_next(n);
		n->end = end;
		if (above)
			gap_set(t, above, above->start - end);
	}
	n->start = start;
	gap_set(t, n, start - from);
}

struct gap_node *gap_find(const struct tree *t, u64 at)
{
	struct tree_node *p = t->root;
	struct gap_node *best = NULL;

	while (p) {
		if (at < NODE(p)->end) {
			best = NODE(p);
			if (at >= best->start)
				break;
			p = p->left;
		} else {
			p = p->right;
		}
	}
	return best;
}

/* The hole below n, cut to [low, high): does it hold `size`? */
static bool gap_fits(const struct gap_node *n, u64 low, u64 high, u64 size, u64 *from, u64 *to)
{
	*from = MAX(n->start - n->gap, low);
	*to = MIN(n->start, high);
	return *to > *from && *to - *from >= size;
}

int gap_search_down(const struct tree *t, u64 low, u64 high, u64 size, u64 *out)
{
	struct tree_node *last = tree_last(t), *p = t->root;
	u64 from, to;

	/* The hole above the last range is below no node. */
	from = MAX(last ? NODE(last)->end : 0, low);
	if (high > from && high - from >= size) {
		*out = high - size;
		return 0;
	}
	/* The rightmost node whose hole begins below `high` and is large enough. */
	while (p && max_gap_of(p) >= size) {
		struct gap_node *n = NODE(p);
		if (n->start - n->gap < high && max_gap_of(p->right) >= size) {
			p = p->right;
			continue;
		}
		for (;;) {
			n = NODE(p);
			if (n->end <= low)
				return -ENOMEM;
			if (gap_fits(n, low, high, size, &from, &to)) {
				*out = to - size;
				return 0;
			}
			if (max_gap_of(p->left) >= size) {
				p = p->left;
				break;
			}
			/* Up to the first ancestor that we hang right of. */
			while (p->parent && p->parent->left == p)
				p = p->parent;
			p = p->parent;
			if (!p)
				return -ENOMEM;
		}
	}
	return -ENOMEM;
}
