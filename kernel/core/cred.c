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

bool capable(enum capability c)
{
	return may(current->owner, c);
}
