/* SPDX-License-Identifier: MIT */
/*
 * locks.c - advisory locks of files: flock(2), and the record locks of fcntl(2),
 * POSIX's (owned by a table of descriptors, gone at any close of the file by it)
 * and OFD's (owned by an open file description).
 *
 * An inode that was ever locked has a struct file_locks until it goes. All
 * locks are under one spin lock, locks_lock: a deadlock is a cycle over several
 * files, and there are few of them. Whoever waits sleeps on its file's queue and
 * is on the list of waiters, each with the owner that it waits for, which the
 * search for a cycle follows.
 *
 * A list of records is kept merged: the records of one owner do not overlap,
 * and neighbours of one type are one record. To change the list needs up to two
 * new records (a lock may split another), so they are allocated before.
 */
#include "fs/internal.h"
#include "fs/locks.h"
#include "syscalls.h"

struct record {
	struct list node;
	const void *owner; /* fd_table or file; flock: file */
	bool exclusive;
	bool flock; /* of the whole file, by flock(2): meets only its like */
	bool ofd;
	u32 pid;	    /* for F_GETLK */
	struct owner *home; /* where that pid counts */
	u64 start, end;	    /* inclusive */
};

struct file_locks {
	struct list records;
	struct waitq changed;
};

struct lock_wait { /* on the stack of who sleeps for a POSIX lock */
	struct list node;
	struct file_locks *locks;
	const void *owner, *blocker; /* blocker NULL: woken, it looks again */
};

static spinlock_t locks_lock = SPINLOCK_INIT(RANK_FILE_LOCKS);
static struct list lock_waits = LIST_INIT(lock_waits);
static struct slab_cache *record_cache;

#define F_RDLCK	   0
#define F_WRLCK	   1
#define F_UNLCK	   2
#define OFFSET_MAX INT64_MAX

static int locks_of(struct inode *i, struct file_locks **out)
{
	struct file_locks *l = READ_ONCE(i->locks), *expected = NULL;

	if (!l) {
		l = kmalloc(sizeof(*l), KM_ACCOUNT);
		if (!l)
			return -ENOMEM;
		list_init(&l->records);
		waitq_init(&l->changed);
		if (!__atomic_compare_exchange_n(&i->locks, &expected, l, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE)) {
			kfree(l);
			l = expected;
		}
	}
	*out = l;
	return 0;
}

static bool record_conflicts(const struct record *have, const struct record *want)
{
	return have->flock == want->flock && have->owner != want->owner &&
	       (have->exclusive || want->exclusive) && have->start <= want->end &&
	       want->start <= have->end;
}

static struct record *locks_conflict(struct file_locks *l, const struct record *want)
{
	struct record *r;

	list_for_each (r, &l->records, node)
		if (record_conflicts(r, want))
			return r;
	return NULL;
}

/* Would waiting for `blocker` close a circle that ends at owner? */
static bool locks_deadlock(const void *owner, const void *blocker)
{
	for (unsigned steps = 0; steps < 1000; steps++) {
		struct lock_wait *w;
		bool found = false;

		if (blocker == owner)
			return true;
		list_for_each (w, &lock_waits, node)
			if (w->owner == blocker) {
				blocker = w->blocker;
				found = true;
				break;
			}
		if (!found)
			return false;
	}
	return true;
}

/* Something went from l, or changed: who waits for it looks again. locks_lock is held. */
static void locks_changed(struct file_locks *l)
{
	struct lock_wait *w;

	if (!waitq_active(&l->changed))
		return;
	list_for_each (w, &lock_waits, node)
		if (w->locks == l)
			w->blocker = NULL;
	waitq_wake_all(&l->changed, 0);
}

static void record_drop(struct record *r)
{
	list_remove(&r->node);
	slab_free(record_cache, r);
}

/* Takes the range of `want` away from its owner's records. May use *spare for a split. */
static void locks_clear_range(struct file_locks *l, const struct record *want,
			      struct record **spare)
{
	struct record *r, *next;

	list_for_each_safe (r, next, &l->records, node) {
		if (r->owner != want->owner || r->flock != want->flock || r->end < want->start ||
		    r->start > want->end)
			continue;
		if (r->start < want->start && r->end > want->end) {
			struct record *tail = *spare;

			*spare = NULL;
			*tail = *r;
			tail->start = want->end + 1;
			r->end = want->start - 1;
			list_push(&r->node, &tail->node);
			return;
		}
		if (r->start < want->start)
			r->end = want->start - 1;
		else if (r->end > want->end)
			r->start = want->end + 1;
		else
			record_drop(r);
	}
}

