/* SPDX-License-Identifier: MIT */
/*
 * kasan.c - what instrumented code calls before it touches memory, and the
 * shadow that knows which memory may be touched (core/kasan.h).
 *
 * The shadow is an array with a byte for each 8 bytes of the direct map. The
 * names and arguments of the __asan_* functions are gcc's (libsanitizer's
 * interface, with -fsanitize=kernel-address and calls instead of inline checks).
 * This file is not instrumented itself.
 */
#include "core/kasan.h"

#include "arch/x86/mmu.h"
#include "core/cpu.h"
#include "core/printk.h"

#if DEBUG
static const s8 *shadow_base; /* NULL: nothing is checked yet */
static u64 shadow_end;	      /* size of what it covers, from DIRECT_MAP */
static PERCPU(u32, kasan_off);

void kasan_init(void *shadow, paddr_t top)
{
	u64 *word = shadow;

	for (size_t n = kasan_shadow_size(top) / 8; n; n--)
		*word++ = 0;
	shadow_end = top;
	__atomic_store_n(&shadow_base, shadow, __ATOMIC_RELEASE);
}

static s8 *shadow_of(u64 a)
{
	return (s8 *)shadow_base + (a - DIRECT_MAP) / 8;
}

static bool covered(u64 a, size_t size)
{
	return shadow_base && a - DIRECT_MAP < shadow_end && size <= shadow_end - (a - DIRECT_MAP);
}

void kasan_poison(const void *p, size_t size)
{
	if (!covered((u64)p, size))
		return;
	for (s8 *s = shadow_of((u64)p), *end = shadow_of((u64)p + size); s < end; s++)
		*s = (s8)KASAN_POISON;
}

void kasan_unpoison(const void *p, size_t size)
{
	s8 *s, *end;

	if (!covered((u64)p, size))
		return;
	end = shadow_of((u64)p + size);
	for (s = shadow_of((u64)p); s < end; s++)
		*s = 0;
	if (size % 8)
		*s = size % 8;
}

void kasan_disable(void)
{
	percpu_this(kasan_off)++;
}

void kasan_enable(void)
{
	percpu_this(kasan_off)--;
}

static void kasan_report(u64 a, size_t size, bool write, const void *place)
{
	if (panic_active || percpu_this(kasan_off))
		return;
	kasan_disable();
	printk(LOG_EMERG, "kasan: shadow around it:");
	for (s64 i = -8; i <= 8; i++)
		if (covered(a + i * 8, 8))
			printk(LOG_EMERG, "%s%02x", i ? " " : " >", (u8)*shadow_of(a + i * 8));
	printk(LOG_EMERG, "\n");
	panic("kasan: %s of %zu bytes at %lx, which is not allocated, in %pS",
	      write ? "write" : "read", size, a, place);
}

/* May these bytes, all within one 8-byte granule, be used? */
static inline bool granule_ok(u64 a, size_t size)
{
	s8 s = *shadow_of(a);

	return likely(!s) || (s > 0 && (s8)(a % 8 + size) <= s);
}

static inline void check(u64 a, size_t size, bool write, const void *place)
{
	u64 at = a, end = a + size;

	if (!size || !covered(a, size))
		return;
	while (at < end) {
		u64 next = MIN(ALIGN_DOWN(at, 8) + 8, end);
		if (unlikely(!granule_ok(at, next - at))) {
			kasan_report(a, size, write, place);
			return;
		}
		at = next;
	}
}

void kasan_check(const void *p, size_t size, bool write)
{
	check((u64)p, size, write, __builtin_return_address(0));
}

/* gcc calls these by name; nobody includes a prototype. */
#define ASAN_ACCESS(kind, size, write)                              \
	void __asan_##kind##size##_noabort(u64 a);                  \
	void __asan_##kind##size##_noabort(u64 a)                   \
	{                                                           \
		check(a, size, write, __builtin_return_address(0)); \
	}
#define ASAN_RANGE(kind, write)                                     \
	void __asan_##kind##N_noabort(u64 a, size_t size);          \
	void __asan_##kind##N_noabort(u64 a, size_t size)           \
	{                                                           \
		check(a, size, write, __builtin_return_address(0)); \
	}
#define ASAN_REPORT(kind, size, write)                                     \
	void __asan_report_##kind##size##_noabort(u64 a);                  \
	void __asan_report_##kind##size##_noabort(u64 a)                   \
	{                                                                  \
		kasan_report(a, size, write, __builtin_return_address(0)); \
	}
#define ASAN_REPORT_RANGE(kind, write)                                     \
	void __asan_report_##kind##_n_noabort(u64 a, size_t size);         \
	void __asan_report_##kind##_n_noabort(u64 a, size_t size)          \
	{                                                                  \
		kasan_report(a, size, write, __builtin_return_address(0)); \
	}

ASAN_ACCESS(load, 1, false)
ASAN_ACCESS(load, 2, false)
ASAN_ACCESS(load, 4, false)
ASAN_ACCESS(load, 8, false)
ASAN_ACCESS(load, 16, false)
ASAN_RANGE(load, false)
ASAN_ACCESS(store, 1, true)
ASAN_ACCESS(store, 2, true)
ASAN_ACCESS(store, 4, true)
ASAN_ACCESS(store, 8, true)
ASAN_ACCESS(store, 16, true)
ASAN_RANGE(store, true)
ASAN_REPORT(load, 1, false)
ASAN_REPORT(load, 2, false)
ASAN_REPORT(load, 4, false)
ASAN_REPORT(load, 8, false)
ASAN_REPORT(load, 16, false)
ASAN_REPORT_RANGE(load, false)
ASAN_REPORT(store, 1, true)
ASAN_REPORT(store, 2, true)
ASAN_REPORT(store, 4, true)
ASAN_REPORT(store, 8, true)
ASAN_REPORT(store, 16, true)
ASAN_REPORT_RANGE(store, true)

/* Before a call that does not return: the stack is not instrumented, so there is nothing to do. */
void __asan_handle_no_return(void);
void __asan_handle_no_return(void) {}
#endif
