/* SPDX-License-Identifier: MIT */
/* sys_socket.c - the system calls on sockets (man 2 socket, bind, send, recv, getsockopt ...). */
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/task.h"
#include "core/time.h"
#include "fs/fdtable.h"
#include "fs/uio.h"
#include "lib/string.h"
#include "net/socket.h"
#include "syscalls.h"

static const struct address_family *const families[] = { &unix_family };

/* --- descriptors and addresses --- */

struct socket_ref {
	struct fd_ref fd;
	struct socket *s;
	bool nonblock;
};

static int socket_begin(int fd, struct socket_ref *r)
{
	int err = fd_begin(fd, &r->fd);

	if (err)
		return err;
	r->s = file_socket(r->fd.file);
	r->nonblock = r->fd.file->flags & O_NONBLOCK;
	if (r->s)
		return 0;
	fd_end(r->fd);
	return -ENOTSOCK;
}

static void socket_end(struct socket_ref *r)
{
	fd_end(r->fd);
}

static int address_from_user(struct sockaddr_any *a, uaddr_t ua, int length)
{
	memset(a, 0, sizeof(*a));
	if (length < 0 || length > (int)sizeof(*a))
		return -EINVAL;
	return copy_from_user(a, ua, length);
}

/* As much as the user has room for; the real length in any case. */
static int address_to_user(const struct sockaddr_any *a, u32 length, uaddr_t ua, uaddr_t ulength)
{
	s32 room;

	if (get_user(&room, ulength))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (copy_to_user(ua, a, MIN((u32)room, length)))
		return -EFAULT;
	return put_user(ulength, &length);
}

/* --- making them --- */

