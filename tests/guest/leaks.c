/* SPDX-License-Identifier: MIT */
/*
 * leaks.c - create, run a program, exit, destroy, on all CPUs at once; afterwards the machine has
 * exactly the free pages and the objects that it had before.
 *
 * /proc/skerry/objects drains first what is only put off: caches of CPUs, the name cache, RCU and
 * what waits to be deleted. Before the first count some cycles are made, so that what is made once
 * and kept is there. LEAK_CYCLES says how many cycles are counted (`make leaktest N=100000`);
 * without it as many as fit into a few seconds.
 */
#include "cont.h"
#include <sys/sysinfo.h>

enum { WORKERS = 4, WARM_CYCLES = 400, CYCLES = 600 };

static int self; /* a descriptor of this program */

_Noreturn static void run_program(int status)
{
	char text[16];

	snprintf(text, sizeof text, "%d", status);
	char *argv[] = { "exit", text, NULL }, *envp[] = { NULL };
	syscall(SYS_execveat, self, "", argv, envp, AT_EMPTY_PATH);
	_exit(99);
}

/* One life. Some are ended from outside, some end with more processes than pid 1. */
static void cycle(int i)
{
	int c = spawn(), status = i & 63;
	pid_t pid;

	CFORKED(pid, c)
	{
		if (i % 4 == 1 && fork() == 0)
			idle();
		if (i % 8 == 7)
			idle();
		run_program(status);
	}
	if (i % 8 == 7) {
		OK(DESTROY(c));
		EQ(reap(pid), 137);
		return;
	}
	EQ(reap(pid), status);
	OK(DESTROY(c));
}

static void work(int cycles)
{
	pid_t pid[WORKERS];

	for (int w = 0; w < WORKERS; w++)
		FORKED(pid[w]) for (int i = 0; i < cycles / WORKERS; i++) cycle(i + w);
	for (int w = 0; w < WORKERS; w++)
		EQ(reap(pid[w]), 0);
}

/* The counts; the pages of this program that the check itself uses are in use before. */
static char before[16384], after[16384];

static void count(char *text)
{
	memset(text, 0, sizeof before);
	for (int i = 0; i < 3; i++) {
		sleep_ms(20);
		REQUIRE(tap_slurp(TAP_OBJECTS, text, sizeof before) > 0);
	}
}

/* Prints the lines that differ. */
static int differences(void)
{
	int n = 0;

	for (char *line = after; *line; line += strcspn(line, "\n") + 1) {
		char name[64], key[66];
		long now, then = 0;
		if (sscanf(line, "%63s %ld", name, &now) != 2)
			break;
		snprintf(key, sizeof key, "%s ", name);
		for (char *p = before; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
			if (!strncmp(p, key, strlen(key)))
				then = atol(p + strlen(key));
		if (now != then) {
			tap_say("# %s: %ld before, %ld after", name, then, now);
			n++;
		}
	}
	return n;
}

static void cycles(void)
{
	const char *text = getenv("LEAK_CYCLES");
	int n = text ? atoi(text) : CYCLES;

	alarm(text ? 100000 : 300);
	world();
	self = OK(open(tap_self, O_RDONLY | O_CLOEXEC));
	work(WARM_CYCLES);
	count(after);
	count(before);
	long long from = now_ms();
	work(n);
	long long took = now_ms() - from;
	count(after);
	tap_say("# %d cycles on %d CPUs in %lld ms", n / WORKERS * WORKERS, get_nprocs(), took);
	EQ(differences(), 0);
	close(self);
}

static const struct tap_case cases[] = { T(cycles) };

int main(int argc, char **argv)
{
	if (!strcmp(argv[0], "exit"))
		return atoi(argv[1]);
	return TAP_RUN(cases, argc, argv);
}
