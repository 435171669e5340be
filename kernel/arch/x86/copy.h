/* SPDX-License-Identifier: MIT */
/* copy.h - whole-page copy and clear; the routine is chosen at boot by measuring. */
#ifndef ARCH_COPY_H
#define ARCH_COPY_H

#include "lib/types.h"

extern void (*page_copy)(void *dst, const void *src); /* 4096 bytes, both page-aligned */
extern void (*page_clear)(void *dst);
extern bool copy_uses_rep; /* REP MOVSB is the fastest here: for user copies too */
void copy_choose(void);

#endif
