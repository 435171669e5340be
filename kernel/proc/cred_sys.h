/* SPDX-License-Identifier: MIT */
/* cred_sys.h - changing credentials, between the files of proc. */
#ifndef PROC_CRED_SYS_H
#define PROC_CRED_SYS_H

#include "core/cred.h"

/*
 * Makes c (the reference passes) current's credentials: counts current for its new real user,
 * and what gains rights is not dumpable any more. 0 or -EAGAIN.
 */
s64 cred_commit(struct cred *c);

#endif
