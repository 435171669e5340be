/* SPDX-License-Identifier: MIT */
/*
 * pagecache.h - the pages of one file (struct mapping, embedded in its inode).
 *
 * The tree of pages is read under RCU and changed under mapping->lock; it holds
 * one reference on each page. A page belongs to the mapping at an index if the
 * tree has it there: nothing in the page says so, and one page may be in several
 * trees (cowfs: a block that clones share; the zero page for a hole). All pages
 * in a tree hold the file's data.
 *
 * Whoever maps a page into an address space looks for it in the tree under that
 * lock (mm/fault.c), and whoever takes it out of the tree then takes it out of
 * the page tables. So after mapping_truncate() or mapping_replace() nobody has,
 * or gets, a way to a page that was dropped.
 *
 * A filesystem with a store of its own finds a page there without a lock of the
 * mapping, and may find an old one while somebody changes the file. So
 * `changes` counts whatever makes such a page wrong:
 *
 *	reader                            writer
 *	n = mapping_changes(m)            changes the file in the store
 *	p = what the store says           mapping_replace(m, index, new page)
 *	mapping_add_if(m, index, p, n)    (or mapping_cut, mapping_remove_range)
 *
 * PG_DIRTY on a page of an area with make_writable() means that the filesystem
 * knows that the page may be written through page tables. It is set under the
 * lock (mapping_set_writable) and taken away there (mapping_protect), and no
 * entry is made writable without it: so what mapping_protect() returned from
 * stands still until make_writable() is asked again.
 */
#ifndef MM_PAGECACHE_H
#define MM_PAGECACHE_H

#include "core/mutex.h"
#include "lib/radix.h"
#include "mm/page.h"

struct mapping;

struct mapping_ops {
	/* The tree has no page at index: brings it in, counted in *out; NULL there: a hole, which
	 * reads as zeros. -EIO, -ENOMEM. NULL: all that is missing is a hole (tmpfs). */
	int (*read_page)(struct mapping *m, u64 index, struct page **out);
	/* Length of the object in bytes now; called under mapping->lock. No page that begins at or
	 * behind it is mapped, so: set the size first, then mapping_truncate(). NULL: no end. */
	u64 (*size)(struct mapping *m);
};

struct mapping {
	struct radix pages; /* L */
	spinlock_t lock;    /* L; RANK_MAPPING */
	struct list areas;  /* L: struct vma that map this, and marks of walks (rmap.c) */
	u32 walks;	/* L: going on over areas: meanwhile none of them takes another one in */
	u32 areas_left; /* L: how often one left the list */
	const struct mapping_ops *ops;
	struct account *account; /* who pays for its pages; NULL: current's */
	void *host;		 /* the inode */
	u64 changes;		 /* L: pages that became wrong, rights that were taken */
};

void mapping_init(struct mapping *m, const struct mapping_ops *ops, void *host);
/* All pages must have been removed (mapping_truncate(m, 0)), and no area maps it. */
void mapping_destroy(struct mapping *m);
/* The page at index, referenced, or NULL. Lock-free. */
struct page *mapping_find(struct mapping *m, u64 index);
/* Does p belong to m at index? Under m->lock. */
static inline bool mapping_has(const struct mapping *m, u64 index, const struct page *p)
{
	return radix_get(&m->pages, index) == p;
}
/* The page at index, referenced; a page of zeros is made if it is missing. -ENOMEM. */
int mapping_get(struct mapping *m, u64 index, struct page **out);
/* Puts in a page that the caller has filled (one reference, which stays his): -EEXIST, -ENOMEM. */
int mapping_add(struct mapping *m, u64 index, struct page *p);
/* The same unless something changed since mapping_changes() said so: -EAGAIN. */
int mapping_add_if(struct mapping *m, u64 index, struct page *p, u64 changes);
u64 mapping_changes(const struct mapping *m);
/* p is what belongs at index from now on. What was there leaves the page tables, too. If memory is
 * short there is nothing at index afterwards. */
void mapping_replace(struct mapping *m, u64 index, struct page *p);
/* The same, and p may be mapped writable until mapping_protect(): -EAGAIN, as mapping_add_if();
 * -ENOMEM. */
int mapping_set_writable(struct mapping *m, u64 index, struct page *p, u64 changes);
/* No page table lets anybody write to p at index any more when it returns: did one, perhaps? Spins
 * only. */
bool mapping_protect(struct mapping *m, u64 index, struct page *p);
void mapping_dirty(struct page *p); /* sets PG_DIRTY */
/* Drops all pages from `from_byte` on and zeroes the tail of the page that it cuts. */
void mapping_truncate(struct mapping *m, u64 from_byte);
/* Drops all pages from `first` on, private copies of them included; zeroes nothing. */
void mapping_cut(struct mapping *m, u64 first);
/* Drops the pages of whole page range [first, last], zeroes nothing (punch hole). */
void mapping_remove_range(struct mapping *m, u64 first, u64 last);
/* Memory is short: takes about n pages out, which the filesystem has in its store, too, but none
 * with PG_DIRTY; how many. If areas map the file only if `mapped`. */
u64 mapping_shrink(struct mapping *m, u64 n, bool mapped);
/* Next index >= *index with (data) or without (hole) a page, below `end`. False: none. */
bool mapping_seek(struct mapping *m, u64 *index, u64 end, bool data);

#endif
