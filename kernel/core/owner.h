/* SPDX-License-Identifier: MIT */
/*
 * owner.h - who owns an object, who sees whom, and who may do what.
 *
 * Every container is an owner, in one tree. An object outside one's own subtree
 * is unnameable: lookups use sees() and answer as if it did not exist.
 */
#ifndef CORE_OWNER_H
#define CORE_OWNER_H

#include "core/account.h"

struct pid_table;
struct usermap;

struct owner {
	struct owner *parent; /* NULL: the host; constant */
	u32 depth;	      /* 0: the host; constant; at most OWNER_DEPTH_MAX */
	u32 id;		      /* the container's; constant */
	struct account *account;
	struct pid_table *pids; /* its processes (proc/process.h): whom its /proc shows; constant */
	/* Why its system calls take the long way; atomic. After a change: syscall_gate_sync(). */
	u8 slow_calls;
	bool paused; /* in its own right; WRITE_ONCE by its container */
	/* What its ids mean; NULL: what they mean in the host. Constant from its first process on.
	 */
	struct usermap *usermap;
};
#define SLOW_CALLS_TRACED   BIT(0) /* somebody records them */
#define SLOW_CALLS_FILTERED BIT(1) /* not all are allowed */
#define OWNER_DEPTH_MAX	    8

extern struct owner owner_host;

/*
 * What may outlive all processes and mounts of a container (a socket, a pty, a file that one who
 * has left still holds) counts its owner. The host's is not counted.
 */
struct owner *owner_get(struct owner *o);
void owner_put(struct owner *o);
void owner_set_hooks(void (*get)(struct owner *o), void (*put)(struct owner *o));

/* It, or one above it, is paused: nothing inside runs in user mode. O(depth). */
bool owner_is_paused(const struct owner *o);

/* a is b or an ancestor of b. O(depth). */
bool sees(const struct owner *a, const struct owner *b);

/*
 * Linux's capabilities (man 7 capabilities), by number. current's effective set
 * counts only against objects of its own owner and that owner's descendants.
 */
enum capability {
	CAP_CHOWN = 0,
	CAP_DAC_OVERRIDE = 1,
	CAP_DAC_READ_SEARCH = 2,
	CAP_FOWNER = 3,
	CAP_FSETID = 4,
	CAP_KILL = 5,
	CAP_SETGID = 6,
	CAP_SETUID = 7,
	CAP_SETPCAP = 8,
	CAP_LINUX_IMMUTABLE = 9,
	CAP_NET_BIND_SERVICE = 10,
	CAP_NET_ADMIN = 12,
	CAP_NET_RAW = 13,
	CAP_IPC_LOCK = 14,
	CAP_IPC_OWNER = 15,
	CAP_SYS_MODULE = 16,
	CAP_SYS_RAWIO = 17,
	CAP_SYS_CHROOT = 18,
	CAP_SYS_PTRACE = 19,
	CAP_SYS_PACCT = 20,
	CAP_SYS_ADMIN = 21,
	CAP_SYS_BOOT = 22,
	CAP_SYS_NICE = 23,
	CAP_SYS_RESOURCE = 24,
	CAP_SYS_TIME = 25,
	CAP_SYS_TTY_CONFIG = 26,
	CAP_MKNOD = 27,
	CAP_LEASE = 28,
	CAP_AUDIT_WRITE = 29,
	CAP_AUDIT_CONTROL = 30,
	CAP_SETFCAP = 31,
	CAP_MAC_OVERRIDE = 32,
	CAP_MAC_ADMIN = 33,
	CAP_SYSLOG = 34,
	CAP_WAKE_ALARM = 35,
	CAP_BLOCK_SUSPEND = 36,
	CAP_AUDIT_READ = 37,
	CAP_PERFMON = 38,
	CAP_BPF = 39,
	CAP_CHECKPOINT_RESTORE = 40,
	CAP_LAST = 40,
};
#define CAP_ALL ((1ull << (CAP_LAST + 1)) - 1)

/* current has capability c in its effective set and sees the object's owner. */
bool may(const struct owner *object, enum capability c);
/* Against the machine itself (clock, reboot, raw devices): only in the host. */
bool may_host(enum capability c);

#endif
