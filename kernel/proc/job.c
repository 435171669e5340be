/* SPDX-License-Identifier: MIT */
/*
 * job.c - process groups and sessions (POSIX.1, 2.2.2 and 11.1.2; credentials(7)).
 *
 * Each process is in one group, each group in one session. Members count their
 * group, groups their session; terminals count both. A group exists for others
 * as long as it has members: with the last one its id and its place in the
 * session go; a session's id goes with its last group.
 *
 * tree_lock guards all of it. process->session may be read by the process itself
 * without: only its own threads change it.
 */
#include "proc/tree.h"
#include "core/errno.h"
#include "mm/slab.h"
#include "proc/pid.h"
#include "proc/signal.h"
#include "syscalls.h"

static struct slab_cache *group_cache, *session_cache;
void (*session_leader_exit_hook)(struct session *s);

void job_init(void)
{
	group_cache = slab_cache_create("process_group", sizeof(struct process_group), 0,
					SLAB_ACCOUNT | SLAB_RCU);
	session_cache = slab_cache_create("session", sizeof(struct session), 0, SLAB_ACCOUNT);
}

/* --- counting --- */

struct session *session_get(struct session *s)
{
	ref_get(&s->refs);
	return s;
}

void session_put(struct session *s)
{
	if (ref_put(&s->refs))
		slab_free(session_cache, s);
}

struct process_group *group_get(struct process_group *g)
{
	ref_get(&g->refs);
	return g;
}

void group_put(struct process_group *g)
{
	if (!ref_put(&g->refs))
		return;
	session_put(g->session);
	slab_free(group_cache, g);
}

/* --- membership --- */

/* A group without id or members in s; takes over the reference on s. */
static struct process_group *group_create(struct session *s)
{
	struct process_group *g = slab_alloc(group_cache);

	if (!g)
		return NULL;
	g->pgid = 0;
	g->away = 0;
	g->session = s;
	list_init(&g->members);
	list_init(&g->session_node);
	ref_init(&g->refs, 1);
	return g;
}

int session_create(struct owner *o, struct session **out_s, struct process_group **out_g)
{
	struct session *s = slab_alloc(session_cache);
	struct process_group *g;

	if (!s)
		return -ENOMEM;
	*s = (struct session){ .owner = o };
	list_init(&s->groups);
	ref_init(&s->refs, 1);
	g = group_create(s);
	if (!g) {
		session_put(s);
		return -ENOMEM;
	}
	*out_s = s;
	*out_g = g;
	return 0;
}

void session_destroy_unused(struct session *s, struct process_group *g)
{
	group_put(g);
}

void group_add(struct process_group *g, struct process *p)
{
	spin_assert_held(&tree_lock);
	p->group = group_get(g);
	p->session = g->session;
	list_append(&g->members, &p->group_node);
}

/* A member of g has gone, also for good (p->group no longer says g). */
static void group_left(struct process_group *g)
{
	struct session *s = g->session;

	if (list_empty(&g->members) && !g->away) {
		pid_detach(s->pids, g->pgid, PID_GROUP);
		list_remove(&g->session_node);
		if (list_empty(&s->groups))
			pid_detach(s->pids, s->sid, PID_SESSION);
	}
	group_put(g);
}

void group_remove(struct process *p)
{
	struct process_group *g = p->group;

	spin_assert_held(&tree_lock);
	if (!g)
		return;
	p->group = NULL;
	list_remove(&p->group_node);
	group_left(g);
}

struct process_group *group_go_away(struct process *p)
{
	struct process_group *g = group_get(p->group);
	struct session *s = g->session;

	spin_assert_held(&tree_lock);
	g->away++;
	group_remove(p);
	if (s->leader == p)
		s->leader = NULL;
	return g;
}

void group_come_back(struct process *p, struct process_group *g)
{
	struct session *s = g->session;

	spin_assert_held(&tree_lock);
	g->away--;
	group_add(g, p);
	group_put(g);
	if (s->sid == p->pid)
		s->leader = p;
}

