/* SPDX-License-Identifier: MIT */
/*
 * keep.c - containers that outlive the machine: ctool restore, remember, and what the other commands do for
 * it.
 *
 * A container that the host's administrator made without --rm is kept: its record (record.c) says
 * all that it was made with, and its root, if it is a clone, is the volume "container.ID" (what a
 * view was at first, "container.ID.base"). init runs ctool restore when the machine starts; each is
 * then there again, under its id and name, STOPPED. With what exit status, is written down by the
 * commands that see it end, and by ctool remember, which init runs before the machine ends.
 *
 * The record is written before the volumes become permanent, and removed after they are deleted. So
 * whatever moment the machine ends at, what is found is the whole container, or a record whose
 * volume is missing or was to go: then it was about to be made or removed, and the record goes,
 * too. What cannot be made again for another reason (a directory that is not there, a limit that is
 * refused) is told and left alone, for the next time.
 */
#include "ctool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *kept_volume(int id, const char *what)
{
	return text(COWFS_CONTAINER "%d%s", id, what);
}

/* --- making --- */

bool keep_wanted(const struct request *r)
{
	return !r->remove && getcid() == HOST_ID;
}

int keep_volumes(int id)
{
	char *root = control_text(id, "volume"), *base, *name;
	int err;

	if (!root || !*root) { /* it is in a directory */
		free(root);
		return 0;
	}
	base = root + strcspn(root, " ");
	if (*base)
		*base++ = '\0';
	name = kept_volume(id, "");
	err = volume_keep(root, name);
	free(name);
	if (!err && *base && strncmp(base, COWFS_IMAGE, strlen(COWFS_IMAGE))) {
		name = kept_volume(id, ".base");
		err = volume_keep(base, name);
		free(name);
	}
	free(root);
	return err;
}

/* Control files and what they say when nobody has written to them. */
static const char *const settings[][2] = {
	{ "pids.max", "max" },	  { "files.max", "max" },   { "memory.max", "max" },
	{ "memory.high", "max" }, { "memory.min", "0" },    { "disk.max", "max" },
	{ "inodes.max", "max" },  { "cpu.weight", "100" },  { "cpu.max", "max 100000" },
	{ "cpuset.cpus", "" },	  { "sched.policy", "rr" }, { "syscalls.deny", "" },
	{ "on_limit", "errno" },  { "io.max", "" },	    { "memory.log", "0" },
	{ "sched.log", "0" },
};

/* The maps of ids are written as a whole, or not at all. */
static const char *const maps[] = { "uid_map", "gid_map" };
#define MAP_OF_ALL "         0          0 4294967295"

static void read_map(int id, const char *file, struct words *out)
{
	char *value = control_text(id, file), *setting;

	if (value && strcmp(value, MAP_OF_ALL)) {
		setting = text("%s=%s", file, value);
		words_add(out, setting);
		free(setting);
	}
	free(value);
}

/* All that the control files say beyond that, a line each. */
static void read_settings(int id, struct words *out)
{
	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
		read_map(id, maps[i], out);
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		char *value = control_text(id, settings[i][0]), *line, *rest = value, *setting;

		if (!value || !strcmp(value, settings[i][1])) {
			free(value);
			continue;
		}
		while ((line = strsep(&rest, "\n"))) {
			setting = text("%s=%s", settings[i][0], line);
			words_add(out, setting);
			free(setting);
		}
		free(value);
	}
}

/* For -v: the source as it is found from everywhere. */
static void keep_binds(const struct request *r, struct words *out)
{
	for (unsigned i = 0; i < r->bind_count; i++) {
		const char *source = (const char *)(uintptr_t)r->binds[i].source;
		char *whole = realpath(source, NULL);

		words_add(out, r->binds[i].flags & CONTAINER_BIND_READ_ONLY ? "ro" : "rw");
		words_add(out, whole ? whole : source);
		words_add(out, (const char *)(uintptr_t)r->binds[i].target);
		free(whole);
	}
}

int keep(const struct request *r, int id, uint32_t flags, struct record *rec)
{
	rec->id = id;
	rec->flags = flags;
	rec->name = control_text(id, "name");
	rec->hostname = control_text(id, "hostname");
	if (control_number(id, "created", &rec->created))
		rec->created = 0;
	keep_binds(r, &rec->binds);
	read_settings(id, &rec->settings);
	return rec->name && rec->hostname ? 0 : -errno;
}

int keep_settings(int id)
{
	struct record rec;

	if (record_load(id, &rec) || !rec.id)
		return 0;
	read_settings(id, &rec.settings);
	return record_save(id, &rec);
}

void keep_ended(int id)
{
	struct record rec;
	struct cinfo info;

	if (getcid() != HOST_ID || record_load(id, &rec) || !rec.id)
		return;
	if (cinfo(id, &info, sizeof info) || info.state != CONTAINER_STOPPED ||
	    info.exit_status == CONTAINER_STATUS_LOST << 8 || rec.ended == info.exit_status + 1)
		return;
	rec.ended = info.exit_status + 1;
	record_save(id, &rec); /* else nobody will know */
}

