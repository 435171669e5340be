/* SPDX-License-Identifier: MIT */
/*
 * mount.c - mounts and the tables that hold them.
 *
 * Every container has a table; nothing outside it can be named, because a walk
 * crosses from a mount to another only through mount_lookup(), and both are in
 * one table. Mounts do not propagate.
 *
 * A mount in a table has one reference from it, plus one per path that uses it.
 * Taking it out (umount, the end of the table) makes parent NULL, so that `..`
 * stops at its root; the superblock goes with the last reference.
 *
 * Locks: table->lock guards the lists and the shape of the tree; mount_hash_lock
 * the chains and dentry->mounted, which a walk reads under RCU. A mountpoint's
 * inode lock is held while something is put on it, so rmdir and mount exclude
 * each other.
 */
#include "core/rcu.h"
#include "fs/internal.h"
#include "fs/mount.h"
#include "lib/hash.h"

#define MOUNT_HASH_BITS 10
#define MOUNTS_MAX	100000 /* per table; Linux's fs.mount-max */

struct mount_table *host_mounts;
struct mount *anon_mount;

static struct slab_cache *mount_cache;
static struct hlist mount_hash[1 << MOUNT_HASH_BITS];
static spinlock_t mount_hash_lock = SPINLOCK_INIT(RANK_SUPERBLOCK);
static u32 next_mount_id; /* atomic */
static struct slab_cache *table_cache;
static u64 next_table_id; /* atomic */

static struct hlist *mount_bucket(const struct mount *m, const struct dentry *d)
{
	return &mount_hash[hash_u64((u64)m ^ (u64)d >> 3, MOUNT_HASH_BITS)];
}

struct mount *mount_lookup(struct mount *m, struct dentry *d)
{
	struct mount *over;

	hlist_for_each (over, mount_bucket(m, d), hash_node)
		if (READ_ONCE(over->parent) == m && READ_ONCE(over->mountpoint) == d)
			return over;
	return NULL;
}

struct mount *mount_get(struct mount *m)
{
	ref_get(&m->refs);
	return m;
}

static void mount_free_rcu(struct rcu_head *h)
{
	struct mount *m = container_of(h, struct mount, rcu);

	kfree(m->source);
	slab_free(mount_cache, m);
}

void mount_put(struct mount *m)
{
	if (!ref_put(&m->refs))
		return;
	dentry_put(m->root);
	superblock_put(m->sb);
	usermap_put(m->usermap);
	rcu_call(&m->rcu, mount_free_rcu);
}

struct path path_get(struct path p)
{
	mount_get(p.mount);
	dentry_get(p.dentry);
	return p;
}

void path_put(struct path p)
{
	dentry_put(p.dentry);
	mount_put(p.mount);
}

int mount_want_write(const struct mount *m)
{
	return likely(!((m->flags | m->sb->flags) & MS_RDONLY)) ? 0 : -EROFS;
}

/* A mount of root, a dentry of sb; in no table. Counts both. */
int mount_create(struct superblock *sb, struct dentry *root, u32 flags, const char *source,
		 struct mount **out)
{
	struct mount *m = slab_alloc(mount_cache);

	if (!m)
		return -ENOMEM;
	m->source = kstrdup(source ? source : "none", KM_ACCOUNT);
	if (!m->source) {
		slab_free(mount_cache, m);
		return -ENOMEM;
	}
	ref_init(&m->refs, 1);
	m->sb = superblock_get(sb);
	m->root = dentry_get(root);
	m->flags = flags & MOUNT_FLAGS;
	m->id = __atomic_add_fetch(&next_mount_id, 1, __ATOMIC_RELAXED);
	list_init(&m->children);
	list_init(&m->sibling);
	list_init(&m->table_node);
	*out = m;
	return 0;
}

/* --- tables --- */

int mount_table_create(struct owner *owner, struct mount_table **out)
{
	struct mount_table *t = slab_alloc(table_cache);

	if (!t)
		return -ENOMEM;
	ref_init(&t->refs, 1);
	mutex_init(&t->lock, RANK_MOUNT);
	list_init(&t->mounts);
	t->owner = owner;
	t->id = __atomic_add_fetch(&next_table_id, 1, __ATOMIC_RELAXED);
	waitq_init(&t->changed);
	*out = t;
	return 0;
}

