/* SPDX-License-Identifier: MIT */
/*
 * map.c - putting areas into an address space and taking them out: what mmap,
 * munmap, mprotect and exec come down to (contract: aspace.h).
 *
 * Each operation first checks limits and splits areas at its borders (which may
 * fail, and leaves an equivalent address space if it does), and then commits.
 *
 * Where a mapping goes without an address: small ones right above the stack, so
 * that a small process needs one page table there; others below as->mmap_top,
 * downwards; and anywhere if there is no room, the highest place first.
 */
#include "arch/x86/arch.h"
#include "core/cred.h"
#include "core/errno.h"
#include "core/rlimit.h"
#include "mm/pagetable.h"
#include "mm/vma.h"
#include "mm/internal.h"

#define SMALL_MAPPING (256ul << 10) /* goes above the stack */
#define LARGE_MAPPING (1ul << 30)   /* goes as high as possible if the stack is low */
#define LOW_START     0x40000000ull /* MAP_32BIT: as Linux, the second GiB */
#define LOW_END	      0x80000000ull
#define ZAP_STEP      (16ul << 20) /* between two resched_point()s */
#define AREAS_STEP    64
/* The stack gets this much room at least, whatever RLIMIT_STACK says (as Linux). */
#define STACK_ROOM_MIN (128ul << 20)
#define STACK_ROOM_MAX (USER_END / 6 * 5)
#define STACK_ROOM_LOW (USER_LOW_END / 8) /* who wants more has it at USER_STACK_TOP */

/* --- limits --- */

int check_lock_limit(struct aspace *as, u64 pages)
{
	u64 limit = rlimit_cur(RLIMIT_MEMLOCK);

	if (as->locked_pages + pages <= limit >> PAGE_SHIFT || limit == RLIM_INFINITY)
		return 0;
	return capable(CAP_IPC_LOCK) ? 0 : -EAGAIN;
}

int check_limits(struct aspace *as, u64 pages, u64 flags)
{
	if (as->total_pages + pages > rlimit_cur(RLIMIT_AS) >> PAGE_SHIFT)
		return -ENOMEM;
	if (vma_is_private_writable(flags)) {
		if (as->data_pages + pages > rlimit_cur(RLIMIT_DATA) >> PAGE_SHIFT)
			return -ENOMEM;
		/* More than the machine has, ever: as Linux's heuristic overcommit. */
		if (!(flags & VM_NORESERVE) && pages > buddy.total)
			return -ENOMEM;
	}
	return flags & VM_LOCKED ? check_lock_limit(as, pages) : 0;
}

/* --- room --- */

bool range_is_free(struct aspace *as, u64 start, u64 end)
{
	struct vma *v = vma_of(gap_find(&as->areas, start));

	return !v || end <= vma_guarded_start(v);
}

/* The highest hole in [low, high) that also keeps away from areas that grow down. */
static int search(struct aspace *as, u64 low, u64 high, u64 len, u64 *out)
{
	while (high > low && high - low >= len) {
		int err = gap_search_down(&as->areas, low, high, len, out);
		if (err)
			return err;
		struct vma *above = vma_of(gap_find(&as->areas, *out));
		if (!above || *out + len <= vma_guarded_start(above))
			return 0;
		high = MIN(*out + len - PAGE_SIZE, vma_guarded_start(above));
	}
	return -ENOMEM;
}

int find_room(struct aspace *as, u64 hint, u64 len, u32 flags, u64 *out)
{
	u64 at = ALIGN_UP(hint, PAGE_SIZE);

	if (len > USER_END - USER_MIN)
		return -ENOMEM;
	if (at >= USER_MIN && at <= USER_END - len && range_is_free(as, at, at + len)) {
		*out = at;
		return 0;
	}
	if (flags & MAP_32BIT)
		return search(as, LOW_START, LOW_END, len, out);
	if (len <= SMALL_MAPPING &&
	    !search(as, as->stack_top, as->stack_top + USER_ABOVE_STACK, len, out))
		return 0;
	if ((len < LARGE_MAPPING || as->stack_top != USER_LOW_TOP) &&
	    !search(as, USER_MIN, as->mmap_top, len, out))
		return 0;
	return search(as, USER_MIN, USER_END, len, out);
}

