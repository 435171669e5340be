/* SPDX-License-Identifier: MIT */
/*
 * stalls.c - calls that do much at once, beside another container (stalls.h): terminals, descriptors,
 * locks, processes, threads, signals, timers, memory, sockets.
 */
#include "stalls.h"
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/futex.h>

/* --- terminals --- */

static void terminal(void)
{
	int zero = 0;

	fd = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(ioctl(fd, 0x40045431 /* TIOCSPTLCK */, &zero));
	memory = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(memory, 'x', LARGE / 16);
}

static void type_on_terminal(void)
{
	int n = 0;
	char name[32];

	ioctl(fd, 0x80045430 /* TIOCGPTN */, &n);
	snprintf(name, sizeof name, "/dev/pts/%d", n);
	OK(open(name, O_RDWR | O_NOCTTY));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	write(fd, memory, LARGE / 16);
}

/* --- descriptors, locks --- */

enum { RECORDS = 100000 };

static void lock(short type, long start, long length)
{
	struct flock l = { .l_type = type, .l_start = start, .l_len = length };

	fcntl(fd, F_SETLK, &l);
}

static void many_locks(void)
{
	fd = OK(open("locks", O_RDWR | O_CREAT, 0600));
	for (long i = 0; i < RECORDS; i++)
		lock(F_WRLCK, i * 2, 1);
}

static void lock_all(void)
{
	lock(F_WRLCK, 0, 0);
}

static void unlock_all(void)
{
	lock(F_UNLCK, 0, 0);
}

static void close_lock(void)
{
	close(fd);
}

static void many_descriptors(void)
{
	for (int n = 0; n < 300000 && dup(0) >= 0; n++)
		;
}

static void close_all(void)
{
	syscall(SYS_close_range, 3, ~0u, 0);
}

static void poll_all(void)
{
	static struct pollfd p[300000];

	for (int i = 0; i < 300000; i++)
		p[i] = (struct pollfd){ i, POLLIN, 0 };
	poll(p, 300000, 0);
}

/* --- processes, threads, signals, timers --- */

static void many_processes(void)
{
	for (int n = 0; n < 2900; n++) {
		pid_t pid = fork();
		if (pid < 0)
			break;
		if (pid == 0)
			idle();
	}
}

static void signal_all(void)
{
	for (int n = 0; n < 10; n++)
		kill(-1, 0);
	kill(-1, SIGCONT);
	kill(0, SIGURG);
}

static void renice_all(void)
{
	setpriority(PRIO_USER, 0, 1);
	setpriority(PRIO_PGRP, 0, 2);
	getpriority(PRIO_USER, 0);
}

static void kill_all(void)
{
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGKILL);
}

static void list_processes(void)
{
	char buffer[65536];
	int d = open("/in/proc", O_RDONLY | O_DIRECTORY);

	while (syscall(SYS_getdents64, d, buffer, sizeof buffer) > 0)
		;
}

static void many_zombies(void)
{
	for (int n = 0; n < 2900; n++)
		if (fork() == 0)
			_exit(0);
	mkdir("/in/proc", 0755);
	mount("p", "/in/proc", "proc", 0, NULL);
}

static void reap_all(void)
{
	while (wait(NULL) > 0)
		;
}

static int *word;

static void *waits(void *arg)
{
	syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL);
	return arg;
}

static void many_waiters(void)
{
	pthread_attr_t small;
	pthread_t t;

	word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 16384);
	for (int n = 0; n < 2900; n++)
		if (pthread_create(&t, &small, waits, NULL))
			break;
}

static void requeue_and_wake(void)
{
	syscall(SYS_futex, word, FUTEX_CMP_REQUEUE, 0, 1 << 30, word + 8, 0);
	syscall(SYS_futex, word + 8, FUTEX_WAKE, 1 << 30);
}

static void exec_threads(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	syscall(SYS_futex, word, FUTEX_WAKE, 1 << 30);
}

static void many_timers(void)
{
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct rlimit r = { 1 << 20, 1 << 20 };
	timer_t t;

	setrlimit(RLIMIT_SIGPENDING, &r);
	signal(SIGRTMIN, SIG_IGN);
	for (int i = 0; i < 20000; i++)
		if (timer_create(CLOCK_MONOTONIC, &e, &t) == 0) {
			struct itimerspec at = { { 0, 0 }, { 4000, 0 } };
			timer_settime(t, TIMER_ABSTIME, &at, NULL);
		}
}

static void end_timers(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	execl("/proc/self/exe", "neighbour", "-l", NULL); /* ends the timers */
}

static void many_signals(void)
{
	struct rlimit r = { 1 << 20, 1 << 20 };
	sigset_t set;
	union sigval v = { 0 };

	setrlimit(RLIMIT_SIGPENDING, &r);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 200000 && sigqueue(getpid(), SIGRTMIN, v) == 0; i++)
		;
}

static void ignore_signals(void)
{
	signal(SIGRTMIN, SIG_IGN);
}

/* --- memory --- */

static void many_areas(void)
{
	memory = mmap(NULL, 60000 * 8192L, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < 60000; i++)
		if (mprotect(memory + i * 8192, 4096, PROT_READ | PROT_WRITE))
			break;
}

static void protect_areas(void)
{
	mprotect(memory, 60000 * 8192L, PROT_READ);
}

static void unmap_areas(void)
{
	munmap(memory, 60000 * 8192L);
}

