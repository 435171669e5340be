/* SPDX-License-Identifier: MIT */
/*
 * sched.h - what the files of the scheduler share.
 *
 *	sched.c		switching: who runs next on this CPU
 *	sched_time.c	time: booking it, slices, ticks
 *	sched_place.c	which CPU: waking, starting, stealing, affinity
 *	sched_group.c	level 1: which container, by weight (struct sched_group)
 *	sched_limit.c	cpu.max
 *	policy_*.c	level 2: which of a container's tasks (struct sched_policy)
 *	sched_sys.c	the calls of man 7 sched
 *
 * Locks: R is the lock of the run queue of the task's CPU. A task's CPU changes
 * under R of the old one; so whoever locks the queue of sched.cpu looks again.
 * The R of two CPUs are never held together (but see policy_manager.c).
 */
#ifndef PROC_SCHED_H
#define PROC_SCHED_H

#include "proc/process.h"
#include "core/time.h"

enum { SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE = 5 };
#define SCHED_RESET_ON_FORK 0x40000000
#define NICE_MIN	    (-20)
#define NICE_MAX	    19
#define SCHED_LENT	    100 /* rank of a task that others wait for; above all real-time ones */

#define SLICE	      (6 * NSEC_PER_MSEC)
#define SLEEPER_BONUS (3 * NSEC_PER_MSEC)
#define PREEMPT_GAIN  (1 * NSEC_PER_MSEC) /* who is woken must be that much more entitled */

/* --- level 2: one container's tasks --- */

struct runqueue;

/* Those that wait for one CPU, in the order in which they are due: by rank, then by key. */
struct sched_queue { /* R */
	const struct sched_policy *policy;
	struct tree tasks;
	struct tree_node *first;
	u32 count;
	u64 clock;    /* virtual time; never goes back: where newcomers join */
	u64 sequence; /* order of arrival */
};

enum sched_join {
	JOIN_NEW,	/* just made, or from another CPU or policy */
	JOIN_WOKEN,	/* it slept */
	JOIN_PREEMPTED, /* it ran until now */
};

/*
 * A policy orders the tasks of equal rank in a queue by giving each a key when it
 * joins. Const; all under R of rq; nothing here waits or allocates.
 */
struct sched_policy {
	const char *name;
	/* Gives t, which is about to wait in q, its key. */
	void (*join)(struct runqueue *rq, struct sched_queue *q, struct task *t,
		     enum sched_join how);
	/* Is `first`, which waits, to run instead of t? */
	bool (*preempts)(const struct task *first, const struct task *t, ktime_t now);
	/* How long t's turn is, if there are turns. Or NULL. */
	ktime_t (*turn)(const struct task *t);
	/* t moves from q of rq to another CPU's queue, whose R is not held: its key is made to
	 * fit. Or NULL. */
	void (*move)(struct runqueue *rq, struct sched_queue *q, const struct sched_queue *to,
		     struct task *t);
	/* t was chosen and is off q. Or NULL. */
	void (*chosen)(struct sched_queue *q, const struct task *t);
	/* Whom to choose of g's tasks; NULL: the first. Or NULL: always the first. */
	struct task *(*pick)(struct runqueue *rq, struct sched_group *g);
};
extern const struct sched_policy policy_rr, policy_fair, policy_prio, policy_lottery,
	policy_manager;
const struct sched_policy *sched_policy_find(const char *name); /* NULL: none */

/* --- policy_manager.c, for the descriptor that container_sched gives --- */

struct sched_manager;
struct vma;
struct poll_table;
/* -EBUSY: g has a manager; -ENOMEM. The caller keeps g. */
int sched_manager_create(struct sched_group *g, struct sched_manager **out);
void sched_manager_destroy(struct sched_manager *m);
void sched_manager_map(struct sched_manager *m, struct vma *v); /* for mmap(2) */
u32 sched_manager_poll(struct sched_manager *m, struct poll_table *pt);

