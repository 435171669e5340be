/* SPDX-License-Identifier: MIT */
/*
 * format.h - cowfs on disk, to the byte. All numbers are little endian; all
 * structures have their natural alignment and no hidden padding.
 *
 * The disk is an array of blocks of 4 KiB:
 *
 *	0, 1          superblock slots A and B, of which the one with the higher
 *	              generation is the filesystem, if what it lists is there
 *	2             the intent log: log_blocks blocks, used from the front
 *	counts_start  reference counts: a static tree, two slots for each block of it
 *	data_start    everything else, allocated
 *	blocks-2, -1  copies of the slots A and B
 *
 * All that is allocated is trees of blocks. A pointer (struct cow_ptr) carries
 * the checksum of what it points to, so the superblock vouches for all. A block
 * that a commit has made durable is never written again while it is in use.
 *
 *	superblock --> meta volume: an inode table whose records are volumes, the
 *	               directory of their names (inode 1), and dead trees
 *	volume     --> an inode table: a radix tree, 16 records of 256 bytes a leaf
 *	inode      --> file: a radix tree of data blocks, by index
 *	               directory: a B+ tree of entries, by key (see cow_dirent)
 *	               and a second file, its extended attributes
 *
 * A tree of depth d has its root pointer in a record; the block there is at level d, leaves are at
 * level 0. A tree without blocks has a root pointer whose addr is 0.
 */
#ifndef COWFS_FORMAT_H
#define COWFS_FORMAT_H

#include "lib/types.h"

#define COW_MAGIC	0x7366776f632d6b73ull /* the bytes "sk-cowfs" */
#define COW_VERSION	1u
#define COW_BLOCK	4096u
#define COW_BLOCK_SHIFT 12

/* --- pointers --- */

struct cow_ptr {
	u64 addr;   /* block number; 0: nothing (a hole); COW_ADDR_RESERVED */
	u64 mirror; /* a second copy of the block, or 0: blocks of the meta volume's table have one
		     */
	u64 birth;  /* when the block was allocated: cow_super.birth at that time */
	u64 csum;   /* cow_checksum() of its 4096 bytes */
};
/* In a block of pointers (level 1) of a file only: space that was promised (fallocate) and reads as
 * zeros. Counts in the superblock's reserved_blocks, in the inode's blocks, and in the volume's if
 * that block of pointers does. Other fields 0. */
#define COW_ADDR_RESERVED 1ull

/* A block of pointers: level > 0 of a file or of an inode table. */
#define COW_FANOUT	 128u
#define COW_FANOUT_SHIFT 7
struct cow_map {
	struct cow_ptr ptr[COW_FANOUT];
};

/* What kind of tree a block belongs to; with its level that says what is in it. */
enum cow_tree {
	COW_TREE_FILE = 1,  /* level 0: data */
	COW_TREE_TABLE = 2, /* level 0: struct cow_inode_leaf */
	COW_TREE_DIR = 3,   /* level 0: entries; above: struct cow_dir_node */
};

/* --- inodes --- */

struct cow_time {
	s64 sec;
	u32 nsec;
	u32 zero;
};

#define COW_ROOT_INO   1ull
#define COW_DEPTH_MAX  8u	    /* of any tree */
#define COW_FILE_MAX   (1ull << 47) /* bytes: depth 5 is 128 TiB */
#define COW_INLINE_MAX 56u
#define COW_XATTR_MAX  (64u << 10) /* bytes of all extended attributes of an inode */

/* mode: POSIX's (man 7 inode). */
#define COW_S_TYPE 0170000u /* the bits that say what it is */
#define COW_S_FILE 0100000u
#define COW_S_DIR  0040000u
#define COW_S_LINK 0120000u
/* Three types of our own, in the meta volume only: */
#define COW_S_VOLUME 0030000u
#define COW_S_DEAD   0050000u /* a tree that nothing points to, to be given back */
#define COW_S_FREE   0u	      /* mode 0: a free record; `next` chains the volume's free ones */

#define COW_LINK_MAX	 65000u	     /* names of a file */
#define COW_DIR_LINK_MAX 0x7fffffffu /* nlink of a directory: 2 and one for each one in it */

/* Where one of an inode's names is, so that a path can be told without a search: the directory, and
 * the entry's key there. dir 0: not known (one of several names, which went). Directories: right.
 */
struct cow_home {
	u64 dir, key;
};