struct mount_table *mount_table_get(struct mount_table *t)
{
	ref_get(&t->refs);
	return t;
}

void mount_table_changed(struct mount_table *t)
{
	t->generation++;
	waitq_wake_all(&t->changed, 0);
}

void mountpoint_count(struct dentry *d, int n)
{
	spin_lock(&mount_hash_lock);
	WRITE_ONCE(d->mounted, d->mounted + n);
	spin_unlock(&mount_hash_lock);
}

/* Puts m (whose reference passes) into t, on `where`, or as its root. t->lock is held. */
void mount_attach(struct mount_table *t, struct mount *m, struct mount *parent,
		  struct dentry *mountpoint)
{
	mutex_assert_held(&t->lock);
	m->table = t;
	m->table_id = t->id;
	t->count++;
	list_append(&t->mounts, &m->table_node);
	if (!parent) {
		t->root = m;
		return;
	}
	m->mountpoint = dentry_get(mountpoint);
	rcu_assign(m->parent, parent);
	list_append(&parent->children, &m->sibling);
	spin_lock(&mount_hash_lock);
	WRITE_ONCE(mountpoint->mounted, mountpoint->mounted + 1);
	hlist_push(mount_bucket(parent, mountpoint), &m->hash_node);
	spin_unlock(&mount_hash_lock);
}

/* Takes m off what it stands on. The reference to the mountpoint passes to the caller. */
static struct dentry *mount_unhash(struct mount *m)
{
	struct dentry *mountpoint = m->mountpoint;

	spin_lock(&mount_hash_lock);
	hlist_remove(&m->hash_node);
	WRITE_ONCE(mountpoint->mounted, mountpoint->mounted - 1);
	spin_unlock(&mount_hash_lock);
	rcu_assign(m->parent, NULL);
	list_remove(&m->sibling);
	return mountpoint;
}

/* Takes one mount, which has no children left, out of its table onto `dead`. */
static void mount_detach(struct mount *m, struct list *dead)
{
	struct mount_table *t = m->table;

	list_remove(&m->table_node);
	list_append(dead, &m->table_node);
	t->count--;
	if (t->root == m)
		t->root = NULL;
	m->table = NULL;
	if (m->parent)
		dentry_put(mount_unhash(m));
}

/* m and all below it, the lowest first. t->lock is held; then put what is on `dead`. */
static void mount_detach_tree(struct mount *top, struct list *dead)
{
	struct mount *m = top, *up;

	for (;;) {
		while (!list_empty(&m->children))
			m = list_first(&m->children, struct mount, sibling);
		up = m->parent;
		mount_detach(m, dead);
		if (m == top)
			break;
		resched_point();
		m = up;
	}
}

static void mounts_put(struct list *dead)
{
	while (!list_empty(dead)) {
		struct mount *m = list_first(dead, struct mount, table_node);

		list_remove(&m->table_node);
		mount_put(m);
		resched_point();
	}
}

void mount_table_put(struct mount_table *t)
{
	struct list dead = LIST_INIT(dead);

	if (!ref_put(&t->refs))
		return;
	mutex_lock(&t->lock);
	if (t->root)
		mount_detach_tree(t->root, &dead);
	mutex_unlock(&t->lock);
	mount_late_forget(t);
	mounts_put(&dead);
	slab_free(table_cache, t);
}

int mount_table_set_root_mount(struct mount_table *t, struct mount *m)
{
	int err = 0;

	mutex_lock(&t->lock);
	if (t->root)
		err = -EBUSY;
	else
		mount_attach(t, m, NULL, NULL);
	mutex_unlock(&t->lock);
	if (err)
		mount_put(m);
	return err;
}

int mount_table_set_root(struct mount_table *t, const struct path *dir)
{
	struct mount *m;
	int err;

	if (!S_ISDIR(dir->dentry->inode->mode))
		return -ENOTDIR;
	err = mount_create(dir->mount->sb, dir->dentry, dir->mount->flags, dir->mount->source, &m);
	if (err)
		return err;
	/* A device node in a directory that is given to a container is not for it to use. */
	if (t->owner != &owner_host)
		m->flags |= MS_NODEV;
	m->locked = m->flags & MOUNT_LOCKABLE;
	m->usermap = usermap_get(dir->mount->usermap);
	m->of_root = true;
	return mount_table_set_root_mount(t, m);
}

