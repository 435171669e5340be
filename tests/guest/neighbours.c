/* SPDX-License-Identifier: MIT */
/*
 * neighbours.c - a container that does its worst, and the work that goes on in another one.
 *
 * The victim repeats a fixed piece of work (computing, files, a pipe, memory, now and then a
 * child) for a fixed time. Three baselines: alone; alone with half of the CPU's time, by cpu.max;
 * and beside a neighbour that only computes, which leaves it its fair share, half. Beside each
 * attacker, of the same weight, it must then
 *
 *	do at least 90% of its fair share: half of its work alone,
 *	have a 99th percentile of the time for a piece of at most twice that beside the computing
 *	one,
 *	and see no call fail: each of its calls is checked.
 *
 * With more CPUs it has one to itself. But they share a clock that counts instructions, and how
 * QEMU divides it among them is not the kernel's doing: beside the same neighbour a run has a
 * quarter more than another. So there the figures are only said, beside what is done beside the
 * computing neighbour; a metronome on each CPU makes the turns that QEMU gives them short and
 * nearly equal. (QEMU before 8.1 lets a CPU that does not pause take all turns.)
 *
 * The times mean something only where the clock counts instructions: tests/host/neighbours.sh
 * runs it there (./run --icount) and sets INSTRUCTION_CLOCK; elsewhere each case is skipped.
 * NEIGHBOUR_SECONDS is the time for each (default 1). Each attacker has at most PIDS processes
 * and MEMORY bytes; what they do is in attackers.h.
 */
#include "attackers.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>

#define METRONOME 4e-3 /* seconds: half a million instructions */
enum { PIDS = 60, MEMORY = 24 << 20, SAMPLES = 65536 };

struct run {
	long pieces;
	double seconds, p99, worst, rate; /* ms; pieces a second */
	float took[SAMPLES];		  /* each piece's time in ms */
};
static struct run *shared;
static struct baseline { /* found once, kept in shared memory */
	double alone, half, beside, p99;
} * baselines; /* for files in memory, and on the disk */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void rest(double seconds)
{
	struct timespec t = { (time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9) };

	nanosleep(&t, NULL);
}

/* --- the victim --- */

static void piece(long i, const char *file)
{
	char text[4096] = "work";
	struct stat st;
	int p[2];

	compute(20000);
	int fd = OK(open(file, O_RDWR | O_CREAT | O_TRUNC, 0600));
	EQ(write(fd, text, sizeof text), (int)sizeof text);
	EQ(pread(fd, text, sizeof text, 0), (int)sizeof text);
	OK(fstat(fd, &st));
	close(fd);
	OK(stat(file, &st));
	OK(unlink(file));
	OK(pipe(p));
	EQ(write(p[1], text, 512), 512);
	EQ(read(p[0], text, 512), 512);
	close(p[0]);
	close(p[1]);
	char *m = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(m != MAP_FAILED);
	for (int k = 0; k < 65536; k += 4096)
		m[k] = 1;
	OK(munmap(m, 65536));
	if (i % 16 == 0) {
		pid_t pid = OK(fork());
		if (pid == 0)
			_exit(3);
		EQ(reap(pid), 3);
	}
}

static void victim(double seconds, bool on_disk)
{
	const char *file = on_disk ? "/tmp/victim" : "/in/file";
	double from, last, t;
	long n = 0;

	OK(mount("t", "/in", "tmpfs", 0, NULL));
	for (int i = 0; i < 8; i++)
		piece(i, file);
	from = last = now();
	do {
		piece(n, file);
		t = now();
		if (n < SAMPLES)
			shared->took[n] = (t - last) * 1e3;
		n++;
		last = t;
	} while (t < from + seconds);
	shared->pieces = n;
	shared->seconds = t - from;
}

