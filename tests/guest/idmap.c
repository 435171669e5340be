/* SPDX-License-Identifier: MIT */
/*
 * idmap.c - containers whose user and group ids are others outside (doc/containers.md, "Users"):
 * what is seen from inside, what from outside. Their files: idmap_files.c; without memory:
 * idmap_memory.c.
 */
#include "users.h"
#include "sockets.h"
#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/xattr.h>

/* --- writing maps --- */

static void good_maps(void)
{
	world();
	int c = spawn();
	STREQ(control_get(c, "uid_map"), "         0          0 4294967295");
	OK(control_set(c, "uid_map", "0 100000 1000\n1000 5000 1\n 2000\t7000  10"));
	char path[64];
	snprintf(path, sizeof path, "/sys/container/%d/uid_map", c);
	STREQ(get(path), "         0     100000       1000\n"
			 "      1000       5000          1\n"
			 "      2000       7000         10\n");
	/* the groups are the same until they are said to be others */
	STREQ(control_get(c, "gid_map"), "         0     100000       1000");
	OK(control_set(c, "gid_map", "0 200000 10\n"));
	STREQ(control_get(c, "gid_map"), "         0     200000         10");
	STREQ(control_get(c, "uid_map"), "         0     100000       1000");
	INSIDE(c)
	{
		EQ(getuid(), 0);
		EQ(getgid(), 0);
		OK(setresgid(9, 9, 9));
		ERR(setresgid(10, 10, 10), EINVAL);
		OK(setresuid(2009, 2009, 2009));
	}
	gone(c);
	/* groups alone, and as many lines as there may be */
	c = spawn();
	static char lines[4096];
	for (int i = 0; i < 340; i++)
		sprintf(lines + strlen(lines), "%d %d 1\n", i, 1000 + 2 * i);
	OK(control_set(c, "gid_map", lines));
	INSIDE(c)
	{
		OK(setresgid(339, 339, 339));
		OK(setresuid(338, 338, 338));
		EQ(getegid(), 339);
	}
	gone(c);
}

static void bad_maps(void)
{
	static const char *const bad[] = {
		"\n",
		"0",
		"0 1",
		"0 1 0",
		"0 1 -1",
		"0 1 x",
		"0 1 2 3",
		"x",
		"0 1 2\n\n5 9 1",
		"0 1 4294967296",
		"0 4294967295 1",
		"4294967295 0 1",
		"0 4294967290 6",
		"4294967290 0 10",
		"0 1000 10\n9 2000 10", /* overlap inside */
		"9 2000 10\n0 1000 10",
		"5 2000 1\n0 1000 10",
		"0 1000 10\n100 1009 10", /* overlap outside */
		"100 1009 10\n0 1000 10",
	};
	world();
	int c = spawn();
	for (size_t i = 0; i < COUNT(bad); i++) {
		ERR(control_set(c, "uid_map", bad[i]), EINVAL);
		ERR(control_set(c, "gid_map", bad[i]), EINVAL);
	}
	static char lines[8192];
	for (int i = 0; i < 341; i++)
		sprintf(lines + strlen(lines), "%d %d 1\n", i, i);
	ERR(control_set(c, "uid_map", lines), EINVAL);
	STREQ(control_get(c, "uid_map"), "         0          0 4294967295");
	OK(control_set(c, "uid_map", MAP));
	ERR(control_set(c, "uid_map", MAP), EPERM); /* once */
	INSIDE(c) {}
	ERR(control_set(c, "gid_map", MAP), EBUSY);
	gone(c);
	c = spawn();
	INSIDE(c)
	{
		ERR(open("/sys/container/self/uid_map", O_WRONLY), EPERM);
		ERR(open("/proc/self/uid_map", O_WRONLY), EACCES);
	}
	ERR(control_set(c, "uid_map", MAP), EBUSY); /* it has had a process */
	STREQ(control_get(c, "uid_map"), "         0          0 4294967295");
	gone(c);
}

