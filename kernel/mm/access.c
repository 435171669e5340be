/* SPDX-License-Identifier: MIT */
/*
 * access.c - touching the memory of an address space from outside of it: page by
 * page, brought in as a fault would, through the direct map (contract: aspace.h).
 * Also bringing in ranges ahead of time.
 */
#include "core/errno.h"
#include "core/task.h"
#include "lib/string.h"
#include "mm/pagecache.h"
#include "mm/pagetable.h"
#include "mm/vma.h"

/* The page behind va if the entry allows the access: referenced, or NULL. */
static struct page *page_at(struct aspace *as, u64 va, bool write)
{
	struct page *p = NULL;
	pte_t *e = pt_find(as, va);

	if (!e)
		return NULL;
	spin_lock(&as->pt_lock);
	if ((*e & PTE_PRESENT) && (!write || (*e & PTE_WRITE)))
		p = page_get(pte_page(*e));
	spin_unlock(&as->pt_lock);
	return p;
}

/* What to do with the page at va while as->lock is held. -EAGAIN: it is not the one any more. */
typedef int page_fn(struct vma *v, u64 va, struct page *p, void *arg);

static int with_page(struct aspace *as, u64 va, bool write, page_fn *fn, void *arg)
{
	for (;;) {
		rwmutex_read_lock(&as->lock);
		struct vma *v = va < USER_END ? vma_find(as, va) : NULL;
		struct page *p = NULL;
		int err = -EFAULT;
		if (v && va >= v->start &&
		    (v->flags & (write ? VM_WRITE : VM_READ | VM_WRITE | VM_EXEC))) {
			p = page_at(as, va, write);
			err = p ? fn(v, va, p, arg) : fault_in(v, va, write);
		}
		rwmutex_read_unlock(&as->lock);
		if (p)
			page_put(p);
		if (p && !err)
			return 0;
		if (err == -ENOMEM && !memory_reclaim(as->account, FAULT_PAGES))
			err = -EAGAIN;
		if (kill_pending())
			return -EFAULT;
		if (err && err != -EAGAIN)
			return err == -ENOMEM ? err : -EFAULT;
	}
}

static int keep_page(struct vma *v, u64 va, struct page *p, void *arg)
{
	*(struct page **)arg = page_get(p);
	return 0;
}

int aspace_page(struct aspace *as, u64 va, bool write, struct page **out)
{
	return with_page(as, va & ~PAGE_MASK, write, keep_page, out);
}

struct object {
	struct mapping *mapping;
	u64 offset;
};

static int object_of_page(struct vma *v, u64 va, struct page *p, void *arg)
{
	struct object *o = arg;

	o->mapping = p->flags & PG_ANON ? NULL : v->mapping;
	o->offset = vma_pgoff(v, va & ~PAGE_MASK) << PAGE_SHIFT | (va & PAGE_MASK);
	return 0;
}

int aspace_object(struct aspace *as, u64 va, bool write, struct mapping **object, u64 *offset)
{
	struct object o;
	int err = with_page(as, va, write, object_of_page, &o);

	if (err)
		return err;
	*object = o.mapping;
	*offset = o.offset;
	return 0;
}

/* Within one page. */
struct access {
	void *buf;
	size_t n;
};

static int read_page(struct vma *v, u64 va, struct page *p, void *arg)
{
	struct access *a = arg;

	memcpy(a->buf, (char *)page_virt(p) + (va & PAGE_MASK), a->n);
	return 0;
}

/* No entry guards these writes: so the mapping's lock does, under which permission is taken away.
 */
static int write_page(struct vma *v, u64 va, struct page *p, void *arg)
{
	struct mapping *m = v->ops && v->ops->make_writable ? v->mapping : NULL;
	struct access *a = arg;
	int err = 0;

	if (m && (p->flags & PG_ANON))
		m = NULL;
	if (m)
		spin_lock(&m->lock);
	if (m && (!(READ_ONCE(p->flags) & PG_DIRTY) || !mapping_has(m, vma_pgoff(v, va), p)))
		err = -EAGAIN;
	else
		memcpy((char *)page_virt(p) + (va & PAGE_MASK), a->buf, a->n);
	if (m)
		spin_unlock(&m->lock);
	if (err) /* an entry that outlived the right, say of a page that left the tree */
		pt_write_protect(v, va & ~PAGE_MASK, (va & ~PAGE_MASK) + PAGE_SIZE);
	return err;
}

