/* SPDX-License-Identifier: MIT */
/*
 * exit.c - the end of threads and processes (man 2 _exit, 3 exit, 2 wait).
 *
 *	process_exit	begins the end of the group: the other threads are told, and
 *			come to task_exit on their way to user mode
 *	task_exit	gives back what the thread holds, leaves the group; the last one
 *			of the group goes on:
 *	process_end	timers, terminal, container; children get a new parent;
 *			the process is a zombie, and its parent is told
 *	process_reap	by wait, or at once if nobody will wait: ids and links go
 *	process_release	then, without locks: references and charges
 *
 * The leader's struct task stays until the process is reaped, even if it ends
 * before other threads. tree_lock makes "zombie" and "parent told" one step.
 */
#include "arch/x86/arch.h"
#include "core/errno.h"
#include "mm/aspace.h"
#include "mm/slab.h"
#include "fs/context.h"
#include "fs/fdtable.h"
#include "proc/futex.h"
#include "proc/pid.h"
#include "proc/signal.h"
#include "proc/task.h"
#include "proc/tree.h"
#include "proc/user.h"
#include "syscalls.h"

#define CLOCK_TICK (NSEC_PER_SEC / 100) /* of siginfo's times */

/* --- telling the parent --- */

static void notify_info(struct siginfo *i, struct process *child, int sig, int code)
{
	ktime_t u = child->dead_utime, s = child->dead_stime;

	if (child->thread_count)
		process_cpu_time(child, &u, &s);
	*i = (struct siginfo){ .signo = sig, .code = code };
	i->child.pid = process_pid_in(child, child->parent->pids);
	i->child.uid = uid_shown_by(child->parent->pids->owner->usermap, child->leader->cred->uid);
	i->child.utime = u / CLOCK_TICK;
	i->child.stime = s / CLOCK_TICK;
	switch (code) {
	case CLD_EXITED:
		i->child.status = child->exit_status >> 8 & 0xff;
		break;
	case CLD_STOPPED:
		i->child.status = child->stop_signal;
		break;
	case CLD_CONTINUED:
		i->child.status = SIGCONT;
		break;
	default:
		i->child.status = child->exit_status & 0x7f;
	}
}

void signal_notify_parent(struct process *child, int code)
{
	struct process *parent = child->parent;
	bool ended = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
	int sig = SIGCHLD;
	const struct sigaction_kernel *a;
	struct siginfo info;

	spin_assert_held(&tree_lock);
	if (!parent || !parent->signals)
		return;
	a = sigaction_of(parent, SIGCHLD);
	if (ended)
		sig = child->exit_signal;
	else if (a->handler == SIG_IGN || a->flags & SA_NOCLDSTOP)
		sig = 0;
	if (sig > 0 && sig <= NSIG) {
		notify_info(&info, child, sig, code);
		signal_send_process(parent, sig, &info);
	}
	waitq_wake_all(&parent->child_wait, 0);
}

/* Does p's parent not want to wait for it? (SIGCHLD ignored: man 2 wait, NOTES) */
static bool parent_ignores(const struct process *p)
{
	const struct sigaction_kernel *a;

	if (!p->parent || !p->parent->signals)
		return true;
	a = sigaction_of(p->parent, SIGCHLD);
	return p->exit_signal == SIGCHLD && (a->handler == SIG_IGN || a->flags & SA_NOCLDWAIT);
}

/* p has become a zombie, or has a new parent as one. True: it was reaped at once. */
static bool process_announce(struct process *p)
{
	bool reap = parent_ignores(p);

	if (p->parent) {
		list_remove(&p->sibling);
		list_push(&p->parent->children, &p->sibling); /* zombies come first */
		if (reap) { /* out of the way before a waiter looks */
			list_remove(&p->sibling);
			p->state = PROCESS_REAPED;
		}
		signal_notify_parent(p, p->exit_status & 0x7f ? CLD_KILLED : CLD_EXITED);
	}
	if (reap)
		process_reap(p);
	return reap;
}

/* --- orphans --- */
#define ORPHAN_STEP 64

/*
 * Who inherits p's children whose home is t: the nearest subreaper that lives there, t's pid 1, or
 * nobody. A pid 1 never gets those who are `away`, in another container for good: it does not
 * expect them, and until somebody waits for them that container cannot be started again.
 */
static struct process *process_heir(struct process *p, struct pid_table *t, bool away)
{
	struct process *a;

	if (p->has_subreaper)
		for (a = p->parent; a && a->pids == t; a = a->parent)
			if (a->child_subreaper && a->state == PROCESS_ALIVE)
				return a;
	/* A pid 1 without threads is ending, or a zombie. */
	return !away && t->init && t->init != p && t->init->thread_count ? t->init : NULL;
}

static void child_parent_died(struct process *c)
{
	struct task *t;

	list_for_each (t, &c->threads, thread_node) {
		struct task_signals *ts = t->signals;
		if (ts && ts->pdeath_signal)
			signal_send_process(c, ts->pdeath_signal, NULL);
	}
}

