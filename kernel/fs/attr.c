/* SPDX-License-Identifier: MIT */
/*
 * attr.c - changing what an inode says of itself: chmod, chown, utimensat,
 * truncate, fallocate and their relatives.
 *
 * Each call finds the inode (by name or descriptor), asks the mount for write
 * access, locks the inode, checks, and hands an iattr to inode_setattr().
 */
#include "fs/internal.h"
#include "syscalls.h"

#define UTIME_NOW  0x3fffffff
#define UTIME_OMIT 0x3ffffffe

int inode_setattr(struct inode *i, struct iattr *a)
{
	mutex_assert_held(&i->lock);
	if (!(a->valid & ATTR_CTIME)) {
		a->valid |= ATTR_CTIME;
		a->ctime = fs_now();
	}
	if (i->ops && i->ops->setattr)
		return i->ops->setattr(i, a);
	if (a->valid & ATTR_SIZE)
		return -EINVAL;
	inode_attr_copy(i, a);
	return 0;
}

/* A name and AT_* flags, of which `allowed` exist for this call, to a counted path. */
int path_lookup_either(int dirfd, uaddr_t name, int flags, int allowed, struct path *out)
{
	u32 lookup = flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;

	if (flags & ~allowed)
		return -EINVAL;
	if (flags & AT_EMPTY_PATH)
		lookup |= LOOKUP_EMPTY;
	return path_lookup_user(dirfd, name, lookup, out);
}

typedef int change_fn(const struct usermap *map, struct inode *i, void *arg);

/* Runs a change of an inode's attributes under its lock, if the mount may be written. */
static int change_path(const struct path *p, change_fn *fn, void *arg)
{
	struct inode *i = p->dentry->inode;
	int err = mount_want_write(p->mount);

	if (err)
		return err;
	mutex_lock(&i->lock);
	err = fn(p->mount->usermap, i, arg);
	mutex_unlock(&i->lock);
	return err;
}

static int change_name(int dirfd, uaddr_t name, int flags, int allowed, change_fn *fn, void *arg)
{
	struct path p;
	int err = path_lookup_either(dirfd, name, flags, allowed, &p);

	if (err)
		return err;
	err = change_path(&p, fn, arg);
	path_put(p);
	return err;
}

static int change_fd(int fd, change_fn *fn, void *arg)
{
	struct fd_ref r;
	int err = fd_begin(fd, &r);

	if (err)
		return err;
	err = change_path(&r.file->path, fn, arg);
	fd_end(r);
	return err;
}

/* --- chmod --- */

static int change_mode(const struct usermap *map, struct inode *i, void *arg)
{
	struct iattr a = { .valid = ATTR_MODE, .mode = *(u32 *)arg & 07777 };

	if (!inode_owner_or_capable(map, i))
		return -EPERM;
	if (S_ISLNK(i->mode))
		return -EOPNOTSUPP;
	if ((a.mode & S_ISGID) && !cred_in_group(current->cred, inode_gid(map, i)) &&
	    !inode_may(map, i, CAP_FSETID))
		a.mode &= ~S_ISGID;
	return inode_setattr(i, &a);
}

s64 sys_fchmodat(int dirfd, uaddr_t name, u32 mode)
{
	return change_name(dirfd, name, 0, 0, change_mode, &mode);
}

s64 sys_chmod(uaddr_t name, u32 mode)
{
	return change_name(AT_FDCWD, name, 0, 0, change_mode, &mode);
}

s64 sys_fchmod(int fd, u32 mode)
{
	return change_fd(fd, change_mode, &mode);
}

/* --- chown --- */

struct ids {
	u32 uid, gid; /* global; UINT32_MAX: as it is */
};

static int ids_given(struct ids *n, u32 uid, u32 gid)
{
	n->uid = uid == UINT32_MAX ? uid : uid_given(uid);
	n->gid = gid == UINT32_MAX ? gid : gid_given(gid);
	return (n->uid == ID_NONE && uid != n->uid) || (n->gid == ID_NONE && gid != n->gid)
		       ? -EINVAL
		       : 0;
}

