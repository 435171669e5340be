/* SPDX-License-Identifier: MIT */
/* disk.c - disks for programs (contract: disk.h): a file, and memory. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cowfs/disk.h"
#include "fs/cowfs/format.h"

#define BLKGETSIZE64 0x80081272ul /* linux/fs.h */

extern int *__errno_location(void); /* <errno.h>'s names are the kernel's here */

static int last_error(void)
{
	return -*__errno_location();
}

/* --- a file --- */

/* A whole vector, whatever comes in one call. Reads behind the end of the file are zeros. */
static int file_transfer(struct cow_platform *p, u64 addr, void *const *data, unsigned count,
			 bool write)
{
	for (unsigned i = 0; i < count; i++) {
		char *at = data[i];
		size_t left = COW_BLOCK;
		off_t off = (addr + i) << COW_BLOCK_SHIFT;

		while (left) {
			ssize_t n =
				write ? pwrite(p->fd, at, left, off) : pread(p->fd, at, left, off);

			if (n < 0 || (write && !n))
				return -EIO;
			if (!n) {
				memset(at, 0, left);
				break;
			}
			at += n, left -= n, off += n;
		}
	}
	return 0;
}

static int file_read(struct cow_platform *p, u64 addr, void *const *data, unsigned count)
{
	return file_transfer(p, addr, data, count, false);
}

static int file_write(struct cow_platform *p, u64 addr, const void *const *data, unsigned count)
{
	return file_transfer(p, addr, (void *const *)data, count, true);
}

static int file_flush(struct cow_platform *p)
{
	return fdatasync(p->fd) ? -EIO : 0;
}

static const struct cow_disk_ops file_ops = { file_read, file_write, file_flush };

static int file_size(int fd, u64 *bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return last_error();
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, bytes) ? last_error() : 0;
	*bytes = st.st_size;
	return 0;
}

int disk_file_open(struct cow_platform *p, const char *path, bool writable, bool create, u64 blocks)
{
	int fd = open(path, (writable ? O_RDWR : O_RDONLY) | (create ? O_CREAT : 0) | O_CLOEXEC,
		      0666);
	u64 bytes;
	int err;

	if (fd < 0)
		return last_error();
	err = create && blocks && ftruncate(fd, blocks << COW_BLOCK_SHIFT) ? last_error() : 0;
	if (!err)
		err = file_size(fd, &bytes);
	if (err) {
		close(fd);
		return err;
	}
	*p = (struct cow_platform){ .ops = &file_ops,
				    .blocks = bytes >> COW_BLOCK_SHIFT,
				    .read_only = !writable,
				    .name = path,
				    .fd = fd };
	return 0;
}

void disk_file_close(struct cow_platform *p)
{
	close(p->fd);
}

/* --- memory --- */

static int memory_read(struct cow_platform *p, u64 addr, void *const *data, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		memcpy(data[i], (char *)p->data + ((addr + i) << COW_BLOCK_SHIFT), COW_BLOCK);
	return 0;
}

static int memory_write(struct cow_platform *p, u64 addr, const void *const *data, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		memcpy((char *)p->data + ((addr + i) << COW_BLOCK_SHIFT), data[i], COW_BLOCK);
	return 0;
}

static int memory_flush(struct cow_platform *p)
{
	(void)p;
	return 0;
}

static const struct cow_disk_ops memory_ops = { memory_read, memory_write, memory_flush };

int disk_memory_open(struct cow_platform *p, u64 blocks)
{
	*p = (struct cow_platform){ .ops = &memory_ops,
				    .blocks = blocks,
				    .name = "memory",
				    .data = calloc(blocks, COW_BLOCK) };
	return p->data ? 0 : -ENOMEM;
}

void disk_memory_close(struct cow_platform *p)
{
	free(p->data);
}
