/* SPDX-License-Identifier: MIT */
/*
 * tool.h - what the tools of cowfs share in talking to people. A message says what is wrong, which
 * value it was and what to do; it goes to stderr behind the tool's name.
 */
#ifndef HOST_COWFS_TOOL_H
#define HOST_COWFS_TOOL_H

#include "lib/types.h"

extern const char *tool_name;  /* main sets it */
extern int tool_failed_status; /* of tool_fail: 1; fsck(8) has 8 */
extern int tool_usage_status;  /* of tool_usage: 2; fsck(8) has 16 */

void tool_warn(const char *fmt, ...) __printf(1, 2);
void tool_fail(const char *fmt, ...) __printf(1, 2) __noreturn;
void tool_usage(const char *fmt, ...) __printf(1, 2) __noreturn; /* and where help is */
const char *tool_error(int err); /* "No such file or directory", of -errno or of errno */
/* The text goes to stdout, which must take it: exits with 0. */
void tool_help(const char *text) __noreturn;
/* What was printed is out, or it fails. */
void tool_flush(void);
void *tool_alloc(size_t bytes);				/* cleared; or it fails */
char *tool_format(const char *fmt, ...) __printf(1, 2); /* in memory that is the caller's */

/* "64M" and the like: powers of 1024; false: not one. */
bool tool_size(const char *text, u64 *bytes);

/* On a terminal, for what takes longer than a moment: "NAME: what: 12 of 40 MiB". total 0: unknown.
 */
void tool_progress(const char *what, u64 done, u64 total);
void tool_progress_end(void);

#endif
