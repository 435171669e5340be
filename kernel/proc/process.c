/* SPDX-License-Identifier: MIT */
/*
 * process.c - the process object: making it, counting it, its place in the pid
 * tables; entering and leaving containers. process.h says who holds what.
 *
 *	process_create		one reference: being in the tree
 *	process_link (here)	into tree, group and table, with its pid: visible
 *	process_become_zombie, process_reap (exit.c)
 *	process_put		the last one frees
 */
#include "proc/tree.h"
#include "arch/x86/trap.h"
#include "core/errno.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/pid.h"
#include "proc/sched.h"
#include "proc/signal.h"
#include "proc/task.h"
#include "proc/user.h"

spinlock_t tree_lock = SPINLOCK_INIT(RANK_PROCESS_TREE);
const struct container_hooks *container_hooks;
struct pid_table *host_pids;
static struct slab_cache *process_cache;
static u64 born_total; /* P */

void process_set_container_hooks(const struct container_hooks *h)
{
	container_hooks = h;
}

void process_init(void)
{
	process_cache =
		slab_cache_create("process", sizeof(struct process), 64, SLAB_ACCOUNT | SLAB_RCU);
	task_init();
	pid_init();
	job_init();
}

/* Everything but refs, which a finder under RCU may look at at any time. */
static void process_clear(struct process *p)
{
	_Static_assert(offsetof(struct process, refs) == 0, "refs come first");
	memset((char *)p + sizeof(p->refs), 0, sizeof(*p) - sizeof(p->refs));
}

int process_create(struct pid_table *t, struct process **out)
{
	struct process *p = slab_alloc(process_cache);
	int err = 0;

	if (!p)
		return -ENOMEM;
	process_clear(p);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->threads);
	list_init(&p->group_node);
	list_init(&p->table_node);
	spin_init(&p->signal_lock, RANK_SIGNAL);
	waitq_init(&p->child_wait);
	mutex_init(&p->exec_lock, RANK_EXEC);
	p->pids = t;
	p->start_time = ktime_get();
	p->dumpable = true;
	ref_init(&p->refs, 1);
	if (container_hooks)
		err = container_hooks->process_born(t->container, p);
	if (!err)
		p->container = t->container;
	if (err)
		process_put(p);
	else
		*out = p;
	return err;
}

void process_abandon(struct process *p)
{
	if (container_hooks)
		container_hooks->process_gone(p->container, p, 0);
	process_put(p);
}

struct task *process_leader(struct process *p)
{
	struct task *t;

	spin_lock(&p->signal_lock);
	t = p->leader;
	if (t)
		task_get(t);
	spin_unlock(&p->signal_lock);
	return t;
}

struct process *process_get(struct process *p)
{
	ref_get(&p->refs);
	return p;
}

static void process_free(struct process *p)
{
	struct pid_place *below = p->outer.below;

	signals_destroy_process(p);
	if (p->container && container_hooks)
		container_hooks->process_freed(p->container);
	while (below) {
		struct pid_place *next = below->below;
		kfree(below);
		below = next;
	}
	slab_free(process_cache, p);
}

void process_put(struct process *p)
{
	if (ref_put(&p->refs))
		process_free(p);
}

/* --- links --- */

static void table_add(struct process *p, struct pid_table *t)
{
	list_append(&t->all, &p->table_node);
	t->processes++;
	if (p->pid == 1)
		t->init = p;
}

static void table_remove(struct process *p, struct pid_table *t)
{
	list_remove(&p->table_node);
	t->processes--;
	if (t->init == p)
		t->init = NULL;
}

void process_link(struct process *p, struct process *parent, struct process_group *g)
{
	spin_assert_held(&tree_lock);
	if (parent) {
		p->parent = process_get(parent);
		p->parent_exec_count = parent->exec_count;
		p->has_subreaper = parent->has_subreaper || parent->child_subreaper;
		list_append(&parent->children, &p->sibling);
	}
	if (g) /* else the caller starts a session */
		group_add(g, p);
	table_add(p, p->pids);
	p->pids->born++;
	born_total++;
}

u64 processes_born(void)
{
	return READ_ONCE(born_total);
}

/* Out of everything where it can be found. The caller drops parent, leader and the tree's
 * reference. */
void process_unlink(struct process *p)
{
	spin_assert_held(&tree_lock);
	list_remove(&p->sibling);
	group_remove(p);
	table_remove(p, p->pids);
	for (struct pid_place *o = &p->outer; o && o->table; o = o->below) {
		o->table->processes--;
		pid_detach(o->table, o->pid, PID_PROCESS);
	}
	pid_detach(p->pids, p->pid, PID_TASK);
	pid_detach(p->pids, p->pid, PID_PROCESS);
}

void process_add_thread(struct process *p, struct task *t)
{
	spin_assert_held(&tree_lock);
	spin_lock(&p->signal_lock);
	list_append(&p->threads, &t->thread_node);
	p->thread_count++;
	spin_unlock(&p->signal_lock);
}

