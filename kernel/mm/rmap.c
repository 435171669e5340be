/* SPDX-License-Identifier: MIT */
/*
 * rmap.c - from the pages of a mapping to the page tables that hold them, by way
 * of the mapping's areas. Nothing else is needed: an anonymous page is found
 * only from its own address space.
 *
 * Locks: mapping->lock over the whole walk, each address space's pt_lock inside.
 * TLBs are flushed under both, which is fine: who spins for a lock serves flushes.
 */
#include "core/errno.h"
#include "mm/internal.h"
#include "mm/pagecache.h"
#include "mm/pagetable.h"
#include "mm/vma.h"

static void zap_area(struct vma *v, u64 first, u64 last, bool private_copies)
{
	u64 v_last = v->pgoff + vma_pages(v) - 1;
	struct gather g;

	if (first > v_last || last < v->pgoff)
		return;
	u64 start = v->start + ((MAX(first, v->pgoff) - v->pgoff) << PAGE_SHIFT);
	u64 end = v->start + ((MIN(last, v_last) - v->pgoff + 1) << PAGE_SHIFT);
	gather_begin(&g, v->as, false);
	pt_zap(&g, v, start, end, private_copies);
	gather_end(&g);
}

void mapping_zap(struct mapping *m, u64 first, u64 last, bool private_copies)
{
	struct vma *v;

	spin_lock(&m->lock);
	list_for_each (v, &m->areas, mapping_node)
		zap_area(v, first, last, private_copies);
	spin_unlock(&m->lock);
}
