/* SPDX-License-Identifier: MIT */
/*
 * badcontrol.c - every container call and control file with hostile arguments, from outside and
 * from inside, one at a time; and all at once while the containers come and go.
 *
 * One at a time: the errno is the documented one, and what the file says is the same before and
 * after. At once: only the errnos that are documented, no container is left, and nothing leaks (the
 * last check of every file).
 */
#include "cont.h"
#include <pthread.h>
#include <poll.h>

#define CONTROL "/sys/container"

static char *const nowhere[] = { NULL, (char *)8, (char *)0xffffffff80000000,
				 (char *)0x800000000000000, (char *)-1 };

/* --- what is written --- */

static const char *const junk[] = {
	"",
	"x",
	"-1",
	"-0",
	"1e3",
	"0x10",
	"1 2 3 4",
	" 1",
	"1 ",
	"1\t",
	"99999999999999999999",
	"18446744073709551615",
	"18446744073709551616",
	"9223372036854775808",
	"max max",
	"MAX",
	"maximum",
	"1.5",
	"\xff\xfe",
	"1\n2",
	"\n\n",
	"K",
	"1KK",
	"%n%s",
	"/",
	"0-",
	"-",
	"1-0",
	"64",
	"0-64",
	"0,,1",
	",",
	"rr fair",
	"frozen",
	"2",
	"kill,errno",
	"99 1",
	"0 1",
	"9 0",
	"9 99999",
	"9 4294967297",
	"9 18446744073709551615",
	"open=",
	"=EPERM",
	"open=EWHAT",
	"nothing=EPERM",
	"open=log+",
	"open=log+log+kill",
	"all=",
};

/* The files that can be written, and which of the junk they take. */
static const struct {
	const char *name, *good;
	const char *takes; /* words of junk, between bars */
} files[] = {
	{ "pids.max", "max", "|2|64|0x10|" },
	{ "memory.max", "max", "|2|64|0x10|" },
	{ "files.max", "max", "|2|64|0x10|" },
	{ "memory.high", "max", "|2|64|0x10|" },
	{ "memory.min", "0", "|2|64|0x10|" },
	{ "memory.log", "0", "||" },
	{ "io.max", "254:0 wbps=max", "||" },
	{ "cpu.weight", "100", "|2|64|0x10|" },
	{ "cpu.max", "max 100000", "||" },
	{ "cpuset.cpus", "0", "||2|" },
	{ "sched.policy", "rr", "||" },
	{ "sched.log", "0", "||" },
	{ "syscalls.deny", "mkdir=EPERM", "||,|\n\n|" },
	{ "on_limit", "errno", "||" },
	{ "freeze", "0", "||" },
	{ "kill", NULL, "|2|64|0x10|" },
};

static bool taken(const char *list, const char *word)
{
	char text[64];

	snprintf(text, sizeof text, "|%s|", word);
	return strstr(list, text) != NULL;
}

/* All that the container's files say but what moves by itself. */
static void snapshot(int cid, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < COUNT(files); i++) {
		char path[128];
		snprintf(path, sizeof path, CONTROL "/%d/%s", cid, files[i].name);
		char *text = files[i].good ? get(path) : NULL;
		used += snprintf(out + used, size - used, "%s: %s", files[i].name,
				 text ? text : "");
	}
}

static void control_values(void)
{
	static char before[8192], after[8192];
	pid_t pid;

	world();
	int c = spawn();
	CFORKED(pid, c) idle();
	for (size_t i = 0; i < COUNT(files); i++) {
		snapshot(c, before, sizeof before);
		for (size_t k = 0; k < COUNT(junk); k++) {
			errno = 0;
			int r = control_set(c, files[i].name, junk[k]);
			int expected = EINVAL;
			if (!strcmp(files[i].name, "kill") && !strncmp(junk[k], "9 ", 2))
				expected = ESRCH;
			if (r == 0 && taken(files[i].takes, junk[k])) {
				if (files[i].good)
					OK(control_set(c, files[i].name, files[i].good));
				snapshot(c, before, sizeof before);
				continue;
			}
			if (r == 0 || errno != expected)
				FAIL("%s = \"%s\": %d, errno %d, expected %d", files[i].name,
				     junk[k], r, errno, expected);
		}
		snapshot(c, after, sizeof after);
		STREQ(after, before);
	}
	EQ(waitpid(pid, NULL, WNOHANG), 0); /* nobody was killed */
	EQ(info_of(c).state, CONTAINER_RUNNING);
	gone(c);
	EQ(reap(pid), 137);
}

