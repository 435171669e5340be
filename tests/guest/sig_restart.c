/* SPDX-License-Identifier: MIT */
/*
 * sig_restart.c - interrupted calls: which are restarted under SA_RESTART, which say EINTR, what
 * is left of a sleep; stop and continue in the middle of a call; alarms and interval timers.
 */
#include "tap.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

static volatile int count;

static void note(int s)
{
	(void)s;
	count++;
}

static void handle(int s, int flags)
{
	struct sigaction a = { .sa_handler = note, .sa_flags = flags };

	REQUIRE(sigaction(s, &a, NULL) == 0);
}

static int p[2], sv[2];

/* A helper that sends the signal when the parent sleeps, and later does what ends the call. */
static pid_t helper(int s, void (*then)(void))
{
	pid_t pid, parent = getpid();

	FORKED(pid)
	{
		await_asleep(parent);
		sleep_ms(10);
		kill(parent, s);
		if (then) {
			sleep_ms(60);
			then();
		}
	}
	REQUIRE(pid > 0);
	return pid;
}

static void write_byte(void)
{
	write(p[1], "x", 1);
}

static void send_byte(void)
{
	write(sv[1], "x", 1);
}

static void read_all(void)
{
	char buffer[65536];

	for (int n = 0; n < 65536;)
		n += read(p[0], buffer, sizeof buffer);
}

static void wake_word(void)
{
	WORD(0) = 1;
	syscall(SYS_futex, &tap->word[0], FUTEX_WAKE, 1, 0, 0, 0);
}

/* The call, interrupted once without SA_RESTART and once with. */
#define INTERRUPTED(call, then, with_restart)                            \
	do {                                                             \
		handle(SIGUSR1, 0);                                      \
		count = 0;                                               \
		pid_t h_ = helper(SIGUSR1, NULL);                        \
		ERR(call, EINTR);                                        \
		EQ(count, 1);                                            \
		EQ(reap(h_), 0);                                         \
		handle(SIGUSR1, SA_RESTART);                             \
		count = 0;                                               \
		h_ = helper(SIGUSR1, (with_restart) >= 0 ? then : NULL); \
		if ((with_restart) < 0)                                  \
			ERR(call, EINTR);                                \
		else                                                     \
			EQ(call, with_restart);                          \
		EQ(count, 1);                                            \
		EQ(reap(h_), 0);                                         \
	} while (0)

static void read_of_a_pipe(void)
{
	char c;

	OK(pipe(p));
	INTERRUPTED(read(p[0], &c, 1), write_byte, 1);
	close(p[0]);
	close(p[1]);
}

static void write_to_a_pipe(void)
{
	static char big[150000];

	OK(pipe(p));
	/* what has been written counts: a short result instead of EINTR */
	handle(SIGUSR1, 0);
	pid_t h = helper(SIGUSR1, NULL);
	EQ(write(p[1], big, sizeof big), 65536);
	EQ(reap(h), 0);
	INTERRUPTED(write(p[1], big, 10), read_all, 10);
	close(p[0]);
	close(p[1]);
}