/* What the policy sees of p, and what it did (policy.c). */
struct process_sched {
	char state;
	u32 cpu;
	int nice;
	u64 voluntary, involuntary, minor_faults, major_faults;
};
void process_sched_state(struct process *p, struct process_sched *s);

ktime_t sched_turn_equal(const struct task *t); /* SLICE */

#define task_of_node(n) container_of(n, struct task, sched.node)

static inline struct task *queue_first(const struct sched_queue *q)
{
	return q->first ? task_of_node(q->first) : NULL;
}

/* --- level 1: containers --- */

struct sched_usage { /* of a container and its descendants; not kept for the host */
	ktime_t user, system;
	u64 voluntary, involuntary; /* switches away from its tasks */
	ktime_t waited;		    /* runnable, for a CPU */
};

/* A group as one CPU sees it. R of that CPU. */
struct sched_node {
	struct sched_group *group;
	struct sched_queue queue; /* its own waiting tasks */
	struct tree children;	  /* nodes of child groups with waiting tasks, by key */
	struct tree_node *first_child;
	struct tree_node node; /* in the parent's children, if queued */
	u64 key;	       /* the group's vtime when it was put there: it may lag */
	bool queued;
	struct sched_usage used;
} __attribute__((aligned(64)));

/* cpu.max: so much time in each period. */
struct sched_limit {
	spinlock_t lock;      /* M; RANK_CPU_MAX */
	ktime_t quota;	      /* M; 0: no limit. Read racily */
	ktime_t period, ends; /* M */
	ktime_t left;	      /* M: of the present period; below 0: used in advance */
	bool hit;	      /* M: somebody waited in the present period */
	ktime_t hit_at;	      /* M */
	u64 periods, throttled;
	ktime_t throttled_time;
};

/* How many tasks were runnable, on average over 1, 5 and 15 minutes (loadavg.c). */
struct sched_load {
	spinlock_t lock; /* L; RANK_CPU_MAX */
	ktime_t due;	 /* L: of the next step. Read racily */
	ktime_t at;	 /* L: when the last step was */
	ktime_t sum;	 /* L: what the tasks had run and waited by then */
	u64 average[3];	 /* L */
};

/*
 * The share of a container. Its tasks, as one, and each of its children compete in
 * it by virtual time, which is global: CPU time, divided by the weight.
 */
struct sched_group {
	struct sched_group *parent; /* NULL: the host; counts as its child; constant */
	u32 depth;		    /* constant */
	u32 id;			    /* the container's */
	u32 weight;		    /* cpu.weight */
	u32 slowness;		    /* vtime per ns, 16.16: 100 / weight */
	u32 children;		    /* atomic: child groups that exist */
	bool log;		    /* say whom the policy chooses */
	u64 vtime;		    /* atomic: among its parent's members */
	u64 own_vtime;		    /* atomic: of its own tasks among its members */
	u64 clock;   /* racy: vtime of the member that is due; newcomers join near it */
	u64 cpus;    /* G: cpuset.cpus as it was set; 0: all */
	u64 allowed; /* G: of those, what all ancestors allow too */
	struct sched_limit limit;
	struct sched_load load;				      /* not kept for the host */
	const struct sched_policy *policy;		      /* G */
	struct sched_manager *manager;			      /* set atomically; readers RCU */
	struct pid_table *pids;				      /* constant */
	u64 manager_picks, manager_fallbacks, manager_stalls; /* racy counts */
	u64 lent;					      /* racy count */
	struct sched_node *nodes;			      /* one per CPU */
};
extern struct sched_group sched_host; /* of container 0 and of kernel threads */

#define WEIGHT_MIN     1
#define WEIGHT_DEFAULT 100
#define WEIGHT_MAX     10000

