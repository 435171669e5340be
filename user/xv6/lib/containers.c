/* SPDX-License-Identifier: MIT */
/* containers.c - Skerry's calls for xv6 programs (containers.h). */
#include <asm/unistd_64.h>

#include "abi/container.h"
#include "lib.h"

struct xv6_cinfo {
	int cid, state;
	int procs, max_procs;
	unsigned long memory, max_memory;
	unsigned long cpu_usec;
	char name[64];
};

int spawncont(char *dir, int vc, int max_procs, unsigned long max_memory)
{
	struct container_spec s;

	memset(&s, 0, sizeof s);
	s.root = (unsigned long)dir;
	s.console = vc ? vc : CONTAINER_NO_CONSOLE;
	s.pids_max = max_procs ? (unsigned)max_procs : CONTAINER_NO_LIMIT;
	s.memory_max = max_memory ? max_memory : CONTAINER_NO_LIMIT;
	return (int)CALL(SYS_spawncont, &s, sizeof s);
}

int cfork(int cid)
{
	return (int)CALL(SYS_cfork, cid);
}

int cpause(int cid)
{
	return (int)CALL(SYS_cpause, cid);
}

int cresume(int cid)
{
	return (int)CALL(SYS_cresume, cid);
}

int cstop(int cid)
{
	return (int)CALL(SYS_cstop, cid);
}

int getcid(void)
{
	return (int)CALL(SYS_getcid);
}

int create_container(void)
{
	return (int)CALL(SYS_create_container);
}

int join_container(int cid)
{
	return (int)CALL(SYS_join_container, cid);
}

int leave_container(void)
{
	return (int)CALL(SYS_leave_container);
}

int destroy_container(int cid)
{
	return (int)CALL(SYS_destroy_container, cid);
}

int cstart(char *dir, int vc, int max_procs, unsigned long max_memory, char *prog, char **argv)
{
	int cid = spawncont(dir, vc, max_procs, max_memory), pid;

	if (cid < 0)
		return -1;
	pid = cfork(cid);
	if (pid == 0) {
		exec(prog, argv);
		xv6_exit(127);
	}
	if (pid < 0) {
		destroy_container(cid);
		return -1;
	}
	return cid;
}

int cinfo(int cid, struct xv6_cinfo *out)
{
	struct cinfo info;

	if (CALL(SYS_cinfo, cid, &info, sizeof info) < 0)
		return -1;
	memset(out, 0, sizeof *out);
	out->cid = (int)info.id;
	out->state = (int)info.state;
	out->procs = (int)info.pids_current;
	out->max_procs = info.pids_max == CONTAINER_NO_LIMIT ? 0 : (int)info.pids_max;
	out->memory = info.memory_current;
	out->max_memory = info.memory_max == CONTAINER_NO_LIMIT ? 0 : info.memory_max;
	out->cpu_usec = info.cpu_user_usec + info.cpu_system_usec;
	memmove(out->name, info.name, sizeof out->name);
	return 0;
}

/* A line for each process of this container, from /sys/container/self/procs. */
int ps(void)
{
	char text[512];
	int fd = open("/sys/container/self/procs", 0), n;

	if (fd < 0)
		return -1;
	xv6_fprintf(1, "container %d: pid, name, state, user and system usec, bytes\n", getcid());
	while ((n = read(fd, text, sizeof text)) > 0)
		write(1, text, n);
	close(fd);
	return 0;
}
