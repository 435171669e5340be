/* SPDX-License-Identifier: MIT */
/*
 * procfs_usermap.c - a map of ids as text (man 7 user_namespaces): /proc/PID/uid_map,
 * gid_map and setgroups, and the lines of the control files of the same names.
 *
 * The second column is in the terms of who reads; of who has that map himself, in
 * those of the container around it. What he cannot name is 4294967295.
 */
#include "proc/procfs.h"

void procfs_print_usermap(const struct usermap *m, bool groups, struct text *out)
{
	const struct usermap *viewer = current->owner->usermap;
	const struct id_ranges *r;

	if (!m) {
		text_printf(out, "%10u %10u %10u\n", 0, 0, ID_NONE);
		return;
	}
	if (viewer == m)
		viewer = m->parent;
	r = groups ? &m->gid : &m->uid;
	for (u32 i = 0; i < r->count; i++) {
		const struct id_range *at = &r->by_inside[i];

		text_printf(out, "%10u %10u %10u\n", at->inside,
			    groups ? gid_from_global(viewer, at->outside)
				   : uid_from_global(viewer, at->outside),
			    at->count);
	}
}

/* A map is constant while its container has processes, and p is one. */
static const struct usermap *usermap_of(void *object)
{
	return ((struct process *)object)->pids->owner->usermap;
}

int procfs_show_uid_map(void *object, struct text *out)
{
	procfs_print_usermap(usermap_of(object), false, out);
	return 0;
}

int procfs_show_gid_map(void *object, struct text *out)
{
	procfs_print_usermap(usermap_of(object), true, out);
	return 0;
}

int procfs_show_setgroups(void *object, struct text *out)
{
	text_printf(out, "allow\n"); /* with a map, whoever wrote it could give groups away, too */
	return 0;
}
