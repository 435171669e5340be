/* SPDX-License-Identifier: MIT */
/*
 * trace.c - ctool trace: the kernel's events as Trace Event JSON, which Perfetto
 * (ui.perfetto.dev) and chrome://tracing open.
 *
 * The lines of /sys/container/ID/trace are turned into events one by one. A "process" of
 * the JSON is a container (pid = id + 1), a "thread" of it a CPU: who ran there and when,
 * and what happened there (faults, denials, refused charges, ...). System calls are spans
 * in threads of their own, one per task. One more process shows the CPUs.
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CPUS	   64
#define PID_CPUS   1000000000u
#define TID_CPU	   1u	 /* + its number: a CPU's track in a container */
#define TID_TASK   1000u /* + tid: a task's track of system calls */
#define BUFFER	   (1 << 18)
#define PAUSE_NSEC 5000000

/* One line of the file. */
struct event {
	uint64_t time;
	unsigned cpu, container, tid;
	char what[24], a[40], b[40];
};

struct span { /* who runs on a CPU */
	bool open;
	uint64_t since;
	unsigned container, tid;
};

struct call { /* a system call that has begun */
	uint64_t since;
	unsigned container, tid;
	char name[40];
};

struct track {
	unsigned container, thread;
};

static FILE *out;
static bool first_event;
static struct span running[CPUS];
static struct call *calls;
static size_t call_count;
static struct track *tracks;
static size_t track_count;
static volatile sig_atomic_t interrupted;

static double usec(uint64_t ns)
{
	return (double)ns / 1000;
}

static void begin_event(const char *phase, const char *name, unsigned pid, unsigned tid,
			uint64_t at)
{
	fprintf(out, "%s\n{\"ph\":\"%s\",\"name\":\"%s\",\"pid\":%u,\"tid\":%u,\"ts\":%.3f",
		first_event ? "" : ",", phase, name, pid, tid, usec(at));
	first_event = false;
}

/* Remembers that the track exists, so that it gets its name at the end. */
static unsigned track(unsigned container, unsigned thread)
{
	for (size_t i = track_count; i-- > 0;)
		if (tracks[i].container == container && tracks[i].thread == thread)
			return thread;
	tracks = must(realloc(tracks, (track_count + 1) * sizeof *tracks));
	tracks[track_count++] = (struct track){ container, thread };
	return thread;
}

static void name_track(unsigned pid, unsigned tid, const char *kind, const char *name)
{
	begin_event("M", kind, pid, tid, 0);
	fprintf(out, ",\"args\":{\"name\":\"%s\"}}", name);
}

static void name_tracks(void)
{
	unsigned last = UINT32_MAX;
	char name[120];

	name_track(PID_CPUS, 0, "process_name", "CPUs");
	for (size_t i = 0; i < track_count; i++) {
		unsigned container = tracks[i].container, thread = tracks[i].thread;

		if (container != last) {
			char *label = container ? container_label((int)container) : text("host");
			snprintf(name, sizeof name, "container %u (%s)", container, label);
			name_track(container + 1, 0, "process_name", name);
			free(label);
		}
		last = container;
		snprintf(name, sizeof name, thread >= TID_TASK ? "task %u" : "CPU %u",
			 thread >= TID_TASK ? thread - TID_TASK : thread - TID_CPU);
		name_track(container + 1, thread, "thread_name", name);
		if (thread < TID_TASK)
			name_track(PID_CPUS, thread, "thread_name", name);
	}
}

/* --- who runs --- */

static void span_end(unsigned cpu, uint64_t at)
{
	struct span *s = &running[cpu];
	char name[40];

	if (!s->open)
		return;
	s->open = false;
	snprintf(name, sizeof name, "task %u", s->tid);
	begin_event("X", name, s->container + 1, track(s->container, TID_CPU + cpu), s->since);
	fprintf(out, ",\"dur\":%.3f,\"cat\":\"run\"}", usec(at - s->since));
	snprintf(name, sizeof name, "container %u", s->container);
	begin_event("X", name, PID_CPUS, TID_CPU + cpu, s->since);
	fprintf(out, ",\"dur\":%.3f,\"cat\":\"cpu\",\"args\":{\"task\":%u}}", usec(at - s->since),
		s->tid);
}

static void on_switch(const struct event *e)
{
	struct span *s = &running[e->cpu];
	unsigned container = (unsigned)strtoul(e->a, NULL, 10);
	unsigned tid = (unsigned)strtoul(e->b, NULL, 10);

	/* The first one is from a task to itself: it tells who runs. */
	if (s->open && s->container == container && s->tid == tid)
		return;
	span_end(e->cpu, e->time);
	*s = (struct span){ tid != 0, e->time, container, tid };
}

