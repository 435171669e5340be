/* SPDX-License-Identifier: MIT */
/*
 * pause.c - a paused container and those inside it: nothing runs, one that was paused in its own
 * right stays so, what comes into being meanwhile is paused, too, and all of it can be ended.
 * (container_limits.c has one container by itself.)
 */
#include "cont.h"
#include <poll.h>
#include <sched.h>

#define NOTIFY(cid) ((int)syscall(SYS_container_notify, cid))

enum { OUTER, INNER, INNER_ID, READY, BORN, MADE };

_Noreturn static void count_up(int word)
{
	for (;;)
		WORD(word)++;
}

static bool stands_still(int word)
{
	int before = WORD(word);

	sleep_ms(40);
	return WORD(word) == before;
}

static void runs(int word)
{
	int before = WORD(word);

	AWAIT(WORD(word) != before);
}

/* Of the host's: one whose pid 1 made another inside it. Both have one that counts. */
struct family {
	int outer, inner;
	pid_t pid; /* of outer's pid 1 */
};

static struct family family(void)
{
	struct family f;

	world();
	REQUIRE(mkdir("r/inner", 0755) == 0);
	f.outer = spawn();
	CFORKED(f.pid, f.outer)
	{
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		pid_t child;
		CFORKED(child, d) count_up(INNER);
		WORD(INNER_ID) = d;
		count_up(OUTER);
	}
	AWAIT(WORD(OUTER) && WORD(INNER) && WORD(INNER_ID));
	f.inner = WORD(INNER_ID);
	return f;
}

static void family_gone(struct family f)
{
	gone(f.outer);
	EQ(reap(f.pid), 137);
}

static void states(struct family f, const char *outer, const char *inner)
{
	STREQ(control_get(f.outer, "state"), outer);
	STREQ(control_get(f.inner, "state"), inner);
}

static void inside_too(void)
{
	struct family f = family();

	OK(CPAUSE(f.outer));
	CHECK(stands_still(OUTER));
	CHECK(stands_still(INNER));
	states(f, "paused", "paused");
	EQ(info_of(f.inner).state, CONTAINER_PAUSED);
	STREQ(control_get(f.outer, "freeze"), "1");
	STREQ(control_get(f.inner, "freeze"), "0"); /* not in its own right */
	ERR(CRESUME(f.inner), EINVAL);
	CHECK(stands_still(INNER));
	ERR(CFORK(f.inner), EINVAL);
	ERR(JOIN(f.inner), EINVAL);
	OK(CRESUME(f.outer));
	runs(OUTER);
	runs(INNER);
	states(f, "running", "running");
	OK(control_set(f.outer, "freeze", "1"));
	CHECK(stands_still(INNER));
	OK(control_set(f.outer, "freeze", "0"));
	runs(INNER);
	family_gone(f);
}

static void in_its_own_right(void)
{
	struct family f = family();

	OK(CPAUSE(f.inner));
	CHECK(stands_still(INNER));
	runs(OUTER);
	states(f, "running", "paused");
	OK(CPAUSE(f.outer));
	OK(CRESUME(f.outer));
	runs(OUTER);
	CHECK(stands_still(INNER));
	states(f, "running", "paused");
	OK(CRESUME(f.inner));
	runs(INNER);
	/* the other way round: the inner one first goes on when both may */
	OK(CPAUSE(f.outer));
	OK(CPAUSE(f.inner));
	OK(CRESUME(f.outer));
	runs(OUTER);
	CHECK(stands_still(INNER));
	OK(CRESUME(f.inner));
	runs(INNER);
	OK(CPAUSE(f.outer));
	OK(CPAUSE(f.inner));
	OK(CRESUME(f.inner));
	CHECK(stands_still(INNER));
	states(f, "paused", "paused");
	OK(CRESUME(f.outer));
	runs(INNER);
	family_gone(f);
}

/* Who watches the state of the inner one hears that it changed. */
static void watched(void)
{
	struct family f = family();
	char path[64], text[32] = "";

	snprintf(path, sizeof path, "/sys/container/%d/state", f.inner);
	struct pollfd p = { .fd = OK(open(path, O_RDONLY | O_CLOEXEC)), .events = POLLPRI };
	REQUIRE(read(p.fd, text, sizeof text) > 0);
	EQ(poll(&p, 1, 0), 0);
	OK(CPAUSE(f.outer));
	EQ(poll(&p, 1, 20000), 1);
	EQ(p.revents & POLLPRI, POLLPRI);
	memset(text, 0, sizeof text);
	REQUIRE(pread(p.fd, text, sizeof text, 0) > 0);
	STREQ(text, "paused\n");
	OK(CRESUME(f.outer));
	EQ(poll(&p, 1, 20000), 1);
	close(p.fd);
	family_gone(f);
}

/* The letter that the state begins with: what is read here is read before the next poll. */
static char state_letter(int fd)
{
	char text[32] = "";

	REQUIRE(pread(fd, text, sizeof text, 0) > 0);
	return text[0];
}

/* However close the change is to the poll: SEEN counts changes that the watcher was woken for. */
static void each_change_wakes(void)
{
	enum { ROUNDS = 2000, SEEN = 10, LOOKING };
	pid_t pid, watcher;
	char path[64];

	world();
	int c = spawn();
	CFORKED(pid, c) idle();
	snprintf(path, sizeof path, "/sys/container/%d/state", c);
	FORKED(watcher)
	{
		struct pollfd p = { .fd = OK(open(path, O_RDONLY | O_CLOEXEC)), .events = POLLPRI };
		char last = state_letter(p.fd);
		while (WORD(SEEN) < ROUNDS) {
			WORD(LOOKING)++;
			EQ(poll(&p, 1, -1), 1);
			char now = state_letter(p.fd);
			WORD(SEEN) += now != last;
			last = now;
		}
	}
	for (int n = 0; n < ROUNDS; n++) {
		while (WORD(LOOKING) <= n)
			sched_yield();
		for (volatile int delay = n * 7 % 997; delay > 0; delay--)
			;
		OK(n % 2 ? CRESUME(c) : CPAUSE(c));
		while (WORD(SEEN) <= n) /* if it sleeps on, the harness's alarm ends this */
			sched_yield();
	}
	EQ(reap(watcher), 0);
	gone(c);
	EQ(reap(pid), 137);
}

