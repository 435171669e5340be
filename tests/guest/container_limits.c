/* SPDX-License-Identifier: MIT */
/*
 * container_limits.c - pids.max, memory.max, pause and resume, the control files, and the calls
 * create_container, join_container, leave_container.
 */
#include "cont.h"
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void process_limit(void)
{
	pid_t pid, child;

	world();
	int c = spawn_limited(5, CONTAINER_NO_LIMIT);
	CFORKED(pid, c)
	{
		int n = 0;
		while (n < 20 && (child = fork()) > 0)
			n++;
		if (child == 0)
			idle();
		EQ(errno, EAGAIN);
		EQ(n, 4);
		kill(-1, SIGKILL);
		while (wait(NULL) > 0)
			;
		/* threads count */
		pthread_t t;
		for (n = 0; n < 20 && pthread_create(&t, NULL, sleeper, NULL) == 0; n++)
			;
		EQ(n, 4);
		WORD(0) = 1;
		AWAIT(WORD(1));
	}
	AWAIT(WORD(0));
	struct cinfo i = info_of(c);
	EQ(i.pids_current, 5);
	EQ(i.pids_max, 5);
	CHECK(i.pids_failed >= 2);
	ERR(CFORK(c), EAGAIN);
	WORD(1) = 1;
	EQ(reap(pid), 0);
	/* the host is not bound by it */
	for (int n = 0; n < 10; n++) {
		FORKED(child) _exit(0);
		EQ(reap(child), 0);
	}
	gone(c);
}

static long touch(size_t bytes)
{
	char *m = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < bytes; i += 4096)
		m[i] = 1;
	return 0;
}

static void memory_limit(void)
{
	pid_t pid, child, outside;

	world();
	int c = spawn_limited(CONTAINER_NO_LIMIT, 16 << 20);
	FORKED(outside)
	{
		touch(8 << 20);
		idle();
	}
	CFORKED(pid, c)
	{
		OK(touch(4 << 20)); /* stays in this process */
		FORKED(child) touch(2 << 20);
		EQ(reap(child), 0); /* and comes back with the child */
		for (int i = 0; i < 5; i++) {
			FORKED(child) touch(64 << 20);
			EQ(reap(child), 137); /* the largest is killed, not pid 1 */
		}
		WORD(0) = 1;
		AWAIT(WORD(1));
	}
	AWAIT(WORD(0));
	struct cinfo i = info_of(c);
	CHECK(i.memory_current >= 4 << 20);
	CHECK(i.memory_current <= 16 << 20);
	CHECK(i.memory_peak > 8 << 20 && i.memory_peak <= 16 << 20);
	CHECK(i.memory_oom_kills >= 5);
	EQ(waitpid(outside, NULL, WNOHANG), 0);
	WORD(1) = 1;
	EQ(reap(pid), 0);
	kill(outside, SIGKILL);
	reap(outside);
	EQ(info_of(c).memory_current < 1 << 20, 1);
	gone(c);
}

/* What the kernel keeps on behalf of a process counts too: pipes, sockets, files, tables, names. */
static void kernel_memory(void)
{
	static const char *names[] = { "pipes",	      "sockets",  "tmpfs",
				       "page tables", "mappings", "processes" };

	world();
	for (int way = 0; way < 6; way++) {
		int c = spawn_limited(CONTAINER_NO_LIMIT, 8 << 20);
		pid_t pid;
		WORD(0) = 0;
		CFORKED(pid, c)
		{
			pid_t child;
			FORKED(child)
			{
				static char page[4096];
				int p[2], fd = -1;
				char name[32];
				if (way == 2)
					OK(mount("none", "/tmp", "tmpfs", 0, NULL));
				for (long i = 0; i < 200000; i++) {
					bool failed = false;
					switch (way) {
					case 0:
						failed = pipe2(p, O_NONBLOCK) < 0;
						while (!failed && write(p[1], page, 4096) > 0)
							;
						break;
					case 1:
						failed = socketpair(AF_UNIX,
								    SOCK_STREAM | SOCK_NONBLOCK, 0,
								    p) < 0;
						while (!failed && write(p[1], page, 4096) > 0)
							;
						break;
					case 2:
						snprintf(name, sizeof name, "/tmp/f%ld", i);
						fd = open(name, O_CREAT | O_WRONLY, 0600);
						failed = fd < 0 || write(fd, page, 4096) < 0;
						if (!failed)
							close(fd);
						break;
					case 3:
						failed = mmap((void *)(0x100000000000 +
								       i * (1L << 30)),
							      4096, PROT_READ | PROT_WRITE,
							      MAP_PRIVATE | MAP_ANONYMOUS |
								      MAP_FIXED | MAP_POPULATE,
							      -1, 0) == MAP_FAILED;
						break;
					case 4:
						failed = mmap((void *)(0x100000000000 + i * 8192),
							      4096, PROT_READ,
							      MAP_PRIVATE | MAP_ANONYMOUS |
								      MAP_FIXED,
							      -1, 0) == MAP_FAILED;
						break;
					default:
						failed = fork() < 0;
						if (getpid() != 2)
							idle();
					}
					if (failed && errno == EMFILE)
						break;
					if (failed) {
						WORD(0) = errno;
						break;
					}
				}
			}
			int code = reap(child);
			WORD(1) = code;
			CHECK(code == 0 || code == 137);
			WORD(2) = WORD(0) == ENOMEM || WORD(0) == ENOSPC || WORD(0) == EAGAIN ||
				  WORD(0) == ENOBUFS || code == 137;
			kill(-1, SIGKILL);
		}
		int code = reap(pid);
		struct cinfo i = info_of(c);
		if (code || i.memory_peak > 8 << 20 || (!WORD(2) && way >= 2))
			FAIL("%s: exit %d, child %d, errno %d, peak %lld", names[way], code,
			     WORD(1), WORD(0), (long long)i.memory_peak);
		gone(c);
	}
}

