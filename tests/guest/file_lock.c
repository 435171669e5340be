/* SPDX-License-Identifier: MIT */
/*
 * file_lock.c - record locks and flock in company: deadlocks found and not imagined, waits that
 * signals end, what close, exec and fork do to locks, many lockers at once.
 */
#include "scratch.h"
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>

#ifndef F_OFD_SETLK
#define F_OFD_GETLK  36
#define F_OFD_SETLK  37
#define F_OFD_SETLKW 38
#endif

static int lock(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, cmd, &l);
}

/* What stands in the way of a write lock on [start, start+len), as seen by another process. */
static struct flock blocker(int fd, off_t start, off_t len)
{
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};
	pid_t pid;

	FORKED(pid)
	{
		fcntl(fd, F_GETLK, &l);
		memcpy((void *)&WORD(20), &l, sizeof l);
	}
	reap(pid);
	memcpy(&l, (void *)&WORD(20), sizeof l);
	return l;
}

static int lock_file(void)
{
	return OK(open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
}

static void splits_and_joins(void)
{
	struct flock l;

	scratch();
	int fd = lock_file();
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 100));
	OK(lock(fd, F_SETLK, F_RDLCK, 40, 20)); /* three records */
	l = blocker(fd, 50, 1);
	EQ(l.l_type, F_RDLCK);
	EQ(l.l_start, 40);
	EQ(l.l_len, 20);
	EQ(l.l_pid, getpid());
	l = blocker(fd, 60, 1);
	EQ(l.l_start, 60);
	EQ(l.l_len, 40);
	OK(lock(fd, F_SETLK, F_WRLCK, 40, 20)); /* one again */
	l = blocker(fd, 70, 1);
	EQ(l.l_start, 0);
	EQ(l.l_len, 100);
	OK(lock(fd, F_SETLK, F_WRLCK, 100, 0));
	EQ(blocker(fd, 1L << 40, 1).l_len, 0);
	EQ(blocker(fd, 1L << 40, 1).l_start, 0);
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	EQ(blocker(fd, 0, 0).l_type, F_UNLCK);
	close(fd);
}

static void wait_until(int word)
{
	while (!WORD(word))
		usleep(1000);
	usleep(50000);
}

/* Three in a circle; whoever closes it is told. */
static void circle(void)
{
	pid_t pid[2];

	scratch();
	int fd = lock_file();
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	for (int i = 1; i <= 2; i++)
		FORKED(pid[i - 1])
		{
			OK(lock(fd, F_SETLK, F_WRLCK, i, 1));
			if (i == 2)
				wait_until(1);
			WORD(i) = 1;
			OK(lock(fd, F_SETLKW, F_WRLCK, i - 1, 1)); /* 1 waits for us, 2 for 1 */
		}
	wait_until(2);
	ERR(lock(fd, F_SETLKW, F_WRLCK, 2, 1), EDEADLK);
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 1));
	EQ(reap(pid[0]), 0);
	EQ(reap(pid[1]), 0);
	close(fd);
}

/* A waiter that was just given what it waited for is part of no circle. */
static void no_imagined_circle(void)
{
	pid_t pid;

	scratch();
	int fd = lock_file();
	for (int round = 0; round < 20; round++) {
		WORD(1) = 0;
		OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
		FORKED(pid)
		{
			OK(lock(fd, F_SETLK, F_WRLCK, 1, 1));
			WORD(1) = 1;
			OK(lock(fd, F_SETLKW, F_WRLCK, 0, 1));
		}
		while (!WORD(1))
			usleep(100);
		usleep(5000);
		OK(lock(fd, F_SETLK, F_UNLCK, 0, 1));
		OK(lock(fd, F_SETLKW, F_WRLCK, 1, 1));
		OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
		EQ(reap(pid), 0);
	}
	close(fd);
}

static void handler(int sig)
{
	WORD(5) = sig;
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = handler };
	pid_t pid;

	scratch();
	int fd = lock_file();
	for (int kind = 0; kind < 3; kind++) {
		int other = OK(open("f", O_RDWR | O_CLOEXEC));
		OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
		OK(flock(fd, LOCK_EX));
		FORKED(pid)
		{
			sigaction(SIGALRM, &sa, NULL);
			ualarm(50000, 0);
			if (kind == 0)
				ERR(lock(other, F_SETLKW, F_WRLCK, 0, 1), EINTR);
			else if (kind == 1)
				ERR(flock(other, LOCK_SH), EINTR);
			else
				ERR(lock(other, F_OFD_SETLKW, F_RDLCK, 0, 0), EINTR);
		}
		EQ(reap(pid), 0);
		close(other);
	}
	EQ(WORD(5), SIGALRM);
	close(fd);
}