/* How it is written: lengths and addresses that cannot be, a NUL inside; and how it is read. */
static void control_buffers(void)
{
	static char large[10000];
	char path[128];

	world();
	int c = spawn();
	memset(large, '1', sizeof large);
	for (size_t i = 0; i < COUNT(files); i++) {
		snprintf(path, sizeof path, CONTROL "/%d/%s", c, files[i].name);
		int fd = OK(open(path, files[i].good ? O_RDWR : O_WRONLY));
		ERR(write(fd, large, 4096), EINVAL);
		ERR(write(fd, large, sizeof large), EINVAL);
		ERR(write(fd, "1\0002", 3), EINVAL);
		for (size_t k = 0; k < COUNT(nowhere); k++)
			ERR(write(fd, nowhere[k], 5), EFAULT);
		ERR(pwrite(fd, "1", 1, -1), EINVAL);
		ERR(ftruncate(fd, -1), EINVAL);
		EQ((intptr_t)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), -1);
		if (files[i].good) {
			bool empty = !pread(fd, large, 1, 0);
			for (size_t k = 0; k < COUNT(nowhere) && !empty; k++)
				ERR(read(fd, nowhere[k], 5), EFAULT);
			ERR(pread(fd, large, 1, -1), EINVAL);
			EQ(pread(fd, large, sizeof large, 1L << 60), 0);
			memset(large, '1', sizeof large);
		}
		close(fd);
		ERR(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
		EQ(unlink(path), -1);
		EQ(rename(path, "/sys/x"), -1);
		EQ(link(path, "/sys/x"), -1);
		EQ(chmod(path, 0777), -1);
		EQ(chown(path, 1, 1), -1);
	}
	static const char *const names[] = { "0",      "-1",	     "00",
					     "01",     "4294967296", "4294967297",
					     "999999", "self/self",  "1x",
					     " 1",     "%d",	     "18446744073709551617" };
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(path, sizeof path, CONTROL "/%s/pids.max", names[i]);
		ERR(open(path, O_RDONLY), ENOENT);
		snprintf(path, sizeof path, CONTROL "/%s", names[i]);
		EQ(mkdir(path, 0755), -1);
		EQ(rmdir(path), -1);
	}
	gone(c);
}

/* Another user, and the container itself, may write nothing. */
static void control_rights(void)
{
	char path[128];
	pid_t pid;

	world();
	int c = spawn();
	FORKED(pid)
	{
		become(1000, 1000);
		for (size_t i = 0; i < COUNT(files); i++) {
			snprintf(path, sizeof path, CONTROL "/%d/%s", c, files[i].name);
			int fd = open(path, O_WRONLY);
			CHECK(fd < 0 && (errno == EACCES || errno == EPERM));
		}
	}
	EQ(reap(pid), 0);
	CFORKED(pid, c)
	for (size_t i = 0; i < COUNT(files); i++) {
		snprintf(path, sizeof path, CONTROL "/self/%s", files[i].name);
		ERR(open(path, O_WRONLY), EPERM);
		snprintf(path, sizeof path, CONTROL "/%d/%s", c, files[i].name);
		ERR(open(path, O_WRONLY), ENOENT);
	}
	EQ(reap(pid), 0);
	gone(c);
}

