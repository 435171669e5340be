/* SPDX-License-Identifier: MIT */
/*
 * container.h - the container object. container.c tells the whole story.
 *
 * A container is made of aspects, each owned by its subsystem: the container
 * layer initialises and destroys them and knows no foreign field. Container 0,
 * the host, is a static object like any other.
 */
#ifndef CONTAINER_CONTAINER_H
#define CONTAINER_CONTAINER_H

#include "abi/container.h"
#include "container/event.h"
#include "container/filter.h"
#include "container/log.h"
#include "core/owner.h"
#include "fs/context.h"
#include "proc/process.h"

struct container {
	struct owner owner; /* identity, place in the tree, account; constant */
	ref_t refs;	    /* addressable: handles, children, processes */
	spinlock_t lock;    /* C; RANK_CONTAINER; ancestors first */
	struct mutex admin; /* A: one start, stop or destroy at a time; RANK_CONTAINER_ADMIN */
	enum container_state state; /* C; for others: container_state_shown() */
	u64 generation;		    /* C: counts changes of state */
	struct waitq changed;	    /* condition's lock is C */
	struct waitq thaw;	    /* tasks that this pauses, also below, park here; C */
	u32 alive;		    /* C: processes that live here and have not ended */
	bool has_init;		    /* C: it is, or was, started on a program */
	bool doomed;		    /* C: being destroyed; nobody is born here any more */
	int exit_status;	    /* C: of pid 1, as wait4 tells it */
	u32 creator;		    /* uid; constant */
	int console;		    /* virtual console or -1; constant */

	bool uid_map_written, gid_map_written; /* A */
	struct usermap *usermap_before;	       /* A: counted; what the second of both replaced */

	struct container *parent;		  /* counted; constant */
	struct list children, sibling;		  /* C of the parent */
	struct hlist_node name_node;		  /* names_lock */
	char name[CONTAINER_NAME_MAX];		  /* constant */
	char *root_text;			  /* the path given as root, for people; constant */
	s64 created, started;			  /* realtime ns; started: C */
	u64 dead_minor_faults, dead_major_faults; /* C: of processes that have ended */

	struct mount_table *mounts; /* aspects */
	struct superblock *base;    /* what its root is a clone of, or NULL; goes with mounts; A */
	struct pid_table pids;
	struct sched_group *cpu; /* constant */
	struct uts uts;
	struct filter filter;
	struct event_log events;
	struct output_log log;
	bool memory_log;    /* addresses asked for are logged; WRITE_ONCE by who manages it */
	bool kill_on_limit; /* who exceeds a limit ends it; WRITE_ONCE by who manages it */
	struct notifier *notifier; /* C: who answers for the filter; NULL: nobody */
	struct rcu_head rcu;
};

#define CONTAINER_FLAGS \
	(CONTAINER_F_READ_ONLY | CONTAINER_F_KILL_ON_LIMIT | CONTAINER_F_VIEW | CONTAINER_F_IMAGE)

/* What becomes a container's root. */
struct container_root {
	const struct path *directory; /* of current's view; NULL: a clone of */
	const char *image;	      /* this volume; NULL: current's view, as of now */
	bool compared;		      /* of a view: what changes can be told later (`diff`) */
	bool kept;		      /* of `image`: the volume itself */
	const char *text;	      /* what people call it */
};

struct text;

extern struct container host_container;

static inline struct container *current_container(void)
{
	return container_of(current->owner, struct container, owner);
}

/* container_name.c: publish gives c its id (the one in c->owner, if not 0) and name, and makes both
 * known: -EEXIST, -EAGAIN, -ENOMEM. unpublish: false if somebody else has done it. */
void container_names_init(void);
bool container_name_valid(const char *s);
int container_publish(struct container *c);
bool container_unpublish(struct container *c);
void container_init(void); /* the host; before process_start_init */
/* Gives the host its mount table, once there is one. */
void container_init_host_mounts(struct mount_table *mounts);

struct container *container_get(struct container *c);
void container_put(struct container *c);
/* By id, if it is a descendant of the viewer: counted; else -ESRCH. */
int container_find(const struct owner *viewer, u32 id, struct container **out);
/* The viewer's next descendant with an id >= *id, counted; false: none. */
bool container_next(const struct owner *viewer, u32 *id, struct container **out);

/* A new one, CREATED, without processes, counted for the caller. */
int container_create(const struct container_spec *spec, const struct container_root *root,
		     struct container **out);
/* For create_container: of current's view, to be joined; it has no pid 1. */
int container_create_joinable(struct container **out);
#define CONTAINER_ROOT_VIEW "host" /* root_text of one whose root is a view */
/* container_pause.c */
int container_pause(struct container *c);  /* -EINVAL unless RUNNING */
int container_resume(struct container *c); /* -EINVAL unless PAUSED in its own right */
/* RUNNING below one that is PAUSED is PAUSED, too. */
enum container_state container_state_shown(const struct container *c);
int container_stop(struct container *c); /* kills all inside, waits for their end: -ERESTARTSYS */
void container_kill_all(struct container *c); /* does not wait */
int container_destroy(struct container *c);   /* -ESRCH if somebody else did; -ERESTARTSYS */
/* A child of current, born inside: its pid as current knows it. */
s64 container_fork(struct container *c, struct trapframe *frame);
/* member.c: current moves in (-EINVAL: paused, or not started), or back: see process_enter. */
int container_join(struct container *c);
int container_leave(void);
void container_info(struct container *c, struct cinfo *info);
/* current may manage c: it made it, or has CAP_SYS_ADMIN in an ancestor. 0 or -EPERM */
int container_may_manage(const struct container *c);
/* The same for any container, the host's too: nobody manages his own. For control files. */
int container_may_manage_from_outside(const struct container *c);
/* A new one takes over the CPUs that its parent may use (control_cpu.c). */
void container_inherit_cpus(struct container *c);
/* By id, counted, if current may manage it: -ESRCH, -EPERM. */
int container_manageable(int cid, struct container **out);
void container_set_policy(struct container *c, const struct sched_policy *p);
const char *container_state_name(enum container_state s);

/* trace_file.c: the control file `trace`; a new container is traced if its parent is */
extern const struct file_ops trace_file_ops;
void trace_inherit(struct container *c);

/* control_disk.c: its files, as long as it is not being destroyed: -ESRCH. Counted. */
int container_open_files(struct container *c, struct superblock **files, struct superblock **base);

/* memory_map.c */
int memory_map_open(void *object, bool write);
int memory_map_show(void *object, struct text *t);

void memory_log_init(void); /* memory_log.c */

/* oom.c: mm has somebody to ask whom to kill */
void oom_init(void);

/* control.c: the filesystem of /sys, type "sysfs" */
extern const struct fs_type control_fs_type;

#endif
