/* SPDX-License-Identifier: MIT */
/*
 * join_ends.c - what becomes of those that joined a container: who inherits their children and who
 * waits for them, what ends them, and what does not (pauses, races with destroy_container, memory
 * that is not there).
 */
#include "fail_nth.h"
#include "join.h"
#include <sys/prctl.h>

/* Children born inside stay there when their parent leaves, and when it ends. */
static void born_inside(void)
{
	pid_t pid, outside, child;

	world();
	int c = home();
	FORKED(pid)
	{
		FORKED(outside)
		{
			while (!WORD(5))
				sleep_ms(1);
			_exit(3);
		}
		OK(JOIN(c));
		FORKED(child)
		{
			EQ(GETCID(), c);
			EQ(getppid(), 2);
			WORD(0) = 1;
			while (getppid() == 2)
				sleep_ms(1);
			EQ(getppid(), 1); /* the pid 1 of the container */
			EQ(GETCID(), c);
			WORD(1) = 1;
			idle();
		}
		AWAIT(WORD(0));
		ERR(waitpid(outside, NULL, WNOHANG), ECHILD); /* no such pid here */
		EQ(waitpid(-1, NULL, WNOHANG), 0);
		EQ(waitpid(child, NULL, WNOHANG), 0);
		OK(LEAVE());
		ERR(waitpid(child, NULL, WNOHANG), ECHILD);
		WORD(5) = 1;
		EQ(reap(outside), 3);
		AWAIT(WORD(1));
		OK(JOIN(c));
		WORD(2) = 1;
		FORKED(child) idle();
		_exit(0);
	}
	EQ(reap(pid), 0);
	EQ(info_of(c).pids_current, 3);
	home_gone(c);
}

/* A parent that goes in meanwhile reaps its outside child when it is back. */
static void waits_later(void)
{
	pid_t pid, child;

	world();
	int c = home();
	FORKED(pid)
	{
		child = fork();
		if (!child) {
			while (!WORD(0))
				sleep_ms(1);
			_exit(5);
		}
		OK(JOIN(c));
		WORD(0) = 1;
		for (int i = 0; i < 20; i++) {
			ERR(waitpid(-1, NULL, 0), ECHILD);
			sleep_ms(1);
		}
		OK(LEAVE());
		EQ(reap(child), 5);
	}
	EQ(reap(pid), 0);
	home_gone(c);
}

/* The parent outside ends: who inherits its children outside waits for the one inside. */
static void parent_ends(void)
{
	pid_t pid;

	world();
	int c = home();
	OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	FORKED(pid)
	{
		pid_t child = fork();
		if (!child) {
			OK(JOIN(c));
			WORD(1) = 1;
			while (!WORD(0))
				sleep_ms(1);
			_exit(9);
		}
		WORD(2) = child;
		AWAIT(WORD(1));
	}
	EQ(reap(pid), 0);
	EQ(kill(WORD(2), 0), 0);
	WORD(0) = 1;
	EQ(reap(WORD(2)), 9);
	/* One that ends inside leaves those that it had outside to the outside. */
	FORKED(pid)
	{
		pid_t child = fork();
		if (!child) {
			while (!WORD(3))
				sleep_ms(1);
			_exit(11);
		}
		WORD(2) = child;
		OK(JOIN(c));
		_exit(0);
	}
	EQ(reap(pid), 0);
	WORD(3) = 1;
	EQ(reap(WORD(2)), 11);
	home_gone(c);
}

/* Its group and session wait for it, also if it was the last member, or led them. */
static void group_waits(void)
{
	pid_t pid, member;

	world();
	int c = home();
	FORKED(pid)
	{
		OK(setsid());
		FORKED(member) idle();
		OK(JOIN(c));
		OK(LEAVE());
		EQ(getsid(0), getpid());
		EQ(getpgrp(), getpid());
		EQ(kill(-getpgrp(), 0), 0);
		signal(SIGTERM, SIG_IGN);
		OK(kill(0, SIGTERM)); /* both are in the group again */
		EQ(reap(member), 128 + SIGTERM);
		ERR(setsid(), EPERM);
		OK(JOIN(c)); /* alone now */
		WORD(0) = 1;
		while (!WORD(1))
			sleep_ms(1);
		OK(LEAVE());
		EQ(getsid(0), getpid());
		EQ(getpgrp(), getpid());
		OK(JOIN(c));
		_exit(0); /* and the ids are free again: the leak check */
	}
	AWAIT(WORD(0));
	ERR(kill(-pid, 0), ESRCH); /* nobody is there */
	WORD(1) = 1;
	EQ(reap(pid), 0);
	home_gone(c);
}

static int end_by;

static void ended(int c)
{
	switch (end_by) {
	case 0:
		OK(DESTROY(c));
		break;
	case 1:
		OK(CSTOP(c));
		break;
	case 2:
		OK(kill(init_pid, SIGKILL));
	}
}

