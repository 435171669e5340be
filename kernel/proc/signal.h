/* SPDX-License-Identifier: MIT */
/*
 * signal.h - signals (man 7 signal, sigaction(2), sigqueue(3)).
 *
 * Each task has a private pending set, each process a shared one; standard
 * signals are kept once, real-time ones queued in order, with siginfo, up to
 * RLIMIT_SIGPENDING. All of a process's signal state is under its signal_lock.
 * A signal is delivered on the way to user mode (task_user_work), where a frame
 * is built, or the default action taken.
 */
#ifndef PROC_SIGNAL_H
#define PROC_SIGNAL_H

#include "core/task.h"
#include "core/time.h"
#include "lib/radix.h"

#define NSIG 64
typedef u64 sigset_t; /* bit n-1: signal n */
#define SIGBIT(n) (1ull << ((n)-1))

enum {
	SIGHUP = 1,
	SIGINT,
	SIGQUIT,
	SIGILL,
	SIGTRAP,
	SIGABRT,
	SIGBUS,
	SIGFPE,
	SIGKILL,
	SIGUSR1,
	SIGSEGV,
	SIGUSR2,
	SIGPIPE,
	SIGALRM,
	SIGTERM,
	SIGSTKFLT,
	SIGCHLD,
	SIGCONT,
	SIGSTOP,
	SIGTSTP,
	SIGTTIN,
	SIGTTOU,
	SIGURG,
	SIGXCPU,
	SIGXFSZ,
	SIGVTALRM,
	SIGPROF,
	SIGWINCH,
	SIGIO,
	SIGPWR,
	SIGSYS,
	SIGRTMIN = 32, /* as the kernel counts: libcs keep the first two or three for themselves */
};

/* siginfo_t of x86-64: 128 bytes; the union's members at Linux's offsets. */
struct siginfo {
	s32 signo, errno_, code, pad;
	union {
		struct {
			s32 pid;
			u32 uid;
			u64 value;
		} kill; /* kill, sigqueue (value) */
		struct {
			s32 timer_id, overrun;
			u64 value;
		} timer;
		struct {
			s32 pid;
			u32 uid;
			s32 status, pad;
			s64 utime, stime;
		} child; /* clock ticks */
		struct {
			u64 address;
			s16 address_lsb;
			u64 lower, upper;
		} fault;
		struct {
			s64 band;
			s32 fd;
		} poll;
		struct {
			u64 call_address;
			s32 syscall;
			u32 arch;
		} sys;
		u8 bytes[112];
	};
};
_Static_assert(sizeof(struct siginfo) == 128, "siginfo_t is 128 bytes");
#define SI_USER	  0
#define SI_KERNEL 0x80
#define SI_QUEUE  (-1)
#define SI_TIMER  (-2)
#define SI_TKILL  (-6)

struct sigaction_kernel { /* struct sigaction of the x86-64 call */
	u64 handler, flags, restorer, mask;
};
#define SIG_DFL	     0
#define SIG_IGN	     1
#define SA_NOCLDSTOP 1u
#define SA_NOCLDWAIT 2u
#define SA_SIGINFO   4u
#define SA_RESTORER  0x04000000u
#define SA_ONSTACK   0x08000000u
#define SA_RESTART   0x10000000u
#define SA_NODEFER   0x40000000u
#define SA_RESETHAND 0x80000000u

/*
 * The entries of one signal make a chain: the oldest stands in the queue, the others behind it, so that
 * finding one, and dropping all, does not look at those of other signals.
 */
struct sigqueue_entry {
	struct list
		node; /* S: in sigpending->queue, or in `same` of the oldest; empty: not queued */
	struct list same; /* S: of the oldest: the younger ones */
	struct siginfo info;
	struct posix_timer *timer; /* preallocated entry of a timer, or NULL */
};
struct sigpending {
	sigset_t set;
	struct list queue; /* the oldest entry of each signal: at most NSIG */
};

