/* SPDX-License-Identifier: MIT */
/* cowfs_diff_test.c - differences of volumes and directories against brute force; what they cost.
 */
#include "cowfs_fixture.h"

struct seen {
	struct cow_volume *a, *b;
	u64 count, last;
	u8 what[8192]; /* by inode: difference + 1; 0: none */
};

static int seen_emit(void *arg, enum cow_difference what, u64 ino,
		     const struct cow_inode_record *old, const struct cow_inode_record *fresh)
{
	struct seen *s = arg;

	must(ino < ARRAY_SIZE(s->what) && ino >= s->last);
	must((what == COW_ADDED) == !old && (what == COW_REMOVED) == !fresh);
	s->last = ino;
	s->count++;
	/* given anew: REMOVED and ADDED, 4 */
	s->what[ino] = s->what[ino] ? 4 : what + 1;
	return 0;
}

static bool record_at(struct cow_volume *v, u64 ino, struct cow_inode_record *out)
{
	union cow_record r;

	if (cow_record_read(v, ino, &r) || !r.mode || !r.inode.nlink)
		return false;
	*out = r.inode;
	out->atime = (struct cow_time){ 0 };
	out->next = out->prev = 0;
	out->root.csum = out->xattr.csum = 0;
	return true;
}

static void diff_verify(struct seen *s)
{
	struct cow_inode_record x, y;

	memset(s->what, 0, sizeof(s->what));
	s->count = s->last = 0;
	must_do(cow_volume_diff(s->a, s->b, seen_emit, s));
	for (u64 ino = 1; ino < ARRAY_SIZE(s->what); ino++) {
		bool a = record_at(s->a, ino, &x), b = record_at(s->b, ino, &y);
		u8 want = !a && !b			 ? 0
			  : !a				 ? COW_ADDED + 1
			  : !b				 ? COW_REMOVED + 1
			  : x.generation != y.generation ? 4
			  : memcmp(&x, &y, sizeof(x))	 ? COW_CHANGED + 1
							 : 0;

		must_be(s->what[ino], want);
	}
}

static void test_diff(void)
{
	struct seen *s = calloc(1, sizeof(*s));
	struct cow_space before, after;
	u64 seed = 3;
	struct fixture f;
	char name[20];

	fixture_open(&f, 32768);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &s->a));
	for (unsigned n = 0; n < 3000; n++) {
		snprintf(name, sizeof(name), "f%u", n);
		must_do(put(s->a, name, 100, n));
	}
	must_do(clone_of(s->a, "b", 0, &s->b));
	diff_verify(s);
	must_be(s->count, 0);
	for (unsigned k = 0; k < 60; k++) {
		for (unsigned n = 0; n < 10; n++) {
			snprintf(name, sizeof(name), "f%lu",
				 (unsigned long)(test_random(&seed) % 5000));
			if (test_random(&seed) & 1)
				must_do(put(test_random(&seed) & 1 ? s->a : s->b, name, 100, n));
			else
				drop(test_random(&seed) & 1 ? s->a : s->b, name);
		}
		diff_verify(s);
	}
	must(s->count > 300);
	/* cost: what is shared is not read */
	cow_volume_put(s->a);
	must_do(clone_of(s->b, "c", 0, &s->a));
	must_do(put(s->a, "f7", 100, 1));
	must_do(cow_sync(f.fs));
	cow_shrink(f.fs, ~0ull >> 1);
	cow_space(f.fs, &before);
	s->count = s->last = 0;
	must_do(cow_volume_diff(s->b, s->a, seen_emit, s));
	cow_space(f.fs, &after);
	must(s->count >= 1 && s->count <= 2);
	must(after.reads - before.reads < 12);
	cow_volume_put(s->a);
	cow_volume_put(s->b);
	fixture_close(&f);
	free(s);
}

struct lines {
	unsigned count;
	char line[64][80];
};

