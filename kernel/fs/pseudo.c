/* SPDX-License-Identifier: MIT */
/*
 * pseudo.c - made-up trees; pseudo.h says how one is described.
 *
 * Each inode has a node: a copy of its entry, and the object with a reference on
 * it, taken through the ops of the directory that counts it (its own ops for a
 * directory, its parent's for anything else) and given back when the inode goes.
 *
 * An open text file keeps the text that its first read produced, so that a
 * reader in small steps sees one consistent state; seeking to 0 makes it anew.
 */
#include "fs/pseudo.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "fs/poll.h"
#include "fs/uio.h"
#include "lib/hash.h"
#include "lib/string.h"
#include "mm/slab.h"

#define STORE_MAX	4095
#define COOKIE_FIXED	2 /* after . and .. */
#define COOKIE_COMPUTED (1ull << 32)

struct pseudo_node {
	struct pseudo_entry e;
	const struct pseudo_dir_ops *counts; /* whose get and put are for the object */
	void *object;
};

struct pseudo_open {
	struct mutex lock;
	struct text text; /* what the reader sees; lock */
	bool filled;	  /* lock */
	u64 generation;	  /* seen by the last read; lock */
};

static struct slab_cache *node_cache, *open_cache;

void pseudo_init(void)
{
	node_cache = slab_cache_create("pseudo_node", sizeof(struct pseudo_node), 0, SLAB_ACCOUNT);
	open_cache = slab_cache_create("pseudo_open", sizeof(struct pseudo_open), 0,
				       SLAB_ACCOUNT | SLAB_ZERO);
}

/* --- text --- */

static bool text_grow(struct text *t, size_t more)
{
	size_t size = MAX(t->size, (size_t)256);
	char *buf;

	if (t->err)
		return false;
	if (t->len + more < t->size)
		return true;
	while (size <= t->len + more)
		size *= 2;
	buf = kmalloc(size, KM_ACCOUNT);
	if (!buf) {
		t->err = -ENOMEM;
		return false;
	}
	if (t->len)
		memcpy(buf, t->buf, t->len);
	kfree(t->buf);
	t->buf = buf;
	t->size = size;
	return true;
}

void text_append(struct text *t, const char *s, size_t n)
{
	if (!text_grow(t, n))
		return;
	memcpy(t->buf + t->len, s, n);
	t->len += n;
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!text_grow(t, 127))
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	if ((size_t)n >= t->size - t->len) {
		if (!text_grow(t, n))
			return;
		va_start(ap, fmt);
		vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
		va_end(ap);
	}
	t->len += n;
}

void text_free(struct text *t)
{
	kfree(t->buf);
	*t = (struct text){ 0 };
}

/* --- nodes and inodes --- */

static struct pseudo_node *node_of(const struct inode *i)
{
	return i->private;
}

void *pseudo_object(const struct inode *i)
{
	return node_of(i)->object;
}

static u64 node_ino(const void *object, const char *name, size_t len)
{
	return hash_bytes(name, len, (u64)object) >> 8 | 1;
}

static const struct inode_ops dir_inode_ops, own_dir_inode_ops, link_inode_ops, jump_inode_ops,
	other_inode_ops;
static const struct file_ops dir_file_ops, text_file_ops;

static void inode_set_ops(struct inode *i, const struct pseudo_entry *e)
{
	i->ops = &other_inode_ops;
	if (S_ISDIR(e->mode)) {
		i->ops = e->dir->own ? &own_dir_inode_ops : &dir_inode_ops;
		i->file_ops = &dir_file_ops;
		i->nlink = 2;
	} else if (S_ISLNK(e->mode)) {
		i->ops = e->follow ? &jump_inode_ops : &link_inode_ops;
	} else if (S_ISREG(e->mode)) {
		i->file_ops = e->file_ops ? e->file_ops : &text_file_ops;
	}
}

