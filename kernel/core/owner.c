/* SPDX-License-Identifier: MIT */
/* owner.c - who sees whom, and who may do what (core/owner.h). */
#include "core/owner.h"

#include "core/task.h"

/* Weak: in the kernel it is the one that stands in the host's container (container.c). */
struct owner owner_host __attribute__((weak)) = { .account = &account_root };

bool sees(const struct owner *a, const struct owner *b)
{
	while (b->depth > a->depth)
		b = b->parent;
	return a == b;
}

bool may(const struct owner *object, enum capability c)
{
	return current->cred->cap_effective & 1ull << c && sees(current->owner, object);
}

bool may_host(enum capability c)
{
	return current->owner == &owner_host && current->cred->cap_effective & 1ull << c;
}
