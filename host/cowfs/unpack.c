/* SPDX-License-Identifier: MIT */
/*
 * unpack.c - newc archives into a volume (contract: unpack.h).
 *
 * Hard links of an archive are entries of one inode number of which the last has the data; they
 * become one file here, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cowfs/image.h"
#include "cowfs/links.h"
#include "cowfs/tool.h"
#include "cowfs/unpack.h"

#define HEADER 110
#define STAMP  "trusted.skerry.archive"

struct entry {
	u32 ino, mode, uid, gid, nlink, mtime, size, major, minor, name_size;
	const char *name, *data;
};

struct unpack {
	struct cow_volume *volume;
	const struct unpack_options *options;
	struct links links; /* inode number in the archive -> in the volume */
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
	while (*e->name == '/' || !strncmp(e->name, "./", 2))
		e->name += 1 + (*e->name == '.');
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
		err = S_ISDIR(dir->rec.mode) ? cow_lookup(dir, *path, slash - *path, &ino)
					     : -ENOTDIR;
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

static bool kept(const struct unpack_options *o, const char *path)
{
	for (unsigned k = 0; k < o->keep_count; k++) {
		size_t n = strlen(o->keep[k]);

		if (!strncmp(path, o->keep[k], n) && (!path[n] || path[n] == '/'))
			return true;
	}
	return false;
}

/* What has the name already, *old: STAYS as it is, is a directory that TAKES the archive's mode, or
 * GIVES way. */
enum verdict { GIVES, TAKES, STAYS };

static enum verdict judge(const struct unpack *u, const struct entry *e,
			  const struct cow_inode *old)
{
	if (kept(u->options, e->name))
		return STAYS;
	return (e->mode & S_IFMT) == S_IFDIR && (old->rec.mode & S_IFMT) == S_IFDIR ? TAKES : GIVES;
}

/* 0, or the verdict that *old, counted, is no longer in the way, or -errno. */
static int make_way(struct unpack *u, struct cow_inode *dir, const char *name,
		    const struct entry *e, struct cow_inode **old)
{
	enum verdict verdict;
	u64 ino;
	int err = cow_lookup(dir, name, strlen(name), &ino);

	if (err)
		return err == -ENOENT ? 0 : err;
	err = cow_inode_get(dir->volume, ino, old);
	if (err)
		return err;
	verdict = judge(u, e, *old);
	if (verdict != GIVES)
		return verdict;
	err = cow_unlink(dir, name, strlen(name), *old, &u->options->now);
	cow_inode_put(*old);
	return err;
}

static int fill(struct unpack *u, struct cow_inode *i, const struct entry *e)
{
	const struct cow_time t = { .sec = e->mtime };
	const struct cow_attr a = {
		.valid = COW_ATTR_MODE | COW_ATTR_UID | COW_ATTR_GID | COW_ATTR_MTIME |
			 COW_ATTR_ATIME | COW_ATTR_CTIME,
		.mode = e->mode & 07777,
		.uid = e->uid,
		.gid = e->gid,
		.mtime = t,
		.atime = t,
		.ctime = u->options->now,
	};
	s64 n = 0;

	if ((e->mode & S_IFMT) == S_IFREG && e->size)
		n = cow_file_write(i, 0, e->data, e->size, &t);
	return n < 0 ? (int)n : cow_setattr(i, &a);
}

static int make(struct unpack *u, struct cow_inode *dir, const char *name, const struct entry *e,
		struct cow_inode **out)
{
	char text[4096];
	struct cow_new n = {
		.mode = e->mode,
		.uid = e->uid,
		.gid = e->gid,
		.rdev = (e->minor & 0xff) | (u64)e->major << 8 | (e->minor & ~0xffull) << 12,
		.now = u->options->now,
	};

	if ((e->mode & S_IFMT) == S_IFLNK) {
		if (e->size >= sizeof(text))
			return -ENAMETOOLONG;
		memcpy(text, e->data, e->size);
		text[e->size] = '\0';
		n.link = text;
	}
	return cow_create(dir, name, strlen(name), &n, out);
}

