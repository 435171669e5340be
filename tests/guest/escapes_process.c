/* SPDX-License-Identifier: MIT */
/*
 * escapes_process.c - attacks on processes outside: by pids, signals, /proc, parents, priorities,
 * terminals, sockets; and on containers by their ids and control files.
 */
#include "escapes.h"
#include "sockets.h"
#include <pty.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/futex.h>

static void nothing(int sig) {}

/* --- pids and signals --- */

static void guessed_pids(void)
{
	outside();
	int c = prison();
	pid_t child;
	INSIDE(c)
	{
		siginfo_t info = { .si_code = SI_QUEUE };
		FORKED(child) idle();
		for (pid_t p = child + 1; p < 5000; p++) {
			if (kill(p, SIGKILL) == 0 || kill(-p, SIGKILL) == 0 ||
			    syscall(SYS_tkill, p, SIGKILL) == 0 ||
			    syscall(SYS_tgkill, p, p, SIGKILL) == 0 ||
			    syscall(SYS_rt_sigqueueinfo, p, SIGKILL, &info) == 0 || errno != ESRCH)
				FAIL("pid %d: errno %d", p, errno);
		}
		ERR(kill(-bystander, SIGKILL), ESRCH);
		signal(SIGTERM, SIG_IGN);
		OK(kill(-1, SIGKILL)); /* control: all whom one sees */
		EQ(reap(child), 128 + SIGKILL);
	}
	OK(kill(bystander, 0)); /* control */
	OK(kill(-bystander, 0));
	untouched();
	gone(c);
}

static void priorities_and_limits(void)
{
	outside();
	int c = prison();
	pid_t child;
	INSIDE(c)
	{
		struct rlimit one = { 1, 1 };
		struct sched_param p = { 0 };
		cpu_set_t cpu;
		CPU_ZERO(&cpu);
		CPU_SET(0, &cpu);
		long head;
		size_t length;
		FORKED(child) idle();
		EQ(child, 2);
		ERR(setpriority(PRIO_PROCESS, bystander, 19), ESRCH);
		ERR(setpriority(PRIO_PGRP, bystander, 19), ESRCH);
		ERR(getpriority(PRIO_PROCESS, bystander), ESRCH);
		ERR(syscall(SYS_prlimit64, bystander, RLIMIT_NOFILE, &one, NULL), ESRCH);
		ERR(syscall(SYS_sched_setscheduler, bystander, SCHED_OTHER, &p), ESRCH);
		ERR(syscall(SYS_sched_setaffinity, bystander, sizeof cpu, &cpu), ESRCH);
		ERR(syscall(SYS_get_robust_list, bystander, &head, &length), ESRCH);
		ERR(getpgid(bystander), ESRCH);
		ERR(getsid(bystander), ESRCH);
		ERR(setpgid(0, bystander), EPERM);
		OK(setpriority(PRIO_USER, 0, 15));	  /* all of root's, inside */
		EQ(getpriority(PRIO_PROCESS, child), 15); /* control */
		OK(syscall(SYS_prlimit64, child, RLIMIT_NOFILE, &one, NULL));
		OK(syscall(SYS_sched_setscheduler, child, SCHED_OTHER, &p));
		OK(kill(child, SIGKILL));
		EQ(reap(child), 128 + SIGKILL);
	}
	untouched();
	gone(c);
}

/* --- /proc --- */

static void proc_of_the_outside(void)
{
	outside();
	int c = prison();
	char name[128];
	INSIDE(c)
	{
		snprintf(name, sizeof name, "/proc/%d", bystander);
		EQ(access(name, F_OK), -1);
		/* the links of pid 1 lead to its own root */
		snprintf(name, sizeof name, "/proc/1/root/%s/" CANARY_PATH, scratch_path);
		CHECK(!reads_canary(AT_FDCWD, name));
		CHECK(!reads_canary(AT_FDCWD, "/proc/1/root/../../../" CANARY_PATH));
		CHECK(!reads_canary(AT_FDCWD, "/proc/1/cwd/../" CANARY_PATH));
		static const char *const files[] = { "/proc/self/mounts", "/proc/self/mountinfo",
						     "/proc/cmdline", "/proc/self/maps" };
		for (size_t i = 0; i < COUNT(files); i++) { /* names from outside */
			char *text = get(files[i]);
			CHECK(text && !strstr(text, "tap.") && !strstr(text, "debug_exit"));
		}
		static const char *const writes[] = { "/proc/sys/kernel/hostname",
						      "/proc/sys/kernel/core_pattern",
						      "/proc/sys/kernel/pid_max",
						      "/proc/sysrq-trigger", "/proc/1/mem" };
		for (size_t i = 0; i < COUNT(writes); i++)
			EQ(open(writes[i], O_WRONLY), -1);
		int fd = OK(open("/proc/skerry/objects", O_RDONLY));
		ERR(read(fd, name, sizeof name), EPERM);
		EQ(access("/proc/1/stat", F_OK), 0); /* control */
		CHECK(chdir("/proc/self/root/in") == 0);
	}
	snprintf(name, sizeof name, "/proc/%d/root/%s/" CANARY_PATH, bystander, scratch_path);
	CHECK(reads_canary(AT_FDCWD, name)); /* control */
	CHECK(strstr(get("/proc/cmdline"), "debug_exit") != NULL);
	untouched();
	gone(c);
}

