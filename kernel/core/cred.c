/* SPDX-License-Identifier: MIT */
/*
 * cred.c - credentials (core/cred.h). A cred does not change once others can
 * see it; whoever wants to change something copies, changes and installs.
 */
#include "core/cred.h"

#include "core/errno.h"
#include "core/task.h"
#include "mm/slab.h"

struct cred cred_root = {
	.refs = { 1 },
	.cap_effective = CAP_ALL,
	.cap_permitted = CAP_ALL,
	.cap_bounding = CAP_ALL,
};

struct cred *cred_get(struct cred *c)
{
	ref_get(&c->refs);
	return c;
}

static void cred_free(struct rcu_head *h)
{
	struct cred *c = container_of(h, struct cred, rcu);

	if (c->groups && ref_put(&c->groups->refs))
		kfree(c->groups);
	kfree(c);
}

void cred_put(struct cred *c)
{
	if (ref_put(&c->refs))
		rcu_call(&c->rcu, cred_free);
}

int cred_copy(const struct cred *from, struct cred **out)
{
	struct cred *c = kmalloc(sizeof(*c), KM_ACCOUNT);

	if (!c)
		return -ENOMEM;
	*c = *from;
	ref_init(&c->refs, 1);
	if (c->groups)
		ref_get(&c->groups->refs);
	*out = c;
	return 0;
}

void cred_install(struct cred *c)
{
	struct cred *old = current->cred;

	rcu_assign(current->cred, c);
	cred_put(old);
}

bool owner_is_root(const struct owner *o, u32 uid)
{
	return uid == usermap_root_uid(o->usermap);
}

/* --- groups --- */

/* Heap sort: no recursion, no memory, and no bad case that a user could send. */
static void gids_sift(u32 *v, u32 at, u32 n)
{
	for (u32 child; (child = 2 * at + 1) < n; at = child) {
		u32 t;
		if (child + 1 < n && v[child + 1] > v[child])
			child++;
		if (v[at] >= v[child])
			return;
		t = v[at];
		v[at] = v[child];
		v[child] = t;
	}
}

void group_list_sort(struct group_list *g)
{
	u32 *v = g->gid, n = g->count;

	for (u32 i = n / 2; i-- > 0;)
		gids_sift(v, i, n);
	for (u32 end = n; end > 1;) {
		u32 t = v[0];
		v[0] = v[--end];
		v[end] = t;
		gids_sift(v, 0, end);
	}
}

bool cred_in_group(const struct cred *c, u32 gid)
{
	u32 low = 0, high = c->groups ? c->groups->count : 0;

	if (gid == c->fsgid)
		return true;
	while (low < high) {
		u32 middle = (low + high) / 2;
		if (c->groups->gid[middle] == gid)
			return true;
		if (c->groups->gid[middle] < gid)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* --- from one container to another --- */

static u32 gid_translate(u32 id, const struct owner *old, const struct owner *new)
{
	id = gid_from_global(old->usermap, id);
	return id == ID_NONE ? ID_NONE : gid_to_global(new->usermap, id);
}

static int groups_translate(struct cred *c, const struct owner *old, const struct owner *new)
{
	struct group_list *from = c->groups, *to;

	if (!from)
		return 0;
	to = kmalloc(sizeof(*to) + from->count * sizeof(u32), KM_ACCOUNT);
	if (!to)
		return -ENOMEM;
	ref_init(&to->refs, 1);
	to->count = 0;
	for (u32 i = 0; i < from->count; i++) {
		u32 id = gid_translate(from->gid[i], old, new);
		if (id != ID_NONE)
			to->gid[to->count++] = id;
	}
	group_list_sort(to);
	c->groups = to;
	if (ref_put(&from->refs))
		kfree(from);
	return 0;
}

static int ids_translate(struct cred *c, const struct owner *old, const struct owner *new)
{
	u32 *const uid[] = { &c->uid, &c->euid, &c->suid, &c->fsuid };
	u32 *const gid[] = { &c->gid, &c->egid, &c->sgid, &c->fsgid };

	for (unsigned i = 0; i < 4; i++) {
		u32 id = uid_from_global(old->usermap, *uid[i]);

		*uid[i] = id == ID_NONE ? ID_NONE : uid_to_global(new->usermap, id);
		*gid[i] = gid_translate(*gid[i], old, new);
		if (*uid[i] == ID_NONE || *gid[i] == ID_NONE)
			return -EINVAL;
	}
	return 0;
}

int cred_translate(struct cred *from, const struct owner *old, const struct owner *new,
		   struct cred **out)
{
	struct cred *c;
	int err;

	if (likely(old->usermap == new->usermap)) {
		*out = cred_get(from);
		return 0;
	}
	err = cred_copy(from, &c);
	if (err)
		return err;
	err = ids_translate(c, old, new);
	if (!err)
		err = groups_translate(c, old, new);
	if (err)
		cred_put(c);
	else
		*out = c;
	return err;
}

bool capable(enum capability c)
{
	return may(current->owner, c);
}
