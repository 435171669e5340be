/* SPDX-License-Identifier: MIT */
/*
 * radix.c - the radix tree (lib/radix.h).
 *
 * A node at `shift` s has 64 slots, each for 2^s indexes: slots of nodes with
 * shift 0 hold entries, the others nodes. The root pointer says by its bit 0
 * what it is, and a node knows its own shift, so that a reader without a lock
 * needs one load to have a consistent idea of the tree's height. A tree with
 * nothing beyond index 7 has a small root, with 8 slots: most trees are the pids
 * of a small container or the pages of a small file. A full one takes its place
 * at the first larger index, until the last such index is gone.
 *
 * Invariants: (1) a node has at least one used slot, and `used` counts them;
 * (2) the root node has something beyond slot 0, else it would not be there;
 * (3) a node is complete before a pointer to it is stored (release), and what
 * it holds stays readable until a grace period after it was unlinked.
 */
#include "lib/radix.h"

#include "core/errno.h"
#include "core/printk.h"
#include "core/rcu.h"
#include "lib/string.h"
#include "mm/slab.h"

#define RADIX_BITS   6
#define RADIX_WAYS   64u
#define RADIX_LEVELS 11 /* 6 * 11 >= 64 */
#define SMALL_WAYS   8u

struct radix_node {
	u32 shift;
	u16 used;
	u16 ways; /* RADIX_WAYS; or SMALL_WAYS: a root, with shift 0 */
	struct rcu_head rcu;
	void *slot[];
};

static struct slab_cache *node_cache, *small_cache;

static size_t node_size(unsigned ways)
{
	return sizeof(struct radix_node) + ways * sizeof(void *);
}

static struct radix_node *node_alloc(unsigned shift, unsigned ways)
{
	struct radix_node *n;

	if (unlikely(!node_cache)) { /* the first insert of all happens at boot, on one CPU */
		small_cache = slab_cache_create("radix_small", node_size(SMALL_WAYS), 0,
						SLAB_ACCOUNT | SLAB_ZERO);
		node_cache = slab_cache_create("radix_node", node_size(RADIX_WAYS), 0,
					       SLAB_ACCOUNT | SLAB_ZERO);
	}
	n = slab_alloc(ways == SMALL_WAYS ? small_cache : node_cache);
	if (n) {
		n->shift = shift;
		n->ways = ways;
	}
	return n;
}

static void node_free_rcu(struct rcu_head *h)
{
	struct radix_node *n = container_of(h, struct radix_node, rcu);

	slab_free(n->ways == SMALL_WAYS ? small_cache : node_cache, n);
}

static void node_free(struct radix_node *n)
{
	rcu_call(&n->rcu, node_free_rcu);
}

static inline bool is_node(const void *root)
{
	return (u64)root & 1;
}

static inline struct radix_node *to_node(void *root)
{
	return (struct radix_node *)((u64)root & ~1ull);
}

static inline void *from_node(struct radix_node *n)
{
	return (void *)((u64)n | 1);
}

/* Does index lie within what n covers? (64 << 60 would overflow: shift 60 covers all.) */
static inline bool covers(const struct radix_node *n, u64 index)
{
	return index >> n->shift < n->ways;
}

static inline unsigned slot_of(const struct radix_node *n, u64 index)
{
	return index >> n->shift & (RADIX_WAYS - 1);
}

void radix_init(struct radix *r)
{
	r->root = NULL;
	r->count = 0;
}

/* The place of index, if the tree has a leaf for it; NULL otherwise. */
static void **radix_place(const struct radix *r, u64 index)
{
	void *root = __atomic_load_n(&r->root, __ATOMIC_CONSUME);
	struct radix_node *n;

	if (!is_node(root))
		return index || !root ? NULL : (void **)&r->root;
	n = to_node(root);
	if (!covers(n, index))
		return NULL;
	while (n->shift) {
		n = __atomic_load_n(&n->slot[slot_of(n, index)], __ATOMIC_CONSUME);
		if (!n)
			return NULL;
	}
	return &n->slot[index % RADIX_WAYS];
}

void *radix_get(const struct radix *r, u64 index)
{
	void *root = __atomic_load_n(&r->root, __ATOMIC_CONSUME);
	struct radix_node *n;

	if (!is_node(root))
		return index ? NULL : root;
	n = to_node(root);
	if (!covers(n, index))
		return NULL;
	while (n->shift) {
		n = __atomic_load_n(&n->slot[slot_of(n, index)], __ATOMIC_CONSUME);
		if (!n)
			return NULL;
	}
	return __atomic_load_n(&n->slot[index % RADIX_WAYS], __ATOMIC_CONSUME);
}

