/* SPDX-License-Identifier: MIT */
/*
 * usermap.c - whose ids the files of a container's mounts hold (core/usermap.h).
 *
 * What a container gets as its root (a directory, clones of volumes: mount->of_root)
 * holds ids of inside: a file of user 0 there is the container's root's. So a
 * clone of an image fits every map as it is. The map stands in the mount and not in
 * the volume, because a directory that is used in place is on a volume of
 * somebody else, for whom its ids mean what they say. A bind mount has the map
 * of the mount that it shows.
 *
 * Filesystems in memory that are made for a container hold global ids, as credentials
 * do, and their mounts have no map.
 */
#include "fs/context.h"
#include "core/errno.h"

/* A fresh filesystem was made before its owner had a map. */
static void superblock_give_root(struct superblock *sb, const struct usermap *map)
{
	struct inode *root = sb->root->inode;

	mutex_lock(&root->lock);
	root->uid = usermap_root_uid(map);
	root->gid = usermap_root_gid(map);
	mutex_unlock(&root->lock);
}

int mount_table_set_usermap(struct mount_table *t, struct usermap *old, struct usermap *map)
{
	struct mount *m;
	int err = 0;

	mutex_lock(&t->lock);
	list_for_each (m, &t->mounts, table_node)
		if (m->of_root && m->usermap != old)
			err = -EPERM;
	if (!err) {
		t->late_uid = usermap_root_uid(map);
		t->late_gid = usermap_root_gid(map);
	}
	list_for_each (m, &t->mounts, table_node) {
		if (err)
			break;
		if (m->of_root) {
			usermap_put(m->usermap);
			rcu_assign(m->usermap, usermap_get(map));
		} else if (m->sb->owner == t->owner) {
			superblock_give_root(m->sb, map);
		}
	}
	mutex_unlock(&t->lock);
	return err;
}
