/* SPDX-License-Identifier: MIT */
/*
 * place.c - directories that containers can change while ctool looks at them: who is inside may put
 * a link where a directory was, so none is followed on the way there.
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int place_open(const char *start, const char *path)
{
	char *copy = must(strdup(path)), *rest = copy, *part;
	int dir = open(start, O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;

	while (dir >= 0 && (part = strsep(&rest, "/"))) {
		if (!*part)
			continue;
		next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(dir);
		dir = next;
	}
	free(copy);
	return dir;
}

int place_enter(const char *root)
{
	int dir;

	if (!root)
		return 0;
	dir = place_open("/", root);
	if (dir < 0 || fchdir(dir) || chroot(".") || chdir("/"))
		return fail_errno(errno, "%s", root);
	close(dir);
	return 0;
}
