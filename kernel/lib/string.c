/* SPDX-License-Identifier: MIT */
/*
 * string.c - the C string functions (lib/string.h, ISO C 7.24).
 *
 * Copies and fills go by 8-byte words, ends included by overlapping words: that
 * is within a small factor of the best on hardware and far better than the
 * string instructions under an emulator. The file is compiled without
 * sanitizers; in the debug kernel the memory functions check their whole range
 * once instead (core/kasan.h). The pragma keeps the compiler from turning the
 * loop of memcpy() into a call of memcpy().
 */
#include "lib/string.h"

#include "core/kasan.h"

#pragma GCC optimize("no-tree-loop-distribute-patterns")

typedef u64 __attribute__((may_alias, aligned(1))) word_t;
typedef u32 __attribute__((may_alias, aligned(1))) half_t;

#define WORD(p, at) (*(word_t *)((char *)(p) + (at)))
#define HALF(p, at) (*(half_t *)((char *)(p) + (at)))
#define BYTE(p, at) (((u8 *)(p))[at])

/* n < 16: two overlapping pieces, both read before either is written. */
static inline void copy_short(void *d, const void *s, size_t n)
{
	if (n >= 8) {
		u64 head = WORD(s, 0), tail = WORD(s, n - 8);
		WORD(d, 0) = head;
		WORD(d, n - 8) = tail;
	} else if (n >= 4) {
		u32 head = HALF(s, 0), tail = HALF(s, n - 4);
		HALF(d, 0) = head;
		HALF(d, n - 4) = tail;
	} else if (n) {
		u8 head = BYTE(s, 0), middle = BYTE(s, n / 2), tail = BYTE(s, n - 1);
		BYTE(d, 0) = head;
		BYTE(d, n / 2) = middle;
		BYTE(d, n - 1) = tail;
	}
}

/* n >= 16, upwards: right also for overlapping areas with d < s. */
static inline void copy_up(void *d, const void *s, size_t n)
{
	u64 tail = WORD(s, n - 8);
	size_t i = 0;

	for (; i + 32 <= n; i += 32) {
		u64 a = WORD(s, i), b = WORD(s, i + 8), c = WORD(s, i + 16), e = WORD(s, i + 24);
		WORD(d, i) = a;
		WORD(d, i + 8) = b;
		WORD(d, i + 16) = c;
		WORD(d, i + 24) = e;
	}
	for (; i + 8 < n; i += 8)
		WORD(d, i) = WORD(s, i);
	WORD(d, n - 8) = tail;
}

/* n >= 16, downwards: right also for overlapping areas with d > s. */
static void copy_down(void *d, const void *s, size_t n)
{
	u64 head = WORD(s, 0);

	for (; n > 8; n -= 8)
		WORD(d, n - 8) = WORD(s, n - 8);
	WORD(d, 0) = head;
}

void *memcpy(void *d, const void *s, size_t n)
{
	kasan_check(s, n, false);
	kasan_check(d, n, true);
	if (n < 16)
		copy_short(d, s, n);
	else
		copy_up(d, s, n);
	return d;
}

void *memmove(void *d, const void *s, size_t n)
{
	kasan_check(s, n, false);
	kasan_check(d, n, true);
	if (n < 16)
		copy_short(d, s, n);
	else if ((u64)d - (u64)s >= n)
		copy_up(d, s, n);
	else
		copy_down(d, s, n);
	return d;
}

void *memset(void *d, int c, size_t n)
{
	u64 word = (u8)c * 0x0101010101010101ull;
	size_t i = 0;

	kasan_check(d, n, true);
	if (n < 8) {
		for (; i < n; i++)
			BYTE(d, i) = c;
		return d;
	}
	for (; i + 32 <= n; i += 32) {
		WORD(d, i) = word;
		WORD(d, i + 8) = word;
		WORD(d, i + 16) = word;
		WORD(d, i + 24) = word;
	}
	for (; i + 8 < n; i += 8)
		WORD(d, i) = word;
	WORD(d, n - 8) = word;
	return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
	size_t i = 0;

	kasan_check(a, n, false);
	kasan_check(b, n, false);
	while (i + 8 <= n && WORD(a, i) == WORD(b, i))
		i += 8;
	for (; i < n; i++)
		if (BYTE(a, i) != BYTE(b, i))
			return BYTE(a, i) - BYTE(b, i);
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (BYTE(s, i) == (u8)c)
			return (u8 *)s + i;
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	kasan_check(s, n + 1, false);
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; a++, b++, n--)
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (!*s)
			return (char *)last;
	}
}

char *strstr(const char *s, const char *needle)
{
	size_t n = strlen(needle);

	for (;; s++) {
		if (!strncmp(s, needle, n))
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

size_t strlcpy(char *d, const char *s, size_t size)
{
	size_t n = strlen(s);

	if (size) {
		size_t kept = MIN(n, size - 1);
		memcpy(d, s, kept);
		d[kept] = '\0';
	}
	return n;
}
