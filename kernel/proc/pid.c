/* SPDX-License-Identifier: MIT */
/*
 * pid.c - ids of tasks, processes, groups and sessions, per container.
 *
 * One entry per id says what the id names: a thread, its process, a group, a
 * session; an id is free again when it names nothing (so a pid does not come
 * back while a group still bears it). Ids go upwards and wrap (idmap).
 *
 * Finding takes no lock. Entries, tasks, processes and groups keep their type
 * until a grace period after they are freed, so under RCU one may
 *	look at the entry, take a reference on its object unless there is none left,
 *	and then check that the entry still says the same id and the same object.
 *
 * A process that entered a container from outside has an entry in each table:
 * process->pids and ->pid are those of where it lives, ->outer the next below.
 * Those below are found by its parent only, who waits for it.
 */
#include "proc/pid.h"
#include "core/errno.h"
#include "mm/slab.h"
#include "proc/sched.h"

static struct slab_cache *entry_cache;

void pid_init(void)
{
	entry_cache =
		slab_cache_create("pid", sizeof(struct pid_entry), 0, SLAB_ACCOUNT | SLAB_RCU);
}

void pid_table_init(struct pid_table *t, struct owner *owner, u32 first)
{
	spin_init(&t->lock, RANK_PID);
	idmap_init(&t->ids, first, PID_MAX - 1);
	list_init(&t->all);
	t->owner = owner;
	t->is_host = !owner->parent;
	t->group = &sched_host;
}

void pid_table_destroy(struct pid_table *t)
{
	BUG_IF(t->ids.ids.count, "%lu ids in use", t->ids.ids.count);
	radix_destroy(&t->ids.ids);
}

/* --- making and freeing --- */

static void entry_set(struct pid_entry *e, enum pid_use what, void *object)
{
	switch (what) {
	case PID_TASK:
		rcu_assign(e->task, object);
		break;
	case PID_PROCESS:
		rcu_assign(e->process, object);
		break;
	case PID_GROUP:
		rcu_assign(e->group, object);
		break;
	case PID_SESSION:
		rcu_assign(e->session, object);
		break;
	}
}

int pid_create(struct pid_table *t, u32 wanted, enum pid_use what, void *object, u32 *id)
{
	struct pid_entry *e = slab_alloc(entry_cache);
	u64 got = wanted;
	int err;

	if (!e)
		return -ENOMEM;
	*e = (struct pid_entry){ .users = 1 };
	entry_set(e, what, object);
	spin_lock(&t->lock);
	err = wanted ? radix_insert(&t->ids.ids, wanted, e) : idmap_alloc(&t->ids, e, &got);
	if (!err) {
		e->id = got; /* a finder that comes before this sees 0: nobody */
		rcu_assign(e->table, t);
	}
	spin_unlock(&t->lock);
	if (err) {
		slab_free(entry_cache, e);
		return err == -ENOSPC ? -EAGAIN : err;
	}
	*id = got;
	return 0;
}

void pid_attach(struct pid_table *t, u32 id, enum pid_use what, void *object)
{
	struct pid_entry *e;

	spin_lock(&t->lock);
	e = radix_get(&t->ids.ids, id);
	BUG_IF(!e, "id %u is not in use", id);
	e->users++;
	entry_set(e, what, object);
	spin_unlock(&t->lock);
}

void pid_detach(struct pid_table *t, u32 id, enum pid_use what)
{
	struct pid_entry *e;
	bool last;

	spin_lock(&t->lock);
	e = radix_get(&t->ids.ids, id);
	BUG_IF(!e || !e->users, "id %u is not in use", id);
	entry_set(e, what, NULL);
	last = --e->users == 0;
	if (last) {
		radix_remove(&t->ids.ids, id);
		e->table = NULL;
	}
	spin_unlock(&t->lock);
	if (last)
		slab_free(entry_cache, e);
}

void pid_replace_task(struct pid_table *t, u32 id, struct task *task)
{
	struct pid_entry *e;

	spin_lock(&t->lock);
	e = radix_get(&t->ids.ids, id);
	entry_set(e, PID_TASK, task);
	spin_unlock(&t->lock);
}

