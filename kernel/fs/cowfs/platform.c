/* SPDX-License-Identifier: MIT */
/*
 * platform.c - cowfs in the kernel (contract: platform.h): sleeping and spinning
 * locks, pages, requests to a block device.
 *
 * A request is one of COWFS_REQUESTS of its disk, made when that was mounted: so
 * I/O needs no memory, and who finds none free waits for one to come back. It
 * has up to COW_IO_BLOCKS segments, less where pages are neighbours.
 *
 * struct cow_page is struct page. Pages count as page cache; a dirty one is
 * charged to who made it, until cow_page_clean().
 */
#include "arch/x86/copy.h"
#include "core/printk.h"
#include "core/random.h"
#include "core/time.h"
#include "fs/cowfs/vfs_internal.h"

#define SECTORS	       (COW_BLOCK / 512)
#define DISCARD_BLOCKS (1u << 18) /* 1 GiB in one request */
#define SHRINK_PAGES   64

/* --- locks --- */

void cow_lock_init(struct cow_lock *l, enum cow_lock_rank rank)
{
	rwmutex_init(&l->rw, RANK_COWFS_COMMIT + rank);
}

void cow_lock_read(struct cow_lock *l)
{
	rwmutex_read_lock(&l->rw);
}

void cow_unlock_read(struct cow_lock *l)
{
	rwmutex_read_unlock(&l->rw);
}

void cow_lock_write(struct cow_lock *l)
{
	rwmutex_write_lock(&l->rw);
}

void cow_lock_write_nested(struct cow_lock *l)
{
	rwmutex_write_lock_nested(&l->rw);
}

void cow_unlock_write(struct cow_lock *l)
{
	rwmutex_write_unlock(&l->rw);
}

void cow_lock_disown(struct cow_lock *l)
{
	rwmutex_write_disown(&l->rw);
}

void cow_unlock_disowned(struct cow_lock *l)
{
	rwmutex_write_unlock_disowned(&l->rw);
}

bool cow_lock_write_held(const struct cow_lock *l)
{
	return rwmutex_write_held(&l->rw);
}

/* The order of the core's spin locks is its own: cache.c takes a bucket's inside the LRU's. */
void cow_spin_init(struct cow_spin *l)
{
	spin_init(&l->lock, RANK_NONE);
}

void cow_spin_lock(struct cow_spin *l)
{
	spin_lock(&l->lock);
}

void cow_spin_unlock(struct cow_spin *l)
{
	spin_unlock(&l->lock);
}

/* --- memory --- */

void *cow_alloc(size_t bytes)
{
	return kmalloc(bytes, KM_ZERO);
}

void *cow_alloc_charged(size_t bytes)
{
	return kmalloc(bytes, KM_ZERO | KM_ACCOUNT);
}

void cow_free(void *p)
{
	kfree(p);
}

static struct page *page_of(struct cow_page *page)
{
	return (struct page *)page;
}

/* What is for nobody in particular may come out of the reserve, or from what is cached. */
static struct page *page_for_core(struct cow_platform *p)
{
	struct page *page = page_alloc(0, PAGE_KERNEL, NULL);

	if (likely(page) || !p->fs || !cow_shrink(p->fs, SHRINK_PAGES))
		return page;
	return page_alloc(0, PAGE_KERNEL, NULL);
}

struct cow_page *cow_page_alloc(struct cow_platform *p, bool charged, void **data)
{
	struct page *page = charged ? page_alloc(0, 0, current->account) : page_for_core(p);

	if (!page)
		return NULL;
	page_become_cache(page);
	*data = page_virt(page);
	return (struct cow_page *)page;
}

void *cow_page_data(struct cow_page *page)
{
	return page_virt(page_of(page));
}

void cow_page_get(struct cow_page *page)
{
	page_get(page_of(page));
}

void cow_page_put(struct cow_page *page)
{
	page_put(page_of(page));
}

bool cow_page_shared(const struct cow_page *page)
{
	return READ_ONCE(((const struct page *)page)->refs) > 1;
}

void cow_page_clean(struct cow_page *page)
{
	(void)page_recharge(page_of(page), NULL); /* which cannot fail */
}

void cow_copy_block(void *to, const void *from)
{
	page_copy(to, (void *)from);
}

void cow_clear_block(void *to)
{
	page_clear(to);
}

/* --- requests --- */

static void request_done(struct block_request *r)
{
	struct cowfs_request *q = container_of(r, struct cowfs_request, block);
	struct cow_io *io = q->io;
	struct cow_platform *p = io->platform;

	bool last;

	spin_lock(&p->lock);
	if (r->status && !io->error)
		io->error = -EIO;
	last = !--io->pending && io->then;
	spin_unlock(&p->lock);
	if (last)
		io->then(io);
	/* only now: see cow_io_drain(). Who waits for io itself looks under the lock, too */
	spin_lock(&p->lock);
	list_append(&p->free, &q->node);
	p->free_count++;
	waitq_wake_all(&p->change, 0);
	spin_unlock(&p->lock);
}

void cow_platform_init(struct cow_platform *p, struct block_device *d)
{
	p->device = d;
	spin_init(&p->lock, RANK_DEVICE);
	list_init(&p->free);
	waitq_init(&p->change);
	for (unsigned i = 0; i < COWFS_REQUESTS; i++)
		list_append(&p->free, &p->requests[i].node);
	p->free_count = COWFS_REQUESTS;
}

u64 cow_disk_blocks(struct cow_platform *p)
{
	return p->device->sectors / SECTORS;
}

