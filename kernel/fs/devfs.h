/* SPDX-License-Identifier: MIT */
/*
 * devfs.h - /dev: what drivers register here appears in every /dev, or in the
 * host's only. Type "devtmpfs".
 */
#ifndef FS_DEVFS_H
#define FS_DEVFS_H

#include "fs/pseudo.h"

/* e: constant, its name without a slash (a directory entry brings its own ops). */
enum devfs_scope { DEVFS_EVERYWHERE, DEVFS_HOST };
int devfs_register(const struct pseudo_entry *e, enum devfs_scope scope);
void devfs_init(void); /* null, zero, full, random, urandom and the links */
extern const struct fs_type devfs_type;

#endif
