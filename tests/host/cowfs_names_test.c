/* SPDX-License-Identifier: MIT */
/*
 * cowfs_names_test.c - what is done with names: rename, links, symbolic links; what fails leaves
 * nothing, and what is removed leaves no space taken. Directories as trees: cowfs_dir_test.c.
 */
#include "cowfs_names.h"

/* Inodes on the list of orphans. */
static unsigned orphans_of(struct cow_volume *v)
{
	union cow_record r;
	unsigned n = 0;

	for (u64 ino = v->rec.orphan_head; ino; ino = r.inode.next) {
		must_do(cow_record_read(v, ino, &r));
		n++;
	}
	return n;
}

/* --- every form of rename --- */

struct tree {
	struct fixture f;
	struct cow_inode *a, *b; /* directories in the root */
};

static void tree_open(struct tree *t)
{
	fixture_open(&t->f, 4096);
	t->a = fixture_new(t->f.root, "a", DIR_MODE);
	t->b = fixture_new(t->f.root, "b", DIR_MODE);
}

static void tree_close(struct tree *t)
{
	cow_inode_put(t->a);
	cow_inode_put(t->b);
	fixture_close(&t->f);
}

static int move(struct cow_inode *from_dir, const char *from, struct cow_inode *to_dir,
		const char *to, bool exchange)
{
	struct cow_inode *i, *target = NULL;
	u64 ino;
	int err;

	must_do(lookup(from_dir, from, &ino));
	must_do(cow_inode_get(from_dir->volume, ino, &i));
	if (!lookup(to_dir, to, &ino))
		must_do(cow_inode_get(to_dir->volume, ino, &target));
	err = cow_rename(from_dir, from, strlen(from), i, to_dir, to, strlen(to), target, exchange,
			 &now);
	if (target)
		cow_inode_put(target);
	cow_inode_put(i);
	return err;
}

static u64 ino_of(struct cow_inode *dir, const char *name)
{
	u64 ino = 0;

	return lookup(dir, name, &ino) ? 0 : ino;
}

static void home_check(struct cow_inode *dir, const char *name)
{
	struct cow_dirent e;
	union cow_record r;

	must_do(cow_dir_find(dir, name, strlen(name), &e));
	must_do(cow_record_read(dir->volume, e.ino, &r));
	must_be(r.inode.home.dir, dir->ino);
	must_be(r.inode.home.key, e.key);
}

static void test_rename_files(void)
{
	struct tree t;
	u64 x, y;

	tree_open(&t);
	must_do(make(t.a, "x", FILE_MODE));
	x = ino_of(t.a, "x");
	must_do(move(t.a, "x", t.a, "a longer name in the same place", false));
	must_do(move(t.a, "a longer name in the same place", t.b, "x", false));
	must_be(ino_of(t.a, "x"), 0);
	must_be(ino_of(t.b, "x"), x);
	must_be(t.a->rec.size, 0);
	home_check(t.b, "x");
	must_do(make(t.a, "y", FILE_MODE));
	y = ino_of(t.a, "y");
	must_do(move(t.a, "y", t.b, "x", false)); /* replaces */
	must_be(ino_of(t.b, "x"), y);
	must_be(t.b->rec.size, 1);
	home_check(t.b, "x");
	struct cow_inode *gone;
	must_be(cow_inode_get(t.f.v, x, &gone), -ENOENT);
	must_do(make(t.a, "z", FILE_MODE));
	x = ino_of(t.a, "z");
	must_do(move(t.a, "z", t.b, "x", true));
	must_be(ino_of(t.a, "z"), y);
	must_be(ino_of(t.b, "x"), x);
	home_check(t.a, "z");
	home_check(t.b, "x");
	must_do(move(t.b, "x", t.b, "x", false));
	must_be(ino_of(t.b, "x"), x);
	must_be(cow_rename(t.b, "x", 1, t.a, t.b, "none", 4, NULL, true, &now), -ENOENT);
	must_do(cow_inode_get(t.f.v, y, &gone));
	must_be(cow_rename(t.b, "x", 1, gone, t.b, "q", 1, NULL, false, &now), -ESTALE);
	cow_inode_put(gone);
	must_be(move(t.b, "x", t.a, "..", false), -EINVAL);
	must_be(move(t.b, "x", t.a, "p/q", false), -EINVAL);
	tree_close(&t);
}

