/* SPDX-License-Identifier: MIT */
/*
 * vfs.h - the objects of the file layer.
 *
 *	file -> path (mount, dentry) -> inode -> mapping (page cache)
 *
 * superblock  one mounted instance of a filesystem; counted.
 * inode       a file, whatever its names; counted; `lock` (a mutex) orders what
 *             changes it: data writes, attributes, and for a directory its entries.
 * dentry      a name in a directory, cached: dentry->inode NULL means "known not
 *             to exist". Looked up without locks under RCU; changed under the
 *             parent inode's lock plus dentry->lock. Holds its parent and inode.
 * mount       a tree of dentries placed on a dentry of another mount, in one
 *             container's mount table. A walk crosses mounts of its own table only.
 * file        an open file description (POSIX): offset, flags, ops.
 *
 * Lock order: superblock rename lock, inode->lock (parent before child; two
 * directories by ancestry, else by address), then spin locks by lockrank.h.
 */
#ifndef FS_VFS_H
#define FS_VFS_H

#include "core/mutex.h"
#include "core/owner.h"
#include "core/ref.h"
#include "core/rcu.h"
#include "core/task.h"
#include "lib/list.h"
#include "mm/pagecache.h"

struct cred;
struct dentry;
struct file;
struct inode;
struct mount;
struct dirent_sink;
struct path;
struct poll_table;
struct superblock;
struct uio;
struct vma;

/* --- mode and open flags: Linux x86-64's (man 2 open, man 7 inode) --- */
#define S_IFMT	    0170000
#define S_IFSOCK    0140000
#define S_IFLNK	    0120000
#define S_IFREG	    0100000
#define S_IFBLK	    0060000
#define S_IFDIR	    0040000
#define S_IFCHR	    0020000
#define S_IFIFO	    0010000
#define S_ISUID	    04000
#define S_ISGID	    02000
#define S_ISVTX	    01000
#define S_ISDIR(m)  (((m)&S_IFMT) == S_IFDIR)
#define S_ISREG(m)  (((m)&S_IFMT) == S_IFREG)
#define S_ISLNK(m)  (((m)&S_IFMT) == S_IFLNK)
#define S_ISCHR(m)  (((m)&S_IFMT) == S_IFCHR)
#define S_ISBLK(m)  (((m)&S_IFMT) == S_IFBLK)
#define S_ISFIFO(m) (((m)&S_IFMT) == S_IFIFO)
#define S_ISSOCK(m) (((m)&S_IFMT) == S_IFSOCK)

#define O_ACCMODE   00000003
#define O_RDONLY    00000000
#define O_WRONLY    00000001
#define O_RDWR	    00000002
#define O_CREAT	    00000100
#define O_EXCL	    00000200
#define O_NOCTTY    00000400
#define O_TRUNC	    00001000
#define O_APPEND    00002000
#define O_NONBLOCK  00004000
#define O_DSYNC	    00010000
#define FASYNC	    00020000
#define O_DIRECT    00040000
#define O_LARGEFILE 00100000
#define O_DIRECTORY 00200000
#define O_NOFOLLOW  00400000
#define O_NOATIME   01000000
#define O_CLOEXEC   02000000
#define O_SYNC	    04010000
#define O_PATH	    010000000
#define O_TMPFILE   020200000

#define AT_FDCWD	    (-100)
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_REMOVEDIR	    0x200
#define AT_EACCESS	    0x200
#define AT_SYMLINK_FOLLOW   0x400
#define AT_NO_AUTOMOUNT	    0x800
#define AT_EMPTY_PATH	    0x1000

#define PATH_MAX      4096
#define NAME_MAX      255
#define SYMLINK_LIMIT 40 /* MAXSYMLINKS of Linux: the 41st is -ELOOP */

struct timespec64 {
	s64 sec;
	s64 nsec;
};

struct iattr {	   /* what a change of attributes sets */
	u32 valid; /* ATTR_* */
	u32 mode, uid, gid;
	u64 size;
	struct timespec64 atime, mtime, ctime;
};
#define ATTR_MODE  BIT(0)
#define ATTR_UID   BIT(1)
#define ATTR_GID   BIT(2)
#define ATTR_SIZE  BIT(3)
#define ATTR_ATIME BIT(4)
#define ATTR_MTIME BIT(5)
#define ATTR_CTIME BIT(6)

