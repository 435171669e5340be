/* SPDX-License-Identifier: MIT */
/* cowfs_volume_test.c - volumes: clones, deletions, quotas, against simple models. */
#include "cowfs_fixture.h"

/* --- names of volumes --- */

static void test_names(void)
{
	struct cow_volume_info info;
	struct cow_volume *v, *w;
	struct fixture f;
	u64 pos = 0, id;
	unsigned seen = 0;
	char name[20];

	fixture_open(&f, 4096);
	must_be(cow_volume_create(f.fs, "root", 4, 0, &v), -EEXIST);
	must_be(cow_volume_create(f.fs, "", 0, 0, &v), -EINVAL);
	must_be(cow_volume_create(f.fs, "..", 2, 0, &v), -EINVAL);
	must_be(cow_volume_create(f.fs, "a/b", 3, 0, &v), -EINVAL);
	must_be(cow_volume_find(f.fs, "none", 4, &v), -ENOENT);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &v));
	id = cow_volume_id(v);
	must_do(cow_volume_find(f.fs, "a", 1, &w));
	must(v == w);
	cow_volume_put(w);
	must_do(put(v, "x", 10, 'x'));
	must_do(cow_volume_rename(f.fs, "a", 1, "b", 1));
	must_be(cow_volume_rename(f.fs, "a", 1, "c", 1), -ENOENT);
	must_be(cow_volume_rename(f.fs, "b", 1, "root", 4), -EEXIST);
	must_do(cow_volume_info(v, &info));
	must_be(strcmp(info.name, "b"), 0);
	must_be(info.inodes, 2);
	cow_volume_put(v);
	fixture_remount(&f);
	must_do(cow_volume_get_id(f.fs, id, &v));
	must_be(content(v, "x"), 'x');
	for (unsigned n = 0; n < 300; n++) {
		snprintf(name, sizeof(name), "volume %u", n);
		must_do(cow_volume_create(f.fs, name, strlen(name), 0, &w));
		cow_volume_put(w);
	}
	while (!cow_volume_next(f.fs, &pos, &info))
		seen++;
	must_be(seen, 302);
	for (unsigned n = 0; n < 300; n++) {
		snprintf(name, sizeof(name), "volume %u", n);
		must_do(delete (&f, name));
	}
	must_be(delete (&f, "volume 7"), -ENOENT);
	must_be(delete (&f, "root"), -EBUSY);
	cow_volume_put(v);
	must_do(delete (&f, "b"));
	must_be(cow_volume_get_id(f.fs, id, &v), -ENOENT);
	fixture_settle(&f);
	fixture_close(&f);
}

/* Who holds a volume that is deleted has an empty one that he cannot write to. */
static void test_doomed(void)
{
	struct cow_volume *v, *w;
	struct cow_inode *i;
	struct fixture f;

	fixture_open(&f, 4096);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &v));
	must_do(put(v, "x", 10, 'x'));
	i = open_at(v, "x");
	must_be(delete (&f, "a"), -EBUSY);
	cow_inode_put(i);
	must_do(delete (&f, "a"));
	must_be(cow_inode_get(v, COW_ROOT_INO, &i), -ENOENT);
	must_be(cow_volume_set_quota(v, 1, 1), -EROFS);
	must_be(clone_of(v, "c", 0, &w), -ENOENT);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &w));
	must(v != w);
	fixture_settle(&f);
	cow_volume_put(v);
	cow_volume_put(w);
	fixture_close(&f);
}

/* --- clones --- */

