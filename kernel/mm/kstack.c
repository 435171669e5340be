/* SPDX-License-Identifier: MIT */
/*
 * kstack.c - kernel stacks (contract: slab.h): mapped in the kernel's own space
 * above an unmapped page, so that an overflow faults at once.
 *
 * Mapping is cheap, unmapping is not (every CPU must flush). So a freed stack
 * stays mapped in a small stock of its CPU; what does not fit there goes, half
 * the stock at a time, to the common pool, and page_drain unmaps all. A place
 * (struct place) whose stack was unmapped is used again before new space is.
 *
 * States of a place: in use, in a CPU's stock or the pool (mapped), bare (not
 * mapped). kstack_alloc moves towards in use, kstack_free and drain away.
 *
 * A stack is charged to whom it serves while it is in use, not while cached.
 *
 * Locks: pool_lock (RANK_VSPACE) guards the pool and the bare places.
 */
#include "arch/x86/smp.h"
#include "core/account.h"
#include "core/errno.h"
#include "core/inject.h"
#include "mm/internal.h"
#include "mm/slab.h"

#define STACK_PAGES (KSTACK_SIZE / PAGE_SIZE)
#define STOCK_MAX   16
#define POOL_MAX    64 /* mapped stacks in the pool; more are unmapped */

struct place {
	struct place *next;
	u64 va; /* lowest address of the stack */
};

struct stack_stock {
	u32 count;
	struct place *place[STOCK_MAX];
};
static PERCPU(struct stack_stock, stack_stock);

static spinlock_t pool_lock = SPINLOCK_INIT(RANK_VSPACE);
static struct place *pool, *bare;
static u32 pool_count;
static struct slab_cache *place_cache;

void kstack_init(void)
{
	place_cache = slab_cache_create("kstack-place", sizeof(struct place), 0, 0);
}

/* The lowest page of a mapped stack remembers its place. */
static struct page *stack_page(u64 va)
{
	return page_of_phys(kernel_lookup_page(va));
}

static struct place *place_find(void)
{
	spin_lock(&pool_lock);
	struct place *p = bare;
	if (p)
		bare = p->next;
	spin_unlock(&pool_lock);
	if (p)
		return p;
	p = slab_alloc(place_cache);
	if (p && vspace_reserve(KSTACK_SIZE, &p->va)) {
		slab_free(place_cache, p);
		return NULL;
	}
	return p;
}

static void place_put_bare(struct place *p)
{
	spin_lock(&pool_lock);
	p->next = bare;
	bare = p;
	spin_unlock(&pool_lock);
}

/* Unmaps n stacks with one flush. */
static void places_unmap(struct place **places, u32 n)
{
	struct page *pages[STOCK_MAX * STACK_PAGES];
	u64 low = UINT64_MAX, high = 0;
	u32 k = 0;

	if (!n)
		return;
	for (u32 i = 0; i < n; i++) {
		u64 va = places[i]->va;
		for (u32 j = 0; j < STACK_PAGES; j++)
			pages[k++] = page_of_phys(kernel_unmap_page(va + j * PAGE_SIZE));
		low = MIN(low, va);
		high = MAX(high, va + KSTACK_SIZE);
	}
	tlb_flush_kernel(low, high);
	for (u32 i = 0; i < k; i++)
		pages[i]->private = 0;
	page_put_many(pages, k);
	for (u32 i = 0; i < n; i++)
		place_put_bare(places[i]);
	page_use_add(USE_KSTACK, -(s64)k);
}

static struct place *place_map(void)
{
	struct place *p = place_find();

	if (!p)
		return NULL;
	for (u32 j = 0; j < STACK_PAGES; j++) {
		struct page *page = page_alloc(0, PAGE_KERNEL, NULL);
		u64 va = p->va + j * PAGE_SIZE;
		if (page && !kernel_map_page(va, page_phys(page), KERNEL_DATA_FLAGS)) {
			page->private = j ? 0 : (u64)p;
			continue;
		}
		if (page)
			page_put(page);
		while (j-- > 0) {
			va = p->va + j * PAGE_SIZE;
			page = page_of_phys(kernel_unmap_page(va));
			tlb_flush_kernel(va, va + PAGE_SIZE);
			page_put(page);
		}
		place_put_bare(p);
		return NULL;
	}
	page_use_add(USE_KSTACK, STACK_PAGES);
	return p;
}

static struct place *pool_take(void)
{
	if (!READ_ONCE(pool))
		return NULL;
	spin_lock(&pool_lock);
	struct place *p = pool;
	if (p) {
		pool = p->next;
		pool_count--;
	}
	spin_unlock(&pool_lock);
	return p;
}

void *kstack_alloc(struct account *a)
{
	struct stack_stock *s = &percpu_this(stack_stock);
	struct place *p;

	if (inject_failure() || (a && charge(a, RES_MEMORY, KSTACK_SIZE)))
		return NULL;
	if (s->count)
		p = s->place[--s->count];
	else if (!(p = pool_take()))
		p = place_map();
	if (p && a)
		account_use(a, MEM_STACK, KSTACK_SIZE);
	if (p)
		return (void *)p->va;
	if (a)
		uncharge(a, RES_MEMORY, KSTACK_SIZE);
	return NULL;
}

/* The older n of the stock go to the pool; what exceeds `limit` there is unmapped. A drain may
 * come first, as in stock_spill() of page.c. */
static void stock_spill(struct stack_stock *s, u32 n, u32 limit)
{
	struct place *out[STOCK_MAX];
	u32 k = 0;

	spin_lock(&pool_lock);
	n = MIN(n, s->count);
	for (u32 i = 0; i < n; i++) {
		struct place *p = s->place[i];
		if (pool_count < limit) {
			p->next = pool;
			pool = p;
			pool_count++;
		} else {
			out[k++] = p;
		}
	}
	s->count -= n;
	for (u32 i = 0; i < s->count; i++)
		s->place[i] = s->place[i + n];
	spin_unlock(&pool_lock);
	places_unmap(out, k);
}

void kstack_free(void *stack, struct account *a)
{
	struct stack_stock *s = &percpu_this(stack_stock);
	struct place *p = (struct place *)stack_page((u64)stack)->private;

	BUG_IF(!p || p->va != (u64)stack, "stack=%p", stack);
	if (a) {
		account_use(a, MEM_STACK, -(s64)KSTACK_SIZE);
		uncharge(a, RES_MEMORY, KSTACK_SIZE);
	}
	if (s->count == STOCK_MAX)
		stock_spill(s, STOCK_MAX / 2, POOL_MAX);
	s->place[s->count++] = p;
}

/* Runs on every CPU at once: leaves the flush to kstack_drain_pool. */
void kstack_drain_this_cpu(void)
{
	struct stack_stock *s = &percpu_this(stack_stock);

	if (s->count)
		stock_spill(s, s->count, UINT32_MAX);
}

void kstack_drain_pool(void)
{
	struct place *out[STOCK_MAX];

	for (;;) {
		u32 k = 0;
		while (k < STOCK_MAX && (out[k] = pool_take()))
			k++;
		if (!k)
			break;
		places_unmap(out, k);
	}
	for (;;) {
		spin_lock(&pool_lock);
		struct place *p = bare;
		if (p)
			bare = p->next;
		spin_unlock(&pool_lock);
		if (!p)
			break;
		vspace_release(p->va);
		slab_free(place_cache, p);
	}
}
