/* SPDX-License-Identifier: MIT */
/*
 * task.h - the schedulable entity: what Linux calls a thread. Core owns the
 * struct because every layer asks about `current`; each layer owns the object
 * behind its pointer (the table says which) and alone looks inside.
 *
 * Functions marked "in proc" are declared here because lower layers need them;
 * proc/ implements them. That is the one place where a call goes up.
 *
 * States: TASK_NEW -> RUNNABLE <-> SLEEPING, RUNNABLE -> DEAD.
 *   task_create (proc)           NEW
 *   sched_start                  NEW -> RUNNABLE
 *   sched_sleep (through waitq)  RUNNABLE -> SLEEPING
 *   sched_wake                   SLEEPING -> RUNNABLE
 *   task_exit (proc)             RUNNABLE -> DEAD; freed after its last switch
 */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include "core/callback.h"
#include "core/cred.h"
#include "core/ref.h"
#include "core/wait.h"
#include "lib/tree.h"

struct aspace;	   /* mm/aspace.h */
struct fd_table;   /* fs/fdtable.h */
struct fs_context; /* fs/context.h: root, cwd, umask, mount table */
struct process;	   /* proc/process.h: the thread group */
struct container;  /* container/container.h */
struct trapframe;  /* arch/x86/trap.h */
struct rlimits;	   /* core/rlimit.h */

enum task_state { TASK_NEW, TASK_RUNNABLE, TASK_SLEEPING, TASK_DEAD };

/* task->work: reasons to leave the fast path before going back to user mode. */
#define WORK_RESCHED  BIT(0)  /* another task is due */
#define WORK_SIGNAL   BIT(1)  /* a signal may be deliverable (see signal_pending) */
#define WORK_PAUSE    BIT(2)  /* the container is paused: park */
#define WORK_KILLED   BIT(3)  /* SIGKILL or group exit: killable sleeps end */
#define WORK_STOP     BIT(4)  /* job-control stop is pending */
#define WORK_RESTORE  BIT(5)  /* restore the signal mask saved by sigsuspend, ppoll, ... */
#define WORK_CALLBACK BIT(6)  /* task->callbacks is not empty */
#define WORK_THROTTLE BIT(7)  /* the container has used up its cpu.max: wait for more */
#define WORK_RECLAIM  BIT(9)  /* the container is over memory.high: reclaim, and wait */
#define WORK_IO	      BIT(10) /* the container is over its io.max: wait */
#define WORK_LENT     BIT(8)  /* it was lent time while it held a lock: give that back */

/* How an interrupted call goes on (restart_syscall(2)). */
struct restart {
	s64 (*fn)(struct restart *r);
	u64 arg[5];
};

struct sched_group;  /* proc/sched.h: the share of a container */
struct sched_policy; /* proc/sched.h */

struct sched_entity {			     /* proc/sched's; R: runqueue lock of its CPU */
	struct tree_node node;		     /* R: in its queue */
	struct sched_group *group;	     /* R: whose share it uses */
	const struct sched_policy *keyed_by; /* R: whose idea key is; NULL: nobody's */
	u64 key;			     /* R: its place in its queue, as the policy likes it */
	u64 vruntime;			     /* R: run time in ns, times slowness */
	u32 cpu;			     /* R: where it runs or last ran */
	u32 slowness;	     /* R: virtual per real run time, 16.16; from nice and policy */
	bool on_queue;	     /* R */
	bool on_cpu;	     /* its stack is in use: no other CPU may run it */
	s8 nice;	     /* R */
	u8 policy;	     /* R: SCHED_* */
	u8 rt_priority;	     /* R: 1..99 for SCHED_FIFO and SCHED_RR, else 0 */
	u8 rank;	     /* R: rt_priority, or SCHED_LENT while `lent` */
	bool lent;	     /* R: it holds a mutex that others wait for */
	bool reset_on_fork;  /* R */
	bool in_system;	     /* the last tick hit it in the kernel */
	bool held;	     /* it waits at the border for cpu.max */
	u64 affinity;	     /* R: what it asked for: bit per CPU */
	u64 allowed;	     /* R: of those, what cpuset.cpus permits */
	ktime_t slice_start; /* R: when it was last put on the CPU */
	ktime_t slice_used;  /* R: of its present turn among its container's tasks */
	ktime_t queued_at;   /* R: roughly, of the host's tasks */
	ktime_t waited;	     /* R: in queues; not booked yet; not kept of the host's tasks */
	u64 switches_voluntary, switches_involuntary;
};