static void fork_areas(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void read_maps(void)
{
	char buffer[65536];
	int in = open("/in/proc/self/maps", O_RDONLY);

	while (read(in, buffer, sizeof buffer) > 0)
		;
}

static void maps(void)
{
	many_areas();
	mkdir("/in/proc", 0755);
	mount("p", "/in/proc", "proc", 0, NULL);
}

static void much_memory(void)
{
	memory = mmap(NULL, 200 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(memory, 1, 200 << 20);
}

static void protect_memory(void)
{
	mprotect(memory, 200 << 20, PROT_READ);
	mprotect(memory, 200 << 20, PROT_READ | PROT_WRITE);
}

static void move_memory(void)
{
	memory = mremap(memory, 200 << 20, 210 << 20, MREMAP_MAYMOVE);
}

static void drop_memory(void)
{
	madvise(memory, 200 << 20, MADV_DONTNEED);
}

static void mincore_memory(void)
{
	static unsigned char map[200 << 8];

	mincore(memory, 200 << 20, map);
	mlock(memory, 200 << 20);
}

static void populate(void)
{
	mmap(NULL, 200 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
	     -1, 0);
}

static void move_far(void)
{
	char *to = mmap(NULL, 200 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mremap(memory, 200 << 20, 200 << 20, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

static void lock_areas(void)
{
	mlock2(memory, 60000 * 8192L, MLOCK_ONFAULT);
	munlockall();
	madvise(memory, 60000 * 8192L, MADV_DONTFORK);
	madvise(memory, 60000 * 8192L, MADV_DONTNEED);
}

static void long_arguments(void)
{
	enum { N = 30000 };
	static char *argv[N + 1];
	static char text[] = "an argument of a program, one of very many: sixty bytes or so";

	for (int i = 0; i < N; i++)
		argv[i] = text;
	pid_t pid = fork();
	if (pid == 0) {
		execv("/nowhere", argv);
		execv("/proc/self/exe", argv);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* --- sockets and pipes --- */

static void backlog(void)
{
	struct sockaddr_un a = { AF_UNIX, "/in/s" };

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	OK(bind(fd, (struct sockaddr *)&a, sizeof a));
	OK(listen(fd, 4096));
	for (int i = 0; i < 4096; i++) {
		int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(s, (struct sockaddr *)&a, sizeof a))
			break;
	}
}

static void passed(void)
{
	int s[2];

	for (int n = 0; n < 200 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0; n++)
		for (int k = 0; k < 100; k++) {
			union {
				char bytes[CMSG_SPACE(200 * sizeof(int))];
				struct cmsghdr align;
			} c;
			struct iovec v = { "x", 1 };
			struct msghdr m = { .msg_iov = &v,
					    .msg_iovlen = 1,
					    .msg_control = &c,
					    .msg_controllen = sizeof c };
			struct cmsghdr *h = CMSG_FIRSTHDR(&m);
			*h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(200 * sizeof(int)),
					       .cmsg_level = SOL_SOCKET,
					       .cmsg_type = SCM_RIGHTS };
			for (int i = 0; i < 200; i++)
				((int *)CMSG_DATA(h))[i] = 0;
			if (sendmsg(s[0], &m, 0) < 0)
				break;
		}
	fd = s[1];
}

static void read_passed(void)
{
	static char buffer[1 << 16];
	read(fd, buffer, sizeof buffer);
	syscall(SYS_close_range, 3, ~0u, 0);
}

STALL(terminal_input, terminal, type_on_terminal)
STALL(locks_merged, many_locks, lock_all)
STALL(locks_dropped, many_locks, unlock_all)
STALL(locks_closed, many_locks, close_lock)
STALL(descriptors, many_descriptors, close_all)
STALL(polled, many_descriptors, poll_all)
STALL(signalled, many_processes, signal_all)
STALL(reniced, many_processes, renice_all)
STALL(killed, many_processes, kill_all)
STALL(listed, many_zombies, list_processes)
STALL(reaped, many_zombies, reap_all)
STALL(woken, many_waiters, requeue_and_wake)
STALL(threads_ended, many_waiters, exec_threads)
STALL(timers, many_timers, end_timers)
STALL(signals, many_signals, ignore_signals)
STALL(areas_protected, many_areas, protect_areas)
STALL(areas_unmapped, many_areas, unmap_areas)
STALL(areas_forked, many_areas, fork_areas)
STALL(areas_read, maps, read_maps)
STALL(memory_protected, much_memory, protect_memory)
STALL(memory_moved, much_memory, move_memory)
STALL(memory_dropped, much_memory, drop_memory)
STALL(memory_looked_at, much_memory, mincore_memory)
STALL(populated, NULL, populate)
STALL(arguments, NULL, long_arguments)
STALL(connections, backlog, close_all)
STALL(passed_descriptors, passed, read_passed)
STALL(memory_moved_far, much_memory, move_far)
STALL(areas_locked, many_areas, lock_areas)

static const struct tap_case cases[] = {
	T(terminal_input),   T(locks_merged),	  T(locks_dropped),
	T(locks_closed),     T(descriptors),	  T(polled),
	T(signalled),	     T(reniced),	  T(killed),
	T(listed),	     T(reaped),		  T(woken),
	T(threads_ended),    T(timers),		  T(signals),
	T(areas_protected),  T(areas_unmapped),	  T(areas_forked),
	T(areas_read),	     T(memory_protected), T(memory_moved),
	T(memory_dropped),   T(memory_looked_at), T(populated),
	T(arguments),	     T(connections),	  T(passed_descriptors),
	T(memory_moved_far), T(areas_locked),
};

int main(int argc, char **argv)
{
	return stall_init() ? TAP_RUN(cases, argc, argv) : 1;
}