int mount_table_set_root_sb(struct mount_table *t, struct superblock *sb, const char *source)
{
	struct mount *m;
	int err = mount_create(sb, sb->root, MS_RELATIME, source, &m);

	return err ? err : mount_table_set_root_mount(t, m);
}

int mount_table_replace_root_sb(struct mount_table *t, struct superblock *sb, const char *source)
{
	struct list dead = LIST_INIT(dead);
	struct mount *m;
	int err = mount_create(sb, sb->root, MS_RELATIME, source, &m);

	if (err)
		return err;
	mutex_lock(&t->lock);
	mount_detach_tree(t->root, &dead);
	mount_attach(t, m, NULL, NULL);
	mutex_unlock(&t->lock);
	mounts_put(&dead);
	return 0;
}

int mount_table_lookup(struct mount_table *t, const char *name, struct path *out)
{
	struct fs_context fs = { .mounts = t };

	if (!t->root)
		return -ENOENT;
	ref_init(&fs.refs, 1);
	spin_init(&fs.lock, RANK_NONE);
	fs.root = fs.cwd = (struct path){ t->root, t->root->root };
	return path_lookup_from(&fs, AT_FDCWD, name, LOOKUP_FOLLOW, out);
}

/* --- placing --- */

/*
 * Locks t and the mountpoint, and looks whether something may be put there.
 * On success path_mount_unlock() is due.
 */
static int mountpoint_lock(struct mount_table *t, const struct path *where, bool directory)
{
	struct inode *i = where->dentry->inode;
	int err = 0;

	mutex_lock(&t->lock);
	mutex_lock(&i->lock);
	if (where->mount->table != t)
		err = -EINVAL;
	else if (!i->nlink || (where->dentry->parent != where->dentry &&
			       !hlist_hashed(&where->dentry->hash_node)))
		err = -ENOENT;
	else if (S_ISDIR(i->mode) != directory)
		err = -ENOTDIR;
	else if (S_ISLNK(i->mode))
		err = -EINVAL;
	else if (t->count >= MOUNTS_MAX)
		err = -ENOSPC;
	if (err) {
		mutex_unlock(&i->lock);
		mutex_unlock(&t->lock);
	}
	return err;
}

static void mountpoint_unlock(struct mount_table *t, const struct path *where)
{
	mutex_unlock(&where->dentry->inode->lock);
	mount_table_changed(t);
	mutex_unlock(&t->lock);
}

/* The topmost mount that stands on `where`: the place that a name leads to. */
static struct path mount_topmost(const struct path *where)
{
	struct path p = *where;
	struct mount *over;

	while (p.dentry->mounted && (over = mount_lookup(p.mount, p.dentry)))
		p = (struct path){ over, over->root };
	return p;
}

int mount_place(struct mount_table *t, struct mount *m, const struct path *where)
{
	bool directory = S_ISDIR(m->root->inode->mode);
	struct path top = mount_topmost(where);
	int err = mountpoint_lock(t, &top, directory);

	if (!err && top.mount->sb == m->sb && top.mount->root == m->root && top.dentry == m->root) {
		mountpoint_unlock(t, &top);
		err = -EBUSY; /* the same again, as Linux */
	}
	if (err) {
		mount_put(m);
		return err;
	}
	mount_attach(t, m, top.mount, top.dentry);
	mountpoint_unlock(t, &top);
	return 0;
}

const struct fs_type *fs_type_find(const char *name)
{
	for (unsigned i = 0; fs_types[i]; i++)
		if (!strcmp(fs_types[i]->name, name))
			return fs_types[i];
	return NULL;
}

