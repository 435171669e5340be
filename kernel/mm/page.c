/* SPDX-License-Identifier: MIT */
/*
 * page.c - the page allocator (contract: page.h).
 *
 * Free blocks of 2^order pages stand in `buddy`, one list per order, heads
 * flagged PG_BUDDY; a block given back merges with its buddy (Knuth vol. 1,
 * 2.5) as long as that is free too. Single pages go through a stack per CPU that
 * is filled and emptied in batches, so that the usual call takes no lock.
 * Memory whose struct pages do not exist yet (pageboot.c) counts as free and is
 * taken in, 16 MiB at a time, when the lists run out.
 *
 * States of a page: in the buddy system (PG_BUDDY on the head, refs 0), in a
 * CPU's stack (refs 0, flags 0), allocated (refs > 0). page_alloc moves it up,
 * the last page_put down; page_free_last checks that it was legal.
 *
 * Locks: buddy.lock (RANK_PAGE_ALLOC) guards the lists and the heads on them.
 */
#include "mm/page.h"
#include "mm/internal.h"
#include "arch/x86/copy.h"
#include "arch/x86/smp.h"
#include "core/errno.h"
#include "core/inject.h"
#include "core/kasan.h"
#include "lib/string.h"

#define STOCK_MAX   128
#define STOCK_ORDER 6
#define STOCK_BATCH (1u << STOCK_ORDER)
#define BULK_MIN    8 /* so many pages are taken and given past the stock */
#define POISON_FREE 0x5a5a5a5a5a5a5a5aull

struct buddy buddy = { .lock = SPINLOCK_INIT(RANK_PAGE_ALLOC) };

struct page_stock {
	u32 count;
	struct page *page[STOCK_MAX];
};
static PERCPU(struct page_stock, page_stock);
PERCPU(struct page_uses, page_uses);

/* The reserve is for kernel objects: a user's page is refused before they are. */
static u64 reserve_pages;

void buddy_init(void)
{
	for (unsigned o = 0; o <= PAGE_ORDER_MAX; o++)
		list_init(&buddy.free[o]);
}

void buddy_set_reserve(void)
{
	reserve_pages = MIN(buddy.total / 128, 1024ul);
}

static void block_add(struct page *p, unsigned order)
{
	p->flags = PG_BUDDY;
	p->order = order;
	list_push(&buddy.free[order], &p->list);
	buddy.orders |= 1u << order;
}

static void block_remove(struct page *p, unsigned order)
{
	p->list.prev->next = p->list.next;
	p->list.next->prev = p->list.prev;
	p->flags = 0;
	if (list_empty(&buddy.free[order]))
		buddy.orders &= ~(1u << order);
}

/* Gives a block back, merged with its free buddies. Under buddy.lock. */
void buddy_give(struct page *p, unsigned order)
{
	u64 pfn = page_pfn(p);

	buddy.nfree += 1ul << order;
	while (order < PAGE_ORDER_MAX) {
		struct page *b = page_of_pfn(pfn ^ 1ul << order);
		if (b->flags != PG_BUDDY || b->order != order)
			break;
		block_remove(b, order);
		pfn &= ~(1ul << order);
		order++;
	}
	block_add(page_of_pfn(pfn), order);
}

/* A block of exactly 2^order pages, or NULL. Under buddy.lock. */
static struct page *buddy_take(unsigned order)
{
	u32 fit = buddy.orders >> order;

	if (unlikely(!fit)) {
		if (!page_grow())
			return NULL;
		fit = buddy.orders >> order;
	}
	unsigned o = order + __builtin_ctz(fit);
	struct page *p = list_first(&buddy.free[o], struct page, list);
	block_remove(p, o);
	while (o > order) {
		o--;
		block_add(p + (1ul << o), o);
	}
	buddy.nfree -= 1ul << order;
	return p;
}

static bool buddy_may_take(u64 n, u32 flags)
{
	return (flags & PAGE_KERNEL) || buddy.nfree + buddy.deferred >= n + reserve_pages;
}

