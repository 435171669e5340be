/* SPDX-License-Identifier: MIT */
/*
 * openmanager.c - a container manager that serves open() from a table of its own.
 *
 *	openmanager TABLE ROOT PROG [ARG...]
 *
 * runs PROG in a container rooted at ROOT. TABLE has lines "PATH FILE": who opens PATH
 * inside gets FILE, as it is out here, read-only; "PATH -" hides PATH. All other names are the
 * kernel's business. PROG cannot tell: the calls open and openat are held up by a rule
 * "notify", and this process answers them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skerry/container.h>

static struct {
	char path[256], file[256];
} table[64];
static size_t entries;

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static void table_read(const char *name)
{
	FILE *f = fopen(name, "r");

	if (!f)
		die(name);
	while (entries < sizeof table / sizeof *table &&
	       fscanf(f, "%255s %255s", table[entries].path, table[entries].file) == 2)
		entries++;
	fclose(f);
}

/* The answer to an open of `path`; *fd: a descriptor to be closed when it is given. */
static void decide(const char *path, struct cnotify_answer *a, int *fd)
{
	size_t i = 0;

	a->verdict = CNOTIFY_ALLOW;
	while (i < entries && strcmp(table[i].path, path))
		i++;
	if (i == entries)
		return;
	*fd = open(table[i].file, O_RDONLY | O_CLOEXEC);
	a->verdict = *fd < 0 ? CNOTIFY_ERRNO : CNOTIFY_FILE;
	a->value = *fd < 0 ? 0 : *fd;
	a->error = *fd < 0 ? ENOENT : 0;
}

/* Until the container is destroyed. */
static void serve(int notify)
{
	static union {
		struct cnotify_call call;
		char bytes[CNOTIFY_CALL_MAX];
	} r;

	while (read(notify, &r, sizeof r) > 0) {
		unsigned arg = r.call.number == SYS_openat ? 1 : 0, flags_arg = arg + 1;
		struct cnotify_answer a = { .id = r.call.id };
		int fd = -1;

		decide(r.bytes + r.call.data[arg].offset, &a, &fd);
		if (a.verdict == CNOTIFY_FILE && r.call.args[flags_arg] & O_CLOEXEC)
			a.flags = CNOTIFY_CLOEXEC;
		/* ENOENT: the caller was killed while we looked. */
		if (write(notify, &a, sizeof a) < 0 && errno != ENOENT)
			die("answer");
		if (fd >= 0)
			close(fd);
	}
}

int main(int argc, char **argv)
{
	struct container_spec spec;
	int cid, notify, status;
	pid_t manager, pid;

	if (argc < 4) {
		fprintf(stderr, "usage: openmanager TABLE ROOT PROG [ARG...]\n");
		return 125;
	}
	table_read(argv[1]);
	container_spec_init(&spec, argv[2]);
	spec.deny = (uintptr_t) "open=notify openat=notify";
	cid = spawncont(&spec, sizeof spec);
	notify = cid < 0 ? -1 : container_notify(cid);
	if (notify < 0)
		die(argv[2]);
	manager = fork();
	if (manager == 0) {
		serve(notify);
		_exit(0);
	}
	close(notify); /* it is the manager's: with him it ends */
	pid = cfork(cid);
	if (pid == 0) {
		execv(argv[3], argv + 3);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	destroy_container(cid);
	waitpid(manager, NULL, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
