/* SPDX-License-Identifier: MIT */
/* lib_test.c - strings, printing, parsing, bitmaps and hashes of kernel/lib. */
#include "core/errno.h"
#include "lib/bitmap.h"
#include "lib/hash.h"
#include "lib/string.h"
#include "tests/host/machine.h"

#define AREA 300

static u8 area[AREA], model[AREA];

static void fill_areas(void)
{
	for (unsigned i = 0; i < AREA; i++)
		area[i] = model[i] = i * 7 + 3;
}

static bool areas_equal(void)
{
	for (unsigned i = 0; i < AREA; i++)
		if (area[i] != model[i])
			return false;
	return true;
}

/* Every length and distance, also overlapping, against copying byte by byte. */
static void test_memmove(void)
{
	for (int n = 0; n < 100; n++)
		for (int from = 60; from < 140; from++) {
			u8 copy[100];
			fill_areas();
			for (int i = 0; i < n; i++)
				copy[i] = model[from + i];
			for (int i = 0; i < n; i++)
				model[100 + i] = copy[i];
			must(memmove(area + 100, area + from, n) == area + 100 && areas_equal(),
			     "memmove n=%d from=%d", n, from);
		}
	ok(true, "memmove of overlapping areas");
}

static void test_memory(void)
{
	for (int n = 0; n < 140; n++)
		for (int at = 0; at < 9; at++) {
			fill_areas();
			for (int i = 0; i < n; i++)
				model[at + i] = model[150 + i];
			memcpy(area + at, area + 150, n);
			must(areas_equal(), "memcpy n=%d at=%d", n, at);
			for (int i = 0; i < n; i++)
				model[at + i] = 0xa5;
			memset(area + at, 0x1a5, n);
			must(areas_equal(), "memset n=%d at=%d", n, at);
			must(!memcmp(area, model, AREA), "memcmp equal");
			if (n) {
				area[at + n - 1]++;
				must(memcmp(area + at, model + at, n) > 0, "memcmp more");
				must(memcmp(model + at, area + at, n) < 0, "memcmp less");
			}
		}
	ok(true, "memcpy, memset, memcmp of all lengths");
	area[0] = 1, area[1] = 200, area[2] = 3;
	ok(memchr(area, 200, 3) == area + 1 && !memchr(area, 200, 1), "memchr");
}

static void test_strings(void)
{
	char buf[8];

	ok(strlen("") == 0 && strlen("abc") == 3 && strnlen("abc", 2) == 2, "strlen");
	ok(!strcmp("a", "a") && strcmp("a", "b") < 0 && strcmp("\x80", "a") > 0, "strcmp");
	ok(!strncmp("abX", "abY", 2) && strncmp("abX", "abY", 3) < 0 && !strncmp("a", "a", 9),
	   "strncmp");
	ok(!strcmp(strchr("/a/b", '/'), "/a/b") && !strchr("ab", 'c') && *strchr("ab", 0) == 0,
	   "strchr");
	ok(!strcmp(strrchr("/a/b", '/'), "/b") && !strrchr("ab", 'c'), "strrchr");
	ok(!strcmp(strstr("xaab", "ab"), "ab") && !strstr("a", "ab") && strstr("a", ""), "strstr");
	ok(strlcpy(buf, "0123456789", sizeof(buf)) == 10 && !strcmp(buf, "0123456"), "strlcpy");
	ok(strlcpy(buf, "x", 0) == 1 && buf[0] == '0', "strlcpy into nothing");
}

static void check_print(const char *expected, const char *fmt, ...) __printf(2, 3);
static void check_print(const char *expected, const char *fmt, ...)
{
	char buf[128];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	ok(!strcmp(buf, expected) && n == (int)strlen(expected),
	   "print \"%s\" = \"%s\", got \"%s\"", fmt, expected, buf);
}

static void test_print(void)
{
	char small[4];

	check_print("0 -1 4294967295 ff FF 17", "%d %i %u %x %X %o", 0, -1, -1u, 255, 255, 15);
	check_print("-9223372036854775808 18446744073709551615", "%ld %lu", INT64_MIN, UINT64_MAX);
	check_print("-128 255 -32768 65535", "%hhd %hhu %hd %hu", -128, 255, -32768, 65535);
	check_print("[    7][7    ][00007][   +7][ 7]", "[%5d][%-5d][%05d][%+5d][% d]", 7, 7, 7, 7,
		    7);
	check_print("[0x001f][  0x1f][0x1f  ][017][0]", "[%#06x][%#6x][%-#6x][%#o][%#x]", 31, 31,
		    31, 15, 0);
	check_print("[  007][007  ][-007][]", "[%5.3d][%-5.3d][%.3d][%.0d]", 7, 7, -7, 0);
	check_print("[abc][  abc][abc  ][ab][   ab]", "[%s][%5s][%-5s][%.2s][%5.2s]", "abc", "abc",
		    "abc", "abc", "abc");
	check_print("[(null)][x][  x][%]", "[%s][%c][%3c][%%]", (char *)NULL, 'x', 'x');
	check_print("[   -3][4  ][ab]", "[%*d][%*d][%.*s]", 5, -3, -3, 4, 2, "abc");
	check_print("0xdead here+0x234 0x99", "%p %pS %pS", (void *)0xdead, (void *)0x1234,
		    (void *)0x99);
	check_print("12 34", "%zu %lld", (size_t)12, 34ll);
	ok(snprintf(small, 4, "%s", "abcdef") == 6 && !strcmp(small, "abc"),
	   "snprintf cuts and counts");
	ok(snprintf(NULL, 0, "%d", 12345) == 5, "snprintf into nothing counts");
}

