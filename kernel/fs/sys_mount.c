/* SPDX-License-Identifier: MIT */
/*
 * sys_mount.c - mount(2) and umount2(2).
 *
 * One call does one of five things, in Linux's order of precedence: remount,
 * bind, change of propagation, move, new mount. Mounts do not propagate, so
 * MS_PRIVATE and MS_SLAVE change nothing; MS_SHARED and MS_UNBINDABLE are
 * refused. The capability is CAP_SYS_ADMIN over the caller's own mount table.
 */
#include "fs/internal.h"
#include "fs/mount.h"
#include "syscalls.h"

#define MS_MGC_VAL     0xc0ed0000u
#define MS_MGC_MASK    0xffff0000u
#define MS_NOUSER      (1u << 31)
#define MS_POSIXACL    (1 << 16)
#define MS_PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)
#define ATIME_FLAGS    (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)

struct mount_args {
	char *type, *source, *data; /* kernel strings; NULL: not given */
	u64 flags;
};

static struct mount_table *mount_table_here(void)
{
	return current->fs->mounts;
}

static bool may_mount(void)
{
	return may(mount_table_here()->owner, CAP_SYS_ADMIN);
}

/* --- remount --- */

static u32 remount_flags(const struct mount *m, u64 flags)
{
	u32 new = flags &MOUNT_FLAGS;

	/* Without a word on access times they stay (man 2 mount). */
	if (!(flags & ATIME_FLAGS))
		new |= m->flags &ATIME_FLAGS;
	else if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
		new |= MS_RELATIME;
	return new;
}

/* Read-only from now on, unless files are open for writing: -EBUSY. */
static int flags_set_read_only(u32 *flags, const s64 *writers, u32 new)
{
	u32 old = *flags;

	if (!(new &MS_RDONLY) || (old & MS_RDONLY))
		return 0;
	__atomic_or_fetch(flags, MS_RDONLY, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(writers, __ATOMIC_SEQ_CST))
		return 0;
	WRITE_ONCE(*flags, old);
	return -EBUSY;
}

static int remount_superblock(struct superblock *sb, const struct mount_args *a)
{
	int err = 0;

	if (!may(sb->owner, CAP_SYS_ADMIN))
		return -EPERM;
	if (a->data && *a->data)
		err = sb->ops->remount ? sb->ops->remount(sb, a->data) : -EINVAL;
	if (!err)
		err = flags_set_read_only(&sb->flags, &sb->writers, a->flags);
	if (!err && !(a->flags & MS_RDONLY))
		WRITE_ONCE(sb->flags, sb->flags & ~MS_RDONLY);
	return err;
}

static int remount_path(const struct path *p, const struct mount_args *a)
{
	struct mount_table *t = mount_table_here();
	u32 new = remount_flags(p->mount, a->flags);
	int err = 0;

	if (p->dentry != p->mount->root)
		return -EINVAL;
	if (p->mount->locked & ~new)
		return -EPERM;
	mutex_lock(&t->lock);
	if (p->mount->table != t)
		err = -EINVAL;
	else if (a->flags & MS_BIND)
		err = flags_set_read_only(&p->mount->flags, &p->mount->writers, new);
	else
		err = remount_superblock(p->mount->sb, a);
	if (!err) {
		WRITE_ONCE(p->mount->flags, new);
		mount_table_changed(t);
	}
	mutex_unlock(&t->lock);
	return err;
}

/* --- bind, move, propagation --- */

static int bind_path(const struct path *where, const struct mount_args *a)
{
	struct path from;
	int err;

	if (!a->source || !*a->source)
		return a->source ? -ENOENT : -EINVAL;
	err = path_lookup(AT_FDCWD, a->source, LOOKUP_FOLLOW, &from);
	if (err)
		return err;
	if (from.mount->table_id != mount_table_here()->id)
		err = -EINVAL;
	else if (a->flags & MS_MOVE)
		err = mount_move(mount_table_here(), &from, where);
	else
		err = mount_bind(mount_table_here(), &from, where, a->flags & MS_REC);
	path_put(from);
	return err;
}

static int propagation_path(const struct path *p, u64 flags)
{
	u64 kind = flags & MS_PROPAGATION;

	if ((kind & (kind - 1)) || (flags & ~(MS_PROPAGATION | MS_REC | MS_SILENT)))
		return -EINVAL;
	if (p->dentry != p->mount->root)
		return -EINVAL;
	return kind & (MS_PRIVATE | MS_SLAVE) ? 0 : -EINVAL;
}

static int mount_dispatch(const struct path *p, struct mount_args *a)
{
	if (!may_mount())
		return -EPERM;
	if (a->flags & MS_REMOUNT)
		return remount_path(p, a);
	if (a->flags & MS_BIND) {
		a->flags &= ~MS_MOVE;
		return bind_path(p, a);
	}
	if (a->flags & MS_PROPAGATION)
		return propagation_path(p, a->flags);
	if (a->flags & MS_MOVE)
		return bind_path(p, a);
	if (!a->type)
		return -EINVAL;
	return mount_at(mount_table_here(), p, a->type, a->source, a->flags, a->data);
}

/* --- the calls --- */

/* An optional string of at most a page. */
static int mount_string(uaddr_t from, char **out)
{
	*out = NULL;
	return from ? name_from_user(from, true, out) : 0;
}

static void mount_args_drop(struct mount_args *a)
{
	if (a->type)
		name_put(a->type);
	if (a->source)
		name_put(a->source);
	if (a->data)
		name_put(a->data);
}

/* A string too long for its page is -EINVAL here (man 2 mount says ENAMETOOLONG of paths only). */
static int mount_args_fetch(struct mount_args *a, uaddr_t source, uaddr_t type, uaddr_t data)
{
	int err = mount_string(type, &a->type);

	err = err ? err : mount_string(source, &a->source);
	err = err ? err : mount_string(data, &a->data);
	if (err)
		mount_args_drop(a);
	return err == -ENAMETOOLONG ? -EINVAL : err;
}

s64 sys_mount(uaddr_t source, uaddr_t where, uaddr_t type, u64 flags, uaddr_t data)
{
	struct mount_args a = { 0 };
	struct path p;
	int err;

	if ((flags & MS_MGC_MASK) == MS_MGC_VAL)
		flags &= ~(u64)MS_MGC_MASK;
	a.flags = flags;
	err = mount_args_fetch(&a, source, type, data);
	if (err)
		return err;
	err = path_lookup_user(AT_FDCWD, where, LOOKUP_FOLLOW, &p);
	if (!err) {
		err = flags & MS_NOUSER ? -EINVAL : mount_dispatch(&p, &a);
		path_put(p);
	}
	mount_args_drop(&a);
	return err;
}

static int umount_path(const struct path *p, int flags)
{
	if (!may_mount())
		return -EPERM;
	if (p->dentry != p->mount->root || p->mount->table_id != mount_table_here()->id)
		return -EINVAL;
	return mount_remove(mount_table_here(), p->mount, flags);
}

s64 sys_umount2(uaddr_t name, int flags)
{
	struct path p;
	int err;

	if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	if ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH)))
		return -EINVAL;
	err = path_lookup_user(AT_FDCWD, name, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	err = umount_path(&p, flags);
	path_put(p);
	return err;
}
