/* SPDX-License-Identifier: MIT */
/*
 * cowfs_log_test.c - fsync by the intent log: what it writes, what a mount makes of it. The disk is
 * in memory and writes at once, so a crash is a copy of its bytes. Any order of writes, torn ones:
 * cowfs_crash_test.
 */
#include <string.h>

#include "cowfs/rig.h"

#define BLOCKS 4096ul
#define BYTES  (BLOCKS * COW_BLOCK)

static u8 disk_then[BYTES];

static void crash_keep(struct rig *r)
{
	memcpy(disk_then, r->disk.data, BYTES);
}

/* Back to what crash_keep() kept. */
static void crash_to(struct rig *r)
{
	rig_unmount(r);
	memcpy(r->disk.data, disk_then, BYTES);
	rig_mount(r);
}

static void write_byte(struct cow_inode *i, u64 index, u8 what)
{
	u8 bytes[COW_BLOCK];

	memset(bytes, what, sizeof(bytes));
	must(cow_file_write(i, index * COW_BLOCK, bytes, COW_BLOCK, &rig_then) == COW_BLOCK);
}

static u8 read_byte(struct cow_inode *i, u64 index)
{
	u8 byte = 0;

	must(cow_file_read(i, index * COW_BLOCK, &byte, 1) == 1);
	return byte;
}

/* Places in all parts of a tree that grows: the first grows it by one level, the last by two. */
static const u64 places[] = { 3,   700, 701, 3,	  129, 16384, 2,       700,
			      130, 3,	5,   800, 700, 16385, 2097152, 4 };

/* An fsync after an fsync tells what is new, and a crash leaves all that was told. */
static void test_again_and_again(void)
{
	u8 want[ARRAY_SIZE(places)];
	struct cow_inode *i;
	struct rig r;

	rig_open(&r, BLOCKS);
	i = rig_file_new(&r, "a");
	write_byte(i, 0, 'z');
	must(!cow_sync(r.fs));
	for (unsigned n = 0; n < ARRAY_SIZE(places); n++) {
		u64 records = r.fs->stat_log_records, writes = r.fs->stat_writes;

		write_byte(i, places[n], 'a' + n);
		must(!cow_fsync(i, false));
		must(r.fs->stat_log_records == records + 1);
		must(r.fs->stat_writes == writes + 2); /* a block, and the record */
		crash_keep(&r);
		for (unsigned k = 0; k <= n; k++)
			for (unsigned m = 0; m <= n; m++)
				if (places[m] == places[k])
					want[k] = 'a' + m;
		write_byte(i, places[n], '!'); /* nobody promised that */
		cow_inode_put(i);
		rig_unmount(&r);
		memcpy(r.disk.data, disk_then, BYTES);
		must(!cow_mount(&r.disk, COW_MOUNT_READ_ONLY, &r.fs));
		must(!cow_volume_find(r.fs, "root", 4, &r.volume));
		must(!cow_inode_get(r.volume, COW_ROOT_INO, &r.root));
		i = rig_file_open(&r, "a");
		for (unsigned k = 0; k <= n; k++)
			must(read_byte(i, places[k]) == want[k]);
		must(read_byte(i, 0) == 'z');
		cow_inode_put(i);
		rig_unmount(&r);
		memcpy(r.disk.data, disk_then, BYTES);
		rig_mount(&r);
		i = rig_file_open(&r, "a");
		rig_check_blocks(i);
	}
	rig_ok(rig_is_clean(&r), "fsync after fsync: each is there after a crash");
	rig_file_delete(&r, i, "a");
	rig_close(&r, "fsync after fsync");
}

/*
 * The same without a crash between them, while the file grows: one commit has all the blocks, one
 * log all the records.
 */
