/* SPDX-License-Identifier: MIT */
/*
 * wait.c - wait4(2) and waitid(2).
 *
 * A waiter looks at its own children only, under tree_lock, and sleeps on its
 * process's child_wait, which whoever changes a child's state wakes under that
 * lock. Zombies stand first among the children, so the common wait for any child
 * finds its zombie at once; a wait for one pid goes through the pid table.
 *
 * A report is taken under the lock (so that one waiter gets it) and copied out
 * after it.
 */
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "proc/pid.h"
#include "proc/rusage.h"
#include "proc/signal.h"
#include "proc/tree.h"
#include "syscalls.h"

#define WNOHANG	    0x00000001
#define WUNTRACED   0x00000002
#define WSTOPPED    WUNTRACED
#define WEXITED	    0x00000004
#define WCONTINUED  0x00000008
#define WNOWAIT	    0x01000000
#define __WNOTHREAD 0x20000000
#define __WALL	    0x40000000
#define __WCLONE    0x80000000u

enum { P_ALL, P_PID, P_PGID, P_PIDFD };

struct wait_request {
	int type; /* P_ALL, P_PID, P_PGID */
	u32 id;
	u32 options;
};

struct wait_report {
	u32 pid, uid;
	int code;   /* CLD_*; 0: nothing to report (WNOHANG) */
	u32 status; /* as wait4 gives it */
	bool want_usage;
	struct rusage_user usage;
	struct process *reaped;
};

/* --- which children --- */

static bool wait_wants(const struct wait_request *r, const struct process *c)
{
	const struct process *me = current->process;
	bool clone_child = c->exit_signal != SIGCHLD;
	u32 pid = process_pid_in(c, me->pids);

	/* A parent that has joined a container waits for those outside when it is back. */
	if (!pid || (r->type == P_PID && pid != r->id))
		return false;
	if (r->type == P_PGID &&
	    (!c->group || c->group->pgid != r->id || c->session->pids != me->pids))
		return false;
	if (r->options & __WNOTHREAD && c->parent_tid != current->tid)
		return false;
	return r->options & __WALL || clone_child == !!(r->options & __WCLONE);
}

/* --- what there is to say of a child --- */

static void report_begin(struct wait_report *w, struct process *c, int code, u32 status)
{
	w->pid = process_pid_in(c, current->process->pids);
	w->uid = c->leader->cred->uid;
	w->code = code;
	w->status = status;
	if (w->want_usage)
		rusage_of_waited(c, &w->usage);
}

/* The times and faults of c, and what it had waited for, are its parent's now. */
static void children_usage_add(struct process *p, const struct process *c)
{
	p->child_utime += c->dead_utime + c->child_utime;
	p->child_stime += c->dead_stime + c->child_stime;
	p->child_minflt += c->dead_minflt + c->child_minflt;
	p->child_majflt += c->dead_majflt + c->child_majflt;
	p->child_nvcsw += c->dead_nvcsw + c->child_nvcsw;
	p->child_nivcsw += c->dead_nivcsw + c->child_nivcsw;
	p->child_peak_rss = MAX(p->child_peak_rss, c->peak_rss);
	p->child_peak_rss = MAX(p->child_peak_rss, c->child_peak_rss);
}

static bool report_ended(struct wait_report *w, struct process *c, u32 options)
{
	if (!(options & WEXITED) || c->state != PROCESS_ZOMBIE)
		return false;
	report_begin(w, c, c->exit_status & 0x7f ? CLD_KILLED : CLD_EXITED, c->exit_status);
	if (!(options & WNOWAIT)) {
		children_usage_add(current->process, c);
		process_reap(c);
		w->reaped = c;
	}
	return true;
}

static bool report_stopped(struct wait_report *w, struct process *c, u32 options)
{
	if (!(options & WSTOPPED) || !c->stopped || c->stop_reported || c->state != PROCESS_ALIVE)
		return false;
	report_begin(w, c, CLD_STOPPED, c->stop_signal << 8 | 0x7f);
	if (!(options & WNOWAIT))
		c->stop_reported = true;
	return true;
}

static bool report_continued(struct wait_report *w, struct process *c, u32 options)
{
	if (!(options & WCONTINUED) || !c->continued || c->state != PROCESS_ALIVE)
		return false;
	report_begin(w, c, CLD_CONTINUED, 0xffff);
	if (!(options & WNOWAIT))
		c->continued = false;
	return true;
}

static bool report_of(struct wait_report *w, struct process *c, u32 options)
{
	return report_ended(w, c, options) || report_stopped(w, c, options) ||
	       report_continued(w, c, options);
}

/* --- looking and sleeping; tree_lock held --- */

