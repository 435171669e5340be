/* SPDX-License-Identifier: MIT */
/*
 * xattr_memory.c - extended attributes that live in memory: a list behind
 * inode->private, for filesystems without a disk. Under inode->lock.
 *
 * user.* is refused, as by the tmpfs of Linux 6.1: anybody could fill memory.
 */
#include "fs/internal.h"
#include "fs/tmpfs.h"
#include "fs/xattr_name.h"

#define XATTR_CREATE  1
#define XATTR_REPLACE 2
#define XATTRS_MAX    (128 * 1024) /* bytes of names and values to an inode */

struct xattr {
	struct xattr *next;
	size_t size;
	char *value; /* behind the name */
	char name[];
};

static bool xattr_is_user(const char *name)
{
	bool bare;

	return xattr_space(name, &bare) == XATTR_SPACE_USER;
}

static struct xattr **xattr_find(struct inode *i, const char *name)
{
	struct xattr **at = (struct xattr **)&i->private;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

int xattr_memory_list(struct inode *i, char *buf, size_t size, size_t *len)
{
	size_t done = 0;

	for (struct xattr *x = i->private; x; x = x->next) {
		size_t n = strlen(x->name) + 1;

		if (xattr_is_trusted(x->name) && !inode_may_unmapped(i, CAP_SYS_ADMIN))
			continue;
		if (size && done + n > size)
			return -ERANGE;
		if (size)
			memcpy(buf + done, x->name, n);
		done += n;
	}
	*len = done;
	return 0;
}

int xattr_memory_get(struct inode *i, const char *name, void *buf, size_t size, size_t *len)
{
	struct xattr *x = *xattr_find(i, name);

	if (xattr_is_user(name))
		return -EOPNOTSUPP;
	if (!x)
		return -ENODATA;
	if (size && x->size > size)
		return -ERANGE;
	if (size)
		memcpy(buf, x->value, x->size);
	*len = x->size;
	return 0;
}

static size_t xattr_total(struct inode *i)
{
	size_t sum = 0;

	for (struct xattr *x = i->private; x; x = x->next)
		sum += sizeof(*x) + strlen(x->name) + 1 + x->size;
	return sum;
}

int xattr_memory_set(struct inode *i, const char *name, const void *v, size_t n, int flags)
{
	struct xattr **at = xattr_find(i, name), *old = *at, *x;
	size_t name_size = strlen(name) + 1;

	if (xattr_is_user(name))
		return -EOPNOTSUPP;
	if (old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!old && (flags & XATTR_REPLACE))
		return -ENODATA;
	if (xattr_total(i) - (old ? old->size : 0) + sizeof(*x) + name_size + n > XATTRS_MAX)
		return -ENOSPC;
	x = kmalloc(sizeof(*x) + name_size + n, KM_ACCOUNT);
	if (!x)
		return -ENOMEM;
	memcpy(x->name, name, name_size);
	x->value = x->name + name_size;
	x->size = n;
	memcpy(x->value, v, n);
	x->next = old ? old->next : NULL;
	*at = x;
	kfree(old);
	return 0;
}

int xattr_memory_remove(struct inode *i, const char *name)
{
	struct xattr **at = xattr_find(i, name), *x = *at;

	if (xattr_is_user(name))
		return -EOPNOTSUPP;
	if (!x)
		return -ENODATA;
	*at = x->next;
	kfree(x);
	return 0;
}

void xattr_memory_free(struct inode *i)
{
	struct xattr *x = i->private, *next;

	for (; x; x = next) {
		next = x->next;
		kfree(x);
	}
	i->private = NULL;
}
