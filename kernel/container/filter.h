/* SPDX-License-Identifier: MIT */
/*
 * filter.h - which system calls a container may make: allow, log, ask a manager,
 * answer with an errno, kill. filter.c enforces, filter_text.c reads and prints
 * the rules, notify.c asks.
 */
#ifndef CONTAINER_FILTER_H
#define CONTAINER_FILTER_H

#include "arch/x86/syscall.h"
#include "core/rcu.h"
#include "core/ref.h"

struct container;
struct text;

/* What may become of a call; the stricter has the higher number. */
enum filter_kind { FILTER_ALLOW, FILTER_NOTIFY, FILTER_ERRNO, FILTER_KILL };

/* One call's rule: the kind, whether it is recorded, and the errno. */
#define FILTER_RULE(kind, err) ((u16)((kind) << 12 | (err)))
#define FILTER_KIND(rule)      ((enum filter_kind)((rule) >> 12 & 7))
#define FILTER_LOG	       0x8000
#define FILTER_ERRNO_OF(rule)  ((rule)&0xfff)

struct filter_table {
	ref_t refs;
	struct rcu_head rcu;
	u16 rule[SYSCALL_TABLE_SIZE];
};

/* A container's: what was written for it, and that with the rules of all above it. */
struct filter {
	struct filter_table *own,
		*effective;		   /* filter_mutex; read under RCU. NULL: all is allowed */
	struct filter_table *pending;	   /* filter_mutex: effective, in a change */
	u64 errnos, kills, logs, notified; /* calls so far; atomic */
};

void filter_init(void);
/*
 * Around the publication of a new container, so that nobody changes what it takes over
 * from its parent meanwhile: its rules, and whether it is traced (trace_file.c).
 */
void filter_lock(void);
void filter_unlock(void);
void filter_inherit(struct container *c);
void filter_destroy(struct filter *f); /* with its container: nobody lives in it */
/* The rules of c and of all below it change at once, or not at all: -ENOMEM. t is taken over. */
int filter_set(struct container *c, struct filter_table *t);

/* filter_text.c: *out NULL: no rule. -EINVAL, -ENOMEM. s is changed. */
int filter_parse(char *s, struct filter_table **out);
void filter_print(const struct filter_table *t, struct text *out);
void filter_table_put(struct filter_table *t); /* NULL is fine */

/* the control files */
int filter_show(void *object, struct text *t);
int filter_show_effective(void *object, struct text *t);
int filter_show_events(void *object, struct text *t);
int filter_store(void *object, char *s, size_t n);

#endif
