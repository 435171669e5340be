/* SPDX-License-Identifier: MIT */
/*
 * context.h - where a task stands in the file tree (root, working directory,
 * umask), shared by CLONE_FS; and the mount table of its container.
 */
#ifndef FS_CONTEXT_H
#define FS_CONTEXT_H

#include "fs/vfs.h"

/* What a container has mounted from the start, but is made when somebody gets there: mount_late.c. */
struct mount_late {
	const char *type, *options;
	u32 flags;
	const char *name;		/* of the directory in the outer one, for `inner` */
	const struct mount_late *inner; /* stands in it; NULL: nothing */
};
#define MOUNT_LATE_MAX 3

struct mount_table { /* an aspect of struct container: c->mounts */
	ref_t refs;
	struct mutex lock;  /* M; RANK_MOUNT */
	struct list mounts; /* M: in order of mounting */
	struct mount *root;
	struct owner *owner;
	u64 id;		/* never reused; mount->table_id */
	u32 count;	/* M */
	u64 generation; /* changes wake pollers of /proc/mounts */
	struct waitq changed;
	struct late_place {
		struct dentry *where; /* M: a directory of the root mount, counted; NULL: free */
		const struct mount_late *what;
	} late[MOUNT_LATE_MAX];
	bool any_late; /* there are such places, or were; constant once somebody is in it */
	u32 late_uid, late_gid; /* M: who owns their roots */
};

struct fs_context {
	ref_t refs;
	spinlock_t lock; /* guards the fields below; walkers copy under it */
	struct path root, cwd;
	u32 umask;
	struct mount_table *mounts; /* counted; constant but for join/leave */
};

int fs_context_create(struct mount_table *mt,
		      struct fs_context **out); /* root and cwd at the table's root */
int fs_context_copy(struct fs_context *from, struct fs_context **out);
struct fs_context *fs_context_get(struct fs_context *c);
void fs_context_put(struct fs_context *c);
void fs_context_root(struct fs_context *c, struct path *out); /* counted */
void fs_context_cwd(struct fs_context *c, struct path *out);

/* An empty table; then mount_table_set_root. */
int mount_table_create(struct owner *owner, struct mount_table **out);
struct mount_table *mount_table_get(struct mount_table *t);
void mount_table_put(struct mount_table *t); /* the last one unmounts all */
/* What a container sees: `dir` (a path of the creator's table) becomes its root, as a bind mount.
 */
int mount_table_set_root(struct mount_table *t, const struct path *dir);
/*
 * The ids in the files that t got as its root, so far in the terms of `old`, are in those of `map`;
 * fresh filesystems that are t's owner's belong to its root. -EPERM: some were not in those of
 * `old`. Nobody has stood in t yet. usermap.c.
 */
int mount_table_set_usermap(struct mount_table *t, struct usermap *old, struct usermap *map);
int mount_table_set_root_sb(struct mount_table *t, struct superblock *sb, const char *source);
/* In place of the root that it has, and of all that is mounted there: nobody stands in it yet. */
int mount_table_replace_root_sb(struct mount_table *t, struct superblock *sb, const char *source);
/*
 * t, empty, gets clones of the cowfs volumes that `of` sees, as of now, mounted as they are there.
 * -EOPNOTSUPP: its root is not on cowfs. -ENOSPC, -ENOMEM, -EROFS, -EIO. base: NULL, or gets what
 * the root volume was cloned from: a frozen volume that goes with *base, a superblock, counted.
 */
struct superblock;
int mount_table_set_root_view(struct mount_table *t, struct fs_context *of,
			      struct superblock **base);
/*
 * t, empty, gets as its root a clone of the volume `name` of the disk that `of` has its root on;
 * *base is that volume. -EOPNOTSUPP: the root is not on cowfs; -ENOENT; -EINVAL: it is not frozen.
 */
int mount_table_set_root_image(struct mount_table *t, struct fs_context *of, const char *name,
			       struct superblock **base);
/*
 * The same with the volume `name` itself, which nobody else has mounted (-EBUSY); *base is the
 * frozen volume that it was cloned from, or NULL.
 */
int mount_table_set_root_volume(struct mount_table *t, struct fs_context *of, const char *name,
				struct superblock **base);
/* Mounts a new instance of a filesystem at a path inside t, which need not be current's. */
int mount_at(struct mount_table *t, const struct path *where, const char *type, const char *source,
	     u32 flags, const char *data);
/* The same, at once or when somebody gets there. Nobody stands in t yet. `what` is constant. */
int mount_late(struct mount_table *t, const struct path *where, const struct mount_late *what);
/* All that t has, before they are listed: -ENOMEM. */
int mount_late_make_all(struct mount_table *t);
/* Looks a path up inside t as its root would (for setting up a container). */
/* As a bind mount by somebody outside: what `flags` (MS_RDONLY) forbids stays forbidden inside. */
int mount_bind_into(struct mount_table *t, const struct path *from, const struct path *where,
		    u32 flags, struct usermap *map);
int mount_table_lookup(struct mount_table *t, const char *name, struct path *out);
/* The mount that stands on (m, d) in m's table, or NULL. RCU. */
struct mount *mount_lookup(struct mount *m, struct dentry *d);
extern struct mount_table *host_mounts;

#define MS_RDONLY      1
#define MS_NOSUID      2
#define MS_NODEV       4
#define MS_NOEXEC      8
#define MS_SYNCHRONOUS 16
#define MS_REMOUNT     32
#define MS_MANDLOCK    64
#define MS_DIRSYNC     128
#define MS_NOSYMFOLLOW 256
#define MS_NOATIME     1024
#define MS_NODIRATIME  2048
#define MS_BIND	       4096
#define MS_MOVE	       8192
#define MS_REC	       16384
#define MS_SILENT      32768
#define MS_UNBINDABLE  (1 << 17)
#define MS_PRIVATE     (1 << 18)
#define MS_SLAVE       (1 << 19)
#define MS_SHARED      (1 << 20)
#define MS_RELATIME    (1 << 21)
#define MS_STRICTATIME (1 << 24)
#define MS_LAZYTIME    (1 << 25)

#endif
