/* SPDX-License-Identifier: MIT */
/*
 * badinput.c - every implemented Linux call with hostile arguments.
 *
 * A table names each call and the kinds of its arguments; a kind has a plain value, with which the
 * call makes sense, and hostile ones. Two uses are made of it:
 *
 * - One at a time: each argument in turn takes each hostile value, the others are plain, each in a
 *   forked child with fresh state. The errno is compared with badinput.h, which was recorded on
 *   Linux (`badinput --record >badinput.h`; '*' there: not compared).
 * - Hammering: 4 threads call at random with all arguments hostile, while another thread unmaps and
 *   maps a page that is among them and one wakes those who block, in child after child for
 *   BADINPUT_SECONDS (default 6). The seed is printed; BADINPUT_SEED repeats it. Only survival
 * counts.
 *
 * Calls that would end or block the caller for good (exit, pause, rt_sigreturn), fork and clone,
 * and values that could do damage (pid -1, true reboot magic, a new time or host name) are not in
 * it.
 */
#include "scratch.h"
#include "badinput.h"
#include "badinput_calls.h"
#include <string.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/wait.h>
#include <sys/prctl.h>
#include <stdio.h>
#include <dirent.h>
#include <pthread.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define PAGE 4096L

/* Memory: [zero (read-only)] [none] [buffer] [hole] [long path] [hole] [racing]. */
static char *zero, *none, *buffer, *hole, *path_page, *racing, *long_path;
static int fd_file, fd_dir, fd_pipe, fd_socket, fd_path;

static void make_memory(void)
{
	/* at a fixed place, far from all else, so that long lengths mean the same everywhere */
	char *m = mmap((void *)0x200000000000, 16 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(m == (char *)0x200000000000);
	zero = m;
	none = m + PAGE;
	buffer = m + 2 * PAGE;
	hole = m + 4 * PAGE;
	path_page = m + 5 * PAGE;
	racing = m + 8 * PAGE;
	long_path = m + 10 * PAGE;
	memset(path_page, 'a', PAGE); /* not terminated: what follows is not there */
	memset(long_path, 'a', 5000);
	REQUIRE(!mprotect(zero, PAGE, PROT_READ) && !mprotect(none, PAGE, PROT_NONE));
	munmap(hole, PAGE);
	munmap(path_page + PAGE, 2 * PAGE);
}

static void make_files(void)
{
	int p[2], s[2];

	fd_file = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);
	fchmod(fd_file, 0644);
	ftruncate(fd_file, 100);
	unlink("none");
	rmdir("none");
	unlink("d/f");
	rmdir("d/f");
	unlink("d/none");
	mkdir("d", 0755);
	fd_dir = open("d", O_RDONLY | O_DIRECTORY);
	fd_path = open("f", O_PATH);
	pipe2(p, O_NONBLOCK);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
	fd_pipe = p[0];
	fd_socket = s[0];
}

#define KERNEL_ADDRESS 0xffffffff80000000L
#define NOT_CANONICAL  0x0800000000000000L
#define MOST	       24

static int copy_values(long *v, const long *values, size_t size)
{
	memcpy(v, values, size);
	return size / sizeof *v;
}

#define VALUES(...) \
	copy_values(v, (const long[]){ __VA_ARGS__ }, sizeof((const long[]){ __VA_ARGS__ }))

static int hostile_address(char kind, long *v)
{
	switch (kind) {
	case 'p':
		return VALUES(0, 8, (long)hole, (long)none, KERNEL_ADDRESS, NOT_CANONICAL, -1,
			      (long)path_page, (long)long_path, (long)zero, (long)"f", (long)"f/x",
			      (long)"none", (long)"d", (long)"none/x");
	case 'r':
		return VALUES(0, 8, (long)hole, (long)none, KERNEL_ADDRESS, NOT_CANONICAL, -1,
			      (long)none - 1, (long)zero);
	case 'w':
		return VALUES(0, 8, (long)hole, (long)none, KERNEL_ADDRESS, NOT_CANONICAL, -1,
			      (long)zero, (long)hole - 1, (long)buffer);
	case 'x':
		return VALUES(0, 8, (long)hole, (long)none, KERNEL_ADDRESS, NOT_CANONICAL, -1);
	case 'X':
		return VALUES(KERNEL_ADDRESS, NOT_CANONICAL, -1);
	case 'a':
		return VALUES(0, 1, PAGE, (long)hole, KERNEL_ADDRESS, NOT_CANONICAL,
			      0x7ffffffff000L, -PAGE, (long)buffer + 1);
	}
	return 0;
}

