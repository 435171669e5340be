/* SPDX-License-Identifier: MIT */
/*
 * events.c - the control files events, on_limit, freeze, memory.map, pids.peak and pids.events;
 * what a specification says of mounts: a root that cannot be written to, and bind mounts.
 */
#include "cont.h"
#include "fail_nth.h"
#include <poll.h>

static char *events_of(int cid)
{
	char path[64];

	snprintf(path, sizeof path, "/sys/container/%d/events", cid);
	if (!cid)
		strcpy(path, "/sys/container/self/events");
	return get(path);
}

/* Lines of this container with this event (and what follows it, if there is a space in it). */
static int count_events(int where, int cid, const char *event)
{
	char *text = events_of(where);
	int count = 0;

	for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		unsigned id;
		int at = 0;
		*end = 0;
		if (sscanf(line, "%*u %*u.%*u %u %n", &id, &at) == 1 && at && (int)id == cid &&
		    !strncmp(line + at, event, strlen(event)))
			count++;
	}
	return count;
}

static void life(void)
{
	world();
	int c = spawn();
	pid_t pid;
	EQ(count_events(c, c, "created"), 1);
	CFORKED(pid, c)
	{
		AWAIT(WORD(0));
		_exit(3);
	}
	OK(CPAUSE(c));
	OK(CRESUME(c));
	WORD(0) = 1;
	EQ(reap(pid), 3);
	char *text = events_of(c), order[256] = "";
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		char word[32];
		unsigned number;
		REQUIRE(sscanf(line, "%u %*u.%*u %*u %31s", &number, word) == 2);
		strcat(strcat(order, word), " ");
	}
	STREQ(order, "created started paused resumed stopped ");
	EQ(count_events(c, c, "stopped status=768"), 1);
	EQ(count_events(0, c, "stopped status=768"), 1); /* the host has it too */
	gone(c);
	EQ(count_events(0, c, "destroyed"), 1);
	EQ(count_events(0, c, "created"), 1);
}

static void pollable(void)
{
	world();
	int c = spawn();
	char path[64], text[4096];
	snprintf(path, sizeof path, "/sys/container/%d/events", c);
	int fd = OK(open(path, O_RDONLY | O_CLOEXEC));
	struct pollfd p = { fd, POLLPRI, 0 };
	OK(read(fd, text, sizeof text));
	EQ(poll(&p, 1, 0), 0);
	pid_t pid;
	CFORKED(pid, c) AWAIT(WORD(0));
	EQ(poll(&p, 1, 20000), 1);
	CHECK(p.revents & POLLPRI);
	WORD(0) = 1;
	EQ(reap(pid), 0);
	close(fd);
	ERR(open(path, O_WRONLY), EACCES);
	gone(c);
}

