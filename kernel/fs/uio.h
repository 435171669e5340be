/* SPDX-License-Identifier: MIT */
/*
 * uio.h - the memory side of a read or write: a list of segments, in user or
 * kernel space, consumed from the front.
 */
#ifndef FS_UIO_H
#define FS_UIO_H

#include "lib/types.h"

struct iovec {
	u64 base; /* user address, or kernel pointer */
	u64 len;
};
#define IOV_MAX	     1024
#define RW_COUNT_MAX 0x7ffff000ull /* one call moves at most this (man 2 read) */

struct uio {
	bool kernel;
	bool append;		 /* write at the end whatever *pos is (RWF_APPEND) */
	const struct iovec *iov; /* the current segment */
	u32 segments;		 /* left, the current one included */
	u64 skip;		 /* consumed of the current one */
	u64 left;		 /* bytes in all */
	struct iovec single;	 /* for the common case of one */
};

void uio_init_user(struct uio *u, uaddr_t base, u64 len);
void uio_init_kernel(struct uio *u, const void *base, u64 len);
/* readv's array: *heap is to be kfree'd (NULL if it was small). -EINVAL, -EFAULT, -ENOMEM. */
struct uio_array {
	struct iovec fast[8];
	struct iovec *heap;
};
int uio_init_iovec(struct uio *u, struct uio_array *a, uaddr_t iov, u64 count);
void uio_done(struct uio_array *a);
/* Both move up to n bytes and advance; the count moved (short: a fault), or -EFAULT if none could.
 */
s64 uio_copy_in(struct uio *u, void *dst, u64 n); /* from the segments to dst: for write */
/* The same, but what is not in memory now is a fault: for who holds locks that page faults need. */
s64 uio_copy_in_now(struct uio *u, void *dst, u64 n);
s64 uio_copy_out(struct uio *u, const void *src, u64 n); /* from src to the segments: for read */
s64 uio_clear(struct uio *u, u64 n);

#endif
