/* SPDX-License-Identifier: MIT */
/*
 * sys_madvise.c - madvise(2): a table says of each advice what it does to one
 * area. What drops pages works under as->lock for reading; what changes areas
 * needs it for writing and splits at the borders of the range. Holes are skipped
 * and answered with -ENOMEM at the end.
 */
#include "core/errno.h"
#include "core/task.h"
#include "mm/pagecache.h"
#include "mm/pagetable.h"
#include "mm/vma.h"
#include "syscalls.h"

enum {
	MADV_NORMAL = 0,
	MADV_RANDOM = 1,
	MADV_SEQUENTIAL = 2,
	MADV_WILLNEED = 3,
	MADV_DONTNEED = 4,
	MADV_FREE = 8,
	MADV_REMOVE = 9,
	MADV_DONTFORK = 10,
	MADV_DOFORK = 11,
	MADV_MERGEABLE = 12,
	MADV_UNMERGEABLE = 13,
	MADV_HUGEPAGE = 14,
	MADV_NOHUGEPAGE = 15,
	MADV_DONTDUMP = 16,
	MADV_DODUMP = 17,
	MADV_WIPEONFORK = 18,
	MADV_KEEPONFORK = 19,
	MADV_COLD = 20,
	MADV_PAGEOUT = 21,
	MADV_POPULATE_READ = 22,
	MADV_POPULATE_WRITE = 23,
	MADV_DONTNEED_LOCKED = 24,
	MADV_COUNT,
};

static int advise_nothing(struct vma *v, u64 start, u64 end)
{
	return 0;
}

static int drop(struct vma *v, u64 start, u64 end)
{
	struct gather g;

	gather_begin(&g, v->as, false);
	zap_range(&g, v, start, end);
	gather_end(&g);
	return 0;
}

static int advise_dontneed(struct vma *v, u64 start, u64 end)
{
	return v->flags & (VM_LOCKED | VM_SPECIAL) ? -EINVAL : drop(v, start, end);
}

static int advise_dontneed_locked(struct vma *v, u64 start, u64 end)
{
	return v->flags & VM_SPECIAL ? -EINVAL : drop(v, start, end);
}

/* "The kernel may free the pages when it likes": now. */
static int advise_free(struct vma *v, u64 start, u64 end)
{
	return v->ops || (v->flags & (VM_LOCKED | VM_SPECIAL)) ? -EINVAL : drop(v, start, end);
}

static int advise_cold(struct vma *v, u64 start, u64 end)
{
	return v->flags & (VM_LOCKED | VM_SPECIAL) ? -EINVAL : 0;
}

static int advise_remove(struct vma *v, u64 start, u64 end)
{
	struct mapping *m = v->mapping;

	if ((v->flags & VM_LOCKED) || !m)
		return -EINVAL;
	if ((v->flags & (VM_SHARED | VM_WRITE)) != (VM_SHARED | VM_WRITE))
		return -EACCES;
	if (m->ops && m->ops->read_page) /* a hole would have to be made on its disk */
		return -EOPNOTSUPP;
	mapping_remove_range(m, vma_pgoff(v, start), vma_pgoff(v, end) - 1);
	return 0;
}

#define ADVICE_NOT_FILE BIT(0) /* only private anonymous areas */
#define ADVICE_KNOWN	BIT(1)

