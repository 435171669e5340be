/* SPDX-License-Identifier: MIT */
/*
 * info.c - ctool info: everything about some containers, or about all.
 *
 * As text for people, or as JSON with the fields of `list` and more.
 */
#include "ctool.h"

#include <skerry/text.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLE_MSEC   200
#define USEC_PER_TICK 10000 /* USER_HZ is 100 */

/* "2 used, 6 available, 8 maximum"; without a maximum, `rest` is what there is. */
static void print_usage(const char *what, uint64_t used, uint64_t most, uint64_t rest, bool size)
{
	char u[SIZE_TEXT], m[SIZE_TEXT], a[SIZE_TEXT];
	uint64_t left = most == UINT64_MAX ? rest : most > used ? most - used : 0;

	if (rest < left)
		left = rest;
	printf("  %-11s ", what);
	if (size) {
		printf("%s used", used == UINT64_MAX ? "unknown" : size_format(used, u));
		printf(", %s available", left == UINT64_MAX ? "unlimited" : size_format(left, a));
		printf(", %s maximum\n", most == UINT64_MAX ? "no" : size_format(most, m));
		return;
	}
	printf("%llu used", (unsigned long long)used);
	if (left == UINT64_MAX)
		printf(", unlimited available, no maximum\n");
	else
		printf(", %llu available, %llu maximum\n", (unsigned long long)left,
		       (unsigned long long)most);
}

static void print_processes(const struct view *v)
{
	char size[SIZE_TEXT];
	struct table t;

	if (!v->process_count)
		return;
	table_init(&t, "rrlrrrl");
	table_add(&t, "   ");
	table_add(&t, "PID");
	table_add(&t, "STATE");
	table_add(&t, "TICKS");
	table_add(&t, "CPU%%");
	table_add(&t, "MEM");
	table_add(&t, "NAME");
	for (size_t i = 0; i < v->process_count; i++) {
		const struct control_process *p = &v->processes[i].p;
		uint64_t usec = p->user_usec + p->system_usec;

		table_add(&t, "%s", "");
		table_add(&t, "%d", p->pid);
		table_add(&t, "%c", p->state);
		table_add(&t, "%llu", (unsigned long long)(usec / USEC_PER_TICK));
		table_add(&t, "%.1f", v->processes[i].cpu_percent);
		table_add(&t, "%s", size_format(p->rss, size));
		table_add(&t, "%s", p->name);
	}
	table_print(&t, stdout);
}

static void print_line(const char *key, const char *value)
{
	char *clean = printable(value);

	printf("  %-11s %s\n", key, clean);
	free(clean);
}

static void print_created(const struct view *v)
{
	time_t t = (time_t)v->created;
	char text[64];
	struct tm tm;

	if (v->created && gmtime_r(&t, &tm) && strftime(text, sizeof text, "%F %T UTC", &tm))
		print_line("created", text);
}

/* The exit status of one that has stopped, else UINT64_MAX. */
static uint64_t ended_with(const struct view *v)
{
	uint64_t status;

	if (v->state != CONTAINER_STOPPED || control_number(v->id, "exit_status", &status))
		return UINT64_MAX;
	return (uint64_t)exit_status((int)status);
}

static void print_ended(const struct view *v)
{
	uint64_t status = ended_with(v);
	char text[16];

	if (status == UINT64_MAX)
		return;
	snprintf(text, sizeof text, "%d", (int)status);
	print_line("exit status", text);
}

static void print_view(const struct view *v)
{
	char console[16];

	printf("container %d: %s\n", v->id, v->name);
	print_line("state", control_state_word(v->state));
	print_ended(v);
	print_line("hostname", v->hostname);
	print_line("root", v->root);
	snprintf(console, sizeof console, "vc%d", v->console);
	print_line("console", v->console == CONTAINER_NO_CONSOLE ? "none" : console);
	print_line("command", v->command ? v->command : "unknown");
	print_created(v);
	print_usage("processes", v->procs, v->procs_max, UINT64_MAX, false);
	print_usage("memory", v->memory, v->memory_max, UINT64_MAX, true);
	print_usage("disk", v->disk, v->disk_max, v->disk_free, true);
	printf("  %-11s %llu ticks, %.1f%% of a CPU\n", "cpu",
	       (unsigned long long)(v->cpu_usec / USEC_PER_TICK), v->cpu_percent);
	print_processes(v);
}

