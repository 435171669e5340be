/* SPDX-License-Identifier: MIT */
/*
 * stat.c - stat(2) and its relatives, statx, statfs, readlink, access.
 *
 * stat by name never leaves the RCU mode of the walk if the cache knows the
 * name: the inode is copied and then dentry->seq says whether it was still the
 * one that the name led to.
 */
#include "fs/internal.h"
#include "syscalls.h"

struct stat64 { /* struct stat of x86-64 (man 2 stat) */
	u64 st_dev, st_ino, st_nlink;
	u32 st_mode, st_uid, st_gid, pad;
	u64 st_rdev;
	s64 st_size, st_blksize, st_blocks;
	u64 st_atime, st_atime_nsec, st_mtime, st_mtime_nsec, st_ctime, st_ctime_nsec;
	s64 unused[3];
};
_Static_assert(sizeof(struct stat64) == 144, "struct stat is 144 bytes");

/* What every inode answers; a getattr op may know better. */
static void inode_fill_stat(const struct inode *i, struct kstat *st)
{
	st->dev = i->sb->dev;
	st->ino = i->ino;
	st->rdev = i->rdev;
	st->size = READ_ONCE(i->size);
	st->blocks = READ_ONCE(i->blocks);
	st->mode = i->mode;
	st->nlink = i->nlink;
	st->uid = i->uid;
	st->gid = i->gid;
	st->blksize = PAGE_SIZE;
	st->atime = i->atime;
	st->mtime = i->mtime;
	st->ctime = i->ctime;
	st->btime = i->btime;
	st->has_btime = true;
}

int inode_getattr(struct inode *i, struct kstat *st)
{
	inode_fill_stat(i, st);
	return i->ops && i->ops->getattr ? i->ops->getattr(i, st) : 0;
}

/* To whom the file belongs by the mount through which it is seen, as current calls him. */
static void stat_owner(const struct mount *m, struct kstat *st)
{
	const struct usermap *here = current->owner->usermap;

	if (likely(!m->usermap && !here))
		return;
	st->uid = uid_shown_by(here, uid_to_global(m->usermap, st->uid));
	st->gid = gid_shown_by(here, gid_to_global(m->usermap, st->gid));
}

/* The end of a walk, in either mode. */
static int walk_stat(struct walk *w, struct kstat *st)
{
	struct inode *i = w->inode;

	if (!w->rcu)
		return inode_getattr(i, st);
	if (unlikely(i->ops && i->ops->getattr))
		return -ECHILD;
	inode_fill_stat(i, st);
	return dentry_changed(w->path.dentry, w->seq) ? -ECHILD : 0;
}

static int stat_name(int dirfd, const char *name, u32 flags, struct kstat *st)
{
	struct walk w;
	int err;

	for (bool rcu = true;; rcu = false) {
		err = walk_begin(&w, dirfd, name, flags, rcu);
		if (likely(!err))
			err = walk_to_end(&w);
		if (likely(!err))
			err = walk_stat(&w, st);
		if (likely(!err))
			stat_owner(w.path.mount, st);
		walk_end(&w);
		if (likely(err != -ECHILD) || !rcu)
			return err;
	}
}

static int stat_fd(int fd, struct kstat *st)
{
	struct fd_ref r;
	int err = fd_begin_path(fd, &r);

	if (err)
		return err;
	err = inode_getattr(r.file->inode, st);
	if (!err)
		stat_owner(r.file->path.mount, st);
	fd_end(r);
	return err;
}

static int stat_user(int dirfd, uaddr_t name, int flags, struct kstat *st)
{
	u32 lookup = flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;
	struct name_buf b;
	int err;

	if (flags & AT_EMPTY_PATH)
		lookup |= LOOKUP_EMPTY;
	err = name_fetch(&b, name, flags & AT_EMPTY_PATH);
	if (unlikely(err))
		return err;
	if (!*b.text && dirfd >= 0)
		err = stat_fd(dirfd, st);
	else
		err = stat_name(dirfd, b.text, lookup, st);
	name_drop(&b);
	return err;
}

static int stat_to_user(const struct kstat *k, uaddr_t to)
{
	struct stat64 s;

	s.st_dev = k->dev;
	s.st_ino = k->ino;
	s.st_nlink = k->nlink;
	s.st_mode = k->mode;
	s.st_uid = k->uid;
	s.st_gid = k->gid;
	s.pad = 0;
	s.st_rdev = k->rdev;
	s.st_size = k->size;
	s.st_blksize = k->blksize;
	s.st_blocks = k->blocks;
	s.st_atime = k->atime.sec;
	s.st_atime_nsec = k->atime.nsec;
	s.st_mtime = k->mtime.sec;
	s.st_mtime_nsec = k->mtime.nsec;
	s.st_ctime = k->ctime.sec;
	s.st_ctime_nsec = k->ctime.nsec;
	s.unused[0] = s.unused[1] = s.unused[2] = 0;
	return put_user(to, &s);
}

