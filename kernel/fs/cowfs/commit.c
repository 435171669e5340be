/* SPDX-License-Identifier: MIT */
/*
 * commit.c - operations, and the commits that make them durable.
 *
 * An operation holds its volume's lock for writing and has reserved the blocks that it may need.
 *
 * A commit first seals, with the locks of all volumes that had operations: their records go into
 * the meta volume, what is mapped writable is protected, sums are computed from the leaves up (each
 * parent gets those of its children), counts are copied to their images. From then on what was
 * dirty stands still; operations go on, into the next commit, on copies.
 *
 * Then it writes, in any order, and flushes. A small one (fs->list_max blocks) does so once, a
 * larger one twice:
 *
 *	blocks and images of counts, the superblock that lists them, and its copy; flush: durable
 *
 *	blocks and images of counts; flush: nothing names them yet
 *	the superblock, its list empty, and its copy; flush: durable
 *
 * The superblock goes to the slot that is not the current one, the blocks to places that the last
 * commit does not use (I1). So a crash before the last flush is done leaves that commit whole, and
 * of the new superblock either nothing, or a torn one, whose checksum is wrong, or one whose list
 * names a block that is not there: then the former slot counts (super.c).
 *
 * A list has done its work when the flush has ended. That it has is known from the former
 * superblock, which the next commit overwrites, or from the first record of the log; cow_work, when
 * there is nothing else to do, and the unmount commit once more for it, with nothing to be listed.
 *
 *	open --seal--> sealed --write, flush--> durable --the next commit--> confirmed
 *	  |               |
 *	  |               '-- a write fails: the filesystem is read-only from then on; what is in
 *	  |                   memory can be read until the unmount
 *	  '-- the seal fails (no memory, a read error): nothing has happened, it is tried again
 */
#include "fs/cowfs/internal.h"

#define OP_TRIES 4

void cow_fail(struct cow_fs *fs, int error, const char *what, u64 addr)
{
	int expected = 0;

	if (__atomic_compare_exchange_n(&fs->error, &expected, error, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED))
		cow_log(fs->platform, "%s (block %lu): read-only from now on", what,
			(unsigned long)addr);
}

/* --- operations --- */

static void wake(struct cow_fs *fs)
{
	if (fs->hooks && fs->hooks->wake)
		fs->hooks->wake(fs);
}

/*
 * Locks v, which is on the list of dirty volumes then. It gets there only while no seal is under
 * way, so the seal's set of volumes is all that there are operations on.
 */
static void op_lock(struct cow_volume *v)
{
	struct cow_fs *fs = v->fs;

	for (;;) {
		if (v == fs->meta || READ_ONCE(v->dirty)) {
			cow_lock_write(&v->lock);
			if (v == fs->meta || v->dirty)
				return;
			cow_unlock_write(&v->lock);
		}
		cow_lock_read(&fs->seal_lock);
		cow_lock_write(&v->lock);
		if (!v->dirty) {
			v->dirty = true;
			cow_volume_get(v); /* the list's */
			cow_spin_lock(&fs->dirty_lock);
			list_append(&fs->dirty_volumes, &v->dirty_node);
			cow_spin_unlock(&fs->dirty_lock);
		}
		cow_unlock_read(&fs->seal_lock);
		return;
	}
}

static int op_reserve(struct cow_volume *v, u64 blocks, u32 flags)
{
	struct cow_fs *fs = v->fs;
	u64 kept, quota = v->rec.quota_blocks;
	int err = 0;

	if (quota && !(flags & COW_OP_FREES) &&
	    v->rec.used_blocks + MIN(blocks, quota / 16) > quota)
		return -EDQUOT;
	if (!(flags & COW_OP_FREES))
		err = cow_volume_fits(v, blocks, 0);
	if (err)
		return err;
	cow_lock_write(&fs->counts_lock);
	kept = fs->op_reserved + fs->reserved_blocks + (flags & COW_OP_FREES ? 0 : fs->emergency);
	if (fs->free < kept || fs->free - kept < blocks)
		err = -ENOSPC;
	else
		fs->op_reserved += blocks;
	cow_unlock_write(&fs->counts_lock);
	return err;
}

static int writable_check(struct cow_volume *v)
{
	struct cow_fs *fs = v->fs;

	if (__atomic_load_n(&fs->error, __ATOMIC_ACQUIRE))
		return -EROFS;
	if ((fs->flags & COW_MOUNT_READ_ONLY) && !fs->replaying)
		return -EROFS;
	return v->rec.flags & COW_VOLUME_FROZEN ? -EROFS : 0;
}

/* No room: is there something that would make some? Does it. */
static bool make_room(struct cow_fs *fs)
{
	u64 pending;

	cow_lock_read(&fs->counts_lock);
	pending = cow_counts_pending(fs);
	cow_unlock_read(&fs->counts_lock);
	if (!pending && cow_load(&fs->dead_head) && cow_reap(fs) >= 0)
		pending = 1;
	return pending && !cow_commit(fs);
}

