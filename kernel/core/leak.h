/* SPDX-License-Identifier: MIT */
/*
 * leak.h - how many objects of each kind are alive, for tests: the slab caches
 * and the page allocator count by themselves; /proc/skerry/objects prints
 * "name count" lines after kernel_drain().
 */
#ifndef CORE_LEAK_H
#define CORE_LEAK_H

#include "lib/types.h"

/* Empties whatever only delays frees: RCU, work, per-CPU caches and stocks. */
void kernel_drain(void);
/* fn drops what a layer above keeps although nobody uses it (cached names). At start-up. */
void drain_hook_add(void (*fn)(void));

#endif
