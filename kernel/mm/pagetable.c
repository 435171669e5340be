/* SPDX-License-Identifier: MIT */
/*
 * pagetable.c - walking, making and clearing user page tables (contract:
 * pagetable.h). Loops go table by table, never entry by entry from the top.
 *
 * Order of freeing, always: clear entries (pt_lock), flush the TLBs, drop the
 * references. Tables likewise, but for them the flush must reach CPUs that have
 * the address space loaded without running in it (tlb_flush_all_of).
 */
#include "mm/pagetable.h"
#include "core/errno.h"

#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

static inline pte_t *table_of(pte_t e)
{
	return phys_to_virt(pte_address(e));
}

pte_t *pt_find(struct aspace *as, u64 va)
{
	pte_t *t = as->pml4;

	for (unsigned level = 4; level > 1; level--) {
		pte_t e = READ_ONCE(t[pt_index(va, level)]);
		if (!e)
			return NULL;
		t = table_of(e);
	}
	return &t[pt_index(va, 1)];
}

pte_t *pt_make(struct aspace *as, u64 va)
{
	pte_t *t = as->pml4;

	spin_assert_held(&as->pt_lock);
	for (unsigned level = 4; level > 1; level--) {
		pte_t *e = &t[pt_index(va, level)];
		if (unlikely(!*e)) {
			struct page *p = page_alloc(0, PAGE_ZERO, as->account);
			if (!p)
				return NULL;
			page_become_table(p);
			as->table_pages++;
			__atomic_store_n(e, pte_make(page_phys(p), TABLE_FLAGS), __ATOMIC_RELEASE);
		}
		t = table_of(*e);
	}
	return &t[pt_index(va, 1)];
}

pte_t *pt_next(struct aspace *as, u64 *va, u64 end)
{
	while (*va < end) {
		pte_t *t = as->pml4;
		unsigned level = 4;
		for (; level > 1; level--) {
			pte_t e = READ_ONCE(t[pt_index(*va, level)]);
			if (!e)
				break;
			t = table_of(e);
		}
		if (level == 1)
			return t;
		u64 span = 1ul << (PAGE_SHIFT + 9 * (level - 1));
		*va = (*va | (span - 1)) + 1;
	}
	return NULL;
}

/* --- gathering what is to be freed --- */

void gather_begin(struct gather *g, struct aspace *as, bool dead)
{
	g->as = as;
	g->dead = dead;
	g->count = 0;
	g->max = GATHER_SMALL;
	g->start = UINT64_MAX;
	g->end = 0;
	g->tables = NULL;
	g->big = NULL;
	g->pages = g->small;
}

static void gather_flush(struct gather *g)
{
	if (!g->dead && g->start < g->end)
		tlb_flush_range(g->as, g->start, g->end);
	g->start = UINT64_MAX;
	g->end = 0;
	page_put_many(g->pages, g->count);
	g->count = 0;
}

/* The batch is full: a larger one, if there is memory, saves flushes. */
static __noinline void gather_more(struct gather *g)
{
	if (!g->big && !g->dead && (g->big = page_alloc(0, 0, NULL))) {
		struct page **big = page_virt(g->big);
		for (u32 i = 0; i < g->count; i++)
			big[i] = g->small[i];
		g->pages = big;
		g->max = PAGE_SIZE / sizeof(big[0]);
		return;
	}
	gather_flush(g);
}

void tables_free(struct page *tables)
{
	while (tables) {
		struct page *next = (struct page *)tables->private;
		page_use_add(USE_TABLE, -1);
		page_put(tables);
		tables = next;
	}
}

void gather_end(struct gather *g)
{
	if (g->tables && !g->dead) {
		tlb_flush_all_of(g->as);
		g->start = UINT64_MAX; /* which was all of it */
	}
	gather_flush(g);
	if (g->big)
		page_put(g->big);
	if (!g->tables)
		return;
	if (!g->dead) {
		tables_free(g->tables);
		return;
	}
	struct page **end = &g->as->dead_tables;
	BUG_ON(*end);
	*end = g->tables;
}

/* --- clearing --- */

