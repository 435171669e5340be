/* SPDX-License-Identifier: MIT */
/*
 * policy_manager.c - the policy `manager`: a process outside the container decides.
 *
 * The manager holds a descriptor (container_sched) and maps its page, struct
 * sched_page (abi/container.h): a ring of tids, the next choices, which it fills and
 * the kernel empties. A pick never waits and trusts nothing in the page: it takes
 * choices until it finds one that waits for a CPU, at most LOOKS, also from another
 * CPU's queue. If there is none, the longest waiting task runs, as with rr, and
 * that is counted; the manager's poll says that it is wanted. If it publishes
 * nothing for ANSWER_BOUND after that, it counts as stalled, once. If it goes away,
 * all picks are rr's.
 *
 * Locks: picks are under R and find the manager under RCU. `head` is changed by
 * compare-and-swap, so that CPUs may pick at the same time. Taking a task from
 * another CPU's queue needs a second R: it is only tried, so nobody waits in a
 * circle.
 */
#include "abi/container.h"
#include "core/errno.h"
#include "fs/poll.h"
#include "mm/aspace.h"
#include "mm/page.h"
#include "mm/pagecache.h"
#include "mm/slab.h"
#include "proc/pid.h"
#include "proc/sched.h"

#define LOOKS	     16
#define ANSWER_BOUND (10 * NSEC_PER_MSEC)

_Static_assert(sizeof(struct sched_page) == PAGE_SIZE, "one page");

struct sched_manager {
	struct sched_group *group; /* constant; the descriptor counts its container */
	struct mapping *mapping;   /* of the page; counted; constant */
	struct page *pinned;	   /* the page; counted; constant */
	struct sched_page *page;   /* its contents: anybody may write anything there */
	u32 head;		   /* atomic: choices taken */
	ktime_t wanted_since;	   /* racy; 0: it is not asked for anything */
	bool stalled;		   /* racy */
	struct waitq wanted;
	struct rcu_head rcu;
};

/* t, found by its tid, if it waits on rq or can be brought there. R of rq. */
static struct task *manager_claim(struct runqueue *rq, struct sched_group *g, u32 tid)
{
	struct task *t = pid_peek_task(g->pids, tid);
	struct runqueue *from;

	if (!t || READ_ONCE(t->sched.group) != g || !sched_allowed(t, rq->cpu))
		return NULL;
	from = runqueue_of(READ_ONCE(t->sched.cpu));
	if (from == rq)
		return t->sched.cpu == rq->cpu && t->sched.on_queue && !t->sched.rank ? t : NULL;
	if (!spin_trylock(&from->lock))
		return NULL;
	if (t->sched.cpu != from->cpu || !t->sched.on_queue || t->sched.group != g ||
	    t->sched.rank || READ_ONCE(t->sched.on_cpu)) {
		spin_unlock(&from->lock);
		return NULL;
	}
	runqueue_remove(from, t);
	t->sched.keyed_by = NULL;
	t->sched.cpu = rq->cpu;
	spin_unlock(&from->lock);
	runqueue_insert(rq, t, JOIN_NEW);
	return t;
}

/* The next choice of the ring, taken. False: there is none. */
static bool manager_next(struct sched_manager *m, u32 *tid)
{
	u32 head = READ_ONCE(m->head), tail;

	do {
		tail = __atomic_load_n(&m->page->tail, __ATOMIC_ACQUIRE);
		if (tail - head == 0 || tail - head > SCHED_CHOICES)
			return false;
		*tid = READ_ONCE(m->page->choice[head % SCHED_CHOICES]);
	} while (!__atomic_compare_exchange_n(&m->head, &head, head + 1, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	WRITE_ONCE(m->page->head, head + 1);
	return true;
}

/* There was no choice to be used: counts, and has the manager woken when R is released. */
static void manager_want(struct sched_manager *m, struct runqueue *rq)
{
	struct sched_group *g = m->group;

	if (!m->wanted_since) {
		m->wanted_since = rq->now;
		m->stalled = false;
	} else if (!m->stalled && rq->now - m->wanted_since > (ktime_t)ANSWER_BOUND) {
		m->stalled = true;
		g->manager_stalls++;
	}
	WRITE_ONCE(m->page->fallbacks, g->manager_fallbacks);
	WRITE_ONCE(m->page->stalls, g->manager_stalls);
	rq->wake_later = &m->wanted;
}

static struct task *manager_pick(struct runqueue *rq, struct sched_group *g)
{
	struct sched_manager *m = rcu_dereference(g->manager);
	u32 tid;

	for (int i = 0; m && i < LOOKS && manager_next(m, &tid); i++) {
		struct task *t = manager_claim(rq, g, tid);

		m->wanted_since = 0;
		if (t) {
			g->manager_picks++;
			WRITE_ONCE(m->page->picks, g->manager_picks);
			return t;
		}
	}
	g->manager_fallbacks++;
	if (m)
		manager_want(m, rq);
	return NULL;
}

static void manager_join(struct runqueue *rq, struct sched_queue *q, struct task *t,
			 enum sched_join how)
{
	if (how == JOIN_PREEMPTED && t->sched.slice_used < SLICE)
		return;
	t->sched.slice_used = 0;
	t->sched.key = q->sequence++;
}

static bool manager_preempts(const struct task *first, const struct task *t, ktime_t now)
{
	return t->sched.slice_used >= SLICE;
}

const struct sched_policy policy_manager = {
	.name = "manager",
	.join = manager_join,
	.preempts = manager_preempts,
	.turn = sched_turn_equal,
	.pick = manager_pick,
};

/* --- for the descriptor --- */

int sched_manager_create(struct sched_group *g, struct sched_manager **out)
{
	struct sched_manager *m = kmalloc(sizeof(*m), KM_ZERO | KM_ACCOUNT), *none = NULL;
	int err = -ENOMEM;

	if (!m)
		return err;
	m->group = g;
	waitq_init(&m->wanted);
	err = shmem_create(PAGE_SIZE, &m->mapping);
	if (err)
		goto free;
	err = mapping_get(m->mapping, 0, &m->pinned);
	if (err)
		goto put_mapping;
	m->page = page_virt(m->pinned);
	if (!__atomic_compare_exchange_n(&g->manager, &none, m, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED)) {
		err = -EBUSY;
		goto put_page;
	}
	*out = m;
	return 0;

put_page:
	page_put(m->pinned);
put_mapping:
	shmem_put(m->mapping);
free:
	kfree(m);
	return err;
}

static void manager_free(struct rcu_head *h)
{
	struct sched_manager *m = container_of(h, struct sched_manager, rcu);

	page_put(m->pinned);
	kfree(m);
}

void sched_manager_destroy(struct sched_manager *m)
{
	rcu_assign(m->group->manager, NULL);
	shmem_put(m->mapping); /* the page stays until no pick can see it */
	rcu_call(&m->rcu, manager_free);
}

void sched_manager_map(struct sched_manager *m, struct vma *v)
{
	v->ops = &shmem_vm_ops;
	v->mapping = m->mapping;
	shmem_vm_ops.open(v); /* a reference for mmap(2), as from shmem_create() */
}

u32 sched_manager_poll(struct sched_manager *m, struct poll_table *pt)
{
	poll_wait(pt, &m->wanted);
	return READ_ONCE(m->wanted_since) && READ_ONCE(m->page->tail) == READ_ONCE(m->head) ? POLLIN
											    : 0;
}
