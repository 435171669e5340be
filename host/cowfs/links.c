/* SPDX-License-Identifier: MIT */
/* links.c - a hash table with linear probing, at most half full (contract: links.h). */
#include <stdlib.h>

#include "cowfs/links.h"
#include "cowfs/tool.h"

#define ROOM_FIRST 64

static struct link *place(const struct links *l, u64 device, u64 ino)
{
	u64 at = (ino ^ device << 32 ^ device >> 32) * 0x9e3779b97f4a7c15ull >> 20;
	struct link *k;

	for (;; at++) {
		k = &l->link[at & (l->room - 1)];
		if (!k->value || (k->device == device && k->ino == ino))
			return k;
	}
}

u64 links_find(const struct links *l, u64 device, u64 ino)
{
	return l->room ? place(l, device, ino)->value : 0;
}

static void grow(struct links *l)
{
	struct links new = { .used = l->used, .room = l->room ? 2 * l->room : ROOM_FIRST };

	new.link = tool_alloc(new.room * sizeof(*new.link));
	for (size_t i = 0; i < l->room; i++)
		if (l->link[i].value)
			*place(&new, l->link[i].device, l->link[i].ino) = l->link[i];
	free(l->link);
	*l = new;
}

void links_add(struct links *l, u64 device, u64 ino, u64 value)
{
	struct link *k;

	if (2 * l->used >= l->room)
		grow(l);
	k = place(l, device, ino);
	l->used += !k->value;
	*k = (struct link){ device, ino, value };
}

void links_clear(struct links *l)
{
	free(l->link);
	*l = (struct links){ 0 };
}
