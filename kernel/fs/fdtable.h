/* SPDX-License-Identifier: MIT */
/*
 * fdtable.h - descriptors of a process (or of several: CLONE_FILES). Looked up
 * without locks; the array grows by doubling and the old one is freed by RCU.
 * The lowest free descriptor is found through a two-level bitmap.
 */
#ifndef FS_FDTABLE_H
#define FS_FDTABLE_H

#include "core/errno.h"
#include "core/ref.h"
#include "core/spinlock.h"
#include "fs/vfs.h"

struct fd_array {
	u32 size;
	struct file **file;
	u64 *used, *cloexec; /* bitmaps */
	u64 *full;	     /* bit per word of `used` that has no clear bit */
	struct rcu_head rcu;
};

struct fd_table {
	ref_t refs;
	spinlock_t lock; /* RANK_FDTABLE */
	struct fd_array *array;
	u32 lowest_hint; /* nothing free below */
	u32 open_count;
};

int fd_table_create(struct fd_table **out);
int fd_table_copy(struct fd_table *from, struct fd_table **out); /* fork: -ENOMEM */
struct fd_table *fd_table_get(struct fd_table *t);
void fd_table_put(struct fd_table *t); /* the last one closes everything */
int fd_table_unshare_for_exec(void);   /* current gets its own table: -ENOMEM */
void fd_close_on_exec(void);

/* The file behind fd, counted: -EBADF (also for O_PATH files unless path_ok). */
int fd_get(u32 fd, bool path_ok, struct file **out);
/*
 * The same for the duration of one call: no count is taken if the table is not
 * shared. f must be given back with fd_end() before returning.
 */
struct fd_ref {
	struct file *file;
	bool counted;
};
int fd_begin_shared(u32 fd, struct fd_ref *r, bool path_ok);
static inline int fd_begin(u32 fd, struct fd_ref *r) /* -EBADF */
{
	struct fd_table *t = current->files;
	struct file *f;

	if (unlikely(ref_read(&t->refs) != 1))
		return fd_begin_shared(fd, r, false);
	if (unlikely(fd >= t->array->size))
		return -EBADF;
	f = t->array->file[fd];
	if (unlikely(!f || (f->mode & FILE_PATH)))
		return -EBADF;
	r->file = f;
	r->counted = false;
	return 0;
}
int fd_begin_path(u32 fd, struct fd_ref *r); /* O_PATH files too */
static inline void fd_end(struct fd_ref r)
{
	if (r.counted)
		file_put(r.file);
}
/* Takes the lowest free descriptor >= from: -EMFILE, -ENOMEM. Then install or release it. */
int fd_reserve(u32 from, bool cloexec, u32 *fd);
void fd_install(u32 fd, struct file *f); /* takes over the reference */
void fd_release(u32 fd);		 /* a reserved one that was not installed */
int fd_close(u32 fd);
/* Reserve + install in one step: the descriptor, or -errno (f is put). */
s64 fd_add(struct file *f, bool cloexec);
/* dup2: f (whose reference passes) takes fd's place: -EBADF, -EBUSY, -ENOMEM. */
int fd_replace(u32 fd, struct file *f, bool cloexec);
bool fd_cloexec(u32 fd);
void fd_set_cloexec(u32 fd, bool on);
bool fd_next_used(u32 *fd, u32 last); /* the first used one of current's in [*fd, last] */
/* /proc/PID/fd: next used descriptor >= *fd of another task's table, file counted; false: none. */
bool fd_table_next(struct fd_table *t, u32 *fd, struct file **out);

#endif
