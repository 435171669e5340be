/* SPDX-License-Identifier: MIT */
/*
 * options.c - take a command line apart, by a table.
 *
 * Options may stand before, between and after operands; for a command that takes
 * a program, PROG ends them and the rest is its own. "-it", "-p8", "-p 8",
 * "--pids 8" and "--pids=8" are understood; "--" ends the options.
 */
#include "ctool.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skerry/text.h>

struct option {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* NULL: takes none */
	/* Takes the value. NULL, or what is wrong with it. */
	const char *(*set)(struct request *r, const char *value);
	const char *help;
	unsigned groups;
};

/* [A-Za-z0-9][A-Za-z0-9_.-]*, and more than digits, which would be read as an id. */
static const char *set_name(struct request *r, const char *value)
{
	size_t n = strlen(value);

	if (!isalnum((unsigned char)*value) || n >= CONTAINER_NAME_MAX)
		return "not a name (up to 63 letters, digits, '_', '.' and '-')";
	for (const char *p = value; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_.-", *p))
			return "not a name (up to 63 letters, digits, '_', '.' and '-')";
	if (strspn(value, "0123456789") == n || !strcmp(value, "self"))
		return "would be taken for an id";
	r->name = value;
	return NULL;
}

static const char *set_hostname(struct request *r, const char *value)
{
	if (!*value || strlen(value) >= CONTAINER_HOSTNAME_MAX)
		return "not a host name (1 to 64 bytes)";
	r->hostname = value;
	return NULL;
}

static const char *set_pids(struct request *r, const char *value)
{
	if (!strcmp(value, "max"))
		return NULL;
	return number_parse(value, 1, INT32_MAX, &r->pids) ? "not a number of processes" : NULL;
}

static const char *set_memory(struct request *r, const char *value)
{
	if (!strcmp(value, "max"))
		return NULL;
	if (size_parse(value, &r->memory) || r->memory == 0)
		return "not a size (such as 512K, 16M, 1G)";
	return NULL;
}

static const char *set_disk(struct request *r, const char *value)
{
	if (!strcmp(value, "max"))
		return NULL;
	if (size_parse(value, &r->disk) || r->disk < 4096)
		return "not a size (4K or more, such as 10M)";
	return NULL;
}

static const char *set_inodes(struct request *r, const char *value)
{
	if (!strcmp(value, "max"))
		return NULL;
	return number_parse(value, 1, INT64_MAX, &r->inodes) ? "not a number of files (1 or more)"
							     : NULL;
}

static const char *set_file(struct request *r, const char *value)
{
	r->file = value;
	return *value ? NULL : "not a file";
}

static const char *set_tag(struct request *r, const char *value)
{
	r->tag = value;
	return NULL;
}

static const char *set_deny(struct request *r, const char *value)
{
	if (!*value)
		return "not a list of calls";
	r->deny = r->deny ? text("%s,%s", r->deny, value) : value;
	return NULL;
}

static const char *set_on_limit(struct request *r, const char *value)
{
	r->kill_on_limit = !strcmp(value, "kill");
	return r->kill_on_limit || !strcmp(value, "errno") ? NULL : "not errno or kill";
}

/* SRC:DST, SRC:DST:ro or SRC:DST:rw; SRC has no colon. */
static const char *set_volume(struct request *r, const char *value)
{
	char *copy = must(strdup(value)), *target = strchr(copy, ':'), *mode;
	struct container_bind *b;

	if (!target || target == copy || target[1] != '/')
		return "not SRC:DST or SRC:DST:ro (DST an absolute path)";
	*target++ = '\0';
	mode = strchr(target, ':');
	if (mode)
		*mode++ = '\0';
	if (mode && strcmp(mode, "ro") && strcmp(mode, "rw"))
		return "neither ro nor rw";
	if (r->bind_count == CONTAINER_BINDS_MAX)
		return "too many";
	b = &r->binds[r->bind_count++];
	b->source = (uintptr_t)copy;
	b->target = (uintptr_t)target;
	b->flags = mode && !strcmp(mode, "ro") ? CONTAINER_BIND_READ_ONLY : 0;
	return NULL;
}

static const char *set_read_only(struct request *r, const char *value)
{
	(void)value;
	r->read_only = true;
	return NULL;
}

static const char *set_follow(struct request *r, const char *value)
{
	(void)value;
	r->follow = true;
	return NULL;
}

static void setting_add(struct request *r, const char *file, const char *value)
{
	char *s = text("%s=%s", file, value);

	words_add(&r->settings, s);
	free(s);
}

/* "1.5": CPUs, to a thousandth, as a quota of each tenth of a second. */
static const char *set_cpus(struct request *r, const char *value)
{
	char *end, *max;
	double cpus;

	if (!strcmp(value, "max"))
		return NULL;
	cpus = strspn(value, "0123456789.") == strlen(value) ? strtod(value, &end) : 0;
	if (cpus < 0.01 || cpus > 1000 || *end)
		return "not a number of CPUs (0.01 or more, such as 1.5)";
	max = text("%.0f 100000", cpus * 100000);
	setting_add(r, "cpu.max", max);
	free(max);
	return NULL;
}

static const char *set_weight(struct request *r, const char *value)
{
	uint64_t n;

	if (number_parse(value, 1, 10000, &n))
		return "not a weight (1 to 10000)";
	setting_add(r, "cpu.weight", value);
	return NULL;
}

static const char *set_cpuset(struct request *r, const char *value)
{
	if (!*value || strspn(value, "0123456789,-") != strlen(value))
		return "not a list of CPUs (such as 0-2,5)";
	setting_add(r, "cpuset.cpus", value);
	return NULL;
}

static const char *set_sched(struct request *r, const char *value)
{
	static const char *const policies[] = { "rr", "fair", "prio", "lottery", "manager" };

	for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
		if (!strcmp(value, policies[i])) {
			setting_add(r, "sched.policy", value);
			return NULL;
		}
	}
	return "not a policy (rr, fair, prio, lottery or manager)";
}

