/* SPDX-License-Identifier: MIT */
/* root.h - fills the host's root directory (root.c). */
#ifndef MAIN_ROOT_H
#define MAIN_ROOT_H

void root_init(void);

#endif
