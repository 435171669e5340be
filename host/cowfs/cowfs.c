/* SPDX-License-Identifier: MIT */
/* cowfs.c - `cowfs COMMAND IMAGE ...`: the table of commands, and the command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cowfs/command.h"
#include "cowfs/tool.h"

struct command {
	const char *name, *synopsis, *what, *example;
	const char *options; /* for getopt */
	int least, most;     /* words behind the image */
	int (*run)(const struct arguments *a);
};

#define NO_END 1000000

static const struct command commands[] = {
	{ "ls", "[-R] [-v VOLUME] IMAGE [PATH...]",
	  "Lists files as 'ls -l' does, numbers for owners.\n  -R  and what is in directories, "
	  "whole paths",
	  "cowfs ls build/disk.img /etc", "Rv:", 0, NO_END, command_ls },
	{ "cat", "[-v VOLUME] IMAGE PATH...", "Prints files.",
	  "cowfs cat build/disk.img /etc/passwd", "v:", 1, NO_END, command_cat },
	{ "get", "[-v VOLUME] IMAGE PATH [DEST]",
	  "Copies a file or directory out, as DEST or into the directory DEST (.).",
	  "cowfs get build/disk.img /root /tmp/root", "v:", 1, 2, command_get },
	{ "put", "[-v VOLUME] IMAGE FILE... PATH",
	  "Copies files or directories into the image, as PATH or into the directory PATH.",
	  "cowfs put build/disk.img notes.txt /root", "v:", 2, NO_END, command_put },
	{ "unpack", "[-f] [-k PREFIX]... [-v VOLUME] IMAGE ARCHIVE.cpio",
	  "Unpacks a newc cpio archive, unless it is the one that was unpacked there last.\n"
	  "  -k PREFIX  what exists at PREFIX or below stays as it is (may be repeated)\n"
	  "  -f         also if it was the last one",
	  "cowfs unpack -k etc -k root build/disk.img build/initramfs.cpio", "fk:v:", 1, 1,
	  command_unpack },
	{ "info", "IMAGE", "Prints sizes and counts.", "cowfs info build/disk.img", "", 0, 0,
	  command_info },
	{ "volumes", "IMAGE", "Lists the volumes.", "cowfs volumes build/disk.img", "", 0, 0,
	  command_volumes },
	{ "diff", "IMAGE A B",
	  "Prints in what volume B differs from A: A path (added), C (changed), D (deleted).",
	  "cowfs diff build/disk.img before root", "", 2, 2, command_diff },
	{ "clone", "[-r] IMAGE VOLUME NAME",
	  "Makes the volume NAME, which has what VOLUME has; both share it.\n  -r  for ever: a "
	  "read-only one",
	  "cowfs clone -r build/disk.img root before", "r", 2, 2, command_clone },
	{ "rm-volume", "IMAGE NAME...", "Deletes volumes.", "cowfs rm-volume build/disk.img before",
	  "", 1, NO_END, command_rm_volume },
	{ "mount", "[-f] [-o WORD,...] [-v VOLUME] IMAGE DIR",
	  "Shows the volume's files at DIR, to be read and written, until 'fusermount3 -u DIR'.\n"
	  "  -f              stays in the foreground, and says there what goes wrong\n"
	  "  -o ro           only to be read: others may read the image as well\n"
	  "  -o allow_other  for all users, whom modes and owners let in; else for you alone",
	  "cowfs mount build/disk.img /mnt", "fo:v:", 1, 1, command_mount },
};

static void help_all(void) __noreturn;
static void help_all(void)
{
	printf("Usage: cowfs COMMAND IMAGE ...\n\n"
	       "Looks into cowfs images, and changes them while no guest uses them.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  cowfs %s %s\n", commands[i].name, commands[i].synopsis);
	printf("\nWithout -v it is the volume 'root'. 'cowfs COMMAND --help' says more.\n\n"
	       "Example:\n  cowfs ls build/disk.img /etc\n");
	tool_flush();
	exit(0);
}

static void help_one(const struct command *c)
{
	printf("Usage: cowfs %s %s\n\n%s\n\nExample:\n  %s\n", c->name, c->synopsis, c->what,
	       c->example);
	tool_flush();
	exit(0);
}

/* PREFIX without slashes around it. */
static const char *prefix(const char *text)
{
	char *p = tool_format("%s", text + strspn(text, "/"));

	while (*p && p[strlen(p) - 1] == '/')
		p[strlen(p) - 1] = '\0';
	if (!*p)
		tool_usage("-k '%s': say the name of a file or directory", text);
	return p;
}

static void parse_option(const struct command *c, struct arguments *a, int option)
{
	switch (option) {
	case 'R':
		a->all = true;
		break;
	case 'r':
		a->frozen = true;
		break;
	case 'f':
		a->force = a->foreground = true;
		break;
	case 'o':
		a->mount_options = optarg;
		break;
	case 'v':
		a->volume = optarg;
		break;
	case 'k':
		if (a->keep_count == KEEP_MAX)
			tool_usage("more than %d times -k", KEEP_MAX);
		a->keep[a->keep_count++] = prefix(optarg);
		break;
	case 'h':
		help_one(c);
		break;
	default:
		tool_usage("an option is wrong");
	}
}

static int command_run(const struct command *c, int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	static struct arguments a = { .volume = "root", .mount_options = "" };
	char *options = tool_format("%sh", c->options);
	int option;

	while ((option = getopt_long(argc, argv, options, longs, NULL)) != -1)
		parse_option(c, &a, option);
	free(options);
	if (optind == argc)
		tool_usage("which image?");
	a.image = argv[optind++];
	a.word = argv + optind;
	a.words = argc - optind;
	if (a.words < c->least)
		tool_usage("too few arguments: %s", c->synopsis);
	if (a.words > c->most)
		tool_usage("too many arguments, from '%s' on: %s", a.word[c->most], c->synopsis);
	return c->run(&a);
}

int main(int argc, char **argv)
{
	tool_name = "cowfs";
	if (argc < 2)
		tool_usage("which command?");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		help_all();
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name)) {
			tool_name = tool_format("cowfs %s", argv[1]);
			argv[1] = (char *)tool_name; /* getopt's messages begin with it */
			return command_run(&commands[i], argc - 1, argv + 1);
		}
	tool_usage("there is no command '%s'", argv[1]);
}
