/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - pipes and fifos (man 7 pipe, fifo).
 *
 * A pipe is a ring of bytes on pages that are allocated when they are first
 * written and given back as they are drained, so an idle pipe holds none but a
 * spare (and a page that was not read to its end). head and tail are positions
 * that only rewind, to the start of a page, when the pipe is empty:
 *
 *	tail <= head <= start of tail's page + size
 *	byte n stands in slot (n / 4096) % pages
 *
 * So a slot never holds bytes of two laps: the page that is being read takes no
 * new bytes before it is read to its end, as on Linux.
 *
 * Writes of at most PIPE_BUF bytes go in whole or wait for room. Pages are
 * charged to the writer.
 *
 * Locks: pipe->lock (a mutex: copying may fault) guards everything; the wait
 * queues' condition lock is it. A fifo's inode->lock guards inode->pipe_or_socket.
 */
#include "fs/pipe.h"
#include "arch/x86/uaccess.h"
#include "core/cred.h"
#include "core/task.h"
#include "fs/fdtable.h"
#include "fs/poll.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "syscalls.h"

#define FIONREAD 0x541b
#define SIGPIPE	 13

struct pipe {
	struct mutex lock; /* P */
	struct waitq readable, writable, opened;
	u64 head, tail;			/* P */
	u32 pages;			/* P; a power of two */
	u32 users;			/* P: files, and fifo opens that wait */
	u32 readers, writers;		/* P: files open for it */
	u32 reader_opens, writer_opens; /* P: how often; a fifo's open waits for a change */
	struct page **ring;		/* P */
	struct page *spare;		/* P */
};

static struct slab_cache *pipe_cache;

void pipe_init(void)
{
	pipe_cache = slab_cache_create("pipe", sizeof(struct pipe), 0, SLAB_ACCOUNT | SLAB_ZERO);
}

/* --- the object --- */

static int pipe_alloc(struct pipe **out)
{
	struct pipe *p = slab_alloc(pipe_cache);

	if (!p)
		return -ENOMEM;
	p->pages = PIPE_SIZE_DEFAULT / PAGE_SIZE;
	p->ring = kmalloc(p->pages * sizeof(*p->ring), KM_ZERO | KM_ACCOUNT);
	if (!p->ring) {
		slab_free(pipe_cache, p);
		return -ENOMEM;
	}
	mutex_init(&p->lock, RANK_PIPE);
	waitq_init(&p->readable);
	waitq_init(&p->writable);
	waitq_init(&p->opened);
	*out = p;
	return 0;
}

static void pipe_free(struct pipe *p)
{
	for (u32 i = 0; i < p->pages; i++)
		if (p->ring[i])
			page_put(p->ring[i]);
	if (p->spare)
		page_put(p->spare);
	kfree(p->ring);
	slab_free(pipe_cache, p);
}

static u64 pipe_size(const struct pipe *p)
{
	return (u64)p->pages * PAGE_SIZE;
}

static u64 pipe_room(const struct pipe *p)
{
	return ALIGN_DOWN(p->tail, PAGE_SIZE) + pipe_size(p) - p->head;
}

static struct page **pipe_slot(struct pipe *p, u64 position)
{
	return &p->ring[position / PAGE_SIZE & (p->pages - 1)];
}

/* --- moving bytes: the lock is held --- */

static int slot_fill(struct pipe *p, struct page **slot)
{
	if (*slot)
		return 0;
	*slot = p->spare;
	p->spare = NULL;
	if (*slot)
		return 0;
	*slot = page_alloc(0, 0, current->account);
	if (!*slot)
		return -ENOMEM;
	page_become_kernel(*slot);
	return 0;
}

static void slot_drain(struct pipe *p, struct page **slot)
{
	if (!p->spare)
		p->spare = *slot;
	else
		page_put(*slot);
	*slot = NULL;
}

/* Puts in up to n bytes: how many, or -ENOMEM, -EFAULT if none. */
static s64 pipe_put(struct pipe *p, struct uio *u, u64 n)
{
	u64 done = 0;
	s64 k = 0;

	while (done < n) {
		struct page **slot = pipe_slot(p, p->head);
		u64 offset = p->head & PAGE_MASK, want = MIN(n - done, PAGE_SIZE - offset);

		k = slot_fill(p, slot);
		if (!k)
			k = uio_copy_in(u, (char *)page_virt(*slot) + offset, want);
		if (k < 0)
			break;
		p->head += k;
		done += k;
		if ((u64)k < want)
			break;
	}
	return done ? (s64)done : k;
}