struct kstat {
	u64 dev, ino, rdev, size, blocks; /* blocks of 512 bytes */
	u32 mode, nlink, uid, gid, blksize;
	struct timespec64 atime, mtime, ctime, btime;
	bool has_btime;
};

struct kstatfs { /* man 2 statfs */
	u64 type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize, flags;
};

/* --- operations: const tables; a NULL entry means what the comment says --- */

struct inode_ops {
	/* Directories; all but lookup under dir->lock. NULL: -ENOENT / -EPERM. lookup and the
	 * creators attach the inode with dentry_attach(). map: of the mount (core/usermap.h), for
	 * inode_new_owner(). */
	int (*lookup)(struct inode *dir, struct dentry *d); /* leaves d negative if there is none */
	int (*create)(const struct usermap *map, struct inode *dir, struct dentry *d, u32 mode);
	int (*link)(struct inode *target, struct inode *dir, struct dentry *d);
	int (*unlink)(struct inode *dir, struct dentry *d);
	int (*symlink)(const struct usermap *map, struct inode *dir, struct dentry *d,
		       const char *target);
	int (*mkdir)(const struct usermap *map, struct inode *dir, struct dentry *d, u32 mode);
	int (*rmdir)(struct inode *dir, struct dentry *d);
	int (*mknod)(const struct usermap *map, struct inode *dir, struct dentry *d, u32 mode,
		     u64 rdev);
	/* flags: RENAME_NOREPLACE was checked; RENAME_EXCHANGE or 0 (man 2 renameat2) */
	int (*rename)(struct inode *odir, struct dentry *od, struct inode *ndir, struct dentry *nd,
		      u32 flags);
	/* NULL: -EOPNOTSUPP */
	int (*tmpfile)(const struct usermap *map, struct inode *dir, u32 mode, struct inode **out);
	/* Symbolic links: the text, into buf (NUL-terminated). */
	int (*readlink)(struct inode *i, char *buf, size_t size);
	/* A link that jumps to an object (/proc/PID/exe); takes references. NULL: an ordinary one.
	 */
	int (*follow)(struct inode *i, struct dentry *d, struct path *out);
	int (*setattr)(struct inode *i,
		       const struct iattr *a); /* under i->lock; NULL: change the inode in memory */
	int (*getattr)(struct inode *i, struct kstat *st); /* NULL: from the inode */
	/* NULL: by mode bits. mask: MAY_* */
	int (*permission)(const struct usermap *map, struct inode *i, u32 mask);
	int (*listxattr)(struct inode *i, char *buf, size_t size, size_t *len);
	int (*getxattr)(struct inode *i, const char *name, void *buf, size_t size, size_t *len);
	int (*setxattr)(struct inode *i, const char *name, const void *v, size_t n, int flags);
	int (*removexattr)(struct inode *i, const char *name);
};
#define MAY_EXEC  1
#define MAY_WRITE 2
#define MAY_READ  4

struct file_ops {
	int (*open)(struct inode *i, struct file *f); /* NULL: fine */
	void (*release)(struct file *f);	      /* last reference gone */
	void (*flush)(struct file *f);		      /* each close(2) */
	/* Read or write at *pos (which they advance); the count, or -errno. NULL: -EINVAL. */
	s64 (*read)(struct file *f, struct uio *u, u64 *pos);
	s64 (*write)(struct file *f, struct uio *u, u64 *pos);
	s64 (*seek)(struct file *f, s64 off, int whence);   /* NULL: generic for regular files */
	u32 (*poll)(struct file *f, struct poll_table *pt); /* NULL: POLLIN|POLLOUT always */
	s64 (*ioctl)(struct file *f, u32 cmd, u64 arg);	    /* NULL: -ENOTTY */
	int (*mmap)(struct file *f, struct vma *v); /* sets v->ops (and mapping). NULL: -ENODEV */
	int (*fsync)(struct file *f, u64 start, u64 end,
		     bool data_only); /* NULL: nothing to do... */
	/* Emits entries from sink->pos (a cookie that stays valid while entries come and go);
	 * called under the directory's inode lock. */
	int (*readdir)(struct file *f, struct dirent_sink *sink);
	int (*fallocate)(struct file *f, int mode, u64 off, u64 len); /* NULL: -EOPNOTSUPP */
	/* copy_file_range: makes n bytes of `out` the same blocks as those of `in`, as far as that
	 * goes: how many. An error: they are to be copied. NULL: always. */
	s64 (*share)(struct file *in, u64 in_pos, struct file *out, u64 out_pos, u64 n);
	/* lseek's SEEK_DATA or SEEK_HOLE from *offset on. NULL: by the pages of the mapping. */
	int (*seek_data)(struct inode *i, u64 *offset, bool data);
	bool no_seek; /* pipes, sockets, ttys: -ESPIPE, and no position lock */
	bool stream_nonblock_ok;
};

