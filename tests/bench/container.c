/* SPDX-License-Identifier: MIT */
/*
 * container.c - what a container costs, in time and in memory (`make bench`, doc/performance.md).
 *
 *	container life PROGRAM N
 *		us of fork+exec+wait of PROGRAM, of the same in a container that is made for it and
 *		removed after it, and what that adds: medians of N pairs of blocks of 20
 *	container idle PROGRAM N
 *		bytes of one container with one sleeping process, as the slope of the machine's free
 *		pages over N containers, and where they go
 *
 *	container objects PROGRAM N
 *		the kernel objects of one such container, as the slope over N: number and bytes of
 *		each kind, without what slabs lose at their ends
 *
 *	container scale PROGRAM N
 *		makes containers with one sleeping process each until N are there or there is no
 *		more memory: how many, what memory each has taken, and how long the making of one
 *		took (its process comes to rest before the next begins): medians of 51 around the
 *		100th, 1,000th, 5,000th and last, and the first's
 *
 *	container ctool PROGRAM N
 *		ms of `ctool run --rm DIRECTORY PROGRAM` from its fork to its end: median of N
 *
 * PROGRAM lies in the root directory of the container and of the host. Output: `name value unit`.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <skerry/container.h>

#include "measure.h"

#define ROOT  "/bench-root"
#define BLOCK 20

static void die(const char *what)
{
	fprintf(stderr, "container: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The program of the process that fork or cfork made. */
static void become(const char *program)
{
	char *const none[] = { NULL };

	execve(program, (char *const[]){ (char *)program, NULL }, none);
	_exit(127);
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("the program's end");
}

/* --- life --- */

static void run_plain(const char *program)
{
	pid_t pid = fork();

	if (pid == 0)
		become(program);
	if (pid < 0)
		die("fork");
	reap(pid);
}

static int start_inside(const char *program, pid_t *pid)
{
	struct container_spec spec;
	int cid;

	container_spec_init(&spec, ROOT);
	cid = spawncont(&spec, sizeof(spec));
	if (cid < 0)
		die("spawncont");
	*pid = cfork(cid);
	if (*pid == 0)
		become(program);
	if (*pid < 0)
		die("cfork");
	return cid;
}

static void run_inside(const char *program)
{
	pid_t pid;
	int cid = start_inside(program, &pid);

	reap(pid);
	if (destroy_container(cid))
		die("destroy_container");
}

/* us of one call, over a block: what the kernel puts off until later is in it, too. */
static double block_us(void (*run)(const char *program), const char *program)
{
	double start = now_us();

	for (int i = 0; i < BLOCK; i++)
		run(program);
	return (now_us() - start) / BLOCK;
}

static void life(const char *program, int n)
{
	double *plain = malloc(n * sizeof(*plain)), *inside = malloc(n * sizeof(*inside));
	double *added = malloc(n * sizeof(*added));

	block_us(run_inside, program); /* to warm up */
	for (int i = 0; i < n; i++) {
		plain[i] = block_us(run_plain, program);
		inside[i] = block_us(run_inside, program);
		added[i] = inside[i] - plain[i];
	}
	printf("fork_exec_wait %.1f us\n", median(plain, n));
	printf("container_run %.1f us\n", median(inside, n));
	printf("container_adds %.1f us\n", median(added, n));
}

/* --- idle --- */

enum { FREE, KINDS = 6 };
static const char *const kinds[KINDS] = { "MemFree:", "AnonPages:",   "Shmem:",
					  "Slab:",    "KernelStack:", "PageTables:" };

static void read_memory(long kib[KINDS])
{
	char line[128], name[64];
	long value;
	FILE *f = fopen("/proc/meminfo", "r");

	if (!f)
		die("/proc/meminfo");
	while (fgets(line, sizeof(line), f))
		for (int k = 0; k < KINDS; k++)
			if (sscanf(line, "%63s %ld", name, &value) == 2 && !strcmp(name, kinds[k]))
				kib[k] = value;
	fclose(f);
}

static void copy_file(const char *from, const char *to)
{
	char block[8192];
	ssize_t n;
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (in < 0 || out < 0)
		die(from);
	while ((n = read(in, block, sizeof(block))) > 0)
		if (write(out, block, n) != n)
			die(to);
	close(in);
	close(out);
}

/* Long enough for all that were started to sleep. */
static void settle(void)
{
	sleep(1);
}

static void idle(const char *program, int n)
{
	long before[KINDS] = { 0 }, after[KINDS] = { 0 };
	pid_t pid;

	for (int i = 0; i < 50; i++) /* pages that all containers share, and the caches' slack */
		start_inside(program, &pid);
	settle();
	read_memory(before);
	for (int i = 0; i < n; i++)
		start_inside(program, &pid);
	settle();
	read_memory(after);
	printf("idle_container %.1f KiB\n", (double)(before[FREE] - after[FREE]) / n);
	for (int k = FREE + 1; k < KINDS; k++)
		printf("idle_%.*s %.1f KiB\n", (int)strlen(kinds[k]) - 1, kinds[k],
		       (double)(after[k] - before[k]) / n);
}

