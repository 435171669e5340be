/* SPDX-License-Identifier: MIT */
/*
 * event.c - what happened to a container and to those inside it: the control file
 * `events`. A line is
 *
 *	NUMBER TIME ID EVENT [WORD=VALUE...]	(TIME: seconds since the epoch)
 *
 * Each container keeps the last few, the host more; an event goes into the log of
 * its container and of all above it, so self/events of the host tells everything. Logs
 * are bounded and cost the writer little: an event like the last one within a second
 * only adds to its count, so that no bomb inside pushes the others out. A change wakes
 * poll (POLLPRI).
 *
 * Refused charges come from core/account.c. Where on_limit says kill, a container that
 * goes beyond its limit of processes, or runs out of memory, is ended as a whole.
 */
#include "container/event.h"
#include "container/container.h"
#include "core/errno.h"
#include "core/time.h"
#include "fs/pseudo.h"
#include "lib/string.h"
#include "mm/slab.h"

#define EVENTS_HOST 512
#define SAME_WITHIN NSEC_PER_SEC

static const char *const event_names[EVENT_KINDS] = {
	[EVENT_CREATED] = "created", [EVENT_STARTED] = "started", [EVENT_PAUSED] = "paused",
	[EVENT_RESUMED] = "resumed", [EVENT_STOPPED] = "stopped", [EVENT_DESTROYED] = "destroyed",
	[EVENT_OOM] = "oom",	     [EVENT_LIMIT] = "limit",	  [EVENT_KILLED] = "killed",
	[EVENT_DENIED] = "denied",
};

static struct event host_events[EVENTS_HOST];

void event_log_init(struct event_log *l)
{
	spin_init(&l->lock, RANK_NOTIFY);
	waitq_init(&l->changed);
	l->ring = l->first;
	l->size = EVENTS_FIRST;
}

void event_log_destroy(struct event_log *l)
{
	if (l->ring != l->first)
		kfree(l->ring);
}

/* --- writing --- */

static bool event_repeats(const struct event *last, const struct event *e)
{
	return last->kind == e->kind && last->container == e->container &&
	       e->time - last->time < SAME_WITHIN && last->value == e->value &&
	       last->repeated < UINT16_MAX;
}

/* From the first few to as many as are kept; without memory for it the few remain. E. */
static void log_grow(struct event_log *l)
{
	struct event *ring = kmalloc(EVENTS_KEPT * sizeof(*ring), KM_ACCOUNT);

	if (!ring)
		return;
	l->lost = l->count - l->size;
	for (u64 n = l->lost; n < l->count; n++)
		ring[n % EVENTS_KEPT] = l->ring[n % l->size];
	l->ring = ring;
	l->size = EVENTS_KEPT;
}

static void log_add(struct event_log *l, const struct event *e)
{
	struct event *last;

	spin_lock(&l->lock);
	if (l->size == EVENTS_FIRST && l->count >= EVENTS_FIRST)
		log_grow(l);
	last = l->count ? &l->ring[(l->count - 1) % l->size] : NULL;
	if (last && event_repeats(last, e))
		last->repeated++;
	else
		l->ring[l->count++ % l->size] = *e;
	waitq_wake_all(&l->changed, 0);
	spin_unlock(&l->lock);
}

void event_add(struct container *c, enum event_kind kind, s64 value)
{
	const struct event e = {
		.time = realtime_get(), .kind = kind, .container = c->owner.id, .value = value
	};

	for (; c; c = c->parent)
		log_add(&c->events, &e);
}

void event_state(struct container *c, enum container_state from, enum container_state to)
{
	switch (to) {
	case CONTAINER_RUNNING:
		event_add(c, from == CONTAINER_PAUSED ? EVENT_RESUMED : EVENT_STARTED, 0);
		break;
	case CONTAINER_PAUSED:
		event_add(c, EVENT_PAUSED, 0);
		break;
	case CONTAINER_CREATED:
	case CONTAINER_STOPPED:
		event_add(c, EVENT_STOPPED, to == CONTAINER_STOPPED ? c->exit_status : -1);
		break;
	case CONTAINER_STOPPING:
		break;
	}
}

void event_limit(struct container *c, unsigned resource)
{
	if (!READ_ONCE(c->kill_on_limit)) {
		event_add(c, EVENT_LIMIT, resource);
		return;
	}
	event_add(c, EVENT_KILLED, resource);
	container_kill_all(c);
}

/* core/account.c: a charge was refused because of the limit of `by`. */
static void on_refusal(struct account *by, enum resource what)
{
	struct container *c;

	if (READ_ONCE(by->released) || container_find(&host_container.owner, by->id, &c))
		return;
	event_limit(c, what);
	container_put(c);
}

void event_init(struct container *host)
{
	host->events.ring = host_events;
	host->events.size = EVENTS_HOST;
	account_refusal = on_refusal;
}

/* --- the control files --- */

static void event_print(struct text *t, u64 number, const struct event *e)
{
	static const char *const resource[RES_COUNT] = {
		[RES_MEMORY] = "memory", [RES_PIDS] = "pids",	  [RES_FILES] = "files",
		[RES_DISK] = "disk",	 [RES_INODES] = "inodes",
	};

	text_printf(t, "%lu %ld.%06ld %u %s", number, (long)(e->time / NSEC_PER_SEC),
		    (long)(e->time % NSEC_PER_SEC / NSEC_PER_USEC), e->container,
		    event_names[e->kind]);
	if (e->kind == EVENT_STOPPED && e->value >= 0)
		text_printf(t, " status=%ld", (long)e->value);
	else if (e->kind == EVENT_OOM || e->kind == EVENT_DENIED)
		text_printf(t, " pid=%ld", (long)e->value);
	else if (e->kind == EVENT_LIMIT || e->kind == EVENT_KILLED)
		text_printf(t, " of=%s", resource[e->value]);
	if (e->repeated)
		text_printf(t, " times=%u", e->repeated + 1);
	text_append(t, "\n", 1);
}

int event_show(void *object, struct text *t)
{
	struct event_log *l = &((struct container *)object)->events;
	u64 at = 0;

	for (;;) {
		struct event e;
		u64 count;

		spin_lock(&l->lock);
		count = l->count;
		at = MAX(at, l->lost);
		at = MAX(at, count > l->size ? count - l->size : 0);
		if (at < count)
			e = l->ring[at % l->size];
		spin_unlock(&l->lock);
		if (at >= count)
			return 0;
		event_print(t, ++at, &e);
	}
}

struct waitq *event_changed(void *object, const u64 **generation)
{
	struct event_log *l = &((struct container *)object)->events;

	*generation = &l->count;
	return &l->changed;
}

int on_limit_show(void *object, struct text *t)
{
	const struct container *c = object;

	text_printf(t, "%s\n", READ_ONCE(c->kill_on_limit) ? "kill" : "errno");
	return 0;
}

int on_limit_store(void *object, char *s, size_t n)
{
	struct container *c = object;
	bool kill = !strcmp(s, "kill");

	if (!kill && strcmp(s, "errno"))
		return -EINVAL;
	WRITE_ONCE(c->kill_on_limit, kill);
	return 0;
}
