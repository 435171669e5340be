/* SPDX-License-Identifier: MIT */
/*
 * unpack.c - newc archives into a volume (contract: unpack.h).
 *
 * Hard links of an archive are entries of one inode number of which the last has the data; they
 * become one file here, too.
 */
#include "cowfs/unpack.h"

#define HEADER	  110
#define LINKS_MAX 1024
#define S_IFMT_	  0170000u
#define S_IFDIR_  0040000u
#define S_IFREG_  0100000u
#define S_IFLNK_  0120000u

struct entry {
	u32 ino, mode, uid, gid, nlink, mtime, size, major, minor, name_size;
	const char *name, *data;
};

struct links { /* inode number in the archive -> in the volume */
	unsigned count;
	struct {
		u32 from;
		u64 to;
	} seen[LINKS_MAX];
};

static int hex_field(const char *s, u32 *out)
{
	*out = 0;
	for (unsigned i = 0; i < 8; i++) {
		char c = s[i] | 0x20;
		u32 digit = c >= '0' && c <= '9'   ? (u32)(c - '0')
			    : c >= 'a' && c <= 'f' ? (u32)(c - 'a' + 10)
						   : 16;
		if (digit == 16)
			return -EINVAL;
		*out = *out << 4 | digit;
	}
	return 0;
}

/* The entry at `at`: bytes to the next one in *step. */
static int entry_parse(const char *at, size_t left, struct entry *e, size_t *step)
{
	u32 *const field[] = { &e->ino,	 &e->mode, &e->uid, &e->gid,   &e->nlink, &e->mtime,
			       &e->size, NULL,	   NULL,    &e->major, &e->minor, &e->name_size };
	size_t names, whole;

	if (left < HEADER || memcmp(at, "070701", 6))
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(field); i++)
		if (field[i] && hex_field(at + 6 + 8 * i, field[i]))
			return -EINVAL;
	names = ALIGN_UP(HEADER + (size_t)e->name_size, 4);
	whole = names + ALIGN_UP((size_t)e->size, 4);
	if (!e->name_size || whole > left || at[HEADER + e->name_size - 1])
		return -EINVAL;
	e->name = at + HEADER;
	e->data = at + names;
	*step = whole;
	return 0;
}

/* The directory that the last component of *path is in, counted; *path becomes that component. */
static int walk_parent(struct cow_volume *v, const char **path, struct cow_inode **out)
{
	struct cow_inode *dir, *next;
	int err = cow_inode_get(v, COW_ROOT_INO, &dir);
	const char *slash;
	u64 ino;

	while (!err && **path == '/')
		++*path;
	while (!err && (slash = strchr(*path, '/'))) {
		err = cow_lookup(dir, *path, slash - *path, &ino);
		if (!err)
			err = cow_inode_get(v, ino, &next);
		cow_inode_put(dir);
		if (err)
			return err;
		dir = next;
		*path = slash + 1;
	}
	*out = dir;
	return err;
}

/* What has the name already: a directory that stays, or it is removed. 1: a directory stays, in
 * *old. */
static int make_way(struct cow_inode *dir, const char *name, const struct entry *e,
		    struct cow_inode **old)
{
	struct cow_time now;
	u64 ino;
	int err = cow_lookup(dir, name, strlen(name), &ino);

	if (err)
		return err == -ENOENT ? 0 : err;
	err = cow_inode_get(dir->volume, ino, old);
	if (err)
		return err;
	if ((e->mode & S_IFMT_) == S_IFDIR_ && ((*old)->rec.mode & S_IFMT_) == S_IFDIR_)
		return 1;
	cow_now(&now);
	err = cow_unlink(dir, name, strlen(name), *old, &now);
	cow_inode_put(*old);
	return err;
}

static int fill(struct cow_inode *i, const struct entry *e)
{
	const struct cow_time t = { .sec = e->mtime };
	const struct cow_attr a = {
		.valid = COW_ATTR_MODE | COW_ATTR_UID | COW_ATTR_GID | COW_ATTR_MTIME |
			 COW_ATTR_ATIME,
		.mode = e->mode & 07777,
		.uid = e->uid,
		.gid = e->gid,
		.mtime = t,
		.atime = t,
	};
	s64 n = 0;

	if ((e->mode & S_IFMT_) == S_IFREG_ && e->size)
		n = cow_file_write(i, 0, e->data, e->size, &t);
	return n < 0 ? (int)n : cow_setattr(i, &a);
}

static int make(struct cow_inode *dir, const char *name, const struct entry *e,
		struct cow_inode **out)
{
	char text[4096];
	struct cow_new n = {
		.mode = e->mode,
		.uid = e->uid,
		.gid = e->gid,
		.rdev = (e->minor & 0xff) | (u64)e->major << 8 | (e->minor & ~0xffull) << 12,
		.now = { .sec = e->mtime },
	};

	if ((e->mode & S_IFMT_) == S_IFLNK_) {
		if (e->size >= sizeof(text))
			return -ENAMETOOLONG;
		memcpy(text, e->data, e->size);
		text[e->size] = '\0';
		n.link = text;
	}
	return cow_create(dir, name, strlen(name), &n, out);
}

/* A further name of what the archive had before. 0: none is known. */
static u64 link_known(const struct links *l, const struct entry *e)
{
	for (unsigned i = 0; e->nlink > 1 && i < l->count; i++)
		if (l->seen[i].from == e->ino)
			return l->seen[i].to;
	return 0;
}

static int entry_put(struct cow_volume *v, const struct entry *e, struct links *l)
{
	const char *name = e->name;
	const struct cow_time now = { .sec = e->mtime };
	struct cow_inode *dir, *i = NULL;
	u64 known = (e->mode & S_IFMT_) == S_IFDIR_ ? 0 : link_known(l, e);
	int err = walk_parent(v, &name, &dir);

	if (err)
		return err;
	if (!strcmp(name, ".") || !*name) {
		err = fill(dir, e);
		cow_inode_put(dir);
		return err;
	}
	err = make_way(dir, name, e, &i);
	if (!err && known) {
		err = cow_inode_get(v, known, &i);
		if (!err)
			err = cow_link(i, dir, name, strlen(name), &now);
	} else if (!err) {
		err = make(dir, name, e, &i);
		if (!err && e->nlink > 1 && l->count < LINKS_MAX)
			l->seen[l->count].from = e->ino, l->seen[l->count++].to = i->ino;
	}
	if (err >= 0) {
		err = (e->mode & S_IFMT_) == S_IFLNK_ ? 0 : fill(i, e);
		cow_inode_put(i);
	}
	cow_inode_put(dir);
	return err;
}

int unpack_archive(struct cow_volume *v, const char *bytes, size_t size, char where[4096])
{
	static struct links links;
	struct entry e;
	size_t step;
	int err = 0;

	links.count = 0;
	where[0] = '\0';
	while (!err && size) {
		if (!*bytes) { /* padding between archives */
			bytes++, size--;
			continue;
		}
		err = entry_parse(bytes, size, &e, &step);
		if (err)
			break;
		memcpy(where, e.name, MIN((size_t)e.name_size, (size_t)4095));
		where[4095] = '\0';
		if (!strcmp(e.name, "TRAILER!!!"))
			links.count = 0;
		else
			err = entry_put(v, &e, &links);
		bytes += step, size -= step;
	}
	return err;
}
