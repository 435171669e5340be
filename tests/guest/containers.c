/* SPDX-License-Identifier: MIT */
/*
 * containers.c - spawncont, cfork, cstop, destroy, cinfo: life of a container, its pid 1, what is
 * isolated in it, and 1,000 of them one after the other. Containers in containers:
 * containers_nested.c.
 */
#include "cont.h"
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>

static void life(void)
{
	world();
	EQ(GETCID(), 0);
	int c = spawn();
	struct cinfo i = info_of(c);
	char name[32];
	snprintf(name, sizeof name, "c%d", c);
	STREQ(i.name, name);
	STREQ(i.hostname, name);
	EQ(i.id, c);
	EQ(i.parent, 0);
	EQ(i.state, CONTAINER_CREATED);
	EQ(i.pids_current, 0);
	EQ(i.console, CONTAINER_NO_CONSOLE);
	EQ(i.pids_max, CONTAINER_NO_LIMIT);
	EQ(i.started_nsec, 0);
	CHECK(i.created_nsec > 0);
	pid_t pid, me = getpid();
	CFORKED(pid, c)
	{
		EQ(getpid(), 1);
		EQ(getppid(), 0);
		EQ(syscall(SYS_gettid), 1);
		EQ(getpgrp(), 1);
		EQ(getsid(0), 1);
		EQ(GETCID(), c);
		struct stat st;
		ERR(stat(scratch_path, &st), ENOENT);
		OK(stat("/in", &st));
		char here[64];
		STREQ(getcwd(here, sizeof here), "/");
		WORD(0) = 1;
		AWAIT(WORD(1));
		_exit(9);
	}
	EQ(getpid(), me);
	AWAIT(WORD(0));
	i = info_of(c);
	EQ(i.state, CONTAINER_RUNNING);
	EQ(i.pids_current, 1);
	CHECK(i.memory_current > 0);
	CHECK(i.started_nsec >= i.created_nsec);
	WORD(1) = 1;
	EQ(reap(pid), 9);
	i = info_of(c);
	EQ(i.state, CONTAINER_STOPPED);
	EQ(i.exit_status, 9 << 8);
	EQ(i.pids_current, 0);
	CFORKED(pid, c) EQ(getpid(), 1); /* it may be started again */
	EQ(reap(pid), 0);
	EQ(info_of(c).exit_status, 0);
	gone(c);
	ERR(DESTROY(c), ESRCH);
	ERR(CFORK(c), ESRCH);
	ERR(CSTOP(c), ESRCH);
	ERR(CPAUSE(c), ESRCH);
	int d = spawn();
	CHECK(d != c); /* ids are not used again */
	gone(d);
}

static int try_spec(struct container_spec s)
{
	int cid = syscall(SYS_spawncont, &s, sizeof s);

	if (cid > 0)
		OK(DESTROY(cid));
	return cid;
}

