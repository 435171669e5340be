/* SPDX-License-Identifier: MIT */
/* cowfs_range_test.c - truncate, fallocate, sharing of ranges, one by one; readers beside a writer.
 */
#include <pthread.h>
#include <string.h>

#include "cowfs/rig.h"

static void test_big(void)
{
	static u8 block[COW_BLOCK] = { 1 };
	struct cow_inode *i;
	struct cow_attr a = { .valid = COW_ATTR_MODE, .mode = 0600 };
	struct rig r;

	rig_open(&r, 32768);
	i = rig_file_new(&r, "big");
	for (u64 k = 0; k < 9000; k++)
		must(cow_file_write(i, k * COW_BLOCK, block, COW_BLOCK, &rig_then) == COW_BLOCK);
	must(cow_file_write(i, COW_FILE_MAX - 1, block, 1, &rig_then) == 1);
	must(cow_file_write(i, COW_FILE_MAX, block, 1, &rig_then) == -EFBIG);
	must(cow_file_truncate(i, COW_FILE_MAX + 1, &rig_then) == -EFBIG);
	rig_ok(i->rec.blocks == 9001 && i->rec.size == COW_FILE_MAX, "a file of the greatest size");
	must(!cow_sync(r.fs));
	must(!cow_setattr(i, &a));
	must(!cow_file_truncate(i, 100, &rig_then));
	rig_check_blocks(i);
	rig_ok(i->rec.blocks == 1 && (i->rec.mode & 07777) == 0600 && i->rec.depth == 0,
	       "truncated in many steps: one block is left, and no tree");
	rig_file_delete(&r, i, "big");
	rig_close(&r, "a big file");
}

/* Allocations that fail in the middle of a long truncation: it gets to its end all the same. */
static void test_cut_memory(void)
{
	static u8 block[COW_BLOCK] = { 1 };
	struct cow_inode *i;
	struct rig r;

	rig_open(&r, 32768);
	i = rig_file_new(&r, "cut");
	for (u64 fail = 1; fail < 40; fail++) {
		for (u64 k = 0; k < 2000; k += 3)
			must(cow_file_write(i, k * COW_BLOCK, block, COW_BLOCK, &rig_then) ==
			     COW_BLOCK);
		must(!cow_sync(r.fs));
		cow_shrink(r.fs, ~0ull);
		cow_platform_fail_in = fail;
		if (!cow_file_truncate(i, COW_BLOCK, &rig_then))
			must(i->rec.size == COW_BLOCK);
		cow_platform_fail_in = 0;
		rig_check_blocks(i);
		must(!cow_file_truncate(i, COW_BLOCK, &rig_then));
		must(!cow_file_truncate(i, 2000 * COW_BLOCK, &rig_then) && i->rec.blocks == 1);
		must(!cow_file_truncate(i, 0, &rig_then));
	}
	rig_ok(true, "a long truncation, and no memory in the middle of it");
	rig_file_delete(&r, i, "cut");
	rig_close(&r, "cut");
}

/* Damages, or heals, the n-th block of pointers of a file of depth 2. */
static void map_damage(struct rig *r, struct cow_inode *i, unsigned n)
{
	struct cow_buf *top;
	u64 addr;

	must(!cow_inode_sums(i));
	must(!cow_buf_read(r->fs, &i->rec.root, (struct cow_shape){ COW_TREE_FILE, 2 }, &top));
	addr = ((struct cow_map *)cow_buf_data(top))->ptr[n].addr;
	cow_buf_put(top);
	((u8 *)r->disk.data)[addr * COW_BLOCK + 100] ^= 1;
}