static void who_keeps_locks(void)
{
	pid_t pid;

	scratch();
	int fd = lock_file(), other = lock_file();
	OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	FORKED(pid)
	{
		ERR(lock(fd, F_SETLK, F_WRLCK, 0, 1), EAGAIN); /* not inherited */
		close(fd);
	}
	EQ(reap(pid), 0);
	EQ(blocker(fd, 0, 1).l_type, F_WRLCK); /* its close was not ours */
	close(other);
	EQ(blocker(fd, 0, 1).l_type, F_UNLCK); /* ours of any descriptor is */
	OK(flock(fd, LOCK_EX));
	OK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 1));
	EQ(blocker(fd, 0, 1).l_pid, -1);
	other = dup(fd);
	close(fd); /* the description lives on */
	fd = lock_file();
	ERR(flock(fd, LOCK_SH | LOCK_NB), EAGAIN);
	ERR(lock(fd, F_SETLK, F_RDLCK, 0, 1), EAGAIN);
	close(other);
	OK(flock(fd, LOCK_SH | LOCK_NB));
	OK(lock(fd, F_SETLK, F_RDLCK, 0, 1));
	close(fd);
	fd = open("f", O_PATH);
	ERR(flock(fd, LOCK_SH), EBADF);
	ERR(lock(fd, F_SETLK, F_RDLCK, 0, 1), EBADF);
	close(fd);
}

static void locks_across_exec(void)
{
	char number[16];
	pid_t pid;
	int p[2];

	scratch();
	int fd = OK(open("f", O_RDWR | O_CREAT, 0644));
	OK(pipe(p));
	pid = fork();
	if (!pid) {
		OK(lock(fd, F_SETLK, F_WRLCK, 3, 4));
		dup2(p[0], 0);
		close(p[0]);
		close(p[1]);
		snprintf(number, sizeof number, "%d", fd);
		execl(tap_self, tap_self, "--wait", number, NULL);
		_exit(99);
	}
	close(p[0]);
	usleep(300000);
	EQ(blocker(fd, 0, 0).l_pid, pid);
	EQ(blocker(fd, 0, 0).l_start, 3);
	close(p[1]);
	EQ(reap(pid), 0);
	EQ(blocker(fd, 0, 0).l_type, F_UNLCK);
	close(fd);
}

/* Each adds 1 to numbers in the file, one under record locks and one under flock. */
static void crowd(void)
{
	enum { MEMBERS = 6, ROUNDS = 200 };
	pid_t pid[MEMBERS];
	long value = 0;

	scratch();
	int fd = lock_file();
	EQ(pwrite(fd, &value, sizeof value, 0), sizeof value);
	EQ(pwrite(fd, &value, sizeof value, 8), sizeof value);
	for (int m = 0; m < MEMBERS; m++)
		FORKED(pid[m])
		{
			int mine = OK(open("f", O_RDWR)); /* flock: not the one that is shared */
			for (int r = 0; r < ROUNDS; r++) {
				OK(m % 2 ? lock(mine, F_SETLKW, F_WRLCK, 0, 8)
					 : lock(mine, F_OFD_SETLKW, F_WRLCK, 0, 8));
				pread(mine, &value, sizeof value, 0);
				value++;
				if (r % 16 == 0)
					sched_yield();
				pwrite(mine, &value, sizeof value, 0);
				OK(m % 2 ? lock(mine, F_SETLK, F_UNLCK, 0, 8)
					 : lock(mine, F_OFD_SETLK, F_UNLCK, 0, 8));
			}
			for (int r = 0; r < ROUNDS; r++) {
				OK(flock(mine, LOCK_EX));
				pread(mine, &value, sizeof value, 8); /* another number */
				value++;
				pwrite(mine, &value, sizeof value, 8);
				OK(flock(mine, LOCK_UN));
			}
		}
	for (int m = 0; m < MEMBERS; m++)
		EQ(reap(pid[m]), 0);
	for (int n = 0; n < 2; n++) {
		EQ(pread(fd, &value, sizeof value, 8 * n), sizeof value);
		EQ(value, MEMBERS * ROUNDS);
	}
	close(fd);
}

