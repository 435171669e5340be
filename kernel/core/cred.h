/* SPDX-License-Identifier: MIT */
/*
 * cred.h - the credentials of a task: an immutable, counted object, replaced as
 * a whole (man 7 credentials). current reads current->cred without a lock;
 * others read it under RCU. All ids are global (core/usermap.h).
 */
#ifndef CORE_CRED_H
#define CORE_CRED_H

#include "core/usermap.h"
#include "core/owner.h"
#include "core/rcu.h"

#define CRED_GROUPS_MAX 65536

struct group_list {
	ref_t refs;
	u32 count;
	u32 gid[]; /* sorted */
};

struct cred {
	ref_t refs;
	u32 uid, euid, suid, fsuid;
	u32 gid, egid, sgid, fsgid;
	u64 cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
	u32 securebits;
	struct group_list *groups; /* NULL: none */
	struct rcu_head rcu;
};

extern struct cred cred_root; /* of the first process: all zero ids, all capabilities */

struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
int cred_copy(const struct cred *from, struct cred **out); /* a private copy to change: -ENOMEM */
/* Installs c (the reference passes) as current's, and drops the old one. */
void cred_install(struct cred *c);
/*
 * What `from`, of somebody in the container of `old`, is in the container of `new`: each id is the
 * same number there; groups that do not exist there are left out. Counted; it may be `from` itself.
 * -EINVAL: an id does not exist there. -ENOMEM.
 */
int cred_translate(struct cred *from, const struct owner *old, const struct owner *new,
		   struct cred **out);
/* Is this user root in the container? */
bool owner_is_root(const struct owner *o, u32 uid);
void group_list_sort(struct group_list *g);
bool cred_in_group(const struct cred *c, u32 gid); /* fsgid or a supplementary group */
bool capable(enum capability c); /* in current's own container: may(current->owner, c) */

#endif
