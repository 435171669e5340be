/* SPDX-License-Identifier: MIT */
/*
 * mm_share.c - memory and fork, shared mappings, mapped files, madvise and the calls that are
 * hints, faults raced by several CPUs.
 */
#include "scratch.h"
#include <pthread.h>
#include <sys/resource.h>

#define PAGE	  4096L
#define RW	  (PROT_READ | PROT_WRITE)
#define PRIV_ANON (MAP_PRIVATE | MAP_ANONYMOUS)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static char *map(long pages, int flags)
{
	char *m = mmap(NULL, pages * PAGE, RW, flags, -1, 0);

	REQUIRE(m != MAP_FAILED);
	return m;
}

static void copy_on_write(void)
{
	char *m = map(64, PRIV_ANON);
	static int global = 5;
	int local = 6;
	pid_t pid;

	for (int i = 0; i < 64; i++)
		m[i * PAGE] = i;
	FORKED(pid)
	{
		for (int i = 0; i < 64; i++)
			EQ(m[i * PAGE], i);
		for (int i = 0; i < 64; i += 2)
			m[i * PAGE] = 100;
		global = 7;
		local = 8;
		WORD(0) = 1;
		AWAIT(WORD(1));
		for (int i = 0; i < 64; i++)
			EQ(m[i * PAGE], i % 2 ? i : 100);
	}
	AWAIT(WORD(0));
	for (int i = 0; i < 64; i++) {
		EQ(m[i * PAGE], i);
		m[i * PAGE] = 50;
	}
	WORD(1) = 1;
	EQ(reap(pid), 0);
	EQ(global, 5);
	EQ(local, 6);
	munmap(m, 64 * PAGE);
}

/* Generations: every process sees its ancestors' values up to its birth. */
static void copy_on_write_chain(void)
{
	volatile char *m = map(16, PRIV_ANON);
	int depth = 0;
	pid_t pid;

	while (depth < 15) {
		m[depth * PAGE] = depth + 1;
		pid = fork();
		REQUIRE(pid >= 0);
		if (pid)
			break;
		depth++;
	}
	int wrong = 0;
	for (int i = 0; i < 16; i++)
		wrong += m[i * PAGE] != (i <= depth && i < 15 ? i + 1 : 0);
	m[0] = 99;
	if (depth < 15)
		wrong += reap(pid);
	if (depth)
		_exit(wrong);
	EQ(wrong, 0);
}

static void system_calls_break_sharing(void)
{
	char *m = map(2, PRIV_ANON);
	int p[2];
	pid_t pid;

	OK(pipe(p));
	memset(m, 'p', 2 * PAGE);
	FORKED(pid)
	{
		write(p[1], "child", 5);
		EQ(read(p[0], m + PAGE - 2, 5), 5); /* the kernel writes to a page that is shared */
		CHECK(!memcmp(m + PAGE - 2, "child", 5));
	}
	EQ(reap(pid), 0);
	CHECK(!memcmp(m + PAGE - 2, "ppppp", 5));
	close(p[0]);
	close(p[1]);
	munmap(m, 2 * PAGE);
}

static void shared_anonymous(void)
{
	volatile char *m = map(8, MAP_SHARED | MAP_ANONYMOUS);
	pid_t pid;

	FORKED(pid)
	{
		m[0] = 1;
		m[7 * PAGE] = 7;
		AWAIT(m[PAGE] == 9);
		m[2 * PAGE] = 2;
	}
	AWAIT(m[7 * PAGE] == 7);
	EQ(m[0], 1);
	m[PAGE] = 9;
	AWAIT(m[2 * PAGE] == 2);
	EQ(reap(pid), 0);
	munmap((void *)m, 8 * PAGE);
}

