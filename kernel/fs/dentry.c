/* SPDX-License-Identifier: MIT */
/*
 * dentry.c - the name cache: (directory, name) -> dentry, also for names that
 * are known not to exist.
 *
 * Being hashed counts as one reference. So: a hashed dentry is alive; a count of
 * 1 on it means that only the cache holds it; the LRU (dentry_lru.c) takes one
 * from 1 to 0 and unhashes it; dentry_unhash() takes a name out whoever uses it.
 * At 0 the dentry leaves its inode and its parent, and its memory goes after a
 * grace period. A filesystem whose names live nowhere else (sb->dcache_complete)
 * pins its dentries: they are not on the LRU.
 *
 * Locks: a bucket's chain under one of BUCKET_LOCKS locks, dentry->children
 * under the parent's dentry->lock, the LRU under its lists' locks; the order is
 * dentry->lock, bucket, LRU. Who hashes, unhashes or moves a name holds the
 * directory's inode lock (the LRU apart, which only takes unused ones).
 * Readers use RCU and dentry->seq.
 */
#include "core/rcu.h"
#include "fs/internal.h"
#include "lib/hash.h"

#define BUCKET_LOCKS 64

static struct slab_cache *dentry_cache;
static struct hlist *buckets;
static unsigned bucket_bits;
static struct {
	spinlock_t lock;
} __cacheline bucket_locks[BUCKET_LOCKS];

u32 dentry_moves; /* so far: a path is read against it (path_text.c) */

struct long_name {
	struct rcu_head rcu;
	char text[];
};

u64 dentry_hash_name(const char *name, size_t len)
{
	u64 h = hash_seed, word;

	for (; len >= 8; len -= 8, name += 8) {
		memcpy(&word, name, 8);
		h = HASH_STEP(h, word);
	}
	if (len) {
		word = 0;
		memcpy(&word, name, len);
		h = HASH_STEP(h, word);
	}
	return h;
}

static inline u32 bucket_of(const struct dentry *dir, u64 hash)
{
	return ((u64)dir >> 6 ^ hash) * 0x9e3779b97f4a7c15ull >> (64 - bucket_bits);
}

static inline spinlock_t *bucket_lock(u32 bucket)
{
	return &bucket_locks[bucket % BUCKET_LOCKS].lock;
}

/* --- memory --- */

static bool dentry_has_long_name(const struct dentry *d)
{
	return d->name != d->inline_name && !(d->flags & DENTRY_STATIC_NAME);
}

static void dentry_free_rcu(struct rcu_head *h)
{
	struct dentry *d = container_of(h, struct dentry, rcu);

	if (dentry_has_long_name(d))
		kfree(container_of(d->name, struct long_name, text));
	slab_free(dentry_cache, d);
}

static struct dentry *dentry_alloc_bare(struct superblock *sb)
{
	struct dentry *d = slab_alloc(dentry_cache);

	if (!d)
		return NULL;
	memset(d, 0, offsetof(struct dentry, inline_name));
	d->sb = sb;
	d->name = d->inline_name;
	ref_init(&d->refs, 1);
	spin_init(&d->lock, RANK_NAMECACHE);
	list_init(&d->child_node);
	list_init(&d->children);
	list_init(&d->lru);
	if (sb->dcache_complete)
		d->flags = DENTRY_PINNED;
	else if (sb->ops->revalidate)
		d->flags = DENTRY_REVALIDATE;
	return d;
}

static int dentry_set_name(struct dentry *d, const char *name, u32 len)
{
	char *text = d->inline_name;

	if (unlikely(len >= DENTRY_INLINE_NAME)) {
		struct long_name *n = kmalloc(sizeof(*n) + len + 1, KM_ACCOUNT);

		if (!n)
			return -ENOMEM;
		text = n->text;
	}
	memcpy(text, name, len);
	text[len] = 0;
	d->name = text;
	d->name_len = len;
	return 0;
}

int dentry_alloc(struct dentry *dir, const char *name, u32 len, u64 hash, struct dentry **out)
{
	struct dentry *d = dentry_alloc_bare(dir->sb);

	if (!d)
		return -ENOMEM;
	if (dentry_set_name(d, name, len)) {
		slab_free(dentry_cache, d);
		return -ENOMEM;
	}
	d->hash = hash;
	d->parent = dentry_get(dir);
	*out = d;
	return 0;
}

