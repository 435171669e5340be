/* SPDX-License-Identifier: MIT */
/* cowfs_check_test.c - fsck: each sort of damage is found, and repaired so that nothing is wrong
 * after it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cowfs/disk.h"
#include "fs/cowfs/internal.h"

#define BLOCKS 1200

static int tap_count, tap_failures;
static struct cow_platform disk;
static struct cow_fs *fs;
static struct cow_volume *v;
static u64 file_ino, other_ino, dir_ino;
static char first_text[256];

static void ok(bool good, const char *what, const char *more)
{
	printf("%sok %d - %s: %s\n", good ? "" : "not ", ++tap_count, what, more);
	tap_failures += !good;
}

static void must(int err)
{
	if (!err)
		return;
	printf("Bail out! error %d\n", err);
	exit(1);
}

static u64 make(struct cow_inode *dir, const char *name, u32 mode)
{
	const struct cow_new n = { .mode = mode };
	struct cow_inode *i;
	u64 ino;

	must(cow_create(dir, name, strlen(name), &n, &i));
	if ((mode & COW_S_TYPE) == COW_S_FILE)
		must(cow_file_write(i, 0, name, strlen(name), NULL) < 0);
	ino = i->ino;
	cow_inode_put(i);
	return ino;
}

static void start(void)
{
	const struct cow_format_options o = { .name_seed = 5 };
	struct cow_inode *root, *dir;

	must(disk_memory_open(&disk, BLOCKS));
	disk.quiet = true;
	must(cow_format(&disk, &o));
	must(cow_mount(&disk, 0, &fs));
	must(cow_volume_find(fs, "root", 4, &v));
	must(cow_inode_get(v, COW_ROOT_INO, &root));
	dir_ino = make(root, "dir", COW_S_DIR | 0755);
	must(cow_inode_get(v, dir_ino, &dir));
	file_ino = make(root, "file", COW_S_FILE | 0644);
	other_ino = make(dir, "other", COW_S_FILE | 0644);
	for (u32 n = 0; n < 12; n++) { /* free numbers */
		char name[8] = { 'a' + n % 6 };
		struct cow_inode *i;
		u64 ino;

		if (n < 6) {
			make(root, name, COW_S_FILE | 0600);
			continue;
		}
		must(cow_lookup(root, name, 1, &ino));
		must(cow_inode_get(v, ino, &i));
		must(cow_unlink(root, name, 1, i, &(struct cow_time){ 0 }));
		cow_inode_put(i);
	}
	cow_inode_put(dir);
	cow_inode_put(root);
	must(cow_sync(fs));
}

static void end(void)
{
	cow_volume_put(v);
	must(cow_unmount(fs));
	disk_memory_close(&disk);
}

static void keep_first(void *arg, const char *text)
{
	(void)arg;
	if (!first_text[0])
		snprintf(first_text, sizeof(first_text), "%s", text);
}

static u64 check(bool repair)
{
	struct cow_check c = { .report = keep_first, .repair = repair };

	first_text[0] = 0;
	must(cow_check(fs, &c));
	return c.problems;
}

/* --- damage: in an operation of the volume --- */

static union cow_record *record(u64 ino, struct cow_buf **leaf)
{
	union cow_record *r;

	must(cow_record_write(v, ino, leaf, &r));
	return r;
}

static void hurt_nlink(void)
{
	struct cow_buf *leaf;

	record(file_ino, &leaf)->inode.nlink = 7;
	cow_buf_put(leaf);
}

static void hurt_used(void)
{
	v->rec.used_blocks += 3;
}

static void hurt_inodes(void)
{
	v->rec.inodes--;
}

static void hurt_reserved(void)
{
	cow_reserved_add(fs, 5);
}

static void hurt_free_list(void)
{
	v->rec.free_head = file_ino;
}

static void hurt_free_list_end(void)
{
	struct cow_buf *leaf;

	record(v->rec.free_head, &leaf)->inode.next = 0;
	cow_buf_put(leaf);
}

static u64 block_of(u64 ino)
{
	union cow_record r;

	must(cow_record_read(v, ino, &r));
	return r.inode.root.addr;
}

static void hurt_count_up(void)
{
	u64 addr = block_of(file_ino);

	must(cow_counts_touch(fs, addr));
	cow_counts_set(fs, addr, 900000000);
}

static void hurt_count_down(void)
{
	u64 addr = block_of(file_ino);

	must(cow_counts_touch(fs, addr));
	cow_counts_set(fs, addr, 0);
}

