/* SPDX-License-Identifier: MIT */
/*
 * scheduling.h - for the tests of scheduling: processes that use the CPU, and what is on the books.
 */
#ifndef TESTS_GUEST_SCHEDULING_H
#define TESTS_GUEST_SCHEDULING_H

#include "cont.h"

_Noreturn static TAP_UNUSED void spin(void)
{
	for (;;)
		__asm__ volatile("pause");
}

static TAP_UNUSED pid_t spinner(int cid)
{
	pid_t pid;

	CFORKED(pid, cid)
	spin();
	return pid;
}

static TAP_UNUSED void end(pid_t pid)
{
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 128 + SIGKILL);
}

/* The number beside a word in cpu.stat. */
static TAP_UNUSED long stat_of(int cid, const char *key)
{
	char path[64], *text, *line;

	snprintf(path, sizeof path, "/sys/container/%d/cpu.stat", cid);
	text = get(path);
	line = text ? strstr(text, key) : NULL;
	REQUIRE(line);
	return atol(line + strlen(key) + 1);
}

static TAP_UNUSED void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

#endif
