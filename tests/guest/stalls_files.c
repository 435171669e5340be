/* SPDX-License-Identifier: MIT */
/*
 * stalls_files.c - calls that do much at once, beside another container (stalls.h): bytes, names,
 * mounts, files that are mapped, files on a disk, containers.
 */
#include "stalls.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

/* --- bytes --- */

static void randomness(void)
{
	memory = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(memory, 1, LARGE);
}

static void get_randomness(void)
{
	syscall(SYS_getrandom, memory, LARGE / 4, 0);
}

static void get_zeros(void)
{
	for (int n = 0; n < 8; n++)
		read(open("/dev/zero", O_RDONLY), memory, LARGE);
}

static void write_null_vector(void)
{
	struct iovec v[1024];

	for (int i = 0; i < 1024; i++)
		v[i] = (struct iovec){ memory, LARGE };
	for (int n = 0; n < 100; n++)
		writev(open("/dev/null", O_WRONLY), v, 30);
}

static void large_file(void)
{
	static char block[1 << 20];

	fd = OK(open("large", O_RDWR | O_CREAT, 0600));
	for (int i = 0; i < 128; i++)
		write(fd, block, sizeof block);
}

static void read_vector(void)
{
	static char block[1 << 20];
	struct iovec v[128];

	for (int i = 0; i < 128; i++)
		v[i] = (struct iovec){ block, sizeof block };
	preadv(fd, v, 128, 0);
}

static void truncate_file(void)
{
	ftruncate(fd, 0);
}

static void send_file(void)
{
	int out = open("/dev/null", O_WRONLY);
	long at = 0;

	sendfile(out, fd, &at, 1L << 30);
}

static void huge_file(void)
{
	fd = OK(open("huge", O_RDWR | O_CREAT, 0600));
	ftruncate(fd, 1L << 62);
	pwrite(fd, "x", 1, (1L << 62) - 1);
}

static void seek_data(void)
{
	lseek(fd, 0, SEEK_DATA);
	lseek(fd, 0, SEEK_HOLE);
}

static void punch(void)
{
	syscall(SYS_fallocate, fd, 3, 0L, 1L << 61);
}

static void map_huge_file(void)
{
	char *m = mmap(NULL, 1L << 45, PROT_READ, MAP_SHARED, fd, 0);

	if (m == MAP_FAILED)
		return;
	msync(m, 1L << 45, MS_SYNC);
	madvise(m, 1L << 45, MADV_DONTNEED);
	madvise(m, 1L << 45, MADV_WILLNEED);
	munmap(m, 1L << 45);
}

/* --- names and mounts --- */

static void many_files(void)
{
	char name[64];

	for (int i = 0; i < 60000; i++) {
		snprintf(name, sizeof name, "%d", i);
		if (mknod(name, S_IFREG | 0600, 0))
			break;
	}
}

static void list_files(void)
{
	static char buffer[4 << 20];
	int d = open(".", O_RDONLY | O_DIRECTORY);

	while (syscall(SYS_getdents64, d, buffer, sizeof buffer) > 0)
		;
}

static void sync_files(void)
{
	sync();
	syncfs(open(".", O_RDONLY));
}

static void unmount_files(void)
{
	chdir("/");
	umount2("/in", MNT_DETACH);
}

static void many_mounts(void)
{
	char name[64];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "/in/%d", i);
		mkdir(name, 0755);
		if (mount("/tmp", name, NULL, MS_BIND, NULL))
			break;
	}
}

static void bind_mounts(void)
{
	mount("/in", "/tmp", NULL, MS_BIND | MS_REC, NULL);
	umount2("/tmp", MNT_DETACH);
}

static void clone_mounts(void)
{
	int c = syscall(SYS_spawncont, &(struct container_spec){ 0 },
			sizeof(struct container_spec));
	struct container_spec s = spec_of("/");

	if (c > 0)
		return;
	c = syscall(SYS_spawncont, &s, sizeof s);
	if (c > 0)
		DESTROY(c);
}

static void unmount_all(void)
{
	chdir("/");
	umount2("/in", MNT_DETACH);
}

/* --- files that are mapped --- */

/* One page of one file, very often. */
static void mapped_often(void)
{
	fd = OK(open("mapped", O_RDWR | O_CREAT, 0600));
	OK(ftruncate(fd, 4 << 20));
	for (int p = 0; p < 8; p++) {
		for (long i = 0; i < 60000; i++) {
			char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				       i % 512 * 8192);
			if (m == MAP_FAILED)
				break;
			m[0] = 1;
		}
		if (fork() == 0)
			continue;
		break;
	}
	if (WORD(OWN)++)
		idle();
}

static void truncate_mapped(void)
{
	ftruncate(fd, 0);
}

static void sync_mapped(void)
{
	fsync(fd);
	pwrite(fd, "x", 1, 0);
}

