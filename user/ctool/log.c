/* SPDX-License-Identifier: MIT */
/*
 * log.c - ctool logs and events: what was put out, and what happened. Both are files that
 * grow and forget their beginning; -f goes on reading until the end of the container, or
 * until ctool is interrupted.
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_AGAIN_MSEC 100

static int open_file(const char *which, const char *file)
{
	char path[80];
	int fd;

	snprintf(path, sizeof path, "/sys/container/%s/%s", which, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_errno(errno, "%s", path);
	return fd;
}

static int copy_out(int fd)
{
	char buffer[4096];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof buffer)) > 0)
		fwrite(buffer, 1, (size_t)n, stdout);
	fflush(stdout);
	return n < 0 ? -errno : 0;
}

int do_logs(struct request *r)
{
	enum container_state state;
	char which[16];
	int id, fd, err, status;

	status = container_find_other(r->operands[0], &id);
	if (status)
		return status;
	snprintf(which, sizeof which, "%d", id);
	fd = open_file(which, "log");
	if (fd < 0)
		return EXIT_CTOOL;
	err = copy_out(fd);
	while (!err && r->follow && !ferror(stdout)) {
		/* the state first, so that what came before the end is not missed */
		bool ended = control_state(id, &state) || state == CONTAINER_STOPPED;
		err = copy_out(fd);
		if (ended)
			break;
		poll(NULL, 0, LOOK_AGAIN_MSEC);
	}
	close(fd);
	return err ? fail_errno(err, "%s", r->operands[0]) : 0;
}

/* The name of `id`; of one that is gone, if it was seen before that. */
static const char *name_of(int id)
{
	static struct {
		int id;
		char *name;
	} * known;
	static size_t count;
	size_t i = 0;
	char *name = id ? control_text(id, "name") : text("host");

	while (i < count && known[i].id != id)
		i++;
	if (i == count) {
		known = must(realloc(known, ++count * sizeof *known));
		known[i].id = id;
		known[i].name = name ? name : text("%d", id);
	} else {
		free(name);
	}
	return known[i].name;
}

/* "NUMBER SECONDS.MICROSECONDS ID EVENT..." for people; 0, or the event's number. */
static unsigned long long print_event(const char *line, unsigned long long after)
{
	unsigned long long number;
	long long seconds;
	unsigned usec;
	int id, at = 0;
	char when[32];
	struct tm tm;
	time_t t;

	if (sscanf(line, "%llu %lld.%u %d %n", &number, &seconds, &usec, &id, &at) != 4 || !at)
		return 0;
	if (number <= after)
		return number;
	t = (time_t)seconds;
	gmtime_r(&t, &tm);
	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s.%03u %d %s %s\n", when, usec / 1000, id, name_of(id), line + at);
	return number;
}

static unsigned long long print_events(char *events, unsigned long long after)
{
	unsigned long long last = after, number;

	for (char *line = events, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		number = print_event(line, after);
		last = number > last ? number : last;
	}
	fflush(stdout);
	return last;
}

int do_events(struct request *r)
{
	struct pollfd p = { .events = POLLPRI };
	unsigned long long last = 0;
	static char events[65536];
	char which[16] = "self";
	int id, status;

	if (r->operand_count) {
		status = container_find(r->operands[0], &id);
		if (status)
			return status;
		if (id != CONTROL_SELF)
			snprintf(which, sizeof which, "%d", id);
	}
	p.fd = open_file(which, "events");
	if (p.fd < 0)
		return EXIT_CTOOL;
	do {
		size_t used = 0;
		ssize_t n;

		lseek(p.fd, 0, SEEK_SET);
		while (used < sizeof events - 1 &&
		       (n = read(p.fd, events + used, sizeof events - 1 - used)) > 0)
			used += (size_t)n;
		if (!used)
			break; /* it is gone */
		events[used] = '\0';
		last = print_events(events, last);
	} while (r->follow && !ferror(stdout) && (poll(&p, 1, -1) >= 0 || errno == EINTR));
	close(p.fd);
	return 0;
}
