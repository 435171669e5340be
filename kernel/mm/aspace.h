/* SPDX-License-Identifier: MIT */
/*
 * aspace.h - a user address space: areas (struct vma) in a tree, page tables,
 * demand paging, copy on write.
 *
 * Locks: as->lock (rwmutex, RANK_ASPACE) guards the areas: faults take it for
 * reading, mmap and friends for writing. as->pt_lock guards the page-table
 * entries. A page-cache page is mapped under its mapping's lock first
 * (RANK_MAPPING < RANK_PAGETABLE), so truncation finds all mappings.
 *
 * `users` counts tasks that run in it (the areas live that long); `refs` counts
 * everything (page tables' top, the struct).
 */
#ifndef MM_ASPACE_H
#define MM_ASPACE_H

#include "arch/x86/mmu.h"
#include "core/mutex.h"
#include "core/ref.h"
#include "lib/tree.h"

struct file;
struct page;
struct mapping;
struct vma;

/* Linux's values (man 2 mmap) */
#define PROT_READ  1
#define PROT_WRITE 2
#define PROT_EXEC  4

#define VM_READ    BIT(0)
#define VM_WRITE   BIT(1)
#define VM_EXEC    BIT(2)
#define VM_SHARED  BIT(3)
#define VM_GROWSDOWN BIT(4)
#define VM_MAYWRITE BIT(5) /* mprotect may add PROT_WRITE (shared file mappings: opened for writing) */
#define VM_MAYEXEC BIT(6)
#define VM_MAYREAD BIT(7)
#define VM_DONTCOPY BIT(8)  /* madvise DONTFORK */
#define VM_SPECIAL BIT(9)  /* vDSO: may not be changed; PTEs are PTE_SPECIAL */
#define VM_LOCKED  BIT(10)
#define VM_WIPEONFORK BIT(11)
#define VM_NORESERVE BIT(12)

/*
 * What is behind an area that is not anonymous. fault() gives the page at pgoff
 * (in pages of the object), referenced and up to date: 0, -SIGBUS-like
 * -EFAULT (beyond the end), -EIO, -ENOMEM. make_writable() is called before a
 * shared page is first mapped writable (the filesystem reserves, marks dirty).
 */
struct vm_ops {
	void (*open)(struct vma *v);  /* the area was copied or split: take a reference */
	void (*close)(struct vma *v); /* it goes away */
	int (*fault)(struct vma *v, u64 pgoff, bool write, struct page **out);
	int (*make_writable)(struct vma *v, struct page *p);
	const char *(*name)(struct vma *v); /* for /proc/PID/maps, e.g. "[vdso]"; or NULL */
};

struct vma { /* A: as->lock */
	struct tree_node node;  /* A: by start; augmented with max_gap */
	u64 start, end;         /* A */
	u64 max_gap;            /* A: largest hole directly below any area of this subtree */
	u64 flags;              /* A: VM_* */
	u64 pgoff;              /* A: of `start`, in pages */
	struct aspace *as;
	const struct vm_ops *ops; /* NULL: anonymous private memory */
	struct file *file;      /* counted through ops; NULL if none */
	struct mapping *mapping; /* page cache behind it, or NULL */
	struct list mapping_node; /* in mapping->areas; mapping's lock */
};

struct aspace {
	ref_t users, refs;
	struct rwmutex lock;
	spinlock_t pt_lock;
	struct tree areas;       /* A */
	struct vma *cached;      /* last one found (hint, checked) */
	pte_t *pml4;
	paddr_t pml4_phys;
	u64 cpus;                /* atomic: bit per CPU that has it loaded */
	struct account *account; /* page tables and anonymous pages are charged here */
	u64 total_pages;         /* A: sum of the areas (RLIMIT_AS) */
	u64 data_pages, stack_pages, exec_pages, locked_pages; /* A */
	s64 rss_anon, rss_file, rss_shmem, table_pages, rss_peak; /* atomic, pages */
	/* Set by exec, read by /proc and brk. */
	u64 code_start, code_end, data_start, data_end, brk_start, brk;
	u64 stack_start, arg_start, arg_end, env_start, env_end;
	u64 mmap_top;            /* mappings are placed below this, downwards */
	u64 vdso;                /* where it is mapped; 0: not */
	u64 auxv[48];            /* for /proc/PID/auxv */
	struct file *exe;        /* counted by exec; proc/ clears it */
};

int aspace_create(struct aspace **out);            /* empty: -ENOMEM */
int aspace_fork(struct aspace *from, struct aspace **out); /* copy on write: -ENOMEM */
struct aspace *aspace_get(struct aspace *as);      /* users */
void aspace_put(struct aspace *as);                /* last user: unmaps everything */
struct aspace *aspace_ref(struct aspace *as);      /* refs only */
void aspace_unref(struct aspace *as);
/* fs hands over what mm must not know: dropping as->exe. */
void aspace_set_file_ops(void (*put)(struct file *f), struct file *(*get)(struct file *f));

/* The area that holds va, or the first one above it; NULL. Under as->lock. */
struct vma *vma_find(struct aspace *as, u64 va);
struct vma *vma_first(struct aspace *as);
struct vma *vma_next(struct vma *v);
#define for_each_vma(v, as) for (v = vma_first(as); v; v = vma_next(v))

/*
 * Maps [va, va+len) or, without MAP_FIXED in `flags`, a place of its own choice
 * near the hint va; the result in *out. vma->file is taken by ops->open. The
 * caller (sys_mmap) has checked rights. -ENOMEM, -EINVAL, -EEXIST, -EPERM.
 * Takes as->lock. flags are Linux's MAP_*, vmflags VM_*.
 */
int aspace_map(struct aspace *as, u64 va, u64 len, u64 vmflags, u32 flags, struct file *file,
	       struct mapping *mapping, const struct vm_ops *ops, u64 pgoff, u64 *out);
int aspace_unmap(struct aspace *as, u64 va, u64 len);
/* exec: the stack area, growing down, at the top of the address space. */
int aspace_map_stack(struct aspace *as, u64 top, u64 size);
int aspace_map_vdso(struct aspace *as); /* sets as->vdso */

/* A page fault. error: the hardware's error code. 0; else a signal is due: *sig and *code. */
#define FAULT_PRESENT BIT(0)
#define FAULT_WRITE   BIT(1)
#define FAULT_USER    BIT(2)
#define FAULT_EXEC    BIT(4)
int aspace_fault(struct aspace *as, u64 va, u64 error, int *sig, int *code);

/* Brings [va, va+len) in, for reading or writing, as faults would: -EFAULT, -ENOMEM. */
int aspace_populate(struct aspace *as, u64 va, u64 len, bool write);
/*
 * Reads or writes another address space (/proc/PID/cmdline, futex keys): bytes
 * copied, or -EFAULT. Sleeps.
 */
s64 aspace_read(struct aspace *as, u64 va, void *buf, size_t n);
/* The page mapped at va, referenced, brought in if need be (write: made private/writable). */
int aspace_page(struct aspace *as, u64 va, bool write, struct page **out);

#endif
