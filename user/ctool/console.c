/* SPDX-License-Identifier: MIT */
/*
 * console.c - ctool attach and disconnect: which virtual console is shown.
 *
 * A container's console is a screen and a keyboard of its own that the kernel
 * keeps. To connect to it is to show it; what was written before is on it. The
 * kernel takes the keys Ctrl-T DIGIT itself, so the way back works whatever the
 * program does. VT_ACTIVATE is Linux's (man 2 ioctl_console).
 */
#include "ctool.h"

#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef VT_ACTIVATE
#define VT_ACTIVATE 0x5606
#endif
#define HOST_CONSOLE 0

static int show(int console)
{
	int fd = console_open(console), err;

	if (fd < 0)
		return fail_errno(fd, "console vc%d", console);
	err = ioctl(fd, VT_ACTIVATE, console) ? errno : 0;
	close(fd);
	return err ? fail_errno(err, "console vc%d cannot be shown", console) : 0;
}

int do_attach(struct request *r)
{
	const char *word = r->operands[0];
	int id, console, status, err;

	status = container_find(word, &id);
	if (status)
		return status;
	err = control_console(id, &console);
	if (err)
		return fail_errno(err, "%s", word);
	if (console == CONTAINER_NO_CONSOLE)
		return fail("%s has no console (ctool exec -it %s PROG)", word, word);
	fprintf(stderr, "%s is on console vc%d; %s leads back\n", word, console, CONSOLE_KEYS);
	return show(console);
}

int do_disconnect(struct request *r)
{
	(void)r;
	return show(HOST_CONSOLE);
}
