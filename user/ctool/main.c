/* SPDX-License-Identifier: MIT */
/*
 * main.c - the table of ctool's commands, and its errors.
 *
 * The table is the interface: names, operands and help stand in it and nowhere
 * else.
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* clang-format off */
const struct command commands[] = {
	{.name = "create", .handler = do_create, .usage = "DIR [FILE...]",
	 .summary = "make a directory for a container and copy files into it",
	 .example = "ctool create /c1 /bin/busybox", .least = 1, .most = -1},
	{.name = "run", .handler = do_run, .usage = "[OPTIONS] ROOT [PROG ARG...]",
	 .summary = "start a program in a new container and wait for it",
	 .example = "ctool run --rm -p 8 -m 16M /c1 /busybox echo hello",
	 .options = OPTIONS_NEW | OPTIONS_PROGRAM, .least = 1, .most = 1, .program = true},
	{.name = "start", .handler = do_start,
	 .usage = "[OPTIONS] vcN DIR PROG [ARG...]  |  start CONT",
	 .summary = "start a program on a virtual console, or a stopped container again",
	 .example = "ctool start vc1 /c1 -p 8 -m 16M /busybox sh",
	 .options = OPTIONS_NEW | OPTIONS_PROGRAM, .least = 1, .most = 2, .program = true},
	{.name = "exec", .handler = do_exec, .usage = "[OPTIONS] CONT PROG [ARG...]",
	 .summary = "run another program inside a running container",
	 .example = "ctool exec -it c1 /busybox sh",
	 .options = OPTIONS_PROGRAM, .least = 1, .most = 1, .program = true},
	{.name = "attach", .aliases = {"connect"}, .handler = do_attach, .usage = "CONT",
	 .summary = "show a container's console; " CONSOLE_KEYS " leads back",
	 .example = "ctool attach c1", .least = 1, .most = 1},
	{.name = "disconnect", .handler = do_disconnect, .usage = "",
	 .summary = "show the host's console again, as the keys " CONSOLE_KEYS " do",
	 .example = "ctool disconnect", .least = 0, .most = 0},
	{.name = "pause", .handler = do_pause, .usage = "CONT...",
	 .summary = "let nothing inside run until it is resumed",
	 .example = "ctool pause c1", .least = 1, .most = -1},
	{.name = "resume", .aliases = {"unpause"}, .handler = do_resume, .usage = "CONT...",
	 .summary = "let a paused container run on",
	 .example = "ctool resume c1", .least = 1, .most = -1},
	{.name = "stop", .handler = do_stop, .usage = "[-t SECS] CONT...",
	 .summary = "ask the first program to end (SIGTERM), then kill all",
	 .example = "ctool stop -t 3 c1", .options = OPTIONS_STOP, .least = 1, .most = -1},
	{.name = "kill", .handler = do_kill, .usage = "[-s SIG] CONT...",
	 .summary = "send a signal to the first program",
	 .example = "ctool kill -s HUP c1", .options = OPTIONS_KILL, .least = 1, .most = -1},
	{.name = "wait", .handler = do_wait, .usage = "CONT",
	 .summary = "wait until a container has stopped; print its exit status and end with it",
	 .example = "ctool wait c1", .least = 1, .most = 1},
	{.name = "rm", .aliases = {"delete"}, .handler = do_rm, .usage = "[-f] CONT...",
	 .summary = "remove stopped containers",
	 .example = "ctool rm -f c1", .options = OPTIONS_RM, .least = 1, .most = -1},
	{.name = "restore", .handler = do_restore, .usage = "",
	 .summary = "make the containers of before the last boot again, stopped (init does)",
	 .example = "ctool restore", .least = 0, .most = 0},
	{.name = "remember", .handler = do_remember, .usage = "",
	 .summary = "write down how stopped containers ended, for after a boot (init does)",
	 .example = "ctool remember", .least = 0, .most = 0},
	{.name = "list", .aliases = {"ls"}, .handler = do_list,
	 .usage = "[-a] [-q] [--format table|json]",
	 .summary = "one line for each container",
	 .example = "ctool list -a", .options = OPTIONS_LIST, .least = 0, .most = 0},
	{.name = "info", .aliases = {"inspect"}, .handler = do_info,
	 .usage = "[--format text|json] [CONT...]",
	 .summary = "processes, limits and usage of containers",
	 .example = "ctool info c1", .options = OPTIONS_INFO, .least = 0, .most = -1},
	{.name = "top", .handler = do_top, .usage = "[-n COUNT] CONT",
	 .summary = "the processes of a container, live on a terminal",
	 .example = "ctool top -n 1 c1", .options = OPTIONS_TOP, .least = 1, .most = 1},
	{.name = "stats", .handler = do_stats, .usage = "[-n COUNT] [CONT...]",
	 .summary = "what containers use, live on a terminal",
	 .example = "ctool stats -n 1", .options = OPTIONS_TOP, .least = 0, .most = -1},
	{.name = "logs", .handler = do_logs, .usage = "[-f] CONT",
	 .summary = "the output of a container that was started with --detach or on a console, as far as it is kept",
	 .example = "ctool logs -f c1", .options = OPTIONS_FOLLOW, .least = 1, .most = 1},
	{.name = "events", .handler = do_events, .usage = "[-f] [CONT]",
	 .summary = "what happened to containers: created, started, out of memory, ...",
	 .example = "ctool events -f", .options = OPTIONS_FOLLOW, .least = 0, .most = 1},
	{.name = "trace", .handler = do_trace, .usage = "[-t SECS] [-o FILE] [CONT]",
	 .summary = "what happens in all containers (or in one), as JSON for Perfetto",
	 .example = "ctool trace -t 5 -o /tmp/trace.json", .options = OPTIONS_TRACE, .least = 0, .most = 1},
	{.name = "set", .handler = do_set, .usage = "CONT KEY=VALUE...",
	 .summary = "change limits while it runs, by the names of the control files",
	 .example = "ctool set c1 cpu.weight=200 memory.max=64M", .least = 2, .most = -1},
	{.name = "help", .handler = do_help, .usage = "[COMMAND]",
	 .summary = "this list, or the help of a command",
	 .example = "ctool help run", .least = 0, .most = 1},

	{.name = "images", .handler = do_images, .usage = "[-q] [--format table|json]",
	 .summary = "the images: name, what they have of their own, command",
	 .example = "ctool images", .options = OPTIONS_IMAGES, .least = 0, .most = 0},
	{.name = "build", .handler = do_build, .usage = "[-f FILE] -t IMAGE [DIR]",
	 .summary = "make an image by steps, one a line: FROM IMAGE|host|scratch or IMPORT TAR, then RUN, COPY, ENV, WORKDIR, CMD",
	 .example = "ctool build -t web /src    # with /src/Buildfile: FROM host; COPY web /bin/; CMD web; a line each",
	 .options = OPTIONS_BUILD, .least = 0, .most = 1},
	{.name = "commit", .handler = do_commit, .usage = "CONT IMAGE",
	 .summary = "make an image of what a container's files are now",
	 .example = "ctool commit c1 web", .least = 2, .most = 2},
	{.name = "rmi", .handler = do_rmi, .usage = "IMAGE...", .summary = "remove images",
	 .example = "ctool rmi web", .least = 1, .most = -1},
	{.name = "diff", .handler = do_diff, .usage = "CONT",
	 .summary = "which files were added (A), changed (C), deleted (D) since it was made",
	 .example = "ctool diff c1", .least = 1, .most = 1},
	{.name = "cp", .handler = do_cp, .usage = "CONT:PATH DST|-  |  SRC|- CONT:PATH",
	 .summary = "copy a file or a directory out of a container or into it (DIR/. : what is in DIR; - : a tar archive)",
	 .example = "ctool cp c1:/etc/passwd /tmp", .least = 2, .most = 2},
	{.name = NULL},
};
/* clang-format on */

