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

#include "containers.h"

struct stat;

int exit(void) __asm__("xv6_exit_0") __attribute__((noreturn));
int wait(void) __asm__("xv6_wait_0");
int exec(char *path, char **argv);
int fstat(int fd, struct stat *st) __asm__("xv6_fstat_x86");
int stat(const char *path, struct stat *st) __asm__("xv6_stat_x86");
void printf(int fd, const char *format, ...) __asm__("xv6_fprintf");

int fork(void);
int pipe(int *fds);
int write(int fd, const void *buf, int n);
int read(int fd, void *buf, int n);
int close(int fd);
int kill(int pid);
int open(const char *path, int flags);
int mknod(const char *path, short major, short minor);
int unlink(const char *path);
int link(const char *from, const char *to);
int mkdir(const char *path);
int chdir(const char *path);
int dup(int fd);
int getpid(void);
char *sbrk(int n);
int sleep(int ticks); /* of a hundredth of a second */
int uptime(void);

char *strcpy(char *to, const char *from);
void *memmove(void *to, const void *from, int n);
char *strchr(const char *s, char c);
int strcmp(const char *a, const char *b);
char *gets(char *buf, int max);
uint strlen(const char *s);
void *memset(void *p, int c, uint n);
int memcmp(const void *a, const void *b, uint n);
void *memcpy(void *to, const void *from, uint n);
void *malloc(uint size);
void free(void *p);
int atoi(const char *s);

#endif
