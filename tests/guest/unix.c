/* SPDX-License-Identifier: MIT */
/*
 * unix.c - AF_UNIX stream sockets: pairs, names in the filesystem and abstract ones, connections,
 * shutdown, options, poll. Passing of descriptors and credentials: unix_passing.c.
 */
#include "scratch.h"
#include "sockets.h"
#include <sched.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static char buffer[1 << 18];

static socklen_t name_address(struct sockaddr_un *a, const char *name)
{
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	size_t n = name[0] == '@' ? strlen(name) : strlen(name) + 1;
	memcpy(a->sun_path, name, n);
	if (name[0] == '@')
		a->sun_path[0] = 0;
	return offsetof(struct sockaddr_un, sun_path) + n;
}

static int bind_to(int fd, const char *name)
{
	struct sockaddr_un a;
	socklen_t n = name_address(&a, name);

	return bind(fd, (struct sockaddr *)&a, n);
}

static int connect_to(int fd, const char *name)
{
	struct sockaddr_un a;
	socklen_t n = name_address(&a, name);

	return connect(fd, (struct sockaddr *)&a, n);
}

static int stream(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	REQUIRE(fd >= 0);
	return fd;
}

static void creation(void)
{
	int sv[2];

	ERR(socket(AF_UNIX, 99, 0), EINVAL);
	ERR(socket(AF_UNIX, 4, 0), ESOCKTNOSUPPORT);
	ERR(socket(AF_UNIX, SOCK_STREAM, 5), EPROTONOSUPPORT);
	ERR(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT);
	ERR(socket(AF_UNIX, SOCK_STREAM | 0x40000, 0), EINVAL);
	ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)8), EFAULT);
	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv));
	EQ(fcntl(sv[0], F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(sv[1], F_GETFL) & O_NONBLOCK);
	ERR(read(sv[0], buffer, 1), EAGAIN);
	struct stat st;
	OK(fstat(sv[0], &st));
	CHECK(S_ISSOCK(st.st_mode));
	ERR(lseek(sv[0], 0, SEEK_SET), ESPIPE);
	close2(sv);
	ERR(bind_to(1, "x"), ENOTSOCK);
	ERR(listen(-1, 1), EBADF);
}

static void pairs(void)
{
	int sv[2];

	pair(sv);
	EQ(write(sv[0], "to one", 6), 6);
	EQ(write(sv[1], "to zero", 7), 7);
	EQ(read(sv[1], buffer, 100), 6);
	EQ(read(sv[0], buffer, 100), 7);
	EQ(send(sv[0], "abcdef", 6, 0), 6);
	EQ(recv(sv[1], buffer, 3, MSG_PEEK), 3);
	EQ(recv(sv[1], buffer, 4, 0), 4);
	CHECK(!memcmp(buffer, "abcd", 4));
	EQ(send(sv[0], "gh", 2, 0), 2);
	EQ(recv(sv[1], buffer, 100, 0), 4); /* a stream: no borders */
	ERR(recv(sv[1], buffer, 1, MSG_DONTWAIT), EAGAIN);
	struct iovec v[2] = { { "12", 2 }, { "345", 3 } };
	EQ(writev(sv[0], v, 2), 5);
	int n;
	OK(ioctl(sv[1], FIONREAD, &n));
	EQ(n, 5);
	EQ(recv(sv[1], buffer, 5, MSG_WAITALL), 5);
	pid_t pid;
	FORKED(pid)
	{
		for (int i = 0; i < 10; i++) {
			write(sv[0], "x", 1);
			sleep_ms(3);
		}
	}
	EQ(recv(sv[1], buffer, 10, MSG_WAITALL), 10);
	EQ(reap(pid), 0);
	EQ(write(sv[0], "last", 4), 4);
	close(sv[0]);
	EQ(read(sv[1], buffer, 100), 4);
	EQ(read(sv[1], buffer, 100), 0);
	signal(SIGPIPE, SIG_IGN);
	ERR(write(sv[1], "x", 1), EPIPE);
	close(sv[1]);
	/* what was not read is a reset for the other side */
	pair(sv);
	write(sv[0], "unread", 6);
	close(sv[1]);
	ERR(read(sv[0], buffer, 1), ECONNRESET);
	EQ(read(sv[0], buffer, 1), 0);
	close(sv[0]);
}

