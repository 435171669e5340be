/* SPDX-License-Identifier: MIT */
/*
 * pty.c - pseudo-terminals (man 7 pty): a master opened from /dev/ptmx, a slave
 * that is a terminal, /dev/pts/N. Each container has numbers and names of its own,
 * and others do not see them. A master belongs to the container that opened it, or
 * to one that it was opened for from outside (pty_open_master), which then pays.
 *
 * What the slave writes stands in the master's ring until it is read; what the
 * master writes is typed into the slave. Closing the master hangs the slave up;
 * when nobody has the slave open, the master reads -EIO.
 *
 * Locks: the slave's tty->lock guards the ring; table_lock the numbers.
 */
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/task.h"
#include "fs/context.h"
#include "fs/devfs.h"
#include "fs/fdtable.h"
#include "fs/poll.h"
#include "fs/uio.h"
#include "lib/radix.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "tty/tty.h"

#define PTY_MAX	     4096 /* of one owner */
#define DEVPTS_MAGIC 0x1cd1
#define TIOCGPTN     0x80045430
#define TIOCSPTLCK   0x40045431
#define TIOCGPTLCK   0x80045439
#define TIOCGPTPEER  0x5441
#define TIOCPKT	     0x5420
#define TIOCSIG	     0x40045436
/* Of a slave without a name; which is how its file is told from others' with its number. */
#define PTS_INO(owner, number) (pty_key(owner, number) + 3)

struct pty {
	struct tty slave;		 /* embeds the reference count; its lock: L */
	struct owner *owner;		 /* constant; counted */
	u32 number;			 /* constant; from 0 for each owner */
	u32 uid;			 /* of the slave's name; WRITE_ONCE */
	char *ring;			 /* L: from the slave to the master */
	u32 head, tail;			 /* L */
	bool master_open, locked;	 /* L */
	bool slave_was_open;		 /* L; set once */
	bool listed;			 /* table_lock: the number is taken */
	struct waitq readable, writable; /* of the master; L */
};

static struct slab_cache *pty_cache;
static struct radix ptys; /* by pty_key; table_lock; readers RCU */
static spinlock_t table_lock = SPINLOCK_INIT(RANK_DEVICE);

/* Ids of owners are not reused, so a key never means a pty of somebody else. */
static u64 pty_key(const struct owner *owner, u32 number)
{
	return (u64)owner->id * PTY_MAX + number;
}

static struct pty *pty_of_tty(struct tty *t)
{
	return container_of(t, struct pty, slave);
}

/* --- the slave's driver --- */

static size_t slave_room(struct tty *t)
{
	struct pty *p = pty_of_tty(t);

	return p->master_open ? TTY_BUFFER - (p->head - p->tail) : 0;
}

static size_t slave_write(struct tty *t, const char *s, size_t n)
{
	struct pty *p = pty_of_tty(t);

	n = MIN(n, slave_room(t));
	for (size_t i = 0; i < n; i++)
		p->ring[p->head++ % TTY_BUFFER] = s[i];
	waitq_wake_all(&p->readable, POLLIN | POLLRDNORM);
	return n;
}

static void slave_input_room(struct tty *t)
{
	struct pty *p = pty_of_tty(t);

	spin_lock(&t->lock);
	waitq_wake_all(&p->writable, POLLOUT | POLLWRNORM);
	spin_unlock(&t->lock);
}

static void slave_opened(struct tty *t)
{
	struct pty *p = pty_of_tty(t);

	spin_lock(&t->lock);
	p->slave_was_open = true;
	spin_unlock(&t->lock);
}

/*
 * Its number is free when both sides are closed, also if a name of it is still cached. Who closes
 * the master looks after it took the lock that slaves are closed under, and so sees the last one
 * gone, or is seen by it.
 */
static void pty_unlist_if_closed(struct pty *p)
{
	if (READ_ONCE(p->master_open) || READ_ONCE(p->slave.opens))
		return;
	spin_lock(&table_lock);
	if (p->listed)
		radix_remove(&ptys, pty_key(p->owner, p->number));
	p->listed = false;
	spin_unlock(&table_lock);
}