/* --- a model: for each owner, an open file description, what it holds of each byte --- */

#define OWNERS 6
#define BYTES  48

static unsigned next_random(unsigned *state)
{
	return *state = *state * 1664525u + 1013904223u, *state >> 16;
}

/* May `owner` lock these bytes in that way? */
static bool model_free(char held[OWNERS][BYTES], int owner, int type, int start, int len)
{
	for (int o = 0; o < OWNERS; o++)
		for (int b = start; b < start + len; b++)
			if (o != owner && held[o][b] != F_UNLCK &&
			    (type == F_WRLCK || held[o][b] == F_WRLCK))
				return false;
	return true;
}

/* A whole record of another owner, as long as it is of one type, overlaps what was asked for. */
static bool model_has(char held[OWNERS][BYTES], int owner, const struct flock *l, int start,
		      int len)
{
	int from = l->l_start, to = from + l->l_len;

	if (from >= start + len || to <= start || from < 0 || to > BYTES || from >= to)
		return false;
	for (int o = 0; o < OWNERS; o++) {
		bool whole = o != owner && (!from || held[o][from - 1] != l->l_type) &&
			     (to == BYTES || held[o][to] != l->l_type);
		for (int b = from; b < to; b++)
			whole = whole && held[o][b] == l->l_type;
		if (whole)
			return true;
	}
	return false;
}

static void random_ranges(void)
{
	static char held[OWNERS][BYTES];
	unsigned random = now_ms();
	int fd[OWNERS];

	scratch();
	tap_say("# seed %u", random);
	memset(held, F_UNLCK, sizeof held);
	for (int o = 0; o < OWNERS; o++)
		fd[o] = lock_file();
	for (int step = 0; step < 20000 && !tap->failures; step++) {
		static const int types[] = { F_RDLCK, F_RDLCK, F_WRLCK, F_UNLCK };
		int o = next_random(&random) % OWNERS, type = types[next_random(&random) % 4];
		int start = next_random(&random) % BYTES;
		int len = 1 + next_random(&random) % (BYTES - start) % 12;
		bool free = type == F_UNLCK || model_free(held, o, type, start, len);

		if (type != F_UNLCK) {
			struct flock l = { .l_type = type, .l_start = start, .l_len = len };
			OK(fcntl(fd[o], F_OFD_GETLK, &l));
			if (free)
				EQ(l.l_type, F_UNLCK);
			else
				CHECK(model_has(held, o, &l, start, len));
		}
		if (free) {
			OK(lock(fd[o], F_OFD_SETLK, type, start, len));
			memset(&held[o][start], type, len);
		} else {
			ERR(lock(fd[o], F_OFD_SETLK, type, start, len), EAGAIN);
		}
		if (step % 1000 == 999) { /* an owner goes */
			close(fd[o]);
			memset(held[o], F_UNLCK, BYTES);
			fd[o] = lock_file();
		}
	}
	for (int o = 0; o < OWNERS; o++)
		close(fd[o]);
}

/* Thousands of records of one file, not next to each other: each is found, split and given back. */
static void many_records(void)
{
	enum { RECORDS = 5000 };
	struct flock l;

	scratch();
	int fd = lock_file(), other = lock_file();
	for (int n = 0; n < RECORDS; n++) /* in an order that is neither up nor down */
		OK(lock(fd, F_OFD_SETLK, F_WRLCK, n * 1237L % RECORDS * 4, 3));
	for (int n = 0; n < RECORDS; n += 617) {
		l = (struct flock){ .l_type = F_RDLCK, .l_start = n * 4L + 1, .l_len = 1 };
		OK(fcntl(other, F_OFD_GETLK, &l));
		EQ(l.l_start, n * 4L);
		EQ(l.l_len, 3);
		OK(lock(other, F_OFD_SETLK, F_WRLCK, n * 4L + 3, 1)); /* the gap */
		ERR(lock(other, F_OFD_SETLK, F_RDLCK, n * 4L + 2, 2), EAGAIN);
	}
	close(other);
	OK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, RECORDS * 4L)); /* all become one */
	other = lock_file();
	l = (struct flock){ .l_type = F_WRLCK, .l_start = 777, .l_len = 1 };
	OK(fcntl(other, F_OFD_GETLK, &l));
	EQ(l.l_start, 0);
	EQ(l.l_len, RECORDS * 4L);
	close(fd);
	OK(lock(other, F_OFD_SETLK, F_WRLCK, 0, 0));
	close(other);
}