static void test_clone(void)
{
	struct cow_volume *a, *b, *c, *frozen;
	struct fixture f;

	fixture_open(&f, 8192);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &a));
	must_do(put(a, "clean", 20000, 1));
	must_do(cow_sync(f.fs));
	must_do(put(a, "dirty", 20000, 2));
	must_do(clone_of(a, "b", 0, &b));
	must_do(clone_of(a, "frozen", COW_VOLUME_FROZEN, &frozen));
	must_be(put(frozen, "clean", 10, 9), -EROFS);
	/* in both directions, of what was dirty when it was cloned and of what was not */
	must_do(put(a, "clean", 20000, 3));
	must_do(put(b, "dirty", 20000, 4));
	must_do(put(b, "b only", 1, 5));
	must_be(content(a, "b only"), -1);
	must_be(content(a, "clean"), 3);
	must_be(content(a, "dirty"), 2);
	must_be(content(b, "clean"), 1);
	must_be(content(b, "dirty"), 4);
	must_be(content(frozen, "clean"), 1);
	must_be(content(frozen, "dirty"), 2);
	must_do(clone_of(frozen, "c", 0, &c));
	must_do(drop(c, "dirty"));
	must_do(put(c, "clean", 20000, 6));
	cow_volume_put(c);
	fixture_check(&f);
	cow_shrink(f.fs, ~0ull >> 1);
	must_be(content(frozen, "clean"), 1);
	must_do(cow_volume_freeze(b));
	must_be(put(b, "clean", 10, 9), -EROFS);
	must_be(drop(b, "clean"), -EROFS);
	cow_volume_put(a);
	cow_volume_put(b);
	cow_volume_put(frozen);
	fixture_remount(&f);
	must_do(cow_volume_find(f.fs, "c", 1, &c));
	must_be(content(c, "clean"), 6);
	must_be(content(c, "dirty"), -1);
	must_do(cow_volume_find(f.fs, "frozen", 6, &frozen));
	must_be(content(frozen, "dirty"), 2);
	must_do(delete (&f, "a"));
	fixture_settle(&f);
	must_be(content(frozen, "dirty"), 2);
	cow_volume_put(frozen);
	cow_volume_put(c);
	fixture_close(&f);
}

/* A clone costs no request to the disk and no commit, whatever the source has. */
static void test_clone_cost(void)
{
	struct cow_space before, after;
	struct cow_volume *v, *w;
	struct fixture f;
	char name[30];

	fixture_open(&f, 32768);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &v));
	for (unsigned n = 0; n < 5000; n++) {
		snprintf(name, sizeof(name), "file %u", n);
		must_do(put(v, name, 5000, n));
	}
	cow_space(f.fs, &before);
	for (unsigned n = 0; n < 10; n++) {
		snprintf(name, sizeof(name), "clone %u", n);
		must_do(clone_of(v, name, 0, &w));
		cow_volume_put(w);
	}
	cow_space(f.fs, &after);
	must_be(after.reads, before.reads);
	must_be(after.writes, before.writes);
	must_be(after.commits, before.commits);
	must(before.free - after.free < 30);
	cow_volume_put(v);
	fixture_close(&f);
}

/* Open files without a name do not come back in a clone. */
static void test_orphans(void)
{
	struct cow_volume *a, *b;
	struct cow_inode *i, *j;
	struct fixture f;
	u64 ino;
	u8 byte;

	fixture_open(&f, 4096);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &a));
	must_do(put(a, "x", 30000, 'x'));
	i = open_at(a, "x");
	ino = i->ino;
	must_do(drop(a, "x"));
	must_do(clone_of(a, "b", 0, &b));
	must_be(cow_file_read(i, 0, &byte, 1), 1);
	must_be(byte, 'x');
	must_be(b->rec.orphan_head, ino);
	must_do(cow_volume_find(f.fs, "b", 1, &b)); /* its first use by name */
	must_be(b->rec.orphan_head, 0);
	must_be(cow_inode_get(b, ino, &j), -ENOENT);
	must_be(a->rec.orphan_head, ino);
	must_be(cow_file_read(i, 29999, &byte, 1), 1);
	must_be(byte, 'x');
	cow_inode_put(i);
	must_be(a->rec.orphan_head, 0);
	cow_volume_put(b);
	cow_volume_put(b);
	cow_volume_put(a);
	fixture_close(&f);
}

/* --- a family of volumes against a model --- */

