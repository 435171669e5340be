/* SPDX-License-Identifier: MIT */
/*
 * oom.c - who ends when a container, or the machine, is out of memory.
 *
 * mm/reclaim.c asks when an account is over its limit and nothing in it can be
 * given up (for the machine: the root account). The victim is the process with
 * the largest resident set among those that live in that account's container or
 * below it, so that a limit never hurts a neighbour; of equals the youngest. It may
 * be a container's pid 1, which ends that container, but never the host's. What is in a
 * container that uses no more than its memory.min is killed only if there is nobody else:
 * what reclaim takes by other means is never a container's own.
 *
 * One at a time: as long as an earlier victim has not given its memory back,
 * nobody else is chosen - but not for ever. A victim may stand in line for a mutex
 * whose holder is in a page fault that waits, here, for the victim's memory (a pipe's
 * lock is held while user memory is copied). So one that has been dying for PATIENCE
 * does not count any more, and the next to go is who asks, if it lives where memory
 * is short: it runs, so it can die, and lets go of what it holds. So each holder of a
 * lock waits for one span of patience, whatever the number of those who wait for it.
 *
 * No process is locked while others are looked at; a victim that ends meanwhile is what
 * was wanted.
 */
#include "container/container.h"
#include "core/printk.h"
#include "core/time.h"
#include "mm/page.h"
#include "proc/signal.h"

#define PATIENCE (500 * NSEC_PER_MSEC)

struct choice {
	struct process *process; /* counted; NULL: none yet */
	u64 rss;
	bool spared;	    /* memory.min protects it */
	bool somebody_dies; /* and will soon have given its memory back */
	bool somebody_hangs;
};

static bool dies(struct process *p)
{
	bool yes;

	spin_lock(&p->signal_lock);
	yes = p->exiting || !p->signals || (p->signals->pending.set & SIGBIT(SIGKILL));
	spin_unlock(&p->signal_lock);
	return yes;
}

static void consider_dying(struct choice *best, struct process *p)
{
	ktime_t now = ktime_get(), since = READ_ONCE(p->dying_since);

	if (!since)
		WRITE_ONCE(p->dying_since, now);
	if (!since || now - since < PATIENCE)
		best->somebody_dies = true;
	else
		best->somebody_hangs = true;
}

static void prefer(struct choice *best, struct process *p, u64 rss, bool spared)
{
	if (best->process)
		process_put(best->process);
	best->process = process_get(p);
	best->rss = rss;
	best->spared = spared;
}

static void consider(struct choice *best, struct process *p, bool spared)
{
	struct process_summary s;

	if (p == host_pids->init || READ_ONCE(p->state) != PROCESS_ALIVE)
		return;
	if (dies(p)) {
		consider_dying(best, p);
		return;
	}
	process_summarise(p, &s);
	if (!best->process || best->spared > spared ||
	    (best->spared == spared && s.rss_bytes >= best->rss))
		prefer(best, p, s.rss_bytes, spared);
}

/* Who asks, if it may be chosen: not the host's pid 1 or a kernel thread, not a neighbour. */
static void consider_asker(struct choice *best, const struct account *over)
{
	struct process *p = current->process;
	struct process_summary s;

	if (!p || p == host_pids->init || dies(p) ||
	    !account_is_ancestor(over, p->pids->owner->account))
		return;
	process_summarise(p, &s);
	prefer(best, p, s.rss_bytes, false);
}

/* Does its memory.min, or that of one between it and `over`, protect it from what `over` needs? */
static bool is_spared(const struct account *a, const struct account *over)
{
	for (; a && a != over; a = a->parent) {
		s64 min = READ_ONCE(a->memory_min);

		if (min && account_read(a, RES_MEMORY) <= min)
			return true;
	}
	return false;
}

static void consider_container(struct choice *best, struct container *c, const struct account *over)
{
	bool spared = is_spared(c->owner.account, over);
	struct process *p;

	for (u32 pid = 1; !process_next_in(&c->pids, &pid, &p); pid++) {
		if (p->pids == &c->pids) /* one that has entered is considered where it lives */
			consider(best, p, spared);
		process_put(p);
	}
}

static struct choice choose(struct account *over)
{
	struct choice best = { 0 };
	struct container *c;

	if (over == &account_root)
		consider_container(&best, &host_container, over);
	for (u32 id = 1; container_next(&host_container.owner, &id, &c); id++) {
		if (account_is_ancestor(over, c->owner.account))
			consider_container(&best, c, over);
		container_put(c);
	}
	if (best.somebody_hangs)
		consider_asker(&best, over);
	return best;
}

/* As cgroup v2's memory.events: in its container and in all above. */
static void count_kill(struct account *a)
{
	for (; a; a = a->parent)
		__atomic_fetch_add(&a->oom_kills, 1, __ATOMIC_RELAXED);
}

/* The container that is over its limit of memory may have to end as a whole. */
static void limit_exceeded(struct account *over)
{
	struct container *c;

	if (over == &account_root || container_find(&host_container.owner, over->id, &c))
		return;
	event_limit(c, RES_MEMORY);
	container_put(c);
}

static bool oom_kill(struct account *over)
{
	struct choice c = choose(over);
	struct process_summary s;
	struct process *p = c.process;

	if (p && !c.somebody_dies) {
		process_summarise(p, &s);
		log_warn("out of memory in container %u: killed process %u (%s) of container %u, "
			 "%llu KiB\n",
			 over->id, p->pid, s.name, p->pids->owner->id,
			 (unsigned long long)(c.rss >> 10));
		count_kill(p->pids->owner->account);
		event_add(container_of(p->pids->owner, struct container, owner), EVENT_OOM, p->pid);
		signal_kill_process(p);
		limit_exceeded(over);
	}
	if (p)
		process_put(p);
	return p || c.somebody_dies;
}

void oom_init(void)
{
	oom_set_killer(oom_kill);
}
