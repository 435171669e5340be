/* SPDX-License-Identifier: MIT */
/*
 * page_run.c - where in physical memory an address space lies (memory.map of a
 * container): looks at the tables that are there, and changes nothing.
 */
#include "arch/x86/mmu.h"
#include "mm/pagetable.h"

#define PTES 512

/* The physical address behind an entry; false: nothing is there. */
static bool entry_phys(pte_t e, paddr_t *phys)
{
	*phys = pte_address(e);
	return e & (PTE_PRESENT | PTE_PROTNONE);
}

/* Goes on with the run in the table `pt` of va; false: it ends there. */
static bool run_extend(struct page_run *run, const pte_t *pt, u64 *va)
{
	for (unsigned i = *va >> PAGE_SHIFT & (PTES - 1); i < PTES; i++, *va += PAGE_SIZE) {
		paddr_t phys;
		bool there = entry_phys(READ_ONCE(pt[i]), &phys);

		if (run->length && (!there || phys != run->phys + run->length))
			return false;
		if (!there)
			continue;
		if (!run->length) {
			run->va = *va;
			run->phys = phys;
		}
		run->length += PAGE_SIZE;
	}
	return true;
}

bool aspace_next_run(struct aspace *as, u64 va, struct page_run *run)
{
	u64 at = va & ~(u64)(PAGE_SIZE - 1), was;
	pte_t *pt;

	run->length = 0;
	rwmutex_read_lock(&as->lock); /* the tables stay */
	for (;;) {
		was = at;
		pt = pt_next(as, &at, USER_END);
		if (!pt || (run->length && at != was) || !run_extend(run, pt, &at))
			break;
	}
	rwmutex_read_unlock(&as->lock);
	return run->length;
}
