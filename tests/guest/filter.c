/* SPDX-License-Identifier: MIT */
/*
 * filter.c - which calls a container may make: the grammar of syscalls.deny, what each action
 * does, that rules only narrow downwards, and that hostile writers and writers who race with the
 * container's end change nothing. Managers (notify) are in notify.c.
 */
#include "cont.h"
#include <pthread.h>
#include <stddef.h>

#define SIGSYS_STATUS (128 + SIGSYS)

static void rules(void)
{
	world();
	int c = spawn();
	STREQ(control_get(c, "syscalls.deny"), "");
	OK(control_set(c, "syscalls.deny", "mkdir"));
	STREQ(control_get(c, "syscalls.deny"), "mkdir=EPERM");
	OK(control_set(c, "syscalls.deny",
		       " unlink=kill,\topen=notify  ptrace=log,kill=log+ENOSYS\n"));
	const char *now = "open=notify kill=log+ENOSYS unlink=kill ptrace=log";
	STREQ(control_get(c, "syscalls.deny"), now);
	STREQ(control_get(c, "syscalls.deny.effective"), now);
	static const char *bad[] = {
		"nosuchcall", "mkdir=",	      "mkdir=EWHAT", "mkdir=eperm",
		"=EPERM",     "mkdir==EPERM", "mkdir=log+",  "mkdir=log+allow ?",
		"mkdir=512",  "mkdir rmdir=", "log",	     "mkdir=log+log+kill",
		"mkdir\001",  "exit_group",   "exit=ENOSYS", "exit_group=notify"
	};
	for (size_t i = 0; i < COUNT(bad); i++) {
		ERR(control_set(c, "syscalls.deny", bad[i]), EINVAL);
		STREQ(control_get(c, "syscalls.deny"), now);
	}
	char big[5000];
	memset(big, ' ', sizeof big);
	big[sizeof big - 1] = 0;
	ERR(control_set(c, "syscalls.deny", big), EINVAL);
	STREQ(control_get(c, "syscalls.deny"), now);
	/* the last rule for a call counts; what allows is no rule */
	OK(control_set(c, "syscalls.deny", "all=EPERM all=allow mkdir=EROFS mkdir=ENOSPC"));
	STREQ(control_get(c, "syscalls.deny"), "mkdir=ENOSPC");
	OK(control_set(c, "syscalls.deny", "all=kill"));
	CHECK(strlen(control_get(c, "syscalls.deny")) > 4000);
	OK(control_set(c, "syscalls.deny", "exit=kill exit_group=log"));
	STREQ(control_get(c, "syscalls.deny"), "exit=kill exit_group=log");
	OK(control_set(c, "syscalls.deny", "\n"));
	STREQ(control_get(c, "syscalls.deny"), "");
	gone(c);
}

/* Whatever is refused, a process can end. */
static void all_but_the_end(void)
{
	world();
	int c = spawn();
	pid_t p = CFORK(c);
	if (!p) {
		while (!WORD(0))
			;
		WORD(1) = mkdir("/a", 0755) == -1 && errno == EPERM;
		_exit(7);
	}
	OK(control_set(c, "syscalls.deny", "all=EPERM"));
	CHECK(!strstr(control_get(c, "syscalls.deny"), "exit"));
	WORD(0) = 1;
	EQ(reap(p), 7);
	EQ(WORD(1), 1);
	gone(c);
}

/* The value beside a word of syscalls.events. */
static long count_of(int cid, const char *word)
{
	char path[64];

	snprintf(path, sizeof path, "/sys/container/%d/syscalls.events", cid);
	char *text = get(path), *at = text ? strstr(text, word) : NULL;
	return at ? strtol(at + strlen(word), NULL, 10) : -1;
}