static int line_emit(void *arg, enum cow_difference what, u64 ino, const char *path)
{
	struct lines *l = arg;

	must(l->count < ARRAY_SIZE(l->line));
	snprintf(l->line[l->count++], 80, "%c %s", "ACD"[what], path ? path : "?");
	return 0;
}

static bool has_line(const struct lines *l, const char *line)
{
	for (unsigned n = 0; n < l->count; n++)
		if (!strcmp(l->line[n], line))
			return true;
	return false;
}

/* A volume with a directory of many files: /etc/deep. */
static void paths_make(struct cow_volume *v)
{
	struct cow_inode *root = root_of(v), *etc = fixture_new(root, "etc", DIR_MODE);
	struct cow_inode *deep = fixture_new(etc, "deep", DIR_MODE);
	char name[20];

	for (unsigned n = 0; n < 500; n++) {
		snprintf(name, sizeof(name), "other %u", n);
		cow_inode_put(fixture_new(deep, name, FILE_MODE));
	}
	cow_inode_put(fixture_new(deep, "changed", FILE_MODE));
	cow_inode_put(fixture_new(deep, "removed", FILE_MODE));
	cow_inode_put(fixture_new(etc, "replaced", FILE_MODE));
	cow_inode_put(deep);
	cow_inode_put(etc);
	cow_inode_put(root);
}

static struct cow_inode *child(struct cow_inode *dir, const char *name)
{
	struct cow_inode *i;
	u64 ino;

	must_do(cow_lookup(dir, name, strlen(name), &ino));
	must_do(cow_inode_get(dir->volume, ino, &i));
	return i;
}

static void paths_of_inodes(struct cow_volume *v, struct cow_inode *deep)
{
	char path[COW_PATH_MAX];

	must_do(cow_path(v, deep->ino, path, sizeof(path)));
	must_be(strcmp(path, "/etc/deep"), 0);
	must_be(cow_path(v, deep->ino, path, 9), -ERANGE);
	must_do(cow_path(v, COW_ROOT_INO, path, sizeof(path)));
	must_be(strcmp(path, "/"), 0);
}

/* One name is removed, one is taken by a new file, and there is a new tree. */
static void paths_change(struct cow_inode *root, struct cow_inode *etc, struct cow_inode *deep)
{
	struct cow_inode *i = child(deep, "removed"), *old;

	must_do(cow_unlink(deep, "removed", 7, i, &now));
	cow_inode_put(i);
	i = fixture_new(root, "new", FILE_MODE);
	old = child(etc, "replaced");
	must_do(cow_rename(root, "new", 3, i, etc, "replaced", 8, old, false, &now));
	cow_inode_put(i);
	cow_inode_put(old);
	i = fixture_new(etc, "tree", DIR_MODE);
	cow_inode_put(fixture_new(i, "leaf", FILE_MODE));
	cow_inode_put(i);
}

static void paths_differ(struct cow_volume *a, struct cow_volume *b, struct lines *l)
{
	struct cow_inode *root = root_of(b), *etc = child(root, "etc"), *deep = child(etc, "deep");
	struct cow_inode *i = child(deep, "changed");

	paths_of_inodes(b, deep);
	/* a change of a file alone */
	fixture_write(i, 0, 10, 'c');
	cow_inode_put(i);
	must_do(cow_volume_diff_paths(a, b, line_emit, l));
	must_be(l->count, 1);
	must(has_line(l, "C /etc/deep/changed"));
	paths_change(root, etc, deep);
	l->count = 0;
	must_do(cow_volume_diff_paths(a, b, line_emit, l));
	for (unsigned n = 0; n < l->count; n++)
		printf("# %s\n", l->line[n]);
	must(has_line(l, "C /") && has_line(l, "C /etc") && has_line(l, "C /etc/deep"));
	must(has_line(l, "C /etc/deep/changed") && has_line(l, "D /etc/deep/removed"));
	must(has_line(l, "C /etc/replaced") && has_line(l, "A /etc/tree"));
	must(has_line(l, "A /etc/tree/leaf"));
	must_be(l->count, 8);
	cow_inode_put(deep);
	cow_inode_put(etc);
	cow_inode_put(root);
}

