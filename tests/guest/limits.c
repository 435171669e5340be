/* SPDX-License-Identifier: MIT */
/*
 * limits.c - open files, memory.high, memory.min, memory.stat of a container: what they hold back,
 * what they count, who is spared, and that nobody changes his own. (container_limits.c has
 * pids.max and memory.max, container_oom.c what happens without memory.)
 */
#include "cont.h"
#include "sockets.h"
#include <sys/socket.h>

#define MIB (1ul << 20)

/* The number beside a word in a control file; -1: it is not there. */
static long long keyed(int cid, const char *file, const char *key)
{
	char path[96], text[2048];
	size_t n = strlen(key);

	snprintf(path, sizeof path, "/sys/container/%d/%s", cid, file);
	REQUIRE(tap_slurp(path, text, sizeof text) > 0);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, key, n) && line[n] == ' ')
			return atoll(line + n + 1);
	return -1;
}

static long long number(int cid, const char *file)
{
	return atoll(control_get(cid, file));
}

static void touch(char *memory, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 4096)
		memory[i] = 1;
}

static char *anonymous(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(p != MAP_FAILED);
	return p;
}

/* Opens as many as it can: how many that are, with the errno of the one that could not. */
static int open_all(int *fds, int max)
{
	int n = 0;

	while (n < max && (fds[n] = open("/in", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	return n;
}

static void close_all(int *fds, int n)
{
	while (n)
		close(fds[--n]);
}

static void files(void)
{
	int fds[200];
	pid_t pid;

	world();
	int c = spawn();
	STREQ(control_get(c, "files.max"), "max");
	OK(control_set(c, "files.max", "20"));
	STREQ(control_get(c, "files.max"), "20");
	CFORKED(pid, c)
	{
		int n = open_all(fds, 200);
		EQ(errno, ENFILE);
		EQ(n, 20); /* what it brought from outside counts there */
		int p[2];
		ERR(pipe(p), ENFILE);
		ERR(socket(AF_UNIX, SOCK_STREAM, 0), ENFILE);
		int copy = OK(dup(fds[0])); /* no file more */
		pid_t child;
		FORKED(child)
		{
			ERR(open("/in", O_RDONLY), ENFILE);
		}
		EQ(reap(child), 0);
		close(fds[--n]);
		ERR(pipe(p), ENFILE); /* two are needed, and the first is given back */
		fds[n++] = OK(open("/in", O_RDONLY | O_CLOEXEC));
		ERR(open("/in", O_RDONLY), ENFILE);
		WORD(0) = 1;
		AWAIT(WORD(1));
		close_all(fds, n);
		EQ(dup2(copy, copy), copy); /* the copy keeps one of them open */
		n = open_all(fds, 200);
		EQ(n, 4); /* of 5 */
		close_all(fds, n);
		close(copy);
	}
	AWAIT(WORD(0));
	EQ(number(c, "files.current"), 20);
	EQ(number(c, "files.peak"), 20);
	CHECK(keyed(c, "files.events", "max") >= 4);
	OK(control_set(c, "files.max", "5")); /* less than there are */
	WORD(1) = 1;
	EQ(reap(pid), 0);
	AWAIT(number(c, "files.current") == 0);
	EQ(number(c, "files.peak"), 20);
	gone(c);
}

/* Those that nobody has a descriptor of, but that wait in a socket, count as well. */
static void files_in_flight(void)
{
	pid_t pid;

	world();
	int c = spawn();
	OK(control_set(c, "files.max", "30"));
	CFORKED(pid, c)
	{
		int s[2], sent = 0;
		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
		for (;; sent++) {
			int fd = open("/in", O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				break;
			send_fd(s[0], fd);
			close(fd);
		}
		EQ(errno, ENFILE);
		EQ(sent, 28);
	}
	EQ(reap(pid), 0);
	AWAIT(number(c, "files.current") == 0); /* a thread of the kernel may close them */
	gone(c);
}

static void files_nested(void)
{
	int fds[100];
	pid_t pid;

	world();
	REQUIRE(mkdir("r/inner", 0755) == 0);
	int c = spawn();
	OK(control_set(c, "files.max", "15"));
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		pid_t child;
		CFORKED(child, d)
		{
			int n = 0;
			while (n < 100 && (fds[n] = open("/", O_RDONLY | O_CLOEXEC)) >= 0)
				n++;
			EQ(errno, ENFILE);
			EQ(n, 15);
		}
		EQ(reap(child), 0);
		EQ(open_all(fds, 100), 15);
	}
	EQ(reap(pid), 0);
	gone(c);
}

static void files_kill(void)
{
	static char text[4096];
	char path[64];
	int fds[100];
	pid_t pid;

	world();
	int c = spawn();
	OK(control_set(c, "files.max", "10"));
	OK(control_set(c, "on_limit", "kill"));
	CFORKED(pid, c)
	{
		open_all(fds, 100);
		idle();
	}
	EQ(reap(pid), 137);
	snprintf(path, sizeof path, "/sys/container/%d/events", c);
	REQUIRE(tap_slurp(path, text, sizeof text) > 0);
	CHECK(strstr(text, "killed of=files"));
	gone(c);
}

static void bad_values(void)
{
	static const char *const names[] = { "files.max", "memory.high", "memory.min" };
	static const char *const bad[] = { "", "-1", "x", "1 2", "99999999999999999999", "10x" };
	pid_t pid;

	world();
	int c = spawn();
	for (size_t i = 0; i < COUNT(names); i++) {
		OK(control_set(c, names[i], "4096"));
		for (size_t k = 1; k < COUNT(bad); k++)
			ERR(control_set(c, names[i], bad[k]), EINVAL);
		STREQ(control_get(c, names[i]), "4096");
		OK(control_set(c, names[i], i == 2 ? "0" : "max"));
		STREQ(control_get(c, names[i]), i == 2 ? "0" : "max");
	}
	CFORKED(pid, c)
	{
		for (size_t i = 0; i < COUNT(names); i++) {
			char path[64];
			snprintf(path, sizeof path, "/sys/container/self/%s", names[i]);
			ERR(open(path, O_WRONLY), EPERM);
		}
	}
	EQ(reap(pid), 0);
	gone(c);
}

/* Beyond memory.high it goes on slowly, and is not killed; without the limit it is fast again. */
static void high(void)
{
	pid_t pid;

	world();
	int c = spawn();
	STREQ(control_get(c, "memory.high"), "max");
	OK(control_set(c, "memory.high", "6M"));
	CFORKED(pid, c)
	{
		char *memory = anonymous(24 * MIB);
		touch(memory, 4 * MIB);
		WORD(0) = 1;
		AWAIT(WORD(1));
		for (size_t at = 4 * MIB; at < 24 * MIB; at += 4096) {
			memory[at] = 1;
			WORD(2) = (int)(at / 4096);
		}
		WORD(3) = 1;
		idle();
	}
	AWAIT(WORD(0));
	EQ(keyed(c, "memory.events", "high"), 0);
	WORD(1) = 1;
	AWAIT(keyed(c, "memory.events", "high") >= 10);
	CHECK(number(c, "memory.current") < (long long)(12 * MIB));
	EQ(WORD(3), 0);
	EQ(keyed(c, "memory.events", "oom_kill"), 0);
	EQ(info_of(c).state, CONTAINER_RUNNING);
	OK(control_set(c, "memory.high", "max"));
	AWAIT(WORD(3));
	CHECK(number(c, "memory.current") > (long long)(24 * MIB));
	/* one that waits for it can be killed */
	OK(control_set(c, "memory.high", "1M"));
	gone(c);
	EQ(reap(pid), 137);
}

/* In one that may use 40 MiB: one inside has 20, another takes until there is no more. Who dies? */
static void who_dies(const char *min, bool the_large_one)
{
	pid_t pid;

	world();
	REQUIRE(mkdir("r/a", 0755) == 0 && mkdir("r/b", 0755) == 0);
	int c = spawn_limited(CONTAINER_NO_LIMIT, 40 * MIB);
	CFORKED(pid, c)
	{
		struct container_spec sa = spec_of("/a"), sb = spec_of("/b");
		int a = OK(syscall(SYS_spawncont, &sa, sizeof sa));
		int b = OK(syscall(SYS_spawncont, &sb, sizeof sb));
		pid_t large, greedy;
		OK(control_set(a, "memory.min", min));
		CFORKED(large, a)
		{
			touch(anonymous(20 * MIB), 20 * MIB);
			WORD(0) = 1;
			AWAIT(WORD(1));
		}
		AWAIT(WORD(0));
		CFORKED(greedy, b)
		{
			touch(anonymous(32 * MIB), 32 * MIB);
			WORD(2) = 1;
		}
		int got = reap(greedy);
		WORD(1) = 1;
		EQ(reap(large), the_large_one ? 137 : 0);
		EQ(got, the_large_one ? 0 : 137);
		EQ(WORD(2), the_large_one);
	}
	EQ(reap(pid), 0);
	gone(c);
}

static void min_spares(void)
{
	who_dies("24M", false);
}

static void min_too_small(void)
{
	who_dies("8M", true);
}

static void min_of_nobody(void)
{
	who_dies("0", true);
}

static void usage(void)
{
	static const char *const parts[] = { "anon", "file", "kernel" };
	long long sum = 0;
	pid_t pid;

	world();
	REQUIRE(mkdir("r/inner", 0755) == 0);
	int c = spawn();
	EQ(keyed(c, "memory.stat", "anon"), 0);
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		pid_t child;
		touch(anonymous(4 * MIB), 4 * MIB);
		int fd = OK(open("/in/file", O_RDWR | O_CREAT, 0600));
		static char block[65536];
		for (int i = 0; i < 32; i++)
			EQ(write(fd, block, sizeof block), sizeof block);
		CFORKED(child, d) /* what is below counts above */
		{
			touch(anonymous(3 * MIB), 3 * MIB);
			WORD(1) = d;
			idle();
		}
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0) && WORD(1));
	long long anon = keyed(c, "memory.stat", "anon"), file = keyed(c, "memory.stat", "file");
	CHECK(anon >= (long long)(7 * MIB) && anon < (long long)(8 * MIB));
	CHECK(file >= (long long)(2 * MIB) && file < (long long)(3 * MIB));
	long long inner = keyed(WORD(1), "memory.stat", "anon");
	CHECK(inner >= (long long)(3 * MIB) && inner < (long long)(4 * MIB));
	EQ(keyed(WORD(1), "memory.stat", "file"), 0);
	CHECK(keyed(c, "memory.stat", "pagetables") >= 2 * 7 * 4096);
	CHECK(keyed(c, "memory.stat", "kernel_stack") >= 2 * 8192);
	CHECK(keyed(c, "memory.stat", "slab") > 0);
	for (size_t i = 0; i < COUNT(parts); i++)
		sum += keyed(c, "memory.stat", parts[i]);
	long long rest = number(c, "memory.current") - sum;
	CHECK(rest > -65536 && rest < 65536);
	gone(c);
	EQ(reap(pid), 137);
}

/* What goes through sockets and pipes is told apart, and is gone with its last reader. */
static void usage_of_queues(void)
{
	static char block[65536];
	int pair[2], ends[2], ready[2];
	pid_t pid;

	world();
	int c = spawn();
	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	REQUIRE(!pipe2(ends, O_CLOEXEC) && !pipe2(ready, O_CLOEXEC));
	CFORKED(pid, c) /* the buffers are the writer's */
	{
		EQ(write(pair[0], block, sizeof block), sizeof block);
		EQ(write(ends[1], block, sizeof block), sizeof block);
		WORD(0) = 1;
		EQ(read(ready[0], block, 1), 1);
		int own[2];
		REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, own));
		WORD(0) = 2;
		idle();
	}
	AWAIT(WORD(0) == 1);
	long long sock = keyed(c, "memory.stat", "sock");
	CHECK(sock >= 65536 && sock < 2 * 65536 + 16384);
	CHECK(keyed(c, "memory.stat", "kernel_pages") >= 65536);
	for (long left = sizeof block; left > 0;) {
		long n = OK(read(pair[1], block, sizeof block));
		REQUIRE(n > 0);
		left -= n;
	}
	EQ(read(ends[0], block, sizeof block), sizeof block);
	EQ(keyed(c, "memory.stat", "sock"), 0);
	CHECK(keyed(c, "memory.stat", "kernel_pages") < 65536);
	EQ(write(ready[1], "", 1), 1);
	AWAIT(WORD(0) == 2);
	sock = keyed(c, "memory.stat", "sock"); /* two, with nothing in them */
	CHECK(sock > 0 && sock < 4096);
	OK(CSTOP(c));
	EQ(reap(pid), 137);
	AWAIT(keyed(c, "memory.stat", "sock") == 0);
	EQ(keyed(c, "memory.stat", "anon"), 0);
	EQ(keyed(c, "memory.stat", "pagetables"), 0);
	EQ(keyed(c, "memory.stat", "kernel_stack"), 0);
	gone(c);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(ends[i]);
		close(ready[i]);
	}
}

