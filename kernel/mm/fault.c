/* SPDX-License-Identifier: MIT */
/*
 * fault.c - page faults: bringing in what an area promises (contract: aspace.h).
 *
 * as->lock is held for reading, so areas and tables stand still. A page is made
 * ready first (allocated, cleared, read), without a spin lock; then, under
 * pt_lock, the entry is looked at again, and either the page goes in or, if
 * somebody was faster, it is given back. A page of a mapping goes in under the
 * mapping's lock, too, after a look whether it still belongs there (truncation).
 *
 *	no entry    anonymous, write      a cleared page; more if the writes come
 *	                                  one page after the other (anon_window)
 *	            anonymous, read       the zero page, SPECIAL, read-only
 *	            file, read            the page of the file, read-only, and its
 *	                                  neighbours that are cached
 *	            file, shared write    the same, after make_writable()
 *	            file, private write   a copy
 *	read-only   private, write        a copy, or in place if nobody else has it
 *	            shared, write         make_writable(), then writable in place
 *
 * Out of memory: everything is released, memory_reclaim() makes room or says
 * who must die, and the fault starts again.
 */
#include "arch/x86/copy.h"
#include "core/errno.h"
#include "core/rlimit.h"
#include "mm/pagecache.h"
#include "mm/pagetable.h"
#include "mm/vma.h"

#define SIGBUS_	    7
#define SIGSEGV_    11
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#define BUS_ADRERR  2

/* --- anonymous memory --- */

/*
 * How many pages to bring in at va, whose entry is *e: as many as were touched
 * one after the other right below it (so at most half of what is brought in is
 * for nothing), from 4 on.
 */
static unsigned anon_window(struct vma *v, u64 va, const pte_t *e)
{
	unsigned below = 0, n = 1;
	unsigned index = pt_index(va, 1), room = PT_ENTRIES - index;

	if (v->flags & (VM_NOHUGEPAGE | VM_GROWSDOWN | VM_RANDOM))
		return 1;
	while (below < ANON_AROUND && below < index && READ_ONCE(e[-1 - (int)below]))
		below++;
	if (below < 4)
		return 1;
	room = MIN((u64)room, (v->end - va) >> PAGE_SHIFT);
	while (n < room && n < below && !READ_ONCE(e[n]))
		n++;
	return n;
}

/* n fresh pages, PG_ANON, are in as now. */
static inline void anon_count(struct aspace *as, unsigned n)
{
	page_use_add(USE_ANON, n);
	if (as->account)
		account_use(as->account, MEM_ANON, (s64)n * PAGE_SIZE);
}

/*
 * Puts n fresh pages at va and up, where nothing is: those that went in are NULLed.
 * e: the entry of va if its table existed (it still does: as->lock is held), or NULL.
 */
static int anon_commit(struct vma *v, u64 va, pte_t *e, struct page **pages, unsigned n)
{
	struct aspace *as = v->as;
	u64 flags = vma_pte_flags(v) | PTE_WRITE | PTE_DIRTY;
	unsigned done = 0;

	spin_lock(&as->pt_lock);
	if (unlikely(!e) && !(e = pt_make(as, va))) {
		spin_unlock(&as->pt_lock);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n; i++) {
		if (unlikely(e[i]))
			continue;
		pages[i]->flags = PG_ANON;
		WRITE_ONCE(e[i], pte_make(page_phys(pages[i]), flags));
		pages[i] = NULL;
		done++;
	}
	if (done)
		anon_count(as, done);
	rss_add(as, &as->rss_anon, done);
	spin_unlock(&as->pt_lock);
	return 0;
}

static int anon_write(struct vma *v, u64 va, pte_t *e)
{
	struct page *pages[ANON_AROUND];
	unsigned n = e ? anon_window(v, va, e) : 1;

	n = n > 1 ? page_alloc_bulk(pages, n, PAGE_ZERO, v->as->account) : 0;
	if (!n) { /* one is asked for, or only one may fit the limit */
		pages[0] = page_alloc(0, PAGE_ZERO, v->as->account);
		n = pages[0] != NULL;
	}
	if (unlikely(!n))
		return -ENOMEM;
	int err = anon_commit(v, va, e, pages, n);
	for (unsigned i = 0; i < n; i++)
		if (unlikely(pages[i]))
			page_put(pages[i]);
	return err;
}

