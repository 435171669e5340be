/* SPDX-License-Identifier: MIT */
/* tree_get.c - files of a volume to the host (contract: tree.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cowfs/image.h"
#include "cowfs/tool.h"
#include "cowfs/tree.h"

#define COPY_BYTES (1u << 20)

static void host_failed(const char *what, const char *path)
{
	tool_fail("cannot %s '%s': %s", what, path, tool_error(errno));
}

static void image_failed(const char *path, int err)
{
	tool_fail("cannot read from the image what is to be '%s': %s", path, tool_error(err));
}

/* What only root may do is left out with a warning. */
static void host_refused(struct tree *t, const char *what, const char *path)
{
	if (errno != EPERM && errno != EACCES && errno != ENOTSUP && errno != EINVAL)
		host_failed(what, path);
	tool_warn("cannot %s '%s': %s", what, path, tool_error(errno));
	t->warnings++;
}

/* --- what a file has --- */

static void get_xattrs(struct tree *t, struct cow_inode *i, const char *host)
{
	static char list[COW_XATTR_MAX], value[COW_XATTR_MAX];
	size_t n, len;
	int err = cow_xattr_list(i, list, sizeof(list), &n);

	for (size_t at = 0; !err && at < n; at += strlen(list + at) + 1) {
		err = cow_xattr_get(i, list + at, value, sizeof(value), &len);
		if (!err && lsetxattr(host, list + at, value, len, 0))
			host_refused(t, "set an attribute of", host);
	}
	if (err)
		image_failed(host, err);
}

static void get_attributes(struct tree *t, struct cow_inode *i, const char *host)
{
	const struct cow_inode_record *r = &i->rec;
	const struct timespec times[2] = { { r->atime.sec, r->atime.nsec },
					   { r->mtime.sec, r->mtime.nsec } };

	if (lchown(host, r->uid, r->gid) && errno != EPERM) /* owners are for root */
		host_failed("set the owner of", host);
	get_xattrs(t, i, host);
	if (!S_ISLNK(r->mode) && chmod(host, r->mode & 07777))
		host_failed("set the mode of", host);
	if (utimensat(AT_FDCWD, host, times, AT_SYMLINK_NOFOLLOW))
		host_failed("set the times of", host);
}

/* --- data --- */

static void get_extent(struct tree *t, struct cow_inode *i, int fd, const char *host, u64 at,
		       u64 end)
{
	static char buf[COPY_BYTES];

	while (at < end) {
		s64 n = cow_file_read(i, at, buf, MIN(end - at, (u64)sizeof(buf)));

		if (n < 0)
			image_failed(host, n);
		if (!n)
			return;
		if (pwrite(fd, buf, n, at) != n)
			host_failed("write", host);
		at += n;
		t->done += n;
		tool_progress("copying", t->done, t->total);
		image_shrink(t->fs);
	}
}

static void get_data(struct tree *t, struct cow_inode *i, const char *host)
{
	int fd = open(host, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), err = 0;
	u64 at = 0, hole;

	if (fd < 0)
		host_failed("make", host);
	while (at < i->rec.size) {
		err = cow_file_seek(i, &at, true);
		if (err)
			break;
		hole = at;
		err = cow_file_seek(i, &hole, false);
		if (err)
			break;
		get_extent(t, i, fd, host, at, hole);
		at = hole;
	}
	if (err && err != -ENXIO)
		image_failed(host, err);
	if (ftruncate(fd, i->rec.size) || close(fd))
		host_failed("write", host);
}

/* --- names --- */

struct names {
	struct name {
		char *text;
		u64 ino;
	} * name;
	size_t count, room;
};

static bool name_add(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	struct names *n = arg;

	(void)type, (void)next;
	/* from a damaged disk: they would lead out of the directory */
	if (memchr(name, '/', len) || (len <= 2 && !memcmp(name, "..", len)))
		tool_fail("a name in the image is not one: '%.*s'; see fsck.cowfs", (int)len, name);
	if (n->count == n->room) {
		n->room = n->room ? 2 * n->room : 64;
		n->name = realloc(n->name, n->room * sizeof(*n->name));
		if (!n->name)
			tool_fail("out of memory");
	}
	n->name[n->count++] = (struct name){ tool_format("%.*s", (int)len, name), ino };
	return true;
}

static void get_directory(struct tree *t, struct cow_inode *dir, const char *host)
{
	struct names n = { 0 };
	struct cow_inode *i;
	struct stat st;
	u64 pos = 0;
	int err;

	if (mkdir(host, 0700) && (errno != EEXIST || stat(host, &st) || !S_ISDIR(st.st_mode)))
		host_failed("make the directory", host);
	err = cow_readdir(dir, &pos, name_add, &n);
	if (err)
		image_failed(host, err);
	for (size_t k = 0; k < n.count; k++) {
		char *path = tool_format("%s/%s", host, n.name[k].text);

		err = cow_inode_get(t->volume, n.name[k].ino, &i);
		if (err)
			image_failed(path, err);
		tree_get(t, i, path);
		cow_inode_put(i);
		free(path);
		free(n.name[k].text);
	}
	free(n.name);
}

static bool get_link(struct tree *t, struct cow_inode *i, const char *host)
{
	const char *other = (const char *)links_find(&t->links, 0, i->ino);

	if (!other) {
		links_add(&t->links, 0, i->ino, (u64)tool_format("%s", host));
		return false;
	}
	if (link(other, host))
		host_failed("link", host);
	return true;
}

static void get_symlink(struct cow_inode *i, const char *host)
{
	char text[COW_PATH_MAX];
	int err = cow_readlink(i, text, sizeof(text));

	if (err < 0)
		image_failed(host, err);
	if (symlink(text, host))
		host_failed("make the link", host);
}

void tree_get(struct tree *t, struct cow_inode *i, const char *host)
{
	struct stat st;

	if (!S_ISDIR(i->rec.mode)) {
		if (!lstat(host, &st) && (S_ISDIR(st.st_mode) || unlink(host)))
			host_failed("replace", host);
		if (i->rec.nlink > 1 && get_link(t, i, host))
			return;
	}
	if (S_ISDIR(i->rec.mode)) {
		get_directory(t, i, host);
	} else if (S_ISREG(i->rec.mode)) {
		get_data(t, i, host);
	} else if (S_ISLNK(i->rec.mode)) {
		get_symlink(i, host);
	} else if (mknod(host, i->rec.mode & (S_IFMT | 0777), i->rec.rdev)) {
		host_refused(t, "make the device", host);
		return;
	}
	get_attributes(t, i, host);
}
