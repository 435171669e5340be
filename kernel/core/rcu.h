/* SPDX-License-Identifier: MIT */
/*
 * rcu.h - read-copy-update by quiescent states. A reader is any code between
 * two quiescent states of its CPU: kernel code does not get preempted, so a
 * read section is free; it just must not sleep nor call resched_point(). A CPU
 * is quiescent when it switches tasks, idles, or runs user code (the timer, or
 * after 2 ms an IPI, notices the latter).
 */
#ifndef CORE_RCU_H
#define CORE_RCU_H

#include "lib/types.h"

struct rcu_head {
	struct rcu_head *next;
	void (*fn)(struct rcu_head *h);
};

#if DEBUG
void rcu_read_lock(void);
void rcu_read_unlock(void);
#else
static inline void rcu_read_lock(void)
{
	barrier();
}
static inline void rcu_read_unlock(void)
{
	barrier();
}
#endif
#define rcu_dereference(p) __atomic_load_n(&(p), __ATOMIC_CONSUME)
#define rcu_assign(p, v)   __atomic_store_n(&(p), v, __ATOMIC_RELEASE)

/* Calls fn(h) in process context on some CPU after a grace period. Never fails. */
void rcu_call(struct rcu_head *h, void (*fn)(struct rcu_head *h));
void rcu_synchronize(void); /* sleeps for a grace period */
void rcu_drain(void);	    /* until all callbacks queued so far have run (leak checks) */
void rcu_quiescent(void);   /* this CPU passes a quiescent state now (scheduler, timer) */
void rcu_tick(void);	    /* from timer_interrupt(): moves this CPU's callbacks on */
/*
 * The idle loop calls rcu_idle_enter() right before it halts; the interrupt entry calls
 * rcu_idle_exit() when it came from kernel mode, and so does the idle loop after the halt. In
 * between the CPU counts as quiescent without being asked.
 */
void rcu_idle_enter(void);
void rcu_idle_exit(void);
void rcu_init(void);
void rcu_init_thread(void);

#endif
