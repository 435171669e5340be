/* SPDX-License-Identifier: MIT */
/*
 * volume.c - volumes in memory: finding them, and telling what they are. (clone.c makes and deletes
 * them.)
 *
 * The meta volume is a volume like others, but for its records, most of which are volumes: its
 * directory (inode 1) has their names, an entry's inode number is the volume's id.
 *
 *	            create, clone                    delete
 *	(nothing) -----------------> named record --------------> dead tree --> (nothing)
 *	                               |      ^                     reap.c
 *	                     find, get |      | the last put
 *	                               v      |
 *	                           struct cow_volume
 *
 * In memory a volume is there while it is referenced; whatever is on the list of dirty volumes has
 * a reference for that. What was deleted while somebody still held it is an empty frozen volume to
 * them ("doomed"): its record belongs to reap.c already.
 */
#include "fs/cowfs/internal.h"

/* --- in memory --- */

struct cow_volume *cow_volume_alloc(struct cow_fs *fs, u64 id)
{
	struct cow_volume *v = cow_alloc(sizeof(*v));

	if (!v)
		return NULL;
	v->fs = fs;
	v->id = id;
	v->refs = 1;
	cow_lock_init(&v->lock, id ? COW_LOCK_VOLUME : COW_LOCK_META);
	list_init(&v->node);
	list_init(&v->dirty_node);
	return v;
}

void cow_volume_free(struct cow_volume *v)
{
	cow_free(v);
}

struct cow_volume *cow_volume_get(struct cow_volume *v)
{
	__atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
	return v;
}