/* 1: w is filled; 0: there are such children, but nothing to report; -ECHILD. */
static int wait_look_one(const struct wait_request *r, struct wait_report *w)
{
	struct process *c;
	int result = -ECHILD;

	if (process_find(r->id, &c))
		return -ECHILD;
	if (c->parent == current->process && c->state != PROCESS_REAPED && wait_wants(r, c))
		result = report_of(w, c, r->options);
	/* Never the last reference: it is in the tree, or w->reaped holds on. */
	process_put(c);
	return result;
}

static int wait_look(const struct wait_request *r, struct wait_report *w)
{
	struct process *c;
	int result = -ECHILD;

	if (r->type == P_PID)
		return wait_look_one(r, w);
	list_for_each (c, &current->process->children, sibling) {
		if (!wait_wants(r, c))
			continue;
		if (report_of(w, c, r->options))
			return 1;
		result = 0;
		if (!(r->options & (WSTOPPED | WCONTINUED)) && c->state != PROCESS_ZOMBIE)
			return 0; /* the zombies are behind us */
	}
	return result;
}

/* 0 with w->code (0: WNOHANG and nothing to report), or -errno. */
static int process_wait(const struct wait_request *r, struct wait_report *w)
{
	struct process *p = current->process;
	int result;

	w->code = 0;
	w->reaped = NULL;
	spin_lock(&tree_lock);
	for (;;) {
		result = wait_look(r, w);
		if (result || r->options & WNOHANG)
			break;
		result = waitq_sleep(&p->child_wait, &tree_lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
		if (result)
			break;
	}
	spin_unlock(&tree_lock);
	if (w->reaped)
		process_release(w->reaped);
	return result < 0 ? result : 0;
}

/* --- the calls --- */

s64 sys_wait4(int pid, uaddr_t ustatus, int options, uaddr_t uusage)
{
	struct wait_request r = { .type = P_ALL, .options = options | WEXITED };
	struct wait_report w;
	int err;

	w.want_usage = uusage;
	if ((u32)options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid > 0) {
		r.type = P_PID;
		r.id = pid;
	} else if (pid != -1) {
		r.type = P_PGID;
		r.id = pid ? (u32)-pid : current->process->group->pgid;
	}
	err = process_wait(&r, &w);
	if (err)
		return err;
	if (!w.code)
		return 0;
	if (ustatus && put_user(ustatus, &w.status))
		return -EFAULT;
	if (uusage && put_user(uusage, &w.usage))
		return -EFAULT;
	return w.pid;
}

static int waitid_info_to_user(uaddr_t to, const struct wait_report *w)
{
	struct siginfo i = { 0 };

	if (w->code) {
		i.signo = SIGCHLD;
		i.code = w->code;
		i.child.pid = w->pid;
		i.child.uid = uid_shown(w->uid);
		if (w->code == CLD_EXITED)
			i.child.status = w->status >> 8 & 0xff;
		else if (w->code == CLD_STOPPED)
			i.child.status = w->status >> 8;
		else
			i.child.status = w->code == CLD_CONTINUED ? SIGCONT : w->status & 0x7f;
	}
	/* Linux writes the seven words of the child's case, not all 128 bytes. */
	return copy_to_user(to, &i, offsetof(struct siginfo, child.utime));
}

static int waitid_request(struct wait_request *r, int type, int id, u32 options)
{
	const u32 what = WEXITED | WSTOPPED | WCONTINUED;

	if (options & ~(what | WNOHANG | WNOWAIT | __WNOTHREAD | __WCLONE | __WALL) ||
	    !(options & what))
		return -EINVAL;
	*r = (struct wait_request){ .type = type, .id = id, .options = options };
	switch (type) {
	case P_ALL:
		return 0;
	case P_PID:
		return id > 0 ? 0 : -EINVAL;
	case P_PGID:
		if (!id)
			r->id = current->process->group->pgid;
		return id >= 0 ? 0 : -EINVAL;
	case P_PIDFD: /* no descriptor here is a pidfd */
		return id >= 0 ? -EBADF : -EINVAL;
	}
	return -EINVAL;
}

s64 sys_waitid(int type, int id, uaddr_t uinfo, int options, uaddr_t uusage)
{
	struct wait_request r;
	struct wait_report w;
	int err = waitid_request(&r, type, id, options);

	w.want_usage = uusage;
	if (!err)
		err = process_wait(&r, &w);
	if (err)
		w.code = 0;
	if (w.code && uusage && put_user(uusage, &w.usage))
		return -EFAULT;
	if (uinfo &&
	    waitid_info_to_user(uinfo, &w)) /* also of a failure: it says that nobody was found */
		return -EFAULT;
	return err;
}
