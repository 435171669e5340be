/* SPDX-License-Identifier: MIT */
/*
 * vspace.c - the kernel's own virtual space: ranges of it, and vmalloc (contract:
 * slab.h). Every range has an unmapped page below it, so that running off an
 * end faults. A range keeps its page tables when it is given back.
 *
 * Locks: vspace_lock (RANK_VSPACE) guards the tree of ranges. Kernel page-table
 * entries of a range are its owner's.
 */
#include "arch/x86/mmu.h"
#include "core/errno.h"
#include "core/task.h"
#include "mm/gaptree.h"
#include "mm/internal.h"
#include "mm/slab.h"

struct vspace_area {
	struct gap_node gap; /* the guard page included */
	size_t pages;
};

static spinlock_t vspace_lock = SPINLOCK_INIT(RANK_VSPACE);
static struct tree vspace_tree;

static int area_create(size_t size, struct vspace_area **out)
{
	struct vspace_area *a = kmalloc(sizeof(*a), 0);
	u64 at;

	if (!a)
		return -ENOMEM;
	spin_lock(&vspace_lock);
	if (!vspace_tree.augment)
		gap_tree_init(&vspace_tree);
	int err = gap_search_down(&vspace_tree, VSPACE_START, VSPACE_END, size + PAGE_SIZE, &at);
	if (!err) {
		a->gap.start = at;
		a->gap.end = at + size + PAGE_SIZE;
		gap_insert(&vspace_tree, &a->gap);
	}
	spin_unlock(&vspace_lock);
	if (err) {
		kfree(a);
		return err;
	}
	a->pages = size / PAGE_SIZE;
	*out = a;
	return 0;
}

static void area_destroy(struct vspace_area *a)
{
	spin_lock(&vspace_lock);
	gap_remove(&vspace_tree, &a->gap);
	spin_unlock(&vspace_lock);
	kfree(a);
}

static u64 area_start(const struct vspace_area *a)
{
	return a->gap.start + PAGE_SIZE;
}

static struct vspace_area *area_at(u64 va)
{
	spin_lock(&vspace_lock);
	struct gap_node *n = gap_find(&vspace_tree, va);
	spin_unlock(&vspace_lock);
	struct vspace_area *a = container_of(n, struct vspace_area, gap);
	BUG_IF(!n || area_start(a) != va, "va=%lx", va);
	return a;
}

/* Unmaps and frees the first n pages. No CPU keeps a translation when a page is freed. */
static void area_unmap(struct vspace_area *a, size_t n)
{
	struct page *batch[32];
	u64 va = area_start(a);

	while (n) {
		size_t k = MIN(n, ARRAY_SIZE(batch));
		for (size_t i = 0; i < k; i++)
			batch[i] = page_of_phys(kernel_unmap_page(va + i * PAGE_SIZE));
		tlb_flush_kernel(va, va + k * PAGE_SIZE);
		page_put_many(batch, k);
		va += k * PAGE_SIZE;
		n -= k;
		resched_point();
	}
}

int vspace_reserve(size_t size, u64 *va)
{
	struct vspace_area *a;
	int err = area_create(size, &a);

	if (!err)
		*va = area_start(a);
	return err;
}

void vspace_release(u64 va)
{
	area_destroy(area_at(va));
}

void *vmalloc(size_t size, u32 flags)
{
	struct account *account = (flags & KM_ACCOUNT) && current ? current->account : NULL;
	struct vspace_area *a;

	size = ALIGN_UP(size, PAGE_SIZE);
	if (!size || size > VSPACE_END - VSPACE_START || area_create(size, &a))
		return NULL;
	for (size_t i = 0; i < a->pages; i++) {
		struct page *p = page_alloc(0, flags & KM_ZERO ? PAGE_ZERO : 0, account);
		u64 va = area_start(a) + i * PAGE_SIZE;
		if (p)
			page_become_kernel(p);
		if (p && !kernel_map_page(va, page_phys(p), KERNEL_DATA_FLAGS))
			continue;
		if (p)
			page_put(p);
		area_unmap(a, i);
		area_destroy(a);
		return NULL;
	}
	return (void *)area_start(a);
}

void vfree(const void *p)
{
	if (!p)
		return;
	struct vspace_area *a = area_at((u64)p);
	area_unmap(a, a->pages);
	area_destroy(a);
}
