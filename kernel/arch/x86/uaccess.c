/* SPDX-License-Identifier: MIT */
/*
 * uaccess.c - the checks around uaccess.S, and its exception table.
 *
 * Every range is checked against USER_END first, so that what faults is a user
 * address. The table is sorted, as it comes from one file. An entry of kind 1
 * must not sleep: its fault goes to the fixup at once.
 */
#include "arch/x86/copy.h"
#include "arch/x86/cpu_arch.h"
#include "arch/x86/mmu.h"
#include "arch/x86/uaccess.h"
#include "core/printk.h"
#include "core/task.h"
#include "lib/string.h"

struct extable_entry {
	u64 from, to, kind;
};
enum { EXTABLE_SLEEPS, EXTABLE_AT_ONCE };

extern const struct extable_entry extable_start[], extable_end[];

struct smap_site {
	u8 *where;
	u64 opcode;
};
extern const struct smap_site smap_sites_start[], smap_sites_end[];

size_t user_copy(void *dst, const void *src, size_t n);
size_t user_copy_rep(void *dst, const void *src, size_t n);
size_t user_clear(uaddr_t dst, size_t n);
s64 user_string(char *dst, uaddr_t src, size_t n);
int user_load32(uaddr_t a, u32 *value);
int user_load32_now(uaddr_t a, u32 *value);
int user_cmpxchg32(uaddr_t a, u32 expected, u32 desired, u32 *old);

/* REP MOVSB needs some length to be worth its start-up. */
#define REP_MIN 512

static const struct extable_entry *extable_find(u64 rip)
{
	const struct extable_entry *lo = extable_start, *hi = extable_end;

	while (lo < hi) {
		const struct extable_entry *mid = lo + (hi - lo) / 2;
		if (mid->from == rip)
			return mid;
		if (mid->from < rip)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

bool extable_may_sleep(u64 rip, bool *sleeps)
{
	const struct extable_entry *e = extable_find(rip);

	if (e)
		*sleeps = e->kind == EXTABLE_SLEEPS;
	return e != NULL;
}

/* The frame has AC set, so the fixup runs with user memory open, and closes it. */
bool extable_fixup(struct trapframe *f)
{
	const struct extable_entry *e = extable_find(f->rip);

	if (e)
		f->rip = e->to;
	return e != NULL;
}

void uaccess_init(void)
{
	for (const struct extable_entry *e = extable_start; e + 1 < extable_end; e++)
		BUG_IF(e[0].from >= e[1].from, "%lx", e->from);
	if (!cpu_has.smap)
		return;
	/* The direct map and the boot map are both still writable here. */
	for (const struct smap_site *s = smap_sites_start; s < smap_sites_end; s++) {
		s->where[0] = 0x0f;
		s->where[1] = 0x01;
		s->where[2] = s->opcode;
	}
}

static inline size_t copy(void *dst, const void *src, size_t n)
{
	ASSERT(this_cpu()->spin_depth == 0);
	if (unlikely(copy_uses_rep) && n >= REP_MIN)
		return user_copy_rep(dst, src, n);
	return user_copy(dst, src, n);
}

/* What the shadow has at `a`, and how much of it; NULL: nothing. */
static const void *shadow_find(uaddr_t a, size_t *length)
{
	const struct user_shadow *s = current->shadow;
	u64 i = (a - SHADOW_BASE) >> SHADOW_SHIFT, offset = a & (BIT(SHADOW_SHIFT) - 1);

	if (!s || a < SHADOW_BASE || i >= ARRAY_SIZE(s->data) || offset >= s->length[i])
		return NULL;
	*length = s->length[i] - offset;
	return (const char *)s->data[i] + offset;
}

/* As copy_from_user_partial. */
static __noinline size_t shadow_copy(void *dst, uaddr_t src, size_t n)
{
	size_t length;
	const void *from = shadow_find(src, &length);

	if (!from)
		return n;
	length = MIN(length, n);
	memcpy(dst, from, length);
	return n - length;
}

static __noinline s64 shadow_string(char *dst, uaddr_t src, size_t size)
{
	size_t length, n;
	const char *from = shadow_find(src, &length);

	if (!from)
		return -EFAULT;
	n = strnlen(from, MIN(length, size));
	if (n == length)
		return -EFAULT;
	if (n == size)
		return -ENAMETOOLONG;
	memcpy(dst, from, n + 1);
	return n;
}

bool user_source_ok(uaddr_t a, size_t n)
{
	size_t length;

	return user_range_ok(a, n) || (shadow_find(a, &length) && length >= n);
}

size_t copy_from_user_now(void *dst, uaddr_t src, size_t n)
{
	size_t missed;

	current->faults_at_once = true;
	missed = copy_from_user_partial(dst, src, n);
	current->faults_at_once = false;
	return missed;
}

size_t copy_from_user_partial(void *dst, uaddr_t src, size_t n)
{
	if (unlikely(!user_range_ok(src, n)))
		return shadow_copy(dst, src, n);
	return copy(dst, (const void *)src, n);
}

size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t n)
{
	if (unlikely(!user_range_ok(dst, n)))
		return n;
	return copy((void *)dst, src, n);
}

int copy_from_user(void *dst, uaddr_t src, size_t n)
{
	return copy_from_user_partial(dst, src, n) ? -EFAULT : 0;
}

int copy_to_user(uaddr_t dst, const void *src, size_t n)
{
	return copy_to_user_partial(dst, src, n) ? -EFAULT : 0;
}

int clear_user(uaddr_t dst, size_t n)
{
	if (!user_range_ok(dst, n))
		return -EFAULT;
	return user_clear(dst, n) ? -EFAULT : 0;
}

s64 copy_string_from_user(char *dst, uaddr_t src, size_t size)
{
	if (unlikely(src >= USER_END))
		return shadow_string(dst, src, size);
	size_t n = MIN(size, USER_END - src);
	s64 len = user_string(dst, src, n);

	if (len != (s64)n)
		return len;
	return n < size ? -EFAULT : -ENAMETOOLONG;
}

int user_load_u32(uaddr_t a, u32 *value)
{
	if (!user_range_ok(a, sizeof(*value)))
		return -EFAULT;
	return user_load32(a, value);
}

int user_cmpxchg_u32(uaddr_t a, u32 expected, u32 desired, u32 *old)
{
	if (!user_range_ok(a, sizeof(*old)))
		return -EFAULT;
	return user_cmpxchg32(a, expected, desired, old);
}

int user_load_u32_nofault(uaddr_t a, u32 *value)
{
	if (!user_range_ok(a, sizeof(*value)))
		return -EFAULT;
	return user_load32_now(a, value);
}

/* 0 if [src, src + n) holds only zeros, -E2BIG if not. */
static int check_zero_tail(uaddr_t src, size_t n)
{
	u8 buf[64];

	while (n) {
		size_t step = MIN(n, sizeof(buf));
		if (copy_from_user(buf, src, step) < 0)
			return -EFAULT;
		for (size_t i = 0; i < step; i++)
			if (buf[i])
				return -E2BIG;
		src += step;
		n -= step;
	}
	return 0;
}

int copy_struct_from_user(void *dst, size_t ksize, uaddr_t src, size_t usize)
{
	size_t n = MIN(ksize, usize);

	if (usize > ksize) {
		int err = check_zero_tail(src + ksize, usize - ksize);
		if (err)
			return err;
	}
	memset((char *)dst + n, 0, ksize - n);
	return copy_from_user(dst, src, n);
}