/* Who may not become these users himself may not let a container be them. */
static void without_the_right(void)
{
	world();
	int c = spawn();
	pid_t pid;
	FORKED(pid)
	{
		struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
		struct __user_cap_data_struct d[2];
		OK(syscall(SYS_capget, &h, d));
		d[0].effective &= ~(1u << CAP_SETGID);
		OK(syscall(SYS_capset, &h, d));
		ERR(control_set(c, "uid_map", MAP), EPERM);
		d[0].effective |= 1u << CAP_SETGID; /* control */
		OK(syscall(SYS_capset, &h, d));
		OK(control_set(c, "uid_map", MAP));
	}
	EQ(reap(pid), 0);
	/* who has no name inside does not get there */
	FORKED(pid)
	{
		setfsuid(BEYOND);
		ERR(CFORK(c), EINVAL);
		setfsuid(0);
		setfsgid(BEYOND);
		ERR(CFORK(c), EINVAL);
	}
	EQ(reap(pid), 0);
	gone(c);
}

/* --- credentials --- */

static void status_says(const char *uids, const char *groups)
{
	char *status = get("/proc/self/status"), line[64];

	REQUIRE(status);
	snprintf(line, sizeof line, "Uid:\t%s\n", uids);
	CHECK(strstr(status, line));
	snprintf(line, sizeof line, "Groups:\t%s\n", groups);
	CHECK(strstr(status, line));
}

static void ids_inside(void)
{
	world();
	int c = mapped(MAP);
	INSIDE(c)
	{
		gid_t groups[4] = { 30, 10, 20 };
		uid_t r, e, s;
		EQ(getuid(), 0);
		EQ(geteuid(), 0);
		EQ(getgid(), 0);
		STREQ(get("/proc/self/uid_map"), "         0     100000      65536\n");
		STREQ(get("/proc/self/gid_map"), "         0     100000      65536\n");
		STREQ(get("/proc/self/setgroups"), "allow\n");
		OK(syscall(SYS_setgroups, 3, groups));
		EQ(getgroups(4, groups), 3);
		EQ(groups[0], 10);
		EQ(groups[2], 30);
		status_says("0\t0\t0\t0", "10 20 30 ");
		groups[1] = BEYOND;
		ERR(syscall(SYS_setgroups, 3, groups), EINVAL);
		/* what does not exist */
		ERR(syscall(SYS_setuid, BEYOND), EINVAL);
		ERR(syscall(SYS_setuid, BASE), EINVAL);
		ERR(syscall(SYS_setgid, BEYOND), EINVAL);
		ERR(syscall(SYS_setreuid, BEYOND, -1), EINVAL);
		ERR(syscall(SYS_setregid, -1, BEYOND), EINVAL);
		ERR(syscall(SYS_setresuid, -1, -1, BEYOND), EINVAL);
		ERR(syscall(SYS_setresgid, -1, BEYOND, -1), EINVAL);
		EQ(setfsuid(BEYOND), 0);
		EQ(setfsuid(0), 0);
		/* what does */
		EQ(setfsuid(7), 0);
		EQ(setfsuid(0), 7);
		OK(syscall(SYS_setresgid, 4, 5, 6));
		OK(syscall(SYS_setresuid, 0, 1000, 1001));
		OK(syscall(SYS_getresuid, &r, &e, &s));
		EQ(r, 0);
		EQ(e, 1000);
		EQ(s, 1001);
		OK(syscall(SYS_getresgid, &r, &e, &s));
		EQ(e, 5);
		EQ(s, 6);
		status_says("0\t1000\t1001\t1000", "10 20 30 ");
		ERR(syscall(SYS_setresuid, -1, 2000, -1), EPERM); /* no capability in force */
		OK(syscall(SYS_setresuid, -1, 0, -1));		  /* root again, and it is back */
		OK(syscall(SYS_setresuid, 2000, 2000, 2000));
		ERR(syscall(SYS_setuid, 0), EPERM);
		ERR(syscall(SYS_setgroups, 0, NULL), EPERM);
	}
	gone(c);
}

static int agent_auxv(const char *argument)
{
	return getauxval(AT_UID) == 0 && getauxval(AT_EUID) == 0 && getauxval(AT_GID) == 0 &&
			       getauxval(AT_EGID) == 0 && !getauxval(AT_SECURE) && *argument == 'x'
		       ? 0
		       : 1;
}

