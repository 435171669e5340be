/* SPDX-License-Identifier: MIT */
/*
 * unix.c - AF_UNIX stream sockets (man 7 unix).
 *
 * Two connected sockets point to each other, each counting the other; a sender
 * appends chunks to its peer's queue, up to its own send_size bytes. A
 * listening socket holds the sockets that were connected to it and wait for
 * accept(). Closing takes the socket out of its peer (which then reads the end,
 * or -ECONNRESET if it had sent what was never read) and drops what is queued.
 *
 * Open files travel inside chunks (SCM_RIGHTS). A socket that travels in its own
 * queue would never be freed: sending a socket of this family over this family
 * is limited to one level (doc/abi.md), so cycles cannot be made.
 *
 * Locks: u->lock guards the state; copying happens outside it. Never two locks
 * but in unix_join(), by address.
 */
#include "net/unix.h"
#include "core/errno.h"
#include "core/task.h"
#include "core/time.h"
#include "fs/poll.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/process.h"

#define CHUNK_MAX 32768
#define SIGPIPE 13

static struct slab_cache *socket_cache;
static const struct socket_ops unix_ops;

static int unix_create(int type, int protocol, struct socket **out)
{
	struct unix_socket *u;

	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type != SOCK_STREAM)
		return -ESOCKTNOSUPPORT;
	u = slab_alloc(socket_cache);
	if (!u)
		return -ENOMEM;
	socket_init_object(&u->socket, &unix_ops, AF_UNIX, type);
	spin_init(&u->lock, RANK_UNIX);
	list_init(&u->queue);
	list_init(&u->pending);
	list_init(&u->pending_node);
	waitq_init(&u->readable);
	waitq_init(&u->writable);
	mutex_init(&u->reader, RANK_SOCKET);
	mutex_init(&u->writer, RANK_SOCKET);
	*out = &u->socket;
	return 0;
}

const struct address_family unix_family = { AF_UNIX, unix_create };

void unix_init(void)
{
	socket_cache = slab_cache_create("unix_socket", sizeof(struct unix_socket), 0, SLAB_ACCOUNT | SLAB_ZERO);
}

static void chunk_free(struct unix_chunk *c)
{
	ancillary_drop(&c->ancillary);
	kfree(c);
}

static void unix_free(struct socket *s)
{
	slab_free(socket_cache, unix_of(s));
}

static struct ucred my_cred(void)
{
	return (struct ucred){ current->process->pid, current->cred->euid, current->cred->egid };
}

static void wake_all(struct unix_socket *u)
{
	waitq_wake_all(&u->readable, POLLIN | POLLHUP | POLLRDNORM | POLLRDHUP);
	waitq_wake_all(&u->writable, POLLOUT | POLLERR | POLLWRNORM);
}

/* The peer, counted, or NULL. */
static struct unix_socket *peer_get(struct unix_socket *u)
{
	struct unix_socket *p;

	spin_lock(&u->lock);
	p = u->peer;
	if (p)
		socket_get(&p->socket);
	spin_unlock(&u->lock);
	return p;
}

/* --- connecting --- */

/* Makes a and b each other's peers; both are new. */
static void unix_join(struct unix_socket *a, struct unix_socket *b, struct ucred a_cred, struct ucred b_cred)
{
	struct unix_socket *first = a < b ? a : b, *second = a < b ? b : a;

	spin_lock(&first->lock);
	spin_lock_nested(&second->lock);
	a->peer = (struct unix_socket *)socket_get(&b->socket);
	b->peer = (struct unix_socket *)socket_get(&a->socket);
	a->peer_cred = b_cred;
	b->peer_cred = a_cred;
	a->peer_pids = b->peer_pids = current->owner->pids;
	a->state = b->state = UNIX_CONNECTED;
	spin_unlock(&second->lock);
	spin_unlock(&first->lock);
}

static int unix_pair(struct socket *a, struct socket *b)
{
	unix_join(unix_of(a), unix_of(b), my_cred(), my_cred());
	return 0;
}

/* What a wait with a time-out of the socket's own ends with: it is not restarted (man 7 signal). */
static int wait_result(int err, ktime_t deadline)
{
	if (err == -ETIMEDOUT)
		return -EAGAIN;
	return err == -ERESTARTSYS && deadline != KTIME_NEVER ? -EINTR : err;
}

