/* SPDX-License-Identifier: MIT */
/*
 * walk.c - walking a path, component by component.
 *
 * A walk runs in one of two modes. In RCU mode it touches no count and takes no
 * lock: each step reads the cache, and dentry->seq says whether what it read
 * held together. If the cache does not know, or something moved, or somebody
 * would have to be asked, the step says -ECHILD, and the walk begins again in
 * counting mode, which asks the filesystem. Most walks end in RCU mode; open
 * counts only the last dentry and its mount, stat nothing at all.
 *
 *	walk_begin	where from: root, working directory or a descriptor
 *	walk_parent	all components but the last
 *	walk_last	the last one; 1: a link was met, go on with walk_parent
 *	walk_end
 *
 * A symbolic link pushes what is left behind it on a stack and goes on with the
 * link's text. What is pushed always holds a component.
 *
 * A walk stays in the mount table of its container: crossing a mount looks for
 * (mount, dentry), and a mount belongs to one table. `..` stops at fs->root and
 * at the root of each mount, and if a directory was moved out of what a bind
 * mount shows, it is not followed.
 */
#include "core/rcu.h"
#include "fs/internal.h"

/* --- where a task stands --- */

/* Of threads that have none: the host's root. */
static struct fs_context kernel_context = { .refs = { 1 }, .lock = SPINLOCK_INIT(RANK_FDTABLE) };

struct fs_context *fs_context_here(void)
{
	struct fs_context *fs = current->fs;

	if (likely(fs))
		return fs;
	kernel_context.mounts = host_mounts;
	kernel_context.root = (struct path){ host_mounts->root, host_mounts->root->root };
	kernel_context.cwd = kernel_context.root;
	return &kernel_context;
}

/* Root and working directory as they are now; another thread may change a shared context. */
static void context_read(struct fs_context *fs, struct path *root, struct path *cwd)
{
	bool shared = ref_read(&fs->refs) != 1;

	if (unlikely(shared))
		spin_lock(&fs->lock);
	*root = fs->root;
	*cwd = fs->cwd;
	if (unlikely(shared))
		spin_unlock(&fs->lock);
}

/* --- modes --- */

/* Stands on p: counted by the caller unless in RCU mode. */
static void walk_stand(struct walk *w, struct path p)
{
	w->path = p;
	w->seq = dentry_seq(p.dentry);
	w->inode = READ_ONCE(p.dentry->inode);
}

/* As walk_stand for a path that others hold as well. */
static void walk_stand_on(struct walk *w, struct path p)
{
	walk_stand(w, w->rcu ? p : path_get(p));
}

static void walk_leave(struct walk *w)
{
	if (!w->rcu && w->path.dentry)
		path_put(w->path);
	w->path = (struct path){ NULL, NULL };
}

int walk_count(struct walk *w)
{
	if (!w->rcu)
		return 0;
	if (!ref_get_unless_zero(&w->path.mount->refs))
		return -ECHILD;
	if (unlikely(w->path.mount->expire_mark))
		w->path.mount->expire_mark = false;
	if (!dentry_get_live(w->path.dentry, w->seq)) {
		struct mount *m = w->path.mount;

		/* Out of RCU mode with nothing held: only walk_end is legal now. */
		w->rcu = false;
		w->path = (struct path){ NULL, NULL };
		rcu_read_unlock();
		mount_put(m);
		return -ECHILD;
	}
	w->rcu = false;
	rcu_read_unlock();
	return 0;
}

static void walk_pop(struct walk *w)
{
	w->depth--;
	w->rest = w->stack[w->depth].rest;
	if (w->stack[w->depth].text)
		name_put(w->stack[w->depth].text);
}

void walk_end(struct walk *w)
{
	if (w->rcu)
		rcu_read_unlock();
	else if (w->path.dentry)
		path_put(w->path);
	while (w->depth)
		walk_pop(w);
	if (w->root_hold.dentry)
		path_put(w->root_hold);
	if (w->dir.file)
		fd_end(w->dir);
}

/* --- beginning --- */