/* The name is free: makes what it stands for, or a further name of what the archive had before. */
static int make_or_link(struct unpack *u, struct cow_inode *dir, const char *name,
			const struct entry *e, struct cow_inode **out)
{
	bool several = e->nlink > 1 && (e->mode & S_IFMT) != S_IFDIR;
	u64 known = several ? links_find(&u->links, 0, e->ino) : 0;
	int err;

	if (known) {
		err = cow_inode_get(u->volume, known, out);
		if (!err)
			err = cow_link(*out, dir, name, strlen(name), &u->options->now);
		return err;
	}
	err = make(u, dir, name, e, out);
	if (!err && several)
		links_add(&u->links, 0, e->ino, (*out)->ino);
	return err;
}

static int entry_put_in(struct unpack *u, struct cow_inode *dir, const char *name,
			const struct entry *e)
{
	struct cow_inode *i = NULL;
	int err = make_way(u, dir, name, e, &i), verdict = err;

	if (!err)
		err = make_or_link(u, dir, name, e, &i);
	if (err < 0)
		return err;
	err = verdict == STAYS || (e->mode & S_IFMT) == S_IFLNK ? 0 : fill(u, i, e);
	cow_inode_put(i);
	return err;
}

static int entry_put(struct unpack *u, const struct entry *e)
{
	const char *name = e->name;
	struct cow_inode *dir;
	int err = walk_parent(u->volume, &name, &dir);

	if (err == -ENOTDIR && kept(u->options, e->name))
		return 0; /* the user has something else where the archive has a directory */
	if (err)
		return err;
	if (!strcmp(name, ".") || !*name)
		err = fill(u, dir, e);
	else
		err = entry_put_in(u, dir, name, e);
	cow_inode_put(dir);
	return err;
}

int unpack_archive(struct cow_volume *v, const char *bytes, size_t size,
		   const struct unpack_options *o, char where[4096])
{
	struct unpack u = { .volume = v, .options = o };
	size_t step, whole = size;
	struct entry e;
	int err = 0;

	where[0] = '\0';
	while (!err && size) {
		if (!*bytes) { /* padding between archives */
			bytes++, size--;
			continue;
		}
		err = entry_parse(bytes, size, &e, &step);
		if (err)
			break;
		snprintf(where, 4096, "%s", e.name);
		if (!strcmp(e.name, "TRAILER!!!"))
			links_clear(&u.links);
		else
			err = entry_put(&u, &e);
		bytes += step, size -= step;
		tool_progress("unpacking", whole - size, whole);
		image_shrink(u.options->fs);
	}
	links_clear(&u.links);
	return err;
}

s64 unpack_newest(const char *bytes, size_t size)
{
	struct entry e;
	s64 newest = 0;
	size_t step;

	for (; size; bytes += step, size -= step) {
		step = 1;
		if (!*bytes)
			continue;
		if (entry_parse(bytes, size, &e, &step))
			break;
		newest = MAX(newest, (s64)e.mtime);
	}
	return newest;
}

/* --- the stamp --- */

static void stamp_text(const char *bytes, size_t size, char text[17])
{
	snprintf(text, 17, "%016lx", (unsigned long)cow_checksum(bytes, size));
}

bool unpack_stamped(struct cow_volume *v, const char *bytes, size_t size)
{
	char want[17], have[16];
	struct cow_inode *root;
	size_t n;
	int err = cow_inode_get(v, COW_ROOT_INO, &root);

	if (err)
		return false;
	stamp_text(bytes, size, want);
	err = cow_xattr_get(root, STAMP, have, sizeof(have), &n);
	cow_inode_put(root);
	return !err && n == sizeof(have) && !memcmp(want, have, n);
}

int unpack_stamp(struct cow_volume *v, const char *bytes, size_t size, const struct cow_time *now)
{
	struct cow_inode *root;
	char text[17];
	int err = cow_inode_get(v, COW_ROOT_INO, &root);

	if (err)
		return err;
	stamp_text(bytes, size, text);
	err = cow_xattr_set(root, STAMP, text, 16, 0, now);
	cow_inode_put(root);
	return err;
}

char *unpack_read(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *bytes;

	if (fd < 0 || fstat(fd, &st))
		tool_fail("cannot read the archive '%s': %s", path, tool_error(errno));
	if (!S_ISREG(st.st_mode) || !st.st_size)
		tool_fail("the archive '%s' is not a file, or empty", path);
	bytes = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		tool_fail("cannot read the archive '%s': %s", path, tool_error(errno));
	close(fd);
	*size = st.st_size;
	return bytes;
}
