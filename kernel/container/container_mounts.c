/* SPDX-License-Identifier: MIT */
/*
 * container_mounts.c - what a container's processes find mounted: its root (a directory, a clone of
 * an image, of a kept volume or of the caller's view) and, where the root has a directory for it,
 * /proc, /dev, /dev/shm and /sys.
 */
#include "container/internal.h"

/* What stands in every container: fresh instances, on directories that its root has. */
static const struct {
	const char *where, *type, *options;
	u32 flags;
} standard_mounts[] = {
	{ "/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "/dev", "devtmpfs", NULL, MS_NOSUID },
	{ "/dev/shm", "tmpfs", "mode=1777",
	  MS_NOSUID | MS_NODEV }, /* its memory is the container's */
	{ "/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
};

static int mount_standard(struct mount_table *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(standard_mounts); i++) {
		struct path where;
		int err;

		if (mount_table_lookup(t, standard_mounts[i].where, &where))
			continue; /* the root has no such directory */
		err = mount_at(t, &where, standard_mounts[i].type, standard_mounts[i].type,
			       standard_mounts[i].flags, standard_mounts[i].options);
		path_put(where);
		if (err)
			return err;
	}
	return 0;
}

static int make_root(struct container *c, const struct container_root *root)
{
	if (root->directory)
		return mount_table_set_root(c->mounts, root->directory);
	if (root->image && root->kept)
		return mount_table_set_root_volume(c->mounts, current->fs, root->image, &c->base);
	if (root->image)
		return mount_table_set_root_image(c->mounts, current->fs, root->image, &c->base);
	return mount_table_set_root_view(c->mounts, current->fs, root->compared ? &c->base : NULL);
}

void container_drop_mounts(struct container *c)
{
	mount_table_put(c->mounts);
	if (c->base)
		superblock_put(c->base);
}

int container_make_mounts(struct container *c, const struct container_root *root, bool read_only)
{
	int err = mount_table_create(&c->owner, &c->mounts);

	if (err)
		return err;
	err = make_root(c, root);
	if (!err && read_only) {
		c->mounts->root->flags |= MS_RDONLY;
		c->mounts->root->locked |= MS_RDONLY;
	}
	if (!err)
		err = mount_standard(c->mounts);
	if (err)
		container_drop_mounts(c);
	return err;
}
