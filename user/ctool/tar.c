/* SPDX-License-Identifier: MIT */
/*
 * tar.c - archives, by busybox's tar. It runs in a process of its own that has the place where the
 * files are as its root before it looks at a name, so nothing in an archive, and no link that is
 * there, leads elsewhere.
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "/bin/busybox"

/* The child: returns only an exit status after the message. */
static int become(const struct tar *t)
{
	char *const env[] = { NULL };
	int program = open(PROGRAM, O_RDONLY | O_CLOEXEC), status;
	struct stat st;

	if (program < 0)
		return fail_errno(errno, PROGRAM);
	if (t->input >= 0 && dup2(t->input, STDIN_FILENO) < 0)
		return fail_errno(errno, "its input");
	status = place_enter(t->root);
	if (status)
		return status;
	if (chdir(t->directory))
		return fail_errno(errno, "%s", t->directory);
	if (t->name && lstat(t->name, &st))
		return fail_errno(errno, "%s/%s", strcmp(t->directory, "/") ? t->directory : "",
				  t->name);
	syscall(SYS_execveat, program, "", t->args, env, AT_EMPTY_PATH);
	return fail_errno(errno, PROGRAM);
}

int tar_run(const struct tar *t)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(become(t));
	if (pid < 0)
		return fail_errno(errno, "fork");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_errno(errno, "wait");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