/* --- finding --- */

static bool entry_is(const struct pid_entry *e, const struct pid_table *t, u32 id)
{
	return READ_ONCE(e->table) == t && READ_ONCE(e->id) == id;
}

static struct task *task_of_entry(struct pid_entry *e, struct pid_table *table, u32 id)
{
	struct task *t = rcu_dereference(e->task);

	if (!t || !ref_get_unless_zero(&t->refs))
		return NULL;
	if (entry_is(e, table, id) && READ_ONCE(e->task) == t)
		return t;
	task_put(t);
	return NULL;
}

static struct process *process_of_entry(struct pid_entry *e, struct pid_table *table, u32 id)
{
	struct process *p = rcu_dereference(e->process);

	if (!p || !ref_get_unless_zero(&p->refs))
		return NULL;
	if (entry_is(e, table, id) && READ_ONCE(e->process) == p)
		return p;
	process_put(p);
	return NULL;
}

int task_find_in(struct pid_table *table, u32 tid, struct task **out)
{
	struct pid_entry *e;
	struct task *t = NULL;

	rcu_read_lock();
	e = radix_get(&table->ids.ids, tid);
	if (e)
		t = task_of_entry(e, table, tid);
	rcu_read_unlock();
	*out = t;
	return t ? 0 : -ESRCH;
}

struct task *pid_peek_task(struct pid_table *table, u32 tid)
{
	struct pid_entry *e = radix_get(&table->ids.ids, tid);

	return e ? rcu_dereference(e->task) : NULL;
}

/* May current, who asks in table, know that p exists? */
static bool process_known(const struct process *p, const struct pid_table *table)
{
	return READ_ONCE(p->pids) == table || READ_ONCE(p->parent) == current->process;
}

/* A thread's tid finds its process, as kill(2) has it; callers that want the pid compare. */
int process_find_in(struct pid_table *table, u32 pid, struct process **out)
{
	struct pid_entry *e;
	struct process *p = NULL;
	struct task *t;

	rcu_read_lock();
	e = radix_get(&table->ids.ids, pid);
	if (e) {
		p = process_of_entry(e, table, pid);
		t = p ? NULL : task_of_entry(e, table, pid);
		if (t) {
			p = process_get(t->process);
			task_put(t);
		}
	}
	rcu_read_unlock();
	if (p && !process_known(p, table)) {
		process_put(p);
		p = NULL;
	}
	*out = p;
	return p ? 0 : -ESRCH;
}

int process_next_in(struct pid_table *table, u32 *pid, struct process **out)
{
	u64 id = *pid;
	struct pid_entry *e;
	struct process *p = NULL;

	rcu_read_lock();
	for (e = radix_next(&table->ids.ids, &id); e && !p; e = radix_next(&table->ids.ids, &id)) {
		p = process_of_entry(e, table, id);
		if (p && READ_ONCE(p->pids) == table)
			break;
		if (p) {
			process_put(p);
			p = NULL;
		}
		id++;
	}
	rcu_read_unlock();
	*pid = id;
	*out = p;
	return p ? 0 : -ESRCH;
}

int process_find(u32 pid, struct process **out)
{
	return process_find_in(current->process->pids, pid, out);
}

int task_find(u32 tid, struct task **out)
{
	return task_find_in(current->process->pids, tid, out);
}

struct process_group *pid_find_group(struct pid_table *table, u32 id)
{
	struct process_group *g = NULL;
	struct pid_entry *e;

	rcu_read_lock();
	e = radix_get(&table->ids.ids, id);
	if (e)
		g = rcu_dereference(e->group);
	if (g && !ref_get_unless_zero(&g->refs))
		g = NULL;
	if (g && !(entry_is(e, table, id) && READ_ONCE(e->group) == g)) {
		group_put(g);
		g = NULL;
	}
	rcu_read_unlock();
	return g;
}

u32 process_pid_in(const struct process *p, const struct pid_table *t)
{
	if (likely(p->pids == t))
		return p->pid;
	for (const struct pid_place *o = &p->outer; o && o->table; o = o->below)
		if (o->table == t)
			return o->pid;
	return 0;
}
