/* SPDX-License-Identifier: MIT */
/*
 * tmpfs.c - the filesystem in memory (man 5 tmpfs): / until a disk is mounted,
 * /tmp, /dev/shm.
 *
 * A name is its dentry: pinned in the name cache, which therefore knows every
 * name (sb->dcache_complete), and a directory is the list of its dentry's
 * children, in order of their cookies. A cookie is given once, from the
 * directory's fs_data, so a position in a directory stays good while names come
 * and go. Data is pages (tmpfs_file.c). All is charged to who makes it.
 *
 * Options: size= (k, m, g, %; 0: no limit), nr_blocks=, nr_inodes=, mode=, uid=,
 * gid=; huge=never and noswap mean nothing and are taken.
 */
#include "fs/internal.h"
#include "fs/tmpfs.h"

#define TMPFS_MAGIC	0x01021994
#define DIRENT_SIZE	20 /* what one name adds to a directory's st_size, as on Linux */
#define FIRST_COOKIE	2  /* after . and .. */
#define RENAME_EXCHANGE 2

extern const struct fs_type tmpfs_type;
static const struct inode_ops tmpfs_dir_inode_ops, tmpfs_file_inode_ops, tmpfs_link_inode_ops;
static const struct file_ops tmpfs_dir_ops;

/* --- inodes --- */

/* In dir, by current, through a mount with `map`; or the root: dir is NULL. */
static int tmpfs_inode(struct superblock *sb, const struct usermap *map, const struct inode *dir,
		       u32 mode, struct inode **out)
{
	struct tmpfs *t = tmpfs_of(sb);
	struct inode *i;
	int err = tmpfs_take(&t->used_inodes, t->max_inodes, 1);

	if (err)
		return err;
	err = inode_create(sb, mode, &i);
	if (err) {
		__atomic_sub_fetch(&t->used_inodes, 1, __ATOMIC_RELAXED);
		return err;
	}
	if (dir) {
		struct inode_owner o = inode_new_owner(map, dir, mode);

		i->mode = o.mode;
		i->uid = o.uid;
		i->gid = o.gid;
	}
	i->ops = &tmpfs_file_inode_ops;
	if (S_ISREG(mode)) {
		i->file_ops = &tmpfs_file_ops;
		i->mapping = &i->own_mapping;
	} else if (S_ISDIR(mode)) {
		i->ops = &tmpfs_dir_inode_ops;
		i->file_ops = &tmpfs_dir_ops;
		i->nlink = 2;
		i->fs_data = FIRST_COOKIE;
	} else if (S_ISLNK(mode)) {
		i->ops = &tmpfs_link_inode_ops;
	}
	*out = i;
	return 0;
}

static void tmpfs_evict(struct inode *i)
{
	tmpfs_give_back(i);
	xattr_memory_free(i);
	__atomic_sub_fetch(&tmpfs_of(i->sb)->used_inodes, 1, __ATOMIC_RELAXED);
}

static void tmpfs_dir_changed(struct inode *dir, s64 names)
{
	dir->size += names * DIRENT_SIZE;
	dir->mtime = dir->ctime = fs_now();
}

/* i, whose reference passes, gets the name d in dir. */
static void tmpfs_enter(struct inode *dir, struct dentry *d, struct inode *i)
{
	dir->size += DIRENT_SIZE;
	dir->mtime = dir->ctime = i->ctime;
	d->cookie = dir->fs_data++;
	dentry_attach(d, i);
}

/* --- names --- */

static int tmpfs_create(const struct usermap *map, struct inode *dir, struct dentry *d, u32 mode)
{
	struct inode *i;
	int err = tmpfs_inode(dir->sb, map, dir, mode, &i);

	if (likely(!err))
		tmpfs_enter(dir, d, i);
	return err;
}

static int tmpfs_mkdir(const struct usermap *map, struct inode *dir, struct dentry *d, u32 mode)
{
	int err = tmpfs_create(map, dir, d, mode);

	if (!err)
		dir->nlink++;
	return err;
}

static int tmpfs_mknod(const struct usermap *map, struct inode *dir, struct dentry *d, u32 mode,
		       u64 rdev)
{
	struct inode *i;
	int err = tmpfs_inode(dir->sb, map, dir, mode, &i);

	if (err)
		return err;
	i->rdev = rdev;
	tmpfs_enter(dir, d, i);
	return 0;
}

