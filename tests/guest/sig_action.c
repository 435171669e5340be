/* SPDX-License-Identifier: MIT */ /* build: both */
/*
 * sig_action.c - sigaction and its flags, masks, alternate stacks, queued signals and their order,
 * waiting for signals, and the state of the FPU across them.
 */
#include "tap.h"
#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

static volatile int count, last, order[64];
static volatile siginfo_t info;
static volatile sigset_t mask_inside;

static void note(int s)
{
	order[count++ % 64] = s;
	last = s;
}

static void note_info(int s, siginfo_t *si, void *context)
{
	(void)context;
	note(s);
	*(siginfo_t *)&info = *si;
	sigprocmask(SIG_SETMASK, NULL, (sigset_t *)&mask_inside);
}

static void handle(int s, int flags, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction a = { .sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO };

	REQUIRE(sigaction(s, &a, NULL) == 0);
}

static sigset_t set_of(int a, int b)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, a);
	if (b)
		sigaddset(&s, b);
	return s;
}

static void block(int a, int b)
{
	sigset_t s = set_of(a, b);

	OK(sigprocmask(SIG_BLOCK, &s, NULL));
}

static void unblock(int a, int b)
{
	sigset_t s = set_of(a, b);

	OK(sigprocmask(SIG_UNBLOCK, &s, NULL));
}

static void actions(void)
{
	struct sigaction a = { .sa_handler = note, .sa_flags = SA_RESTART }, old;

	sigaddset(&a.sa_mask, SIGUSR2);
	sigaddset(&a.sa_mask, SIGKILL);
	OK(sigaction(SIGUSR1, &a, &old));
	CHECK(old.sa_handler == SIG_DFL);
	OK(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == note);
	EQ(old.sa_flags & SA_RESTART, SA_RESTART);
	EQ(sigismember(&old.sa_mask, SIGUSR2), 1);
	EQ(sigismember(&old.sa_mask, SIGKILL), 0); /* cannot be blocked */
	OK(raise(SIGUSR1));
	EQ(count, 1);
	ERR(sigaction(0, NULL, &old), EINVAL);
	ERR(sigaction(65, NULL, &old), EINVAL);
	ERR(sigaction(SIGKILL, &a, NULL), EINVAL);
	ERR(sigaction(SIGSTOP, &a, NULL), EINVAL);
	OK(sigaction(SIGKILL, NULL, &old));
	ERR(syscall(SYS_rt_sigaction, SIGUSR1, &a, NULL, 4), EINVAL);
	ERR(syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, 8), EFAULT);
	ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, (void *)8, 8), EFAULT);
	signal(SIGUSR1, SIG_IGN);
	OK(raise(SIGUSR1));
	EQ(count, 1);
}

/* Ignoring a signal drops what is pending of it, and so does the default if that is to ignore. */
static void ignoring_drops_pending(void)
{
	sigset_t pending;

	block(SIGUSR1, SIGCHLD);
	raise(SIGUSR1);
	handle(SIGCHLD, 0, note_info);
	raise(SIGCHLD);
	sigpending(&pending);
	EQ(sigismember(&pending, SIGUSR1), 1);
	EQ(sigismember(&pending, SIGCHLD), 1);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigpending(&pending);
	EQ(sigismember(&pending, SIGUSR1), 0);
	EQ(sigismember(&pending, SIGCHLD), 0);
	handle(SIGUSR1, 0, note_info);
	unblock(SIGUSR1, SIGCHLD);
	EQ(count, 0);
	/* a blocked signal whose default is to ignore waits all the same */
	block(SIGWINCH, 0);
	raise(SIGWINCH);
	sigpending(&pending);
	EQ(sigismember(&pending, SIGWINCH), 1);
}

static void again_inside(int s, siginfo_t *si, void *context)
{
	static volatile int depth, deepest;

	(void)si;
	(void)context;
	if (++depth > deepest)
		deepest = depth;
	if (count++ < 3)
		raise(s);
	depth--;
	last = deepest;
}