/* An inode for entry e; the reference on object passes to it (also when this fails). */
static int pseudo_inode(struct superblock *sb, const struct pseudo_entry *e,
			const struct pseudo_dir_ops *counts, void *object, struct inode **out)
{
	struct pseudo_node *n = slab_alloc(node_cache);
	struct inode *i;
	int err = n ? inode_create(sb, e->mode, &i) : -ENOMEM;

	if (err) {
		if (n)
			slab_free(node_cache, n);
		if (counts->put)
			counts->put(object);
		return err;
	}
	*n = (struct pseudo_node){ *e, counts, object };
	i->private = n;
	i->uid = usermap_root_uid(sb->owner->usermap);
	i->gid = usermap_root_gid(sb->owner->usermap);
	if (counts->owner)
		counts->owner(object, &i->uid, &i->gid);
	i->rdev = e->rdev;
	inode_set_ops(i, e);
	*out = i;
	return 0;
}

static void pseudo_evict(struct inode *i)
{
	struct pseudo_node *n = node_of(i);

	if (!n)
		return;
	if (n->counts->put)
		n->counts->put(n->object);
	slab_free(node_cache, n);
	i->private = NULL;
}

static bool pseudo_revalidate(struct dentry *d)
{
	struct pseudo_node *n = d->inode ? node_of(d->inode) : NULL;
	const struct usermap *map = d->sb->owner->usermap;
	u32 uid = usermap_root_uid(map), gid = usermap_root_gid(map);

	if (!n || (n->counts->alive && !n->counts->alive(n->object)))
		return false;
	if (n->counts->owner) { /* a process may have changed its ids since */
		n->counts->owner(n->object, &uid, &gid);
		WRITE_ONCE(d->inode->uid, uid);
		WRITE_ONCE(d->inode->gid, gid);
	}
	return true;
}

/* --- directories --- */

static const struct pseudo_entry *entry_find(const struct pseudo_dir_ops *dir, const char *name)
{
	for (const struct pseudo_entry *e = dir->entries; e && e->name; e++)
		if (!strcmp(e->name, name))
			return e;
	return NULL;
}

static int pseudo_lookup(struct inode *dir, struct dentry *d)
{
	struct pseudo_node *n = node_of(dir);
	const struct pseudo_dir_ops *ops = n->e.dir;
	const struct pseudo_entry *fixed = entry_find(ops, d->name);
	struct pseudo_entry e = { 0 };
	void *child = n->object;
	struct inode *i;
	int err;

	if (ops->alive && !ops->alive(n->object))
		return -ENOENT;
	if (fixed) {
		e = *fixed;
		if (e.dir && e.dir->get)
			e.dir->get(child);
		else if (!e.dir && ops->get)
			ops->get(child);
	} else {
		err = ops->lookup ? ops->lookup(n->object, d->name, d->name_len, &e, &child)
				  : -ENOENT;
		if (err)
			return err;
	}
	err = pseudo_inode(dir->sb, &e,
			   e.counted_by ? e.counted_by
			   : e.dir	? e.dir
					: ops,
			   child, &i);
	if (err)
		return err;
	i->ino = node_ino(n->object, d->name, d->name_len);
	dentry_attach(d, i);
	return 0;
}

static bool emit(struct dirent_sink *s, const void *object, const char *name, u32 mode, u64 next)
{
	size_t len = strlen(name);

	if (!s->emit(s, name, len, node_ino(object, name, len), mode >> 12, next))
		return false;
	s->pos = next;
	return true;
}

static bool emit_dots(struct file *f, struct dirent_sink *s)
{
	struct dentry *d = f->path.dentry;

	if (s->pos == 0) {
		if (!s->emit(s, ".", 1, d->inode->ino, S_IFDIR >> 12, 1))
			return false;
		s->pos = 1;
	}
	if (s->pos == 1) {
		if (!s->emit(s, "..", 2, d->parent->inode->ino, S_IFDIR >> 12, COOKIE_FIXED))
			return false;
		s->pos = COOKIE_FIXED;
	}
	return true;
}

