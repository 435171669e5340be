/* SPDX-License-Identifier: MIT */
/*
 * slab.c - caches of objects of one size (contract: slab.h).
 *
 * A slab is a block of 2^order pages cut into objects; its struct page heads the
 * list of its free ones. On top of it each CPU holds a chain of free objects:
 * slab_alloc pops, slab_free pushes, whoever allocated the object, without a
 * lock; only filling an empty chain and spilling a long one take cache->lock.
 *
 * An object is, in this order: `size` bytes for its user; debug: a word that is
 * RED_LIVE or RED_FREE; the link of free chains (over the first word, unless
 * that must stay readable: debug and SLAB_RCU). Behind the objects of an
 * accounting cache stands an array with the account that each is charged to.
 *
 * States of a slab: on cache->partial while it has free objects of its own
 * (page->private counts those handed out: 0 means empty; at most one empty slab
 * is kept), on no list while all are out. slab_fill and slab_spill move it.
 *
 * Locks: L is cache->lock (RANK_SLAB). Chains belong to their CPU.
 */
#include "mm/slab.h"
#include "arch/x86/smp.h"
#include "core/errno.h"
#include "core/inject.h"
#include "core/kasan.h"
#include "lib/string.h"
#include "mm/internal.h"

#define CACHES_MAX     128
#define SLAB_ORDER_MAX 3
#define POISON_BYTE    0x6b
#define RED_LIVE       0x11fe11fe11fe11feull
#define RED_FREE       0xdeaddeaddeaddeadull

struct slab_cache {
	const char *name;
	u32 id; /* index of its chains */
	u32 flags;
	u32 size, stride;
	u32 order, per_slab;
	u32 link;	/* offset of the free link in an object */
	u32 chain_max;	/* longest chain of a CPU */
	u32 charge;	/* bytes: an object with its share of the slab */
	u32 accounts;	/* offset of the array of accounts in a slab */
	u32 reciprocal; /* 2^32 / stride, rounded up */
	spinlock_t lock;
	struct list partial; /* L */
	u32 empty;	     /* L: slabs on it without a live object */
	u64 slabs;	     /* L */
	struct list all;
};

struct chain {
	void *first;
	u32 count;
	s64 live; /* allocations minus frees on this CPU */
};
static PERCPU(struct chain, chains[CACHES_MAX]);

static struct slab_cache caches[CACHES_MAX];
static unsigned cache_count;
static spinlock_t caches_lock = SPINLOCK_INIT(RANK_SLAB);

static inline struct chain *chain_of(struct slab_cache *c)
{
	return &percpu_this(chains)[c->id];
}

static inline void **link_of(const struct slab_cache *c, void *object)
{
	return (void **)((char *)object + c->link);
}

static inline void *slab_of(const struct slab_cache *c, const void *object)
{
	return (void *)((u64)object & ~((PAGE_SIZE << c->order) - 1));
}

static inline struct account **account_slot(const struct slab_cache *c, const void *object)
{
	char *base = slab_of(c, object);
	u64 index = ((u64)((char *)object - base) * c->reciprocal) >> 32;

	return (struct account **)(base + c->accounts) + index;
}

struct account *slab_account(struct slab_cache *c, const void *object)
{
	return *account_slot(c, object);
}

void slab_count(struct slab_cache *c, const void *object, enum memory_use use, bool used)
{
	struct account *a = c->flags & SLAB_ACCOUNT ? slab_account(c, object) : NULL;

	if (a)
		account_use(a, use, used ? c->charge : -(s64)c->charge);
}

/* --- debug --- */

static u64 *red_zone(const struct slab_cache *c, void *object)
{
	return (u64 *)((char *)object + ALIGN_UP(c->size, 8));
}

static void debug_made_free(struct slab_cache *c, void *object)
{
	if (!(c->flags & SLAB_RCU))
		memset(object, POISON_BYTE, c->size);
	*red_zone(c, object) = RED_FREE;
}

static void debug_alloc(struct slab_cache *c, void *object)
{
	kasan_unpoison(object, c->size);
	BUG_IF(*red_zone(c, object) != RED_FREE, "%s %p: overrun while free: %lx", c->name, object,
	       *red_zone(c, object));
	if (!(c->flags & SLAB_RCU))
		for (u32 i = 0; i < c->size; i++)
			BUG_IF(((u8 *)object)[i] != POISON_BYTE, "%s %p: written after free at %u",
			       c->name, object, i);
	*red_zone(c, object) = RED_LIVE;
}

