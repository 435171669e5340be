/* SPDX-License-Identifier: MIT */
/*
 * qemu.c - starts QEMU with an inherited socket for each channel, and ends it.
 *
 * QEMU dies with us (PR_SET_PDEATHSIG) and runs in a session of its own, so that
 * keys of the terminal reach it only through us.
 */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* As the devices in ./run name them. */
static const char *const channel_id[CH_COUNT] = { "serial", "ctl", "in", "out", "err", "console" };

static int sockets_open(struct qemu *q, int theirs[CH_COUNT])
{
	for (int i = 0; i < CH_COUNT; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
			return -errno;
		fcntl(pair[0], F_SETFL, O_NONBLOCK);
		q->sock[i] = pair[0];
		theirs[i] = pair[1];
	}
	return 0;
}

/* The command line with the channels put after the program's name. */
static char **arguments(char **qemu, const int theirs[CH_COUNT])
{
	static char chardev[CH_COUNT][64];
	int n = 0, at = 0;
	char **argv;

	while (qemu[n])
		n++;
	argv = calloc(n + 2 * CH_COUNT + 1, sizeof(*argv));
	if (!argv)
		return NULL;
	argv[at++] = qemu[0];
	for (int i = 0; i < CH_COUNT; i++) {
		snprintf(chardev[i], sizeof(chardev[i]), "socket,id=%s,fd=%d", channel_id[i],
			 theirs[i]);
		argv[at++] = "-chardev";
		argv[at++] = chardev[i];
	}
	for (int i = 1; i < n; i++)
		argv[at++] = qemu[i];
	return argv;
}

static void __attribute__((noreturn)) child(char **argv, const int theirs[CH_COUNT], int messages)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(null, 0);
	dup2(messages, 1);
	dup2(messages, 2);
	for (int i = 0; i < CH_COUNT; i++)
		fcntl(theirs[i], F_SETFD, 0);
	execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int qemu_start(struct qemu *q, const struct options *o)
{
	int theirs[CH_COUNT], messages[2];
	char **argv;
	int err = sockets_open(q, theirs);

	if (err)
		return err;
	argv = arguments(o->qemu, theirs);
	if (!argv)
		return -ENOMEM;
	if (pipe2(messages, O_CLOEXEC))
		return -errno;
	q->pid = fork();
	if (q->pid == 0)
		child(argv, theirs, messages[1]);
	if (q->pid < 0)
		return -errno;
	free(argv);
	close(messages[1]);
	for (int i = 0; i < CH_COUNT; i++)
		close(theirs[i]);
	fcntl(messages[0], F_SETFL, O_NONBLOCK);
	q->messages = messages[0];
	return 0;
}

void qemu_kill(struct qemu *q)
{
	if (q->ended)
		return;
	/* there is nothing in it worth a gentle end: its disk is a throw-away copy or has a journal
	 */
	kill(q->pid, SIGKILL);
	while (waitpid(q->pid, &q->status, 0) < 0 && errno == EINTR)
		continue;
	q->ended = true;
}
