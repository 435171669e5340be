/* SPDX-License-Identifier: MIT */
/*
 * mmu.c - the kernel's map (mmu.h draws it) and this CPU's paging registers.
 *
 * mmu_init() builds kernel_pml4 with memory from boot_alloc_pages() and loads it:
 *
 *	direct map    all RAM and the first MiB, writable, never executable; the
 *	              kernel's text and constants read-only there too
 *	image         text executable, constants read-only, the rest writable
 *	tables        a second-level table for every top-level entry that will ever
 *	              be used, so that the 256 upper entries never change
 *
 * Tables of the kernel's half are added without a lock (the loser of a race gives
 * its page back) and never freed. Accessed and dirty are set from the start, so
 * that the CPU never has to write them.
 */
#include "arch/x86/boot.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/layout.h"
#include "arch/x86/mmu.h"
#include "core/errno.h"
#include "core/printk.h"
#include "mm/page.h"

#define KERNEL_TABLE (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY)
#define KERNEL_PAGE  (PTE_PRESENT | PTE_GLOBAL | PTE_ACCESSED | PTE_DIRTY)
#define KERNEL_RX    KERNEL_PAGE
#define KERNEL_R     (KERNEL_PAGE | PTE_NX)
#define KERNEL_RW    (KERNEL_PAGE | PTE_WRITE | PTE_NX)
#define KERNEL_MMIO  (KERNEL_RW | PTE_PCD | PTE_PWT)

#define LEVEL_SIZE(level) (1ull << (PAGE_SHIFT + 9 * ((level)-1)))

pte_t kernel_pml4[PT_ENTRIES] __aligned(PAGE_SIZE);

static u16 used_half[PT_ENTRIES / 2]; /* indexes of the upper entries in use */
static unsigned used_count;
static u64 mmio_next = MMIO_START;

paddr_t virt_to_phys(const void *v)
{
	u64 a = (u64)v;

	if (a >= KERNEL_BASE)
		return a - KERNEL_BASE;
	ASSERT(a >= DIRECT_MAP && a < PAGE_ARRAY);
	return a - DIRECT_MAP;
}

paddr_t kernel_cr3(void)
{
	return virt_to_phys(kernel_pml4);
}

/* --- walking --- */

static paddr_t table_alloc(void)
{
	if (boot_alloc_is_open())
		return boot_alloc_pages(1);
	struct page *p = page_alloc(0, PAGE_ZERO | PAGE_KERNEL, NULL);
	return p ? page_phys(p) : 0;
}

static void table_free(paddr_t pa)
{
	if (!boot_alloc_is_open())
		page_put(page_of_phys(pa));
}

