/* SPDX-License-Identifier: MIT */
/*
 * inode.c - struct cow_inode: an inode in memory, once per (volume, number), in fs->inode_buckets.
 *
 * i->rec is a copy of the record on disk, and is written through: an operation calls
 * cow_inode_prepare(i) first, which makes the leaf with the record writable, changes i->rec, and
 * calls cow_inode_store(i, how), which copies it there and cannot fail. Where the writable leaf is
 * is remembered in i->leaf; it holds while cow_volume_epoch() is what it was (I5), since a leaf of
 * a table is never dropped and a dirty buffer never leaves memory.
 *
 * But for the checksums in rec.root and rec.xattr: the seal fills them in on disk. So when the
 * epoch has changed, cow_inode_prepare takes both pointers from the disk's record, and who only
 * reads calls cow_inode_sums first.
 *
 *	cow_op_begin(v, n, 0, &op);
 *	err = cow_inode_prepare(i);
 *	if (!err) { i->rec.mode = ...; cow_inode_store(i, COW_STORE_DATA); }
 *	cow_op_end(&op);
 *
 * Counts. cow_inode_get counts; at the last cow_inode_put the inode leaves memory. One on the list
 * of orphans is deleted then: meanwhile it stays in the table with a count of 0, so that the others
 * on the list find it, and cow_inode_get says -ESTALE. It leaves the table in the operation that
 * frees its number.
 *
 * Loading: the record is read and the inode put into the table under v->lock, which keeps writers
 * out; so what is in the table is never older than the disk's record.
 */
#include "fs/cowfs/internal.h"

#define NO_EPOCH ~0ull

/* --- the table --- */

int cow_inodes_init(struct cow_fs *fs)
{
	fs->inode_buckets = cow_alloc(sizeof(*fs->inode_buckets) << COW_HASH_BITS);
	if (!fs->inode_buckets)
		return -ENOMEM;
	for (u64 k = 0; k < 1ull << COW_HASH_BITS; k++)
		cow_spin_init(&fs->inode_buckets[k].lock);
	return 0;
}

void cow_inodes_destroy(struct cow_fs *fs)
{
	cow_free(fs->inode_buckets);
	fs->inode_buckets = NULL;
}

static struct cow_bucket *bucket_of(const struct cow_volume *v, u64 ino)
{
	u64 h = (ino + v->id * 0x517cc1b727220a95ull) * 0x9e3779b97f4a7c15ull;

	return &v->fs->inode_buckets[h >> (64 - COW_HASH_BITS)];
}

/* Under the bucket's lock. */
static struct cow_inode *chain_find(struct cow_bucket *k, const struct cow_volume *v, u64 ino)
{
	struct cow_inode *i;

	hlist_for_each (i, &k->chain, hash_node)
		if (i->ino == ino && i->volume == v)
			return i;
	return NULL;
}

int cow_inode_find_loaded(struct cow_volume *v, u64 ino, struct cow_inode **out)
{
	struct cow_bucket *k = bucket_of(v, ino);
	struct cow_inode *i;
	int err = 0;

	cow_spin_lock(&k->lock);
	i = chain_find(k, v, ino);
	if (!i)
		err = -ENOENT;
	else if (!__atomic_load_n(&i->refs, __ATOMIC_RELAXED))
		err = -ESTALE;
	else
		__atomic_add_fetch(&i->refs, 1, __ATOMIC_RELAXED);
	cow_spin_unlock(&k->lock);
	if (!err)
		*out = i;
	return err;
}

bool cow_inode_is_loaded(struct cow_volume *v, u64 ino)
{
	struct cow_bucket *k = bucket_of(v, ino);
	bool found;

	cow_spin_lock(&k->lock);
	found = chain_find(k, v, ino) != NULL;
	cow_spin_unlock(&k->lock);
	return found;
}

void cow_inode_relink(struct cow_volume *v, u64 ino, const u64 *next, const u64 *prev)
{
	struct cow_bucket *k = bucket_of(v, ino);
	struct cow_inode *i;

	cow_spin_lock(&k->lock);
	i = chain_find(k, v, ino);
	if (i && next)
		i->rec.next = *next;
	if (i && prev)
		i->rec.prev = *prev;
	cow_spin_unlock(&k->lock);
}

/* --- life --- */

