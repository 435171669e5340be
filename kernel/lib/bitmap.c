/* SPDX-License-Identifier: MIT */
/* bitmap.c - searching arrays of bits, a word at a time (lib/bitmap.h). */
#include "lib/bitmap.h"

/* The first bit at or after `from` that is set in map[i] ^ flip. */
static u64 bitmap_next(const u64 *map, u64 bits, u64 from, u64 flip)
{
	u64 i = from / 64, word;

	if (from >= bits)
		return bits;
	word = (map[i] ^ flip) >> (from % 64) << (from % 64);
	while (!word) {
		if (++i >= BITMAP_WORDS(bits))
			return bits;
		word = map[i] ^ flip;
	}
	return MIN(i * 64 + __builtin_ctzl(word), bits);
}

u64 bitmap_next_clear(const u64 *map, u64 bits, u64 from)
{
	return bitmap_next(map, bits, from, ~0ull);
}

u64 bitmap_next_set(const u64 *map, u64 bits, u64 from)
{
	return bitmap_next(map, bits, from, 0);
}
