/* SPDX-License-Identifier: MIT */
/*
 * calls.c - Skerry's own system calls (abi/container.h says what each means). All
 * work on descendants of the caller's container only: any other id is -ESRCH.
 */
#include "arch/x86/uaccess.h"
#include "container/container.h"
#include "container/notify.h"
#include "core/errno.h"
#include "syscalls.h"

int container_manageable(int cid, struct container **out)
{
	int err = cid > 0 ? container_find(current->owner, cid, out) : -ESRCH;

	if (err)
		return err;
	err = container_may_manage(*out);
	if (err)
		container_put(*out);
	return err;
}

static int with_container(int cid, int (*fn)(struct container *c))
{
	struct container *c;
	int err = container_manageable(cid, &c);

	if (err)
		return err;
	err = fn(c);
	container_put(c);
	return err;
}

s64 sys_getcid(void)
{
	return current->owner->id;
}

s64 sys_cfork(struct trapframe *frame)
{
	struct container *c;
	s64 pid = container_manageable((int)frame->rdi, &c);

	if (pid)
		return pid;
	pid = container_fork(c, frame);
	container_put(c);
	return pid;
}

s64 sys_cpause(int cid)
{
	return with_container(cid, container_pause);
}

s64 sys_cresume(int cid)
{
	return with_container(cid, container_resume);
}

s64 sys_cstop(int cid)
{
	return with_container(cid, container_stop);
}

s64 sys_destroy_container(int cid)
{
	return with_container(cid, container_destroy);
}

s64 sys_create_container(void)
{
	struct container *c;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = container_create_joinable(&c);
	if (err)
		return err;
	err = c->owner.id;
	container_put(c);
	return err;
}

s64 sys_join_container(int cid)
{
	return with_container(cid, container_join);
}

s64 sys_leave_container(void)
{
	return container_leave();
}

s64 sys_container_notify(int cid)
{
	return with_container(cid, notify_open);
}

s64 sys_cinfo(int cid, uaddr_t out, size_t size)
{
	struct container *c;
	struct cinfo info;
	int err;

	if (cid < 0)
		return -ESRCH;
	if (size > PAGE_SIZE) /* no struct is so large, as in copy_struct_from_user() */
		return -E2BIG;
	if ((u32)cid == current->owner->id)
		c = container_get(current_container());
	else if ((err = container_find(current->owner, cid, &c)))
		return err;
	container_info(c, &info);
	container_put(c);
	if (copy_to_user(out, &info, MIN(size, sizeof(info))))
		return -EFAULT;
	return size > sizeof(info) ? clear_user(out + sizeof(info), size - sizeof(info)) : 0;
}