static void sigpipe(void)
{
	int sv[2];
	pid_t pid;

	pair(sv);
	close(sv[1]);
	FORKED(pid)
	{
		write(sv[0], "x", 1);
	}
	EQ(reap(pid), 128 + SIGPIPE);
	ERR(send(sv[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(sv[0]);
}

/* Binds and listens with l, and makes a connection; all that its two ends say of themselves. */
static void connection(int l, const char *name)
{
	struct sockaddr_un a, b;
	socklen_t n;

	OK(bind_to(l, name));
	ERR(bind_to(l, name[0] == '@' ? "@tap other" : "other"), EINVAL); /* it has a name */
	int c = stream();
	ERR(connect_to(c, name), ECONNREFUSED); /* nobody listens yet */
	ERR(accept(l, NULL, NULL), EINVAL);
	OK(listen(l, 5));
	int twice = stream();
	ERR(bind_to(twice, name), EADDRINUSE);
	close(twice);
	OK(connect_to(c, name));
	ERR(connect_to(c, name), EISCONN);
	EQ(write(c, "early", 5), 5); /* before it is accepted */
	n = sizeof a;
	int s = OK(accept4(l, (struct sockaddr *)&a, &n, SOCK_CLOEXEC | SOCK_NONBLOCK));
	EQ(n, 2); /* the client has no name */
	EQ(a.sun_family, AF_UNIX);
	EQ(fcntl(s, F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(s, F_GETFL) & O_NONBLOCK);
	EQ(read(s, buffer, 100), 5);
	EQ(write(s, "back", 4), 4);
	EQ(read(c, buffer, 100), 4);
	n = sizeof a;
	OK(getsockname(s, (struct sockaddr *)&a, &n));
	EQ(n, name_address(&b, name));
	CHECK(!memcmp(&a, &b, n));
	n = sizeof a;
	OK(getpeername(c, (struct sockaddr *)&a, &n));
	EQ(n, name_address(&b, name));
	n = sizeof a;
	OK(getsockname(c, (struct sockaddr *)&a, &n));
	EQ(n, 2);
	ERR(getpeername(l, (struct sockaddr *)&a, &n), ENOTCONN);
	ERR(accept(s, NULL, NULL), EINVAL);
	ERR(listen(c, 1), EINVAL);
	ERR(syscall(SYS_accept4, l, NULL, NULL, 1), EINVAL);
	close(s);
	close(c);
}

static void accept_waits(int l, const char *name)
{
	pid_t pid;

	FORKED(pid)
	{
		sleep_ms(30);
		int mine = stream();
		OK(connect_to(mine, name));
		EQ(write(mine, "hi", 2), 2);
		EQ(read(mine, buffer, 10), 0);
	}
	int s = OK(accept(l, NULL, NULL));
	EQ(read(s, buffer, 100), 2);
	close(s);
	EQ(reap(pid), 0);
	OK(fcntl(l, F_SETFL, O_NONBLOCK));
	ERR(accept(l, NULL, NULL), EAGAIN);
}

/* Those who were not accepted are cut off. */
static void listener_closes(int l, const char *name)
{
	int c = stream();

	OK(connect_to(c, name));
	close(l);
	int n = read(c, buffer, 1);
	CHECK(n == 0 || (n == -1 && errno == ECONNRESET));
	close(c);
	c = stream();
	ERR(connect_to(c, name), ECONNREFUSED);
	close(c);
}

static void connections(const char *name)
{
	int l = stream();

	connection(l, name);
	accept_waits(l, name);
	listener_closes(l, name);
}

static void named(void)
{
	struct stat st;

	scratch();
	umask(027);
	connections("sock");
	umask(022);
	OK(lstat("sock", &st));
	EQ(st.st_mode, S_IFSOCK | 0750);
	ERR(open("sock", O_RDWR), ENXIO);
	int fd = stream();
	ERR(bind_to(fd, "sock"), EADDRINUSE); /* the name stays until it is removed */
	ERR(connect_to(fd, "none"), ENOENT);
	put("file", "", 0644);
	ERR(connect_to(fd, "file"), ECONNREFUSED);
	ERR(bind_to(fd, "none/sock"), ENOENT);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	ERR(bind(fd, (struct sockaddr *)&a, 200), EINVAL);
	ERR(bind(fd, (struct sockaddr *)8, 10), EFAULT);
	ERR(connect(fd, (struct sockaddr *)&a, 1), EINVAL);
	a.sun_family = 99;
	ERR(connect(fd, (struct sockaddr *)&a, 10), EINVAL);
	OK(unlink("sock"));
	OK(bind_to(fd, "sock"));
	OK(listen(fd, 1));
	OK(rename("sock", "moved"));
	int c = stream();
	OK(connect_to(c, "moved")); /* by the inode, not by the name */
	close(c);
	close(fd);
	/* permission to write to the node is permission to connect */
	fd = stream();
	OK(bind_to(fd, "private"));
	OK(listen(fd, 5));
	OK(chmod("private", 0700));
	pid_t pid;
	FORKED(pid)
	{
		become(1000, 1000);
		int mine = stream();
		ERR(connect_to(mine, "private"), EACCES);
	}
	EQ(reap(pid), 0);
	close(fd);
}

static void abstract(void)
{
	connections("@tap abstract");
	/* the name goes with the socket */
	int fd = stream();
	OK(bind_to(fd, "@tap abstract"));
	close(fd);
	/* autobind: five hexadecimal digits */
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t n = sizeof a;
	fd = stream();
	OK(bind(fd, (struct sockaddr *)&a, 2));
	OK(getsockname(fd, (struct sockaddr *)&a, &n));
	EQ(n, 2 + 6);
	EQ(a.sun_path[0], 0);
	close(fd);
}

static void backlog(void)
{
	int l = stream(), c[20], full = -1;

	OK(bind_to(l, "@tap backlog"));
	OK(listen(l, 2));
	for (int i = 0; i < 20; i++) {
		c[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect_to(c[i], "@tap backlog") < 0 && full < 0) {
			EQ(errno, EAGAIN);
			full = i;
		}
	}
	EQ(full, 3);
	/* a blocking connect waits for a place */
	pid_t pid;
	FORKED(pid)
	{
		int mine = stream();
		OK(connect_to(mine, "@tap backlog"));
		WORD(0) = 1;
	}
	await_asleep(pid);
	EQ(WORD(0), 0);
	close(OK(accept(l, NULL, NULL)));
	EQ(reap(pid), 0);
	EQ(WORD(0), 1);
	close(l);
	for (int i = 0; i < 20; i++)
		close(c[i]);
}

static void shutting_down(void)
{
	int sv[2];
	struct pollfd f;

	signal(SIGPIPE, SIG_IGN);
	pair(sv);
	write(sv[0], "abc", 3);
	OK(shutdown(sv[0], SHUT_WR));
	ERR(write(sv[0], "x", 1), EPIPE);
	EQ(read(sv[1], buffer, 10), 3);
	EQ(read(sv[1], buffer, 10), 0);
	EQ(write(sv[1], "still", 5), 5);
	EQ(read(sv[0], buffer, 10), 5);
	f = (struct pollfd){ sv[1], POLLIN | POLLRDHUP, 0 };
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLIN | POLLRDHUP);
	OK(shutdown(sv[0], SHUT_RD));
	ERR(write(sv[1], "x", 1), EPIPE);
	EQ(read(sv[0], buffer, 1), 0);
	f = (struct pollfd){ sv[0], POLLIN, 0 };
	EQ(poll(&f, 1, 0), 1);
	CHECK(f.revents & POLLHUP);
	ERR(shutdown(sv[0], 9), EINVAL);
	close2(sv);
	int fd = stream();
	ERR(write(fd, "x", 1), ENOTCONN);
	ERR(read(fd, buffer, 1), EINVAL);
	close(fd);
}

static void options(void)
{
	int sv[2], v;
	socklen_t n = sizeof v;
	struct timeval t = { 0, 50000 }, back;

	pair(sv);
	OK(getsockopt(sv[0], SOL_SOCKET, SO_TYPE, &v, &n));
	EQ(v, SOCK_STREAM);
	OK(getsockopt(sv[0], SOL_SOCKET, SO_DOMAIN, &v, &n));
	EQ(v, AF_UNIX);
	OK(getsockopt(sv[0], SOL_SOCKET, SO_ERROR, &v, &n));
	EQ(v, 0);
	OK(getsockopt(sv[0], SOL_SOCKET, SO_ACCEPTCONN, &v, &n));
	EQ(v, 0);
	OK(getsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &v, &n));
	CHECK(v > 4096);
	v = 20000;
	OK(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof v));
	OK(getsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &v, &n));
	EQ(v, 40000); /* Linux doubles it */
	OK(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	n = sizeof back;
	OK(getsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &back, &n));
	EQ(back.tv_sec, 0);
	CHECK(back.tv_usec >= 50000 && back.tv_usec <= 54000); /* in jiffies */
	long long start = now_ms();
	ERR(read(sv[0], buffer, 1), EAGAIN);
	CHECK(now_ms() - start >= 49);
	OK(setsockopt(sv[0], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t));
	start = now_ms();
	ssize_t sent = write(sv[0], buffer, sizeof buffer);
	CHECK(sent > 0 && sent < (ssize_t)sizeof buffer);
	ERR(write(sv[0], buffer, 10000), EAGAIN);
	v = 1;
	ERR(setsockopt(sv[0], SOL_SOCKET, 9999, &v, sizeof v), ENOPROTOOPT);
	ERR(getsockopt(sv[0], SOL_SOCKET, 9999, &v, &n), ENOPROTOOPT);
	ERR(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &v, 1), EINVAL);
	ERR(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, (void *)8, 4), EFAULT);
	ERR(setsockopt(sv[0], 6, 1, &v, sizeof v), EOPNOTSUPP);
	ERR(setsockopt(sv[0], SOL_SOCKET, SO_TYPE, &v, sizeof v), ENOPROTOOPT);
	close2(sv);
}

