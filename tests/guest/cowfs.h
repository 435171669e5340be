/* SPDX-License-Identifier: MIT */
/* cowfs.h - for the tests of cowfs: they need /tmp on it (tests/guest/cowfs.sh), and skip without.
 */
#ifndef TESTS_GUEST_COWFS_H
#define TESTS_GUEST_COWFS_H

#include "scratch.h"
#include "abi/cowfs.h"
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#define COWFS_MAGIC 0x636f7766
#define PAGE	    4096L

/* A scratch directory on cowfs, and a descriptor of it. */
static TAP_UNUSED int scratch_cowfs(void)
{
	struct statfs st;

	if (statfs("/tmp", &st) || st.f_type != COWFS_MAGIC)
		SKIP("/tmp is not on cowfs");
	scratch();
	return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static TAP_UNUSED struct cowfs_stats stats(int dir)
{
	struct cowfs_stats s;

	REQUIRE(ioctl(dir, COWFS_STATS, &s) == 0);
	return s;
}

static TAP_UNUSED int volume_call(int dir, unsigned long call, const char *name, uint64_t flags)
{
	struct cowfs_volume v = { .flags = flags };

	snprintf(v.name, sizeof v.name, "%s", name);
	return ioctl(dir, call, &v);
}

/* Bytes that say where they are, and which version they are. */
static TAP_UNUSED void fill(char *buf, long n, long at, int version)
{
	for (long i = 0; i < n; i++)
		buf[i] = (at + i) * 31 + (at + i) / PAGE + version;
}

static TAP_UNUSED bool filled(const char *buf, long n, long at, int version)
{
	for (long i = 0; i < n; i++)
		if (buf[i] != (char)((at + i) * 31 + (at + i) / PAGE + version))
			return false;
	return true;
}

#endif
