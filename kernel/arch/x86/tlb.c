/* SPDX-License-Identifier: MIT */
/*
 * tlb.c - which address space a CPU has loaded, and making the others forget.
 *
 * as->cpus has the bit of every CPU whose CR3 holds `as`: set before CR3 is
 * loaded, cleared after it holds another. A requester changes the page tables
 * first and then looks at the bits, so a CPU that loads `as` too late to be seen
 * has walked the new tables only.
 *
 * A CPU that runs a kernel thread keeps CR3 and is lazy:
 *
 *	ACTIVE --mmu_switch(NULL)--> LAZY --a requester--> STALE
 *	LAZY, STALE --mmu_switch(as)--> ACTIVE (from STALE: with a full flush)
 *
 * so an idle CPU is not woken for a flush that it can do when it comes back. Where
 * page tables are about to be freed that is not enough (the CPU may walk them by
 * itself, SDM vol. 3, 4.10.3): a strict request makes it load kernel_pml4.
 *
 * The requester describes the range in its own cpu_arch.flush, marks itself in
 * each target's flush_from and sends CPU_REQ_TLB; a target clears its bit in the
 * requester's flush_pending. The requester waits, serving others meanwhile.
 */
#include "arch/x86/cpu_arch.h"
#include "arch/x86/io.h"
#include "arch/x86/mmu.h"
#include "arch/x86/smp.h"
#include "core/printk.h"
#include "mm/aspace.h"

enum lazy_state { TLB_ACTIVE, TLB_LAZY, TLB_STALE };

/* From so many pages on, everything is flushed. */
#define FLUSH_PAGES_MAX 32

static inline struct cpu_arch *arch_of(unsigned cpu)
{
	return cpus[cpu]->arch;
}

static inline void cr3_write(paddr_t pa)
{
	__asm__ volatile("mov %0, %%cr3" ::"r"(pa) : "memory");
}

void tlb_flush_page_local(u64 va)
{
	__asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

static void flush_user_local(void)
{
	u64 cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	cr3_write(cr3);
}

/* Global pages too: SDM vol. 3, 4.10.4.1, any change of CR4.PGE. */
void mmu_flush_all(void)
{
	u64 cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4 ^ CR4_PGE) : "memory");
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
}

static void flush_local(u64 start, u64 end, bool kernel)
{
	if (end - start > FLUSH_PAGES_MAX * PAGE_SIZE) {
		if (kernel)
			mmu_flush_all();
		else
			flush_user_local();
		return;
	}
	for (u64 va = start; va < end; va += PAGE_SIZE)
		tlb_flush_page_local(va);
}

/* --- switching --- */

static void aspace_drop(struct cpu *c, struct aspace *old)
{
	__atomic_fetch_and(&old->cpus, ~BIT(c->id), __ATOMIC_SEQ_CST);
}

void mmu_switch(struct aspace *as)
{
	struct cpu *c = this_cpu();
	struct cpu_arch *a = c->arch;
	struct aspace *old = c->loaded;

	if (!as) {
		if (old && a->lazy == TLB_ACTIVE)
			__atomic_store_n(&a->lazy, TLB_LAZY, __ATOMIC_SEQ_CST);
		return;
	}
	if (as == old) {
		if (likely(a->lazy == TLB_ACTIVE))
			return;
		if (__atomic_exchange_n(&a->lazy, TLB_ACTIVE, __ATOMIC_SEQ_CST) == TLB_STALE)
			cr3_write(as->pml4_phys);
		return;
	}
	__atomic_fetch_or(&as->cpus, BIT(c->id), __ATOMIC_SEQ_CST);
	c->loaded = as;
	__atomic_store_n(&a->lazy, TLB_ACTIVE, __ATOMIC_SEQ_CST);
	cr3_write(as->pml4_phys);
	if (old)
		aspace_drop(c, old);
}

