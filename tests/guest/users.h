/* SPDX-License-Identifier: MIT */
/*
 * users.h - containers whose users are others outside. Their users 0 to 65535 are BASE and up.
 */
#ifndef TESTS_GUEST_USERS_H
#define TESTS_GUEST_USERS_H

#include "escapes.h"
#include <sys/socket.h>
#include <sys/un.h>

#define BASE   100000
#define MAP    "0 100000 65536\n"
#define NOBODY 65534
#define BEYOND 70000 /* no user of inside */

static TAP_UNUSED int mapped(const char *uid_map)
{
	int c = spawn();

	OK(control_set(c, "uid_map", uid_map));
	return c;
}

/* One without a map, with the directory `from` of the outside on /in. */
static TAP_UNUSED int plain_with_bind(const char *from)
{
	struct container_bind b = { (uintptr_t)from, (uintptr_t) "/in", 0, 0 };
	struct container_spec s = spec_of("r");

	s.binds = (uintptr_t)&b;
	s.bind_count = 1;
	int c = syscall(SYS_spawncont, &s, sizeof s);
	REQUIRE(c > 0);
	return c;
}

static TAP_UNUSED int mapped_with_bind(const char *from)
{
	int c = plain_with_bind(from);

	OK(control_set(c, "uid_map", MAP));
	return c;
}

/* "UID:GID" of a file. */
static TAP_UNUSED const char *owner_of(const char *path)
{
	static char text[32];
	struct stat st;

	if (lstat(path, &st))
		return "none";
	snprintf(text, sizeof text, "%u:%u", st.st_uid, st.st_gid);
	return text;
}

/* This program, which `self` is open on, as a file of its own. */
static TAP_UNUSED void copy_from(int self, const char *to, mode_t mode)
{
	char buf[65536];
	int out = OK(open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0700));

	OK(lseek(self, 0, SEEK_SET));
	for (ssize_t n; (n = read(self, buf, sizeof buf)) > 0;)
		EQ(write(out, buf, n), n);
	OK(fchmod(out, mode));
	close(out);
}

static TAP_UNUSED void copy_self(const char *to, mode_t mode)
{
	int self = OK(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));

	copy_from(self, to, mode);
	close(self);
}

/* Executes `path` as the agent `name`; ends the caller. */
_Noreturn static TAP_UNUSED void agent_at(const char *path, const char *name)
{
	char *argv[] = { "agent", (char *)name, NULL }, *envp[] = { NULL };

	execve(path, argv, envp);
	_exit(99);
}

#endif
