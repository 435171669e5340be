/* SPDX-License-Identifier: MIT */
/*
 * klog.c - takes the kernel's messages from the serial line: writes them to the
 * log file (and to stderr with -v), and watches for the line of a panic.
 */
#include "vm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int klog_open(struct klog *k, const struct options *o)
{
	*k = (struct klog){ .verbose = o->verbose };
	if (!o->log_path)
		return 0;
	k->file = fopen(o->log_path, "we");
	return k->file ? 0 : -errno;
}

/* Skerry says "panic: ...", Linux "Kernel panic - ..." behind a time stamp. */
static bool is_panic(const char *line)
{
	const char *text = line;

	if (*text == '[' && strchr(text, ']'))
		text = strchr(text, ']') + 1;
	text += strspn(text, " ");
	return !strncmp(text, "panic:", 6) || !strncmp(text, "Kernel panic", 12);
}

static void line_end(struct klog *k)
{
	k->line[k->len] = 0;
	if (k->len)
		memcpy(k->last, k->line, k->len + 1);
	if (!*k->panic && is_panic(k->line))
		memcpy(k->panic, k->line, k->len + 1);
	k->len = 0;
}

void klog_bytes(struct klog *k, const char *data, size_t len)
{
	if (k->file) {
		fwrite(data, 1, len, k->file);
		fflush(k->file);
	}
	if (k->verbose && write(2, data, len) < 0)
		k->verbose = false;
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n')
			line_end(k);
		else if (data[i] != '\r' && k->len < sizeof(k->line) - 1)
			k->line[k->len++] = data[i];
	}
}
