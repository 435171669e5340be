/* SPDX-License-Identifier: MIT */
/* image.c - opens, locks and mounts an image (contract: image.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cowfs/image.h"
#include "cowfs/tool.h"

#define CACHED_MAX (32u << 10) /* blocks */
#define LOCK_TRIES 40
#define LOCK_SLEEP 50000 /* microseconds between them */

static int lock_descriptor(struct image *m, const char *path, enum image_use use, bool create)
{
	int fd, flags = (use == IMAGE_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;

	m->borrowed = sscanf(path, "/dev/fd/%d", &fd) == 1;
	if (m->borrowed)
		return fd;
	return open(path, flags | (create ? O_CREAT : 0), 0666);
}

/* A mount that has just ended writes for a moment yet (mount.c). */
static int lock_take(int fd, enum image_use use)
{
	int err = flock(fd, (use == IMAGE_WRITE ? LOCK_EX : LOCK_SH) | LOCK_NB);

	for (unsigned n = 0; err && errno == EWOULDBLOCK && n < LOCK_TRIES; n++) {
		usleep(LOCK_SLEEP);
		err = flock(fd, (use == IMAGE_WRITE ? LOCK_EX : LOCK_SH) | LOCK_NB);
	}
	return err;
}

void image_lock(struct image *m, const char *path, enum image_use use, bool create)
{
	struct stat st;

	*m = (struct image){ .path = path };
	m->lock = lock_descriptor(m, path, use, create);
	if (m->lock < 0 && errno == ENOENT)
		tool_fail("there is no image '%s'; mkfs.cowfs makes one", path);
	if (m->lock < 0 || fstat(m->lock, &st))
		tool_fail("cannot open the image '%s': %s", path, tool_error(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		tool_fail("'%s' is neither a file nor a block device", path);
	if (!lock_take(m->lock, use))
		return;
	if (errno == EWOULDBLOCK)
		tool_fail("'%s' is in use by a running ./run or another tool; end that first, or "
			  "use a copy of the image",
			  path);
	tool_fail("cannot lock '%s': %s", path, tool_error(errno));
}

static void mount_failed(struct image *m, int err)
{
	if (err == -EINVAL)
		tool_fail("'%s' (%lu KiB) is not a cowfs image, or it has been cut off; mkfs.cowfs "
			  "makes a new one",
			  m->path, m->disk.blocks * (COW_BLOCK >> 10));
	tool_fail("cannot mount '%s': %s; fsck.cowfs may say more", m->path, tool_error(err));
}

void image_open(struct image *m, const char *path, enum image_use use)
{
	int err;

	image_lock(m, path, use, false);
	err = disk_file_open(&m->disk, path, use == IMAGE_WRITE, false, 0);
	if (err)
		tool_fail("cannot open the image '%s': %s", path, tool_error(err));
	err = cow_mount(&m->disk, use == IMAGE_WRITE ? 0 : COW_MOUNT_READ_ONLY, &m->fs);
	if (err)
		mount_failed(m, err);
}

void image_volume(struct image *m, const char *name)
{
	int err = cow_volume_find(m->fs, name, strlen(name), &m->volume);

	if (err == -ENOENT)
		tool_fail("'%s' has no volume '%s'; 'cowfs volumes %s' lists them", m->path, name,
			  m->path);
	if (err)
		tool_fail("'%s': the volume '%s' cannot be read: %s", m->path, name,
			  tool_error(err));
}

void image_close(struct image *m)
{
	int err;

	if (m->volume)
		cow_volume_put(m->volume);
	err = cow_unmount(m->fs);
	if (err)
		tool_fail("'%s' could not be written: %s", m->path, tool_error(err));
	disk_file_close(&m->disk);
	if (!m->borrowed)
		close(m->lock);
}

void image_shrink(struct cow_fs *fs)
{
	struct cow_space s;

	cow_space(fs, &s);
	if (s.cached > CACHED_MAX)
		cow_shrink(fs, s.cached - CACHED_MAX / 2);
}
