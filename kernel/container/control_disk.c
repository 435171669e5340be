/* SPDX-License-Identifier: MIT */
/*
 * control_disk.c - the control files about a container's files: disk.*, inodes.*, diff, volume.
 *
 * What is limited is what its volumes have over what they were cloned from, and those of
 * containers inside it: cowfs counts that in the account (fs/cowfs/vfs.h, cowfs_set_account). What
 * its processes add to volumes of somebody around it (the root of a container in a directory)
 * counts here as well (core/account.h, account_grow).
 */
#include "abi/cowfs.h"
#include "container/control.h"
#include "core/errno.h"
#include "fs/cowfs/vfs.h"
#include "lib/string.h"

int show_disk_max(void *object, struct text *t)
{
	return control_show_max(object, RES_DISK, t);
}

int store_disk_max(void *object, char *s, size_t n)
{
	return control_store_max(object, RES_DISK, s);
}

int show_disk_current(void *object, struct text *t)
{
	return control_show_used(object, RES_DISK, t);
}

int show_disk_peak(void *object, struct text *t)
{
	return control_show_peak(object, RES_DISK, t);
}

int show_disk_events(void *object, struct text *t)
{
	return control_show_events(object, RES_DISK, t);
}

int show_inodes_max(void *object, struct text *t)
{
	return control_show_max(object, RES_INODES, t);
}

int store_inodes_max(void *object, char *s, size_t n)
{
	return control_store_max(object, RES_INODES, s);
}

int show_inodes_current(void *object, struct text *t)
{
	return control_show_used(object, RES_INODES, t);
}

int show_inodes_peak(void *object, struct text *t)
{
	return control_show_peak(object, RES_INODES, t);
}

int show_inodes_events(void *object, struct text *t)
{
	return control_show_events(object, RES_INODES, t);
}

/* --- its files --- */

int container_open_files(struct container *c, struct superblock **files, struct superblock **base)
{
	int err = mutex_lock_killable(&c->admin);

	if (err)
		return err;
	if (c->doomed || !c->mounts || !c->mounts->root) {
		err = -ESRCH; /* its mounts may be gone */
	} else {
		*files = superblock_get(c->mounts->root->sb);
		*base = c->base ? superblock_get(c->base) : NULL;
	}
	mutex_unlock(&c->admin);
	return err;
}

static void files_put(struct superblock *files, struct superblock *base)
{
	superblock_put(files);
	if (base)
		superblock_put(base);
}

int diff_open(void *object, bool write)
{
	struct container *c = object;

	if (&c->owner == current->owner || !sees(current->owner, &c->owner))
		return -EPERM;
	return container_may_manage(c);
}

/* A newline, a backslash and a control character are written as /proc/mounts writes them. */
static void print_escaped(struct text *t, const char *s)
{
	for (; *s; s++) {
		if ((u8)*s < ' ' || *s == 127 || *s == '\\')
			text_printf(t, "\\%03o", (u8)*s);
		else
			text_append(t, s, 1);
	}
}

static int print_difference(void *arg, char what, u64 ino, const char *path)
{
	struct text *t = arg;

	text_printf(t, "%c %lu", what, ino);
	if (path) {
		text_append(t, " ", 1);
		print_escaped(t, path);
	}
	text_append(t, "\n", 1);
	return t->err ? t->err : signal_pending() ? -EINTR : 0;
}

/*
 * A line for each difference: A, C or D; the inode's number; its path, if it is known without a
 * search. In no order; the work is as large as the difference. -EOPNOTSUPP: it is in a directory.
 */
int diff_show(void *object, struct text *t)
{
	struct superblock *files, *base;
	int err = container_open_files(object, &files, &base);

	if (err)
		return err;
	err = base ? cowfs_diff(base, files, print_difference, t) : -EOPNOTSUPP;
	files_put(files, base);
	return err;
}

int volume_open(void *object, bool write)
{
	return may_host(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

/* The volume that its root is, and the one that is a clone of. Nothing: it is in a directory. */
int volume_show(void *object, struct text *t)
{
	struct superblock *files, *base;
	char name[COWFS_NAME_SIZE];
	int err = container_open_files(object, &files, &base);

	if (err)
		return err;
	err = base ? cowfs_volume_name(files, name) : 0;
	if (!err && base) {
		text_printf(t, "%s", name);
		err = cowfs_volume_name(base, name);
	}
	if (!err && base)
		text_printf(t, " %s\n", name);
	files_put(files, base);
	return err;
}