static void sockets(void)
{
	char c;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	INTERRUPTED(recv(sv[0], &c, 1, 0), send_byte, 1);
	/* with a timeout of its own it is not restarted */
	struct timeval t = { 20, 0 };
	OK(setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	INTERRUPTED(recv(sv[0], &c, 1, 0), NULL, -1);
	close(sv[0]);
	close(sv[1]);
}

static void waiting(void)
{
	pid_t pid;

	FORKED(pid)
	{
		while (!WORD(5))
			sleep_ms(5);
		_exit(3);
	}
	handle(SIGUSR1, 0);
	pid_t h = helper(SIGUSR1, NULL);
	int status;
	ERR(waitpid(pid, &status, 0), EINTR);
	EQ(reap(h), 0);
	handle(SIGUSR1, SA_RESTART);
	count = 0;
	h = helper(SIGUSR1, NULL);
	pid_t late;
	FORKED(late)
	{
		sleep_ms(300);
		WORD(5) = 1;
	}
	EQ(waitpid(pid, &status, 0), pid);
	EQ(status, 3 << 8);
	EQ(count, 1);
	reap(h);
	reap(late);
}

static void futexes(void)
{
	struct timespec t = { 20, 0 };

	INTERRUPTED(syscall(SYS_futex, &tap->word[0], FUTEX_WAIT, 0, NULL, 0, 0), wake_word, 0);
	WORD(0) = 0;
	INTERRUPTED(syscall(SYS_futex, &tap->word[0], FUTEX_WAIT, 0, &t, 0, 0), NULL, -1);
}

static void polling(void)
{
	struct pollfd f = { .events = POLLIN };
	struct timeval tv = { 20, 0 };
	struct timespec ts = { 20, 0 };
	fd_set set;

	OK(pipe(p));
	f.fd = p[0];
	FD_ZERO(&set);
	FD_SET(p[0], &set);
	INTERRUPTED(poll(&f, 1, -1), NULL, -1);
	INTERRUPTED(poll(&f, 1, 20000), NULL, -1);
	INTERRUPTED(ppoll(&f, 1, &ts, NULL), NULL, -1);
	INTERRUPTED(select(p[0] + 1, &set, NULL, NULL, &tv), NULL, -1);
	/* the raw calls store the time that is left */
	ts = (struct timespec){ 20, 0 };
	handle(SIGUSR1, 0);
	pid_t h = helper(SIGUSR1, NULL);
	ERR(syscall(SYS_ppoll, &f, 1, &ts, NULL, 8), EINTR);
	CHECK(ts.tv_sec < 20 && ts.tv_sec >= 10);
	reap(h);
	close(p[0]);
	close(p[1]);
}

static void sleeping(void)
{
	struct timespec t = { 20, 0 }, left = { 0, 0 };

	INTERRUPTED(nanosleep(&t, NULL), NULL, -1);
	INTERRUPTED((errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL)) ? -1 : 0, NULL, -1);
	pid_t h = helper(SIGUSR1, NULL);
	ERR(nanosleep(&t, &left), EINTR);
	CHECK(left.tv_sec < 20 && left.tv_sec >= 10);
	reap(h);
	h = helper(SIGUSR1, NULL);
	left.tv_sec = 0;
	EQ(clock_nanosleep(CLOCK_REALTIME, 0, &t, &left), EINTR);
	CHECK(left.tv_sec < 20 && left.tv_sec >= 10);
	reap(h);
	/* an absolute one stores nothing */
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += 20;
	left.tv_sec = 77;
	h = helper(SIGUSR1, NULL);
	EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, &left), EINTR);
	EQ(left.tv_sec, 77);
	reap(h);
}

static void locks(void)
{
	char path[] = "/tmp/tap.lock";
	int fd = OK(open(path, O_RDWR | O_CREAT, 0600));
	pid_t holder;

	FORKED(holder)
	{
		int mine = open(path, O_RDWR);
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		flock(mine, LOCK_EX);
		fcntl(mine, F_SETLK, &l);
		WORD(1) = 1;
		for (;;)
			pause();
	}
	AWAIT(WORD(1));
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	handle(SIGUSR1, 0);
	pid_t h = helper(SIGUSR1, NULL);
	ERR(flock(fd, LOCK_EX), EINTR);
	reap(h);
	h = helper(SIGUSR1, NULL);
	ERR(fcntl(fd, F_SETLKW, &l), EINTR);
	reap(h);
	kill(holder, SIGKILL);
	reap(holder);
	unlink(path);
	close(fd);
}

/* An ignored signal interrupts nothing, nor does one whose default is to ignore it. */
static void ignored(void)
{
	char c;

	OK(pipe(p));
	signal(SIGUSR1, SIG_IGN);
	pid_t h = helper(SIGUSR1, write_byte);
	EQ(read(p[0], &c, 1), 1);
	reap(h);
	h = helper(SIGWINCH, write_byte);
	EQ(read(p[0], &c, 1), 1);
	reap(h);
	struct timespec t = { 0, 300000000 };
	h = helper(SIGURG, NULL);
	EQ(nanosleep(&t, NULL), 0);
	reap(h);
	close(p[0]);
	close(p[1]);
}

