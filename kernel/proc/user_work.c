/* SPDX-License-Identifier: MIT */
/*
 * user_work.c - what a task does before it goes (back) to user mode, whenever
 * its work word is not zero: run another task if one is due, run callbacks, park
 * if the container is paused, deliver signals. It loops until nothing is left;
 * each step clears its bit first, so that what arrives meanwhile is seen.
 *
 * This is the only place where throttling and pausing act: no lock is held here,
 * so no task stops another by being stopped itself.
 */
#include "core/task.h"
#include "dev/block.h"
#include "mm/page.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "proc/tree.h"

void task_run_callbacks(void)
{
	struct task_callback *cb, *next;

	while (READ_ONCE(current->callbacks)) {
		if (current->work & WORK_CALLBACK)
			task_clear_work(current, WORK_CALLBACK);
		cb = __atomic_exchange_n(&current->callbacks, NULL, __ATOMIC_SEQ_CST);
		for (; cb; cb = next) {
			next = cb->next;
			cb->fn(cb);
			resched_point();
		}
	}
}

void task_user_work(struct trapframe *frame)
{
	u64 work;

	while ((work = READ_ONCE(current->work))) {
		if (work & WORK_LENT)
			sched_lend_end(); /* clears it */
		if (work & WORK_RESCHED)
			schedule(); /* clears it */
		if (work & WORK_CALLBACK) {
			task_clear_work(current, WORK_CALLBACK);
			task_run_callbacks();
		}
		if (work & WORK_THROTTLE)
			sched_hold(); /* clears it */
		if (work & WORK_RECLAIM)
			memory_throttle(); /* clears it */
		if (work & WORK_IO)
			block_throttle(); /* clears it, unless a signal is to come first */
		if (work & WORK_PAUSE && !(work & WORK_KILLED)) {
			if (container_hooks)
				container_hooks->park();
			else
				task_clear_work(current, WORK_PAUSE);
		}
		if (work & (WORK_SIGNAL | WORK_KILLED | WORK_STOP | WORK_RESTORE))
			signal_deliver(frame);
	}
}
