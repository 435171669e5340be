/* SPDX-License-Identifier: MIT */
/*
 * work.c - one queue of work, and the thread that does it (core/work.h).
 *
 * An item is off the queue before its function runs, so that the function may
 * queue it again or free it. Items are numbered as they are done: a drain waits
 * until as many are done as were queued when it came.
 */
#include "core/work.h"

#include "core/task.h"

static spinlock_t work_lock = SPINLOCK_INIT(RANK_WORK); /* W */
static struct list work_items = LIST_INIT(work_items);	/* W */
static u64 work_queued, work_done;			/* W */
static struct waitq work_more = WAITQ_INIT(work_more);
static struct waitq work_progress = WAITQ_INIT(work_progress);

void work_init(struct work *w, void (*fn)(struct work *w))
{
	list_init(&w->node);
	w->fn = fn;
}

void work_queue(struct work *w)
{
	spin_lock(&work_lock);
	if (list_empty(&w->node)) {
		list_append(&work_items, &w->node);
		work_queued++;
		waitq_wake_all(&work_more, 0);
	}
	spin_unlock(&work_lock);
}

static void work_thread_main(void *arg)
{
	spin_lock(&work_lock);
	for (;;) {
		struct work *w;

		if (list_empty(&work_items)) {
			waitq_sleep(&work_more, &work_lock, SLEEP_DEVICE, KTIME_NEVER);
			continue;
		}
		w = list_first(&work_items, struct work, node);
		list_remove(&w->node);
		spin_unlock(&work_lock);
		w->fn(w);
		resched_point();
		spin_lock(&work_lock);
		work_done++;
		waitq_wake_all(&work_progress, 0);
	}
}

void work_drain(void)
{
	u64 goal;

	spin_lock(&work_lock);
	goal = work_queued;
	while (work_done < goal)
		waitq_sleep(&work_progress, &work_lock, SLEEP_DEVICE, KTIME_NEVER);
	spin_unlock(&work_lock);
}

void work_init_thread(void)
{
	struct task *t;

	if (kthread_create("work", work_thread_main, NULL, &t))
		panic("work: no memory for the thread");
}
