/* SPDX-License-Identifier: MIT */
/*
 * log.c - the intent log: what fsync promises without a commit (on disk: format.h).
 *
 * A record says of one inode what changed since the last commit: that it was cut, which blocks of
 * data are new and where they lie, and its attributes. So fsync writes the file's new blocks
 * where the next commit will find them, one record, and flushes once:
 *
 *	gather	(volume locked) which blocks; they become COW_BUF_LOGGED: nobody changes them any
 *		more
 *	write	those blocks and the record, in any order
 *	flush	the promise holds
 *
 * What a record names is checksummed by the record, and that by itself; so writes of one epoch
 * may be lost or torn in any way: then the record does not count. The records before it were
 * durable before it was begun.
 *
 * A record speaks of the last commit: only an inode that this commit has, with the names and
 * attributes that it has there, can be logged; and only while that is the last commit. All else
 * is a commit: new files, names, links, extended attributes, holes punched, ranges shared,
 * volumes that were cloned just now.
 *
 * A block that a record names stays untouched until a commit makes the log void, also if its file
 * drops it (cow_counts_dec knows it as not fresh).
 *
 * Replay (at mount, before anything is allocated) first claims what the valid records name: a
 * reference held by the replay itself. Then each record is applied by operations that cannot
 * start a commit, since half of the log must never become durable; last, the references are given
 * up. The pointers get the birth of the last commit: they are as old as what is durable, so
 * nobody changes their blocks in place or gives them away before the commit that follows.
 */
#include "fs/cowfs/internal.h"

#define LOG_RECORD_MAX (1u << 20) /* bytes; more is a commit's work */
#define LOG_NEVER      (~0ull)	  /* trunc: was not cut */

static u64 record_blocks(u64 extents)
{
	return DIV_ROUND_UP(sizeof(struct cow_log_record) + extents * sizeof(struct cow_log_extent),
			    COW_BLOCK);
}

static u64 record_sum(struct cow_log_record *r)
{
	u64 was = r->csum, sum;

	r->csum = 0;
	sum = cow_checksum(r, r->bytes);
	r->csum = was;
	return sum;
}

/* --- writing --- */

/* What one fsync writes. data[] and pages[]: `count` blocks of the file, then those of the record.
 */
struct log_write {
	struct cow_fs *fs;
	struct cow_inode *inode;
	u64 end; /* blocks behind the file's end wait to be dropped */
	u32 count, room;
	struct cow_log_record *record;
	u64 blocks; /* of the record */
	struct cow_buf **buf;
	struct cow_page **pages;
	void **data;
};

/* Bytes that page tables may change stand still from now on. */
static void settle(struct cow_fs *fs, struct cow_buf *b)
{
	if (!(b->flags & COW_BUF_MAPPED))
		return;
	if (fs->hooks && fs->hooks->protect)
		fs->hooks->protect(b, b->mapper, b->mapper_index);
	cow_buf_clear(b, COW_BUF_MAPPED | COW_BUF_SUMMED);
}

static void take_extent(struct log_write *w, struct cow_buf *b, u64 index)
{
	struct cow_log_extent *e = &w->record->extent[w->count];

	settle(w->fs, b);
	e->index = index;
	e->ptr = (struct cow_ptr){ .addr = b->addr, .birth = b->birth, .csum = cow_buf_csum(b) };
	cow_buf_set(b, COW_BUF_LOGGED);
	w->buf[w->count] = b;
	w->pages[w->count] = b->page;
	w->data[w->count] = b->data;
	cow_resched(); /* a sum was made */
}

static bool gather(struct log_write *w, const struct cow_ptr *p, u32 level, u64 index);

/* Does a record name all that is new at or below this open block? */
static bool is_told(struct cow_fs *fs, u64 addr, u32 level)
{
	u32 flags = cow_buf_flags(fs, addr);

	return flags && (level ? !(flags & COW_BUF_NEWS) : flags & COW_BUF_LOGGED);
}

/* The news below a block of pointers. Once taken, they are none. */
static bool gather_below(struct log_write *w, struct cow_buf *b, u32 level, u64 index)
{
	const struct cow_map *map = cow_buf_data(b);
	bool good = true;

	for (u32 n = 0; good && n < COW_FANOUT; n++)
		good = gather(w, &map->ptr[n], level - 1, index << COW_FANOUT_SHIFT | n);
	if (good && w->record)
		cow_buf_clear(b, COW_BUF_NEWS);
	cow_resched();
	return good;
}

