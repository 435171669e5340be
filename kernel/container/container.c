/* SPDX-License-Identifier: MIT */
/*
 * container.c - the container.
 *
 * Definition. A container is a set of processes that share a view of the system:
 * a table of mounts (what / is), a table of pids (who exists), names (uname), and
 * an account (what all of them together may use). Every process lives in exactly
 * one. Containers form a tree below container 0, the host; one sees and manages
 * its own descendants, and for everybody else it does not exist (-ESRCH).
 *
 * States, and what becomes impossible:
 *
 *            container_create
 *                  |
 *                  v        container_fork
 *              CREATED ---------------------> RUNNING <----------+
 *                  ^                          |  |  ^            | container_resume
 *   last process   |                          |  |  |            |
 *   gone, no pid 1 +--------------------------+  |  +------- PAUSED   (no user
 *                  ^                             |       container_pause instruction)
 *                  |   pid 1 ends, or            v
 *                  |   container_stop        STOPPING   (nobody is born)
 *                  |                             | last process gone
 *                  |                             v
 *                  +---- no pid 1 ------------ STOPPED --- container_fork --> RUNNING
 *
 * container_check() states what holds in each.
 *
 * Two counts. alive: processes that run; it drives the states. refs: everything
 * that can still name the container (children, open control files, processes
 * that are not yet freed); the last one frees the memory. container_destroy()
 * makes it unnameable, then drops the creation's reference.
 *
 * Locks. c->admin (a mutex) is held for a whole start, stop or destroy, so these
 * do not meet. c->lock (a spin lock) guards the state and is taken by processes
 * as they are born and end. names_lock guards the table of names. Order: admin,
 * then an ancestor's lock before a descendant's, then names_lock and tree_lock.
 * container_name.c finds them, container_usage.c says what they use, container_pause.c
 * pauses them.
 *
 * Cost. Creating and destroying touch the container, its parent and two hash
 * tables: nothing grows with the number of containers.
 */
#include "container/internal.h"
#include "container/notify.h"
#include "arch/x86/smp.h"
#include "core/errno.h"
#include "core/mutex.h"
#include "core/time.h"
#include "core/trace.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/sched.h"
#include "proc/signal.h"
#include "tty/tty.h"

struct container host_container = { .owner.account = &account_root };
_Static_assert(offsetof(struct container, owner) == 0, "so that they have one address");
extern struct owner owner_host __attribute__((alias("host_container")));

static struct slab_cache *container_cache;

/* --- references and look-up --- */

struct container *container_get(struct container *c)
{
	ref_get(&c->refs);
	return c;
}

static void container_free(struct rcu_head *h)
{
	slab_free(container_cache, container_of(h, struct container, rcu));
}

void container_put(struct container *c)
{
	struct container *parent = c->parent;

	if (!ref_put(&c->refs))
		return;
	BUG_IF(c->alive, "container %u has %u processes", c->owner.id, c->alive);
	pid_table_destroy(&c->pids);
	sched_group_destroy(c->cpu);
	account_release(c->owner.account);
	usermap_put(c->owner.usermap);
	usermap_put(c->usermap_before);
	filter_destroy(&c->filter);
	output_log_destroy(&c->log);
	event_log_destroy(&c->events);
	kfree(c->root_text);
	rcu_call(&c->rcu, container_free);
	container_put(parent);
}

int container_may_manage(const struct container *c)
{
	if (current->cred->euid == c->creator && c->parent == current_container())
		return 0;
	return may(&c->parent->owner, CAP_SYS_ADMIN) ? 0 : -EPERM;
}

int container_may_manage_from_outside(const struct container *c)
{
	if (&c->owner == current->owner || !sees(current->owner, &c->owner))
		return -EPERM;
	return container_may_manage(c);
}

/* --- states --- */

const char *container_state_name(enum container_state s)
{
	static const char *const name[] = { "created", "running", "paused", "stopping", "stopped" };

	return name[s];
}

