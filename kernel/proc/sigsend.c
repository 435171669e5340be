/* SPDX-License-Identifier: MIT */
/*
 * sigsend.c - sending signals: from the kernel, from kill(2) and its relatives.
 *
 * signal_send_process() and signal_send_task() need no lock and may be called in
 * interrupt context; they take signal_lock. Whoever sends to a group holds
 * tree_lock around the walk (RANK_PROCESS_TREE < RANK_SIGNAL).
 *
 * A container's pid 1 gets only signals that it handles, except SIGKILL and
 * SIGSTOP from outside its container (man 7 pid_namespaces).
 */
#include "proc/signal.h"
#include "arch/x86/uaccess.h"
#include "lib/string.h"
#include "core/trace.h"
#include "proc/process.h"
#include "proc/tree.h"
#include "syscalls.h"

/* --- what arrives: signal_lock held in all of these --- */

static u64 handler_of(const struct process *p, int sig)
{
	return sigaction_of(p, sig)->handler;
}

/* Would the signal do nothing if delivered now? Blocked ones are kept: the handler may change. */
static bool signal_has_no_effect(const struct process *p, const struct task *t, int sig,
				 bool from_outside)
{
	const struct task_signals *ts = t ? t->signals : p->leader->signals;
	u64 handler = handler_of(p, sig);

	if (ts && (ts->blocked & SIGBIT(sig)))
		return false;
	if (p->pids && p->pids->init == p && handler == SIG_DFL &&
	    !(from_outside && (sig == SIGKILL || sig == SIGSTOP)))
		return true;
	return handler == SIG_IGN || (handler == SIG_DFL && (SIGBIT(sig) & SIGSET_IGNORED));
}

/* SIGCONT ends a stop whatever is done with it afterwards. */
static void stop_end(struct process *p)
{
	struct signal_shared *sh = p->signals;
	struct task *t;

	if (sh->stop == STOP_NONE)
		return;
	sh->notify_parent = CLD_CONTINUED;
	sh->stop = STOP_NONE;
	p->stopped = false;
	list_for_each (t, &p->threads, thread_node) {
		task_clear_work(t, WORK_STOP);
		task_set_work(t, WORK_SIGNAL); /* somebody reports */
	}
	waitq_wake_all(&sh->parked, 0);
}

/* The effects that a signal has at once, even if blocked or ignored. Of these there is one each in a queue. */
static void signal_side_effects(struct process *p, int sig)
{
	if (signal_is_stop(sig)) {
		signal_discard(p, SIGBIT(SIGCONT));
	} else if (sig == SIGCONT) {
		signal_discard(p, SIGSET_STOP);
		stop_end(p);
	}
}

static bool task_takes(const struct task *t, int sig)
{
	const struct task_signals *ts = t->signals;

	return ts && t->state != TASK_DEAD && (sig == SIGKILL || !(ts->blocked & SIGBIT(sig)));
}

/* The thread that is to take a process-wide signal: current, the leader, or any that does not block
 * it. */
static struct task *signal_pick_task(struct process *p, int sig)
{
	struct task *t;

	if (current && current->process == p && task_takes(current, sig))
		return current;
	list_for_each (t, &p->threads, thread_node)
		if (task_takes(t, sig))
			return t;
	return NULL;
}

static int pending_add(struct process *p, struct sigpending *s, int sig, const struct siginfo *info)
{
	struct sigqueue_entry *e;

	if (sig < SIGRTMIN && (s->set & SIGBIT(sig)))
		return 0; /* standard signals are pending once */
	if (info) {
		e = sigqueue_alloc(p, sig < SIGRTMIN);
		if (e) {
			e->info = *info;
			sigpending_append(s, e);
		} else if (sig >= SIGRTMIN && info->code != SI_USER) {
			return -EAGAIN;
		}
	}
	s->set |= SIGBIT(sig);
	return 0;
}

static void signal_kill_locked(struct process *p)
{
	struct task *t;

	p->signals->pending.set |= SIGBIT(SIGKILL);
	stop_end(p);
	p->signals->notify_parent = 0; /* its death is what the parent hears of */
	list_for_each (t, &p->threads, thread_node) {
		task_set_work(t, WORK_SIGNAL | WORK_KILLED);
		sched_kick(t);
	}
}

int signal_send_locked(struct process *p, struct task *t, int sig, const struct siginfo *info)
{
	bool from_outside = !current || !current->process || current->process->pids != p->pids;
	struct task_signals *ts = t ? t->signals : NULL;
	int err;

	if (!p->signals || !p->leader || (t && !ts))
		return 0; /* it is gone: as if it had died of it */
	signal_side_effects(p, sig);
	if (signal_has_no_effect(p, t, sig, from_outside))
		return 0;
	if (sig == SIGKILL) {
		signal_kill_locked(p);
		return 0;
	}
	err = pending_add(p, t ? &ts->pending : &p->signals->pending, sig, info);
	if (err)
		return err;
	if (!t)
		t = signal_pick_task(p, sig);
	else if (!task_takes(t, sig))
		t = NULL;
	if (t) {
		task_set_work(t, WORK_SIGNAL);
		sched_kick(t);
	} else {
		/* sigtimedwait and signalfd sleep on blocked signals: they look again. */
		struct task *waiter;
		list_for_each (waiter, &p->threads, thread_node)
			if (waiter->signals &&
			    ((struct task_signals *)waiter->signals)->waiting & SIGBIT(sig))
				sched_wake(waiter);
	}
	return 0;
}

