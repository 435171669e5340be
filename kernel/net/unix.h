/* SPDX-License-Identifier: MIT */
/* unix.h - sockets of AF_UNIX (man 7 unix); unix.c says which file does what. */
#ifndef NET_UNIX_H
#define NET_UNIX_H

#include "core/turn.h"
#include "net/socket.h"

#define UNIX_PATH_MAX 108

/* One send's bytes, with what goes along. */
struct unix_chunk {
	struct list node;
	u32 length, taken;
	u32 sockets; /* of the files in `ancillary`; once it is queued: rights_lock */
	struct ancillary ancillary;
	char data[];
};

enum unix_state { UNIX_NEW, UNIX_LISTENING, UNIX_CONNECTED, UNIX_CLOSED };

struct unix_socket {
	struct socket socket;
	spinlock_t lock;	     /* U; RANK_UNIX; two: lower address first */
	enum unix_state state;	     /* U */
	struct unix_socket *peer;    /* U; counted; NULL: none, or it has closed */
	struct list queue;	     /* U: chunks to be received */
	u32 queued;		     /* U: bytes */
	bool no_receive, no_send;    /* U: shutdown, by either side */
	bool reset;		     /* U: the peer closed with our data unread */
	struct ucred peer_cred;	     /* U: as of connect, listen or pair */
	struct pid_table *peer_pids; /* U: in which its pid counts; only compared */
	struct list pending;	     /* U: connected sockets that wait for accept (pending_node) */
	struct list pending_node;
	u32 pending_count, backlog;	 /* U */
	struct waitq readable, writable; /* U */
	struct turn receiving;		 /* a whole receive, but not while it waits for data */
	struct mutex connecting;	 /* one connect at a time */
	u32 carried;			 /* rights_lock: sockets in the queue */
	/* Its name: constant once set, under U. */
	struct sockaddr_any name;
	u32 name_length;	     /* 0: unbound */
	struct hlist_node name_node; /* abstract; names_lock */
	struct inode *inode;	     /* bound to a path: counted */
};

static inline struct unix_socket *unix_of(struct socket *s)
{
	return (struct unix_socket *)s;
}

void unix_init(void);
int unix_create(int type, int protocol, struct socket **out);
struct unix_socket *unix_peer_get(struct unix_socket *u); /* counted; NULL: it has none */
void unix_wake_all(struct unix_socket *u);		  /* U held */
struct ucred unix_my_cred(void);
/* A socket's own time-out (0: none) as a time, and what a wait that had one ends with. */
ktime_t unix_deadline_of(ktime_t timeout);
int unix_wait_result(int err, ktime_t deadline);

/* unix_connect.c */
int unix_pair(struct socket *a, struct socket *b);
int unix_connect(struct socket *s, const struct sockaddr_any *a, u32 length, bool wait);
int unix_listen(struct socket *s, u32 backlog);
int unix_accept(struct socket *s, bool wait, struct socket **out);

/* unix_queue.c */
s64 unix_send(struct socket *s, struct message *m, bool wait);
s64 unix_receive(struct socket *s, struct message *m, bool wait);
u32 unix_available(struct socket *s);
void unix_chunk_free(struct unix_chunk *c);

/* unix_name.c */
int unix_bind(struct socket *s, const struct sockaddr_any *a, u32 length);
void unix_unbind(struct unix_socket *u);
/* The listening (or any) socket with that name, counted: -ECONNREFUSED, -ENOENT, ... */
int unix_find(const struct sockaddr_any *a, u32 length, struct unix_socket **out);

#endif