static int pseudo_readdir(struct file *f, struct dirent_sink *s)
{
	struct pseudo_node *n = node_of(f->inode);
	const struct pseudo_dir_ops *ops = n->e.dir;
	u64 count = 0, cookie;
	char name[PSEUDO_NAME_MAX];
	u32 mode;

	if (ops->alive && !ops->alive(n->object))
		return -ENOENT;
	if (!emit_dots(f, s))
		return 0;
	while (ops->entries && ops->entries[count].name)
		count++;
	while (s->pos - COOKIE_FIXED < count) {
		const struct pseudo_entry *e = &ops->entries[s->pos - COOKIE_FIXED];
		if (!emit(s, n->object, e->name, e->mode, s->pos + 1))
			return 0;
	}
	cookie = s->pos >= COOKIE_COMPUTED ? s->pos - COOKIE_COMPUTED : 0;
	while (ops->next && ops->next(n->object, &cookie, name, sizeof(name), &mode)) {
		cookie++;
		if (!emit(s, n->object, name, mode, COOKIE_COMPUTED + cookie))
			return 0;
	}
	return 0;
}

/* --- links, attributes --- */

static int pseudo_readlink(struct inode *i, char *buf, size_t size)
{
	struct pseudo_node *n = node_of(i);

	return n->e.readlink ? n->e.readlink(n->object, buf, size) : -EINVAL;
}

static int pseudo_follow(struct inode *i, struct dentry *d, struct path *out)
{
	struct pseudo_node *n = node_of(i);

	return n->e.follow(n->object, out);
}

/* Modes and owners of device nodes may be changed; text files stay as they are. */
static int pseudo_setattr(struct inode *i, const struct iattr *a)
{
	struct pseudo_node *n = node_of(i);

	if (a->valid & ATTR_SIZE)
		return 0; /* O_TRUNC and truncate mean nothing here, as on Linux */
	if (S_ISREG(i->mode) || S_ISLNK(i->mode))
		return -EPERM;
	if (a->valid & ATTR_MODE)
		i->mode = (i->mode & S_IFMT) | (a->mode & ~S_IFMT);
	if (a->valid & ATTR_UID) {
		i->uid = a->uid;
		if (n->counts->set_owner)
			n->counts->set_owner(n->object, a->uid);
	}
	if (a->valid & ATTR_GID)
		i->gid = a->gid;
	inode_touch(i, ATTR_CTIME);
	return 0;
}

static int own_dir_permission(const struct usermap *map, struct inode *i, u32 mask)
{
	struct pseudo_node *n = node_of(i);

	if (!(mask & MAY_WRITE) && n->e.dir->own(n->object))
		return 0;
	return inode_permission_by_mode(map, i, mask);
}

static const struct inode_ops own_dir_inode_ops = {
	.lookup = pseudo_lookup,
	.permission = own_dir_permission,
	.setattr = pseudo_setattr,
};

static const struct inode_ops dir_inode_ops = {
	.lookup = pseudo_lookup,
	.setattr = pseudo_setattr,
};
static const struct inode_ops link_inode_ops = {
	.readlink = pseudo_readlink,
	.setattr = pseudo_setattr,
};
static const struct inode_ops jump_inode_ops = {
	.readlink = pseudo_readlink,
	.follow = pseudo_follow,
	.setattr = pseudo_setattr,
};
static const struct inode_ops other_inode_ops = {
	.setattr = pseudo_setattr,
};
static const struct file_ops dir_file_ops = {
	.readdir = pseudo_readdir,
};

/* --- text files --- */

static int text_open(struct inode *i, struct file *f)
{
	struct pseudo_node *n = node_of(i);
	struct pseudo_open *o;
	int err = n->e.open ? n->e.open(n->object, f->mode & FILE_WRITE) : 0;

	if (err)
		return err;
	if (((f->mode & FILE_READ) && !n->e.show) || ((f->mode & FILE_WRITE) && !n->e.store))
		return -EACCES;
	o = slab_alloc(open_cache);
	if (!o)
		return -ENOMEM;
	mutex_init(&o->lock, RANK_FILE_POS);
	f->private = o;
	return 0;
}

