/* SPDX-License-Identifier: MIT */
/*
 * types.h - the integer types, and the few macros that every file uses.
 *
 * User addresses are integers (uaddr_t), never pointers: nothing but the copy
 * routines of arch/x86/uaccess.h can reach what they name. So are physical
 * addresses (paddr_t). Functions return 0 or a negative errno in an int (or in
 * an s64 where a count is returned as well); results go through out parameters.
 */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef int64_t ssize_t;

typedef u64 uaddr_t; /* an address in the current user address space, untrusted */
typedef u64 paddr_t; /* a physical address */
typedef s64 ktime_t; /* nanoseconds of the monotonic clock, or a span of them */

#define KTIME_NEVER   INT64_MAX
#define NSEC_PER_SEC  1000000000L
#define NSEC_PER_MSEC 1000000L
#define NSEC_PER_USEC 1000L

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096UL
#define PAGE_MASK  (PAGE_SIZE - 1)

#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                                  \
	({                                         \
		__typeof__(a) min_a_ = (a);        \
		__typeof__(b) min_b_ = (b);        \
		min_a_ < min_b_ ? min_a_ : min_b_; \
	})
#define MAX(a, b)                                  \
	({                                         \
		__typeof__(a) max_a_ = (a);        \
		__typeof__(b) max_b_ = (b);        \
		max_a_ > max_b_ ? max_a_ : max_b_; \
	})
#define ALIGN_UP(x, a)			(((x) + ((__typeof__(x))(a)-1)) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a)		((x) & ~((__typeof__(x))(a)-1))
#define DIV_ROUND_UP(n, d)		(((n) + (d)-1) / (d))
#define BIT(n)				(1UL << (n))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define barrier()	 __asm__ volatile("" ::: "memory")

#define __printf(f, a)	__attribute__((format(printf, f, a)))
#define __noreturn	__attribute__((noreturn))
#define __packed	__attribute__((packed))
#define __aligned(n)	__attribute__((aligned(n)))
#define __must_check	__attribute__((warn_unused_result))
#define __noinline	__attribute__((noinline))
#define __inline_always inline __attribute__((always_inline))
#define __init		__attribute__((section(".init.text"), cold)) /* freed after boot */
#define __initdata	__attribute__((section(".init.data")))
#define __cacheline	__aligned(64)

#endif
