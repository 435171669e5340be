/* SPDX-License-Identifier: MIT */
/* message.c - control messages (man 3 cmsg): SCM_RIGHTS and SCM_CREDENTIALS, in and out. */
#include "arch/x86/uaccess.h"
#include "core/errno.h"
#include "core/task.h"
#include "fs/fdtable.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "net/socket.h"
#include "proc/process.h"

#define SOL_SOCKET	1
#define SCM_RIGHTS	1
#define SCM_CREDENTIALS 2
#define CONTROL_MAX	4096

struct cmsghdr {
	u64 length;
	s32 level, type;
};

static u64 cmsg_space(u64 n)
{
	return sizeof(struct cmsghdr) + ALIGN_UP(n, 8ul);
}

/* --- from the user --- */

static int take_files(struct ancillary *a, const s32 *fd, u64 n)
{
	if (a->file_count + n > SCM_FILES_MAX)
		return -EINVAL;
	if (!a->files)
		a->files = kmalloc(SCM_FILES_MAX * sizeof(*a->files), KM_ACCOUNT);
	if (!a->files)
		return -ENOMEM;
	for (u64 i = 0; i < n; i++) {
		struct file *f;
		int err = fd_get(fd[i], true, &f);

		if (err)
			return err;
		a->files[a->file_count++] = f;
	}
	return 0;
}

/* One may speak for oneself, or with the right capability for others (man 7 unix). */
static int take_cred(struct ancillary *a, const struct ucred *given)
{
	const struct cred *mine = current->cred;
	struct ucred id = { given->pid, uid_given(given->uid), gid_given(given->gid) }, *c = &id;

	if (c->uid == ID_NONE || c->gid == ID_NONE)
		return -EINVAL;
	if (c->pid != (s32)current->process->pid && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (c->uid != mine->uid && c->uid != mine->euid && c->uid != mine->suid &&
	    !capable(CAP_SETUID))
		return -EPERM;
	if (c->gid != mine->gid && c->gid != mine->egid && c->gid != mine->sgid &&
	    !capable(CAP_SETGID))
		return -EPERM;
	a->cred = *c;
	a->has_cred = true;
	return 0;
}

static int take_one(struct ancillary *a, const struct cmsghdr *h, const void *data, u64 n)
{
	if (h->level != SOL_SOCKET)
		return 0; /* as Linux: other levels are skipped */
	if (h->type == SCM_RIGHTS)
		return n % 4 ? -EINVAL : take_files(a, data, n / 4);
	if (h->type == SCM_CREDENTIALS)
		return n == sizeof(struct ucred) ? take_cred(a, data) : -EINVAL;
	return -EINVAL;
}

static int take_all(struct ancillary *a, const char *buf, u64 size)
{
	for (u64 at = 0; at + sizeof(struct cmsghdr) <= size;) {
		const struct cmsghdr *h = (const void *)(buf + at);
		int err;

		if (h->length < sizeof(*h) || h->length > size - at)
			return -EINVAL;
		err = take_one(a, h, h + 1, h->length - sizeof(*h));
		if (err)
			return err;
		at += ALIGN_UP(h->length, 8ul);
	}
	return 0;
}

int control_from_user(const struct msghdr_user *h, struct ancillary *a)
{
	char *buf;
	int err;

	*a = (struct ancillary){ 0 };
	if (!h->control || !h->control_length)
		return 0;
	if (h->control_length > CONTROL_MAX)
		return -ENOBUFS;
	buf = kmalloc(h->control_length, KM_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	err = copy_from_user(buf, h->control, h->control_length);
	if (!err)
		err = take_all(a, buf, h->control_length);
	kfree(buf);
	if (err)
		ancillary_drop(a);
	return err;
}

/* --- to the user --- */

/* Puts one message at *at if it fits. */
static int put_one(struct msghdr_user *h, u64 *at, s32 type, const void *data, u64 n,
		   u32 *out_flags)
{
	struct cmsghdr c = { sizeof(c) + n, SOL_SOCKET, type };

	if (*at + c.length > h->control_length) {
		*out_flags |= MSG_CTRUNC;
		return 0;
	}
	if (put_user(h->control + *at, &c) || copy_to_user(h->control + *at + sizeof(c), data, n))
		return -EFAULT;
	*at += MIN(cmsg_space(n), h->control_length - *at);
	return 0;
}

/* Installs as many descriptors as there is room for; the rest are dropped with MSG_CTRUNC. */
static int put_files(struct msghdr_user *h, u64 *at, struct ancillary *a, bool cloexec,
		     u32 *out_flags)
{
	u64 left = h->control_length - *at;
	u64 room = left > sizeof(struct cmsghdr) ? (left - sizeof(struct cmsghdr)) / 4 : 0;
	u32 want = MIN((u64)a->file_count, room), n = 0;
	s32 *fds = kmalloc(MAX(want, 1u) * sizeof(*fds), KM_ACCOUNT);
	int err = fds ? 0 : -ENOMEM;

	for (; !err && n < want; n++) {
		s64 fd = fd_add(file_get(a->files[n]), cloexec);
		if (fd < 0)
			break;
		fds[n] = fd;
	}
	if (n < a->file_count)
		*out_flags |= MSG_CTRUNC;
	if (n)
		err = put_one(h, at, SCM_RIGHTS, fds, n * 4, out_flags);
	kfree(fds);
	return err;
}

int control_to_user(struct msghdr_user *h, struct ancillary *a, bool cloexec, u32 *out_flags)
{
	u64 at = 0;
	int err = 0;

	if (a->has_cred) {
		struct ucred c = a->cred;
		if (a->pids != current->owner->pids)
			c.pid = 0; /* the sender cannot be named here */
		c.uid = uid_shown(c.uid);
		c.gid = gid_shown(c.gid);
		err = put_one(h, &at, SCM_CREDENTIALS, &c, sizeof(c), out_flags);
	}
	if (!err && a->file_count)
		err = put_files(h, &at, a, cloexec, out_flags);
	h->control_length = at;
	return err;
}
