/* SPDX-License-Identifier: MIT */
/*
 * disk.h - a program as the platform of cowfs (kernel/fs/cowfs/platform.h): disks as tables of
 * functions, and switches for tests.
 */
#ifndef HOST_COWFS_DISK_H
#define HOST_COWFS_DISK_H

#include "fs/cowfs/format.h"
#include "fs/cowfs/platform.h"

struct cow_disk_ops {
	/* count * 4096 bytes at block addr: 0 or -EIO. */
	int (*read)(struct cow_platform *p, u64 addr, void *const *data, unsigned count);
	int (*write)(struct cow_platform *p, u64 addr, const void *const *data, unsigned count);
	int (*flush)(struct cow_platform *p);
};

struct cow_platform {
	const struct cow_disk_ops *ops;
	u64 blocks;
	bool read_only;
	const char *name; /* in messages */
	bool quiet;	  /* cow_log prints nothing; it counts */
	u64 log_lines;
	int fd;	    /* disk_file */
	void *data; /* disk_memory: blocks * 4096 bytes; or the owner's */
};

/* A file or block device, made blocks * 4096 bytes long if `create`: 0 or -errno. */
int disk_file_open(struct cow_platform *p, const char *path, bool writable, bool create,
		   u64 blocks);
void disk_file_close(struct cow_platform *p);
/* Zeros, in memory. -ENOMEM. */
int disk_memory_open(struct cow_platform *p, u64 blocks);
void disk_memory_close(struct cow_platform *p);

/* Allocations and pages that are not freed; for leak checks. */
extern s64 cow_platform_live;
/* n > 0: the n-th allocation from now on fails (and then it is 0); 0: none does. */
extern u64 cow_platform_fail_in;
/* What cow_now() says, if it is fixed. */
extern struct cow_time cow_platform_time;
extern bool cow_platform_time_fixed;
/* With this not 0 cow_random() is repeatable, from this seed, and cow_now() counts calls. */
extern u64 cow_platform_seed;

#endif