int cow_op_begin(struct cow_volume *v, u64 blocks, u32 flags, struct cow_op *op)
{
	struct cow_fs *fs = v->fs;
	int err;

	if (v != fs->meta && !(flags & COW_OP_NOWAIT) && fs->dirty_count > 2 * fs->dirty_limit)
		cow_commit(fs);
	for (unsigned try = 0;; try++) {
		err = writable_check(v);
		if (err)
			return err;
		op_lock(v);
		err = writable_check(v); /* it may have been frozen meanwhile */
		if (!err)
			err = op_reserve(v, blocks, flags);
		if (!err)
			break;
		cow_unlock_write(&v->lock);
		if (err != -ENOSPC || flags & COW_OP_NOWAIT || try == OP_TRIES || !make_room(fs))
			return err;
	}
	*op = (struct cow_op){ v, blocks };
	return 0;
}

void cow_op_end(struct cow_op *op)
{
	struct cow_fs *fs = op->volume->fs;

	cow_lock_write(&fs->counts_lock);
	COW_BUG_ON(fs->op_reserved < op->reserved);
	fs->op_reserved -= op->reserved;
	cow_unlock_write(&fs->counts_lock);
	cow_unlock_write(&op->volume->lock);
	if (unlikely(fs->dirty_count > fs->dirty_limit))
		wake(fs);
}

void cow_volume_count(struct cow_volume *v, s64 blocks)
{
	u64 now = v->rec.used_blocks + blocks;

	if (unlikely((s64)now < 0)) /* the disk had it wrong: fsck will say so */
		now = 0;
	v->rec.used_blocks = now;
	cow_volume_tell(v);
}

/* --- the seal --- */

static int seal_pointer(void *arg, struct cow_ptr *p, struct cow_shape s)
{
	struct cow_fs *fs = arg;
	struct cow_buf *b;

	if (p->birth <= fs->sealed_birth)
		return 0;
	b = cow_buf_peek(fs, p->addr);
	if (!b || b->birth != p->birth) /* from a damaged disk: it stays as bad as it was */
		goto out;
	if (!(b->flags & COW_BUF_SUMMED)) {
		if (s.level || s.tree == COW_TREE_TABLE)
			cow_block_pointers(s, b->data, seal_pointer, fs);
		cow_buf_csum(b);
		cow_resched();
	}
	p->csum = b->csum;
out:
	if (b)
		cow_buf_put(b);
	return 0;
}

static void seal_mapped(struct cow_fs *fs)
{
	struct cow_buf *b;

	if (!__atomic_exchange_n(&fs->mapped, false, __ATOMIC_ACQ_REL))
		return;
	list_for_each (b, &fs->dirty, node)
		if (b->flags & COW_BUF_MAPPED) {
			if (fs->hooks && fs->hooks->protect)
				fs->hooks->protect(b, b->mapper, b->mapper_index);
			cow_buf_clear(b, COW_BUF_MAPPED | COW_BUF_SUMMED);
		}
}

static void list_clear(struct cow_super *s)
{
	s->listed = 0;
	memset(s->list, 0, sizeof(s->list));
}

static void super_build(struct cow_fs *fs)
{
	struct cow_super *s = &fs->next;

	*s = fs->super;
	s->generation = fs->super.generation + 1;
	s->birth = fs->birth;
	s->reserved_blocks = fs->reserved_blocks;
	s->dead_head = fs->dead_head;
	s->meta = fs->meta->rec;
	cow_now(&s->committed);
	cow_counts_seal(fs, &s->counts, &s->free_blocks);
	list_clear(s);
}

static void volumes_unlock(struct cow_fs *fs, bool sealed)
{
	cow_unlock_write(&fs->meta->lock);
	if (!sealed) {
		struct cow_volume *v;
		list_for_each (v, &fs->dirty_volumes, dirty_node)
			cow_unlock_write(&v->lock);
		return;
	}
	while (!list_empty(&fs->dirty_volumes)) {
		struct cow_volume *v =
			list_first(&fs->dirty_volumes, struct cow_volume, dirty_node);
		list_remove(&v->dirty_node);
		v->dirty = false;
		cow_unlock_write(&v->lock);
		cow_volume_put(v);
	}
}

/*
 * 0: fs->next and the lists of sealed blocks are what to write; 1: there is nothing. To confirm the
 * last commit is something, if it has a list.
 */
