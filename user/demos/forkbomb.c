/* SPDX-License-Identifier: MIT */
/*
 * forkbomb.c - as many processes as the container allows.
 *
 *	forkbomb [SECONDS]
 *
 * Each process makes others until fork() fails, which it does with EAGAIN at the
 * container's pids.max (or with ENOMEM, at memory.max). After SECONDS (3) the first one tells
 * how often it succeeded and failed, and ends; the container's end takes the others along.
 *
 *	ctool run --rm -p 50 /c1 /forkbomb
 *	ctool run --rm -p 50 --on-limit kill /c1 /forkbomb
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct counts {
	long made, refused;
	int error; /* of the last refusal */
};

static void explode(struct counts *c)
{
	for (;;) {
		pid_t pid = fork();

		if (pid > 0) {
			__atomic_add_fetch(&c->made, 1, __ATOMIC_RELAXED);
		} else if (pid < 0) {
			c->error = errno;
			__atomic_add_fetch(&c->refused, 1, __ATOMIC_RELAXED);
			usleep(1000);
		}
	}
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 3;
	struct counts *c =
		mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED) {
		perror("forkbomb");
		return 1;
	}
	printf("forkbomb: %d seconds\n", seconds);
	fflush(stdout);
	if (fork() == 0)
		explode(c);
	sleep((unsigned)seconds);
	printf("forkbomb: %ld processes made, %ld refused (%s)\n", c->made, c->refused,
	       c->refused ? strerror(c->error) : "never");
	return 0;
}
