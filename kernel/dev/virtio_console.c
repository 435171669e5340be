/* SPDX-License-Identifier: MIT */
/*
 * virtio_console.c - the console device with several ports (virtio 1.2, 5.3).
 *
 * A port is either the screen and keyboard of the virtual consoles (the host
 * calls it a console) or a plain byte channel, /dev/virtio-ports/NAME, open to
 * the host's root only. Port p has queues 2p+2, 2p+3 (port 0: 0, 1); queues 2
 * and 3 carry control messages.
 *
 * Reading: the driver keeps BUFFERS pages with the device; filled ones wait in
 * order on port->filled until a read has emptied them. Writing: up to BUFFERS
 * pages are in flight; a write waits for a free one, a close until all are out.
 *
 * port->lock (a spin lock) guards the queues and lists; the reader and writer
 * mutexes keep whole reads and writes apart, because copying may fault.
 */
#include "core/errno.h"
#include "core/task.h"
#include "core/time.h"
#include "core/work.h"
#include "dev/virtio.h"
#include "fs/devfs.h"
#include "fs/poll.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "tty/tty.h"

#define FEATURE_MULTIPORT 2ull
#define BUFFERS		  4
#define PORTS_MAX	  16
#define PORT_MAJOR	  248
#define CONTROL_BUFFERS	  16
#define CONTROL_SIZE	  128

enum {
	DEVICE_READY,
	PORT_ADD,
	PORT_REMOVE,
	PORT_READY,
	CONSOLE_PORT,
	RESIZE,
	PORT_OPEN,
	PORT_NAME
};

struct control {
	u32 id;
	u16 event, value;
};

struct buffer {
	struct list node;
	struct page *page;
	u32 length, taken;
};

struct port {
	u32 id;
	char name[PSEUDO_NAME_MAX];
	struct console *console;
	spinlock_t lock;	    /* L; RANK_VIRTQUEUE */
	struct virtqueue *in, *out; /* L */
	struct list filled;	    /* L: buffers with input, oldest first */
	struct list idle;	    /* L: free output buffers */
	u32 in_flight;		    /* L: output buffers with the device */
	bool host_open;		    /* L: somebody listens on the host's side */
	bool host_was_open;	    /* L */
	bool is_screen;
	u32 opens; /* L: guest's open files */
	struct waitq readable, writable;
	struct mutex reader, writer;
	struct buffer buffers[2 * BUFFERS];
};

struct console {
	struct virtio_device *device;
	spinlock_t lock; /* control queues; RANK_VIRTQUEUE */
	struct virtqueue *control_in, *control_out;
	struct port *port[PORTS_MAX];
};

static struct console *the_console; /* one device is enough */
static struct port *screen_port;

/* --- control messages --- */

static void control_send(struct console *c, u32 id, u16 event, u16 value)
{
	struct control *m = kmalloc(sizeof(*m), 0);

	if (!m)
		return;
	*m = (struct control){ id, event, value };
	spin_lock(&c->lock);
	if (virtqueue_add(c->control_out,
			  &(struct virtio_buffer){ virt_to_phys(m), sizeof(*m), false }, 1, m))
		kfree(m);
	else
		virtqueue_kick(c->control_out);
	spin_unlock(&c->lock);
}

static void control_out_done(struct virtqueue *q)
{
	struct console *c = q->device->private;
	void *m;

	spin_lock(&c->lock);
	while ((m = virtqueue_get(q, NULL)))
		kfree(m);
	spin_unlock(&c->lock);
}

static struct port *port_by_id(struct console *c, u32 id)
{
	return id < PORTS_MAX ? c->port[id] : NULL;
}

/* --- ports: queues --- */

static void buffer_offer(struct port *p, struct buffer *b) /* lock held */
{
	b->taken = 0;
	virtqueue_add(p->in, &(struct virtio_buffer){ page_phys(b->page), PAGE_SIZE, true }, 1, b);
}

static void port_in_done(struct virtqueue *q)
{
	struct port *p = q->private;
	struct buffer *b;
	u32 length;

	spin_lock(&p->lock);
	while ((b = virtqueue_get(q, &length))) {
		b->length = MIN(length, (u32)PAGE_SIZE);
		if (p->is_screen) {
			spin_unlock(&p->lock);
			vc_keyboard_input(page_virt(b->page), b->length);
			spin_lock(&p->lock);
			buffer_offer(p, b);
		} else {
			list_append(&p->filled, &b->node);
			waitq_wake_all(&p->readable, POLLIN | POLLRDNORM);
		}
	}
	virtqueue_kick(q);
	spin_unlock(&p->lock);
}

/* Takes back what the device has sent, and says so: the device's interrupt may find nothing left.
 * lock held */