void keep_started(int id, struct record *rec)
{
	if (!rec->id || !rec->ended)
		return;
	rec->ended = 0;
	record_save(id, rec);
}

void keep_remove(int id)
{
	static const char *const what[] = { "", ".base" };

	for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
		char *name = kept_volume(id, what[i]);

		volume_delete(name); /* one of this boot went with its mount */
		free(name);
	}
}

/* --- making again --- */

static int restore_binds(const struct record *rec, struct container_bind *binds, uint32_t *count)
{
	*count = (uint32_t)(rec->binds.count / 3);
	if (rec->binds.count % 3 || *count > CONTAINER_BINDS_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < *count; i++)
		binds[i] = (struct container_bind){
			.source = (uintptr_t)rec->binds.v[3 * i + 1],
			.target = (uintptr_t)rec->binds.v[3 * i + 2],
			.flags = strcmp(rec->binds.v[3 * i], "ro") ? 0 : CONTAINER_BIND_READ_ONLY,
		};
	return 0;
}

static int restore_spec(const struct record *rec, struct container_bind *binds,
			struct container_spec *spec)
{
	bool directory = !(rec->flags & (CONTAINER_F_VIEW | CONTAINER_F_IMAGE));

	if (!rec->root || !rec->name || !rec->hostname || strlen(rec->name) >= sizeof spec->name ||
	    strlen(rec->hostname) >= sizeof spec->hostname || (directory && *rec->root != '/'))
		return -EINVAL;
	container_spec_init(spec, rec->flags & CONTAINER_F_VIEW ? NULL : rec->root);
	strcpy(spec->name, rec->name);
	strcpy(spec->hostname, rec->hostname);
	spec->id = (uint32_t)rec->id;
	spec->created = rec->created;
	spec->console = rec->console;
	spec->flags = rec->flags;
	spec->exit_status = rec->ended ? rec->ended - 1 : CONTAINER_STATUS_LOST << 8;
	spec->binds = (uintptr_t)binds;
	return restore_binds(rec, binds, &spec->bind_count);
}

/* Its volume is missing, or is one that did not become permanent. */
static bool is_half(const struct record *rec)
{
	char *name = kept_volume(rec->id, "");
	struct cowfs_volume v;
	int err = rec->flags & (CONTAINER_F_VIEW | CONTAINER_F_IMAGE) ? volume_find(name, &v) : 1;

	free(name);
	return err == -ENOENT || (!err && v.flags & COWFS_TEMPORARY);
}

/* An exit status after the message. */
static int restore_one(int id)
{
	struct container_bind binds[CONTAINER_BINDS_MAX];
	struct container_spec spec;
	struct record rec;
	int err = record_load(id, &rec);

	if (!err)
		err = rec.id == id ? restore_spec(&rec, binds, &spec) : -EINVAL;
	if (err)
		return fail_errno(err, "container %d: its record", id);
	if (is_half(&rec)) {
		keep_remove(id);
		record_remove(id);
		return 0;
	}
	if (spawncont(&spec, sizeof spec) < 0)
		return fail_errno(errno, "%s, which was container %d (root %s)", rec.name, id,
				  rec.root);
	if (settings_apply(id, rec.settings.v, rec.settings.count)) {
		destroy_container(id); /* its volume stays */
		return fail("%s, which was container %d, is not there: this limit cannot be set",
			    rec.name, id);
	}
	return 0;
}

/*
 * Ids go on behind all that there are records of, so that none is given to somebody else while its
 * record is there: the highest is taken once.
 */
static void pass_ids(int highest)
{
	struct container_spec spec;

	container_spec_init(&spec, "/");
	spec.id = (uint32_t)highest;
	if (spawncont(&spec, sizeof spec) >= 0)
		destroy_container(highest);
}

static int by_id(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

int do_restore(struct request *r)
{
	int *ids, status = 0;
	size_t count;
	int err = record_list(&ids, &count);

	(void)r;
	if (getcid() != HOST_ID)
		return fail("this is for the host's administrator");
	record_remove_old();
	if (err)
		return fail_errno(err, "the records of containers");
	qsort(ids, count, sizeof *ids, by_id);
	for (size_t i = 0; i < count; i++) {
		char *name = control_text(ids[i], "name"); /* it is there already */

		if (!name && restore_one(ids[i]))
			status = EXIT_CTOOL;
		free(name);
	}
	if (count)
		pass_ids(ids[count - 1]);
	free(ids);
	return status;
}

int do_remember(struct request *r)
{
	int *ids;
	size_t count;
	int err = record_list(&ids, &count);

	(void)r;
	if (getcid() != HOST_ID)
		return fail("this is for the host's administrator");
	if (err)
		return fail_errno(err, "the records of containers");
	for (size_t i = 0; i < count; i++)
		keep_ended(ids[i]);
	free(ids);
	return 0;
}
