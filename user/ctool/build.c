/* SPDX-License-Identifier: MIT */
/*
 * build.c - ctool build: an image by steps.
 *
 *	FROM IMAGE | host | scratch	what it begins with: an image, the files of now, nothing
 *	IMPORT FILE			or the files of a tar archive (also gzip's)
 *	RUN COMMAND			sh -c COMMAND inside; or RUN ["PROG", "ARG"...]
 *	COPY SRC... DST			from DIR into the image
 *	ENV KEY=VALUE...		for the next steps and for who runs the image
 *	WORKDIR DIR			the same; made if it is not there
 *	CMD COMMAND			what `ctool run IMAGE` runs; or CMD ["PROG", "ARG"...]
 *
 * A line that ends in a backslash goes on in the next; # begins a comment. The steps are read and
 * checked before the first is done. They work on a volume that becomes the image at the end; if one
 * fails it is deleted. Paths of COPY are looked up in DIR and in the image and lead out of neither.
 */
#include "ctool.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct build {
	const char *context; /* DIR */
	char *draft, *place; /* the volume, and where it is mounted; NULL: not yet */
	struct record rec;   /* of the image */
};

struct step {
	const struct verb *verb;
	unsigned line;
	char *rest; /* behind the verb */
	struct words words;
};

struct verb {
	const char *name;
	int (*act)(struct build *b, const struct step *s);
	bool begins;  /* is the first step, and only that */
	bool command; /* the rest is a command, not words */
	size_t least;
};

__attribute__((format(printf, 2, 3))) static int wrong(const struct step *s, const char *format,
						       ...)
{
	va_list args;
	char *message;

	va_start(args, format);
	if (vasprintf(&message, format, args) < 0)
		message = NULL;
	va_end(args);
	fail("line %u: %s", s->line, message ? message : "out of memory");
	free(message);
	return EXIT_CTOOL;
}

/* --- words --- */

/* Words separated by blanks; in quotes, and after a backslash, anything. -1: a quote is open. */
static int split(const char *s, struct words *w)
{
	char *word = must(malloc(strlen(s) + 1));

	for (;;) {
		char quote = '\0';
		size_t n = 0;

		while (isspace((unsigned char)*s))
			s++;
		if (!*s)
			break;
		for (; *s && (quote || !isspace((unsigned char)*s)); s++) {
			if (*s == quote)
				quote = '\0';
			else if (!quote && (*s == '"' || *s == '\''))
				quote = *s;
			else if (*s == '\\' && s[1] && quote != '\'')
				word[n++] = *++s;
			else
				word[n++] = *s;
		}
		word[n] = '\0';
		words_add(w, word);
		if (quote) {
			free(word);
			return -1;
		}
	}
	free(word);
	return 0;
}

/* ["PROG", "ARG"]: -1: it is not that. */
static int split_list(const char *s, struct words *w)
{
	char *word = must(malloc(strlen(s) + 1));
	int status = -1;
	size_t n;

	for (s++;; s++) {
		s += strspn(s, " \t");
		if (*s++ != '"')
			break;
		for (n = 0; *s && *s != '"'; s++)
			word[n++] = *s == '\\' && s[1] ? *++s : *s;
		word[n] = '\0';
		if (!*s++)
			break;
		words_add(w, word);
		s += strspn(s, " \t");
		if (*s == ']') {
			status = s[1 + strspn(s + 1, " \t")] ? -1 : 0;
			break;
		}
		if (*s != ',')
			break;
	}
	free(word);
	return status;
}

static int step_words(struct step *s)
{
	if (s->verb->command && *s->rest == '[') {
		if (split_list(s->rest, &s->words))
			return wrong(s, "%s: not a list like [\"PROG\", \"ARG\"]: %s",
				     s->verb->name, s->rest);
	} else if (s->verb->command && *s->rest) {
		words_add(&s->words, "/bin/sh");
		words_add(&s->words, "-c");
		words_add(&s->words, s->rest);
	} else if (!s->verb->command && split(s->rest, &s->words)) {
		return wrong(s, "%s: a quote is not closed", s->verb->name);
	}
	if (s->words.count < s->verb->least)
		return wrong(s, "%s: too few words", s->verb->name);
	return 0;
}

/* --- the steps --- */

static int open_draft(struct build *b)
{
	int err = volume_mount(b->draft, false, &b->place);

	return err ? disk_failed(err, b->draft) : 0;
}

static int begin_empty(struct build *b)
{
	static const struct {
		const char *name;
		mode_t mode;
	} directories[] = { { "dev", 0755 }, { "proc", 0555 }, { "sys", 0555 }, { "tmp", 01777 } };
	int err = volume_create(b->draft), status;

	if (err)
		return disk_failed(err, b->draft);
	status = open_draft(b);
	for (size_t i = 0; i < sizeof directories / sizeof *directories && !status; i++) {
		char *path = text("%s/%s", b->place, directories[i].name);

		if (mkdir(path, 0755) || chmod(path, directories[i].mode))
			status = fail_errno(errno, "%s", path);
		free(path);
	}
	return status;
}

