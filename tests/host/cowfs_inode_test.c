/* SPDX-License-Identifier: MIT */
/* cowfs_inode_test.c - attributes, extended ones, links, orphans, and a bad block. */
#include <string.h>

#include "cowfs/rig.h"

static void test_xattr(void)
{
	static char big[COW_XATTR_MAX], got[COW_XATTR_MAX];
	struct cow_inode *i;
	struct rig r;
	size_t len;

	rig_open(&r, 4096);
	i = rig_file_new(&r, "x");
	must(cow_xattr_get(i, "user.a", got, 10, &len) == -ENODATA);
	must(!cow_xattr_list(i, got, 10, &len) && !len);
	must(cow_xattr_set(i, "user.a", "one", 3, 2, &rig_then) == -ENODATA);
	must(!cow_xattr_set(i, "user.a", "one", 3, 1, &rig_then));
	must(cow_xattr_set(i, "user.a", "two", 3, 1, &rig_then) == -EEXIST);
	must(!cow_xattr_set(i, "user.b", "", 0, 0, &rig_then));
	must(!cow_xattr_set(i, "user.a", "three", 5, 2, &rig_then));
	must(cow_xattr_get(i, "user.a", got, 4, &len) == -ERANGE);
	must(!cow_xattr_get(i, "user.a", NULL, 0, &len) && len == 5);
	must(!cow_xattr_get(i, "user.a", got, 5, &len) && !memcmp(got, "three", 5));
	must(!cow_xattr_get(i, "user.b", got, 5, &len) && !len);
	must(cow_xattr_list(i, got, 13, &len) == -ERANGE);
	must(!cow_xattr_list(i, got, 14, &len) && len == 14);
	must(!memcmp(got, "user.b\0user.a\0", 14));
	rig_ok(true, "xattrs: set, replace, get, list");
	memset(big, 'x', sizeof(big));
	must(cow_xattr_set(i, "user.big", big, sizeof(big), 0, &rig_then) == -ENOSPC);
	must(!cow_xattr_set(i, "user.big", big, 60000, 0, &rig_then));
	must(cow_xattr_set(i, "user.c", big, 6000, 0, &rig_then) == -ENOSPC);
	must(!cow_sync(r.fs));
	must(!cow_xattr_get(i, "user.big", got, sizeof(got), &len) && len == 60000);
	must(!memcmp(got, big, len));
	must(!cow_xattr_remove(i, "user.b", &rig_then));
	must(cow_xattr_remove(i, "user.b", &rig_then) == -ENODATA);
	must(!cow_xattr_get(i, "user.a", got, 5, &len) && !memcmp(got, "three", 5));
	must(!cow_xattr_remove(i, "user.big", &rig_then));
	must(!cow_xattr_remove(i, "user.a", &rig_then));
	must(!i->rec.xattr_size && !i->rec.xattr.addr);
	memset(big, 'n', 256);
	big[256] = 0;
	must(cow_xattr_set(i, big, "v", 1, 0, &rig_then) == -ERANGE);
	big[255] = 0;
	must(!cow_xattr_set(i, big, "v", 1, 0, &rig_then));
	rig_ok(true, "xattrs: up to 64 KiB, removal, long names");
	rig_file_delete(&r, i, "x");
	rig_close(&r, "xattrs");
}

/* Orphans in use, deleted out of order, and left by a crash. */
static void test_orphans(void)
{
	static u8 block[COW_BLOCK] = { 3 };
	struct cow_inode *i[20], *again;
	char name[4] = "f00";
	u64 ino;
	struct rig r;

	rig_open(&r, 8192);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned k = 0; k < 20; k++) {
			name[1] = '0' + k / 10;
			name[2] = '0' + k % 10;
			i[k] = rig_file_new(&r, name);
			must(cow_file_write(i[k], 5000, block, sizeof(block), &rig_then) > 0);
			must(!cow_unlink(r.root, name, 3, i[k], &rig_then));
			must(i[k]->rec.flags & COW_INODE_ORPHAN);
		}
		must(!cow_sync(r.fs));
		ino = i[7]->ino;
		must(cow_file_read(i[7], 5000, block, 10) == 10 && block[0] == 3);
		for (unsigned k = 0; k < 20; k++)
			cow_inode_put(i[k * 7 % 20]);
		must(!r.volume->rec.orphan_head);
		must(cow_inode_get(r.volume, ino, &again) == -ENOENT);
	}
	rig_ok(true, "orphans live while they are used, and are deleted in any order");
	rig_close(&r, "orphans");
}

