/* SPDX-License-Identifier: MIT */
/*
 * fd.c - descriptors: dup, fcntl, close_range, record locks and flock, eventfd.
 */
#include "fail_nth.h"
#include "scratch.h"
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#ifndef F_OFD_SETLK
#define F_OFD_GETLK  36
#define F_OFD_SETLK  37
#define F_OFD_SETLKW 38
#endif
#define CLOSE_RANGE(first, last, flags) syscall(SYS_close_range, first, last, flags)

/* In a child: exactly these of [3, 1100) are open. */
static void only_these(const int *fds, int n)
{
	for (int fd = 3, k = 0; fd < 1100; fd++) {
		bool open = k < n && fds[k] == fd;

		k += open;
		EQ(fcntl(fd, F_GETFD) >= 0 ? fd : -1, open ? fd : -1);
	}
}

/* Around each size that a table grows to: the lowest free one, a copy by fork, and what is left after. */
static void table_grows(void)
{
	const int around[] = { 18, 19, 20, 21, 62, 63, 64, 65, 127, 128, 1023 };
	int fd = OK(open("/dev/null", O_RDONLY)), fds[64], n = 0;

	fds[n++] = fd;
	for (unsigned i = 0; i < sizeof around / sizeof around[0]; i++) {
		fds[n] = OK(fcntl(fd, F_DUPFD, around[i]));
		EQ(fds[n++], around[i]);
		pid_t pid = OK(fork());
		if (!pid) {
			only_these(fds, n);
			EQ(dup(fd), fd + 1);
			_exit(0);
		}
		EQ(reap(pid), 0);
	}
	for (int i = fd + 1; i <= 22; i++) /* fills the holes up, and no further */
		if (i < 18 || i > 21)
			EQ(dup(fd), i);
	EQ(close(20), 0);
	EQ(dup(fd), 20);
	CLOSE_RANGE(fd, ~0u, 0);
	only_these(NULL, 0);
}

/* No memory for a larger table: ENOMEM, and all is as before. */
static void table_cannot_grow(void)
{
	fail_nth_required();
	int nth = fail_nth_open(), fd = OK(open("/dev/null", O_RDONLY));

	for (int to = 20; to <= 64; to += 44) { /* from the first to the second array, and beyond */
		fail_nth(nth, 1);
		ERR(dup2(fd, to), ENOMEM);
		fail_none(nth);
		ERR(fcntl(to, F_GETFD), EBADF);
		EQ(dup2(fd, to), to);
		EQ(close(to), 0);
	}
	CLOSE_RANGE(nth, ~0u, 0);
}

static void duplicates(void)
{
	int fd = OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
	struct rlimit l;

	int d = OK(dup(fd));
	EQ(fcntl(d, F_GETFD), 0);
	EQ(dup2(fd, 50), 50);
	EQ(fcntl(50, F_GETFD), 0);
	EQ(dup2(fd, fd), fd);
	EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EQ(dup3(fd, 51, O_CLOEXEC), 51);
	EQ(fcntl(51, F_GETFD), FD_CLOEXEC);
	ERR(dup3(fd, fd, 0), EINVAL);
	ERR(syscall(SYS_dup3, fd, 52, O_APPEND), EINVAL);
	ERR(dup(-1), EBADF);
	ERR(dup2(-1, 5), EBADF);
	ERR(dup2(99, 99), EBADF);
	ERR(dup2(fd, -1), EBADF);
	getrlimit(RLIMIT_NOFILE, &l);
	ERR(dup2(fd, l.rlim_cur), EBADF);
	ERR(dup3(fd, l.rlim_cur, 0), EBADF);
	EQ(fcntl(fd, F_DUPFD, 60), 60);
	EQ(fcntl(fd, F_DUPFD, 60), 61);
	EQ(fcntl(fd, F_DUPFD_CLOEXEC, 60), 62);
	EQ(fcntl(62, F_GETFD), FD_CLOEXEC);
	EQ(fcntl(61, F_GETFD), 0);
	ERR(fcntl(fd, F_DUPFD, -1), EINVAL);
	ERR(fcntl(fd, F_DUPFD, l.rlim_cur), EINVAL);
	ERR(fcntl(-1, F_DUPFD, 0), EBADF);
	ERR(fcntl(fd, 9999, 0), EINVAL);
	EQ(CLOSE_RANGE(50, 70, 0), 0);
	close(d);
	close(fd);
}

