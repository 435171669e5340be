/* SPDX-License-Identifier: MIT */
/*
 * pseudo.h - made-up trees (procfs, the control files, devfs): files whose text is
 * produced when they are read, directories whose entries are computed.
 *
 * A directory is described by const ops on an object (a process, a container; the
 * root's object is its superblock, not counted). Its fixed entries share its
 * object; computed ones bring their own. Dentries are checked at each walk
 * (ops->alive), so what has gone is not found again.
 */
#ifndef FS_PSEUDO_H
#define FS_PSEUDO_H

#include "fs/vfs.h"

/* Text that grows by itself (charged to current). After an error, further prints do nothing. */
struct text {
	char *buf;
	size_t len, size;
	int err; /* 0 or -ENOMEM */
};
void text_printf(struct text *t, const char *fmt, ...) __printf(2, 3);
void text_append(struct text *t, const char *s, size_t n);
void text_free(struct text *t);

struct pseudo_dir_ops;

/* The S_IFMT part of mode decides which of the other fields count. */
struct pseudo_entry {
	const char *name;
	u32 mode;
	/* S_IFREG: its text. Size 0 for stat. -errno: read fails with it. */
	int (*show)(void *object, struct text *t);
	/* S_IFREG: one write(2), NUL-terminated, without a final newline; 0 or -errno. */
	int (*store)(void *object, char *s, size_t n);
	/* S_IFREG: rights beyond the mode bits are fixed here, at open. write: opened for it. */
	int (*open)(void *object, bool write);
	/* S_IFREG, pollable: POLLPRI|POLLERR when *generation is not what the last read saw. */
	struct waitq *(*changed)(void *object, const u64 **generation);
	/* S_IFREG with its own ops: pseudo_object(f->inode) is the object. */
	const struct file_ops *file_ops;
	const struct pseudo_dir_ops *dir;		       /* S_IFDIR */
	int (*readlink)(void *object, char *buf, size_t size); /* S_IFLNK: the text */
	int (*follow)(void *object, struct path *out);	       /* S_IFLNK: jumps; counted */
	u64 rdev;					       /* S_IFCHR, S_IFBLK */
	/* Computed entries whose object is not of the directory's kind: whose get, put and alive
	 * count. */
	const struct pseudo_dir_ops *counted_by;
};

struct pseudo_dir_ops {
	const struct pseudo_entry *entries; /* ended by a NULL name; or NULL */
	/* Computed entries: fills *e (its name is not needed) and *child, counted. -ENOENT, -ENOMEM
	 */
	int (*lookup)(void *object, const char *name, size_t len, struct pseudo_entry *e,
		      void **child);
	/* The first computed entry at or after *cookie (which it sets): name and mode; false: no
	 * more. */
	bool (*next)(void *object, u64 *cookie, char *name, size_t size, u32 *mode);
	void (*get)(void *object); /* counts the object; NULL: needs no counting */
	void (*put)(void *object);
	bool (*alive)(void *object);			 /* under RCU. NULL: always */
	void (*owner)(void *object, u32 *uid, u32 *gid); /* of the inodes; NULL: root */
	void (*set_owner)(void *object, u32 uid);	 /* chown of what has owner(); or NULL */
	bool (*own)(
		void *object); /* current may search this directory whatever its mode. Under RCU */
};

#define PSEUDO_NAME_MAX 32

/* A superblock whose root directory has these ops; for fs_type->mount. */
int pseudo_mount(const struct fs_type *t, const struct pseudo_dir_ops *root, u64 magic,
		 struct superblock **out);
void *pseudo_object(const struct inode *i);
void pseudo_init(void);

#endif
