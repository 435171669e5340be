/* SPDX-License-Identifier: MIT */
/*
 * sys_mlock.c - mlock(2) and its family. There is no swap, so a page that is in
 * stays in; locking means bringing everything in now, and counting it against
 * RLIMIT_MEMLOCK.
 */
#include "core/cred.h"
#include "core/errno.h"
#include "core/rlimit.h"
#include "mm/vma.h"
#include "syscalls.h"

#define MLOCK_ONFAULT 1
#define MCL_CURRENT   1
#define MCL_FUTURE    2
#define MCL_ONFAULT   4
#define LOCK_FLAGS    (VM_LOCKED | VM_ONFAULT)

static bool may_lock(void)
{
	return rlimit_cur(RLIMIT_MEMLOCK) || capable(CAP_IPC_LOCK);
}

static bool over_limit(u64 pages)
{
	u64 limit = rlimit_cur(RLIMIT_MEMLOCK);

	return limit != RLIM_INFINITY && pages > limit >> PAGE_SHIFT && !capable(CAP_IPC_LOCK);
}

/* Sets the lock flags of [start, end): -ENOMEM for a hole, after what comes before it. */
static int lock_range(struct aspace *as, u64 start, u64 end, u64 flags)
{
	struct vma *v;
	u64 at = start;
	int err = isolate_range(as, start, end, &v);

	if (err)
		return err;
	for (u32 n = 1; v && v->start < end; v = vma_next(v), areas_pause(n++)) {
		if (v->start > at)
			return -ENOMEM;
		if (!(v->flags & VM_SPECIAL))
			vma_set_flags(v, (v->flags & ~LOCK_FLAGS) | flags);
		v = vma_merge(v);
		at = v->end;
	}
	return at < end ? -ENOMEM : 0;
}

static u64 locked_in(struct aspace *as, u64 start, u64 end)
{
	u64 pages = 0;
	u32 n = 0;

	for (struct vma *v = vma_find(as, start); v && v->start < end; v = vma_next(v)) {
		if (v->flags & VM_LOCKED)
			pages += (MIN(v->end, end) - MAX(v->start, start)) >> PAGE_SHIFT;
		areas_pause(++n);
	}
	return pages;
}

static int lock_bounds(u64 start, u64 len, u64 *from, u64 *to)
{
	*from = ALIGN_DOWN(start, PAGE_SIZE);
	*to = *from + ALIGN_UP(len + (start & PAGE_MASK), PAGE_SIZE);
	return *to < *from || (len && *to == *from) ? -EINVAL : 0;
}

/* Private writable areas get their own pages, as if written to (man 2 mlock, NOTES). */
static int lock_populate(struct aspace *as, u64 from, u64 to)
{
	while (from < to) {
		rwmutex_read_lock(&as->lock);
		struct vma *v = vma_find(as, from);
		u64 start = v ? MAX(v->start, from) : to, stop = v ? MIN(v->end, to) : to;
		u64 flags = v ? v->flags : 0;
		rwmutex_read_unlock(&as->lock);
		int err = 0;
		if (start < stop && (flags & LOCK_FLAGS) == VM_LOCKED)
			err = aspace_populate(as, start, stop - start,
					      (flags & (VM_WRITE | VM_SHARED)) == VM_WRITE);
		if (err && err != -EINVAL)
			return err == -EFAULT ? -ENOMEM : err;
		from = stop;
		resched_point();
	}
	return 0;
}

static s64 do_mlock(u64 start, u64 len, u64 flags)
{
	struct aspace *as = current->aspace;
	u64 from, to;

	if (!may_lock())
		return -EPERM;
	int err = lock_bounds(start, len, &from, &to);
	if (err)
		return err;
	if (to > USER_END)
		return -ENOMEM;
	err = rwmutex_write_lock_killable(&as->lock);
	if (err)
		return err;
	u64 more = ((to - from) >> PAGE_SHIFT) - locked_in(as, from, to);
	err = over_limit(as->locked_pages + more) ? -ENOMEM : lock_range(as, from, to, flags);
	rwmutex_write_unlock(&as->lock);
	return err ? err : lock_populate(as, from, to);
}

s64 sys_mlock(u64 start, u64 len)
{
	return do_mlock(start, len, VM_LOCKED);
}

s64 sys_mlock2(u64 start, u64 len, int flags)
{
	if (flags & ~MLOCK_ONFAULT)
		return -EINVAL;
	return do_mlock(start, len, flags & MLOCK_ONFAULT ? LOCK_FLAGS : VM_LOCKED);
}

s64 sys_munlock(u64 start, u64 len)
{
	struct aspace *as = current->aspace;
	u64 from, to;
	int err = lock_bounds(start, len, &from, &to);

	if (err)
		return err;
	err = rwmutex_write_lock_killable(&as->lock);
	if (err)
		return err;
	err = from < USER_END ? lock_range(as, from, MIN(to, USER_END), 0) : 0;
	rwmutex_write_unlock(&as->lock);
	return !err && to > USER_END ? -ENOMEM : err; /* part of it is not mapped */
}

static void lock_all(struct aspace *as, u64 flags)
{
	struct vma *v = vma_first(as);
	u32 n = 0;

	while (v) {
		if (!(v->flags & VM_SPECIAL))
			vma_set_flags(v, (v->flags & ~LOCK_FLAGS) | flags);
		v = vma_next(vma_merge(v));
		areas_pause(++n);
	}
}

s64 sys_mlockall(int flags)
{
	struct aspace *as = current->aspace;
	u64 lock = flags & MCL_ONFAULT ? LOCK_FLAGS : VM_LOCKED;

	if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (!may_lock())
		return -EPERM;
	int err = rwmutex_write_lock_killable(&as->lock);
	if (err)
		return err;
	if ((flags & MCL_CURRENT) && over_limit(as->total_pages)) {
		rwmutex_write_unlock(&as->lock);
		return -ENOMEM;
	}
	as->default_flags = flags & MCL_FUTURE ? lock : 0;
	if (flags & MCL_CURRENT)
		lock_all(as, lock);
	rwmutex_write_unlock(&as->lock);
	if (flags & MCL_CURRENT)
		(void)lock_populate(as, 0, USER_END); /* what cannot come in is no error here */
	return 0;
}

s64 sys_munlockall(void)
{
	struct aspace *as = current->aspace;
	int err = rwmutex_write_lock_killable(&as->lock);

	if (err)
		return err;
	as->default_flags = 0;
	lock_all(as, 0);
	rwmutex_write_unlock(&as->lock);
	return 0;
}
