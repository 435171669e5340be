/* SPDX-License-Identifier: MIT */
/*
 * file_io.c - read, write, seek, truncate, holes, vectors, copies between files, times, statfs.
 */
#include "scratch.h"
#include <limits.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>

static char buffer[1 << 20];

static int fresh(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	REQUIRE(fd >= 0);
	return fd;
}

static void read_and_write(void)
{
	char c[8] = "";

	scratch();
	int fd = fresh("f");
	EQ(write(fd, "hello", 5), 5);
	EQ(write(fd, NULL, 0), 0);
	EQ(read(fd, c, 5), 0);
	EQ(lseek(fd, 1, SEEK_SET), 1);
	EQ(read(fd, c, 100), 4);
	STREQ(c, "ello");
	EQ(read(fd, c, 0), 0);
	ERR(read(-1, c, 1), EBADF);
	ERR(write(99, c, 1), EBADF);
	ERR(write(fd, (void *)8, 4), EFAULT);
	lseek(fd, 0, SEEK_SET);
	ERR(read(fd, (void *)8, 4), EFAULT);
	EQ(lseek(fd, 0, SEEK_CUR), 0);
	close(fd);
}

/* Every size and offset around page borders comes back as it went in. */
static void page_borders(void)
{
	static const int at[] = { 0, 1, 4095, 4096, 4097, 8191, 12288, 65535 };
	static const int len[] = { 1, 2, 4095, 4096, 4097, 8192, 20000 };
	static char back[40000];

	scratch();
	for (size_t i = 0; i < sizeof buffer; i++)
		buffer[i] = i * 31 + i / 251 + 1;
	for (size_t a = 0; a < COUNT(at); a++)
		for (size_t l = 0; l < COUNT(len); l++) {
			int fd = fresh("f");
			EQ(pwrite(fd, buffer, len[l], at[a]), len[l]);
			EQ(pread(fd, back, sizeof back, at[a]), len[l]);
			CHECK(!memcmp(back, buffer, len[l]));
			if (at[a]) {
				EQ(pread(fd, back, 1, at[a] - 1), 1);
				EQ(back[0], 0);
			}
			EQ(size_of("f"), at[a] + len[l]);
			close(fd);
		}
}

static void seeking(void)
{
	int p[2];

	scratch();
	int fd = fresh("f");
	OK(ftruncate(fd, 100));
	EQ(lseek(fd, 10, SEEK_SET), 10);
	EQ(lseek(fd, 5, SEEK_CUR), 15);
	EQ(lseek(fd, -5, SEEK_CUR), 10);
	EQ(lseek(fd, -100, SEEK_END), 0);
	ERR(lseek(fd, -101, SEEK_END), EINVAL);
	ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	ERR(lseek(fd, 0, 99), EINVAL);
	ERR(lseek(fd, -1, -1), EINVAL);
	EQ(lseek(fd, 0, SEEK_CUR), 0);
	EQ(lseek(fd, 1000000, SEEK_SET), 1000000);
	EQ(read(fd, buffer, 1), 0);
	EQ(size_of("f"), 100);
	EQ(lseek(fd, 1, SEEK_SET), 1);
	CHECK(lseek(fd, LLONG_MAX, SEEK_CUR) == -1 && (errno == EOVERFLOW || errno == EINVAL));
	close(fd);
	OK(pipe(p));
	ERR(lseek(p[0], 0, SEEK_CUR), ESPIPE);
	ERR(pread(p[0], buffer, 1, 0), ESPIPE);
	ERR(pwrite(p[1], buffer, 1, 0), ESPIPE);
	close(p[0]);
	close(p[1]);
}

static void holes(void)
{
	struct stat st;

	scratch();
	int fd = fresh("f");
	EQ(pwrite(fd, "data", 4, 1 << 20), 4);
	EQ(pwrite(fd, "data", 4, 3 << 20), 4);
	OK(ftruncate(fd, 4 << 20));
	OK(fstat(fd, &st));
	CHECK(st.st_blocks * 512 < 1 << 20);
	EQ(lseek(fd, 0, SEEK_DATA), 1 << 20);
	EQ(lseek(fd, 0, SEEK_HOLE), 0);
	EQ(lseek(fd, 1 << 20, SEEK_HOLE), (1 << 20) + 4096);
	EQ(lseek(fd, (1 << 20) + 2, SEEK_DATA), (1 << 20) + 2);
	EQ(lseek(fd, 2 << 20, SEEK_DATA), 3 << 20);
	EQ(lseek(fd, (3 << 20) + 100, SEEK_HOLE), (3 << 20) + 4096);
	ERR(lseek(fd, (3 << 20) + 8192, SEEK_DATA), ENXIO);
	ERR(lseek(fd, 4 << 20, SEEK_DATA), ENXIO);
	ERR(lseek(fd, 4 << 20, SEEK_HOLE), ENXIO);
	ERR(lseek(fd, -1, SEEK_DATA), ENXIO);
	EQ(pread(fd, buffer, 8192, (1 << 20) - 4096), 8192);
	EQ(buffer[0], 0);
	EQ(buffer[4095], 0);
	CHECK(!memcmp(buffer + 4096, "data\0\0", 6));
	close(fd);
}