static void port_reap_output(struct port *p)
{
	u32 before = p->in_flight;
	struct buffer *b;

	while ((b = virtqueue_get(p->out, NULL))) {
		list_append(&p->idle, &b->node);
		p->in_flight--;
	}
	if (p->in_flight != before)
		waitq_wake_all(&p->writable, POLLOUT | POLLWRNORM);
}

static void port_out_done(struct virtqueue *q)
{
	struct port *p = q->private;

	spin_lock(&p->lock);
	port_reap_output(p);
	spin_unlock(&p->lock);
	if (p->is_screen)
		vc_screen_ready();
}

static int port_init(struct console *c, struct port *p, u32 id)
{
	unsigned queue = id ? 2 * id + 2 : 0;
	int err;

	p->id = id;
	p->console = c;
	spin_init(&p->lock, RANK_VIRTQUEUE);
	list_init(&p->filled);
	list_init(&p->idle);
	waitq_init(&p->readable);
	waitq_init(&p->writable);
	mutex_init(&p->reader, RANK_TTY_LOCK);
	mutex_init(&p->writer, RANK_TTY_LOCK);
	for (unsigned i = 0; i < 2 * BUFFERS; i++) {
		p->buffers[i].page = page_alloc(0, PAGE_KERNEL, NULL);
		if (!p->buffers[i].page)
			return -ENOMEM;
		if (i >= BUFFERS)
			list_append(&p->idle, &p->buffers[i].node);
	}
	err = virtqueue_create(c->device, queue, BUFFERS, port_in_done, &p->in);
	if (!err)
		err = virtqueue_create(c->device, queue + 1, BUFFERS, port_out_done, &p->out);
	if (err)
		return err;
	p->in->private = p->out->private = p;
	return 0;
}

/* All ports that the device can have get their queues before it runs (virtio 1.2, 3.1.1). */
static int ports_create(struct console *c, u32 count)
{
	for (u32 id = 0; id < count; id++) {
		struct port *p = kmalloc(sizeof(*p), KM_ZERO);
		int err = p ? port_init(c, p, id) : -ENOMEM;

		if (err)
			return err;
		c->port[id] = p;
	}
	return 0;
}

static void port_start(struct port *p)
{
	spin_lock(&p->lock);
	for (unsigned i = 0; i < BUFFERS; i++)
		buffer_offer(p, &p->buffers[i]);
	virtqueue_kick(p->in);
	spin_unlock(&p->lock);
}

/* --- the screen --- */

/* Does not reap: each buffer that comes back is to reach vc_screen_ready() by port_out_done(). */
static size_t screen_room(void)
{
	struct port *p = screen_port;
	size_t room;

	spin_lock(&p->lock);
	room = list_empty(&p->idle) ? 0 : PAGE_SIZE;
	spin_unlock(&p->lock);
	return room;
}

/* Into one buffer: screen_room() has said that there is one, and vc_lock keeps others out. */
static void screen_write(const char *s, size_t n)
{
	struct port *p = screen_port;
	struct buffer *b;

	spin_lock(&p->lock);
	b = list_first(&p->idle, struct buffer, node);
	list_remove(&b->node);
	memcpy(page_virt(b->page), s, n);
	virtqueue_add(p->out, &(struct virtio_buffer){ page_phys(b->page), n, false }, 1, b);
	p->in_flight++;
	virtqueue_kick(p->out);
	spin_unlock(&p->lock);
}

static const struct vc_screen virtio_screen = { .room = screen_room, .write = screen_write };

static void port_become_screen(struct port *p)
{
	if (screen_port)
		return;
	p->is_screen = true;
	screen_port = p;
	control_send(p->console, p->id, PORT_OPEN, 1);
	port_start(p);
	vc_attach_screen(&virtio_screen);
}

/* --- control input --- */

static void port_named(struct port *p, const char *name, size_t n)
{
	n = MIN(n, sizeof(p->name) - 1);
	memcpy(p->name, name, n);
	p->name[n] = 0;
	for (char *s = p->name; *s; s++)
		if (*s == '/')
			*s = '_';
}

static void port_host_opened(struct port *p, bool open)
{
	spin_lock(&p->lock);
	p->host_open = open;
	p->host_was_open |= open;
	waitq_wake_all(&p->readable, 0);
	waitq_wake_all(&p->writable, 0);
	spin_unlock(&p->lock);
}

static void control_handle(struct console *c, const struct control *m, size_t length)
{
	struct port *p = port_by_id(c, m->id);

	if (length < sizeof(*m) || !p)
		return;
	switch (m->event) {
	case PORT_ADD:
		control_send(c, m->id, PORT_READY, 1);
		break;
	case CONSOLE_PORT:
		port_become_screen(p);
		break;
	case PORT_OPEN:
		port_host_opened(p, m->value);
		break;
	case PORT_NAME:
		port_named(p, (const char *)(m + 1), length - sizeof(*m));
		break;
	}
}

