/* SPDX-License-Identifier: MIT */
/* vma.h - areas of an address space: the operations on one (mm/ only). Under as->lock, writing. */
#ifndef MM_VMA_H
#define MM_VMA_H

#include "mm/aspace.h"

#define STACK_GUARD (256 * PAGE_SIZE) /* kept free below an area that grows down, as Linux does */

static inline struct vma *vma_of(struct gap_node *n)
{
	return n ? container_of(n, struct vma, gap) : NULL;
}
static inline struct vma *vma_prev(struct vma *v)
{
	return vma_of(gap_prev(&v->gap));
}
static inline struct vma *vma_last(struct aspace *as)
{
	struct tree_node *n = tree_last(&as->areas);
	return n ? container_of(n, struct vma, node) : NULL;
}
static inline u64 vma_pages(const struct vma *v)
{
	return (v->end - v->start) >> PAGE_SHIFT;
}
static inline bool vma_is_private_writable(u64 flags)
{
	return (flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN)) == VM_WRITE;
}
/* Where the area begins for those who look for room below it. */
static inline u64 vma_guarded_start(const struct vma *v)
{
	if (!(v->flags & VM_GROWSDOWN))
		return v->start;
	return v->start > STACK_GUARD ? v->start - STACK_GUARD : 0;
}
/* The page of the object behind v that belongs at va. */
static inline u64 vma_pgoff(const struct vma *v, u64 va)
{
	return v->pgoff + ((va - v->start) >> PAGE_SHIFT);
}

void vma_init(void);
/* A copy of *from (open() not called, in no tree): -ENOMEM. */
int vma_create(const struct vma *from, struct vma **out);
void vma_free(struct vma *v);
void vma_link(struct vma *v);	/* into as->areas, mapping->areas, the totals */
void vma_unlink(struct vma *v); /* out of all of them */
void vma_leave_mapping(struct vma *v);
/* Moves an end (and pgoff) of a linked area; passes no neighbour. */
void vma_resize(struct vma *v, u64 start, u64 end);
void vma_set_flags(struct vma *v, u64 flags);
/* Cuts v at `at`: v keeps the lower part. -ENOMEM (memory, or too many areas). */
int vma_split(struct vma *v, u64 at, struct vma **upper);
/* Would an area like `v` (its fields, not linked) continue `low` directly behind it? */
bool vma_continues(const struct vma *low, const struct vma *v);
/* Joins v with its neighbours if they are alike; the area that then holds it. */
struct vma *vma_merge(struct vma *v);
void vma_close(struct vma *v); /* ops->close */

/* --- map.c: for brk, mremap; as->lock held for writing --- */
/* `want` describes the area (start..end, flags, ...; open not called): the area in *out. */
int map_area(struct aspace *as, const struct vma *want, struct vma **out);
int unmap_locked(struct aspace *as, u64 start, u64 end);
bool range_is_free(struct aspace *as, u64 start, u64 end);
int find_room(struct aspace *as, u64 hint, u64 len, u32 flags, u64 *out);
/* Limits on `pages` more with these flags: -ENOMEM, -EAGAIN. */
int check_limits(struct aspace *as, u64 pages, u64 flags);
/* -EAGAIN: RLIMIT_MEMLOCK. */
int check_lock_limit(struct aspace *as, u64 pages);
struct gather;
/* Pages [start, end) of v out of its page tables, with resched_point()s. */
void zap_range(struct gather *g, struct vma *v, u64 start, u64 end);
/* Splits so that areas begin at start and end at end; *first: the first of them (or NULL). */
int isolate_range(struct aspace *as, u64 start, u64 end, struct vma **first);

void unmap_dead(struct aspace *as); /* aspace_put's: everything */

/* --- fault.c --- */
/* Anonymous memory: how many pages one fault may bring in. */
#define ANON_AROUND 32
/* File mappings: so many neighbours that are cached are mapped with the page that was missing. */
#define FILE_AROUND 16
/* Brings one page in. as->lock held for reading. 0, -EFAULT (no page there), -ENOMEM, -EIO. */
int fault_in(struct vma *v, u64 va, bool write);
/* Grows the stack area above va down to it; takes as->lock. -EFAULT, -ENOMEM. */
int stack_grow(struct aspace *as, u64 va);

#endif
