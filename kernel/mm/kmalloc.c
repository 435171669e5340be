/* SPDX-License-Identifier: MIT */
/*
 * kmalloc.c - memory by size: slab caches up to half a page, whole pages above
 * (contract: slab.h). Each size has two caches, one of which accounts. kfree
 * finds what it is given by the flags of the page it lies in.
 */
#include "arch/x86/smp.h"
#include "core/task.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/slab.h"

static const struct {
	u16 size;
	const char *name, *charged;
} sizes[] = {
	{ 16, "kmalloc-16", "kmalloc-16-charged" },
	{ 32, "kmalloc-32", "kmalloc-32-charged" },
	{ 64, "kmalloc-64", "kmalloc-64-charged" },
	{ 96, "kmalloc-96", "kmalloc-96-charged" },
	{ 128, "kmalloc-128", "kmalloc-128-charged" },
	{ 192, "kmalloc-192", "kmalloc-192-charged" },
	{ 256, "kmalloc-256", "kmalloc-256-charged" },
	{ 384, "kmalloc-384", "kmalloc-384-charged" },
	{ 512, "kmalloc-512", "kmalloc-512-charged" },
	{ 1024, "kmalloc-1024", "kmalloc-1024-charged" },
	{ 2048, "kmalloc-2048", "kmalloc-2048-charged" },
};
#define SLAB_MAX 2048

static struct slab_cache *caches[ARRAY_SIZE(sizes)][2];
static u8 size_index[SLAB_MAX / 16 + 1]; /* by size in units of 16, rounded up */

void slab_init(void)
{
	unsigned k = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		caches[i][0] = slab_cache_create(sizes[i].name, sizes[i].size, 0, 0);
		caches[i][1] = slab_cache_create(sizes[i].charged, sizes[i].size, 0, SLAB_ACCOUNT);
	}
	for (unsigned u = 0; u < ARRAY_SIZE(size_index); u++) {
		if (u * 16 > sizes[k].size)
			k++;
		size_index[u] = k;
	}
	kstack_init();
	aspace_init();
}

static unsigned order_of(size_t size)
{
	unsigned order = 0;

	while (PAGE_SIZE << order < size)
		order++;
	return order;
}

void *kmalloc(size_t size, u32 flags)
{
	if (size <= SLAB_MAX) {
		unsigned i = size_index[DIV_ROUND_UP(size, 16)];
		void *p = slab_alloc(caches[i][!!(flags & KM_ACCOUNT)]);
		if (p && (flags & KM_ZERO))
			memset(p, 0, size);
		return p;
	}
	if (size > PAGE_SIZE << PAGE_ORDER_MAX)
		return NULL;
	struct account *a = (flags & KM_ACCOUNT) && current ? current->account : NULL;
	u32 page_flags = PAGE_KERNEL | (flags & KM_ZERO ? PAGE_ZERO : 0);
	struct page *p = page_alloc(order_of(size), page_flags, a);
	if (!p)
		return NULL;
	page_become_kernel(p);
	return page_virt(p);
}

void kmalloc_count(const void *object, enum memory_use use, bool used)
{
	struct page *p = page_of_virt(object);
	s64 size = (used ? 1 : -1) * (s64)(PAGE_SIZE << p->order);

	if (p->flags & PG_SLAB) {
		slab_count(p->slab_cache, object, use, used);
	} else if (p->account) {
		account_use(p->account, use, size);
		account_use(p->account, MEM_PAGES, -size);
	}
}

void kfree(const void *object)
{
	if (!object)
		return;
	struct page *p = page_of_virt(object);
	if (p->flags & PG_SLAB) {
		slab_free(p->slab_cache, (void *)object);
		return;
	}
	BUG_IF((u64)object & PAGE_MASK, "%p", object);
	page_put(p);
}

char *kstrdup(const char *s, u32 flags)
{
	size_t n = strlen(s) + 1;
	char *copy = kmalloc(n, flags & ~KM_ZERO);

	if (copy)
		memcpy(copy, s, n);
	return copy;
}
