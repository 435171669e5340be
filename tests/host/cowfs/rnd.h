/* SPDX-License-Identifier: MIT */
/* rnd.h - random numbers that a seed repeats (splitmix64: Steele, Lea, Flood, 2014), and a hash. */
#ifndef TESTS_COWFS_RND_H
#define TESTS_COWFS_RND_H

#include "lib/types.h"

struct rnd {
	u64 state;
};

static inline u64 mix64(u64 r)
{
	r = (r ^ r >> 30) * 0xbf58476d1ce4e5b9ull;
	r = (r ^ r >> 27) * 0x94d049bb133111ebull;
	return r ^ r >> 31;
}
static inline u64 mix2(u64 a, u64 b)
{
	return mix64(a * 0x9e3779b97f4a7c15ull + b + 1);
}
static inline u64 rnd_next(struct rnd *r)
{
	return mix64(r->state += 0x9e3779b97f4a7c15ull);
}
/* 0 to n - 1 */
static inline u64 rnd_below(struct rnd *r, u64 n)
{
	return n ? rnd_next(r) % n : 0;
}
static inline bool rnd_one_in(struct rnd *r, u64 n)
{
	return rnd_below(r, n) == 0;
}

#endif
