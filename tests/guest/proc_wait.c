/* SPDX-License-Identifier: MIT */ /* build: both */
/*
 * proc_wait.c - fork, vfork, exit, wait4 and waitid: statuses, options, zombies, orphans, groups.
 */
#include "tap.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define WALL   0x40000000
#define WCLONE 0x80000000

static void idle(void)
{
	for (;;)
		pause();
}

static void exit_codes(void)
{
	static const int code[] = { 0, 1, 42, 255, 256, 0x1234, -1 };
	int status;
	pid_t pid;

	for (size_t i = 0; i < COUNT(code); i++) {
		FORKED(pid) _exit(code[i]);
		EQ(wait4(pid, &status, 0, NULL), pid);
		EQ(status, (code[i] & 0xff) << 8);
		FORKED(pid) syscall(SYS_exit, code[i]);
		EQ(wait4(pid, &status, 0, NULL), pid);
		EQ(status, (code[i] & 0xff) << 8);
	}
	static const int signals[] = { SIGHUP, SIGKILL, SIGTERM, SIGUSR1, SIGPIPE, 33, 64 };
	for (size_t i = 0; i < COUNT(signals); i++) {
		FORKED(pid)
		{
			syscall(SYS_kill, getpid(), signals[i]);
			idle();
		}
		EQ(wait4(pid, &status, 0, NULL), pid);
		EQ(status & 0x7f, signals[i]);
	}
	ERR(wait4(-1, &status, 0, NULL), ECHILD);
	ERR(wait4(pid, &status, 0, NULL), ECHILD);
}

static void relations(void)
{
	pid_t me = getpid(), pid;

	FORKED(pid)
	{
		EQ(getppid(), me);
		CHECK(getpid() != me);
		EQ(syscall(SYS_gettid), getpid());
		EQ(getpgrp(), me);
		WORD(0) = getpid();
	}
	EQ(reap(pid), 0);
	EQ(WORD(0), pid);
	CHECK(pid > 1);
}

/* The child has what the parent had, and what it does is its own. */
static void copies(void)
{
	int value = 1, p[2], fd;
	char path[] = "/tmp/tap.copies", c;
	pid_t pid;

	OK(pipe(p));
	fd = OK(open(path, O_RDWR | O_CREAT | O_TRUNC, 0600));
	unlink(path);
	EQ(write(fd, "abc", 3), 3);
	FORKED(pid)
	{
		EQ(value, 1);
		value = 2;
		lseek(fd, 1, SEEK_SET); /* the offset is shared */
		close(p[0]);
		write(p[1], "x", 1);
		umask(077);
		chdir("/dev");
	}
	EQ(read(p[0], &c, 1), 1);
	EQ(reap(pid), 0);
	EQ(value, 1);
	EQ(lseek(fd, 0, SEEK_CUR), 1);
	close(p[0]);
	close(p[1]);
	close(fd);
}

static void wait_options(void)
{
	pid_t pid;
	int status = 77, p[2];
	char c;

	OK(pipe(p));
	FORKED(pid)
	{
		close(p[1]);
		read(p[0], &c, 1);
		_exit(3);
	}
	EQ(wait4(pid, &status, WNOHANG, NULL), 0);
	EQ(status, 77);
	EQ(wait4(-1, &status, WNOHANG, NULL), 0);
	EQ(wait4(0, &status, WNOHANG, NULL), 0);
	EQ(wait4(-getpgrp(), &status, WNOHANG, NULL), 0);
	ERR(wait4(-999999, &status, WNOHANG, NULL), ECHILD);
	ERR(wait4(999999, &status, WNOHANG, NULL), ECHILD);
	ERR(wait4(getpid(), &status, WNOHANG, NULL), ECHILD);
	ERR(wait4(1, &status, WNOHANG, NULL), ECHILD);
	ERR(wait4(pid, &status, 0x10000000 << 1 | 0x100, NULL), EINVAL);
	ERR(wait4(pid, &status, WNOHANG | WCLONE, NULL), ECHILD); /* not a clone child */
	EQ(wait4(pid, &status, WNOHANG | WALL, NULL), 0);
	ERR(syscall(SYS_wait4, INT32_MIN, &status, 0, NULL), ESRCH);
	close(p[0]);
	close(p[1]);
	EQ(wait4(0, &status, 0, NULL), pid);
	EQ(WEXITSTATUS(status), 3);
	/* a status that cannot be stored: the child is gone all the same */
	FORKED(pid) _exit(0);
	ERR(syscall(SYS_wait4, pid, (int *)8, 0, NULL), EFAULT);
	ERR(wait4(pid, NULL, 0, NULL), ECHILD);
}