#define VOLUMES 8u
#define FILES	40u

struct model_volume {
	bool there, frozen;
	char name[20];
	s16 byte[FILES]; /* -1: no such file */
};

struct family {
	struct fixture f;
	struct model_volume volume[VOLUMES];
	u64 seed;
	unsigned made;
};

static u64 roll(struct family *m, u64 n)
{
	return test_random(&m->seed) % n;
}

static struct cow_volume *find_model(struct family *m, unsigned k)
{
	struct cow_volume *v;

	must_do(cow_volume_find(m->f.fs, m->volume[k].name, strlen(m->volume[k].name), &v));
	return v;
}

static void family_verify(struct family *m, unsigned k)
{
	struct cow_volume *v = find_model(m, k);
	char name[20];

	for (unsigned n = 0; n < FILES; n++) {
		snprintf(name, sizeof(name), "f%u", n);
		must_be(content(v, name), m->volume[k].byte[n]);
	}
	cow_volume_put(v);
}

static void family_write(struct family *m, unsigned k)
{
	struct model_volume *mv = &m->volume[k];
	struct cow_volume *v = find_model(m, k);
	unsigned n = roll(m, FILES), byte = roll(m, 256);
	static const u64 sizes[] = { 1, 4096, 9000, 40000, 700000 };
	char name[20];

	snprintf(name, sizeof(name), "f%u", n);
	if (roll(m, 4)) {
		must_be(put(v, name, sizes[roll(m, 40) ? roll(m, 4) : 4], byte),
			mv->frozen ? -EROFS : 0);
		if (!mv->frozen)
			mv->byte[n] = byte;
	} else if (mv->byte[n] >= 0) {
		must_be(drop(v, name), mv->frozen ? -EROFS : 0);
		if (!mv->frozen)
			mv->byte[n] = -1;
	}
	cow_volume_put(v);
}

static void family_clone(struct family *m, unsigned from, unsigned to)
{
	struct cow_volume *v = find_model(m, from), *w;
	bool frozen = !roll(m, 3);

	m->volume[to] = m->volume[from];
	m->volume[to].frozen = frozen;
	snprintf(m->volume[to].name, sizeof(m->volume[to].name), "v%u", m->made++);
	must_do(clone_of(v, m->volume[to].name, frozen ? COW_VOLUME_FROZEN : 0, &w));
	cow_volume_put(w);
	cow_volume_put(v);
}

static void family_step(struct family *m)
{
	unsigned a = roll(m, VOLUMES), b = roll(m, VOLUMES), what = roll(m, 100);

	if (!m->volume[a].there)
		return;
	if (what < 70) {
		family_write(m, a);
	} else if (what < 80) {
		if (!m->volume[b].there)
			family_clone(m, a, b);
	} else if (what < 84) {
		if (a) { /* the first one is the start of all */
			must_do(delete (&m->f, m->volume[a].name));
			m->volume[a].there = false;
		}
	} else if (what < 88) {
		must_do(cow_sync(m->f.fs));
	} else if (what < 90) {
		cow_shrink(m->f.fs, ~0ull >> 1);
	} else if (what < 95) {
		cow_work(m->f.fs, roll(m, 2));
	} else if (what < 96) {
		fixture_remount(&m->f);
	} else {
		family_verify(m, a);
	}
}

static void test_family(void)
{
	struct family *m = calloc(1, sizeof(*m));
	struct cow_volume *v;
	u64 before;

	m->seed = 77;
	fixture_open(&m->f, 16384);
	before = fixture_settle(&m->f);
	must_do(cow_volume_create(m->f.fs, "v", 1, 0, &v));
	cow_volume_put(v);
	snprintf(m->volume[0].name, 20, "v");
	m->volume[0].there = true;
	for (unsigned n = 0; n < FILES; n++)
		m->volume[0].byte[n] = -1;
	for (unsigned k = 0; k < 12000; k++) {
		family_step(m);
		if (k % 1000 == 0)
			fixture_check(&m->f);
	}
	for (unsigned k = 0; k < VOLUMES; k++)
		if (m->volume[k].there) {
			family_verify(m, k);
			must_do(delete (&m->f, m->volume[k].name));
		}
	/* but for the meta volume's own table and the leaf of names */
	must(before - fixture_settle(&m->f) <= 2 * 4);
	fixture_close(&m->f);
	printf("# %u clones\n", m->made);
	must(m->made > 50);
	free(m);
}

