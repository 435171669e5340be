/* SPDX-License-Identifier: MIT */
/*
 * remap.c - mremap(2): an area, or the end of one, gets longer, shorter, or
 * another place. Contents move by moving page-table entries; before the first
 * moves, the new area and all its page tables exist, so that nothing can fail
 * half-way.
 */
#include "core/errno.h"
#include "core/rlimit.h"
#include "mm/pagecache.h"
#include "mm/pagetable.h"
#include "mm/vma.h"

#define MREMAP_MAYMOVE	 1
#define MREMAP_FIXED	 2
#define MREMAP_DONTUNMAP 4
#define MOVE_STEP	 (16ul << 20) /* between two resched_point()s */

struct remap {
	struct aspace *as;
	u64 old, old_len, len, to;
	u32 flags;
};

/* The area at r->old if it may be resized or moved. */
static int remap_area(const struct remap *r, struct vma **out)
{
	struct vma *v = vma_find(r->as, r->old);

	if (!v || v->start > r->old)
		return -EFAULT;
	/* An old length of 0 duplicates a shared mapping (man 2 mremap, BUGS). */
	if (!r->old_len && !(v->flags & VM_SHARED))
		return -EINVAL;
	if ((r->flags & MREMAP_DONTUNMAP) && (v->flags & VM_SPECIAL))
		return -EINVAL;
	if (r->old_len > v->end - r->old)
		return -EFAULT;
	*out = v;
	if (r->len <= r->old_len)
		return 0;
	if (v->flags & VM_SPECIAL)
		return -EFAULT;
	if (vma_pgoff(v, r->old) + (r->len >> PAGE_SHIFT) < vma_pgoff(v, r->old))
		return -EINVAL;
	return check_limits(r->as, (r->len - r->old_len) >> PAGE_SHIFT, v->flags);
}

/* Moves what v shows at r->old to `at`, where there is room, and unmaps the old place. */
static int move(const struct remap *r, struct vma *v, u64 at)
{
	struct aspace *as = r->as;
	struct vma want = *v, *new;
	struct mapping *m = v->mapping;
	u64 n = MIN(r->old_len, r->len);

	want.start = at;
	want.end = at + r->len;
	want.pgoff = v->ops ? vma_pgoff(v, r->old) : at >> PAGE_SHIFT;
	if (as->area_count + 3 >= MAP_COUNT_MAX)
		return -ENOMEM;
	int err = pt_make_range(as, at, n);
	if (err)
		return err;
	err = map_area(as, &want, &new);
	if (err)
		return err;
	for (u64 done = 0; done < n; done += MOVE_STEP) {
		if (m) /* a truncation meanwhile finds each entry at one of the two places */
			spin_lock(&m->lock);
		pt_move(as, r->old + done, at + done, MIN(n - done, MOVE_STEP));
		if (m)
			spin_unlock(&m->lock);
		resched_point();
	}
	if (r->flags & MREMAP_DONTUNMAP) {
		/* The old area stays, empty and no longer locked. */
		v = vma_find(as, r->old);
		if (v->flags & VM_LOCKED)
			vma_set_flags(v, v->flags & ~(VM_LOCKED | VM_ONFAULT));
		return 0;
	}
	return r->old_len ? unmap_locked(as, r->old, r->old + r->old_len) : 0;
}

/* MREMAP_FIXED or DONTUNMAP: to a given place, or to any. */
static int remap_to(struct remap *r, u64 *out)
{
	struct vma *v;
	int err;

	if (r->flags & MREMAP_FIXED) {
		err = unmap_locked(r->as, r->to, r->to + r->len);
		if (err)
			return err;
	}
	if (r->old_len > r->len) {
		err = unmap_locked(r->as, r->old + r->len, r->old + r->old_len);
		if (err)
			return err;
		r->old_len = r->len;
	}
	err = remap_area(r, &v);
	if (err)
		return err;
	if ((r->flags & MREMAP_DONTUNMAP) &&
	    r->as->total_pages + (r->len >> PAGE_SHIFT) > rlimit_cur(RLIMIT_AS) >> PAGE_SHIFT)
		return -ENOMEM;
	*out = r->to;
	if (!(r->flags & MREMAP_FIXED)) {
		err = find_room(r->as, r->to, r->len, 0, out);
		if (err)
			return err;
	}
	return move(r, v, *out);
}

static bool can_grow_in_place(const struct remap *r, const struct vma *v)
{
	u64 end = r->old + r->len;
	struct vma *next = vma_next((struct vma *)v);

	if (v->end != r->old + r->old_len || end > USER_END || end < r->old)
		return false;
	return !next || vma_guarded_start(next) >= end;
}

static int remap_locked(struct remap *r, u64 *out, bool *locked)
{
	struct vma *v;

	if (r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		return remap_to(r, out);
	*out = r->old;
	if (r->old_len >= r->len && r->old_len) {
		v = vma_find(r->as, r->old);
		if (!v || v->start > r->old)
			return -EFAULT;
		return r->old_len == r->len
			       ? (r->old_len > v->end - r->old ? -EFAULT : 0)
			       : unmap_locked(r->as, r->old + r->len, r->old + r->old_len);
	}
	int err = remap_area(r, &v);
	if (err)
		return err;
	*locked = (v->flags & (VM_LOCKED | VM_ONFAULT)) == VM_LOCKED;
	if (r->old_len && can_grow_in_place(r, v)) {
		vma_resize(v, v->start, r->old + r->len);
		vma_merge(v);
		return 0;
	}
	if (!(r->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	err = find_room(r->as, 0, r->len, 0, out);
	return err ? err : move(r, v, *out);
}

int aspace_remap(struct aspace *as, u64 old, u64 old_len, u64 len, u32 flags, u64 to, u64 *out)
{
	struct remap r = {
		.as = as,
		.old = old,
		.old_len = old_len,
		.len = len,
		.to = to,
		.flags = flags,
	};
	bool locked = false;
	int err = rwmutex_write_lock_killable(&as->lock);

	if (err)
		return err;
	err = remap_locked(&r, out, &locked);
	rwmutex_write_unlock(&as->lock);
	if (!err && locked && len > old_len)
		(void)aspace_populate(as, *out + old_len, len - old_len, false);
	return err;
}