static void specifications(void)
{
	world();
	put("file", "", 0644);
	struct container_spec good = spec_of("r"), s = good;
	strcpy(s.name, "tap-one.a_b");
	strcpy(s.hostname, "some.host");
	int c = OK(syscall(SYS_spawncont, &s, sizeof s));
	STREQ(info_of(c).name, "tap-one.a_b");
	STREQ(info_of(c).hostname, "some.host");
	ERR(try_spec(s), EEXIST);
	gone(c);
	CHECK(try_spec(s) > 0); /* the name is free again */
	static const char *bad[] = { ".x", "-x", "_x", "a/b", "a b", "\xff", "a\n" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		s = good;
		strcpy(s.name, bad[i]);
		ERR(try_spec(s), EINVAL);
	}
	s = good;
	memset(s.name, 'x', sizeof s.name); /* not terminated */
	ERR(try_spec(s), EINVAL);
	s = good;
	memset(s.hostname, 'x', sizeof s.hostname);
	ERR(try_spec(s), EINVAL);
	s = good;
	s.flags = 0x80000000;
	ERR(try_spec(s), EINVAL);
	s = good;
	s.reserved0[3] = 1;
	ERR(try_spec(s), EINVAL);
	s = spec_of("none");
	ERR(try_spec(s), ENOENT);
	s = spec_of("file");
	ERR(try_spec(s), ENOTDIR);
	s = spec_of("");
	ERR(try_spec(s), ENOENT);
	s = spec_of((char *)8);
	ERR(try_spec(s), EFAULT);
	s = good;
	s.pids_max = 0;
	ERR(try_spec(s), EINVAL);
	/* longer and shorter structs */
	struct {
		struct container_spec s;
		char tail[64];
	} big = { .s = good };
	c = OK(syscall(SYS_spawncont, &big, sizeof big));
	gone(c);
	big.tail[20] = 1;
	ERR(syscall(SYS_spawncont, &big, sizeof big), E2BIG);
	ERR(syscall(SYS_spawncont, &good, 100000L), E2BIG);
	char info[512];
	c = spawn();
	memset(info, 0xee, sizeof info);
	OK(syscall(SYS_cinfo, c, info, sizeof info));
	EQ(info[sizeof(struct cinfo)], 0);
	memset(info, 0xee, sizeof info);
	OK(syscall(SYS_cinfo, c, info, 8L));
	EQ(*(uint64_t *)info, c);
	EQ((unsigned char)info[8], 0xee);
	gone(c);
}

static void permission(void)
{
	pid_t pid;

	world();
	int c = spawn();
	FORKED(pid)
	{
		struct container_spec s = spec_of("r");
		become(1000, 1000);
		ERR(syscall(SYS_spawncont, &s, sizeof s), EPERM);
		ERR(CFORK(c), EPERM);
		ERR(CSTOP(c), EPERM);
		ERR(CPAUSE(c), EPERM);
		ERR(DESTROY(c), EPERM);
	}
	EQ(reap(pid), 0);
	gone(c);
}

static volatile int caught;

static void note(int s)
{
	caught = s;
}

static void orphans_go_to_pid_1(void)
{
	pid_t middle;
	int status;

	FORKED(middle)
	{
		EQ(getpid(), 2);
		EQ(getppid(), 1);
		if (fork() == 0) {
			while (getppid() != 1)
				sleep_ms(1);
			_exit(6);
		}
	}
	EQ(reap(middle), 0);
	CHECK(wait(&status) > 0);
	EQ(status, 6 << 8);
}

/* Pid 1 is not hurt by signals from inside that it does not handle. */
static void signals_from_inside(void)
{
	pid_t pid;

	FORKED(pid)
	{
		OK(kill(1, SIGTERM));
		OK(kill(1, SIGKILL));
		OK(kill(1, SIGSTOP));
	}
	EQ(reap(pid), 0);
	signal(SIGUSR1, note);
	FORKED(pid) kill(1, SIGUSR1);
	EQ(reap(pid), 0);
	EQ(caught, SIGUSR1);
}

static void first_process(void)
{
	pid_t pid;

	world();
	int c = spawn();
	CFORKED(pid, c)
	{
		orphans_go_to_pid_1();
		signals_from_inside();
		*(volatile char *)8 = 1; /* its own faults hurt it */
	}
	EQ(reap(pid), 128 + SIGSEGV);
	/* from outside SIGKILL works */
	CFORKED(pid, c)
	{
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0));
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 137);
	/* its end is the end of all inside */
	CFORKED(pid, c)
	{
		for (int i = 0; i < 10; i++)
			if (fork() == 0) {
				signal(SIGTERM, SIG_IGN);
				setsid();
				WORD(10 + i) = 1;
				idle();
			}
		for (int i = 0; i < 10; i++)
			AWAIT(WORD(10 + i));
		_exit(4);
	}
	EQ(reap(pid), 4);
	EQ(info_of(c).state, CONTAINER_STOPPED);
	EQ(info_of(c).pids_current, 0);
	gone(c);
}

