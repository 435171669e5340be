/* SPDX-License-Identifier: MIT */
/*
 * range.c - the data of files by ranges: truncate, punch, allocate, share, seek.
 *
 * What may take long is done in several operations, each of which leaves a file that is whole:
 *
 *	truncate   the first one zeroes the tail, sets the size and COW_INODE_CUT, and drops some
 *	           leaves; the others go on dropping; the last one takes the flag away. A crash or
 *	           an error in between leaves a file of the new size; cow_file_settle() ends the
 *	           work before the file becomes longer again.
 *	punch      the first one zeroes the edges; each drops some leaves.
 *	allocate   one for each block of pointers; the size is set at the end.
 *	clone      some blocks each; the size follows.
 */
#include "fs/cowfs/internal.h"

#define RANGE_BLOCKS (5 * COW_TREE_PATH_BLOCKS + 2 + COW_TREE_DROP_BLOCKS)

/* Operation, inode prepared. */
static int range_op(struct cow_inode *i, u64 blocks, u32 flags, struct cow_op *op)
{
	int err = cow_op_begin(i->volume, blocks, flags, op);

	if (err)
		return err;
	err = cow_inode_prepare(i);
	if (err)
		cow_op_end(op);
	return err;
}

/* Leaves [first, last], or some of them: see cow_tree_drop. */
static int drop_leaves(struct cow_inode *i, u64 first, u64 last, u64 *next)
{
	struct cow_root root = cow_file_root(&i->rec);
	u64 dropped;
	int err;

	i->map_epoch = ~0ull;
	err = cow_tree_drop(i->volume, &root, first, last, &dropped, next);
	i->rec.blocks = i->rec.root.addr ? i->rec.blocks - MIN(dropped, i->rec.blocks) : 0;
	return err;
}

/* --- truncate --- */

static u64 end_block(const struct cow_inode *i)
{
	return DIV_ROUND_UP(i->rec.size, (u64)COW_BLOCK);
}

/* One step, in an operation; stores. */
static int cut(struct cow_inode *i)
{
	u64 next;
	int err = drop_leaves(i, end_block(i), ~0ull, &next);

	if (!err && !next)
		i->rec.flags &= ~(u32)COW_INODE_CUT;
	cow_inode_cut(i, i->rec.size);
	return err;
}

int cow_file_settle(struct cow_inode *i)
{
	struct cow_op op;
	int err = 0;

	while (!err && i->rec.flags & COW_INODE_CUT) {
		err = range_op(i, RANGE_BLOCKS, COW_OP_FREES, &op);
		if (err)
			return err;
		err = cut(i);
		cow_op_end(&op);
		cow_resched();
	}
	return err;
}

/* The block that byte `at` is in, to be changed, or NULL if there is none: zeros anyway. */
static int block_if_any(struct cow_inode *i, u64 at, struct cow_buf **out)
{
	struct cow_ptr p;
	int err = cow_file_pointer(i, at >> COW_BLOCK_SHIFT, &p);

	*out = NULL;
	return err || !p.addr ? err : cow_file_block(i, at >> COW_BLOCK_SHIFT, 0, NULL, out);
}

static void zero_and_put(struct cow_buf *b, u64 from, u64 to)
{
	if (!b)
		return;
	memset((char *)b->data + from, 0, to - from);
	cow_buf_put(b);
}

/* In an operation. */
static int shorten(struct cow_inode *i, u64 size, const struct cow_time *now)
{
	struct cow_buf *tail = NULL;
	int err = 0;

	if (size % COW_BLOCK)
		err = block_if_any(i, size, &tail);
	if (err)
		return err;
	zero_and_put(tail, size % COW_BLOCK, COW_BLOCK);
	i->rec.size = size;
	i->rec.flags |= COW_INODE_CUT;
	cow_inode_stamp(i, now);
	(void)cut(i); /* what is left is dropped later */
	return 0;
}

int cow_file_truncate(struct cow_inode *i, u64 size, const struct cow_time *now)
{
	bool shorter = size < i->rec.size;
	struct cow_op op;
	int err;

	if (size > COW_FILE_MAX)
		return -EFBIG;
	err = cow_file_settle(i);
	if (!err)
		err = range_op(i, RANGE_BLOCKS, shorter ? COW_OP_FREES : 0, &op);
	if (err)
		return err;
	if (shorter) {
		err = shorten(i, size, now);
	} else {
		cow_file_clear_tail(i);
		i->rec.size = size;
		cow_inode_stamp(i, now);
	}
	cow_inode_store(i, COW_STORE_DATA);
	cow_op_end(&op);
	if (!err && shorter)
		(void)cow_file_settle(i); /* it is of that size already */
	return err;
}

/* --- punch --- */

