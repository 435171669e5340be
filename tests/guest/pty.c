/* SPDX-License-Identifier: MIT */
/*
 * pty.c - pseudo-terminals and the line discipline: canonical and raw modes, echo, flow control,
 * readers that wait for each other. Sessions on them: pty_session.c.
 */
#include "terminal.h"
#include <sys/stat.h>
#include <sys/sysmacros.h>

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

/* More lines than the buffer holds: whoever types them waits until they are read, and none is lost. */
static void many_lines(void)
{
	static char line[80];
	struct pollfd p;
	long typed = 0, total = 0;
	int status, held;
	pid_t pid;

	open_pty();
	modes(0, ECHO, 1, 0);
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\n';
	/* without waiting: so much and not more */
	OK(fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK));
	while ((held = write(master, line, sizeof line)) == sizeof line)
		typed += held;
	typed += held > 0 ? held : 0;
	CHECK(typed > 2000 && typed < 1 << 20);
	ERR(write(master, "x", 1), EAGAIN);
	p = (struct pollfd){ .fd = master, .events = POLLOUT };
	EQ(poll(&p, 1, 0), 0);
	OK(tcflush(slave, TCIFLUSH)); /* makes room */
	EQ(poll(&p, 1, 1000), 1);
	if (on_skerry()) { /* so does a signal; Linux would not see it behind what waits */
		while (write(master, line, sizeof line) == sizeof line)
			;
		EQ(poll(&p, 1, 0), 0);
		EQ(write(master, "\3", 1), 1);
		EQ(poll(&p, 1, 0), 1);
	}
	OK(tcflush(slave, TCIFLUSH));
	OK(fcntl(master, F_SETFL, O_RDWR));
	/* waiting */
	FORKED(pid)
	{
		for (int i = 0; i < 500; i++)
			EQ(write(master, line, sizeof line), sizeof line);
		EQ(write(master, "\4", 1), 1);
	}
	for (ssize_t n; (n = read(slave, line, sizeof line)) > 0; total += n)
		CHECK(n == sizeof line && line[0] == 'x' && line[n - 1] == '\n');
	EQ(total, 500 * (long)sizeof line);
	EQ(waitpid(pid, &status, 0), pid);
	/* one that is too long loses its rest, and its end is there */
	FORKED(pid)
	{
		for (int i = 0; i < 100; i++)
			EQ(write(master,
				 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
				 60),
			   60);
		EQ(write(master, "\n", 1), 1);
	}
	static char longest[8192];
	EQ(read(slave, longest, sizeof longest), 4096);
	EQ(longest[4095], '\n');
	EQ(reap(pid), 0);
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
	T(opening),    T(default_modes),  T(lines),	      T(echo), T(raw), T(other_calls),
	T(many_lines), T(killed_in_line), T(waiting_in_line),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