/* --- dead trees --- */

/* Many files with trees of their own in each leaf of the table, which make a step chain a lot. */
static void dead_fill(struct cow_volume *v, unsigned files)
{
	struct cow_inode *root = root_of(v), *i;
	char name[30];

	for (unsigned n = 0; n < files; n++) {
		snprintf(name, sizeof(name), "deep %u", n);
		i = fixture_new(root, name, FILE_MODE);
		fixture_write(i, 0, 3000, n);
		fixture_write(i, 130 * 4096, 9000, n);		/* depth 2 */
		fixture_write(i, 128ull * 130 * 4096, 9000, n); /* depth 3 */
		must_do(cow_file_allocate(i, 1 << 20, 1 << 20, false, false, &now));
		cow_inode_put(i);
	}
	cow_inode_put(root);
}

static void test_reap(void)
{
	struct cow_volume *v, *w;
	struct cow_space s;
	struct fixture f;
	unsigned rounds = 0;
	u64 free;

	fixture_open(&f, 65536);
	/* the meta volume's table gets its size first */
	must_do(cow_volume_create(f.fs, "a", 1, 0, &v));
	dead_fill(v, 60);
	cow_volume_put(v);
	must_do(delete (&f, "a"));
	free = fixture_settle(&f);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &v));
	dead_fill(v, 60);
	must_do(clone_of(v, "b", 0, &w));
	must_do(put(w, "deep 7", 5, 'w'));
	must_do(cow_sync(f.fs));
	cow_volume_put(v);
	must_do(delete (&f, "a"));
	fixture_settle(&f);
	fixture_check(&f);
	must_be(content(w, "deep 7"), 'w');
	must_be(content(w, "deep 8"), 8);
	cow_volume_put(w);
	must_do(delete (&f, "b"));
	/* interrupted again and again */
	do {
		cow_reap(f.fs);
		if (rounds % 3 == 0)
			fixture_remount(&f);
		fixture_check(&f);
		cow_space(f.fs, &s);
		rounds++;
	} while (s.dead);
	must(rounds > 5);
	must_be(fixture_settle(&f), free);
	fixture_close(&f);
}

/* On a full disk, deleting volumes makes room. */
static void test_full(void)
{
	struct cow_volume *v;
	struct fixture f;
	char name[20];
	unsigned n;
	int err;

	fixture_open(&f, 2048);
	for (unsigned round = 0; round < 3; round++) {
		must_do(cow_volume_create(f.fs, "fat", 3, 0, &v));
		for (n = 0, err = 0; !err; n++) {
			snprintf(name, sizeof(name), "f%u", n);
			err = put(v, name, 60000, n);
		}
		must_be(err, -ENOSPC);
		must(n > 40);
		cow_volume_put(v);
		must_do(delete (&f, "fat"));
		/* no settling: who needs room finds it */
	}
	fixture_settle(&f);
	fixture_close(&f);
}

/* --- quotas --- */

