/* SPDX-License-Identifier: MIT */
/*
 * read_write.c - read(2), write(2) and their relatives, lseek, sendfile,
 * copy_file_range.
 *
 * The offset of an open file description is used under its pos_lock, which is
 * taken only if somebody else may have the file: a count above one, or a table
 * of descriptors that is shared.
 */
#include "arch/x86/mmu.h"
#include "fs/internal.h"
#include "syscalls.h"

#define SEEK_SET  0
#define SEEK_CUR  1
#define SEEK_END  2
#define SEEK_DATA 3
#define SEEK_HOLE 4

#define BOUNCE_SIZE 16384

static inline s64 read_check(const struct file *f)
{
	if (unlikely(!(f->mode & FILE_READ)))
		return -EBADF;
	if (unlikely(!f->ops->read))
		return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
	return 0;
}

static inline s64 write_check(const struct file *f)
{
	if (unlikely(!(f->mode & FILE_WRITE)))
		return -EBADF;
	return likely(f->ops->write) ? 0 : -EINVAL;
}

/* What would end beyond the largest offset is refused whole, as by Linux. */
static inline s64 range_check(const struct file *f, const struct uio *u, u64 pos)
{
	return likely((s64)(pos + u->left) >= 0 || f->ops->no_seek) ? 0 : -EINVAL;
}

/* After read_check and write_check. */
static inline s64 read_checked(struct file *f, struct uio *u, u64 *pos)
{
	s64 r = range_check(f, u, *pos);

	if (likely(!r))
		r = f->ops->read(f, u, pos);
	if (likely(r > 0))
		current->io_read += r;
	return r;
}

static inline s64 write_checked(struct file *f, struct uio *u, u64 *pos)
{
	s64 r = range_check(f, u, *pos);

	if (likely(!r))
		r = f->ops->write(f, u, pos);
	if (likely(r > 0))
		current->io_written += r;
	return r;
}

s64 file_read(struct file *f, struct uio *u, u64 *pos)
{
	s64 r = read_check(f);

	return r ? r : read_checked(f, u, pos);
}

s64 file_write(struct file *f, struct uio *u, u64 *pos)
{
	s64 r = write_check(f);

	return r ? r : write_checked(f, u, pos);
}

typedef s64 transfer_fn(struct file *f, struct uio *u, u64 *pos);

/* At the file's own offset. */
static __attribute__((always_inline)) inline s64 transfer_here(struct fd_ref r, struct uio *u,
							       transfer_fn *fn)
{
	struct file *f = r.file;
	s64 ret;

	if (f->ops->no_seek || likely(!r.counted && ref_read(&f->refs) == 1))
		return fn(f, u, &f->pos);
	mutex_lock(&f->pos_lock);
	ret = fn(f, u, &f->pos);
	mutex_unlock(&f->pos_lock);
	return ret;
}

static __attribute__((always_inline)) inline s64 transfer_at(struct fd_ref r, struct uio *u,
							     s64 pos, transfer_fn *fn)
{
	u64 at = pos;

	return r.file->ops->no_seek ? -ESPIPE : fn(r.file, u, &at);
}

/* The checks on a plain buffer, in Linux's order; *n is cut to what one call moves. */
static inline s64 buffer_check(uaddr_t buf, size_t *n)
{
	/* A stack here ends where user space does: only what no space could hold is refused at
	 * once. */
	if (unlikely(buf > USER_END || *n > USER_END) && !user_source_ok(buf, *n))
		return -EFAULT;
	*n = MIN(*n, (size_t)RW_COUNT_MAX);
	return 0;
}

s64 sys_read(int fd, uaddr_t buf, size_t n)
{
	struct fd_ref r;
	struct uio u;
	s64 ret = fd_begin(fd, &r);

	if (unlikely(ret))
		return ret;
	ret = read_check(r.file);
	if (likely(!ret))
		ret = buffer_check(buf, &n);
	if (likely(!ret)) {
		uio_init_user(&u, buf, n);
		ret = transfer_here(r, &u, read_checked);
	}
	fd_end(r);
	return ret;
}

s64 sys_write(int fd, uaddr_t buf, size_t n)
{
	struct fd_ref r;
	struct uio u;
	s64 ret = fd_begin(fd, &r);

	if (unlikely(ret))
		return ret;
	ret = write_check(r.file);
	if (likely(!ret))
		ret = buffer_check(buf, &n);
	if (likely(!ret)) {
		uio_init_user(&u, buf, n);
		ret = transfer_here(r, &u, write_checked);
	}
	fd_end(r);
	return ret;
}