/* This CPU stops using `as`, which it has loaded. */
static void unload(struct cpu *c, struct aspace *as)
{
	cr3_write(kernel_cr3());
	c->loaded = NULL;
	aspace_drop(c, as);
}

/* --- requests --- */

static void serve_one(struct cpu *c, struct cpu_arch *from)
{
	struct aspace *as = from->flush.as;

	if (!as)
		flush_local(from->flush.start, from->flush.end, true);
	else if (c->loaded == as && from->flush.strict && arch_of(c->id)->lazy != TLB_ACTIVE)
		unload(c, as);
	else if (c->loaded == as)
		flush_local(from->flush.start, from->flush.end, false);
	__atomic_fetch_and(&from->flush_pending, ~BIT(c->id), __ATOMIC_RELEASE);
}

void tlb_serve(void)
{
	struct cpu *c = this_cpu();
	struct cpu_arch *a = c->arch;
	u64 from = __atomic_exchange_n(&a->flush_from, 0, __ATOMIC_ACQUIRE);

	for (; from; from &= from - 1)
		serve_one(c, arch_of(__builtin_ctzll(from)));
}

/* True if CPU `id` is lazy and will flush by itself. */
static bool leave_to_lazy(unsigned id)
{
	u32 state = TLB_LAZY;

	return __atomic_compare_exchange_n(&arch_of(id)->lazy, &state, TLB_STALE, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ||
	       state == TLB_STALE;
}

static void flush_others(u64 targets, struct aspace *as, u64 start, u64 end, bool strict)
{
	struct cpu *c = this_cpu();
	struct cpu_arch *a = c->arch;

	targets &= ~BIT(c->id);
	if (as && !strict)
		for (u64 m = targets; m; m &= m - 1)
			if (leave_to_lazy(__builtin_ctzll(m)))
				targets &= ~(m & -m);
	if (!targets)
		return;
	a->flush.as = as;
	a->flush.start = start;
	a->flush.end = end;
	a->flush.strict = strict;
	__atomic_store_n(&a->flush_pending, targets, __ATOMIC_RELEASE);
	for (u64 m = targets; m; m &= m - 1) {
		unsigned id = __builtin_ctzll(m);
		__atomic_fetch_or(&arch_of(id)->flush_from, BIT(c->id), __ATOMIC_SEQ_CST);
		smp_request(id, CPU_REQ_TLB);
	}
	while (__atomic_load_n(&a->flush_pending, __ATOMIC_ACQUIRE))
		cpu_spin_wait();
}

static void flush_aspace(struct aspace *as, u64 start, u64 end, bool strict)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* page tables changed before cpus is read */
	u64 loaded = __atomic_load_n(&as->cpus, __ATOMIC_SEQ_CST);

	if (this_cpu()->loaded == as)
		flush_local(start, end, false);
	if (loaded & ~BIT(this_cpu()->id))
		flush_others(loaded, as, start, end, strict);
}

void tlb_flush_range(struct aspace *as, u64 start, u64 end)
{
	flush_aspace(as, start, end, false);
}

void tlb_flush_all_of(struct aspace *as)
{
	flush_aspace(as, 0, USER_END, true);
}

void tlb_flush_kernel(u64 start, u64 end)
{
	u64 all = 0;

	for_each_cpu (i)
		if (cpus[i]->online)
			all |= BIT(i);
	flush_local(start, end, true);
	flush_others(all, NULL, start, end, false);
}

void mmu_forget(struct aspace *as)
{
	struct cpu *c = this_cpu();
	u64 loaded = __atomic_load_n(&as->cpus, __ATOMIC_SEQ_CST);

	if (!loaded)
		return;
	if (c->loaded == as)
		unload(c, as);
	flush_others(loaded & ~BIT(c->id), as, 0, USER_END, true);
	BUG_IF(__atomic_load_n(&as->cpus, __ATOMIC_SEQ_CST), "cpus=%lx", as->cpus);
}