static void test_quota(void)
{
	struct cow_volume_info info;
	struct cow_volume *a, *b;
	struct fixture f;
	char name[20];
	unsigned n;
	int err;

	fixture_open(&f, 8192);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &a));
	for (n = 0; n < 50; n++) {
		snprintf(name, sizeof(name), "f%u", n);
		must_do(put(a, name, 40000, n));
	}
	must_do(clone_of(a, "b", 0, &b));
	must_do(cow_volume_info(b, &info));
	must_be(info.used_blocks, 0);
	must_be(info.base_inodes, info.inodes);
	/* what it has from its base is free */
	must_do(cow_volume_set_quota(b, 300, 10));
	for (n = 50, err = 0; !err; n++) {
		snprintf(name, sizeof(name), "f%u", n);
		err = put(b, name, 1, n);
	}
	must_be(err, -EDQUOT);
	must_be(n, 61);
	must_do(drop(b, "f55"));
	must_do(put(b, "f55", 1, 1));
	for (n = 0, err = 0; !err && n < 50; n++) {
		snprintf(name, sizeof(name), "f%u", n);
		err = put(b, name, 40000, n);
	}
	must_be(err, -EDQUOT);
	must_do(cow_volume_info(b, &info));
	must(info.used_blocks <= 300 && info.used_blocks > 200);
	fixture_check(&f);
	must_do(put(a, "f0", 40000, 1)); /* not its quota */
	must_do(cow_volume_set_quota(b, 0, 0));
	must_do(put(b, "f45", 40000, 1));
	cow_volume_put(a);
	cow_volume_put(b);
	fixture_close(&f);
}

/* --- memory fails --- */

static void test_no_memory(void)
{
	struct cow_volume_info info;
	struct cow_volume *v, *w;
	u64 failures = 0, pos, names;
	struct fixture f;
	int err;

	fixture_open(&f, 8192);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &v));
	must_do(put(v, "x", 9000, 'x'));
	for (unsigned form = 0; form < 5; form++) {
		err = -1;
		for (u64 nth = 1; err; nth++) {
			must_do(cow_sync(f.fs));
			cow_shrink(f.fs, ~0ull >> 1);
			cow_platform_fail_in = nth;
			w = NULL;
			err = form == 0	  ? cow_volume_create(f.fs, "new", 3, 0, &w)
			      : form == 1 ? clone_of(v, "clone", 0, &w)
			      : form == 2 ? cow_volume_rename(f.fs, "clone", 5, "other", 5)
			      : form == 3 ? cow_volume_find(f.fs, "other", 5, &w)
					  : delete (&f, "other");
			cow_platform_fail_in = 0;
			if (w)
				cow_volume_put(w);
			if (!err)
				break;
			must_be(err, -ENOMEM);
			failures++;
			for (pos = names = 0; !cow_volume_next(f.fs, &pos, &info);)
				names++;
			must_be(names, form == 0 ? 2 : form == 1 ? 3 : 4);
			fixture_check(&f);
		}
		fixture_check(&f);
	}
	printf("# %lu failures of memory\n", (unsigned long)failures);
	must(failures > 30);
	/* the reaper: whatever fails, it goes on later */
	dead_fill(v, 20);
	cow_volume_put(v);
	must_do(delete (&f, "a"));
	for (u64 nth = 1; nth < 200; nth++) {
		cow_sync(f.fs);
		cow_shrink(f.fs, ~0ull >> 1);
		cow_platform_fail_in = nth;
		err = cow_reap(f.fs);
		cow_platform_fail_in = 0;
		must(err == 1 || err == 0 || err == -ENOMEM);
		fixture_check(&f);
	}
	fixture_settle(&f);
	fixture_close(&f);
}

/* --- many at once --- */

#define THREADS 4u

struct worker {
	struct fixture *f;
	unsigned number;
	pthread_t thread;
};

static int ignore_path(void *arg, enum cow_difference what, u64 ino, const char *path)
{
	return 0;
}

