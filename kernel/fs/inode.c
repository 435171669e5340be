/* SPDX-License-Identifier: MIT */
/*
 * inode.c - inodes and superblocks: birth, death, permission.
 *
 * An inode is counted by the dentries that name it and by whoever else keeps
 * it. The last inode_put() drops its pages, lets the filesystem free what it
 * attached, and frees the memory after a grace period, because walks read
 * inodes under RCU.
 *
 * A superblock is counted by its mounts. When the last goes, its names are
 * forgotten and with them its inodes; but an inode that is still in use (an open
 * file) keeps the superblock's memory: `holders` counts the inodes, and one for
 * all mounts together.
 */
#include "core/rcu.h"
#include "core/time.h"
#include "fs/internal.h"

static struct slab_cache *inode_cache;
static u64 next_dev; /* atomic: minor of the next anonymous device number */

/* --- superblocks --- */

int superblock_create(const struct fs_type *t, const struct super_ops *ops, u32 flags,
		      struct superblock **out)
{
	struct superblock *sb = kmalloc(sizeof(*sb), KM_ZERO | KM_ACCOUNT);

	if (!sb)
		return -ENOMEM;
	ref_init(&sb->refs, 1);
	ref_init(&sb->holders, 1);
	sb->type = t;
	sb->ops = ops;
	sb->flags = flags & (MS_RDONLY | MS_SYNCHRONOUS | MS_DIRSYNC | MS_MANDLOCK | MS_LAZYTIME);
	sb->owner = owner_get(current->owner);
	sb->dev = makedev(0, __atomic_add_fetch(&next_dev, 1, __ATOMIC_RELAXED));
	sb->next_ino = 1;
	mutex_init(&sb->rename_lock, RANK_RENAME);
	*out = sb;
	return 0;
}

struct superblock *superblock_get(struct superblock *sb)
{
	ref_get(&sb->refs);
	return sb;
}

void superblock_set_owner(struct superblock *sb, struct owner *o)
{
	struct owner *old = sb->owner;

	sb->owner = owner_get(o);
	owner_put(old);
}

static void superblock_free_rcu(struct rcu_head *h)
{
	kfree(container_of(h, struct superblock, rcu));
}

/* One of those who need sb's memory has gone: its inodes, and (once) all its mounts. */
static void superblock_release(struct superblock *sb)
{
	if (!ref_put(&sb->holders))
		return;
	if (sb->ops->put_super)
		sb->ops->put_super(sb);
	owner_put(sb->owner);
	rcu_call(&sb->rcu, superblock_free_rcu);
}

void superblock_put(struct superblock *sb)
{
	if (!ref_put(&sb->refs))
		return;
	if (sb->root) {
		dentry_forget_tree(sb->root);
		dentry_put(sb->root);
	}
	superblock_release(sb);
}

/* --- inodes --- */

struct timespec64 fs_now(void)
{
	u64 ns = realtime_get();

	return (struct timespec64){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
}

static u64 inode_mapping_size(struct mapping *m)
{
	return READ_ONCE(((struct inode *)m->host)->size);
}
static const struct mapping_ops inode_mapping_ops = { .size = inode_mapping_size };

int inode_create(struct superblock *sb, u32 mode, struct inode **out)
{
	const struct cred *c = current->cred;
	struct inode *i = slab_alloc(inode_cache);

	if (!i)
		return -ENOMEM;
	ref_init(&i->refs, 1);
	i->mode = mode;
	i->uid = c->fsuid;
	i->gid = c->fsgid;
	i->nlink = 1;
	i->ino = __atomic_fetch_add(&sb->next_ino, 1, __ATOMIC_RELAXED);
	i->atime = fs_now();
	i->mtime = i->ctime = i->btime = i->atime;
	i->sb = sb;
	ref_get(&sb->holders);
	mutex_init(&i->lock, RANK_INODE);
	mapping_init(&i->own_mapping, &inode_mapping_ops, i);
	*out = i;
	return 0;
}

struct inode *inode_get(struct inode *i)
{
	ref_get(&i->refs);
	return i;
}

static void inode_free_rcu(struct rcu_head *h)
{
	struct inode *i = container_of(h, struct inode, rcu);

	kfree(i->link_text);
	slab_free(inode_cache, i);
}

void inode_put(struct inode *i)
{
	if (!ref_put(&i->refs))
		return;
	if (i->own_mapping.pages.count)
		mapping_truncate(&i->own_mapping, 0);
	mapping_destroy(&i->own_mapping);
	if (i->sb->ops->evict)
		i->sb->ops->evict(i);
	superblock_release(i->sb);
	kfree(i->locks);
	rcu_call(&i->rcu, inode_free_rcu);
}

void inode_touch(struct inode *i, u32 which)
{
	struct timespec64 now = fs_now();

	if (which & ATTR_ATIME)
		i->atime = now;
	if (which & ATTR_MTIME)
		i->mtime = now;
	if (which & ATTR_CTIME)
		i->ctime = now;
}

struct inode_owner inode_new_owner(const struct usermap *map, const struct inode *dir, u32 mode)
{
	struct inode_owner o = { mode, uid_from_global(map, current->cred->fsuid),
				 gid_from_global(map, current->cred->fsgid) };

