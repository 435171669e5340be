/* SPDX-License-Identifier: MIT */
/*
 * tracing.c - the control file `trace`: who may read it, what a reader sees of itself and of
 * others, and that it goes with its readers, whatever else goes meanwhile. (What ctool makes of it
 * is tests/host/trace.sh's business.)
 */
#include "cont.h"
#include <poll.h>

static int open_trace(const char *which)
{
	char path[64];

	snprintf(path, sizeof path, "/sys/container/%s/trace", which);
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static int open_trace_of(int cid)
{
	char word[16];

	snprintf(word, sizeof word, "%d", cid);
	return open_trace(word);
}

static char lines[1 << 20];

/* Everything until nothing is left, at most what fits. */
static void read_all(int fd)
{
	size_t used = 0;
	ssize_t n;

	while (used < sizeof lines - 4096 &&
	       (n = read(fd, lines + used,
			 65536 < sizeof lines - 1 - used ? 65536 : sizeof lines - 1 - used)) > 0)
		used += n;
	lines[used] = 0;
}

/* How many lines are of this container and event (NULL: any), with this word first (NULL: any). */
static int count_lines(int cid, const char *event, const char *word)
{
	int count = 0;

	for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
		char what[32], a[48];
		unsigned c;
		if (sscanf(line, "%*u %*u %u %*u %31s %47s", &c, what, a) == 3 && (int)c == cid &&
		    (!event || !strcmp(what, event)) && (!word || !strcmp(a, word)))
			count++;
	}
	return count;
}

static void workload(int cid)
{
	pid_t pid;

	CFORKED(pid, cid)
	{
		ERR(mkdir("/x", 0755), EPERM);
		char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);
		p[0] = p[4096] = 1;
		sleep_ms(1);
		pid_t child = fork();
		if (child == 0)
			_exit(0);
		EQ(child, -1);
		EQ(errno, EAGAIN);
	}
	EQ(reap(pid), 0);
}

static void events(void)
{
	world();
	int c = spawn_limited(1, CONTAINER_NO_LIMIT), other = spawn();
	OK(control_set(c, "syscalls.deny", "mkdir"));
	int fd = OK(open_trace_of(c));
	workload(c);
	pid_t pid;
	CFORKED(pid, other) getppid();
	EQ(reap(pid), 0);
	read_all(fd);
	CHECK(count_lines(c, "syscall", "mkdir") == 1);
	CHECK(count_lines(c, "sysret", "mkdir") == 1);
	CHECK(count_lines(c, "denial", "mkdir") == 1);
	CHECK(count_lines(c, "charge-refused", "pids") == 1);
	CHECK(count_lines(c, "fault", NULL) >= 2);
	CHECK(count_lines(c, "switch", NULL) >= 1);
	EQ(count_lines(other, NULL, NULL), 0);
	ERR(read(fd, lines, 100), EINVAL);
	ERR(write(fd, lines, 1), EBADF);
	ERR(lseek(fd, 0, SEEK_SET), ESPIPE);
	workload(c);
	ERR(read(fd, (void *)8, 4096), EFAULT);
	close(fd);
	gone(c);
	gone(other);
}

static void host_sees_all(void)
{
	world();
	int c = spawn_limited(1, CONTAINER_NO_LIMIT);
	OK(control_set(c, "syscalls.deny", "mkdir"));
	int fd = OK(open_trace("self"));
	read_all(fd);
	workload(c);
	read_all(fd);
	CHECK(count_lines(c, "denial", "mkdir") == 1);
	CHECK(count_lines(0, "syscall", NULL) >= 1);
	close(fd);
	gone(c);
}

static void who_may(void)
{
	world();
	int c = spawn();
	pid_t pid;
	FORKED(pid)
	{
		REQUIRE(setresuid(1000, 1000, 1000) == 0);
		ERR(open_trace("self"), EACCES);
		ERR(open_trace_of(c), EACCES);
	}
	EQ(reap(pid), 0);
	CFORKED(pid, c)
	{
		/* root inside, with all capabilities */
		ERR(open_trace("self"), EPERM);
		ERR(open_trace_of(c), ENOENT);
		ERR(open_trace_of(0), ENOENT);
	}
	EQ(reap(pid), 0);
	char path[64];
	snprintf(path, sizeof path, "/sys/container/%d/trace", c);
	ERR(open(path, O_WRONLY), EACCES);
	gone(c);
}

/* A reader inside a container: of its own below it, and nothing else: no id, no tid. */
static void sees_only_its_own(void)
{
	world();
	OK(mkdir("r/inner", 0755));
	int c = spawn(), stranger = spawn();
	pid_t pid, noise;
	CFORKED(noise, stranger)
	{
		for (;;) {
			syscall(SYS_sched_yield);
			getppid();
		}
	}
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s)), fd = OK(open_trace_of(d));
		pid_t child;
		CFORKED(child, d)
		{
			for (int i = 0; i < 200; i++) {
				syscall(SYS_sched_yield);
				syscall(SYS_getppid);
			}
		}
		EQ(reap(child), 0);
		read_all(fd);
		CHECK(count_lines(d, "syscall", "getppid") >= 1);
		for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
			char what[32];
			unsigned container, tid, a = 0, b = 0;
			if (sscanf(line, "%*u %*u %u %u %31s %u %u", &container, &tid, what, &a,
				   &b) < 3)
				continue;
			if (strcmp(what, "lost") && container != (unsigned)d &&
			    (container || tid)) {
				FAIL("%.*s", (int)(end - line), line);
				break;
			}
			if (!strcmp(what, "switch") && a != (unsigned)d && (a || b)) {
				FAIL("%.*s", (int)(end - line), line);
				break;
			}
		}
		close(fd);
		OK(DESTROY(d));
	}
	EQ(reap(pid), 0);
	gone(stranger);
	EQ(reap(noise), 128 + SIGKILL);
	gone(c);
}

static void readers_and_ends(void)
{
	world();
	for (int round = 0; round < 6; round++) {
		int c = spawn(), a = OK(open_trace_of(c)), b = OK(open_trace("self"));
		pid_t pid, reader;
		CFORKED(pid, c)
		{
			for (;;)
				getppid();
		}
		FORKED(reader)
		{
			fcntl(a, F_SETFL, 0);
			while (read(a, lines, sizeof lines) > 0)
				;
		}
		CHECK(read(b, lines, 4096) > 0);
		close(round % 2 ? a : b);
		gone(c);
		EQ(reap(pid), 128 + SIGKILL);
		kill(reader, SIGKILL); /* it waits for what will not come */
		EQ(reap(reader), 128 + SIGKILL);
		close(round % 2 ? b : a);
	}
}

/* A container that cannot pay for the rings gets none. */
static void paid_by_the_reader(void)
{
	world();
	OK(mkdir("r/inner", 0755));
	int c = spawn_limited(CONTAINER_NO_LIMIT, 400 << 10);
	pid_t pid;
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/inner");
		int d = syscall(SYS_spawncont, &s, sizeof s);
		if (d > 0)
			ERR(open_trace_of(d), ENOMEM);
		WORD(0) = 1;
	}
	int status = reap(pid);
	CHECK(status == 0 || status == 128 + SIGKILL); /* it may be over its limit before that */
	gone(c);
}

static const struct tap_case cases[] = {
	T(events),	     T(host_sees_all),	    T(who_may), T(sees_only_its_own),
	T(readers_and_ends), T(paid_by_the_reader),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
