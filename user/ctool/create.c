/* SPDX-License-Identifier: MIT */
/*
 * create.c - ctool create: a directory that can be the root of a container.
 *
 * It gets the directories on which the kernel mounts a container's own /proc,
 * /dev and /sys, a /tmp, and copies of the files under their last names. A
 * directory that exists is added to. All arguments are looked at before anything
 * is made.
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *name;
	mode_t mode;
} directories[] = {
	{ "dev", 0755 },
	{ "proc", 0555 },
	{ "sys", 0555 },
	{ "tmp", 01777 },
};

static int check_file(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno == ENOENT ? fail("no such file: %s", path)
				       : fail_errno(errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return fail("not a file: %s", path);
	return 0;
}

static int check_directory(const char *path)
{
	struct stat st;

	if (!stat(path, &st) && !S_ISDIR(st.st_mode))
		return fail("not a directory: %s", path);
	return 0;
}

static int make_directory(const char *path, mode_t mode)
{
	if (!mkdir(path, mode))
		return chmod(path, mode) ? -errno : 0; /* whatever the umask is */
	return errno == EEXIST ? 0 : -errno;
}

/* Everything from `from`, appended to `to`. */
static int copy_bytes(int from, int to)
{
	char buffer[65536];
	ssize_t n, done, at;

	while ((n = read(from, buffer, sizeof buffer)) > 0) {
		for (at = 0; at < n; at += done) {
			done = write(to, buffer + at, (size_t)(n - at));
			if (done < 0)
				return -errno;
		}
	}
	return n < 0 ? -errno : 0;
}

/* Onto a new file beside the old one, which may be running ("text file busy"). */
static int copy_file(const char *source, const char *target)
{
	char *fresh = text("%s.new", target);
	struct stat st;
	int from, to, err = 0;

	from = open(source, O_RDONLY | O_CLOEXEC);
	if (from < 0 || fstat(from, &st)) {
		err = -errno;
		goto close_source;
	}
	to = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0) {
		err = -errno;
		goto close_source;
	}
	err = copy_bytes(from, to);
	if (!err && fchmod(to, st.st_mode & 07777))
		err = -errno;
	if (close(to) && !err)
		err = -errno;
	if (!err && rename(fresh, target))
		err = -errno;
	if (err)
		unlink(fresh);
close_source:
	if (from >= 0)
		close(from);
	free(fresh);
	return err;
}

static int fill_directory(const char *root, char **files, int count)
{
	int err;

	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
		char *path = text("%s/%s", root, directories[i].name);

		err = make_directory(path, directories[i].mode);
		if (err)
			return fail_errno(err, "%s", path);
		free(path);
	}
	for (int i = 0; i < count; i++) {
		char *copy = must(strdup(files[i])), *target = text("%s/%s", root, basename(copy));

		err = copy_file(files[i], target);
		if (err)
			return fail_errno(err, "%s", target);
		free(target);
		free(copy);
	}
	return 0;
}

int do_create(struct request *r)
{
	const char *root = r->operands[0];
	int status = check_directory(root), err, i;

	for (i = 1; i < r->operand_count && !status; i++)
		status = check_file(r->operands[i]);
	if (status)
		return status;
	err = make_directory(root, 0755);
	if (err)
		return fail_errno(err, "%s", root);
	return fill_directory(root, r->operands + 1, r->operand_count - 1);
}