/*
 * Blocks of data below *p that are dirty and that no record names: counted in w->count and, once
 * there is room for them, taken. False: a dirty block is not in memory, which must not be; then the
 * commit shall find out.
 */
static bool gather(struct log_write *w, const struct cow_ptr *p, u32 level, u64 index)
{
	struct cow_buf *b;
	bool good = true;

	if (p->addr <= COW_ADDR_RESERVED || p->birth <= cow_load(&w->fs->sealed_birth) ||
	    is_told(w->fs, p->addr, level))
		return true;
	b = cow_buf_peek(w->fs, p->addr);
	if (!b)
		return false;
	if (level) {
		good = gather_below(w, b, level, index);
	} else if (index < w->end) {
		if (w->record && w->count < w->room) {
			take_extent(w, b, index);
			b = NULL;
		}
		w->count++;
	}
	if (b)
		cow_buf_put(b);
	return good;
}

static void log_write_free(struct log_write *w)
{
	for (u32 n = 0; w->buf && n < w->room; n++)
		if (w->buf[n])
			cow_buf_put(w->buf[n]);
	for (u64 n = 0; w->pages && n < w->blocks; n++)
		if (w->pages[w->room + n])
			cow_page_put(w->pages[w->room + n]);
	cow_free(w->buf);
	cow_free(w->pages);
	cow_free(w->data);
	cow_free(w->record);
}

static bool log_write_alloc(struct log_write *w)
{
	w->room = w->count;
	w->blocks = record_blocks(w->room);
	w->record = cow_alloc(w->blocks * COW_BLOCK);
	w->buf = cow_alloc((w->room + 1) * sizeof(*w->buf));
	w->pages = cow_alloc((w->room + w->blocks) * sizeof(*w->pages));
	w->data = cow_alloc((w->room + w->blocks) * sizeof(*w->data));
	if (!w->record || !w->buf || !w->pages || !w->data)
		return false;
	for (u64 n = w->room; n < w->room + w->blocks; n++) {
		w->pages[n] = cow_page_alloc(w->fs->platform, false, &w->data[n]);
		if (!w->pages[n])
			return false;
	}
	return true;
}

/* Does the last commit know this inode by what it is now, but for what a record can say? */
static bool expressible(struct cow_inode *i)
{
	struct cow_fs *fs = i->volume->fs;

	return i->names_generation <= fs->super.generation &&
	       fs->generation == fs->super.generation + 1;
}

static void fill_record(struct log_write *w)
{
	struct cow_log_record *r = w->record;
	struct cow_inode *i = w->inode;

	r->magic = COW_LOG_MAGIC;
	r->generation = w->fs->super.generation;
	r->sequence = w->fs->log_sequence;
	r->bytes = sizeof(*r) + w->count * sizeof(r->extent[0]);
	r->count = w->count;
	r->volume = i->volume->id;
	r->ino = i->ino;
	r->trunc = i->log_trunc;
	r->inode = i->rec;
	r->csum = record_sum(r);
	for (u64 n = 0; n < w->blocks; n++)
		cow_copy_block(w->data[w->room + n], (char *)r + n * COW_BLOCK);
}

/*
 * Volume locked. 0: nothing to write; 1: a commit is needed; 2: w is to be written, and counts as
 * written for operations from now on.
 */
static int log_gather(struct log_write *w)
{
	struct cow_inode *i = w->inode;
	struct cow_fs *fs = w->fs;
	bool good;

	/* a clone that no commit has yet: nor has it this inode, changed or not */
	if (i->volume->rec.base_birth > fs->super.birth)
		return 1;
	if (i->names_generation <= fs->super.generation &&
	    i->data_generation <= fs->super.generation)
		return 0;
	if (!expressible(i))
		return 1;
	/* Nobody will ever find it again. */
	if (!i->rec.nlink || i->changes == i->logged)
		return 0;
	w->end = DIV_ROUND_UP(i->rec.size, (u64)COW_BLOCK);
	if (!gather(w, &i->rec.root, i->rec.depth, 0) ||
	    record_blocks(w->count) * COW_BLOCK > LOG_RECORD_MAX ||
	    record_blocks(w->count) > fs->super.log_blocks - fs->log_next || !log_write_alloc(w))
		return 1;
	w->count = 0;
	good = gather(w, &i->rec.root, i->rec.depth, 0);
	COW_BUG_ON(!good || w->count != w->room);
	fill_record(w);
	i->logged = i->changes;
	i->log_trunc = LOG_NEVER;
	return 2;
}

