/* SPDX-License-Identifier: MIT */
/*
 * vfs_dir.c - names in cowfs for the VFS. Each call is one operation of the core,
 * and then inodes and dentry show what it did.
 *
 * A position in a directory is the key of an entry (format.h), which stays what
 * it is while names come and go; 0 and 1 are "." and "..".
 */
#include "fs/cowfs/vfs_internal.h"

#define RENAME_EXCHANGE 2
#define FIRST_POS	2
#define BATCH_SIZE	4096

/* --- making --- */

/* Owner and mode of what current makes in dir. */
static struct cow_new new_in(const struct usermap *map, const struct inode *dir, u32 mode)
{
	struct inode_owner o = inode_new_owner(map, dir, mode);

	return (struct cow_new){ .mode = o.mode, .uid = o.uid, .gid = o.gid, .now = cowfs_now() };
}

/* d: its name; NULL: it has none (O_TMPFILE), and *out is the inode. */
static int make(struct inode *dir, struct dentry *d, const struct cow_new *n, struct inode **out)
{
	char *text = n->link ? kstrdup(n->link, KM_ACCOUNT) : NULL;
	struct cow_inode *core;
	struct inode *i;
	int err = n->link && !text ? -ENOMEM : cowfs_inode_alloc(dir->sb, &i);

	if (err) {
		kfree(text);
		return err;
	}
	i->link_text = text;
	err = d ? cow_create(core_of(dir), d->name, d->name_len, n, &core)
		: cow_create_orphan(core_of(dir), n, &core);
	if (err) {
		inode_put(i);
		return err;
	}
	cowfs_inode_set(i, core);
	if (!d) {
		*out = i;
		return 0;
	}
	cowfs_refresh(dir);
	dentry_attach(d, i);
	return 0;
}

static int cowfs_create(const struct usermap *map, struct inode *dir, struct dentry *d, u32 mode)
{
	struct cow_new n = new_in(map, dir, mode);

	return make(dir, d, &n, NULL);
}

static int cowfs_mkdir(const struct usermap *map, struct inode *dir, struct dentry *d, u32 mode)
{
	struct cow_new n = new_in(map, dir, S_IFDIR | (mode & ~S_IFMT));

	return make(dir, d, &n, NULL);
}

static int cowfs_mknod(const struct usermap *map, struct inode *dir, struct dentry *d, u32 mode,
		       u64 rdev)
{
	struct cow_new n = new_in(map, dir, mode);

	n.rdev = rdev;
	return make(dir, d, &n, NULL);
}

static int cowfs_symlink(const struct usermap *map, struct inode *dir, struct dentry *d,
			 const char *target)
{
	struct cow_new n = new_in(map, dir, S_IFLNK | 0777);

	n.link = target;
	return make(dir, d, &n, NULL);
}

static int cowfs_tmpfile(const struct usermap *map, struct inode *dir, u32 mode, struct inode **out)
{
	struct cow_new n = new_in(map, dir, mode);

	return make(dir, NULL, &n, out);
}

/* --- finding --- */

static int cowfs_lookup(struct inode *dir, struct dentry *d)
{
	struct inode *i;
	u64 ino;
	int err = cow_lookup(core_of(dir), d->name, d->name_len, &ino);

	if (err == -ENOENT)
		return 0;
	if (!err)
		err = cowfs_inode_get(dir->sb, ino, &i);
	if (!err)
		dentry_attach(d, i);
	return err;
}

/* --- linking, unlinking, renaming --- */

static int cowfs_link(struct inode *target, struct inode *dir, struct dentry *d)
{
	struct cow_time now = cowfs_now();
	int err = cow_link(core_of(target), core_of(dir), d->name, d->name_len, &now);

	if (err)
		return err;
	cowfs_refresh(target);
	cowfs_refresh(dir);
	dentry_attach(d, inode_get(target));
	return 0;
}