static void container_check(const struct container *c)
{
	spin_assert_held(&c->lock);
	switch (c->state) {
	case CONTAINER_CREATED:
	case CONTAINER_STOPPED:
		ASSERT(c->alive == 0);
		break;
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
		ASSERT(c->alive > 0);
		break;
	case CONTAINER_STOPPING:
		break;
	}
}

void container_set_state(struct container *c, enum container_state s)
{
	event_state(c, c->state, s);
	c->state = s;
	/* who is killed while paused does not run again before that */
	WRITE_ONCE(c->owner.paused,
		   s == CONTAINER_PAUSED || (s == CONTAINER_STOPPING && c->owner.paused));
	waitq_wake_all(&c->thaw, 0);
	c->generation++;
	container_check(c);
	trace(TRACE_CONTAINER, c->owner.id, s);
	waitq_wake_all(&c->changed, 0);
}

/* The state of one without processes. */
static enum container_state state_at_rest(const struct container *c)
{
	return c->has_init ? CONTAINER_STOPPED : CONTAINER_CREATED;
}

/* --- births and ends of processes: hooks of proc --- */

static int on_process_born(struct container *c, struct process *p)
{
	int err = 0;

	spin_lock(&c->lock);
	if (c->doomed || c->state == CONTAINER_STOPPING)
		err = -ENOMEM; /* as fork in a dying pid namespace */
	else if (p->pid && pid_table_wants_init(&c->pids) && !c->alive)
		err = -ENOMEM; /* it comes from elsewhere, and is not the program to start */
	else
		c->alive++;
	if (!err && (c->state == CONTAINER_CREATED || c->state == CONTAINER_STOPPED)) {
		c->started = realtime_get();
		container_set_state(c, CONTAINER_RUNNING);
	}
	spin_unlock(&c->lock);
	if (!err)
		container_get(c);
	return err;
}

struct container *container_first_child(struct container *c)
{
	struct container *child = NULL;

	spin_lock(&c->lock);
	if (!list_empty(&c->children))
		child = container_get(list_first(&c->children, struct container, sibling));
	spin_unlock(&c->lock);
	return child;
}

struct container *container_next_child(struct container *c, struct container *child)
{
	struct container *next = NULL;
	struct list *at;

	spin_lock(&c->lock);
	at = list_empty(&child->sibling) ? c->children.next : child->sibling.next;
	if (at != &c->children)
		next = container_get(list_entry(at, struct container, sibling));
	spin_unlock(&c->lock);
	container_put(child);
	return next;
}

/*
 * Kills all that runs in c's descendants, without waiting: who could have started more there is
 * killed first. Recursion is bounded by OWNER_DEPTH_MAX.
 */
static void container_kill_below(struct container *c)
{
	struct container *child;

	for (child = container_first_child(c); child; child = container_next_child(c, child)) {
		container_processes_kill(&child->pids);
		container_kill_below(child);
	}
}

/* Pid 1 ends: kills all others inside, and what runs below; waits until it is the last one alive.
 */
static void container_end(struct container *c, u32 status)
{
	spin_lock(&c->lock);
	c->has_init = true;
	c->exit_status = status;
	container_set_state(c, CONTAINER_STOPPING);
	spin_unlock(&c->lock);
	container_processes_kill(&c->pids);
	container_kill_below(c);
	spin_lock(&c->lock);
	while (c->alive > 1)
		waitq_sleep(&c->changed, &c->lock, SLEEP_DEVICE, KTIME_NEVER);
	spin_unlock(&c->lock);
}

static void on_process_gone(struct container *c, struct process *p, u32 status)
{
	bool was_paused;

	if (c->pids.init == p && c != &host_container)
		container_end(c, status);
	spin_lock(&c->lock);
	c->dead_minor_faults += p->dead_minflt;
	c->dead_major_faults += p->dead_majflt;
	c->alive--;
	was_paused = !c->alive && c->owner.paused;
	if (!c->alive)
		container_set_state(c, state_at_rest(c));
	else
		waitq_wake_all(&c->changed, 0);
	spin_unlock(&c->lock);
	if (was_paused)
		container_pause_changed_below(c);
}

static void on_process_freed(struct container *c)
{
	container_put(c);
}

