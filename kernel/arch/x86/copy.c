/* SPDX-License-Identifier: MIT */
/*
 * copy.c - which routine copies and clears a page. Hardware with fast strings
 * likes REP MOVSB best; an emulator runs it ten times slower than plain moves. So
 * each candidate is run a few times and the fastest wins.
 */
#include "arch/x86/copy.h"
#include "arch/x86/io.h"

void page_copy_unrolled(void *dst, const void *src);
void page_copy_movsq(void *dst, const void *src);
void page_copy_movsb(void *dst, const void *src);
void page_clear_unrolled(void *dst);
void page_clear_stosq(void *dst);
void page_clear_stosb(void *dst);

void (*page_copy)(void *dst, const void *src) = page_copy_unrolled;
void (*page_clear)(void *dst) = page_clear_unrolled;
bool copy_uses_rep;

#define ROUNDS 3

static u8 from[PAGE_SIZE] __initdata __aligned(4096);
static u8 to[PAGE_SIZE] __initdata __aligned(4096);

static __init u64 time_copy(void (*fn)(void *, const void *))
{
	u64 best = UINT64_MAX;

	for (int i = 0; i < ROUNDS; i++) {
		u64 start = rdtsc();
		fn(to, from);
		best = MIN(best, rdtsc() - start);
	}
	return best;
}

static __init u64 time_clear(void (*fn)(void *))
{
	u64 best = UINT64_MAX;

	for (int i = 0; i < ROUNDS; i++) {
		u64 start = rdtsc();
		fn(to);
		best = MIN(best, rdtsc() - start);
	}
	return best;
}

__init void copy_choose(void)
{
	static void (*const copies[])(void *, const void *) = { page_copy_unrolled, page_copy_movsq,
								page_copy_movsb };
	static void (*const clears[])(void *) = { page_clear_unrolled, page_clear_stosq,
						  page_clear_stosb };
	u64 best_copy = UINT64_MAX, best_clear = UINT64_MAX;

	for (unsigned i = 0; i < ARRAY_SIZE(copies); i++) {
		u64 t = time_copy(copies[i]);
		if (t < best_copy) {
			best_copy = t;
			page_copy = copies[i];
		}
		t = time_clear(clears[i]);
		if (t < best_clear) {
			best_clear = t;
			page_clear = clears[i];
		}
	}
	copy_uses_rep = page_copy == page_copy_movsb;
}