/* want joins its owner's neighbours of the same type. */
static void locks_merge(struct file_locks *l, struct record *want)
{
	struct record *r, *next;

	list_for_each_safe (r, next, &l->records, node) {
		if (r == want || r->owner != want->owner || r->flock || want->flock ||
		    r->exclusive != want->exclusive)
			continue;
		if (r->end + 1 == want->start)
			want->start = r->start;
		else if (want->end + 1 == r->start)
			want->end = r->end;
		else
			continue;
		record_drop(r);
	}
}

/* Sleeps until something changes. locks_lock is held. */
static int locks_wait(struct file_locks *l, const struct record *want, const struct record *have)
{
	struct lock_wait w = { .locks = l, .owner = want->owner, .blocker = have->owner };
	bool tracked = !want->flock && !want->ofd;
	int err;

	if (tracked && locks_deadlock(want->owner, have->owner))
		return -EDEADLK;
	if (tracked)
		list_push(&lock_waits, &w.node);
	err = waitq_sleep(&l->changed, &locks_lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
	if (tracked)
		list_remove(&w.node);
	return err;
}

/* Sets or clears (unlock) a range: 0, -EAGAIN, -EDEADLK, -ERESTARTSYS, -ENOMEM. */
static int locks_set(struct inode *i, const struct record *want, bool unlock, bool wait)
{
	struct record *new = NULL, *spare = NULL, *have;
	struct file_locks *l;
	int err;

	if (unlock && !READ_ONCE(i->locks))
		return 0;
	if (!unlock)
		new = slab_alloc(record_cache);
	if (!want->flock)
		spare = slab_alloc(record_cache);
	err = (new || unlock) && (spare || want->flock) ? locks_of(i, &l) : -ENOMEM;
	if (err)
		goto free_records;
	spin_lock(&locks_lock);
	while (!unlock && (have = locks_conflict(l, want))) {
		err = wait ? locks_wait(l, want, have) : -EAGAIN;
		if (err)
			break;
	}
	if (!err) {
		locks_clear_range(l, want, &spare);
		if (!unlock) {
			*new = *want;
			list_append(&l->records, &new->node);
			locks_merge(l, new);
			new = NULL;
		}
		locks_changed(l);
	}
	spin_unlock(&locks_lock);
free_records:
	if (new)
		slab_free(record_cache, new);
	if (spare)
		slab_free(record_cache, spare);
	return err;
}

static void locks_drop_owner(struct inode *i, const void *owner, bool flocks)
{
	struct file_locks *l = i->locks;
	struct record *r, *next;
	bool any = false;

	spin_lock(&locks_lock);
	list_for_each_safe (r, next, &l->records, node)
		if (r->owner == owner && (flocks || !r->flock)) {
			record_drop(r);
			any = true;
		}
	if (any)
		locks_changed(l);
	spin_unlock(&locks_lock);
}

void locks_close(struct file *f, struct fd_table *t)
{
	if (f->inode->locks && !(f->mode & FILE_PATH))
		locks_drop_owner(f->inode, t, false);
}

void locks_release(struct file *f)
{
	locks_drop_owner(f->inode, f, true);
}

/* --- flock(2) --- */

#define LOCK_SH	  1
#define LOCK_EX	  2
#define LOCK_NB	  4
#define LOCK_UN	  8
#define LOCK_MAND 32 /* taken and ignored, as by Linux since 5.18 */

static int flock_file(struct file *f, u32 op)
{
	struct record want = { .owner = f,
			       .flock = true,
			       .exclusive = (op & ~LOCK_NB) == LOCK_EX,
			       .start = 0,
			       .end = OFFSET_MAX };
	bool unlock = (op & ~LOCK_NB) == LOCK_UN;
	struct record *r;

	/* A conversion gives the old lock up first (man 2 flock), unless nothing changes. */
	if (!unlock && f->inode->locks) {
		bool same = false;

		spin_lock(&locks_lock);
		list_for_each (r, &f->inode->locks->records, node)
			same |= r->owner == f && r->flock && r->exclusive == want.exclusive;
		spin_unlock(&locks_lock);
		if (same)
			return 0;
		locks_set(f->inode, &want, true, false);
	}
	return locks_set(f->inode, &want, unlock, !(op & LOCK_NB));
}

s64 sys_flock(int fd, u32 op)
{
	struct fd_ref r;
	int err;

	if (op & LOCK_MAND)
		return 0;
	if ((op & ~LOCK_NB) != LOCK_SH && (op & ~LOCK_NB) != LOCK_EX && (op & ~LOCK_NB) != LOCK_UN)
		return -EINVAL;
	err = fd_begin(fd, &r);
	if (err)
		return err;
	if ((op & ~LOCK_NB) == LOCK_UN || (r.file->mode & (FILE_READ | FILE_WRITE)))
		err = flock_file(r.file, op);
	else
		err = -EBADF; /* opened with access mode 3, as on Linux */
	fd_end(r);
	return err;
}

/* --- fcntl(2) --- */

struct flock64 { /* struct flock of x86-64 */
	s16 type, whence;
	s64 start, len;
	s32 pid;
};

static int flock64_range(struct file *f, const struct flock64 *u, struct record *r)
{
	s64 base = 0, start, end;

	if (u->whence == 1)
		base = f->pos;
	else if (u->whence == 2)
		base = f->inode->size;
	else if (u->whence != 0)
		return -EINVAL;
	if (__builtin_add_overflow(base, u->start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	if (u->len > 0) {
		if (__builtin_add_overflow(start, u->len - 1, &end))
			return -EOVERFLOW;
	} else if (u->len < 0) {
		end = start - 1;
		start += u->len;
		if (start < 0)
			return -EINVAL;
	} else {
		end = OFFSET_MAX;
	}
	r->start = start;
	r->end = end;
	return 0;
}

static int flock64_parse(struct file *f, const struct flock64 *u, bool ofd, struct record *r)
{
	*r = (struct record){
		.owner = ofd ? (void *)f : (void *)current->files,
		.exclusive = u->type == F_WRLCK,
		.ofd = ofd,
		.pid = current_pid(),
		.home = current->owner,
	};
	if (u->type != F_RDLCK && u->type != F_WRLCK && u->type != F_UNLCK)
		return -EINVAL;
	if (ofd && u->pid)
		return -EINVAL;
	return flock64_range(f, u, r);
}

static int locks_getlk(struct file *f, struct flock64 *u, bool ofd)
{
	struct record want, *have = NULL;
	int err = flock64_parse(f, u, ofd, &want);

	if (err)
		return err;
	if (u->type == F_UNLCK)
		return -EINVAL;
	u->type = F_UNLCK;
	spin_lock(&locks_lock);
	if (f->inode->locks)
		have = locks_conflict(f->inode->locks, &want);
	if (have) {
		u->type = have->exclusive ? F_WRLCK : F_RDLCK;
		u->whence = 0;
		u->start = have->start;
		u->len = have->end == OFFSET_MAX ? 0 : have->end - have->start + 1;
		u->pid = have->ofd ? -1 : have->home == want.home ? (s32)have->pid : 0;
	}
	spin_unlock(&locks_lock);
	return 0;
}

/* Another thread may have closed fd while its lock was set: then it must not stay. */
static int locks_check_open(struct file *f, u32 fd)
{
	struct file *now;
	int err;

	if (ref_read(&current->files->refs) == 1)
		return 0;
	err = fd_get(fd, false, &now);
	if (err || now != f)
		locks_close(f, current->files);
	if (!err)
		file_put(now);
	return err;
}

static int locks_setlk(struct file *f, u32 fd, const struct flock64 *u, bool ofd, bool wait)
{
	struct record want;
	int err = flock64_parse(f, u, ofd, &want);

	if (err)
		return err;
	if ((u->type == F_RDLCK && !(f->mode & FILE_READ)) ||
	    (u->type == F_WRLCK && !(f->mode & FILE_WRITE)))
		return -EBADF;
	err = locks_set(f->inode, &want, u->type == F_UNLCK, wait);
	if (!err && !ofd && u->type != F_UNLCK)
		err = locks_check_open(f, fd);
	return err;
}

s64 locks_fcntl(struct file *f, u32 fd, u32 cmd, uaddr_t arg)
{
	bool ofd = cmd >= F_OFD_GETLK;
	struct flock64 u;
	int err;

	if (get_user(&u, arg))
		return -EFAULT;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK) {
		err = locks_getlk(f, &u, ofd);
		return err ? err : put_user(arg, &u);
	}
	return locks_setlk(f, fd, &u, ofd, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

void locks_init(void)
{
	record_cache = slab_cache_create("file_lock", sizeof(struct record), 0, SLAB_ACCOUNT);
}