bool cow_disk_read_only(struct cow_platform *p)
{
	return p->device->read_only;
}

/* An eighth of memory. */
u64 cow_dirty_limit(struct cow_platform *p)
{
	struct page_stats s;

	page_stats(&s);
	return MAX(s.total / 8, 256ul);
}

void cow_io_init(struct cow_io *io, struct cow_platform *p)
{
	*io = (struct cow_io){ .platform = p };
}

static struct cowfs_request *request_get(struct cow_io *io)
{
	struct cow_platform *p = io->platform;
	struct cowfs_request *q;

	spin_lock(&p->lock);
	while (list_empty(&p->free))
		(void)waitq_sleep(&p->change, &p->lock, SLEEP_DEVICE, KTIME_NEVER);
	q = list_first(&p->free, struct cowfs_request, node);
	list_remove(&q->node);
	p->free_count--;
	io->pending++;
	spin_unlock(&p->lock);
	q->io = io;
	return q;
}

/* Segments for as many of the blocks as go into one request: how many. */
static unsigned request_fill(struct cowfs_request *q, void *const *data, unsigned count)
{
	unsigned max = MIN(q->io->platform->device->segments_max, COW_IO_BLOCKS), n = 0, i;
	struct block_segment *s = q->segments;

	for (i = 0; i < count; i++) {
		if (i && (char *)data[i - 1] + COW_BLOCK == (char *)data[i]) {
			s[n - 1].length += COW_BLOCK;
			continue;
		}
		if (n == max)
			break;
		s[n++] = (struct block_segment){ page_of_virt(data[i]), (u64)data[i] & PAGE_MASK,
						 COW_BLOCK };
	}
	q->block.segment_count = n;
	return i;
}

/* Blocks that are written back are on account of who dirtied them; of the core's own, on current's.
 */
static void request_charge(struct block_device *d, bool write, void *const *data, unsigned n)
{
	struct account *a = NULL;
	unsigned from = 0;

	if (!write) {
		block_charge(d, BLOCK_READ, (u64)n * COW_BLOCK, current->account);
		return;
	}
	for (unsigned i = 0; i <= n; i++) {
		struct account *owner = i < n ? READ_ONCE(page_of_virt(data[i])->account) : NULL;

		if (!owner)
			owner = current->account;
		if (i && (i == n || owner != a)) {
			block_charge(d, BLOCK_WRITE, (u64)(i - from) * COW_BLOCK, a);
			from = i;
		}
		a = owner;
	}
}

void cow_io_start(struct cow_io *io, bool write, u64 addr, struct cow_page *const *pages,
		  void *const *data, unsigned count)
{
	struct block_device *d = io->platform->device;
	struct cowfs_request *q;
	unsigned n;

	for (; count; addr += n, data += n, count -= n) {
		q = request_get(io);
		n = request_fill(q, data, count);
		q->block.op = write ? BLOCK_WRITE : BLOCK_READ;
		q->block.sector = addr * SECTORS;
		q->block.segments = q->segments;
		q->block.account = current->account;
		q->block.done = request_done;
		request_charge(d, write, data, n);
		d->submit(d, &q->block);
	}
}

int cow_io_wait(struct cow_io *io)
{
	struct cow_platform *p = io->platform;

	spin_lock(&p->lock);
	while (io->pending)
		(void)waitq_sleep(&p->change, &p->lock, SLEEP_DEVICE, KTIME_NEVER);
	spin_unlock(&p->lock);
	return io->error;
}

/* One more is pending than was given, until cow_io_given(). */
void cow_io_init_then(struct cow_io *io, struct cow_platform *p, void (*then)(struct cow_io *io))
{
	*io = (struct cow_io){ .platform = p, .then = then, .pending = 1 };
}

void cow_io_given(struct cow_io *io)
{
	struct cow_platform *p = io->platform;
	bool last;

	spin_lock(&p->lock);
	last = !--io->pending;
	spin_unlock(&p->lock);
	if (last)
		io->then(io);
}

void cow_io_drain(struct cow_platform *p)
{
	spin_lock(&p->lock);
	while (p->free_count < COWFS_REQUESTS)
		(void)waitq_sleep(&p->change, &p->lock, SLEEP_DEVICE, KTIME_NEVER);
	spin_unlock(&p->lock);
}

int cow_io_flush(struct cow_platform *p)
{
	struct block_request r = { .op = BLOCK_FLUSH, .account = current->account };

	return block_do(p->device, &r) ? -EIO : 0;
}

void cow_io_discard(struct cow_platform *p, u64 addr, u64 count)
{
	u64 n;

	for (; count && !p->no_discard; addr += n, count -= n) {
		struct block_segment s = { .length = 0 };
		struct block_request r = {
			.op = BLOCK_DISCARD,
			.sector = addr * SECTORS,
			.segments = &s,
			.segment_count = 1,
			.account = current->account,
		};

		n = MIN(count, (u64)DISCARD_BLOCKS);
		s.length = n * COW_BLOCK;
		if (block_do(p->device, &r) == -EOPNOTSUPP)
			p->no_discard = true;
	}
}

/* --- the rest --- */

void cow_now(struct cow_time *t)
{
	*t = cowfs_now();
}

u64 cow_random(void)
{
	return random_u64();
}

void cow_log(struct cow_platform *p, const char *fmt, ...)
{
	char line[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	log_warn("cowfs: %s: %s\n", p->device->name, line);
}

void cow_bug(const char *file, int line, const char *what)
{
	panic("cowfs: %s:%d: %s", file, line, what);
}

void cow_resched(void)
{
	resched_point();
}
