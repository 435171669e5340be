/* SPDX-License-Identifier: MIT */
/*
 * tap.h - the harness of the tests that run in the guest.
 *
 * A test file is a table of cases:
 *
 *	static void opens(void) { ERR(open("/nowhere", O_RDONLY), ENOENT); }
 *	static const struct tap_case cases[] = { T(opens) };
 *	int main(int argc, char **argv) { return TAP_RUN(cases, argc, argv); }
 *
 * Each case runs in a forked child, which leads its own process group and has TAP_SECONDS to
 * finish. A check that fails prints `# file:line: what` and counts; the case goes on, unless the
 * check was a REQUIRE. Checks may also be made in descendants of the case: the count is in shared
 * memory. A case ends with a check that it left as many descriptors open as it found, a file with
 * one that the kernel's object counters (/proc/skerry/objects, lines `name count`) are back where
 * they were; Linux has no such file, and the check is skipped there.
 *
 * Arguments select cases by name; -l lists them. All output goes through write(2), a line at a
 * time. The harness itself needs no more of the kernel than fork, wait4, mmap, write and alarm;
 * whatever else it calls may fail.
 */
#ifndef TESTS_GUEST_TAP_H
#define TESTS_GUEST_TAP_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TAP_SECONDS 300
#define TAP_FDS	    256
#define TAP_OBJECTS "/proc/skerry/objects"
#define TAP_UNUSED  __attribute__((unused))

struct tap_case {
	const char *name;
	void (*fn)(void);
};

/* What a case, its descendants and the harness share. word[] is the case's own, zeroed before it.
 */
struct tap_shared {
	int failures;
	int skipped;
	char reason[128];
	volatile int word[512];
};

static struct tap_shared *tap;
static pid_t tap_pid;			/* the process of the case */
static void (*tap_at_end)(void);	/* undoes what the case set up; run in the case's process */
static const char *tap_self TAP_UNUSED; /* argv[0] */
static int tap_fds_before;

#define WORD(n) (tap->word[n])
#define T(fn)           \
	{               \
#fn, fn \
	}
#define COUNT(a)		   (sizeof(a) / sizeof((a)[0]))
#define TAP_RUN(cases, argc, argv) tap_run(cases, COUNT(cases), argc, argv)

