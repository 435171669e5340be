/* SPDX-License-Identifier: MIT */
/*
 * cowfs.h - volumes of cowfs, as user space manages them: ioctl(2) on any file or
 * directory of a mounted volume, with a struct cowfs_volume. All need
 * CAP_SYS_ADMIN on the host (-EPERM). Names have 1 to 255 bytes, no '/', and are
 * not "." or "..".
 */
#ifndef ABI_COWFS_H
#define ABI_COWFS_H

#include <stdint.h>

#define COWFS_NAME_SIZE 256 /* with the final NUL */

struct cowfs_volume {
	char name[COWFS_NAME_SIZE];
	char to[COWFS_NAME_SIZE]; /* COWFS_RENAME, COWFS_KEEP, COWFS_COPY */
	uint64_t id, parent;	  /* parent: what it was cloned from; 0: nothing */
	uint64_t flags;		  /* COWFS_FROZEN, COWFS_TEMPORARY */
	uint64_t used_bytes;	  /* of its own: what it does not share with its origin */
	uint64_t quota_bytes;	  /* limit of that; 0: none */
	uint64_t inodes, base_inodes, quota_inodes; /* the quota limits inodes - base_inodes */
	int64_t created;			    /* seconds since 1970 */
	uint64_t position;			    /* COWFS_NEXT */
};
#define COWFS_FROZEN 1 /* never changes: an image, a snapshot */
#define COWFS_TEMPORARY 2 /* deleted after the disk's next mount */

#define COWFS_THIS   0x5cf00001 /* about the volume of the file */
#define COWFS_NEXT   0x5cf00002 /* the next one from `position` on (0: the first): -ENOENT */
#define COWFS_CREATE 0x5cf00003 /* an empty volume `name`; flags: COWFS_TEMPORARY. -EEXIST, -EINVAL */
#define COWFS_CLONE  0x5cf00004 /* `name`: a clone of the file's volume; flags: any of them */
#define COWFS_DELETE 0x5cf00005 /* `name`: -ENOENT, -EBUSY (it is mounted) */
#define COWFS_RENAME 0x5cf00006 /* `name` becomes `to` */
#define COWFS_FREEZE 0x5cf00007 /* `name` never changes from now on */
#define COWFS_QUOTA  0x5cf00008 /* of `name`: quota_bytes and quota_inodes */
#define COWFS_COPY   0x5cf00009 /* `to`: a clone of the volume `name`; flags: any of them */
#define COWFS_KEEP   0x5cf0000a /* `name` becomes `to`, and is not temporary from then on */

#define COWFS_IMAGE "image." /* and its name: the frozen volume of an image */
#define COWFS_CONTAINER "container." /* and its id: the root of a container that outlives a boot */

/* Counters of the whole filesystem, since it was mounted. */
struct cowfs_stats {
	uint64_t blocks, free, available; /* of 4096 bytes */
	uint64_t dirty, cached, pending;  /* blocks in memory; freed, free after the next commit */
	uint64_t commits, flushes, log_records, reads, writes; /* requests */
	uint64_t dead;						/* trees to be given back */
};
#define COWFS_STATS 0x5cf00010

#endif
