/* SPDX-License-Identifier: MIT */
/*
 * unix_passing.c - descriptors and credentials that are passed through AF_UNIX stream sockets; also
 * sockets that are passed through themselves and each other.
 */
#include "scratch.h"
#include "sockets.h"
#include <poll.h>

static void passing_descriptors(void)
{
	int sv[2], got[4], flags = MSG_CMSG_CLOEXEC, p[2];
	char buffer[100];
	pid_t pid;

	scratch();
	put("f", "content", 0644);
	pair(sv);
	FORKED(pid)
	{
		int fds[2] = { open("f", O_RDONLY), open("/dev/null", O_WRONLY) };
		lseek(fds[0], 3, SEEK_SET);
		EQ(send_with(sv[1], SCM_RIGHTS, fds, sizeof fds), 1);
	}
	EQ(receive_with(sv[0], SCM_RIGHTS, got, 8, &flags), 8);
	EQ(reap(pid), 0);
	EQ(read(got[0], buffer, sizeof buffer), 4); /* the same open file, with its offset */
	EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	close(got[0]);
	close(got[1]);
	/* no room: the rest is closed, and MSG_CTRUNC says so */
	OK(pipe(p));
	EQ(send_with(sv[1], SCM_RIGHTS, p, 8), 1);
	flags = 0;
	EQ(receive_with(sv[0], SCM_RIGHTS, got, 4, &flags), 8);
	close(got[0]);
	close(got[1]); /* CMSG_SPACE(4) has room for two */
	EQ(send_with(sv[1], SCM_RIGHTS, p, 8), 1);
	EQ(read(sv[0], buffer, 1), 1); /* taken without control data: dropped */
	close(p[1]);
	struct pollfd f = { p[0], POLLIN, 0 };
	AWAIT(poll(&f, 1, 0) == 1);
	EQ(f.revents, POLLHUP); /* no copy is left */
	close(p[0]);
	/* in flight when both ends go: closed too */
	OK(pipe(p));
	EQ(send_with(sv[1], SCM_RIGHTS, p, 8), 1);
	close(p[1]);
	close2(sv);
	f.fd = p[0];
	AWAIT(poll(&f, 1, 0) == 1);
	close(p[0]);
	pair(sv);
	int bad = 99;
	ERR(send_with(sv[0], SCM_RIGHTS, &bad, 4), EBADF);
	/* a socket in itself: collected, or the leak counters tell */
	if (on_skerry()) /* a socket does not travel through itself (doc/abi.md) */
		ERR(send_with(sv[0], SCM_RIGHTS, sv, 8), ETOOMANYREFS);
	else
		EQ(send_with(sv[0], SCM_RIGHTS, sv, 8), 1);
	close2(sv);
}

static void credentials(void)
{
	struct ucred u, own = { getpid(), getuid(), getgid() };
	socklen_t n = sizeof u;
	int sv[2], one = 1, flags = 0;
	pid_t pid;

	pair(sv);
	OK(getsockopt(sv[0], SOL_SOCKET, SO_PEERCRED, &u, &n));
	EQ(u.pid, getpid());
	EQ(u.uid, getuid());
	OK(setsockopt(sv[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
	FORKED(pid)
	{
		struct ucred mine = { getpid(), 1000, 1000 };
		REQUIRE(setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
		EQ(write(sv[1], "x", 1), 1);
		EQ(send_with(sv[1], SCM_CREDENTIALS, &mine, sizeof mine), 1);
		mine.uid = 0;
		ERR(send_with(sv[1], SCM_CREDENTIALS, &mine, sizeof mine), EPERM);
	}
	for (int i = 0; i < 2; i++) {
		flags = 0;
		EQ(receive_with(sv[0], SCM_CREDENTIALS, &u, sizeof u, &flags), sizeof u);
		EQ(u.pid, pid);
		EQ(u.uid, 1000);
		EQ(u.gid, 1000);
	}
	EQ(reap(pid), 0);
	own.uid = 1234; /* root may say what it likes */
	EQ(send_with(sv[1], SCM_CREDENTIALS, &own, sizeof own), 1);
	flags = 0;
	EQ(receive_with(sv[0], SCM_CREDENTIALS, &u, sizeof u, &flags), sizeof u);
	EQ(u.uid, 1234);
	close2(sv);
}

/* Two that are sent into each other at the same moment: one is refused, or nobody could free them.
 */
static void circles(void)
{
	for (int round = 0; round < 300; round++) {
		int a[2], b[2];
		pid_t pid[2];

		pair(a);
		pair(b);
		WORD(0) = 0;
		for (int i = 0; i < 2; i++) {
			FORKED(pid[i])
			{
				__atomic_add_fetch(&WORD(0), 1, __ATOMIC_SEQ_CST);
				while (WORD(0) < 2)
					;
				send_with(i ? a[1] : b[1], SCM_RIGHTS, i ? b : a, 4);
			}
		}
		close2(a);
		close2(b);
		EQ(reap(pid[0]), 0);
		EQ(reap(pid[1]), 0);
	}
	/* a long chain is no circle, and falls in one go */
	int end = -1, last = -1;
	for (int i = 0; i < 3000; i++) {
		int sv[2];

		pair(sv);
		if (end >= 0) {
			EQ(send_with(last, SCM_RIGHTS, sv, 4), 1);
			close(sv[0]);
			close(last);
		} else {
			end = sv[0];
		}
		last = sv[1];
	}
	close(last);
	close(end);
}

static const struct tap_case cases[] = {
	T(passing_descriptors),
	T(credentials),
	T(circles),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
