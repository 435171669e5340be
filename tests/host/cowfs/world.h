/* SPDX-License-Identifier: MIT */
/*
 * world.h - a filesystem on a disk that crashes, the model beside it, and what a crash may leave.
 *
 * What the disk has for sure is `durable`; what the flush under way adds is `next`. Which of them
 * there are follows from what is written: a superblock: all that the model holds now (a commit
 * seals before the operation that it makes room for); the log: what fsync was asked for; else
 * nothing new.
 */
#ifndef TESTS_COWFS_WORLD_H
#define TESTS_COWFS_WORLD_H

#include "crashdisk.h"
#include "fs/cowfs/internal.h"
#include "model.h"

/* Open addressing; never full. */
struct set {
	u64 *at;
	u64 count, room;
};
bool set_add(struct set *s, u64 key); /* was it new? */
void set_free(struct set *s);

struct totals {
	u64 records, commits;
	u64 ops, runs, flushes, states, nested, recoveries, read_errors, no_memory, no_space;
	struct set distinct; /* states of disks, by hash */
	u64 violations;
};

struct world {
	struct crash_disk disk;
	struct cow_fs *fs;
	struct model model;
	struct rnd rnd;
	struct totals *t;
	struct set seen; /* state and what it may hold: need not be checked twice */
	struct snap durable, next, now, found;
	bool next_valid;
	bool tracking;		     /* what is durable: not in mounts */
	bool check_states;	     /* at each flush */
	u64 fsync_volume, fsync_ino; /* fsync of this one is under way */
	u64 range_volume, range_ino; /* an operation that may end half way is under way */
	u64 hot_ino;		     /* the file that operations like */
	u64 seconds;		     /* the model's clock */
	u64 seed, op;		     /* for messages */
	const char *name;	     /* of the operation */
	u64 faults;		     /* 1 in so many operations meets a failure; 0: none */
	u64 crashes;		     /* 1 in so many flushes is the last one; 0: none */
	bool fault_now;		     /* this operation may fail */
	u64 fail_allocation;	     /* n > 0: the n-th one from now on, whatever the operation */
	bool verbose;
};

void world_init(struct world *w, u64 seed, struct totals *t);
void world_format(struct world *w, u64 blocks);
/* Mounts the live disk; the model is what is there. */
bool world_mount(struct world *w);
void world_unmount(struct world *w);
void world_free(struct world *w);
/* As a crash leaves it: the filesystem is gone from memory, the disk keeps a subset of what was
 * pending. */
void world_crash(struct world *w);
/* The same, without going on: what was durable can be mounted from d->state. */
void world_crash_only(struct world *w);
/* Is the live filesystem what the model says? */
bool world_compare(struct world *w);
void world_violation(struct world *w, const char *fmt, ...) __printf(2, 3);
/* A mounted filesystem after a crash: 1: durable, 2: next, 0: neither, or it is inconsistent (a
 * violation). */
int world_judge(struct world *w, struct cow_fs *fs, const char *what);

void world_judge_live(struct world *w); /* fsck of the live one */

/* ops.c: one random operation on both. */
void world_step(struct world *w);
void world_release_all(struct world *w);

#endif