static void text_release(struct file *f)
{
	struct pseudo_open *o = f->private;

	text_free(&o->text);
	slab_free(open_cache, o);
}

static int text_fill(struct pseudo_node *n, struct pseudo_open *o)
{
	const u64 *generation;
	int err;

	text_free(&o->text);
	if (n->counts->alive && !n->counts->alive(n->object))
		return -ESRCH;
	if (n->e.changed) {
		n->e.changed(n->object, &generation);
		o->generation = READ_ONCE(*generation); /* before what it counts is looked at */
	}
	err = n->e.show(n->object, &o->text);
	o->filled = !err && !o->text.err;
	return err ? err : o->text.err;
}

static s64 text_read(struct file *f, struct uio *u, u64 *pos)
{
	struct pseudo_open *o = f->private;
	s64 n = 0;

	mutex_lock_nested(&o->lock); /* inside the file's own position lock */
	if (*pos == 0 || !o->filled)
		n = text_fill(node_of(f->inode), o);
	if (!n && *pos < o->text.len)
		n = uio_copy_out(u, o->text.buf + *pos, MIN(u->left, o->text.len - *pos));
	mutex_unlock(&o->lock);
	if (n > 0)
		*pos += n;
	return n;
}

static s64 text_write(struct file *f, struct uio *u, u64 *pos)
{
	struct pseudo_node *n = node_of(f->inode);
	u64 len = u->left;
	char *s;
	s64 err;

	if (len > STORE_MAX)
		return -EINVAL;
	if (n->counts->alive && !n->counts->alive(n->object))
		return -ESRCH;
	s = kmalloc(len + 1, KM_ACCOUNT);
	if (!s)
		return -ENOMEM;
	err = uio_copy_in(u, s, len);
	if (err >= 0 && (u64)err < len)
		err = -EFAULT;
	if (err >= 0) {
		u64 end = len && s[len - 1] == '\n' ? len - 1 : len;

		s[end] = 0;
		err = strlen(s) == end ? n->e.store(n->object, s, end) : -EINVAL;
	}
	kfree(s);
	if (err < 0)
		return err;
	*pos += len;
	return len;
}

static u32 text_poll(struct file *f, struct poll_table *pt)
{
	struct pseudo_node *n = node_of(f->inode);
	struct pseudo_open *o = f->private;
	u32 events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
	const u64 *generation;

	if (!n->e.changed)
		return events;
	poll_wait(pt, n->e.changed(n->object, &generation));
	return READ_ONCE(*generation) != o->generation ? events | POLLPRI | POLLERR : events;
}

static const struct file_ops text_file_ops = {
	.open = text_open,
	.release = text_release,
	.read = text_read,
	.write = text_write,
	.poll = text_poll,
};

/* --- mounting --- */

static int pseudo_statfs(struct superblock *sb, struct kstatfs *st)
{
	*st = (struct kstatfs){
		.type = (u64)sb->private,
		.bsize = PAGE_SIZE,
		.frsize = PAGE_SIZE,
		.namelen = NAME_MAX,
	};
	return 0;
}

static const struct super_ops pseudo_super_ops = {
	.evict = pseudo_evict,
	.revalidate = pseudo_revalidate,
	.statfs = pseudo_statfs,
};

int pseudo_mount(const struct fs_type *t, const struct pseudo_dir_ops *root, u64 magic,
		 struct superblock **out)
{
	struct pseudo_entry e = { .mode = S_IFDIR | 0755, .dir = root };
	struct superblock *sb;
	struct inode *i;
	int err = superblock_create(t, &pseudo_super_ops, 0, &sb);

	if (err)
		return err;
	sb->private = (void *)magic;
	err = pseudo_inode(sb, &e, root, sb, &i);
	if (err)
		goto put_sb;
	i->ino = 1;
	err = dentry_create_root(sb, i, &sb->root);
	if (err)
		goto put_sb; /* the inode's reference has passed */
	*out = sb;
	return 0;

put_sb:
	superblock_put(sb);
	return err;
}
