/* SPDX-License-Identifier: MIT */
/*
 * super.c - from a disk to a filesystem and back: format, mount, unmount.
 *
 * Formatting is making a filesystem in memory whose counts are all zero (they need not be written),
 * and committing it; so there is one way in which things get to the disk.
 *
 * Mounting reads the four superblocks (two slots, each twice), and the one of the highest
 * generation that is right wins, if what it lists is there (commit.c). All else is read when it is
 * needed, so the size of the disk and what is on it do not matter; only that list and the log,
 * which are bounded, are gone through.
 */
#include "fs/cowfs/internal.h"

#define BLOCKS_MIN    256u
#define BLOCKS_MAX    (1ull << 32) /* 16 TiB: counts of free blocks are 32 bits */
#define LOG_SHARE     64u	   /* of the disk */
#define LOG_MIN	      16u
#define LOG_MAX	      4096u
#define EMERGENCY_MIN 64u
#define EMERGENCY_MAX 4096u

/* --- the object --- */

static void fs_free(struct cow_fs *fs)
{
	cow_volumes_free(fs);
	if (fs->meta)
		cow_volume_free(fs->meta);
	cow_inodes_destroy(fs);
	cow_cache_destroy(fs);
	cow_counts_free(fs);
	cow_free(fs);
}

/* A filesystem in memory for what *s says. */
static int fs_create(struct cow_platform *p, const struct cow_super *s, u32 flags,
		     struct cow_fs **out)
{
	struct cow_fs *fs = cow_alloc(sizeof(*fs));
	int err;

	if (!fs)
		return -ENOMEM;
	fs->platform = p;
	fs->super = *s;
	fs->flags = flags;
	cow_lock_init(&fs->commit_lock, COW_LOCK_COMMIT);
	cow_lock_init(&fs->seal_lock, COW_LOCK_SEAL);
	cow_lock_init(&fs->share_lock, COW_LOCK_SHARE);
	cow_spin_init(&fs->volumes_lock);
	list_init(&fs->volumes);
	list_init(&fs->dirty_volumes);
	fs->sealed_birth = s->birth;
	fs->birth = s->birth + 1;
	fs->generation = s->generation + 1;
	fs->epoch = 1;
	fs->dead_head = s->dead_head;
	fs->dirty_limit = cow_dirty_limit(p);
	/* before the first commit there is nothing that a crash could go back to */
	fs->list_max = s->generation ? COW_LIST_MAX : 0;
	fs->emergency = MIN(MAX(s->blocks / 64, (u64)EMERGENCY_MIN), (u64)EMERGENCY_MAX);
	err = cow_cache_init(fs);
	if (!err)
		err = cow_inodes_init(fs);
	if (!err)
		err = cow_counts_load(fs);
	if (!err) {
		fs->meta = cow_volume_alloc(fs, 0);
		err = fs->meta ? 0 : -ENOMEM;
	}
	if (err) {
		fs_free(fs);
		return err;
	}
	fs->meta->rec = s->meta;
	*out = fs;
	return 0;
}

/* --- format --- */

static int super_plan(struct cow_super *s, u64 disk_blocks, const struct cow_format_options *o)
{
	u64 blocks = o->blocks ? o->blocks : disk_blocks;

	if (blocks < BLOCKS_MIN || blocks > disk_blocks || blocks > BLOCKS_MAX)
		return -EINVAL;
	*s = (struct cow_super){
		.magic = COW_MAGIC,
		.version = COW_VERSION,
		.block_size = COW_BLOCK,
		.blocks = blocks,
		.log_start = 2,
		.log_blocks = o->log_blocks
				      ? o->log_blocks
				      : MIN(MAX(blocks / LOG_SHARE, (u64)LOG_MIN), (u64)LOG_MAX),
		.counts_levels = cow_counts_levels(blocks),
		.name_seed = o->name_seed ? o->name_seed : cow_random(),
		.created = o->now,
		.meta = { .mode = COW_S_VOLUME, .nlink = 1, .created = o->now },
	};
	s->counts_start = s->log_start + s->log_blocks;
	s->data_start = s->counts_start + cow_counts_size(blocks);
	if (s->data_start + BLOCKS_MIN / 2 > blocks)
		return -EINVAL;
	s->free_blocks = blocks - 2 - s->data_start;
	s->counts = (struct cow_count_ref){ .free = s->free_blocks, .slot = COW_SLOT_VIRGIN };
	memcpy(s->uuid, o->uuid, sizeof(s->uuid));
	snprintf(s->label, sizeof(s->label), "%s", o->label ? o->label : "");
	for (unsigned i = 0, zero = 1; i < sizeof(s->uuid); i++) {
		zero = zero && !s->uuid[i];
		if (i + 1 == sizeof(s->uuid) && zero) {
			u64 r[2] = { cow_random(), cow_random() };
			memcpy(s->uuid, r, sizeof(r));
			s->uuid[6] = (s->uuid[6] & 0x0f) | 0x40; /* RFC 9562, version 4 */
			s->uuid[8] = (s->uuid[8] & 0x3f) | 0x80;
		}
	}
	return 0;
}

