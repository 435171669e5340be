/* SPDX-License-Identifier: MIT */
/*
 * itimer.c - alarm(2), setitimer(2), and the CPU-time limit RLIMIT_CPU.
 *
 * ITIMER_REAL is one kernel timer, which waits, once it has sent SIGALRM, until that
 * is taken (as posix_timer.c). The CPU-time ones need no tick: a poll timer
 * is armed for the earliest moment at which one of them could expire (if all
 * threads ran all the time until then), looks at the CPU clock, sends what is
 * due, and arms itself again.
 *
 * All fields under process->signal_lock; the timers' callbacks run in interrupt
 * context and take it too. timers_destroy_process() waits for them.
 */
#include "arch/x86/uaccess.h"
#include "proc/process.h"
#include "proc/sigtimer.h"
#include "syscalls.h"

#define CPU_POLL_MIN NSEC_PER_MSEC

/* --- ITIMER_REAL --- */

static void real_timer_fire(struct timer *timer)
{
	struct signal_shared *sh = container_of(timer, struct signal_shared, real_timer);
	struct process *p = sh->process;
	ktime_t now = ktime_get();

	spin_lock(&p->signal_lock);
	if (sh->real_waits || sh->real_expires > now) { /* it was set anew meanwhile */
		spin_unlock(&p->signal_lock);
		return;
	}
	if (sh->real_interval)
		sh->real_waits = true;
	else
		sh->real_expires = KTIME_NEVER;
	spin_unlock(&p->signal_lock);
	signal_send_process(p, SIGALRM, NULL);
}

/* The expiry after those that have passed, if it waits. */
static ktime_t real_timer_next(const struct signal_shared *sh, ktime_t now)
{
	ktime_t passed = now - sh->real_expires;

	if (!sh->real_waits || passed < 0)
		return sh->real_expires;
	return sh->real_expires + (1 + passed / sh->real_interval) * sh->real_interval;
}

void real_timer_taken(struct signal_shared *sh)
{
	if (!sh->real_waits)
		return;
	sh->real_expires = real_timer_next(sh, ktime_get());
	sh->real_waits = false;
	timer_arm(&sh->real_timer, sh->real_expires);
}

static void real_timer_set(struct signal_shared *sh, ktime_t value, ktime_t interval)
{
	sh->real_interval = interval;
	sh->real_waits = false;
	if (!value || __builtin_add_overflow(ktime_get(), value, &sh->real_expires))
		sh->real_expires = KTIME_NEVER;
	if (sh->real_expires == KTIME_NEVER)
		timer_cancel(&sh->real_timer);
	else
		timer_arm(&sh->real_timer, sh->real_expires);
}

/* --- CPU time --- */

/* Sends sig if c is due at `used`, and moves it on. Returns when it is next due, in CPU time. */
static ktime_t cpu_timer_check(struct cpu_timer *c, ktime_t used, bool *due)
{
	*due = c->expires <= used;
	if (*due)
		c->expires = c->interval ? used + c->interval : KTIME_NEVER;
	return c->expires == KTIME_NEVER ? KTIME_NEVER : c->expires - used;
}

/* Looks at all three; arms the poll timer. Returns the signals to send. */
static sigset_t cpu_timers_check(struct process *p)
{
	struct signal_shared *sh = p->signals;
	ktime_t user, system, left;
	bool virt, prof, limit;

	process_cpu_time(p, &user, &system);
	left = cpu_timer_check(&sh->virt, user, &virt);
	left = MIN(left, cpu_timer_check(&sh->prof, user + system, &prof));
	left = MIN(left, cpu_timer_check(&sh->limit, user + system, &limit));
	if (left != KTIME_NEVER) {
		u32 threads = MAX(1u, MIN(p->thread_count, cpu_count));
		timer_arm(&sh->cpu_poll, ktime_get() + MAX(left / threads, CPU_POLL_MIN));
	}
	return (virt ? SIGBIT(SIGVTALRM) : 0) | (prof ? SIGBIT(SIGPROF) : 0) |
	       (limit ? SIGBIT(SIGXCPU) : 0);
}

/* SIGXCPU each second beyond the soft limit, SIGKILL at the hard one (man 2 getrlimit). */
static void cpu_limit_act(struct process *p)
{
	ktime_t user, system;
	u64 hard = READ_ONCE(p->rlimits.lim[RLIMIT_CPU].max);

	spin_lock(&p->signal_lock);
	process_cpu_time(p, &user, &system);
	spin_unlock(&p->signal_lock);
	if (hard != RLIM_INFINITY && (u64)(user + system) / NSEC_PER_SEC >= hard)
		signal_kill_process(p);
	else
		signal_send_process(p, SIGXCPU, NULL);
}

static void cpu_poll_fire(struct timer *timer)
{
	struct signal_shared *sh = container_of(timer, struct signal_shared, cpu_poll);
	struct process *p = sh->process;
	sigset_t due;

	spin_lock(&p->signal_lock);
	due = cpu_timers_check(p);
	spin_unlock(&p->signal_lock);
	if (due & SIGBIT(SIGVTALRM))
		signal_send_process(p, SIGVTALRM, NULL);
	if (due & SIGBIT(SIGPROF))
		signal_send_process(p, SIGPROF, NULL);
	if (due & SIGBIT(SIGXCPU))
		cpu_limit_act(p);
}

