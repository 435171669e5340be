/* SPDX-License-Identifier: MIT */
/*
 * processes.c - the control file `procs`: who runs in a container.
 *
 * A line is "pid name state user_usec system_usec rss_bytes". The name is what
 * the process calls itself and may hold blanks, so a line is taken apart from
 * both ends.
 */
#include <skerry/control.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The start of the last `words` words of `line`, or NULL if it has not that many. */
static char *last_words(char *line, int words)
{
	char *p = line + strlen(line);

	while (words > 0 && p > line)
		if (*--p == ' ')
			words--;
	return words ? NULL : p + 1;
}

static int parse_process(char *line, struct control_process *p)
{
	char *name = strchr(line, ' '), *rest = last_words(line, 4);
	unsigned long long user, system, rss;

	if (!name || !rest || rest <= ++name)
		return -EINVAL;
	if (sscanf(line, "%d", &p->pid) != 1)
		return -EINVAL;
	if (sscanf(rest, "%c %llu %llu %llu", &p->state, &user, &system, &rss) != 4)
		return -EINVAL;
	p->user_usec = user;
	p->system_usec = system;
	p->rss = rss;
	rest[-1] = '\0';
	snprintf(p->name, sizeof p->name, "%s", name);
	return 0;
}

static size_t count_lines(const char *text)
{
	size_t n = 1;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

int control_processes(int id, struct control_process **out, size_t *count)
{
	char *text = control_text(id, "procs"), *save, *line;

	*count = 0;
	*out = NULL;
	if (!text)
		return -errno;
	*out = calloc(count_lines(text), sizeof **out);
	for (line = strtok_r(text, "\n", &save); *out && line; line = strtok_r(NULL, "\n", &save))
		if (!parse_process(line, &(*out)[*count]))
			++*count;
	free(text);
	return *out ? 0 : -ENOMEM;
}
