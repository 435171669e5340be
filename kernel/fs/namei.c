/* SPDX-License-Identifier: MIT */
/*
 * namei.c - names: fetched from user space, and what is usually asked of them.
 *
 *	path_lookup		to the end, counted
 *	walk_parent_counted	to the parent; the last component is still to be looked up
 *	path_create_begin	the same, and the parent is locked and the name free
 *
 * Each tries the walk in RCU mode first (walk.c) and begins again if that cannot
 * answer.
 */
#include "core/rcu.h"
#include "fs/internal.h"

static struct slab_cache *name_cache; /* buffers of PATH_MAX */

/* --- names --- */

char *name_alloc(void)
{
	return slab_alloc(name_cache);
}

int name_from_user(uaddr_t name, bool empty_ok, char **out)
{
	char *s = name_alloc();
	s64 n;

	if (!s)
		return -ENOMEM;
	n = copy_string_from_user(s, name, PATH_MAX);
	if (n == 0 && !empty_ok)
		n = -ENOENT;
	if (n < 0) {
		slab_free(name_cache, s);
		return n;
	}
	*out = s;
	return 0;
}

void name_put(char *name)
{
	slab_free(name_cache, name);
}

int name_fetch(struct name_buf *b, uaddr_t name, bool empty_ok)
{
	s64 n = copy_string_from_user(b->small, name, NAME_SMALL);

	if (unlikely(n == -ENAMETOOLONG))
		return name_from_user(name, empty_ok, &b->text);
	b->text = b->small;
	if (unlikely(n <= 0))
		return n || empty_ok ? n : -ENOENT;
	return 0;
}

/* --- the usual questions --- */

int path_lookup_from(struct fs_context *fs, int dirfd, const char *name, u32 flags,
		     struct path *out)
{
	struct walk w;
	int err;

	for (bool rcu = true;; rcu = false) {
		err = walk_begin_from(&w, fs, dirfd, name, flags, rcu);
		if (!err)
			err = walk_to_end(&w);
		if (!err)
			err = walk_count(&w);
		if (!err) {
			*out = w.path;
			w.path.dentry = NULL;
		}
		walk_end(&w);
		if (err != -ECHILD || !rcu)
			return err;
	}
}

int path_lookup(int dirfd, const char *name, u32 flags, struct path *out)
{
	return path_lookup_from(fs_context_here(), dirfd, name, flags, out);
}

int path_lookup_user(int dirfd, uaddr_t name, u32 flags, struct path *out)
{
	struct name_buf b;
	int err = name_fetch(&b, name, flags & LOOKUP_EMPTY);

	if (err)
		return err;
	err = path_lookup(dirfd, b.text, flags, out);
	name_drop(&b);
	return err;
}

/* Walks to the parent and counts it; the last component stays in w. */
int walk_parent_counted(struct walk *w, int dirfd, const char *name)
{
	int err;

	dentry_make_room(); /* for that last component */
	for (bool rcu = true;; rcu = false) {
		err = walk_begin(w, dirfd, name, 0, rcu);
		if (!err)
			err = walk_parent(w);
		if (!err)
			err = walk_count(w);
		if (!err)
			return 0;
		walk_end(w);
		if (err != -ECHILD || !rcu)
			return err;
	}
}

/* What the end of a name to be created may look like (as Linux's filename_create). */
static int create_check(struct walk *w, bool want_directory, struct dentry **out)
{
	struct dentry *dir = w->path.dentry;
	int err;

	if (w->last_len > NAME_MAX)
		return -ENAMETOOLONG;
	err = dentry_lookup_locked(dir, w->last, w->last_len, w->last_hash, out);
	if (err)
		return err;
	if ((*out)->inode)
		err = -EEXIST;
	else if (w->trailing && !want_directory)
		err = -ENOENT;
	else
		err = mount_want_write(w->path.mount);
	if (err)
		dentry_put(*out);
	return err;
}

int path_create_begin(int dirfd, const char *name, bool want_directory, struct path *parent,
		      struct dentry **out)
{
	struct walk w;
	int err = walk_parent_counted(&w, dirfd, name);

	if (err)
		return err;
	if (w.type != LAST_NAME) {
		walk_end(&w);
		return -EEXIST;
	}
	mutex_lock(&w.inode->lock);
	err = create_check(&w, want_directory, out);
	if (!err) {
		err = inode_may_create(w.path.mount->usermap, w.inode);
		if (err)
			dentry_put(*out);
	}
	if (err) {
		mutex_unlock(&w.inode->lock);
	} else {
		*parent = w.path;
		w.path.dentry = NULL;
	}
	walk_end(&w);
	return err;
}

void path_create_end(struct path *parent, struct dentry *d)
{
	mutex_unlock(&parent->dentry->inode->lock);
	dentry_put(d);
	path_put(*parent);
}

void namei_init(void)
{
	name_cache = slab_cache_create("name", PATH_MAX, 0, 0);
}
