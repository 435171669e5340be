/* SPDX-License-Identifier: MIT */
/*
 * join.c - join_container and leave_container: who may, what a process is inside and after it, who
 * knows of it, and what it pays there. Its family and its end: join_ends.c.
 */
#include "join.h"
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static void there_and_back(void)
{
	char cwd[256], now[256];
	pid_t pid;

	world();
	int c = home();
	umask(027);
	FORKED(pid)
	{
		pid_t self = getpid(), parent = getppid(), group = getpgrp(), session = getsid(0);
		REQUIRE(getcwd(cwd, sizeof cwd));
		OK(JOIN(c));
		EQ(GETCID(), c);
		EQ(getpid(), 2);
		EQ(syscall(SYS_gettid), 2);
		EQ(getppid(), 0);
		EQ(getsid(0), 2);
		EQ(getpgrp(), 2);
		EQ(getuid(), 0);
		REQUIRE(getcwd(now, sizeof now));
		STREQ(now, "/");
		EQ(access("/in", F_OK), 0);
		ERR(access(cwd, F_OK), ENOENT);
		EQ(umask(027), 027);
		EQ(process_state(2), 'R');
		ERR(kill(self, 0), ESRCH);
		ERR(kill(parent, 0), ESRCH);
		EQ(kill(1, 0), 0);
		EQ(info_of(c).id, c); /* of oneself */
		ERR(JOIN(c), ESRCH);  /* only what is below */
		umask(022);
		OK(LEAVE());
		EQ(GETCID(), 0);
		EQ(getpid(), self);
		EQ(syscall(SYS_gettid), self);
		EQ(getppid(), parent);
		EQ(getpgrp(), group);
		EQ(getsid(0), session);
		REQUIRE(getcwd(now, sizeof now));
		STREQ(now, cwd);
		EQ(umask(022), 027);
		EQ(process_state(self), 'R');
		ERR(LEAVE(), EPERM);
		OK(JOIN(c));
		EQ(getpid(), 3);
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0));
	EQ(info_of(c).pids_current, 2);
	kill(pid, SIGKILL);
	EQ(reap(pid), 137);
	EQ(info_of(c).pids_current, 1);
	EQ(info_of(c).state, CONTAINER_RUNNING);
	home_gone(c);
}

static void note(int s)
{
	WORD(1) += s == SIGUSR1;
}

/* The parent, and nobody else outside, knows the one that went in. */
static void who_knows(void)
{
	char path[64];
	pid_t pid, other;

	world();
	int c = home();
	FORKED(pid)
	{
		signal(SIGUSR1, note);
		OK(JOIN(c));
		WORD(0) = 1;
		while (!WORD(2))
			sleep_ms(1);
		_exit(7);
	}
	AWAIT(WORD(0));
	FORKED(other)
	{
		EQ(getppid() > 0, 1);
		ERR(kill(pid, 0), ESRCH);
		ERR(getpgid(pid), ESRCH);
		ERR(getsid(pid), ESRCH);
		ERR(syscall(SYS_tgkill, pid, pid, SIGKILL), ESRCH);
		ERR(syscall(SYS_tkill, pid, SIGKILL), ESRCH);
		ERR(getpriority(PRIO_PROCESS, pid), ESRCH);
		ERR(syscall(SYS_sched_getscheduler, pid), ESRCH);
		ERR(prlimit(pid, RLIMIT_NOFILE, NULL, &(struct rlimit){ 0 }), ESRCH);
		ERR(waitpid(pid, NULL, WNOHANG), ECHILD);
	}
	EQ(reap(other), 0);
	snprintf(path, sizeof path, "/proc/%d", pid);
	ERR(access(path, F_OK), ENOENT); /* not even for the parent */
	EQ(kill(pid, 0), 0);
	EQ(getpgid(pid), 0); /* no group of this container */
	ERR(setpgid(pid, pid), EPERM);
	EQ(kill(-getpgrp(), 0), 0);
	OK(kill(pid, SIGUSR1));
	AWAIT(WORD(1) == 1);
	CFORKED(other, c) /* inside, everybody does */
	{
		EQ(kill(2, SIGUSR1), 0);
		EQ(access("/proc/2", F_OK), 0);
		ERR(setpgid(2, 2), ESRCH);
	}
	EQ(reap(other), 0);
	AWAIT(WORD(1) == 2);
	EQ(waitpid(pid, NULL, WNOHANG), 0);
	WORD(2) = 1;
	EQ(reap(pid), 7);
	home_gone(c);
}