static void slave_closed(struct tty *t)
{
	struct pty *p = pty_of_tty(t);

	spin_lock(&t->lock);
	waitq_wake_all(&p->readable, POLLHUP);
	waitq_wake_all(&p->writable, POLLHUP);
	spin_unlock(&t->lock);
	pty_unlist_if_closed(p);
}

static void pty_free(struct tty *t)
{
	struct pty *p = pty_of_tty(t);

	BUG_IF(p->listed, "pty %u of container %u", p->number, p->owner->id);
	tty_destroy_object(t);
	kfree(p->ring);
	owner_put(p->owner);
	slab_free(pty_cache, p); /* SLAB_RCU: finders look at refs first */
}

static const struct tty_ops slave_ops = {
	.write = slave_write,
	.room = slave_room,
	.input_room = slave_input_room,
	.opened = slave_opened,
	.closed = slave_closed,
	.freed = pty_free,
};

/* --- numbers --- */

/* Gives it the lowest number that its owner has free: -ENOSPC, -ENOMEM. */
static int pty_publish(struct pty *p)
{
	u64 first = pty_key(p->owner, 0), last = pty_key(p->owner, PTY_MAX - 1), key;
	int err = -ENOSPC;

	spin_lock(&table_lock);
	key = radix_next_free(&ptys, first, last);
	p->number = key - first;
	p->slave.rdev = makedev(PTS_MAJOR + p->number / 256, p->number % 256);
	if (key <= last)
		err = radix_insert(&ptys, key, p);
	p->listed = !err;
	spin_unlock(&table_lock);
	return err;
}

/* One of `owner`, who pays for all of it. */
static int pty_create(struct owner *owner, struct pty **out)
{
	struct account *own = current->account;
	struct pty *p;
	int err = -ENOMEM;

	current->account = owner->account;
	p = slab_alloc(pty_cache);
	if (!p)
		goto own_account;
	memset(p, 0, sizeof(*p));
	tty_init_object(&p->slave, &slave_ops, 0, p);
	p->ring = kmalloc(TTY_BUFFER, KM_ACCOUNT);
	p->slave.buffer = kmalloc(TTY_BUFFER, KM_ACCOUNT);
	if (!p->ring || !p->slave.buffer)
		goto free_pty;
	p->owner = owner_get(owner);
	p->slave.owner = owner;
	p->uid = owner == current->owner ? current->cred->fsuid : usermap_root_uid(owner->usermap);
	p->locked = true;
	p->master_open = true;
	waitq_init(&p->readable);
	waitq_init(&p->writable);
	err = pty_publish(p);
	if (err)
		goto put_owner;
	*out = p;
	goto own_account;

put_owner:
	owner_put(p->owner);
free_pty:
	tty_destroy_object(&p->slave);
	kfree(p->ring);
	slab_free(pty_cache, p);
own_account:
	current->account = own;
	return err;
}

/* The pty with that number of that owner, counted. */
static struct pty *pty_find(const struct owner *owner, u64 number)
{
	struct pty *p;

	if (number >= PTY_MAX)
		return NULL;
	rcu_read_lock();
	p = radix_get(&ptys, pty_key(owner, number));
	if (p && (!ref_get_unless_zero(&p->slave.refs)))
		p = NULL;
	rcu_read_unlock();
	if (p && (p->owner != owner || p->number != number || !READ_ONCE(p->master_open))) {
		tty_put(&p->slave);
		p = NULL;
	}
	return p;
}

/* --- the master --- */

static const struct file_ops master_file_ops;

int pty_open_master(struct owner *owner, struct file *f)
{
	struct pty *p;
	int err = pty_create(owner, &p);

	if (err)
		return err;
	f->private = p;
	f->ops = &master_file_ops;
	return 0;
}

static int ptmx_open(struct inode *i, struct file *f)
{
	return pty_open_master(current->owner, f);
}

static void master_release(struct file *f)
{
	struct pty *p = f->private;

	spin_lock(&p->slave.lock);
	p->master_open = false;
	spin_unlock(&p->slave.lock);
	tty_hangup(&p->slave);
	pty_unlist_if_closed(p);
	tty_put(&p->slave);
}