static int anon_read(struct vma *v, u64 va)
{
	struct aspace *as = v->as;
	int err = 0;

	spin_lock(&as->pt_lock);
	pte_t *e = pt_make(as, va);
	if (!e)
		err = -ENOMEM;
	else if (!*e)
		WRITE_ONCE(*e, pte_make(page_phys(zero_page), vma_pte_flags(v) | PTE_SPECIAL));
	spin_unlock(&as->pt_lock);
	return err;
}

/*
 * May p be mapped at pgoff? Under the mapping's lock. -EAGAIN: it has left the
 * object. -EFAULT: it is behind the end (a write that is under way has put it
 * there, and moves the end when it has copied).
 */
static inline int page_belongs(const struct vma *v, const struct page *p, u64 pgoff)
{
	struct mapping *m = v->mapping;

	if (!mapping_has(m, pgoff, p))
		return -EAGAIN;
	if (m->ops && m->ops->size && pgoff >= DIV_ROUND_UP(m->ops->size(m), PAGE_SIZE))
		return -EFAULT;
	return 0;
}

/* --- copies --- */

/* The entry at va becomes `copy` if it is still `old`: 0, 1 (it is not), -ENOMEM. */
static int copy_commit(struct vma *v, u64 va, pte_t *e, struct page *copy, pte_t old)
{
	struct aspace *as = v->as;

	spin_lock(&as->pt_lock);
	if (!e)
		e = pt_make(as, va);
	if (unlikely(!e || *e != old)) {
		spin_unlock(&as->pt_lock);
		return e ? 1 : -ENOMEM;
	}
	copy->flags = PG_ANON;
	anon_count(as, 1);
	WRITE_ONCE(*e, pte_make(page_phys(copy), vma_pte_flags(v) | PTE_WRITE | PTE_DIRTY));
	bool counted = old && !(old & PTE_SPECIAL);
	bool was_anon = counted && (pte_page(old)->flags & PG_ANON);
	if (counted && !was_anon)
		--*rss_of(v);
	if (!was_anon)
		rss_add(as, &as->rss_anon, 1);
	if (v->ops)
		v->flags |= VM_HASANON; /* a bit that only goes on: no lock */
	spin_unlock(&as->pt_lock);
	return 0;
}

/*
 * A private copy of `from` (NULL: zeros) goes where the entry is still `old`.
 * What was there is dropped after the flush. e: as for anon_commit. A copy of a
 * page of the file goes in only if the page still belongs to it: truncation
 * takes private copies away, too.
 */
static int copy_in(struct vma *v, u64 va, pte_t *e, struct page *from, pte_t old)
{
	struct page *copy = page_alloc(0, from ? 0 : PAGE_ZERO, v->as->account);
	struct mapping *m = from && !(from->flags & PG_ANON) ? v->mapping : NULL;
	int err = 0;

	if (!copy)
		return -ENOMEM;
	if (from)
		page_copy(page_virt(copy), page_virt(from));
	if (m) {
		spin_lock(&m->lock);
		err = page_belongs(v, from, vma_pgoff(v, va));
	}
	if (!err)
		err = copy_commit(v, va, e, copy, old);
	if (m)
		spin_unlock(&m->lock);
	if (unlikely(err)) {
		page_put(copy);
		return err > 0 ? 0 : err;
	}
	if (old) {
		tlb_flush_range(v->as, va, va + PAGE_SIZE);
		if (!(old & PTE_SPECIAL))
			page_put(pte_page(old));
	}
	return 0;
}

/* A write to what is mapped read-only in a private area. */
static int private_write(struct vma *v, u64 va, pte_t *e, pte_t old)
{
	struct aspace *as = v->as;

	if (old & PTE_SPECIAL)
		return copy_in(v, va, e, NULL, old);
	spin_lock(&as->pt_lock);
	if (unlikely(*e != old)) {
		spin_unlock(&as->pt_lock);
		return 0;
	}
	struct page *p = pte_page(old);
	if ((p->flags & PG_ANON) && READ_ONCE(p->refs) == 1) {
		WRITE_ONCE(*e, old | PTE_WRITE | PTE_DIRTY | PTE_ACCESSED);
		spin_unlock(&as->pt_lock);
		return 0;
	}
	page_get(p);
	spin_unlock(&as->pt_lock);
	int err = copy_in(v, va, e, p, old);
	page_put(p);
	return err;
}

/* --- pages of mappings --- */