static int tmpfs_symlink(const struct usermap *map, struct inode *dir, struct dentry *d,
			 const char *target)
{
	char *text = kstrdup(target, KM_ACCOUNT);
	struct inode *i;
	int err;

	if (!text)
		return -ENOMEM;
	err = tmpfs_inode(dir->sb, map, dir, S_IFLNK | 0777, &i);
	if (err) {
		kfree(text);
		return err;
	}
	i->link_text = text;
	i->size = strlen(text);
	tmpfs_enter(dir, d, i);
	return 0;
}

static int tmpfs_link(struct inode *target, struct inode *dir, struct dentry *d)
{
	target->nlink++;
	target->ctime = fs_now();
	tmpfs_enter(dir, d, inode_get(target));
	return 0;
}

static int tmpfs_unlink(struct inode *dir, struct dentry *d)
{
	d->inode->nlink--;
	tmpfs_dir_changed(dir, -1);
	d->inode->ctime = dir->ctime;
	return 0;
}

static int tmpfs_rmdir(struct inode *dir, struct dentry *d)
{
	if (!list_empty(&d->children))
		return -ENOTEMPTY;
	d->inode->nlink = 0;
	dir->nlink--;
	return tmpfs_dir_changed(dir, -1), 0;
}

static int tmpfs_exchange(struct inode *odir, struct dentry *od, struct inode *ndir,
			  struct dentry *nd)
{
	int moved = S_ISDIR(od->inode->mode) - S_ISDIR(nd->inode->mode);

	odir->nlink -= moved;
	ndir->nlink += moved;
	od->cookie = ndir->fs_data++;
	nd->cookie = odir->fs_data++;
	tmpfs_dir_changed(odir, 0);
	tmpfs_dir_changed(ndir, 0);
	od->inode->ctime = nd->inode->ctime = odir->ctime;
	return 0;
}

static int tmpfs_rename(struct inode *odir, struct dentry *od, struct inode *ndir,
			struct dentry *nd, u32 flags)
{
	bool directory = S_ISDIR(od->inode->mode);

	if (flags & RENAME_EXCHANGE)
		return tmpfs_exchange(odir, od, ndir, nd);
	if (nd->inode && directory && !list_empty(&nd->children))
		return -ENOTEMPTY;
	if (nd->inode) {
		nd->inode->nlink -= directory ? nd->inode->nlink : 1;
		nd->inode->ctime = fs_now();
		ndir->nlink -= directory;
		ndir->size -= DIRENT_SIZE;
	}
	odir->nlink -= directory;
	ndir->nlink += directory;
	od->cookie = ndir->fs_data++;
	tmpfs_dir_changed(odir, -1);
	tmpfs_dir_changed(ndir, 1);
	od->inode->ctime = ndir->ctime;
	return 0;
}

static int tmpfs_tmpfile(const struct usermap *map, struct inode *dir, u32 mode, struct inode **out)
{
	int err = tmpfs_inode(dir->sb, map, dir, mode, out);

	if (!err)
		(*out)->nlink = 0;
	return err;
}

static int tmpfs_readlink(struct inode *i, char *buf, size_t size)
{
	strlcpy(buf, i->link_text, size);
	return 0;
}

/* --- reading directories --- */

/* The child to go on with at `pos`: behind the last one that was emitted, if it still stands. */
static struct list *tmpfs_dir_seek(struct file *f, struct dentry *dir, u64 pos)
{
	struct dentry *last = f->private, *d;

	if (last && last->cookie + 1 == pos && last->parent == dir &&
	    hlist_hashed(&last->hash_node))
		return last->child_node.next;
	list_for_each (d, &dir->children, child_node)
		if (d->cookie >= pos)
			return &d->child_node;
	return &dir->children;
}

static bool tmpfs_emit_dots(struct dentry *dir, struct dirent_sink *s)
{
	if (s->pos == 0 && !s->emit(s, ".", 1, dir->inode->ino, S_IFDIR >> 12, 1))
		return false;
	s->pos = MAX(s->pos, 1ul);
	if (s->pos == 1 &&
	    !s->emit(s, "..", 2, dir->parent->inode->ino, S_IFDIR >> 12, FIRST_COOKIE))
		return false;
	s->pos = MAX(s->pos, (u64)FIRST_COOKIE);
	return true;
}