static int cowfs_unlink(struct inode *dir, struct dentry *d)
{
	struct cow_time now = cowfs_now();
	int err = cow_unlink(core_of(dir), d->name, d->name_len, core_of(d->inode), &now);

	if (err)
		return err;
	cowfs_refresh(dir);
	cowfs_refresh(d->inode);
	return 0;
}

static int cowfs_rename(struct inode *odir, struct dentry *od, struct inode *ndir,
			struct dentry *nd, u32 flags)
{
	struct cow_time now = cowfs_now();
	int err = cow_rename(core_of(odir), od->name, od->name_len, core_of(od->inode),
			     core_of(ndir), nd->name, nd->name_len,
			     nd->inode ? core_of(nd->inode) : NULL, flags & RENAME_EXCHANGE, &now);

	if (err)
		return err;
	cowfs_refresh(odir);
	cowfs_refresh(ndir);
	cowfs_refresh(od->inode);
	if (nd->inode)
		cowfs_refresh(nd->inode);
	return 0;
}

/* --- reading directories --- */

/* Entries on their way out: the core gives them under its lock, the sink may touch user memory. */
struct batch {
	u32 used;
	char *data;
};
struct batch_entry {
	u64 ino, next;
	u16 len, type;
	char name[];
};

static bool batch_add(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	struct batch *b = arg;
	struct batch_entry *e = (struct batch_entry *)(b->data + b->used);
	u32 size = ALIGN_UP((u32)(sizeof(*e) + len), 8u);

	if (b->used + size > BATCH_SIZE)
		return false;
	e->ino = ino;
	e->next = next;
	e->len = len;
	e->type = type;
	memcpy(e->name, name, len);
	b->used += size;
	return true;
}

/* False: the sink is full. */
static bool batch_emit(const struct batch *b, struct dirent_sink *s)
{
	for (u32 at = 0; at < b->used;) {
		const struct batch_entry *e = (const struct batch_entry *)(b->data + at);

		if (!s->emit(s, e->name, e->len, e->ino, e->type, e->next))
			return false;
		s->pos = e->next;
		at += ALIGN_UP((u32)(sizeof(*e) + e->len), 8u);
	}
	return true;
}

static bool emit_dots(struct dentry *dir, struct dirent_sink *s)
{
	if (s->pos == 0 && !s->emit(s, ".", 1, dir->inode->ino, S_IFDIR >> 12, 1))
		return false;
	s->pos = MAX(s->pos, 1ul);
	if (s->pos == 1 && !s->emit(s, "..", 2, dir->parent->inode->ino, S_IFDIR >> 12, FIRST_POS))
		return false;
	s->pos = MAX(s->pos, (u64)FIRST_POS);
	return true;
}

static int cowfs_readdir(struct file *f, struct dirent_sink *s)
{
	struct batch b = { .used = 0 };
	u64 pos;
	int err;

	if (!emit_dots(f->path.dentry, s))
		return 0;
	b.data = kmalloc(BATCH_SIZE, KM_ACCOUNT);
	if (!b.data)
		return -ENOMEM;
	do {
		b.used = 0;
		pos = s->pos;
		err = cow_readdir(core_of(f->inode), &pos, batch_add, &b);
	} while (!err && b.used && batch_emit(&b, s));
	kfree(b.data);
	return err;
}

static s64 dir_ioctl(struct file *f, u32 cmd, u64 arg)
{
	return cowfs_volume_ioctl(f->inode->sb, cmd, arg);
}

const struct file_ops cowfs_dir_ops = {
	.readdir = cowfs_readdir,
	.fsync = cowfs_fsync,
	.ioctl = dir_ioctl,
};

const struct inode_ops cowfs_dir_inode_ops = {
	.lookup = cowfs_lookup,
	.create = cowfs_create,
	.link = cowfs_link,
	.unlink = cowfs_unlink,
	.symlink = cowfs_symlink,
	.mkdir = cowfs_mkdir,
	.rmdir = cowfs_unlink,
	.mknod = cowfs_mknod,
	.rename = cowfs_rename,
	.tmpfile = cowfs_tmpfile,
	.setattr = cowfs_setattr,
	COWFS_XATTR_OPS,
};