static void stopped_and_continued(void)
{
	pid_t pid;
	int status;

	FORKED(pid) idle();
	static const int stops[] = { SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU };
	for (size_t i = 0; i < COUNT(stops); i++) {
		OK(kill(pid, SIGSTOP));
		EQ(wait4(pid, &status, WUNTRACED, NULL), pid);
		CHECK(WIFSTOPPED(status));
		EQ(WSTOPSIG(status), SIGSTOP);
		EQ(wait4(pid, &status, WUNTRACED | WNOHANG, NULL), 0); /* reported once */
		OK(kill(pid, SIGCONT));
		EQ(wait4(pid, &status, WCONTINUED, NULL), pid);
		EQ(status, 0xffff);
		CHECK(WIFCONTINUED(status));
		EQ(wait4(pid, &status, WCONTINUED | WNOHANG, NULL), 0);
	}
	/* without WUNTRACED a stop is not seen */
	OK(kill(pid, SIGSTOP));
	AWAIT(process_state(pid) == 'T' || !process_state(pid));
	EQ(wait4(pid, &status, WNOHANG, NULL), 0);
	/* SIGKILL ends also the stopped; the stop is no longer to be had */
	OK(kill(pid, SIGKILL));
	EQ(wait4(pid, &status, WUNTRACED, NULL), pid);
	EQ(status, SIGKILL);
}

static void waitid_forms(void)
{
	siginfo_t si;
	struct rusage ru;
	pid_t pid;

	FORKED(pid)
	{
		setpgid(0, 0);
		WORD(0) = 1;
		idle();
	}
	AWAIT(WORD(0));
	memset(&si, 0xee, sizeof si);
	EQ(waitid(P_PID, pid, &si, WEXITED | WNOHANG), 0);
	EQ(si.si_pid, 0);
	EQ(si.si_signo, 0);
	OK(kill(pid, SIGSTOP));
	EQ(waitid(P_PGID, pid, &si, WSTOPPED), 0);
	EQ(si.si_signo, SIGCHLD);
	EQ(si.si_code, CLD_STOPPED);
	EQ(si.si_status, SIGSTOP);
	EQ(si.si_pid, pid);
	EQ(si.si_uid, getuid());
	OK(kill(pid, SIGCONT));
	EQ(waitid(P_ALL, 0, &si, WCONTINUED | WNOWAIT), 0);
	EQ(si.si_code, CLD_CONTINUED);
	EQ(si.si_status, SIGCONT);
	EQ(waitid(P_ALL, 0, &si, WCONTINUED), 0);
	OK(kill(pid, SIGTERM));
	EQ(waitid(P_PID, pid, &si, WEXITED | WNOWAIT), 0);
	EQ(si.si_code, CLD_KILLED);
	EQ(si.si_status, SIGTERM);
	EQ(syscall(SYS_waitid, P_PID, pid, &si, WEXITED, &ru), 0);
	EQ(si.si_pid, pid);
	ERR(waitid(P_PID, pid, &si, WEXITED), ECHILD);
	FORKED(pid) _exit(200);
	EQ(waitid(P_PID, pid, NULL, WEXITED | WNOWAIT), 0);
	EQ(waitid(P_PID, pid, &si, WEXITED), 0);
	EQ(si.si_code, CLD_EXITED);
	EQ(si.si_status, 200);
	ERR(waitid(P_PID, pid, &si, 0), EINVAL);
	ERR(waitid(P_PID, pid, &si, WNOHANG), EINVAL);
	ERR(waitid(P_PID, pid, &si, WEXITED | 0x100), EINVAL);
	ERR(waitid(99, pid, &si, WEXITED), EINVAL);
	ERR(waitid(P_PID, 0, &si, WEXITED), EINVAL);
	ERR(waitid(P_PID, -1, &si, WEXITED), EINVAL);
	ERR(waitid(P_PGID, -1, &si, WEXITED), EINVAL);
	ERR(waitid(P_ALL, 0, &si, WEXITED), ECHILD);
	ERR(waitid(3 /* P_PIDFD */, -1, &si, WEXITED), EINVAL);
}