static int tmpfs_readdir(struct file *f, struct dirent_sink *s)
{
	struct dentry *dir = f->path.dentry, *last = NULL;
	struct list *at;

	if (!tmpfs_emit_dots(dir, s))
		return 0;
	for (at = tmpfs_dir_seek(f, dir, s->pos); at != &dir->children; at = at->next) {
		struct dentry *d = list_entry(at, struct dentry, child_node);

		if (!s->emit(s, d->name, d->name_len, d->inode->ino, d->inode->mode >> 12,
			     d->cookie + 1))
			break;
		s->pos = d->cookie + 1;
		last = d;
	}
	if (last) {
		struct dentry *before = f->private;

		f->private = dentry_get(last);
		dentry_put(before);
	}
	return 0;
}

static void tmpfs_dir_release(struct file *f)
{
	dentry_put(f->private);
}

static const struct file_ops tmpfs_dir_ops = {
	.readdir = tmpfs_readdir,
	.release = tmpfs_dir_release,
};

static const struct inode_ops tmpfs_dir_inode_ops = {
	.create = tmpfs_create,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.symlink = tmpfs_symlink,
	.mkdir = tmpfs_mkdir,
	.rmdir = tmpfs_rmdir,
	.mknod = tmpfs_mknod,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
	.setattr = tmpfs_setattr,
	.listxattr = xattr_memory_list,
	.getxattr = xattr_memory_get,
	.setxattr = xattr_memory_set,
	.removexattr = xattr_memory_remove,
};

static const struct inode_ops tmpfs_file_inode_ops = {
	.setattr = tmpfs_setattr,
	.listxattr = xattr_memory_list,
	.getxattr = xattr_memory_get,
	.setxattr = xattr_memory_set,
	.removexattr = xattr_memory_remove,
};

static const struct inode_ops tmpfs_link_inode_ops = {
	.readlink = tmpfs_readlink,
	.setattr = tmpfs_setattr,
	.listxattr = xattr_memory_list,
	.getxattr = xattr_memory_get,
	.setxattr = xattr_memory_set,
	.removexattr = xattr_memory_remove,
};

/* --- the superblock --- */

static int tmpfs_statfs(struct superblock *sb, struct kstatfs *st)
{
	struct tmpfs *t = tmpfs_of(sb);
	struct page_stats s;
	u64 used = READ_ONCE(t->used_blocks), free, left;

	page_stats(&s);
	free = MIN(s.free, (u64)account_available(current->account, RES_MEMORY) >> PAGE_SHIFT);
	left = t->max_blocks ? t->max_blocks - MIN(used, t->max_blocks) : free;
	st->type = TMPFS_MAGIC;
	st->bsize = st->frsize = PAGE_SIZE;
	st->namelen = NAME_MAX;
	st->blocks = t->max_blocks ? t->max_blocks : used + free;
	st->bfree = st->bavail = left;
	st->files = t->max_inodes ? t->max_inodes : t->used_inodes + free;
	st->ffree = st->files - MIN(st->files, READ_ONCE(t->used_inodes));
	return 0;
}

/* "12k" and the like; % is of all memory. */
static int tmpfs_parse_size(const char *s, u64 *pages)
{
	size_t n = strlen(s);
	struct page_stats st;
	char digits[24];
	u64 v;

	if (n && s[n - 1] == '%' && n < sizeof(digits)) {
		strlcpy(digits, s, n);
		if (parse_u64(digits, &v) || v > 10000)
			return -EINVAL;
		page_stats(&st);
		*pages = st.total * v / 100;
		return 0;
	}
	if (parse_size(s, &v))
		return -EINVAL;
	*pages = DIV_ROUND_UP(v, PAGE_SIZE);
	return 0;
}

static int tmpfs_parse_octal(const char *s, u32 *mode)
{
	u32 v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '7' || v > 07777)
			return -EINVAL;
		v = v * 8 + (*s - '0');
	}
	if (v > 07777)
		return -EINVAL;
	*mode = v;
	return 0;
}

static int tmpfs_parse_id(const char *s, u32 *id)
{
	u64 v;

	if (parse_u64(s, &v) || v >= UINT32_MAX)
		return -EINVAL;
	*id = v;
	return 0;
}

/* Who it belongs to: as who mounts it names him. */
static int tmpfs_parse_owner(const char *s, u32 (*given)(u32 id), u32 *id)
{
	u32 named;
	int err = tmpfs_parse_id(s, &named);

	if (err)
		return err;
	named = given(named);
	if (named == ID_NONE)
		return -EINVAL;
	*id = named;
	return 0;
}

