/* SPDX-License-Identifier: MIT */
/*
 * vfs.h - cowfs for the rest of the kernel: volumes behind mounts, for
 * containers and for whoever ends the machine.
 *
 * Typical sequence, of a container whose root is a view of its creator's:
 *
 *	err = cowfs_clone(mount->sb, "c7", false, &sb);
 *	err = mount_table_set_root_sb(table, sb, source);
 *	superblock_put(sb);
 *	... the container goes, with it its mounts, and with the last of them the volume.
 */
#ifndef FS_COWFS_VFS_H
#define FS_COWFS_VFS_H

#include "fs/vfs.h"

extern const struct fs_type cowfs_type;

bool cowfs_is(const struct superblock *sb);
/*
 * A superblock (one reference) of a new volume that has all that sb's has now. It costs the same
 * whatever that is, and waits for no disk. It is deleted with its last mount, or, if a crash came
 * before that, after the disk's next mount. frozen: nobody writes to it. -EEXIST, -ENOSPC, -ENOMEM,
 * -EROFS, -EIO.
 */
int cowfs_clone(struct superblock *sb, const char *name, bool frozen, struct superblock **out);
/* The volume `name` on a disk: a superblock, counted. -EINVAL: no cowfs there; -ENOENT; -EIO. */
struct block_device;
int cowfs_mount_device(struct block_device *b, const char *name, struct superblock **out);
/* The volume `name` on sb's disk: a superblock, counted. -ENOENT. */
int cowfs_open(struct superblock *sb, const char *name, struct superblock **out);
/* The same of one that can be written to and that nobody has mounted: -EINVAL, -EBUSY. */
int cowfs_open_alone(struct superblock *sb, const char *name, struct superblock **out);
/* The frozen volume that sb's is a clone of: a superblock, counted; NULL: there is none (any more).
 */
int cowfs_open_base(struct superblock *sb, struct superblock **out);
/*
 * What sb's volume has over its base counts in a from now on (before: in the host's account), as
 * RES_DISK and RES_INODES, and is limited there: -EDQUOT. Before others see sb.
 */
struct account;
void cowfs_set_account(struct superblock *sb, struct account *a);
bool cowfs_is_frozen(struct superblock *sb);
/* The name of sb's volume: COWFS_NAME_SIZE bytes. -ENOENT: it was deleted. */
int cowfs_volume_name(struct superblock *sb, char *name);
/*
 * How the volume of sb differs from that of base, as cow_volume_diff_paths says it: what is 'A',
 * 'C' or 'D'; path may be NULL.
 */
int cowfs_diff(struct superblock *base, struct superblock *sb,
	       int (*emit)(void *arg, char what, u64 ino, const char *path), void *arg);
/* All that was written to any cowfs is on its disk: for the end of the machine. */
void cowfs_sync_all(void);
void cowfs_init(void);

#endif