/* A process group is waited for as it is now, not as it was at fork. */
static void wait_by_group(void)
{
	pid_t a, b;
	int status;

	FORKED(a)
	{
		setpgid(0, 0);
		WORD(0) = 1;
		idle();
	}
	FORKED(b) idle();
	AWAIT(WORD(0));
	OK(kill(b, SIGKILL));
	EQ(wait4(0, &status, 0, NULL), b);
	ERR(wait4(0, &status, WNOHANG, NULL), ECHILD);
	EQ(wait4(-a, &status, WNOHANG, NULL), 0);
	OK(kill(-a, SIGKILL));
	EQ(wait4(-a, &status, 0, NULL), a);
}

static void zombies(void)
{
	pid_t pid;

	FORKED(pid) _exit(0);
	AWAIT(process_state(pid) == 'Z' || !process_state(pid));
	OK(kill(pid, 0)); /* still there for kill */
	OK(kill(pid, SIGKILL));
	EQ(getpgid(pid), getpgrp());
	EQ(reap(pid), 0);
	ERR(kill(pid, 0), ESRCH);
	ERR(getpgid(pid), ESRCH);
}

/* Nobody waits: with SIGCHLD ignored or SA_NOCLDWAIT children vanish and wait says so at the end.
 */
static void no_zombies(void)
{
	for (int way = 0; way < 2; way++) {
		struct sigaction a = { .sa_handler = way ? SIG_DFL : SIG_IGN,
				       .sa_flags = way ? SA_NOCLDWAIT : 0 };
		pid_t pid, none;
		sigaction(SIGCHLD, &a, NULL);
		FORKED(pid) _exit(5);
		FORKED(none)
		{
			sleep_ms(50);
		}
		ERR(wait4(pid, NULL, 0, NULL), ECHILD);
		ERR(wait4(-1, NULL, 0, NULL), ECHILD);
		ERR(kill(none, 0), ESRCH);
	}
}

static void orphans(void)
{
	pid_t pid;

	/* to the subreaper when there is one */
	OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	FORKED(pid)
	{
		pid_t middle = getpid();
		if (fork() == 0) {
			while (getppid() == middle)
				sleep_ms(1);
			WORD(0) = getppid();
			_exit(6);
		}
	}
	EQ(reap(pid), 0);
	int status;
	pid = wait4(-1, &status, 0, NULL);
	CHECK(pid > 0);
	EQ(status, 6 << 8);
	EQ(WORD(0), getpid());
	OK(prctl(PR_SET_CHILD_SUBREAPER, 0));
	FORKED(pid)
	{
		pid_t middle = getpid();
		if (fork() == 0) {
			while (getppid() == middle)
				sleep_ms(1);
			WORD(1) = getppid();
			WORD(2) = 1;
			_exit(6);
		}
	}
	EQ(reap(pid), 0);
	AWAIT(WORD(2));
	CHECK(WORD(1) == 1 || WORD(1) == 0 || WORD(1) == getppid());
	ERR(wait4(-1, &status, 0, NULL), ECHILD);
}

static void death_signal(void)
{
	pid_t pid;

	OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	FORKED(pid)
	{
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGUSR1);
			int got = 0;
			prctl(PR_GET_PDEATHSIG, &got);
			EQ(got, SIGUSR1);
			WORD(0) = 1;
			idle();
		}
		AWAIT(WORD(0));
	}
	EQ(reap(pid), 0);
	int status;
	CHECK(wait4(-1, &status, 0, NULL) > 0);
	EQ(status, SIGUSR1);
	ERR(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
}

