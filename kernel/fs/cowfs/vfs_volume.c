/* SPDX-License-Identifier: MIT */
/*
 * vfs_volume.c - volumes of a mounted cowfs: for the container layer (vfs.h), and
 * for programs of the host's administrator (abi/cowfs.h).
 */
#include "abi/cowfs.h"
#include "core/rcu.h"
#include "fs/cowfs/vfs_internal.h"

/* --- for the kernel --- */

/* The superblock of v, whose reference is used up. */
static int super_open(struct cowfs_disk *d, struct cow_volume *v, struct superblock **out)
{
	int err;

	mutex_lock(&cowfs_disks_lock);
	err = cowfs_super_get(d, v, 0, out);
	mutex_unlock(&cowfs_disks_lock);
	return err;
}

int cowfs_clone(struct superblock *sb, const char *name, bool frozen, struct superblock **out)
{
	struct cowfs_super *s = cowfs_super_of(sb);
	u32 flags = COW_VOLUME_TEMPORARY | (frozen ? COW_VOLUME_FROZEN : 0);
	struct cow_volume *v;
	int err = cow_volume_clone(s->volume, name, strlen(name), flags, &v);

	if (err)
		return err;
	err = super_open(s->disk, v, out);
	if (err)
		(void)cow_volume_delete(s->disk->fs, name, strlen(name));
	else
		cowfs_super_of(*out)->delete_after = true;
	return err;
}

int cowfs_open(struct superblock *sb, const char *name, struct superblock **out)
{
	struct cowfs_super *s = cowfs_super_of(sb);
	struct cow_volume *v;
	int err;

	for (;;) {
		err = cow_volume_find(s->disk->fs, name, strlen(name), &v);
		if (!err)
			err = super_open(s->disk, v, out);
		if (err != -EAGAIN)
			return err;
		rcu_synchronize(); /* its last superblock is on its way out */
	}
}

int cowfs_open_alone(struct superblock *sb, const char *name, struct superblock **out)
{
	int err = cowfs_open(sb, name, out);

	if (err)
		return err;
	if (cowfs_is_frozen(*out))
		err = -EINVAL;
	else if (ref_read(&(*out)->refs) != 1)
		err = -EBUSY;
	if (err)
		superblock_put(*out);
	return err;
}

/* Is v what the volume that was made then, as a clone of v's number, is a clone of? Numbers of
 * those that were deleted are given again. */
static bool volume_is_base(struct cow_volume *v, const struct cow_volume_info *clone,
			   struct cow_volume_info *info)
{
	return !cow_volume_info(v, info) && info->flags & COW_VOLUME_FROZEN &&
	       (info->created.sec < clone->created.sec ||
		(info->created.sec == clone->created.sec &&
		 info->created.nsec <= clone->created.nsec));
}

int cowfs_open_base(struct superblock *sb, struct superblock **out)
{
	struct cowfs_super *s = cowfs_super_of(sb);
	struct cow_volume_info *info = kmalloc(2 * sizeof(*info), KM_ACCOUNT);
	struct cow_volume *v;
	int err = info ? cow_volume_info(s->volume, &info[0]) : -ENOMEM;

	*out = NULL;
	if (!err && info[0].parent) {
		err = cow_volume_get_id(s->disk->fs, info[0].parent, &v);
		if (!err && volume_is_base(v, &info[0], &info[1]))
			err = super_open(s->disk, v, out);
		else if (!err)
			cow_volume_put(v);
	}
	kfree(info);
	return err == -ENOENT || err == -ESTALE ? 0 : err;
}

bool cowfs_is_frozen(struct superblock *sb)
{
	return cow_volume_is_frozen(cowfs_super_of(sb)->volume);
}

int cowfs_volume_name(struct superblock *sb, char *name)
{
	struct cow_volume_info *i = kmalloc(sizeof(*i), KM_ACCOUNT);
	int err = i ? cow_volume_info(cowfs_super_of(sb)->volume, i) : -ENOMEM;

	if (!err && !i->name[0])
		err = -ENOENT;
	if (!err)
		strlcpy(name, i->name, COWFS_NAME_SIZE);
	kfree(i);
	return err;
}

struct diff_reader {
	int (*emit)(void *arg, char what, u64 ino, const char *path);
	void *arg;
};

static int diff_one(void *arg, enum cow_difference what, u64 ino, const char *path)
{
	static const char letter[] = {
		[COW_ADDED] = 'A', [COW_CHANGED] = 'C', [COW_REMOVED] = 'D'
	};
	const struct diff_reader *r = arg;

	return r->emit(r->arg, letter[what], ino, path);
}

int cowfs_diff(struct superblock *base, struct superblock *sb,
	       int (*emit)(void *arg, char what, u64 ino, const char *path), void *arg)
{
	struct diff_reader r = { emit, arg };

	return cow_volume_diff_paths(cowfs_super_of(base)->volume, cowfs_super_of(sb)->volume,
				     diff_one, &r);
}

/* --- for programs --- */

static void volume_tell(const struct cow_volume_info *i, struct cowfs_volume *v)
{
	strlcpy(v->name, i->name, sizeof(v->name));
	v->to[0] = 0;
	v->id = i->id;
	v->parent = i->parent;
	v->flags = (i->flags & COW_VOLUME_FROZEN ? COWFS_FROZEN : 0) |
		   (i->flags & COW_VOLUME_TEMPORARY ? COWFS_TEMPORARY : 0);
	v->used_bytes = i->used_blocks * COW_BLOCK;
	v->quota_bytes = i->quota_blocks * COW_BLOCK;
	v->inodes = i->inodes;
	v->base_inodes = i->base_inodes;
	v->quota_inodes = i->quota_inodes;
	v->created = i->created.sec;
}