/* Each thing that /proc tells of a process's memory and descriptors: how many it gives away. */
static int looks(pid_t pid, bool want)
{
	static const char *const names[] = { "environ", "maps", "auxv", "exe",
					     "cwd",	"root", "fd/0", "fd/1" };
	int n = 0;

	for (size_t i = 0; i < COUNT(names); i++) {
		char path[64], text[256];
		snprintf(path, sizeof path, "/proc/%d/%s", pid, names[i]);
		int fd = open(path, O_RDONLY);
		bool link = readlink(path, text, sizeof text) >= 0;
		if (fd >= 0)
			close(fd);
		bool seen = fd >= 0 || link;
		n += seen;
		if (seen != want)
			tap_say("# %s: %s", path, seen ? "can be looked at" : "cannot");
	}
	return n;
}

/* Waits for whatever has this pid inside. */
static bool appears(pid_t pid)
{
	for (int i = 0; i < 5000; i++) {
		if (kill(pid, 0) == 0)
			return true;
		sleep_ms(2);
	}
	return false;
}

/* The attacker: pid 1 that has executed a program inside. pid 2 comes from outside. */
static int agent_look(const char *argument)
{
	if (!appears(2))
		return 90;
	int n = looks(2, false);
	char text[256] = "";
	int fd = open("/proc/2/cmdline", O_RDONLY);
	n += fd >= 0 && read(fd, text, sizeof text) > 0;
	close(fd);
	pid_t own = fork(); /* control */
	if (own == 0)
		idle();
	if (looks(own, true) != 8)
		n += 50;
	return n;
}

/*
 * Who is put into a container is, until it executes a program there, a copy of one outside, with
 * its environment, its memory and its descriptors (CVE-2016-9962, CVE-2019-5736).
 */
static void newcomer(void)
{
	outside();
	int c = prison(), self = OK(open(tap_self, O_RDONLY | O_CLOEXEC));
	pid_t init, new;
	CFORKED(init, c) agent(self, "look", "");
	new = CFORK(c);
	REQUIRE(new >= 0);
	if (new == 0)
		idle();
	EQ(reap(init), 0);
	EQ(reap(new), 128 + SIGKILL);
	close(self);
	untouched();
	gone(c);
}

/* --- parents --- */

/* A second program in the container: what is its parent outside told to be parent of? */
static int agent_siblings(const char *argument)
{
	pid_t pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	if (pid > 0 || errno != EINVAL)
		return 1;
	pid_t child = fork(); /* control: whose parent is inside, may */
	if (child == 0) {
		pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
		_exit(pid < 0);
	}
	if (reap(child) || wait(NULL) <= 0)
		return 2;
	/* an orphan, in two ways */
	for (int i = 0; i < 2; i++)
		if (fork() == 0) {
			if (fork() == 0) {
				while (getppid() > 2)
					sleep_ms(1);
				_exit(0);
			}
			_exit(0);
		}
	return 0;
}

/* A child that nobody had, or an orphan, for the process outside that put the program inside. */
static void children_for_the_outside(void)
{
	outside();
	int c = prison(), self = OK(open(tap_self, O_RDONLY | O_CLOEXEC));
	pid_t init, second, middle;
	CFORKED(init, c)
	{
		for (;;)
			if (wait(NULL) < 0)
				sleep_ms(5);
	}
	OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	second = CFORK(c);
	if (second == 0)
		agent(self, "siblings", "");
	EQ(reap(second), 0);
	AWAIT(info_of(c).pids_current == 1); /* the orphans were reaped inside */
	EQ(waitpid(-1, NULL, WNOHANG), 0);
	/* control: an orphan outside does come */
	FORKED(middle) if (fork() == 0) _exit(7);
	EQ(reap(middle), 0);
	int got = 0;
	AWAIT(got || (got = waitpid(-1, NULL, WNOHANG)) > 0);
	gone(c);
	EQ(reap(init), 128 + SIGKILL);
	close(self);
	untouched();
}

