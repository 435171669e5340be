/* SPDX-License-Identifier: MIT */
/*
 * memory_stat.c - what the memory that is charged to an account, and to those below it, is used
 * for: the control file memory.stat.
 *
 * Nothing is counted while memory is used: that would cost at every page fault. Who wants to know
 * pays: all struct pages are looked at, as often as somebody reads the file. A page's account is
 * set to NULL before the charge is given back (page_retire), and accounts are freed under RCU,
 * so one that is found in a page can be looked at until the end of the read section. Objects of
 * slab caches and kernel stacks are not charged by their pages: threads say how many stacks there
 * are, and objects are the rest.
 */
#include "arch/x86/boot.h"
#include "core/account.h"
#include "mm/internal.h"
#include "mm/slab.h"

#define BLOCK (1u << PAGE_ORDER_MAX) /* pages between two points of rescheduling */

/* Of one page or the block that it heads. */
static void count_page(const struct page *p, u32 flags, struct memory_stat *s)
{
	u64 bytes = PAGE_SIZE << MIN(READ_ONCE(p->order), (u32)PAGE_ORDER_MAX);

	if (flags & PG_ANON)
		s->anon += bytes;
	else if (flags & PG_CACHE)
		s->file += bytes;
	else if (flags & PG_TABLE)
		s->tables += bytes;
	else
		s->pages += bytes;
}

static void count_block(u64 pfn, const struct account *a, struct memory_stat *s)
{
	const struct account *last = NULL;
	bool below = false;

	rcu_read_lock();
	for (unsigned i = 0; i < BLOCK; i++) {
		const struct page *p = page_of_pfn(pfn + i);
		const struct account *owner = READ_ONCE(p->account);

		if (!owner)
			continue;
		if (owner != last) {
			last = owner;
			below = account_is_ancestor(a, owner);
		}
		if (below)
			count_page(p, READ_ONCE(p->flags), s);
	}
	rcu_read_unlock();
}

void memory_stat(const struct account *a, struct memory_stat *s)
{
	u64 used, paged, end = boot_info.ram[boot_info.ram_count - 1].end >> PAGE_SHIFT;

	*s = (struct memory_stat){ 0 };
	for (u64 pfn = 0; pfn < end; pfn += BLOCK) {
		if (page_block_exists(pfn))
			count_block(pfn, a, s);
		resched_point();
	}
	/* both move while we look: no part is negative, and the parts make the whole */
	used = MAX(account_read(a, RES_MEMORY), (s64)0);
	paged = s->tables + s->pages;
	s->kernel = MAX(used, s->anon + s->file + paged) - s->anon - s->file;
	s->stacks = MIN(account_read(a, RES_PIDS) * KSTACK_SIZE, s->kernel - paged);
	s->slab = s->kernel - paged - s->stacks;
}
