/* SPDX-License-Identifier: MIT */
/* usermap_test.c - kernel/core/usermap.c: parsing, composing, both ways, against a plain list. */
#include "core/usermap.h"
#include "core/errno.h"
#include "core/rcu.h"
#include "lib/string.h"
#include "tests/host/machine.h"

#define N 40

static struct id_range range[USERMAP_LINE_MAX];

static int parse(const char *text)
{
	char copy[256];

	strlcpy(copy, text, sizeof(copy));
	return usermap_parse(copy, range);
}

static void test_parse(void)
{
	ok(parse("0 100000 65536") == 1 && range[0].inside == 0 && range[0].outside == 100000 &&
		   range[0].count == 65536,
	   "a line");
	ok(parse("  1\t2  3 \n4 5 6\n") == 2 && range[1].inside == 4, "two, with space around");
	ok(parse("0 0 4294967295") == 1 && parse("4294967294 0 1") == 1, "all, and the last");
	ok(parse("") == -EINVAL && parse("1 2") == -EINVAL && parse("1 2 3 4") == -EINVAL &&
		   parse("1 2 0") == -EINVAL && parse("a 2 3") == -EINVAL &&
		   parse("1 2 3\n\n4 5 6") == -EINVAL,
	   "not lines of three numbers");
	ok(parse("1 0 4294967295") == -EINVAL && parse("0 1 4294967295") == -EINVAL &&
		   parse("4294967295 0 1") == -EINVAL && parse("0 0 4294967296") == -EINVAL,
	   "nothing wraps, and -1 is no id");
}

static u32 naive(const struct id_range *r, u32 n, u32 id, bool back)
{
	for (u32 i = 0; i < n; i++) {
		u32 first = back ? r[i].outside : r[i].inside;
		if (id >= first && id - first < r[i].count)
			return (back ? r[i].inside : r[i].outside) + (id - first);
	}
	return ID_NONE;
}

static bool same(const struct usermap *m, const struct id_range *r, u32 n)
{
	for (u32 id = 0; id < 40 * N; id++)
		if (uid_to_global(m, id) != naive(r, n, id, false) ||
		    uid_from_global(m, id) != naive(r, n, id, true))
			return false;
	return uid_to_global(m, ID_NONE) == ID_NONE && uid_from_global(m, ID_NONE) == ID_NONE;
}

/* N ranges with gaps, in a mixed order on either side; m of them as one more map inside. */
static void test_both_ways(void)
{
	struct id_range outer[N], inner[N];
	struct usermap_lines l = { outer, outer, N, N };
	struct usermap *m, *deep;

	for (u32 i = 0; i < N; i++) {
		outer[i] = (struct id_range){ i * 17 % N * 20, i * 23 % N * 30, 1 + i % 20 };
		inner[i] = (struct id_range){ i * 11 % N * 25, outer[i].inside, outer[i].count };
	}
	must(!usermap_create(NULL, &l, &m), "create");
	ok(same(m, outer, N), "each id, both ways");
	l = (struct usermap_lines){ inner, inner, N, N };
	must(!usermap_create(m, &l, &deep), "create inside");
	for (u32 i = 0; i < N; i++)
		inner[i].outside = outer[i].outside;
	ok(same(deep, inner, N), "composed with the one around");
	ok(!usermap_covers(m, deep) && usermap_covers(NULL, deep) && usermap_covers(m, m),
	   "which ids inside exist around");
	usermap_put(m);
	ok(same(deep, inner, N), "the outer one goes when it likes");
	usermap_put(deep);
	rcu_drain();
	ok(!machine_live, "nothing is left: %ld", machine_live);
}

static int create(struct usermap *parent, struct id_range a, struct id_range b)
{
	struct id_range r[] = { a, b };
	struct usermap_lines l = { r, r, 2, 2 };
	struct usermap *m;
	int err = usermap_create(parent, &l, &m);

	if (!err)
		usermap_put(m);
	return err;
}

#define R(...) ((struct id_range){ __VA_ARGS__ })

static void test_refused(void)
{
	struct id_range r[] = { { 0, 1000, 100 }, { 100, 5000, 100 } };
	struct usermap_lines l = { r, r, 2, 2 };
	struct usermap *m;

	ok(create(NULL, R(0, 100, 10), R(9, 200, 1)) == -EINVAL &&
		   create(NULL, R(9, 200, 1), R(0, 100, 10)) == -EINVAL,
	   "ranges overlap inside");
	ok(create(NULL, R(0, 100, 10), R(50, 109, 5)) == -EINVAL &&
		   create(NULL, R(50, 95, 6), R(0, 100, 10)) == -EINVAL,
	   "or outside");
	ok(!create(NULL, R(0, 100, 10), R(10, 110, 10)), "neighbours do not");
	must(!usermap_create(NULL, &l, &m), "create");
	ok(create(m, R(0, 200, 1), R(9, 0, 1)) == -EPERM &&
		   create(m, R(0, 199, 2), R(9, 0, 1)) == -EPERM,
	   "ids that the one around has not");
	ok(create(m, R(0, 90, 20), R(30, 0, 1)) == -EPERM, "nor across two of its ranges");
	ok(!create(m, R(0, 90, 10), R(30, 100, 100)), "what it has");
	usermap_put(m);
	rcu_drain();
	ok(!machine_live, "nothing is left: %ld", machine_live);
}

int main(void)
{
	machine_init();
	rcu_init_thread();
	test_parse();
	test_both_ways();
	test_refused();
	return tap_end();
}
