/* SPDX-License-Identifier: MIT */
/*
 * clone.c - makes, clones, renames, deletes and freezes volumes. Each is one operation on the meta
 * volume (volume.c), and so atomic with the commit.
 *
 * A clone is a record that points to the same table, whose count is one more. Blocks that are still
 * dirty are shared in memory: both volumes count what was born until then as not theirs to change
 * (cloned_birth, I5), and what the clone points to is its base (base_birth), which its quota does
 * not count.
 *
 * Locks: fs->seal_lock (no seal comes between the two halves of a new volume), the source's lock,
 * the new volume's, the meta volume's. The seal holds the first and the last, so a birth that is
 * read and counted up under the meta volume's lock is not torn.
 */
#include "fs/cowfs/internal.h"

#define DT_DIR 4u /* readdir(3) */

/* --- operations on the meta volume --- */

struct meta_op {
	struct cow_fs *fs;
	struct cow_op op;
	struct cow_inode *names;   /* prepared */
	struct cow_volume *volume; /* locked for writing, or NULL */
	struct cow_volume *fresh;  /* the same: one that nobody knows yet */
};

static void meta_unlock(struct meta_op *m)
{
	if (m->fresh)
		cow_unlock_write(&m->fresh->lock);
	if (m->volume)
		cow_unlock_write(&m->volume->lock);
	cow_unlock_read(&m->fs->seal_lock);
}

/* One try. -ENOSPC: nothing is locked, a commit might make room. */
static int meta_try(struct meta_op *m, u32 flags)
{
	int err;

	cow_lock_read(&m->fs->seal_lock);
	if (m->volume)
		cow_lock_write(&m->volume->lock);
	if (m->fresh)
		cow_lock_write_nested(&m->fresh->lock);
	err = cow_op_begin(m->fs->meta, COW_OP_META, flags | COW_OP_NOWAIT, &m->op);
	if (err)
		meta_unlock(m);
	return err;
}

/* v, fresh: locked, too, or NULL. */
static int meta_begin(struct cow_fs *fs, struct cow_volume *v, struct cow_volume *fresh, u32 flags,
		      struct meta_op *m)
{
	int err;

	*m = (struct meta_op){ .fs = fs, .volume = v, .fresh = fresh };
	err = cow_volume_names(fs, &m->names);
	if (err)
		return err;
	err = meta_try(m, flags);
	for (unsigned tries = 0; err == -ENOSPC && tries < 4; tries++) {
		if (cow_load(&fs->dead_head))
			cow_reap(fs);
		if (cow_commit(fs))
			break;
		err = meta_try(m, flags);
	}
	if (err) {
		cow_inode_put(m->names);
		return err;
	}
	err = cow_inode_prepare(m->names);
	if (err) {
		cow_op_end(&m->op);
		meta_unlock(m);
		cow_inode_put(m->names);
	}
	return err;
}

static int meta_end(struct meta_op *m, int err)
{
	cow_inode_store(m->names, COW_STORE_NAMES);
	cow_op_end(&m->op);
	meta_unlock(m);
	cow_inode_put(m->names);
	return err;
}

static void wake(struct cow_fs *fs)
{
	if (fs->hooks && fs->hooks->wake)
		fs->hooks->wake(fs);
}

/* --- making --- */

/*
 * v, which nobody knows yet, gets a name, an id and its record; then it is on the lists of volumes
 * and of dirty ones (for which it is counted), and a second reference is the caller's.
 */
static int publish(struct meta_op *m, struct cow_volume *v, const char *name, size_t len)
{
	struct cow_fs *fs = v->fs;
	struct cow_dir_place p;
	union cow_record *r;
	struct cow_buf *leaf;
	int err = cow_dir_insert_prepare(m->names, name, len, &p);

	if (!err)
		err = cow_record_alloc(fs->meta, &v->id, &leaf, &r);
	if (err) {
		cow_dir_place_put(&p);
		return err;
	}
	v->rec.generation = r->inode.generation;
	r->volume = v->rec;
	cow_buf_put(leaf);
	cow_dir_insert(m->names, &p, name, len, v->id, v->rec.generation, DT_DIR);
	v->dirty = true;
	cow_volume_get(v);
	cow_spin_lock(&fs->dirty_lock);
	list_append(&fs->dirty_volumes, &v->dirty_node);
	cow_spin_unlock(&fs->dirty_lock);
	cow_spin_lock(&fs->volumes_lock);
	list_append(&fs->volumes, &v->node);
	cow_spin_unlock(&fs->volumes_lock);
	return 0;
}

