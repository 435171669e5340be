/* SPDX-License-Identifier: MIT */
/*
 * container_oom.c - bombs in a container whose only limit is its memory: whatever they are made of
 * and whatever they were doing when the killer came, the container stays within its limit, its end
 * takes all of them along, and its memory comes back.
 */
#include "cont.h"
#include "fail_nth.h"
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>

#define LIMIT (8 << 20)

/* --- bombs: each runs until it is killed --- */

static void forks(void)
{
	for (;;) {
		pid_t pid = fork();
		if (pid == 0)
			idle();
		if (pid < 0)
			sched_yield();
	}
}

static void forks_of_forks(void)
{
	for (;;)
		fork();
}

/* Each waits in the kernel for the next. */
static void vforks(void)
{
	for (;;) {
		pid_t pid = vfork();
		if (pid)
			sched_yield();
	}
}

static void *thread(void *arg)
{
	idle();
	return arg;
}

static void threads(void)
{
	pthread_attr_t a;
	pthread_t t;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 16 << 10);
	for (;;)
		if (pthread_create(&t, &a, thread, NULL)) {
			fork();
			sched_yield();
		}
}

/* No signal but SIGKILL reaches these. */
static void deaf_forks(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_IGN);
	forks_of_forks();
}

/* One address space with many threads, all in faults or waiting for its lock. */
static void *toucher(void *arg)
{
	for (;;) {
		char *m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
		if (m == MAP_FAILED)
			continue;
		for (size_t i = 0; i < 1 << 20; i += 4096)
			m[i] = 1;
	}
	return arg;
}

static void faults(void)
{
	pthread_t t;

	for (;;) {
		if (fork() == 0) {
			for (int i = 0; i < 4; i++)
				pthread_create(&t, NULL, toucher, NULL);
			toucher(NULL);
		}
		while (wait(NULL) > 0)
			;
	}
}

/* Killed while they wait for each other in a pipe, with the pipe's pages charged. */
static void pipes(void)
{
	static char page[65536];

	for (;;) {
		int p[2];
		if (pipe(p) < 0 || fork() == 0)
			for (;;)
				if (write(p[1], page, sizeof page) < 0)
					fork();
	}
}

/* --- cases --- */

static bool bomb_has_gone_off(int c)
{
	struct cinfo i = info_of(c);

	return i.memory_oom_kills || i.memory_peak > LIMIT / 8 * 7;
}

/* The case's own time is the bound: among a hundred busy processes this gets its turn seldom. */
static void bomb_await(int c)
{
	while (!bomb_has_gone_off(c))
		sleep_ms(2);
}

/* Pid 1 of a new container lights the bomb and reaps. */
static int bomb_light(void (*go)(void), pid_t *pid)
{
	int c = spawn_limited(CONTAINER_NO_LIMIT, LIMIT);

	CFORKED(*pid, c)
	{
		pid_t child;
		FORKED(child) go();
		for (;;)
			wait(NULL);
	}
	bomb_await(c);
	return c;
}

/* Ends it in one of the ways there are; what is left is killed by its destruction. */
static void bomb_end(int way, int c, pid_t pid)
{
	if (way == 0)
		OK(kill(pid, SIGKILL));
	else if (way == 1)
		OK(CSTOP(c));
	else if (way == 2 && CPAUSE(c) < 0)
		EQ(errno, EINVAL); /* its pid 1 was the victim */
	CHECK(info_of(c).memory_peak <= LIMIT);
	gone(c);
	EQ(reap(pid), 137);
}

static void bomb(void (*go)(void))
{
	world();
	for (int way = 0; way < 4; way++) {
		pid_t pid;
		int c = bomb_light(go, &pid);
		sleep_ms(20 * way); /* so that different things are under way */
		bomb_end(way, c, pid);
	}
}

static void bomb_of_forks(void)
{
	bomb(forks);
}

static void bomb_of_forks_of_forks(void)
{
	bomb(forks_of_forks);
}

static void bomb_of_vforks(void)
{
	bomb(vforks);
}

static void bomb_of_threads(void)
{
	bomb(threads);
}

static void bomb_that_is_deaf(void)
{
	bomb(deaf_forks);
}

static void bomb_of_faults(void)
{
	bomb(faults);
}

static void bomb_of_pipes(void)
{
	bomb(pipes);
}

