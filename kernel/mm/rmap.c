/* SPDX-License-Identifier: MIT */
/*
 * rmap.c - from the pages of a mapping to the page tables that hold them, by way
 * of the mapping's areas. Nothing else is needed: an anonymous page is found
 * only from its own address space.
 *
 * Locks: mapping->lock over the walk, each address space's pt_lock inside. TLBs are
 * flushed under both, which is fine: who spins for a lock serves flushes. A long
 * walk lets mapping->lock go now and then (mapping_zap): its place in the list is
 * kept by a mark, an area without an address space, which everybody passes over.
 */
#include "core/errno.h"
#include "mm/internal.h"
#include "mm/pagecache.h"
#include "mm/pagetable.h"
#include "mm/vma.h"

#define WALK_STEP  4096 /* pages */
#define AREAS_STEP 16
#define PAGES_STEP 256

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
		if (v->as)
			zap_area(v, first, last, private_copies);
}

/* --- a walk that lets the lock go --- */

struct walk {
	struct mapping *mapping;
	struct vma mark; /* stands before the area that is next */
	u64 first, last; /* pages */
	u64 at;		 /* the first one that is due in that area */
	u64 step;	 /* pages at a time */
};

static struct vma *walk_next(struct walk *w)
{
	struct list *at = w->mark.mapping_node.next;

	return at == &w->mapping->areas ? NULL : list_entry(at, struct vma, mapping_node);
}

static void walk_pass(struct walk *w, struct vma *v)
{
	list_remove(&w->mark.mapping_node);
	list_push(&v->mapping_node, &w->mark.mapping_node);
	w->at = w->first;
	w->step = WALK_STEP;
}

/* Is v, where the walk stands, another one by now? Then it begins there anew, with longer steps, so that it ends. */
static void walk_pause(struct walk *w, const struct vma *v)
{
	struct mapping *m = w->mapping;
	u32 left = m->areas_left;

	spin_unlock(&m->lock);
	resched_point();
	spin_lock(&m->lock);
	if (w->at != w->first && (m->areas_left != left || walk_next(w) != v)) {
		w->at = w->first;
		w->step *= 2;
	}
}

/* Some pages of v, the next area; behind the last one v is passed. How many. */
static u64 walk_step(struct walk *w, struct vma *v, bool private_copies)
{
	u64 start = MAX(w->at, v->pgoff), end = MIN(w->last, v->pgoff + vma_pages(v) - 1);
	u64 stop = start <= end && end - start >= w->step ? start + w->step - 1 : end;

	if (start <= end)
		zap_area(v, start, stop, private_copies);
	if (start > end || stop == end)
		walk_pass(w, v);
	else
		w->at = stop + 1;
	return start <= end ? stop - start + 1 : 0;
}

/*
 * Areas that come meanwhile stand behind the mark, and none is taken in by one that has been passed
 * (mapping->walks); so each that shows one of the pages is met.
 */
void mapping_zap(struct mapping *m, u64 first, u64 last, bool private_copies)
{
	struct walk w = {
		.mapping = m, .first = first, .last = last, .at = first, .step = WALK_STEP
	};
	struct vma *v;

	spin_lock(&m->lock);
	m->walks++;
	list_push(&m->areas, &w.mark.mapping_node);
	for (u32 n = 1; (v = walk_next(&w)); n++) {
		u64 done = 0;

		if (v->as)
			done = walk_step(&w, v, private_copies);
		else
			walk_pass(&w, v); /* another walk's mark */
		if (n % AREAS_STEP == 0 || done > PAGES_STEP)
			walk_pause(&w, v);
	}
	list_remove(&w.mark.mapping_node);
	m->walks--;
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
		if (v->as && (v->flags & VM_SHARED) && area_range(v, first, last, &start, &end))
			pt_write_protect(v, start, end);
}
