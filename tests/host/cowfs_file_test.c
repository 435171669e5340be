/* SPDX-License-Identifier: MIT */
/*
 * cowfs_file_test.c - the data of files against a simple model: a file is a few windows of bytes,
 * at places where its tree has its seams. All else in it must be a hole.
 *
 *	cowfs_file_test [seed [operations]]
 */
#include <string.h>

#include "cowfs/rig.h"

static u64 operations = 20000;

/* --- the model --- */

#define WINDOWS	     4u
#define WINDOW_BYTES (260ull * COW_BLOCK)
/* the first map; two maps and a new level; the next level; the end */
static const u64 base[WINDOWS] = { 0, 16383 * 4096ull, 2097152 * 4096ull - 130 * 4096ull,
				   COW_FILE_MAX - WINDOW_BYTES };

struct model {
	u64 size;
	u8 *bytes[WINDOWS];
};

static void model_init(struct model *m)
{
	m->size = 0;
	for (unsigned w = 0; w < WINDOWS; w++)
		must((m->bytes[w] = calloc(1, WINDOW_BYTES)));
}

static void model_free(struct model *m)
{
	for (unsigned w = 0; w < WINDOWS; w++)
		free(m->bytes[w]);
}

/* [from, to) becomes zeros, in all windows. */
static void model_zero(struct model *m, u64 from, u64 to)
{
	for (unsigned w = 0; w < WINDOWS; w++) {
		u64 a = MAX(from, base[w]), b = MIN(to, base[w] + WINDOW_BYTES);

		if (a < b)
			memset(m->bytes[w] + (a - base[w]), 0, b - a);
	}
}

static void model_size(struct model *m, u64 size)
{
	if (size < m->size)
		model_zero(m, size, COW_FILE_MAX);
	m->size = size;
}

/* A place in a window, and how many bytes from it on are in it. */
struct range {
	unsigned window;
	u64 at, offset, n;
};

static struct range draw_range(u64 most, bool aligned)
{
	u64 unit = aligned || !rig_draw(3) ? COW_BLOCK : 1;
	struct range r = { .window = rig_draw(8) < 5 ? 0 : rig_draw(WINDOWS) };

	r.at = rig_draw(WINDOW_BYTES / unit) * unit;
	r.n = MIN(MAX(rig_draw(most / unit + 1) * unit, unit), WINDOW_BYTES - r.at);
	r.offset = base[r.window] + r.at;
	return r;
}

/* Where there is data, a window must be. */
static void check_holes(struct cow_inode *i)
{
	u64 at = 0, hole;

	while (!cow_file_seek(i, &at, true)) {
		bool known = false;

		hole = at;
		must(!cow_file_seek(i, &hole, false) && hole > at);
		for (unsigned w = 0; w < WINDOWS; w++)
			known |= at >= base[w] && hole <= base[w] + WINDOW_BYTES;
		must(known);
		at = hole;
	}
}

static u8 scratch[WINDOW_BYTES];

static void check_window(struct cow_inode *i, const struct model *m, unsigned w, u64 at, u64 n)
{
	u64 off = base[w] + at, want = off < m->size ? MIN(n, m->size - off) : 0;

	must(cow_file_read(i, off, scratch, n) == (s64)want);
	must(!memcmp(scratch, m->bytes[w] + at, want));
}

static void check_all(struct cow_inode *i, const struct model *m)
{
	must(i->rec.size == m->size);
	for (unsigned w = 0; w < WINDOWS; w++)
		check_window(i, m, w, 0, WINDOW_BYTES);
	rig_check_blocks(i);
	check_holes(i);
}

/* --- operations on both --- */

struct pair {
	struct cow_inode *i;
	struct model m;
};

static u8 *fill(u64 n)
{
	u8 salt = rig_draw(256);

	for (u64 k = 0; k < n; k++)
		scratch[k] = salt + k * 7 + (k >> 9);
	return scratch;
}

static void op_write(struct pair *p)
{
	struct range r = draw_range(rig_draw(20) ? 3 * COW_BLOCK : 40 * COW_BLOCK, false);

	must(cow_file_write(p->i, r.offset, fill(r.n), r.n, &rig_then) == (s64)r.n);
	memcpy(p->m.bytes[r.window] + r.at, scratch, r.n);
	p->m.size = MAX(p->m.size, r.offset + r.n);
}