static void truncate_calls(void)
{
	scratch();
	int fd = fresh("f");
	memset(buffer, 'x', 10000);
	EQ(write(fd, buffer, 10000), 10000);
	OK(ftruncate(fd, 5000));
	OK(ftruncate(fd, 10000));
	EQ(pread(fd, buffer, 10000, 0), 10000);
	EQ(buffer[4999], 'x');
	EQ(buffer[5000], 0);
	EQ(buffer[8191], 0);
	EQ(buffer[9999], 0);
	OK(truncate("f", 3));
	EQ(size_of("f"), 3);
	EQ(lseek(fd, 0, SEEK_CUR), 10000); /* the offset stays */
	ERR(ftruncate(fd, -1), EINVAL);
	ERR(truncate("f", -1), EINVAL);
	ERR(truncate(".", 0), EISDIR);
	ERR(truncate("none", 0), ENOENT);
	ERR(ftruncate(-1, 0), EBADF);
	int d = OK(open(".", O_RDONLY));
	ERR(ftruncate(d, 0), EINVAL);
	close(d);
	OK(mkfifo("p", 0600));
	ERR(truncate("p", 0), EINVAL);
	close(fd);
}

static void vectors(void)
{
	char a[4] = "", b[4] = "";
	struct iovec w[] = { { "ab", 2 }, { NULL, 0 }, { "cde", 3 } }, r[] = { { a, 3 }, { b, 3 } };
	static struct iovec many[1025];

	scratch();
	int fd = fresh("f");
	EQ(writev(fd, w, 3), 5);
	EQ(preadv(fd, r, 2, 0), 5);
	CHECK(!memcmp(a, "abc", 3) && !memcmp(b, "de", 2));
	EQ(pwritev(fd, w, 3, 10), 5);
	EQ(size_of("f"), 15);
	EQ(lseek(fd, 0, SEEK_CUR), 5);
	EQ(syscall(SYS_preadv2, fd, r, 2, -1L, 0, 0), 6); /* -1: as readv */
	EQ(lseek(fd, 0, SEEK_CUR), 11);
	EQ(syscall(SYS_pwritev2, fd, w, 1, 0L, 0, 0x10), 2); /* RWF_APPEND */
	EQ(size_of("f"), 17);
	ERR(syscall(SYS_pwritev2, fd, w, 1, 0L, 0, 0x40000000), EOPNOTSUPP);
	ERR(preadv(fd, r, 2, -1), EINVAL);
	ERR(pwritev(fd, w, 1, -5), EINVAL);
	EQ(writev(fd, w, 0), 0);
	ERR(syscall(SYS_writev, fd, w, -1), EINVAL);
	for (int i = 0; i < 1025; i++)
		many[i] = (struct iovec){ "x", 1 };
	EQ(writev(fd, many, 1024), 1024);
	ERR(syscall(SYS_writev, fd, many, 1025), EINVAL);
	many[0].iov_len = -1;
	ERR(writev(fd, many, 2), EINVAL);
	many[0] = (struct iovec){ "x", SSIZE_MAX };
	many[1] = (struct iovec){ "x", SSIZE_MAX };
	/* the sum is cut to 0x7ffff000; the first piece then faults where its text ends */
	CHECK(writev(fd, many, 2) != 0);
	many[0] = (struct iovec){ "ok", 2 };
	many[1] = (struct iovec){ (void *)8, 2 };
	EQ(writev(fd, many, 2), 2); /* what came before the fault counts */
	ERR(writev(fd, (struct iovec *)8, 1), EFAULT);
	close(fd);
}