s64 sys_pread64(int fd, uaddr_t buf, size_t n, s64 pos)
{
	struct fd_ref r;
	struct uio u;
	s64 ret;

	if (pos < 0)
		return -EINVAL;
	ret = fd_begin(fd, &r);
	if (unlikely(ret))
		return ret;
	ret = r.file->ops->no_seek ? -ESPIPE : read_check(r.file);
	if (likely(!ret))
		ret = buffer_check(buf, &n);
	if (likely(!ret)) {
		uio_init_user(&u, buf, n);
		ret = transfer_at(r, &u, pos, read_checked);
	}
	fd_end(r);
	return ret;
}

s64 sys_pwrite64(int fd, uaddr_t buf, size_t n, s64 pos)
{
	struct fd_ref r;
	struct uio u;
	s64 ret;

	if (pos < 0)
		return -EINVAL;
	ret = fd_begin(fd, &r);
	if (unlikely(ret))
		return ret;
	ret = r.file->ops->no_seek ? -ESPIPE : write_check(r.file);
	if (likely(!ret))
		ret = buffer_check(buf, &n);
	if (likely(!ret)) {
		uio_init_user(&u, buf, n);
		ret = transfer_at(r, &u, pos, write_checked);
	}
	fd_end(r);
	return ret;
}

/* --- vectors --- */

#define POS_NONE (-1) /* at the file's own offset */

#define RWF_HIPRI  1
#define RWF_DSYNC  2
#define RWF_SYNC   4
#define RWF_APPEND 16

/* RWF_HIPRI is a hint. RWF_NOWAIT would need each filesystem to promise not to sleep. */
static s64 rwf_check(int flags, bool write)
{
	int ok = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | (write ? RWF_APPEND : 0);

	return flags & ~ok ? -EOPNOTSUPP : 0;
}

static s64 file_sync_written(struct file *f, int flags)
{
	if (!(flags & (RWF_DSYNC | RWF_SYNC)) || !f->ops->fsync)
		return 0;
	return f->ops->fsync(f, 0, UINT64_MAX, !(flags & RWF_SYNC));
}

static s64 transfer_vector(int fd, uaddr_t iov, u64 count, s64 pos, int flags, bool write)
{
	transfer_fn *fn = write ? file_write : file_read;
	struct uio_array a;
	struct fd_ref r;
	struct uio u;
	s64 ret;

	if (pos < POS_NONE)
		return -EINVAL;
	ret = fd_begin(fd, &r);
	if (ret)
		return ret;
	if (pos != POS_NONE && r.file->ops->no_seek)
		ret = -ESPIPE;
	else
		ret = write ? write_check(r.file) : read_check(r.file);
	if (ret == -EISDIR)
		ret = 0; /* which only a read of something finds out */
	if (!ret)
		ret = uio_init_iovec(&u, &a, iov, (u32)count); /* 32 bits count, as on Linux */
	if (!ret) {
		if (u.left)
			ret = rwf_check(flags, write);
		if (!ret && u.left) {
			u.append = flags & RWF_APPEND;
			ret = pos == POS_NONE ? transfer_here(r, &u, fn)
					      : transfer_at(r, &u, pos, fn);
			if (ret > 0 && write && file_sync_written(r.file, flags))
				ret = -EIO;
		}
		uio_done(&a);
	}
	fd_end(r);
	return ret;
}

s64 sys_readv(int fd, uaddr_t iov, u64 count)
{
	return transfer_vector(fd, iov, count, POS_NONE, 0, false);
}

s64 sys_writev(int fd, uaddr_t iov, u64 count)
{
	return transfer_vector(fd, iov, count, POS_NONE, 0, true);
}

/* The position comes in one register on x86-64; the second is ignored (man 2 preadv). */
s64 sys_preadv(int fd, uaddr_t iov, u64 count, u64 pos, u64 pos_high)
{
	return (s64)pos < 0 ? -EINVAL : transfer_vector(fd, iov, count, pos, 0, false);
}

s64 sys_pwritev(int fd, uaddr_t iov, u64 count, u64 pos, u64 pos_high)
{
	return (s64)pos < 0 ? -EINVAL : transfer_vector(fd, iov, count, pos, 0, true);
}

s64 sys_preadv2(int fd, uaddr_t iov, u64 count, u64 pos, u64 pos_high, int flags)
{
	return transfer_vector(fd, iov, count, pos, flags, false);
}

s64 sys_pwritev2(int fd, uaddr_t iov, u64 count, u64 pos, u64 pos_high, int flags)
{
	return transfer_vector(fd, iov, count, pos, flags, true);
}

