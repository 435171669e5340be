/* SPDX-License-Identifier: MIT */
/* tree_put.c - the host's files into a volume (contract: tree.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cowfs/image.h"
#include "cowfs/path.h"
#include "cowfs/tool.h"
#include "cowfs/tree.h"

#define COPY_BYTES (1u << 20)

static void host_failed(const char *what, const char *path)
{
	tool_fail("cannot %s '%s': %s", what, path, tool_error(errno));
}

static void image_failed(const char *path, int err)
{
	tool_fail("cannot put '%s' into the image: %s%s", path, tool_error(err),
		  err == -ENOSPC ? "; make a larger one (mkfs.cowfs -s SIZE)" : "");
}

static struct cow_time time_of(const struct timespec *t)
{
	return (struct cow_time){ .sec = t->tv_sec, .nsec = t->tv_nsec };
}

/* --- directories of the host, in order of names --- */

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
}

static int list_names(const char *host, struct dirent ***names)
{
	int n = scandir(host, names, no_dots, by_bytes);

	if (n < 0)
		host_failed("read the directory", host);
	return n;
}

static bool time_later(const struct cow_time *a, const struct cow_time *b)
{
	return a->sec != b->sec ? a->sec > b->sec : a->nsec > b->nsec;
}

void tree_scan(const char *host, struct tree_scan *s)
{
	const char *name = strrchr(host, '/');
	struct dirent **names;
	struct cow_time t;
	struct stat st;
	u64 sum[8];

	if (lstat(host, &st))
		host_failed("look at", host);
	t = time_of(&st.st_mtim);
	if (time_later(&t, &s->newest))
		s->newest = t;
	sum[0] = s->hash, sum[1] = st.st_mode, sum[2] = (u64)st.st_uid << 32 | st.st_gid;
	sum[3] = S_ISDIR(st.st_mode) ? 0 : st.st_size;
	sum[4] = t.sec, sum[5] = t.nsec, sum[6] = st.st_rdev;
	sum[7] = s->files && name ? cow_checksum(name, strlen(name)) : 0;
	s->hash = cow_checksum(sum, sizeof(sum));
	s->files++;
	if (S_ISREG(st.st_mode))
		s->bytes += (u64)st.st_blocks << 9;
	if (!S_ISDIR(st.st_mode))
		return;
	for (int i = 0, n = list_names(host, &names); i < n; i++) {
		char *path = tool_format("%s/%s", host, names[i]->d_name);

		tree_scan(path, s);
		free(path);
		free(names[i]);
		if (i == n - 1)
			free(names);
	}
}

/* --- what a file has --- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_xattr(struct tree *t, const char *host, const char *name, struct cow_inode *i)
{
	static char value[COW_XATTR_MAX];
	ssize_t n = lgetxattr(host, name, value, sizeof(value));
	int err;

	if (n < 0)
		host_failed(name, host);
	err = cow_xattr_set(i, name, value, n, 0, &t->now);
	if (err)
		image_failed(host, err);
}

static void put_xattrs(struct tree *t, const char *host, struct cow_inode *i)
{
	static char list[COW_XATTR_MAX];
	char *names[COW_XATTR_MAX / 2];
	ssize_t n = llistxattr(host, list, sizeof(list));
	size_t count = 0;

	if (n < 0 && errno != ENOTSUP)
		host_failed("list the attributes of", host);
	for (ssize_t at = 0; at < n; at += strlen(list + at) + 1)
		names[count++] = list + at;
	qsort(names, count, sizeof(*names), by_text);
	for (size_t k = 0; k < count; k++)
		put_xattr(t, host, names[k], i);
}

static void put_attributes(struct tree *t, const char *host, const struct stat *st,
			   struct cow_inode *i)
{
	const struct cow_attr a = {
		.valid = COW_ATTR_MODE | COW_ATTR_UID | COW_ATTR_GID | COW_ATTR_ATIME |
			 COW_ATTR_MTIME | COW_ATTR_CTIME,
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.atime = time_of(&st->st_mtim),
		.mtime = time_of(&st->st_mtim),
		.ctime = t->now,
	};
	int err;

	put_xattrs(t, host, i);
	err = cow_setattr(i, &a);
	if (err)
		image_failed(host, err);
}

/* --- data --- */

/* Whole blocks of zeros stay holes. */
static void put_bytes(struct tree *t, const char *host, struct cow_inode *i, u64 at,
		      const char *buf, size_t n)
{
	static const char zeros[COW_BLOCK];

	for (size_t from = 0; from < n;) {
		size_t len = MIN((size_t)COW_BLOCK - (at + from) % COW_BLOCK, n - from);
		s64 done;

		if (memcmp(buf + from, zeros, len)) {
			done = cow_file_write(i, at + from, buf + from, len, &t->now);
			if (done < 0)
				image_failed(host, done);
		}
		from += len;
	}
	t->done += n;
	tool_progress("copying", t->done, t->total);
	image_shrink(t->fs);
}

static void put_extent(struct tree *t, const char *host, int fd, struct cow_inode *i, u64 at,
		       u64 end)
{
	static char buf[COPY_BYTES];

	while (at < end) {
		ssize_t n = pread(fd, buf, MIN(end - at, (u64)sizeof(buf)), at);

		if (n < 0)
			host_failed("read", host);
		if (!n)
			return;
		put_bytes(t, host, i, at, buf, n);
		at += n;
	}
}