struct dirent_sink {
	/* False: the buffer is full, stop (the entry was not taken). */
	bool (*emit)(struct dirent_sink *s, const char *name, size_t len, u64 ino, u32 type,
		     u64 next_cookie);
	u64 pos; /* cookie to begin at; readdir stores where it stopped */
};

struct super_ops {
	/* The last reference is gone (and, if nlink is 0, the file): free what `private` holds.
	 * The pages of own_mapping are dropped before, by the caller. NULL: nothing to do. */
	void (*evict)(struct inode *i);
	/* Before a page is added to a file: takes a block for it (-ENOSPC), and gives it back if
	 * the page could not be made. i->blocks counts after it was added. NULL: nothing is
	 * limited. */
	int (*reserve_page)(struct inode *i);
	void (*unreserve_page)(struct inode *i);
	int (*remount)(struct superblock *sb, const char *data); /* new options. NULL: none exist */
	void (*show_options)(struct superblock *sb, char *buf, size_t size); /* ",size=..." or "" */
	int (*statfs)(struct superblock *sb, struct kstatfs *st);
	void (*put_super)(struct superblock *sb);
	int (*sync)(struct superblock *sb, bool wait);
	/* False: forget this dentry (procfs). Called under RCU: must not sleep. NULL: always valid.
	 */
	bool (*revalidate)(struct dentry *d);
};

struct fs_type {
	const char *name;  /* as in mount(2) and /proc/filesystems */
	bool needs_device; /* no "nodev" in /proc/filesystems; only the host's root may mount it */
	bool device_nodes; /* device nodes in it work although a container owns it (devfs) */
	/* A superblock whose root dentry is filled in. data: the option string, or NULL. */
	int (*mount)(const struct fs_type *t, const char *source, u32 flags, const char *data,
		     struct superblock **out);
};
extern const struct fs_type
	*const fs_types[]; /* NULL-terminated; in main/filesystems.c, above all of them */

/* --- objects --- */

struct superblock {
	ref_t refs;    /* mounts */
	ref_t holders; /* of its memory: inodes, and one for refs > 0 */
	const struct fs_type *type;
	const struct super_ops *ops;
	struct dentry *root;
	struct owner *owner; /* capability checks on its inodes are against this; counted */
	u64 dev;	     /* st_dev */
	u32 flags;	     /* MS_RDONLY ... of the superblock */
	bool no_dcache_negative;
	bool dcache_complete; /* every name is in the cache, pinned: a miss is -ENOENT (tmpfs) */
	u64 next_ino;	      /* atomic */
	s64 writers;	      /* atomic: files open for writing */
	struct mutex rename_lock;
	void *private;
	struct rcu_head rcu;
};
/* For fs_type->mount: one reference, owner = current's; then set ->root (dentry_create_root). */
int superblock_create(const struct fs_type *t, const struct super_ops *ops, u32 flags,
		      struct superblock **out);
void superblock_set_owner(struct superblock *sb, struct owner *o); /* before others see it */
struct superblock *superblock_get(struct superblock *sb);
void superblock_put(struct superblock *sb); /* the last one forgets all names and calls put_super */

