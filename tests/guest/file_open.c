/* SPDX-License-Identifier: MIT */
/*
 * file_open.c - openat and its flags, what a path may look like, *at calls and AT_EMPTY_PATH.
 */
#include "scratch.h"
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

static void create(void)
{
	scratch();
	int fd = OK(open("f", O_CREAT | O_EXCL | O_RDWR, 0666));
	EQ(mode_of("f"), S_IFREG | 0644);
	ERR(open("f", O_CREAT | O_EXCL | O_RDWR, 0666), EEXIST);
	ERR(open(".", O_CREAT | O_RDWR, 0666), EISDIR);
	ERR(open("none/f", O_CREAT | O_RDWR, 0666), ENOENT);
	ERR(open("f/g", O_CREAT | O_RDWR, 0666), ENOTDIR);
	ERR(open("g/", O_CREAT | O_RDWR, 0666), EISDIR);
	ERR(open("", O_CREAT | O_RDWR, 0666), ENOENT);
	ERR(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	ERR(open("f/", O_RDONLY), ENOTDIR);
	ERR(open("none", O_RDONLY), ENOENT);
	close(fd);
	/* through a dangling link: created, but not with O_EXCL or O_NOFOLLOW */
	OK(symlink("target", "l"));
	ERR(open("l", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
	ERR(open("l", O_CREAT | O_NOFOLLOW | O_WRONLY, 0600), ELOOP);
	close(OK(open("l", O_CREAT | O_WRONLY, 0600)));
	EQ(mode_of("target"), S_IFREG | 0600);
	/* the mode does not bind the one who creates */
	fd = OK(open("none", O_CREAT | O_RDWR, 0));
	EQ(write(fd, "x", 1), 1);
	close(fd);
	EQ(mode_of("none"), S_IFREG);
	close(OK(creat("c", 07777)));
	EQ(mode_of("c"), S_IFREG | 07755);
}

static void access_modes(void)
{
	char c;

	scratch();
	put("f", "text", 0644);
	int r = OK(open("f", O_RDONLY)), w = OK(open("f", O_WRONLY)), rw = OK(open("f", O_RDWR));
	ERR(write(r, "x", 1), EBADF);
	ERR(read(w, &c, 1), EBADF);
	ERR(ftruncate(r, 0), EINVAL);
	ERR(fallocate(r, 0, 0, 1), EBADF);
	EQ(write(rw, "T", 1), 1);
	EQ(read(rw, &c, 1), 1);
	EQ(c, 'e');
	EQ(fcntl(r, F_GETFL) & O_ACCMODE, O_RDONLY);
	EQ(fcntl(w, F_GETFL) & O_ACCMODE, O_WRONLY);
	EQ(fcntl(rw, F_GETFL) & O_ACCMODE, O_RDWR);
	close(r);
	close(w);
	close(rw);
	/* 3 asks for read and write permission and gives neither */
	int neither = OK(open("f", O_ACCMODE));
	ERR(read(neither, &c, 1), EBADF);
	ERR(write(neither, "x", 1), EBADF);
	close(neither);
	ERR(open(".", O_WRONLY), EISDIR);
	ERR(open(".", O_RDWR), EISDIR);
	ERR(open(".", O_RDONLY | O_TRUNC), EISDIR);
	int d = OK(open(".", O_RDONLY));
	ERR(read(d, &c, 1), EISDIR);
	ERR(write(d, &c, 1), EBADF);
	ERR(pread(d, &c, 1, 0), EISDIR);
	close(d);
}

static void truncating(void)
{
	scratch();
	put("f", "some text", 0644);
	close(OK(open("f", O_RDONLY | O_TRUNC)));
	EQ(size_of("f"), 0);
	put("f", "some text", 0644);
	close(OK(open("f", O_RDWR | O_CREAT, 0644)));
	EQ(size_of("f"), 9);
	close(OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0600)));
	EQ(size_of("f"), 0);
	EQ(mode_of("f"), S_IFREG | 0644);
}

static void appending(void)
{
	scratch();
	put("f", "0123", 0644);
	int a = OK(open("f", O_RDWR | O_APPEND)), b = OK(open("f", O_RDWR));
	EQ(write(b, "AB", 2), 2);
	EQ(write(a, "45", 2), 2);
	EQ(lseek(a, 0, SEEK_CUR), 6);
	EQ(lseek(a, 0, SEEK_SET), 0);
	EQ(write(a, "67", 2), 2);
	STREQ(get("f"), "AB234567");
	EQ(pwrite(a, "8", 1, 0), 1); /* Linux appends also then (pwrite(2), BUGS) */
	EQ(size_of("f"), 9);
	OK(fcntl(a, F_SETFL, 0));
	EQ(pwrite(a, "Z", 1, 0), 1);
	EQ(size_of("f"), 9);
	OK(fcntl(b, F_SETFL, O_APPEND));
	EQ(write(b, "e", 1), 1);
	EQ(size_of("f"), 10);
	close(a);
	close(b);
	/* two appenders never write over each other */
	pid_t pid[4];
	put("log", "", 0644);
	for (int i = 0; i < 4; i++)
		FORKED(pid[i])
		{
			int fd = open("log", O_WRONLY | O_APPEND);
			for (int k = 0; k < 200; k++)
				EQ(write(fd, "line of text\n", 13), 13);
		}
	for (int i = 0; i < 4; i++)
		EQ(reap(pid[i]), 0);
	EQ(size_of("log"), 4 * 200 * 13);
}

static void links(void)
{
	char name[16];

	scratch();
	put("f", "x", 0644);
	OK(symlink("f", "l0"));
	for (int i = 1; i < 42; i++) {
		char to[16];
		snprintf(name, sizeof name, "l%d", i);
		snprintf(to, sizeof to, "l%d", i - 1);
		OK(symlink(to, name));
	}
	close(OK(open("l39", O_RDONLY))); /* 40 links */
	ERR(open("l40", O_RDONLY), ELOOP);
	ERR(open("l0", O_RDONLY | O_NOFOLLOW), ELOOP);
	OK(mkdir("d", 0755));
	OK(symlink("d", "ld"));
	ERR(open("ld", O_RDONLY | O_NOFOLLOW), ELOOP);
	ERR(open("ld", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
	close(OK(open("ld", O_RDONLY | O_DIRECTORY)));
	close(OK(open("ld/", O_RDONLY | O_NOFOLLOW)));
	ERR(open("l0", O_RDONLY | O_DIRECTORY), ENOTDIR);
	OK(symlink("self", "self"));
	ERR(open("self", O_RDONLY), ELOOP);
	ERR(open("self/x", O_RDONLY), ELOOP);
	ERR(open("self", O_RDWR | O_CREAT, 0600), ELOOP);
	/* 40 in all, not nested: components count too */
	char path[512] = "";
	for (int i = 0; i < 40; i++)
		strcat(path, i ? "/../ld" : "ld");
	close(OK(open(path, O_RDONLY)));
	strcat(path, "/../ld");
	ERR(open(path, O_RDONLY), ELOOP);
}

static void long_names(void)
{
	char name[300], path[5100];
	struct stat st;

	scratch();
	memset(name, 'n', sizeof name);
	name[255] = 0;
	close(OK(open(name, O_CREAT | O_WRONLY, 0644)));
	OK(stat(name, &st));
	name[255] = 'n';
	name[256] = 0;
	ERR(open(name, O_CREAT | O_WRONLY, 0644), ENAMETOOLONG);
	ERR(stat(name, &st), ENAMETOOLONG);
	ERR(mkdir(name, 0755), ENAMETOOLONG);
	/* PATH_MAX counts the NUL: 4095 characters are a path */
	memset(path, '/', sizeof path);
	path[4095] = 0;
	close(OK(open(path, O_RDONLY)));
	path[4095] = '/';
	path[4096] = 0;
	ERR(open(path, O_RDONLY), ENAMETOOLONG);
	path[5000] = 0;
	ERR(open(path, O_RDONLY), ENAMETOOLONG);
	ERR(symlink(path, "l"), ENAMETOOLONG);
	memset(path, 'x', sizeof path);
	path[4095] = 0;
	OK(symlink(path, "l"));
	char text[5000];
	EQ(readlink("l", text, sizeof text), 4095);
}

static void path_only(void)
{
	char c;
	struct stat st;
	struct {
		char b[64];
	} unused;

	scratch();
	put("f", "x", 0);
	OK(symlink("f", "l"));
	int fd = OK(open("f", O_PATH));
	EQ(fcntl(fd, F_GETFL) & ~0100000, O_PATH);
	ERR(read(fd, &c, 1), EBADF);
	ERR(write(fd, &c, 1), EBADF);
	ERR(lseek(fd, 0, SEEK_SET), EBADF);
	ERR(syscall(SYS_fchmod, fd, 0600), EBADF);
	ERR(syscall(SYS_fchown, fd, 0, 0), EBADF);
	ERR(ftruncate(fd, 0), EBADF);
	ERR(ioctl(fd, FIONREAD, &unused), EBADF);
	ERR(mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0), EBADF);
	ERR(fcntl(fd, F_SETFL, O_APPEND), EBADF);
	ERR(fsync(fd), EBADF);
	OK(fstat(fd, &st));
	EQ(st.st_size, 1);
	int copy = OK(dup(fd));
	close(copy);
	close(fd);
	fd = OK(open("l", O_PATH | O_NOFOLLOW));
	OK(fstat(fd, &st));
	CHECK(S_ISLNK(st.st_mode));
	EQ(readlinkat(fd, "", &c, 1), 1);
	EQ(c, 'f');
	close(fd);
	/* other flags are ignored; the directory may be named by it, and entered */
	fd = OK(open(".", O_PATH | O_RDWR | O_CREAT | O_TRUNC, 0));
	OK(fstatat(fd, "f", &st, 0));
	OK(fchdir(fd));
	ERR(syscall(SYS_getdents64, fd, &unused, sizeof unused), EBADF);
	close(fd);
}

static void temporary(void)
{
	struct stat st;
	char path[64];

	scratch();
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		SKIP("the filesystem has no O_TMPFILE");
	REQUIRE(fd >= 0);
	OK(fstat(fd, &st));
	EQ(st.st_nlink, 0);
	EQ(st.st_mode, S_IFREG | 0640);
	EQ(write(fd, "t", 1), 1);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	STREQ(get("named"), "t");
	close(fd);
	ERR(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	ERR(open("named", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
	ERR(open("none", O_TMPFILE | O_RDWR, 0600), ENOENT);
	fd = OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ERR(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW), ENOENT);
	close(fd);
}

static void descriptors_of_directories(void)
{
	struct stat st;

	scratch();
	OK(mkdir("d", 0755));
	put("d/f", "x", 0644);
	int d = OK(open("d", O_RDONLY | O_DIRECTORY)), f = OK(open("d/f", O_RDONLY));
	close(OK(openat(d, "f", O_RDONLY)));
	close(OK(openat(-1, scratch_path, O_RDONLY))); /* absolute: ignored */
	ERR(openat(-1, "f", O_RDONLY), EBADF);
	ERR(openat(99, "f", O_RDONLY), EBADF);
	ERR(openat(f, "x", O_RDONLY), ENOTDIR);
	ERR(openat(d, "", O_RDONLY), ENOENT);
	OK(mkdirat(d, "sub", 0700));
	OK(fstatat(d, "sub", &st, 0));
	OK(unlinkat(d, "sub", AT_REMOVEDIR));
	OK(symlinkat("f", d, "l"));
	OK(linkat(d, "f", AT_FDCWD, "hard", 0));
	OK(renameat(AT_FDCWD, "hard", d, "moved"));
	OK(faccessat(d, "moved", R_OK, 0));
	OK(fchmodat(d, "moved", 0600, 0));
	OK(fchownat(d, "l", 5, 6, AT_SYMLINK_NOFOLLOW));
	OK(fstatat(d, "l", &st, AT_SYMLINK_NOFOLLOW));
	EQ(st.st_uid, 5);
	OK(fstatat(d, "f", &st, 0));
	EQ(st.st_uid, 0);
	OK(mknodat(d, "p", S_IFIFO | 0600, 0));
	/* removed under our feet */
	OK(mkdir("gone", 0755));
	int g = OK(open("gone", O_RDONLY));
	OK(rmdir("gone"));
	ERR(openat(g, "new", O_CREAT | O_WRONLY, 0600), ENOENT);
	ERR(mkdirat(g, "new", 0700), ENOENT);
	ERR(symlinkat("x", g, "new"), ENOENT);
	OK(fstat(g, &st));
	EQ(st.st_nlink, 0);
	close(g);
	close(f);
	close(d);
}

/* With AT_EMPTY_PATH a call is about the descriptor itself. */
static void empty_path(void)
{
	struct stat st;
	struct statx sx;

	scratch();
	put("f", "four", 0644);
	int fd = OK(open("f", O_RDONLY)), p = OK(open("f", O_PATH));
	OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
	EQ(st.st_size, 4);
	OK(fstatat(p, "", &st, AT_EMPTY_PATH));
	ERR(fstatat(fd, "", &st, 0), ENOENT);
	OK(syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0x7ff, &sx));
	OK(fchownat(p, "", 3, 4, AT_EMPTY_PATH));
	OK(fstat(fd, &st));
	EQ(st.st_gid, 4);
	OK(linkat(fd, "", AT_FDCWD, "linked", AT_EMPTY_PATH));
	STREQ(get("linked"), "four");
	OK(syscall(SYS_faccessat2, p, "", R_OK, AT_EMPTY_PATH));
	OK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	CHECK(S_ISDIR(st.st_mode));
	ERR(fstatat(-1, "", &st, AT_EMPTY_PATH), EBADF);
	ERR(fstatat(AT_FDCWD, "f", &st, 0x40000000), EINVAL);
	ERR(unlinkat(AT_FDCWD, "f", 0x40000000), EINVAL);
	ERR(linkat(AT_FDCWD, "f", AT_FDCWD, "g", 0x40000000), EINVAL);
	ERR(fchownat(AT_FDCWD, "f", 0, 0, 0x40000000), EINVAL);
	ERR(syscall(SYS_statx, AT_FDCWD, "f", 0x6000, 0, &sx), EINVAL);
	ERR(syscall(SYS_statx, AT_FDCWD, "f", 0, 0x80000000, &sx), EINVAL);
	ERR(syscall(SYS_faccessat2, AT_FDCWD, "f", 8, 0), EINVAL);
	ERR(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, 0x40000000), EINVAL);
	close(p);
	close(fd);
}

static void slashes_and_dots(void)
{
	struct stat st;

	scratch();
	OK(mkdir("d", 0755));
	put("d/f", "x", 0644);
	OK(symlink("d", "ld"));
	OK(symlink("d/f", "lf"));
	OK(stat("d/./../d//f", &st));
	OK(stat("d/", &st));
	OK(stat("d/.", &st));
	OK(stat("/..", &st));
	OK(stat("/../../tmp", &st));
	ERR(stat("d/f/", &st), ENOTDIR);
	ERR(stat("d/f/.", &st), ENOTDIR);
	ERR(stat("d/f/..", &st), ENOTDIR);
	ERR(stat("lf/", &st), ENOTDIR);
	ERR(stat("none/..", &st), ENOENT);
	OK(lstat("ld", &st));
	CHECK(S_ISLNK(st.st_mode));
	OK(lstat("ld/", &st));
	CHECK(S_ISDIR(st.st_mode));
	OK(lstat("ld/.", &st));
	OK(mkdir("e/", 0755));
	OK(rmdir("e/"));
	ERR(unlink("d/f/"), ENOTDIR);
	ERR(unlink("ld/"), ENOTDIR);
	ERR(rmdir("ld/"), ENOTDIR);
	ERR(rmdir("ld"), ENOTDIR);
	ERR(rmdir("d/."), EINVAL);
	ERR(rmdir("d/.."), ENOTEMPTY);
	ERR(rmdir("/"), EBUSY);
	ERR(mkdir("d/.", 0755), EEXIST);
	ERR(mkdir("/", 0755), EEXIST);
	ERR(mkdir(".", 0755), EEXIST);
	ERR(unlink("/"), EISDIR);
	ERR(unlink("d"), EISDIR);
	ERR(unlink("d/."), EISDIR);
	ERR(link("d/f", "g/"), ENOENT);
	ERR(symlink("x", "g/"), ENOENT);
	ERR(mknod("g/", S_IFREG | 0600, 0), ENOENT);
	ERR(rename("d/f", "g/"), ENOTDIR);
	OK(rename("d/", "h/"));
	OK(stat("h", &st));
}

/* O_NONBLOCK, O_CLOEXEC, O_SYNC and friends are kept; creation flags and unknown bits are not. */
static void status_flags(void)
{
	scratch();
	put("f", "x", 0644);
	int flags = O_RDWR | O_APPEND | O_NONBLOCK | O_SYNC | O_NOATIME;
	int fd = OK(open("f", flags | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0600));
	EQ(fcntl(fd, F_GETFL) & ~0100000, flags);
	EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	/* F_SETFL changes only these */
	OK(fcntl(fd, F_SETFL, O_NONBLOCK | O_WRONLY | O_EXCL));
	EQ(fcntl(fd, F_GETFL) & ~0100000, O_RDWR | O_NONBLOCK | O_SYNC);
	close(fd);
	fd = OK(open("f", O_RDONLY | 0x40000000));
	EQ(fcntl(fd, F_GETFL) & 0x40000000, 0);
	close(fd);
}

static void same_file(void)
{
	char c;

	scratch();
	put("f", "abc", 0644);
	int a = OK(open("f", O_RDONLY)), b = OK(open("f", O_RDONLY)), d = OK(dup(a));
	read(a, &c, 1);
	read(d, &c, 1);
	EQ(c, 'b'); /* one offset */
	read(b, &c, 1);
	EQ(c, 'a');
	OK(fcntl(a, F_SETFL, O_NONBLOCK));
	EQ(fcntl(d, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	EQ(fcntl(b, F_GETFL) & O_NONBLOCK, 0);
	OK(fcntl(d, F_SETFD, FD_CLOEXEC));
	EQ(fcntl(a, F_GETFD), 0);
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", a);
	int e = OK(open(path, O_RDWR)); /* a new open file, not a duplicate */
	read(e, &c, 1);
	EQ(c, 'a');
	EQ(write(e, "X", 1), 1);
	close(a);
	close(b);
	close(d);
	close(e);
}

/* The lowest free number, and none beyond the limit. */
static void numbers(void)
{
	scratch();
	int a = OK(open("/", O_RDONLY)), b = OK(open("/", O_RDONLY)), c = OK(open("/", O_RDONLY));
	EQ(b, a + 1);
	EQ(c, a + 2);
	close(a);
	close(b);
	EQ(open("/", O_RDONLY), a);
	EQ(open("/", O_RDONLY), b);
	close(a);
	close(b);
	close(c);
	ERR(close(a), EBADF);
	ERR(close(-1), EBADF);
	int fd, n = 0, last = -1;
	for (n = 0; n < 100000 && (fd = open("/", O_RDONLY)) >= 0; n++)
		last = fd;
	CHECK(errno == EMFILE || errno == ENFILE || n == 100000);
	for (fd = last; n > 0; n--)
		close(fd--);
}

static const struct tap_case cases[] = {
	T(create),
	T(access_modes),
	T(truncating),
	T(appending),
	T(links),
	T(long_names),
	T(path_only),
	T(temporary),
	T(empty_path),
	T(descriptors_of_directories),
	T(slashes_and_dots),
	T(status_flags),
	T(same_file),
	T(numbers),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