static void test_parse(void)
{
	static const struct {
		const char *text;
		int err;
		u64 value;
	} numbers[] = {
		{ "0", 0, 0 }, { "42\n", 0, 42 }, { "0x1F", 0, 31 }, { "017", 0, 15 },
		{ "18446744073709551615", 0, UINT64_MAX }, { "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999", -ERANGE, 0 }, { "", -EINVAL, 0 }, { "\n", -EINVAL, 0 },
		{ "12 ", -EINVAL, 0 }, { "12\n\n", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "0x", -EINVAL, 0 },
		{ "08", -EINVAL, 0 }, { "1k", -EINVAL, 0 }, { "a", -EINVAL, 0 },
	}, sizes[] = {
		{ "16M", 0, 16 << 20 }, { "1k\n", 0, 1024 }, { "2G", 0, 2ull << 30 }, { "7", 0, 7 },
		{ "17179869183G", 0, 17179869183ull << 30 }, { "17179869184G", -ERANGE, 0 },
		{ "1KB", -EINVAL, 0 }, { "M", -EINVAL, 0 }, { "1T", -EINVAL, 0 },
	};
	u64 value;

	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		int err = parse_u64(numbers[i].text, &value);
		ok(err == numbers[i].err && (err || value == numbers[i].value),
		   "parse_u64 number %u", i);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		int err = parse_size(sizes[i].text, &value);
		ok(err == sizes[i].err && (err || value == sizes[i].value), "parse_size number %u",
		   i);
	}
}

static void test_bitmap(void)
{
	enum { BITS = 200 };
	u64 map[BITMAP_WORDS(BITS)] = { 0 };

	ok(bitmap_next_set(map, BITS, 0) == BITS && bitmap_next_clear(map, BITS, 199) == 199,
	   "empty bitmap");
	for (unsigned round = 0; round < 300; round++) {
		u64 n = machine_random() % BITS, set, clear;
		if (round % 3)
			bit_set(map, n);
		else
			bit_clear(map, n);
		for (u64 from = 0; from <= BITS; from++) {
			for (set = from; set < BITS && !bit_test(map, set); set++)
				;
			for (clear = from; clear < BITS && bit_test(map, clear); clear++)
				;
			must(bitmap_next_set(map, BITS, from) == set, "next_set from %lu", from);
			must(bitmap_next_clear(map, BITS, from) == clear, "next_clear from %lu",
			     from);
		}
	}
	memset(map, 0xff, sizeof(map));
	ok(bitmap_next_clear(map, BITS, 0) == BITS, "bits beyond the end do not count");
}

static int compare_u64(const void *a, const void *b)
{
	return *(const u64 *)a < *(const u64 *)b ? -1 : *(const u64 *)a > *(const u64 *)b;
}
void qsort(void *base, size_t n, size_t size, int (*compare)(const void *, const void *));

static void test_hash(void)
{
	enum { NAMES = 20000 };
	u64 *all = malloc(NAMES * sizeof(*all));
	unsigned equal = 0, load[256] = { 0 }, worst = 0;
	char name[20];

	for (unsigned i = 0; i < NAMES; i++) {
		int n = snprintf(name, sizeof(name), "file%u%.*s", i / 4, i % 4 * 3, "abcabcabc");
		all[i] = hash_bytes(name, n, 5);
		worst = MAX(worst, ++load[all[i] % 256]);
	}
	qsort(all, NAMES, sizeof(*all), compare_u64);
	for (unsigned i = 1; i < NAMES; i++)
		equal += all[i] == all[i - 1];
	ok(!equal, "no two of %d names have the same hash", NAMES);
	ok(worst < NAMES / 256 * 2, "the low bits spread (most in one of 256: %u)", worst);
	ok(hash_bytes("a", 1, 1) != hash_bytes("a", 1, 2), "the salt matters");
	ok(hash_bytes("a\0", 2, 1) != hash_bytes("a", 1, 1), "the length matters");
	free(all);
}

int main(void)
{
	machine_init();
	test_memmove();
	test_memory();
	test_strings();
	test_print();
	test_parse();
	test_bitmap();
	test_hash();
	return tap_end();
}