/* A new root, above what is there: -ENOMEM. */
static int radix_put_root(struct radix *r, unsigned shift, unsigned ways)
{
	struct radix_node *n = node_alloc(shift, ways);

	if (!n)
		return -ENOMEM;
	if (r->root) {
		n->slot[0] = is_node(r->root) ? to_node(r->root) : r->root;
		n->used = 1;
	}
	__atomic_store_n(&r->root, from_node(n), __ATOMIC_RELEASE);
	return 0;
}

/* A full root in the place of the small one, for readers still a while beside it: -ENOMEM. */
static int radix_grow_small(struct radix *r)
{
	struct radix_node *old = to_node(r->root), *n = node_alloc(0, RADIX_WAYS);

	if (!n)
		return -ENOMEM;
	memcpy(n->slot, old->slot, sizeof(n->slot[0]) * SMALL_WAYS);
	n->used = old->used;
	__atomic_store_n(&r->root, from_node(n), __ATOMIC_RELEASE);
	node_free(old);
	return 0;
}

/* Makes new roots until the tree covers index: -ENOMEM, the tree is then as good as before. */
static int radix_grow(struct radix *r, u64 index)
{
	int err = 0;

	if (!is_node(r->root) && index < SMALL_WAYS)
		return radix_put_root(r, 0, SMALL_WAYS);
	while (!err && (!is_node(r->root) || !covers(to_node(r->root), index))) {
		unsigned shift = 0;

		if (is_node(r->root) && to_node(r->root)->ways == SMALL_WAYS) {
			err = radix_grow_small(r);
			continue;
		}
		if (is_node(r->root))
			shift = to_node(r->root)->shift + RADIX_BITS;
		else if (!r->root) /* empty: at once as high as needed */
			while (index >> shift >= RADIX_WAYS)
				shift += RADIX_BITS;
		err = radix_put_root(r, shift, RADIX_WAYS);
	}
	return err;
}

/* Takes away empty nodes on the path to index, and roots with nothing beyond slot 0. */
static void radix_trim(struct radix *r, u64 index)
{
	struct radix_node *path[RADIX_LEVELS], *n;
	unsigned depth = 0;

	for (n = is_node(r->root) ? to_node(r->root) : NULL; n; depth++) {
		path[depth] = n;
		n = n->shift ? n->slot[slot_of(n, index)] : NULL;
	}
	while (depth-- && !path[depth]->used) {
		if (depth) {
			n = path[depth - 1];
			WRITE_ONCE(n->slot[slot_of(n, index)], NULL);
			n->used--;
		} else {
			WRITE_ONCE(r->root, NULL);
		}
		node_free(path[depth]);
	}
	while (is_node(r->root)) {
		n = to_node(r->root);
		if (n->used > 1 || !n->slot[0])
			return;
		rcu_assign(r->root, n->shift ? from_node(n->slot[0]) : n->slot[0]);
		node_free(n);
	}
}

/* The leaf for index, with the nodes on the way to it: NULL if out of memory. */
static struct radix_node *radix_extend(struct radix *r, u64 index)
{
	struct radix_node *n, *child;

	if (radix_grow(r, index))
		return NULL;
	for (n = to_node(r->root); n->shift; n = child) {
		void **slot = &n->slot[slot_of(n, index)];

		child = *slot;
		if (child)
			continue;
		child = node_alloc(n->shift - RADIX_BITS, RADIX_WAYS);
		if (!child)
			return NULL;
		__atomic_store_n(slot, child, __ATOMIC_RELEASE);
		n->used++;
	}
	return n;
}

int radix_insert(struct radix *r, u64 index, void *entry)
{
	struct radix_node *leaf;
	void **slot;

	ASSERT(entry && !((u64)entry & 1));
	if (!index && !is_node(r->root)) {
		if (r->root)
			return -EEXIST;
		rcu_assign(r->root, entry);
		r->count++;
		return 0;
	}
	leaf = radix_extend(r, index);
	if (!leaf) {
		radix_trim(r, index);
		return -ENOMEM;
	}
	slot = &leaf->slot[index % RADIX_WAYS];
	if (*slot)
		return -EEXIST;
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
	leaf->used++;
	r->count++;
	return 0;
}

