/* SPDX-License-Identifier: MIT */
/* stat.h - what stat() tells, as xv6 for x86 lays it out. kernel/stat.h is that of RISC-V. */
#ifndef XV6_STAT_H
#define XV6_STAT_H

#define T_DIR  1
#define T_FILE 2
#define T_DEV  3

struct stat {
	short type; /* T_* */
	int dev;
	uint ino;
	short nlink;
	uint size;
};

#endif
