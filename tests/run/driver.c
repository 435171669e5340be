/* SPDX-License-Identifier: MIT */
/*
 * driver - runs test programs one after the other inside the guest, for
 * tests/run/guest on the host.
 *
 *	driver SECONDS NAME...		runs /tests/NAME, each for SECONDS at most
 *
 * What a test prints goes through as it is; before and after stand lines that
 * begin with \001: "start NAME", then "end NAME STATUS" (128 + n: signal n),
 * "timeout NAME" or "stuck NAME". Each test has a session of its own, /dev/null
 * as stdin and /tmp as directory; when it ends, all that it left running is
 * killed. A test that SIGKILL does not end is a bug of the kernel, after which
 * nothing can be relied on: the driver stops.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STUCK_SECONDS 10

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void __attribute__((noreturn)) child(const char *name)
{
	char path[512];
	int null = open("/dev/null", O_RDONLY);

	snprintf(path, sizeof(path), "/tests/%s", name);
	setsid();
	dup2(null, 0);
	dup2(1, 2);
	if (null > 2)
		close(null);
	if (chdir("/tmp"))
		printf("# chdir /tmp: %s\n", strerror(errno));
	setenv("TESTS", "/tests", 1);
	execl(path, path, (char *)NULL);
	printf("Bail out! %s: %s\n", path, strerror(errno));
	fflush(stdout);
	_exit(126);
}

/* Waits for pid, reaping others, until the time is up; true if it has ended. */
static int wait_for(pid_t pid, double seconds, int *status)
{
	double end = now() + seconds;

	for (;;) {
		int st;
		pid_t got = waitpid(-1, &st, WNOHANG);

		if (got == pid) {
			*status = st;
			return 1;
		}
		if (got > 0)
			continue;
		if (now() >= end)
			return 0;
		usleep(2000);
	}
}

/* 0, or -1 if the machine cannot be relied on any more. */
static int run(const char *name, double seconds)
{
	const char *word = "end";
	int status = 0;
	pid_t pid;

	printf("\n\001start %s\n", name);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		child(name);
	if (pid < 0) {
		printf("Bail out! fork: %s\n\001end %s 1\n", strerror(errno), name);
		fflush(stdout);
		return 0;
	}
	if (!wait_for(pid, seconds, &status)) {
		word = "timeout";
		kill(pid, SIGKILL);
		if (!wait_for(pid, STUCK_SECONDS, &status))
			word = "stuck";
	}
	kill(-1, SIGKILL);
	printf("\n\001%s %s %d\n", word, name,
	       WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	fflush(stdout);
	return strcmp(word, "stuck") ? 0 : -1;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 60;

	for (int i = 2; i < argc; i++)
		if (run(argv[i], seconds))
			return 1;
	return 0;
}
