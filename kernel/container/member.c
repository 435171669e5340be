/* SPDX-License-Identifier: MIT */
/*
 * member.c - a process that goes into a container and comes back (join_container,
 * leave_container). proc moves it (process_enter, process_leave); here it is decided
 * whether it may, and what it sees inside.
 *
 * c->admin is held while one joins, so that no start, stop or destroy is half done: the
 * container's mounts exist. Leaving needs no lock: where one comes from is an ancestor of
 * where one is, and lasts at least as long.
 */
#include "container/container.h"
#include "core/errno.h"

/* Can anybody join it now? admin is held. What changes after this, process_enter finds out. */
static int join_check(struct container *c)
{
	int err = 0;

	spin_lock(&c->lock);
	if (c->doomed || c->state == CONTAINER_STOPPING)
		err = -ESRCH;
	else if (owner_is_paused(&c->owner))
		err = -EINVAL;
	else if (!c->alive && pid_table_wants_init(&c->pids))
		err = -EINVAL; /* it is to be started on a program first */
	spin_unlock(&c->lock);
	return err;
}

/* c's root as / and working directory; the file mode mask is one's own. */
static int join_view(struct container *c, struct fs_context **out)
{
	struct account *own = current->account;
	int err;

	current->account = c->owner.account;
	err = fs_context_create(c->mounts, out);
	current->account = own;
	if (!err)
		(*out)->umask = current->fs->umask;
	return err;
}

int container_join(struct container *c)
{
	struct fs_context *fs;
	int err = mutex_lock_killable(&c->admin);

	if (err)
		return err;
	err = join_check(c);
	if (!err)
		err = join_view(c, &fs);
	if (!err) {
		err = process_enter(&c->pids, fs);
		if (err)
			fs_context_put(fs);
	}
	mutex_unlock(&c->admin);
	return err;
}

int container_leave(void)
{
	return process_leave();
}
