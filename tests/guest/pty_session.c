/* SPDX-License-Identifier: MIT */
/*
 * pty_session.c - sessions on a pseudo-terminal: signals from keys, the controlling terminal, job
 * control, hangup, window sizes; and the shell's own job control.
 */
#include "terminal.h"

/* Runs in a child that leads a session whose terminal is the pty. */
#define ON_TERMINAL(pid) \
	FORKED(pid)      \
	for (setsid(), ioctl(slave, TIOCSCTTY, 0), close(master);; _exit(tap->failures ? 1 : 0))

static void signal_keys(void)
{
	static const struct {
		const char *key;
		int signal;
	} keys[] = { { "\003", SIGINT }, { "\034", SIGQUIT }, { "\032", SIGTSTP } };

	open_pty();
	pid_t pid;
	ON_TERMINAL(pid)
	{
		for (int i = 0; i < 3; i++)
			signal(keys[i].signal, note);
		for (int i = 0; i < 3; i++) {
			WORD(0) = i + 1;
			AWAIT(caught[keys[i].signal] == 1);
		}
		WORD(0) = 4;
		char c[16] = "";
		EQ(read(slave, c, 16), 3);
		STREQ(c, "ok\n"); /* what was typed before the key has been dropped */
		modes(NOFLSH, 0, 1, 0);
		WORD(0) = 5;
		AWAIT(caught[SIGINT] == 2);
		WORD(0) = 6;
		EQ(read(slave, c, 16), 5);
		CHECK(!memcmp(c, "keep\n", 5));
		modes(0, ISIG, 1, 0);
		WORD(0) = 7;
		EQ(read(slave, c, 16), 2);
		EQ(c[0], 3);
	}
	for (int i = 0; i < 3; i++) {
		AWAIT(WORD(0) == i + 1);
		type("dropped");
		type(keys[i].key);
	}
	AWAIT(WORD(0) == 4);
	type("ok\n");
	AWAIT(WORD(0) == 5);
	type("keep\003");
	AWAIT(WORD(0) == 6);
	type("\n");
	AWAIT(WORD(0) == 7);
	type("\003\n");
	EQ(reap(pid), 0);
	close_pty();
}

static void controlling(void)
{
	pid_t pid;

	open_pty();
	FORKED(pid)
	{
		int other;
		EQ(open("/dev/tty", O_RDWR), -1);
		EQ(setsid() > 0, 1);
		ERR(tcgetpgrp(slave), ENOTTY); /* not our terminal */
		OK(ioctl(slave, TIOCSCTTY, 0));
		OK(ioctl(slave, TIOCSCTTY, 0)); /* again: fine */
		EQ(tcgetpgrp(slave), getpid());
		EQ(tcgetsid(slave), getpid());
		other = OK(open("/dev/tty", O_RDWR));
		EQ(isatty(other), 1);
		EQ(tcgetpgrp(other), getpid());
		close(other);
		ERR(ioctl(slave, TIOCSPGRP, &(int){ 999999 }), ESRCH);
		ERR(ioctl(slave, TIOCSPGRP, &(int){ -1 }), EINVAL);
		/* another session may not take it */
		pid_t child;
		FORKED(child)
		{
			setsid();
			ERR(ioctl(slave, TIOCSCTTY, 0), EPERM);
			ERR(tcgetpgrp(slave), ENOTTY);
		}
		EQ(reap(child), 0);
		FORKED(child) ERR(ioctl(slave, TIOCSCTTY, 0), EPERM); /* no leader... */
		reap(child);
	}
	reap(pid);
	close_pty();
	/* opening a terminal without O_NOCTTY makes it a leader's own */
	open_pty();
	FORKED(pid)
	{
		setsid();
		int fd = OK(open(slave_name, O_RDWR));
		EQ(tcgetpgrp(fd), getpid());
		signal(SIGHUP, SIG_IGN);
		OK(ioctl(fd, TIOCNOTTY));
		ERR(open("/dev/tty", O_RDWR), ENXIO);
	}
	EQ(reap(pid), 0);
	close_pty();
}

