/* SPDX-License-Identifier: MIT */
/* bitmap.h - arrays of bits in u64 words. Plain operations; the owner locks. */
#ifndef LIB_BITMAP_H
#define LIB_BITMAP_H

#include "lib/types.h"

#define BITMAP_WORDS(bits) (((bits) + 63) / 64)

static inline bool bit_test(const u64 *map, u64 n)
{
	return map[n / 64] >> (n % 64) & 1;
}

static inline void bit_set(u64 *map, u64 n)
{
	map[n / 64] |= BIT(n % 64);
}

static inline void bit_clear(u64 *map, u64 n)
{
	map[n / 64] &= ~BIT(n % 64);
}

/* The first clear (set) bit in [from, bits), or `bits` if there is none. */
u64 bitmap_next_clear(const u64 *map, u64 bits, u64 from);
u64 bitmap_next_set(const u64 *map, u64 bits, u64 from);

#endif