static void child_reparent(struct process *c, struct process *from, struct process *heir,
			   struct list *dead)
{
	child_parent_died(c);
	list_remove(&c->sibling);
	c->parent = heir ? process_get(heir) : NULL;
	if (heir) {
		c->parent_tid = heir->pid;
		c->parent_exec_count = heir->exec_count;
		list_append(&heir->children, &c->sibling);
	}
	c->exit_signal = SIGCHLD;
	job_parent_left(c, from);
	process_put(from); /* not the last: it is in the tree */
	if (c->state == PROCESS_ZOMBIE && process_announce(c))
		list_append(dead, &c->sibling);
}

bool process_reparent_children(struct process *p, struct pid_table *only, u32 max,
			       struct list *dead)
{
	struct process *c, *next, *heir = NULL;
	struct pid_table *table = NULL, *home;
	bool away, were_away = false;

	spin_assert_held(&tree_lock);
	list_for_each_safe (c, next, &p->children, sibling) {
		home = process_home(c); /* they differ if p has joined or left since */
		if (only && home != only)
			continue;
		if (!max--)
			return false;
		away = c->outer.table && !c->outer.back;
		if (home != table || away != were_away) {
			table = home;
			were_away = away;
			heir = process_heir(p, table, away);
		}
		child_reparent(c, p, heir, dead);
	}
	return true;
}

/* Children know which thread made them (__WNOTHREAD, PR_SET_PDEATHSIG): another takes its place. */
static void thread_children_pass(struct process *p, struct task *t)
{
	struct process *c;
	u32 heir;

	if (list_empty(&p->children) || list_empty(&p->threads))
		return;
	heir = list_first(&p->threads, struct task, thread_node)->tid;
	list_for_each (c, &p->children, sibling)
		if (c->parent_tid == t->tid) {
			child_parent_died(c);
			c->parent_tid = heir;
		}
}

/* --- reaping --- */

void process_reap(struct process *p)
{
	spin_assert_held(&tree_lock);
	p->state = PROCESS_REAPED;
	process_unlink(p);
}

void task_uncharge(struct task *t)
{
	if (!t->pids_account)
		return;
	user_uncharge(t->owner, t->counted_uid);
	uncharge(t->pids_account, RES_PIDS, 1);
	account_put(t->pids_account);
	t->pids_account = NULL;
}

void process_release(struct process *p)
{
	struct task *leader;

	spin_lock(&p->signal_lock);
	leader = p->leader;
	p->leader = NULL;
	spin_unlock(&p->signal_lock);
	task_uncharge(leader);
	task_put(leader);
	signals_destroy_process(p);
	if (p->parent)
		process_put(p->parent);
	process_put(p); /* being in the tree */
}

void processes_release(struct list *dead)
{
	struct process *p, *next;

	list_for_each_safe (p, next, dead, sibling) {
		list_remove(&p->sibling);
		process_release(p);
		resched_point();
	}
}

/* --- the end of a process: by its last thread, which is no longer on the list --- */

static void process_become_zombie(struct process *p, struct list *dead)
{
	spin_lock(&tree_lock);
	(void)process_reparent_children(p, NULL, UINT32_MAX, dead);
	job_parent_left(p, NULL);
	p->state = PROCESS_ZOMBIE;
	if (process_announce(p))
		list_append(dead, &p->sibling);
	spin_unlock(&tree_lock);
}

/* All but those that come meanwhile (CLONE_PARENT), a few at a time. */
static void orphan_children(struct process *p)
{
	struct list dead = LIST_INIT(dead);
	bool all;

	do {
		spin_lock(&tree_lock);
		all = process_reparent_children(p, NULL, ORPHAN_STEP, &dead);
		spin_unlock(&tree_lock);
		processes_release(&dead);
		resched_point();
	} while (!all);
}

static void process_end(struct process *p)
{
	struct list dead = LIST_INIT(dead);
	bool init = p->pids->init == p;

	process_begin_exit(
		p, current->exit_code); /* unless the group's end was begun with another status */
	if (p->pids->init == p && p->pids->is_host)
		panic("pid 1 has ended with status %#x", p->exit_status);
	timers_destroy_process(p);
	session_leader_exit(p);
	if (p->outer.table) { /* a zombie that waits outside is no load of the container any more */
		task_uncharge(p->leader);
		process_forget_way_back(p);
	}
	if (!list_empty(&p->children))
		orphan_children(p);
	if (init && container_hooks) { /* ends the container, before anybody hears of this end */
		container_hooks->process_gone(p->container, p, p->exit_status);
	}
	process_become_zombie(p, &dead);
	processes_release(&dead);
	if (!init && container_hooks)
		container_hooks->process_gone(p->container, p, p->exit_status);
}

/* --- the end of a thread --- */

void vfork_release(struct task *t)
{
	struct task *waiter;

	if (likely(!READ_ONCE(t->vfork_waiter)))
		return;
	spin_lock(&tree_lock);
	waiter = t->vfork_waiter;
	t->vfork_waiter = NULL; /* first: the woken one looks at once */
	if (waiter)
		sched_wake(waiter);
	spin_unlock(&tree_lock);
}

