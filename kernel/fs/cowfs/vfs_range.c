/* SPDX-License-Identifier: MIT */
/*
 * vfs_range.c - parts of cowfs's files: truncate, fallocate, sharing blocks
 * between files, SEEK_DATA and SEEK_HOLE.
 *
 * The order is that of mm/pagecache.h: a new size first, then the core, then the
 * pages of the range leave the mapping (also those that are cut in the middle,
 * since the core may have made another page for what is left of them). Whoever
 * wants one of them again finds it in the core.
 */
#include "fs/cowfs/vfs_internal.h"

#define FALLOC_KEEP_SIZE  0x01
#define FALLOC_PUNCH_HOLE 0x02
#define FALLOC_ZERO_RANGE 0x10

#define FICLONE	     0x40049409
#define FICLONERANGE 0x4020940d

struct file_clone_range { /* <linux/fs.h> */
	s64 src_fd;
	u64 src_offset, src_length, dest_offset;
};

/* The pages of bytes [from, to) are to be looked up anew. */
static void range_drop(struct inode *i, u64 from, u64 to)
{
	mapping_remove_range(i->mapping, from >> PAGE_SHIFT, (to - 1) >> PAGE_SHIFT);
}

/* --- sizes --- */

int cowfs_truncate(struct inode *i, u64 size)
{
	struct cow_time now = cowfs_now();
	u64 old = i->size;
	int err;

	if (size < old)
		WRITE_ONCE(i->size, size);
	err = cow_file_truncate(core_of(i), size, &now);
	if (size < old) {
		if (!err && (size & PAGE_MASK))
			range_drop(i, size, size + 1);
		mapping_cut(i->mapping, DIV_ROUND_UP(size, PAGE_SIZE));
	}
	cowfs_refresh(i);
	return err;
}

/* --- fallocate(2) --- */

static int fallocate_locked(struct inode *i, int mode, u64 off, u64 len)
{
	bool keep = mode & FALLOC_KEEP_SIZE, zero = mode & FALLOC_ZERO_RANGE;
	struct cow_time now = cowfs_now();
	u64 room = UINT64_MAX;
	int err = 0;

	if (!(mode & FALLOC_PUNCH_HOLE) && off + len > i->size) /* KEEP_SIZE, too: as tmpfs */
		err = file_size_limit(i, off + len - 1, &room);
	if (err)
		return err;
	inode_remove_suid(i);
	if (mode & FALLOC_PUNCH_HOLE)
		err = cow_file_punch(core_of(i), off, len, &now);
	else
		err = cow_file_allocate(core_of(i), off, len, keep, zero, &now);
	if (mode & (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE))
		range_drop(i, off, off + len);
	return err;
}

int cowfs_fallocate(struct file *f, int mode, u64 off, u64 len)
{
	struct iattr a = { .valid = 0 };
	struct inode *i = f->inode;
	u32 before;
	int err;

	if (mode & ~(FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE) ||
	    (mode & (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE)) ==
		    (FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE))
		return -EOPNOTSUPP;
	mutex_lock(&i->lock);
	before = i->mode;
	err = fallocate_locked(i, mode, off, len);
	if (!err && i->mode != before)
		err = cowfs_setattr(i, &a); /* the set-id bits are gone on disk, too */
	cowfs_refresh(i);
	mutex_unlock(&i->lock);
	return err;
}

/* --- sharing blocks --- */

static void lock_two(struct inode *a, struct inode *b)
{
	if (b < a) {
		struct inode *t = a;

		a = b;
		b = t;
	}
	mutex_lock(&a->lock);
	if (a != b)
		mutex_lock_nested(&b->lock);
}

static void unlock_two(struct inode *a, struct inode *b)
{
	mutex_unlock(&a->lock);
	if (a != b)
		mutex_unlock(&b->lock);
}

/* Both locked; n > 0 and within src. */
static int share_locked(struct inode *src, u64 from, struct inode *dst, u64 to, u64 n)
{
	struct cow_time now = cowfs_now();
	u64 room = n;
	int err = 0;

	if (to + n > dst->size)
		err = file_size_limit(dst, to + n - 1, &room);
	if (err)
		return err;
	err = cow_file_clone_range(core_of(src), from, core_of(dst), to, n, &now);
	range_drop(dst, to, to + n);
	cowfs_refresh(dst);
	return err;
}

static int share_check(const struct file *src, const struct file *dst)
{
	if (S_ISDIR(src->inode->mode) || S_ISDIR(dst->inode->mode))
		return -EISDIR;
	if (!S_ISREG(src->inode->mode) || !S_ISREG(dst->inode->mode))
		return -EINVAL;
	if (!(src->mode & FILE_READ) || !(dst->mode & FILE_WRITE) || (dst->flags & O_APPEND))
		return -EBADF;
	return src->inode->sb == dst->inode->sb ? 0 : -EXDEV;
}

/* length 0: to the end of src. */
static int file_clone(struct file *src, u64 from, u64 length, struct file *dst, u64 to)
{
	struct inode *s = src->inode, *d = dst->inode;
	int err = share_check(src, dst);

	if (err)
		return err;
	if ((s64)from < 0 || (s64)to < 0 || (s64)length < 0)
		return -EINVAL;
	lock_two(s, d);
	if (from > s->size || length > s->size - from)
		err = -EINVAL;
	else if (!length)
		length = s->size - from;
	if (!err && (s64)(to + length) < 0)
		err = -EINVAL;
	if (!err && length)
		err = share_locked(s, from, d, to, length);
	if (!err && length) {
		u32 before = d->mode;

		inode_remove_suid(d);
		if (d->mode != before)
			err = cowfs_setattr(d, &(struct iattr){ .valid = 0 });
	}
	unlock_two(s, d);
	return err;
}

s64 cowfs_share(struct file *in, u64 in_pos, struct file *out, u64 out_pos, u64 n)
{
	struct inode *s = in->inode, *d = out->inode;
	int err = share_check(in, out);
	bool to_end;

	if (!err && ((in_pos | out_pos) & PAGE_MASK))
		err = -EINVAL;
	if (err)
		return err;
	lock_two(s, d);
	n = in_pos < s->size ? MIN(n, s->size - in_pos) : 0;
	to_end = in_pos + n == s->size && out_pos + n >= d->size;
	if (!to_end)
		n = ALIGN_DOWN(n, PAGE_SIZE);
	err = n ? share_locked(s, in_pos, d, out_pos, n) : -EINVAL;
	unlock_two(s, d);
	return err ? err : (s64)n;
}

s64 cowfs_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct file_clone_range r = { .src_fd = (s32)arg };
	struct fd_ref src;
	int err;

	if (cmd != FICLONE && cmd != FICLONERANGE)
		return cowfs_volume_ioctl(f->inode->sb, cmd, arg);
	if (cmd == FICLONERANGE && copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	err = fd_begin(r.src_fd, &src);
	if (err)
		return err;
	if (src.file->path.mount->sb->type != &cowfs_type)
		err = -EXDEV;
	else
		err = file_clone(src.file, r.src_offset, r.src_length, f, r.dest_offset);
	fd_end(src);
	return err;
}

/* --- seek --- */

int cowfs_seek_data(struct inode *i, u64 *offset, bool data)
{
	return cow_file_seek(core_of(i), offset, data);
}
