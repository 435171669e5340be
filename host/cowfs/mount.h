/* SPDX-License-Identifier: MIT */
/*
 * mount.h - a mounted volume: `cowfs mount` (mount.c) and what it answers the kernel (mount_ops.c).
 * Only where there is libfuse3; else mount_none.c is all there is.
 */
#ifndef HOST_COWFS_MOUNT_H
#define HOST_COWFS_MOUNT_H

#include "cowfs/image.h"

/* The kernel's name for a node is its address; for the root it is FUSE_ROOT_ID. */
struct node {
	struct list list;	 /* on mount->nodes */
	struct cow_inode *inode; /* counted; its `private` is this */
	u64 lookups;		 /* that the kernel has not forgotten yet */
};

struct mount {
	struct image image;
	struct list nodes; /* all inodes that the kernel knows */
	struct node *root;
	bool read_only;
	bool wanted; /* the core asks for cow_work() */
};

struct fuse_lowlevel_ops;
extern const struct fuse_lowlevel_ops mount_ops;

/* The root becomes a node, or the program ends with a message. */
void mount_begin(struct mount *m);
/* The kernel knows nothing any more: inodes without a name are deleted. */
void mount_end(struct mount *m);

#endif