/* A transfer that meets a bad page says how far it came. */
static void partial_faults(void)
{
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	scratch();
	REQUIRE(m != MAP_FAILED);
	REQUIRE(munmap(m + 4096, 4096) == 0);
	int fd = fresh("f");
	memset(buffer, 'y', 8192);
	EQ(write(fd, buffer, 8192), 8192);
	ssize_t n = pread(fd, m + 4000, 200, 0);
	CHECK(n == 96 || (n == -1 && errno == EFAULT));
	n = pwrite(fd, m + 4000, 200, 0);
	CHECK(n == 96 || (n == -1 && errno == EFAULT));
	ERR(pread(fd, m + 4096, 10, 0), EFAULT);
	ERR(pwrite(fd, m + 4096, 10, 0), EFAULT);
	close(fd);
	munmap(m, 4096);
}

static void huge_lengths(void)
{
	scratch();
	int fd = fresh("f");
	EQ(write(fd, "abc", 3), 3);
	EQ(pread(fd, buffer, 1L << 40, 0), 3);
	ERR(pread(fd, buffer, -1L, 0), EFAULT);
	ERR(pread(fd, buffer, 1, -1), EINVAL);
	ERR(pwrite(fd, buffer, 1, -1), EINVAL);
	ERR(pwrite(fd, buffer, 1, LLONG_MAX), EINVAL);
	ERR(pread(fd, buffer, 2, LLONG_MAX), EINVAL);
	close(fd);
}

static void size_limit(void)
{
	pid_t pid;

	scratch();
	FORKED(pid)
	{
		struct rlimit l = { 1000, 1000 };
		setrlimit(RLIMIT_FSIZE, &l);
		signal(SIGXFSZ, SIG_IGN);
		int fd = fresh("f");
		EQ(write(fd, buffer, 2000), 1000);
		ERR(write(fd, buffer, 1), EFBIG);
		ERR(ftruncate(fd, 1001), EFBIG);
		OK(ftruncate(fd, 1000));
		ERR(pwrite(fd, buffer, 1, 5000), EFBIG);
		EQ(pwrite(fd, buffer, 100, 950), 50);
		close(fd);
		signal(SIGXFSZ, SIG_DFL);
		truncate("f", 2000);
	}
	EQ(reap(pid), 128 + SIGXFSZ);
}

static void sendfile_call(void)
{
	int p[2];
	off_t at = 2;
	char c[16] = "";

	scratch();
	put("f", "0123456789", 0644);
	int in = OK(open("f", O_RDONLY)), out = fresh("g");
	EQ(sendfile(out, in, NULL, 4), 4);
	EQ(lseek(in, 0, SEEK_CUR), 4);
	EQ(sendfile(out, in, &at, 3), 3);
	EQ(at, 5);
	EQ(lseek(in, 0, SEEK_CUR), 4);
	EQ(sendfile(out, in, NULL, 100), 6);
	EQ(sendfile(out, in, NULL, 100), 0);
	STREQ(get("g"), "0123234456789");
	OK(pipe(p));
	at = 0;
	EQ(sendfile(p[1], in, &at, 10), 10);
	EQ(read(p[0], c, 16), 10);
	ERR(sendfile(out, p[0], NULL, 1), EINVAL);
	ERR(sendfile(in, in, NULL, 1), EBADF);
	ERR(sendfile(out, p[1], NULL, 1), EBADF);
	at = -1;
	ERR(sendfile(out, in, &at, 1), EINVAL);
	ERR(sendfile(out, in, (off_t *)8, 1), EFAULT);
	ERR(sendfile(-1, in, NULL, 1), EBADF);
	int a = OK(open("g", O_WRONLY | O_APPEND));
	ERR(sendfile(a, in, NULL, 1), EINVAL);
	close(a);
	close(p[0]);
	close(p[1]);
	close(in);
	close(out);
}

