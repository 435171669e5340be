/* SPDX-License-Identifier: MIT */
/*
 * vfs_inode.c - inodes of cowfs in memory, their attributes, extended attributes.
 *
 * struct inode, struct cowfs_inode and struct cow_inode come and go together.
 * They are found by (superblock, number), so that all names of a file lead to one
 * inode; the table counts nothing, and who finds one whose count is zero makes
 * another: the core has one cow_inode for both.
 *
 * The inode shows what the core's record says; cowfs_refresh() copies it, under
 * inode->lock, after each change. Two things may be newer in the inode: atime
 * (relatime), and mtime and ctime of a file that was written through page tables;
 * cowfs_write_times() tells the core.
 *
 * Locks: inodes_lock guards the table and the list of all inodes.
 */
#include "fs/cowfs/vfs_internal.h"
#include "fs/xattr_name.h"

#define HASH_BITS 12

static struct hlist inodes[1 << HASH_BITS];	       /* I */
static struct list all_inodes = LIST_INIT(all_inodes); /* I */
static spinlock_t inodes_lock = SPINLOCK_INIT(RANK_INODE_HASH);

static const struct inode_ops file_inode_ops, link_inode_ops;

static struct hlist *bucket_of(const struct superblock *sb, u64 ino)
{
	return &inodes[hash_u64((u64)sb >> 6 ^ ino * 0x9e3779b97f4a7c15ull, HASH_BITS)];
}

static struct inode *table_find(struct superblock *sb, u64 ino)
{
	struct cowfs_inode *c;

	hlist_for_each (c, bucket_of(sb, ino), number_node)
		if (c->inode->sb == sb && c->inode->ino == ino &&
		    ref_get_unless_zero(&c->inode->refs))
			return c->inode;
	return NULL;
}

/* --- life --- */

int cowfs_inode_alloc(struct superblock *sb, struct inode **out)
{
	struct cowfs_inode *c = kmalloc(sizeof(*c), KM_ZERO | KM_ACCOUNT);
	int err;

	if (!c)
		return -ENOMEM;
	err = inode_create(sb, 0, out);
	if (err) {
		kfree(c);
		return err;
	}
	c->inode = *out;
	c->ahead_next = UINT64_MAX;
	list_init(&c->all_node);
	(*out)->private = c;
	return 0;
}

static struct timespec64 timespec_of(struct cow_time t)
{
	return (struct timespec64){ t.sec, t.nsec };
}

static bool is_before(struct cow_time a, struct timespec64 b)
{
	return a.sec < b.sec || (a.sec == b.sec && (s64)a.nsec < b.nsec);
}

void cowfs_refresh(struct inode *i)
{
	const struct cow_inode_record *r = &core_of(i)->rec;

	i->mode = r->mode;
	i->uid = r->uid;
	i->gid = r->gid;
	i->nlink = r->nlink;
	WRITE_ONCE(i->size, r->size);
	i->blocks = r->blocks * (COW_BLOCK / 512);
	if (cowfs_of(i)->times_dirty && is_before(r->mtime, i->mtime))
		return; /* and so is ctime */
	i->mtime = timespec_of(r->mtime);
	i->ctime = timespec_of(r->ctime);
	cowfs_of(i)->times_dirty = false;
}

static void set_ops(struct inode *i)
{
	i->ops = &file_inode_ops;
	if (S_ISREG(i->mode)) {
		i->file_ops = &cowfs_file_ops;
		i->mapping = &i->own_mapping;
		i->mapping->ops = &cowfs_mapping_ops;
	} else if (S_ISDIR(i->mode)) {
		i->ops = &cowfs_dir_inode_ops;
		i->file_ops = &cowfs_dir_ops;
	} else if (S_ISLNK(i->mode)) {
		i->ops = &link_inode_ops;
	}
}

static void inode_fill(struct inode *i, struct cow_inode *core)
{
	struct cowfs_inode *c = cowfs_of(i);

	c->core = core;
	i->ino = core->ino;
	i->rdev = core->rec.rdev;
	i->atime = timespec_of(core->rec.atime);
	i->btime = timespec_of(core->rec.btime);
	cowfs_refresh(i);
	set_ops(i);
}

