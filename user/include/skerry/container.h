/* SPDX-License-Identifier: MIT */
/*
 * container.h - Skerry's container system calls for C programs.
 *
 * Link with user/lib. Each function returns what is said beside it, or -1 with
 * errno set, as the C library's own wrappers do. The structs and their fields
 * are described in abi/container.h.
 *
 * A container that one may not see does not exist for the caller: every
 * function that takes an id then fails with ESRCH, as for an id never given.
 *
 * A program of one's own in a container, from start to end:
 *
 *	struct container_spec spec;
 *	container_spec_init(&spec, "/c1");
 *	spec.pids_max = 8;
 *	int cid = spawncont(&spec, sizeof spec);
 *	pid_t pid = cfork(cid);
 *	if (pid == 0)
 *		execl("/busybox", "busybox", "sh", NULL), _exit(127);
 *	waitpid(pid, &status, 0);
 *	destroy_container(cid);
 */
#ifndef SKERRY_CONTAINER_H
#define SKERRY_CONTAINER_H

#include <stddef.h>
#include <sys/types.h>

#include "abi/container.h"

/* No limits, no console, no name: what spawncont() is given when nothing else is said. */
void container_spec_init(struct container_spec *spec, const char *root);

/* A new container without processes whose root is `spec->root`; its id. Nothing runs yet. */
int spawncont(const struct container_spec *spec, size_t size);

/*
 * As fork(), but the child is born in container `cid`: its root as /, its
 * working directory /, a session of its own; descriptors and user are kept. The
 * first child is pid 1 inside, and its end is the end of the container; a STOPPED
 * container is started again by it. The parent gets the pid by which it waits
 * for the child and signals it. EAGAIN: the container's limit of processes.
 */
pid_t cfork(int cid);

/* No user instruction runs inside from the return of cpause() until cresume(). 0. */
int cpause(int cid);
int cresume(int cid);

/* Kill all that runs inside; 0 when the container is STOPPED. */
int cstop(int cid);

/* The id of the caller's own container: 0 for the host. Never fails. */
int getcid(void);

/* Fill *info, at most `size` bytes of it; 0. */
int cinfo(int cid, struct cinfo *info, size_t size);

/*
 * A descriptor for the manager of `cid`: from it come the system calls that rules
 * "notify" hold up, to it go the answers (abi/container.h, struct cnotify_call).
 * Closed on exec. EBUSY: there is a manager.
 */
int container_notify(int cid);

/*
 * The calls for a program that goes into a container and comes back: a new
 * container with a view of the caller's files as of now; its id.
 */
int create_container(void);

/* Move the calling, single-threaded process into `cid`; 0. */
int join_container(int cid);

/* Back to where it joined from; 0. EPERM for a process that was born inside. */
int leave_container(void);

/* Kill what runs inside, drop its view of the files, free the id; 0. */
int destroy_container(int cid);

/*
 * Schedule the processes of `cid` from outside: its sched.policy becomes `manager`. A
 * descriptor whose page (struct sched_page) is mapped MAP_SHARED; poll() says POLLIN
 * when the kernel had nobody to choose. EBUSY: it has a manager. Closing it ends that.
 */
int container_sched(int cid);

/*
 * From now on (or no more) a line "Container + ID : Scheduling process + PID" stands in the
 * kernel's log for each choice of each container that the caller sees; to be called from outside.
 * 0, or -1: EACCES or EPERM, one of them is not the caller's to manage.
 */
int scheduler_log_on(void);
int scheduler_log_off(void);

/*
 * From now on (or no more) each container_malloc() in a container that the caller sees prints a
 * line "ADDRESS -> GUEST PHYSICAL ADDRESS": the page's number is the container's own. The kernel's
 * log has "Container + ID : ADDRESS -> KERNEL ADDRESS". Results as above.
 */
int memory_log_on(void);
int memory_log_off(void);

/* Print the processes of the caller's own container: pid, state, name. 0, or -1. */
int ps(void);

/* Memory that is there (each page is written to, so it is charged now); NULL: there is no more. */
void *container_malloc(size_t size);

#endif