void task_drop_aspace(struct task *t)
{
	struct aspace *as = t->aspace;

	if (!as)
		return;
	if (as->rss_peak > t->process->peak_rss)
		t->process->peak_rss = as->rss_peak;
	/* The CPU has its tables loaded until the switch: the top one is freed after it. */
	t->dead_aspace = aspace_ref(as);
	task_set_aspace(t, NULL);
	aspace_put(as);
	vfork_release(t);
}

static void task_drop_files(struct task *t)
{
	struct fs_context *fs = t->fs;
	struct fd_table *files = t->files;

	task_set_files(t, NULL, NULL);
	if (files)
		fd_table_put(files);
	if (fs)
		fs_context_put(fs);
	task_run_callbacks(); /* releases of files */
}

/* Books t's use on the process, and takes it off the list of threads. True: it was the last. */
static bool task_leave_group(struct task *t, struct process *p)
{
	ktime_t utime, stime;
	bool last;

	spin_lock(&tree_lock);
	spin_lock(&p->signal_lock);
	process_account_time(t, &utime, &stime);
	p->dead_utime += utime;
	p->dead_stime += stime;
	p->dead_minflt += t->minor_faults;
	p->dead_majflt += t->major_faults;
	p->dead_nvcsw += t->sched.switches_voluntary;
	p->dead_nivcsw += t->sched.switches_involuntary;
	list_remove(&t->thread_node);
	last = --p->thread_count == 0;
	if (!last)
		signal_thread_left(p);
	spin_unlock(&p->signal_lock);
	if (!last)
		thread_children_pass(p, t);
	if (p->exec_task)
		waitq_wake_all(&p->child_wait, 0);
	spin_unlock(&tree_lock);
	return last;
}

void task_exit(u32 status)
{
	struct task *t = current;
	struct process *p = t->process;
	bool leader = p->leader == t;

	t->exiting = true;
	t->exit_code = status;
	futex_exit_task(t);
	task_drop_aspace(t);
	task_drop_files(t);
	signals_exit_thread();
	fpu_free(t);
	kfree(t->shadow); /* the call that it was made for does not return */
	t->shadow = NULL;
	if (!leader) {
		pid_detach(p->pids, t->tid, PID_TASK);
		task_uncharge(t);
	}
	if (task_leave_group(t, p))
		process_end(p);
	sched_exit();
}

/* All but current are to end. signal_lock */
static void threads_kill(struct process *p)
{
	struct task *t;

	list_for_each (t, &p->threads, thread_node) {
		if (t == current)
			continue;
		task_set_work(t, WORK_KILLED | WORK_SIGNAL);
		sched_kick(t);
	}
}

bool process_begin_exit(struct process *p, u32 status)
{
	bool first;

	spin_lock(&p->signal_lock);
	first = !p->exiting && !(p->exec_task && p->exec_task != current);
	if (first) {
		p->exiting = true;
		p->exit_status = status;
		threads_kill(p);
	}
	spin_unlock(&p->signal_lock);
	return first;
}

void process_exit(u32 status)
{
	struct process *p = current->process;

	process_begin_exit(p, status);
	task_exit(p->exiting ? p->exit_status : 0);
}

int process_kill_other_threads(void)
{
	struct process *p = current->process;
	struct task *old = NULL;
	int err = 0;

	spin_lock(&tree_lock);
	spin_lock(&p->signal_lock);
	if (p->exiting || p->exec_task) {
		err = -EAGAIN;
	} else {
		p->exec_task = current;
		threads_kill(p);
	}
	spin_unlock(&p->signal_lock);
	while (!err && p->thread_count > 1)
		err = waitq_sleep(&p->child_wait, &tree_lock, SLEEP_KILLABLE, KTIME_NEVER);
	if (!err && p->leader != current) { /* the leader's name goes to who survives */
		old = p->leader;
		pid_detach(p->pids, current->tid, PID_TASK);
		pid_replace_task(p->pids, p->pid, current);
		current->tid = p->pid;
		current->start_time = old->start_time;
		spin_lock(&p->signal_lock);
		p->leader = task_get(current);
		spin_unlock(&p->signal_lock);
	}
	if (p->exec_task == current)
		p->exec_task = NULL;
	spin_unlock(&tree_lock);
	if (old) {
		task_uncharge(old);
		task_put(old);
	}
	return err;
}

static void kill_walked(struct process *p, void *arg)
{
	if (p->state == PROCESS_ALIVE)
		signal_kill_process(p);
}

void container_processes_kill(struct pid_table *t)
{
	spin_lock(&tree_lock);
	t->kills++;
	spin_unlock(&tree_lock);
	processes_walk(t, kill_walked, NULL);
}

s64 sys_exit(int code)
{
	task_exit((code & 0xff) << 8);
}

s64 sys_exit_group(int code)
{
	process_exit((code & 0xff) << 8);
}
