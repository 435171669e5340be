/* SPDX-License-Identifier: MIT */
/*
 * rename.c - rename(2) and renameat2(2).
 *
 * Order of locks: rename_lock if a name changes directory; the two directories
 * (ancestor first, else by address); then what is renamed and what is replaced,
 * by address, if they are there. With rename_lock held no directory moves, so
 * the ancestry that decides the order, and the question whether a directory
 * would become its own descendant, have one answer.
 */
#include "fs/internal.h"
#include "syscalls.h"

#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE	 2

struct renaming {
	struct walk from, to;
	struct dentry *od, *nd; /* counted, or NULL; nd may be negative */
	u32 flags;
	bool same_dir;
};

static bool dentry_below_rcu(const struct dentry *d, const struct dentry *top)
{
	bool is;

	rcu_read_lock();
	is = dentry_is_below(d, top);
	rcu_read_unlock();
	return is;
}

static void rename_lock_dirs(struct renaming *r)
{
	struct dentry *a = r->from.path.dentry, *b = r->to.path.dentry;
	struct inode *first = a->inode, *second = b->inode;

	r->same_dir = first == second;
	if (r->same_dir) {
		mutex_lock(&first->lock);
		return;
	}
	mutex_lock(&a->sb->rename_lock);
	if (dentry_below_rcu(a, b) || (!dentry_below_rcu(b, a) && first > second)) {
		first = b->inode;
		second = a->inode;
	}
	mutex_lock(&first->lock);
	mutex_lock_nested(&second->lock); /* descendant after ancestor, or by address */
}

static void rename_unlock_dirs(struct renaming *r)
{
	mutex_unlock(&r->from.inode->lock);
	if (r->same_dir)
		return;
	mutex_unlock(&r->to.inode->lock);
	mutex_unlock(&r->from.path.dentry->sb->rename_lock);
}

static int rename_child(struct walk *w, struct dentry **out)
{
	if (w->last_len > NAME_MAX)
		return -ENAMETOOLONG;
	return dentry_lookup_locked(w->path.dentry, w->last, w->last_len, w->last_hash, out);
}

static int rename_find(struct renaming *r)
{
	int err = rename_child(&r->from, &r->od);

	if (err)
		return err;
	return r->od->inode ? rename_child(&r->to, &r->nd) : -ENOENT;
}

/* What names and ancestry forbid, in Linux's order (do_renameat2 there). */
static int rename_check_names(struct renaming *r)
{
	bool exchange = r->flags & RENAME_EXCHANGE;
	struct dentry *od = r->od, *nd = r->nd;

	if ((r->flags & RENAME_NOREPLACE) && nd->inode)
		return -EEXIST;
	if (exchange && !nd->inode)
		return -ENOENT;
	if (exchange && !S_ISDIR(nd->inode->mode) && r->to.trailing)
		return -ENOTDIR;
	if (!S_ISDIR(od->inode->mode)) {
		if (r->from.trailing || (!exchange && r->to.trailing))
			return -ENOTDIR;
	}
	if (dentry_below_rcu(r->to.path.dentry, od))
		return -EINVAL; /* into its own subtree */
	if (nd->inode && dentry_below_rcu(r->from.path.dentry, nd))
		return exchange ? -EINVAL : -ENOTEMPTY;
	return 0;
}

/* The right to take d out of dir, as for unlink. */
static int rename_may_delete(const struct usermap *map, struct inode *dir, struct dentry *d)
{
	int err = inode_permission(map, dir, MAY_WRITE | MAY_EXEC);

	if (err)
		return err;
	return inode_sticky(map, dir, d->inode) ? -EPERM : 0;
}

