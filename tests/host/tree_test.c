/* SPDX-License-Identifier: MIT */
/* tree_test.c - red-black trees with augmentation, radix trees and id maps against simple models.
 */
#include "core/errno.h"
#include "core/printk.h"
#include "core/rcu.h"
#include "lib/radix.h"
#include "lib/tree.h"
#include "tests/host/machine.h"

struct item {
	struct tree_node node;
	u64 key;
	u64 weight, total; /* total: of the subtree */
};

static struct item *item_of(struct tree_node *n)
{
	return container_of(n, struct item, node);
}

static u64 total_of(struct tree_node *n)
{
	return n ? item_of(n)->total : 0;
}

static void item_augment(struct tree_node *n)
{
	item_of(n)->total = item_of(n)->weight + total_of(n->left) + total_of(n->right);
}

/* Checks the subtree: order, colours, augmentation. Returns its black height. */
static int check(struct tree_node *n, struct tree_node *parent, u64 low, u64 high)
{
	int left, right;

	if (!n)
		return 1;
	must(n->parent == parent, "parent links");
	must(item_of(n)->key >= low && item_of(n)->key <= high, "order");
	must(!n->red || ((!n->left || !n->left->red) && (!n->right || !n->right->red)),
	     "red below red");
	must(item_of(n)->total == item_of(n)->weight + total_of(n->left) + total_of(n->right),
	     "augment");
	left = check(n->left, n, low, item_of(n)->key);
	right = check(n->right, n, item_of(n)->key, high);
	must(left == right, "black height");
	return left + !n->red;
}

static void insert(struct tree *t, struct item *it)
{
	struct tree_node **link = &t->root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = it->key < item_of(parent)->key ? &parent->left : &parent->right;
	}
	tree_insert(t, &it->node, parent, link);
}

static void test_tree(void)
{
	enum { ITEMS = 120, ROUNDS = 20000 };
	static struct item items[ITEMS];
	static bool present[ITEMS];
	struct tree t = { .augment = item_augment };
	unsigned count = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		/* grow, then shrink, over and over */
		unsigned i = machine_random() % ITEMS;
		bool growing = round / 500 % 2 == 0;

		if (present[i] && (!growing || machine_random() % 4 == 0)) {
			tree_remove(&t, &items[i].node);
			present[i] = false;
			count--;
		} else if (present[i]) {
			items[i].weight = machine_random() % 1000;
			tree_update(&t, &items[i].node);
		} else {
			items[i].key = machine_random() % 64;
			items[i].weight = machine_random() % 1000;
			insert(&t, &items[i]);
			present[i] = true;
			count++;
		}
		must(!t.root || !t.root->red, "black root");
		check(t.root, NULL, 0, UINT64_MAX);
		unsigned forward = 0, backward = 0;
		for (struct tree_node *n = tree_first(&t); n; n = tree_next(n))
			forward++;
		for (struct tree_node *n = tree_last(&t); n; n = tree_prev(n))
			backward++;
		must(forward == count && backward == count, "walks see all");
	}
	ok(true, "tree: %d changes keep all invariants", ROUNDS);
}

enum { MODEL = 600 };
static int values[MODEL];
static struct {
	u64 index;
	bool present;
} model[MODEL];

static u64 random_index(void)
{
	static const u64 scales[] = { 1, 10, 64, 65, 4096, 1 << 18, 1ull << 40, UINT64_MAX };
	u64 scale = scales[machine_random() % ARRAY_SIZE(scales)];

	return scale == UINT64_MAX ? machine_random() : machine_random() % scale;
}

static int model_find(u64 index)
{
	for (int i = 0; i < MODEL; i++)
		if (model[i].present && model[i].index == index)
			return i;
	return -1;
}

static void check_radix_order(struct radix *r, u64 count)
{
	u64 index = 0, seen = 0, last = 0;
	void *p;

	while ((p = radix_next(r, &index))) {
		must(!seen || index > last, "radix_next goes up");
		must(p == &values[model_find(index)], "radix_next finds what is there");
		last = index;
		seen++;
		if (++index == 0)
			break;
	}
	must(seen == count && r->count == count, "radix_next finds all: %lu of %lu", seen, count);
}