static int tmpfs_option(struct tmpfs *t, char *opt)
{
	char *value = strchr(opt, '=');

	if (!value)
		return strcmp(opt, "noswap") ? -EINVAL : 0;
	*value++ = 0;
	if (!strcmp(opt, "size"))
		return tmpfs_parse_size(value, &t->max_blocks);
	if (!strcmp(opt, "nr_blocks"))
		return parse_size(value, &t->max_blocks) ? -EINVAL : 0;
	if (!strcmp(opt, "nr_inodes"))
		return parse_size(value, &t->max_inodes) ? -EINVAL : 0;
	if (!strcmp(opt, "mode"))
		return tmpfs_parse_octal(value, &t->mode);
	if (!strcmp(opt, "uid"))
		return tmpfs_parse_owner(value, uid_given, &t->uid);
	if (!strcmp(opt, "gid"))
		return tmpfs_parse_owner(value, gid_given, &t->gid);
	return !strcmp(opt, "huge") && !strcmp(value, "never") ? 0 : -EINVAL;
}

static int tmpfs_options(struct tmpfs *t, const char *data)
{
	char *copy, *opt, *next;
	int err = 0;

	if (!data || !*data)
		return 0;
	copy = kstrdup(data, 0);
	if (!copy)
		return -ENOMEM;
	for (opt = copy; opt && !err; opt = next) {
		next = strchr(opt, ',');
		if (next)
			*next++ = 0;
		if (*opt)
			err = tmpfs_option(t, opt);
	}
	kfree(copy);
	return err;
}

static int tmpfs_remount(struct superblock *sb, const char *data)
{
	struct tmpfs *t = tmpfs_of(sb), new = *t;
	int err = tmpfs_options(&new, data);

	if (err)
		return err;
	if ((new.max_blocks &&new.max_blocks < t->used_blocks) ||
	    (new.max_inodes &&new.max_inodes < t->used_inodes))
		return -EINVAL;
	WRITE_ONCE(t->max_blocks, new.max_blocks);
	WRITE_ONCE(t->max_inodes, new.max_inodes);
	return 0;
}

static void tmpfs_show_options(struct superblock *sb, char *buf, size_t size)
{
	struct tmpfs *t = tmpfs_of(sb);
	int n = 0;

	*buf = 0;
	if (t->max_blocks)
		n = snprintf(buf, size, ",size=%luk", t->max_blocks * (PAGE_SIZE / 1024));
	if (t->max_inodes && n < (int)size)
		n += snprintf(buf + n, size - n, ",nr_inodes=%lu", t->max_inodes);
	if (t->mode != 01777 && n < (int)size)
		snprintf(buf + n, size - n, ",mode=%03o", t->mode);
}

static void tmpfs_put_super(struct superblock *sb)
{
	kfree(sb->private);
}

static const struct super_ops tmpfs_super_ops = {
	.evict = tmpfs_evict,
	.reserve_page = tmpfs_reserve_page,
	.unreserve_page = tmpfs_unreserve_page,
	.remount = tmpfs_remount,
	.show_options = tmpfs_show_options,
	.statfs = tmpfs_statfs,
	.put_super = tmpfs_put_super,
};

static int tmpfs_create_root(struct superblock *sb)
{
	struct tmpfs *t = tmpfs_of(sb);
	struct inode *i;
	int err = tmpfs_inode(sb, NULL, NULL, S_IFDIR | t->mode, &i);

	if (err)
		return err;
	i->uid = t->uid;
	i->gid = t->gid;
	return dentry_create_root(sb, i, &sb->root);
}

static int tmpfs_mount(const struct fs_type *type, const char *source, u32 flags, const char *data,
		       struct superblock **out)
{
	struct tmpfs *t = kmalloc(sizeof(*t), KM_ZERO | KM_ACCOUNT);
	struct superblock *sb;
	struct page_stats s;
	int err;

	if (!t)
		return -ENOMEM;
	page_stats(&s);
	*t = (struct tmpfs){ .mode = 01777,
			     .max_blocks = s.total / 2,
			     .uid = current->cred->fsuid,
			     .gid = current->cred->fsgid };
	err = tmpfs_options(t, data);
	if (!err)
		err = superblock_create(type, &tmpfs_super_ops, flags, &sb);
	if (err) {
		kfree(t);
		return err;
	}
	sb->private = t;
	sb->dcache_complete = true;
	err = tmpfs_create_root(sb);
	if (err)
		superblock_put(sb);
	else
		*out = sb;
	return err;
}

const struct fs_type tmpfs_type = { .name = "tmpfs", .mount = tmpfs_mount };
