/* SPDX-License-Identifier: MIT */
/*
 * futex.c - wait, wake, bitsets, requeue, time-outs, between threads and between processes.
 */
#include "tap.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>

static long futex(volatile int *word, int op, int value, const void *timeout, volatile int *other,
		  int value3)
{
	return syscall(SYS_futex, word, op, value, timeout, other, value3);
}

/* A child that waits on a word and says how it ended: 0, or errno. */
static pid_t waiter(int word, int op, int value, unsigned int bits)
{
	pid_t pid;

	FORKED(pid)
	{
		struct timespec limit = { 30, 0 };
		long r = futex(&tap->word[word], op, value,
			       (op & 0x7f) == FUTEX_WAIT ? &limit : NULL, NULL, bits);
		_exit(r == 0 ? 0 : errno);
	}
	REQUIRE(pid > 0);
	return pid;
}

static int private_word;

static void immediate(void)
{
	struct timespec t = { 0, 30000000 }, bad = { 0, 1000000000 }, at;

	ERR(futex(&private_word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	EQ(futex(&private_word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	long long start = now_ms();
	ERR(futex(&private_word, FUTEX_WAIT, 0, &t, NULL, 0), ETIMEDOUT);
	CHECK(now_ms() - start >= 29);
	ERR(futex(&private_word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0), ETIMEDOUT);
	ERR(futex(&private_word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
	bad = (struct timespec){ -1, 0 };
	ERR(futex(&private_word, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
	/* WAIT_BITSET: absolute, monotonic or real time */
	for (int real = 0; real < 2; real++) {
		clock_gettime(real ? CLOCK_REALTIME : CLOCK_MONOTONIC, &at);
		at.tv_nsec += 30000000;
		if (at.tv_nsec >= 1000000000)
			at.tv_sec++, at.tv_nsec -= 1000000000;
		start = now_ms();
		ERR(futex(&private_word, FUTEX_WAIT_BITSET | (real ? FUTEX_CLOCK_REALTIME : 0), 0,
			  &at, NULL, -1),
		    ETIMEDOUT);
		CHECK(now_ms() - start >= 28 && now_ms() - start < 10000);
	}
	at = (struct timespec){ 0, 0 }; /* in the past */
	ERR(futex(&private_word, FUTEX_WAIT_BITSET, 0, &at, NULL, -1), ETIMEDOUT);
	ERR(futex(&private_word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	ERR(futex(&private_word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
	ERR(futex((int *)((char *)&private_word + 1), FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
	ERR(futex((int *)8, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	ERR(futex((int *)8, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
	EQ(futex((int *)8, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0); /* not looked at */
	ERR(futex(&private_word, FUTEX_WAIT, 0, (void *)8, NULL, 0), EFAULT);
	ERR(futex((int *)0xffffffff80000000, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	ERR(futex(&private_word, 99, 0, NULL, NULL, 0), ENOSYS);
	ERR(futex(&private_word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
}

static volatile int many_word, many_awake;

static void *one_of_many(void *arg)
{
	__atomic_fetch_add(&many_awake, 1, __ATOMIC_SEQ_CST);
	while (!many_word)
		futex(&many_word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return arg;
}

/* More than are woken in one go: the number of those who were, and nobody twice. */
static void waking_many(void)
{
	enum { N = 150 };
	pthread_t t[N];
	long woken = 0;

	many_word = many_awake = 0;
	for (int i = 0; i < N; i++)
		REQUIRE(pthread_create(&t[i], NULL, one_of_many, NULL) == 0);
	/* all sleep when all are moved: they stay where they are, on the same word */
	while (futex(&many_word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)(long)N,
		     (volatile int *)&many_word + 0, 0) < N)
		sched_yield();
	EQ(futex(&many_word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 100);
	while (futex(&many_word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)(long)N,
		     (volatile int *)&many_word + 0, 0) < N)
		sched_yield(); /* they sleep again */
	many_word = 1;
	woken = futex(&many_word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
	EQ(woken, N);
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	EQ(futex(&many_word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0), 0);
}

/* A count of none or less wakes one. */
static void waking_none(void)
{
	for (int n = 0; n >= -1; n--) {
		pid_t pid[2] = { waiter(0, FUTEX_WAIT, 0, 0), waiter(0, FUTEX_WAIT, 0, 0) };

		while (futex(&tap->word[0], FUTEX_CMP_REQUEUE, 0, (void *)2L, &tap->word[0], 0) < 2)
			sched_yield();
		EQ(futex(&tap->word[0], FUTEX_WAKE, n, NULL, NULL, 0), 1);
		EQ(futex(&tap->word[0], FUTEX_WAKE, 2, NULL, NULL, 0), 1);
		EQ(reap(pid[0]), 0);
		EQ(reap(pid[1]), 0);
	}
}

static void waking(void)
{
	pid_t pid[5];

	for (int i = 0; i < 5; i++) {
		pid[i] = waiter(0, FUTEX_WAIT, 0, 0);
		await_asleep(pid[i]);
	}
	EQ(futex(&tap->word[0], FUTEX_WAKE, 2, NULL, NULL, 0), 2);
	/* first come, first served */
	EQ(reap(pid[0]), 0);
	EQ(reap(pid[1]), 0);
	EQ(waitpid(pid[2], NULL, WNOHANG), 0);
	EQ(futex(&tap->word[0], FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0), 3);
	for (int i = 2; i < 5; i++)
		EQ(reap(pid[i]), 0);
	EQ(futex(&tap->word[0], FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

static void bitsets(void)
{
	pid_t a = waiter(0, FUTEX_WAIT_BITSET, 0, 1), b = waiter(0, FUTEX_WAIT_BITSET, 0, 2),
	      c = waiter(0, FUTEX_WAIT, 0, 0);

	await_asleep(a);
	await_asleep(b);
	await_asleep(c);
	EQ(futex(&tap->word[0], FUTEX_WAKE_BITSET, 10, NULL, NULL, 4),
	   1); /* the plain wait: all bits */
	EQ(reap(c), 0);
	EQ(futex(&tap->word[0], FUTEX_WAKE_BITSET, 10, NULL, NULL, 2), 1);
	EQ(reap(b), 0);
	EQ(futex(&tap->word[0], FUTEX_WAKE, 10, NULL, NULL, 0), 1);
	EQ(reap(a), 0);
}

static void requeueing(void)
{
	pid_t pid[4];

	for (int i = 0; i < 4; i++) {
		pid[i] = waiter(0, FUTEX_WAIT, 0, 0);
		await_asleep(pid[i]);
	}
	WORD(0) = 5;
	ERR(futex(&tap->word[0], FUTEX_CMP_REQUEUE, 1, (void *)1, &tap->word[1], 0), EAGAIN);
	/* one woken, two moved: CMP_REQUEUE counts both, as REQUEUE does */
	EQ(futex(&tap->word[0], FUTEX_CMP_REQUEUE, 1, (void *)2, &tap->word[1], 5), 3);
	EQ(reap(pid[0]), 0);
	EQ(futex(&tap->word[1], FUTEX_WAKE, 10, NULL, NULL, 0), 2);
	EQ(reap(pid[1]), 0);
	EQ(reap(pid[2]), 0);
	EQ(futex(&tap->word[0], FUTEX_REQUEUE, 0, (void *)5, &tap->word[1], 0), 1);
	EQ(futex(&tap->word[0], FUTEX_WAKE, 10, NULL, NULL, 0), 0);
	EQ(futex(&tap->word[1], FUTEX_WAKE, 10, NULL, NULL, 0), 1);
	EQ(reap(pid[3]), 0);
	ERR(futex(&tap->word[0], FUTEX_REQUEUE, -1, (void *)1, &tap->word[1], 0), EINVAL);
	ERR(futex(&tap->word[0], FUTEX_REQUEUE, 1, (void *)-1, &tap->word[1], 0), EINVAL);
}

static void wake_op(void)
{
	pid_t a = waiter(0, FUTEX_WAIT, 0, 0), b = waiter(1, FUTEX_WAIT, 0, 0);

	await_asleep(a);
	await_asleep(b);
	/* word 1 becomes 7; since it was 0, those of word 1 are woken too */
	long r = futex(&tap->word[0], FUTEX_WAKE_OP, 1, (void *)1, &tap->word[1],
		       FUTEX_OP(FUTEX_OP_SET, 7, FUTEX_OP_CMP_EQ, 0));
	if (r < 0 && errno == ENOSYS) {
		kill(a, SIGKILL);
		kill(b, SIGKILL);
		reap(a);
		reap(b);
		SKIP("no FUTEX_WAKE_OP");
	}
	EQ(r, 2);
	EQ(WORD(1), 7);
	EQ(reap(a), 0);
	EQ(reap(b), 0);
	EQ(futex(&tap->word[0], FUTEX_WAKE_OP, 1, (void *)1, &tap->word[1],
		 FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_GT, 100)),
	   0);
	EQ(WORD(1), 10);
}

/* A file that is mapped twice is one word; a private mapping is each process's own. */
static void keys(void)
{
	char path[] = "/tmp/tap.futex";
	int fd = OK(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600));
	pid_t pid;

	ftruncate(fd, 8192);
	int *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
	FORKED(pid)
	{
		int *n = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		struct timespec limit = { 30, 0 };
		_exit(futex(n + 1024 + 3, FUTEX_WAIT, 0, &limit, NULL, 0) ? errno : 0);
	}
	await_asleep(pid);
	EQ(futex(m + 2, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	EQ(futex(m + 3, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
	EQ(futex(m + 3, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	EQ(reap(pid), 0);
	munmap(m, 4096);
	close(fd);
	unlink(path);
	FORKED(pid)
	{
		struct timespec limit = { 0, 200000000 };
		_exit(futex(&private_word, FUTEX_WAIT, 0, &limit, NULL, 0) ? errno : 0);
	}
	await_asleep(pid);
	EQ(futex(&private_word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	EQ(reap(pid), ETIMEDOUT);
}

static volatile int lock_word, shared_count;

static void lock(void)
{
	int c = __sync_val_compare_and_swap(&lock_word, 0, 1);

	while (c) {
		if (c == 2 || __sync_val_compare_and_swap(&lock_word, 1, 2))
			futex(&lock_word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
		c = __sync_val_compare_and_swap(&lock_word, 0, 2);
	}
}

static void unlock(void)
{
	if (__sync_fetch_and_sub(&lock_word, 1) != 1) {
		lock_word = 0;
		futex(&lock_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
}

static void *contend(void *arg)
{
	for (int i = 0; i < 5000; i++) {
		lock();
		int v = shared_count;
		if (i % 100 == 0)
			sched_yield();
		shared_count = v + 1;
		unlock();
	}
	return arg;
}

/* No wake-up is lost. */
static void contention(void)
{
	pthread_t t[6];

	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, contend, NULL);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	EQ(shared_count, 30000);
}

/* Killed while it waits: nothing stays in the queue. */
static void killed_waiters(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = waiter(0, FUTEX_WAIT, 0, 0);
		await_asleep(pid);
		kill(pid, SIGKILL);
		EQ(reap(pid), 137);
		EQ(futex(&tap->word[0], FUTEX_WAKE, 10, NULL, NULL, 0), 0);
	}
}

static const struct tap_case cases[] = {
	T(immediate),  T(waking),  T(waking_many), T(waking_none), T(bitsets),
	T(requeueing), T(wake_op), T(keys),	   T(contention),  T(killed_waiters),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