/* The hostile values of a kind; their number. The order is the one of badinput.h. */
static int hostile(char kind, long *v)
{
	switch (kind) {
	case 'f':
	case 'S':
	case 'd':
		return VALUES(-1, 999, 0x7fffffff, INT32_MIN, fd_file, fd_dir, fd_pipe, fd_socket,
			      fd_path);
	case 'D':
		return VALUES(-1, 999, AT_FDCWD, fd_file, fd_dir, fd_pipe, fd_path);
	case 'n':
		return VALUES(0, 1, -1, INT64_MIN, INT64_MAX, 1L << 62, 0x7fffffff);
	case 'o':
		return VALUES(0, 1, -1, INT64_MIN, INT64_MAX, 1L << 62);
	case 'i':
		return VALUES(-1, INT32_MIN, 0x40000000, 0x7fffffff, 99, 1 << 20);
	case 'j':
		return VALUES(-1, INT32_MIN, 0x40000000, 0x7fffffff, 77777);
	case 'k':
		return VALUES(0, 1);
	case 'm':
		return VALUES(0, 07777, -1);
	case 'u':
		return VALUES(-1, 0);
	case 's':
		return VALUES(-1, 65, 1000, 0);
	case 'P':
		return VALUES(999999, 0x7fffffff);
	}
	return hostile_address(kind, v);
}

static long plain(const char *token)
{
	if (token[1] == '=')
		return strtol(token + 2, NULL, 10);
	switch (token[0]) {
	case 'f':
		return fd_file;
	case 'S':
		return fd_socket;
	case 'd':
		return fd_dir;
	case 'D':
		return AT_FDCWD;
	case 'p':
		return (long)"f";
	case 'r':
		return (long)zero;
	case 'w':
	case 'a':
		return (long)buffer;
	case 'm':
		return 0644;
	case 'u':
		return -1;
	case 'X':
		return KERNEL_ADDRESS;
	}
	return 0;
}

/* The tokens of the kinds; their number. */
static int split(const struct call *c, const char *token[6])
{
	int n = 0;

	for (const char *p = c->kinds; *p;) {
		token[n++] = p;
		p += strcspn(p, " ");
		p += *p == ' ';
	}
	return n;
}

