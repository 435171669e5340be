/* SPDX-License-Identifier: MIT */
/*
 * container_usage.c - what a container uses and may use, as cinfo(2) and the control
 * files tell it. CPU time is that of the processes that live in it and of those that
 * have ended there.
 */
#include "container/container.h"
#include "core/time.h"
#include "lib/string.h"
#include "proc/process.h"

void container_cpu_time(struct container *c, ktime_t *utime, ktime_t *stime)
{
	struct process *p;
	ktime_t u, s;

	spin_lock(&c->lock);
	*utime = c->dead_utime;
	*stime = c->dead_stime;
	spin_unlock(&c->lock);
	for (u32 pid = 1; !process_next_in(&c->pids, &pid, &p); pid++) {
		if (p->pids == &c->pids && p->state == PROCESS_ALIVE) {
			spin_lock(&p->signal_lock);
			process_cpu_time(p, &u, &s);
			spin_unlock(&p->signal_lock);
			*utime += u;
			*stime += s;
		}
		process_put(p);
	}
}

static u64 limit_of(const struct account *a, enum resource what)
{
	s64 max = READ_ONCE(a->res[what].max);

	return max == INT64_MAX ? CONTAINER_NO_LIMIT : (u64)max;
}

void container_info(struct container *c, struct cinfo *i)
{
	struct account *a = c->owner.account;
	ktime_t utime, stime;

	container_cpu_time(c, &utime, &stime);
	memset(i, 0, sizeof(*i));
	i->id = c->owner.id;
	i->parent = c->owner.parent ? c->owner.parent->id : 0;
	strlcpy(i->name, c->name, sizeof(i->name));
	spin_lock(&c->uts.lock);
	strlcpy(i->hostname, c->uts.hostname, sizeof(i->hostname));
	spin_unlock(&c->uts.lock);
	spin_lock(&c->lock);
	i->state = c->state;
	i->exit_status = c->exit_status;
	i->started_nsec = c->started;
	spin_unlock(&c->lock);
	i->console = c->console;
	i->pids_current = account_read(a, RES_PIDS);
	i->pids_max = limit_of(a, RES_PIDS);
	i->pids_failed = READ_ONCE(a->res[RES_PIDS].failed);
	i->memory_current = MAX(account_read(a, RES_MEMORY), (s64)0);
	i->memory_max = limit_of(a, RES_MEMORY);
	i->memory_peak = READ_ONCE(a->res[RES_MEMORY].peak);
	i->memory_oom_kills = READ_ONCE(a->oom_kills);
	i->cpu_user_usec = utime / NSEC_PER_USEC;
	i->cpu_system_usec = stime / NSEC_PER_USEC;
	i->created_nsec = c->created;
}
