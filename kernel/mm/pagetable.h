/* SPDX-License-Identifier: MIT */
/*
 * pagetable.h - the user half of an address space's page tables: walking,
 * making, clearing, copying, protecting (mm/ only).
 *
 * An entry is 0 (nothing), SPECIAL (no reference is held: the zero page, the
 * vDSO), or holds one reference on its page; of an area without access it is
 * not PRESENT but PROTNONE. Tables come into being under pt_lock and go only
 * under as->lock held for writing, so whoever holds that for reading may walk
 * without pt_lock; entries change under pt_lock only.
 */
#ifndef MM_PAGETABLE_H
#define MM_PAGETABLE_H

#include "mm/aspace.h"
#include "mm/page.h"

#define PTE_PROTNONE (1ull << 10)
#define TABLE_SPAN   (1ul << 21) /* what one page table maps */

static inline struct page *pte_page(pte_t e)
{
	return page_of_phys(pte_address(e));
}

/* The entry of va; NULL: there is no table. */
pte_t *pt_find(struct aspace *as, u64 va);
/* The same, made if need be; under pt_lock. NULL: out of memory. */
pte_t *pt_make(struct aspace *as, u64 va);
/* The table of the first existing one at or above *va (moved there), below end; NULL: none. */
pte_t *pt_next(struct aspace *as, u64 *va, u64 end);
static inline u64 pt_stop(u64 va, u64 end)
{
	return MIN((va | (TABLE_SPAN - 1)) + 1, end);
}

/* The bits of a readable entry of this area: no write permission. */
static inline u64 vma_pte_flags(const struct vma *v)
{
	u64 nx = v->flags & VM_EXEC ? 0 : PTE_NX;

	if (unlikely(!(v->flags & (VM_READ | VM_WRITE | VM_EXEC))))
		return PTE_PROTNONE | PTE_USER | PTE_ACCESSED | nx;
	return PTE_PRESENT | PTE_USER | PTE_ACCESSED | nx;
}

#define GATHER_SMALL 32

/*
 * What was cleared and must not be freed before the TLBs know: gather_begin,
 * any number of pt_zap and pt_free_tables, gather_end.
 */
struct gather {
	struct aspace *as;
	bool dead; /* nobody runs in it any more: no flush; tables go to as->dead_tables */
	u32 count, max;
	u64 start, end;	     /* what must be flushed */
	struct page *tables; /* chained by page->private */
	struct page **pages; /* small, or a page full of pointers */
	struct page *big;
	struct page *small[GATHER_SMALL];
};

void gather_begin(struct gather *g, struct aspace *as, bool dead);
void gather_end(struct gather *g);
/* Clears [start, end), part of v. anon: private copies of file pages, too. */
void pt_zap(struct gather *g, struct vma *v, u64 start, u64 end, bool anon);
/*
 * Unlinks the tables behind [start, end), which maps nothing, as far as they lie
 * within [floor, ceiling). as->lock is held for writing (or nobody is left).
 */
void pt_free_tables(struct gather *g, u64 start, u64 end, u64 floor, u64 ceiling);
void tables_free(struct page *tables);

/* Entries of [start, end) get the protection of v. Flushes if it took something away. */
void pt_protect(struct vma *v, u64 start, u64 end);
/* The entries of [start, end), part of v, let nobody write; flushes if one did. */
void pt_write_protect(struct vma *v, u64 start, u64 end);
/* fork: copies v's entries to the new address space; *cow: the parent's were write-protected. */
int pt_copy(struct aspace *to, struct vma *v, bool *cow);
/* mremap: moves the entries of `len` bytes at `from` to `to`; the tables exist: pt_make_range. */
int pt_make_range(struct aspace *as, u64 va, u64 len);
void pt_move(struct aspace *as, u64 from, u64 to, u64 len);

static inline void rss_add(struct aspace *as, s64 *which, s64 n)
{
	*which += n;
	if (n > 0) {
		s64 all = as->rss_anon + as->rss_file + as->rss_shmem;
		if (all > as->rss_peak)
			as->rss_peak = all;
	}
}
/* The counter of the pages of v that are not anonymous. */
static inline s64 *rss_of(struct vma *v)
{
	return v->ops == &shmem_vm_ops ? &v->as->rss_shmem : &v->as->rss_file;
}

#endif