/* What the program that runs outside is told of one that ran inside, and what exec says. */
static void seen_outside(void)
{
	world();
	int c = mapped(MAP), self = OK(open("/proc/self/exe", O_RDONLY));
	siginfo_t info = { 0 };
	pid_t pid;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CFORKED(pid, c)
	{
		OK(syscall(SYS_setresuid, 1000, 1000, 1000));
		_exit(3);
	}
	EQ(sigwaitinfo(&set, &info), SIGCHLD);
	EQ(info.si_uid, BASE + 1000);
	OK(waitid(P_PID, pid, &info, WEXITED));
	EQ(info.si_uid, BASE + 1000);
	EQ(info.si_status, 3);
	gone(c);
	c = mapped(MAP);
	CFORKED(pid, c)
	agent(self, "auxv", "x");
	EQ(reap(pid), 0);
	gone(c);
	close(self);
}

/* --- signals and priorities --- */

static volatile int told_uid;

static void note_uid(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	told_uid = info->si_uid + 1;
}

static void await_signal(int expected)
{
	while (!told_uid)
		usleep(1000);
	EQ(told_uid - 1, expected);
	told_uid = 0;
}

static void signals(void)
{
	struct sigaction a = { .sa_sigaction = note_uid, .sa_flags = SA_SIGINFO };

	world();
	int c = mapped(MAP);
	pid_t pid, parent;
	sigaction(SIGUSR1, &a, NULL);
	FORKED(parent)
	{
		CFORKED(pid, c)
		{
			union sigval v = { .sival_int = 5 };
			pid_t child;
			OK(kill(getpid(), SIGUSR1)); /* oneself */
			await_signal(0);
			OK(sigqueue(getpid(), SIGUSR1, v));
			await_signal(0);
			FORKED(child) /* another user's signal */
			{
				OK(syscall(SYS_setresuid, 1000, 0, 0));
				OK(kill(1, SIGUSR1));
			}
			await_signal(1000);
			EQ(reap(child), 0);
			OK(syscall(SYS_setresuid, 1000, 1000, 1000));
			WORD(0) = 1;
			await_signal(NOBODY); /* one from outside */
			WORD(1) = 1;
			idle();
		}
		AWAIT(WORD(0));
		OK(kill(pid, SIGUSR1));
		AWAIT(WORD(1));
		/* outside it is BASE + 1000 who may signal it, and not 1000 */
		OK(syscall(SYS_setresuid, 1000, 1000, 0));
		ERR(kill(pid, 0), EPERM);
		ERR(kill(pid, SIGKILL), EPERM);
		OK(syscall(SYS_setresuid, 0, 0, 0));
		OK(syscall(SYS_setresuid, BASE + 1000, BASE + 1000, BASE + 1000));
		OK(kill(pid, SIGKILL));
		EQ(reap(pid), 128 + SIGKILL);
	}
	EQ(reap(parent), 0);
	gone(c);
}

static void priorities(void)
{
	world();
	int c = mapped(MAP);
	pid_t pid;
	CFORKED(pid, c)
	{
		pid_t child;
		FORKED(child)
		{
			OK(syscall(SYS_setresuid, 1000, 1000, 1000));
			WORD(0) = 1;
			AWAIT(WORD(1));
			EQ(getpriority(PRIO_PROCESS, 0), 5);
		}
		AWAIT(WORD(0));
		OK(setpriority(PRIO_USER, 1000, 5));
		EQ(getpriority(PRIO_USER, 1000), 5);
		EQ(getpriority(PRIO_USER, 0), 0);
		errno = 0;
		ERR(getpriority(PRIO_USER, BEYOND), ESRCH);
		ERR(getpriority(PRIO_USER, BASE), ESRCH);
		WORD(1) = 1;
		EQ(reap(child), 0);
	}
	EQ(reap(pid), 0);
	gone(c);
}

/* --- sockets --- */

static struct ucred peer_of(int fd)
{
	struct ucred ids = { -1, -1, -1 };
	socklen_t n = sizeof ids;

	OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ids, &n));
	return ids;
}

