/* SPDX-License-Identifier: MIT */
/*
 * clone.c - what cowfs promises of its costs (`make bench-clone`, doc/cowfs.md).
 *
 * clone mount DEVICE DIR: us of a mount of the disk that nobody has mounted, median of 9
 *
 * clone files N DIR: makes N files in DIR, 1000 in a directory
 *
 * clone clone DIR: dirties 64 MiB and clones the volume twice, 9 times: us, and requests to the
 * disk meanwhile. The control writes 64 MiB of memory instead of the file: a clone after that, with
 * nothing dirty, pays for the caches of machine and emulator that the writing has emptied.
 *
 * clone fsync DIR: flushes, log records and commits of 200 times 4 KiB written and fsync, and of 50
 * files made and fsync
 *
 * clone big DEVICE DIR: a file of 1 GiB, a clone of its volume, a byte written there: blocks that
 * this took
 *
 * Output: `name value unit`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/cowfs.h"
#include "measure.h"

#define ROUNDS 9
#define MIB    (1l << 20)

static char chunk[MIB];
static char memory[64 * MIB]; /* of the control: as much is written as to the file */

static void die(const char *what)
{
	fprintf(stderr, "clone: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long must(long r, const char *what)
{
	if (r < 0)
		die(what);
	return r;
}

static void say_times(const char *name, double *v)
{
	double middle = median(v, ROUNDS);

	printf("%s_median %.1f us\n%s_worst %.1f us\n", name, middle, name, v[ROUNDS - 1]);
}

static int open_dir(const char *path)
{
	return must(open(path, O_RDONLY | O_DIRECTORY), path);
}

static struct cowfs_stats stats(int dir)
{
	struct cowfs_stats s;

	must(ioctl(dir, COWFS_STATS, &s), "COWFS_STATS");
	return s;
}

static int volume(int dir, unsigned long call, const char *name)
{
	struct cowfs_volume v = { .flags = 0 };

	snprintf(v.name, sizeof(v.name), "%s", name);
	return ioctl(dir, call, &v);
}

static int file_at(int dir, const char *name)
{
	return must(openat(dir, name, O_RDWR | O_CREAT, 0644), name);
}

static void write_mib(int fd, long n)
{
	must(lseek(fd, 0, SEEK_SET), "lseek");
	for (long i = 0; i < n; i++) {
		memset(chunk, rand(), 64);
		if (write(fd, chunk, MIB) != MIB)
			die("write");
	}
}

static void measure_mount(const char *device, const char *dir)
{
	double us[ROUNDS];
	struct cowfs_stats s;
	int fd;

	for (int n = 0; n < ROUNDS; n++) {
		double start = now_us();

		must(mount(device, dir, "cowfs", 0, NULL), "mount");
		us[n] = now_us() - start;
		fd = open_dir(dir);
		s = stats(fd);
		close(fd);
		must(umount(dir), "umount");
	}
	say_times("mount", us);
	printf("mount_requests %llu reads %llu writes\n", (unsigned long long)s.reads,
	       (unsigned long long)s.writes);
}

static void make_files(long count, const char *path)
{
	int dir = open_dir(path);
	char name[40];

	for (long n = 0; n < count; n++) {
		snprintf(name, sizeof(name), "d%ld", n / 1000);
		if (n % 1000 == 0)
			must(mkdirat(dir, name, 0755), name);
		snprintf(name, sizeof(name), "d%ld/file%ld", n / 1000, n);
		close(must(openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644), name));
	}
	must(syncfs(dir), "syncfs");
	printf("files %ld files\n", count);
}

/* One clone, timed; the requests to the disk meanwhile are added up. */
static double clone_one(int dir, int n, uint64_t *requests)
{
	struct cowfs_stats before = stats(dir), after;
	char name[20];
	double start, us;

	snprintf(name, sizeof(name), "clone%d", n);
	start = now_us();
	must(volume(dir, COWFS_CLONE, name), "COWFS_CLONE");
	us = now_us() - start;
	after = stats(dir);
	*requests += after.reads - before.reads + after.writes - before.writes + after.flushes -
		     before.flushes;
	return us;
}

static void clones_drop(int dir)
{
	char name[20];

	for (int n = 0; n < 3 * ROUNDS; n++) {
		snprintf(name, sizeof(name), "clone%d", n);
		must(volume(dir, COWFS_DELETE, name), "COWFS_DELETE");
	}
	while (stats(dir).dead) { /* given back in the background */
		usleep(100000);
		must(syncfs(dir), "syncfs");
	}
}

static void measure_clone(const char *path)
{
	int dir = open_dir(path), fd = file_at(dir, "dirty");
	double first[ROUNDS], again[ROUNDS], control[ROUNDS];
	uint64_t requests = 0, dirty = ~0ull;

	for (int n = 0; n < ROUNDS; n++) {
		must(syncfs(dir), "syncfs");
		memset(memory, n, sizeof(memory));
		control[n] = clone_one(dir, 3 * n, &requests);
		must(syncfs(dir), "syncfs");
		write_mib(fd, 64);
		dirty = stats(dir).dirty < dirty ? stats(dir).dirty : dirty;
		first[n] = clone_one(dir, 3 * n + 1, &requests);
		again[n] = clone_one(dir, 3 * n + 2, &requests);
	}
	printf("dirty_at_least %llu blocks\n", (unsigned long long)dirty);
	say_times("clone", first);
	say_times("clone_again", again);
	say_times("clone_control", control);
	printf("clone_requests %llu requests and flushes\n", (unsigned long long)requests);
	clones_drop(dir);
}

static void say_promises(const char *name, int times, struct cowfs_stats a, struct cowfs_stats b)
{
	printf("%s %d fsyncs %llu flushes %llu records %llu commits\n", name, times,
	       (unsigned long long)(b.flushes - a.flushes),
	       (unsigned long long)(b.log_records - a.log_records),
	       (unsigned long long)(b.commits - a.commits));
}

static void measure_fsync(const char *path)
{
	int dir = open_dir(path), fd = file_at(dir, "fsync");
	struct cowfs_stats before;
	char name[20];

	write_mib(fd, 4);
	must(syncfs(dir), "syncfs");
	before = stats(dir);
	for (int n = 0; n < 200; n++) {
		must(pwrite(fd, chunk, 4096, rand() % 1024 * 4096), "pwrite");
		must(fsync(fd), "fsync");
	}
	say_promises("overwrite", 200, before, stats(dir));
	before = stats(dir);
	for (int n = 0; n < 50; n++) {
		snprintf(name, sizeof(name), "new%d", n);
		fd = file_at(dir, name);
		must(pwrite(fd, chunk, 4096, 0), "pwrite");
		must(fsync(fd), "fsync");
		close(fd);
	}
	say_promises("new_file", 50, before, stats(dir));
}

static void measure_big(const char *device, const char *path)
{
	int dir = open_dir(path), fd = file_at(dir, "big");
	char at[200], options[] = "subvol=bigclone";
	struct cowfs_stats before, after;
	double start;
	int there;

	write_mib(fd, 1024);
	must(syncfs(dir), "syncfs");
	must(volume(dir, COWFS_CLONE, "bigclone"), "COWFS_CLONE");
	must(syncfs(dir), "syncfs");
	snprintf(at, sizeof(at), "%s/m", path);
	must(mkdir(at, 0755), at);
	must(syncfs(dir), "syncfs");
	must(mount(device, at, "cowfs", 0, options), "mount");
	snprintf(at, sizeof(at), "%s/m/big", path);
	there = must(open(at, O_RDWR), at);
	before = stats(dir);
	start = now_us();
	must(pwrite(there, "x", 1, 512 * MIB + 5), "pwrite");
	printf("first_write %.1f us\n", now_us() - start);
	must(fsync(there), "fsync");
	must(syncfs(dir), "syncfs");
	after = stats(dir);
	printf("first_write_blocks %lld blocks\nfirst_write_reads %llu requests\n",
	       (long long)(before.free - after.free),
	       (unsigned long long)(after.reads - before.reads));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "mount") && argc == 4)
		measure_mount(argv[2], argv[3]);
	else if (!strcmp(what, "files") && argc == 4)
		make_files(atol(argv[2]), argv[3]);
	else if (!strcmp(what, "clone") && argc == 3)
		measure_clone(argv[2]);
	else if (!strcmp(what, "fsync") && argc == 3)
		measure_fsync(argv[2]);
	else if (!strcmp(what, "big") && argc == 4)
		measure_big(argv[2], argv[3]);
	else
		return fprintf(stderr, "Usage: clone mount DEVICE DIR | files N DIR | clone DIR | "
				       "fsync DIR | big DEVICE DIR\n"),
		       2;
	return 0;
}
