/* SPDX-License-Identifier: MIT */
/*
 * job.h - process groups and sessions (POSIX.1, 2.2.2; man 2 setpgid), seen from
 * the terminals, which lie below proc. proc/job.c implements all of this.
 * Guarded by the process tree lock unless said otherwise.
 */
#ifndef CORE_JOB_H
#define CORE_JOB_H

#include "core/ref.h"
#include "lib/list.h"

struct tty;
struct task;
struct pid_table;

struct session {
	ref_t refs;
	u32 sid;		/* in the container where it was made */
	struct pid_table *pids; /* of that container */
	struct owner *owner;
	struct tty *tty;	/* controlling terminal; tty layer's lock (RANK_TTY_LOCK) */
	struct process *leader; /* NULL once the leader has ended */
	struct list groups;
};

struct process_group {
	ref_t refs;
	u32 pgid;
	struct session *session; /* counted */
	struct list members;	 /* process->group_node */
	u32 away;		 /* members that joined a container and may come back */
	struct list session_node;
};

struct session *current_session(void);	   /* not counted; NULL: kernel thread */
struct process_group *current_group(void); /* not counted */
struct session *session_get(struct session *s);
void session_put(struct session *s);
struct process_group *group_get(struct process_group *g);
void group_put(struct process_group *g);
/* The group with that id in current's container: counted, or -ESRCH. */
int group_find(u32 pgid, struct process_group **out);

/* Sends sig (from the kernel, SI_KERNEL) to all members; safe with locks below RANK_PROCESS_TREE.
 */
void group_signal(struct process_group *g, int sig);
bool group_is_orphaned(
	struct process_group *g);     /* no member has a parent in the session outside it */
bool current_group_is_orphaned(void); /* the same of current's, taking the tree lock itself */
/* The terminal of s hung up: SIGHUP then SIGCONT to the leader and the foreground group. */
void session_hangup(struct session *s, struct process_group *foreground);
/* Would sig be ignored or blocked by current? (tty reads and writes in the background) */
bool signal_ignored_or_blocked(int sig);
bool current_is_session_leader(void);
/*
 * The tty layer's: the leader of s, which has a controlling terminal, ends. Hang it up for the
 * session. Called in the leader's context without locks. NULL: nothing to do.
 */
extern void (*session_leader_exit_hook)(struct session *s);

#endif
