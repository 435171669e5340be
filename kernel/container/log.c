/* SPDX-License-Identifier: MIT */
/*
 * log.c - the control file `log`: what a container's program has put out. The last
 * LOG_KEPT bytes are kept; a reader gets what is there from its position on, and the end
 * of the file when it has it all (later there may be more).
 *
 * A container with a virtual console has what that keeps. For one without, whoever
 * starts its program gives it this file, opened for writing, as its output: the
 * program can write to the descriptor but not open the file itself, which is for those
 * who may manage the container from outside. The first write pays for the ring.
 */
#include "container/log.h"
#include "container/container.h"
#include "core/errno.h"
#include "fs/pseudo.h"
#include "fs/uio.h"
#include "mm/slab.h"
#include "tty/tty.h"

#define LOG_KEPT 16384
#define CHUNK	 256

void output_log_init(struct output_log *l)
{
	spin_init(&l->lock, RANK_NOTIFY);
}

void output_log_destroy(struct output_log *l)
{
	kfree(l->ring);
}

static int output_log_open(struct inode *i, struct file *f)
{
	return container_may_manage_from_outside(pseudo_object(i));
}

static int ring_make(struct output_log *l)
{
	char *ring = kmalloc(LOG_KEPT, KM_ACCOUNT);

	if (!ring)
		return -ENOMEM;
	spin_lock(&l->lock);
	if (!l->ring) {
		l->ring = ring;
		ring = NULL;
	}
	spin_unlock(&l->lock);
	kfree(ring);
	return 0;
}

static s64 output_log_write(struct file *f, struct uio *u, u64 *pos)
{
	struct output_log *l = &((struct container *)pseudo_object(f->inode))->log;
	char chunk[CHUNK];
	s64 done = 0, n;
	int err = READ_ONCE(l->ring) ? 0 : ring_make(l);

	if (err)
		return err;
	while (u->left) {
		n = uio_copy_in(u, chunk, sizeof(chunk));
		if (n <= 0)
			return done ? done : n;
		spin_lock(&l->lock);
		for (s64 i = 0; i < n; i++)
			l->ring[l->written++ % LOG_KEPT] = chunk[i];
		spin_unlock(&l->lock);
		done += n;
		resched_point();
	}
	return done;
}

static size_t log_kept(struct output_log *l, u64 *at, char *to, size_t size)
{
	size_t done = 0;

	spin_lock(&l->lock);
	*at = MAX(*at, l->written > LOG_KEPT ? l->written - LOG_KEPT : 0);
	while (done < size && *at < l->written)
		to[done++] = l->ring[(*at)++ % LOG_KEPT];
	spin_unlock(&l->lock);
	return done;
}

static s64 output_log_read(struct file *f, struct uio *u, u64 *pos)
{
	struct container *c = pseudo_object(f->inode);
	char chunk[CHUNK];
	s64 done = 0, copied;

	while (u->left) {
		u64 at = *pos;
		size_t size = MIN(u->left, sizeof(chunk)), n;

		n = c->console >= 0 ? vc_kept(c->console, &c->owner, &at, chunk, size)
				    : log_kept(&c->log, &at, chunk, size);
		if (!n)
			break;
		copied = uio_copy_out(u, chunk, n);
		if (copied < (s64)n)
			return done ? done : -EFAULT;
		*pos = at;
		done += n;
	}
	return done;
}

const struct file_ops output_log_file_ops = {
	.open = output_log_open,
	.read = output_log_read,
	.write = output_log_write,
};