/* n blocks in memory from `first` on, which lie side by side on the disk from addr on. */
static void write_run(struct log_write *w, struct cow_io *io, u64 addr, u64 first, u64 n)
{
	for (u64 part; n; n -= part, first += part, addr += part) {
		part = MIN(n, (u64)COW_IO_BLOCKS);
		cow_io_start(io, true, addr, &w->pages[first], &w->data[first], part);
		__atomic_add_fetch(&w->fs->stat_writes, 1, __ATOMIC_RELAXED);
	}
}

static int log_write(struct log_write *w)
{
	struct cow_fs *fs = w->fs;
	u64 at = fs->super.log_start + fs->log_next;
	struct cow_io io;
	int err;

	cow_io_init(&io, fs->platform);
	for (u32 n = 0, run; n < w->count; n += run) {
		for (run = 1; n + run < w->count && w->buf[n + run]->addr == w->buf[n]->addr + run;)
			run++;
		write_run(w, &io, w->buf[n]->addr, n, run);
	}
	write_run(w, &io, at, w->room, w->blocks);
	err = cow_io_wait(&io);
	if (!err) {
		err = cow_io_flush(fs->platform);
		__atomic_add_fetch(&fs->stat_flushes, 1, __ATOMIC_RELAXED);
	}
	if (err) {
		cow_fail(fs, err, "the intent log could not be written", at);
		return err;
	}
	fs->log_next += w->blocks;
	fs->log_sequence++;
	__atomic_add_fetch(&fs->stat_log_records, 1, __ATOMIC_RELAXED);
	return 0;
}

int cow_log_fsync(struct cow_inode *i)
{
	struct log_write w = { .fs = i->volume->fs, .inode = i };
	int what;

	COW_BUG_ON(!cow_lock_write_held(&w.fs->commit_lock));
	cow_lock_write(&i->volume->lock);
	what = log_gather(&w);
	cow_unlock_write(&i->volume->lock);
	if (what == 2)
		what = log_write(&w);
	log_write_free(&w);
	return what;
}

int cow_fsync(struct cow_inode *i, bool data_only)
{
	struct cow_fs *fs = i->volume->fs;
	int err;

	/* A record has times and data alike: that one would do without the times saves nothing. */
	(void)data_only;
	err = __atomic_load_n(&fs->error, __ATOMIC_ACQUIRE);
	if (err)
		return err;
	if (fs->flags & COW_MOUNT_READ_ONLY)
		return 0;
	cow_lock_write(&fs->commit_lock);
	err = cow_log_fsync(i);
	cow_unlock_write(&fs->commit_lock);
	return err == 1 ? cow_commit(fs) : err;
}

void cow_log_reset(struct cow_fs *fs)
{
	fs->log_next = 0;
	fs->log_sequence = 0;
}

/* --- replay --- */

struct log_entry { /* a record in memory */
	struct log_entry *next;
	bool claimed;
	struct cow_log_record record; /* with its extents */
};

struct replay {
	struct cow_fs *fs;
	struct log_entry *first, **last;
	struct cow_page *page; /* for reading */
	void *data;
	u64 at, sequence; /* where the next record would be */
	u64 records;
	bool half; /* behind those is one whose blocks are not all there */
};

static int read_block(struct replay *r, u64 addr)
{
	struct cow_io io;
	int err;

	cow_io_init(&io, r->fs->platform);
	cow_io_start(&io, false, addr, &r->page, &r->data, 1);
	err = cow_io_wait(&io);
	if (err)
		cow_log(r->fs->platform, "block %lu of the log cannot be read", addr);
	return err;
}

static bool header_valid(struct replay *r, const struct cow_log_record *h)
{
	struct cow_super *s = &r->fs->super;

	return h->magic == COW_LOG_MAGIC && h->generation == s->generation &&
	       h->sequence == r->sequence && h->bytes <= LOG_RECORD_MAX &&
	       h->bytes == sizeof(*h) + h->count * sizeof(h->extent[0]) &&
	       record_blocks(h->count) <= s->log_blocks - r->at;
}

