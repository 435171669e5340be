/* SPDX-License-Identifier: MIT */
/*
 * vm.h - the parts of build/host/vm, which runs one guest under QEMU for ./run:
 *
 *	main.c      arguments, and what the exit status is
 *	qemu.c      starts QEMU with a socket for each channel, and ends it
 *	session.c   the poll loop: what the guest says and what the person types
 *	klog.c      the kernel's messages: log file, stderr, "panic:"
 *	feed.c      a child that sends the guest what it is to have and to do
 *	terminal.c  raw mode and the escape key
 *
 * Every channel is one end of a socketpair that QEMU inherits, so there are no
 * files to clean up and calls in parallel cannot meet.
 */
#ifndef VM_H
#define VM_H

#include "link.h"
#include "pump.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define VM_FAILED  121 /* exit status: it is not the command that failed (CLI.md) */
#define VM_ADD_MAX 256

/* What the user asked for. */
struct options {
	const char *command; /* NULL: a person at a shell */
	const char *shell_tty;
	const char *log_path;
	double timeout;	     /* seconds; 0: none */
	bool verbose;	     /* kernel messages to stderr as well */
	bool serial_console; /* the person is on the serial line, not on a virtio console */
	bool probe;	     /* say nothing when it fails */
	struct {
		const char *host, *guest;
	} add[VM_ADD_MAX], get[VM_ADD_MAX];
	int nadd, nget;
	const char *env[VM_ADD_MAX];
	int nenv;
	char **qemu; /* command line, NULL-terminated */
};

enum channel {
	CH_SERIAL,
	CH_CTL,
	CH_IN,
	CH_OUT,
	CH_ERR,
	CH_CONSOLE,
	CH_COUNT,
};

/* ---- qemu.c ---- */
struct qemu {
	pid_t pid;
	int sock[CH_COUNT]; /* our ends, not blocking */
	int messages;	    /* what QEMU itself says: read end of a pipe */
	bool ended;
	int status; /* wait status, once ended */
};

/* Starts options->qemu with a -chardev for each channel. 0 or -errno. */
int qemu_start(struct qemu *q, const struct options *o);
/* Ends it if it still runs, and waits for it. */
void qemu_kill(struct qemu *q);

/* ---- klog.c ---- */
struct klog {
	FILE *file;
	bool verbose;
	char line[1024]; /* the line so far */
	size_t len;
	char panic[1024]; /* the first line of a panic, or "" */
	char last[1024];  /* the last line that is not empty */
};

int klog_open(struct klog *k, const struct options *o);
void klog_bytes(struct klog *k, const char *data, size_t len);

/* ---- feed.c ---- */
/* Starts the child; its pid, or -errno. It exits 0, or says what is wrong and exits VM_FAILED. */
pid_t feed_start(const struct options *o, int ctl);

/* ---- terminal.c ---- */
struct terminal {
	bool escape; /* Ctrl-A was the last key */
	bool leave;  /* Ctrl-A X was typed */
};

void terminal_raw(void);
void terminal_restore(void);
/* rows << 16 | columns of the terminal on stdin, 0 if it is none */
uint64_t terminal_size(void);
size_t terminal_filter(void *terminal, char *buf, size_t len);

/* ---- session.c ---- */
/* Runs the guest to its end; the exit status of ./run. */
int session_run(const struct options *o);

/* Prints "run: ...". */
void __attribute__((format(printf, 1, 2))) complain(const char *format, ...);

#endif
