/* SPDX-License-Identifier: MIT */ /* build: both */
/*
 * proc_thread.c - threads: clone and clone3 with their flags, pthreads on top of them,
 * set_tid_address, robust lists, thread groups and their end.
 */
#include "tap.h"
#include <linux/futex.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

struct clone3_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	uint64_t set_tid, set_tid_size, cgroup;
};

static void *plus_one(void *arg)
{
	return (char *)arg + 1;
}

static void create_and_join(void)
{
	pthread_t t[50];
	void *result;

	for (long i = 0; i < 50; i++)
		EQ(pthread_create(&t[i], NULL, plus_one, (void *)i), 0);
	for (long i = 0; i < 50; i++) {
		EQ(pthread_join(t[i], &result), 0);
		EQ((long)result, i + 1);
	}
	for (int i = 0; i < 300; i++) {
		EQ(pthread_create(&t[0], NULL, plus_one, NULL), 0);
		EQ(pthread_join(t[0], NULL), 0);
	}
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;

static void *count_up(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void *take_turns(void *arg)
{
	long me = (long)arg;

	for (int round = 0; round < 200; round++) {
		pthread_mutex_lock(&mutex);
		while (counter % 4 != me)
			pthread_cond_wait(&cond, &mutex);
		counter++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void mutex_and_condition(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, count_up, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	EQ(counter, 80000);
	counter = 0;
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, take_turns, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	EQ(counter, 800);
	struct timespec at;
	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += 50000000;
	if (at.tv_nsec >= 1000000000)
		at.tv_sec++, at.tv_nsec -= 1000000000;
	pthread_mutex_lock(&mutex);
	EQ(pthread_cond_timedwait(&cond, &mutex, &at), ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
}

static __thread int local = 5;
static pthread_key_t key;
static volatile int destroyed;

static void destroy(void *p)
{
	destroyed += (int)(long)p;
}

static void *use_locals(void *arg)
{
	EQ(local, 5);
	local = (int)(long)arg;
	pthread_setspecific(key, arg);
	sched_yield();
	EQ(local, (int)(long)arg);
	return NULL;
}

static void thread_locals(void)
{
	pthread_t t[8];

	pthread_key_create(&key, destroy);
	for (long i = 1; i <= 8; i++)
		pthread_create(&t[i - 1], NULL, use_locals, (void *)i);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	EQ(local, 5);
	EQ(destroyed, 36);
}

static volatile int cleaned;

static void cleanup(void *p)
{
	(void)p;
	cleaned = 1;
}

static void *cancel_me(void *arg)
{
	pthread_cleanup_push(cleanup, NULL);
	if (arg)
		read(*(int *)arg, &(char){ 0 }, 1);
	else
		for (;;)
			sleep(100);
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancellation(void)
{
	pthread_t t;
	void *result;
	int p[2];

	OK(pipe(p));
	for (int way = 0; way < 2; way++) {
		cleaned = 0;
		pthread_create(&t, NULL, cancel_me, way ? p : NULL);
		sleep_ms(30);
		EQ(pthread_cancel(t), 0);
		EQ(pthread_join(t, &result), 0);
		CHECK(result == PTHREAD_CANCELED);
		EQ(cleaned, 1);
	}
	close(p[0]);
	close(p[1]);
}

static void *tell_ids(void *arg)
{
	pid_t *id = arg;

	id[0] = getpid();
	id[1] = syscall(SYS_gettid);
	id[2] = getppid();
	return NULL;
}

static void identities(void)
{
	pthread_t t;
	pid_t id[3];

	pthread_create(&t, NULL, tell_ids, id);
	pthread_join(t, NULL);
	EQ(id[0], getpid());
	CHECK(id[1] != getpid());
	EQ(id[2], getppid());
	/* it may still be on its way out when join returns (CLONE_CHILD_CLEARTID comes before the
	 * end) */
	AWAIT(syscall(SYS_tgkill, getpid(), id[1], 0) < 0);
	EQ(errno, ESRCH);
	ERR(syscall(SYS_tgkill, 0, getpid(), 0), EINVAL);
	ERR(syscall(SYS_tgkill, getpid(), -1, 0), EINVAL);
	OK(syscall(SYS_tgkill, getpid(), getpid(), 0));
	ERR(syscall(SYS_tgkill, getppid(), getpid(), 0), ESRCH);
	ERR(syscall(SYS_tkill, 0, 0), EINVAL);
}

static void *exit_group_in_a_while(void *arg)
{
	(void)arg;
	sleep_ms(20);
	_exit(9);
}

static void *loop(void *arg)
{
	for (;;)
		if (arg)
			pause();
	return NULL;
}

/* Ends of the group: exit_group by any thread, a signal, the leader first, all one by one. */
static void ends_of_groups(void)
{
	for (int way = 0; way < 4; way++) {
		pid_t pid;
		FORKED(pid)
		{
			pthread_t t;
			for (int i = 0; i < 4; i++)
				pthread_create(&t, NULL, loop, i % 2 ? &t : NULL);
			if (way == 0) {
				pthread_create(&t, NULL, exit_group_in_a_while, NULL);
				loop(&t);
			} else if (way == 1) {
				pthread_create(&t, NULL, exit_group_in_a_while, NULL);
				syscall(SYS_exit, 3); /* the leader only */
			} else if (way == 2) {
				WORD(0) = 1;
				loop(NULL);
			} else {
				_exit(9);
			}
		}
		if (way == 2) {
			AWAIT(WORD(0));
			kill(pid, SIGTERM);
		}
		EQ(reap(pid), way == 2 ? 128 + SIGTERM : 9);
	}
}

static void *late_end(void *arg)
{
	sleep_ms(50);
	WORD(1) = 1;
	syscall(SYS_exit, 7);
	return arg;
}

/* The leader's end is seen only when the last thread has gone, and with that one's code. */
static void leader_goes_first(void)
{
	pid_t pid;

	FORKED(pid)
	{
		pthread_t t;
		pthread_create(&t, NULL, late_end, NULL);
		syscall(SYS_exit, 3);
	}
	EQ(reap(pid), 7);
	EQ(WORD(1), 1);
}

static char stack[65536] __attribute__((aligned(16)));

static int child_of_clone(void *arg)
{
	WORD(0) = getppid();
	WORD(1) = getpid();
	*(int *)arg = 9;
	return 12;
}

static void clone_flags(void)
{
	volatile int value = 0;
	int tid = 0, status;
	pid_t pid = clone(child_of_clone, stack + sizeof stack, CLONE_VM | SIGCHLD, (void *)&value);

	REQUIRE(pid > 0);
	EQ(reap(pid), 12);
	EQ(value, 9);
	EQ(WORD(0), getpid());
	EQ(WORD(1), pid);
	/* without a signal: waited for with __WCLONE or __WALL only */
	pid = clone(child_of_clone, stack + sizeof stack, 0, (void *)&value);
	REQUIRE(pid > 0);
	ERR(wait4(pid, &status, 0, NULL), ECHILD);
	EQ(wait4(pid, &status, 0x80000000, NULL), pid);
	/* the new id at both ends */
	pid = syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &tid,
		      &tap->word[5], 0);
	if (pid == 0)
		_exit(WORD(5) == syscall(SYS_getpid) ? 0 : 1);
	EQ(tid, pid);
	EQ(reap(pid), 0);
	/* CLONE_PARENT: a sibling */
	pid_t middle;
	FORKED(middle)
	{
		pid_t sibling = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
		if (sibling == 0)
			_exit(17);
		WORD(6) = sibling;
		ERR(wait4(sibling, &status, 0, NULL), ECHILD);
	}
	EQ(reap(middle), 0);
	EQ(reap(WORD(6)), 17);
	static const unsigned long bad[] = { CLONE_THREAD, CLONE_SIGHAND, CLONE_THREAD | CLONE_VM,
					     CLONE_FS | CLONE_NEWNS };
	for (size_t i = 0; i < COUNT(bad); i++)
		ERR(syscall(SYS_clone, bad[i] | SIGCHLD, 0, 0, 0, 0), EINVAL);
}

/* What is shared with CLONE_FILES and CLONE_FS, and what is copied without. */
static void sharing(void)
{
	for (int share = 0; share < 2; share++) {
		unsigned long flags = share ? CLONE_FILES | CLONE_FS : 0;
		char here[64] = "";
		OK(chdir("/"));
		pid_t pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
		if (pid == 0) {
			int fd = open("/dev/null", O_RDONLY);
			dup2(fd, 100);
			close(fd);
			chdir("/proc");
			_exit(0);
		}
		EQ(reap(pid), 0);
		EQ(fcntl(100, F_GETFD) >= 0, share);
		getcwd(here, sizeof here);
		STREQ(here, share ? "/proc" : "/");
		close(100);
	}
}

static void clone3_call(void)
{
	int parent_tid = 0;
	struct clone3_args a = { .exit_signal = SIGCHLD,
				 .flags = CLONE_PARENT_SETTID,
				 .parent_tid = (uintptr_t)&parent_tid };
	unsigned char big[256] = { 0 };

	pid_t pid = syscall(SYS_clone3, &a, sizeof a);
	if (pid < 0 && errno == ENOSYS)
		SKIP("no clone3");
	if (pid == 0)
		_exit(3);
	EQ(parent_tid, pid);
	EQ(reap(pid), 3);
	memset(&a, 0, sizeof a);
	a.exit_signal = SIGCHLD;
	pid = syscall(SYS_clone3, &a, 64); /* the oldest size */
	if (pid == 0)
		_exit(4);
	EQ(reap(pid), 4);
	memcpy(big, &a, sizeof a);
	pid = syscall(SYS_clone3, big, sizeof big); /* a longer one with a zero tail */
	if (pid == 0)
		_exit(5);
	EQ(reap(pid), 5);
	big[200] = 1;
	ERR(syscall(SYS_clone3, big, sizeof big), E2BIG);
	ERR(syscall(SYS_clone3, &a, 63), EINVAL);
	ERR(syscall(SYS_clone3, &a, 5000), E2BIG);
	ERR(syscall(SYS_clone3, (void *)8, sizeof a), EFAULT);
	static const struct clone3_args bad[] = {
		{ .flags = SIGCHLD }, /* the signal does not stand in flags here */
		{ .exit_signal = 65 },
		{ .exit_signal = SIGCHLD, .stack = 0x1000 },
		{ .exit_signal = SIGCHLD, .stack_size = 0x1000 },
		{ .exit_signal = SIGCHLD, .flags = CLONE_THREAD },
		{ .exit_signal = SIGCHLD, .flags = CLONE_SIGHAND },
		{ .exit_signal = SIGCHLD, .flags = CLONE_DETACHED },
		{ .exit_signal = SIGCHLD, .flags = 1ULL << 40 },
		{ .exit_signal = SIGCHLD, .set_tid_size = 1 },
	};
	for (size_t i = 0; i < COUNT(bad); i++)
		ERR(syscall(SYS_clone3, &bad[i], sizeof bad[i]), EINVAL);
}

static int short_sleep(void *arg)
{
	struct timespec t = { 0, 30000000 };

	nanosleep(&t, NULL);
	if (arg)
		syscall(SYS_set_tid_address, arg);
	syscall(SYS_exit, 0);
	return 0;
}

/*
 * CLONE_CHILD_CLEARTID and set_tid_address: at the end the word is zeroed and its waiter woken,
 * if somebody else still has the memory.
 */
static void clear_child_tid(void)
{
	static volatile int word[2];

	for (int way = 0; way < 2; way++) {
		word[0] = word[1] = -1;
		pid_t pid = clone(short_sleep, stack + sizeof stack,
				  CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD,
				  way ? (void *)&word[1] : NULL, NULL, NULL, (void *)&word[0]);
		REQUIRE(pid > 0);
		struct timespec limit = { 20, 0 };
		while (word[way] && !syscall(SYS_futex, &word[way], FUTEX_WAIT, -1, &limit, 0, 0))
			;
		EQ(word[way], 0);
		EQ(word[!way], -1);
		EQ(reap(pid), 0);
	}
}

struct robust {
	struct robust_list node;
	int word;
};

/* A lock whose holder dies is marked, and one who waits is woken. */
static void robust_lists(void)
{
	static struct {
		struct robust_list_head head;
		struct robust one;
	} * r;
	pid_t pid, waiter;

	r = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	FORKED(pid)
	{
		r->head.list.next = &r->one.node;
		r->head.futex_offset = offsetof(struct robust, word);
		r->one.node.next = &r->head.list;
		r->one.word = getpid() | FUTEX_WAITERS;
		OK(syscall(SYS_set_robust_list, &r->head, sizeof r->head));
		struct robust_list_head *got;
		size_t size;
		OK(syscall(SYS_get_robust_list, 0, &got, &size));
		CHECK(got == &r->head);
		EQ(size, 24);
		ERR(syscall(SYS_set_robust_list, &r->head, 8), EINVAL);
		WORD(0) = 1;
		AWAIT(WORD(1));
	}
	AWAIT(WORD(0));
	int held = r->one.word;
	FORKED(waiter)
	{
		struct timespec limit = { 20, 0 };
		while (r->one.word == held)
			if (syscall(SYS_futex, &r->one.word, FUTEX_WAIT, held, &limit, 0, 0) &&
			    errno == ETIMEDOUT)
				_exit(1);
	}
	await_asleep(waiter);
	WORD(1) = 1;
	EQ(reap(pid), 0);
	EQ(reap(waiter), 0);
	EQ(r->one.word, (int)(FUTEX_OWNER_DIED | FUTEX_WAITERS));
	ERR(syscall(SYS_get_robust_list, 999999, &held, &held), ESRCH);
	munmap(r, 4096);
}

static void *hold(void *m)
{
	pthread_mutex_lock(m);
	return NULL;
}

static void robust_mutex(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	pthread_t t;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&m, &attr);
	pthread_create(&t, NULL, hold, &m);
	pthread_join(t, NULL);
	EQ(pthread_mutex_lock(&m), EOWNERDEAD);
	EQ(pthread_mutex_consistent(&m), 0);
	pthread_mutex_unlock(&m);
}

static volatile pid_t handled_by;

static void note_thread(int s)
{
	(void)s;
	handled_by = syscall(SYS_gettid);
}

static volatile int ready, finish;

static void *wait_for_signal(void *arg)
{
	*(pid_t *)arg = syscall(SYS_gettid);
	ready = 1;
	while (!finish)
		usleep(1000);
	return NULL;
}

static void signals_to_threads(void)
{
	pthread_t t;
	volatile pid_t tid;
	sigset_t set;

	ready = finish = 0;
	signal(SIGUSR1, note_thread);
	pthread_create(&t, NULL, wait_for_signal, (void *)&tid);
	AWAIT(ready);
	OK(syscall(SYS_tgkill, getpid(), tid, SIGUSR1));
	AWAIT(handled_by == tid);
	OK(syscall(SYS_tkill, tid, SIGUSR1));
	/* one for the process goes to a thread that does not block it */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	handled_by = 0;
	OK(kill(getpid(), SIGUSR1));
	AWAIT(handled_by == tid);
	/* and kill may name the process by the id of any thread */
	handled_by = 0;
	OK(kill(tid, SIGUSR1));
	AWAIT(handled_by == tid);
	finish = 1;
	pthread_join(t, NULL);
}

static void *fork_in_thread(void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(getpid() == syscall(SYS_gettid) ? 0 : 1);
	*(int *)arg = reap(pid);
	return NULL;
}

static void fork_by_a_thread(void)
{
	pthread_t t;
	int code = -1;

	pthread_create(&t, NULL, fork_in_thread, &code);
	pthread_join(t, NULL);
	EQ(code, 0);
	/* a thread may wait for the child of another */
	pid_t pid;
	FORKED(pid) _exit(8);
	EQ(reap(pid), 8);
}

static void *exits_at_once(void *arg)
{
	return arg;
}

/* Threads that come and go in several processes at once, on all CPUs. */
static void storm(void)
{
	pid_t pid[3];

	for (int i = 0; i < 3; i++)
		FORKED(pid[i])
		{
			for (int k = 0; k < 60; k++) {
				pthread_t t[4];
				for (int n = 0; n < 4; n++)
					REQUIRE(!pthread_create(&t[n], NULL, exits_at_once, NULL));
				for (int n = 0; n < 4; n++)
					pthread_join(t[n], NULL);
			}
		}
	for (int i = 0; i < 3; i++)
		EQ(reap(pid[i]), 0);
}

static const struct tap_case cases[] = {
	T(create_and_join), T(mutex_and_condition), T(thread_locals),	T(cancellation),
	T(identities),	    T(ends_of_groups),	    T(clone_flags),	T(leader_goes_first),
	T(sharing),	    T(clone3_call),	    T(clear_child_tid), T(robust_lists),
	T(robust_mutex),    T(fork_by_a_thread),    T(storm),		T(signals_to_threads),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
