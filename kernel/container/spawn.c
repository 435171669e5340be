/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - spawncont(2): a container from a specification (abi/container.h). What the
 * specification points to is fetched first, then the container is made, then it gets
 * its mounts and rules; if any of that fails it is destroyed again.
 */
#include "abi/cowfs.h"
#include "arch/x86/uaccess.h"
#include "container/container.h"
#include "core/errno.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "syscalls.h"

#define RULES_MAX 4096

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

/* One bind mount: source in current's view, target in the container's. */
static int bind_one(struct container *c, const struct container_bind *b)
{
	struct path from, where;
	char *name;
	int err;

	if (b->flags & ~CONTAINER_BIND_READ_ONLY || b->reserved)
		return -EINVAL;
	err = path_lookup_user(AT_FDCWD, b->source, LOOKUP_FOLLOW, &from);
	if (err)
		return err;
	err = name_from_user(b->target, false, &name);
	if (err)
		goto put_from;
	err = mount_table_lookup(c->mounts, name, &where);
	name_put(name);
	if (err)
		goto put_from;
	if (from.mount->table_id != current->fs->mounts->id)
		err = -EINVAL; /* a directory descriptor from elsewhere led there */
	else
		err = mount_bind_into(c->mounts, &from, &where,
				      b->flags & CONTAINER_BIND_READ_ONLY ? MS_RDONLY : 0,
				      from.mount->usermap);
	path_put(where);
put_from:
	path_put(from);
	return err;
}

static int bind_all(struct container *c, const struct container_spec *spec)
{
	int err = spec->bind_count > CONTAINER_BINDS_MAX ? -EINVAL : 0;

	for (u32 i = 0; i < spec->bind_count && !err; i++) {
		struct container_bind b;

		err = get_user(&b, spec->binds + i * sizeof(b));
		if (!err)
			err = bind_one(c, &b);
	}
	return err;
}

/* With its mounts and rules; *rules is taken over if it comes to that. */
static int create_whole(const struct container_spec *spec, const struct container_root *root,
			struct filter_table **rules, struct container **out)
{
	int err = container_create(spec, root, out);

	if (err)
		return err;
	err = bind_all(*out, spec);
	if (!err && *rules) {
		err = filter_set(*out, *rules);
		*rules = NULL;
	}
	if (err) {
		container_destroy(*out);
		container_put(*out);
	}
	return err;
}

/* On the directory that the specification names. */
static int create_on_directory(const struct container_spec *spec, struct filter_table **rules,
			       struct container **out)
{
	struct path root;
	char *name;
	int err = name_from_user(spec->root, false, &name);

	if (err)
		return err;
	err = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &root);
	if (!err) {
		err = create_whole(spec, &(struct container_root){ &root, .text = name }, rules,
				   out);
		path_put(root);
	}
	name_put(name);
	return err;
}

/* One that is there again, on its volume: what people call its root is told, not looked up. */
static int create_on_volume(const struct container_spec *spec, struct filter_table **rules,
			    struct container **out)
{
	char name[sizeof(COWFS_CONTAINER) + 10], *text = NULL;
	struct container_root root = { .image = name, .kept = true, .text = CONTAINER_ROOT_VIEW };
	int err = spec->flags & CONTAINER_F_IMAGE ? name_from_user(spec->root, false, &text)
		  : spec->root			  ? -EINVAL
						  : 0;

	if (err)
		return err;
	if (text)
		root.text = text;
	snprintf(name, sizeof(name), COWFS_CONTAINER "%u", spec->id);
	err = create_whole(spec, &root, rules, out);
	if (text)
		name_put(text);
	return err;
}

#define IMAGE_NAME_MAX (COWFS_NAME_SIZE - sizeof(COWFS_IMAGE))

/* On an image: only the host has any. */
static int create_on_image(const struct container_spec *spec, struct filter_table **rules,
			   struct container **out)
{
	struct container_root root = { 0 };
	char *name, *volume;
	int err = may_host(CAP_SYS_ADMIN) ? name_from_user(spec->root, false, &name) : -EPERM;

	if (err)
		return err;
	err = strlen(name) > IMAGE_NAME_MAX ? -ENAMETOOLONG : -ENOMEM;
	volume = kmalloc(COWFS_NAME_SIZE, KM_ACCOUNT);
	if (volume && err == -ENOMEM) {
		snprintf(volume, COWFS_NAME_SIZE, COWFS_IMAGE "%s", name);
		root.image = volume;
		root.text = name;
		err = create_whole(spec, &root, rules, out);
	}
	kfree(volume);
	name_put(name);
	return err;
}

static int create_on_view(const struct container_spec *spec, struct filter_table **rules,
			  struct container **out)
{
	const struct container_root root = { .compared = true, .text = CONTAINER_ROOT_VIEW };

	return spec->root ? -EINVAL : create_whole(spec, &root, rules, out);
}

static int create(const struct container_spec *spec, struct filter_table **rules,
		  struct container **out)
{
	u32 kind = spec->flags & (CONTAINER_F_VIEW | CONTAINER_F_IMAGE);

	if (kind == (CONTAINER_F_VIEW | CONTAINER_F_IMAGE))
		return -EINVAL;
	if (spec->id && !may_host(CAP_SYS_ADMIN))
		return -EPERM;
	if (!kind)
		return create_on_directory(spec, rules, out);
	if (spec->id)
		return create_on_volume(spec, rules, out);
	return kind == CONTAINER_F_VIEW ? create_on_view(spec, rules, out)
					: create_on_image(spec, rules, out);
}

s64 sys_spawncont(uaddr_t uspec, size_t size)
{
	struct container_spec spec;
	struct filter_table *rules;
	struct container *c;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = copy_struct_from_user(&spec, sizeof(spec), uspec, size);
	if (err)
		return err;
	err = rules_from_user(spec.deny, &rules);
	if (err)
		return err;
	err = create(&spec, &rules, &c);
	if (!err) {
		err = c->owner.id;
		container_put(c);
	}
	filter_table_put(rules);
	return err;
}
