/* SPDX-License-Identifier: MIT */
/*
 * container.h - Skerry's own system calls, as user space sees them.
 *
 * Numbers and names stand in abi/syscall.tbl. Every struct here is passed with
 * its size; the kernel accepts a shorter one (missing fields read as zero) and
 * a longer one if its tail is zero (-E2BIG otherwise), so that the structs can
 * grow at the end. All fields are naturally aligned, little-endian, and the
 * structs hold no padding that is not named.
 */
#ifndef ABI_CONTAINER_H
#define ABI_CONTAINER_H

#include <stdint.h>

#define SYS_create_container 1000
#define SYS_join_container 1001
#define SYS_leave_container 1002
#define SYS_destroy_container 1003
#define SYS_spawncont 1004
#define SYS_cfork 1005
#define SYS_cpause 1006
#define SYS_cresume 1007
#define SYS_cstop 1008
#define SYS_getcid 1009
#define SYS_cinfo 1010
#define SYS_container_notify 1011
#define SYS_container_sched 1012

#define CONTAINER_NAME_MAX 64     /* with the final NUL; [A-Za-z0-9][A-Za-z0-9_.-]* */
#define CONTAINER_HOSTNAME_MAX 65 /* with the final NUL, as in struct utsname */
#define CONTAINER_NO_LIMIT UINT64_MAX
#define CONTAINER_NO_CONSOLE (-1)

/*
 * What spawncont() makes: a container without processes, in state CREATED,
 * whose first process (born by cfork) will be its pid 1.
 */
struct container_spec {
	char name[CONTAINER_NAME_MAX];         /* "": c<ID>. Taken: -EEXIST. Malformed: -EINVAL */
	char hostname[CONTAINER_HOSTNAME_MAX]; /* "": the name */
	char reserved0[7];                     /* zero */
	uint64_t root;       /* address of a path: the directory that is / inside. -ENOENT, -ENOTDIR */
	int32_t console;     /* virtual console number, or CONTAINER_NO_CONSOLE. -EBUSY if taken */
	uint32_t flags;      /* CONTAINER_F_*; unknown bits: -EINVAL */
	uint64_t pids_max;   /* processes and threads, or CONTAINER_NO_LIMIT */
	uint64_t memory_max; /* bytes, kernel memory included, or CONTAINER_NO_LIMIT */
	uint64_t deny;       /* address of what is written to syscalls.deny, or 0. -EINVAL */
	uint64_t binds;      /* address of bind_count struct container_bind */
	uint32_t bind_count; /* at most CONTAINER_BINDS_MAX: -EINVAL */
	uint32_t id;         /* 0: the next one. Else it is one from before a boot: see below */
	uint64_t disk_max;   /* bytes of change to its files, or CONTAINER_NO_LIMIT; 0: as that */
	uint64_t inodes_max; /* files made, the same */
	uint64_t created;    /* of one from before a boot: seconds since 1970 */
	int32_t exit_status; /* the same: as wait4() reported it */
	uint32_t reserved1;  /* zero */
};
/*
 * With an id, which must be free (-EEXIST), the container is one that is there again: it begins
 * STOPPED, with its exit status; with CONTAINER_F_VIEW and CONTAINER_F_IMAGE
 * its root is no new clone but the volume "container.<ID>" of the caller's disk, which nobody may
 * have mounted (-EBUSY) and which stays when the container is destroyed. Host only: -EPERM.
 */
#define CONTAINER_STATUS_LOST 255 /* to exit with, if nobody knows how it ended */
#define CONTAINER_F_READ_ONLY 1     /* its root cannot be written to */
#define CONTAINER_F_VIEW 4 /* its root is a clone of the caller's view, as of now; root is 0. -EOPNOTSUPP */
#define CONTAINER_F_KILL_ON_LIMIT 2 /* who exceeds a limit ends the container (control file on_limit) */
/* Its root is a clone of an image: root is the image's name. Host only: -EPERM; -ENOENT, -EOPNOTSUPP. */
#define CONTAINER_F_IMAGE 8
#define CONTAINER_BINDS_MAX 32

/* A file or directory of the caller's view, on one that the container's root has. */
struct container_bind {
	uint64_t source, target; /* addresses of paths; target as seen inside */
	uint32_t flags;          /* CONTAINER_BIND_READ_ONLY */
	uint32_t reserved;       /* zero */
};
#define CONTAINER_BIND_READ_ONLY 1