static void close_range_call(void)
{
	int fd = OK(open("/dev/null", O_RDONLY));
	pid_t pid;

	for (int i = 100; i < 110; i++)
		dup2(fd, i);
	OK(CLOSE_RANGE(102, 103, 0));
	EQ(fcntl(101, F_GETFD), 0);
	ERR(fcntl(102, F_GETFD), EBADF);
	ERR(fcntl(103, F_GETFD), EBADF);
	EQ(fcntl(104, F_GETFD), 0);
	OK(CLOSE_RANGE(104, 105, 4)); /* CLOSE_RANGE_CLOEXEC */
	EQ(fcntl(104, F_GETFD), FD_CLOEXEC);
	EQ(fcntl(106, F_GETFD), 0);
	ERR(CLOSE_RANGE(105, 104, 0), EINVAL);
	ERR(CLOSE_RANGE(105, 106, 8), EINVAL);
	OK(CLOSE_RANGE(100, 109, 0));
	FORKED(pid)
	{
		dup2(fd, 109);
		OK(CLOSE_RANGE(100, ~0U, 0));
		ERR(fcntl(109, F_GETFD), EBADF);
		dup2(fd, 120);
		OK(CLOSE_RANGE(3, ~0U, 2)); /* CLOSE_RANGE_UNSHARE */
		ERR(fcntl(120, F_GETFD), EBADF);
	}
	EQ(reap(pid), 0);
	close(fd);
}

static void limits(void)
{
	struct rlimit old, l;
	int fd = OK(open("/dev/null", O_RDONLY));

	getrlimit(RLIMIT_NOFILE, &old);
	l = old;
	l.rlim_cur = fd + 3;
	OK(setrlimit(RLIMIT_NOFILE, &l));
	int a = OK(dup(fd)), b = OK(dup(fd)), p[2];
	ERR(dup(fd), EMFILE);
	ERR(open("/", O_RDONLY), EMFILE);
	ERR(pipe(p), EMFILE);
	ERR(fcntl(fd, F_DUPFD, 0), EMFILE);
	close(b);
	ERR(pipe(p), EMFILE); /* two are needed; none is left taken */
	b = OK(dup(fd));
	close(a);
	close(b);
	OK(setrlimit(RLIMIT_NOFILE, &old));
	close(fd);
}

/* The type another process sees when it asks for a lock: F_UNLCK if it could have it. */
static int seen_by_other(int fd, off_t start, off_t len, int type, pid_t *holder)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
	pid_t pid;

	FORKED(pid)
	{
		fcntl(fd, F_GETLK, &l);
		WORD(10) = l.l_type;
		WORD(11) = l.l_pid;
		WORD(12) = l.l_start;
		WORD(13) = l.l_len;
	}
	reap(pid);
	if (holder)
		*holder = WORD(11);
	return WORD(10);
}

static int lock(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, cmd, &l);
}