static void json_processes(struct json *j, const struct view *v)
{
	json_open(j, "processes", '[');
	for (size_t i = 0; i < v->process_count; i++) {
		const struct control_process *p = &v->processes[i].p;
		char state[2] = { p->state, '\0' };

		json_open(j, NULL, '{');
		json_signed(j, "pid", p->pid);
		json_string(j, "name", p->name);
		json_string(j, "state", state);
		json_percent(j, "cpu_percent", v->processes[i].cpu_percent);
		json_number(j, "memory", p->rss);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static uint64_t event(int id, const char *file, const char *key)
{
	uint64_t n;

	return control_keyed(id, file, key, &n) ? 0 : n;
}

/* The sum of KEY=N over all lines. */
static uint64_t io_sum(const char *text, const char *key)
{
	uint64_t sum = 0;
	size_t n = strlen(key);

	for (const char *at = text; (at = strstr(at, key)); at += n)
		if (at[n] == '=')
			sum += strtoull(at + n + 1, NULL, 10);
	return sum;
}

/* All devices together; null if the system does not count. */
static void json_io(struct json *j, int id)
{
	static const char *const keys[] = { "rbytes", "wbytes", "rios", "wios" };
	char *text = control_text(id, "io.stat"), key[16];

	if (!text) {
		json_string(j, "io", NULL);
		return;
	}
	json_open(j, "io", '{');
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		snprintf(key, sizeof key, " %s", keys[i]); /* a whole word */
		json_number(j, keys[i], io_sum(text, key));
	}
	json_close(j, '}');
	free(text);
}

/* What may be used at most, by the names of the control files with _ for the dot. */
static void json_limits(struct json *j, int id)
{
	static const char *const files[] = { "pids.max",   "memory.max", "memory.high",
					     "memory.min", "files.max",	 "disk.max",
					     "inodes.max", "cpu.max",	 "cpuset.cpus",
					     "io.max",	   "cpu.weight" };

	json_open(j, "limits", '{');
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		char *key = text("%s", files[i]), *value = control_text(id, files[i]), *end;
		unsigned long long n = value ? strtoull(value, &end, 10) : 0;

		*strchr(key, '.') = '_';
		if (!value || !*value || !strncmp(value, "max", 3))
			json_string(j, key, NULL);
		else if (end != value && !*end && strcmp(files[i], "cpuset.cpus"))
			json_number(j, key, n);
		else
			json_string(j, key, value);
		free(key);
		free(value);
	}
	json_close(j, '}');
}

/* How often a limit was hit, and what came of it. */
static void json_events(struct json *j, int id)
{
	static const char *const what[] = { "memory", "pids", "files", "disk", "inodes" };
	char file[32], key[32];

	json_open(j, "events", '{');
	for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
		snprintf(file, sizeof file, "%s.events", what[i]);
		snprintf(key, sizeof key, "%s_max", what[i]);
		json_number(j, key, event(id, file, "max"));
	}
	json_number(j, "memory_oom_kill", event(id, "memory.events", "oom_kill"));
	json_close(j, '}');
}

static void json_view(struct json *j, const struct view *v, int id)
{
	json_open(j, NULL, '{');
	view_json(j, v);
	json_string(j, "hostname", v->hostname);
	json_limit(j, "exit_status", ended_with(v));
	json_processes(j, v);
	json_number(j, "cpu_usage_usec", v->cpu_usec);
	json_io(j, id);
	json_limits(j, id);
	json_events(j, id);
	json_close(j, '}');
}

static void print_json(const struct view *views, size_t count)
{
	struct json j;

	json_init(&j, stdout);
	json_open(&j, NULL, '[');
	for (size_t i = 0; i < count; i++)
		json_view(&j, &views[i], views[i].id == getcid() ? CONTROL_SELF : views[i].id);
	json_close(&j, ']');
	putchar('\n');
}

static void print_text(const struct view *views, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (i)
			putchar('\n');
		print_view(&views[i]);
	}
}

/* The containers named, or all. Those that exist are shown even if another does not. */
static int choose(const struct request *r, int **ids, size_t *count)
{
	int status = 0, err;

	if (!r->operand_count) {
		err = control_list(ids, count);
		return err ? fail_errno(err, "/sys/container") : 0;
	}
	*ids = must(calloc((size_t)r->operand_count, sizeof **ids));
	*count = 0;
	for (int i = 0; i < r->operand_count; i++) {
		err = container_find(r->operands[i], &(*ids)[*count]);
		if (err)
			status = err;
		else
			++*count;
	}
	return status;
}

int do_info(struct request *r)
{
	struct view *views;
	int *ids = NULL, status;
	size_t count = 0;

	status = choose(r, &ids, &count);
	if (!ids && status)
		return status;
	views = view_sample(ids, &count, VIEW_PROCESSES | VIEW_DISK, SAMPLE_MSEC);
	if (r->json)
		print_json(views, count);
	else
		print_text(views, count);
	return status;
}
