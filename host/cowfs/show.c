/* SPDX-License-Identifier: MIT */
/* show.c - the commands of `cowfs` that only look (command.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "cowfs/command.h"
#include "cowfs/path.h"
#include "cowfs/tool.h"

static struct cow_inode *find(struct image *m, const char *path, bool follow)
{
	struct cow_inode *i;
	int err = path_find(m->volume, path, follow, &i);

	if (err)
		tool_fail("'%s' in the volume: %s", path, tool_error(err));
	return i;
}

/* --- ls --- */

static void mode_text(u32 mode, char text[11])
{
	static const char types[16] = "?pc?d?b?-?l?s???", bits[] = "rwxrwxrwx";

	text[0] = types[mode >> 12 & 15];
	for (unsigned i = 0; i < 9; i++)
		text[1 + i] = mode & (0400u >> i) ? bits[i] : '-';
	if (mode & S_ISUID)
		text[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		text[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		text[9] = mode & S_IXOTH ? 't' : 'T';
	text[10] = '\0';
}

/* Names from an image may be anything: what a terminal would take for a command becomes '?'. */
static void print_name(const char *name)
{
	for (; *name; name++)
		putchar((unsigned char)*name < ' ' || *name == 0x7f ? '?' : *name);
}

static void print_time(const struct cow_time *t)
{
	time_t sec = t->sec;
	struct tm tm;
	char text[64];

	if (!gmtime_r(&sec, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm))
		snprintf(text, sizeof(text), "%ld", (long)t->sec);
	fputs(text, stdout);
}

static void print_inode(struct cow_inode *i, const char *name)
{
	const struct cow_inode_record *r = &i->rec;
	char mode[11], text[COW_PATH_MAX];

	mode_text(r->mode, mode);
	printf("%s %3u %5u %5u ", mode, r->nlink, r->uid, r->gid);
	if (S_ISCHR(r->mode) || S_ISBLK(r->mode))
		printf("%5u, %4u ", major(r->rdev), minor(r->rdev));
	else
		printf("%11lu ", S_ISDIR(r->mode) ? 0 : r->size);
	print_time(&r->mtime);
	putchar(' ');
	print_name(name);
	if (S_ISLNK(r->mode) && !cow_readlink(i, text, sizeof(text))) {
		fputs(" -> ", stdout);
		print_name(text);
	}
	putchar('\n');
}

struct listing {
	struct entry {
		char *name;
		u64 ino;
	} * entry;
	size_t count, room;
};

static bool listing_add(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	struct listing *l = arg;

	(void)type, (void)next;
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		l->entry = realloc(l->entry, l->room * sizeof(*l->entry));
		if (!l->entry)
			tool_fail("out of memory");
	}
	l->entry[l->count++] = (struct entry){ tool_format("%.*s", (int)len, name), ino };
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* Paths of directories in directories end where no real one goes on. */
#define LEVELS_MAX 1000

static void print_directory(struct image *m, struct cow_inode *dir, const char *path, bool all,
			    unsigned level)
{
	struct listing l = { 0 };
	struct cow_inode *i;
	u64 pos = 0;
	int err = cow_readdir(dir, &pos, listing_add, &l);

	if (err)
		tool_fail("the directory '%s' cannot be read: %s", path, tool_error(err));
	if (l.count)
		qsort(l.entry, l.count, sizeof(*l.entry), by_name);
	for (size_t k = 0; k < l.count; k++) {
		char *whole = tool_format("%s%s%s", path,
					  *path && path[strlen(path) - 1] != '/' ? "/" : "",
					  l.entry[k].name);

		err = cow_inode_get(m->volume, l.entry[k].ino, &i);
		if (err)
			tool_fail("'%s': %s", whole, tool_error(err));
		print_inode(i, all ? whole : l.entry[k].name);
		if (all && S_ISDIR(i->rec.mode) && level < LEVELS_MAX)
			print_directory(m, i, whole, true, level + 1);
		cow_inode_put(i);
		free(whole);
		free(l.entry[k].name);
	}
	free(l.entry);
	image_shrink(m->fs);
}

static void print_path(struct image *m, const char *path, bool all)
{
	struct cow_inode *i = find(m, path, false);

	if (S_ISDIR(i->rec.mode))
		print_directory(m, i, path, all, 0);
	else
		print_inode(i, path);
	cow_inode_put(i);
}

int command_ls(const struct arguments *a)
{
	struct image m;

	image_open(&m, a->image, IMAGE_READ);
	image_volume(&m, a->volume);
	for (int k = 0; k < a->words; k++) {
		if (a->words > 1 && !a->all)
			printf("%s%s:\n", k ? "\n" : "", a->word[k]);
		print_path(&m, a->word[k], a->all);
	}
	if (!a->words)
		print_path(&m, "/", a->all);
	image_close(&m);
	tool_flush();
	return 0;
}

/* --- cat --- */

static void print_file(struct image *m, const char *path)
{
	static char buf[1u << 20];
	struct cow_inode *i = find(m, path, true);
	u64 at = 0;
	s64 n;

	if (!S_ISREG(i->rec.mode))
		tool_fail("'%s' is not a regular file", path);
	while ((n = cow_file_read(i, at, buf, sizeof(buf))) > 0) {
		fwrite(buf, 1, n, stdout);
		tool_flush();
		at += n;
		image_shrink(m->fs);
	}
	if (n < 0)
		tool_fail("'%s' cannot be read behind byte %lu: %s", path, at, tool_error(n));
	cow_inode_put(i);
}

int command_cat(const struct arguments *a)
{
	struct image m;

	image_open(&m, a->image, IMAGE_READ);
	image_volume(&m, a->volume);
	for (int k = 0; k < a->words; k++)
		print_file(&m, a->word[k]);
	image_close(&m);
	return 0;
}

/* --- info, volumes --- */

static unsigned long kib(u64 blocks)
{
	return blocks * (COW_BLOCK >> 10);
}

int command_info(const struct arguments *a)
{
	struct cow_volume_info v;
	struct cow_space s;
	struct image m;
	unsigned volumes = 0;
	u64 pos = 0;
	const u8 *u;

	image_open(&m, a->image, IMAGE_READ);
	cow_space(m.fs, &s);
	while (!cow_volume_next(m.fs, &pos, &v))
		volumes++;
	u = cow_uuid(m.fs);
	printf("label      %s\n", cow_label(m.fs));
	printf("uuid       %02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x\n",
	       u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
	       u[13], u[14], u[15]);
	printf("size       %lu KiB\nfree       %lu KiB\navailable  %lu KiB\n", kib(s.blocks),
	       kib(s.free), kib(s.available));
	printf("inodes     %lu, %lu free\nvolumes    %u\ndead trees %lu\n", s.inodes, s.inodes_free,
	       volumes, s.dead);
	image_close(&m);
	tool_flush();
	return 0;
}

static void print_quota(u64 used, u64 quota)
{
	if (quota)
		printf(" %10lu/%-10lu", used, quota);
	else
		printf(" %10lu/%-10s", used, "-");
}

int command_volumes(const struct arguments *a)
{
	struct cow_volume_info v;
	struct image m;
	u64 pos = 0;
	int err;

	image_open(&m, a->image, IMAGE_READ);
	printf("%4s %6s %5s %21s %21s  %-16s  %s\n", "ID", "PARENT", "STATE",
	       "KIB USED/QUOTA      ", "INODES USED/QUOTA    ", "CREATED", "NAME");
	while (!(err = cow_volume_next(m.fs, &pos, &v))) {
		printf("%4lu %6lu %5s", v.id, v.parent,
		       v.flags & COW_VOLUME_TEMPORARY ? "temp"
		       : v.flags & COW_VOLUME_FROZEN  ? "ro"
						      : "rw");
		print_quota(kib(v.used_blocks), kib(v.quota_blocks));
		print_quota(v.inodes, v.quota_inodes);
		fputs("  ", stdout);
		print_time(&v.created);
		fputs("  ", stdout);
		print_name(v.name);
		putchar('\n');
	}
	if (err != -ENOENT)
		tool_fail("the table of volumes cannot be read: %s", tool_error(err));
	image_close(&m);
	tool_flush();
	return 0;
}

/* --- diff --- */

struct changes {
	struct change {
		char what, *path;
	} * change;
	size_t count, room;
};

static int change_add(void *arg, enum cow_difference what, u64 ino, const char *path)
{
	static const char letters[] = {
		[COW_ADDED] = 'A', [COW_CHANGED] = 'C', [COW_REMOVED] = 'D'
	};
	struct changes *c = arg;

	if (c->count == c->room) {
		c->room = c->room ? 2 * c->room : 64;
		c->change = realloc(c->change, c->room * sizeof(*c->change));
		if (!c->change)
			tool_fail("out of memory");
	}
	c->change[c->count++] =
		(struct change){ letters[what],
				 path ? tool_format("%s", path) : tool_format("(inode %lu)", ino) };
	return 0;
}

static int by_path(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	return strcmp(x->path, y->path) ?: x->what - y->what;
}

int command_diff(const struct arguments *a)
{
	struct changes c = { 0 };
	struct cow_volume *from;
	struct image m;
	int err;

	image_open(&m, a->image, IMAGE_READ);
	image_volume(&m, a->word[0]);
	from = m.volume;
	image_volume(&m, a->word[1]);
	err = cow_volume_diff_paths(from, m.volume, change_add, &c);
	if (err)
		tool_fail("cannot compare '%s' with '%s': %s", a->word[0], a->word[1],
			  tool_error(err));
	if (c.count)
		qsort(c.change, c.count, sizeof(*c.change), by_path);
	for (size_t k = 0; k < c.count; k++) {
		if (k && !by_path(&c.change[k - 1], &c.change[k]))
			continue;
		printf("%c ", c.change[k].what);
		print_name(c.change[k].path);
		putchar('\n');
	}
	for (size_t k = 0; k < c.count; k++)
		free(c.change[k].path);
	free(c.change);
	cow_volume_put(from);
	image_close(&m);
	tool_flush();
	return 0;
}
