/* SPDX-License-Identifier: MIT */
/* owner.c - who sees whom, and who may do what (core/owner.h). */
#include "core/owner.h"

#include "core/task.h"

/* Weak: in the kernel it is the one that stands in the host's container (container.c). */
struct owner owner_host __attribute__((weak)) = { .account = &account_root };

static void (*get_hook)(struct owner *o), (*put_hook)(struct owner *o);

void owner_set_hooks(void (*get)(struct owner *o), void (*put)(struct owner *o))
{
	get_hook = get;
	put_hook = put;
}

struct owner *owner_get(struct owner *o)
{
	if (unlikely(o && o->parent))
		get_hook(o);
	return o;
}

void owner_put(struct owner *o)
{
	if (unlikely(o && o->parent))
		put_hook(o);
}

bool sees(const struct owner *a, const struct owner *b)
{
	while (b->depth > a->depth)
		b = b->parent;
	return a == b;
}

bool owner_is_paused(const struct owner *o)
{
	while (o && !READ_ONCE(o->paused))
		o = o->parent;
	return o;
}

bool may(const struct owner *object, enum capability c)
{
	return current->cred->cap_effective & 1ull << c && sees(current->owner, object);
}

bool may_host(enum capability c)
{
	return current->owner == &owner_host && current->cred->cap_effective & 1ull << c;
}
