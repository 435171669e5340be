/* SPDX-License-Identifier: MIT */
/*
 * pump.c - moves bytes from one descriptor to another; pump.h has the contract.
 */
#include "pump.h"
#include "link.h"

#include <errno.h>
#include <unistd.h>

void pump_init(struct pump *p, int from, int to, size_t chunk)
{
	p->from = from;
	p->to = to;
	p->have = p->off = 0;
	p->total = 0;
	p->chunk = chunk;
	p->filter = NULL;
	p->filter_arg = NULL;
}

void pump_poll(const struct pump *p, struct pollfd fds[2])
{
	bool idle = pump_idle(p);

	fds[0] = (struct pollfd){ .fd = idle ? p->from : -1, .events = POLLIN };
	/* without POLLOUT the entry still tells that the sink has gone (POLLERR) */
	fds[1] = (struct pollfd){ .fd = p->to, .events = idle ? 0 : POLLOUT };
}

static void pump_read(struct pump *p)
{
	ssize_t n = read(p->from, p->buf, PUMP_SIZE);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		p->from = -1;
		return;
	}
	p->total += n;
	p->off = 0;
	p->have = p->filter ? p->filter(p->filter_arg, p->buf, n) : (size_t)n;
	if (p->to < 0)
		p->have = 0;
}

static void pump_write(struct pump *p)
{
	size_t len = p->have - p->off;
	ssize_t n = write(p->to, p->buf + p->off, len < p->chunk ? len : p->chunk);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		p->to = -1;
		p->off = p->have = 0;
		return;
	}
	p->off += n;
}

void pump_step(struct pump *p, const struct pollfd fds[2])
{
	if (fds[1].fd >= 0 && fds[1].fd == p->to && (fds[1].revents & (POLLERR | POLLNVAL))) {
		p->to = -1;
		p->off = p->have = 0;
	}
	if (fds[0].fd >= 0 && fds[0].fd == p->from && fds[0].revents)
		pump_read(p);
	else if (p->to >= 0 && fds[1].fd == p->to && (fds[1].revents & POLLOUT))
		pump_write(p);
}

void pump_drain(struct pump *p, uint64_t most)
{
	uint64_t end = p->total + most;

	for (;;) {
		uint64_t before = p->total;

		if (!pump_idle(p) && write_all(p->to, p->buf + p->off, p->have - p->off))
			p->to = -1;
		p->off = p->have = 0;
		if (p->from < 0 || p->total >= end)
			return;
		pump_read(p);
		if (p->total == before)
			return;
	}
}