/* Nothing of what was there before is taken for ours: superblocks and the log's first block. */
static int wipe(struct cow_platform *p, const struct cow_super *s)
{
	const u64 place[] = { 0, 1, s->log_start, s->blocks - 2, s->blocks - 1 };
	void *data;
	struct cow_page *page = cow_page_alloc(p, false, &data);
	struct cow_io io;
	int err;

	if (!page)
		return -ENOMEM;
	cow_clear_block(data);
	cow_io_init(&io, p);
	for (unsigned i = 0; i < ARRAY_SIZE(place); i++)
		cow_io_start(&io, true, place[i], &page, &data, 1);
	err = cow_io_wait(&io);
	cow_page_put(page);
	return err ? err : cow_io_flush(p);
}

static int format_fill(struct cow_fs *fs, const struct cow_time *now)
{
	const struct cow_new root = { .mode = 0040755, .now = *now };
	struct cow_volume *v;
	struct cow_op op;
	int err = cow_op_begin(fs->meta, COW_OP_META, 0, &op);

	if (err)
		return err;
	err = cow_table_create(fs->meta, &root);
	cow_op_end(&op);
	if (!err)
		err = cow_volume_create_at(fs, "root", 4, 0, now, &v);
	if (err)
		return err;
	cow_volume_put(v);
	return cow_commit(fs);
}

int cow_format(struct cow_platform *p, const struct cow_format_options *o)
{
	struct cow_super *s = cow_alloc(sizeof(*s));
	struct cow_fs *fs;
	int err = s ? super_plan(s, cow_disk_blocks(p), o) : -ENOMEM;

	if (!err)
		err = wipe(p, s);
	if (!err)
		err = fs_create(p, s, 0, &fs);
	cow_free(s);
	if (err)
		return err;
	err = format_fill(fs, &o->now);
	if (err) {
		fs_free(fs);
		return err;
	}
	return cow_unmount(fs);
}

/* --- mount --- */

static bool list_sane(const struct cow_super *s)
{
	if (s->listed > COW_LIST_MAX)
		return false;
	for (u64 n = 0; n < s->listed; n++)
		if (s->list[n].addr < s->counts_start || s->list[n].addr >= s->blocks - 2)
			return false;
	return true;
}

static bool super_sane(const struct cow_super *s, u64 disk_blocks)
{
	return s->magic == COW_MAGIC && s->version == COW_VERSION && s->block_size == COW_BLOCK &&
	       s->csum == cow_checksum(s, offsetof(struct cow_super, csum)) &&
	       s->blocks >= BLOCKS_MIN && s->blocks <= disk_blocks && s->blocks <= BLOCKS_MAX &&
	       s->log_start == 2 && s->log_blocks < s->blocks &&
	       s->counts_start == s->log_start + s->log_blocks &&
	       s->counts_levels == cow_counts_levels(s->blocks) &&
	       s->data_start == s->counts_start + cow_counts_size(s->blocks) &&
	       s->data_start < s->blocks - 2 && s->free_blocks <= s->blocks - 2 - s->data_start &&
	       s->reserved_blocks <= s->blocks && s->birth < INT64_MAX &&
	       s->meta.mode == COW_S_VOLUME && s->meta.depth <= COW_DEPTH_MAX &&
	       s->meta.table.birth <= s->birth && s->label[sizeof(s->label) - 1] == '\0' &&
	       list_sane(s);
}