/* Neighbouring pages as the blocks that they make up. Under buddy.lock. */
void buddy_give_run(u64 pfn, u64 n)
{
	u64 end = pfn + n;

	while (pfn < end) {
		unsigned order = MIN(__builtin_ctzl(pfn), PAGE_ORDER_MAX);
		while (pfn + (1ul << order) > end)
			order--;
		buddy_give(page_of_pfn(pfn), order);
		pfn += 1ul << order;
	}
}

/* Pages that were allocated together mostly come back together: up or down in a run. Under
 * buddy.lock. */
static void buddy_give_pages(struct page **pages, u32 n)
{
	for (u32 i = 0, j; i < n; i = j) {
		s64 step = i + 1 < n ? pages[i + 1] - pages[i] : 0;
		j = i + 1;
		if (step == 1 || step == -1)
			while (j < n && pages[j] - pages[j - 1] == step)
				j++;
		buddy_give_run(page_pfn(step == -1 ? pages[j - 1] : pages[i]), j - i);
	}
}

/* In one block if there is one, so that pages used one after the other are neighbours. */
static bool stock_fill(struct page_stock *s, u32 flags)
{
	struct page *p = NULL;

	spin_lock(&buddy.lock);
	if (buddy_may_take(STOCK_BATCH, flags) && (p = buddy_take(STOCK_ORDER)))
		for (u32 i = STOCK_BATCH; i-- > 0;)
			s->page[s->count++] = p + i;
	while (!p && s->count < STOCK_BATCH / 2 && buddy_may_take(1, flags)) {
		struct page *single = buddy_take(0);
		if (!single)
			break;
		s->page[s->count++] = single;
	}
	spin_unlock(&buddy.lock);
	return s->count > 0;
}

/*
 * The oldest n pages of the stack go back, or as many as there are by then: while this
 * waits for the lock, page_drain() may empty the stock by a call to this CPU. What is
 * left is what the cache still holds.
 */
static void stock_spill(struct page_stock *s, u32 n)
{
	spin_lock(&buddy.lock);
	n = MIN(n, s->count);
	buddy_give_pages(s->page, n);
	s->count -= n;
	memmove(s->page, s->page + n, s->count * sizeof(s->page[0]));
	spin_unlock(&buddy.lock);
}

static inline void stock_push(struct page *p)
{
	struct page_stock *s = &percpu_this(page_stock);

	if (unlikely(s->count == STOCK_MAX))
		stock_spill(s, STOCK_BATCH);
	s->page[s->count++] = p;
}

static void page_poison(struct page *p, unsigned order)
{
	for (unsigned i = 0; i < 1u << order; i++) {
		u64 *w = page_virt(p + i);
		for (unsigned j = 0; j < PAGE_SIZE / 8; j++)
			w[j] = POISON_FREE;
	}
}

/* A page that was written to after it had been freed. First poisoned by page_free_last. */
static void page_check_poison(struct page *p)
{
	u64 *w = page_virt(p);

	if (w[0] != POISON_FREE && w[PAGE_SIZE / 16] != POISON_FREE)
		return; /* never allocated before */
	for (unsigned j = 0; j < PAGE_SIZE / 8; j++)
		BUG_IF(w[j] != POISON_FREE, "pfn=%lx offset=%u value=%lx", page_pfn(p), j * 8,
		       w[j]);
}

static inline void page_prepare(struct page *p, u32 flags, struct account *account)
{
	BUG_IF(p->refs, "pfn=%lx refs=%d", page_pfn(p), p->refs);
	if (DEBUG) {
		kasan_unpoison(page_virt(p), PAGE_SIZE << p->order);
		if (p->order == 0)
			page_check_poison(p);
	}
	p->account = account;
	p->slab_cache = NULL;
	p->private = 0;
	p->flags = 0;
	__atomic_store_n(&p->refs, 1, __ATOMIC_RELEASE);
	if (flags & PAGE_ZERO)
		page_clear(page_virt(p));
}

