/* SPDX-License-Identifier: MIT */
/*
 * clock.c - the clocks as user space names them (man 2 clock_gettime), and
 * sleeping on them. CLOCK_MONOTONIC_RAW, _COARSE and BOOTTIME are CLOCK_MONOTONIC
 * here: it is not slewed, and the machine does not suspend. CPU-time clocks of
 * processes and threads have ids as in Linux's <linux/posix-timers.h>:
 * ~pid << 3 | 4 (thread) | 2.
 */
#include "arch/x86/arch.h"
#include "arch/x86/uaccess.h"
#include "lib/string.h"
#include "proc/process.h"
#include "proc/sigtimer.h"
#include "syscalls.h"

/* --- reading --- */

static int cpu_clock_read(s32 id, s64 *ns)
{
	struct process *p = current->process;
	struct task *t = current;
	ktime_t u, s;
	u32 pid = ~(id >> 3);
	bool thread = id & 4;

	if ((id & 3) > 2)
		return -EINVAL;
	if (pid && (thread ? task_find(pid, &t) : process_find(pid, &p)))
		return -EINVAL;
	if (thread && t->process != p) {
		task_put(t);
		return -EINVAL;
	}
	if (thread) {
		process_account_time(t, &u, &s);
	} else {
		spin_lock(&p->signal_lock);
		process_cpu_time(p, &u, &s);
		spin_unlock(&p->signal_lock);
	}
	if (pid && thread)
		task_put(t);
	else if (pid)
		process_put(p);
	*ns = (id & 3) == 1 ? u : u + s; /* 1: user time only (CPUCLOCK_VIRT) */
	return 0;
}

bool clock_is_cpu(s32 id)
{
	return id < 0 || id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID;
}

int clock_read(s32 id, s64 *ns)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		*ns = realtime_get();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ns = ktime_get();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		return cpu_clock_read(~0u << 3 | 2, ns);
	case CLOCK_THREAD_CPUTIME_ID:
		return cpu_clock_read(~0u << 3 | 6, ns);
	}
	return id < 0 ? cpu_clock_read(id, ns) : -EINVAL;
}

int clock_deadline(s32 id, s64 ns, bool absolute, ktime_t *deadline)
{
	s64 now;
	int err = clock_read(id, &now);

	if (err)
		return err;
	if (absolute)
		ns = ns > now ? ns - now : 0;
	if (__builtin_add_overflow(ktime_get(), ns, deadline))
		*deadline = KTIME_NEVER;
	return 0;
}

/* --- user representations --- */

int timespec_valid(const struct timespec_user *t)
{
	return t->sec >= 0 && (u64)t->nsec < NSEC_PER_SEC;
}

s64 timespec_ns(const struct timespec_user *t)
{
	if (t->sec >= INT64_MAX / NSEC_PER_SEC)
		return INT64_MAX;
	return t->sec * NSEC_PER_SEC + t->nsec;
}

struct timespec_user ns_timespec(s64 ns)
{
	return (struct timespec_user){ ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };
}

int timespec_from_user(uaddr_t p, s64 *ns)
{
	struct timespec_user t;

	if (get_user(&t, p))
		return -EFAULT;
	if (!timespec_valid(&t))
		return -EINVAL;
	*ns = timespec_ns(&t);
	return 0;
}

int timespec_to_user(uaddr_t p, s64 ns)
{
	struct timespec_user t = ns_timespec(ns);

	return put_user(p, &t);
}

/* --- the calls --- */

s64 sys_clock_gettime(int id, uaddr_t out)
{
	s64 ns;
	int err = clock_read(id, &ns);

	return err ? err : timespec_to_user(out, ns);
}

s64 sys_clock_getres(int id, uaddr_t out)
{
	s64 ns;
	int err = clock_read(id, &ns);
	bool coarse = id == CLOCK_REALTIME_COARSE || id == CLOCK_MONOTONIC_COARSE;

	if (err || !out)
		return err;
	return timespec_to_user(out, coarse ? 4 * NSEC_PER_MSEC : 1);
}

