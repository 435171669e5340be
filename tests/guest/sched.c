/* SPDX-License-Identifier: MIT */
/*
 * sched.c - scheduling of containers: the control files cpu.*, cpuset.* and sched.*, hostile
 * values, cpu.max with kill and pause, cpusets, policies, managers. Shares to the percent:
 * fairness.c.
 */
#include "cont.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

static void spin(void)
{
	for (;;)
		__asm__ volatile("pause");
}

static pid_t spinner(int cid)
{
	pid_t pid;

	CFORKED(pid, cid)
	spin();
	return pid;
}

static void end(pid_t pid)
{
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 128 + SIGKILL);
}

static long stat_of(int cid, const char *key)
{
	char path[64], *text, *line;

	snprintf(path, sizeof path, "/sys/container/%d/cpu.stat", cid);
	text = get(path);
	line = text ? strstr(text, key) : NULL;
	REQUIRE(line);
	return atol(line + strlen(key) + 1);
}

static void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

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

/* --- managers --- */

static struct sched_page *managed(int cid, int *fd)
{
	*fd = syscall(SYS_container_sched, cid);
	REQUIRE(*fd >= 0);
	struct sched_page *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	REQUIRE(page != MAP_FAILED);
	return page;
}

static void manager_descriptor(void)
{
	int fd;

	world();
	ERR(syscall(SYS_container_sched, -1), ESRCH);
	ERR(syscall(SYS_container_sched, 0), ESRCH);
	ERR(syscall(SYS_container_sched, 999999), ESRCH);
	int c = spawn();
	struct sched_page *page = managed(c, &fd);
	STREQ(control_get(c, "sched.policy"), "manager");
	EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ERR(syscall(SYS_container_sched, c), EBUSY);
	ERR(read(fd, page, 1), EINVAL);
	ERR(write(fd, page, 1), EINVAL);
	EQ((long)mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0), -1);
	EQ((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096), -1);
	EQ((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), -1);
	struct pollfd p = { fd, POLLIN, 0 };
	EQ(poll(&p, 1, 0), 0);
	close(fd);
	page->tail = 5; /* still there, and nobody's */
	EQ(munmap(page, 4096), 0);
	page = managed(c, &fd);
	gone(c); /* with a manager */
	EQ(poll(&p, 1, 0), 0);
	close(fd);
	munmap(page, 4096);
}

/* Two processes that compute; the manager chooses only one: the other gets nothing. */
static void manager_chooses(void)
{
	pid_t pid;
	int fd;

	world();
	int c = spawn();
	OK(control_set(c, "cpuset.cpus", "0"));
	struct sched_page *page = managed(c, &fd);
	CFORKED(pid, c)
	{
		for (int i = 0; i < 2; i++) {
			pid_t p;
			FORKED(p)
			{
				WORD(10 + i) = getpid();
				for (;;)
					WORD(20 + i)++;
			}
		}
		idle();
	}
	AWAIT(WORD(10));
	AWAIT(WORD(11));
	long picks = 0;
	int favoured = 0, other = 0;
	for (int round = 0; round < 100 && picks < 20; round++) {
		struct pollfd p = { fd, POLLIN, 0 };
		int before[2] = { WORD(20), WORD(21) };

		poll(&p, 1, 20);
		while (page->tail - page->head < SCHED_CHOICES / 2) {
			page->choice[page->tail % SCHED_CHOICES] = WORD(11);
			__atomic_fetch_add(&page->tail, 1, __ATOMIC_RELEASE);
		}
		nap(20);
		favoured += WORD(21) != before[1];
		other += WORD(20) != before[0];
		picks = stat_of(c, "manager_picks");
	}
	tap_say("# %ld picks, %ld fall-backs; rounds with progress: %d, %d", picks,
		stat_of(c, "manager_fallbacks"), favoured, other);
	CHECK(picks >= 20);
	CHECK(favoured > other);
	EQ(page->picks <= (uint64_t)stat_of(c, "manager_picks"), 1);
	/* it stalls: both go on, and it is counted */
	long fallbacks = stat_of(c, "manager_fallbacks");
	for (int i = 0; i < 1000 && !stat_of(c, "manager_stalls"); i++)
		nap(10);
	CHECK(stat_of(c, "manager_stalls") > 0);
	int before = WORD(20);
	for (int i = 0; i < 500 && WORD(20) == before; i++)
		nap(10);
	CHECK(WORD(20) != before);
	CHECK(stat_of(c, "manager_fallbacks") > fallbacks);
	struct pollfd p = { fd, POLLIN, 0 };
	EQ(poll(&p, 1, 5000), 1);
	/* it dies: the same */
	close(fd);
	fallbacks = stat_of(c, "manager_fallbacks");
	before = WORD(20);
	int before1 = WORD(21);
	for (int i = 0; i < 500 && (WORD(20) == before || WORD(21) == before1); i++)
		nap(10);
	CHECK(WORD(20) != before && WORD(21) != before1);
	for (int i = 0; i < 500 && stat_of(c, "manager_fallbacks") == fallbacks; i++)
		nap(10);
	CHECK(stat_of(c, "manager_fallbacks") > fallbacks);
	munmap(page, 4096);
	OK(CSTOP(c));
	reap(pid);
	gone(c);
}

/* A manager that writes nonsense into its page hurts nobody. */
static void manager_writes_nonsense(void)
{
	pid_t pid, evil;
	int fd;

	world();
	int c = spawn();
	struct sched_page *page = managed(c, &fd);
	FORKED(evil)
	{
		uint32_t x = 1;
		for (;;) {
			uint32_t *words = (uint32_t *)page;
			x = x * 1664525 + 1013904223;
			words[(x >> 8) % 1024] = x;
			if (x & 1)
				page->choice[(x >> 9) % SCHED_CHOICES] = x % 12; /* some exist */
			if (!(x >> 30))
				page->tail = page->head + x % 1000;
		}
	}
	CFORKED(pid, c)
	{
		for (int i = 0; i < 4; i++)
			if (fork() == 0)
				spin();
		for (int n = 0; n < 100; n++) {
			pid_t child;
			FORKED(child) _exit(0);
			EQ(reap(child), 0);
			nap(1);
		}
		kill(-1, SIGKILL);
	}
	EQ(reap(pid), 0);
	end(evil);
	close(fd);
	munmap(page, 4096);
	gone(c);
}

static const struct tap_case cases[] = {
	T(defaults),	       T(values),	   T(from_inside),
	T(during_destruction), T(max_and_kill),	   T(max_and_locks),
	T(cpuset_holds),       T(cpuset_nests),	   T(cpuset_flickers),
	T(policies),	       T(realtime_inside), T(states),
	T(manager_descriptor), T(manager_chooses), T(manager_writes_nonsense),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
