/* SPDX-License-Identifier: MIT */
/*
 * ctool-fake.c - Skerry's container calls as far as ctool needs them, on Linux.
 *
 * It takes the place of user/lib/container.c, so that ctool itself (not the
 * kernel) is tested on the build machine. A container is a directory of control
 * files in $SKERRY_CONTROL; a process in it is a chroot. A monitor process stands
 * between ctool and each program: it takes signals, from the file `kill` too
 * (a fifo), and at the program's end writes the state.
 */
#include <skerry/container.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t program;

static char *file_path(int id, const char *file)
{
	static char path[4][512];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%d/%s", getenv("SKERRY_CONTROL"), id, file);
	return path[turn];
}

/* In place: who holds the file open sees the change. */
static void put(int id, const char *file, const char *value)
{
	int fd = open(file_path(id, file), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	dprintf(fd, "%s\n", value);
	if (ftruncate(fd, (off_t)strlen(value) + 1))
		abort();
	close(fd);
}

static void put_number(int id, const char *file, uint64_t n)
{
	char s[32];

	if (n == CONTAINER_NO_LIMIT)
		strcpy(s, "max");
	else
		snprintf(s, sizeof s, "%llu", (unsigned long long)n);
	put(id, file, s);
}

static char *get(int id, const char *file)
{
	static char value[4096];
	int fd = open(file_path(id, file), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, value, sizeof value - 1);

	if (fd >= 0)
		close(fd);
	value[n > 0 ? n - 1 : 0] = '\0';
	return value;
}

static int known(int id)
{
	if (!access(file_path(id, "state"), F_OK))
		return 1;
	errno = ESRCH;
	return 0;
}

static int taken(const char *file, const char *value, int before)
{
	for (int id = 1; *value && id < before; id++)
		if (known(id) && !strcmp(get(id, file), value))
			return 1;
	return 0;
}

void container_spec_init(struct container_spec *spec, const char *root)
{
	memset(spec, 0, sizeof *spec);
	spec->root = (uintptr_t)root;
	spec->console = CONTAINER_NO_CONSOLE;
	spec->pids_max = spec->memory_max = CONTAINER_NO_LIMIT;
}

int spawncont(const struct container_spec *spec, size_t size)
{
	char name[80];
	int id = 1;

	if (size == sizeof *spec && spec->flags == CONTAINER_F_IMAGE)
		return errno = EOPNOTSUPP, -1;
	if (size != sizeof *spec || spec->flags)
		return errno = EINVAL, -1;
	while (id < 1000 && mkdir(file_path(id, ""), 0755))
		id++;
	if (taken("name", spec->name, id)) {
		rmdir(file_path(id, ""));
		return errno = EEXIST, -1;
	}
	snprintf(name, sizeof name, "c%d", id);
	put(id, "name", spec->name[0] ? spec->name : name);
	put(id, "hostname", spec->hostname[0] ? spec->hostname : get(id, "name"));
	put(id, "root", (const char *)(uintptr_t)spec->root);
	put(id, "console", spec->console < 0 ? "none" : "1");
	put_number(id, "pids.max", spec->pids_max);
	put_number(id, "memory.max", spec->memory_max);
	put(id, "pids.current", "0");
	put(id, "memory.current", "4096");
	put(id, "memory.events", "low 0\nhigh 0\nmax 3\noom 0\noom_kill 1");
	put(id, "cpu.stat", "usage_usec 20000\nuser_usec 15000\nsystem_usec 5000");
	put(id, "created", "1000000000.5");
	put(id, "procs", "");
	mkfifo(file_path(id, "kill"), 0600);
	if (symlink("/dev/ptmx", file_path(id, "pty")))
		return -1;
	put(id, "state", "created");
	return id;
}

static void forward(int sig)
{
	kill(program, sig);
}

/* Takes what is written to `kill` until it is killed itself. */
static pid_t start_listener(int id, int ready)
{
	int fd = open(file_path(id, "kill"), O_RDWR | O_CLOEXEC);
	pid_t pid = fork();
	char line[32];

	if (pid == 0)
		close(ready);
	while (pid == 0) {
		ssize_t n = read(fd, line, sizeof line - 1);

		line[n > 0 ? n : 0] = '\0';
		kill(program, atoi(line));
	}
	close(fd);
	return pid;
}

static void take_signals(void)
{
	static const int signals[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH
	};
	sigset_t none;

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		signal(signals[i], forward);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_all_but(int kept)
{
	for (int fd = 0; fd < 256; fd++)
		if (fd != kept)
			close(fd);
}

/* Ends as the program does, for who waits for it. */
static void end_like(int status)
{
	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	_exit(128 + WTERMSIG(status));
}

/* `ready` is closed when the container's state is "running". */
static void monitor(int id, int first, int ready)
{
	pid_t listener = 0;
	int status;

	take_signals();
	close_all_but(ready);
	if (first) {
		listener = start_listener(id, ready);
		put(id, "procs", "1 the name S 15000 5000 4096");
		put_number(id, "pids.current", 1);
		put_number(id, "program", (uint64_t)program);
		put(id, "state", "running");
	}
	close(ready);
	while (waitpid(program, &status, 0) < 0)
		continue;
	if (first) {
		kill(listener, SIGKILL);
		put(id, "procs", "");
		put_number(id, "exit_status", (uint64_t)status);
		put_number(id, "pids.current", 0);
		put(id, "state", "stopped");
	}
	end_like(status);
}

pid_t cfork(int id)
{
	int first, ready[2];
	char *root, byte;
	pid_t pid;

	if (!known(id))
		return -1;
	first = strcmp(get(id, "state"), "running");
	if (!first && !strcmp(get(id, "pids.max"), "1"))
		return errno = EAGAIN, -1;
	root = strdup(get(id, "root"));
	if (pipe2(ready, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid) {
		close(ready[1]);
		(void)!read(ready[0], &byte, 1);
		close(ready[0]);
		return pid;
	}
	program = fork();
	if (program)
		monitor(id, first, ready[1]);
	setsid();
	if (chroot(root) || chdir("/"))
		_exit(99);
	close(ready[0]);
	close(ready[1]);
	return 0;
}

static int set_state(int id, const char *from, const char *to, int sig)
{
	if (!known(id))
		return -1;
	if (strcmp(get(id, "state"), from))
		return errno = EINVAL, -1;
	kill(-atoi(get(id, "program")), sig);
	put(id, "state", to);
	return 0;
}

int cpause(int id)
{
	return set_state(id, "running", "paused", SIGSTOP);
}

int cresume(int id)
{
	return set_state(id, "paused", "running", SIGCONT);
}

int cstop(int id)
{
	if (!known(id))
		return -1;
	while (!strcmp(get(id, "state"), "running") || !strcmp(get(id, "state"), "paused")) {
		kill(-atoi(get(id, "program")), SIGKILL);
		usleep(10000);
	}
	return 0;
}

int getcid(void)
{
	return 0;
}

int cinfo(int id, struct cinfo *info, size_t size)
{
	if (!known(id))
		return -1;
	memset(info, 0, size);
	info->exit_status = atoi(get(id, "exit_status"));
	info->state = strcmp(get(id, "state"), "stopped") ? CONTAINER_RUNNING : CONTAINER_STOPPED;
	return 0;
}

int destroy_container(int id)
{
	char command[600];

	if (cstop(id))
		return -1;
	snprintf(command, sizeof command, "rm -rf '%s'", file_path(id, ""));
	return system(command) ? -1 : 0;
}

/* Linked in the place of poll(): a changed plain file does not wake anybody. */
int __real_poll(struct pollfd *p, nfds_t n, int msec);
int __wrap_poll(struct pollfd *p, nfds_t n, int msec)
{
	if (n != 1 || p->events != POLLPRI)
		return __real_poll(p, n, msec);
	usleep(10000);
	return 1;
}
