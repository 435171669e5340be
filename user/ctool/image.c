/* SPDX-License-Identifier: MIT */
/*
 * image.c - ctool images, rmi, commit: images, which are frozen volumes.
 *
 * The image NAME is the volume "image.NAME". What belongs to it beside its files (the command, the
 * environment, the directory to start in) is the extended attribute trusted.skerry.image of its
 * root directory, in the form of a container's record. An image that is being made has another
 * name (image_draft), which no image can have.
 */
#include "ctool.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <skerry/text.h>

#define CONFIG	   "trusted.skerry.image"
#define CONFIG_MAX 65536

/* --- names --- */

int image_check(const char *name)
{
	size_t n = strlen(name);

	if (n && n <= IMAGE_NAME_MAX && isalnum((unsigned char)*name) && strcmp(name, "host")) {
		while (n && (isalnum((unsigned char)name[n - 1]) || strchr("_.:-", name[n - 1])))
			n--;
		if (!n)
			return 0;
	}
	return fail("not a name for an image: %.100s (up to %d letters, digits, '_', '.', ':' and "
		    "'-'; not host)",
		    name, IMAGE_NAME_MAX);
}

char *image_volume(const char *name)
{
	return text(COWFS_IMAGE "%s", name);
}

static bool is_image(const struct cowfs_volume *v)
{
	return v->flags & COWFS_FROZEN && !strncmp(v->name, COWFS_IMAGE, strlen(COWFS_IMAGE));
}

int image_exists(const char *name)
{
	char *volume = image_volume(name);
	struct cowfs_volume v;
	int err = volume_find(volume, &v);

	free(volume);
	return err;
}

char *image_draft(void)
{
	return text("view.%d%09ld", getpid(), (long)time(NULL) % 1000000000);
}

/* --- what belongs to an image --- */

int image_config_read(const char *place, struct record *rec)
{
	char *value = must(malloc(CONFIG_MAX + 1));
	ssize_t n = getxattr(place, CONFIG, value, CONFIG_MAX);
	FILE *f;

	record_clear(rec);
	if (n > 0) {
		f = must(fmemopen(value, (size_t)n, "r"));
		record_read(f, rec);
		fclose(f);
	}
	free(value);
	return n < 0 && errno != ENODATA ? -errno : 0;
}

int image_config_write(const char *place, const struct record *rec)
{
	char *value;
	size_t n;
	FILE *f = must(open_memstream(&value, &n));
	int err;

	record_write(f, rec);
	err = fclose(f) ? -ENOMEM : 0;
	if (!err && setxattr(place, CONFIG, value, n, 0))
		err = errno == ERANGE || errno == ENOSPC ? -E2BIG : -errno;
	free(value);
	return err;
}

int image_config(const char *name, struct record *rec)
{
	char *volume = image_volume(name), *place;
	int err = volume_mount(volume, true, &place);

	record_clear(rec);
	free(volume);
	if (err)
		return err;
	err = image_config_read(place, rec);
	volume_unmount(place);
	return err;
}

int image_finish(char *draft, const char *name)
{
	char *volume = image_volume(name);
	int err = volume_freeze(draft, volume);

	if (err)
		volume_delete(draft);
	free(volume);
	free(draft);
	if (err == -EEXIST)
		return fail("there is an image of that name already: %s (ctool rmi %s)", name,
			    name);
	return err ? disk_failed(err, name) : 0;
}

/* --- images --- */

struct image {
	struct cowfs_volume v;
	struct record rec;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct image *)a)->v.name, ((const struct image *)b)->v.name);
}

static int images_list(struct image **out, size_t *count)
{
	struct cowfs_volume v = { .position = 0 };
	int err;

	*out = NULL;
	*count = 0;
	while (!(err = volume_next(&v))) {
		if (!is_image(&v))
			continue;
		*out = must(realloc(*out, (*count + 1) * sizeof **out));
		(*out)[*count].v = v;
		image_config(v.name + strlen(COWFS_IMAGE), &(*out)[*count].rec);
		if (!(*out)[*count].rec.size)
			(*out)[*count].rec.size = v.used_bytes;
		++*count;
	}
	if (*count)
		qsort(*out, *count, sizeof **out, by_name);
	return err == -ENOENT ? 0 : err;
}

static char *command_of(const struct record *rec)
{
	char *line = must(strdup("")), *longer;

	for (size_t i = 0; i < rec->args.count; i++) {
		longer = text("%s%s%s", line, i ? " " : "", rec->args.v[i]);
		free(line);
		line = longer;
	}
	return line;
}

