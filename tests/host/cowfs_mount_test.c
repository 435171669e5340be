/* SPDX-License-Identifier: MIT */
/*
 * cowfs_mount_test.c - what a mount sets right: temporary volumes that a crash left, and a
 * superblock that is torn or bad.
 */
#include <string.h>

#include "cowfs_fixture.h"

#define BLOCKS 2000

static bool exists(struct fixture *f, const char *name)
{
	struct cow_volume *v;

	if (cow_volume_find(f->fs, name, strlen(name), &v))
		return false;
	cow_volume_put(v);
	return true;
}

static void clone_one(struct fixture *f, const char *name, u32 flags)
{
	struct cow_volume *v;

	must_do(clone_of(f->v, name, flags, &v));
	if (!(flags & COW_VOLUME_FROZEN))
		must_do(put(v, name, 30000, 'v'));
	cow_volume_put(v);
}

/* Temporary ones go; others, whatever their names, and those made since stay. */
static void test_sweep(void)
{
	struct cow_volume *v;
	struct fixture f;
	u64 room;

	fixture_open(&f, BLOCKS);
	must_do(put(f.v, "file", 50000, 'f'));
	clone_one(&f, "view.3", 0);
	clone_one(&f, "image", COW_VOLUME_FROZEN);
	room = fixture_settle(&f);
	clone_one(&f, "view.1", COW_VOLUME_TEMPORARY);
	clone_one(&f, "view.2", COW_VOLUME_TEMPORARY);
	clone_one(&f, "frozen", COW_VOLUME_TEMPORARY | COW_VOLUME_FROZEN);
	must_be(clone_of(f.v, "odd", 4, &v), -EINVAL);
	must_do(cow_volumes_sweep(f.fs)); /* none is from before the mount */
	must(exists(&f, "view.1") && exists(&f, "view.2") && exists(&f, "frozen"));
	fixture_check(&f);
	fixture_remount(&f);
	clone_one(&f, "view.4", COW_VOLUME_TEMPORARY);
	must_do(cow_volumes_sweep(f.fs));
	must(!exists(&f, "view.1") && !exists(&f, "view.2") && !exists(&f, "frozen"));
	must(exists(&f, "view.3") && exists(&f, "view.4") && exists(&f, "image"));
	must_do(delete (&f, "view.4"));
	must_be(fixture_settle(&f), room);
	fixture_close(&f);
}

/* What was temporary and is kept stays, by the one name: after a crash, too, the one or the other.
 */
static void test_keep(void)
{
	struct cow_volume *v;
	struct fixture f;

	fixture_open(&f, BLOCKS);
	must_do(put(f.v, "file", 50000, 'f'));
	clone_one(&f, "draft", COW_VOLUME_TEMPORARY | COW_VOLUME_FROZEN);
	clone_one(&f, "taken", COW_VOLUME_TEMPORARY);
	must_be(cow_volume_create(f.fs, "odd", 3, COW_VOLUME_FROZEN, &v), -EINVAL);
	must_do(cow_volume_create(f.fs, "new", 3, COW_VOLUME_TEMPORARY, &v));
	must_do(put(v, "in it", 9000, 'n'));
	cow_volume_put(v);
	must_do(cow_volume_create(f.fs, "lost", 4, COW_VOLUME_TEMPORARY, &v));
	must_do(put(v, "in it", 9000, 'n'));
	cow_volume_put(v);
	must_do(cow_volumes_sweep(f.fs)); /* none is from before the mount */
	must(exists(&f, "new") && exists(&f, "lost"));
	must_be(cow_volume_keep(f.fs, "draft", 5, "taken", 5), -EEXIST);
	must_be(cow_volume_keep(f.fs, "draft", 5, "a/b", 3), -EINVAL);
	must_be(cow_volume_keep(f.fs, "none", 4, "other", 5), -ENOENT);
	must_do(cow_volume_keep(f.fs, "draft", 5, "image", 5));
	must_do(cow_volume_keep(f.fs, "new", 3, "kept", 4));
	must(!exists(&f, "draft") && exists(&f, "image"));
	fixture_check(&f);
	fixture_remount(&f);
	must_do(cow_volumes_sweep(f.fs));
	must(exists(&f, "image") && exists(&f, "kept") && !exists(&f, "taken") &&
	     !exists(&f, "lost"));
	must_do(cow_volume_find(f.fs, "image", 5, &v));
	must(cow_volume_is_frozen(v));
	must_be(content(v, "file"), 'f');
	cow_volume_put(v);
	must_do(cow_volume_find(f.fs, "kept", 4, &v));
	must_be(content(v, "in it"), 'n');
	must_do(put(v, "more", 9000, 'm'));
	cow_volume_put(v);
	must_do(cow_volume_keep(f.fs, "kept", 4, "again", 5)); /* as a rename */
	fixture_check(&f);
	fixture_close(&f);
}