static void messages(void)
{
	world();
	int c = mapped(MAP), pair[2], one = 1;
	pid_t pid;
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	for (int i = 0; i < 2; i++)
		OK(setsockopt(pair[i], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
	CFORKED(pid, c)
	{
		struct ucred ids = receive_ids(pair[1]);
		EQ(ids.pid, 0);
		EQ(ids.uid, NOBODY);
		EQ(ids.gid, NOBODY);
		struct ucred mine = { getpid(), 5, 6 };
		send_ids(pair[1], &mine);
		mine = (struct ucred){ getpid(), BEYOND, 0 };
		ERR(send_with(pair[1], SCM_CREDENTIALS, &mine, sizeof mine), EINVAL);
		mine = (struct ucred){ getpid(), 0, BEYOND };
		ERR(send_with(pair[1], SCM_CREDENTIALS, &mine, sizeof mine), EINVAL);
	}
	EQ(write(pair[0], "x", 1), 1);
	struct ucred ids = receive_ids(pair[0]);
	EQ(ids.uid, BASE + 5);
	EQ(ids.gid, BASE + 6);
	EQ(reap(pid), 0);
	close(pair[0]);
	close(pair[1]);
	gone(c);
}

static void peers(void)
{
	world();
	OK(mkdir("shared", 0777));
	OK(chmod("shared", 0777));
	int c = mapped_with_bind("shared"), l = OK(socket(AF_UNIX, SOCK_STREAM, 0)), s;
	struct sockaddr_un a = { AF_UNIX, "shared/socket" };
	pid_t pid;
	OK(bind(l, (void *)&a, sizeof a));
	OK(listen(l, 1));
	CFORKED(pid, c)
	{
		struct sockaddr_un in = { AF_UNIX, "/in/socket" };
		int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
		ERR(connect(fd, (void *)&in, sizeof in), EACCES); /* host's root alone may write */
		WORD(0) = 1;
		AWAIT(WORD(1));
		OK(connect(fd, (void *)&in, sizeof in));
		EQ(peer_of(fd).uid, NOBODY);
		EQ(peer_of(fd).pid, 0);
		STREQ(owner_of("/in/socket"), "65534:65534");
	}
	AWAIT(WORD(0));
	OK(chmod("shared/socket", 0777));
	WORD(1) = 1;
	s = OK(accept(l, NULL, NULL));
	EQ(peer_of(s).uid, BASE);
	EQ(peer_of(s).gid, BASE);
	close(s);
	close(l);
	EQ(reap(pid), 0);
	gone(c);
}

/* --- containers inside --- */

static int spawn_at(const char *root)
{
	struct container_spec s = spec_of(root);

	return syscall(SYS_spawncont, &s, sizeof s);
}

static void nested(void)
{
	world();
	OK(mkdir("shared", 0777));
	int c = mapped_with_bind("shared");
	put("r/of1000", "x", 0600);
	OK(chown("r/of1000", 1000, 1000));
	OK(mkdir("r/r2", 0755));
	OK(mkdir("r/r2/proc", 0755));
	put("r/r2/f", "x", 0600);
	INSIDE(c)
	{
		int d = OK(spawn_at("/r2"));
		/* only ids that it has itself */
		ERR(control_set(d, "uid_map", "0 65536 1"), EPERM);
		ERR(control_set(d, "uid_map", "0 65000 1000"), EPERM);
		/* nor files whose owners it has not */
		ERR(control_set(d, "uid_map", "0 1000 1\n70000 1001 1"), EPERM);
		OK(control_set(d, "uid_map", "0 1000 100"));
		STREQ(control_get(d, "uid_map"), "         0       1000        100");
		pid_t inner;
		CFORKED(inner, d)
		{
			EQ(getuid(), 0);
			STREQ(get("/proc/self/uid_map"), "         0       1000        100\n");
			STREQ(owner_of("/f"), "0:0");
			put("/made", "x", 0644);
			OK(chown("/made", 5, 99));
			ERR(chown("/made", 100, -1), EINVAL);
			OK(syscall(SYS_setresuid, 7, 7, 7));
		}
		siginfo_t info = { 0 };
		OK(waitid(P_PID, inner, &info, WEXITED));
		EQ(info.si_status, 0);
		EQ(info.si_uid, 1007);
		STREQ(owner_of("/r2/made"), "5:99");
		OK(DESTROY(d));
		/* without a map: what the one around it has */
		d = OK(spawn_at("/r2"));
		CFORKED(inner, d)
		{
			STREQ(get("/proc/self/uid_map"), "         0     100000      65536\n");
			STREQ(owner_of("/f"), "0:0");
			OK(chown("/f", 1000, 0));
			ERR(chown("/f", BEYOND, 0), EINVAL);
			OK(syscall(SYS_setresuid, 7, 7, 7));
		}
		OK(waitid(P_PID, inner, &info, WEXITED));
		EQ(info.si_status, 0);
		EQ(info.si_uid, 7);
		OK(DESTROY(d));
		/* what came in by a bind mount cannot be made one's own so */
		d = OK(spawn_at("/in"));
		ERR(control_set(d, "uid_map", "0 1000 100"), EPERM);
		CFORKED(inner, d)
		STREQ(owner_of("/"), "65534:65534");
		EQ(reap(inner), 0);
		OK(DESTROY(d));
	}
	gone(c);
}

/* The map of a container in a container, from further outside. */
static void nested_from_outside(void)
{
	world();
	OK(mkdir("r/r2", 0755));
	int c = mapped(MAP);
	pid_t pid;
	CFORKED(pid, c)
	{
		int d = OK(spawn_at("/r2"));
		OK(control_set(d, "uid_map", "0 1000 100"));
		WORD(0) = d;
		AWAIT(WORD(1));
		OK(DESTROY(d));
	}
	AWAIT(WORD(0));
	STREQ(control_get(WORD(0), "uid_map"), "         0     101000        100");
	pid_t inner;
	CFORKED(inner, WORD(0))
	OK(syscall(SYS_setresuid, 7, 7, 7));
	siginfo_t info = { 0 };
	OK(waitid(P_PID, inner, &info, WEXITED));
	EQ(info.si_uid, BASE + 1007);
	WORD(1) = 1;
	EQ(reap(pid), 0);
	gone(c);
}

static void joining(void)
{
	world();
	int c = mapped(MAP);
	pid_t pid, joiner;
	CFORKED(pid, c)
	idle();
	FORKED(joiner)
	{
		gid_t groups[2] = { 5, BEYOND };
		OK(syscall(SYS_setgroups, 2, groups));
		OK(syscall(SYS_setresuid, 0, 0, 77));
		OK(JOIN(c));
		EQ(getuid(), 0);
		status_says("0\t0\t77\t0", "5 "); /* the other group does not exist here */
		put("/made", "x", 0600);
		STREQ(owner_of("/made"), "0:0");
		OK(LEAVE());
		EQ(getgroups(2, groups), 2);
		EQ(groups[1], BEYOND);
		status_says("0\t0\t77\t0", "5 70000 ");
		setfsuid(BEYOND);
		ERR(JOIN(c), EINVAL);
		setfsuid(0);
		OK(JOIN(c));
		OK(syscall(SYS_setresuid, 1000, 1000, 1000));
		ERR(LEAVE(), EPERM); /* other ids than it came with */
	}
	EQ(reap(joiner), 0);
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 128 + SIGKILL);
	gone(c);
}

/* RLIMIT_NPROC counts a user here and the same number elsewhere apart. */
static void limits_per_user(void)
{
	world();
	int c = mapped(MAP);
	INSIDE(c)
	{
		struct rlimit one = { 1, 1 };
		pid_t child, more;
		OK(setrlimit(RLIMIT_NPROC, &one));
		for (int i = 0; i < 3; i++) { /* not root's */
			FORKED(child) {}
			EQ(reap(child), 0);
		}
		FORKED(child)
		{
			become(1000, 1000);
			more = fork();
			EQ(more, -1);
			EQ(errno, EAGAIN);
			if (!more)
				_exit(0);
		}
		EQ(reap(child), 0);
	}
	gone(c);
}

static const struct agent agents[] = { { "auxv", agent_auxv } };
static const struct tap_case cases[] = {
	T(good_maps),	    T(bad_maps), T(without_the_right),	 T(ids_inside),
	T(seen_outside),    T(signals),	 T(priorities),		 T(messages),
	T(peers),	    T(nested),	 T(nested_from_outside), T(joining),
	T(limits_per_user),
};

int main(int argc, char **argv)
{
	agent_main(agents, COUNT(agents), argc, argv);
	return TAP_RUN(cases, argc, argv);
}
