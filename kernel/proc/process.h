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
 * Zombies keep their entries until they are reaped. An entry below the top is
 * found by the process's parent alone: for others outside it does not exist.
 *
 * Locks, by letter:
 *   P  tree_lock (RANK_PROCESS_TREE, global, held briefly, never while sleeping):
 *      parents, children, threads, groups, sessions, exit states
 *   S  process->signal_lock (RANK_SIGNAL)
 *   T  pid_table->lock (RANK_PID); finding an id needs RCU only
 *
 * Who holds what: a task counts its process; a process counts its leader (until
 * it is reaped) and its parent; being in the tree and in the pid tables counts
 * once (dropped when reaped). Memory of tasks, processes and pid entries keeps
 * its type until a grace period after the free, so that a finder under RCU may
 * try to take a reference and then look whether it got whom it wanted.
 *
 * States: ALIVE -> ZOMBIE (last thread has exited; parent notified)
 *         -> REAPED (waited for, or nobody will) -> freed by reference count.
 *   process_become_zombie (exit.c)   ALIVE -> ZOMBIE
 *   process_reap (exit.c)            ZOMBIE -> REAPED
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
struct fs_context;

/* Names of a container, as uname(2) shows them. */
struct uts {
	spinlock_t lock; /* RANK_PID */
	char hostname[65], domainname[65];
};

extern const char uts_release[]; /* the version of Linux whose calls these are */

/* What proc keeps of a container: an aspect of struct container, c->pids. */
struct pid_table {
	spinlock_t lock;      /* T */
	struct idmap ids;     /* T: id -> struct pid_entry; readers RCU */
	struct process *init; /* P: pid 1, who inherits orphans; NULL: the kernel reaps */
	u32 processes;	      /* P: with an entry here, zombies included */
	struct list all;      /* P: those processes (readers of /proc walk by id), by table_place */
	u64 places;	      /* P: the table_place of the youngest there ever was */
	struct owner *owner;  /* constant, as the next four */
	struct container *container;
	struct uts *uts;
	u64 born;		   /* P: processes that were born here */
	struct sched_group *group; /* whose share of the CPUs its processes use */
	u32 kills; /* P: how often all here were killed: who was on the way in dies, too */
	bool is_host;
};
#define PID_MAX 4194304

/* One id: it may name a task, a process, a group and a session at once. */
struct pid_entry {
	u32 id;
	u32 users; /* T: of the four below; freed at 0 */
	struct pid_table *table;
	struct task *task;	     /* the thread with this tid */
	struct process *process;     /* if it is (or was) a thread-group leader's */
	struct process_group *group; /* if it is a pgid */
	struct session *session;     /* if it is a sid */
};

/* first: 1, or 2 for create_container's. The table is the host's if owner has no parent. */
void pid_table_init(struct pid_table *t, struct owner *owner, u32 first);
void pid_table_destroy(struct pid_table *t);
/* Its first process is to be pid 1. */
static inline bool pid_table_wants_init(const struct pid_table *t)
{
	return t->ids.min == 1;
}
/* Sets WORK_PAUSE on all tasks here. After pause_sync() none of them runs a user instruction. */
void pid_table_pause(struct pid_table *t);
void pause_sync(void);
/* The next process here will be pid 1 again. False: ids are still in use. */
bool pid_table_rewind(struct pid_table *t);
/* The host's; container/ sets it before process_start_init(), else proc uses one of its own. */
extern struct pid_table *host_pids;

/*
 * What the container layer, which is above, wants to hear. Called without locks
 * unless said; container/ hands a table over with process_set_container_hooks().
 */
struct container_hooks {
	/* p will live in c: counts it as alive and takes a reference on c; -errno refuses. */
	int (*process_born)(struct container *c, struct process *p);
	/* p runs no more (its resources are back, it is not yet a zombie), or it moved away. */
	void (*process_gone)(struct container *c, struct process *p, u32 status);
	/* The struct process that lived in c is freed (any context, tree_lock may be held). */
	void (*process_freed)(struct container *c);
	/* current, on its way to user mode, has WORK_PAUSE: sleeps until resumed or killed. */
	void (*park)(void);
	/* reboot(2) inside c, which is not the host: ends c. False: c is the host. */
	bool (*reboot)(struct container *c, bool halt);
	/* What all processes of c and of its descendants have used. */
};
void process_set_container_hooks(const struct container_hooks *h);
extern const struct container_hooks *container_hooks; /* NULL until then */

enum process_state { PROCESS_ALIVE, PROCESS_ZOMBIE, PROCESS_REAPED };

struct pid_place {
	struct pid_table *table; /* NULL: none */
	u32 pid;
	struct pid_place *below; /* entries below that one */
	struct way_back *back;	 /* NULL: it was not there itself, or cannot go back any more */
};