/* Waits until the listener has room in its queue, which is then kept for the caller. */
static int listener_reserve(struct unix_socket *l, bool wait, ktime_t deadline)
{
	int err = 0;

	spin_lock(&l->lock);
	while (!err) {
		if (l->state != UNIX_LISTENING || l->no_receive)
			err = -ECONNREFUSED;
		else if (l->pending_count <= l->backlog)
			break;
		else if (!wait)
			err = -EAGAIN;
		else
			err = waitq_sleep(&l->writable, &l->lock, SLEEP_INTERRUPTIBLE, deadline);
	}
	if (!err)
		l->pending_count++;
	spin_unlock(&l->lock);
	return wait_result(err, deadline);
}

/* The server's end of a new connection, put into the listener's queue. */
static int listener_enqueue(struct unix_socket *l, struct unix_socket *u)
{
	struct socket *s;
	struct unix_socket *server;
	int err = unix_create(SOCK_STREAM, 0, &s);

	if (err)
		goto give_up;
	server = unix_of(s);
	s->owner = l->socket.owner;
	s->pass_cred = l->socket.pass_cred;
	server->name = l->name;
	server->name_length = l->name_length;
	spin_lock(&l->lock);
	if (l->state != UNIX_LISTENING) {
		spin_unlock(&l->lock);
		socket_put(s);
		err = -ECONNREFUSED;
		goto give_up;
	}
	spin_unlock(&l->lock);
	unix_join(u, server, my_cred(), l->peer_cred);
	spin_lock(&l->lock);
	list_append(&l->pending, &server->pending_node);
	waitq_wake_all(&l->readable, POLLIN | POLLRDNORM);
	spin_unlock(&l->lock);
	return 0;

give_up:
	spin_lock(&l->lock);
	l->pending_count--;
	spin_unlock(&l->lock);
	return err;
}

static ktime_t deadline_of(ktime_t timeout)
{
	return timeout ? ktime_get() + timeout : KTIME_NEVER;
}

static int unix_connect(struct socket *s, const struct sockaddr_any *a, u32 length, bool wait)
{
	struct unix_socket *u = unix_of(s), *l;
	int err;

	err = unix_find(a, length, &l);
	if (err)
		return err;
	if (READ_ONCE(u->state) != UNIX_NEW) {
		socket_put(&l->socket);
		return READ_ONCE(u->state) == UNIX_CONNECTED ? -EISCONN : -EINVAL;
	}
	mutex_lock(&u->writer); /* one connect at a time */
	err = u->state == UNIX_NEW ? listener_reserve(l, wait, deadline_of(s->send_timeout)) : -EISCONN;
	if (!err)
		err = listener_enqueue(l, u);
	mutex_unlock(&u->writer);
	socket_put(&l->socket);
	return err;
}

static int unix_listen(struct socket *s, u32 backlog)
{
	struct unix_socket *u = unix_of(s);
	int err = 0;

	spin_lock(&u->lock);
	if (!u->name_length || (u->state != UNIX_NEW && u->state != UNIX_LISTENING)) {
		err = -EINVAL;
	} else {
		u->state = UNIX_LISTENING;
		u->backlog = MIN(backlog, (u32)SOMAXCONN);
		u->peer_cred = my_cred(); /* what those who connect see */
		waitq_wake_all(&u->writable, 0);
	}
	spin_unlock(&u->lock);
	return err;
}

static int unix_accept(struct socket *s, bool wait, struct socket **out)
{
	struct unix_socket *u = unix_of(s), *client = NULL;
	ktime_t deadline = deadline_of(s->receive_timeout);
	int err = 0;

	spin_lock(&u->lock);
	while (!err) {
		if (u->state != UNIX_LISTENING || u->no_receive)
			err = -EINVAL;
		else if (!list_empty(&u->pending))
			break;
		else
			err = wait ? waitq_sleep_exclusive(&u->readable, &u->lock, SLEEP_INTERRUPTIBLE, deadline) : -EAGAIN;
	}
	if (!err) {
		client = list_first(&u->pending, struct unix_socket, pending_node);
		list_remove(&client->pending_node);
		u->pending_count--;
		waitq_wake_all(&u->writable, 0);
	}
	spin_unlock(&u->lock);
	*out = client ? &client->socket : NULL;
	return wait_result(err, deadline);
}

/* --- sending --- */