/* --- objects --- */

enum { CACHES_MAX = 128 };
struct cache {
	char name[64];
	long live, size;
};

/* The lines `name number size` of the kernel's counters; how many. */
static int read_objects(struct cache caches[CACHES_MAX])
{
	char line[128];
	int n = 0;
	FILE *f = fopen("/proc/skerry/objects", "r");

	if (!f)
		die("/proc/skerry/objects");
	while (n < CACHES_MAX && fgets(line, sizeof(line), f)) {
		struct cache *c = &caches[n];

		n += sscanf(line, "%63s %ld %ld", c->name, &c->live, &c->size) == 3;
	}
	fclose(f);
	return n;
}

static void objects(const char *program, int n)
{
	static struct cache before[CACHES_MAX], after[CACHES_MAX];
	int caches;
	pid_t pid;

	start_inside(program, &pid);
	settle();
	caches = read_objects(before);
	for (int i = 0; i < n; i++)
		start_inside(program, &pid);
	settle();
	if (read_objects(after) != caches)
		die("a new kind of object");
	for (int i = 0; i < caches; i++) {
		double each = (double)(after[i].live - before[i].live) / n;

		if (each >= 0.005)
			printf("%s %.2f objects, %.0f bytes\n", after[i].name, each,
			       each * after[i].size);
	}
}

/* --- scale --- */

enum { WINDOW = 51, SCALE_MAX = 100000 };

static int try_start_inside(const char *program, double *took)
{
	struct container_spec spec;
	double start;
	pid_t pid = -1;
	int cid;

	container_spec_init(&spec, ROOT);
	start = now_us();
	cid = spawncont(&spec, sizeof(spec));
	if (cid > 0)
		pid = cfork(cid);
	*took = now_us() - start;
	if (pid == 0)
		become(program);
	if (pid < 0)
		return -1;
	sched_yield(); /* on one CPU: it runs until it sleeps */
	return 0;
}

static void print_creation(const double *took, int n, int at)
{
	double window[WINDOW];
	int from = at - WINDOW / 2 - 1;

	if (at > n)
		return;
	if (from < 1)
		from = 1;
	if (from + WINDOW > n)
		from = n - WINDOW;
	memcpy(window, took + from, sizeof(window));
	printf("creation_at_%d %.2f us\n", at, median(window, WINDOW));
}

static void scale(const char *program, int max)
{
	double *took = calloc(SCALE_MAX, sizeof(*took));
	long before[KINDS] = { 0 }, after[KINDS] = { 0 };
	int n = 0, dead = 0;

	memset(took, 1, SCALE_MAX * sizeof(*took)); /* all its pages are there */
	read_memory(before);
	while (n < max && n < SCALE_MAX && !try_start_inside(program, &took[n]))
		n++;
	printf("ended_by %s\n", n < max ? strerror(errno) : "the limit");
	settle();
	read_memory(after);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		dead++;
	printf("containers %d alive\n", n - dead);
	printf("memory_each %.1f KiB\n", (double)(before[FREE] - after[FREE]) / n);
	printf("creation_first %.2f us\n", took[0]);
	print_creation(took, n, 100);
	print_creation(took, n, 1000);
	print_creation(took, n, 5000);
	print_creation(took, n, n);
}

/* --- ctool --- */

static void ctool(const char *program, int n)
{
	double *took = malloc(n * sizeof(*took));

	for (int i = -3; i < n; i++) { /* three to warm up */
		double start = now_us();
		pid_t pid = fork();

		if (pid == 0) {
			execl("/sbin/ctool", "ctool", "run", "--rm", ROOT, program, (char *)NULL);
			_exit(127);
		}
		reap(pid);
		if (i >= 0)
			took[i] = now_us() - start;
	}
	printf("ctool_run %.2f ms\n", median(took, n) / 1e3);
}

int main(int argc, char **argv)
{
	int n = argc == 4 ? atoi(argv[3]) : 0;
	char inside[256];

	if (n < 1 || argv[2][0] != '/') {
		fprintf(stderr, "usage: container life|idle|objects|scale|ctool /PROGRAM N\n");
		return 2;
	}
	mkdir(ROOT, 0755);
	mkdir(ROOT "/proc", 0755);
	mkdir(ROOT "/dev", 0755);
	mkdir(ROOT "/sys", 0755);
	snprintf(inside, sizeof(inside), ROOT "%s", argv[2]);
	copy_file(argv[2], inside);
	if (!strcmp(argv[1], "life"))
		life(argv[2], n);
	else if (!strcmp(argv[1], "ctool"))
		ctool(argv[2], n);
	else if (!strcmp(argv[1], "objects"))
		objects(argv[2], n);
	else if (!strcmp(argv[1], "scale"))
		scale(argv[2], n);
	else
		idle(argv[2], n);
	return 0;
}