/* One that somebody has opened, and the clone of one. */
static void test_sweep_spares(void)
{
	struct cow_volume *v, *w;
	struct cow_inode *root;
	struct fixture f;

	fixture_open(&f, BLOCKS);
	clone_one(&f, "used", COW_VOLUME_TEMPORARY);
	must_do(cow_volume_find(f.fs, "used", 4, &v));
	must_do(clone_of(v, "copy", 0, &w));
	cow_volume_put(w);
	cow_volume_put(v);
	fixture_remount(&f);
	must_do(cow_volume_find(f.fs, "used", 4, &v));
	root = root_of(v);
	must_do(cow_volumes_sweep(f.fs));
	must(exists(&f, "used"));
	cow_inode_put(root);
	cow_volume_put(v);
	must_do(cow_volumes_sweep(f.fs));
	must(!exists(&f, "used") && exists(&f, "copy"));
	fixture_close(&f);
	fixture_open(&f, BLOCKS);
	clone_one(&f, "left", COW_VOLUME_TEMPORARY);
	fixture_unmount(&f);
	must_do(cow_mount(&f.disk, COW_MOUNT_READ_ONLY, &f.fs));
	must_do(cow_volumes_sweep(f.fs));
	must(exists(&f, "left"));
	must_do(cow_unmount(f.fs));
	disk_memory_close(&f.disk);
	must_be(cow_platform_live, 0);
}

/* --- superblocks --- */

static u8 *block(struct fixture *f, u64 addr)
{
	return (u8 *)f->disk.data + addr * COW_BLOCK;
}

static void same_supers(struct fixture *f, u64 slot)
{
	must(!memcmp(block(f, slot), block(f, BLOCKS - 2 + slot), COW_BLOCK));
}

/* Of the last commit's slot and its copy the one at `addr` is bad, in one of these ways. */
static void hurt(struct fixture *f, u64 addr, unsigned how)
{
	static u8 old[COW_BLOCK];

	switch (how) {
	case 0: /* torn: some sectors are of the commit before the last but one */
		memcpy(old, block(f, addr), COW_BLOCK);
		((struct cow_super *)old)->generation -= 2;
		memcpy(block(f, addr), old, 512);
		break;
	case 1:
		memset(block(f, addr), 0, COW_BLOCK);
		break;
	case 2: /* the write was lost: a good one, but old */
		((struct cow_super *)block(f, addr))->generation -= 2;
		((struct cow_super *)block(f, addr))->csum =
			cow_checksum(block(f, addr), offsetof(struct cow_super, csum));
		break;
	}
}

static void super_one(bool copy, unsigned how, u64 commits)
{
	struct fixture f;
	u64 slot;

	fixture_open(&f, BLOCKS);
	f.disk.quiet = true;
	for (u64 n = 0; n < commits; n++) {
		must_do(put(f.v, "file", 5000, n));
		must_do(cow_sync(f.fs));
	}
	fixture_settle(&f); /* the last commit, also after the unmount */
	slot = f.fs->super.generation & 1;
	fixture_unmount(&f);
	same_supers(&f, slot);
	hurt(&f, copy ? BLOCKS - 2 + slot : slot, how);
	/* a read-only mount shows the same and writes nothing */
	must_do(cow_mount(&f.disk, COW_MOUNT_READ_ONLY, &f.fs));
	must_do(cow_unmount(f.fs));
	must(memcmp(block(&f, slot), block(&f, BLOCKS - 2 + slot), COW_BLOCK));
	fixture_mount(&f);
	same_supers(&f, slot);
	must_be(content(f.v, "file"), commits - 1);
	/* now the other one may go */
	hurt(&f, copy ? slot : BLOCKS - 2 + slot, 1);
	fixture_remount(&f);
	same_supers(&f, slot);
	must_be(content(f.v, "file"), commits - 1);
	fixture_close(&f);
}

static void test_supers(void)
{
	for (unsigned n = 0; n < 12; n++)
		super_one(n & 1, n / 2 % 3, 3 + n / 6);
}

int main(void)
{
	static const struct test tests[] = {
		{ "temporary volumes that a crash left", test_sweep },
		{ "temporary volumes that are kept", test_keep },
		{ "temporary volumes in use, their clones, read-only", test_sweep_spares },
		{ "a torn or bad superblock is written again from its copy", test_supers },
	};

	return run_tests(tests, ARRAY_SIZE(tests));
}
