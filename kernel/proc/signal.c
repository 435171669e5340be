/* SPDX-License-Identifier: MIT */
/*
 * signal.c - the signal state of tasks and processes: birth, exec and end,
 * pending sets and their queues, masks.
 *
 * A set bit in pending->set says that the signal is pending; an entry in the
 * queue carries its siginfo. A standard signal from the kernel may have no
 * entry (nothing to allocate, nothing that can fail): it is delivered with
 * si_code SI_KERNEL. Real-time signals have one entry each, in order.
 *
 * WORK_SIGNAL of a task is set whenever something is pending that it does not
 * block, or its process is stopping. Others only set it; the task itself clears
 * it (signal_recompute), so that a sleep which ended with -ERESTARTSYS always
 * comes by signal_deliver(), even if another thread took the signal.
 *
 * Everything here is under process->signal_lock.
 */
#include "proc/signal.h"
#include "arch/x86/uaccess.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/process.h"

static struct slab_cache *entry_cache, *task_cache, *shared_cache, *hand_cache, *actions_cache;

static void signal_caches_init(void)
{
	entry_cache = slab_cache_create("sigqueue", sizeof(struct sigqueue_entry), 0, SLAB_ACCOUNT);
	task_cache = slab_cache_create("task_signals", sizeof(struct task_signals), 0,
				       SLAB_ACCOUNT | SLAB_ZERO);
	shared_cache = slab_cache_create("signal_shared", sizeof(struct signal_shared), 0,
					 SLAB_ACCOUNT | SLAB_ZERO);
	hand_cache =
		slab_cache_create("sighand", sizeof(struct sighand), 0, SLAB_ACCOUNT | SLAB_ZERO);
	actions_cache = slab_cache_create("sigactions", sizeof(struct sigactions), 0,
					  SLAB_ACCOUNT | SLAB_ZERO);
}

/* --- queue entries --- */

struct sigqueue_entry *sigqueue_alloc(struct process *p, bool force)
{
	struct sigqueue_entry *e;

	if (!force && p->signals->queued >= READ_ONCE(p->rlimits.lim[RLIMIT_SIGPENDING].cur))
		return NULL;
	e = slab_alloc(entry_cache);
	if (!e)
		return NULL;
	list_init(&e->node);
	list_init(&e->same);
	e->timer = NULL;
	p->signals->queued++;
	return e;
}

void sigqueue_free(struct process *p, struct sigqueue_entry *e)
{
	if (e->timer) { /* belongs to its timer */
		posix_timer_taken(e->timer);
		return;
	}
	if (p->signals) /* the process may be gone before the last reference on a thread */
		p->signals->queued--;
	slab_free(entry_cache, e);
}

void sigpending_init(struct sigpending *p)
{
	p->set = 0;
	list_init(&p->queue);
}

static struct sigqueue_entry *sigpending_oldest(struct sigpending *s, sigset_t set)
{
	struct sigqueue_entry *e;

	list_for_each (e, &s->queue, node)
		if (SIGBIT(e->info.signo) & set)
			return e;
	return NULL;
}

void sigpending_append(struct sigpending *s, struct sigqueue_entry *e)
{
	struct sigqueue_entry *oldest = sigpending_oldest(s, SIGBIT(e->info.signo));

	list_append(oldest ? &oldest->same : &s->queue, &e->node);
}

void sigqueue_unlink(struct sigqueue_entry *e)
{
	struct sigqueue_entry *next;

	if (!list_empty(&e->same)) { /* the next one takes e's place */
		next = list_first(&e->same, struct sigqueue_entry, node);
		list_remove(&next->node);
		list_splice(&next->same, &e->same);
		list_push(&e->node, &next->node);
	}
	list_remove(&e->node);
}

bool sigpending_remove(struct process *p, struct sigpending *s, sigset_t set)
{
	struct sigqueue_entry *e;

	if (!(s->set & set))
		return true;
	for (u32 n = 0; (e = sigpending_oldest(s, set)); n++) {
		if (n == SIGPENDING_STEP)
			return false;
		sigqueue_unlink(e);
		sigqueue_free(p, e);
	}
	s->set &= ~set;
	return true;
}

