/* SPDX-License-Identifier: MIT */
/*
 * container.h - the container object. See container.c for the whole story.
 *
 * It is made of aspects, each owned by its subsystem. Container 0, the host, is
 * a static object like any other.
 */
#ifndef CONTAINER_CONTAINER_H
#define CONTAINER_CONTAINER_H

#include "abi/container.h"
#include "core/owner.h"
#include "fs/context.h"
#include "proc/process.h"

struct container {
	struct owner owner;      /* identity, place in the tree, account */
	ref_t refs;              /* addressable: handles, children, processes */
	enum container_state state; /* C */
	spinlock_t lock;         /* C; RANK_CONTAINER */
	struct mutex admin;      /* one start, stop or destroy at a time; RANK_CONTAINER_ADMIN */
	struct container *parent;
	struct list children, sibling; /* C of the parent */
	u32 alive;               /* C: processes that live here */
	bool started_on_program; /* it has (had) a pid 1 */
	bool paused;
	bool dying;              /* destroy has begun */
	u32 pause_generation;
	int exit_status;
	int console;             /* virtual console, or -1 */
	char name[CONTAINER_NAME_MAX];
	char *root_text;         /* the path given as root, for people */
	struct waitq changed;    /* state changes; pollers of the control file */
	u64 generation;          /* C: counts them */
	struct waitq thaw;       /* paused tasks park here */
	ktime_t created, started; /* realtime ns */
	ktime_t dead_utime, dead_stime; /* C: of processes that are gone */

	struct mount_table *mounts;
	struct pid_table pids;
	struct uts {
		char hostname[65], domainname[65];
	} uts;                   /* C */
	struct rcu_head rcu;
};

extern struct container host_container;

static inline struct container *current_container(void) { return current->container; }
struct container *container_get(struct container *c);
void container_put(struct container *c);
/* By id, if current's container sees it (its own descendants): counted; -ESRCH otherwise. */
int container_find(u32 id, struct container **out);

#endif