/* Cached neighbours of va, in its block of FILE_AROUND pages. Under both locks. */
static void map_around(struct vma *v, u64 va, pte_t *e, u64 flags)
{
	struct mapping *m = v->mapping;
	u64 block = va & ~(FILE_AROUND * PAGE_SIZE - 1);
	u64 from = MAX(block, v->start), to = MIN(block + FILE_AROUND * PAGE_SIZE, v->end);
	u64 pages = m->ops && m->ops->size ? DIV_ROUND_UP(m->ops->size(m), PAGE_SIZE) : UINT64_MAX;
	s64 n = 0;

	e -= (va - from) >> PAGE_SHIFT;
	u64 index = vma_pgoff(v, from);
	for (; from < to && index < pages; from += PAGE_SIZE, e++, index++) {
		if (*e)
			continue;
		struct page *p = radix_get(&m->pages, index);
		if (!p)
			continue;
		WRITE_ONCE(*e, pte_make(page_phys(page_get(p)), flags));
		n++;
	}
	rss_add(v->as, rss_of(v), n);
}

/* Nobody wants to know of the first write: map writable at once. */
static inline bool writes_unnoticed(const struct vma *v)
{
	return (v->flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE) &&
	       !v->ops->make_writable;
}

/*
 * Maps p, which takes over the caller's reference if it goes in (else that is
 * dropped). -EAGAIN, -EFAULT: see page_belongs().
 */
static int file_commit(struct vma *v, u64 va, struct page *p, bool writable)
{
	struct aspace *as = v->as;
	struct mapping *m = v->mapping;
	u64 flags = vma_pte_flags(v);
	int err = 0;

	if (writes_unnoticed(v)) {
		flags |= PTE_WRITE | PTE_DIRTY;
		writable = true;
	}
	if (m)
		spin_lock(&m->lock);
	if (m)
		err = page_belongs(v, p, vma_pgoff(v, va));
	if (m && writable && v->ops->make_writable && !(READ_ONCE(p->flags) & PG_DIRTY))
		err = -EAGAIN; /* the right was taken away before it could be used */
	if (unlikely(err)) {
		spin_unlock(&m->lock);
		page_put(p);
		return err;
	}
	spin_lock(&as->pt_lock);
	pte_t *e = pt_make(as, va);
	if (unlikely(!e)) {
		err = -ENOMEM;
	} else if (!*e) {
		WRITE_ONCE(*e,
			   pte_make(page_phys(p), flags | (writable ? PTE_WRITE | PTE_DIRTY : 0)));
		rss_add(as, rss_of(v), 1);
		p = NULL;
		if (m && !(v->flags & VM_RANDOM))
			map_around(v, va, e, flags);
	} else if (writable && (*e & PTE_ADDRESS) == page_phys(p)) {
		WRITE_ONCE(*e, *e | PTE_WRITE | PTE_DIRTY);
	}
	spin_unlock(&as->pt_lock);
	if (m)
		spin_unlock(&m->lock);
	if (p)
		page_put(p);
	return err;
}

static int file_page(struct vma *v, u64 va, bool write, struct page **out)
{
	u64 pgoff = vma_pgoff(v, va);

	if (v->mapping) {
		*out = mapping_find(v->mapping, pgoff);
		if (*out)
			return 0;
	}
	if (!v->ops->fault)
		return -EFAULT;
	return v->ops->fault(v, pgoff, write, out);
}

static int file_fault(struct vma *v, u64 va, bool write)
{
	bool shared = v->flags & VM_SHARED;
	struct page *p;
	int err = file_page(v, va, write && shared, &p);

	if (err)
		return err;
	if (!write || shared) {
		if (write && v->ops->make_writable)
			err = v->ops->make_writable(v, vma_pgoff(v, va), &p);
		if (err) {
			page_put(p);
			return err;
		}
		return file_commit(v, va, p, write);
	}
	err = copy_in(v, va, NULL, p, 0);
	page_put(p);
	return err;
}

/* A write to a page of a shared area that is mapped read-only. */
static int shared_write(struct vma *v, u64 va, pte_t *e, pte_t old)
{
	struct aspace *as = v->as;

	if (old & PTE_SPECIAL)
		return -EFAULT;
	spin_lock(&as->pt_lock);
	if (unlikely(*e != old)) {
		spin_unlock(&as->pt_lock);
		return 0;
	}
	struct page *p = page_get(pte_page(old));
	spin_unlock(&as->pt_lock);
	int err = 0;
	if (v->ops && v->ops->make_writable)
		err = v->ops->make_writable(v, vma_pgoff(v, va), &p);
	if (err) {
		page_put(p);
		return err;
	}
	return file_commit(v, va, p, true);
}

