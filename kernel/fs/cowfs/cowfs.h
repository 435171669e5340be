/* SPDX-License-Identifier: MIT */
/*
 * cowfs.h - what cowfs does for its users: the VFS glue (vfs*.c), the tools of the host
 * (host/cowfs/) and the tests. All functions return 0 or -errno (or a count where it says so) and
 * may sleep, unless it says otherwise; each happens whole or not at all. -EIO: the disk failed,
 * or a checksum was wrong (it is logged); -EROFS: the filesystem is read-only, or became so
 * because a write had failed, or the volume is frozen; -ENOMEM; -ENOSPC, -EDQUOT.
 *
 * Typical sequence:
 *
 *	cow_mount(disk, 0, &fs);
 *	cow_volume_find(fs, "root", 4, &v);
 *	cow_inode_get(v, COW_ROOT_INO, &dir);
 *	cow_lookup(dir, "passwd", 6, &ino);
 *	cow_inode_get(v, ino, &file);
 *	cow_file_read(file, 0, buf, n);
 *	cow_inode_put(file); ... cow_volume_put(v); cow_unmount(fs);
 *
 * Locks: each call takes its volume's lock, for reading if it only looks. The caller orders calls
 * that must not mix: in the kernel, the VFS holds inode->lock over what changes a file or a
 * directory.
 */
#ifndef COWFS_H
#define COWFS_H

#include "fs/cowfs/format.h"
#include "fs/cowfs/platform.h"

struct cow_fs;
struct cow_volume;
struct cow_buf;

/* --- the filesystem (super.c, commit.c) --- */

struct cow_format_options {
	const char *label;
	u64 blocks;	/* 0: all of the disk */
	u64 log_blocks; /* 0: a share of the disk */
	u8 uuid[16];	/* zeros: random */
	u64 name_seed;	/* 0: random */
	struct cow_time now;
};
/* An empty filesystem with one volume, "root", whose root directory is 0755, 0:0. -EINVAL: too
 * small. */
int cow_format(struct cow_platform *p, const struct cow_format_options *o);

#define COW_MOUNT_READ_ONLY BIT(0) /* the log is replayed in memory only; nothing is written */
/* Replays the log. -EINVAL: no cowfs there. Takes the same time whatever there is (but for the
 * log). */
int cow_mount(struct cow_platform *p, u32 flags, struct cow_fs **out);
/* No volume or inode is referenced any more. Commits; memory is freed in any case. */
int cow_unmount(struct cow_fs *fs);
/* All that was done before the call is durable when it returns. */
int cow_sync(struct cow_fs *fs);
/*
 * What a thread of the platform calls every few seconds (commit: what there is, or to confirm the
 * last commit, if nothing has done so yet) and when hooks->wake says so: gives back dead trees, and
 * commits if much is dirty. True: there is more to do, call again soon.
 */
bool cow_work(struct cow_fs *fs, bool commit);

struct cow_space {
	u64 blocks, free, available; /* of 4 KiB; available: without what is reserved */
	u64 inodes, inodes_free;
	u64 dirty;   /* blocks in memory that the disk does not have yet */
	u64 cached;  /* blocks in memory */
	u64 pending; /* freed, and free after the next commit */
	u64 dead;    /* trees to be given back */
	u64 commits, flushes, log_records, reads,
		writes; /* since the mount: commits and requests */
};
void cow_space(struct cow_fs *fs, struct cow_space *s);
const u8 *cow_uuid(struct cow_fs *fs);
const char *cow_label(struct cow_fs *fs);

/* Evicts up to n clean blocks that nobody uses; how many it did. Does not sleep for I/O. */
u64 cow_shrink(struct cow_fs *fs, u64 n);
/* Gives back the memory of reference counts that the disk has: how many pages. Sleeps for a commit
 * that is under way; takes the core's locks. */
u64 cow_trim(struct cow_fs *fs);

/* What the user of the core must do for it; NULL: nothing. Set right after the mount. */
struct cow_hooks {
	/* buf's page may be written through page tables (cow_file_write_begin with
	 * COW_WRITE_MAPPED): take that right away, so that its bytes stand still; then make what is
	 * behind the end of the file zeros. May not sleep for I/O, nor call back. */
	void (*protect)(struct cow_buf *buf, void *inode_private, u64 index);
	/* There is work for cow_work(). From any context but spin locks. */
	void (*wake)(struct cow_fs *fs);
	/*
	 * What volumes with an account (cow_volume_set_account) use, beside their quotas. fits: 0
	 * if so many blocks (at worst) and inodes more may be used, or -EDQUOT. count: so many
	 * more, or less, are used; cannot fail. moved:
	 * the volume comes to the account, or leaves it. Under the volume's lock.
	 */
	int (*fits)(void *account, u64 blocks, u64 inodes);
	void (*count)(void *account, s64 blocks, s64 inodes, bool moved);
};
struct cow_platform *cow_platform_of(struct cow_fs *fs);
void cow_set_hooks(struct cow_fs *fs, const struct cow_hooks *h);

