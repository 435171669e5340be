/* SPDX-License-Identifier: MIT */
/* ops_data.c - random operations on the data and the attributes of files (contract: ops.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"

/* --- data --- */

static u64 choose_offset(struct job *j)
{
	static const u64 far[] = { 127 * 4096ul, 128 * 4096ul, 1ul << 26, 1ul << 40,
				   (1ul << 47) - 8192 };
	u64 at = rnd_below(j->r, FILE_LIMIT * COW_BLOCK);

	if (rnd_one_in(j->r, 2))
		at -= at % COW_BLOCK;
	return rnd_one_in(j->r, 16) ? far[rnd_below(j->r, ARRAY_SIZE(far))] + at % COW_BLOCK : at;
}

void job_fill(struct job *j, u8 *buf, u64 n)
{
	u64 kind = rnd_below(j->r, 8);

	for (u64 k = 0; k < n; k += 8) {
		u64 word = kind ? rnd_next(j->r) : 0;
		memcpy(buf + k, &word, n - k < 8 ? n - k : 8);
	}
}

void op_write(struct job *j)
{
	struct m_inode *i = job_choose_inode(j, COW_S_FILE, false);
	static u8 buf[4 * COW_BLOCK];
	u64 at = choose_offset(j),
	    n = 1 + rnd_below(j->r, rnd_one_in(j->r, 3) ? sizeof(buf) : COW_BLOCK);
	struct cow_inode *ci;
	s64 done = 0;
	int err = 0;

	if (!i)
		return;
	if (rnd_one_in(j->r, 2) && n > COW_BLOCK)
		n -= n % COW_BLOCK;
	job_fill(j, buf, n);
	ci = job_hold(j, i, &err);
	job_range_begin(j, i);
	if (!err)
		done = cow_file_write(ci, at, buf, n, &j->now);
	if (err)
		done = err;
	if (job_happened(j, done, "write"))
		m_write(i, at, buf, done);
	if (ci)
		job_range_done(j, i, ci, done);
	job_put(ci);
}

/* Half a block and the size, by the page cache's calls. */
void op_write_block(struct job *j)
{
	struct m_inode *i = job_choose_inode(j, COW_S_FILE, false);
	u64 index = choose_offset(j) / COW_BLOCK;
	bool whole = rnd_one_in(j->r, 2);
	u8 bytes[COW_BLOCK];
	struct cow_inode *ci;
	struct cow_buf *b;
	int err = 0;

	if (!i)
		return;
	job_fill(j, bytes, sizeof(bytes));
	ci = job_hold(j, i, &err);
	job_range_begin(j, i);
	if (!err)
		err = !rnd_one_in(j->r, 4)
			      ? cow_file_write_begin(ci, index, COW_WRITE_OPEN, NULL, &b)
			      : -EAGAIN;
	if (err == -EAGAIN)
		err = cow_file_write_begin(ci, index, whole ? COW_WRITE_WHOLE : 0, NULL, &b);
	if (job_happened(j, err, "write_begin")) {
		u64 n = whole ? COW_BLOCK : COW_BLOCK / 2;

		memcpy(cow_buf_data(b), bytes, n);
		cow_file_write_end(ci, index * COW_BLOCK + n, &j->now);
		cow_buf_put(b);
		m_write(i, index * COW_BLOCK, bytes, n);
	}
	if (ci)
		job_range_done(j, i, ci, err);
	job_put(ci);
}

void op_read(struct job *j)
{
	struct m_inode *i = job_choose_inode(j, COW_S_FILE, false);
	static u8 got[3 * COW_BLOCK], expected[3 * COW_BLOCK];
	u64 at = choose_offset(j), n = 1 + rnd_below(j->r, sizeof(got));
	struct cow_inode *ci;
	s64 done = 0;
	int err = 0;

	if (!i || at >= i->size)
		return;
	n = n < i->size - at ? n : i->size - at;
	ci = job_hold(j, i, &err);
	if (!err)
		done = cow_file_read(ci, at, got, n);
	if (job_happened(j, err ? err : done, "read")) {
		m_read(i, at, expected, n);
		if ((u64)done > n || (!j->w->fault_now && (u64)done != n) ||
		    memcmp(got, expected, done))
			world_violation(
				j->w, "read: other bytes than were written (inode %lu, %lu at %lu)",
				(unsigned long)i->ino, (unsigned long)n, (unsigned long)at);
	}
	job_put(ci);
}

void op_truncate(struct job *j)
{
	struct m_inode *i = job_choose_inode(j, COW_S_FILE, false);
	u64 size = choose_offset(j);
	struct cow_inode *ci;
	int err = 0;

	if (!i)
		return;
	ci = job_hold(j, i, &err);
	job_range_begin(j, i);
	if (!err)
		err = cow_file_truncate(ci, size, &j->now);
	if (job_happened(j, err, "truncate"))
		m_truncate(i, size);
	if (ci)
		job_range_done(j, i, ci, err);
	job_put(ci);
}

void op_punch(struct job *j)
{
	struct m_inode *i = job_choose_inode(j, COW_S_FILE, false);
	u64 at = choose_offset(j), n = 1 + rnd_below(j->r, 4 * COW_BLOCK);
	struct cow_inode *ci;
	int err = 0;

	if (!i)
		return;
	ci = job_hold(j, i, &err);
	job_range_begin(j, i);
	if (!err)
		err = cow_file_punch(ci, at, n, &j->now);
	if (job_happened(j, err, "punch"))
		m_zero(i, at, n);
	if (ci)
		job_range_done(j, i, ci, err);
	job_put(ci);
}

