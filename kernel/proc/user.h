/* SPDX-License-Identifier: MIT */
/* user.h - how many tasks a user has (RLIMIT_NPROC). See user.c. */
#ifndef PROC_USER_H
#define PROC_USER_H

#include "core/task.h"

/* Counts a task of real user `uid` in the container of `o`: -EAGAIN beyond limit, -ENOMEM. */
int user_charge(struct owner *o, u32 uid, u64 limit);
void user_uncharge(struct owner *o, u32 uid);
/* More tasks than limit? */
bool user_exceeds(struct owner *o, u32 uid, u64 limit);

#endif
