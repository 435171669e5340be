/* SPDX-License-Identifier: MIT */
/*
 * container_mounts.c - what a container's processes find mounted: its root (a directory, a clone of
 * an image, of a kept volume or of the caller's view) and, where the root has a directory for it,
 * /proc, /dev, /dev/shm and /sys: these when somebody first gets there (fs/mount_late.c).
 */
#include "container/internal.h"

/* What stands in every container: fresh instances, on directories that its root has. */
static const struct mount_late shm = {
	/* its memory is the container's */
	.type = "tmpfs",
	.options = "mode=1777",
	.flags = MS_NOSUID | MS_NODEV,
	.name = "shm",
};
static const struct {
	const char *where;
	struct mount_late what;
} standard_mounts[] = {
	{ "/proc", { .type = "proc", .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC } },
	{ "/dev", { .type = "devtmpfs", .flags = MS_NOSUID, .inner = &shm } },
	{ "/sys", { .type = "sysfs", .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC } },
};

static int mount_standard(struct mount_table *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(standard_mounts); i++) {
		struct path where;
		int err;

		if (mount_table_lookup(t, standard_mounts[i].where, &where))
			continue; /* the root has no such directory */
		err = mount_late(t, &where, &standard_mounts[i].what);
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