/* Names that are cached count as well, and make room: nobody is refused one, and nobody dies. */
static void cached_names(void)
{
	enum { ABSENT = 60000, FILES = 3000 };
	struct statfs fs;

	if (statfs("/tmp", &fs) || fs.f_type != 0x636f7766)
		SKIP("/tmp is not on cowfs: names of tmpfs are not a cache");
	world();
	int c = spawn_limited(CONTAINER_NO_LIMIT, 8 << 20);
	pid_t pid;
	CFORKED(pid, c)
	{
		struct stat st;
		char name[32];
		for (int i = 0; i < ABSENT; i++) {
			snprintf(name, sizeof name, "/tmp/absent%d", i);
			ERR(stat(name, &st), ENOENT);
		}
		OK(mkdir("/tmp/d", 0700));
		for (int i = 0; i < FILES; i++) {
			snprintf(name, sizeof name, "/tmp/d/file%d", i);
			close(OK(open(name, O_CREAT | O_EXCL | O_WRONLY, 0600)));
		}
		for (int round = 0; round < 2; round++)
			for (int i = 0; i < FILES; i++) {
				snprintf(name, sizeof name, "/tmp/d/file%d", i);
				OK(stat(name, &st));
			}
	}
	EQ(reap(pid), 0);
	struct cinfo i = info_of(c);
	EQ(i.memory_oom_kills, 0);
	CHECK(i.memory_peak <= 8 << 20);
	CHECK(i.memory_peak > 4 << 20); /* it did use what it may */
	gone(c);
}

/* A number that grows as long as the process runs. */
static void count_up(volatile int *word)
{
	for (;;)
		++*word;
}

static bool stands_still(int word)
{
	int before = WORD(word);

	sleep_ms(50);
	return WORD(word) == before;
}