int dentry_alloc_nameless(struct superblock *sb, struct inode *i, const char *static_name,
			  struct dentry **out)
{
	struct dentry *d = dentry_alloc_bare(sb);

	if (!d)
		return -ENOMEM;
	d->flags = DENTRY_STATIC_NAME;
	d->name = static_name;
	d->name_len = strlen(static_name);
	d->parent = d;
	d->inode = i;
	*out = d;
	return 0;
}

int dentry_create_root(struct superblock *sb, struct inode *root, struct dentry **out)
{
	int err = dentry_alloc_nameless(sb, root, "/", out);

	if (err)
		inode_put(root);
	return err;
}

struct account *dentry_account(const struct dentry *d)
{
	return slab_account(dentry_cache, d);
}

struct dentry *dentry_get(struct dentry *d)
{
	ref_get(&d->refs);
	return d;
}

/* The count is zero and d in no table: lets go of what it holds; its parent is to be put. */
struct dentry *dentry_release(struct dentry *d)
{
	struct dentry *parent = d->parent;

	ASSERT(!hlist_hashed(&d->hash_node) && list_empty(&d->lru));
	if (d->inode)
		inode_put(d->inode);
	rcu_call(&d->rcu, dentry_free_rcu);
	return parent == d ? NULL : parent;
}

void dentry_put(struct dentry *d)
{
	while (d && ref_put(&d->refs))
		d = dentry_release(d);
}

/* --- hashing --- */

static void dentry_hash_insert(struct dentry *d)
{
	u32 b = bucket_of(d->parent, d->hash);
	struct dentry *dir = d->parent;

	ref_get(&d->refs);
	spin_lock(&dir->lock);
	list_append(&dir->children, &d->child_node);
	spin_lock(bucket_lock(b));
	hlist_push(&buckets[b], &d->hash_node);
	spin_unlock(bucket_lock(b));
	spin_unlock(&dir->lock);
	dentry_lru_add(d);
}

bool dentry_hash_remove(struct dentry *d)
{
	u32 b = bucket_of(d->parent, d->hash);
	struct dentry *dir = d->parent;
	bool was;

	spin_lock(&dir->lock);
	spin_lock(bucket_lock(b));
	was = hlist_hashed(&d->hash_node);
	if (was) {
		WRITE_ONCE(d->seq, d->seq + 2);
		hlist_remove(&d->hash_node);
		list_remove(&d->child_node);
	}
	spin_unlock(bucket_lock(b));
	spin_unlock(&dir->lock);
	return was;
}

void dentry_unhash(struct dentry *d)
{
	if (d->parent == d || !dentry_hash_remove(d))
		return;
	dentry_lru_remove(d); /* before the cache's count goes: a count of 1 is then the user's */
	dentry_put(d);
}

void dentry_attach(struct dentry *d, struct inode *i)
{
	__atomic_store_n(&d->seq, d->seq + 1, __ATOMIC_RELEASE);
	d->inode = i;
	__atomic_store_n(&d->seq, d->seq + 1, __ATOMIC_RELEASE);
	if (!hlist_hashed(&d->hash_node))
		dentry_hash_insert(d);
}

/* --- looking up --- */

static inline bool name_equal(const char *a, const char *b, u32 len)
{
	while (len >= 8) {
		u64 x, y;

		__builtin_memcpy(&x, a, 8);
		__builtin_memcpy(&y, b, 8);
		if (x != y)
			return false;
		a += 8;
		b += 8;
		len -= 8;
	}
	while (len && *a == *b) {
		a++;
		b++;
		len--;
	}
	return !len;
}

struct dentry *dentry_find_rcu(struct dentry *dir, const char *name, u32 len, u64 hash, u32 *seq)
{
	struct dentry *d;