/* A descriptor as a starting point: -EBADF, -ENOTDIR, -EXDEV. */
static int walk_begin_at(struct walk *w, int dirfd, bool empty)
{
	int err = fd_begin_path(dirfd, &w->dir);
	struct file *f;

	if (err) {
		w->dir.file = NULL;
		return err;
	}
	f = w->dir.file;
	if (!S_ISDIR(f->inode->mode) && !empty)
		return -ENOTDIR;
	if (f->path.mount->table_id != w->mounts->id && !empty)
		return -EXDEV;
	walk_stand_on(w, f->path);
	w->inode = f->inode;
	return 0;
}

int walk_begin_from(struct walk *w, struct fs_context *fs, int dirfd, const char *name, u32 flags,
		    bool rcu)
{
	struct path cwd;

	w->path = (struct path){ NULL, NULL };
	w->inode = NULL;
	w->rcu = rcu;
	w->trailing = false;
	w->links = w->depth = 0;
	w->flags = flags;
	w->rest = name;
	w->root_hold.dentry = NULL;
	w->dir.file = NULL;
	w->mounts = fs->mounts;
	if (rcu)
		rcu_read_lock();
	context_read(fs, &w->root, &cwd);
	if (!rcu)
		w->root_hold = path_get(w->root);
	if (*name == '/')
		walk_stand_on(w, w->root);
	else if (dirfd == AT_FDCWD)
		walk_stand_on(w, cwd);
	else
		return walk_begin_at(w, dirfd, !*name && (flags & LOOKUP_EMPTY));
	if (!*name && !(flags & LOOKUP_EMPTY))
		return -ENOENT;
	return 0;
}

int walk_begin(struct walk *w, int dirfd, const char *name, u32 flags, bool rcu)
{
	return walk_begin_from(w, fs_context_here(), dirfd, name, flags, rcu);
}

/* --- one step --- */

static int walk_may_search(struct walk *w)
{
	struct inode *i = w->inode;

	if (unlikely(!i))
		return w->rcu ? -ECHILD : -ENOENT;
	if (unlikely(!S_ISDIR(i->mode)))
		return -ENOTDIR;
	if (unlikely(i->ops->permission))
		return w->rcu ? -ECHILD : inode_permission(w->path.mount->usermap, i, MAY_EXEC);
	if (likely((i->mode & 0111) == 0111)) /* whoever asks */
		return 0;
	return inode_permission_by_mode(w->path.mount->usermap, i, MAY_EXEC);
}

/* There is no mount here. 1: there is now, one that had waited for the first to come; 0; -ENOMEM. */
static int walk_late_mount(struct walk *w)
{
	struct mount_table *t = w->mounts;

	if (likely(!t->any_late || w->path.mount != t->root))
		return 0;
	return w->rcu ? -ECHILD : mount_late_make(t, w->path.dentry);
}

/* If something is mounted on where it stands, goes there; through several. */
static inline int walk_cross_mounts(struct walk *w)
{
	struct mount *m;

	while (unlikely(READ_ONCE(w->path.dentry->mounted))) {
		if (!w->rcu)
			rcu_read_lock();
		m = mount_lookup(w->path.mount, w->path.dentry);
		if (m && !w->rcu && !ref_get_unless_zero(&m->refs))
			m = NULL;
		if (!w->rcu)
			rcu_read_unlock();
		if (unlikely(!m)) {
			int late = walk_late_mount(w);
			if (late <= 0)
				return late;
			continue;
		}
		if (!w->rcu) {
			path_put(w->path);
			dentry_get(m->root);
		}
		walk_stand(w, (struct path){ m, m->root });
	}
	return 0;
}

static bool walk_at(const struct walk *w, const struct path *p)
{
	return w->path.dentry == p->dentry && w->path.mount == p->mount;
}

/* From the root of a mount to what it is mounted on. False: there is nothing above. */
static bool walk_leave_mount(struct walk *w)
{
	struct mount *m = w->path.mount, *over;
	struct path p;
	bool ok = true;

	rcu_read_lock();
	over = rcu_dereference(m->parent);
	p = (struct path){ over, rcu_dereference(m->mountpoint) };
	if (!over)
		ok = false;
	else if (!w->rcu) {
		ok = ref_get_unless_zero(&over->refs);
		if (ok && !ref_get_unless_zero(&p.dentry->refs)) {
			rcu_read_unlock();
			mount_put(over);
			return false;
		}
	}
	rcu_read_unlock();
	if (!ok)
		return false;
	walk_leave(w);
	walk_stand(w, p);
	return true;
}

