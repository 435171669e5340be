/* SPDX-License-Identifier: MIT */
/* vfs.c - the start-up of the file layer, in order. */
#include "fs/internal.h"
#include "fs/pipe.h"
#include "fs/pseudo.h"

void vfs_init(void)
{
	inode_init();
	dentry_init();
	namei_init();
	file_init();
	locks_init();
	pseudo_init();
	pipe_init();
	mount_init();
}
