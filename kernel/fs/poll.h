/* SPDX-License-Identifier: MIT */
/*
 * poll.h - readiness. A file's poll op first calls poll_wait() for each wait
 * queue that may change its state, then returns its state now. poll, ppoll,
 * select and pselect6 (fs/poll.c) and, later, epoll differ only in the
 * poll_table's callback; pt NULL: only the state is wanted.
 */
#ifndef FS_POLL_H
#define FS_POLL_H

#include "core/wait.h"

#define POLLIN	   0x001
#define POLLPRI	   0x002
#define POLLOUT	   0x004
#define POLLERR	   0x008
#define POLLHUP	   0x010
#define POLLNVAL   0x020
#define POLLRDNORM 0x040
#define POLLRDBAND 0x080
#define POLLWRNORM 0x100
#define POLLWRBAND 0x200
#define POLLRDHUP  0x2000

struct poll_table {
	void (*queue)(struct poll_table *pt, struct waitq *q); /* hangs a waiter on q */
	u32 events; /* what the caller wants to hear of */
};

static inline void poll_wait(struct poll_table *pt, struct waitq *q)
{
	if (pt && pt->queue)
		pt->queue(pt, q);
}

#endif
