/* SPDX-License-Identifier: MIT */
/* Files of cowfs: page tables against read and write, across commits; ranges; a full disk. */
#include "cowfs.h"
#include <sys/resource.h>

#ifndef FALLOC_FL_ZERO_RANGE
#define FALLOC_FL_KEEP_SIZE  1
#define FALLOC_FL_PUNCH_HOLE 2
#define FALLOC_FL_ZERO_RANGE 16
#endif
#define FICLONE_      0x40049409
#define FICLONERANGE_ 0x4020940d
#define SEEK_DATA_    3
#define SEEK_HOLE_    4

static void maps_see_writes(void)
{
	int dir = scratch_cowfs(), fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	char buf[PAGE];

	OK(ftruncate(fd, 4 * PAGE));
	char *m = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(m != MAP_FAILED);
	char *p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	REQUIRE(p != MAP_FAILED);
	EQ(m[PAGE], 0); /* a hole, mapped */
	for (int round = 0; round < 6; round++) {
		EQ(pwrite(fd, "write", 5, PAGE + round), 5);
		CHECK(!memcmp(m + PAGE + round, "write", 5));
		CHECK(!memcmp(p + PAGE + round, "write", 5));
		memcpy(m + PAGE + 100 + round, "store", 5);
		EQ(pread(fd, buf, 5, PAGE + 100 + round), 5);
		CHECK(!memcmp(buf, "store", 5));
		memset(buf, 'a' + round, sizeof buf);
		EQ(pwrite(fd, buf, PAGE, 2 * PAGE), PAGE);
		CHECK(!memcmp(m + 2 * PAGE, buf, PAGE));
		m[2 * PAGE + 7] = 'Z';
		EQ(pread(fd, buf, PAGE, 2 * PAGE), PAGE);
		EQ(buf[7], 'Z');
		EQ(buf[8], 'a' + round);
		if (round % 2) /* after it, blocks are written elsewhere, in other pages */
			OK(round % 4 == 1 ? fsync(fd) : (sync(), 0));
	}
	munmap(m, 4 * PAGE);
	munmap(p, 4 * PAGE);
	close(fd);
	close(dir);
}