/* --- volumes (volume.c) --- */

struct cow_volume_info {
	u64 id, parent;
	u32 flags; /* COW_VOLUME_* */
	char name[COW_NAME_MAX + 1];
	u64 used_blocks, quota_blocks, inodes, base_inodes, quota_inodes;
	u64 base_birth;
	struct cow_time created;
};
/* Counted: cow_volume_put. -ENOENT. */
int cow_volume_find(struct cow_fs *fs, const char *name, size_t len, struct cow_volume **out);
int cow_volume_get_id(struct cow_fs *fs, u64 id, struct cow_volume **out);
struct cow_volume *cow_volume_get(struct cow_volume *v);
void cow_volume_put(struct cow_volume *v);
u64 cow_volume_id(const struct cow_volume *v);
/* An empty one. flags: COW_VOLUME_TEMPORARY. -EEXIST, -EINVAL (name: 1 to 255 bytes, no '/', not
 * "." or ".."). */
int cow_volume_create(struct cow_fs *fs, const char *name, size_t len, u32 flags,
		      struct cow_volume **out);
/*
 * A volume with all that src holds now, sharing it: one reference count, no I/O, whatever the size.
 * flags: COW_VOLUME_*. Also of a frozen one.
 */
int cow_volume_clone(struct cow_volume *src, const char *name, size_t len, u32 flags,
		     struct cow_volume **out);
/* Takes the name away; the blocks are given back in the background once nobody holds v. -EBUSY:
 * inodes of it are in use (in the kernel: it is mounted). */
int cow_volume_delete(struct cow_fs *fs, const char *name, size_t len);
int cow_volume_rename(struct cow_fs *fs, const char *from, size_t from_len, const char *to,
		      size_t to_len);
/* The same, and it is not temporary from then on: one operation. */
int cow_volume_keep(struct cow_fs *fs, const char *from, size_t from_len, const char *to,
		    size_t to_len);
/* Deletes the temporary ones that are from before the mount and that nobody uses: what a crash
 * left. */
int cow_volumes_sweep(struct cow_fs *fs);
int cow_volume_freeze(struct cow_volume *v);
bool cow_volume_is_frozen(struct cow_volume *v);
int cow_volume_info(struct cow_volume *v, struct cow_volume_info *out);
/* The next volume in order of position; *pos 0 begins. -ENOENT: no more. */
int cow_volume_next(struct cow_fs *fs, u64 *pos, struct cow_volume_info *out);
/* What cow_space() said of the filesystem becomes what a volume may use of it: statfs(2)'s numbers.
 */
void cow_space_of_volume(struct cow_space *s, const struct cow_volume_info *v);
int cow_volume_set_quota(struct cow_volume *v, u64 blocks, u64 inodes); /* 0: none */

/*
 * From now on hooks->count tells `account` what v has over its base, at first all that it has; what
 * it told the account of before is taken back there. NULL: none. The caller counts the accounts.
 */
void cow_volume_set_account(struct cow_volume *v, void *account);
/*
 * What `b` has that differs from `a`, in order of inode numbers; costs what they do not share.
 * Changes of atime are none; a number that was given anew is REMOVED and ADDED; inodes without a
 * name are not there. old is NULL for ADDED, now for REMOVED. emit is called with no lock held and
 * may call back; what it answers, if not 0, ends it and is the result.
 */
enum cow_difference { COW_ADDED, COW_CHANGED, COW_REMOVED };
int cow_volume_diff(struct cow_volume *a, struct cow_volume *b,
		    int (*emit)(void *arg, enum cow_difference what, u64 ino,
				const struct cow_inode_record *old,
				const struct cow_inode_record *now),
		    void *arg);
/*
 * The names by which directory b differs from a (of another volume, or NULL: an empty one), in
 * order of keys; what their trees share is not read. CHANGED: it stands for another inode.
 */
struct cow_inode;
int cow_dir_diff(struct cow_inode *a, struct cow_inode *b,
		 int (*emit)(void *arg, enum cow_difference what, const char *name, size_t len,
			     u64 old_ino, u64 ino, u32 type),
		 void *arg);
/*
 * Both, as paths ("/etc/passwd"): what docker diff says. Names that came or went in a directory
 * that stayed are ADDED or REMOVED, and so are all names in new directories; a name that stands for
 * another inode, and an inode that has changed, are CHANGED. In no order of paths; a path may come
 * twice. What is in a removed directory is not told. path NULL: a changed inode whose name is not
 * known without a search: a symbolic link, or one of several names, of which one went.
 */
