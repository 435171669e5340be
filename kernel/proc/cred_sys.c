/* SPDX-License-Identifier: MIT */
/*
 * cred_sys.c - the calls that read and change user and group ids (man 7
 * credentials; man 2 setuid, setreuid, setresuid, setfsuid, setgroups).
 *
 * Credentials are replaced as a whole: copy, change the copy, cred_commit().
 * Each thread has its own, as on Linux; it is libc that changes all of them.
 * Ids are translated where they come in and go out; one that does not exist in
 * the container is -EINVAL.
 */
#include "proc/cred_sys.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/rlimit.h"
#include "mm/slab.h"
#include "proc/cred_bits.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "proc/user.h"
#include "syscalls.h"

#define NO_ID ((u32)-1)

/* --- installing --- */

static bool cred_gains(const struct cred *c, const struct cred *old)
{
	return c->euid != old->euid || c->egid != old->egid || c->fsuid != old->fsuid ||
	       c->fsgid != old->fsgid || c->cap_permitted & ~old->cap_permitted;
}

/* current counts for its new real user from now on. Beyond the limit only a later exec fails. */
static int cred_recount(const struct cred *c)
{
	u64 limit = rlimit_cur(RLIMIT_NPROC);
	int err;

	if (c->uid == current->counted_uid)
		return 0;
	err = user_charge(current->owner, c->uid, RLIM_INFINITY);
	if (err)
		return -EAGAIN;
	user_uncharge(current->owner, current->counted_uid);
	current->counted_uid = c->uid;
	current->nproc_exceeded = user_exceeds(current->owner, c->uid, limit);
	return 0;
}

s64 cred_commit(struct cred *c)
{
	int err = cred_recount(c);

	if (err) {
		cred_put(c);
		return err;
	}
	if (cred_gains(c, current->cred)) {
		current->process->dumpable = false;
		((struct task_signals *)current->signals)->pdeath_signal = 0;
	}
	cred_install(c);
	return 0;
}

/* --- what a change of user ids does to capabilities (man 7 capabilities) --- */

static u32 root_uid(void)
{
	return usermap_root_uid(current->owner->usermap);
}

static void caps_after_setuid(struct cred *c, const struct cred *old)
{
	u32 root = root_uid();
	bool was_root = old->uid == root || old->euid == root || old->suid == root;
	bool is_root = c->uid == root || c->euid == root || c->suid == root;

	if (c->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (was_root && !is_root) {
		if (!(c->securebits & SECBIT_KEEP_CAPS))
			c->cap_permitted = c->cap_effective = 0;
		c->cap_ambient = 0;
	}
	if (old->euid == root && c->euid != root)
		c->cap_effective = 0;
	if (old->euid != root && c->euid == root)
		c->cap_effective = c->cap_permitted;
}

#define CAPS_OF_FILES                                                                         \
	(BIT(CAP_CHOWN) | BIT(CAP_MKNOD) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | \
	 BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_MAC_OVERRIDE))

static void caps_after_setfsuid(struct cred *c, const struct cred *old)
{
	u32 root = root_uid();

	if (c->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (old->fsuid == root && c->fsuid != root)
		c->cap_effective &= ~CAPS_OF_FILES;
	if (old->fsuid != root && c->fsuid == root)
		c->cap_effective |= c->cap_permitted & CAPS_OF_FILES;
}

/* --- what comes in --- */

/* `given` is uid_given or gid_given. NO_ID stays what it is. */
static int ids_given(u32 (*given)(u32), u32 *id[], unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (*id[i] == NO_ID)
			continue;
		*id[i] = given(*id[i]);
		if (*id[i] == NO_ID)
			return -EINVAL;
	}
	return 0;
}

/* --- user ids --- */

static bool uid_is_one_of(u32 id, const struct cred *c)
{
	return id == c->uid || id == c->euid || id == c->suid;
}

static bool gid_is_one_of(u32 id, const struct cred *c)
{
	return id == c->gid || id == c->egid || id == c->sgid;
}