int signal_send_process(struct process *p, int sig, const struct siginfo *info)
{
	int err;

	spin_lock(&p->signal_lock);
	err = signal_send_locked(p, NULL, sig, info);
	spin_unlock(&p->signal_lock);
	trace(TRACE_SIGNAL, sig, p->pid);
	return err;
}

int signal_send_task(struct task *t, int sig, const struct siginfo *info)
{
	int err;

	spin_lock(&t->process->signal_lock);
	err = signal_send_locked(t->process, t, sig, info);
	spin_unlock(&t->process->signal_lock);
	return err;
}

void signal_kill_process(struct process *p)
{
	spin_lock(&p->signal_lock);
	if (p->signals)
		signal_kill_locked(p);
	spin_unlock(&p->signal_lock);
}

void signal_send_self(int sig)
{
	if (!current->signals) /* a kernel thread */
		return;
	signal_send_task(current, sig, NULL);
}

/* Linux's force_sig_fault: cannot be blocked, ignored, or survived by pid 1. */
void signal_fault(int sig, int code, uaddr_t address, int trapno, u64 error_code)
{
	struct process *p = current->process;
	struct task_signals *ts = current->signals;
	struct siginfo info = { .signo = sig, .code = code, .fault.address = address };
	const struct sigaction_kernel *a;

	current->fault_address = address;
	ts->fault_trapno = trapno;
	ts->fault_error = error_code;
	spin_lock(&p->signal_lock);
	a = sigaction_of(p, sig);
	if (a->handler == SIG_IGN || (ts->blocked & SIGBIT(sig))) {
		sigaction_reset(p, sig);
		ts->blocked &= ~SIGBIT(sig);
	}
	if (a->handler == SIG_DFL)
		ts->forced |= SIGBIT(sig); /* also for a container's pid 1 */
	sigpending_remove(p, &ts->pending, SIGBIT(sig));
	pending_add(p, &ts->pending, sig, &info);
	task_set_work(current, WORK_SIGNAL);
	spin_unlock(&p->signal_lock);
}

/* --- who may, and what the receiver is told --- */

bool signal_may(const struct process *target, int sig)
{
	const struct cred *c = current->cred, *t;
	struct task *leader;
	bool same;

	if (target == current->process)
		return true;
	rcu_read_lock();
	leader = rcu_dereference(target->leader);
	t = leader ? rcu_dereference(leader->cred) : NULL;
	same = !t || c->euid == t->suid || c->euid == t->uid || c->uid == t->suid ||
	       c->uid == t->uid;
	rcu_read_unlock();
	if (same || may(target->pids->owner, CAP_KILL))
		return true;
	return sig == SIGCONT && target->session == current_session();
}

void signal_init_info(struct siginfo *i, int sig, int code)
{
	memset(i, 0, sizeof(*i));
	i->signo = sig;
	i->code = code;
	i->kill.pid = current->process->pid;
	i->kill.uid = current->cred->uid;
}

/* The sender as the receiver knows him: pid 0 and perhaps a user who is nobody, from outside. */
static void info_for(struct siginfo *i, const struct process *target)
{
	i->kill.pid = process_pid_in(current->process, target->pids);
	i->kill.uid = uid_shown_by(target->pids->owner->usermap, current->cred->uid);
}

/* What the sender says of himself, in the receiver's terms. */
static void queued_info_for(struct siginfo *i, const struct process *target)
{
	const struct usermap *map = target->pids->owner->usermap;

	if (unlikely(map != current->owner->usermap) && i->code == SI_QUEUE)
		i->kill.uid = uid_shown_by(map, uid_given(i->kill.uid));
}

/* One target of kill(2): -EPERM, or 0. sig 0 only asks. */
static int kill_one(struct process *p, int sig, struct siginfo *info)
{
	if (!signal_may(p, sig))
		return -EPERM;
	if (!sig)
		return 0;
	info_for(info, p);
	return signal_send_process(p, sig, info);
}

#define GROUP_SMALL 256

/* A signal to many: to the members of a group, or (NULL) to all but pid 1 and the sender. */
struct killing {
	struct process_group *group;
	int sig;
	struct siginfo *info;
	int result;
};

static void kill_member(struct process *p, void *arg)
{
	struct killing *k = arg;
	int err;

	if (p->group != k->group)
		return;
	err = kill_one(p, k->sig, k->info);
	if (!err || k->result == -ESRCH)
		k->result = err;
}