static struct cow_page *page_with(struct cow_fs *fs, const u8 *bytes)
{
	struct cow_page *page;
	void *data;

	must((page = cow_page_alloc(fs->platform, true, &data)));
	memcpy(data, bytes, COW_BLOCK);
	return page;
}

/* A block through cow_file_write_begin, in its four ways. */
static void op_block(struct pair *p)
{
	struct range r = draw_range(1, true);
	u8 *old = p->m.bytes[r.window] + r.at;
	u32 flags = rig_draw(3) == 0 ? COW_WRITE_WHOLE : rig_draw(2) ? COW_WRITE_MAPPED : 0;
	bool page = rig_draw(4) == 0;
	u64 end = r.offset + COW_BLOCK;
	struct cow_buf *b;

	if (flags == COW_WRITE_MAPPED && end > p->m.size)
		return; /* what is mapped is in the file */
	fill(COW_BLOCK);
	must(!cow_file_write_begin(p->i, r.offset >> COW_BLOCK_SHIFT, flags,
				   page ? page_with(p->i->volume->fs, scratch) : NULL, &b));
	if (!page && !(flags & COW_WRITE_WHOLE))
		must(!memcmp(cow_buf_data(b), old, COW_BLOCK));
	memcpy(cow_buf_data(b), scratch, COW_BLOCK);
	if (!(flags & COW_WRITE_MAPPED)) {
		cow_file_write_end(p->i, end, &rig_then);
		p->m.size = MAX(p->m.size, end);
	}
	cow_buf_put(b);
	memcpy(old, scratch, COW_BLOCK);
}

/* Up to three blocks where they are, those that no commit has: nothing is allocated for it. */
static void op_open(struct pair *p)
{
	struct range r = draw_range(1, true);
	u64 n = 0, free = p->i->volume->fs->free;
	struct cow_buf *b;
	int err;

	fill(3 * COW_BLOCK);
	err = cow_file_write_begin(p->i, r.offset >> COW_BLOCK_SHIFT, COW_WRITE_OPEN, NULL, &b);
	must(!err || err == -EAGAIN);
	if (err)
		return;
	do {
		u8 *old = p->m.bytes[r.window] + r.at + n;

		must(!memcmp(cow_buf_data(b), old, COW_BLOCK));
		memcpy(cow_buf_data(b), scratch + n, COW_BLOCK);
		memcpy(old, scratch + n, COW_BLOCK);
		cow_buf_put(b);
		n += COW_BLOCK;
	} while (n < 3 * COW_BLOCK && r.at + n < WINDOW_BYTES &&
		 !cow_file_write_next(p->i, (r.offset + n) >> COW_BLOCK_SHIFT, &b));
	must(p->i->volume->fs->free == free);
	cow_file_write_end(p->i, r.offset + n, &rig_then);
	p->m.size = MAX(p->m.size, r.offset + n);
}

static void op_read(struct pair *p)
{
	struct range r = draw_range(9 * COW_BLOCK, false);

	check_window(p->i, &p->m, r.window, r.at, r.n);
}

static void op_truncate(struct pair *p)
{
	struct range r = draw_range(1, false);
	u64 size = rig_draw(10) ? r.offset : 0;

	must(!cow_file_truncate(p->i, size, &rig_then));
	model_size(&p->m, size);
	must(p->i->rec.size == size && !(p->i->rec.flags & COW_INODE_CUT));
}

static void op_punch(struct pair *p)
{
	struct range r = draw_range(60 * COW_BLOCK, false);

	if (!rig_draw(30))
		r.n = COW_FILE_MAX; /* to the end */
	must(!cow_file_punch(p->i, r.offset, r.n, &rig_then));
	model_zero(&p->m, r.offset, MIN(r.offset + r.n, COW_FILE_MAX));
}

static void op_allocate(struct pair *p)
{
	struct range r = draw_range(30 * COW_BLOCK, false);
	bool keep = rig_draw(2), zero = rig_draw(2);

	must(!cow_file_allocate(p->i, r.offset, r.n, keep, zero, &rig_then));
	if (zero)
		model_zero(&p->m, r.offset, r.offset + r.n);
	if (!keep)
		p->m.size = MAX(p->m.size, r.offset + r.n);
}

