/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of the core share. Bottom up:
 *
 *	sum.c      checksums, name hashes
 *	cache.c    blocks in memory (struct cow_buf), by address;  writeout.c: dirty ones
 *	counts.c   reference counts, free blocks, allocation
 *	block.c    pointers: reading, making writable (copy on write), dropping, sharing;
 *	           what a block points to
 *	tree.c     radix trees of blocks: files and inode tables
 *	record.c   records of an inode table, free numbers
 *	inode.c    struct cow_inode: inodes in memory
 *	orphan.c   inodes without a name: their list, their end
 *	file.c     data by blocks;  range.c: by ranges;  xattr.c: extended attributes
 *	dir.c      the B+ tree of a directory;  names.c: create, link, rename ...
 *	volume.c   volumes;  diff.c;  reap.c: dead trees
 *	commit.c   operations and commits;  log.c: the intent log
 *	super.c    format, mount, unmount
 *	check.c    fsck
 *
 * Invariants (cow_check and the tests look for them):
 *
 *  I1  A block that the last durable commit (or its log) refers to is not written, nor given
 *      to anybody.
 *
 *  I2  counts[b] is the number of pointers to b in blocks in use. A block whose count is 1
 *      belongs to the one who points to it; its children's counts do not say whether a parent
 *      is shared.
 *
 *  I3  A buffer is dirty if and only if it was born after the last seal (birth >
 *      fs->sealed_birth) or is being written by the commit under way. Dirty buffers are in the
 *      cache, found by address.
 *
 *  I4  A pointer in a clean or sealed block has the right csum; one in an open dirty block may
 *      have csum 0 if its child is dirty. The seal fills it in.
 *
 *  I5  Volume V may change a buffer in place if and only if it was born after both the last
 *      seal and the last clone of V, and is neither COW_BUF_LOGGED nor COW_BUF_SHARED:
 *      cow_buf_writable().
 *
 *  I6  An operation first makes writable all that it will touch (which may fail, and changes
 *      nothing that can be seen), then changes it (which cannot fail). So a volume is never
 *      half changed.
 *
 *  I7  fs->free counts blocks that may be allocated now; operations under way have reserved
 *      theirs. A block freed in commit n, unless it was born in n and never logged, may be
 *      allocated when n + 1 is open and n is durable.
 *
 * Locks, in order: fs->commit_lock (one committer; log writes); fs->seal_lock; volume->lock
 * (readers look, one operation writes; the seal holds those of all dirty volumes); the meta
 * volume's lock (deletions, clones, quotas take it with at most one volume's lock held, and the
 * seal); fs->counts_lock; then the spin locks of cache.c.
 */
#ifndef COWFS_INTERNAL_H
#define COWFS_INTERNAL_H

#include "fs/cowfs/cowfs.h"

/* --- blocks in memory (cache.c) --- */

struct cow_shape { /* what is in a block */
	u8 tree;   /* enum cow_tree */
	u8 level;
};

struct cow_buf {
	struct cow_fs *fs;
	u64 addr;
	u64 mirror;
	u64 birth;
	u64 csum;		/* of the bytes, if COW_BUF_SUMMED */
	struct cow_shape shape; /* constant */
	u32 flags;		/* COW_BUF_*; atomic */
	s32 refs;		/* atomic; the cache itself holds none */
	struct cow_page *page;	/* one reference */
	void *data;
	struct hlist_node hash_node; /* C: its bucket's lock */
	struct list node;   /* D: fs->dirty_lock: on fs->dirty or fs->sealed; or L: the LRU */
	struct cow_lock io; /* held for writing by who reads it from the disk */
	void *mapper;	    /* COW_BUF_MAPPED: cow_inode->private of who maps it, and where */
	u64 mapper_index;
};
#define COW_BUF_VALID	BIT(0) /* the bytes are there and were checked */
#define COW_BUF_DIRTY	BIT(1) /* the disk does not have it yet */
#define COW_BUF_SEALED	BIT(2) /* of the commit under way: bytes and csum are final */
#define COW_BUF_SUMMED	BIT(3) /* csum is that of the bytes */
#define COW_BUF_LOGGED	BIT(4) /* the log names it: bytes are final, written already */
#define COW_BUF_SHARED	BIT(5) /* two pointers in the open commit: never in place */
#define COW_BUF_MAPPED	BIT(6) /* may change through page tables until hooks->protect */
#define COW_BUF_READING BIT(7)
#define COW_BUF_ERROR	BIT(8) /* could not be read */
#define COW_BUF_HASHED	BIT(9)
#define COW_BUF_USED	BIT(10) /* since the LRU last looked */
#define COW_BUF_CAME	BIT(12) /* was read ahead; nobody looked at the sum yet */
#define COW_BUF_NEWS	BIT(11) /* a file's block of pointers: data below it may wait for a record */