/* A field of the /proc/meminfo that the caller sees, in KiB. */
static long long meminfo_field(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[80];
	long long value = -1;

	REQUIRE(f != NULL);
	while (fgets(line, sizeof line, f))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			value = strtoll(line + strlen(name) + 1, NULL, 10);
	fclose(f);
	return value;
}

/* What others have is not seen inside. */
static void meminfo(void)
{
	pid_t pid;

	world();
	touch(anonymous(48 * MIB), 48 * MIB);
	int c = spawn_limited(CONTAINER_NO_LIMIT, 32 * MIB);
	CFORKED(pid, c)
	{
		OK(mount("proc", "/proc", "proc", 0, NULL));
		touch(anonymous(5 * MIB), 5 * MIB);
		long long anon = meminfo_field("AnonPages"), total = meminfo_field("MemTotal");
		CHECK(anon >= 5 * 1024 && anon < 7 * 1024);
		EQ(total, 32 * 1024);
		CHECK(meminfo_field("MemFree") <= total - anon);
		CHECK(meminfo_field("Cached") < 512);
		CHECK(meminfo_field("Slab") < 512);
		long long stack = meminfo_field("KernelStack"); /* 32 in the debug kernel */
		CHECK(stack == 8 || stack == 32);
		CHECK(meminfo_field("PageTables") >= 28 && meminfo_field("PageTables") < 256);
	}
	EQ(reap(pid), 0);
	gone(c);
}

static const struct tap_case cases[] = {
	T(files),      T(files_in_flight), T(files_nested),
	T(files_kill), T(bad_values),	   T(high),
	T(min_spares), T(min_too_small),   T(min_of_nobody),
	T(usage),      T(usage_of_queues), T(meminfo),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