/* The parts of blocks at the edges of [from, to) become zeros: both or none. */
static int zero_edges(struct cow_inode *i, u64 from, u64 to)
{
	bool one = from >> COW_BLOCK_SHIFT == to >> COW_BLOCK_SHIFT;
	struct cow_buf *head = NULL, *tail = NULL;
	int err = 0;

	if (from % COW_BLOCK)
		err = block_if_any(i, from, &head);
	if (!err && to % COW_BLOCK && !(one && from % COW_BLOCK))
		err = block_if_any(i, to, &tail);
	if (err) {
		if (head)
			cow_buf_put(head);
		return err;
	}
	zero_and_put(head, from % COW_BLOCK, one ? to % COW_BLOCK : COW_BLOCK);
	zero_and_put(tail, one ? from % COW_BLOCK : 0, to % COW_BLOCK);
	return 0;
}

/* The end of a range, cut to what files can have. */
static u64 range_end(u64 offset, u64 n)
{
	return n > COW_FILE_MAX - MIN(offset, COW_FILE_MAX) ? COW_FILE_MAX : offset + n;
}

int cow_file_punch(struct cow_inode *i, u64 offset, u64 n, const struct cow_time *now)
{
	u64 end = range_end(offset, n), next = DIV_ROUND_UP(offset, (u64)COW_BLOCK), last;
	bool first = true;
	struct cow_op op;
	int err;

	if (offset >= end)
		return 0;
	err = cow_file_settle(i);
	if (!err && end >= i->rec.size)
		end = ALIGN_UP(end, COW_BLOCK);
	last = end >> COW_BLOCK_SHIFT; /* the first that stays */
	while (!err && (first || next)) {
		err = range_op(i, RANGE_BLOCKS, COW_OP_FREES, &op);
		if (err)
			return err;
		if (first) {
			err = zero_edges(i, offset, end);
			if (!err)
				cow_inode_stamp(i, now);
			first = false;
		}
		if (!err && next < last)
			err = drop_leaves(i, next, last - 1, &next);
		else
			next = 0;
		cow_inode_store(i, COW_STORE_NAMES);
		cow_op_end(&op);
		cow_resched();
	}
	return err;
}

/* --- allocate --- */

/* Promises for holes in [*index, last] that are in one block of pointers. */
static int reserve_some(struct cow_inode *i, u64 *index, u64 last)
{
	u64 n = MIN(last - *index + 1, COW_FANOUT - *index % COW_FANOUT), new = 0;
	struct cow_root root = cow_file_root(&i->rec);
	struct cow_volume *v = i->volume;
	struct cow_ptr *slot;
	struct cow_buf *map;
	struct cow_op op;
	int err = range_op(i, 3 * COW_TREE_PATH_BLOCKS + n, 0, &op);

	if (err)
		return err;
	err = cow_tree_reserve_path(v, &root, *index, &map, &slot);
	for (u64 k = 0; !err && k < n; k++)
		if (!slot[k].addr) {
			slot[k].addr = COW_ADDR_RESERVED;
			new ++;
		}
	if (!err) {
		cow_buf_put(map);
		i->rec.blocks += new;
		cow_volume_count(v, new);
		cow_reserved_add(v->fs, new);
		*index += n;
	}
	cow_inode_store(i, COW_STORE_NAMES);
	cow_op_end(&op);
	return err;
}

static bool is_hopeless(struct cow_inode *i, u64 blocks)
{
	struct cow_space s;

	cow_space(i->volume->fs, &s);
	return blocks > s.available + i->rec.blocks;
}

int cow_file_allocate(struct cow_inode *i, u64 offset, u64 n, bool keep_size, bool zero,
		      const struct cow_time *now)
{
	u64 end = range_end(offset, n), index = offset >> COW_BLOCK_SHIFT;
	u64 last = (end - 1) >> COW_BLOCK_SHIFT;
	struct cow_op op;
	int err;

	if (offset >= end)
		return n ? -EFBIG : 0;
	if (n > end - offset)
		return -EFBIG;
	if (is_hopeless(i, last - index + 1))
		return -ENOSPC;
	err = zero ? cow_file_punch(i, offset, n, NULL) : cow_file_settle(i);
	while (!err && index <= last) {
		err = reserve_some(i, &index, last);
		cow_resched();
	}
	if (!err)
		err = range_op(i, COW_TREE_PATH_BLOCKS, 0, &op);
	if (err)
		return err;
	cow_file_clear_tail(i);
	if (!keep_size)
		i->rec.size = MAX(i->rec.size, end);
	cow_inode_stamp(i, now);
	cow_inode_store(i, COW_STORE_NAMES);
	cow_op_end(&op);
	return 0;
}

/* --- sharing blocks --- */

static const struct cow_shape data_shape = { COW_TREE_FILE, 0 };

/* dst's block becomes a hole. */
static int share_hole(struct cow_inode *dst, u64 index)
{
	struct cow_root root = cow_file_root(&dst->rec);
	struct cow_ptr p, *slot;
	struct cow_buf *map, *held;
	int err = cow_tree_find(dst->volume->fs, &root, index, &p);

	if (err || !p.addr)
		return err;
	err = cow_file_slot(dst, index, &map, &slot);
	if (err)
		return err;
	err = cow_block_drop_prepare(dst->volume, slot, data_shape, &held);
	if (!err) {
		cow_block_drop(dst->volume, slot, data_shape, held);
		dst->rec.blocks--;
	}
	if (map)
		cow_buf_put(map);
	return err;
}

