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

#define NSIG 64
typedef u64 sigset_t; /* bit n-1: signal n */
#define SIGBIT(n) (1ull << ((n) - 1))

enum {
	SIGHUP = 1, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV,
	SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN,
	SIGTTOU, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS,
	SIGRTMIN = 32,
};

/* siginfo_t of x86-64: 128 bytes; the union's members at Linux's offsets. */
struct siginfo {
	s32 signo, errno_, code, pad;
	union {
		struct { s32 pid; u32 uid; u64 value; } kill;      /* kill, sigqueue (value) */
		struct { s32 timer_id, overrun; u64 value; } timer;
		struct { s32 pid; u32 uid; s32 status, pad; s64 utime, stime; } child; /* clock ticks */
		struct { u64 address; s16 address_lsb; u64 lower, upper; } fault;
		struct { s64 band; s32 fd; } poll;
		struct { u64 call_address; s32 syscall; u32 arch; } sys;
		u8 bytes[112];
	};
};
_Static_assert(sizeof(struct siginfo) == 128, "siginfo_t is 128 bytes");
#define SI_USER 0
#define SI_KERNEL 0x80
#define SI_QUEUE (-1)
#define SI_TIMER (-2)
#define SI_TKILL (-6)

struct sigaction_kernel { /* struct sigaction of the x86-64 call */
	u64 handler, flags, restorer, mask;
};
#define SIG_DFL 0
#define SIG_IGN 1
#define SA_NOCLDSTOP 1u
#define SA_NOCLDWAIT 2u
#define SA_SIGINFO   4u
#define SA_RESTORER  0x04000000u
#define SA_ONSTACK   0x08000000u
#define SA_RESTART   0x10000000u
#define SA_NODEFER   0x40000000u
#define SA_RESETHAND 0x80000000u

struct sigqueue_entry {
	struct list node;
	struct siginfo info;
	struct posix_timer *timer; /* preallocated entry of a timer, or NULL */
};
struct sigpending {
	sigset_t set;
	struct list queue;
};

struct sighand { /* handlers: shared by threads and by CLONE_SIGHAND */
	ref_t refs;
	struct sigaction_kernel action[NSIG];
};

struct signal_shared { /* per process; owned by it */
	struct sighand *hand;
	struct sigpending pending;
	struct process *process;
	struct timer real_timer;      /* ITIMER_REAL, alarm */
	ktime_t real_interval;
	ktime_t virt_left, virt_interval, prof_left, prof_interval;
	struct list posix_timers;
	u32 next_timer_id;
	u32 queued;                   /* entries, against RLIMIT_SIGPENDING */
};

struct task_signals { /* per task; task->signals */
	struct sigpending pending;
	sigset_t blocked, saved_blocked; /* saved: see WORK_RESTORE */
	u64 altstack_base, altstack_size;
	u32 altstack_flags;
	int pdeath_signal;
};

int signals_create_task(struct task *t, const struct task *parent);     /* -ENOMEM */
void signals_destroy_task(struct task *t);
/* share_hand: CLONE_SIGHAND. parent NULL: defaults. */
int signals_create_process(struct process *p, const struct process *parent, bool share_hand, bool clear_hand);
void signals_destroy_process(struct process *p);
void signals_exec(struct process *p); /* handlers to default, altstack gone, timers as POSIX says */

/* --- sending --- */
/* To a process (any thread takes it) or one task. Rights are the caller's business. */
int signal_send_process(struct process *p, int sig, const struct siginfo *info);
int signal_send_task(struct task *t, int sig, const struct siginfo *info);
void signal_init_info(struct siginfo *i, int sig, int code); /* with current's pid (0 if unseen) and uid */
bool signal_may(const struct process *target, int sig);      /* kill(2)'s permission rule */
/* SIGKILL to every thread: cannot be blocked; wakes from stop and pause. */
void signal_kill_process(struct process *p);
void signal_notify_parent(struct process *child, int code); /* SIGCHLD with CLD_*; tree_lock held */

/* --- masks --- */
void signal_set_blocked(sigset_t mask); /* current; recomputes WORK_SIGNAL */
/* For sigsuspend, ppoll, pselect, epoll_pwait: until the next delivery or return. */
void signal_set_blocked_temporarily(sigset_t mask);
void signal_restore_blocked(void);
int signal_mask_from_user(uaddr_t p, size_t size, sigset_t *out); /* -EINVAL if size != 8 */
void signal_recompute(struct task *t);  /* WORK_SIGNAL from pending and blocked; signal_lock held */

/* From task_user_work: delivers or acts on what is pending; handles syscall restart. */
void signal_deliver(struct trapframe *f);

/* CPU-time interval timers, from the scheduler's tick. */
void signal_account_tick(struct task *t, ktime_t user, ktime_t system);

#endif