static void test_radix(void)
{
	enum { ROUNDS = 60000 };
	struct radix r;
	u64 count = 0;

	radix_init(&r);
	for (unsigned round = 0; round < ROUNDS; round++) {
		u64 index = random_index();
		int at = model_find(index);
		int slot = machine_random() % MODEL;

		must(radix_get(&r, index) == (at < 0 ? NULL : &values[at]), "get %lx", index);
		if (at < 0 && model[slot].present) { /* remove another one */
			must(radix_remove(&r, model[slot].index) == &values[slot], "remove");
			must(!radix_get(&r, model[slot].index), "gone");
			model[slot].present = false;
			count--;
		} else if (at < 0) {
			if (machine_random() % 8 == 0)
				machine_fail_in = 1 + machine_random() % 4;
			int err = radix_insert(&r, index, &values[slot]);
			must(!err || (err == -ENOMEM && !machine_fail_in), "insert: %d", err);
			machine_fail_in = 0;
			model[slot].index = index;
			model[slot].present = !err;
			count += !err;
		} else {
			must(radix_insert(&r, index, &values[0]) == -EEXIST, "insert twice");
			must(radix_replace(&r, index, &values[at]) == &values[at], "replace");
		}
		if (round % 64 == 0)
			check_radix_order(&r, count);
		if (round % 64 == 32)
			machine_user();
	}
	check_radix_order(&r, count);
	ok(true, "radix: %d operations agree with the model, with failing allocations", ROUNDS);
	for (int i = 0; i < MODEL; i++)
		if (model[i].present)
			must(radix_remove(&r, model[i].index) == &values[i], "remove all");
	ok(!r.root && !r.count, "radix: empty means without nodes");
	must(!radix_insert(&r, 5, &values[0]) && !radix_insert(&r, 1 << 20, &values[1]), "two");
	radix_destroy(&r);
	rcu_drain();
	ok(!machine_live, "radix: all nodes are freed (%ld left)", machine_live);
}

/* Up to index 7 there is one small node; then a full one in its place, or none if there is no memory. */
static void test_radix_small(void)
{
	struct radix r;
	u64 index;

	radix_init(&r);
	for (u64 i = 0; i < 8; i++)
		must(!radix_insert(&r, i, &values[i]), "insert %lu", i);
	ok(machine_live == 1, "radix: indexes 0 to 7 are one node (%ld)", machine_live);
	must(radix_insert(&r, 7, &values[0]) == -EEXIST, "insert twice");
	must(!radix_get(&r, 8) && !radix_get(&r, 64), "nothing beyond");
	index = 8;
	must(!radix_next(&r, &index), "no next");
	must(radix_next_free(&r, 0, 100) == 8 && radix_next_free(&r, 3, 7) == 8, "the free one");
	machine_fail_in = 1;
	must(radix_insert(&r, 8, &values[8]) == -ENOMEM && r.count == 8, "no memory to grow");
	for (u64 i = 0; i < 8; i++)
		must(radix_get(&r, i) == &values[i], "still there: %lu", i);
	must(!radix_insert(&r, 8, &values[8]), "grows");
	for (u64 i = 0; i < 9; i++)
		must(radix_get(&r, i) == &values[i], "all are in the full one: %lu", i);
	machine_fail_in = 1;
	must(radix_remove(&r, 8) == &values[8], "removes without memory to shrink");
	for (u64 i = 0; i < 8; i++)
		must(radix_remove(&r, i) == &values[i], "the rest: %lu", i);
	rcu_drain();
	ok(!r.root && !machine_live, "radix: small and full root are freed (%ld left)",
	   machine_live);
	must(!radix_insert(&r, 3, &values[0]) && !radix_insert(&r, 1 << 20, &values[1]),
	     "far beyond");
	must(radix_get(&r, 3) == &values[0] && radix_get(&r, 1 << 20) == &values[1], "both");
	radix_destroy(&r);
	rcu_drain();
	ok(!machine_live, "radix: grown by two levels, all are freed (%ld left)", machine_live);
}

static void test_idmap(void)
{
	struct idmap m;
	u64 id;

	idmap_init(&m, 2, 200);
	for (u64 i = 2; i <= 200; i++)
		must(!idmap_alloc(&m, &values[i], &id) && id == i, "ids in order: %lu", id);
	ok(idmap_alloc(&m, &values[0], &id) == -ENOSPC, "idmap: full");
	radix_remove(&m.ids, 70);
	radix_remove(&m.ids, 3);
	ok(!idmap_alloc(&m, &values[3], &id) && id == 3, "idmap: the lowest after the wrap");
	ok(!idmap_alloc(&m, &values[70], &id) && id == 70,
	   "idmap: then the next above it, past full leaves");
	for (u64 i = 2; i <= 200; i++)
		radix_remove(&m.ids, i);
	ok(!idmap_alloc(&m, &values[3], &id) && id == 71, "idmap: no reuse before the wrap");
	radix_destroy(&m.ids);
	idmap_init(&m, 0, UINT64_MAX - 1);
	m.last = UINT64_MAX - 3;
	ok(!idmap_alloc(&m, &values[1], &id) && id == UINT64_MAX - 2 &&
		   !idmap_alloc(&m, &values[1], &id) && id == UINT64_MAX - 1 &&
		   !idmap_alloc(&m, &values[1], &id) && id == 0,
	   "idmap: wraps at the far end");
	radix_destroy(&m.ids);
	rcu_drain();
}

int main(void)
{
	machine_init();
	rcu_init_thread();
	test_tree();
	test_radix();
	test_radix_small();
	test_idmap();
	return tap_end();
}