/* INSIDE:OUTSIDE:COUNT, one line more of the control file `file`; the kernel looks at the numbers.
 */
static const char *map_add(struct request *r, const char *file, const char *value)
{
	size_t n = strlen(file);
	uint64_t inside, outside, count;
	char *copy = must(strdup(value)), *second = strchr(copy, ':'), *third;
	char *line;
	bool good;

	third = second ? strchr(second + 1, ':') : NULL;
	if (third) {
		*second++ = '\0';
		*third++ = '\0';
	}
	good = third && !number_parse(copy, 0, UINT32_MAX, &inside) &&
	       !number_parse(second, 0, UINT32_MAX, &outside) &&
	       !number_parse(third, 1, UINT32_MAX, &count);
	free(copy);
	if (!good)
		return "not INSIDE:OUTSIDE:COUNT (such as 0:100000:65536)";
	line = text("%llu %llu %llu", (unsigned long long)inside, (unsigned long long)outside,
		    (unsigned long long)count);
	for (size_t i = 0; i < r->settings.count; i++) {
		char **s = &r->settings.v[i];

		if (!strncmp(*s, file, n) && (*s)[n] == '=') {
			*s = text("%s\n%s", *s, line);
			free(line);
			return NULL;
		}
	}
	setting_add(r, file, line);
	free(line);
	return NULL;
}

static const char *set_uid_map(struct request *r, const char *value)
{
	return map_add(r, "uid_map", value);
}

static const char *set_gid_map(struct request *r, const char *value)
{
	return map_add(r, "gid_map", value);
}

static const char *set_env(struct request *r, const char *value)
{
	const char *equals = strchr(value, '=');

	if (!equals || equals == value)
		return "not KEY=VALUE";
	words_add(&r->env, value);
	return NULL;
}