/* The table that *entry points to, made if need be. NULL: no memory, or a large page is there. */
static pte_t *next_table(pte_t *entry)
{
	pte_t old = __atomic_load_n(entry, __ATOMIC_ACQUIRE);

	if (old & PTE_LARGE)
		return NULL;
	if (!(old & PTE_PRESENT)) {
		paddr_t pa = table_alloc();
		if (!pa)
			return NULL;
		if (__atomic_compare_exchange_n(entry, &old, pa | KERNEL_TABLE, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			old = pa;
		else
			table_free(pa);
	}
	return phys_to_virt(pte_address(old));
}

/* The entry for va in the table of `level`, with the tables above made; NULL as next_table. */
static pte_t *kernel_entry(u64 va, unsigned level)
{
	pte_t *e = &kernel_pml4[pt_index(va, 4)];

	for (unsigned l = 4; l > level; l--) {
		pte_t *table = next_table(e);
		if (!table)
			return NULL;
		e = &table[pt_index(va, l - 1)];
	}
	return e;
}

/* The same without making anything: the last-level entry of va, or NULL. */
static pte_t *kernel_entry_find(u64 va)
{
	pte_t *e = &kernel_pml4[pt_index(va, 4)];

	for (unsigned l = 4; l > 1; l--) {
		if (!(*e & PTE_PRESENT) || (*e & PTE_LARGE))
			return NULL;
		e = (pte_t *)phys_to_virt(pte_address(*e)) + pt_index(va, l - 1);
	}
	return e;
}

int kernel_map_page(u64 va, paddr_t pa, u64 flags)
{
	pte_t *e = kernel_entry(va, 1);

	if (!e)
		return -ENOMEM;
	WRITE_ONCE(*e, pte_make(pa, flags | PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY));
	return 0;
}

paddr_t kernel_unmap_page(u64 va)
{
	pte_t *e = kernel_entry_find(va);
	paddr_t pa = e ? pte_address(*e) : 0;

	if (e)
		WRITE_ONCE(*e, 0);
	return pa;
}

paddr_t kernel_lookup_page(u64 va)
{
	pte_t *e = &kernel_pml4[pt_index(va, 4)];
	unsigned l = 4;

	for (; l > 1; l--) {
		if (!(*e & PTE_PRESENT))
			return 0;
		if (*e & PTE_LARGE)
			break;
		e = (pte_t *)phys_to_virt(pte_address(*e)) + pt_index(va, l - 1);
	}
	if (!(*e & PTE_PRESENT))
		return 0;
	return ALIGN_DOWN(pte_address(*e), LEVEL_SIZE(l)) + (va & (LEVEL_SIZE(l) - 1) & ~PAGE_MASK);
}

/* The largest page that fits: both addresses aligned to it, and size enough left. */
static unsigned level_for(u64 va, paddr_t pa, u64 size)
{
	for (unsigned level = cpu_has.gb_pages ? 3 : 2; level > 1; level--)
		if (((va | pa) & (LEVEL_SIZE(level) - 1)) == 0 && size >= LEVEL_SIZE(level))
			return level;
	return 1;
}

int kernel_map_range(u64 va, paddr_t pa, size_t size, u64 flags)
{
	while (size) {
		unsigned level = level_for(va, pa, size);
		pte_t *e = kernel_entry(va, level);
		if (!e)
			return -ENOMEM;
		WRITE_ONCE(*e, pte_make(pa, flags | PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY |
						    (level > 1 ? PTE_LARGE : 0)));
		va += LEVEL_SIZE(level);
		pa += LEVEL_SIZE(level);
		size -= MIN(size, LEVEL_SIZE(level));
	}
	return 0;
}

volatile void *mmio_map(paddr_t pa, size_t size)
{
	u64 offset = pa & PAGE_MASK;
	u64 len = ALIGN_UP(size + offset, PAGE_SIZE);
	u64 va = __atomic_fetch_add(&mmio_next, len, __ATOMIC_RELAXED);

	BUG_IF(va + len > MMIO_END, "%zu bytes at %lx", size, pa);
	if (kernel_map_range(va, pa - offset, len, KERNEL_MMIO) < 0)
		panic("mmio_map: no memory for %zu bytes at %lx", size, pa);
	return (volatile void *)(va + offset);
}

/* --- start-up --- */

static void map(u64 va, paddr_t start, paddr_t end, u64 flags)
{
	if (start < end && kernel_map_range(va, start, end - start, flags) < 0)
		panic("mmu_init: cannot map %lx", va);
}

/* [start, end) of the direct map, but for [from, to), where it is read-only. */
static void map_direct_except(paddr_t start, paddr_t end, paddr_t from, paddr_t to)
{
	paddr_t a = MAX(start, MIN(end, from)), b = MAX(start, MIN(end, to));

	map(DIRECT_MAP + start, start, a, KERNEL_RW);
	map(DIRECT_MAP + a, a, b, KERNEL_R);
	map(DIRECT_MAP + b, b, end, KERNEL_RW);
}

/* What is read-only in the image is so here as well; init.text will be ordinary memory. */
static void map_direct(paddr_t start, paddr_t end)
{
	paddr_t middle = MAX(start, MIN(end, virt_to_phys(init_text_end)));

	map_direct_except(start, middle, virt_to_phys(kernel_start), virt_to_phys(init_text_start));
	map_direct_except(middle, end, virt_to_phys(text_end), virt_to_phys(rodata_end));
}

static void map_section(char *start, char *end, u64 flags)
{
	map((u64)start, virt_to_phys(start), virt_to_phys(end), flags);
}

static void map_image(void)
{
	map_section(kernel_start, text_end, KERNEL_RX);
	map_section(text_end, rodata_end, KERNEL_R);
	map_section(rodata_end, kernel_end, KERNEL_RW);
}

/* Makes the second-level tables of [start, end). */
static void reserve_top(u64 start, u64 end)
{
	for (u64 va = start; va < end; va += LEVEL_SIZE(4))
		if (!next_table(&kernel_pml4[pt_index(va, 4)]))
			panic("mmu_init: no table for %lx", va);
}

/* Takes the i-th part of the image that only boot needs out of the map; its physical range. */
void mmu_release_init(paddr_t *start, paddr_t *end, unsigned i)
{
	char *from = i ? init_data_start : init_text_start, *to = i ? init_data_end : init_text_end;

	for (char *p = from; p < to; p += PAGE_SIZE)
		kernel_unmap_page((u64)p);
	tlb_flush_kernel((u64)from, (u64)to);
	*start = virt_to_phys(from);
	*end = virt_to_phys(to);
}

void mmu_copy_kernel_half(pte_t *pml4)
{
	for (unsigned i = 0; i < used_count; i++)
		pml4[used_half[i]] = kernel_pml4[used_half[i]];
}

void mmu_init_cpu(void)
{
	u64 cr0, cr4;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	cr0 = (cr0 & ~CR0_EM) | CR0_MP | CR0_NE | CR0_WP | CR0_AM | CR0_TS;
	cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	cr4 |= (cpu_has.pge ? CR4_PGE : 0) | (cpu_has.mce ? CR4_MCE : 0) |
	       (cpu_has.smep ? CR4_SMEP : 0) | (cpu_has.smap ? CR4_SMAP : 0) |
	       (cpu_has.umip ? CR4_UMIP : 0) | (cpu_has.fsgsbase ? CR4_FSGSBASE : 0) |
	       (cpu_has.xsave ? CR4_OSXSAVE : 0);
	if (cpu_has.pat) /* the power-on value: PCD|PWT is uncacheable (SDM vol. 3, 11.12.4) */
		wrmsr(MSR_PAT, 0x0007040600070406);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
	__asm__ volatile("mov %0, %%cr3" ::"r"(kernel_cr3()) : "memory");
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4));
	__asm__ volatile("mov %0, %%cr0" ::"r"(cr0));
}

void mmu_init(void)
{
	if (!cpu_has.nx)
		panic("mmu_init: this CPU cannot forbid execution (NX)");
	map_direct(0, 0x100000);
	for (unsigned i = 0; i < boot_info.ram_count; i++)
		map_direct(boot_info.ram[i].start, boot_info.ram[i].end);
	map_image();
	reserve_top(PAGE_ARRAY, PAGE_ARRAY + LEVEL_SIZE(4));
	reserve_top(VSPACE_START, VSPACE_END);
	reserve_top(MMIO_START, MMIO_END);
	for (unsigned i = PT_ENTRIES / 2; i < PT_ENTRIES; i++)
		if (kernel_pml4[i])
			used_half[used_count++] = i;
	mmu_init_cpu();
	boot_alloc_unlimited();
}
