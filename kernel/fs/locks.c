/* SPDX-License-Identifier: MIT */
/*
 * locks.c - advisory locks of files: flock(2), and the record locks of fcntl(2),
 * POSIX's (owned by a table of descriptors, gone at any close of the file by it)
 * and OFD's (owned by an open file description).
 *
 * An inode that was ever locked has a struct file_locks until it goes, with two
 * sets of records (lock_records.h): a flock is a record of the whole file among its
 * like. To change a set needs up to two new records (a lock may split another), so
 * they are allocated before.
 *
 * Whoever waits sleeps on its file's queue. A wait for a POSIX lock could close a circle
 * over several files, so each stands in a table of the whole machine by who waits, with
 * the owner that it waits for, which the search for a circle follows.
 *
 * Locks: file_locks->lock (F), then waits_lock (W). F is one to sleep with, as an owner may have
 * hundreds of thousands of records of a file, which go at one stroke for all who ask. Nobody waits
 * under it for anything but the CPU.
 */
#include "fs/internal.h"
#include "fs/lock_records.h"
#include "fs/locks.h"
#include "lib/hash.h"
#include "syscalls.h"

struct file_locks {
	struct mutex lock; /* F */
	struct lock_records records, flocks;
	struct list waits; /* F: of struct lock_wait */
	struct waitq changed;
};

struct lock_wait {		     /* on the stack of who sleeps for a POSIX lock */
	struct list node;	     /* F: file_locks->waits */
	struct hlist_node hash_node; /* W */
	const void *owner, *blocker; /* W; blocker NULL: woken, it looks again */
};

#define WAITS_BITS     7
#define DEADLOCK_STEPS 1000 /* a longer chain of waiting is taken for a circle */

static spinlock_t waits_lock = SPINLOCK_INIT(RANK_FILE_LOCK_WAITS);
static struct hlist waits[1 << WAITS_BITS];

#define F_RDLCK	   0
#define F_WRLCK	   1
#define F_UNLCK	   2
#define OFFSET_MAX INT64_MAX

/* --- what an inode has --- */