/* What leave_container gives back to one that joined by itself. */
struct way_back {
	struct process_group *group; /* counted; keeps its id while it waits (group->away) */
	struct cred *cred;	     /* counted: what it had */
	struct cred *inside; /* counted: what it got; if it still is current's, ids never changed */
	struct fs_context *fs; /* counted */
};

struct process {
	ref_t refs;
	enum process_state state;      /* P */
	struct process *parent;	       /* P; counted */
	u32 parent_tid;		       /* P: of the parent's thread that made it (__WNOTHREAD) */
	struct list children, sibling; /* P; zombies come first among children */
	struct list threads; /* task->thread_node; changed under P and S, read under either */
	u32 thread_count;    /* P: their number */
	struct task *leader; /* P + S; counted; NULL once reaped */
	struct process_group *group; /* P; counted */
	struct session *session; /* = group->session; changed by its own threads only, under P */
	struct list group_node;	 /* P */
	struct list table_node;	 /* P: pids->all */
	u64 table_place;	 /* P: in it: grows */

	struct container *container; /* where it lives */
	struct pid_table *pids;	     /* of that container */
	u32 pid;		     /* there */
	struct pid_place outer;	     /* if it entered from outside: where its parent finds it */
	u32 kills_before;	     /* pids->kills before its birth was allowed */
	/* Whose program it runs: where it, or the ancestor whose memory it copied, has executed
	 * one. `container` or one around it; changed by itself only. */
	const struct owner *image;

	struct signal_shared *signals; /* handlers, shared pending set, timers */
	spinlock_t signal_lock;	       /* S: pending sets and masks of all threads, handlers */
	struct rlimits rlimits;	       /* S */

	u32 exit_status;     /* P: as wait4 reports it */
	int exit_signal;     /* P: sent to the parent; SIGCHLD, or clone's */
	bool exiting;	     /* S: group exit has begun; exit_status is decided */
	ktime_t dying_since; /* atomic: when the OOM killer first saw it dying; 0: it has not */
	bool execed;	     /* P: since fork: setpgid by the parent is refused */
	bool stopped, stop_reported, continued; /* job control; S + P */
	int stop_signal;
	struct task *exec_task;	 /* P: who execs, while it waits for the other threads to end */
	struct waitq child_wait; /* wait4 sleeps here; condition's lock is P */
	struct mutex exec_lock;	 /* RANK_EXEC */
	bool dumpable, no_new_privs, child_subreaper, thp_disabled;
	bool has_subreaper; /* an ancestor is one: look for it */
	u8 membarrier;	    /* registrations (membarrier(2)) */
	u32 personality;
	u32 exec_count, parent_exec_count; /* differ from the parent's: exit_signal is SIGCHLD */
	ktime_t start_time;
	/* P: sums over exited threads, and over waited-for children. */
	ktime_t dead_utime, dead_stime, child_utime, child_stime;
	u64 dead_minflt, dead_majflt, child_minflt, child_majflt;
	u64 dead_nvcsw, dead_nivcsw, child_nvcsw, child_nivcsw;
	s64 peak_rss, child_peak_rss; /* pages */
};

extern spinlock_t tree_lock;
static inline struct process *current_process(void)
{
	return current->process;
}

/* A new process in table t with no threads, groups or pid yet: -ENOMEM or the hook's error. */
int process_create(struct pid_table *t, struct process **out);
/* Undoes it, for one that was never visible: its container has one less to wait for. */
void process_abandon(struct process *p);
struct process *process_get(struct process *p);
void process_put(struct process *p);
struct task *process_leader(struct process *p); /* counted; NULL: it has been reaped */
/* In current's container: counted, or -ESRCH. Zombies are found too. */
int process_find(u32 pid, struct process **out);
int task_find(u32 tid, struct task **out);
/*
 * As process_find and task_find, in t; and the next process that lives there with pid >= *pid
 * (for /proc).
 */
int process_find_in(struct pid_table *t, u32 pid, struct process **out);
int task_find_in(struct pid_table *t, u32 tid, struct task **out);
int process_next_in(struct pid_table *t, u32 *pid, struct process **out);
/* The pid of p as a container knows it: 0 if it cannot be seen from there. */
u32 process_pid_in(const struct process *p, const struct pid_table *t);
u32 process_ppid(const struct process *p); /* 0 if the parent is outside */
/* The nth (from 0) living thread's tid of p, in order of birth; 0: no such. For /proc/PID/task. */
u32 process_thread_tid(struct process *p, unsigned nth);