static void control_offer(struct console *c, void *buf)
{
	virtqueue_add(c->control_in,
		      &(struct virtio_buffer){ virt_to_phys(buf), CONTROL_SIZE, true }, 1, buf);
}

static void control_in_done(struct virtqueue *q)
{
	struct console *c = q->device->private;
	u32 length;
	void *buf;

	spin_lock(&c->lock);
	while ((buf = virtqueue_get(q, &length))) {
		spin_unlock(&c->lock);
		control_handle(c, buf, MIN(length, (u32)CONTROL_SIZE));
		spin_lock(&c->lock);
		control_offer(c, buf);
	}
	virtqueue_kick(q);
	spin_unlock(&c->lock);
}

/* --- a port as a file --- */

static int port_open(struct inode *i, struct file *f)
{
	struct port *p = the_console ? port_by_id(the_console, dev_minor(i->rdev)) : NULL;
	bool first;

	if (!p || p->is_screen || !p->name[0])
		return -ENXIO;
	spin_lock(&p->lock);
	first = !p->opens;
	if (first)
		p->opens = 1;
	spin_unlock(&p->lock);
	if (!first)
		return -EBUSY; /* one file at a time, as on Linux */
	f->private = p;
	if (list_empty(&p->filled) && p->in->free_count == p->in->size)
		port_start(p);
	control_send(p->console, p->id, PORT_OPEN, 1);
	return 0;
}

static void port_release(struct file *f)
{
	struct port *p = f->private;

	spin_lock(&p->lock);
	while (p->in_flight && p->host_open)
		if (waitq_sleep(&p->writable, &p->lock, SLEEP_KILLABLE,
				ktime_get() + 10 * NSEC_PER_SEC))
			break;
	p->opens = 0;
	spin_unlock(&p->lock);
	control_send(p->console, p->id, PORT_OPEN, 0);
}