struct super_search {
	struct cow_platform *platform;
	struct cow_page *page;
	struct cow_super *best;
	u64 place[4];
	u64 generation[4]; /* of the good superblock that is there; 0: there is none */
};

static int super_io(struct super_search *x, bool write, u64 addr)
{
	void *data = cow_page_data(x->page);
	struct cow_io io;

	cow_io_init(&io, x->platform);
	cow_io_start(&io, write, addr, &x->page, &data, 1);
	return cow_io_wait(&io);
}

/* Reads block addr; if it is a good superblock and newer than the best, it is that. */
static void super_try(struct super_search *x, unsigned n, u64 addr)
{
	const struct cow_super *s = cow_page_data(x->page);

	x->place[n] = addr;
	if (super_io(x, false, addr) || !super_sane(s, cow_disk_blocks(x->platform)))
		return;
	x->generation[n] = s->generation;
	if (!x->best->magic || s->generation > x->best->generation)
		*x->best = *s;
}

/*
 * Had the flush ended that wrote *best? 0: no, *bad of its list is not there. A log record of its
 * generation was written later: then it had, and what is bad became so. -EIO, -errno: nobody knows.
 */
static int super_is_finished(struct super_search *x, u64 *bad)
{
	const struct cow_log_record *r = cow_page_data(x->page);
	const struct cow_super *s = x->best;
	int err;

	for (u64 n = 0; n < s->listed; n++) {
		*bad = s->list[n].addr;
		err = super_io(x, false, *bad);
		if (err)
			return err;
		if (cow_checksum(r, COW_BLOCK) == s->list[n].csum)
			continue;
		err = super_io(x, false, s->log_start);
		return err ? err : r->magic == COW_LOG_MAGIC && r->generation == s->generation;
	}
	return 1;
}

/*
 * *best becomes the commit before it, if it was not finished. Only a later commit overwrites that
 * one's superblock: if it is gone, *best was finished.
 */
static int super_step_back(struct super_search *x)
{
	u64 last = x->best->generation, bad;
	const struct cow_super *s = cow_page_data(x->page);
	int finished = super_is_finished(x, &bad);

	if (finished < 0) {
		cow_log(x->platform, "block %lu of the last commit cannot be read",
			(unsigned long)bad);
		return finished;
	}
	for (unsigned n = 0; n < 4 && !finished; n++) {
		if (x->generation[n] + 1 != last || super_io(x, false, x->place[n]) ||
		    !super_sane(s, cow_disk_blocks(x->platform)))
			continue;
		*x->best = *s;
		cow_log(x->platform,
			"commit %lu was not finished, its block %lu is not there: "
			"commit %lu counts",
			(unsigned long)last, (unsigned long)bad, (unsigned long)s->generation);
		break;
	}
	return 0;
}

/*
 * What was read may be in the disk's cache only, and the next writes take for granted that it is
 * durable. Then a superblock that was not finished is taken away: else it would count when the
 * bytes that it lists come to lie there later.
 */
static int super_settle(struct super_search *x)
{
	int err = cow_io_flush(x->platform);

	for (unsigned n = 0; n < 4 && !err; n++) {
		if (x->generation[n] <= x->best->generation)
			continue;
		cow_clear_block(cow_page_data(x->page));
		err = super_io(x, true, x->place[n]);
		if (!err)
			err = cow_io_flush(x->platform);
	}
	return err;
}

/*
 * The slot of the last commit and its copy: a crash may have torn one of them, or the disk has lost
 * it. It is written again from the other, which stands meanwhile. What cannot be written may wait:
 * the next commit will say so.
 */
static void super_mend(struct super_search *x)
{
	const struct cow_super *best = x->best;
	int err;

	for (unsigned n = 0; n < 4; n++) {
		if (n % 2 != (best->generation & 1) || x->generation[n] == best->generation)
			continue;
		memcpy(cow_page_data(x->page), best, COW_BLOCK);
		err = super_io(x, true, x->place[n]);
		if (!err)
			err = cow_io_flush(x->platform);
		cow_log(x->platform, "superblock at block %lu: torn or bad, %s",
			(unsigned long)x->place[n],
			err ? "and it cannot be written" : "written again from its copy");
	}
}

/*
 * The size of the filesystem, which says where the copies are, stands in the first two blocks; if
 * both are gone it is taken to be that of the disk.
 */
