/* SPDX-License-Identifier: MIT */
/*
 * free.c - the memory of this container.
 *
 *	free [-h | -b | -k | -m | -g]
 *
 * /proc/meminfo tells a container its own limit as the total. "used" is what is
 * neither free nor cache that could be given up.
 */
#include <skerry/text.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In bytes. */
struct meminfo {
	uint64_t total, free, available, buffers, cached, shared, reclaimable;
	uint64_t swap_total, swap_free;
};

static const struct {
	const char *key;
	size_t offset;
} keys[] = {
	{ "MemTotal", offsetof(struct meminfo, total) },
	{ "MemFree", offsetof(struct meminfo, free) },
	{ "MemAvailable", offsetof(struct meminfo, available) },
	{ "Buffers", offsetof(struct meminfo, buffers) },
	{ "Cached", offsetof(struct meminfo, cached) },
	{ "Shmem", offsetof(struct meminfo, shared) },
	{ "SReclaimable", offsetof(struct meminfo, reclaimable) },
	{ "SwapTotal", offsetof(struct meminfo, swap_total) },
	{ "SwapFree", offsetof(struct meminfo, swap_free) },
};

static void take_line(struct meminfo *m, const char *line)
{
	size_t n = strcspn(line, ":");

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strlen(keys[i].key) == n && !memcmp(keys[i].key, line, n))
			*(uint64_t *)((char *)m + keys[i].offset) =
				strtoull(line + n + 1, NULL, 10) * 1024;
}

static int meminfo_read(struct meminfo *m)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[256];

	memset(m, 0, sizeof *m);
	if (!f)
		return -errno;
	while (fgets(line, sizeof line, f))
		if (strchr(line, ':'))
			take_line(m, line);
	fclose(f);
	return 0;
}

/* `unit` 0: for people. */
static void add_size(struct table *t, uint64_t bytes, uint64_t unit)
{
	char size[SIZE_TEXT];

	if (unit)
		table_add(t, "%llu", (unsigned long long)(bytes / unit));
	else
		table_add(t, "%s", size_format(bytes, size));
}

static void show(const struct meminfo *m, uint64_t unit)
{
	static const char *const titles[] = { "",	"total",      "used",	  "free",
					      "shared", "buff/cache", "available" };
	uint64_t cache = m->buffers + m->cached + m->reclaimable;
	uint64_t idle = m->free + cache, used = m->total > idle ? m->total - idle : 0;
	uint64_t swap_used = m->swap_total - m->swap_free;
	const uint64_t memory[] = { m->total, used, m->free, m->shared, cache, m->available };
	const uint64_t swap[] = { m->swap_total, swap_used, m->swap_free };
	struct table t;

	table_init(&t, "lrrrrrr");
	for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
		table_add(&t, "%s", titles[i]);
	table_add(&t, "Mem:");
	for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
		add_size(&t, memory[i], unit);
	table_add(&t, "Swap:");
	for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
		if (i < sizeof swap / sizeof *swap)
			add_size(&t, swap[i], unit);
		else
			table_add(&t, "%s", "");
	}
	table_print(&t, stdout);
}

static int usage(FILE *out, int status)
{
	fputs("usage: free [-h | -b | -k | -m | -g]\n"
	      "memory of this container, in KiB or the unit asked for; -h: sizes for people\n"
	      "\nexample:\n  free -h\n",
	      out);
	return status;
}

int main(int argc, char **argv)
{
	uint64_t unit = 1024;
	struct meminfo m;
	int c, err;

	if (argc > 1 && !strcmp(argv[1], "--help"))
		return usage(stdout, 0);
	while ((c = getopt(argc, argv, "hbkmg")) != -1) {
		static const char letters[] = "hbkmg";
		static const uint64_t units[] = { 0, 1, 1 << 10, 1 << 20, 1 << 30 };

		if (c == '?')
			return usage(stderr, 1);
		unit = units[strchr(letters, c) - letters];
	}
	err = meminfo_read(&m);
	if (err) {
		fprintf(stderr, "free: /proc/meminfo: %s\n", strerror(-err));
		return 1;
	}
	show(&m, unit);
	return 0;
}