static int clock_set(s64 ns)
{
	if (!may_host(CAP_SYS_TIME))
		return -EPERM;
	realtime_set(ns);
	arch_vdso_update();
	return 0;
}

s64 sys_clock_settime(int id, uaddr_t in)
{
	s64 ns;
	int err;

	if (id != CLOCK_REALTIME && !(id < 0 && (id & 7) != 3))
		return -EINVAL;
	err = timespec_from_user(in, &ns);
	if (err || id == CLOCK_REALTIME)
		return err ? err : clock_set(ns);
	err = clock_read(id, &ns); /* a CPU-time clock: there, but not to be set */
	return err ? err : -EPERM;
}

struct timeval_user {
	s64 sec, usec;
};

s64 sys_gettimeofday(uaddr_t tv, uaddr_t tz)
{
	s64 now = realtime_get();
	struct timeval_user t = { now / NSEC_PER_SEC, now % NSEC_PER_SEC / NSEC_PER_USEC };
	s32 zone[2] = { 0, 0 };

	if (tv && put_user(tv, &t))
		return -EFAULT;
	return tz ? put_user(tz, &zone) : 0;
}

s64 sys_settimeofday(uaddr_t tv, uaddr_t tz)
{
	struct timeval_user t;
	s32 zone[2];

	if (tv && get_user(&t, tv))
		return -EFAULT;
	if (tv && (t.sec < 0 || (u64)t.usec >= 1000000))
		return -EINVAL;
	if (tz && get_user(&zone, tz))
		return -EFAULT;
	if (!may_host(CAP_SYS_TIME))
		return -EPERM;
	return tv ? clock_set(t.sec * NSEC_PER_SEC + t.usec * NSEC_PER_USEC) : 0;
}

s64 sys_time(uaddr_t out)
{
	s64 now = realtime_get() / NSEC_PER_SEC;

	if (out && put_user(out, &now))
		return -EFAULT;
	return now;
}

/* --- sleeping --- */

/* arg: 0 deadline, 1 where the rest goes (0: nowhere), 2 absolute (no rest, NOHAND) */
static s64 sleep_until(struct restart *r)
{
	ktime_t deadline = r->arg[0];
	s64 left;

	for (;;) {
		sched_prepare_sleep();
		if (signal_pending()) {
			sched_cancel_sleep();
			break;
		}
		if (sched_sleep(deadline))
			return 0;
	}
	if (r->arg[2])
		return -ERESTARTNOHAND;
	left = MAX(deadline - ktime_get(), (s64)0);
	if (!left)
		return 0;
	if (r->arg[1] && timespec_to_user(r->arg[1], left))
		return -EFAULT;
	r->fn = sleep_until;
	return -ERESTART_RESTARTBLOCK;
}

static s64 sleep_begin(s32 clock, s64 ns, bool absolute, uaddr_t rest)
{
	ktime_t deadline;
	int err = clock_deadline(clock, ns, absolute, &deadline);

	if (err)
		return err;
	current->restart = (struct restart){ .arg = { deadline, rest, absolute } };
	return sleep_until(&current->restart);
}

s64 sys_nanosleep(uaddr_t req, uaddr_t rest)
{
	s64 ns;
	int err = timespec_from_user(req, &ns);

	return err ? err : sleep_begin(CLOCK_MONOTONIC, ns, false, rest);
}

#define TIMER_ABSTIME 1

s64 sys_clock_nanosleep(int clock, int flags, uaddr_t req, uaddr_t rest)
{
	s64 ns;
	int err;

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		break;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		if (!capable(CAP_WAKE_ALARM))
			return -EPERM;
		break;
	case CLOCK_PROCESS_CPUTIME_ID: /* doc/abi.md: sleeping on CPU time is not there */
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_REALTIME_COARSE:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
	err = timespec_from_user(req, &ns);
	return err ? err : sleep_begin(clock, ns, flags & TIMER_ABSTIME, rest);
}
