/* SPDX-License-Identifier: MIT */
/*
 * join.h - a container to join, which has a pid 1, which sleeps. Those without, made by
 * create_container, are tested on a disk (create.c).
 */
#ifndef TESTS_GUEST_JOIN_H
#define TESTS_GUEST_JOIN_H

#include "cont.h"

static pid_t init_pid; /* of home()'s */

static TAP_UNUSED int home_limited(uint64_t pids, uint64_t memory)
{
	int c = spawn_limited(pids, memory);

	CFORKED(init_pid, c) idle();
	return c;
}

static TAP_UNUSED int home(void)
{
	return home_limited(CONTAINER_NO_LIMIT, CONTAINER_NO_LIMIT);
}

static TAP_UNUSED void home_gone(int c)
{
	gone(c);
	EQ(reap(init_pid), 137);
}

#endif