/* Files that were open when the container went. */
static void control_of_the_dead(void)
{
	static char text[4096];
	int fds[COUNT(files)];
	char path[128];

	world();
	int c = spawn();
	for (size_t i = 0; i < COUNT(files); i++) {
		snprintf(path, sizeof path, CONTROL "/%d/%s", c, files[i].name);
		fds[i] = OK(open(path, files[i].good ? O_RDWR : O_WRONLY));
	}
	snprintf(path, sizeof path, CONTROL "/%d", c);
	int dir = OK(open(path, O_RDONLY | O_DIRECTORY));
	gone(c);
	for (size_t i = 0; i < COUNT(files); i++) {
		if (files[i].good)
			ERR(read(fds[i], text, sizeof text), ESRCH);
		ERR(write(fds[i], files[i].good ? files[i].good : "9", 1), ESRCH);
		close(fds[i]);
	}
	ERR(openat(dir, "pids.max", O_RDONLY), ENOENT);
	close(dir);
	ERR(open(path, O_RDONLY), ENOENT);
}

/* --- the calls --- */

static int containers_now(void)
{
	DIR *d = opendir(CONTROL);
	int n = 0;

	REQUIRE(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* The errnos that spawncont documents. */
static bool spawn_errno(int e)
{
	static const int ok[] = { EINVAL, EFAULT, ENOENT,	ENOTDIR,   EEXIST,
				  EBUSY,  E2BIG,  ENAMETOOLONG, EOPNOTSUPP };

	for (size_t i = 0; i < COUNT(ok); i++)
		if (ok[i] == e)
			return true;
	return false;
}

/* Each address of the specification, and its own, leads nowhere. */
static void specification_at(const struct container_spec *good, char *bad)
{
	struct container_spec s = *good;

	ERR(syscall(SYS_spawncont, bad, sizeof s), EFAULT);
	s.deny = (uintptr_t)bad;
	if (bad)
		ERR(syscall(SYS_spawncont, &s, sizeof s), EFAULT);
	s = *good;
	s.binds = (uintptr_t)bad;
	s.bind_count = 1;
	ERR(syscall(SYS_spawncont, &s, sizeof s), EFAULT);
	struct container_bind b = { (uintptr_t)bad, (uintptr_t) "/in", 0, 0 };
	s.binds = (uintptr_t)&b;
	ERR(syscall(SYS_spawncont, &s, sizeof s), EFAULT);
	b = (struct container_bind){ (uintptr_t) "r", (uintptr_t)bad, 0, 0 };
	ERR(syscall(SYS_spawncont, &s, sizeof s), EFAULT);
}

/* Each word of the specification in turn with each hostile value. */
static void specifications(void)
{
	static const uint64_t words[] = { 0,
					  1,
					  8,
					  0x7fffffff,
					  0x80000000,
					  0xffffffff,
					  1ul << 32,
					  1ul << 62,
					  INT64_MAX,
					  1ul << 63,
					  UINT64_MAX,
					  0x7ffffffff000,
					  0xffffffff80000000,
					  0x0800000000000000,
					  0x4141414141414141 };
	struct container_spec good = spec_of("r");
	int before, made = 0;

	world();
	before = containers_now();
	for (size_t at = 0; at < sizeof good; at += 8)
		for (size_t i = 0; i < COUNT(words); i++) {
			struct container_spec s = good;
			memcpy((char *)&s + at, &words[i], 8);
			int c = syscall(SYS_spawncont, &s, sizeof s);
			if (c > 0) {
				made++;
				OK(DESTROY(c));
			} else if (!spawn_errno(errno)) {
				FAIL("word %zu = %#lx: errno %d", at / 8, words[i], errno);
			}
		}
	tap_say("# %d containers were made", made);
	EQ(containers_now(), before);
	for (size_t size = 0; size < sizeof good; size++) { /* cut off anywhere: the rest is zero */
		int c = syscall(SYS_spawncont, &good, size);
		if (c > 0)
			OK(DESTROY(c));
		else
			CHECK(spawn_errno(errno));
	}
	for (size_t k = 0; k < COUNT(nowhere); k++)
		specification_at(&good, nowhere[k]);
	struct container_spec s = good;
	s.bind_count = CONTAINER_BINDS_MAX + 1;
	ERR(syscall(SYS_spawncont, &s, sizeof s), EINVAL);
	EQ(containers_now(), before);
}

static void calls(void)
{
	static char info[65536];
	pid_t pid;

	world();
	int c = spawn();
	for (size_t k = 0; k < COUNT(nowhere); k++)
		for (size_t size = 1; size < 1000; size += 333)
			ERR(syscall(SYS_cinfo, c, nowhere[k], size), EFAULT);
	OK(syscall(SYS_cinfo, c, info, 0L));
	OK(syscall(SYS_cinfo, c, info, 4096L));
	static const long sizes[] = { 4097, INT64_MAX, INT64_MIN, -1, 1L << 32 };
	for (size_t i = 0; i < COUNT(sizes); i++)
		ERR(syscall(SYS_cinfo, c, info, sizes[i]), E2BIG);
	/* states in which each makes no sense */
	ERR(CPAUSE(c), EINVAL);
	ERR(CRESUME(c), EINVAL);
	ERR(JOIN(c), EINVAL);
	ERR(LEAVE(), EPERM);
	CFORKED(pid, c) idle();
	ERR(CRESUME(c), EINVAL);
	OK(CPAUSE(c));
	ERR(CPAUSE(c), EINVAL);
	ERR(JOIN(c), EINVAL);
	OK(CRESUME(c));
	int fd = OK(syscall(SYS_container_notify, c));
	ERR(syscall(SYS_container_notify, c), EBUSY);
	for (size_t k = 0; k < COUNT(nowhere); k++) {
		ERR(write(fd, nowhere[k], sizeof(struct cnotify_answer)), EFAULT);
		EQ((intptr_t)mmap(nowhere[k], 1, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0), -1);
	}
	for (size_t n = 0; n < sizeof(struct cnotify_answer); n++)
		ERR(write(fd, info, n), EINVAL);
	struct cnotify_answer a = { .id = 12345 };
	ERR(write(fd, &a, sizeof a), ENOENT);
	a.verdict = 99;
	ERR(write(fd, &a, sizeof a), EINVAL);
	a = (struct cnotify_answer){ .data_length = CNOTIFY_DATA_MAX + 1 };
	ERR(write(fd, &a, sizeof a), EINVAL);
	close(fd);
	fd = OK(syscall(SYS_container_sched, c));
	ERR((intptr_t)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096), EINVAL);
	ERR((intptr_t)mmap(NULL, 1 << 20, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	close(fd);
	gone(c);
	EQ(reap(pid), 137);
}

/* --- all at once --- */

enum { SLOTS = 6, HAMMERS = 4, SECONDS = 5 };

static bool call_errno(int e)
{
	return e == ESRCH || e == EINVAL || e == EBUSY || e == EAGAIN || e == ENOMEM ||
	       e == EPERM || e == EINTR;
}

static uint64_t random_of(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* What is done to a container that may be going; r is random. 0, or -1 and errno. */

static int pause_it(int cid, uint64_t r TAP_UNUSED)
{
	return CPAUSE(cid);
}

static int resume_it(int cid, uint64_t r TAP_UNUSED)
{
	return CRESUME(cid);
}

static int stop_it(int cid, uint64_t r TAP_UNUSED)
{
	return CSTOP(cid);
}

static int destroy_it(int cid, uint64_t r TAP_UNUSED)
{
	return DESTROY(cid);
}

static int fork_into(int cid, uint64_t r)
{
	pid_t pid = CFORK(cid);

	if (pid == 0) {
		if (r >> 20 & 1)
			fork();
		if (r >> 21 & 1)
			usleep(r >> 24 & 4095);
		_exit(0);
	}
	return pid < 0 ? -1 : 0;
}

static int join_it(int cid, uint64_t r)
{
	if (fork() == 0) {
		if (JOIN(cid) == 0 && r >> 20 & 1) {
			fork();
			LEAVE();
		}
		_exit(0);
	}
	return 0;
}

static int ask_about(int cid, uint64_t r TAP_UNUSED)
{
	struct cinfo info;

	return syscall(SYS_cinfo, cid, &info, sizeof info);
}

static int poll_and_close(int fd)
{
	if (fd < 0)
		return -1;
	poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0);
	close(fd);
	return 0;
}

static int watch_it(int cid, uint64_t r TAP_UNUSED)
{
	return poll_and_close(syscall(SYS_container_notify, cid));
}

static int manage_it(int cid, uint64_t r TAP_UNUSED)
{
	return poll_and_close(syscall(SYS_container_sched, cid));
}

/* Whatever comes of it. */
static int write_to(int cid, uint64_t r)
{
	size_t f = (r >> 16) % COUNT(files);
	uint64_t k = r >> 24;

	control_set(cid, files[f].name,
		    k % 3 && files[f].good ? files[f].good : junk[k % COUNT(junk)]);
	return 0;
}

static int read_from(int cid, uint64_t r)
{
	static const char *const names[] = { "procs",		"cpu.stat", "events",
					     "sched.state",	"state",    "memory.map",
					     "syscalls.events", "name" };
	char path[128], text[512];

	snprintf(path, sizeof path, CONTROL "/%d/%s", cid, names[(r >> 16) % COUNT(names)]);
	tap_slurp(path, text, sizeof text);
	return 0;
}

static int (*const deeds[])(int cid, uint64_t r) = {
	pause_it,   resume_it, stop_it,	 fork_into, join_it,  ask_about, watch_it,  manage_it,
	destroy_it, write_to,  write_to, write_to,  write_to, read_from, read_from, read_from,
};

/* The ids are in WORD(0..). */
static void deed(uint64_t r)
{
	int cid = WORD(r % SLOTS);
	unsigned number = (r >> 8) % COUNT(deeds);

	if (cid && deeds[number](cid, r) < 0 && !call_errno(errno))
		FAIL("deed %u: errno %d", number, errno);
}

static void hammer(uint64_t seed)
{
	for (int i = 0; i < 20; i++)
		random_of(&seed);
	while (!WORD(100)) {
		deed(random_of(&seed));
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	/* those that it put into a container end with it */
	for (int i = 0; i < SLOTS; i++)
		if (WORD(i))
			DESTROY(WORD(i));
	while (wait(NULL) > 0)
		;
}

static void while_they_go(void)
{
	pid_t pid[HAMMERS];

	world();
	uint64_t seed = (uint64_t)now_ms() * 2654435761u ^ getpid();
	const char *given = getenv("BADINPUT_SEED");
	if (given)
		seed = strtoull(given, NULL, 0);
	tap_say("# BADINPUT_SEED=%#llx", (unsigned long long)seed);
	int before = containers_now(), rounds = 0;
	for (int i = 0; i < HAMMERS; i++)
		FORKED(pid[i]) hammer(seed + 0x9e3779b97f4a7c15 * (i + 1));
	for (long long end = now_ms() + SECONDS * 1000; now_ms() < end; rounds++) {
		struct container_spec s = spec_of("r");
		int slot = rounds % SLOTS, old = WORD(slot);
		s.pids_max = 20;
		WORD(slot) = OK(syscall(SYS_spawncont, &s, sizeof s));
		if (old)
			DESTROY(old); /* -1, ESRCH: somebody else was faster */
	}
	WORD(100) = 1;
	for (int i = 0; i < HAMMERS; i++)
		EQ(reap(pid[i]), 0);
	for (int i = 0; i < SLOTS; i++)
		if (WORD(i))
			DESTROY(WORD(i));
	tap_say("# %d containers", rounds);
	CHECK(rounds > 20);
	EQ(containers_now(), before);
}

static const struct tap_case cases[] = {
	T(control_values), T(control_buffers), T(control_rights), T(control_of_the_dead),
	T(specifications), T(calls),	       T(while_they_go),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
