/* SPDX-License-Identifier: MIT */
/* internal.h - what the files about the container object share. */
#ifndef CONTAINER_INTERNAL_H
#define CONTAINER_INTERNAL_H

#include "container/container.h"

/* container.c; c->lock is held */
void container_set_state(struct container *c, enum container_state s);
/* The first child, counted, or NULL. */
struct container *container_first_child(struct container *c);
/* The child behind `child`, which is put; if that has gone meanwhile, the first: then some are met
 * twice. */
struct container *container_next_child(struct container *c, struct container *child);

/* container_mounts.c: c->mounts and c->base, from its root on; 0, or an error and nothing is there.
 */
int container_make_mounts(struct container *c, const struct container_root *root, bool read_only);
void container_drop_mounts(struct container *c);

/* container_pause.c: c went into or out of PAUSED; who watches the states below is told. */
void container_pause_changed_below(struct container *c);
void container_park(void); /* the hook of proc */

#endif
