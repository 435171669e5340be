/* SPDX-License-Identifier: MIT */
/*
 * block.h - block devices: requests in sectors of 512 bytes, completed in any
 * order. A request carries the account that caused it.
 */
#ifndef DEV_BLOCK_H
#define DEV_BLOCK_H

#include "core/account.h"
#include "core/wait.h"
#include "lib/types.h"

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD };

struct page;
struct task;
struct block_segment {
	struct page *page;
	u32 offset, length; /* bytes; multiples of 512 */
};

struct block_request {
	enum block_op op;
	u64 sector;
	struct block_segment *segments;
	u32 segment_count;
	struct account *account;
	int status;			       /* 0 or -EIO, -EOPNOTSUPP, once done() is called */
	void (*done)(struct block_request *r); /* interrupt context */
	void *private;
	struct list node;
};

struct block_device {
	const char *name; /* "vda" */
	u64 sectors;
	bool read_only;
	u32 number; /* its minor number; set by block_register */
	u32 segments_max;
	void (*submit)(struct block_device *d,
		       struct block_request *r); /* never fails; queues if full */
	void *private;
};

#define BLOCK_MAJOR	  254
#define BLOCK_DEVICES_MAX 26

int block_register(struct block_device *d);
struct block_device *block_find(const char *name);
struct block_device *block_by_number(u64 rdev); /* of a device node; NULL: it is none of these */
struct block_device *block_device_at(unsigned number);	       /* NULL: there are not that many */
int block_do(struct block_device *d, struct block_request *r); /* submit and wait: r->status */

/*
 * block_account.c. block_charge: a request that `a` caused (NULL: the machine itself) is submitted;
 * any lock may be held. block_dirty: current has dirtied a block of d. block_throttle: current, on
 * its way to user mode, has WORK_IO.
 */
void block_charge(struct block_device *d, enum block_op op, u64 bytes, struct account *a);
void block_dirty(struct block_device *d);
void block_throttle(void);
void block_born(struct task *t); /* not yet running; up to RANK_PROCESS_TREE */
/* Each is per second, 0: no limit. */
void block_limit_set(struct block_device *d, struct account *a, const u64 max[IO_LIMITS]);

#endif
