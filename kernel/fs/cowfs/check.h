/* SPDX-License-Identifier: MIT */
/*
 * check.h - what the files of fsck share:
 *
 *	check.c         the order of it all; problems; arrays with holes
 *	check_blocks.c  the walk over everything that is in use, each block once
 *	check_counts.c  reference counts, free counts, superblocks
 *	check_names.c   a volume: directories, links, lists, what it says of itself
 *	check_repair.c  setting right
 */
#ifndef COWFS_CHECK_H
#define COWFS_CHECK_H

#include "fs/cowfs/internal.h"

/* An array with holes: entries are zeros until somebody looks. */
struct sparse {
	u64 entries; /* at most */
	u32 size;    /* of one */
	u64 chunks;
	char **chunk;
};
int sparse_init(struct sparse *a, u64 entries, u32 size);
void *sparse_get(struct sparse *a, u64 n);  /* NULL: no memory, or n is too large */
void *sparse_peek(struct sparse *a, u64 n); /* NULL: never looked at */
void sparse_free(struct sparse *a);

/* A block of the disk, as the walk found it. */
struct check_block {
	u32 refs;
	u32 tag;    /* of shape, birth, checksum: all pointers to a block agree */
	u64 leaves; /* below it: leaves of a file; entries of a directory */
};

/* An inode of the volume that is looked at. */
struct check_inode {
	u32 nlink, generation;
	u32 found;   /* entries that name it */
	u32 subdirs; /* entries in it that are directories */
	u64 next;    /* queue of directories */
	u16 mode;
	u8 state; /* SEEN_* */
};
#define SEEN_USED    BIT(0) /* the record is not free */
#define SEEN_FREE    BIT(1) /* it is, and was used once */
#define SEEN_LISTED  BIT(2) /* on the free list or on that of orphans or of dead trees */
#define SEEN_ORPHAN  BIT(3) /* says that it is one */
#define SEEN_REACHED BIT(4) /* there is a way from the root */

/* A volume that there is, in order of base_birth: so blocks are first met by who owns them. */
struct check_volume {
	u64 id;
	struct cow_volume_record rec;
	u64 own; /* pointers to blocks born after base_birth, and reserved ones */
};

struct checker {
	struct cow_fs *fs;
	struct cow_check *c;
	bool clean; /* the disk has all that memory has */
	struct sparse blocks;
	struct sparse inodes; /* of `volume` */
	struct check_volume *volumes;
	u64 volume_count, volume_room;
	u64 reserved;
	/* where the walk is; for messages */
	struct check_volume *volume; /* NULL: the meta volume */
	u64 ino;
	const char *part; /* of the inode */
	/* of `volume`: */
	u64 used_inodes, orphans, free_records, top_ino;
	bool lists_wrong, unread;
};

void check_problem(struct checker *k, const char *fmt, ...) __printf(2, 3);
void check_note(struct checker *k, const char *fmt, ...) __printf(2, 3); /* not wrong */
void check_repaired(struct checker *k, const char *fmt, ...) __printf(2, 3);
struct cow_volume_record *check_record(struct checker *k); /* of the volume at hand */
static inline u64 check_volume_id(const struct checker *k)
{
	return k->volume ? k->volume->id : 0;
}

/* check_blocks.c */
int check_walk(struct checker *k);
int check_read_raw(struct checker *k, u64 addr, struct cow_page *page, void *data);

/* check_counts.c */
int check_counts(struct checker *k);
int check_supers(struct checker *k);

/* check_names.c */
int check_names(struct checker *k);

/* check_repair.c: each sets one thing right if c->repair is set, and says so */
int repair_super(struct checker *k, u64 addr, void *data, struct cow_page *page);
int repair_count(struct checker *k, u64 addr, u32 expected);
int repair_mirror(struct checker *k, const struct cow_ptr *p, void *data, struct cow_page *page);
int repair_volume(struct checker *k, u64 used, u64 inodes);
int repair_reserved(struct checker *k);
int repair_nlink(struct checker *k, u64 ino, u32 nlink);
int repair_lists(struct checker *k);
int repair_lost(struct checker *k, u64 ino, const struct check_inode *i);
int repair_entry(struct checker *k, u64 dir, const char *name, size_t len);

#endif
