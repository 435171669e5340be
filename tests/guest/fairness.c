/* SPDX-License-Identifier: MIT */
/*
 * fairness.c - shares of the CPU, to the percent: weights, nesting, several CPUs, cpu.max.
 *
 * What is compared is the kernel's own accounting over a span of its own clock, so that the numbers
 * mean something only where that clock counts instructions. tests/host/fairness.sh runs it there
 * (./run --icount) and sets INSTRUCTION_CLOCK; elsewhere each case is skipped.
 */
#include "scheduling.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

enum { HOGS_MAX = 64 };
static pid_t hogs[HOGS_MAX];
static int hog_count;

static void begin(int cpus)
{
	if (!getenv("INSTRUCTION_CLOCK"))
		SKIP("the clock does not count instructions");
	if (get_nprocs() != cpus)
		SKIP("another number of CPUs");
	world();
	hog_count = 0;
}

/*
 * Uses all it gets. PAUSE lets QEMU 7.2, which emulates all CPUs in turn where instructions are
 * counted, go to the next CPU: it would else go on with this one from one timer to the next, and
 * another CPU that waits for a lock, with no timer of its own, would not get on.
 */
static void *hogging(void *arg)
{
	for (;;) {
		for (volatile int n = 0; n < 1000; n++)
			;
		__asm__ volatile("pause");
	}
	return arg;
}

/* n processes of `threads` threads each in the container that use all they get. */
static void hog(int cid, int n, int threads)
{
	while (n--) {
		pid_t pid;

		CFORKED(pid, cid)
		{
			pthread_t t;
			for (int i = 1; i < threads; i++)
				pthread_create(&t, NULL, hogging, NULL);
			hogging(NULL);
		}
		REQUIRE(hog_count < HOGS_MAX);
		hogs[hog_count++] = pid;
	}
}

static void hogs_end(void)
{
	for (int i = 0; i < hog_count; i++)
		kill(hogs[i], SIGKILL);
	for (int i = 0; i < hog_count; i++)
		waitpid(hogs[i], NULL, 0);
}