static void flags(void)
{
	struct sigaction old;

	handle(SIGUSR1, 0, again_inside);
	raise(SIGUSR1);
	EQ(count, 4);
	EQ(last, 1); /* blocked while it is handled */
	count = 0;
	handle(SIGUSR1, SA_NODEFER, again_inside);
	raise(SIGUSR1);
	EQ(count, 4);
	EQ(last, 4);
	count = 0;
	handle(SIGUSR2, SA_RESETHAND, note_info);
	raise(SIGUSR2);
	EQ(count, 1);
	sigaction(SIGUSR2, NULL, &old);
	CHECK(old.sa_handler == SIG_DFL);
	/* the mask of the action holds during the handler, and goes after it */
	struct sigaction a = { .sa_sigaction = note_info, .sa_flags = SA_SIGINFO };
	sigaddset(&a.sa_mask, SIGHUP);
	sigaction(SIGUSR1, &a, NULL);
	block(SIGQUIT, 0);
	raise(SIGUSR1);
	EQ(sigismember((sigset_t *)&mask_inside, SIGHUP), 1);
	EQ(sigismember((sigset_t *)&mask_inside, SIGUSR1), 1);
	EQ(sigismember((sigset_t *)&mask_inside, SIGQUIT), 1);
	EQ(sigismember((sigset_t *)&mask_inside, SIGUSR2), 0);
	sigset_t now;
	sigprocmask(SIG_SETMASK, NULL, &now);
	EQ(sigismember(&now, SIGHUP), 0);
	EQ(sigismember(&now, SIGQUIT), 1);
}

static void masks(void)
{
	sigset_t all, now;

	sigfillset(&all);
	OK(sigprocmask(SIG_BLOCK, &all, NULL));
	OK(sigprocmask(SIG_BLOCK, NULL, &now));
	EQ(sigismember(&now, SIGKILL), 0);
	EQ(sigismember(&now, SIGSTOP), 0);
	EQ(sigismember(&now, SIGTERM), 1);
	unblock(SIGTERM, SIGHUP);
	sigprocmask(99, NULL, &now); /* how is not looked at without a set */
	EQ(sigismember(&now, SIGHUP), 0);
	EQ(sigismember(&now, SIGINT), 1);
	ERR(syscall(SYS_rt_sigprocmask, 99, &all, NULL, 8), EINVAL);
	ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, 7), EINVAL);
	ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8), EFAULT);
	ERR(syscall(SYS_rt_sigpending, &now, 9), EINVAL);
	pid_t pid;
	FORKED(pid)
	{
		sigprocmask(SIG_SETMASK, NULL, &now);
		EQ(sigismember(&now, SIGINT), 1); /* inherited */
	}
	EQ(reap(pid), 0);
}

/* Standard signals do not queue, real-time ones do, in order; lower numbers first. */
static void queueing(void)
{
	union sigval v;
	int rt = SIGRTMIN, rt1 = SIGRTMIN + 1;

	handle(SIGUSR1, 0, note_info);
	handle(SIGUSR2, 0, note_info);
	handle(rt, 0, note_info);
	handle(rt1, 0, note_info);
	block(SIGUSR1, SIGUSR2);
	block(rt, rt1);
	for (int i = 0; i < 3; i++) {
		kill(getpid(), SIGUSR1);
		v.sival_int = 10 + i;
		OK(sigqueue(getpid(), rt1, v));
		v.sival_int = 20 + i;
		OK(sigqueue(getpid(), rt, v));
	}
	kill(getpid(), SIGUSR2);
	struct timespec now = { 0, 0 };
	sigset_t set = set_of(rt, rt1);
	siginfo_t si;
	static const int values[] = { 20, 21, 22, 10, 11, 12 };
	for (int i = 0; i < 6; i++) {
		EQ(sigtimedwait(&set, &si, &now), i < 3 ? rt : rt1);
		EQ(si.si_value.sival_int, values[i]);
		EQ(si.si_code, SI_QUEUE);
		EQ(si.si_pid, getpid());
		EQ(si.si_uid, getuid());
	}
	ERR(sigtimedwait(&set, &si, &now), EAGAIN);
	sigset_t both = set_of(SIGUSR1, SIGUSR2), old;
	sigprocmask(SIG_UNBLOCK, &both, &old);
	EQ(count, 2);
	/*
	 * all that can be delivered gets its frame at once, the lowest first: the last frame, of
	 * the highest number, is on top and runs first
	 */
	EQ(order[0], SIGUSR2);
	EQ(order[1], SIGUSR1);
}

