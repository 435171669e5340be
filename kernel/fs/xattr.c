/* SPDX-License-Identifier: MIT */
/*
 * xattr.c - extended attributes (man 7 xattr): the calls, the name spaces and
 * the rights. What stores them is the filesystem's; without it -EOPNOTSUPP.
 *
 * user.*      like the file's data; only of regular files and directories
 * trusted.*   CAP_SYS_ADMIN, and not in a container with maps of ids
 * security.*  read by anyone, written with the same; security.capability is
 *             refused, since exec gives no capabilities by file
 */
#include "fs/internal.h"
#include "fs/xattr_name.h"
#include "syscalls.h"

#define XATTR_NAME_MAX 255
#define XATTR_SIZE_MAX 65536
#define XATTR_LIST_MAX 65536
#define XATTR_FLAGS    3 /* XATTR_CREATE, XATTR_REPLACE */

struct xattr_call {
	enum { XATTR_SET, XATTR_GET, XATTR_LIST, XATTR_REMOVE } what;
	char name[XATTR_NAME_MAX + 1];
	uaddr_t value;
	size_t size;
	int flags;
};

static int xattr_permission(const struct usermap *map, struct inode *i, const char *name,
			    bool write)
{
	bool bare;
	enum xattr_space space = xattr_space(name, &bare);

	if (space == XATTR_SPACE_TRUSTED && !inode_may_unmapped(i, CAP_SYS_ADMIN))
		return write ? -EPERM : -ENODATA;
	if (bare)
		return -EINVAL;
	if (space == XATTR_SPACE_TRUSTED)
		return 0;
	if (!strcmp(name, "security.capability"))
		return write ? -EOPNOTSUPP : -ENODATA;
	if (space == XATTR_SPACE_SECURITY)
		return !write || inode_may_unmapped(i, CAP_SYS_ADMIN) ? 0 : -EPERM;
	if (space != XATTR_SPACE_USER)
		return -EOPNOTSUPP;
	if (!S_ISREG(i->mode) && !S_ISDIR(i->mode))
		return write ? -EPERM : -ENODATA;
	if (write && S_ISDIR(i->mode) && (i->mode & S_ISVTX) && !inode_owner_or_capable(map, i))
		return -EPERM;
	return inode_permission(map, i, write ? MAY_WRITE : MAY_READ);
}

static s64 xattr_set(struct inode *i, struct xattr_call *c)
{
	void *v = NULL;
	int err;

	if (!i->ops || !i->ops->setxattr)
		return -EOPNOTSUPP;
	if (c->size) {
		v = kmalloc(c->size, KM_ACCOUNT);
		if (!v)
			return -ENOMEM;
		if (copy_from_user(v, c->value, c->size)) {
			kfree(v);
			return -EFAULT;
		}
	}
	mutex_lock(&i->lock);
	err = i->ops->setxattr(i, c->name, v ? v : "", c->size, c->flags);
	if (!err)
		inode_touch(i, ATTR_CTIME);
	mutex_unlock(&i->lock);
	kfree(v);
	return err;
}

/* Get and list: the length, and the bytes if there is a buffer that holds them. */
static s64 xattr_read(struct inode *i, struct xattr_call *c)
{
	size_t size = MIN(c->size, (size_t)XATTR_SIZE_MAX), len = 0;
	void *buf = NULL;
	int err = -EOPNOTSUPP;

	if (size && !(buf = kmalloc(size, KM_ACCOUNT)))
		return -ENOMEM;
	mutex_lock(&i->lock);
	if (c->what == XATTR_LIST)
		err = i->ops && i->ops->listxattr ? i->ops->listxattr(i, buf, size, &len) : 0;
	else if (i->ops && i->ops->getxattr)
		err = i->ops->getxattr(i, c->name, buf, size, &len);
	mutex_unlock(&i->lock);
	if (!err && size)
		err = copy_to_user(c->value, buf, len);
	kfree(buf);
	return err ? err : (s64)len;
}

static s64 xattr_remove(struct inode *i, struct xattr_call *c)
{
	int err;

	if (!i->ops || !i->ops->removexattr)
		return -EOPNOTSUPP;
	mutex_lock(&i->lock);
	err = i->ops->removexattr(i, c->name);
	if (!err)
		inode_touch(i, ATTR_CTIME);
	mutex_unlock(&i->lock);
	return err;
}

