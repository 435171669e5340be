/* SPDX-License-Identifier: MIT */
/* cowfs_names_test.c - directories and names against simple models. */
#include "cowfs_fixture.h"
#include "fs/cowfs/dirblock.h"

static int lookup(struct cow_inode *dir, const char *name, u64 *ino)
{
	return cow_lookup(dir, name, strlen(name), ino);
}

static int make(struct cow_inode *dir, const char *name, u32 mode)
{
	struct cow_new n = { .mode = mode, .now = now };
	struct cow_inode *i;
	int err = cow_create(dir, name, strlen(name), &n, &i);

	if (!err)
		cow_inode_put(i);
	return err;
}

static int take(struct cow_inode *dir, const char *name)
{
	struct cow_inode *i;
	u64 ino;
	int err = lookup(dir, name, &ino);

	if (err)
		return err;
	must_do(cow_inode_get(dir->volume, ino, &i));
	err = cow_unlink(dir, name, strlen(name), i, &now);
	cow_inode_put(i);
	return err;
}

/* --- a tree that is right --- */

static u64 check_block(struct cow_fs *fs, const struct cow_ptr *p, unsigned level, u64 low,
		       u64 high, bool root)
{
	struct cow_buf *b;
	u64 n = 0;

	must_do(cow_buf_read(fs, p, (struct cow_shape){ COW_TREE_DIR, level }, &b));
	if (!level) {
		struct cow_dir_leaf *l = b->data;

		must_do(cow_leaf_check(l));
		must(l->count || root);
		for (unsigned i = 0; i < l->count; i++) {
			struct cow_dirent *e = cow_leaf_entry(l, i);

			must(e->key >= low && e->key < high);
			must((e->key & ~COW_DIR_KEY_CLASH) ==
			     cow_dir_base(fs->super.name_seed, e->name, e->name_len));
		}
		n = l->count;
	} else {
		struct cow_dir_node *d = b->data;

		must_do(cow_node_check(d));
		must_be(d->key[0], 0);
		for (unsigned i = 0; i < d->count; i++)
			n += check_block(fs, &d->ptr[i], level - 1, i ? d->key[i] : low,
					 i + 1 < d->count ? d->key[i + 1] : high, false);
	}
	cow_buf_put(b);
	return n;
}

static void check_dir(struct cow_inode *dir)
{
	u64 n = 0, ino;

	(void)lookup(dir, "any", &ino); /* brings the sum of the root up to date */
	if (dir->rec.root.addr)
		n = check_block(dir->volume->fs, &dir->rec.root, dir->rec.depth, 0, ~0ull,
				!dir->rec.depth);
	must_be(n, dir->rec.size);
}

/* --- a directory against a table of what is in it --- */

#define MODEL_NAMES 100000u

struct model {
	struct cow_inode *dir;
	u32 ino[MODEL_NAMES]; /* 0: not there */
	/* the scan under way: there since its start; seen */
	bool steady[MODEL_NAMES], seen[MODEL_NAMES];
	u64 pos, count, scans;
	unsigned budget;
};

/* Names of all lengths; each has its number first. */
static size_t model_name(char *out, unsigned n)
{
	size_t len = snprintf(out, 256, "%u.", n), want = len + (n % 37 ? n % 23 : n % 240);

	while (len < want && len < COW_NAME_MAX)
		out[len++] = 'a' + n % 26;
	out[len] = 0;
	return len;
}

static bool model_emit(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	struct model *m = arg;
	unsigned n = atoi(name);
	char want[256];

	if (!m->budget)
		return false;
	m->budget--;
	must(n < MODEL_NAMES && len == model_name(want, n) && !memcmp(name, want, len));
	must_be(type, 8); /* DT_REG */
	must(m->ino[n] == ino);
	must(!m->seen[n] || !m->steady[n]);
	m->seen[n] = true;
	return true;
}

static void model_scan_start(struct model *m)
{
	for (unsigned n = 0; n < MODEL_NAMES; n++) {
		m->steady[n] = m->ino[n];
		m->seen[n] = false;
	}
	m->pos = 0;
}

