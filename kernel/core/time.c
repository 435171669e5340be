/* SPDX-License-Identifier: MIT */
/*
 * time.c - wall time, and one-shot timers (core/time.h).
 *
 * Each CPU has a tree of timers ordered by expiry. Its one-shot interrupt is
 * armed for `programmed`, which is never later than the first timer; it may be
 * earlier, because disarming a timer leaves the hardware alone (a write to it
 * costs more than the rare idle interrupt). Timers with equal expiry fire in
 * the order in which they were armed.
 *
 * timer->cpu says whose tree a timer is in, or was in last; it changes only in
 * timer_arm(), under the old and then the new base's lock. While fn runs, the
 * base remembers the timer's address and does not touch the timer any more: fn
 * may free it. A timer whose fn runs does not change its base.
 *
 * Thousands may be due at the same instant. One interrupt runs RUN_MAX of them; then as much time
 * as that took is for whom it interrupted.
 */
#include "core/time.h"

#include "arch/x86/arch.h"
#include "core/rcu.h"

#define RUN_MAX 64

struct timer_base {
	spinlock_t lock;       /* B */
	struct tree tree;      /* B */
	struct timer *first;   /* B: of the tree, or NULL */
	struct timer *running; /* B: whose fn runs now */
	/* This CPU's alone: */
	ktime_t programmed; /* what the hardware is armed for, KTIME_NEVER: not; 0 before first use
			     */
	ktime_t poke;	    /* timer_poke() wants an interrupt by then; 0: not */
};

static PERCPU(struct timer_base, timer_base); /* zeroed is right: an empty tree */
static s64 wall_offset;			      /* atomic: realtime - monotonic */

s64 realtime_offset(void)
{
	return READ_ONCE(wall_offset);
}

s64 realtime_get(void)
{
	return ktime_get() + realtime_offset();
}

void realtime_set(s64 ns)
{
	WRITE_ONCE(wall_offset, ns - ktime_get());
	arch_vdso_update();
}

static inline struct timer *timer_of(struct tree_node *n)
{
	return n ? container_of(n, struct timer, node) : NULL;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	*t = (struct timer){ .fn = fn };
}

/* B held. */
static void base_insert(struct timer_base *base, struct timer *t)
{
	struct tree_node **link = &base->tree.root, *parent = NULL;
	bool first = true;

	while (*link) {
		parent = *link;
		if (t->expires < timer_of(parent)->expires) {
			link = &parent->left;
		} else {
			link = &parent->right;
			first = false;
		}
	}
	tree_insert(&base->tree, &t->node, parent, link);
	if (first)
		base->first = t;
	t->armed = true;
}

/* B held. */
static void base_remove(struct timer_base *base, struct timer *t)
{
	if (base->first == t)
		base->first = timer_of(tree_next(&t->node));
	tree_remove(&base->tree, &t->node);
	t->armed = false;
}

/* Arms this CPU's interrupt if it is not armed for `when` or earlier. */
static void base_program(struct timer_base *base, ktime_t when)
{
	if (!base->programmed)
		base->programmed = KTIME_NEVER;
	if (when >= base->programmed)
		return;
	base->programmed = when;
	arch_timer_arm(when);
}

/* The base that t belongs to, locked. */
static struct timer_base *timer_lock_base(struct timer *t)
{
	for (;;) {
		u32 cpu = READ_ONCE(t->cpu);
		struct timer_base *base = &percpu_of(timer_base, cpu);

		spin_set_rank(&base->lock, RANK_TIMER);
		spin_lock(&base->lock);
		if (likely(READ_ONCE(t->cpu) == cpu))
			return base;
		spin_unlock(&base->lock);
	}
}

void timer_arm(struct timer *t, ktime_t expires)
{
	struct timer_base *here = &percpu_this(timer_base), *base = timer_lock_base(t);

	if (t->armed)
		base_remove(base, t);
	if (base != here && base->running != t) {
		spin_unlock(&base->lock);
		base = here;
		spin_lock(&base->lock);
		WRITE_ONCE(t->cpu, this_cpu()->id);
	}
	t->expires = MAX(expires, 1);
	base_insert(base, t);
	/* Another CPU's base: it is in timer_interrupt() now and looks again before it leaves. */
	if (base == here)
		base_program(base, t->expires);
	spin_unlock(&base->lock);
}

bool timer_cancel(struct timer *t)
{
	struct timer_base *base;
	bool was_armed;

	if (!READ_ONCE(t->armed)) /* the owner armed it, or nobody did: no lock needed to know */
		return false;
	base = timer_lock_base(t);
	was_armed = t->armed;
	if (was_armed)
		base_remove(base, t);
	spin_unlock(&base->lock);
	return was_armed;
}

bool timer_cancel_sync(struct timer *t)
{
	bool was_armed = false;

	for (;;) {
		struct timer_base *base = timer_lock_base(t);
		bool running = base->running == t;

		if (t->armed) {
			base_remove(base, t);
			was_armed = true;
		}
		spin_unlock(&base->lock);
		if (!running)
			return was_armed;
		ASSERT(base != &percpu_this(timer_base)); /* fn must not wait for itself */
		cpu_spin_wait();
	}
}

/* Runs what is due, RUN_MAX at most. */
static void base_run(struct timer_base *base)
{
	ktime_t begin = ktime_get(), next, now;
	struct timer *t;

	spin_lock(&base->lock);
	for (u32 n = 0; (t = base->first) && t->expires <= (now = ktime_get()); n++) {
		if (n == RUN_MAX)
			break;
		base_remove(base, t);
		base->running = t;
		spin_unlock(&base->lock);
		t->fn(t);
		spin_lock(&base->lock);
		base->running = NULL;
	}
	next = !t ? KTIME_NEVER : t->expires > now ? t->expires : now + (now - begin);
	base_program(base, MIN(next, base->poke ? base->poke : KTIME_NEVER));
	spin_unlock(&base->lock);
}

void timer_interrupt(void)
{
	struct timer_base *base = &percpu_this(timer_base);

	this_cpu()->ticks++;
	base->programmed = KTIME_NEVER; /* it was one shot */
	rcu_quiescent();		/* an interrupt is taken only outside of read sections */
	if (base->poke && base->poke <= ktime_get()) {
		base->poke = 0;
		printk_tick();
		rcu_tick();
	}
	base_run(base);
}

void timer_poke(ktime_t when)
{
	struct timer_base *base = &percpu_this(timer_base);

	when = MAX(when, 1);
	if (!base->poke || when < base->poke)
		base->poke = when;
	base_program(base, when);
}

ktime_t timer_next_expiry(void)
{
	struct timer *first = READ_ONCE(percpu_this(timer_base).first);

	return first ? first->expires : KTIME_NEVER;
}
