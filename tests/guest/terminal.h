/* SPDX-License-Identifier: MIT */
/*
 * terminal.h - a pseudo-terminal, its modes, what is typed at it and what is seen on it.
 */
#ifndef TESTS_GUEST_TERMINAL_H
#define TESTS_GUEST_TERMINAL_H

#include "tap.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master, slave;
static char slave_name[32];

static TAP_UNUSED void open_pty(void)
{
	int n = -1, zero = 0;

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	REQUIRE(master >= 0);
	REQUIRE(ioctl(master, TIOCGPTN, &n) == 0);
	REQUIRE(ioctl(master, TIOCSPTLCK, &zero) == 0);
	snprintf(slave_name, sizeof slave_name, "/dev/pts/%d", n);
	slave = open(slave_name, O_RDWR | O_NOCTTY);
	REQUIRE(slave >= 0);
}

static TAP_UNUSED void close_pty(void)
{
	close(master);
	close(slave);
}

static TAP_UNUSED void modes(tcflag_t local_on, tcflag_t local_off, int min, int time)
{
	struct termios t;

	REQUIRE(tcgetattr(slave, &t) == 0);
	t.c_lflag = (t.c_lflag | local_on) & ~local_off;
	t.c_cc[VMIN] = min;
	t.c_cc[VTIME] = time;
	REQUIRE(tcsetattr(slave, TCSANOW, &t) == 0);
}

static TAP_UNUSED void type(const char *text)
{
	REQUIRE(write(master, text, strlen(text)) == (ssize_t)strlen(text));
}

/* What the slave reads within a moment, "" if nothing comes. */
static TAP_UNUSED const char *reads(int fd)
{
	static char text[8192];
	struct pollfd f = { fd, POLLIN, 0 };

	if (poll(&f, 1, 300) != 1)
		return "";
	ssize_t n = read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	return text;
}

/* All that comes to the master until nothing has come for a while. */
static TAP_UNUSED const char *screen(void)
{
	static char text[8192];
	struct pollfd f = { master, POLLIN, 0 };
	size_t used = 0;

	while (poll(&f, 1, 150) == 1 && used < sizeof text - 1) {
		ssize_t n = read(master, text + used, sizeof text - 1 - used);
		if (n <= 0)
			break;
		used += n;
	}
	text[used] = 0;
	return text;
}

/* A handler that counts. */
static volatile int caught[65];

static TAP_UNUSED void note(int s)
{
	caught[s]++;
}

#endif