/* The parent of where it stands, which is not a root. */
static int walk_to_parent(struct walk *w)
{
	struct mount *m = w->path.mount;
	struct dentry *up;
	bool ok = true;

	rcu_read_lock();
	up = rcu_dereference(w->path.dentry->parent);
	/* A directory that was moved out of a bind mount's tree must not lead further out. */
	if (unlikely(m->root != m->sb->root) && !dentry_is_below(up, m->root)) {
		rcu_read_unlock();
		return -ENOENT;
	}
	if (w->rcu)
		ok = !dentry_changed(w->path.dentry, w->seq);
	else
		ok = ref_get_unless_zero(&up->refs);
	rcu_read_unlock();
	if (!ok)
		return w->rcu ? -ECHILD : -ENOENT;
	if (!w->rcu)
		dentry_put(w->path.dentry);
	walk_stand(w, (struct path){ m, up });
	return 0;
}

static int walk_up(struct walk *w)
{
	int err;

	for (;;) {
		if (walk_at(w, &w->root))
			break;
		if (w->path.dentry != w->path.mount->root) {
			err = walk_to_parent(w);
			if (err)
				return err;
			break;
		}
		if (!walk_leave_mount(w))
			break;
	}
	return walk_cross_mounts(w);
}

/* Steps to the child w->last in the cache, without counting. */
static int walk_child_rcu(struct walk *w)
{
	struct dentry *dir = w->path.dentry, *d;
	struct inode *i;
	u32 seq;

	d = dentry_find_rcu(dir, w->last, w->last_len, w->last_hash, &seq);
	if (unlikely(!d)) {
		if (!dir->sb->dcache_complete)
			return -ECHILD;
		/* Exact, but for a rename that was on its way: the chain under its lock. */
		d = dentry_find(dir, w->last, w->last_len, w->last_hash);
		if (!d)
			return dentry_changed(dir, w->seq) ? -ECHILD : -ENOENT;
		rcu_read_unlock();
		dentry_put(d);
		rcu_read_lock();
		return -ECHILD;
	}
	if (unlikely((d->flags & DENTRY_REVALIDATE) && !d->sb->ops->revalidate(d)))
		return -ECHILD;
	i = READ_ONCE(d->inode);
	if (unlikely(dentry_changed(d, seq) || dentry_changed(dir, w->seq)))
		return -ECHILD;
	if (!(d->flags & (DENTRY_PINNED | DENTRY_REFERENCED)))
		d->flags |= DENTRY_REFERENCED;
	w->path.dentry = d;
	w->seq = seq;
	w->inode = i;
	return 0;
}

static int walk_child(struct walk *w)
{
	struct dentry *d;
	int err;

	if (unlikely(w->last_len > NAME_MAX))
		return -ENAMETOOLONG;
	if (likely(w->rcu)) {
		err = walk_child_rcu(w);
	} else {
		err = dentry_lookup(w->path.dentry, w->last, w->last_len, &d);
		if (!err) {
			dentry_put(w->path.dentry);
			walk_stand(w, (struct path){ w->path.mount, d });
		}
	}
	return err ? err : walk_cross_mounts(w);
}

/* --- symbolic links --- */

static int walk_link_text(struct walk *w, struct inode *i, const char **text, char **copy)
{
	int err;

	*copy = NULL;
	if (likely(i->link_text && w->rcu)) {
		*text = i->link_text;
		return 0;
	}
	if (w->rcu)
		return -ECHILD;
	*text = *copy = name_alloc();
	if (!*copy)
		return -ENOMEM;
	err = i->ops->readlink ? i->ops->readlink(i, *copy, PATH_MAX) : -EINVAL;
	if (err < 0) {
		name_put(*copy);
		return err;
	}
	return 0;
}