/* A signal to everybody outside does not reach the one inside, and the other way round. */
static void signal_to_all(void)
{
	pid_t outer, pid;

	world();
	int c = home();
	FORKED(outer)
	{
		OK(JOIN(c));
		FORKED(pid) idle();
		WORD(0) = 1;
		EQ(kill(-1, SIGTERM), 0); /* but pid 1 and oneself */
		EQ(reap(pid), 128 + SIGTERM);
		OK(LEAVE());
	}
	EQ(reap(outer), 0);
	EQ(info_of(c).pids_current, 1);
	home_gone(c);
}

static void no_way_back(void)
{
	pid_t pid, child;

	world();
	int c = home();
	CFORKED(pid, c) ERR(LEAVE(), EPERM); /* born inside */
	EQ(reap(pid), 0);
	FORKED(pid)
	{
		OK(JOIN(c));
		FORKED(child) ERR(LEAVE(), EPERM);
		EQ(reap(child), 0);
		OK(setgid(4)); /* a change of credentials */
		ERR(LEAVE(), EPERM);
		OK(setgid(0));
		ERR(LEAVE(), EPERM);
		EQ(getpid(), 3);
		EQ(GETCID(), c);
	}
	EQ(reap(pid), 0);
	ERR(LEAVE(), EPERM); /* went nowhere */
	home_gone(c);
}

/* execve inside: this program again, as "exec_helper". */
static void executed(void)
{
	pid_t pid;

	world();
	int c = home(), fd = OK(open(tap_self, O_RDONLY));
	FORKED(pid)
	{
		OK(JOIN(c));
		char *argv[] = { "join", "exec_helper", NULL }, *envp[] = { NULL };
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
		FAIL("execveat: errno %d", errno);
	}
	EQ(reap(pid), 42);
	close(fd);
	home_gone(c);
}

static int exec_helper(void)
{
	return syscall(SYS_leave_container) == -1 && errno == EPERM && getpid() == 2 ? 42 : 43;
}

static void *sleeper(void *arg)
{
	WORD(0) = 1;
	while (!WORD(1))
		sleep_ms(1);
	return NULL;
}

static int stack_child(void *arg)
{
	return JOIN(*(int *)arg) == -1 && errno == EBUSY ? 0 : 1;
}

static void busy(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	pthread_t thread;
	pid_t pid;

	world();
	OK(mkdir("r/inner", 0755));
	int c = home();
	FORKED(pid)
	{
		REQUIRE(pthread_create(&thread, NULL, sleeper, NULL) == 0);
		AWAIT(WORD(0));
		ERR(JOIN(c), EBUSY);
		WORD(1) = 1;
		pthread_join(thread, NULL);
		WORD(0) = WORD(1) = 0;
		while (JOIN(c)) /* the thread is gone a little later */
			EQ(errno, EBUSY);
		REQUIRE(pthread_create(&thread, NULL, sleeper, NULL) == 0);
		AWAIT(WORD(0));
		ERR(LEAVE(), EBUSY);
		WORD(1) = 1;
		pthread_join(thread, NULL);
		while (LEAVE())
			EQ(errno, EBUSY);
		int child = clone(stack_child, stack + sizeof stack,
				  CLONE_VM | CLONE_VFORK | SIGCHLD, &c);
		EQ(reap(child), 0);
	}
	EQ(reap(pid), 0);
	CFORKED(pid, c)
	{
		EQ(getpid() > 1, 1);
	}
	EQ(reap(pid), 0);
	int d = spawn();
	CFORKED(pid, d) /* a pid 1 */
	{
		struct container_spec s = spec_of("/inner");
		int inner = OK(syscall(SYS_spawncont, &s, sizeof s));
		pid_t in = OK(CFORK(inner));
		if (!in)
			idle();
		ERR(JOIN(inner), EBUSY);
	}
	EQ(reap(pid), 0);
	gone(d);
	home_gone(c);
}

