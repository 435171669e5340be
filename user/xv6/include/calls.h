/* SPDX-License-Identifier: MIT */
/* calls.h - the calls and the library that both families of xv6 have, for user.h to include. */
#ifndef XV6_CALLS_H
#define XV6_CALLS_H

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