/* A link that leads to an object, not by a text (/proc/PID/fd/N). */
static int walk_follow_magic(struct walk *w)
{
	struct path p;
	u32 mode;
	int err;

	if (w->rcu)
		return -ECHILD;
	err = w->inode->ops->follow(w->inode, w->path.dentry, &p);
	if (err)
		return err;
	mode = p.dentry->inode ? p.dentry->inode->mode : 0;
	/* A file of another container's tree that was inherited may be used, not opened anew. */
	if (p.mount->table_id != w->mounts->id && p.mount != anon_mount && !S_ISCHR(mode) &&
	    !S_ISFIFO(mode)) {
		path_put(p);
		return -EXDEV;
	}
	walk_leave(w);
	walk_stand(w, p);
	return 0;
}

/*
 * Stands on a symbolic link; `dir`, counted in counting mode, is the directory
 * that holds it. 1: w->rest is now the link's text and w stands where it
 * begins. 0: w stands on what a magic link led to.
 */
static int walk_link(struct walk *w, struct path dir, const char *after)
{
	struct inode *link = w->inode;
	const char *text;
	char *copy;
	int err = 0;

	if (++w->links > SYMLINK_LIMIT)
		err = -ELOOP;
	else if (w->path.mount->flags & MS_NOSYMFOLLOW)
		err = -ELOOP;
	if (!err && link->ops->follow) {
		err = walk_follow_magic(w);
		if (!w->rcu)
			path_put(dir);
		return err;
	}
	if (!err)
		err = walk_link_text(w, link, &text, &copy);
	if (err) {
		if (!w->rcu)
			path_put(dir);
		return err;
	}
	inode_accessed(w->path.mount, link);
	walk_leave(w);
	if (*text == '/') {
		if (!w->rcu)
			path_put(dir);
		walk_stand_on(w, w->root);
	} else {
		walk_stand(w, dir);
	}
	/* What follows the link, and the copy that is being read, wait on the stack. */
	w->stack[w->depth].rest = after;
	w->stack[w->depth].text = copy;
	w->depth++;
	w->rest = text;
	return *text ? 1 : -ENOENT;
}

/* --- the loops --- */

#define BYTES(b) (0x0101010101010101ull * (b))

/* The high bit of each byte of x that is zero; above the first one, perhaps of others as well. */
static inline u64 zero_bytes(u64 x)
{
	return (x - BYTES(0x01)) & ~x & BYTES(0x80);
}

/* What a step of 8 bytes may read: not what lies behind the page that a name ends in. */
static inline bool word_readable(const char *p)
{
	return ((u64)p & PAGE_MASK) <= PAGE_SIZE - 8;
}

/*
 * The end of the component at p, and its hash. Reads up to 7 bytes behind the
 * end, within its page.
 */
static __attribute__((no_sanitize("kernel-address"))) const char *component_scan(const char *p,
										 u64 *hash)
{
	u64 h = hash_seed, word, ends;

	for (;; p += 8) {
		if (likely(word_readable(p))) {
			word = *(const u64 *)p;
		} else {
			word = 0;
			for (unsigned i = 0; i < 8 && p[i] && p[i] != '/'; i++)
				word |= (u64)(u8)p[i] << (8 * i);
		}
		ends = zero_bytes(word) | zero_bytes(word ^ BYTES('/'));
		if (ends)
			break;
		h = HASH_STEP(h, word);
	}
	ends = __builtin_ctzll(ends) / 8;
	if (ends)
		h = HASH_STEP(h, word & (BIT(8 * ends) - 1));
	*hash = h;
	return p + ends;
}

/* Reads the next component into w->last; false: nothing is left. */
static bool walk_next_component(struct walk *w)
{
	const char *p = w->rest;

	for (;;) {
		while (*p == '/')
			p++;
		if (*p)
			break;
		if (!w->depth)
			return false;
		walk_pop(w);
		p = w->rest;
	}
	w->last = p;
	p = component_scan(p, &w->last_hash);
	w->last_len = p - w->last;
	w->rest = p;
	w->type = LAST_NAME;
	if (unlikely(*w->last == '.')) {
		if (w->last_len == 1)
			w->type = LAST_DOT;
		else if (w->last_len == 2 && w->last[1] == '.')
			w->type = LAST_DOTDOT;
	}
	return true;
}