/* Stop and continue: no handler runs, so calls go on; a sleep ends when it should. */
static void stopped_in_a_call(void)
{
	static const char *names[] = { "read", "nanosleep", "poll", "futex", "wait" };
	int status;

	OK(pipe(p));
	for (int way = 0; way < 5; way++) {
		pid_t pid;
		long long start = now_ms();
		WORD(0) = 0;
		FORKED(pid)
		{
			struct timespec t = { 0, 400000000 };
			struct pollfd f = { p[0], POLLIN, 0 };
			char c;
			pid_t child = -1;
			int result = -1;
			if (way == 4)
				FORKED(child) sleep_ms(400);
			WORD(9) = 1;
			if (way == 0)
				result = read(p[0], &c, 1) - 1;
			else if (way == 1)
				result = nanosleep(&t, NULL);
			else if (way == 2)
				result = poll(&f, 1, 400);
			else if (way == 3)
				result = syscall(SYS_futex, &tap->word[0], FUTEX_WAIT, 0, NULL);
			else
				result = waitpid(child, &status, 0) - child;
			_exit(result == 0 ? 0 : errno ? errno : 99);
		}
		AWAIT(WORD(9));
		await_asleep(pid);
		for (int i = 0; i < 2; i++) {
			kill(pid, SIGSTOP);
			EQ(waitpid(pid, &status, WUNTRACED), pid);
			sleep_ms(30);
			kill(pid, SIGCONT);
			sleep_ms(10);
		}
		if (way == 0)
			write_byte();
		if (way == 3) {
			await_asleep(pid);
			wake_word();
		}
		int code = reap(pid);
		if (code)
			FAIL("%s: %d (%s)", names[way], code, strerror(code));
		if (way == 1 || way == 2)
			CHECK(now_ms() - start >= 395);
		WORD(9) = 0;
	}
	close(p[0]);
	close(p[1]);
}

static void alarms(void)
{
	handle(SIGALRM, 0);
	EQ(alarm(100) > 0, 1); /* the harness's own */
	unsigned left = alarm(1);
	CHECK(left > 90 && left <= 100); /* what time has passed is rounded off */
	long long start = now_ms();
	ERR(pause(), EINTR);
	CHECK(now_ms() - start >= 990 && now_ms() - start < 10000);
	EQ(count, 1);
	EQ(alarm(0), 0);
	alarm(50);
	pid_t pid;
	FORKED(pid) _exit(alarm(0)); /* not inherited by fork */
	EQ(reap(pid), 0);
	CHECK(alarm(0) > 40);
}

static void interval_timers(void)
{
	struct itimerval t = { { 0, 20000 }, { 0, 50000 } }, old;

	handle(SIGALRM, 0);
	long long start = now_ms();
	OK(setitimer(ITIMER_REAL, &t, NULL));
	while (count < 5)
		pause();
	CHECK(now_ms() - start >= 50 + 4 * 20 - 2);
	OK(getitimer(ITIMER_REAL, &old));
	EQ(old.it_interval.tv_usec, 20000);
	CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 20000);
	t = (struct itimerval){ { 0, 0 }, { 0, 0 } };
	OK(setitimer(ITIMER_REAL, &t, &old));
	EQ(old.it_interval.tv_usec, 20000);
	int before = count;
	sleep_ms(50);
	CHECK(count <= before + 1);
	handle(SIGVTALRM, 0);
	handle(SIGPROF, 0);
	t.it_value.tv_usec = 30000;
	count = 0;
	OK(setitimer(ITIMER_VIRTUAL, &t, NULL));
	sleep_ms(60); /* no time of its own passes */
	EQ(count, 0);
	start = now_ms();
	while (!count && now_ms() < start + 20000)
		for (volatile int i = 0; i < 100000; i++)
			;
	EQ(count, 1);
	count = 0;
	OK(setitimer(ITIMER_PROF, &t, NULL));
	start = now_ms();
	while (!count && now_ms() < start + 20000)
		for (volatile int i = 0; i < 100000; i++)
			;
	EQ(count, 1);
	t.it_value.tv_usec = 1000000;
	ERR(setitimer(ITIMER_REAL, &t, NULL), EINVAL);
	t.it_value.tv_usec = -1;
	ERR(setitimer(ITIMER_REAL, &t, NULL), EINVAL);
	t.it_value.tv_usec = 1;
	ERR(setitimer(99, &t, NULL), EINVAL);
	ERR(getitimer(99, &t), EINVAL);
	ERR(syscall(SYS_getitimer, ITIMER_REAL, (void *)8), EFAULT);
	alarm(60);
}

static const struct tap_case cases[] = {
	T(read_of_a_pipe), T(write_to_a_pipe), T(sockets),	   T(waiting),
	T(futexes),	   T(polling),	       T(sleeping),	   T(locks),
	T(ignored),	   T(alarms),	       T(interval_timers), T(stopped_in_a_call),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
