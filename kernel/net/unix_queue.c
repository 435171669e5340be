/* SPDX-License-Identifier: MIT */
/*
 * unix_queue.c - what goes from an AF_UNIX socket to its peer (man 7 unix).
 *
 * A sender appends chunks to its peer's queue, up to its own send_size bytes; each
 * holds what went along with the first byte. A receive does not go past a change of
 * sender or a chunk with descriptors.
 *
 * Open files travel inside chunks (SCM_RIGHTS). A socket that travels in its own
 * queue would never be freed: sending a socket of this family over this family
 * is limited to one level (doc/abi.md), so cycles cannot be made.
 */
#include "net/unix.h"
#include "core/errno.h"
#include "core/task.h"
#include "fs/poll.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/process.h"

#define CHUNK_MAX 32768
#define SIGPIPE	  13

void unix_chunk_free(struct unix_chunk *c)
{
	ancillary_drop(&c->ancillary);
	kfree(c);
}

/* --- sending --- */

/* Appends c to p's queue, waiting for room: -EPIPE, -EAGAIN, -ERESTARTSYS. */
static int chunk_deliver(struct unix_socket *u, struct unix_socket *p, struct unix_chunk *c,
			 bool wait, ktime_t deadline)
{
	int err = 0;

	spin_lock(&p->lock);
	while (!err) {
		if (p->state == UNIX_CLOSED || p->no_receive || READ_ONCE(u->no_send))
			err = -EPIPE;
		else if (!p->queued || p->queued + c->length <= u->socket.send_size)
			break;
		else
			err = wait ? waitq_sleep(&p->writable, &p->lock, SLEEP_INTERRUPTIBLE,
						 deadline)
				   : -EAGAIN;
	}
	if (!err) {
		list_append(&p->queue, &c->node);
		p->queued += c->length;
		waitq_wake_all(&p->readable, POLLIN | POLLRDNORM);
	}
	spin_unlock(&p->lock);
	return unix_wait_result(err, deadline);
}

/* Unix sockets do not travel in unix sockets more than one deep: no cycles. */
static int ancillary_check(struct unix_socket *from, const struct ancillary *a)
{
	for (u32 i = 0; i < a->file_count; i++) {
		struct socket *s = file_socket(a->files[i]);
		struct unix_chunk *c;
		struct unix_socket *u;
		bool carries = false;

		if (!s || s->family != AF_UNIX)
			continue;
		u = unix_of(s);
		spin_lock(&u->lock);
		list_for_each (c, &u->queue, node)
			for (u32 k = 0; k < c->ancillary.file_count; k++)
				carries |= file_socket(c->ancillary.files[k]) != NULL;
		spin_unlock(&u->lock);
		if (carries || u == from || u == READ_ONCE(from->peer) ||
		    READ_ONCE(u->state) == UNIX_LISTENING)
			return -ETOOMANYREFS;
	}
	return 0;
}

static int chunk_create(struct unix_socket *u, struct message *m, struct unix_chunk **out)
{
	u32 n = MIN(m->uio->left, (u64)CHUNK_MAX);
	struct unix_chunk *c = kmalloc(sizeof(*c) + n, KM_ACCOUNT);
	s64 k;

	if (!c)
		return -ENOMEM;
	memset(c, 0, sizeof(*c));
	k = uio_copy_in(m->uio, c->data, n);
	if (k != n) {
		kfree(c);
		return -EFAULT;
	}
	c->length = n;
	c->ancillary.cred = unix_my_cred();
	c->ancillary.has_cred = true;
	c->ancillary.pids = current->owner->pids;
	*out = c;
	return 0;
}

/* The first chunk carries what goes along. */
static void chunk_attach(struct unix_chunk *c, struct message *m)
{
	struct ancillary *a = m->ancillary;

	if (!a)
		return;
	c->ancillary.files = a->files;
	c->ancillary.file_count = a->file_count;
	if (a->has_cred)
		c->ancillary.cred = a->cred;
	a->files = NULL;
	a->file_count = 0;
}

static void chunk_detach(struct unix_chunk *c, struct message *m)
{
	if (!m->ancillary)
		return;
	m->ancillary->files = c->ancillary.files;
	m->ancillary->file_count = c->ancillary.file_count;
	c->ancillary.files = NULL;
	c->ancillary.file_count = 0;
}

static s64 send_chunks(struct unix_socket *u, struct unix_socket *p, struct message *m, bool wait)
{
	ktime_t deadline = unix_deadline_of(u->socket.send_timeout);
	s64 done = 0;
	int err = 0;

	while (m->uio->left) {
		struct unix_chunk *c = NULL;

		err = chunk_create(u, m, &c);
		if (err)
			break;
		if (!done)
			chunk_attach(c, m);
		err = chunk_deliver(u, p, c, wait, deadline);
		if (err) {
			if (!done)
				chunk_detach(c, m);
			unix_chunk_free(c);
			break;
		}
		done += c->length;
	}
	return done ? done : err;
}