/* A small root again if that holds all that is left, and there is memory for it. */
static void radix_shrink(struct radix *r)
{
	struct radix_node *old = to_node(r->root), *n;
	unsigned low = 0;

	for (unsigned i = 0; i < SMALL_WAYS; i++)
		low += !!old->slot[i];
	if (low != old->used)
		return;
	n = node_alloc(0, SMALL_WAYS);
	if (!n)
		return;
	memcpy(n->slot, old->slot, sizeof(n->slot[0]) * SMALL_WAYS);
	n->used = old->used;
	__atomic_store_n(&r->root, from_node(n), __ATOMIC_RELEASE);
	node_free(old);
}

void *radix_remove(struct radix *r, u64 index)
{
	void **place = radix_place(r, index), *old;
	struct radix_node *leaf;

	if (!place || !*place)
		return NULL;
	old = *place;
	WRITE_ONCE(*place, NULL);
	r->count--;
	if (place == &r->root)
		return old;
	leaf = container_of(place - index % RADIX_WAYS, struct radix_node, slot[0]);
	leaf->used--;
	if (leaf->used > SMALL_WAYS)
		return old;
	if (leaf->used <= 1) /* else neither the leaf nor a root above it can go */
		radix_trim(r, index);
	if (is_node(r->root) && !to_node(r->root)->shift && to_node(r->root)->ways != SMALL_WAYS)
		radix_shrink(r);
	return old;
}

void *radix_replace(struct radix *r, u64 index, void *entry)
{
	void **place = radix_place(r, index), *old;

	ASSERT(entry && !((u64)entry & 1));
	BUG_IF(!place || !*place, "index=%lu", index);
	old = *place;
	__atomic_store_n(place, entry, __ATOMIC_RELEASE);
	return old;
}

/*
 * From the root to the first used slot at or after *index. Returns the entry;
 * or NULL with *index moved to where the search goes on (0: nowhere, the end).
 */
static void *radix_step(struct radix_node *n, u64 *index)
{
	for (;;) {
		unsigned i = slot_of(n, *index);
		void *p = __atomic_load_n(&n->slot[i], __ATOMIC_CONSUME);

		while (!p && ++i < n->ways)
			p = __atomic_load_n(&n->slot[i], __ATOMIC_CONSUME);
		if (i !=
		    slot_of(n, *index)) /* the start of slot i, or of the next node (wraps to 0) */
			*index = ((*index >> n->shift) - slot_of(n, *index) + i) << n->shift;
		if (!p || !n->shift)
			return p;
		n = p;
	}
}

void *radix_next(const struct radix *r, u64 *index)
{
	void *root = __atomic_load_n(&r->root, __ATOMIC_CONSUME), *entry;

	if (!is_node(root))
		return *index ? NULL : root;
	do {
		if (!covers(to_node(root), *index))
			return NULL;
		entry = radix_step(to_node(root), index);
	} while (!entry && *index);
	return entry;
}

static void radix_free_below(struct radix_node *n)
{
	if (n->shift)
		for (unsigned i = 0; i < RADIX_WAYS; i++)
			if (n->slot[i])
				radix_free_below(n->slot[i]);
	node_free(n);
}

void radix_destroy(struct radix *r)
{
	void *root = r->root;

	radix_init(r);
	if (is_node(root))
		radix_free_below(to_node(root));
}

void idmap_init(struct idmap *m, u64 min, u64 max)
{
	radix_init(&m->ids);
	m->min = min;
	m->max = max;
	m->last = max; /* the first id is min */
}

u64 radix_next_free(const struct radix *r, u64 from, u64 to)
{
	while (from <= to) {
		void **place = radix_place(r, from);
		struct radix_node *leaf;

		if (!place || !*place)
			return from;
		if (place == &r->root) {
			from++;
			continue;
		}
		leaf = container_of(place - from % RADIX_WAYS, struct radix_node, slot[0]);
		if (leaf->used == leaf->ways) /* full leaves are skipped */
			from = (from / leaf->ways + 1) * leaf->ways;
		else
			from++;
	}
	return to + 1;
}

int idmap_alloc(struct idmap *m, void *entry, u64 *id)
{
	u64 found = m->max + 1;
	int err;

	if (m->last < m->max)
		found = radix_next_free(&m->ids, m->last + 1, m->max);
	if (found > m->max)
		found = radix_next_free(&m->ids, m->min, m->max);
	if (found > m->max)
		return -ENOSPC;
	err = radix_insert(&m->ids, found, entry);
	if (err)
		return err;
	m->last = found;
	*id = found;
	return 0;
}

int idmap_take(struct idmap *m, void *entry, u64 id)
{
	int err = radix_insert(&m->ids, id, entry);

	if (!err && (m->last == m->max || m->last < id)) /* max: none was given yet, or wrapped */
		m->last = id;
	return err;
}
