/* SPDX-License-Identifier: MIT */
/* unix.h - sockets of AF_UNIX (man 7 unix): unix.c moves bytes, unix_name.c binds and finds. */
#ifndef NET_UNIX_H
#define NET_UNIX_H

#include "net/socket.h"

#define UNIX_PATH_MAX 108

/* One send's bytes, with what goes along. */
struct unix_chunk {
	struct list node;
	u32 length, taken;
	struct ancillary ancillary;
	char data[];
};

enum unix_state { UNIX_NEW, UNIX_LISTENING, UNIX_CONNECTED, UNIX_CLOSED };

struct unix_socket {
	struct socket socket;
	spinlock_t lock;	  /* U; RANK_UNIX; two: lower address first */
	enum unix_state state;	  /* U */
	struct unix_socket *peer; /* U; counted; NULL: none, or it has closed */
	struct list queue;	  /* U: chunks to be received */
	u32 queued;		  /* U: bytes */
	bool no_receive, no_send; /* U: shutdown, by either side */
	bool reset;		  /* U: the peer closed with our data unread */
	struct ucred peer_cred;	  /* U: as of connect, listen or pair */
	struct pid_table *peer_pids;
	struct list pending; /* U: connected sockets that wait for accept (pending_node) */
	struct list pending_node;
	u32 pending_count, backlog;	 /* U */
	struct waitq readable, writable; /* U */
	struct mutex reader, writer;	 /* whole receives and sends */
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
int unix_bind(struct socket *s, const struct sockaddr_any *a, u32 length);
void unix_unbind(struct unix_socket *u);
/* The listening (or any) socket with that name, counted: -ECONNREFUSED, -ENOENT, ... */
int unix_find(const struct sockaddr_any *a, u32 length, struct unix_socket **out);

#endif