static void files(void)
{
	pid_t pid;

	world();
	put("secret", "outside", 0644);
	put("r/in/f", "inside", 0644);
	OK(symlink("/in/f", "r/absolute"));
	OK(symlink("../../../../secret", "r/up"));
	OK(symlink(scratch_path, "r/tmp/world"));
	int dir = OK(open(".", O_RDONLY | O_DIRECTORY)), secret = OK(open("secret", O_RDONLY));
	int c = spawn();
	CFORKED(pid, c)
	{
		struct stat st;
		STREQ(get("/absolute"), "inside");
		STREQ(get("/../../in/f"), "inside");
		ERR(stat("/up", &st), ENOENT);
		ERR(stat("/tmp/world", &st), ENOENT);
		OK(chdir(".."));
		OK(stat("in/f", &st));
		OK(chdir("/in"));
		OK(chdir("../../../.."));
		OK(stat("in/f", &st));
		/* a directory of a mount that is not in this table leads nowhere */
		ERR(openat(dir, "secret", O_RDONLY), EXDEV);
		ERR(openat(dir, "..", O_RDONLY), EXDEV);
		ERR(fstatat(dir, "secret", &st, 0), EXDEV);
		ERR(mkdirat(dir, "x", 0700), EXDEV);
		EQ(fchdir(dir), -1);
		char text[16] = "";
		EQ(read(secret, text, 7), 7); /* an open file is a capability, like any other */
		char path[64];
		snprintf(path, sizeof path, "/proc/self/fd/%d/..", dir);
		EQ(open(path, O_RDONLY), -1);
		/* mounts made inside stay inside */
		OK(mount("none", "/tmp", "tmpfs", 0, NULL));
		put("/tmp/mine", "", 0644);
		put("/in/shared", "made inside", 0644);
		OK(mkdir("/jail", 0755));
		OK(chroot("/jail"));
		ERR(openat(dir, "secret", O_RDONLY), EXDEV);
	}
	EQ(reap(pid), 0);
	STREQ(get("r/in/shared"), "made inside"); /* the directory is used in place */
	ERR(access("r/tmp/mine", F_OK), ENOENT);
	close(dir);
	close(secret);
	gone(c);
}

static void names(void)
{
	pid_t pid;
	struct utsname before, after;

	world();
	uname(&before);
	int c = spawn(), d = spawn();
	CFORKED(pid, c)
	{
		struct utsname u;
		OK(sethostname("changed", 7));
		OK(setdomainname("dom", 3));
		uname(&u);
		STREQ(u.nodename, "changed");
		STREQ(u.domainname, "dom");
	}
	EQ(reap(pid), 0);
	STREQ(info_of(c).hostname, "changed");
	CFORKED(pid, d)
	{
		struct utsname u;
		uname(&u);
		CHECK(strcmp(u.nodename, "changed"));
	}
	EQ(reap(pid), 0);
	uname(&after);
	STREQ(after.nodename, before.nodename);
	STREQ(after.domainname, before.domainname);
	gone(c);
	gone(d);
}

/* The numbers among the names of a directory. */
static int pids_listed(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	if (!d)
		return -1;
	while ((e = readdir(d)))
		n += e->d_name[0] >= '1' && e->d_name[0] <= '9';
	closedir(d);
	return n;
}