int cow_inode_alloc(struct cow_volume *v, struct cow_inode **out)
{
	struct cow_inode *i = cow_alloc_charged(sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->volume = cow_volume_get(v);
	i->refs = 1;
	i->leaf_epoch = i->map_epoch = NO_EPOCH;
	i->log_trunc = ~0ull;
	__atomic_add_fetch(&v->inodes_used, 1, __ATOMIC_RELAXED);
	*out = i;
	return 0;
}

void cow_inode_discard(struct cow_inode *i)
{
	struct cow_volume *v = i->volume;

	cow_free(i);
	__atomic_sub_fetch(&v->inodes_used, 1, __ATOMIC_RELEASE);
	cow_volume_put(v);
}

void cow_inode_publish(struct cow_inode *i, u64 ino, struct cow_buf *leaf, union cow_record *r)
{
	struct cow_bucket *k = bucket_of(i->volume, ino);

	i->ino = ino;
	i->rec.generation = r->inode.generation;
	i->leaf = leaf;
	i->leaf_epoch = cow_volume_epoch(i->volume);
	cow_inode_store(i, COW_STORE_NAMES);
	cow_spin_lock(&k->lock);
	COW_BUG_ON(chain_find(k, i->volume, ino));
	hlist_push(&k->chain, &i->hash_node);
	cow_spin_unlock(&k->lock);
}

/* What later code relies on: records come from the disk. */
static int record_check(const struct cow_inode_record *r)
{
	switch (r->mode & 0170000) {
	case 0010000: /* S_IFIFO ... S_IFSOCK of inode(7) */
	case 0020000:
	case 0040000:
	case 0060000:
	case 0100000:
	case 0120000:
	case 0140000:
		break;
	default:
		return r->mode == COW_S_FREE ? -ENOENT : -ESTALE;
	}
	if (r->depth > COW_DEPTH_MAX || r->xattr_depth > COW_DEPTH_MAX ||
	    r->inline_size > COW_INLINE_MAX || r->xattr_size > COW_XATTR_MAX ||
	    r->size > COW_FILE_MAX)
		return -EIO;
	return 0;
}

/* v->lock held for reading, which keeps fs->generation from passing what the leaf is part of. */
static int inode_load(struct cow_inode *i, u64 ino)
{
	struct cow_fs *fs = i->volume->fs;
	union cow_record r;
	u64 birth;
	int err = cow_record_load(i->volume, ino, &r, &birth);

	if (!err)
		err = record_check(&r.inode);
	if (err == -EIO)
		cow_log(fs->platform, "volume %lu: inode %lu cannot be read",
			(unsigned long)i->volume->id, (unsigned long)ino);
	if (err)
		return err;
	i->ino = ino;
	i->rec = r.inode;
	if (birth > cow_load(&fs->super.birth)) {
		i->data_generation = i->names_generation = cow_load(&fs->generation);
		i->changes = 1;
	}
	return 0;
}

/* i, or who is there already. */
static int table_insert(struct cow_inode *i, struct cow_inode **out)
{
	struct cow_bucket *k = bucket_of(i->volume, i->ino);
	struct cow_inode *old;
	int err = 0;

	cow_spin_lock(&k->lock);
	old = chain_find(k, i->volume, i->ino);
	if (!old)
		hlist_push(&k->chain, &i->hash_node);
	else if (__atomic_load_n(&old->refs, __ATOMIC_RELAXED))
		__atomic_add_fetch(&old->refs, 1, __ATOMIC_RELAXED);
	else
		err = -ESTALE;
	cow_spin_unlock(&k->lock);
	*out = old ? old : i;
	return err;
}

/* An orphan that is not in memory is to be deleted, not to be used: only if asked for. */
int cow_inode_get_any(struct cow_volume *v, u64 ino, bool orphan, struct cow_inode **out)
{
	struct cow_inode *i;
	int err = cow_inode_find_loaded(v, ino, out);

	if (err != -ENOENT)
		return err;
	err = cow_inode_alloc(v, &i);
	if (err)
		return err;
	cow_lock_read(&v->lock);
	err = inode_load(i, ino);
	if (!err && !!(i->rec.flags & COW_INODE_ORPHAN) != orphan && !cow_inode_is_loaded(v, ino))
		err = -ESTALE;
	if (!err)
		err = table_insert(i, out);
	cow_unlock_read(&v->lock);
	if (err || *out != i)
		cow_inode_discard(i);
	return err;
}

int cow_inode_get(struct cow_volume *v, u64 ino, struct cow_inode **out)
{
	return cow_inode_get_any(v, ino, false, out);
}

void cow_inode_unhash(struct cow_inode *i)
{
	struct cow_bucket *k = bucket_of(i->volume, i->ino);

	cow_spin_lock(&k->lock);
	hlist_remove(&i->hash_node);
	cow_spin_unlock(&k->lock);
}

/* later: if the last one of an orphan cannot delete it, cow_volumes_tidy() shall. */
static int put(struct cow_inode *i, bool later)
{
	struct cow_bucket *k = bucket_of(i->volume, i->ino);
	s32 n = __atomic_load_n(&i->refs, __ATOMIC_RELAXED);
	bool orphan;
	int err = 0;

	while (n > 1)
		if (__atomic_compare_exchange_n(&i->refs, &n, n - 1, true, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return 0;
	cow_spin_lock(&k->lock);
	n = __atomic_sub_fetch(&i->refs, 1, __ATOMIC_ACQ_REL);
	COW_BUG_ON(n < 0);
	orphan = i->rec.flags & COW_INODE_ORPHAN;
	if (!n && !orphan)
		hlist_remove(&i->hash_node);
	cow_spin_unlock(&k->lock);
	if (n)
		return 0;
	if (orphan) {
		err = cow_inode_delete(i);
		cow_inode_unhash(i);
		if (err && later)
			WRITE_ONCE(i->volume->old_orphans, true);
	}
	cow_inode_discard(i);
	return err;
}

int cow_inode_put_any(struct cow_inode *i)
{
	return put(i, false);
}

void cow_inode_put(struct cow_inode *i)
{
	/* one that could not be deleted stays on the list of orphans, for another day */
	(void)put(i, true);
}

/* --- changing --- */

int cow_inode_prepare(struct cow_inode *i)
{
	struct cow_volume *v = i->volume;
	union cow_record *r;
	int err;

	if (likely(i->leaf_epoch == cow_volume_epoch(v)))
		return 0;
	err = cow_record_write(v, i->ino, &i->leaf, &r);
	if (err) {
		i->leaf_epoch = NO_EPOCH;
		return err;
	}
	i->leaf_epoch = cow_volume_epoch(v);
	i->rec.root = r->inode.root;
	i->rec.xattr = r->inode.xattr;
	cow_buf_put(i->leaf);
	return 0;
}

/* Readers may do this at the same time: what is stored is the same for all. */
static void sum_take(struct cow_ptr *p, const struct cow_ptr *now)
{
	if (p->addr == now->addr)
		__atomic_store_n(&p->csum, now->csum, __ATOMIC_RELAXED);
}

static bool sum_is_old(const struct cow_volume *v, const struct cow_ptr *p)
{
	return p->addr && !cow_load(&p->csum) && p->birth <= cow_load(&v->fs->sealed_birth);
}

int cow_inode_sums(struct cow_inode *i)
{
	struct cow_volume *v = i->volume;
	union cow_record r;
	int err;

	if (likely(!sum_is_old(v, &i->rec.root) && !sum_is_old(v, &i->rec.xattr)))
		return 0;
	err = cow_record_read(v, i->ino, &r);
	if (err)
		return err;
	sum_take(&i->rec.root, &r.inode.root);
	sum_take(&i->rec.xattr, &r.inode.xattr);
	return 0;
}

void cow_inode_store(struct cow_inode *i, u32 how)
{
	struct cow_inode_leaf *l = i->leaf->data;
	u64 generation = cow_load(&i->volume->fs->generation);

	l->record[i->ino % COW_INODES_PER_LEAF].inode = i->rec;
	if (unlikely(i->leaf->flags & COW_BUF_SUMMED))
		cow_buf_clear(i->leaf, COW_BUF_SUMMED);
	i->changes++;
	if (how == COW_STORE_NAMES) {
		i->names_generation = generation;
		return;
	}
	if (i->data_generation != generation)
		i->log_trunc = ~0ull; /* that is durable */
	i->data_generation = generation;
}

void cow_inode_cut(struct cow_inode *i, u64 size)
{
	cow_inode_store(i, COW_STORE_DATA);
	i->log_trunc = MIN(i->log_trunc, size);
}

int cow_setattr(struct cow_inode *i, const struct cow_attr *a)
{
	struct cow_op op;
	int err = cow_op_begin(i->volume, COW_TREE_PATH_BLOCKS, 0, &op);

	if (err)
		return err;
	err = cow_inode_prepare(i);
	if (!err) {
		if (a->valid & COW_ATTR_MODE)
			i->rec.mode = (i->rec.mode & ~07777u) | (a->mode & 07777u);
		if (a->valid & COW_ATTR_UID)
			i->rec.uid = a->uid;
		if (a->valid & COW_ATTR_GID)
			i->rec.gid = a->gid;
		if (a->valid & COW_ATTR_ATIME)
			i->rec.atime = a->atime;
		if (a->valid & COW_ATTR_MTIME)
			i->rec.mtime = a->mtime;
		if (a->valid & COW_ATTR_CTIME)
			i->rec.ctime = a->ctime;
		cow_inode_store(i, COW_STORE_DATA);
	}
	cow_op_end(&op);
	return err;
}
