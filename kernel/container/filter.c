/* SPDX-License-Identifier: MIT */
/*
 * filter.c - which system calls a container may make (container/filter.h).
 *
 * Each container has the rules that were written for it (own), and a table that
 * joins them with those of all above it (effective): per call the strictest, of
 * equals the one from above. So what is written for a container narrows it and
 * everything inside it, and nothing that is written inside widens it. Containers
 * without rules of their own share their parent's effective table.
 *
 *	entry.S: slow_calls != 0 -> syscall_slow() -> filter_call(): one look into the
 *	effective table -> the handler, an errno, the end, or notify.c
 *
 * A change makes all new tables first (which may fail) and then puts them in
 * place (which cannot); when filter_set() returns every call that begins is under
 * the new rules. Whoever looks a rule up does so under RCU.
 *
 * Not seen by a filter: what is no system call. The vDSO reads clocks without one.
 */
#include "container/container.h"
#include "container/notify.h"
#include "core/errno.h"
#include "core/trace.h"
#include "fs/pseudo.h"
#include "mm/slab.h"
#include "proc/signal.h"

static struct mutex filter_mutex = MUTEX_INIT(filter_mutex, RANK_FILTER);

/* --- tables --- */

static struct filter_table *table_get(struct filter_table *t)
{
	if (t)
		ref_get(&t->refs);
	return t;
}

static void table_free(struct rcu_head *h)
{
	kfree(container_of(h, struct filter_table, rcu));
}

void filter_table_put(struct filter_table *t)
{
	if (t && ref_put(&t->refs))
		rcu_call(&t->rcu, table_free);
}

static u16 stricter(u16 above, u16 own)
{
	u16 rule = FILTER_KIND(own) > FILTER_KIND(above) ? own : above;

	return rule | ((above | own) & FILTER_LOG);
}

/* *out: both together, counted. -ENOMEM */
static int tables_join(struct filter_table *above, struct filter_table *own,
		       struct filter_table **out)
{
	struct filter_table *t;

	if (!above || !own) {
		*out = table_get(above ? above : own);
		return 0;
	}
	t = kmalloc(sizeof(*t), KM_ACCOUNT);
	if (!t)
		return -ENOMEM;
	ref_init(&t->refs, 1);
	for (unsigned i = 0; i < SYSCALL_TABLE_SIZE; i++)
		t->rule[i] = stricter(above->rule[i], own->rule[i]);
	*out = t;
	return 0;
}

/* --- changing the rules --- */

static void set_effective(struct container *c, struct filter_table *t)
{
	__atomic_store_n(&c->filter.effective, t, __ATOMIC_RELEASE);
	if (t)
		__atomic_fetch_or(&c->owner.slow_calls, SLOW_CALLS_FILTERED, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&c->owner.slow_calls, ~SLOW_CALLS_FILTERED, __ATOMIC_RELAXED);
}

void filter_lock(void)
{
	mutex_lock(&filter_mutex);
}

void filter_unlock(void)
{
	mutex_unlock(&filter_mutex);
}

/* filter_mutex is held. */
void filter_inherit(struct container *c)
{
	set_effective(c, table_get(c->parent->filter.effective));
}

void filter_destroy(struct filter *f)
{
	filter_table_put(f->own);
	filter_table_put(f->effective);
	filter_table_put(f->pending); /* it went away in the middle of a change */
}

struct change {
	struct container *top;
	struct filter_table *own; /* top's, to be */
};
typedef int (*change_fn)(const struct change *ch, struct container *c);

static int change_prepare(const struct change *ch, struct container *c)
{
	const struct filter *above = &c->parent->filter;

	if (c == ch->top)
		return tables_join(above->effective, ch->own, &c->filter.pending);
	return tables_join(above->pending, c->filter.own, &c->filter.pending);
}

static int change_undo(const struct change *ch, struct container *c)
{
	filter_table_put(c->filter.pending);
	c->filter.pending = NULL;
	return 0;
}

static int change_commit(const struct change *ch, struct container *c)
{
	struct filter_table *old = c->filter.effective;

	set_effective(c, c->filter.pending);
	c->filter.pending = NULL;
	filter_table_put(old);
	return 0;
}

/* fn for top and all below it, parents before children. */
static int change_walk(const struct change *ch, change_fn fn)
{
	struct container *top = ch->top, *c;
	int err = fn(ch, top);

	for (u32 depth = top->owner.depth + 1; depth <= OWNER_DEPTH_MAX; depth++) {
		for (u32 id = 1; !err && container_next(&top->owner, &id, &c); id++) {
			if (c->owner.depth == depth)
				err = fn(ch, c);
			container_put(c);
		}
	}
	return err;
}

int filter_set(struct container *c, struct filter_table *t)
{
	const struct change ch = { c, t };
	struct filter_table *old;
	int err;

	mutex_lock(&filter_mutex);
	err = change_walk(&ch, change_prepare);
	change_walk(&ch, err ? change_undo : change_commit);
	old = err ? t : c->filter.own;
	if (!err)
		c->filter.own = t;
	mutex_unlock(&filter_mutex);
	filter_table_put(old);
	if (!err)
		syscall_gate_sync();
	return err;
}

/* --- the way of a call --- */

static void count(u64 *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static s64 filter_call(struct trapframe *f, unsigned index)
{
	struct container *c = current_container();
	const struct filter_table *t;
	u16 rule;

	rcu_read_lock();
	t = READ_ONCE(c->filter.effective);
	rule = t ? t->rule[index] : 0;
	rcu_read_unlock();
	if (likely(!rule))
		return syscall_run(f, index);
	trace(TRACE_DENIAL, f->orig_rax, rule);
	if (rule & FILTER_LOG)
		count(&c->filter.logs);
	switch (FILTER_KIND(rule)) {
	case FILTER_KILL:
		count(&c->filter.kills);
		event_add(c, EVENT_DENIED, current_process()->pid);
		process_exit(SIGSYS);
	case FILTER_ERRNO:
		count(&c->filter.errnos);
		return -FILTER_ERRNO_OF(rule);
	case FILTER_NOTIFY:
		count(&c->filter.notified);
		return notify_call(f, index);
	default:
		return syscall_run(f, index);
	}
}

/* --- the control files --- */

static int show(struct container *c, struct filter_table *const *which, struct text *t)
{
	struct filter_table *table;

	mutex_lock(&filter_mutex);
	table = table_get(*which);
	mutex_unlock(&filter_mutex);
	filter_print(table, t);
	filter_table_put(table);
	return 0;
}

int filter_show(void *object, struct text *t)
{
	struct container *c = object;

	return show(c, &c->filter.own, t);
}

int filter_show_effective(void *object, struct text *t)
{
	struct container *c = object;

	return show(c, &c->filter.effective, t);
}

int filter_show_events(void *object, struct text *t)
{
	const struct filter *f = &((struct container *)object)->filter;

	text_printf(t, "errno %llu\nkill %llu\nlog %llu\nnotify %llu\n",
		    (unsigned long long)READ_ONCE(f->errnos),
		    (unsigned long long)READ_ONCE(f->kills), (unsigned long long)READ_ONCE(f->logs),
		    (unsigned long long)READ_ONCE(f->notified));
	return 0;
}

int filter_store(void *object, char *s, size_t n)
{
	struct filter_table *t;
	int err = filter_parse(s, &t);

	return err ? err : filter_set(object, t);
}

void filter_init(void)
{
	syscall_set_filter(filter_call);
}