/* Thousands of two signals in turn: those of one are dropped at once, those of the other stay in order. */
static void queue_of_many(void)
{
	enum { N = 2000 };
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1 };
	struct itimerspec soon = { { 0, 0 }, { 0, 1 } };
	struct timespec now = { 0, 0 };
	sigset_t set = set_of(SIGRTMIN, SIGRTMIN + 1), pending;
	union sigval v;
	siginfo_t si;
	timer_t t;

	block(SIGRTMIN, SIGRTMIN + 1);
	OK(timer_create(CLOCK_MONOTONIC, &e, &t));
	OK(timer_settime(t, 0, &soon, NULL));
	do { /* the timer's is the oldest */
		sched_yield();
		sigpending(&pending);
	} while (!sigismember(&pending, SIGRTMIN + 1));
	for (int i = 0; i < N; i++) {
		v.sival_int = i;
		OK(sigqueue(getpid(), SIGRTMIN, v));
		OK(sigqueue(getpid(), SIGRTMIN + 1, v));
	}
	signal(SIGRTMIN, SIG_IGN);
	sigpending(&pending);
	CHECK(!sigismember(&pending, SIGRTMIN) && sigismember(&pending, SIGRTMIN + 1));
	OK(timer_delete(t));
	for (int i = 0; i < N; i++) {
		int sig = sigtimedwait(&set, &si, &now);
		if (i == 0 && sig == SIGRTMIN + 1 &&
		    si.si_code == SI_TIMER) /* kept by newer Linux */
			sig = sigtimedwait(&set, &si, &now);
		EQ(sig, SIGRTMIN + 1);
		EQ(si.si_value.sival_int, i);
	}
	ERR(sigtimedwait(&set, &si, &now), EAGAIN);
}

static void queue_calls(void)
{
	siginfo_t si = { .si_code = SI_QUEUE };
	pid_t pid;

	si.si_value.sival_int = 5;
	handle(SIGUSR1, 0, note_info);
	OK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &si));
	EQ(info.si_code, SI_QUEUE);
	EQ(info.si_value.sival_int, 5);
	OK(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR1, &si));
	EQ(count, 2);
	OK(syscall(SYS_rt_sigqueueinfo, getpid(), 0, &si));
	EQ(count, 2);
	ERR(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &si), EINVAL);
	ERR(syscall(SYS_rt_sigqueueinfo, 999999, SIGUSR1, &si), ESRCH);
	ERR(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, (void *)8), EFAULT);
	/* what looks as if the kernel or kill had sent it: only to oneself */
	si.si_code = SI_USER;
	OK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &si));
	FORKED(pid)
	{
		ERR(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &si), EPERM);
		si.si_code = SI_TKILL;
		ERR(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &si), EPERM);
	}
	EQ(reap(pid), 0);
}

static void sender_information(void)
{
	pid_t pid;

	handle(SIGUSR1, 0, note_info);
	OK(kill(getpid(), SIGUSR1));
	EQ(info.si_code, SI_USER);
	EQ(info.si_pid, getpid());
	OK(raise(SIGUSR1));
	EQ(info.si_code, SI_TKILL);
	FORKED(pid)
	{
		setresuid(1000, 0, 0);
		kill(getppid(), SIGUSR1);
	}
	AWAIT(count == 3);
	EQ(info.si_pid, pid);
	EQ(info.si_uid, 1000); /* the real id of the sender */
	EQ(reap(pid), 0);
}

