/* SPDX-License-Identifier: MIT */
/*
 * escapes.h - attacks by root with all capabilities inside a container (doc/containers.md,
 * "Attacks").
 *
 * Each case makes the attack from inside, where it must fail, and the same one, as its control,
 * from where it is allowed, where it must succeed: a call that merely does not work passes no case.
 * What stands outside meanwhile, the canaries, must be as it was.
 *
 * Typical sequence: outside(); int c = prison(); INSIDE(c) { attack } control; untouched();
 * gone(c);
 *
 * INSIDE is a child of cfork, so it has the caller's memory and descriptors: more than anybody whom
 * ctool puts inside. What depends on having executed a program inside is done by agent(), which
 * runs this program again there.
 */
#ifndef TESTS_GUEST_ESCAPES_H
#define TESTS_GUEST_ESCAPES_H

#include "cont.h"
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#define CANARY	    "the canary is alive"
#define CANARY_PATH "out/canary"

static pid_t bystander; /* a process outside */
static struct stat canary_stat;
static struct utsname canary_names;
static char canary_mounts[16384];

/* world(), and the canaries: a file and its directory, a process, names, mounts. */
static TAP_UNUSED void outside(void)
{
	world();
	REQUIRE(mkdir("out", 0755) == 0);
	put(CANARY_PATH, CANARY, 0640);
	REQUIRE(stat(CANARY_PATH, &canary_stat) == 0);
	uname(&canary_names);
	REQUIRE(tap_slurp("/proc/self/mounts", canary_mounts, sizeof canary_mounts) > 0);
	FORKED(bystander)
	{
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a case that skips or fails leaves nobody */
		setpgid(0, 0);
		idle();
	}
	REQUIRE(bystander > 0);
}

static TAP_UNUSED int entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* The canaries are as they were; the process is ended. */
static TAP_UNUSED void untouched(void)
{
	struct utsname names;
	struct rlimit files;
	struct stat st;
	static char mounts[sizeof canary_mounts];

	STREQ(get(CANARY_PATH), CANARY);
	OK(stat(CANARY_PATH, &st));
	EQ(st.st_mode, canary_stat.st_mode);
	EQ(st.st_uid, canary_stat.st_uid);
	EQ(st.st_nlink, canary_stat.st_nlink);
	EQ(st.st_mtim.tv_nsec, canary_stat.st_mtim.tv_nsec);
	EQ(entries("out"), 3);
	uname(&names);
	EQ(memcmp(&names, &canary_names, sizeof names), 0);
	CHECK(tap_slurp("/proc/self/mounts", mounts, sizeof mounts) > 0);
	EQ(strcmp(mounts, canary_mounts), 0);
	EQ(waitpid(bystander, NULL, WNOHANG), 0);
	EQ(getpriority(PRIO_PROCESS, bystander), 0);
	OK(syscall(SYS_prlimit64, bystander, RLIMIT_NOFILE, NULL, &files));
	CHECK(files.rlim_max > 100);
	OK(kill(bystander, SIGKILL));
	EQ(reap(bystander), 128 + SIGKILL);
}

static TAP_UNUSED int prison(void)
{
	return spawn();
}

/* INSIDE(c) { attack } : as pid 1 of the container; its checks are the case's. */
#define INSIDE(c)                                                                             \
	for (pid_t inside_ = CFORK(c), once_ = 1; once_;                                      \
	     once_ = 0, inside_ < 0 ? FAIL("cfork: errno %d", errno) : inside_check(inside_)) \
		if (inside_ == 0)                                                             \
			for (;; _exit(0))

static TAP_UNUSED void inside_check(pid_t pid)
{
	EQ(reap(pid), 0);
}

/* A file that holds the canary's text can be read by this name. */
static TAP_UNUSED bool reads_canary(int dirfd, const char *name)
{
	char text[64] = "";
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	return n > 0 && !strcmp(text, CANARY);
}

/*
 * Runs this program again, from descriptor `self`, with the arguments "agent NAME ARGUMENT"; main
 * calls agent_main() first. Ends the caller.
 */
_Noreturn static TAP_UNUSED void agent(int self, const char *name, const char *argument)
{
	char *argv[] = { "agent", (char *)name, (char *)argument, NULL }, *envp[] = { NULL };

	syscall(SYS_execveat, self, "", argv, envp, AT_EMPTY_PATH);
	_exit(99);
}

struct agent {
	const char *name;
	int (*fn)(const char *argument); /* its exit status */
};

static TAP_UNUSED void agent_main(const struct agent *agents, size_t count, int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[0], "agent"))
		return;
	for (size_t i = 0; i < count; i++)
		if (!strcmp(agents[i].name, argv[1]))
			_exit(agents[i].fn(argc > 2 ? argv[2] : ""));
	_exit(98);
}

#endif
