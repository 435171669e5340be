/* SPDX-License-Identifier: MIT */
/* hash.h - hash functions (for tables in memory; not for checksums on disk). */
#ifndef LIB_HASH_H
#define LIB_HASH_H

#include "lib/types.h"

/* Fibonacci hashing (Knuth vol. 3, 6.4): the top `bits` bits of the product. */
static inline u32 hash_u64(u64 x, unsigned bits)
{
	return (x ^ (x >> 32)) * 0x9e3779b97f4a7c15ull >> (64 - bits);
}

static inline u32 hash_ptr(const void *p, unsigned bits)
{
	return hash_u64((u64)p, bits);
}

/* A name of n bytes under a parent; 8 bytes a step, keyed at boot (hash_seed). */
u64 hash_bytes(const void *p, size_t n, u64 salt);
extern u64 hash_seed; /* set once at boot from the random pool */

#endif
