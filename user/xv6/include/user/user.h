/* SPDX-License-Identifier: MIT */
/* user.h - the calls and the library of xv6 for RISC-V, on Skerry; see ../user.h. */
#ifndef XV6_USER_USER_H
#define XV6_USER_USER_H

#include "../calls.h"
#include "../containers.h"

struct stat;

int exit(int status) __asm__("xv6_exit") __attribute__((noreturn));
int wait(int *status) __asm__("xv6_wait");
int exec(const char *path, char **argv);
int fstat(int fd, struct stat *st) __asm__("xv6_fstat_riscv");
int stat(const char *path, struct stat *st) __asm__("xv6_stat_riscv");
void fprintf(int fd, const char *format, ...) __asm__("xv6_fprintf");
void printf(const char *format, ...) __asm__("xv6_printf");

#endif