static void test_one_log(void)
{
	struct cow_inode *i;
	u64 records, commits;
	static u8 want[20000];
	struct rig r;

	rig_open(&r, BLOCKS);
	i = rig_file_new(&r, "a");
	must(!cow_sync(r.fs));
	records = r.fs->stat_log_records;
	commits = r.fs->stat_commits;
	rig_draw_state = 7;
	for (unsigned n = 0; n < 25; n++) {
		/* a change below the old top, then two levels more at once */
		if (n == 8)
			write_byte(i, 5, want[5] = 'b');
		for (u64 k = rig_draw(4); k < 4; k++) {
			u64 at = n < 8 ? rig_draw(100) : sizeof(want) - 1 - rig_draw(3000);

			want[at] = 1 + rig_draw(255);
			write_byte(i, at, want[at]);
		}
		must(!cow_fsync(i, true));
	}
	must(r.fs->stat_log_records == records + 25 && r.fs->stat_commits == commits);
	crash_keep(&r);
	cow_inode_put(i);
	crash_to(&r);
	i = rig_file_open(&r, "a");
	for (u64 k = 0; k < i->rec.size / COW_BLOCK; k++)
		must(read_byte(i, k) == want[k]);
	rig_ok(rig_is_clean(&r), "25 records of one file, replayed");
	rig_file_delete(&r, i, "a");
	rig_close(&r, "25 records");
}

/* What is new before a clone is new after it, also in a block of pointers that a cut copied. */
static void test_clone_between(void)
{
	struct cow_inode *i;
	struct cow_volume *v;
	struct rig r;

	rig_open(&r, BLOCKS);
	i = rig_file_new(&r, "a");
	for (u64 k = 0; k < 10; k++)
		write_byte(i, k, 'o');
	must(!cow_sync(r.fs));
	write_byte(i, 3, 'n');
	must(!cow_volume_clone(r.volume, "clone", 5, 0, &v));
	must(!cow_file_truncate(i, 7 * COW_BLOCK, &rig_then));
	must(!cow_fsync(i, false));
	must(r.fs->stat_log_records == 1);
	crash_keep(&r);
	cow_volume_put(v);
	cow_inode_put(i);
	crash_to(&r);
	i = rig_file_open(&r, "a");
	must(i->rec.size == 7 * COW_BLOCK);
	must(read_byte(i, 2) == 'o' && read_byte(i, 3) == 'n');
	rig_ok(rig_is_clean(&r), "a change, a clone, a cut, an fsync");
	rig_file_delete(&r, i, "a");
	rig_close(&r, "a clone between");
}

/*
 * A crash during an fsync left the record without the block that it names: it does not count. Nor
 * does it when those very bytes come to lie there later.
 */
static void test_half_a_record(void)
{
	static u8 block[COW_BLOCK], zeros[COW_BLOCK];
	struct cow_inode *i;
	struct rig r;
	u8 *there;

	rig_open(&r, BLOCKS);
	i = rig_file_new(&r, "a");
	write_byte(i, 0, 'o');
	must(!cow_sync(r.fs));
	write_byte(i, 0, 'n');
	must(!cow_fsync(i, false));
	there = (u8 *)r.disk.data + i->rec.root.addr * COW_BLOCK;
	must(there[0] == 'n');
	memcpy(block, there, COW_BLOCK);
	crash_keep(&r);
	memcpy(disk_then + (there - (u8 *)r.disk.data), zeros, COW_BLOCK);
	cow_inode_put(i);
	crash_to(&r);
	i = rig_file_open(&r, "a");
	must(read_byte(i, 0) == 'o');
	crash_keep(&r);
	memcpy(disk_then + (there - (u8 *)r.disk.data), block, COW_BLOCK);
	cow_inode_put(i);
	crash_to(&r);
	i = rig_file_open(&r, "a");
	must(read_byte(i, 0) == 'o');
	rig_ok(rig_is_clean(&r), "a record without its block never counts");
	rig_file_delete(&r, i, "a");
	rig_close(&r, "half a record");
}

int main(void)
{
	cow_platform_seed = 1;
	test_again_and_again();
	test_one_log();
	test_clone_between();
	test_half_a_record();
	return rig_end();
}