static s64 master_take(struct pty *p, struct uio *u)
{
	s64 done = 0;

	while (u->left) {
		char chunk[256];
		u32 n = 0, want = MIN(u->left, sizeof(chunk));
		s64 k;

		spin_lock(&p->slave.lock);
		while (n < want && p->tail != p->head)
			chunk[n++] = p->ring[p->tail++ % TTY_BUFFER];
		if (n)
			tty_output_room(&p->slave);
		spin_unlock(&p->slave.lock);
		if (!n)
			break;
		k = uio_copy_out(u, chunk, n);
		if (k < 0)
			return done ? done : k;
		done += k;
	}
	return done;
}

static s64 master_read(struct file *f, struct uio *u, u64 *pos)
{
	struct pty *p = f->private;
	int err = 0;

	if (!u->left)
		return 0;
	spin_lock(&p->slave.lock);
	while (p->head == p->tail && !err) {
		if (p->slave_was_open && !READ_ONCE(p->slave.opens))
			err = -EIO; /* everybody has closed the slave */
		else if (f->flags & O_NONBLOCK)
			err = -EAGAIN;
		else
			err = waitq_sleep(&p->readable, &p->slave.lock, SLEEP_INTERRUPTIBLE,
					  KTIME_NEVER);
	}
	spin_unlock(&p->slave.lock);
	return err ? err : master_take(p, u);
}

/* Types one chunk: how much of it the slave took; waits for room. */
static s64 master_type(struct file *f, struct pty *p, const char *s, size_t n)
{
	size_t done = 0;
	int err = 0;

	for (;;) {
		done += tty_input(&p->slave, s + done, n - done);
		if (done == n || err)
			return done ? (s64)done : err;
		if (f->flags & O_NONBLOCK) {
			err = -EAGAIN;
			continue;
		}
		spin_lock(&p->slave.lock);
		if (tty_input_waits(&p->slave))
			err = waitq_sleep(&p->writable, &p->slave.lock, SLEEP_INTERRUPTIBLE,
					  KTIME_NEVER);
		spin_unlock(&p->slave.lock);
	}
}

static s64 master_write(struct file *f, struct uio *u, u64 *pos)
{
	struct pty *p = f->private;
	s64 total = 0;

	while (u->left) {
		char chunk[256];
		s64 k, n = uio_copy_in(u, chunk, MIN(u->left, sizeof(chunk)));

		if (n <= 0)
			return total ? total : n;
		if (!READ_ONCE(p->slave_was_open))
			return -EIO; /* the slave was never open: nobody would read it */
		k = master_type(f, p, chunk, n);
		if (k < 0)
			return total ? total : k;
		total += k;
		if (k < n)
			break;
		resched_point();
	}
	return total;
}

static u32 master_poll(struct file *f, struct poll_table *pt)
{
	struct pty *p = f->private;
	u32 events = 0;

	poll_wait(pt, &p->readable);
	poll_wait(pt, &p->writable);
	spin_lock(&p->slave.lock);
	if (p->head != p->tail)
		events |= POLLIN | POLLRDNORM;
	if (p->slave_was_open && !READ_ONCE(p->slave.opens))
		events |= POLLHUP;
	spin_unlock(&p->slave.lock);
	if (tty_input_room(&p->slave))
		events |= POLLOUT | POLLWRNORM;
	return events;
}

/* Where the slave's name stands for current, counted, if it lives where the name is. */
static int slave_path(const struct pty *p, struct path *out)
{
	struct mount_table *t = current->fs->mounts;
	char name[24];
	int err;

	if (current->owner != p->owner || t->owner != p->owner)
		return -ENOENT;
	snprintf(name, sizeof(name), "/dev/pts/%u", p->number);
	err = mount_table_lookup(t, name, out);
	if (err)
		return err;
	if (S_ISCHR(out->dentry->inode->mode) && out->dentry->inode->rdev == p->slave.rdev &&
	    out->mount->sb->type->device_nodes && out->mount->sb->owner == p->owner)
		return 0;
	path_put(*out);
	return -ENOENT; /* something else stands there */
}

