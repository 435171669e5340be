/* SPDX-License-Identifier: MIT */
/*
 * platform.c - cowfs in a program (contract: kernel/fs/cowfs/platform.h): memory and locks of libc,
 * requests done at once through the disk's table of functions.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "cowfs/disk.h"
#include "fs/cowfs/format.h"

s64 cow_platform_live;
u64 cow_platform_fail_in;
u64 cow_platform_seed;
struct cow_time cow_platform_time;
bool cow_platform_time_fixed;
static u64 fake_seconds;

/* --- locks --- */

void cow_lock_init(struct cow_lock *l, enum cow_lock_rank rank)
{
	(void)rank;
	pthread_rwlock_init(&l->rw, NULL);
	l->write_held = false;
}

void cow_lock_read(struct cow_lock *l)
{
	COW_BUG_ON(pthread_rwlock_rdlock(&l->rw));
}

void cow_unlock_read(struct cow_lock *l)
{
	pthread_rwlock_unlock(&l->rw);
}

void cow_lock_write(struct cow_lock *l)
{
	COW_BUG_ON(pthread_rwlock_wrlock(&l->rw));
	l->writer = pthread_self();
	l->write_held = true;
}

void cow_lock_write_nested(struct cow_lock *l)
{
	cow_lock_write(l);
}

void cow_unlock_write(struct cow_lock *l)
{
	l->write_held = false;
	pthread_rwlock_unlock(&l->rw);
}

/* Who unlocks it here is the one who had it. */
void cow_lock_disown(struct cow_lock *l)
{
	l->write_held = false;
}

void cow_unlock_disowned(struct cow_lock *l)
{
	pthread_rwlock_unlock(&l->rw);
}

bool cow_lock_write_held(const struct cow_lock *l)
{
	return l->write_held && pthread_equal(l->writer, pthread_self());
}

void cow_spin_init(struct cow_spin *l)
{
	pthread_mutex_init(&l->mutex, NULL);
}

void cow_spin_lock(struct cow_spin *l)
{
	pthread_mutex_lock(&l->mutex);
}

void cow_spin_unlock(struct cow_spin *l)
{
	pthread_mutex_unlock(&l->mutex);
}

/* --- memory --- */

static bool fail_now(void)
{
	return cow_platform_fail_in &&
	       __atomic_sub_fetch(&cow_platform_fail_in, 1, __ATOMIC_RELAXED) == 0;
}

void *cow_alloc(size_t bytes)
{
	void *p = fail_now() ? NULL : calloc(1, bytes);

	if (p)
		__atomic_add_fetch(&cow_platform_live, 1, __ATOMIC_RELAXED);
	return p;
}

void *cow_alloc_charged(size_t bytes)
{
	return cow_alloc(bytes);
}

void cow_free(void *p)
{
	if (p)
		__atomic_sub_fetch(&cow_platform_live, 1, __ATOMIC_RELAXED);
	free(p);
}

struct cow_page {
	s32 refs;
	void *bytes;
};

struct cow_page *cow_page_alloc(struct cow_platform *p, bool charged, void **data)
{
	struct cow_page *page = fail_now() ? NULL : malloc(sizeof(*page));

	(void)p, (void)charged;
	if (!page)
		return NULL;
	page->refs = 1;
	page->bytes = aligned_alloc(COW_BLOCK, COW_BLOCK);
	if (!page->bytes) {
		free(page);
		return NULL;
	}
	__atomic_add_fetch(&cow_platform_live, 1, __ATOMIC_RELAXED);
	*data = page->bytes;
	return page;
}

void cow_page_get(struct cow_page *page)
{
	__atomic_add_fetch(&page->refs, 1, __ATOMIC_RELAXED);
}

void cow_page_put(struct cow_page *page)
{
	s32 now = __atomic_sub_fetch(&page->refs, 1, __ATOMIC_ACQ_REL);

	COW_BUG_ON(now < 0);
	if (now)
		return;
	__atomic_sub_fetch(&cow_platform_live, 1, __ATOMIC_RELAXED);
	free(page->bytes);
	free(page);
}

void *cow_page_data(struct cow_page *page)
{
	return page->bytes;
}

bool cow_page_shared(const struct cow_page *page)
{
	return page->refs > 1;
}

void cow_page_clean(struct cow_page *page)
{
	(void)page;
}

void cow_copy_block(void *to, const void *from)
{
	memcpy(to, from, COW_BLOCK);
}

void cow_clear_block(void *to)
{
	memset(to, 0, COW_BLOCK);
}

/* --- the disk --- */

u64 cow_disk_blocks(struct cow_platform *p)
{
	return p->blocks;
}

u64 cow_dirty_limit(struct cow_platform *p)
{
	(void)p;
	return 16384;
}

bool cow_disk_read_only(struct cow_platform *p)
{
	return p->read_only;
}

void cow_io_init(struct cow_io *io, struct cow_platform *p)
{
	*io = (struct cow_io){ .platform = p };
}

void cow_io_start(struct cow_io *io, bool write, u64 addr, struct cow_page *const *pages,
		  void *const *data, unsigned count)
{
	struct cow_platform *p = io->platform;
	int err;

	(void)pages;
	if (addr >= p->blocks || count > p->blocks - addr)
		err = -EIO;
	else if (write)
		err = p->ops->write(p, addr, (const void *const *)data, count);
	else
		err = p->ops->read(p, addr, data, count);
	if (err && !io->error)
		io->error = err;
}

int cow_io_wait(struct cow_io *io)
{
	return io->error;
}

void cow_io_init_then(struct cow_io *io, struct cow_platform *p, void (*then)(struct cow_io *io))
{
	*io = (struct cow_io){ .platform = p, .then = then };
}

void cow_io_given(struct cow_io *io)
{
	io->then(io);
}

void cow_io_drain(struct cow_platform *p)
{
	(void)p;
}

int cow_io_flush(struct cow_platform *p)
{
	return p->ops->flush(p);
}

void cow_io_discard(struct cow_platform *p, u64 addr, u64 count)
{
	(void)p, (void)addr, (void)count;
}

/* --- the rest --- */

void cow_now(struct cow_time *t)
{
	struct timespec now;

	if (cow_platform_time_fixed) {
		*t = cow_platform_time;
		return;
	}
	if (cow_platform_seed) {
		*t = (struct cow_time){ .sec = ++fake_seconds };
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	*t = (struct cow_time){ .sec = now.tv_sec, .nsec = now.tv_nsec };
}

u64 cow_random(void)
{
	u64 r = 0;

	if (!cow_platform_seed) {
		COW_BUG_ON(getrandom(&r, sizeof(r), 0) != sizeof(r));
		return r;
	}
	/* splitmix64 (Steele, Lea, Flood, 2014) */
	r = cow_platform_seed += 0x9e3779b97f4a7c15ull;
	r = (r ^ r >> 30) * 0xbf58476d1ce4e5b9ull;
	r = (r ^ r >> 27) * 0x94d049bb133111ebull;
	return r ^ r >> 31;
}

void cow_log(struct cow_platform *p, const char *fmt, ...)
{
	va_list ap;

	p->log_lines++;
	if (p->quiet)
		return;
	fprintf(stderr, "cowfs: %s: ", p->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void cow_bug(const char *file, int line, const char *what)
{
	fprintf(stderr, "cowfs: %s:%d: %s: this must not be\n", file, line, what);
	abort();
}

void cow_resched(void) {}
