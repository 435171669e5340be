/* SPDX-License-Identifier: MIT */
/*
 * cowfs_dir_test.c - a directory as a tree of names: against a table of what is in it, with names
 * of equal hash, on a full disk, with damaged blocks. What is done with names: cowfs_names_test.c.
 */
#include "cowfs_names.h"

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

/* Pointers are the checksums' business. */
static void damage_node(struct cow_dir_node *n, unsigned k, u64 *seed)
{
	n->count = k % 3 ? n->count : test_random(seed);
	n->key[test_random(seed) % COW_DIR_FANOUT] = test_random(seed);
	if (n->count > 8 && k % 5 == 0)
		n->count = test_random(seed) % 8;
}

/* The root of the directory, or one of its leaves. */
static struct cow_buf *block_of(struct fixture *f, bool leaf, u64 *seed)
{
	struct cow_ptr ptr = f->root->rec.root;
	struct cow_buf *b;

	must_do(cow_buf_read(f->fs, &ptr, (struct cow_shape){ COW_TREE_DIR, 1 }, &b));
	if (leaf) {
		struct cow_dir_node *n = b->data;

		ptr = n->ptr[test_random(seed) % n->count];
		cow_buf_put(b);
		must_do(cow_buf_read(f->fs, &ptr, (struct cow_shape){ COW_TREE_DIR, 0 }, &b));
	}
	return b;
}

/* Each call finds what is there, or says -EIO: how many did. leaf: the damaged one, or NULL. */
static u64 use_damaged(struct fixture *f, const struct cow_buf *leaf, u64 *seed)
{
	char name[80];
	u64 ino, pos = 0, errors = 0;
	struct cow_dir_place p;
	struct cow_op op;
	int err;

	for (unsigned n = 0; n < 8; n++) {
		snprintf(name, sizeof(name), "%064u", (unsigned)(test_random(seed) % 600));
		err = lookup(f->root, name, &ino);
		errors += err == -EIO;
		must(!err || err == -ENOENT || err == -EIO);
	}
	err = cow_readdir(f->root, &pos, damaged_emit, NULL);
	errors += err == -EIO;
	must(!err || err == -EIO);
	must_do(cow_op_begin(f->v, COW_OP_META, 0, &op));
	if (leaf && leaf->birth > f->fs->sealed_birth) { /* in place */
		if (!cow_dir_remove_prepare(f->root, name, strlen(name), &p))
			cow_dir_place_put(&p);
		errors += cow_dir_empty(f->root) == -EIO;
	}
	cow_op_end(&op);
	return errors;
}

static void test_damage(void)
{
	u64 seed = 9, errors = 0;
	u8 saved[COW_BLOCK];
	struct fixture f;

	fixture_open(&f, 4096);
	f.disk.quiet = true;
	crowd(f.root, 500);
	must_be(f.root->rec.depth, 1);
	for (unsigned k = 0; k < 20000; k++) {
		bool leaf = k & 1;
		struct cow_buf *b = block_of(&f, leaf, &seed);

		memcpy(saved, b->data, COW_BLOCK);
		if (leaf)
			damage(b->data, &seed);
		else
			damage_node(b->data, k, &seed);
		errors += use_damaged(&f, leaf ? b : NULL, &seed);
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
	static const struct test tests[] = {
		{ "names of equal hash", test_clash },
		{ "all keys of a hash", test_clash_full },
		{ "a full disk can be emptied", test_full },
		{ "damaged blocks of directories", test_damage },
		{ "100,000 names against a model", test_model },
	};

	return run_tests(tests, ARRAY_SIZE(tests));
}