static void shared_file(void)
{
	char c;
	pid_t pid;

	scratch();
	put("f", "hello world", 0644);
	OK(truncate("f", 3 * PAGE));
	int fd = OK(open("f", O_RDWR)), other = OK(open("f", O_RDWR));
	volatile char *m = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0);
	volatile char *n = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, other, PAGE);
	volatile char *priv = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, 0);
	REQUIRE(m != MAP_FAILED && n != MAP_FAILED && priv != MAP_FAILED);
	close(fd); /* the mapping keeps the file */
	m[0] = 'J';
	EQ(pread(other, &c, 1, 0), 1);
	EQ(c, 'J');	  /* read sees the mapping */
	EQ(priv[0], 'J'); /* not written yet: the file's page */
	EQ(pwrite(other, "Y", 1, 1), 1);
	EQ(m[1], 'Y');
	EQ(priv[1], 'Y');
	priv[1] = 'p';
	EQ(m[1], 'Y');
	m[1] = 'z';
	EQ(priv[1], 'p');
	m[PAGE + 5] = 'n';
	EQ(n[5], 'n');
	FORKED(pid)
	{
		m[2 * PAGE] = 'c';
		priv[2 * PAGE + 1] = 'x';
	}
	EQ(reap(pid), 0);
	EQ(n[PAGE], 'c');
	EQ(m[2 * PAGE + 1], 0);
	OK(msync((void *)m, 3 * PAGE, MS_SYNC));
	OK(msync((void *)m, 3 * PAGE, MS_ASYNC));
	OK(msync((void *)m, 3 * PAGE, MS_INVALIDATE));
	ERR(msync((void *)m, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	ERR(msync((void *)m, PAGE, 8), EINVAL);
	ERR(msync((char *)m + 1, PAGE, MS_SYNC), EINVAL);
	OK(unlink("f"));
	EQ(m[0], 'J');
	close(other);
	EQ(m[0], 'J');
	munmap((void *)m, 3 * PAGE);
	munmap((void *)n, 2 * PAGE);
	ERR(msync((void *)n, PAGE, MS_SYNC), ENOMEM);
	munmap((void *)priv, 3 * PAGE);
}

/* What lies beyond the end within the last page is zero, and does not get into the file. */
static void end_of_file(void)
{
	scratch();
	put("f", "abc", 0644);
	int fd = OK(open("f", O_RDWR));
	volatile char *m = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	EQ(m[3], 0);
	m[10] = 'X';
	EQ(size_of("f"), 3);
	OK(ftruncate(fd, 100));
	char c[100];
	EQ(pread(fd, c, 100, 0), 100);
	EQ(c[2], 'c');
	EQ(c[50], 0);
	/* shrinking takes pages away, and what comes again is zero */
	OK(ftruncate(fd, 2 * PAGE));
	volatile char *n = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	volatile char *priv = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, fd, 0);
	n[PAGE] = 'q';
	priv[PAGE + 1] = 'w';
	OK(ftruncate(fd, 10));
	OK(ftruncate(fd, 2 * PAGE));
	EQ(n[PAGE], 0);
	EQ(priv[PAGE + 1], 0); /* private copies of what was cut off go too */
	munmap((void *)m, PAGE);
	munmap((void *)n, 2 * PAGE);
	munmap((void *)priv, 2 * PAGE);
	close(fd);
}

static void advice(void)
{
	char *m = map(8, PRIV_ANON);

	memset(m, 'a', 8 * PAGE);
	OK(madvise(m + 2 * PAGE, 2 * PAGE, MADV_DONTNEED));
	EQ(m[PAGE], 'a');
	EQ(m[2 * PAGE], 0);
	EQ(m[4 * PAGE - 1], 0);
	EQ(m[4 * PAGE], 'a');
	OK(madvise(m, PAGE, MADV_FREE));
	CHECK(m[0] == 'a' || m[0] == 0);
	m[0] = 'b'; /* a write keeps it */
	EQ(m[0], 'b');
	static const int hints[] = { MADV_NORMAL,   MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
				     MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP,	  MADV_DODUMP };
	for (size_t i = 0; i < COUNT(hints); i++)
		OK(madvise(m, 8 * PAGE, hints[i]));
	OK(madvise(m, 0, MADV_NORMAL));
	ERR(madvise(m + 1, PAGE, MADV_NORMAL), EINVAL);
	ERR(madvise(m, PAGE, 9999), EINVAL);
	ERR(syscall(SYS_madvise, m, -PAGE, MADV_NORMAL), EINVAL);
	OK(munmap(m + 4 * PAGE, PAGE));
	ERR(madvise(m, 8 * PAGE, MADV_DONTNEED), ENOMEM); /* the rest is done all the same */
	EQ(m[0], 0);
	EQ(m[7 * PAGE], 0);
	munmap(m, 8 * PAGE);
	/* of a file: the private copy goes, the file's page is seen again */
	scratch();
	put("f", "file", 0644);
	int fd = OK(open("f", O_RDWR));
	m = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	m[0] = 'X';
	OK(madvise(m, PAGE, MADV_DONTNEED));
	EQ(m[0], 'f');
	munmap(m, PAGE);
	m = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	m[0] = 'S';
	OK(madvise(m, PAGE, MADV_DONTNEED));
	EQ(m[0], 'S');
	ERR(madvise(m, PAGE, MADV_FREE), EINVAL);
	munmap(m, PAGE);
	close(fd);
	/* MADV_DONTFORK and MADV_WIPEONFORK */
	m = map(2, PRIV_ANON);
	m[0] = 'a', m[PAGE] = 'b';
	OK(madvise(m, PAGE, MADV_DONTFORK));
	bool wipe = !madvise(m + PAGE, PAGE, 18);
	pid_t pid;
	FORKED(pid)
	{
		if (wipe)
			EQ(m[PAGE], 0);
		m[0] = 1;
	}
	EQ(reap(pid), 128 + SIGSEGV);
	EQ(m[0], 'a');
	munmap(m, 2 * PAGE);
}