static void polling(void)
{
	int l = stream(), c = stream(), sv[2];
	struct pollfd f = { l, POLLIN | POLLOUT, 0 };

	OK(bind_to(l, "@tap poll"));
	OK(listen(l, 5));
	EQ(poll(&f, 1, 0), 0);
	OK(connect_to(c, "@tap poll"));
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLIN);
	int s = OK(accept(l, NULL, NULL));
	f.fd = s;
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLOUT);
	write(c, "x", 1);
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLIN | POLLOUT);
	read(s, buffer, 1);
	close(c);
	f.events |= POLLRDHUP;
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	close(s);
	close(l);
	/* a full buffer, and a reader that makes room */
	pair(sv);
	OK(fcntl(sv[0], F_SETFL, O_NONBLOCK));
	while (write(sv[0], buffer, 4096) > 0)
		;
	EQ(errno, EAGAIN);
	f = (struct pollfd){ sv[0], POLLOUT, 0 };
	EQ(poll(&f, 1, 0), 0);
	pid_t pid;
	FORKED(pid)
	{
		sleep_ms(20);
		for (long total = 0; total < 1 << 20;) {
			ssize_t n = recv(sv[1], buffer, sizeof buffer, MSG_DONTWAIT);
			if (n <= 0)
				break;
			total += n;
		}
	}
	EQ(poll(&f, 1, 20000), 1);
	EQ(reap(pid), 0);
	f = (struct pollfd){ stream(), POLLIN | POLLOUT, 0 };
	EQ(poll(&f, 1, 0), 1);
	EQ(f.revents, POLLOUT | POLLHUP);
	close(f.fd);
	close2(sv);
}