static void hurt_leak(void)
{
	must(cow_counts_touch(fs, BLOCKS - 40));
	cow_counts_set(fs, BLOCKS - 40, 2);
}

/* dir's entry goes, the inode stays. */
static void lose(u64 dir_ino_, const char *name)
{
	struct cow_dir_place place;
	struct cow_inode *dir;

	must(cow_inode_find_loaded(v, dir_ino_, &dir));
	must(cow_inode_prepare(dir));
	must(cow_dir_remove_prepare(dir, name, strlen(name), &place));
	cow_dir_remove(dir, &place);
	cow_inode_store(dir, COW_STORE_NAMES);
	cow_inode_put(dir);
}

static void hurt_lost_file(void)
{
	lose(COW_ROOT_INO, "file");
}

static void hurt_lost_dir(void)
{
	lose(COW_ROOT_INO, "dir");
}

static void hurt_entry(void)
{
	struct cow_buf *leaf;

	record(other_ino, &leaf)->inode.generation += 9;
	cow_buf_put(leaf);
}

static void hurt_mirror(void)
{
	memset((char *)disk.data + fs->meta->rec.table.mirror * COW_BLOCK, 7, 100);
}

static void hurt_superblock(void)
{
	memset((char *)disk.data + (fs->super.generation & 1) * COW_BLOCK, 7, 100);
}

static const struct {
	const char *name;
	void (*hurt)(void);
	bool raw; /* on the disk, which is up to date */
	u64 problems;
} cases[] = {
	{ "a link count", hurt_nlink, false, 1 },
	{ "a volume's blocks", hurt_used, false, 1 },
	{ "a volume's inodes", hurt_inodes, false, 1 },
	{ "reserved blocks", hurt_reserved, false, 1 },
	{ "a free list that leads elsewhere", hurt_free_list, false, 1 },
	{ "a free list that is too short", hurt_free_list_end, false, 1 },
	{ "a count that is too high", hurt_count_up, false, 1 },
	{ "a count that is too low", hurt_count_down, false, 1 },
	{ "a block that is lost", hurt_leak, false, 1 },
	{ "a file without a name", hurt_lost_file, false, 1 },
	{ "a directory without a name", hurt_lost_dir, false, 1 },
	{ "an entry of another generation", hurt_entry, false, 1 },
	{ "a second copy", hurt_mirror, true, 1 },
	{ "a superblock", hurt_superblock, true, 0 }, /* its copy is good: said, but no problem */
};

static void start_hurt(u32 n)
{
	struct cow_inode *root;
	struct cow_op op;

	start();
	must(cow_inode_get(v, COW_ROOT_INO, &root));
	if (cases[n].raw) {
		cases[n].hurt();
	} else {
		must(cow_op_begin(v, COW_OP_META, 0, &op));
		cases[n].hurt();
		cow_op_end(&op);
	}
	cow_inode_put(root);
}

static void run(u32 n)
{
	u64 found, left = 1;

	start_hurt(n);
	found = check(false);
	ok(found >= cases[n].problems && first_text[0], cases[n].name, first_text);
	for (u32 k = 0; k < 3 && left; k++)
		left = check(true);
	/* on the disk, too */
	cow_volume_put(v);
	must(cow_unmount(fs));
	must(cow_mount(&disk, 0, &fs));
	must(cow_volume_find(fs, "root", 4, &v));
	left = check(false);
	ok(!left && !first_text[0], "repaired", first_text);
	end();
}

/* Each allocation of a repair fails; with memory it then comes to its end. */
static void run_without_memory(u32 n)
{
	u64 unused = 0, failures = 0, left;

	while (!unused) {
		struct cow_check c = { .repair = true };
		int err;

		start_hurt(n);
		must(cow_sync(fs));
		cow_shrink(fs, 10000);
		cow_platform_fail_in = ++failures;
		err = cow_check(fs, &c);
		unused = cow_platform_fail_in;
		cow_platform_fail_in = 0;
		must(err == -ENOMEM ? 0 : err);
		left = 1;
		for (u32 k = 0; k < 4 && left; k++)
			left = check(true);
		if (left)
			break;
		end();
	}
	ok(unused != 0, "repaired though memory failed", cases[n].name);
}

int main(void)
{
	start();
	ok(!check(false), "a filesystem in use", "nothing is wrong");
	end();
	for (u32 n = 0; n < ARRAY_SIZE(cases); n++)
		run(n);
	for (u32 n = 0; n < ARRAY_SIZE(cases); n++)
		run_without_memory(n);
	printf("1..%d\n", tap_count);
	return tap_failures != 0;
}