static void op_clone(struct pair *from, struct pair *to)
{
	struct range a = draw_range(20 * COW_BLOCK, true), b = draw_range(1, true);
	u64 n = MIN(a.n, WINDOW_BYTES - b.at);
	int err, want = 0;

	if (a.offset + n > from->m.size)
		want = -EINVAL;
	else if (from == to && a.offset < b.offset + n && b.offset < a.offset + n)
		want = -EINVAL;
	err = cow_file_clone_range(from->i, a.offset, to->i, b.offset, n, &rig_then);
	must(err == want);
	if (err)
		return;
	memmove(to->m.bytes[b.window] + b.at, from->m.bytes[a.window] + a.at, n);
	to->m.size = MAX(to->m.size, b.offset + n);
}

static void op_seek(struct pair *p)
{
	struct range r = draw_range(1, false);
	u64 data = r.offset, hole = r.offset, end = base[r.window] + WINDOW_BYTES;
	int err = cow_file_seek(p->i, &data, true);

	must(!err || err == -ENXIO);
	must(cow_file_seek(p->i, &hole, false) == (r.offset < p->m.size ? 0 : -ENXIO));
	if (!err)
		must(data >= r.offset && data < p->m.size);
	must(rig_all_zero(p->m.bytes[r.window] + r.at, MIN(err ? end : data, end) - r.offset));
	if (hole < end && hole % COW_BLOCK == 0 && hole < p->m.size)
		must(rig_all_zero(p->m.bytes[r.window] + (hole - base[r.window]), COW_BLOCK));
	must(hole <= MAX(p->m.size, r.offset));
}

/* --- the random test --- */

struct world {
	struct rig rig;
	struct pair file[2];
	unsigned clones;
};

static const char *const names[2] = { "a", "b" };

/* From now on in a clone, or after a new mount: what was there must be there. */
static void world_move(struct world *w, bool clone)
{
	char name[16];
	struct cow_volume *v;

	for (unsigned k = 0; k < 2; k++)
		cow_inode_put(w->file[k].i);
	if (clone) {
		snprintf(name, sizeof(name), "clone%u", w->clones++);
		must(!cow_volume_clone(w->rig.volume, name, strlen(name), 0, &v));
		cow_inode_put(w->rig.root);
		cow_volume_put(w->rig.volume);
		w->rig.volume = v;
		must(!cow_inode_get(v, COW_ROOT_INO, &w->rig.root));
	} else {
		struct cow_volume_info info;

		must(!cow_volume_info(w->rig.volume, &info));
		rig_unmount(&w->rig);
		must(!cow_mount(&w->rig.disk, 0, &w->rig.fs));
		must(!cow_volume_find(w->rig.fs, info.name, strlen(info.name), &w->rig.volume));
		must(!cow_inode_get(w->rig.volume, COW_ROOT_INO, &w->rig.root));
	}
	for (unsigned k = 0; k < 2; k++) {
		w->file[k].i = rig_file_open(&w->rig, names[k]);
		check_all(w->file[k].i, &w->file[k].m);
	}
}

static void world_step(struct world *w)
{
	struct pair *p = &w->file[rig_draw(2)];

	switch (rig_draw(40)) {
	case 0 ... 12:
		return op_write(p);
	case 13 ... 15:
		return op_block(p);
	case 16:
		return op_open(p);
	case 17 ... 22:
		return op_read(p);
	case 23 ... 25:
		return op_truncate(p);
	case 26 ... 28:
		return op_punch(p);
	case 29 ... 31:
		return op_allocate(p);
	case 32 ... 34:
		return op_clone(&w->file[rig_draw(2)], p);
	case 35 ... 37:
		return op_seek(p);
	case 38:
		must(!rig_draw(4) ? !cow_sync(w->rig.fs) : true);
		return;
	default:
		if (!rig_draw(8))
			check_all(p->i, &p->m);
		if (!rig_draw(40) && w->clones < 12)
			world_move(w, rig_draw(2));
		return;
	}
}

