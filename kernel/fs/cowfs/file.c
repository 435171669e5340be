/* SPDX-License-Identifier: MIT */
/*
 * file.c - the data of files (and the text of long symbolic links), block by block: reading,
 * writing. By ranges: range.c; fsync: log.c.
 *
 * Reading takes v->lock for reading to walk the tree, then reads the block without it. Meanwhile a
 * writer may free the block and its address may be given away: what was read is then not what the
 * pointer's checksum says. So a block that is wrong is looked up again under the lock, once, before
 * that is believed. A block that is dirty is in memory, and is taken from there under the lock.
 *
 * Writing is one operation for a block (cow_file_write_begin ... _end) or a few of them
 * (cow_file_write). The last block of pointers is remembered in i->map, so that the next write
 * beside it walks no tree; dropping leaves forgets it.
 *
 * Behind the end (rec.size) there are no data blocks, unless COW_INODE_CUT says that a truncation
 * is not done with them: they are not there for readers, and cow_file_settle() drops them before
 * the file becomes longer. The bytes behind the end in the last block are zeros.
 */
#include "fs/cowfs/internal.h"

static const struct cow_shape data_shape = { COW_TREE_FILE, 0 };

#define FILE_BLOCKS (COW_FILE_MAX >> COW_BLOCK_SHIFT)

static bool has_map(const struct cow_inode *i, u64 index)
{
	return i->map_epoch == cow_volume_epoch(i->volume) &&
	       i->map_first == (index & ~(u64)(COW_FANOUT - 1));
}

static struct cow_ptr *map_slot(struct cow_buf *map, u64 index)
{
	return &((struct cow_map *)map->data)->ptr[index & (COW_FANOUT - 1)];
}

static void complain(struct cow_inode *i, u64 index)
{
	cow_log(i->volume->fs->platform, "volume %lu: inode %lu: block at offset %lu is bad",
		(unsigned long)i->volume->id, (unsigned long)i->ino,
		(unsigned long)(index << COW_BLOCK_SHIFT));
}

/* --- reading --- */

/* The pointers from block `index` on, n > 0 at most: how many, or an error. v->lock held. */
static int pointers(struct cow_inode *i, u64 index, unsigned n, struct cow_ptr *out)
{
	struct cow_root root = cow_file_root(&i->rec);
	u64 blocks = DIV_ROUND_UP(i->rec.size, (u64)COW_BLOCK);
	int got, err;

	*out = (struct cow_ptr){ 0 };
	if (index >= blocks)
		return 1;
	n = MIN((u64)n, blocks - index);
	if (has_map(i, index)) {
		got = MIN(n, COW_FANOUT - (unsigned)(index % COW_FANOUT));
		memcpy(out, map_slot(i->map, index), got * sizeof(*out));
	} else {
		err = cow_inode_sums(i);
		if (err)
			return err;
		got = cow_tree_find_run(i->volume->fs, &root, index, n, out);
	}
	for (int k = 0; k < got; k++)
		if (out[k].addr == COW_ADDR_RESERVED)
			out[k] = (struct cow_ptr){ 0 };
	return got;
}

int cow_file_pointer(struct cow_inode *i, u64 index, struct cow_ptr *out)
{
	return MIN(pointers(i, index, 1, out), 0);
}

/* The block if it is in memory, counted; v->lock held. */
static struct cow_buf *peek(struct cow_fs *fs, const struct cow_ptr *p)
{
	struct cow_buf *b = cow_buf_peek(fs, p->addr);

	if (b && b->birth != p->birth) {
		cow_buf_put(b);
		b = NULL;
	}
	return b;
}

void cow_file_ahead(struct cow_inode *i, u64 index, u64 n)
{
	struct cow_fs *fs = i->volume->fs;
	struct cow_ptr *list;
	unsigned got = 0;
	int more = 1;

	n = MIN(n, (u64)COW_PREFETCH_MAX);
	list = cow_alloc(n * sizeof(*list));
	if (!list)
		return;
	cow_lock_read(&i->volume->lock);
	while (got < n && more > 0) {
		more = pointers(i, index + got, n - got, &list[got]);
		got += MAX(more, 0);
	}
	cow_unlock_read(&i->volume->lock);
	cow_buf_prefetch(fs, list, got, data_shape);
	cow_free(list);
}