void cow_volume_put(struct cow_volume *v)
{
	struct cow_fs *fs = v->fs;
	s32 n = __atomic_load_n(&v->refs, __ATOMIC_RELAXED);

	while (n > 1)
		if (__atomic_compare_exchange_n(&v->refs, &n, n - 1, true, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return;
	cow_spin_lock(&fs->volumes_lock);
	n = __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL);
	COW_BUG_ON(n < 0);
	if (!n)
		list_remove(&v->node);
	cow_spin_unlock(&fs->volumes_lock);
	if (!n)
		cow_volume_free(v);
}

void cow_volumes_free(struct cow_fs *fs)
{
	while (!list_empty(&fs->volumes)) {
		struct cow_volume *v = list_first(&fs->volumes, struct cow_volume, node);

		list_remove(&v->node);
		cow_volume_free(v);
	}
}

u64 cow_volume_id(const struct cow_volume *v)
{
	return v->id;
}

/* Counted, or NULL. volumes_lock held. */
static struct cow_volume *list_find(struct cow_fs *fs, u64 id)
{
	struct cow_volume *v;

	list_for_each (v, &fs->volumes, node)
		if (v->id == id && !v->doomed)
			return cow_volume_get(v);
	return NULL;
}

static struct cow_volume *find_loaded(struct cow_fs *fs, u64 id)
{
	struct cow_volume *v;

	cow_spin_lock(&fs->volumes_lock);
	v = list_find(fs, id);
	cow_spin_unlock(&fs->volumes_lock);
	return v;
}

/*
 * The meta volume's lock is held for reading, from before the record is read until the volume is on
 * the list: so the record cannot be deleted, nor can a seal store a newer one, in between.
 */
static int load_locked(struct cow_fs *fs, u64 id, struct cow_volume **out)
{
	struct cow_volume *v, *old;
	union cow_record r;
	int err;

	*out = find_loaded(fs, id);
	if (*out)
		return 0;
	err = cow_record_read(fs->meta, id, &r);
	if (err)
		return err;
	if (r.mode != COW_S_VOLUME)
		return -ENOENT;
	if (r.volume.depth > COW_DEPTH_MAX)
		return -EIO;
	v = cow_volume_alloc(fs, id);
	if (!v)
		return -ENOMEM;
	v->rec = r.volume;
	v->old_orphans = v->rec.orphan_head != 0;
	cow_spin_lock(&fs->volumes_lock);
	old = list_find(fs, id);
	if (!old)
		list_append(&fs->volumes, &v->node);
	cow_spin_unlock(&fs->volumes_lock);
	if (old)
		cow_volume_free(v);
	*out = old ? old : v;
	return 0;
}

int cow_volume_load(struct cow_fs *fs, u64 id, struct cow_volume **out)
{
	int err;

	cow_lock_read(&fs->meta->lock);
	err = load_locked(fs, id, out);
	cow_unlock_read(&fs->meta->lock);
	return err;
}

/* Orphans that a crash or the clone's source left, if v may be written. What cannot be given back
 * now stays on the list. */
static void tidy(struct cow_volume *v)
{
	if (likely(!READ_ONCE(v->old_orphans)) || v->rec.flags & COW_VOLUME_FROZEN ||
	    v->fs->flags & COW_MOUNT_READ_ONLY)
		return;
	WRITE_ONCE(v->old_orphans, false);
	__atomic_add_fetch(&v->tidies, 1, __ATOMIC_ACQ_REL);
	while (cow_orphans_drop(v) > 0)
		cow_resched();
	__atomic_add_fetch(&v->tidied, 1, __ATOMIC_ACQ_REL);
}

void cow_volumes_tidy(struct cow_fs *fs)
{
	struct cow_volume *v, *found;

	do {
		found = NULL;
		cow_spin_lock(&fs->volumes_lock);
		list_for_each (v, &fs->volumes, node)
			if (v->old_orphans && !v->doomed && !(v->rec.flags & COW_VOLUME_FROZEN)) {
				found = cow_volume_get(v);
				break;
			}
		cow_spin_unlock(&fs->volumes_lock);
		if (found) {
			tidy(found);
			cow_volume_put(found);
		}
	} while (found && !(fs->flags & COW_MOUNT_READ_ONLY));
}

int cow_volume_get_id(struct cow_fs *fs, u64 id, struct cow_volume **out)
{
	int err = cow_volume_load(fs, id, out);

	if (!err)
		tidy(*out);
	return err;
}

/* The directory of names, counted. */
int cow_volume_names(struct cow_fs *fs, struct cow_inode **out)
{
	return cow_inode_get(fs->meta, COW_ROOT_INO, out);
}

int cow_volume_find_untidy(struct cow_fs *fs, const char *name, size_t len, struct cow_volume **out)
{
	struct cow_inode *names;
	struct cow_dirent e;
	int err = cow_volume_names(fs, &names);

	if (err)
		return err;
	cow_lock_read(&fs->meta->lock);
	err = cow_dir_find(names, name, len, &e);
	if (!err)
		err = load_locked(fs, e.ino, out);
	cow_unlock_read(&fs->meta->lock);
	cow_inode_put(names);
	return err;
}

int cow_volume_find(struct cow_fs *fs, const char *name, size_t len, struct cow_volume **out)
{
	int err = cow_volume_find_untidy(fs, name, len, out);

	if (!err)
		tidy(*out);
	return err;
}

int cow_volume_store(struct cow_volume *v)
{
	union cow_record *r;
	struct cow_buf *leaf;
	int err = cow_record_write(v->fs->meta, v->id, &leaf, &r);

	if (err)
		return err;
	if (r->mode == COW_S_VOLUME)
		r->volume = v->rec;
	else
		err = -EIO;
	cow_buf_put(leaf);
	return err;
}

bool cow_volume_is_frozen(struct cow_volume *v)
{
	bool frozen;

	cow_lock_read(&v->lock);
	frozen = v->rec.flags & COW_VOLUME_FROZEN;
	cow_unlock_read(&v->lock);
	return frozen;
}

/* --- accounts --- */

int cow_volume_fits(struct cow_volume *v, u64 blocks, u64 inodes)
{
	return v->account ? v->fs->hooks->fits(v->account, blocks, inodes) : 0;
}

static void tell(struct cow_volume *v, u64 blocks, u64 inodes, bool moved)
{
	if (blocks != v->told_blocks || inodes != v->told_inodes)
		v->fs->hooks->count(v->account, blocks - v->told_blocks, inodes - v->told_inodes,
				    moved);
	v->told_blocks = blocks;
	v->told_inodes = inodes;
}

static void tell_now(struct cow_volume *v, bool moved)
{
	s64 inodes = v->rec.inodes - v->rec.base_inodes; /* some of the base's may be gone */

	if (v->account)
		tell(v, v->rec.used_blocks, inodes > 0 ? inodes : 0, moved);
}

void cow_volume_tell(struct cow_volume *v)
{
	tell_now(v, false);
}

void cow_volume_set_account(struct cow_volume *v, void *account)
{
	cow_lock_write(&v->lock);
	if (v->account)
		tell(v, 0, 0, true);
	v->account = account;
	tell_now(v, true);
	cow_unlock_write(&v->lock);
}

/* --- telling --- */

static void info_fill(struct cow_volume_info *out, u64 id, const struct cow_volume_record *r)
{
	out->id = id;
	out->parent = r->parent;
	out->flags = r->flags;
	out->used_blocks = r->used_blocks;
	out->quota_blocks = r->quota_blocks;
	out->inodes = r->inodes;
	out->base_inodes = r->base_inodes;
	out->quota_inodes = r->quota_inodes;
	out->base_birth = r->base_birth;
	out->created = r->created;
}

struct name_search {
	u64 id;
	struct cow_volume_info *info;
};

static bool name_match(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	struct name_search *s = arg;

	if (ino != s->id)
		return true;
	memcpy(s->info->name, name, len);
	s->info->name[len] = 0;
	return false;
}

int cow_volume_info(struct cow_volume *v, struct cow_volume_info *out)
{
	struct name_search s = { v->id, out };
	struct cow_inode *names;
	u64 pos = 0;
	int err;

	*out = (struct cow_volume_info){ 0 };
	cow_lock_read(&v->lock);
	info_fill(out, v->id, &v->rec);
	cow_unlock_read(&v->lock);
	if (v->doomed)
		return 0;
	err = cow_volume_names(v->fs, &names);
	if (err)
		return err;
	err = cow_readdir(names, &pos, name_match, &s);
	cow_inode_put(names);
	return err;
}

void cow_space_of_volume(struct cow_space *s, const struct cow_volume_info *v)
{
	u64 left;

	s->inodes = v->inodes + s->inodes_free;
	if (v->quota_blocks) {
		left = v->quota_blocks - MIN(v->used_blocks, v->quota_blocks);
		s->blocks = v->quota_blocks;
		s->free = MIN(s->free, left);
		s->available = MIN(s->available, left);
	}
	if (v->quota_inodes) {
		left = v->inodes - MIN(v->base_inodes, v->inodes);
		left = v->quota_inodes - MIN(left, v->quota_inodes);
		s->inodes = v->inodes + left;
		s->inodes_free = MIN(s->inodes_free, left);
	}
}

int cow_volume_next(struct cow_fs *fs, u64 *pos, struct cow_volume_info *out)
{
	struct cow_volume *v = NULL;
	struct cow_inode *names;
	union cow_record r;
	struct cow_dirent e;
	int err = cow_volume_names(fs, &names);

	if (err)
		return err;
	*out = (struct cow_volume_info){ 0 };
	cow_lock_read(&fs->meta->lock);
	err = cow_dir_entry_at(names, *pos, &e, out->name);
	if (!err) {
		v = find_loaded(fs, e.ino);
		err = v ? 0 : cow_record_read(fs->meta, e.ino, &r);
	}
	cow_unlock_read(&fs->meta->lock);
	cow_inode_put(names);
	if (err)
		return err;
	if (v) {
		cow_lock_read(&v->lock);
		info_fill(out, v->id, &v->rec);
		cow_unlock_read(&v->lock);
		cow_volume_put(v);
	} else if (r.mode == COW_S_VOLUME) {
		info_fill(out, e.ino, &r.volume);
	} else {
		return -EIO;
	}
	*pos = e.key + 1;
	return 0;
}