static const char *set_workdir(struct request *r, const char *value)
{
	if (*value != '/')
		return "not an absolute path";
	r->workdir = value;
	return NULL;
}

static const char *set_user(struct request *r, const char *value)
{
	char *uid = must(strdup(value)), *gid = strchr(uid, ':');
	uint64_t u, g = 0;
	bool good;

	if (gid)
		*gid++ = '\0';
	/* (uid_t)-1 means "none" to the kernel (man 2 setresuid). */
	good = !number_parse(uid, 0, UINT32_MAX - 1, &u) &&
	       (!gid || !number_parse(gid, 0, UINT32_MAX - 1, &g));
	free(uid);
	if (!good)
		return "not UID or UID:GID (numbers)";
	r->uid = (uid_t)u;
	r->gid = gid ? (gid_t)g : (gid_t)u;
	return NULL;
}

static const char *set_console(struct request *r, const char *value)
{
	uint64_t n;

	if (strncmp(value, "vc", 2) || number_parse(value + 2, 1, CONSOLES, &n))
		return "not a console (vc1 to vc9)";
	r->console = (int)n;
	return NULL;
}

static const char *set_interactive(struct request *r, const char *value)
{
	(void)value;
	r->interactive = true;
	return NULL;
}

static const char *set_tty(struct request *r, const char *value)
{
	(void)value;
	r->tty = true;
	return NULL;
}

static const char *set_detach(struct request *r, const char *value)
{
	(void)value;
	r->detach = true;
	return NULL;
}

static const char *set_remove(struct request *r, const char *value)
{
	(void)value;
	r->remove = true;
	return NULL;
}

static const char *set_seconds(struct request *r, const char *value)
{
	uint64_t n;

	if (number_parse(value, 0, 86400, &n))
		return "not a number of seconds (0 to 86400)";
	r->seconds = (unsigned)n;
	r->timed = true;
	return NULL;
}

static const char *set_output(struct request *r, const char *value)
{
	r->output = value;
	return *value ? NULL : "not a file";
}

static const char *set_count(struct request *r, const char *value)
{
	uint64_t n;

	if (number_parse(value, 1, 1000000, &n))
		return "not a count";
	r->count = (unsigned)n;
	return NULL;
}

static const char *set_signal(struct request *r, const char *value)
{
	return signal_parse(value, &r->signal) ? "no such signal" : NULL;
}

static const char *set_force(struct request *r, const char *value)
{
	(void)value;
	r->force = true;
	return NULL;
}

static const char *set_all(struct request *r, const char *value)
{
	(void)value;
	r->all = true;
	return NULL;
}

static const char *set_quiet(struct request *r, const char *value)
{
	(void)value;
	r->quiet = true;
	return NULL;
}

static const char *set_list_format(struct request *r, const char *value)
{
	r->json = !strcmp(value, "json");
	return r->json || !strcmp(value, "table") ? NULL : "not a format (table or json)";
}

static const char *set_info_format(struct request *r, const char *value)
{
	r->json = !strcmp(value, "json");
	return r->json || !strcmp(value, "text") ? NULL : "not a format (text or json)";
}