static int read_block(struct cow_inode *i, u64 index, const struct cow_ptr *p, struct cow_buf **out)
{
	struct cow_fs *fs = i->volume->fs;
	int err = cow_buf_read(fs, p, data_shape, out);
	struct cow_ptr now;

	if (likely(err != -EIO))
		return err;
	cow_lock_read(&i->volume->lock);
	err = cow_file_pointer(i, index, &now);
	*out = NULL;
	if (!err && now.addr)
		err = cow_buf_read(fs, &now, data_shape, out);
	cow_unlock_read(&i->volume->lock);
	if (err == -EIO)
		complain(i, index);
	return err;
}

int cow_file_find(struct cow_inode *i, u64 index, struct cow_buf **out)
{
	struct cow_ptr p;
	int err;

	*out = NULL;
	cow_lock_read(&i->volume->lock);
	err = cow_file_pointer(i, index, &p);
	if (!err && p.addr)
		*out = peek(i->volume->fs, &p);
	cow_unlock_read(&i->volume->lock);
	if (err == -EIO)
		complain(i, index);
	if (err || !p.addr || *out)
		return err;
	return read_block(i, index, &p, out);
}

unsigned cow_file_find_ready(struct cow_inode *i, u64 index, unsigned n, struct cow_buf **out)
{
	struct cow_fs *fs = i->volume->fs;
	struct cow_ptr list[COW_READY_MAX];
	unsigned good = 0;
	int got = 0, known;

	cow_lock_read(&i->volume->lock);
	known = pointers(i, index, MIN(n, COW_READY_MAX), list);
	while (got < known && (out[got] = cow_buf_ready(fs, &list[got])))
		got++;
	cow_unlock_read(&i->volume->lock);
	for (int k = 0; k < got; k++) {
		if ((int)good < k)
			cow_buf_put(out[k]);
		else if (!cow_buf_use(out[k], &list[k], data_shape))
			good++;
	}
	return good;
}

s64 cow_file_read(struct cow_inode *i, u64 offset, void *buf, u64 n)
{
	u64 size = READ_ONCE(i->rec.size), done = 0, ahead = 0;
	struct cow_buf *b;

	if (offset >= size)
		return 0;
	n = MIN(n, size - offset);
	while (done < n) {
		u64 at = offset + done, in = at % COW_BLOCK, len = MIN(COW_BLOCK - in, n - done);
		int err;

		if (at >= ahead && n - done > COW_BLOCK) {
			cow_file_ahead(i, at >> COW_BLOCK_SHIFT, (n - done) / COW_BLOCK + 1);
			ahead = at - in + COW_PREFETCH_MAX * COW_BLOCK;
		}
		err = cow_file_find(i, at >> COW_BLOCK_SHIFT, &b);
		if (err)
			return done ? (s64)done : err;
		if (b) {
			memcpy((char *)buf + done, (char *)b->data + in, len);
			cow_buf_put(b);
		} else {
			memset((char *)buf + done, 0, len);
		}
		done += len;
	}
	return done;
}

int cow_readlink(struct cow_inode *i, char *buf, size_t size)
{
	u64 n = i->rec.inline_size ? i->rec.inline_size : i->rec.size;
	s64 got = n;

	if (n >= size)
		return -ENAMETOOLONG;
	if (i->rec.inline_size)
		memcpy(buf, i->rec.inline_data, n);
	else
		got = cow_file_read(i, 0, buf, n);
	if (got < 0)
		return got;
	buf[got] = '\0';
	return 0;
}

/* --- writing --- */