struct task {
	/* Read by entry.S and the switch code: offsets are checked there. */
	u64 kernel_rsp;	 /* 0: of a task that does not run */
	u64 kstack_top;	 /* 8 */
	u64 work;	 /* 16: WORK_*, atomic; only for `current` without atomics to test */
	u64 user_fsbase; /* 24 */
	u64 user_gsbase; /* 32 */
	void *fpu;	 /* 40: XSAVE area (arch/x86/fpu.c); NULL: initial state, never used */

	enum task_state state; /* runqueue lock of its CPU; SLEEPING and back by current itself */
	spinlock_t lock;
	ref_t refs;
	u32 tid; /* id in the container where it lives; constant but for join/leave */
	struct sched_entity sched;

	struct aspace *aspace;	 /* NULL: kernel thread; changed by exec and exit only */
	struct fd_table *files;	 /* counted; changed by current only */
	struct fs_context *fs;	 /* counted; changed by current only */
	struct process *process; /* constant */
	struct cred *cred;	 /* replaced by current only; others read under RCU */
	struct rlimits *rlimits; /* the process's; constant */
	struct owner *owner;	 /* its container's; changes at join/leave only */
	struct account
		*account; /* what its allocations are charged to: owner's, or a borrowed one */
	struct container *container;

	struct list thread_node; /* in process->threads; process tree lock */
	void *signals;		 /* proc/signal.h: private pending set, mask, altstack */
	struct restart restart;
	struct task_callback *callbacks; /* pushed atomically by anyone, run by current */
	uaddr_t clear_tid;		 /* set_tid_address(2) */
	uaddr_t set_child_tid; /* CLONE_CHILD_SETTID: written by the child when it first runs ... */
	struct task_callback birth; /* ... by this */
	uaddr_t robust_list;	    /* set_robust_list(2) */
	uaddr_t rseq;		    /* rseq(2): unused until implemented */
	u32 exit_code;
	bool exiting;		   /* in task_exit: no more signals */
	struct task *vfork_waiter; /* whom to wake at exec or exit; tree_lock */
	u64 timer_slack;	   /* ns (prctl PR_SET_TIMERSLACK); 0: the default */

	ktime_t utime, stime; /* ns; own CPU's only, read racily by others */
	ktime_t time_mark;    /* when the running span began */
	ktime_t start_time;
	u64 minor_faults, major_faults;
	ktime_t io_until;	 /* with WORK_IO: wait no longer than that */
	u64 io_read, io_written; /* bytes through read and write */
	char name[16];		 /* comm (prctl PR_SET_NAME); NUL-terminated */

	void *kstack;
	struct account *writes_for;    /* who opened the file that is being written; NULL: itself */
	struct account *stack_account; /* who pays for kstack; counted */
	struct account
		*pids_account; /* where this thread counts in RES_PIDS; counted; NULL: nowhere */
	u32 counted_uid;       /* real user it counts for (RLIMIT_NPROC) */
	bool nproc_exceeded;   /* setuid went beyond RLIMIT_NPROC: exec will fail */
	struct aspace
		*dead_aspace; /* dropped after the last switch, when its tables are not loaded */
	/* Copies that stand for user memory during this call (arch/x86/uaccess.h); current only. */
	struct user_shadow *shadow;
	bool faults_at_once; /* what is not present now is a fault of copy_from_user_now(); current
				only */
	uaddr_t fault_address; /* last user fault */
	u8 uaccess_depth;      /* debug: inside copy_{to,from}_user */
#if DEBUG
	struct mutex *mutexes;	  /* held, innermost first */
	u16 rwmutexes[RANK_SPIN]; /* held for reading or writing, by rank */
	u32 rcu_depth;
#endif
	u32 allocate_nofail_depth;
	u32 inject_countdown; /* debug: fail the n-th allocation from now (core/inject.h) */
	struct rcu_head rcu;
};

