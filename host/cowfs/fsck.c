/* SPDX-License-Identifier: MIT */
/* fsck.c - fsck.cowfs: cow_check() of an image. Exit statuses as fsck(8) has them. */
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "cowfs/image.h"
#include "cowfs/tool.h"

static const char help[] =
	"Usage: fsck.cowfs [-n] IMAGE\n\n"
	"Walks all that is in a cowfs image, computes counts, quotas, links and lists again, says "
	"what\n"
	"is wrong and sets right what can be set right.\n\n"
	"  -n    changes nothing, only says what is wrong\n\n"
	"Exit status: 0 nothing is wrong; 1 all that was wrong has been set right; 4 something is\n"
	"still wrong; 8 the image could not be checked; 16 the command line is wrong.\n\n"
	"Example:\n"
	"  fsck.cowfs -n build/disk.img\n";

enum { RIGHT = 0, CORRECTED = 1, WRONG = 4, UNCHECKED = 8, USAGE = 16 };

static void print_line(void *arg, const char *text)
{
	(void)arg;
	puts(text);
}

static int check(const char *path, bool repair)
{
	struct cow_check c = { .report = print_line, .repair = repair };
	struct cow_check again = { .repair = false };
	struct image i;
	int err;

	image_open(&i, path, repair ? IMAGE_WRITE : IMAGE_READ);
	err = cow_check(i.fs, &c);
	if (!err && repair && c.problems)
		err = cow_check(i.fs, &again);
	if (err)
		tool_fail("'%s' could not be checked to the end: %s", path, tool_error(err));
	image_close(&i);
	printf("%s: %lu volumes, %lu inodes, %lu blocks; %lu problems", path, c.volumes, c.inodes,
	       c.blocks, c.problems);
	if (repair && c.problems)
		printf(", %lu repairs, %lu problems left", c.repaired, again.problems);
	putchar('\n');
	tool_flush();
	if (!c.problems)
		return RIGHT;
	return repair && !again.problems ? CORRECTED : WRONG;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	bool repair = true;
	int option;

	tool_name = "fsck.cowfs";
	tool_failed_status = UNCHECKED;
	tool_usage_status = USAGE;
	while ((option = getopt_long(argc, argv, "nh", longs, NULL)) != -1) {
		if (option == 'h')
			tool_help(help);
		if (option != 'n')
			tool_usage("an option is wrong");
		repair = false;
	}
	if (optind + 1 != argc)
		tool_usage(optind == argc ? "which image?" : "one image at a time");
	return check(argv[optind], repair);
}
