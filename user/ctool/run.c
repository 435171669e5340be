/* SPDX-License-Identifier: MIT */
/*
 * run.c - ctool run, start and exec: programs into containers.
 *
 * run and start make a container (spawncont), remember how its program is
 * started (record.c), and start it (launch.c). Attached, ctool stays with the
 * program (session.c); detached, it leaves. If the program could not be started
 * the container goes as it came.
 */
#include "ctool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int console_open(int number)
{
	char path[32];
	int fd;

	snprintf(path, sizeof path, "/dev/tty%d", number);
	fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What ROOT names, for free(): an absolute path, "host" or an image. NULL after the message. */
static char *root_directory(const char *root)
{
	struct stat st;
	char *path;

	if (!strcmp(root, "host"))
		return strdup(root);
	if (!strchr(root, '/'))
		return image_check(root) ? NULL : strdup(root);
	path = realpath(root, NULL);
	if (!path && (errno == ENOENT || errno == ENOTDIR)) {
		fail("no such directory: %s", root);
	} else if (!path || stat(path, &st)) {
		fail_errno(errno, "%s", root);
	} else if (!S_ISDIR(st.st_mode)) {
		fail("not a directory: %s", root);
	} else {
		return path;
	}
	free(path);
	return NULL;
}

/* Who has the console `number`, as "vc1 is taken by NAME". */
static int console_taken(int number)
{
	size_t count, i;
	int *ids, c;

	if (control_list(&ids, &count))
		return fail("console vc%d is taken", number);
	for (i = 0; i < count; i++)
		if (!control_console(ids[i], &c) && c == number)
			return fail("console vc%d is taken by %s (ctool rm frees it)", number,
				    container_label(ids[i]));
	return fail("console vc%d is taken", number);
}

/* ENOENT or ENOTDIR: of the root, or of the sources and targets of -v. */
static int not_there(const struct request *r, const char *root, int err)
{
	const char *target = "";

	for (unsigned i = 0; i < r->bind_count; i++) {
		const char *source = (const char *)(uintptr_t)r->binds[i].source;

		target = (const char *)(uintptr_t)r->binds[i].target;
		if (access(source, F_OK))
			return fail_errno(errno, "-v: %s", source);
	}
	if (!r->bind_count || (strchr(root, '/') && access(root, F_OK)))
		return fail(err == ENOENT ? "no such directory: %s" : "not a directory: %s", root);
	if (r->bind_count > 1)
		target = "a target";
	return fail(err == ENOENT ? "-v: %s is not there inside"
				  : "-v: %s: a file goes on a file, a directory on a directory",
		    target);
}

static int spawn_failed(const struct request *r, const char *root, int err)
{
	bool image = !strchr(root, '/') && strcmp(root, "host") != 0;

	if (image && (err == EOPNOTSUPP || (err == ENOENT && !r->bind_count)))
		return fail("no such image: %s", root);
	if (image && err == EPERM)
		return fail("%s: images are for the host's administrator", root);
	switch (err) {
	case EEXIST:
		return fail("there is a container of that name already: %s", r->name);
	case EBUSY:
		return console_taken(r->console);
	case ENOSPC:
		return fail("cannot make a container: the disk is full, or it would be more than 8 "
			    "deep");
	case ENOENT:
	case ENOTDIR:
		return not_there(r, root, err);
	case EINVAL:
		if (r->deny)
			return fail("--deny: %s: not a list of CALL or CALL=ACTION", r->deny);
		return fail_errno(err, "cannot make a container");
	case EOPNOTSUPP:
		return fail("host: / is not on cowfs, which alone can be cloned");
	case ENOSYS:
		return fail("this kernel has no containers");
	default:
		return fail_errno(err, "cannot make a container");
	}
}

static void container_forget(int id)
{
	destroy_container(id);
	keep_remove(id);
	record_remove(id);
}

static void record_init(struct record *rec, const struct request *r, char *root)
{
	memset(rec, 0, sizeof *rec);
	rec->console = r->console;
	rec->uid = r->uid;
	rec->gid = r->gid;
	rec->root = root;
	rec->workdir = must(strdup(r->workdir ? r->workdir : "/"));
	rec->env = r->env;
	for (char **p = r->program; p && *p; p++)
		words_add(&rec->args, *p);
	if (!rec->args.count)
		words_add(&rec->args, "/bin/sh");
}

/* What the image says where `r` does not: its command, its directory, and its environment first. */
static void record_add_image(struct record *rec, const struct request *r, const char *image)
{
	struct record config;

	if (image_config(image, &config))
		return;
	if (!r->program && config.args.count)
		rec->args = config.args;
	if (!r->workdir && config.workdir)
		rec->workdir = config.workdir;
	for (size_t i = 0; i < r->env.count; i++)
		words_add(&config.env, r->env.v[i]);
	rec->env = config.env;
}

static uint32_t spec_flags(const struct request *r, const char *root)
{
	return (r->kill_on_limit ? CONTAINER_F_KILL_ON_LIMIT : 0) |
	       (r->read_only ? CONTAINER_F_READ_ONLY : 0) |
	       (*root == '/'	       ? 0
		: strcmp(root, "host") ? CONTAINER_F_IMAGE
				       : CONTAINER_F_VIEW);
}

/* A container as `r` says, and what is to be remembered of it. */
static int container_make(const struct request *r, const char *root, int *id, struct record *rec)
{
	struct container_spec spec;
	char *path = root_directory(root);
	int err;

	if (!path)
		return EXIT_CTOOL;
	container_spec_init(&spec, strcmp(path, "host") ? path : NULL);
	spec.disk_max = r->disk;
	spec.inodes_max = r->inodes;
	if (r->name)
		snprintf(spec.name, sizeof spec.name, "%s", r->name);
	if (r->hostname)
		snprintf(spec.hostname, sizeof spec.hostname, "%s", r->hostname);
	spec.console = r->console;
	spec.pids_max = r->pids;
	spec.memory_max = r->memory;
	spec.deny = (uintptr_t)r->deny;
	spec.flags = spec_flags(r, path);
	spec.binds = (uintptr_t)r->binds;
	spec.bind_count = r->bind_count;
	*id = spawncont(&spec, sizeof spec);
	if (*id < 0)
		return spawn_failed(r, root, errno);
	err = settings_apply(*id, r->settings.v, r->settings.count);
	if (err) {
		container_forget(*id);
		return err;
	}
	record_init(rec, r, path);
	if (spec.flags & CONTAINER_F_IMAGE)
		record_add_image(rec, r, path);
	err = keep_wanted(r) ? keep(r, *id, spec.flags, rec) : 0;
	if (!err)
		err = record_save(*id, rec);
	if (!err && rec->id)
		err = keep_volumes(*id);
	if (err) {
		container_forget(*id);
		return fail_errno(err, "cannot write its record");
	}
	return 0;
}

/*
 * Leaves a process behind that removes the container when it has stopped. It
 * holds none of ctool's descriptors, so that nobody waits for it.
 */
static void remove_later(int id)
{
	pid_t pid;
	int fd;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		fail_errno(errno, "--rm");
	if (pid != 0)
		return;
	setsid();
	fd = open("/dev/null", O_RDWR);
	for (int i = STDIN_FILENO; fd >= 0 && i <= STDERR_FILENO; i++)
		dup2(fd, i);
	if (chdir("/"))
		_exit(EXIT_CTOOL);
	while (control_wait_stopped(id, -1) == -EINTR)
		continue;
	container_forget(id);
	_exit(0);
}

/* What a program that nobody waits for has as its terminal: its console, or the kept log. */
static int open_stdio(struct launch *l, int console)
{
	char path[64];

	l->tty = console != CONTAINER_NO_CONSOLE;
	if (!l->tty) {
		l->stdio = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (l->stdio < 0)
			return fail_errno(errno, "/dev/null");
		snprintf(path, sizeof path, "/sys/container/%d/log", l->id);
		l->output = open(path, O_WRONLY | O_CLOEXEC); /* without it: /dev/null */
		return 0;
	}
	l->stdio = console_open(console);
	return l->stdio < 0 ? fail_errno(l->stdio, "console vc%d", console) : 0;
}

static int start_detached(int id, const struct record *rec, bool remove)
{
	struct launch l = { .id = id, .first = true, .output = -1, .master = -1, .what = rec };
	sigset_t mask;
	char *label;
	pid_t pid;
	int status;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	l.mask = &mask;
	status = open_stdio(&l, rec->console);
	if (status)
		return status;
	status = launch(&l, &pid);
	close(l.stdio);
	if (l.output >= 0)
		close(l.output);
	if (status)
		return status;
	label = container_label(id);
	puts(label);
	free(label);
	if (remove)
		remove_later(id);
	return 0;
}

/* A terminal is made if asked for, or if ctool itself is on one. */
static bool wants_pty(const struct request *r)
{
	return r->tty || (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
}

/* Starts the program and stays with it; *started tells whether it ran. */
static int run_attached(struct launch *l, bool pty, bool *started)
{
	struct session s;
	pid_t pid;
	int status;

	status = session_begin(&s, l->id, pty);
	if (status)
		return status;
	s.ends = l->ends;
	l->mask = &s.mask;
	l->master = s.master;
	l->tty |= pty;
	status = launch(l, &pid);
	*started = !status;
	if (status) {
		session_end(&s);
		return status;
	}
	return session_wait(&s, pid);
}

/* A container that was killed as a whole because of a limit says so in its events. */
static void say_if_killed(int id)
{
	char *events = control_text(id, "events"), *at, *label;

	at = events ? strstr(events, " killed of=") : NULL;
	if (at) {
		at += strlen(" killed of=");
		label = container_label(id);
		fail("%s was killed: it went beyond its limit of %.*s", label,
		     (int)strcspn(at, " \n"), at);
		free(label);
	}
	free(events);
}

static int run_in_foreground(const struct request *r, int id, const struct record *rec,
			     bool *started)
{
	struct launch l = {
		.id = id, .first = true, .stdio = -1, .output = -1, .master = -1, .what = rec
	};
	bool pty = rec->console == CONTAINER_NO_CONSOLE && wants_pty(r);
	int status;

	l.ends = r->ends;
	if (rec->console != CONTAINER_NO_CONSOLE && open_stdio(&l, rec->console))
		return EXIT_CTOOL;
	status = run_attached(&l, pty, started);
	if (!*started)
		return status;
	say_if_killed(id);
	if (r->remove)
		container_forget(id);
	else if (!control_wait_stopped(id, -1)) /* others inside may take a moment to die */
		keep_ended(id);
	return status;
}

int do_run(struct request *r)
{
	struct record rec;
	bool started = false;
	int id, status;

	status = container_make(r, r->operands[0], &id, &rec);
	if (status)
		return status;
	if (r->detach) {
		status = start_detached(id, &rec, r->remove);
		started = !status;
	} else {
		status = run_in_foreground(r, id, &rec, &started);
	}
	if (!started)
		container_forget(id);
	return status;
}

int run_once(struct request *r, const char *root)
{
	struct record rec;
	bool started = false;
	int id, status;

	r->remove = true;
	r->ends = true;
	status = container_make(r, root, &id, &rec);
	if (status)
		return status;
	status = run_in_foreground(r, id, &rec, &started);
	if (!started)
		container_forget(id);
	return status;
}

static int start_new(struct request *r)
{
	const char *vc = r->operands[0];
	struct record rec;
	int id, status;

	if (strncmp(vc, "vc", 2) || vc[2] < '1' || vc[2] > '0' + CONSOLES || vc[3])
		return fail("not a console (vc1 to vc%d): %s", CONSOLES, vc);
	r->console = vc[2] - '0';
	status = container_make(r, r->operands[1], &id, &rec);
	if (status)
		return status;
	status = start_detached(id, &rec, r->remove);
	if (status)
		container_forget(id);
	return status;
}

static int start_again(const char *word)
{
	enum container_state state;
	struct record rec;
	int id, status;

	status = container_find_other(word, &id);
	if (!status)
		status = container_state(word, id, &state);
	if (status)
		return status;
	if (state != CONTAINER_STOPPED && state != CONTAINER_CREATED)
		return fail("%s is %s", word, control_state_word(state));
	if (record_load(id, &rec))
		return fail("%s: how it was started is not known", word);
	keep_started(id, &rec);
	return start_detached(id, &rec, false);
}

int do_start(struct request *r)
{
	if (r->operand_count == 1)
		return start_again(r->operands[0]);
	return start_new(r);
}

/* The container's own environment, then what this call adds. */
static void exec_record(struct record *rec, const struct request *r, int id)
{
	struct record old;

	record_init(rec, r, NULL);
	if (record_load(id, &old))
		return;
	for (size_t i = 0; i < r->env.count; i++)
		words_add(&old.env, r->env.v[i]);
	rec->env = old.env;
}

int do_exec(struct request *r)
{
	const char *word = r->operands[0];
	struct launch l = { .stdio = -1, .output = -1, .master = -1 };
	enum container_state state;
	struct record rec;
	bool started;
	int status;

	if (!r->program)
		return fail("no program given; usage: ctool exec [OPTIONS] CONT PROG [ARG...]");
	status = container_find_other(word, &l.id);
	if (!status)
		status = container_state(word, l.id, &state);
	if (status)
		return status;
	if (state == CONTAINER_PAUSED)
		return fail("%s is paused (ctool resume %s)", word, word);
	if (state != CONTAINER_RUNNING)
		return fail("%s is not running", word);
	exec_record(&rec, r, l.id);
	l.what = &rec;
	return run_attached(&l, wants_pty(r), &started);
}
