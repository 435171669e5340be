/* SPDX-License-Identifier: MIT */
/*
 * sched.h - what the files of the scheduler share: policies, run queues.
 *
 * Locks: R is the lock of the run queue of the task's CPU. A task's CPU changes
 * under R of the old one; so whoever locks the queue of sched.cpu looks again.
 */
#ifndef PROC_SCHED_H
#define PROC_SCHED_H

#include "proc/process.h"
#include "core/time.h"

enum { SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE = 5 };
#define SCHED_RESET_ON_FORK 0x40000000
#define NICE_MIN	    (-20)
#define NICE_MAX	    19

/* Runnable tasks that wait for one CPU, in the order in which they are due. */
struct sched_queue {
	struct tree tasks;
	struct tree_node *first;
	u32 count;
	u64 min_vruntime; /* never goes back: where newcomers join */
};

struct runqueue {		  /* the locks of others' queues are never held together */
	spinlock_t lock;	  /* R; RANK_RUNQUEUE */
	struct sched_queue queue; /* R */
	struct task *running;	  /* R: who has the CPU, or is being switched to */
	struct task *previous;	  /* own CPU only: who had it, until sched_finish_switch() */
	bool yielding;		  /* R: the running task steps behind the next */
	u64 rt_sequence;	  /* R: order of arrival among real-time tasks */
	struct timer tick;	  /* own CPU only */
	ktime_t tick_at;	  /* own CPU only: when it fires; KTIME_NEVER */
	ktime_t tick_span;	  /* own CPU only: distance to the next while nobody waits */
	ktime_t balanced;	  /* own CPU only: when it last looked at other queues */
	struct sched_stats stats; /* R */
};

struct runqueue *runqueue_of(unsigned cpu);
/* The locked run queue of t's CPU. */
struct runqueue *runqueue_lock_task(struct task *t);
u32 sched_slowness(u8 policy, s8 nice);
/* Under R: takes a waiting task out of its queue so that its key may change, and puts it back. */
bool runqueue_suspend(struct runqueue *rq, struct task *t);
/* new_class: it changed between normal and real-time. */
void runqueue_resume(struct runqueue *rq, struct task *t, bool was_queued, bool new_class);
/* Something about the tasks of a CPU has changed: it is to compare them again. */
void sched_compare(unsigned cpu);
/* New affinity (not empty): moves t if it stands or runs elsewhere. */
void sched_set_affinity(struct task *t, u64 mask);

#endif
