/* SPDX-License-Identifier: MIT */
/*
 * sigdeliver.c - what happens to pending signals on the way to user mode: a
 * handler's frame is pushed, or the default action taken (man 7 signal), or the
 * whole process parks because it is stopped. Also the restart of system calls
 * that a signal interrupted.
 *
 * A thread that is killed ends here: process_exit() if SIGKILL is pending for
 * the process, task_exit() if another thread has ended the group or called exec.
 */
#include "arch/x86/trap.h"
#include "core/errno.h"
#include "proc/process.h"
#include "proc/sigframe.h"
#include "syscalls.h"

#define NR_RESTART_SYSCALL 219

/* --- interrupted system calls --- */

static void syscall_restart(struct trapframe *f, u64 number)
{
	f->rax = number;
	f->rip -= 2; /* the syscall instruction */
}

/* a: the action of the handler that will run, or NULL. */
static void syscall_fix_result(struct trapframe *f, const struct sigaction_kernel *a)
{
	if ((s64)f->orig_rax < 0)
		return;
	switch (-(s64)f->rax) {
	case ERESTART_RESTARTBLOCK:
		if (a)
			f->rax = (u64)-EINTR;
		else
			syscall_restart(f, NR_RESTART_SYSCALL);
		break;
	case ERESTARTNOHAND:
		if (a)
			f->rax = (u64)-EINTR;
		else
			syscall_restart(f, f->orig_rax);
		break;
	case ERESTARTSYS:
		if (a && !(a->flags & SA_RESTART))
			f->rax = (u64)-EINTR;
		else
			syscall_restart(f, f->orig_rax);
		break;
	case ERESTARTNOINTR:
		syscall_restart(f, f->orig_rax);
		break;
	}
	f->orig_rax = (u64)-1;
}

s64 sys_restart_syscall(void)
{
	struct restart r = current->restart;

	current->restart.fn = NULL;
	return r.fn ? r.fn(&current->restart) : -EINTR;
}

/* --- stopping --- */

/* A stop signal was taken: every thread is to park. signal_lock held. */
static void stop_begin(struct process *p, int sig)
{
	struct signal_shared *sh = p->signals;
	struct task *t;

	if (sh->stop != STOP_NONE)
		return;
	sh->stop = STOP_STOPPING;
	sh->stop_left = 0;
	p->stop_signal = sig;
	list_for_each (t, &p->threads, thread_node) {
		sh->stop_left++;
		task_set_work(t, WORK_STOP | WORK_SIGNAL);
		if (t != current)
			sched_wake(t);
	}
}

/* Tells the parent what notify_parent says. No lock held. */
static void stop_report(struct process *p)
{
	struct signal_shared *sh = p->signals;
	int code;

	spin_lock(&tree_lock);
	spin_lock(&p->signal_lock);
	code = sh->notify_parent;
	sh->notify_parent = 0;
	if (code == CLD_STOPPED && sh->stop == STOP_STOPPED) {
		p->stopped = true;
		p->stop_reported = false;
	} else if (code == CLD_CONTINUED) {
		p->stopped = false;
		p->continued = true;
	}
	spin_unlock(&p->signal_lock);
	if (code)
		signal_notify_parent(p, code);
	spin_unlock(&tree_lock);
}

/* Parks current until the stop ends or it is killed; the last to park reports the stop. */
static void stop_park(struct process *p)
{
	struct signal_shared *sh = p->signals;
	bool report = false;

	spin_lock(&p->signal_lock);
	if (sh->stop == STOP_STOPPING && (current->work & WORK_STOP)) {
		task_clear_work(current, WORK_STOP);
		if (--sh->stop_left == 0) {
			sh->stop = STOP_STOPPED;
			sh->notify_parent = CLD_STOPPED;
			report = true;
		}
	}
	spin_unlock(&p->signal_lock);
	if (report)
		stop_report(p);
	spin_lock(&p->signal_lock);
	while (sh->stop != STOP_NONE)
		if (waitq_sleep(&sh->parked, &p->signal_lock, SLEEP_KILLABLE, KTIME_NEVER))
			break;
	spin_unlock(&p->signal_lock);
}