static void test_paths(void)
{
	struct lines *l = calloc(1, sizeof(*l));
	struct cow_volume *a, *b;
	struct fixture f;

	fixture_open(&f, 8192);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &a));
	paths_make(a);
	must_do(clone_of(a, "b", 0, &b));
	paths_differ(a, b, l);
	cow_volume_put(a);
	cow_volume_put(b);
	fixture_close(&f);
	free(l);
}

#define DIR_NAMES 6000u

struct dir_seen {
	u8 what[DIR_NAMES];
};

static int dir_seen_emit(void *arg, enum cow_difference what, const char *name, size_t len,
			 u64 old_ino, u64 ino, u32 type)
{
	struct dir_seen *s = arg;
	unsigned n = atoi(name + 1);

	must(n < DIR_NAMES && !s->what[n]);
	s->what[n] = what + 1;
	return 0;
}

static void dir_diff_verify(struct cow_volume *a, struct cow_volume *b)
{
	struct dir_seen *s = calloc(1, sizeof(*s));
	struct cow_inode *x = root_of(a), *y = root_of(b);
	char name[20];

	must_do(cow_dir_diff(x, y, dir_seen_emit, s));
	for (unsigned n = 0; n < DIR_NAMES; n++) {
		u64 i = 0, j = 0;
		u8 want;

		snprintf(name, sizeof(name), "f%u", n);
		cow_lookup(x, name, strlen(name), &i);
		cow_lookup(y, name, strlen(name), &j);
		want = i == j ? 0 : !i ? COW_ADDED + 1 : !j ? COW_REMOVED + 1 : COW_CHANGED + 1;
		/* a number given anew to the same name is a change, too */
		if (want)
			must_be(s->what[n], want);
		else
			must(!s->what[n] || (i && s->what[n] == COW_CHANGED + 1));
	}
	cow_inode_put(x);
	cow_inode_put(y);
	free(s);
}

static void test_dir_diff(void)
{
	struct cow_volume *a, *b;
	struct cow_space before, after;
	u64 seed = 8;
	struct fixture f;
	char name[20];

	fixture_open(&f, 32768);
	must_do(cow_volume_create(f.fs, "a", 1, 0, &a));
	for (unsigned n = 0; n < 4000; n++) {
		snprintf(name, sizeof(name), "f%u", n);
		must_do(put(a, name, 1, n));
	}
	must_do(clone_of(a, "b", 0, &b));
	dir_diff_verify(a, b);
	must_do(put(b, "f5500", 1, 1));
	must_do(cow_sync(f.fs));
	cow_shrink(f.fs, ~0ull >> 1);
	cow_space(f.fs, &before);
	struct dir_seen *s = calloc(1, sizeof(*s));
	struct cow_inode *x = root_of(a), *y = root_of(b);
	must_do(cow_dir_diff(x, y, dir_seen_emit, s));
	cow_space(f.fs, &after);
	must_be(s->what[5500], COW_ADDED + 1);
	must(after.reads - before.reads < 20);
	cow_inode_put(x);
	cow_inode_put(y);
	free(s);
	for (unsigned k = 0; k < 30; k++) {
		for (unsigned n = 0; n < 60; n++) {
			struct cow_volume *v = test_random(&seed) & 1 ? a : b;

			snprintf(name, sizeof(name), "f%u",
				 (unsigned)(test_random(&seed) % DIR_NAMES));
			if (test_random(&seed) % 3)
				drop(v, name);
			else
				must_do(put(v, name, 1, n));
		}
		dir_diff_verify(a, b);
	}
	cow_volume_put(a);
	cow_volume_put(b);
	fixture_close(&f);
}

int main(void)
{
	static const struct test tests[] = {
		{ "differences against brute force", test_diff },
		{ "paths that differ", test_paths },
		{ "directories that differ", test_dir_diff },
	};

	return run_tests(tests, ARRAY_SIZE(tests));
}