/* --- lseek --- */

/* Where data or a hole begins at or after off; the end of the file counts as a hole. */
static s64 seek_data_hole(struct file *f, s64 off, bool data)
{
	struct inode *i = f->inode;
	u64 size = READ_ONCE(i->size), index = (u64)off >> PAGE_SHIFT;
	u64 end = DIV_ROUND_UP(size, PAGE_SIZE), at;
	int err;

	if (off < 0 || (u64)off >= size)
		return -ENXIO;
	if (f->ops->seek_data) {
		at = off;
		err = f->ops->seek_data(i, &at, data);
		return err ? err : (s64)at;
	}
	if (!i->mapping || (i->mapping->ops && i->mapping->ops->read_page))
		return data ? off : (s64)size; /* all of it is data, as far as anyone knows */
	if (!mapping_seek(i->mapping, &index, end, data))
		return data ? -ENXIO : (s64)size;
	at = MAX(index << PAGE_SHIFT, (u64)off);
	return MIN(at, size);
}

static s64 seek_target(struct file *f, s64 off, u32 whence)
{
	struct inode *i = f->inode;
	s64 base = 0;

	switch (whence) {
	case SEEK_SET:
		return off < 0 ? -EINVAL : off;
	case SEEK_CUR:
		base = f->pos;
		break;
	case SEEK_END:
		if (S_ISDIR(i->mode))
			return -EINVAL;
		base = READ_ONCE(i->size);
		break;
	default:
		return S_ISREG(i->mode) ? seek_data_hole(f, off, whence == SEEK_DATA) : -EINVAL;
	}
	if (__builtin_add_overflow(base, off, &base))
		return -EOVERFLOW;
	return base < 0 ? -EINVAL : base;
}

static s64 file_seek(struct file *f, s64 off, u32 whence)
{
	s64 at;

	if (f->ops->seek)
		return f->ops->seek(f, off, whence);
	at = seek_target(f, off, whence);
	if (at >= 0)
		f->pos = at;
	return at;
}

s64 sys_lseek(int fd, s64 off, u32 whence)
{
	struct fd_ref r;
	s64 ret = fd_begin(fd, &r);

	if (unlikely(ret))
		return ret;
	if (whence > SEEK_HOLE) {
		ret = -EINVAL;
	} else if (r.file->ops->no_seek) {
		ret = -ESPIPE;
	} else if (likely(!r.counted && ref_read(&r.file->refs) == 1)) {
		ret = file_seek(r.file, off, whence);
	} else {
		mutex_lock(&r.file->pos_lock);
		ret = file_seek(r.file, off, whence);
		mutex_unlock(&r.file->pos_lock);
	}
	fd_end(r);
	return ret;
}

/* --- from file to file --- */

struct copy {
	struct file *in, *out;
	u64 *in_pos, *out_pos;
	void *buf;
};

/* One bounce: how much arrived. Less than was asked for: an end, or out takes no more. */
static s64 copy_step(struct copy *c, u64 n)
{
	u64 at = *c->in_pos;
	struct uio u;
	s64 got, put;

	uio_init_kernel(&u, c->buf, MIN(n, (u64)BOUNCE_SIZE));
	got = file_read(c->in, &u, &at);
	if (got <= 0)
		return got;
	uio_init_kernel(&u, c->buf, got);
	put = file_write(c->out, &u, c->out_pos);
	if (put > 0)
		*c->in_pos += put;
	return put;
}

static s64 copy_run(struct copy *c, u64 n)
{
	s64 done = 0, r;

	c->buf = kmalloc(BOUNCE_SIZE, KM_ACCOUNT);
	if (!c->buf)
		return -ENOMEM;
	while (n) {
		u64 want = MIN(n, (u64)BOUNCE_SIZE);

		r = copy_step(c, n);
		if (r < 0 && !done)
			done = r;
		if (r <= 0)
			break;
		done += r;
		n -= r;
		if ((u64)r < want || signal_pending())
			break;
		resched_point();
	}
	kfree(c->buf);
	return done;
}

/* An offset that the user gave, or the file's own, under its lock. */
static int copy_pos_begin(struct file *f, uaddr_t user, u64 *value, u64 **pos)
{
	*pos = value;
	if (user) {
		if (get_user(value, user))
			return -EFAULT;
		return (s64)*value < 0 ? -EINVAL : 0;
	}
	if (!f->ops->no_seek)
		*value = f->pos;
	return 0;
}

