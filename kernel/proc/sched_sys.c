/* SPDX-License-Identifier: MIT */
/*
 * sched_sys.c - the calls of man 7 sched: policies, priorities, nice values,
 * affinity. They act on threads, found by tid in the caller's container.
 *
 * Real-time threads of a container go before its other threads, and before nobody
 * else's; the host's go before all.
 */
#include "proc/sched.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "proc/process.h"
#include "proc/sigtimer.h"
#include "syscalls.h"

#define RT_PRIORITY_MAX 99
#define RR_INTERVAL	(6 * NSEC_PER_MSEC)

static int sched_find(int pid, struct task **out)
{
	if (pid < 0)
		return -EINVAL;
	if (pid)
		return task_find(pid, out);
	*out = task_get(current);
	return 0;
}

/* man 2 sched_setscheduler: the caller's effective id is one of the target's, or CAP_SYS_NICE. */
static bool sched_may(struct task *t)
{
	const struct cred *c = current->cred, *tc;
	bool same;

	rcu_read_lock();
	tc = rcu_dereference(t->cred);
	same = tc && (c->euid == tc->euid || c->euid == tc->uid);
	rcu_read_unlock();
	return same || may(t->owner, CAP_SYS_NICE);
}

/* May a nice value go down to this? RLIMIT_NICE counts from 20 (nice 19 is 1). */
static bool nice_allowed(struct task *t, int nice)
{
	return nice >= t->sched.nice || may(t->owner, CAP_SYS_NICE) ||
	       (u64)(20 - nice) <= READ_ONCE(t->rlimits->lim[RLIMIT_NICE].cur);
}

/* --- nice --- */

static void nice_set(struct task *t, int nice)
{
	struct runqueue *rq = runqueue_lock_task(t);
	bool queued = runqueue_suspend(rq, t);

	t->sched.nice = nice;
	t->sched.slowness = sched_slowness(t->sched.policy, nice);
	runqueue_resume(rq, t, queued, false);
	spin_unlock(&rq->lock);
	sched_compare(READ_ONCE(t->sched.cpu));
}

static int nice_change(struct task *t, int nice)
{
	if (!sched_may(t))
		return -EPERM;
	if (!nice_allowed(t, nice))
		return -EACCES;
	nice_set(t, nice);
	return 0;
}

enum { PRIO_PROCESS, PRIO_PGRP, PRIO_USER };

/* What to do with each thread that (which, who) names; result so far in *result. */
typedef void (*prio_fn)(struct task *t, int nice, int *result);

static void prio_of_threads(struct process *p, prio_fn fn, int nice, int *result)
{
	struct task *t;

	list_for_each (t, &p->threads, thread_node)
		fn(t, nice, result);
}

static void prio_of_group(int who, prio_fn fn, int nice, int *result)
{
	struct process_group *g;
	struct process *p;

	if (!who)
		g = group_get(current_group());
	else if (group_find(who, &g))
		return;
	spin_lock(&tree_lock);
	list_for_each (p, &g->members, group_node)
		prio_of_threads(p, fn, nice, result);
	spin_unlock(&tree_lock);
	group_put(g);
}

static void prio_of_user(u32 uid, prio_fn fn, int nice, int *result)
{
	struct process *p;

	spin_lock(&tree_lock);
	list_for_each (p, &current->process->pids->all, table_node)
		if (p->state == PROCESS_ALIVE && p->leader->cred->uid == uid)
			prio_of_threads(p, fn, nice, result);
	spin_unlock(&tree_lock);
}

static int prio_for_each(int which, int who, prio_fn fn, int nice, int *result)
{
	struct task *t;

	switch (which) {
	case PRIO_PROCESS:
		if (sched_find(who, &t))
			return 0;
		fn(t, nice, result);
		task_put(t);
		return 0;
	case PRIO_PGRP:
		prio_of_group(who, fn, nice, result);
		return 0;
	case PRIO_USER:
		prio_of_user(who ? uid_given(who) : current->cred->uid, fn, nice, result);
		return 0;
	}
	return -EINVAL;
}

static void prio_set(struct task *t, int nice, int *result)
{
	int err = nice_change(t, nice);

	if (*result == -ESRCH || err)
		*result = err;
}

static void prio_get(struct task *t, int nice, int *result)
{
	*result = MAX(*result, 20 - t->sched.nice);
}

s64 sys_setpriority(int which, int who, int nice)
{
	int result = -ESRCH, err;

	nice = MIN(MAX(nice, NICE_MIN), NICE_MAX);
	err = prio_for_each(which, who, prio_set, nice, &result);
	return err ? err : result;
}

/* 1..40, that is 20 - nice: the C library turns it around. */
s64 sys_getpriority(int which, int who)
{
	int result = -ESRCH;
	int err = prio_for_each(which, who, prio_get, 0, &result);

	return err ? err : result;
}

/* --- policies --- */

