/* SPDX-License-Identifier: MIT */
/*
 * crashdisk.h - a disk in memory that remembers what a crash could leave of it.
 *
 * Between two flushes (an epoch) writes are kept beside the stable bytes: a crash leaves any
 * subset of the sectors (512 bytes) that were written in it, in any order. crash_apply() makes
 * such a state of the stable bytes, in place, crash_undo() takes it back: so a state costs what
 * differs, not the disk. A filesystem can be mounted on the state in between (the platform
 * `state`); its writes are undone, too, and remembered by epoch, so that the recovery can crash
 * as well.
 *
 *	crash_disk_init
 *	  live filesystem on d->live ...
 *	    flush -> d->before_flush(d): for each state:
 *	      crash_choose, crash_apply, mount d->state ..., crash_undo
 */
#ifndef TESTS_COWFS_CRASHDISK_H
#define TESTS_COWFS_CRASHDISK_H

#include "cowfs/disk.h"
#include "fs/cowfs/format.h"
#include "rnd.h"

#define SECTOR	    512u
#define SECTOR_MASK 0xffu /* all eight of a block */

struct crash_write {
	u64 addr;
	u32 epoch; /* of writes of a recovery */
	u8 *data;
};
struct crash_list {
	struct crash_write *at;
	u64 count, room;
};

enum crash_fault { FAULT_READ, FAULT_WRITE, FAULT_FLUSH, FAULTS };

struct crash_disk {
	struct cow_platform live, state;
	u64 blocks;
	u8 *view;   /* what the live filesystem reads */
	u8 *stable; /* what is durable; between apply and undo, a state */
	struct crash_list pending;
	u64 hash;    /* of the stable bytes, or of the state */
	u64 *sector; /* what each sector adds to it */
	void (*before_flush)(struct crash_disk *d), (*after_flush)(struct crash_disk *d);
	struct rnd rnd;
	/* n > 0: the n-th such request of the live filesystem fails (and those after it, if
	 * `broken`) */
	u64 fail_in[FAULTS];
	bool broken;
	u64 faults; /* that happened */
	/* between apply and undo */
	struct crash_list undo;
	u32 *touched; /* for each block: the `stamp` of the state that has its old bytes in undo */
	u32 stamp;
	struct crash_list recovery; /* writes of the filesystem on `state`, oldest first */
	u32 recovery_epoch;
	bool recording;
};

void crash_disk_init(struct crash_disk *d, u64 blocks, u64 seed);
void crash_disk_free(struct crash_disk *d);
/* One subset of the sectors of the list's first n writes: a mask for each. */
void crash_choose(struct rnd *r, u64 n, u8 *mask);
void crash_apply(struct crash_disk *d, const struct crash_list *l, u64 n, const u8 *mask);
void crash_undo(struct crash_disk *d);
/* The live disk loses its pending writes but those of the mask: as after a crash. */
void crash_settle(struct crash_disk *d, const u8 *mask);
/* The live disk keeps them, in its cache: as if the machine, not the disk, had stopped. */
void crash_reset(struct crash_disk *d);
/* A state changes by hand (corruption), between apply and undo. */
void crash_poke(struct crash_disk *d, u64 addr, const void *block);
void crash_list_clear(struct crash_list *l);

#endif
