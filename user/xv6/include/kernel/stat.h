/* SPDX-License-Identifier: MIT */
/* stat.h - what stat() tells, as xv6 for RISC-V lays it out. */
#ifndef XV6_KERNEL_STAT_H
#define XV6_KERNEL_STAT_H

#define T_DIR	 1
#define T_FILE	 2
#define T_DEVICE 3

struct stat {
	int dev;
	uint ino;
	short type; /* T_* */
	short nlink;
	uint64 size;
};

#endif