static void child_signals(void)
{
	pid_t pid;
	int status;

	handle(SIGCHLD, 0, note_info);
	FORKED(pid)
	{
		for (;;)
			pause();
	}
	OK(kill(pid, SIGSTOP));
	AWAIT(count == 1);
	EQ(info.si_code, CLD_STOPPED);
	EQ(info.si_status, SIGSTOP);
	EQ(info.si_pid, pid);
	OK(kill(pid, SIGCONT));
	AWAIT(count == 2);
	EQ(info.si_code, CLD_CONTINUED);
	EQ(info.si_status, SIGCONT);
	OK(kill(pid, SIGKILL));
	AWAIT(count == 3);
	EQ(info.si_code, CLD_KILLED);
	EQ(info.si_status, SIGKILL);
	reap(pid);
	count = 0;
	FORKED(pid) _exit(33);
	AWAIT(count == 1);
	EQ(info.si_code, CLD_EXITED);
	EQ(info.si_status, 33);
	reap(pid);
	/* SA_NOCLDSTOP: only ends are told */
	handle(SIGCHLD, SA_NOCLDSTOP, note_info);
	count = 0;
	FORKED(pid)
	{
		for (;;)
			pause();
	}
	OK(kill(pid, SIGSTOP));
	EQ(waitpid(pid, &status, WUNTRACED), pid);
	OK(kill(pid, SIGCONT));
	EQ(waitpid(pid, &status, WCONTINUED), pid);
	EQ(count, 0);
	OK(kill(pid, SIGKILL));
	AWAIT(count == 1);
	reap(pid);
	/* another signal at the end, chosen by clone */
	handle(SIGUSR1, 0, note_info);
	count = 0;
	pid = syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0);
	if (pid == 0)
		_exit(1);
	AWAIT(count == 1);
	EQ(last, SIGUSR1);
	EQ(info.si_code, CLD_EXITED);
	EQ(waitpid(pid, &status, 0x40000000), pid);
}

static volatile char *stack_seen;
static stack_t stack_inside;

static void on_stack(int s, siginfo_t *si, void *context)
{
	char here;

	(void)si;
	(void)context;
	note(s);
	stack_seen = &here;
	sigaltstack(NULL, &stack_inside);
	stack_t other = { .ss_sp = &here, .ss_size = 65536 };
	if (stack_inside.ss_flags == SS_ONSTACK)
		ERR(sigaltstack(&other, NULL), EPERM);
}

static void alternate_stack(void)
{
	size_t size = 65536;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t ss = { .ss_sp = memory, .ss_size = size }, old;

	OK(sigaltstack(NULL, &old));
	EQ(old.ss_flags, SS_DISABLE);
	OK(sigaltstack(&ss, &old));
	OK(sigaltstack(NULL, &old));
	CHECK(old.ss_sp == memory && old.ss_size == size && old.ss_flags == 0);
	handle(SIGUSR1, SA_ONSTACK, on_stack);
	raise(SIGUSR1);
	CHECK(stack_seen > memory && stack_seen < memory + size);
	EQ(stack_inside.ss_flags, SS_ONSTACK);
	handle(SIGUSR1, 0, on_stack);
	raise(SIGUSR1);
	CHECK(stack_seen < memory || stack_seen >= memory + size);
	ss.ss_size = 1000;
	ERR(syscall(SYS_sigaltstack, &ss, NULL), ENOMEM);
	ss.ss_flags = 99;
	ERR(syscall(SYS_sigaltstack, &ss, NULL), EINVAL);
	ERR(syscall(SYS_sigaltstack, (void *)8, NULL), EFAULT);
	ss.ss_flags = SS_DISABLE;
	OK(sigaltstack(&ss, NULL));
	OK(sigaltstack(NULL, &old));
	EQ(old.ss_flags, SS_DISABLE);
	munmap(memory, size);
}

static sigjmp_buf jump;

static void jump_out(int s, siginfo_t *si, void *context)
{
	(void)si;
	(void)context;
	note(s);
	siglongjmp(jump, 1);
}

static int recurse(int n)
{
	volatile char frame[4096];

	frame[0] = n;
	return n < 1 << 30 ? recurse(n + 1) + frame[0] : 0;
}