void op_allocate(struct job *j)
{
	struct m_inode *i = job_choose_inode(j, COW_S_FILE, false);
	u64 at = choose_offset(j), n = 1 + rnd_below(j->r, 4 * COW_BLOCK);
	bool keep = rnd_one_in(j->r, 2), zero = rnd_one_in(j->r, 3);
	struct cow_inode *ci;
	int err = 0;

	if (!i)
		return;
	n = at + n <= COW_FILE_MAX ? n : COW_FILE_MAX - at;
	ci = job_hold(j, i, &err);
	job_range_begin(j, i);
	if (!err)
		err = cow_file_allocate(ci, at, n, keep, zero, &j->now);
	if (job_happened(j, err, "allocate")) {
		if (zero)
			m_zero(i, at, n);
		if (!keep && at + n > i->size)
			i->size = at + n;
	}
	if (ci)
		job_range_done(j, i, ci, err);
	job_put(ci);
}

void op_clone_range(struct job *j)
{
	struct m_inode *src = job_choose_inode(j, COW_S_FILE, false),
		       *dst = job_choose_inode(j, COW_S_FILE, false);
	u64 to = rnd_below(j->r, FILE_LIMIT) * COW_BLOCK, blocks, from, n;
	static u8 bytes[4 * COW_BLOCK];
	struct cow_inode *cs, *cd;
	int err = 0;

	if (!src || !dst || src == dst || src->size < COW_BLOCK)
		return;
	blocks = MIN(src->size / COW_BLOCK, 2ul * FILE_LIMIT);
	from = rnd_below(j->r, blocks);
	n = (1 + rnd_below(j->r, MIN(4ul, blocks - from))) * COW_BLOCK;
	from *= COW_BLOCK;
	cs = job_hold(j, src, &err);
	cd = job_hold(j, dst, &err);
	job_range_begin(j, dst);
	if (!err)
		err = cow_file_clone_range(cs, from, cd, to, n, &j->now);
	if (job_happened(j, err, "clone_range")) {
		m_read(src, from, bytes, n);
		m_write(dst, to, bytes, n);
	}
	if (cd)
		job_range_done(j, dst, cd, err);
	job_put(cd);
	job_put(cs);
}

void op_setattr(struct job *j)
{
	struct m_inode *i = job_choose_inode(j, 0, false);
	struct cow_attr a = { .valid = 1 + rnd_below(j->r, 63),
			      .mode = rnd_below(j->r, 010000),
			      .uid = rnd_below(j->r, 9),
			      .gid = rnd_below(j->r, 9),
			      .atime = j->now,
			      .mtime = j->now,
			      .ctime = j->now };
	struct cow_inode *ci;
	int err = 0;

	if (!i)
		return;
	ci = job_hold(j, i, &err);
	if (!err)
		err = cow_setattr(ci, &a);
	if (job_happened(j, err, "setattr")) {
		i->mode = a.valid & COW_ATTR_MODE ? (i->mode & COW_S_TYPE) | a.mode : i->mode;
		i->uid = a.valid & COW_ATTR_UID ? a.uid : i->uid;
		i->gid = a.valid & COW_ATTR_GID ? a.gid : i->gid;
		i->atime = a.valid & COW_ATTR_ATIME ? j->now : i->atime;
		i->mtime = a.valid & COW_ATTR_MTIME ? j->now : i->mtime;
		i->ctime = a.valid & COW_ATTR_CTIME ? j->now : i->ctime;
	}
	job_put(ci);
}

static void model_xattr(struct m_inode *i, const char *name, const u8 *value, u32 len, bool remove)
{
	u32 n = 0;

	while (n < i->xattrs && strcmp(i->xattr[n].name, name))
		n++;
	if (remove) {
		i->xattr[n] = i->xattr[--i->xattrs];
		return;
	}
	if (n == i->xattrs)
		i->xattr = realloc(i->xattr, ++i->xattrs * sizeof(*i->xattr));
	snprintf(i->xattr[n].name, sizeof(i->xattr[n].name), "%s", name);
	i->xattr[n].len = len;
	memcpy(i->xattr[n].value, value, len);
}

static bool model_has_xattr(struct m_inode *i, const char *name)
{
	for (u32 n = 0; n < i->xattrs; n++)
		if (!strcmp(i->xattr[n].name, name))
			return true;
	return false;
}

void op_xattr(struct job *j)
{
	struct m_inode *i =
		job_choose_inode(j, rnd_one_in(j->r, 4) ? COW_S_DIR : COW_S_FILE, false);
	bool remove = rnd_one_in(j->r, 3);
	struct cow_inode *ci;
	u8 value[256];
	char name[16];
	u32 len = rnd_below(j->r, sizeof(value));
	int err = 0;

	if (!i)
		return;
	snprintf(name, sizeof(name), "user.%lu", (unsigned long)rnd_below(j->r, 20));
	job_fill(j, value, sizeof(value));
	ci = job_hold(j, i, &err);
	if (!err)
		err = remove ? cow_xattr_remove(ci, name, &j->now)
			     : cow_xattr_set(ci, name, value, len, 0, &j->now);
	if (!(err == -ENODATA && remove && !model_has_xattr(i, name)) &&
	    job_happened(j, err, "xattr")) {
		model_xattr(i, name, value, len, remove);
		job_take_times(i, ci);
	}
	job_put(ci);
}
