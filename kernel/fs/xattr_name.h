/* SPDX-License-Identifier: MIT */
/*
 * xattr_name.h - the name spaces of extended attributes (man 7 xattr), for the VFS, and for cowfs
 * here and on the build machine.
 */
#ifndef FS_XATTR_NAME_H
#define FS_XATTR_NAME_H

#include "lib/string.h"

enum xattr_space {
	XATTR_SPACE_NONE, /* system.* too: those would be lists of rights that nobody obeys */
	XATTR_SPACE_USER,
	XATTR_SPACE_TRUSTED, /* told only to the privileged */
	XATTR_SPACE_SECURITY,
};

/* *bare: there is nothing behind the prefix, which is not a name. */
static inline enum xattr_space xattr_space(const char *name, bool *bare)
{
	static const char *const prefix[] = { "", "user.", "trusted.", "security." };

	*bare = false;
	for (int s = XATTR_SPACE_USER; s <= XATTR_SPACE_SECURITY; s++) {
		size_t n = strlen(prefix[s]);

		if (strncmp(name, prefix[s], n))
			continue;
		*bare = !name[n];
		return (enum xattr_space)s;
	}
	return XATTR_SPACE_NONE;
}

static inline bool xattr_is_trusted(const char *name)
{
	bool bare;

	return xattr_space(name, &bare) == XATTR_SPACE_TRUSTED;
}

/* Takes the trusted.* out of a list, as listxattr(2) gives it: what is left of its length. */
static inline size_t xattr_list_without_trusted(char *names, size_t len)
{
	size_t kept = 0, n;

	for (size_t at = 0; at < len; at += n) {
		n = strlen(names + at) + 1;
		if (xattr_is_trusted(names + at))
			continue;
		memmove(names + kept, names + at, n);
		kept += n;
	}
	return kept;
}

#endif
