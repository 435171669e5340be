/* SPDX-License-Identifier: MIT */
/* notify.h - system calls that a manager process decides about. notify.c tells the story. */
#ifndef CONTAINER_NOTIFY_H
#define CONTAINER_NOTIFY_H

#include "container/filter.h"

/* current's call, which a rule "notify" holds up: its result. */
s64 notify_call(struct trapframe *f, unsigned index);
/* A descriptor for c's manager: -EBUSY if there is one, -EMFILE, -ENOMEM. */
int notify_open(struct container *c);
/* c is destroyed: its manager reads the end of the file. */
void notify_end(struct container *c);

#endif
