/* SPDX-License-Identifier: MIT */
/*
 * attackers.h - what a container does that does its worst, for neighbours.c: each of these goes on for
 * ever, with /in on a tmpfs of its own and /tmp on the disk, and takes refusals as they come.
 */
#ifndef TESTS_GUEST_ATTACKERS_H
#define TESTS_GUEST_ATTACKERS_H

#include "cont.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/futex.h>

/* Without PAUSE, for which an emulator that takes the CPUs in turn goes on to the next one. */
static void compute(int n)
{
	for (volatile int i = 0; i < n; i++)
		;
}

/* n more processes that do the same. */
static void many(int n)
{
	for (int i = 0; i < n; i++)
		if (fork() == 0)
			break;
}

static void do_fork_bomb(void)
{
	for (;;)
		if (fork() < 0)
			sched_yield();
}

static void *idle_thread(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void do_threads(void)
{
	pthread_attr_t small;
	pthread_t t;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 16384);
	many(3);
	for (;;) {
		pid_t pid = fork();
		if (pid == 0) {
			while (pthread_create(&t, &small, idle_thread, NULL) == 0)
				;
			_exit(0); /* all the threads end at once */
		}
		while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

static void do_descriptors(void)
{
	struct rlimit r = { 1 << 20, 1 << 20 };

	setrlimit(RLIMIT_NOFILE, &r);
	many(4);
	for (;;) {
		int s[2], n = 0;
		while (socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && eventfd(0, 0) >= 0 &&
		       dup(s[0]) >= 0 && n < 20000)
			n++;
		syscall(SYS_close_range, 3, ~0u, 0);
	}
}

static void do_inodes(void)
{
	char name[64];

	for (;;) {
		int n = 0;
		for (;; n++) {
			snprintf(name, sizeof name, "/in/%d", n);
			int fd = open(name, O_CREAT | O_WRONLY, 0600);
			if (fd < 0)
				break;
			close(fd);
		}
		while (n--) {
			snprintf(name, sizeof name, "/in/%d", n);
			unlink(name);
		}
	}
}

static void do_disk(void)
{
	static char block[65536];
	char name[64];

	many(4);
	for (int n = 0;; n++) {
		snprintf(name, sizeof name, "/tmp/%d.%d", getpid(), n % 8);
		int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
		for (int i = 0; i < 16; i++) {
			if (write(fd, block, sizeof block) < 0)
				break;
			fsync(fd);
		}
		close(fd);
		if (n % 8 == 7)
			sync();
	}
}

static void do_names(void)
{
	char name[300];
	struct stat st;

	many(4);
	for (long n = 0;; n++) {
		snprintf(name, sizeof name, "/in/%0200ld.%d", n, getpid());
		stat(name, &st);
		snprintf(name, sizeof name, "/tmp/%0200ld.%d", n, getpid());
		stat(name, &st);
		snprintf(name, sizeof name, "/proc/%ld/%ld", n % 60, n);
		stat(name, &st);
	}
}

static void do_buffers(void)
{
	static char block[65536];

	many(4);
	for (;;) {
		int p[2], s[2], n = 0;
		while (n++ < 400 && pipe2(p, O_NONBLOCK) == 0 &&
		       socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0) {
			while (write(p[1], block, sizeof block) > 0)
				;
			while (write(s[1], block, sizeof block) > 0)
				;
		}
		syscall(SYS_close_range, 3, ~0u, 0);
	}
}

static void do_page_cache(void)
{
	static char block[65536];
	int fd = open("/tmp/large", O_RDWR | O_CREAT | O_TRUNC, 0600);

	for (int i = 0; i < 800; i++) /* twice what it may have */
		if (write(fd, block, sizeof block) < 0)
			break;
	many(2);
	for (;;)
		for (long at = 0; at < 800 * 65536L; at += sizeof block)
			pread(fd, block, sizeof block, at);
}

static void do_memory(void)
{
	for (;;) {
		pid_t pid = fork();
		if (pid == 0)
			for (;;) {
				char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
				if (m != MAP_FAILED)
					memset(m, 1, 1 << 20);
			}
		waitpid(pid, NULL, 0);
	}
}

static void do_page_tables(void)
{
	for (;;) {
		pid_t pid = fork();
		if (pid == 0) {
			char *m = mmap(NULL, 1L << 44, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
			if (m == MAP_FAILED)
				_exit(1);
			for (long at = 0; at < 1L << 44; at += 1L << 30)
				m[at] = 1;
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void on_signal(int s)
{
	(void)s;
}

static void do_timers(void)
{
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec each = { { 0, 1000 }, { 0, 1000 } };
	struct itimerval often = { { 0, 1 }, { 0, 1 } };
	timer_t t;

	signal(SIGRTMIN, on_signal);
	signal(SIGUSR1, on_signal);
	signal(SIGALRM, on_signal);
	signal(SIGPROF, on_signal);
	signal(SIGRTMIN + 1, SIG_IGN);
	many(8);
	setitimer(ITIMER_REAL, &often, NULL);
	setitimer(ITIMER_PROF, &often, NULL);
	for (int i = 0; i < 200; i++) {
		e.sigev_signo = SIGRTMIN + i % 2;
		e.sigev_notify = i % 3 ? SIGEV_SIGNAL : SIGEV_NONE;
		if (timer_create(CLOCK_MONOTONIC, &e, &t) == 0)
			timer_settime(t, 0, &each, NULL);
	}
	for (;;) {
		kill(0, SIGUSR1);
		for (int i = 0; i < 50; i++)
			raise(SIGRTMIN);
	}
}

static void do_futex(void)
{
	int *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	many(40);
	for (unsigned n = getpid();; n++) {
		struct timespec soon = { 0, 50000 };
		syscall(SYS_futex, &word[n % 1000], FUTEX_WAIT, 0, &soon);
		syscall(SYS_futex, &word[n % 1000], FUTEX_WAKE, 1000);
		syscall(SYS_futex, &word[n % 1000], FUTEX_CMP_REQUEUE, 1000, 1000, &word[n % 7], 0);
	}
}

static void do_renames(void)
{
	char a[64], b[64];

	mkdir("/in/a", 0755);
	mkdir("/in/b", 0755);
	many(8);
	snprintf(a, sizeof a, "/in/a/%d", getpid());
	snprintf(b, sizeof b, "/in/b/%d", getpid());
	mkdir(a, 0755);
	for (;;) {
		rename(a, b);
		rename(b, a);
	}
}

static void do_terminal(void)
{
	static char block[8192];
	int n = 0, zero = 0;

	memset(block, 'x', sizeof block);
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	ioctl(master, 0x80045430 /* TIOCGPTN */, &n);
	ioctl(master, 0x40045431 /* TIOCSPTLCK */, &zero);
	char name[32];
	snprintf(name, sizeof name, "/dev/pts/%d", n);
	int slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	many(4);
	for (;;) {
		write(slave, block, sizeof block);
		write(master, block, sizeof block);
		read(master, block, sizeof block);
		read(slave, block, sizeof block);
		write(open("/dev/console", O_WRONLY | O_CLOEXEC), block, 100); /* none: fails */
		syscall(SYS_close_range, 20, ~0u, 0);
	}
}

static void do_objects(void)
{
	many(4);
	for (long n = 0;; n++) {
		struct sockaddr_un a = { .sun_family = AF_UNIX };
		snprintf(a.sun_path + 1, 100, "%ld.%d", n, getpid());
		int s = socket(AF_UNIX, SOCK_STREAM, 0);
		if (s < 0 || s > 900 || bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 100))
			syscall(SYS_close_range, 3, ~0u, 0);
		struct flock l = { .l_type = F_WRLCK, .l_start = n % 5000 * 2, .l_len = 1 };
		static int fd;
		if (!fd)
			fd = open("/in/locks", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fcntl(fd, F_SETLK, &l))
			fd = 0;
	}
}

static void do_exits(void)
{
	for (;;) {
		pid_t first = fork();
		if (first == 0) {
			setpgid(0, 0);
			for (int i = 0; i < 40; i++)
				if (fork() == 0)
					idle();
			kill(0, SIGKILL); /* all at once */
		}
		waitpid(first, NULL, 0);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

static void do_mappings(void)
{
	many(4);
	for (;;) {
		char *m[200];
		for (int i = 0; i < 200; i++) {
			m[i] = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				    -1, 0);
			if (m[i] != MAP_FAILED) {
				m[i][0] = 1;
				mprotect(m[i], 4096, PROT_READ);
			}
		}
		for (int i = 0; i < 200; i++)
			if (m[i] != MAP_FAILED)
				munmap(m[i], 8192);
	}
}

static void do_containers(void)
{
	many(4);
	for (;;) {
		struct container_spec s = spec_of("/");
		int c = syscall(SYS_spawncont, &s, sizeof s);
		if (c < 0)
			continue;
		pid_t pid = CFORK(c);
		if (pid == 0)
			_exit(0);
		(void)DESTROY(c);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
}

static void do_realtime(void)
{
	struct sched_param p = { .sched_priority = 99 };

	many(4);
	syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &p);
	setpriority(PRIO_PROCESS, 0, -20);
	for (;;) {
		compute(10000);
		sched_yield();
	}
}

/* Half a million descriptors in one table, which is copied, looked at and closed. */
static void do_tables(void)
{
	struct rlimit r = { 1 << 20, 1 << 20 };
	enum { N = 300000 };

	setrlimit(RLIMIT_NOFILE, &r);
	int fd = open("/in", O_RDONLY);
	for (int n = 0; n < N && dup(fd) >= 0; n++)
		;
	struct pollfd *p = calloc(N, sizeof *p);
	for (int i = 0; p && i < N; i++)
		p[i] = (struct pollfd){ i, POLLPRI, 0 };
	for (;;) {
		pid_t pid = fork();
		if (pid == 0) {
			if (p)
				poll(p, N, 0);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

/* Fifty thousand areas, forked and given back. */
static void do_areas(void)
{
	for (;;) {
		enum { N = 50000 };
		char *m = mmap(NULL, N * 8192L, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m == MAP_FAILED)
			continue;
		for (long i = 0; i < N; i++)
			if (mprotect(m + i * 8192, 4096, PROT_READ))
				break;
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
		munmap(m, N * 8192L);
	}
}

/* A filesystem full of files goes at once. */
static void do_unmounts(void)
{
	char name[64];

	for (;;) {
		if (mount("t", "/tmp", "tmpfs", 0, NULL))
			continue;
		for (int i = 0; i < 10000; i++) {
			snprintf(name, sizeof name, "/tmp/%d", i);
			if (mknod(name, S_IFREG | 0600, 0))
				break;
		}
		umount2("/tmp", MNT_DETACH);
	}
}

/* Entries of page tables without memory behind them: the page of zeros, read. */
static void do_zeros(void)
{
	long size = 2L << 30, n = 0;
	char *m = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (long at = 0; m != MAP_FAILED && at < size; at += 4096)
		n += m[at];
	for (;;) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(n);
		waitpid(pid, NULL, 0);
	}
}

#endif