static bool policy_is_rt(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool policy_exists(int policy)
{
	return policy_is_rt(policy) || policy == SCHED_OTHER || policy == SCHED_BATCH ||
	       policy == SCHED_IDLE;
}

static int policy_may(struct task *t, int policy, int priority)
{
	if (!sched_may(t))
		return -EPERM;
	if (policy_is_rt(policy) && !may(t->owner, CAP_SYS_NICE))
		return -EPERM;
	if (t->sched.reset_on_fork && !may(t->owner, CAP_SYS_NICE))
		return -EPERM;
	/* Leaving SCHED_IDLE is like taking its nice value anew. */
	if (t->sched.policy == SCHED_IDLE && policy != SCHED_IDLE &&
	    !nice_allowed(t, t->sched.nice))
		return -EPERM;
	return 0;
}

static void policy_set(struct task *t, int policy, int priority, bool reset_on_fork)
{
	struct runqueue *rq = runqueue_lock_task(t);
	bool queued = runqueue_suspend(rq, t);
	bool new_class = policy_is_rt(policy) != policy_is_rt(t->sched.policy);
	unsigned cpu = t->sched.cpu;

	t->sched.policy = policy;
	t->sched.rt_priority = priority;
	t->sched.reset_on_fork = reset_on_fork;
	t->sched.slowness = sched_slowness(policy, t->sched.nice);
	runqueue_resume(rq, t, queued, new_class);
	spin_unlock(&rq->lock);
	sched_compare(cpu);
}

/* policy < 0: keep it. */
static s64 sched_change(int pid, int policy, uaddr_t uparam)
{
	bool reset = policy >= 0 && policy & SCHED_RESET_ON_FORK;
	struct task *t;
	int priority, err;

	if (!uparam || pid < 0)
		return -EINVAL;
	if (get_user(&priority, uparam))
		return -EFAULT;
	err = sched_find(pid, &t);
	if (err)
		return err;
	if (policy < 0) {
		policy = t->sched.policy;
		reset = t->sched.reset_on_fork;
	}
	policy &= ~SCHED_RESET_ON_FORK;
	if (!policy_exists(policy) || priority < 0 || priority > RT_PRIORITY_MAX ||
	    policy_is_rt(policy) != (priority > 0))
		err = -EINVAL;
	if (!err)
		err = policy_may(t, policy, priority);
	if (!err)
		policy_set(t, policy, priority, reset);
	task_put(t);
	return err;
}

s64 sys_sched_setscheduler(int pid, int policy, uaddr_t param)
{
	return policy < 0 ? -EINVAL : sched_change(pid, policy, param);
}

s64 sys_sched_setparam(int pid, uaddr_t param)
{
	return sched_change(pid, -1, param);
}

s64 sys_sched_getscheduler(int pid)
{
	struct task *t;
	s64 policy;
	int err = sched_find(pid, &t);

	if (err)
		return err;
	policy = t->sched.policy | (t->sched.reset_on_fork ? SCHED_RESET_ON_FORK : 0);
	task_put(t);
	return policy;
}

s64 sys_sched_getparam(int pid, uaddr_t uparam)
{
	struct task *t;
	int priority, err;

	if (!uparam)
		return -EINVAL;
	err = sched_find(pid, &t);
	if (err)
		return err;
	priority = t->sched.rt_priority;
	task_put(t);
	return put_user(uparam, &priority);
}

s64 sys_sched_get_priority_max(int policy)
{
	if (!policy_exists(policy))
		return -EINVAL;
	return policy_is_rt(policy) ? RT_PRIORITY_MAX : 0;
}

s64 sys_sched_get_priority_min(int policy)
{
	if (!policy_exists(policy))
		return -EINVAL;
	return policy_is_rt(policy) ? 1 : 0;
}

s64 sys_sched_rr_get_interval(int pid, uaddr_t out)
{
	struct task *t;
	bool fifo;
	int err = sched_find(pid, &t);

	if (err)
		return err;
	fifo = t->sched.policy == SCHED_FIFO;
	task_put(t);
	return timespec_to_user(out, fifo ? 0 : RR_INTERVAL);
}

/* --- affinity --- */

s64 sys_sched_setaffinity(int pid, u32 size, uaddr_t umask)
{
	struct task *t;
	u64 mask = 0;
	int err;

	if (copy_from_user(&mask, umask, MIN(size, (u32)sizeof(mask))))
		return -EFAULT;
	err = sched_find(pid, &t);
	if (err)
		return err == -EINVAL ? -ESRCH : err;
	mask &= cpus_online();
	if (!sched_may(t))
		err = -EPERM;
	else if (!mask)
		err = -EINVAL;
	else
		err = sched_set_affinity(t, mask);
	task_put(t);
	return err;
}

s64 sys_sched_getaffinity(int pid, u32 size, uaddr_t umask)
{
	struct task *t;
	u64 mask;
	int err;

	if (size * 8ull < cpu_count || size & 7)
		return -EINVAL;
	err = sched_find(pid, &t);
	if (err)
		return err == -EINVAL ? -ESRCH : err;
	mask = READ_ONCE(t->sched.allowed) & cpus_online();
	task_put(t);
	return put_user(umask, &mask) ? -EFAULT : (s64)sizeof(mask);
}