static void zap_table(struct gather *g, struct vma *v, pte_t *pt, u64 va, u64 stop, bool anon)
{
	s64 gone_anon = 0, gone_file = 0;

	for (pte_t *e = &pt[pt_index(va, 1)]; va < stop; va += PAGE_SIZE, e++) {
		pte_t old = *e;
		if (!old)
			continue;
		if (old & PTE_SPECIAL) {
			WRITE_ONCE(*e, 0);
		} else {
			struct page *p = pte_page(old);
			if (p->flags & PG_ANON) {
				if (!anon)
					continue;
				gone_anon++;
			} else {
				gone_file++;
			}
			if (unlikely(g->count == g->max))
				gather_more(g);
			WRITE_ONCE(*e, 0);
			g->pages[g->count++] = p;
		}
		if (va < g->start)
			g->start = va;
		g->end = MAX(g->end, va + PAGE_SIZE);
	}
	g->as->rss_anon -= gone_anon;
	*rss_of(v) -= gone_file;
}

void pt_zap(struct gather *g, struct vma *v, u64 start, u64 end, bool anon)
{
	struct aspace *as = g->as;
	pte_t *pt;

	while ((pt = pt_next(as, &start, end))) {
		u64 stop = pt_stop(start, end);
		spin_lock(&as->pt_lock);
		zap_table(g, v, pt, start, stop, anon);
		spin_unlock(&as->pt_lock);
		start = stop;
	}
}

static void free_level(struct gather *g, pte_t *t, unsigned level, u64 start, u64 end, u64 floor,
		       u64 ceiling)
{
	u64 span = 1ul << (PAGE_SHIFT + 9 * (level - 1));

	for (u64 at = ALIGN_DOWN(start, span); at < end; at += span) {
		pte_t *e = &t[pt_index(at, level)];
		if (!*e)
			continue;
		pte_t *child = table_of(*e);
		if (level > 2)
			free_level(g, child, level - 1, MAX(at, start), MIN(at + span, end), floor,
				   ceiling);
		if (level == 3)
			resched_point(); /* after each 512 entries */
		if (at < floor || at + span > ceiling)
			continue;
		struct page *p = pte_page(*e);
		WRITE_ONCE(*e, 0);
		p->private = (u64)g->tables;
		g->tables = p;
		g->as->table_pages--;
	}
}

void pt_free_tables(struct gather *g, u64 start, u64 end, u64 floor, u64 ceiling)
{
	/* The last table reaches beyond USER_END. */
	if (ceiling >= USER_END)
		ceiling = USER_END + PAGE_SIZE;
	free_level(g, g->as->pml4, 4, start, end, floor, ceiling);
}

/* --- protection --- */

/* May a writable entry be given for this page at once, without a fault that decides? */
static bool may_write_now(const struct vma *v, pte_t old, struct page *p)
{
	if (!(v->flags & VM_WRITE))
		return false;
	if (v->flags & VM_SHARED)
		return (old & PTE_WRITE) || !v->ops || !v->ops->make_writable;
	return (p->flags & PG_ANON) && READ_ONCE(p->refs) == 1;
}

static bool protect_table(struct vma *v, pte_t *pt, u64 va, u64 stop)
{
	u64 flags = vma_pte_flags(v);
	bool less = false;

	for (pte_t *e = &pt[pt_index(va, 1)]; va < stop; va += PAGE_SIZE, e++) {
		pte_t old = *e, new;
		if (!old)
			continue;
		new = pte_address(old) | flags | (old & (PTE_SPECIAL | PTE_DIRTY));
		if (!(old & PTE_SPECIAL) && may_write_now(v, old, pte_page(old)))
			new |= PTE_WRITE | PTE_DIRTY;
		if (new == old)
			continue;
		WRITE_ONCE(*e, new);
		less |= (old & PTE_PRESENT) &&
			((old & ~new &(PTE_WRITE | PTE_PRESENT)) || (new & ~old &PTE_NX));
	}
	return less;
}