static void pausing(void)
{
	pid_t pid;
	int p[2];

	world();
	OK(pipe(p));
	int c = spawn();
	ERR(CPAUSE(c), EINVAL); /* nothing runs */
	ERR(CRESUME(c), EINVAL);
	CFORKED(pid, c)
	{
		if (fork() == 0)
			count_up(&WORD(0));
		if (fork() == 0) { /* asleep in read */
			char byte;
			EQ(read(p[0], &byte, 1), 1);
			WORD(1) = 1;
			idle();
		}
		if (fork() == 0) { /* asleep for a time */
			long long start = now_ms();
			struct timespec t = { 0, 200000000 };
			EQ(nanosleep(&t, NULL), 0);
			WORD(2) = now_ms() - start;
			idle();
		}
		if (fork() == 0) { /* asleep on a futex */
			EQ(syscall(SYS_futex, &WORD(3), FUTEX_WAIT, 0, NULL), 0);
			WORD(4) = 1;
			idle();
		}
		if (fork() == 0) { /* system calls all the time */
			for (;;) {
				getppid();
				++WORD(5);
			}
		}
		WORD(6) = 1;
		idle();
	}
	AWAIT(WORD(6) && WORD(0) && WORD(5));
	sleep_ms(50);
	OK(CPAUSE(c));
	EQ(info_of(c).state, CONTAINER_PAUSED);
	ERR(CPAUSE(c), EINVAL);
	CHECK(stands_still(0));
	CHECK(stands_still(5));
	write(p[1], "x", 1); /* the events come now, their results later */
	WORD(3) = 1;
	syscall(SYS_futex, &WORD(3), FUTEX_WAKE, 1, NULL);
	sleep_ms(300);
	EQ(WORD(1), 0);
	EQ(WORD(2), 0);
	EQ(WORD(4), 0);
	OK(CRESUME(c));
	EQ(info_of(c).state, CONTAINER_RUNNING);
	ERR(CRESUME(c), EINVAL);
	AWAIT(WORD(1) && WORD(2) && WORD(4));
	CHECK(WORD(2) >= 200);
	CHECK(!stands_still(0));
	/* many times, fast */
	for (int i = 0; i < 50; i++) {
		OK(CPAUSE(c));
		OK(CRESUME(c));
	}
	CHECK(!stands_still(0));
	/* paused ones can be killed, stopped and destroyed */
	OK(CPAUSE(c));
	OK(CSTOP(c));
	EQ(reap(pid), 137);
	EQ(info_of(c).state, CONTAINER_STOPPED);
	WORD(6) = 0;
	CFORKED(pid, c)
	{
		WORD(6) = 1;
		count_up(&WORD(0));
	}
	AWAIT(WORD(6));
	OK(CPAUSE(c));
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 137);
	CFORKED(pid, c)
	{
		WORD(6) = 2;
		count_up(&WORD(0));
	}
	AWAIT(WORD(6) == 2);
	OK(CPAUSE(c));
	gone(c);
	EQ(reap(pid), 137);
	close(p[0]);
	close(p[1]);
}

/* A signal sent while paused waits; one who holds what others need does not stop them for good. */
static void pausing_and_signals(void)
{
	pid_t pid;

	world();
	int c = spawn();
	CFORKED(pid, c)
	{
		sigset_t usr1;
		siginfo_t si;
		sigemptyset(&usr1);
		sigaddset(&usr1, SIGUSR1);
		sigprocmask(SIG_BLOCK, &usr1, NULL);
		WORD(0) = 1;
		EQ(sigwaitinfo(&usr1, &si), SIGUSR1);
		WORD(1) = 1;
		idle();
	}
	AWAIT(WORD(0));
	sleep_ms(20);
	OK(CPAUSE(c));
	OK(kill(pid, SIGUSR1));
	sleep_ms(100);
	EQ(WORD(1), 0);
	OK(CRESUME(c));
	AWAIT(WORD(1));
	/* a stopped process stays stopped over pause and resume */
	int status;
	OK(kill(pid, SIGSTOP));
	EQ(waitpid(pid, &status, WUNTRACED), pid);
	OK(CPAUSE(c));
	OK(CRESUME(c));
	EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 137);
	gone(c);
}

static void control_files(void)
{
	pid_t pid;
	char *text;

	world();
	int c = spawn_limited(7, 32 << 20);
	if (!control_get(c, "state")) {
		gone(c);
		SKIP("no /sys/container");
	}
	STREQ(control_get(c, "state"), "created");
	STREQ(control_get(c, "pids.max"), "7");
	STREQ(control_get(c, "memory.max"), "33554432");
	STREQ(control_get(c, "pids.current"), "0");
	CFORKED(pid, c)
	{
		WORD(0) = 1;
		AWAIT(WORD(1));
		/* inside: only what is below, and self, which cannot be written */
		char path[64];
		snprintf(path, sizeof path, "/sys/container/%d/state", c);
		ERR(open(path, O_RDONLY), ENOENT);
		ERR(open("/sys/container/0/state", O_RDONLY), ENOENT);
		text = get("/sys/container/self/pids.max");
		CHECK(text && atoi(text) == 3);
		int fd = open("/sys/container/self/pids.max", O_WRONLY);
		EQ(fd, -1);
	}
	AWAIT(WORD(0));
	STREQ(control_get(c, "state"), "running");
	STREQ(control_get(c, "pids.current"), "1");
	text = control_get(c, "procs");
	CHECK(text && text[0] == '1');
	OK(control_set(c, "pids.max", "3\n"));
	EQ(info_of(c).pids_max, 3);
	OK(control_set(c, "memory.max", "max"));
	EQ(info_of(c).memory_max, CONTAINER_NO_LIMIT);
	static const char *bad[] = { "", "abc", "-1", "3x", "99999999999999999999999", "1 2" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (bad[i][0])
			ERR(control_set(c, "pids.max", bad[i]), EINVAL);
		EQ(info_of(c).pids_max, 3);
	}
	CHECK(control_set(c, "pids.current", "1") < 0);
	ERR(control_set(c, "nosuchfile", "1"), ENOENT);
	CHECK(control_set(c, "state", "paused") < 0);
	pid_t other;
	FORKED(other)
	{
		become(1000, 1000);
		CHECK(control_set(c, "pids.max", "100") < 0);
	}
	EQ(reap(other), 0);
	text = control_get(c, "cpu.stat");
	CHECK(text && !strncmp(text, "usage_usec ", 11));
	char path[64];
	snprintf(path, sizeof path, "/sys/container/%d/memory.events", c);
	text = get(path);
	CHECK(text && strstr(text, "oom_kill 0"));
	int held; /* an open control file outlives the container */
	snprintf(path, sizeof path, "/sys/container/%d/state", c);
	held = OK(open(path, O_RDONLY));
	WORD(1) = 1;
	EQ(reap(pid), 0);
	STREQ(control_get(c, "state"), "stopped");
	gone(c);
	char byte;
	read(held, &byte, 1);
	close(held);
	ERR(open(path, O_RDONLY), ENOENT);
}

