/* SPDX-License-Identifier: MIT */
/*
 * echoloop.c - says something again and again, with the time between.
 *
 *	echoloop TICKS WORD...
 *
 * prints the words and a number every TICKS hundredths of a second. Pause its
 * container, and it stops at that number and goes on from it; what it says while another
 * console is shown is kept.
 *
 *	ctool start vc1 /c1 /echoloop 100 hello from one
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	long ticks = argc > 1 ? atol(argv[1]) : 0;
	struct timespec pause = { ticks / 100, ticks % 100 * 10000000 };

	if (argc < 3 || ticks < 0) {
		fprintf(stderr, "usage: echoloop TICKS WORD...\n");
		return 1;
	}
	for (unsigned long n = 1;; n++) {
		for (int i = 2; i < argc; i++)
			printf("%s ", argv[i]);
		printf("%lu\n", n);
		if (fflush(stdout))
			return 1;
		nanosleep(&pause, NULL);
	}
}