const char *command_name;

static void complain(const char *format, va_list args, const char *why)
{
	char *message;

	if (vasprintf(&message, format, args) < 0)
		return;
	/* In one write, so that messages of several ctools do not mix. */
	dprintf(STDERR_FILENO, "ctool: %s%s%s%s%s\n", command_name ? command_name : "",
		command_name ? ": " : "", message, why ? ": " : "", why ? why : "");
	free(message);
}

int fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args, NULL);
	va_end(args);
	return EXIT_CTOOL;
}

int fail_errno(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args, strerror(err < 0 ? -err : err));
	va_end(args);
	return EXIT_CTOOL;
}

void *must(void *memory)
{
	if (!memory)
		exit(fail("out of memory"));
	return memory;
}

char *text(const char *format, ...)
{
	va_list args;
	char *s;
	int n;

	va_start(args, format);
	n = vasprintf(&s, format, args);
	va_end(args);
	return must(n < 0 ? NULL : s);
}

void words_add(struct words *w, const char *s)
{
	w->v = must(realloc(w->v, (w->count + 2) * sizeof *w->v));
	w->v[w->count++] = must(strdup(s));
	w->v[w->count] = NULL;
}

const struct command *command_find(const char *name)
{
	const struct command *c;

	for (c = commands; c->name; c++) {
		if (!strcmp(c->name, name))
			return c;
		for (size_t i = 0; i < sizeof c->aliases / sizeof *c->aliases; i++)
			if (c->aliases[i] && !strcmp(c->aliases[i], name))
				return c;
	}
	return NULL;
}