s64 sys_newfstatat(int dirfd, uaddr_t name, uaddr_t to, int flags)
{
	struct kstat st;
	int err;

	if (unlikely(flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)))
		return -EINVAL;
	err = stat_user(dirfd, name, flags, &st);
	return err ? err : stat_to_user(&st, to);
}

s64 sys_stat(uaddr_t name, uaddr_t to)
{
	return sys_newfstatat(AT_FDCWD, name, to, 0);
}

s64 sys_lstat(uaddr_t name, uaddr_t to)
{
	return sys_newfstatat(AT_FDCWD, name, to, AT_SYMLINK_NOFOLLOW);
}

s64 sys_fstat(int fd, uaddr_t to)
{
	struct kstat st;
	int err = stat_fd(fd, &st);

	return err ? err : stat_to_user(&st, to);
}

/* --- statx --- */

#define AT_STATX_SYNC_TYPE 0x6000
#define STATX_BASIC	   0x7ff
#define STATX_BTIME	   0x800
#define STATX_MNT_ID	   0x1000
#define STATX__RESERVED	   0x80000000u

struct statx_timestamp {
	s64 sec;
	u32 nsec;
	s32 pad;
};
struct statx {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, pad1;
	u64 ino, size, blocks, attributes_mask;
	struct statx_timestamp atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor, dev_major, dev_minor;
	u64 mnt_id;
	u64 spare[13];
};
_Static_assert(sizeof(struct statx) == 256, "struct statx is 256 bytes");

static struct statx_timestamp statx_time(struct timespec64 t)
{
	return (struct statx_timestamp){ t.sec, t.nsec, 0 };
}

static int statx_to_user(const struct kstat *k, uaddr_t to)
{
	struct statx s = {
		.mask = STATX_BASIC | (k->has_btime ? STATX_BTIME : 0),
		.blksize = k->blksize,
		.nlink = k->nlink,
		.uid = k->uid,
		.gid = k->gid,
		.mode = k->mode,
		.ino = k->ino,
		.size = k->size,
		.blocks = k->blocks,
		.atime = statx_time(k->atime),
		.ctime = statx_time(k->ctime),
		.mtime = statx_time(k->mtime),
		.rdev_major = dev_major(k->rdev),
		.rdev_minor = dev_minor(k->rdev),
		.dev_major = dev_major(k->dev),
		.dev_minor = dev_minor(k->dev),
	};

	if (k->has_btime)
		s.btime = statx_time(k->btime);
	return put_user(to, &s);
}

s64 sys_statx(int dirfd, uaddr_t name, u32 flags, u32 mask, uaddr_t to)
{
	struct kstat st;
	int err;

	if (mask & STATX__RESERVED)
		return -EINVAL;
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	err = stat_user(dirfd, name, flags, &st);
	return err ? err : statx_to_user(&st, to);
}

/* --- statfs --- */

struct statfs64 { /* man 2 statfs, x86-64 */
	s64 type, bsize;
	u64 blocks, bfree, bavail, files, ffree;
	s32 fsid[2];
	s64 namelen, frsize, flags;
	s64 spare[4];
};

#define ST_VALID    0x20
#define ST_RELATIME 0x1000

/* statvfs's flags are mount's for the low bits; the rest move (man 3 statvfs). */
static u64 statfs_flags(const struct mount *m)
{
	u32 f = m->flags | (m->sb->flags & MS_RDONLY);
	u64 out = ST_VALID | (f & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC));

	if (f & MS_NOATIME)
		out |= 0x400;
	if (f & MS_NODIRATIME)
		out |= 0x800;
	if (f & MS_RELATIME)
		out |= ST_RELATIME;
	if (f & MS_NOSYMFOLLOW)
		out |= 0x2000;
	return out;
}

static int statfs_path(const struct path *p, uaddr_t to)
{
	struct superblock *sb = p->dentry->sb;
	struct kstatfs k = { .bsize = PAGE_SIZE, .frsize = PAGE_SIZE, .namelen = NAME_MAX };
	struct statfs64 s = { 0 };
	int err = sb->ops->statfs ? sb->ops->statfs(sb, &k) : 0;

	if (err)
		return err;
	s.type = k.type;
	s.bsize = k.bsize;
	s.blocks = k.blocks;
	s.bfree = k.bfree;
	s.bavail = k.bavail;
	s.files = k.files;
	s.ffree = k.ffree;
	s.fsid[0] = sb->dev;
	s.namelen = k.namelen;
	s.frsize = k.frsize;
	s.flags = statfs_flags(p->mount);
	return put_user(to, &s);
}

