/* SPDX-License-Identifier: MIT */
/*
 * model.h - what a cowfs filesystem should hold, in plain structures, and how the two are compared.
 *
 * The model is that of a filesystem in use. A `snap` is a state that the disk may have to show
 * after a crash: for each name of each volume two numbers, what only a commit makes durable (type,
 * links, attributes, text), and what fsync does by itself (content, size, owner, times). A snap is
 * compared by its digest, a sum over its names; snap_of_fs() makes one of a mounted filesystem,
 * snap_of_model() one of the model.
 */
#ifndef TESTS_COWFS_MODEL_H
#define TESTS_COWFS_MODEL_H

#include "fs/cowfs/cowfs.h"
#include "rnd.h"

struct m_block {
	u64 index;
	u8 *data;
	u64 hash; /* 0: to be computed, or all zeros */
	bool hashed;
};
struct m_xattr {
	char name[16];
	u32 len;
	u8 value[256];
};
struct m_inode {
	u64 ino;
	u32 mode, uid, gid, nlink;
	u64 size, rdev;
	struct cow_time atime, mtime, ctime;
	char *text; /* of a symbolic link */
	struct m_block *block;
	u32 blocks, block_room;
	struct m_xattr *xattr;
	u32 xattrs;
	struct m_entry *entry;
	u32 entries, entry_room;
	struct cow_inode *held; /* the test keeps it in use */
	struct m_inode *next;	/* of its volume */
};
struct m_entry {
	char name[32];
	struct m_inode *inode;
};
struct m_volume {
	char name[32];
	u64 id;
	u32 flags;
	u64 quota_blocks;
	struct m_inode *inodes; /* all with a name, or held */
	struct m_inode *root;
};
#define M_VOLUMES 8
struct model {
	struct m_volume volume[M_VOLUMES];
	u32 volumes;
};

void model_init(struct model *m, u64 root_volume_id, u32 root_mode);
void model_free(struct model *m);
/* What a mounted filesystem holds. 0 or -errno. */
int model_load(struct model *m, struct cow_fs *fs);

struct m_inode *m_inode_new(struct m_volume *v, u64 ino, u32 mode);
void m_inode_gone(struct m_volume *v, struct m_inode *i); /* if it has no name and is not held */
struct m_entry *m_find(struct m_inode *dir, const char *name);
void m_enter(struct m_inode *dir, const char *name, struct m_inode *i);
void m_remove(struct m_inode *dir, struct m_entry *e);
void m_write(struct m_inode *i, u64 offset, const void *bytes, u64 n);
void m_zero(struct m_inode *i, u64 offset, u64 n); /* blocks that are all within become holes */
void m_truncate(struct m_inode *i, u64 size);
void m_read(struct m_inode *i, u64 offset, void *out, u64 n);
/* Content and attributes as the filesystem has them now: after an operation that went half way. */
int m_reload(struct m_inode *i, struct cow_inode *from);
void m_volume_copy(struct m_volume *to, const struct m_volume *from);
void m_volume_free(struct m_volume *v);

/* --- states --- */

struct snap_name {
	u64 volume, ino;
	u64 path;      /* hash */
	u64 fixed;     /* hash of what a commit makes durable */
	u64 logged;    /* hash of what fsync does */
	char text[40]; /* end of the path, for people */
};
struct snap {
	struct snap_name *name;
	u64 names, room;
	u64 digest;
	u64 vague_volume, vague_ino; /* an inode whose `logged` is not known */
};

void snap_of_model(struct snap *s, struct model *m);
int snap_of_fs(struct snap *s, struct cow_fs *fs);
void snap_copy(struct snap *to, const struct snap *from);
/* What `from` has logged of inode (volume, ino) is in s, too. */
void snap_log(struct snap *s, const struct snap *from, u64 volume, u64 ino);
u64 snap_digest(const struct snap *s, u64 vague_volume, u64 vague_ino);
bool snap_equal(const struct snap *expected, const struct snap *found);
void snap_print_difference(const struct snap *expected, const struct snap *found);
void snap_free(struct snap *s);

#endif
