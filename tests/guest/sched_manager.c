/* SPDX-License-Identifier: MIT */
/*
 * sched_manager.c - managers: programs outside that choose which process of a container runs
 * (container_sched), by a page that they share with the kernel; also bad ones.
 */
#include "scheduling.h"
#include <poll.h>

static struct sched_page *managed(int cid, int *fd)
{
	*fd = syscall(SYS_container_sched, cid);
	REQUIRE(*fd >= 0);
	struct sched_page *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	REQUIRE(page != MAP_FAILED);
	return page;
}

static void manager_descriptor(void)
{
	int fd;

	world();
	ERR(syscall(SYS_container_sched, -1), ESRCH);
	ERR(syscall(SYS_container_sched, 0), ESRCH);
	ERR(syscall(SYS_container_sched, 999999), ESRCH);
	int c = spawn();
	struct sched_page *page = managed(c, &fd);
	STREQ(control_get(c, "sched.policy"), "manager");
	EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ERR(syscall(SYS_container_sched, c), EBUSY);
	ERR(read(fd, page, 1), EINVAL);
	ERR(write(fd, page, 1), EINVAL);
	EQ((long)mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0), -1);
	EQ((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096), -1);
	EQ((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), -1);
	struct pollfd p = { fd, POLLIN, 0 };
	EQ(poll(&p, 1, 0), 0);
	close(fd);
	page->tail = 5; /* still there, and nobody's */
	EQ(munmap(page, 4096), 0);
	page = managed(c, &fd);
	gone(c); /* with a manager */
	EQ(poll(&p, 1, 0), 0);
	close(fd);
	munmap(page, 4096);
}

/* Words that the two processes change. */
enum { OTHER_PID = 10, FAVOURED_PID, OTHER_COUNT = 20, FAVOURED_COUNT };

/* Pid 1 with two children that compute. */
_Noreturn static void compute_twice(void)
{
	for (int i = 0; i < 2; i++) {
		pid_t p;
		FORKED(p)
		{
			WORD(OTHER_PID + i) = getpid();
			for (;;)
				WORD(OTHER_COUNT + i)++;
		}
	}
	idle();
}

static void fill_with_choices(struct sched_page *page, uint32_t choice)
{
	while (page->tail - page->head < SCHED_CHOICES / 2) {
		page->choice[page->tail % SCHED_CHOICES] = choice;
		__atomic_fetch_add(&page->tail, 1, __ATOMIC_RELEASE);
	}
}

/* The manager chooses only one: the other gets nothing. */
static void one_is_favoured(int c, int fd, struct sched_page *page)
{
	long picks = 0;
	int favoured = 0, other = 0;

	for (int round = 0; round < 100 && picks < 20; round++) {
		struct pollfd p = { fd, POLLIN, 0 };
		int favoured_before = WORD(FAVOURED_COUNT), other_before = WORD(OTHER_COUNT);

		poll(&p, 1, 20);
		fill_with_choices(page, WORD(FAVOURED_PID));
		nap(20);
		favoured += WORD(FAVOURED_COUNT) != favoured_before;
		other += WORD(OTHER_COUNT) != other_before;
		picks = stat_of(c, "manager_picks");
	}
	tap_say("# %ld picks, %ld fall-backs; rounds with progress: %d, %d", picks,
		stat_of(c, "manager_fallbacks"), favoured, other);
	CHECK(picks >= 20);
	CHECK(favoured > other);
	EQ(page->picks <= (uint64_t)stat_of(c, "manager_picks"), 1);
}

/* It stalls: both go on, and it is counted. */
static void both_go_on_when_it_stalls(int c, int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	long fallbacks = stat_of(c, "manager_fallbacks");

	for (int i = 0; i < 1000 && !stat_of(c, "manager_stalls"); i++)
		nap(10);
	CHECK(stat_of(c, "manager_stalls") > 0);
	int before = WORD(OTHER_COUNT);
	for (int i = 0; i < 500 && WORD(OTHER_COUNT) == before; i++)
		nap(10);
	CHECK(WORD(OTHER_COUNT) != before);
	CHECK(stat_of(c, "manager_fallbacks") > fallbacks);
	EQ(poll(&p, 1, 5000), 1);
}

/* It dies: the same. */
static void both_go_on_when_it_dies(int c, int fd)
{
	close(fd);
	long fallbacks = stat_of(c, "manager_fallbacks");
	int other = WORD(OTHER_COUNT), favoured = WORD(FAVOURED_COUNT);
	for (int i = 0; i < 500 && (WORD(OTHER_COUNT) == other || WORD(FAVOURED_COUNT) == favoured);
	     i++)
		nap(10);
	CHECK(WORD(OTHER_COUNT) != other && WORD(FAVOURED_COUNT) != favoured);
	for (int i = 0; i < 500 && stat_of(c, "manager_fallbacks") == fallbacks; i++)
		nap(10);
	CHECK(stat_of(c, "manager_fallbacks") > fallbacks);
}

static void manager_chooses(void)
{
	pid_t pid;
	int fd;

	world();
	int c = spawn();
	OK(control_set(c, "cpuset.cpus", "0"));
	struct sched_page *page = managed(c, &fd);
	CFORKED(pid, c) compute_twice();
	AWAIT(WORD(OTHER_PID));
	AWAIT(WORD(FAVOURED_PID));
	one_is_favoured(c, fd, page);
	both_go_on_when_it_stalls(c, fd);
	both_go_on_when_it_dies(c, fd);
	munmap(page, 4096);
	OK(CSTOP(c));
	reap(pid);
	gone(c);
}

/* A manager that writes nonsense into its page hurts nobody. */
static void manager_writes_nonsense(void)
{
	pid_t pid, evil;
	int fd;

	world();
	int c = spawn();
	struct sched_page *page = managed(c, &fd);
	FORKED(evil)
	{
		uint32_t x = 1;
		for (;;) {
			uint32_t *words = (uint32_t *)page;
			x = x * 1664525 + 1013904223;
			words[(x >> 8) % 1024] = x;
			if (x & 1)
				page->choice[(x >> 9) % SCHED_CHOICES] = x % 12; /* some exist */
			if (!(x >> 30))
				page->tail = page->head + x % 1000;
		}
	}
	CFORKED(pid, c)
	{
		for (int i = 0; i < 4; i++)
			if (fork() == 0)
				spin();
		for (int n = 0; n < 100; n++) {
			pid_t child;
			FORKED(child) _exit(0);
			EQ(reap(child), 0);
			nap(1);
		}
		kill(-1, SIGKILL);
	}
	EQ(reap(pid), 0);
	end(evil);
	close(fd);
	munmap(page, 4096);
	gone(c);
}

static const struct tap_case cases[] = {
	T(manager_descriptor),
	T(manager_chooses),
	T(manager_writes_nonsense),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
