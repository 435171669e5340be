/* SPDX-License-Identifier: MIT */
/*
 * fs.h - what a read of a directory gives: entries of this form. A longer name is cut to
 * DIRSIZ bytes; inum is the lower half of the file's number, never 0.
 */
#ifndef XV6_FS_H
#define XV6_FS_H

#define ROOTINO 1
#define BSIZE	512
#define DIRSIZ	14

struct dirent {
	ushort inum;
	char name[DIRSIZ];
};

#endif
