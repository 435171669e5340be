/* SPDX-License-Identifier: MIT */
/* path.h - names of files in a volume, as a guest would resolve them: "/etc/passwd". */
#ifndef HOST_COWFS_PATH_H
#define HOST_COWFS_PATH_H

#include "fs/cowfs/cowfs.h"

/* The inode, counted: -ENOENT, -ENOTDIR, -ELOOP, -ENAMETOOLONG. follow: a symbolic link at the end,
 * too. */
int path_find(struct cow_volume *v, const char *path, bool follow, struct cow_inode **out);
/*
 * The directory (counted) that path's last component is in, which need not be there; it is copied
 * to name.
 * "" for the root itself.
 */
int path_parent(struct cow_volume *v, const char *path, struct cow_inode **dir,
		char name[COW_NAME_MAX + 1]);

#endif