static void print_table(const struct image *images, size_t count)
{
	char size[SIZE_TEXT], when[32];
	struct table t;

	table_init(&t, "lrll");
	table_add(&t, "IMAGE");
	table_add(&t, "OWN");
	table_add(&t, "CREATED");
	table_add(&t, "COMMAND");
	for (size_t i = 0; i < count; i++) {
		time_t at = (time_t)images[i].v.created;
		char *command = command_of(&images[i].rec);

		strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", gmtime(&at));
		table_add(&t, "%s", images[i].v.name + strlen(COWFS_IMAGE));
		table_add(&t, "%s", size_format(images[i].rec.size, size));
		table_add(&t, "%s", when);
		table_add(&t, "%s", *command ? command : "-");
		free(command);
	}
	table_print(&t, stdout);
}

static void print_json(const struct image *images, size_t count)
{
	struct json j;

	json_init(&j, stdout);
	json_open(&j, NULL, '[');
	for (size_t i = 0; i < count; i++) {
		char *command = command_of(&images[i].rec);

		json_open(&j, NULL, '{');
		json_string(&j, "name", images[i].v.name + strlen(COWFS_IMAGE));
		json_number(&j, "own", images[i].rec.size);
		json_number(&j, "created", (uint64_t)images[i].v.created);
		json_string(&j, "command", *command ? command : NULL);
		json_close(&j, '}');
		free(command);
	}
	json_close(&j, ']');
	putchar('\n');
}

int do_images(struct request *r)
{
	struct image *images;
	size_t count;
	int err = images_list(&images, &count);

	if (err)
		return disk_failed(err, "/");
	if (r->quiet)
		for (size_t i = 0; i < count; i++)
			puts(images[i].v.name + strlen(COWFS_IMAGE));
	else if (r->json)
		print_json(images, count);
	else
		print_table(images, count);
	return 0;
}

/* --- rmi --- */

static int in_use(const char *name)
{
	char *users = must(strdup("")), *longer;
	size_t count;
	int *ids;

	if (control_list(&ids, &count))
		count = 0;
	for (size_t i = 0; i < count; i++) {
		char *root = control_text(ids[i], "root"), *label = container_label(ids[i]);

		if (root && !strcmp(root, name)) {
			longer = text("%s %s", users, label);
			free(users);
			users = longer;
		}
		free(root);
		free(label);
	}
	if (*users)
		return fail("%s is in use by%s (ctool rm first)", name, users);
	return fail("%s is in use: it is mounted", name);
}

static int remove_one(const char *name)
{
	char *volume;
	int err = image_check(name);

	if (err)
		return err;
	volume = image_volume(name);
	err = volume_delete(volume);
	free(volume);
	if (err == -ENOENT)
		return fail("no such image: %s (ctool images lists them)", name);
	if (err == -EBUSY)
		return in_use(name);
	return err ? disk_failed(err, name) : 0;
}

int do_rmi(struct request *r)
{
	int status = 0;

	for (int i = 0; i < r->operand_count; i++)
		if (remove_one(r->operands[i]))
			status = EXIT_CTOOL;
	return status;
}

/* --- commit --- */

int container_volume(int id, const char *word, char **volume)
{
	*volume = control_text(id, "volume");
	if (!*volume)
		return errno == EPERM || errno == EACCES
			       ? fail("%s: only the host's administrator may look into it", word)
			       : fail_errno(errno, "%s", word);
	(*volume)[strcspn(*volume, " ")] = '\0';
	return 0;
}

/* The draft of an image: all that the container has now, and how its program is started. */
static int commit_draft(int id, const char *volume, const char *draft)
{
	struct cowfs_volume v;
	struct record rec;
	char *place;
	int err = volume_find(volume, &v);

	if (!err)
		err = volume_copy(volume, draft);
	if (err)
		return err;
	err = volume_mount(draft, false, &place);
	if (!err) {
		if (record_load(id, &rec))
			record_clear(&rec);
		rec.id = 0; /* of an image it is not said what its first container had */
		rec.size = v.used_bytes;
		err = image_config_write(place, &rec);
		volume_unmount(place);
	}
	if (err)
		volume_delete(draft);
	return err;
}

int do_commit(struct request *r)
{
	const char *word = r->operands[0], *name = r->operands[1];
	char *volume, *draft;
	int id, status = image_check(name), err;

	if (!status)
		status = container_find_other(word, &id);
	if (!status)
		status = container_volume(id, word, &volume);
	if (status)
		return status;
	if (!*volume)
		return fail("%s is in a directory and has no volume of its own: only what was made "
			    "of an image or of host can become an image",
			    word);
	if (!image_exists(name))
		return fail("there is an image of that name already: %s (ctool rmi %s)", name,
			    name);
	draft = image_draft();
	err = commit_draft(id, volume, draft);
	if (err)
		return disk_failed(err, word);
	return image_finish(draft, name);
}
