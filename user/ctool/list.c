/* SPDX-License-Identifier: MIT */
/*
 * list.c - ctool list: one line for each container.
 *
 * Stopped ones are left out unless -a asks for them. The columns and the JSON
 * fields are relied on by scripts and do not change; new ones come last.
 */
#include "ctool.h"

#include <skerry/text.h>

#include <stdio.h>
#include <stdlib.h>

#define SAMPLE_MSEC 100

static const char *const titles[] = { "ID",  "NAME", "STATE",	"PROCS", "CPU%",
				      "MEM", "DISK", "CONSOLE", "ROOT",	 "COMMAND" };

/* The containers to be shown; 0 or -errno. */
static int choose(const struct request *r, int **ids, size_t *count)
{
	enum container_state state;
	int err = control_list(ids, count);
	size_t kept = 0;

	if (err)
		return err;
	for (size_t i = 0; i < *count; i++)
		if (!control_state((*ids)[i], &state) && (r->all || state != CONTAINER_STOPPED))
			(*ids)[kept++] = (*ids)[i];
	*count = kept;
	return 0;
}

static void add_row(struct table *t, const struct view *v)
{
	char size[SIZE_TEXT];

	table_add(t, "%d", v->id);
	table_add(t, "%s", v->name);
	table_add(t, "%s", control_state_word(v->state));
	table_add(t, "%llu", (unsigned long long)v->procs);
	table_add(t, "%.1f", v->cpu_percent);
	table_add(t, "%s", size_format(v->memory, size));
	table_add(t, "%s", v->disk == UINT64_MAX ? "-" : size_format(v->disk, size));
	if (v->console == CONTAINER_NO_CONSOLE)
		table_add(t, "-");
	else
		table_add(t, "vc%d", v->console);
	table_add(t, "%s", v->root);
	table_add(t, "%s", v->command ? v->command : "-");
}

static void print_table(const struct view *views, size_t count)
{
	struct table t;

	table_init(&t, "rllrrrrlll");
	for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
		table_add(&t, "%s", titles[i]);
	for (size_t i = 0; i < count; i++)
		add_row(&t, &views[i]);
	table_print(&t, stdout);
}

static void print_json(const struct view *views, size_t count)
{
	struct json j;

	json_init(&j, stdout);
	json_open(&j, NULL, '[');
	for (size_t i = 0; i < count; i++) {
		json_open(&j, NULL, '{');
		view_json(&j, &views[i]);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	putchar('\n');
}

int do_list(struct request *r)
{
	struct view *views;
	size_t count;
	int *ids, err;

	err = choose(r, &ids, &count);
	if (err)
		return fail_errno(err, "/sys/container");
	if (r->quiet) {
		for (size_t i = 0; i < count; i++)
			printf("%d\n", ids[i]);
		return 0;
	}
	views = view_sample(ids, &count, VIEW_DISK, SAMPLE_MSEC);
	if (r->json)
		print_json(views, count);
	else
		print_table(views, count);
	return 0;
}
