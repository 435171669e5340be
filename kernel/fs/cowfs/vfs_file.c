/* SPDX-License-Identifier: MIT */
/*
 * vfs_file.c - reading, writing and fsync of cowfs's files.
 *
 * Reading is the page cache's (fs/pagecache_io.c); what it misses comes from the
 * core, which is told what is likely to be read next.
 *
 * Writing copies the user's bytes into a fresh page with nothing but inode->lock
 * held. A page that makes a whole block becomes that block; of another the bytes
 * are copied into the block between cow_file_write_begin and _end, where the
 * core's locks are held and no page fault may be served. In between, too, the
 * block's page takes its place in the mapping.
 *
 * A block that the open commit has to itself already is written where it is, some
 * of them in one operation, with a copy that does not wait for a page fault; where
 * it meets one, the way above goes on.
 */
#include "fs/cowfs/vfs_internal.h"

#define AHEAD_MAX  64u /* COW_PREFETCH_MAX is the most that one call begins to read */
#define AHEAD_MIN  4u
#define STEP_PAGES 16 /* written before others may run */
#define SECTOR	   512

/* --- reading --- */

/*
 * While reads are in sequence, the next blocks, twice as many each time up to AHEAD_MAX, are asked
 * for as soon as half of those before are read: so they come while the reader is busy with these.
 * Two readers of one file may mix this up, which costs no more than a guess.
 */
static void read_ahead(struct cowfs_inode *c, u64 index)
{
	bool sequence = READ_ONCE(c->ahead_next) == index && index;
	u64 end = sequence ? READ_ONCE(c->ahead_end) : index;
	u32 n = sequence ? READ_ONCE(c->ahead) : 0;

	WRITE_ONCE(c->ahead_next, index + 1);
	if (end > index + n / 2)
		return;
	end = MAX(end, index);
	n = sequence || !index ? MIN(MAX(2 * n, AHEAD_MIN), AHEAD_MAX) : 0;
	if (page_is_short())
		n = MIN(n, AHEAD_MIN);
	WRITE_ONCE(c->ahead, n);
	WRITE_ONCE(c->ahead_end, end + n);
	if (n)
		cow_file_ahead(c->core, end, n);
}

/*
 * In a sequence, what has come of the blocks behind that before `index` goes into the mapping in
 * one go, so that the reader does not come here for each of them.
 */
static void map_ready(struct mapping *m, struct cowfs_inode *c, u64 index)
{
	u64 changes = mapping_changes(m), end = READ_ONCE(c->ahead_end);
	struct cow_buf *bufs[COW_READY_MAX];
	unsigned n = 0;

	if (READ_ONCE(c->ahead) && end > index)
		n = cow_file_find_ready(c->core, index, MIN(end - index, COW_READY_MAX), bufs);
	for (unsigned k = 0; k < n; k++) {
		(void)mapping_add_if(m, index + k, (struct page *)cow_buf_page(bufs[k]), changes);
		cow_buf_put(bufs[k]);
	}
	if (n)
		WRITE_ONCE(c->ahead_next, index + n);
}

static int cowfs_read_page(struct mapping *m, u64 index, struct page **out)
{
	struct inode *i = m->host;
	struct cowfs_inode *c = cowfs_of(i);
	struct cow_buf *b;
	u64 changes;
	int err;

	cowfs_make_room();
	read_ahead(c, index);
	for (;;) {
		changes = mapping_changes(m);
		err = cow_file_find(c->core, index, &b);
		*out = NULL;
		if (err || !b)
			return err;
		*out = page_get((struct page *)cow_buf_page(b));
		err = mapping_add_if(m, index, *out, changes);
		cow_buf_put(b);
		if (!err)
			map_ready(m, c, index + 1);
		if (!err || err == -ENOMEM) /* without memory for the tree it is good for once */
			return 0;
		page_put(*out);
		if (err == -EEXIST && (*out = mapping_find(m, index)))
			return 0;
	}
}

static u64 cowfs_mapping_size(struct mapping *m)
{
	return READ_ONCE(((struct inode *)m->host)->size);
}

const struct mapping_ops cowfs_mapping_ops = {
	.read_page = cowfs_read_page,
	.size = cowfs_mapping_size,
};

