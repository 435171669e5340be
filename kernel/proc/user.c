/* SPDX-License-Identifier: MIT */
/*
 * user.c - how many tasks each real user id has, per container, for
 * RLIMIT_NPROC (man 2 getrlimit). Root is not limited and not counted. An
 * entry exists while its count is not zero.
 *
 * Lock: one for all buckets, held for a few instructions.
 */
#include "proc/user.h"
#include "core/cred.h"
#include "core/errno.h"
#include "lib/hash.h"
#include "mm/slab.h"

#define USER_BITS 6

struct user {
	struct hlist_node node;
	struct owner *owner;
	u32 uid;
	u64 tasks;
};

static spinlock_t user_lock = SPINLOCK_INIT(RANK_PID);
static struct hlist users[1 << USER_BITS];

static struct hlist *user_bucket(struct owner *o, u32 uid)
{
	return &users[hash_u64((u64)o + uid, USER_BITS)];
}

static struct user *user_find(struct owner *o, u32 uid)
{
	struct user *u;

	hlist_for_each (u, user_bucket(o, uid), node)
		if (u->owner == o && u->uid == uid)
			return u;
	return NULL;
}

int user_charge(struct owner *o, u32 uid, u64 limit)
{
	struct user *u;
	int err = 0;

	if (owner_is_root(o, uid))
		return 0;
	spin_lock(&user_lock);
	u = user_find(o, uid);
	if (!u) {
		u = kmalloc(sizeof(*u), KM_ZERO);
		if (u) {
			u->owner = o;
			u->uid = uid;
			hlist_push(user_bucket(o, uid), &u->node);
		}
	}
	if (!u)
		err = -ENOMEM;
	else if (u->tasks && u->tasks >= limit)
		err = -EAGAIN;
	else
		u->tasks++;
	spin_unlock(&user_lock);
	return err;
}

void user_uncharge(struct owner *o, u32 uid)
{
	struct user *u;

	if (owner_is_root(o, uid))
		return;
	spin_lock(&user_lock);
	u = user_find(o, uid);
	BUG_IF(!u, "uid %u", uid);
	if (--u->tasks == 0) {
		hlist_remove(&u->node);
		kfree(u);
	}
	spin_unlock(&user_lock);
}

bool user_exceeds(struct owner *o, u32 uid, u64 limit)
{
	struct user *u;
	bool exceeds;

	if (owner_is_root(o, uid))
		return false;
	spin_lock(&user_lock);
	u = user_find(o, uid);
	exceeds = u && u->tasks > limit;
	spin_unlock(&user_lock);
	return exceeds;
}
