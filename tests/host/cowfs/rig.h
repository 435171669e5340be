/* SPDX-License-Identifier: MIT */
/*
 * rig.h - a filesystem in memory for tests of files, and their TAP output.
 *
 *	rig_open(&r, blocks);
 *	i = rig_file_new(&r, "a"); ... rig_file_delete(&r, i, "a");
 *	rig_close(&r, "what it was about");	checks it, and that blocks and memory are back
 *	return rig_end();
 */
#ifndef TESTS_COWFS_RIG_H
#define TESTS_COWFS_RIG_H

#include <stdio.h>
#include <stdlib.h>

#include "cowfs/disk.h"
#include "fs/cowfs/internal.h"

struct rig {
	struct cow_platform disk;
	struct cow_fs *fs;
	struct cow_volume *volume; /* "root" */
	struct cow_inode *root;
	u64 free; /* blocks, before the test */
	s64 live; /* allocations */
};

extern u64 rig_seed; /* printed when a test fails */
extern const struct cow_time rig_then;

void rig_ok(bool good, const char *what);
int rig_end(void);

/* What must hold at every step: ends the program. */
#define must(cond)                                                                    \
	do {                                                                          \
		if (!(cond)) {                                                        \
			printf("Bail out! %s:%d, seed %lu: %s\n", __FILE__, __LINE__, \
			       (unsigned long)rig_seed, #cond);                       \
			fflush(stdout);                                               \
			abort();                                                      \
		}                                                                     \
	} while (0)

extern u64 rig_draw_state; /* not 0 */
u64 rig_draw(u64 below);

void rig_open(struct rig *r, u64 blocks);
void rig_close(struct rig *r, const char *what);
void rig_mount(struct rig *r);
void rig_unmount(struct rig *r);
u64 rig_free_blocks(struct rig *r); /* after commits */
bool rig_is_clean(struct rig *r);   /* fsck says so; what it says else is printed */

struct cow_inode *rig_file_new(struct rig *r, const char *name);
struct cow_inode *rig_file_open(struct rig *r, const char *name);
void rig_file_delete(struct rig *r, struct cow_inode *i, const char *name); /* and puts it */

/* Leaves of the tree are as many as the inode says. */
void rig_check_blocks(struct cow_inode *i);
bool rig_all_zero(const u8 *p, u64 n);

#endif
