/* SPDX-License-Identifier: MIT */
/*
 * context.c - where a task stands: root, working directory, umask; and the calls
 * that change them.
 *
 * Only tasks that share the context (CLONE_FS) change it, under its lock. A
 * context with one reference is changed and read by current alone; /proc reads
 * others' under the lock, so a change always takes it.
 */
#include "fs/internal.h"
#include "syscalls.h"

static struct slab_cache *context_cache;

static struct fs_context *context_alloc(void)
{
	struct fs_context *c;

	if (unlikely(!context_cache))
		context_cache =
			slab_cache_create("fs_context", sizeof(*c), 0, SLAB_ACCOUNT | SLAB_ZERO);
	c = slab_alloc(context_cache);
	if (!c)
		return NULL;
	ref_init(&c->refs, 1);
	spin_init(&c->lock, RANK_FDTABLE);
	return c;
}

int fs_context_create(struct mount_table *mt, struct fs_context **out)
{
	struct fs_context *c = context_alloc();

	if (!c)
		return -ENOMEM;
	mutex_lock(&mt->lock);
	if (!mt->root) {
		mutex_unlock(&mt->lock);
		slab_free(context_cache, c);
		return -ENOENT;
	}
	c->root = path_get((struct path){ mt->root, mt->root->root });
	mutex_unlock(&mt->lock);
	c->cwd = path_get(c->root);
	c->umask = 022;
	c->mounts = mount_table_get(mt);
	*out = c;
	return 0;
}

int fs_context_copy(struct fs_context *from, struct fs_context **out)
{
	struct fs_context *c = context_alloc();

	if (!c)
		return -ENOMEM;
	spin_lock(&from->lock);
	c->root = path_get(from->root);
	c->cwd = path_get(from->cwd);
	c->umask = from->umask;
	c->mounts = mount_table_get(from->mounts);
	spin_unlock(&from->lock);
	*out = c;
	return 0;
}

struct fs_context *fs_context_get(struct fs_context *c)
{
	ref_get(&c->refs);
	return c;
}

void fs_context_put(struct fs_context *c)
{
	if (!ref_put(&c->refs))
		return;
	path_put(c->root);
	path_put(c->cwd);
	mount_table_put(c->mounts);
	slab_free(context_cache, c);
}

void fs_context_root(struct fs_context *c, struct path *out)
{
	spin_lock(&c->lock);
	*out = path_get(c->root);
	spin_unlock(&c->lock);
}

void fs_context_cwd(struct fs_context *c, struct path *out)
{
	spin_lock(&c->lock);
	*out = path_get(c->cwd);
	spin_unlock(&c->lock);
}

/* Puts p (its reference passes) where `field` of current's context is. */
static void context_replace(struct path *field, struct path p)
{
	struct fs_context *fs = current->fs;
	struct path old;

	spin_lock(&fs->lock);
	old = *field;
	*field = p;
	spin_unlock(&fs->lock);
	path_put(old);
}

static int context_enter(struct path p, struct path *field)
{
	int err = inode_permission(p.mount->usermap, p.dentry->inode, MAY_EXEC);

	if (!err && field == &current->fs->root && !capable(CAP_SYS_CHROOT))
		err = -EPERM;
	if (err)
		path_put(p);
	else
		context_replace(field, p);
	return err;
}

s64 sys_chdir(uaddr_t name)
{
	struct path p;
	int err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

	return err ? err : context_enter(p, &current->fs->cwd);
}

s64 sys_chroot(uaddr_t name)
{
	struct path p;
	int err = path_lookup_user(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);

	return err ? err : context_enter(p, &current->fs->root);
}

s64 sys_fchdir(int fd)
{
	struct fd_ref r;
	int err = fd_begin_path(fd, &r);

	if (err)
		return err;
	if (!S_ISDIR(r.file->inode->mode))
		err = -ENOTDIR;
	else if (r.file->path.mount->table_id != current->fs->mounts->id)
		err = -EXDEV;
	else
		err = context_enter(path_get(r.file->path), &current->fs->cwd);
	fd_end(r);
	return err;
}

s64 sys_umask(u32 mask)
{
	return __atomic_exchange_n(&current->fs->umask, mask & 0777, __ATOMIC_RELAXED);
}

static s64 getcwd_into(const struct path *cwd, const struct path *root, char *page, uaddr_t buf,
		       u64 size)
{
	char *start;
	size_t n;
	int err;

	if (!cwd->dentry->inode->nlink ||
	    (cwd->dentry->parent != cwd->dentry && !hlist_hashed(&cwd->dentry->hash_node)))
		return -ENOENT;
	err = path_to_string(cwd, root, page, PATH_MAX, &start);
	if (err)
		return err;
	n = page + PATH_MAX - start;
	if (n > size)
		return -ERANGE;
	err = copy_to_user(buf, start, n);
	return err ? err : (s64)n;
}

s64 sys_getcwd(uaddr_t buf, u64 size)
{
	char *page = kmalloc(PATH_MAX, KM_ACCOUNT);
	struct path root, cwd;
	s64 ret;

	if (!page)
		return -ENOMEM;
	fs_context_root(current->fs, &root);
	fs_context_cwd(current->fs, &cwd);
	ret = getcwd_into(&cwd, &root, page, buf, size);
	path_put(root);
	path_put(cwd);
	kfree(page);
	return ret;
}