static void test_random(void)
{
	struct world w = { 0 };
	char name[16];

	rig_draw_state = rig_seed * 0x9e3779b97f4a7c15ull | 1;
	rig_open(&w.rig, 65536);
	for (unsigned k = 0; k < 2; k++) {
		w.file[k].i = rig_file_new(&w.rig, names[k]);
		model_init(&w.file[k].m);
	}
	for (u64 n = 0; n < operations; n++) {
		if (!(n & 31))
			cow_shrink(w.rig.fs, rig_draw(100));
		world_step(&w);
	}
	for (unsigned k = 0; k < 2; k++) {
		check_all(w.file[k].i, &w.file[k].m);
		model_free(&w.file[k].m);
		rig_file_delete(&w.rig, w.file[k].i, names[k]);
	}
	rig_ok(rig_is_clean(&w.rig), "random operations");
	cow_inode_put(w.rig.root);
	cow_volume_put(w.rig.volume);
	must(!cow_volume_find(w.rig.fs, "root", 4, &w.rig.volume));
	must(!cow_inode_get(w.rig.volume, COW_ROOT_INO, &w.rig.root));
	if (w.clones)
		for (unsigned k = 0; k < 2; k++)
			rig_file_delete(&w.rig, rig_file_open(&w.rig, names[k]), names[k]);
	for (unsigned k = 0; k < w.clones; k++) {
		snprintf(name, sizeof(name), "clone%u", k);
		must(!cow_volume_delete(w.rig.fs, name, strlen(name)));
	}
	while (cow_work(w.rig.fs, true))
		;
	/* numbers of volumes were given out: the meta volume's table may have grown */
	w.rig.free = w.clones > 8 ? rig_free_blocks(&w.rig) : w.rig.free;
	rig_close(&w.rig, "random operations");
}

/* --- allocation failures, one after the other --- */

static int change(struct pair *p, unsigned which)
{
	static u8 bytes[2 * COW_BLOCK];

	memset(bytes, 'a' + which, sizeof(bytes));
	switch (which) {
	case 0:
		return cow_file_write(p->i, base[1] + 100, bytes, 3000, &rig_then) == 3000
			       ? 0
			       : -ENOMEM;
	case 1:
		return cow_file_clone_range(p->i, 0, p->i, 100 * COW_BLOCK, COW_BLOCK, &rig_then);
	case 2:
		return cow_file_truncate(p->i, 777, &rig_then);
	case 3:
		return cow_file_punch(p->i, 100, 600, &rig_then);
	case 4:
		return cow_xattr_set(p->i, "user.name", bytes, 6000, 0, &rig_then);
	case 5:
		return cow_xattr_remove(p->i, "user.name", &rig_then);
	default:
		return cow_file_allocate(p->i, 200 * COW_BLOCK, 3 * COW_BLOCK, false, true,
					 &rig_then);
	}
}

static void model_change(struct model *m, unsigned which)
{
	switch (which) {
	case 0:
		memset(m->bytes[1] + 100, 'a', 3000);
		m->size = MAX(m->size, base[1] + 3100);
		break;
	case 2:
		model_size(m, 777);
		break;
	case 3:
		model_zero(m, 100, 700);
		break;
	case 1:
		memcpy(m->bytes[0] + 100 * COW_BLOCK, m->bytes[0], COW_BLOCK);
		m->size = MAX(m->size, 101 * COW_BLOCK);
		break;
	case 6:
		m->size = MAX(m->size, 203 * COW_BLOCK);
		break;
	default:
		break;
	}
}

#define CHANGES 7u

/* Everything is read anew, so that there is much to fail. */
static bool fails_whole(struct rig *r, struct pair *p, unsigned which)
{
	u64 fail = 1;
	int err;

	for (;; fail++) {
		must(!cow_sync(r->fs));
		cow_inode_put(p->i);
		cow_shrink(r->fs, ~0ull);
		p->i = rig_file_open(r, "f");
		cow_platform_fail_in = fail;
		err = change(p, which);
		if (cow_platform_fail_in) { /* it had all that it wanted */
			cow_platform_fail_in = 0;
			must(!err);
			break;
		}
		must(err ? err == -ENOMEM : which == 2); /* the rest goes later */
		if (!err) {
			model_change(&p->m, which);
			must(!cow_file_truncate(p->i, p->m.size, &rig_then));
		}
		check_all(p->i, &p->m);
	}
	model_change(&p->m, which);
	check_all(p->i, &p->m);
	return fail > 1;
}