static int seal(struct cow_fs *fs, bool confirm)
{
	struct cow_volume *v;
	int err = 0;

	cow_lock_write(&fs->seal_lock);
	list_for_each (v, &fs->dirty_volumes, dirty_node)
		cow_lock_write_nested(&v->lock);
	cow_lock_write(&fs->meta->lock);
	if (!fs->dirty_count && list_empty(&fs->dirty_volumes) && !fs->log_next &&
	    fs->super.generation && !(confirm && fs->super.listed)) {
		err = 1;
	} else {
		list_for_each (v, &fs->dirty_volumes, dirty_node)
			if (!err && !v->doomed)
				err = cow_volume_store(v);
	}
	if (!err) {
		seal_mapped(fs);
		seal_pointer(fs, &fs->meta->rec.table,
			     (struct cow_shape){ COW_TREE_TABLE, fs->meta->rec.depth });
		list_for_each (v, &fs->dirty_volumes, dirty_node)
			seal_pointer(fs, &v->rec.table,
				     (struct cow_shape){ COW_TREE_TABLE, v->rec.depth });
		super_build(fs);
		cow_cache_seal(fs);
		__atomic_store_n(&fs->sealed_birth, fs->birth, __ATOMIC_RELEASE);
		__atomic_add_fetch(&fs->birth, 1, __ATOMIC_ACQ_REL);
		__atomic_add_fetch(&fs->epoch, 1, __ATOMIC_ACQ_REL);
		__atomic_store_n(&fs->generation, fs->next.generation + 1, __ATOMIC_RELEASE);
	}
	volumes_unlock(fs, !err);
	cow_unlock_write(&fs->seal_lock);
	return err;
}

/* --- writing --- */

static int flush(struct cow_fs *fs)
{
	__atomic_add_fetch(&fs->stat_flushes, 1, __ATOMIC_RELAXED);
	return cow_io_flush(fs->platform);
}

void cow_commit_lists(struct cow_fs *fs, u64 addr, u64 csum)
{
	struct cow_super *s = &fs->next;

	if (s->listed < fs->list_max)
		s->list[s->listed] = (struct cow_listed){ addr, csum };
	s->listed++;
}

static void super_start(struct cow_fs *fs, struct cow_io *io, struct cow_page *page)
{
	struct cow_super *s = &fs->next;
	void *data = cow_page_data(page);
	u64 slot = s->generation & 1;

	s->csum = cow_checksum(s, offsetof(struct cow_super, csum));
	memcpy(data, s, COW_BLOCK);
	cow_io_start(io, true, slot, &page, &data, 1);
	cow_io_start(io, true, s->blocks - 2 + slot, &page, &data, 1);
}

static int write_out(struct cow_fs *fs, struct cow_page *page)
{
	struct cow_io io;
	int err = 0;

	cow_io_init(&io, fs->platform);
	cow_cache_write(fs, &io);
	cow_counts_write(fs, &io);
	if (fs->next.listed > fs->list_max) {
		list_clear(&fs->next);
		err = cow_io_wait(&io);
		if (!err)
			err = flush(fs);
		if (err)
			return err;
		cow_io_init(&io, fs->platform);
	}
	super_start(fs, &io, page);
	err = cow_io_wait(&io);
	return err ? err : flush(fs);
}

/* commit_lock held. */
static int commit_locked(struct cow_fs *fs, bool confirm)
{
	void *data;
	struct cow_page *page = cow_page_alloc(fs->platform, false, &data);
	int err;

	if (!page)
		return -ENOMEM;
	err = seal(fs, confirm);
	if (err) {
		cow_page_put(page);
		return err > 0 ? 0 : err;
	}
	err = write_out(fs, page);
	cow_page_put(page);
	if (err) {
		cow_fail(fs, err, "a write of the commit failed", 0);
		return err;
	}
	fs->super = fs->next;
	__atomic_add_fetch(&fs->stat_commits, 1, __ATOMIC_RELAXED);
	cow_log_reset(fs);
	cow_cache_commit_done(fs);
	cow_counts_commit_done(fs);
	return 0;
}

/* Whoever finds that all he came for was committed while he waited for the lock has nothing to do.
 */
static int do_commit(struct cow_fs *fs, bool confirm)
{
	u64 open = cow_load(&fs->generation);
	int err = 0;

	if (fs->flags & COW_MOUNT_READ_ONLY)
		return 0;
	cow_lock_write(&fs->commit_lock);
	if (fs->error)
		err = -EIO;
	else if (fs->super.generation < open)
		err = commit_locked(fs, confirm);
	cow_unlock_write(&fs->commit_lock);
	return err;
}

int cow_commit(struct cow_fs *fs)
{
	return do_commit(fs, false);
}

int cow_commit_confirmed(struct cow_fs *fs)
{
	int err = do_commit(fs, false);

	return err ? err : do_commit(fs, true);
}

int cow_sync(struct cow_fs *fs)
{
	return cow_commit(fs);
}

bool cow_work(struct cow_fs *fs, bool commit)
{
	int more = 0;

	if (fs->error || fs->flags & COW_MOUNT_READ_ONLY)
		return false;
	cow_volumes_tidy(fs);
	if (cow_load(&fs->dead_head))
		more = cow_reap(fs);
	if (commit || fs->dirty_count > fs->dirty_limit)
		do_commit(fs, commit);
	return more > 0;
}