struct inode {
	ref_t refs;
	u32 mode;				      /* I: i->lock; read racily */
	u32 uid, gid;				      /* I; what the mount makes of them counts */
	u32 nlink;				      /* I */
	u64 ino;				      /* constant */
	u64 rdev;				      /* constant */
	u64 size;				      /* I; read with READ_ONCE */
	u64 blocks;				      /* 512-byte units held */
	struct timespec64 atime, mtime, ctime, btime; /* I */
	const struct inode_ops *ops;
	const struct file_ops *file_ops; /* for open; NULL: by type (device, fifo) or -ENXIO */
	struct superblock *sb;
	struct mutex lock;	 /* RANK_INODE */
	struct mapping *mapping; /* usually &own_mapping; NULL: none */
	struct mapping own_mapping;
	s32 writers;		  /* files open for writing; < 0: text busy (deny write). atomic */
	struct file_locks *locks; /* flock and fcntl locks; fs/locks.c */
	void *pipe_or_socket;	  /* fifo: its pipe; socket: who is bound here */
	char *link_text; /* symlink: its text if it never changes; kmalloc'ed, freed with the inode
			  */
	bool linkable;	 /* nlink is 0 but linkat may name it (O_TMPFILE) */
	u64 fs_data;	 /* the filesystem's (tmpfs directory: next cookie) */
	void *private;
	struct rcu_head rcu;
};

#define DENTRY_INLINE_NAME 32
/*
 * Being in the hash table counts as one reference, so a count of 1 on a hashed
 * dentry means "cached, unused", and 0 means that it is being freed. seq is odd
 * while name, parent or inode change: a reader under RCU compares it before and
 * after. The first 64 bytes are what a walk touches.
 */
struct dentry {
	struct hlist_node hash_node;
	struct dentry *parent; /* itself: a root. D + parent's inode lock */
	u64 hash;	       /* of the name */
	const char *name;      /* NUL-terminated; = inline_name if short */
	struct inode *inode;   /* NULL: negative */
	u32 seq;
	u32 name_len;
	u32 flags;   /* DENTRY_* */
	u32 mounted; /* mounts on top of this, in any table; mount_hash_lock */
	ref_t refs;
	spinlock_t lock; /* D; RANK_NAMECACHE */
	struct superblock *sb;
	char inline_name[DENTRY_INLINE_NAME];
	struct list child_node; /* in parent->children while hashed; D of the parent */
	struct list children;
	struct list lru; /* those that may be dropped, oldest first */
	u64 cookie;	 /* the filesystem's (tmpfs: position in the directory) */
	struct rcu_head rcu;
};
#define DENTRY_PINNED	   BIT(0) /* not on the LRU: the cache is where the name lives */
#define DENTRY_REFERENCED  BIT(1) /* used since the LRU last looked */
#define DENTRY_REVALIDATE  BIT(2) /* ask sb->ops->revalidate before use */
#define DENTRY_STATIC_NAME BIT(3) /* name is not ours to free (anonymous files) */

struct path {
	struct mount *mount;
	struct dentry *dentry;
};

struct mount {
	ref_t refs;
	struct mount_table *table; /* NULL: detached */
	struct mount *parent;	   /* NULL: the table's root */
	struct dentry *mountpoint; /* in parent */
	struct dentry *root;	   /* what is seen: of sb, or below (bind) */
	struct superblock *sb;
	u32 flags;  /* MS_RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, ... */
	u32 locked; /* MS_* that the container may not take away: set from outside */
	u32 id;
	u64 table_id;	  /* of the table it was mounted in, also after it is detached */
	s64 writers;	  /* atomic: files opened for writing through it */
	bool expire_mark; /* umount2(MNT_EXPIRE) saw it unused; any walk clears it */
	char *source;	  /* for /proc/mounts */
	/* What the ids in its files mean; NULL: themselves. Counted; constant once somebody who is
	 * in its table's container may have seen it. */
	struct usermap *usermap;
	bool of_root; /* of what the container got as its root, or a part of that: see usermap.c */
	struct hlist_node hash_node;   /* (parent, mountpoint) -> mount; RCU */
	struct list children, sibling; /* M: table->lock */
	struct list table_node;
	struct rcu_head rcu;
};