int mount_at(struct mount_table *t, const struct path *where, const char *type, const char *source,
	     u32 flags, const char *data)
{
	const struct fs_type *ft = fs_type_find(type);
	struct superblock *sb;
	struct mount *m;
	int err;

	if (!ft)
		return -ENODEV;
	if (ft->needs_device && !may_host(CAP_SYS_ADMIN))
		return -EPERM;
	err = ft->mount(ft, source, flags, data, &sb);
	if (err)
		return err;
	if (!ft->needs_device) /* else it is the host's, or was there before, and somebody's */
		superblock_set_owner(sb, t->owner);
	err = mount_create(sb, sb->root, mount_flags_new(flags), source, &m);
	superblock_put(sb);
	if (err)
		return err;
	if (current->owner != t->owner)
		m->locked = m->flags & MOUNT_LOCKABLE;
	return mount_place(t, m, where);
}

/* --- bind --- */

static int mount_clone(struct mount *from, struct dentry *root, struct mount **out)
{
	int err = mount_create(from->sb, root, from->flags, from->source, out);

	if (err)
		return err;
	(*out)->locked = from->locked;
	(*out)->usermap = usermap_get(from->usermap);
	return 0;
}

struct mount *mount_next(struct mount *m, struct mount *top)
{
	if (!list_empty(&m->children))
		return list_first(&m->children, struct mount, sibling);
	while (m != top) {
		if (m->sibling.next != &m->parent->children)
			return list_next(m, sibling);
		m = m->parent;
	}
	return NULL;
}

/* As mount_next, but not into m's children. */
static struct mount *mount_next_skip(struct mount *m, struct mount *top)
{
	while (m != top) {
		if (m->sibling.next != &m->parent->children)
			return list_next(m, sibling);
		m = m->parent;
	}
	return NULL;
}

/*
 * Copies of what is mounted below from.dentry, onto the copy `top` that is in
 * the table already. A copy is attached at once: if one fails, the caller
 * detaches the whole copy.
 */
static int mount_clone_below(struct mount_table *t, const struct path *from, struct mount *top)
{
	struct mount *m = mount_next(from->mount, from->mount), *copy_parent = top, *copy;
	struct mount *orig_parent = from->mount;
	int err;

	while (m) {
		/* Up, in step, to where m hangs. */
		while (orig_parent != m->parent) {
			orig_parent = orig_parent->parent;
			copy_parent = copy_parent->parent;
		}
		if (m == top ||
		    (m->parent == from->mount && !dentry_is_below(m->mountpoint, from->dentry))) {
			m = mount_next_skip(m, from->mount);
			continue;
		}
		if (t->count >= MOUNTS_MAX)
			return -ENOSPC;
		err = mount_clone(m, m->root, &copy);
		if (err)
			return err;
		mount_attach(t, copy, copy_parent, m->mountpoint);
		if (!list_empty(&m->children)) {
			orig_parent = m;
			copy_parent = copy;
		}
		m = mount_next(m, from->mount);
		resched_point();
	}
	return 0;
}

int mount_bind(struct mount_table *t, const struct path *from, const struct path *where,
	       bool recursive)
{
	struct path top = mount_topmost(where);
	struct list dead = LIST_INIT(dead);
	struct mount *m;
	int err = recursive ? mount_late_make_all(t) : 0;

	err = err ? err : mount_clone(from->mount, from->dentry, &m);
	if (err)
		return err;
	err = mountpoint_lock(t, &top, S_ISDIR(from->dentry->inode->mode));
	if (err) {
		mount_put(m);
		return err;
	}
	mount_attach(t, m, top.mount, top.dentry);
	if (recursive)
		err = mount_clone_below(t, from, m);
	if (err)
		mount_detach_tree(m, &dead);
	mountpoint_unlock(t, &top);
	mounts_put(&dead);
	return err;
}

int mount_bind_into(struct mount_table *t, const struct path *from, const struct path *where,
		    u32 flags, struct usermap *map)
{
	struct path top = mount_topmost(where);
	struct mount *m;
	int err = mount_clone(from->mount, from->dentry, &m);

	if (err)
		return err;
	usermap_put(m->usermap); /* nobody sees m yet */
	m->usermap = usermap_get(map);
	m->flags |= flags | MS_NODEV; /* as the root of a container */
	m->locked = m->flags & MOUNT_LOCKABLE;
	err = mountpoint_lock(t, &top, S_ISDIR(from->dentry->inode->mode));
	if (err) {
		mount_put(m);
		return err;
	}
	mount_attach(t, m, top.mount, top.dentry);
	mountpoint_unlock(t, &top);
	return 0;
}

