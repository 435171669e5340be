/* SPDX-License-Identifier: MIT */
/* world.c - the states that crashes leave, made and judged (contract: world.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* --- sets --- */

bool set_add(struct set *s, u64 key)
{
	u64 at;

	key += !key;
	if (2 * s->count >= s->room) {
		struct set old = *s;

		s->room = old.room ? 2 * old.room : 1024;
		s->at = calloc(s->room, sizeof(u64));
		s->count = 0;
		for (u64 n = 0; n < old.room; n++)
			if (old.at[n])
				set_add(s, old.at[n]);
		free(old.at);
	}
	for (at = mix64(key) & (s->room - 1); s->at[at]; at = (at + 1) & (s->room - 1))
		if (s->at[at] == key)
			return false;
	s->at[at] = key;
	s->count++;
	return true;
}

void set_free(struct set *s)
{
	free(s->at);
	*s = (struct set){ 0 };
}

/* --- judging --- */

void world_violation(struct world *w, const char *fmt, ...)
{
	va_list ap;

	w->t->violations++;
	printf("# seed %lu, operation %lu (%s): ", (unsigned long)w->seed, (unsigned long)w->op,
	       w->name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

struct complaints {
	char text[8][256];
	u32 count;
};

static void complain(void *arg, const char *text)
{
	struct complaints *c = arg;

	if (c->count < 8)
		snprintf(c->text[c->count++], 256, "%s", text);
}

static bool judge_check(struct world *w, struct cow_fs *fs, const char *what)
{
	struct complaints found = { .count = 0 };
	struct cow_check c = { .report = complain, .arg = &found };
	int err = cow_check(fs, &c);

	if (!err && !c.problems)
		return true;
	world_violation(w, "%s: fsck: error %d, %lu problems", what, err,
			(unsigned long)c.problems);
	for (u32 n = 0; n < found.count; n++)
		printf("#   %s\n", found.text[n]);
	return false;
}

void world_judge_live(struct world *w)
{
	judge_check(w, w->fs, "at the end");
}

int world_judge(struct world *w, struct cow_fs *fs, const char *what)
{
	int err = snap_of_fs(&w->found, fs);

	if (err) {
		world_violation(w, "%s: the tree cannot be read: %d", what, err);
		judge_check(w, fs, what);
		return 0;
	}
	if (!judge_check(w, fs, what))
		return 0;
	if (snap_equal(&w->durable, &w->found))
		return 1;
	if (w->next_valid && snap_equal(&w->next, &w->found))
		return 2;
	world_violation(w, "%s: it is not what was promised; beside what was durable:", what);
	snap_print_difference(&w->durable, &w->found);
	if (w->next_valid) {
		printf("# beside what was about to be:\n");
		snap_print_difference(&w->next, &w->found);
	}
	return 0;
}

bool world_compare(struct world *w)
{
	int err = snap_of_fs(&w->found, w->fs);

	snap_of_model(&w->now, &w->model);
	if (!err && snap_equal(&w->now, &w->found))
		return true;
	world_violation(w, "the filesystem is not what the model says (error %d)", err);
	if (!err)
		snap_print_difference(&w->now, &w->found);
	return false;
}

/* --- states --- */

/* The filesystem goes on working there: a file more, and all is well after an unmount and a mount.
 */
static void state_lives_on(struct world *w, struct cow_fs *fs)
{
	const struct cow_new n = { .mode = COW_S_FILE | 0600 };
	struct cow_inode *dir, *file = NULL;
	struct cow_volume *v;
	int err = cow_volume_get_id(fs, w->model.volume[0].id, &v);

	if (err)
		return;
	err = cow_inode_get(v, COW_ROOT_INO, &dir);
	if (!err) {
		err = cow_create(dir, "after the crash", 15, &n, &file);
		if (!err) {
			cow_file_write(file, 0, "bytes", 5, NULL);
			err = cow_fsync(file, false);
			cow_inode_put(file);
		}
		cow_inode_put(dir);
	}
	cow_volume_put(v);
	if (err && err != -ENOSPC && err != -EEXIST && err != -EROFS && err != -EDQUOT)
		world_violation(w, "after a crash, a new file: %d", err);
	judge_check(w, fs, "after a crash and a new file");
}

static int state_mount(struct world *w, struct cow_fs **fs, const char *what)
{
	int err = cow_mount(&w->disk.state, 0, fs);

	if (err)
		world_violation(w, "%s: it cannot be mounted: %d", what, err);
	return err;
}

/* The recovery crashes, too: what it wrote until then is there in part. */
static void check_nested(struct world *w, const u8 *mask, int was)
{
	struct crash_disk *d = &w->disk;
	u32 epoch = rnd_below(&w->rnd, d->recovery_epoch + 1);
	u64 n = d->recovery.count;
	u8 *sub = calloc(n + 1, 1);
	struct cow_fs *fs;
	int now;

	crash_undo(d);
	crash_apply(d, &d->pending, d->pending.count, mask);
	crash_choose(&w->rnd, n, sub);
	for (u64 k = 0; k < n; k++) {
		if (d->recovery.at[k].epoch < epoch)
			sub[k] = SECTOR_MASK;
		if (d->recovery.at[k].epoch > epoch)
			sub[k] = 0;
	}
	crash_apply(d, &d->recovery, n, sub);
	free(sub);
	d->recording = false;
	set_add(&w->t->distinct, d->hash);
	w->t->nested++;
	if (state_mount(w, &fs, "a crash in the recovery"))
		return;
	now = world_judge(w, fs, "a crash in the recovery");
	if (now && now != was && !snap_equal(&w->durable, &w->next))
		world_violation(w, "a crash in the recovery changed what was recovered");
	cow_unmount(fs);
}

/* A mount that writes nothing shows the same. */
static void check_read_only(struct world *w)
{
	struct cow_fs *fs;
	int err = cow_mount(&w->disk.state, COW_MOUNT_READ_ONLY, &fs);

	if (err) {
		world_violation(w, "it cannot be mounted read-only: %d", err);
		return;
	}
	world_judge(w, fs, "a crash, mounted read-only");
	cow_unmount(fs);
}

static void check_state(struct world *w, const u8 *mask)
{
	struct crash_disk *d = &w->disk;
	bool nested = rnd_one_in(&w->rnd, 6), more = !nested && rnd_one_in(&w->rnd, 12);
	struct cow_fs *fs;
	int is;

	crash_apply(d, &d->pending, d->pending.count, mask);
	set_add(&w->t->distinct, d->hash);
	if (!set_add(&w->seen,
		     mix2(mix2(d->hash, w->durable.digest), w->next_valid ? w->next.digest : 0)))
		goto undo;
	w->t->states++;
	if (rnd_one_in(&w->rnd, 8))
		check_read_only(w);
	crash_list_clear(&d->recovery);
	d->recovery_epoch = 0;
	d->recording = nested;
	if (state_mount(w, &fs, "a crash"))
		goto undo;
	is = world_judge(w, fs, "a crash");
	if (is && more)
		state_lives_on(w, fs);
	cow_unmount(fs);
	if (is && nested)
		check_nested(w, mask, is);
undo:
	d->recording = false;
	crash_undo(d);
}

static void check_states(struct world *w)
{
	u64 n = w->disk.pending.count, states = 3 + n / 2;
	u8 *mask = malloc(n + 1);
	u64 fail = cow_platform_fail_in;

	cow_platform_fail_in = 0;
	if (states > 24)
		states = 24;
	for (u64 k = 0; k < states && w->t->violations < 5; k++) {
		if (k < 2)
			memset(mask, k ? SECTOR_MASK : 0, n);
		else
			crash_choose(&w->rnd, n, mask);
		check_state(w, mask);
	}
	cow_platform_fail_in = fail;
	free(mask);
}

/* --- the live disk's flushes --- */

static struct world *world_of(struct crash_disk *d)
{
	return container_of(d, struct world, disk);
}

/* What is pending says what it may become. */
static void expect_next(struct world *w)
{
	struct crash_disk *d = &w->disk;
	u64 log = w->fs ? w->fs->super.log_blocks : 0;
	bool super = false, record = false;

	for (u64 n = 0; n < d->pending.count; n++) {
		u64 addr = d->pending.at[n].addr;

		super |= addr < 2 || addr >= d->blocks - 2;
		record |= addr >= 2 && addr < 2 + log;
	}
	w->next_valid = super || record;
	if (super) {
		snap_of_model(&w->next, &w->model);
		w->next.vague_volume = w->range_volume;
		w->next.vague_ino = w->range_ino;
	} else if (record) {
		snap_copy(&w->next, &w->durable);
		snap_of_model(&w->now, &w->model);
		snap_log(&w->next, &w->now, w->fsync_volume, w->fsync_ino);
		if (w->next.vague_volume == w->fsync_volume && w->next.vague_ino == w->fsync_ino)
			w->next.vague_volume = w->next.vague_ino = 0;
	}
}

static void before_flush(struct crash_disk *d)
{
	struct world *w = world_of(d);

	if (!w->tracking)
		return;
	expect_next(w);
	w->t->flushes++;
	if (w->check_states)
		check_states(w);
	if (w->crashes && rnd_one_in(&w->rnd, w->crashes))
		d->fail_in[FAULT_FLUSH] = 1;
}

static void after_flush(struct crash_disk *d)
{
	struct world *w = world_of(d);

	if (!w->tracking)
		return;
	if (w->next_valid)
		snap_copy(&w->durable, &w->next);
	w->next_valid = false;
}

/* --- the world --- */

void world_init(struct world *w, u64 seed, struct totals *t)
{
	*w = (struct world){
		.seed = seed, .t = t, .rnd = { seed }, .name = "start", .seconds = 1000
	};
}

void world_format(struct world *w, u64 blocks)
{
	struct cow_format_options o = { .name_seed = rnd_next(&w->rnd) | 1, .uuid = { 1 } };
	int err;

	crash_disk_init(&w->disk, blocks, rnd_next(&w->rnd));
	w->disk.before_flush = before_flush;
	w->disk.after_flush = after_flush;
	err = cow_format(&w->disk.live, &o);
	if (err)
		world_violation(w, "format: %d", err);
}

/* Commits that may have a list, that are too large for one, that may have a short one. */
static u64 choose_list_max(struct world *w)
{
	const u64 max[] = { COW_LIST_MAX, 0, 12 + rnd_below(&w->rnd, 12) };

	return max[rnd_below(&w->rnd, ARRAY_SIZE(max))];
}

static bool mount_live(struct world *w)
{
	int err = cow_mount(&w->disk.live, 0, &w->fs);

	if (err) {
		world_violation(w, "mount: %d", err);
		w->fs = NULL;
		return false;
	}
	w->fs->list_max = choose_list_max(w);
	return true;
}

/* The model is what the filesystem is. */
static bool start_model(struct world *w)
{
	int err;

	model_free(&w->model);
	err = model_load(&w->model, w->fs);
	if (err)
		world_violation(w, "reading it all: %d", err);
	snap_of_model(&w->durable, &w->model);
	w->next_valid = false;
	w->tracking = true;
	return !err;
}

bool world_mount(struct world *w)
{
	w->tracking = false;
	return mount_live(w) && start_model(w);
}

static void count_promises(struct world *w)
{
	w->t->records += w->fs->stat_log_records;
	w->t->commits += w->fs->stat_commits;
}

void world_unmount(struct world *w)
{
	int err;

	count_promises(w);
	world_release_all(w);
	w->name = "unmount";
	err = cow_unmount(w->fs);
	w->fs = NULL;
	if (err && !w->disk.faults)
		world_violation(w, "unmount: %d", err);
}

/* The filesystem is gone from memory. */
static void world_drop(struct world *w)
{
	w->tracking = false;
	/* a write may have failed before there was a flush */
	expect_next(w);
	w->disk.broken = false;
	memset(w->disk.fail_in, 0, sizeof(w->disk.fail_in));
	/* nothing more reaches the disk */
	if (!w->fs->error)
		w->fs->error = -EIO;
	count_promises(w);
	world_release_all(w);
	cow_unmount(w->fs);
	w->fs = NULL;
}

void world_crash_only(struct world *w)
{
	u8 *mask = malloc(w->disk.pending.count + 1);

	world_drop(w);
	crash_choose(&w->rnd, w->disk.pending.count, mask);
	crash_settle(&w->disk, mask);
	free(mask);
}

/* Only the machine starts anew: what the disk has not made durable yet it may still lose later. */
static void world_reset(struct world *w)
{
	world_drop(w);
	crash_reset(&w->disk);
	w->disk.faults = 0;
	if (!mount_live(w))
		return;
	world_judge(w, w->fs, "a reset");
	start_model(w);
}

void world_crash(struct world *w)
{
	w->t->recoveries++;
	if (rnd_one_in(&w->rnd, 3)) {
		world_reset(w);
		return;
	}
	world_crash_only(w);
	if (!cow_mount(&w->disk.live, 0, &w->fs)) {
		world_judge(w, w->fs, "the crashed disk");
		cow_unmount(w->fs);
	}
	w->disk.faults = 0;
	world_mount(w);
}

void world_free(struct world *w)
{
	model_free(&w->model);
	crash_disk_free(&w->disk);
	snap_free(&w->durable);
	snap_free(&w->next);
	snap_free(&w->now);
	snap_free(&w->found);
	set_free(&w->seen);
}