/* Under inodes_lock. From here on i is whom cowfs_protect() is told of. */
static void table_insert(struct inode *i)
{
	core_of(i)->private = cowfs_of(i);
	hlist_push(bucket_of(i->sb, i->ino), &cowfs_of(i)->number_node);
	list_append(&all_inodes, &cowfs_of(i)->all_node);
}

void cowfs_inode_set(struct inode *i, struct cow_inode *core)
{
	inode_fill(i, core);
	spin_lock(&inodes_lock);
	table_insert(i);
	spin_unlock(&inodes_lock);
}

/* A symbolic link's text never changes, and walks read it without locks. */
static int read_link(struct inode *i)
{
	int err;

	if (!S_ISLNK(i->mode))
		return 0;
	if (i->size >= PATH_MAX)
		return -EIO;
	i->link_text = kmalloc(i->size + 1, KM_ACCOUNT);
	if (!i->link_text)
		return -ENOMEM;
	err = cow_readlink(core_of(i), i->link_text, i->size + 1);
	if (!err && strlen(i->link_text) != i->size)
		err = -EIO;
	return err;
}

static int inode_load(struct superblock *sb, u64 ino, struct inode **out)
{
	struct cow_inode *core;
	struct inode *i;
	int err = cowfs_inode_alloc(sb, &i);

	if (err)
		return err;
	err = cow_inode_get(cowfs_super_of(sb)->volume, ino, &core);
	if (err) {
		inode_put(i);
		return err == -ENOENT || err == -ESTALE ? -EIO : err;
	}
	inode_fill(i, core);
	err = read_link(i);
	if (err)
		inode_put(i);
	*out = i;
	return err;
}

int cowfs_inode_get(struct superblock *sb, u64 ino, struct inode **out)
{
	struct inode *i, *other;
	int err;

	spin_lock(&inodes_lock);
	*out = table_find(sb, ino);
	spin_unlock(&inodes_lock);
	if (*out)
		return 0;
	err = inode_load(sb, ino, &i);
	if (err)
		return err;
	spin_lock(&inodes_lock);
	other = table_find(sb, ino);
	if (!other)
		table_insert(i);
	spin_unlock(&inodes_lock);
	if (other)
		inode_put(i);
	*out = other ? other : i;
	return 0;
}

void cowfs_evict(struct inode *i)
{
	struct cowfs_inode *c = cowfs_of(i);

	if (c->mapped)
		cowfs_unmapped(i);
	spin_lock(&inodes_lock);
	if (!list_empty(&c->all_node)) {
		hlist_remove(&c->number_node);
		list_remove(&c->all_node);
	}
	spin_unlock(&inodes_lock);
	if (c->core) {
		if (i->nlink)
			(void)cowfs_write_times(i);
		cow_inode_put(c->core);
	}
	kfree(c);
	i->private = NULL;
}

/* Files that nobody has touched for longest come first: each look moves one to the end. */
u64 cowfs_inodes_shrink(u64 pages, bool mapped)
{
	u64 freed = 0, looks = 0, max;
	struct cowfs_inode *c;

	for (max = UINT64_MAX; freed < pages && looks < max; looks++) {
		spin_lock(&inodes_lock);
		if (looks == 0) {
			max = 0;
			list_for_each (c, &all_inodes, all_node)
				max++;
		}
		if (!max) {
			spin_unlock(&inodes_lock);
			break;
		}
		c = list_first(&all_inodes, struct cowfs_inode, all_node);
		list_remove(&c->all_node);
		list_append(&all_inodes, &c->all_node);
		if (!c->inode->own_mapping.pages.count || !ref_get_unless_zero(&c->inode->refs))
			c = NULL;
		spin_unlock(&inodes_lock);
		if (!c)
			continue;
		freed += mapping_shrink(&c->inode->own_mapping, pages - freed, mapped);
		inode_put(c->inode);
		resched_point();
	}
	return freed;
}

/* --- attributes --- */

static bool time_differs(struct timespec64 a, struct cow_time b)
{
	return a.sec != b.sec || a.nsec != (s64)b.nsec;
}

