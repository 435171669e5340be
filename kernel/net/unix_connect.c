/* SPDX-License-Identifier: MIT */
/*
 * unix_connect.c - connections of AF_UNIX (man 2 listen, 2 connect, 2 accept).
 *
 * A listening socket holds the sockets that were made for those who connected, until
 * accept() takes them. connect() first reserves a place in that queue, which may
 * wait, then makes the server's end, joins the two and puts it there: from then on the
 * client may send, whether or not it was accepted.
 */
#include "net/unix.h"
#include "core/errno.h"
#include "core/task.h"
#include "fs/poll.h"

/* Makes a, of current's, and b each other's peers; both are new. b_cred's pid counts in b_pids. */
static void unix_join(struct unix_socket *a, struct unix_socket *b, struct ucred b_cred,
		      struct pid_table *b_pids)
{
	struct unix_socket *first = a < b ? a : b, *second = a < b ? b : a;

	spin_lock(&first->lock);
	spin_lock_nested(&second->lock);
	a->peer = (struct unix_socket *)socket_get(&b->socket);
	b->peer = (struct unix_socket *)socket_get(&a->socket);
	a->peer_cred = b_cred;
	b->peer_cred = unix_my_cred();
	a->peer_pids = b_pids;
	b->peer_pids = current->owner->pids;
	a->state = b->state = UNIX_CONNECTED;
	spin_unlock(&second->lock);
	spin_unlock(&first->lock);
}

int unix_pair(struct socket *a, struct socket *b)
{
	unix_join(unix_of(a), unix_of(b), unix_my_cred(), current->owner->pids);
	return 0;
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
	return unix_wait_result(err, deadline);
}

/* The server's end of a new connection, put into the listener's queue. */
static int listener_enqueue(struct unix_socket *l, struct unix_socket *u)
{
	struct socket *s;
	struct unix_socket *server;
	bool closed;
	int err = unix_create(SOCK_STREAM, 0, &s);

	if (err)
		goto give_up;
	server = unix_of(s);
	owner_put(s->owner);
	s->owner = owner_get(l->socket.owner);
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
	unix_join(u, server, l->peer_cred, l->peer_pids);
	spin_lock(&l->lock);
	closed = l->state != UNIX_LISTENING;
	if (!closed) {
		list_append(&l->pending, &server->pending_node);
		waitq_wake_all(&l->readable, POLLIN | POLLRDNORM);
	}
	spin_unlock(&l->lock);
	if (closed) { /* meanwhile: as if it had been in the queue by then */
		s->ops->release(s);
		socket_put(s);
	}
	return 0;

give_up:
	spin_lock(&l->lock);
	l->pending_count--;
	spin_unlock(&l->lock);
	return err;
}

int unix_connect(struct socket *s, const struct sockaddr_any *a, u32 length, bool wait)
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
	err = mutex_lock_killable(&u->connecting);
	if (err) {
		socket_put(&l->socket);
		return err;
	}
	err = u->state == UNIX_NEW ? listener_reserve(l, wait, unix_deadline_of(s->send_timeout))
				   : -EISCONN;
	if (!err)
		err = listener_enqueue(l, u);
	mutex_unlock(&u->connecting);
	socket_put(&l->socket);
	return err;
}

int unix_listen(struct socket *s, u32 backlog)
{
	struct unix_socket *u = unix_of(s);
	int err = 0;

	spin_lock(&u->lock);
	if (!u->name_length || (u->state != UNIX_NEW && u->state != UNIX_LISTENING)) {
		err = -EINVAL;
	} else {
		u->state = UNIX_LISTENING;
		u->backlog = MIN(backlog, (u32)SOMAXCONN);
		u->peer_cred = unix_my_cred(); /* what those who connect see */
		u->peer_pids = current->owner->pids;
		waitq_wake_all(&u->writable, 0);
	}
	spin_unlock(&u->lock);
	return err;
}

int unix_accept(struct socket *s, bool wait, struct socket **out)
{
	struct unix_socket *u = unix_of(s), *client = NULL;
	ktime_t deadline = unix_deadline_of(s->receive_timeout);
	int err = 0;

	spin_lock(&u->lock);
	while (!err) {
		if (u->state != UNIX_LISTENING || u->no_receive)
			err = -EINVAL;
		else if (!list_empty(&u->pending))
			break;
		else
			err = wait ? waitq_sleep_exclusive(&u->readable, &u->lock,
							   SLEEP_INTERRUPTIBLE, deadline)
				   : -EAGAIN;
	}
	if (!err) {
		client = list_first(&u->pending, struct unix_socket, pending_node);
		list_remove(&client->pending_node);
		u->pending_count--;
		waitq_wake_all(&u->writable, 0);
	}
	spin_unlock(&u->lock);
	*out = client ? &client->socket : NULL;
	return unix_wait_result(err, deadline);
}
