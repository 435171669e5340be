/* SPDX-License-Identifier: MIT */
/* log.h - what a container's program has put out, as far as it is kept. log.c tells the story. */
#ifndef CONTAINER_LOG_H
#define CONTAINER_LOG_H

#include "core/spinlock.h"
#include "fs/vfs.h"

struct output_log {
	spinlock_t lock; /* O; RANK_NOTIFY */
	char *ring;	 /* O; NULL until something is written */
	u64 written;	 /* O: bytes ever */
};

void output_log_init(struct output_log *l);
void output_log_destroy(struct output_log *l);
extern const struct file_ops output_log_file_ops; /* the control file `log` */

#endif