/* --- the scheduler, in proc (proc/sched.c) --- */

/* Switches away. The caller has set its state and released its locks: use waitq_sleep. */
void schedule(void);
/*
 * For waitq_sleep and its like: sched_prepare_sleep() marks current SLEEPING;
 * after publishing itself the caller calls sched_sleep(deadline), which switches
 * away unless a wake-up came in between. Returns true if the deadline passed.
 */
void sched_prepare_sleep(void);
bool sched_sleep(ktime_t deadline);
void sched_cancel_sleep(void);
/* Makes t runnable if it sleeps. Any context, up to RANK_TASK. True if it did. */
bool sched_wake(struct task *t);
/*
 * t holds a lock that current is about to wait for: it runs before all others until
 * sched_lend_end(), at the latest on its way to user mode, on the time of its own container.
 * t cannot end meanwhile. Up to RANK_TASK.
 */
void sched_lend(struct task *t);
void sched_lend_end(void); /* current has given it up */

/* --- tasks, in proc --- */
struct task *task_get(struct task *t);
void task_put(struct task *t);
/* A kernel thread running fn(arg) in container 0: -ENOMEM. It ends when fn returns. */
int kthread_create(const char *name, void (*fn)(void *arg), void *arg, struct task **out);

u32 current_pid(void); /* what getpid() answers; 0: kernel thread */

/* --- signals, in proc (proc/signal.c) --- */

/* A sleep of this kind must end: a deliverable signal, or (killable) a kill, is pending. */
static inline bool signal_pending(void)
{
	return READ_ONCE(current->work) & (WORK_SIGNAL | WORK_KILLED);
}
static inline bool kill_pending(void)
{
	return READ_ONCE(current->work) & WORK_KILLED;
}
/* Sends sig to current's process as kill(getpid(), sig) by the kernel would (SIGPIPE, SIGXFSZ). */
void signal_send_self(int sig);
/* A synchronous fault of current: forced on it even if blocked (man 2 sigaction, si_code). */
void signal_fault(int sig, int code, uaddr_t address, int trapno, u64 error_code);

/* ppoll and its like: current's mask becomes the user's for the length of the call. -EINVAL,
 * -EFAULT */
int signal_mask_replace(uaddr_t mask, size_t size);
void signal_mask_restore(void); /* if no signal ended the call */

/* Before returning to user mode, with task->work != 0; called by arch, may not return. */
void task_user_work(struct trapframe *frame);

static inline void task_set_work(struct task *t, u64 bits)
{
	__atomic_fetch_or(&t->work, bits, __ATOMIC_SEQ_CST);
}
static inline void task_clear_work(struct task *t, u64 bits)
{
	__atomic_fetch_and(&t->work, ~bits, __ATOMIC_SEQ_CST);
}
void task_callback_add(struct task *t, struct task_callback *cb);

/* Ids in current's container: what it means by one (ID_NONE: nobody), and what it is told. */
static inline u32 uid_given(u32 id)
{
	return uid_to_global(current->owner->usermap, id);
}
static inline u32 gid_given(u32 id)
{
	return gid_to_global(current->owner->usermap, id);
}
static inline u32 uid_shown(u32 id)
{
	return uid_shown_by(current->owner->usermap, id);
}
static inline u32 gid_shown(u32 id)
{
	return gid_shown_by(current->owner->usermap, id);
}

#endif
