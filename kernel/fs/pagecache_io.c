/* SPDX-License-Identifier: MIT */
/*
 * pagecache_io.c - read, write and mmap of regular files whose data is in the
 * page cache.
 *
 * A filesystem uses pagecache_read, pagecache_write and pagecache_mmap as its
 * file_ops. Where it must reserve a block for a page it gives a get_page op.
 * Reading takes no lock: it counts a page, copies, and puts it. Writing holds
 * inode->lock, so that writes to one file do not mix.
 *
 * Where a file has no page and its mapping has no read_page, its data is zero (a
 * hole of tmpfs).
 */
#include "core/time.h"
#include "fs/internal.h"
#include "mm/aspace.h"

#define FILE_SIZE_MAX INT64_MAX
#define SIGXFSZ	      25 /* proc/signal.h, which lies above */
#define RESCHED_PAGES 16 /* pages copied between two looks at the scheduler */

/* --- access times --- */

/* Relatime (man 8 mount): only if not read since the last change, or not for a day. */
static bool atime_is_due(const struct inode *i)
{
	s64 now;

	if (i->atime.sec < i->mtime.sec || i->atime.sec < i->ctime.sec)
		return true;
	if (i->atime.sec == i->mtime.sec && i->atime.nsec <= i->mtime.nsec)
		return true;
	if (i->atime.sec == i->ctime.sec && i->atime.nsec <= i->ctime.nsec)
		return true;
	/* When this task began to run is exact enough, and needs no clock. */
	now = (current->time_mark + realtime_offset()) / NSEC_PER_SEC;
	return now - i->atime.sec >= 24 * 60 * 60;
}

void inode_accessed(const struct mount *m, struct inode *i)
{
	u32 flags = m->flags;

	if ((flags | m->sb->flags) & (MS_NOATIME | MS_RDONLY))
		return;
	if ((flags & MS_NODIRATIME) && S_ISDIR(i->mode))
		return;
	if (!(flags & MS_STRICTATIME) && !atime_is_due(i))
		return;
	i->atime = fs_now();
}

void file_accessed(struct file *f)
{
	if (!(f->flags & O_NOATIME))
		inode_accessed(f->path.mount, f->inode);
}

/* --- pages --- */

static int inode_reserve_page(struct inode *i)
{
	return i->sb->ops->reserve_page ? i->sb->ops->reserve_page(i) : 0;
}

static void inode_unreserve_page(struct inode *i)
{
	if (i->sb->ops->unreserve_page)
		i->sb->ops->unreserve_page(i);
}

static void inode_page_added(struct inode *i)
{
	if (i->sb->ops->reserve_page)
		__atomic_add_fetch(&i->blocks, PAGE_SIZE / 512, __ATOMIC_RELAXED);
}

int inode_page(struct inode *i, u64 index, struct page **out)
{
	int err;

	*out = mapping_find(i->mapping, index);
	if (*out)
		return 0;
	err = inode_reserve_page(i);
	if (err)
		return err;
	err = mapping_get(i->mapping, index, out);
	if (err)
		inode_unreserve_page(i);
	else
		inode_page_added(i);
	return err;
}

/* --- reading --- */

static s64 pagecache_read_page(struct inode *i, struct uio *u, u64 at, u64 n)
{
	struct mapping *m = i->mapping;
	struct page *p = mapping_find(m, at >> PAGE_SHIFT);
	s64 r;

	if (unlikely(!p)) {
		r = m->ops->read_page ? m->ops->read_page(m, at >> PAGE_SHIFT, &p) : 0;
		if (r)
			return r;
		if (!p)
			return uio_clear(u, n);
	}
	r = uio_copy_out(u, (char *)page_virt(p) + (at & PAGE_MASK), n);
	page_put(p);
	return r;
}

s64 pagecache_read(struct file *f, struct uio *u, u64 *pos)
{
	struct inode *i = f->inode;
	u64 at = *pos, n, size, pages = 0;
	s64 done = 0, r;

	while (u->left) {
		size = READ_ONCE(i->size);
		if (at >= size)
			break;
		n = MIN(u->left, size - at);
		n = MIN(n, PAGE_SIZE - (at & PAGE_MASK));
		r = pagecache_read_page(i, u, at, n);
		if (unlikely(r < 0)) {
			if (!done)
				done = r;
			break;
		}
		at += r;
		done += r;
		if ((u64)r < n)
			break;
		if (++pages % RESCHED_PAGES == 0 && u->left)
			resched_point();
	}
	*pos = at;
	if (done >= 0)
		file_accessed(f);
	return done;
}

/* --- writing --- */

/* Cuts *n to what limits allow at pos: -EFBIG (with SIGXFSZ for RLIMIT_FSIZE). */
s64 file_size_limit(struct inode *i, u64 pos, u64 *n)
{
	u64 limit = MIN(rlimit_cur(RLIMIT_FSIZE), (u64)FILE_SIZE_MAX);

	if (unlikely(pos >= limit)) {
		if (limit < FILE_SIZE_MAX)
			signal_send_self(SIGXFSZ);
		return -EFBIG;
	}
	*n = MIN(*n, limit - pos);
	return 0;
}

