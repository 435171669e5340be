/* SPDX-License-Identifier: MIT */
/*
 * record.c - what ctool remembers of a container: how its program is started.
 *
 * One small text file per container, mode 0600 (the environment may hold secrets),
 * a line "KEY VALUE" per item; in a value a backslash and a newline are written \\ and
 * \n. It is written under another name and renamed, so a reader sees a whole one or
 * none, also after the machine has ended at any moment. That of one that is kept
 * (keep.c) is /var/lib/skerry/containers/ID, of others /run/ctool/ID. Ids are not
 * reused, also not while there is a record in the former; what a boot finds in /run is
 * of another time and removed (ctool restore).
 *
 * $CTOOL_RECORDS names another directory for both (a test's).
 */
#include "ctool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *records(bool kept)
{
	const char *path = getenv("CTOOL_RECORDS");

	if (path && *path)
		return path;
	return kept ? "/var/lib/skerry/containers" : "/run/ctool";
}

static char *record_path(int id, bool kept)
{
	return text("%s/%d", records(kept), id);
}

static void write_item(FILE *f, const char *key, const char *value)
{
	fprintf(f, "%s ", key);
	for (; *value; value++) {
		if (*value == '\\')
			fputs("\\\\", f);
		else if (*value == '\n')
			fputs("\\n", f);
		else
			fputc(*value, f);
	}
	fputc('\n', f);
}

void record_write(FILE *f, const struct record *rec)
{
	fprintf(f, "console %d\nuid %u\ngid %u\n", rec->console, rec->uid, rec->gid);
	if (rec->root)
		write_item(f, "root", rec->root);
	if (rec->workdir)
		write_item(f, "workdir", rec->workdir);
	if (rec->size)
		fprintf(f, "size %llu\n", (unsigned long long)rec->size);
	for (size_t i = 0; i < rec->env.count; i++)
		write_item(f, "env", rec->env.v[i]);
	for (size_t i = 0; i < rec->args.count; i++)
		write_item(f, "arg", rec->args.v[i]);
	if (!rec->id)
		return;
	fprintf(f, "id %d\nflags %u\ncreated %llu\n", rec->id, rec->flags,
		(unsigned long long)rec->created);
	if (rec->ended)
		fprintf(f, "ended %d\n", rec->ended);
	write_item(f, "name", rec->name);
	write_item(f, "hostname", rec->hostname);
	for (size_t i = 0; i < rec->settings.count; i++)
		write_item(f, "set", rec->settings.v[i]);
	for (size_t i = 0; i < rec->binds.count; i++)
		write_item(f, "bind", rec->binds.v[i]);
}

/* With those above it, which others may look into. */
static int make_directory(const char *path)
{
	char *part = must(strdup(path)), *slash = part;

	while ((slash = strchr(slash + 1, '/'))) {
		*slash = '\0';
		mkdir(part, 0755);
		*slash = '/';
	}
	free(part);
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

int record_save(int id, const struct record *rec)
{
	char *path = record_path(id, rec->id), *fresh = text("%s.new", path);
	int err = make_directory(records(rec->id)), fd;
	FILE *f;

	if (err)
		goto free_paths;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		err = -errno;
		goto free_paths;
	}
	record_write(f, rec);
	if (ferror(f) | fclose(f))
		err = -EIO;
	if (!err && rename(fresh, path))
		err = -errno;
	if (err)
		unlink(fresh);
free_paths:
	free(fresh);
	free(path);
	return err;
}

/* Undoes write_item()'s escapes, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1]) {
			s++;
			*to++ = *s == 'n' ? '\n' : *s;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static void read_kept_item(struct record *rec, const char *key, const char *value)
{
	if (!strcmp(key, "id"))
		rec->id = atoi(value);
	else if (!strcmp(key, "flags"))
		rec->flags = (uint32_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "created"))
		rec->created = strtoull(value, NULL, 10);
	else if (!strcmp(key, "ended"))
		rec->ended = atoi(value);
	else if (!strcmp(key, "name"))
		rec->name = must(strdup(value));
	else if (!strcmp(key, "hostname"))
		rec->hostname = must(strdup(value));
	else if (!strcmp(key, "set"))
		words_add(&rec->settings, value);
	else if (!strcmp(key, "bind"))
		words_add(&rec->binds, value);
}

static void read_item(struct record *rec, const char *key, const char *value)
{
	if (!strcmp(key, "console"))
		rec->console = atoi(value);
	else if (!strcmp(key, "uid"))
		rec->uid = (uid_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "gid"))
		rec->gid = (gid_t)strtoul(value, NULL, 10);
	else if (!strcmp(key, "size"))
		rec->size = strtoull(value, NULL, 10);
	else if (!strcmp(key, "root"))
		rec->root = must(strdup(value));
	else if (!strcmp(key, "workdir"))
		rec->workdir = must(strdup(value));
	else if (!strcmp(key, "env"))
		words_add(&rec->env, value);
	else if (!strcmp(key, "arg"))
		words_add(&rec->args, value);
	else
		read_kept_item(rec, key, value);
}

void record_clear(struct record *rec)
{
	memset(rec, 0, sizeof *rec);
	rec->console = CONTAINER_NO_CONSOLE;
}

void record_read(FILE *f, struct record *rec)
{
	char *line = NULL, *value;
	size_t room = 0;
	ssize_t n;

	record_clear(rec);
	while ((n = getline(&line, &room, f)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = '\0';
		unescape(value);
		read_item(rec, line, value);
	}
	free(line);
}

int record_load(int id, struct record *rec)
{
	FILE *f = NULL;
	char *path;

	record_clear(rec);
	/* a container may have a copy of the host's files, but not of its containers */
	for (int kept = getcid() == 0; !f && kept >= 0; kept--) {
		path = record_path(id, kept);
		f = fopen(path, "re");
		free(path);
	}
	if (!f)
		return -errno;
	record_read(f, rec);
	fclose(f);
	return rec->args.count && rec->workdir ? 0 : -EINVAL;
}

void record_remove(int id)
{
	char *path;

	for (int kept = getcid() == 0; kept >= 0; kept--) {
		path = record_path(id, kept);
		unlink(path);
		free(path);
	}
}

void record_remove_old(void)
{
	DIR *d = opendir(records(false));
	struct dirent *e;

	while (d && (e = readdir(d))) {
		int id = atoi(e->d_name);
		char *name = id > 0 ? control_text(id, "name") : NULL;

		if (id > 0 && !name)
			unlinkat(dirfd(d), e->d_name, 0);
		free(name);
	}
	if (d)
		closedir(d);
}

int record_list(int **ids, size_t *count)
{
	DIR *d = opendir(records(true));
	struct dirent *e;
	char *end;
	long id;

	*ids = NULL;
	*count = 0;
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		id = strtol(e->d_name, &end, 10);
		if (id > 0 && id < INT32_MAX && !strcmp(end, ".new")) /* the machine ended */
			unlinkat(dirfd(d), e->d_name, 0);
		if (id <= 0 || id >= INT32_MAX || *end)
			continue;
		*ids = must(realloc(*ids, (*count + 1) * sizeof **ids));
		(*ids)[(*count)++] = (int)id;
	}
	closedir(d);
	return 0;
}