int cow_file_slot(struct cow_inode *i, u64 index, struct cow_buf **map, struct cow_ptr **slot)
{
	struct cow_root root = cow_file_root(&i->rec);
	int err;

	/* without COW_BUF_NEWS the blocks above it need it, too */
	if (likely(has_map(i, index) && i->map->flags & COW_BUF_NEWS)) {
		cow_buf_get(i->map);
		if (unlikely(i->map->flags & COW_BUF_SUMMED))
			cow_buf_clear(i->map, COW_BUF_SUMMED);
		*map = i->map;
		*slot = map_slot(i->map, index);
		return 0;
	}
	err = cow_tree_path(i->volume, &root, index, map, slot);
	if (err)
		return err;
	if (*map) {
		i->map = *map;
		i->map_first = index & ~(u64)(COW_FANOUT - 1);
		i->map_epoch = cow_volume_epoch(i->volume);
	}
	return 0;
}

int cow_file_block(struct cow_inode *i, u64 index, u32 flags, struct cow_page *page,
		   struct cow_buf **out)
{
	struct cow_ptr *slot;
	struct cow_buf *map;
	bool hole;
	int err = cow_file_slot(i, index, &map, &slot);

	if (err)
		return err;
	hole = !slot->addr;
	err = cow_block_make_writable(i->volume, slot, data_shape, flags | COW_MAKE_CHARGED, page,
				      out);
	if (!err)
		i->rec.blocks += hole;
	if (map)
		cow_buf_put(map);
	if (err == -EIO)
		complain(i, index);
	return err;
}

#define WRITE_BLOCKS (2 * COW_TREE_PATH_BLOCKS + 1)

static bool is_promised(struct cow_inode *i, u64 index)
{
	struct cow_root root = cow_file_root(&i->rec);
	struct cow_ptr p;
	int err;

	cow_lock_read(&i->volume->lock);
	err = cow_inode_sums(i);
	if (!err)
		err = cow_tree_find(i->volume->fs, &root, index, &p);
	cow_unlock_read(&i->volume->lock);
	return !err && p.addr == COW_ADDR_RESERVED;
}

/*
 * An operation to write block `index` and some behind it, in which i is prepared. With no room left
 * a promised block (*promised) may be written: it is paid for, and the blocks of pointers above it
 * come from the reserve, to which the old ones go back.
 */
static int write_op(struct cow_inode *i, u64 index, u64 blocks, struct cow_op *op, bool *promised)
{
	int err = i->rec.flags & COW_INODE_CUT ? cow_file_settle(i) : 0;

	*promised = false;
	if (!err)
		err = cow_op_begin(i->volume, blocks, 0, op);
	if ((err == -ENOSPC || err == -EDQUOT) && is_promised(i, index)) {
		*promised = true;
		err = cow_op_begin(i->volume, blocks, COW_OP_FREES, op);
	}
	if (err)
		return err;
	err = cow_inode_prepare(i);
	if (err)
		cow_op_end(op);
	return err;
}

/* The block is in memory, and so is the path to it, if it is written through page tables. */
void cow_file_clear_tail(struct cow_inode *i)
{
	u64 in = i->rec.size % COW_BLOCK;
	struct cow_buf *b;
	struct cow_ptr p;

	if (likely(!(i->state & CI_MAPPED)) || !in ||
	    cow_file_pointer(i, i->rec.size >> COW_BLOCK_SHIFT, &p) || !p.addr)
		return;
	b = peek(i->volume->fs, &p);
	if (b && b->flags & COW_BUF_MAPPED)
		memset((char *)b->data + in, 0, COW_BLOCK - in);
	if (b)
		cow_buf_put(b);
}

static void set_mapped(struct cow_inode *i, struct cow_buf *b, u64 index)
{
	i->state |= CI_MAPPED;
	b->mapper = i->private;
	b->mapper_index = index;
	__atomic_store_n(&i->volume->fs->mapped, true, __ATOMIC_RELEASE);
	cow_buf_set(b, COW_BUF_MAPPED);
}

int cow_file_write_next(struct cow_inode *i, u64 index, struct cow_buf **out)
{
	struct cow_fs *fs = i->volume->fs;
	struct cow_buf *b = NULL;
	struct cow_ptr p;
	int err = cow_file_pointer(i, index, &p);

	if (!err && p.birth > cow_load(&fs->sealed_birth))
		b = peek(fs, &p);
	if (!b)
		return err ? err : -EAGAIN;
	if (!cow_buf_writable(i->volume, b)) {
		cow_buf_put(b);
		return -EAGAIN;
	}
	/* what leads to it is writable, too: it was made so for this block, or later */
	cow_buf_clear(b, COW_BUF_SUMMED);
	*out = b;
	return 0;
}

