/* SPDX-License-Identifier: MIT */
/*
 * sync.c - sync(2), syncfs(2), fsync(2), fdatasync(2), and the hints of
 * fadvise64(2) and readahead(2). A file without an fsync op has nothing to
 * write, or (a pipe, a socket) nothing that could be: -EINVAL.
 */
#include "fs/internal.h"
#include "syscalls.h"

static s64 sync_fd(int fd, bool data_only)
{
	struct fd_ref r;
	s64 ret = fd_begin(fd, &r);
	u32 mode;

	if (ret)
		return ret;
	mode = r.file->inode->mode;
	if (r.file->ops->fsync)
		ret = r.file->ops->fsync(r.file, 0, UINT64_MAX, data_only);
	else if (!S_ISREG(mode) && !S_ISDIR(mode) && !S_ISBLK(mode))
		ret = -EINVAL;
	fd_end(r);
	return ret;
}

s64 sys_fsync(int fd)
{
	return sync_fd(fd, false);
}

s64 sys_fdatasync(int fd)
{
	return sync_fd(fd, true);
}

/* Every superblock that current's container has mounted. */
s64 sys_sync(void)
{
	struct mount_table *t = current->fs->mounts;
	struct mount *m;

	mutex_lock(&t->lock);
	list_for_each (m, &t->mounts, table_node)
		if (m->sb->ops->sync)
			m->sb->ops->sync(m->sb, true);
	mutex_unlock(&t->lock);
	return 0;
}

s64 sys_syncfs(int fd)
{
	struct fd_ref r;
	s64 ret = fd_begin(fd, &r);

	if (ret)
		return ret;
	if (r.file->path.mount->sb->ops->sync)
		ret = r.file->path.mount->sb->ops->sync(r.file->path.mount->sb, true);
	fd_end(r);
	return ret;
}

#define SYNC_FILE_RANGE_ALL 7

s64 sys_sync_file_range(int fd, s64 off, s64 n, u32 flags)
{
	struct fd_ref r;
	s64 ret, end;
	u32 mode;

	if ((flags & ~SYNC_FILE_RANGE_ALL) || off < 0 || n < 0 ||
	    __builtin_add_overflow(off, n, &end))
		return -EINVAL;
	ret = fd_begin(fd, &r);
	if (ret)
		return ret;
	mode = r.file->inode->mode;
	if (!S_ISREG(mode) && !S_ISDIR(mode) && !S_ISBLK(mode) && !S_ISLNK(mode))
		ret = -ESPIPE;
	else if (r.file->ops->fsync && flags)
		ret = r.file->ops->fsync(r.file, off, n ? (u64)end : UINT64_MAX, true);
	fd_end(r);
	return ret;
}

#define POSIX_FADV_LAST 5

s64 sys_fadvise64(int fd, s64 off, u64 len, int advice)
{
	struct fd_ref r;
	s64 ret = fd_begin(fd, &r);

	if (ret)
		return ret;
	if (S_ISFIFO(r.file->inode->mode))
		ret = -ESPIPE;
	else if ((s64)len < 0 || advice < 0 || advice > POSIX_FADV_LAST)
		ret = -EINVAL;
	fd_end(r);
	return ret;
}

s64 sys_readahead(int fd, s64 off, size_t n)
{
	struct fd_ref r;
	s64 ret = fd_begin(fd, &r);

	if (ret)
		return ret;
	if (!(r.file->mode & FILE_READ))
		ret = -EBADF;
	else if (!S_ISREG(r.file->inode->mode) && !S_ISBLK(r.file->inode->mode))
		ret = -EINVAL;
	fd_end(r);
	return ret;
}
