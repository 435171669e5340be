/* SPDX-License-Identifier: MIT */
/*
 * path.c - path resolution (contract: path.h). The way from the root is a stack of inode numbers,
 * so that
 * ".." is a pop; a symbolic link's text is put before what is left of the path.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cowfs/path.h"
#include "cowfs/tool.h"

#define DEPTH_MAX 2048
#define LINKS_MAX 40

struct walk {
	struct cow_volume *volume;
	u64 way[DEPTH_MAX];
	unsigned depth; /* way[depth] is where we are */
	unsigned links;
	char *left; /* of the path; in memory of ours */
};

/* Skips to the next component: its length, 0 at the end. */
static size_t next_name(const char **at)
{
	while (**at == '/')
		++*at;
	return strcspn(*at, "/");
}

static int follow_link(struct walk *w, struct cow_inode *i, const char *rest)
{
	char text[COW_PATH_MAX], *left;
	int err = ++w->links > LINKS_MAX ? -ELOOP : cow_readlink(i, text, sizeof(text));

	if (err < 0)
		return err;
	left = tool_format("%s/%s", text, rest);
	if (*text == '/')
		w->depth = 0;
	free(w->left);
	w->left = left;
	return 1;
}

/* One component, at w->left + skip. 1: w->left is another text now. */
static int step(struct walk *w, const char *name, size_t n, bool follow)
{
	const char *rest = name + n;
	struct cow_inode *dir, *i;
	u64 ino;
	int err;

	if (n == 1 && name[0] == '.')
		return 0;
	if (n == 2 && !memcmp(name, "..", 2)) {
		w->depth -= w->depth > 0;
		return 0;
	}
	err = cow_inode_get(w->volume, w->way[w->depth], &dir);
	if (err)
		return err;
	err = S_ISDIR(dir->rec.mode) ? cow_lookup(dir, name, n, &ino) : -ENOTDIR;
	cow_inode_put(dir);
	if (!err)
		err = cow_inode_get(w->volume, ino, &i);
	if (err)
		return err;
	if (S_ISLNK(i->rec.mode) && (follow || *rest))
		err = follow_link(w, i, rest);
	else if (w->depth + 1 == DEPTH_MAX)
		err = -ENAMETOOLONG;
	else
		w->way[++w->depth] = ino;
	cow_inode_put(i);
	return err;
}

int path_find(struct cow_volume *v, const char *path, bool follow, struct cow_inode **out)
{
	struct walk w = { .volume = v, .way = { COW_ROOT_INO }, .left = tool_format("%s", path) };
	const char *at = w.left;
	int err = 0;
	size_t n;

	while (err >= 0 && (n = next_name(&at))) {
		err = step(&w, at, n, follow);
		at = err == 1 ? w.left : at + n;
	}
	if (err >= 0)
		err = cow_inode_get(v, w.way[w.depth], out);
	free(w.left);
	return err;
}

int path_parent(struct cow_volume *v, const char *path, struct cow_inode **dir,
		char name[COW_NAME_MAX + 1])
{
	char *parent = tool_format("%s", path), *slash;
	size_t n = strlen(parent);
	int err = 0;

	while (n && parent[n - 1] == '/')
		parent[--n] = '\0';
	slash = strrchr(parent, '/');
	if (snprintf(name, COW_NAME_MAX + 1, "%s", slash ? slash + 1 : parent) > (int)COW_NAME_MAX)
		err = -ENAMETOOLONG;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		err = -EINVAL;
	if (slash)
		slash[1] = '\0';
	else
		*parent = '\0';
	if (!err)
		err = path_find(v, parent, true, dir);
	if (!err && !S_ISDIR((*dir)->rec.mode)) {
		cow_inode_put(*dir);
		err = -ENOTDIR;
	}
	free(parent);
	return err;
}