/* Appends c to p's queue, waiting for room: -EPIPE, -EAGAIN, -ERESTARTSYS. */
static int chunk_deliver(struct unix_socket *u, struct unix_socket *p, struct unix_chunk *c, bool wait, ktime_t deadline)
{
	int err = 0;

	spin_lock(&p->lock);
	while (!err) {
		if (p->state == UNIX_CLOSED || p->no_receive || READ_ONCE(u->no_send))
			err = -EPIPE;
		else if (!p->queued || p->queued + c->length <= u->socket.send_size)
			break;
		else
			err = wait ? waitq_sleep(&p->writable, &p->lock, SLEEP_INTERRUPTIBLE, deadline) : -EAGAIN;
	}
	if (!err) {
		list_append(&p->queue, &c->node);
		p->queued += c->length;
		waitq_wake_all(&p->readable, POLLIN | POLLRDNORM);
	}
	spin_unlock(&p->lock);
	return wait_result(err, deadline);
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
		list_for_each(c, &u->queue, node)
			for (u32 k = 0; k < c->ancillary.file_count; k++)
				carries |= file_socket(c->ancillary.files[k]) != NULL;
		spin_unlock(&u->lock);
		if (carries || u == from || u == READ_ONCE(from->peer) || READ_ONCE(u->state) == UNIX_LISTENING)
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
	c->ancillary.cred = my_cred();
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
	ktime_t deadline = deadline_of(u->socket.send_timeout);
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
			chunk_free(c);
			break;
		}
		done += c->length;
	}
	return done ? done : err;
}

static s64 unix_send(struct socket *s, struct message *m, bool wait)
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
	p = peer_get(u);
	n = -EPIPE;
	if (p && !READ_ONCE(u->no_send)) {
		mutex_lock(&u->writer);
		n = send_chunks(u, p, m, wait);
		mutex_unlock(&u->writer);
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
			err = wait ? waitq_sleep(&u->readable, &u->lock, SLEEP_INTERRUPTIBLE, deadline) : -EAGAIN;
		}
	}
	if (!err && !list_empty(&u->queue))
		*out = list_first(&u->queue, struct unix_chunk, node);
	spin_unlock(&u->lock);
	return wait_result(err, deadline);
}