int sched_group_create(struct sched_group *parent, struct sched_group **out); /* -ENOMEM */
void sched_group_destroy(struct sched_group *g); /* no task is in it, and no child */
void sched_group_set_weight(struct sched_group *g, u32 weight);
void sched_group_set_policy(struct sched_group *g, const struct sched_policy *p);
void sched_group_usage(struct sched_group *g, struct sched_usage *u);
void sched_group_usage_on(struct sched_group *g, unsigned cpu, struct sched_usage *u); /* adds */
/* current belongs to g from now on (join, leave). */
void sched_group_enter(struct sched_group *g);

static inline struct sched_node *node_of(struct sched_group *g, unsigned cpu)
{
	return &g->nodes[cpu];
}
/* t's queue: its container's; the host's while it is lent time. */
static inline struct sched_queue *queue_of(const struct task *t, unsigned cpu)
{
	return &node_of(unlikely(t->sched.lent) ? &sched_host : t->sched.group, cpu)->queue;
}

/* R: t, which is RUNNABLE and has no queue, waits; or waits no more. */
void runqueue_insert(struct runqueue *rq, struct task *t, enum sched_join how);
void runqueue_remove(struct runqueue *rq, struct task *t);
/* Who is due among those that wait (R); NULL: nobody waits. */
struct task *runqueue_first(struct runqueue *rq);
/* The same, removed; the policy may have another opinion than the order. */
struct task *runqueue_take(struct runqueue *rq);
/* Is `first`, which waits, to run instead of t, which runs? */
bool sched_preempts_slow(const struct task *first, const struct task *t, ktime_t now);
static inline bool sched_preempts(const struct task *first, const struct task *t, ktime_t now)
{
	const struct sched_policy *p = t->sched.keyed_by;

	if (likely(p && p == first->sched.keyed_by && first->sched.group == t->sched.group))
		return p->preempts(first, t, now);
	return sched_preempts_slow(first, t, now);
}
/*
 * How far b is ahead of a in the time of their nearest common container. False: they are of one
 * container.
 */
bool group_lead(const struct sched_group *a, const struct sched_group *b, s64 *lead);
/* Books time of t, and a switch away from it, on its groups. R. What the host used is in rq->stats.
 */
void group_charge(struct task *t, unsigned cpu, ktime_t span, bool system, ktime_t now);
void group_count_switch(struct task *t, unsigned cpu, bool voluntary);
static inline bool group_alone(const struct sched_group *g)
{
	return !g->parent && !READ_ONCE(g->children);
}
void group_init_cpu(unsigned cpu);

/* --- cpu.max --- */

#define CPU_PERIOD_DEFAULT (100 * NSEC_PER_MSEC)
#define BUDGET_MIN	   (50 * NSEC_PER_USEC)

void sched_limit_init(struct sched_limit *l);
/* quota KTIME_NEVER: none. Values in ns; -EINVAL. */
int sched_limit_set(struct sched_limit *l, ktime_t quota, ktime_t period);
/* R or not: takes span from what is left. True: nothing is left. */
bool sched_limit_use(struct sched_limit *l, ktime_t span, ktime_t now);
void sched_limit_stat(struct sched_limit *l, u64 *periods, u64 *throttled, ktime_t *time);
/* How long t may run before somebody must look; KTIME_NEVER. 0: nothing is left. */
ktime_t sched_budget_slow(const struct task *t, ktime_t now);
static inline ktime_t sched_budget(const struct task *t, ktime_t now)
{
	for (const struct sched_group *g = t->sched.group; g->parent; g = g->parent)
		if (unlikely(READ_ONCE(g->limit.quota)))
			return sched_budget_slow(t, now);
	return KTIME_NEVER;
}

/* --- cpuset.cpus --- */

/* Where a task of g that asked for `affinity` may run; where its cpuset and that have nothing in
 * common, the cpuset counts. */
u64 group_allowed(const struct sched_group *g, u64 affinity);
/* t's group has got another `allowed`. */
void sched_confine_to_group(struct task *t);
static inline u64 cpus_online(void)
{
	return cpu_count == 64 ? ~0ull : BIT(cpu_count) - 1;
}
/*
 * 0: all. What is not among the parent's does not count; if nothing is left, the parent's do. G is
 * the caller's, who then calls sched_confine_to_group() for all tasks.
 */
