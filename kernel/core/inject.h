/* SPDX-License-Identifier: MIT */
/*
 * inject.h - failing on purpose, in the debug kernel: the n-th allocation from
 * now on of the current task fails (written to /proc/self/fail-nth), so that a
 * test can walk through every error path of a call.
 */
#ifndef CORE_INJECT_H
#define CORE_INJECT_H

#include "core/task.h"

/* True if this allocation must fail. */
static inline bool inject_failure(void)
{
	if (!DEBUG || likely(!current || !current->inject_countdown))
		return false;
	return --current->inject_countdown == 0;
}

#endif
