/* SPDX-License-Identifier: MIT */
/* sys_signal.c - the system calls about handlers, masks and waiting for signals. */
#include "arch/x86/trap.h"
#include "arch/x86/uaccess.h"
#include "proc/process.h"
#include "proc/sigtimer.h"
#include "syscalls.h"

#define SA_KNOWN                                                                            \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESTART | \
	 SA_NODEFER | SA_RESETHAND)

static bool is_ignored(const struct sigaction_kernel *a, int sig)
{
	return a->handler == SIG_IGN || (a->handler == SIG_DFL && (SIGBIT(sig) & SIGSET_IGNORED));
}

/* What becomes of pending signals when their action is now to ignore them (POSIX.1, 2.4.3). */
static void action_set(struct process *p, int sig, const struct sigaction_kernel *a,
		       struct sigactions **spare)
{
	sigaction_set(p, sig, a, spare);
	if (!is_ignored(a, sig)) {
		if (sig == SIGALRM && !(p->signals->pending.set & SIGBIT(sig)))
			real_timer_taken(p->signals);
		posix_timers_unignored(p, sig);
		return;
	}
	while (!signal_discard(p, SIGBIT(sig)) && is_ignored(sigaction_of(p, sig), sig)) {
		spin_unlock(&p->signal_lock);
		resched_point();
		spin_lock(&p->signal_lock);
	}
}

s64 sys_rt_sigaction(int sig, uaddr_t new, uaddr_t old, size_t size)
{
	struct process *p = current->process;
	struct sigactions *spare = NULL;
	struct sigaction_kernel n = { 0 }, o;

	if (size != sizeof(sigset_t))
		return -EINVAL;
	if (new &&get_user(&n, new))
		return -EFAULT;
	if (sig < 1 || sig > NSIG || (new && (SIGBIT(sig) & SIGSET_UNBLOCKABLE)))
		return -EINVAL;
	n.flags &= SA_KNOWN;
	n.mask &= ~SIGSET_UNBLOCKABLE;
	if (new && !sigaction_is_plain(&n) && !READ_ONCE(p->signals->hand->set)) {
		spare = sigactions_alloc();
		if (!spare)
			return -ENOMEM;
	}
	spin_lock(&p->signal_lock);
	o = *sigaction_of(p, sig);
	if (new)
		action_set(p, sig, &n, &spare);
	spin_unlock(&p->signal_lock);
	sigactions_free(spare);
	return old ? put_user(old, &o) : 0;
}

s64 sys_rt_sigprocmask(int how, uaddr_t new, uaddr_t old, size_t size)
{
	struct task_signals *ts = current->signals;
	sigset_t set, was = ts->blocked;

	if (size != sizeof(sigset_t))
		return -EINVAL;
	if (new) {
		if (get_user(&set, new))
			return -EFAULT;
		switch (how) {
		case 0: /* SIG_BLOCK */
			signal_set_blocked(was | set);
			break;
		case 1: /* SIG_UNBLOCK */
			signal_set_blocked(was & ~set);
			break;
		case 2: /* SIG_SETMASK */
			signal_set_blocked(set);
			break;
		default:
			return -EINVAL;
		}
	}
	return old ? put_user(old, &was) : 0;
}

s64 sys_rt_sigpending(uaddr_t out, size_t size)
{
	struct task_signals *ts = current->signals;
	sigset_t set;

	if (size > sizeof(sigset_t))
		return -EINVAL;
	spin_lock(&current->process->signal_lock);
	set = (ts->pending.set | current->process->signals->pending.set) & ts->blocked;
	spin_unlock(&current->process->signal_lock);
	return copy_to_user(out, &set, size);
}

/* Sleeps until one of `set` can be taken: its number, -EAGAIN (deadline), -EINTR. */
static int signal_wait(sigset_t set, ktime_t deadline, struct siginfo *info)
{
	struct process *p = current->process;
	struct task_signals *ts = current->signals;
	bool late = false;
	int sig;

	spin_lock(&p->signal_lock);
	ts->waiting = set;
	for (;;) {
		sig = signal_dequeue(current, set, info);
		if (sig || late || signal_pending())
			break;
		sched_prepare_sleep();
		spin_unlock(&p->signal_lock);
		late = sched_sleep(deadline);
		spin_lock(&p->signal_lock);
	}
	ts->waiting = 0;
	signal_recompute(current);
	spin_unlock(&p->signal_lock);
	if (sig)
		return sig;
	return late ? -EAGAIN : -EINTR;
}

s64 sys_rt_sigtimedwait(uaddr_t uset, uaddr_t uinfo, uaddr_t utimeout, size_t size)
{
	ktime_t deadline = KTIME_NEVER;
	struct siginfo info;
	sigset_t set;
	s64 timeout;
	int sig = signal_mask_from_user(uset, size, &set);

	if (sig)
		return sig;
	if (utimeout) {
		sig = timespec_from_user(utimeout, &timeout);
		if (sig)
			return sig;
		clock_deadline(CLOCK_MONOTONIC, timeout, false, &deadline);
	}
	sig = signal_wait(set & ~SIGSET_UNBLOCKABLE, deadline, &info);
	if (sig > 0 && uinfo && put_user(uinfo, &info))
		return -EFAULT;
	return sig;
}

static s64 sleep_for_signal(void)
{
	while (!signal_pending()) {
		sched_prepare_sleep();
		if (signal_pending()) {
			sched_cancel_sleep();
			break;
		}
		sched_sleep(KTIME_NEVER);
	}
	return -ERESTARTNOHAND;
}

s64 sys_rt_sigsuspend(uaddr_t uset, size_t size)
{
	sigset_t set;
	int err = signal_mask_from_user(uset, size, &set);

	if (err)
		return err;
	signal_set_blocked_temporarily(set);
	return sleep_for_signal();
}

s64 sys_pause(void)
{
	return sleep_for_signal();
}