struct sigactions {
	struct rcu_head rcu;
	struct sigaction_kernel action[NSIG];
};
struct sighand { /* handlers: shared by threads and by CLONE_SIGHAND */
	ref_t refs;
	/* S, readers RCU. NULL, as most programs leave it: `ignored` are SIG_IGN, others SIG_DFL.
	 */
	struct sigactions *set;
	sigset_t ignored; /* S; means something only without a table */
};
/* What p does on sig, 1 to NSIG. Good until the caller sleeps; a change by sigaction_set(). */
const struct sigaction_kernel *sigaction_of(const struct process *p, int sig);
bool sigaction_is_plain(const struct sigaction_kernel *a); /* needs no table */
/* S held. `spare` is used if there is no table yet, and then is NULL. */
void sigaction_set(struct process *p, int sig, const struct sigaction_kernel *a,
		   struct sigactions **spare);
void sigaction_reset(struct process *p, int sig); /* to SIG_DFL, flags and mask stay; S held */
struct sigactions *sigactions_alloc(void);
void sigactions_free(struct sigactions *s);

/* A CPU-time timer: expires when the process has used that much. */
struct cpu_timer {
	ktime_t expires; /* in CPU time; KTIME_NEVER: not armed */
	ktime_t interval;
};

/*
 * Stopping: RUNNING -> STOPPING (a stop signal was taken; threads park one by
 * one) -> STOPPED (the last has parked; the parent is told) -> RUNNING (SIGCONT,
 * or SIGKILL). Changed under signal_lock.
 */
enum stop_state { STOP_NONE, STOP_STOPPING, STOP_STOPPED };

struct signal_shared { /* per process; owned by it; signal_lock unless said */
	struct sighand *hand;
	struct sigpending pending;
	struct process *process;
	enum stop_state stop;
	u32 stop_left;	   /* threads that have not parked yet */
	int notify_parent; /* CLD_STOPPED or CLD_CONTINUED that a thread must still report; 0 */
	struct waitq parked;
	struct timer real_timer; /* ITIMER_REAL, alarm */
	ktime_t real_expires;	 /* KTIME_NEVER: not armed */
	ktime_t real_interval;
	bool real_waits;       /* it has expired: armed again when SIGALRM is taken */
	struct timer cpu_poll; /* looks at the CPU clock when a cpu_timer could expire */
	struct cpu_timer virt, prof, limit; /* user time, all time, RLIMIT_CPU */
	struct idmap posix_timers;	    /* id -> struct posix_timer */
	struct tree posix_due;		    /* those of them that are armed, by when they are due */
	struct timer posix_timer;	    /* armed for the first of those, or earlier */
	u32 queued;			    /* entries, against RLIMIT_SIGPENDING */
};

struct task_signals { /* per task; task->signals */
	struct sigpending pending;
	sigset_t blocked, saved_blocked; /* saved: see WORK_RESTORE */
	u64 altstack_base, altstack_size;
	u32 altstack_flags;
	int pdeath_signal;
	sigset_t waiting; /* what sigtimedwait sleeps for */
	sigset_t forced;  /* faults that kill even pid 1 of a container */
	u64 fault_error;  /* for the signal frame (REG_ERR, REG_TRAPNO) */
	int fault_trapno;
};

int signals_create_task(struct task *t, const struct task *parent); /* -ENOMEM */
void signals_destroy_task(struct task *t);
/* share_hand: CLONE_SIGHAND. parent NULL: defaults. */
int signals_create_process(struct process *p, const struct process *parent, bool share_hand,
			   bool clear_hand);
void signals_destroy_process(struct process *p);
void signals_exec(struct process *p); /* handlers to default, altstack gone, timers as POSIX says */