static void record_locks(void)
{
	pid_t holder, pid;

	scratch();
	put("f", "0123456789", 0644);
	int fd = OK(open("f", O_RDWR)), reading = OK(open("f", O_RDONLY));
	OK(lock(fd, F_SETLK, F_WRLCK, 10, 10));
	EQ(seen_by_other(fd, 0, 10, F_WRLCK, NULL), F_UNLCK);
	EQ(seen_by_other(fd, 0, 11, F_WRLCK, &holder), F_WRLCK);
	EQ(holder, getpid());
	EQ(WORD(12), 10);
	EQ(WORD(13), 10);
	EQ(seen_by_other(fd, 20, 0, F_RDLCK, NULL), F_UNLCK);
	/* split, change, merge */
	OK(lock(fd, F_SETLK, F_UNLCK, 13, 4));
	EQ(seen_by_other(fd, 13, 4, F_WRLCK, NULL), F_UNLCK);
	EQ(seen_by_other(fd, 12, 1, F_WRLCK, NULL), F_WRLCK);
	EQ(WORD(13), 3);
	OK(lock(fd, F_SETLK, F_RDLCK, 10, 10));
	EQ(seen_by_other(fd, 0, 0, F_RDLCK, NULL), F_UNLCK);
	EQ(seen_by_other(fd, 0, 0, F_WRLCK, NULL), F_RDLCK);
	EQ(WORD(12), 10);
	EQ(WORD(13), 10);
	OK(lock(fd, F_SETLK, F_WRLCK, 5, 0)); /* to the end, wherever that is */
	EQ(seen_by_other(fd, 1L << 40, 1, F_RDLCK, NULL), F_WRLCK);
	EQ(WORD(12), 5);
	EQ(WORD(13), 0);
	FORKED(pid)
	{
		ERR(lock(fd, F_SETLK, F_RDLCK, 6, 1), EAGAIN);
		OK(lock(fd, F_SETLK, F_WRLCK, 0, 5));
	}
	EQ(reap(pid), 0);
	/* whence, negative length, errors */
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 0, .l_len = -3 };
	OK(fcntl(fd, F_SETLK, &l));
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = -3 };
	ERR(fcntl(fd, F_SETLK, &l), EINVAL);
	l.l_start = -1, l.l_len = 1;
	ERR(fcntl(fd, F_SETLK, &l), EINVAL);
	l = (struct flock){ .l_type = 9, .l_whence = SEEK_SET };
	ERR(fcntl(fd, F_SETLK, &l), EINVAL);
	l = (struct flock){ .l_type = F_RDLCK, .l_whence = 9 };
	ERR(fcntl(fd, F_SETLK, &l), EINVAL);
	ERR(fcntl(fd, F_SETLK, 8), EFAULT);
	ERR(lock(reading, F_SETLK, F_WRLCK, 0, 1), EBADF);
	/* closing any descriptor of the file drops them all */
	EQ(seen_by_other(fd, 5, 1, F_RDLCK, NULL), F_WRLCK);
	close(reading);
	EQ(seen_by_other(fd, 0, 0, F_WRLCK, NULL), F_UNLCK);
	close(fd);
}

static void waiting_for_locks(void)
{
	pid_t a, b;

	scratch();
	put("f", "", 0644);
	int fd = OK(open("f", O_RDWR));
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	FORKED(a)
	{
		OK(lock(fd, F_SETLK, F_WRLCK, 1, 1));
		WORD(0) = 1;
		OK(lock(fd, F_SETLKW, F_WRLCK, 0, 1));
		WORD(1) = 1;
	}
	AWAIT(WORD(0));
	await_asleep(a);
	EQ(WORD(1), 0);
	ERR(lock(fd, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 1));
	EQ(reap(a), 0);
	EQ(WORD(1), 1);
	/* the end of a process drops its locks */
	FORKED(a)
	{
		OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
		WORD(2) = 1;
		for (;;)
			pause();
	}
	AWAIT(WORD(2));
	FORKED(b) OK(lock(fd, F_SETLKW, F_WRLCK, 0, 0));
	await_asleep(b);
	kill(a, SIGKILL);
	reap(a);
	EQ(reap(b), 0);
	close(fd);
}

static void open_file_locks(void)
{
	scratch();
	put("f", "", 0644);
	int a = OK(open("f", O_RDWR)), b = OK(open("f", O_RDWR)), c;
	if (lock(a, F_OFD_SETLK, F_WRLCK, 0, 5) < 0 && errno == EINVAL) {
		close(a);
		close(b);
		SKIP("no open file description locks");
	}
	ERR(lock(b, F_OFD_SETLK, F_WRLCK, 4, 5), EAGAIN);
	ERR(lock(b, F_SETLK, F_WRLCK, 4, 5), EAGAIN); /* also against the other kind */
	OK(lock(b, F_OFD_SETLK, F_WRLCK, 5, 5));
	c = dup(a);
	close(a);
	ERR(lock(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
	close(c);
	OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 1));
	struct flock l = { .l_type = F_RDLCK, .l_pid = 1 };
	ERR(fcntl(b, F_OFD_SETLK, &l), EINVAL);
	close(b);
}