/* What is written over blocks that no commit has yet, from memory that is there or not. */
static void in_place(void)
{
	int dir = scratch_cowfs(), fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	static char buf[6 * PAGE], got[6 * PAGE];
	char *src =
		mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(src != MAP_FAILED);
	OK(mprotect(src + 2 * PAGE, PAGE, PROT_NONE));
	for (int round = 0; round < 4; round++) {
		memset(buf, 'a' + round, sizeof buf);
		OK(ftruncate(fd, 0));
		EQ(pwrite(fd, buf, 4 * PAGE, 0), 4 * PAGE);
		if (round == 1)
			OK(fsync(fd));
		if (round == 2)
			sync();
		/* one page there, one not there yet, one that may not be read */
		madvise(src, 2 * PAGE, MADV_DONTNEED);
		memset(src, 's', PAGE);
		EQ(pwrite(fd, src, 3 * PAGE, 0), 2 * PAGE);
		memset(buf, 's', PAGE);
		memset(buf + PAGE, 0, PAGE);
		EQ(pread(fd, got, sizeof got, 0), 4 * PAGE);
		CHECK(!memcmp(got, buf, 4 * PAGE));
		ERR(pwrite(fd, src + 2 * PAGE, PAGE, 0), EFAULT);
		/* within blocks, over their ends, and behind the file's */
		memset(buf + 100, 'x', 5 * PAGE);
		EQ(pwrite(fd, buf + 100, 5 * PAGE, 100), 5 * PAGE);
		EQ(pread(fd, got, sizeof got, 0), 5 * PAGE + 100);
		CHECK(!memcmp(got, buf, 5 * PAGE + 100));
		/* the file itself is where the bytes come from, and no page of it is mapped yet */
		char *m = mmap(NULL, 5 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
		REQUIRE(m != MAP_FAILED);
		EQ(pwrite(fd, m, 3 * PAGE, PAGE), 3 * PAGE);
		munmap(m, 5 * PAGE);
		EQ(pread(fd, got, PAGE, PAGE), PAGE);
		CHECK(!memcmp(got, buf, PAGE));
	}
	munmap(src, 3 * PAGE);
	close(fd);
	close(dir);
}

/* One process stores through a map all the time while another syncs: nothing of it is lost. */
static void stores_during_commits(void)
{
	int dir = scratch_cowfs(), fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	enum { PAGES = 16, ROUNDS = 300 };
	pid_t pid;

	OK(ftruncate(fd, PAGES * PAGE));
	volatile int *m = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(m != MAP_FAILED);
	FORKED(pid)
	{
		for (int i = 1; i <= ROUNDS; i++) {
			for (int k = 0; k < PAGES; k++)
				m[k * PAGE / 4] = i;
			WORD(0) = i;
		}
	}
	while (WORD(0) < ROUNDS) {
		sync();
		fsync(fd);
	}
	EQ(reap(pid), 0);
	for (int k = 0; k < PAGES; k++) {
		int v = 0;
		EQ(m[k * PAGE / 4], ROUNDS);
		EQ(pread(fd, &v, 4, k * PAGE), 4);
		EQ(v, ROUNDS);
	}
	munmap((void *)m, PAGES * PAGE);
	close(fd);
	close(dir);
}

static void behind_the_end(void)
{
	int dir = scratch_cowfs(), fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	char buf[PAGE];
	pid_t pid;

	EQ(write(fd, "0123456789", 10), 10);
	char *m = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(m != MAP_FAILED);
	memset(m + 5, 'x', 20);
	OK(ftruncate(fd, 100));
	EQ(pread(fd, buf, 100, 0), 100);
	CHECK(!memcmp(buf, "01234xxxxx\0\0\0\0\0\0", 16));
	EQ(buf[24], 0);
	memset(m + 90, 'y', 50);
	OK(fsync(fd));
	EQ(pwrite(fd, "end", 3, 200), 3);
	EQ(pread(fd, buf, sizeof buf, 0), 203);
	EQ(buf[99], 'y');
	EQ(buf[100], 0);
	EQ(buf[199], 0);
	FORKED(pid)
	{
		m[PAGE] = 1; /* no page of the file */
	}
	int status;
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	OK(ftruncate(fd, 5));
	OK(ftruncate(fd, 50));
	EQ(m[4], '4');
	EQ(m[5], 0);
	munmap(m, 2 * PAGE);
	close(fd);
	close(dir);
}

static void ranges(void)
{
	int dir = scratch_cowfs(), fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	static char buf[8 * PAGE];
	struct stat st;

	fill(buf, sizeof buf, 0, 1);
	EQ(write(fd, buf, sizeof buf), (long)sizeof buf);
	char *m = mmap(NULL, sizeof buf, PROT_READ, MAP_SHARED, fd, 0);
	REQUIRE(m != MAP_FAILED);
	CHECK(filled(m, sizeof buf, 0, 1));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE + 10, 3 * PAGE));
	CHECK(filled(m, PAGE + 10, 0, 1));
	for (long i = PAGE + 10; i < 4 * PAGE + 10; i++)
		if (m[i]) {
			CHECK(m[i] == 0);
			break;
		}
	CHECK(filled(m + 4 * PAGE + 10, PAGE, 4 * PAGE + 10, 1));
	OK(fstat(fd, &st));
	EQ(st.st_blocks, 6 * 8L);
	EQ(lseek(fd, 0, SEEK_HOLE_), 2 * PAGE);
	EQ(lseek(fd, 2 * PAGE + 5, SEEK_DATA_), 4 * PAGE);
	EQ(lseek(fd, 0, SEEK_DATA_), 0);
	ERR(lseek(fd, sizeof buf, SEEK_DATA_), ENXIO);
	OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 5 * PAGE, 2 * PAGE));
	EQ(m[5 * PAGE], 0);
	CHECK(filled(m + 7 * PAGE, PAGE, 7 * PAGE, 1));
	OK(fallocate(fd, 0, 0, 12 * PAGE));
	OK(fstat(fd, &st));
	EQ(st.st_size, 12 * PAGE);
	EQ(st.st_blocks, 12 * 8L);
	ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP);
	ERR(fallocate(fd, 8, 0, PAGE), EOPNOTSUPP);
	munmap(m, sizeof buf);
	close(fd);
	close(dir);
}