static s64 pipe_take(struct pipe *p, struct uio *u)
{
	u64 done = 0;
	s64 k = 0;

	while (u->left && p->tail < p->head) {
		struct page **slot = pipe_slot(p, p->tail);
		u64 offset = p->tail & PAGE_MASK, want = MIN(p->head - p->tail, PAGE_SIZE - offset);

		want = MIN(want, u->left);
		k = uio_copy_out(u, (char *)page_virt(*slot) + offset, want);
		if (k < 0)
			break;
		p->tail += k;
		done += k;
		if (!(p->tail & PAGE_MASK))
			slot_drain(p, slot);
		if ((u64)k < want)
			break;
	}
	if (p->tail == p->head) /* what comes next begins at the start of the same page */
		p->head = p->tail = ALIGN_DOWN(p->tail, PAGE_SIZE);
	return done ? (s64)done : k;
}

/* --- read and write --- */

static s64 pipe_read(struct file *f, struct uio *u, u64 *pos)
{
	struct pipe *p = f->private;
	s64 n = 0;

	if (!u->left)
		return 0;
	mutex_lock(&p->lock);
	while (p->head == p->tail) {
		if (!p->writers)
			goto unlock;
		n = f->flags & O_NONBLOCK ? -EAGAIN : 0;
		if (!n)
			n = waitq_sleep_mutex(&p->readable, &p->lock, SLEEP_INTERRUPTIBLE,
					      KTIME_NEVER);
		if (n)
			goto unlock;
	}
	n = pipe_take(p, u);
	if (pipe_room(p) >= PIPE_BUF)
		waitq_wake_all(&p->writable, POLLOUT | POLLWRNORM);
unlock:
	mutex_unlock(&p->lock);
	return n;
}

/* Waits until `need` bytes fit: 0, -EPIPE, -EAGAIN, -ERESTARTSYS. */
static int pipe_wait_room(struct file *f, struct pipe *p, u64 need)
{
	for (;;) {
		int err;

		if (!p->readers)
			return -EPIPE;
		if (pipe_room(p) >= need)
			return 0;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		err = waitq_sleep_mutex(&p->writable, &p->lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
		if (err)
			return err;
	}
}

static s64 pipe_write(struct file *f, struct uio *u, u64 *pos)
{
	struct pipe *p = f->private;
	u64 need = u->left <= PIPE_BUF ? u->left : 1, done = 0;
	s64 n = 0;

	if (!u->left)
		return 0;
	mutex_lock(&p->lock);
	while (u->left) {
		n = pipe_wait_room(f, p, need);
		if (!n)
			n = pipe_put(p, u, MIN(u->left, pipe_room(p)));
		if (n < 0)
			break;
		done += n;
		need = 1;
		waitq_wake_all(&p->readable, POLLIN | POLLRDNORM);
	}
	mutex_unlock(&p->lock);
	if (n == -EPIPE)
		signal_send_self(SIGPIPE);
	return done ? (s64)done : n;
}

static u32 pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = f->private;
	u32 events = 0;

	if (f->mode & FILE_READ) {
		poll_wait(pt, &p->readable);
		if (READ_ONCE(p->head) != READ_ONCE(p->tail))
			events |= POLLIN | POLLRDNORM;
		if (!READ_ONCE(p->writers) && p->writer_opens)
			events |= POLLHUP;
	}
	if (f->mode & FILE_WRITE) {
		poll_wait(pt, &p->writable);
		if (pipe_room(p) >= PIPE_BUF)
			events |= POLLOUT | POLLWRNORM;
		if (!READ_ONCE(p->readers))
			events |= POLLERR;
	}
	return events;
}

static s64 pipe_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct pipe *p = f->private;
	s32 n;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->lock);
	n = p->head - p->tail;
	mutex_unlock(&p->lock);
	return put_user(arg, &n);
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->private;
	bool last;

	mutex_lock(&f->inode->lock);
	mutex_lock(&p->lock);
	p->readers -= !!(f->mode & FILE_READ);
	p->writers -= !!(f->mode & FILE_WRITE);
	last = --p->users == 0;
	if (!p->readers || !p->writers) {
		waitq_wake_all(&p->readable, POLLIN | POLLHUP | POLLRDNORM);
		waitq_wake_all(&p->writable, POLLOUT | POLLERR | POLLWRNORM);
	}
	mutex_unlock(&p->lock);
	if (last && f->inode->pipe_or_socket == p)
		f->inode->pipe_or_socket = NULL;
	mutex_unlock(&f->inode->lock);
	if (last)
		pipe_free(p);
}

static const struct file_ops pipe_file_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
	.no_seek = true,
};

/* --- pipe(2) --- */

int pipe_create(int flags, struct file **reader, struct file **writer)
{
	struct inode *inode;
	struct pipe *p;
	int err = inode_create_anon(S_IFIFO | 0600, &inode);

	if (err)
		return err;
	err = pipe_alloc(&p);
	if (err)
		goto put_inode;
	p->users = 2;
	p->readers = p->writers = 1;
	p->reader_opens = p->writer_opens = 1;
	inode->pipe_or_socket = p;
	err = file_create_anon(inode_get(inode), &pipe_file_ops, O_RDONLY | flags, p,
			       "pipe:", reader);
	if (err)
		goto free_pipe;
	err = file_create_anon(inode, &pipe_file_ops, O_WRONLY | flags, p, "pipe:", writer);
	if (err) {
		p->users = 1; /* what the reader's release gives back */
		p->writers = 0;
		file_put(*reader);
		return err;
	}
	return 0;

free_pipe:
	pipe_free(p);
put_inode:
	inode_put(inode);
	return err;
}

