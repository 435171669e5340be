/* SPDX-License-Identifier: MIT */
/*
 * process.h - the process: a group of tasks (threads) with one pid, and the tree
 * of processes, groups and sessions.
 *
 * A process points to counted objects: address space, descriptors, file context,
 * signal handlers; clone(2)'s flags say of each: share or copy.
 *
 * A pid is an entry in the pid table of a container. A process has one entry per
 * container that it has entered, in a small stack; the top is where it lives.
 * Zombies keep their entries until they are reaped.
 *
 * Locks: tree_lock (RANK_PROCESS_TREE, global, held briefly) guards parents,
 * children, threads, groups, sessions and exit states. Finding a pid is RCU.
 *
 * States: ALIVE -> ZOMBIE (last thread has exited; parent notified)
 *         -> REAPED (waited for, or nobody will) -> freed by reference count.
 */
#ifndef PROC_PROCESS_H
#define PROC_PROCESS_H

#include "core/job.h"
#include "core/mutex.h"
#include "core/rlimit.h"
#include "core/task.h"
#include "core/time.h"
#include "lib/radix.h"

struct signal_shared; /* proc/signal.h */

struct pid_table { /* an aspect of struct container: c->pids */
	spinlock_t lock;    /* RANK_PID */
	struct idmap ids;   /* id -> struct pid_entry; readers RCU */
	struct process *init; /* pid 1, who inherits orphans; NULL: the kernel reaps */
	u32 processes;      /* alive here, zombies included; tree_lock */
	struct list all;    /* every process with an entry here; tree_lock (readers of /proc walk by id) */
	struct owner *owner;
};
#define PID_MAX 4194304

/* One id: it may name a task, a process, a group and a session at once. */
struct pid_entry {
	u32 id;
	struct pid_table *table;
	struct task *task;               /* the thread with this tid */
	struct process *process;         /* if it is (or was) a thread-group leader's */
	struct process_group *group;     /* if it is a pgid */
	struct session *session;         /* if it is a sid */
	u32 users;                       /* of the four above; freed at 0; table->lock */
	struct rcu_head rcu;
};

void pid_table_init(struct pid_table *t, struct owner *owner, u32 first); /* first: 1, or 2 for create_container's */
void pid_table_destroy(struct pid_table *t);

enum process_state { PROCESS_ALIVE, PROCESS_ZOMBIE, PROCESS_REAPED };

struct process {
	ref_t refs;
	enum process_state state;     /* tree_lock */
	struct process *parent;       /* tree_lock; counted */
	struct list children, sibling; /* tree_lock */
	struct list threads;          /* task->thread_node; changed under tree_lock and signal_lock, read under either */
	u32 thread_count;             /* tree_lock: not yet exited */
	struct task *leader;
	struct process_group *group;  /* tree_lock */
	struct list group_node;       /* tree_lock */
	struct list table_node;       /* tree_lock: pids->all */

	struct container *container;  /* where it lives */
	struct pid_table *pids;       /* of that container */
	u32 pid;                      /* there */
	struct { /* if it entered from outside: where its parent finds it; else table NULL */
		struct pid_table *table;
		u32 pid;
	} outer;

	struct signal_shared *signals; /* handlers, shared pending set, timers */
	spinlock_t signal_lock;       /* RANK_SIGNAL: pending sets and masks of all threads, handlers */
	struct rlimits rlimits;       /* written under signal_lock */

	u32 exit_status;              /* as wait4 reports it; tree_lock */
	int exit_signal;              /* sent to the parent; SIGCHLD, or clone's */
	bool exiting;                 /* group exit has begun: signal_lock */
	bool execed;                  /* since fork: setpgid by the parent is refused */
	bool stopped, stop_reported, continued; /* job control; signal_lock + tree_lock */
	int stop_signal;
	struct waitq child_wait;      /* wait4 sleeps here */
	struct task *vfork_waiter;    /* whom to wake at exec or exit; tree_lock */
	struct mutex exec_lock;       /* RANK_EXEC */
	bool dumpable, no_new_privs, child_subreaper;
	u32 personality;
	ktime_t start_time;
	/* Sums over exited threads, and over waited-for children. */
	ktime_t dead_utime, dead_stime, child_utime, child_stime;
	u64 dead_minflt, dead_majflt, child_minflt, child_majflt;
	u64 dead_nvcsw, dead_nivcsw, child_nvcsw, child_nivcsw;
	s64 peak_rss, child_peak_rss; /* pages */
	struct rcu_head rcu;
};

extern spinlock_t tree_lock;
static inline struct process *current_process(void) { return current->process; }

struct process *process_get(struct process *p);
void process_put(struct process *p);
/* In current's container: counted, or -ESRCH. Zombies are found too. */
int process_find(u32 pid, struct process **out);
int task_find(u32 tid, struct task **out);
/* The pid of p as current's container knows it: 0 if it cannot be seen from there. */
u32 process_pid_in(const struct process *p, const struct pid_table *t);
u32 process_ppid(const struct process *p); /* 0 if the parent is outside */

/* What clone, fork, vfork, clone3 and cfork come down to. */
struct clone_request {
	u64 flags;         /* CLONE_*, without the exit signal */
	int exit_signal;
	uaddr_t stack;     /* new stack pointer; 0: the parent's */
	uaddr_t parent_tid, child_tid, tls;
	struct container *into; /* born there (cfork); NULL: where current lives */
	u32 set_tid;       /* 0: any */
};
/* The child's pid in current's container, or -EAGAIN, -ENOMEM, -EINVAL, ... */
s64 process_clone(const struct clone_request *r, const struct trapframe *frame);

void process_exit(u32 status) __noreturn;      /* the whole group; status as wait4's */
void task_exit(u32 status) __noreturn;         /* this thread */
/* Kills every other thread of current's process and waits until they are gone (exec). */
int process_kill_other_threads(void);
/* Starts /init (or init= of the command line) as pid 1 of the host; panics if it cannot. */
void process_start_init(void);
/* Kills every process of a container; wakes all. Does not wait. */
void container_processes_kill(struct pid_table *t);

int exec_file(int dirfd, const char *path, int flags, uaddr_t argv, uaddr_t envp); /* current */
int exec_kernel(const char *path, const char *const argv[], const char *const envp[]);

void process_init(void);
void sched_init(void);
void sched_init_cpu(void);
void sched_start(struct task *t); /* first wake-up of a new task */
void sched_idle_loop(void) __noreturn;
void sched_tick(void);           /* from the timer interrupt */
int task_create(struct process *p, struct task **out); /* kernel stack, fpu, charged to current->account */
/* CPU time of one task, the running span included. */
void process_account_time(struct task *t, ktime_t *utime, ktime_t *stime);
/* Of all its threads, dead ones too; signal_lock held. */
void process_cpu_time(struct process *p, ktime_t *utime, ktime_t *stime);

#endif