/* Its bytes stand still: nobody writes them through page tables any more. */
static void stop_mapping(struct cow_fs *fs, const struct cow_ptr *p)
{
	struct cow_buf *b = cow_buf_peek(fs, p->addr);

	if (!b)
		return;
	if (b->flags & COW_BUF_MAPPED) {
		if (fs->hooks && fs->hooks->protect)
			fs->hooks->protect(b, b->mapper, b->mapper_index);
		cow_buf_clear(b, COW_BUF_MAPPED);
	}
	cow_buf_put(b);
}

static int share_block(struct cow_inode *src, u64 from, struct cow_inode *dst, u64 to)
{
	struct cow_volume *v = dst->volume;
	struct cow_ptr p, *slot;
	struct cow_buf *map, *held;
	int err = cow_file_pointer(src, from, &p);

	if (err)
		return err;
	if (!p.addr)
		return share_hole(dst, to);
	err = cow_file_slot(dst, to, &map, &slot);
	if (err)
		return err;
	if (slot->addr != p.addr) {
		err = cow_block_drop_prepare(v, slot, data_shape, &held);
		if (!err)
			err = cow_block_share(v, &p);
		if (!err) {
			stop_mapping(v->fs, &p);
			dst->rec.blocks += !slot->addr;
			cow_block_drop(v, slot, data_shape, held);
			*slot = p;
		}
	}
	if (map)
		cow_buf_put(map);
	return err;
}

#define SHARE_AT_ONCE 32

/* Up to SHARE_AT_ONCE blocks of [from, end). */
static int share_some(struct cow_inode *src, u64 *from, struct cow_inode *dst, u64 *to, u64 end,
		      const struct cow_time *now)
{
	struct cow_op op;
	int err = range_op(dst, 3 * COW_TREE_PATH_BLOCKS + SHARE_AT_ONCE, 0, &op);

	if (err)
		return err;
	cow_file_clear_tail(src);
	cow_file_clear_tail(dst);
	for (unsigned k = 0; !err && k < SHARE_AT_ONCE && *from < end; k++) {
		u64 n = MIN((u64)COW_BLOCK, end - *from);

		err = share_block(src, *from >> COW_BLOCK_SHIFT, dst, *to >> COW_BLOCK_SHIFT);
		if (err)
			break;
		*from += n;
		*to += n;
		dst->rec.size = MAX(dst->rec.size, *to);
		cow_inode_stamp(dst, now);
	}
	cow_inode_store(dst, COW_STORE_NAMES);
	cow_op_end(&op);
	return err;
}

static int share_check(struct cow_inode *src, u64 from, struct cow_inode *dst, u64 to, u64 n)
{
	if (src->volume != dst->volume)
		return -EXDEV;
	if (from % COW_BLOCK || to % COW_BLOCK || from > src->rec.size || n > src->rec.size - from)
		return -EINVAL;
	if (to > COW_FILE_MAX || n > COW_FILE_MAX - to)
		return -EFBIG;
	/* the last block is shared whole, with zeros behind its end */
	if (n % COW_BLOCK && (from + n != src->rec.size || to + n < dst->rec.size))
		return -EINVAL;
	if (src == dst && from < to + n && to < from + n)
		return -EINVAL;
	return 0;
}

int cow_file_clone_range(struct cow_inode *src, u64 from, struct cow_inode *dst, u64 to, u64 n,
			 const struct cow_time *now)
{
	u64 end = from + n;
	int err = share_check(src, from, dst, to, n);

	if (!err)
		err = cow_file_settle(dst);
	while (!err && from < end) {
		err = share_some(src, &from, dst, &to, end, now);
		cow_resched();
	}
	return err;
}

/* --- seek --- */

int cow_file_seek(struct cow_inode *i, u64 *offset, bool data)
{
	u64 index = *offset >> COW_BLOCK_SHIFT, size;
	struct cow_root root = cow_file_root(&i->rec);
	struct cow_ptr p;
	int err;

	do {
		cow_lock_read(&i->volume->lock);
		size = i->rec.size;
		err = *offset < size ? cow_inode_sums(i) : -ENXIO;
		if (!err)
			err = cow_tree_search(i->volume->fs, &root,
					      data ? COW_TREE_DATA : COW_TREE_HOLE, &index, &p);
		cow_unlock_read(&i->volume->lock);
		cow_resched();
	} while (err == -EAGAIN);
	if (err == -ENOENT)
		return -ENXIO;
	if (err)
		return err;
	index = MAX(*offset, index << COW_BLOCK_SHIFT);
	if (data && index >= size)
		return -ENXIO;
	*offset = MIN(index, size);
	return 0;
}
