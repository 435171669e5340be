/* SPDX-License-Identifier: MIT */
/* cap_sys.c - capget(2) and capset(2); the rules are those of man 7 capabilities. */
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "proc/cred_sys.h"
#include "proc/process.h"
#include "syscalls.h"

struct cap_header {
	u32 version;
	s32 pid;
};
struct cap_data {
	u32 effective, permitted, inheritable;
};
#define CAP_VERSION_1 0x19980330
#define CAP_VERSION_2 0x20071026
#define CAP_VERSION_3 0x20080522

/* How many words of each set the version has; an unknown one is answered with ours. */
static int cap_words(uaddr_t uheader, struct cap_header *h)
{
	const u32 ours = CAP_VERSION_3;

	if (get_user(h, uheader))
		return -EFAULT;
	switch (h->version) {
	case CAP_VERSION_1:
		return 1;
	case CAP_VERSION_2:
	case CAP_VERSION_3:
		return 2;
	}
	return put_user(uheader, &ours) ? -EFAULT : -EINVAL;
}

static int caps_of(s32 pid, struct cap_data d[2])
{
	const struct cred *c;
	struct task *t;
	int err = task_find(pid ? (u32)pid : current->tid, &t);

	if (err)
		return err;
	rcu_read_lock();
	c = rcu_dereference(t->cred);
	for (int i = 0; i < 2; i++) {
		d[i].effective = c->cap_effective >> 32 * i;
		d[i].permitted = c->cap_permitted >> 32 * i;
		d[i].inheritable = c->cap_inheritable >> 32 * i;
	}
	rcu_read_unlock();
	task_put(t);
	return 0;
}

s64 sys_capget(uaddr_t uheader, uaddr_t udata)
{
	struct cap_data d[2];
	struct cap_header h;
	int words = cap_words(uheader, &h), err;

	if (!udata)
		return words == -EINVAL || words > 0 ? 0 : words;
	if (words < 0)
		return words;
	if (h.pid < 0)
		return -EINVAL;
	err = caps_of(h.pid, d);
	if (err)
		return err;
	return copy_to_user(udata, d, words * sizeof(d[0]));
}

static bool capset_allowed(const struct cred *old, u64 effective, u64 permitted, u64 inheritable)
{
	if (!capable(CAP_SETPCAP) && inheritable & ~(old->cap_inheritable | old->cap_permitted))
		return false;
	return !(inheritable & ~(old->cap_inheritable | old->cap_bounding)) &&
	       !(permitted & ~old->cap_permitted) && !(effective & ~permitted);
}

s64 sys_capset(uaddr_t uheader, uaddr_t udata)
{
	struct cap_data d[2] = { 0 };
	struct cap_header h;
	struct cred *c;
	u64 effective, permitted, inheritable;
	int words = cap_words(uheader, &h), err;

	if (words < 0)
		return words;
	if (h.pid && (u32)h.pid != current->tid)
		return -EPERM;
	if (copy_from_user(d, udata, words * sizeof(d[0])))
		return -EFAULT;
	effective = (d[0].effective | (u64)d[1].effective << 32) & CAP_ALL;
	permitted = (d[0].permitted | (u64)d[1].permitted << 32) & CAP_ALL;
	inheritable = (d[0].inheritable | (u64)d[1].inheritable << 32) & CAP_ALL;
	if (!capset_allowed(current->cred, effective, permitted, inheritable))
		return -EPERM;
	err = cred_copy(current->cred, &c);
	if (err)
		return err;
	c->cap_effective = effective;
	c->cap_permitted = permitted;
	c->cap_inheritable = inheritable;
	c->cap_ambient &= permitted & inheritable;
	return cred_commit(c);
}