static void residency_and_locks(void)
{
	unsigned char v[4] = { 9, 9, 9, 9 };
	char *m = map(4, PRIV_ANON);

	m[0] = m[2 * PAGE] = 1;
	OK(mincore(m, 4 * PAGE, v));
	EQ(v[0] & 1, 1);
	EQ(v[1] & 1, 0);
	EQ(v[2] & 1, 1);
	ERR(mincore(m + 1, PAGE, v), EINVAL);
	ERR(mincore(m, 4 * PAGE, (void *)8), EFAULT);
	OK(mlock(m, 4 * PAGE));
	OK(mincore(m, 4 * PAGE, v));
	EQ(v[1] & 1, 1);
	OK(munlock(m, 4 * PAGE));
	OK(mlockall(MCL_CURRENT));
	OK(munlockall());
	ERR(mlockall(0), EINVAL);
	ERR(mlockall(99), EINVAL);
	OK(munmap(m + PAGE, PAGE));
	ERR(mincore(m, 4 * PAGE, v), ENOMEM);
	ERR(mlock(m, 4 * PAGE), ENOMEM);
	munmap(m, 4 * PAGE);
	m = mmap(NULL, 4 * PAGE, RW, PRIV_ANON | MAP_POPULATE, -1, 0);
	OK(mincore(m, 4 * PAGE, v));
	EQ(v[3] & 1, 1);
	munmap(m, 4 * PAGE);
}

struct racer {
	volatile char *m;
	int me, bad;
};

enum { RACE_PAGES = 512 };