static int by_time(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

/* --- a run --- */

static double seconds_each(void)
{
	const char *text = getenv("NEIGHBOUR_SECONDS");

	return text ? atof(text) : 1;
}

static bool disk_needed;

/* The victim's run beside a neighbour who does this (NULL: nobody), with this limit of its own. */
static void beside(void (*neighbour)(void), const char *cpu_max)
{
	int a = 0, v = spawn();
	pid_t pid, attacker = 0;

	if (cpu_max)
		OK(control_set(v, "cpu.max", cpu_max));
	WORD(0) = 0;
	if (neighbour) {
		a = spawn_limited(PIDS, MEMORY);
		CFORKED(attacker, a)
		{
			OK(mount("t", "/in", "tmpfs", 0, NULL));
			signal(SIGPIPE, SIG_IGN);
			WORD(0) = 1;
			neighbour();
		}
		AWAIT(WORD(0));
		rest(0.3); /* it is at it */
	}
	CFORKED(pid, v) victim(seconds_each(), disk_needed);
	EQ(reap(pid), 0);
	if (neighbour) {
		OK(DESTROY(a));
		reap(attacker);
	}
	gone(v);
	long n = shared->pieces < SAMPLES ? shared->pieces : SAMPLES;
	REQUIRE(n > 50);
	qsort(shared->took, n, sizeof shared->took[0], by_time);
	shared->p99 = shared->took[n - 1 - n / 100];
	shared->worst = shared->took[n - 1];
	shared->rate = shared->pieces / shared->seconds;
}

static void spin(void)
{
	many(get_nprocs());
	for (;;)
		compute(1000000);
}

/* Sleeps and wakes on each CPU: QEMU goes on to the next CPU where a timer is due. */
static void metronome(void)
{
	for (int cpu = 0; cpu < get_nprocs(); cpu++) {
		cpu_set_t set;

		if (fork() > 0)
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof set, &set);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			rest(METRONOME);
	}
}

static struct baseline *begin(void)
{
	if (!getenv("INSTRUCTION_CLOCK"))
		SKIP("the clock does not count instructions");
	alarm(3000);
	world();
	struct baseline *b = &baselines[disk_needed];
	if (get_nprocs() > 1)
		metronome();
	if (b->alone)
		return b;
	beside(NULL, NULL);
	b->alone = shared->rate;
	beside(NULL, "50000 100000");
	b->half = shared->rate;
	beside(spin, NULL);
	b->beside = shared->rate;
	b->p99 = shared->p99;
	tap_say("# pieces a second: alone %.0f, with half of a CPU %.0f, beside one that computes "
		"%.0f, "
		"p99 %.2f ms; %d CPUs",
		b->alone, b->half, b->beside, b->p99, get_nprocs());
	return b;
}

static void attack(void (*neighbour)(void))
{
	const struct baseline *b = begin();
	double fair = get_nprocs() > 1 ? b->beside : b->alone / 2;

	beside(neighbour, NULL);
	tap_say("# %.0f pieces a second, %.0f%% of its fair share; p99 %.2f ms, %.1f times; worst "
		"%.2f",
		shared->rate, 100 * shared->rate / fair, shared->p99, shared->p99 / b->p99,
		shared->worst);
	if (get_nprocs() > 1)
		return;
	CHECK(shared->rate >= 0.9 * fair);
	CHECK(shared->p99 <= 2 * b->p99);
}

#define ATTACK(name)               \
	static void name(void)     \
	{                          \
		attack(do_##name); \
	}
ATTACK(fork_bomb)
ATTACK(threads)
ATTACK(descriptors)
ATTACK(inodes)
ATTACK(names)
ATTACK(buffers)
ATTACK(page_cache)
ATTACK(memory)
ATTACK(page_tables)
ATTACK(timers)
ATTACK(futex)
ATTACK(renames)
ATTACK(terminal)
ATTACK(objects)
ATTACK(exits)
ATTACK(mappings)
ATTACK(containers)
ATTACK(realtime)
ATTACK(tables)
ATTACK(areas)
ATTACK(unmounts)
ATTACK(zeros)

static void disk(void)
{
	disk_needed = true; /* the victim's files are on it, too */
	attack(do_disk);
}

static const struct tap_case cases[] = {
	T(fork_bomb), T(threads),    T(descriptors), T(inodes),	     T(disk),	  T(names),
	T(buffers),   T(page_cache), T(memory),	     T(page_tables), T(timers),	  T(futex),
	T(renames),   T(terminal),   T(objects),     T(exits),	     T(mappings), T(containers),
	T(realtime),  T(tables),     T(areas),	     T(unmounts),    T(zeros),
};

static void *shared_memory(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

int main(int argc, char **argv)
{
	shared = shared_memory(sizeof *shared);
	baselines = shared_memory(2 * sizeof *baselines);
	if (shared == MAP_FAILED || baselines == MAP_FAILED)
		return 1;
	return TAP_RUN(cases, argc, argv);
}
