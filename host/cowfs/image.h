/* SPDX-License-Identifier: MIT */
/*
 * image.h - a cowfs image that a tool works on: opened, locked, mounted. All of it ends the program
 *with a message if it cannot.
 *
 *	image_open(&m, "disk.img", IMAGE_WRITE);
 *	image_volume(&m, "root");
 *	... m.volume ...
 *	image_close(&m);
 *
 * The lock is flock(2)'s on the image itself, which ./run holds as long as its guest lives. An
 *image named /dev/fd/N is locked by its descriptor N, so that who has the lock can hand it on.
 */
#ifndef HOST_COWFS_IMAGE_H
#define HOST_COWFS_IMAGE_H

#include "cowfs/disk.h"
#include "fs/cowfs/cowfs.h"

struct image {
	struct cow_platform disk;
	struct cow_fs *fs;
	struct cow_volume *volume;
	const char *path;
	int lock;      /* the descriptor that has it */
	bool borrowed; /* by the name /dev/fd/N: its owner closes it */
};

enum image_use { IMAGE_READ, IMAGE_WRITE };

/* IMAGE_WRITE: made, empty, if there is none and `create`. */
void image_lock(struct image *m, const char *path, enum image_use use, bool create);
void image_open(struct image *m, const char *path, enum image_use use);
void image_volume(struct image *m, const char *name);
void image_close(struct image *m); /* commits */

/* Clean blocks are given back if there are many: to be called now and then. */
void image_shrink(struct cow_fs *fs);

#endif
