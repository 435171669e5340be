/* SPDX-License-Identifier: MIT */
/*
 * view.c - a view of files as of now: clones of the cowfs volumes that somebody sees, mounted in a
 * table of their own as he sees them. It costs the same whatever the volumes hold.
 *
 *	view_list	which mounts of cowfs are seen, upper ones first
 *	view_clone	one clone per volume, however often it is mounted
 *	view_mount	in the new table, at the place of the same name
 *
 * The root must be on cowfs. Mounts of other filesystems are not in the view, nor what is mounted
 * on them. A clone is deleted with its last mount. Of a view that is to be compared with what it
 * was made of, a frozen clone stands between.
 *
 * The root of a container that is made of an image is the same with one volume.
 */
#include "core/rcu.h"
#include "fs/cowfs/vfs.h"
#include "fs/internal.h"
#include "fs/mount.h"

#define VIEW_NAME      "view." /* and a number: of volumes */
#define VIEW_NAME_SIZE 32

static u64 last_view; /* atomic */

struct view_mount {
	struct list node;
	struct path at;		   /* counted: what is seen; of the root, where the view begins */
	struct path on;		   /* counted: what it is mounted on; not for the root */
	struct superblock *volume; /* counted: the clone */
};

/* --- which --- */

static int view_add(struct list *view, struct path at, const struct mount *m)
{
	struct view_mount *v = kmalloc(sizeof(*v), KM_ZERO | KM_ACCOUNT);

	if (!v)
		return -ENOMEM;
	v->at = path_get(at);
	if (m)
		v->on = path_get((struct path){ m->parent, m->mountpoint });
	list_append(view, &v->node);
	return 0;
}

static bool view_has(struct list *view, const struct mount *m)
{
	struct view_mount *v;

	list_for_each (v, view, node)
		if (v->at.mount == m)
			return true;
	return false;
}

static bool below_root(const struct mount *m, const struct path *root)
{
	bool below;

	if (m->parent != root->mount)
		return true;
	rcu_read_lock();
	below = dentry_is_below(m->mountpoint, root->dentry);
	rcu_read_unlock();
	return below;
}

static int view_list(struct mount_table *t, const struct path *root, struct list *view)
{
	int err = view_add(view, *root, NULL);
	struct mount *m;

	mutex_lock(&t->lock);
	if (root->mount->table != t)
		err = -ENOENT; /* it was unmounted: one stands in nothing */
	for (m = root->mount; !err && (m = mount_next(m, root->mount));)
		if (cowfs_is(m->sb) && view_has(view, m->parent) && below_root(m, root))
			err = view_add(view, (struct path){ m, m->root }, m);
	mutex_unlock(&t->lock);
	return err;
}

static void view_free(struct list *view)
{
	struct view_mount *v, *next;

	list_for_each_safe (v, next, view, node) {
		list_remove(&v->node);
		path_put(v->at);
		if (v->on.mount)
			path_put(v->on);
		if (v->volume)
			superblock_put(v->volume);
		kfree(v);
	}
}

/* --- clones --- */

/* A clone that goes with its last mount; what it has of its own is its owner's, and counts there.
 */
static int volume_clone(struct superblock *from, struct owner *owner, bool frozen,
			struct superblock **out)
{
	char name[VIEW_NAME_SIZE];
	int err;

	do { /* a name that is taken was left by a crash and waits for its end, or is a user's */
		u64 n = __atomic_add_fetch(&last_view, 1, __ATOMIC_RELAXED);

		snprintf(name, sizeof(name), VIEW_NAME "%llu", (unsigned long long)n);
		err = cowfs_clone(from, name, frozen, out);
	} while (err == -EEXIST);
	if (err)
		return err;
	superblock_set_owner(*out, owner);
	if (!frozen)
		cowfs_set_account(*out, owner->account);
	return 0;
}

/* The root, by way of a frozen clone. */
static int view_clone_root(struct view_mount *v, struct owner *owner, struct superblock **base)
{
	int err = volume_clone(v->at.mount->sb, owner, true, base);

	if (err)
		return err;
	err = volume_clone(*base, owner, false, &v->volume);
	if (err)
		superblock_put(*base);
	return err;
}

static int view_clone(struct list *view, struct owner *owner)
{
	struct view_mount *v, *other;
	int err = 0;

	list_for_each (v, view, node) {
		if (v->volume)
			continue; /* the root was cloned first */
		list_for_each (other, view, node)
			if (other->volume && other->at.mount->sb == v->at.mount->sb) {
				v->volume = superblock_get(other->volume);
				break;
			}
		if (!v->volume)
			err = volume_clone(v->at.mount->sb, owner, false, &v->volume);
		if (err)
			break;
	}
	return err;
}

/* --- places --- */

/* A table that shows sb and nothing else. */
static int table_of(struct superblock *sb, struct owner *owner, struct mount_table **out)
{
	int err = mount_table_create(owner, out);

	if (err)
		return err;
	err = mount_table_set_root_sb(*out, sb, NULL);
	if (err)
		mount_table_put(*out);
	return err;
}

/* The path of d in its filesystem, in buf. */
static int path_in_volume(struct dentry *d, struct owner *owner, char *buf, char **text)
{
	struct mount_table *t;
	struct path whole, p;
	int err = table_of(d->sb, owner, &t);

	if (err)
		return err;
	whole = (struct path){ t->root, d->sb->root };
	p = (struct path){ t->root, d };
	err = path_to_string(&p, &whole, buf, PATH_MAX, text);
	mount_table_put(t);
	return err;
}

