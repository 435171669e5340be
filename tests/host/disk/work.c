/* SPDX-License-Identifier: MIT */
/*
 * work.c - does to mounted volumes of cowfs what a script says, and tells what each line came to.
 * (disk_crash.py and disk_errors.py make the scripts and judge what is on the disk afterwards.)
 *
 *	work SCRIPT DEVICE MARKS
 *
 * A line is an operation and its words. Paths begin with a volume's name: root/dir/file; volumes
 * are mounted in the working directory. For each line a line of output: its number, the result
 * (0, or a number, or minus an errno). After each line its number is written at byte MARKS of the
 * device, which is behind the filesystem: so the device's log of writes says what was done by
 * when. MARKS 0: not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "abi/cowfs.h"

#define SECTOR 512
#define PAGE   4096

static const char *device;
static char bytes[1 << 20];

static long result(long r)
{
	return r < 0 ? -errno : r;
}

static long with_file(const char *path, int flags, long (*fn)(int fd, char **w), char **w)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);
	long r;

	if (fd < 0)
		return -errno;
	r = result(fn(fd, w));
	close(fd);
	return r;
}

static long nothing(int fd, char **w)
{
	return 0;
}

/* The byte at `at` of version v; disk/workload.py has the same. */
static void fill(long at, long n, long v)
{
	for (long i = 0; i < n; i++)
		bytes[i] = v * 131 + (at + i) * 7 + (at + i) / 256;
}

static long write_at(int fd, char **w)
{
	long at = atol(w[2]), n = atol(w[3]);

	fill(at, n, atol(w[4]));
	return pwrite(fd, bytes, n, at);
}

static long map_at(int fd, char **w)
{
	long at = atol(w[2]), n = atol(w[3]), first = at - at % PAGE, r;
	char *p = mmap(NULL, at + n - first, PROT_READ | PROT_WRITE, MAP_SHARED, fd, first);

	if (p == MAP_FAILED)
		return -1;
	fill(at, n, atol(w[4]));
	memcpy(p + at - first, bytes, n);
	r = msync(p, at + n - first, MS_SYNC);
	munmap(p, at + n - first);
	return r;
}

static uint32_t crc(uint32_t c, const char *p, long n)
{
	c = ~c;
	while (n--) {
		c ^= (unsigned char)*p++;
		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? 0xedb88320 : 0);
	}
	return ~c;
}

static long read_all(int fd, char **w)
{
	uint32_t c = 0;
	long n;

	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		c = crc(c, bytes, n);
	return n < 0 ? n : (long)c;
}

static long truncate_to(int fd, char **w)
{
	return ftruncate(fd, atol(w[2]));
}

static long sync_file(int fd, char **w)
{
	return fsync(fd);
}

static long sync_data(int fd, char **w)
{
	return fdatasync(fd);
}

static long sync_all(int fd, char **w)
{
	return syncfs(fd);
}

static long volume(const char *name, unsigned long call)
{
	struct cowfs_volume v = { .flags = 0 };
	int fd = open("root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long r;

	if (fd < 0)
		return -errno;
	snprintf(v.name, sizeof v.name, "%s", name);
	r = result(ioctl(fd, call, &v));
	close(fd);
	return r;
}

static long mount_volume(const char *name)
{
	char options[300];

	snprintf(options, sizeof options, "subvol=%s", name);
	mkdir(name, 0755);
	return result(mount(device, name, "cowfs", 0, options));
}

static long sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	return result(nanosleep(&t, NULL));
}

static long run(char **w)
{
	const char *op = w[0];

	if (!strcmp(op, "create"))
		return with_file(w[1], O_WRONLY | O_CREAT | O_EXCL, nothing, w);
	if (!strcmp(op, "write"))
		return with_file(w[1], O_WRONLY, write_at, w);
	if (!strcmp(op, "map"))
		return with_file(w[1], O_RDWR, map_at, w);
	if (!strcmp(op, "read"))
		return with_file(w[1], O_RDONLY, read_all, w);
	if (!strcmp(op, "truncate"))
		return with_file(w[1], O_WRONLY, truncate_to, w);
	if (!strcmp(op, "fsync"))
		return with_file(w[1], O_RDONLY, sync_file, w);
	if (!strcmp(op, "fdatasync"))
		return with_file(w[1], O_RDONLY, sync_data, w);
	if (!strcmp(op, "sync"))
		return with_file("root", O_RDONLY, sync_all, w);
	if (!strcmp(op, "mkdir"))
		return result(mkdir(w[1], 0755));
	if (!strcmp(op, "rmdir"))
		return result(rmdir(w[1]));
	if (!strcmp(op, "unlink"))
		return result(unlink(w[1]));
	if (!strcmp(op, "rename"))
		return result(rename(w[1], w[2]));
	if (!strcmp(op, "link"))
		return result(link(w[1], w[2]));
	if (!strcmp(op, "symlink"))
		return result(symlink(w[1], w[2]));
	if (!strcmp(op, "chmod"))
		return result(chmod(w[1], strtol(w[2], NULL, 8)));
	if (!strcmp(op, "clone"))
		return volume(w[1], COWFS_CLONE);
	if (!strcmp(op, "delete"))
		return volume(w[1], COWFS_DELETE);
	if (!strcmp(op, "mount"))
		return mount_volume(w[1]);
	if (!strcmp(op, "umount"))
		return result(umount(w[1]));
	if (!strcmp(op, "sleep"))
		return sleep_ms(atol(w[1]));
	return -ENOSYS;
}

static void mark(int fd, long where, long n)
{
	static char sector[SECTOR] __attribute__((aligned(SECTOR)));

	memcpy(sector, &n, sizeof n);
	if (fd >= 0 && pwrite(fd, sector, SECTOR, where) != SECTOR)
		printf("# the mark cannot be written: %s\n", strerror(errno));
}

int main(int argc, char **argv)
{
	FILE *script = argc == 4 ? fopen(argv[1], "r") : NULL;
	long where = script ? atol(argv[3]) : 0;
	char line[600], *w[6];
	int marks = -1;

	if (!script)
		return printf("Usage: work SCRIPT DEVICE MARKS\n"), 2;
	device = argv[2];
	if (where)
		marks = open(device, O_WRONLY | O_CLOEXEC);
	for (long n = 0; fgets(line, sizeof line, script); n++) {
		int words = 0;
		char *rest = line;

		while (words < 5 && (w[words] = strtok_r(rest, " \n", &rest)))
			words++;
		w[words] = NULL;
		printf("%ld %ld\n", n, words ? run(w) : 0);
		fflush(stdout);
		mark(marks, where, n);
	}
	return 0;
}