static void copy_range(void)
{
	loff_t from = 3, to = 1;

#define COPY(i, io, o, oo, n, f) syscall(SYS_copy_file_range, i, io, o, oo, n, f)
	scratch();
	put("f", "0123456789", 0644);
	int in = OK(open("f", O_RDONLY)), out = fresh("g");
	EQ(COPY(in, &from, out, &to, 4L, 0), 4);
	EQ(from, 7);
	EQ(to, 5);
	EQ(lseek(in, 0, SEEK_CUR), 0);
	EQ(COPY(in, NULL, out, NULL, 1L, 0), 1);
	EQ(lseek(out, 0, SEEK_CUR), 1);
	STREQ(get("g"), "03456");
	EQ(COPY(in, NULL, out, NULL, 100L, 0), 9);
	EQ(COPY(in, NULL, out, NULL, 100L, 0), 0);
	ERR(COPY(in, NULL, out, NULL, 1L, 1), EINVAL);
	ERR(COPY(out, NULL, in, NULL, 1L, 0), EBADF);
	int a = OK(open("g", O_WRONLY | O_APPEND)), d = OK(open(".", O_RDONLY)), rw;
	ERR(COPY(in, NULL, a, NULL, 1L, 0), EBADF);
	ERR(COPY(d, NULL, out, NULL, 1L, 0), EISDIR);
	rw = OK(open("f", O_RDWR));
	from = 0, to = 2;
	ERR(COPY(rw, &from, rw, &to, 5L, 0), EINVAL); /* overlap */
	to = 5;
	EQ(COPY(rw, &from, rw, &to, 5L, 0), 5);
	STREQ(get("f"), "0123401234");
	close(a);
	close(d);
	close(rw);
	close(in);
	close(out);
#undef COPY
}

