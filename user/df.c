/* SPDX-License-Identifier: MIT */
/*
 * df.c - the space on the filesystems that this container has mounted.
 *
 *	df [-h] [-a] [FILE...]
 *
 * /proc/mounts says which, statvfs() how full. Those without blocks (proc and the
 * like) are left out unless -a asks for them. With FILEs, the filesystems that
 * hold them. Sizes are in KiB, or with -h in units for people.
 */
#include <skerry/text.h>

#include <errno.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct options {
	bool human, all;
};

static void add_size(struct table *t, const struct options *o, uint64_t bytes)
{
	char size[SIZE_TEXT];

	if (o->human)
		table_add(t, "%s", size_format(bytes, size));
	else
		table_add(t, "%llu", (unsigned long long)((bytes + 1023) / 1024));
}

static void add_title(struct table *t, const struct options *o)
{
	table_add(t, "Filesystem");
	table_add(t, o->human ? "Size" : "1K-blocks");
	table_add(t, "Used");
	table_add(t, "Available");
	table_add(t, "Use%%");
	table_add(t, "Mounted on");
}

/* Used percent is of what an ordinary user can use, rounded up (POSIX df). */
static void add_row(struct table *t, const struct options *o, const struct mntent *m,
		    const struct statvfs *s)
{
	uint64_t unit = s->f_frsize, used = s->f_blocks - s->f_bfree;
	uint64_t usable = used + s->f_bavail;

	table_add(t, "%s", m->mnt_fsname);
	add_size(t, o, s->f_blocks * unit);
	add_size(t, o, used * unit);
	add_size(t, o, s->f_bavail * unit);
	if (usable)
		table_add(t, "%d%%", (int)((used * 100 + usable - 1) / usable));
	else
		table_add(t, "-");
	table_add(t, "%s", m->mnt_dir);
}

/* Whether `path` (absolute, without links) is the mount point or below it; how long that is. */
static size_t covers(const char *mount, const char *path)
{
	size_t n = strlen(mount);

	if (n == 1)
		return 1;
	return !strncmp(mount, path, n) && (path[n] == '/' || !path[n]) ? n : 0;
}

/* Adds the filesystem that holds `file`: of the longest mount point, the last mounted. */
static int add_file(struct table *t, const struct options *o, const char *file)
{
	char *path = realpath(file, NULL), *best = NULL;
	FILE *mounts = setmntent("/proc/mounts", "r");
	struct mntent *m, found = { 0 };
	struct statvfs s;
	size_t longest = 0, n;

	if (!path || !mounts || statvfs(path, &s)) {
		fprintf(stderr, "df: %s: %s\n", file, strerror(errno));
		return 1;
	}
	while ((m = getmntent(mounts))) {
		n = covers(m->mnt_dir, path);
		if (n < longest || !n)
			continue;
		longest = n;
		free(best);
		best = strdup(m->mnt_dir);
		free(found.mnt_fsname);
		found.mnt_fsname = strdup(m->mnt_fsname);
	}
	endmntent(mounts);
	free(path);
	found.mnt_dir = best;
	if (best && found.mnt_fsname)
		add_row(t, o, &found, &s);
	return 0;
}

static int add_all(struct table *t, const struct options *o)
{
	FILE *mounts = setmntent("/proc/mounts", "r");
	struct statvfs s;
	struct mntent *m;

	if (!mounts) {
		fprintf(stderr, "df: /proc/mounts: %s\n", strerror(errno));
		return 1;
	}
	while ((m = getmntent(mounts)))
		if (!statvfs(m->mnt_dir, &s) && (o->all || s.f_blocks))
			add_row(t, o, m, &s);
	endmntent(mounts);
	return 0;
}

static int usage(FILE *out, int status)
{
	fputs("usage: df [-h] [-a] [FILE...]\n"
	      "space on the filesystems of this container; -h: sizes for people; -a: empty ones "
	      "too\n"
	      "\nexample:\n  df -h\n",
	      out);
	return status;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct table t;
	int status = 0, c;

	if (argc > 1 && !strcmp(argv[1], "--help"))
		return usage(stdout, 0);
	while ((c = getopt(argc, argv, "hak")) != -1) {
		if (c == '?')
			return usage(stderr, 1);
		o.human |= c == 'h';
		o.all |= c == 'a';
	}
	table_init(&t, "lrrrrl");
	add_title(&t, &o);
	if (optind == argc)
		status = add_all(&t, &o);
	for (; optind < argc; optind++)
		status |= add_file(&t, &o, argv[optind]);
	table_print(&t, stdout);
	return status;
}
