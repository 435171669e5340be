/* SPDX-License-Identifier: MIT */
/* tool.c - messages, sizes and progress of the tools (contract: tool.h). */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cowfs/tool.h"

#define PROGRESS_EVERY 0.25 /* seconds */

const char *tool_name = "cowfs";
int tool_failed_status = 1, tool_usage_status = 2;
static bool progress_shown;

static void say(const char *fmt, va_list ap, const char *more)
{
	fflush(stdout);
	tool_progress_end();
	fprintf(stderr, "%s: ", tool_name);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "%s\n", more);
}

void tool_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap, "");
	va_end(ap);
}

void tool_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap, "");
	va_end(ap);
	exit(tool_failed_status);
}

void tool_usage(const char *fmt, ...)
{
	char more[64];
	va_list ap;

	snprintf(more, sizeof(more), "; see %s --help", tool_name);
	va_start(ap, fmt);
	say(fmt, ap, more);
	va_end(ap);
	exit(tool_usage_status);
}

const char *tool_error(int err)
{
	return strerror(err < 0 ? -err : err);
}

void tool_flush(void)
{
	if (fflush(stdout) || ferror(stdout))
		tool_fail("cannot write to stdout: %s", tool_error(errno));
}

void tool_help(const char *text)
{
	fputs(text, stdout);
	tool_flush();
	exit(0);
}

void *tool_alloc(size_t bytes)
{
	void *p = calloc(1, bytes);

	if (!p)
		tool_fail("out of memory (%zu bytes)", bytes);
	return p;
}

char *tool_format(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		tool_fail("out of memory");
	return text;
}

bool tool_size(const char *text, u64 *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;
	u64 n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || errno)
		return false;
	if (*end) {
		unit = strchr(units, *end & ~0x20);
		if (!unit || !*unit || end[1])
			return false;
		for (long i = unit - units; i >= 0; i--)
			if (__builtin_mul_overflow(n, 1024ul, &n))
				return false;
	}
	*bytes = n;
	return true;
}

void tool_progress(const char *what, u64 done, u64 total)
{
	static struct timespec last;
	struct timespec now;
	double since;

	if (!isatty(2))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!last.tv_sec)
		last = now;
	since = (double)(now.tv_sec - last.tv_sec) + (double)(now.tv_nsec - last.tv_nsec) / 1e9;
	if (since < PROGRESS_EVERY)
		return;
	last = now;
	progress_shown = true;
	if (total)
		fprintf(stderr, "\r%s: %s: %lu of %lu MiB ", tool_name, what, done >> 20,
			total >> 20);
	else
		fprintf(stderr, "\r%s: %s: %lu MiB ", tool_name, what, done >> 20);
}

void tool_progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}