/* --- terminals --- */

/* A container that was given a terminal of the outside as its input takes it from its session. */
static void steal_the_terminal(void)
{
	int master, slave;
	pid_t owner;

	outside();
	OK(openpty(&master, &slave, NULL, NULL, NULL));
	int c = prison();
	FORKED(owner)
	{
		setsid();
		OK(ioctl(slave, TIOCSCTTY, 0));
		WORD(0) = 1;
		AWAIT(WORD(1));
		EQ(tcgetsid(slave), getpid()); /* it still has it */
		EQ(tcgetpgrp(slave), getpid());
		WORD(2) = 1;
		AWAIT(WORD(3));
		EQ(tcgetsid(slave), -1);
	}
	AWAIT(WORD(0));
	INSIDE(c)
	{
		int id, group = getpgrp();
		ERR(ioctl(slave, TIOCSCTTY, 1), EPERM);
		ERR(ioctl(slave, TIOCSCTTY, 0), EPERM);
		ERR(ioctl(slave, TIOCSPGRP, &group), ENOTTY);
		ERR(ioctl(slave, TIOCNOTTY), ENOTTY);
		ERR(ioctl(slave, TIOCGSID, &id), ENOTTY);
		ERR(ioctl(master, TIOCGSID, &id), ENOTTY); /* a pid of the outside */
		ERR(ioctl(master, TIOCGPGRP, &id), ENOTTY);
		ERR(open("/dev/tty", O_RDWR), ENXIO);
	}
	WORD(1) = 1;
	AWAIT(WORD(2));
	pid_t thief; /* control: root outside may */
	FORKED(thief)
	{
		setsid();
		signal(SIGHUP, SIG_IGN);
		OK(ioctl(slave, TIOCSCTTY, 1));
	}
	EQ(reap(thief), 0);
	WORD(3) = 1;
	EQ(reap(owner), 0);
	close(master);
	close(slave);
	untouched();
	gone(c);
}

static void terminals_by_number(void)
{
	int master, slave;
	char name[64], own[64];

	outside();
	OK(openpty(&master, &slave, name, NULL, NULL));
	int c = prison();
	INSIDE(c)
	{
		int m, s;
		for (int i = 0; i < 64; i++) {
			snprintf(own, sizeof own, "/dev/pts/%d", i);
			EQ(open(own, O_RDWR | O_NOCTTY), -1);
		}
		for (int i = 0; i < 12; i++) { /* nor the consoles of others */
			snprintf(own, sizeof own, "/dev/tty%d", i);
			EQ(open(own, O_RDWR | O_NOCTTY), -1);
		}
		EQ(open("/dev/hvc0", O_RDWR | O_NOCTTY), -1);
		EQ(open("/dev/ttyS0", O_RDWR | O_NOCTTY), -1);
		OK(openpty(&m, &s, own, NULL, NULL)); /* control: its own */
		int again = OK(open(own, O_RDWR | O_NOCTTY));
		/* the screen that all share, and which console it shows */
		struct {
			unsigned short rows, cols, scroll;
		} size = { 5, 5, 0 };
		ERR(ioctl(again, 0x5609 /* VT_RESIZE */, &size), EPERM);
		ERR(ioctl(again, 0x5606 /* VT_ACTIVATE */, 0), EPERM);
		EQ(ioctl(again, TIOCSTI, "x"), -1);
	}
	close(OK(open(name, O_RDWR | O_NOCTTY))); /* control */
	OK(ioctl(slave, 0x5606, 0));
	close(master);
	close(slave);
	untouched();
	gone(c);
}

/* --- sockets --- */

static int connect_to(const struct sockaddr_un *a, socklen_t n)
{
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(s, (const struct sockaddr *)a, n)) {
		int saved = errno;
		close(s);
		errno = saved;
		return -1;
	}
	return s;
}

