/* SPDX-License-Identifier: MIT */
/*
 * tree.h - copies a file or a directory with all that is in it over a link.
 *
 * The sender walks its tree and sends one message per file, in nesting order:
 *
 *	TREE dest   (DIR name ... UP | FILE name, DATA... | SYMLINK | NODE)   END
 *
 * with exactly one entry at the top. Names are single components, and the
 * receiver makes each entry relative to a descriptor of its directory, so what
 * the other side sends cannot reach outside of the destination.
 *
 * What is at the destination: a directory is merged into an existing directory,
 * which keeps its mode; anything else that exists is replaced, not written
 * through. Anything but a directory goes *into* a destination that is a
 * directory or ends in '/'. Missing parents are made with mode 0755. Kept are
 * mode, modification time and symlinks; the owner is whoever receives. Sockets
 * are skipped. Holes are not kept.
 */
#ifndef LIB_TREE_H
#define LIB_TREE_H

#include "link.h"

#include <limits.h>
#include <stdbool.h>

#define TREE_DEPTH	256
#define TREE_ENTRY_SIZE 24 /* in DIR, FILE, SYMLINK and NODE stands the name behind so much */

struct tree_sink {
	char dest[PATH_MAX];
	bool plain; /* from who is not trusted: no set-id bits, no devices (-EPERM; in a tree: left out) */
	bool follow; /* merge through a symlink that stands where a directory should be */
	int depth;
	int dir[TREE_DEPTH];
	uint32_t mode[TREE_DEPTH]; /* to be set at UP; no bits: it existed, leave it */
	int64_t mtime[TREE_DEPTH];
	int file; /* that DATA goes to, or -1 */
	uint32_t file_mode;
	int64_t file_mtime;
	unsigned devices;	    /* that were left out */
	char where[PATH_MAX + 256]; /* what failed, for the message to the user */
};

/* Sends `path`. -errno, with the path that failed in where[PATH_MAX]. */
int tree_send(struct link *l, const char *path, const char *dest, char *where);

/*
 * Feeds one message to the receiver; a zeroed sink with `dest` (or "" to take
 * the sender's) and `follow` set starts one. 1 after END, 0 if more follow, or
 * -errno with sink->where set; -EBADMSG if the sender breaks the rules.
 */
int tree_receive(struct tree_sink *s, const struct link_message *m);

/* Closes what an aborted transfer left open. */
void tree_sink_destroy(struct tree_sink *s);

#endif
