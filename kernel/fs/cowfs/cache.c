/* SPDX-License-Identifier: MIT */
/*
 * cache.c - blocks in memory, found by address.
 *
 * A buffer is one block: its bytes are a page, which others may hold, too (a page cache on top,
 * page tables). Clones point to the same addresses, so what they share is here once. Two buffers
 * of one address can exist for a while, of which one is out of the table: the address was freed
 * and given away again. The birth tells them apart: a look-up names both.
 *
 *	             cow_buf_create                cow_cache_seal
 *	(nothing) -----------------> open, dirty ------------------> sealed, dirty
 *	    |  cow_buf_read, _prefetch   |  cow_buf_forget                |  cow_cache_commit_done
 *	    v                            v                                v
 *	 reading ----> clean, on the LRU <-------------------------------'
 *	                   |  cow_shrink
 *	                   v
 *	               (nothing)
 *
 * The count `refs` is of users; the table holds none. 0 -> 1 happens under the bucket's lock, and
 * so does the step from 1 to 0, after which a buffer that is out of the table is freed. A sealed
 * buffer whose address is freed meanwhile is written all the same (that commit has it), and
 * forgotten as a clean one.
 *
 * Who reads a block from the disk holds its `io` lock for writing; others who want it wait for
 * that. A block that is read ahead (cow_buf_prefetch) has its lock held by nobody until it has
 * come (COW_BUF_CAME); its sum is checked by the first who wants it, with his own time. Until then
 * it is not valid, but may be evicted.
 */
#include "fs/cowfs/internal.h"

static struct cow_bucket *bucket_of(struct cow_fs *fs, u64 addr)
{
	return &fs->buckets[(addr * 0x9e3779b97f4a7c15ull) >> (64 - COW_HASH_BITS)];
}

int cow_cache_init(struct cow_fs *fs)
{
	fs->buckets = cow_alloc(sizeof(*fs->buckets) << COW_HASH_BITS);
	if (!fs->buckets)
		return -ENOMEM;
	for (u64 i = 0; i < 1ull << COW_HASH_BITS; i++)
		cow_spin_init(&fs->buckets[i].lock);
	cow_spin_init(&fs->dirty_lock);
	cow_spin_init(&fs->lru_lock);
	list_init(&fs->dirty);
	list_init(&fs->sealed);
	list_init(&fs->lru);
	return 0;
}

/* --- life --- */

static struct cow_buf *buf_alloc(struct cow_fs *fs, u64 addr, u64 mirror, u64 birth,
				 struct cow_shape s)
{
	struct cow_buf *b = cow_alloc(sizeof(*b));

	if (!b)
		return NULL;
	*b = (struct cow_buf){
		.fs = fs, .addr = addr, .mirror = mirror, .birth = birth, .shape = s, .refs = 1
	};
	cow_lock_init(&b->io, COW_LOCK_IO);
	list_init(&b->node);
	return b;
}

static void buf_free(struct cow_buf *b)
{
	if (b->page)
		cow_page_put(b->page);
	cow_free(b);
}

void *cow_buf_data(const struct cow_buf *b)
{
	return b->data;
}

struct cow_page *cow_buf_page(const struct cow_buf *b)
{
	return b->page;
}

void cow_buf_get(struct cow_buf *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
}

/* Under the bucket's lock. */
static struct cow_buf *chain_find(struct cow_bucket *k, u64 addr)
{
	struct cow_buf *b;

	hlist_for_each (b, &k->chain, hash_node)
		if (b->addr == addr)
			return b;
	return NULL;
}

static void chain_remove(struct cow_fs *fs, struct cow_buf *b)
{
	hlist_remove(&b->hash_node);
	cow_buf_clear(b, COW_BUF_HASHED);
	__atomic_sub_fetch(&fs->cached, 1, __ATOMIC_RELAXED);
}

static void lru_remove(struct cow_fs *fs, struct cow_buf *b)
{
	cow_spin_lock(&fs->lru_lock);
	list_remove(&b->node);
	cow_spin_unlock(&fs->lru_lock);
}

/* It was taken out of the table with `bucket` locked, which this unlocks. Dirty lists were left
 * before. */
