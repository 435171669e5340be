/* SPDX-License-Identifier: MIT */
/*
 * container_name.c - the ids and names by which containers are found.
 *
 * An id is unique in the machine and is not used again; a name is unique among the
 * children of one parent. Both are published together when a container is complete,
 * and go together when it is destroyed: from then on it does not exist for anybody.
 *
 * Locks: names_lock guards both tables. Looking an id up needs RCU only: the object
 * may be on its way out, so a reference is taken only if there still is one.
 */
#include "container/container.h"
#include "core/errno.h"
#include "lib/hash.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/sched.h"

#define NAME_BITS	 12
#define CONTAINER_ID_MAX INT32_MAX

static struct idmap ids;    /* names_lock; readers RCU */
static struct hlist *names; /* by (parent, name); names_lock */
static spinlock_t names_lock = SPINLOCK_INIT(RANK_PID);

void container_names_init(void)
{
	names = kmalloc(sizeof(*names) << NAME_BITS, KM_ZERO);
	BUG_ON(!names);
	idmap_init(&ids, 1, CONTAINER_ID_MAX);
}

static bool below(const struct owner *viewer, const struct container *c)
{
	return &c->owner != viewer && sees(viewer, &c->owner);
}

int container_find(const struct owner *viewer, u32 id, struct container **out)
{
	struct container *c;
	bool found;

	rcu_read_lock();
	c = radix_get(&ids.ids, id);
	found = c && below(viewer, c) && ref_get_unless_zero(&c->refs);
	rcu_read_unlock();
	if (!found)
		return -ESRCH;
	*out = c;
	return 0;
}

bool container_next(const struct owner *viewer, u32 *id, struct container **out)
{
	struct container *c;
	u64 at = *id;

	rcu_read_lock();
	while ((c = radix_next(&ids.ids, &at))) {
		if (below(viewer, c) && ref_get_unless_zero(&c->refs))
			break;
		at++;
	}
	rcu_read_unlock();
	*id = at;
	*out = c;
	return c;
}

static struct hlist *name_bucket(const struct container *parent, const char *name)
{
	u64 h = hash_bytes(name, strlen(name), (u64)parent);

	return &names[hash_u64(h, NAME_BITS)];
}

static bool name_taken(const struct container *parent, const char *name)
{
	struct container *c;

	hlist_for_each (c, name_bucket(parent, name), name_node)
		if (c->parent == parent && !strcmp(c->name, name))
			return true;
	return false;
}

bool container_name_valid(const char *s)
{
	for (const char *p = s; *p; p++) {
		bool word = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			    (*p >= '0' && *p <= '9');
		if (!word && (p == s || !strchr("_.-", *p)))
			return false;
	}
	return true;
}

int container_publish(struct container *c)
{
	char *name = c->name;
	u64 id = c->owner.id;
	bool wanted = id, named = *name || wanted;
	int err;

	spin_lock(&names_lock);
	do { /* a user may have taken the name that belongs to an id: then that id is passed over */
		err = wanted ? idmap_take(&ids, c, id) : idmap_alloc(&ids, c, &id);
		if (err)
			goto unlock;
		if (!*name || !named)
			snprintf(name, sizeof(c->name), "c%u", (u32)id);
		if (name_taken(c->parent, name)) {
			radix_remove(&ids.ids, id);
			err = -EEXIST;
		}
	} while (err && !named);
	if (err)
		goto unlock;
	c->owner.id = c->owner.account->id = c->cpu->id = id;
	if (!c->uts.hostname[0])
		strlcpy(c->uts.hostname, name, sizeof(c->uts.hostname));
	hlist_push(name_bucket(c->parent, c->name), &c->name_node);
unlock:
	spin_unlock(&names_lock);
	return err == -ENOSPC ? -EAGAIN : err;
}

bool container_unpublish(struct container *c)
{
	bool was;

	spin_lock(&names_lock);
	was = hlist_hashed(&c->name_node);
	if (was) {
		hlist_remove(&c->name_node);
		radix_remove(&ids.ids, c->owner.id);
	}
	spin_unlock(&names_lock);
	return was;
}
