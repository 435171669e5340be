/* SPDX-License-Identifier: MIT */
/* command.h - the commands of the tool `cowfs`: cowfs.c reads the command line, the others do it.
 */
#ifndef HOST_COWFS_COMMAND_H
#define HOST_COWFS_COMMAND_H

#include "cowfs/image.h"

#define KEEP_MAX 32

struct arguments {
	const char *image;
	char **word; /* behind the image */
	int words;
	const char *volume;	   /* -v */
	bool all;		   /* -R */
	bool frozen;		   /* -r */
	bool force;		   /* -f */
	bool foreground;	   /* -f of mount */
	const char *mount_options; /* -o */
	const char *keep[KEEP_MAX];
	unsigned keep_count;
};

/* The exit status. */
int command_ls(const struct arguments *a); /* show.c */
int command_cat(const struct arguments *a);
int command_info(const struct arguments *a);
int command_volumes(const struct arguments *a);
int command_diff(const struct arguments *a);
int command_get(const struct arguments *a); /* change.c */
int command_put(const struct arguments *a);
int command_unpack(const struct arguments *a);
int command_clone(const struct arguments *a);
int command_rm_volume(const struct arguments *a);
int command_mount(const struct arguments *a); /* mount.c, or mount_none.c */

#endif
