/* SPDX-License-Identifier: MIT */
/*
 * eventfd.c - a counter behind a descriptor (man 2 eventfd).
 *
 * A write adds, and waits while the sum would exceed COUNT_MAX. A read takes
 * everything, or 1 of a semaphore, and waits while there is nothing. What was
 * taken is gone even if the reader's buffer then faults, as on Linux: the
 * counter's lock spins, so nothing is copied under it.
 */
#include "fs/internal.h"
#include "fs/poll.h"
#include "syscalls.h"

#define EFD_SEMAPHORE 1
#define COUNT_MAX     (UINT64_MAX - 1)

struct eventfd {
	spinlock_t lock; /* E; the sleeps' condition lock */
	bool semaphore;
	u64 count; /* E; read racily by poll */
	struct waitq readable, writable;
};

/* Waits until ready: 0, -EAGAIN, -ERESTARTSYS. e->lock is held. */
static int eventfd_wait(struct file *f, struct eventfd *e, struct waitq *q)
{
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	return waitq_sleep(q, &e->lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
}

static s64 eventfd_read(struct file *f, struct uio *u, u64 *pos)
{
	struct eventfd *e = f->private;
	u64 value = 0;
	int err = 0;

	if (u->left < sizeof(value))
		return -EINVAL;
	spin_lock(&e->lock);
	while (!e->count && !err)
		err = eventfd_wait(f, e, &e->readable);
	if (!err) {
		value = e->semaphore ? 1 : e->count;
		e->count -= value;
		waitq_wake_all(&e->writable, POLLOUT);
	}
	spin_unlock(&e->lock);
	return err ? err : uio_copy_out(u, &value, sizeof(value));
}

static s64 eventfd_write(struct file *f, struct uio *u, u64 *pos)
{
	struct eventfd *e = f->private;
	u64 value;
	s64 n;
	int err = 0;

	if (u->left < sizeof(value))
		return -EINVAL;
	n = uio_copy_in(u, &value, sizeof(value));
	if (n != sizeof(value))
		return -EFAULT;
	if (value > COUNT_MAX)
		return -EINVAL;
	spin_lock(&e->lock);
	while (COUNT_MAX - e->count < value && !err)
		err = eventfd_wait(f, e, &e->writable);
	if (!err) {
		e->count += value;
		waitq_wake_all(&e->readable, POLLIN);
	}
	spin_unlock(&e->lock);
	return err ? err : n;
}

static u32 eventfd_poll(struct file *f, struct poll_table *pt)
{
	struct eventfd *e = f->private;
	u64 count;

	poll_wait(pt, &e->readable);
	poll_wait(pt, &e->writable);
	count = READ_ONCE(e->count);
	return (count ? POLLIN : 0) | (count < COUNT_MAX ? POLLOUT : 0);
}

static void eventfd_release(struct file *f)
{
	kfree(f->private);
}

static const struct file_ops eventfd_ops = {
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.release = eventfd_release,
	.no_seek = true,
};

static int eventfd_create(u32 count, int flags, struct file **out)
{
	struct eventfd *e = kmalloc(sizeof(*e), KM_ACCOUNT);
	struct inode *i;
	int err;

	if (!e)
		return -ENOMEM;
	spin_init(&e->lock, RANK_EVENTFD);
	e->semaphore = flags & EFD_SEMAPHORE;
	e->count = count;
	waitq_init(&e->readable);
	waitq_init(&e->writable);
	err = inode_create_anon(0600, &i);
	if (!err)
		err = file_create_anon(i, &eventfd_ops, O_RDWR | (flags & O_NONBLOCK), e,
				       "anon_inode:[eventfd]", out);
	if (err)
		kfree(e);
	return err;
}

s64 sys_eventfd2(u32 count, int flags)
{
	struct file *f;
	int err;

	if (flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	err = eventfd_create(count, flags, &f);
	return err ? err : fd_add(f, flags & O_CLOEXEC);
}

s64 sys_eventfd(u32 count)
{
	return sys_eventfd2(count, 0);
}