static void processes(void)
{
	pid_t pid, bystander;
	int c, d;

	world();
	FORKED(bystander) idle();
	c = spawn();
	d = spawn();
	pid_t other;
	CFORKED(other, d) idle();
	CFORKED(pid, c)
	{
		pid_t child;
		FORKED(child)
		{
			signal(SIGTERM, SIG_DFL);
			WORD(0) = 1;
			idle();
		}
		AWAIT(WORD(0));
		EQ(child, 2);
		EQ(pids_listed("/proc"), 2);
		for (pid_t p = 3; p < 2000; p++) {
			if (kill(p, 0) == 0 || errno != ESRCH)
				FAIL("pid %d can be seen", p);
			if (getpgid(p) >= 0)
				FAIL("the group of %d can be seen", p);
		}
		OK(kill(-1, SIGTERM)); /* all, but inside only, and not oneself */
		EQ(reap(child), 128 + SIGTERM);
	}
	EQ(reap(pid), 0);
	EQ(waitpid(bystander, NULL, WNOHANG), 0);
	EQ(waitpid(other, NULL, WNOHANG), 0);
	OK(kill(bystander, SIGKILL));
	EQ(reap(bystander), 137);
	OK(CSTOP(d));
	EQ(reap(other), 137);
	/* what runs inside is not in the host's table */
	int before = pids_listed("/proc");
	CFORKED(pid, c)
	{
		for (int i = 0; i < 5; i++)
			if (fork() == 0)
				idle();
		WORD(1) = 1;
		idle();
	}
	AWAIT(WORD(1));
	int now = pids_listed("/proc");
	CHECK(now <= before + 1);
	EQ(info_of(c).pids_current, 6);
	OK(CSTOP(c));
	EQ(reap(pid), 137);
	gone(c);
	gone(d);
}

/* Abstract sockets of one container are not there for another. */
static void sockets(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0tap container" };
	socklen_t n = 2 + 1 + strlen(a.sun_path + 1);
	pid_t pid;

	world();
	int l = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	OK(bind(l, (struct sockaddr *)&a, n));
	OK(listen(l, 5));
	int c = spawn();
	CFORKED(pid, c)
	{
		int s = OK(socket(AF_UNIX, SOCK_STREAM, 0));
		ERR(connect(s, (struct sockaddr *)&a, n), ECONNREFUSED);
		OK(bind(s, (struct sockaddr *)&a, n)); /* the name is free here */
	}
	EQ(reap(pid), 0);
	close(l);
	gone(c);
}

static void stopping(void)
{
	pid_t pid;

	world();
	int c = spawn();
	CFORKED(pid, c)
	{
		for (int i = 0; i < 4; i++)
			if (fork() == 0) {
				sigset_t all;
				sigfillset(&all);
				sigprocmask(SIG_BLOCK, &all, NULL);
				if (i == 0)
					for (;;)
						;
				if (i == 1)
					raise(SIGSTOP);
				for (;;)
					pause();
			}
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0));
	OK(CSTOP(c));
	EQ(info_of(c).state, CONTAINER_STOPPED);
	EQ(info_of(c).pids_current, 0);
	EQ(reap(pid), 137);
	/* destroy does the same in one step */
	CFORKED(pid, c)
	{
		for (int i = 0; i < 20; i++)
			if (fork() == 0)
				idle();
		WORD(1) = 1;
		idle();
	}
	AWAIT(WORD(1));
	gone(c);
	EQ(reap(pid), 137);
	/* a bomb is stopped while it goes off */
	c = spawn_limited(60, CONTAINER_NO_LIMIT);
	CFORKED(pid, c)
	{
		for (;;)
			fork();
	}
	AWAIT(info_of(c).pids_failed > 0);
	gone(c);
	EQ(reap(pid), 137);
}

static void many_at_once(void)
{
	enum { N = 60 };
	int c[N];
	pid_t pid[N];

	world();
	for (int i = 0; i < N; i++) {
		c[i] = spawn();
		CFORKED(pid[i], c[i])
		{
			WORD(i) = getpid();
			idle();
		}
	}
	for (int i = 0; i < N; i++)
		AWAIT(WORD(i) == 1);
	for (int i = 0; i < N; i += 2)
		OK(CSTOP(c[i]));
	for (int i = 0; i < N; i++)
		gone(c[i]);
	for (int i = 0; i < N; i++)
		EQ(reap(pid[i]), 137);
}