bool signal_discard(struct process *p, sigset_t set)
{
	bool done = sigpending_remove(p, &p->signals->pending, set);
	struct task *t;

	list_for_each (t, &p->threads, thread_node) {
		struct task_signals *ts = t->signals;
		if (ts && !sigpending_remove(p, &ts->pending, set))
			done = false;
	}
	return done;
}

/* All; takes and drops signal_lock. */
static void sigpending_drain(struct process *p, struct sigpending *s)
{
	bool done = list_empty(&s->queue);

	while (!done) {
		spin_lock(&p->signal_lock);
		done = sigpending_remove(p, s, ~0ull);
		spin_unlock(&p->signal_lock);
		resched_point();
	}
}

/* The signal of `set` that is delivered first: faults, then by number (0: none). */
static int signal_first(sigset_t set)
{
	if (set & SIGSET_SYNC)
		set &= SIGSET_SYNC;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

/* Takes the oldest entry of sig; its bit goes when that was the last one. */
static struct sigqueue_entry *sigpending_take(struct sigpending *s, int sig)
{
	struct sigqueue_entry *e = sigpending_oldest(s, SIGBIT(sig));

	if (!e || list_empty(&e->same))
		s->set &= ~SIGBIT(sig);
	if (e)
		sigqueue_unlink(e);
	return e;
}

int signal_dequeue(struct task *t, sigset_t allowed, struct siginfo *info)
{
	struct process *p = t->process;
	struct task_signals *ts = t->signals;
	struct sigpending *from = &ts->pending;
	struct sigqueue_entry *e;
	int sig = signal_first(from->set & allowed);

	if (!sig) {
		from = &p->signals->pending;
		sig = signal_first(from->set & allowed);
	}
	if (!sig)
		return 0;
	if (sig == SIGALRM)
		real_timer_taken(p->signals);
	e = sigpending_take(from, sig);
	if (!e) {
		memset(info, 0, sizeof(*info));
		info->signo = sig;
		info->code = SI_KERNEL;
		return sig;
	}
	*info = e->info;
	if (e->timer)
		posix_timer_dequeued(e->timer, info);
	sigqueue_free(p, e);
	return sig;
}

/* --- masks --- */

void signal_recompute(struct task *t)
{
	struct task_signals *ts = t->signals;
	struct signal_shared *sh = t->process->signals;
	bool due = ((ts->pending.set | sh->pending.set) & ~ts->blocked) || sh->stop != STOP_NONE ||
		   sh->notify_parent;

	if (due)
		task_set_work(t, WORK_SIGNAL);
	else if (t == current)
		task_clear_work(t, WORK_SIGNAL);
}

/* A shared signal that current now blocks may have to wake another thread that does not. */
static void signal_retarget(struct process *p, sigset_t newly_blocked)
{
	struct task *t;

	if (!(p->signals->pending.set & newly_blocked))
		return;
	list_for_each (t, &p->threads, thread_node) {
		if (t == current)
			continue;
		signal_recompute(t);
		if (READ_ONCE(t->work) & WORK_SIGNAL)
			sched_wake(t);
	}
}

void signal_set_blocked(sigset_t mask)
{
	struct task_signals *ts = current->signals;
	struct process *p = current->process;
	sigset_t newly = mask & ~ts->blocked & ~SIGSET_UNBLOCKABLE;

	spin_lock(&p->signal_lock);
	ts->blocked = mask & ~SIGSET_UNBLOCKABLE;
	signal_retarget(p, newly);
	signal_recompute(current);
	spin_unlock(&p->signal_lock);
}

void signal_set_blocked_temporarily(sigset_t mask)
{
	struct task_signals *ts = current->signals;

	ts->saved_blocked = ts->blocked;
	task_set_work(current, WORK_RESTORE);
	signal_set_blocked(mask);
}

void signal_mask_restore(void)
{
	struct task_signals *ts = current->signals;

	if (!(current->work & WORK_RESTORE))
		return;
	task_clear_work(current, WORK_RESTORE);
	signal_set_blocked(ts->saved_blocked);
}

int signal_mask_replace(uaddr_t mask, size_t size)
{
	sigset_t set;
	int err = signal_mask_from_user(mask, size, &set);

	if (!err)
		signal_set_blocked_temporarily(set);
	return err;
}

int signal_mask_from_user(uaddr_t p, size_t size, sigset_t *out)
{
	if (size != sizeof(sigset_t))
		return -EINVAL;
	return get_user(out, p);
}

/* --- birth, exec, end --- */

int signals_create_task(struct task *t, const struct task *parent)
{
	struct task_signals *ts;

	if (!task_cache)
		signal_caches_init();
	ts = slab_alloc(task_cache);
	if (!ts)
		return -ENOMEM;
	sigpending_init(&ts->pending);
	if (parent && parent->signals)
		ts->blocked = ((struct task_signals *)parent->signals)->blocked;
	t->signals = ts;
	return 0;
}

void signals_destroy_task(struct task *t)
{
	struct task_signals *ts = t->signals;

	if (!ts)
		return;
	spin_lock(&t->process->signal_lock);
	while (!sigpending_remove(t->process, &ts->pending, ~0ull))
		; /* only what came since signals_exit_thread() */
	t->signals = NULL;
	spin_unlock(&t->process->signal_lock);
	slab_free(task_cache, ts);
}

void signals_exit_thread(void)
{
	sigpending_drain(current->process, &((struct task_signals *)current->signals)->pending);
}

void signal_thread_left(struct process *p)
{
	struct signal_shared *sh = p->signals;
	struct task *t;

	list_for_each (t, &p->threads, thread_node) {
		if (!t->signals ||
		    !(sh->pending.set & ~((struct task_signals *)t->signals)->blocked))
			continue;
		task_set_work(t, WORK_SIGNAL);
		sched_wake(t);
	}
}

/* --- actions --- */

const struct sigaction_kernel *sigaction_of(const struct process *p, int sig)
{
	static const struct sigaction_kernel by_default, ignore = { .handler = SIG_IGN };
	const struct sighand *h = p->signals->hand;
	const struct sigactions *s = rcu_dereference(h->set);

	if (s)
		return &s->action[(sig - 1) % NSIG];
	return READ_ONCE(h->ignored) & SIGBIT(sig) ? &ignore : &by_default;
}

bool sigaction_is_plain(const struct sigaction_kernel *a)
{
	return a->handler <= SIG_IGN && !a->flags && !a->mask;
}

struct sigactions *sigactions_alloc(void)
{
	return slab_alloc(actions_cache);
}

void sigactions_free(struct sigactions *s)
{
	if (s)
		slab_free(actions_cache, s);
}

static void sigactions_free_rcu(struct rcu_head *h)
{
	sigactions_free(container_of(h, struct sigactions, rcu));
}

/* Gives h the table *spare, which then is NULL, unless it has got one from another process that
 * shares it (CLONE_SIGHAND) and has a lock of its own. */
static void sighand_install(struct sighand *h, struct sigactions **spare)
{
	struct sigactions *none = NULL;

	for (int sig = 1; sig <= NSIG; sig++)
		if (h->ignored & SIGBIT(sig))
			(*spare)->action[sig - 1].handler = SIG_IGN;
	if (__atomic_compare_exchange_n(&h->set, &none, *spare, false, __ATOMIC_RELEASE,
					__ATOMIC_RELAXED))
		*spare = NULL;
}

void sigaction_set(struct process *p, int sig, const struct sigaction_kernel *a,
		   struct sigactions **spare)
{
	struct sighand *h = p->signals->hand;

	spin_assert_held(&p->signal_lock);
	if (!h->set && sigaction_is_plain(a)) {
		h->ignored &= ~SIGBIT(sig);
		h->ignored |= a->handler == SIG_IGN ? SIGBIT(sig) : 0;
		return;
	}
	if (!h->set)
		sighand_install(h, spare);
	h->set->action[sig - 1] = *a;
}

void sigaction_reset(struct process *p, int sig)
{
	struct sighand *h = p->signals->hand;

	spin_assert_held(&p->signal_lock);
	if (h->set)
		h->set->action[(sig - 1) % NSIG].handler = SIG_DFL;
	else
		h->ignored &= ~SIGBIT(sig);
}

/* All SIG_DFL but what is ignored: what an exec leaves. Not shared with anybody, or S held. */
static void sighand_reset(struct sighand *h)
{
	struct sigactions *s = h->set;

	if (!s)
		return;
	h->ignored = 0;
	for (int sig = 1; sig <= NSIG; sig++)
		h->ignored |= s->action[sig - 1].handler == SIG_IGN ? SIGBIT(sig) : 0;
	rcu_assign(h->set, NULL);
	rcu_call(&s->rcu, sigactions_free_rcu);
}

static int sighand_copy(const struct sighand *from, struct sighand **out)
{
	struct sighand *h = slab_alloc(hand_cache);

	if (!h)
		return -ENOMEM;
	if (from && from->set) {
		h->set = sigactions_alloc();
		if (!h->set) {
			slab_free(hand_cache, h);
			return -ENOMEM;
		}
		memcpy(h->set->action, from->set->action, sizeof(h->set->action));
	}
	h->ignored = from ? from->ignored : 0;
	ref_init(&h->refs, 1);
	*out = h;
	return 0;
}

static void sighand_put(struct sighand *h)
{
	if (!ref_put(&h->refs))
		return;
	if (h->set)
		rcu_call(&h->set->rcu, sigactions_free_rcu);
	slab_free(hand_cache, h);
}

int signals_create_process(struct process *p, const struct process *parent, bool share_hand,
			   bool clear_hand)
{
	struct signal_shared *sh;
	int err;

	if (!task_cache)
		signal_caches_init();
	sh = slab_alloc(shared_cache);
	if (!sh)
		return -ENOMEM;
	if (share_hand) {
		sh->hand = parent->signals->hand;
		ref_get(&sh->hand->refs);
	} else {
		err = sighand_copy(parent ? parent->signals->hand : NULL, &sh->hand);
		if (err)
			goto free_shared;
	}
	if (clear_hand)
		sighand_reset(sh->hand);
	sigpending_init(&sh->pending);
	sh->process = p;
	waitq_init(&sh->parked);
	p->signals = sh;
	timers_init_process(p);
	return 0;

free_shared:
	slab_free(shared_cache, sh);
	return err;
}

void signals_destroy_process(struct process *p)
{
	struct signal_shared *sh = p->signals;

	if (!sh)
		return;
	timers_destroy_process(p);
	sigpending_drain(p, &sh->pending);
	spin_lock(&p->signal_lock);
	while (!sigpending_remove(p, &sh->pending, ~0ull))
		;
	p->signals = NULL;
	spin_unlock(&p->signal_lock);
	sighand_put(sh->hand);
	slab_free(shared_cache, sh);
}

void signals_exec(struct process *p)
{
	struct task_signals *ts = current->signals;
	struct signal_shared *sh = p->signals;
	struct sighand *fresh = NULL;

	/* Handlers shared with another process (CLONE_SIGHAND without CLONE_THREAD) part now. */
	if (ref_read(&sh->hand->refs) > 1) {
		struct sighand *old = sh->hand;

		if (sighand_copy(old, &fresh)) { /* past the point of no return */
			signal_kill_process(p);
			return;
		}
		spin_lock(&p->signal_lock);
		sh->hand = fresh;
		spin_unlock(&p->signal_lock);
		sighand_put(old);
	}
	spin_lock(&p->signal_lock);
	sighand_reset(sh->hand);
	ts->altstack_base = ts->altstack_size = 0;
	ts->altstack_flags = 0;
	spin_unlock(&p->signal_lock);
	timers_exec(p);
}
