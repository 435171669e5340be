/* SPDX-License-Identifier: MIT */
/*
 * pagecache.c - the pages of a file in memory (contract: pagecache.h).
 *
 * Typical sequence of a read: mapping_get() finds the page under RCU alone, or
 * makes it: allocate, insert under mapping->lock (the loser of a race uses the
 * winner's), read with PG_LOCKED set, set PG_UPTODATE, unlock. Of a truncation:
 * the filesystem sets the new size; pages leave the tree under mapping->lock;
 * then (rmap.c) they leave the page tables; then the references go.
 *
 * The tree's reference keeps refs above zero. A finder without the lock takes
 * one only if refs is not zero, and then looks whether the page is still what it
 * was looking for.
 *
 * Locks: L is mapping->lock (RANK_MAPPING). PG_LOCKED is taken before it.
 */
#include "mm/pagecache.h"
#include "arch/x86/copy.h"
#include "core/errno.h"
#include "core/task.h"
#include "lib/hash.h"
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
	m->writable_maps = 0;
}

void mapping_destroy(struct mapping *m)
{
	BUG_IF(m->pages.count || !list_empty(&m->areas), "pages=%lu", m->pages.count);
	radix_destroy(&m->pages);
}

/* --- page locks: a hashed table of wait queues --- */

#define LOCK_QUEUES_BITS 5

static struct lock_queue {
	spinlock_t lock;
	struct waitq waiters;
} lock_queues[1 << LOCK_QUEUES_BITS];

void pagecache_init(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(lock_queues); i++) {
		spin_init(&lock_queues[i].lock, RANK_RMAP);
		waitq_init(&lock_queues[i].waiters);
	}
}

static struct lock_queue *queue_of(struct page *p)
{
	return &lock_queues[hash_ptr(p, LOCK_QUEUES_BITS)];
}

static inline void page_set_flags(struct page *p, u32 bits)
{
	__atomic_fetch_or(&p->flags, bits, __ATOMIC_ACQ_REL);
}

static inline u32 page_clear_flags(struct page *p, u32 bits)
{
	return __atomic_fetch_and(&p->flags, ~bits, __ATOMIC_ACQ_REL);
}

bool page_trylock(struct page *p)
{
	return !(__atomic_fetch_or(&p->flags, PG_LOCKED, __ATOMIC_ACQUIRE) & PG_LOCKED);
}

/* The holder waits for a device or for memory, never for a user: plain sleep. */
void page_lock(struct page *p)
{
	struct lock_queue *q = queue_of(p);

	if (likely(page_trylock(p)))
		return;
	spin_lock(&q->lock);
	for (;;) {
		page_set_flags(p, PG_WAITERS);
		if (page_trylock(p))
			break;
		(void)waitq_sleep(&q->waiters, &q->lock, SLEEP_DEVICE, KTIME_NEVER);
	}
	spin_unlock(&q->lock);
}

void page_unlock(struct page *p)
{
	struct lock_queue *q = queue_of(p);

	if (likely(!(page_clear_flags(p, PG_LOCKED) & PG_WAITERS)))
		return;
	spin_lock(&q->lock);
	page_clear_flags(p, PG_WAITERS);
	waitq_wake_all(&q->waiters, 0);
	spin_unlock(&q->lock);
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
		if (likely(READ_ONCE(p->mapping) == m && READ_ONCE(p->index) == index))
			break;
		page_put(p);
	}
	rcu_read_unlock();
	return p;
}

/* Puts a fresh page into the tree, with a reference for it: -EEXIST, -ENOMEM. */
static int mapping_insert(struct mapping *m, u64 index, struct page *p)
{
	p->mapping = m;
	p->index = index;
	page_get(p);
	spin_lock(&m->lock);
	int err = radix_insert(&m->pages, index, p);
	spin_unlock(&m->lock);
	if (err) {
		p->mapping = NULL;
		p->flags = 0;
		page_put(p);
		return err;
	}
	page_use_add(USE_CACHE, 1);
	return 0;
}

int mapping_add(struct mapping *m, u64 index, struct page *p)
{
	p->flags = PG_CACHE | PG_UPTODATE;
	return mapping_insert(m, index, p);
}

/* A new page at index, referenced: filled with zeros, or PG_LOCKED and to be read. */
static int mapping_make(struct mapping *m, u64 index, bool zero, struct page **out)
{
	struct account *a = m->account ? m->account : current->account;
	struct page *p = page_alloc(0, zero ? PAGE_ZERO : 0, a);

	if (!p)
		return -ENOMEM;
	p->flags = zero ? PG_CACHE | PG_UPTODATE : PG_CACHE | PG_LOCKED;
	int err = mapping_insert(m, index, p);
	if (err) {
		page_put(p);
		return err;
	}
	*out = p;
	return 0;
}