/* A truncation that cannot end: the size holds, what is behind it is not there. */
static void test_cut(void)
{
	static u8 block[COW_BLOCK] = { 1 }, got[COW_BLOCK];
	struct cow_inode *i;
	struct rig r;
	u64 at = 0;

	rig_open(&r, 32768);
	i = rig_file_new(&r, "cut");
	for (u64 k = 0; k < 2000; k++)
		must(cow_file_write(i, k * COW_BLOCK, block, COW_BLOCK, &rig_then) == COW_BLOCK);
	must(!cow_sync(r.fs));
	cow_shrink(r.fs, ~0ull);
	map_damage(&r, i, 5);
	must(!cow_file_truncate(i, 2 * COW_BLOCK, &rig_then));
	must(i->rec.size == 2 * COW_BLOCK && i->rec.flags & COW_INODE_CUT);
	must(i->rec.blocks == 2 + 2000 - 640);
	must(cow_file_truncate(i, 2000 * COW_BLOCK, &rig_then) == -EIO);
	must(cow_file_write(i, 700 * COW_BLOCK, block, 1, &rig_then) == -EIO);
	must(cow_file_read(i, COW_BLOCK, got, 4 * COW_BLOCK) == COW_BLOCK && got[0] == 1);
	must(!cow_file_seek(i, &at, false) && at == 2 * COW_BLOCK);
	must(!cow_sync(r.fs));
	cow_inode_put(i);
	rig_unmount(&r);
	rig_mount(&r);
	i = rig_file_open(&r, "cut");
	map_damage(&r, i, 5);
	must(rig_is_clean(&r)); /* what is behind the end is no fault */
	must(!cow_file_truncate(i, 2000 * COW_BLOCK, &rig_then));
	must(i->rec.blocks == 2 && !(i->rec.flags & COW_INODE_CUT));
	must(cow_file_read(i, 700 * COW_BLOCK, got, COW_BLOCK) == COW_BLOCK);
	must(rig_all_zero(got, COW_BLOCK));
	rig_ok(true, "a truncation that stopped half way is ended by the next change");
	rig_file_delete(&r, i, "cut");
	rig_close(&r, "cut half way");
}

static void test_errors(void)
{
	static u8 block[COW_BLOCK];
	struct cow_inode *a, *b;
	struct rig r;
	u64 at = 0;

	rig_open(&r, 4096);
	a = rig_file_new(&r, "a");
	b = rig_file_new(&r, "b");
	must(cow_file_seek(a, &at, true) == -ENXIO && cow_file_seek(a, &at, false) == -ENXIO);
	must(cow_file_read(a, 0, block, 10) == 0);
	must(cow_file_write(a, 0, "hello", 5, &rig_then) == 5);
	must(cow_file_clone_range(a, 1, b, 0, 4, &rig_then) == -EINVAL);
	must(cow_file_clone_range(a, 0, b, 0, 6, &rig_then) == -EINVAL);
	must(cow_file_clone_range(a, 0, b, 0, 4, &rig_then) == -EINVAL);
	must(!cow_file_clone_range(a, 0, b, 8192, 5, &rig_then));
	must(b->rec.size == 8197 && b->rec.blocks == 1);
	must(cow_file_write(a, 0, "J", 1, &rig_then) == 1);
	must(cow_file_read(b, 8190, block, 100) == 7 && !memcmp(block, "\0\0hello", 7));
	must(cow_file_read(a, 0, block, 100) == 5 && !memcmp(block, "Jello", 5));
	must(cow_file_clone_range(a, 0, b, 0, 5, &rig_then) == -EINVAL);
	rig_ok(true, "sharing the end of a file, and what cannot be shared");
	must(cow_file_allocate(a, 0, 1ull << 40, false, false, &rig_then) == -ENOSPC);
	must(cow_file_allocate(a, COW_FILE_MAX - 1, 2, false, false, &rig_then) == -EFBIG);
	must(a->rec.size == 5);
	rig_ok(true, "fallocate of more than there is");
	rig_file_delete(&r, a, "a");
	rig_file_delete(&r, b, "b");
	rig_close(&r, "errors");
}

/* Promised space is there when all else is used up. */
static void test_reserved(void)
{
	static u8 block[2 * COW_BLOCK] = { 7 };
	struct cow_inode *a, *b;
	struct rig r;
	u64 n = 0;

	rig_open(&r, 2048);
	a = rig_file_new(&r, "a");
	b = rig_file_new(&r, "b");
	must(!cow_file_allocate(a, 0, 300 * COW_BLOCK, true, false, &rig_then));
	must(a->rec.blocks == 300 && !a->rec.size && r.fs->reserved_blocks == 300);
	while (cow_file_write(b, n * COW_BLOCK, block, COW_BLOCK, &rig_then) == COW_BLOCK)
		n++;
	must(n > 500);
	must(cow_file_write(b, n * COW_BLOCK, block, COW_BLOCK, &rig_then) == -ENOSPC);
	must(cow_file_write(a, 300 * COW_BLOCK, block, COW_BLOCK, &rig_then) == -ENOSPC);
	for (u64 k = 0; k < 300; k += 2)
		must(cow_file_write(a, k * COW_BLOCK, block, 2 * COW_BLOCK, &rig_then) ==
		     2 * COW_BLOCK);
	must(!r.fs->reserved_blocks && a->rec.blocks == 300);
	must(!cow_sync(r.fs));
	must(cow_file_write(a, 0, block, COW_BLOCK, &rig_then) == -ENOSPC);
	rig_ok(true, "promised space is there when the disk is full");
	rig_file_delete(&r, a, "a");
	rig_file_delete(&r, b, "b");
	rig_close(&r, "promised space");
}

