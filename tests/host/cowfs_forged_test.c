/* SPDX-License-Identifier: MIT */
/*
 * cowfs_forged_test.c - a pointer that names a block which is somebody else's, or will be: what is
 * done to the one who has it must not take memory from the other. Under ASan.
 *
 * A file's pointer is made to name each block of the disk in turn, with each sort of birth, with
 * right checksums above it; then the file is written, cut and deleted beside others.
 */
#include <string.h>

#include "cowfs_fixture.h"

#define BLOCKS 300

static const char *const births[] = { "0", "its own", "the last commit's", "the next commit's",
				      "of times to come" };

static u64 birth_of(const struct cow_fs *fs, unsigned sort, u64 own)
{
	const u64 birth[] = { 0, own, fs->birth, fs->birth + 1, fs->birth + 2 };

	return birth[sort];
}

/* The pointer of `name` names block addr. */
static void forge(struct fixture *f, const char *name, u64 addr, unsigned sort)
{
	struct cow_inode *i = open_at(f->v, name);
	u64 ino = i->ino;
	union cow_record *r;
	struct cow_buf *leaf;
	struct cow_op op;

	cow_inode_put(i);
	must_do(cow_op_begin(f->v, COW_OP_META, 0, &op));
	must_do(cow_record_write(f->v, ino, &leaf, &r));
	r->inode.root.addr = addr;
	r->inode.root.birth = birth_of(f->fs, sort, r->inode.root.birth);
	cow_buf_put(leaf);
	cow_op_end(&op);
}

/* Errors are fine. */
static void use(struct fixture *f)
{
	struct cow_inode *i = open_at(f->v, "forged"), *other = open_at(f->v, "other");
	struct cow_check c = { .repair = true };
	u8 byte = 1;

	if (other) {
		cow_file_write(other, 0, "x", 1, &now);
		if (i)
			cow_file_write(i, 5, "x", 1, &now);
		cow_file_truncate(other, 10000, &now);
		cow_file_write(other, 9000, "x", 1, &now);
	}
	if (i) {
		cow_file_read(i, 0, &byte, 1);
		cow_file_truncate(i, 0, &now);
		cow_inode_put(i);
	}
	if (other)
		cow_inode_put(other);
	put(f->v, "more", 3 * COW_BLOCK, 4);
	drop(f->v, "forged");
	drop(f->v, "orphan");
	put(f->v, "more", 5 * COW_BLOCK, 5);
	cow_sync(f->fs);
	put(f->v, "and more", 5 * COW_BLOCK, 5);
	cow_sync(f->fs);
	cow_check(f->fs, &c);
}

static void one(u64 addr, unsigned sort)
{
	struct fixture f;

	fixture_open(&f, BLOCKS);
	f.disk.quiet = true;
	must_do(put(f.v, "forged", 100, 1));
	must_do(put(f.v, "orphan", 100, 1));
	must_do(put(f.v, "other", 100, 1));
	must_do(cow_sync(f.fs));
	forge(&f, "forged", addr, sort);
	forge(&f, "orphan", addr + 1, sort);
	must_do(cow_sync(f.fs));
	fixture_unmount(&f);
	if (!cow_mount(&f.disk, 0, &f.fs)) {
		if (!cow_volume_find(f.fs, "root", 4, &f.v)) {
			if (!cow_inode_get(f.v, COW_ROOT_INO, &f.root)) {
				use(&f);
				cow_inode_put(f.root);
			}
			cow_volume_put(f.v);
		}
		cow_unmount(f.fs);
	}
	disk_memory_close(&f.disk);
	must_be(cow_platform_live, 0);
}

int main(void)
{
	for (unsigned n = 0; n < ARRAY_SIZE(births); n++) {
		for (u64 addr = 0; addr < BLOCKS + 2; addr++)
			one(addr, n);
		printf("ok %u - a pointer to any block, its birth %s\n", n + 1, births[n]);
	}
	printf("1..%zu\n", ARRAY_SIZE(births));
	return 0;
}