static void abstract_sockets(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0tap escape" };
	socklen_t n = 2 + 1 + strlen(a.sun_path + 1);

	outside();
	int l = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	OK(bind(l, (struct sockaddr *)&a, n));
	OK(listen(l, 5));
	int c = prison();
	INSIDE(c)
	{
		ERR(connect_to(&a, n), ECONNREFUSED);
		int own = OK(socket(AF_UNIX, SOCK_STREAM, 0));
		OK(bind(own, (struct sockaddr *)&a, n)); /* the name is free here */
		OK(listen(own, 5));
		OK(connect_to(&a, n)); /* control */
	}
	close(OK(connect_to(&a, n))); /* control; and it is the outside's listener that answers */
	close(OK(accept(l, NULL, NULL)));
	OK(fcntl(l, F_SETFL, O_NONBLOCK));
	ERR(accept(l, NULL, NULL), EAGAIN); /* nobody else has come */
	close(l);
	untouched();
	gone(c);
}

/* Posing as a process outside towards one outside; and what the kernel itself says of a peer. */
static void forged_credentials(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "r/socket" };
	int s[2], on = 1;

	outside();
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	OK(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	int l = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(bind(l, (struct sockaddr *)&a, sizeof a));
	OK(listen(l, 5));
	struct ucred forged = { bystander, 0, 0 };
	int c = prison();
	WORD(0) = 0;
	pid_t pid;
	CFORKED(pid, c)
	{
		struct ucred peer;
		socklen_t n = sizeof peer;
		strcpy(a.sun_path, "/socket"); /* a file that both see */
		send_ids(s[1], &forged);
		int own = OK(connect_to(&a, sizeof a));
		OK(getsockopt(own, SOL_SOCKET, SO_PEERCRED, &peer, &n));
		EQ(peer.pid, 0); /* who listens cannot be named here */
		AWAIT(WORD(0));
	}
	EQ(receive_ids(s[0]).pid, 0);
	int peer = OK(accept(l, NULL, NULL));
	struct ucred who;
	socklen_t n = sizeof who;
	OK(getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &n));
	EQ(who.pid, 0);
	WORD(0) = 1;
	EQ(reap(pid), 0);
	send_ids(s[1], &forged); /* control: root outside may say so */
	EQ(receive_ids(s[0]).pid, bystander);
	close(peer);
	close(l);
	close(s[0]);
	close(s[1]);
	untouched();
	gone(c);
}

/* Record locks name their holder, for those who see him. */
static void holder_of_a_lock(void)
{
	outside();
	put("r/in/f", "x", 0666);
	int c = prison(), fd = OK(open("r/in/f", O_RDWR));
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	OK(fcntl(fd, F_SETLK, &lock));
	INSIDE(c)
	{
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		pid_t child;
		int f = OK(open("/in/f", O_RDWR));
		OK(fcntl(f, F_GETLK, &l));
		EQ(l.l_type, F_WRLCK);
		EQ(l.l_pid, 0);
		put("/in/g", "x", 0666);
		int g = OK(open("/in/g", O_RDWR));
		l.l_type = F_WRLCK;
		OK(fcntl(g, F_SETLK, &l));
		FORKED(child) /* control */
		{
			OK(fcntl(g, F_GETLK, &l));
			EQ(l.l_pid, 1);
		}
		EQ(reap(child), 0);
	}
	close(fd);
	untouched();
	gone(c);
}

/* The same address in two processes, as cfork leaves it: a private futex is of one process. */
static void futex_of_another(void)
{
	static int word;
	pid_t waiter, child;

	outside();
	int c = prison();
	FORKED(waiter)
	{
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
		_exit(55);
	}
	await_asleep(waiter);
	INSIDE(c)
	{
		EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1000), 0);
		EQ(syscall(SYS_futex, &word, FUTEX_WAKE, 1000), 0);
		FORKED(child) /* control: memory that both do share */
		{
			syscall(SYS_futex, &WORD(9), FUTEX_WAIT, 0, NULL);
			_exit(7);
		}
		await_asleep(child);
		EQ(syscall(SYS_futex, &WORD(9), FUTEX_WAKE, 1000), 1);
		EQ(reap(child), 7);
	}
	EQ(waitpid(waiter, NULL, WNOHANG), 0);
	kill(waiter, SIGKILL);
	EQ(reap(waiter), 128 + SIGKILL);
	untouched();
	gone(c);
}

/* --- containers --- */

static long container_call(int number, int cid)
{
	struct cinfo info;

	return number == SYS_cinfo ? syscall(number, cid, &info, sizeof info)
				   : syscall(number, cid);
}