static void stopped_by(pid_t job, int signal)
{
	int status;

	EQ(waitpid(job, &status, WUNTRACED), job);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == signal);
}

/* A reader in the background stops; brought to the foreground, it reads. */
static void background_reader(void)
{
	int status;
	char c;
	pid_t job = fork();

	if (job == 0) {
		setpgid(0, 0);
		WORD(0) = 1;
		read(slave, &c, 1); /* in the background: SIGTTIN */
		modes(0, TOSTOP, 1, 0);
		_exit(c == 'x' ? 7 : 8);
	}
	AWAIT(WORD(0));
	stopped_by(job, SIGTTIN);
	OK(tcsetpgrp(slave, job));
	EQ(tcgetpgrp(slave), job);
	OK(kill(-job, SIGCONT));
	WORD(1) = 1;
	EQ(waitpid(job, &status, WUNTRACED), job);
	EQ(status, 7 << 8);
	/* back to the foreground: SIGTTOU must be ignored or blocked for that */
	signal(SIGTTOU, SIG_IGN);
	OK(tcsetpgrp(slave, getpgrp()));
	signal(SIGTTOU, SIG_DFL);
}

/* Writing from the background stops only with TOSTOP; changing modes always does. */
static void background_writers(void)
{
	int status;
	pid_t job = fork();

	if (job == 0) {
		setpgid(0, 0);
		write(slave, "bg", 2);
		WORD(2) = 1;
		modes(TOSTOP, 0, 1, 0);
		_exit(0);
	}
	stopped_by(job, SIGTTOU);
	EQ(WORD(2), 1);
	kill(job, SIGKILL);
	EQ(waitpid(job, &status, 0), job);
	modes(TOSTOP, 0, 1, 0);
	job = fork();
	if (job == 0) {
		setpgid(0, 0);
		write(slave, "bg", 2);
		_exit(0);
	}
	stopped_by(job, SIGTTOU);
	kill(job, SIGKILL);
	waitpid(job, &status, 0);
}

/* One that ignores SIGTTIN gets EIO. */
static void background_reader_that_ignores(void)
{
	char c;
	pid_t job = fork();

	if (job == 0) {
		setpgid(0, 0);
		signal(SIGTTIN, SIG_IGN);
		ERR(read(slave, &c, 1), EIO);
		_exit(0);
	}
	EQ(reap(job), 0);
}

static void job_control(void)
{
	pid_t pid;

	open_pty();
	ON_TERMINAL(pid)
	{
		background_reader();
		background_writers();
		background_reader_that_ignores();
	}
	AWAIT(WORD(1));
	type("x\n");
	EQ(reap(pid), 0);
	close_pty();
}

static void hangup(void)
{
	pid_t pid;
	char c;

	/* the master goes: SIGHUP and SIGCONT for the session, the end for readers, EIO for writers
	 */
	open_pty();
	ON_TERMINAL(pid)
	{
		signal(SIGHUP, note);
		signal(SIGCONT, note);
		WORD(0) = 1;
		AWAIT(caught[SIGHUP] == 1);
		AWAIT(caught[SIGCONT] >= 1);
		EQ(read(slave, &c, 1), 0);
		ERR(write(slave, "x", 1), EIO);
		struct pollfd f = { slave, POLLIN, 0 };
		EQ(poll(&f, 1, 0), 1);
		CHECK(f.revents & POLLHUP);
	}
	AWAIT(WORD(0));
	close(slave);
	close(master);
	EQ(reap(pid), 0);
	/* the leader goes: the foreground group gets SIGHUP, others have no terminal any more */
	open_pty();
	FORKED(pid)
	{
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		pid_t job = fork();
		if (job == 0) {
			close(master);
			setpgid(0, 0);
			signal(SIGHUP, note);
			WORD(2) = 1;
			AWAIT(caught[SIGHUP] == 1);
			WORD(3) = 1;
			_exit(0);
		}
		AWAIT(WORD(2));
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(slave, job);
	}
	EQ(reap(pid), 0);
	AWAIT(WORD(3));
	/* all slaves closed: the master reads EIO, until one is opened again */
	close(slave);
	AWAIT(read(master, &c, 1) == -1 && errno == EIO);
	slave = OK(open(slave_name, O_RDWR | O_NOCTTY));
	EQ(write(slave, "q", 1), 1);
	EQ(read(master, &c, 1), 1);
	close_pty();
}