static int copy_pos_end(struct file *f, uaddr_t user, const u64 *value)
{
	if (user)
		return put_user(user, value);
	if (!f->ops->no_seek)
		f->pos = *value;
	return 0;
}

static int sendfile_check(struct file *in, struct file *out, uaddr_t offset)
{
	if (!(in->mode & FILE_READ) || !(out->mode & FILE_WRITE))
		return -EBADF;
	if (offset && in->ops->no_seek)
		return -ESPIPE;
	if (!S_ISREG(in->inode->mode) && !S_ISBLK(in->inode->mode))
		return -EINVAL;
	if (!in->ops->read || !out->ops->write || (out->flags & O_APPEND))
		return -EINVAL;
	return 0;
}

static s64 sendfile_files(struct file *out, struct file *in, uaddr_t offset, size_t n)
{
	struct copy c = { .in = in, .out = out };
	u64 in_value, out_value;
	s64 ret = sendfile_check(in, out, offset);
	int err;

	if (!ret)
		ret = copy_pos_begin(in, offset, &in_value, &c.in_pos);
	if (!ret)
		ret = copy_pos_begin(out, 0, &out_value, &c.out_pos);
	if (ret)
		return ret;
	ret = copy_run(&c, MIN(n, (size_t)RW_COUNT_MAX));
	if (ret < 0)
		return ret;
	copy_pos_end(out, 0, &out_value);
	err = copy_pos_end(in, offset, &in_value);
	return err ? err : ret;
}

s64 sys_sendfile(int out_fd, int in_fd, uaddr_t offset, size_t n)
{
	struct fd_ref in, out;
	s64 ret = fd_begin(in_fd, &in);

	if (ret)
		return ret;
	ret = fd_begin(out_fd, &out);
	if (!ret) {
		ret = (s64)n < 0 ? -EINVAL : sendfile_files(out.file, in.file, offset, n);
		fd_end(out);
	}
	fd_end(in);
	return ret;
}

static int copy_range_check(struct file *in, struct file *out)
{
	if (S_ISDIR(in->inode->mode) || S_ISDIR(out->inode->mode))
		return -EISDIR;
	if (!S_ISREG(in->inode->mode) || !S_ISREG(out->inode->mode))
		return -EINVAL;
	if (!(in->mode & FILE_READ) || !(out->mode & FILE_WRITE) || (out->flags & O_APPEND))
		return -EBADF;
	return in->ops->read && out->ops->write ? 0 : -EINVAL;
}

/* Shares what can be shared, and copies what is left. */
static s64 copy_range_run(struct copy *c, u64 n)
{
	const struct file_ops *ops = c->in->ops;
	s64 shared = 0, copied;

	if (n && ops->share && ops == c->out->ops)
		shared = ops->share(c->in, *c->in_pos, c->out, *c->out_pos, n);
	shared = MAX(shared, 0l);
	*c->in_pos += shared;
	*c->out_pos += shared;
	copied = (u64)shared < n ? copy_run(c, n - shared) : 0;
	return shared && copied < 0 ? shared : shared + copied;
}

static s64 copy_range_files(struct file *in, uaddr_t in_off, struct file *out, uaddr_t out_off,
			    size_t n)
{
	struct copy c = { .in = in, .out = out };
	u64 in_value, out_value, size;
	s64 ret = copy_range_check(in, out);
	int err;

	if (!ret)
		ret = copy_pos_begin(in, in_off, &in_value, &c.in_pos);
	if (!ret)
		ret = copy_pos_begin(out, out_off, &out_value, &c.out_pos);
	if (ret)
		return ret;
	n = MIN(n, (size_t)RW_COUNT_MAX);
	size = READ_ONCE(in->inode->size);
	n = in_value >= size ? 0 : MIN(n, size - in_value);
	if (in->inode == out->inode && in_value < out_value + n && out_value < in_value + n)
		return -EINVAL;
	ret = copy_range_run(&c, n);
	if (ret < 0)
		return ret;
	err = copy_pos_end(in, in_off, &in_value);
	err = err ? err : copy_pos_end(out, out_off, &out_value);
	return err ? err : ret;
}

s64 sys_copy_file_range(int in_fd, uaddr_t in_off, int out_fd, uaddr_t out_off, size_t n, u32 flags)
{
	struct fd_ref in, out;
	s64 ret;

	if (flags)
		return -EINVAL;
	ret = fd_begin(in_fd, &in);
	if (ret)
		return ret;
	ret = fd_begin(out_fd, &out);
	if (!ret) {
		ret = copy_range_files(in.file, in_off, out.file, out_off, n);
		fd_end(out);
	}
	fd_end(in);
	return ret;
}
