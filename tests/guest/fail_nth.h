/* SPDX-License-Identifier: MIT */
/*
 * fail_nth.h - one allocation of a call fails (/proc/self/fail-nth, debug kernel).
 *
 * Typical sequence: fail_nth_required(); int fd = fail_nth_open(); for (int n = 1; ...; n++) {
 * fail_nth(fd, n); the call; fail_none(fd); it says ENOMEM, or has no n-th allocation }
 */
#ifndef TESTS_GUEST_FAIL_NTH_H
#define TESTS_GUEST_FAIL_NTH_H

#include "tap.h"

#define FAIL_NTH "/proc/self/fail-nth"

/* Skips the case where there is no such file. */
static TAP_UNUSED void fail_nth_required(void)
{
	if (access(FAIL_NTH, F_OK))
		SKIP("no fail-nth: not the debug kernel");
}

/* Only the opener's process may write it; what fails is the writing thread's. */
static TAP_UNUSED int fail_nth_open(void)
{
	return OK(open(FAIL_NTH, O_RDWR | O_CLOEXEC));
}

/* The n-th allocation from now on fails. */
static TAP_UNUSED void fail_nth(int fd, int n)
{
	char text[16];
	int length = snprintf(text, sizeof text, "%d", n);

	EQ(pwrite(fd, text, length, 0), length);
}

/* None fails from now on; the write may be the one that does. Keeps errno. */
static TAP_UNUSED void fail_none(int fd)
{
	int saved = errno;

	while (pwrite(fd, "0", 1, 0) < 0)
		;
	errno = saved;
}

#endif