/* --- delivery --- */

/* Takes the next signal that is to have an effect: its number and action, or 0. signal_lock held.
 */
static int signal_next(struct task_signals *ts, struct sigaction_kernel *action,
		       struct siginfo *info)
{
	struct process *p = current->process;
	int sig;

	while ((sig = signal_dequeue(current, ~ts->blocked, info))) {
		const struct sigaction_kernel *a = sigaction_of(p, sig);
		bool init = p->pids->init == p;

		*action = *a;
		if (a->handler > SIG_IGN) {
			if (a->flags & SA_RESETHAND)
				sigaction_reset(p, sig);
			return sig;
		}
		if (a->handler == SIG_IGN || (SIGBIT(sig) & SIGSET_IGNORED))
			continue;
		if (init && !(SIGBIT(sig) & SIGSET_UNBLOCKABLE) && !(ts->forced & SIGBIT(sig)))
			continue;
		return sig;
	}
	return 0;
}

/* A stop by SIGTSTP and its like does nothing in an orphaned group (POSIX.1, 2.4.3). */
static void signal_act_stop(struct process *p, int sig)
{
	bool orphaned = false;

	if (sig != SIGSTOP) {
		spin_unlock(&p->signal_lock);
		spin_lock(&tree_lock);
		orphaned = group_is_orphaned(p->group);
		spin_unlock(&tree_lock);
		spin_lock(&p->signal_lock);
	}
	if (!orphaned && !(p->signals->pending.set & (SIGBIT(SIGCONT) | SIGBIT(SIGKILL))))
		stop_begin(p, sig);
}

/* Pushes the frame, and blocks what the handler wants blocked. */
static void signal_run_handler(struct trapframe *f, int sig, const struct sigaction_kernel *a,
			       const struct siginfo *info)
{
	struct task_signals *ts = current->signals;
	sigset_t old = current->work & WORK_RESTORE ? ts->saved_blocked : ts->blocked;
	sigset_t mask = ts->blocked | a->mask;

	if (!(a->flags & SA_NODEFER))
		mask |= SIGBIT(sig);
	syscall_fix_result(f, a);
	task_clear_work(current, WORK_RESTORE);
	if (sigframe_push(f, sig, a, info, old)) {
		if (sig == SIGSEGV) { /* the stack for its own handler is gone */
			spin_lock(&current->process->signal_lock);
			sigaction_reset(current->process, SIGSEGV);
			spin_unlock(&current->process->signal_lock);
		}
		signal_fault(SIGSEGV, SI_KERNEL, 0, 0, 0);
		return;
	}
	signal_set_blocked(mask);
}

static void signal_die_if_killed(struct process *p)
{
	bool by_signal;

	if (!kill_pending())
		return;
	spin_lock(&p->signal_lock);
	by_signal = p->signals->pending.set & SIGBIT(SIGKILL);
	spin_unlock(&p->signal_lock);
	if (by_signal)
		process_exit(SIGKILL);
	task_exit(0);
}

void signal_deliver(struct trapframe *f)
{
	struct process *p = current->process;
	struct task_signals *ts = current->signals;
	struct sigaction_kernel action;
	struct siginfo info;
	int sig;

	for (;;) {
		signal_die_if_killed(p);
		if (p->signals->notify_parent)
			stop_report(p);
		if (p->signals->stop != STOP_NONE) {
			stop_park(p);
			continue;
		}
		spin_lock(&p->signal_lock);
		sig = signal_next(ts, &action, &info);
		if (sig && action.handler == SIG_DFL && signal_is_stop(sig)) {
			signal_act_stop(p, sig);
			spin_unlock(&p->signal_lock);
			continue;
		}
		signal_recompute(current);
		spin_unlock(&p->signal_lock);
		break;
	}
	if (sig && action.handler == SIG_DFL)
		process_exit(sig);
	if (sig) {
		signal_run_handler(f, sig, &action, &info);
		return;
	}
	syscall_fix_result(f, NULL);
	signal_mask_restore();
}