/* Volumes of its own, cloned from one that all write to; and what concerns all. */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct fixture *f = w->f;
	u64 seed = w->number + 100;
	char mine[20], name[20];
	struct cow_volume_info info;
	struct cow_volume *shared, *v;

	must_do(cow_volume_find(f->fs, "shared", 6, &shared));
	snprintf(mine, sizeof(mine), "clone %u", w->number);
	for (unsigned round = 0; round < 60; round++) {
		must_do(clone_of(shared, mine, 0, &v));
		for (unsigned n = 0; n < 30; n++) {
			snprintf(name, sizeof(name), "w%u %lu", w->number,
				 (unsigned long)(test_random(&seed) % 50));
			must_do(put(n & 1 ? v : shared, name, 5000, w->number + 1));
			must_be(content(n & 1 ? v : shared, name), w->number + 1);
		}
		must_do(cow_volume_diff_paths(shared, v, ignore_path, NULL));
		must_do(cow_volume_info(v, &info));
		must_be(strcmp(info.name, mine), 0);
		if (round % 4 == w->number)
			must_do(cow_sync(f->fs));
		if (round % 3 == 0)
			cow_work(f->fs, false);
		cow_shrink(f->fs, 100);
		cow_volume_put(v);
		must_do(delete (f, mine));
	}
	cow_volume_put(shared);
	return NULL;
}

static void test_threads(void)
{
	struct worker w[THREADS];
	struct cow_volume *v;
	struct fixture f;

	fixture_open(&f, 32768);
	must_do(cow_volume_create(f.fs, "shared", 6, 0, &v));
	cow_volume_put(v);
	for (unsigned n = 0; n < THREADS; n++) {
		w[n] = (struct worker){ &f, n, 0 };
		must_do(pthread_create(&w[n].thread, NULL, work, &w[n]));
	}
	for (unsigned n = 0; n < THREADS; n++)
		must_do(pthread_join(w[n].thread, NULL));
	fixture_settle(&f);
	fixture_close(&f);
}

/* --- what page tables may still write --- */

static u64 protected;

static void count_protect(struct cow_buf *b, void *inode_private, u64 index)
{
	must(inode_private == &protected);
	protected |= 1ull << index;
}

static void test_mapped(void)
{
	static const struct cow_hooks hooks = { .protect = count_protect };
	struct cow_volume *v, *w;
	struct cow_inode *i;
	struct cow_buf *b;
	struct fixture f;

	fixture_open(&f, 4096);
	cow_set_hooks(f.fs, &hooks);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &v));
	must_do(put(v, "x", 20000, 'x'));
	i = open_at(v, "x");
	i->private = &protected;
	for (u64 k = 1; k < 4; k += 2) {
		must_do(cow_file_write_begin(i, k, COW_WRITE_MAPPED, NULL, &b));
		cow_buf_put(b);
	}
	protected = 0;
	must_do(clone_of(v, "b", 0, &w));
	must_be(protected, 1 << 1 | 1 << 3);
	/* asked for again, it is another block: the clone keeps this one */
	must_do(cow_file_write_begin(i, 1, COW_WRITE_MAPPED, NULL, &b));
	memset(cow_buf_data(b), 'y', COW_BLOCK);
	cow_buf_put(b);
	protected = 0;
	must_do(cow_sync(f.fs));
	must(protected & 1 << 1);
	cow_inode_put(i);
	i = open_at(w, "x");
	u8 byte;
	must_be(cow_file_read(i, 5000, &byte, 1), 1);
	must_be(byte, 'x');
	cow_inode_put(i);
	i = open_at(v, "x");
	must_be(cow_file_read(i, 5000, &byte, 1), 1);
	must_be(byte, 'y');
	cow_inode_put(i);
	cow_volume_put(v);
	cow_volume_put(w);
	fixture_close(&f);
}

int main(void)
{
	static const struct test tests[] = {
		{ "names of volumes", test_names },
		{ "a deleted volume that is held", test_doomed },
		{ "clones", test_clone },
		{ "what a clone costs", test_clone_cost },
		{ "orphans of clones", test_orphans },
		{ "dead trees", test_reap },
		{ "a full disk", test_full },
		{ "quotas", test_quota },
		{ "memory fails at each place", test_no_memory },
		{ "clones protect mapped blocks", test_mapped },
		{ "threads", test_threads },
		{ "a family of volumes against a model", test_family },
	};

	return run_tests(tests, ARRAY_SIZE(tests));
}
