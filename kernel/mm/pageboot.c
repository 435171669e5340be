/* SPDX-License-Identifier: MIT */
/*
 * pageboot.c - from the loader's memory map to the page allocator.
 *
 * The array of struct page is mapped where there is RAM, in steps of 4 MiB of
 * RAM (the largest buddy block: so merging never looks at an unmapped one).
 *
 * Clearing the whole array would cost more than all the rest of booting. So
 * memory is looked at in chunks of 16 MiB. A chunk that is all free RAM is
 * *deferred*: it counts as free, and page_grow() makes its array, in its own
 * first 256 KiB, when the allocator needs it. All others are *eager*: their array
 * is made at boot from boot_alloc_pages(). The page tables for the array of a
 * deferred chunk (one for eight chunks) are made at boot, so growing cannot fail.
 */
#include "arch/x86/boot.h"
#include "arch/x86/copy.h"
#include "core/kasan.h"
#include "core/printk.h"
#include "mm/internal.h"

#define CHUNK_SHIFT  24
#define CHUNK_SIZE   (1ul << CHUNK_SHIFT)
#define CHUNK_PAGES  (CHUNK_SIZE / PAGE_SIZE)
#define CHUNK_ARRAY  (CHUNK_PAGES * sizeof(struct page))
#define BLOCK_PAGES  (1ul << PAGE_ORDER_MAX)
#define BLOCK_SIZE   (BLOCK_PAGES * PAGE_SIZE)
#define BLOCK_ARRAY  (BLOCK_PAGES * sizeof(struct page))
#define ARRAY_FLAGS  (PTE_PRESENT | PTE_WRITE | PTE_GLOBAL | PTE_NX)
#define DEFERRED_MAX (2 * BOOT_RANGES_MAX)
/* One page table of the array serves so many chunks. */
#define CHUNKS_PER_TABLE (PT_ENTRIES * PAGE_SIZE / CHUNK_ARRAY)

static struct {
	u64 start, end; /* chunk numbers */
} deferred[DEFERRED_MAX];
static unsigned deferred_count;
struct page *zero_page;

static bool range_hits(const struct boot_range *r, unsigned n, paddr_t start, paddr_t end)
{
	for (unsigned i = 0; i < n; i++)
		if (r[i].start < end && r[i].end > start)
			return true;
	return false;
}

static __init bool chunk_is_ram(u64 chunk)
{
	paddr_t start = chunk << CHUNK_SHIFT, end = start + CHUNK_SIZE;

	for (unsigned i = 0; i < boot_info.ram_count; i++)
		if (boot_info.ram[i].start <= start && boot_info.ram[i].end >= end)
			return true;
	return false;
}

static __init bool chunk_is_reserved(u64 chunk)
{
	paddr_t start = chunk << CHUNK_SHIFT;

	return range_hits(boot_info.reserved, boot_info.reserved_count, start, start + CHUNK_SIZE);
}

static __init bool chunk_is_deferred(u64 chunk)
{
	for (unsigned i = 0; i < deferred_count; i++)
		if (chunk >= deferred[i].start && chunk < deferred[i].end)
			return true;
	return false;
}

static __init u64 chunk_last(void)
{
	return (boot_info.ram[boot_info.ram_count - 1].end - 1) >> CHUNK_SHIFT;
}

/* The array for the parts of a chunk that hold RAM. */
static __init void chunk_map_eager(u64 chunk)
{
	paddr_t at = chunk << CHUNK_SHIFT, end = at + CHUNK_SIZE;

	for (; at < end; at += BLOCK_SIZE) {
		if (!range_hits(boot_info.ram, boot_info.ram_count, at, at + BLOCK_SIZE))
			continue;
		paddr_t pa = boot_alloc_pages(BLOCK_ARRAY / PAGE_SIZE);
		BUG_IF(!pa, "no memory for the page array at %lx", at);
		if (kernel_map_range((u64)page_of_phys(at), pa, BLOCK_ARRAY, ARRAY_FLAGS))
			panic("page_init: cannot map the page array at %lx", at);
	}
}

/* Makes sure that the page table for the chunk's array exists: maps its first page. */
static __init void chunk_make_table(u64 chunk)
{
	paddr_t pa = chunk << CHUNK_SHIFT;

	if (kernel_map_page((u64)page_of_phys(pa), pa, ARRAY_FLAGS))
		panic("page_init: no page table for the page array at %lx", pa);
}

static __init void deferred_add(u64 chunk)
{
	if (deferred_count && deferred[deferred_count - 1].end == chunk) {
		deferred[deferred_count - 1].end++;
		return;
	}
	BUG_IF(deferred_count == DEFERRED_MAX, "chunk=%lu", chunk);
	deferred[deferred_count].start = chunk;
	deferred[deferred_count++].end = chunk + 1;
}

/*
 * Boot allocations for eager chunks may fall into a chunk that looked free: it is
 * eager then, too. So all candidates are chosen again after the arrays are there.
 */