static void shared_blocks(void)
{
	int dir = scratch_cowfs(), a = OK(open("a", O_RDWR | O_CREAT, 0644));
	int b = OK(open("b", O_RDWR | O_CREAT, 0644)), c;
	static char buf[64 * PAGE];
	struct {
		long fd, from, n, to;
	} range = { a, PAGE, 2 * PAGE, 10 * PAGE };

	fill(buf, sizeof buf, 0, 3);
	EQ(write(a, buf, sizeof buf - 100), (long)sizeof buf - 100);
	OK(ioctl(b, FICLONE_, a));
	EQ(read(b, buf, sizeof buf), (long)sizeof buf - 100);
	CHECK(filled(buf, sizeof buf - 100, 0, 3));
	EQ(pwrite(a, "changed", 7, PAGE), 7);
	EQ(pread(b, buf, 7, PAGE), 7);
	CHECK(filled(buf, 7, PAGE, 3));
	OK(ioctl(b, FICLONERANGE_, &range));
	EQ(pread(b, buf, 7, 10 * PAGE), 7);
	CHECK(!memcmp(buf, "changed", 7));
	range.from = 1;
	ERR(ioctl(b, FICLONERANGE_, &range), EINVAL);
	c = OK(open("/proc/self/status", O_RDONLY));
	ERR(ioctl(b, FICLONE_, c), EXDEV);
	close(c);
	c = OK(open("c", O_RDWR | O_CREAT, 0644));
	long from = 0, to = 0;
	EQ(copy_file_range(a, &from, c, &to, 1 << 20, 0), (long)sizeof buf - 100);
	EQ(size_of("c"), (long)sizeof buf - 100);
	struct cowfs_stats before = stats(dir);
	sync();
	from = PAGE, to = 100 * PAGE;
	EQ(copy_file_range(a, &from, c, &to, 60 * PAGE, 0), 60 * PAGE);
	struct cowfs_stats after = stats(dir);
	CHECK(before.free - after.free < 30); /* no data was copied */
	from = 10, to = 3;		      /* not in blocks: it is */
	EQ(copy_file_range(a, &from, c, &to, 2 * PAGE, 0), 2 * PAGE);
	EQ(pread(c, buf, PAGE, 3), PAGE);
	EQ(pread(a, buf + PAGE, PAGE, 10), PAGE);
	CHECK(!memcmp(buf, buf + PAGE, PAGE));
	close(a);
	close(b);
	close(c);
	close(dir);
}

static void full_disk(void)
{
	int dir = scratch_cowfs(), fd = OK(open("big", O_RDWR | O_CREAT, 0644));
	int sparse = OK(open("sparse", O_RDWR | O_CREAT, 0644));
	static char buf[1 << 18];
	struct statfs before, st;
	long n, total = 0;

	OK(ftruncate(sparse, PAGE));
	sync();
	OK(statfs(".", &before));
	if (before.f_blocks > 65536)
		SKIP("the disk is large");
	while ((n = write(fd, buf, sizeof buf)) > 0)
		total += n;
	EQ(errno, ENOSPC);
	CHECK(total / PAGE > (long)before.f_bavail * 9 / 10);
	OK(fsync(fd));
	EQ(size_of("big"), total);
	char *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, sparse, 0);
	REQUIRE(m != MAP_FAILED);
	EQ(m[0], 0);
	pid_t pid;
	FORKED(pid)
	{
		m[0] = 1;
	}
	int status;
	EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	munmap(m, PAGE);
	close(sparse);
	close(fd);
	OK(unlink("big"));
	sync();
	OK(statfs(".", &st));
	CHECK(st.f_bavail + 8 >= before.f_bavail);
	close(dir);
}