static struct page *page_alloc_block(unsigned order, u32 flags, struct account *account)
{
	struct page *p = NULL;

	spin_lock(&buddy.lock);
	if (buddy_may_take(1ul << order, flags))
		p = buddy_take(order);
	spin_unlock(&buddy.lock);
	if (!p)
		return NULL;
	p->order = order;
	page_prepare(p, flags, account);
	if (flags & PAGE_ZERO)
		for (unsigned i = 1; i < 1u << order; i++)
			page_clear(page_virt(p + i));
	return p;
}

struct page *page_alloc(unsigned order, u32 flags, struct account *account)
{
	struct page *p;

	if (inject_failure())
		return NULL;
	if (account && charge(account, RES_MEMORY, PAGE_SIZE << order))
		return NULL;
	if (unlikely(order)) {
		p = page_alloc_block(order, flags, account);
		if (!p)
			goto uncharge;
		return p;
	}
	struct page_stock *s = &percpu_this(page_stock);
	if (unlikely(!s->count) && !stock_fill(s, flags))
		goto uncharge;
	p = s->page[--s->count];
	p->order = 0;
	page_prepare(p, flags, account);
	return p;
uncharge:
	if (account)
		uncharge(account, RES_MEMORY, PAGE_SIZE << order);
	return NULL;
}

/* 2^order neighbours as single pages: how many (all or none). */
static unsigned bulk_block(struct page **out, unsigned order, u32 flags, struct account *account)
{
	unsigned n = 1u << order;
	struct page *p = NULL;

	spin_lock(&buddy.lock);
	if (buddy_may_take(n, flags))
		p = buddy_take(order);
	spin_unlock(&buddy.lock);
	if (!p)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		p[i].order = 0;
		page_prepare(&p[i], flags, account);
		out[i] = &p[i];
	}
	return n;
}

unsigned page_alloc_bulk(struct page **out, unsigned n, u32 flags, struct account *account)
{
	struct page_stock *s = &percpu_this(page_stock);
	unsigned got = 0;

	if (inject_failure())
		return 0;
	if (account && charge(account, RES_MEMORY, n * PAGE_SIZE))
		return 0;
	if (n >= BULK_MIN)
		got = bulk_block(out, 31 - __builtin_clz(n), flags, account);
	while (got < n && (s->count || stock_fill(s, flags))) {
		struct page *p = s->page[--s->count];
		p->order = 0;
		page_prepare(p, flags, account);
		out[got++] = p;
	}
	if (account && got < n)
		uncharge(account, RES_MEMORY, (n - got) * PAGE_SIZE);
	return got;
}

/* What p's account counts it as; MEM_USES: nothing. */
static inline enum memory_use page_memory_use(const struct page *p)
{
	if (p->flags & PG_ANON)
		return MEM_ANON;
	if (p->flags & PG_CACHE)
		return MEM_FILE;
	if (p->flags & PG_TABLE)
		return MEM_TABLE;
	return p->flags & PG_KERNEL ? MEM_PAGES : MEM_USES;
}

static inline void page_count_use(const struct page *p, s64 n)
{
	enum memory_use use = page_memory_use(p);

	if (p->account && use != MEM_USES)
		account_use(p->account, use, n);
}

/* The state machine's way down, but for the charge and the place where it goes. */
static inline void page_retire(struct page *p)
{
	BUG_IF(p->refs < 0, "double free: pfn=%lx refs=%d flags=%x", page_pfn(p), p->refs,
	       p->flags);
	BUG_IF(p->flags & (PG_BUDDY | PG_RESERVED), "pfn=%lx flags=%x", page_pfn(p), p->flags);
	if (p->flags & PG_ANON)
		page_use_add(USE_ANON, -1);
	else if (p->flags & PG_CACHE)
		page_use_add(USE_CACHE, -1);
	p->account = NULL;
	p->flags = 0;
	if (DEBUG) {
		kasan_unpoison(page_virt(p), PAGE_SIZE << p->order); /* slab's, perhaps */
		page_poison(p, p->order);
		kasan_poison(page_virt(p), PAGE_SIZE << p->order);
	}
}