static void bad_ids(void)
{
	static const int bad[] = { 0, -1, INT32_MIN, INT32_MAX, 999999 };
	pid_t pid;

	world();
	int c = home(), d = spawn();
	for (size_t i = 0; i < COUNT(bad); i++)
		ERR(JOIN(bad[i]), ESRCH);
	ERR(JOIN(d), EINVAL); /* has not been started */
	OK(CPAUSE(c));
	ERR(JOIN(c), EINVAL);
	OK(CRESUME(c));
	FORKED(pid)
	{
		OK(setgid(1000));
		OK(setuid(1000));
		ERR(JOIN(c), EPERM);
	}
	EQ(reap(pid), 0);
	CFORKED(pid, c) ERR(JOIN(d), ESRCH); /* beside it */
	EQ(reap(pid), 0);
	CFORKED(pid, d) {}
	EQ(reap(pid), 0);
	ERR(JOIN(d), EINVAL); /* has ended */
	gone(d);
	ERR(JOIN(d), ESRCH);
	EQ(GETCID(), 0);
	home_gone(c);
}

static void limits(void)
{
	pid_t pid, child;

	world();
	OK(mkdir("r/inner", 0755));
	int c = home_limited(2, CONTAINER_NO_LIMIT);
	FORKED(pid)
	{
		OK(JOIN(c));
		EQ(info_of(c).pids_current, 2);
		child = fork();
		if (!child)
			_exit(0);
		EQ(child, -1);
		EQ(errno, EAGAIN);
		WORD(0) = 1;
		while (!WORD(1))
			sleep_ms(1);
		OK(LEAVE());
	}
	AWAIT(WORD(0));
	ERR(JOIN(c), EAGAIN);
	EQ(GETCID(), 0);
	EQ(info_of(c).pids_current, 2);
	WORD(1) = 1;
	EQ(reap(pid), 0);
	EQ(info_of(c).pids_current, 1);
	home_gone(c);
}

/* Down two levels and back, with the upper one full all the time. */
static void levels(void)
{
	pid_t pid, in;

	world();
	OK(mkdir("r/inner", 0755));
	int c = home_limited(3, CONTAINER_NO_LIMIT);
	FORKED(pid)
	{
		OK(JOIN(c));
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		in = OK(CFORK(d));
		if (!in)
			idle();
		EQ(info_of(c).pids_current, 3);
		OK(chdir("/tmp"));
		OK(JOIN(d));
		EQ(getpid(), 2);
		EQ(getppid(), 0);
		WORD(1) = d;
		WORD(0) = 1;
		while (WORD(0) != 2)
			sleep_ms(1);
		OK(LEAVE());
		EQ(GETCID(), c);
		EQ(getpid(), 2);
		char cwd[64];
		STREQ(getcwd(cwd, sizeof cwd), "/tmp");
		OK(LEAVE());
		EQ(GETCID(), 0);
		OK(JOIN(WORD(1))); /* two levels at once: it sees them */
		EQ(GETCID(), WORD(1));
		OK(LEAVE());
		ERR(LEAVE(), EPERM);
		EQ(GETCID(), 0);
	}
	AWAIT(WORD(0));
	EQ(info_of(c).pids_current, 3);
	EQ(info_of(WORD(1)).pids_current, 2);
	EQ(kill(pid, 0), 0); /* still by the lowest entry */
	WORD(0) = 2;
	EQ(reap(pid), 0);
	home_gone(c);
}

