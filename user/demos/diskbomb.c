/* SPDX-License-Identifier: MIT */
/*
 * diskbomb.c - as much of the disk as the container allows, then as many files.
 *
 *	diskbomb [MEGABYTES [FILES]]
 *
 * It writes one file until it has MEGABYTES (1024) or is refused, deletes it, then makes empty
 * files until there are FILES (100000) or it is refused, and deletes them, too. At disk.max and
 * inodes.max the refusal is EDQUOT ("Disk quota exceeded"): the others have their disk as before.
 *
 *	ctool run --rm -d 10M --inodes 100 host diskbomb
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536

static void fill(long megabytes)
{
	static char chunk[CHUNK];
	long written = 0;
	ssize_t n = 1;
	int fd = open("bomb", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	while (fd >= 0 && n > 0 && written < megabytes << 20) {
		n = write(fd, chunk, CHUNK);
		written += n > 0 ? n : 0;
	}
	printf("diskbomb: %ld KiB written: %s\n", written >> 10,
	       fd < 0 || n < 0 ? strerror(errno) : "done");
	if (fd >= 0)
		close(fd);
	unlink("bomb");
}

static void litter(long files)
{
	char name[32];
	long made = 0;
	int fd = 0;

	for (; made < files; made++) {
		snprintf(name, sizeof name, "bomb.%ld", made);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	printf("diskbomb: %ld files made: %s\n", made, fd < 0 ? strerror(errno) : "done");
	while (made--) {
		snprintf(name, sizeof name, "bomb.%ld", made);
		unlink(name);
	}
}

int main(int argc, char **argv)
{
	if (chdir("/tmp")) {
		perror("diskbomb: /tmp");
		return 1;
	}
	fill(argc > 1 ? atol(argv[1]) : 1024);
	litter(argc > 2 ? atol(argv[2]) : 100000);
	return 0;
}
