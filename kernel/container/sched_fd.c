/* SPDX-License-Identifier: MIT */
/*
 * sched_fd.c - container_sched: the descriptor by which a process outside schedules
 * those inside (proc/policy_manager.c; abi/container.h, struct sched_page).
 *
 * mmap gives the page, poll says POLLIN when a pick found no choice. There is one
 * manager of a container at a time. Closing the last descriptor ends it. The
 * descriptor counts the container, which may be destroyed meanwhile.
 */
#include "container/container.h"
#include "core/errno.h"
#include "fs/vfs.h"
#include "fs/fdtable.h"
#include "mm/aspace.h"
#include "mm/slab.h"
#include "proc/sched.h"
#include "syscalls.h"

struct sched_fd {
	struct container *container; /* counted */
	struct sched_manager *manager;
};

static int sched_fd_mmap(struct file *f, struct vma *v)
{
	struct sched_fd *s = f->private;

	if (!(v->flags & VM_SHARED) || v->pgoff || v->end - v->start != PAGE_SIZE)
		return -EINVAL;
	sched_manager_map(s->manager, v);
	return 0;
}

static u32 sched_fd_poll(struct file *f, struct poll_table *pt)
{
	return sched_manager_poll(((struct sched_fd *)f->private)->manager, pt);
}

static void sched_fd_free(struct sched_fd *s)
{
	sched_manager_destroy(s->manager);
	container_put(s->container);
	kfree(s);
}

static void sched_fd_release(struct file *f)
{
	sched_fd_free(f->private);
}

static const struct file_ops sched_fd_ops = {
	.mmap = sched_fd_mmap,
	.poll = sched_fd_poll,
	.release = sched_fd_release,
	.no_seek = true,
};

static int sched_fd_create(struct container *c, struct file **out)
{
	struct sched_fd *s = kmalloc(sizeof(*s), KM_ACCOUNT);
	struct inode *i;
	int err;

	if (!s)
		return -ENOMEM;
	err = sched_manager_create(c->cpu, &s->manager);
	if (err) {
		kfree(s);
		return err;
	}
	s->container = container_get(c);
	err = inode_create_anon(0600, &i);
	if (!err)
		err = file_create_anon(i, &sched_fd_ops, O_RDWR, s, "anon_inode:[sched]", out);
	if (err)
		sched_fd_free(s);
	return err;
}

s64 sys_container_sched(int cid)
{
	struct container *c;
	struct file *f;
	s64 result = container_manageable(cid, &c);

	if (result)
		return result;
	result = sched_fd_create(c, &f);
	if (!result)
		result = fd_add(f, true);
	if (result >= 0)
		container_set_policy(c, &policy_manager);
	container_put(c);
	return result;
}