s64 sys_pipe2(uaddr_t out, int flags)
{
	struct file *reader, *writer;
	u32 fd[2];
	int err;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL; /* O_DIRECT: doc/abi.md */
	err = pipe_create(flags & O_NONBLOCK, &reader, &writer);
	if (err)
		return err;
	err = fd_reserve(0, flags & O_CLOEXEC, &fd[0]);
	if (err)
		goto put_files;
	err = fd_reserve(0, flags & O_CLOEXEC, &fd[1]);
	if (err)
		goto release_first;
	err = put_user(out, &fd);
	if (err)
		goto release_second;
	fd_install(fd[0], reader);
	fd_install(fd[1], writer);
	return 0;

release_second:
	fd_release(fd[1]);
release_first:
	fd_release(fd[0]);
put_files:
	file_put(reader);
	file_put(writer);
	return err;
}

s64 sys_pipe(uaddr_t out)
{
	return sys_pipe2(out, 0);
}

/* --- fifos --- */

/* The inode's pipe with one more user, made if need be. */
static int fifo_pipe(struct inode *i, struct pipe **out)
{
	struct pipe *p;
	int err = 0;

	mutex_lock(&i->lock);
	p = i->pipe_or_socket;
	if (!p)
		err = pipe_alloc(&p);
	if (!err) {
		i->pipe_or_socket = p;
		p->users++;
		*out = p;
	}
	mutex_unlock(&i->lock);
	return err;
}

/* Sleeps until the other end has been opened since; POSIX's open of a fifo. */
static int fifo_wait(struct pipe *p, const u32 *opens)
{
	u32 before = *opens;
	int err = 0;

	while (*opens == before && !err)
		err = waitq_sleep_mutex(&p->opened, &p->lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
	return err;
}

static int fifo_open(struct inode *i, struct file *f)
{
	bool reads = f->mode & FILE_READ, writes = f->mode & FILE_WRITE,
	     wait = !(f->flags & O_NONBLOCK);
	struct pipe *p;
	int err = fifo_pipe(i, &p);

	if (err)
		return err;
	f->private = p;
	mutex_lock(&p->lock);
	if (writes && !reads && !wait && !p->readers)
		err = -ENXIO;
	p->readers += reads;
	p->writers += writes;
	p->reader_opens += reads && !err;
	p->writer_opens += writes && !err;
	if (!err)
		waitq_wake_all(&p->opened, 0);
	if (!err && reads && !writes && wait && !p->writers)
		err = fifo_wait(p, &p->writer_opens);
	if (!err && writes && !reads && !p->readers)
		err = fifo_wait(p, &p->reader_opens);
	mutex_unlock(&p->lock);
	if (err) {
		pipe_release(f);
		return err;
	}
	f->ops = &pipe_file_ops;
	return 0;
}

const struct file_ops fifo_file_ops = {
	.open = fifo_open,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
	.no_seek = true,
};

/* --- the size --- */

static struct pipe *file_pipe(struct file *f)
{
	return f->ops == &pipe_file_ops ? f->private : NULL;
}

s64 pipe_get_size(struct file *f)
{
	struct pipe *p = file_pipe(f);

	return p ? (s64)pipe_size(p) : -EBADF;
}

s64 pipe_set_size(struct file *f, u64 size)
{
	struct pipe *p = file_pipe(f);
	struct page **ring;
	u32 pages = 1;
	s64 result;

	if (!p)
		return -EBADF;
	if (!size || size > 1u << 31)
		return -EINVAL;
	if (size > PIPE_SIZE_MAX && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	while ((u64)pages * PAGE_SIZE < size)
		pages *= 2;
	ring = kmalloc(pages * sizeof(*ring), KM_ZERO | KM_ACCOUNT);
	if (!ring)
		return -ENOMEM;
	mutex_lock(&p->lock);
	result = -EBUSY;
	if (DIV_ROUND_UP(p->head, PAGE_SIZE) - p->tail / PAGE_SIZE <= pages) {
		for (u64 n = p->tail / PAGE_SIZE; n * PAGE_SIZE < p->head; n++)
			ring[n & (pages - 1)] = p->ring[n & (p->pages - 1)];
		/* A page without bytes: of an empty pipe, or of a write that faulted. */
		if (!(p->head & PAGE_MASK) && pipe_room(p) && *pipe_slot(p, p->head))
			slot_drain(p, pipe_slot(p, p->head));
		struct page **old = p->ring;
		p->ring = ring;
		p->pages = pages;
		ring = old;
		result = pipe_size(p);
		waitq_wake_all(&p->writable, POLLOUT | POLLWRNORM);
	}
	mutex_unlock(&p->lock);
	kfree(ring);
	return result;
}
