/* SPDX-License-Identifier: MIT */
/* status.c - what /proc and the control files say of a process in a line. */
#include "lib/string.h"
#include "mm/aspace.h"
#include "proc/process.h"

static char task_letter(const struct task *t)
{
	switch (READ_ONCE(t->state)) {
	case TASK_RUNNABLE:
	case TASK_NEW:
		return 'R';
	case TASK_SLEEPING:
		return 'S';
	case TASK_DEAD:
		break;
	}
	return 'X';
}

char process_state_letter(struct process *p)
{
	struct task *t;
	char letter = 'X';

	if (READ_ONCE(p->state) == PROCESS_ZOMBIE)
		return 'Z';
	if (READ_ONCE(p->stopped))
		return 'T';
	/* Any running thread makes it R, as the leader's state would on Linux for most programs. */
	spin_lock(&p->signal_lock);
	list_for_each (t, &p->threads, thread_node) {
		letter = task_letter(t);
		if (letter == 'R')
			break;
	}
	spin_unlock(&p->signal_lock);
	return letter;
}

void process_summarise(struct process *p, struct process_summary *s)
{
	struct aspace *as = NULL;

	memset(s, 0, sizeof(*s));
	s->state = process_state_letter(p);
	spin_lock(&p->signal_lock);
	process_cpu_time(p, &s->utime, &s->stime);
	spin_unlock(&p->signal_lock);
	spin_lock(&tree_lock);
	if (p->leader) {
		strlcpy(s->name, p->leader->name, sizeof(s->name));
		as = p->leader->aspace;
	}
	if (as && p->state == PROCESS_ALIVE)
		s->rss_bytes = (READ_ONCE(as->rss_anon) + READ_ONCE(as->rss_file) +
				READ_ONCE(as->rss_shmem)) *
			       PAGE_SIZE;
	spin_unlock(&tree_lock);
}