static void cpu_timer_set(struct process *p, struct cpu_timer *c, bool user_only, ktime_t value,
			  ktime_t interval)
{
	ktime_t user, system;

	process_cpu_time(p, &user, &system);
	c->interval = interval;
	if (!value || __builtin_add_overflow(user_only ? user : user + system, value, &c->expires))
		c->expires = KTIME_NEVER;
	cpu_timers_check(p);
}

void cpu_limit_changed(struct process *p)
{
	u64 seconds = READ_ONCE(p->rlimits.lim[RLIMIT_CPU].cur);

	spin_lock(&p->signal_lock);
	p->signals->limit.interval = NSEC_PER_SEC;
	p->signals->limit.expires = seconds >= INT64_MAX / NSEC_PER_SEC
					    ? KTIME_NEVER
					    : (ktime_t)(MAX(seconds, 1ul) * NSEC_PER_SEC);
	cpu_timers_check(p);
	spin_unlock(&p->signal_lock);
}

void timers_init_process(struct process *p)
{
	struct signal_shared *sh = p->signals;

	timer_init(&sh->real_timer, real_timer_fire);
	timer_init(&sh->cpu_poll, cpu_poll_fire);
	timer_init(&sh->posix_timer, posix_timers_fire);
	sh->real_expires = KTIME_NEVER;
	sh->virt.expires = sh->prof.expires = sh->limit.expires = KTIME_NEVER;
	idmap_init(&sh->posix_timers, 0, INT32_MAX);
}

/* --- the calls --- */

struct itimerval_user {
	s64 interval_sec, interval_usec, value_sec, value_usec;
};

enum { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };

static ktime_t cpu_timer_left(struct process *p, const struct cpu_timer *c, bool user_only)
{
	ktime_t user, system;

	if (c->expires == KTIME_NEVER)
		return 0;
	process_cpu_time(p, &user, &system);
	return MAX(c->expires - (user_only ? user : user + system), NSEC_PER_USEC);
}

static void itimer_read(struct process *p, int which, ktime_t *value, ktime_t *interval)
{
	struct signal_shared *sh = p->signals;
	ktime_t now = ktime_get();

	switch (which) {
	case ITIMER_REAL:
		*interval = sh->real_interval;
		*value = sh->real_expires == KTIME_NEVER
				 ? 0
				 : MAX(real_timer_next(sh, now) - now, NSEC_PER_USEC);
		break;
	case ITIMER_VIRTUAL:
		*interval = sh->virt.interval;
		*value = cpu_timer_left(p, &sh->virt, true);
		break;
	default:
		*interval = sh->prof.interval;
		*value = cpu_timer_left(p, &sh->prof, false);
	}
}

static int itimer_to_user(uaddr_t out, ktime_t value, ktime_t interval)
{
	struct itimerval_user u = {
		.interval_sec = interval / NSEC_PER_SEC,
		.interval_usec = interval % NSEC_PER_SEC / NSEC_PER_USEC,
		.value_sec = value / NSEC_PER_SEC,
		.value_usec = value % NSEC_PER_SEC / NSEC_PER_USEC,
	};

	return put_user(out, &u);
}

static int timeval_ns(s64 sec, s64 usec, ktime_t *ns)
{
	if (sec < 0 || (u64)usec >= 1000000)
		return -EINVAL;
	*ns = sec >= INT64_MAX / NSEC_PER_SEC ? KTIME_NEVER
					      : sec * NSEC_PER_SEC + usec * NSEC_PER_USEC;
	return 0;
}

s64 sys_getitimer(int which, uaddr_t out)
{
	struct process *p = current->process;
	ktime_t value, interval;

	if (which < ITIMER_REAL || which > ITIMER_PROF)
		return -EINVAL;
	spin_lock(&p->signal_lock);
	itimer_read(p, which, &value, &interval);
	spin_unlock(&p->signal_lock);
	return itimer_to_user(out, value, interval);
}

s64 sys_setitimer(int which, uaddr_t in, uaddr_t out)
{
	struct process *p = current->process;
	struct itimerval_user u = { 0 };
	ktime_t value, interval, old_value, old_interval;

	if (in && get_user(&u, in))
		return -EFAULT;
	if (timeval_ns(u.value_sec, u.value_usec, &value) ||
	    timeval_ns(u.interval_sec, u.interval_usec, &interval))
		return -EINVAL;
	if (which < ITIMER_REAL || which > ITIMER_PROF)
		return -EINVAL;
	spin_lock(&p->signal_lock);
	itimer_read(p, which, &old_value, &old_interval);
	if (which == ITIMER_REAL)
		real_timer_set(p->signals, value, interval);
	else if (which == ITIMER_VIRTUAL)
		cpu_timer_set(p, &p->signals->virt, true, value, interval);
	else
		cpu_timer_set(p, &p->signals->prof, false, value, interval);
	spin_unlock(&p->signal_lock);
	return out ? itimer_to_user(out, old_value, old_interval) : 0;
}

/* The seconds that were left, rounded to the nearest but not to 0 (man 2 alarm). */
s64 sys_alarm(u32 seconds)
{
	struct process *p = current->process;
	ktime_t value, interval;

	spin_lock(&p->signal_lock);
	itimer_read(p, ITIMER_REAL, &value, &interval);
	real_timer_set(p->signals, seconds * NSEC_PER_SEC, 0);
	spin_unlock(&p->signal_lock);
	if (value && value < NSEC_PER_SEC)
		return 1;
	return (value + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
}
