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
#include "mm/gaptree.h"

struct file;
struct page;
struct mapping;
struct vma;

/* Linux's values (man 2 mmap) */
#define PROT_READ  1
#define PROT_WRITE 2
#define PROT_EXEC  4

#define VM_READ	      BIT(0)
#define VM_WRITE      BIT(1)
#define VM_EXEC	      BIT(2)
#define VM_SHARED     BIT(3)
#define VM_GROWSDOWN  BIT(4)
#define VM_MAYWRITE   BIT(5) /* mprotect may add PROT_WRITE (shared files: opened for writing) */
#define VM_MAYEXEC    BIT(6)
#define VM_MAYREAD    BIT(7)
#define VM_DONTCOPY   BIT(8) /* madvise DONTFORK */
#define VM_SPECIAL    BIT(9) /* vDSO: may not be changed; PTEs are PTE_SPECIAL */
#define VM_LOCKED     BIT(10)
#define VM_WIPEONFORK BIT(11)
#define VM_NORESERVE  BIT(12)
#define VM_NOHUGEPAGE BIT(13) /* madvise: one page at a fault, never more */
#define VM_HASANON    BIT(14) /* of a file: may hold private copies, so fork copies its entries */
#define VM_RANDOM     BIT(15) /* madvise: no mapping of neighbours */
#define VM_ONFAULT    BIT(16) /* mlock2 MLOCK_ONFAULT */

/* Linux's mmap flags (man 2 mmap) */
#define MAP_SHARED	    0x01
#define MAP_PRIVATE	    0x02
#define MAP_SHARED_VALIDATE 0x03
#define MAP_TYPE	    0x0f
#define MAP_FIXED	    0x10
#define MAP_ANONYMOUS	    0x20
#define MAP_32BIT	    0x40
#define MAP_GROWSDOWN	    0x100
#define MAP_DENYWRITE	    0x800
#define MAP_EXECUTABLE	    0x1000
#define MAP_LOCKED	    0x2000
#define MAP_NORESERVE	    0x4000
#define MAP_POPULATE	    0x8000
#define MAP_NONBLOCK	    0x10000
#define MAP_STACK	    0x20000
#define MAP_HUGETLB	    0x40000
#define MAP_SYNC	    0x80000
#define MAP_FIXED_NOREPLACE 0x100000

/*
 * The layout. The initial stack begins here, so that the stack, the vDSO and the
 * first small mappings (which go between here and USER_END) share one page
 * table; larger mappings go below the room that the stack may grow into.
 *
 * A static program that is linked to a low address has all that at the end of the
 * first 512 GiB instead, which it shares with the program: they need one table of
 * the third level, not two. Its break may still grow to hundreds of GiB, and huge
 * mappings (LARGE_MAPPING) leave that room alone.
 */
#define USER_STACK_TOP	 0x00007fffffef0000ull
#define USER_ABOVE_STACK (USER_END - USER_STACK_TOP)
#define USER_LOW_END	 (1ull << 39) /* what one entry of the top table covers */
#define USER_LOW_TOP	 (USER_LOW_END - PAGE_SIZE - USER_ABOVE_STACK)
#define USER_MIN	 0x10000ull /* vm.mmap_min_addr: no mapping below */
#define MAP_COUNT_MAX	 65530	    /* vm.max_map_count */

/*
 * What is behind an area that is not anonymous. fault() gives the page at pgoff
 * (in pages of the object), referenced and up to date: 0, -SIGBUS-like
 * -EFAULT (beyond the end), -EIO, -ENOMEM. make_writable() is called before a
 * shared page is mapped writable: the filesystem reserves, and says by PG_DIRTY
 * that it is (pagecache.h). It may put another page in place of *p, whose
 * reference it then puts. -EAGAIN: the fault is to start again.
 */
struct vm_ops {
	void (*open)(struct vma *v);  /* the area was copied or split: take a reference */
	void (*close)(struct vma *v); /* it goes away */
	int (*fault)(struct vma *v, u64 pgoff, bool write, struct page **out);
	int (*make_writable)(struct vma *v, u64 pgoff, struct page **p);
	/* msync(MS_SYNC) of these pages of the object, with no lock held. NULL: nothing to do. */
	int (*sync)(struct vma *v, u64 pgoff_first, u64 pgoff_last);
	const char *(*name)(struct vma *v); /* for /proc/PID/maps, e.g. "[vdso]"; or NULL */
};