static void vfork_waits(void)
{
	volatile int shared = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		shared = 7; /* in the parent's memory */
		struct timespec t = { 0, 30000000 };
		nanosleep(&t, NULL);
		shared++;
		_exit(4);
	}
	EQ(shared, 8);
	EQ(reap(pid), 4);
	long long start = now_ms();
	pid = vfork();
	if (pid == 0) {
		char *argv[] = { "sleep", "0.5", NULL };
		execve("/bin/sleep", argv, NULL);
		argv[0] = "busybox";
		execve("/none", argv, NULL);
		_exit(0);
	}
	CHECK(now_ms() - start < 450);
	EQ(reap(pid), 0);
	/* killed while its parent waits for it */
	pid = vfork();
	if (pid == 0) {
		kill(getpid(), SIGKILL);
		_exit(1);
	}
	EQ(reap(pid), 128 + SIGKILL);
}

static void usage_of_children(void)
{
	static char memory[4 << 20];
	struct rusage ru, children;
	pid_t pid;
	int status;

	FORKED(pid)
	{
		memset(memory, 1, sizeof memory);
		for (volatile long i = 0; i < 1 << 27; i++)
			if (!(i % 100000)) {
				struct rusage r;
				getrusage(RUSAGE_SELF, &r);
				if (r.ru_utime.tv_sec * 1000 + r.ru_utime.tv_usec / 1000 +
					    r.ru_stime.tv_usec / 1000 >
				    100)
					break;
			}
	}
	EQ(wait4(pid, &status, 0, &ru), pid);
	EQ(status, 0);
	long us = ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec;
	CHECK(us >= 50000);
	CHECK(ru.ru_maxrss >= 3000); /* KiB */
	OK(getrusage(RUSAGE_CHILDREN, &children));
	long all = children.ru_utime.tv_sec * 1000000 + children.ru_utime.tv_usec +
		   children.ru_stime.tv_usec;
	CHECK(all >= us - 10000);
}

static void many_children(void)
{
	enum { N = 200 };
	static pid_t pid[N];
	static bool seen[N];

	for (int i = 0; i < N; i++) {
		FORKED(pid[i]) _exit(i);
		REQUIRE(pid[i] > 0);
	}
	for (int i = 0; i < N; i++) {
		int status;
		pid_t got = wait4(-1, &status, 0, NULL);
		int k = WEXITSTATUS(status);
		CHECK(k < N && pid[k] == got && !seen[k]);
		seen[k] = true;
	}
	ERR(wait4(-1, NULL, WNOHANG, NULL), ECHILD);
}

/* A chain: each forks the next and waits for it. */
static void deep_family(void)
{
	int depth = 0;
	pid_t pid;

	while (depth < 60 && (pid = fork()) == 0)
		depth++;
	if (depth == 60)
		_exit(60);
	int code = reap(pid);
	if (depth)
		_exit(code);
	EQ(code, 60);
}

/* Two processes that fork and reap as fast as they can on all CPUs. */
static void storm(void)
{
	pid_t pid[4];

	for (int i = 0; i < 4; i++)
		FORKED(pid[i])
		{
			for (int k = 0; k < 150; k++) {
				pid_t child = fork();
				if (child == 0)
					_exit(k & 0x7f);
				EQ(reap(child), k & 0x7f);
			}
		}
	for (int i = 0; i < 4; i++)
		EQ(reap(pid[i]), 0);
}

static const struct tap_case cases[] = {
	T(exit_codes),	 T(relations),	   T(copies),	     T(wait_options),
	T(waitid_forms), T(zombies),	   T(wait_by_group), T(stopped_and_continued),
	T(no_zombies),	 T(orphans),	   T(death_signal),  T(vfork_waits),
	T(deep_family),	 T(many_children), T(storm),	     T(usage_of_children),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
