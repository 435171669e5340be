/* SPDX-License-Identifier: MIT */
/*
 * access.c - looking at another task's address space, descriptors and place in the
 * file tree. Only the task itself replaces these, under its lock; so whoever
 * holds that lock may take a reference on what is there.
 */
#include "fs/context.h"
#include "fs/fdtable.h"
#include "mm/aspace.h"
#include "proc/process.h"

void task_set_aspace(struct task *t, struct aspace *as)
{
	spin_lock(&t->lock);
	t->aspace = as;
	spin_unlock(&t->lock);
}

void task_set_files(struct task *t, struct fd_table *files, struct fs_context *fs)
{
	spin_lock(&t->lock);
	t->files = files;
	t->fs = fs;
	spin_unlock(&t->lock);
}

struct aspace *task_aspace(struct task *t)
{
	struct aspace *as;

	spin_lock(&t->lock);
	as = t->aspace ? aspace_get(t->aspace) : NULL;
	spin_unlock(&t->lock);
	return as;
}

struct fd_table *task_files(struct task *t)
{
	struct fd_table *files;

	spin_lock(&t->lock);
	files = t->files ? fd_table_get(t->files) : NULL;
	spin_unlock(&t->lock);
	return files;
}

struct fs_context *task_fs(struct task *t)
{
	struct fs_context *fs;

	spin_lock(&t->lock);
	fs = t->fs ? fs_context_get(t->fs) : NULL;
	spin_unlock(&t->lock);
	return fs;
}

/*
 * One that may leave the container again takes with it what it has in memory, and holds what is
 * outside: only those who see where it goes may look into it.
 */
static bool process_is_visitor(const struct process *target)
{
	bool visitor;

	if (likely(!READ_ONCE(target->outer.back)))
		return false;
	spin_lock(&tree_lock);
	visitor = target->outer.back && !sees(current->owner, target->outer.table->owner);
	spin_unlock(&tree_lock);
	return visitor;
}

/*
 * Born inside by cfork, or by one who joined, and has not executed anything yet: it is a copy of a
 * program outside, with that one's memory and descriptors.
 */
bool process_is_foreign(const struct process *target)
{
	return !sees(current->process->image, READ_ONCE(target->image));
}

bool process_may_look(struct process *target)
{
	const struct cred *c = current->cred, *t;
	bool same = false;

	if (target == current->process)
		return true;
	if (process_is_foreign(target) || process_is_visitor(target))
		return false;
	rcu_read_lock();
	if (target->leader) {
		t = rcu_dereference(target->leader->cred);
		same = c->fsuid == t->euid && c->fsuid == t->suid && c->fsuid == t->uid &&
		       c->fsgid == t->egid && c->fsgid == t->sgid && c->fsgid == t->gid &&
		       !(t->cap_permitted & ~c->cap_permitted) && target->dumpable;
	}
	rcu_read_unlock();
	return same || may(target->pids->owner, CAP_SYS_PTRACE);
}
