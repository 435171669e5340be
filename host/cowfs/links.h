/* SPDX-License-Identifier: MIT */
/* links.h - files with several names: (device, inode number) -> what the copier calls the file. */
#ifndef HOST_COWFS_LINKS_H
#define HOST_COWFS_LINKS_H

#include "lib/types.h"

struct links {
	size_t used, room; /* room: a power of 2, or 0 */
	struct link {
		u64 device, ino, value; /* value 0: an empty place */
	} * link;
};

u64 links_find(const struct links *l, u64 device, u64 ino); /* 0: not seen */
void links_add(struct links *l, u64 device, u64 ino, u64 value);
void links_clear(struct links *l);

#endif
