/* SPDX-License-Identifier: MIT */
/*
 * unix.c - the object of an AF_UNIX stream socket (man 7 unix): birth, state, end.
 *
 *	unix_connect.c	two sockets become each other's peers, each counting the other
 *	unix_queue.c	bytes, credentials and open files go to the peer's queue
 *	unix_name.c	a socket gets a name, and is found by it
 *
 * Closing takes the socket out of its peer (which then reads the end, or
 * -ECONNRESET if it had sent what was never read) and drops what is queued.
 *
 * Locks: u->lock guards the state; copying happens outside it. Never two locks
 * but in unix_join(), by address. u->connecting is held while its holder waits for
 * a listener, so it is taken killably.
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

static struct slab_cache *socket_cache;
static const struct socket_ops unix_ops;

int unix_create(int type, int protocol, struct socket **out)
{
	struct unix_socket *u;

	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type != SOCK_STREAM)
		return -ESOCKTNOSUPPORT;
	u = slab_alloc(socket_cache);
	if (!u)
		return -ENOMEM;
	slab_count(socket_cache, u, MEM_SOCK, true);
	socket_init_object(&u->socket, &unix_ops, AF_UNIX, type);
	spin_init(&u->lock, RANK_UNIX);
	list_init(&u->queue);
	list_init(&u->pending);
	list_init(&u->pending_node);
	waitq_init(&u->readable);
	waitq_init(&u->writable);
	turn_init(&u->receiving);
	mutex_init(&u->connecting, RANK_SOCKET);
	*out = &u->socket;
	return 0;
}

const struct address_family unix_family = { AF_UNIX, unix_create };

void unix_init(void)
{
	socket_cache = slab_cache_create("unix_socket", sizeof(struct unix_socket), 0,
					 SLAB_ACCOUNT | SLAB_ZERO);
}

static void unix_free(struct socket *s)
{
	slab_count(socket_cache, unix_of(s), MEM_SOCK, false);
	slab_free(socket_cache, unix_of(s));
}

struct ucred unix_my_cred(void)
{
	return (struct ucred){ current->process->pid, current->cred->euid, current->cred->egid };
}

void unix_wake_all(struct unix_socket *u)
{
	waitq_wake_all(&u->readable, POLLIN | POLLHUP | POLLRDNORM | POLLRDHUP);
	waitq_wake_all(&u->writable, POLLOUT | POLLERR | POLLWRNORM);
}

/* The peer, counted, or NULL. */
struct unix_socket *unix_peer_get(struct unix_socket *u)
{
	struct unix_socket *p;

	spin_lock(&u->lock);
	p = u->peer;
	if (p)
		socket_get(&p->socket);
	spin_unlock(&u->lock);
	return p;
}

/* What a wait with a time-out of the socket's own ends with: it is not restarted (man 7 signal). */
int unix_wait_result(int err, ktime_t deadline)
{
	if (err == -ETIMEDOUT)
		return -EAGAIN;
	return err == -ERESTARTSYS && deadline != KTIME_NEVER ? -EINTR : err;
}

ktime_t unix_deadline_of(ktime_t timeout)
{
	return timeout ? ktime_get() + timeout : KTIME_NEVER;
}

static int unix_shutdown(struct socket *s, int how)
{
	struct unix_socket *u = unix_of(s), *p;
	bool receive = how != SHUT_WR, send = how != SHUT_RD;

	if (READ_ONCE(u->state) == UNIX_NEW)
		return -ENOTCONN;
	p = unix_peer_get(u);
	spin_lock(&u->lock);
	u->no_receive |= receive;
	u->no_send |= send;
	unix_wake_all(u);
	spin_unlock(&u->lock);
	if (!p)
		return 0;
	spin_lock(&p->lock);
	p->no_receive |= send;
	p->no_send |= receive;
	unix_wake_all(p);
	spin_unlock(&p->lock);
	socket_put(&p->socket);
	return 0;
}

static int unix_name(struct socket *s, bool peer, struct sockaddr_any *a, u32 *length)
{
	struct unix_socket *u = unix_of(s), *p = peer ? unix_peer_get(u) : NULL;

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
	p = unix_peer_get(u);
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
	if ((u->no_receive && u->no_send) || (u->state == UNIX_CONNECTED && !u->peer) ||
	    u->state == UNIX_NEW)
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
static struct unix_socket *unix_close_state(struct unix_socket *u, struct list *chunks,
					    struct list *pending)
{
	struct unix_socket *p;

	spin_lock(&u->lock);
	u->state = UNIX_CLOSED;
	p = u->peer;
	u->peer = NULL;
	list_splice(chunks, &u->queue);
	list_splice(pending, &u->pending);
	u->queued = 0;
	unix_wake_all(u);
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
	unix_wake_all(p);
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
	list_for_each_safe (c, after, &chunks, node) {
		list_remove(&c->node);
		unix_chunk_free(c);
		resched_point();
	}
	list_for_each_safe (client, next, &pending, pending_node) {
		list_remove(&client->pending_node);
		unix_release(&client->socket); /* never accepted: has no pending ones itself */
		socket_put(&client->socket);
		resched_point();
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