/* Descriptors from outside are no way to names outside. */
static void descriptors(void)
{
	pid_t pid;
	char text[16];

	world();
	int c = home();
	put("outside", "out", 0644);
	FORKED(pid)
	{
		int dir = OK(open(".", O_RDONLY | O_DIRECTORY)), path = OK(open(".", O_PATH)),
		    file = OK(open("outside", O_RDONLY));
		OK(JOIN(c));
		ERR(openat(dir, "outside", O_RDONLY), EXDEV);
		ERR(openat(path, "outside", O_RDONLY), EXDEV);
		ERR(openat(dir, "..", O_RDONLY), EXDEV);
		ERR(fchdir(dir), EXDEV);
		ERR(fchdir(path), EXDEV);
		ERR(mkdirat(dir, "new", 0755), EXDEV);
		snprintf(text, sizeof text, "/proc/self/fd/%d", dir);
		ERR(open(text, O_RDONLY), EXDEV);
		ERR(chdir(text), EXDEV);
		EQ(read(file, text, 3), 3); /* what is open is open */
		OK(LEAVE());
		close(OK(openat(dir, "outside", O_RDONLY)));
		OK(fchdir(dir));
		close(dir);
		close(path);
		close(file);
	}
	EQ(reap(pid), 0);
	home_gone(c);
}

/* Root inside cannot look into one that will take its memory outside again. */
static void visitor(void)
{
	pid_t pid, other;

	world();
	int c = home(), fd = OK(open(tap_self, O_RDONLY | O_CLOEXEC));
	FORKED(pid)
	{
		OK(JOIN(c));
		WORD(0) = 1;
		while (!WORD(1))
			sleep_ms(1);
		char *argv[] = { "join", "sleep_helper", NULL }, *envp[] = { NULL };
		syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
		FAIL("execveat: errno %d", errno);
	}
	AWAIT(WORD(0));
	CFORKED(other, c)
	{
		ERR(open("/proc/2/environ", O_RDONLY), EACCES);
		ERR(open("/proc/2/maps", O_RDONLY), EACCES);
		ERR(open("/proc/2/exe", O_RDONLY), EACCES);
		ERR(open("/proc/2/cwd", O_RDONLY), EACCES);
		ERR(open("/proc/2/fd/1", O_RDONLY), EACCES);
		WORD(1) = 1;
		AWAIT(open("/proc/2/maps", O_RDONLY) >= 0); /* it cannot go back any more */
		close(OK(open("/proc/2/environ", O_RDONLY)));
	}
	EQ(reap(other), 0);
	close(fd);
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 137);
	home_gone(c);
}

/* What it takes inside is the container's to pay. */
static void memory(void)
{
	pid_t pid;
	size_t size = 64 << 20;

	world();
	int c = home_limited(CONTAINER_NO_LIMIT, 16 << 20);
	FORKED(pid)
	{
		OK(JOIN(c));
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);
		REQUIRE(p != MAP_FAILED);
		memset(p, 1, 4 << 20);
		CHECK(info_of(c).memory_current >= 4 << 20);
		munmap(p, size);
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		WORD(0) = 1;
		memset(p, 1, size);
		WORD(0) = 2;
	}
	EQ(reap(pid), 137);
	EQ(WORD(0), 1);
	CHECK(info_of(c).memory_oom_kills >= 1);
	FORKED(pid) /* what was charged inside stays so, what comes after is the host's */
	{
		OK(JOIN(c));
		OK(LEAVE());
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);
		memset(p, 1, size);
	}
	EQ(reap(pid), 0);
	home_gone(c);
}

static const struct tap_case cases[] = {
	T(there_and_back), T(who_knows), T(signal_to_all), T(no_way_back), T(executed), T(busy),
	T(bad_ids),	   T(limits),	 T(levels),	   T(descriptors), T(visitor),	T(memory),
};

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "exec_helper"))
		return exec_helper();
	if (argc == 2 && !strcmp(argv[1], "sleep_helper"))
		idle();
	return TAP_RUN(cases, argc, argv);
}
