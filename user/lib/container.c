/* SPDX-License-Identifier: MIT */
/*
 * container.c - the wrappers of Skerry's own system calls.
 *
 * One line each; <skerry/container.h> says what they do. They go through
 * syscall(), which turns -errno into -1 and errno. cfork() is a bare system call
 * like vfork(): no atfork handlers run, so the caller is single-threaded and the
 * child execs soon.
 */
#include <skerry/container.h>

#include <string.h>
#include <unistd.h>

void container_spec_init(struct container_spec *spec, const char *root)
{
	memset(spec, 0, sizeof *spec);
	spec->root = (uintptr_t)root;
	spec->console = CONTAINER_NO_CONSOLE;
	spec->pids_max = CONTAINER_NO_LIMIT;
	spec->memory_max = CONTAINER_NO_LIMIT;
}

int spawncont(const struct container_spec *spec, size_t size)
{
	return (int)syscall(SYS_spawncont, spec, size);
}

pid_t cfork(int cid)
{
	return (pid_t)syscall(SYS_cfork, cid);
}

int cpause(int cid)
{
	return (int)syscall(SYS_cpause, cid);
}

int cresume(int cid)
{
	return (int)syscall(SYS_cresume, cid);
}

int cstop(int cid)
{
	return (int)syscall(SYS_cstop, cid);
}

int getcid(void)
{
	return (int)syscall(SYS_getcid);
}

int cinfo(int cid, struct cinfo *info, size_t size)
{
	return (int)syscall(SYS_cinfo, cid, info, size);
}

int container_notify(int cid)
{
	return (int)syscall(SYS_container_notify, cid);
}

int container_sched(int cid)
{
	return (int)syscall(SYS_container_sched, cid);
}

int create_container(void)
{
	return (int)syscall(SYS_create_container);
}

int join_container(int cid)
{
	return (int)syscall(SYS_join_container, cid);
}

int leave_container(void)
{
	return (int)syscall(SYS_leave_container);
}

int destroy_container(int cid)
{
	return (int)syscall(SYS_destroy_container, cid);
}
