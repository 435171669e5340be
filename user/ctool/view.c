/* SPDX-License-Identifier: MIT */
/*
 * view.c - what list, info and top show of containers.
 *
 * Everything is read from the control files, and the command from ctool's
 * record. CPU percentages are of one CPU and of a short sample: usage is read
 * twice and divided by the time between, so they say what happens now. Nothing
 * is waited for if no container can have run.
 */
#include "ctool.h"

#include <skerry/text.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The first reading of a sample. */
struct reading {
	uint64_t nsec, cpu_usec;
	struct control_process *processes;
	size_t count;
};

static uint64_t now_nsec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sleep_msec(unsigned msec)
{
	struct timespec t = { msec / 1000, (long)(msec % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static uint64_t number_or(int id, const char *file, uint64_t otherwise)
{
	uint64_t n;

	return control_number(id, file, &n) ? otherwise : n;
}

static char *text_or(int id, const char *file, const char *otherwise)
{
	char *s = control_text(id, file);

	return s ? s : must(strdup(otherwise));
}

/* PROG ARG... in one line; NULL if it is not known. */
static char *command_line(int id)
{
	struct record rec;
	char *line = NULL, *longer;

	if (record_load(id, &rec))
		return NULL;
	for (size_t i = 0; i < rec.args.count; i++) {
		longer = line ? text("%s %s", line, rec.args.v[i]) : text("%s", rec.args.v[i]);
		free(line);
		line = longer;
	}
	return line;
}

static void read_once(struct reading *r, int id, unsigned what)
{
	memset(r, 0, sizeof *r);
	if (what & VIEW_PROCESSES)
		control_processes(id, &r->processes, &r->count);
	control_keyed(id, "cpu.stat", "usage_usec", &r->cpu_usec);
	r->nsec = now_nsec();
}

static double percent(uint64_t usec_before, uint64_t usec_after, uint64_t nsec)
{
	if (usec_after <= usec_before || nsec < 1000)
		return 0;
	return 100.0 * (double)(usec_after - usec_before) / ((double)nsec / 1000);
}

static uint64_t process_usec(const struct control_process *p)
{
	return p->user_usec + p->system_usec;
}

/* A process that was not there before has run all its time since. */
static uint64_t usec_before(const struct reading *r, int pid)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->processes[i].pid == pid)
			return process_usec(&r->processes[i]);
	return 0;
}

static void view_processes(struct view *v, int id, const struct reading *before, uint64_t nsec)
{
	struct control_process *p;

	if (control_processes(id, &p, &v->process_count))
		return;
	v->processes = must(calloc(v->process_count + 1, sizeof *v->processes));
	for (size_t i = 0; i < v->process_count; i++) {
		v->processes[i].p = p[i];
		if (nsec)
			v->processes[i].cpu_percent =
				percent(usec_before(before, p[i].pid), process_usec(&p[i]), nsec);
	}
	free(p);
}

static void view_disk(struct view *v, int id)
{
	/* its own root has another name outside, which is the one in v */
	const char *root = id == CONTROL_SELF && *v->root == '/' ? "/" : v->root;
	/* and one that was made inside another names a directory of that one's files */
	bool directory = *root == '/' && control_is_own(id);

	v->disk_max = number_or(id, "disk.max", UINT64_MAX);
	/* a directory's own files are not counted, only what the container adds */
	v->disk = directory && v->disk_max == UINT64_MAX
			  ? disk_used(root)
			  : number_or(id, "disk.current", UINT64_MAX);
	v->disk_free = disk_free(directory ? root : "/");
	if (v->disk_max != UINT64_MAX && v->disk_max - v->disk < v->disk_free)
		v->disk_free = v->disk < v->disk_max ? v->disk_max - v->disk : 0;
}

static uint64_t created(int id)
{
	char *s = control_text(id, "created");
	uint64_t sec = s ? strtoull(s, NULL, 10) : 0; /* a fraction may follow */

	free(s);
	return sec;
}

/* False if the container is gone. */
static bool view_read(struct view *v, int id, unsigned what, const struct reading *before,
		      bool slept)
{
	uint64_t nsec;

	memset(v, 0, sizeof *v);
	if (control_state(id, &v->state))
		return false;
	v->id = id == CONTROL_SELF ? getcid() : id;
	v->name = text_or(id, "name", "-");
	v->hostname = text_or(id, "hostname", "-");
	v->root = text_or(id, "root", "-");
	if (control_console(id, &v->console))
		v->console = CONTAINER_NO_CONSOLE;
	v->procs = number_or(id, "pids.current", 0);
	v->procs_max = number_or(id, "pids.max", UINT64_MAX);
	v->memory = number_or(id, "memory.current", 0);
	v->memory_max = number_or(id, "memory.max", UINT64_MAX);
	v->created = created(id);
	v->command = command_line(id);
	control_keyed(id, "cpu.stat", "usage_usec", &v->cpu_usec);
	nsec = slept ? now_nsec() - before->nsec : 0;
	if (slept)
		v->cpu_percent = percent(before->cpu_usec, v->cpu_usec, nsec);
	if (what & VIEW_PROCESSES)
		view_processes(v, id, before, nsec);
	if (what & VIEW_DISK)
		view_disk(v, id);
	return true;
}

static bool any_running(const int *ids, size_t count)
{
	enum container_state state;

	for (size_t i = 0; i < count; i++)
		if (!control_state(ids[i], &state) && state == CONTAINER_RUNNING)
			return true;
	return false;
}

struct view *view_sample(const int *ids, size_t *count, unsigned what, unsigned msec)
{
	struct reading *before = must(calloc(*count + 1, sizeof *before));
	struct view *views = must(calloc(*count + 1, sizeof *views));
	bool slept = msec && any_running(ids, *count);
	size_t n = 0;

	for (size_t i = 0; slept && i < *count; i++)
		read_once(&before[i], ids[i], what);
	if (slept)
		sleep_msec(msec);
	for (size_t i = 0; i < *count; i++) {
		n += view_read(&views[n], ids[i], what, &before[i], slept);
		free(before[i].processes);
	}
	free(before);
	*count = n;
	return views;
}

void view_json(struct json *j, const struct view *v)
{
	char console[16];

	snprintf(console, sizeof console, "vc%d", v->console);
	json_signed(j, "id", v->id);
	json_string(j, "name", v->name);
	json_string(j, "state", control_state_word(v->state));
	json_number(j, "procs", v->procs);
	json_limit(j, "pids_max", v->procs_max);
	json_percent(j, "cpu_percent", v->cpu_percent);
	json_number(j, "memory", v->memory);
	json_limit(j, "memory_max", v->memory_max);
	json_limit(j, "disk", v->disk);
	json_limit(j, "disk_max", v->disk_max);
	json_string(j, "console", v->console == CONTAINER_NO_CONSOLE ? NULL : console);
	json_string(j, "root", v->root);
	json_string(j, "command", v->command);
	json_number(j, "created", v->created);
}
