/* SPDX-License-Identifier: MIT */
/*
 * slab.h - objects of one size from per-CPU free lists (Bonwick, "The Slab
 * Allocator", 1994, and its magazine successor), and kmalloc on top of it.
 *
 * A cache made with SLAB_ACCOUNT charges each object (its size plus its share of
 * the overhead) to current->account at allocation and uncharges whoever was
 * charged at free. The debug kernel poisons free objects and checks red zones.
 * Nothing here sleeps; NULL means out of memory or over the limit.
 */
#ifndef MM_SLAB_H
#define MM_SLAB_H

#include "core/account.h"

#define SLAB_ACCOUNT BIT(0)
#define SLAB_ZERO    BIT(1) /* objects are handed out cleared */
#define SLAB_RCU     BIT(2) /* memory stays this type until a grace period after the free */

struct slab_cache;

void slab_init(void); /* kmalloc works from here on */
/* For static use at init; panics if out of memory. align 0: 8 bytes (16 from 16 bytes on). */
struct slab_cache *slab_cache_create(const char *name, size_t size, size_t align, u32 flags);
void *slab_alloc(struct slab_cache *c);
void slab_free(struct slab_cache *c, void *object);
/* Who was charged for a live object of a cache with SLAB_ACCOUNT; NULL: nobody. It lives as long as
 * the charge. */
struct account *slab_account(struct slab_cache *c, const void *object);
/* What is charged for it counts as this use from now on; or, before it is freed, no more. */
void slab_count(struct slab_cache *c, const void *object, enum memory_use use, bool used);

#define KM_ZERO	   BIT(0)
#define KM_ACCOUNT BIT(1)
/* Any size up to 4 MiB; above a page it is whole pages. */
void *kmalloc(size_t size, u32 flags);
void kfree(const void *p);						/* NULL is fine */
void kmalloc_count(const void *object, enum memory_use use, bool used); /* as slab_count */
/* As kmalloc beyond 4 MiB or where contiguous pages are not needed. Maps; may sleep. */
void *vmalloc(size_t size, u32 flags);
void vfree(const void *p);
char *kstrdup(const char *s, u32 flags);

/* Kernel stacks: guard page below, cached per CPU, charged to the account. */
#if DEBUG
#define KSTACK_SIZE 32768UL
#else
#define KSTACK_SIZE 8192UL
#endif
void *kstack_alloc(struct account *a); /* lowest address; NULL */
void kstack_free(void *stack, struct account *a);

/* "name live-objects" of each cache, for /proc/skerry/objects and leak checks. */
void slab_for_each(void (*fn)(const char *name, u64 live, size_t size, void *arg), void *arg);
void slab_drain(void);

#endif
