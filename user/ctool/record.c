/* SPDX-License-Identifier: MIT */
/*
 * record.c - what ctool remembers of a container: how its program is started.
 *
 * One small text file per container, /run/ctool/ID, mode 0600 (the environment
 * may hold secrets), a line "KEY VALUE" per item; in a value a backslash and a
 * newline are written \\ and \n. It is written under another name and renamed, so
 * a reader sees a whole one or none. Ids are not reused and /run is empty after a
 * boot, so a record never belongs to another container.
 *
 * $CTOOL_RECORDS names another directory (a test's).
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *records(void)
{
	const char *path = getenv("CTOOL_RECORDS");

	return path && *path ? path : "/run/ctool";
}

static char *record_path(int id)
{
	return text("%s/%d", records(), id);
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
}

static int make_directory(void)
{
	mkdir("/run", 0755);
	if (mkdir(records(), 0700) && errno != EEXIST)
		return -errno;
	return 0;
}

int record_save(int id, const struct record *rec)
{
	char *path = record_path(id), *fresh = text("%s.new", path);
	int err = make_directory(), fd;
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
	char *path = record_path(id);
	FILE *f = fopen(path, "re");

	record_clear(rec);
	free(path);
	if (!f)
		return -errno;
	record_read(f, rec);
	fclose(f);
	return rec->args.count && rec->workdir ? 0 : -EINVAL;
}

void record_remove(int id)
{
	char *path = record_path(id);

	unlink(path);
	free(path);
}
