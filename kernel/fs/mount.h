/* SPDX-License-Identifier: MIT */
/*
 * mount.h - between mount.c (the tables) and sys_mount.c (the calls).
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include "fs/context.h"

/* What a mount keeps of the flags of mount(2); the rest is the superblock's, or a verb. */
#define MOUNT_FLAGS                                                                   \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW | MS_NOATIME | \
	 MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)
/* Set from outside, a container may not take these away. */
#define MOUNT_LOCKABLE (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)

#define MNT_FORCE	1 /* umount2(2) */
#define MNT_DETACH	2
#define MNT_EXPIRE	4
#define UMOUNT_NOFOLLOW 8

extern const struct fs_type tmpfs_type;

/* The flags of a new mount: relatime unless the caller says otherwise (man 2 mount). */
static inline u32 mount_flags_new(u32 flags)
{
	flags &= MOUNT_FLAGS;
	return flags & (MS_NOATIME | MS_STRICTATIME) ? flags & ~MS_RELATIME : flags | MS_RELATIME;
}

int mount_create(struct superblock *sb, struct dentry *root, u32 flags, const char *source,
		 struct mount **out);
/* These put m, whose reference passes (also on failure), into t: as its root, or on where. */
int mount_table_set_root_mount(struct mount_table *t, struct mount *m);
int mount_place(struct mount_table *t, struct mount *m, const struct path *where);
/* The next mount of the tree below `top` after m, parents first; NULL at the end. Lock held. */
struct mount *mount_next(struct mount *m, struct mount *top);
void mount_attach(struct mount_table *t, struct mount *m, struct mount *parent,
		  struct dentry *mountpoint);
void mount_table_changed(struct mount_table *t); /* t->lock held */
const struct fs_type *fs_type_find(const char *name);
void mountpoint_count(struct dentry *d, int n); /* n more (fewer) stand on d */
void mount_late_forget(struct mount_table *t);	/* the end of t */
int mount_bind(struct mount_table *t, const struct path *from, const struct path *where,
	       bool recursive);
int mount_move(struct mount_table *t, const struct path *from, const struct path *where);
/* m is counted by the caller's path. -EBUSY, -EINVAL, -EAGAIN (MNT_EXPIRE, first time). */
int mount_remove(struct mount_table *t, struct mount *m, int flags);

#endif