/* The limit is the outer container's: the killer looks below it, the end takes both along. */
static void bomb_in_nested_container(void)
{
	world();
	for (int way = 0; way < 2; way++) {
		pid_t pid;
		int c = spawn_limited(CONTAINER_NO_LIMIT, LIMIT);

		CFORKED(pid, c)
		{
			struct container_spec s = spec_of("/");
			int inner = syscall(SYS_spawncont, &s, sizeof s);
			REQUIRE(inner > 0);
			pid_t child = CFORK(inner);
			if (child == 0)
				forks();
			for (;;)
				wait(NULL);
		}
		bomb_await(c);
		bomb_end(way, c, pid);
	}
}

/* Two at once do not hurt each other, or whom they share the machine with. */
static void bombs_side_by_side(void)
{
	pid_t pid[2];
	int c[2];

	world();
	c[0] = bomb_light(forks, &pid[0]);
	c[1] = bomb_light(pipes, &pid[1]);
	int quiet = spawn_limited(CONTAINER_NO_LIMIT, LIMIT);
	pid_t calm;
	CFORKED(calm, quiet)
	{
		for (int i = 0; i < 10; i++) {
			pid_t child;
			FORKED(child) _exit(7);
			EQ(reap(child), 7);
		}
	}
	EQ(reap(calm), 0);
	EQ(info_of(quiet).memory_oom_kills, 0);
	gone(quiet);
	for (int i = 0; i < 2; i++)
		bomb_end(i, c[i], pid[i]);
}

/* Asks for the pipe's lock again and again, with memory that makes it the first to be chosen. */
_Noreturn static void lock_waiter(int fd)
{
	static char big[3000 << 10];
	int n;

	memset(big, 1, sizeof big);
	__atomic_add_fetch(&WORD(0), 1, __ATOMIC_SEQ_CST);
	for (;;)
		ioctl(fd, FIONREAD, &n);
}

/* Reads from a pipe into memory that is not there yet: it faults with the pipe's lock held. */
_Noreturn static void lock_holder(int p[2])
{
	static char data[65536];

	for (;;) {
		char *m = mmap(NULL, sizeof data, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m == MAP_FAILED)
			_exit(0);
		if (write(p[1], data, sizeof data) < 0 || read(p[0], m, sizeof data) < 0)
			_exit(0);
	}
}

/* A victim that waits for a lock whose holder waits for the victim's memory. */
static void victim_waits_for_lock(void)
{
	world();
	for (int round = 0; round < 4; round++) {
		pid_t pid;
		int c = spawn_limited(CONTAINER_NO_LIMIT, LIMIT);

		CFORKED(pid, c)
		{
			int p[2];
			OK(pipe2(p, O_NONBLOCK));
			for (int i = 0; i < 2; i++)
				if (fork() == 0)
					lock_waiter(p[0]);
			AWAIT(WORD(0) == 2);
			WORD(0) = 0;
			pid_t holder = fork();
			if (holder == 0)
				lock_holder(p);
			EQ(reap(holder), 137); /* it grows until it is the largest */
			kill(-1, SIGKILL);
		}
		EQ(reap(pid), 0);
		CHECK(info_of(c).memory_oom_kills > 0);
		gone(c);
	}
}

/* Each allocation of a fork fails once: what was begun is undone, and the container can end. */
static void fork_that_fails(void)
{
	pid_t pid;

	world();
	fail_nth_required();
	int c = spawn();
	CFORKED(pid, c)
	{
		for (int n = 1; n < 200; n++) {
			int fd = fail_nth_open();
			fail_nth(fd, n);
			pid_t child = fork();
			if (child == 0)
				_exit(0);
			fail_none(fd);
			close(fd);
			WORD(0) = n;
			if (child > 0) {
				EQ(reap(child), 0);
				break;
			}
			EQ(errno, ENOMEM);
		}
		CHECK(WORD(0) > 5 && WORD(0) < 199);
	}
	EQ(reap(pid), 0);
	EQ(info_of(c).state, CONTAINER_STOPPED);
	gone(c);
}

static const struct tap_case cases[] = {
	T(fork_that_fails),    T(bomb_of_forks),	 T(bomb_of_forks_of_forks),
	T(bomb_of_vforks),     T(bomb_of_threads),	 T(bomb_that_is_deaf),
	T(bomb_of_faults),     T(bomb_of_pipes),	 T(bomb_in_nested_container),
	T(bombs_side_by_side), T(victim_waits_for_lock),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
