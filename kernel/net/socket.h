/* SPDX-License-Identifier: MIT */
/*
 * socket.h - sockets (man 7 socket): the object behind a socket's descriptor, and
 * the const ops by which address families offer themselves. socket.c has the
 * object and its file, sys_socket.c the calls, message.c what they copy,
 * unix.c and unix_name.c the family AF_UNIX.
 */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "core/ref.h"
#include "core/wait.h"
#include "fs/vfs.h"

#define AF_UNSPEC      0
#define AF_UNIX	       1
#define SOCK_STREAM    1
#define SOCK_DGRAM     2
#define SOCK_SEQPACKET 5
#define SOCK_TYPE_MASK 15
#define SOCK_CLOEXEC   O_CLOEXEC
#define SOCK_NONBLOCK  O_NONBLOCK
#define SOMAXCONN      4096

#define MSG_OOB		 1
#define MSG_PEEK	 2
#define MSG_CTRUNC	 8
#define MSG_TRUNC	 0x20
#define MSG_DONTWAIT	 0x40
#define MSG_EOR		 0x80
#define MSG_WAITALL	 0x100
#define MSG_NOSIGNAL	 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000

#define SHUT_RD	  0
#define SHUT_WR	  1
#define SHUT_RDWR 2

struct sockaddr_any {
	u16 family;
	char data[126];
};
#define SCM_FILES_MAX 253

struct ucred {
	s32 pid;
	u32 uid, gid; /* global in the kernel */
};

/* What goes along with bytes: open files (SCM_RIGHTS) and who sent them. */
struct ancillary {
	u32 file_count;
	struct file **files; /* counted; kmalloc'ed */
	struct ucred cred;
	bool has_cred;
	struct pid_table *pids; /* in which cred.pid counts */
};
void ancillary_drop(struct ancillary *a);

struct message {
	struct uio *uio;
	struct sockaddr_any *name; /* send: where to, or NULL; receive: where from */
	u32 name_length;	   /* in and out */
	u32 flags;		   /* MSG_* of the call */
	u32 out_flags;		   /* receive: MSG_TRUNC ... */
	struct ancillary
		*ancillary; /* send: passes on success; receive: filled. NULL: none wanted */
};

struct socket;
struct socket_ops {
	int (*bind)(struct socket *s, const struct sockaddr_any *a, u32 length);
	int (*connect)(struct socket *s, const struct sockaddr_any *a, u32 length, bool wait);
	int (*listen)(struct socket *s, u32 backlog);
	int (*accept)(struct socket *s, bool wait, struct socket **out); /* a new one, counted */
	int (*pair)(struct socket *a, struct socket *b);
	s64 (*send)(struct socket *s, struct message *m, bool wait);
	s64 (*receive)(struct socket *s, struct message *m, bool wait);
	int (*shutdown)(struct socket *s, int how);
	int (*name)(struct socket *s, bool peer, struct sockaddr_any *a, u32 *length);
	u32 (*poll)(struct socket *s, struct poll_table *pt);
	int (*peer_cred)(struct socket *s, struct ucred *c);
	u32 (*available)(struct socket *s); /* FIONREAD */
	bool (*listening)(struct socket *s);
	void (*release)(struct socket *s); /* its file is closed */
	void (*free)(struct socket *s);	   /* the last reference */
};

struct socket {
	ref_t refs;
	const struct socket_ops *ops;
	u16 family, type;
	struct owner *owner;		       /* constant; counted */
	bool pass_cred;			       /* SO_PASSCRED */
	u32 send_size, receive_size;	       /* SO_SNDBUF, SO_RCVBUF */
	ktime_t send_timeout, receive_timeout; /* ns; 0: none */
	s32 error;			       /* SO_ERROR; atomic */
	u64 ino;
};

struct address_family {
	u16 family;
	int (*create)(int type, int protocol, struct socket **out);
};

void socket_init_object(struct socket *s, const struct socket_ops *ops, u16 family, u16 type);
struct socket *socket_get(struct socket *s);
void socket_put(struct socket *s);
/* A file for s, whose reference passes (also on failure). flags: O_NONBLOCK. */
int socket_file(struct socket *s, int flags, struct file **out);
struct socket *file_socket(struct file *f); /* NULL: not a socket */
void socket_init(void);

/* message.c: between user structs and struct message */
struct msghdr_user {
	u64 name;
	u32 name_length, pad;
	u64 iov, iov_count;
	u64 control, control_length;
	u32 flags, pad2;
};
int control_from_user(const struct msghdr_user *h, struct ancillary *a);
/* Copies out what fits, installing descriptors; sets h->control_length and flags. */
int control_to_user(struct msghdr_user *h, struct ancillary *a, bool cloexec, u32 *out_flags);

extern const struct address_family unix_family;

#endif