/* Limits may be lowered below what is used: nothing new, and what is there stays or is killed. */
static void changed_limits(void)
{
	pid_t pid;

	world();
	int c = spawn();
	if (!control_get(c, "state")) {
		gone(c);
		SKIP("no /sys/container");
	}
	CFORKED(pid, c)
	{
		for (int i = 0; i < 3; i++)
			if (fork() == 0)
				idle();
		WORD(0) = 1;
		AWAIT(WORD(1));
		ERR(fork(), EAGAIN);
		WORD(2) = 1;
		AWAIT(WORD(3));
		pid_t child;
		FORKED(child) _exit(0);
		EQ(reap(child), 0);
	}
	AWAIT(WORD(0));
	OK(control_set(c, "pids.max", "2"));
	EQ(info_of(c).pids_current, 4);
	WORD(1) = 1;
	AWAIT(WORD(2));
	OK(control_set(c, "pids.max", "max"));
	WORD(3) = 1;
	EQ(reap(pid), 0);
	gone(c);
}

static int create_container(void)
{
	int cid = syscall(SYS_create_container);

	if (cid < 0 && errno == EOPNOTSUPP)
		SKIP("/ is not on cowfs"); /* tests/host/disk_root.sh runs it where it is */
	REQUIRE(cid > 0);
	return cid;
}

static void joining(void)
{
	pid_t pid;

	world();
	int c = create_container();
	EQ(info_of(c).state, CONTAINER_CREATED);
	FORKED(pid)
	{
		pid_t was = getpid();
		OK(syscall(SYS_join_container, c));
		EQ(GETCID(), c);
		EQ(getpid(), 2); /* there is no init: pids from 2 */
		EQ(getppid(), 0);
		ERR(syscall(SYS_join_container, c), ESRCH);
		EQ(info_of(c).pids_current, 1);
		pid_t child;
		FORKED(child)
		{
			EQ(getppid(), 2);
			EQ(GETCID(), c);
			ERR(syscall(SYS_leave_container), EPERM); /* born inside */
		}
		EQ(reap(child), 0);
		put("/tmp/tap.inside", "only here", 0644);
		OK(syscall(SYS_leave_container));
		EQ(getpid(), was);
		EQ(GETCID(), 0);
		ERR(access("/tmp/tap.inside", F_OK), ENOENT);
		ERR(syscall(SYS_leave_container), EPERM);
	}
	EQ(reap(pid), 0);
	EQ(info_of(c).state, CONTAINER_CREATED);
	ERR(syscall(SYS_join_container, 999999), ESRCH);
	FORKED(pid)
	{
		become(1000, 1000);
		ERR(syscall(SYS_join_container, c), EPERM);
	}
	EQ(reap(pid), 0);
	/* a joiner that is killed with the container */
	FORKED(pid)
	{
		OK(syscall(SYS_join_container, c));
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0));
	gone(c);
	EQ(reap(pid), 137);
}

static const struct tap_case cases[] = {
	T(process_limit),	T(memory_limit),  T(kernel_memory),  T(cached_names), T(pausing),
	T(pausing_and_signals), T(control_files), T(changed_limits), T(joining),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