static void deleted_but_open(void)
{
	int dir = scratch_cowfs(), fd = OK(open(".", O_TMPFILE | O_RDWR, 0600)), g;
	char name[64], buf[8];
	struct stat st;

	EQ(write(fd, "content", 7), 7);
	OK(fstat(fd, &st));
	EQ(st.st_nlink, 0);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	EQ(size_of("named"), 7);
	close(fd);
	g = OK(open("named", O_RDWR));
	OK(unlink("named"));
	sync();
	EQ(pread(g, buf, 7, 0), 7);
	CHECK(!memcmp(buf, "content", 7));
	EQ(pwrite(g, "more", 4, 7), 4);
	OK(fsync(g));
	close(g);
	ERR(open("named", O_RDONLY), ENOENT);
	close(dir);
}

/* --- what it costs to make something durable --- */

static void overwrite(int i)
{
	int fd = OK(open("f", O_RDWR));

	EQ(pwrite(fd, "x", 1, i), 1);
	OK(fsync(fd));
	close(fd);
}

static void make(int i)
{
	static const char page[4096] = "new";
	char name[16];

	snprintf(name, sizeof name, "new%d", i);
	int fd = OK(open(name, O_RDWR | O_CREAT, 0644));
	EQ(write(fd, page, sizeof page), (long)sizeof page);
	OK(fsync(fd));
	close(fd);
}

static void write_durably(int i)
{
	int fd = OK(open("f", O_WRONLY | O_DSYNC));

	EQ(pwrite(fd, "y", 1, i), 1);
	close(fd);
}

/* The thread that commits every few seconds may come in between, but not each time. */
static void costs(int dir, void (*deed)(int i), const char *what, long flushes, long commits)
{
	struct cowfs_stats a, b;

	for (int i = 0; i < 5; i++) {
		a = stats(dir);
		deed(i);
		b = stats(dir);
		if (b.flushes - a.flushes == flushes && b.commits - a.commits == commits)
			return;
	}
	FAIL("%s: %ld flushes and %ld commits, expected %ld and %ld", what,
	     (long)(b.flushes - a.flushes), (long)(b.commits - a.commits), flushes, commits);
}

static void one_flush(void)
{
	int dir = scratch_cowfs();

	put("f", "0", 0644);
	sync();
	costs(dir, overwrite, "fsync", 1, 0);
	costs(dir, make, "fsync of a new file", 1, 1);
	sync();
	costs(dir, write_durably, "O_DSYNC", 1, 0);
	close(dir);
}

static void direct_is_aligned(void)
{
	int dir = scratch_cowfs(), fd = OK(open("f", O_RDWR | O_CREAT | O_DIRECT, 0644));
	char buf[16];

	ERR(pread(fd, buf, 10, 0), EINVAL);
	close(fd);
	close(dir);
}

static void many_names(void)
{
	int dir = scratch_cowfs(), n = 0, seen = 0;
	char name[32];
	long pos = 0;

	OK(mkdir("d", 0755));
	for (n = 0; n < 2000; n++) {
		snprintf(name, sizeof name, "d/%d", n);
		close(OK(open(name, O_WRONLY | O_CREAT, 0644)));
	}
	DIR *d = opendir("d");
	REQUIRE(d);
	for (struct dirent *e; (e = readdir(d)); seen++) {
		if (seen != 500)
			continue;
		pos = telldir(d); /* names come and go meanwhile */
		for (int i = 0; i < 300; i++) {
			snprintf(name, sizeof name, "d/new%d", i);
			close(OK(open(name, O_WRONLY | O_CREAT, 0644)));
			OK(unlink(name));
		}
		seekdir(d, pos);
	}
	EQ(seen, 2002);
	closedir(d);
	ERR(rmdir("d"), ENOTEMPTY);
	for (n = 0; n < 2000; n++) {
		snprintf(name, sizeof name, "d/%d", n);
		OK(unlink(name));
	}
	OK(rmdir("d"));
	close(dir);
}

static const struct tap_case cases[] = {
	T(maps_see_writes),  T(in_place),  T(stores_during_commits),
	T(behind_the_end),   T(ranges),	   T(shared_blocks),
	T(deleted_but_open), T(one_flush), T(direct_is_aligned),
	T(many_names),	     T(full_disk),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
