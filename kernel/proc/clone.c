/* SPDX-License-Identifier: MIT */
/*
 * clone.c - fork(2), vfork(2), clone(2), clone3(2): a new task that shares or
 * copies what its creator has, in a new process or (CLONE_THREAD) the same.
 *
 *	clone_check	flags that do not go together: -EINVAL as Linux says
 *	clone_charge	RES_PIDS and RLIMIT_NPROC, before anything is taken
 *	clone_build	task and process with their parts; nobody sees them yet
 *	clone_publish	pid, tree, group: from here on it cannot fail
 *	sched_start	it runs
 *
 * The parent of a process is a process, and the child remembers which thread
 * made it. If a signal is pending when the child would become visible, the call
 * starts over (-ERESTARTNOINTR), so that a signal to the group reaches either the
 * parent before the fork or both after it.
 */
#include "arch/x86/arch.h"
#include "arch/x86/trap.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "dev/block.h"
#include "fs/context.h"
#include "fs/fdtable.h"
#include "mm/aspace.h"
#include "proc/clone.h"
#include "proc/pid.h"
#include "proc/sched.h"
#include "proc/signal.h"
#include "proc/task.h"
#include "proc/tree.h"
#include "proc/user.h"
#include "syscalls.h"

/* --- flags --- */

/* A sibling of one whose parent is outside would be a child that its parent has no name for. */
static bool clone_parent_is_here(void)
{
	struct process *me = current->process;
	bool here;

	spin_lock(&tree_lock);
	here = me->parent && me->parent->pids == me->pids && me->pids->init != me;
	spin_unlock(&tree_lock);
	return here;
}

static int clone_check(const struct clone_request *r)
{
	u64 f = r->flags;

	if (f & (CLONE_NEW_ANY | CLONE_PIDFD | CLONE_INTO_CGROUP))
		return -EINVAL; /* doc/abi.md */
	if (f & CLONE_THREAD && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if (f & CLONE_SIGHAND && !(f & CLONE_VM))
		return -EINVAL;
	if (f & CLONE_SIGHAND && f & CLONE_CLEAR_SIGHAND)
		return -EINVAL;
	return f & CLONE_PARENT && !clone_parent_is_here() ? -EINVAL : 0;
}

/* --- charges --- */

static struct pid_table *clone_table(const struct clone_request *r)
{
	return r->into ? r->into : current->process->pids;
}

static struct cred *clone_cred(const struct clone_request *r)
{
	return r->cred ? r->cred : current->cred;
}

static int clone_charge(const struct clone_request *r)
{
	struct owner *o = clone_table(r)->owner;
	u32 uid = clone_cred(r)->uid;
	bool limited =
		!owner_is_root(o, uid) && !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN);
	int err;

	current->nproc_exceeded = false;
	err = charge(o->account, RES_PIDS, 1);
	if (err)
		return err;
	err = user_charge(o, uid, limited ? rlimit_cur(RLIMIT_NPROC) : RLIM_INFINITY);
	if (err)
		uncharge(o->account, RES_PIDS, 1);
	return err;
}

static void clone_uncharge(const struct clone_request *r)
{
	struct owner *o = clone_table(r)->owner;

	user_uncharge(o, clone_cred(r)->uid);
	uncharge(o->account, RES_PIDS, 1);
}

/* --- parts: each is shared or copied; what was taken is given back by clone_abandon --- */

static int clone_aspace(const struct clone_request *r, struct task *t)
{
	if (!(r->flags & CLONE_VM))
		return aspace_fork(current->aspace, &t->aspace);
	t->aspace = aspace_get(current->aspace);
	return 0;
}

static int clone_files(const struct clone_request *r, struct task *t)
{
	if (!(r->flags & CLONE_FILES))
		return fd_table_copy(current->files, &t->files);
	t->files = fd_table_get(current->files);
	return 0;
}

static int clone_fs(const struct clone_request *r, struct task *t)
{
	if (r->into) {
		t->fs = r->fs ? fs_context_get(r->fs) : NULL;
		return t->fs ? 0 : -EINVAL;
	}
	if (!(r->flags & CLONE_FS))
		return fs_context_copy(current->fs, &t->fs);
	t->fs = fs_context_get(current->fs);
	return 0;
}

