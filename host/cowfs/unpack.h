/* SPDX-License-Identifier: MIT */
/* unpack.h - a newc cpio archive (man 5 cpio) into a volume. */
#ifndef HOST_COWFS_UNPACK_H
#define HOST_COWFS_UNPACK_H

#include "fs/cowfs/cowfs.h"

struct unpack_options {
	struct cow_fs *fs;
	const char *const *keep; /* "etc", "root": what is there at or below them stays as it is */
	unsigned keep_count;
	struct cow_time now; /* of what is made: ctime */
};

/*
 * What stands in the archive is made in the volume or replaces what has its name there; directories
 * stay and get the archive's mode and owner. 0, or -errno with where[] = the entry's name (or "").
 */
int unpack_archive(struct cow_volume *v, const char *bytes, size_t size,
		   const struct unpack_options *o, char where[4096]);

/*
 * The stamp of a volume says which archive was unpacked there last: an extended attribute of its
 * root. unpack_stamped: it was this one.
 */
bool unpack_stamped(struct cow_volume *v, const char *bytes, size_t size);
int unpack_stamp(struct cow_volume *v, const char *bytes, size_t size, const struct cow_time *now);

/* The latest time of a file in it, in seconds. */
s64 unpack_newest(const char *bytes, size_t size);
/* A whole file in memory; ends the program with a message if it cannot. */
char *unpack_read(const char *path, size_t *size);

#endif