static void test_rename_directories(void)
{
	struct cow_inode *d;
	struct tree t;

	tree_open(&t);
	must_be(t.f.root->rec.nlink, 4);
	d = fixture_new(t.a, "d", DIR_MODE);
	must_be(t.a->rec.nlink, 3);
	must_do(move(t.a, "d", t.b, "e", false));
	must_be(t.a->rec.nlink, 2);
	must_be(t.b->rec.nlink, 3);
	home_check(t.b, "e");
	must_do(make(t.a, "f", FILE_MODE));
	must_be(move(t.b, "e", t.a, "f", false), -ENOTDIR);
	must_be(move(t.a, "f", t.b, "e", false), -EISDIR);
	must_do(move(t.b, "e", t.a, "f", true)); /* a file for a directory */
	must_be(t.a->rec.nlink, 3);
	must_be(t.b->rec.nlink, 2);
	must_do(make(t.b, "full", DIR_MODE));
	must_do(make(d, "inside", FILE_MODE));
	must_be(move(t.b, "full", t.a, "f", false), -ENOTEMPTY);
	must_do(take(d, "inside"));
	must_do(move(t.b, "full", t.a, "f", false)); /* an empty one is replaced */
	must_be(d->rec.nlink, 0);
	must_be(make(d, "in a removed one", FILE_MODE), -ENOENT);
	must_be(t.b->rec.nlink, 2);
	must_be(t.a->rec.nlink, 3);
	must_be(take(t.f.root, "a"), -ENOTEMPTY);
	/* within one directory nothing is counted twice */
	must_do(make(t.b, "p", DIR_MODE));
	must_do(make(t.b, "q", DIR_MODE));
	must_do(move(t.b, "p", t.b, "q", true));
	must_be(t.b->rec.nlink, 4);
	must_do(move(t.b, "p", t.b, "q", false));
	must_be(t.b->rec.nlink, 3);
	must_be(move(t.f.root, "a", t.a, "x", false), -EINVAL);
	cow_inode_put(d);
	tree_close(&t);
}

static void test_links(void)
{
	struct cow_inode *i, *o;
	struct cow_new n = { .mode = FILE_MODE, .now = now };
	char long_name[300];
	struct tree t;

	tree_open(&t);
	i = fixture_new(t.a, "x", FILE_MODE);
	must_do(cow_link(i, t.b, "y", 1, &now));
	must_be(i->rec.nlink, 2);
	must_be(cow_link(i, t.b, "y", 1, &now), -EEXIST);
	must_be(cow_link(t.a, t.b, "z", 1, &now), -EPERM);
	must_do(move(t.a, "x", t.b, "y", false)); /* the same inode: both stay */
	must(ino_of(t.a, "x") && ino_of(t.b, "y"));
	must_do(take(t.a, "x"));
	must_be(i->rec.home.dir, 0);
	must_do(take(t.b, "y"));
	must_be(i->rec.nlink, 0);
	must_do(cow_link(i, t.b, "back", 4, &now)); /* linkat of an open one */
	must_be(i->rec.nlink, 1);
	must_be(i->rec.flags & COW_INODE_ORPHAN, 0);
	home_check(t.b, "back");
	cow_inode_put(i);
	must_do(cow_create_orphan(t.a, &n, &o));
	must(o->rec.flags & COW_INODE_ORPHAN);
	must_be(orphans_of(t.f.v), 1);
	cow_inode_put(o);
	must_be(orphans_of(t.f.v), 0);
	memset(long_name, 'n', sizeof(long_name));
	must_be(cow_create(t.a, long_name, 256, &n, &o), -ENAMETOOLONG);
	must_do(cow_create(t.a, long_name, 255, &n, &o));
	for (unsigned k = 1; k < COW_LINK_MAX; k++) {
		int len = snprintf(long_name, 256, "l%u", k);
		must_do(cow_link(o, t.b, long_name, len, &now));
	}
	must_be(cow_link(o, t.b, "one more", 8, &now), -EMLINK);
	cow_inode_put(o);
	check_dir(t.b);
	tree_close(&t);
}

static void test_symlinks(void)
{
	char text[COW_BLOCK], back[COW_BLOCK];
	struct cow_new n = { .mode = 0120777, .now = now, .link = text };
	const unsigned lengths[] = { 1, 55, 56, 57, 255, 4095 };
	struct cow_inode *i;
	struct tree t;
	char name[20];

	tree_open(&t);
	for (unsigned k = 0; k < ARRAY_SIZE(lengths); k++) {
		memset(text, 'a' + k, sizeof(text));
		text[lengths[k]] = 0;
		snprintf(name, sizeof(name), "l%u", k);
		must_do(cow_create(t.a, name, strlen(name), &n, &i));
		must_be(i->rec.size, lengths[k]);
		cow_inode_put(i);
		must_do(cow_inode_get(t.f.v, ino_of(t.a, name), &i));
		must_do(cow_readlink(i, back, sizeof(back)));
		must_be(strcmp(text, back), 0);
		cow_inode_put(i);
	}
	n.link = "";
	must_be(cow_create(t.a, "e", 1, &n, &i), -EINVAL);
	tree_close(&t);
}

/* --- what fails leaves nothing --- */

static unsigned count_emitted;

static bool count_emit(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	count_emitted++;
	return true;
}

static unsigned count_names(struct cow_inode *dir)
{
	u64 pos = 0;

	count_emitted = 0;
	must_do(cow_readdir(dir, &pos, count_emit, NULL));
	return count_emitted;
}

