/* SPDX-License-Identifier: MIT */
/* cowfs_types.h - the locks of the core of cowfs, in the kernel (platform.h). */
#ifndef COWFS_TYPES_H
#define COWFS_TYPES_H

#include "core/mutex.h"

struct cow_lock {
	struct rwmutex rw;
};
struct cow_spin {
	spinlock_t lock;
};

#endif