struct cow_fs; /* below */
int cow_cache_init(struct cow_fs *fs);
void cow_cache_destroy(struct cow_fs *fs); /* frees all; none is referenced */
/* The valid block that p points to, counted: reads and verifies it if need be. -EIO, -ENOMEM. */
int cow_buf_read(struct cow_fs *fs, const struct cow_ptr *p, struct cow_shape s,
		 struct cow_buf **out);
/* The same in two steps, of which the first never waits, for who holds a lock: the block, counted,
 * if it is in memory or has come, else NULL; then 0, or -EIO and b is put. */
struct cow_buf *cow_buf_ready(struct cow_fs *fs, const struct cow_ptr *p);
int cow_buf_use(struct cow_buf *b, const struct cow_ptr *p, struct cow_shape s);
/* Only if it is in memory and valid; or NULL. Counted. */
struct cow_buf *cow_buf_peek(struct cow_fs *fs, u64 addr);
/* The flags of what is in memory for addr, or 0. What they say holds as long as the caller's lock
 * keeps it so. */
u32 cow_buf_flags(struct cow_fs *fs, u64 addr);
/* Begins to bring n blocks into memory, in few large requests where they lie side by side, and does
 * not wait. Errors are for cow_buf_read to find. n <= COW_PREFETCH_MAX. */
#define COW_PREFETCH_MAX 64u
void cow_buf_prefetch(struct cow_fs *fs, const struct cow_ptr *p, unsigned n, struct cow_shape s);
/* A new dirty block at an address just allocated, counted; bytes undefined unless page is given. */
int cow_buf_create(struct cow_fs *fs, u64 addr, u64 mirror, struct cow_shape s,
		   struct cow_page *page, bool charged, struct cow_buf **out);
void cow_buf_get(struct cow_buf *b);
/* The block of *p was freed: out of the cache and the dirty list; whoever holds it keeps the bytes.
 * Another one at that address (a damaged disk points there twice) stays. */
void cow_buf_forget(struct cow_fs *fs, const struct cow_ptr *p);
u64 cow_buf_csum(struct cow_buf *b); /* computes it if need be */
/* Clean, or with the sum to be looked at: to the LRU. */
void cow_buf_rest(struct cow_fs *fs, struct cow_buf *b);
/* writeout.c. The commit under way: all dirty blocks become sealed ones; they are written; they are
 * clean. */
void cow_cache_seal(struct cow_fs *fs);
void cow_cache_write(struct cow_fs *fs, struct cow_io *io);
void cow_cache_commit_done(struct cow_fs *fs);
/* Sets and clears flags. */
static inline void cow_buf_set(struct cow_buf *b, u32 flags)
{
	__atomic_or_fetch(&b->flags, flags, __ATOMIC_ACQ_REL);
}
static inline void cow_buf_clear(struct cow_buf *b, u32 flags)
{
	__atomic_and_fetch(&b->flags, ~flags, __ATOMIC_ACQ_REL);
}

/* --- counts.c --- */

struct cow_counts; /* the blocks of counts in memory */
unsigned cow_counts_levels(u64 disk_blocks);
u64 cow_counts_size(u64 disk_blocks); /* blocks that all levels take */
int cow_counts_load(struct cow_fs *fs);
void cow_counts_free(struct cow_fs *fs);
/* Loads what says the count of addr, so that the calls below cannot fail for it until the next
 * cow_op_end. Volume lock held. */