/* Far more events than are kept: the others' stay, and numbers tell what is missing. */
static void bounded(void)
{
	world();
	int c = spawn_limited(1, CONTAINER_NO_LIMIT), quiet = spawn();
	pid_t pid;
	CFORKED(pid, c)
	{
		for (int i = 0; i < 2000; i++)
			if (fork() == 0)
				_exit(0);
	}
	EQ(reap(pid), 0);
	CHECK(count_events(c, c, "limit of=pids times=") >= 1);
	EQ(count_events(c, c, "created"), 1); /* the bomb did not push it out */
	EQ(count_events(0, quiet, "created"), 1);
	for (int i = 0; i < 60; i++) {
		CFORKED(pid, c) {}
		EQ(reap(pid), 0);
	}
	char *text = events_of(c);
	int lines = 0;
	for (char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	EQ(lines, 16);
	CHECK(strtol(text, NULL, 10) > 100);
	gone(c);
	gone(quiet);
}

/* The words of the events of c, in order. */
static const char *words_of(int c)
{
	static char order[1024];
	char word[32];

	order[0] = 0;
	for (char *line = events_of(c), *end; (end = strchr(line, '\n')); line = end + 1) {
		REQUIRE(sscanf(line, "%*u %*u.%*u %*u %31s", word) == 1);
		strcat(strcat(order, word), " ");
	}
	return order;
}

/* The first four stand in the container; the fifth needs memory. Without, the last four remain. */
static void the_fifth(void)
{
	world();
	fail_nth_required();
	int c = spawn(), nth = fail_nth_open();
	pid_t pid;
	CFORKED(pid, c) AWAIT(WORD(0));
	OK(CPAUSE(c));
	OK(CRESUME(c));
	STREQ(words_of(c), "created started paused resumed ");
	fail_nth(nth, 1);
	OK(CPAUSE(c));
	fail_none(nth);
	STREQ(words_of(c), "started paused resumed paused ");
	OK(CRESUME(c));
	STREQ(words_of(c), "started paused resumed paused resumed ");
	WORD(0) = 1;
	EQ(reap(pid), 0);
	STREQ(words_of(c), "started paused resumed paused resumed stopped ");
	close(nth);
	gone(c);
}

static int spawn_flags(unsigned flags, uint64_t pids, uint64_t memory)
{
	struct container_spec s = spec_of("r");

	s.flags = flags;
	s.pids_max = pids;
	s.memory_max = memory;
	return OK(syscall(SYS_spawncont, &s, sizeof s));
}

static void on_limit(void)
{
	world();
	int c = spawn_flags(CONTAINER_F_KILL_ON_LIMIT, 3, CONTAINER_NO_LIMIT);
	STREQ(control_get(c, "on_limit"), "kill");
	pid_t pid;
	CFORKED(pid, c)
	{
		while (fork() >= 0)
			;
		idle();
	}
	EQ(reap(pid), 128 + SIGKILL);
	EQ(count_events(c, c, "killed of=pids"), 1);
	EQ(info_of(c).state, CONTAINER_STOPPED);
	CHECK(atoi(control_get(c, "pids.events") + strlen("max ")) >= 1);
	OK(control_set(c, "on_limit", "errno"));
	STREQ(control_get(c, "on_limit"), "errno");
	ERR(control_set(c, "on_limit", "frob"), EINVAL);
	ERR(control_set(c, "on_limit", ""), EINVAL);
	CFORKED(pid, c)
	{
		int n = 0;
		while (fork() > 0)
			n++;
		if (getpid() != 1)
			idle();
		EQ(errno, EAGAIN);
		EQ(n, 2);
	}
	EQ(reap(pid), 0);
	EQ(count_events(c, c, "limit of=pids"), 1);
	STREQ(control_get(c, "pids.peak"), "3");
	gone(c);
}

static void out_of_memory(bool kill_all)
{
	int c = spawn_flags(kill_all ? CONTAINER_F_KILL_ON_LIMIT : 0, CONTAINER_NO_LIMIT, 8 << 20);
	pid_t pid;
	CFORKED(pid, c)
	{
		pid_t hog = fork();
		if (hog == 0) {
			char *p = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			for (size_t i = 0; i < 64 << 20; i += 4096)
				p[i] = 1;
			_exit(0);
		}
		EQ(reap(hog), 128 + SIGKILL);
		AWAIT(!kill_all);
	}
	EQ(reap(pid), kill_all ? 128 + SIGKILL : 0);
	EQ(count_events(c, c, "oom pid="), 1);
	EQ(count_events(c, c, "killed of=memory"), kill_all);
	gone(c);
}

static void memory(void)
{
	world();
	out_of_memory(false);
	out_of_memory(true);
}

static void freeze(void)
{
	world();
	int c = spawn();
	pid_t pid;
	STREQ(control_get(c, "freeze"), "0");
	ERR(control_set(c, "freeze", "1"), EINVAL); /* it does not run */
	CFORKED(pid, c)
	{
		for (;;)
			WORD(0)++;
	}
	AWAIT(WORD(0));
	OK(control_set(c, "freeze", "1"));
	OK(control_set(c, "freeze", "1"));
	STREQ(control_get(c, "freeze"), "1");
	EQ(info_of(c).state, CONTAINER_PAUSED);
	int before = WORD(0);
	sleep_ms(30);
	EQ(WORD(0), before);
	ERR(control_set(c, "freeze", "2"), EINVAL);
	ERR(control_set(c, "freeze", ""), EINVAL);
	OK(control_set(c, "freeze", "0"));
	AWAIT(WORD(0) != before);
	gone(c);
	EQ(reap(pid), 128 + SIGKILL);
}

/* Where it lies in memory, for the host's administrator: each page once, none inside or for others.
 */
static void memory_map(void)
{
	world();
	int c = spawn();
	char path[64];
	pid_t pid, other;
	snprintf(path, sizeof path, "/sys/container/%d/memory.map", c);
	void *volatile *at = (void *volatile *)&WORD(10);
	CFORKED(pid, c)
	{
		char *p = mmap(NULL, 16 << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
		memset(p, 1, 16 << 12);
		*at = p;
		ERR(open("/sys/container/self/memory.map", O_RDONLY), EPERM);
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0));
	char *text = get(path);
	REQUIRE(text);
	unsigned long found = 0, start = (unsigned long)*at, end = start + (16 << 12);
	for (char *line = text, *next; (next = strchr(line, '\n')); line = next + 1) {
		unsigned long va, length, phys;
		unsigned who;
		REQUIRE(sscanf(line, "%u %lx %lu %lx", &who, &va, &length, &phys) == 4);
		EQ(who, 1);
		CHECK(length && length % 4096 == 0 && phys % 4096 == 0 && phys);
		unsigned long from = va > start ? va : start;
		unsigned long to = va + length < end ? va + length : end;
		if (from < to)
			found += to - from;
	}
	EQ(found, 16 << 12);
	FORKED(other)
	{
		REQUIRE(setresuid(1000, 1000, 1000) == 0);
		ERR(open(path, O_RDONLY), EACCES);
	}
	EQ(reap(other), 0);
	gone(c);
	EQ(reap(pid), 128 + SIGKILL);
}

static void read_only_root(void)
{
	world();
	OK(mkdir("r/other", 0755));
	int c = spawn_flags(CONTAINER_F_READ_ONLY, CONTAINER_NO_LIMIT, CONTAINER_NO_LIMIT);
	pid_t pid;
	CFORKED(pid, c)
	{
		ERR(mkdir("/x", 0755), EROFS);
		ERR(open("/file", O_WRONLY | O_CREAT, 0600), EROFS);
		ERR(mount(NULL, "/", NULL, MS_REMOUNT, NULL), EPERM);
		ERR(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
		OK(mount("/", "/other", NULL, MS_BIND, NULL));
		ERR(mkdir("/other/x", 0755), EROFS);
		ERR(mount(NULL, "/other", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
		int fd = OK(open("/dev/null", O_WRONLY));
		EQ(write(fd, "x", 1), 1);
		close(fd);
		OK(mount("t", "/tmp", "tmpfs", 0, NULL)); /* what is its own it may write to */
		OK(mkdir("/tmp/x", 0755));
	}
	EQ(reap(pid), 0);
	OK(mkdir("r/outside", 0755)); /* only the container's view is read-only */
	gone(c);
}

static int spawn_bound(const char *source, const char *target, unsigned flags, unsigned count)
{
	struct container_bind b = { (uintptr_t)source, (uintptr_t)target, flags, 0 };
	struct container_spec s = spec_of("r");

	s.binds = (uintptr_t)&b;
	s.bind_count = count;
	return syscall(SYS_spawncont, &s, sizeof s);
}

static void bind_mounts(void)
{
	world();
	OK(mkdir("data", 0755));
	put("data/file", "outside", 0644);
	put("single", "one file", 0644);
	put("r/onto", "", 0644);
	int c = OK(spawn_bound("data", "/in", 0, 1));
	pid_t pid;
	CFORKED(pid, c)
	{
		STREQ(get("/in/file"), "outside");
		put("/in/new", "from inside", 0644);
		struct stat st;
		ERR(stat("/in/../data", &st), ENOENT); /* no way out by .. */
		OK(chdir("/in"));
		OK(chdir(".."));
		char here[64];
		STREQ(getcwd(here, sizeof here), "/");
	}
	EQ(reap(pid), 0);
	STREQ(get("data/new"), "from inside");
	gone(c);
	c = OK(spawn_bound("data", "/in", CONTAINER_BIND_READ_ONLY, 1));
	CFORKED(pid, c)
	{
		STREQ(get("/in/file"), "outside");
		ERR(open("/in/file", O_WRONLY), EROFS);
		ERR(mkdir("/in/x", 0755), EROFS);
		ERR(mount(NULL, "/in", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
		OK(mkdir("/y", 0755)); /* the root is not read-only */
	}
	EQ(reap(pid), 0);
	gone(c);
	c = OK(spawn_bound("single", "/onto", 0, 1));
	CFORKED(pid, c) STREQ(get("/onto"), "one file");
	EQ(reap(pid), 0);
	gone(c);
}

static void bad_binds(void)
{
	world();
	OK(mkdir("data", 0755));
	put("file", "", 0644);
	OK(symlink("/tmp", "r/link"));
	ERR(spawn_bound("none", "/in", 0, 1), ENOENT);
	ERR(spawn_bound("data", "/none", 0, 1), ENOENT);
	ERR(spawn_bound("file", "/in", 0, 1), ENOTDIR);
	ERR(spawn_bound("data", "/in", 2, 1), EINVAL);
	ERR(spawn_bound("data", "/in", 0, CONTAINER_BINDS_MAX + 1), EINVAL);
	ERR(spawn_bound((char *)8, "/in", 0, 1), EFAULT);
	ERR(spawn_bound("data", (char *)8, 0, 1), EFAULT);
	ERR(spawn_bound("data", "", 0, 1), ENOENT);
	struct container_spec s = spec_of("r");
	s.binds = 8;
	s.bind_count = 1;
	ERR(syscall(SYS_spawncont, &s, sizeof s), EFAULT);
	s.bind_count = 0;
	s.created = 1; /* without an id */
	ERR(syscall(SYS_spawncont, &s, sizeof s), EINVAL);
	/* a link in the root leads to the root's /tmp, not to ours */
	int c = OK(spawn_bound("data", "/link", 0, 1));
	pid_t pid;
	CFORKED(pid, c) put("/tmp/mark", "", 0600);
	EQ(reap(pid), 0);
	CHECK(mode_of("data/mark"));
	gone(c);
}

static const struct tap_case cases[] = {
	T(life),   T(pollable),	  T(bounded),	     T(the_fifth),   T(on_limit),  T(memory),
	T(freeze), T(memory_map), T(read_only_root), T(bind_mounts), T(bad_binds),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