static void thousand(void)
{
	pid_t pid;

	world();
	for (int i = 0; i < 1000; i++) {
		int c = spawn();
		CFORKED(pid, c) _exit(i & 0x7f);
		EQ(reap(pid), i & 0x7f);
		OK(DESTROY(c));
	}
}

/* One from before a boot: under the id that it had, stopped. */
static void again(void)
{
	world();
	int c = spawn(), id = c + 1000;
	struct container_spec s = spec_of("r");
	pid_t pid;

	s.id = id;
	s.created = 1234567890;
	s.exit_status = 7 << 8;
	EQ(OK(syscall(SYS_spawncont, &s, sizeof s)), id);
	struct cinfo i = info_of(id);
	EQ(i.state, CONTAINER_STOPPED);
	EQ(i.exit_status, 7 << 8);
	EQ(i.created_nsec, 1234567890ull * 1000000000);
	EQ(i.started_nsec, 0);
	CFORKED(pid, id) EQ(getpid(), 1);
	EQ(reap(pid), 0);
	EQ(info_of(id).exit_status, 0);
	ERR(syscall(SYS_spawncont, &s, sizeof s), EEXIST);
	int d = spawn(); /* the next ones are behind it */
	EQ(d, id + 1);
	s.id = c; /* taken */
	ERR(syscall(SYS_spawncont, &s, sizeof s), EEXIST);
	s.id = c + 1; /* free, and before those that there are */
	EQ(OK(syscall(SYS_spawncont, &s, sizeof s)), c + 1);
	strcpy(s.name, "again");
	s.id = c + 2;
	const int bad[] = { 1 << 16, -1, 65, 0x107, 0x80 };
	for (size_t k = 0; k < COUNT(bad); k++) {
		s.exit_status = bad[k];
		ERR(syscall(SYS_spawncont, &s, sizeof s), EINVAL);
	}
	s.exit_status = SIGKILL;
	EQ(OK(syscall(SYS_spawncont, &s, sizeof s)), c + 2);
	s.id = c + 3;
	ERR(syscall(SYS_spawncont, &s, sizeof s), EEXIST); /* the name */
	s.name[0] = 0;
	s.id = 1u << 31;
	ERR(syscall(SYS_spawncont, &s, sizeof s), EINVAL);
	s.id = c + 4;
	s.created = UINT64_MAX;
	ERR(syscall(SYS_spawncont, &s, sizeof s), EINVAL);
	s.created = 0;
	s.flags = CONTAINER_F_VIEW | CONTAINER_F_IMAGE;
	ERR(syscall(SYS_spawncont, &s, sizeof s), EINVAL);
	CFORKED(pid, c)
	{
		s = spec_of("/in");
		s.id = c + 5;
		ERR(syscall(SYS_spawncont, &s, sizeof s), EPERM);
	}
	EQ(reap(pid), 0);
	gone(c + 2);
	gone(c + 1);
	gone(d);
	gone(id);
	gone(c);
}

/* kill(-1): all inside but pid 1 and the sender, also more than get it under one hold of a lock. */
static void everyone(void)
{
	enum { N = 300 };
	pid_t pid;

	world();
	int c = spawn();

	CFORKED(pid, c)
	{
		pid_t killer;

		for (int i = 0; i < N; i++)
			if (OK(fork()) == 0)
				idle();
		FORKED(killer)
		{
			OK(kill(-1, SIGKILL));
		}
		EQ(reap(killer), 0);
		int n = 0, status;
		while (wait(&status) > 0)
			n += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		EQ(n, N);
		ERR(kill(-1, SIGKILL), ESRCH);
	}
	EQ(reap(pid), 0);
	gone(c);
}

static const struct tap_case cases[] = {
	T(life),	 T(again),    T(specifications), T(permission), T(first_process),
	T(files),	 T(names),    T(processes),	 T(sockets),	T(stopping),
	T(many_at_once), T(everyone), T(thousand),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
