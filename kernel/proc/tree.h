/* SPDX-License-Identifier: MIT */
/*
 * tree.h - the links between processes, groups and sessions, between the files
 * of proc. All under tree_lock unless said.
 */
#ifndef PROC_TREE_H
#define PROC_TREE_H

#include "proc/process.h"

/* process.c */
/* p, with its pid, becomes visible: child of parent (NULL: nobody's), member of g. */
void process_link(struct process *p, struct process *parent, struct process_group *g);
void process_unlink(struct process *p);
/*
 * fn for each process in t, under tree_lock. No lock is held: it is let go now and then, until all those
 * have been shown who were there at first; those born meanwhile are shown without a pause. So when fn is
 * a deadly signal nobody is left.
 */
void processes_walk(struct pid_table *t, void (*fn)(struct process *p, void *arg), void *arg);
void process_add_thread(struct process *p, struct task *t); /* takes signal_lock */
/* The lowest table in which p has an entry: where it was born to its parent, who finds it there. */
struct pid_table *process_home(const struct process *p);
/* current's process, which entered containers, stays: what was kept for its way back goes. */
void process_forget_way_back(struct process *p);

/* exit.c */
/*
 * p's children that were born in `only` (NULL: all), at most `max`, go to who inherits orphans, or are
 * left to the kernel. Those that are reaped by this are put on `dead`, for processes_release(). False: some
 * are left.
 */
bool process_reparent_children(struct process *p, struct pid_table *only, u32 max,
			       struct list *dead);
/* A zombie that has been waited for, or for whom nobody will wait: out of the tree. */
void process_reap(struct process *p);
/* After process_reap, with no lock held: drops what it held. */
void process_release(struct process *p);
void processes_release(struct list *dead);
/* A parent that waits in vfork for t may go on: t has left its address space. Takes tree_lock. */
void vfork_release(struct task *t);
/* t leaves its address space (and wakes its vfork parent). */
void task_drop_aspace(struct task *t);
/* RES_PIDS and RLIMIT_NPROC of a thread that is gone. */
void task_uncharge(struct task *t);

/* user_work.c */
void task_run_callbacks(void); /* of current */

/* job.c */
void job_init(void);
/* A session and group without members, for session_start(): -ENOMEM. No lock. */
int session_create(struct owner *o, struct session **s, struct process_group **g);
void session_destroy_unused(struct session *s, struct process_group *g);
/* They get p's pid as their ids; p is the leader and in no group. Takes over the references. */
void session_start(struct session *s, struct process_group *g, struct process *p);
void group_add(struct process_group *g, struct process *p);
void group_remove(struct process *p); /* p->group, which may be freed; nothing if NULL */
/*
 * One that joins a container keeps its group, and so its id and session, for its return: counted.
 * Then exactly one of the others is due. A leader leads its session again.
 */
struct process_group *group_go_away(struct process *p);
void group_come_back(struct process *p, struct process_group *g);
void group_stay_away(struct process_group *g);
/* p ends or moves away from its parent: groups that become orphaned and have stopped members hear
 * of it. */
void job_parent_left(struct process *child, struct process *ending);
/* p, a session leader, ends. Takes tree_lock itself. */
void session_leader_exit(struct process *p);

#endif
