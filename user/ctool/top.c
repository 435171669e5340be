/* SPDX-License-Identifier: MIT */
/*
 * top.c - ctool top: the processes of a container, the busiest first.
 *
 * On a terminal it is shown anew every two seconds until q or Ctrl-C; otherwise,
 * or with -n 1, once.
 */
#include "ctool.h"

#include <skerry/text.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define SAMPLE_MSEC 200
#define PERIOD_MSEC 1800 /* with the sample, two seconds */
#define CLEAR	    "\033[H\033[J"

static struct termios saved;

static int busier(const void *a, const void *b)
{
	const struct process_view *x = a, *y = b;

	if (x->cpu_percent != y->cpu_percent)
		return x->cpu_percent < y->cpu_percent ? 1 : -1;
	return (x->p.pid > y->p.pid) - (x->p.pid < y->p.pid);
}

static void print_head(const struct view *v)
{
	char used[SIZE_TEXT], most[SIZE_TEXT], max[SIZE_TEXT] = "max";

	if (v->procs_max != UINT64_MAX)
		snprintf(max, sizeof max, "%u", (unsigned)v->procs_max);
	printf("%s: %s, %llu/%s processes, %.1f%% of a CPU, %s/%s memory\n\n", v->name,
	       control_state_word(v->state), (unsigned long long)v->procs, max, v->cpu_percent,
	       size_format(v->memory, used), size_format(v->memory_max, most));
}

static void print_processes(struct view *v)
{
	char size[SIZE_TEXT], time[SIZE_TEXT];
	struct table t;

	qsort(v->processes, v->process_count, sizeof *v->processes, busier);
	table_init(&t, "rlrrrl");
	table_add(&t, "PID");
	table_add(&t, "STATE");
	table_add(&t, "CPU%%");
	table_add(&t, "TIME");
	table_add(&t, "MEM");
	table_add(&t, "NAME");
	for (size_t i = 0; i < v->process_count; i++) {
		const struct control_process *p = &v->processes[i].p;

		table_add(&t, "%d", p->pid);
		table_add(&t, "%c", p->state);
		table_add(&t, "%.1f", v->processes[i].cpu_percent);
		table_add(&t, "%s", cputime_format(p->user_usec + p->system_usec, time));
		table_add(&t, "%s", size_format(p->rss, size));
		table_add(&t, "%s", p->name);
	}
	table_print(&t, stdout);
	fflush(stdout);
}

/* Keys at once and unseen; Ctrl-C still ends the program. */
static bool keys_begin(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &saved))
		return false;
	t = saved;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	return !tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

/* True if the user wants to leave within the period. */
static bool key_quits(bool keys)
{
	struct pollfd p = { .fd = keys ? STDIN_FILENO : -1, .events = POLLIN };
	char key;

	if (poll(&p, 1, PERIOD_MSEC) <= 0)
		return false;
	return read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 3;
}

static void restore_keys(int sig)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	_exit(128 + sig);
}

static int show_once(int id, bool clear)
{
	size_t count = 1;
	struct view *v = view_sample(&id, &count, VIEW_PROCESSES, SAMPLE_MSEC);

	if (!count)
		return fail("the container is gone");
	if (clear)
		fputs(CLEAR, stdout);
	print_head(v);
	print_processes(v);
	free(v);
	return 0;
}

int do_top(struct request *r)
{
	bool live = isatty(STDOUT_FILENO), keys;
	unsigned left = r->count ? r->count : live ? 0 : 1;
	int id, status;

	status = container_find(r->operands[0], &id);
	if (status)
		return status;
	keys = live && left != 1 && keys_begin();
	if (keys) {
		signal(SIGINT, restore_keys);
		signal(SIGTERM, restore_keys);
	}
	do {
		status = show_once(id, live && left != 1);
	} while (!status && (left == 0 || --left) && !key_quits(keys));
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	return status;
}