	hlist_for_each (d, &buckets[bucket_of(dir, hash)], hash_node) {
		const char *text;
		u32 s, n;

		if (d->hash != hash || d->parent != dir)
			continue;
		s = dentry_seq(d);
		text = READ_ONCE(d->name);
		n = READ_ONCE(d->name_len);
		/* Only if nothing moved do text and n belong together. */
		if (n != len || dentry_changed(d, s) ||
		    (len > HASH_WHOLE_NAME && !name_equal(text, name, len)))
			continue;
		*seq = s;
		return d;
	}
	return NULL;
}

struct dentry *dentry_find(struct dentry *dir, const char *name, u32 len, u64 hash)
{
	u32 b = bucket_of(dir, hash);
	struct dentry *d;

	spin_lock(bucket_lock(b));
	hlist_for_each (d, &buckets[b], hash_node) {
		if (d->hash == hash && d->parent == dir && d->name_len == len &&
		    name_equal(d->name, name, len) && ref_get_unless_zero(&d->refs))
			break;
	}
	spin_unlock(bucket_lock(b));
	return d;
}

bool dentry_get_live(struct dentry *d, u32 seq)
{
	if (!ref_get_unless_zero(&d->refs))
		return false;
	if (likely(!dentry_changed(d, seq)))
		return true;
	rcu_read_unlock();
	dentry_put(d);
	rcu_read_lock();
	return false;
}

/* Still true? If not, out of the cache with it. */
static bool dentry_valid(struct dentry *d)
{
	bool ok = true;

	if (d->flags & DENTRY_REVALIDATE) {
		rcu_read_lock();
		ok = d->sb->ops->revalidate(d);
		rcu_read_unlock();
	}
	return ok;
}

int dentry_lookup_locked(struct dentry *dir, const char *name, u32 len, u64 hash,
			 struct dentry **out)
{
	struct inode *i = dir->inode;
	struct dentry *d;
	int err;

	mutex_assert_held(&i->lock);
	while ((d = dentry_find(dir, name, len, hash))) {
		if (dentry_valid(d)) {
			*out = d;
			return 0;
		}
		dentry_unhash(d);
		dentry_put(d);
	}
	if (!i->nlink && !dir->sb->no_dcache_negative)
		return -ENOENT;
	err = dentry_alloc(dir, name, len, hash, &d);
	if (err)
		return err;
	if (!dir->sb->dcache_complete && i->ops->lookup) {
		err = i->ops->lookup(i, d);
		if (err) {
			dentry_put(d);
			return err;
		}
		if (!d->inode && !dir->sb->no_dcache_negative)
			dentry_hash_insert(d);
	}
	*out = d;
	return 0;
}

int dentry_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
	u64 hash = dentry_hash_name(name, len);
	struct inode *i = dir->inode;
	int err;

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	*out = dentry_find(dir, name, len, hash);
	if (*out) {
		if (likely(dentry_valid(*out))) {
			if (!(READ_ONCE((*out)->flags) & (DENTRY_PINNED | DENTRY_REFERENCED)))
				(*out)->flags |= DENTRY_REFERENCED;
			return 0;
		}
		dentry_put(*out);
	}
	do {
		dentry_make_room();
		mutex_lock(&i->lock);
		err = dentry_lookup_locked(dir, name, len, hash, out);
		mutex_unlock(&i->lock);
	} while (unlikely(err == -ENOMEM) && dentry_shrink_own());
	return err;
}

/* --- forgetting --- */

/* The first child that is not being freed, counted. */
static struct dentry *dentry_first_child(struct dentry *d)
{
	struct dentry *c;

	spin_lock(&d->lock);
	list_for_each (c, &d->children, child_node)
		if (ref_get_unless_zero(&c->refs)) {
			spin_unlock(&d->lock);
			return c;
		}
	spin_unlock(&d->lock);
	return NULL;
}

void dentry_forget_tree(struct dentry *top)
{
	struct dentry *d = dentry_get(top), *next;

	for (;;) {
		next = dentry_first_child(d);
		if (!next) {
			if (d == top)
				break;
			next = dentry_get(d->parent);
			dentry_unhash(d);
		}
		dentry_put(d);
		d = next;
		resched_point(); /* a whole filesystem may go */
	}
	dentry_put(d);
}

/* --- moving --- */