struct vma {	/* A: as->lock */
	union { /* A; start, end and pgoff of an area in mapping->areas: its lock, too */
		struct gap_node gap;
		struct { /* the same fields */
			struct tree_node node;
			u64 start, end;
		};
	};
	u64 flags; /* A: VM_* */
	u64 pgoff; /* A: of `start`, in pages */
	struct aspace *as;
	const struct vm_ops *ops; /* NULL: anonymous private memory */
	struct file *file;	  /* counted through ops; NULL if none */
	struct mapping *mapping;  /* page cache behind it, or NULL */
	struct list mapping_node; /* in mapping->areas; mapping's lock */
};

/* What exec told a program by its auxiliary vector, if it differs between programs. */
struct exec_told {
	u64 phdr, base, entry, random, execfn, platform;
	u32 phnum, uid, euid, gid, egid;
	bool secure;
};

struct aspace {
	ref_t users, refs;
	struct rwmutex lock;
	spinlock_t pt_lock;
	struct tree areas;	  /* A */
	struct vma *cached;	  /* last one found (hint, checked) */
	u32 area_count;		  /* A */
	u64 default_flags;	  /* A: of new areas: VM_LOCKED, VM_ONFAULT (mlockall MCL_FUTURE) */
	struct page *dead_tables; /* page tables to free when no CPU has them loaded */
	pte_t *pml4;
	paddr_t pml4_phys;
	u64 cpus;		 /* atomic: bit per CPU that has it loaded */
	struct account *account; /* page tables and anonymous pages are charged here; counted */
	u64 total_pages;	 /* A: sum of the areas (RLIMIT_AS) */
	u64 data_pages, stack_pages, exec_pages, locked_pages;	  /* A */
	s64 rss_anon, rss_file, rss_shmem, table_pages, rss_peak; /* pages; written under pt_lock */
	/* Set by exec, read by /proc and brk. */
	u64 code_start, code_end, data_start, data_end, brk_start, brk;
	u64 stack_start, arg_start, arg_end, env_start, env_end;
	u64 stack_top;	       /* USER_STACK_TOP or USER_LOW_TOP; small mappings are placed above */
	u64 mmap_top;	       /* other mappings are placed below this, downwards */
	u64 vdso;	       /* where it is mapped; 0: not */
	struct exec_told told; /* for /proc/PID/auxv */
	struct file *exe;      /* counted by exec; proc/ clears it */
};

int aspace_create(struct aspace **out);			   /* empty: -ENOMEM */
int aspace_fork(struct aspace *from, struct aspace **out); /* copy on write: -ENOMEM */
struct aspace *aspace_get(struct aspace *as);		   /* users */
/*
 * The last user unmaps everything; sleeps. CPUs may still have it loaded then, if
 * they run no user code in it: its page tables stay until the last aspace_unref.
 */
void aspace_put(struct aspace *as);
struct aspace *aspace_ref(struct aspace *as); /* refs only */
void aspace_unref(struct aspace *as);
/* For another task's: a user more, unless the last one has gone. */
bool aspace_get_unless_dead(struct aspace *as);
/* From now on a pays for its pages and tables; those that are there stay where they are charged. */
void aspace_set_account(struct aspace *as, struct account *a);
/* fs hands over what mm must not know: dropping as->exe. */
void aspace_set_file_ops(void (*put)(struct file *f), struct file *(*get)(struct file *f));

/* The area that holds va, or the first one above it; NULL. Under as->lock. */
struct vma *vma_find(struct aspace *as, u64 va);
struct vma *vma_first(struct aspace *as);
struct vma *vma_next(struct vma *v);
#define for_each_vma(v, as) for (v = vma_first(as); v; v = vma_next(v))
/* Due after the nth of many areas, of which there may be tens of thousands: now and then resched_point(). */
void areas_pause(u32 n);

