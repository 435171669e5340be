/* SPDX-License-Identifier: MIT */
/*
 * launch.c - start a program in a container.
 *
 * cfork() gives a child that is already inside: / is the container's root. The
 * child takes its terminal, environment, directory and user, in that order, and
 * executes the program. If a step fails it says so through a pipe that closes on
 * exec, so launch() returns only when the program runs or cannot.
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define RETRY_MSEC   10
#define RETRIES	     100

enum stage {
	STAGE_PLACE, /* it came too late: the container had stopped */
	STAGE_TERMINAL,
	STAGE_DIRECTORY,
	STAGE_USER,
	STAGE_EXEC,
};

/* What the child writes if it fails. */
struct report {
	enum stage stage;
	int error;
};

static void take_environment(const struct record *what, bool tty)
{
	const char *term = getenv("TERM"), *home = "/";
	char hostname[CONTAINER_HOSTNAME_MAX];
	struct stat st;

	term = text("%s", term ? term : "linux");
	clearenv();
	if (what->uid == 0 && !stat("/root", &st) && S_ISDIR(st.st_mode))
		home = "/root";
	setenv("PATH", DEFAULT_PATH, 1);
	setenv("HOME", home, 1);
	if (!gethostname(hostname, sizeof hostname))
		setenv("HOSTNAME", hostname, 1);
	if (tty || isatty(STDIN_FILENO))
		setenv("TERM", term, 1);
	for (size_t i = 0; i < what->env.count; i++)
		putenv(what->env.v[i]);
}

static int take_user(const struct record *what, bool pty)
{
	if (what->uid == getuid() && what->gid == getgid())
		return 0;
	/* Its name is the user's from now on; one without a name needs no owner. */
	if (pty)
		(void)!fchown(STDIN_FILENO, what->uid, (gid_t)-1);
	return setgroups(0, NULL) || setgid(what->gid) || setuid(what->uid);
}

/* The console by the name that it has in here, or -1: ctool's has none inside. */
static int open_console_inside(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && (!isatty(fd) || fcntl(fd, F_SETFL, 0))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int take_terminal(const struct launch *l)
{
	int stdio = l->stdio, named = l->tty && l->master < 0 ? open_console_inside() : -1;

	if (named >= 0)
		stdio = named;
	if (l->master >= 0) /* opened here, it is known by the name that it has in here */
		stdio = ioctl(l->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (stdio < 0)
		return -1;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (dup2(stdio, fd) < 0)
			return -1;
	for (int fd = STDOUT_FILENO; l->output >= 0 && fd <= STDERR_FILENO; fd++)
		if (dup2(l->output, fd) < 0)
			return -1;
	return l->tty ? ioctl(STDIN_FILENO, TIOCSCTTY, 0) : 0;
}

/* The child, up to and including exec; returns only if a step fails. */
static enum stage become_program(const struct launch *l)
{
	char **args = l->what->args.v;

	errno = ESRCH;
	if (!l->first && getpid() == 1)
		return STAGE_PLACE;
	if ((l->stdio >= 0 || l->master >= 0) && take_terminal(l))
		return STAGE_TERMINAL;
	take_environment(l->what, l->tty);
	if (chdir(l->what->workdir))
		return STAGE_DIRECTORY;
	if (take_user(l->what, l->master >= 0))
		return STAGE_USER;
	sigprocmask(SIG_SETMASK, l->mask, NULL);
	execvp(args[0], args);
	return STAGE_EXEC;
}

static int explain(const struct launch *l, const struct report *r)
{
	const char *prog = l->what->args.v[0];

	switch (r->stage) {
	case STAGE_PLACE:
		return fail("the container is not running");
	case STAGE_TERMINAL:
		return fail_errno(r->error, "its terminal");
	case STAGE_DIRECTORY:
		return fail_errno(r->error, "%s", l->what->workdir);
	case STAGE_USER:
		return fail_errno(r->error, "user %u:%u", l->what->uid, l->what->gid);
	case STAGE_EXEC:
		break;
	}
	if (r->error == ENOENT || r->error == ENOTDIR) {
		fail("%s: not found", prog);
		return EXIT_NOPROG;
	}
	fail_errno(r->error, "%s", prog);
	return EXIT_NOEXEC;
}

static int explain_cfork(const struct launch *l, int err)
{
	if (err == EAGAIN && l->first)
		return fail("its last program has not been waited for yet");
	if (err == EAGAIN)
		return fail("the container's limit of processes is reached");
	if (err == ESRCH)
		return fail("the container is gone");
	return fail_errno(err, "cannot start a process in the container");
}

/*
 * cfork(), but not hurried: the pid 1 of a container that is to start again may
 * have ended and not yet have been waited for by its parent, which is EAGAIN.
 */
static pid_t fork_inside(const struct launch *l)
{
	const struct timespec pause = { .tv_nsec = RETRY_MSEC * 1000000 };
	pid_t pid;

	for (int tries = 0; tries < RETRIES; tries++) {
		pid = cfork(l->id);
		if (pid >= 0 || errno != EAGAIN || !l->first)
			return pid;
		nanosleep(&pause, NULL);
	}
	return pid;
}

/* True and *r filled if the child failed; false if the program runs (or died by a signal). */
static bool read_report(int fd, struct report *r)
{
	ssize_t n;

	do {
		n = read(fd, r, sizeof *r);
	} while (n < 0 && errno == EINTR);
	return n == sizeof *r;
}

int launch(const struct launch *l, pid_t *pid)
{
	struct report report;
	bool failed;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return fail_errno(errno, "pipe");
	*pid = fork_inside(l);
	if (*pid == 0) {
		report.stage = become_program(l);
		report.error = errno;
		/* If even this fails, the parent sees an exit status of 125. */
		(void)!write(ends[1], &report, sizeof report);
		_exit(EXIT_CTOOL);
	}
	close(ends[1]);
	if (*pid < 0) {
		close(ends[0]);
		return explain_cfork(l, errno);
	}
	failed = read_report(ends[0], &report);
	close(ends[0]);
	if (!failed)
		return 0;
	waitpid(*pid, NULL, 0);
	return explain(l, &report);
}
