/* SPDX-License-Identifier: MIT */
/*
 * tree.c - copies a file or a directory tree over a link; tree.h has the contract.
 *
 * A directory is made with u+rwx and gets its mode and time at UP, when nothing
 * is made in it any more.
 */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define TREE_CHUNK (64 * 1024)

/* Precedes the name in DIR, FILE, SYMLINK and NODE; SYMLINK: name, NUL, target. */
struct entry {
	uint32_t mode; /* with the type, as in stat(2) */
	uint32_t rdev_major, rdev_minor;
	uint32_t reserved;
	int64_t mtime;
};
_Static_assert(sizeof(struct entry) == TREE_ENTRY_SIZE, "for those who look at the name");

/* ---- sending ---- */

struct walk {
	struct link *link;
	char path[PATH_MAX + 256];
};

static int send_at(struct walk *w, int dir, const char *at, const char *name, int depth);

static int send_data(struct walk *w, int fd)
{
	static char buf[TREE_CHUNK];

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));
		int err;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : 0;
		err = link_send(w->link, LINK_TREE_DATA, buf, n);
		if (err)
			return err;
	}
}

static int send_children(struct walk *w, int fd, int depth)
{
	size_t len = strlen(w->path);
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int err = 0;

	if (!d) {
		err = -errno;
		close(fd);
		return err;
	}
	while (!err && (errno = 0, e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (len + strlen(e->d_name) + 2 > sizeof(w->path)) {
			err = -ENAMETOOLONG;
			break;
		}
		sprintf(w->path + len, "/%s", e->d_name);
		err = send_at(w, dirfd(d), e->d_name, e->d_name, depth + 1);
		if (!err)
			w->path[len] = 0;
	}
	if (!err && !e)
		err = -errno;
	closedir(d);
	return err ? err : link_send(w->link, LINK_TREE_UP, NULL, 0);
}

static int send_symlink(struct walk *w, int dir, const char *at, const struct entry *e,
			const char *name)
{
	char buf[sizeof(*e) + NAME_MAX + 1 + PATH_MAX];
	size_t len = strlen(name) + 1;
	ssize_t n;

	memcpy(buf, name, len);
	n = readlinkat(dir, at, buf + len, PATH_MAX);
	if (n < 0)
		return -errno;
	return link_send2(w->link, LINK_TREE_SYMLINK, e, sizeof(*e), buf, len + n);
}

static int send_opened(struct walk *w, int dir, const char *at, const struct entry *e,
		       const char *name, int depth)
{
	bool is_dir = S_ISDIR(e->mode);
	/* not to wait for a writer if it has become a pipe meanwhile */
	int fd =
		openat(dir, at,
		       O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (is_dir ? O_DIRECTORY : 0));
	struct stat st;
	int err;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || (st.st_mode & S_IFMT) != (e->mode & S_IFMT)) {
		close(fd);
		return -EAGAIN;
	}
	err = link_send2(w->link, is_dir ? LINK_TREE_DIR : LINK_TREE_FILE, e, sizeof(*e), name,
			 strlen(name));
	if (!err && is_dir)
		return send_children(w, fd, depth);
	if (!err)
		err = send_data(w, fd);
	close(fd);
	return err;
}

