/* SPDX-License-Identifier: MIT */
/*
 * container_pause.c - pausing a container, and with it all containers inside it.
 *
 * Only the container that somebody paused has the state PAUSED and the mark owner.paused.
 * Whether a task may run is asked up the tree (owner_is_paused, at most OWNER_DEPTH_MAX steps),
 * so resuming one container needs to know nothing of what is below it, and one below that was
 * paused in its own right stays paused.
 *
 *	pause	marks the container, then sets WORK_PAUSE in every task of its subtree
 *	park	a task with WORK_PAUSE sleeps on the queue of the nearest one that is PAUSED
 *	resume	takes the mark away and wakes that queue; each task looks up the tree again
 *
 * Nobody escapes: a task that is born, or comes in, looks up the tree under tree_lock, under
 * which pausing sets the bits, after the mark was set; a container that is linked into the tree
 * while another walks it has no processes yet, and those it gets find the mark.
 */
#include "container/internal.h"
#include "core/errno.h"

/* c or the nearest above it that is PAUSED; NULL. Ancestors last as long as c. */
static struct container *paused_by(struct container *c)
{
	while (c && !READ_ONCE(c->owner.paused))
		c = c->parent;
	return c;
}

enum container_state container_state_shown(const struct container *c)
{
	enum container_state s = READ_ONCE(c->state);

	return s == CONTAINER_RUNNING && owner_is_paused(&c->owner) ? CONTAINER_PAUSED : s;
}

void container_park(void)
{
	struct container *by;
	int err = 0;

	task_clear_work(current, WORK_PAUSE); /* before looking: a pause after this sets it again */
	while (!err && (by = paused_by(current_container()))) {
		spin_lock(&by->lock);
		while (by->owner.paused && !err)
			err = waitq_sleep(&by->thaw, &by->lock, SLEEP_KILLABLE, KTIME_NEVER);
		spin_unlock(&by->lock);
	}
}

/* Recursion is bounded by OWNER_DEPTH_MAX. */
static void mark_tasks(struct container *c)
{
	struct container *child;

	pid_table_pause(&c->pids);
	for (child = container_first_child(c); child; child = container_next_child(c, child))
		mark_tasks(child);
}

void container_pause_changed_below(struct container *c)
{
	struct container *child;

	for (child = container_first_child(c); child; child = container_next_child(c, child)) {
		spin_lock(&child->lock);
		child->generation++;
		waitq_wake_all(&child->changed, 0);
		spin_unlock(&child->lock);
		container_pause_changed_below(child);
	}
}

static int change_state(struct container *c, enum container_state from, enum container_state to)
{
	int err = 0;

	spin_lock(&c->lock);
	if (c->state != from)
		err = -EINVAL;
	else
		container_set_state(c, to);
	spin_unlock(&c->lock);
	return err;
}

int container_pause(struct container *c)
{
	int err = change_state(c, CONTAINER_RUNNING, CONTAINER_PAUSED);

	if (err)
		return err;
	mark_tasks(c);
	pause_sync();
	container_pause_changed_below(c);
	return 0;
}

int container_resume(struct container *c)
{
	int err = change_state(c, CONTAINER_PAUSED, CONTAINER_RUNNING);

	if (!err)
		container_pause_changed_below(c);
	return err;
}