static s64 xattr_on(const struct path *p, struct xattr_call *c)
{
	bool write = c->what == XATTR_SET || c->what == XATTR_REMOVE;
	struct inode *i = p->dentry->inode;
	int err = write ? mount_want_write(p->mount) : 0;

	if (!err && c->what != XATTR_LIST)
		err = xattr_permission(p->mount->usermap, i, c->name, write);
	if (err)
		return err;
	if (c->what == XATTR_SET)
		return xattr_set(i, c);
	return c->what == XATTR_REMOVE ? xattr_remove(i, c) : xattr_read(i, c);
}

static int xattr_name(struct xattr_call *c, uaddr_t name)
{
	s64 n = copy_string_from_user(c->name, name, sizeof(c->name));

	if (n == -ENAMETOOLONG || n == 0)
		return -ERANGE;
	return n < 0 ? n : 0;
}

static int xattr_check(const struct xattr_call *c)
{
	if (c->what == XATTR_SET && (c->flags & ~XATTR_FLAGS))
		return -EINVAL;
	return c->what == XATTR_SET && c->size > XATTR_SIZE_MAX ? -E2BIG : 0;
}

/* name 0: list, which has none. */
static s64 xattr_by_path(uaddr_t path, bool follow, uaddr_t name, struct xattr_call c)
{
	struct path p;
	s64 ret = xattr_check(&c);

	if (!ret && c.what != XATTR_LIST)
		ret = xattr_name(&c, name);
	if (!ret)
		ret = path_lookup_user(AT_FDCWD, path, follow ? LOOKUP_FOLLOW : 0, &p);
	if (ret)
		return ret;
	ret = xattr_on(&p, &c);
	path_put(p);
	return ret;
}

static s64 xattr_by_fd(int fd, uaddr_t name, struct xattr_call c)
{
	struct fd_ref r;
	s64 ret = fd_begin(fd, &r);

	if (ret)
		return ret;
	ret = xattr_check(&c);
	if (!ret && c.what != XATTR_LIST)
		ret = xattr_name(&c, name);
	if (!ret)
		ret = xattr_on(&r.file->path, &c);
	fd_end(r);
	return ret;
}

#define CALL(w, v, s, f)                                             \
	(struct xattr_call)                                          \
	{                                                            \
		.what = (w), .value = (v), .size = (s), .flags = (f) \
	}

s64 sys_setxattr(uaddr_t path, uaddr_t name, uaddr_t value, size_t size, int flags)
{
	return xattr_by_path(path, true, name, CALL(XATTR_SET, value, size, flags));
}

s64 sys_lsetxattr(uaddr_t path, uaddr_t name, uaddr_t value, size_t size, int flags)
{
	return xattr_by_path(path, false, name, CALL(XATTR_SET, value, size, flags));
}

s64 sys_fsetxattr(int fd, uaddr_t name, uaddr_t value, size_t size, int flags)
{
	return xattr_by_fd(fd, name, CALL(XATTR_SET, value, size, flags));
}

s64 sys_getxattr(uaddr_t path, uaddr_t name, uaddr_t value, size_t size)
{
	return xattr_by_path(path, true, name, CALL(XATTR_GET, value, size, 0));
}

s64 sys_lgetxattr(uaddr_t path, uaddr_t name, uaddr_t value, size_t size)
{
	return xattr_by_path(path, false, name, CALL(XATTR_GET, value, size, 0));
}

s64 sys_fgetxattr(int fd, uaddr_t name, uaddr_t value, size_t size)
{
	return xattr_by_fd(fd, name, CALL(XATTR_GET, value, size, 0));
}

s64 sys_listxattr(uaddr_t path, uaddr_t list, size_t size)
{
	return xattr_by_path(path, true, 0, CALL(XATTR_LIST, list, size, 0));
}

s64 sys_llistxattr(uaddr_t path, uaddr_t list, size_t size)
{
	return xattr_by_path(path, false, 0, CALL(XATTR_LIST, list, size, 0));
}

s64 sys_flistxattr(int fd, uaddr_t list, size_t size)
{
	return xattr_by_fd(fd, 0, CALL(XATTR_LIST, list, size, 0));
}

s64 sys_removexattr(uaddr_t path, uaddr_t name)
{
	return xattr_by_path(path, true, name, CALL(XATTR_REMOVE, 0, 0, 0));
}

s64 sys_lremovexattr(uaddr_t path, uaddr_t name)
{
	return xattr_by_path(path, false, name, CALL(XATTR_REMOVE, 0, 0, 0));
}

s64 sys_fremovexattr(int fd, uaddr_t name)
{
	return xattr_by_fd(fd, name, CALL(XATTR_REMOVE, 0, 0, 0));
}
