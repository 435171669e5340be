/* SPDX-License-Identifier: MIT */
/* internal.h - what the files of mm/ share with each other and with nobody else. */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include "mm/page.h"

/* --- page.c and pageboot.c --- */
struct buddy {
	spinlock_t lock;
	u32 orders;   /* bit per order: its list is not empty */
	u64 nfree;    /* pages on the lists */
	u64 deferred; /* free pages without struct pages yet (pageboot.c) */
	u64 total;    /* pages ever handed to the allocator */
	struct list free[PAGE_ORDER_MAX + 1];
};
extern struct buddy buddy;
void buddy_init(void);
void buddy_set_reserve(void);
void buddy_give(struct page *p, unsigned order); /* under buddy.lock */
void buddy_give_run(u64 pfn, u64 n);		 /* under buddy.lock */
bool page_grow(void); /* takes deferred memory in; under buddy.lock; false: none left */

/* --- vspace.c: mapping pages in the kernel's own space --- */
#define KERNEL_DATA_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_GLOBAL | PTE_NX)
/* A hole of that many bytes, with an unmapped page below it: -ENOMEM. */
int vspace_reserve(size_t size, u64 *va);
void vspace_release(u64 va); /* nothing is mapped there any more */

/* --- pagecache.c, rmap.c --- */
struct mapping;
void aspace_init(void);
/*
 * Takes pages [first, last] of m out of all page tables. private_copies: also
 * what private areas have there in place of them.
 */
void mapping_zap(struct mapping *m, u64 first, u64 last, bool private_copies);
/* The same under m->lock. */
void mapping_zap_locked(struct mapping *m, u64 first, u64 last, bool private_copies);
/* Takes write permission away from the entries of shared areas. Under m->lock. */
void mapping_protect_areas(struct mapping *m, u64 first, u64 last);

/* --- kstack.c --- */
void kstack_init(void);
void kstack_drain_this_cpu(void); /* its stock to the pool */
void kstack_drain_pool(void);	  /* unmaps the pool's, and forgets bare places */

#endif