static void times_of_files(void)
{
	struct stat st;
	struct timespec t[2] = { { 1000, 123456789 }, { 2000, 999999999 } }, before, after;

	scratch();
	put("f", "x", 0644);
	OK(symlink("f", "l"));
	OK(utimensat(AT_FDCWD, "f", t, 0));
	OK(stat("f", &st));
	EQ(st.st_atim.tv_sec, 1000);
	EQ(st.st_atim.tv_nsec, 123456789);
	EQ(st.st_mtim.tv_sec, 2000);
	EQ(st.st_mtim.tv_nsec, 999999999);
	t[0].tv_nsec = UTIME_OMIT;
	t[1] = (struct timespec){ -5, 0 };
	OK(utimensat(AT_FDCWD, "l", t, 0));
	OK(stat("f", &st));
	EQ(st.st_atim.tv_sec, 1000);
	EQ(st.st_mtim.tv_sec, -5);
	t[1] = (struct timespec){ 7, 0 };
	OK(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
	OK(lstat("l", &st));
	EQ(st.st_mtim.tv_sec, 7);
	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	OK(utimensat(AT_FDCWD, "f", NULL, 0));
	clock_gettime(CLOCK_REALTIME, &after);
	OK(stat("f", &st));
	CHECK(st.st_mtim.tv_sec >= before.tv_sec && st.st_mtim.tv_sec <= after.tv_sec);
	int fd = OK(open("f", O_RDWR));
	t[0] = (struct timespec){ 1, 0 }, t[1].tv_nsec = UTIME_NOW;
	OK(futimens(fd, t));
	OK(fstat(fd, &st));
	EQ(st.st_atim.tv_sec, 1);
	CHECK(st.st_mtim.tv_sec >= before.tv_sec);
	t[0].tv_nsec = 1000000000;
	ERR(utimensat(AT_FDCWD, "f", t, 0), EINVAL);
	t[0].tv_nsec = 0;
	ERR(utimensat(AT_FDCWD, "f", t, 0x40000000), EINVAL);
	ERR(utimensat(AT_FDCWD, "none", NULL, 0), ENOENT);
	/* a write moves mtime and ctime, chmod only ctime, and not backwards */
	t[0] = t[1] = (struct timespec){ 5, 0 };
	OK(futimens(fd, t));
	OK(fchmod(fd, 0600));
	OK(fstat(fd, &st));
	EQ(st.st_mtim.tv_sec, 5);
	CHECK(st.st_ctim.tv_sec >= before.tv_sec);
	EQ(write(fd, "y", 1), 1);
	OK(fstat(fd, &st));
	CHECK(st.st_mtim.tv_sec >= before.tv_sec);
	t[0] = t[1] = (struct timespec){ 5, 0 };
	OK(utimensat(AT_FDCWD, ".", t, 0));
	put("new", "", 0600);
	OK(stat(".", &st));
	CHECK(st.st_mtim.tv_sec >= before.tv_sec);
	close(fd);
}

static void statx_call(void)
{
	struct statx x;
	struct stat st;

	scratch();
	put("f", "12345", 04711);
	memset(&x, 0xee, sizeof x);
	OK(syscall(SYS_statx, AT_FDCWD, "f", AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS, &x));
	OK(stat("f", &st));
	EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	EQ(x.stx_size, 5);
	EQ(x.stx_mode, S_IFREG | 04711);
	EQ(x.stx_nlink, 1);
	EQ(x.stx_ino, st.st_ino);
	EQ(x.stx_blocks, st.st_blocks);
	EQ(x.stx_blksize, st.st_blksize);
	EQ(x.stx_mtime.tv_sec, st.st_mtim.tv_sec);
	EQ(x.stx_mtime.tv_nsec, st.st_mtim.tv_nsec);
	EQ(((uint64_t)x.stx_dev_major << 8 | x.stx_dev_minor) != 0 || st.st_dev == 0, 1);
	OK(symlink("f", "l"));
	OK(syscall(SYS_statx, AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x));
	CHECK(S_ISLNK(x.stx_mode));
	EQ(x.stx_size, 1);
	ERR(syscall(SYS_statx, AT_FDCWD, "none", 0, 0, &x), ENOENT);
	ERR(syscall(SYS_statx, AT_FDCWD, "f", 0, 0, (struct statx *)8), EFAULT);
}

static void statfs_calls(void)
{
	struct statfs s, t;

	scratch();
	OK(statfs(".", &s));
	CHECK(s.f_bsize > 0 && s.f_blocks >= s.f_bfree && s.f_bfree >= s.f_bavail);
	EQ(s.f_namelen, 255);
	int fd = OK(open(".", O_RDONLY));
	OK(fstatfs(fd, &t));
	EQ(t.f_type, s.f_type);
	close(fd);
	OK(statfs("/proc", &s));
	EQ(s.f_type, 0x9fa0);
	ERR(statfs("none", &s), ENOENT);
	ERR(fstatfs(-1, &s), EBADF);
	ERR(syscall(SYS_statfs, ".", 8), EFAULT);
}

static void unlinked_but_open(void)
{
	struct stat st;
	char c[8] = "";

	scratch();
	int fd = fresh("f");
	EQ(write(fd, "alive", 5), 5);
	OK(unlink("f"));
	ERR(stat("f", &st), ENOENT);
	OK(fstat(fd, &st));
	EQ(st.st_nlink, 0);
	EQ(pread(fd, c, 5, 0), 5);
	STREQ(c, "alive");
	EQ(write(fd, "more", 4), 4);
	int other = fresh("f"); /* another file of that name */
	EQ(size_of("f"), 0);
	close(other);
	char path[64], text[128] = "";
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	OK(readlink(path, text, sizeof text));
	CHECK(strstr(text, "/f (deleted)"));
	close(fd);
}

static void large(void)
{
	scratch();
	int fd = fresh("f");
	for (size_t i = 0; i < sizeof buffer; i++)
		buffer[i] = i % 253;
	for (int i = 0; i < 8; i++)
		EQ(write(fd, buffer, sizeof buffer), sizeof buffer);
	memset(buffer, 0, sizeof buffer);
	EQ(pread(fd, buffer, sizeof buffer, 5 << 20), sizeof buffer);
	for (size_t i = 0; i < sizeof buffer; i++)
		if (buffer[i] != (char)(i % 253)) {
			FAIL("byte %zu is %d", i, buffer[i]);
			break;
		}
	OK(fsync(fd));
	OK(fdatasync(fd));
	sync();
	OK(syscall(SYS_syncfs, fd));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	OK(syscall(SYS_sync_file_range, fd, 0L, 0L, 2));
	close(fd);
}

static void fallocate_call(void)
{
	struct stat st;

	scratch();
	int fd = fresh("f");
	if (fallocate(fd, 0, 0, 10000) && errno == EOPNOTSUPP) {
		close(fd);
		SKIP("no fallocate here");
	}
	EQ(size_of("f"), 10000);
	OK(fallocate(fd, 1, 0, 20000)); /* FALLOC_FL_KEEP_SIZE */
	OK(fstat(fd, &st));
	EQ(st.st_size, 10000);
	CHECK(st.st_blocks * 512 >= 10000);
	ERR(fallocate(fd, 0, -1, 1), EINVAL);
	ERR(fallocate(fd, 0, 0, 0), EINVAL);
	ERR(fallocate(fd, 0x40000000, 0, 1), EOPNOTSUPP);
	close(fd);
}

static const struct tap_case cases[] = {
	T(read_and_write), T(page_borders),   T(seeking),      T(holes),      T(truncate_calls),
	T(vectors),	   T(partial_faults), T(huge_lengths), T(size_limit), T(copy_range),
	T(times_of_files), T(statx_call),     T(statfs_calls), T(large),      T(unlinked_but_open),
	T(sendfile_call),  T(fallocate_call),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
