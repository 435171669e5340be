/* SPDX-License-Identifier: MIT */
/*
 * sched.c - scheduling of containers: the control files cpu.*, cpuset.* and sched.*, hostile
 * values, cpu.max with kill and pause, cpusets, policies. Managers: sched_manager.c; shares to the
 * percent: fairness.c.
 */
#include "scheduling.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

/* --- files --- */

static void defaults(void)
{
	char all[32];

	world();
	int c = spawn();
	snprintf(all, sizeof all, get_nprocs() > 1 ? "0-%d" : "%d", get_nprocs() - 1);
	STREQ(control_get(c, "cpu.weight"), "100");
	STREQ(control_get(c, "cpu.max"), "max 100000");
	STREQ(control_get(c, "cpuset.cpus"), "");
	STREQ(control_get(c, "cpuset.cpus.effective"), all);
	STREQ(control_get(c, "sched.policy"), "rr");
	STREQ(control_get(c, "sched.log"), "0");
	EQ(stat_of(c, "usage_usec"), 0);
	EQ(stat_of(c, "nr_throttled"), 0);
	gone(c);
}

/* What is written is what is read; nonsense changes nothing. */
static void values(void)
{
	static const struct {
		const char *file, *good, *reads;
		const char *bad[12];
	} files[] = {
		{ "cpu.weight",
		  "1",
		  "1",
		  { "0", "10001", "-1", "", "x", "1 2", "99999999999999999999" } },
		{ "cpu.weight", "10000", "10000", { "10000.5", "max", "1e3", "100x" } },
		{ "cpu.max",
		  "5000 10000",
		  "5000 10000",
		  { "", "0", "999", "5000 999", "5000 1000001", "5000 0", "-5 10", "max 0", "max x",
		    "x 10000", "18446744073709551615", "5000 18446744073709551615" } },
		{ "cpu.max",
		  "max",
		  "max 10000",
		  { "max max", "MAX", "5000 10000 1", "5000x", "9223372036854775807" } },
		{ "cpu.max", "20000", "20000 10000", { "20000,10000" } },
		{ "cpuset.cpus",
		  "0",
		  "0",
		  { "64", "x", "0-", "-0", "1-0", "0,", ",", "0-99999999999", "0--0", " 0" } },
		{ "cpuset.cpus", "0,0-0", "0", { "-1", "0 1", "max" } },
		{ "cpuset.cpus", "", "", { "4294967296", "18446744073709551616" } },
		{ "sched.policy", "fair", "fair", { "", "FAIR", "fai", "fairr", "cfs", "0" } },
		{ "sched.policy", "prio", "prio", { "x" } },
		{ "sched.policy", "lottery", "lottery", { "x" } },
		{ "sched.policy", "manager", "manager", { "x" } },
		{ "sched.policy", "rr", "rr", { "x" } },
		{ "sched.log", "1", "1", { "", "2", "on", "-1", "10" } },
		{ "sched.log", "0", "0", { "x" } },
	};

	world();
	int c = spawn();
	pid_t pid = spinner(c);
	for (size_t i = 0; i < COUNT(files); i++) {
		OK(control_set(c, files[i].file, files[i].good));
		STREQ(control_get(c, files[i].file), files[i].reads);
		for (size_t j = 0; j < COUNT(files[i].bad) && files[i].bad[j]; j++) {
			/* an empty write is none; a newline is an empty value */
			const char *bad = *files[i].bad[j] ? files[i].bad[j] : "\n";
			tap_say("# %s <- %s", files[i].file, files[i].bad[j]);
			ERR(control_set(c, files[i].file, bad), EINVAL);
			STREQ(control_get(c, files[i].file), files[i].reads);
		}
	}
	end(pid);
	gone(c);
}