/* The slave in a file without a name, for those who have none for it. */
static int slave_open_nameless(struct pty *p, int flags, struct file **out)
{
	static const struct file_ops closed_ops;
	struct inode *i;
	int err = inode_create_anon(S_IFCHR | 0620, &i);

	if (err)
		return err;
	i->rdev = p->slave.rdev;
	i->ino = PTS_INO(p->owner, p->number);
	err = file_create_anon(i, &tty_file_ops, flags, NULL, "pts", out);
	if (err)
		return err;
	err = tty_open_file(tty_get(&p->slave), *out);
	if (err) {
		(*out)->ops = &closed_ops;
		file_put(*out);
	}
	return err;
}

static s64 master_open_peer(struct pty *p, u64 flags)
{
	struct path path;
	struct file *f;
	int err;

	if (flags & ~(u64)(O_ACCMODE | O_NOCTTY | O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (READ_ONCE(p->locked))
		return -EIO;
	if (slave_path(p, &path)) {
		err = slave_open_nameless(p, flags & ~O_CLOEXEC, &f);
	} else {
		err = file_open_path(&path, flags & ~O_CLOEXEC, &f);
		path_put(path);
	}
	return err ? err : fd_add(f, flags & O_CLOEXEC);
}

static s64 master_lock(struct pty *p, u32 cmd, u64 arg)
{
	s32 v;

	if (cmd == TIOCGPTLCK) {
		v = READ_ONCE(p->locked);
		return put_user(arg, &v);
	}
	if (get_user(&v, arg))
		return -EFAULT;
	WRITE_ONCE(p->locked, v != 0);
	return 0;
}

static s64 master_signal(struct pty *p, u64 sig)
{
	struct process_group *g;

	if (sig != 2 && sig != 3 && sig != 20)
		return -EINVAL;
	spin_lock(&p->slave.lock);
	g = p->slave.foreground ? group_get(p->slave.foreground) : NULL;
	spin_unlock(&p->slave.lock);
	if (g) {
		group_signal(g, sig);
		group_put(g);
	}
	return 0;
}

static s64 master_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct pty *p = f->private;
	u32 number = p->number;
	s64 r;

	switch (cmd) {
	case TIOCGPTN:
		return put_user(arg, &number);
	case TIOCSPTLCK:
	case TIOCGPTLCK:
		return master_lock(p, cmd, arg);
	case TIOCGPTPEER:
		return master_open_peer(p, arg);
	case TIOCSIG:
		return master_signal(p, arg);
	case 0x541b: { /* FIONREAD: for the master, what it can read */
		s32 n = READ_ONCE(p->head) - READ_ONCE(p->tail);
		return put_user(arg, &n);
	}
	}
	r = tty_job_ioctl(f, &p->slave, cmd, arg);
	return r == -ENOTTY ? tty_ioctl_common(f, &p->slave, cmd, arg) : r;
}

static const struct file_ops master_file_ops = {
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
	.release = master_release,
	.no_seek = true,
};
static const struct file_ops ptmx_ops = { .open = ptmx_open, .no_seek = true };

/* --- the slave by name --- */

/* Numbers are each owner's: a node means one of whom it belongs to, and is only for him. */
static bool pts_is_own(const struct inode *i, u64 number)
{
	return inode_is_anon(i) ? i->ino == PTS_INO(current->owner, number)
				: i->sb->owner == current->owner;
}

static int pts_open(struct inode *i, struct file *f)
{
	u64 number = (u64)(dev_major(i->rdev) - PTS_MAJOR) * 256 + dev_minor(i->rdev);
	struct pty *p = pts_is_own(i, number) ? pty_find(current->owner, number) : NULL;

	if (!p)
		return -EIO;
	if (READ_ONCE(p->locked)) {
		tty_put(&p->slave);
		return -EIO;
	}
	return tty_open_file(&p->slave, f);
}

static const struct file_ops pts_ops = { .open = pts_open, .no_seek = true };

/* Objects below /dev/pts: the superblock for the directory, the pty for a slave. */
static void pts_node_put(void *object)
{
	tty_put(&((struct pty *)object)->slave);
}

static bool pts_node_alive(void *object)
{
	return READ_ONCE(((struct pty *)object)->master_open);
}

static void pts_node_owner(void *object, u32 *uid, u32 *gid)
{
	struct pty *p = object;

	*uid = READ_ONCE(p->uid);
	/* tty, as devpts's gid=5; where that does not exist, root's */
	*gid = gid_to_global(p->owner->usermap, 5);
	if (*gid == ID_NONE)
		*gid = usermap_root_gid(p->owner->usermap);
}

static void pts_node_set_owner(void *object, u32 uid)
{
	WRITE_ONCE(((struct pty *)object)->uid, uid);
}

/* Never a directory that can be walked: it only says how the node's object is counted. */
static const struct pseudo_dir_ops pts_node = {
	.put = pts_node_put,
	.alive = pts_node_alive,
	.owner = pts_node_owner,
	.set_owner = pts_node_set_owner,
};

static int pts_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e,
		      void **child)
{
	const struct owner *owner = ((struct superblock *)object)->owner;
	struct pty *p;
	u64 n;

	if (!strcmp(name, "ptmx")) {
		*e = (struct pseudo_entry){ .mode = S_IFCHR | 0666,
					    .rdev = makedev(TTY_ALT_MAJOR, 2) };
		*child = object;
		return 0;
	}
	if (name[0] < '0' || name[0] > '9' || (name[0] == '0' && len > 1) || parse_u64(name, &n))
		return -ENOENT;
	p = pty_find(owner, n);
	if (!p)
		return -ENOENT;
	*e = (struct pseudo_entry){ .mode = S_IFCHR | 0620,
				    .rdev = p->slave.rdev,
				    .counted_by = &pts_node };
	*child = p;
	return 0;
}

