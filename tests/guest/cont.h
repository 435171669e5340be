/* SPDX-License-Identifier: MIT */
/*
 * cont.h - containers for tests: calls, a root directory to put them in, a process inside.
 *
 * Typical sequence: world(); int c = spawn(.pids_max = 5); CFORKED(pid, c) { inside } ended(pid,
 * 0); gone(c). A child of cfork has the parent's memory like one of fork, so the checks of tap.h
 * work in it, and WORD() is shared with it.
 */
#ifndef TESTS_GUEST_CONT_H
#define TESTS_GUEST_CONT_H

#include "scratch.h"
#include "abi/container.h"
#include <sys/mount.h>
#include <sys/statfs.h>

#define CFORK(cid)   ((pid_t)syscall(SYS_cfork, cid))
#define CPAUSE(cid)  ((int)syscall(SYS_cpause, cid))
#define CRESUME(cid) ((int)syscall(SYS_cresume, cid))
#define CSTOP(cid)   ((int)syscall(SYS_cstop, cid))
#define DESTROY(cid) ((int)syscall(SYS_destroy_container, cid))
#define GETCID()     ((int)syscall(SYS_getcid))
#define JOIN(cid)    ((int)syscall(SYS_join_container, cid))
#define LEAVE()	     ((int)syscall(SYS_leave_container))
#define CFORKED(pid, cid)                   \
	REQUIRE(((pid) = CFORK(cid)) >= 0); \
	if ((pid) == 0)                     \
		for (;; _exit(0))

/* A scratch directory with the directory r, which will be the root of containers. */
static TAP_UNUSED void world(void)
{
	static const char *directories[] = { "r", "r/proc", "r/sys", "r/dev", "r/tmp", "r/in" };

	if (!on_skerry())
		SKIP("not on Skerry");
	scratch();
	for (size_t i = 0; i < COUNT(directories); i++)
		REQUIRE(mkdir(directories[i], 0755) == 0);
}

#define COWFS_MAGIC 0x636f7766

/* A scratch directory, and / on cowfs: what can be cloned. */
static TAP_UNUSED void on_disk(void)
{
	struct statfs st;

	if (!on_skerry())
		SKIP("not on Skerry");
	if (statfs("/", &st) || st.f_type != COWFS_MAGIC)
		SKIP("/ is not on cowfs");
	scratch();
}

static TAP_UNUSED struct container_spec spec_of(const char *root)
{
	return (struct container_spec){
		.root = (uintptr_t)root,
		.console = CONTAINER_NO_CONSOLE,
		.pids_max = CONTAINER_NO_LIMIT,
		.memory_max = CONTAINER_NO_LIMIT,
	};
}

static TAP_UNUSED int spawn_limited(uint64_t pids, uint64_t memory)
{
	struct container_spec s = spec_of("r");

	s.pids_max = pids;
	s.memory_max = memory;
	int cid = syscall(SYS_spawncont, &s, sizeof s);
	REQUIRE(cid > 0);
	return cid;
}

static TAP_UNUSED int spawn(void)
{
	return spawn_limited(CONTAINER_NO_LIMIT, CONTAINER_NO_LIMIT);
}

static TAP_UNUSED struct cinfo info_of(int cid)
{
	struct cinfo info;

	memset(&info, 0xee, sizeof info);
	OK(syscall(SYS_cinfo, cid, &info, sizeof info));
	return info;
}

static TAP_UNUSED void gone(int cid)
{
	struct cinfo info;

	OK(DESTROY(cid));
	ERR(syscall(SYS_cinfo, cid, &info, sizeof info), ESRCH);
}

/* The first line of /sys/container/CID/NAME, without its newline; NULL if there is none. */
static TAP_UNUSED char *control_get(int cid, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "/sys/container/%d/%s", cid, name);
	char *text = get(path);
	if (text)
		text[strcspn(text, "\n")] = 0;
	return text;
}

static TAP_UNUSED int control_set(int cid, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof path, "/sys/container/%d/%s", cid, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, value, strlen(value));
	int saved = errno;
	close(fd);
	errno = saved;
	return n < 0 ? -1 : 0;
}

_Noreturn static TAP_UNUSED void idle(void)
{
	for (;;)
		pause();
}

#endif