/* --- system calls --- */

static struct call *call_find(const struct event *e)
{
	for (size_t i = 0; i < call_count; i++)
		if (calls[i].container == e->container && calls[i].tid == e->tid)
			return &calls[i];
	return NULL;
}

static void on_syscall(const struct event *e)
{
	struct call *c = call_find(e);

	if (!c) {
		calls = must(realloc(calls, (call_count + 1) * sizeof *calls));
		c = &calls[call_count++];
	}
	*c = (struct call){ .since = e->time, .container = e->container, .tid = e->tid };
	snprintf(c->name, sizeof c->name, "%s", e->a);
}

static void on_sysret(const struct event *e)
{
	struct call *c = call_find(e);

	if (!c)
		return;
	begin_event("X", c->name, e->container + 1, track(e->container, TID_TASK + e->tid),
		    c->since);
	fprintf(out, ",\"dur\":%.3f,\"cat\":\"syscall\",\"args\":{\"result\":\"%s\"}}",
		usec(e->time - c->since), e->b);
	*c = calls[--call_count];
}

/* --- the rest --- */

static void on_instant(const struct event *e)
{
	/* A state and a throttle belong to the container that they are about. */
	bool about = !strcmp(e->what, "container") || !strcmp(e->what, "throttle");
	unsigned container = about ? (unsigned)strtoul(e->a, NULL, 10) : e->container;

	begin_event("i", e->what, container + 1, track(container, TID_CPU + e->cpu), e->time);
	fprintf(out,
		",\"s\":\"t\",\"cat\":\"event\",\"args\":{\"task\":%u,\"a\":\"%s\",\"b\":\"%s\"}}",
		e->tid, e->a, e->b);
}

static void on_line(const char *line, uint64_t *last)
{
	struct event e;

	if (sscanf(line, "%" SCNu64 " %u %u %u %23s %39s %39s", &e.time, &e.cpu, &e.container,
		   &e.tid, e.what, e.a, e.b) != 7 ||
	    e.cpu >= CPUS)
		return;
	*last = e.time;
	if (!strcmp(e.what, "switch"))
		on_switch(&e);
	else if (!strcmp(e.what, "syscall"))
		on_syscall(&e);
	else if (!strcmp(e.what, "sysret"))
		on_sysret(&e);
	else
		on_instant(&e);
}

/* --- reading --- */

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Until `end` or a signal, with what happened before that; a read gives whole lines. */
static int follow(int fd, uint64_t end)
{
	static char buffer[BUFFER];
	const struct timespec pause = { 0, PAUSE_NSEC };
	uint64_t last = 0;

	while (last < end) {
		ssize_t n;

		if (interrupted) {
			end = now() < end ? now() : end;
			interrupted = 0;
		}
		n = read(fd, buffer, sizeof buffer - 1);
		if (n < 0 && errno == EAGAIN) {
			if (now() >= end)
				break;
			nanosleep(&pause, NULL);
			continue;
		}
		if (n < 0 && errno != EINTR)
			return fail_errno(errno, "trace");
		buffer[n > 0 ? n : 0] = '\0';
		for (char *line = buffer, *next; (next = strchr(line, '\n')); line = next + 1) {
			*next = '\0';
			on_line(line, &last);
		}
	}
	last = now() > last ? now() : last;
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		span_end(cpu, last);
	return 0;
}

static int open_trace(const struct request *r)
{
	char path[64] = "/sys/container/self/trace";
	int id, fd;

	if (r->operand_count) {
		if (container_find(r->operands[0], &id))
			return -1;
		snprintf(path, sizeof path, "/sys/container/%d/trace", id);
	}
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fail_errno(errno, "%s", path);
	return fd;
}

int do_trace(struct request *r)
{
	struct sigaction act = { .sa_handler = on_signal };
	int fd, status;

	out = r->output ? fopen(r->output, "we") : stdout;
	if (!out)
		return fail_errno(errno, "%s", r->output);
	fd = open_trace(r);
	if (fd < 0)
		return EXIT_CTOOL;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	fprintf(out, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
	first_event = true;
	status = follow(fd, r->timed ? now() + r->seconds * 1000000000ull : UINT64_MAX);
	close(fd);
	name_tracks();
	fprintf(out, "\n]}\n");
	if (out != stdout && fclose(out) && !status)
		status = fail_errno(errno, "%s", r->output);
	return status;
}
