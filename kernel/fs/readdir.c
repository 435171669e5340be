/* SPDX-License-Identifier: MIT */
/*
 * readdir.c - getdents(2) and getdents64(2).
 *
 * Records gather in a kernel buffer and go to the user in pieces. The position
 * advances only past what arrived: if a piece faults, the call ends before it.
 */
#include "fs/internal.h"
#include "syscalls.h"

#define PIECE_SIZE 4096

struct dirent64 {
	u64 ino, next;
	u16 length;
	u8 type;
	char name[];
} __packed;

struct dirent_old { /* the type is in the last byte of the record */
	u64 ino, next;
	u16 length;
	char name[];
} __packed;

struct getdents {
	struct dirent_sink sink;
	uaddr_t to;
	u64 room;      /* bytes of the user's buffer not yet used, gathered ones included */
	u64 delivered; /* bytes that arrived */
	u64 safe_pos;  /* where to go on after them */
	u32 gathered;
	int err;
	bool old;
	char *piece;
};

static bool getdents_flush(struct getdents *g, u64 pos)
{
	if (g->gathered && copy_to_user(g->to + g->delivered, g->piece, g->gathered)) {
		g->err = -EFAULT;
		return false;
	}
	g->delivered += g->gathered;
	g->gathered = 0;
	g->safe_pos = pos;
	resched_point();
	return true;
}

static void dirent_write(struct getdents *g, const char *name, size_t len, u64 ino, u32 type,
			 u64 next, u32 size)
{
	char *at = g->piece + g->gathered;

	if (unlikely(g->old)) {
		struct dirent_old *o = (struct dirent_old *)at;

		*o = (struct dirent_old){ ino, next, size };
		memcpy(o->name, name, len);
		memset(o->name + len, 0, size - sizeof(*o) - len);
		at[size - 1] = type;
	} else {
		struct dirent64 *d = (struct dirent64 *)at;

		*(u64 *)(at + size - 8) = 0; /* the padding; before what may reach into it */
		d->ino = ino;
		d->next = next;
		d->length = size;
		d->type = type;
		memcpy(d->name, name, len);
	}
}

static bool getdents_emit(struct dirent_sink *s, const char *name, size_t len, u64 ino, u32 type,
			  u64 next)
{
	struct getdents *g = container_of(s, struct getdents, sink);
	/* Name and NUL, and for the old form the type byte, in multiples of 8. */
	u32 size =
		ALIGN_UP((u32)(g->old ? sizeof(struct dirent_old) + 1 : sizeof(struct dirent64)) +
				 (u32)len + 1,
			 8u);

	if (unlikely(size > g->room)) {
		if (!g->delivered && !g->gathered)
			g->err = -EINVAL;
		return false;
	}
	if (unlikely(g->gathered + size > PIECE_SIZE) && !getdents_flush(g, s->pos))
		return false;
	dirent_write(g, name, len, ino, type, next, size);
	g->gathered += size;
	g->room -= size;
	return true;
}

static s64 getdents_locked(struct file *f, struct getdents *g)
{
	struct inode *dir = f->inode;
	int err = -ENOENT;

	g->sink.emit = getdents_emit;
	g->sink.pos = g->safe_pos = f->pos;
	mutex_lock(&dir->lock);
	if (dir->nlink)
		err = f->ops->readdir(f, &g->sink);
	if (err >= 0)
		getdents_flush(g, g->sink.pos);
	mutex_unlock(&dir->lock);
	f->pos = g->safe_pos;
	file_accessed(f);
	if (g->delivered)
		return g->delivered;
	return err < 0 ? err : g->err;
}

static s64 getdents_file(struct fd_ref r, struct getdents *g)
{
	struct file *f = r.file;
	bool shared = r.counted || ref_read(&f->refs) > 1;
	s64 ret;

	if (!f->ops->readdir)
		return -ENOTDIR;
	g->piece = kmalloc(PIECE_SIZE, KM_ACCOUNT);
	if (!g->piece)
		return -ENOMEM;
	if (shared)
		mutex_lock(&f->pos_lock);
	ret = getdents_locked(f, g);
	if (shared)
		mutex_unlock(&f->pos_lock);
	kfree(g->piece);
	return ret;
}

static s64 getdents_fd(int fd, uaddr_t to, u32 size, bool old)
{
	/* The size is an int to Linux: a negative one holds nothing. */
	struct getdents g = { .to = to, .room = (s32)size < 0 ? 0 : size, .old = old };
	struct fd_ref r;
	s64 ret = fd_begin(fd, &r);

	if (ret)
		return ret;
	ret = getdents_file(r, &g);
	fd_end(r);
	return ret;
}

s64 sys_getdents64(int fd, uaddr_t to, u32 size)
{
	return getdents_fd(fd, to, size, false);
}

s64 sys_getdents(int fd, uaddr_t to, u32 size)
{
	return getdents_fd(fd, to, size, true);
}