static s64 access(struct aspace *as, u64 va, void *buf, size_t n, page_fn *fn)
{
	size_t done = 0;

	while (done < n) {
		u64 at = va + done;
		struct access a = { (char *)buf + done,
				    MIN(PAGE_SIZE - (at & PAGE_MASK), n - done) };

		if (with_page(as, at, fn == write_page, fn, &a))
			return done ? (s64)done : -EFAULT;
		done += a.n;
	}
	return done;
}

s64 aspace_read(struct aspace *as, u64 va, void *buf, size_t n)
{
	return access(as, va, buf, n, read_page);
}

s64 aspace_write(struct aspace *as, u64 va, const void *buf, size_t n)
{
	return access(as, va, (void *)buf, n, write_page);
}

/* Is there nothing to do for this access at va? Under as->lock. */
static bool is_present(struct aspace *as, u64 va, bool write)
{
	pte_t *e = pt_find(as, va);
	pte_t now = e ? READ_ONCE(*e) : 0;

	return (now & PTE_PRESENT) && (!write || (now & PTE_WRITE));
}

/* As much of v as can be brought in without letting the lock go: *va moves. */
static int populate_area(struct vma *v, u64 *va, u64 end, bool write)
{
	u64 stop = MIN(end, v->end);

	for (unsigned n = 0; *va < stop && n < 64; *va += PAGE_SIZE, n++) {
		while (!is_present(v->as, *va, write)) {
			int err = fault_in(v, *va, write);
			if (err && err != -EAGAIN)
				return err;
		}
	}
	return 0;
}

int aspace_populate(struct aspace *as, u64 va, u64 len, bool write)
{
	u64 end = va + len, want = write ? VM_WRITE : VM_READ | VM_WRITE | VM_EXEC;

	while (va < end) {
		rwmutex_read_lock(&as->lock);
		struct vma *v = vma_find(as, va);
		int err = -EINVAL;
		if (!v || va < v->start)
			err = -ENOMEM;
		else if ((v->flags & want) && !(v->flags & VM_SPECIAL))
			err = populate_area(v, &va, end, write);
		bool hole = !v || va < v->start;
		rwmutex_read_unlock(&as->lock);
		if (kill_pending())
			return -EINTR;
		if (err == -ENOMEM && !hole && !memory_reclaim(as->account, FAULT_PAGES))
			continue;
		if (err)
			return err;
		resched_point();
	}
	return 0;
}

/* --- what /proc/PID/smaps shows --- */

static void count_entry(struct vma_stats *s, pte_t e)
{
	if (!e || (e & PTE_SPECIAL))
		return;
	struct page *p = pte_page(e);
	bool anon = p->flags & PG_ANON;
	s32 maps = MAX(READ_ONCE(p->refs) - (anon ? 0 : 1), 1); /* the tree's is no mapping */
	s->rss++;
	s->pss += 4096 / maps;
	s->anon += anon;
	if (maps > 1)
		s->shared++;
	else
		s->private_pages++;
}

void vma_stats(struct vma *v, struct vma_stats *out)
{
	struct aspace *as = v->as;
	u64 va = v->start;
	pte_t *pt;

	*out = (struct vma_stats){ 0 };
	while ((pt = pt_next(as, &va, v->end))) {
		u64 stop = pt_stop(va, v->end);
		spin_lock(&as->pt_lock);
		for (; va < stop; va += PAGE_SIZE)
			count_entry(out, pt[pt_index(va, 1)]);
		spin_unlock(&as->pt_lock);
	}
	if (v->flags & VM_LOCKED)
		out->locked = out->pss;
}
