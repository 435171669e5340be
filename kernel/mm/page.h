/* SPDX-License-Identifier: MIT */
/*
 * page.h - physical pages: a buddy allocator with per-CPU caches of single pages.
 *
 * struct page describes one page of RAM; the array of them is mapped at
 * PAGE_ARRAY. A page is free (in the buddy system or a CPU's cache: refs = 0),
 * or allocated: refs > 0, and what the union means depends on its owner (flags).
 * Allocating with an account charges it first and fails with NULL when that is
 * refused; the last page_put() uncharges.
 *
 * Each page-table entry that maps a page in user space holds one reference (so
 * an anonymous page with refs = 1 belongs to one address space alone). A page
 * found in the page cache without a lock may get a reference for an instant
 * from someone who then sees that it is another page: a count above what is
 * expected means "perhaps shared", never that something leaks.
 */
#ifndef MM_PAGE_H
#define MM_PAGE_H

#include "arch/x86/mmu.h"
#include "core/account.h"
#include "core/rcu.h"
#include "lib/list.h"

/* page->flags */
#define PG_SLAB	    BIT(0) /* slab owns it */
#define PG_TABLE    BIT(1) /* a page table */
#define PG_CACHE    BIT(2) /* data of a file, counted as USE_CACHE until it is freed */
#define PG_ANON	    BIT(3) /* anonymous user memory */
#define PG_KERNEL   BIT(5) /* whole pages of the kernel's that are charged to somebody */
#define PG_DIRTY    BIT(4) /* written, or may be through page tables: see pagecache.h */
#define PG_RESERVED BIT(7) /* never freed: kernel image, holes, the zero page */
#define PG_LRU	    BIT(9)
#define PG_BUDDY    BIT(10)

struct page {
	u32 flags;		 /* atomic where shared */
	s32 refs;		 /* references: mappings, cache, kernel users */
	struct account *account; /* charged; NULL: the machine itself */
	void *slab_cache;	 /* PG_SLAB: mm/slab.c's own */
	void *slab_free;
	union {
		struct list list;    /* buddy, LRU or slab list */
		struct rcu_head rcu; /* a SLAB_RCU slab on its way out */
	};
	u32 order; /* of the block that this page heads */
	u32 pad;
	u64 private; /* the owner's */
};
_Static_assert(sizeof(struct page) == 64, "struct page must stay at 64 bytes");

#define page_of_pfn(n) ((struct page *)PAGE_ARRAY + (n))
static inline u64 page_pfn(const struct page *p)
{
	return p - (struct page *)PAGE_ARRAY;
}
static inline paddr_t page_phys(const struct page *p)
{
	return page_pfn(p) << PAGE_SHIFT;
}
static inline void *page_virt(const struct page *p)
{
	return phys_to_virt(page_phys(p));
}
static inline struct page *page_of_phys(paddr_t a)
{
	return page_of_pfn(a >> PAGE_SHIFT);
}
static inline struct page *page_of_virt(const void *v)
{
	return page_of_phys(virt_to_phys(v));
}

/* flags of page_alloc */
#define PAGE_ZERO   BIT(0) /* cleared */
#define PAGE_KERNEL BIT(1) /* may dip into the reserve */

#define PAGE_ORDER_MAX 10 /* largest block: 4 MiB */

void page_init(void); /* from boot_info; after arch_init_memory */
/*
 * 2^order contiguous pages with one reference on the head, charged to `account`
 * (NULL: nobody). NULL: out of memory or over the limit. Never sleeps.
 */
struct page *page_alloc(unsigned order, u32 flags, struct account *account);
/* Up to n single pages, charged at once: how many there are in out[] (0: none). */
unsigned page_alloc_bulk(struct page **out, unsigned n, u32 flags, struct account *account);
static inline struct page *page_get(struct page *p)
{
	__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}
void page_free_last(struct page *p);	    /* page.c's: the last reference has gone */
static inline void page_put(struct page *p) /* frees (all of the block) at zero */
{
	s32 now = __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL);
	if (now <= 0)
		page_free_last(p);
}
void page_put_many(struct page **pages, size_t n); /* uncharges in few steps; uses up pages[] */
/* For finding pages without a lock: false if p is free. */
static inline bool page_get_unless_free(struct page *p)
{
	s32 old = __atomic_load_n(&p->refs, __ATOMIC_RELAXED);
	while (old > 0)
		if (__atomic_compare_exchange_n(&p->refs, &old, old + 1, true, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
	return false;
}
void page_free_range(paddr_t start,
		     paddr_t end); /* gives boot memory (initrd, init code) to the allocator */
/* A page's charge moves to another account (say, from the writer who left): -ENOMEM. */
int page_recharge(struct page *p, struct account *to);

struct page_stats {
	u64 total, free, cached, slab, tables, kernel_stacks, anon; /* pages */
};
/* Few pages are free: who fills caches should empty some first. No lock, not exact. */
bool page_is_short(void);
void page_stats(struct page_stats *s); /* per-CPU caches included in free */
/* What is cached per CPU (pages, kernel stacks, dead page tables) back to the buddy system. */
void page_drain(void);

/* What pages are used for, counted per CPU (any one CPU's number may be negative). */
enum page_use { USE_SLAB, USE_TABLE, USE_KSTACK, USE_ANON, USE_CACHE, USE_COUNT };
struct page_uses {
	s64 n[USE_COUNT];
};
extern struct page_uses page_uses; /* PERCPU */
static inline void page_use_add(enum page_use u, s64 n)
{
	percpu_this(page_uses).n[u] += n;
}
/* Counts what a fresh page is for, until it is freed. */
static inline void page_become(struct page *p, u32 flag, enum memory_use use)
{
	p->flags = flag;
	if (p->account)
		account_use(p->account, use, PAGE_SIZE << p->order);
}
static inline void page_become_cache(struct page *p) /* a file's data */
{
	page_become(p, PG_CACHE, MEM_FILE);
	page_use_add(USE_CACHE, 1);
}
static inline void page_become_table(struct page *p)
{
	page_become(p, PG_TABLE, MEM_TABLE);
	page_use_add(USE_TABLE, 1);
}
static inline void page_become_kernel(struct page *p)
{
	page_become(p, PG_KERNEL, MEM_PAGES);
}
extern struct page *zero_page; /* a page of zeros, PG_RESERVED */

/* memory_stat.c: bytes charged to an account and those below it. */
struct memory_stat {
	u64 anon, file;
	u64 kernel; /* the sum of: */
	u64 stacks, tables, sock, slab;
	u64 pages; /* vmalloc, large buffers */
};
void memory_stat(const struct account *a, struct memory_stat *s);

/* Called when memory is short, with no locks held, to free `pages`: returns how many it did. */
struct shrinker {
	const char *name;
	u64 (*shrink)(struct account *a, u64 pages); /* a: over its limit; the root: the machine */
	struct list node;
};
void shrinker_add(struct shrinker *s);

/*
 * At a fault or system-call boundary, after an allocation failed with -ENOMEM,
 * with no lock held: reclaims, else picks a victim inside the account that is
 * over its limit and kills it. 0: try again; -ENOMEM: current should fail or is
 * being killed. proc hands over the killer by oom_set_killer.
 */
int memory_reclaim(struct account *a, u64 pages);
/* current, on its way to user mode, has WORK_RECLAIM: its account is over memory.high. */
void memory_throttle(void);
/* What to ask for after a fault: a page and the three tables it may need, or it could fail again
 * for ever. */
#define FAULT_PAGES 4
void oom_set_killer(
	bool (*kill)(struct account *a)); /* kills one task charged below a; false: none */

#endif