void group_stay_away(struct process_group *g)
{
	spin_assert_held(&tree_lock);
	g->away--;
	group_left(g);
}

/* g, new, becomes a group of s with p's pid as its id and p as its member. */
static void group_start(struct process_group *g, struct session *s, struct process *p)
{
	g->pgid = p->pid;
	list_append(&s->groups, &g->session_node);
	pid_attach(p->pids, p->pid, PID_GROUP, g);
	group_add(g, p);
	group_put(g); /* the creator's reference */
}

void session_start(struct session *s, struct process_group *g, struct process *p)
{
	spin_assert_held(&tree_lock);
	s->sid = p->pid;
	s->pids = p->pids;
	s->leader = p;
	pid_attach(p->pids, p->pid, PID_SESSION, s);
	group_start(g, s, p);
}

/* --- asking --- */

struct session *current_session(void)
{
	return current->process ? current->process->session : NULL;
}

struct process_group *current_group(void)
{
	return current->process ? current->process->group : NULL;
}

bool current_is_session_leader(void)
{
	struct session *s = current_session();

	return s && s->leader == current->process;
}

int group_find(u32 pgid, struct process_group **out)
{
	*out = pid_find_group(current->process->pids, pgid);
	return *out ? 0 : -ESRCH;
}

bool signal_ignored_or_blocked(int sig)
{
	struct process *p = current->process;
	struct task_signals *ts = current->signals;

	return (ts->blocked & SIGBIT(sig)) || sigaction_of(p, sig)->handler == SIG_IGN;
}

/* --- signals to groups --- */

static void group_signal_locked(struct process_group *g, int sig)
{
	struct process *p;

	spin_assert_held(&tree_lock);
	list_for_each (p, &g->members, group_node)
		signal_send_process(p, sig, NULL);
}

void group_signal(struct process_group *g, int sig)
{
	spin_lock(&tree_lock);
	group_signal_locked(g, sig);
	spin_unlock(&tree_lock);
}

void session_hangup(struct session *s, struct process_group *foreground)
{
	spin_lock(&tree_lock);
	if (s->leader && s->leader->group != foreground) { /* each of them once */
		signal_send_process(s->leader, SIGHUP, NULL);
		signal_send_process(s->leader, SIGCONT, NULL);
	}
	if (foreground) {
		group_signal_locked(foreground, SIGHUP);
		group_signal_locked(foreground, SIGCONT);
	}
	spin_unlock(&tree_lock);
}

/* --- orphaned groups (POSIX.1, 3.2, 2.4.3) --- */

/* Is p a link from g to the rest of its session, which keeps g from being orphaned? */
static bool process_anchors(const struct process *p, const struct process_group *g)
{
	return p->state == PROCESS_ALIVE && p->parent && p->parent->group != g &&
	       p->parent->session == g->session;
}

static bool group_is_orphaned_without(struct process_group *g, const struct process *ignored)
{
	struct process *p;

	list_for_each (p, &g->members, group_node)
		if (p != ignored && process_anchors(p, g))
			return false;
	return true;
}

bool group_is_orphaned(struct process_group *g)
{
	spin_assert_held(&tree_lock);
	return group_is_orphaned_without(g, NULL);
}

bool current_group_is_orphaned(void)
{
	bool orphaned;

	spin_lock(&tree_lock);
	orphaned = group_is_orphaned(current->process->group);
	spin_unlock(&tree_lock);
	return orphaned;
}

static bool group_has_stopped(struct process_group *g)
{
	struct process *p;

	list_for_each (p, &g->members, group_node)
		if (p->stopped)
			return true;
	return false;
}

/*
 * The link from p to its former parent is gone: because p ends (then p does not count any
 * more), or because `ending`, its parent, does. If that orphans a group with stopped members,
 * nobody could continue them: they get SIGHUP and SIGCONT.
 */
void job_parent_left(struct process *p, struct process *ending)
{
	struct process *parent = ending ? ending : p->parent;
	struct process_group *g = p->group;

	if (!parent || !g || parent->group == g || parent->session != g->session)
		return;
	if (!group_has_stopped(g) || !group_is_orphaned_without(g, ending ? NULL : p))
		return;
	group_signal_locked(g, SIGHUP);
	group_signal_locked(g, SIGCONT);
}

