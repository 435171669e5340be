/* SPDX-License-Identifier: MIT */
/*
 * lockrank.h - the order in which locks are taken: always upwards. The debug
 * kernel checks it at each acquire. Two locks of one rank may be held together
 * only through the *_nested functions, whose callers say why it is safe
 * (ancestor before descendant, lower address first).
 *
 * Sleeping locks (mutex, rwmutex) come first: a spin lock is never held while
 * one is taken.
 */
#ifndef CORE_LOCKRANK_H
#define CORE_LOCKRANK_H

enum lock_rank {
	RANK_NONE, /* not checked */
	/* sleeping */
	RANK_FILE_POS,	      /* file->pos_lock: around a whole read or write */
	RANK_CONTAINER_ADMIN, /* one container's life cycle */
	RANK_FILTER,	      /* the rules of all containers (container/filter.c) */
	RANK_EXEC,	      /* process->exec_lock: exec against ptrace-like readers */
	RANK_RENAME,	      /* superblock: renames of directories */
	RANK_MOUNT,	      /* one mount table */
	RANK_INODE,	      /* inode->lock; parent before child */
	RANK_TTY_LOCK,
	RANK_PIPE,
	RANK_SOCKET,
	RANK_ASPACE,	   /* aspace->lock (mmap) */
	RANK_COWFS_DISKS,  /* which are mounted. cowfs is below ASPACE for faults on its files */
	RANK_COWFS_COMMIT, /* from here on as in fs/cowfs/platform.h: enum cow_lock_rank */
	RANK_COWFS_SEAL,
	RANK_COWFS_VOLUME,
	RANK_COWFS_META,
	RANK_COWFS_COUNTS,
	RANK_COWFS_IO,
	RANK_FILE_LOCKS, /* flock and fcntl locks of one file */
	RANK_MUTEX_LEAF,
	/* spinning */
	RANK_SPIN,		    /* everything below here spins */
	RANK_CONTAINER = RANK_SPIN, /* container tree and state */
	RANK_PROCESS_TREE,	    /* parents, children, groups, sessions */
	RANK_JOB,		    /* one session or process group */
	RANK_TTY,
	RANK_SIGNAL, /* process->signal_lock */
	RANK_PID,
	RANK_FDTABLE,
	RANK_FUTEX,
	RANK_FILE_LOCK_WAITS, /* who waits for whose lock (fs/locks.c) */
	RANK_EVENTFD,
	RANK_NOTIFY, /* one manager's queue of held calls (container/notify.c) */
	RANK_UNIX,   /* AF_UNIX sockets, then the table of abstract names */
	RANK_UNIX_NAMES,
	RANK_UNIX_RIGHTS,    /* which sockets carry sockets (net/unix_queue.c) */
	RANK_NAMECACHE,	     /* dentry->lock: children */
	RANK_NAMECACHE_HASH, /* a bucket of names */
	RANK_NAMECACHE_LRU,
	RANK_INODE_HASH,
	RANK_SUPERBLOCK,
	RANK_MAPPING,	/* page-cache tree and its list of areas */
	RANK_PAGETABLE, /* aspace->pt_lock */
	RANK_DEVICE,
	RANK_VIRTQUEUE,
	RANK_RMAP,
	RANK_LRU,
	RANK_WORK,
	RANK_WAITQ, /* waitq->lock: wakers hold the condition's lock */
	RANK_TASK,  /* task->lock */
	RANK_TIMER,
	RANK_RUNQUEUE,
	RANK_CPU_MAX, /* a container's cpu.max */
	RANK_SLAB,
	RANK_PAGE_ALLOC,
	RANK_VSPACE, /* kernel virtual space */
	RANK_ACCOUNT,
	RANK_RCU,
	RANK_RANDOM,
	RANK_LOG, /* printk works under every lock */
	RANK_COUNT,
};

#endif