int cow_volume_diff_paths(struct cow_volume *a, struct cow_volume *b,
			  int (*emit)(void *arg, enum cow_difference what, u64 ino,
				      const char *path),
			  void *arg);
/* One of the paths of an inode in its volume. -ENOENT: not known without a search; -ERANGE. */
#define COW_PATH_MAX 4096u
int cow_path(struct cow_volume *v, u64 ino, char *buf, size_t size);

/* --- inodes (inode.c) --- */

/* In memory once per (volume, number). `rec` is what is on disk or will be; read it under the
 * caller's own lock, change it by calls only. */
struct cow_inode {
	struct cow_volume *volume;
	u64 ino;
	struct cow_inode_record rec;
	void *private; /* the user's */
	/* --- the core's --- */
	s32 refs;
	u32 state; /* CI_*; volume->lock */
	struct hlist_node hash_node;
	/* Not counted, and to be looked at only if the epoch is cow_volume_epoch(): volume->lock */
	struct cow_buf *leaf; /* holds its record, writable */
	u64 leaf_epoch;
	struct cow_buf *map; /* a file: the block of pointers of leaves map_first ..., writable */
	u64 map_first, map_epoch;
	/* Which commit will make its last change durable (fs->generation at the change): the sort
	 * that the log can express, and the others. An inode loaded from a dirty leaf counts as
	 * changed in both ways. */
	u64 data_generation, names_generation;
	u64 changes, logged; /* changes so far; how many of them the log has */
	u64 log_trunc;	     /* shortest size since the last commit or log record; ~0: never cut */
};

int cow_inode_get(struct cow_volume *v, u64 ino,
		  struct cow_inode **out); /* -ENOENT: free number; -ESTALE */
void cow_inode_put(struct cow_inode *i);   /* the last one of an orphan deletes it */

struct cow_attr {
	u32 valid;	    /* COW_ATTR_* */
	u32 mode, uid, gid; /* mode: permission bits only */
	struct cow_time atime, mtime, ctime;
};
#define COW_ATTR_MODE  BIT(0)
#define COW_ATTR_UID   BIT(1)
#define COW_ATTR_GID   BIT(2)
#define COW_ATTR_ATIME BIT(3)
#define COW_ATTR_MTIME BIT(4)
#define COW_ATTR_CTIME BIT(5)
int cow_setattr(struct cow_inode *i, const struct cow_attr *a);

/* --- directories (dir.c, names.c). The caller holds all inodes named. --- */

struct cow_new {	    /* of an inode to be made */
	u32 mode, uid, gid; /* with the type */
	u64 rdev;
	const char *link; /* a symbolic link's text */
	struct cow_time now;
};
int cow_lookup(struct cow_inode *dir, const char *name, size_t len, u64 *ino); /* -ENOENT */
int cow_create(struct cow_inode *dir, const char *name, size_t len, const struct cow_new *n,
	       struct cow_inode **
		       out); /* also directories, links, devices: -EEXIST, -EMLINK, -ENAMETOOLONG */
int cow_create_orphan(struct cow_inode *dir, const struct cow_new *n,
		      struct cow_inode **out); /* O_TMPFILE */
int cow_link(struct cow_inode *i, struct cow_inode *dir, const char *name, size_t len,
	     const struct cow_time *now); /* -EMLINK */
/* Files and directories (-ENOTEMPTY). i is what the name stands for. Its nlink falls; at 0 it goes
 * with the last cow_inode_put. */
int cow_unlink(struct cow_inode *dir, const char *name, size_t len, struct cow_inode *i,
	       const struct cow_time *now);
/* target: what has the name `to`, or NULL; it is replaced (-ENOTEMPTY), or exchanged. */
int cow_rename(struct cow_inode *from_dir, const char *from, size_t from_len, struct cow_inode *i,
	       struct cow_inode *to_dir, const char *to, size_t to_len, struct cow_inode *target,
	       bool exchange, const struct cow_time *now);
/* emit is called with the volume's lock held: it must not call back, nor touch memory of users.
 * Entries with key >= *pos, in order; *pos becomes the key after the last one that emit took (it
 * says false: full). "." and ".." are the caller's. */
int cow_readdir(struct cow_inode *dir, u64 *pos,
		bool (*emit)(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next),
		void *arg);
/* The directory that dir is in: needed by the glue for "..". Kept as nothing on disk: a directory's
 * parent is found by the walk that reached it, so there is no such call. */

/* --- file data (file.c). Offsets and lengths in bytes, indices in blocks. --- */