int aspace_room(struct aspace *as, u64 len, u64 *at)
{
	return find_room(as, 0, len, 0, at);
}

/* --- mapping --- */

int map_area(struct aspace *as, const struct vma *want, struct vma **out)
{
	struct vma *next = vma_of(gap_find(&as->areas, want->start));
	struct vma *prev = next ? vma_prev(next) : vma_last(as);
	struct vma *v;

	if (prev && vma_continues(prev, want)) {
		vma_resize(prev, prev->start, want->end);
		*out = next ? vma_merge(prev) : prev;
		return 0;
	}
	if (next && vma_continues(want, next)) {
		vma_resize(next, want->start, next->end);
		*out = next;
		return 0;
	}
	if (as->area_count >= MAP_COUNT_MAX)
		return -ENOMEM;
	int err = vma_create(want, &v);
	if (err)
		return err;
	if (v->ops && v->ops->open)
		v->ops->open(v);
	vma_link(v);
	*out = v;
	return 0;
}

/* Decides where, and makes room there. */
static int place(struct aspace *as, u64 va, u64 len, u32 flags, u64 *at)
{
	if (!(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		return find_room(as, va, len, flags, at);
	if (va & PAGE_MASK)
		return -EINVAL;
	if (len > USER_END || va > USER_END - len)
		return -ENOMEM;
	if (va < USER_MIN && !capable(CAP_SYS_RAWIO))
		return -EPERM;
	*at = va;
	if (flags & MAP_FIXED_NOREPLACE) {
		struct vma *v = vma_of(gap_find(&as->areas, va));
		return v && v->start < va + len ? -EEXIST : 0;
	}
	return 0;
}

static u64 overlap_pages(struct aspace *as, u64 start, u64 end)
{
	u64 n = 0;

	for (struct vma *v = vma_of(gap_find(&as->areas, start)); v && v->start < end;
	     v = vma_next(v))
		n += (MIN(v->end, end) - MAX(v->start, start)) >> PAGE_SHIFT;
	return n;
}

static int map_locked(struct aspace *as, u64 va, u64 len, u32 flags, struct vma *want, u64 *at)
{
	struct vma *v;
	int err = place(as, va, len, flags, at);

	if (err)
		return err;
	want->start = *at;
	want->end = *at + len;
	if (!want->ops)
		want->pgoff = *at >> PAGE_SHIFT;
	u64 pages = len >> PAGE_SHIFT, replaced = 0;
	if (flags & MAP_FIXED)
		replaced = overlap_pages(as, *at, *at + len);
	err = check_limits(as, pages - MIN(replaced, pages), want->flags);
	if (err)
		return err;
	if (replaced) {
		err = unmap_locked(as, *at, *at + len);
		if (err)
			return err;
	}
	return map_area(as, want, &v);
}

int aspace_map(struct aspace *as, u64 va, u64 len, u64 vmflags, u32 flags, struct file *file,
	       struct mapping *mapping, const struct vm_ops *ops, u64 pgoff, u64 *out)
{
	struct vma want = {
		.as = as,
		.file = file,
		.mapping = mapping,
		.ops = ops,
		.pgoff = pgoff,
	};

	if (!len)
		return -EINVAL;
	if (len > USER_END)
		return -ENOMEM;
	len = ALIGN_UP(len, PAGE_SIZE);
	int err = rwmutex_write_lock_killable(&as->lock);
	if (err)
		return err;
	want.flags = vmflags | as->default_flags | (flags & MAP_LOCKED ? VM_LOCKED : 0);
	err = map_locked(as, va, len, flags, &want, out);
	rwmutex_write_unlock(&as->lock);
	if (err)
		return err;
	bool locked = (want.flags & (VM_LOCKED | VM_ONFAULT)) == VM_LOCKED;
	if (unlikely(locked || (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE))
		(void)aspace_populate(as, *out, len,
				      (vmflags & (VM_WRITE | VM_SHARED)) == VM_WRITE);
	return 0;
}

/* --- unmapping --- */

int isolate_range(struct aspace *as, u64 start, u64 end, struct vma **first)
{
	struct vma *v = vma_of(gap_find(&as->areas, start)), *u;

	*first = NULL;
	if (!v || v->start >= end)
		return 0;
	/* A hole in the middle of one area makes one more: both cuts must be possible. */
	if (v->start < start && v->end > end && as->area_count + 1 >= MAP_COUNT_MAX)
		return -ENOMEM;
	if (v->start < start) {
		int err = vma_split(v, start, &v);
		if (err)
			return err;
	}
	struct vma *last = vma_of(gap_find(&as->areas, end - 1));
	if (last && last->start < end && last->end > end) {
		int err = vma_split(last, end, &u);
		if (err)
			return err;
	}
	*first = v;
	return 0;
}

void areas_pause(u32 n)
{
	if (n % AREAS_STEP == 0)
		resched_point();
}

void zap_range(struct gather *g, struct vma *v, u64 start, u64 end)
{
	while (start < end) {
		u64 stop = MIN(start + ZAP_STEP, end);
		pt_zap(g, v, start, stop, true);
		start = stop;
		if (start < end)
			resched_point();
	}
}

static void free_areas(struct list *l)
{
	for (u32 n = 1; !list_empty(l); n++) {
		struct vma *v = list_first(l, struct vma, mapping_node);
		list_remove(&v->mapping_node);
		vma_close(v);
		vma_free(v);
		areas_pause(n);
	}
}

int unmap_locked(struct aspace *as, u64 start, u64 end)
{
	struct list gone = LIST_INIT(gone);
	struct gather g;
	struct vma *v, *next, *prev;
	int err = isolate_range(as, start, end, &v);

	if (err || !v)
		return err;
	prev = vma_prev(v);
	gather_begin(&g, as, false);
	for (u32 n = 1; v && v->start < end; v = next, n++) {
		next = vma_next(v);
		vma_unlink(v);
		zap_range(&g, v, v->start, v->end);
		list_append(&gone, &v->mapping_node);
		areas_pause(n);
	}
	pt_free_tables(&g, start, end, prev ? prev->end : 0, v ? v->start : USER_END);
	gather_end(&g);
	free_areas(&gone);
	return 0;
}

int aspace_unmap(struct aspace *as, u64 va, u64 len)
{
	if ((va & PAGE_MASK) || !len || len > USER_END || va > USER_END - len)
		return -EINVAL;
	int err = rwmutex_write_lock_killable(&as->lock);
	if (err)
		return err;
	err = unmap_locked(as, va, ALIGN_UP(va + len, PAGE_SIZE));
	rwmutex_write_unlock(&as->lock);
	return err;
}

/* aspace_put's: nobody runs in it, nobody finds it. */
void unmap_dead(struct aspace *as)
{
	struct list gone = LIST_INIT(gone);
	struct gather g;
	struct vma *v, *next;
	u32 n = 0;

	gather_begin(&g, as, true);
	for_each_vma (v, as) {
		vma_leave_mapping(v);
		zap_range(&g, v, v->start, v->end);
		areas_pause(++n);
	}
	for (v = vma_first(as); v; v = next) {
		next = vma_next(v);
		pt_free_tables(&g, v->start, v->end, 0, next ? next->start : USER_END);
		list_append(&gone, &v->mapping_node);
		areas_pause(++n);
	}
	gather_end(&g);
	as->areas.root = NULL;
	as->cached = NULL;
	as->area_count = 0;
	free_areas(&gone);
}

/* --- protection --- */

/*
 * How far from `start` the protection may be changed: *stop, and why not further.
 * Linux changes what comes before an obstacle, and so must we.
 */
static int protect_check(struct aspace *as, u64 start, u64 end, u32 prot, u64 *stop)
{
	u64 data = as->data_pages;
	struct vma *v = vma_of(gap_find(&as->areas, start));
	u32 n = 0;

	for (*stop = start; *stop < end; *stop = v->end, v = vma_next(v)) {
		if (!v || v->start > *stop)
			return -ENOMEM;
		if (((prot & PROT_WRITE) && !(v->flags & VM_MAYWRITE)) ||
		    ((prot & PROT_EXEC) && !(v->flags & VM_MAYEXEC)) ||
		    ((prot & PROT_READ) && !(v->flags & VM_MAYREAD)) || (v->flags & VM_SPECIAL))
			return -EACCES;
		if (vma_is_private_writable((v->flags & ~7ull) | vm_prot_flags(prot)) &&
		    !vma_is_private_writable(v->flags)) {
			data += vma_pages(v);
			if (data > rlimit_cur(RLIMIT_DATA) >> PAGE_SHIFT)
				return -ENOMEM;
		}
		areas_pause(++n);
	}
	*stop = end;
	return 0;
}

static int protect_locked(struct aspace *as, u64 start, u64 end, u32 prot)
{
	int why = protect_check(as, start, end, prot, &end);
	struct vma *v;

	if (start == end)
		return why;
	int err = isolate_range(as, start, end, &v);
	if (err)
		return err;
	for (u32 n = 1; v && v->start < end; v = vma_next(v), n++) {
		u64 flags = (v->flags & ~7ull) | vm_prot_flags(prot);
		if (flags != v->flags) {
			vma_set_flags(v, flags);
			pt_protect(v, v->start, v->end);
		}
		/* What it takes in behind itself is as it should be already. */
		v = vma_merge(v);
		areas_pause(n);
	}
	return why;
}

int aspace_protect(struct aspace *as, u64 va, u64 len, u32 prot)
{
	int err = rwmutex_write_lock_killable(&as->lock);

	if (err)
		return err;
	err = protect_locked(as, va, va + len, prot);
	rwmutex_write_unlock(&as->lock);
	return err;
}

/* --- exec's own --- */

int aspace_map_stack(struct aspace *as, bool low, u64 size)
{
	u64 flags = VM_READ | VM_WRITE | VM_GROWSDOWN | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC, at;
	u64 room = rlimit_cur(RLIMIT_STACK), top;

	top = as->stack_top = low && room <= STACK_ROOM_LOW ? USER_LOW_TOP : USER_STACK_TOP;
	room = MIN(MAX(room, STACK_ROOM_MIN), STACK_ROOM_MAX);
	size = ALIGN_UP(size, PAGE_SIZE);
	as->mmap_top = ALIGN_DOWN(top - room - STACK_GUARD, PAGE_SIZE);
	return aspace_map(as, top - size, size, flags, MAP_FIXED, NULL, NULL, NULL, 0, &at);
}

static const char *vdso_name(struct vma *v)
{
	return v->pgoff ? "[vdso]" : "[vvar]";
}
static const struct vm_ops vdso_ops = { .name = vdso_name };

static int vdso_map_pages(struct aspace *as, u64 va, const void *pages, size_t size, u64 exec)
{
	u64 flags = PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_SPECIAL | (exec ? 0 : PTE_NX);
	int err = 0;

	spin_lock(&as->pt_lock);
	for (size_t off = 0; off < size; off += PAGE_SIZE) {
		pte_t *e = pt_make(as, va + off);
		if (!e) {
			err = -ENOMEM;
			break;
		}
		WRITE_ONCE(*e, pte_make(virt_to_phys((const char *)pages + off), flags));
	}
	spin_unlock(&as->pt_lock);
	return err;
}

/* The data page stands right before the code (arch/x86/vdso.c relies on that). */
int aspace_map_vdso(struct aspace *as)
{
	const struct vdso_image *image = arch_vdso();
	u64 flags = VM_READ | VM_MAYREAD | VM_SPECIAL, at, code;

	if (!image)
		return 0;
	int err = aspace_map(as, 0, PAGE_SIZE + image->code_size, flags, 0, NULL, NULL, &vdso_ops,
			     0, &at);
	if (err)
		return err;
	code = at + PAGE_SIZE;
	err = aspace_map(as, code, image->code_size, flags | VM_EXEC | VM_MAYEXEC, MAP_FIXED, NULL,
			 NULL, &vdso_ops, 1, &code);
	if (!err)
		err = vdso_map_pages(as, at, image->data, PAGE_SIZE, 0);
	if (!err)
		err = vdso_map_pages(as, code, image->code, image->code_size, VM_EXEC);
	if (!err)
		as->vdso = code;
	return err;
}
