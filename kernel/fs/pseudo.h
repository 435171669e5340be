/* SPDX-License-Identifier: MIT */
/*
 * pseudo.h - what procfs, the control files and other made-up trees share: text
 * files whose content is produced at open or read, and small writable ones.
 */
#ifndef FS_PSEUDO_H
#define FS_PSEUDO_H

#include "fs/vfs.h"

/* Text that grows by itself (charged to current). After an error, further prints do nothing. */
struct text {
	char *buf;
	size_t len, size;
	int err; /* 0 or -ENOMEM */
};
void text_printf(struct text *t, const char *fmt, ...) __printf(2, 3);
void text_append(struct text *t, const char *s, size_t n);
void text_free(struct text *t);

struct pseudo_file {
	const char *name;
	u32 mode; /* permission bits; the type is S_IFREG */
	/* Fills t for reading; object is the inode's private. NULL: not readable. */
	int (*show)(void *object, struct text *t);
	/* One write(2) with all of it, NUL-terminated, without a final newline; 0 or -errno. NULL: not writable. */
	int (*store)(void *object, const char *s, size_t n);
	/* Pollable: the queue and a counter; POLLPRI|POLLERR when the counter differs from when it was read. */
	struct waitq *(*changed)(void *object, u64 *generation);
};
/* An inode for one such file; `object` is kept alive by get/put of the tree that makes it. */
extern const struct file_ops pseudo_file_ops;

#endif
