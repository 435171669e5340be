/* SPDX-License-Identifier: MIT */
/*
 * containers.h - Skerry's calls for xv6 programs: those of the project xv6C and of the
 * course assignment. Negative results mean failure. <skerry/container.h> is the whole
 * interface, for programs with a C library.
 */
#ifndef XV6_CONTAINERS_H
#define XV6_CONTAINERS_H

enum { CREATED, RUNNING, PAUSED, STOPPING, STOPPED }; /* cinfo.state */

struct cinfo {
	int cid, state;
	int procs, max_procs;	   /* 0: no limit */
	uint64 memory, max_memory; /* bytes; 0: no limit */
	uint64 cpu_usec;
	char name[64];
};

/* A container rooted at dir on console vc (0: none), with limits (0: none): its id. */
int spawncont(char *dir, int vc, int max_procs, uint64 max_memory);
/* The same, with prog started in it; the caller need not wait for it. */
int cstart(char *dir, int vc, int max_procs, uint64 max_memory, char *prog, char **argv);
int cfork(int cid); /* as fork(), the child is born in cid */
int cpause(int cid);
int cresume(int cid);
int cstop(int cid);
int cinfo(int cid, struct cinfo *info);
int getcid(void);

int create_container(void);
int join_container(int cid);
int leave_container(void);
int destroy_container(int cid);
int ps(void);		    /* prints the processes of one's own container */
int scheduler_log_on(void); /* for all containers inside one's own, as memory_log_on() */
int scheduler_log_off(void);
int memory_log_on(void);
int memory_log_off(void);
void *container_malloc(uint size);

#endif
