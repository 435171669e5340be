/* SPDX-License-Identifier: MIT */
/*
 * user.h - the calls and the library of xv6 for x86, on Skerry. Programs that were
 * written for it compile unchanged: tools/xv6-cc -o ls ls.c
 *
 * exit, wait, fstat, stat and printf differ between xv6's two families, so each header
 * names its own in the library.
 */
#ifndef XV6_USER_H
#define XV6_USER_H

#include "calls.h"
#include "containers.h"

struct stat;

int exit(void) __asm__("xv6_exit_0") __attribute__((noreturn));
int wait(void) __asm__("xv6_wait_0");
int exec(char *path, char **argv);
int fstat(int fd, struct stat *st) __asm__("xv6_fstat_x86");
int stat(const char *path, struct stat *st) __asm__("xv6_stat_x86");
void printf(int fd, const char *format, ...) __asm__("xv6_fprintf");

#endif
