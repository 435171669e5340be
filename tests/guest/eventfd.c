/* SPDX-License-Identifier: MIT */
/*
 * eventfd.c - eventfd between processes: who waits is woken, poll, semaphores, the limit, signals.
 */
#include "scratch.h"
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

static void add(int fd, uint64_t n)
{
	EQ(write(fd, &n, sizeof n), sizeof n);
}

static uint64_t take(int fd)
{
	uint64_t n = 0;

	EQ(read(fd, &n, sizeof n), sizeof n);
	return n;
}

static int events_of(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

static void limits(void)
{
	uint64_t most = UINT64_MAX - 1, n = 1;
	int fd = OK(eventfd(0, EFD_NONBLOCK));

	EQ(events_of(fd), POLLOUT);
	ERR(read(fd, &n, sizeof n), EAGAIN);
	add(fd, 0);
	ERR(read(fd, &n, sizeof n), EAGAIN); /* 0 is nothing */
	add(fd, most);
	EQ(events_of(fd), POLLIN);
	ERR(write(fd, &n, sizeof n), EAGAIN);
	add(fd, 0);
	EQ(take(fd), most);
	n = UINT64_MAX;
	ERR(write(fd, &n, sizeof n), EINVAL);
	ERR(write(fd, &n, 7), EINVAL);
	ERR(read(fd, &n, 7), EINVAL);
	ERR(write(fd, (void *)8, 8), EFAULT);
	ERR(pread(fd, &n, 8, 0), ESPIPE);
	add(fd, 5);
	char big[16];
	EQ(read(fd, big, sizeof big), 8);
	close(fd);
	fd = OK(eventfd(UINT_MAX, EFD_CLOEXEC));
	EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	EQ(take(fd), UINT_MAX);
	close(fd);
	ERR(eventfd(0, 8), EINVAL);
	ERR(eventfd(0, O_APPEND), EINVAL);
}

static void waiting(void)
{
	pid_t pid;
	int fd = OK(eventfd(0, 0)), back = OK(eventfd(0, 0));

	FORKED(pid)
	{
		for (int i = 0; i < 200; i++)
			add(back, take(fd) + 1);
	}
	for (int i = 0; i < 200; i++) {
		add(fd, i + 1);
		EQ(take(back), i + 2);
	}
	EQ(reap(pid), 0);
	/* a writer that waits for room */
	add(fd, UINT64_MAX - 1);
	FORKED(pid) add(fd, 7);
	usleep(50000);
	EQ(take(fd), UINT64_MAX - 1);
	EQ(reap(pid), 0);
	EQ(take(fd), 7);
	/* poll */
	FORKED(pid)
	{
		usleep(50000);
		add(fd, 1);
	}
	struct pollfd p = { fd, POLLIN, 0 };
	EQ(poll(&p, 1, 5000), 1);
	EQ(p.revents, POLLIN);
	EQ(reap(pid), 0);
	close(fd);
	close(back);
}

static void semaphore(void)
{
	enum { TAKERS = 4 };
	pid_t pid[TAKERS];
	int fd = OK(eventfd(0, EFD_SEMAPHORE));

	for (int i = 0; i < TAKERS; i++)
		FORKED(pid[i])
		{
			for (int k = 0; k < 25; k++)
				EQ(take(fd), 1);
		}
	for (int i = 0; i < 10; i++)
		add(fd, 10);
	for (int i = 0; i < TAKERS; i++)
		EQ(reap(pid[i]), 0);
	EQ(events_of(fd), POLLOUT);
	close(fd);
}

static void handler(int sig)
{
	WORD(1) = sig;
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = handler };
	uint64_t n;
	int fd = OK(eventfd(0, 0));

	sigaction(SIGALRM, &sa, NULL);
	ualarm(50000, 0);
	ERR(read(fd, &n, sizeof n), EINTR);
	EQ(WORD(1), SIGALRM);
	close(fd);
}

static void gathered(void)
{
	uint64_t n = 9, m = 0;
	struct iovec halves[] = { { &m, 4 }, { (char *)&m + 4, 4 } };
	int fd = OK(eventfd(0, EFD_NONBLOCK));

	EQ(writev(fd, &(struct iovec){ &n, 8 }, 1), 8);
	EQ(readv(fd, halves, 2), 8);
	EQ(m, 9);
	close(fd);
}

static const struct tap_case cases[] = {
	T(limits), T(waiting), T(semaphore), T(interrupted), T(gathered),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