static void actions(void)
{
	world();
	int c = spawn();
	pid_t pid;
	CFORKED(pid, c)
	{
		OK(mkdir("/a", 0755));
		WORD(0) = 1;
		AWAIT(WORD(1));
		/* the rules came while this process ran */
		ERR(mkdir("/b", 0755), EACCES);
		ERR(syscall(SYS_mkdirat, AT_FDCWD, "/b", 0755), ENOSYS);
		ERR(syscall(SYS_getcid), ESRCH);
		OK(rmdir("/a"));
		ERR(syscall(SYS_ptrace, 0, 0, 0, 0), ENOSYS); /* logged, and not there */
		pid_t child = fork();
		if (child == 0) {
			unlink("/none");
			_exit(0);
		}
		EQ(reap(child), SIGSYS_STATUS);
		WORD(0) = 2;
		AWAIT(WORD(1) == 2);
		OK(mkdir("/b", 0755));
		OK(rmdir("/b"));
	}
	AWAIT(WORD(0) == 1);
	OK(control_set(
		c, "syscalls.deny",
		"mkdir=EACCES mkdirat=ENOSYS getcid=ESRCH rmdir=log unlink=kill ptrace=log"));
	OK(mkdir("host-may", 0755)); /* no rule for anybody else */
	WORD(1) = 1;
	AWAIT(WORD(0) == 2);
	EQ(count_of(c, "errno "), 3);
	EQ(count_of(c, "kill "), 1);
	EQ(count_of(c, "log "), 2);
	EQ(count_of(c, "notify "), 0);
	OK(control_set(c, "syscalls.deny", ""));
	WORD(1) = 2;
	EQ(reap(pid), 0);
	gone(c);
}

static void *sleeper(void *arg)
{
	pause();
	return arg;
}

static void kill_ends_all_threads(void)
{
	world();
	int c = spawn();
	pid_t pid;
	OK(control_set(c, "syscalls.deny", "sync=kill"));
	CFORKED(pid, c)
	{
		pid_t threads = fork();
		if (threads == 0) {
			pthread_t t;
			REQUIRE(pthread_create(&t, NULL, sleeper, NULL) == 0);
			sync();
			_exit(1);
		}
		EQ(reap(threads), SIGSYS_STATUS);
	}
	EQ(reap(pid), 0);
	/* pid 1 too: it ends the container */
	CFORKED(pid, c) sync();
	EQ(reap(pid), SIGSYS_STATUS);
	EQ(info_of(c).state, CONTAINER_STOPPED);
	EQ(info_of(c).exit_status, SIGSYS);
	gone(c);
}

static int spawn_with(const char *rules)
{
	struct container_spec s = spec_of("r");

	s.deny = (uintptr_t)rules;
	return syscall(SYS_spawncont, &s, sizeof s);
}

static void in_the_specification(void)
{
	world();
	int c = OK(spawn_with("mkdir=EROFS"));
	STREQ(control_get(c, "syscalls.deny"), "mkdir=EROFS");
	pid_t pid;
	CFORKED(pid, c) ERR(mkdir("/x", 0755), EROFS);
	EQ(reap(pid), 0);
	gone(c);
	c = OK(spawn_with(""));
	STREQ(control_get(c, "syscalls.deny"), "");
	gone(c);
	ERR(spawn_with("mkdir=EWHAT"), EINVAL);
	ERR(spawn_with((char *)8), EFAULT);
	ERR(spawn_with((char *)0x800000000000), EFAULT);
	char big[8192];
	memset(big, ' ', sizeof big);
	big[sizeof big - 1] = 0;
	ERR(spawn_with(big), EINVAL);
	/* a caller that knows the shorter struct */
	struct container_spec s = spec_of("r");
	s.deny = 8;
	c = OK(syscall(SYS_spawncont, &s, offsetof(struct container_spec, deny)));
	STREQ(control_get(c, "syscalls.deny"), "");
	gone(c);
}

/* Inside a container with mkdir=EPERM: everything that might widen it. */
static void try_to_widen(int c)
{
	char path[64];

	ERR(mkdir("/x", 0755), EPERM);
	EQ(open("/sys/container/self/syscalls.deny", O_WRONLY), -1);
	snprintf(path, sizeof path, "/sys/container/%d/syscalls.deny", c);
	ERR(open(path, O_WRONLY), ENOENT);
	struct container_spec s = spec_of("/");
	s.deny = (uintptr_t) "mkdir=allow rmdir=EIO";
	int d = OK(syscall(SYS_spawncont, &s, sizeof s));
	STREQ(control_get(d, "syscalls.deny"), "rmdir=EIO");
	STREQ(control_get(d, "syscalls.deny.effective"), "mkdir=EPERM rmdir=EIO");
	OK(control_set(d, "syscalls.deny", "all=allow mkdir=log rmdir=EIO"));
	pid_t pid;
	CFORKED(pid, d)
	{
		ERR(mkdir("/x", 0755), EPERM);
		ERR(rmdir("/none"), EIO);
		WORD(0) = 1;
		AWAIT(WORD(1));
		ERR(mkdir("/x", 0755), ENOSPC); /* the host's rules have changed */
		ERR(rmdir("/none"), EIO);
		ERR(unlink("/none"), EXDEV);
		WORD(0) = 2;
		AWAIT(WORD(1) == 2);
		OK(mkdir("/x", 0755)); /* and are gone: only the inner ones are left */
		ERR(rmdir("/x"), EIO);
	}
	EQ(reap(pid), 0);
	OK(rmdir("/x"));
	OK(DESTROY(d));
}

