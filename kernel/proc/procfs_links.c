/* SPDX-License-Identifier: MIT */
/*
 * procfs_links.c - what a process holds open, as links in /proc/PID: exe, root, cwd
 * and fd/N (man 5 proc). They are followed to the object itself, not by their text.
 *
 * The object of fd/N is a small struct that names process and descriptor.
 */
#include "core/errno.h"
#include "lib/string.h"
#include "mm/aspace.h"
#include "proc/procfs.h"
#include "fs/context.h"
#include "fs/fdtable.h"
#include "mm/slab.h"

static int path_text(const struct path *p, char *buf, size_t size)
{
	struct path root;
	char *text, *start;
	int err;

	text = kmalloc(PATH_MAX, KM_ACCOUNT);
	if (!text)
		return -ENOMEM;
	fs_context_root(current->fs, &root);
	err = path_to_string(p, &root, text, PATH_MAX, &start);
	path_put(root);
	if (!err)
		strlcpy(buf, start, size);
	kfree(text);
	return err;
}

static int read_through(int (*follow)(void *object, struct path *out), void *object, char *buf,
			size_t size)
{
	struct path p;
	int err = follow(object, &p);

	if (err)
		return err;
	err = path_text(&p, buf, size);
	path_put(p);
	return err;
}

int procfs_follow_exe(void *object, struct path *out)
{
	struct aspace *as;
	bool found;

	if (!process_may_look(object))
		return -EACCES;
	as = procfs_process_aspace(object);
	if (!as)
		return -ENOENT;
	found = as->exe;
	if (found)
		*out = path_get(as->exe->path);
	aspace_put(as);
	return found ? 0 : -ENOENT;
}

static int follow_context(void *object, bool root, struct path *out)
{
	struct task *t;
	struct fs_context *fs;

	if (!process_may_look(object))
		return -EACCES;
	t = procfs_process_task(object);
	fs = t ? task_fs(t) : NULL;
	if (t)
		task_put(t);
	if (!fs)
		return -ENOENT;
	if (root)
		fs_context_root(fs, out);
	else
		fs_context_cwd(fs, out);
	fs_context_put(fs);
	return 0;
}

int procfs_follow_root(void *object, struct path *out)
{
	return follow_context(object, true, out);
}

int procfs_follow_cwd(void *object, struct path *out)
{
	return follow_context(object, false, out);
}

int procfs_read_exe(void *object, char *buf, size_t size)
{
	return read_through(procfs_follow_exe, object, buf, size);
}

int procfs_read_root(void *object, char *buf, size_t size)
{
	return read_through(procfs_follow_root, object, buf, size);
}

int procfs_read_cwd(void *object, char *buf, size_t size)
{
	return read_through(procfs_follow_cwd, object, buf, size);
}

/* --- fd --- */

struct fd_node {
	ref_t refs;
	struct process *process;
	u32 fd;
};

static void fd_node_put(void *object)
{
	struct fd_node *n = object;

	if (!ref_put(&n->refs))
		return;
	process_put(n->process);
	kfree(n);
}

/* The file behind descriptor *fd or the next one, counted. */
static bool process_fd(struct process *p, u32 *fd, struct file **out)
{
	struct task *t = procfs_process_task(p);
	struct fd_table *files = t ? task_files(t) : NULL;
	bool found = files && fd_table_next(files, fd, out);

	if (files)
		fd_table_put(files);
	if (t)
		task_put(t);
	return found;
}

static int fd_file(struct fd_node *n, struct file **out)
{
	u32 fd = n->fd;

	if (!process_may_look(n->process))
		return -EACCES;
	if (!process_fd(n->process, &fd, out))
		return -ENOENT;
	if (fd == n->fd)
		return 0;
	file_put(*out);
	return -ENOENT;
}

static int fd_follow(void *object, struct path *out)
{
	struct file *f;
	int err = fd_file(object, &f);

	if (err)
		return err;
	*out = path_get(f->path);
	file_put(f);
	return 0;
}

static int fd_readlink(void *object, char *buf, size_t size)
{
	return read_through(fd_follow, object, buf, size);
}

static const struct pseudo_dir_ops fd_node_ops = { .put = fd_node_put };

int procfs_fd_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e,
		     void **child)
{
	struct fd_node *n;
	struct file *f;
	u64 number;
	u32 fd;

	if (name[0] < '0' || name[0] > '9' || (name[0] == '0' && len > 1) ||
	    parse_u64(name, &number) || number > INT32_MAX)
		return -ENOENT;
	fd = number;
	if (!process_may_look(object))
		return -EACCES;
	if (!process_fd(object, &fd, &f))
		return -ENOENT;
	file_put(f);
	if (fd != number)
		return -ENOENT;
	n = kmalloc(sizeof(*n), KM_ACCOUNT);
	if (!n)
		return -ENOMEM;
	ref_init(&n->refs, 1);
	n->process = process_get(object);
	n->fd = fd;
	*e = (struct pseudo_entry){
		.mode = S_IFLNK | 0700,
		.readlink = fd_readlink,
		.follow = fd_follow,
		.counted_by = &fd_node_ops,
	};
	*child = n;
	return 0;
}

bool procfs_fd_next(void *object, u64 *cookie, char *name, size_t size, u32 *mode)
{
	u32 fd = *cookie;
	struct file *f;

	if (!process_may_look(object) || !process_fd(object, &fd, &f))
		return false;
	file_put(f);
	*cookie = fd;
	*mode = S_IFLNK | 0700;
	snprintf(name, size, "%u", fd);
	return true;
}