/* --- moving and taking away --- */

static bool mount_is_below(const struct mount *m, const struct mount *top)
{
	while (m && m != top)
		m = m->parent;
	return m == top;
}

int mount_move(struct mount_table *t, const struct path *from, const struct path *where)
{
	struct mount *m = from->mount;
	struct dentry *old;
	int err;

	if (from->dentry != m->root)
		return -EINVAL;
	err = mountpoint_lock(t, where, S_ISDIR(m->root->inode->mode));
	if (err)
		return err;
	if (m->table != t || !m->parent)
		err = -EINVAL;
	else if (mount_is_below(where->mount, m))
		err = -ELOOP;
	if (!err) {
		old = mount_unhash(m);
		rcu_synchronize(); /* nobody pairs the new parent with the old mountpoint */
		dentry_put(old);
		m->mountpoint = dentry_get(where->dentry);
		rcu_assign(m->parent, where->mount);
		list_append(&where->mount->children, &m->sibling);
		spin_lock(&mount_hash_lock);
		where->dentry->mounted++;
		hlist_push(mount_bucket(where->mount, where->dentry), &m->hash_node);
		spin_unlock(&mount_hash_lock);
	}
	mountpoint_unlock(t, where);
	return err;
}

/* The caller's path counts once, the table once: more means in use. */
static int umount_check(struct mount_table *t, struct mount *m, int flags)
{
	bool busy = ref_read(&m->refs) > 2 || !list_empty(&m->children);

	if (m->table != t || (!m->parent && (flags & MNT_EXPIRE)))
		return -EINVAL;
	if (!m->parent)
		return -EBUSY;
	if (flags & MNT_EXPIRE) {
		if (busy)
			return -EBUSY;
		if (!m->expire_mark) {
			m->expire_mark = true;
			return -EAGAIN;
		}
	}
	return busy && !(flags & MNT_DETACH) ? -EBUSY : 0;
}

int mount_remove(struct mount_table *t, struct mount *m, int flags)
{
	struct list dead = LIST_INIT(dead);
	int err;

	mutex_lock(&t->lock);
	err = umount_check(t, m, flags);
	if (!err) {
		mount_detach_tree(m, &dead);
		mount_table_changed(t);
	}
	mutex_unlock(&t->lock);
	mounts_put(&dead);
	return err;
}

/* --- start-up --- */

static const struct fs_type anon_type = { .name = "anon_inodefs" };
static const struct super_ops anon_super_ops = { .evict = NULL };

static void anon_mount_create(void)
{
	struct superblock *sb;
	struct inode *root;
	int err = superblock_create(&anon_type, &anon_super_ops, 0, &sb);

	sb->dcache_complete = true;
	superblock_set_owner(sb, &owner_host);
	err = err ? err : inode_create(sb, S_IFDIR | 0500, &root);
	err = err ? err : dentry_create_root(sb, root, &sb->root);
	err = err ? err : mount_create(sb, sb->root, 0, "anon_inodefs", &anon_mount);
	BUG_IF(err, "err=%d", err);
}

void mount_init(void)
{
	struct superblock *sb;
	int err;

	mount_cache = slab_cache_create("mount", sizeof(struct mount), 0, SLAB_ACCOUNT | SLAB_ZERO);
	table_cache = slab_cache_create("mount_table", sizeof(struct mount_table), 0,
					SLAB_ACCOUNT | SLAB_ZERO);
	anon_mount_create();
	err = mount_table_create(&owner_host, &host_mounts);
	err = err ? err
		  : tmpfs_type.mount(&tmpfs_type, "tmpfs", 0, "size=0,nr_inodes=0,mode=755", &sb);
	BUG_IF(err, "err=%d", err);
	superblock_set_owner(sb, &owner_host);
	err = mount_table_set_root_sb(host_mounts, sb, "tmpfs");
	BUG_IF(err, "err=%d", err);
	superblock_put(sb);
}
