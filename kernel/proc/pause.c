/* SPDX-License-Identifier: MIT */
/*
 * pause.c - pausing all processes of a container. The caller has marked its owner paused before:
 * who is born there after pid_table_pause() sees that (owner_is_paused), under the same lock.
 *
 * A paused task parks on its way to user mode (task_user_work). One that runs
 * user code on another CPU is interrupted by a call to every CPU: when that has
 * returned, each has passed the check, so nothing of the container runs. Who
 * sleeps in a system call stays asleep and parks when the call is done.
 */
#include "arch/x86/smp.h"
#include "proc/process.h"

static void do_nothing(void *arg) {}

void pid_table_pause(struct pid_table *t)
{
	struct process *p;
	struct task *task;

	spin_lock(&tree_lock);
	list_for_each (p, &t->all, table_node) {
		if (p->pids != t)
			continue;
		list_for_each (task, &p->threads, thread_node)
			task_set_work(task, WORK_PAUSE);
	}
	spin_unlock(&tree_lock);
}

void pause_sync(void)
{
	smp_call_all(do_nothing, NULL);
}

bool pid_table_rewind(struct pid_table *t)
{
	bool empty;

	spin_lock(&t->lock);
	empty = t->ids.ids.count == 0;
	if (empty)
		t->ids.last = t->ids.min - 1;
	spin_unlock(&t->lock);
	return empty;
}