int cow_file_write_begin(struct cow_inode *i, u64 index, u32 flags, struct cow_page *page,
			 struct cow_buf **out)
{
	struct cow_op op;
	bool promised;
	int err;

	if (index >= FILE_BLOCKS)
		return -EFBIG;
	err = write_op(i, index, WRITE_BLOCKS, &op, &promised);
	if (err)
		return err;
	cow_file_clear_tail(i);
	/* a truncation may have come between the page fault's look at the size and this */
	if (flags & COW_WRITE_MAPPED && index >= DIV_ROUND_UP(i->rec.size, (u64)COW_BLOCK))
		err = -ENXIO;
	else if (flags & COW_WRITE_OPEN)
		err = cow_file_write_next(i, index, out);
	else
		err = cow_file_block(i, index, flags & COW_WRITE_WHOLE ? COW_MAKE_WHOLE : 0, page,
				     out);
	if (!err && flags & COW_WRITE_MAPPED)
		set_mapped(i, *out, index);
	if (err || flags & COW_WRITE_MAPPED) {
		cow_inode_store(i, COW_STORE_DATA);
		cow_op_end(&op);
	} else {
		i->volume->write_reserved = op.reserved;
	}
	return err;
}

void cow_file_write_end(struct cow_inode *i, u64 size, const struct cow_time *now)
{
	struct cow_op op = { .volume = i->volume, .reserved = i->volume->write_reserved };

	i->rec.size = MAX(i->rec.size, size);
	cow_inode_stamp(i, now);
	cow_inode_store(i, COW_STORE_DATA);
	cow_op_end(&op);
}

#define WRITE_AT_ONCE 16 /* blocks */

/* Up to WRITE_AT_ONCE blocks, in one operation: how many bytes, in *done, also with an error. */
static int write_some(struct cow_inode *i, u64 offset, const char *buf, u64 n,
		      const struct cow_time *now, u64 *done)
{
	u64 end = MIN(n, (u64)WRITE_AT_ONCE * COW_BLOCK - offset % COW_BLOCK);
	struct cow_buf *b;
	struct cow_op op;
	bool promised;
	int err = write_op(i, offset >> COW_BLOCK_SHIFT, 3 * COW_TREE_PATH_BLOCKS + WRITE_AT_ONCE,
			   &op, &promised);

	*done = 0;
	if (err)
		return err;
	cow_file_clear_tail(i);
	if (promised) /* that one and no other */
		end = MIN(end, COW_BLOCK - offset % COW_BLOCK);
	while (*done < end) {
		u64 at = offset + *done, in = at % COW_BLOCK,
		    len = MIN(COW_BLOCK - in, end - *done);

		err = cow_file_block(i, at >> COW_BLOCK_SHIFT,
				     len == COW_BLOCK ? COW_MAKE_WHOLE : 0, NULL, &b);
		if (err)
			break;
		memcpy((char *)b->data + in, buf + *done, len);
		cow_buf_put(b);
		*done += len;
	}
	if (*done) {
		i->rec.size = MAX(i->rec.size, offset + *done);
		cow_inode_stamp(i, now);
	}
	cow_inode_store(i, COW_STORE_DATA);
	cow_op_end(&op);
	return err;
}

s64 cow_file_write(struct cow_inode *i, u64 offset, const void *buf, u64 n,
		   const struct cow_time *now)
{
	u64 done = 0, some;
	int err = 0;

	if (n && (offset >= COW_FILE_MAX))
		return -EFBIG;
	n = MIN(n, COW_FILE_MAX - offset);
	while (done < n && !err) {
		err = write_some(i, offset + done, (const char *)buf + done, n - done, now, &some);
		done += some;
	}
	return done ? (s64)done : err;
}