static void buf_orphaned(struct cow_fs *fs, struct cow_bucket *k, struct cow_buf *b)
{
	bool last = __atomic_load_n(&b->refs, __ATOMIC_ACQUIRE) == 0;

	cow_spin_unlock(&k->lock);
	if (last) {
		lru_remove(fs, b);
		buf_free(b);
	}
}

void cow_buf_put(struct cow_buf *b)
{
	struct cow_fs *fs = b->fs;
	s32 n = __atomic_load_n(&b->refs, __ATOMIC_RELAXED);
	struct cow_bucket *k;
	bool gone;

	while (n > 1)
		if (__atomic_compare_exchange_n(&b->refs, &n, n - 1, true, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			return;
	k = bucket_of(fs, b->addr);
	cow_spin_lock(&k->lock);
	n = __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL);
	COW_BUG_ON(n < 0);
	gone = !n && !(b->flags & COW_BUF_HASHED);
	cow_spin_unlock(&k->lock);
	if (gone) {
		lru_remove(fs, b);
		buf_free(b);
	}
}

/* Out of the table and the dirty list; a sealed one stays, it is written all the same. */
static void buf_forget(struct cow_fs *fs, struct cow_buf *b)
{
	struct cow_bucket *k = bucket_of(fs, b->addr);

	if (b->flags & COW_BUF_SEALED)
		return;
	if (b->flags & COW_BUF_DIRTY) {
		cow_spin_lock(&fs->dirty_lock);
		list_remove(&b->node);
		fs->dirty_count--;
		cow_spin_unlock(&fs->dirty_lock);
		cow_buf_clear(b, COW_BUF_DIRTY);
	}
	cow_spin_lock(&k->lock);
	if (b->flags & COW_BUF_HASHED)
		chain_remove(fs, b);
	cow_spin_unlock(&k->lock);
}

/* Puts b in, in place of what is left of an earlier owner of the address. */
static void table_insert(struct cow_fs *fs, struct cow_buf *b)
{
	struct cow_bucket *k = bucket_of(fs, b->addr);
	struct cow_buf *old;

	for (;;) {
		cow_spin_lock(&k->lock);
		old = chain_find(k, b->addr);
		if (!old)
			break;
		COW_BUG_ON(old->flags & COW_BUF_DIRTY);
		chain_remove(fs, old);
		buf_orphaned(fs, k, old);
	}
	hlist_push(&k->chain, &b->hash_node);
	cow_buf_set(b, COW_BUF_HASHED);
	__atomic_add_fetch(&fs->cached, 1, __ATOMIC_RELAXED);
	cow_spin_unlock(&k->lock);
}

void cow_buf_rest(struct cow_fs *fs, struct cow_buf *b)
{
	cow_spin_lock(&fs->lru_lock);
	list_append(&fs->lru, &b->node);
	cow_spin_unlock(&fs->lru_lock);
}

/* --- finding and reading --- */

#define ANY_BIRTH (~0ull)

/* Counted, whatever its state; NULL if it is not there. */
static struct cow_buf *table_find(struct cow_fs *fs, u64 addr, u64 birth)
{
	struct cow_bucket *k = bucket_of(fs, addr);
	struct cow_buf *b;

	cow_spin_lock(&k->lock);
	b = chain_find(k, addr);
	if (b && birth != ANY_BIRTH && b->birth != birth)
		b = NULL;
	if (b)
		cow_buf_get(b);
	cow_spin_unlock(&k->lock);
	if (b && !(b->flags & COW_BUF_USED))
		cow_buf_set(b, COW_BUF_USED);
	return b;
}

struct cow_buf *cow_buf_peek(struct cow_fs *fs, u64 addr)
{
	struct cow_buf *b = table_find(fs, addr, ANY_BIRTH);

	if (b && !(b->flags & COW_BUF_VALID)) {
		cow_buf_put(b);
		b = NULL;
	}
	return b;
}

u32 cow_buf_flags(struct cow_fs *fs, u64 addr)
{
	struct cow_bucket *k = bucket_of(fs, addr);
	struct cow_buf *b;
	u32 flags;

	cow_spin_lock(&k->lock);
	b = chain_find(k, addr);
	flags = b ? b->flags : 0;
	cow_spin_unlock(&k->lock);
	return flags;
}

/*
 * A buffer to be read into, in the table, counted, its io lock held: 0; 1 if it was there already
 * (counted, perhaps still being read). Two readers of one block: the second finds the first's.
 */
static int buf_begin_read(struct cow_fs *fs, const struct cow_ptr *p, struct cow_shape s,
			  struct cow_buf **out)
{
	struct cow_bucket *k = bucket_of(fs, p->addr);
	struct cow_buf *b, *old;

	*out = table_find(fs, p->addr, p->birth);
	if (*out)
		return 1;
	b = buf_alloc(fs, p->addr, p->mirror, p->birth, s);
	if (!b)
		return -ENOMEM;
	b->page = cow_page_alloc(fs->platform, false, &b->data);
	if (!b->page) {
		buf_free(b);
		return -ENOMEM;
	}
	cow_lock_write_nested(&b->io);
	b->flags = COW_BUF_READING;
	cow_spin_lock(&k->lock);
	old = chain_find(k, p->addr);
	if (old && old->birth == p->birth)
		cow_buf_get(old);
	else if (!old) {
		hlist_push(&k->chain, &b->hash_node);
		cow_buf_set(b, COW_BUF_HASHED);
		__atomic_add_fetch(&fs->cached, 1, __ATOMIC_RELAXED);
	}
	cow_spin_unlock(&k->lock);
	/* Another birth there: ours is read outside of the table, for this reader alone. */
	if (old && old->birth == p->birth) {
		cow_unlock_write(&b->io);
		buf_free(b);
		*out = old;
		return 1;
	}
	*out = b;
	return 0;
}

static int read_one(struct cow_fs *fs, struct cow_buf *b, u64 addr)
{
	struct cow_io io;

	cow_io_init(&io, fs->platform);
	__atomic_add_fetch(&fs->stat_reads, 1, __ATOMIC_RELAXED);
	cow_io_start(&io, false, addr, &b->page, &b->data, 1);
	return cow_io_wait(&io);
}

static int pointer_is_old(void *arg, struct cow_ptr *p, struct cow_shape child)
{
	return p->birth > cow_load(arg) ? -EIO : 0;
}

/*
 * A block on the disk was written by a commit that is durable, and so was all that it points to. A
 * pointer that says it was born later is a forgery: it could name a block of the open commit, and
 * who gives that up would take it from its owner.
 */
static bool buf_is_of_the_past(struct cow_fs *fs, struct cow_buf *b)
{
	return (!b->shape.level && b->shape.tree != COW_TREE_TABLE) ||
	       !cow_block_pointers(b->shape, b->data, pointer_is_old, &fs->sealed_birth);
}

static bool sum_is_right(const struct cow_buf *b, u64 csum)
{
	return cow_checksum(b->data, COW_BLOCK) == csum;
}

/* Read again from `addr`: is it right now? */
static bool read_again(struct cow_fs *fs, struct cow_buf *b, u64 addr, u64 csum)
{
	return !read_one(fs, b, addr) && sum_is_right(b, csum);
}

/* The io lock is held. Right or not, tries the second copy if not; the reading ends. */
static void buf_end_read(struct cow_fs *fs, struct cow_buf *b, u64 csum, bool good)
{
	bool listed = b->flags & COW_BUF_CAME;

	if (!good && b->mirror) {
		cow_log(fs->platform, "block %lu is bad; its copy %lu is used",
			(unsigned long)b->addr, (unsigned long)b->mirror);
		good = read_again(fs, b, b->mirror, csum);
	}
	good = good && buf_is_of_the_past(fs, b);
	b->csum = csum;
	cow_buf_set(b, good ? COW_BUF_VALID | COW_BUF_SUMMED : COW_BUF_ERROR);
	cow_buf_clear(b, COW_BUF_READING | COW_BUF_CAME);
	if (!good) /* it is tried anew by the next who wants it */
		buf_forget(fs, b);
	else if (!listed)
		cow_buf_rest(fs, b);
}

/* Waits for who is reading b. If that was ahead of time, it is for us to say how it went. */
static void buf_settle(struct cow_fs *fs, struct cow_buf *b, u64 csum)
{
	cow_lock_write(&b->io);
	if (b->flags & COW_BUF_CAME)
		buf_end_read(fs, b, csum,
			     sum_is_right(b, csum) || read_again(fs, b, b->addr, csum));
	cow_unlock_write(&b->io);
}

/* Pointers come from the disk. */
static bool ptr_sane(const struct cow_fs *fs, const struct cow_ptr *p)
{
	u64 end = fs->super.blocks - 2;

	return p->addr >= fs->super.data_start && p->addr < end &&
	       (!p->mirror || (p->mirror >= fs->super.data_start && p->mirror < end));
}

/* 0, or -EIO and b is put: it could not be read, or it has another sort of content, which only a
 * corrupt pointer says. */
static int buf_check(struct cow_buf *b, struct cow_shape s)
{
	if (likely((b->flags & COW_BUF_VALID) && b->shape.tree == s.tree &&
		   b->shape.level == s.level))
		return 0;
	cow_buf_put(b);
	return -EIO;
}

int cow_buf_read(struct cow_fs *fs, const struct cow_ptr *p, struct cow_shape s,
		 struct cow_buf **out)
{
	struct cow_buf *b;
	int found;

	if (unlikely(!ptr_sane(fs, p)))
		return -EIO;
	found = buf_begin_read(fs, p, s, &b);
	if (unlikely(found < 0))
		return found;
	if (unlikely(!found)) {
		buf_end_read(fs, b, p->csum, read_again(fs, b, b->addr, p->csum));
		cow_unlock_write(&b->io);
	} else if (unlikely(!(b->flags & COW_BUF_VALID))) {
		buf_settle(fs, b, p->csum);
	}
	if (unlikely(buf_check(b, s)))
		return -EIO;
	*out = b;
	return 0;
}

struct cow_buf *cow_buf_ready(struct cow_fs *fs, const struct cow_ptr *p)
{
	struct cow_buf *b = p->addr ? table_find(fs, p->addr, p->birth) : NULL;

	if (b && !(b->flags & (COW_BUF_VALID | COW_BUF_CAME))) {
		cow_buf_put(b);
		b = NULL;
	}
	return b;
}

int cow_buf_use(struct cow_buf *b, const struct cow_ptr *p, struct cow_shape s)
{
	if (!(b->flags & COW_BUF_VALID))
		buf_settle(b->fs, b, p->csum);
	return buf_check(b, s);
}

/* What is read ahead in one go. */
struct ahead {
	struct cow_io io;
	struct cow_fs *fs;
	unsigned count;
	struct cow_buf *buf[COW_PREFETCH_MAX];
	struct cow_page *page[COW_PREFETCH_MAX];
	void *data[COW_PREFETCH_MAX];
};

/* All of it has come, or failed: the sums will say. Does not sleep. */
static void ahead_came(struct cow_io *io)
{
	struct ahead *a = container_of(io, struct ahead, io);

	for (unsigned i = 0; i < a->count; i++) {
		struct cow_buf *b = a->buf[i];

		cow_buf_rest(a->fs, b);
		cow_buf_set(b, COW_BUF_CAME);
		cow_unlock_disowned(&b->io);
		cow_buf_put(b);
	}
	cow_free(a);
}

/* Requests for blocks that lie side by side, as large as may be. */
static void ahead_start(struct ahead *a)
{
	unsigned first = 0;

	cow_io_init_then(&a->io, a->fs->platform, ahead_came);
	for (unsigned i = 1; i <= a->count; i++) {
		if (i < a->count && a->buf[i]->addr == a->buf[i - 1]->addr + 1)
			continue;
		__atomic_add_fetch(&a->fs->stat_reads, 1, __ATOMIC_RELAXED);
		cow_io_start(&a->io, false, a->buf[first]->addr, a->page + first, a->data + first,
			     i - first);
		first = i;
	}
	cow_io_given(&a->io);
}

void cow_buf_prefetch(struct cow_fs *fs, const struct cow_ptr *p, unsigned n, struct cow_shape s)
{
	struct ahead *a = cow_alloc(sizeof(*a));
	struct cow_buf *b;
	int err = 0;

	if (!a)
		return;
	a->fs = fs;
	for (unsigned i = 0; i < n && i < COW_PREFETCH_MAX && err >= 0; i++) {
		if (p[i].addr <= COW_ADDR_RESERVED || !ptr_sane(fs, &p[i]))
			continue;
		err = buf_begin_read(fs, &p[i], s, &b);
		if (err > 0)
			cow_buf_put(b);
		if (err)
			continue;
		cow_lock_disown(&b->io);
		a->buf[a->count] = b;
		a->page[a->count] = b->page;
		a->data[a->count++] = b->data;
	}
	if (a->count)
		ahead_start(a);
	else
		cow_free(a);
}

/* --- new, changed, forgotten --- */

int cow_buf_create(struct cow_fs *fs, u64 addr, u64 mirror, struct cow_shape s,
		   struct cow_page *page, bool charged, struct cow_buf **out)
{
	struct cow_buf *b = buf_alloc(fs, addr, mirror, cow_load(&fs->birth), s);

	if (!b)
		return -ENOMEM;
	if (page) {
		b->page = page;
		b->data = cow_page_data(page);
	} else {
		b->page = cow_page_alloc(fs->platform, charged, &b->data);
	}
	if (!b->page) {
		buf_free(b);
		return -ENOMEM;
	}
	b->flags = COW_BUF_VALID | COW_BUF_DIRTY;
	table_insert(fs, b);
	cow_spin_lock(&fs->dirty_lock);
	list_append(&fs->dirty, &b->node);
	fs->dirty_count++;
	cow_spin_unlock(&fs->dirty_lock);
	*out = b;
	return 0;
}

void cow_buf_forget(struct cow_fs *fs, const struct cow_ptr *p)
{
	struct cow_buf *b = table_find(fs, p->addr, p->birth);

	if (!b)
		return;
	buf_forget(fs, b);
	cow_buf_put(b);
}

u64 cow_buf_csum(struct cow_buf *b)
{
	if (!(b->flags & COW_BUF_SUMMED)) {
		b->csum = cow_checksum(b->data, COW_BLOCK);
		cow_buf_set(b, COW_BUF_SUMMED);
	}
	return b->csum;
}

/* --- eviction --- */

/*
 * May b, on the LRU, whose lock is held, be freed? Then it is out of the table, and nobody's.
 * Buffers that are out already have somebody who frees them.
 */
static bool evict(struct cow_fs *fs, struct cow_buf *b)
{
	struct cow_bucket *k = bucket_of(fs, b->addr);
	bool good;

	cow_spin_lock(&k->lock);
	good = !b->refs &&
	       (b->flags & (COW_BUF_HASHED | COW_BUF_USED | COW_BUF_DIRTY)) == COW_BUF_HASHED &&
	       !cow_page_shared(b->page);
	if (good)
		chain_remove(fs, b);
	else
		cow_buf_clear(b, COW_BUF_USED);
	cow_spin_unlock(&k->lock);
	return good;
}

u64 cow_shrink(struct cow_fs *fs, u64 n)
{
	u64 freed = 0, looks = 2 * cow_load(&fs->cached);
	bool good;

	while (freed < n && looks--) {
		cow_spin_lock(&fs->lru_lock);
		if (list_empty(&fs->lru)) {
			cow_spin_unlock(&fs->lru_lock);
			break;
		}
		struct cow_buf *b = list_first(&fs->lru, struct cow_buf, node);
		list_remove(&b->node);
		good = evict(fs, b);
		if (!good)
			list_append(&fs->lru, &b->node);
		cow_spin_unlock(&fs->lru_lock);
		if (good) {
			buf_free(b);
			freed++;
		}
	}
	return freed;
}

void cow_cache_destroy(struct cow_fs *fs)
{
	struct list *const lists[] = { &fs->dirty, &fs->sealed, &fs->lru };

	if (!fs->buckets)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(lists); i++)
		while (!list_empty(lists[i])) {
			struct cow_buf *b = list_first(lists[i], struct cow_buf, node);

			list_remove(&b->node);
			COW_BUG_ON(b->refs);
			buf_free(b);
		}
	cow_free(fs->buckets);
	fs->buckets = NULL;
}
