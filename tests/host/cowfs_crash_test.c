/* SPDX-License-Identifier: MIT */
/*
 * cowfs_crash_test.c - cowfs beside a model of it, on a disk that crashes at every flush.
 *
 *	cowfs_crash_test                          the share of ./test
 *	cowfs_crash_test --states N [--seed S]    until N distinct states of disks were checked
 *	                                          (make crashtest)
 *	cowfs_crash_test --seed S --runs 1 -v     one run again, its operations said
 *	cowfs_crash_test --alloc STEP             each STEP-th allocation of a run fails, one
 *	                                          after the other
 *
 * A run is a new disk, a number of operations, crashes in between. What is checked of each state:
 * it mounts, fsck finds nothing, and the tree is one of those that sync, fsync and the order of
 * commits allow; some also with a crash in the recovery, or going on from there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cowfs/world.h"

static int tap_count, tap_failures;

static void ok(bool good, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	tap_failures += !good;
}

struct plan {
	u64 seed, runs, ops, states, alloc;
	bool verbose, alone;
};

/* One disk from its formatting to its end. */
static void run(struct totals *t, u64 seed, u64 ops, bool check, u64 faults, bool verbose)
{
	static struct world w;
	s64 live = cow_platform_live;

	world_init(&w, seed, t);
	w.verbose = verbose;
	cow_platform_seed = seed | 1;
	world_format(&w, 520 + rnd_below(&w.rnd, 2200));
	if (world_mount(&w)) {
		w.check_states = check;
		w.faults = faults;
		w.crashes = check ? 12 : 0;
		for (u64 n = 0; n < ops && w.fs && t->violations < 5; n++)
			world_step(&w);
		w.crashes = 0;
		w.faults = 0;
		w.name = "end";
		if (w.fs) {
			world_compare(&w);
			world_judge_live(&w);
			world_unmount(&w);
		}
	}
	if (cow_platform_live != live)
		world_violation(&w, "%ld allocations were not freed",
				(long)(cow_platform_live - live));
	t->runs++;
	world_free(&w);
}

static void report(const struct totals *t, time_t start)
{
	u64 seconds = time(NULL) - start;

	printf("# %lu runs, %lu operations, %lu flushes of %lu commits and %lu log records, %lu "
	       "crashes gone on from; no room %lu, no memory %lu times\n",
	       (unsigned long)t->runs, (unsigned long)t->ops, (unsigned long)t->flushes,
	       (unsigned long)t->commits, (unsigned long)t->records, (unsigned long)t->recoveries,
	       (unsigned long)t->no_space, (unsigned long)t->no_memory);
	printf("# %lu crash states checked, %lu of them in recoveries, %lu distinct disks, %lu a "
	       "second, %lu violations\n",
	       (unsigned long)(t->states + t->nested), (unsigned long)t->nested,
	       (unsigned long)t->distinct.count,
	       (unsigned long)((t->states + t->nested) / (seconds ? seconds : 1)),
	       (unsigned long)t->violations);
	fflush(stdout);
}

static void crashes(const struct plan *p)
{
	struct totals t = { 0 };
	time_t start = time(NULL), last = start;

	for (u64 n = 0; (n < p->runs || t.distinct.count < p->states) && !t.violations; n++) {
		run(&t, p->seed + n, p->ops, true, (p->seed + n) % 3 == 2 ? 10 : 0, p->verbose);
		if (p->states && time(NULL) >= last + 10) {
			report(&t, start);
			last = time(NULL);
		}
	}
	report(&t, start);
	ok(!t.violations, "crashes: no violation in any state (first seed %lu)",
	   (unsigned long)p->seed);
	set_free(&t.distinct);
}

/* Without crash states: many operations, small and full disks, and requests that fail. */
static void operations(const struct plan *p)
{
	struct totals t = { 0 };
	time_t start = time(NULL);

	for (u64 n = 0; n < p->runs && !t.violations; n++)
		run(&t, p->seed + 1000000 + n, 20 * p->ops, false, (p->seed + n) % 2 ? 6 : 0,
		    p->verbose);
	report(&t, start);
	ok(!t.violations, "operations: as the model says, also when requests or allocations fail");
	set_free(&t.distinct);
}

static u64 check_allocations(struct world *w, struct cow_fs *fs)
{
	u64 n = 0, left = 0;

	while (!left && !w->t->violations) {
		struct cow_check c = { 0 };
		int err;

		cow_shrink(fs, 10000);
		cow_platform_fail_in = ++n;
		err = cow_check(fs, &c);
		left = cow_platform_fail_in;
		cow_platform_fail_in = 0;
		if (c.problems || (err && err != -ENOMEM))
			world_violation(w, "fsck without memory: %d, %lu problems", err,
					(unsigned long)c.problems);
	}
	return n;
}