/* From inside, they can be read as self's and not written; others' are not there. */
static void from_inside(void)
{
	static const char *const files[] = { "cpu.weight", "cpu.max", "cpuset.cpus", "sched.policy",
					     "sched.log" };
	pid_t pid;

	world();
	int c = spawn(), other = spawn();
	CFORKED(pid, c)
	{
		char path[64];

		OK(mount("sysfs", "/sys", "sysfs", 0, NULL));
		for (size_t i = 0; i < COUNT(files); i++) {
			snprintf(path, sizeof path, "/sys/container/self/%s", files[i]);
			CHECK(get(path));
			ERR(open(path, O_WRONLY), EPERM);
			snprintf(path, sizeof path, "/sys/container/%d/%s", other, files[i]);
			ERR(open(path, O_RDONLY), ENOENT);
			snprintf(path, sizeof path, "/sys/container/%d/%s", c, files[i]);
			ERR(open(path, O_RDONLY), ENOENT);
		}
		ERR(syscall(SYS_container_sched, c), ESRCH);
		ERR(syscall(SYS_container_sched, other), ESRCH);
		ERR(syscall(SYS_container_sched, 0), ESRCH);
	}
	EQ(reap(pid), 0);
	gone(c);
	gone(other);
}

/* The files are used while the container runs and goes. */
static void during_destruction(void)
{
	static const char *const what[][2] = {
		{ "cpu.weight", "7" },	       { "cpu.max", "2000 20000" }, { "cpuset.cpus", "0" },
		{ "sched.policy", "lottery" }, { "sched.policy", "prio" },  { "cpuset.cpus", "\n" }
	};
	pid_t writer;

	world();
	FORKED(writer)
	{
		for (unsigned n = 0; !WORD(1); n++) {
			control_set(WORD(0), what[n % COUNT(what)][0], what[n % COUNT(what)][1]);
			control_get(WORD(0), "cpu.stat");
			control_get(WORD(0), "sched.state");
		}
	}
	for (int i = 0; i < 20; i++) {
		int c = spawn();
		pid_t a = spinner(c), b = spinner(c);

		WORD(0) = c;
		nap(15);
		gone(c);
		reap(a);
		reap(b);
	}
	WORD(1) = 1;
	EQ(reap(writer), 0);
}

/* --- cpu.max --- */

static bool held(int cid)
{
	char path[64], *text;

	snprintf(path, sizeof path, "/sys/container/%d/sched.state", cid);
	text = get(path);
	return text && strstr(text, " L ");
}

static void until_held(int cid)
{
	while (!held(cid))
		nap(5);
}

/* SIGKILL, pause and more time reach one who is held. */
static void max_and_kill(void)
{
	world();
	int c = spawn();
	OK(control_set(c, "cpu.max", "1000 1000000"));
	pid_t pid = spinner(c);
	until_held(c);
	CHECK(stat_of(c, "nr_throttled") > 0);
	end(pid);
	pid = spinner(c);
	until_held(c);
	OK(CPAUSE(c));
	STREQ(control_get(c, "state"), "paused");
	OK(CRESUME(c));
	OK(control_set(c, "cpu.max", "max"));
	while (held(c))
		nap(5);
	long before = stat_of(c, "usage_usec");
	while (stat_of(c, "usage_usec") < before + 100000)
		nap(10);
	OK(control_set(c, "cpu.max", "1000 1000000"));
	until_held(c);
	OK(CPAUSE(c));
	end(pid);
	pid = spinner(c);
	until_held(c);
	OK(CSTOP(c));
	EQ(reap(pid), 128 + SIGKILL);
	gone(c);
}

/* A limited container holds locks of the kernel that others want: they go on at once. */
static void max_and_locks(void)
{
	pid_t pid[4];

	world();
	put("r/in/file", "x", 0666);
	int c = spawn();
	OK(control_set(c, "cpu.max", "1000 100000"));
	for (int i = 0; i < 4; i++) {
		CFORKED(pid[i], c)
		for (;;) {
			rename("/in/file", "/in/file2");
			rename("/in/file2", "/in/file");
		}
	}
	until_held(c);
	for (int i = 0; i < 300; i++) {
		OK(mkdir("r/in/d", 0755));
		OK(rmdir("r/in/d"));
	}
	for (int i = 0; i < 4; i++)
		kill(pid[i], SIGKILL);
	for (int i = 0; i < 4; i++)
		reap(pid[i]);
	gone(c);
}