/* What d is in a clone of its volume: counted. -ENOENT: it has no name any more. */
static int dentry_in_clone(struct dentry *d, struct superblock *clone, struct owner *owner,
			   struct dentry **out)
{
	struct mount_table *t;
	struct path p;
	char *buf, *text;
	int err;

	if (d == d->sb->root) {
		*out = dentry_get(clone->root);
		return 0;
	}
	buf = kmalloc(PATH_MAX, KM_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	err = path_in_volume(d, owner, buf, &text);
	if (!err)
		err = table_of(clone, owner, &t);
	if (err)
		goto free_buf;
	err = mount_table_lookup(t, text, &p);
	if (!err) {
		*out = dentry_get(p.dentry);
		path_put(p);
	}
	mount_table_put(t);
free_buf:
	kfree(buf);
	return err;
}

static int view_mount_create(struct view_mount *v, struct owner *owner, struct mount **out)
{
	const struct mount *from = v->at.mount;
	struct dentry *root;
	int err = dentry_in_clone(v->at.dentry, v->volume, owner, &root);

	if (err)
		return err;
	err = mount_create(v->volume, root, from->flags | MS_NODEV, from->source, out);
	dentry_put(root);
	if (err)
		return err;
	(*out)->locked = (*out)->flags & MOUNT_LOCKABLE;
	(*out)->usermap = usermap_get(from->usermap);
	(*out)->of_root = true;
	return 0;
}

/* Where v stands in t: by the name that it has for who stands at `root`. */
static int view_place(struct mount_table *t, struct view_mount *v, const struct path *root,
		      struct path *out)
{
	char *buf = kmalloc(PATH_MAX, KM_ACCOUNT), *text;
	int err = buf ? path_to_string(&v->on, root, buf, PATH_MAX, &text) : -ENOMEM;

	if (!err)
		err = mount_table_lookup(t, text, out);
	kfree(buf);
	return err;
}

static int view_mount_one(struct mount_table *t, struct view_mount *v, const struct path *root)
{
	struct mount *m;
	struct path where;
	int err = view_mount_create(v, t->owner, &m);

	if (err)
		return err;
	if (!v->on.mount)
		return mount_table_set_root_mount(t, m);
	err = view_place(t, v, root, &where);
	if (err) {
		mount_put(m);
		return err;
	}
	err = mount_place(t, m, &where);
	path_put(where);
	return err;
}

/* A mount whose place was renamed or removed meanwhile is not there; but the root must be. */
static int view_mount(struct mount_table *t, struct list *view, const struct path *root)
{
	struct view_mount *v;
	int err;

	list_for_each (v, view, node) {
		err = view_mount_one(t, v, root);
		if (err && (!v->on.mount || (err != -ENOENT && err != -ENOTDIR)))
			return err;
	}
	return 0;
}

int mount_table_set_root_view(struct mount_table *t, struct fs_context *of,
			      struct superblock **base)
{
	struct list view = LIST_INIT(view);
	struct superblock *made = NULL;
	struct path root;
	int err = -EOPNOTSUPP;

	fs_context_root(of, &root);
	if (cowfs_is(root.mount->sb))
		err = view_list(of->mounts, &root, &view);
	if (!err && base)
		err = view_clone_root(list_first(&view, struct view_mount, node), t->owner, &made);
	if (!err)
		err = view_clone(&view, t->owner);
	if (!err)
		err = view_mount(t, &view, &root);
	view_free(&view);
	path_put(root);
	if (err && made)
		superblock_put(made);
	else if (base)
		*base = made;
	return err;
}

/* --- of an image --- */

/* volume, whose reference is used up, is what t shows. */
static int volume_mount_root(struct mount_table *t, struct superblock *volume, const char *source)
{
	struct mount *m;
	int err = mount_create(volume, volume->root, mount_flags_new(MS_NODEV), source, &m);

	superblock_put(volume);
	if (err)
		return err;
	m->locked = MS_NODEV;
	m->of_root = true;
	return mount_table_set_root_mount(t, m);
}

static int image_mount(struct mount_table *t, struct superblock *image, const char *source)
{
	struct superblock *volume;
	int err = volume_clone(image, t->owner, false, &volume);

	return err ? err : volume_mount_root(t, volume, source);
}

int mount_table_set_root_image(struct mount_table *t, struct fs_context *of, const char *name,
			       struct superblock **base)
{
	struct superblock *image;
	struct path root;
	int err = -EOPNOTSUPP;

	fs_context_root(of, &root);
	if (cowfs_is(root.mount->sb))
		err = cowfs_open(root.mount->sb, name, &image);
	if (err)
		goto put_root;
	err = cowfs_is_frozen(image) ? image_mount(t, image, root.mount->source) : -EINVAL;
	if (err)
		superblock_put(image);
	else
		*base = image;
put_root:
	path_put(root);
	return err;
}

/* --- of a volume from before --- */

int mount_table_set_root_volume(struct mount_table *t, struct fs_context *of, const char *name,
				struct superblock **base)
{
	struct superblock *volume, *made = NULL;
	struct path root;
	int err = -EOPNOTSUPP;

	fs_context_root(of, &root);
	if (cowfs_is(root.mount->sb))
		err = cowfs_open_alone(root.mount->sb, name, &volume);
	if (err)
		goto put_root;
	superblock_set_owner(volume, t->owner);
	cowfs_set_account(volume, t->owner->account);
	err = cowfs_open_base(volume, &made);
	if (err)
		superblock_put(volume);
	else
		err = volume_mount_root(t, volume, root.mount->source);
	if (err && made)
		superblock_put(made);
	else
		*base = made;
put_root:
	path_put(root);
	return err;
}
