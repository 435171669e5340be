/* SPDX-License-Identifier: MIT */
/*
 * aspace.c - the life of an address space: create, fork, end (contract: aspace.h).
 *
 * Two counts. `users` are the tasks that run in it; when the last one leaves
 * (aspace_put), all areas and pages go at once, without a TLB flush, because
 * nobody will run user code in it again. But CPUs may still have its tables
 * loaded and walk them by themselves, so these are only unlinked; aspace_unref,
 * by whoever holds the last of `refs` after the last switch away, frees them.
 *
 *	LIVE (users > 0) --aspace_put--> EMPTY (no areas, dead_tables) --aspace_unref--> freed
 */
#include "mm/aspace.h"
#include "core/errno.h"
#include "core/task.h"
#include "mm/internal.h"
#include "mm/pagecache.h"
#include "mm/pagetable.h"
#include "mm/slab.h"
#include "mm/vma.h"

static struct slab_cache *aspace_cache;
static void (*file_put_hook)(struct file *f);
static struct file *(*file_get_hook)(struct file *f);

void aspace_init(void)
{
	aspace_cache =
		slab_cache_create("aspace", sizeof(struct aspace), 0, SLAB_ACCOUNT | SLAB_ZERO);
	vma_init();
}

void aspace_set_file_ops(void (*put)(struct file *f), struct file *(*get)(struct file *f))
{
	file_put_hook = put;
	file_get_hook = get;
}

int aspace_create(struct aspace **out)
{
	struct account *account = current->account;
	struct aspace *as = slab_alloc(aspace_cache);

	if (!as)
		return -ENOMEM;
	struct page *top = page_alloc(0, PAGE_ZERO, account);
	if (!top) {
		slab_free(aspace_cache, as);
		return -ENOMEM;
	}
	page_become_table(top);
	ref_init(&as->users, 1);
	ref_init(&as->refs, 1);
	rwmutex_init(&as->lock, RANK_ASPACE);
	spin_init(&as->pt_lock, RANK_PAGETABLE);
	gap_tree_init(&as->areas);
	as->pml4 = page_virt(top);
	as->pml4_phys = page_phys(top);
	mmu_copy_kernel_half(as->pml4);
	as->account = account_get(account);
	as->table_pages = 1;
	as->stack_top = USER_STACK_TOP;
	as->mmap_top = USER_STACK_TOP - (128ul << 20);
	*out = as;
	return 0;
}

void aspace_set_account(struct aspace *as, struct account *a)
{
	struct account *old;

	rwmutex_write_lock(&as->lock);
	old = as->account;
	as->account = account_get(a);
	rwmutex_write_unlock(&as->lock);
	account_put(old);
}

struct aspace *aspace_get(struct aspace *as)
{
	ref_get(&as->users);
	return as;
}

bool aspace_get_unless_dead(struct aspace *as)
{
	return ref_get_unless_zero(&as->users);
}

void aspace_put(struct aspace *as)
{
	if (!ref_put(&as->users))
		return;
	unmap_dead(as);
	if (as->exe && file_put_hook)
		file_put_hook(as->exe);
	as->exe = NULL;
	aspace_unref(as);
}

struct aspace *aspace_ref(struct aspace *as)
{
	ref_get(&as->refs);
	return as;
}

void aspace_unref(struct aspace *as)
{
	if (!ref_put(&as->refs))
		return;
	BUG_IF(as->areas.root, "as=%p", as);
	mmu_forget(as);
	tables_free(as->dead_tables);
	page_use_add(USE_TABLE, -1);
	page_put(page_of_virt(as->pml4));
	account_put(as->account);
	slab_free(aspace_cache, as);
}

/* --- fork --- */

#define FORK_STEP 64 /* areas between two resched_point()s */

/*
 * What a fault can bring back is not copied, unless that costs less: entries of a
 * small area of a file go faster by copying than by faulting.
 */
static bool must_copy(const struct vma *v)
{
	if (v->flags & VM_WIPEONFORK)
		return false;
	return !v->ops || (v->flags & (VM_HASANON | VM_SPECIAL)) || vma_pages(v) <= PT_ENTRIES;
}

static int fork_area(struct aspace *to, struct vma *v, bool *cow)
{
	struct vma *copy;
	int err = vma_create(v, &copy);

	if (err)
		return err;
	copy->as = to;
	copy->flags &= ~(VM_LOCKED | VM_ONFAULT);
	if (copy->ops && copy->ops->open)
		copy->ops->open(copy);
	vma_link(copy); /* before its entries exist: see pt_copy */
	return must_copy(v) ? pt_copy(to, v, cow) : 0;
}

static void fork_layout(struct aspace *to, const struct aspace *from)
{
	to->code_start = from->code_start;
	to->code_end = from->code_end;
	to->data_start = from->data_start;
	to->data_end = from->data_end;
	to->brk_start = from->brk_start;
	to->brk = from->brk;
	to->stack_start = from->stack_start;
	to->arg_start = from->arg_start;
	to->arg_end = from->arg_end;
	to->env_start = from->env_start;
	to->env_end = from->env_end;
	to->stack_top = from->stack_top;
	to->mmap_top = from->mmap_top;
	to->vdso = from->vdso;
	to->told = from->told;
	if (from->exe && file_get_hook)
		to->exe = file_get_hook(from->exe);
}

int aspace_fork(struct aspace *from, struct aspace **out)
{
	struct aspace *to;
	bool cow = false;
	struct vma *v;
	u32 count = 0;
	int err = aspace_create(&to);

	if (err)
		return err;
	err = rwmutex_write_lock_killable(&from->lock);
	if (err)
		goto put;
	fork_layout(to, from);
	for_each_vma (v, from) {
		if (v->flags & VM_DONTCOPY)
			continue;
		err = fork_area(to, v, &cow);
		if (err)
			break;
		if (++count % FORK_STEP == 0)
			resched_point();
	}
	if (cow)
		tlb_flush_range(from, 0, USER_END);
	rwmutex_write_unlock(&from->lock);
	if (!err) {
		*out = to;
		return 0;
	}
put:
	aspace_put(to);
	return err;
}
