/* SPDX-License-Identifier: MIT */
/*
 * cowfs_commit_test.c - a commit with one flush: what its superblock lists, and what a mount makes
 * of one whose list is not there. The disk is in memory and writes at once, so a crash in a commit
 * is its bytes after it with some blocks as they were before. Random ones: cowfs_crash_test.
 */
#include <string.h>

#include "cowfs_fixture.h"

#define BLOCKS 4000ul
#define BYTES  (BLOCKS * COW_BLOCK)

static u8 before[BYTES], after[BYTES];

static u8 *block(struct fixture *f, u64 addr)
{
	return (u8 *)f->disk.data + addr * COW_BLOCK;
}

static void keep(struct fixture *f, u8 *to)
{
	memcpy(to, f->disk.data, BYTES);
}

/* A new file takes a commit, */
static void put_and_fsync(struct fixture *f, const char *name, u64 bytes, u8 what)
{
	struct cow_inode *i = fixture_new(f->root, name, FILE_MODE);

	fixture_write(i, 0, bytes, what);
	must_do(cow_fsync(i, false));
	cow_inode_put(i);
}

/* one that is there a record of the log. */
static void change_and_fsync(struct fixture *f, const char *name, u8 what)
{
	struct cow_inode *i = open_at(f->v, name);

	fixture_write(i, 0, 1, what);
	must_do(cow_fsync(i, false));
	cow_inode_put(i);
}

/*
 * "old" is of a commit that is durable for sure, "new" of one with a list: *super. The disk before
 * and after it is kept, the filesystem is not in memory any more.
 */
static void make(struct fixture *f, struct cow_super *super)
{
	fixture_open(f, BLOCKS);
	f->disk.quiet = true;
	put_and_fsync(f, "old", 9000, 'o');
	fixture_settle(f);
	must_be(f->fs->super.listed, 0);
	keep(f, before);
	put_and_fsync(f, "new", COW_BLOCK, 'n');
	keep(f, after);
	*super = f->fs->super;
	must(super->listed > 4 && super->listed < 20);
	fixture_unmount(f);
}

static void crash_to(struct fixture *f, const u8 *bytes)
{
	memcpy(f->disk.data, bytes, BYTES);
	f->disk.log_lines = 0;
}

static void revert(struct fixture *f, u64 addr)
{
	must(memcmp(before + addr * COW_BLOCK, after + addr * COW_BLOCK, COW_BLOCK));
	memcpy(block(f, addr), before + addr * COW_BLOCK, COW_BLOCK);
}

static void rot(struct fixture *f, u64 addr)
{
	block(f, addr)[100] ^= 4;
}

/* It is mounted for writing, with "old" and perhaps "new", and nothing is wrong. */
static void is_whole(struct fixture *f, bool has_new)
{
	fixture_mount(f);
	must_be(content(f->v, "old"), 'o');
	must_be(content(f->v, "new"), has_new ? 'n' : -1);
	fixture_check(f);
	fixture_unmount(f);
}

static void end(struct fixture *f)
{
	disk_memory_close(&f->disk);
	must_be(cow_platform_live, 0);
}

static bool is_zero(const u8 *p)
{
	return !p[0] && !memcmp(p, p + 1, COW_BLOCK - 1);
}

static struct cow_super *newest(struct fixture *f)
{
	struct cow_super *a = (struct cow_super *)block(f, 0);
	struct cow_super *b = (struct cow_super *)block(f, 1);

	return a->generation > b->generation ? a : b;
}

static void super_sum(struct cow_super *s)
{
	s->csum = cow_checksum(s, offsetof(struct cow_super, csum));
}

/* --- flushes --- */

static u64 last_flushes, last_commits;

static void count_from_here(struct fixture *f)
{
	last_flushes = f->fs->stat_flushes;
	last_commits = f->fs->stat_commits;
}

static void took(struct fixture *f, u64 flushes, u64 commits)
{
	must_be(f->fs->stat_flushes - last_flushes, flushes);
	must_be(f->fs->stat_commits - last_commits, commits);
	count_from_here(f);
}