/* Whoever gives up a great many records at once lets others run meanwhile, not only after it. */
static long preempted_in(int fd, bool close_it)
{
	enum { RECORDS = 100000 };
	struct rusage before, after;

	for (long n = 0; n < RECORDS; n++)
		OK(lock(fd, F_SETLK, F_RDLCK, n * 2, 1));
	OK(getrusage(RUSAGE_SELF, &before));
	if (close_it)
		OK(close(fd));
	else
		OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
	OK(getrusage(RUSAGE_SELF, &after));
	return after.ru_nivcsw - before.ru_nivcsw;
}

static void many_records_let_run(void)
{
	cpu_set_t one;
	pid_t pid;

	scratch();
	int fd = lock_file();
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	OK(sched_setaffinity(0, sizeof one, &one));
	FORKED(pid)
	for (;;)
		__asm__ volatile("");
	CHECK(preempted_in(fd, false) >= 2); /* all become one */
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	CHECK(preempted_in(fd, true) >= 2);
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 128 + SIGKILL);
}

/*
 * However long it takes, it is one step for others: while one turns its many read locks into one
 * write lock and back, nobody is ever told that a part of the range is free.
 */
static void changes_at_one_stroke(void)
{
	enum { RECORDS = 3000, ROUNDS = 20 };
	pid_t pid[3];

	scratch();
	int fd = lock_file();
	OK(lock(fd, F_OFD_SETLK, F_RDLCK, 0, 0));
	for (int i = 0; i < 3; i++)
		FORKED(pid[i])
		{
			int mine = lock_file(), got;

			while (!WORD(1)) {
				got = lock(mine, F_OFD_SETLK, F_WRLCK, i * RECORDS / 3 * 2L, 1);
				CHECK(got == -1 && errno == EAGAIN);
				WORD(2 + i)++;
			}
		}
	for (int round = 0; round < ROUNDS || !WORD(2) || !WORD(3) || !WORD(4); round++) {
		for (long n = 0; n < RECORDS; n++)
			OK(lock(fd, F_OFD_SETLK, F_WRLCK, n * 2, 1));
		OK(lock(fd, F_OFD_SETLK, round % 2 ? F_RDLCK : F_WRLCK, 0, 0));
	}
	WORD(1) = 1;
	for (int i = 0; i < 3; i++)
		EQ(reap(pid[i]), 0);
	close(fd);
}

/* One thread closes the file while another locks it by the same descriptor: nothing stays. */
static int closed_fd;

static int closer(void *arg)
{
	(void)arg;
	WORD(1) = 1;
	close(closed_fd);
	return 0;
}

static void close_during_locks(void)
{
	enum { STACK = 65536, RECORDS = 300 };
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	scratch();
	int other = lock_file();
	REQUIRE(stack != MAP_FAILED);
	for (int round = 0; round < 50; round++) {
		WORD(1) = 0;
		closed_fd = lock_file();
		for (long n = 0; n < RECORDS; n++)
			OK(lock(closed_fd, F_SETLK, F_WRLCK, n * 2, 1));
		pid_t pid =
			OK(clone(closer, stack + STACK, CLONE_FILES | CLONE_VM | SIGCHLD, NULL));
		for (long n = 0; !lock(closed_fd, F_SETLK, n & 1 ? F_RDLCK : F_WRLCK, n * 2, 1);)
			n = (n + 1) % RECORDS;
		EQ(errno, EBADF);
		EQ(reap(pid), 0);
		OK(lock(other, F_OFD_SETLK, F_WRLCK, 0, 0));
		OK(lock(other, F_OFD_SETLK, F_UNLCK, 0, 0));
	}
	close(other);
}

static const struct tap_case cases[] = {
	T(splits_and_joins),
	T(circle),
	T(no_imagined_circle),
	T(interrupted),
	T(who_keeps_locks),
	T(locks_across_exec),
	T(crowd),
	T(random_ranges),
	T(many_records),
	T(many_records_let_run),
	T(changes_at_one_stroke),
	T(close_during_locks),
};

int main(int argc, char **argv)
{
	char c;

	if (argc > 1 && !strcmp(argv[1], "--wait"))
		return read(0, &c, 1) != 0;
	return TAP_RUN(cases, argc, argv);
}
