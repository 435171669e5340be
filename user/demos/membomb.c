/* SPDX-License-Identifier: MIT */
/*
 * membomb.c - as much memory as the container allows.
 *
 *	membomb [MEGABYTES]
 *
 * A child takes memory, a megabyte at a time, and writes to all of it, until it has
 * MEGABYTES (1024) or is ended: at the container's memory.max nothing of a neighbour is taken;
 * the kernel kills the largest process inside. The parent tells how far it came.
 *
 *	ctool run --rm -m 16M /c1 /membomb
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEGABYTE (1 << 20)

static void take(int megabytes, volatile int *taken)
{
	while (*taken < megabytes) {
		char *p = mmap(NULL, MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
		if (p == MAP_FAILED) {
			perror("membomb: mmap");
			_exit(1);
		}
		memset(p, *taken + 1, MEGABYTE);
		++*taken;
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	int megabytes = argc > 1 ? atoi(argv[1]) : 1024, status;
	int *taken = mmap(NULL, sizeof *taken, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	pid_t pid;

	if (taken == MAP_FAILED) {
		perror("membomb");
		return 1;
	}
	pid = fork();
	if (pid == 0)
		take(megabytes, taken);
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		perror("membomb");
		return 1;
	}
	if (WIFSIGNALED(status))
		printf("membomb: killed by signal %d after %d MB\n", WTERMSIG(status), *taken);
	else
		printf("membomb: %d MB, status %d\n", *taken, WEXITSTATUS(status));
	return 0;
}
