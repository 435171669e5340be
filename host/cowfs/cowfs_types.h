/* SPDX-License-Identifier: MIT */
/* cowfs_types.h - the locks of the core of cowfs, in a program (kernel/fs/cowfs/platform.h). */
#ifndef COWFS_TYPES_H
#define COWFS_TYPES_H

#include <pthread.h>

#include "lib/types.h"

struct cow_lock {
	pthread_rwlock_t rw;
	pthread_t writer;
	bool write_held;
};
struct cow_spin {
	pthread_mutex_t mutex;
};

#endif
