/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - pipes and FIFOs, poll and select on them and on files.
 */
#include "scratch.h"
#include <sched.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/select.h>

static char buffer[1 << 20];
static int p[2];

static void open_pipe(int flags)
{
	REQUIRE(pipe2(p, flags) == 0);
}

static void close_pipe(void)
{
	close(p[0]);
	close(p[1]);
}

static void basics(void)
{
	struct stat st;

	open_pipe(0);
	EQ(write(p[1], "hello", 5), 5);
	EQ(read(p[0], buffer, 2), 2);
	EQ(read(p[0], buffer, 100), 3);
	CHECK(!memcmp(buffer, "llo", 3));
	OK(fstat(p[0], &st));
	CHECK(S_ISFIFO(st.st_mode));
	EQ(st.st_mode & 0777, 0600);
	EQ(st.st_size, 0);
	ERR(write(p[0], "x", 1), EBADF);
	ERR(read(p[1], buffer, 1), EBADF);
	EQ(write(p[1], "abc", 3), 3);
	close(p[1]);
	EQ(read(p[0], buffer, 100), 3); /* what is in it first, then the end */
	EQ(read(p[0], buffer, 100), 0);
	EQ(read(p[0], buffer, 100), 0);
	close(p[0]);
	open_pipe(O_CLOEXEC | O_NONBLOCK);
	EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	CHECK(fcntl(p[1], F_GETFL) & O_NONBLOCK);
	ERR(read(p[0], buffer, 1), EAGAIN);
	EQ(read(p[0], buffer, 0), 0);
	close_pipe();
	ERR(pipe2(p, O_APPEND), EINVAL);
	ERR(syscall(SYS_pipe2, (int *)8, 0), EFAULT);
}

static void capacity(void)
{
	open_pipe(O_NONBLOCK);
	EQ(fcntl(p[0], F_GETPIPE_SZ), 65536);
	EQ(write(p[1], buffer, 100000), 65536);
	ERR(write(p[1], buffer, 1), EAGAIN);
	EQ(read(p[0], buffer, 4095), 4095);
	/* at most PIPE_BUF at once: all or nothing; more: what fits */
	ssize_t n = write(p[1], buffer, 4096);
	CHECK(n == -1 && errno == EAGAIN);
	EQ(read(p[0], buffer, 1), 1);
	EQ(write(p[1], buffer, 4096), 4096);
	EQ(fcntl(p[0], F_SETPIPE_SZ, 200000), 262144);
	EQ(fcntl(p[1], F_GETPIPE_SZ), 262144);
	ERR(fcntl(p[0], F_SETPIPE_SZ, 4096), EBUSY);
	while (read(p[0], buffer, sizeof buffer) > 0)
		;
	EQ(fcntl(p[0], F_SETPIPE_SZ, 1), 4096);
	EQ(write(p[1], buffer, 10000), 4096);
	ERR(fcntl(p[0], F_SETPIPE_SZ, -1), EINVAL);
	close_pipe();
}

/* Byte k of the stream is k % 251: whatever the order of writes and reads, it comes out so. */
static void laps(void)
{
	static const int sizes[] = { 65536, 4096, 16384 };
	static unsigned char in[1 << 17], out[1 << 17];
	unsigned seed = 1;

	for (size_t s = 0; s < COUNT(sizes); s++) {
		long written = 0, seen = 0;
		open_pipe(O_NONBLOCK);
		EQ(fcntl(p[0], F_SETPIPE_SZ, sizes[s]), sizes[s]);
		for (int round = 0; round < 2000; round++) {
			seed = seed * 1103515245 + 12345;
			long want = 1 + (seed >> 8) % (round & 1 ? 9000 : 700);
			for (long k = 0; k < want; k++)
				in[k] = (written + k) % 251;
			ssize_t n = write(p[1], in, want);
			written += n > 0 ? n : 0;
			if (round % 500 == 250)
				fcntl(p[0], F_SETPIPE_SZ, sizes[s] * (round % 1000 == 250 ? 4 : 1));
			n = read(p[0], out, 1 + (seed >> 4) % 8000);
			for (ssize_t k = 0; k < n; k++)
				if (out[k] != (seen + k) % 251) {
					FAIL("byte %ld of a pipe of %d", seen + k, sizes[s]);
					tap_end();
				}
			seen += n > 0 ? n : 0;
			CHECK(n != -1 || seen == written);
		}
		int left;
		OK(ioctl(p[0], FIONREAD, &left));
		EQ(left, written - seen);
		close_pipe();
	}
}

