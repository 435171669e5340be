/* SPDX-License-Identifier: MIT */
/*
 * idmap_memory.c - maps of ids, and entering a container that has one, when memory fails.
 */
#include "fail_nth.h"
#include "users.h"

/* Runs try() with the n-th allocation failing, for each n until it succeeds; it says ENOMEM so far.
 */
static int each_allocation_fails(int (*try)(int), int argument)
{
	int fd = fail_nth_open(), n;

	for (n = 1; n < 200; n++) {
		fail_nth(fd, n);
		int ret = try(argument);
		fail_none(fd);
		if (ret >= 0)
			break;
		EQ(errno, ENOMEM);
	}
	close(fd);
	return n;
}

static int try_fork(int c)
{
	pid_t pid = CFORK(c);

	if (!pid)
		_exit(getgid());
	if (pid > 0)
		EQ(reap(pid), 0);
	return pid;
}

static int try_join(int c)
{
	return JOIN(c);
}

/*
 * Reads and writes that lack memory are done once more by the kernel itself (doc/memory.md): so
 * each of the first allocations of writing a map fails once in a container of its own.
 */
static void maps_without_memory(void)
{
	int fd = fail_nth_open();

	for (int n = 1; n < 12; n++) {
		int c = spawn();
		OK(control_set(c, "gid_map", "0 200000 5\n5 300000 100"));
		fail_nth(fd, n);
		int err = control_set(c, "uid_map", MAP);
		fail_none(fd);
		if (err) {
			EQ(errno, ENOMEM);
			STREQ(control_get(c, "uid_map"), "         0     200000          5");
			OK(control_set(c, "uid_map", MAP));
		}
		STREQ(control_get(c, "uid_map"), "         0     100000      65536");
		STREQ(control_get(c, "gid_map"), "         0     200000          5");
		gone(c);
	}
	close(fd);
}

static void memory_fails(void)
{
	world();
	fail_nth_required();
	maps_without_memory();
	int c = mapped(MAP), n;
	pid_t pid;
	FORKED(pid)
	{
		gid_t groups[3] = { 1, 2, BEYOND };
		OK(syscall(SYS_setgroups, 3, groups));
		n = each_allocation_fails(try_fork, c);
		CHECK(n > 4 && n < 200);
	}
	EQ(reap(pid), 0);
	gone(c);
	c = mapped(MAP);
	pid_t first;
	CFORKED(first, c)
	idle();
	FORKED(pid)
	{
		n = each_allocation_fails(try_join, c);
		CHECK(n > 4 && n < 200);
		OK(LEAVE());
		EQ(getuid(), 0);
	}
	EQ(reap(pid), 0);
	OK(kill(first, SIGKILL));
	EQ(reap(first), 128 + SIGKILL);
	gone(c);
}

static const struct tap_case cases[] = { T(memory_fails) };

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