int cow_counts_touch(struct cow_fs *fs, u64 addr);
/* An address, its count 1, near `hint` (0: anywhere). -ENOSPC, -EIO, -ENOMEM. */
int cow_counts_alloc(struct cow_fs *fs, u64 hint, u64 *addr);
int cow_counts_get(struct cow_fs *fs, u64 addr, u32 *count);
void cow_counts_inc(struct cow_fs *fs, u64 addr); /* touched; count > 0 */
/* touched. The count after; at 0 the block is free: at once if `fresh` (born in the open commit,
 * never logged), else after the next commit (I7). */
u32 cow_counts_dec(struct cow_fs *fs, u64 addr, bool fresh);
/* The log replay: addr is in use from before the first allocation on. -EIO if it is already. */
int cow_counts_claim(struct cow_fs *fs, u64 addr);
/* fsck: what the disk says is wrong. Touched. */
void cow_counts_set(struct cow_fs *fs, u64 addr, u32 now);
/* Commit, all volume locks held: makes the images to be written, fills *top and *free. Cannot fail.
 */
void cow_counts_seal(struct cow_fs *fs, struct cow_count_ref *top, u64 *free);
void cow_counts_write(struct cow_fs *fs, struct cow_io *io); /* the sealed images */
void cow_counts_commit_done(struct cow_fs *fs); /* durable: what it freed may be allocated */
u64 cow_counts_pending(struct cow_fs *fs);	/* blocks that a commit would make free */

/* --- the filesystem --- */

#ifndef COW_HASH_BITS /* tests have small ones */
#define COW_HASH_BITS 14
#endif
struct cow_bucket {
	struct cow_spin lock; /* C */
	struct hlist chain;
};

struct cow_fs {
	struct cow_platform *platform;
	struct cow_super super; /* the last durable one; commit_lock */
	u32 flags;		/* COW_MOUNT_* */
	int error;		/* atomic: not 0: read-only from now on */
	bool replaying;		/* the mount: writing to a read-only one goes to memory */
	const struct cow_hooks *hooks;

	struct cow_lock commit_lock;
	struct cow_lock seal_lock; /* readers: a volume becomes dirty; writer: the seal */
	struct cow_super next;	   /* commit_lock: what the commit under way will make of super */
	u64 birth;		   /* atomic: of blocks allocated now */
	u64 sealed_birth;	   /* atomic: what is not older than this is open */
	u64 generation; /* commit_lock: of the commit that is open; super.generation + 1 or + 2 */
	u64 list_max;	/* constant: a commit of more blocks takes two flushes */
	u64 mounted_birth; /* constant: of the first blocks allocated after the mount */
	u64 epoch;	   /* atomic: counts up with each seal: cached positions are void */

	struct cow_spin dirty_lock;    /* D */
	struct list dirty, sealed;     /* D: buffers of the open commit, of the one being written */
	u64 dirty_count, sealed_count; /* D */
	u64 dirty_limit;	       /* constant: more than this, and it is time for a commit */
	bool mapped;		       /* atomic: there may be COW_BUF_MAPPED among `dirty` */
	struct list dirty_volumes;     /* D: volumes with an operation since the last seal */

	/* Two volumes may give up the same shared block at the same time, and the one that finds
	 * itself alone with it has its children: so to see that others have a block that has
	 * children, and to act on it, is one step with this lock held. A count of 1 is the holder's
	 * own and needs none. */
	struct cow_lock share_lock;
	struct cow_lock counts_lock; /* N */
	struct cow_counts *counts;   /* N */
	u64 free;		     /* N: may be allocated now */
	u64 op_reserved;	     /* N: promised to operations under way */
	u64 reserved_blocks;	     /* N: pointers with COW_ADDR_RESERVED */
	u64 emergency;		     /* constant: of free, only for what makes room */

	struct cow_volume *meta;
	struct cow_spin volumes_lock;
	struct list volumes; /* those in memory; volumes_lock */
	u64 dead_head;	     /* meta->lock */
	bool reaping;	     /* atomic: somebody is in cow_reap */

