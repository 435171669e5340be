/* SPDX-License-Identifier: MIT */
/*
 * sched_group.c - level 1 of scheduling: which container.
 *
 * Each container has a group. The members of a group are its own tasks, taken
 * together, and the groups of its child containers; they compete by virtual time:
 * CPU time, all CPUs' together, times 100 / weight (own tasks count as weight 100).
 * On each CPU the member with the least virtual time is due, down from the host's
 * group to tasks, among which the container's policy chooses. So shares are
 * weighted and hierarchical, and ten hogs in a container get what one gets.
 *
 * Per CPU a group has a node: the queue of its own waiting tasks and a tree of
 * those child nodes in which somebody waits. A node is in its parent's tree exactly
 * while it is not empty: what does not wait costs nothing, and a pick costs the
 * depth times the logarithm of those who compete.
 *
 * Virtual time is global, but a tree is ordered by what it was when the node was
 * put there. It only grows, so a key is a lower bound: who looks for the first
 * corrects the key of the one he finds, until it is right (node_first_child).
 *
 * Whoever begins to wait after a sleep is put forward to the group's clock, less a
 * bonus: it soon runs, but did not save up. The clock is the virtual time of the
 * member that is due. Where a member cannot use its share (one thread, two CPUs),
 * the others' time and so the clock go on without it, and what it lags behind is
 * bounded by LAG_MAX when it is queued next.
 *
 * Members of one group that compete on different CPUs are brought together by
 * stealing (sched_place.c), which compares the same virtual times.
 *
 * Locks: a node is its CPU's (R). vtime is changed by atomic additions.
 */
#include "proc/sched.h"

#include "core/errno.h"
#include "core/mutex.h"
#include "mm/slab.h"
#include "proc/loadavg.h"

#define LAG_MAX (200 * NSEC_PER_MSEC)

static struct sched_node host_nodes[CPU_MAX];
struct sched_group sched_host = {
	.weight = WEIGHT_DEFAULT,
	.slowness = 65536,
	.allowed = ~0ull,
	.policy = &policy_fair,
	.limit.lock = SPINLOCK_INIT(RANK_CPU_MAX),
	.nodes = host_nodes,
};

#define node_of_tree(n) container_of(n, struct sched_node, node)

/* --- queues of tasks --- */

static inline bool task_before(const struct sched_entity *a, const struct sched_entity *b)
{
	if (unlikely(a->rank != b->rank))
		return a->rank > b->rank;
	return (s64)(a->key - b->key) < 0;
}

static inline void queue_insert(struct sched_queue *q, struct task *t)
{
	struct tree_node **link = &q->tasks.root, *parent = NULL;
	bool first = true;

	ASSERT(!t->sched.on_queue);
	while (*link) {
		parent = *link;
		if (task_before(&t->sched, &task_of_node(parent)->sched)) {
			link = &parent->left;
		} else {
			link = &parent->right;
			first = false;
		}
	}
	tree_insert(&q->tasks, &t->sched.node, parent, link);
	if (first)
		q->first = &t->sched.node;
	q->count++;
	t->sched.on_queue = true;
}

static inline void queue_remove(struct sched_queue *q, struct task *t)
{
	ASSERT(t->sched.on_queue);
	if (q->first == &t->sched.node)
		q->first = q->count > 1 ? tree_next(q->first) : NULL;
	tree_remove(&q->tasks, &t->sched.node);
	q->count--;
	t->sched.on_queue = false;
}

/* --- trees of groups --- */

static void node_link(struct sched_node *parent, struct sched_node *n)
{
	struct tree_node **link = &parent->children.root, *above = NULL;
	bool first = true;

	n->key = READ_ONCE(n->group->vtime);
	while (*link) {
		above = *link;
		if ((s64)(n->key - node_of_tree(above)->key) < 0) {
			link = &above->left;
		} else {
			link = &above->right;
			first = false;
		}
	}
	tree_insert(&parent->children, &n->node, above, link);
	if (first)
		parent->first_child = &n->node;
	n->queued = true;
}

