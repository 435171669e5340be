/* SPDX-License-Identifier: MIT */
/*
 * control_usermap.c - the control files uid_map and gid_map: which ids of the
 * container are which of the one around it (core/usermap.h).
 *
 * Each is written once, before the container's first process; whichever is not
 * written is the same as the other. Who writes can manage the container and
 * has CAP_SETUID and CAP_SETGID around it, since what runs inside may become any of
 * these users. With the map the files of its root change hands (fs/usermap.c).
 *
 * c->admin is held for a write, so that nobody is born meanwhile. Who looks
 * a name up in its mounts just then may still use the map before: it is kept
 * (c->usermap_before).
 */
#include "container/control.h"
#include "core/errno.h"
#include "mm/slab.h"

int usermap_open(void *object, bool write)
{
	struct container *c = object;

	if (!write)
		return 0;
	if (&c->owner == current->owner || !sees(current->owner, &c->owner))
		return -EPERM;
	if (!may(&c->parent->owner, CAP_SETUID) || !may(&c->parent->owner, CAP_SETGID))
		return -EPERM;
	return container_may_manage(c);
}

static int usermap_show(struct container *c, bool groups, struct text *t)
{
	struct usermap *m;

	spin_lock(&c->lock);
	m = usermap_get(c->owner.usermap);
	spin_unlock(&c->lock);
	procfs_print_usermap(m, groups, t);
	usermap_put(m);
	return 0;
}

int show_uid_map(void *object, struct text *t)
{
	return usermap_show(object, false, t);
}

int show_gid_map(void *object, struct text *t)
{
	return usermap_show(object, true, t);
}

/* --- writing --- */

static int usermap_writable(struct container *c, bool groups)
{
	int err = 0;

	spin_lock(&c->lock);
	if (c->doomed)
		err = -ESRCH;
	else if (c->started)
		err = -EBUSY;
	else if (groups ? c->gid_map_written : c->uid_map_written)
		err = -EPERM;
	spin_unlock(&c->lock);
	return err;
}

/* Those of `groups` are new; the others stay if they were written, else are the same. */
static int usermap_make(struct container *c, bool groups, struct id_range *r, u32 n,
			struct usermap **out)
{
	struct usermap *around = c->parent->owner.usermap, *have = c->owner.usermap;
	struct usermap_lines l = { r, r, n, n };
	struct id_range *kept = NULL;
	const struct id_ranges *other = NULL;
	int err;

	if (groups && c->uid_map_written)
		other = &have->uid;
	else if (!groups && c->gid_map_written)
		other = &have->gid;
	if (other) {
		kept = kmalloc(other->count * sizeof(*kept), KM_ACCOUNT);
		if (!kept)
			return -ENOMEM;
		for (u32 i = 0; i < other->count; i++) {
			kept[i] = other->by_inside[i];
			kept[i].outside = groups ? uid_from_global(around, kept[i].outside)
						 : gid_from_global(around, kept[i].outside);
		}
		l = groups ? (struct usermap_lines){ kept, r, other->count, n }
			   : (struct usermap_lines){ r, kept, n, other->count };
	}
	err = usermap_create(around, &l, out);
	kfree(kept);
	return err;
}

/* Takes m over. c->admin is held. */
static int usermap_install(struct container *c, struct usermap *m, bool groups)
{
	struct usermap *old = c->owner.usermap;
	int err = usermap_covers(c->parent->owner.usermap, m) ? 0 : -EPERM;

	if (!err)
		err = mount_table_set_usermap(c->mounts, old, m);
	if (err) {
		usermap_put(m);
		return err;
	}
	usermap_put(c->usermap_before);
	spin_lock(&c->lock);
	c->usermap_before = old;
	rcu_assign(c->owner.usermap, m);
	if (groups)
		c->gid_map_written = true;
	else
		c->uid_map_written = true;
	spin_unlock(&c->lock);
	return 0;
}

static int usermap_store(struct container *c, bool groups, char *s)
{
	struct id_range *r = kmalloc(USERMAP_LINE_MAX * sizeof(*r), KM_ACCOUNT);
	struct usermap *m;
	int n, err;

	if (!r)
		return -ENOMEM;
	n = usermap_parse(s, r);
	err = n < 0 ? n : mutex_lock_killable(&c->admin);
	if (err)
		goto free;
	err = usermap_writable(c, groups);
	if (!err)
		err = usermap_make(c, groups, r, n, &m);
	if (!err)
		err = usermap_install(c, m, groups);
	mutex_unlock(&c->admin);
free:
	kfree(r);
	return err;
}

int store_uid_map(void *object, char *s, size_t n)
{
	return usermap_store(object, false, s);
}

int store_gid_map(void *object, char *s, size_t n)
{
	return usermap_store(object, true, s);
}
