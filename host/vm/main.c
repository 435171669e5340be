/* SPDX-License-Identifier: MIT */
/*
 * vm - runs one guest under QEMU for ./run, which makes its command line; it is
 * not meant to be called by people. Its exit status is that of ./run.
 *
 *	vm [option...] -- QEMU ARG...
 *
 *	--command STRING    run it and end; without, a person is at a shell
 *	--shell-tty PATH    the terminal in the guest for that shell ("": the first that opens)
 *	--serial-console    the person is on the serial line
 *	--add HOST GUEST    --get GUEST HOST    --env K=V      may be repeated
 *	--log FILE          kernel messages       --verbose      to stderr as well
 *	--timeout SECS      0: none               --probe        fail without a word
 *
 * The QEMU command line refers to the chardevs serial, ctl, in, out, err and console.
 */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void complain(const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "run: %s\n", text);
}

enum {
	OPT_COMMAND = 1,
	OPT_SHELL_TTY,
	OPT_SERIAL_CONSOLE,
	OPT_ADD,
	OPT_GET,
	OPT_ENV,
	OPT_LOG,
	OPT_VERBOSE,
	OPT_TIMEOUT,
	OPT_PROBE,
};

static const struct option longs[] = {
	{ "command", required_argument, NULL, OPT_COMMAND },
	{ "shell-tty", required_argument, NULL, OPT_SHELL_TTY },
	{ "serial-console", no_argument, NULL, OPT_SERIAL_CONSOLE },
	{ "add", required_argument, NULL, OPT_ADD },
	{ "get", required_argument, NULL, OPT_GET },
	{ "env", required_argument, NULL, OPT_ENV },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "probe", no_argument, NULL, OPT_PROBE },
	{ 0 },
};

static void too_many(const char *what)
{
	complain("more than %d %s", VM_ADD_MAX, what);
	exit(VM_FAILED);
}

/* The second word of --add and --get is the next argument. */
static const char *second(int argc, char **argv)
{
	if (optind >= argc) {
		complain("vm: --add and --get take two words");
		exit(VM_FAILED);
	}
	return argv[optind++];
}

static void add_pair(struct options *o, int opt, int argc, char **argv)
{
	if (opt == OPT_ADD && o->nadd < VM_ADD_MAX) {
		o->add[o->nadd].host = optarg;
		o->add[o->nadd++].guest = second(argc, argv);
	} else if (opt == OPT_GET && o->nget < VM_ADD_MAX) {
		o->get[o->nget].guest = optarg;
		o->get[o->nget++].host = second(argc, argv);
	} else {
		too_many("files");
	}
}

static void parse_one(struct options *o, int opt, int argc, char **argv)
{
	switch (opt) {
	case OPT_COMMAND:
		o->command = optarg;
		break;
	case OPT_SHELL_TTY:
		o->shell_tty = optarg;
		break;
	case OPT_SERIAL_CONSOLE:
		o->serial_console = true;
		break;
	case OPT_ENV:
		if (o->nenv == VM_ADD_MAX)
			too_many("variables");
		o->env[o->nenv++] = optarg;
		break;
	case OPT_LOG:
		o->log_path = optarg;
		break;
	case OPT_VERBOSE:
		o->verbose = true;
		break;
	case OPT_TIMEOUT:
		o->timeout = strtod(optarg, NULL);
		break;
	case OPT_PROBE:
		o->probe = true;
		break;
	case OPT_ADD:
	case OPT_GET:
		add_pair(o, opt, argc, argv);
		break;
	default:
		exit(VM_FAILED);
	}
}

/* What cannot be read is better said before the boot than after. */
static void check_files(const struct options *o)
{
	struct stat st;

	for (int i = 0; i < o->nadd; i++) {
		const char *path = o->add[i].host;

		if (lstat(path, &st) || (!S_ISLNK(st.st_mode) && access(path, R_OK))) {
			complain("--add %s: %s", path, strerror(errno));
			exit(VM_FAILED);
		}
	}
}

/* Descriptors 0, 1 and 2 that are closed must not become something else. */
static void reserve_files(void)
{
	int fd = open("/dev/null", O_RDWR);

	while (fd >= 0 && fd < 3)
		fd = dup(fd);
	if (fd >= 3)
		close(fd);
}

int main(int argc, char **argv)
{
	static struct options o = { .shell_tty = "" };
	int opt;

	reserve_files();
	while ((opt = getopt_long(argc, argv, "+", longs, NULL)) != -1)
		parse_one(&o, opt, argc, argv);
	o.qemu = argv + optind;
	if (!*o.qemu) {
		complain("vm: no QEMU command line");
		return VM_FAILED;
	}
	check_files(&o);
	return session_run(&o);
}