static void rest(double seconds)
{
	struct timespec t = { (time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9) };

	nanosleep(&t, NULL);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* What each of n containers uses in `seconds`, in CPUs. */
static void measure(const int *cid, double *used, int n, double seconds)
{
	rest(0.5); /* they have found their CPUs */
	double from = now();
	for (int i = 0; i < n; i++)
		used[i] = -stat_of(cid[i], "usage_usec");
	rest(seconds);
	double span = now() - from;
	for (int i = 0; i < n; i++)
		used[i] = (used[i] + stat_of(cid[i], "usage_usec")) / span / 1e6;
}

/* |got - wanted| <= slack; all in thousandths of a CPU. */
static void near_to(double got, double wanted, double slack)
{
	tap_say("# %.4f of a CPU, wanted %.4f +- %.4f", got, wanted, slack);
	CHECK(got >= wanted - slack && got <= wanted + slack);
}

static void weigh(int cid, const char *weight)
{
	OK(control_set(cid, "cpu.weight", weight));
}

/* Two containers with `a` and `b` hogs and weights: their part of all that both used. */
static void two(int cpus, int a, const char *weight_a, int b, const char *weight_b, double part_a,
		double seconds)
{
	double used[2];

	begin(cpus);
	int cid[2] = { spawn(), spawn() };
	weigh(cid[0], weight_a);
	weigh(cid[1], weight_b);
	hog(cid[0], a, 1);
	hog(cid[1], b, 1);
	measure(cid, used, 2, seconds);
	hogs_end();
	near_to(used[0] + used[1], cpus, 0.01 * cpus);
	near_to(used[0] / (used[0] + used[1]), part_a, 0.01);
	gone(cid[0]);
	gone(cid[1]);
}

static void weights_1_to_2(void)
{
	two(1, 1, "100", 1, "200", 1. / 3, 10);
}
static void one_hog_against_ten(void)
{
	two(1, 1, "100", 10, "100", 1. / 2, 4);
}
static void weights_1_to_100(void)
{
	two(1, 2, "1", 3, "100", 1. / 101, 4);
}
static void two_cpus_weights_1_to_2(void)
{
	two(2, 2, "100", 2, "200", 1. / 3, 10);
}
static void two_cpus_many_hogs(void)
{
	two(2, 3, "100", 9, "300", 1. / 4, 5);
}

/* One thread cannot use more than one CPU; the other container gets the rest. */
static void two_cpus_capped_by_threads(void)
{
	two(2, 1, "1000", 3, "100", 1. / 2, 4);
}

/* The weight changes while they run. */
static void weight_is_changed(void)
{
	double used[2];

	begin(1);
	int cid[2] = { spawn(), spawn() };
	hog(cid[0], 2, 1);
	hog(cid[1], 2, 1);
	measure(cid, used, 2, 2);
	near_to(used[0], .5, 0.01);
	weigh(cid[0], "300");
	measure(cid, used, 2, 3);
	near_to(used[0], .75, 0.01);
	hogs_end();
	gone(cid[0]);
	gone(cid[1]);
}

/* Who slept does not make up for it: the other keeps its half. */
static void sleep_is_not_saved(void)
{
	double used[2];

	begin(1);
	int cid[2] = { spawn(), spawn() };
	hog(cid[0], 1, 1);
	rest(3);
	hog(cid[1], 1, 1);
	measure(cid, used, 2, 3);
	hogs_end();
	near_to(used[0], .5, 0.01);
	gone(cid[0]);
	gone(cid[1]);
}

/*
 * A container of a container: its share is of its parent's. The outer one's own hog, weight 100,
 * shares with the inner one, weight 300; both together have half.
 */
static void nested(void)
{
	double used[2];
	pid_t keeper;

	begin(1);
	int cid[3] = { spawn(), spawn(), 0 };
	CFORKED(keeper, cid[0])
	{
		pid_t pid;
		struct container_spec s = spec_of("/");
		int inner = syscall(SYS_spawncont, &s, sizeof s);

		REQUIRE(inner > 0);
		WORD(0) = inner;
		OK(mount("sysfs", "/sys", "sysfs", 0, NULL));
		OK(control_set(inner, "cpu.weight", "300"));
		CFORKED(pid, inner)
		hogging(NULL);
		hogging(NULL);
	}
	hogs[hog_count++] = keeper;
	AWAIT(WORD(0));
	cid[2] = WORD(0);
	hog(cid[1], 3, 1);
	double all[3];
	measure(cid, all, 3, 5);
	used[0] = all[0];
	used[1] = all[2];
	near_to(used[0], .5, 0.01); /* with what is inside */
	near_to(used[1], .375, 0.01);
	near_to(all[1], .5, 0.01);
	OK(CSTOP(cid[0]));
	hogs_end();
	gone(cid[0]);
	gone(cid[1]);
}

/* --- cpu.max --- */

static void limited(int cpus, const char *max, int processes, int threads, double wanted)
{
	double used;

	begin(cpus);
	int c = spawn();
	OK(control_set(c, "cpu.max", max));
	hog(c, processes, threads);
	measure(&c, &used, 1, 1);
	near_to(used, wanted, 0.005);
	CHECK(stat_of(c, "nr_throttled") > 0);
	CHECK(stat_of(c, "throttled_usec") > 0);
	hogs_end();
	gone(c);
}

static void max_10_percent(void)
{
	limited(1, "10000 100000", 1, 1, .1);
}
static void max_10_percent_many(void)
{
	limited(1, "10000 100000", 3, 3, .1);
}
static void two_cpus_max_10_percent(void)
{
	limited(2, "10000 100000", 1, 4, .1);
}
static void two_cpus_max_150_percent(void)
{
	limited(2, "150000 100000", 2, 2, 1.5);
}

/* What asks for less than its quota is never held. */
static void no_throttle_below_quota(void)
{
	pid_t pid;
	double used;

	begin(1);
	int c = spawn(), other = spawn();
	OK(control_set(c, "cpu.max", "20000 100000"));
	CFORKED(pid, c)
	{
		for (;;) {
			double until = now() + 0.001;
			while (now() < until)
				;
			rest(0.01);
		}
	}
	measure(&c, &used, 1, 2);
	CHECK(used > .05 && used < .15);
	EQ(stat_of(c, "nr_throttled"), 0);
	EQ(stat_of(c, "throttled_usec"), 0);
	CHECK(stat_of(c, "nr_periods") > 15);
	kill(pid, SIGKILL);
	reap(pid);
	gone(c);
	gone(other);
}

/* A limit on the parent holds for what is inside its child. */
static void max_is_hierarchical(void)
{
	pid_t keeper;
	double used;

	begin(1);
	int c = spawn();
	OK(control_set(c, "cpu.max", "20000 100000"));
	CFORKED(keeper, c)
	{
		pid_t pid;
		struct container_spec s = spec_of("/");
		int inner = syscall(SYS_spawncont, &s, sizeof s);

		REQUIRE(inner > 0);
		CFORKED(pid, inner)
		hogging(NULL);
		idle();
	}
	measure(&c, &used, 1, 1);
	near_to(used, .2, 0.005);
	OK(CSTOP(c));
	reap(keeper);
	gone(c);
}

/* --- policies, among the tasks of one container --- */

static long process_usec(pid_t pid)
{
	char path[64], *text;
	unsigned long user, system;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	text = get(path);
	REQUIRE(text);
	text = strrchr(text, ')');
	REQUIRE(sscanf(text + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		       &system) == 2);
	return (user + system) * 10000;
}

/* Three hogs with nice 0, 0 and 5 inside; usage is asked for from within. */
static void parts(const char *policy, double *part, double seconds)
{
	pid_t pid;

	int c = spawn();
	OK(control_set(c, "sched.policy", policy));
	CFORKED(pid, c)
	{
		static const int nices[3] = { 0, 0, 5 };
		pid_t p[3];
		long before[3];

		OK(mount("proc", "/proc", "proc", 0, NULL));
		for (int i = 0; i < 3; i++) {
			FORKED(p[i])
			{
				setpriority(PRIO_PROCESS, 0, nices[i]);
				hogging(NULL);
			}
		}
		setpriority(PRIO_PROCESS, 0, -20);
		rest(0.2);
		for (int i = 0; i < 3; i++)
			before[i] = process_usec(p[i]);
		rest(seconds);
		for (int i = 0; i < 3; i++)
			WORD(i) = process_usec(p[i]) - before[i];
		for (int i = 0; i < 3; i++)
			kill(p[i], SIGKILL);
		for (int i = 0; i < 3; i++)
			reap(p[i]);
	}
	EQ(reap(pid), 0);
	double all = WORD(0) + WORD(1) + WORD(2);
	REQUIRE(all > 0);
	for (int i = 0; i < 3; i++)
		part[i] = WORD(i) / all;
	gone(c);
}

/* 1 : 1 : 1/1.25^5 */
#define NICE5 (1 / 3.0517578)

static void policy_rr(void)
{
	double part[3];

	begin(1);
	parts("rr", part, 3);
	near_to(part[0], 1 / (2 + NICE5), 0.02);
	near_to(part[2], NICE5 / (2 + NICE5), 0.02);
}

static void policy_fair(void)
{
	double part[3];

	begin(1);
	parts("fair", part, 3);
	near_to(part[0], 1 / (2 + NICE5), 0.02);
	near_to(part[2], NICE5 / (2 + NICE5), 0.02);
}

static void policy_lottery(void)
{
	double part[3];

	begin(1);
	parts("lottery", part, 6);
	near_to(part[0], 1 / (2 + NICE5), 0.075); /* some 1000 draws: 5 standard deviations */
	near_to(part[2], NICE5 / (2 + NICE5), 0.06);
}

static void policy_prio(void)
{
	double part[3];

	begin(1);
	parts("prio", part, 2);
	near_to(part[0], .5, 0.02);
	near_to(part[2], 0, 0.001);
}

static const struct tap_case cases[] = {
	T(weights_1_to_2),
	T(one_hog_against_ten),
	T(weights_1_to_100),
	T(two_cpus_weights_1_to_2),
	T(two_cpus_many_hogs),
	T(two_cpus_capped_by_threads),
	T(weight_is_changed),
	T(sleep_is_not_saved),
	T(nested),
	T(max_10_percent),
	T(max_10_percent_many),
	T(two_cpus_max_10_percent),
	T(two_cpus_max_150_percent),
	T(no_throttle_below_quota),
	T(max_is_hierarchical),
	T(policy_rr),
	T(policy_fair),
	T(policy_lottery),
	T(policy_prio),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
