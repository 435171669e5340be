/* SPDX-License-Identifier: MIT */
/*
 * hash.c - hashing byte strings for tables in memory: 8 bytes a step, each
 * folded in by a full 64 x 64 -> 128 bit multiplication. The seed is secret, so
 * that a user cannot make up names that fall into one chain.
 */
#include "lib/hash.h"
#include "lib/string.h"

u64 hash_seed = 0x243f6a8885a308d3ull; /* until random_init: the fraction of pi */

#define HASH_STEP 0x9e3779b97f4a7c15ull /* 2^64 / golden ratio, odd */

static inline u64 hash_fold(u64 a, u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (u64)product ^ (u64)(product >> 64);
}

static inline u64 load64(const void *p)
{
	u64 v;
	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline u64 load32(const void *p)
{
	u32 v;
	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

/* At most 8 bytes as one number; differs for different strings of one length. */
static inline u64 load_short(const u8 *p, size_t n)
{
	if (n >= 4)
		return load32(p) | load32(p + n - 4) << 32;
	if (n)
		return p[0] | p[n / 2] << 8 | p[n - 1] << 16;
	return 0;
}

u64 hash_bytes(const void *data, size_t n, u64 salt)
{
	const u8 *p = data;
	u64 h = hash_seed ^ hash_fold(salt ^ HASH_STEP, n + HASH_STEP);

	for (; n > 8; n -= 8, p += 8)
		h = hash_fold(h ^ load64(p), HASH_STEP);
	h = hash_fold(h ^ load_short(p, n), HASH_STEP);
	return h ^ h >> 29;
}
