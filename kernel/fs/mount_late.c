/* SPDX-License-Identifier: MIT */
/*
 * mount_late.c - mounts that are made when somebody first gets there.
 *
 * Every container has a /proc, a /dev and a /sys of its own, and many never look at
 * one of them. So setting up a container only notes where they stand
 * (mount_late()), and they are made
 *
 *	by the walk that comes to such a place	mount_late_make(), from walk.c
 *	before all mounts are listed or copied	mount_late_make_all()
 *
 * so that nobody can see a difference, but for the memory, which is charged to
 * whoever comes first. ENOMEM is then an error of that walk; the next one tries again.
 *
 * Invariants: a place is a directory of the table's root mount, counted, and counts
 * in dentry->mounted as a mount there would: walks stop at it, and it cannot be
 * removed or renamed. A place goes only after its mount is there, both under
 * table->lock: who does not find a mount, and then, under the lock, no place,
 * looks for a mount once more.
 */
#include "core/rcu.h"
#include "fs/internal.h"
#include "fs/mount.h"

/* Notes it: false if it cannot be made later, and has to be made now. Nobody stands in t yet. */
static bool late_note(struct mount_table *t, const struct path *where,
		      const struct mount_late *what)
{
	struct inode *i = where->dentry->inode;
	bool ok = false;

	if (where->mount != t->root || where->dentry == t->root->root || !S_ISDIR(i->mode))
		return false;
	mutex_lock(&t->lock);
	mutex_lock(&i->lock); /* against rmdir */
	for (unsigned k = 0; k < MOUNT_LATE_MAX && !ok && i->nlink; k++) {
		if (t->late[k].where)
			continue;
		t->late[k].where = dentry_get(where->dentry);
		t->late[k].what = what;
		mountpoint_count(where->dentry, 1);
		t->any_late = ok = true;
	}
	mutex_unlock(&i->lock);
	mutex_unlock(&t->lock);
	return ok;
}

/* The mount itself, in no table yet; its root is its container's. */
static int late_create(struct mount_table *t, const struct mount_late *what, struct mount **out)
{
	const struct fs_type *type = fs_type_find(what->type);
	struct superblock *sb;
	int err = type->mount(type, what->type, what->flags, what->options, &sb);

	if (err)
		return err;
	superblock_set_owner(sb, t->owner);
	sb->root->inode->uid = t->late_uid;
	sb->root->inode->gid = t->late_gid;
	err = mount_create(sb, sb->root, mount_flags_new(what->flags), what->type, out);
	superblock_put(sb);
	if (!err)
		(*out)->locked = (*out)->flags & MOUNT_LOCKABLE; /* set from outside */
	return err;
}

/* What stands in m, if m has a directory for it: to be put on *where, counted. */
static int late_create_inner(struct mount_table *t, struct mount *m, const struct mount_late *what,
			     struct mount **out, struct dentry **where)
{
	int err = dentry_lookup(m->root, what->name, strlen(what->name), where);

	*out = NULL;
	if (err)
		return err;
	if ((*where)->inode && S_ISDIR((*where)->inode->mode))
		err = late_create(t, what, out);
	if (err)
		dentry_put(*where);
	return err;
}

/* Where it cannot be later: what has been made stays if the rest fails, as t then goes. */
static int late_make_now(struct mount_table *t, const struct path *where,
			 const struct mount_late *what)
{
	struct dentry *inside = NULL;
	struct mount *m, *second = NULL;
	int err = late_create(t, what, &m);

	if (err)
		return err;
	err = mount_place(t, m, where);
	if (!err && what->inner)
		err = late_create_inner(t, m, what->inner, &second, &inside);
	if (err)
		return err;
	if (second)
		err = mount_place(t, second, &(struct path){ m, inside });
	if (inside)
		dentry_put(inside);
	return err;
}

int mount_late(struct mount_table *t, const struct path *where, const struct mount_late *what)
{
	t->late_uid = usermap_root_uid(current->owner->usermap);
	t->late_gid = usermap_root_gid(current->owner->usermap);
	return late_note(t, where, what) ? 0 : late_make_now(t, where, what);
}

/* A place becomes a mount. M. */
static int late_make(struct mount_table *t, struct late_place *p)
{
	const struct mount_late *inner = p->what->inner;
	struct dentry *where = p->where, *inside = NULL;
	struct mount *m, *second = NULL;
	int err = late_create(t, p->what, &m);

	if (err)
		return err;
	if (inner)
		err = late_create_inner(t, m, inner, &second, &inside);
	if (err) {
		mount_put(m);
		return err;
	}
	mount_attach(t, m, t->root, where);
	if (second)
		mount_attach(t, second, m, inside);
	if (inside)
		dentry_put(inside);
	p->where = NULL;
	mountpoint_count(where, -1);
	dentry_put(where);
	return 0;
}

int mount_late_make(struct mount_table *t, struct dentry *d)
{
	struct mount *m;
	int err = 0;

	mutex_lock(&t->lock);
	for (unsigned k = 0; k < MOUNT_LATE_MAX && !err; k++)
		if (t->late[k].where == d)
			err = late_make(t, &t->late[k]);
	rcu_read_lock();
	m = mount_lookup(t->root, d);
	rcu_read_unlock();
	mutex_unlock(&t->lock);
	return err ? err : m != NULL;
}

int mount_late_make_all(struct mount_table *t)
{
	int err = 0;

	mutex_lock(&t->lock);
	for (unsigned k = 0; k < MOUNT_LATE_MAX && !err; k++)
		if (t->late[k].where)
			err = late_make(t, &t->late[k]);
	mutex_unlock(&t->lock);
	return err;
}

void mount_late_forget(struct mount_table *t)
{
	for (unsigned k = 0; k < MOUNT_LATE_MAX; k++) {
		struct dentry *d = t->late[k].where;

		if (!d)
			continue;
		t->late[k].where = NULL;
		mountpoint_count(d, -1);
		dentry_put(d);
	}
}