/* --- several threads: readers never see an error, whatever becomes of the blocks --- */

struct readers {
	struct rig rig;
	struct cow_inode *i;
	bool stop;
};

static void *read_all_the_time(void *arg)
{
	struct readers *t = arg;
	u8 *buf = malloc(64 * COW_BLOCK);
	u64 n = 0;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE))
		for (u64 at = 0; at < 400; at += 50, n++)
			if (cow_file_read(t->i, at * COW_BLOCK, buf, 64 * COW_BLOCK) < 0)
				n = 1ull << 60;
	free(buf);
	return (void *)(n < 1ull << 60 ? n : 0);
}

static void test_threads(void)
{
	static u8 bytes[8 * COW_BLOCK];
	pthread_t thread[2];
	struct readers t = { 0 };
	bool good = true;
	void *n;

	rig_draw_state = 5;
	rig_open(&t.rig, 4096);
	t.i = rig_file_new(&t.rig, "t");
	for (unsigned k = 0; k < 2; k++)
		must(!pthread_create(&thread[k], NULL, read_all_the_time, &t));
	for (unsigned k = 0; k < 3000; k++) {
		u64 at = rig_draw(400) * COW_BLOCK;

		memset(bytes, k, sizeof(bytes));
		if (k % 16 == 0)
			must(!cow_sync(t.rig.fs));
		else if (k % 16 == 1)
			cow_shrink(t.rig.fs, ~0ull);
		else if (k % 16 == 2)
			must(!cow_file_punch(t.i, at, 50 * COW_BLOCK, &rig_then));
		else if (k % 64 == 3)
			must(!cow_file_truncate(t.i, at, &rig_then));
		else
			must(cow_file_write(t.i, at, bytes, sizeof(bytes), &rig_then) ==
			     sizeof(bytes));
	}
	__atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
	for (unsigned k = 0; k < 2; k++) {
		must(!pthread_join(thread[k], &n));
		good &= n != NULL;
	}
	rig_check_blocks(t.i);
	rig_ok(good && !t.rig.disk.log_lines, "two readers beside a writer and commits");
	rig_file_delete(&t.rig, t.i, "t");
	rig_close(&t.rig, "threads");
}

/* --- what is written through page tables behind the end is not in the file --- */

static void mapped_write(struct cow_inode *i, u64 at, u8 what)
{
	struct cow_buf *b;

	must(!cow_file_write_begin(i, at >> COW_BLOCK_SHIFT, COW_WRITE_MAPPED, NULL, &b));
	memset((u8 *)cow_buf_data(b) + at % COW_BLOCK, what, COW_BLOCK - at % COW_BLOCK);
	cow_buf_put(b);
}

static void test_mapped_tail(void)
{
	static u8 got[4 * COW_BLOCK], want[4 * COW_BLOCK];
	struct cow_inode *i;
	struct rig r;

	rig_open(&r, 4096);
	i = rig_file_new(&r, "m");
	for (unsigned way = 0; way < 5; way++) {
		u64 size = way == 1 ? 700 : 3 * COW_BLOCK;

		memset(want, 0, sizeof(want));
		memset(want, 'd', 500);
		must(cow_file_write(i, 0, want, 500, &rig_then) == 500);
		mapped_write(i, 500, 'x');
		if (way == 0)
			must(!cow_file_truncate(i, size, &rig_then));
		if (way == 1)
			must(cow_file_write(i, 699, "", 1, &rig_then) == 1);
		if (way == 2)
			must(cow_file_write(i, size - 1, "", 1, &rig_then) == 1);
		if (way == 3)
			must(!cow_file_allocate(i, 0, size, false, false, &rig_then));
		if (way == 4)
			must(!cow_file_clone_range(i, 0, i, 2 * COW_BLOCK, 500, &rig_then));
		if (way == 4) {
			memset(want + 2 * COW_BLOCK, 'd', 500);
			size = 2 * COW_BLOCK + 500;
		}
		must(cow_file_read(i, 0, got, sizeof(got)) == (s64)size);
		must(!memcmp(got, want, size));
		must(!cow_file_truncate(i, 0, &rig_then));
	}
	rig_ok(true, "bytes behind the end, written through page tables, are not in the file");
	rig_file_delete(&r, i, "m");
	rig_close(&r, "mapped tail");
}

int main(void)
{
	cow_platform_seed = 1;
	test_big();
	test_cut_memory();
	test_cut();
	test_errors();
	test_reserved();
	test_threads();
	test_mapped_tail();
	return rig_end();
}
