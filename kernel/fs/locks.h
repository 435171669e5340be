/* SPDX-License-Identifier: MIT */
/* locks.h - between fcntl.c and locks.c. */
#ifndef FS_LOCKS_H
#define FS_LOCKS_H

#include "fs/vfs.h"

#define F_GETLK	     5
#define F_SETLK	     6
#define F_SETLKW     7
#define F_OFD_GETLK  36
#define F_OFD_SETLK  37
#define F_OFD_SETLKW 38

/* The record-lock commands above; arg: a struct flock. */
s64 locks_fcntl(struct file *f, u32 fd, u32 cmd, uaddr_t arg);

#endif
