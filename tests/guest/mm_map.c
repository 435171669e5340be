/* SPDX-License-Identifier: MIT */
/*
 * mm_map.c - mmap, munmap, mprotect, mremap, brk and their errors; splits and merges of mappings.
 */
#include "scratch.h"
#include <setjmp.h>
#include <sys/resource.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define PAGE	  4096L
#define RW	  (PROT_READ | PROT_WRITE)
#define PRIV_ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf jump;
static volatile int got_signal;

static void on_fault(int s)
{
	got_signal = s;
	siglongjmp(jump, 1);
}

/* 0 if the byte can be read (written), else the signal. */
static int touch(volatile char *p, bool writing)
{
	struct sigaction a = { .sa_handler = on_fault };

	sigaction(SIGSEGV, &a, NULL);
	sigaction(SIGBUS, &a, NULL);
	got_signal = 0;
	if (!sigsetjmp(jump, 1)) {
		if (writing)
			*p = *p;
		else
			(void)*p;
	}
	return got_signal;
}

static bool readable(void *p)
{
	return touch(p, false) == 0;
}

static bool writable(void *p)
{
	return touch(p, true) == 0;
}

static char *map(long pages)
{
	char *m = mmap(NULL, pages * PAGE, RW, PRIV_ANON, -1, 0);

	REQUIRE(m != MAP_FAILED);
	return m;
}

static void anonymous(void)
{
	char *m = map(100);

	EQ((long)m % PAGE, 0);
	for (int i = 0; i < 100; i++) {
		EQ(m[i * PAGE], 0);
		EQ(m[i * PAGE + 4095], 0);
		m[i * PAGE + 7] = i;
	}
	for (int i = 0; i < 100; i++)
		EQ(m[i * PAGE + 7], i);
	OK(munmap(m, 100 * PAGE));
	CHECK(!readable(m));
	CHECK(!readable(m + 99 * PAGE));
	/* the length is rounded up */
	m = mmap(NULL, 1, RW, PRIV_ANON, -1, 0);
	CHECK(writable(m + 4095));
	OK(munmap(m, 1));
	CHECK(!readable(m + 4095));
}

static void refused(void)
{
	int fd = OK(open("/proc/self/exe", O_RDONLY)), p[2];

	OK(pipe(p));
	ERR(mmap(NULL, 0, RW, PRIV_ANON, -1, 0), EINVAL);
	ERR(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
	ERR(mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_SHARED | 0x8, fd, 0), EINVAL);
	ERR(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF);
	ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, p[0], 0), ENODEV);
	ERR(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1L), EINVAL);
	ERR(syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, -PAGE), EOVERFLOW);
	ERR(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), EACCES);
	ERR(mmap((void *)1, PAGE, RW, PRIV_ANON | MAP_FIXED, -1, 0), EINVAL);
	ERR(syscall(SYS_mmap, NULL, -1L, RW, PRIV_ANON, -1, 0L), ENOMEM);
	ERR(syscall(SYS_mmap, NULL, 1L << 62, RW, PRIV_ANON, -1, 0L), ENOMEM);
	ERR(syscall(SYS_mmap, 0x00fffffffffff000, PAGE * 2, RW, PRIV_ANON | MAP_FIXED, -1, 0L),
	    ENOMEM);
	ERR(syscall(SYS_mmap, 0xffff800000000000, PAGE, RW, PRIV_ANON | MAP_FIXED, -1, 0L), ENOMEM);
	ERR(munmap((void *)1, PAGE), EINVAL);
	ERR(syscall(SYS_munmap, 0x10000, 0L), EINVAL);
	ERR(syscall(SYS_munmap, 0x10000, -PAGE), EINVAL);
	ERR(syscall(SYS_munmap, 0xffff800000000000, PAGE), EINVAL);
	OK(munmap((void *)0x10000, PAGE)); /* nothing there: fine */
	int w = OK(open("/tmp/tap.map", O_WRONLY | O_CREAT, 0600));
	ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, w, 0), EACCES);
	ERR(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, w, 0), EACCES);
	close(w);
	unlink("/tmp/tap.map");
	close(p[0]);
	close(p[1]);
	close(fd);
}