static void debug_free(struct slab_cache *c, void *object)
{
	struct page *p = page_of_virt(slab_of(c, object));

	BUG_IF(!(p->flags & PG_SLAB) || p->slab_cache != c, "%s %p: not of this cache (flags %x)",
	       c->name, object, p->flags);
	BUG_IF(*red_zone(c, object) == RED_FREE, "%s %p: double free", c->name, object);
	BUG_IF(*red_zone(c, object) != RED_LIVE, "%s %p: overrun: %lx", c->name, object,
	       *red_zone(c, object));
	debug_made_free(c, object);
	if (!(c->flags & SLAB_RCU))
		kasan_poison(object, ALIGN_UP(c->size, 8));
}

/* --- slabs --- */

static struct page *slab_make(struct slab_cache *c)
{
	struct page *p = page_alloc(c->order, PAGE_KERNEL, NULL);

	if (!p)
		return NULL;
	for (u32 i = 0; i < 1u << c->order; i++) {
		p[i].flags = PG_SLAB;
		p[i].slab_cache = c;
	}
	char *base = page_virt(p);
	void *next = NULL;
	for (u32 i = c->per_slab; i-- > 0;) {
		void *object = base + i * c->stride;
		if (DEBUG)
			debug_made_free(c, object);
		*link_of(c, object) = next;
		next = object;
		if (DEBUG && !(c->flags & SLAB_RCU))
			kasan_poison(object, ALIGN_UP(c->size, 8));
	}
	p->slab_free = next;
	p->private = 0;
	page_use_add(USE_SLAB, 1l << c->order);
	return p;
}

static void slab_unmake(struct page *p)
{
	struct slab_cache *c = p->slab_cache;

	for (u32 i = 0; i < 1u << c->order; i++) {
		p[i].flags = 0;
		p[i].slab_cache = NULL;
	}
	page_use_add(USE_SLAB, -(1l << c->order));
	page_put(p);
}

static void slab_unmake_rcu(struct rcu_head *h)
{
	slab_unmake(container_of(h, struct page, rcu));
}

static void slabs_free(struct slab_cache *c, struct list *l)
{
	while (!list_empty(l)) {
		struct page *p = list_first(l, struct page, list);
		list_remove(&p->list);
		if (c->flags & SLAB_RCU)
			rcu_call(&p->rcu, slab_unmake_rcu);
		else
			slab_unmake(p);
	}
}

/* Moves up to half a chain's worth from the slabs to this CPU. Under L. */
static void slab_take(struct slab_cache *c, struct chain *ch)
{
	while (ch->count < c->chain_max / 2 && !list_empty(&c->partial)) {
		struct page *p = list_first(&c->partial, struct page, list);
		if (!p->private)
			c->empty--;
		while (p->slab_free && ch->count < c->chain_max / 2) {
			void *object = p->slab_free;
			p->slab_free = *link_of(c, object);
			*link_of(c, object) = ch->first;
			ch->first = object;
			ch->count++;
			p->private ++;
		}
		if (!p->slab_free)
			list_remove(&p->list);
	}
}

static __noinline bool slab_fill(struct slab_cache *c, struct chain *ch)
{
	spin_lock(&c->lock);
	slab_take(c, ch);
	spin_unlock(&c->lock);
	if (ch->count)
		return true;
	struct page *p = slab_make(c);
	if (!p)
		return false;
	spin_lock(&c->lock);
	c->slabs++;
	c->empty++;
	list_push(&c->partial, &p->list);
	slab_take(c, ch);
	spin_unlock(&c->lock);
	return true;
}

/* One object back to its slab; a second empty slab goes to `gone`. Under L. */
static void slab_give(struct slab_cache *c, void *object, u32 keep, struct list *gone)
{
	struct page *p = page_of_virt(slab_of(c, object));

	if (!p->slab_free)
		list_push(&c->partial, &p->list);
	*link_of(c, object) = p->slab_free;
	p->slab_free = object;
	if (--p->private)
		return;
	if (c->empty >= keep) {
		list_remove(&p->list);
		list_push(gone, &p->list);
		c->slabs--;
		return;
	}
	c->empty++;
	list_remove(&p->list);
	list_append(&c->partial, &p->list); /* used last */
}

/* n objects, or as many as there are by then: see stock_spill() in page.c. */
static __noinline void slab_spill(struct slab_cache *c, struct chain *ch, u32 n, u32 keep)
{
	struct list gone = LIST_INIT(gone);

	spin_lock(&c->lock);
	for (n = MIN(n, ch->count); n; n--) {
		void *object = ch->first;
		ch->first = *link_of(c, object);
		ch->count--;
		slab_give(c, object, keep, &gone);
	}
	spin_unlock(&c->lock);
	slabs_free(c, &gone);
}

/* --- objects --- */