struct file {
	ref_t refs;
	u32 flags;	     /* O_*; O_APPEND, O_NONBLOCK etc. change by fcntl: F */
	u32 mode;	     /* FILE_READ, FILE_WRITE, ... constant */
	struct path path;    /* counted; dentry NULL never */
	struct inode *inode; /* = path.dentry->inode at open */
	const struct file_ops *ops;
	u64 pos;		 /* P */
	struct mutex pos_lock;	 /* P: only if shared between tasks (refs > 1) */
	spinlock_t lock;	 /* F */
	void *private;		 /* the driver's, pipe's, socket's */
	struct account *account; /* where it counts in RES_FILES; constant */
	struct list epoll_items; /* F: for epoll, later */
	union {
		struct task_callback callback; /* the final put, on the way to user mode */
		struct file *next_dead;
	};
};
#define FILE_READ  BIT(0)
#define FILE_WRITE BIT(1)
#define FILE_PATH  BIT(2) /* O_PATH */
#define FILE_EXEC  BIT(3) /* opened by exec: denies writers */

/* --- inodes and dentries (fs/inode.c, fs/dentry.c) --- */
int inode_create(struct superblock *sb, u32 mode,
		 struct inode **out); /* ids of current, times now, ino fresh: -ENOMEM */
struct inode *inode_get(struct inode *i);
void inode_put(struct inode *i);
void inode_touch(struct inode *i, u32 which); /* ATTR_ATIME|MTIME|CTIME := now */
struct timespec64 fs_now(void);
/* Copies what a->valid names into the inode: the last step of a setattr op. */
void inode_attr_copy(struct inode *i, const struct iattr *a);
/*
 * Whoever asks about a file's owner says through which mount: `map` is that mount's usermap. What
 * the owner is called in the files is i->uid; who that is, inode_uid(). ID_NONE: nobody.
 */
static inline u32 inode_uid(const struct usermap *map, const struct inode *i)
{
	return uid_to_global(map, READ_ONCE(i->uid));
}
static inline u32 inode_gid(const struct usermap *map, const struct inode *i)
{
	return gid_to_global(map, READ_ONCE(i->gid));
}
/* Do owner and group exist in current's container? Only then are its capabilities worth anything.
 */
bool inode_ids_exist(const struct usermap *map, const struct inode *i);
/* What current makes in dir, in the terms of the files: set-group-id directories hand on their
 * group. */
struct inode_owner {
	u32 mode, uid, gid;
};
struct inode_owner inode_new_owner(const struct usermap *map, const struct inode *dir, u32 mode);
/* -EACCES, -EROFS is the mount's business */
int inode_permission(const struct usermap *map, struct inode *i, u32 mask);
/* for a permission op: the mode bits */
int inode_permission_by_mode(const struct usermap *map, struct inode *i, u32 mask);
bool inode_owner_or_capable(const struct usermap *map, struct inode *i);
/* may() for a file: against the owner of its superblock; the tree that a container has as its
 * root counts as its own, and files of the users that a map of its own gives it. */
bool inode_may(const struct usermap *map, const struct inode *i, enum capability c);
/* For what Linux leaves to root of the first user namespace: never in a container with a map. */
bool inode_may_unmapped(const struct inode *i, enum capability c);
/* A directory with the sticky bit keeps current from taking i's name out of it. */
bool inode_sticky(const struct usermap *map, const struct inode *dir, const struct inode *i);

struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
/* d becomes positive: takes over the caller's reference on i. */
void dentry_attach(struct dentry *d, struct inode *i);
int dentry_create_root(struct superblock *sb, struct inode *root, struct dentry **out);
/* Finds or makes the dentry of one name (no . or ..) under dir; calls ops->lookup if it is new. */
int dentry_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **out);
void dentry_forget_tree(struct dentry *d); /* drops unreferenced descendants (umount, rmdir) */
/* The absolute path as seen from `root`, into buf: its start, or -ENAMETOOLONG; "(unreachable)"
 * prefix as getcwd. */
int path_to_string(const struct path *p, const struct path *root, char *buf, size_t size,
		   char **start);

