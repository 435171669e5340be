/* SPDX-License-Identifier: MIT */
/*
 * link.c - messages between ./run and pid 1 of the guest; link.h has the contract.
 */
#include "link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct header {
	uint32_t type, len;
};

void link_init(struct link *l, int fd)
{
	l->fd = fd;
	l->at = l->have = l->nul = 0;
}

static int wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

/* After a write that failed: 0 if it is to be tried again. */
static int write_again(int fd)
{
	if (errno == EAGAIN)
		return wait_writable(fd);
	return errno == EINTR ? 0 : -errno;
}

int write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0) {
			int err = write_again(fd);

			if (err)
				return err;
			continue;
		}
		at += n;
		len -= n;
	}
	return 0;
}

int link_send2(struct link *l, enum link_type type, const void *head, size_t head_len,
	       const void *data, size_t len)
{
	struct header h = { type, head_len + len };
	struct iovec iov[3] = {
		{ &h, sizeof(h) },
		{ (void *)head, head_len },
		{ (void *)data, len },
	};

	if (head_len + len > LINK_MAX)
		return -E2BIG;
	for (int i = 0; i < 3;) {
		ssize_t n = writev(l->fd, iov + i, 3 - i);

		if (n < 0) {
			int err = write_again(l->fd);

			if (err)
				return err;
			continue;
		}
		for (; i < 3 && (size_t)n >= iov[i].iov_len; i++)
			n -= iov[i].iov_len;
		if (i < 3) {
			iov[i].iov_base = (char *)iov[i].iov_base + n;
			iov[i].iov_len -= n;
		}
	}
	return 0;
}

int link_send(struct link *l, enum link_type type, const void *data, size_t len)
{
	return link_send2(l, type, NULL, 0, data, len);
}

int link_send_word(struct link *l, enum link_type type, uint64_t value)
{
	struct link_word w = { value };

	return link_send(l, type, &w, sizeof(w));
}

/* 1 if buf holds a whole message, which is then handed out. */
static int take(struct link *l, struct link_message *m)
{
	struct header h;

	if (l->have - l->at < sizeof(h))
		return 0;
	memcpy(&h, l->buf + l->at, sizeof(h));
	if (h.len > LINK_MAX)
		return -EBADMSG;
	if (l->have - l->at < sizeof(h) + h.len)
		return 0;
	*m = (struct link_message){ h.type, h.len, l->buf + l->at + sizeof(h) };
	l->at += sizeof(h) + h.len;
	l->nul = l->at;
	l->covered = l->buf[l->nul];
	l->buf[l->nul] = 0;
	return 1;
}

int link_receive(struct link *l, struct link_message *m)
{
	if (l->nul)
		l->buf[l->nul] = l->covered;
	l->nul = 0;
	for (;;) {
		int got = take(l, m);
		ssize_t n;

		if (got)
			return got;
		l->have -= l->at;
		memmove(l->buf, l->buf + l->at, l->have);
		l->at = 0;
		/* one byte stays free for the NUL behind a message */
		n = read(l->fd, l->buf + l->have, sizeof(l->buf) - 1 - l->have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		l->have += n;
	}
}

uint64_t link_word(const struct link_message *m)
{
	struct link_word w = { 0 };

	if (m->len >= sizeof(w))
		memcpy(&w, m->data, sizeof(w));
	return w.value;
}
