/* SPDX-License-Identifier: MIT */
/*
 * usermap.c - maps of user and group ids (core/usermap.h).
 *
 * A map is composed with its parent's when it is made, so that an id is
 * translated in one step, however deep its container is. `by_outside` holds global
 * ids; what was written is found again by the parent's map.
 */
#include "core/usermap.h"

#include "core/errno.h"
#include "lib/string.h"
#include "mm/slab.h"

/* --- finding --- */

/* The range of sorted r that begins last at or before id, by the first field or the second. */
static const struct id_range *range_find(const struct id_range *r, u32 count, u32 id, bool outside)
{
	u32 low = 0, high = count;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if ((outside ? r[middle].outside : r[middle].inside) <= id)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &r[low - 1] : NULL;
}

u32 id_to_global(const struct id_ranges *r, u32 id)
{
	const struct id_range *at = range_find(r->by_inside, r->count, id, false);

	return at && id - at->inside < at->count ? at->outside + (id - at->inside) : ID_NONE;
}

u32 id_from_global(const struct id_ranges *r, u32 id)
{
	const struct id_range *at = range_find(r->by_outside, r->count, id, true);

	return at && id - at->outside < at->count ? at->inside + (id - at->outside) : ID_NONE;
}

/* --- parsing --- */

static int number_parse(char **s, u32 *v)
{
	u64 n = 0;
	char *p = *s;

	while (*p == ' ' || *p == '\t')
		p++;
	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (*p - '0');
		if (n > UINT32_MAX)
			return -EINVAL;
	}
	*s = p;
	*v = n;
	return 0;
}

/* Neither side may wrap, or hold ID_NONE. */
static bool range_valid(const struct id_range *r)
{
	return r->count && r->inside + r->count > r->inside && r->outside + r->count > r->outside;
}

int usermap_parse(char *text, struct id_range *r)
{
	int n = 0;

	while (*text) {
		if (n == USERMAP_LINE_MAX)
			return -EINVAL;
		if (number_parse(&text, &r[n].inside) || number_parse(&text, &r[n].outside) ||
		    number_parse(&text, &r[n].count) || !range_valid(&r[n]))
			return -EINVAL;
		while (*text == ' ' || *text == '\t')
			text++;
		if (*text == '\n')
			text++;
		else if (*text)
			return -EINVAL;
		n++;
	}
	return n ? n : -EINVAL;
}

/* --- making --- */

/* Into the sorted at[n], by the first field or the second: -EINVAL if it overlaps one. */
static int range_insert(struct id_range *at, u32 n, const struct id_range *r, bool outside)
{
	u32 first = outside ? r->outside : r->inside, i = n;

	for (; i && (outside ? at[i - 1].outside : at[i - 1].inside) > first; i--)
		at[i] = at[i - 1];
	at[i] = *r;
	if (i && first - (outside ? at[i - 1].outside : at[i - 1].inside) < at[i - 1].count)
		return -EINVAL;
	if (i < n && (outside ? at[i + 1].outside : at[i + 1].inside) - first < r->count)
		return -EINVAL;
	return 0;
}

/* A range in the parent's terms to global ids; it must lie in one of the parent's. */
static int range_compose(const struct id_ranges *parent, struct id_range *r)
{
	const struct id_range *in;

	if (!parent)
		return 0;
	in = range_find(parent->by_inside, parent->count, r->outside, false);
	if (!in || r->outside - in->inside >= in->count ||
	    r->count > in->count - (r->outside - in->inside))
		return -EPERM;
	r->outside = in->outside + (r->outside - in->inside);
	return 0;
}

/* `memory` holds twice n ranges. */
static int ranges_fill(struct id_ranges *out, const struct id_ranges *parent,
		       const struct id_range *r, u32 n, struct id_range *memory)
{
	out->by_inside = memory;
	out->by_outside = memory + n;
	for (u32 i = 0; i < n; i++) {
		struct id_range global = r[i];
		int err = range_insert(out->by_inside, i, &r[i], false);

		if (!err)
			err = range_insert(out->by_outside, i, &r[i], true);
		if (!err)
			err = range_compose(parent, &global);
		if (err)
			return err;
	}
	/* Global ids in place of the parent's: ranges that were apart stay apart. */
	out->count = n;
	for (u32 i = 0; i < n; i++)
		range_compose(parent, &out->by_inside[i]);
	for (u32 i = 0; i < n; i++)
		(void)range_insert(out->by_outside, i, &out->by_inside[i], true);
	return 0;
}

int usermap_create(struct usermap *parent, const struct usermap_lines *l, struct usermap **out)
{
	size_t size = sizeof(struct usermap) + 2 * (l->uids + l->gids) * sizeof(struct id_range);
	struct usermap *m = kmalloc(size, KM_ACCOUNT);
	int err;

	if (!m)
		return -ENOMEM;
	ref_init(&m->refs, 1);
	m->parent = usermap_get(parent);
	err = ranges_fill(&m->uid, parent ? &parent->uid : NULL, l->uid, l->uids, m->ranges);
	if (!err)
		err = ranges_fill(&m->gid, parent ? &parent->gid : NULL, l->gid, l->gids,
				  m->ranges + 2 * l->uids);
	if (err) {
		usermap_put(m);
		return err;
	}
	*out = m;
	return 0;
}

/* Is each id from `first` on, `count` of them, mapped? */
static bool ranges_have(const struct id_ranges *r, u32 first, u32 count)
{
	while (count) {
		const struct id_range *at = range_find(r->by_inside, r->count, first, false);
		u32 n;

		if (!at || first - at->inside >= at->count)
			return false;
		n = MIN(count, at->count - (first - at->inside));
		first += n;
		count -= n;
	}
	return true;
}

static bool ranges_cover(const struct id_ranges *r, const struct id_ranges *other)
{
	for (u32 i = 0; i < other->count; i++)
		if (!ranges_have(r, other->by_inside[i].inside, other->by_inside[i].count))
			return false;
	return true;
}

bool usermap_covers(const struct usermap *m, const struct usermap *other)
{
	return !m || (ranges_cover(&m->uid, &other->uid) && ranges_cover(&m->gid, &other->gid));
}

/* --- counting --- */

struct usermap *usermap_get(struct usermap *m)
{
	if (m)
		ref_get(&m->refs);
	return m;
}

static void usermap_free(struct rcu_head *h)
{
	kfree(container_of(h, struct usermap, rcu));
}

void usermap_put(struct usermap *m)
{
	while (m && ref_put(&m->refs)) {
		struct usermap *parent = m->parent;

		rcu_call(&m->rcu, usermap_free);
		m = parent;
	}
}
