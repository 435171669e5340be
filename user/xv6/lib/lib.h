/* SPDX-License-Identifier: MIT */
/* lib.h - what the files of the xv6 library share. */
#ifndef XV6_LIB_H
#define XV6_LIB_H

typedef unsigned int uint;

/* A system call: its result, or -1. */
long xv6_call(long number, long a, long b, long c, long d);
long xv6_call5(long number, long a, long b, long c, long d, long e);
#define CALL_(number, a, b, c, d, ...) xv6_call(number, (long)(a), (long)(b), (long)(c), (long)(d))
#define CALL(...)		       CALL_(__VA_ARGS__, 0, 0, 0, 0, 0)
#define CALL5(number, a, b, c, d, e)   xv6_call5(number, a, b, c, d, e)

int main(int argc, char **argv);
void xv6_exit(int status) __attribute__((noreturn));
int xv6_wait(int *status);
int xv6_rewind(int fd);
int xv6_read_directory(int fd, void *buf, int n);
void xv6_fprintf(int fd, const char *format, ...);

int fork(void);
int exec(const char *path, char **argv);
int open(const char *path, int flags);
int close(int fd);
int read(int fd, void *buf, int n);
int write(int fd, const void *buf, int n);
char *sbrk(int n);
uint strlen(const char *s);
char *strcpy(char *to, const char *from);
char *strchr(const char *s, char c);
void *memset(void *p, int c, uint n);
void *memmove(void *to, const void *from, int n);
int atoi(const char *s);
void *malloc(uint size);

#endif