	if (!(dir->mode & S_ISGID))
		return o;
	o.gid = dir->gid;
	if (S_ISDIR(mode))
		o.mode |= S_ISGID;
	else if ((mode & (S_ISGID | 0010)) == (S_ISGID | 0010) &&
		 !cred_in_group(current->cred, inode_gid(map, dir)) &&
		 !inode_may(map, dir, CAP_FSETID))
		o.mode &= ~S_ISGID;
	return o;
}

void inode_attr_copy(struct inode *i, const struct iattr *a)
{
	if (a->valid & ATTR_UID)
		i->uid = a->uid;
	if (a->valid & ATTR_GID)
		i->gid = a->gid;
	if (a->valid & ATTR_MODE)
		i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
	if (a->valid & ATTR_ATIME)
		i->atime = a->atime;
	if (a->valid & ATTR_MTIME)
		i->mtime = a->mtime;
	if (a->valid & ATTR_CTIME)
		i->ctime = a->ctime;
}

/* --- rights --- */

bool inode_ids_exist(const struct usermap *map, const struct inode *i)
{
	const struct usermap *here = current->owner->usermap;
	u32 uid = inode_uid(map, i), gid = inode_gid(map, i);

	return uid != ID_NONE && gid != ID_NONE && uid_from_global(here, uid) != ID_NONE &&
	       gid_from_global(here, gid) != ID_NONE;
}

bool inode_may_unmapped(const struct inode *i, enum capability c)
{
	return !current->owner->usermap && inode_may(NULL, i, c);
}

/*
 * In a container with a map of its own, root may become any user who exists inside: a capability
 * over a file whose ids do gives nothing that he could not have, whatever file system it is in.
 * (Linux asks for no more: capable_wrt_inode_uidgid.) One that has its ids from the container
 * around it was given nobody's files.
 */
static bool has_own_ids(const struct owner *o)
{
	return unlikely(o->usermap) && o->parent->usermap != o->usermap;
}

bool inode_may(const struct usermap *map, const struct inode *i, enum capability c)
{
	struct fs_context *fs = current->fs;

	if (unlikely(current->owner->usermap || map) && !inode_ids_exist(map, i))
		return false;
	if (likely(may(i->sb->owner, c)))
		return true;
	if (has_own_ids(current->owner))
		return capable(c);
	return fs && READ_ONCE(fs->mounts->root) && fs->mounts->root->sb == i->sb && capable(c);
}

bool inode_owner_or_capable(const struct usermap *map, struct inode *i)
{
	return current->cred->fsuid == inode_uid(map, i) || inode_may(map, i, CAP_FOWNER);
}

bool inode_sticky(const struct usermap *map, const struct inode *dir, const struct inode *i)
{
	u32 fsuid = current->cred->fsuid;

	return (dir->mode & S_ISVTX) && fsuid != inode_uid(map, i) &&
	       fsuid != inode_uid(map, dir) && !inode_may(map, i, CAP_FOWNER);
}

/* What the mode bits refuse, a capability may grant (man 7 capabilities). */
static int permission_by_capability(const struct usermap *map, struct inode *i, u32 mask)
{
	bool executable = S_ISDIR(i->mode) || (i->mode & 0111);

	if ((!(mask & MAY_EXEC) || executable) && inode_may(map, i, CAP_DAC_OVERRIDE))
		return 0;
	if (mask == MAY_READ || (S_ISDIR(i->mode) && !(mask & MAY_WRITE)))
		if (inode_may(map, i, CAP_DAC_READ_SEARCH))
			return 0;
	return -EACCES;
}

int inode_permission(const struct usermap *map, struct inode *i, u32 mask)
{
	if (unlikely(i->ops && i->ops->permission))
		return i->ops->permission(map, i, mask);
	return inode_permission_by_mode(map, i, mask);
}

int inode_permission_by_mode(const struct usermap *map, struct inode *i, u32 mask)
{
	const struct cred *c = current->cred;
	u32 mode = READ_ONCE(i->mode);

	/* A new time or size could not be written beside an owner who is nobody (as Linux). */
	if (unlikely(map) && (mask & MAY_WRITE) &&
	    (inode_uid(map, i) == ID_NONE || inode_gid(map, i) == ID_NONE))
		return -EACCES;
	if (likely(c->fsuid == inode_uid(map, i)))
		mode >>= 6;
	else if (((mode >> 3 ^ mode) & mask & 7) && cred_in_group(c, inode_gid(map, i)))
		mode >>= 3;
	if (likely(!(mask & ~mode & 7)))
		return 0;
	return permission_by_capability(map, i, mask);
}

int inode_may_add(const struct usermap *map, struct inode *dir)
{
	const struct cred *c = current->cred;

	/* The files have no name for who makes it. */
	if (unlikely(map) && (uid_from_global(map, c->fsuid) == ID_NONE ||
			      gid_from_global(map, c->fsgid) == ID_NONE))
		return -EOVERFLOW;
	return inode_permission(map, dir, MAY_WRITE | MAY_EXEC);
}

/* A directory in which a name is to be made. */
int inode_may_create(const struct usermap *map, struct inode *dir)
{
	return likely(dir->nlink) ? inode_may_add(map, dir) : -ENOENT;
}

int inode_get_write(struct inode *i)
{
	s32 n = __atomic_load_n(&i->writers, __ATOMIC_RELAXED);

	do {
		if (n < 0)
			return -ETXTBSY;
	} while (!__atomic_compare_exchange_n(&i->writers, &n, n + 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return 0;
}

void inode_put_write(struct inode *i)
{
	__atomic_fetch_sub(&i->writers, 1, __ATOMIC_RELEASE);
}

void inode_init(void)
{
	inode_cache = slab_cache_create("inode", sizeof(struct inode), 0, SLAB_ACCOUNT | SLAB_ZERO);
}
