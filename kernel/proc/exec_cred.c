/* SPDX-License-Identifier: MIT */
/*
 * exec_cred.c - what execve does to credentials (man 7 capabilities,
 * "Transformation of capabilities during execve()"; man 2 execve). Files have no
 * capabilities of their own here, only set-id bits; root's programs get all
 * capabilities of the bounding set unless SECBIT_NOROOT says otherwise.
 */
#include "core/errno.h"
#include "fs/context.h"
#include "proc/cred_bits.h"
#include "proc/exec.h"

/* Are set-id bits honoured at all? (nosuid, no_new_privs, a root shared with another process) */
static bool set_id_honoured(const struct exec *x)
{
	struct process *p = current->process;

	if (x->file->path.mount->flags & MS_NOSUID || (p && p->no_new_privs))
		return false;
	return !p || ref_read(&current->fs->refs) <= (s32)p->thread_count;
}

static void apply_set_id(const struct exec *x, struct cred *c)
{
	const struct inode *i = x->file->inode;
	const struct usermap *map = x->file->path.mount->usermap;
	u32 mode = READ_ONCE(i->mode);

	/* Of users and groups that do not exist here, the bits mean nothing. */
	if (!(mode & (S_ISUID | S_ISGID)) || !set_id_honoured(x) || !inode_ids_exist(map, i))
		return;
	if (mode & S_ISUID)
		c->euid = uid_to_global(map, i->uid);
	if ((mode & (S_ISGID | 0010)) == (S_ISGID | 0010))
		c->egid = gid_to_global(map, i->gid);
}

static void apply_capabilities(struct cred *c, bool set_id)
{
	bool root = !(c->securebits & SECBIT_NOROOT);
	u32 root_uid = usermap_root_uid(current->owner->usermap);
	u64 file = 0;
	bool file_effective = false;

	if (set_id)
		c->cap_ambient = 0;
	if (root && (c->uid == root_uid || c->euid == root_uid)) {
		file = c->cap_bounding | c->cap_inheritable;
		file_effective = c->euid == root_uid;
	}
	c->cap_permitted = (c->cap_inheritable & file) | (file & c->cap_bounding) | c->cap_ambient;
	c->cap_effective = file_effective ? c->cap_permitted : c->cap_ambient;
}

static bool cred_same(const struct cred *a, const struct cred *b)
{
	return a->euid == b->euid && a->egid == b->egid && a->suid == b->suid &&
	       a->sgid == b->sgid && a->fsuid == b->fsuid && a->fsgid == b->fsgid &&
	       a->cap_permitted == b->cap_permitted && a->cap_effective == b->cap_effective &&
	       a->cap_ambient == b->cap_ambient && a->securebits == b->securebits;
}

static int cred_take(struct exec *x, const struct cred *next)
{
	struct cred *c;
	int err = cred_copy(current->cred, &c);

	if (err)
		return err;
	c->euid = next->euid;
	c->egid = next->egid;
	c->suid = next->suid;
	c->sgid = next->sgid;
	c->fsuid = next->fsuid;
	c->fsgid = next->fsgid;
	c->cap_permitted = next->cap_permitted;
	c->cap_effective = next->cap_effective;
	c->cap_ambient = next->cap_ambient;
	c->securebits = next->securebits;
	x->cred = c;
	return 0;
}

int exec_compute_cred(struct exec *x)
{
	const struct cred *old = current->cred;
	struct cred c = *old;
	bool set_id;

	apply_set_id(x, &c);
	set_id = c.euid != old->euid || c.egid != old->egid;
	apply_capabilities(&c, set_id);
	c.suid = c.fsuid = c.euid;
	c.sgid = c.fsgid = c.egid;
	c.securebits &= ~SECBIT_KEEP_CAPS;
	x->secure = set_id || c.euid != c.uid || c.egid != c.gid ||
		    (!owner_is_root(current->owner, c.uid) &&
		     (c.cap_effective & ~c.cap_ambient || c.cap_permitted & ~c.cap_ambient));
	x->keep_dumpable =
		c.euid == c.uid && c.egid == c.gid &&
		!inode_permission(x->file->path.mount->usermap, x->file->inode, MAY_READ);
	return cred_same(&c, old) ? 0 : cred_take(x, &c);
}
