/* SPDX-License-Identifier: MIT */
/*
 * diff.c - ctool diff: what has changed in a container's files since it was made.
 *
 * The kernel compares the container's volume with what it is a clone of, which costs as much as
 * there are differences (the control file `diff`). It tells them in no order, some twice, and some
 * inodes without a name: only then the volume is searched for theirs. As docker diff prints them:
 * A added, C changed, D deleted, by path; the directories that something is in
 * count as changed, and what is in a directory that was added, which may only have been moved, as
 * added.
 */
#include "ctool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct change {
	char what;
	uint64_t ino;
	char *path; /* NULL: to be found */
};

static struct change *changes;
static size_t change_count, change_room;

static void add(char what, uint64_t ino, char *path)
{
	if (change_count == change_room) {
		change_room = change_room ? 2 * change_room : 64;
		changes = must(realloc(changes, change_room * sizeof *changes));
	}
	changes[change_count++] = (struct change){ what, ino, path };
}

/* "A 12 /path"; undoes the kernel's escapes, in place. */
static void add_line(char *line)
{
	char *end, *to, *from;
	uint64_t ino = strtoull(line + 1, &end, 10);

	if (!strchr("ACD", *line) || !*line)
		return;
	if (*end != ' ') {
		add(*line, ino, NULL);
		return;
	}
	for (to = from = end + 1; *from;) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + from[3] - '0');
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	add(*line, ino, end + 1);
}

/* --- the volume --- */

static char *place; /* where it is mounted, once somebody had to look */

static int look_into(int id, const char *word)
{
	char *volume;
	int status, err;

	if (place)
		return 0;
	status = container_volume(id, word, &volume);
	if (status)
		return status;
	err = volume_mount(volume, true, &place);
	free(volume);
	if (!err)
		return 0;
	place = NULL;
	return disk_failed(err, word);
}

/* --- inodes without a name --- */

static int by_ino(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return !x->path - !y->path;
}

/* Those that stand there by a name as well are dropped; the others come first: how many. */
static size_t nameless(void)
{
	size_t kept = 0, found = 0;

	if (!change_count)
		return 0;
	qsort(changes, change_count, sizeof *changes, by_ino);
	for (size_t i = 0; i < change_count; i++)
		if (changes[i].path || !kept || changes[kept - 1].ino != changes[i].ino)
			changes[kept++] = changes[i];
	change_count = kept;
	for (size_t i = 0; i < change_count; i++)
		if (!changes[i].path) {
			struct change c = changes[i];

			memmove(&changes[found + 1], &changes[found], (i - found) * sizeof c);
			changes[found++] = c;
		}
	return found;
}

/* nftw() hands no context to its callback. */
static size_t wanted, place_length;

static int look(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)type;
	(void)where;
	for (size_t low = 0, high = wanted; low < high;) {
		size_t middle = (low + high) / 2;

		if (changes[middle].ino == st->st_ino) {
			if (path[place_length])
				add(changes[middle].what, st->st_ino,
				    must(strdup(path + place_length)));
			break;
		}
		if (changes[middle].ino < st->st_ino)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

static int find_names(int id, const char *word)
{
	int status;

	wanted = nameless();
	if (!wanted)
		return 0;
	status = look_into(id, word);
	if (status)
		return status;
	place_length = strlen(place);
	return nftw(place, look, 16, FTW_PHYS | FTW_MOUNT) ? fail_errno(errno, "%s", word) : 0;
}

/* --- order --- */

/* A directory before what is in it: '/' is less than all else. */
static int by_path(const void *a, const void *b)
{
	const unsigned char *x = (const unsigned char *)((const struct change *)a)->path;
	const unsigned char *y = (const unsigned char *)((const struct change *)b)->path;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	if (*x == *y)
		return 0;
	if (!*x || !*y)
		return *x ? 1 : -1;
	return *x == '/' || (*y != '/' && *x < *y) ? -1 : 1;
}

/* Of two lines about a path: what went and came has changed; what came or went has not only
 * changed. */
static char joined(char a, char b)
{
	if (a == b)
		return a;
	return a == 'C' ? b : b == 'C' ? a : 'C';
}

static void join(void)
{
	size_t kept = 0;

	if (change_count)
		qsort(changes, change_count, sizeof *changes, by_path);
	for (size_t i = 0; i < change_count; i++)
		if (kept && !strcmp(changes[kept - 1].path, changes[i].path))
			changes[kept - 1].what = joined(changes[kept - 1].what, changes[i].what);
		else
			changes[kept++] = changes[i];
	change_count = kept;
}

/* Is `path` among the first `count`, which are in order? */
static bool is_there(char *path, size_t count)
{
	const struct change key = { .path = path };

	return bsearch(&key, changes, count, sizeof *changes, by_path);
}

static void add_directories(void)
{
	size_t count = change_count;

	for (size_t i = 0; i < count; i++) {
		char *path = must(strdup(changes[i].path)), *slash;

		while ((slash = strrchr(path, '/')) && slash != path) {
			*slash = '\0';
			if (is_there(path, count)) /* and so are those above it, or will be */
				break;
			add('C', 0, must(strdup(path)));
		}
		free(path);
	}
	join();
}

/* --- what is in directories that were added --- */

/* Takes fd over. What goes while one looks is not told. 0 or an errno. */
static int add_below(int fd, const char *path)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int err = 0;

	if (!d) {
		err = errno;
		close(fd);
		return err;
	}
	while (!err && (e = readdir(d))) {
		char *name;
		int next;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		name = text("%s/%s", path, e->d_name);
		add('A', e->d_ino, name);
		next = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next >= 0)
			err = add_below(next, name);
		else if (errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
			err = errno;
	}
	closedir(d);
	return err;
}

static bool is_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return !strncmp(path, directory, n) && path[n] == '/';
}

/* The changes are in order, and so again afterwards. */
static int add_contents(int id, const char *word)
{
	size_t count = change_count;
	const char *done = NULL;
	int status = 0, fd, err;

	for (size_t i = 0; i < count && !status; i++) {
		const char *path = changes[i].path;

		if (changes[i].what != 'A' || (done && is_below(path, done)))
			continue;
		status = look_into(id, word);
		fd = status ? -1 : place_open(place, path);
		if (fd < 0)
			continue;
		err = add_below(fd, path);
		if (err)
			status = fail_errno(err, "%s", path);
		done = path;
	}
	join();
	return status;
}

static void drop_nameless(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < change_count; i++)
		if (changes[i].path)
			changes[kept++] = changes[i];
	change_count = kept;
}

static void print(void)
{
	for (size_t i = 0; i < change_count; i++)
		if (strcmp(changes[i].path, "/") != 0)
			printf("%c %s\n", changes[i].what, changes[i].path);
}

int do_diff(struct request *r)
{
	const char *word = r->operands[0];
	char *all, *rest, *line;
	int id, status = container_find_other(word, &id);

	if (status)
		return status;
	all = control_text(id, "diff");
	if (!all && (errno == EOPNOTSUPP || errno == ENOTSUP))
		return fail(
			"%s is in a directory: only what was made of an image or of host can be "
			"compared",
			word);
	if (!all)
		return fail_errno(errno, "%s", word);
	rest = all;
	while ((line = strsep(&rest, "\n")))
		add_line(line);
	status = find_names(id, word);
	if (!status) {
		drop_nameless();
		join();
		status = add_contents(id, word);
	}
	if (!status) {
		add_directories();
		print();
	}
	if (place)
		volume_unmount(place);
	return status;
}