static int step_from(struct build *b, const struct step *s)
{
	const char *name = s->words.v[0];
	char *volume;
	int err;

	if (!strcmp(name, "scratch"))
		return begin_empty(b);
	if (!strcmp(name, "host")) {
		err = volume_of_root(b->draft);
	} else {
		if (image_check(name))
			return EXIT_CTOOL;
		volume = image_volume(name);
		err = volume_copy(volume, b->draft);
		free(volume);
	}
	if (err == -ENOENT)
		return wrong(s, "FROM: no such image: %s (ctool images lists them)", name);
	if (err)
		return disk_failed(err, name);
	err = open_draft(b);
	if (!err)
		image_config_read(b->place, &b->rec);
	b->rec.size = 0;
	return err;
}

static int child_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_CTOOL;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int step_import(struct build *b, const struct step *s)
{
	char *path = *s->words.v[0] == '/' ? text("%s", s->words.v[0])
					   : text("%s/%s", b->context, s->words.v[0]);
	int fd = open(path, O_RDONLY | O_CLOEXEC), status;
	char *args[] = { "tar", "-xpf", "-", NULL };
	struct tar t = { .directory = "/", .args = args };
	unsigned char magic[2] = { 0 };

	if (fd < 0)
		return wrong(s, "IMPORT: %s: %s", path, strerror(errno));
	free(path);
	if (pread(fd, magic, 2, 0) < 0)
		return wrong(s, "IMPORT: %s: %s", s->words.v[0], strerror(errno));
	status = begin_empty(b);
	if (status)
		return status;
	if (magic[0] == 0x1f && magic[1] == 0x8b)
		args[1] = "-xzpf";
	t.root = b->place;
	t.input = fd;
	status = tar_run(&t);
	close(fd);
	return status ? wrong(s, "IMPORT: %s: tar ended with status %d", s->words.v[0], status) : 0;
}

static int step_run(struct build *b, const struct step *s)
{
	struct request r;
	int status;

	request_init(&r);
	r.workdir = b->rec.workdir;
	r.env = b->rec.env;
	r.program = s->words.v;
	status = run_once(&r, b->place);
	return status ? wrong(s, "RUN: it ended with status %d: %s", status, s->rest) : 0;
}

/* `path` in the image: relative ones begin at WORKDIR. */
static char *path_in_image(const struct build *b, const char *path)
{
	const char *dir = b->rec.workdir ? b->rec.workdir : "/";

	return *path == '/' ? text("%s", path) : text("%s/%s", strcmp(dir, "/") ? dir : "", path);
}

static int step_copy(struct build *b, const struct step *s)
{
	size_t last = s->words.count - 1, n = strlen(s->words.v[last]);
	char *target = path_in_image(b, s->words.v[last]), *directory;
	int status = 0;

	/* several go into a directory, which "." and a slash say it is as well */
	directory =
		text("%s%s", target, last > 1 && n && target[strlen(target) - 1] != '/' ? "/" : "");
	for (size_t i = 0; i < last && !status; i++) {
		struct copy_end from = { .root = b->context }, to = { b->place, directory, false };

		from.path = text("/%s", s->words.v[i]);
		/* as with docker, of a directory what is in it is meant */
		from.contents = true;
		status = copy_tree(&from, &to);
		if (status)
			wrong(s, "COPY: %s could not be copied", s->words.v[i]);
	}
	free(directory);
	free(target);
	return status;
}

static int step_env(struct build *b, const struct step *s)
{
	for (size_t i = 0; i < s->words.count; i++) {
		const char *equals = strchr(s->words.v[i], '=');

		if (!equals || equals == s->words.v[i])
			return wrong(s, "ENV: not KEY=VALUE: %s", s->words.v[i]);
		words_add(&b->rec.env, s->words.v[i]);
	}
	return 0;
}

/* In the image, and nowhere else: by a process that has it as its root. */
static int make_directories(const char *place, char *path)
{
	pid_t pid = fork();

	if (pid < 0)
		return EXIT_CTOOL;
	if (pid)
		return child_status(pid);
	if (chdir(place) || chroot(".") || chdir("/"))
		_exit(1);
	for (char *at = path + 1;; at++) {
		if (*at && *at != '/')
			continue;
		char end = *at;

		*at = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			_exit(1);
		*at = end;
		if (!end)
			_exit(chdir(path) ? 1 : 0);
	}
}

static int step_workdir(struct build *b, const struct step *s)
{
	char *path = path_in_image(b, s->words.v[0]);

	if (make_directories(b->place, path))
		return wrong(s, "WORKDIR: cannot be made: %s", path);
	b->rec.workdir = path;
	return 0;
}

static int step_cmd(struct build *b, const struct step *s)
{
	b->rec.args = s->words;
	return 0;
}