int cowfs_write_times(struct inode *i)
{
	const struct cow_inode_record *r = &core_of(i)->rec;
	struct cowfs_inode *c = cowfs_of(i);
	struct cow_attr a = { .atime = cow_time_of(i->atime) };
	int err;

	if (i->sb->flags & MS_RDONLY)
		return 0;
	if (time_differs(i->atime, r->atime))
		a.valid |= COW_ATTR_ATIME;
	if (c->times_dirty) {
		a.valid |= COW_ATTR_MTIME | COW_ATTR_CTIME;
		a.mtime = cow_time_of(i->mtime);
		a.ctime = cow_time_of(i->ctime);
	}
	if (!a.valid)
		return 0;
	err = cow_setattr(c->core, &a);
	if (!err)
		c->times_dirty = false;
	return err;
}

int cowfs_setattr(struct inode *i, const struct iattr *a)
{
	u32 mode = a->valid & ATTR_MODE ? a->mode & 07777 : i->mode & 07777;
	struct cow_attr c = {
		.mode = mode,
		.uid = a->uid,
		.gid = a->gid,
		.atime = cow_time_of(a->valid & ATTR_ATIME ? a->atime : i->atime),
		.mtime = cow_time_of(a->mtime),
		.ctime = cow_time_of(a->ctime),
	};
	int err = 0;

	if (a->valid & ATTR_SIZE)
		err = S_ISREG(i->mode) ? cowfs_truncate(i, a->size) : -EINVAL;
	if (err)
		return err;
	/* i->mode may be ahead of the record: inode_remove_suid changes it in memory */
	c.valid = (a->valid & ATTR_UID ? COW_ATTR_UID : 0) |
		  (a->valid & ATTR_GID ? COW_ATTR_GID : 0) |
		  (mode != (core_of(i)->rec.mode & 07777) ? COW_ATTR_MODE : 0) | COW_ATTR_ATIME |
		  (a->valid & ATTR_MTIME ? COW_ATTR_MTIME : 0) |
		  (a->valid & ATTR_CTIME ? COW_ATTR_CTIME : 0);
	err = cow_setattr(core_of(i), &c);
	if (err)
		return err;
	inode_attr_copy(i, a);
	i->mode = core_of(i)->rec.mode;
	return 0;
}

static int cowfs_readlink(struct inode *i, char *buf, size_t size)
{
	strlcpy(buf, i->link_text, size);
	return 0;
}

static const struct inode_ops file_inode_ops = {
	.setattr = cowfs_setattr,
	COWFS_XATTR_OPS,
};

static const struct inode_ops link_inode_ops = {
	.readlink = cowfs_readlink,
	.setattr = cowfs_setattr,
	COWFS_XATTR_OPS,
};

/* --- extended attributes; the name spaces are fs/xattr.c's --- */

int cowfs_getxattr(struct inode *i, const char *name, void *buf, size_t size, size_t *len)
{
	return cow_xattr_get(core_of(i), name, buf, size, len);
}

int cowfs_setxattr(struct inode *i, const char *name, const void *v, size_t n, int flags)
{
	struct cow_time now = cowfs_now();

	return cow_xattr_set(core_of(i), name, v, n, flags, &now);
}

int cowfs_removexattr(struct inode *i, const char *name)
{
	struct cow_time now = cowfs_now();

	return cow_xattr_remove(core_of(i), name, &now);
}

int cowfs_listxattr(struct inode *i, char *buf, size_t size, size_t *len)
{
	char *names;
	int err = cow_xattr_list(core_of(i), NULL, 0, len);

	if (err || !*len)
		return err;
	names = kmalloc(*len, KM_ACCOUNT);
	if (!names)
		return -ENOMEM;
	err = cow_xattr_list(core_of(i), names, *len, len);
	if (!err && !inode_may_unmapped(i, CAP_SYS_ADMIN))
		*len = xattr_list_without_trusted(names, *len);
	if (!err && size && *len > size)
		err = -ERANGE;
	if (!err && size)
		memcpy(buf, names, *len);
	kfree(names);
	return err;
}