static void test_no_memory(void)
{
	struct pair p;
	struct rig r;
	bool all = true;

	rig_open(&r, 16384);
	p.i = rig_file_new(&r, "f");
	model_init(&p.m);
	rig_draw_state = 99;
	for (unsigned k = 0; k < 50; k++)
		op_write(&p);
	for (unsigned which = 0; which < CHANGES; which++)
		all &= fails_whole(&r, &p, which);
	rig_ok(all, "each allocation fails once: nothing changes, or all of it");
	model_free(&p.m);
	rig_file_delete(&r, p.i, "f");
	rig_close(&r, "no memory");
}

/* --- what was asked for ahead --- */

#define READY_BLOCKS 40u
#define READY_HOLE   20u
#define READY_BAD    30u

static void *disk_block(struct rig *r, struct cow_inode *i, u64 index)
{
	struct cow_ptr p;

	must(!cow_file_pointer(i, index, &p) && p.addr);
	return (u8 *)r->disk.data + p.addr * COW_BLOCK;
}

/* How many blocks can be had at once from `index` on, each of which must be the right one. */
static unsigned ready(struct cow_inode *i, u64 index)
{
	struct cow_buf *out[COW_READY_MAX];
	unsigned n = cow_file_find_ready(i, index, 100, out);

	for (unsigned k = 0; k < n; k++) {
		must(*(u8 *)cow_buf_data(out[k]) == index + k + 1);
		cow_buf_put(out[k]);
	}
	return n;
}

static void test_ready(void)
{
	static u8 block[COW_BLOCK];
	struct cow_inode *i;
	struct cow_buf *b;
	struct rig r;

	rig_open(&r, 4096);
	i = rig_file_new(&r, "ready");
	for (u64 k = 0; k < READY_BLOCKS; k++) {
		memset(block, k + 1, sizeof(block));
		if (k != READY_HOLE)
			must(cow_file_write(i, k * COW_BLOCK, block, COW_BLOCK, &rig_then) > 0);
	}
	must(!cow_sync(r.fs));
	cow_inode_put(i);
	cow_shrink(r.fs, ~0ull);
	i = rig_file_open(&r, "ready");
	*(u8 *)disk_block(&r, i, READY_BAD) ^= 1;
	rig_ok(ready(i, 0) == 0, "nothing is ready of what is on the disk only");
	cow_file_ahead(i, 0, READY_BLOCKS);
	rig_ok(ready(i, 0) == COW_READY_MAX && ready(i, 16) == READY_HOLE - 16,
	       "what was asked for ahead is ready, up to a hole");
	rig_ok(ready(i, READY_HOLE) == 0 && ready(i, READY_BLOCKS) == 0 && ready(i, 38) == 2,
	       "nothing in a hole, nothing behind the end");
	rig_ok(ready(i, 21) == READY_BAD - 21 && cow_file_find(i, READY_BAD, &b) == -EIO &&
		       ready(i, READY_BAD + 1) == READY_BLOCKS - READY_BAD - 1,
	       "a bad block is not ready; those behind it are");
	*(u8 *)disk_block(&r, i, READY_BAD) ^= 1;
	memset(block, 22, sizeof(block));
	must(cow_file_write(i, 21 * COW_BLOCK, block, COW_BLOCK, &rig_then) > 0);
	must(!cow_file_find(i, READY_BAD, &b) && b);
	cow_buf_put(b);
	rig_ok(ready(i, 21) == COW_READY_MAX, "what is dirty is ready, and what was read again");
	rig_file_delete(&r, i, "ready");
	rig_close(&r, "what was asked for ahead");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		rig_seed = strtoul(argv[1], NULL, 0);
	if (argc > 2)
		operations = strtoul(argv[2], NULL, 0);
	cow_platform_seed = 1;
	printf("# seed %lu, %lu operations\n", (unsigned long)rig_seed, (unsigned long)operations);
	test_ready();
	test_no_memory();
	test_random();
	return rig_end();
}
