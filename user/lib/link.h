/* SPDX-License-Identifier: MIT */
/*
 * link.h - the control channel between ./run on the host and pid 1 in the guest.
 *
 * The channel is a byte stream (the virtio-serial port named LINK_CTL) that
 * carries messages: a header of two little-endian 32-bit words (type, length)
 * and that many bytes. The command's stdin, stdout and stderr have a port each,
 * so that a slow reader of one holds up neither the others nor the control
 * channel; those ports carry bare bytes, and the control channel says how many
 * there are in all. Both ends are compiled from these files.
 *
 * Typical sequence (H host, G guest):
 *
 *	G HELLO
 *	H ENV "K=V" ...  H TREE.. (files of --add)  H GET "path" ...
 *	H RUN flags, COMMAND   or   H SHELL tty
 *	G STARTED
 *	H STDIN_END total       when the host's stdin has ended
 *	H CLOSED 1|2            when nobody reads the host's stdout or stderr
 *	G STDIN_CLOSED          when nobody reads the command's stdin
 *	G TREE.. (files of --get), or G ERROR text for one that cannot be read
 *	G EXIT status, bytes of stdout, bytes of stderr
 *	H BYE                   when all of them have arrived; the guest powers off
 *
 * Invariant: a message is sent whole or the link is dead. Not thread-safe.
 */
#ifndef LIB_LINK_H
#define LIB_LINK_H

#include <stddef.h>
#include <stdint.h>

#define LINK_CTL     "skerry.ctl"
#define LINK_STDIN   "skerry.in"
#define LINK_STDOUT  "skerry.out"
#define LINK_STDERR  "skerry.err"
#define LINK_VERSION 1
#define LINK_MAX     (256 * 1024) /* longest message: a -c string is at most 128 KiB (execve(2)) */

enum link_type {
	LINK_HELLO = 1, /* struct link_word: LINK_VERSION */
	LINK_ENV,	/* "K=V" */
	LINK_GET,	/* path to be copied out after the command */
	LINK_RUN,	/* struct link_word: LINK_RUN_*; then the command, no NUL */
	LINK_SHELL,	/* path of the terminal, no NUL; empty: the first that opens */
	LINK_STARTED,
	LINK_STDIN_END, /* struct link_word: bytes sent in all */
	LINK_STDIN_CLOSED,
	LINK_CLOSED,  /* struct link_word: 1 or 2 */
	LINK_WINSIZE, /* struct link_word: rows << 16 | columns */
	LINK_ERROR,   /* text, no NUL */
	LINK_EXIT,    /* struct link_exit */
	LINK_BYE,
	LINK_TREE = 32, /* see tree.h; the types from here on are the tree's */
	LINK_TREE_DIR,
	LINK_TREE_UP,
	LINK_TREE_FILE,
	LINK_TREE_DATA,
	LINK_TREE_SYMLINK,
	LINK_TREE_NODE,
	LINK_TREE_END,
};

#define LINK_RUN_MERGE 1 /* stdout and stderr are one file on the host: use one pipe */

struct link_word {
	uint64_t value;
};

struct link_exit {
	uint32_t status; /* as a shell shows it: the exit status, or 128 + signal */
	uint32_t reserved;
	uint64_t out, err; /* bytes written to the ports in all */
};

struct link_message {
	uint32_t type, len;
	const char *data; /* valid until the next link_receive(); a NUL follows data[len - 1] */
};

struct link {
	int fd;
	size_t at, have; /* bytes not yet handed out are buf[at .. have) */
	size_t nul;	 /* where the last message's NUL covers a byte, or 0 */
	char covered;	 /* that byte */
	char buf[LINK_MAX + 16];
};

void link_init(struct link *l, int fd);

/*
 * Sends one message, waiting as long as it takes, whether or not fd blocks.
 * 0, or -errno of write(2); -E2BIG if len > LINK_MAX.
 */
int link_send(struct link *l, enum link_type type, const void *data, size_t len);
int link_send2(struct link *l, enum link_type type, const void *head, size_t head_len,
	       const void *data, size_t len);
int link_send_word(struct link *l, enum link_type type, uint64_t value);

/*
 * Takes the next message: 1 and *m; 0 if there is none yet (only if fd does not
 * block); -ECONNRESET at the end of the stream; -EBADMSG; -errno of read(2).
 */
int link_receive(struct link *l, struct link_message *m);

/* The word that a message carries; 0 if it is too short. */
uint64_t link_word(const struct link_message *m);

/* Writes everything, waiting for a descriptor that does not block. 0 or -errno. */
int write_all(int fd, const void *data, size_t len);

#endif