/* The record at r->at: NULL in *out if there is none that counts. */
static int read_record(struct replay *r, struct log_entry **out)
{
	u64 start = r->fs->super.log_start + r->at, blocks;
	struct cow_log_record *h = r->data;
	struct log_entry *e;
	int err = 0;

	*out = NULL;
	if (r->at >= r->fs->super.log_blocks)
		return 0;
	err = read_block(r, start);
	if (err || !header_valid(r, h))
		return err;
	blocks = record_blocks(h->count);
	e = cow_alloc(sizeof(*e) + blocks * COW_BLOCK);
	if (!e)
		return -ENOMEM;
	for (u64 n = 0; !err && n < blocks; n++) {
		err = n ? read_block(r, start + n) : 0;
		memcpy((char *)&e->record + n * COW_BLOCK, r->data, COW_BLOCK);
	}
	if (err || e->record.csum != record_sum(&e->record)) {
		cow_free(e);
		return err;
	}
	*out = e;
	return 0;
}

static bool extent_valid(struct cow_fs *fs, const struct cow_log_extent *e)
{
	return e->ptr.addr >= fs->super.data_start && e->ptr.addr < fs->super.blocks - 2 &&
	       !e->ptr.mirror && e->index < COW_FILE_MAX >> COW_BLOCK_SHIFT;
}

/* Are the blocks that it names there? 1: no. */
static int check_extents(struct replay *r, struct cow_log_record *rec)
{
	for (u32 n = 0; n < rec->count; n++) {
		struct cow_ptr *p = &rec->extent[n].ptr;
		int err;

		if (!extent_valid(r->fs, &rec->extent[n]))
			return 1;
		err = read_block(r, p->addr);
		if (err)
			return err;
		if (cow_checksum(r->data, COW_BLOCK) != p->csum)
			return 1;
		p->birth = cow_load(&r->fs->sealed_birth);
	}
	return 0;
}

/* One reference less of the first n blocks that the record names. */
static int unclaim(struct cow_fs *fs, struct cow_log_record *rec, u32 n)
{
	int err = 0;

	while (!err && n--) {
		struct cow_op op;

		err = cow_op_begin(fs->meta, 0, COW_OP_FREES | COW_OP_NOWAIT, &op);
		if (err)
			return err;
		err = cow_counts_touch(fs, rec->extent[n].ptr.addr);
		if (!err)
			cow_counts_dec(fs, rec->extent[n].ptr.addr, false);
		cow_op_end(&op);
	}
	return err;
}

/* 1: a block is in use already, which no log of ours says. */
static int claim(struct cow_fs *fs, struct cow_log_record *rec)
{
	int err = 0;
	u32 n = 0;

	while (n < rec->count) {
		err = cow_counts_claim(fs, rec->extent[n].ptr.addr);
		if (err)
			break;
		n++;
	}
	if (!err)
		return 0;
	if (err != -EIO)
		return err;
	err = unclaim(fs, rec, n);
	return err ? err : 1;
}

/* All records that count, in order, their blocks claimed. */
static int read_log(struct replay *r)
{
	struct log_entry *e;
	int err;

	for (;;) {
		err = read_record(r, &e);
		if (err || !e)
			return err;
		*r->last = e;
		r->last = &e->next;
		err = check_extents(r, &e->record);
		if (!err)
			err = claim(r->fs, &e->record);
		r->half = err == 1;
		if (err)
			return err < 0 ? err : 0;
		e->claimed = true;
		r->at += record_blocks(e->record.count);
		r->sequence++;
		r->records++;
	}
}

/* An operation of the replay: it may use all room there is, and never commits. */
static int replay_begin(struct cow_inode *i, struct cow_op *op)
{
	int err =
		cow_op_begin(i->volume, 3 * COW_TREE_PATH_BLOCKS, COW_OP_FREES | COW_OP_NOWAIT, op);

	if (err)
		return err;
	err = cow_inode_prepare(i);
	if (err)
		cow_op_end(op);
	return err;
}

/*
 * No leaf is left at or behind byte `trunc`. What a truncation before the commit had not dropped
 * yet goes with it.
 */
static int replay_cut(struct cow_inode *i, u64 trunc)
{
	u64 next = DIV_ROUND_UP(trunc, (u64)COW_BLOCK), dropped;
	struct cow_root root = cow_file_root(&i->rec);
	struct cow_op op;
	int err;

	do {
		err = replay_begin(i, &op);
		if (err)
			return err;
		err = cow_tree_drop(i->volume, &root, next, ~0ull, &dropped, &next);
		/* a tree that goes as a whole is not counted */
		i->rec.blocks = i->rec.root.addr ? i->rec.blocks - dropped : 0;
		if (!err && !next)
			i->rec.flags &= ~(u32)COW_INODE_CUT;
		cow_inode_store(i, COW_STORE_NAMES);
		cow_op_end(&op);
	} while (!err && next);
	return err;
}

