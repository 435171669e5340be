/* SPDX-License-Identifier: MIT */
/* unpack.h - a newc cpio archive (man 5 cpio) into a volume. */
#ifndef HOST_COWFS_UNPACK_H
#define HOST_COWFS_UNPACK_H

#include "fs/cowfs/cowfs.h"

/*
 * What stands in the archive is made in the volume or replaces what has its name there; directories
 * stay and get the archive's mode and owner. 0, or -errno with where[] = the entry's name (or "").
 */
int unpack_archive(struct cow_volume *v, const char *bytes, size_t size, char where[4096]);

#endif