/* NO_ID: stays. Rights were checked. */
static s64 uids_set(u32 uid, u32 euid, u32 suid)
{
	const struct cred *old = current->cred;
	struct cred *c;
	int err = cred_copy(old, &c);

	if (err)
		return err;
	if (uid != NO_ID)
		c->uid = uid;
	if (euid != NO_ID)
		c->euid = euid;
	if (suid != NO_ID)
		c->suid = suid;
	c->fsuid = c->euid;
	caps_after_setuid(c, old);
	return cred_commit(c);
}

s64 sys_setuid(u32 uid)
{
	const struct cred *old = current->cred;

	uid = uid_given(uid);
	if (uid == NO_ID)
		return -EINVAL;
	if (capable(CAP_SETUID))
		return uids_set(uid, uid, uid);
	if (uid != old->uid && uid != old->suid)
		return -EPERM;
	return uids_set(NO_ID, uid, NO_ID);
}

s64 sys_setreuid(u32 ruid, u32 euid)
{
	const struct cred *old = current->cred;
	bool privileged = capable(CAP_SETUID);
	u32 effective;

	if (ids_given(uid_given, (u32 *[]){ &ruid, &euid }, 2))
		return -EINVAL;
	effective = euid == NO_ID ? old->euid : euid;
	if (ruid != NO_ID && ruid != old->uid && ruid != old->euid && !privileged)
		return -EPERM;
	if (euid != NO_ID && !uid_is_one_of(euid, old) && !privileged)
		return -EPERM;
	if (ruid != NO_ID || (euid != NO_ID && euid != old->uid))
		return uids_set(ruid, euid, effective);
	return uids_set(ruid, euid, NO_ID);
}

s64 sys_setresuid(u32 ruid, u32 euid, u32 suid)
{
	const struct cred *old = current->cred;

	if (ids_given(uid_given, (u32 *[]){ &ruid, &euid, &suid }, 3))
		return -EINVAL;
	if (!capable(CAP_SETUID) && ((ruid != NO_ID && !uid_is_one_of(ruid, old)) ||
				     (euid != NO_ID && !uid_is_one_of(euid, old)) ||
				     (suid != NO_ID && !uid_is_one_of(suid, old))))
		return -EPERM;
	return uids_set(ruid, euid, suid);
}

s64 sys_setfsuid(u32 uid)
{
	const struct cred *old = current->cred;
	u32 before = uid_shown(old->fsuid);
	struct cred *c;

	uid = uid_given(uid);
	if (uid == NO_ID || uid == old->fsuid ||
	    !(uid_is_one_of(uid, old) || capable(CAP_SETUID)) || cred_copy(old, &c))
		return before;
	c->fsuid = uid;
	caps_after_setfsuid(c, old);
	cred_commit(c);
	return before;
}

/* --- group ids --- */

static s64 gids_set(u32 gid, u32 egid, u32 sgid)
{
	struct cred *c;
	int err = cred_copy(current->cred, &c);

	if (err)
		return err;
	if (gid != NO_ID)
		c->gid = gid;
	if (egid != NO_ID)
		c->egid = egid;
	if (sgid != NO_ID)
		c->sgid = sgid;
	c->fsgid = c->egid;
	return cred_commit(c);
}

s64 sys_setgid(u32 gid)
{
	const struct cred *old = current->cred;

	gid = gid_given(gid);
	if (gid == NO_ID)
		return -EINVAL;
	if (capable(CAP_SETGID))
		return gids_set(gid, gid, gid);
	if (gid != old->gid && gid != old->sgid)
		return -EPERM;
	return gids_set(NO_ID, gid, NO_ID);
}

s64 sys_setregid(u32 rgid, u32 egid)
{
	const struct cred *old = current->cred;
	bool privileged = capable(CAP_SETGID);
	u32 effective;

	if (ids_given(gid_given, (u32 *[]){ &rgid, &egid }, 2))
		return -EINVAL;
	effective = egid == NO_ID ? old->egid : egid;
	if (rgid != NO_ID && rgid != old->gid && rgid != old->egid && !privileged)
		return -EPERM;
	if (egid != NO_ID && !gid_is_one_of(egid, old) && !privileged)
		return -EPERM;
	if (rgid != NO_ID || (egid != NO_ID && egid != old->gid))
		return gids_set(rgid, egid, effective);
	return gids_set(rgid, egid, NO_ID);
}

