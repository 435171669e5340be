/* SPDX-License-Identifier: MIT */
/*
 * policy.c - level 2 of scheduling: the policies that a container can have, by name,
 * and what they see of a process (its V state).
 */
#include "lib/string.h"
#include "proc/sched.h"

static const struct sched_policy *const policies[] = {
	&policy_rr, &policy_fair, &policy_prio, &policy_lottery, &policy_manager,
};

const struct sched_policy *sched_policy_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (!strcmp(policies[i]->name, name))
			return policies[i];
	return NULL;
}

/*
 * R: chosen, it has a CPU; W: it waits to be chosen; L: held by cpu.max; S: it asked for nothing.
 * The first of these that one of the threads is in.
 */
static char thread_state(const struct task *t)
{
	if (READ_ONCE(t->sched.held))
		return 'L';
	if (READ_ONCE(t->state) != TASK_RUNNABLE)
		return 'S';
	return READ_ONCE(t->sched.on_queue) ? 'W' : 'R';
}

void process_sched_state(struct process *p, struct process_sched *s)
{
	static const char order[] = "RWLS";
	const char *best = order + 3;
	struct task *t;

	memset(s, 0, sizeof(*s));
	spin_lock(&tree_lock);
	s->voluntary = p->dead_nvcsw;
	s->involuntary = p->dead_nivcsw;
	s->minor_faults = p->dead_minflt;
	s->major_faults = p->dead_majflt;
	list_for_each (t, &p->threads, thread_node) {
		best = MIN(best, (const char *)strchr(order, thread_state(t)));
		s->voluntary += t->sched.switches_voluntary;
		s->involuntary += t->sched.switches_involuntary;
		s->minor_faults += t->minor_faults;
		s->major_faults += t->major_faults;
	}
	if (p->leader) {
		s->cpu = p->leader->sched.cpu;
		s->nice = p->leader->sched.nice;
	}
	s->state = p->state != PROCESS_ALIVE ? 'Z' : *best;
	if (p->state == PROCESS_ALIVE && (p->stopped || owner_is_paused(p->pids->owner)))
		s->state = 'T';
	spin_unlock(&tree_lock);
}
