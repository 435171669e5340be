/* SPDX-License-Identifier: MIT */
/*
 * file_attr.c - corners of what changes an inode: set-id bits, times by every call, read-only
 * mounts, programs that run, fallocate, extended attributes; sync and advice.
 */
#include "scratch.h"
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#define KEEP_SIZE  1
#define PUNCH_HOLE 2
#define NOW	   UTIME_NOW
#define OMIT	   UTIME_OMIT

static void set_id_bits(void)
{
	pid_t pid;

	scratch();
	put("f", "text", 0644);
	OK(mkdir("d", 0755));
	OK(chown("f", 1000, 3000));
	OK(chown("d", 1000, 3000));
	FORKED(pid)
	{
		become(1000, 1000);
		OK(chmod("f", 02755)); /* not a member of the group */
		EQ(mode_of("f") & 07777, 0755);
		OK(chmod("d", 03755));
		EQ(mode_of("d") & 07777, 01755);
		ERR(fchmodat(AT_FDCWD, "none", 0, 0), ENOENT);
		int fd = OK(open("f", O_PATH));
		ERR(syscall(SYS_fchmod, fd, 0), EBADF);
		close(fd);
	}
	EQ(reap(pid), 0);
	OK(chmod("f", 06755));
	OK(chown("f", -1, -1));
	EQ(mode_of("f") & 07777, 0755);
	OK(chmod("f", 02644)); /* without group execution it is no set-id bit */
	OK(chown("f", 1, 1));
	EQ(mode_of("f") & 07777, 02644);
	OK(chmod("d", 06755));
	OK(chown("d", 1, 1));
	EQ(mode_of("d") & 07777, 06755);
	put("g", "text", 0644);
	OK(chown("g", 1000, 1000));
	OK(chmod("g", 06777));
	FORKED(pid)
	{
		become(1001, 1001);
		OK(truncate("g", 2));
	}
	EQ(reap(pid), 0);
	EQ(mode_of("g") & 07777, 0777);
}

static void set_times_as_owner(void)
{
	struct timespec now_omit[] = { { 0, NOW }, { 0, OMIT } };
	struct timespec both_now[] = { { 0, NOW }, { 0, NOW } };
	struct timespec both_omit[] = { { 5, OMIT }, { 5, OMIT } };
	pid_t pid;

	scratch();
	put("f", "", 0666);
	OK(chown("f", 1000, 1000));
	FORKED(pid)
	{
		become(1001, 1001);
		ERR(utimensat(AT_FDCWD, "f", now_omit, 0), EPERM);
		OK(utimensat(AT_FDCWD, "f", both_now, 0)); /* may write */
		OK(utimensat(AT_FDCWD, "f", both_omit, 0));
		OK(utimensat(AT_FDCWD, "none", both_omit, 0)); /* not even looked at */
		OK(syscall(SYS_utime, "f", NULL));
		ERR(syscall(SYS_utime, "f", (time_t[]){ 1, 2 }), EPERM);
	}
	EQ(reap(pid), 0);
}

static void times_by_every_call(void)
{
	struct timeval tv[] = { { 100, 7 }, { 200, 8 } }, bad[] = { { 0, 0 }, { 0, 1000000 } };
	struct stat st;

	scratch();
	put("f", "", 0644);
	OK(syscall(SYS_utime, "f", (time_t[]){ 11, 12 }));
	OK(stat("f", &st));
	EQ(st.st_atime, 11);
	EQ(st.st_mtime, 12);
	OK(syscall(SYS_utimes, "f", tv));
	OK(stat("f", &st));
	EQ(st.st_atim.tv_sec, 100);
	EQ(st.st_atim.tv_nsec, 7000);
	EQ(st.st_mtim.tv_nsec, 8000);
	ERR(syscall(SYS_utimes, "f", bad), EINVAL);
	ERR(syscall(SYS_utimes, "f", (void *)8), EFAULT);
	tv[0].tv_sec = 300;
	int dir = OK(open(".", O_RDONLY | O_DIRECTORY));
	OK(syscall(SYS_futimesat, dir, "f", tv));
	OK(stat("f", &st));
	EQ(st.st_atime, 300);
	OK(syscall(SYS_futimesat, dir, NULL, tv)); /* the directory itself */
	OK(fstat(dir, &st));
	EQ(st.st_mtime, 200);
	ERR(syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, 0), EFAULT);
	ERR(syscall(SYS_utimensat, dir, NULL, NULL, AT_SYMLINK_NOFOLLOW), EINVAL);
	ERR(syscall(SYS_utimensat, -1, NULL, NULL, 0), EBADF);
	close(dir);
}

