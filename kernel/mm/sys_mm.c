/* SPDX-License-Identifier: MIT */
/*
 * sys_mm.c - the memory system calls that need no file: munmap, mprotect, brk,
 * mremap, msync, mincore (man 2 of each). mmap itself is in fs/sys_mmap.c.
 */
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/rlimit.h"
#include "mm/pagecache.h"
#include "mm/pagetable.h"
#include "mm/vma.h"
#include "syscalls.h"

#define PROT_SEM       0x8
#define PROT_GROWSDOWN 0x01000000
#define PROT_GROWSUP   0x02000000
#define PROT_ALL       (PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)

#define MREMAP_MAYMOVE	 1
#define MREMAP_FIXED	 2
#define MREMAP_DONTUNMAP 4

#define MS_ASYNC      1
#define MS_INVALIDATE 2
#define MS_SYNC	      4

s64 sys_munmap(u64 addr, u64 len)
{
	return aspace_unmap(current->aspace, addr, len);
}

/* PROT_GROWSDOWN: from the start of the area that grows down (man 2 mprotect). */
static int protect_from_start(struct aspace *as, u64 *addr, u64 end, u64 *len)
{
	int err = 0;

	rwmutex_read_lock(&as->lock);
	struct vma *v = vma_find(as, *addr);
	if (!v || v->start >= end)
		err = -ENOMEM;
	else if (!(v->flags & VM_GROWSDOWN))
		err = -EINVAL;
	else
		*addr = v->start;
	rwmutex_read_unlock(&as->lock);
	*len = end - *addr;
	return err;
}

s64 sys_mprotect(u64 addr, u64 len, u64 prot)
{
	u32 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);

	prot &= ~(u64)(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || (addr & PAGE_MASK))
		return -EINVAL;
	if (!len)
		return 0;
	len = ALIGN_UP(len, PAGE_SIZE);
	if (addr + len <= addr)
		return -ENOMEM;
	if (prot & ~(u64)PROT_ALL)
		return -EINVAL;
	if (addr + len > USER_END)
		return -ENOMEM;
	if (grows) {
		int err = grows & PROT_GROWSUP
				  ? -EINVAL
				  : protect_from_start(current->aspace, &addr, addr + len, &len);
		if (err)
			return err;
	}
	return aspace_protect(current->aspace, addr, len, prot);
}

/* --- brk --- */

static u64 brk_locked(struct aspace *as, u64 want)
{
	u64 old = ALIGN_UP(as->brk, PAGE_SIZE), new = ALIGN_UP(want, PAGE_SIZE);
	u64 limit = rlimit_cur(RLIMIT_DATA);
	struct vma *v;
	struct vma heap = {
		.as = as,
		.start = old,
		.end = new,
		.pgoff = old >> PAGE_SHIFT,
		.flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC |
			 as->default_flags,
	};

	if (want < as->brk_start || want > USER_END ||
	    (limit != RLIM_INFINITY &&
	     want - as->brk_start + (as->data_end - as->data_start) > limit))
		return as->brk;
	if (new < old && unmap_locked(as, new, old))
		return as->brk;
	if (new > old &&
	    (!range_is_free(as, old, new + PAGE_SIZE) ||
	     check_limits(as, (new - old) >> PAGE_SHIFT, heap.flags) || map_area(as, &heap, &v)))
		return as->brk;
	return as->brk = want;
}

s64 sys_brk(u64 want)
{
	struct aspace *as = current->aspace;
	u64 before = as->brk;

	if (rwmutex_write_lock_killable(&as->lock))
		return before;
	u64 now = brk_locked(as, want);
	bool locked = as->default_flags & VM_LOCKED && now > before;
	rwmutex_write_unlock(&as->lock);
	if (locked && !(as->default_flags & VM_ONFAULT)) {
		u64 from = ALIGN_UP(before, PAGE_SIZE);
		(void)aspace_populate(as, from, ALIGN_UP(now, PAGE_SIZE) - from, true);
	}
	return now;
}

/* --- mremap --- */