	u64 log_next; /* commit_lock: block of the log area where the next record goes */
	u64 log_sequence;

	struct cow_bucket *buckets;
	struct cow_spin lru_lock;	  /* L */
	struct list lru;		  /* L: clean blocks, oldest first */
	u64 cached;			  /* atomic */
	struct cow_bucket *inode_buckets; /* struct cow_inode, by (volume, number) */
	u64 stat_commits, stat_flushes, stat_log_records, stat_reads, stat_writes; /* atomic */
};

static inline u64 cow_load(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* After a write failed: nothing more reaches the disk. Logs it once. */
void cow_fail(struct cow_fs *fs, int error, const char *what, u64 addr);

/* --- volumes in memory --- */

/*
 * The meta volume is one of these, with id 0 and fs->super.meta as its record on disk; its blocks
 * have mirrors. It is locked after any other volume.
 */
struct cow_volume {
	struct cow_fs *fs;
	u64 id;			      /* 0: the meta volume */
	struct cow_lock lock;	      /* V */
	struct cow_volume_record rec; /* V; written to the meta volume's table by the seal */
	u64 cloned_birth;	      /* V: what is not younger was shared by a clone */
	u64 epoch;	    /* V: counts up with each clone and, seen from fs->epoch, each seal */
	bool dirty;	    /* V + D: on fs->dirty_volumes */
	bool doomed;	    /* V: deleted; empty and frozen for those who still hold it */
	bool old_orphans;   /* orphans that nobody has in memory are on its list: see tidy() */
	s32 refs;	    /* volumes_lock */
	s32 inodes_used;    /* atomic: struct cow_inode of it */
	u32 tidies, tidied; /* atomic: how often tidy() has begun and ended; it has inodes in use */
	struct list node;   /* volumes_lock */
	struct list dirty_node;	      /* D */
	u64 alloc_hint;		      /* V: where its last block went */
	u64 write_reserved;	      /* V: the operation between cow_file_write_begin and _end */
	void *account;		      /* V: what hooks->count counts in, or NULL */
	u64 told_blocks, told_inodes; /* V: how much it was told of */
};

/* I5 */
static inline bool cow_buf_writable(const struct cow_volume *v, const struct cow_buf *b)
{
	return b->birth > cow_load(&v->fs->sealed_birth) && b->birth > v->cloned_birth &&
	       !(b->flags & (COW_BUF_LOGGED | COW_BUF_SHARED));
}
/* Cached pointers to writable buffers hold while this is what it was. v->lock held. */
static inline u64 cow_volume_epoch(const struct cow_volume *v)
{
	return cow_load(&v->fs->epoch) + v->epoch;
}

/* --- operations and commits (commit.c) --- */

struct cow_op {
	struct cow_volume *volume;
	u64 reserved; /* blocks */
};
#define COW_OP_META   64u /* blocks for what any operation on names and inodes may need at worst */
#define COW_OP_FREES  BIT(0) /* it makes room: may use the emergency reserve */
#define COW_OP_NOWAIT BIT(1) /* no commit to make room: the caller holds locks */
/*
 * Takes v->lock for writing and reserves `blocks` in the filesystem and in the volume's quota; with
 * too little room, commits first (no lock is held then) and tries again. -EROFS (also: the volume
 * is frozen), -ENOSPC, -EDQUOT. Waits while too much is dirty. `cow_op_end` gives back what was not
 * used.
 */
int cow_op_begin(struct cow_volume *v, u64 blocks, u32 flags, struct cow_op *op);
void cow_op_end(struct cow_op *op);
/* The volume's count of blocks that it has over its base; from block.c only, and for promised space
 * from range.c. v->lock held for writing. */
void cow_volume_count(struct cow_volume *v, s64 blocks);
/* Its record's counts have changed: its account is told. v->lock held for writing. */
void cow_volume_tell(struct cow_volume *v);
/* As hooks->fits; 0 without an account. */
int cow_volume_fits(struct cow_volume *v, u64 blocks, u64 inodes);

/* All that was done before the call is durable when it returns: -EIO, -ENOMEM. */
int cow_commit(struct cow_fs *fs);
/* And the last superblock has an empty list. */
int cow_commit_confirmed(struct cow_fs *fs);
/* The commit under way writes these bytes there, so its superblock shall list them. */
void cow_commit_lists(struct cow_fs *fs, u64 addr, u64 csum);

/* --- pointers (block.c). v->lock held: for writing unless it says otherwise. --- */

/*
 * Makes the block behind *p writable in place and counted in *out: as it is, or as a copy at a new
 * address that *p then names (p lies in a writable buffer or in a record that the caller stores),
 * or, if there was nothing (or COW_ADDR_RESERVED), a new one: cleared. The children of a copy get a
 * reference each if the original stays in use. `page`, if not NULL, has the new bytes and is taken
 * over. On failure *p is as it was, and the page the caller's.
 */
#define COW_MAKE_WHOLE	 BIT(0) /* level 0 of a file: bytes undefined, not copied */
#define COW_MAKE_CHARGED BIT(1) /* the page is charged to the caller */
int cow_block_make_writable(struct cow_volume *v, struct cow_ptr *p, struct cow_shape s, u32 flags,
			    struct cow_page *page, struct cow_buf **out);
/*
 * Gives up the reference of *p, which becomes 0 (addr 0 and COW_ADDR_RESERVED are fine). If others
 * have the block its count falls; else it is freed, and for a level 1 its children too. A level > 1
 * is dropped like this only if others have it, and it counts for them, or it is empty:
 * cow_tree_drop works it off in steps, a deleted volume becomes a dead tree. _prepare reads and
 * touches what is needed and may fail; *held (a buffer or NULL) is what it read, and the drop, in
 * the same operation, which cannot fail, uses it up. To give up the plan, cow_buf_put(held) if it
 * is not NULL.
 */
int cow_block_drop_prepare(struct cow_volume *v, const struct cow_ptr *p, struct cow_shape s,
			   struct cow_buf **held);
void cow_block_drop(struct cow_volume *v, struct cow_ptr *p, struct cow_shape s,
		    struct cow_buf *held);
/*
 * If others have *p, too, and none of it counts for v: gives up the reference, *p is 0, true.
 * False: nobody else has it (any more), and nothing was done. Touched (cow_block_drop_prepare).
 */
bool cow_block_drop_shared(struct cow_volume *v, struct cow_ptr *p);
/* fs->reserved_blocks changes: pointers with COW_ADDR_RESERVED come or go. */
void cow_reserved_add(struct cow_fs *fs, s64 n);
/* One more pointer to the same (reflink). */
int cow_block_share(struct cow_volume *v, const struct cow_ptr *p);

/*
 * Calls fn for each pointer (addr != 0, not reserved) in a block's bytes, with the shape of what it
 * points to; stops at a non-zero answer and returns it. Bytes are not trusted: counts out of range
 * are -EIO.
 */
int cow_block_pointers(struct cow_shape s, void *data,
		       int (*fn)(void *arg, struct cow_ptr *p, struct cow_shape child), void *arg);
/* The same for one record of an inode table. */
int cow_record_pointers(union cow_record *r,
			int (*fn)(void *arg, struct cow_ptr *p, struct cow_shape child), void *arg);

/* --- radix trees (tree.c) --- */

struct cow_root { /* where a tree hangs: pointers into a record */
	struct cow_ptr *ptr;
	u8 *depth; /* tables: the low byte of rec.depth */
	u8 tree;
};
/* The pointer of leaf `index`: *out by value (addr 0: a hole). v->lock held for reading. */
int cow_tree_find(struct cow_fs *fs, const struct cow_root *r, u64 index, struct cow_ptr *out);
/* Those of leaves from `index` on, n > 0 at most, at the price of one: how many, or an error. */
int cow_tree_find_run(struct cow_fs *fs, const struct cow_root *r, u64 index, unsigned n,
		      struct cow_ptr *out);
/* Makes the path to leaf `index` writable, growing the tree if need be: *slot is its pointer,
 * inside *map (counted) or, if depth is 0, in the record itself (*map NULL). */
int cow_tree_path(struct cow_volume *v, const struct cow_root *r, u64 index, struct cow_buf **map,
		  struct cow_ptr **slot);
/* The next leaf >= *index that is not a hole: -ENOENT. v->lock held for reading. */
int cow_tree_next(struct cow_fs *fs, const struct cow_root *r, u64 *index, struct cow_ptr *out);
/*
 * Drops leaves [first, last] and blocks of pointers that become empty; a tree that loses all is
 * empty. Reserved ones too. *dropped: leaves. May stop early to keep operations short, with the
 * first leaf that is left in *next: call again from there; else *next is 0. An error may leave part
 * of it dropped; the tree and *dropped are right in any case. One call needs COW_TREE_DROP_BLOCKS.
 */
int cow_tree_drop(struct cow_volume *v, const struct cow_root *r, u64 first, u64 last, u64 *dropped,
		  u64 *next);
#define COW_TREE_PATH_BLOCKS (COW_DEPTH_MAX + 2)
#define COW_TREE_DROP_BLOCKS 28u
/* As cow_tree_path, but the depth is at least 1: the only way to a place for COW_ADDR_RESERVED. */
int cow_tree_reserve_path(struct cow_volume *v, const struct cow_root *r, u64 index,
			  struct cow_buf **map, struct cow_ptr **slot);
/*
 * The first leaf >= *index of a sort: *index and *out. Holes have no end (reserved ones are holes);
 * -ENOENT for the others. -EAGAIN: it took long; call again from *index on, perhaps after giving up
 * the lock. v->lock held for reading.
 */
enum cow_tree_want { COW_TREE_ANY, COW_TREE_DATA, COW_TREE_HOLE };
int cow_tree_search(struct cow_fs *fs, const struct cow_root *r, enum cow_tree_want want,
		    u64 *index, struct cow_ptr *out);

/* --- inode records (inode.c) --- */

static inline struct cow_root cow_file_root(struct cow_inode_record *r)
{
	return (struct cow_root){ &r->root, &r->depth, COW_TREE_FILE };
}
static inline struct cow_root cow_xattr_root(struct cow_inode_record *r)
{
	return (struct cow_root){ &r->xattr, &r->xattr_depth, COW_TREE_FILE };
}
static inline struct cow_root cow_table_root(struct cow_volume_record *r)
{
	return (struct cow_root){ &r->table, (u8 *)&r->depth, COW_TREE_TABLE };
}
/* A copy of record `ino`, whatever it is. -ENOENT: beyond the table. v->lock for reading. */
int cow_record_read(struct cow_volume *v, u64 ino, union cow_record *out);
/* And when the block that it is in was born. */
int cow_record_load(struct cow_volume *v, u64 ino, union cow_record *out, u64 *birth);
/* The record's place in a writable leaf, counted. v->lock for writing, in an operation. */
int cow_record_write(struct cow_volume *v, u64 ino, struct cow_buf **leaf, union cow_record **out);
/* A number for a new record: its place (see cow_record_write) with mode 0 and `generation` counted
 * up. Charges the volume's inode quota: -EDQUOT. Take it as the last thing that may fail. */
int cow_record_alloc(struct cow_volume *v, u64 *ino, struct cow_buf **leaf, union cow_record **out);
/* Back to the free list. The record's trees are gone already. Prepared by cow_record_write. */
void cow_record_free(struct cow_volume *v, u64 ino, union cow_record *r);
/* i->rec's place is writable after it; cow_inode_store() then copies i->rec there, which cannot
 * fail. */
int cow_inode_prepare(struct cow_inode *i);
/* i->rec.root and i->rec.xattr are right with their checksums, to be read from. v->lock for
 * reading. */
int cow_inode_sums(struct cow_inode *i);
void cow_inode_store(struct cow_inode *i, u32 how);
#define COW_STORE_DATA	0u /* sizes, times, attributes, data: the log can express it */
#define COW_STORE_NAMES 1u /* names, links, new, xattrs, holes, shared ranges: only a commit can */
/* COW_STORE_DATA, and pointers at or behind `size` were dropped. */
void cow_inode_cut(struct cow_inode *i, u64 size);
/* Is on the list of orphans from now on, or no more; i is stored. Prepare first (which needs three
 * times COW_TREE_PATH_BLOCKS); an inode that has no number yet, too. v->lock for writing. */
int cow_orphan_prepare(struct cow_inode *i);
void cow_orphan_add(struct cow_inode *i);
void cow_orphan_remove(struct cow_inode *i);
/* At the last put of an inode without links, and for those that a crash or a clone left: gives all
 * back. */
int cow_orphan_delete(struct cow_volume *v, u64 ino);
/* At the first use of a volume: orphans of before. Some at a time; 0 when there are none left. */
int cow_orphans_drop(struct cow_volume *v); /* 1: there may be more */
/* An empty inode table with a root directory. In an operation. */
int cow_table_create(struct cow_volume *v, const struct cow_new *root);
/* The table of struct cow_inode. */
int cow_inodes_init(struct cow_fs *fs);
void cow_inodes_destroy(struct cow_fs *fs);
int cow_inode_find_loaded(struct cow_volume *v, u64 ino,
			  struct cow_inode **out); /* in memory, counted; -ENOENT */
/*
 * A new inode in an operation: _alloc first (-ENOMEM), then the record (cow_record_alloc), then
 * _publish, which cannot fail: i, counted once, is what cow_inode_get(v, ino) gives from now on;
 * i->rec is stored into the record's place `r`. _discard instead, if the operation failed.
 */
int cow_inode_alloc(struct cow_volume *v, struct cow_inode **out);
void cow_inode_publish(struct cow_inode *i, u64 ino, struct cow_buf *leaf, union cow_record *r);
void cow_inode_discard(struct cow_inode *i);
/* --- between inode.c and orphan.c: --- */
/* cow_inode_get of an orphan that nobody has in memory, or not. */
int cow_inode_get_any(struct cow_volume *v, u64 ino, bool orphan, struct cow_inode **out);
int cow_inode_put_any(struct cow_inode *i); /* what the deletion said, if it was the last */
bool cow_inode_is_loaded(struct cow_volume *v, u64 ino);
/* The inode's number is free from now on. */
void cow_inode_unhash(struct cow_inode *i);
/* Sets rec.next, rec.prev (unless NULL) of `ino`, if it is in memory. */
void cow_inode_relink(struct cow_volume *v, u64 ino, const u64 *next, const u64 *prev);
/* Gives back all that an orphan has, and its number. Nobody has i but the caller. */
int cow_inode_delete(struct cow_inode *i);

/* --- file data (file.c, range.c), v->lock held for writing, the inode prepared; to be stored ---
 */

/* Block `index` writable, counted (flags: COW_MAKE_*). Up to 2 COW_TREE_PATH_BLOCKS. */
int cow_file_block(struct cow_inode *i, u64 index, u32 flags, struct cow_page *page,
		   struct cow_buf **out);
/* The place of its pointer: as cow_tree_path, but the last map is remembered. */
int cow_file_slot(struct cow_inode *i, u64 index, struct cow_buf **map, struct cow_ptr **slot);
/* The pointer: addr 0 for a hole and behind the end, also of a promise. For reading is enough. */
int cow_file_pointer(struct cow_inode *i, u64 index, struct cow_ptr *out);
/*
 * What was written through page tables behind the end, in the last block, becomes zeros: before the
 * file grows. (hooks->protect does it for what becomes durable.)
 */
void cow_file_clear_tail(struct cow_inode *i);
#define CI_MAPPED BIT(0) /* cow_inode.state: was written with COW_WRITE_MAPPED */
/* mtime and ctime, unless now is NULL. */
static inline void cow_inode_stamp(struct cow_inode *i, const struct cow_time *now)
{
	if (now)
		i->rec.mtime = i->rec.ctime = *now;
}
/* Drops what is behind the end if COW_INODE_CUT says so, which whatever makes the file longer calls
 * first. No lock held. */
int cow_file_settle(struct cow_inode *i);

/* --- directories (dir.c), v->lock held --- */

/* Where an entry is: dir's tree is writable down to it. */
struct cow_dir_place {
	struct cow_buf *leaf; /* counted */
	u64 key;
	u32 at; /* which in the leaf */
};
int cow_dir_find(struct cow_inode *dir, const char *name, size_t len,
		 struct cow_dirent *out /* no name */);
/* Room for an entry of that name: splits what must be split. -EEXIST, -ENOSPC (32768 of one hash).
 */
int cow_dir_insert_prepare(struct cow_inode *dir, const char *name, size_t len,
			   struct cow_dir_place *p);
void cow_dir_insert(struct cow_inode *dir, struct cow_dir_place *p, const char *name, size_t len,
		    u64 ino, u32 generation, u8 type);
int cow_dir_remove_prepare(struct cow_inode *dir, const char *name, size_t len,
			   struct cow_dir_place *p);
/* Empty nodes are dropped; both drop p->leaf. */
void cow_dir_remove(struct cow_inode *dir, struct cow_dir_place *p);
/* The second half of it: the key is known to be free. */
int cow_dir_path_with_room(struct cow_inode *dir, u64 key, size_t name_len,
			   struct cow_dir_place *p);
void cow_dir_place_put(struct cow_dir_place *p); /* not used after all */
/* The entry's inode is another one from now on (exchange, replace): after cow_dir_remove_prepare,
 * and like it drops p->leaf. In one operation an insertion is prepared before removals are. */
void cow_dir_replace(struct cow_dir_place *p, u64 ino, u32 generation, u8 type);

/* The first entry with a key >= key; name has COW_NAME_MAX + 1 bytes. -ENOENT. */
int cow_dir_entry_at(struct cow_inode *dir, u64 key, struct cow_dirent *out, char *name);
int cow_name_check(const char *name, size_t len); /* -EINVAL, -ENAMETOOLONG (names.c) */
int cow_dir_empty(struct cow_inode *dir);	  /* 0, -ENOTEMPTY, -EIO */

/* --- volumes (volume.c), dead trees (reap.c), differences (diff.c, dirdiff.c) --- */
/* commit_lock, and both volumes' locks for writing; one may be NULL. */
void cow_volumes_lock_two(struct cow_volume *a, struct cow_volume *b);
void cow_volumes_unlock_two(struct cow_volume *a, struct cow_volume *b);
int cow_volume_load(struct cow_fs *fs, u64 id, struct cow_volume **out);
struct cow_volume *cow_volume_alloc(struct cow_fs *fs, u64 id);
void cow_volume_free(struct cow_volume *v);
int cow_volume_names(struct cow_fs *fs, struct cow_inode **out); /* their directory, counted */
/* As cow_volume_find, without dropping its orphans. */
int cow_volume_find_untidy(struct cow_fs *fs, const char *name, size_t len,
			   struct cow_volume **out);
void cow_volumes_free(struct cow_fs *fs); /* the unmount: whoever is left */
/* Drops the orphans that were there when a volume was loaded or cloned; of all volumes in memory.
 */
void cow_volumes_tidy(struct cow_fs *fs);
/* As cow_volume_create, with the time that is to be its and its root's. */
int cow_volume_create_at(struct cow_fs *fs, const char *name, size_t len, u32 flags,
			 const struct cow_time *now, struct cow_volume **out);
/* The seal's: v->rec into the meta volume's table. */
int cow_volume_store(struct cow_volume *v);
/* Dead trees are those of deleted volumes (their record is made a dead record in place), and what
 * reap.c makes of their parts: it takes the last one, gives up one block of it, and chains that
 * block's children, so that each step is one small operation on fs->meta, and a crash between two
 * loses nothing. Works off some of them: 1 if there are more, 0, -errno. No locks held. */
int cow_reap(struct cow_fs *fs);

/* --- the log (log.c) --- */
/* commit_lock held. 1: it cannot be expressed, or there is no room: commit. */
int cow_log_fsync(struct cow_inode *i);
void cow_log_reset(struct cow_fs *fs); /* a commit is durable */
/* 1: it held something, which is now in memory, for a commit; 0: nothing; -errno. */
int cow_log_replay(struct cow_fs *fs);

#endif
