/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of fs/ share among themselves: names from user
 * space, the walk, the name cache's inner functions.
 */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/rlimit.h"
#include "core/task.h"
#include "fs/context.h"
#include "fs/fdtable.h"
#include "fs/uio.h"
#include "fs/vfs.h"
#include "lib/hash.h"
#include "lib/string.h"
#include "mm/slab.h"

/* --- names from user space: short ones stay on the stack --- */
#define NAME_SMALL 128
struct name_buf {
	char *text;
	char small[NAME_SMALL];
};
char *name_alloc(void); /* PATH_MAX bytes, for name_put(); NULL */
int name_fetch(struct name_buf *b, uaddr_t name, bool empty_ok); /* -EFAULT, -ENOENT, ... */
static inline void name_drop(struct name_buf *b)
{
	if (unlikely(b->text != b->small))
		name_put(b->text);
}

/* --- the name cache (dentry.c) --- */
/*
 * The hash of a name takes 8 bytes a step, the last ones padded with zeros. A
 * step is a bijection of the bytes, so names of up to 8 bytes whose length and
 * hash are equal are equal.
 */
#define HASH_STEP(h, word) (((h) ^ (word)) * 0x9e3779b97f4a7c15ull)
#define HASH_WHOLE_NAME	   8
u64 dentry_hash_name(const char *name, size_t len);
/* Under RCU: the dentry and its seq, or NULL (which may be wrong during a rename). */
struct dentry *dentry_find_rcu(struct dentry *dir, const char *name, u32 len, u64 hash, u32 *seq);
/* Counted, or NULL: exact. */
struct dentry *dentry_find(struct dentry *dir, const char *name, u32 len, u64 hash);
/* The same with ops->lookup where the cache does not know; dir's inode lock is held. */
int dentry_lookup_locked(struct dentry *dir, const char *name, u32 len, u64 hash,
			 struct dentry **out);
/* A new negative dentry, in no table: -ENOMEM. */
int dentry_alloc(struct dentry *dir, const char *name, u32 len, u64 hash, struct dentry **out);
int dentry_alloc_nameless(struct superblock *sb, struct inode *i, const char *static_name,
			  struct dentry **out);		   /* takes over i's reference on success */
void dentry_move(struct dentry *d, struct dentry *target); /* d takes target's place and name */
void dentry_exchange(struct dentry *a, struct dentry *b);
bool dentry_is_below(const struct dentry *d, const struct dentry *top); /* or the same; RCU */
bool dentry_get_live(struct dentry *d, u32 seq); /* under RCU: counts d if seq still holds */
extern u32 dentry_moves;			 /* renames so far; atomic */
/* What the LRU needs of the cache: takes d off its chain and its parent's list, says whether it was
 * there; lets go of what it holds at a count of zero (its parent is to be put, or NULL); who pays.
 */
bool dentry_hash_remove(struct dentry *d);
struct dentry *dentry_release(struct dentry *d);
struct account *dentry_account(const struct dentry *d);
void dentry_init(void);
/* --- which names are forgotten (dentry_lru.c) --- */
void dentry_lru_add(struct dentry *d); /* hashed; nothing for a pinned one */
void dentry_lru_remove(struct dentry *d);
/* Before names are looked up that may be new, no lock held: so that the cache does not grow when
 * memory is short, nor into the last of what current's container may use. */
void dentry_make_room(void);
/* -ENOMEM with no lock held: forgets names that current's account pays for: did it? May sleep. */
bool dentry_shrink_own(void);
/* Memory is short, and others give up some of what they keep: so does the cache, one in `part`. */
void dentry_forget_part(unsigned part);
void dentry_lru_init(void);
void inode_init(void);
void mount_init(void);
void file_init(void);
void device_init(void);
void locks_init(void);
void namei_init(void);

static inline u32 dentry_seq(const struct dentry *d)
{
	return __atomic_load_n(&d->seq, __ATOMIC_ACQUIRE) & ~1u;
}
static inline bool dentry_changed(const struct dentry *d, u32 seq)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return READ_ONCE(d->seq) != seq;
}

/* --- the walk (namei.c) --- */
enum last_type { LAST_NAME, LAST_DOT, LAST_DOTDOT, LAST_NONE };