/* Is the component just read the last one? Notes a slash behind it. */
static bool walk_is_last(struct walk *w)
{
	const char *p = w->rest;

	if (likely(p[0] == '/' && p[1] != '/' && p[1]))
		return false;
	if (likely(!p[0] && !w->depth))
		return true;
	for (unsigned i = w->depth;; p = w->stack[i].rest) {
		if (*p == '/')
			w->trailing = true;
		while (*p == '/')
			p++;
		if (*p) {
			w->trailing = false;
			return false;
		}
		if (!i--)
			return true;
	}
}

/* Steps over w->last. 1: a link's text is to be read. */
static int walk_step(struct walk *w, bool follow)
{
	struct path dir;
	int err;

	if (unlikely(w->type != LAST_NAME))
		return w->type == LAST_DOTDOT ? walk_up(w) : 0;
	if (likely(w->rcu)) {
		dir = w->path;
		err = walk_child(w);
		if (likely(!err && w->inode && !S_ISLNK(w->inode->mode)))
			return 0;
		if (err || !w->inode || !follow)
			return err;
		return walk_link(w, dir, w->rest);
	}
	dir = path_get(w->path);
	err = walk_child(w);
	if (err || !w->inode || !S_ISLNK(w->inode->mode) || !follow) {
		path_put(dir);
		return err;
	}
	return walk_link(w, dir, w->rest);
}

/*
 * The common step: to a cached child that is a file or directory with nothing
 * mounted on it. False: it is not that; nothing has changed.
 */
static inline bool walk_step_plain(struct walk *w)
{
	struct dentry *dir = w->path.dentry, *d;
	struct inode *i;
	u32 seq;

	if (unlikely(!w->rcu || w->type != LAST_NAME || w->last_len > NAME_MAX))
		return false;
	d = dentry_find_rcu(dir, w->last, w->last_len, w->last_hash, &seq);
	if (unlikely(!d || (d->flags & DENTRY_REVALIDATE) || READ_ONCE(d->mounted)))
		return false;
	i = READ_ONCE(d->inode);
	if (unlikely(!i || S_ISLNK(i->mode)))
		return false;
	if (unlikely(dentry_changed(d, seq) || dentry_changed(dir, w->seq)))
		return false;
	w->path.dentry = d;
	w->seq = seq;
	w->inode = i;
	return true;
}

int walk_parent(struct walk *w)
{
	int err;

	while (walk_next_component(w)) {
		err = walk_may_search(w);
		if (unlikely(err))
			return err;
		if (walk_is_last(w))
			return 0;
		if (likely(walk_step_plain(w)))
			continue;
		err = walk_step(w, true);
		if (unlikely(err < 0))
			return err;
		if (unlikely(!w->inode))
			return -ENOENT;
	}
	w->type = LAST_NONE;
	return 0;
}

int walk_last(struct walk *w, bool follow)
{
	if (w->type == LAST_NONE)
		return 0;
	if (likely(walk_step_plain(w)))
		return 0;
	return walk_step(w, follow || w->trailing);
}

int walk_to_end(struct walk *w)
{
	int err;

	do {
		err = walk_parent(w);
		if (likely(!err))
			err = walk_last(w, w->flags & LOOKUP_FOLLOW);
	} while (err == 1);
	if (unlikely(err))
		return err;
	if (unlikely(!w->inode))
		return -ENOENT;
	if ((w->trailing || (w->flags & LOOKUP_DIRECTORY)) && !S_ISDIR(w->inode->mode))
		return -ENOTDIR;
	return 0;
}

int walk_path(struct walk *w, int dirfd, const char *name, u32 flags)
{
	int err = walk_begin(w, dirfd, name, flags, true);

	if (likely(!err))
		err = walk_to_end(w);
	if (unlikely(err == -ECHILD)) {
		walk_end(w);
		err = walk_begin(w, dirfd, name, flags, false);
		if (!err)
			err = walk_to_end(w);
	}
	if (unlikely(err))
		walk_end(w);
	return err;
}
