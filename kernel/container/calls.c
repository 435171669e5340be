/* SPDX-License-Identifier: MIT */
/*
 * calls.c - Skerry's own system calls (abi/container.h says what each means). All
 * work on descendants of the caller's container only: any other id is -ESRCH.
 */
#include "arch/x86/uaccess.h"
#include "container/container.h"
#include "container/notify.h"
#include "core/errno.h"
#include "mm/slab.h"
#include "syscalls.h"

#define RULES_MAX 4096

/* The container, counted, that current may manage: -ESRCH, -EPERM. */
static int manageable(int cid, struct container **out)
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
	int err = manageable(cid, &c);

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

/* The rules at `text`, a string of the caller's; 0: none. */
static int rules_from_user(uaddr_t text, struct filter_table **out)
{
	char *s;
	s64 err;

	*out = NULL;
	if (!text)
		return 0;
	s = kmalloc(RULES_MAX, KM_ACCOUNT);
	if (!s)
		return -ENOMEM;
	err = copy_string_from_user(s, text, RULES_MAX);
	if (err >= 0)
		err = filter_parse(s, out);
	kfree(s);
	return err == -ENAMETOOLONG ? -EINVAL : err;
}

/* Under its rules from the first process on; *rules is taken over if it comes to that. */
static int create_filtered(const struct container_spec *spec, const struct path *root,
			   const char *name, struct filter_table **rules, struct container **out)
{
	int err = container_create(spec, root, name, out);

	if (err || !*rules)
		return err;
	err = filter_set(*out, *rules);
	*rules = NULL;
	if (err) {
		container_destroy(*out);
		container_put(*out);
	}
	return err;
}

s64 sys_spawncont(uaddr_t uspec, size_t size)
{
	struct container_spec spec;
	struct filter_table *rules;
	struct container *c;
	struct path root;
	char *name;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = copy_struct_from_user(&spec, sizeof(spec), uspec, size);
	if (err)
		return err;
	err = rules_from_user(spec.deny, &rules);
	if (err)
		return err;
	err = name_from_user(spec.root, false, &name);
	if (err)
		goto put_rules;
	err = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &root);
	if (err)
		goto put_name;
	err = create_filtered(&spec, &root, name, &rules, &c);
	path_put(root);
	if (!err) {
		err = c->owner.id;
		container_put(c);
	}
put_name:
	name_put(name);
put_rules:
	filter_table_put(rules);
	return err;
}

s64 sys_cfork(struct trapframe *frame)
{
	struct container *c;
	s64 pid = manageable((int)frame->rdi, &c);

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

s64 sys_container_notify(int cid)
{
	struct container *c;
	s64 fd = manageable(cid, &c);

	if (fd)
		return fd;
	fd = notify_open(c);
	container_put(c);
	return fd;
}

s64 sys_cinfo(int cid, uaddr_t out, size_t size)
{
	struct container *c;
	struct cinfo info;
	int err;

	if (cid < 0)
		return -ESRCH;
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
