/* SPDX-License-Identifier: MIT */
/*
 * sum.c - the checksum of blocks, and the hash of names in directories.
 *
 * Blocks: XXH64 with seed 0 (Y. Collet, "xxHash fast digest algorithm", specification 0.1.1). Four
 * independent lanes of multiply and rotate take 32 bytes a step, so plain C keeps the machine busy.
 */
#include "fs/cowfs/internal.h"

#define P1 0x9e3779b185ebca87ull
#define P2 0xc2b2ae3d27d4eb4full
#define P3 0x165667b19e3779f9ull
#define P4 0x85ebca77c2b2ae63ull
#define P5 0x27d4eb2f165667c5ull

static inline u64 rotate(u64 x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static inline u64 load64(const u8 *p)
{
	u64 x;

	__builtin_memcpy(&x, p, 8);
	return x;
}

static inline u64 lane(u64 acc, u64 input)
{
	return rotate(acc + input * P2, 31) * P1;
}

static inline u64 lane_merge(u64 acc, u64 v)
{
	return (acc ^ lane(0, v)) * P1 + P4;
}

static u64 sum_stripes(const u8 **p, const u8 *end)
{
	u64 a = P1 + P2, b = P2, c = 0, d = 0 - P1;
	const u8 *at = *p;

	for (; end - at >= 32; at += 32) {
		a = lane(a, load64(at));
		b = lane(b, load64(at + 8));
		c = lane(c, load64(at + 16));
		d = lane(d, load64(at + 24));
	}
	*p = at;
	u64 acc = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
	acc = lane_merge(acc, a);
	acc = lane_merge(acc, b);
	acc = lane_merge(acc, c);
	return lane_merge(acc, d);
}

/* The last up to 31 bytes, then mixing. */
static u64 sum_finish(u64 acc, const u8 *p, const u8 *end)
{
	for (; end - p >= 8; p += 8)
		acc = rotate(acc ^ lane(0, load64(p)), 27) * P1 + P4;
	if (end - p >= 4) {
		u32 x;
		__builtin_memcpy(&x, p, 4);
		acc = rotate(acc ^ x * P1, 23) * P2 + P3;
		p += 4;
	}
	for (; p < end; p++)
		acc = rotate(acc ^ *p * P5, 11) * P1;
	acc = (acc ^ acc >> 33) * P2;
	acc = (acc ^ acc >> 29) * P3;
	return acc ^ acc >> 32;
}

u64 cow_checksum(const void *block, size_t bytes)
{
	const u8 *p = block, *end = p + bytes;
	u64 acc = bytes >= 32 ? sum_stripes(&p, end) : P5;

	return sum_finish(acc + bytes, p, end);
}

/* Keyed by the filesystem, so that names that clash in one need not in another. */
u64 cow_name_hash(u64 seed, const char *name, size_t len)
{
	u64 acc = seed + P5 + len;

	return sum_finish(acc, (const u8 *)name, (const u8 *)name + len) >> 1;
}