/* Takes d out of the cache (its name is gone); whoever uses it keeps it until dentry_put. */
void dentry_unhash(struct dentry *d);

struct mount *mount_get(struct mount *m);
void mount_put(struct mount *m);
struct path path_get(struct path p);
void path_put(struct path p);

/* --- walking (fs/namei.c) --- */
#define LOOKUP_FOLLOW	 BIT(0) /* follow a final symbolic link */
#define LOOKUP_DIRECTORY BIT(1) /* -ENOTDIR otherwise */
#define LOOKUP_EMPTY	 BIT(2) /* "" means dirfd itself */
/* name: a kernel string. On success *out is referenced. */
int path_lookup(int dirfd, const char *name, u32 flags, struct path *out);
int path_lookup_user(int dirfd, uaddr_t name, u32 flags, struct path *out);
/* A path from user space, in a buffer of PATH_MAX from a cache: "" is -ENOENT unless empty_ok. */
int name_from_user(uaddr_t name, bool empty_ok, char **out);
void name_put(char *name);
/*
 * For creating: the parent (its inode's lock is then held) and the dentry of the last
 * component, with trailing-slash rules. path_create_end() unlocks and puts.
 */
int path_create_begin(int dirfd, const char *name, bool want_directory, struct path *parent,
		      struct dentry **out);
void path_create_end(struct path *parent, struct dentry *d);

/* --- open files (fs/file.c, fs/open.c) --- */
int file_open(int dirfd, const char *name, int flags, u32 mode, struct file **out);
int file_open_path(const struct path *p, int flags, struct file **out); /* permission was checked */
/* A file on an inode of its own without a name (pipes, sockets, eventfd): takes over the inode
 * reference (also when it fails). name: a string constant, for /proc/PID/fd
 * ("anon_inode:[eventfd]"; pipes and sockets are shown as "pipe:[ino]"). */
int file_create_anon(struct inode *i, const struct file_ops *ops, int flags, void *private,
		     const char *name, struct file **out);
int inode_create_anon(u32 mode, struct inode **out); /* on the internal superblock "anon_inodefs" */
bool inode_is_anon(const struct inode *i);
struct file *file_get(struct file *f);
void file_put(struct file *f);	   /* the release may run later, on the way to user mode */
void file_put_now(struct file *f); /* the release runs at once: no lock may be held */
/* Kernel reads (exec): at pos, whole n unless the file ends: bytes read or -errno. */
s64 file_read_kernel(struct file *f, void *buf, size_t n, u64 pos);
s64 file_write_kernel(struct file *f, const void *buf, size_t n, u64 *pos);
/* exec: no one may open it for writing while mapped as text: -ETXTBSY. */
int file_deny_write(struct file *f);
void file_allow_write(struct file *f);
s64 file_read(struct file *f, struct uio *u, u64 *pos); /* checks mode, limits, counts */
s64 file_write(struct file *f, struct uio *u, u64 *pos);

/* Generic parts for filesystems in the page cache. */
s64 pagecache_read(struct file *f, struct uio *u, u64 *pos);
s64 pagecache_write(struct file *f, struct uio *u, u64 *pos);
int pagecache_mmap(struct file *f, struct vma *v);
extern const struct vm_ops pagecache_vm_ops;

/* Devices: fs/device.c keeps the table (major, minor) -> ops; drivers register at init. */
int chrdev_register(u32 major, u32 minor_first, u32 minor_count, const struct file_ops *ops);
int blkdev_register(u32 major, u32 minor_first, u32 minor_count, const struct file_ops *ops);
const struct file_ops *device_file_ops(u32 mode, u64 rdev);
static inline u64 makedev(u64 major, u64 minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffull) << 12; /* new_encode_dev */
}
#define dev_major(d) ((u32)((d) >> 8 & 0xfff))
#define dev_minor(d) ((u32)(((d)&0xff) | ((d) >> 12 & 0xfff00)))

/* --- start-up --- */
void vfs_init(void);
/* Unpacks newc archives (several, concatenated, zero-padded) into /, freeing pages as it goes. */
int initramfs_unpack(paddr_t start, paddr_t end);

#endif