/* Reads a page that is locked; unlocks it. */
static int page_fill(struct mapping *m, struct page *p)
{
	int err = m->ops->read_page(m, p);

	if (!err)
		page_set_flags(p, PG_UPTODATE);
	page_unlock(p);
	return err;
}

static bool mapping_reads(const struct mapping *m)
{
	return m->ops && m->ops->read_page;
}

/* A page that was found, made up to date. -EAGAIN: it left the mapping meanwhile. */
static int page_wait_uptodate(struct mapping *m, struct page *p)
{
	page_lock(p);
	if (p->mapping != m) {
		page_unlock(p);
		return -EAGAIN;
	}
	if (!page_uptodate(p))
		return page_fill(m, p);
	page_unlock(p);
	return 0;
}

int mapping_get(struct mapping *m, u64 index, struct page **out)
{
	for (;;) {
		struct page *p = mapping_find(m, index);
		int err = 0;
		if (!p) {
			err = mapping_make(m, index, !mapping_reads(m), &p);
			if (err == -EEXIST)
				continue;
			if (err)
				return err;
			if (mapping_reads(m))
				err = page_fill(m, p);
		} else if (unlikely(!page_uptodate(p))) {
			err = page_wait_uptodate(m, p);
		}
		if (!err) {
			*out = p;
			return 0;
		}
		page_put(p);
		if (err != -EAGAIN)
			return err;
	}
}

int mapping_get_for_overwrite(struct mapping *m, u64 index, struct page **out)
{
	for (;;) {
		*out = mapping_find(m, index);
		if (*out)
			return page_uptodate(*out) ? 0
						   : (page_put(*out), mapping_get(m, index, out));
		int err = mapping_make(m, index, !mapping_reads(m), out);
		if (err == -EEXIST)
			continue;
		if (!err && mapping_reads(m)) {
			/* The caller covers all of it before anyone may look: as good as read. */
			page_clear(page_virt(*out));
			page_set_flags(*out, PG_UPTODATE);
			page_unlock(*out);
		}
		return err;
	}
}

void mapping_dirty(struct mapping *m, struct page *p)
{
	if (READ_ONCE(p->flags) & PG_DIRTY)
		return;
	if (__atomic_fetch_or(&p->flags, PG_DIRTY, __ATOMIC_ACQ_REL) & PG_DIRTY)
		return;
	if (m->ops && m->ops->dirty)
		m->ops->dirty(m, p);
}

/* --- removing --- */

/* Takes up to BATCH pages from *index on out of the tree; locked ones end the batch. */
static unsigned mapping_take_out(struct mapping *m, u64 *index, u64 last, struct page **out,
				 struct page **busy)
{
	unsigned n = 0;

	spin_lock(&m->lock);
	while (n < BATCH) {
		struct page *p = radix_next(&m->pages, index);
		if (!p || *index > last)
			break;
		if (!page_trylock(p)) {
			*busy = page_get(p);
			break;
		}
		radix_remove(&m->pages, *index);
		WRITE_ONCE(p->mapping, NULL);
		page_clear_flags(p, PG_CACHE | PG_DIRTY);
		page_unlock(p);
		out[n++] = p;
		if (++*index == 0)
			break;
	}
	spin_unlock(&m->lock);
	return n;
}

static void mapping_drop(struct mapping *m, u64 first, u64 last, bool private_copies)
{
	struct page *out[BATCH];
	u64 index = first;

	for (;;) {
		struct page *busy = NULL;
		unsigned n = mapping_take_out(m, &index, last, out, &busy);
		page_use_add(USE_CACHE, -(s64)n);
		page_put_many(out, n);
		if (busy) {
			page_lock(busy);
			page_unlock(busy);
			page_put(busy);
		} else if (n < BATCH) {
			break;
		}
		resched_point();
	}
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
	mapping_drop(m, DIV_ROUND_UP(from_byte, PAGE_SIZE), UINT64_MAX >> PAGE_SHIFT, true);
}

void mapping_remove_range(struct mapping *m, u64 first, u64 last)
{
	mapping_drop(m, first, last, false);
}

void mapping_unmap_range(struct mapping *m, u64 first, u64 last)
{
	mapping_zap(m, first, last, false);
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