static void only_narrows(void)
{
	world();
	int c = OK(spawn_with("mkdir=EPERM"));
	pid_t pid;
	CFORKED(pid, c) try_to_widen(c);
	AWAIT(WORD(0) == 1);
	OK(control_set(c, "syscalls.deny", "mkdir=ENOSPC unlink=EXDEV"));
	WORD(1) = 1;
	AWAIT(WORD(0) == 2);
	OK(control_set(c, "syscalls.deny", ""));
	WORD(1) = 2;
	EQ(reap(pid), 0);
	gone(c);
}

/* Of two levels the stricter counts, whichever it is. */
static void strictest_wins(void)
{
	world();
	int c = OK(spawn_with("mkdir=kill rmdir=EIO sync=log"));
	pid_t pid;
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/");
		s.deny = (uintptr_t) "mkdir=EIO rmdir=kill sync=EBUSY";
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		STREQ(control_get(d, "syscalls.deny.effective"),
		      "mkdir=kill rmdir=kill sync=log+EBUSY");
		OK(control_set(d, "syscalls.deny", "mkdir=EIO rmdir=ENOSPC"));
		STREQ(control_get(d, "syscalls.deny.effective"), "mkdir=kill rmdir=EIO sync=log");
		OK(DESTROY(d));
	}
	EQ(reap(pid), 0);
	gone(c);
}

static void who_may_write(void)
{
	world();
	int c = spawn();
	pid_t pid;
	FORKED(pid)
	{
		REQUIRE(setresuid(1000, 1000, 1000) == 0);
		ERR(control_set(c, "syscalls.deny", "mkdir"), EACCES);
		STREQ(control_get(c, "syscalls.deny"), "");
	}
	EQ(reap(pid), 0);
	ERR(control_set(c, "syscalls.deny.effective", "mkdir"), EACCES);
	char path[64];
	snprintf(path, sizeof path, "/sys/container/%d/syscalls.deny", c);
	int fd = OK(open(path, O_RDWR | O_CLOEXEC));
	gone(c);
	ERR(write(fd, "mkdir", 5), ESRCH);
	ERR(read(fd, path, sizeof path), ESRCH);
	close(fd);
}

/* Rules change all the time under processes that call, and under the container's end. */
static void changes_in_flight(void)
{
	world();
	for (int round = 0; round < 20; round++) {
		int c = spawn();
		pid_t inside, writer;
		WORD(0) = 0;
		CFORKED(inside, c)
		{
			for (;;) {
				int e = mkdir("/in", 0755) ? errno : 0;
				CHECK(e == EEXIST || e == EPERM || e == ENOSPC);
				WORD(0) = 1;
			}
		}
		FORKED(writer)
		{
			while (!control_set(c, "syscalls.deny", "mkdir=EPERM") &&
			       !control_set(c, "syscalls.deny", "") &&
			       !control_set(c, "syscalls.deny", "mkdir=ENOSPC"))
				;
			CHECK(errno == ENOENT || errno == ESRCH);
		}
		AWAIT(WORD(0));
		sleep_ms(5);
		gone(c);
		EQ(reap(inside), 128 + SIGKILL);
		EQ(reap(writer), 0);
	}
}

static const struct tap_case cases[] = {
	T(rules),
	T(all_but_the_end),
	T(actions),
	T(kill_ends_all_threads),
	T(in_the_specification),
	T(only_narrows),
	T(strictest_wins),
	T(who_may_write),
	T(changes_in_flight),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