/*
 * Maps [va, va+len) or, without MAP_FIXED in `flags`, a place of its own choice
 * near the hint va; the result in *out. vma->file is taken by ops->open. The
 * caller (sys_mmap) has checked rights. -ENOMEM, -EINVAL, -EEXIST, -EPERM,
 * -EAGAIN (locked memory). Takes as->lock. flags are Linux's MAP_*, vmflags VM_*.
 * MAP_POPULATE and MAP_LOCKED bring the pages in before it returns.
 * For a shared anonymous area see shmem_create().
 */
int aspace_map(struct aspace *as, u64 va, u64 len, u64 vmflags, u32 flags, struct file *file,
	       struct mapping *mapping, const struct vm_ops *ops, u64 pgoff, u64 *out);
/* Where aspace_map would put a mapping of that length: -ENOMEM. Only for exec, which is alone. */
int aspace_room(struct aspace *as, u64 len, u64 *at);
int aspace_unmap(struct aspace *as, u64 va, u64 len);
int aspace_protect(struct aspace *as, u64 va, u64 len, u32 prot);
/* mremap(2) without its argument checks that need no area. */
int aspace_remap(struct aspace *as, u64 old, u64 old_len, u64 len, u32 flags, u64 to, u64 *out);
/* exec: the stack area, growing down; decides the layout. low: if the stack's limit allows that. */
int aspace_map_stack(struct aspace *as, bool low, u64 size);
int aspace_map_vdso(struct aspace *as); /* sets as->vdso */
/* The bits VM_READ.. of PROT_*, VM_MAY* left out. */
static inline u64 vm_prot_flags(u32 prot)
{
	return prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
}
/* Shared anonymous memory: what to pass as mapping and ops; aspace_map takes it over. -ENOMEM. */
int shmem_create(u64 len, struct mapping **out);
void shmem_put(struct mapping *m);
extern const struct vm_ops shmem_vm_ops;

/* A page fault. error: the hardware's error code. 0; else a signal is due: *sig and *code. */
#define FAULT_PRESENT BIT(0)
#define FAULT_WRITE   BIT(1)
#define FAULT_USER    BIT(2)
#define FAULT_EXEC    BIT(4)
int aspace_fault(struct aspace *as, u64 va, u64 error, int *sig, int *code);

/*
 * (A fault that meets a task that is being killed returns 0 without having done
 * anything: the task will not get back to user mode.)
 */

/*
 * Brings [va, va+len) in, for reading or writing, as faults would: -ENOMEM (also: a hole),
 * -EFAULT (no page there), -EINVAL (the area does not allow it), -EINTR (being killed).
 */
int aspace_populate(struct aspace *as, u64 va, u64 len, bool write);
/*
 * Reads or writes another address space (/proc/PID/cmdline, futex keys): bytes
 * copied, or -EFAULT. Sleeps.
 */
s64 aspace_read(struct aspace *as, u64 va, void *buf, size_t n);
s64 aspace_write(struct aspace *as, u64 va, const void *buf, size_t n);
/* The first run of pages at or above va that are mapped now, side by side in physical memory
 * too; false: no more. Brings nothing in. Sleeps. */
struct page_run {
	u64 va, length;
	paddr_t phys;
};
bool aspace_next_run(struct aspace *as, u64 va, struct page_run *run);
/* The page mapped at va, referenced, brought in if need be (write: made private/writable). Not for
 * writing to pages of shared files: that is aspace_write. */
int aspace_page(struct aspace *as, u64 va, bool write, struct page **out);
/* What the word at va is part of: *object, the mapping of a file's page, and the byte in it; or
 * NULL: anonymous. The page is brought in as by aspace_page. -EFAULT. */
int aspace_object(struct aspace *as, u64 va, bool write, struct mapping **object, u64 *offset);

/* What /proc/PID/smaps tells of one area, in pages. Under as->lock. */
struct vma_stats {
	u64 rss, shared, private_pages, anon, locked;
	u64 pss; /* in 1/4096 of a page */
};
void vma_stats(struct vma *v, struct vma_stats *out);

#endif
