/* SPDX-License-Identifier: MIT */
/*
 * control_mount.c - the control file mount: what is written names a directory of the writer's, on
 * which the container's root is mounted, whether it runs or not. So whoever manages it looks at
 * its files without being inside (ctool cp).
 *
 * Of the root there is only itself, not what is mounted on it. Device nodes and set-id bits do not
 * work there, and nobody can change that. The mount is the writer's: it stays until he takes it
 * away, also when the container has gone. Where the root holds ids of inside, a file of user 0 is
 * the writer's user 0's there, as before the container got its map: so its files can be written as
 * those of any user that it has. A root that holds ids of further outside is shown as it is.
 *
 * The file may be handed on when it is open, and who writes to what he is given must not mount
 * anything by that: so it is for the container around this one only, and each writer's own right
 * to mount counts.
 */
#include "container/control.h"
#include "container/internal.h"
#include "core/errno.h"
#include "fs/context.h"

int mount_open(void *object, bool write)
{
	return container_may_manage_from_outside(object);
}

/* `name` is looked up in current's view. */
static int mount_root_on(struct container *c, const char *name)
{
	struct mount_table *here = current->fs->mounts;
	struct usermap *map;
	struct path where, root;
	int err = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &where);

	if (err)
		return err;
	err = where.mount->table_id == here->id ? mount_table_lookup(c->mounts, "/", &root)
						: -EINVAL;
	if (err)
		goto put_where;
	map = root.mount->usermap;
	if (map == c->owner.usermap)
		map = c->parent->owner.usermap;
	err = mount_bind_into(here, &root, &where, MS_NOSUID | MS_NODEV, map);
	path_put(root);
put_where:
	path_put(where);
	return err;
}

int mount_store(void *object, char *s, size_t n)
{
	struct container *c = object;

	if (current->owner != &c->parent->owner || container_may_manage_from_outside(c) ||
	    !may(current->fs->mounts->owner, CAP_SYS_ADMIN))
		return -EPERM;
	return *s == '/' ? mount_root_on(c, s) : -EINVAL;
}
