/* SPDX-License-Identifier: MIT */
/*
 * pagecache.c - the pages of a file in memory (contract: pagecache.h).
 *
 * Typical sequence of a read: mapping_find() finds the page under RCU alone, or
 * the filesystem brings it in (the loser of a race uses the winner's). Of a
 * truncation: the filesystem sets the new size; pages leave the tree under
 * mapping->lock; then (rmap.c) they leave the page tables; then the references
 * go.
 *
 * The tree's reference keeps refs above zero. A finder without the lock takes
 * one only if refs is not zero, and then looks whether the tree still has the
 * page at that index: if so, it had it there while the reference was taken.
 *
 * Locks: L is mapping->lock (RANK_MAPPING).
 */
#include "mm/pagecache.h"
#include "arch/x86/copy.h"
#include "core/errno.h"
#include "core/task.h"
#include "lib/string.h"
#include "mm/internal.h"

#define BATCH 16

void mapping_init(struct mapping *m, const struct mapping_ops *ops, void *host)
{
	radix_init(&m->pages);
	spin_init(&m->lock, RANK_MAPPING);
	list_init(&m->areas);
	m->ops = ops;
	m->account = NULL;
	m->host = host;
	m->changes = 0;
	m->walks = 0;
	m->areas_left = 0;
}

void mapping_destroy(struct mapping *m)
{
	BUG_IF(m->pages.count || !list_empty(&m->areas), "pages=%lu", m->pages.count);
	radix_destroy(&m->pages);
}

static inline void page_set_flags(struct page *p, u32 bits)
{
	__atomic_fetch_or(&p->flags, bits, __ATOMIC_ACQ_REL);
}

static inline void page_clear_flags(struct page *p, u32 bits)
{
	if (READ_ONCE(p->flags) & bits)
		__atomic_fetch_and(&p->flags, ~bits, __ATOMIC_ACQ_REL);
}

/* --- finding and making --- */

struct page *mapping_find(struct mapping *m, u64 index)
{
	struct page *p;

	rcu_read_lock();
	for (;;) {
		p = radix_get(&m->pages, index);
		if (!p)
			break;
		if (!page_get_unless_free(p))
			continue; /* it is on its way out: look again */
		if (likely(radix_get(&m->pages, index) == p))
			break;
		page_put(p);
	}
	rcu_read_unlock();
	return p;
}

int mapping_add(struct mapping *m, u64 index, struct page *p)
{
	page_get(p);
	spin_lock(&m->lock);
	int err = radix_insert(&m->pages, index, p);
	spin_unlock(&m->lock);
	if (err)
		page_put(p);
	return err;
}

u64 mapping_changes(const struct mapping *m)
{
	return __atomic_load_n(&m->changes, __ATOMIC_ACQUIRE);
}

int mapping_add_if(struct mapping *m, u64 index, struct page *p, u64 changes)
{
	int err = -EAGAIN;

	page_get(p);
	spin_lock(&m->lock);
	if (m->changes == changes)
		err = radix_insert(&m->pages, index, p);
	spin_unlock(&m->lock);
	if (err)
		page_put(p);
	return err;
}

int mapping_get(struct mapping *m, u64 index, struct page **out)
{
	struct page *p;
	int err;

	for (;;) {
		*out = mapping_find(m, index);
		if (*out)
			return 0;
		p = page_alloc(0, PAGE_ZERO, m->account ? m->account : current->account);
		if (!p)
			return -ENOMEM;
		page_become_cache(p);
		err = mapping_add(m, index, p);
		if (likely(!err)) {
			*out = p;
			return 0;
		}
		page_put(p);
		if (err != -EEXIST)
			return err;
	}
}

void mapping_dirty(struct page *p)
{
	if (!(READ_ONCE(p->flags) & PG_DIRTY))
		page_set_flags(p, PG_DIRTY);
}

/* --- exchanging --- */

/* Under m->lock: p goes where *old, which is to be put, was (or NULL). -ENOMEM: nothing was there.
 */
static int mapping_exchange(struct mapping *m, u64 index, struct page *p, struct page **old)
{
	int err = 0;

	*old = radix_get(&m->pages, index);
	if (*old == p) {
		*old = NULL;
		return 0;
	}
	if (*old)
		radix_replace(&m->pages, index, p);
	else
		err = radix_insert(&m->pages, index, p);
	if (!err)
		page_get(p);
	if (*old)
		page_clear_flags(*old, PG_DIRTY);
	m->changes++;
	/* What is mapped there was in the tree once; a shrinker may have taken it out since. */
	if (!list_empty(&m->areas))
		mapping_zap_locked(m, index, index, false);
	return err;
}