static void forged_ids(void)
{
	static const int calls[] = {
		SYS_join_container, SYS_destroy_container, SYS_cfork,
		SYS_cpause,	    SYS_cresume,	   SYS_cstop,
		SYS_cinfo,	    SYS_container_notify,  SYS_container_sched
	};

	outside();
	OK(mkdir("r/root", 0755));
	int c = prison(), sibling = spawn();
	pid_t other;
	CFORKED(other, sibling) idle();
	INSIDE(c)
	{
		struct container_spec s = spec_of("/root");
		int nested = OK(syscall(SYS_spawncont, &s, sizeof s));
		const int ids[] = { 0, -1, INT32_MIN, INT32_MAX, c, sibling, c - 1, nested + 1, 1 };
		for (size_t k = 0; k < COUNT(calls); k++)
			for (size_t i = 0; i < COUNT(ids); i++)
				if ((calls[k] != SYS_cinfo || ids[i] != c) && ids[i] != nested)
					ERR(container_call(calls[k], ids[i]), ESRCH);
		pid_t pid; /* control: on the one that it made */
		CFORKED(pid, nested) idle();
		for (int k = 3; k < 6; k++)
			OK(container_call(calls[k], nested));
		for (int k = 6; k < 9; k++)
			OK(container_call(calls[k], nested));
		EQ(reap(pid), 128 + SIGKILL);
		OK(container_call(SYS_destroy_container, nested));
		ERR(LEAVE(), EPERM); /* one is born here */
	}
	EQ(waitpid(other, NULL, WNOHANG), 0);
	gone(sibling);
	EQ(reap(other), 128 + SIGKILL);
	untouched();
	gone(c);
}

/* Its own limits and filter, which are its parent's to set. */
static void own_control_files(void)
{
	static const char *const names[] = { "pids.max",    "memory.max",    "cpu.weight",
					     "cpu.max",	    "cpuset.cpus",   "sched.policy",
					     "freeze",	    "syscalls.deny", "kill",
					     "on_limit",    "sched.log",     "files.max",
					     "memory.high", "memory.min",    "memory.log",
					     "io.max" };
	char path[128];

	outside();
	OK(mkdir("r/root", 0755));
	int c = spawn_limited(20, 64 << 20), sibling = spawn();
	INSIDE(c)
	{
		OK(mount("s", "/in", "sysfs", 0, NULL)); /* a new instance shows no more */
		struct container_spec s = spec_of("/root");
		int nested = OK(syscall(SYS_spawncont, &s, sizeof s));
		for (size_t i = 0; i < COUNT(names); i++) {
			snprintf(path, sizeof path, "/sys/container/self/%s", names[i]);
			ERR(open(path, O_WRONLY), EPERM);
			snprintf(path, sizeof path, "/in/container/self/%s", names[i]);
			ERR(open(path, O_RDWR), EPERM);
			snprintf(path, sizeof path, "/in/container/%d/%s", sibling, names[i]);
			ERR(open(path, O_WRONLY), ENOENT);
			snprintf(path, sizeof path, "/in/container/%d/%s", c, names[i]);
			ERR(open(path, O_WRONLY), ENOENT);
			snprintf(path, sizeof path, "/in/container/%d/%s", nested, names[i]);
			close(OK(open(path, O_WRONLY))); /* control */
		}
		EQ(open("/sys/container/self/memory.map", O_RDONLY), -1);
		EQ(open("/sys/container/self/trace", O_RDONLY), -1);
		EQ(open("/sys/container/self/log", O_RDONLY), -1);
		/* what it gives to one inside it is still bounded by its own */
		OK(control_set(nested, "pids.max", "1000000"));
		pid_t pid;
		CFORKED(pid, nested)
		{
			int n = 0;
			while (n < 100 && fork() > 0)
				n++;
			if (getpid() != 1)
				idle();
			EQ(errno, EAGAIN);
			CHECK(n < 20);
		}
		EQ(reap(pid), 0);
	}
	EQ(info_of(c).pids_max, 20);
	gone(sibling);
	untouched();
	gone(c);
}

static const struct agent agents[] = { { "look", agent_look }, { "siblings", agent_siblings } };

static const struct tap_case cases[] = {
	T(guessed_pids),
	T(priorities_and_limits),
	T(proc_of_the_outside),
	T(newcomer),
	T(children_for_the_outside),
	T(steal_the_terminal),
	T(terminals_by_number),
	T(abstract_sockets),
	T(forged_credentials),
	T(holder_of_a_lock),
	T(futex_of_another),
	T(forged_ids),
	T(own_control_files),
};

int main(int argc, char **argv)
{
	agent_main(agents, COUNT(agents), argc, argv);
	signal(SIGUSR1, nothing);
	return TAP_RUN(cases, argc, argv);
}
