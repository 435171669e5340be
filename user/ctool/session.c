/* SPDX-License-Identifier: MIT */
/*
 * session.c - stay with a program in a container until it ends.
 *
 * The program lives in a session of its own, so what the terminal or another
 * process sends to ctool reaches it only because ctool passes it on: signals
 * always, and with a pty also keys, output and the window's size.
 *
 * Signals are blocked from session_begin() on and delivered only inside ppoll(),
 * so none is lost between looking and sleeping: a handler just notes its number.
 *
 * The pty is one of the container's, so its slave, which the program alone has open, has
 * a name there. ctool has the master.
 *
 *	session_begin -> launch (with s.master, &s.mask) -> session_wait | session_end
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
static const int passed_on[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM };
#define ENDING	  (sizeof ending / sizeof *ending)
#define PASSED_ON (sizeof passed_on / sizeof *passed_on)

static volatile sig_atomic_t noted[NSIG];
static struct termios saved_terminal;
static bool terminal_is_raw;

/* Bytes on their way from one descriptor to another. */
struct stream {
	size_t start, end;
	bool ended;   /* nothing more will come */
	bool in_line; /* what came last was not the end of a line */
	char buffer[4096];
};

static void note(int sig)
{
	noted[sig] = 1;
}

static bool take_note(int sig)
{
	bool was = noted[sig];

	noted[sig] = 0;
	return was;
}

static void catch_signals(sigset_t *old)
{
	struct sigaction action = { .sa_handler = note };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaction(SIGCHLD, &action, NULL);
	sigaction(SIGWINCH, &action, NULL);
	sigaddset(&blocked, SIGCHLD);
	sigaddset(&blocked, SIGWINCH);
	for (size_t i = 0; i < PASSED_ON; i++) {
		sigaction(passed_on[i], &action, NULL);
		sigaddset(&blocked, passed_on[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, old);
}

void session_listen(void)
{
	sigset_t mask;

	catch_signals(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

bool session_is_to_end(void)
{
	for (size_t i = 0; i < ENDING; i++)
		if (noted[ending[i]])
			return true;
	return false;
}

static void terminal_raw(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &saved_terminal))
		return;
	t = saved_terminal;
	cfmakeraw(&t);
	terminal_is_raw = !tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
}

static void terminal_restore(void)
{
	if (terminal_is_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_terminal);
	terminal_is_raw = false;
}

static void copy_window_size(int master)
{
	struct winsize size;

	if (!ioctl(STDIN_FILENO, TIOCGWINSZ, &size) || !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		ioctl(master, TIOCSWINSZ, &size);
}

static int open_pty(struct session *s, int id)
{
	int fd = control_open_pty(id), err;

	if (fd < 0)
		return fd;
	if (unlockpt(fd)) {
		err = -errno;
		close(fd);
		return err;
	}
	/* A full input queue must not stop the relay of output. */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	copy_window_size(fd);
	s->master = fd;
	return 0;
}

int session_begin(struct session *s, int id, bool pty)
{
	int err;

	s->master = -1;
	s->ends = false;
	err = pty ? open_pty(s, id) : 0;
	if (err)
		return fail_errno(err, "cannot make a terminal");
	catch_signals(&s->mask);
	return 0;
}

void session_end(struct session *s)
{
	terminal_restore();
	if (s->master >= 0)
		close(s->master);
	s->master = -1;
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

static void pass_signals(const struct session *s, pid_t pid)
{
	if (s->ends && session_is_to_end())
		kill(pid, SIGKILL);
	for (size_t i = 0; i < PASSED_ON && !s->ends; i++)
		if (take_note(passed_on[i]))
			kill(pid, passed_on[i]);
	if (!take_note(SIGWINCH))
		return;
	if (s->master >= 0)
		copy_window_size(s->master); /* the pty sends SIGWINCH itself */
	else
		kill(pid, SIGWINCH);
}

/* From ctool's input into the stream; at its end the program is told as by Ctrl-D, of which the
 * first ends a line that has begun. */
static void fill_from_input(struct stream *in)
{
	ssize_t n = read(STDIN_FILENO, in->buffer, sizeof in->buffer);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	in->start = 0;
	in->end = (size_t)n;
	if (n > 0) {
		in->in_line = in->buffer[n - 1] != '\n';
		return;
	}
	in->end = in->in_line ? 2 : 1;
	memset(in->buffer, '\004', in->end);
	in->ended = true;
}

static void drain_to_program(struct stream *in, int master)
{
	ssize_t n = write(master, in->buffer + in->start, in->end - in->start);

	if (n > 0)
		in->start += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		in->start = in->end = 0, in->ended = true;
}

static bool write_all(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t done = write(fd, s, n);

		if (done < 0 && errno != EINTR)
			return false;
		if (done > 0)
			s += done, n -= (size_t)done;
	}
	return true;
}

/* Output of the program to ctool's; false once the pty has no writer or ctool no reader. */
static bool relay_output(int master)
{
	char buffer[4096];
	ssize_t n = read(master, buffer, sizeof buffer);

	if (n > 0)
		return write_all(STDOUT_FILENO, buffer, (size_t)n);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* What was written before the program ended; what it left behind may write on, unheard. */
static void drain_output(int master)
{
	struct pollfd p = { .fd = master, .events = POLLIN };

	while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN))
		if (!relay_output(master))
			break;
}

/* Sleeps until a signal or something to relay, and relays it. */
static void relay(struct session *s, struct stream *in)
{
	bool pending = in->end > in->start;
	struct pollfd p[2] = {
		{ .fd = in->ended || pending ? -1 : STDIN_FILENO, .events = POLLIN },
		{ .fd = s->master, .events = POLLIN | (pending ? POLLOUT : 0) },
	};

	if (ppoll(p, 2, NULL, &s->mask) < 0)
		return;
	if (p[0].revents)
		fill_from_input(in);
	if (p[1].revents & POLLOUT)
		drain_to_program(in, s->master);
	if ((p[1].revents & (POLLIN | POLLHUP | POLLERR)) && !relay_output(s->master)) {
		/* Hung up: the end of the program follows. */
		close(s->master);
		s->master = -1;
		in->ended = true;
		in->start = in->end = 0;
	}
}

int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int session_wait(struct session *s, pid_t pid)
{
	struct stream in = { .ended = s->master < 0 };
	int status = 0;
	pid_t ended;

	if (s->master >= 0)
		terminal_raw();
	for (;;) {
		take_note(SIGCHLD);
		ended = waitpid(pid, &status, WNOHANG);
		if (ended == pid || (ended < 0 && errno != EINTR))
			break;
		pass_signals(s, pid);
		relay(s, &in);
	}
	if (s->master >= 0)
		drain_output(s->master);
	session_end(s);
	return ended == pid ? exit_status(status) : fail_errno(errno, "wait");
}
