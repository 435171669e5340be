/* SPDX-License-Identifier: MIT */
/*
 * tree.h - trees of files between the host and a volume, with modes, owners, times, hard links,
 * symbolic links, extended attributes, devices and holes.
 *
 * tree_put.c: into a volume. What has a name there already gives way, but directories stay and take
 * in what comes. Names go in order, holes are where zeros are, access times become the modification
 * times, and ctime is now: so the same tree gives the same image.
 *
 * tree_get.c: out of it.
 *
 * Both end the program with a message when something fails; what the host's user may not do
 * (owners, devices, privileged attributes) is a warning, and counted.
 */
#ifndef HOST_COWFS_TREE_H
#define HOST_COWFS_TREE_H

#include "cowfs/links.h"
#include "fs/cowfs/cowfs.h"

struct tree_scan { /* what there is to put */
	u64 files, bytes;
	u64 hash; /* of names, modes, owners, sizes and times */
	struct cow_time newest;
};
void tree_scan(const char *host, struct tree_scan *s);

struct tree {
	struct cow_fs *fs;
	struct cow_volume *volume;
	struct cow_time now; /* put: of what is made */
	struct links links;
	u64 done, total; /* bytes; for progress */
	u64 warnings;
};

/* The file or directory `host`, as the name in dir. */
void tree_put(struct tree *t, const char *host, struct cow_inode *dir, const char *name);
/* What is in the host's directory, and its attributes, into dir. */
void tree_put_contents(struct tree *t, const char *host, struct cow_inode *dir);
/* i becomes the host's file or directory `host`; a directory may be there. */
void tree_get(struct tree *t, struct cow_inode *i, const char *host);

#endif