void sched_group_set_cpus(struct sched_group *g, u64 mask);

/* --- run queues --- */

struct runqueue {
	spinlock_t lock;	  /* R; RANK_RUNQUEUE */
	unsigned cpu;		  /* constant */
	u32 count;		  /* R: tasks that wait */
	struct sched_node *root;  /* the host's on this CPU; constant */
	struct task *running;	  /* R: who has the CPU, or is being switched to */
	struct task *previous;	  /* own CPU only: who had it, until sched_finish_switch() */
	bool yielding;		  /* R: the running task steps behind the next */
	bool evicts;		  /* own CPU only: `previous` may not stay and waits nowhere yet */
	ktime_t now;		  /* R: when it was last looked at */
	struct waitq *wake_later; /* own CPU only: to be woken when R is released */
	struct timer tick;	  /* own CPU only */
	ktime_t tick_at;	  /* own CPU only: when it fires; KTIME_NEVER */
	ktime_t tick_span;	  /* own CPU only: distance to the next while nobody waits */
	ktime_t balanced;	  /* own CPU only: when it last looked at other queues */
	struct sched_stats stats; /* R */
};

extern PERCPU(struct runqueue, runqueues);
static inline struct runqueue *runqueue_of(unsigned cpu)
{
	return &percpu_of(runqueues, cpu);
}
static inline struct runqueue *runqueue_this(void)
{
	return &percpu_this(runqueues);
}
/* The locked run queue of t's CPU. */
struct runqueue *runqueue_lock_task(struct task *t);
u32 sched_slowness(u8 policy, s8 nice);
/* Under R: takes a waiting task out of its queue so that its key may change, and puts it back. */
bool runqueue_suspend(struct runqueue *rq, struct task *t);
/* new_class: it changed between normal and real-time. */
void runqueue_resume(struct runqueue *rq, struct task *t, bool was_queued, bool new_class);
/* Something about the tasks of a CPU has changed: it is to compare them again. */
void sched_compare(unsigned cpu);
/* New affinity: moves t if it stands or runs elsewhere. -EINVAL: it has no CPU that its container
 * has. */
int sched_set_affinity(struct task *t, u64 mask);

static inline bool sched_allowed(const struct task *t, unsigned cpu)
{
	return READ_ONCE(t->sched.allowed) >> cpu & 1;
}

/* --- between the files --- */

/* Books the time since the last mark on t, which runs. R, or t is current with interrupts off. */
void sched_account(struct runqueue *rq, struct task *t, ktime_t now);
/*
 * When this CPU must tick at the latest, or KTIME_NEVER if the timer is right as it is. Sets
 * WORK_THROTTLE if nothing is left of running's cpu.max.
 */
ktime_t sched_tick_wanted_slow(const struct runqueue *rq, struct task *running, ktime_t now);
static inline ktime_t sched_tick_wanted(const struct runqueue *rq, struct task *running,
					ktime_t now)
{
	if (likely(running->sched.group == &sched_host && rq->tick_at <= now + SLICE))
		return KTIME_NEVER;
	return sched_tick_wanted_slow(rq, running, now);
}
void sched_tick_arm(struct runqueue *rq, ktime_t at); /* no spin lock of the scheduler is held */
void sched_time_init_cpu(struct runqueue *rq);
/* Queues t, RUNNABLE and on no queue, on `cpu`. rq is that of t's CPU, locked; releases it. */
void sched_enqueue(struct task *t, struct runqueue *rq, unsigned cpu, enum sched_join how);
/* An idle CPU looks for work elsewhere; a busy one, at a tick, for what is more entitled. */
bool sched_steal_idle(struct runqueue *rq);
void sched_balance(struct runqueue *rq, ktime_t now);
void cpu_mark_idle(unsigned cpu, bool idle);

#endif