static void placement(void)
{
	char *m = map(10);

	OK(munmap(m + 4 * PAGE, 2 * PAGE));
	/* a hint that is free is taken */
	EQ(mmap(m + 4 * PAGE, 2 * PAGE, RW, PRIV_ANON, -1, 0) == m + 4 * PAGE, 1);
	char *other = mmap(m, PAGE, RW, PRIV_ANON, -1, 0); /* one that is not is no order */
	CHECK(other != m && other != MAP_FAILED);
	munmap(other, PAGE);
	m[0] = 1;
	ERR(mmap(m, PAGE, RW, PRIV_ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	EQ(m[0], 1);
	EQ(mmap(m, PAGE, RW, PRIV_ANON | MAP_FIXED, -1, 0) == m, 1);
	EQ(m[0], 0); /* replaced */
	OK(munmap(m + PAGE, PAGE));
	EQ(mmap(m + PAGE, PAGE, RW, PRIV_ANON | MAP_FIXED_NOREPLACE, -1, 0) == m + PAGE, 1);
	/* over several mappings and a hole at once */
	OK(munmap(m + 3 * PAGE, PAGE));
	OK(mprotect(m + 5 * PAGE, PAGE, PROT_READ));
	m[2 * PAGE] = m[9 * PAGE] = 5;
	EQ(mmap(m + 2 * PAGE, 6 * PAGE, PROT_READ, PRIV_ANON | MAP_FIXED, -1, 0) == m + 2 * PAGE,
	   1);
	for (int i = 2; i < 8; i++)
		CHECK(readable(m + i * PAGE) && !writable(m + i * PAGE));
	EQ(m[9 * PAGE], 5);
	munmap(m, 10 * PAGE);
	char *low = mmap(NULL, PAGE, RW, PRIV_ANON | 0x40 /* MAP_32BIT */, -1, 0);
	CHECK((unsigned long)low < 1UL << 31);
	munmap(low, PAGE);
}

static void holes(void)
{
	char *m = map(9);

	for (int i = 0; i < 9; i++)
		m[i * PAGE] = i + 1;
	OK(munmap(m + PAGE, PAGE));
	OK(munmap(m + 4 * PAGE, PAGE));
	OK(munmap(m + 8 * PAGE, PAGE));
	static const bool there[] = { 1, 0, 1, 1, 0, 1, 1, 1, 0 };
	for (int i = 0; i < 9; i++) {
		EQ(readable(m + i * PAGE), there[i]);
		if (there[i])
			EQ(m[i * PAGE], i + 1);
	}
	OK(munmap(m, 9 * PAGE)); /* over holes too */
	for (int i = 0; i < 9; i++)
		CHECK(!readable(m + i * PAGE));
}

static void protection(void)
{
	char *m = map(8);

	memset(m, 'x', 8 * PAGE);
	OK(mprotect(m + 2 * PAGE, 3 * PAGE, PROT_READ));
	OK(mprotect(m + 3 * PAGE, PAGE, PROT_NONE));
	static const int can[] = { 2, 2, 1, 0, 1, 2, 2, 2 };
	for (int i = 0; i < 8; i++) {
		EQ(readable(m + i * PAGE), can[i] > 0);
		EQ(writable(m + i * PAGE), can[i] > 1);
	}
	OK(mprotect(m, 8 * PAGE, RW));
	for (int i = 0; i < 8; i++)
		EQ(m[i * PAGE + 9], 'x'); /* what was there is there again */
	OK(munmap(m + 5 * PAGE, PAGE));
	ERR(mprotect(m, 8 * PAGE, PROT_READ), ENOMEM); /* up to the hole it is done */
	CHECK(!writable(m + 4 * PAGE) && writable(m + 6 * PAGE));
	ERR(syscall(SYS_mprotect, m + 1, PAGE, RW), EINVAL);
	ERR(syscall(SYS_mprotect, m, PAGE, 0x100), EINVAL);
	ERR(syscall(SYS_mprotect, m, -PAGE, RW), ENOMEM);
	OK(mprotect(m, 0, RW));
	ERR(mprotect((void *)0x10000, PAGE, RW), ENOMEM);
	munmap(m, 8 * PAGE);
	/* every other page of many, and back */
	m = map(200);
	for (int i = 0; i < 200; i += 2)
		OK(mprotect(m + i * PAGE, PAGE, PROT_READ));
	for (int i = 0; i < 200; i++)
		EQ(writable(m + i * PAGE), i % 2);
	OK(mprotect(m, 200 * PAGE, RW));
	for (int i = 0; i < 200; i++)
		CHECK(writable(m + i * PAGE));
	munmap(m, 200 * PAGE);
	int fd = OK(open("/proc/self/exe", O_RDONLY));
	m = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ERR(mprotect(m, PAGE, RW), EACCES);
	munmap(m, PAGE);
	m = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	OK(mprotect(m, PAGE, RW));
	m[0] = 'y';
	munmap(m, PAGE);
	close(fd);
}

/* How many lines of /proc/self/maps lie in a range; -1 without /proc. */
static int areas(char *from, long pages)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned long start, end;
	int n = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 &&
		    start < (unsigned long)from + pages * PAGE && end > (unsigned long)from)
			n++;
	fclose(f);
	return n;
}

