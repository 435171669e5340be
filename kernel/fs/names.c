/* SPDX-License-Identifier: MIT */
/*
 * names.c - making, removing and renaming names.
 *
 * All of it is done under the inode lock of the directory (of both, for a
 * rename), and what loses a name or gains one is locked after it: parent before
 * child. Two directories are locked the ancestor first, else by address; a
 * directory changes its parent only under its superblock's rename_lock, so
 * ancestry stands still meanwhile.
 */
#include "fs/internal.h"
#include "syscalls.h"

#define S_PERMISSIONS 07777

/* --- common to those that make a name --- */

struct creation {
	struct path parent;
	struct dentry *d;
	struct name_buf name;
};

static int creation_begin(struct creation *c, int dirfd, uaddr_t name, bool directory)
{
	int err = name_fetch(&c->name, name, false);

	if (err)
		return err;
	err = path_create_begin(dirfd, c->name.text, directory, &c->parent, &c->d);
	if (err)
		name_drop(&c->name);
	return err;
}

static void creation_end(struct creation *c)
{
	path_create_end(&c->parent, c->d);
	name_drop(&c->name);
}

static struct inode *creation_dir(const struct creation *c)
{
	return c->parent.dentry->inode;
}

/* --- mkdir, mknod, symlink --- */

s64 sys_mkdirat(int dirfd, uaddr_t name, u32 mode)
{
	struct creation c;
	struct inode *dir;
	int err = creation_begin(&c, dirfd, name, true);

	if (err)
		return err;
	dir = creation_dir(&c);
	mode &= (0777 | S_ISVTX) & ~fs_umask();
	err = dir->ops->mkdir ? dir->ops->mkdir(c.parent.mount->usermap, dir, c.d, S_IFDIR | mode)
			      : -EPERM;
	creation_end(&c);
	return err;
}

s64 sys_mkdir(uaddr_t name, u32 mode)
{
	return sys_mkdirat(AT_FDCWD, name, mode);
}

static u64 device_of_user(u32 dev) /* as makedev(), in 32 bits (man 3 makedev) */
{
	return makedev(dev >> 8 & 0xfff, (dev & 0xff) | (dev >> 12 & 0xfff00));
}

