/* SPDX-License-Identifier: MIT */
/*
 * fcntl.c - fcntl(2) and ioctl(2): what concerns descriptors and flags is done
 * here, locks in locks.c, everything else by the file.
 */
#include "fs/internal.h"
#include "fs/locks.h"
#include "fs/pipe.h"
#include "syscalls.h"

#define F_DUPFD		0
#define F_GETFD		1
#define F_SETFD		2
#define F_GETFL		3
#define F_SETFL		4
#define F_SETOWN	8
#define F_GETOWN	9
#define F_SETSIG	10
#define F_GETSIG	11
#define F_SETOWN_EX	15
#define F_GETOWN_EX	16
#define F_SETLEASE	1024
#define F_GETLEASE	1025
#define F_NOTIFY	1026
#define F_DUPFD_CLOEXEC 1030
#define F_SETPIPE_SZ	1031
#define F_GETPIPE_SZ	1032
#define F_ADD_SEALS	1033
#define F_GET_SEALS	1034
#define FD_CLOEXEC	1
#define F_UNLCK		2

#define SETFL_MASK (O_APPEND | O_NONBLOCK | FASYNC | O_DIRECT | O_NOATIME)

static s64 fcntl_dup(struct file *f, u64 from, bool cloexec)
{
	u32 fd;
	int err;

	if (from >= rlimit_cur(RLIMIT_NOFILE))
		return -EINVAL;
	err = fd_reserve(from, cloexec, &fd);
	if (err)
		return err;
	fd_install(fd, file_get(f));
	return fd;
}

static void file_set_flags(struct file *f, u32 mask, u32 flags)
{
	spin_lock(&f->lock);
	f->flags = (f->flags & ~mask) | (flags & mask);
	spin_unlock(&f->lock);
}

/* Signals for readiness (O_ASYNC) are not offered: doc/abi.md. */
static s64 fcntl_setfl(struct file *f, u32 flags)
{
	if ((flags & FASYNC) && !(f->flags & FASYNC))
		return -EINVAL;
	if ((flags & O_NOATIME) && !(f->flags & O_NOATIME) &&
	    !inode_owner_or_capable(f->path.mount->usermap, f->inode))
		return -EPERM;
	if ((flags & O_DIRECT) && !(f->flags & O_DIRECT))
		return -EINVAL; /* doc/abi.md */
	file_set_flags(f, SETFL_MASK, flags);
	return 0;
}

/* What an O_PATH descriptor may be asked as well. */
static s64 fcntl_descriptor(u32 fd, struct file *f, u32 cmd, u64 arg, bool *done)
{
	*done = true;
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return fcntl_dup(f, arg, cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_cloexec(fd) ? FD_CLOEXEC : 0;
	case F_SETFD:
		fd_set_cloexec(fd, arg & FD_CLOEXEC);
		return 0;
	case F_GETFL:
		return f->flags;
	default:
		*done = false;
		return f->mode & FILE_PATH ? -EBADF : 0;
	}
}

static s64 fcntl_file(u32 fd, struct file *f, u32 cmd, u64 arg)
{
	switch (cmd) {
	case F_SETFL:
		return fcntl_setfl(f, arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return locks_fcntl(f, fd, cmd, arg);
	case F_GETOWN: /* nobody: it cannot be set */
	case F_GETSIG:
		return 0;
	case F_GETLEASE:
		return F_UNLCK;
	case F_SETPIPE_SZ:
		return S_ISFIFO(f->inode->mode) ? pipe_set_size(f, arg) : -EBADF;
	case F_GETPIPE_SZ:
		return S_ISFIFO(f->inode->mode) ? pipe_get_size(f) : -EBADF;
	default: /* F_SETOWN, F_SETSIG, F_SETLEASE, F_NOTIFY, seals: doc/abi.md */
		return -EINVAL;
	}
}

s64 sys_fcntl(int fd, u32 cmd, u64 arg)
{
	struct fd_ref r;
	bool done;
	s64 ret = fd_begin_path(fd, &r);

	if (ret)
		return ret;
	ret = fcntl_descriptor(fd, r.file, cmd, arg, &done);
	if (!done && !ret)
		ret = fcntl_file(fd, r.file, cmd, arg);
	fd_end(r);
	return ret;
}

/* --- ioctl(2) --- */

#define FIONREAD 0x541b
#define FIONBIO	 0x5421
#define FIONCLEX 0x5450
#define FIOCLEX	 0x5451
#define FIOASYNC 0x5452
#define FIOQSIZE 0x5460
#define FIGETBSZ 2

static s64 ioctl_flag(struct file *f, u32 flag, uaddr_t arg)
{
	s32 on;

	if (get_user(&on, arg))
		return -EFAULT;
	if (flag == FASYNC)
		return on ? -ENOTTY : 0;
	file_set_flags(f, flag, on ? flag : 0);
	return 0;
}

/* Of regular files; others answer for themselves. */
static s64 ioctl_regular(struct file *f, u32 cmd, uaddr_t arg)
{
	s64 size = READ_ONCE(f->inode->size);
	s32 left;

	if (cmd != FIONREAD)
		return -ENOTTY;
	left = size - (s64)f->pos;
	return put_user(arg, &left);
}

static s64 ioctl_file(u32 fd, struct file *f, u32 cmd, u64 arg)
{
	s64 size = READ_ONCE(f->inode->size);
	s32 block = PAGE_SIZE;
	u32 mode = f->inode->mode;

	switch (cmd) {
	case FIOCLEX:
	case FIONCLEX:
		fd_set_cloexec(fd, cmd == FIOCLEX);
		return 0;
	case FIONBIO:
		return ioctl_flag(f, O_NONBLOCK, arg);
	case FIOASYNC:
		return ioctl_flag(f, FASYNC, arg);
	case FIOQSIZE:
		if (S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode))
			return put_user(arg, &size);
		return -ENOTTY;
	case FIGETBSZ:
		if (S_ISREG(mode) || S_ISDIR(mode))
			return put_user(arg, &block);
		break;
	}
	if (f->ops->ioctl && !(S_ISREG(mode) && cmd == FIONREAD))
		return f->ops->ioctl(f, cmd, arg);
	return S_ISREG(mode) ? ioctl_regular(f, cmd, arg) : -ENOTTY;
}

s64 sys_ioctl(int fd, u32 cmd, u64 arg)
{
	struct fd_ref r;
	s64 ret = fd_begin(fd, &r);

	if (ret)
		return ret;
	ret = ioctl_file(fd, r.file, cmd, arg);
	fd_end(r);
	return ret;
}
