/* SPDX-License-Identifier: MIT */
/*
 * disk.c - the space that a container's directory takes.
 *
 * A directory that is used in place has no counter of its own, so its files are
 * added up, on its filesystem only and without following links. A file with
 * several names counts a part at each, so that all together count it once.
 */
#include "ctool.h"

#include <ftw.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define OPEN_DIRECTORIES 16

/* nftw() hands no context to its callback. */
static uint64_t sum;

static int add_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)path;
	(void)where;
	if (type == FTW_NS)
		return 0;
	if (S_ISDIR(st->st_mode) || st->st_nlink == 0)
		sum += (uint64_t)st->st_blocks * 512;
	else
		sum += (uint64_t)st->st_blocks * 512 / st->st_nlink;
	return 0;
}

uint64_t disk_used(const char *path)
{
	sum = 0;
	if (nftw(path, add_file, OPEN_DIRECTORIES, FTW_PHYS | FTW_MOUNT))
		return UINT64_MAX;
	return sum;
}

uint64_t disk_free(const char *path)
{
	struct statvfs s;

	if (statvfs(path, &s))
		return UINT64_MAX;
	return (uint64_t)s.f_bavail * s.f_frsize;
}