static void model_scan_step(struct model *m, unsigned budget)
{
	m->budget = budget;
	must_do(cow_readdir(m->dir, &m->pos, model_emit, m));
	if (!m->budget)
		return;
	for (unsigned n = 0; n < MODEL_NAMES; n++)
		must(!m->steady[n] || m->seen[n]);
	m->scans++;
	model_scan_start(m);
}

static void model_step(struct model *m, unsigned n, bool add)
{
	char name[256];
	size_t len = model_name(name, n);
	u64 ino;

	must_be(cow_lookup(m->dir, name, len, &ino), m->ino[n] ? 0 : -ENOENT);
	if (m->ino[n])
		must_be(ino, m->ino[n]);
	if (add) {
		must_be(make(m->dir, name, FILE_MODE), m->ino[n] ? -EEXIST : 0);
		if (m->ino[n])
			return;
		must_do(cow_lookup(m->dir, name, len, &ino));
		m->ino[n] = ino;
		m->count++;
	} else if (m->ino[n]) {
		must_do(take(m->dir, name));
		m->ino[n] = 0;
		m->steady[n] = false;
		m->count--;
	}
	must_be(m->dir->rec.size, m->count);
}

static void test_model(void)
{
	struct model *m = calloc(1, sizeof(*m));
	u64 seed = 1, r;
	struct fixture f;

	fixture_open(&f, 32768);
	m->dir = f.root;
	model_scan_start(m);
	for (unsigned k = 0; k < 330000; k++) {
		/* grows, stands, shrinks */
		unsigned adds = k < 150000 ? 90 : k < 200000 ? 50 : 15;

		r = test_random(&seed);
		model_step(m, (r >> 16) % MODEL_NAMES, r % 100 < adds);
		if (k % 13 == 0)
			model_scan_step(m, 40);
		if (k % 30011 == 0) {
			must_do(cow_sync(f.fs));
			cow_shrink(f.fs, ~0ull >> 1);
			check_dir(f.root);
		}
		if (k == 180000 || k == 300000) {
			fixture_remount(&f);
			m->dir = f.root;
		}
	}
	must(m->scans > 3);
	for (unsigned n = 0; n < MODEL_NAMES; n++)
		if (m->ino[n])
			model_step(m, n, false);
	must_be(f.root->rec.root.addr, 0);
	must_be(f.root->rec.depth, 0);
	fixture_close(&f);
	free(m);
}

/* --- names of equal hash --- */