static bool same_sender(const struct ancillary *a, const struct ancillary *b)
{
	return a->cred.pid == b->cred.pid && a->cred.uid == b->cred.uid && a->cred.gid == b->cred.gid;
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
	a->files = from->file_count ? kmalloc(from->file_count * sizeof(*a->files), KM_ACCOUNT) : NULL;
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
		chunk_free(c);
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
	ktime_t deadline = deadline_of(u->socket.receive_timeout);
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
			err = chunk_wait(u, wait && (!done || all), done && !all ? 0 : deadline, &c);
		if (err || !c)
			return done ? done : err;
		if (done && (c->ancillary.file_count || (m->ancillary && !same_sender(&first, &c->ancillary))))
			break; /* ancillary data are a boundary (man 7 unix) */
		n = uio_copy_out(m->uio, c->data + c->taken, MIN(m->uio->left, (u64)(c->length - c->taken)));
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

static s64 unix_receive(struct socket *s, struct message *m, bool wait)
{
	struct unix_socket *u = unix_of(s);
	s64 n;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (READ_ONCE(u->state) == UNIX_NEW || READ_ONCE(u->state) == UNIX_LISTENING)
		return -EINVAL;
	m->name_length = 0;
	mutex_lock(&u->reader);
	if (m->uio->left) {
		n = receive_chunks(u, m, wait);
	} else { /* nothing is wanted, but there must be something */
		struct unix_chunk *c;

		n = chunk_wait(u, wait, deadline_of(s->receive_timeout), &c);
	}
	mutex_unlock(&u->reader);
	return n;
}

static u32 unix_available(struct socket *s)
{
	return READ_ONCE(unix_of(s)->queued);
}

/* --- the rest --- */

static int unix_shutdown(struct socket *s, int how)
{
	struct unix_socket *u = unix_of(s), *p;
	bool receive = how != SHUT_WR, send = how != SHUT_RD;

	if (READ_ONCE(u->state) == UNIX_NEW)
		return -ENOTCONN;
	p = peer_get(u);
	spin_lock(&u->lock);
	u->no_receive |= receive;
	u->no_send |= send;
	wake_all(u);
	spin_unlock(&u->lock);
	if (!p)
		return 0;
	spin_lock(&p->lock);
	p->no_receive |= send;
	p->no_send |= receive;
	wake_all(p);
	spin_unlock(&p->lock);
	socket_put(&p->socket);
	return 0;
}

static int unix_name(struct socket *s, bool peer, struct sockaddr_any *a, u32 *length)
{
	struct unix_socket *u = unix_of(s), *p = peer ? peer_get(u) : NULL;

	if (peer && !p)
		return -ENOTCONN;
	memset(a, 0, sizeof(*a));
	a->family = AF_UNIX;
	*length = sizeof(a->family);
	if (peer)
		u = p;
	spin_lock(&u->lock);
	if (u->name_length) {
		*a = u->name;
		*length = u->name_length;
	}
	spin_unlock(&u->lock);
	if (p)
		socket_put(&p->socket);
	return 0;
}

static u32 unix_poll(struct socket *s, struct poll_table *pt)
{
	struct unix_socket *u = unix_of(s), *p;
	u32 events = 0;

	poll_wait(pt, &u->readable);
	p = peer_get(u);
	if (p)
		poll_wait(pt, &p->writable); /* our room is in its queue */
	else
		poll_wait(pt, &u->writable);
	spin_lock(&u->lock);
	if (!list_empty(&u->queue) || !list_empty(&u->pending) || u->no_receive ||
	    (u->state == UNIX_CONNECTED && !u->peer))
		events |= POLLIN | POLLRDNORM;
	if (u->no_receive || (u->state == UNIX_CONNECTED && !u->peer))
		events |= POLLRDHUP;
	if ((u->no_receive && u->no_send) || (u->state == UNIX_CONNECTED && !u->peer) || u->state == UNIX_NEW)
		events |= POLLHUP;
	if (u->reset)
		events |= POLLERR;
	spin_unlock(&u->lock);
	if (!p || READ_ONCE(p->queued) * 2 <= s->send_size)
		events |= u->state == UNIX_LISTENING ? 0 : POLLOUT | POLLWRNORM;
	if (p)
		socket_put(&p->socket);
	return events;
}

static int unix_peer_cred(struct socket *s, struct ucred *c)
{
	struct unix_socket *u = unix_of(s);

	spin_lock(&u->lock);
	*c = u->state == UNIX_NEW ? (struct ucred){ 0, ~0u, ~0u } : u->peer_cred;
	if (u->state == UNIX_CONNECTED && u->peer_pids != current->owner->pids)
		c->pid = 0; /* it cannot be named here */
	spin_unlock(&u->lock);
	return 0;
}

static bool unix_listening(struct socket *s)
{
	return READ_ONCE(unix_of(s)->state) == UNIX_LISTENING;
}

static void unix_release(struct socket *s);

/* Takes everything out of u, for freeing without its lock. */
static struct unix_socket *unix_close_state(struct unix_socket *u, struct list *chunks, struct list *pending)
{
	struct unix_socket *p;

	spin_lock(&u->lock);
	u->state = UNIX_CLOSED;
	p = u->peer;
	u->peer = NULL;
	list_splice(chunks, &u->queue);
	list_splice(pending, &u->pending);
	u->queued = 0;
	wake_all(u);
	spin_unlock(&u->lock);
	return p;
}

/* u has closed: its peer has none any more. lost: it had not read everything. */
static void unix_leave_peer(struct unix_socket *u, struct unix_socket *p, bool lost)
{
	bool pointed;

	spin_lock(&p->lock);
	pointed = p->peer == u;
	if (pointed)
		p->peer = NULL;
	p->reset |= lost;
	wake_all(p);
	spin_unlock(&p->lock);
	if (pointed)
		socket_put(&u->socket);
	socket_put(&p->socket);
}

static void unix_release(struct socket *s)
{
	struct list chunks = LIST_INIT(chunks), pending = LIST_INIT(pending);
	struct unix_socket *u = unix_of(s), *p, *client, *next;
	struct unix_chunk *c, *after;
	bool lost;

	unix_unbind(u);
	p = unix_close_state(u, &chunks, &pending);
	lost = !list_empty(&chunks);
	if (p)
		unix_leave_peer(u, p, lost);
	list_for_each_safe(c, after, &chunks, node) {
		list_remove(&c->node);
		chunk_free(c);
	}
	list_for_each_safe(client, next, &pending, pending_node) {
		list_remove(&client->pending_node);
		unix_release(&client->socket); /* never accepted: has no pending ones itself */
		socket_put(&client->socket);
	}
}

static const struct socket_ops unix_ops = {
	.bind = unix_bind,
	.connect = unix_connect,
	.listen = unix_listen,
	.accept = unix_accept,
	.pair = unix_pair,
	.send = unix_send,
	.receive = unix_receive,
	.shutdown = unix_shutdown,
	.name = unix_name,
	.poll = unix_poll,
	.peer_cred = unix_peer_cred,
	.available = unix_available,
	.listening = unix_listening,
	.release = unix_release,
	.free = unix_free,
};
