/* SPDX-License-Identifier: MIT */
/*
 * writeout.c - the way of dirty blocks to the disk: those that a commit has sealed are sorted by
 * address, neighbours are written with one request, and when the commit is durable they rest,
 * clean, on the LRU (cache.c has the picture).
 *
 * The list of dirty buffers is guarded by fs->dirty_lock; only the committer touches that of sealed
 * ones.
 */
#include "fs/cowfs/internal.h"

#define PAUSE_STEPS 64

void cow_cache_seal(struct cow_fs *fs)
{
	struct cow_buf *b;

	cow_spin_lock(&fs->dirty_lock);
	COW_BUG_ON(!list_empty(&fs->sealed));
	list_for_each (b, &fs->dirty, node)
		cow_buf_set(b, COW_BUF_SEALED);
	list_splice(&fs->sealed, &fs->dirty);
	fs->sealed_count = fs->dirty_count;
	fs->dirty_count = 0;
	cow_spin_unlock(&fs->dirty_lock);
}

/* In loops over all that is dirty, a step each: now and then others may run. */
static void pause_at(u32 *steps)
{
	if (++*steps % PAUSE_STEPS == 0)
		cow_resched();
}

/* Merges two chains of `next` pointers, ended by NULL, in order of address. */
static struct list *merge(struct list *a, struct list *b)
{
	struct list head, *tail = &head;

	while (a && b) {
		bool first = list_entry(a, struct cow_buf, node)->addr <=
			     list_entry(b, struct cow_buf, node)->addr;
		struct list **from = first ? &a : &b;

		tail->next = *from;
		tail = *from;
		*from = (*from)->next;
	}
	tail->next = a ? a : b;
	return head.next;
}

/* Bottom-up merge sort: bins[i] holds a sorted chain of 2^i buffers, or nothing. */
static void sort_by_address(struct list *l)
{
	struct list *bins[40] = { NULL }, *all = NULL, *n, *next;
	u32 steps = 0;
	unsigned i;

	if (list_empty(l))
		return;
	l->prev->next = NULL;
	for (n = l->next; n; n = next) {
		pause_at(&steps);
		next = n->next;
		n->next = NULL;
		for (i = 0; bins[i]; i++) {
			n = merge(bins[i], n);
			bins[i] = NULL;
		}
		bins[i] = n;
	}
	for (i = 0; i < ARRAY_SIZE(bins); i++)
		all = bins[i] ? merge(bins[i], all) : all;
	list_init(l);
	for (n = all; n; n = next) {
		next = n->next;
		list_append(l, n);
	}
}

/* Consecutive blocks, gathered into one request. */
struct run {
	struct cow_fs *fs;
	struct cow_io *io;
	u64 addr;
	unsigned count;
	struct cow_page *pages[COW_IO_BLOCKS];
	void *data[COW_IO_BLOCKS];
};

static void run_end(struct run *r)
{
	if (!r->count)
		return;
	__atomic_add_fetch(&r->fs->stat_writes, 1, __ATOMIC_RELAXED);
	cow_io_start(r->io, true, r->addr, r->pages, r->data, r->count);
	r->count = 0;
}

static void run_add(struct run *r, u64 addr, struct cow_buf *b)
{
	if (r->count == COW_IO_BLOCKS || (r->count && addr != r->addr + r->count))
		run_end(r);
	if (!r->count)
		r->addr = addr;
	r->pages[r->count] = b->page;
	r->data[r->count++] = b->data;
	cow_commit_lists(r->fs, addr, cow_buf_csum(b));
}

void cow_cache_write(struct cow_fs *fs, struct cow_io *io)
{
	struct run r = { .fs = fs, .io = io };
	struct cow_buf *b;
	u32 steps = 0;

	/* only the committer touches the list of sealed buffers */
	sort_by_address(&fs->sealed);
	list_for_each (b, &fs->sealed, node) {
		if (!(b->flags & COW_BUF_LOGGED)) /* those are there */
			run_add(&r, b->addr, b);
		pause_at(&steps);
	}
	run_end(&r);
	list_for_each (b, &fs->sealed, node)
		if (b->mirror)
			run_add(&r, b->mirror, b);
	run_end(&r);
}

void cow_cache_commit_done(struct cow_fs *fs)
{
	u32 steps = 0;

	while (!list_empty(&fs->sealed)) {
		struct cow_buf *b = list_first(&fs->sealed, struct cow_buf, node);

		cow_spin_lock(&fs->dirty_lock);
		list_remove(&b->node);
		cow_spin_unlock(&fs->dirty_lock);
		cow_page_clean(b->page);
		cow_buf_rest(fs, b);
		cow_buf_clear(b, COW_BUF_DIRTY | COW_BUF_SEALED | COW_BUF_LOGGED | COW_BUF_SHARED |
					 COW_BUF_NEWS);
		pause_at(&steps);
	}
	fs->sealed_count = 0;
}