/* reboot(2) inside ends the container as it ends a pid namespace (man 2 reboot). */
static bool on_reboot(struct container *c, bool halt)
{
	if (c == &host_container)
		return false;
	if (c->pids.init)
		signal_kill_process(c->pids.init);
	return true;
}

static const struct container_hooks hooks = {
	.process_born = on_process_born,
	.process_gone = on_process_gone,
	.process_freed = on_process_freed,
	.park = container_park,
	.reboot = on_reboot,
};

/* --- creation --- */

static void container_init_object(struct container *c, struct container *parent)
{
	ref_init(&c->refs, 1);
	spin_init(&c->lock, RANK_CONTAINER);
	spin_init(&c->uts.lock, RANK_PID);
	mutex_init(&c->admin, RANK_CONTAINER_ADMIN);
	waitq_init(&c->changed);
	waitq_init(&c->thaw);
	event_log_init(&c->events);
	output_log_init(&c->log);
	list_init(&c->children);
	list_init(&c->sibling);
	c->parent = parent;
	c->console = CONTAINER_NO_CONSOLE;
	c->owner.parent = parent ? &parent->owner : NULL;
	c->owner.depth = parent ? parent->owner.depth + 1 : 0;
	c->owner.pids = &c->pids;
	c->owner.usermap = parent ? usermap_get(parent->owner.usermap) : NULL;
	c->owner.slow_calls = trace_calls_at_boot();
	c->created = realtime_get();
}

/* Memory and account: -ENOSPC (too deep), -ENOMEM. */
static int container_alloc(struct container *parent, u32 first_pid, struct container **out)
{
	struct container *c;
	int err;

	if (parent->owner.depth == OWNER_DEPTH_MAX)
		return -ENOSPC;
	c = slab_alloc(container_cache);
	if (!c)
		return -ENOMEM;
	err = account_create(parent->owner.account, &c->owner.account);
	if (err)
		goto free;
	err = sched_group_create(parent->cpu, &c->cpu);
	if (err)
		goto release_account;
	container_init_object(c, container_get(parent));
	c->creator = current->cred->euid;
	pid_table_init(&c->pids, &c->owner, first_pid);
	c->pids.container = c;
	c->pids.uts = &c->uts;
	c->pids.group = c->cpu;
	c->cpu->pids = &c->pids;
	*out = c;
	return 0;

release_account:
	account_release(c->owner.account);
free:
	slab_free(container_cache, c);
	return err;
}

/* As wait4() tells of an exit or a deadly signal. */
static bool exit_status_valid(int status)
{
	return !(status & ~0xff00) || (status > 0 && status <= NSIG);
}

static int spec_check(const struct container_spec *s)
{
	for (size_t i = 0; i < sizeof(s->reserved0); i++)
		if (s->reserved0[i])
			return -EINVAL;
	if (s->flags & ~CONTAINER_FLAGS || s->id > INT32_MAX ||
	    s->created > (u64)INT64_MAX / NSEC_PER_SEC || (s->created && !s->id) || s->reserved1 ||
	    !exit_status_valid(s->exit_status) || (s->exit_status && !s->id) ||
	    strnlen(s->name, sizeof(s->name)) == sizeof(s->name) ||
	    !container_name_valid(s->name) ||
	    strnlen(s->hostname, sizeof(s->hostname)) == sizeof(s->hostname))
		return -EINVAL;
	if (s->console < CONTAINER_NO_CONSOLE || s->console >= VC_COUNT || s->console == 0)
		return -EINVAL;
	return s->pids_max == 0 || s->memory_max == 0 ? -EINVAL : 0;
}

static void container_set_limits(struct container *c, const struct container_spec *s)
{
	struct account *a = c->owner.account;

	account_set_max(a, RES_PIDS, MIN(s->pids_max, (u64)INT64_MAX));
	account_set_max(a, RES_MEMORY, MIN(s->memory_max, (u64)INT64_MAX));
	if (s->disk_max)
		account_set_max(a, RES_DISK, MIN(s->disk_max, (u64)INT64_MAX));
	if (s->inodes_max)
		account_set_max(a, RES_INODES, MIN(s->inodes_max, (u64)INT64_MAX));
}