static void test_flushes(void)
{
	struct fixture f;

	fixture_open(&f, BLOCKS);
	must_be(newest(&f)->listed, 0); /* mkfs has nothing that could be gone back to */
	count_from_here(&f);
	for (unsigned n = 0; n < 20; n++) {
		char name[] = { 'a' + n, 0 };

		put_and_fsync(&f, name, COW_BLOCK, n);
		took(&f, 1, 1);
		must(f.fs->super.listed);
	}
	change_and_fsync(&f, "a", 1);
	took(&f, 1, 0);
	must_do(cow_sync(f.fs));
	took(&f, 1, 1);
	must_do(cow_sync(f.fs)); /* it is durable, confirmed or not */
	cow_work(f.fs, false);
	took(&f, 0, 0);
	must(f.fs->super.listed);
	cow_work(f.fs, true);
	took(&f, 1, 1);
	must_be(f.fs->super.listed, 0);
	cow_work(f.fs, true);
	took(&f, 0, 0);
	put_and_fsync(&f, "last", COW_BLOCK, 'l');
	must(newest(&f)->listed);
	fixture_unmount(&f);
	must_be(newest(&f)->listed, 0);
	fixture_mount(&f);
	fixture_close(&f);
}

/* A list that is just full, and the first commit that is too large for one. */
static void test_limit(void)
{
	struct fixture f;
	bool full = false;

	for (u64 blocks = COW_LIST_MAX - 20; blocks <= COW_LIST_MAX; blocks++) {
		u64 listed;

		fixture_open(&f, BLOCKS);
		f.disk.quiet = true;
		put_and_fsync(&f, "old", 9000, 'o');
		fixture_settle(&f);
		keep(&f, before);
		count_from_here(&f);
		put_and_fsync(&f, "new", blocks * COW_BLOCK, 'n');
		listed = f.fs->super.listed;
		took(&f, full ? 2 : 1, 1);
		must(full ? !listed : listed > blocks);
		keep(&f, after);
		fixture_unmount(&f);
		crash_to(&f, after);
		is_whole(&f, true);
		if (listed == COW_LIST_MAX) {
			full = true;
			crash_to(&f, after);
			revert(&f, newest(&f)->list[COW_LIST_MAX - 1].addr);
			is_whole(&f, false);
		}
		fixture_mount(&f);
		fixture_discard(&f);
	}
	must(full);
}

/* --- crashes --- */

static char notes[2000];

static void note(void *arg, const char *text)
{
	(void)arg;
	strncat(notes, text, sizeof(notes) - strlen(notes) - 1);
}

/* Mounted read-only the former commit is there, fsck says why, and nothing is written. */
static void shows_old(struct fixture *f)
{
	static u8 was[BYTES];
	struct cow_check c = { .report = note };

	notes[0] = 0;
	keep(f, was);
	must_do(cow_mount(&f->disk, COW_MOUNT_READ_ONLY, &f->fs));
	must_do(cow_volume_find(f->fs, "root", 4, &f->v));
	must_be(content(f->v, "new"), -1);
	must_do(cow_check(f->fs, &c));
	must(!c.problems && strstr(notes, "was not finished"));
	cow_volume_put(f->v);
	must_do(cow_unmount(f->fs));
	must(!memcmp(was, f->disk.data, BYTES));
}

/* Of the commit one block is not there. */
static void test_block_missing(void)
{
	struct cow_super super;
	struct fixture f;
	u64 slot, n;

	make(&f, &super);
	slot = super.generation & 1;
	for (n = 0; n < super.listed; n++) {
		crash_to(&f, after);
		revert(&f, super.list[n].addr);
		shows_old(&f);
		must(f.disk.log_lines);
		fixture_mount(&f);
		must(is_zero(block(&f, slot)) && is_zero(block(&f, BLOCKS - 2 + slot)));
		fixture_unmount(&f);
		/* the very bytes come to lie there: it does not count all the same */
		memcpy(block(&f, super.list[n].addr), after + super.list[n].addr * COW_BLOCK,
		       COW_BLOCK);
		is_whole(&f, false);
	}
	crash_to(&f, after); /* the control */
	is_whole(&f, true);
	must_be(f.disk.log_lines, 0);
	end(&f);
}

/* The superblock or its copy, or both, are torn or not there. */
static void test_super_torn(void)
{
	struct cow_super super;
	struct fixture f;

	make(&f, &super);
	for (unsigned how = 0; how < 16; how++) {
		bool gone = false;

		crash_to(&f, after);
		for (unsigned n = 0; n < 2; n++) {
			u64 addr = n * (BLOCKS - 2) + (super.generation & 1);

			if (how & 1 << n)
				memcpy(block(&f, addr), before + addr * COW_BLOCK,
				       how & 4 << n ? COW_BLOCK : 512);
		}
		gone = (how & 3) == 3;
		is_whole(&f, !gone);
	}
	end(&f);
}