/* What clone, fork, vfork, clone3 and cfork come down to. */
struct clone_request {
	u64 flags; /* CLONE_*, without the exit signal */
	int exit_signal;
	uaddr_t stack; /* new stack pointer; 0: the parent's */
	uaddr_t parent_tid, child_tid, tls;
	struct pid_table *into; /* born there (cfork); NULL: where current lives */
	struct fs_context
		*fs; /* with into: the child's root and cwd; the child takes its own reference */
	struct cred *cred; /* with into: who the child is there; it takes its own reference */
	u32 set_tid;	   /* 0: any */
};
/* The child's pid as its parent knows it, or -EAGAIN, -ENOMEM, -EINVAL, ... */
s64 process_clone(const struct clone_request *r, const struct trapframe *frame);

/*
 * join_container, leave_container: current, alone in its process, moves into t, of a descendant's
 * container, where it gets a pid and leads a session, and fs (one reference, taken over on
 * success) is what it sees; or back to where it came from, as it was there. Its children that
 * were born inside stay inside. What it was charged stays charged where it was; it counts as a
 * process, and for RLIMIT_NPROC, where it lives.
 * -EBUSY: it has threads, or shares its memory with a parent in vfork, or is pid 1, or leads a
 * session that has a terminal. -EPERM: it did not enter by itself, or has called execve or
 * changed its credentials since. -EAGAIN: processes, pids. -ENOMEM. -ESRCH: the container is
 * being stopped or destroyed.
 */
int process_enter(struct pid_table *t, struct fs_context *fs);
int process_leave(void);

void process_exit(u32 status) __noreturn; /* the whole group; status as wait4's */
void task_exit(u32 status) __noreturn;	  /* this thread */
/*
 * Begins a group exit: the other threads of p get WORK_KILLED. False if one had begun
 * before (its status stays), or another thread execs (which outlives the others).
 */
bool process_begin_exit(struct process *p, u32 status);
/* Kills every other thread of current's process and waits until they are gone (exec). */
int process_kill_other_threads(void);
/* Starts /init (or init= of the command line) as pid 1 of the host; panics if it cannot. */
void process_start_init(void);
/* Kills every process of a container; wakes all. Does not wait for their ends. No lock is held. */
void container_processes_kill(struct pid_table *t);

int exec_file(int dirfd, const char *path, int flags, uaddr_t argv, uaddr_t envp); /* current */

void process_init(void);
void sched_init(void); /* once, on the boot CPU, before sched_init_cpu there */
/* The context that calls this becomes the CPU's idle task (this_cpu()->task); may sleep no more. */
void sched_init_cpu(void);
void sched_start(struct task *t); /* first wake-up of a new task */
/* t's work word has changed: wakes it, or interrupts it if it runs elsewhere. */
void sched_kick(struct task *t);
void sched_idle_loop(void) __noreturn;
void sched_hold(void); /* current, on its way to user mode, has WORK_THROTTLE: waits */
/* Kernel stack, FPU area, signal state; charged to current->account. p NULL: kernel thread. */
int task_create(struct process *p, struct task **out);
/*
 * For /proc: what a CPU did since boot, and the load averages of a container, or of the machine for
 * the host's group (11 bits of fraction).
 */
struct sched_stats {
	ktime_t user, system, idle;
	u64 switches, voluntary, involuntary;
};
void sched_stats_of(unsigned cpu, struct sched_stats *s);
#define LOAD_SHIFT 11
#define LOAD_ONE   (1u << LOAD_SHIFT)
void sched_loadavg(struct sched_group *g, u64 load[3]);
u64 processes_born(void); /* in the whole machine */
u32 sched_runnable(void); /* tasks that run or wait for a CPU, now */
/*
 * What hangs on another task: these replace it under t->lock, so that those may look from
 * outside (counted; NULL: it has ended). The old objects are the caller's to put.
 */
void task_set_aspace(struct task *t, struct aspace *as);
void task_set_files(struct task *t, struct fd_table *files, struct fs_context *fs);
struct aspace *task_aspace(struct task *t);
struct fd_table *task_files(struct task *t);
struct fs_context *task_fs(struct task *t);
/* current may look into target as ptrace could: same ids, dumpable, or CAP_SYS_PTRACE (man 2
 * ptrace); and what runs there is not still a program of a container around current's own. */
bool process_may_look(struct process *target);
bool process_is_foreign(const struct process *target); /* such a program */
/* As in /proc/PID/stat: R running, S sleeping, T stopped, Z zombie, X dead (proc/status.c). */
char process_state_letter(struct process *p);
struct process_summary {
	char name[16], state;
	ktime_t utime, stime;
	u64 rss_bytes;
};
void process_summarise(struct process *p, struct process_summary *s);
/* CPU time of t up to now; of all of p's threads, those that have ended included. */
void process_account_time(struct task *t, ktime_t *utime, ktime_t *stime);
/* signal_lock or tree_lock held. */
void process_cpu_time(struct process *p, ktime_t *utime, ktime_t *stime);

#endif
