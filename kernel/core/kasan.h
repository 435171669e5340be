/* SPDX-License-Identifier: MIT */
/*
 * kasan.h - finding uses of memory that is not allocated, in the debug kernel.
 *
 * The compiler calls out before each load and store (Makefile, KDEBUG), and one
 * shadow byte tells of each 8 bytes of the direct map whether they may be used:
 * 0 all, 1..7 only so many from the left, KASAN_POISON none. Addresses outside
 * the direct map (image, stacks, device memory) are not checked: the pages
 * behind stacks and vmalloc areas have guard pages instead. The page allocator
 * reserves the shadow at boot and hands it over; until then nothing is checked.
 *
 *	page_init:	kasan_init(phys_to_virt(p), top)	p: kasan_shadow_size(top) bytes
 *	allocators:	kasan_unpoison(object, size) when they hand it out,
 *			kasan_poison(slot, slot_size) when it comes back
 *
 * Both do nothing in other kernels. Ranges start at a multiple of 8; poison also
 * ends at one (unpoison need not: that is how an overrun of 1 byte is found).
 */
#ifndef CORE_KASAN_H
#define CORE_KASAN_H

#include "lib/types.h"

#define KASAN_POISON 0xfb

#if DEBUG
static inline size_t kasan_shadow_size(paddr_t top)
{
	return ALIGN_UP(top, 8 * PAGE_SIZE) / 8;
}
/* shadow: physically contiguous, in the direct map; physical memory ends at top. All unpoisoned. */
void kasan_init(void *shadow, paddr_t top);
void kasan_poison(const void *p, size_t size);
void kasan_unpoison(const void *p, size_t size);
/* Panics if a byte of the range may not be used. For code that is not instrumented. */
void kasan_check(const void *p, size_t size, bool write);
/* Instrumented code may touch poison until the matching call: allocators writing into free memory.
 */
void kasan_disable(void);
void kasan_enable(void);
#else
static inline size_t kasan_shadow_size(paddr_t top)
{
	return 0;
}
static inline void kasan_init(void *shadow, paddr_t top) {}
static inline void kasan_poison(const void *p, size_t size) {}
static inline void kasan_unpoison(const void *p, size_t size) {}
static inline void kasan_check(const void *p, size_t size, bool write) {}
static inline void kasan_disable(void) {}
static inline void kasan_enable(void) {}
#endif

#endif
