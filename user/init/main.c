/* SPDX-License-Identifier: MIT */
/*
 * init - pid 1: mounts what programs expect, then does what the host asks for
 * over the control port (one command, or a shell on a terminal; see link.h), or
 * keeps a shell if there is no such port. It reaps orphans and ends the machine:
 * SIGUSR1 and SIGUSR2 power off, SIGTERM and SIGINT reset, as busybox's halt,
 * poweroff and reboot send them.
 *
 * Signals are blocked but inside ppoll(2), so no wake-up is lost and no other
 * call is interrupted.
 */
#include "init.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STAND_IN_FILE "/etc/functions"
#define PORT_WAIT_MS  2000

volatile sig_atomic_t child_ended;
volatile sig_atomic_t end_wanted;

static struct init init;

void say(const char *format, ...)
{
	char text[512] = "init: ";
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text + 6, sizeof(text) - 7, format, args);
	va_end(args);
	len = len > (int)sizeof(text) - 8 ? (int)sizeof(text) - 2 : len + 6;
	text[len++] = '\n';
	if (write(2, text, len) < 0)
		return; /* nobody to tell */
}

static void on_signal(int sig)
{
	switch (sig) {
	case SIGCHLD:
		child_ended = 1;
		break;
	case SIGUSR1:
	case SIGUSR2:
		end_wanted = RB_POWER_OFF;
		break;
	default:
		end_wanted = RB_AUTOBOOT;
	}
}

static const int handled[] = { SIGCHLD, SIGUSR1, SIGUSR2, SIGTERM, SIGINT };
#define NHANDLED (sizeof(handled) / sizeof(handled[0]))

static void signals_init(struct init *in)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigemptyset(&in->inside);
	for (size_t i = 0; i < NHANDLED; i++)
		sigaction(handled[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void child_prepare(const struct init *in)
{
	for (size_t i = 0; i < NHANDLED; i++)
		signal(handled[i], SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &in->inside, NULL);
}

bool reap(pid_t pid, int *status)
{
	bool found = false;
	pid_t got;
	int st;

	child_ended = 0;
	while ((got = waitpid(-1, &st, WNOHANG)) > 0) {
		if (got == pid) {
			*status = st;
			found = true;
		}
	}
	return found;
}

static void mount_one(const char *type, const char *where, const char *options)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, options) && errno != EBUSY)
		say("mount %s on %s: %s", type, where, strerror(errno));
}

/* Names that a device filesystem may leave to user space; EEXIST is as good. */
static void device_links_init(void)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) && errno != EEXIST)
			say("symlink %s: %s", links[i][1], strerror(errno));
}

static void mounts_init(void)
{
	mount_one("devtmpfs", "/dev", NULL);
	mount_one("proc", "/proc", NULL);
	mount_one("sysfs", "/sys", NULL);
	mount_one("devpts", "/dev/pts", "mode=620,ptmxmode=666");
	mount_one("tmpfs", "/dev/shm", "mode=1777");
	device_links_init();
}

/* A program needs descriptors 0, 1 and 2, or files that it opens take their place. */
static void console_init(void)
{
	int fd;

	do
		fd = open("/dev/console", O_RDWR | O_NOCTTY);
	while (fd >= 0 && fd < 3);
	if (fd >= 3)
		close(fd);
	while (fd < 0 && (fd = open("/dev/null", O_RDWR)) >= 0 && fd < 2)
		fd = -1;
}

static void environment_init(void)
{
	char name[256] = "skerry";
	int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ssize_t n = read(fd, name, sizeof(name) - 1);

		name[n > 0 ? n : 0] = 0;
		name[strcspn(name, "\n")] = 0;
		close(fd);
	}
	if (sethostname(name, strlen(name)))
		say("sethostname %s: %s", name, strerror(errno));
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("USER", "root", 1);
	setenv("LOGNAME", "root", 1);
	setenv("SHELL", "/bin/sh", 1);
	setenv("TERM", "linux", 1);
	if (chdir("/"))
		say("chdir /: %s", strerror(errno));
}

static bool has_entries(const char *path)
{
	DIR *d = opendir(path);
	bool found = false;
	struct dirent *e;

	while (d && !found && (e = readdir(d)))
		found = e->d_name[0] != '.';
	if (d)
		closedir(d);
	return found;
}