int cow_volume_create_at(struct cow_fs *fs, const char *name, size_t len, u32 flags,
			 const struct cow_time *now, struct cow_volume **out)
{
	const struct cow_new root = { .mode = 0040755, .now = *now };
	struct cow_shape leaf = { COW_TREE_TABLE, 0 };
	struct cow_buf *none;
	struct cow_volume *v;
	struct meta_op m;
	int err = cow_name_check(name, len);

	if (err)
		return err;
	v = cow_volume_alloc(fs, ~0ull);
	if (!v)
		return -ENOMEM;
	v->rec = (struct cow_volume_record){
		.mode = COW_S_VOLUME, .nlink = 1, .flags = flags, .created = *now
	};
	err = meta_begin(fs, NULL, v, 0, &m);
	if (err) {
		cow_volume_free(v);
		return err;
	}
	if (flags & COW_VOLUME_TEMPORARY) /* the sweep sees that it is younger than the mount */
		v->rec.base_birth = __atomic_fetch_add(&fs->birth, 1, __ATOMIC_ACQ_REL);
	err = cow_table_create(v, &root);
	if (!err)
		err = publish(&m, v, name, len);
	if (err) {
		COW_BUG_ON(v->rec.depth);
		if (v->rec.table.addr && !cow_block_drop_prepare(v, &v->rec.table, leaf, &none))
			cow_block_drop(v, &v->rec.table, leaf, NULL);
	}
	err = meta_end(&m, err);
	if (err)
		cow_volume_free(v);
	else
		*out = v;
	return err;
}

int cow_volume_create(struct cow_fs *fs, const char *name, size_t len, u32 flags,
		      struct cow_volume **out)
{
	struct cow_time now;

	if (flags & ~(u32)COW_VOLUME_TEMPORARY)
		return -EINVAL;
	cow_now(&now);
	return cow_volume_create_at(fs, name, len, flags, &now, out);
}

/*
 * Blocks of the source that may change through page tables stand still from now on. They keep their
 * flag, since others' may be among them, and the seal asks again.
 */
static int protect_mapped(struct cow_fs *fs)
{
	struct cow_buf *b, **list;
	u64 count = 0, found = 0;
	bool all;

	if (!fs->hooks || !fs->hooks->protect || !__atomic_load_n(&fs->mapped, __ATOMIC_ACQUIRE))
		return 0;
	cow_spin_lock(&fs->dirty_lock);
	list_for_each (b, &fs->dirty, node)
		count += !!(b->flags & COW_BUF_MAPPED);
	cow_spin_unlock(&fs->dirty_lock);
	if (!count)
		return 0;
	count += count / 4 + 64; /* others may add some */
	list = cow_alloc(count * sizeof(struct cow_buf *));
	if (!list)
		return -ENOMEM;
	cow_spin_lock(&fs->dirty_lock);
	list_for_each (b, &fs->dirty, node)
		if (b->flags & COW_BUF_MAPPED && found++ < count) {
			cow_buf_get(b);
			list[found - 1] = b;
		}
	cow_spin_unlock(&fs->dirty_lock);
	all = found <= count;
	for (u64 i = 0; i < MIN(found, count); i++) {
		fs->hooks->protect(list[i], list[i]->mapper, list[i]->mapper_index);
		cow_buf_put(list[i]);
	}
	cow_free(list);
	return all ? 0 : -EAGAIN;
}

/* What a clone's record has. src's lock is held, and the meta volume's. */
static void clone_record(struct cow_volume *v, const struct cow_volume *src, u32 flags)
{
	v->rec = src->rec;
	v->rec.flags = flags;
	v->rec.base_birth = cow_load(&src->fs->birth);
	v->rec.used_blocks = 0;
	v->rec.quota_blocks = 0;
	v->rec.base_inodes = src->rec.inodes;
	v->rec.quota_inodes = 0;
	v->rec.parent = src->id;
	v->old_orphans = v->rec.orphan_head != 0;
	cow_now(&v->rec.created);
}

/* One more pointer to the table; what is there now is nobody's alone any more. Touched. */
static void clone_share(struct cow_volume *v, struct cow_volume *src)
{
	struct cow_fs *fs = src->fs;

	if (v->rec.table.addr)
		cow_counts_inc(fs, v->rec.table.addr);
	v->cloned_birth = src->cloned_birth = v->rec.base_birth;
	__atomic_add_fetch(&fs->birth, 1, __ATOMIC_ACQ_REL);
	src->epoch++;
}

int cow_volume_clone(struct cow_volume *src, const char *name, size_t len, u32 flags,
		     struct cow_volume **out)
{
	struct cow_fs *fs = src->fs;
	struct cow_volume *v;
	struct meta_op m;
	int err = cow_name_check(name, len);