struct walk {
	struct path path;    /* where it stands: counted unless rcu */
	struct inode *inode; /* of path.dentry; NULL: negative */
	u32 seq;	     /* rcu: of path.dentry */
	bool rcu;
	bool trailing; /* a slash follows the last component: it must be a directory */
	u8 links;      /* symbolic links followed */
	u8 depth;      /* of the stack */
	enum last_type type;
	u32 flags; /* LOOKUP_* */
	u32 last_len;
	u64 last_hash;
	const char *last;	    /* the component not yet walked */
	const char *rest;	    /* the string being read */
	struct path root;	    /* not counted: fs->root cannot go away during a call... */
	struct path root_hold;	    /* ... except when the context is shared: then this holds it */
	struct mount_table *mounts; /* it stays in; as w->root */
	struct fd_ref dir;	    /* the directory descriptor */
	struct {
		const char *rest;
		char *text; /* a copy to free, or NULL */
	} stack[SYMLINK_LIMIT];
};

/* For a walk that stands on d, of t's root mount: 1, something stands there now; 0; -ENOMEM. */
int mount_late_make(struct mount_table *t, struct dentry *d);
/*
 * walk_begin; walk_parent (all but the last component); then walk_last, which
 * says 1 if it met a link that it now stands before: go on with walk_parent.
 * -ECHILD: the cache alone cannot answer; walk_end, and again with rcu false.
 */
int walk_begin(struct walk *w, int dirfd, const char *name, u32 flags, bool rcu);
int walk_begin_from(struct walk *w, struct fs_context *fs, int dirfd, const char *name, u32 flags,
		    bool rcu);
int walk_parent(struct walk *w);
int walk_last(struct walk *w, bool follow);
int walk_count(struct walk *w); /* leaves RCU mode, counting path: 0 or -ECHILD */
void walk_end(struct walk *w);
/* All of it, with the rules for the end applied; in RCU mode it may stay there. */
int walk_to_end(struct walk *w);
int walk_parent_counted(struct walk *w, int dirfd, const char *name);
/* Both modes in turn: on success the walk stands at the end; RCU mode if it could. */
int walk_path(struct walk *w, int dirfd, const char *name, u32 flags);

/* As path_lookup, for another root and mount table than current's. */
int path_lookup_from(struct fs_context *fs, int dirfd, const char *name, u32 flags,
		     struct path *out);

/* --- small things --- */
static inline bool mode_is_device(u32 mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}
static inline u32 fs_umask(void)
{
	return current->fs ? current->fs->umask : 0;
}
int mount_want_write(const struct mount *m); /* 0 or -EROFS */
int inode_get_write(struct inode *i);	     /* one more writer: -ETXTBSY */
void inode_put_write(struct inode *i);
int inode_may_create(const struct usermap *map, struct inode *dir); /* write and search, not dead */
int inode_may_add(const struct usermap *map,
		  struct inode *dir);		     /* the same, for what gets no name */
int inode_setattr(struct inode *i, struct iattr *a); /* under i->lock; checked; times filled in */
int inode_truncate(struct inode *i, u64 size);	     /* takes i->lock; checks limits */
int inode_remove_suid(struct inode *i);		     /* on write or chown; under i->lock */
void file_accessed(struct file *f);		     /* atime by the mount's rules */
void inode_accessed(const struct mount *m, struct inode *i);
int inode_getattr(struct inode *i, struct kstat *st);
/* Opens p, whose references pass to the file (or are put). */
int file_open_take(struct path *p, int flags, struct file **out);
/* The same in two steps, of which the second needs no memory for the file: who makes a file on the
 * disk reserves first. -ENFILE: files.max (what man 2 open says of a limit of the system). -ENOMEM
 */
int file_reserve(struct file **out);
void file_unreserve(struct file *f);
int file_open_reserved(struct file *f, struct path *p, int flags, struct file **out);
/* The page of a file at index, counted and up to date; made if missing: -ENOSPC, -ENOMEM, -EIO. */
int inode_page(struct inode *i, u64 index, struct page **out);
s64 file_size_limit(struct inode *i, u64 pos, u64 *n);
void locks_close(struct file *f, struct fd_table *t); /* close(2): POSIX locks of t on f's inode */
void locks_release(struct file *f);		      /* the last reference: flock and OFD locks */
int path_lookup_either(int dirfd, uaddr_t name, int flags, int allowed, struct path *out);
extern struct mount *anon_mount;
struct fs_context *fs_context_here(void); /* current's, or the kernel's own */

#endif
