/* SPDX-License-Identifier: MIT */
/* socket.c - the socket object and its file: read, write, poll, close. */
#include "net/socket.h"
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/task.h"
#include "fs/poll.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "net/unix.h"

#define BUFFER_DEFAULT 212992 /* net.core.wmem_default of Linux */
#define FIONREAD       0x541b
#define SIOCOUTQ       0x5411

void socket_init_object(struct socket *s, const struct socket_ops *ops, u16 family, u16 type)
{
	ref_init(&s->refs, 1);
	s->ops = ops;
	s->family = family;
	s->type = type;
	s->owner = owner_get(current->owner);
	s->send_size = s->receive_size = BUFFER_DEFAULT;
}

struct socket *socket_get(struct socket *s)
{
	ref_get(&s->refs);
	return s;
}

void socket_put(struct socket *s)
{
	struct owner *owner = s->owner;

	if (!ref_put(&s->refs))
		return;
	s->ops->free(s);
	owner_put(owner);
}

static s64 socket_read(struct file *f, struct uio *u, u64 *pos)
{
	struct socket *s = f->private;
	struct message m = { .uio = u };

	return s->ops->receive(s, &m, !(f->flags & O_NONBLOCK));
}

static s64 socket_write(struct file *f, struct uio *u, u64 *pos)
{
	struct socket *s = f->private;
	struct message m = { .uio = u };

	return s->ops->send(s, &m, !(f->flags & O_NONBLOCK));
}

static u32 socket_poll(struct file *f, struct poll_table *pt)
{
	struct socket *s = f->private;

	return s->ops->poll(s, pt);
}

static s64 socket_ioctl(struct file *f, u32 cmd, u64 arg)
{
	struct socket *s = f->private;
	s32 n = 0;

	if (cmd != FIONREAD && cmd != SIOCOUTQ)
		return -ENOTTY;
	if (cmd == FIONREAD)
		n = s->ops->available(s);
	return put_user(arg, &n);
}

static void socket_release(struct file *f)
{
	struct socket *s = f->private;

	s->ops->release(s);
	socket_put(s);
}

static const struct file_ops socket_file_ops = {
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.ioctl = socket_ioctl,
	.release = socket_release,
	.no_seek = true,
};

int socket_file(struct socket *s, int flags, struct file **out)
{
	struct inode *i;
	int err = inode_create_anon(S_IFSOCK | 0777, &i);

	if (!err) {
		s->ino = i->ino;
		err = file_create_anon(i, &socket_file_ops, O_RDWR | flags, s, "socket:", out);
	}
	if (err) {
		s->ops->release(s);
		socket_put(s);
	}
	return err;
}

struct socket *file_socket(struct file *f)
{
	return f->ops == &socket_file_ops ? f->private : NULL;
}

void ancillary_drop(struct ancillary *a)
{
	for (u32 i = 0; i < a->file_count; i++)
		file_put(a->files[i]);
	kfree(a->files);
	*a = (struct ancillary){ 0 };
}

void socket_init(void)
{
	unix_init();
}
