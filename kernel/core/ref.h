/* SPDX-License-Identifier: MIT */
/*
 * ref.h - reference counts. x_get() returns its argument, x_put() may free.
 * Going below zero panics with the caller. ref_get_unless_zero() is for finding
 * objects under RCU.
 */
#ifndef CORE_REF_H
#define CORE_REF_H

#include "core/printk.h"

typedef struct {
	s32 count;
} ref_t;

static inline void ref_init(ref_t *r, s32 n)
{
	r->count = n;
}

static inline void ref_get(ref_t *r)
{
	s32 old = __atomic_fetch_add(&r->count, 1, __ATOMIC_RELAXED);
	BUG_IF(old <= 0, "count=%d", old);
}

/* True if that was the last one: the caller frees. */
static inline bool ref_put(ref_t *r)
{
	s32 old = __atomic_fetch_sub(&r->count, 1, __ATOMIC_ACQ_REL);
	BUG_IF(old <= 0, "count=%d", old);
	return old == 1;
}

static inline bool ref_get_unless_zero(ref_t *r)
{
	s32 old = __atomic_load_n(&r->count, __ATOMIC_RELAXED);
	while (old > 0)
		if (__atomic_compare_exchange_n(&r->count, &old, old + 1, true, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
	return false;
}

static inline s32 ref_read(const ref_t *r)
{
	return __atomic_load_n(&r->count, __ATOMIC_RELAXED);
}

#endif
