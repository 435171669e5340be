/* SPDX-License-Identifier: MIT */
/*
 * mmu.h - page tables (SDM vol. 3, 4.5), the kernel's map, and TLB shootdown.
 *
 *	0                     .. 0x00007fffffffefff  user
 *	0xffff800000000000    .. direct map of all physical memory (64 TiB)
 *	0xffffc00000000000    .. struct page array
 *	0xffffc80000000000    .. kernel virtual space: stacks, vmalloc, device memory
 *	0xffffca0000000000    .. device memory (mmio_map)
 *	0xffffffff80000000    .. the kernel image
 *
 * The upper half is the same in every address space: its 256 top-level entries
 * are filled at boot and never change. Global pages, NX, write protection in
 * the kernel (CR0.WP), SMEP and SMAP are on where the CPU has them.
 */
#ifndef ARCH_MMU_H
#define ARCH_MMU_H

#include "lib/types.h"

struct aspace;

#define USER_END     0x00007ffffffff000ull /* first address that is not a user's */
#define DIRECT_MAP   0xffff800000000000ull
#define PAGE_ARRAY   0xffffc00000000000ull
#define VSPACE_START 0xffffc80000000000ull
#define VSPACE_END   0xffffca0000000000ull
#define MMIO_START   0xffffca0000000000ull
#define MMIO_END     0xffffca8000000000ull
#define KERNEL_BASE  0xffffffff80000000ull

static inline void *phys_to_virt(paddr_t p)
{
	return (void *)(DIRECT_MAP + p);
}
paddr_t virt_to_phys(const void *v); /* of the direct map or the kernel image */

/* Page-table entries. Bits 9-11 and 52-58 are ours. */
typedef u64 pte_t;
#define PTE_PRESENT  (1ull << 0)
#define PTE_WRITE    (1ull << 1)
#define PTE_USER     (1ull << 2)
#define PTE_PWT	     (1ull << 3)
#define PTE_PCD	     (1ull << 4)
#define PTE_ACCESSED (1ull << 5)
#define PTE_DIRTY    (1ull << 6)
#define PTE_LARGE    (1ull << 7)
#define PTE_GLOBAL   (1ull << 8)
#define PTE_SPECIAL  (1ull << 9) /* no struct page is counted behind this (vDSO data, zero page) */
#define PTE_NX	     (1ull << 63)
#define PTE_ADDRESS  0x000ffffffffff000ull
#define PT_ENTRIES   512

static inline pte_t pte_make(paddr_t p, u64 flags)
{
	return p | flags;
}
static inline paddr_t pte_address(pte_t e)
{
	return e & PTE_ADDRESS;
}
/* Index into the table of `level` (4: top .. 1: pages). */
static inline unsigned pt_index(u64 va, unsigned level)
{
	return va >> (PAGE_SHIFT + 9 * (level - 1)) & (PT_ENTRIES - 1);
}

extern pte_t kernel_pml4[PT_ENTRIES];
void mmu_init(void);	 /* the final kernel map; after the boot map, before page_init */
void mmu_init_cpu(void); /* CR0, CR4, EFER, PAT of this CPU */
/* After boot: i = 0: init.text, 1: init.data are unmapped, and their memory may be used. */
void mmu_release_init(paddr_t *start, paddr_t *end, unsigned i);
/* Fills the upper half of a fresh (zeroed) top-level table. */
void mmu_copy_kernel_half(pte_t *pml4);

/* Maps one page of kernel virtual space (VSPACE). The tables in between exist or are made: -ENOMEM.
 */
int kernel_map_page(u64 va, paddr_t pa, u64 flags);
paddr_t kernel_unmap_page(u64 va); /* the page that was there; the caller flushes */
/* The same for many pages, with large ones where both addresses are aligned; never unmapped. */
int kernel_map_range(u64 va, paddr_t pa, size_t size, u64 flags);
/* What is mapped at va, in the kernel's half; 0: nothing. */
paddr_t kernel_lookup_page(u64 va);

/*
 * Memory before page_init: n zeroed pages, recorded in boot_info.reserved.
 * page_init takes the ranges over when it has no more need of this; main then
 * calls boot_alloc_close(), and page tables come from page_alloc().
 */
paddr_t boot_alloc_pages(size_t n);
void boot_alloc_close(void);

/* Maps device memory uncached; never unmapped. Panics if space is exhausted at boot. */
volatile void *mmio_map(paddr_t pa, size_t size);

/*
 * Loads an address space on this CPU: writes CR3 only if it changes. NULL: a
 * kernel thread, which keeps what is loaded (lazily).
 */
void mmu_switch(struct aspace *as);
/*
 * On every CPU that runs in `as`; waits until all have done it. A CPU that has it
 * loaded lazily flushes when it comes back to it. Only for changed leaf entries:
 * before the memory of a page table is freed, call tlb_flush_all_of, which waits
 * for the lazy CPUs too.
 */
void tlb_flush_range(struct aspace *as, u64 start, u64 end);
void tlb_flush_all_of(struct aspace *as);
void tlb_flush_page_local(u64 va);
void tlb_flush_kernel(u64 start, u64 end); /* VSPACE, on all CPUs */
/*
 * as is going away: no CPU keeps it loaded when this returns. Free of cost if no
 * CPU has it: so tear an address space down after the last switch away from it.
 */
void mmu_forget(struct aspace *as);

#endif