/* --- sending --- */
/* To a process (any thread takes it) or one task. Rights are the caller's business. */
int signal_send_process(struct process *p, int sig, const struct siginfo *info);
int signal_send_task(struct task *t, int sig, const struct siginfo *info);
/* Either (t NULL: to the process), with signal_lock held. */
int signal_send_locked(struct process *p, struct task *t, int sig, const struct siginfo *info);
void signal_init_info(struct siginfo *i, int sig,
		      int code); /* with current's pid (0 if unseen) and uid */
bool signal_may(const struct process *target, int sig); /* kill(2)'s permission rule */
/* SIGKILL to every thread: cannot be blocked; wakes from stop and pause. */
void signal_kill_process(struct process *p);
void signal_notify_parent(struct process *child, int code); /* SIGCHLD with CLD_*; tree_lock held */

/* --- masks --- */
void signal_set_blocked(sigset_t mask); /* current; recomputes WORK_SIGNAL */
/* For sigsuspend, ppoll, pselect, epoll_pwait: until the next delivery or return. */
void signal_set_blocked_temporarily(sigset_t mask);
/* core/task.h: signal_mask_replace, signal_mask_restore */
int signal_mask_from_user(uaddr_t p, size_t size, sigset_t *out); /* -EINVAL if size != 8 */
void signal_recompute(struct task *t); /* WORK_SIGNAL from pending and blocked; signal_lock held */

/* From task_user_work: delivers or acts on what is pending; handles syscall restart. */
void signal_deliver(struct trapframe *f);

/* A thread has left process->threads: others take over what it was to handle. signal_lock held. */
void signal_thread_left(struct process *p);

/* Queued entries (signal.c), for those that send and dequeue. */
struct sigqueue_entry *sigqueue_alloc(struct process *p, bool force); /* NULL: limit or memory */
void sigqueue_free(struct process *p, struct sigqueue_entry *e);
void sigpending_init(struct sigpending *p);
void sigpending_append(struct sigpending *s, struct sigqueue_entry *e); /* by e->info.signo */
void sigqueue_unlink(struct sigqueue_entry *e); /* out of its queue, if in one */
/* At most SIGPENDING_STEP entries of `set`; false: some are left, call again. */
#define SIGPENDING_STEP 64
bool sigpending_remove(struct process *p, struct sigpending *s, sigset_t set);
/* The same of all queues of p. */
bool signal_discard(struct process *p, sigset_t set);
void signals_exit_thread(void); /* current ends: its own queue; takes S */
/* Takes the next signal of `set` (or, any_order false, in delivery order): its number or 0. */
int signal_dequeue(struct task *t, sigset_t allowed, struct siginfo *info);
/* Arms again a POSIX timer whose signal was taken, and tells its overrun count. */
void posix_timer_dequeued(struct posix_timer *t, struct siginfo *info);
s64 posix_timer_taken(struct posix_timer *t); /* the same of one that nobody takes; its overrun */
/* As posix_timer_taken, for ITIMER_REAL; and for all timers of a signal that is ignored no more. */
void real_timer_taken(struct signal_shared *sh);
void posix_timers_unignored(struct process *p, int sig);
void posix_timers_fire(struct timer *timer);	/* of signal_shared->posix_timer */
void timers_destroy_process(struct process *p); /* interval and POSIX timers; sleeps */
void timers_exec(struct process *p);		/* POSIX timers do not survive exec */
void timers_init_process(struct process *p);
void cpu_limit_changed(struct process *p); /* RLIMIT_CPU was set */

/* clocks (proc/clock.c): -EINVAL for an unknown id */
int clock_read(s32 id, s64 *ns);

static inline bool signal_is_stop(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}
#define SIGSET_STOP    (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))
#define SIGSET_IGNORED (SIGBIT(SIGCHLD) | SIGBIT(SIGCONT) | SIGBIT(SIGURG) | SIGBIT(SIGWINCH))
#define SIGSET_SYNC                                                                             \
	(SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) | \
	 SIGBIT(SIGSYS))
#define SIGSET_UNBLOCKABLE (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))

enum { CLD_EXITED = 1, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED };

#endif
