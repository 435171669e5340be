/* SPDX-License-Identifier: MIT */
/*
 * proc_group.c - process groups and sessions without a terminal, kill by group, orphaned groups.
 */
#include "tap.h"

static void idle(void)
{
	for (;;)
		pause();
}

/* More members than get a signal under one hold of the lock: each gets it once. */
static void large_group(void)
{
	enum { N = 400 };
	pid_t leader, pid[N];
	sigset_t both;

	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGUSR2);
	FORKED(leader)
	{
		sigprocmask(SIG_BLOCK, &both, NULL);
		setpgid(0, 0);
		idle();
	}
	setpgid(leader, leader);
	for (int i = 0; i < N; i++) {
		FORKED(pid[i])
		{
			int sig;

			sigprocmask(SIG_BLOCK, &both, NULL);
			setpgid(0, leader);
			__atomic_fetch_add(&WORD(0), 1, __ATOMIC_SEQ_CST);
			for (int k = 0; k < 2; k++) {
				sigwait(&both, &sig);
				__atomic_fetch_add(&WORD(1 + (sig == SIGUSR2)), 1,
						   __ATOMIC_SEQ_CST);
			}
			sigpending(&both);
			_exit(sigismember(&both, SIGUSR1) || sigismember(&both, SIGUSR2));
		}
	}
	AWAIT(WORD(0) == N);
	OK(kill(-leader, 0));
	OK(kill(-leader, SIGUSR1));
	AWAIT(WORD(1) == N);
	OK(kill(-leader, SIGUSR2));
	for (int i = 0; i < N; i++)
		EQ(reap(pid[i]), 0);
	EQ(WORD(1), N);
	EQ(WORD(2), N);
	OK(kill(-leader, SIGKILL));
	EQ(reap(leader), 128 + SIGKILL);
	ERR(kill(-leader, SIGKILL), ESRCH);
}

static void sessions(void)
{
	pid_t pid;

	FORKED(pid)
	{
		pid_t me = getpid();
		CHECK(getsid(0) != me);
		EQ(setsid(), me);
		EQ(getsid(0), me);
		EQ(getpgrp(), me);
		EQ(getpgid(0), me);
		ERR(setsid(), EPERM); /* a leader already */
		ERR(setpgid(0, 0), EPERM);
		EQ(open("/dev/tty", O_RDWR), -1);
		EQ(errno, ENXIO);
		pid_t child;
		FORKED(child)
		{
			EQ(getsid(0), me);
			EQ(getpgrp(), me);
			OK(setpgid(0, 0));
			ERR(setsid(), EPERM);
		}
		EQ(reap(child), 0);
	}
	EQ(reap(pid), 0);
	ERR(getsid(999999), ESRCH);
	ERR(getpgid(999999), ESRCH);
	ERR(getpgid(-1), ESRCH);
}

static void setting_groups(void)
{
	pid_t a, b, c;

	FORKED(a) idle();
	FORKED(b) idle();
	EQ(getpgid(a), getpgrp());
	OK(setpgid(a, 0));
	EQ(getpgid(a), a);
	OK(setpgid(b, a));
	EQ(getpgid(b), a);
	OK(setpgid(b, getpgrp()));
	ERR(setpgid(b, 999999), EPERM);
	ERR(setpgid(b, -1), EINVAL);
	ERR(setpgid(999999, 0), ESRCH);
	ERR(setpgid(1, 0), ESRCH);
	ERR(setpgid(getppid(), 0), ESRCH);
	/* a child in another session, and one that has executed a program */
	FORKED(c)
	{
		setsid();
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0));
	ERR(setpgid(c, getpgrp()), EPERM);
	ERR(setpgid(b, c), EPERM);
	kill(a, SIGKILL);
	kill(b, SIGKILL);
	kill(c, SIGKILL);
	EQ(reap(a), 137);
	EQ(reap(b), 137);
	EQ(reap(c), 137);
	int p[2];
	OK(pipe2(p, O_CLOEXEC));
	FORKED(a)
	{
		execve("/bin/sleep", (char *[]){ "sleep", "100", NULL }, NULL);
		execve("/bin/busybox", (char *[]){ "sleep", "100", NULL }, NULL);
		execve("/busybox", (char *[]){ "sleep", "100", NULL }, NULL);
	}
	char byte;
	close(p[1]);
	EQ(read(p[0], &byte, 1), 0); /* the child has executed */
	ERR(setpgid(a, 0), EACCES);
	kill(a, SIGKILL);
	reap(a);
	close(p[0]);
}