void command_help(const struct command *c)
{
	printf("usage: ctool %s%s%s\n%s", c->name, *c->usage ? " " : "", c->usage, c->summary);
	if (c->aliases[0])
		printf("; also called %s", c->aliases[0]);
	putchar('\n');
	options_help(c->options);
	printf("\nexample:\n  %s\n", c->example);
}

static void overview(void)
{
	const struct command *c;

	puts("usage: ctool COMMAND ...\n\ncommands:");
	for (c = commands; c->name; c++)
		printf("  %-11s %s\n", c->name, c->summary);
	puts("\nctool COMMAND --help says more. Try:\n"
	     "  ctool create /c1 /bin/busybox\n"
	     "  ctool run /c1 /busybox echo hello");
}

int do_help(struct request *r)
{
	const struct command *c;

	if (!r->operand_count) {
		overview();
		return 0;
	}
	c = command_find(r->operands[0]);
	if (!c)
		return fail("no such command: %s", r->operands[0]);
	command_help(c);
	return 0;
}

int container_find(const char *word, int *id)
{
	int err = control_find(word, id);

	if (err == -ESRCH)
		return fail("no such container: %s", word);
	return err ? fail_errno(err, "/sys/container") : 0;
}

int container_find_other(const char *word, int *id)
{
	int status = container_find(word, id);

	if (!status && *id == CONTROL_SELF)
		return fail("%s: ctool itself is in it; that is for those outside", word);
	return status;
}

char *container_label(int id)
{
	char *name = control_text(id, "name");

	return name ? name : text("%d", id);
}

int container_state(const char *word, int id, enum container_state *state)
{
	int err = control_state(id, state);

	if (err == -ENOENT || err == -ENODEV)
		return fail("no such container: %s", word);
	return err ? fail_errno(err, "%s", word) : 0;
}

/*
 * Descriptors that ctool was started with beyond the three usual ones: no
 * program in a container may inherit a way out. What ctool opens itself closes
 * on exec.
 */
static void close_inherited(void)
{
	struct rlimit limit;
	int fd, end = 1024;

	if (!syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0))
		return;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < 65536)
		end = (int)limit.rlim_cur;
	for (fd = STDERR_FILENO + 1; fd < end; fd++)
		close(fd);
}

/* Descriptors 0 to 2 exist, so that nothing that ctool opens becomes one of them. */
static void open_missing(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int flush(int status)
{
	if ((fflush(stdout) || ferror(stdout)) && !status)
		return fail_errno(errno, "standard output");
	return status;
}

int main(int argc, char **argv)
{
	const struct command *c;
	struct request r;
	bool helped = false;
	int status;

	open_missing();
	close_inherited();
	if (argc < 2)
		return fail("no command given (ctool help lists them)");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		overview();
		return flush(0);
	}
	c = command_find(argv[1]);
	if (!c)
		return fail("no such command: %s (ctool help lists them)", argv[1]);
	command_name = c->name;
	status = options_parse(c, argv + 2, &r, &helped);
	if (!status && !helped)
		status = c->handler(&r);
	return flush(status);
}