	if (!err && flags & ~(u32)(COW_VOLUME_FROZEN | COW_VOLUME_TEMPORARY))
		err = -EINVAL;
	if (err)
		return err;
	v = cow_volume_alloc(fs, ~0ull);
	if (!v)
		return -ENOMEM;
	err = meta_begin(fs, src, v, 0, &m);
	if (err) {
		cow_volume_free(v);
		return err;
	}
	if (src->doomed)
		err = -ENOENT;
	if (!err)
		err = protect_mapped(fs);
	if (!err && src->rec.table.addr)
		err = cow_counts_touch(fs, src->rec.table.addr);
	clone_record(v, src, flags);
	if (!err)
		err = publish(&m, v, name, len);
	if (!err)
		clone_share(v, src);
	err = meta_end(&m, err);
	if (err)
		cow_volume_free(v);
	else
		*out = v;
	return err;
}

/* --- renaming, deleting --- */

/* If m has a volume, it is the one that must have the name: -EAGAIN. */
static int rename_name(struct meta_op *m, const char *from, size_t from_len, const char *to,
		       size_t to_len)
{
	struct cow_dir_place old = { 0 }, new = { 0 };
	struct cow_dirent e;
	int err = cow_dir_find(m->names, from, from_len, &e);

	if (!err && m->volume && (e.ino != m->volume->id || m->volume->doomed))
		err = -EAGAIN;
	if (!err)
		err = cow_dir_insert_prepare(m->names, to, to_len, &new);
	if (!err)
		err = cow_dir_remove_prepare(m->names, from, from_len, &old);
	if (err) {
		cow_dir_place_put(&new);
		return err;
	}
	cow_dir_insert(m->names, &new, to, to_len, e.ino, e.generation, e.type);
	cow_dir_remove(m->names, &old);
	return 0;
}

int cow_volume_rename(struct cow_fs *fs, const char *from, size_t from_len, const char *to,
		      size_t to_len)
{
	struct meta_op m;
	int err = cow_name_check(to, to_len);

	if (!err)
		err = meta_begin(fs, NULL, NULL, 0, &m);
	if (err)
		return err;
	return meta_end(&m, rename_name(&m, from, from_len, to, to_len));
}

static int keep_this(struct cow_volume *v, const char *from, size_t from_len, const char *to,
		     size_t to_len)
{
	union cow_record *r;
	struct cow_buf *leaf;
	struct meta_op m;
	int err = meta_begin(v->fs, v, NULL, 0, &m);

	if (err)
		return err;
	err = v->doomed ? -EAGAIN : cow_record_write(v->fs->meta, v->id, &leaf, &r);
	if (err)
		return meta_end(&m, err);
	err = r->mode == COW_S_VOLUME ? rename_name(&m, from, from_len, to, to_len) : -EIO;
	if (!err) {
		v->rec.flags &= ~(u32)COW_VOLUME_TEMPORARY;
		r->volume.flags = v->rec.flags;
	}
	cow_buf_put(leaf);
	return meta_end(&m, err);
}

int cow_volume_keep(struct cow_fs *fs, const char *from, size_t from_len, const char *to,
		    size_t to_len)
{
	struct cow_volume *v;
	int err = cow_name_check(to, to_len);

	if (err)
		return err;
	do {
		err = cow_volume_find_untidy(fs, from, from_len, &v);
		if (err)
			return err;
		err = keep_this(v, from, from_len, to, to_len);
		cow_volume_put(v);
	} while (err == -EAGAIN);
	return err;
}

/* The record becomes a dead tree; whoever still holds v has an empty, frozen volume. */
static void make_dead(struct cow_volume *v, union cow_record *r)
{
	struct cow_fs *fs = v->fs;

	if (v->rec.table.addr) {
		r->dead = (struct cow_dead_record){ .mode = COW_S_DEAD,
						    .tree = COW_TREE_TABLE,
						    .level = v->rec.depth,
						    .ptr = v->rec.table,
						    .next = fs->dead_head };
		__atomic_store_n(&fs->dead_head, v->id, __ATOMIC_RELEASE);
	} else {
		cow_record_free(fs->meta, v->id, r);
	}
	v->doomed = true;
	v->rec.flags |= COW_VOLUME_FROZEN;
	v->rec.table = (struct cow_ptr){ 0 };
	v->rec.depth = 0;
	v->rec.next_ino = v->rec.free_head = v->rec.orphan_head = 0;
	v->epoch++;
}