static __init void chunks_choose(void)
{
	u64 last = chunk_last();

	for (u64 c = 0; c <= last; c++)
		if (!chunk_is_ram(c) || chunk_is_reserved(c))
			chunk_map_eager(c);
		else
			deferred_add(c);
	for (unsigned i = 0; i < deferred_count; i++)
		for (u64 c = deferred[i].start; c < deferred[i].end;
		     c = ALIGN_DOWN(c, CHUNKS_PER_TABLE) + CHUNKS_PER_TABLE)
			chunk_make_table(c);
	for (bool again = true; again;) {
		again = false;
		struct {
			u64 start, end;
		} old[DEFERRED_MAX];
		unsigned n = deferred_count;
		__builtin_memcpy(old, deferred, sizeof(old));
		deferred_count = 0;
		for (unsigned i = 0; i < n; i++)
			for (u64 c = old[i].start; c < old[i].end; c++) {
				if (chunk_is_reserved(c)) {
					chunk_map_eager(c);
					again = true;
				} else {
					deferred_add(c);
				}
			}
	}
}

/* Hands [pfn, end), all of it without an owner, to the buddy system. Under buddy.lock. */
static void give_range(u64 pfn, u64 end)
{
	buddy.total += end - pfn;
	buddy_give_run(pfn, end - pfn);
}

static __init void reserve_range(u64 pfn, u64 end)
{
	for (; pfn < end; pfn++) {
		page_of_pfn(pfn)->flags = PG_RESERVED;
		page_of_pfn(pfn)->refs = 1;
	}
}

/* [start, end) lies in eager chunks: gives what is not reserved, marks the rest. */
static __init void give_unreserved(paddr_t start, paddr_t end)
{
	while (start < end) {
		paddr_t hole = end, hole_end = end;
		for (unsigned i = 0; i < boot_info.reserved_count; i++) {
			const struct boot_range *r = &boot_info.reserved[i];
			if (r->end > start && r->start < hole) {
				hole = MAX(ALIGN_DOWN(r->start, PAGE_SIZE), start);
				hole_end = MIN(ALIGN_UP(r->end, PAGE_SIZE), end);
			}
		}
		if (hole > start)
			give_range(start >> PAGE_SHIFT, hole >> PAGE_SHIFT);
		reserve_range(hole >> PAGE_SHIFT, hole_end >> PAGE_SHIFT);
		start = hole_end;
	}
}

static __init void give_eager(const struct boot_range *r)
{
	paddr_t at = r->start;

	while (at < r->end) {
		u64 chunk = at >> CHUNK_SHIFT;
		paddr_t end = MIN((chunk + 1) << CHUNK_SHIFT, r->end);
		if (!chunk_is_deferred(chunk))
			give_unreserved(at, end);
		at = end;
	}
}

static __init void shadow_init(void)
{
	paddr_t top = boot_info.ram[boot_info.ram_count - 1].end;
	size_t size = kasan_shadow_size(top);

	if (!size)
		return;
	paddr_t pa = boot_alloc_pages(size / PAGE_SIZE);
	BUG_IF(!pa, "no memory for %lu bytes of shadow", size);
	kasan_init(phys_to_virt(pa), top);
}

void __init page_init(void)
{
	buddy_init();
	BUG_ON(boot_info.ram_count == 0);
	/* Page frame 0 stays out: "no page" is told from a page by its address in places. */
	if (boot_info.ram[0].start == 0)
		boot_info.ram[0].start = PAGE_SIZE;
	paddr_t zero = boot_alloc_pages(1);
	shadow_init();
	chunks_choose();
	spin_lock(&buddy.lock);
	for (unsigned i = 0; i < boot_info.ram_count; i++)
		give_eager(&boot_info.ram[i]);
	for (unsigned i = 0; i < deferred_count; i++)
		buddy.deferred += (deferred[i].end - deferred[i].start) *
				  (CHUNK_PAGES - CHUNK_ARRAY / PAGE_SIZE);
	buddy.total += buddy.deferred;
	spin_unlock(&buddy.lock);
	buddy_set_reserve();
	zero_page = page_of_phys(zero);
}

bool page_grow(void)
{
	if (!deferred_count)
		return false;
	u64 chunk = deferred[deferred_count - 1].start++;
	if (deferred[deferred_count - 1].start == deferred[deferred_count - 1].end)
		deferred_count--;
	paddr_t pa = chunk << CHUNK_SHIFT;
	u64 pfn = pa >> PAGE_SHIFT, own = CHUNK_ARRAY / PAGE_SIZE;

	for (u64 off = 0; off < CHUNK_ARRAY; off += PAGE_SIZE)
		page_clear(phys_to_virt(pa + off));
	/* chunk_make_table has been there: cannot fail. */
	BUG_ON(kernel_map_range((u64)page_of_pfn(pfn), pa, CHUNK_ARRAY, ARRAY_FLAGS));
	for (u64 i = 0; i < own; i++) {
		page_of_pfn(pfn + i)->flags = PG_RESERVED;
		page_of_pfn(pfn + i)->refs = 1;
	}
	buddy.deferred -= CHUNK_PAGES - own;
	buddy.total -= CHUNK_PAGES - own;
	give_range(pfn + own, pfn + CHUNK_PAGES);
	return true;
}

void page_free_range(paddr_t start, paddr_t end)
{
	u64 first = ALIGN_UP(start, PAGE_SIZE) >> PAGE_SHIFT, last = end >> PAGE_SHIFT;

	if (first >= last)
		return;
	for (u64 pfn = first; pfn < last; pfn++) {
		struct page *p = page_of_pfn(pfn);
		BUG_IF(!(p->flags & PG_RESERVED) || p->refs != 1, "pfn=%lx flags=%x", pfn,
		       p->flags);
		p->flags = 0;
		p->refs = 0;
	}
	spin_lock(&buddy.lock);
	give_range(first, last);
	spin_unlock(&buddy.lock);
}
