/* SPDX-License-Identifier: MIT */
/*
 * unix_name.c - names of AF_UNIX sockets (man 7 unix, "Address format"): paths,
 * where the name is a socket inode that points to the socket bound there; and
 * abstract names (a leading NUL), which belong to a container each.
 *
 * An inode's pointer is not counted: unix_unbind() clears it under inode->lock.
 */
#include "core/errno.h"
#include "core/random.h"
#include "core/task.h"
#include "fs/context.h"
#include "lib/hash.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "net/unix.h"

#define NAME_BITS   10
#define PATH_OFFSET 2 /* of sun_path */

static struct hlist names[1 << NAME_BITS];
static spinlock_t names_lock = SPINLOCK_INIT(RANK_UNIX_NAMES);

static bool is_abstract(const struct sockaddr_any *a)
{
	return a->data[0] == 0;
}

/* -EINVAL unless it is an AF_UNIX name of sensible length. */
static int name_check(const struct sockaddr_any *a, u32 length)
{
	if (length < PATH_OFFSET || length > PATH_OFFSET + UNIX_PATH_MAX || a->family != AF_UNIX)
		return -EINVAL;
	return 0;
}

/* --- abstract names --- */

static struct hlist *bucket(const struct owner *owner, const struct sockaddr_any *a, u32 length)
{
	return &names[hash_u64(hash_bytes(a->data, length - PATH_OFFSET, (u64)owner), NAME_BITS)];
}

static struct unix_socket *abstract_find(const struct owner *owner, const struct sockaddr_any *a,
					 u32 length)
{
	struct unix_socket *u;

	hlist_for_each (u, bucket(owner, a, length), name_node)
		if (u->socket.owner == owner && u->name_length == length &&
		    !memcmp(u->name.data, a->data, length - PATH_OFFSET))
			return u;
	return NULL;
}

static int abstract_bind(struct unix_socket *u, const struct sockaddr_any *a, u32 length)
{
	int err = 0;

	spin_lock(&u->lock);
	spin_lock(&names_lock);
	if (u->name_length) {
		err = -EINVAL;
	} else if (abstract_find(u->socket.owner, a, length)) {
		err = -EADDRINUSE;
	} else {
		u->name = *a;
		u->name_length = length;
		hlist_push(bucket(u->socket.owner, a, length), &u->name_node);
	}
	spin_unlock(&names_lock);
	spin_unlock(&u->lock);
	return err;
}

/* bind() with the family alone: five hexadecimal digits of the kernel's choice. */
static int autobind(struct unix_socket *u)
{
	struct sockaddr_any a = { .family = AF_UNIX };
	int err;

	if (u->name_length)
		return 0;
	do {
		snprintf(a.data + 1, 6, "%05x", (unsigned)(random_u64() & 0xfffff));
		err = abstract_bind(u, &a, PATH_OFFSET + 6);
	} while (err == -EADDRINUSE);
	return err;
}

/* --- paths --- */

/* Makes the inode: 0 with it locked by path_create_begin's rules undone again. */
static int path_make(const char *path, struct inode **out)
{
	struct path parent;
	struct dentry *d;
	struct inode *dir;
	int err = path_create_begin(AT_FDCWD, path, false, &parent, &d);

	if (err)
		return err == -EEXIST ? -EADDRINUSE : err;
	dir = parent.dentry->inode;
	err = dir->ops->mknod ? dir->ops->mknod(parent.mount->usermap, dir, d,
						S_IFSOCK | (0777 & ~current->fs->umask), 0)
			      : -EPERM;
	if (!err)
		*out = inode_get(d->inode);
	path_create_end(&parent, d);
	return err;
}

static int path_bind(struct unix_socket *u, const struct sockaddr_any *a, u32 length)
{
	char path[UNIX_PATH_MAX + 1];
	struct inode *i;
	int err;

	memcpy(path, a->data, length - PATH_OFFSET);
	path[length - PATH_OFFSET] = 0;
	if (u->name_length) { /* no second name; but a taken one is what is told first */
		struct path there;

		if (path_lookup(AT_FDCWD, path, 0, &there))
			return -EINVAL;
		path_put(there);
		return -EADDRINUSE;
	}
	err = path_make(path, &i);
	if (err)
		return err;
	mutex_lock(&i->lock);
	spin_lock(&u->lock);
	if (u->name_length) {
		err = -EINVAL;
	} else {
		u->name = *a;
		u->name_length = PATH_OFFSET + strlen(path) + 1;
		u->name.data[strlen(path)] = 0;
		u->inode = i;
		i->pipe_or_socket = u;
	}
	spin_unlock(&u->lock);
	mutex_unlock(&i->lock);
	if (err)
		inode_put(i);
	return err;
}

static int path_find(const struct sockaddr_any *a, u32 length, struct unix_socket **out)
{
	char path[UNIX_PATH_MAX + 1];
	struct unix_socket *u;
	struct inode *i;
	struct path p;
	int err;

	memcpy(path, a->data, length - PATH_OFFSET);
	path[length - PATH_OFFSET] = 0;
	err = path_lookup(AT_FDCWD, path, LOOKUP_FOLLOW, &p);
	if (err)
		return err;
	i = p.dentry->inode;
	err = inode_permission(p.mount->usermap, i, MAY_WRITE);
	if (!err && !S_ISSOCK(i->mode))
		err = -ECONNREFUSED;
	if (!err) {
		mutex_lock(&i->lock);
		u = i->pipe_or_socket;
		if (u && ref_get_unless_zero(&u->socket.refs))
			*out = u;
		else
			err = -ECONNREFUSED;
		mutex_unlock(&i->lock);
	}
	path_put(p);
	return err;
}

/* --- both --- */

int unix_bind(struct socket *s, const struct sockaddr_any *a, u32 length)
{
	int err = name_check(a, length);

	if (err)
		return err;
	if (length == PATH_OFFSET)
		return autobind(unix_of(s));
	return is_abstract(a) ? abstract_bind(unix_of(s), a, length)
			      : path_bind(unix_of(s), a, length);
}

int unix_find(const struct sockaddr_any *a, u32 length, struct unix_socket **out)
{
	struct unix_socket *u;
	int err = name_check(a, length);

	if (err)
		return err;
	if (length == PATH_OFFSET)
		return -EINVAL;
	if (!is_abstract(a))
		return path_find(a, length, out);
	spin_lock(&names_lock);
	u = abstract_find(current->owner, a, length);
	if (!u || !ref_get_unless_zero(&u->socket.refs))
		err = -ECONNREFUSED;
	spin_unlock(&names_lock);
	*out = u;
	return err;
}

void unix_unbind(struct unix_socket *u)
{
	struct inode *i = u->inode;

	spin_lock(&names_lock);
	hlist_remove(&u->name_node);
	spin_unlock(&names_lock);
	if (!i)
		return;
	mutex_lock(&i->lock);
	if (i->pipe_or_socket == u)
		i->pipe_or_socket = NULL;
	mutex_unlock(&i->lock);
	u->inode = NULL;
	inode_put(i);
}