static void kill_forms(void)
{
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		FORKED(pid[i])
		{
			if (i == 0)
				setpgid(0, 0);
			else
				while (setpgid(0, pid[0]) < 0)
					sleep_ms(1);
			WORD(i) = 1;
			idle();
		}
	}
	for (int i = 0; i < 3; i++)
		AWAIT(WORD(i));
	OK(kill(-pid[0], 0));
	OK(kill(pid[1], 0));
	ERR(kill(pid[0], 65), EINVAL);
	ERR(kill(pid[0], -1), EINVAL);
	ERR(kill(-999999, SIGTERM), ESRCH);
	ERR(kill(999999, SIGTERM), ESRCH);
	ERR(kill(INT32_MIN, SIGTERM), ESRCH);
	OK(kill(-pid[0], SIGTERM));
	for (int i = 0; i < 3; i++)
		EQ(reap(pid[i]), 128 + SIGTERM);
	ERR(kill(-pid[0], SIGTERM), ESRCH);
	/* 0: one's own group */
	FORKED(pid[0])
	{
		setpgid(0, 0);
		FORKED(pid[1]) idle();
		signal(SIGTERM, SIG_IGN);
		OK(kill(0, SIGTERM));
		EQ(reap(pid[1]), 128 + SIGTERM);
	}
	EQ(reap(pid[0]), 0);
}

static void permissions(void)
{
	pid_t root, other;

	FORKED(root) idle();
	FORKED(other)
	{
		setresgid(1001, 1001, 1001);
		setresuid(1001, 1001, 1001);
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0));
	pid_t pid;
	FORKED(pid)
	{
		setresgid(1000, 1000, 1000);
		setresuid(1000, 1000, 1000);
		ERR(kill(root, SIGTERM), EPERM);
		ERR(kill(root, 0), EPERM);
		OK(kill(root, SIGCONT)); /* within the session */
		ERR(kill(other, SIGTERM), EPERM);
	}
	EQ(reap(pid), 0);
	/* the sender's real or effective against the target's real or saved id */
	FORKED(pid)
	{
		REQUIRE(setresuid(1000, 1001, 1000) == 0);
		OK(kill(other, SIGTERM));
	}
	EQ(reap(pid), 0);
	EQ(reap(other), 128 + SIGTERM);
	kill(root, SIGKILL);
	EQ(reap(root), 137);
}

/* When a group becomes orphaned and has a stopped member, it gets SIGHUP and SIGCONT. */
static void orphaned_group(void)
{
	pid_t pid;

	FORKED(pid)
	{
		setsid();
		pid_t middle = fork();
		if (middle == 0) {
			setpgid(0, 0);
			if (fork() == 0) {
				WORD(0) = getpid();
				raise(SIGSTOP);
				WORD(1) = 1; /* not reached: SIGHUP comes before */
				_exit(0);
			}
			AWAIT(WORD(0) && process_state(WORD(0)) == 'T');
			_exit(0);
		}
		EQ(reap(middle), 0);
		AWAIT(kill(WORD(0), 0) < 0 || process_state(WORD(0)) == 'Z');
		EQ(WORD(1), 0);
	}
	EQ(reap(pid), 0);
}

static volatile int hups;

static void on_hup(int s)
{
	(void)s;
	hups++;
}

/* The stop signals of terminals do nothing to an orphaned group; SIGSTOP does. */
static void stops_in_an_orphaned_group(void)
{
	pid_t pid;

	FORKED(pid)
	{
		setsid();
		signal(SIGHUP, on_hup);
		raise(SIGTSTP);
		raise(SIGTTIN);
		raise(SIGTTOU);
		WORD(0) = 1;
		raise(SIGSTOP);
	}
	int status;
	EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	EQ(WORD(0), 1);
	OK(kill(pid, SIGCONT));
	EQ(reap(pid), 0);
}

/* A group lives as long as it has members, also without its leader. */
static void without_leader(void)
{
	pid_t leader, member;

	FORKED(leader)
	{
		setpgid(0, 0);
		WORD(0) = 1;
		idle();
	}
	FORKED(member) idle();
	AWAIT(WORD(0));
	OK(setpgid(member, leader));
	kill(leader, SIGKILL);
	EQ(reap(leader), 137);
	EQ(getpgid(member), leader);
	OK(kill(-leader, 0));
	ERR(getpgid(leader), ESRCH);
	OK(kill(-leader, SIGKILL));
	EQ(reap(member), 137);
	ERR(kill(-leader, 0), ESRCH);
}

static const struct tap_case cases[] = {
	T(sessions),	T(setting_groups), T(large_group),    T(kill_forms),
	T(permissions), T(orphaned_group), T(without_leader), T(stops_in_an_orphaned_group),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