static int change_owner(const struct usermap *map, struct inode *i, void *arg)
{
	struct ids *n = arg;
	struct iattr a = { .uid = uid_from_global(map, n->uid),
			   .gid = gid_from_global(map, n->gid) };
	const struct cred *c = current->cred;
	bool root = inode_may(map, i, CAP_CHOWN), owner = c->fsuid == inode_uid(map, i);

	if (n->uid != UINT32_MAX) {
		if (!root && (!owner || n->uid != c->fsuid))
			return -EPERM;
		if (a.uid == ID_NONE)
			return -EOVERFLOW; /* the files have no name for him */
		a.valid |= ATTR_UID;
	}
	if (n->gid != UINT32_MAX) {
		if (!root && (!owner || (n->gid != inode_gid(map, i) && !cred_in_group(c, n->gid))))
			return -EPERM;
		if (a.gid == ID_NONE)
			return -EOVERFLOW;
		a.valid |= ATTR_GID;
	}
	/* Set-id bits do not outlive a change of owner; on directories they do (man 2 chown). */
	if (!S_ISDIR(i->mode) && (i->mode & (S_ISUID | S_ISGID))) {
		a.valid |= ATTR_MODE;
		a.mode = i->mode & ~S_ISUID;
		if (i->mode & 0010)
			a.mode &= ~S_ISGID;
	}
	return inode_setattr(i, &a);
}

s64 sys_fchownat(int dirfd, uaddr_t name, u32 uid, u32 gid, int flags)
{
	struct ids n;

	if (ids_given(&n, uid, gid))
		return -EINVAL;
	return change_name(dirfd, name, flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, change_owner,
			   &n);
}

s64 sys_chown(uaddr_t name, u32 uid, u32 gid)
{
	return sys_fchownat(AT_FDCWD, name, uid, gid, 0);
}

