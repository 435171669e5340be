/* SPDX-License-Identifier: MIT */
/* change.c - the commands of `cowfs` that copy and change (command.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cowfs/command.h"
#include "cowfs/path.h"
#include "cowfs/tool.h"
#include "cowfs/tree.h"
#include "cowfs/unpack.h"

static void open_for_change(struct image *m, const struct arguments *a)
{
	struct cow_volume_info info;

	image_open(m, a->image, IMAGE_WRITE);
	image_volume(m, a->volume);
	if (!cow_volume_info(m->volume, &info) && info.flags & COW_VOLUME_FROZEN)
		tool_fail("the volume '%s' is read-only for ever; make a clone of it ('cowfs "
			  "clone') and change that",
			  a->volume);
}

/* --- get, put --- */

static const char *base_name(const char *path)
{
	char *text = tool_format("%s", path), *slash;

	while (*text && text[strlen(text) - 1] == '/')
		text[strlen(text) - 1] = '\0';
	slash = strrchr(text, '/');
	return slash ? slash + 1 : text;
}

static bool host_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

int command_get(const struct arguments *a)
{
	const char *dest = a->words > 1 ? a->word[1] : ".", *name = base_name(a->word[0]);
	struct cow_inode *i;
	struct tree t;
	struct image m;
	int err;

	image_open(&m, a->image, IMAGE_READ);
	image_volume(&m, a->volume);
	err = path_find(m.volume, a->word[0], false, &i);
	if (err)
		tool_fail("'%s' in the volume: %s", a->word[0], tool_error(err));
	if (host_directory(dest) && *name && strcmp(name, ".") && strcmp(name, ".."))
		dest = tool_format("%s/%s", dest, name);
	t = (struct tree){ .fs = m.fs, .volume = m.volume };
	tree_get(&t, i, dest);
	tool_progress_end();
	links_clear(&t.links);
	cow_inode_put(i);
	image_close(&m);
	return t.warnings ? 1 : 0;
}

/* The directory that FILEs go into, and in *name what a single one is called there (NULL: its own).
 */
static struct cow_inode *put_where(struct image *m, const struct arguments *a, const char *path,
				   char name[COW_NAME_MAX + 1])
{
	struct cow_inode *dir;
	int err = path_find(m->volume, path, true, &dir);

	name[0] = '\0';
	if (!err && S_ISDIR(dir->rec.mode))
		return dir;
	if (!err)
		cow_inode_put(dir);
	if (err && err != -ENOENT)
		tool_fail("'%s' in the volume: %s", path, tool_error(err));
	if (a->words > 2)
		tool_fail("several files go into a directory, but '%s' is none in the volume",
			  path);
	err = path_parent(m->volume, path, &dir, name);
	if (err)
		tool_fail("'%s' in the volume: its directory: %s", path, tool_error(err));
	return dir;
}

int command_put(const struct arguments *a)
{
	const char *path = a->word[a->words - 1];
	char name[COW_NAME_MAX + 1];
	struct tree_scan scan = { 0 };
	struct tree t = { 0 };
	struct cow_inode *dir;
	struct image m;

	for (int k = 0; k + 1 < a->words; k++)
		tree_scan(a->word[k], &scan);
	open_for_change(&m, a);
	dir = put_where(&m, a, path, name);
	t.fs = m.fs, t.volume = m.volume, t.total = scan.bytes;
	cow_now(&t.now);
	for (int k = 0; k + 1 < a->words; k++) {
		const char *own = base_name(a->word[k]);

		if (!*name && (!*own || !strcmp(own, ".") || !strcmp(own, "..")))
			tree_put_contents(&t, a->word[k], dir);
		else
			tree_put(&t, a->word[k], dir, *name ? name : own);
	}
	links_clear(&t.links);
	cow_inode_put(dir);
	image_close(&m);
	return 0;
}

/* --- unpack --- */

static bool is_stamped(const struct arguments *a, const char *bytes, size_t size)
{
	struct image m;
	bool stamped;

	image_open(&m, a->image, IMAGE_READ);
	image_volume(&m, a->volume);
	stamped = unpack_stamped(m.volume, bytes, size);
	image_close(&m);
	return stamped;
}

int command_unpack(const struct arguments *a)
{
	struct unpack_options o = { .keep = a->keep, .keep_count = a->keep_count };
	const char *path = a->word[0];
	char where[4096], *bytes;
	struct image m;
	size_t size;
	int err;

	bytes = unpack_read(path, &size);
	if (!a->force && is_stamped(a, bytes, size))
		return 0;
	open_for_change(&m, a);
	o.fs = m.fs;
	cow_now(&o.now);
	err = unpack_archive(m.volume, bytes, size, &o, where);
	if (!err)
		err = unpack_stamp(m.volume, bytes, size, &o.now);
	if (err == -EINVAL)
		tool_fail("'%s' is not a newc cpio archive, or is damaged behind '%s'", path,
			  where);
	if (err == -ENOTEMPTY)
		tool_fail("'%s': the image has a directory with files where the archive has a "
			  "file; keep it with -k, or remove it",
			  where);
	if (err)
		tool_fail("'%s' cannot be unpacked: %s", where, tool_error(err));
	image_close(&m);
	return 0;
}

/* --- volumes --- */

int command_clone(const struct arguments *a)
{
	const char *from = a->word[0], *name = a->word[1];
	struct cow_volume *new;
	struct image m;
	int err;

	image_open(&m, a->image, IMAGE_WRITE);
	image_volume(&m, from);
	err = cow_volume_clone(m.volume, name, strlen(name), a->frozen ? COW_VOLUME_FROZEN : 0,
			       &new);
	if (err == -EINVAL)
		tool_fail("'%s' is no name for a volume: 1 to 255 bytes without '/'", name);
	if (err == -EEXIST)
		tool_fail("there is a volume '%s' already; choose another name, or delete it with "
			  "'cowfs rm-volume'",
			  name);
	if (err)
		tool_fail("cannot clone '%s': %s", from, tool_error(err));
	cow_volume_put(new);
	image_close(&m);
	return 0;
}

int command_rm_volume(const struct arguments *a)
{
	struct image m;
	int err;

	image_open(&m, a->image, IMAGE_WRITE);
	for (int k = 0; k < a->words; k++) {
		err = cow_volume_delete(m.fs, a->word[k], strlen(a->word[k]));
		if (err == -ENOENT)
			tool_fail("'%s' has no volume '%s'; 'cowfs volumes %s' lists them",
				  a->image, a->word[k], a->image);
		if (err)
			tool_fail("the volume '%s' cannot be deleted: %s", a->word[k],
				  tool_error(err));
	}
	while (cow_work(m.fs, true)) /* its blocks come back */
		continue;
	image_close(&m);
	return 0;
}
