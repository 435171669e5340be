/* SPDX-License-Identifier: MIT */
/*
 * container_pty.c - the control file `pty`: a terminal of a container whose master is outside. Who
 * may open it, what names it has and for whom, who pays, what becomes of it.
 */
#include "cont.h"
#include "fail_nth.h"
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>

static int open_control(int cid)
{
	char path[64];

	snprintf(path, sizeof path, "/sys/container/%d/pty", cid);
	return open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static int unlocked(int fd)
{
	int zero = 0;

	REQUIRE(fd >= 0);
	REQUIRE(ioctl(fd, TIOCSPTLCK, &zero) == 0);
	return fd;
}

static int number(int master)
{
	int n = -1;

	OK(ioctl(master, TIOCGPTN, &n));
	return n;
}

static int peer(int master)
{
	return ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* What /proc says is open as fd. */
static const char *name_of(int fd)
{
	static char text[128];
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	return text;
}

/* Entries of /dev/pts that are numbers. */
static int terminals(void)
{
	DIR *d = opendir("/dev/pts");
	struct dirent *e;
	int n = 0;

	REQUIRE(d);
	while ((e = readdir(d)))
		n += e->d_name[0] >= '0' && e->d_name[0] <= '9';
	closedir(d);
	return n;
}

static const char *line_of(int fd)
{
	static char text[128];
	ssize_t n = read(fd, text, sizeof text - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void has_a_name_inside(void)
{
	world();
	int c = spawn(), before = terminals(), master = unlocked(open_control(c));
	pid_t pid;

	EQ(number(master), 0);
	EQ(isatty(master), 1);
	CFORKED(pid, c)
	{
		struct stat st, named;
		int fd = OK(peer(master)), again;
		STREQ(name_of(fd), "/dev/pts/0");
		STREQ(ttyname(fd), "/dev/pts/0");
		EQ(terminals(), 1);
		OK(fstat(fd, &st));
		OK(stat("/dev/pts/0", &named));
		EQ(st.st_rdev, makedev(136, 0));
		EQ(st.st_ino, named.st_ino);
		EQ(st.st_dev, named.st_dev);
		again = OK(open("/dev/pts/0", O_RDWR)); /* pid 1 leads its session: it takes it */
		OK(close(open("/dev/tty", O_RDWR)));
		EQ(write(again, "up\n", 3), 3);
		STREQ(line_of(fd), "down\n");
	}
	STREQ(line_of(master), "up\r\n");
	EQ(write(master, "down\n", 5), 5);
	EQ(reap(pid), 0);
	EQ(terminals(), before); /* it is nobody's out here */
	int fd = OK(peer(master));
	STREQ(name_of(fd), "pts");
	EQ(isatty(fd), 1);
	close(fd);
	close(master);
	gone(c);
}

static void only_from_outside(void)
{
	world();
	int c = spawn(), d = spawn();
	pid_t pid;

	CFORKED(pid, c)
	{
		ERR(open("/sys/container/self/pty", O_RDWR), EPERM);
		ERR(open_control(c), ENOENT);
		ERR(open_control(d), ENOENT);
		struct container_spec s = spec_of("/in");
		int inner = OK(syscall(SYS_spawncont, &s, sizeof s));
		int master = OK(open_control(inner)); /* what is inside it, it may */
		EQ(number(master), 0);
		close(master);
		OK(DESTROY(inner));
	}
	EQ(reap(pid), 0);
	ERR(open("/sys/container/self/pty", O_RDWR), EPERM);
	FORKED(pid)
	{
		OK(setuid(1000));
		ERR(open_control(c), EACCES);
	}
	EQ(reap(pid), 0);
	ERR(open("/sys/container/999999/pty", O_RDWR), ENOENT);
	gone(c);
	ERR(open_control(c), ENOENT);
	gone(d);
}

/* Each container counts from 0, and a number is free when both sides are closed. */
static void numbers(void)
{
	world();
	int c = spawn(), d = spawn(), zero, one, other, own = OK(open("/dev/ptmx", O_RDWR));
	pid_t pid;

	zero = unlocked(open_control(c));
	one = unlocked(open_control(c));
	other = unlocked(open_control(d));
	EQ(number(zero), 0);
	EQ(number(one), 1);
	EQ(number(other), 0);
	CFORKED(pid, c)
	{
		struct stat st;
		EQ(terminals(), 2);
		OK(stat("/dev/pts/0", &st)); /* the name is in the cache */
		OK(stat("/dev/pts/1", &st));
		int slave = OK(peer(zero));
		close(zero);
		WORD(0) = 1;
		AWAIT(WORD(1));
		ERR(stat("/dev/pts/0", &st), ENOENT);
		close(slave);
		WORD(0) = 2;
		AWAIT(WORD(1) == 2);
		OK(stat("/dev/pts/0", &st));
	}
	AWAIT(WORD(0) == 1);
	close(zero);
	int two = OK(open_control(c)); /* the slave is open still */
	EQ(number(two), 2);
	WORD(1) = 1;
	AWAIT(WORD(0) == 2);
	zero = OK(open_control(c));
	EQ(number(zero), 0);
	WORD(1) = 2;
	EQ(reap(pid), 0);
	close(zero);
	close(one);
	close(two);
	close(other);
	close(own);
	gone(c);
	gone(d);
}

/* The container pays, and at its limit it is the one that is refused. */
static void who_pays(void)
{
	world();
	int c = spawn_limited(CONTAINER_NO_LIMIT, 256 << 10), fd[200], n = 0;
	uint64_t before = info_of(c).memory_current;

	while (n < 200 && (fd[n] = open_control(c)) >= 0)
		n++;
	EQ(errno, ENOMEM);
	CHECK(n >= 4 && n < 32);
	CHECK(info_of(c).memory_current >= before + n * 8192ull);
	CHECK(info_of(c).memory_current <= 256 << 10);
	close(OK(open("/dev/ptmx", O_RDWR))); /* others are not */
	while (n)
		close(fd[--n]);
	CHECK(info_of(c).memory_current < before + 8192);
	close(OK(open_control(c)));
	gone(c);
}

/* Each allocation of an open fails once: it is refused, or done again when there is room. */
static void open_that_fails(void)
{
	world();
	fail_nth_required();
	int c = spawn(), nth = fail_nth_open(), n;
	char left[16] = "0";

	for (n = 1; n < 100 && left[0] == '0'; n++) {
		fail_nth(nth, n);
		int fd = open_control(c), error = errno;
		while (pread(nth, left, sizeof left, 0) < 0) /* may be the one that fails */
			;
		fail_none(nth);
		if (fd >= 0)
			EQ(number(fd), 0); /* those that failed kept nothing */
		else
			EQ(error, ENOMEM);
		close(fd);
	}
	CHECK(n > 5 && n < 100);
	close(nth);
	gone(c);
}

static volatile int hangups;

static void note(int sig)
{
	(void)sig;
	hangups++;
}

static void hangup(void)
{
	world();
	int c = spawn(), master = unlocked(open_control(c));
	struct winsize size = { 33, 99, 0, 0 }, got;
	pid_t pid;

	OK(ioctl(master, TIOCSWINSZ, &size)); /* before anybody has opened it */
	CFORKED(pid, c)
	{
		signal(SIGHUP, note);
		int fd = OK(peer(master));
		OK(ioctl(fd, TIOCSCTTY, 0));
		OK(ioctl(fd, TIOCGWINSZ, &got));
		EQ(got.ws_row, 33);
		EQ(got.ws_col, 99);
		close(master);
		WORD(0) = 1;
		AWAIT(hangups);
		char b;
		EQ(read(fd, &b, 1), 0);
		ERR(write(fd, "x", 1), EIO);
	}
	AWAIT(WORD(0));
	close(master);
	EQ(reap(pid), 0);
	/* and the other way round: the container goes, the master stays */
	master = unlocked(open_control(c));
	CFORKED(pid, c)
	{
		int fd = OK(peer(master));
		EQ(write(fd, "last\n", 5), 5);
		WORD(0) = 2;
		idle();
	}
	AWAIT(WORD(0) == 2);
	gone(c);
	EQ(reap(pid), 128 + SIGKILL);
	STREQ(line_of(master), "last\r\n");
	char b;
	ERR(read(master, &b, 1), EIO);
	close(master);
}

static void owner_of_the_name(void)
{
	world();
	int c = spawn(), master = unlocked(open_control(c));
	pid_t pid;

	CFORKED(pid, c)
	{
		struct stat st;
		int fd = OK(peer(master));
		OK(fchown(fd, 1000, -1));
		OK(stat("/dev/pts/0", &st)); /* looked at anew */
		EQ(st.st_uid, 1000);
		EQ(st.st_gid, 5);
		OK(setuid(1000));
		close(OK(open("/dev/pts/0", O_RDWR | O_NOCTTY)));
		ERR(fchown(fd, 0, -1), EPERM);
	}
	EQ(reap(pid), 0);
	close(master);
	gone(c);
}

/* Who is root inside puts something else where the name is: the terminal is the same. */
static void something_else_there(void)
{
	world();
	int c = spawn(), master = unlocked(open_control(c));
	pid_t pid;

	CFORKED(pid, c)
	{
		struct stat st;
		OK(mount("none", "/dev/pts", "tmpfs", 0, NULL));
		OK(mknod("/dev/pts/0", S_IFIFO | 0666, 0));
		int fd = OK(peer(master));
		OK(fstat(fd, &st));
		EQ(st.st_rdev, makedev(136, 0));
		EQ(isatty(fd), 1);
		char path[32];
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		int again =
			OK(open(path, O_RDWR | O_NOCTTY)); /* without a name it can be reopened */
		EQ(isatty(again), 1);
		close(again);
		close(fd);
		OK(unlink("/dev/pts/0"));
		OK(symlink("/dev/null", "/dev/pts/0"));
		fd = OK(peer(master));
		EQ(isatty(fd), 1);
	}
	EQ(reap(pid), 0);
	close(master);
	gone(c);
}

/* A terminal of the host's, handed in, is not mistaken for the container's of that number. */
static void of_somebody_else(void)
{
	world();
	int c = spawn(), master = unlocked(open_control(c)),
	    own = unlocked(open("/dev/ptmx", O_RDWR));
	char name[32], path[32];
	pid_t pid;

	snprintf(name, sizeof name, "/dev/pts/%d", number(own));
	int named = OK(open(name, O_RDWR | O_NOCTTY)), nameless;
	EQ(number(own), 0);
	STREQ(name_of(named), name);
	nameless = OK(peer(own));
	STREQ(name_of(nameless), name); /* here it has one, too */
	CFORKED(pid, c)
	{
		int fd = OK(peer(master));
		snprintf(path, sizeof path, "/proc/self/fd/%d", named);
		ERR(open(path, O_RDWR | O_NOCTTY), EIO);
		EQ(isatty(named), 1); /* what it was given works */
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		close(OK(open(path, O_RDWR | O_NOCTTY))); /* control */
	}
	EQ(reap(pid), 0);
	int inner = OK(peer(master)); /* nameless out here: nor is that the host's own */
	snprintf(path, sizeof path, "/proc/self/fd/%d", inner);
	ERR(open(path, O_RDWR | O_NOCTTY), EIO);
	close(inner);
	close(named);
	close(nameless);
	close(own);
	close(master);
	gone(c);
}

static const struct tap_case cases[] = {
	T(has_a_name_inside), T(only_from_outside),    T(numbers),
	T(who_pays),	      T(open_that_fails),      T(hangup),
	T(owner_of_the_name), T(something_else_there), T(of_somebody_else),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
