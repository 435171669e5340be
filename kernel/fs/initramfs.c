/* SPDX-License-Identifier: MIT */
/*
 * initramfs.c - unpacks what the loader passed: cpio archives in the newc format
 * (man 5 cpio, "New ASCII Format"), one after the other, with zeros between
 * them, into /.
 *
 * Each header is 110 characters: a magic and 13 numbers of 8 hexadecimal digits.
 * Name and data are padded to multiples of 4. Names of one file (same inode and
 * device, link count above 1) become hard links; its data comes with one of
 * them. Memory is given to the page allocator as soon as all of a page has been
 * read, so the tree and its archive are never both there in full.
 */
#include "core/printk.h"
#include "fs/internal.h"

#define HEADER_SIZE 110

enum field {
	F_INO,
	F_MODE,
	F_UID,
	F_GID,
	F_NLINK,
	F_MTIME,
	F_SIZE,
	F_DEV_MAJOR,
	F_DEV_MINOR,
	F_RDEV_MAJOR,
	F_RDEV_MINOR,
	F_NAME_SIZE,
	F_CHECK,
	FIELDS
};

struct seen { /* the first name of a file that has several */
	struct seen *next;
	u32 ino, major, minor;
	char name[];
};

struct unpack {
	paddr_t at, end, freed; /* freed: below it the pages are gone */
	u32 f[FIELDS];
	char name[PATH_MAX];
	struct seen *seen;
};

static int field_parse(const char *s, u32 *out)
{
	u32 v = 0;

	for (unsigned i = 0; i < 8; i++) {
		char c = s[i] | 0x20;

		if (c >= '0' && c <= '9')
			v = v * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v * 16 + (c - 'a' + 10);
		else
			return -EINVAL;
	}
	*out = v;
	return 0;
}

static void unpack_free(struct unpack *u)
{
	paddr_t to = ALIGN_DOWN(u->at, PAGE_SIZE);

	if (to > u->freed) {
		page_free_range(u->freed, to);
		u->freed = to;
	}
}

/* Reads a header and its name; at is then at the data. */
static int unpack_header(struct unpack *u)
{
	const char *h = phys_to_virt(u->at);
	u32 n;

	if (u->end - u->at < HEADER_SIZE || memcmp(h, "07070", 5) || (h[5] != '1' && h[5] != '2'))
		return -EINVAL;
	for (unsigned i = 0; i < FIELDS; i++)
		if (field_parse(h + 6 + 8 * i, &u->f[i]))
			return -EINVAL;
	n = u->f[F_NAME_SIZE];
	if (!n || n > sizeof(u->name) || u->end - u->at - HEADER_SIZE < n)
		return -EINVAL;
	memcpy(u->name, h + HEADER_SIZE, n);
	u->name[n - 1] = 0;
	u->at = ALIGN_UP(u->at + HEADER_SIZE + n, 4);
	return u->at <= u->end && u->end - u->at >= u->f[F_SIZE] ? 0 : -EINVAL;
}

static void unpack_attributes(struct unpack *u, struct inode *i)
{
	i->uid = u->f[F_UID];
	i->gid = u->f[F_GID];
	i->mode = (i->mode & S_IFMT) | (u->f[F_MODE] & 07777);
	i->mtime = i->atime = (struct timespec64){ u->f[F_MTIME], 0 };
}

static int unpack_data(struct unpack *u)
{
	u32 left = u->f[F_SIZE];
	struct file *f;
	u64 pos = 0;
	s64 n;
	int err = file_open(AT_FDCWD, u->name, O_WRONLY | O_NOFOLLOW, 0, &f);

	if (err)
		return err;
	while (left) {
		n = file_write_kernel(f, phys_to_virt(u->at), MIN(left, 1u << 20), &pos);
		if (n <= 0) {
			err = n ? (int)n : -EIO;
			break;
		}
		u->at += n;
		left -= n;
		unpack_free(u);
	}
	u->at += left;
	if (!err)
		unpack_attributes(u, f->inode);
	file_put_now(f);
	return err;
}

/* The other name of this file, if it was seen; else notes it. */
static struct seen *unpack_seen(struct unpack *u)
{
	struct seen *s;
	size_t n = strlen(u->name) + 1;

	for (s = u->seen; s; s = s->next)
		if (s->ino == u->f[F_INO] && s->major == u->f[F_DEV_MAJOR] &&
		    s->minor == u->f[F_DEV_MINOR])
			return s;
	s = kmalloc(sizeof(*s) + n, 0);
	if (s) {
		*s = (struct seen){ u->seen, u->f[F_INO], u->f[F_DEV_MAJOR], u->f[F_DEV_MINOR] };
		memcpy(s->name, u->name, n);
		u->seen = s;
	}
	return NULL;
}

