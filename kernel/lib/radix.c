/* SPDX-License-Identifier: MIT */
/*
 * radix.c - the radix tree (lib/radix.h).
 *
 * A node at `shift` s has 64 slots, each for 2^s indexes: slots of nodes with
 * shift 0 hold entries, the others nodes. The root pointer says by its bit 0
 * what it is, and a node knows its own shift, so that a reader without a lock
 * needs one load to have a consistent idea of the tree's height.
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

struct radix_node {
	u32 shift;
	u32 used;
	struct rcu_head rcu;
	void *slot[RADIX_WAYS];
};

static struct slab_cache *node_cache;

static struct radix_node *node_alloc(unsigned shift)
{
	struct radix_node *n;

	if (unlikely(!node_cache)) /* the first insert of all happens at boot, on one CPU */
		node_cache = slab_cache_create("radix_node", sizeof(struct radix_node), 0,
					       SLAB_ACCOUNT | SLAB_ZERO);
	n = slab_alloc(node_cache);
	if (n)
		n->shift = shift;
	return n;
}

static void node_free_rcu(struct rcu_head *h)
{
	slab_free(node_cache, container_of(h, struct radix_node, rcu));
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
	return index >> n->shift < RADIX_WAYS;
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

/* Puts new roots on top until the tree covers index: -ENOMEM, the tree is then as good as before.
 */
static int radix_grow(struct radix *r, u64 index)
{
	while (!is_node(r->root) || !covers(to_node(r->root), index)) {
		struct radix_node *n;
		unsigned shift = 0;

		if (is_node(r->root))
			shift = to_node(r->root)->shift + RADIX_BITS;
		else if (!r->root) /* empty: at once as high as needed */
			while (index >> shift >= RADIX_WAYS)
				shift += RADIX_BITS;
		n = node_alloc(shift);
		if (!n)
			return -ENOMEM;
		if (r->root) {
			n->slot[0] = is_node(r->root) ? to_node(r->root) : r->root;
			n->used = 1;
		}
		__atomic_store_n(&r->root, from_node(n), __ATOMIC_RELEASE);
	}
	return 0;
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
		child = node_alloc(n->shift - RADIX_BITS);
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
	if (leaf->used <= 1) /* else neither the leaf nor a root above it can go */
		radix_trim(r, index);
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

		while (!p && ++i < RADIX_WAYS)
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
		if (leaf->used == RADIX_WAYS) /* full leaves are skipped */
			from = (from / RADIX_WAYS + 1) * RADIX_WAYS;
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