/* clang-format off */
static const struct option options[] = {
	{0, "name", "NAME", set_name, "its name (default c<ID>)", OPTIONS_NEW},
	{0, "hostname", "H", set_hostname, "its host name (default its name)", OPTIONS_NEW},
	{'p', "pids", "N", set_pids, "at most N processes and threads", OPTIONS_NEW},
	{'m', "memory", "SIZE", set_memory, "at most SIZE of memory (K, M, G)", OPTIONS_NEW},
	{'d', "disk", "SIZE", set_disk, "at most SIZE of change to its files (K, M, G)", OPTIONS_NEW},
	{0, "inodes", "N", set_inodes, "at most N new files and directories", OPTIONS_NEW},
	{0, "cpus", "X.Y", set_cpus, "at most so many CPUs' time", OPTIONS_NEW},
	{0, "weight", "N", set_weight, "its share among its siblings (1 to 10000; 100)", OPTIONS_NEW},
	{0, "cpuset", "LIST", set_cpuset, "on these CPUs only, such as 0-2,5", OPTIONS_NEW},
	{0, "sched", "POLICY", set_sched, "rr, fair, prio, lottery or manager", OPTIONS_NEW},
	{0, "uid-map", "IN:OUT:N", set_uid_map, "its users IN and up are OUT and up here (repeatable)", OPTIONS_NEW},
	{0, "gid-map", "IN:OUT:N", set_gid_map, "the same of groups (default as --uid-map)", OPTIONS_NEW},
	{0, "console", "vcN", set_console, "give it the virtual console N", OPTIONS_NEW},
	{0, "deny", "CALL[,CALL...]", set_deny, "refuse system calls (CALL=ACTION: see syscalls.deny)", OPTIONS_NEW},
	{0, "on-limit", "errno|kill", set_on_limit, "what a limit does: an error, or the end of all", OPTIONS_NEW},
	{'v', "volume", "SRC:DST[:ro]", set_volume, "put SRC on DST inside", OPTIONS_NEW},
	{0, "read-only", NULL, set_read_only, "its root cannot be written to", OPTIONS_NEW},
	{0, "detach", NULL, set_detach, "do not wait for it", OPTIONS_NEW},
	{0, "rm", NULL, set_remove, "remove it when it ends", OPTIONS_NEW},
	{'e', "env", "K=V", set_env, "a variable of its environment", OPTIONS_PROGRAM},
	{'w', "workdir", "DIR", set_workdir, "start in DIR (default /)", OPTIONS_PROGRAM},
	{'u', "user", "UID[:GID]", set_user, "as this user (numbers; GID as UID)", OPTIONS_PROGRAM},
	{'i', "interactive", NULL, set_interactive, "standard input is connected (it always is)", OPTIONS_PROGRAM},
	{'t', "tty", NULL, set_tty, "on a terminal of its own", OPTIONS_PROGRAM},
	{'t', "time", "SECS", set_seconds, "seconds between SIGTERM and SIGKILL (10)", OPTIONS_STOP},
	{'s', "signal", "SIG", set_signal, "which signal (KILL)", OPTIONS_KILL},
	{'f', "force", NULL, set_force, "also if it runs", OPTIONS_RM},
	{'a', "all", NULL, set_all, "stopped ones too", OPTIONS_LIST},
	{'q', "quiet", NULL, set_quiet, "ids only", OPTIONS_LIST},
	{'q', "quiet", NULL, set_quiet, "names only", OPTIONS_IMAGES},
	{0, "format", "table|json", set_list_format, "for people or for programs", OPTIONS_LIST | OPTIONS_IMAGES},
	{'f', "file", "FILE", set_file, "the steps (DIR/Buildfile; -: standard input)", OPTIONS_BUILD},
	{'t', "tag", "IMAGE", set_tag, "the name of the image", OPTIONS_BUILD},
	{0, "format", "text|json", set_info_format, "for people or for programs", OPTIONS_INFO},
	{'t', "time", "SECS", set_seconds, "for so long (until interrupted)", OPTIONS_TRACE},
	{'o', "output", "FILE", set_output, "into FILE (standard output)", OPTIONS_TRACE},
	{'n', "count", "COUNT", set_count, "show it COUNT times", OPTIONS_TOP},
	{'f', "follow", NULL, set_follow, "go on until interrupted", OPTIONS_FOLLOW},
};
/* clang-format on */
#define OPTIONS (sizeof options / sizeof *options)

void options_help(unsigned groups)
{
	bool title = false;

	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option *o = &options[i];
		char left[40], letter[4] = "   ";

		if (!(o->groups & groups))
			continue;
		if (!title)
			puts("\noptions:");
		title = true;
		if (o->letter)
			snprintf(letter, sizeof letter, "-%c,", o->letter);
		snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? " " : "",
			 o->argument ? o->argument : "");
		printf("  %s %-22s %s\n", letter, left, o->help);
	}
}