struct cow_inode_record {
	u32 mode, nlink;
	u32 uid, gid;
	u64 size;   /* bytes; a directory: entries * 1 (its number of entries) */
	u64 blocks; /* blocks of data (reserved ones too), without blocks of pointers */
	struct cow_time atime, mtime, ctime, btime;
	u64 rdev;	 /* of devices, as stat(2) has it */
	u64 next, prev;	 /* inode numbers; free records: next. Orphans (nlink 0, was open): both */
	u32 generation;	 /* how often this number was given */
	u32 flags;	 /* COW_INODE_* */
	u8 depth;	 /* of root */
	u8 xattr_depth;	 /* of xattr */
	u16 inline_size; /* a symbolic link's text is in `inline_data` if not 0 */
	u32 xattr_size;	 /* bytes in xattr */
	struct cow_ptr root;
	struct cow_ptr xattr; /* a file: see struct cow_xattr */
	union {
		u8 inline_data[COW_INLINE_MAX]; /* of symbolic links */
		struct cow_home home;		/* of all others */
	};
};
#define COW_INODE_ORPHAN BIT(0) /* on the volume's list of orphans */
/* A file was made shorter: leaves behind its end, if there are any, are to be dropped, and are not
 * there for who reads. Without it there are only reserved ones there. */
#define COW_INODE_CUT BIT(1)

/* A volume, in place of an inode, in the table of the meta volume. Its inode number is its id. */
struct cow_volume_record {
	u32 mode;  /* COW_S_VOLUME */
	u32 nlink; /* 1: it has a name */
	u32 flags; /* COW_VOLUME_* */
	u32 depth; /* of table */
	struct cow_ptr table;
	u64 next_ino;	  /* numbers from here on were never used */
	u64 free_head;	  /* inode numbers, chained by `next`; 0: none */
	u64 orphan_head;  /* 0: none */
	u64 base_birth;	  /* what was born later is the volume's own; 0: all */
	u64 used_blocks;  /* pointers of its trees to blocks with birth > base_birth, and reserved
			     ones */
	u64 quota_blocks; /* limit of used_blocks; 0: none */
	u64 inodes;	  /* in use */
	u64 base_inodes;  /* `inodes` when it was cloned */
	u64 quota_inodes; /* limit of inodes - base_inodes; 0: none */
	u64 parent;	  /* volume that it was cloned from, or 0; for people */
	struct cow_time created;
	u64 generation; /* how often this number was given */
	u64 zero[13];
};
#define COW_VOLUME_FROZEN    BIT(0) /* never changes: an image, a snapshot */
#define COW_VOLUME_TEMPORARY BIT(1) /* not after the next mount: cow_volumes_sweep() */

/* A dead tree, in the meta volume's table; chained from the superblock's dead_head, last one first.
 */
struct cow_dead_record {
	u32 mode;	/* COW_S_DEAD */
	u32 nlink;	/* 0 */
	u8 tree, level; /* of the block that ptr points to: enum cow_tree */
	u8 zero1[6];
	struct cow_ptr ptr;
	u64 next; /* inode number in the meta volume, or 0 */
	u64 zero[25];
};

#define COW_INODES_PER_LEAF 16u
union cow_record {
	u32 mode; /* which of them it is */
	struct cow_inode_record inode;
	struct cow_volume_record volume;
	struct cow_dead_record dead;
};
struct cow_inode_leaf { /* inode n is record n % 16 of leaf n / 16 */
	union cow_record record[COW_INODES_PER_LEAF];
};

/* --- directories: a B+ tree by key --- */

/*
 * key = cow_name_hash(name) & ~0x7fff | n, with n the smallest number that no entry of equal hash
 * has; never less than COW_DIR_KEY_MIN. It is the entry's position for readdir, and stays what it
 * is.
 */
#define COW_DIR_KEY_MIN	  0x8000ull
#define COW_DIR_KEY_CLASH 0x7fffull
#define COW_NAME_MAX	  255u

struct cow_dirent { /* 24 bytes and the name, rounded up to 8 */
	u64 key;
	u64 ino;
	u32 generation; /* the inode's */
	u8 type;	/* DT_* (man 3 readdir) */
	u8 zero;
	u16 name_len;
	char name[];
};
/* Level 0: entries in order of key, from offset 16 on without gaps; `count` offsets of them (u16)
 * fill the end of the block backwards: the i-th is the i-th from the end. */
struct cow_dir_leaf {
	u16 count;
	u16 used; /* bytes of entries */
	u32 zero1;
	u64 zero2;
	u8 data[COW_BLOCK - 16];
};
/* Above: children in order; the keys below child i are >= key[i] and < key[i + 1]. key[0] is 0:
 * what bounds the first child and the last is in the node above. Only a leaf at depth 0 may be
 * empty. */
#define COW_DIR_FANOUT 102u
struct cow_dir_node {
	u16 count;
	u16 zero1;
	u32 zero2;
	u64 key[COW_DIR_FANOUT];
	struct cow_ptr ptr[COW_DIR_FANOUT];
	u64 zero3;
};

