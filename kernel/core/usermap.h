/* SPDX-License-Identifier: MIT */
/*
 * usermap.h - which user and group ids of inside are which of outside (man 7
 * user_namespaces; man 2 mount_setattr, "ID-mapped mounts").
 *
 * The kernel holds global ids, those of the host, in credentials and wherever
 * it compares. A container's map (owner->usermap) says what a process there is
 * told, and what it means when it gives an id; a mount's map (mount->usermap), what
 * the ids in its files mean. NULL is the map of the host: each id is itself.
 *
 *	uid_to_global(map, 0)		what inside calls 0; ID_NONE: not mapped
 *	uid_from_global(map, 100000)	what that is called inside; ID_NONE: not mapped
 *	uid_given, uid_shown		the same for current's container (core/task.h);
 *					uid_shown says ID_NOBODY of what is not mapped
 *
 * ID_NONE equals no id that anybody has, so whoever forgets to ask gives no
 * rights away. A map is constant; the maps that it was composed of are counted.
 */
#ifndef CORE_USERMAP_H
#define CORE_USERMAP_H

#include "core/rcu.h"
#include "core/ref.h"

#define ID_NONE		 UINT32_MAX
#define ID_NOBODY	 65534 /* what is told of an id that is not mapped; Linux's overflowuid */
#define USERMAP_LINE_MAX 340   /* lines of a map, as on Linux */

struct id_range {
	u32 inside, outside, count;
};

/* The same ranges twice, so that both ways are a binary search. */
struct id_ranges {
	u32 count;
	struct id_range *by_inside, *by_outside;
};

struct usermap {
	ref_t refs;
	struct usermap *parent; /* counted; of the container around; NULL: the host's */
	struct id_ranges uid, gid;
	struct rcu_head rcu;
	struct id_range ranges[];
};

/* Lines of "INSIDE OUTSIDE COUNT" into r: how many; -EINVAL: none, too many, or not such lines. */
int usermap_parse(char *text, struct id_range *r);
/*
 * A map for a container inside one with `parent`, in whose terms `outside` is: -EINVAL: ranges
 * overlap; -EPERM: the parent does not have all of these ids; -ENOMEM.
 */
struct usermap_lines {
	struct id_range *uid, *gid;
	u32 uids, gids;
};
int usermap_create(struct usermap *parent, const struct usermap_lines *lines, struct usermap **out);
struct usermap *usermap_get(struct usermap *m); /* both take NULL */
void usermap_put(struct usermap *m);		/* frees after a grace period */
/* Does m, of a container, map whatever `other` calls its own? */
bool usermap_covers(const struct usermap *m, const struct usermap *other);

u32 id_to_global(const struct id_ranges *r, u32 id);
u32 id_from_global(const struct id_ranges *r, u32 id);

static inline u32 uid_to_global(const struct usermap *m, u32 id)
{
	return likely(!m) ? id : id_to_global(&m->uid, id);
}
static inline u32 gid_to_global(const struct usermap *m, u32 id)
{
	return likely(!m) ? id : id_to_global(&m->gid, id);
}
static inline u32 uid_from_global(const struct usermap *m, u32 id)
{
	return likely(!m) ? id : id_from_global(&m->uid, id);
}
static inline u32 gid_from_global(const struct usermap *m, u32 id)
{
	return likely(!m) ? id : id_from_global(&m->gid, id);
}

/* Who is root there. Without one it is the host's, who is nobody inside. */
static inline u32 usermap_root_uid(const struct usermap *m)
{
	u32 id = uid_to_global(m, 0);

	return likely(id != ID_NONE) ? id : 0;
}
static inline u32 usermap_root_gid(const struct usermap *m)
{
	u32 id = gid_to_global(m, 0);

	return likely(id != ID_NONE) ? id : 0;
}

/* What is told of a global id where `m` is the map. */
static inline u32 uid_shown_by(const struct usermap *m, u32 id)
{
	if (unlikely(m))
		id = id_from_global(&m->uid, id);
	return likely(id != ID_NONE) ? id : ID_NOBODY;
}
static inline u32 gid_shown_by(const struct usermap *m, u32 id)
{
	if (unlikely(m))
		id = id_from_global(&m->gid, id);
	return likely(id != ID_NONE) ? id : ID_NOBODY;
}

#endif
