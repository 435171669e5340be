/* SPDX-License-Identifier: MIT */
/*
 * ps.c - the processes of the container that one is in; with -a all that one may see.
 *
 *	ps [-a]
 *
 * One's own processes are read from /proc, which shows nothing else. -a adds a
 * column CONTAINER and, from the control files, the processes of every container
 * below one's own; pids there are as inside. The letters of other systems' ps (aux,
 * -ef) are taken and mean what ps alone means.
 */
#include <skerry/container.h>
#include <skerry/control.h>
#include <skerry/text.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USEC_PER_TICK 10000 /* USER_HZ is 100 */

struct process {
	int pid, ppid;
	char state;
	uint64_t usec, rss;
	char *command;
};

/* What the file holds, at most size - 1 bytes; its length, or -1. */
static ssize_t read_file(int pid, const char *file, char *buffer, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buffer, size - 1);
	close(fd);
	if (n >= 0)
		buffer[n] = '\0';
	return n;
}

/* Its arguments in one line, or "[name]" for one that has none. */
static char *command_of(int pid, const char *name)
{
	char args[2048], *line;
	ssize_t n = read_file(pid, "cmdline", args, sizeof args);

	while (n > 0 && !args[n - 1])
		n--;
	for (ssize_t i = 0; i < n; i++)
		if (!args[i])
			args[i] = ' ';
	if (asprintf(&line, n > 0 ? "%s" : "[%s]", n > 0 ? args : name) < 0)
		return NULL;
	return line;
}

/* /proc/PID/stat (man 5 proc). The name stands in brackets and may hold any byte. */
static bool read_process(int pid, struct process *p)
{
	unsigned long long user, system, pages;
	char stat[1024], *name, *end;

	if (read_file(pid, "stat", stat, sizeof stat) <= 0)
		return false;
	name = strchr(stat, '(');
	end = strrchr(stat, ')');
	if (!name || !end || end < name)
		return false;
	*end = '\0';
	if (sscanf(end + 1,
		   " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d"
		   " %*u %*u %llu",
		   &p->state, &p->ppid, &user, &system, &pages) != 5)
		return false;
	p->pid = pid;
	p->usec = (user + system) * USEC_PER_TICK;
	p->rss = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	p->command = command_of(pid, name + 1);
	return p->command;
}

static void add_row(struct table *t, const struct process *p, const char *container)
{
	char time[SIZE_TEXT], size[SIZE_TEXT];

	if (container)
		table_add(t, "%s", container);
	table_add(t, "%d", p->pid);
	if (!container)
		table_add(t, "%d", p->ppid);
	table_add(t, "%c", p->state);
	table_add(t, "%s", cputime_format(p->usec, time));
	table_add(t, "%s", size_format(p->rss, size));
	table_add(t, "%s", p->command);
}

static int compare_pids(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* The numbers among the names in /proc, ascending, for free(); NULL with errno set. */
static int *list_pids(size_t *count)
{
	size_t room = 64;
	int *pids = malloc(room * sizeof *pids), *more;
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	*count = 0;
	while (pids && dir && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (*count == room) {
			more = realloc(pids, (room *= 2) * sizeof *pids);
			if (!more)
				break;
			pids = more;
		}
		pids[(*count)++] = atoi(entry->d_name);
	}
	if (!dir)
		return NULL;
	closedir(dir);
	if (pids)
		qsort(pids, *count, sizeof *pids, compare_pids);
	return pids;
}

static int add_own(struct table *t, const char *container)
{
	struct process p;
	size_t count;
	int *pids = list_pids(&count);

	if (!pids)
		return -errno;
	for (size_t i = 0; i < count; i++) {
		if (!read_process(pids[i], &p))
			continue; /* it ended meanwhile */
		add_row(t, &p, container);
		free(p.command);
	}
	free(pids);
	return 0;
}

static void add_container(struct table *t, int id)
{
	struct control_process *list;
	char *name = control_text(id, "name");
	size_t count;

	if (!name || control_processes(id, &list, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		struct process p = {
			.pid = list[i].pid,
			.state = list[i].state,
			.usec = list[i].user_usec + list[i].system_usec,
			.rss = list[i].rss,
			.command = list[i].name,
		};

		add_row(t, &p, name);
	}
	free(list);
	free(name);
}

static void add_others(struct table *t)
{
	size_t count;
	int *ids;

	if (control_list(&ids, &count))
		return;
	for (size_t i = 0; i < count; i++)
		add_container(t, ids[i]);
	free(ids);
}

static int show(bool all)
{
	char *own = NULL;
	struct table t;
	int err;

	table_init(&t, all ? "lrlrrl" : "rrlrrl");
	if (all)
		table_add(&t, "CONTAINER");
	table_add(&t, "PID");
	if (!all)
		table_add(&t, "PPID");
	table_add(&t, "S");
	table_add(&t, "TIME");
	table_add(&t, "RSS");
	table_add(&t, "COMMAND");
	if (all)
		own = getcid() > 0 ? control_text(CONTROL_SELF, "name") : strdup("host");
	err = add_own(&t, all ? (own ? own : "-") : NULL);
	if (all)
		add_others(&t);
	table_print(&t, stdout);
	free(own);
	if (err)
		fprintf(stderr, "ps: /proc: %s\n", strerror(-err));
	return err ? 1 : 0;
}

static void help(void)
{
	puts("usage: ps [-a]\n"
	     "the processes of this container; -a: those of every container in it too\n"
	     "\nexample:\n  ps -a");
}

int main(int argc, char **argv)
{
	bool all = false;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (!strcmp(arg, "--help")) {
			help();
			return 0;
		}
		if (!strcmp(arg, "-a")) {
			all = true;
		} else if (arg[strspn(arg, "-aefluxwA")]) {
			fprintf(stderr, "ps: no such option: %s\nusage: ps [-a]\n", arg);
			return 1;
		}
	}
	return show(all);
}
