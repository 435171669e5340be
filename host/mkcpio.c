/* SPDX-License-Identifier: MIT */
/*
 * mkcpio - writes a newc cpio archive (cpio(5)) from a list on stdin, the same
 * bytes for the same input: entries sorted by path, owner 0:0, one time stamp
 * for all, inode numbers counted from 1. Runs without privilege and needs no
 * files but those whose contents go in.
 *
 *	mkcpio TIME <list >archive
 *
 * Lines of the list, words separated by white space, '#' starts a comment:
 *
 *	dir PATH MODE			file PATH MODE HOST-FILE
 *	link PATH TARGET		node PATH MODE b|c MAJOR MINOR
 *
 * Of two lines with one path the later counts. A directory sorts before what is
 * in it, since '/' ends its path there; parents must be listed.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct entry {
	char *path, *source; /* source: of a file the host's file, of a link its target */
	unsigned mode, major, minor;
	unsigned order; /* in the list */
};

static struct entry *entries;
static size_t count;

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "mkcpio: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static struct entry *entry_add(const char *path)
{
	struct entry *e;

	entries = realloc(entries, (count + 1) * sizeof(*entries));
	if (!entries)
		fail("out of memory");
	e = &entries[count];
	while (*path == '/')
		path++;
	*e = (struct entry){ .path = strdup(*path ? path : "."), .order = count };
	count++;
	return e;
}

static void parse(char *line, int number)
{
	char *w[7] = { 0 };
	struct entry *e;
	int n = 0;

	line[strcspn(line, "#\n")] = 0;
	for (char *at = strtok(line, " \t"); at && n < 7; at = strtok(NULL, " \t"))
		w[n++] = at;
	if (n == 0)
		return;
	if (n < 3)
		fail("line %d: too few words", number);
	e = entry_add(w[1]);
	e->mode = strtoul(w[2], NULL, 8);
	if (!strcmp(w[0], "dir") && n == 3) {
		e->mode |= S_IFDIR;
	} else if (!strcmp(w[0], "file") && n == 4) {
		e->mode |= S_IFREG;
		e->source = strdup(w[3]);
	} else if (!strcmp(w[0], "link") && n == 3) {
		e->mode = S_IFLNK | 0777;
		e->source = strdup(w[2]);
	} else if (!strcmp(w[0], "node") && n == 6) {
		e->mode |= *w[3] == 'b' ? S_IFBLK : S_IFCHR;
		e->major = strtoul(w[4], NULL, 10);
		e->minor = strtoul(w[5], NULL, 10);
	} else {
		fail("line %d: cannot make sense of '%s %s'", number, w[0], w[1]);
	}
}

static int by_path(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static char *file_read(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	char *data;

	if (!f || fstat(fileno(f), &st))
		fail("%s: %s", path, strerror(errno));
	*size = st.st_size;
	data = malloc(*size + 1);
	if (!data || fread(data, 1, *size, f) != *size)
		fail("%s: cannot read it", path);
	fclose(f);
	return data;
}

static void pad(size_t size)
{
	static const char zero[4];

	fwrite(zero, 1, -size & 3, stdout);
}

static size_t emit(const struct entry *e, unsigned ino, unsigned long mtime)
{
	size_t size = 0, name = strlen(e->path) + 1;
	char *data = NULL;

	if (S_ISLNK(e->mode)) {
		data = strdup(e->source);
		size = strlen(data);
	} else if (e->source) {
		data = file_read(e->source, &size);
	}
	printf("070701%08X%08X%08X%08X%08X%08lX%08zX%08X%08X%08X%08X%08zX%08X", ino, e->mode, 0, 0,
	       S_ISDIR(e->mode) ? 2 : 1, mtime, size, 0, 0, e->major, e->minor, name, 0);
	fwrite(e->path, 1, name, stdout);
	pad(110 + name);
	fwrite(data, 1, size, stdout);
	pad(size);
	free(data);
	return 110 + name + (-(110 + name) & 3) + size + (-size & 3);
}

int main(int argc, char **argv)
{
	struct entry trailer = { .path = "TRAILER!!!" };
	unsigned long mtime = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	size_t written = 0;
	char line[4096];

	for (int number = 1; fgets(line, sizeof(line), stdin); number++)
		parse(line, number);
	qsort(entries, count, sizeof(*entries), by_path);
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || strcmp(entries[i].path, entries[i + 1].path))
			written += emit(&entries[i], i + 1, mtime);
	written += emit(&trailer, 0, 0);
	for (; written % 512; written++)
		putchar(0);
	if (fflush(stdout) || ferror(stdout))
		fail("cannot write: %s", strerror(errno));
	return 0;
}
