/* SPDX-License-Identifier: MIT */
/*
 * sockets.h - pairs of AF_UNIX sockets, and what travels beside the bytes (man 7 unix, man 3 cmsg):
 * descriptors and credentials. Each message is one byte with one control message.
 */
#ifndef TESTS_GUEST_SOCKETS_H
#define TESTS_GUEST_SOCKETS_H

#include "tap.h"
#include <sys/socket.h>
#include <sys/uio.h>

#define ANCILLARY_MAX 256

static TAP_UNUSED void pair(int sv[2])
{
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
}

static TAP_UNUSED void close2(int sv[2])
{
	close(sv[0]);
	close(sv[1]);
}

/* What sendmsg() returns: 1, or -1 and errno. */
static TAP_UNUSED ssize_t send_with(int socket, int type, const void *data, size_t size)
{
	char control[CMSG_SPACE(ANCILLARY_MAX)] = { 0 };
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = CMSG_SPACE(size) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), data, size);
	return sendmsg(socket, &m, 0);
}

/*
 * The payload of the control message of this type goes to data; its size, 0 if there was none. The
 * kernel is told of CMSG_SPACE(room), and fills it: data has room for that much. *flags: those of
 * recvmsg(), then those of the message.
 */
static TAP_UNUSED int receive_with(int socket, int type, void *data, size_t room, int *flags)
{
	char byte, control[CMSG_SPACE(ANCILLARY_MAX)];
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = CMSG_SPACE(room) };
	int got = 0;

	EQ(recvmsg(socket, &m, *flags), 1);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == type) {
			got = c->cmsg_len - CMSG_LEN(0);
			memcpy(data, CMSG_DATA(c), got);
		}
	*flags = m.msg_flags;
	return got;
}

static TAP_UNUSED void send_fd(int socket, int fd)
{
	EQ(send_with(socket, SCM_RIGHTS, &fd, sizeof fd), 1);
}

static TAP_UNUSED int receive_fd(int socket)
{
	int fds[2] = { -1, -1 }, flags = 0; /* CMSG_SPACE of one has room for two */

	receive_with(socket, SCM_RIGHTS, fds, sizeof fds[0], &flags);
	REQUIRE(fds[0] >= 0);
	return fds[0];
}

static TAP_UNUSED void send_ids(int socket, const struct ucred *ids)
{
	EQ(send_with(socket, SCM_CREDENTIALS, ids, sizeof *ids), 1);
}

/* All -1 if there are none with it. */
static TAP_UNUSED struct ucred receive_ids(int socket)
{
	struct {
		struct ucred ids;
		char rest[CMSG_SPACE(sizeof(struct ucred)) - sizeof(struct ucred)];
	} got = { .ids = { -1, -1, -1 } };
	int flags = 0;

	receive_with(socket, SCM_CREDENTIALS, &got, sizeof got.ids, &flags);
	return got.ids;
}

#endif
