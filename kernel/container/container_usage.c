/* SPDX-License-Identifier: MIT */
/*
 * container_usage.c - what a container uses and may use, as cinfo(2) and the control
 * files tell it. CPU time is that of what ran in it and in its descendants.
 */
#include "container/container.h"
#include "core/time.h"
#include "lib/string.h"
#include "proc/sched.h"

static u64 limit_of(const struct account *a, enum resource what)
{
	s64 max = READ_ONCE(a->res[what].max);

	return max == INT64_MAX ? CONTAINER_NO_LIMIT : (u64)max;
}

void container_info(struct container *c, struct cinfo *i)
{
	struct account *a = c->owner.account;
	struct sched_usage cpu;

	sched_group_usage(c->cpu, &cpu);
	memset(i, 0, sizeof(*i));
	i->id = c->owner.id;
	i->parent = c->owner.parent ? c->owner.parent->id : 0;
	strlcpy(i->name, c->name, sizeof(i->name));
	spin_lock(&c->uts.lock);
	strlcpy(i->hostname, c->uts.hostname, sizeof(i->hostname));
	spin_unlock(&c->uts.lock);
	spin_lock(&c->lock);
	i->state = container_state_shown(c);
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
	i->disk_current = account_read(a, RES_DISK);
	i->disk_max = limit_of(a, RES_DISK);
	i->inodes_current = account_read(a, RES_INODES);
	i->inodes_max = limit_of(a, RES_INODES);
	i->cpu_user_usec = cpu.user / NSEC_PER_USEC;
	i->cpu_system_usec = cpu.system / NSEC_PER_USEC;
	i->created_nsec = c->created;
}
