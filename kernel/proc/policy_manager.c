/* SPDX-License-Identifier: MIT */
#include "proc/sched.h"
const struct sched_policy policy_manager = { .name = "manager" };
