/* SPDX-License-Identifier: MIT */
/*
 * sys.c - xv6's system calls by Linux's. Every failure is -1, as in xv6.
 *
 * The library needs no C library: _start is here, and a system call is one instruction
 * (System V ABI, AMD64, appendix A.2).
 */
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <linux/time_types.h>
#include <asm/unistd_64.h>

#include "lib.h"

#define TICK_NSEC    10000000L
#define XV6_O_CREATE 0x200
#define XV6_O_TRUNC  0x400

long xv6_call(long number, long a, long b, long c, long d)
{
	long result;
	register long r10 __asm__("r10") = d;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result < 0 ? -1 : result;
}

long xv6_call5(long number, long a, long b, long c, long d, long e)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result < 0 ? -1 : result;
}

void xv6_exit(int status)
{
	for (;;)
		CALL(__NR_exit_group, status);
}

void xv6_exit_0(void)
{
	xv6_exit(0);
}

/* What the kernel left on the stack: argc, argv (System V ABI, AMD64, 3.4.1). */
__attribute__((used)) static void begin(long *stack)
{
	xv6_exit(main((int)stack[0], (char **)(stack + 1)));
}

__asm__(".globl _start\n"
	"_start: xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call begin\n");

/* --- processes --- */

int xv6_rewind(int fd)
{
	return (int)CALL(__NR_lseek, fd, 0, 0 /* SEEK_SET */);
}

int fork(void)
{
	return (int)CALL(__NR_fork);
}

int xv6_wait(int *status)
{
	int word = 0, pid = (int)CALL(__NR_wait4, -1, (long)&word);

	/* the exit status; -1 for one that was killed, as xv6 has it */
	if (pid > 0 && status)
		*status = word & 0x7f ? -1 : word >> 8 & 0xff;
	return pid;
}

int xv6_wait_0(void)
{
	return xv6_wait((int *)0);
}

int kill(int pid)
{
	return (int)CALL(__NR_kill, pid, 9);
}

int getpid(void)
{
	return (int)CALL(__NR_getpid);
}

int exec(const char *path, char **argv)
{
	static char *const no_environment[] = { (char *)0 };

	return (int)CALL(__NR_execve, (long)path, (long)argv, (long)no_environment);
}

char *sbrk(int n)
{
	static char *end;

	if (!end)
		end = (char *)CALL(__NR_brk);
	if (n && (char *)CALL(__NR_brk, (long)(end + n)) != end + n)
		return (char *)-1;
	end += n;
	return end - n;
}

int sleep(int ticks)
{
	struct __kernel_timespec t = { ticks / 100, ticks % 100 * TICK_NSEC };

	return ticks < 0 ? -1 : (int)CALL(__NR_nanosleep, (long)&t);
}

int uptime(void)
{
	struct __kernel_timespec t;

	if (CALL(__NR_clock_gettime, 7 /* CLOCK_BOOTTIME */, (long)&t) < 0)
		return -1;
	return (int)(t.tv_sec * 100 + t.tv_nsec / TICK_NSEC);
}

/* --- files --- */

int open(const char *path, int flags)
{
	int how = flags & 3;

	how |= flags & XV6_O_CREATE ? O_CREAT : 0;
	how |= flags & XV6_O_TRUNC ? O_TRUNC : 0;
	return (int)CALL(__NR_open, (long)path, how, 0666);
}

int close(int fd)
{
	return (int)CALL(__NR_close, fd);
}

int write(int fd, const void *buf, int n)
{
	return (int)CALL(__NR_write, fd, (long)buf, n);
}

/* Directories cannot be read on Linux: then the entries are made here (dir.c). */
int read(int fd, void *buf, int n)
{
	int got = (int)CALL(__NR_read, fd, (long)buf, n);

	return got < 0 ? xv6_read_directory(fd, buf, n) : got;
}

int pipe(int *fds)
{
	return (int)CALL(__NR_pipe, (long)fds);
}

int dup(int fd)
{
	return (int)CALL(__NR_dup, fd);
}

int mknod(const char *path, short major, short minor)
{
	return (int)CALL(__NR_mknod, (long)path, 0020666, (minor & 0xff) | major << 8);
}

/* xv6's removes empty directories too. */
int unlink(const char *path)
{
	int done = (int)CALL(__NR_unlink, (long)path);

	return done < 0 ? (int)CALL(__NR_rmdir, (long)path) : done;
}

int link(const char *from, const char *to)
{
	return (int)CALL(__NR_link, (long)from, (long)to);
}

int mkdir(const char *path)
{
	return (int)CALL(__NR_mkdir, (long)path, 0777);
}

int chdir(const char *path)
{
	return (int)CALL(__NR_chdir, (long)path);
}

/* --- stat, in both layouts --- */

struct stat_x86 {
	short type;
	int dev;
	unsigned ino;
	short nlink;
	unsigned size;
};

struct stat_riscv {
	int dev;
	unsigned ino;
	short type, nlink;
	unsigned long size;
};

static int look(int fd, const char *path, struct stat_riscv *st)
{
	struct statx x;

	if (CALL5(__NR_statx, fd, (long)path, AT_EMPTY_PATH, STATX_BASIC_STATS, (long)&x) < 0)
		return -1;
	st->dev = (int)(x.stx_dev_major << 8 | x.stx_dev_minor);
	st->ino = (unsigned)x.stx_ino;
	st->type = S_ISDIR(x.stx_mode) ? 1 : S_ISREG(x.stx_mode) ? 2 : 3;
	st->nlink = (short)x.stx_nlink;
	st->size = x.stx_size;
	return 0;
}

static int look_x86(int fd, const char *path, struct stat_x86 *st)
{
	struct stat_riscv s;

	if (look(fd, path, &s) < 0)
		return -1;
	*st = (struct stat_x86){ s.type, s.dev, s.ino, s.nlink, (unsigned)s.size };
	return 0;
}

int xv6_fstat_riscv(int fd, struct stat_riscv *st)
{
	return look(fd, "", st);
}

int xv6_stat_riscv(const char *path, struct stat_riscv *st)
{
	return *path ? look(AT_FDCWD, path, st) : -1;
}

int xv6_fstat_x86(int fd, struct stat_x86 *st)
{
	return look_x86(fd, "", st);
}

int xv6_stat_x86(const char *path, struct stat_x86 *st)
{
	return *path ? look_x86(AT_FDCWD, path, st) : -1;
}
