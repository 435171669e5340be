/* SPDX-License-Identifier: MIT */ /* build: both */
/*
 * rung01_hello.c - the first program: stdio only, no harness, so that it runs when little else
 * does.
 */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	printf("1..2\n");
	printf("ok 1 - hello\n");
	printf("%s 2 - argv\n", argc == 1 && strstr(argv[0], "rung01") ? "ok" : "not ok");
	return fflush(stdout) != 0;
}
