/* SPDX-License-Identifier: MIT */
/*
 * task.c - birth and end of tasks (threads), kernel threads, and callbacks.
 *
 *	task_create	NEW; the creator fills in what it shares or copies
 *	sched_start	first wake-up; takes over the reference that task_create gave
 *	task_exit (exit.c), or the end of a kernel thread's function
 *	sched_exit	DEAD; switched away from for ever
 *	task_finish_dead	on the next task's stack: kernel stack freed, reference dropped
 *	task_put	the last one frees the struct
 *
 * The struct stays of its type until a grace period after it is freed (SLAB_RCU):
 * who finds one under RCU takes a reference if there still is one, then checks
 * that it is the one it looked for.
 */
#include "proc/task.h"
#include "arch/x86/arch.h"
#include "core/errno.h"
#include "lib/string.h"
#include "mm/aspace.h"
#include "mm/slab.h"
#include "proc/process.h"
#include "proc/sched.h"
#include "proc/signal.h"

static struct slab_cache *task_cache;

void task_init(void)
{
	task_cache = slab_cache_create("task", sizeof(struct task), 64, SLAB_ACCOUNT | SLAB_RCU);
}

/* Everything but refs, which a finder under RCU may look at at any time. */
static void task_clear(struct task *t)
{
	memset(t, 0, offsetof(struct task, refs));
	memset((char *)t + offsetof(struct task, refs) + sizeof(t->refs), 0,
	       sizeof(*t) - offsetof(struct task, refs) - sizeof(t->refs));
}

static void task_init_common(struct task *t)
{
	task_clear(t);
	spin_init(&t->lock, RANK_TASK);
	list_init(&t->thread_node);
	t->sched.affinity = t->sched.allowed = ~0ull;
	t->sched.group = &sched_host;
	t->start_time = ktime_get();
	ref_init(&t->refs, 1);
}

void task_init_kernel(struct task *t, const char *name)
{
	task_init_common(t);
	t->cred = &cred_root;
	t->owner = &owner_host;
	t->account = &account_root;
	strlcpy(t->name, name, sizeof(t->name));
}

/* t->account must be set: it pays for the stack as long as it exists. */
static int task_create_stack(struct task *t, struct account *a)
{
	t->kstack = kstack_alloc(a);
	if (!t->kstack)
		return -ENOMEM;
	t->kstack_top = (u64)t->kstack + KSTACK_SIZE;
	t->stack_account = account_get(a);
	return 0;
}

int task_create(struct process *p, struct task **out)
{
	struct task *t = slab_alloc(task_cache), *parent = current;
	int err;

	if (!t)
		return -ENOMEM;
	task_init_common(t);
	t->process = process_get(p);
	t->account = p->pids->owner->account;
	t->owner = p->pids->owner;
	t->container = p->container;
	t->sched.group = p->pids->group;
	t->rlimits = &p->rlimits;
	memcpy(t->name, parent->name, sizeof(t->name));
	err = task_create_stack(t, parent->account);
	if (!err)
		err = signals_create_task(t, parent->process ? parent : NULL);
	if (err)
		task_put(t);
	else
		*out = t;
	return err;
}

struct task *task_get(struct task *t)
{
	ref_get(&t->refs);
	return t;
}

void task_put(struct task *t)
{
	if (!ref_put(&t->refs))
		return;
	ASSERT(t->state == TASK_DEAD || t->state == TASK_NEW);
	if (t->kstack) { /* it never ran */
		kstack_free(t->kstack, t->stack_account);
		account_put(t->stack_account);
	}
	fpu_free(t);
	if (t->cred && t->cred != &cred_root)
		cred_put(t->cred);
	if (t->process) {
		signals_destroy_task(t);
		process_put(t->process);
	}
	slab_free(task_cache, t);
}

void task_finish_dead(struct task *t)
{
	kstack_free(t->kstack, t->stack_account);
	account_put(t->stack_account);
	t->kstack = NULL;
	if (t->dead_aspace) {
		aspace_unref(t->dead_aspace);
		t->dead_aspace = NULL;
	}
	task_put(t);
}

/* --- kernel threads --- */

struct kthread_start {
	void (*fn)(void *arg);
	void *arg;
};

static void kthread_main(void *p)
{
	struct kthread_start start = *(struct kthread_start *)p;

	kfree(p);
	start.fn(start.arg);
	sched_exit();
}

int kthread_create(const char *name, void (*fn)(void *arg), void *arg, struct task **out)
{
	struct kthread_start *start = kmalloc(sizeof(*start), 0);
	struct task *t = slab_alloc(task_cache);

	if (t)
		task_init_kernel(t, name);
	if (!start || !t || task_create_stack(t, &account_root))
		goto fail;
	*start = (struct kthread_start){ fn, arg };
	arch_task_setup_kernel(t, kthread_main, start);
	if (out)
		*out = t;
	sched_start(t);
	return 0;

fail:
	if (t)
		task_put(t);
	kfree(start);
	return -ENOMEM;
}

/* --- callbacks --- */

void task_callback_add(struct task *t, struct task_callback *cb)
{
	struct task_callback *head = READ_ONCE(t->callbacks);

	do {
		cb->next = head;
	} while (!__atomic_compare_exchange_n(&t->callbacks, &head, cb, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	task_set_work(t, WORK_CALLBACK);
}