/* Writers of up to PIPE_BUF never mix; more of them may. */
static void atomicity(void)
{
	enum { WRITERS = 4, ROUNDS = 100 };
	pid_t pid[WRITERS];

	open_pipe(0);
	for (int i = 0; i < WRITERS; i++)
		FORKED(pid[i])
		{
			int size = PIPE_BUF - i * 1000;
			memset(buffer, 'a' + i, size);
			for (int k = 0; k < ROUNDS; k++)
				EQ(write(p[1], buffer, size), size);
		}
	close(p[1]);
	long total = 0, run = 0;
	char c, last = 0;
	ssize_t n;
	while ((n = read(p[0], buffer, 3333)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			c = buffer[i];
			if (c != last) {
				if (last)
					EQ(run % (PIPE_BUF - (last - 'a') * 1000), 0);
				run = 0;
				last = c;
			}
			run++;
		}
		total += n;
	}
	long expected = 0;
	for (int i = 0; i < WRITERS; i++) {
		EQ(reap(pid[i]), 0);
		expected += ROUNDS * (PIPE_BUF - i * 1000);
	}
	EQ(total, expected);
	close(p[0]);
}

static void blocking(void)
{
	pid_t pid;

	open_pipe(0);
	FORKED(pid)
	{
		close(p[0]);
		EQ(write(p[1], buffer, 500000), 500000); /* in many turns */
	}
	close(p[1]);
	long total = 0;
	ssize_t n;
	while ((n = read(p[0], buffer, 70000)) > 0)
		total += n;
	EQ(total, 500000);
	EQ(reap(pid), 0);
	close(p[0]);
	/* a writer that waits is told when the last reader goes */
	open_pipe(0);
	FORKED(pid)
	{
		close(p[0]);
		signal(SIGPIPE, SIG_IGN);
		EQ(write(p[1], buffer, 100000), 65536);
		ERR(write(p[1], buffer, 10), EPIPE);
	}
	await_asleep(pid);
	close_pipe();
	EQ(reap(pid), 0);
	/* a reader that waits, when the last writer goes */
	open_pipe(0);
	FORKED(pid)
	{
		close(p[1]);
		EQ(read(p[0], buffer, 1), 0);
	}
	await_asleep(pid);
	close_pipe();
	EQ(reap(pid), 0);
}