static void leave_mount(void)
{
	umount("m");
	scratch_leave();
}

static void read_only_mount(void)
{
	scratch();
	OK(mkdir("m", 0755));
	REQUIRE(!mount("none", "m", "tmpfs", 0, NULL));
	tap_at_end = leave_mount;
	put("m/f", "text", 0644);
	REQUIRE(!mount("none", "m", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	ERR(chmod("m/f", 0), EROFS);
	ERR(chown("m/f", 1, 1), EROFS);
	ERR(truncate("m/f", 0), EROFS);
	ERR(utimensat(AT_FDCWD, "m/f", NULL, 0), EROFS);
	ERR(setxattr("m/f", "trusted.a", "", 0, 0), EROFS);
	ERR(removexattr("m/f", "trusted.a"), EROFS);
	int fd = OK(open("m/f", O_RDONLY));
	ERR(fchmod(fd, 0), EROFS);
	ERR(fchown(fd, 1, 1), EROFS);
	ERR(futimens(fd, NULL), EROFS);
	ERR(fsetxattr(fd, "trusted.a", "", 0, 0), EROFS);
	close(fd);
	STREQ(get("m/f"), "text");
}

static void running_program(void)
{
	char *text = malloc(4 << 20);
	long n = tap_slurp(tap_self, text, 4 << 20);
	int p[2], status;
	pid_t pid;

	scratch();
	REQUIRE(n > 0);
	int fd = OK(open("prog", O_WRONLY | O_CREAT | O_CLOEXEC, 0755));
	EQ(write(fd, text, n), n);
	close(fd);
	free(text);
	OK(pipe(p));
	pid = fork();
	if (!pid) {
		dup2(p[0], 0);
		close(p[1]);
		do /* while it is open for writing below */
			execl("./prog", "prog", "--wait", NULL);
		while (errno == ETXTBSY);
		_exit(99);
	}
	close(p[0]);
	for (int tries = 0; tries < 300; tries++) {
		fd = open("prog", O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			break;
		close(fd);
		usleep(10000);
	}
	ERR(open("prog", O_WRONLY), ETXTBSY);
	ERR(truncate("prog", 0), ETXTBSY);
	OK(chmod("prog", 0700));
	close(p[1]);
	OK(waitpid(pid, &status, 0));
	EQ(status, 0);
	OK(truncate("prog", 0));
}

static void allocating(void)
{
	char data[16384];
	struct stat st;
	int p[2];

	scratch();
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	OK(fallocate(fd, 0, 0, 10000));
	OK(fstat(fd, &st));
	EQ(st.st_size, 10000);
	EQ(st.st_blocks, 24);
	OK(fallocate(fd, KEEP_SIZE, 0, 16384));
	EQ(size_of("f"), 10000);
	memset(data, 'x', sizeof data);
	EQ(pwrite(fd, data, 16384, 0), 16384);
	OK(fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 100, 9000));
	EQ(pread(fd, data, 16384, 0), 16384);
	for (int i = 0; i < 16384; i++)
		if (data[i] != (i >= 100 && i < 9100 ? 0 : 'x')) {
			FAIL("byte %d after a hole", i);
			break;
		}
	OK(fstat(fd, &st));
	EQ(st.st_blocks, 24); /* one whole page went */
	OK(fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 5, 3));
	EQ(size_of("f"), 16384);
	ERR(fallocate(fd, PUNCH_HOLE, 0, 1), EOPNOTSUPP);
	ERR(fallocate(fd, KEEP_SIZE, INT64_MAX - 5, 10), EFBIG);
	ERR(fallocate(fd, 8, 0, 4096), EOPNOTSUPP); /* FALLOC_FL_COLLAPSE_RANGE */
	close(fd);
	fd = OK(open("f", O_RDONLY));
	ERR(fallocate(fd, 0, 0, 1), EBADF);
	close(fd);
	OK(pipe(p));
	ERR(fallocate(p[1], 0, 0, 1), ESPIPE);
	close(p[0]);
	close(p[1]);
	fd = OK(open("/dev/null", O_RDWR));
	ERR(fallocate(fd, 0, 0, 1), ENODEV);
	close(fd);
}

static void allocating_too_much(void)
{
	struct statfs before, after;
	struct stat st;

	scratch();
	OK(mkdir("m", 0755));
	REQUIRE(!mount("none", "m", "tmpfs", 0, "size=64k"));
	tap_at_end = leave_mount;
	int fd = OK(open("m/f", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	EQ(write(fd, "abc", 3), 3);
	OK(statfs("m", &before));
	ERR(fallocate(fd, 0L, 0L, 65537), ENOSPC);
	ERR(fallocate(fd, 0, 8192, 65536), ENOSPC);
	OK(statfs("m", &after));
	EQ(after.f_bfree, before.f_bfree); /* nothing is kept of what failed */
	OK(fstat(fd, &st));
	EQ(st.st_size, 3);
	OK(fallocate(fd, 0L, 0L, 65536));
	ERR(pwrite(fd, "x", 1, 65536), ENOSPC);
	OK(ftruncate(fd, 0));
	OK(statfs("m", &after));
	EQ(after.f_bfree, before.f_bfree + 1);
	close(fd);
}

static void file_size_signal(void)
{
	pid_t pid;

	scratch();
	FORKED(pid)
	{
		struct rlimit r = { 5000, 5000 };
		int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
		OK(setrlimit(RLIMIT_FSIZE, &r));
		signal(SIGXFSZ, SIG_IGN);
		ERR(fallocate(fd, 0, 0, 5001), EFBIG);
		ERR(fallocate(fd, KEEP_SIZE, 0, 8192), EFBIG);
		OK(fallocate(fd, 0, 0, 5000));
		ERR(ftruncate(fd, 5001), EFBIG);
		OK(ftruncate(fd, 5000));
		signal(SIGXFSZ, SIG_DFL);
		ftruncate(fd, 6000);
		_exit(1);
	}
	int status;
	OK(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
}

static void advice_and_sync(void)
{
	int p[2];

	scratch();
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	for (int advice = 0; advice < 6; advice++)
		EQ(syscall(SYS_fadvise64, fd, 0L, 0L, advice), 0);
	ERR(syscall(SYS_fadvise64, fd, 0L, 0L, 6), EINVAL);
	ERR(syscall(SYS_fadvise64, fd, 0L, -1L, 0), EINVAL);
	ERR(syscall(SYS_fadvise64, -1, 0, 0, 0), EBADF);
	OK(fsync(fd));
	OK(fdatasync(fd));
	OK(syncfs(fd));
	OK(sync_file_range(fd, 0, 0, 7));
	ERR(sync_file_range(fd, 0, 0, 8), EINVAL);
	ERR(sync_file_range(fd, -1, 0, 0), EINVAL);
	ERR(syscall(SYS_fsync, -1), EBADF);
	ERR(syscall(SYS_syncfs, -1), EBADF);
	sync();
	OK(pipe(p));
	ERR(syscall(SYS_fadvise64, p[0], 0, 0, 0), ESPIPE);
	ERR(fsync(p[0]), EINVAL);
	ERR(sync_file_range(p[0], 0, 0, 0), ESPIPE);
	close(p[0]);
	close(p[1]);
	close(fd);
	fd = OK(open(".", O_RDONLY | O_DIRECTORY));
	OK(fsync(fd));
	close(fd);
	fd = OK(open("/dev/null", O_RDWR));
	ERR(fsync(fd), EINVAL);
	close(fd);
}

/* Of the file f, and of l, a link to it. */
static void attributes_by_name(void)
{
	char buf[256];

	ERR(getxattr("f", "trusted.a", buf, sizeof buf), ENODATA);
	OK(setxattr("f", "trusted.a", "value", 5, 0));
	EQ(getxattr("f", "trusted.a", NULL, 0), 5);
	EQ(getxattr("l", "trusted.a", buf, sizeof buf), 5);
	CHECK(!memcmp(buf, "value", 5));
	ERR(lgetxattr("l", "trusted.a", buf, sizeof buf), ENODATA);
	ERR(getxattr("f", "trusted.a", buf, 4), ERANGE);
	ERR(setxattr("f", "trusted.a", "", 0, XATTR_CREATE), EEXIST);
	ERR(setxattr("f", "trusted.b", "", 0, XATTR_REPLACE), ENODATA);
	ERR(setxattr("f", "trusted.b", "", 0, 4), EINVAL);
	OK(setxattr("f", "trusted.a", "", 0, XATTR_REPLACE));
	EQ(getxattr("f", "trusted.a", buf, sizeof buf), 0);
	OK(setxattr("f", "security.b", "12", 2, XATTR_CREATE));
	EQ(listxattr("f", NULL, 0), 21);
	EQ(listxattr("f", buf, sizeof buf), 21);
	ERR(listxattr("f", buf, 20), ERANGE);
}

static void attributes_too_large(void)
{
	static char big[65537];

	ERR(setxattr("f", "trusted.b", big, 65537, 0), E2BIG);
	if (setxattr("f", "trusted.b", big, 65536, 0)) {
		EQ(errno, ENOSPC); /* a filesystem on a disk may have less room for all of them */
	} else {
		EQ(getxattr("f", "trusted.b", big, sizeof big), 65536);
		OK(removexattr("f", "trusted.b"));
	}
	ERR(removexattr("f", "trusted.b"), ENODATA);
}

static void attributes_with_bad_names(void)
{
	char name[300] = "trusted.";

	ERR(setxattr("f", "", "", 0, 0), ERANGE);
	memset(name + 8, 'n', 247);
	OK(setxattr("f", name, "", 0, 0));
	OK(removexattr("f", name));
	memset(name + 8, 'n', 248);
	ERR(setxattr("f", name, "", 0, 0), ERANGE);
	ERR(setxattr("f", "trusted.", "", 0, 0), EINVAL);
	ERR(setxattr("f", "nowhere.x", "", 0, 0), EOPNOTSUPP);
	ERR(setxattr("f", (char *)8, "", 0, 0), EFAULT);
	ERR(setxattr("f", "trusted.b", (char *)8, 1, 0), EFAULT);
	ERR(setxattr("none", "trusted.b", "", 0, 0), ENOENT);
	ERR(lsetxattr("l", "user.x", "", 0, 0), EPERM);
}

static void attributes_by_descriptor(void)
{
	char buf[256];

	ERR(fgetxattr(-1, "trusted.a", NULL, 0), EBADF);
	int fd = OK(open("f", O_RDONLY));
	OK(fsetxattr(fd, "trusted.c", "c", 1, 0));
	EQ(fgetxattr(fd, "trusted.c", buf, 1), 1);
	EQ(flistxattr(fd, NULL, 0), 31);
	OK(fremovexattr(fd, "trusted.c"));
	close(fd);
	fd = OK(open("f", O_PATH));
	ERR(fgetxattr(fd, "trusted.a", NULL, 0), EBADF);
	close(fd);
}

static void attributes_of_another_user(void)
{
	char buf[256];
	pid_t pid;

	FORKED(pid)
	{
		become(1000, 1000);
		ERR(getxattr("f", "trusted.a", NULL, 0), ENODATA);
		ERR(setxattr("f", "trusted.a", "", 0, 0), EPERM);
		ERR(setxattr("f", "security.b", "", 0, 0), EPERM);
		EQ(getxattr("f", "security.b", buf, sizeof buf), 2);
		EQ(listxattr("f", buf, sizeof buf), 11); /* without the trusted one */
	}
	EQ(reap(pid), 0);
}

static void extended_attributes(void)
{
	scratch();
	put("f", "", 0666);
	OK(symlink("f", "l"));
	attributes_by_name();
	attributes_too_large();
	attributes_with_bad_names();
	attributes_by_descriptor();
	attributes_of_another_user();
}

static const struct tap_case cases[] = {
	T(set_id_bits),	    T(set_times_as_owner),  T(times_by_every_call), T(read_only_mount),
	T(running_program), T(allocating),	    T(allocating_too_much), T(file_size_signal),
	T(advice_and_sync), T(extended_attributes),
};

int main(int argc, char **argv)
{
	char c;

	if (argc > 1 && !strcmp(argv[1], "--wait"))
		return read(0, &c, 1) != 0;
	return TAP_RUN(cases, argc, argv);
}