s64 unix_send(struct socket *s, struct message *m, bool wait)
{
	struct unix_socket *u = unix_of(s), *p;
	s64 n;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->name)
		return READ_ONCE(u->state) == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (READ_ONCE(u->state) != UNIX_CONNECTED)
		return -ENOTCONN;
	n = m->ancillary ? ancillary_check(u, m->ancillary) : 0;
	if (n)
		return n;
	p = unix_peer_get(u);
	n = -EPIPE;
	if (p && !READ_ONCE(u->no_send)) {
		n = mutex_lock_killable(&u->writer);
		if (!n) {
			n = send_chunks(u, p, m, wait);
			mutex_unlock(&u->writer);
		}
	}
	if (p)
		socket_put(&p->socket);
	if (n == -EPIPE && !(m->flags & MSG_NOSIGNAL))
		signal_send_self(SIGPIPE);
	return n;
}

/* --- receiving --- */

/* Waits for a chunk; NULL at the end of the stream. */
static int chunk_wait(struct unix_socket *u, bool wait, ktime_t deadline, struct unix_chunk **out)
{
	int err = 0;

	*out = NULL;
	spin_lock(&u->lock);
	while (!err && list_empty(&u->queue)) {
		if (u->reset) {
			u->reset = false;
			err = -ECONNRESET;
		} else if (!u->peer || u->no_receive) {
			break;
		} else {
			err = wait ? waitq_sleep(&u->readable, &u->lock, SLEEP_INTERRUPTIBLE,
						 deadline)
				   : -EAGAIN;
		}
	}
	if (!err && !list_empty(&u->queue))
		*out = list_first(&u->queue, struct unix_chunk, node);
	spin_unlock(&u->lock);
	return unix_wait_result(err, deadline);
}

static bool same_sender(const struct ancillary *a, const struct ancillary *b)
{
	return a->cred.pid == b->cred.pid && a->cred.uid == b->cred.uid &&
	       a->cred.gid == b->cred.gid && a->pids == b->pids;
}

/* Hands over what goes along with c; with MSG_PEEK, copies of the files. */
static void receive_ancillary(struct unix_chunk *c, struct message *m)
{
	struct ancillary *a = m->ancillary, *from = &c->ancillary;

	if (!a)
		return;
	a->cred = from->cred;
	a->pids = from->pids;
	a->has_cred = true;
	if (!(m->flags & MSG_PEEK)) {
		a->files = from->files;
		a->file_count = from->file_count;
		from->files = NULL;
		from->file_count = 0;
		return;
	}
	a->files =
		from->file_count ? kmalloc(from->file_count * sizeof(*a->files), KM_ACCOUNT) : NULL;
	for (u32 i = 0; a->files && i < from->file_count; i++)
		a->files[a->file_count++] = file_get(from->files[i]);
}

static void chunk_consume(struct unix_socket *u, struct unix_chunk *c, u32 n)
{
	bool empty;

	spin_lock(&u->lock);
	c->taken += n;
	u->queued -= n;
	empty = c->taken == c->length;
	if (empty)
		list_remove(&c->node);
	waitq_wake_all(&u->writable, POLLOUT | POLLWRNORM);
	spin_unlock(&u->lock);
	if (empty)
		unix_chunk_free(c);
}

/* The chunk after c, or NULL. The reader's mutex keeps c in place. */
static struct unix_chunk *chunk_after(struct unix_socket *u, struct unix_chunk *c)
{
	struct unix_chunk *next = NULL;

	spin_lock(&u->lock);
	if (c->node.next != &u->queue)
		next = list_next(c, node);
	spin_unlock(&u->lock);
	return next;
}

static s64 receive_chunks(struct unix_socket *u, struct message *m, bool wait)
{
	ktime_t deadline = unix_deadline_of(u->socket.receive_timeout);
	bool peek = m->flags & MSG_PEEK, all = (m->flags & MSG_WAITALL) && !peek;
	struct unix_chunk *c = NULL;
	struct ancillary first = { 0 };
	s64 done = 0;

	while (m->uio->left) {
		int err = 0;
		s64 n;

		if (peek && c)
			c = chunk_after(u, c);
		else
			err = chunk_wait(u, wait && (!done || all), done && !all ? 0 : deadline,
					 &c);
		if (err || !c)
			return done ? done : err;
		if (done && (c->ancillary.file_count ||
			     (m->ancillary && !same_sender(&first, &c->ancillary))))
			break; /* ancillary data are a boundary (man 7 unix) */
		n = uio_copy_out(m->uio, c->data + c->taken,
				 MIN(m->uio->left, (u64)(c->length - c->taken)));
		if (n < 0)
			return done ? done : n;
		if (!done) {
			first.cred = c->ancillary.cred;
			receive_ancillary(c, m);
		}
		done += n;
		if (!peek)
			chunk_consume(u, c, n);
		if (m->ancillary && m->ancillary->file_count)
			break;
	}
	return done;
}

s64 unix_receive(struct socket *s, struct message *m, bool wait)
{
	struct unix_socket *u = unix_of(s);
	s64 n;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (READ_ONCE(u->state) == UNIX_NEW || READ_ONCE(u->state) == UNIX_LISTENING)
		return -EINVAL;
	m->name_length = 0;
	n = mutex_lock_killable(&u->reader);
	if (n)
		return n;
	if (m->uio->left) {
		n = receive_chunks(u, m, wait);
	} else { /* nothing is wanted, but there must be something */
		struct unix_chunk *c;

		n = chunk_wait(u, wait, unix_deadline_of(s->receive_timeout), &c);
	}
	mutex_unlock(&u->reader);
	return n;
}

u32 unix_available(struct socket *s)
{
	return READ_ONCE(unix_of(s)->queued);
}