/* O_DIRECT: the cache is used all the same, but what no disk would take is refused. */
static s64 direct_check(const struct file *f, const struct uio *u, u64 pos)
{
	if (likely(!(f->flags & O_DIRECT)))
		return 0;
	return pos % SECTOR || u->left % SECTOR ? -EINVAL : 0;
}

static s64 cowfs_read(struct file *f, struct uio *u, u64 *pos)
{
	s64 done = direct_check(f, u, *pos);

	if (done)
		return done;
	do
		done = pagecache_read(f, u, pos);
	while (unlikely(done == -ENOMEM) && !memory_reclaim(current->account, 1));
	return done;
}

/* --- writing --- */

/* The bytes [at, at + n) of i's block are in page, at their place. Uses page up if it says 0. */
static int block_write(struct inode *i, struct page *page, u64 at, u64 n, bool whole)
{
	struct cow_inode *core = core_of(i);
	struct cow_time now = cow_time_of(i->mtime);
	u64 index = at >> PAGE_SHIFT, off = at & PAGE_MASK;
	struct cow_buf *b;
	int err = cow_file_write_begin(core, index, whole ? COW_WRITE_WHOLE : 0,
				       whole ? (struct cow_page *)page : NULL, &b);

	if (err)
		return err;
	if (!whole)
		memcpy((char *)cow_buf_data(b) + off, (char *)page_virt(page) + off, n);
	mapping_replace(i->mapping, index, (struct page *)cow_buf_page(b));
	cow_file_write_end(core, at + n, &now);
	cow_buf_put(b);
	if (!whole)
		page_put(page);
	return 0;
}

static s64 write_block(struct inode *i, struct uio *u, u64 at, u64 n)
{
	struct page *page = page_alloc(0, 0, current->account);
	const struct uio before = *u;
	u64 off = at & PAGE_MASK;
	char *data;
	bool whole;
	s64 r;
	int err;

	if (!page)
		return -ENOMEM;
	page_become_cache(page);
	data = page_virt(page);
	r = uio_copy_in(u, data + off, n);
	if (r <= 0) {
		page_put(page);
		return r;
	}
	whole = !off && (r == PAGE_SIZE || at + r >= i->size);
	if (whole)
		memset(data + r, 0, PAGE_SIZE - r);
	err = block_write(i, page, at, r, whole);
	if (err) {
		page_put(page);
		*u = before; /* what was taken is to be written again */
		return err;
	}
	if (at + r > i->size)
		WRITE_ONCE(i->size, at + r);
	i->blocks = core_of(i)->rec.blocks * (COW_BLOCK / 512);
	return r;
}

/* Copies into the open block b and the open ones behind it: how many bytes. */
static u64 copy_in_place(struct inode *i, struct uio *u, u64 at, u64 n, struct cow_buf *b)
{
	u64 done = 0;
	s64 r, len;

	do {
		u64 off = (at + done) & PAGE_MASK, index = (at + done) >> PAGE_SHIFT;

		len = MIN(PAGE_SIZE - off, n - done);
		r = uio_copy_in_now(u, (char *)cow_buf_data(b) + off, len);
		mapping_replace(i->mapping, index, (struct page *)cow_buf_page(b));
		cow_buf_put(b);
		done += MAX(r, 0l);
	} while (r == len && done < n &&
		 !cow_file_write_next(core_of(i), (at + done) >> PAGE_SHIFT, &b));
	return done;
}

/* What can be written without a new block and without a page fault: how many bytes, or 0. */
static u64 write_in_place(struct inode *i, struct uio *u, u64 at, u64 n)
{
	struct cow_time now = cow_time_of(i->mtime);
	struct page *page = mapping_find(i->mapping, at >> PAGE_SHIFT);
	struct cow_buf *b;
	u64 done;

	if (!page)
		return 0;
	page_put(page);
	if (cow_file_write_begin(core_of(i), at >> PAGE_SHIFT, COW_WRITE_OPEN, NULL, &b))
		return 0;
	done = copy_in_place(i, u, at, n, b);
	cow_file_write_end(core_of(i), done ? at + done : 0, &now);
	if (at + done > i->size)
		WRITE_ONCE(i->size, at + done);
	return done;
}

