/* SPDX-License-Identifier: MIT */
/* cowfs_fixture.h - a filesystem on a disk in memory, for tests that print TAP. */
#ifndef COWFS_FIXTURE_H
#define COWFS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "cowfs/disk.h"
#include "fs/cowfs/internal.h"

#define must(cond)                                                                 \
	do {                                                                       \
		if (!(cond)) {                                                     \
			printf("not ok - %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			fflush(stdout);                                            \
			exit(1);                                                   \
		}                                                                  \
	} while (0)
#define must_be(call, value)                                                                      \
	do {                                                                                      \
		s64 is_ = (call), be_ = (value);                                                  \
		if (is_ != be_) {                                                                 \
			printf("not ok - %s:%d: %s is %ld, not %ld\n", __FILE__, __LINE__, #call, \
			       (long)is_, (long)be_);                                             \
			fflush(stdout);                                                           \
			exit(1);                                                                  \
		}                                                                                 \
	} while (0)
#define must_do(call) must_be(call, 0)

struct test {
	const char *name;
	void (*run)(void);
};

/* What main() returns; the first check that fails ends the program. */
static inline int run_tests(const struct test *tests, unsigned count)
{
	for (unsigned n = 0; n < count; n++) {
		tests[n].run();
		printf("ok %u - %s\n", n + 1, tests[n].name);
		fflush(stdout);
	}
	printf("1..%u\n", count);
	return 0;
}

struct fixture {
	struct cow_platform disk;
	struct cow_fs *fs;
	struct cow_volume *v;
	struct cow_inode *root;
};

static inline void fixture_mount(struct fixture *f)
{
	must_do(cow_mount(&f->disk, 0, &f->fs));
	must_do(cow_volume_find(f->fs, "root", 4, &f->v));
	must_do(cow_inode_get(f->v, COW_ROOT_INO, &f->root));
}

static inline void fixture_unmount(struct fixture *f)
{
	cow_inode_put(f->root);
	cow_volume_put(f->v);
	must_do(cow_unmount(f->fs));
}

static inline void fixture_remount(struct fixture *f)
{
	fixture_unmount(f);
	fixture_mount(f);
}

static inline void fixture_open(struct fixture *f, u64 blocks)
{
	struct cow_format_options o = { .name_seed = 4711, .label = "test" };

	memset(f, 0, sizeof(*f));
	must_do(disk_memory_open(&f->disk, blocks));
	must_do(cow_format(&f->disk, &o));
	fixture_mount(f);
}

static inline void fixture_discard(struct fixture *f)
{
	fixture_unmount(f);
	disk_memory_close(&f->disk);
	must_be(cow_platform_live, 0);
}

static inline void fixture_check(struct fixture *f);
static inline void fixture_close(struct fixture *f)
{
	fixture_check(f);
	fixture_discard(f);
}

/* All that was freed is free: dead trees are worked off, commits done. */
static inline u64 fixture_settle(struct fixture *f)
{
	struct cow_space s;

	while (cow_work(f->fs, true))
		;
	must_do(cow_sync(f->fs));
	must_do(cow_sync(f->fs));
	cow_space(f->fs, &s);
	must_be(s.dead, 0);
	return s.free;
}

static inline void fixture_report(void *arg, const char *text)
{
	printf("# fsck: %s\n", text);
}

/* fsck finds nothing wrong. */
static inline void fixture_check(struct fixture *f)
{
	struct cow_check c = { .report = fixture_report };

	must_do(cow_sync(f->fs));
	must_do(cow_check(f->fs, &c));
	must_be(c.problems, 0);
}

static inline struct cow_inode *fixture_new(struct cow_inode *dir, const char *name, u32 mode)
{
	struct cow_new n = { .mode = mode };
	struct cow_inode *i;

	cow_now(&n.now);
	must_do(cow_create(dir, name, strlen(name), &n, &i));
	return i;
}

static inline void fixture_write(struct cow_inode *i, u64 offset, u64 bytes, u8 what)
{
	struct cow_time now;
	u8 *buf = malloc(bytes);

	cow_now(&now);
	memset(buf, what, bytes);
	must_be(cow_file_write(i, offset, buf, bytes, &now), bytes);
	free(buf);
}

static inline u64 test_random(u64 *seed)
{
	u64 r = *seed += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	r = (r ^ r >> 30) * 0xbf58476d1ce4e5b9ull;
	r = (r ^ r >> 27) * 0x94d049bb133111ebull;
	return r ^ r >> 31;
}

/* --- files in the root directory of a volume --- */

#define FILE_MODE 0100644u
#define DIR_MODE  0040755u

static const struct cow_time now = { .sec = 2000000 };

static inline struct cow_inode *root_of(struct cow_volume *v)
{
	struct cow_inode *i;

	must_do(cow_inode_get(v, COW_ROOT_INO, &i));
	return i;
}

static inline struct cow_inode *open_at(struct cow_volume *v, const char *name)
{
	struct cow_inode *root = root_of(v), *i = NULL;
	u64 ino;

	if (!cow_lookup(root, name, strlen(name), &ino))
		must_do(cow_inode_get(v, ino, &i));
	cow_inode_put(root);
	return i;
}

static inline int clone_of(struct cow_volume *src, const char *name, u32 flags,
			   struct cow_volume **out)
{
	return cow_volume_clone(src, name, strlen(name), flags, out);
}

static inline int delete (struct fixture *f, const char *name)
{
	return cow_volume_delete(f->fs, name, strlen(name));
}

/* First byte of a file, or -1. */
static inline int content(struct cow_volume *v, const char *name)
{
	struct cow_inode *i = open_at(v, name);
	u8 byte;

	if (!i)
		return -1;
	must_be(cow_file_read(i, 0, &byte, 1), 1);
	cow_inode_put(i);
	return byte;
}

/* Makes it if need be. */
static inline int put(struct cow_volume *v, const char *name, u64 bytes, u8 what)
{
	struct cow_inode *root = root_of(v), *i = open_at(v, name);
	struct cow_new n = { .mode = FILE_MODE, .now = now };
	int err = i ? 0 : cow_create(root, name, strlen(name), &n, &i);
	u8 *buf = malloc(bytes);
	s64 done;

	memset(buf, what, bytes);
	if (!err) {
		done = cow_file_write(i, 0, buf, bytes, &now);
		err = done < 0 ? (int)done : done != (s64)bytes ? -ENOSPC : 0;
		cow_inode_put(i);
	}
	free(buf);
	cow_inode_put(root);
	return err;
}

static inline int drop(struct cow_volume *v, const char *name)
{
	struct cow_inode *root = root_of(v), *i = open_at(v, name);
	int err = i ? cow_unlink(root, name, strlen(name), i, &now) : -ENOENT;

	if (i)
		cow_inode_put(i);
	cow_inode_put(root);
	return err;
}

#endif