enum form {
	FORM_CREATE,
	FORM_MKDIR,
	FORM_SYMLINK,
	FORM_ORPHAN,
	FORM_LINK,
	FORM_UNLINK,
	FORM_RMDIR,
	FORM_MOVE,
	FORM_REPLACE,
	FORM_EXCHANGE,
	FORMS
};

static int perform(enum form form, struct tree *t, struct cow_inode *x, struct cow_inode *y,
		   struct cow_inode *d)
{
	char text[200] = { 0 };
	struct cow_new n = { .mode = FILE_MODE, .now = now, .link = memset(text, 't', 199) };
	struct cow_inode *out = NULL;
	int err = 0;

	switch (form) {
	case FORM_CREATE:
	case FORM_MKDIR:
	case FORM_SYMLINK:
		n.mode = form == FORM_CREATE ? FILE_MODE : form == FORM_MKDIR ? DIR_MODE : 0120777;
		err = cow_create(t->a, "new", 3, &n, &out);
		break;
	case FORM_ORPHAN:
		err = cow_create_orphan(t->a, &n, &out);
		break;
	case FORM_LINK:
		return cow_link(x, t->b, "new", 3, &now);
	case FORM_UNLINK:
		return cow_unlink(t->a, "x", 1, x, &now);
	case FORM_RMDIR:
		return cow_unlink(t->a, "d", 1, d, &now);
	case FORM_MOVE:
		return cow_rename(t->a, "x", 1, x, t->b, "new", 3, NULL, false, &now);
	case FORM_REPLACE:
		return cow_rename(t->a, "x", 1, x, t->b, "y", 1, y, false, &now);
	case FORM_EXCHANGE:
		return cow_rename(t->a, "x", 1, x, t->b, "y", 1, y, true, &now);
	default:
		must(false);
	}
	if (out)
		cow_inode_put(out);
	return err;
}

static void test_no_memory(void)
{
	u64 failures = 0;

	for (enum form form = 0; form < FORMS; form++) {
		struct cow_inode *x, *y, *d, *other;
		struct cow_new n = { .mode = FILE_MODE, .now = now };
		unsigned names_a, names_b;
		struct tree t;
		int err = -1;

		tree_open(&t);
		crowd(t.a, 300 + form);
		crowd(t.b, 40 + form);
		x = fixture_new(t.a, "x", FILE_MODE);
		y = fixture_new(t.b, "y", FILE_MODE);
		d = fixture_new(t.a, "d", DIR_MODE);
		must_do(cow_create_orphan(t.a, &n, &other));
		names_a = count_names(t.a);
		names_b = count_names(t.b);
		for (u64 nth = 1; err; nth++) {
			must_do(cow_sync(t.f.fs));
			cow_shrink(t.f.fs, ~0ull >> 1);
			cow_platform_fail_in = nth;
			err = perform(form, &t, x, y, d);
			cow_platform_fail_in = 0;
			if (!err)
				break;
			must_be(err, -ENOMEM);
			failures++;
			must_be(count_names(t.a), names_a);
			must_be(count_names(t.b), names_b);
			must_be(ino_of(t.a, "x"), x->ino);
			must_be(ino_of(t.b, "y"), y->ino);
			must_be(orphans_of(t.f.v), 1);
			check_dir(t.a);
			check_dir(t.b);
		}
		check_dir(t.a);
		check_dir(t.b);
		cow_inode_put(other);
		cow_inode_put(x);
		cow_inode_put(y);
		cow_inode_put(d);
		tree_close(&t);
	}
	printf("# %lu failures of memory\n", (unsigned long)failures);
	must(failures > 100);
}

static void test_space(void)
{
	u64 before[3];
	struct tree t;

	tree_open(&t);
	for (unsigned round = 0; round < 3; round++) {
		char name[20];

		before[round] = fixture_settle(&t.f);
		for (unsigned k = 0; k < 3000; k++) {
			snprintf(name, sizeof(name), "n%u", k);
			must_do(make(k & 1 ? t.a : t.b, name, k % 5 ? FILE_MODE : DIR_MODE));
		}
		for (unsigned k = 0; k < 3000; k++) {
			snprintf(name, sizeof(name), "n%u", k);
			must_do(take(k & 1 ? t.a : t.b, name));
		}
	}
	/* the first round made the table of inodes larger, which stays so */
	must_be(before[1], before[2]);
	must_be(fixture_settle(&t.f), before[2]);
	tree_close(&t);
}

int main(void)
{
	static const struct test tests[] = {
		{ "rename of files", test_rename_files },
		{ "rename of directories", test_rename_directories },
		{ "links", test_links },
		{ "symbolic links", test_symlinks },
		{ "memory fails at each place", test_no_memory },
		{ "space comes back", test_space },
	};

	return run_tests(tests, ARRAY_SIZE(tests));
}
