/* SPDX-License-Identifier: MIT */
/*
 * control.h - the control files of containers, /sys/container/ID/.
 *
 * The files are text, one value or one line per item, named as in cgroup v2. The
 * caller sees the containers below its own, and its own as CONTROL_SELF. Functions
 * return 0 or a negative errno; a container that went away in between reads as
 * -ENOENT or -ENODEV.
 *
 * $SKERRY_CONTROL names another directory of the same shape (a test's).
 */
#ifndef SKERRY_CONTROL_H
#define SKERRY_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/container.h"

#define CONTROL_SELF	  (-1)	     /* the container that the caller is in */
#define CONTROL_UNLIMITED UINT64_MAX /* the word "max" in a file */

/* One line of the file `procs`. */
struct control_process {
	int pid;    /* as inside */
	char state; /* as in /proc/PID/stat */
	uint64_t user_usec, system_usec, rss;
	char name[64];
};

/* The whole text of a file without its last newline, for free(); NULL with errno set. */
char *control_text(int id, const char *file);
int control_write(int id, const char *file, const char *text);
/* The master of a new pty of the container: a descriptor, or a negative errno. */
int control_open_pty(int id);

/* A number, or "max". */
int control_number(int id, const char *file, uint64_t *out);
/* The number beside a word, as in cpu.stat: "usage_usec 1234". -ENOENT if the word is not there. */
int control_keyed(int id, const char *file, const char *key, uint64_t *out);
int control_state(int id, enum container_state *out);
/* -EINVAL if it is no state. */
int control_state_parse(const char *word, enum container_state *out);
const char *control_state_word(enum container_state s);
/* CONTAINER_NO_CONSOLE if it has none. */
int control_console(int id, int *out);

/* Ids of all visible containers, ascending, without the caller's own; for free(). */
int control_list(int **ids, size_t *count);
/* The container of that id or, if there is none, of that name. -ESRCH. */
int control_find(const char *word, int *id);
/* Was it made right here, not by somebody in one of those below? */
bool control_is_own(int id);
/* Processes of a container, for free(). */
int control_processes(int id, struct control_process **out, size_t *count);

/*
 * Sleeps until the container is STOPPED. -ETIMEDOUT after `msec` milliseconds (-1:
 * never); -EINTR; -ENODEV if it was destroyed meanwhile.
 */
int control_wait_stopped(int id, int msec);

#endif