/* --- cpuset --- */

static void *where(void *arg)
{
	for (;;) {
		int cpu = sched_getcpu();
		__atomic_fetch_or(&WORD(10), 1 << cpu, __ATOMIC_SEQ_CST);
	}
	return arg;
}

static void cpuset_holds(void)
{
	pid_t pid;
	pthread_t t;

	world();
	if (get_nprocs() < 2)
		SKIP("one CPU");
	int c = spawn();
	OK(control_set(c, "cpuset.cpus", "1"));
	CFORKED(pid, c)
	{
		cpu_set_t set;

		OK(sched_getaffinity(0, sizeof set, &set));
		EQ(CPU_COUNT(&set), 1);
		CHECK(CPU_ISSET(1, &set));
		for (int i = 0; i < 3; i++)
			pthread_create(&t, NULL, where, NULL);
		AWAIT(WORD(1));
		/* what it asks for does not lead out */
		CPU_ZERO(&set);
		CPU_SET(0, &set);
		sched_setaffinity(0, sizeof set, &set);
		OK(sched_getaffinity(0, sizeof set, &set));
		CHECK(!CPU_ISSET(0, &set));
		WORD(2) = 1;
		AWAIT(WORD(3));
		_exit(0);
	}
	nap(100);
	EQ(WORD(10), 1 << 1);
	/* moved while they run */
	OK(control_set(c, "cpuset.cpus", "0"));
	nap(50);
	WORD(10) = 0;
	nap(100);
	EQ(WORD(10), 1 << 0);
	OK(control_set(c, "cpuset.cpus", "1"));
	WORD(1) = 1;
	AWAIT(WORD(2));
	OK(control_set(c, "cpuset.cpus", "\n"));
	for (int i = 0; i < 500 && WORD(10) != (1 << get_nprocs()) - 1; i++)
		nap(10);
	EQ(WORD(10) & 3, 3);
	WORD(3) = 1;
	EQ(reap(pid), 0);
	gone(c);
}

/* Taken away and given back while they are being moved: nobody is forgotten on the way. */
static void cpuset_flickers(void)
{
	enum { TASKS = 6 };
	pid_t pid[TASKS];

	world();
	if (get_nprocs() < 2)
		SKIP("one CPU");
	int c = spawn();
	for (int i = 0; i < TASKS; i++) {
		CFORKED(pid[i], c)
		for (;;)
			WORD(i)++;
	}
	for (int round = 0; round < 10; round++) {
		int before[TASKS];

		for (int i = 0; i < 300; i++)
			OK(control_set(c, "cpuset.cpus", i % 2 ? "\n" : i % 4 ? "0" : "1"));
		for (int i = 0; i < TASKS; i++)
			before[i] = WORD(i);
		for (int i = 0; i < TASKS; i++)
			while (WORD(i) == before[i])
				nap(1);
	}
	OK(CSTOP(c));
	for (int i = 0; i < TASKS; i++)
		reap(pid[i]);
	gone(c);
}

static void cpuset_nests(void)
{
	pid_t pid;

	world();
	if (get_nprocs() < 2)
		SKIP("one CPU");
	int c = spawn();
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/");
		int inner = syscall(SYS_spawncont, &s, sizeof s);

		OK(mount("sysfs", "/sys", "sysfs", 0, NULL));
		OK(control_set(inner, "cpuset.cpus", "0"));
		WORD(0) = 1;
		AWAIT(WORD(1)); /* the parent may use 1 only: nothing is left of 0 */
		STREQ(control_get(inner, "cpuset.cpus"), "0");
		STREQ(control_get(inner, "cpuset.cpus.effective"), "1");
		WORD(0) = 2;
		AWAIT(WORD(2));
		STREQ(control_get(inner, "cpuset.cpus.effective"), "0");
		gone(inner);
	}
	AWAIT(WORD(0));
	OK(control_set(c, "cpuset.cpus", "1"));
	WORD(1) = 1;
	while (WORD(0) != 2)
		nap(5);
	OK(control_set(c, "cpuset.cpus", "0-1"));
	WORD(2) = 1;
	EQ(reap(pid), 0);
	gone(c);
}

