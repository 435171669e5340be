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
#include "fs/context.h"
#include "lib/string.h"
#include "mm/aspace.h"
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
		slab_cache_create("process", sizeof(struct process), 0, SLAB_ACCOUNT | SLAB_RCU);
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
	p->image = current->process ? current->process->image : t->owner;
	p->kills_before = READ_ONCE(t->kills);
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

static void table_append(struct process *p, struct pid_table *t)
{
	p->table_place = ++t->places;
	list_append(&t->all, &p->table_node);
}

static void table_add(struct process *p, struct pid_table *t)
{
	table_append(p, t);
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

#define WALK_STEP 64

/* The one behind `last`, which had that place; it may have left t meanwhile. */
static struct process *table_next(struct pid_table *t, struct process *last, u64 place)
{
	struct list *at = &t->all;
	struct process *p;

	if (last && last->table_place == place && last->pids == t && !list_empty(&last->table_node))
		at = &last->table_node;
	for (at = at->next; at != &t->all; at = at->next) {
		p = list_entry(at, struct process, table_node);
		if (p->table_place > place)
			return p;
	}
	return NULL;
}

void processes_walk(struct pid_table *t, void (*fn)(struct process *p, void *arg), void *arg)
{
	struct process *p, *last = NULL, *kept = NULL;
	u64 place = 0, end;
	u32 n = 0;

	spin_lock(&tree_lock);
	end = t->places;
	while ((p = table_next(t, last, place))) {
		fn(p, arg);
		last = p;
		place = p->table_place;
		if (++n % WALK_STEP || place > end)
			continue;
		process_get(p);
		spin_unlock(&tree_lock);
		if (kept)
			process_put(kept);
		kept = p;
		resched_point();
		spin_lock(&tree_lock);
	}
	spin_unlock(&tree_lock);
	if (kept)
		process_put(kept);
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

struct pid_table *process_home(const struct process *p)
{
	const struct pid_place *o = &p->outer;

	if (likely(!o->table))
		return p->pids;
	while (o->below)
		o = o->below;
	return o->table;
}

/* Can current take its process elsewhere by itself? */
static int move_check(const struct process *p)
{
	if (READ_ONCE(p->thread_count) != 1 || READ_ONCE(current->vfork_waiter))
		return -EBUSY;
	if (p->pids->init == p)
		return -EBUSY;
	/* The terminal would be hung up under those who stay. */
	return current_is_session_leader() && READ_ONCE(p->session->tty) ? -EBUSY : 0;
}

/* inside: who it will be there. */
static int places_push(struct process *p, struct cred *inside)
{
	struct way_back *back = kmalloc(sizeof(*back), KM_ZERO | KM_ACCOUNT);
	struct pid_place *old = NULL;

	if (!back)
		return -ENOMEM;
	if (p->outer.table) {
		old = kmalloc(sizeof(*old), KM_ACCOUNT);
		if (!old) {
			kfree(back);
			return -ENOMEM;
		}
		*old = p->outer;
	}
	back->cred = cred_get(current->cred);
	back->inside = cred_get(inside);
	back->fs = fs_context_get(current->fs);
	spin_lock(&tree_lock);
	p->outer = (struct pid_place){ p->pids, p->pid, old, back };
	spin_unlock(&tree_lock);
	return 0;
}

static void way_back_free(struct way_back *back)
{
	cred_put(back->cred);
	cred_put(back->inside);
	fs_context_put(back->fs);
	kfree(back);
}

/* What is left of the uppermost place. Its group has been dealt with. */
static void places_pop(struct process *p)
{
	struct pid_place *below = p->outer.below;
	struct way_back *back = p->outer.back;

	spin_lock(&tree_lock);
	p->outer = below ? *below : (struct pid_place){ 0 };
	spin_unlock(&tree_lock);
	kfree(below);
	way_back_free(back);
}

void process_forget_way_back(struct process *p)
{
	for (struct pid_place *o = &p->outer; o && o->table; o = o->below) {
		struct way_back *back = o->back;

		if (!back)
			continue;
		spin_lock(&tree_lock);
		o->back = NULL;
		group_stay_away(back->group);
		spin_unlock(&tree_lock);
		way_back_free(back);
	}
}

/*
 * current counts in the container of t from now on, for its user there. The containers above both
 * count it already: so it can always go back up.
 */
static int task_recount(struct pid_table *t, bool down, u32 uid)
{
	struct account *from = current->pids_account, *to = t->owner->account;
	int err = down ? charge_below(to, from, RES_PIDS, 1) : 0;

	if (err)
		return err;
	err = user_charge(t->owner, uid, RLIM_INFINITY);
	if (err) {
		if (down)
			uncharge_below(to, from, RES_PIDS, 1);
		return err;
	}
	user_uncharge(current->owner, current->counted_uid);
	current->counted_uid = uid;
	if (!down)
		uncharge_below(from, to, RES_PIDS, 1);
	current->pids_account = account_get(to);
	account_put(from);
	return 0;
}

/* The parts of process_enter and process_leave that say where current lives; tree_lock held. */
static void process_settle(struct process *p, struct pid_table *t, u32 pid)
{
	p->pids = t;
	p->pid = pid;
	p->container = t->container;
	current->tid = pid;
	current->owner = t->owner;
	current->account = t->owner->account;
	current->container = t->container;
	sched_group_enter(t->group);
	task_frame(current)->rflags &= ~RFLAGS_IOPL;
	if (owner_is_paused(t->owner))
		task_set_work(current, WORK_PAUSE);
	else
		task_clear_work(current, WORK_PAUSE);
	if (p->kills_before != t->kills)
		signal_kill_process(p); /* all there are being killed */
}

/* Who pays for its memory, and what it sees. */
static void process_settle_outside_lock(struct fs_context *fs)
{
	struct fs_context *old = current->fs;

	task_set_files(current, current->files, fs);
	fs_context_put(old);
	aspace_set_account(current->aspace, current->account);
}

/* p leaves the container of `old` for another that has counted it. */
static void container_left(struct process *p, struct container *old)
{
	if (!container_hooks)
		return;
	container_hooks->process_gone(old, p, 0);
	container_hooks->process_freed(old);
}

/* t's container counts p as one of its own: -ESRCH if it ends. */
static int container_admit(struct process *p, struct pid_table *t)
{
	p->kills_before = READ_ONCE(t->kills);
	return container_hooks && container_hooks->process_born(t->container, p) ? -ESRCH : 0;
}

/* One more entry on top, with a place in t for p. The entry of where it lived names p only. */
static int enter_prepare(struct process *p, struct pid_table *t, struct cred *cred, u32 *pid)
{
	int err = pid_create(t, 0, PID_TASK, current, pid);

	if (err)
		return err;
	pid_attach(t, *pid, PID_PROCESS, p);
	err = places_push(p, cred);
	if (err) {
		pid_detach(t, *pid, PID_PROCESS);
		pid_detach(t, *pid, PID_TASK);
	}
	return err;
}

int process_enter(struct pid_table *t, struct fs_context *fs)
{
	struct process *p = current->process;
	struct container *old = p->container;
	struct process_group *g;
	struct session *s;
	struct cred *cred;
	u32 pid;
	int err = move_check(p);

	if (err)
		return err;
	err = cred_translate(current->cred, current->owner, t->owner, &cred);
	if (err)
		return err;
	err = session_create(t->owner, &s, &g);
	if (err)
		goto put_cred;
	err = container_admit(p, t);
	if (err)
		goto destroy_session;
	err = enter_prepare(p, t, cred, &pid);
	if (err)
		goto refuse;
	err = task_recount(t, true, cred->uid);
	if (err)
		goto free_place;
	pid_detach(p->pids, p->pid, PID_TASK);
	cred_install(cred); /* what it may do outside ends before it is inside */
	spin_lock(&tree_lock);
	list_remove(&p->table_node);
	p->outer.back->group = group_go_away(p);
	process_settle(p, t, pid);
	session_start(s, g, p);
	table_add(p, t);
	spin_unlock(&tree_lock);
	process_settle_outside_lock(fs);
	container_left(p, old);
	return 0;

free_place:
	places_pop(p);
	pid_detach(t, pid, PID_PROCESS);
	pid_detach(t, pid, PID_TASK);
refuse:
	container_left(p, t->container);
destroy_session:
	session_destroy_unused(s, g);
put_cred:
	cred_put(cred);
	return err;
}

/* Everything that can fail is asked first. */
static int leave_prepare(struct process *p)
{
	struct pid_place *to = &p->outer;
	int err;

	if (!to->back || to->back->inside != current->cred)
		return -EPERM;
	err = move_check(p);
	if (err)
		return err;
	err = container_admit(p, to->table);
	if (err)
		return err;
	err = task_recount(to->table, false, to->back->cred->uid);
	if (err)
		container_left(p, to->table->container);
	return err;
}

int process_leave(void)
{
	struct process *p = current->process;
	struct pid_table *inner = p->pids;
	struct container *old = p->container;
	struct list dead = LIST_INIT(dead);
	u32 inner_pid = p->pid;
	int err = leave_prepare(p);

	if (err)
		return err;
	pid_attach(p->outer.table, p->outer.pid, PID_TASK, current);
	spin_lock(&tree_lock);
	table_remove(p, inner);
	(void)process_reparent_children(p, inner, UINT32_MAX, &dead);
	group_remove(p);
	process_settle(p, p->outer.table, p->outer.pid);
	group_come_back(p, p->outer.back->group);
	table_append(p, p->pids);
	spin_unlock(&tree_lock);
	pid_detach(inner, inner_pid, PID_TASK);
	pid_detach(inner, inner_pid, PID_PROCESS);
	process_settle_outside_lock(fs_context_get(p->outer.back->fs));
	cred_install(cred_get(p->outer.back->cred));
	places_pop(p);
	processes_release(&dead);
	container_left(p, old);
	return 0;
}