/* An overflow of the stack is handled on the alternate one; without it, it ends the process. */
static void stack_overflow(void)
{
	pid_t pid;

	for (int alternate = 0; alternate < 2; alternate++) {
		FORKED(pid)
		{
			static char memory[65536];
			stack_t ss = { .ss_sp = memory, .ss_size = sizeof memory };
			if (alternate)
				sigaltstack(&ss, NULL);
			handle(SIGSEGV, SA_ONSTACK, jump_out);
			if (!sigsetjmp(jump, 1))
				recurse(0);
			_exit(count == 1 ? 0 : 1);
		}
		EQ(reap(pid), alternate ? 0 : 128 + SIGSEGV);
	}
}

static void waiting_calls(void)
{
	sigset_t none, set = set_of(SIGUSR1, SIGUSR2);
	siginfo_t si;
	struct timespec t = { 0, 50000000 };
	pid_t pid, me = getpid();

	handle(SIGUSR1, 0, note_info);
	block(SIGUSR1, SIGUSR2);
	sigemptyset(&none);
	raise(SIGUSR1);
	EQ(count, 0);
	ERR(sigsuspend(&none), EINTR);
	EQ(count, 1);
	sigset_t now;
	sigprocmask(SIG_SETMASK, NULL, &now);
	EQ(sigismember(&now, SIGUSR1), 1); /* the old mask is back */
	long long start = now_ms();
	ERR(sigtimedwait(&set, &si, &t), EAGAIN);
	CHECK(now_ms() - start >= 49);
	FORKED(pid)
	{
		sleep_ms(30);
		kill(me, SIGUSR2);
	}
	EQ(sigwaitinfo(&set, &si), SIGUSR2);
	EQ(si.si_pid, pid);
	EQ(count, 1); /* no handler ran */
	EQ(reap(pid), 0);
	t.tv_nsec = 1000000000;
	ERR(sigtimedwait(&set, &si, &t), EINVAL);
	t = (struct timespec){ -1, 0 };
	ERR(sigtimedwait(&set, &si, &t), EINVAL);
	ERR(syscall(SYS_rt_sigtimedwait, &set, &si, NULL, 4), EINVAL);
	ERR(syscall(SYS_rt_sigsuspend, &none, 4), EINVAL);
	ERR(syscall(SYS_rt_sigsuspend, (void *)8, 8), EFAULT);
	/* another signal with a handler ends the wait */
	handle(SIGHUP, SA_RESTART, note_info);
	FORKED(pid)
	{
		sleep_ms(30);
		kill(me, SIGHUP);
	}
	ERR(syscall(SYS_rt_sigtimedwait, &set, &si, NULL, 8), EINTR); /* musl would try again */
	EQ(reap(pid), 0);
	FORKED(pid)
	{
		sleep_ms(30);
		kill(me, SIGHUP);
	}
	ERR(pause(), EINTR);
	EQ(reap(pid), 0);
}

/* A stop signal takes a pending SIGCONT away and the other way round. */
static void stop_and_continue(void)
{
	pid_t pid;
	int status;

	FORKED(pid)
	{
		handle(SIGCONT, 0, note_info);
		handle(SIGTSTP, 0, note_info);
		block(SIGCONT, SIGTSTP);
		raise(SIGTSTP);
		raise(SIGCONT);
		sigset_t pending;
		sigpending(&pending);
		EQ(sigismember(&pending, SIGTSTP), 0);
		EQ(sigismember(&pending, SIGCONT), 1);
		raise(SIGTSTP);
		sigpending(&pending);
		EQ(sigismember(&pending, SIGTSTP), 1);
		EQ(sigismember(&pending, SIGCONT), 0);
		unblock(SIGCONT, SIGTSTP);
		EQ(count, 1);
		EQ(last, SIGTSTP);
		block(SIGCONT, 0);
		WORD(0) = 1;
		raise(SIGSTOP); /* SIGCONT continues it though it is blocked */
		unblock(SIGCONT, 0);
		EQ(last, SIGCONT);
	}
	EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	/* other signals wait while it is stopped */
	OK(kill(pid, SIGCONT));
	EQ(reap(pid), 0);
	FORKED(pid)
	{
		handle(SIGUSR1, 0, note_info);
		raise(SIGSTOP);
		_exit(count ? 0 : 1);
	}
	EQ(waitpid(pid, &status, WUNTRACED), pid);
	OK(kill(pid, SIGUSR1));
	sleep_ms(30);
	EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
	OK(kill(pid, SIGCONT));
	EQ(reap(pid), 0);
}

