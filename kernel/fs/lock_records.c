/* SPDX-License-Identifier: MIT */
/*
 * lock_records.c - the ranges of a file that are locked, and by whom (lock_records.h).
 *
 * By place is an interval tree (Cormen et al., chapter 14): ordered by start, and each
 * record knows how far any below it reaches, so a subtree that ends before the wanted
 * range is not entered. What is shared conflicts with exclusive ones only, of which each
 * record knows that as well: a crowd of readers is not looked through.
 *
 * Only memory bounds how many records one owner has, and there are three loops over them. They
 * let others run now and then, which is why the caller's lock is one to sleep with.
 */
#include "fs/lock_records.h"
#include "core/cpu.h"
#include "fs/internal.h"

#define RECORDS_STEP 64 /* between two resched_point()s */

static struct slab_cache *record_cache;

static struct lock_record *by_place(struct tree_node *n)
{
	return n ? container_of(n, struct lock_record, place) : NULL;
}

static struct lock_record *by_owner(struct tree_node *n)
{
	return n ? container_of(n, struct lock_record, own) : NULL;
}

static void reach_update(struct tree_node *n)
{
	struct lock_record *r = by_place(n), *below[2] = { by_place(n->left), by_place(n->right) };

	r->reach = r->end + 1;
	r->reach_excl = r->exclusive ? r->end + 1 : 0;
	for (unsigned i = 0; i < 2; i++)
		if (below[i]) {
			r->reach = MAX(r->reach, below[i]->reach);
			r->reach_excl = MAX(r->reach_excl, below[i]->reach_excl);
		}
}

void lock_records_init(struct lock_records *s)
{
	*s = (struct lock_records){ .by_place.augment = reach_update };
}

static void records_pause(u32 count)
{
	if (count % RECORDS_STEP == 0)
		resched_point();
}

/* --- the two trees --- */

static void place_insert(struct lock_records *s, struct lock_record *r)
{
	struct tree_node **link = &s->by_place.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = r->start < by_place(parent)->start ? &parent->left : &parent->right;
	}
	tree_insert(&s->by_place, &r->place, parent, link);
}

static bool own_less(const struct lock_record *a, const struct lock_record *b)
{
	return a->owner != b->owner ? a->owner < b->owner : a->start < b->start;
}

static void record_insert(struct lock_records *s, struct lock_record *r)
{
	struct tree_node **link = &s->by_owner.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = own_less(r, by_owner(parent)) ? &parent->left : &parent->right;
	}
	tree_insert(&s->by_owner, &r->own, parent, link);
	place_insert(s, r);
}

static void record_drop(struct lock_records *s, struct lock_record *r)
{
	tree_remove(&s->by_place, &r->place);
	tree_remove(&s->by_owner, &r->own);
	lock_record_free(r);
}

/* A part of what it was: its place among its owner's stays the same. */
static void record_shrink(struct lock_records *s, struct lock_record *r, u64 start, u64 end)
{
	tree_remove(&s->by_place, &r->place);
	r->start = start;
	r->end = end;
	place_insert(s, r);
}

/* The next of the same owner, or NULL. */
static struct lock_record *record_next(const struct lock_record *r)
{
	struct lock_record *next = by_owner(tree_next(&r->own));

	return next && next->owner == r->owner ? next : NULL;
}

struct lock_record *lock_records_of(const struct lock_records *s, const void *owner, u64 from)
{
	struct lock_record *r = by_owner(s->by_owner.root), *found = NULL;

	while (r) {
		bool after = r->owner != owner ? r->owner > owner : r->end >= from;

		if (after && r->owner == owner)
			found = r;
		r = by_owner(after ? r->own.left : r->own.right);
	}
	return found;
}

/* --- overlaps --- */

static bool reaches(const struct lock_record *r, const struct lock_record *want)
{
	return r && (want->exclusive ? r->reach : r->reach_excl) > want->start;
}

static bool overlaps(const struct lock_record *r, const struct lock_record *want)
{
	return r->start <= want->end && r->end >= want->start && (r->exclusive || want->exclusive);
}

/*
 * The first below r, which reaches the range, that overlaps it. If the left side reaches it,
 * then what reaches starts before all that is on the right.
 */
static struct lock_record *first_below(struct lock_record *r, const struct lock_record *want)
{
	while (reaches(r, want)) {
		if (reaches(by_place(r->place.left), want)) {
			r = by_place(r->place.left);
			continue;
		}
		if (r->start > want->end)
			break;
		if (overlaps(r, want))
			return r;
		r = by_place(r->place.right);
	}
	return NULL;
}

/* The next that overlaps, in order of place. */
static struct lock_record *next_overlap(struct lock_record *r, const struct lock_record *want)
{
	struct lock_record *found = first_below(by_place(r->place.right), want);
	struct tree_node *n = &r->place;

	while (!found) {
		while (n->parent && n == n->parent->right)
			n = n->parent;
		n = n->parent;
		if (!n || by_place(n)->start > want->end)
			return NULL;
		found = overlaps(by_place(n), want) ? by_place(n)
						    : first_below(by_place(n->right), want);
	}
	return found;
}

struct lock_record *lock_records_conflict(const struct lock_records *s,
					  const struct lock_record *want)
{
	struct lock_record *r = first_below(by_place(s->by_place.root), want);

	for (u32 own = 1; r && r->owner == want->owner; own++) {
		r = next_overlap(r, want);
		records_pause(own);
	}
	return r;
}

/* --- changes --- */

void lock_records_clear(struct lock_records *s, const struct lock_record *want,
			struct lock_record **spare)
{
	struct lock_record *r = lock_records_of(s, want->owner, want->start), *next;

	for (u32 count = 1; r && r->start <= want->end; r = next, count++) {
		next = record_next(r);
		if (r->start < want->start && r->end > want->end) {
			struct lock_record *tail = *spare;

			*spare = NULL;
			*tail = *r;
			tail->start = want->end + 1;
			record_shrink(s, r, r->start, want->start - 1);
			record_insert(s, tail);
			return;
		}
		if (r->start < want->start)
			record_shrink(s, r, r->start, want->start - 1);
		else if (r->end > want->end)
			record_shrink(s, r, want->end + 1, r->end);
		else
			record_drop(s, r);
		records_pause(count);
	}
}

void lock_records_add(struct lock_records *s, struct lock_record *r)
{
	struct lock_record *before = NULL, *after;

	if (r->start)
		before = lock_records_of(s, r->owner, r->start - 1);
	after = lock_records_of(s, r->owner, r->end + 1);
	if (before && before->end + 1 == r->start && before->exclusive == r->exclusive) {
		r->start = before->start;
		record_drop(s, before);
	}
	if (after && r->end + 1 == after->start && after->exclusive == r->exclusive) {
		r->end = after->end;
		record_drop(s, after);
	}
	record_insert(s, r);
}

bool lock_records_drop_owner(struct lock_records *s, const void *owner)
{
	struct lock_record *r = lock_records_of(s, owner, 0), *next;
	bool any = r;

	for (u32 count = 1; r; r = next, count++) {
		next = record_next(r);
		record_drop(s, r);
		records_pause(count);
	}
	return any;
}

/* --- records --- */

struct lock_record *lock_record_alloc(void)
{
	return slab_alloc(record_cache);
}

void lock_record_free(struct lock_record *r)
{
	if (r)
		slab_free(record_cache, r);
}

void locks_init(void)
{
	record_cache = slab_cache_create("file_lock", sizeof(struct lock_record), 0, SLAB_ACCOUNT);
}