void mapping_replace(struct mapping *m, u64 index, struct page *p)
{
	struct page *old;

	spin_lock(&m->lock);
	(void)mapping_exchange(m, index, p, &old);
	spin_unlock(&m->lock);
	if (old)
		page_put(old);
}

int mapping_set_writable(struct mapping *m, u64 index, struct page *p, u64 changes)
{
	struct page *old = NULL;
	int err = -EAGAIN;

	spin_lock(&m->lock);
	if (m->changes == changes)
		err = mapping_exchange(m, index, p, &old);
	if (!err)
		mapping_dirty(p);
	spin_unlock(&m->lock);
	if (old)
		page_put(old);
	return err;
}

bool mapping_protect(struct mapping *m, u64 index, struct page *p)
{
	bool was;

	spin_lock(&m->lock);
	was = READ_ONCE(p->flags) & PG_DIRTY;
	m->changes++;
	page_clear_flags(p, PG_DIRTY);
	if (!list_empty(&m->areas))
		mapping_protect_areas(m, index, index);
	spin_unlock(&m->lock);
	return was;
}

/* --- removing --- */

/* Looks at up to BATCH pages from *index on, and takes them (or the clean ones) out of the tree. */
static unsigned mapping_take_out(struct mapping *m, u64 *index, u64 last, bool clean,
				 struct page **out, unsigned *looks)
{
	unsigned n = 0;

	spin_lock(&m->lock);
	m->changes++;
	for (*looks = 0; *looks < BATCH; ++*looks) {
		struct page *p = radix_next(&m->pages, index);
		if (!p || *index > last)
			break;
		if (!clean || !(READ_ONCE(p->flags) & PG_DIRTY)) {
			radix_remove(&m->pages, *index);
			page_clear_flags(p, PG_DIRTY);
			out[n++] = p;
		}
		if (++*index == 0)
			break;
	}
	spin_unlock(&m->lock);
	return n;
}

static void mapping_drop(struct mapping *m, u64 first, u64 last, bool private_copies)
{
	struct page *out[BATCH];
	unsigned n, looks;
	u64 index = first;

	do {
		n = mapping_take_out(m, &index, last, false, out, &looks);
		page_put_many(out, n);
		resched_point();
	} while (looks == BATCH && index);
	/* What still maps one of them holds it; nobody can map one of them anew. */
	if (!list_empty(&m->areas))
		mapping_zap(m, first, last, private_copies);
}

void mapping_truncate(struct mapping *m, u64 from_byte)
{
	u64 cut = from_byte & PAGE_MASK;

	if (cut) {
		struct page *p = mapping_find(m, from_byte >> PAGE_SHIFT);
		if (p) {
			memset((char *)page_virt(p) + cut, 0, PAGE_SIZE - cut);
			page_put(p);
		}
	}
	mapping_cut(m, DIV_ROUND_UP(from_byte, PAGE_SIZE));
}

void mapping_cut(struct mapping *m, u64 first)
{
	mapping_drop(m, first, UINT64_MAX >> PAGE_SHIFT, true);
}

void mapping_remove_range(struct mapping *m, u64 first, u64 last)
{
	mapping_drop(m, first, last, false);
}

u64 mapping_shrink(struct mapping *m, u64 n, bool mapped)
{
	struct page *out[BATCH];
	u64 index = 0, done = 0;
	unsigned k, looks;

	if (!list_empty(&m->areas) && !mapped)
		return 0;
	do {
		k = mapping_take_out(m, &index, UINT64_MAX >> PAGE_SHIFT, true, out, &looks);
		page_put_many(out, k);
		done += k;
	} while (looks == BATCH && done < n);
	if (done && !list_empty(&m->areas))
		mapping_zap(m, 0, index, false);
	return done;
}

bool mapping_seek(struct mapping *m, u64 *index, u64 end, bool data)
{
	rcu_read_lock();
	if (data) {
		if (!radix_next(&m->pages, index))
			*index = end;
	} else {
		while (*index < end && radix_get(&m->pages, *index))
			++*index;
	}
	rcu_read_unlock();
	return *index < end;
}