static void test_orphans_left(void)
{
	static u8 block[COW_BLOCK] = { 3 };
	struct cow_inode *i;
	struct cow_volume *v;
	struct rig r;

	rig_open(&r, 8192);
	i = rig_file_new(&r, "left");
	for (u64 k = 0; k < 1500; k++)
		must(cow_file_write(i, k * COW_BLOCK, block, sizeof(block), &rig_then) > 0);
	must(!cow_unlink(r.root, "left", 4, i, &rig_then));
	/* the clone has the orphan too, and nobody uses it there */
	must(!cow_volume_clone(r.volume, "clone", 5, 0, &v));
	while (cow_orphans_drop(v) > 0)
		;
	must(!v->rec.orphan_head);
	must(cow_orphans_drop(r.volume) == 0 && r.volume->rec.orphan_head == i->ino);
	must(cow_file_read(i, 4096 * 1000, block, 10) == 10 && block[0] == 3);
	cow_inode_put(i);
	must(!r.volume->rec.orphan_head);
	cow_volume_put(v);
	must(!cow_volume_delete(r.fs, "clone", 5));
	while (cow_work(r.fs, true))
		;
	rig_ok(true, "orphans of a clone are dropped there, and stay with the original");
	rig_close(&r, "orphans left");
}

static void test_bad_block(void)
{
	static u8 block[COW_BLOCK] = { 42 };
	struct cow_inode *i;
	struct cow_buf *b;
	struct rig r;
	u64 addr, lines;
	u8 *bytes;

	rig_open(&r, 4096);
	i = rig_file_new(&r, "bad");
	must(cow_file_write(i, 0, block, COW_BLOCK, &rig_then) == COW_BLOCK);
	must(!cow_sync(r.fs));
	addr = i->rec.root.addr;
	cow_shrink(r.fs, ~0ull);
	bytes = (u8 *)r.disk.data + addr * COW_BLOCK;
	bytes[17] ^= 1;
	lines = r.disk.log_lines;
	must(cow_file_find(i, 0, &b) == -EIO && cow_file_read(i, 0, block, 10) == -EIO);
	must(cow_file_write(i, 1, "x", 1, &rig_then) == -EIO);
	must(r.disk.log_lines > lines);
	must(cow_file_write(i, 0, block, COW_BLOCK, &rig_then) == COW_BLOCK);
	must(cow_file_read(i, 0, block, 10) == 10 && block[0] == 42);
	rig_ok(true, "a bad block is EIO, is logged, and can be overwritten");
	rig_file_delete(&r, i, "bad");
	rig_close(&r, "a bad block");
}

static void link_check(struct rig *r, const char *name, size_t len)
{
	char text[5000], got[5000];
	struct cow_new n = { .mode = 0120777, .now = rig_then, .link = text };
	struct cow_inode *i;

	memset(text, 'l', len);
	text[len] = 0;
	must(!cow_create(r->root, name, strlen(name), &n, &i));
	must(!cow_sync(r->fs));
	cow_inode_put(i);
	cow_shrink(r->fs, ~0ull);
	i = rig_file_open(r, name);
	must(cow_readlink(i, got, len) == -ENAMETOOLONG);
	must(!cow_readlink(i, got, len + 1) && !strcmp(got, text));
	rig_file_delete(r, i, name);
}

static void test_attributes(void)
{
	const struct cow_attr a = { .valid = ~0u,
				    .mode = 04711,
				    .uid = 7,
				    .gid = 8,
				    .atime = { 1, 2, 0 },
				    .mtime = { 3, 4, 0 },
				    .ctime = { 5, 6, 0 } };
	const struct cow_new dir = { .mode = 0040700, .now = rig_then };
	struct cow_inode *i, *same;
	char text[10];
	struct rig r;

	rig_open(&r, 4096);
	i = rig_file_new(&r, "a");
	must(cow_file_write(i, 0, "text", 4, &rig_then) == 4 && !cow_sync(r.fs));
	must(!cow_setattr(i, &a) && !cow_sync(r.fs)); /* the sum of the data stays right */
	same = rig_file_open(&r, "a");
	must(same == i);
	cow_inode_put(same);
	cow_inode_put(i);
	rig_unmount(&r);
	rig_mount(&r);
	i = rig_file_open(&r, "a");
	must(i->rec.mode == 0104711 && i->rec.uid == 7 && i->rec.gid == 8);
	must(!memcmp(&i->rec.atime, &a.atime, sizeof(a.atime)));
	must(!memcmp(&i->rec.mtime, &a.mtime, sizeof(a.mtime)));
	must(!memcmp(&i->rec.ctime, &a.ctime, sizeof(a.ctime)));
	must(cow_file_read(i, 0, text, 10) == 4 && !memcmp(text, "text", 4));
	rig_file_delete(&r, i, "a");
	rig_ok(true, "attributes, in memory and after a new mount");
	link_check(&r, "short", 56);
	link_check(&r, "long", 57);
	link_check(&r, "longer", 4095);
	must(!cow_create(r.root, "dir", 3, &dir, &i));
	rig_file_delete(&r, i, "dir");
	rig_ok(true, "symbolic links of three lengths; a directory comes and goes");
	rig_close(&r, "attributes");
}

int main(void)
{
	cow_platform_seed = 1;
	test_attributes();
	test_xattr();
	test_orphans();
	test_orphans_left();
	test_bad_block();
	return rig_end();
}
