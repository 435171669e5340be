/* SPDX-License-Identifier: MIT */
/*
 * futex.h - man 2 futex. A waiter hangs in a hash bucket under its key: the
 * address space and address (private), or the page-cache position (shared).
 */
#ifndef PROC_FUTEX_H
#define PROC_FUTEX_H

#include "core/task.h"

void futex_init(void);
int futex_wake(uaddr_t address, bool shared, u32 n, u32 bitset); /* count or -EFAULT */
void futex_exit_task(struct task *t); /* robust list and clear_child_tid; in t's own context */

#endif