/* --- the fault --- */

int fault_in(struct vma *v, u64 va, bool write)
{
	pte_t *e = pt_find(v->as, va);
	pte_t old = e ? READ_ONCE(*e) : 0;

	if (!old) {
		if (v->ops)
			return file_fault(v, va, write);
		return write ? anon_write(v, va, e) : anon_read(v, va);
	}
	if (write && !(old & PTE_WRITE))
		return v->flags & VM_SHARED ? shared_write(v, va, e, old)
					    : private_write(v, va, e, old);
	/* Somebody was faster, or this CPU had an old translation. */
	tlb_flush_page_local(va);
	return 0;
}

static bool access_ok(const struct vma *v, u64 error)
{
	if (error & FAULT_WRITE)
		return v->flags & VM_WRITE;
	if (error & FAULT_EXEC)
		return v->flags & VM_EXEC;
	return v->flags & (VM_READ | VM_WRITE | VM_EXEC);
}

static int fault_signal(int err, int *sig, int *code)
{
	*sig = SIGBUS_;
	*code = BUS_ADRERR;
	return err;
}

/* The area that va lies in, or may grow into: as->lock held for reading if it is found. */
static struct vma *fault_area(struct aspace *as, u64 va)
{
	for (;;) {
		rwmutex_read_lock(&as->lock);
		struct vma *v = vma_find(as, va);
		if (likely(v && va >= v->start))
			return v;
		bool grows = v && (v->flags & VM_GROWSDOWN);
		rwmutex_read_unlock(&as->lock);
		if (!grows || stack_grow(as, va))
			return NULL;
	}
}

int aspace_fault(struct aspace *as, u64 va, u64 error, int *sig, int *code)
{
	va &= ~PAGE_MASK;
	current->minor_faults++;
	for (;;) {
		struct vma *v = va < USER_END ? fault_area(as, va) : NULL;
		if (unlikely(!v)) {
			*sig = SIGSEGV_;
			*code = SEGV_MAPERR;
			return -EFAULT;
		}
		if (unlikely(!access_ok(v, error))) {
			rwmutex_read_unlock(&as->lock);
			*sig = SIGSEGV_;
			*code = SEGV_ACCERR;
			return -EFAULT;
		}
		int err = fault_in(v, va, error & FAULT_WRITE);
		rwmutex_read_unlock(&as->lock);
		if (likely(!err))
			return 0;
		if (err == -ENOMEM && !memory_reclaim(as->account, FAULT_PAGES))
			err = -EAGAIN;
		/* It ends on its way back to user mode; a copy routine has to give up to get there.
		 */
		if (kill_pending() && error & FAULT_USER)
			return 0;
		if (err != -EAGAIN || kill_pending())
			return fault_signal(err, sig, code);
	}
}

/* --- the stack --- */

static int grow_check(struct aspace *as, struct vma *v, u64 start)
{
	struct vma *prev = vma_prev(v);
	u64 more = (v->start - start) >> PAGE_SHIFT;

	if (v->end - start > rlimit_cur(RLIMIT_STACK) || start < USER_MIN)
		return -ENOMEM;
	if (prev && (prev->flags & (VM_READ | VM_WRITE | VM_EXEC)) &&
	    (prev->flags & VM_GROWSDOWN ? prev->end > start : prev->end + STACK_GUARD > start))
		return -ENOMEM;
	if (prev && prev->end > start)
		return -ENOMEM;
	if (as->total_pages + more > rlimit_cur(RLIMIT_AS) >> PAGE_SHIFT)
		return -ENOMEM;
	if (v->flags & VM_LOCKED)
		return (as->locked_pages + more) << PAGE_SHIFT > rlimit_cur(RLIMIT_MEMLOCK)
			       ? -ENOMEM
			       : 0;
	return 0;
}

int stack_grow(struct aspace *as, u64 va)
{
	int err = rwmutex_write_lock_killable(&as->lock);

	if (err)
		return err;
	struct vma *v = vma_find(as, va);
	if (!v || !(v->flags & VM_GROWSDOWN))
		err = -EFAULT;
	else if (v->start > va && !(err = grow_check(as, v, va)))
		vma_resize(v, va, v->end);
	rwmutex_write_unlock(&as->lock);
	return err;
}
