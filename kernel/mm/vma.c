/* SPDX-License-Identifier: MIT */
/*
 * vma.c - areas: making, linking, splitting and joining them (contract: vma.h).
 *
 * An area is linked (in as->areas, counted in the totals, and in its mapping's
 * list) or not (fresh, or about to be freed). What a truncation reads of a
 * linked area - start, end, pgoff - changes only under its mapping's lock.
 * Every linked area of a kind with ops holds one ops->open; vma_split takes
 * another, vma_merge gives one back.
 */
#include "mm/vma.h"
#include "core/errno.h"
#include "mm/pagecache.h"
#include "mm/slab.h"

static struct slab_cache *vma_cache;

void vma_init(void)
{
	vma_cache = slab_cache_create("vma", sizeof(struct vma), 0, SLAB_ACCOUNT);
}

struct vma *vma_find(struct aspace *as, u64 va)
{
	struct vma *v = as->cached;

	if (likely(v && va >= v->start && va < v->end))
		return v;
	v = vma_of(gap_find(&as->areas, va));
	if (v && va >= v->start)
		as->cached = v;
	return v;
}

struct vma *vma_first(struct aspace *as)
{
	return vma_of(gap_first(&as->areas));
}

struct vma *vma_next(struct vma *v)
{
	return vma_of(gap_next(&v->gap));
}

int vma_create(const struct vma *from, struct vma **out)
{
	struct vma *v = slab_alloc(vma_cache);

	if (!v)
		return -ENOMEM;
	*v = *from;
	list_init(&v->mapping_node);
	*out = v;
	return 0;
}

void vma_free(struct vma *v)
{
	slab_free(vma_cache, v);
}

void vma_close(struct vma *v)
{
	if (v->ops && v->ops->close)
		v->ops->close(v);
}

/* --- the totals --- */

static void count_pages(struct aspace *as, u64 flags, s64 n)
{
	as->total_pages += n;
	if (flags & VM_LOCKED)
		as->locked_pages += n;
	if (flags & VM_GROWSDOWN)
		as->stack_pages += n;
	else if (vma_is_private_writable(flags))
		as->data_pages += n;
	else if ((flags & (VM_EXEC | VM_WRITE)) == VM_EXEC)
		as->exec_pages += n;
}

void vma_set_flags(struct vma *v, u64 flags)
{
	count_pages(v->as, v->flags, -(s64)vma_pages(v));
	v->flags = flags;
	count_pages(v->as, flags, vma_pages(v));
}

/* --- linking --- */

static void mapping_lock(struct mapping *m)
{
	if (m)
		spin_lock(&m->lock);
}

static void mapping_unlock(struct mapping *m)
{
	if (m)
		spin_unlock(&m->lock);
}

/* The lock of v's mapping, if it has one, is held, here and in the following. */
static void join_mapping(struct vma *v)
{
	if (v->mapping)
		list_append(&v->mapping->areas, &v->mapping_node);
}

static void leave_mapping(struct vma *v)
{
	if (!v->mapping || list_empty(&v->mapping_node))
		return;
	list_remove(&v->mapping_node);
	v->mapping->areas_left++;
}

void vma_leave_mapping(struct vma *v)
{
	mapping_lock(v->mapping);
	leave_mapping(v);
	mapping_unlock(v->mapping);
}

static void link_locked(struct vma *v)
{
	gap_insert(&v->as->areas, &v->gap);
	v->as->area_count++;
	count_pages(v->as, v->flags, vma_pages(v));
	join_mapping(v);
}

void vma_link(struct vma *v)
{
	mapping_lock(v->mapping);
	link_locked(v);
	mapping_unlock(v->mapping);
}

static void unlink_locked(struct vma *v)
{
	struct aspace *as = v->as;

	leave_mapping(v);
	gap_remove(&as->areas, &v->gap);
	as->area_count--;
	count_pages(as, v->flags, -(s64)vma_pages(v));
	if (as->cached == v)
		as->cached = NULL;
}

void vma_unlink(struct vma *v)
{
	mapping_lock(v->mapping);
	unlink_locked(v);
	mapping_unlock(v->mapping);
}

static void resize_locked(struct vma *v, u64 start, u64 end)
{
	count_pages(v->as, v->flags, -(s64)vma_pages(v));
	v->pgoff += (s64)(start - v->start) >> PAGE_SHIFT;
	gap_resize(&v->as->areas, &v->gap, start, end);
	count_pages(v->as, v->flags, vma_pages(v));
}

void vma_resize(struct vma *v, u64 start, u64 end)
{
	mapping_lock(v->mapping);
	resize_locked(v, start, end);
	mapping_unlock(v->mapping);
}

/* --- splitting and joining --- */

int vma_split(struct vma *v, u64 at, struct vma **upper)
{
	struct vma *u;

	if (v->as->area_count >= MAP_COUNT_MAX)
		return -ENOMEM;
	int err = vma_create(v, &u);
	if (err)
		return err;
	u->start = at;
	u->pgoff = vma_pgoff(v, at);
	if (u->ops && u->ops->open)
		u->ops->open(u);
	mapping_lock(v->mapping); /* over both, so that a truncation finds each page's area */
	resize_locked(v, v->start, at);
	link_locked(u);
	mapping_unlock(v->mapping);
	*upper = u;
	return 0;
}

bool vma_continues(const struct vma *low, const struct vma *v)
{
	if (low->end != v->start || ((low->flags ^ v->flags) & ~VM_HASANON))
		return false;
	if (low->ops != v->ops || low->file != v->file || low->mapping != v->mapping)
		return false;
	if (v->flags & (VM_SPECIAL | VM_GROWSDOWN))
		return false;
	return !v->ops || low->pgoff + vma_pages(low) == v->pgoff;
}

/*
 * `high` continues `low`, which takes it in, unless a walk over the areas of their mapping is on its way:
 * it may have been at one of them already. False: they stay two.
 */
static bool vma_absorb(struct vma *low, struct vma *high)
{
	struct mapping *m = low->mapping;
	bool may;

	mapping_lock(m);
	may = !m || !m->walks;
	if (may) {
		u64 end = high->end;
		low->flags |= high->flags & VM_HASANON;
		unlink_locked(high);
		resize_locked(low, low->start, end);
	}
	mapping_unlock(m);
	if (!may)
		return false;
	vma_close(high);
	vma_free(high);
	return true;
}

struct vma *vma_merge(struct vma *v)
{
	struct vma *prev = vma_prev(v), *next = vma_next(v);

	if (next && vma_continues(v, next))
		(void)vma_absorb(v, next);
	return prev && vma_continues(prev, v) && vma_absorb(prev, v) ? prev : v;
}
