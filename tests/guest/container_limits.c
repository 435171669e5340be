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

/* --- what the kernel keeps on behalf of a process counts too --- */

/* Each takes a little more; false and errno if that is refused. */

static bool fill(const int p[2])
{
	static const char page[4096];

	while (write(p[1], page, sizeof page) > 0)
		;
	return true;
}

static bool take_pipe(long i TAP_UNUSED)
{
	int p[2];

	return pipe2(p, O_NONBLOCK) == 0 && fill(p);
}

static bool take_sockets(long i TAP_UNUSED)
{
	int p[2];

	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) == 0 && fill(p);
}

static bool take_file(long i)
{
	static const char page[4096];
	char name[32];

	if (i == 0)
		OK(mount("none", "/tmp", "tmpfs", 0, NULL));
	snprintf(name, sizeof name, "/tmp/f%ld", i);
	int fd = open(name, O_CREAT | O_WRONLY, 0600);
	if (fd < 0 || write(fd, page, sizeof page) < 0)
		return false;
	close(fd);
	return true;
}

static bool take_mapping_at(long at, int protection, int flags)
{
	return mmap((void *)(0x100000000000 + at), 4096, protection,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, -1, 0) != MAP_FAILED;
}

static bool take_page_table(long i)
{
	return take_mapping_at(i * (1L << 30), PROT_READ | PROT_WRITE, MAP_POPULATE);
}

static bool take_mapping(long i)
{
	return take_mapping_at(i * 8192, PROT_READ, 0);
}

static bool take_process(long i TAP_UNUSED)
{
	pid_t pid = fork();

	if (getpid() != 2) /* of take_all() */
		idle();
	return pid >= 0;
}

/* The errno with which it ended; 0: never, or the limit of descriptors came first. */
static int take_all(bool (*take)(long i))
{
	for (long i = 0; i < 200000; i++)
		if (!take(i))
			return errno == EMFILE ? 0 : errno;
	return 0;
}

static const struct way {
	const char *name;
	bool (*take)(long i);
	bool only; /* nothing else bounds it: the limit must be met */
} ways[] = {
	{ "pipes", take_pipe, false },	    { "sockets", take_sockets, false },
	{ "tmpfs", take_file, true },	    { "page tables", take_page_table, true },
	{ "mappings", take_mapping, true }, { "processes", take_process, true },
};

static void kernel_memory_of(const struct way *way)
{
	int c = spawn_limited(CONTAINER_NO_LIMIT, 8 << 20);
	pid_t pid;

	WORD(0) = 0;
	CFORKED(pid, c)
	{
		pid_t child;
		FORKED(child) WORD(0) = take_all(way->take);
		int code = reap(child);
		WORD(1) = code;
		CHECK(code == 0 || code == 137);
		WORD(2) = WORD(0) == ENOMEM || WORD(0) == ENOSPC || WORD(0) == EAGAIN ||
			  WORD(0) == ENOBUFS || code == 137;
		kill(-1, SIGKILL);
	}
	int code = reap(pid);
	struct cinfo i = info_of(c);
	if (code || i.memory_peak > 8 << 20 || (!WORD(2) && way->only))
		FAIL("%s: exit %d, child %d, errno %d, peak %lld", way->name, code, WORD(1),
		     WORD(0), (long long)i.memory_peak);
	gone(c);
}

static void kernel_memory(void)
{
	world();
	for (size_t i = 0; i < COUNT(ways); i++)
		kernel_memory_of(&ways[i]);
}

