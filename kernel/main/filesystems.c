/* SPDX-License-Identifier: MIT */
/* filesystems.c - the filesystems that can be mounted. It stands above the layers they are in. */
#include "container/container.h"
#include "fs/cowfs/vfs.h"
#include "fs/devfs.h"
#include "fs/vfs.h"

extern const struct fs_type tmpfs_type, procfs_type,
	devpts_type; /* fs/tmpfs.c, proc/procfs.c, tty/pty.c */

const struct fs_type *const fs_types[] = {
	&tmpfs_type, &procfs_type, &devfs_type, &control_fs_type, &devpts_type, &cowfs_type, NULL,
};
