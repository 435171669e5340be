/* SPDX-License-Identifier: MIT */
/*
 * files.c - what a filesystem on a disk costs; the same static program runs on Linux (ext4) and on
 * Skerry (cowfs). Prints "name value unit" as kbench does. tools/bench mounts, unmounts (for cold
 * reads) and compares.
 *
 *	files small DIR
 *		10,000 files of 4 KiB in 100 directories: create and write, stat, read, unlink;
 *		us each
 *
 *	files write FILE
 *		64 MiB in pieces of 64 KiB, then fsync: MB/s
 *
 *	files read FILE NAME
 *		the same read, as row NAME: MB/s
 *
 *	files random FILE
 *		4 KiB overwritten somewhere in FILE, then fsync, 500 times: us each
 *
 *	files append FILE
 *		100 bytes appended, then fsync, 500 times: us each
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

#define FILES	  10000
#define DIRS	  100
#define BIG	  (64 << 20)
#define PIECE	  (64 << 10)
#define SYNC_RUNS 500

static char buf[PIECE];

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "files: %s: %s\n", what, strerror(errno));
	exit(1);
}

static const char *file_name(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "d%02d/file%05d", i % DIRS, i);
	return name;
}

static void create_4k(int i)
{
	int fd = open(file_name(i), O_CREAT | O_EXCL | O_WRONLY, 0644);

	if (fd < 0 || write(fd, buf, 4096) != 4096 || close(fd))
		fail(file_name(i));
}

static void stat_file(int i)
{
	struct stat st;

	if (stat(file_name(i), &st) || st.st_size != 4096)
		fail(file_name(i));
}

static void read_4k(int i)
{
	int fd = open(file_name(i), O_RDONLY);

	if (fd < 0 || read(fd, buf, 4096) != 4096 || close(fd))
		fail(file_name(i));
}

static void unlink_file(int i)
{
	if (unlink(file_name(i)))
		fail(file_name(i));
}

static void small(const char *dir)
{
	static const struct {
		const char *name;
		void (*one)(int i);
	} step[] = { { "small_create", create_4k },
		     { "small_stat", stat_file },
		     { "small_read", read_4k },
		     { "small_unlink", unlink_file } };
	char name[16];

	if (chdir(dir))
		fail(dir);
	for (int i = 0; i < DIRS; i++) {
		snprintf(name, sizeof(name), "d%02d", i);
		if (mkdir(name, 0755))
			fail(name);
	}
	for (size_t s = 0; s < sizeof(step) / sizeof(step[0]); s++) {
		double t = now_us();

		for (int i = 0; i < FILES; i++)
			step[s].one(i);
		printf("%s %.3f us\n", step[s].name, (now_us() - t) / FILES);
	}
	for (int i = 0; i < DIRS; i++) {
		snprintf(name, sizeof(name), "d%02d", i);
		if (rmdir(name))
			fail(name);
	}
}

static void big_write(const char *path)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	double t = now_us();

	for (int done = 0; fd >= 0 && done < BIG; done += PIECE)
		if (write(fd, buf, PIECE) != PIECE)
			fail(path);
	if (fd < 0 || fsync(fd))
		fail(path);
	printf("big_write %.1f MB/s\n", BIG / (now_us() - t));
}

static void big_read(const char *path, const char *row)
{
	int fd = open(path, O_RDONLY);
	double t = now_us();

	for (int done = 0; fd >= 0 && done < BIG; done += PIECE)
		if (read(fd, buf, PIECE) != PIECE)
			fail(path);
	if (fd < 0)
		fail(path);
	printf("%s %.1f MB/s\n", row, BIG / (now_us() - t));
}

/* Appends, or overwrites at places that a fixed sequence gives. */
static void synced(const char *path, int flags, size_t n, const char *row)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0644);
	unsigned x = 1;
	double t;

	if (fd < 0 || fsync(fd))
		fail(path);
	t = now_us();
	for (int i = 0; i < SYNC_RUNS; i++) {
		x = x * 1103515245 + 12345;
		if (!(flags & O_APPEND) &&
		    lseek(fd, (off_t)(x >> 8) % (BIG / 4096) * 4096, SEEK_SET) < 0)
			fail(path);
		if (write(fd, buf, n) != (ssize_t)n || fsync(fd))
			fail(path);
	}
	printf("%s %.1f us\n", row, (now_us() - t) / SYNC_RUNS);
}

static void time_program(const char *row, char **argv)
{
	double t = now_us();
	pid_t pid = fork();
	int status;

	if (!pid) {
		execvp(argv[0], argv);
		fail(argv[0]);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail(argv[0]);
	printf("%s %.2f ms\n", row, (now_us() - t) / 1e3);
}

int main(int argc, char **argv)
{
	memset(buf, 'x', sizeof(buf));
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "small"))
		small(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "write"))
		big_write(argv[2]);
	else if (argc == 4 && !strcmp(argv[1], "read"))
		big_read(argv[2], argv[3]);
	else if (argc == 3 && !strcmp(argv[1], "random"))
		synced(argv[2], 0, 4096, "random_fsync");
	else if (argc == 3 && !strcmp(argv[1], "append"))
		synced(argv[2], O_APPEND, 100, "append_fsync");
	else if (argc > 3 && !strcmp(argv[1], "time"))
		time_program(argv[2], argv + 3);
	else
		return fprintf(stderr, "usage: files small DIR | write FILE | read FILE NAME | "
				       "random FILE | "
				       "append FILE | time NAME PROGRAM ARG...\n"),
		       2;
	return 0;
}