static int locks_of(struct inode *i, struct file_locks **out)
{
	struct file_locks *l = READ_ONCE(i->locks), *expected = NULL;

	if (!l) {
		l = kmalloc(sizeof(*l), KM_ACCOUNT);
		if (!l)
			return -ENOMEM;
		mutex_init(&l->lock, RANK_FILE_LOCKS);
		lock_records_init(&l->records);
		lock_records_init(&l->flocks);
		list_init(&l->waits);
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

/* --- waiting --- */

/* Whom does a waiter of this owner wait for? NULL: it does not. W held. */
static const void *waits_for(const void *owner)
{
	struct lock_wait *w;

	hlist_for_each (w, &waits[hash_ptr(owner, WAITS_BITS)], hash_node)
		if (w->owner == owner)
			return w->blocker;
	return NULL;
}

/* w stands in the table unless that would close a circle: -EDEADLK. F held. */
static int wait_begin(struct file_locks *l, struct lock_wait *w)
{
	const void *blocker = w->blocker;
	int err = 0;

	spin_lock(&waits_lock);
	for (unsigned steps = 0; blocker && !err; steps++) {
		if (blocker == w->owner || steps == DEADLOCK_STEPS)
			err = -EDEADLK;
		blocker = waits_for(blocker);
	}
	if (!err)
		hlist_push(&waits[hash_ptr(w->owner, WAITS_BITS)], &w->hash_node);
	spin_unlock(&waits_lock);
	if (!err)
		list_push(&l->waits, &w->node);
	return err;
}

static void wait_end(struct lock_wait *w)
{
	list_remove(&w->node);
	spin_lock(&waits_lock);
	hlist_remove(&w->hash_node);
	spin_unlock(&waits_lock);
}

/* Something went from l, or changed: who waits for it looks again. F held. */
static void locks_changed(struct file_locks *l)
{
	struct lock_wait *w;

	if (!waitq_active(&l->changed))
		return;
	spin_lock(&waits_lock);
	list_for_each (w, &l->waits, node)
		w->blocker = NULL;
	spin_unlock(&waits_lock);
	waitq_wake_all(&l->changed, 0);
}

/* Sleeps until something changes; `have` is in the way. F held. */
static int locks_wait(struct file_locks *l, bool posix, const void *owner,
		      const struct lock_record *have)
{
	struct lock_wait w = { .owner = owner, .blocker = have->owner };
	int err = posix ? wait_begin(l, &w) : 0;

	if (err)
		return err;
	err = waitq_sleep_mutex(&l->changed, &l->lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
	if (posix)
		wait_end(&w);
	return err;
}

/* --- setting --- */

enum lock_kind { KIND_RECORD, KIND_FLOCK };

/* Sets or clears (unlock) a range: 0, -EAGAIN, -EDEADLK, -ERESTARTSYS, -ENOMEM. */
static int locks_set(struct inode *i, enum lock_kind kind, const struct lock_record *want,
		     bool unlock, bool wait)
{
	struct lock_record *new = NULL, *spare = NULL, *have;
	struct lock_records *set;
	struct file_locks *l;
	int err;

	if (unlock && !READ_ONCE(i->locks))
		return 0;
	if (!unlock)
		new = lock_record_alloc();
	if (kind == KIND_RECORD)
		spare = lock_record_alloc();
	err = (new || unlock) && (spare || kind == KIND_FLOCK) ? locks_of(i, &l) : -ENOMEM;
	if (err)
		goto free_records;
	set = kind == KIND_FLOCK ? &l->flocks : &l->records;
	mutex_lock(&l->lock);
	while (!unlock && (have = lock_records_conflict(set, want))) {
		err = wait ? locks_wait(l, kind == KIND_RECORD && !want->ofd, want->owner, have)
			   : -EAGAIN;
		if (err)
			break;
	}
	if (!err) {
		lock_records_clear(set, want, &spare);
		if (!unlock) {
			*new = *want;
			lock_records_add(set, new);
			new = NULL;
		}
		locks_changed(l);
	}
	mutex_unlock(&l->lock);
free_records:
	lock_record_free(new);
	lock_record_free(spare);
	return err;
}

/* An owner has gone: its records go, and its flocks if it has such. */
static void locks_drop_owner(struct inode *i, const void *owner)
{
	struct file_locks *l = i->locks;
	bool any;

	mutex_lock(&l->lock);
	any = lock_records_drop_owner(&l->records, owner);
	any |= lock_records_drop_owner(&l->flocks, owner);
	if (any)
		locks_changed(l);
	mutex_unlock(&l->lock);
}

void locks_close(struct file *f, struct fd_table *t)
{
	if (f->inode->locks && !(f->mode & FILE_PATH))
		locks_drop_owner(f->inode, t);
}

void locks_release(struct file *f)
{
	locks_drop_owner(f->inode, f);
}

/* --- flock(2) --- */

#define LOCK_SH	  1
#define LOCK_EX	  2
#define LOCK_NB	  4
#define LOCK_UN	  8
#define LOCK_MAND 32 /* taken and ignored, as by Linux since 5.18 */

static int flock_file(struct file *f, u32 op)
{
	struct lock_record want = {
		.owner = f, .exclusive = (op & ~LOCK_NB) == LOCK_EX, .start = 0, .end = OFFSET_MAX
	};
	bool unlock = (op & ~LOCK_NB) == LOCK_UN;
	struct file_locks *l = READ_ONCE(f->inode->locks);

	/* A conversion gives the old lock up first (man 2 flock), unless nothing changes. */
	if (!unlock && l) {
		struct lock_record *r;
		bool same;

		mutex_lock(&l->lock);
		r = lock_records_of(&l->flocks, f, 0);
		same = r && r->exclusive == want.exclusive;
		mutex_unlock(&l->lock);
		if (same)
			return 0;
		locks_set(f->inode, KIND_FLOCK, &want, true, false);
	}
	return locks_set(f->inode, KIND_FLOCK, &want, unlock, !(op & LOCK_NB));
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

static int flock64_range(struct file *f, const struct flock64 *u, struct lock_record *r)
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

static int flock64_parse(struct file *f, const struct flock64 *u, bool ofd, struct lock_record *r)
{
	*r = (struct lock_record){
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
	struct file_locks *l = READ_ONCE(f->inode->locks);
	struct lock_record want, *have;
	int err = flock64_parse(f, u, ofd, &want);

	if (err)
		return err;
	if (u->type == F_UNLCK)
		return -EINVAL;
	u->type = F_UNLCK;
	if (!l)
		return 0;
	mutex_lock(&l->lock);
	have = lock_records_conflict(&l->records, &want);
	if (have) {
		u->type = have->exclusive ? F_WRLCK : F_RDLCK;
		u->whence = 0;
		u->start = have->start;
		u->len = have->end == OFFSET_MAX ? 0 : have->end - have->start + 1;
		u->pid = have->ofd ? -1 : have->home == want.home ? (s32)have->pid : 0;
	}
	mutex_unlock(&l->lock);
	return 0;
}

/* Another thread may have closed fd while its lock was set: then it must not stay. */
static int locks_check_open(struct file *f, u32 fd)
{
	struct file *now;
	int err = fd_get(fd, false, &now);

	if (err || now != f)
		locks_close(f, current->files);
	if (!err)
		file_put(now);
	return err;
}

static int locks_setlk(struct file *f, u32 fd, const struct flock64 *u, bool ofd, bool wait)
{
	struct lock_record want;
	int err = flock64_parse(f, u, ofd, &want);

	if (err)
		return err;
	if ((u->type == F_RDLCK && !(f->mode & FILE_READ)) ||
	    (u->type == F_WRLCK && !(f->mode & FILE_WRITE)))
		return -EBADF;
	err = locks_set(f->inode, KIND_RECORD, &want, u->type == F_UNLCK, wait);
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