static int rename_check_rights(struct renaming *r)
{
	struct inode *odir = r->from.inode, *ndir = r->to.inode, *i = r->od->inode;
	bool exchange = r->flags & RENAME_EXCHANGE;
	struct inode *target = r->nd->inode;
	const struct usermap *map = r->from.path.mount->usermap; /* both are of one mount */
	int err = rename_may_delete(map, odir, r->od);

	if (!err)
		err = target ? rename_may_delete(map, ndir, r->nd) : inode_may_create(map, ndir);
	if (err)
		return err;
	if (target && !exchange && S_ISDIR(i->mode) != S_ISDIR(target->mode))
		return S_ISDIR(i->mode) ? -ENOTDIR : -EISDIR;
	/* A directory that changes its parent has its `..` rewritten. */
	if (odir != ndir && S_ISDIR(i->mode))
		err = inode_permission(map, i, MAY_WRITE);
	if (!err && exchange && odir != ndir && S_ISDIR(target->mode))
		err = inode_permission(map, target, MAY_WRITE);
	return err ? err : odir->ops->rename ? 0 : -EPERM;
}

/* Locks what is moved and what is replaced: below both directories, by address. */
static void rename_lock_children(struct inode *a, struct inode *b)
{
	if (b && b < a) {
		struct inode *t = a;

		a = b;
		b = t;
	}
	mutex_lock_nested(&a->lock);
	if (b && b != a)
		mutex_lock_nested(&b->lock);
}

static int rename_do(struct renaming *r)
{
	struct inode *odir = r->from.inode, *ndir = r->to.inode;
	struct inode *i = r->od->inode, *target = r->nd->inode;
	int err;

	if (target == i)
		return 0; /* two names of one file: nothing happens (man 2 rename) */
	rename_lock_children(i, target);
	if (r->od->mounted || r->nd->mounted)
		err = -EBUSY;
	else
		err = odir->ops->rename(odir, r->od, ndir, r->nd, r->flags & RENAME_EXCHANGE);
	if (target)
		mutex_unlock(&target->lock);
	mutex_unlock(&i->lock);
	if (err)
		return err;
	if (r->flags & RENAME_EXCHANGE) {
		dentry_exchange(r->od, r->nd);
		return 0;
	}
	if (target && S_ISDIR(target->mode))
		dentry_forget_tree(r->nd);
	dentry_move(r->od, r->nd);
	return 0;
}

static int rename_run(struct renaming *r)
{
	int err;

	rename_lock_dirs(r);
	err = rename_find(r);
	if (!err) {
		err = rename_check_names(r);
		err = err ? err : rename_check_rights(r);
		err = err ? err : rename_do(r);
	}
	rename_unlock_dirs(r);
	dentry_put(r->od); /* here the replaced inode may go: no lock is held */
	dentry_put(r->nd);
	return err;
}

static int rename_names(struct renaming *r, int odirfd, const char *old, int ndirfd,
			const char *new)
{
	int err = walk_parent_counted(&r->from, odirfd, old);

	if (err)
		return err;
	err = walk_parent_counted(&r->to, ndirfd, new);
	if (err)
		goto end_from;
	if (r->from.path.mount != r->to.path.mount)
		err = -EXDEV;
	else if (r->from.type != LAST_NAME)
		err = -EBUSY;
	else if (r->to.type != LAST_NAME)
		err = r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	else
		err = mount_want_write(r->from.path.mount);
	if (!err)
		err = rename_run(r);
	walk_end(&r->to);
end_from:
	walk_end(&r->from);
	return err;
}

s64 sys_renameat2(int odirfd, uaddr_t old, int ndirfd, uaddr_t new, u32 flags)
{
	struct renaming *r;
	struct name_buf o, n;
	int err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) /* RENAME_WHITEOUT: doc/abi.md */
		return -EINVAL;
	if (flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	err = name_fetch(&o, old, false);
	if (err)
		return err;
	err = name_fetch(&n, new, false);
	if (err)
		goto drop_old;
	r = kmalloc(sizeof(*r), KM_ACCOUNT); /* two walks are a lot for a stack */
	err = -ENOMEM;
	if (r) {
		r->od = r->nd = NULL;
		r->flags = flags;
		err = rename_names(r, odirfd, o.text, ndirfd, n.text);
		kfree(r);
	}
	name_drop(&n);
drop_old:
	name_drop(&o);
	return err;
}

s64 sys_renameat(int odirfd, uaddr_t old, int ndirfd, uaddr_t new)
{
	return sys_renameat2(odirfd, old, ndirfd, new, 0);
}

s64 sys_rename(uaddr_t old, uaddr_t new)
{
	return sys_renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}