static void fifos(void)
{
	pid_t pid;

	scratch();
	OK(mkfifo("f", 0600));
	ERR(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
	int r = OK(open("f", O_RDONLY | O_NONBLOCK));
	EQ(read(r, buffer, 1), 0); /* no writer: the end */
	int w = OK(open("f", O_WRONLY | O_NONBLOCK));
	ERR(read(r, buffer, 1), EAGAIN);
	EQ(write(w, "x", 1), 1);
	EQ(read(r, buffer, 1), 1);
	close(w);
	EQ(read(r, buffer, 1), 0);
	close(r);
	/* opening waits for the other side */
	FORKED(pid)
	{
		int fd = OK(open("f", O_WRONLY));
		EQ(write(fd, "through", 7), 7);
	}
	await_asleep(pid);
	r = OK(open("f", O_RDONLY));
	EQ(read(r, buffer, 100), 7);
	EQ(reap(pid), 0);
	close(r);
	FORKED(pid)
	{
		int fd = OK(open("f", O_RDONLY));
		EQ(read(fd, buffer, 10), 2);
	}
	await_asleep(pid);
	w = OK(open("f", O_WRONLY));
	EQ(write(w, "hi", 2), 2);
	EQ(reap(pid), 0);
	close(w);
	int both = OK(open("f", O_RDWR));
	EQ(write(both, "own", 3), 3);
	EQ(read(both, buffer, 3), 3);
	ERR(lseek(both, 0, SEEK_SET), ESPIPE);
	close(both);
}

static int poll_of(int fd, int events)
{
	struct pollfd f = { fd, events, 0x5555 };
	int n = poll(&f, 1, 0);

	if (n < 0)
		return -errno;
	EQ(n, f.revents != 0);
	return f.revents;
}

static void poll_states(void)
{
	open_pipe(O_NONBLOCK);
	EQ(poll_of(p[0], POLLIN | POLLOUT), 0);
	EQ(poll_of(p[1], POLLIN | POLLOUT | POLLWRNORM), POLLOUT | POLLWRNORM);
	EQ(write(p[1], "x", 1), 1);
	EQ(poll_of(p[0], POLLIN | POLLRDNORM), POLLIN | POLLRDNORM);
	while (write(p[1], buffer, 4096) > 0)
		;
	EQ(poll_of(p[1], POLLOUT), 0);
	read(p[0], buffer, 4096);
	read(p[0], buffer, 4096);
	EQ(poll_of(p[1], POLLOUT), POLLOUT);
	close(p[1]);
	EQ(poll_of(p[0], POLLIN), POLLIN | POLLHUP);
	while (read(p[0], buffer, sizeof buffer) > 0)
		;
	EQ(poll_of(p[0], POLLIN), POLLHUP);
	EQ(poll_of(p[0], 0), POLLHUP);
	close(p[0]);
	EQ(poll_of(p[0], POLLIN), POLLNVAL);
	EQ(poll_of(-1, POLLIN), 0);
	open_pipe(0);
	close(p[0]);
	EQ(poll_of(p[1], POLLOUT), POLLOUT | POLLERR);
	EQ(poll_of(p[1], 0), POLLERR);
	close(p[1]);
	/* files and directories are always ready */
	int fd = OK(open("/", O_RDONLY));
	EQ(poll_of(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
	close(fd);
}

static void poll_waits(void)
{
	struct pollfd f[3] = { { -1, POLLIN, 0 } };
	pid_t pid;

	open_pipe(0);
	f[1] = (struct pollfd){ p[0], POLLIN, 0 };
	f[2] = (struct pollfd){ p[0], POLLIN, 0 }; /* the same twice */
	long long start = now_ms();
	EQ(poll(f, 3, 50), 0);
	CHECK(now_ms() - start >= 49);
	FORKED(pid)
	{
		sleep_ms(30);
		write(p[1], "x", 1);
	}
	EQ(poll(f, 3, -1), 2);
	EQ(f[0].revents, 0);
	EQ(f[2].revents, POLLIN);
	EQ(reap(pid), 0);
	EQ(poll(NULL, 0, 10), 0);
	ERR(poll((struct pollfd *)8, 1, 0), EFAULT);
	ERR(syscall(SYS_poll, f, 1 << 24, 0), EINVAL);
	struct timespec bad = { 0, 1000000000 }, now = { 0, 0 };
	ERR(ppoll(f, 1, &bad, NULL), EINVAL);
	EQ(ppoll(f, 2, &now, NULL), 1);
	close_pipe();
}

static volatile int caught;

static void note(int s)
{
	caught = s;
}

/* ppoll and pselect change the mask and wait in one step; a pending signal ends them. */
static void masks_while_waiting(void)
{
	sigset_t usr1, none, now;
	struct timespec limit = { 20, 0 };

	signal(SIGUSR1, note);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	EQ(poll(NULL, 0, 10), 0);
	EQ(caught, 0);
	ERR(ppoll(NULL, 0, &limit, &none), EINTR);
	EQ(caught, SIGUSR1);
	sigprocmask(SIG_SETMASK, NULL, &now);
	EQ(sigismember(&now, SIGUSR1), 1);
	caught = 0;
	raise(SIGUSR1);
	ERR(pselect(0, NULL, NULL, NULL, &limit, &none), EINTR);
	EQ(caught, SIGUSR1);
	/* something ready: no signal is taken */
	caught = 0;
	raise(SIGUSR1);
	open_pipe(0);
	write(p[1], "x", 1);
	struct pollfd f = { p[0], POLLIN, 0 };
	EQ(ppoll(&f, 1, &limit, &none), 1);
	EQ(caught, 0);
	close_pipe();
	ERR(syscall(SYS_ppoll, &f, 1, &limit, &none, 4), EINVAL);
}

static void select_call(void)
{
	fd_set r, w, e;
	struct timeval t = { 0, 30000 };
	pid_t pid;

	open_pipe(0);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(p[0], &r);
	FD_SET(p[1], &w);
	FD_SET(p[0], &e);
	EQ(select(p[1] + 1, &r, &w, &e, NULL), 1);
	CHECK(!FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w) && !FD_ISSET(p[0], &e));
	FD_SET(p[0], &r);
	EQ(syscall(SYS_select, p[0] + 1, &r, NULL, NULL, &t), 0);
	CHECK(!FD_ISSET(p[0], &r));
	EQ(t.tv_sec, 0);
	EQ(t.tv_usec, 0); /* Linux stores what is left */
	FORKED(pid)
	{
		sleep_ms(30);
		close_pipe();
	}
	close(p[1]);
	FD_SET(p[0], &r);
	EQ(select(p[0] + 1, &r, NULL, NULL, NULL), 1); /* the end can be read */
	CHECK(FD_ISSET(p[0], &r));
	EQ(reap(pid), 0);
	close(p[0]);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	ERR(select(p[0] + 1, &r, NULL, NULL, NULL), EBADF);
	ERR(select(-1, NULL, NULL, NULL, NULL), EINVAL);
	t = (struct timeval){ -1, 0 };
	ERR(syscall(SYS_select, 0, NULL, NULL, NULL, &t), EINVAL);
	ERR(syscall(SYS_select, 1, 8L, NULL, NULL, NULL), EFAULT);
	t = (struct timeval){ 0, 1000 };
	EQ(select(0, NULL, NULL, NULL, &t), 0);
	/* a number above FD_SETSIZE of the headers works in the call */
	int fd = OK(open("/dev/null", O_RDONLY)), high = fcntl(fd, F_DUPFD, 70);
	static unsigned long bits[32];
	bits[high / 64] |= 1UL << high % 64;
	EQ(syscall(SYS_select, high + 1, bits, NULL, NULL, NULL), 1);
	close(fd);
	close(high);
}

/* A chain of processes that hand a token round. */
static void ping_pong(void)
{
	enum { N = 5, ROUNDS = 300 };
	int link[N][2];
	pid_t pid[N];
	char c = 0;

	for (int i = 0; i < N; i++)
		REQUIRE(pipe(link[i]) == 0);
	for (int i = 0; i < N - 1; i++)
		FORKED(pid[i])
		{
			for (int k = 0; k < ROUNDS; k++) {
				read(link[i][0], &c, 1);
				c++;
				write(link[i + 1][1], &c, 1);
			}
		}
	for (int k = 0; k < ROUNDS; k++) {
		c = k;
		write(link[0][1], &c, 1);
		read(link[N - 1][0], &c, 1);
		EQ(c, (char)(k + N - 1));
	}
	for (int i = 0; i < N - 1; i++)
		EQ(reap(pid[i]), 0);
	for (int i = 0; i < N; i++) {
		close(link[i][0]);
		close(link[i][1]);
	}
}

static void splice_family(void)
{
	int q[2];

	scratch();
	open_pipe(0);
	put("f", "0123456789", 0644);
	int fd = OK(open("f", O_RDWR));
	ssize_t n = splice(fd, NULL, p[1], NULL, 5, 0);
	if (n < 0 && errno == ENOSYS) {
		close(fd);
		close_pipe();
		SKIP("no splice");
	}
	EQ(n, 5);
	OK(pipe(q));
	EQ(tee(p[0], q[1], 100, 0), 5);
	EQ(read(q[0], buffer, 100), 5);
	EQ(read(p[0], buffer, 100), 5);
	CHECK(!memcmp(buffer, "01234", 5));
	ERR(splice(fd, NULL, fd, NULL, 5, 0), EINVAL);
	ERR(splice(-1, NULL, p[1], NULL, 5, 0), EBADF);
	close(q[0]);
	close(q[1]);
	close(fd);
	close_pipe();
}

/* However close the write is to the poll, it wakes. */
static void each_write_wakes(void)
{
	enum { ROUNDS = 5000, SEEN = 0, LOOKING };
	int fd[2];
	pid_t pid;

	OK(pipe(fd));
	FORKED(pid)
	{
		struct pollfd p = { .fd = fd[0], .events = POLLIN };
		char c;
		while (WORD(SEEN) < ROUNDS) {
			WORD(LOOKING)++;
			EQ(poll(&p, 1, -1), 1);
			EQ(read(fd[0], &c, 1), 1);
			WORD(SEEN)++;
		}
	}
	for (int n = 0; n < ROUNDS; n++) {
		while (WORD(LOOKING) <= n)
			sched_yield();
		for (volatile int delay = n * 7 % 997; delay > 0; delay--)
			;
		EQ(write(fd[1], "x", 1), 1);
		while (WORD(SEEN) <= n) /* if it sleeps on, the harness's alarm ends this */
			sched_yield();
	}
	EQ(reap(pid), 0);
	close(fd[0]);
	close(fd[1]);
}

static const struct tap_case cases[] = {
	T(basics),	     T(capacity),    T(laps),
	T(atomicity),	     T(blocking),    T(fifos),
	T(poll_states),	     T(poll_waits),  T(masks_while_waiting),
	T(ping_pong),	     T(select_call), T(splice_family),
	T(each_write_wakes),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
