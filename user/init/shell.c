/* SPDX-License-Identifier: MIT */
/*
 * shell.c - keeps a login shell on a terminal: greets, starts it in a session of
 * its own with the terminal as controlling terminal, and starts it again when it
 * ends. Passes changes of the host terminal's size on to the terminal.
 *
 * The terminal is opened anew for each use: when a session leader ends, its
 * terminal is hung up, and older descriptors are dead (setsid(2), tty_ioctl(4)).
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* struct vt_sizes of linux/vt.h, which musl does not bring (man 2 ioctl_console) */
#define VT_RESIZE 0x5609
struct screen_size {
	unsigned short rows, cols, scrollback;
};

/* Skerry's first virtual console; Linux's virtio console; whatever there is. */
static const char *const terminals[] = { "/dev/tty0", "/dev/hvc0", "/dev/console" };

static const char greeting[] =
	"\n"
	"Welcome to %s %s. Three commands worth trying:\n"
	"\n"
	"  ctool create /c1 /bin/busybox     make a directory for a container\n"
	"  ctool run /c1 /busybox sh         a shell in it: see ps, hostname, ls / there\n"
	"  ctool start vc1 /c1 -p 8 -m 16M /busybox sh\n"
	"                                    one with limits on console 1: Ctrl-T shows it\n"
	"\n"
	"poweroff ends the machine; so does Ctrl-A X under ./run.\n"
	"\n";

static int terminal_open(const char *path)
{
	return open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* The first terminal that opens; NULL if none does. */
static const char *terminal_choose(void)
{
	for (size_t i = 0; i < sizeof(terminals) / sizeof(terminals[0]); i++) {
		int fd = terminal_open(terminals[i]);

		if (fd >= 0) {
			close(fd);
			return terminals[i];
		}
	}
	return NULL;
}

static void greet(const char *tty)
{
	int fd = terminal_open(tty);
	struct utsname u;

	if (fd < 0)
		return;
	if (!uname(&u))
		dprintf(fd, greeting, u.sysname, u.release);
	close(fd);
}

static void __attribute__((noreturn)) child(const struct init *in, const char *tty)
{
	int fd = terminal_open(tty);

	if (fd < 0) {
		say("%s: %s", tty, strerror(errno));
		_exit(126);
	}
	setsid();
	if (ioctl(fd, TIOCSCTTY, 0))
		dprintf(fd, "init: no job control: %s\n", strerror(errno));
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	child_prepare(in);
	execl("/bin/sh", "-sh", (char *)NULL);
	dprintf(2, "init: /bin/sh: %s\n", strerror(errno));
	_exit(127);
}

static void resize(const char *tty, uint64_t size)
{
	struct winsize w = { .ws_row = size >> 16, .ws_col = size & 0xffff };
	struct screen_size all = { .rows = w.ws_row, .cols = w.ws_col };
	int fd = terminal_open(tty);

	if (fd < 0)
		return;
	/* virtual consoles share the terminal, and a line of it is their title */
	if (ioctl(fd, VT_RESIZE, &all))
		ioctl(fd, TIOCSWINSZ, &w);
	close(fd);
}

static void hear(struct init *in, const char *tty)
{
	struct link_message m;
	int got;

	while ((got = link_receive(&in->link, &m)) > 0)
		if (m.type == LINK_WINSIZE)
			resize(tty, link_word(&m));
	if (got < 0)
		in->link.fd = -1; /* the shell stays, the size does not change any more */
}

/* Until the shell has ended, or the machine is to end. */
static void attend(struct init *in, pid_t pid, const char *tty)
{
	int status;

	for (;;) {
		struct pollfd p = { .fd = in->link.fd, .events = POLLIN };

		if (ppoll(&p, 1, NULL, &in->inside) > 0)
			hear(in, tty);
		if (end_wanted || (child_ended && reap(pid, &status)))
			return;
	}
}

void shell_keep(struct init *in, const char *tty)
{
	if (!*tty)
		tty = terminal_choose();
	if (!tty) {
		say("no terminal: %s: %s", terminals[0], strerror(errno));
		return;
	}
	if (in->link.fd >= 0) {
		link_send(&in->link, LINK_STARTED, NULL, 0);
		fcntl(in->link.fd, F_SETFL, O_NONBLOCK);
	}
	greet(tty);
	while (!end_wanted) {
		time_t began = time(NULL);
		pid_t pid = fork();

		if (pid == 0)
			child(in, tty);
		if (pid < 0)
			say("fork: %s", strerror(errno));
		else
			attend(in, pid, tty);
		if (!end_wanted && time(NULL) - began < 1)
			sleep(1); /* a shell that cannot run must not keep the machine busy */
	}
}