/* --- policies --- */

/* Under each policy, processes that compute, talk and come and go all get on. */
static void policies(void)
{
	static const char *const names[] = { "rr", "fair", "prio", "lottery", "manager" };
	pid_t pid;

	world();
	int c = spawn();
	CFORKED(pid, c)
	{
		pid_t p[4];
		int there[2], back[2];
		char byte = 0;

		for (int i = 0; i < 4; i++) {
			FORKED(p[i]) spin();
		}
		OK(pipe(there));
		OK(pipe(back));
		FORKED(p[0])
		{
			while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
				;
		}
		for (int n = 0; !WORD(20); n++) {
			pid_t child;

			EQ(write(there[1], &byte, 1), 1);
			EQ(read(back[0], &byte, 1), 1);
			FORKED(child) _exit(0);
			EQ(reap(child), 0);
			WORD(21)++;
		}
		kill(-1, SIGKILL);
	}
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT(names); i++) {
			OK(control_set(c, "sched.policy", names[i]));
			int before = WORD(21);
			for (int n = 0; n < 2000 && WORD(21) < before + 3; n++)
				nap(10);
			tap_say("# %s", names[i]);
			CHECK(WORD(21) >= before + 3);
		}
	}
	CHECK(stat_of(c, "manager_fallbacks") > 0); /* there was no manager */
	EQ(stat_of(c, "manager_picks"), 0);
	WORD(20) = 1;
	reap(pid);
	gone(c);
}

/* A real-time thread in a container goes before its neighbours inside, not before the others. */
static void realtime_inside(void)
{
	pid_t pid;

	world();
	int c = spawn();
	CFORKED(pid, c)
	{
		struct sched_param p = { .sched_priority = 50 };

		OK(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &p));
		EQ(syscall(SYS_sched_getscheduler, 0), SCHED_FIFO);
		for (int i = 0; i < get_nprocs(); i++)
			if (fork() == 0)
				spin();
		spin();
	}
	nap(50);
	for (int i = 0; i < 20; i++) { /* the host runs */
		pid_t child;
		FORKED(child) _exit(0);
		EQ(reap(child), 0);
	}
	end(pid);
	gone(c);
}

/* V states, and what was counted of each process. */
static void states(void)
{
	char path[64], *text, v;
	unsigned pid_in, cpu;
	int nice;
	unsigned long long voluntary, involuntary, minor, major;
	pid_t pid, runner;

	world();
	int c = spawn();
	CFORKED(pid, c)
	{
		setpriority(PRIO_PROCESS, 0, 3);
		for (int i = 0; i < 5; i++)
			nap(1);
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0));
	nap(20);
	snprintf(path, sizeof path, "/sys/container/%d/sched.state", c);
	text = get(path);
	REQUIRE(text);
	EQ(sscanf(text, "%u %c %u %d %llu %llu %llu %llu", &pid_in, &v, &cpu, &nice, &voluntary,
		  &involuntary, &minor, &major),
	   8);
	EQ(pid_in, 1);
	EQ(v, 'S');
	EQ(nice, 3);
	CHECK(voluntary >= 5);
	CHECK(minor > 0);
	CHECK(stat_of(c, "nr_voluntary_switches") >= 5);
	CHECK(stat_of(c, "minor_faults") >= (long)minor);
	OK(CPAUSE(c));
	text = get(path);
	CHECK(text && strstr(text, "1 T "));
	OK(CRESUME(c));
	/* more that want to run than CPUs: some wait */
	CFORKED(runner, c)
	for (int i = 0; i < 2 * get_nprocs(); i++)
		if (fork() == 0)
			spin();
	reap(runner);
	bool waits = false, runs = false;
	for (int i = 0; i < 200 && !(waits && (runs || get_nprocs() == 1)); i++) {
		text = get(path);
		waits = waits || (text && strstr(text, " W "));
		runs = runs || (text && strstr(text, " R "));
		nap(5);
	}
	CHECK(waits);
	CHECK(runs || get_nprocs() == 1); /* with one CPU, it is this program that has it */
	OK(CSTOP(c));
	reap(pid);
	/* what they used stays on the books */
	CHECK(stat_of(c, "usage_usec") > 0);
	gone(c);
}