static void whole_file_locks(void)
{
	pid_t pid;

	scratch();
	put("f", "", 0644);
	int a = OK(open("f", O_RDONLY)), b = OK(open("f", O_RDONLY));
	OK(flock(a, LOCK_SH));
	OK(flock(b, LOCK_SH | LOCK_NB));
	ERR(flock(a, LOCK_EX | LOCK_NB), EAGAIN);
	OK(flock(b, LOCK_UN));
	OK(flock(a, LOCK_EX | LOCK_NB));
	ERR(flock(b, LOCK_SH | LOCK_NB), EAGAIN);
	/* it belongs to the open file: a child holds it too */
	FORKED(pid)
	{
		OK(flock(a, LOCK_EX | LOCK_NB));
		ERR(flock(b, LOCK_EX | LOCK_NB), EAGAIN);
		close(a);
		ERR(flock(b, LOCK_EX | LOCK_NB), EAGAIN);
	}
	EQ(reap(pid), 0);
	FORKED(pid)
	{
		close(a);
		OK(flock(b, LOCK_EX));
		WORD(0)++;
	}
	await_asleep(pid);
	EQ(WORD(0), 0);
	close(a);
	EQ(reap(pid), 0);
	EQ(WORD(0), 1);
	ERR(flock(b, 0), EINVAL);
	ERR(flock(b, LOCK_SH | LOCK_EX), EINVAL);
	ERR(flock(-1, LOCK_SH), EBADF);
	close(b);
}

static void event_counter(void)
{
	uint64_t v;
	pid_t pid;
	int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0 && errno == ENOSYS)
		SKIP("no eventfd");
	EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EQ(read(fd, &v, 8), 8);
	EQ(v, 3);
	ERR(read(fd, &v, 8), EAGAIN);
	ERR(read(fd, &v, 7), EINVAL);
	v = 5;
	EQ(write(fd, &v, 8), 8);
	EQ(write(fd, &v, 8), 8);
	EQ(read(fd, &v, 8), 8);
	EQ(v, 10);
	v = UINT64_MAX;
	ERR(write(fd, &v, 8), EINVAL);
	v = UINT64_MAX - 1;
	EQ(write(fd, &v, 8), 8);
	v = 1;
	ERR(write(fd, &v, 8), EAGAIN);
	close(fd);
	fd = OK(eventfd(0, EFD_SEMAPHORE));
	v = 2;
	EQ(write(fd, &v, 8), 8);
	EQ(read(fd, &v, 8), 8);
	EQ(v, 1);
	EQ(read(fd, &v, 8), 8);
	FORKED(pid)
	{
		sleep_ms(30);
		v = 1;
		write(fd, &v, 8);
	}
	EQ(read(fd, &v, 8), 8);
	EQ(reap(pid), 0);
	ERR(syscall(SYS_eventfd2, 0, 4), EINVAL);
	close(fd);
}

static void ioctls_of_all(void)
{
	scratch();
	put("f", "12345", 0644);
	int fd = OK(open("f", O_RDWR)), n = 1, p[2];
	OK(ioctl(fd, FIOCLEX));
	EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	OK(ioctl(fd, FIONCLEX));
	EQ(fcntl(fd, F_GETFD), 0);
	OK(ioctl(fd, FIONBIO, &n));
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	OK(ioctl(fd, FIONREAD, &n));
	EQ(n, 5);
	ERR(ioctl(fd, TIOCGWINSZ, &n), ENOTTY);
	ERR(ioctl(fd, 0x12345678, &n), ENOTTY);
	ERR(ioctl(-1, FIONREAD, &n), EBADF);
	OK(pipe(p));
	write(p[1], "abc", 3);
	OK(ioctl(p[0], FIONREAD, &n));
	EQ(n, 3);
	ERR(ioctl(p[0], FIONREAD, (int *)8), EFAULT);
	close(p[0]);
	close(p[1]);
	close(fd);
}

static const struct tap_case cases[] = {
	T(table_grows),	  T(table_cannot_grow), T(duplicates),	      T(close_range_call),
	T(limits),	  T(record_locks),	T(waiting_for_locks), T(open_file_locks),
	T(event_counter), T(whole_file_locks),	T(ioctls_of_all),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
