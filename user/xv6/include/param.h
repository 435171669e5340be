/* SPDX-License-Identifier: MIT */
/* param.h - xv6's limits that programs look at. The real ones are the container's. */
#ifndef XV6_PARAM_H
#define XV6_PARAM_H

#define NPROC	64
#define NOFILE	16
#define NDEV	10
#define MAXARG	32
#define MAXPATH 128
#define FSSIZE	2000

#endif