static void window_size(void)
{
	struct winsize w = { 24, 80, 0, 0 }, got = { 9, 9, 9, 9 };
	pid_t pid;

	open_pty();
	OK(ioctl(slave, TIOCGWINSZ, &got));
	EQ(got.ws_row, 0);
	ON_TERMINAL(pid)
	{
		signal(SIGWINCH, note);
		WORD(0) = 1;
		AWAIT(caught[SIGWINCH] == 1);
		OK(ioctl(slave, TIOCGWINSZ, &got));
		EQ(got.ws_row, 24);
		EQ(got.ws_col, 80);
		WORD(0) = 2;
		sleep_ms(50);
		EQ(caught[SIGWINCH], 1);
	}
	AWAIT(WORD(0) == 1);
	OK(ioctl(master, TIOCSWINSZ, &w));
	AWAIT(WORD(0) == 2);
	OK(ioctl(master, TIOCSWINSZ, &w)); /* nothing changed: no signal */
	EQ(reap(pid), 0);
	close_pty();
}

/* Waits for text on the screen; what has been seen is kept in seen. */
static char seen[16384];

static bool see(const char *text)
{
	long long until = now_ms() + 15000;
	size_t used = strlen(seen);

	while (!strstr(seen, text) && now_ms() < until) {
		struct pollfd f = { master, POLLIN, 0 };
		if (poll(&f, 1, 200) == 1) {
			ssize_t n = read(master, seen + used, sizeof seen - 1 - used);
			if (n <= 0)
				break;
			used += n;
			seen[used] = 0;
		}
	}
	if (strstr(seen, text))
		return true;
	FAIL("\"%s\" does not come; the screen has \"%s\"", text, seen);
	return false;
}

/* busybox sh, used as a person does. */
static void shell(void)
{
	pid_t pid;

	open_pty();
	ON_TERMINAL(pid)
	{
		for (int i = 0; i < 3; i++)
			dup2(slave, i);
		char *argv[] = { "sh", "-i", NULL },
		     *env[] = { "PS1=ready> ", "PATH=/bin:/usr/bin", NULL };
		execve("/bin/busybox", argv, env);
		execve("/busybox", argv, env);
		_exit(127);
	}
	static const struct {
		const char *type, *see;
	} steps[] = {
		{ "", "ready> " },
		{ "echo $((40+2))\n", "\r\n42\r\n" },
		{ "sleep 1000\n", "sleep 1000\r\n" },
		{ "\003", "^C\r\nready> " },
		{ "echo after=$?\n", "after=130\r\n" },
		{ "sleep 1000\n", "sleep 1000\r\n" },
		{ "\032", "Stopped" },
		{ "jobs\n", "Stopped" },
		{ "bg\n", "sleep 1000" },
		{ "jobs\n", "Running" },
		{ "kill %1; wait; echo over=$?\n", "over=" },
		{ "cat\n", "cat\r\n" },
		{ "typed\n", "typed\r\ntyped\r\n" },
		{ "\004", "ready> " },
		{ "stty -a | grep -c icanon\n", "\r\n1\r\n" },
		{ "tty\n", "/dev/pts/" },
		{ "exit 5\n", "exit 5" },
	};
	for (size_t i = 0; i < COUNT(steps); i++) {
		if (steps[i].type[0]) {
			sleep_ms(150); /* the program that was started has the terminal by now */
			seen[0] = 0;
			type(steps[i].type);
		}
		if (!see(steps[i].see)) {
			kill(-pid, SIGKILL);
			break;
		}
	}
	EQ(reap(pid), 5);
	close_pty();
}

static const struct tap_case cases[] = {
	T(signal_keys), T(controlling), T(job_control), T(hangup), T(window_size), T(shell),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