static union {
	struct cnotify_call call;
	char bytes[CNOTIFY_CALL_MAX];
} record;

/* The next call of cid is held; meanwhile cid is paused; then the call is allowed. */
static void allow_paused(int fd, int paused)
{
	REQUIRE(read(fd, &record, sizeof record) > 0);
	OK(CPAUSE(paused));
	struct cnotify_answer a = { .id = record.call.id, .verdict = CNOTIFY_ALLOW };
	EQ(write(fd, &a, sizeof a), sizeof a);
}

/* A process that is born inside, below, while the container above is paused. */
static void born_meanwhile(void)
{
	pid_t pid;

	world();
	REQUIRE(mkdir("r/inner", 0755) == 0);
	int c = spawn();
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		pid_t child;
		CFORKED(child, d)
		{
			while (!WORD(READY))
				sleep_ms(1);
			if (syscall(SYS_fork) == 0)
				count_up(BORN);
			idle();
		}
		WORD(INNER_ID) = d;
		idle();
	}
	AWAIT(WORD(INNER_ID));
	int d = WORD(INNER_ID);
	OK(control_set(d, "syscalls.deny", "fork=notify"));
	int fd = OK(NOTIFY(d));
	WORD(READY) = 1;
	allow_paused(fd, c);
	AWAIT(info_of(d).pids_current == 2);
	CHECK(stands_still(BORN));
	EQ(WORD(BORN), 0);
	OK(CRESUME(c));
	AWAIT(WORD(BORN));
	close(fd);
	gone(c);
	EQ(reap(pid), 137);
}

static int container_count(void)
{
	DIR *dir = opendir("/sys/container");
	struct dirent *e;
	int n = 0;

	REQUIRE(dir);
	while ((e = readdir(dir)))
		n += e->d_name[0] >= '1' && e->d_name[0] <= '9';
	closedir(dir);
	return n;
}

/* A container that comes into being below one that is paused: nothing can be started in it. */
static void made_meanwhile(void)
{
	pid_t pid;

	world();
	REQUIRE(mkdir("r/inner", 0755) == 0);
	int c = spawn(), before = container_count();
	OK(control_set(c, "syscalls.deny", "spawncont=notify"));
	int fd = OK(NOTIFY(c));
	CFORKED(pid, c)
	{
		struct container_spec s = spec_of("/inner");
		int d = OK(syscall(SYS_spawncont, &s, sizeof s));
		pid_t child;
		WORD(MADE) = d;
		CFORKED(child, d) count_up(INNER);
		idle();
	}
	allow_paused(fd, c);
	AWAIT(container_count() == before + 1);
	sleep_ms(20);
	EQ(WORD(MADE), 0);
	int d = c + 1;
	STREQ(control_get(d, "state"), "created");
	ERR(CFORK(d), EINVAL);
	ERR(JOIN(d), EINVAL);
	ERR(CPAUSE(d), EINVAL); /* nothing runs in it */
	OK(CRESUME(c));
	AWAIT(WORD(INNER));
	EQ(WORD(MADE), d);
	close(fd);
	gone(c);
	EQ(reap(pid), 137);
}

static void ended_paused(void)
{
	for (int way = 0; way < 4; way++) {
		struct family f = family();
		if (way & 1)
			OK(CPAUSE(f.inner));
		OK(CPAUSE(f.outer));
		int before = WORD(INNER);
		if (way & 2) {
			OK(CSTOP(f.outer));
			EQ(reap(f.pid), 137);
			AWAIT(info_of(f.inner).state == CONTAINER_STOPPED);
			EQ(info_of(f.outer).state, CONTAINER_STOPPED);
			gone(f.outer);
		} else {
			family_gone(f);
		}
		struct cinfo info;
		ERR(syscall(SYS_cinfo, f.inner, &info, sizeof info), ESRCH);
		EQ(WORD(INNER), before); /* not one instruction more */
		scratch_leave();
		for (int i = 0; i <= MADE; i++)
			WORD(i) = 0;
	}
}

/* One inside is destroyed, or ended, while the one above is paused. */
static void inner_ended_paused(void)
{
	struct family f = family();

	OK(CPAUSE(f.outer));
	gone(f.inner);
	OK(CRESUME(f.outer));
	runs(OUTER);
	family_gone(f);
}

/* Pausing and resuming at both levels at once: in the end all run. */
static void both_at_once(void)
{
	struct family f = family();
	pid_t pid;

	FORKED(pid)
	{
		for (int i = 0; i < 200; i++) {
			OK(CPAUSE(f.inner));
			OK(CRESUME(f.inner));
		}
	}
	for (int i = 0; i < 200; i++) {
		OK(CPAUSE(f.outer));
		OK(CRESUME(f.outer));
	}
	EQ(reap(pid), 0);
	runs(OUTER);
	runs(INNER);
	family_gone(f);
}

static const struct tap_case cases[] = {
	T(inside_too),	      T(in_its_own_right),   T(watched),
	T(each_change_wakes), T(born_meanwhile),     T(made_meanwhile),
	T(ended_paused),      T(inner_ended_paused), T(both_at_once),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
