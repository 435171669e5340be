/* SPDX-License-Identifier: MIT */
/*
 * path_text.c - from a path to its text: upwards from the dentry to the root that
 * the asker has, without locks. A rename in between shows in dentry_moves; then
 * it is done again. Of what cannot be reached from there only its own name is told:
 * where it lies is the business of those who can go there.
 */
#include "core/rcu.h"
#include "fs/internal.h"

bool dentry_is_below(const struct dentry *d, const struct dentry *top)
{
	while (d != top) {
		const struct dentry *up = rcu_dereference(d->parent);

		if (up == d)
			return false;
		d = up;
	}
	return true;
}

struct path_text {
	char *buf, *at;
	bool overflow;
};

static void path_text_prepend(struct path_text *t, const char *s, size_t n)
{
	if ((size_t)(t->at - t->buf) < n) {
		t->overflow = true;
		return;
	}
	t->at -= n;
	memcpy(t->at, s, n);
}

/* Under RCU. True: it ended at root; false: at the top of something else. */
static bool path_text_walk(struct path_text *t, const struct path *p, const struct path *root)
{
	const struct dentry *d = p->dentry;
	const struct mount *m = p->mount;

	while (d != root->dentry || m != root->mount) {
		const struct dentry *up = rcu_dereference(d->parent);
		const char *name;
		u32 len;

		if (d == m->root || up == d) {
			const struct mount *over = rcu_dereference(m->parent);

			if (!over || d != m->root)
				return false;
			d = rcu_dereference(m->mountpoint);
			m = over;
			continue;
		}
		/* A torn pair of name and length only happens during a rename: then we do it again.
		 */
		name = rcu_dereference(d->name);
		len = strnlen(name, NAME_MAX);
		path_text_prepend(t, name, len);
		path_text_prepend(t, "/", 1);
		d = up;
	}
	return true;
}

/* What there is to say: from the root down, or the name alone. Under RCU; true: it is reached. */
static bool path_text_fill(struct path_text *t, const struct path *p, const struct path *root)
{
	const struct dentry *d = p->dentry;
	bool deleted = d->parent != d && !hlist_hashed(&d->hash_node);
	struct path_text from = *t;
	const char *name;

	path_text_prepend(t, "", 1);
	if (deleted)
		path_text_prepend(t, " (deleted)", 10);
	if (path_text_walk(t, p, root))
		return true;
	*t = from;
	path_text_prepend(t, "", 1);
	if (deleted)
		path_text_prepend(t, " (deleted)", 10);
	name = rcu_dereference(d->name);
	if (d->parent != d)
		path_text_prepend(t, name, strnlen(name, NAME_MAX));
	return false;
}

static int path_to_string_anon(const struct path *p, char *buf, size_t size, char **start)
{
	const struct inode *i = p->dentry->inode;
	int n;

	if (S_ISFIFO(i->mode) || S_ISSOCK(i->mode))
		n = snprintf(buf, size, "%s:[%lu]", S_ISFIFO(i->mode) ? "pipe" : "socket", i->ino);
	else
		n = snprintf(buf, size, "%s", p->dentry->name);
	*start = buf;
	return n < (int)size ? 0 : -ENAMETOOLONG;
}

int path_to_string(const struct path *p, const struct path *root, char *buf, size_t size,
		   char **start)
{
	struct path_text t;
	bool reached;
	u32 seq;

	if (!p->mount || p->mount == anon_mount)
		return path_to_string_anon(p, buf, size, start);
	rcu_read_lock();
	do {
		seq = __atomic_load_n(&dentry_moves, __ATOMIC_ACQUIRE);
		t = (struct path_text){ buf, buf + size, false };
		reached = path_text_fill(&t, p, root);
	} while (seq != __atomic_load_n(&dentry_moves, __ATOMIC_ACQUIRE));
	rcu_read_unlock();
	if (*t.at != '/')
		path_text_prepend(&t, "/", 1);
	if (!reached)
		path_text_prepend(&t, "(unreachable)", 13);
	*start = t.at;
	return t.overflow ? -ENAMETOOLONG : 0;
}