/* The call in a child with fresh state: 0, an errno, 200 + signal. */
static int outcome(const struct call *c, int argument, int which)
{
	const char *token[6];
	int n = split(c, token);
	pid_t pid;

	WORD(0) = -1;
	FORKED(pid)
	{
		struct rlimit no_core = { 0, 0 };
		long a[6] = { 0 }, list[MOST];
		syscall(SYS_setrlimit, RLIMIT_CORE, &no_core);
		make_files();
		for (int i = 0; i < n; i++)
			a[i] = plain(token[i]);
		if (argument >= 0) {
			hostile(token[argument][0], list);
			a[argument] = list[which];
		}
		struct {
			long interval[2], value[2];
		} t = { { 0, 0 }, { 0, 700000 } };
		syscall(SYS_setitimer, 0, &t, NULL);
		errno = 0;
		long r = syscall(c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
		WORD(0) = r < 0 && r >= -4095 ? errno : 0;
		syscall(SYS_exit_group, 0);
	}
	int status;
	REQUIRE(waitpid(pid, &status, 0) == pid);
	return WORD(0) >= 0 ? WORD(0) : 200 + (status & 0x7f);
}

/*
 * Linux's answers that follow from nothing but the order of its code, or from features that are no
 * error to lack: --record writes them as '*'. values: a bit for each, all: -1.
 */
static const struct {
	const char *name;
	int argument, values;
} accidental[] = {
	{ "poll", 0, 0x70 },
	{ "ppoll", 0, 0x70 }, /* no entries: is the address looked at? */
	{ "mmap", 1, 0x40 },  /* 2 GiB: overcommitment */
	{ "mmap", 3, 0x29 },  /* many flags at once, or no type */
	{ "readv", 0, 0x20 },
	{ "preadv", 0, 0x20 },
	{ "preadv2", 0, 0x20 }, /* no bytes */
	{ "readv", 2, 0x28 },
	{ "writev", 2, 0x28 },
	{ "preadv", 2, 0x28 },
	{ "pwritev", 2, 0x28 },
	{ "preadv2", 2, 0x28 },
	{ "pwritev2", 2, 0x28 }, /* low 32 bits */
	{ "preadv2", 5, -1 },
	{ "pwritev2", 5, -1 }, /* flags for no bytes */
	{ "pwritev", 0, 0x40 },
	{ "pwritev2", 0, 0x40 }, /* a pipe's wrong end: ESPIPE or EBADF */
	{ "msync", 1, 4 },
	{ "mlock", 1, 4 },
	{ "munlock", 1, 4 },
	{ "mlock2", 1, 4 },
	{ "sendto", 3, -1 },
	{ "recvfrom", 3, -1 },
	{ "sendmsg", 2, -1 },
	{ "recvmsg", 2, -1 },
	{ "flock", 1, -1 }, /* the old LOCK_MAND */
	{ "sigaltstack", 0, 0x100 },
	{ "sigaltstack", 1, -1 }, /* the stack that is set already */
	{ "futex", 0, 0x80 },
	{ "getdents64", 2, 0x14 },
	{ "clock_settime", 0, 3 },
	{ "iopl", 0, -1 }, /* some kernels are built without */
	{ "munmap", 1, 0x40 },
	{ "mremap", 1, 0x40 },
};

static bool is_accidental(const char *name, int argument, int value)
{
	for (size_t i = 0; i < COUNT(accidental); i++)
		if (!strcmp(accidental[i].name, name) && accidental[i].argument == argument &&
		    accidental[i].values >> value & 1)
			return true;
	return false;
}

static const char *recorded(const char *name)
{
	for (size_t i = 0; i < COUNT(badinput_recorded); i++)
		if (!strcmp(badinput_recorded[i].name, name))
			return badinput_recorded[i].errors;
	return NULL;
}

/* One call, each argument with each value, compared with the record (or printed as one). */
static void one_call(const struct call *c, bool record)
{
	const char *token[6], *expected = recorded(c->name);
	int n = split(c, token);
	long list[MOST];

	if (record)
		printf("\t{\"%s\", \"", c->name);
	else if (!expected) {
		FAIL("%s is not in the record", c->name);
		return;
	}
	for (int i = n ? 0 : -1; i < n; i++) {
		int values = i < 0 ? 1 : hostile(token[i][0], list);
		for (int k = 0; k < values; k++) {
			int got = outcome(c, i, k);
			if (record && is_accidental(c->name, i, k)) {
				printf("* ");
				continue;
			}
			if (record) {
				printf("%d ", got);
				continue;
			}
			char *end = (char *)expected + 1;
			if (*expected != '*') {
				int want = strtol(expected, &end, 10);
				if (got != want)
					FAIL("%s: argument %d (%c), value %d (%#lx): errno %d, "
					     "expected %d",
					     c->name, i + 1, i < 0 ? '-' : token[i][0], k,
					     i < 0 ? 0 : list[k], got, want);
			}
			expected = end + (*end == ' ');
		}
	}
	if (record)
		printf("\"},\n");
}

static void part(size_t from, size_t to)
{
	scratch();
	make_memory();
	for (size_t i = from; i < to && i < COUNT(calls); i++)
		one_call(&calls[i], false);
}

#define PART(n)                             \
	static void one_at_a_time_##n(void) \
	{                                   \
		part((n - 1) * 36, n * 36); \
	}
PART(1)
PART(2)
PART(3)
PART(4)
PART(5)
PART(6)

static volatile int stop;
static pid_t workers[4];
static uint64_t seed;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void on_wake(int s)
{
	(void)s;
}

static void *race(void *arg)
{
	while (!stop) {
		munmap(racing, PAGE);
		mmap(racing, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     -1, 0);
		if (arg)
			sched_yield();
	}
	return NULL;
}

static void *wake(void *arg)
{
	for (;;) {
		struct timespec t = { 0, 5000000 };
		syscall(SYS_nanosleep, &t, NULL);
		for (int i = 0; i < 4; i++)
			if (workers[i])
				syscall(SYS_tgkill, getpid(), workers[i], SIGURG);
	}
	return arg;
}

static void *hammer(void *arg)
{
	long me = (long)arg, list[MOST];
	uint64_t state = seed * 4 + me + 1;
	const char *token[6];

	workers[me] = syscall(SYS_gettid);
	for (int i = 0; i < 20; i++)
		next_random(&state);
	for (;;) {
		const struct call *c = &calls[next_random(&state) % COUNT(calls)];
		long a[6] = { 0 };
		int n = split(c, token);
		for (int i = 0; i < n; i++) {
			uint64_t r = next_random(&state);
			int values = hostile(token[i][0], list);
			char kind = token[i][0];
			if (r % 3 == 0)
				a[i] = plain(token[i]);
			else if (r % 3 == 1 && strchr("rwpa", kind))
				a[i] = (long)racing + ((r >> 8) % 2 ? 0 : PAGE - 8);
			else if (r % 7 == 0 && kind == 'i')
				a[i] = 1L << (r >> 8) % 32;
			else if (values)
				a[i] = list[(r >> 8) % values];
		}
		syscall(c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
	return NULL;
}

/* The tester's own machine must not be rebooted or get another time, whatever happens. */
static void drop_capabilities(void)
{
	unsigned int header[2] = { 0x20080522, 0 }, data[6];

	if (on_skerry())
		return;
	syscall(SYS_capget, header, data);
	for (int i = 0; i < 3; i++) /* CAP_SYS_MODULE, RAWIO, BOOT, TIME */
		data[i] &= ~(1U << 16 | 1U << 17 | 1U << 22 | 1U << 25);
	if (syscall(SYS_capset, header, data) < 0)
		_exit(1);
}

/* One child's life: it ends by what it does to itself, or is killed. */
static void hammer_process(void)
{
	pthread_t t;
	struct sigaction a = { .sa_handler = on_wake };
	struct rlimit memory = { 256 << 20, 256 << 20 }, small = { 1 << 20, 1 << 20 },
		      no_core = { 0, 0 };

	/* A path that getcwd() left in the buffers, cut short by the race, was "/tmp" or "/"
	 * before. */
	if (chroot("."))
		_exit(1);
	drop_capabilities();
	setrlimit(RLIMIT_AS, &memory);
	setrlimit(RLIMIT_FSIZE, &small);
	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGURG, &a, NULL);
	make_files();
	munmap(tap, sizeof *tap); /* or a long write might get there */
	pthread_create(&t, NULL, race, (void *)1);
	pthread_create(&t, NULL, wake, NULL);
	for (long i = 1; i < 4; i++)
		pthread_create(&t, NULL, hammer, (void *)i);
	hammer((void *)0);
}

/* Ends whoever the hostile calls have cut loose: as subreaper this process inherits them all. */
static void end_strays(void)
{
	for (bool any = true; any;) {
		DIR *d = opendir("/proc");
		any = false;
		for (struct dirent *e; d && (e = readdir(d));) {
			char path[300], line[256] = "", *p;
			snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
			FILE *f = atoi(e->d_name) ? fopen(path, "r") : NULL;
			if (f && fgets(line, sizeof line, f) && (p = strrchr(line, ')')) &&
			    atoi(p + 4) == getpid()) {
				kill(atoi(e->d_name), SIGKILL);
				any = true;
			}
			if (f)
				fclose(f);
		}
		if (d)
			closedir(d);
		while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
			;
	}
	if (on_skerry())
		sethostname("skerry", 6);
}

static void hammering(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	const char *given = getenv("BADINPUT_SEED"), *time = getenv("BADINPUT_SECONDS");
	long seconds = time ? strtol(time, NULL, 10) : 6;
	mode_t root = mode_of("/"), tmp = mode_of("/tmp");
	int lives = 0;

	scratch();
	make_memory();
	seed = given ? strtoull(given, NULL, 0) : (uint64_t)now_ms() * 2654435761u ^ getpid();
	tap_say("# BADINPUT_SEED=%#llx", (unsigned long long)seed);
	alarm(seconds + 50);
	for (long long end = now_ms() + seconds * 1000; now_ms() < end; lives++) {
		pid_t pid;
		seed += 0x9e3779b97f4a7c15;
		FORKED(pid)
		{
			syscall(SYS_setpgid, 0, 0);
			close(0);
			close(1); /* nothing is printed from here on */
			close(2);
			hammer_process();
		}
		for (int i = 0; i < 100 && waitpid(pid, NULL, WNOHANG) == 0 && now_ms() < end; i++)
			sleep_ms(5);
		kill(pid, SIGKILL);
		/* it must be possible to end it, whatever it is doing */
		long long killed = now_ms();
		while (waitpid(pid, NULL, WNOHANG) == 0) {
			sleep_ms(1);
			if (now_ms() - killed > 20000) {
				FAIL("process %d does not end", pid);
				tap_end();
			}
		}
	}
	tap_say("# %d processes", lives);
	CHECK(lives > 0);
	chmod(".", 0755);
	end_strays();
	EQ(mode_of("/"), root); /* what later tests need */
	EQ(mode_of("/tmp"), tmp);
}

/* Skerry's own calls: no such container, pointers that are not there, sizes that cannot be. */
static void own_calls(void)
{
	static const int by_id[] = { 1001, 1003, 1005, 1006, 1007, 1008, 1011, 1012 };
	static const long ids[] = { -1, INT32_MIN, 0x7fffffff, 123456 };
	static const long bad[] = { 0, 8, KERNEL_ADDRESS, NOT_CANONICAL, -1 };

	if (!on_skerry())
		SKIP("not on Skerry");
	make_memory();
	for (size_t c = 0; c < COUNT(by_id); c++)
		for (size_t i = 0; i < COUNT(ids); i++) {
			errno = 0;
			long r = syscall(by_id[c], ids[i]);
			if (r != -1 || errno != ESRCH)
				FAIL("%d(%ld): %ld, errno %d, expected ESRCH", by_id[c], ids[i], r,
				     errno);
		}
	for (size_t i = 0; i < COUNT(bad); i++) {
		ERR(syscall(1004, bad[i], 192L), EFAULT);
		ERR(syscall(1010, syscall(1009), bad[i], 64L), EFAULT);
	}
	static const long sizes[] = { -1, INT64_MIN, INT64_MAX, 1L << 62 };
	for (size_t i = 0; i < COUNT(sizes); i++) {
		long r = syscall(1004, buffer, sizes[i]);
		CHECK(r == -1 && (errno == E2BIG || errno == EINVAL || errno == EFAULT));
	}
	ERR(syscall(1002), EPERM); /* leave_container: one has not joined */
	for (int n = 1013; n < 1030; n++)
		ERR(syscall(n, -1, -1, -1), ENOSYS);
	ERR(syscall(-1), ENOSYS);
	ERR(syscall(5000), ENOSYS);
	ERR(syscall(INT64_MAX), ENOSYS);
}

/* Numbers that are no calls. */
static void numbers(void)
{
	static const long n[] = { -1, 350, 400, 423, 600, 999, 100000, INT32_MAX, INT32_MIN };

	for (size_t i = 0; i < COUNT(n); i++) {
		errno = 0;
		long r = syscall(n[i], -1, -1, -1, -1, -1, -1);
		if (r != -1 || errno != ENOSYS)
			FAIL("call %ld: %ld, errno %d", n[i], r, errno);
	}
}

static const struct tap_case cases[] = {
	T(one_at_a_time_1), T(one_at_a_time_2), T(one_at_a_time_3),
	T(one_at_a_time_4), T(one_at_a_time_5), T(one_at_a_time_6),
	T(hammering),	    T(own_calls),	T(numbers),
};

static int record_all(void)
{
	tap = mmap(NULL, sizeof *tap, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	tap_pid = getpid();
	scratch();
	make_memory();
	setvbuf(stdout, NULL, _IONBF, 0);
	for (size_t i = 0; i < COUNT(calls); i++)
		one_call(&calls[i], true);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--record"))
		return record_all();
	return TAP_RUN(cases, argc, argv);
}