static void kill_other(struct process *p, void *arg)
{
	struct killing *k = arg;
	int err;

	if (p == current->process || p == p->pids->init)
		return;
	err = kill_one(p, k->sig, k->info);
	if (err != -EPERM || k->result == -ESRCH)
		k->result = err;
}

static bool group_is_small(const struct process_group *g)
{
	const struct list *at = g->members.next;

	for (unsigned n = 0; at != &g->members; at = at->next)
		if (++n > GROUP_SMALL)
			return false;
	return true;
}

/* A small group at once; a large one as it is met among all, with the lock let go now and then. */
static int kill_group(struct process_group *g, int sig, struct siginfo *info)
{
	struct killing k = { g, sig, info, -ESRCH };
	struct process *p;
	bool small;

	spin_lock(&tree_lock);
	small = group_is_small(g);
	if (small)
		list_for_each (p, &g->members, group_node)
			kill_member(p, &k);
	spin_unlock(&tree_lock);
	if (!small)
		processes_walk(g->session->pids, kill_member, &k);
	return k.result;
}

/* Everyone that current's container knows, but pid 1 and itself. */
static int kill_everyone(int sig, struct siginfo *info)
{
	struct killing k = { NULL, sig, info, -ESRCH };

	processes_walk(current->process->pids, kill_other, &k);
	return k.result;
}

static int kill_process(u32 pid, int sig, struct siginfo *info)
{
	struct process *p;
	int err = process_find(pid, &p);

	if (err)
		return err;
	err = kill_one(p, sig, info);
	process_put(p);
	return err;
}

s64 sys_kill(int pid, int sig)
{
	struct process_group *g;
	struct siginfo info;
	int err;

	if (sig < 0 || sig > NSIG)
		return -EINVAL;
	signal_init_info(&info, sig, SI_USER);
	if (pid > 0)
		return kill_process(pid, sig, &info);
	if (pid == -1)
		return kill_everyone(sig, &info);
	if (pid == INT32_MIN)
		return -ESRCH;
	if (!pid)
		return kill_group(current_group(), sig, &info);
	err = group_find(-pid, &g);
	if (err)
		return err;
	err = kill_group(g, sig, &info);
	group_put(g);
	return err;
}

/* tkill, tgkill, rt_tgsigqueueinfo. tgid < 0: any. */
static int kill_task(int tgid, int tid, int sig, struct siginfo *info)
{
	struct task *t;
	int err;

	if (tid <= 0 || tgid == 0)
		return -EINVAL;
	err = task_find(tid, &t);
	if (err)
		return err;
	if (tgid > 0 && t->process->pid != (u32)tgid &&
	    process_pid_in(t->process, current->process->pids) != (u32)tgid)
		err = -ESRCH;
	else if (sig < 0 || sig > NSIG)
		err = -EINVAL;
	else if (!signal_may(t->process, sig))
		err = -EPERM;
	else if (sig) {
		if (info->code == SI_TKILL) {
			info_for(info, t->process);
		} else if (info->code <= 0) {
			info->kill.pid = process_pid_in(current->process, t->process->pids);
			queued_info_for(info, t->process);
		}
		err = signal_send_task(t, sig, info);
	}
	task_put(t);
	return err;
}

s64 sys_tkill(int tid, int sig)
{
	struct siginfo info;

	signal_init_info(&info, sig, SI_TKILL);
	return kill_task(-1, tid, sig, &info);
}

s64 sys_tgkill(int tgid, int tid, int sig)
{
	struct siginfo info;

	if (tgid <= 0)
		return -EINVAL;
	signal_init_info(&info, sig, SI_TKILL);
	return kill_task(tgid, tid, sig, &info);
}

/* The sender fills siginfo itself, but may not pretend to be the kernel or kill(2) to others. */
static int queued_info_from_user(struct siginfo *info, int target, int sig, uaddr_t uinfo)
{
	if (get_user(info, uinfo))
		return -EFAULT;
	info->signo = sig;
	if ((info->code >= 0 || info->code == SI_TKILL) && (u32)target != current->process->pid)
		return -EPERM;
	return 0;
}

s64 sys_rt_sigqueueinfo(int pid, int sig, uaddr_t uinfo)
{
	struct siginfo info;
	struct process *p;
	int err = queued_info_from_user(&info, pid, sig, uinfo);

	if (err)
		return err;
	if (sig < 0 || sig > NSIG)
		return -EINVAL;
	err = pid > 0 ? process_find(pid, &p) : -ESRCH;
	if (err)
		return err;
	queued_info_for(&info, p);
	if (!signal_may(p, sig))
		err = -EPERM;
	else if (sig)
		err = signal_send_process(p, sig, &info);
	process_put(p);
	return err;
}

s64 sys_rt_tgsigqueueinfo(int tgid, int tid, int sig, uaddr_t uinfo)
{
	struct siginfo info;
	int err;

	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	err = queued_info_from_user(&info, tgid, sig, uinfo);
	return err ? err : kill_task(tgid, tid, sig, &info);
}