/* Containers that were there when the machine ended, before anybody can ask for them. */
static void containers_restore(const struct init *in)
{
	pid_t pid;

	if (!has_entries("/var/lib/skerry/containers") && !has_entries("/run/ctool"))
		return;
	pid = fork();
	if (pid == 0) {
		child_prepare(in);
		execlp("ctool", "ctool", "restore", (char *)NULL);
		say("ctool: %s", strerror(errno));
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

/* How those that have stopped ended, for that. It gets a moment, since the machine is to end. */
static void containers_remember(const struct init *in)
{
	pid_t pid;

	if (!has_entries("/var/lib/skerry/containers"))
		return;
	pid = fork();
	if (pid == 0) {
		child_prepare(in);
		execlp("ctool", "ctool", "remember", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; pid > 0 && i < 1000 && waitpid(pid, NULL, WNOHANG) == 0; i++)
		usleep(10000);
}

/*
 * busybox's shell prefers its own applets to programs in PATH. Functions come
 * before both; the file holds them on one line, so that line numbers in the
 * shell's messages stay right when it is put before a command.
 */
static char *stand_in_read(void)
{
	static char text[1024];
	int fd = open(STAND_IN_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return NULL;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	return text;
}

/* The device of a port where only its number is in its name (Linux). */
static bool port_find(const char *name, char *path, size_t size)
{
	DIR *d = opendir("/sys/class/virtio-ports");
	bool found = false;
	struct dirent *e;

	while (d && !found && (e = readdir(d))) {
		char file[512], text[64] = "";
		int fd;

		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "/sys/class/virtio-ports/%s/name", e->d_name);
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, text, sizeof(text) - 1) > 0) {
			text[strcspn(text, "\n")] = 0;
			found = !strcmp(text, name);
			snprintf(path, size, "/dev/%s", e->d_name);
		}
		close(fd);
	}
	if (d)
		closedir(d);
	return found;
}

static int port_try(const char *name, int flags)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "/dev/virtio-ports/%s", name);
	fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && port_find(name, path, sizeof(path)))
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* A port's name arrives from the host some time after the device (virtio 1.2, 5.3.6.2). */
int port_open(const char *name, int flags)
{
	bool device =
		!access("/dev/virtio-ports", F_OK) || !access("/sys/class/virtio-ports", F_OK);
	int fd = port_try(name, flags);

	for (int ms = 0; fd < 0 && device && ms < PORT_WAIT_MS; ms++) {
		usleep(1000);
		fd = port_try(name, flags);
	}
	return fd;
}

static void __attribute__((noreturn)) end_machine(int how)
{
	kill(-1, SIGTERM);
	for (int i = 0; i < 20 && !(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD); i++)
		usleep(10000);
	containers_remember(&init);
	kill(-1, SIGKILL);
	sync();
	reboot(how);
	say("reboot: %s", strerror(errno));
	_exit(1); /* the kernel says so and stops */
}

static void take_tree(struct init *in, const struct link_message *m)
{
	static struct tree_sink sink = { .follow = true };
	char text[PATH_MAX + 512];
	int done = tree_receive(&sink, m);

	if (done < 0) {
		int len = snprintf(text, sizeof(text), "--add: in the guest: %s: %s", sink.where,
				   strerror(-done));
		link_send(&in->link, LINK_ERROR, text, len);
	}
	if (done) {
		tree_sink_destroy(&sink);
		sink.dest[0] = 0;
	}
}

/* Does what the host says, up to and including the message that starts the work. */
static void obey(struct init *in)
{
	struct link_message m;
	int got;

	link_send_word(&in->link, LINK_HELLO, LINK_VERSION);
	while ((got = link_receive(&in->link, &m)) > 0) {
		if (m.type >= LINK_TREE)
			take_tree(in, &m);
		else if (m.type == LINK_ENV)
			putenv(strdup(m.data));
		else if (m.type == LINK_GET && in->ngets < INIT_GETS_MAX)
			in->gets[in->ngets++] = strdup(m.data);
		else if (m.type == LINK_RUN)
			return command_run(in, &m);
		else if (m.type == LINK_SHELL)
			return shell_keep(in, strdup(m.data));
	}
	say("the host has gone: %s", strerror(-got));
}

int main(void)
{
	umask(022);
	signals_init(&init);
	mounts_init();
	console_init();
	environment_init();
	init.stand_in = stand_in_read();
	containers_restore(&init);
	link_init(&init.link, port_open(LINK_CTL, O_RDWR));
	if (init.link.fd >= 0)
		obey(&init);
	else
		shell_keep(&init, "");
	end_machine(end_wanted ? end_wanted : RB_POWER_OFF);
}