/* Cookie 0: ptmx; n + 1: the first slave with a number >= n. */
static bool pts_next(void *object, u64 *cookie, char *name, size_t size, u32 *mode)
{
	const struct owner *owner = ((struct superblock *)object)->owner;
	u64 first = pty_key(owner, 0), n;
	struct pty *p;

	*mode = S_IFCHR | 0666;
	if (!*cookie)
		return strlcpy(name, "ptmx", size);
	n = first + *cookie - 1;
	rcu_read_lock();
	while ((p = radix_next(&ptys, &n)) && p->owner == owner && !READ_ONCE(p->master_open))
		n++;
	if (p && p->owner != owner)
		p = NULL;
	rcu_read_unlock();
	*cookie = n - first + 1;
	*mode = S_IFCHR | 0620;
	snprintf(name, size, "%llu", (unsigned long long)(n - first));
	return p;
}

static const struct pseudo_dir_ops pts_dir = { .lookup = pts_lookup, .next = pts_next };

static int devpts_mount(const struct fs_type *t, const char *source, u32 flags, const char *data,
			struct superblock **out)
{
	return pseudo_mount(t, &pts_dir, DEVPTS_MAGIC, out);
}

const struct fs_type devpts_type = {
	.name = "devpts",
	.device_nodes = true,
	.mount = devpts_mount,
};

#define DEV(major, minor) ((minor) | (u64)(major) << 8)
static const struct pseudo_entry ptmx_entry = { .name = "ptmx",
						.mode = S_IFCHR | 0666,
						.rdev = DEV(TTY_ALT_MAJOR, 2) };
static const struct pseudo_entry pts_entry = { .name = "pts",
					       .mode = S_IFDIR | 0755,
					       .dir = &pts_dir };

void pty_init(void)
{
	pty_cache = slab_cache_create("pty", sizeof(struct pty), 0, SLAB_ACCOUNT | SLAB_RCU);
	radix_init(&ptys);
	BUG_ON(chrdev_register(TTY_ALT_MAJOR, 2, 1, &ptmx_ops));
	for (u32 major = 0; major < PTY_MAX / 256; major++)
		BUG_ON(chrdev_register(PTS_MAJOR + major, 0, 256, &pts_ops));
	BUG_ON(devfs_register(&ptmx_entry, DEVFS_EVERYWHERE));
	BUG_ON(devfs_register(&pts_entry, DEVFS_EVERYWHERE));
}
