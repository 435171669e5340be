/* SPDX-License-Identifier: MIT */
/*
 * resource.c - resource limits and what was used (man 2 getrlimit, getrusage,
 * times). Limits are the process's; signal_lock guards writing them, reading a
 * field alone needs no lock.
 */
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "mm/aspace.h"
#include "proc/rusage.h"
#include "proc/signal.h"
#include "proc/tree.h"
#include "syscalls.h"

#define NR_OPEN_MAX 1048576ull /* Linux's fs.nr_open */

/* --- limits --- */

/* May current look at and change p's limits? (man 2 prlimit: ids equal, or CAP_SYS_RESOURCE) */
static bool rlimit_may(struct process *p)
{
	const struct cred *c = current->cred, *t;
	struct task *leader;
	bool same;

	if (p == current->process)
		return true;
	leader = process_leader(p);
	if (!leader)
		return false;
	rcu_read_lock();
	t = rcu_dereference(leader->cred);
	same = c->uid == t->euid && c->uid == t->suid && c->uid == t->uid && c->gid == t->egid &&
	       c->gid == t->sgid && c->gid == t->gid;
	rcu_read_unlock();
	task_put(leader);
	return same || may(p->pids->owner, CAP_SYS_RESOURCE);
}

static int rlimit_set(struct process *p, u32 which, const struct rlimit *new, struct rlimit *old)
{
	struct rlimit *l = &p->rlimits.lim[which];

	if (new &&new->cur > new->max)
		return -EINVAL;
	if (new &&which == RLIMIT_NOFILE &&new->max > NR_OPEN_MAX)
		return -EPERM;
	spin_lock(&p->signal_lock);
	*old = *l;
	if (new &&new->max > l->max && !may(p->pids->owner, CAP_SYS_RESOURCE)) {
		spin_unlock(&p->signal_lock);
		return -EPERM;
	}
	if (new) {
		WRITE_ONCE(l->cur, new->cur);
		WRITE_ONCE(l->max, new->max);
	}
	spin_unlock(&p->signal_lock);
	if (new &&which == RLIMIT_CPU && p->state == PROCESS_ALIVE)
		cpu_limit_changed(p);
	return 0;
}

s64 sys_prlimit64(int pid, u32 which, uaddr_t unew, uaddr_t uold)
{
	struct rlimit new, old;
	struct process *p;
	int err;

	if (unew && get_user(&new, unew))
		return -EFAULT;
	if (which >= RLIMIT_COUNT)
		return -EINVAL;
	if (pid < 0)
		return -ESRCH;
	err = process_find(pid ? (u32)pid : current->process->pid, &p);
	if (err)
		return err;
	err = rlimit_may(p) ? rlimit_set(p, which, unew ? &new : NULL, &old) : -EPERM;
	process_put(p);
	if (!err && uold && put_user(uold, &old))
		return -EFAULT;
	return err;
}

s64 sys_getrlimit(u32 which, uaddr_t uold)
{
	struct rlimit old;

	if (which >= RLIMIT_COUNT)
		return -EINVAL;
	rlimit_set(current->process, which, NULL, &old);
	return put_user(uold, &old);
}

s64 sys_setrlimit(u32 which, uaddr_t unew)
{
	struct rlimit new, old;

	if (get_user(&new, unew))
		return -EFAULT;
	if (which >= RLIMIT_COUNT)
		return -EINVAL;
	return rlimit_set(current->process, which, &new, &old);
}

/* --- use --- */

static struct timeval_user timeval_of(ktime_t t)
{
	return (struct timeval_user){ t / NSEC_PER_SEC, t % NSEC_PER_SEC / NSEC_PER_USEC };
}

static void rusage_set_times(struct rusage_user *u, ktime_t utime, ktime_t stime)
{
	u->utime = timeval_of(utime);
	u->stime = timeval_of(stime);
}

/* All threads of p, the ended ones included. tree_lock held. */
static void rusage_of_self(struct process *p, struct rusage_user *u, ktime_t *utime, ktime_t *stime)
{
	struct task *t;

	process_cpu_time(p, utime, stime);
	u->minflt = p->dead_minflt;
	u->majflt = p->dead_majflt;
	u->nvcsw = p->dead_nvcsw;
	u->nivcsw = p->dead_nivcsw;
	u->maxrss = p->peak_rss;
	list_for_each (t, &p->threads, thread_node) {
		u->minflt += t->minor_faults;
		u->majflt += t->major_faults;
		u->nvcsw += t->sched.switches_voluntary;
		u->nivcsw += t->sched.switches_involuntary;
	}
	if (p == current->process && current->aspace)
		u->maxrss = MAX(u->maxrss, current->aspace->rss_peak);
	u->maxrss *= PAGE_SIZE / 1024;
}

static void rusage_add_children(struct process *p, struct rusage_user *u, ktime_t *utime,
				ktime_t *stime)
{
	*utime += p->child_utime;
	*stime += p->child_stime;
	u->minflt += p->child_minflt;
	u->majflt += p->child_majflt;
	u->nvcsw += p->child_nvcsw;
	u->nivcsw += p->child_nivcsw;
	u->maxrss = MAX(u->maxrss, (s64)(p->child_peak_rss * (PAGE_SIZE / 1024)));
}

void rusage_of_waited(struct process *p, struct rusage_user *u)
{
	ktime_t utime, stime;

	*u = (struct rusage_user){ 0 };
	rusage_of_self(p, u, &utime, &stime);
	rusage_add_children(p, u, &utime, &stime);
	rusage_set_times(u, utime, stime);
}

static void rusage_of_thread(struct rusage_user *u)
{
	struct task *t = current;
	ktime_t utime, stime;

	process_account_time(t, &utime, &stime);
	rusage_set_times(u, utime, stime);
	u->minflt = t->minor_faults;
	u->majflt = t->major_faults;
	u->nvcsw = t->sched.switches_voluntary;
	u->nivcsw = t->sched.switches_involuntary;
	u->maxrss = t->aspace->rss_peak * (PAGE_SIZE / 1024);
}

enum { RUSAGE_SELF = 0, RUSAGE_CHILDREN = -1, RUSAGE_THREAD = 1 };

s64 sys_getrusage(int who, uaddr_t out)
{
	struct process *p = current->process;
	struct rusage_user u = { 0 };
	ktime_t utime = 0, stime = 0;

	if (who == RUSAGE_THREAD) {
		rusage_of_thread(&u);
		return put_user(out, &u);
	}
	if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN)
		return -EINVAL;
	spin_lock(&tree_lock);
	if (who == RUSAGE_SELF)
		rusage_of_self(p, &u, &utime, &stime);
	else
		rusage_add_children(p, &u, &utime, &stime);
	spin_unlock(&tree_lock);
	rusage_set_times(&u, utime, stime);
	return put_user(out, &u);
}

s64 sys_times(uaddr_t out)
{
	const s64 tick = NSEC_PER_SEC / 100;
	struct process *p = current->process;
	ktime_t utime, stime;
	s64 t[4];

	spin_lock(&tree_lock);
	process_cpu_time(p, &utime, &stime);
	t[0] = utime / tick;
	t[1] = stime / tick;
	t[2] = p->child_utime / tick;
	t[3] = p->child_stime / tick;
	spin_unlock(&tree_lock);
	if (out && put_user(out, &t))
		return -EFAULT;
	return ktime_get() / tick;
}