static inline void page_release(struct page *p)
{
	page_retire(p);
	if (likely(!p->order)) {
		stock_push(p);
		return;
	}
	spin_lock(&buddy.lock);
	buddy_give(p, p->order);
	spin_unlock(&buddy.lock);
}

void page_free_last(struct page *p)
{
	struct account *a = p->account;
	u64 size = PAGE_SIZE << p->order;

	page_count_use(p, -(s64)size);
	page_release(p);
	if (a)
		uncharge(a, RES_MEMORY, size);
}

/* Charges of pages that are freed, to be given back together. */
struct owed {
	struct account *account;
	s64 bytes, use[MEM_USES + 1]; /* the last: not told apart */
};

static void owed_pay(struct owed *o)
{
	if (!o->account)
		return;
	for (unsigned u = 0; u < MEM_USES; u++)
		if (o->use[u])
			account_use(o->account, u, -o->use[u]);
	uncharge(o->account, RES_MEMORY, o->bytes);
}

static inline void owed_add(struct owed *o, const struct page *p)
{
	s64 size = PAGE_SIZE << p->order;

	if (p->account != o->account) {
		owed_pay(o);
		*o = (struct owed){ .account = p->account };
	}
	o->bytes += size;
	o->use[page_memory_use(p)] += size;
}

void page_put_many(struct page **pages, size_t n)
{
	struct owed owed = { 0 };
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		struct page *p = pages[i];
		if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0)
			continue;
		owed_add(&owed, p);
		if (unlikely(p->order)) {
			page_release(p);
			continue;
		}
		page_retire(p);
		pages[k++] = p;
	}
	owed_pay(&owed);
	if (k >= STOCK_BATCH / 2) {
		spin_lock(&buddy.lock);
		buddy_give_pages(pages, k);
		spin_unlock(&buddy.lock);
		return;
	}
	for (size_t i = 0; i < k; i++)
		stock_push(pages[i]);
}

int page_recharge(struct page *p, struct account *to)
{
	s64 size = PAGE_SIZE << p->order;
	struct account *from = p->account;

	if (from == to)
		return 0;
	if (to && charge(to, RES_MEMORY, size))
		return -ENOMEM;
	page_count_use(p, -size);
	p->account = to;
	page_count_use(p, size);
	if (from)
		uncharge(from, RES_MEMORY, size);
	return 0;
}

#define SHORT_SHARE 16 /* of all memory */

bool page_is_short(void)
{
	return READ_ONCE(buddy.nfree) + READ_ONCE(buddy.deferred) <
	       READ_ONCE(buddy.total) / SHORT_SHARE;
}

static void drain_caches(void *arg)
{
	kstack_drain_this_cpu();
}

static void drain_stock(void *arg)
{
	struct page_stock *s = &percpu_this(page_stock);

	if (s->count)
		stock_spill(s, s->count);
}

void page_drain(void)
{
	smp_call_all(drain_caches, NULL);
	kstack_drain_pool();
	smp_call_all(drain_stock, NULL);
}

void page_stats(struct page_stats *s)
{
	s64 uses[USE_COUNT] = { 0 };
	u64 stocked = 0;

	for_each_cpu (i) {
		stocked += percpu_of(page_stock, i).count;
		for (unsigned u = 0; u < USE_COUNT; u++)
			uses[u] += percpu_of(page_uses, i).n[u];
	}
	s->total = buddy.total;
	s->free = buddy.nfree + buddy.deferred + stocked;
	s->cached = MAX(uses[USE_CACHE], 0);
	s->slab = MAX(uses[USE_SLAB], 0);
	s->tables = MAX(uses[USE_TABLE], 0);
	s->kernel_stacks = MAX(uses[USE_KSTACK], 0);
	s->anon = MAX(uses[USE_ANON], 0);
}