static void put_data(struct tree *t, const char *host, struct cow_inode *i)
{
	int fd = open(host, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), err;
	off_t at = 0, hole;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		host_failed("read", host);
	while (at < st.st_size) {
		at = lseek(fd, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			break;
		hole = at < 0 ? -1 : lseek(fd, at, SEEK_HOLE);
		if (at < 0 || hole < 0) /* a filesystem that does not know */
			at = MAX(at, 0l), hole = st.st_size;
		put_extent(t, host, fd, i, at, hole);
		at = hole;
	}
	close(fd);
	err = cow_file_truncate(i, st.st_size, &t->now);
	if (err)
		image_failed(host, err);
}

/* --- names --- */

/* Removes what is in dir, and then dir's names are none. */
struct first {
	char name[COW_NAME_MAX + 1];
	u64 ino;
};

static bool take_first(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	struct first *f = arg;

	(void)type, (void)next;
	if (f->ino)
		return false;
	memcpy(f->name, name, len);
	f->name[len] = '\0';
	f->ino = ino;
	return true;
}

static int remove_all(struct tree *t, struct cow_inode *dir, const char *name, u64 ino)
{
	struct first f;
	struct cow_inode *i;
	u64 pos;
	int err = cow_inode_get(t->volume, ino, &i);

	if (err)
		return err;
	while (!err && S_ISDIR(i->rec.mode)) {
		f.ino = pos = 0;
		err = cow_readdir(i, &pos, take_first, &f);
		if (err || !f.ino)
			break;
		err = remove_all(t, i, f.name, f.ino);
	}
	if (!err)
		err = cow_unlink(dir, name, strlen(name), i, &t->now);
	cow_inode_put(i);
	return err;
}

/* The directory that stays, counted, or NULL: the name is free. */
static struct cow_inode *make_way(struct tree *t, const char *host, const struct stat *st,
				  struct cow_inode *dir, const char *name)
{
	struct cow_inode *old = NULL;
	u64 ino;
	int err = cow_lookup(dir, name, strlen(name), &ino);

	if (err == -ENOENT)
		return NULL;
	if (!err)
		err = cow_inode_get(t->volume, ino, &old);
	if (!err && S_ISDIR(st->st_mode) && S_ISDIR(old->rec.mode))
		return old;
	if (!err) {
		cow_inode_put(old);
		err = remove_all(t, dir, name, ino);
	}
	if (err)
		image_failed(host, err);
	return NULL;
}

static struct cow_inode *make(struct tree *t, const char *host, const struct stat *st,
			      struct cow_inode *dir, const char *name)
{
	char text[COW_PATH_MAX];
	struct cow_new n = { .mode = st->st_mode,
			     .uid = st->st_uid,
			     .gid = st->st_gid,
			     .rdev = st->st_rdev,
			     .now = t->now };
	struct cow_inode *i;
	ssize_t len;
	int err;

	if (S_ISLNK(st->st_mode)) {
		len = readlink(host, text, sizeof(text) - 1);
		if (len < 0)
			host_failed("read the link", host);
		text[len] = '\0';
		n.link = text;
	}
	err = cow_create(dir, name, strlen(name), &n, &i);
	if (err)
		image_failed(host, err);
	return i;
}

/* A further name of what was put already. */
static bool put_link(struct tree *t, const char *host, const struct stat *st, struct cow_inode *dir,
		     const char *name)
{
	u64 ino = st->st_nlink > 1 ? links_find(&t->links, st->st_dev, st->st_ino) : 0;
	const struct cow_attr a = { .valid = COW_ATTR_CTIME, .ctime = t->now };
	struct cow_inode *i;
	int err;

	if (!ino || S_ISDIR(st->st_mode))
		return false;
	err = cow_inode_get(t->volume, ino, &i);
	if (!err)
		err = cow_link(i, dir, name, strlen(name), &t->now);
	if (!err)
		err = cow_setattr(i, &a);
	if (err)
		image_failed(host, err);
	cow_inode_put(i);
	return true;
}

void tree_put(struct tree *t, const char *host, struct cow_inode *dir, const char *name)
{
	struct cow_inode *i;
	struct stat st;

	if (lstat(host, &st))
		host_failed("look at", host);
	i = make_way(t, host, &st, dir, name);
	if (!i && put_link(t, host, &st, dir, name))
		return;
	if (!i)
		i = make(t, host, &st, dir, name);
	if (st.st_nlink > 1 && !S_ISDIR(st.st_mode))
		links_add(&t->links, st.st_dev, st.st_ino, i->ino);
	if (S_ISDIR(st.st_mode)) {
		tree_put_contents(t, host, i);
	} else {
		if (S_ISREG(st.st_mode))
			put_data(t, host, i);
		put_attributes(t, host, &st, i);
	}
	cow_inode_put(i);
}

void tree_put_contents(struct tree *t, const char *host, struct cow_inode *dir)
{
	struct dirent **names;
	struct stat st;
	int n;

	if (stat(host, &st))
		host_failed("look at", host);
	n = list_names(host, &names);
	for (int k = 0; k < n; k++) {
		char *path = tool_format("%s/%s", host, names[k]->d_name);

		tree_put(t, path, dir, names[k]->d_name);
		free(path);
		free(names[k]);
	}
	free(names);
	put_attributes(t, host, &st, dir);
}