static void *fault_all(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < RACE_PAGES; i++)
		__atomic_add_fetch((int *)(r->m + i * PAGE), 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Four threads take the same faults: each page is made once. */
static void racing_faults(void)
{
	for (int way = 0; way < 2; way++) {
		struct racer r = { .m = map(RACE_PAGES,
					    way ? MAP_SHARED | MAP_ANONYMOUS : PRIV_ANON) };
		pthread_t t[4];
		for (int i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, fault_all, &r);
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		for (int i = 0; i < RACE_PAGES; i++)
			EQ(*(int *)(r.m + i * PAGE), 4);
		munmap((void *)r.m, RACE_PAGES * PAGE);
	}
}

static volatile int stop;

static void *flip_protection(void *m)
{
	while (!stop) {
		mprotect(m, 4 * PAGE, PROT_READ);
		mprotect(m, 4 * PAGE, RW);
	}
	return NULL;
}

static void *remap_over(void *m)
{
	while (!stop)
		mmap(m, 4 * PAGE, RW, PRIV_ANON | MAP_FIXED, -1, 0);
	return NULL;
}

enum { CUT_PAGES = 32, CUT_ROUNDS = 60 };

static void *split_and_join(void *m)
{
	for (unsigned n = 0; !stop; n = n * 1103515245 + 12345) {
		unsigned from = n >> 16 & (CUT_PAGES / 2 - 1),
			 len = 1 + (n >> 24 & (CUT_PAGES / 2 - 1));

		mprotect((char *)m + from * PAGE, len * PAGE, PROT_READ);
		mprotect((char *)m + from * PAGE, len * PAGE, RW);
	}
	return NULL;
}

/* What was cut off a file is in nobody's memory any more, also if areas are cut and joined meanwhile. */
static void racing_truncation(void)
{
	pthread_t t[2];
	int stale = 0;

	scratch();
	int fd = OK(open("cut", O_RDWR | O_CREAT, 0600));

	OK(ftruncate(fd, CUT_PAGES * PAGE));
	char *m = mmap(NULL, CUT_PAGES * PAGE, RW, MAP_SHARED, fd, 0);
	REQUIRE(m != MAP_FAILED);
	stop = 0;
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, split_and_join, m);
	for (int round = 0; round < CUT_ROUNDS; round++) {
		char c = 1;
		for (int i = 0; i < CUT_PAGES; i++)
			EQ(pwrite(fd, &c, 1, i * PAGE), 1);
		for (int i = 0; i < CUT_PAGES; i++)
			stale += ((volatile char *)m)[i * PAGE] != 1;
		OK(ftruncate(fd, 0));
		OK(ftruncate(fd, CUT_PAGES * PAGE));
		for (int i = 0; i < CUT_PAGES; i++)
			stale += ((volatile char *)m)[i * PAGE] != 0;
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	EQ(stale, 0);
	OK(munmap(m, CUT_PAGES * PAGE));
	close(fd);
}

/* Calls that copy to memory whose protection or mapping changes: a result or EFAULT, no harm. */
static void racing_calls(void)
{
	for (int way = 0; way < 2; way++) {
		char *m = map(4, PRIV_ANON);
		int fd = OK(open("/dev/zero", O_RDONLY)), good = 0;
		pthread_t t;
		stop = 0;
		pthread_create(&t, NULL, way ? remap_over : flip_protection, m);
		for (int i = 0; i < 2000; i++) {
			ssize_t n = read(fd, m, 4 * PAGE);
			if (n < 0 && errno != EFAULT)
				FAIL("errno %d", errno);
			good += n > 0;
		}
		stop = 1;
		pthread_join(t, NULL);
		CHECK(good > 0);
		close(fd);
		munmap(m, 4 * PAGE);
	}
}

static void *spin_write(void *m)
{
	volatile char *p = m;

	while (!stop)
		for (int i = 0; i < 4; i++)
			p[i * PAGE]++;
	return NULL;
}

/* fork while other threads write: the child's copy must not change under it (TLB shootdown). */
static void fork_under_writers(void)
{
	char *m = map(4, PRIV_ANON);
	pthread_t t;

	pthread_create(&t, NULL, spin_write, m);
	for (int round = 0; round < 30; round++) {
		pid_t pid;
		FORKED(pid)
		{
			char before[4];
			for (int i = 0; i < 4; i++)
				before[i] = m[i * PAGE];
			for (int k = 0; k < 20; k++)
				sched_yield();
			for (int i = 0; i < 4; i++)
				EQ(m[i * PAGE], before[i]);
		}
		EQ(reap(pid), 0);
	}
	stop = 1;
	pthread_join(t, NULL);
	munmap(m, 4 * PAGE);
}

/* After munmap in one thread no other reaches the page, also by a stale translation. */
static char *volatile target;

static void *reader(void *arg)
{
	(void)arg;
	while (!stop) {
		char *m = target;
		unsigned char v;
		if (m && !mincore(m, PAGE, &v))
			sched_yield();
	}
	return NULL;
}

static void map_and_unmap_race(void)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, reader, NULL);
	for (int i = 0; i < 150; i++) {
		char *m = map(2, PRIV_ANON);
		EQ(m[0], 0);
		EQ(m[PAGE], 0);
		m[0] = m[PAGE] = 1;
		target = m;
		OK(munmap(m, 2 * PAGE));
	}
	stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void memory_comes_back(void)
{
	long pages = sysconf(_SC_PHYS_PAGES) / 8;
	pid_t pid;

	/* in all more than there is: each round gives its memory back */
	for (int i = 0; i < 10; i++) {
		FORKED(pid)
		{
			char *m = map(pages, PRIV_ANON);
			for (long k = 0; k < pages; k++)
				m[k * PAGE] = 1;
		}
		EQ(reap(pid), 0);
	}
}

static const struct tap_case cases[] = {
	T(copy_on_write),
	T(copy_on_write_chain),
	T(system_calls_break_sharing),
	T(shared_anonymous),
	T(shared_file),
	T(end_of_file),
	T(advice),
	T(residency_and_locks),
	T(racing_faults),
	T(racing_calls),
	T(racing_truncation),
	T(fork_under_writers),
	T(map_and_unmap_race),
	T(memory_comes_back),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