static void unpack_forget(struct unpack *u)
{
	while (u->seen) {
		struct seen *s = u->seen;

		u->seen = s->next;
		kfree(s);
	}
}

static int unpack_link(const char *from, struct inode *dir, struct dentry *d)
{
	struct path p;
	int err = path_lookup(AT_FDCWD, from, 0, &p);

	if (err)
		return err;
	err = dir->ops->link(p.dentry->inode, dir, d);
	path_put(p);
	return err;
}

static int unpack_symlink(struct unpack *u, struct inode *dir, struct dentry *d)
{
	u32 n = u->f[F_SIZE];
	char *text;
	int err;

	if (!n || n >= PATH_MAX)
		return -EINVAL;
	text = kmalloc(n + 1, 0);
	if (!text)
		return -ENOMEM;
	memcpy(text, phys_to_virt(u->at), n);
	text[n] = 0;
	err = dir->ops->symlink(NULL, dir, d, text);
	kfree(text);
	return err;
}

/* Makes the name: in `dir`, under its lock. */
static int unpack_make(struct unpack *u, struct inode *dir, struct dentry *d, const char *link)
{
	u32 mode = u->f[F_MODE] & (S_IFMT | 07777);

	if (link)
		return unpack_link(link, dir, d);
	if (S_ISDIR(mode))
		return dir->ops->mkdir(NULL, dir, d, mode);
	if (S_ISREG(mode))
		return dir->ops->create(NULL, dir, d, mode);
	if (S_ISLNK(mode))
		return unpack_symlink(u, dir, d);
	if (mode_is_device(mode) || S_ISFIFO(mode) || S_ISSOCK(mode))
		return dir->ops->mknod(NULL, dir, d, mode,
				       makedev(u->f[F_RDEV_MAJOR], u->f[F_RDEV_MINOR]));
	return -EINVAL;
}

/* A directory that is there keeps its contents; anything else gives way. */
static int unpack_clear_way(struct unpack *u)
{
	struct path p, parent;
	bool directory;
	int err = path_lookup(AT_FDCWD, u->name, 0, &p);

	if (err)
		return err == -ENOENT ? 0 : err;
	directory = S_ISDIR(p.dentry->inode->mode);
	if (directory && S_ISDIR(u->f[F_MODE]))
		unpack_attributes(u, p.dentry->inode);
	if (directory) {
		path_put(p);
		return -EEXIST;
	}
	parent = path_get((struct path){ p.mount, p.dentry->parent });
	mutex_lock(&parent.dentry->inode->lock);
	err = parent.dentry->inode->ops->unlink(parent.dentry->inode, p.dentry);
	if (!err)
		dentry_unhash(p.dentry);
	mutex_unlock(&parent.dentry->inode->lock);
	path_put(p);
	path_put(parent);
	return err;
}

static int unpack_entry(struct unpack *u)
{
	bool regular = S_ISREG(u->f[F_MODE]);
	struct seen *other = regular && u->f[F_NLINK] > 1 ? unpack_seen(u) : NULL;
	struct path parent;
	struct dentry *d;
	int err = unpack_clear_way(u);

	if (err)
		return err == -EEXIST ? 0 : err;
	err = path_create_begin(AT_FDCWD, u->name, S_ISDIR(u->f[F_MODE]), &parent, &d);
	if (err)
		return err;
	err = unpack_make(u, parent.dentry->inode, d, other ? other->name : NULL);
	if (!err && !other)
		unpack_attributes(u, d->inode);
	path_create_end(&parent, d);
	if (!err && regular && u->f[F_SIZE])
		err = unpack_data(u);
	return err;
}

static int unpack_archives(struct unpack *u)
{
	paddr_t after;
	int err;

	while (u->at < u->end) {
		if (!*(const char *)phys_to_virt(u->at)) { /* padding between archives */
			u->at++;
			continue;
		}
		if ((err = unpack_header(u)))
			return err;
		after = ALIGN_UP(u->at + u->f[F_SIZE], 4);
		if (!strcmp(u->name, "TRAILER!!!")) {
			unpack_forget(u);
		} else {
			err = unpack_entry(u);
			if (err == -ENOMEM || err == -ENOSPC)
				return err;
			if (err)
				log_warn("initramfs: %s: error %d\n", u->name, -err);
		}
		u->at = MIN(after, u->end);
		unpack_free(u);
	}
	return 0;
}

int initramfs_unpack(paddr_t start, paddr_t end)
{
	struct unpack *u = kmalloc(sizeof(*u), KM_ZERO);
	int err;

	if (!u)
		return -ENOMEM;
	u->at = start;
	u->end = end;
	u->freed = ALIGN_UP(start, PAGE_SIZE);
	err = unpack_archives(u);
	unpack_forget(u);
	page_free_range(u->freed, ALIGN_UP(end, PAGE_SIZE));
	kfree(u);
	return err;
}