s64 sys_setresgid(u32 rgid, u32 egid, u32 sgid)
{
	const struct cred *old = current->cred;

	if (ids_given(gid_given, (u32 *[]){ &rgid, &egid, &sgid }, 3))
		return -EINVAL;
	if (!capable(CAP_SETGID) && ((rgid != NO_ID && !gid_is_one_of(rgid, old)) ||
				     (egid != NO_ID && !gid_is_one_of(egid, old)) ||
				     (sgid != NO_ID && !gid_is_one_of(sgid, old))))
		return -EPERM;
	return gids_set(rgid, egid, sgid);
}

s64 sys_setfsgid(u32 gid)
{
	const struct cred *old = current->cred;
	u32 before = gid_shown(old->fsgid);
	struct cred *c;

	gid = gid_given(gid);
	if (gid == NO_ID || gid == old->fsgid ||
	    !(gid_is_one_of(gid, old) || capable(CAP_SETGID)) || cred_copy(old, &c))
		return before;
	c->fsgid = gid;
	cred_commit(c);
	return before;
}

/* --- reading --- */

s64 sys_getuid(void)
{
	return uid_shown(current->cred->uid);
}

s64 sys_geteuid(void)
{
	return uid_shown(current->cred->euid);
}

s64 sys_getgid(void)
{
	return gid_shown(current->cred->gid);
}

s64 sys_getegid(void)
{
	return gid_shown(current->cred->egid);
}

static s64 three_to_user(uaddr_t a, u32 x, uaddr_t b, u32 y, uaddr_t c, u32 z)
{
	return put_user(a, &x) || put_user(b, &y) || put_user(c, &z) ? -EFAULT : 0;
}

s64 sys_getresuid(uaddr_t r, uaddr_t e, uaddr_t s)
{
	const struct cred *c = current->cred;

	return three_to_user(r, uid_shown(c->uid), e, uid_shown(c->euid), s, uid_shown(c->suid));
}

s64 sys_getresgid(uaddr_t r, uaddr_t e, uaddr_t s)
{
	const struct cred *c = current->cred;

	return three_to_user(r, gid_shown(c->gid), e, gid_shown(c->egid), s, gid_shown(c->sgid));
}

/* --- supplementary groups --- */

s64 sys_getgroups(int size, uaddr_t list)
{
	const struct group_list *g = current->cred->groups;
	u32 n = g ? g->count : 0;

	if (size < 0)
		return -EINVAL;
	if (!size)
		return n;
	if (n > (u32)size)
		return -EINVAL;
	for (u32 i = 0; i < n; i++) {
		u32 id = gid_shown(g->gid[i]);
		if (put_user(list + i * sizeof(id), &id))
			return -EFAULT;
	}
	return n;
}

static int groups_from_user(struct group_list **out, u32 n, uaddr_t list)
{
	struct group_list *g = NULL;

	*out = NULL;
	if (!n)
		return 0;
	g = kmalloc(sizeof(*g) + n * sizeof(u32), KM_ACCOUNT);
	if (!g)
		return -ENOMEM;
	if (copy_from_user(g->gid, list, n * sizeof(u32))) {
		kfree(g);
		return -EFAULT;
	}
	for (u32 i = 0; i < n; i++) {
		g->gid[i] = gid_given(g->gid[i]);
		if (g->gid[i] == NO_ID) {
			kfree(g);
			return -EINVAL;
		}
	}
	g->count = n;
	group_list_sort(g);
	ref_init(&g->refs, 1);
	*out = g;
	return 0;
}

s64 sys_setgroups(int size, uaddr_t list)
{
	struct group_list *g;
	struct cred *c;
	int err;

	if (!capable(CAP_SETGID))
		return -EPERM;
	if ((u32)size > CRED_GROUPS_MAX)
		return -EINVAL;
	err = groups_from_user(&g, size, list);
	if (err)
		return err;
	err = cred_copy(current->cred, &c);
	if (err) {
		kfree(g);
		return err;
	}
	if (c->groups && ref_put(&c->groups->refs))
		kfree(c->groups);
	c->groups = g;
	return cred_commit(c);
}
