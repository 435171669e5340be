/* SPDX-License-Identifier: MIT */
/* event.h - what happened to a container and to those inside it. event.c tells the story. */
#ifndef CONTAINER_EVENT_H
#define CONTAINER_EVENT_H

#include "abi/container.h"
#include "core/wait.h"

struct container;
struct text;

enum event_kind {
	EVENT_CREATED,
	EVENT_STARTED,
	EVENT_PAUSED,
	EVENT_RESUMED,
	EVENT_STOPPED, /* value: exit status as wait4's, or -1: it never had a pid 1 */
	EVENT_DESTROYED,
	EVENT_OOM,    /* value: pid of who was killed */
	EVENT_LIMIT,  /* value: the resource */
	EVENT_KILLED, /* the same: it went beyond it, and on_limit says kill */
	EVENT_DENIED, /* value: pid of who was killed by the system-call filter */
	EVENT_KINDS,
};

struct event {
	s64 time; /* realtime ns */
	s64 value;
	u32 container;
	u16 kind;
	u16 repeated; /* so many more of these followed at once */
};

#define EVENTS_FIRST 4 /* of a container in which little has happened yet */
#define EVENTS_KEPT  16
struct event_log {
	spinlock_t lock;    /* E; RANK_NOTIFY */
	u32 size;	    /* E: of ring */
	struct event *ring; /* E: first, or from kmalloc; the host's: its own */
	u64 count;	    /* E: events so far */
	u64 lost;	    /* E: how many of them were pushed out of `first` */
	struct waitq changed;
	struct event first[EVENTS_FIRST];
};

void event_log_init(struct event_log *l);
void event_log_destroy(struct event_log *l); /* nobody writes to it any more */
void event_init(struct container *host);     /* the host keeps more; hears of refusals */
void event_add(struct container *c, enum event_kind kind, s64 value);
/* c, whose lock is held, goes from one state to another. */
void event_state(struct container *c, enum container_state from, enum container_state to);
/* c went beyond a limit: if its on_limit says so, all inside are killed. No lock is held. */
void event_limit(struct container *c, unsigned resource);

/* the control files */
int event_show(void *object, struct text *t);
struct waitq *event_changed(void *object, const u64 **generation);
int on_limit_show(void *object, struct text *t);
int on_limit_store(void *object, char *s, size_t n);

#endif