static void merging(void)
{
	char *m = mmap((void *)0x200000000000, 30 * PAGE, PROT_NONE, PRIV_ANON, -1, 0);

	REQUIRE(m != MAP_FAILED);
	if (areas(m, 30) < 0)
		SKIP("no /proc/self/maps");
	EQ(areas(m, 30), 1);
	OK(mprotect(m + 10 * PAGE, 10 * PAGE, PROT_READ));
	EQ(areas(m, 30), 3);
	OK(mprotect(m + 5 * PAGE, 5 * PAGE, PROT_READ));
	EQ(areas(m, 30), 3);
	OK(mprotect(m, 30 * PAGE, PROT_NONE));
	EQ(areas(m, 30), 1);
	OK(munmap(m + 10 * PAGE, 10 * PAGE));
	EQ(areas(m, 30), 2);
	mmap(m + 10 * PAGE, 10 * PAGE, PROT_NONE, PRIV_ANON | MAP_FIXED, -1, 0);
	EQ(areas(m, 30), 1);
	munmap(m, 30 * PAGE);
	EQ(areas(m, 30), 0);
}

static void remapping(void)
{
	char *m = map(8), *n, *other;

	for (int i = 0; i < 8; i++)
		m[i * PAGE] = i + 1;
	/* smaller, in place */
	CHECK(mremap(m, 8 * PAGE, 4 * PAGE, 0) == m);
	CHECK(readable(m + 3 * PAGE) && !readable(m + 4 * PAGE));
	/* larger, in place where there is room */
	CHECK(mremap(m, 4 * PAGE, 6 * PAGE, 0) == m);
	EQ(m[4 * PAGE], 0);
	/* no room and not to be moved */
	other = mmap(m + 6 * PAGE, PAGE, RW, PRIV_ANON | MAP_FIXED, -1, 0);
	OK(mprotect(other, PAGE, PROT_READ));
	ERR(mremap(m, 6 * PAGE, 8 * PAGE, 0), ENOMEM);
	n = mremap(m, 6 * PAGE, 50 * PAGE, MREMAP_MAYMOVE);
	CHECK(n != MAP_FAILED && n != m);
	for (int i = 0; i < 4; i++)
		EQ(n[i * PAGE], i + 1);
	EQ(n[49 * PAGE], 0);
	CHECK(!readable(m));
	/* to a place that is given; what was there goes */
	char *place = map(50);
	place[0] = 99;
	CHECK(mremap(n, 50 * PAGE, 50 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
	EQ(place[PAGE], 2);
	CHECK(!readable(n));
	/* the same length, flags 0: nothing happens */
	CHECK(mremap(place, 50 * PAGE, 50 * PAGE, 0) == place);
	/* from the middle of a mapping */
	n = mremap(place + PAGE, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
	CHECK(n != MAP_FAILED && n[0] == 2 && n[PAGE] == 3 && n[2 * PAGE] == 0);
	CHECK(readable(place) && !readable(place + PAGE) && readable(place + 3 * PAGE));
	ERR(mremap(place + 1, PAGE, PAGE, 0), EINVAL);
	ERR(mremap(place, PAGE, 0, 0), EINVAL);
	ERR(mremap(place, PAGE, 2 * PAGE, 8), EINVAL);
	ERR(mremap(place, PAGE, 2 * PAGE, MREMAP_FIXED, n), EINVAL);
	ERR(mremap(n, 4 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, n + PAGE), EINVAL);
	ERR(mremap(n, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, n + 1), EINVAL);
	ERR(mremap((void *)0x10000, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	ERR(mremap(place, 3 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), EFAULT); /* over the hole */
	munmap(place, 50 * PAGE);
	munmap(n, 4 * PAGE);
	munmap(other, PAGE);
}

/* The old size 0 duplicates a shared mapping. */
static void remapping_twice(void)
{
	char *m = mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *n;

	m[0] = 1;
	n = mremap(m, 0, 2 * PAGE, MREMAP_MAYMOVE);
	CHECK(n != MAP_FAILED && n[0] == 1);
	n[PAGE] = 7;
	EQ(m[PAGE], 7);
	munmap(m, 2 * PAGE);
	munmap(n, 2 * PAGE);
	m = map(1);
	ERR(mremap(m, 0, PAGE, MREMAP_MAYMOVE), EINVAL);
	munmap(m, PAGE);
}

/* MREMAP_DONTUNMAP: the pages move, the old range stays, empty. */
static void remapping_away(void)
{
	char *m = map(1), *n;

	m[0] = 3;
	n = mremap(m, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	if (n != MAP_FAILED || errno != EINVAL) {
		EQ(n[0], 3);
		EQ(m[0], 0);
		munmap(n, PAGE);
	}
	munmap(m, PAGE);
}

static void program_break(void)
{
	char *start = (char *)syscall(SYS_brk, 0L);
	char *up = start + 10 * PAGE;

	EQ(syscall(SYS_brk, up), (long)up);
	up[-1] = 1;
	EQ(start[PAGE * 2], 0);
	start[PAGE * 5] = 5;
	EQ(syscall(SYS_brk, start + PAGE), (long)(start + PAGE));
	EQ(syscall(SYS_brk, up), (long)up);
	EQ(start[PAGE * 5], 0);		    /* given back and got anew */
	EQ(syscall(SYS_brk, 8L), (long)up); /* refused: the break stays */
	EQ(syscall(SYS_brk, 0x7ffffffff000), (long)up);
	EQ(syscall(SYS_brk, -1L), (long)up);
	char *page = (char *)(((long)up + 2 * PAGE) & -PAGE);
	char *m = mmap(page, PAGE, RW, PRIV_ANON | MAP_FIXED_NOREPLACE, -1, 0);
	if (m == page) { /* a mapping in the way */
		EQ(syscall(SYS_brk, page + 4 * PAGE), (long)up);
		munmap(m, PAGE);
	}
	struct rlimit l = { 4096, RLIM_INFINITY }, old;
	getrlimit(RLIMIT_DATA, &old);
	setrlimit(RLIMIT_DATA, &l);
	EQ(syscall(SYS_brk, up + 100 * PAGE), (long)up);
	setrlimit(RLIMIT_DATA, &old);
	EQ(syscall(SYS_brk, start), (long)start);
}

static void limits(void)
{
	struct rlimit l = { 1 << 30, RLIM_INFINITY };

	OK(setrlimit(RLIMIT_AS, &l));
	ERR(mmap(NULL, 2L << 30, RW, PRIV_ANON, -1, 0), ENOMEM);
	ERR(mmap(NULL, 2L << 30, PROT_NONE, PRIV_ANON | MAP_NORESERVE, -1, 0), ENOMEM);
	char *m = map(10);
	ERR(mremap(m, 10 * PAGE, 2L << 30, MREMAP_MAYMOVE), ENOMEM);
	munmap(m, 10 * PAGE);
	l.rlim_cur = RLIM_INFINITY;
	OK(setrlimit(RLIMIT_AS, &l));
	/* more than there can ever be */
	ERR(mmap(NULL, 1L << 46, RW, PRIV_ANON, -1, 0), ENOMEM);
	/* address space alone costs nothing */
	m = mmap(NULL, 64L << 30, PROT_NONE, PRIV_ANON | MAP_NORESERVE, -1, 0);
	CHECK(m != MAP_FAILED);
	munmap(m, 64L << 30);
}

static void many_mappings(void)
{
	enum { N = 1000 };
	char *m = mmap(NULL, 2 * N * PAGE, PROT_NONE, PRIV_ANON, -1, 0);

	for (int i = 0; i < N; i++)
		CHECK(mmap(m + 2 * i * PAGE, PAGE, RW, PRIV_ANON | MAP_FIXED, -1, 0) != MAP_FAILED);
	for (int i = 0; i < N; i++)
		m[2 * i * PAGE] = i;
	for (int i = 0; i < N; i += 100) {
		EQ(m[2 * i * PAGE], (char)i);
		CHECK(!readable(m + (2 * i + 1) * PAGE));
	}
	OK(munmap(m, 2 * N * PAGE));
	CHECK(!readable(m));
}

static void stack_growth(void)
{
	pid_t pid;

	FORKED(pid)
	{
		struct rlimit l = { 256 * 1024, 256 * 1024 };
		setrlimit(RLIMIT_STACK, &l);
		char *sp = __builtin_frame_address(0);
		CHECK(writable(sp - 100 * 1024));
		CHECK(writable(sp - 180 * 1024));
		CHECK(!writable(sp - 300 * 1024));
	}
	EQ(reap(pid), 0);
	FORKED(pid)
	{
		char *sp = __builtin_frame_address(0);
		for (long i = 0; i < 7 << 20; i += PAGE)
			*(volatile char *)(sp - i) = 1;
		CHECK(!writable(sp - (9 << 20)));
	}
	EQ(reap(pid), 0);
}

static void grows_down(void)
{
	char *top = map(200);

	OK(munmap(top, 200 * PAGE));
	char *m =
		mmap(top + 150 * PAGE, 10 * PAGE, RW, PRIV_ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	if (m == MAP_FAILED && errno == EOPNOTSUPP)
		SKIP("no MAP_GROWSDOWN");
	REQUIRE(m == top + 150 * PAGE);
	CHECK(writable(m - 1));
	CHECK(writable(m - 3 * PAGE));
	munmap(m - 3 * PAGE, 13 * PAGE);
}

static const struct tap_case cases[] = {
	T(anonymous), T(refused),	T(placement),	    T(holes),	       T(protection),
	T(merging),   T(remapping),	T(remapping_twice), T(remapping_away), T(program_break),
	T(limits),    T(many_mappings), T(grows_down),	    T(stack_growth),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