/* What ends the container ends those that joined, too, whatever they are doing. */
static void ends_with_it(void)
{
	pid_t asleep, busy_one, deaf;

	world();
	for (end_by = 0; end_by < 3; end_by++) {
		int c = home();
		WORD(0) = WORD(1) = WORD(2) = 0;
		FORKED(asleep)
		{
			OK(JOIN(c));
			WORD(0) = 1;
			idle();
		}
		FORKED(busy_one)
		{
			OK(JOIN(c));
			WORD(1) = 1;
			for (;;)
				;
		}
		FORKED(deaf)
		{
			sigset_t all;
			OK(JOIN(c));
			sigfillset(&all);
			sigprocmask(SIG_BLOCK, &all, NULL);
			WORD(2) = 1;
			pause();
		}
		AWAIT(WORD(0) && WORD(1) && WORD(2));
		ended(c);
		EQ(reap(asleep), 137);
		EQ(reap(busy_one), 137);
		EQ(reap(deaf), 137);
		EQ(reap(init_pid), 137);
		if (end_by)
			gone(c);
		ERR(JOIN(c), ESRCH);
	}
}

static void paused(void)
{
	pid_t pid;

	world();
	int c = home();
	FORKED(pid)
	{
		OK(JOIN(c));
		for (;;)
			WORD(0)++;
	}
	AWAIT(WORD(0));
	OK(CPAUSE(c));
	int before = WORD(0);
	sleep_ms(30);
	EQ(WORD(0), before);
	OK(CRESUME(c));
	AWAIT(WORD(0) != before);
	OK(CPAUSE(c));
	OK(kill(pid, SIGKILL));
	EQ(reap(pid), 137);
	OK(CRESUME(c));
	home_gone(c);
}

/* One that is paused while it leaves runs on outside: it is not inside any more. */
static void leaves_while_pausing(void)
{
	pid_t pid;

	world();
	int c = home();
	FORKED(pid)
	{
		for (int i = 0; i < 100; i++) {
			while (JOIN(c))
				EQ(errno, EINVAL);
			OK(LEAVE());
		}
		WORD(0) = 1;
	}
	while (!WORD(0)) {
		OK(CPAUSE(c));
		OK(CRESUME(c));
		sleep_ms(1);
	}
	EQ(reap(pid), 0);
	home_gone(c);
}

static void comes_and_goes(int c, int word)
{
	while (!WORD(word)) {
		if (JOIN(c)) {
			CHECK(errno == ESRCH || errno == EINVAL);
			_exit(WORD(200) ? 0 : 1);
		}
		pid_t child = fork();
		if (!child)
			_exit(0);
		reap(child);
		OK(LEAVE());
		WORD(word + 1)++;
	}
}

/* Several come and go while the container is destroyed under them. */
static void races_with_destroy(void)
{
	pid_t pid[4];

	world();
	for (int round = 0; round < 15; round++) {
		int c = home();
		memset((void *)tap->word, 0, sizeof tap->word);
		for (size_t i = 0; i < COUNT(pid); i++)
			FORKED(pid[i]) comes_and_goes(c, 2 * i);
		AWAIT(WORD(1) > 3);
		WORD(200) = 1;
		if (round % 3 == 1)
			OK(CSTOP(c));
		if (round % 3 == 2)
			OK(kill(init_pid, SIGKILL));
		OK(DESTROY(c));
		for (size_t i = 0; i < COUNT(pid); i++) {
			int status = reap(pid[i]);
			CHECK(status == 137 || status == 0);
		}
		EQ(reap(init_pid), 137);
	}
}

/* cfork into a container whose pid 1 ends now: the newcomer ends with it. */
static void fork_into_the_end(void)
{
	pid_t pid, forker;

	world();
	for (int round = 0; round < 20; round++) {
		int c = home();
		WORD(0) = 0;
		FORKED(forker)
		{
			WORD(0) = 1;
			for (int i = 0; i < 50; i++) {
				pid = CFORK(c);
				if (!pid)
					idle();
				if (pid < 0)
					break;
				if (i > 20)
					break;
			}
			while (waitpid(-1, NULL, 0) > 0)
				;
		}
		AWAIT(WORD(0));
		OK(kill(init_pid, SIGKILL));
		EQ(reap(init_pid), 137);
		OK(CSTOP(c));
		OK(DESTROY(c));
		EQ(reap(forker), 0);
	}
}

/* Every allocation of join and leave fails once: nothing has changed, and the next try works. */
static void memory_fails(void)
{
	pid_t pid;

	world();
	fail_nth_required();
	int c = home();
	FORKED(pid)
	{
		int self = getpid(), fd = fail_nth_open();
		for (int n = 1; n < 100; n++) {
			fail_nth(fd, n);
			int err = JOIN(c);
			fail_none(fd);
			if (!err) {
				WORD(0) = n;
				break;
			}
			EQ(errno, ENOMEM);
			EQ(getpid(), self);
			EQ(GETCID(), 0);
		}
		CHECK(WORD(0) > 4 && WORD(0) < 99);
		OK(LEAVE());
		close(fd);
		EQ(getpid(), self);
	}
	EQ(reap(pid), 0);
	EQ(info_of(c).pids_current, 1);
	home_gone(c);
}

static const struct tap_case cases[] = {
	T(born_inside),	      T(waits_later),  T(parent_ends),		T(group_waits),
	T(ends_with_it),      T(paused),       T(leaves_while_pausing), T(races_with_destroy),
	T(fork_into_the_end), T(memory_fails),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