/* A write takes set-id bits away (man 2 chmod); the disk must know. */
static int write_remove_suid(struct inode *i)
{
	struct cow_attr a = { .valid = COW_ATTR_MODE };
	u32 mode = i->mode;

	inode_remove_suid(i);
	if (likely(i->mode == mode))
		return 0;
	a.mode = i->mode & 07777;
	return cow_setattr(core_of(i), &a);
}

/* n bytes, of up to STEP_PAGES pages: how many it did, fewer at a fault, or an error if none. */
static s64 write_step(struct inode *i, struct uio *u, u64 at, u64 n)
{
	u64 done = write_in_place(i, u, at, n), part;
	s64 r;

	for (; done < n; done += r) {
		part = MIN(PAGE_SIZE - ((at + done) & PAGE_MASK), n - done);
		r = write_block(i, u, at + done, part);
		if (unlikely(r < 0))
			return done ? (s64)done : r;
		if (unlikely((u64)r < part))
			return done + r;
	}
	return done;
}

static s64 write_locked(struct inode *i, struct uio *u, u64 *pos)
{
	u64 at = *pos, n, want = u->left;
	s64 done = 0, r = file_size_limit(i, at, &want);

	if (!r)
		r = write_remove_suid(i);
	if (r)
		return r;
	i->mtime = i->ctime = fs_now();
	while (want) {
		cowfs_make_room();
		n = MIN(STEP_PAGES * PAGE_SIZE - (at & PAGE_MASK), want);
		r = write_step(i, u, at, n);
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
		if (want)
			resched_point();
	}
	*pos = at;
	return done;
}

static bool write_is_sync(const struct file *f)
{
	return (f->flags & O_DSYNC) ||
	       ((f->inode->sb->flags | f->path.mount->flags) & MS_SYNCHRONOUS);
}

static s64 write_file(struct file *f, struct uio *u, u64 *pos)
{
	struct inode *i = f->inode;
	s64 done;
	int err = 0;

	if (!u->left)
		return 0;
	done = direct_check(f, u, *pos);
	if (done)
		return done;
	block_dirty(cowfs_super_of(i->sb)->disk->platform.device);
	do {
		mutex_lock(&i->lock);
		if ((f->flags & O_APPEND) || u->append)
			*pos = i->size;
		done = write_locked(i, u, pos);
		mutex_unlock(&i->lock);
	} while (unlikely(done == -ENOMEM) && !memory_reclaim(current->account, 1));
	if (unlikely(done > 0 && write_is_sync(f)))
		err = cow_fsync(core_of(i), !(f->flags & (O_SYNC & ~O_DSYNC)));
	return err ? err : done;
}

/*
 * What is written counts where the file was opened: standard output that is a file outside is not
 * what a container adds to its files.
 */
static s64 cowfs_write(struct file *f, struct uio *u, u64 *pos)
{
	s64 done;

	current->writes_for = f->private;
	done = write_file(f, u, pos);
	current->writes_for = NULL;
	return done;
}

static int write_counts_open(struct inode *i, struct file *f)
{
	f->private = account_get(current->owner->account);
	return 0;
}

static void write_counts_release(struct file *f)
{
	if (f->private)
		account_put(f->private);
}

int cowfs_fsync(struct file *f, u64 start, u64 end, bool data_only)
{
	struct inode *i = f->inode;
	int err = 0;

	if (cowfs_of(i)->times_dirty) {
		mutex_lock(&i->lock);
		err = cowfs_write_times(i);
		mutex_unlock(&i->lock);
	}
	return err ? err : cow_fsync(core_of(i), data_only);
}

const struct file_ops cowfs_file_ops = {
	.open = write_counts_open,
	.release = write_counts_release,
	.read = cowfs_read,
	.write = cowfs_write,
	.mmap = cowfs_mmap,
	.fsync = cowfs_fsync,
	.fallocate = cowfs_fallocate,
	.ioctl = cowfs_ioctl,
	.share = cowfs_share,
	.seek_data = cowfs_seek_data,
};