/* The n-th allocation of a mount with a log to be replayed fails, and of an fsck, for each n there
 * is. */
static void mount_allocations(const struct plan *p)
{
	struct totals t = { 0 };
	static struct world w;
	s64 live = cow_platform_live;
	u64 mounts = 0, checks = 0, left = 0;
	struct cow_fs *fs;

	world_init(&w, p->seed, &t);
	cow_platform_seed = p->seed | 1;
	world_format(&w, 900);
	world_mount(&w);
	for (u64 k = 0; k < 3000 && (k < 300 || w.fs->log_next < 4); k++)
		world_step(&w);
	world_crash_only(&w);
	while (left == 0 && !t.violations) {
		int err;

		cow_platform_fail_in = ++mounts;
		err = cow_mount(&w.disk.state, 0, &fs);
		left = cow_platform_fail_in;
		cow_platform_fail_in = 0;
		if (!err && left)
			checks = check_allocations(&w, fs);
		if (!err)
			cow_unmount(fs);
		else if (err != -ENOMEM)
			world_violation(&w, "mount without memory: %d", err);
		crash_undo(&w.disk);
	}
	world_free(&w);
	if (cow_platform_live != live)
		world_violation(&w, "%ld allocations were not freed",
				(long)(cow_platform_live - live));
	ok(!t.violations, "allocations: each of %lu of a mount, each of %lu of fsck",
	   (unsigned long)mounts, (unsigned long)checks);
}

/* The n-th allocation of a run fails, for each n there is. */
static void allocations(const struct plan *p)
{
	struct totals t = { 0 };
	u64 n = 1, last = 0;

	for (;; n += p->alloc) {
		static struct world w;
		s64 live = cow_platform_live;

		world_init(&w, p->seed, &t);
		cow_platform_seed = p->seed | 1;
		world_format(&w, 900);
		if (!world_mount(&w))
			break;
		w.fail_allocation = n;
		for (u64 k = 0; k < p->ops && w.fs && !t.violations; k++)
			world_step(&w);
		last = w.fail_allocation;
		w.fail_allocation = 0;
		w.name = "end";
		world_compare(&w);
		world_judge_live(&w);
		world_unmount(&w);
		if (cow_platform_live != live)
			world_violation(&w, "%ld allocations were not freed",
					(long)(cow_platform_live - live));
		world_free(&w);
		if (last || t.violations)
			break;
	}
	ok(!t.violations && last, "allocations: each %lu. of %lu failed, one after the other",
	   (unsigned long)p->alloc, (unsigned long)n);
}

static void usage(void)
{
	printf("Usage: cowfs_crash_test [--seed N] [--runs N] [--ops N] [--states N] [--alloc "
	       "STEP] [-v]\n"
	       "Example: cowfs_crash_test --states 1000000 --seed 1\n");
	exit(2);
}

static struct plan parse(int argc, char **argv)
{
	struct plan p = { .seed = 1, .runs = 14, .ops = 150, .alloc = 11 };

	for (int n = 1; n < argc; n++) {
		const char *value = n + 1 < argc ? argv[n + 1] : NULL;
		u64 *to = NULL;

		if (!strcmp(argv[n], "-v"))
			p.verbose = true;
		else if (!strcmp(argv[n], "--seed"))
			to = &p.seed;
		else if (!strcmp(argv[n], "--runs"))
			to = &p.runs, p.alone = true;
		else if (!strcmp(argv[n], "--ops"))
			to = &p.ops;
		else if (!strcmp(argv[n], "--states"))
			to = &p.states, p.alone = true, p.runs = 0;
		else if (!strcmp(argv[n], "--alloc"))
			to = &p.alloc, p.alone = true, p.runs = 0;
		else
			usage();
		if (to && !value)
			usage();
		if (to) {
			*to = strtoull(value, NULL, 0);
			n++;
		}
	}
	return p;
}

int main(int argc, char **argv)
{
	struct plan p = parse(argc, argv);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (p.runs || p.states)
		crashes(&p);
	if (!p.alone)
		operations(&p);
	if (!p.alone || (!p.runs && !p.states)) {
		mount_allocations(&p);
		allocations(&p);
	}
	printf("1..%d\n", tap_count);
	return tap_failures != 0;
}
