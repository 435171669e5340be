/* SPDX-License-Identifier: MIT */
/* layout.h - the symbols that kernel.ld defines. Only their addresses mean something. */
#ifndef ARCH_LAYOUT_H
#define ARCH_LAYOUT_H

extern char kernel_start[], kernel_end[];
extern char init_text_start[], init_text_end[]; /* freed after boot, as is init_data */
extern char init_data_start[], init_data_end[];
extern char text_end[];	  /* kernel_start .. text_end: executable */
extern char rodata_end[]; /* text_end .. rodata_end: read-only */
extern char percpu_start[], percpu_end[];

#endif