static void super_search(struct super_search *x)
{
	u64 blocks = cow_disk_blocks(x->platform);

	if (blocks < BLOCKS_MIN)
		return;
	super_try(x, 0, 0);
	super_try(x, 1, 1);
	if (x->best->magic)
		blocks = x->best->blocks;
	super_try(x, 2, blocks - 2);
	super_try(x, 3, blocks - 1);
}

/* *unwritable: with `write`, what was to be set right at once and could not. */
static int super_read(struct cow_platform *p, struct cow_super *best, bool write, int *unwritable)
{
	struct super_search x = { .platform = p, .best = best };
	void *data;
	int err;

	*unwritable = 0;
	x.page = cow_page_alloc(p, false, &data);
	if (!x.page)
		return -ENOMEM;
	best->magic = 0;
	super_search(&x);
	err = best->magic ? super_step_back(&x) : -EINVAL;
	if (!err && write)
		*unwritable = super_settle(&x);
	if (!err && write && !*unwritable)
		super_mend(&x);
	cow_page_put(x.page);
	return err;
}

/* What a seal would do first: so the tree in memory is what the volumes are. */
static int store_volumes(struct cow_fs *fs)
{
	struct cow_volume *v;
	struct cow_op op;
	int err = cow_op_begin(fs->meta, COW_OP_META, 0, &op);

	if (err)
		return err;
	list_for_each (v, &fs->dirty_volumes, dirty_node)
		if (!err)
			err = cow_volume_store(v);
	cow_op_end(&op);
	return err;
}

/* A read-only mount shows what the log says, and keeps it in memory. */
static int replay(struct cow_fs *fs)
{
	int err;

	fs->replaying = true;
	err = cow_log_replay(fs);
	if (err > 0 && fs->flags & COW_MOUNT_READ_ONLY)
		err = store_volumes(fs);
	fs->replaying = false;
	return err > 0 ? cow_commit(fs) : err;
}

int cow_mount(struct cow_platform *p, u32 flags, struct cow_fs **out)
{
	struct cow_super *s = cow_alloc(sizeof(*s));
	struct cow_fs *fs;
	int err, unwritable;

	if (cow_disk_read_only(p))
		flags |= COW_MOUNT_READ_ONLY;
	err = s ? super_read(p, s, !(flags & COW_MOUNT_READ_ONLY), &unwritable) : -ENOMEM;
	if (!err)
		err = fs_create(p, s, flags, &fs);
	cow_free(s);
	if (err)
		return err;
	if (unwritable)
		cow_fail(fs, unwritable, "the superblocks cannot be made durable", 0);
	err = replay(fs);
	if (err) {
		fs_free(fs);
		return err;
	}
	fs->mounted_birth = fs->birth;
	*out = fs;
	return 0;
}

int cow_unmount(struct cow_fs *fs)
{
	int err = cow_commit_confirmed(fs);

	cow_io_drain(fs->platform); /* what was read ahead and is wanted no more */
	fs_free(fs);
	return err;
}

void cow_set_hooks(struct cow_fs *fs, const struct cow_hooks *h)
{
	fs->hooks = h;
}

struct cow_platform *cow_platform_of(struct cow_fs *fs)
{
	return fs->platform;
}

const u8 *cow_uuid(struct cow_fs *fs)
{
	return fs->super.uuid;
}

const char *cow_label(struct cow_fs *fs)
{
	return fs->super.label;
}

void cow_space(struct cow_fs *fs, struct cow_space *s)
{
	u64 kept;

	cow_lock_read(&fs->counts_lock);
	kept = fs->reserved_blocks + fs->emergency;
	*s = (struct cow_space){
		.blocks = fs->super.blocks,
		.free = fs->free + cow_counts_pending(fs),
		.pending = cow_counts_pending(fs),
		.dirty = fs->dirty_count + fs->sealed_count,
		.cached = fs->cached,
		.dead = fs->dead_head != 0,
		.commits = fs->stat_commits,
		.flushes = fs->stat_flushes,
		.log_records = fs->stat_log_records,
		.reads = fs->stat_reads,
		.writes = fs->stat_writes,
	};
	cow_unlock_read(&fs->counts_lock);
	s->available = s->free > kept ? s->free - kept : 0;
	/* a record takes a 16th of a block, and a name */
	s->inodes_free = s->available * 8;
	s->inodes = s->blocks * 8;
}