/* The first average of a container's own /proc/loadavg, and that it agrees with sysinfo(2). */
static double load_inside(int c)
{
	double *load = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int running, all, last;
	double other;
	pid_t pid;

	nap(200);
	CFORKED(pid, c)
	{
		struct sysinfo info;

		EQ(sscanf(get("/proc/loadavg") ?: "", "%lf %lf %lf %d/%d %d", load, &other, &other,
			  &running, &all, &last),
		   6);
		CHECK(running >= 1 && all >= running && last >= getpid());
		OK(sysinfo(&info));
		other = info.loads[0] / 65536.0;
		CHECK(other > *load - 0.1);
	}
	EQ(reap(pid), 0);
	other = *load;
	munmap(load, 4096);
	return other;
}

/*
 * A container's load is of its own tasks and those of containers inside it, whether they run or
 * wait, and nobody else's: 1 and 4 of them on one CPU, and one that sleeps.
 */
static void load_averages(void)
{
	pid_t pid[2], sleeper;
	int one, four, none;

	world();
	one = spawn();
	four = spawn();
	none = spawn();
	OK(control_set(one, "cpuset.cpus", "0"));
	OK(control_set(four, "cpuset.cpus", "0"));
	CFORKED(sleeper, none) pause();
	pid[0] = spinner(one);
	CFORKED(pid[1], four)
	{
		for (int i = 0; i < 3; i++)
			if (fork() == 0)
				spin();
		spin();
	}
	AWAIT(load_inside(four) >= 0.6);
	double load = load_inside(one);
	CHECK(load > 0);
	CHECK(load_inside(four) > 2 * load);
	EQ(load_inside(none) * 100, 0);
	end(pid[0]);
	end(pid[1]);
	end(sleeper);
	gone(one);
	gone(four);
	gone(none);
}

/* /proc/stat inside is of the container, CPU by CPU. */
static void stat_inside(void)
{
	pid_t pid, other;
	int c;

	world();
	c = spawn();
	OK(control_set(c, "cpuset.cpus", "0"));
	pid = spinner(c);
	AWAIT(stat_of(c, "usage_usec") > 300000);
	CFORKED(other, c)
	{
		unsigned long user[3], system[3], switches;
		char *text, *line;

		text = get("/proc/stat");
		REQUIRE(text);
		EQ(sscanf(text, "cpu %lu 0 %lu", &user[0], &system[0]), 2);
		CHECK(user[0] + system[0] >= 30);
		REQUIRE(line = strstr(text, "\ncpu0 "));
		EQ(sscanf(line, " cpu0 %lu 0 %lu", &user[1], &system[1]), 2);
		CHECK(user[1] + system[1] >= 30);
		if ((line = strstr(text, "\ncpu1 "))) {
			EQ(sscanf(line, " cpu1 %lu 0 %lu", &user[2], &system[2]), 2);
			EQ(user[2] + system[2], 0);
		}
		REQUIRE(line = strstr(text, "\nctxt "));
		EQ(sscanf(line, " ctxt %lu", &switches), 1);
		CHECK(switches > 0);
	}
	EQ(reap(other), 0);
	end(pid);
	gone(c);
}

static const struct tap_case cases[] = {
	T(defaults),	    T(values),	      T(from_inside),	  T(during_destruction),
	T(max_and_kill),    T(max_and_locks), T(cpuset_holds),	  T(cpuset_nests),
	T(cpuset_flickers), T(policies),      T(realtime_inside), T(states),
	T(load_averages),   T(stat_inside),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
