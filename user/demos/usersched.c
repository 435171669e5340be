/* SPDX-License-Identifier: MIT */
/*
 * usersched.c - a scheduler in user space: it shares one CPU among the processes of a container by
 * tickets.
 *
 *	usersched 1 2 4
 *
 * makes a container with three processes that only count, and schedules them itself, from outside
 * (container_sched). The rule is stride scheduling (Waldspurger and Weihl, 1995): each process has
 * a pass, the one with the least is next, and then its pass grows by so much the less the more
 * tickets it has. The choices go into a page that the kernel takes them from; it never waits for
 * this process, and chooses by itself if it is late.
 *
 * In the end it prints how much of the work each has done, and how much its tickets promise.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skerry/container.h>
#include <skerry/control.h>

#define WORKERS_MAX 16
#define PICKS	    300	    /* so many choices are the show */
#define STRIDE	    1000000 /* of one ticket */
#define TICKETS_MAX 1000

static struct {
	int pid; /* inside */
	unsigned tickets;
	unsigned long pass;
} worker[WORKERS_MAX];
static int workers;
static struct {
	int pid;
	unsigned long work;
} *volatile shared; /* by the workers */

static void die(const char *what)
{
	perror(what);
	exit(125);
}

/* Pid 1 inside: the others are its children, and end with it. */
static void run_workers(void)
{
	for (int i = 0; i < workers; i++) {
		if (fork())
			continue;
		__atomic_store_n(&shared[i].pid, getpid(), __ATOMIC_SEQ_CST);
		for (;;)
			__atomic_fetch_add(&shared[i].work, 1, __ATOMIC_RELAXED);
	}
	for (;;)
		pause();
}

static int choose(void)
{
	int best = 0;

	for (int i = 1; i < workers; i++)
		if (worker[i].pass < worker[best].pass)
			best = i;
	worker[best].pass += STRIDE / worker[best].tickets;
	return worker[best].pid;
}

static void schedule(struct sched_page *page, int fd)
{
	while (page->picks < PICKS) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		while (page->tail - page->head < SCHED_CHOICES / 4) {
			page->choice[page->tail % SCHED_CHOICES] = choose();
			__atomic_store_n(&page->tail, page->tail + 1, __ATOMIC_RELEASE);
		}
		poll(&p, 1, 20);
	}
}

static void report(const struct sched_page *page)
{
	unsigned long work = 0;
	unsigned tickets = 0;

	for (int i = 0; i < workers; i++) {
		work += shared[i].work;
		tickets += worker[i].tickets;
	}
	for (int i = 0; i < workers; i++)
		printf("pid %d: %u tickets, %.1f%% of the work, promised %.1f%%\n", worker[i].pid,
		       worker[i].tickets, 100.0 * shared[i].work / work,
		       100.0 * worker[i].tickets / tickets);
	printf("%lu choices, %lu by the kernel\n", (unsigned long)page->picks,
	       (unsigned long)page->fallbacks);
}

static void arguments(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int tickets = atoi(argv[i]);

		if (tickets < 1 || tickets > TICKETS_MAX || workers == WORKERS_MAX)
			workers = argc = 0;
		else
			worker[workers++].tickets = tickets;
	}
	if (workers)
		return;
	fprintf(stderr, "usage: usersched TICKETS... (1 to %d, at most %d of them)\n", TICKETS_MAX,
		WORKERS_MAX);
	exit(125);
}

int main(int argc, char **argv)
{
	struct container_spec spec;
	struct sched_page *page;
	int cid, fd;
	pid_t pid;

	arguments(argc, argv);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	container_spec_init(&spec, "/");
	cid = spawncont(&spec, sizeof spec);
	if (shared == MAP_FAILED || cid < 0 || control_write(cid, "cpuset.cpus", "0"))
		die("container");
	pid = cfork(cid);
	if (pid == 0)
		run_workers();
	for (int i = 0; i < workers; i++)
		while (!(worker[i].pid = __atomic_load_n(&shared[i].pid, __ATOMIC_SEQ_CST)))
			usleep(1000);
	fd = container_sched(cid);
	page = fd < 0 ? MAP_FAILED
		      : mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		die("container_sched");
	for (int i = 0; i < workers; i++)
		__atomic_store_n(&shared[i].work, 0, __ATOMIC_SEQ_CST);
	schedule(page, fd);
	cpause(cid);
	report(page);
	destroy_container(cid);
	waitpid(pid, NULL, 0);
	return 0;
}
