/* SPDX-License-Identifier: MIT */
/*
 * unix_queue.c - what goes from an AF_UNIX socket to its peer (man 7 unix).
 *
 * A sender appends chunks to its peer's queue, up to its own send_size bytes; each
 * holds what went along with the first byte. A receive does not go past a change of
 * sender or a chunk with descriptors.
 *
 * Open files travel inside chunks (SCM_RIGHTS). Sockets that wait in each other's
 * queues and are closed everywhere else would never be freed. So a socket in whose
 * queue there are sockets is not sent itself (doc/abi.md): the last step of any such
 * circle is refused. rights_lock makes the look and the step one.
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

static spinlock_t rights_lock = SPINLOCK_INIT(RANK_UNIX_RIGHTS);

void unix_chunk_free(struct unix_chunk *c)
{
	ancillary_drop(&c->ancillary);
	kmalloc_count(c, MEM_SOCK, false);
	kfree(c);
}

/* --- sending --- */

/* c's sockets go into p's queue, whose lock is held: 0, -ETOOMANYREFS. */
static int rights_enter(struct unix_socket *p, struct unix_chunk *c)
{
	int err = 0;

	if (!c->sockets)
		return 0;
	spin_lock(&rights_lock);
	for (u32 i = 0; i < c->ancillary.file_count && !err; i++) {
		struct socket *s = file_socket(c->ancillary.files[i]);
		struct unix_socket *u = s && s->family == AF_UNIX ? unix_of(s) : NULL;

		if (u && (u->carried || u == p || READ_ONCE(u->state) == UNIX_LISTENING))
			err = -ETOOMANYREFS;
	}
	if (!err)
		p->carried += c->sockets;
	spin_unlock(&rights_lock);
	return err;
}

static void rights_leave(struct unix_socket *p, struct unix_chunk *c)
{
	spin_lock(&rights_lock);
	p->carried -= c->sockets;
	c->sockets = 0;
	spin_unlock(&rights_lock);
}

/* Appends c to p's queue, waiting for room: -EPIPE, -EAGAIN, -ERESTARTSYS, -ETOOMANYREFS. */
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
	if (!err)
		err = rights_enter(p, c);
	if (!err) {
		list_append(&p->queue, &c->node);
		p->queued += c->length;
		waitq_wake_all(&p->readable, POLLIN | POLLRDNORM);
	}
	spin_unlock(&p->lock);
	return unix_wait_result(err, deadline);
}

static int chunk_create(struct unix_socket *u, struct message *m, struct unix_chunk **out)
{
	u32 n = MIN(m->uio->left, (u64)CHUNK_MAX);
	struct unix_chunk *c = kmalloc(sizeof(*c) + n, KM_ACCOUNT);
	s64 k;

	if (!c)
		return -ENOMEM;
	kmalloc_count(c, MEM_SOCK, true);
	memset(c, 0, sizeof(*c));
	k = uio_copy_in(m->uio, c->data, n);
	if (k != n) {
		kmalloc_count(c, MEM_SOCK, false);
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
	for (u32 i = 0; i < a->file_count; i++) {
		struct socket *s = file_socket(a->files[i]);

		c->sockets += s && s->family == AF_UNIX;
	}
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
		resched_point();
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
	p = unix_peer_get(u);
	n = p && !READ_ONCE(u->no_send) ? send_chunks(u, p, m, wait) : -EPIPE;
	if (p)
		socket_put(&p->socket);
	if (n == -EPIPE && !(m->flags & MSG_NOSIGNAL))
		signal_send_self(SIGPIPE);
	return n;
}

/* --- receiving --- */

/* One receive. It has the turn while it copies, and lets others have theirs while it waits. */
struct receiver {
	struct unix_socket *u;
	struct message *m;
	ktime_t deadline;
	bool has_turn;
};

/* U held. */
static int receiver_sleep(struct receiver *r, ktime_t deadline)
{
	struct unix_socket *u = r->u;
	int err, turn;

	turn_give(&u->receiving);
	err = waitq_sleep(&u->readable, &u->lock, SLEEP_INTERRUPTIBLE, deadline);
	turn = turn_take(&u->receiving, &u->lock, SLEEP_KILLABLE); /* nobody waits for data in it */
	r->has_turn = !turn;
	return err ? err : turn;
}

/* Waits for a chunk; NULL at the end of the stream. */
static int chunk_wait(struct receiver *r, bool wait, ktime_t deadline, struct unix_chunk **out)
{
	struct unix_socket *u = r->u;
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
			err = wait ? receiver_sleep(r, deadline) : -EAGAIN;
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
static void receive_ancillary(struct unix_socket *u, struct unix_chunk *c, struct message *m)
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
		if (c->sockets)
			rights_leave(u, c);
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
	if (empty) {
		if (c->sockets)
			rights_leave(u, c);
		unix_chunk_free(c);
	}
}

/* The chunk after c, or NULL. The turn keeps c in place. */
static struct unix_chunk *chunk_after(struct unix_socket *u, struct unix_chunk *c)
{
	struct unix_chunk *next = NULL;

	spin_lock(&u->lock);
	if (c->node.next != &u->queue)
		next = list_next(c, node);
	spin_unlock(&u->lock);
	return next;
}

static s64 receive_chunks(struct receiver *r, bool wait)
{
	struct unix_socket *u = r->u;
	struct message *m = r->m;
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
			err = chunk_wait(r, wait && (!done || all), done && !all ? 0 : r->deadline,
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
			receive_ancillary(u, c, m);
		}
		done += n;
		if (!peek)
			chunk_consume(u, c, n);
		if (m->ancillary && m->ancillary->file_count)
			break;
		resched_point();
	}
	return done;
}

s64 unix_receive(struct socket *s, struct message *m, bool wait)
{
	struct unix_socket *u = unix_of(s);
	struct receiver r = { u, m, unix_deadline_of(s->receive_timeout), true };
	s64 n;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (READ_ONCE(u->state) == UNIX_NEW || READ_ONCE(u->state) == UNIX_LISTENING)
		return -EINVAL;
	m->name_length = 0;
	spin_lock(&u->lock);
	n = turn_take(&u->receiving, &u->lock, SLEEP_INTERRUPTIBLE);
	spin_unlock(&u->lock);
	if (n)
		return n;
	if (m->uio->left) {
		n = receive_chunks(&r, wait);
	} else { /* nothing is wanted, but there must be something */
		struct unix_chunk *c;

		n = chunk_wait(&r, wait, r.deadline, &c);
	}
	if (r.has_turn) {
		spin_lock(&u->lock);
		turn_give(&u->receiving);
		spin_unlock(&u->lock);
	}
	return n;
}

u32 unix_available(struct socket *s)
{
	return READ_ONCE(unix_of(s)->queued);
}
