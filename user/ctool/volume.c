/* SPDX-License-Identifier: MIT */
/*
 * volume.c - the volumes of the disk that / is on: images and containers' roots.
 *
 * All of it goes through ioctl(2) on the root directory (abi/cowfs.h) and needs the host's
 * administrator. A volume is looked into by mounting it on a directory that nobody else has, for
 * as long as it takes.
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACES "/run/ctool"

static int disk_call(unsigned long call, struct cowfs_volume *v)
{
	static int root = -1;

	if (root < 0)
		root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || ioctl(root, call, v))
		return errno == ENOTTY ? -EOPNOTSUPP : -errno;
	return 0;
}

static int call_two(unsigned long call, const char *name, const char *to, uint64_t flags)
{
	struct cowfs_volume v = { .flags = flags };

	if (strlen(name) >= sizeof v.name || strlen(to) >= sizeof v.to)
		return -ENAMETOOLONG;
	strcpy(v.name, name);
	strcpy(v.to, to);
	return disk_call(call, &v);
}

int volume_copy(const char *name, const char *to)
{
	return call_two(COWFS_COPY, name, to, COWFS_TEMPORARY);
}

int volume_of_root(const char *to)
{
	struct cowfs_volume v = { .position = 0 };
	int err = disk_call(COWFS_THIS, &v);

	return err ? err : volume_copy(v.name, to);
}

int volume_create(const char *name)
{
	return call_two(COWFS_CREATE, name, "", COWFS_TEMPORARY);
}

int volume_delete(const char *name)
{
	return call_two(COWFS_DELETE, name, "", 0);
}

int volume_keep(const char *name, const char *to)
{
	return call_two(COWFS_KEEP, name, to, 0);
}

int volume_freeze(const char *name, const char *to)
{
	int err = call_two(COWFS_FREEZE, name, "", 0);

	return err ? err : volume_keep(name, to);
}

int volume_next(struct cowfs_volume *v)
{
	return disk_call(COWFS_NEXT, v);
}

int volume_find(const char *name, struct cowfs_volume *v)
{
	int err;

	memset(v, 0, sizeof *v);
	do {
		err = volume_next(v);
	} while (!err && strcmp(v->name, name));
	return err;
}

int temporary_place(char **place)
{
	mkdir("/run", 0755);
	mkdir(PLACES, 0700);
	*place = text(PLACES "/volume.XXXXXX");
	return mkdtemp(*place) ? 0 : -errno;
}

int volume_mount(const char *name, bool read_only, char **place)
{
	char *options = text("subvol=%s", name);
	unsigned long flags = MS_NODEV | MS_NOSUID | (read_only ? MS_RDONLY | MS_NOATIME : 0);
	int err = temporary_place(place);

	if (!err && mount("/", *place, "cowfs", flags, options)) {
		err = -errno;
		rmdir(*place);
	}
	free(options);
	if (err) {
		free(*place);
		*place = NULL;
	}
	return err;
}

void volume_unmount(char *place)
{
	if (umount2(place, 0))
		umount2(place, MNT_DETACH);
	rmdir(place);
	free(place);
}

/* --- what is said of an error --- */

int disk_failed(int err, const char *what)
{
	if (err == -EOPNOTSUPP)
		return fail("/ is not on cowfs, and only there are images (./run has it so)");
	if (err == -EPERM)
		return fail("%s: only the host's administrator may do that", what);
	if (err == -EDQUOT || err == -ENOSPC)
		return fail("%s: the disk is full (ctool rmi and ctool rm make room)", what);
	return fail_errno(err, "%s", what);
}
