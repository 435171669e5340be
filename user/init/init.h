/* SPDX-License-Identifier: MIT */
/*
 * init.h - the parts of pid 1: main.c sets the system up and ends it, command.c
 * runs one command for ./run -c, shell.c keeps a shell on a terminal.
 */
#ifndef INIT_H
#define INIT_H

#include "link.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#define INIT_GETS_MAX 64

struct init {
	struct link link; /* link.fd is -1 if there is no host to talk to */
	const char *gets[INIT_GETS_MAX];
	int ngets;
	sigset_t inside; /* signal mask while waiting: everything open */
	char *stand_in;	 /* shell functions for programs that busybox has as well; or NULL */
};

/* Set by signal handlers, which run only inside ppoll(2). */
extern volatile sig_atomic_t child_ended;
extern volatile sig_atomic_t end_wanted; /* the reboot(2) command, or 0 */

/* Runs the command of a RUN message and reports its end. Then the machine may end. */
void command_run(struct init *in, const struct link_message *m);

/* Keeps a shell on `tty` ("": the first that opens) until the machine is to end. */
void shell_keep(struct init *in, const char *tty);

/* In a new child: gives signals back their defaults. */
void child_prepare(const struct init *in);

/* Opens a port by its name; -errno. */
int port_open(const char *name, int flags);

/* Reaps all that have ended; true if `pid` was among them, then *status is its. */
bool reap(pid_t pid, int *status);

/* Says something on the kernel's console. */
void __attribute__((format(printf, 1, 2))) say(const char *format, ...);

#endif
