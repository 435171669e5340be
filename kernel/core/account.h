/* SPDX-License-Identifier: MIT */
/*
 * account.h - hierarchical counters of what is used, with limits. Every
 * container has one account; container 0's is the root and has no limit. A
 * resource is charged before it is taken and uncharged after it is given back;
 * a charge counts in the account and in all its ancestors, or nowhere.
 *
 * Memory is charged in bytes through per-CPU stocks (at most 64 KiB an account
 * and CPU) that are drained before anything is refused, so the common charge
 * touches no shared line; what it is used for is counted in the same way. An account lives while anything is charged to it:
 * account_release() by its container hands what remains to the parent in one
 * step (a page's owner is then found through account_effective()).
 */
#ifndef CORE_ACCOUNT_H
#define CORE_ACCOUNT_H

#include "core/callback.h"
#include "core/rcu.h"
#include "core/ref.h"
#include "core/spinlock.h"

enum resource {
	RES_MEMORY, /* bytes: pages, slab objects, page tables, kernel stacks */
	RES_PIDS,   /* threads */
	RES_FILES,  /* open files (not their descriptors); the root does not count them */
	RES_DISK,   /* bytes on a disk: what volumes have of their own */
	RES_INODES, /* files, directories ... made in volumes */
	RES_COUNT,
};

/* What memory is used for, as far as it is told apart; in bytes, part of what is charged. */
enum memory_use {
	MEM_ANON,
	MEM_FILE,
	MEM_TABLE, /* page tables */
	MEM_STACK, /* kernel stacks */
	MEM_PAGES, /* of the kernel: vmalloc, large buffers, pipes */
	MEM_SOCK,  /* sockets, and what is in their queues */
	MEM_USES,
};

struct account_counter {
	s64 used; /* atomic; own use plus that of descendants (plus stocks) */
	s64 max;  /* INT64_MAX: no limit; WRITE_ONCE by an ancestor's owner */
	s64 peak;
	u64 failed; /* charges refused because of this limit */
};

/* A device's share of an account; dev/block_account.c tells the story. */
enum io_limit { IO_RBPS, IO_WBPS, IO_RIOPS, IO_WIOPS, IO_LIMITS };
#define IO_OPS 4 /* enum block_op */
struct account_io {
	u64 bytes[IO_OPS], ops[IO_OPS]; /* atomic: own and descendants' */
	u64 max[IO_LIMITS];		/* per second; 0: no limit; WRITE_ONCE */
	ktime_t clock[IO_LIMITS];	/* atomic: when all so far is paid */
};

struct account {
	ref_t refs;
	struct account *parent; /* NULL: the root. After release: who inherits */
	struct account_counter res[RES_COUNT];
	s64 use[MEM_USES];    /* atomic; own and descendants' (plus stocks) */
	s64 grown[RES_COUNT]; /* atomic; the part of used that account_grow added */
	s64 memory_high;      /* more than that slows down; INT64_MAX: none */
	s64 memory_min;	      /* with no more than that, others are taken from first */
	u64 high_events;
	ktime_t high_reclaim; /* when somebody last tried to get below memory_high */
	u64 oom_kills;
	u64 oom_events;	       /* the limit was reached and reclaim did not help */
	struct account_io *io; /* one for each device, NULL without any; constant */
	u32 id;		       /* for traces: the container's */
	u32 refused; /* atomic: bit per resource that account_refusal has not reported yet */
	struct task_callback refusal;
	bool released;
	struct rcu_head rcu;
};

extern struct account account_root;
extern size_t account_io_size; /* bytes of `io`: set when devices are found */

/*
 * Told of refusals, on current's way to user mode, where no lock is held; several of one
 * account may come as one. The container layer hands it over. Memory is not reported: it is
 * reclaimed first, and mm says when that does not help.
 */
extern void (*account_refusal)(struct account *by, enum resource what);

/* A new child account with no limits: -ENOMEM. */
int account_create(struct account *parent, struct account **out);
struct account *account_get(struct account *a);
void account_put(struct account *a);
void account_release(struct account *a); /* its container is gone */
/* a itself, or its nearest ancestor whose container still exists. */
struct account *account_effective(struct account *a);

/* 0, or -ENOMEM (memory) / -EDQUOT (disk, inodes) / -EAGAIN (others) with nothing charged anywhere.
 */
int charge(struct account *a, enum resource what, s64 n) __must_check;
/*
 * The same for what moves down or up the tree (not memory): `top`, an ancestor of a or a itself,
 * and all above it count it already, and go on to do so.
 */
int charge_below(struct account *a, struct account *top, enum resource what, s64 n) __must_check;
void uncharge_below(struct account *a, struct account *top, enum resource what, s64 n);
/*
 * 0 if n more would fit, else what charge() says and does (-EDQUOT for RES_DISK and RES_INODES),
 * but charges nothing. For who holds a lock until charge_force, and knows only then how much.
 */
int charge_check(struct account *a, enum resource what, s64 n) __must_check;
/*
 * What somebody in `a` adds to, or takes from, things that belong to `top`, an ancestor of a, and
 * count there (files in a directory of the host). All below top count how much those inside have
 * added, net, but never less than nothing: who deletes what was there before gains nothing. It
 * stays with the ancestors when a is released. RES_DISK and RES_INODES only.
 */
int account_grow_check(struct account *a, struct account *top, enum resource what,
		       s64 n) __must_check;
void account_grow(struct account *a, struct account *top, enum resource what, s64 n);
/* Charges even beyond the limit: for the few places that cannot fail. */
void charge_force(struct account *a, enum resource what, s64 n);
void uncharge(struct account *a, enum resource what, s64 n);
s64 account_read(const struct account *a, enum resource what); /* drained, exact when quiet */
/*
 * Bytes that are charged to a are used for this from now on, or (n < 0), before they are uncharged,
 * no more. As cheap as a charge.
 */
void account_use(struct account *a, enum memory_use use, s64 n);
void account_read_uses(const struct account *a, s64 uses[MEM_USES]); /* exact when quiet */
/* The lowest limit of a and its ancestors, minus its use: what a could still take. */
s64 account_available(const struct account *a, enum resource what);
/* The lowest limit of a and its ancestors; INT64_MAX: none has one. */
s64 account_limit(const struct account *a, enum resource what);
void account_set_max(struct account *a, enum resource what, s64 max);
/* True if b is a or one of its descendants. */
bool account_is_ancestor(const struct account *a, const struct account *b);
void account_drain(void); /* all CPUs' stocks (leak checks, reading exactly) */

#endif