static void node_unlink(struct sched_node *parent, struct sched_node *n)
{
	if (parent->first_child == &n->node)
		parent->first_child = tree_next(&n->node);
	tree_remove(&parent->children, &n->node);
	n->queued = false;
}

static inline bool node_empty(const struct sched_node *n)
{
	return !n->queue.count && !n->first_child;
}

/* The child that is due; its key is right. There is one. */
static struct sched_node *node_first_child(struct sched_node *n)
{
	for (;;) {
		struct sched_node *child = node_of_tree(n->first_child);

		if (likely(READ_ONCE(child->group->vtime) == child->key))
			return child;
		node_unlink(n, child);
		node_link(n, child);
	}
}

/* Moves *vtime forward to `floor`; a booking in between wins, and has moved it forward, too. */
static void vtime_raise(u64 *vtime, u64 floor)
{
	u64 v = READ_ONCE(*vtime);

	if ((s64)(v - floor) < 0)
		__atomic_compare_exchange_n(vtime, &v, floor, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
}

/* The bonus in virtual time; a heavy container's is no longer in real time than others'. */
static u64 newcomer_floor(const struct sched_group *in, u32 slowness, enum sched_join how)
{
	u64 bonus = LAG_MAX;

	if (how != JOIN_PREEMPTED)
		bonus = MIN((u64)SLEEPER_BONUS, (u64)SLEEPER_BONUS * slowness >> 16);
	return READ_ONCE(in->clock) - bonus;
}

/* Somebody waits in n, in which nobody did: it and the nodes above it join theirs. */
static void node_activate(struct sched_node *n, unsigned cpu, enum sched_join how)
{
	struct sched_group *g = n->group;

	while (g->parent && !n->queued) {
		struct sched_node *parent = node_of(g->parent, cpu);
		bool was_empty = node_empty(parent);

		vtime_raise(&g->vtime, newcomer_floor(g->parent, g->slowness, how));
		node_link(parent, n);
		if (!was_empty)
			return;
		g = g->parent;
		n = parent;
	}
}

/* Nobody waits in n any more. */
static void node_deactivate(struct sched_node *n, unsigned cpu)
{
	while (n->queued && node_empty(n)) {
		struct sched_node *parent = node_of(n->group->parent, cpu);

		node_unlink(parent, n);
		n = parent;
	}
}

/* --- who waits, who is due --- */

/* Who has a rank goes by order of arrival, and keeps its place if it is only interrupted. */
static inline void queue_key(struct runqueue *rq, struct sched_queue *q, struct task *t,
			     enum sched_join how)
{
	if (unlikely(t->sched.rank)) {
		t->sched.keyed_by = NULL;
		if (how != JOIN_PREEMPTED)
			t->sched.key = q->sequence++;
		return;
	}
	q->policy->join(rq, q, t, t->sched.keyed_by == q->policy ? how : JOIN_NEW);
	t->sched.keyed_by = q->policy;
}

/* t has its key; there are containers. */
static __noinline void runqueue_insert_among(struct runqueue *rq, struct sched_queue *q,
					     struct task *t, enum sched_join how)
{
	struct sched_node *n = container_of(q, struct sched_node, queue);
	bool was_empty = node_empty(n);

	if (READ_ONCE(n->group->children) && !q->count)
		vtime_raise(&n->group->own_vtime, newcomer_floor(n->group, 65536, how));
	queue_insert(q, t);
	if (was_empty)
		node_activate(n, rq->cpu, how);
}

void runqueue_insert(struct runqueue *rq, struct task *t, enum sched_join how)
{
	struct sched_queue *q = queue_of(t, rq->cpu);

	queue_key(rq, q, t, how);
	t->sched.queued_at = rq->now;
	if (t->sched.group->parent && how != JOIN_PREEMPTED)
		t->sched.queued_at = ktime_get(); /* it counts as waiting from now on */
	rq->count++;
	if (likely(group_alone(t->sched.group)))
		queue_insert(q, t);
	else
		runqueue_insert_among(rq, q, t, how);
}

static inline void wait_ends(struct task *t, ktime_t now)
{
	if (t->sched.group->parent)
		t->sched.waited += MAX(now - t->sched.queued_at, (ktime_t)0);
}

void runqueue_remove(struct runqueue *rq, struct task *t)
{
	struct sched_queue *q = queue_of(t, rq->cpu);
	struct sched_node *n = container_of(q, struct sched_node, queue);

	wait_ends(t, ktime_get());
	queue_remove(q, t);
	rq->count--;
	if (n->queued)
		node_deactivate(n, rq->cpu);
}

/* The node whose own task is due below n; n is not empty. */
static __noinline struct sched_node *node_due_below(struct sched_node *n)
{
	while (n->first_child) {
		struct task *own = queue_first(&n->queue);
		struct sched_node *child = node_first_child(n);

		if (own && ((own->sched.rank && !n->group->parent) ||
			    (s64)(READ_ONCE(n->group->own_vtime) - child->key) <= 0))
			break;
		n = child;
	}
	return n;
}

static inline struct sched_node *node_due(struct sched_node *n)
{
	return likely(!n->first_child) ? n : node_due_below(n);
}

struct task *runqueue_first(struct runqueue *rq)
{
	return rq->count ? queue_first(&node_due(rq->root)->queue) : NULL;
}

static __noinline struct task *runqueue_take_due(struct runqueue *rq)
{
	struct sched_node *n = node_due(rq->root);
	struct task *t = queue_first(&n->queue);
	const struct sched_policy *p = n->queue.policy;

	if (unlikely(p->pick) && !t->sched.rank)
		t = p->pick(rq, n->group) ?: t;
	wait_ends(t, rq->now);
	queue_remove(&n->queue, t);
	rq->count--;
	if (n->queued)
		node_deactivate(n, rq->cpu);
	if (unlikely(p->chosen) && !t->sched.rank)
		p->chosen(&n->queue, t);
	return t;
}

struct task *runqueue_take(struct runqueue *rq)
{
	struct sched_queue *q = &rq->root->queue;
	struct task *t = queue_first(q);

	if (unlikely(!t || rq->root->first_child || q->policy != &policy_fair))
		return rq->count ? runqueue_take_due(rq) : NULL;
	queue_remove(q, t);
	rq->count--;
	return t;
}

/* --- comparing --- */

bool group_lead(const struct sched_group *a, const struct sched_group *b, s64 *lead)
{
	const struct sched_group *below_a = NULL, *below_b = NULL;

	if (a == b)
		return false;
	for (; a->depth > b->depth; a = a->parent)
		below_a = a;
	for (; b->depth > a->depth; b = b->parent)
		below_b = b;
	for (; a != b; a = a->parent, b = b->parent) {
		below_a = a;
		below_b = b;
	}
	*lead = READ_ONCE(*(below_b ? &below_b->vtime : &b->own_vtime)) -
		READ_ONCE(*(below_a ? &below_a->vtime : &a->own_vtime));
	return true;
}

/* Among all tasks of the machine: lent ones, then the host's real-time ones, then all others. */
static inline u8 machine_rank(const struct task *t)
{
	return t->sched.lent || t->sched.group == &sched_host ? t->sched.rank : 0;
}

bool sched_preempts_slow(const struct task *first, const struct task *t, ktime_t now)
{
	u8 a = machine_rank(first), b = machine_rank(t);
	s64 lead = 0;

	if (first->sched.group == t->sched.group) {
		a = first->sched.rank;
		b = t->sched.rank;
		/* SCHED_RR got a new place at the end of its slice */
		if (a == b)
			return !a || (s64)(first->sched.key - t->sched.key) < 0;
	}
	if (a != b)
		return a > b;
	group_lead(first->sched.group, t->sched.group, &lead);
	return lead > (now - t->sched.slice_start >= SLICE ? 0 : PREEMPT_GAIN);
}

/* --- booking --- */

/* g's clock follows the least of v, who runs, and who is due of g's members on this CPU. */
static void group_advance(struct sched_group *g, struct sched_node *n, u64 v)
{
	if (n->first_child && (s64)(node_of_tree(n->first_child)->key - v) < 0)
		v = node_of_tree(n->first_child)->key;
	if (n->queue.count && (s64)(READ_ONCE(g->own_vtime) - v) < 0)
		v = READ_ONCE(g->own_vtime);
	if ((s64)(v - READ_ONCE(g->clock)) > 0)
		WRITE_ONCE(g->clock, v);
}

static void usage_add(struct sched_usage *u, ktime_t span, bool system)
{
	if (system)
		u->system += span;
	else
		u->user += span;
}

void group_charge(struct task *t, unsigned cpu, ktime_t span, bool system, ktime_t now)
{
	struct sched_group *g = t->sched.group;
	struct sched_node *n = node_of(g, cpu);
	ktime_t waited = t->sched.waited;
	u64 v;

	t->sched.waited = 0;
	if (READ_ONCE(g->children)) {
		v = __atomic_add_fetch(&g->own_vtime, span, __ATOMIC_RELAXED);
		group_advance(g, n, v);
	}
	while (g->parent) {
		v = __atomic_add_fetch(&g->vtime, (u64)span * READ_ONCE(g->slowness) >> 16,
				       __ATOMIC_RELAXED);
		if (unlikely(READ_ONCE(g->limit.quota)) && sched_limit_use(&g->limit, span, now))
			task_set_work(t, WORK_THROTTLE);
		usage_add(&n->used, span, system);
		n->used.waited += waited;
		if (unlikely(now >= READ_ONCE(g->load.due)))
			loadavg_group_step(g, now);
		g = g->parent;
		n = node_of(g, cpu);
		group_advance(g, n, v);
	}
}

void group_count_switch(struct task *t, unsigned cpu, bool voluntary)
{
	for (struct sched_group *g = t->sched.group; g->parent; g = g->parent) {
		struct sched_usage *u = &node_of(g, cpu)->used;

		if (voluntary)
			u->voluntary++;
		else
			u->involuntary++;
	}
}

static bool group_within(const struct sched_group *g, const struct sched_group *top)
{
	while (g && g->depth > top->depth)
		g = g->parent;
	return g == top;
}

void sched_group_usage_on(struct sched_group *g, unsigned cpu, struct sched_usage *u)
{
	struct runqueue *rq = runqueue_of(cpu);
	struct sched_usage *n = &node_of(g, cpu)->used;
	struct task *t;

	spin_lock(&rq->lock);
	t = rq->running;
	u->user += g->parent ? n->user : rq->stats.user;
	u->system += g->parent ? n->system : rq->stats.system;
	u->voluntary += g->parent ? n->voluntary : rq->stats.voluntary;
	u->involuntary += g->parent ? n->involuntary : rq->stats.involuntary;
	u->waited += n->waited;
	if (t != cpus[cpu]->idle_task && group_within(t->sched.group, g))
		usage_add(u, MAX(ktime_get() - t->time_mark, (ktime_t)0), t->sched.in_system);
	spin_unlock(&rq->lock);
}

void sched_group_usage(struct sched_group *g, struct sched_usage *u)
{
	*u = (struct sched_usage){ 0 };
	for_each_cpu (i)
		sched_group_usage_on(g, i, u);
}

/* --- life --- */

static void node_init(struct sched_group *g, unsigned cpu)
{
	struct sched_node *n = node_of(g, cpu);

	n->group = g;
	n->queue.policy = g->policy;
}

void group_init_cpu(unsigned cpu)
{
	node_init(&sched_host, cpu);
}

int sched_group_create(struct sched_group *parent, struct sched_group **out)
{
	size_t head = ALIGN_UP(sizeof(struct sched_group), 64);
	struct sched_group *g;

	g = kmalloc(head + cpu_count * sizeof(struct sched_node), KM_ZERO | KM_ACCOUNT);
	if (!g)
		return -ENOMEM;
	g->parent = parent;
	g->depth = parent->depth + 1;
	g->weight = WEIGHT_DEFAULT;
	g->slowness = 65536;
	g->vtime = READ_ONCE(parent->clock);
	g->allowed = READ_ONCE(parent->allowed);
	g->policy = &policy_rr;
	sched_limit_init(&g->limit);
	loadavg_group_init(&g->load);
	g->nodes = (struct sched_node *)((char *)g + head);
	for_each_cpu (i)
		node_init(g, i);
	if (!__atomic_fetch_add(&parent->children, 1, __ATOMIC_SEQ_CST))
		vtime_raise(&parent->own_vtime, READ_ONCE(parent->clock));
	*out = g;
	return 0;
}

void sched_group_destroy(struct sched_group *g)
{
	for_each_cpu (i)
		BUG_IF(!node_empty(node_of(g, i)), "container %u has waiting tasks", g->id);
	BUG_IF(g->children, "container %u has %u children", g->id, g->children);
	__atomic_fetch_sub(&g->parent->children, 1, __ATOMIC_SEQ_CST);
	kfree(g);
}

void sched_group_set_weight(struct sched_group *g, u32 weight)
{
	WRITE_ONCE(g->weight, weight);
	WRITE_ONCE(g->slowness, (WEIGHT_DEFAULT << 16) / weight);
}

/* On its own: gcc 12 with KASAN's checks loses the second use of a value just loaded. */
static __noinline u64 cpus_within(u64 affinity, u64 allowed)
{
	return affinity & allowed ? affinity & allowed : allowed;
}

u64 group_allowed(const struct sched_group *g, u64 affinity)
{
	return cpus_within(affinity, READ_ONCE(g->allowed));
}

void sched_group_set_cpus(struct sched_group *g, u64 mask)
{
	WRITE_ONCE(g->cpus, mask);
	WRITE_ONCE(g->allowed, cpus_within(mask ? mask : ~0ull, g->parent->allowed));
}

/* All tasks of g on this CPU, the running one too, get keys of policy p. R. */
static void node_change_policy(struct runqueue *rq, struct sched_node *n,
			       const struct sched_policy *p)
{
	struct sched_queue *q = &n->queue;
	struct tree tasks = q->tasks;
	struct tree_node *next;

	q->policy = p;
	q->tasks.root = q->first = NULL;
	q->count = 0;
	while ((next = tree_first(&tasks))) {
		struct task *t = task_of_node(next);

		tree_remove(&tasks, next);
		t->sched.on_queue = false;
		queue_key(rq, q, t, t->sched.rank ? JOIN_PREEMPTED : JOIN_NEW);
		queue_insert(q, t);
	}
	if (rq->running->sched.group == n->group && !rq->running->sched.rank)
		queue_key(rq, q, rq->running, JOIN_NEW);
}

void sched_group_set_policy(struct sched_group *g, const struct sched_policy *p)
{
	g->policy = p;
	for_each_cpu (i) {
		struct runqueue *rq = runqueue_of(i);

		spin_lock(&rq->lock);
		node_change_policy(rq, node_of(g, i), p);
		spin_unlock(&rq->lock);
		sched_compare(i);
	}
}

void sched_group_enter(struct sched_group *g)
{
	struct runqueue *rq = runqueue_this();

	spin_lock(&rq->lock);
	sched_account(rq, current, ktime_get());
	current->sched.group = g;
	current->sched.keyed_by = NULL;
	current->sched.allowed = group_allowed(g, current->sched.affinity);
	spin_unlock(&rq->lock);
	task_set_work(current, WORK_RESCHED);
}