static int send_at(struct walk *w, int dir, const char *at, const char *name, int depth)
{
	struct entry e = { 0 };
	struct stat st;

	if (depth >= TREE_DEPTH - 1)
		return -ELOOP;
	if (fstatat(dir, at, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	e.mode = st.st_mode;
	e.mtime = st.st_mtime;
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
		return send_opened(w, dir, at, &e, name, depth);
	if (S_ISLNK(st.st_mode))
		return send_symlink(w, dir, at, &e, name);
	if (S_ISSOCK(st.st_mode))
		return 0;
	e.rdev_major = major(st.st_rdev);
	e.rdev_minor = minor(st.st_rdev);
	return link_send2(w->link, LINK_TREE_NODE, &e, sizeof(e), name, strlen(name));
}

int tree_send(struct link *l, const char *path, const char *dest, char *where)
{
	struct walk w = { .link = l };
	char real[PATH_MAX];
	const char *name;
	struct stat st;
	int err;

	snprintf(w.path, sizeof(w.path), "%s", path);
	snprintf(where, PATH_MAX, "%s", path);
	if (lstat(path, &st))
		return -errno;
	/* "x/" and "." mean the directory: its own name is that of the real path */
	if (S_ISDIR(st.st_mode)) {
		if (!realpath(path, real))
			return -errno;
		path = real;
	}
	name = strrchr(path, '/');
	name = name ? name + 1 : path;
	err = link_send(l, LINK_TREE, dest, strlen(dest));
	if (!err)
		err = send_at(&w, AT_FDCWD, path, *name ? name : "root", 0);
	if (err) {
		snprintf(where, PATH_MAX, "%.*s", PATH_MAX - 1, w.path);
		return err;
	}
	return link_send(l, LINK_TREE_END, NULL, 0);
}

/* ---- receiving ---- */

static int set_times(int fd, int64_t mtime)
{
	struct timespec ts[2] = { { .tv_sec = mtime }, { .tv_sec = mtime } };

	return futimens(fd, ts); /* a filesystem may not keep times: nobody depends on it */
}

static int close_file(struct tree_sink *s)
{
	int err = 0;

	if (s->file <= 0)
		return 0;
	if (fchmod(s->file, s->file_mode & 07777))
		err = -errno;
	set_times(s->file, s->file_mtime);
	close(s->file);
	s->file = -1;
	return err;
}

/* Opens directory `name` in `dir`, making it if it is not there; *made says which. */
static int enter(int dir, const char *name, bool follow, bool *made)
{
	int fd;

	*made = !mkdirat(dir, name, 0700);
	if (!*made && errno != EEXIST)
		return -errno;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
	return fd < 0 ? -errno : fd;
}

static int open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Makes and opens the parent of s->dest; *last is the last component. fd or -errno. */
static int open_parent(struct tree_sink *s, const char **last)
{
	static char base[NAME_MAX + 1];
	char *slash;

	for (char *at = s->dest + 1; *at; at++) {
		if (*at != '/' || !at[1])
			continue;
		*at = 0;
		if (mkdir(s->dest, 0755) && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	slash = strrchr(s->dest, '/');
	*last = slash ? slash + 1 : s->dest;
	if (strlen(*last) >= sizeof(base))
		return -ENAMETOOLONG;
	*last = strcpy(base, *last);
	if (!slash)
		return open_directory(".");
	slash[slash == s->dest] = 0;
	return open_directory(s->dest);
}

static void strip_slashes(char *path)
{
	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = 0;
}

/*
 * Finds the place of the topmost entry: the directory that it is made in goes
 * to dir[0], and *name becomes the name that it gets there.
 */
static int locate(struct tree_sink *s, bool is_dir, const char **name)
{
	size_t len = strlen(s->dest);
	struct stat st;
	int fd;

	if (!is_dir &&
	    ((len && s->dest[len - 1] == '/') || (!stat(s->dest, &st) && S_ISDIR(st.st_mode)))) {
		if (len + 1 + strlen(*name) + 1 > sizeof(s->dest))
			return -ENAMETOOLONG;
		strip_slashes(s->dest);
		strcat(strcat(s->dest, strcmp(s->dest, "/") ? "/" : ""), *name);
	} else {
		strip_slashes(s->dest);
		if (!strcmp(s->dest, "/") || !strcmp(s->dest, ".")) {
			*name = ".";
			s->dir[0] = fd = open_directory(s->dest);
			return fd < 0 ? fd : 0;
		}
	}
	s->dir[0] = fd = open_parent(s, name);
	return fd < 0 ? fd : 0;
}

static int receive_dir(struct tree_sink *s, const struct entry *e, const char *name)
{
	/* what the user named as destination may be a symlink to a directory */
	bool made, follow = s->follow || s->depth == 1;
	int fd = enter(s->dir[s->depth - 1], name, follow, &made);

	if (fd < 0)
		return fd;
	s->dir[s->depth] = fd;
	s->mode[s->depth] = made ? e->mode : 0;
	s->mtime[s->depth] = e->mtime;
	s->depth++;
	return 0;
}

static int receive_file(struct tree_sink *s, const struct entry *e, int dir, const char *name)
{
	if (unlinkat(dir, name, 0) && errno != ENOENT)
		return -errno;
	s->file = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	s->file_mode = e->mode;
	s->file_mtime = e->mtime;
	return s->file < 0 ? -errno : 0;
}

static int receive_symlink(int dir, const char *name, const char *target)
{
	if (unlinkat(dir, name, 0) && errno != ENOENT)
		return -errno;
	return symlinkat(target, dir, name) ? -errno : 0;
}

static int receive_node(const struct entry *e, int dir, const char *name)
{
	if (unlinkat(dir, name, 0) && errno != ENOENT)
		return -errno;
	if (mknodat(dir, name, e->mode & (S_IFMT | 07777), makedev(e->rdev_major, e->rdev_minor)))
		return -errno;
	return 0;
}

static int receive_entry(struct tree_sink *s, const struct link_message *m)
{
	const char *name = m->data + sizeof(struct entry);
	struct entry e;
	int dir, err;

	if (m->len <= sizeof(e) || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EBADMSG;
	memcpy(&e, m->data, sizeof(e));
	if (s->plain)
		e.mode &= ~(uint32_t)(S_ISUID | S_ISGID);
	if (s->plain && (S_ISCHR(e.mode) || S_ISBLK(e.mode))) {
		s->devices += s->depth > 1;
		return s->depth > 1 ? 0 : -EPERM;
	}
	if (s->depth == 0) {
		err = locate(s, m->type == LINK_TREE_DIR, &name);
		if (err)
			return err;
		s->depth = 1;
	} else if (s->depth == 1 || s->depth >= TREE_DEPTH - 1) {
		return -EBADMSG; /* a second entry at the top, or too deep */
	}
	dir = s->dir[s->depth - 1];
	snprintf(s->where, sizeof(s->where), "%s", name);
	if (m->type == LINK_TREE_DIR)
		return receive_dir(s, &e, name);
	if (m->type == LINK_TREE_FILE)
		return receive_file(s, &e, dir, name);
	if (m->type == LINK_TREE_NODE)
		return receive_node(&e, dir, name);
	/* the target follows the name as it was sent, which locate() may have replaced */
	const char *target = memchr(m->data + sizeof(e), 0, m->len - sizeof(e));

	return target ? receive_symlink(dir, name, target + 1) : -EBADMSG;
}

static int receive_up(struct tree_sink *s)
{
	int fd, err = 0;

	if (s->depth < 2)
		return -EBADMSG;
	fd = s->dir[--s->depth];
	if (s->mode[s->depth]) {
		if (fchmod(fd, s->mode[s->depth] & 07777))
			err = -errno;
		set_times(fd, s->mtime[s->depth]);
	}
	close(fd);
	return err;
}

static int receive_begin(struct tree_sink *s, const struct link_message *m)
{
	if (!*s->dest && m->len < sizeof(s->dest))
		memcpy(s->dest, m->data, m->len + 1);
	if (!*s->dest)
		return -EBADMSG;
	s->file = -1;
	s->depth = 0;
	snprintf(s->where, sizeof(s->where), "%s", s->dest);
	return 0;
}

int tree_receive(struct tree_sink *s, const struct link_message *m)
{
	int err = m->type == LINK_TREE_DATA ? 0 : close_file(s);

	if (err)
		return err;
	switch (m->type) {
	case LINK_TREE:
		return receive_begin(s, m);
	case LINK_TREE_DATA:
		return s->file < 0 ? -EBADMSG : write_all(s->file, m->data, m->len);
	case LINK_TREE_UP:
		return receive_up(s);
	case LINK_TREE_END:
		if (s->depth > 1)
			return -EBADMSG;
		tree_sink_destroy(s);
		return 1;
	case LINK_TREE_DIR:
	case LINK_TREE_FILE:
	case LINK_TREE_SYMLINK:
	case LINK_TREE_NODE:
		return receive_entry(s, m);
	default:
		return -EBADMSG;
	}
}

void tree_sink_destroy(struct tree_sink *s)
{
	if (s->file > 0)
		close(s->file);
	s->file = -1;
	while (s->depth > 0)
		close(s->dir[--s->depth]);
}