int inode_remove_suid(struct inode *i)
{
	u32 kill = 0;

	if (likely(!(i->mode & (S_ISUID | S_ISGID))))
		return 0;
	if (i->mode & S_ISUID)
		kill |= S_ISUID;
	if ((i->mode & S_ISGID) && (i->mode & 0010))
		kill |= S_ISGID;
	if (kill && !inode_may_unmapped(i, CAP_FSETID))
		i->mode &= ~kill;
	return 0;
}

static s64 page_write(struct inode *i, struct page *p, struct uio *u, u64 off, u64 n)
{
	s64 r = uio_copy_in(u, (char *)page_virt(p) + off, n);

	if (likely(r > 0))
		mapping_dirty(p);
	return r;
}

/*
 * A page of which nothing was there is filled before it is put in: whoever finds
 * it finds it whole, and it need not be cleared. If somebody put one there
 * meanwhile (a fault), what came from the user is copied into that.
 */
static s64 pagecache_write_new(struct inode *i, struct uio *u, u64 at, u64 n)
{
	struct mapping *m = i->mapping;
	struct page *p = page_alloc(0, 0, m->account ? m->account : current->account), *other;
	char *data = p ? page_virt(p) : NULL;
	const struct uio before = *u;
	s64 r;
	int err;

	if (!p)
		return -ENOMEM;
	r = uio_copy_in(u, data, n);
	if (r <= 0)
		goto put_page;
	memset(data + r, 0, PAGE_SIZE - r);
	page_become_cache(p);
	err = mapping_add(m, at >> PAGE_SHIFT, p);
	if (err == -EEXIST) {
		err = mapping_get(m, at >> PAGE_SHIFT, &other);
		if (!err) {
			memcpy(page_virt(other), data, r);
			mapping_dirty(other);
			page_put(other);
		}
		if (!err)
			inode_unreserve_page(i); /* on failure the caller does */
	} else if (!err) {
		mapping_dirty(p);
		inode_page_added(i);
	}
	if (err) {
		*u = before; /* what was taken is to be written again */
		r = err;
	}
put_page:
	page_put(p);
	return r;
}

static s64 pagecache_write_page(struct inode *i, struct uio *u, u64 at, u64 n)
{
	u64 off = at & PAGE_MASK, index = at >> PAGE_SHIFT;
	bool all = off == 0 && (n == PAGE_SIZE || at + n >= i->size);
	struct page *p = all ? mapping_find(i->mapping, index) : NULL;
	s64 r;

	if (all && !p) {
		r = inode_reserve_page(i);
		if (r)
			return r;
		r = pagecache_write_new(i, u, at, n);
		if (r <= 0)
			inode_unreserve_page(i);
	} else {
		if (p)
			page_put(p);
		r = inode_page(i, index, &p);
		if (unlikely(r))
			return r;
		r = page_write(i, p, u, off, n);
		page_put(p);
	}
	if (likely(r > 0) && at + r > i->size)
		WRITE_ONCE(i->size, at + r);
	return r;
}

static s64 pagecache_write_locked(struct inode *i, struct uio *u, u64 *pos)
{
	u64 at = *pos, n, want = u->left, pages = 0;
	s64 done = 0, r;

	r = file_size_limit(i, at, &want);
	if (r)
		return r;
	inode_remove_suid(i);
	i->mtime = i->ctime = fs_now();
	while (want) {
		n = MIN(PAGE_SIZE - (at & PAGE_MASK), want);
		r = pagecache_write_page(i, u, at, n);
		if (unlikely(r < 0)) {
			if (!done)
				done = r;
			break;
		}
		at += r;
		done += r;
		want -= r;
		if ((u64)r < n)
			break;
		if (++pages % RESCHED_PAGES == 0 && want)
			resched_point();
	}
	*pos = at;
	return done;
}

s64 pagecache_write(struct file *f, struct uio *u, u64 *pos)
{
	struct inode *i = f->inode;
	s64 done;

	if (!u->left)
		return 0;
	do {
		mutex_lock(&i->lock);
		if ((f->flags & O_APPEND) || u->append)
			*pos = i->size;
		done = pagecache_write_locked(i, u, pos);
		mutex_unlock(&i->lock);
	} while (unlikely(done == -ENOMEM) && !memory_reclaim(current->account, 1));
	return done;
}

/* --- mapping --- */

static void pagecache_vm_open(struct vma *v)
{
	file_get(v->file);
}

static void pagecache_vm_close(struct vma *v)
{
	file_put(v->file);
}

static int pagecache_vm_fault(struct vma *v, u64 pgoff, bool write, struct page **out)
{
	struct inode *i = v->file->inode;

	if (pgoff >= DIV_ROUND_UP(READ_ONCE(i->size), PAGE_SIZE))
		return -EFAULT;
	return inode_page(i, pgoff, out);
}

static int pagecache_vm_make_writable(struct vma *v, u64 pgoff, struct page **p)
{
	struct inode *i = v->file->inode;

	/* The times may be written by two at once: either is now. */
	inode_touch(i, ATTR_MTIME | ATTR_CTIME);
	mapping_dirty(*p);
	return 0;
}

const struct vm_ops pagecache_vm_ops = {
	.open = pagecache_vm_open,
	.close = pagecache_vm_close,
	.fault = pagecache_vm_fault,
	.make_writable = pagecache_vm_make_writable,
};

int pagecache_mmap(struct file *f, struct vma *v)
{
	v->ops = &pagecache_vm_ops;
	v->mapping = f->inode->mapping;
	file_accessed(f);
	return 0;
}