static void spin_lock_two(spinlock_t *a, spinlock_t *b)
{
	if (a > b) {
		spinlock_t *t = a;

		a = b;
		b = t;
	}
	spin_lock(a);
	if (a != b)
		spin_lock_nested(b); /* by address */
}

static void spin_unlock_two(spinlock_t *a, spinlock_t *b)
{
	spin_unlock(a);
	if (a != b)
		spin_unlock(b);
}

/* a gets b's name and b gets a's; texts stay where readers may be for a grace period. */
static void dentry_swap_names(struct dentry *a, struct dentry *b)
{
	bool a_long = dentry_has_long_name(a), b_long = dentry_has_long_name(b);
	const char *a_name = a->name;
	char text[DENTRY_INLINE_NAME];
	u32 len = a->name_len;
	u64 hash = a->hash;

	memcpy(text, a->inline_name, sizeof(text));
	memcpy(a->inline_name, b->inline_name, sizeof(text));
	memcpy(b->inline_name, text, sizeof(text));
	a->name = b_long ? b->name : a->inline_name;
	b->name = a_long ? a_name : b->inline_name;
	a->name_len = b->name_len;
	b->name_len = len;
	a->hash = b->hash;
	b->hash = hash;
}

static void dentry_seq_begin(struct dentry *d)
{
	WRITE_ONCE(d->seq, d->seq + 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void dentry_seq_end(struct dentry *d)
{
	__atomic_store_n(&d->seq, d->seq + 1, __ATOMIC_RELEASE);
}

/* Swaps places; puts a (and b, if it is to stay a name) into the tables at its new one. */
static void dentry_swap(struct dentry *a, struct dentry *b, bool keep_b)
{
	struct dentry *ap = a->parent, *bp = b->parent;
	u32 ab = bucket_of(ap, a->hash), bb = bucket_of(bp, b->hash);

	spin_lock_two(&ap->lock, &bp->lock);
	spin_lock_two(bucket_lock(ab), bucket_lock(bb));
	__atomic_add_fetch(&dentry_moves, 1, __ATOMIC_RELEASE);
	dentry_seq_begin(a);
	dentry_seq_begin(b);
	hlist_remove(&a->hash_node);
	hlist_remove(&b->hash_node);
	list_remove(&a->child_node);
	list_remove(&b->child_node);
	dentry_swap_names(a, b);
	a->parent = bp;
	b->parent = ap;
	hlist_push(&buckets[bb], &a->hash_node);
	list_append(&bp->children, &a->child_node);
	if (keep_b) {
		hlist_push(&buckets[ab], &b->hash_node);
		list_append(&ap->children, &b->child_node);
	}
	dentry_seq_end(b);
	dentry_seq_end(a);
	spin_unlock_two(bucket_lock(ab), bucket_lock(bb));
	spin_unlock_two(&ap->lock, &bp->lock);
}

/*
 * Under both directories' locks, after the filesystem did it. target, the name
 * that is replaced (or that was not there), leaves the cache. Its parent and
 * name become d's old ones: so its reference on the parent is swapped as well.
 */
void dentry_move(struct dentry *d, struct dentry *target)
{
	bool was = hlist_hashed(&target->hash_node);

	dentry_swap(d, target, false);
	if (was) {
		dentry_lru_remove(target);
		dentry_put(target);
	}
}

void dentry_exchange(struct dentry *a, struct dentry *b)
{
	dentry_swap(a, b, true);
}

/* --- start-up --- */

void dentry_init(void)
{
	struct page_stats s;
	size_t n;

	page_stats(&s);
	bucket_bits = 10;
	while (bucket_bits < 20 && (1ull << bucket_bits) < s.total / 4)
		bucket_bits++;
	n = sizeof(*buckets) << bucket_bits;
	buckets = n <= (4 << 20) ? kmalloc(n, KM_ZERO) : vmalloc(n, KM_ZERO);
	BUG_IF(!buckets, "no memory for %lu bytes", n);
	for (unsigned i = 0; i < BUCKET_LOCKS; i++)
		spin_init(&bucket_locks[i].lock, RANK_NAMECACHE_HASH);
	dentry_cache = slab_cache_create("dentry", sizeof(struct dentry), 64, SLAB_ACCOUNT);
	dentry_lru_init();
}