static void clobber(int s, siginfo_t *si, void *context)
{
	(void)si;
	(void)context;
	note(s);
	double x = 1;
	for (int i = 0; i < 10; i++)
		x = x * 1.37 + s;
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; pxor %%xmm15, %%xmm15; fldpi;"
			 "fstp %%st(0); fninit"
			 :
			 :
			 : "xmm0", "xmm7", "xmm15");
	if (x < 0)
		raise(SIGABRT);
}

/* Registers of x87 and SSE, and their control words, survive handlers and other processes. */
static void fpu_state(void)
{
	unsigned int mxcsr = 0x1f80 | 0x6000, got_mxcsr;
	unsigned short cw = 0x0c7f, got_cw;
	double a[2] = { 1.25, -7.5 }, b[2];
	unsigned long tail = 0x1122334455667788, got_tail;
	pid_t pid[2];

	handle(SIGALRM, SA_RESTART, clobber);
	for (int i = 0; i < 2; i++)
		FORKED(pid[i])
		{
			volatile double x = 2;
			for (;;)
				x = x * x - 1.5 * x;
		}
	ualarm(2000, 2000);
	for (int i = 0; i < 40000 && count < 40; i++) {
		__asm__ volatile("ldmxcsr %4; fldcw %5; movupd %6, %%xmm7; movq %7, %%xmm15; fldpi;"
				 "mov $20000, %%ecx; 1: dec %%ecx; jnz 1b;"
				 "stmxcsr %0; fnstcw %1; movupd %%xmm7, %2; movq %%xmm15, %3;"
				 "fstp %%st(0)"
				 : "=m"(got_mxcsr), "=m"(got_cw), "=m"(b), "=m"(got_tail)
				 : "m"(mxcsr), "m"(cw), "m"(a), "m"(tail)
				 : "xmm7", "xmm15", "ecx", "memory");
		if ((got_mxcsr & 0xffc0) != mxcsr || got_cw != cw || memcmp(a, b, sizeof a) ||
		    got_tail != tail) {
			FAIL("round %d: mxcsr %x cw %x %f %f %lx", i, got_mxcsr, got_cw, b[0], b[1],
			     got_tail);
			break;
		}
	}
	ualarm(0, 0);
	CHECK(count > 0);
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		reap(pid[i]);
	}
	unsigned int plain = 0x1f80;
	__asm__ volatile("ldmxcsr %0; fninit" : : "m"(plain));
}

/* A handler may change where the program goes on. */
static void change_context(int s, siginfo_t *si, void *context)
{
	ucontext_t *u = context;

	(void)si;
	note(s);
	u->uc_mcontext.gregs[REG_RAX] = 4711;
	u->uc_mcontext.gregs[REG_RIP] += 2; /* over ud2 */
	sigaddset(&u->uc_sigmask, SIGHUP);
}

static void context_is_taken_back(void)
{
	long rax = 0;
	sigset_t now;

	handle(SIGILL, 0, change_context);
	__asm__ volatile("ud2" : "+a"(rax) : : "memory");
	EQ(rax, 4711);
	EQ(count, 1);
	sigprocmask(SIG_SETMASK, NULL, &now);
	EQ(sigismember(&now, SIGHUP), 1);
	/* a frame that makes no sense ends the process with SIGSEGV */
	pid_t pid;
	FORKED(pid)
	{
		__asm__ volatile("mov $8, %%rsp; mov $15, %%eax; syscall" : : : "memory");
	}
	EQ(reap(pid), 128 + SIGSEGV);
}

static const struct tap_case cases[] = {
	T(actions),
	T(flags),
	T(masks),
	T(ignoring_drops_pending),
	T(queueing),
	T(queue_calls),
	T(queue_of_many),
	T(child_signals),
	T(sender_information),
	T(waiting_calls),
	T(alternate_stack),
	T(stack_overflow),
	T(stop_and_continue),
	T(fpu_state),
	T(context_is_taken_back),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