void session_leader_exit(struct process *p)
{
	struct session *s = p->session;

	if (!s || READ_ONCE(s->leader) != p)
		return;
	if (READ_ONCE(s->tty) && session_leader_exit_hook)
		session_leader_exit_hook(s);
	spin_lock(&tree_lock);
	s->leader = NULL;
	spin_unlock(&tree_lock);
}

/* --- the calls --- */

s64 sys_setsid(void)
{
	struct process *p = current->process;
	struct process_group *g, *existing;
	struct session *s;
	int err = session_create(current->owner, &s, &g);

	if (err)
		return err;
	spin_lock(&tree_lock);
	existing = pid_find_group(p->pids, p->pid);
	if (!existing) {
		group_remove(p);
		session_start(s, g, p);
	}
	spin_unlock(&tree_lock);
	if (!existing)
		return p->pid;
	group_put(existing);
	session_destroy_unused(s, g);
	return -EPERM;
}

/* Whether current may move p, and how (man 2 setpgid). tree_lock held. */
static int setpgid_allowed(const struct process *p, u32 pid)
{
	const struct process *me = current->process;

	if (process_pid_in(p, me->pids) != pid)
		return -EINVAL; /* a thread's id */
	if (p->state == PROCESS_REAPED)
		return -ESRCH;
	if (p->parent == me) {
		if (p->session != me->session)
			return -EPERM;
		if (p->execed)
			return -EACCES;
	} else if (p != me) {
		return -ESRCH;
	}
	return p->session->leader == p ? -EPERM : 0;
}

/* Moves p to group pgid of its session; fresh: an unused group object, consumed if needed. */
static int setpgid_move(struct process *p, u32 pgid, struct process_group **fresh)
{
	struct process_group *g = pid_find_group(current->process->pids, pgid), *old = p->group;
	int err = 0;

	if (g ? g->session != p->session : pgid != p->pid) {
		err = -EPERM;
	} else {
		list_remove(&p->group_node);
		if (g) {
			group_add(g, p);
		} else {
			group_start(*fresh, p->session, p);
			*fresh = NULL;
		}
		group_left(old);
	}
	if (g)
		group_put(g);
	return err;
}

s64 sys_setpgid(int pid, int pgid)
{
	struct process_group *fresh;
	struct process *p;
	int err;

	if (!pid)
		pid = current->process->pid;
	if (!pgid)
		pgid = pid;
	if (pgid < 0)
		return -EINVAL;
	err = process_find(pid, &p);
	if (err)
		return err;
	fresh = group_create(session_get(p->session));
	if (!fresh) {
		session_put(p->session);
		process_put(p);
		return -ENOMEM;
	}
	spin_lock(&tree_lock);
	err = setpgid_allowed(p, pid);
	if (!err && p->group->pgid != (u32)pgid)
		err = setpgid_move(p, pgid, &fresh);
	spin_unlock(&tree_lock);
	if (fresh)
		group_put(fresh);
	process_put(p);
	return err;
}

/* getpgid and getsid; 0 for a group or session that is not of current's container. */
static s64 job_id_of(int pid, bool session)
{
	struct process *p;
	struct session *s;
	s64 id = 0;
	int err;

	if (!pid)
		pid = current->process->pid;
	err = process_find(pid, &p);
	if (err)
		return err;
	spin_lock(&tree_lock);
	s = p->group ? p->session : NULL;
	if (!s)
		id = -ESRCH;
	else if (s->pids == current->process->pids)
		id = session ? s->sid : p->group->pgid;
	spin_unlock(&tree_lock);
	process_put(p);
	return id;
}

s64 sys_getpgid(int pid)
{
	return job_id_of(pid, false);
}

s64 sys_getpgrp(void)
{
	return current->process->group->pgid;
}

s64 sys_getsid(int pid)
{
	return job_id_of(pid, true);
}