/* Either `act` (as->lock for reading), or flags to set and clear (for writing). */
static const struct advice {
	int (*act)(struct vma *v, u64 start, u64 end);
	u64 set, clear;
	u32 kind;
} advices[MADV_COUNT] = {
	[MADV_NORMAL] = { NULL, 0, VM_RANDOM, ADVICE_KNOWN },
	[MADV_RANDOM] = { NULL, VM_RANDOM, 0, ADVICE_KNOWN },
	[MADV_SEQUENTIAL] = { NULL, 0, VM_RANDOM, ADVICE_KNOWN },
	[MADV_WILLNEED] = { advise_nothing, 0, 0, ADVICE_KNOWN },
	[MADV_DONTNEED] = { advise_dontneed, 0, 0, ADVICE_KNOWN },
	[MADV_DONTNEED_LOCKED] = { advise_dontneed_locked, 0, 0, ADVICE_KNOWN },
	[MADV_FREE] = { advise_free, 0, 0, ADVICE_KNOWN },
	[MADV_REMOVE] = { advise_remove, 0, 0, ADVICE_KNOWN },
	[MADV_DONTFORK] = { NULL, VM_DONTCOPY, 0, ADVICE_KNOWN },
	[MADV_DOFORK] = { NULL, 0, VM_DONTCOPY, ADVICE_KNOWN },
	[MADV_MERGEABLE] = { advise_nothing, 0, 0, ADVICE_KNOWN },
	[MADV_UNMERGEABLE] = { advise_nothing, 0, 0, ADVICE_KNOWN },
	[MADV_HUGEPAGE] = { NULL, 0, VM_NOHUGEPAGE, ADVICE_KNOWN },
	[MADV_NOHUGEPAGE] = { NULL, VM_NOHUGEPAGE, 0, ADVICE_KNOWN },
	[MADV_DONTDUMP] = { advise_nothing, 0, 0, ADVICE_KNOWN }, /* there are no core dumps */
	[MADV_DODUMP] = { advise_nothing, 0, 0, ADVICE_KNOWN },
	[MADV_WIPEONFORK] = { NULL, VM_WIPEONFORK, 0, ADVICE_KNOWN | ADVICE_NOT_FILE },
	[MADV_KEEPONFORK] = { NULL, 0, VM_WIPEONFORK, ADVICE_KNOWN },
	[MADV_COLD] = { advise_cold, 0, 0, ADVICE_KNOWN },
	[MADV_PAGEOUT] = { advise_cold, 0, 0, ADVICE_KNOWN },
	[MADV_POPULATE_READ] = { NULL, 0, 0, ADVICE_KNOWN },
	[MADV_POPULATE_WRITE] = { NULL, 0, 0, ADVICE_KNOWN },
};

static int act_on_range(struct aspace *as, u64 start, u64 end, const struct advice *a)
{
	int err = 0, hole = 0;
	u32 n = 0;

	rwmutex_read_lock(&as->lock);
	for (u64 at = start; at < end && !err; areas_pause(++n)) {
		struct vma *v = vma_find(as, at);
		if (!v || v->start >= end) {
			hole = -ENOMEM;
			break;
		}
		if (v->start > at) {
			hole = -ENOMEM;
			at = v->start;
		}
		u64 stop = MIN(v->end, end);
		err = a->act(v, at, stop);
		at = stop;
	}
	rwmutex_read_unlock(&as->lock);
	return err ? err : hole;
}

static int check_flags(struct vma *v, u64 end, const struct advice *a)
{
	for (u32 n = 1; v && v->start < end; v = vma_next(v), areas_pause(n++)) {
		if ((a->kind & ADVICE_NOT_FILE) && (v->ops || (v->flags & VM_SHARED)))
			return -EINVAL;
		if ((v->flags & VM_SPECIAL) && (a->clear & VM_DONTCOPY))
			return -EINVAL;
	}
	return 0;
}

static int set_flags(struct aspace *as, u64 start, u64 end, const struct advice *a)
{
	struct vma *v = vma_of(gap_find(&as->areas, start));
	u64 at = start;
	int err = check_flags(v, end, a), hole = 0;

	if (!err)
		err = isolate_range(as, start, end, &v);
	if (err)
		return err;
	for (u32 n = 1; v && v->start < end; v = vma_next(v), areas_pause(n++)) {
		if (v->start > at)
			hole = -ENOMEM;
		vma_set_flags(v, (v->flags & ~a->clear) | a->set);
		/* What it takes in behind itself is as it should be already. */
		v = vma_merge(v);
		at = v->end;
	}
	return at < end ? -ENOMEM : hole;
}

static int populate(struct aspace *as, u64 start, u64 len, bool write)
{
	int err = aspace_populate(as, start, len, write);

	return err == -EIO ? -EFAULT : err;
}

s64 sys_madvise(u64 start, u64 len, int advice)
{
	struct aspace *as = current->aspace;

	if (advice < 0 || advice >= MADV_COUNT || !(advices[advice].kind & ADVICE_KNOWN))
		return -EINVAL;
	const struct advice *a = &advices[advice];
	u64 size = ALIGN_UP(len, PAGE_SIZE), end = start + size;
	if ((start & PAGE_MASK) || (len && !size) || end < start)
		return -EINVAL;
	if (!size)
		return 0;
	if (start >= USER_END)
		return -ENOMEM;
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		return populate(as, start, size, advice == MADV_POPULATE_WRITE);
	if (a->act)
		return act_on_range(as, start, end, a);
	int err = rwmutex_write_lock_killable(&as->lock);
	if (err)
		return err;
	err = set_flags(as, start, end, a);
	rwmutex_write_unlock(&as->lock);
	return err;
}