/* One from before a boot is as its program's end left it; nobody else sees it yet. */
static void container_set_kept(struct container *c, const struct container_spec *s)
{
	c->owner.id = s->id;
	c->created = s->created * NSEC_PER_SEC;
	c->has_init = true;
	c->state = CONTAINER_STOPPED;
	c->exit_status = s->exit_status;
}

/* Puts it under its parent, unless that is being destroyed. */
static int container_link(struct container *c)
{
	struct container *parent = c->parent;
	int err = 0;

	spin_lock(&parent->lock);
	if (parent->doomed)
		err = -ESRCH;
	else
		list_append(&parent->children, &c->sibling);
	spin_unlock(&parent->lock);
	return err;
}

static int container_build(const struct container_spec *spec, const struct container_root *root,
			   u32 first_pid, struct container **out)
{
	struct container *c;
	int err = spec_check(spec);

	if (err)
		return err;
	err = container_alloc(current_container(), first_pid, &c);
	if (err)
		return err;
	strlcpy(c->name, spec->name, sizeof(c->name));
	strlcpy(c->uts.hostname, spec->hostname, sizeof(c->uts.hostname));
	c->kill_on_limit = spec->flags & CONTAINER_F_KILL_ON_LIMIT;
	container_set_limits(c, spec);
	if (spec->id)
		container_set_kept(c, spec);
	err = -ENOMEM;
	c->root_text = kstrdup(root->text, KM_ACCOUNT);
	if (!c->root_text)
		goto put;
	err = container_make_mounts(c, root, spec->flags & CONTAINER_F_READ_ONLY);
	if (err)
		goto put;
	*out = container_get(c); /* before anybody else can find and destroy it */
	filter_lock();
	filter_inherit(c);
	trace_inherit(c);
	err = container_publish(c);
	filter_unlock();
	if (err)
		goto put_mounts;
	if (spec->console != CONTAINER_NO_CONSOLE)
		err = vc_claim(spec->console, &c->owner, c->name);
	if (err)
		goto unpublish;
	c->console = spec->console;
	err = container_link(c);
	if (err)
		goto release_console;
	container_inherit_cpus(c);
	event_add(c, EVENT_CREATED, 0);
	return 0;

release_console:
	if (c->console != CONTAINER_NO_CONSOLE)
		vc_release(c->console, &c->owner);
unpublish:
	container_unpublish(c);
put_mounts:
	container_drop_mounts(c);
	container_put(c);
put:
	container_put(c);
	return err;
}

int container_create(const struct container_spec *spec, const struct container_root *root,
		     struct container **out)
{
	return container_build(spec, root, 1, out);
}

int container_create_joinable(struct container **out)
{
	const struct container_spec spec = {
		.console = CONTAINER_NO_CONSOLE,
		.pids_max = CONTAINER_NO_LIMIT,
		.memory_max = CONTAINER_NO_LIMIT,
	};
	const struct container_root root = { .text = CONTAINER_ROOT_VIEW };

	return container_build(&spec, &root, 2, out);
}

/* --- stop and destroy --- */

/* Kills all inside, descendants' processes too, and waits until those inside have ended. admin is
 * held. */