/* Those of a new volume. -EINVAL: others than `allowed` are set. */
static int volume_flags(const struct cowfs_volume *a, u64 allowed, u32 *flags)
{
	*flags = (a->flags & COWFS_FROZEN ? COW_VOLUME_FROZEN : 0) |
		 (a->flags & COWFS_TEMPORARY ? COW_VOLUME_TEMPORARY : 0);
	return a->flags & ~allowed ? -EINVAL : 0;
}

static int volume_new(struct cowfs_super *s, u32 cmd, const struct cowfs_volume *a)
{
	size_t len = strlen(a->name);
	struct cow_volume *v;
	bool empty = cmd == COWFS_CREATE;
	u32 flags;
	int err = volume_flags(a, COWFS_TEMPORARY | (empty ? 0 : COWFS_FROZEN), &flags);

	if (err)
		return err;
	err = empty ? cow_volume_create(s->disk->fs, a->name, len, flags, &v)
		    : cow_volume_clone(s->volume, a->name, len, flags, &v);
	if (!err)
		cow_volume_put(v);
	return err;
}

static int volume_copy(struct cowfs_super *s, const struct cowfs_volume *a)
{
	struct cow_volume *v, *new;
	u32 flags;
	int err = volume_flags(a, COWFS_TEMPORARY | COWFS_FROZEN, &flags);

	if (!err)
		err = cow_volume_find(s->disk->fs, a->name, strlen(a->name), &v);
	if (err)
		return err;
	err = cow_volume_clone(v, a->to, strlen(a->to), flags, &new);
	if (!err)
		cow_volume_put(new);
	cow_volume_put(v);
	return err;
}

/* What is done to one that has a name. */
static int volume_change(struct cowfs_super *s, u32 cmd, const struct cowfs_volume *a)
{
	struct cow_volume *v;
	int err = cow_volume_find(s->disk->fs, a->name, strlen(a->name), &v);

	if (err)
		return err;
	if (cmd == COWFS_FREEZE)
		err = cow_volume_freeze(v);
	else
		err = cow_volume_set_quota(v, DIV_ROUND_UP(a->quota_bytes, (u64)COW_BLOCK),
					   a->quota_inodes);
	cow_volume_put(v);
	return err;
}

static int volume_call(struct cowfs_super *s, u32 cmd, struct cowfs_volume *a,
		       struct cow_volume_info *info)
{
	struct cow_fs *fs = s->disk->fs;
	int err;

	switch (cmd) {
	case COWFS_THIS:
		err = cow_volume_info(s->volume, info);
		if (!err)
			volume_tell(info, a);
		return err;
	case COWFS_NEXT:
		err = cow_volume_next(fs, &a->position, info);
		if (!err)
			volume_tell(info, a);
		return err;
	case COWFS_CREATE:
	case COWFS_CLONE:
		return volume_new(s, cmd, a);
	case COWFS_DELETE:
		return cow_volume_delete(fs, a->name, strlen(a->name));
	case COWFS_RENAME:
		return cow_volume_rename(fs, a->name, strlen(a->name), a->to, strlen(a->to));
	case COWFS_KEEP:
		return cow_volume_keep(fs, a->name, strlen(a->name), a->to, strlen(a->to));
	case COWFS_COPY:
		return volume_copy(s, a);
	case COWFS_FREEZE:
	case COWFS_QUOTA:
		return volume_change(s, cmd, a);
	}
	return -ENOTTY;
}

static s64 stats_call(struct cowfs_super *s, u64 arg)
{
	struct cowfs_stats out;
	struct cow_space c;

	cow_space(s->disk->fs, &c);
	out = (struct cowfs_stats){
		.blocks = c.blocks,
		.free = c.free,
		.available = c.available,
		.dirty = c.dirty,
		.cached = c.cached,
		.pending = c.pending,
		.commits = c.commits,
		.flushes = c.flushes,
		.log_records = c.log_records,
		.reads = c.reads,
		.writes = c.writes,
		.dead = c.dead,
	};
	return put_user(arg, &out);
}

s64 cowfs_volume_ioctl(struct superblock *sb, u32 cmd, u64 arg)
{
	struct cowfs_super *s = cowfs_super_of(sb);
	struct cow_volume_info *info;
	struct cowfs_volume *a;
	int err;

	if (cmd != COWFS_STATS && (cmd < COWFS_THIS || cmd > COWFS_KEEP))
		return -ENOTTY;
	if (!may_host(CAP_SYS_ADMIN))
		return -EPERM;
	if (cmd == COWFS_STATS)
		return stats_call(s, arg);
	a = kmalloc(sizeof(*a), KM_ACCOUNT);
	info = kmalloc(sizeof(*info), KM_ACCOUNT);
	err = a && info ? copy_from_user(a, arg, sizeof(*a)) : -ENOMEM;
	if (!err && (strnlen(a->name, sizeof(a->name)) == sizeof(a->name) ||
		     strnlen(a->to, sizeof(a->to)) == sizeof(a->to)))
		err = -ENAMETOOLONG;
	if (!err)
		err = volume_call(s, cmd, a, info);
	if (!err && (cmd == COWFS_THIS || cmd == COWFS_NEXT))
		err = copy_to_user(arg, a, sizeof(*a));
	kfree(info);
	kfree(a);
	return err;
}