void pt_protect(struct vma *v, u64 start, u64 end)
{
	struct aspace *as = v->as;
	u64 va = start;
	bool less = false;
	pte_t *pt;

	while ((pt = pt_next(as, &va, end))) {
		u64 stop = pt_stop(va, end);
		spin_lock(&as->pt_lock);
		less |= protect_table(v, pt, va, stop);
		spin_unlock(&as->pt_lock);
		va = stop;
		if (va < end)
			resched_point();
	}
	if (less)
		tlb_flush_range(as, start, end);
}

void pt_write_protect(struct vma *v, u64 start, u64 end)
{
	struct aspace *as = v->as;
	u64 va = start;
	bool less = false;
	pte_t *pt;

	while ((pt = pt_next(as, &va, end))) {
		u64 stop = pt_stop(va, end);
		spin_lock(&as->pt_lock);
		for (pte_t *e = &pt[pt_index(va, 1)]; va < stop; va += PAGE_SIZE, e++) {
			if (!(*e & PTE_WRITE))
				continue;
			WRITE_ONCE(*e, *e & ~(u64)PTE_WRITE);
			less = true;
		}
		spin_unlock(&as->pt_lock);
	}
	if (less)
		tlb_flush_range(as, start, end);
}

/* --- fork --- */

struct copied {
	s64 anon, file;
	bool cow;
};

static void copy_table(struct vma *v, pte_t *from, pte_t *to, u64 va, u64 stop, struct copied *c)
{
	bool private = !(v->flags & VM_SHARED);
	unsigned i = pt_index(va, 1), n = i + (stop - va) / PAGE_SIZE;

	for (; i < n; i++) {
		pte_t e = from[i];
		if (!e)
			continue;
		if (likely(!(e & PTE_SPECIAL))) {
			struct page *p = page_get(pte_page(e));
			if (p->flags & PG_ANON)
				c->anon++;
			else
				c->file++;
			if (private && (e & PTE_WRITE)) {
				e &= ~PTE_WRITE;
				WRITE_ONCE(from[i], e);
				c->cow = true;
			}
		}
		to[i] = e;
	}
}

/*
 * Both pt_locks: the child's areas are in their mappings' lists already, so a
 * truncation may walk its tables. Parent before child: nobody else takes two.
 */
int pt_copy(struct aspace *to, struct vma *v, bool *cow)
{
	struct aspace *from = v->as;
	struct copied c = { 0 };
	u64 va = v->start;
	pte_t *src;
	int err = 0;

	while (!err && (src = pt_next(from, &va, v->end))) {
		u64 stop = pt_stop(va, v->end);
		spin_lock(&from->pt_lock);
		spin_lock_nested(&to->pt_lock);
		pte_t *dst = pt_make(to, va);
		if (dst)
			copy_table(v, src, dst - pt_index(va, 1), va, stop, &c);
		else
			err = -ENOMEM;
		spin_unlock(&to->pt_lock);
		spin_unlock(&from->pt_lock);
		va = stop;
		if (va < v->end)
			resched_point();
	}
	rss_add(to, &to->rss_anon, c.anon);
	rss_add(to, v->ops == &shmem_vm_ops ? &to->rss_shmem : &to->rss_file, c.file);
	*cow |= c.cow;
	return err;
}

/* --- mremap --- */

int pt_make_range(struct aspace *as, u64 va, u64 len)
{
	u64 end = va + len;
	int err = 0;

	for (; va < end && !err; va = pt_stop(va, end)) {
		spin_lock(&as->pt_lock);
		if (!pt_make(as, va))
			err = -ENOMEM;
		spin_unlock(&as->pt_lock);
		resched_point();
	}
	return err;
}

void pt_move(struct aspace *as, u64 from, u64 to, u64 len)
{
	u64 va = from, end = from + len;
	pte_t *src;

	while ((src = pt_next(as, &va, end))) {
		u64 stop = pt_stop(va, end);
		spin_lock(&as->pt_lock);
		for (; va < stop; va += PAGE_SIZE) {
			pte_t *e = &src[pt_index(va, 1)];
			if (!*e)
				continue;
			pte_t *dst = pt_find(as, to + (va - from));
			WRITE_ONCE(*dst, *e);
			WRITE_ONCE(*e, 0);
		}
		spin_unlock(&as->pt_lock);
	}
	tlb_flush_range(as, from, end);
}
