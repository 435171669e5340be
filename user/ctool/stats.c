/* SPDX-License-Identifier: MIT */
/*
 * stats.c - ctool stats: a line for each container with what it uses and may use. On a
 * terminal it is shown anew until ctool is interrupted, otherwise, or with -n 1, once.
 */
#include "ctool.h"

#include <skerry/text.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SAMPLE_MSEC 200
#define PERIOD_USEC 1800000
#define CLEAR	    "\033[H\033[J"

static void add_row(struct table *t, const struct view *v)
{
	char used[SIZE_TEXT], max[SIZE_TEXT], peak[SIZE_TEXT], time[SIZE_TEXT];
	uint64_t most = 0, kills = 0;

	control_number(v->id, "memory.peak", &most);
	control_keyed(v->id, "memory.events", "oom_kill", &kills);
	table_add(t, "%d", v->id);
	table_add(t, "%s", v->name);
	table_add(t, "%s", control_state_word(v->state));
	table_add(t, "%.1f", v->cpu_percent);
	table_add(t, "%s", cputime_format(v->cpu_usec, time));
	table_add(t, "%s/%s", size_format(v->memory, used), size_format(v->memory_max, max));
	table_add(t, "%s", size_format(most, peak));
	table_add(t, "%llu", (unsigned long long)kills);
	if (v->procs_max == UINT64_MAX)
		table_add(t, "%llu/max", (unsigned long long)v->procs);
	else
		table_add(t, "%llu/%llu", (unsigned long long)v->procs,
			  (unsigned long long)v->procs_max);
}

static void show(const int *ids, size_t count)
{
	static const char *const titles[] = { "ID",  "NAME", "STATE", "CPU%", "TIME",
					      "MEM", "PEAK", "OOM",   "PROCS" };
	struct view *views = view_sample(ids, &count, 0, SAMPLE_MSEC);
	struct table t;

	table_init(&t, "rllrrrrrr");
	for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
		table_add(&t, "%s", titles[i]);
	for (size_t i = 0; i < count; i++)
		add_row(&t, &views[i]);
	table_print(&t, stdout);
	fflush(stdout);
	free(views);
}

/* The containers that were named, or all. */
static int choose(const struct request *r, int **ids, size_t *count)
{
	int err;

	if (!r->operand_count) {
		err = control_list(ids, count);
		return err ? fail_errno(err, "/sys/container") : 0;
	}
	*count = (size_t)r->operand_count;
	*ids = must(calloc(*count, sizeof **ids));
	for (size_t i = 0; i < *count; i++) {
		int status = container_find(r->operands[i], &(*ids)[i]);
		if (status)
			return status;
	}
	return 0;
}

int do_stats(struct request *r)
{
	bool live = isatty(STDOUT_FILENO);
	unsigned left = r->count ? r->count : live ? 0 : 1;
	int *ids, status;
	size_t count;

	for (;;) {
		status = choose(r, &ids, &count);
		if (status)
			return status;
		if (live && left != 1)
			fputs(CLEAR, stdout);
		show(ids, count);
		free(ids);
		if (ferror(stdout) || (left && !--left))
			return 0;
		usleep(PERIOD_USEC);
	}
}
