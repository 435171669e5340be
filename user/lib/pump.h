/* SPDX-License-Identifier: MIT */
/*
 * pump.h - moves bytes from one descriptor to another inside a poll loop.
 *
 * Typical sequence: pump_init(); in the loop pump_poll() fills two pollfds,
 * poll(2), pump_step(). A pump reads only when its buffer is empty, so a slow
 * sink holds up its source. `from` and `to` are -1 once they have ended; the
 * pump closes neither. Bytes for a sink that has ended are dropped (and counted).
 *
 * A sink may be a blocking descriptor shared with other programs (the host's
 * stdout): not more than PIPE_BUF bytes are written at once, which poll(2)'s
 * POLLOUT guarantees not to block on a pipe (pipe(7)).
 */
#ifndef LIB_PUMP_H
#define LIB_PUMP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUMP_SIZE 32768

struct pump {
	int from, to;
	size_t have, off; /* unsent bytes are buf[off .. have) */
	uint64_t total;	  /* bytes read from `from` so far */
	size_t chunk;	  /* longest single write */
	/* May change or shorten what was read; returns the new length. May be NULL. */
	size_t (*filter)(void *arg, char *buf, size_t len);
	void *filter_arg;
	char buf[PUMP_SIZE + 1]; /* a filter may lengthen what was read by one */
};

void pump_init(struct pump *p, int from, int to, size_t chunk);
void pump_poll(const struct pump *p, struct pollfd fds[2]);
void pump_step(struct pump *p, const struct pollfd fds[2]);

/* Reads what is there without waiting and writes all of it, waiting if need be. */
void pump_drain(struct pump *p, uint64_t most);

static inline bool pump_idle(const struct pump *p)
{
	return p->off == p->have;
}

#endif