s64 sys_lchown(uaddr_t name, u32 uid, u32 gid)
{
	return sys_fchownat(AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

s64 sys_fchown(int fd, u32 uid, u32 gid)
{
	struct ids n;

	if (ids_given(&n, uid, gid))
		return -EINVAL;
	return change_fd(fd, change_owner, &n);
}

/* --- times --- */

struct times {
	bool now;		    /* both to now: who may write may do it */
	struct timespec64 value[2]; /* nsec may be UTIME_NOW or UTIME_OMIT */
};

static int change_times(const struct usermap *map, struct inode *i, void *arg)
{
	struct times *t = arg;
	struct iattr a = { .valid = ATTR_CTIME, .ctime = fs_now() };

	if (t->now || (t->value[0].nsec == UTIME_NOW && t->value[1].nsec == UTIME_NOW)) {
		if (!inode_owner_or_capable(map, i) && inode_permission(map, i, MAY_WRITE))
			return -EACCES;
		a.valid |= ATTR_ATIME | ATTR_MTIME;
		a.atime = a.mtime = a.ctime;
		return inode_setattr(i, &a);
	}
	if (t->value[0].nsec == UTIME_OMIT && t->value[1].nsec == UTIME_OMIT)
		return 0;
	if (!inode_owner_or_capable(map, i))
		return -EPERM;
	if (t->value[0].nsec != UTIME_OMIT) {
		a.valid |= ATTR_ATIME;
		a.atime = t->value[0].nsec == UTIME_NOW ? a.ctime : t->value[0];
	}
	if (t->value[1].nsec != UTIME_OMIT) {
		a.valid |= ATTR_MTIME;
		a.mtime = t->value[1].nsec == UTIME_NOW ? a.ctime : t->value[1];
	}
	return inode_setattr(i, &a);
}

static bool utime_nsec_ok(s64 ns)
{
	return ns == UTIME_NOW || ns == UTIME_OMIT || (ns >= 0 && ns < NSEC_PER_SEC);
}

/* name 0 (NULL): the descriptor itself, as futimens(3) asks for. */
static int utimes_apply(int dirfd, uaddr_t name, struct times *t, int flags)
{
	if (name || dirfd == AT_FDCWD)
		return change_name(dirfd, name, flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH,
				   change_times, t);
	return flags ? -EINVAL : change_fd(dirfd, change_times, t);
}

s64 sys_utimensat(int dirfd, uaddr_t name, uaddr_t times, int flags)
{
	struct times t = { .now = !times };

	if (times && get_user(&t.value, times))
		return -EFAULT;
	if (times && (!utime_nsec_ok(t.value[0].nsec) || !utime_nsec_ok(t.value[1].nsec)))
		return -EINVAL;
	if (times && t.value[0].nsec == UTIME_OMIT && t.value[1].nsec == UTIME_OMIT)
		return 0;
	return utimes_apply(dirfd, name, &t, flags);
}

s64 sys_futimesat(int dirfd, uaddr_t name, uaddr_t times)
{
	struct times t = { .now = !times };
	s64 tv[4];

	if (times && get_user(&tv, times))
		return -EFAULT;
	for (unsigned k = 0; times && k < 2; k++) {
		if (tv[2 * k + 1] < 0 || tv[2 * k + 1] >= 1000000)
			return -EINVAL;
		t.value[k] = (struct timespec64){ tv[2 * k], tv[2 * k + 1] * 1000 };
	}
	return utimes_apply(dirfd, name, &t, 0);
}

s64 sys_utimes(uaddr_t name, uaddr_t times)
{
	return sys_futimesat(AT_FDCWD, name, times);
}

s64 sys_utime(uaddr_t name, uaddr_t times)
{
	struct times t = { .now = !times };
	s64 seconds[2];

	if (times && get_user(&seconds, times))
		return -EFAULT;
	for (unsigned k = 0; times && k < 2; k++)
		t.value[k] = (struct timespec64){ seconds[k], 0 };
	return utimes_apply(AT_FDCWD, name, &t, 0);
}

/* --- sizes --- */

int inode_truncate(struct inode *i, u64 size)
{
	struct iattr a = { .valid = ATTR_SIZE | ATTR_MTIME, .size = size, .mtime = fs_now() };
	u64 room = UINT64_MAX;
	int err = 0;

	mutex_lock(&i->lock);
	/* The file may be as long as the limit, but no longer. */
	if (size > i->size && size)
		err = file_size_limit(i, size - 1, &room);
	if (!err) {
		inode_remove_suid(i);
		err = inode_setattr(i, &a);
	}
	mutex_unlock(&i->lock);
	return err;
}

s64 sys_truncate(uaddr_t name, s64 size)
{
	struct inode *i;
	struct path p;
	int err;

	if (size < 0)
		return -EINVAL;
	err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	i = p.dentry->inode;
	if (!S_ISREG(i->mode))
		err = S_ISDIR(i->mode) ? -EISDIR : -EINVAL;
	err = err ? err : inode_permission(p.mount->usermap, i, MAY_WRITE);
	err = err ? err : mount_want_write(p.mount);
	err = err ? err : inode_get_write(i);
	if (!err) {
		err = inode_truncate(i, size);
		inode_put_write(i);
	}
	path_put(p);
	return err;
}

s64 sys_ftruncate(int fd, s64 size)
{
	struct fd_ref r;
	int err;

	if (size < 0)
		return -EINVAL;
	err = fd_begin(fd, &r);
	if (err)
		return err;
	if (!S_ISREG(r.file->inode->mode) || !(r.file->mode & FILE_WRITE))
		err = -EINVAL;
	else
		err = inode_truncate(r.file->inode, size);
	fd_end(r);
	return err;
}

static int fallocate_file(struct file *f, int mode, s64 off, s64 len)
{
	u32 type = f->inode->mode;

	/* KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE; the second only with the first, not with the third */
	if ((mode & ~0x13) || (mode & 0x12) == 0x12 || (mode & 3) == 2)
		return -EOPNOTSUPP;
	if (!(f->mode & FILE_WRITE))
		return -EBADF;
	if (S_ISFIFO(type))
		return -ESPIPE;
	if (S_ISDIR(type))
		return -EISDIR;
	if (!S_ISREG(type) && !S_ISBLK(type))
		return -ENODEV;
	if (off > INT64_MAX - len)
		return -EFBIG;
	return f->ops->fallocate ? f->ops->fallocate(f, mode, off, len) : -EOPNOTSUPP;
}

s64 sys_fallocate(int fd, int mode, s64 off, s64 len)
{
	struct fd_ref r;
	int err = fd_begin(fd, &r);

	if (err)
		return err;
	err = off < 0 || len <= 0 ? -EINVAL : fallocate_file(r.file, mode, off, len);
	fd_end(r);
	return err;
}
