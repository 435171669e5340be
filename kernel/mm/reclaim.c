/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c - when memory is short (contract: page.h).
 *
 * Allocators only fail. Whoever is at a place where no lock is held - a page
 * fault, a system call about to answer -ENOMEM - calls memory_reclaim(), which
 * tries in this order: what is merely cached (per-CPU stocks), what the shrinkers
 * give up, and at last the life of one task inside the account that is over its
 * limit; the root account stands for the machine. A limit never costs a
 * neighbour its life.
 *
 * A victim needs time to die. So after a kill, and as long as the killer says
 * that one is on its way, this waits a moment before it says "try again".
 */
#include "core/errno.h"
#include "core/task.h"
#include "core/time.h"
#include "mm/internal.h"
#include "mm/slab.h"

#define VICTIM_WAIT   (10 * NSEC_PER_MSEC)
#define HIGH_WAIT_MAX (200 * NSEC_PER_MSEC) /* once for each batch of charges beyond memory.high */
#define HIGH_RECLAIM  (100 * NSEC_PER_MSEC) /* an account is not asked to give up more often */

static spinlock_t shrinkers_lock = SPINLOCK_INIT(RANK_LRU);
static struct list shrinkers = LIST_INIT(shrinkers);
static bool (*oom_kill)(struct account *a);

static spinlock_t wait_lock = SPINLOCK_INIT(RANK_LRU);
static struct waitq never = WAITQ_INIT(never); /* sleepers here only wait for their deadline */

void shrinker_add(struct shrinker *s)
{
	spin_lock(&shrinkers_lock);
	list_append(&shrinkers, &s->node);
	spin_unlock(&shrinkers_lock);
}

void oom_set_killer(bool (*kill)(struct account *a))
{
	oom_kill = kill;
}

/* Shrinkers are never removed, so the list may be walked without the lock. */
static u64 shrink_all(struct account *a, u64 pages)
{
	struct shrinker *s;
	u64 freed = 0;

	list_for_each (s, &shrinkers, node) {
		if (freed >= pages)
			break;
		freed += s->shrink(a, pages - freed);
	}
	return freed;
}

/* The account that cannot take `bytes` more, the innermost one: what goes there helps all. */
static struct account *account_over(struct account *a, s64 bytes)
{
	for (; a; a = a->parent) {
		s64 max = READ_ONCE(a->res[RES_MEMORY].max);
		if (max != INT64_MAX && account_read(a, RES_MEMORY) + bytes > max)
			return a;
	}
	return NULL;
}

static bool machine_is_short(u64 pages)
{
	struct page_stats s;

	page_stats(&s);
	return s.free < pages + MIN(s.total / 128, 1024ul) + 64;
}

static void wait_killable(ktime_t ns)
{
	spin_lock(&wait_lock);
	(void)waitq_sleep(&never, &wait_lock, SLEEP_KILLABLE, ktime_get() + ns);
	spin_unlock(&wait_lock);
}

int memory_reclaim(struct account *a, u64 pages)
{
	s64 bytes = pages * PAGE_SIZE;

	if (kill_pending())
		return -ENOMEM;
	a = account_effective(a);
	account_drain();
	struct account *over = account_over(a, bytes);
	if (shrink_all(over ? over : &account_root, pages) >= pages)
		return 0;
	slab_drain();
	page_drain();
	if (!over && !machine_is_short(pages))
		return 0;
	if (!over)
		over = &account_root;
	else if (account_over(a, bytes) == NULL)
		return 0;
	__atomic_fetch_add(&over->oom_events, 1, __ATOMIC_RELAXED);
	if (!oom_kill || !oom_kill(over))
		return -ENOMEM;
	if (!kill_pending())
		wait_killable(VICTIM_WAIT);
	return kill_pending() ? -ENOMEM : 0;
}

/*
 * memory.high. A container that is over it gives up what it can, at most every HIGH_RECLAIM; its
 * tasks, each time that they have been charged a batch more, wait the longer the further it is
 * beyond, and so come to terms with it or slow down to next to nothing. Nobody holds a lock here.
 */
static void high_reclaim(struct account *a, s64 excess)
{
	ktime_t now = ktime_get(), last = READ_ONCE(a->high_reclaim);

	if (last && now - last < HIGH_RECLAIM)
		return;
	WRITE_ONCE(a->high_reclaim, now);
	(void)shrink_all(a, DIV_ROUND_UP(excess, PAGE_SIZE));
}

static s64 high_excess(const struct account *a)
{
	s64 high = READ_ONCE(a->memory_high);

	return high == INT64_MAX ? 0 : MAX(account_read(a, RES_MEMORY) - high, (s64)0);
}

/* An eighth beyond it is a whole HIGH_WAIT_MAX. */
static ktime_t high_wait(s64 excess, s64 high)
{
	u64 share = MAX(high >> 13, (s64)1); /* 1/1024 of that eighth */

	return MIN((u64)excess / share, 1024ul) * (HIGH_WAIT_MAX >> 10);
}

void memory_throttle(void)
{
	ktime_t longest = 0;

	task_clear_work(current, WORK_RECLAIM);
	if (kill_pending())
		return;
	for (struct account *a = current->account; a; a = a->parent) {
		s64 excess = high_excess(a);

		if (!excess)
			continue;
		__atomic_fetch_add(&a->high_events, 1, __ATOMIC_RELAXED);
		high_reclaim(a, excess);
		longest = MAX(longest, high_wait(high_excess(a), READ_ONCE(a->memory_high)));
	}
	if (longest)
		wait_killable(longest);
}