static void clone_signals(const struct clone_request *r, struct task *t)
{
	const struct task_signals *from = current->signals;
	struct task_signals *to = t->signals;

	/* A thread does not inherit the alternate stack, a vfork child does (sigaltstack(2)). */
	if ((r->flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM)
		return;
	to->altstack_base = from->altstack_base;
	to->altstack_size = from->altstack_size;
	to->altstack_flags = from->altstack_flags;
}

static void clone_sched(struct task *t)
{
	const struct sched_entity *from = &current->sched;

	t->sched.affinity = from->affinity;
	if (from->reset_on_fork) {
		t->sched.nice = MAX(from->nice, (s8)0);
		return;
	}
	t->sched.nice = from->nice;
	t->sched.policy = from->policy;
	t->sched.rank = t->sched.rt_priority = from->rt_priority;
}

static int clone_process(const struct clone_request *r, struct process **out)
{
	struct process *from = current->process, *p;
	int err = process_create(clone_table(r), &p);

	if (err)
		return err;
	err = signals_create_process(p, from, r->flags & CLONE_SIGHAND,
				     r->flags & CLONE_CLEAR_SIGHAND);
	if (err) {
		process_abandon(p);
		return err;
	}
	spin_lock(&from->signal_lock);
	p->rlimits = from->rlimits;
	spin_unlock(&from->signal_lock);
	p->exit_signal = r->flags & CLONE_PARENT ? from->exit_signal : r->exit_signal;
	p->dumpable = from->dumpable;
	p->no_new_privs = from->no_new_privs;
	p->personality = from->personality;
	p->parent_tid = r->flags & CLONE_PARENT ? from->parent_tid : current->tid;
	*out = p;
	return 0;
}

/* Where the child begins: the parent's registers, with 0 as the call's result. */
static void clone_registers(const struct clone_request *r, struct task *t,
			    const struct trapframe *frame)
{
	struct trapframe f = *frame;

	f.rax = 0;
	f.orig_rax = (u64)-1;
	f.rflags &= ~RFLAGS_IOPL;
	if (r->stack)
		f.rsp = r->stack;
	t->user_fsbase = r->flags & CLONE_SETTLS ? r->tls : arch_get_fsbase();
	t->user_gsbase = arch_get_gsbase();
	t->clear_tid = r->flags & CLONE_CHILD_CLEARTID ? r->child_tid : 0;
	arch_task_setup_user(t, &f);
}

/* Neither t nor its process were ever visible. */
static void clone_abandon(struct task *t, struct process *fresh)
{
	if (t->aspace)
		aspace_put(t->aspace);
	if (t->files)
		fd_table_put(t->files);
	if (t->fs)
		fs_context_put(t->fs);
	t->aspace = NULL;
	t->files = NULL;
	t->fs = NULL;
	task_put(t);
	if (fresh)
		process_abandon(fresh);
}

static int clone_parts(const struct clone_request *r, struct task *t, const struct trapframe *frame)
{
	int err = clone_files(r, t);

	t->cred = cred_get(clone_cred(r));
	if (!err)
		err = clone_fs(r, t);
	if (!err)
		err = fpu_clone(t);
	if (!err)
		err = clone_aspace(r, t);
	if (err)
		return err;
	clone_signals(r, t);
	clone_sched(t);
	t->timer_slack = current->timer_slack;
	clone_registers(r, t, frame);
	return 0;
}

static int clone_build(const struct clone_request *r, const struct trapframe *frame,
		       struct task **out)
{
	struct process *p = current->process, *fresh = NULL;
	struct task *t;
	int err;

	if (!(r->flags & CLONE_THREAD)) {
		err = clone_process(r, &fresh);
		if (err)
			return err;
		p = fresh;
	}
	err = task_create(p, &t);
	if (err) {
		if (fresh)
			process_abandon(fresh);
		return err;
	}
	err = clone_parts(r, t, frame);
	if (err)
		clone_abandon(t, fresh);
	else
		*out = t;
	return err;
}

/* --- becoming visible --- */

/* Ids in the child's container and, if it is born elsewhere, where its parent lives. */
static int clone_ids(const struct clone_request *r, struct task *t)
{
	struct process *p = t->process, *me = current->process;
	u32 id;
	int err = pid_create(p->pids, r->set_tid, PID_TASK, t, &id);

	if (err)
		return err;
	t->tid = id;
	if (p == me)
		return 0;
	p->pid = id;
	p->leader = task_get(t);
	pid_attach(p->pids, id, PID_PROCESS, p);
	if (p->pids == me->pids)
		return 0;
	err = pid_create(me->pids, 0, PID_PROCESS, p, &p->outer.pid);
	if (!err) {
		p->outer.table = me->pids;
		return 0;
	}
	pid_detach(p->pids, id, PID_PROCESS);
	pid_detach(p->pids, id, PID_TASK);
	p->leader = NULL;
	task_put(t);
	return err;
}

static void clone_ids_undo(struct task *t)
{
	struct process *p = t->process;

	pid_detach(p->pids, t->tid, PID_TASK);
	if (p == current->process)
		return;
	pid_detach(p->pids, p->pid, PID_PROCESS);
	if (p->outer.table)
		pid_detach(p->outer.table, p->outer.pid, PID_PROCESS);
	p->outer.table = NULL;
	p->leader = NULL;
	task_put(t);
}

static void clone_link_process(const struct clone_request *r, struct process *p, struct session *s,
			       struct process_group *g)
{
	struct process *me = current->process;
	struct process *parent = r->flags & CLONE_PARENT ? me->parent : me;

	if (p->outer.table)
		p->outer.table->processes++;
	process_link(p, parent, s ? NULL : me->group);
	if (s) /* born in another container: leader of a session there */
		session_start(s, g, p);
}

/* 0: t is in the tree and may be started. -ERESTARTNOINTR: a signal came first. */
static int clone_publish(const struct clone_request *r, struct task *t)
{
	struct process *p = t->process, *me = current->process;
	struct process_group *g = NULL;
	struct session *s = NULL;
	int err = clone_ids(r, t);

	if (!err && p->pids != me->pids) {
		err = session_create(p->pids->owner, &s, &g);
		if (err)
			clone_ids_undo(t);
	}
	if (err)
		return err;
	spin_lock(&tree_lock);
	if (signal_pending()) {
		spin_unlock(&tree_lock);
		if (s)
			session_destroy_unused(s, g);
		clone_ids_undo(t);
		return -ERESTARTNOINTR;
	}
	process_add_thread(p, t);
	if (p != me)
		clone_link_process(r, p, s, g);
	if (r->flags & CLONE_VFORK)
		t->vfork_waiter = current;
	if (owner_is_paused(p->pids->owner))
		task_set_work(t, WORK_PAUSE);
	block_born(t);
	if (p != me && p->kills_before != p->pids->kills)
		signal_kill_process(p); /* born into a container that ends */
	spin_unlock(&tree_lock);
	t->pids_account = account_get(p->pids->owner->account);
	t->counted_uid = clone_cred(r)->uid;
	return 0;
}

/* --- the child's first act (the address may be in its own copy of memory), and the parent's side
 * --- */

static void birth_write_tid(struct task_callback *cb)
{
	struct task *t = container_of(cb, struct task, birth);

	(void)!put_user(t->set_child_tid, &t->tid); /* Linux ignores a bad address, too */
}

/* Sleeps until t has called exec or exit. Only a kill ends this earlier. */
static void vfork_wait(struct task *t)
{
	while (!kill_pending()) {
		sched_prepare_sleep();
		if (!READ_ONCE(t->vfork_waiter) || kill_pending()) {
			sched_cancel_sleep();
			break;
		}
		sched_sleep(KTIME_NEVER);
	}
	spin_lock(&tree_lock);
	t->vfork_waiter = NULL;
	spin_unlock(&tree_lock);
}

/* Memory of a child born elsewhere is its container's from the start. */
static int clone_build_for(const struct clone_request *r, const struct trapframe *frame,
			   struct task **out)
{
	struct account *own = current->account;
	int err;

	current->account = clone_table(r)->owner->account;
	err = clone_build(r, frame, out);
	current->account = own;
	return err;
}

s64 process_clone(const struct clone_request *r, const struct trapframe *frame)
{
	struct process *me = current->process;
	struct task *t;
	s64 id;
	int err = clone_check(r);

	if (err)
		return err;
	err = clone_charge(r);
	if (err)
		return err;
	err = r->into ? clone_build_for(r, frame, &t) : clone_build(r, frame, &t);
	if (err)
		goto uncharge;
	err = clone_publish(r, t);
	if (err) {
		clone_abandon(t, t->process == me ? NULL : t->process);
		goto uncharge;
	}
	id = t->process == me ? t->tid : process_pid_in(t->process, me->pids);
	if (r->flags & CLONE_PARENT_SETTID)
		(void)!put_user(r->parent_tid, &(u32){ id }); /* Linux ignores a bad address, too */
	if (r->flags & CLONE_CHILD_SETTID) {
		t->set_child_tid = r->child_tid;
		t->birth.fn = birth_write_tid;
		task_callback_add(t, &t->birth);
	}
	task_get(t);
	sched_start(t);
	if (r->flags & CLONE_VFORK)
		vfork_wait(t);
	task_put(t);
	return id;

uncharge:
	clone_uncharge(r);
	return err;
}

/* --- the calls --- */

s64 sys_fork(struct trapframe *frame)
{
	return process_clone(&(struct clone_request){ .exit_signal = SIGCHLD }, frame);
}

s64 sys_vfork(struct trapframe *frame)
{
	return process_clone(
		&(struct clone_request){ .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD },
		frame);
}

/* clone(flags, stack, parent_tid, child_tid, tls) on x86-64 (man 2 clone) */
s64 sys_clone(struct trapframe *frame)
{
	struct clone_request r = {
		.flags = (u32)frame->rdi & ~(u64)CSIGNAL & ~(u64)CLONE_DETACHED,
		.exit_signal = frame->rdi & CSIGNAL,
		.stack = frame->rsi,
		.parent_tid = frame->rdx,
		.child_tid = frame->r10,
		.tls = frame->r8,
	};

	if (r.flags & CLONE_PIDFD && r.flags & CLONE_PARENT_SETTID)
		return -EINVAL;
	return process_clone(&r, frame);
}

struct clone_args { /* man 2 clone3, version 2 */
	u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};
#define CLONE_ARGS_SIZE_VER0 64

static int clone3_stack(const struct clone_args *a, uaddr_t *stack)
{
	*stack = 0;
	if (!a->stack)
		return a->stack_size ? -EINVAL : 0;
	if (!a->stack_size || !user_range_ok(a->stack, a->stack_size))
		return -EINVAL;
	*stack = a->stack + a->stack_size;
	return 0;
}

/* One level of containers is named by set_tid: the caller's own. */
static int clone3_set_tid(const struct clone_args *a, u32 *tid)
{
	*tid = 0;
	if (!a->set_tid_size)
		return a->set_tid ? -EINVAL : 0;
	if (!a->set_tid || a->set_tid_size > 1)
		return -EINVAL;
	if (get_user(tid, a->set_tid))
		return -EFAULT;
	if (!*tid || *tid >= PID_MAX)
		return -EINVAL;
	if (!capable(CAP_CHECKPOINT_RESTORE) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	return 0;
}

s64 sys_clone3(struct trapframe *frame)
{
	struct clone_args a;
	struct clone_request r;
	u64 size = frame->rsi;
	int err;

	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	err = copy_struct_from_user(&a, sizeof(a), frame->rdi, size);
	if (err)
		return err;
	if (a.flags & ~CLONE3_FLAGS || a.flags & (CLONE_DETACHED | CSIGNAL) || a.exit_signal > NSIG)
		return -EINVAL;
	if (a.flags & (CLONE_THREAD | CLONE_PARENT) && a.exit_signal)
		return -EINVAL;
	r = (struct clone_request){
		.flags = a.flags,
		.exit_signal = a.exit_signal,
		.parent_tid = a.parent_tid,
		.child_tid = a.child_tid,
		.tls = a.tls,
	};
	err = clone3_stack(&a, &r.stack);
	if (!err)
		err = clone3_set_tid(&a, &r.set_tid);
	return err ? err : process_clone(&r, frame);
}
