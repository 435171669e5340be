/* SPDX-License-Identifier: MIT */
/*
 * data.h - the page that the vDSO reads, mapped directly below its code. Written
 * by the kernel only, under the sequence count: odd while it changes.
 */
#ifndef ARCH_VDSO_DATA_H
#define ARCH_VDSO_DATA_H

#include "lib/types.h"

struct vdso_data {
	u32 seq;
	u32 has_rdtscp; /* TSC_AUX holds the CPU's number */
	u64 tsc_base;	/* as in clock.c */
	u64 tsc_mult;
	s64 wall_offset; /* realtime - monotonic, ns */
};

#endif