enum container_state {
	CONTAINER_CREATED,  /* no process yet, or all that joined have left */
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,   /* no user instruction runs */
	CONTAINER_STOPPING, /* being killed, or pid 1 is exiting */
	CONTAINER_STOPPED,  /* pid 1 has ended; exit_status is valid; may be started again */
};

struct cinfo {
	uint64_t id, parent;
	char name[CONTAINER_NAME_MAX];
	char hostname[CONTAINER_HOSTNAME_MAX];
	char reserved0[7];
	uint32_t state;       /* enum container_state */
	int32_t exit_status;  /* of pid 1, as wait4() reports it; 0 unless STOPPED */
	int32_t console;      /* virtual console number, or CONTAINER_NO_CONSOLE */
	uint32_t reserved1;
	uint64_t pids_current, pids_max;     /* threads count, as in cgroup v2 */
	uint64_t memory_current, memory_max; /* bytes */
	uint64_t memory_peak, memory_oom_kills;
	uint64_t pids_failed;                /* forks refused because of pids_max */
	uint64_t cpu_user_usec, cpu_system_usec;
	uint64_t created_nsec, started_nsec; /* CLOCK_REALTIME; 0: not started */
	uint64_t disk_current, disk_max;     /* bytes */
	uint64_t inodes_current, inodes_max;
};

/*
 * container_notify(cid): a descriptor (closed on exec) for the manager that answers
 * the calls which the container's rules "notify" hold up. One at a time: -EBUSY.
 *
 * read() takes the next call: a struct cnotify_call and behind it copies of what its
 * arguments point to, as far as abi/syscall.tbl says so. What was copied is what an
 * allowed call works on. -EINVAL: the buffer is too small (CNOTIFY_CALL_MAX is
 * enough); 0: the container is destroyed. poll: POLLIN, POLLHUP.
 *
 * write() answers one: a struct cnotify_answer and behind it data_length bytes.
 * -ENOENT: no such call waits (its caller may have been killed); -EINVAL, -EBADF.
 * When the last copy of the descriptor is closed, and while there is none, held
 * calls answer -ENOSYS.
 */
#define CNOTIFY_DATA_MAX 65536 /* bytes copied for one call: more is -E2BIG for its caller */

struct cnotify_call {
	uint64_t id;
	uint32_t container;  /* where the caller lives: this one or one inside it */
	uint32_t pid, tid;   /* as known there */
	uint32_t number;     /* of the system call */
	uint64_t args[6];    /* as the caller gave them */
	uint32_t size;       /* of all, this struct included */
	uint32_t reserved;
	struct {
		uint32_t offset, length; /* from the start of this struct; 0, 0: no copy */
	} data[6];                       /* strings with their NUL */
};
#define CNOTIFY_CALL_MAX (sizeof(struct cnotify_call) + CNOTIFY_DATA_MAX + 64)

enum cnotify_verdict {
	CNOTIFY_ALLOW, /* the kernel executes it, with the copies */
	CNOTIFY_ERRNO, /* it answers -error */
	CNOTIFY_VALUE, /* it answers value (>= 0 or < -4095) */
	CNOTIFY_FILE,  /* it answers a new descriptor for the manager's descriptor `value` */
};
#define CNOTIFY_CLOEXEC 1 /* in flags, with CNOTIFY_FILE */

struct cnotify_answer {
	uint64_t id;
	uint32_t verdict;
	uint32_t error;       /* 1 .. 511 */
	int64_t value;
	uint32_t flags;
	uint32_t data_arg;    /* CNOTIFY_VALUE: data goes to where args[data_arg] points */
	uint32_t data_length; /* 0: none; at most CNOTIFY_DATA_MAX */
	uint32_t reserved;
};

/*
 * The page of a container's manager (container_sched): mapped shared, read and
 * written, from offset 0. The manager puts tids, as they are inside, into
 * choice[tail % SCHED_CHOICES] and then adds to tail; whenever a CPU needs
 * somebody to run in the container, the kernel takes choice[head % SCHED_CHOICES].
 * A choice that does not wait for a CPU at that moment is passed over. If none is
 * left, the kernel chooses by itself, counts it, and poll() on the descriptor says
 * POLLIN until there is one.
 */
#define SCHED_CHOICES 960

struct sched_page {
	uint32_t head; /* by the kernel, as the rest up to reserved0: for information */
	uint32_t reserved0;
	uint64_t picks, fallbacks, stalls;
	uint64_t reserved1[4];
	uint32_t tail; /* by the manager, as the rest; at most SCHED_CHOICES ahead of head */
	uint32_t reserved2[47];
	uint32_t choice[SCHED_CHOICES];
};

#endif
