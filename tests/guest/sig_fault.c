/* SPDX-License-Identifier: MIT */
/*
 * sig_fault.c - the signals of faults: number, code and address; blocked, ignored; SIGPIPE, core.
 */
#include "scratch.h"
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf jump;
static volatile siginfo_t info;
static volatile long trap_number, error_code;

static void on_fault(int s, siginfo_t *si, void *context)
{
	ucontext_t *u = context;

	(void)s;
	*(siginfo_t *)&info = *si;
	trap_number = u->uc_mcontext.gregs[REG_TRAPNO];
	error_code = u->uc_mcontext.gregs[REG_ERR];
	siglongjmp(jump, 1);
}

#define FAULT(statement)                               \
	do {                                           \
		memset((void *)&info, 0, sizeof info); \
		if (!sigsetjmp(jump, 1)) {             \
			statement;                     \
		}                                      \
	} while (0)

#define EXPECT(statement, signal, code)                                                          \
	do {                                                                                     \
		FAULT(statement);                                                                \
		if (info.si_signo != (signal) || info.si_code != (code))                         \
			FAIL("%s: signal %d code %d, expected %s %s", #statement, info.si_signo, \
			     info.si_code, #signal, #code);                                      \
	} while (0)

static void catch_all(void)
{
	static const int all[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	struct sigaction a = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	for (size_t i = 0; i < COUNT(all); i++)
		REQUIRE(sigaction(all[i], &a, NULL) == 0);
}

static void segv(void)
{
	char *m = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile char *p = NULL;

	catch_all();
	EXPECT(*p = 1, SIGSEGV, SEGV_MAPERR);
	CHECK(info.si_addr == NULL);
	EQ(trap_number, 14);
	EQ(error_code, 6);
	p = (char *)0x1234;
	EXPECT((void)*p, SIGSEGV, SEGV_MAPERR);
	CHECK(info.si_addr == (void *)0x1234);
	EQ(error_code, 4);
	p = m + 5;
	EXPECT(*p = 1, SIGSEGV, SEGV_ACCERR);
	CHECK(info.si_addr == m + 5);
	(void)*p;
	EXPECT(*p = 1, SIGSEGV, SEGV_ACCERR);
	EQ(error_code, 7);
	OK(mprotect(m, 4096, PROT_NONE));
	EXPECT((void)*p, SIGSEGV, SEGV_ACCERR);
	p = m + 4096;
	OK(munmap(m + 4096, 4096));
	EXPECT((void)*p, SIGSEGV, SEGV_MAPERR);
	p = (char *)0xffffffff80000000; /* the kernel's half */
	EXPECT((void)*p, SIGSEGV, SEGV_MAPERR);
	CHECK(info.si_addr == (void *)0xffffffff80000000);
	p = (char *)0x0800000000000000; /* no address at all: a general protection fault */
	EXPECT((void)*p, SIGSEGV, SI_KERNEL);
	EQ(trap_number, 13);
	p = (char *)0x7ffffffff000;
	EXPECT((void)*p, SIGSEGV, SEGV_MAPERR);
	munmap(m, 4096);
}

static void execution(void)
{
	unsigned char *m =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	catch_all();
	m[0] = 0xc3; /* ret */
	void (*f)(void) = (void (*)(void))m;
	EXPECT(f(), SIGSEGV, SEGV_ACCERR);
	CHECK(info.si_addr == m);
	EQ(error_code, 0x15);
	unsigned char on_stack[16] = { 0xc3 };
	f = (void (*)(void))on_stack;
	EXPECT(f(), SIGSEGV, SEGV_ACCERR);
	OK(mprotect(m, 4096, PROT_READ | PROT_EXEC));
	f = (void (*)(void))m;
	f();
	f = NULL;
	EXPECT(f(), SIGSEGV, SEGV_MAPERR);
	munmap(m, 4096);
}

static void arithmetic(void)
{
	volatile int zero = 0, x = 1;
	unsigned int mxcsr = 0x1f80 & ~0x200, normal = 0x1f80;

	catch_all();
	EXPECT(x = x / zero, SIGFPE, FPE_INTDIV);
	CHECK(info.si_addr != NULL);
	volatile int least = INT32_MIN, minus = -1;
	EXPECT(x = least / minus, SIGFPE, FPE_INTDIV);
	EQ(trap_number, 0);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	volatile double a = 1, b = 0;
	FAULT(a = a / b);
	if (info.si_signo) /* QEMU without hardware virtualisation raises none for SSE */
		EQ(info.si_code, FPE_FLTDIV);
	__asm__ volatile("ldmxcsr %0" : : "m"(normal));
	unsigned short cw = 0x37b; /* x87: division by zero not masked */
	EXPECT(__asm__ volatile("fldcw %0; fld1; fldz; fdivrp; fwait"
				:
				: "m"(cw)),
	       SIGFPE, FPE_FLTDIV);
	__asm__ volatile("fninit");
}

static void instructions(void)
{
	catch_all();
	EXPECT(__asm__ volatile("ud2"), SIGILL, ILL_ILLOPN);
	CHECK(info.si_addr != NULL);
	EQ(trap_number, 6);
	EXPECT(__asm__ volatile("hlt"), SIGSEGV, SI_KERNEL);
	EXPECT(__asm__ volatile("cli"), SIGSEGV, SI_KERNEL);
	EXPECT(__asm__ volatile("mov %%cr0, %%rax" : : : "rax"), SIGSEGV, SI_KERNEL);
	EXPECT(__asm__ volatile("rdmsr" : : "c"(0x10) : "rax", "rdx"), SIGSEGV, SI_KERNEL);
	EXPECT(__asm__ volatile("in $0x60, %%al" : : : "rax"), SIGSEGV, SI_KERNEL);
	EXPECT(__asm__ volatile("int $0x21"), SIGSEGV, SI_KERNEL);
	EXPECT(__asm__ volatile("mov $0x1234, %%eax; mov %%eax, %%ds"
				:
				:
				: "rax"),
	       SIGSEGV, SI_KERNEL);
}

static void traps(void)
{
	catch_all();
	EXPECT(__asm__ volatile("int3"), SIGTRAP, SI_KERNEL);
	EQ(trap_number, 3);
	EXPECT(__asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop; nop; nop"
				:
				:
				: "memory"),
	       SIGTRAP, TRAP_TRACE);
	__asm__ volatile("pushf; andl $~0x100, (%%rsp); popf" : : : "memory");
}

static void bus(void)
{
	catch_all();
	scratch();
	put("f", "abc", 0644);
	int fd = OK(open("f", O_RDWR));
	volatile char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EQ(m[0], 'a');
	EQ(m[4095], 0); /* the rest of the last page reads as zero */
	EXPECT((void)m[4096], SIGBUS, BUS_ADRERR);
	CHECK(info.si_addr == m + 4096);
	EXPECT(m[4100] = 1, SIGBUS, BUS_ADRERR);
	OK(ftruncate(fd, 5000));
	EQ(m[4096], 0);
	OK(ftruncate(fd, 0));
	EXPECT((void)m[0], SIGBUS, BUS_ADRERR);
	/* a system call gets EFAULT */
	ERR(write(STDOUT_FILENO, (char *)m, 1), EFAULT);
	munmap((void *)m, 8192);
	close(fd);
}

/* Blocked or ignored, a fault ends the process. */
static void not_to_be_ignored(void)
{
	for (int way = 0; way < 3; way++) {
		pid_t pid;
		FORKED(pid)
		{
			sigset_t s;
			sigemptyset(&s);
			sigaddset(&s, SIGSEGV);
			if (way == 0)
				signal(SIGSEGV, SIG_IGN);
			else if (way == 1)
				sigprocmask(SIG_BLOCK, &s, NULL);
			*(volatile char *)8 = 1;
		}
		EQ(reap(pid), 128 + SIGSEGV);
	}
	/* sent by kill it can be ignored */
	pid_t pid;
	FORKED(pid)
	{
		signal(SIGSEGV, SIG_IGN);
		kill(getpid(), SIGSEGV);
	}
	EQ(reap(pid), 0);
}

static void broken_pipe(void)
{
	int p[2];
	pid_t pid;

	OK(pipe(p));
	close(p[0]);
	FORKED(pid)
	{
		write(p[1], "x", 1);
	}
	EQ(reap(pid), 128 + SIGPIPE);
	signal(SIGPIPE, SIG_IGN);
	ERR(write(p[1], "x", 1), EPIPE);
	close(p[1]);
}

/* What each signal does when nobody has said anything. */
static void defaults(void)
{
	for (int s = 1; s <= 64; s++) {
		int status = 0;
		pid_t pid;
		FORKED(pid)
		{
			signal(s, SIG_DFL);
			WORD(0) = 1;
			syscall(SYS_kill, getpid(), s);
		}
		EQ(waitpid(pid, &status, WUNTRACED), pid);
		bool ignored = s == SIGCHLD || s == SIGCONT || s == SIGURG || s == SIGWINCH;
		if (s == SIGSTOP || s == SIGTSTP || s == SIGTTIN || s == SIGTTOU) {
			if (WIFSTOPPED(status)) {
				EQ(WSTOPSIG(status), s);
				kill(pid, SIGKILL);
				reap(pid);
			} else if (s == SIGSTOP || !WIFEXITED(status)) {
				FAIL("signal %d: status %x", s, status);
			} /* else the group is orphaned, and the stop is ignored */
		} else if (ignored ? status != 0 : (status & 0x7f) != s) {
			FAIL("signal %d: status %x", s, status);
		}
	}
}

static const struct tap_case cases[] = {
	T(segv), T(execution),	       T(arithmetic),  T(instructions), T(traps),
	T(bus),	 T(not_to_be_ignored), T(broken_pipe), T(defaults),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