static const struct verb verbs[] = {
	{ "FROM", step_from, true, false, 1 }, { "IMPORT", step_import, true, false, 1 },
	{ "RUN", step_run, false, true, 1 },   { "COPY", step_copy, false, false, 2 },
	{ "ENV", step_env, false, false, 1 },  { "WORKDIR", step_workdir, false, false, 1 },
	{ "CMD", step_cmd, false, true, 1 },
};

/* --- reading them --- */

static const struct verb *verb_find(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strlen(verbs[i].name) == length && !strncmp(verbs[i].name, name, length))
			return &verbs[i];
	return NULL;
}

/* One line without its continuations. 1: there is nothing on it. */
static int step_read(struct step *s, char *line, unsigned number, bool first)
{
	size_t n;

	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return 1;
	n = strcspn(line, " \t");
	*s = (struct step){ .verb = verb_find(line, n), .line = number };
	s->rest = line + n + strspn(line + n, " \t");
	if (!s->verb)
		return wrong(s, "no such step: %.*s (FROM, IMPORT, RUN, COPY, ENV, WORKDIR, CMD)",
			     (int)n, line);
	if (s->verb->begins != first)
		return wrong(s,
			     first ? "%s: the first step is FROM or IMPORT"
				   : "%s: only the first step",
			     s->verb->name);
	return step_words(s);
}

/* A line with those that it goes on in, for free(); NULL at the end. */
static char *line_read(FILE *f, unsigned *number)
{
	char *whole = NULL, *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, f)) > 0) {
		char *joined;
		bool more;

		++*number;
		n -= line[n - 1] == '\n';
		more = n > 0 && line[n - 1] == '\\';
		joined = text("%s%.*s", whole ? whole : "", (int)(n - more), line);
		free(whole);
		whole = joined;
		if (!more)
			break;
	}
	free(line);
	return whole;
}

static int steps_read(FILE *f, struct step **steps, size_t *count)
{
	unsigned number = 0;
	char *line;

	*steps = NULL;
	*count = 0;
	for (unsigned at = 1; (line = line_read(f, &number)); at = number + 1) {
		struct step s;
		int status = step_read(&s, line, at, !*count);

		if (status == 1)
			continue;
		if (status)
			return status;
		*steps = must(realloc(*steps, (*count + 1) * sizeof **steps));
		(*steps)[(*count)++] = s;
	}
	return *count ? 0 : fail("there is no step: the first is FROM or IMPORT");
}

static int steps_open(const struct request *r, const char *context, struct step **steps,
		      size_t *count)
{
	char *path =
		r->file ? text("%s", r->file) : text("%s/Buildfile", context[1] ? context : "");
	FILE *f = !strcmp(path, "-") ? stdin : fopen(path, "re");
	int status;

	if (!f)
		return fail_errno(errno, "%s", path);
	status = steps_read(f, steps, count);
	if (f != stdin)
		fclose(f);
	free(path);
	return status;
}

/* --- all of it --- */

/* RUN's programs have no input: what was there may have been the steps. */
static int close_input(void)
{
	int fd = open("/dev/null", O_RDONLY);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
		return fail_errno(errno, "/dev/null");
	close(fd);
	return 0;
}

static int steps_do(struct build *b, const struct step *steps, size_t count)
{
	int status = 0, err;

	session_listen(); /* so that what is half made does not stay */
	for (size_t i = 0; i < count && !status; i++) {
		if (session_is_to_end())
			return fail("interrupted");
		printf("%zu/%zu %s %s\n", i + 1, count, steps[i].verb->name, steps[i].rest);
		fflush(stdout);
		status = steps[i].verb->act(b, &steps[i]);
	}
	if (!status && session_is_to_end())
		status = fail("interrupted");
	if (!status) {
		err = image_config_write(b->place, &b->rec);
		if (err)
			status = fail_errno(err, "what ENV, WORKDIR and CMD said");
	}
	return status;
}

int do_build(struct request *r)
{
	struct build b = { .draft = image_draft() };
	struct step *steps = NULL;
	size_t count = 0;
	int status;

	if (!r->tag)
		return fail("-t IMAGE is missing; usage: ctool build [-f FILE] -t IMAGE [DIR]");
	b.context = realpath(r->operand_count ? r->operands[0] : ".", NULL);
	if (!b.context)
		return fail_errno(errno, "%s", r->operand_count ? r->operands[0] : ".");
	record_clear(&b.rec);
	status = image_check(r->tag);
	if (!status)
		status = steps_open(r, b.context, &steps, &count);
	if (!status)
		status = close_input();
	if (status)
		return status;
	if (!image_exists(r->tag))
		return fail("there is an image of that name already: %s (ctool rmi %s)", r->tag,
			    r->tag);
	status = steps_do(&b, steps, count);
	if (b.place)
		volume_unmount(b.place);
	if (!status)
		return image_finish(b.draft, r->tag);
	volume_delete(b.draft);
	return status;
}