/* A list that no commit makes: such a superblock does not count. */
static void test_forged(void)
{
	struct cow_super super;
	struct fixture f;

	make(&f, &super);
	for (unsigned how = 0; how < 6; how++) {
		const u64 addr[] = { 0, super.log_start, super.counts_start - 1, BLOCKS - 2,
				     ~0ull };

		crash_to(&f, after);
		for (unsigned n = 0; n < 2; n++) {
			u64 at = n * (BLOCKS - 2) + (super.generation & 1);
			struct cow_super *s = (struct cow_super *)block(&f, at);

			if (how < 5)
				s->list[1].addr = addr[how];
			else
				s->listed = COW_LIST_MAX + 1;
			super_sum(s);
		}
		is_whole(&f, false);
	}
	/* the same block twice is nothing bad */
	crash_to(&f, after);
	newest(&f)->list[1] = newest(&f)->list[0];
	super_sum(newest(&f));
	is_whole(&f, true);
	end(&f);
}

/* --- what is bad, but was not left by a crash --- */

/* The block of "new": in `after` it is the one that is full of 'n'. */
static u64 data_of_new(const struct cow_super *s)
{
	for (u64 n = 0; n < s->listed; n++)
		if (after[s->list[n].addr * COW_BLOCK] == 'n' &&
		    after[s->list[n].addr * COW_BLOCK + 4000] == 'n')
			return s->list[n].addr;
	must(!"found");
	return 0;
}

/* The commit counts, its file cannot be read, and all else can. */
static void is_damaged(struct fixture *f)
{
	struct cow_check c = { .report = note };
	struct cow_inode *i;
	u8 byte;

	fixture_mount(f);
	i = open_at(f->v, "new");
	must(i);
	must_be(cow_file_read(i, 0, &byte, 1), -EIO);
	cow_inode_put(i);
	must_be(content(f->v, "old"), 'o');
	must_do(cow_check(f->fs, &c));
	must(c.problems);
	fixture_unmount(f);
}

/* Rot before the confirmation looks like a crash: it is said, and the former commit counts. */
static void test_rot(void)
{
	struct cow_super super;
	struct fixture f;
	u64 addr, slot;

	make(&f, &super);
	addr = data_of_new(&super);
	slot = super.generation & 1;
	crash_to(&f, after);
	rot(&f, addr);
	shows_old(&f);
	is_whole(&f, false);
	/* nothing to go back to, or only something older */
	for (unsigned older = 0; older < 2; older++) {
		crash_to(&f, after);
		rot(&f, addr);
		for (unsigned n = 0; n < 2; n++) {
			struct cow_super *s =
				(struct cow_super *)block(&f, n * (BLOCKS - 2) + !slot);

			s->magic *= older;
			s->generation -= 2;
			super_sum(s);
		}
		is_damaged(&f);
	}
	/* confirmed by an unmount */
	crash_to(&f, after);
	fixture_mount(&f);
	fixture_unmount(&f);
	rot(&f, addr);
	is_damaged(&f);
	/* by the next commit, whose own list is not there */
	crash_to(&f, after);
	fixture_mount(&f);
	put_and_fsync(&f, "more", COW_BLOCK, 'm');
	keep(&f, before);
	fixture_unmount(&f);
	crash_to(&f, before);
	rot(&f, newest(&f)->list[0].addr);
	rot(&f, addr);
	is_damaged(&f);
	fixture_mount(&f);
	must_be(content(f.v, "more"), -1);
	fixture_discard(&f);
}

/* A log record is newer than the flush, too: it is not lost. */
static void test_rot_with_log(void)
{
	struct cow_super super;
	struct fixture f;

	make(&f, &super);
	crash_to(&f, after);
	fixture_mount(&f);
	change_and_fsync(&f, "old", 'x');
	must_be(f.fs->stat_log_records, 1);
	keep(&f, before);
	fixture_unmount(&f);
	crash_to(&f, before);
	rot(&f, data_of_new(&super));
	fixture_mount(&f);
	must_be(content(f.v, "old"), 'x');
	must(f.fs->super.generation > super.generation);
	fixture_discard(&f);
}

/* --- disks with errors --- */

#define NEVER (~0ull)

static const struct cow_disk_ops *memory;
static struct {
	u64 addr;	     /* cannot be read */
	u64 writes, flushes; /* so many go well, then one fails */
	u64 failed;
} bad;

static bool fails(u64 *left)
{
	bool now = !*left;

	*left -= *left != NEVER;
	bad.failed += now;
	return now;
}

