/* SPDX-License-Identifier: MIT */
/*
 * open.c - open(2) and its relatives; creating and truncating by them.
 *
 * Without O_CREAT the walk stays in RCU mode to the end, rights are looked at
 * there, and only then the path is counted. With O_CREAT the walk stops at the
 * parent; if the name is there, it goes on as an ordinary open, else the parent
 * is counted, locked, looked at again, and the file made.
 */
#include "fs/internal.h"
#include "syscalls.h"

#define S_IALLUGO     07777
#define O_TMPFILE_BIT 020000000
#define O_PATH_FLAGS  (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define O_VALID                                                                               \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | \
	 FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | \
	 O_PATH | O_TMPFILE)

/* open(2) ignores flags that do not exist; what it does not allow together is -EINVAL. */
static int open_flags(int *flags)
{
	int f = *flags & O_VALID;

	if (f & O_PATH)
		f &= O_PATH_FLAGS;
	if (f & O_TMPFILE_BIT) {
		if ((f & (O_TMPFILE | O_CREAT)) != O_TMPFILE || !(f & O_ACCMODE))
			return -EINVAL;
	} else if ((f & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY)) {
		return -EINVAL;
	}
	*flags = f;
	return 0;
}

static u32 open_mask(int flags)
{
	static const u8 mask[] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE,
				   MAY_READ | MAY_WRITE };

	return mask[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

/* Device nodes work where the mount and the owner of the filesystem let them. */
static bool device_allowed(const struct mount *m)
{
	return !(m->flags & MS_NODEV) && (m->sb->owner == &owner_host || m->sb->type->device_nodes);
}

/* May this existing file be opened so? Sleeps not; in RCU mode -ECHILD if it would have to. */
static int open_check(const struct walk *w, int flags)
{
	struct inode *i = w->inode;
	u32 mode = READ_ONCE(i->mode), mask = open_mask(flags);
	int err;

	if (unlikely(flags & O_PATH))
		return 0;
	if (S_ISLNK(mode))
		return -ELOOP;
	if (S_ISDIR(mode) && ((mask & MAY_WRITE) || (flags & O_CREAT)))
		return -EISDIR;
	if (mode_is_device(mode) && !device_allowed(w->path.mount))
		return -EACCES;
	if (unlikely(w->rcu && i->ops && i->ops->permission))
		return -ECHILD;
	if (!S_ISREG(mode) && !S_ISDIR(mode))
		mask = flags & O_TRUNC ? open_mask(flags & ~O_TRUNC) : mask;
	else if ((mask & MAY_WRITE) && (i->sb->flags & MS_RDONLY))
		return -EROFS;
	err = inode_permission(w->path.mount->usermap, i, mask);
	if (unlikely(err))
		return err;
	if (unlikely((flags & O_NOATIME) && !inode_owner_or_capable(w->path.mount->usermap, i)))
		return -EPERM;
	if ((mask & MAY_WRITE) && S_ISREG(mode))
		return mount_want_write(w->path.mount);
	return 0;
}

/* The walk ended at a file that may be opened: its path becomes the file's. */
static int open_end(struct walk *w, int flags, struct file **out)
{
	bool truncate = (flags & O_TRUNC) && S_ISREG(w->inode->mode);
	struct path p;
	int err = walk_count(w);

	if (unlikely(err))
		return err;
	p = w->path;
	w->path.dentry = NULL;
	err = file_open_take(&p, flags, out);
	if (unlikely(err) || likely(!truncate))
		return err;
	/* O_RDONLY | O_TRUNC: a writer for the moment of it. */
	err = (*out)->mode & FILE_WRITE ? 0 : inode_get_write((*out)->inode);
	if (!err) {
		err = inode_truncate((*out)->inode, 0);
		if (!((*out)->mode & FILE_WRITE))
			inode_put_write((*out)->inode);
	}
	if (err)
		file_put_now(*out);
	return err;
}

static int open_existing(struct walk *w, int flags, struct file **out)
{
	int err = walk_to_end(w);

	if (likely(!err))
		err = open_check(w, flags);
	if (unlikely(err))
		return err;
	return open_end(w, flags, out);
}

/* --- O_CREAT --- */

/* In the counted directory where w stands, locked: makes w->last. -EEXIST: it is there by now. */
static int open_make(struct walk *w, u32 mode, struct dentry **out)
{
	const struct usermap *map = w->path.mount->usermap;
	struct inode *dir = w->inode;
	int err;

	if (w->last_len > NAME_MAX)
		return -ENAMETOOLONG;
	err = dentry_lookup_locked(w->path.dentry, w->last, w->last_len, w->last_hash, out);
	if (err)
		return err;
	if ((*out)->inode)
		err = -EEXIST;
	if (!err)
		err = mount_want_write(w->path.mount);
	if (!err)
		err = inode_may_create(map, dir);
	if (!err)
		err = dir->ops->create ? 0 : -EACCES;
	if (!err)
		err = dir->ops->create(map, dir, *out, S_IFREG | (mode & S_IALLUGO & ~fs_umask()));
	if (err)
		dentry_put(*out);
	return err;
}

static int open_create_in(struct walk *w, int flags, u32 mode, struct file **out)
{
	struct inode *dir = w->inode;
	struct file *f;
	struct dentry *d;
	struct path p;
	int err = file_reserve(&f);

	if (err)
		return err;
	dentry_make_room();
	mutex_lock(&dir->lock);
	err = open_make(w, mode, &d);
	mutex_unlock(&dir->lock);
	if (err) {
		file_unreserve(f);
		return err == -EEXIST && !(flags & O_EXCL) ? -ESTALE : err;
	}
	p = (struct path){ mount_get(w->path.mount), d };
	return file_open_reserved(f, &p, flags & ~O_TRUNC, out);
}

/* Stands before the last component. 0: walked to it; 1: a link; -ENOENT: w stands on the parent. */
static int open_try_last(struct walk *w, bool follow)
{
	struct path dir = w->path;
	struct inode *inode = w->inode;
	bool rcu = w->rcu;
	u32 seq = w->seq;
	int err;

	if (!rcu)
		path_get(dir);
	err = walk_last(w, follow);
	if (err != -ENOENT && (err || w->inode)) {
		if (!rcu)
			path_put(dir);
		return err;
	}
	if (!rcu && w->path.dentry)
		path_put(w->path);
	w->path = dir;
	w->inode = inode;
	w->seq = seq;
	return -ENOENT;
}

static int open_or_create(struct walk *w, int flags, u32 mode, struct file **out)
{
	int err;

	do {
		err = walk_parent(w);
		if (err)
			return err;
		if (w->type != LAST_NAME || w->trailing)
			return -EISDIR;
		err = open_try_last(w, !(flags & (O_NOFOLLOW | O_EXCL)));
	} while (err == 1);
	if (!err) {
		if (flags & O_EXCL)
			return -EEXIST;
		err = open_check(w, flags);
		return err ? err : open_end(w, flags, out);
	}
	if (err != -ENOENT)
		return err;
	err = walk_count(w);
	return err ? err : open_create_in(w, flags, mode, out);
}

/* --- O_TMPFILE --- */

static int open_tmpfile_in(struct walk *w, int flags, u32 mode, struct file **out)
{
	struct inode *dir = w->inode, *i;
	struct path p = { w->path.mount, NULL };
	const struct usermap *map = p.mount->usermap;
	int err = inode_may_add(map, dir);

	if (!err)
		err = mount_want_write(p.mount);
	if (!err)
		err = dir->ops->tmpfile ? 0 : -EOPNOTSUPP;
	if (!err)
		err = dir->ops->tmpfile(map, dir, S_IFREG | (mode & S_IALLUGO & ~fs_umask()), &i);
	if (err)
		return err;
	err = dentry_alloc_nameless(i->sb, i, "#tmpfile", &p.dentry);
	if (err) {
		inode_put(i);
		return err;
	}
	mount_get(p.mount);
	i->linkable = !(flags & O_EXCL);
	return file_open_take(&p, flags & ~(O_DIRECTORY | O_TMPFILE_BIT), out);
}

static int open_tmpfile(struct walk *w, int flags, u32 mode, struct file **out)
{
	int err = walk_to_end(w);

	if (!err)
		err = walk_count(w);
	return err ? err : open_tmpfile_in(w, flags, mode, out);
}

/* --- the whole --- */

static int open_walk(struct walk *w, int flags, u32 mode, struct file **out)
{
	if (likely(!(flags & (O_CREAT | O_TMPFILE_BIT))))
		return open_existing(w, flags, out);
	if (flags & O_CREAT)
		return open_or_create(w, flags, mode, out);
	return open_tmpfile(w, flags, mode, out);
}

int file_open(int dirfd, const char *name, int flags, u32 mode, struct file **out)
{
	u32 lookup = (flags & O_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
		     (flags & O_DIRECTORY ? LOOKUP_DIRECTORY : 0);
	bool rcu = true;
	struct walk w;
	int err;

	for (;;) {
		err = walk_begin(&w, dirfd, name, lookup, rcu);
		if (likely(!err))
			err = open_walk(&w, flags, mode, out);
		walk_end(&w);
		if (likely(err != -ECHILD && err != -ESTALE))
			return err;
		rcu = false; /* -ESTALE: somebody made the file meanwhile */
	}
}

static s64 openat_user(int dirfd, uaddr_t name, int flags, u32 mode)
{
	struct name_buf b;
	struct file *f;
	u32 fd;
	int err = open_flags(&flags);

	if (unlikely(err))
		return err;
	err = name_fetch(&b, name, false);
	if (unlikely(err))
		return err;
	err = fd_reserve(0, flags & O_CLOEXEC, &fd);
	if (likely(!err)) {
		err = file_open(dirfd, b.text, flags, mode, &f);
		if (likely(!err))
			fd_install(fd, f);
		else
			fd_release(fd);
	}
	name_drop(&b);
	return err ? err : (s64)fd;
}

s64 sys_open(uaddr_t name, int flags, u32 mode)
{
	return openat_user(AT_FDCWD, name, flags & O_PATH ? flags : flags | O_LARGEFILE, mode);
}

s64 sys_openat(int dirfd, uaddr_t name, int flags, u32 mode)
{
	return openat_user(dirfd, name, flags & O_PATH ? flags : flags | O_LARGEFILE, mode);
}

s64 sys_creat(uaddr_t name, u32 mode)
{
	return openat_user(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC | O_LARGEFILE, mode);
}

/* --- descriptors --- */

s64 sys_close(u32 fd)
{
	return fd_close(fd);
}

s64 sys_dup(u32 fd)
{
	struct file *f;
	int err = fd_get(fd, true, &f);

	return err ? err : fd_add(f, false);
}

static s64 dup_to(u32 from, u32 to, bool cloexec)
{
	struct file *f;
	int err;

	if (to >= rlimit_cur(RLIMIT_NOFILE))
		return -EBADF;
	err = fd_get(from, true, &f);
	if (!err)
		err = fd_replace(to, f, cloexec);
	return err ? err : (s64)to;
}

s64 sys_dup2(u32 from, u32 to)
{
	struct file *f;
	int err;

	if (from != to)
		return dup_to(from, to, false);
	err = fd_get(from, true, &f);
	if (err)
		return err;
	file_put(f);
	return to;
}

s64 sys_dup3(u32 from, u32 to, int flags)
{
	if ((flags & ~O_CLOEXEC) || from == to)
		return -EINVAL;
	return dup_to(from, to, flags & O_CLOEXEC);
}

#define CLOSE_RANGE_UNSHARE 2
#define CLOSE_RANGE_CLOEXEC 4

s64 sys_close_range(u32 first, u32 last, u32 flags)
{
	int err;

	if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		err = fd_table_unshare_for_exec();
		if (err)
			return err;
	}
	for (u32 fd = first; fd_next_used(&fd, last); fd++) {
		if (flags & CLOSE_RANGE_CLOEXEC)
			fd_set_cloexec(fd, true);
		else
			fd_close(fd);
		if (fd == UINT32_MAX)
			break;
		if (fd % 8 == 0) /* as many as there may be, and each may free much */
			resched_point();
	}
	return 0;
}