/* Any length, for tools and the kernel's own reads: bytes read or written. */
s64 cow_file_read(struct cow_inode *i, u64 offset, void *buf, u64 n);
s64 cow_file_write(struct cow_inode *i, u64 offset, const void *buf, u64 n,
		   const struct cow_time *now);

/*
 * One block, for a page cache on top: *out is counted and valid (cow_buf_put), or NULL: a hole, or
 * behind the end.
 */
int cow_file_find(struct cow_inode *i, u64 index, struct cow_buf **out);
/* Of the n blocks from index on those, up to the first that is not, that can be had without waiting
 * for the disk: how many; each in *out as above. At most COW_READY_MAX. */
#define COW_READY_MAX 16u
unsigned cow_file_find_ready(struct cow_inode *i, u64 index, unsigned n, struct cow_buf **out);
/* n blocks from index on are wanted soon: begins to read those that are not in memory. */
void cow_file_ahead(struct cow_inode *i, u64 index, u64 n);
/*
 * A block that may be written in place, counted: what was there, or zeros. It stays so until the
 * next seal or clone, which end what was begun: so the bytes are changed between _begin and _end
 * only, during which the volume's lock is held. COW_WRITE_WHOLE: the old bytes are not needed (they
 * are undefined in *out). COW_WRITE_PAGE: *page is taken over as the block's page if it is not NULL
 * (then WHOLE is meant). COW_WRITE_MAPPED: there is no _end to come; the bytes are written through
 * page tables until hooks->protect says stop. COW_WRITE_OPEN: only if the block can change where it
 * is, no copy is made of it; -EAGAIN otherwise. _end sets the size to at least `size`, and mtime
 * and ctime to *now if not NULL; the block stays the caller's to put. On failure `page` stays the
 * caller's, too.
 */
#define COW_WRITE_WHOLE	 BIT(0)
#define COW_WRITE_MAPPED BIT(1)
#define COW_WRITE_OPEN	 BIT(2)
int cow_file_write_begin(struct cow_inode *i, u64 index, u32 flags, struct cow_page *page,
			 struct cow_buf **out);
void cow_file_write_end(struct cow_inode *i, u64 size, const struct cow_time *now);
/* The next block of a write that was begun, if it can change where it is: counted, with the bytes
 * that it has. _end ends it for all; each is the caller's to put. -EAGAIN: it is begun by itself.
 */
int cow_file_write_next(struct cow_inode *i, u64 index, struct cow_buf **out);
/* Shorter: blocks are given back, the tail of the last one becomes zeros; longer: a hole. */
int cow_file_truncate(struct cow_inode *i, u64 size, const struct cow_time *now);
int cow_file_punch(struct cow_inode *i, u64 offset, u64 n, const struct cow_time *now);
/* Promises space. keep_size as fallocate(2). zero: the range then reads as zeros. */
int cow_file_allocate(struct cow_inode *i, u64 offset, u64 n, bool keep_size, bool zero,
		      const struct cow_time *now);
/* Shares blocks: offsets and n in whole blocks (but n up to src's end). Same volume: -EXDEV. */
int cow_file_clone_range(struct cow_inode *src, u64 from, struct cow_inode *dst, u64 to, u64 n,
			 const struct cow_time *now);
/* The next byte >= *offset that is data (or a hole): -ENXIO. Reserved blocks are holes. */
int cow_file_seek(struct cow_inode *i, u64 *offset, bool data);
/* Durable: by the log if it can be expressed there, else by a commit. */
int cow_fsync(struct cow_inode *i, bool data_only);
int cow_readlink(struct cow_inode *i, char *buf, size_t size); /* with a NUL: -ENAMETOOLONG */

/* --- extended attributes (xattr.c); names with their prefix. As in getxattr(2). --- */
int cow_xattr_get(struct cow_inode *i, const char *name, void *buf, size_t size,
		  size_t *len); /* -ENODATA, -ERANGE */
int cow_xattr_set(struct cow_inode *i, const char *name, const void *value, size_t n, int flags,
		  const struct cow_time *now);
int cow_xattr_remove(struct cow_inode *i, const char *name, const struct cow_time *now);
int cow_xattr_list(struct cow_inode *i, char *buf, size_t size, size_t *len);

/* --- blocks in memory --- */
void *cow_buf_data(const struct cow_buf *b);
struct cow_page *cow_buf_page(const struct cow_buf *b);
void cow_buf_put(struct cow_buf *b);

/* --- checking (check.c): fsck. No other call is under way. --- */
struct cow_check {
	void (*report)(void *arg, const char *text); /* a line for each thing that is wrong */
	void *arg;
	bool repair;
	u64 problems, repaired;
	u64 volumes, inodes, blocks; /* seen */
};
int cow_check(struct cow_fs *fs, struct cow_check *c); /* 0: it could be walked; see problems */

#endif
