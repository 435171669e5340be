/* SPDX-License-Identifier: MIT */
/*
 * pagecache.h - the pages of one file (struct mapping, embedded in its inode).
 *
 * The tree of pages is read under RCU and changed under mapping->lock; the tree
 * holds one reference on each page. A page found without PG_UPTODATE is being
 * read: lock it (page_lock sleeps) and look again. Truncation removes pages
 * from the tree and from every address space that maps them.
 *
 * A page belongs to the mapping while PG_CACHE is set; `mapping` and `index` are
 * cleared under mapping->lock when it is taken out. Whoever maps a page into an
 * address space looks at them under that lock (mm/fault.c), so that after
 * mapping_truncate() nobody has, or gets, a way to a page that it dropped.
 */
#ifndef MM_PAGECACHE_H
#define MM_PAGECACHE_H

#include "core/mutex.h"
#include "lib/radix.h"
#include "mm/page.h"

struct mapping;

struct mapping_ops {
	/* Fills a locked page that is not up to date: 0, -EIO. NULL: new pages are zero (tmpfs). */
	int (*read_page)(struct mapping *m, struct page *p);
	/* A page went from clean to dirty. NULL: nothing to do (tmpfs). */
	void (*dirty)(struct mapping *m, struct page *p);
	/* Length of the object in bytes now; called under mapping->lock. No page that begins at or
	 * behind it is mapped, so: set the size first, then mapping_truncate(). NULL: no end. */
	u64 (*size)(struct mapping *m);
};

struct mapping {
	struct radix pages; /* L */
	spinlock_t lock;    /* L; RANK_MAPPING */
	struct list areas;  /* L: struct vma that map this */
	const struct mapping_ops *ops;
	struct account *account; /* who pays for its pages; NULL: current's */
	void *host;		 /* the inode */
	u32 writable_maps;	 /* shared writable areas */
};

void mapping_init(struct mapping *m, const struct mapping_ops *ops, void *host);
/* All pages must have been removed (mapping_truncate(m, 0)), and no area maps it. */
void mapping_destroy(struct mapping *m);
/* The page at index, referenced, or NULL. Lock-free. Not necessarily up to date. */
struct page *mapping_find(struct mapping *m, u64 index);
/* The page at index, referenced and up to date; made (and read) if missing. -ENOMEM, -EIO. */
int mapping_get(struct mapping *m, u64 index, struct page **out);
/* As mapping_get, but a new page is not filled: for a write that covers it whole. */
int mapping_get_for_overwrite(struct mapping *m, u64 index, struct page **out);
/* Puts in a page that the caller has filled (one reference, which stays his): -EEXIST, -ENOMEM. */
int mapping_add(struct mapping *m, u64 index, struct page *p);
void mapping_dirty(struct mapping *m, struct page *p);
/* Drops all pages from `from_byte` on and zeroes the tail of the page that it cuts. */
void mapping_truncate(struct mapping *m, u64 from_byte);
/* Drops the pages of whole page range [first, last], zeroes nothing (punch hole). */
void mapping_remove_range(struct mapping *m, u64 first, u64 last);
void mapping_unmap_range(struct mapping *m, u64 first, u64 last); /* from page tables only */
/* Next index >= *index with (data) or without (hole) a page, below `end`. False: none. */
bool mapping_seek(struct mapping *m, u64 *index, u64 end, bool data);
static inline bool page_uptodate(const struct page *p)
{
	return __atomic_load_n(&p->flags, __ATOMIC_ACQUIRE) & PG_UPTODATE;
}

/* Sleeping lock on one page (PG_LOCKED): its I/O, or taking it out of the mapping. */
void page_lock(struct page *p);
bool page_trylock(struct page *p);
void page_unlock(struct page *p);

#endif