/* Prints one line, in one write. */
__attribute__((format(printf, 1, 2))) static void tap_say(const char *format, ...)
{
	char line[512];
	int saved = errno;
	va_list args;

	va_start(args, format);
	int n = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	if (n > (int)sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	ssize_t done TAP_UNUSED = write(STDOUT_FILENO, line, n);
	errno = saved;
}

__attribute__((format(printf, 3, 4))) TAP_UNUSED static void tap_fail(const char *file, int line,
								      const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	__atomic_add_fetch(&tap->failures, 1, __ATOMIC_SEQ_CST);
	const char *base = strrchr(file, '/');
	tap_say("# %s:%d: %s", base ? base + 1 : file, line, text);
}

static int tap_count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < TAP_FDS; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Ends the case from any depth; a descendant only ends itself. */
_Noreturn static void tap_end(void)
{
	if (getpid() == tap_pid) {
		if (tap_at_end)
			tap_at_end();
		int now = tap_count_fds();
		if (now != tap_fds_before && !tap->skipped)
			tap_fail("tap.h", __LINE__, "descriptors: %d open before, %d after",
				 tap_fds_before, now);
	}
	_exit(tap->failures ? 1 : 0);
}

#define FAIL(...) tap_fail(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(condition)                                \
	do {                                            \
		if (!(condition))                       \
			FAIL("not so: %s", #condition); \
	} while (0)

#define REQUIRE(condition)                                                                       \
	do {                                                                                     \
		if (!(condition)) {                                                              \
			FAIL("required: %s (errno %d, %s)", #condition, errno, strerror(errno)); \
			tap_end();                                                               \
		}                                                                                \
	} while (0)

#define EQ(got, expected)                                                             \
	do {                                                                          \
		long long got_ = (long long)(got), expected_ = (long long)(expected); \
		if (got_ != expected_)                                                \
			FAIL("%s = %lld, expected %lld", #got, got_, expected_);      \
	} while (0)

#define STREQ(got, expected)                                                               \
	do {                                                                               \
		const char *got_ = (got), *expected_ = (expected);                         \
		if (!got_ || strcmp(got_, expected_))                                      \
			FAIL("%s = \"%s\", expected \"%s\"", #got, got_ ? got_ : "(null)", \
			     expected_);                                                   \
	} while (0)

/* The call's result, which must not be -1. */
#define OK(call)                                                                 \
	({                                                                       \
		__typeof__(call) result_ = (call);                               \
		if ((long long)result_ == -1)                                    \
			FAIL("%s: errno %d, %s", #call, errno, strerror(errno)); \
		result_;                                                         \
	})

/* The call must fail with this errno. */
#define ERR(call, expected)                                                                     \
	do {                                                                                    \
		errno = 0;                                                                      \
		long long result_ = (long long)(call);                                          \
		int errno_ = errno;                                                             \
		if (result_ != -1)                                                              \
			FAIL("%s = %lld, expected %s", #call, result_, #expected);              \
		else if (errno_ != (expected))                                                  \
			FAIL("%s: errno %d (%s), expected %s", #call, errno_, strerror(errno_), \
			     #expected);                                                        \
	} while (0)

/* The rest of the case does not apply here. */
#define SKIP(why)                                                     \
	do {                                                          \
		tap->skipped = 1;                                     \
		snprintf(tap->reason, sizeof tap->reason, "%s", why); \
		tap_end();                                            \
	} while (0)

/* FORKED(pid) { what the child does } ; the child ends with status 0 after it. No break inside. */
#define FORKED(pid)                \
	if (((pid) = fork()) == 0) \
		for (;; _exit(0))

static TAP_UNUSED long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static TAP_UNUSED void sleep_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* Polls until the condition holds, at most 20 s. */
#define AWAIT(condition)                                  \
	do {                                              \
		long long until_ = now_ms() + 120000;     \
		while (!(condition) && now_ms() < until_) \
			sleep_ms(2);                      \
		REQUIRE(condition);                       \
	} while (0)

/* The child's exit code, 128 + the signal that ended it, or -1. */
static TAP_UNUSED int reap(pid_t pid)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (got != pid || pid < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The state letter of /proc/PID/stat, 0 if there is none. */
static TAP_UNUSED char process_state(pid_t pid)
{
	char path[64], text[256];

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	char *end = strrchr(text, ')');
	return end && end[1] == ' ' ? end[2] : 0;
}

/* Waits until the process sleeps in a call; without /proc, for a time that should do. */
static TAP_UNUSED void await_asleep(pid_t pid)
{
	if (!process_state(pid)) {
		sleep_ms(200);
		return;
	}
	AWAIT(process_state(pid) == 'S');
	sleep_ms(5);
}

static TAP_UNUSED bool on_skerry(void)
{
	return syscall(1009) >= 0; /* getcid */
}

static ssize_t tap_slurp(const char *path, char *text, size_t size)
{
	ssize_t n, used = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while ((size_t)used < size - 1 && (n = read(fd, text + used, size - 1 - used)) > 0)
		used += n;
	close(fd);
	text[used] = 0;
	return used;
}

/* Counters that caches move; a difference of so much is no leak. */
static const struct {
	const char *name;
	long slack;
} tap_cached[] = { { "free_pages", 1024 }, { "kstack-place", 64 }, { "kmalloc-96", 64 } };

static long tap_slack(const char *name)
{
	for (size_t i = 0; i < COUNT(tap_cached); i++)
		if (!strcmp(tap_cached[i].name, name))
			return tap_cached[i].slack;
	return 0;
}

/* Prints the counters that tell of a leak; true if there are any. Fewer is no leak: what ended
 * before the test began may go while it runs. */
static bool tap_objects_leak(const char *before, const char *after, bool print)
{
	bool leak = false;

	for (const char *line = after; *line;) {
		char name[64];
		long now, then = 0;
		if (sscanf(line, "%63s %ld", name, &now) == 2) {
			size_t n = strlen(name);
			for (const char *p = before; *p; p += strcspn(p, "\n"), p += *p == '\n')
				if (!strncmp(p, name, n) && p[n] == ' ')
					then = strtol(p + n, NULL, 10);
			if (strcmp(name, "free_pages") == 0 ? then - now > tap_slack(name)
							    : now - then > tap_slack(name)) {
				leak = true;
				if (print)
					tap_say("# kernel objects: %s %ld before, %ld after", name,
						then, now);
			}
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return leak;
}

static char tap_before[8192], tap_after[8192];

/*
 * The pages of this program that the check itself uses must not count: all are in use before. What
 * ended just before may still be on its way out: so they do not shrink within 20 ms.
 */
static void tap_objects_begin(void)
{
	memset(tap_after, 1, sizeof tap_after);
	memset(tap_before, 1, sizeof tap_before);
	tap_before[0] = tap_after[0] = 0;
	tap_slurp(TAP_OBJECTS, tap_before, sizeof tap_before);
	tap_objects_leak(tap_before, tap_before, false);
	for (int i = 0; i < 1000 && *tap_before; i++) {
		tap_slurp(TAP_OBJECTS, tap_before, sizeof tap_before);
		sleep_ms(20);
		tap_slurp(TAP_OBJECTS, tap_after, sizeof tap_after);
		if (!tap_objects_leak(tap_after, tap_before, false))
			break;
	}
}

/* The kernel may free some objects a little later: it gets twenty seconds. */
static int tap_objects_check(int number)
{
	const char *before = tap_before;
	char *after = tap_after;
	const char *what = "no kernel object leaked";

	if (!*before) {
		tap_say("ok %d - %s # SKIP no " TAP_OBJECTS, number, what);
		return 0;
	}
	for (int i = 0; i < 400; i++) {
		if (tap_slurp(TAP_OBJECTS, after, sizeof tap_after) > 0 &&
		    !tap_objects_leak(before, after, false)) {
			tap_say("ok %d - %s", number, what);
			return 0;
		}
		sleep_ms(50);
	}
	tap_objects_leak(before, after, true);
	tap_say("not ok %d - %s", number, what);
	return 1;
}

_Noreturn static void tap_case_main(const struct tap_case *c)
{
	tap_pid = getpid();
	setpgid(0, 0);
	alarm(TAP_SECONDS);
	tap_fds_before = tap_count_fds();
	c->fn();
	tap_end();
}

static int tap_case_run(int number, const struct tap_case *c)
{
	int status = 0;
	pid_t pid, got;

	memset(tap, 0, sizeof *tap);
	pid = fork();
	if (pid == 0)
		tap_case_main(c);
	do
		got = wait4(pid, &status, 0, NULL);
	while (got < 0 && errno == EINTR);
	kill(-pid, SIGKILL);
	if (got != pid)
		tap_fail("tap.h", __LINE__, "fork or wait4: %s", strerror(errno));
	else if (WIFSIGNALED(status))
		tap_fail("tap.h", __LINE__, "ended by signal %d%s", WTERMSIG(status),
			 WTERMSIG(status) == SIGALRM ? " (too slow)" : "");
	else if (WEXITSTATUS(status) && !tap->failures)
		tap_fail("tap.h", __LINE__, "exit status %d", WEXITSTATUS(status));
	bool bad = tap->failures;
	if (!bad && tap->skipped)
		tap_say("ok %d - %s # SKIP %s", number, c->name, tap->reason);
	else
		tap_say("%sok %d - %s", bad ? "not " : "", number, c->name);
	return bad;
}

static bool tap_selected(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc < 2;
}

static TAP_UNUSED int tap_run(const struct tap_case *cases, size_t count, int argc, char **argv)
{
	int bad = 0, number = 0, plan = 1;

	tap_self = argv[0];
	if (argc > 1 && !strcmp(argv[1], "-l")) {
		for (size_t i = 0; i < count; i++)
			tap_say("%s", cases[i].name);
		return 0;
	}
	tap = mmap(NULL, sizeof *tap, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tap == MAP_FAILED) {
		tap_say("Bail out! mmap of the shared page: %s", strerror(errno));
		return 1;
	}
	for (size_t i = 0; i < count; i++)
		plan += tap_selected(cases[i].name, argc, argv);
	tap_say("1..%d", plan);
	memset(tap, 0, sizeof *tap);
	tap_objects_begin();
	for (size_t i = 0; i < count; i++)
		if (tap_selected(cases[i].name, argc, argv))
			bad += tap_case_run(++number, &cases[i]);
	bad += tap_objects_check(++number);
	return bad ? 1 : 0;
}

#endif
