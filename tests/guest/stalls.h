/* SPDX-License-Identifier: MIT */
/*
 * stalls.h - one long call in a container must not hold up the work of another one.
 *
 * Here a neighbour does not do much, but much at once: a call (or an exit, or the end of a
 * container) with as much behind it as its limits allow. Beside it a process in another container
 * sleeps for a millisecond over and over, and measures by how much it oversleeps: a kernel that
 * does not look, while it works, whether somebody else shall run, shows there.
 *
 *	STALL(name, prepare, call)	the case `name`; prepare() or NULL is not measured
 *
 * The times mean something only where the clock counts instructions: tests/host/stalls.sh runs it
 * there (./run --icount), with one CPU and 8 ns for an instruction, and sets INSTRUCTION_CLOCK;
 * elsewhere each case is skipped. BOUND is 1.25 million instructions; a turn of the CPU, which the
 * neighbour may finish, is 6 ms of them.
 */
#ifndef TESTS_GUEST_STALLS_H
#define TESTS_GUEST_STALLS_H

#include "cont.h"
#include <sched.h>
#include <sys/resource.h>

enum { PIDS = 3000, MEMORY = 300 << 20, BOUND = 10 /* ms */, LARGE = 64 << 20 };

/* word[] of the case */
enum { ENDED, WATCHED, PREPARED, OWN };

static double *worst;	  /* ms that the other container was held up; shared */
static double *took;	  /* ms that the call took */
static int fd TAP_UNUSED; /* what prepare made, for the call */
static char *memory TAP_UNUSED;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void watch(void)
{
	struct timespec ms = { 0, 1000000 };

	WORD(WATCHED) = 1;
	do {
		double from = now();

		nanosleep(&ms, NULL);
		double late = now() - from - 1;
		if (late > *worst)
			*worst = late;
	} while (!WORD(ENDED));
}

static void neighbour(void (*prepare)(void), void (*call)(void))
{
	struct rlimit r = { 1 << 20, 1 << 20 };

	setrlimit(RLIMIT_NOFILE, &r);
	OK(mount("t", "/in", "tmpfs", 0, NULL));
	OK(chdir("/in"));
	if (prepare)
		prepare();
	WORD(PREPARED) = 1;
	while (!WORD(WATCHED))
		sched_yield();
	double from = now();
	call();
	*took = now() - from;
}

static void stall(void (*prepare)(void), void (*call)(void))
{
	pid_t attacker, victim;
	int a, v;

	if (!getenv("INSTRUCTION_CLOCK"))
		SKIP("the clock does not count instructions");
	world();
	alarm(3000);
	*worst = *took = 0;
	a = spawn_limited(PIDS, MEMORY);
	v = spawn();
	CFORKED(attacker, a) neighbour(prepare, call);
	AWAIT(WORD(PREPARED));
	CFORKED(victim, v) watch();
	EQ(reap(attacker), 0);
	gone(a);
	WORD(ENDED) = 1;
	EQ(reap(victim), 0);
	gone(v);
	tap_say("# %.1f ms, of which it held up another container for %.2f", *took, *worst);
	CHECK(*worst <= BOUND);
}

#define STALL(name, prepare, call)    \
	static void name(void)        \
	{                             \
		stall(prepare, call); \
	}

static bool stall_init(void)
{
	worst = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	took = worst + 1;
	return worst != MAP_FAILED;
}

#endif