static int mknod_check(u32 mode)
{
	switch (mode & S_IFMT) {
	case 0:
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

static int mknod_in(const struct path *parent, struct dentry *d, u32 mode, u64 rdev)
{
	struct inode *dir = parent->dentry->inode;
	const struct usermap *map = parent->mount->usermap;

	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	mode = (mode & S_IFMT) | (mode & S_PERMISSIONS & ~fs_umask());
	/* Nobody could open one that was made in a container. */
	if (mode_is_device(mode) && rdev && !may_host(CAP_MKNOD))
		return -EPERM;
	if (S_ISREG(mode))
		return dir->ops->create ? dir->ops->create(map, dir, d, mode) : -EACCES;
	if (!mode_is_device(mode))
		rdev = 0;
	return dir->ops->mknod ? dir->ops->mknod(map, dir, d, mode, rdev) : -EPERM;
}

s64 sys_mknodat(int dirfd, uaddr_t name, u32 mode, u32 dev)
{
	struct creation c;
	int err = mknod_check(mode);

	if (err)
		return err;
	err = creation_begin(&c, dirfd, name, false);
	if (err)
		return err;
	err = mknod_in(&c.parent, c.d, mode, device_of_user(dev));
	creation_end(&c);
	return err;
}

s64 sys_mknod(uaddr_t name, u32 mode, u32 dev)
{
	return sys_mknodat(AT_FDCWD, name, mode, dev);
}

s64 sys_symlinkat(uaddr_t target, int dirfd, uaddr_t name)
{
	struct name_buf text;
	struct creation c;
	struct inode *dir;
	int err = name_fetch(&text, target, false);

	if (err)
		return err;
	err = creation_begin(&c, dirfd, name, false);
	if (!err) {
		dir = creation_dir(&c);
		err = dir->ops->symlink
			      ? dir->ops->symlink(c.parent.mount->usermap, dir, c.d, text.text)
			      : -EPERM;
		creation_end(&c);
	}
	name_drop(&text);
	return err;
}

s64 sys_symlink(uaddr_t target, uaddr_t name)
{
	return sys_symlinkat(target, AT_FDCWD, name);
}

/* --- link --- */

static int link_in(const struct path *old, const struct path *parent, struct dentry *d)
{
	struct inode *target = old->dentry->inode, *dir = parent->dentry->inode;
	int err;

	if (old->mount != parent->mount)
		return -EXDEV;
	if (S_ISDIR(target->mode) || !dir->ops->link)
		return -EPERM;
	mutex_lock_nested(&target->lock); /* a file: after its directories */
	if (!target->nlink && !target->linkable)
		err = -ENOENT;
	else if (target->nlink >= INT32_MAX)
		err = -EMLINK;
	else
		err = dir->ops->link(target, dir, d);
	if (!err)
		target->linkable = false;
	mutex_unlock(&target->lock);
	return err;
}

s64 sys_linkat(int old_dirfd, uaddr_t old_name, int dirfd, uaddr_t name, int flags)
{
	u32 lookup = (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) |
		     (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	struct creation c;
	struct path old;
	int err;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) && !capable(CAP_DAC_READ_SEARCH))
		return -ENOENT;
	err = path_lookup_user(old_dirfd, old_name, lookup, &old);
	if (err)
		return err;
	err = creation_begin(&c, dirfd, name, false);
	if (!err) {
		err = link_in(&old, &c.parent, c.d);
		creation_end(&c);
	}
	path_put(old);
	return err;
}

s64 sys_link(uaddr_t old_name, uaddr_t name)
{
	return sys_linkat(AT_FDCWD, old_name, AT_FDCWD, name, 0);
}

/* --- unlink and rmdir --- */

/* May d be taken out of dir (man 2 unlink: EACCES, EPERM, EISDIR, ENOTDIR)? Both locked or stable.
 */
static int delete_check(const struct usermap *map, struct inode *dir, struct dentry *d,
			bool want_directory)
{
	struct inode *i = d->inode;
	int err = inode_permission(map, dir, MAY_WRITE | MAY_EXEC);

	if (err)
		return err;
	if (inode_sticky(map, dir, i))
		return -EPERM;
	if (want_directory) {
		if (!S_ISDIR(i->mode))
			return -ENOTDIR;
		if (d->parent == d)
			return -EBUSY;
	} else if (S_ISDIR(i->mode)) {
		return -EISDIR;
	}
	return dir->nlink ? 0 : -ENOENT;
}

static int delete_locked(const struct usermap *map, struct inode *dir, struct dentry *d,
			 bool directory)
{
	struct inode *i = d->inode;
	int err = delete_check(map, dir, d, directory);

	if (err)
		return err;
	if (!(directory ? dir->ops->rmdir : dir->ops->unlink))
		return -EPERM;
	mutex_lock_nested(&i->lock); /* child after parent */
	if (d->mounted)
		err = -EBUSY;
	else if (directory)
		err = dir->ops->rmdir(dir, d);
	else
		err = dir->ops->unlink(dir, d);
	mutex_unlock(&i->lock);
	if (!err) {
		if (directory)
			dentry_forget_tree(d);
		dentry_unhash(d);
	}
	return err;
}

/* Looks up w->last in the locked directory: a name that is there. */
static int existing_child(struct walk *w, struct dentry **out)
{
	int err;

	if (w->last_len > NAME_MAX)
		return -ENAMETOOLONG;
	err = dentry_lookup_locked(w->path.dentry, w->last, w->last_len, w->last_hash, out);
	if (err)
		return err;
	if ((*out)->inode)
		return 0;
	dentry_put(*out);
	*out = NULL;
	return -ENOENT;
}

static int delete_name(int dirfd, const char *name, bool directory)
{
	struct dentry *d = NULL;
	struct inode *dir;
	struct walk w;
	int err = walk_parent_counted(&w, dirfd, name);

	if (err)
		return err;
	if (w.type != LAST_NAME) {
		walk_end(&w);
		if (!directory)
			return -EISDIR;
		return w.type == LAST_DOTDOT ? -ENOTEMPTY : w.type == LAST_DOT ? -EINVAL : -EBUSY;
	}
	dir = w.inode;
	mutex_lock(&dir->lock);
	err = existing_child(&w, &d);
	if (!err) {
		if (w.trailing && !directory)
			err = S_ISDIR(d->inode->mode) ? -EISDIR : -ENOTDIR;
		err = err ? err : mount_want_write(w.path.mount);
		err = err ? err : delete_locked(w.path.mount->usermap, dir, d, directory);
	}
	mutex_unlock(&dir->lock);
	if (d)
		dentry_put(d); /* here goes the inode: not under the directory's lock */
	walk_end(&w);
	return err;
}

static s64 delete_user(int dirfd, uaddr_t name, bool directory)
{
	struct name_buf b;
	int err = name_fetch(&b, name, false);

	if (err)
		return err;
	err = delete_name(dirfd, b.text, directory);
	name_drop(&b);
	return err;
}

s64 sys_unlink(uaddr_t name)
{
	return delete_user(AT_FDCWD, name, false);
}

s64 sys_rmdir(uaddr_t name)
{
	return delete_user(AT_FDCWD, name, true);
}

s64 sys_unlinkat(int dirfd, uaddr_t name, int flags)
{
	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	return delete_user(dirfd, name, flags & AT_REMOVEDIR);
}
