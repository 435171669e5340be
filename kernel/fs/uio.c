/* SPDX-License-Identifier: MIT */
/*
 * uio.c - the memory side of a read or write.
 *
 *	uio_init_user(&u, buf, n);		or uio_init_iovec(), uio_init_kernel()
 *	while (u.left)
 *		n = uio_copy_out(&u, page, chunk);
 *
 * Invariant: `left` is the sum of what the segments still hold, or less if the
 * call was cut to a limit; skip < iov->len unless left is 0.
 */
#include "fs/uio.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "lib/string.h"
#include "mm/slab.h"

void uio_init_user(struct uio *u, uaddr_t base, u64 len)
{
	u->kernel = u->append = false;
	u->single.base = base;
	u->single.len = len;
	u->iov = &u->single;
	u->segments = 1;
	u->skip = 0;
	u->left = len;
}

void uio_init_kernel(struct uio *u, const void *base, u64 len)
{
	uio_init_user(u, (u64)base, len);
	u->kernel = true;
}

/* Checks each segment and cuts the whole to RW_COUNT_MAX, as Linux does (man 2 readv). */
static int iovec_check(struct iovec *v, u64 count, u64 *total)
{
	u64 sum = 0;

	for (u64 i = 0; i < count; i++) {
		if ((s64)v[i].len < 0)
			return -EINVAL;
		if (!user_range_ok(v[i].base, v[i].len))
			return -EFAULT;
		if (v[i].len > RW_COUNT_MAX - sum)
			v[i].len = RW_COUNT_MAX - sum;
		sum += v[i].len;
	}
	*total = sum;
	return 0;
}

int uio_init_iovec(struct uio *u, struct uio_array *a, uaddr_t iov, u64 count)
{
	struct iovec *v = a->fast;
	int err;

	a->heap = NULL;
	if (count > IOV_MAX)
		return -EINVAL;
	if (count > ARRAY_SIZE(a->fast)) {
		v = a->heap = kmalloc(count * sizeof(*v), KM_ACCOUNT);
		if (!v)
			return -ENOMEM;
	}
	err = copy_from_user(v, iov, count * sizeof(*v));
	if (!err)
		err = iovec_check(v, count, &u->left);
	if (err) {
		uio_done(a);
		return err;
	}
	u->kernel = u->append = false;
	u->iov = v;
	u->segments = count;
	u->skip = 0;
	return 0;
}

void uio_done(struct uio_array *a)
{
	kfree(a->heap);
	a->heap = NULL;
}

/* The current segment's address and how much of n it can take; NULL at the end. */
static inline u64 uio_chunk(struct uio *u, u64 n, u64 *address)
{
	while (unlikely(u->skip == u->iov->len) && u->segments) {
		u->iov++;
		u->segments--;
		u->skip = 0;
	}
	if (!u->segments)
		return 0;
	*address = u->iov->base + u->skip;
	return MIN(n, u->iov->len - u->skip);
}

static void uio_advance(struct uio *u, u64 n)
{
	u->skip += n;
	u->left -= n;
}

static inline s64 copy_in(struct uio *u, void *dst, u64 n,
			  size_t (*copy)(void *dst, uaddr_t src, size_t n))
{
	u64 done = 0, chunk, address, missed = 0;

	n = MIN(n, u->left);
	while (done < n && !missed && (chunk = uio_chunk(u, n - done, &address))) {
		if (u->kernel)
			memcpy((char *)dst + done, (const void *)address, chunk);
		else
			missed = copy((char *)dst + done, address, chunk);
		uio_advance(u, chunk - missed);
		done += chunk - missed;
	}
	return missed && !done ? -EFAULT : (s64)done;
}

s64 uio_copy_in(struct uio *u, void *dst, u64 n)
{
	return copy_in(u, dst, n, copy_from_user_partial);
}

s64 uio_copy_in_now(struct uio *u, void *dst, u64 n)
{
	return copy_in(u, dst, n, copy_from_user_now);
}

s64 uio_copy_out(struct uio *u, const void *src, u64 n)
{
	u64 done = 0, chunk, address, missed = 0;

	n = MIN(n, u->left);
	while (done < n && !missed && (chunk = uio_chunk(u, n - done, &address))) {
		if (u->kernel)
			memcpy((void *)address, (const char *)src + done, chunk);
		else
			missed = copy_to_user_partial(address, (const char *)src + done, chunk);
		uio_advance(u, chunk - missed);
		done += chunk - missed;
	}
	return missed && !done ? -EFAULT : (s64)done;
}

/* clear_user does not say where it stopped: then zeros are copied, which does. */
static u64 clear_user_partial(u64 address, u64 n)
{
	static const char zeros[256];
	u64 missed = 0;

	if (!clear_user(address, n))
		return 0;
	while (n && !missed) {
		u64 step = MIN(n, sizeof(zeros));

		missed = copy_to_user_partial(address, zeros, step);
		address += step;
		n -= step - missed;
	}
	return n;
}

s64 uio_clear(struct uio *u, u64 n)
{
	u64 done = 0, chunk, address, missed = 0;

	n = MIN(n, u->left);
	while (done < n && !missed && (chunk = uio_chunk(u, n - done, &address))) {
		if (u->kernel)
			memset((void *)address, 0, chunk);
		else
			missed = clear_user_partial(address, chunk);
		uio_advance(u, chunk - missed);
		done += chunk - missed;
	}
	return missed && !done ? -EFAULT : (s64)done;
}