void *slab_alloc(struct slab_cache *c)
{
	struct account *a = NULL;

	if (inject_failure())
		return NULL;
	if (c->flags & SLAB_ACCOUNT) {
		a = current ? current->account : NULL;
		if (a && charge(a, RES_MEMORY, c->charge))
			return NULL;
	}
	struct chain *ch = chain_of(c);
	if (unlikely(!ch->first) && !slab_fill(c, ch)) {
		if (a)
			uncharge(a, RES_MEMORY, c->charge);
		return NULL;
	}
	void *object = ch->first;
	ch->first = *link_of(c, object);
	ch->count--;
	ch->live++;
	if (c->flags & SLAB_ACCOUNT)
		*account_slot(c, object) = a;
	if (DEBUG)
		debug_alloc(c, object);
	if (c->flags & SLAB_ZERO)
		memset(object, 0, c->size);
	return object;
}

void slab_free(struct slab_cache *c, void *object)
{
	if (DEBUG)
		debug_free(c, object);
	if (c->flags & SLAB_ACCOUNT) {
		struct account *a = *account_slot(c, object);
		if (a)
			uncharge(a, RES_MEMORY, c->charge);
	}
	struct chain *ch = chain_of(c);
	ch->live--;
	if (unlikely(ch->count >= c->chain_max))
		slab_spill(c, ch, ch->count / 2, 1);
	*link_of(c, object) = ch->first;
	ch->first = object;
	ch->count++;
}

/* --- caches --- */

/* The smallest block that wastes at most an eighth and holds at least 8, or the largest. */
static void cache_choose_order(struct slab_cache *c)
{
	u32 each = c->stride + (c->flags & SLAB_ACCOUNT ? sizeof(struct account *) : 0);

	for (c->order = 0;; c->order++) {
		u32 bytes = PAGE_SIZE << c->order;
		c->per_slab = bytes / each;
		if (c->order == SLAB_ORDER_MAX)
			break;
		if (c->per_slab >= 8 && bytes - c->per_slab * each <= bytes / 8)
			break;
	}
	BUG_IF(!c->per_slab, "%s: size=%u", c->name, c->size);
	/* The objects' array begins at their end, aligned for pointers. */
	while (ALIGN_UP(c->per_slab * c->stride, 8) + (each - c->stride) * c->per_slab >
	       PAGE_SIZE << c->order)
		c->per_slab--;
	c->accounts = ALIGN_UP(c->per_slab * c->stride, 8);
	c->charge = (PAGE_SIZE << c->order) / c->per_slab;
	c->reciprocal = ((1ull << 32) + c->stride - 1) / c->stride;
}

struct slab_cache *slab_cache_create(const char *name, size_t size, size_t align, u32 flags)
{
	spin_lock(&caches_lock);
	BUG_IF(cache_count == CACHES_MAX, "%s", name);
	struct slab_cache *c = &caches[cache_count];
	bool outside = DEBUG || (flags & SLAB_RCU); /* the link must not lie in the object */

	if (!align)
		align = size >= 16 ? 16 : 8;
	c->name = name;
	c->id = cache_count;
	c->flags = flags;
	c->size = MAX(size, 8ul);
	c->link = outside ? ALIGN_UP(c->size, 8) + (DEBUG ? 8 : 0) : 0;
	c->stride = ALIGN_UP(outside ? c->link + 8 : c->size, align);
	cache_choose_order(c);
	c->chain_max = MIN(MAX(32768 / c->stride, 8u), 64u);
	spin_init(&c->lock, RANK_SLAB);
	list_init(&c->partial);
	__atomic_store_n(&cache_count, cache_count + 1, __ATOMIC_RELEASE);
	spin_unlock(&caches_lock);
	return c;
}

void slab_for_each(void (*fn)(const char *name, u64 live, size_t size, void *arg), void *arg)
{
	unsigned n = __atomic_load_n(&cache_count, __ATOMIC_ACQUIRE);

	for (unsigned k = 0; k < n; k++) {
		s64 live = 0;
		for_each_cpu (i)
			live += percpu_of(chains, i)[k].live;
		fn(caches[k].name, live, caches[k].size, arg);
	}
}

static void drain_chains(void *arg)
{
	for (unsigned k = 0; k < cache_count; k++) {
		struct chain *ch = chain_of(&caches[k]);
		if (ch->count)
			slab_spill(&caches[k], ch, ch->count, 0);
	}
}

static void drain_empty(struct slab_cache *c)
{
	struct list gone = LIST_INIT(gone);
	struct page *p, *next;

	spin_lock(&c->lock);
	list_for_each_safe (p, next, &c->partial, list) {
		if (p->private)
			continue;
		list_remove(&p->list);
		list_push(&gone, &p->list);
		c->slabs--;
		c->empty--;
	}
	spin_unlock(&c->lock);
	slabs_free(c, &gone);
}

void slab_drain(void)
{
	smp_call_all(drain_chains, NULL);
	for (unsigned k = 0; k < cache_count; k++)
		drain_empty(&caches[k]);
}