/* Who waits behind another reader or writer of the same socket can be killed. */
static void killed_in_line(void)
{
	static char page[4096];
	int s[2];
	pid_t first, second;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	for (int way = 0; way < 2; way++) {
		for (int i = 0; i < 2; i++) {
			pid_t pid;
			FORKED(pid)
			{
				while (way == 0 && read(s[0], page, 1) == 1)
					;
				while (way == 1 && write(s[0], page, sizeof page) > 0)
					;
			}
			*(i ? &second : &first) = pid;
			await_asleep(pid);
		}
		kill(second, SIGKILL);
		EQ(reap(second), 137);
		kill(first, SIGKILL);
		EQ(reap(first), 137);
	}
	close(s[0]);
	close(s[1]);
}

/* Those who connect while the listener closes are refused or hung up, and nothing of them is left.
 */
static void closing_listener(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0closing" };
	pid_t pid[2];

	for (int i = 0; i < 2; i++) {
		FORKED(pid[i])
		{
			while (!WORD(0)) {
				int fd = stream();
				connect(fd, (struct sockaddr *)&a, sizeof a);
				close(fd);
			}
		}
	}
	for (int i = 0; i < 2000; i++) {
		int fd = stream();
		OK(bind(fd, (struct sockaddr *)&a, sizeof a));
		OK(listen(fd, 5));
		if (i % 2)
			sched_yield();
		close(fd);
	}
	WORD(0) = 1;
	EQ(reap(pid[0]), 0);
	EQ(reap(pid[1]), 0);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Nor does it hold up one who does not want to wait, has a time-out, or gets a signal. */
static void waiting_in_line(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	struct timeval brief = { 0, 20000 };
	int sv[2];
	pid_t pid;

	pair(sv);
	FORKED(pid)
	{
		EQ(recv(sv[0], buffer, 6, MSG_WAITALL), 6);
	}
	await_asleep(pid);
	ERR(recv(sv[0], buffer, 1, MSG_DONTWAIT), EAGAIN);
	OK(sigaction(SIGALRM, &act, NULL));
	OK(setitimer(ITIMER_REAL, &soon, NULL));
	ERR(recv(sv[0], buffer, 1, 0), EINTR);
	OK(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof brief));
	ERR(recv(sv[0], buffer, 1, 0), EAGAIN);
	EQ(send(sv[1], "abc", 3, 0), 3);
	await_asleep(pid);
	EQ(send(sv[1], "def", 3, 0), 3);
	EQ(reap(pid), 0);
	close2(sv);
	alarm(TAP_SECONDS);
}

static const struct tap_case cases[] = {
	T(creation), T(pairs),		T(sigpipe),	    T(named),
	T(abstract), T(backlog),	T(shutting_down),   T(options),
	T(polling),  T(killed_in_line), T(waiting_in_line), T(closing_listener),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