/* All of one file, in many processes. */
static void mapped_by_many(void)
{
	enum { SIZE = 64 << 20 };
	volatile char sum = 0;

	fd = OK(open("mapped", O_RDWR | O_CREAT, 0600));
	OK(ftruncate(fd, SIZE));
	char *m = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memset(m, 1, SIZE);
	for (int n = 0; n < 100; n++)
		if (fork() == 0) {
			for (long i = 0; i < SIZE; i += 4096)
				sum += m[i];
			WORD(OWN)++;
			idle();
		}
	while (WORD(OWN) < 100)
		sched_yield();
}

/* --- files on a disk --- */

static void disk_file(void)
{
	static char block[1 << 20];

	fd = OK(open("/tmp/large", O_RDWR | O_CREAT | O_TRUNC, 0600));
	for (int i = 0; i < 64; i++)
		OK(write(fd, memset(block, i, sizeof block), sizeof block));
}

static void disk_file_synced(void)
{
	disk_file();
	OK(fsync(fd));
}

static void sync_disk(void)
{
	OK(fsync(fd));
	sync();
}

static void read_cold(void)
{
	static char block[64 << 20];

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	pread(fd, block, sizeof block, 0);
}

static void truncate_disk(void)
{
	OK(ftruncate(fd, 0));
	close(fd);
	OK(unlink("/tmp/large"));
	sync();
}

static void many_disk_files(void)
{
	char name[64];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "/tmp/many.%d", i);
		OK(close(OK(open(name, O_CREAT | O_WRONLY, 0600))));
	}
}

static void remove_disk_files(void)
{
	char name[64];

	sync();
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "/tmp/many.%d", i);
		OK(unlink(name));
	}
	sync();
}

/* --- texts, containers --- */

static void mounts_text(void)
{
	mkdir("/in/proc", 0755);
	mount("p", "/in/proc", "proc", 0, NULL);
	many_mounts();
}

static void read_mounts(void)
{
	static const char *names[] = { "mounts", "mountinfo" };
	static char buffer[1 << 20];
	char path[64];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "/in/proc/self/%s", names[i]);
		int in = open(path, O_RDONLY);
		while (read(in, buffer, sizeof buffer) > 0)
			;
	}
}

static int containers[500];

static void many_containers(void)
{
	struct container_spec s = spec_of("/");

	for (int i = 0; i < 500; i++) {
		int c = containers[i] = syscall(SYS_spawncont, &s, sizeof s);
		if (c < 0)
			break;
		pid_t pid = CFORK(c);
		if (pid == 0)
			idle();
	}
}

static void end_containers(void)
{
	for (int i = 0; i < 500; i++)
		OK(DESTROY(containers[i]));
}

STALL(random_bytes, randomness, get_randomness)
STALL(zeros, randomness, get_zeros)
STALL(nulls, randomness, write_null_vector)
STALL(vector, large_file, read_vector)
STALL(truncated, large_file, truncate_file)
STALL(sent, large_file, send_file)
STALL(sent_huge, huge_file, send_file)
STALL(sought, huge_file, seek_data)
STALL(punched, huge_file, punch)
STALL(mapped, huge_file, map_huge_file)
STALL(files_listed, many_files, list_files)
STALL(files_synced, many_files, sync_files)
STALL(files_unmounted, many_files, unmount_files)
STALL(mounts_bound, many_mounts, bind_mounts)
STALL(mounts_cloned, many_mounts, clone_mounts)
STALL(mounts_ended, many_mounts, unmount_all)
STALL(mapped_truncated, mapped_often, truncate_mapped)
STALL(mapped_synced, mapped_often, sync_mapped)
STALL(shared_truncated, mapped_by_many, truncate_mapped)
STALL(disk_synced, disk_file, sync_disk)
STALL(disk_read, disk_file_synced, read_cold)
STALL(disk_truncated, disk_file_synced, truncate_disk)
STALL(disk_files, many_disk_files, remove_disk_files)
STALL(mounts_read, mounts_text, read_mounts)
STALL(containers_ended, many_containers, end_containers)

static const struct tap_case cases[] = {
	T(random_bytes),
	T(zeros),
	T(nulls),
	T(vector),
	T(truncated),
	T(sent),
	T(sent_huge),
	T(sought),
	T(punched),
	T(mapped),
	T(files_listed),
	T(files_synced),
	T(files_unmounted),
	T(mounts_bound),
	T(mounts_cloned),
	T(mounts_ended),
	T(mapped_truncated),
	T(mapped_synced),
	T(shared_truncated),
	T(disk_synced),
	T(disk_read),
	T(disk_truncated),
	T(disk_files),
	T(mounts_read),
	T(containers_ended),
};

int main(int argc, char **argv)
{
	return stall_init() ? TAP_RUN(cases, argc, argv) : 1;
}