static int replay_extent(struct cow_inode *i, const struct cow_log_extent *e)
{
	const struct cow_shape data = { COW_TREE_FILE, 0 };
	struct cow_root root = cow_file_root(&i->rec);
	struct cow_volume *v = i->volume;
	struct cow_buf *map = NULL, *held;
	struct cow_ptr *slot;
	struct cow_op op;
	int err = replay_begin(i, &op);

	if (err)
		return err;
	err = cow_tree_path(v, &root, e->index, &map, &slot);
	if (!err)
		err = cow_block_drop_prepare(v, slot, data, &held);
	if (!err)
		err = cow_block_share(v, &e->ptr);
	if (!err) {
		i->rec.blocks += !slot->addr;
		cow_block_drop(v, slot, data, held);
		*slot = e->ptr;
	}
	if (map)
		cow_buf_put(map);
	cow_inode_store(i, COW_STORE_NAMES);
	cow_op_end(&op);
	return err;
}

/* Owner, size and times. What belongs to names stays as the commit has it. */
static int replay_attributes(struct cow_inode *i, const struct cow_inode_record *from)
{
	struct cow_inode_record *to = &i->rec;
	struct cow_op op;
	int err = replay_begin(i, &op);

	if (err)
		return err;
	to->mode = from->mode;
	to->uid = from->uid;
	to->gid = from->gid;
	to->atime = from->atime;
	to->mtime = from->mtime;
	to->ctime = from->ctime;
	if ((to->mode & COW_S_TYPE) == COW_S_FILE)
		to->size = from->size;
	cow_inode_store(i, COW_STORE_NAMES);
	cow_op_end(&op);
	return 0;
}

static bool record_fits(const struct cow_log_record *r, const struct cow_inode *i)
{
	u32 type = i->rec.mode & COW_S_TYPE;

	return i->rec.generation == r->inode.generation && (r->inode.mode & COW_S_TYPE) == type &&
	       r->inode.size <= COW_FILE_MAX &&
	       (type == COW_S_FILE || (!r->count && r->trunc == LOG_NEVER));
}

/* 1: there is no such inode. */
static int replay_record(struct cow_fs *fs, const struct cow_log_record *r)
{
	struct cow_volume *v;
	struct cow_inode *i;
	int err = cow_volume_load(fs, r->volume, &v);

	if (err)
		return err == -ENOENT ? 1 : err;
	err = cow_inode_get(v, r->ino, &i);
	if (err) {
		cow_volume_put(v);
		return err == -ENOENT || err == -ESTALE ? 1 : err;
	}
	err = record_fits(r, i) ? 0 : 1;
	if (!err && i->rec.flags & COW_INODE_CUT)
		err = replay_cut(i, i->rec.size);
	if (!err && r->trunc != LOG_NEVER)
		err = replay_cut(i, r->trunc);
	for (u32 n = 0; !err && n < r->count; n++)
		err = replay_extent(i, &r->extent[n]);
	if (!err)
		err = replay_attributes(i, &r->inode);
	cow_inode_put(i);
	cow_volume_put(v);
	return err;
}

static int replay_all(struct replay *r)
{
	int err = 0;

	for (struct log_entry *e = r->first; !err && e && e->claimed; e = e->next) {
		err = replay_record(r->fs, &e->record);
		if (err == 1)
			cow_log(r->fs->platform,
				"the log ends at record %lu of %lu: it speaks of inode %lu in "
				"volume %lu",
				e->record.sequence, r->records, e->record.ino, e->record.volume);
	}
	if (err == 1)
		err = 0;
	for (struct log_entry *e = r->first; !err && e && e->claimed; e = e->next)
		err = unclaim(r->fs, &e->record, e->record.count);
	return err;
}

int cow_log_replay(struct cow_fs *fs)
{
	struct replay r = { .fs = fs };
	int err;

	cow_log_reset(fs);
	r.last = &r.first;
	r.page = cow_page_alloc(fs->platform, false, &r.data);
	if (!r.page)
		return -ENOMEM;
	err = read_log(&r);
	if (!err)
		err = replay_all(&r);
	while (r.first) {
		struct log_entry *next = r.first->next;

		cow_free(r.first);
		r.first = next;
	}
	cow_page_put(r.page);
	/*
	 * Records that came to nothing are in the way of new ones all the same: the commit makes
	 * them void. So it does with one that lacks blocks, which somebody might write there before
	 * the next commit: it must not count then.
	 */
	fs->log_next = r.at + r.half;
	return err ? err : r.records || r.half;
}
