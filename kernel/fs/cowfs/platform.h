/* SPDX-License-Identifier: MIT */
/*
 * platform.h - what the core of cowfs needs from where it runs: the kernel
 * (kernel/fs/cowfs/platform.c) or a program (host/cowfs/platform.c). The core is
 * the other files of this directory but platform.c and vfs*.c; it includes
 * nothing but this, lib/ and core/errno.h.
 *
 * cowfs_types.h, found by the include path, defines for each place
 *
 *	struct cow_lock        a reader-writer lock that may sleep; readers share
 *	struct cow_spin        held for a few lines, never over a sleep
 *
 * Memory: NULL when there is none, which the core must survive at every place.
 */
#ifndef COWFS_PLATFORM_H
#define COWFS_PLATFORM_H

#include "core/errno.h"
#include "lib/list.h"
#include "lib/string.h"
#include "lib/types.h"
#include "cowfs_types.h"

struct cow_platform; /* one disk, and who it works for */
struct cow_page;     /* a page of 4 KiB: struct page in the kernel */

/* --- locks. Ranks: COW_LOCK_*, taken upwards --- */
enum cow_lock_rank {
	COW_LOCK_COMMIT, /* fs->commit_lock */
	COW_LOCK_SEAL,	 /* fs->seal_lock */
	COW_LOCK_VOLUME, /* volume->lock; several: the committer only */
	COW_LOCK_META,	 /* the meta volume's lock */
	COW_LOCK_SHARE,	 /* fs->share_lock */
	COW_LOCK_COUNTS, /* fs->counts_lock */
	COW_LOCK_IO,	 /* a block that is being read; several, by one reader */
};
void cow_lock_init(struct cow_lock *l, enum cow_lock_rank rank);
void cow_lock_read(struct cow_lock *l);
void cow_unlock_read(struct cow_lock *l);
void cow_lock_write(struct cow_lock *l);
void cow_lock_write_nested(struct cow_lock *l); /* a second one of its rank */
void cow_unlock_write(struct cow_lock *l);
bool cow_lock_write_held(const struct cow_lock *l);
/* Held for writing by nobody from now on, until somebody, perhaps an interrupt, unlocks it so. */
void cow_lock_disown(struct cow_lock *l);
void cow_unlock_disowned(struct cow_lock *l);

void cow_spin_init(struct cow_spin *l);
void cow_spin_lock(struct cow_spin *l);
void cow_spin_unlock(struct cow_spin *l);

/* --- memory --- */
void *cow_alloc(size_t bytes); /* cleared; up to 2 MiB */
void *cow_alloc_charged(
	size_t bytes);	/* the same, charged to the caller: it stays as long as he wants it */
void cow_free(void *p); /* NULL is fine */
/*
 * A page with one reference; *data is where its bytes are (not cleared). It is charged to the
 * caller if `charged`, else to nobody.
 */
struct cow_page *cow_page_alloc(struct cow_platform *p, bool charged, void **data);
void *cow_page_data(struct cow_page *page);
void cow_page_get(struct cow_page *page);
void cow_page_put(struct cow_page *page);
/* Has anybody but the core a reference (a mapping, a page table)? Then it is not evicted. */
bool cow_page_shared(const struct cow_page *page);
/* The disk has its bytes: it is charged to nobody any more. */
void cow_page_clean(struct cow_page *page);
void cow_copy_block(void *to, const void *from); /* 4096 bytes, aligned */
void cow_clear_block(void *to);

/* --- the disk --- */
u64 cow_disk_blocks(struct cow_platform *p);
bool cow_disk_read_only(struct cow_platform *p);
u64 cow_dirty_limit(struct cow_platform *p); /* how many blocks may wait in memory for a commit */
/*
 * Requests: `count` consecutive blocks from addr on, in or out of data[]/pages[]. They may be done
 * in any order; cow_io_wait() returns when all that were given to this cow_io are, with 0 or -EIO.
 * cow_io_start may wait for earlier ones. cow_io_flush: what was done before is then durable.
 * Nothing of it needs memory that may not be there.
 */
#define COW_IO_BLOCKS 64u /* in one request, at most */
struct cow_io {
	struct cow_platform *platform;
	s32 pending; /* the platform's */
	int error;   /* the first */
	void (*then)(struct cow_io *io);
};
void cow_io_init(struct cow_io *io, struct cow_platform *p);
void cow_io_start(struct cow_io *io, bool write, u64 addr, struct cow_page *const *pages,
		  void *const *data, unsigned count);
int cow_io_wait(struct cow_io *io);
/*
 * Instead of waiting: for an io of cow_io_init_then(), when no more is given to it. `then` is
 * called once, when all is done, which may be at once, or later in an interrupt: it may not sleep.
 */
void cow_io_init_then(struct cow_io *io, struct cow_platform *p, void (*then)(struct cow_io *io));
void cow_io_given(struct cow_io *io);
/* No request is under way any more, and no `then` is to come. */
void cow_io_drain(struct cow_platform *p);
int cow_io_flush(struct cow_platform *p);
/* These blocks are not in use any more: a hint. */
void cow_io_discard(struct cow_platform *p, u64 addr, u64 count);

/* --- the rest --- */
struct cow_time;
void cow_now(struct cow_time *t); /* wall clock */
u64 cow_random(void);
void cow_log(struct cow_platform *p, const char *fmt, ...)
	__printf(2, 3); /* one line, for a person */
void cow_bug(const char *file, int line, const char *what) __noreturn;
#define COW_BUG_ON(cond)                                    \
	do {                                                \
		if (unlikely(cond))                         \
			cow_bug(__FILE__, __LINE__, #cond); \
	} while (0)
/* A long loop may let others run: no lock of the core is given up, only the CPU. */
void cow_resched(void);

#endif
