/* SPDX-License-Identifier: MIT */
/*
 * scratch.h - a directory of its own for a test case, and small things to do with files.
 *
 * scratch() makes a fresh directory under /tmp and enters it; it is removed, with all that is in
 * it, when the case ends.
 */
#ifndef TESTS_GUEST_SCRATCH_H
#define TESTS_GUEST_SCRATCH_H

#include "tap.h"
#include <dirent.h>
#include <sys/stat.h>
#include <linux/stat.h>

static char scratch_path[64];

static void scratch_remove(int dirfd, const char *name)
{
	if (!unlinkat(dirfd, name, 0) || errno == ENOENT)
		return;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	struct dirent *entry;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			scratch_remove(fd, entry->d_name);
	closedir(dir);
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

static void scratch_leave(void)
{
	if (!chdir("/"))
		scratch_remove(AT_FDCWD, scratch_path);
}

static TAP_UNUSED void scratch(void)
{
	snprintf(scratch_path, sizeof scratch_path, "/tmp/tap.%d", getpid());
	umask(022);
	REQUIRE(mkdir(scratch_path, 0755) == 0);
	REQUIRE(chmod(scratch_path, 0755) == 0);
	REQUIRE(chdir(scratch_path) == 0);
	tap_at_end = scratch_leave;
}

/* Makes or replaces a file. */
static TAP_UNUSED void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0);
	REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	REQUIRE(fchmod(fd, mode) == 0);
	close(fd);
}

/* The file's text in a static buffer, or NULL. */
static TAP_UNUSED char *get(const char *path)
{
	static char text[65536];

	return tap_slurp(path, text, sizeof text) < 0 ? NULL : text;
}

static TAP_UNUSED mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_mode;
}

static TAP_UNUSED long long size_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? -1 : (long long)st.st_size;
}

/* Becomes another user for good: a child does it. */
static TAP_UNUSED void become(uid_t uid, gid_t gid)
{
	REQUIRE(syscall(SYS_setgroups, 0, NULL) == 0);
	REQUIRE(syscall(SYS_setresgid, gid, gid, gid) == 0);
	REQUIRE(syscall(SYS_setresuid, uid, uid, uid) == 0);
}

#endif