/* --- extended attributes: in the file `xattr`, one behind the other, xattr_size bytes --- */
struct cow_xattr { /* 8 bytes, name, value; rounded up to 8 */
	u16 name_len;
	u16 zero;
	u32 value_len;
	char name[];
};

/* --- reference counts --- */

/*
 * counts[b] is the number of pointers to block b in blocks that are in use (a superblock's
 * included); 0: free. Blocks outside [data_start, blocks-2) have no count (1 is stored). Level 0
 * holds 1024 counts a block; a block of level n + 1 describes 256 of level n. Each block of the
 * tree has two slots on disk; who describes it says which one is valid. The superblock describes
 * the top.
 *
 * Levels lie one behind the other from counts_start on, level 0 first; block i of a level has its
 * slots at 2 * i and 2 * i + 1 of the level's place.
 */
#define COW_COUNTS_PER_BLOCK 1024u
#define COW_REFS_PER_BLOCK   256u
#define COW_COUNT_LEVELS     4u /* at most; level 3 is 64 TiB */
struct cow_count_ref {
	u64 csum;
	u32 free; /* counts of 0 below here */
	u32 slot; /* 0, 1; COW_SLOT_VIRGIN: never written, all counts are 0 */
};
#define COW_SLOT_VIRGIN 2u

/* --- the superblock --- */

/*
 * A commit of few blocks writes them and its superblock with one flush, so a crash may leave the
 * superblock without some of them. Then it does not count: its list says which they are, and what
 * their bytes must be. A list that is empty says that all was durable before.
 */
#define COW_LIST_MAX 224u
struct cow_listed {
	u64 addr; /* of data or counts */
	u64 csum;
};

struct cow_super {
	u64 magic;
	u32 version;
	u32 block_size; /* 4096 */
	u64 blocks;	/* of the disk */
	u64 generation; /* commits so far: slot A has even ones */
	u64 birth;	/* blocks of this commit are born at or before this */
	u64 log_start, log_blocks;
	u64 counts_start;
	u64 counts_levels; /* 1 to COW_COUNT_LEVELS */
	u64 data_start;
	u64 free_blocks;     /* counts of 0 */
	u64 reserved_blocks; /* pointers with COW_ADDR_RESERVED in all volumes */
	u64 dead_head;	     /* the last dead tree; 0: none */
	u64 name_seed;	     /* keys cow_name_hash() */
	u8 uuid[16];
	char label[64];
	struct cow_time created, committed;
	struct cow_count_ref counts;   /* the top */
	struct cow_volume_record meta; /* the meta volume; mode COW_S_VOLUME, no quota, no id */
	u64 listed;
	struct cow_listed list[COW_LIST_MAX]; /* zeros from `listed` on */
	u64 csum;			      /* of the bytes before it */
};

/* --- the intent log --- */

/*
 * What fsync promised since the last commit: records one behind the other, each a whole number of
 * blocks, from log_start on. A record counts if its generation is the superblock's, its sequence is
 * one more than the one before (the first is 0), and its checksum and the checksums of the data
 * blocks that it names are right; the first that does not ends the log. Replayed in order, then
 * committed; the pointers that it gives get the birth of the last commit, cow_super.birth.
 */
#define COW_LOG_MAGIC 0x676f6c776f63ull
struct cow_log_record {
	u64 magic;
	u64 generation;
	u64 sequence;
	u32 bytes; /* of the record, this header included; its blocks are padded with zeros */
	u32 count; /* of extents */
	u64 volume, ino;
	u64 trunc; /* first: pointers at or behind this byte are dropped; ~0: none */
	struct cow_inode_record inode; /* then: all but root, xattr, links and lists is set */
	u64 csum;		       /* of the record with this field 0 */
	struct cow_log_extent {
		u64 index;
		struct cow_ptr ptr;
	} extent[];
};

/* --- sums --- */

u64 cow_checksum(const void *block, size_t bytes); /* XXH64, seed 0 */
u64 cow_name_hash(u64 seed, const char *name, size_t len);

_Static_assert(sizeof(struct cow_ptr) == 32, "");
_Static_assert(sizeof(struct cow_map) == COW_BLOCK, "");
_Static_assert(sizeof(struct cow_inode_record) == 256, "");
_Static_assert(sizeof(struct cow_volume_record) == 256, "");
_Static_assert(sizeof(struct cow_dead_record) == 256, "");
_Static_assert(sizeof(struct cow_inode_leaf) == COW_BLOCK, "");
_Static_assert(sizeof(struct cow_dir_leaf) == COW_BLOCK, "");
_Static_assert(sizeof(struct cow_dir_node) == COW_BLOCK, "");
_Static_assert(sizeof(struct cow_super) == COW_BLOCK, "");

#endif
