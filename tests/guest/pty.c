/* SPDX-License-Identifier: MIT */
/*
 * pty.c - pseudo-terminals and the line discipline: canonical and raw modes, signals, job control,
 * hangup, window sizes; and the shell's own job control on one.
 */
#include "tap.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

static int master, slave;
static char slave_name[32];

static void open_pty(void)
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

static void close_pty(void)
{
	close(master);
	close(slave);
}

static void modes(tcflag_t local_on, tcflag_t local_off, int min, int time)
{
	struct termios t;

	REQUIRE(tcgetattr(slave, &t) == 0);
	t.c_lflag = (t.c_lflag | local_on) & ~local_off;
	t.c_cc[VMIN] = min;
	t.c_cc[VTIME] = time;
	REQUIRE(tcsetattr(slave, TCSANOW, &t) == 0);
}

static void type(const char *text)
{
	REQUIRE(write(master, text, strlen(text)) == (ssize_t)strlen(text));
}

/* What the slave reads within a moment, "" if nothing comes. */
static const char *reads(int fd)
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
static const char *screen(void)
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

static void opening(void)
{
	struct stat st;
	int n = -1;

	master = OK(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	OK(ioctl(master, TIOCGPTN, &n));
	snprintf(slave_name, sizeof slave_name, "/dev/pts/%d", n);
	ERR(open(slave_name, O_RDWR | O_NOCTTY), EIO); /* locked at first */
	int zero = 0, lock = 9;
	OK(ioctl(master, TIOCGPTLCK, &lock));
	EQ(lock, 1);
	OK(ioctl(master, TIOCSPTLCK, &zero));
	slave = OK(open(slave_name, O_RDWR | O_NOCTTY));
	OK(fstat(slave, &st));
	CHECK(S_ISCHR(st.st_mode));
	EQ(major(st.st_rdev), 136);
	EQ(minor(st.st_rdev), n);
	EQ(isatty(slave), 1);
	EQ(isatty(master), 1);
	int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (peer >= 0) {
		EQ(isatty(peer), 1);
		close(peer);
	}
	close_pty();
	ERR(stat(slave_name, &st), ENOENT); /* gone with its master */
	/* two at once are two */
	open_pty();
	int m = master, s = slave;
	open_pty();
	type("x\n");
	STREQ(reads(s), "");
	STREQ(reads(slave), "x\n");
	close_pty();
	close(m);
	close(s);
}

static void default_modes(void)
{
	struct termios t;

	open_pty();
	OK(tcgetattr(slave, &t));
	EQ(t.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
	EQ(t.c_iflag, ICRNL | IXON);
	EQ(t.c_oflag, OPOST | ONLCR);
	EQ(t.c_cc[VINTR], 3);
	EQ(t.c_cc[VERASE], 127);
	EQ(t.c_cc[VEOF], 4);
	EQ(t.c_cc[VMIN], 1);
	EQ(cfgetospeed(&t), B38400);
	close_pty();
}

static void lines(void)
{
	open_pty();
	type("hel");
	STREQ(reads(slave), ""); /* no line yet */
	type("lo\nmore\n");
	STREQ(reads(slave), "hello\n"); /* one line a read */
	STREQ(reads(slave), "more\n");
	type("partial\n");
	char c[4] = "";
	EQ(read(slave, c, 3), 3);
	STREQ(c, "par");
	STREQ(reads(slave), "tial\n");
	/* erase, kill, word erase, end of file, literal */
	type("abx\177c\n");
	STREQ(reads(slave), "abc\n");
	type("wrong\025right\n");
	STREQ(reads(slave), "right\n");
	type("one two\027three\n");
	STREQ(reads(slave), "one three\n");
	type("\177\177ok\n");
	STREQ(reads(slave), "ok\n");
	type("no newline\004");
	STREQ(reads(slave), "no newline");
	type("\004");
	struct pollfd f = { slave, POLLIN, 0 };
	EQ(poll(&f, 1, 1000), 1);
	EQ(read(slave, c, 3), 0);
	type("\026\003x\n"); /* ^V takes the meaning away */
	STREQ(reads(slave), "\003x\n");
	type("cr\r"); /* ICRNL */
	STREQ(reads(slave), "cr\n");
	close_pty();
}

static void echo(void)
{
	open_pty();
	type("ab\n");
	STREQ(screen(), "ab\r\n");
	type("x\177y");
	STREQ(screen(), "x\b \by");
	type("\003"); /* on its own: the key drops what has not been shown yet */
	STREQ(screen(), "^C");
	modes(0, ECHO, 1, 0);
	type("secret\n");
	STREQ(screen(), "");
	modes(ECHONL, ECHO, 1, 0);
	type("s\n");
	STREQ(screen(), "\r\n");
	EQ(write(slave, "a\nb", 3), 3); /* ONLCR */
	STREQ(screen(), "a\r\nb");
	struct termios t;
	tcgetattr(slave, &t);
	t.c_oflag &= ~OPOST;
	tcsetattr(slave, TCSADRAIN, &t);
	EQ(write(slave, "a\nb", 3), 3);
	STREQ(screen(), "a\nb");
	close_pty();
}

static void raw(void)
{
	char c[16];
	struct termios t;

	open_pty();
	tcgetattr(slave, &t);
	cfmakeraw(&t);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	OK(tcsetattr(slave, TCSANOW, &t));
	type("\003\004\r\177");
	STREQ(reads(slave), "\003\004\r\177");
	STREQ(screen(), "");
	/* VMIN 0, VTIME 0: what is there */
	modes(0, 0, 0, 0);
	EQ(read(slave, c, 5), 0);
	type("ab");
	EQ(read(slave, c, 5), 2);
	/* VMIN 0, VTIME > 0: a timer from the start */
	modes(0, 0, 0, 2);
	long long start = now_ms();
	EQ(read(slave, c, 5), 0);
	CHECK(now_ms() - start >= 190);
	type("z");
	EQ(read(slave, c, 5), 1);
	/* VMIN 3: three bytes, or as many as asked for */
	modes(0, 0, 3, 0);
	pid_t pid;
	FORKED(pid)
	{
		type("1");
		sleep_ms(30);
		type("23");
	}
	EQ(read(slave, c, 10), 3);
	EQ(reap(pid), 0);
	type("12");
	EQ(read(slave, c, 2), 2);
	/* VMIN 3, VTIME 2: between bytes */
	modes(0, 0, 3, 2);
	type("1");
	start = now_ms();
	EQ(read(slave, c, 10), 1);
	CHECK(now_ms() - start >= 190);
	/* input that was there becomes readable when canonical mode is left */
	modes(ICANON, 0, 1, 0);
	type("un");
	STREQ(reads(slave), "");
	modes(0, ICANON, 1, 0);
	STREQ(reads(slave), "un");
	ERR(ioctl(slave, TCGETS, (void *)8), EFAULT);
	close_pty();
}

static volatile int caught[65];

static void note(int s)
{
	caught[s]++;
}

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

static void job_control(void)
{
	pid_t pid;

	open_pty();
	ON_TERMINAL(pid)
	{
		pid_t job = fork();
		int status;
		char c;
		if (job == 0) {
			setpgid(0, 0);
			WORD(0) = 1;
			read(slave, &c, 1); /* in the background: SIGTTIN */
			modes(0, TOSTOP, 1, 0);
			_exit(c == 'x' ? 7 : 8);
		}
		AWAIT(WORD(0));
		EQ(waitpid(job, &status, WUNTRACED), job);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
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
		/* writing from the background stops only with TOSTOP */
		job = fork();
		if (job == 0) {
			setpgid(0, 0);
			write(slave, "bg", 2);
			WORD(2) = 1;
			modes(TOSTOP, 0, 1, 0); /* changing modes always does */
			_exit(0);
		}
		EQ(waitpid(job, &status, WUNTRACED), job);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
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
		EQ(waitpid(job, &status, WUNTRACED), job);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
		kill(job, SIGKILL);
		waitpid(job, &status, 0);
		/* a background reader that ignores SIGTTIN gets EIO */
		job = fork();
		if (job == 0) {
			setpgid(0, 0);
			signal(SIGTTIN, SIG_IGN);
			ERR(read(slave, &c, 1), EIO);
			_exit(0);
		}
		EQ(reap(job), 0);
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

static void other_calls(void)
{
	int n = 0;
	char c = 'x';

	open_pty();
	type("abc\n");
	AWAIT(!ioctl(slave, FIONREAD, &n) && n == 4);
	OK(tcflush(slave, TCIFLUSH));
	OK(ioctl(slave, FIONREAD, &n));
	EQ(n, 0);
	OK(tcdrain(slave));
	OK(tcflow(slave, TCOOFF));
	OK(tcflow(slave, TCOON));
	OK(tcsendbreak(slave, 0));
	/* pushing input into a terminal: only into one's own, and newer kernels refuse it all */
	pid_t pid;
	FORKED(pid)
	{
		setresuid(1000, 1000, 1000);
		EQ(ioctl(slave, TIOCSTI, &c), -1);
		CHECK(errno == EPERM || errno == EIO);
	}
	EQ(reap(pid), 0);
	ERR(ioctl(slave, 0x5499, &n), ENOTTY);
	ERR(tcflush(slave, 99), EINVAL);
	ERR(lseek(slave, 0, SEEK_SET), ESPIPE);
	/* ^S stops output, ^Q lets it go on */
	screen();
	type("\023");
	sleep_ms(20);
	FORKED(pid)
	{
		write(slave, "held", 4);
	}
	STREQ(screen(), "");
	type("\021");
	STREQ(screen(), "held");
	EQ(reap(pid), 0);
	/* more than the buffers hold, to a reader that is slow */
	struct termios t;
	tcgetattr(slave, &t);
	cfmakeraw(&t);
	tcsetattr(slave, TCSANOW, &t);
	FORKED(pid)
	{
		static char big[100000];
		EQ(write(slave, big, sizeof big), sizeof big);
	}
	static char back[5000];
	for (long total = 0; total < 100000;) {
		ssize_t r = read(master, back, sizeof back);
		REQUIRE(r > 0);
		total += r;
	}
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

/* Who waits behind another reader can be killed. */
static void killed_in_line(void)
{
	pid_t pid[2];
	char byte;

	open_pty();
	for (int i = 0; i < 2; i++) {
		FORKED(pid[i]) read(slave, &byte, 1);
		await_asleep(pid[i]);
	}
	for (int i = 1; i >= 0; i--) {
		kill(pid[i], SIGKILL);
		EQ(reap(pid[i]), 137);
	}
	close_pty();
}

/* Nor does it hold up one who does not want to wait, or who gets a signal. */
static void waiting_in_line(void)
{
	struct sigaction act = { .sa_handler = note };
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	char c;
	pid_t pid;

	open_pty();
	modes(0, ICANON, 1, 0);
	FORKED(pid)
	{
		EQ(read(slave, &c, 1), 1);
	}
	await_asleep(pid);
	int fd = OK(open(slave_name, O_RDWR | O_NOCTTY | O_NONBLOCK));
	ERR(read(fd, &c, 1), EAGAIN);
	OK(sigaction(SIGALRM, &act, NULL));
	OK(setitimer(ITIMER_REAL, &soon, NULL));
	ERR(read(slave, &c, 1), EINTR);
	alarm(TAP_SECONDS);
	type("x");
	EQ(reap(pid), 0);
	close(fd);
	close_pty();
}

static const struct tap_case cases[] = {
	T(opening),	T(default_modes), T(lines),	     T(echo),		T(raw),
	T(signal_keys), T(controlling),	  T(job_control),    T(hangup),		T(window_size),
	T(other_calls), T(shell),	  T(killed_in_line), T(waiting_in_line)
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
