/* SPDX-License-Identifier: MIT */
/*
 * vctest.c - try the virtual consoles.
 *
 *	vctest N            write a line to console N (0 to 9) and say what became of it
 *	vctest N WORD...    write the words
 *
 * On the host /dev/ttyN is console N. A container has its own as /dev/console and no
 * other: /dev/ttyN does not exist inside, whoever asks, and mknod does not help.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <skerry/container.h>

/* The device of console n: a descriptor, or -1. */
static int console_device(int n)
{
	char path[32];
	int fd;

	snprintf(path, sizeof path, "/dev/tty%d", n);
	fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	printf("vctest: %s: %s\n", path, strerror(errno));
	if (mknod("/tmp/vctest", S_IFCHR | 0600, makedev(4, (unsigned)n))) {
		printf("vctest: mknod: %s\n", strerror(errno));
		return -1;
	}
	fd = open("/tmp/vctest", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		printf("vctest: the node that mknod made: %s\n", strerror(errno));
	unlink("/tmp/vctest");
	return fd;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : -1, fd;

	if (n < 0 || n > 9) {
		fprintf(stderr, "usage: vctest N [WORD...]\n");
		return 2;
	}
	fd = console_device(n);
	if (fd < 0)
		return 1;
	if (argc == 2)
		dprintf(fd, "console %d, from container %d\n", n, getcid());
	for (int i = 2; i < argc; i++)
		dprintf(fd, "%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
	close(fd);
	printf("vctest: written to console %d\n", n);
	return 0;
}
