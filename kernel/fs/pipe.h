/* SPDX-License-Identifier: MIT */
/* pipe.h - pipes and fifos (man 7 pipe, fifo). */
#ifndef FS_PIPE_H
#define FS_PIPE_H

#include "fs/vfs.h"

int pipe_create(int flags, struct file **reader, struct file **writer); /* -ENOMEM, -EMFILE is the caller's */
extern const struct file_ops fifo_file_ops; /* open() finds or makes the inode's pipe */
void pipe_init(void);

#endif