static int bad_read(struct cow_platform *p, u64 addr, void *const *data, unsigned count)
{
	if (addr <= bad.addr && bad.addr < addr + count)
		return -EIO;
	return memory->read(p, addr, data, count);
}

static int bad_write(struct cow_platform *p, u64 addr, const void *const *data, unsigned count)
{
	return fails(&bad.writes) ? -EIO : memory->write(p, addr, data, count);
}

static int bad_flush(struct cow_platform *p)
{
	return fails(&bad.flushes) ? -EIO : memory->flush(p);
}

static const struct cow_disk_ops bad_ops = { bad_read, bad_write, bad_flush };

static void break_disk(struct fixture *f, u64 addr, u64 writes, u64 flushes)
{
	memory = f->disk.ops;
	f->disk.ops = &bad_ops;
	bad.addr = addr;
	bad.writes = writes;
	bad.flushes = flushes;
	bad.failed = 0;
}

static void mend_disk(struct fixture *f)
{
	f->disk.ops = memory;
}

/* It is read-only, and its unmount says so. */
static void is_read_only(struct fixture *f)
{
	must_be(put(f->v, "more", 10, 'm'), -EROFS);
	must_be(content(f->v, "old"), 'o');
	cow_inode_put(f->root);
	cow_volume_put(f->v);
	must_be(cow_unmount(f->fs), -EIO);
}

/* Each write of a commit fails, in the end the flush: read-only, and nothing is half there. */
static void test_commit_fails(void)
{
	struct cow_super super;
	struct fixture f;
	u64 n = 0, there = 0;
	bool last;

	make(&f, &super);
	do {
		crash_to(&f, before);
		fixture_mount(&f);
		must_do(put(f.v, "new", COW_BLOCK, 'n'));
		break_disk(&f, BLOCKS, n++, NEVER);
		last = !cow_sync(f.fs);
		must_be(last, !bad.failed);
		mend_disk(&f);
		if (last)
			fixture_unmount(&f);
		else
			is_read_only(&f);
		fixture_mount(&f);
		there += !last && content(f.v, "new") == 'n';
		fixture_check(&f);
		fixture_unmount(&f);
	} while (!last);
	must(n > 6);
	must_be(there, 2); /* the superblock or its copy failed, not both */
	crash_to(&f, before);
	fixture_mount(&f);
	must_do(put(f.v, "new", COW_BLOCK, 'n'));
	break_disk(&f, BLOCKS, NEVER, 0);
	must_be(cow_sync(f.fs), -EIO);
	mend_disk(&f);
	is_read_only(&f);
	is_whole(&f, true);
	end(&f);
}

/* A mount whose flush fails is one for reading; one that cannot tell what is there is none. */
static void test_mount_fails(void)
{
	struct cow_super super;
	struct fixture f;

	make(&f, &super);
	crash_to(&f, after);
	break_disk(&f, super.list[2].addr, NEVER, NEVER);
	must_be(cow_mount(&f.disk, 0, &f.fs), -EIO);
	must_be(cow_mount(&f.disk, COW_MOUNT_READ_ONLY, &f.fs), -EIO);
	must(!memcmp(after, f.disk.data, BYTES));
	mend_disk(&f);
	for (u64 n = 0; n < 5; n++) {
		crash_to(&f, after);
		revert(&f, super.list[1].addr);
		break_disk(&f, BLOCKS, n < 2 ? n : NEVER, n < 2 ? NEVER : n - 2);
		fixture_mount(&f);
		must_be(bad.failed, 1);
		must_be(content(f.v, "new"), -1);
		is_read_only(&f);
		mend_disk(&f);
		is_whole(&f, false);
	}
	end(&f);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "how many flushes it takes", test_flushes },
		{ "a full list, and one block more", test_limit },
		{ "a block of the list is not there", test_block_missing },
		{ "torn superblocks", test_super_torn },
		{ "lists that no commit makes", test_forged },
		{ "rot before and after the confirmation", test_rot },
		{ "rot, and a log record", test_rot_with_log },
		{ "a write or the flush fails", test_commit_fails },
		{ "a mount with errors", test_mount_fails },
	};

	for (unsigned n = 0; n < ARRAY_SIZE(tests); n++) {
		tests[n].run();
		printf("ok %u - %s\n", n + 1, tests[n].name);
		fflush(stdout);
	}
	printf("1..%zu\n", ARRAY_SIZE(tests));
	return 0;
}