static int create_socket(int domain, int type, int protocol, struct socket **out)
{
	if (type & ~(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (families[i]->family == domain)
			return families[i]->create(type & SOCK_TYPE_MASK, protocol, out);
	return -EAFNOSUPPORT;
}

static s64 socket_to_fd(struct socket *s, int flags)
{
	struct file *f;
	int err = socket_file(s, flags & SOCK_NONBLOCK, &f);

	return err ? err : fd_add(f, flags & SOCK_CLOEXEC);
}

s64 sys_socket(int domain, int type, int protocol)
{
	struct socket *s;
	int err = create_socket(domain, type, protocol, &s);

	return err ? err : socket_to_fd(s, type);
}

s64 sys_socketpair(int domain, int type, int protocol, uaddr_t out)
{
	struct socket *a, *b;
	s32 fd[2];
	s64 n;
	int err = create_socket(domain, type, protocol, &a);

	if (err)
		return err;
	err = create_socket(domain, type, protocol, &b);
	if (err) {
		socket_put(a);
		return err;
	}
	err = a->ops->pair(a, b);
	n = socket_to_fd(a, type);
	if (n < 0) {
		b->ops->release(b);
		socket_put(b);
		return n;
	}
	fd[0] = n;
	n = socket_to_fd(b, type);
	if (n >= 0) {
		fd[1] = n;
		err = put_user(out, &fd);
		if (!err)
			return 0;
		fd_close(fd[1]);
		n = err;
	}
	fd_close(fd[0]);
	return n;
}

/* --- connections --- */

s64 sys_bind(int fd, uaddr_t ua, int length)
{
	struct sockaddr_any a;
	struct socket_ref r;
	int err = socket_begin(fd, &r);

	if (err)
		return err;
	err = address_from_user(&a, ua, length);
	if (!err)
		err = r.s->ops->bind(r.s, &a, length);
	socket_end(&r);
	return err;
}

s64 sys_connect(int fd, uaddr_t ua, int length)
{
	struct sockaddr_any a;
	struct socket_ref r;
	int err = socket_begin(fd, &r);

	if (err)
		return err;
	err = address_from_user(&a, ua, length);
	if (!err)
		err = r.s->ops->connect(r.s, &a, length, !r.nonblock);
	socket_end(&r);
	return err;
}

s64 sys_listen(int fd, int backlog)
{
	struct socket_ref r;
	int err = socket_begin(fd, &r);

	if (err)
		return err;
	err = r.s->ops->listen(r.s, backlog < 0 ? SOMAXCONN : backlog);
	socket_end(&r);
	return err;
}

s64 sys_accept4(int fd, uaddr_t ua, uaddr_t ulength, int flags)
{
	struct sockaddr_any a;
	struct socket_ref r;
	struct socket *s;
	u32 length;
	s64 err;

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	err = socket_begin(fd, &r);
	if (err)
		return err;
	err = r.s->ops->accept(r.s, !r.nonblock, &s);
	socket_end(&r);
	if (err)
		return err;
	if (ua) {
		err = s->ops->name(s, true, &a, &length);
		if (err == -ENOTCONN) { /* it has gone already: it had no name, then */
			a.family = s->family;
			length = sizeof(a.family);
			err = 0;
		}
		if (!err)
			err = address_to_user(&a, length, ua, ulength);
	}
	if (!err)
		return socket_to_fd(s, flags);
	s->ops->release(s);
	socket_put(s);
	return err;
}

s64 sys_accept(int fd, uaddr_t ua, uaddr_t ulength)
{
	return sys_accept4(fd, ua, ulength, 0);
}

s64 sys_shutdown(int fd, int how)
{
	struct socket_ref r;
	int err = socket_begin(fd, &r);

	if (err)
		return err;
	err = how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : r.s->ops->shutdown(r.s, how);
	socket_end(&r);
	return err;
}

static s64 get_name(int fd, bool peer, uaddr_t ua, uaddr_t ulength)
{
	struct sockaddr_any a;
	struct socket_ref r;
	u32 length;
	int err = socket_begin(fd, &r);

	if (err)
		return err;
	err = r.s->ops->name(r.s, peer, &a, &length);
	socket_end(&r);
	return err ? err : address_to_user(&a, length, ua, ulength);
}

s64 sys_getsockname(int fd, uaddr_t ua, uaddr_t ulength)
{
	return get_name(fd, false, ua, ulength);
}

s64 sys_getpeername(int fd, uaddr_t ua, uaddr_t ulength)
{
	return get_name(fd, true, ua, ulength);
}

/* --- sending and receiving --- */

s64 sys_sendto(int fd, uaddr_t buf, size_t n, u32 flags, uaddr_t ua, int length)
{
	struct sockaddr_any a;
	struct uio u;
	struct message m = { .uio = &u, .flags = flags };
	struct socket_ref r;
	s64 result = socket_begin(fd, &r);

	if (result)
		return result;
	if (ua && length) {
		result = address_from_user(&a, ua, length);
		m.name = &a;
		m.name_length = length;
	}
	uio_init_user(&u, buf, MIN(n, (size_t)RW_COUNT_MAX));
	if (!result && !user_source_ok(buf, u.left))
		result = -EFAULT;
	if (!result)
		result = r.s->ops->send(r.s, &m, !(r.nonblock || (flags & MSG_DONTWAIT)));
	socket_end(&r);
	return result;
}

s64 sys_recvfrom(int fd, uaddr_t buf, size_t n, u32 flags, uaddr_t ua, uaddr_t ulength)
{
	struct sockaddr_any a = { 0 };
	struct uio u;
	struct message m = { .uio = &u, .flags = flags, .name = &a };
	struct socket_ref r;
	s64 result = socket_begin(fd, &r);

	if (result)
		return result;
	uio_init_user(&u, buf, MIN(n, (size_t)RW_COUNT_MAX));
	result = user_range_ok(buf, u.left)
			 ? r.s->ops->receive(r.s, &m, !(r.nonblock || (flags & MSG_DONTWAIT)))
			 : -EFAULT;
	socket_end(&r);
	if (result >= 0 && ua && address_to_user(&a, m.name_length, ua, ulength))
		return -EFAULT;
	return result;
}

static s64 send_message(struct socket_ref *r, const struct msghdr_user *h, u32 flags)
{
	struct uio_array array;
	struct ancillary anc;
	struct sockaddr_any a;
	struct uio u;
	struct message m = { .uio = &u, .flags = flags };
	s64 result;

	if (h->name) {
		result = address_from_user(&a, h->name, h->name_length);
		if (result)
			return result;
		m.name = h->name_length ? &a : NULL;
		m.name_length = h->name_length;
	}
	result = control_from_user(h, &anc);
	if (result)
		return result;
	m.ancillary = &anc;
	result = h->iov_count > IOV_MAX ? -EMSGSIZE
					: uio_init_iovec(&u, &array, h->iov, h->iov_count);
	if (!result) {
		result = r->s->ops->send(r->s, &m, !(r->nonblock || (flags & MSG_DONTWAIT)));
		uio_done(&array);
	}
	ancillary_drop(&anc); /* what was not passed on */
	return result;
}

s64 sys_sendmsg(int fd, uaddr_t uh, u32 flags)
{
	struct msghdr_user h;
	struct socket_ref r;
	s64 result = socket_begin(fd, &r);

	if (result)
		return result;
	result = get_user(&h, uh) ? -EFAULT : send_message(&r, &h, flags);
	socket_end(&r);
	return result;
}

static s64 receive_message(struct socket_ref *r, struct msghdr_user *h, u32 flags)
{
	struct uio_array array;
	struct ancillary anc = { 0 };
	struct sockaddr_any a = { 0 };
	struct uio u;
	struct message m = { .uio = &u, .flags = flags, .name = &a, .ancillary = &anc };
	s64 result = h->iov_count > IOV_MAX ? -EMSGSIZE
					    : uio_init_iovec(&u, &array, h->iov, h->iov_count);
	int err = 0;

	if (result)
		return result;
	result = r->s->ops->receive(r->s, &m, !(r->nonblock || (flags & MSG_DONTWAIT)));
	uio_done(&array);
	if (!r->s->pass_cred)
		anc.has_cred = false;
	if (result >= 0)
		err = control_to_user(h, &anc, flags & MSG_CMSG_CLOEXEC, &m.out_flags);
	ancillary_drop(&anc);
	if (result >= 0 && h->name && copy_to_user(h->name, &a, MIN(h->name_length, m.name_length)))
		err = -EFAULT;
	h->name_length = m.name_length;
	h->flags = m.out_flags | (flags & MSG_CMSG_CLOEXEC);
	return err ? err : result;
}

s64 sys_recvmsg(int fd, uaddr_t uh, u32 flags)
{
	struct msghdr_user h;
	struct socket_ref r;
	s64 result = socket_begin(fd, &r);

	if (result)
		return result;
	result = get_user(&h, uh) ? -EFAULT : receive_message(&r, &h, flags);
	socket_end(&r);
	if (result < 0)
		return result;
	if (put_user(uh + offsetof(struct msghdr_user, name_length), &h.name_length) ||
	    put_user(uh + offsetof(struct msghdr_user, control_length), &h.control_length) ||
	    put_user(uh + offsetof(struct msghdr_user, flags), &h.flags))
		return -EFAULT;
	return result;
}

/* --- options: level SOL_SOCKET --- */

enum {
	SOL_SOCKET = 1,
	SO_DEBUG = 1,
	SO_REUSEADDR = 2,
	SO_TYPE = 3,
	SO_ERROR = 4,
	SO_DONTROUTE = 5,
	SO_BROADCAST = 6,
	SO_SNDBUF = 7,
	SO_RCVBUF = 8,
	SO_KEEPALIVE = 9,
	SO_LINGER = 13,
	SO_PASSCRED = 16,
	SO_PEERCRED = 17,
	SO_RCVTIMEO = 20,
	SO_SNDTIMEO = 21,
	SO_ACCEPTCONN = 30,
	SO_PROTOCOL = 38,
	SO_DOMAIN = 39,
};
#define BUFFER_MIN 2304
#define BUFFER_MAX 212992

struct timeval_user {
	s64 sec, usec;
};

static int set_timeout(ktime_t *to, uaddr_t value, int length)
{
	struct timeval_user t;

	if (length < (int)sizeof(t))
		return -EINVAL;
	if (get_user(&t, value))
		return -EFAULT;
	if ((u64)t.usec >= 1000000)
		return -EDOM;
	*to = t.sec < 0 || t.sec > INT64_MAX / NSEC_PER_SEC / 2
		      ? 0
		      : t.sec * NSEC_PER_SEC + t.usec * NSEC_PER_USEC;
	return 0;
}

static u32 buffer_size(s32 wanted)
{
	u32 v = wanted < 0 || wanted > BUFFER_MAX ? BUFFER_MAX : wanted;

	return MAX(v * 2, (u32)BUFFER_MIN); /* doubled, as Linux does (man 7 socket) */
}

static int set_option(struct socket *s, int option, uaddr_t value, int length)
{
	s32 v;

	if (option == SO_RCVTIMEO)
		return set_timeout(&s->receive_timeout, value, length);
	if (option == SO_SNDTIMEO)
		return set_timeout(&s->send_timeout, value, length);
	if (length < 4)
		return -EINVAL;
	if (get_user(&v, value))
		return -EFAULT;
	switch (option) {
	case SO_SNDBUF:
		s->send_size = buffer_size(v);
		return 0;
	case SO_RCVBUF:
		s->receive_size = buffer_size(v);
		return 0;
	case SO_PASSCRED:
		s->pass_cred = v != 0;
		return 0;
	case SO_DEBUG:
	case SO_REUSEADDR:
	case SO_DONTROUTE:
	case SO_BROADCAST:
	case SO_KEEPALIVE:
		return 0; /* these mean nothing to the families there are */
	}
	return -ENOPROTOOPT;
}

s64 sys_setsockopt(int fd, int level, int option, uaddr_t value, int length)
{
	struct socket_ref r;
	int err = socket_begin(fd, &r);

	if (err)
		return err;
	if (length < 0)
		err = -EINVAL;
	else
		err = level == SOL_SOCKET ? set_option(r.s, option, value, length) : -EOPNOTSUPP;
	socket_end(&r);
	return err;
}

static int timeout_to_user(ktime_t t, u8 *out)
{
	struct timeval_user v = { t / NSEC_PER_SEC, t % NSEC_PER_SEC / NSEC_PER_USEC };

	memcpy(out, &v, sizeof(v));
	return sizeof(v);
}

/* The value's size, or -ENOPROTOOPT. */
static int get_option(struct socket *s, int option, u8 *out)
{
	struct ucred cred;
	s32 v = 0;

	switch (option) {
	case SO_TYPE:
		v = s->type;
		break;
	case SO_DOMAIN:
		v = s->family;
		break;
	case SO_ERROR:
		v = __atomic_exchange_n(&s->error, 0, __ATOMIC_RELAXED);
		break;
	case SO_SNDBUF:
		v = s->send_size;
		break;
	case SO_RCVBUF:
		v = s->receive_size;
		break;
	case SO_PASSCRED:
		v = s->pass_cred;
		break;
	case SO_ACCEPTCONN:
		v = s->ops->listening(s);
		break;
	case SO_RCVTIMEO:
		return timeout_to_user(s->receive_timeout, out);
	case SO_SNDTIMEO:
		return timeout_to_user(s->send_timeout, out);
	case SO_PEERCRED:
		s->ops->peer_cred(s, &cred);
		if (cred.uid != ID_NONE) { /* else there is no peer */
			cred.uid = uid_shown(cred.uid);
			cred.gid = gid_shown(cred.gid);
		}
		memcpy(out, &cred, sizeof(cred));
		return sizeof(cred);
	case SO_LINGER:
		memset(out, 0, 8);
		return 8;
	case SO_DEBUG:
	case SO_REUSEADDR:
	case SO_DONTROUTE:
	case SO_BROADCAST:
	case SO_KEEPALIVE:
	case SO_PROTOCOL:
		break;
	default:
		return -ENOPROTOOPT;
	}
	memcpy(out, &v, sizeof(v));
	return sizeof(v);
}

s64 sys_getsockopt(int fd, int level, int option, uaddr_t value, uaddr_t ulength)
{
	struct socket_ref r;
	u8 out[16];
	s32 room;
	int n = socket_begin(fd, &r);

	if (n)
		return n;
	n = level == SOL_SOCKET ? 0 : -EOPNOTSUPP;
	if (!n && get_user(&room, ulength))
		n = -EFAULT;
	if (!n && room < 0)
		n = -EINVAL;
	if (!n)
		n = get_option(r.s, option, out);
	socket_end(&r);
	if (n < 0)
		return n;
	room = MIN(room, n);
	if (copy_to_user(value, out, room))
		return -EFAULT;
	return put_user(ulength, &room);
}