static const struct option *find(unsigned groups, char letter, const char *name, size_t length)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option *o = &options[i];

		if (!(o->groups & groups))
			continue;
		if (letter ? o->letter == letter
			   : strlen(o->name) == length && !memcmp(o->name, name, length))
			return o;
	}
	return NULL;
}

static int apply(const struct option *o, const char *shown, const char *value, struct request *r)
{
	const char *wrong = o->set(r, value);

	return wrong ? fail("%s: %s: %s", shown, value ? value : "", wrong) : 0;
}

/* "--name", "--name=value" or "--name" "value". *next is moved if that was used. */
static int parse_long(const struct command *c, const char *arg, char ***next, struct request *r)
{
	size_t n = strcspn(arg + 2, "=");
	const char *value = arg[2 + n] ? arg + 2 + n + 1 : NULL;
	const struct option *o = find(c->options, 0, arg + 2, n);
	char shown[40];

	snprintf(shown, sizeof shown, "%.*s", (int)n + 2, arg);
	if (!o)
		return fail("no such option: %s", shown);
	if (!o->argument && value)
		return fail("%s: takes no value", shown);
	if (o->argument && !value) {
		if (!**next)
			return fail("%s: needs a value (%s)", shown, o->argument);
		value = *(*next)++;
	}
	return apply(o, shown, value, r);
}

/* "-x", "-xy", "-xVALUE" or "-x" "VALUE". */
static int parse_short(const struct command *c, const char *arg, char ***next, struct request *r)
{
	int err = 0;

	for (const char *p = arg + 1; *p && !err; p++) {
		const struct option *o = find(c->options, *p, NULL, 0);
		char shown[3] = { '-', *p, '\0' };
		const char *value = NULL;

		if (!o)
			return fail("no such option: %s", shown);
		if (!o->argument) {
			err = apply(o, shown, NULL, r);
			continue;
		}
		value = p[1] ? p + 1 : **next ? *(*next)++ : NULL;
		if (!value)
			return fail("%s: needs a value (%s)", shown, o->argument);
		return apply(o, shown, value, r);
	}
	return err;
}

void request_init(struct request *r)
{
	memset(r, 0, sizeof *r);
	r->console = CONTAINER_NO_CONSOLE;
	r->pids = CONTAINER_NO_LIMIT;
	r->memory = CONTAINER_NO_LIMIT;
	r->seconds = 10;
	r->signal = SIGKILL;
	r->uid = getuid();
	r->gid = getgid();
}

static int check_operands(const struct command *c, const struct request *r)
{
	if (r->operand_count < c->least)
		return fail("too few arguments; usage: ctool %s %s", c->name, c->usage);
	if (c->most >= 0 && r->operand_count > c->most)
		return fail("too many arguments: %s", r->operands[c->most]);
	return 0;
}

int options_parse(const struct command *c, char **argv, struct request *r, bool *helped)
{
	bool ended = false;
	char *arg;
	int err;

	request_init(r);
	r->operands = argv;
	/* Operands are moved to the front of argv as they are found. */
	for (char **next = argv; (arg = *next);) {
		if (c->program && r->operand_count == c->most) {
			if (ended || *arg != '-') {
				r->program = next;
				break;
			}
		}
		next++;
		if (ended || arg[0] != '-' || !arg[1]) {
			r->operands[r->operand_count++] = arg;
			continue;
		}
		if (!strcmp(arg, "--")) {
			ended = true;
			continue;
		}
		if (!strcmp(arg, "--help")) {
			command_help(c);
			*helped = true;
			return 0;
		}
		err = arg[1] == '-' ? parse_long(c, arg, &next, r) : parse_short(c, arg, &next, r);
		if (err)
			return err;
	}
	return check_operands(c, r);
}