static u64 inverse(u64 odd)
{
	u64 x = odd;

	for (unsigned i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

static u64 rotate(u64 x, unsigned n)
{
	return x << n | x >> (64 - n);
}

#define P1 0x9e3779b185ebca87ull
#define P2 0xc2b2ae3d27d4eb4full
#define P3 0x165667b19e3779f9ull
#define P4 0x85ebca77c2b2ae63ull
#define P5 0x27d4eb2f165667c5ull

/*
 * A name of 16 bytes with the given hash: the first half is random, the second is what XXH64 run
 * backwards says. False: it has a byte that names may not have.
 */
static bool clash_name(u64 fs_seed, u64 hash, u64 *seed, char *out)
{
	u64 acc = fs_seed + P5 + 16, first = test_random(seed), want = hash << 1 | 1, k;

	acc = rotate(acc ^ rotate(first * P2, 31) * P1, 27) * P1 + P4;
	want ^= want >> 32;
	want *= inverse(P3);
	want ^= want >> 29 ^ want >> 58;
	want *= inverse(P2);
	want ^= want >> 33;
	want = rotate((want - P4) * inverse(P1), 64 - 27) ^ acc;
	k = rotate(want * inverse(P1), 64 - 31) * inverse(P2);
	memcpy(out, &first, 8);
	memcpy(out + 8, &k, 8);
	out[16] = 0;
	must_be(cow_name_hash(fs_seed, out, 16) == hash, 1);
	return !memchr(out, 0, 16) && !memchr(out, '/', 16);
}

static void test_clash(void)
{
	u64 hash = 0x123456789abcdefull, seed = 5, ino, last = 0;
	static char name[3000][17];
	struct cow_dirent e;
	struct fixture f;

	fixture_open(&f, 8192);
	for (unsigned n = 0; n < 3000;)
		n += clash_name(4711, hash ^ (test_random(&seed) & COW_DIR_KEY_CLASH), &seed,
				name[n]);
	for (unsigned n = 0; n < 3000; n++) {
		must_do(make(f.root, name[n], FILE_MODE));
		must_be(make(f.root, name[n], FILE_MODE), -EEXIST);
	}
	check_dir(f.root);
	for (unsigned n = 0; n < 3000; n += 3)
		must_do(take(f.root, name[n]));
	check_dir(f.root);
	for (unsigned n = 0; n < 3000; n++)
		must_be(lookup(f.root, name[n], &ino), n % 3 ? 0 : -ENOENT);
	/* gaps are filled from below, and who was there keeps his key */
	for (unsigned n = 0; n < 3000; n += 3) {
		must_do(make(f.root, name[n], FILE_MODE));
		must_do(cow_dir_find(f.root, name[n], 16, &e));
		must(e.key >= last && (e.key & COW_DIR_KEY_CLASH) < 3000);
		last = e.key;
	}
	check_dir(f.root);
	fixture_close(&f);
}

/* All 32768 keys of a hash: the last leaf of them is filled by hand, through the calls below names.
 */
static void test_clash_full(void)
{
	u64 hash = 0x7777777777777777ull, seed = 6, base = hash & ~COW_DIR_KEY_CLASH;
	struct cow_dir_place p;
	struct cow_dirent e;
	struct fixture f;
	struct cow_op op;
	char name[17];

	fixture_open(&f, 8192);
	for (u64 n = 0; n < 32768; n++) {
		must_do(cow_op_begin(f.v, COW_OP_META, 0, &op));
		must_do(cow_inode_prepare(f.root));
		while (!clash_name(4711, hash, &seed, name))
			;
		/* a name's search is long here; only the first and last ones go that way */
		if (n < 16 || n > 32760) {
			must_do(cow_dir_insert_prepare(f.root, name, 16, &p));
			must_be(p.key, base + n);
		} else {
			must_do(cow_dir_path_with_room(f.root, base + n, 16, &p));
		}
		cow_dir_insert(f.root, &p, name, 16, 100, 1, 8);
		cow_inode_store(f.root, COW_STORE_NAMES);
		cow_op_end(&op);
	}
	must_do(cow_dir_find(f.root, name, 16, &e));
	must_be(e.key, base + 32767);
	while (!clash_name(4711, hash, &seed, name))
		;
	must_be(make(f.root, name, FILE_MODE), -ENOSPC);
	check_dir(f.root);
	fixture_discard(&f); /* fsck would miss the inodes */
}

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

/* Many names around, so that paths are deep and splits happen now and then. */
static void crowd(struct cow_inode *dir, unsigned n)
{
	char name[80];

	for (unsigned k = 0; k < n; k++) {
		snprintf(name, sizeof(name), "%064u", k);
		must_do(make(dir, name, FILE_MODE));
	}
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

static void test_full(void)
{
	struct fixture f;
	unsigned made = 0;
	char name[256];
	int err = 0;

	fixture_open(&f, 1024);
	for (unsigned round = 0; round < 2; round++) {
		for (made = 0; !err; made += !err) {
			snprintf(name, sizeof(name), "%0250u", made);
			err = make(f.root, name, FILE_MODE);
		}
		must_be(err, -ENOSPC);
		must(made > 1000);
		check_dir(f.root);
		for (unsigned k = 0; k < made; k++) {
			snprintf(name, sizeof(name), "%0250u", k);
			must_do(take(f.root, name));
		}
		must_be(f.root->rec.size, 0);
		err = 0;
	}
	fixture_close(&f);
}

/* --- what the disk holds is not trusted --- */

static void damage(u8 *block, u64 *seed)
{
	u64 r = test_random(seed);

	for (unsigned n = 1 + r % 4; n--;) {
		u64 x = test_random(seed);
		/* headers and offsets more often than names */
		unsigned at = x % 3 == 0   ? (x >> 8) % 32
			      : x % 3 == 1 ? COW_BLOCK - 1 - (x >> 8) % 200
					   : (x >> 8) % COW_BLOCK;

		block[at] = x >> 40;
	}
}

static bool damaged_emit(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	must(len && len <= COW_NAME_MAX && !memchr(name, '/', len));
	return true;
}

static void test_damage(void)
{
	u64 seed = 9, ino, pos, errors = 0;
	struct cow_dir_place p;
	u8 saved[COW_BLOCK];
	struct cow_buf *b;
	struct fixture f;
	struct cow_op op;
	char name[80];
	int err;

	fixture_open(&f, 4096);
	f.disk.quiet = true;
	crowd(f.root, 500);
	must_be(f.root->rec.depth, 1);
	for (unsigned k = 0; k < 20000; k++) {
		struct cow_ptr ptr = f.root->rec.root;
		unsigned level = 1;

		must_do(cow_buf_read(f.fs, &ptr, (struct cow_shape){ COW_TREE_DIR, 1 }, &b));
		if (k & 1) {
			struct cow_dir_node *n = b->data;

			ptr = n->ptr[test_random(&seed) % n->count];
			cow_buf_put(b);
			level = 0;
			must_do(cow_buf_read(f.fs, &ptr, (struct cow_shape){ COW_TREE_DIR, 0 },
					     &b));
		}
		memcpy(saved, b->data, COW_BLOCK);
		/* pointers are the checksums' business */
		if (level) {
			struct cow_dir_node *n = b->data;

			n->count = k % 3 ? n->count : test_random(&seed);
			n->key[test_random(&seed) % COW_DIR_FANOUT] = test_random(&seed);
			if (n->count > 8 && k % 5 == 0)
				n->count = test_random(&seed) % 8;
		} else {
			damage(b->data, &seed);
		}
		for (unsigned n = 0; n < 8; n++) {
			snprintf(name, sizeof(name), "%064u", (unsigned)(test_random(&seed) % 600));
			err = lookup(f.root, name, &ino);
			errors += err == -EIO;
			must(!err || err == -ENOENT || err == -EIO);
		}
		pos = 0;
		err = cow_readdir(f.root, &pos, damaged_emit, NULL);
		errors += err == -EIO;
		must(!err || err == -EIO);
		must_do(cow_op_begin(f.v, COW_OP_META, 0, &op));
		if (b->birth > f.fs->sealed_birth && !level) { /* in place */
			if (!cow_dir_remove_prepare(f.root, name, strlen(name), &p))
				cow_dir_place_put(&p);
			errors += cow_dir_empty(f.root) == -EIO;
		}
		cow_op_end(&op);
		memcpy(b->data, saved, COW_BLOCK);
		cow_buf_put(b);
	}
	printf("# %lu times -EIO\n", (unsigned long)errors);
	must(errors > 1000);
	check_dir(f.root);
	fixture_close(&f);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = {
		{ "rename of files", test_rename_files },
		{ "rename of directories", test_rename_directories },
		{ "links", test_links },
		{ "symbolic links", test_symlinks },
		{ "names of equal hash", test_clash },
		{ "all keys of a hash", test_clash_full },
		{ "memory fails at each place", test_no_memory },
		{ "space comes back", test_space },
		{ "a full disk can be emptied", test_full },
		{ "damaged blocks of directories", test_damage },
		{ "100,000 names against a model", test_model },
	};

	for (unsigned n = 0; n < ARRAY_SIZE(tests); n++) {
		tests[n].run();
		printf("ok %u - %s\n", n + 1, tests[n].name);
		fflush(stdout);
	}
	printf("1..%zu\n", ARRAY_SIZE(tests));
	return 0;
}
