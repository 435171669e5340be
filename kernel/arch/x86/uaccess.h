/* SPDX-License-Identifier: MIT */
/*
 * uaccess.h - the only functions that touch user memory. Each checks that the
 * range lies below USER_END, opens SMAP for its duration, and answers -EFAULT
 * for what cannot be made present. They may sleep (a fault may read a file),
 * so no spin lock may be held; the *_nofault and *_now ones never sleep.
 */
#ifndef ARCH_UACCESS_H
#define ARCH_UACCESS_H

#include "core/errno.h"
#include "lib/types.h"

int copy_from_user(void *dst, uaddr_t src,
		   size_t n) __must_check; /* 0 or -EFAULT; dst is then undefined */
int copy_to_user(uaddr_t dst, const void *src, size_t n) __must_check;
/* As above, but return how many bytes could NOT be copied (0: all were). */
size_t copy_from_user_partial(void *dst, uaddr_t src, size_t n);
size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t n);
/* As copy_from_user_partial, but what is not present is not brought in: never sleeps. For who holds
 * a lock that a page fault may need. */
size_t copy_from_user_now(void *dst, uaddr_t src, size_t n);
int clear_user(uaddr_t dst, size_t n) __must_check;
/* Copies a string with its NUL: its length without it, -EFAULT, or -ENAMETOOLONG if none in `size`.
 */
s64 copy_string_from_user(char *dst, uaddr_t src, size_t size) __must_check;
/* Atomic 32-bit accesses for futexes, aligned; they may fault (-EFAULT). */
int user_load_u32(uaddr_t a, u32 *value) __must_check;
int user_cmpxchg_u32(uaddr_t a, u32 expected, u32 desired, u32 *old) __must_check;
/* -EFAULT at once instead of sleeping. For holding a spin lock (futex). */
int user_load_u32_nofault(uaddr_t a, u32 *value) __must_check;

/*
 * A call may run on copies of what its arguments point to, so that what was looked
 * at is what is done, whatever other threads write meanwhile: while current->shadow
 * is set, copy_from_user and copy_string_from_user read data[i] at SHADOW_ADDRESS(i).
 * No user address is that high, so the check costs nothing until it would fail.
 */
#define SHADOW_BASE	  0x0000800000000000ull
#define SHADOW_SHIFT	  32
#define SHADOW_ADDRESS(i) (SHADOW_BASE | (u64)(i) << SHADOW_SHIFT)
struct user_shadow {
	const void *data[6];
	u32 length[6];
};
/* [a, a + n) may be read from: it is the user's, or in the shadow. */
bool user_source_ok(uaddr_t a, size_t n);

/* One value of a scalar type or struct: get_user(&x, address), put_user(address, &x). */
#define get_user(ptr, address) copy_from_user((ptr), (address), sizeof(*(ptr)))
#define put_user(address, ptr) copy_to_user((address), (ptr), sizeof(*(ptr)))

static inline bool user_range_ok(uaddr_t a, size_t n)
{
	return a <= 0x00007ffffffff000ull && n <= 0x00007ffffffff000ull - a;
}

/*
 * A struct that may grow (man 2 clone3, openat2): copies MIN(usize, ksize), zeroes
 * the rest of dst; -E2BIG if the user's is longer with a non-zero tail, -EFAULT.
 */
int copy_struct_from_user(void *dst, size_t ksize, uaddr_t src, size_t usize) __must_check;

#endif