s64 sys_mremap(u64 old, u64 old_len, u64 len, u64 flags, u64 to)
{
	struct aspace *as = current->aspace;
	u64 at = 0;

	if (flags & ~(u64)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && old_len != len)
		return -EINVAL;
	if (old & PAGE_MASK)
		return -EINVAL;
	if (!ALIGN_UP(len, PAGE_SIZE) || len > USER_END)
		return -EINVAL;
	if (old >= USER_END)
		return -EFAULT;
	if (old_len > USER_END)
		return -EINVAL;
	old_len = ALIGN_UP(old_len, PAGE_SIZE);
	len = ALIGN_UP(len, PAGE_SIZE);
	if ((flags & MREMAP_FIXED) && ((to & PAGE_MASK) || len > USER_END || to > USER_END - len ||
				       (old + old_len > to && to + len > old)))
		return -EINVAL;
	int err = aspace_remap(as, old, old_len, len, flags, to, &at);
	return err ? err : (s64)at;
}

/* --- msync --- */

/* The part of [*va, end) in one area: the area copied with a reference of its own (copy->as NULL:
 * nothing to write there). -ENOMEM: a hole; *va moves on anyway. */
static int sync_next(struct aspace *as, u64 *va, u64 end, int flags, struct vma *copy, u64 *from)
{
	int err = 0;

	copy->as = NULL;
	rwmutex_read_lock(&as->lock);
	struct vma *v = vma_find(as, *va);
	if (!v || v->start >= end) {
		*va = end;
		rwmutex_read_unlock(&as->lock);
		return -ENOMEM;
	}
	if (v->start > *va) {
		*va = v->start;
		err = -ENOMEM;
	}
	*from = *va;
	*va = MIN(v->end, end);
	if ((flags & MS_INVALIDATE) && (v->flags & VM_LOCKED)) {
		err = -EBUSY;
		*va = end;
	} else if ((flags & MS_SYNC) && (v->flags & VM_SHARED) && v->ops && v->ops->sync) {
		*copy = *v;
		if (copy->ops->open)
			copy->ops->open(copy);
	}
	rwmutex_read_unlock(&as->lock);
	return err;
}

s64 sys_msync(u64 addr, u64 len, int flags)
{
	struct aspace *as = current->aspace;
	u64 va = addr, end, from = addr;
	struct vma copy;
	int hole = 0;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (addr & PAGE_MASK) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	end = addr + ALIGN_UP(len, PAGE_SIZE);
	if (end < addr || ALIGN_UP(len, PAGE_SIZE) < len)
		return -ENOMEM;
	while (va < end) {
		int err = sync_next(as, &va, end, flags, &copy, &from);
		if (err == -EBUSY)
			return err;
		hole = err ? err : hole;
		if (!copy.as)
			continue;
		err = copy.ops->sync(&copy, vma_pgoff(&copy, from), vma_pgoff(&copy, va) - 1);
		vma_close(&copy);
		if (err)
			return err;
	}
	return hole;
}

/* --- mincore --- */

static u8 is_resident(struct vma *v, u64 va)
{
	pte_t *e = pt_find(v->as, va);

	if (e && *e)
		return 1;
	if (!v->mapping)
		return 0;
	struct page *p = mapping_find(v->mapping, vma_pgoff(v, va));
	if (!p)
		return 0;
	page_put(p);
	return 1;
}

s64 sys_mincore(u64 addr, size_t len, uaddr_t vec)
{
	struct aspace *as = current->aspace;
	u64 pages = DIV_ROUND_UP(len & ~PAGE_MASK, PAGE_SIZE) + !!(len & PAGE_MASK);
	u8 buf[128];

	if (addr & PAGE_MASK)
		return -EINVAL;
	if (!user_range_ok(addr, len))
		return -ENOMEM;
	if (!user_range_ok(vec, pages))
		return -EFAULT;
	for (u64 done = 0; done < pages;) {
		u64 n = MIN(pages - done, sizeof(buf)), i;
		rwmutex_read_lock(&as->lock);
		for (i = 0; i < n; i++) {
			u64 va = addr + (done + i) * PAGE_SIZE;
			struct vma *v = vma_find(as, va);
			if (!v || va < v->start)
				break;
			buf[i] = is_resident(v, va);
		}
		rwmutex_read_unlock(&as->lock);
		if (i < n)
			return -ENOMEM;
		if (copy_to_user(vec + done, buf, n))
			return -EFAULT;
		done += n;
		resched_point();
	}
	return 0;
}