/* The oldest filled buffer; NULL at the end (the host has closed its side). lock held */
static int port_next_input(struct file *f, struct port *p, struct buffer **out)
{
	*out = NULL;
	while (list_empty(&p->filled)) {
		int err;

		if (!p->host_open && p->host_was_open)
			return 0;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		err = waitq_sleep(&p->readable, &p->lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
		if (err)
			return err;
	}
	*out = list_first(&p->filled, struct buffer, node);
	return 0;
}

static s64 port_read(struct file *f, struct uio *u, u64 *pos)
{
	struct port *p = f->private;
	struct buffer *b;
	s64 n;

	if (!u->left)
		return 0;
	mutex_lock(&p->reader);
	spin_lock(&p->lock);
	n = port_next_input(f, p, &b);
	spin_unlock(&p->lock);
	if (n || !b)
		goto unlock;
	n = uio_copy_out(u, (char *)page_virt(b->page) + b->taken,
			 MIN(u->left, (u64)(b->length - b->taken)));
	if (n < 0)
		goto unlock;
	b->taken += n;
	if (b->taken == b->length) {
		spin_lock(&p->lock);
		list_remove(&b->node);
		buffer_offer(p, b);
		virtqueue_kick(p->in);
		spin_unlock(&p->lock);
	}
unlock:
	mutex_unlock(&p->reader);
	return n;
}

/* A free output buffer, taken off the list: -EAGAIN, -EPIPE (nobody listens any more),
 * -ERESTARTSYS. */
static int port_free_buffer(struct file *f, struct port *p, struct buffer **out)
{
	int err = 0;

	spin_lock(&p->lock);
	for (;;) {
		port_reap_output(p);
		if (!p->host_open && p->host_was_open)
			err = -EPIPE;
		else if (p->host_open && !list_empty(&p->idle))
			break;
		else if (f->flags & O_NONBLOCK)
			err = -EAGAIN;
		else
			err = waitq_sleep(&p->writable, &p->lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
		if (err)
			break;
	}
	if (!err) {
		*out = list_first(&p->idle, struct buffer, node);
		list_remove(&(*out)->node);
	}
	spin_unlock(&p->lock);
	return err;
}

static void port_send(struct port *p, struct buffer *b, u32 n)
{
	spin_lock(&p->lock);
	if (n) {
		virtqueue_add(p->out, &(struct virtio_buffer){ page_phys(b->page), n, false }, 1,
			      b);
		p->in_flight++;
		virtqueue_kick(p->out);
	} else {
		list_append(&p->idle, &b->node);
	}
	spin_unlock(&p->lock);
}

static s64 port_write(struct file *f, struct uio *u, u64 *pos)
{
	struct port *p = f->private;
	struct buffer *b;
	s64 done = 0, n = 0;

	mutex_lock(&p->writer);
	while (u->left) {
		n = port_free_buffer(f, p, &b);
		if (n)
			break;
		n = uio_copy_in(u, page_virt(b->page), MIN(u->left, PAGE_SIZE));
		port_send(p, b, MAX(n, (s64)0));
		if (n < 0)
			break;
		done += n;
		resched_point();
	}
	mutex_unlock(&p->writer);
	return done ? done : n;
}

static u32 port_poll(struct file *f, struct poll_table *pt)
{
	struct port *p = f->private;
	u32 events = 0;

	poll_wait(pt, &p->readable);
	poll_wait(pt, &p->writable);
	spin_lock(&p->lock);
	port_reap_output(p);
	if (!list_empty(&p->filled))
		events |= POLLIN | POLLRDNORM;
	if (p->host_open && !list_empty(&p->idle))
		events |= POLLOUT | POLLWRNORM;
	if (!p->host_open && p->host_was_open)
		events |= POLLHUP;
	spin_unlock(&p->lock);
	return events;
}

/* All output is with the host. */
static int port_fsync(struct file *f, u64 start, u64 end, bool data_only)
{
	struct port *p = f->private;
	int err = 0;

	spin_lock(&p->lock);
	while (p->in_flight && p->host_open && !err)
		err = waitq_sleep(&p->writable, &p->lock, SLEEP_INTERRUPTIBLE, KTIME_NEVER);
	spin_unlock(&p->lock);
	return err;
}

static const struct file_ops port_file_ops = {
	.open = port_open,
	.release = port_release,
	.read = port_read,
	.write = port_write,
	.poll = port_poll,
	.fsync = port_fsync,
	.no_seek = true,
};

/* --- /dev/virtio-ports --- */

static struct port *named_port(u64 id)
{
	struct port *p = the_console ? port_by_id(the_console, id) : NULL;

	return p && p->name[0] && !p->is_screen ? p : NULL;
}

static int ports_lookup(void *object, const char *name, size_t len, struct pseudo_entry *e,
			void **child)
{
	for (u32 id = 0; id < PORTS_MAX; id++) {
		struct port *p = named_port(id);

		if (!p || strcmp(p->name, name))
			continue;
		*e = (struct pseudo_entry){ .mode = S_IFCHR | 0600,
					    .rdev = makedev(PORT_MAJOR, id) };
		*child = object;
		return 0;
	}
	return -ENOENT;
}

static bool ports_next(void *object, u64 *cookie, char *name, size_t size, u32 *mode)
{
	while (*cookie < PORTS_MAX && !named_port(*cookie))
		(*cookie)++;
	if (*cookie >= PORTS_MAX)
		return false;
	strlcpy(name, named_port(*cookie)->name, size);
	*mode = S_IFCHR | 0600;
	return true;
}

static const struct pseudo_dir_ops ports_dir = { .lookup = ports_lookup, .next = ports_next };
static const struct pseudo_entry ports_entry = {
	.name = "virtio-ports",
	.mode = S_IFDIR | 0755,
	.dir = &ports_dir,
};

/* --- probe --- */

static int control_init_queues(struct console *c)
{
	int err = virtqueue_create(c->device, 2, CONTROL_BUFFERS, control_in_done, &c->control_in);

	if (!err)
		err = virtqueue_create(c->device, 3, CONTROL_BUFFERS, control_out_done,
				       &c->control_out);
	for (int i = 0; i < CONTROL_BUFFERS && !err; i++) {
		void *buf = kmalloc(CONTROL_SIZE, 0);
		if (buf)
			control_offer(c, buf);
		else
			err = -ENOMEM;
	}
	return err;
}

static int console_probe(struct virtio_device *d)
{
	struct console *c = kmalloc(sizeof(*c), KM_ZERO);
	bool multiport = d->features & FEATURE_MULTIPORT;
	u32 ports = 1;
	int err = c && !the_console ? 0 : -ENOMEM;

	if (err)
		return err;
	c->device = d;
	d->private = c;
	spin_init(&c->lock, RANK_VIRTQUEUE);
	if (multiport)
		virtio_config_read(d, 4, &ports, sizeof(ports));
	err = ports_create(c, MIN(ports, (u32)PORTS_MAX));
	if (!err && multiport)
		err = control_init_queues(c);
	if (err)
		return err;
	the_console = c;
	virtio_driver_ok(d);
	if (multiport) {
		virtqueue_kick(c->control_in);
		control_send(c, 0, DEVICE_READY, 1);
	} else {
		port_become_screen(c->port[0]);
	}
	err = chrdev_register(PORT_MAJOR, 0, PORTS_MAX, &port_file_ops);
	return err ? err : devfs_register(&ports_entry, DEVFS_HOST);
}

const struct virtio_driver virtio_console_driver = {
	.name = "console",
	.device_id = 3,
	.features = FEATURE_MULTIPORT,
	.probe = console_probe,
};
