/* SPDX-License-Identifier: MIT */
/*
 * dentry_lru.c - which cached names are forgotten, and when.
 *
 * Names are kept until memory is wanted: there is no number that the cache may
 * not exceed. A name, its inode and what the filesystem has beside it are
 * charged to the container that brought it in; and it is the container's own names
 * that go when its limit is near, whoever else fills memory with names.
 *
 *	dentry_make_room()     at each look-up of a name that is not there: if memory is
 *	                       short, some old names go for the new one, so the cache does
 *	                       not grow; the same if the account's limit is near
 *	dentry_shrink()        memory_reclaim(): an account is at its limit, or the machine
 *	dentry_forget_part()   others fill memory and make room: names give their part
 *
 * Unpinned hashed names are on one of LISTS lists, by the account that pays, the
 * oldest first. A name that was used since the last look (DENTRY_REFERENCED) goes
 * to the end once. Memory comes back after a grace period, for which those wait
 * who must have it.
 *
 * Locks: N is the list's. An entry is never off its list while N is free, so that
 * dentry_lru_remove() finds it.
 */
#include "core/leak.h"
#include "core/rcu.h"
#include "fs/internal.h"

#define LISTS	    64
#define BATCH	    64		 /* names looked at with the lock held */
#define PER_PAGE    3		 /* names with all that hangs on them, about */
#define EXCHANGE    4		 /* old names for a new one when memory is short */
#define ROOM	    (256l << 10) /* of its limit, that an account's names leave free */
#define OTHER_LOOKS 256		 /* at each list that is mostly others' */

static struct name_list {
	spinlock_t lock;
	struct list names; /* N */
	u64 count;	   /* N */
} __cacheline lists[LISTS];
static u32 next_list; /* racy: where the search goes on */

static struct name_list *list_of(const struct account *a)
{
	return &lists[a ? a->id % LISTS : 0];
}

void dentry_lru_add(struct dentry *d)
{
	struct name_list *l = list_of(dentry_account(d));

	if (d->flags & DENTRY_PINNED)
		return;
	spin_lock(&l->lock);
	list_append(&l->names, &d->lru);
	l->count++;
	spin_unlock(&l->lock);
}

void dentry_lru_remove(struct dentry *d)
{
	struct name_list *l = list_of(dentry_account(d));

	if (d->flags & DENTRY_PINNED)
		return;
	spin_lock(&l->lock);
	if (!list_empty(&d->lru)) {
		list_remove(&d->lru);
		l->count--;
	}
	spin_unlock(&l->lock);
}

static bool is_of(const struct dentry *d, const struct account *a)
{
	return a == &account_root || account_is_ancestor(a, dentry_account(d));
}

/* Under l's lock: the first name goes to the end, unless it may go altogether: then its count is 0.
 */
static struct dentry *take_first(struct name_list *l, const struct account *a)
{
	struct dentry *d = list_first(&l->names, struct dentry, lru);
	s32 one = 1;

	list_remove(&d->lru);
	if (is_of(d, a)) {
		if (!(d->flags & DENTRY_REFERENCED) &&
		    __atomic_compare_exchange_n(&d->refs.count, &one, 0, false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED)) {
			l->count--;
			return d;
		}
		d->flags &= ~DENTRY_REFERENCED;
	}
	list_append(&l->names, &d->lru);
	return NULL;
}

/* Up to n of the oldest unused names of a, among the first `looks`: how many it was. */
static u64 list_shrink(struct name_list *l, const struct account *a, u64 n, u64 looks)
{
	u64 freed = 0;

	spin_lock(&l->lock);
	for (looks = MIN(looks, l->count); looks && freed < n && l->count; looks--) {
		struct dentry *d = take_first(l, a);

		if (!d && looks % BATCH)
			continue;
		spin_unlock(&l->lock);
		if (d) {
			freed += dentry_hash_remove(d);
			dentry_put(dentry_release(d));
		} else {
			resched_point();
		}
		spin_lock(&l->lock);
	}
	spin_unlock(&l->lock);
	return freed;
}

static u64 names_count(void)
{
	u64 n = 0;

	for (unsigned k = 0; k < LISTS; k++)
		n += READ_ONCE(lists[k].count);
	return n;
}

/* From all lists, from each in proportion; then, if some had less to give, from any. */
static u64 lists_shrink(const struct account *a, u64 n, u64 looks)
{
	u64 total = names_count(), freed = 0;

	n = MIN(n, total);
	for (unsigned k = 0; k < 2 * LISTS && freed < n; k++) {
		struct name_list *l = &lists[next_list++ % LISTS];
		u64 share = k < LISTS ? n * READ_ONCE(l->count) / total + 1 : n;

		freed += list_shrink(l, a, MIN(share, n - freed), looks);
	}
	return freed;
}

static u64 names_shrink(const struct account *a, u64 n)
{
	u64 freed = a == &account_root ? 0 : list_shrink(list_of(a), a, n, UINT64_MAX);

	if (freed < n) /* those below a, or all */
		freed += lists_shrink(a, n - freed, a == &account_root ? UINT64_MAX : OTHER_LOOKS);
	return freed;
}

void dentry_forget_part(unsigned part)
{
	(void)lists_shrink(&account_root, names_count() / part, UINT64_MAX);
}

static u64 dentry_shrink(struct account *a, u64 pages)
{
	u64 freed = names_shrink(a, pages * PER_PAGE + EXCHANGE);

	if (freed)
		rcu_drain();
	return freed / PER_PAGE;
}

bool dentry_shrink_own(void)
{
	struct account *a = current->account;

	if (!list_shrink(list_of(a), a, BATCH, UINT64_MAX))
		return false;
	rcu_drain();
	return true;
}

void dentry_make_room(void)
{
	struct account *a = current->account;
	s64 left = account_available(a, RES_MEMORY);

	if (unlikely(page_is_short()))
		(void)lists_shrink(&account_root, EXCHANGE, BATCH);
	if (likely(left >= ROOM))
		return;
	/* what is forgotten comes back later: who is faster than that waits for it */
	if (left >= ROOM / 2)
		(void)list_shrink(list_of(a), a, EXCHANGE, BATCH);
	else
		(void)dentry_shrink_own();
}

/* All unused names: each round frees those whose children went in the one before. */
static void dentry_drop_unused(void)
{
	(void)names_shrink(&account_root, UINT64_MAX); /* takes away the second chances */
	while (names_shrink(&account_root, UINT64_MAX))
		;
}

static struct shrinker dentry_shrinker = { .name = "dentry", .shrink = dentry_shrink };

void dentry_lru_init(void)
{
	for (unsigned k = 0; k < LISTS; k++) {
		spin_init(&lists[k].lock, RANK_NAMECACHE_LRU);
		list_init(&lists[k].names);
	}
	shrinker_add(&dentry_shrinker);
	drain_hook_add(dentry_drop_unused);
}