static int delete_prepare(struct meta_op *m, const char *name, size_t len, struct cow_dir_place *p,
			  struct cow_buf **leaf, union cow_record **r)
{
	struct cow_volume *v = m->volume;
	struct cow_dirent e;
	int err = cow_dir_find(m->names, name, len, &e);

	if (err)
		return err;
	if (e.ino != v->id || v->doomed) /* another one has the name by now */
		return -EAGAIN;
	if (__atomic_load_n(&v->inodes_used, __ATOMIC_ACQUIRE))
		return -EBUSY;
	err = cow_record_write(v->fs->meta, v->id, leaf, r);
	if (err)
		return err;
	err = (*r)->mode == COW_S_VOLUME ? 0 : -EIO;
	if (!err)
		err = cow_dir_remove_prepare(m->names, name, len, p);
	if (err)
		cow_buf_put(*leaf);
	return err;
}

static int delete_this(struct cow_volume *v, const char *name, size_t len)
{
	struct cow_dir_place p;
	union cow_record *r;
	struct cow_buf *leaf;
	struct meta_op m;
	int err = meta_begin(v->fs, v, NULL, COW_OP_FREES, &m);

	if (err)
		return err;
	err = delete_prepare(&m, name, len, &p, &leaf, &r);
	if (err)
		return meta_end(&m, err);
	cow_dir_remove(m.names, &p);
	make_dead(v, r);
	cow_buf_put(leaf);
	return meta_end(&m, 0);
}

/* Inodes that only the dropping of orphans has in use do not count: that ends soon. */
static int delete_tidied(struct cow_volume *v, const char *name, size_t len)
{
	u32 begun, ended;
	int err;

	do {
		ended = __atomic_load_n(&v->tidied, __ATOMIC_ACQUIRE);
		err = delete_this(v, name, len);
		begun = __atomic_load_n(&v->tidies, __ATOMIC_ACQUIRE);
		if (err == -EBUSY && begun != ended)
			cow_resched();
	} while (err == -EBUSY && begun != ended);
	return err;
}

int cow_volume_delete(struct cow_fs *fs, const char *name, size_t len)
{
	struct cow_volume *v;
	int err;

	do {
		err = cow_volume_find_untidy(fs, name, len, &v);
		if (err)
			return err;
		err = delete_tidied(v, name, len);
		cow_volume_put(v);
	} while (err == -EAGAIN);
	if (!err)
		wake(fs);
	return err;
}

static bool is_left(const struct cow_fs *fs, u32 flags, u64 base_birth)
{
	return flags & COW_VOLUME_TEMPORARY && base_birth < fs->mounted_birth;
}

/* Looks at it again: the name and the number may be another's by now. */
static int sweep_one(struct cow_fs *fs, const struct cow_volume_info *i)
{
	struct cow_volume *v;
	int err = cow_volume_load(fs, i->id, &v);

	if (err)
		return err;
	err = is_left(fs, v->rec.flags, v->rec.base_birth)
		      ? delete_tidied(v, i->name, strlen(i->name))
		      : -ENOENT;
	cow_volume_put(v);
	return err;
}

int cow_volumes_sweep(struct cow_fs *fs)
{
	struct cow_volume_info *info = cow_alloc(sizeof(*info));
	u64 pos = 0;
	int err = info ? 0 : -ENOMEM;

	if (fs->flags & COW_MOUNT_READ_ONLY)
		err = -ENOENT;
	while (!err) {
		err = cow_volume_next(fs, &pos, info);
		if (err || !is_left(fs, info->flags, info->base_birth))
			continue;
		err = sweep_one(fs, info);
		if (err == -EBUSY || err == -EAGAIN || err == -ENOENT)
			err = 0; /* it has found a user, or is gone */
		cow_resched();
	}
	cow_free(info);
	if (err != -ENOENT)
		return err;
	wake(fs);
	return 0;
}

int cow_volume_freeze(struct cow_volume *v)
{
	struct cow_op op;
	int err = cow_op_begin(v, 0, COW_OP_FREES, &op);

	if (err)
		return err == -EROFS && v->rec.flags & COW_VOLUME_FROZEN ? 0 : err;
	v->rec.flags |= COW_VOLUME_FROZEN;
	cow_op_end(&op);
	/* the seal takes away what page tables may still write */
	return cow_commit(v->fs);
}

int cow_volume_set_quota(struct cow_volume *v, u64 blocks, u64 inodes)
{
	struct cow_op op;
	int err = cow_op_begin(v, 0, COW_OP_FREES, &op);

	if (err)
		return err;
	v->rec.quota_blocks = blocks;
	v->rec.quota_inodes = inodes;
	cow_op_end(&op);
	return 0;
}
