/* SPDX-License-Identifier: MIT */
/*
 * memory_stat.c - what the memory that is charged to an account, and to those below it, is used
 * for: the control file memory.stat.
 *
 * The account counts it (account_use), by page as soon as it is known what a page is for, until it
 * is given back. Objects of slab caches are the rest.
 */
#include "core/account.h"
#include "mm/internal.h"

void memory_stat(const struct account *a, struct memory_stat *s)
{
	s64 uses[MEM_USES];
	u64 used, counted;

	account_read_uses(a, uses);
	for (unsigned i = 0; i < MEM_USES; i++)
		uses[i] = MAX(uses[i], (s64)0);
	*s = (struct memory_stat){
		.anon = uses[MEM_ANON],
		.file = uses[MEM_FILE],
		.stacks = uses[MEM_STACK],
		.tables = uses[MEM_TABLE],
		.sock = uses[MEM_SOCK],
		.pages = uses[MEM_PAGES],
	};
	/* both move while we look: no part is negative, and the parts make the whole */
	counted = s->stacks + s->tables + s->sock + s->pages;
	used = MAX(account_read(a, RES_MEMORY), (s64)0);
	s->kernel = MAX(used, s->anon + s->file + counted) - s->anon - s->file;
	s->slab = s->kernel - counted;
}
