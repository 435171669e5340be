/* SPDX-License-Identifier: MIT */
/* procs.c - a program in the style of xv6 for RISC-V: processes, pipes, memory, time. */
#include "kernel/types.h"
#include "kernel/stat.h"
#include "kernel/fcntl.h"
#include "user/user.h"

int failed;

void check(int good, char *what)
{
	if (good)
		return;
	fprintf(2, "procs: not so: %s\n", what);
	failed = 1;
}

void memory(void)
{
	char *before = sbrk(0), *p, *blocks[200];
	int i, j;

	check(sbrk(8192) == before, "sbrk gives the old end");
	before[8191] = 1;
	check(sbrk(-8192) == before + 8192 && sbrk(0) == before, "sbrk back");
	for (i = 0; i < 200; i++) {
		blocks[i] = malloc(i * 37 + 1);
		check(blocks[i] != 0, "malloc");
		memset(blocks[i], i, i * 37 + 1);
	}
	for (i = 0; i < 200; i += 2)
		free(blocks[i]);
	for (i = 1; i < 200; i += 2) {
		for (j = 0; j < i * 37 + 1; j++)
			if ((blocks[i][j] & 0xff) != i)
				break;
		check(j == i * 37 + 1, "blocks stay what they are");
		free(blocks[i]);
	}
	p = malloc(1 << 20);
	check(p != 0, "a large one");
	free(p);
	free(0);
}

int main(int argc, char *argv[])
{
	int fds[2], pid, status, n, start;
	char buf[64], *again[] = { "procs", "child", 0 };

	if (argc == 2 && strcmp(argv[1], "child") == 0) {
		gets(buf, sizeof(buf));
		printf("child read %s", buf);
		exit(7);
	}
	check(pipe(fds) == 0, "pipe");
	pid = fork();
	if (pid == 0) {
		close(0);
		dup(fds[0]);
		close(fds[0]);
		close(fds[1]);
		exec(argv[0], again);
		exit(1);
	}
	close(fds[0]);
	check(write(fds[1], "a line\nmore\n", 12) == 12, "write to the pipe");
	close(fds[1]);
	check(wait(&status) == pid && status == 7, "wait");
	check(wait(&status) == -1, "no more children");
	pid = fork();
	if (pid == 0)
		for (;;)
			sleep(100);
	check(kill(pid) == 0 && wait(&status) == pid && status == -1, "kill");
	check(exec("/none", again) == -1, "exec of nothing");
	start = uptime();
	sleep(3);
	n = uptime() - start;
	check(n >= 3 && n < 3000, "time goes on");
	memory();
	check(atoi("42x") == 42 && strcmp("a", "b") < 0 && strchr("abc", 'c') != 0, "strings");
	printf(failed ? "procs: failed\n" : "procs: ok %d %l %p %% %u\n", -1, 123456789012L,
	       (void *)0x10, 5);
	exit(failed);
}