u32 process_ppid(const struct process *p)
{
	u32 pid;

	spin_lock(&tree_lock);
	pid = p->parent ? process_pid_in(p->parent, p->pids) : 0;
	spin_unlock(&tree_lock);
	return pid;
}

u32 process_thread_tid(struct process *p, unsigned nth)
{
	struct task *t;
	u32 tid = 0;

	spin_lock(&tree_lock);
	list_for_each (t, &p->threads, thread_node)
		if (!nth--) {
			tid = t->tid;
			break;
		}
	spin_unlock(&tree_lock);
	return tid;
}

/* --- CPU time --- */

void process_cpu_time(struct process *p, ktime_t *utime, ktime_t *stime)
{
	struct task *t;
	ktime_t u, s;

	*utime = p->dead_utime;
	*stime = p->dead_stime;
	list_for_each (t, &p->threads, thread_node) {
		process_account_time(t, &u, &s);
		*utime += u;
		*stime += s;
	}
}

/* --- moving between containers --- */

static int places_push(struct process *p)
{
	struct pid_place *old = NULL;

	if (p->outer.table) {
		old = kmalloc(sizeof(*old), KM_ACCOUNT);
		if (!old)
			return -ENOMEM;
		*old = p->outer;
	}
	p->outer = (struct pid_place){ p->pids, p->pid, old };
	return 0;
}

static void places_pop(struct process *p)
{
	struct pid_place *below = p->outer.below;

	p->outer = below ? *below : (struct pid_place){ 0 };
	kfree(below);
}

/* current is in table t with id `pid` from now on; new session and group. tree_lock held. */
static void process_move(struct pid_table *t, u32 pid, struct session *s, struct process_group *g)
{
	struct process *p = current->process;

	group_remove(p);
	p->pids = t;
	p->pid = pid;
	current->tid = pid;
	task_frame(current)->rflags &= ~RFLAGS_IOPL;
	session_start(s, g, p);
	sched_group_enter(t->group);
}

/* current counts in the container of t from now on: -EAGAIN, -ENOMEM. */
static int task_recount(struct pid_table *t)
{
	struct account *a = t->owner->account;
	int err = charge(a, RES_PIDS, 1);

	if (err)
		return err;
	err = user_charge(t->owner, current->counted_uid, RLIM_INFINITY);
	if (err) {
		uncharge(a, RES_PIDS, 1);
		return err;
	}
	user_uncharge(current->owner, current->counted_uid);
	uncharge(current->pids_account, RES_PIDS, 1);
	account_put(current->pids_account);
	current->pids_account = account_get(a);
	return 0;
}

/* One more entry on top. The pid entry of where it lived now names the process only. */
int process_enter(struct pid_table *t)
{
	struct process *p = current->process;
	struct process_group *g;
	struct session *s;
	u32 pid;
	int err;

	if (READ_ONCE(p->thread_count) != 1)
		return -EBUSY;
	err = session_create(t->owner, &s, &g);
	if (err)
		return err;
	err = pid_create(t, 0, PID_TASK, current, &pid);
	if (err)
		goto destroy_session;
	pid_attach(t, pid, PID_PROCESS, p);
	err = places_push(p);
	if (err)
		goto free_pid;
	err = task_recount(t);
	if (err)
		goto pop_place;
	pid_detach(p->pids, p->pid, PID_TASK);
	spin_lock(&tree_lock);
	list_remove(&p->table_node);
	process_move(t, pid, s, g);
	table_add(p, t);
	spin_unlock(&tree_lock);
	return 0;

pop_place:
	places_pop(p);
free_pid:
	pid_detach(t, pid, PID_PROCESS);
	pid_detach(t, pid, PID_TASK);
destroy_session:
	session_destroy_unused(s, g);
	return err;
}

/* Its children that were born inside stay there. */
int process_leave(void)
{
	struct process *p = current->process;
	struct pid_table *inner = p->pids;
	u32 inner_pid = p->pid;
	struct process_group *g;
	struct session *s;
	struct list dead = LIST_INIT(dead);
	int err;

	if (!p->outer.table)
		return -EPERM;
	if (READ_ONCE(p->thread_count) != 1)
		return -EBUSY;
	err = session_create(p->outer.table->owner, &s, &g);
	if (err)
		return err;
	err = task_recount(p->outer.table);
	if (err) {
		session_destroy_unused(s, g);
		return err;
	}
	spin_lock(&tree_lock);
	table_remove(p, inner);
	process_reparent_children(p, inner, &dead);
	process_move(p->outer.table, p->outer.pid, s, g);
	list_append(&p->pids->all, &p->table_node);
	spin_unlock(&tree_lock);
	pid_attach(p->pids, p->pid, PID_TASK, current);
	pid_detach(inner, inner_pid, PID_TASK);
	pid_detach(inner, inner_pid, PID_PROCESS);
	places_pop(p);
	processes_release(&dead);
	return 0;
}
