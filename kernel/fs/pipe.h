/* SPDX-License-Identifier: MIT */
/* pipe.h - pipes and fifos (man 7 pipe, fifo). */
#ifndef FS_PIPE_H
#define FS_PIPE_H

#include "fs/vfs.h"

#define PIPE_BUF	  4096 /* writes up to this are atomic */
#define PIPE_SIZE_DEFAULT 65536
#define PIPE_SIZE_MAX	  (1 << 20) /* more needs CAP_SYS_RESOURCE */

/* flags: O_CLOEXEC is the caller's; O_NONBLOCK. -ENOMEM */
int pipe_create(int flags, struct file **reader, struct file **writer);
extern const struct file_ops fifo_file_ops; /* open() finds or makes the inode's pipe */

/* fcntl: F_GETPIPE_SZ, F_SETPIPE_SZ. -EBADF: not a pipe; -EBUSY, -EPERM, -EINVAL, -ENOMEM */
s64 pipe_get_size(struct file *f);
s64 pipe_set_size(struct file *f, u64 size);
void pipe_init(void);

#endif