/* Names that are cached count as well, and make room: nobody is refused one, and nobody dies. */
static void cached_names(void)
{
	enum { ABSENT = 60000, FILES = 3000 };
	struct statfs fs;

	if (statfs("/tmp", &fs) || fs.f_type != COWFS_MAGIC)
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

/* --- pause and resume --- */

/* Words that the processes of a container change as they get on. */
enum { COUNTED, BYTE_READ, MS_SLEPT, FUTEX_VALUE, FUTEX_WOKEN, CALLS_MADE, READY };

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

static void sleep_in_read(int fd)
{
	char byte;

	EQ(read(fd, &byte, 1), 1);
	WORD(BYTE_READ) = 1;
}

static void sleep_for_a_time(void)
{
	long long start = now_ms();
	struct timespec t = { 0, 200000000 };

	EQ(nanosleep(&t, NULL), 0);
	WORD(MS_SLEPT) = now_ms() - start;
}

static void sleep_on_a_futex(void)
{
	EQ(syscall(SYS_futex, &WORD(FUTEX_VALUE), FUTEX_WAIT, 0, NULL), 0);
	WORD(FUTEX_WOKEN) = 1;
}

/* Processes that run, sleep and make system calls all the time. */
_Noreturn static void be_busy_and_sleep(int fd)
{
	if (fork() == 0)
		count_up(&WORD(COUNTED));
	if (fork() == 0) {
		sleep_in_read(fd);
		idle();
	}
	if (fork() == 0) {
		sleep_for_a_time();
		idle();
	}
	if (fork() == 0) {
		sleep_on_a_futex();
		idle();
	}
	if (fork() == 0)
		for (;;) {
			getppid();
			++WORD(CALLS_MADE);
		}
	WORD(READY) = 1;
	idle();
}

/* What they wait for comes while they are paused; they see it afterwards. */
static void stand_still_and_go_on(int c, int fd)
{
	OK(CPAUSE(c));
	EQ(info_of(c).state, CONTAINER_PAUSED);
	ERR(CPAUSE(c), EINVAL);
	CHECK(stands_still(COUNTED));
	CHECK(stands_still(CALLS_MADE));
	write(fd, "x", 1);
	WORD(FUTEX_VALUE) = 1;
	syscall(SYS_futex, &WORD(FUTEX_VALUE), FUTEX_WAKE, 1, NULL);
	sleep_ms(300);
	EQ(WORD(BYTE_READ), 0);
	EQ(WORD(MS_SLEPT), 0);
	EQ(WORD(FUTEX_WOKEN), 0);
	OK(CRESUME(c));
	EQ(info_of(c).state, CONTAINER_RUNNING);
	ERR(CRESUME(c), EINVAL);
	AWAIT(WORD(BYTE_READ) && WORD(MS_SLEPT) && WORD(FUTEX_WOKEN));
	CHECK(WORD(MS_SLEPT) >= 200);
	CHECK(!stands_still(COUNTED));
}

static void many_times_fast(int c)
{
	for (int i = 0; i < 50; i++) {
		OK(CPAUSE(c));
		OK(CRESUME(c));
	}
	CHECK(!stands_still(COUNTED));
}

/* Pid 1, a number that grows, of the container, which is then paused. */
static pid_t paused_counter(int c, int mark)
{
	pid_t pid;

	CFORKED(pid, c)
	{
		WORD(READY) = mark;
		count_up(&WORD(COUNTED));
	}
	AWAIT(WORD(READY) == mark);
	OK(CPAUSE(c));
	return pid;
}

/* Paused ones can be stopped, killed and destroyed. */
static void end_while_paused(int c, pid_t pid)
{
	OK(CPAUSE(c));
	OK(CSTOP(c));
	EQ(reap(pid), 137);
	EQ(info_of(c).state, CONTAINER_STOPPED);
	pid = paused_counter(c, 2);
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 137);
	pid = paused_counter(c, 3);
	gone(c);
	EQ(reap(pid), 137);
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
	CFORKED(pid, c) be_busy_and_sleep(p[0]);
	AWAIT(WORD(READY) && WORD(COUNTED) && WORD(CALLS_MADE));
	sleep_ms(50);
	stand_still_and_go_on(c, p[1]);
	many_times_fast(c);
	end_while_paused(c, pid);
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

/* --- the control files --- */

static int open_control(int c, const char *name)
{
	char path[64];

	snprintf(path, sizeof path, "/sys/container/%d/%s", c, name);
	return open(path, O_RDONLY);
}

/* Inside: only what is below, and self, which cannot be written. */
static void look_from_inside(int c)
{
	ERR(open_control(c, "state"), ENOENT);
	ERR(open_control(0, "state"), ENOENT);
	char *text = get("/sys/container/self/pids.max");
	CHECK(text && atoi(text) == 3);
	int fd = open("/sys/container/self/pids.max", O_WRONLY);
	EQ(fd, -1);
}

static void limits_are_written(int c)
{
	static const char *bad[] = { "", "abc", "-1", "3x", "99999999999999999999999", "1 2" };

	OK(control_set(c, "pids.max", "3\n"));
	EQ(info_of(c).pids_max, 3);
	OK(control_set(c, "memory.max", "max"));
	EQ(info_of(c).memory_max, CONTAINER_NO_LIMIT);
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (bad[i][0])
			ERR(control_set(c, "pids.max", bad[i]), EINVAL);
		EQ(info_of(c).pids_max, 3);
	}
}

static void nothing_else_is_written(int c)
{
	pid_t other;

	CHECK(control_set(c, "pids.current", "1") < 0);
	ERR(control_set(c, "nosuchfile", "1"), ENOENT);
	CHECK(control_set(c, "state", "paused") < 0);
	FORKED(other)
	{
		become(1000, 1000);
		CHECK(control_set(c, "pids.max", "100") < 0);
	}
	EQ(reap(other), 0);
}

static void statistics_are_read(int c)
{
	char path[64], *text = control_get(c, "cpu.stat");

	CHECK(text && !strncmp(text, "usage_usec ", 11));
	snprintf(path, sizeof path, "/sys/container/%d/memory.events", c);
	text = get(path);
	CHECK(text && strstr(text, "oom_kill 0"));
}

static void control_files(void)
{
	pid_t pid;
	char *text, byte;

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
		look_from_inside(c);
	}
	AWAIT(WORD(0));
	STREQ(control_get(c, "state"), "running");
	STREQ(control_get(c, "pids.current"), "1");
	text = control_get(c, "procs");
	CHECK(text && text[0] == '1');
	limits_are_written(c);
	nothing_else_is_written(c);
	statistics_are_read(c);
	int held = OK(open_control(c, "state")); /* an open control file outlives the container */
	WORD(1) = 1;
	EQ(reap(pid), 0);
	STREQ(control_get(c, "state"), "stopped");
	gone(c);
	read(held, &byte, 1);
	close(held);
	ERR(open_control(c, "state"), ENOENT);
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