s64 sys_statfs(uaddr_t name, uaddr_t to)
{
	struct path p;
	int err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW, &p);

	if (err)
		return err;
	err = statfs_path(&p, to);
	path_put(p);
	return err;
}

s64 sys_fstatfs(int fd, uaddr_t to)
{
	struct fd_ref r;
	int err = fd_begin_path(fd, &r);

	if (err)
		return err;
	err = statfs_path(&r.file->path, to);
	fd_end(r);
	return err;
}

/* --- readlink --- */

static s64 readlink_path(const struct path *p, bool empty, uaddr_t buf, u32 size)
{
	struct inode *i = p->dentry->inode;
	char *text;
	s64 n;
	int err;

	if (!i->ops || !i->ops->readlink)
		return empty && !S_ISLNK(i->mode) ? -ENOENT : -EINVAL;
	text = kmalloc(PATH_MAX, KM_ACCOUNT);
	if (!text)
		return -ENOMEM;
	err = i->ops->readlink(i, text, PATH_MAX);
	if (err >= 0) {
		inode_accessed(p->mount, i);
		n = MIN(strlen(text), (size_t)size);
		err = copy_to_user(buf, text, n);
	}
	kfree(text);
	return err < 0 ? err : n;
}

s64 sys_readlinkat(int dirfd, uaddr_t name, uaddr_t buf, int size)
{
	struct name_buf b;
	struct path p;
	s64 ret;

	if (size <= 0)
		return -EINVAL;
	ret = name_fetch(&b, name, true);
	if (ret)
		return ret;
	ret = path_lookup(dirfd, b.text, LOOKUP_EMPTY, &p);
	if (!ret && !*b.text && dirfd == AT_FDCWD) {
		path_put(p);
		ret = -ENOENT;
	}
	if (!ret) {
		ret = readlink_path(&p, !*b.text, buf, size);
		path_put(p);
	}
	name_drop(&b);
	return ret;
}

s64 sys_readlink(uaddr_t name, uaddr_t buf, int size)
{
	return sys_readlinkat(AT_FDCWD, name, buf, size);
}

/* --- access --- */

/* access(2) asks for the real ids: under credentials made so for the time of the question. */
static int access_cred_begin(struct cred **saved)
{
	struct cred *c = current->cred, *real;
	bool root = owner_is_root(current->owner, c->uid);
	int err;

	*saved = NULL;
	if (c->uid == c->fsuid && c->gid == c->fsgid &&
	    (!root ? !c->cap_effective : c->cap_effective == c->cap_permitted))
		return 0;
	err = cred_copy(c, &real);
	if (err)
		return err;
	real->fsuid = c->uid;
	real->fsgid = c->gid;
	real->cap_effective = root ? c->cap_permitted : 0;
	*saved = c;
	rcu_assign(current->cred, real);
	return 0;
}

static void access_cred_end(struct cred *saved)
{
	struct cred *real = current->cred;

	if (!saved)
		return;
	rcu_assign(current->cred, saved);
	cred_put(real);
}

static int access_path(const struct path *p, u32 mode)
{
	struct inode *i = p->dentry->inode;
	int err;

	if (!mode)
		return 0;
	if ((mode & MAY_EXEC) && S_ISREG(i->mode) && (p->mount->flags & MS_NOEXEC))
		return -EACCES;
	err = inode_permission(p->mount->usermap, i, mode);
	if (!err && (mode & MAY_WRITE) && (S_ISREG(i->mode) || S_ISDIR(i->mode)))
		err = mount_want_write(p->mount);
	return err;
}

s64 sys_faccessat2(int dirfd, uaddr_t name, int mode, int flags)
{
	u32 lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
		     (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	struct cred *saved = NULL;
	struct path p;
	int err;

	if (mode & ~7)
		return -EINVAL;
	if (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!(flags & AT_EACCESS)) {
		err = access_cred_begin(&saved);
		if (err)
			return err;
	}
	err = path_lookup_user(dirfd, name, lookup, &p);
	if (!err) {
		err = access_path(&p, mode);
		path_put(p);
	}
	access_cred_end(saved);
	return err;
}

s64 sys_faccessat(int dirfd, uaddr_t name, int mode)
{
	return sys_faccessat2(dirfd, name, mode, 0);
}

s64 sys_access(uaddr_t name, int mode)
{
	return sys_faccessat2(AT_FDCWD, name, mode, 0);
}
