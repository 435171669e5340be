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

/* Where v shows pages [first, last] of what it maps, if anywhere. */
static bool area_range(const struct vma *v, u64 first, u64 last, u64 *start, u64 *end)
{
	u64 v_last = v->pgoff + vma_pages(v) - 1;

	if (first > v_last || last < v->pgoff)
		return false;
	*start = v->start + ((MAX(first, v->pgoff) - v->pgoff) << PAGE_SHIFT);
	*end = v->start + ((MIN(last, v_last) - v->pgoff + 1) << PAGE_SHIFT);
	return true;
}

static void zap_area(struct vma *v, u64 first, u64 last, bool private_copies)
{
	struct gather g;
	u64 start, end;

	if (!area_range(v, first, last, &start, &end))
		return;
	gather_begin(&g, v->as, false);
	pt_zap(&g, v, start, end, private_copies);
	gather_end(&g);
}

void mapping_zap_locked(struct mapping *m, u64 first, u64 last, bool private_copies)
{
	struct vma *v;

	spin_assert_held(&m->lock);
	list_for_each (v, &m->areas, mapping_node)
		zap_area(v, first, last, private_copies);
}

void mapping_zap(struct mapping *m, u64 first, u64 last, bool private_copies)
{
	spin_lock(&m->lock);
	mapping_zap_locked(m, first, last, private_copies);
	spin_unlock(&m->lock);
}

/*
 * A fork copies entries from an area to one that is behind it in the list (it
 * was linked later, and no area is split meanwhile): so what is copied before
 * this walk comes to the one is found at the other.
 */
void mapping_protect_areas(struct mapping *m, u64 first, u64 last)
{
	u64 start, end;
	struct vma *v;

	spin_assert_held(&m->lock);
	list_for_each (v, &m->areas, mapping_node)
		if ((v->flags & VM_SHARED) && area_range(v, first, last, &start, &end))
			pt_write_protect(v, start, end);
}