static int container_empty(struct container *c)
{
	int err = 0;

	spin_lock(&c->lock);
	if (c->alive)
		container_set_state(c, CONTAINER_STOPPING);
	spin_unlock(&c->lock);
	container_processes_kill(&c->pids);
	container_kill_below(c);
	spin_lock(&c->lock);
	while (c->alive && !err)
		err = waitq_sleep(&c->changed, &c->lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
	spin_unlock(&c->lock);
	return err;
}

/* Recursion is bounded by OWNER_DEPTH_MAX. */
static int container_destroy_children(struct container *c)
{
	struct container *child;
	int err = 0;

	while (!err && (child = container_first_child(c))) {
		err = container_destroy(child);
		container_put(child);
		if (err == -ESRCH)
			err = 0;
	}
	return err;
}

void container_kill_all(struct container *c)
{
	container_processes_kill(&c->pids);
	container_kill_below(c);
}

int container_stop(struct container *c)
{
	int err = mutex_lock_killable(&c->admin);

	if (err)
		return err;
	err = container_empty(c);
	mutex_unlock(&c->admin);
	return err;
}

int container_destroy(struct container *c)
{
	int err = mutex_lock_killable(&c->admin);

	if (err)
		return err;
	spin_lock(&c->lock);
	c->doomed = true;
	spin_unlock(&c->lock);
	err = container_empty(c);
	mutex_unlock(&c->admin);
	if (!err)
		err = container_destroy_children(c);
	if (err)
		return err; /* interrupted: it stays doomed, and may be destroyed again */
	if (!container_unpublish(c))
		return -ESRCH;
	notify_end(c);
	event_add(c, EVENT_DESTROYED, 0);
	spin_lock(&c->parent->lock);
	list_remove(&c->sibling);
	spin_unlock(&c->parent->lock);
	if (c->console != CONTAINER_NO_CONSOLE)
		vc_release(c->console, &c->owner);
	container_drop_mounts(c);
	container_put(c);
	return 0;
}

/* --- starting a program --- */

/*
 * A STOPPED container begins anew: its next process is pid 1 again. -EINVAL: paused. -ESRCH: being
 * destroyed. admin is held.
 */
static int container_rewind(struct container *c)
{
	bool again, busy, paused, doomed;

	spin_lock(&c->lock);
	again = c->state == CONTAINER_STOPPED;
	paused = owner_is_paused(&c->owner);
	doomed = c->doomed; /* its mounts may be gone */
	spin_unlock(&c->lock);
	if (doomed)
		return -ESRCH;
	if (paused)
		return -EINVAL;
	busy = again && !pid_table_rewind(&c->pids);
	return busy ? -EAGAIN : 0; /* its last pid 1 has not been waited for */
}

s64 container_fork(struct container *c, struct trapframe *frame)
{
	struct clone_request r = { .exit_signal = SIGCHLD, .into = &c->pids };
	struct account *account = current->account;
	s64 pid = mutex_lock_killable(&c->admin);

	if (pid)
		return pid;
	pid = container_rewind(c);
	if (pid)
		goto unlock;
	current->account = c->owner.account; /* the child's first memory is its own */
	pid = cred_translate(current->cred, current->owner, &c->owner, &r.cred);
	if (pid)
		goto restore_account;
	pid = fs_context_create(c->mounts, &r.fs);
	if (!pid) {
		pid = process_clone(&r, frame);
		fs_context_put(r.fs);
	}
	cred_put(r.cred);
restore_account:
	current->account = account;
unlock:
	mutex_unlock(&c->admin);
	return pid;
}

/* --- start-up --- */

static void on_owner_get(struct owner *o)
{
	container_get(container_of(o, struct container, owner));
}

static void on_owner_put(struct owner *o)
{
	container_put(container_of(o, struct container, owner));
}

void container_init(void)
{
	struct container *host = &host_container;

	owner_set_hooks(on_owner_get, on_owner_put);

	container_cache = slab_cache_create("container", sizeof(struct container), 0,
					    SLAB_ACCOUNT | SLAB_ZERO);
	container_names_init();
	container_init_object(host, NULL);
	host->owner.account = &account_root;
	host->state = CONTAINER_RUNNING;
	host->cpu = &sched_host;
	strlcpy(host->name, "host", sizeof(host->name));
	strlcpy(host->uts.hostname, "skerry", sizeof(host->uts.hostname));
	pid_table_init(&host->pids, &host->owner, 1);
	host->pids.container = host;
	host->pids.uts = &host->uts;
	host_pids = &host->pids;
	container_init_host_mounts(host_mounts);
	process_set_container_hooks(&hooks);
	oom_init();
	filter_init();
	event_init(host);
	memory_log_init();
}

void container_init_host_mounts(struct mount_table *mounts)
{
	host_container.mounts = mounts;
}
