/* SPDX-License-Identifier: MIT */
/*
 * escapes_machine.c - attacks on the machine below all containers: its registers, ports, clock,
 * log, the kernel's memory, pages that all share, and what freed memory still says of others.
 */
#include "escapes.h"
#include <poll.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/reboot.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>
#include <ucontext.h>

#define KERNEL_TEXT   0xffffffff80100000ul
#define DIRECT_MAP    0xffff800000001000ul
#define NOT_CANONICAL 0x0800000000000000ul

/* The signal that ends a child which does this, or 0. */
static int ended_by(void (*fn)(void))
{
	pid_t pid;

	FORKED(pid) fn();
	int status = reap(pid);
	return status > 128 ? status - 128 : 0;
}

/* --- registers --- */

static volatile sig_atomic_t returned;
static unsigned long forge_rip, forge_cs, forge_flags, forge_rsp;

static void forge(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	if (forge_rip)
		u->uc_mcontext.gregs[REG_RIP] = forge_rip;
	if (forge_cs)
		u->uc_mcontext.gregs[REG_CSGSFS] =
			(u->uc_mcontext.gregs[REG_CSGSFS] & ~0xffffl) | forge_cs;
	if (forge_flags)
		u->uc_mcontext.gregs[REG_EFL] |= forge_flags;
	if (forge_rsp)
		u->uc_mcontext.gregs[REG_RSP] = forge_rsp;
}

static void elsewhere(void)
{
	_exit(0);
}

static unsigned long flags_now(void)
{
	unsigned long f;

	__asm__ volatile("pushfq; popq %0" : "=r"(f));
	return f;
}

static void out_port(void)
{
	__asm__ volatile("outb %0, %1" : : "a"((char)0), "d"((short)0x80));
}

static void forged_return(void)
{
	struct sigaction sa = { .sa_sigaction = forge, .sa_flags = SA_SIGINFO };

	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	if (flags_now() & 0x3000) /* IOPL */
		_exit(2);
	if (forge_flags)
		out_port(); /* SIGSEGV */
	_exit(3);
}

/* A signal frame that returns to the kernel's privileges. */
static void signal_frames(void)
{
	outside();
	int c = prison();
	INSIDE(c)
	{
		static const unsigned long cs[] = { 0x08, 0x10, 0x18, 0x20, 0xffff };
		static const unsigned long rip[] = { KERNEL_TEXT, DIRECT_MAP, NOT_CANONICAL, ~0ul };
		for (size_t i = 0; i < COUNT(cs); i++) {
			forge_cs = cs[i];
			int sig = ended_by(forged_return);
			CHECK(sig == SIGSEGV || sig == 0); /* refused, or its own segment is kept */
		}
		forge_cs = 0;
		for (size_t i = 0; i < COUNT(rip); i++) {
			forge_rip = rip[i];
			CHECK(ended_by(forged_return) == SIGSEGV);
		}
		forge_rip = 0;
		forge_flags = 0x3000;
		CHECK(ended_by(forged_return) == SIGSEGV); /* by the port, not before */
		forge_flags = 0x20000 | 0x4000;		   /* virtual 8086, nested task */
		CHECK(ended_by(forged_return) == SIGSEGV);
		forge_flags = 0;
		forge_rsp = KERNEL_TEXT;
		CHECK(ended_by(forged_return) == SIGSEGV);
		forge_rsp = 0;
		forge_rip = (unsigned long)elsewhere; /* control: to where it may */
		pid_t pid;
		FORKED(pid) forged_return();
		EQ(reap(pid), 0);
	}
	untouched();
	gone(c);
}

static void privileged_cli(void)
{
	__asm__ volatile("cli");
}
static void privileged_hlt(void)
{
	__asm__ volatile("hlt");
}
static void privileged_cr3(void)
{
	unsigned long x;
	__asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(x));
}
static void privileged_wrmsr(void)
{
	__asm__ volatile("wrmsr" : : "a"(0), "d"(0), "c"(0xc0000082));
}
static void privileged_lgdt(void)
{
	char table[16] = { 0 };
	__asm__ volatile("lgdt %0" : : "m"(*table));
}
static void kernel_write(void)
{
	*(volatile char *)KERNEL_TEXT = 0;
}
static void kernel_read(void)
{
	(void)*(volatile char *)DIRECT_MAP;
}
static void permitted(void)
{
	unsigned a = 0, b, c = 0, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
}

static void ports_and_instructions(void)
{
	outside();
	int c = prison();
	INSIDE(c)
	{
		ERR(syscall(SYS_iopl, 3), EPERM);
		EQ(ended_by(out_port), SIGSEGV);
		EQ(ended_by(privileged_cli), SIGSEGV);
		EQ(ended_by(privileged_hlt), SIGSEGV);
		EQ(ended_by(privileged_cr3), SIGSEGV);
		EQ(ended_by(privileged_wrmsr), SIGSEGV);
		EQ(ended_by(privileged_lgdt), SIGSEGV);
		EQ(ended_by(kernel_write), SIGSEGV);
		EQ(ended_by(kernel_read), SIGSEGV);
		EQ(ended_by(permitted), 0); /* control */
	}
	pid_t pid; /* control: root outside may use ports */
	FORKED(pid)
	{
		OK(syscall(SYS_iopl, 3));
		out_port();
		WORD(0) = 1;
	}
	EQ(reap(pid), 0);
	EQ(WORD(0), 1);
	untouched();
	gone(c);
}

/* --- the kernel's memory --- */

/* Calls that read (false) or write (true) this address for the caller; their number if they do. */
static int transfers(void *at, bool write_to_it)
{
	int p[2], s[2], n = 0;
	char byte = 'x';
	struct iovec v = { at, 8 };

	REQUIRE(pipe2(p, O_NONBLOCK) == 0);
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
	if (write_to_it) {
		struct timespec *t = at;
		for (int i = 0; i < 64; i++) {
			EQ(write(p[1], &byte, 1), 1);
			EQ(write(s[1], &byte, 1), 1);
		}
		n += read(p[0], at, 8) > 0;
		n += readv(p[0], &v, 1) > 0;
		n += recv(s[0], at, 8, 0) > 0;
		n += syscall(SYS_clock_gettime, CLOCK_MONOTONIC, t) == 0;
		n += syscall(SYS_uname, at) == 0;
		n += syscall(SYS_getcwd, at, 4096L) > 0;
		n += syscall(SYS_stat, "/", at) == 0;
		n += syscall(SYS_getrandom, at, 8, 0) > 0;
		n += syscall(SYS_sysinfo, at) == 0;
		n += syscall(SYS_cinfo, GETCID(), at, sizeof(struct cinfo)) == 0;
	} else {
		n += write(p[1], at, 8) > 0;
		n += writev(p[1], &v, 1) > 0;
		n += send(s[1], at, 8, 0) > 0;
		n += open(at, O_RDONLY) >= 0 || errno != EFAULT;
		n += syscall(SYS_sethostname, at, 4) == 0;
		n += syscall(SYS_spawncont, at, sizeof(struct container_spec)) > 0 ||
		     errno != EFAULT;
	}
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(s[i]);
	}
	return n;
}

static void kernel_addresses(void)
{
	outside();
	int c = prison();
	char *own = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(own != MAP_FAILED);
	INSIDE(c)
	{
		static const unsigned long at[] = { KERNEL_TEXT, DIRECT_MAP, NOT_CANONICAL,
						    ~0ul - 7, 0x7ffffffffff8 };
		for (size_t i = 0; i < COUNT(at); i++) {
			EQ(transfers((void *)at[i], true), 0);
			EQ(transfers((void *)at[i], false), 0);
		}
		for (size_t i = 0; i < COUNT(at); i++) {
			if (at[i] > 0x7ffffffff000)
				EQ(syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, at[i]), -1);
			void *m = mmap((void *)(at[i] & ~4095ul), 4096, PROT_READ | PROT_WRITE,
				       MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			CHECK(m == MAP_FAILED);
			EQ(munmap((void *)(at[i] & ~4095ul), 8192), -1);
			EQ(mprotect((void *)(at[i] & ~4095ul), 8192, PROT_READ), -1);
		}
		EQ(transfers(own, true), 10); /* control */
		strcpy(own, "x");
		int fd = open("/proc/self/maps",
			      O_RDONLY); /* addresses of the kernel are not told */
		static char maps[16384];
		OK(read(fd, maps, sizeof maps - 1));
		CHECK(!strstr(maps, "\nffff"));
	}
	untouched();
	gone(c);
}

/* The page of the clock and the code beside it are in everybody's memory. */
static char *vdso;
static void vdso_write(void)
{
	*(volatile char *)vdso = 0;
}
static void vvar_write(void)
{
	*(volatile char *)(vdso - 4096) = 0;
}

static void shared_pages(void)
{
	outside();
	int c = prison();
	static char own[8192] __attribute__((aligned(4096)));
	vdso = (char *)getauxval(AT_SYSINFO_EHDR);
	REQUIRE(vdso);
	char before[4096];
	memcpy(before, vdso, sizeof before);
	INSIDE(c)
	{
		EQ(ended_by(vdso_write), SIGSEGV);
		EQ(ended_by(vvar_write), SIGSEGV);
		for (int i = -1; i < 1; i++) {
			char *page = vdso + 4096 * i;
			EQ(mprotect(page, 4096, PROT_READ | PROT_WRITE), -1);
			EQ(mprotect(page, 4096, PROT_WRITE | PROT_EXEC), -1);
			OK(transfers(page, true) == 0 ? 0 : -1);
			char *moved = mremap(page, 4096, 4096, MREMAP_MAYMOVE);
			if (moved != MAP_FAILED)
				EQ(mprotect(moved, 4096, PROT_READ | PROT_WRITE), -1);
			madvise(page, 4096, MADV_DONTNEED);
			madvise(page, 4096, MADV_FREE);
		}
		own[0] = 1;
		OK(mprotect(own, 4096, PROT_READ)); /* control */
		OK(mprotect(own, 4096, PROT_READ | PROT_WRITE));
		own[0] = 2;
		EQ(transfers(own, true), 10);
		/* the page of zeros that nobody has written to yet */
		char *zero = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		EQ(zero[0] + zero[4096], 0);
		OK(mprotect(zero, 4096, PROT_READ | PROT_WRITE));
		zero[0] = 'z';
		EQ(zero[4096], 0);
	}
	EQ(memcmp(before, vdso, sizeof before), 0);
	char *zero = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EQ(zero[0], 0);
	untouched();
	gone(c);
}

/* --- what others leave behind --- */

#define SECRET "s3cr3t-of-the-outside"

static int find_secret(const char *at, size_t n)
{
	return memmem(at, n, SECRET, strlen(SECRET)) != NULL;
}

/* Fills memory of many kinds with the secret, and gives all of it back. */
static void spill(void)
{
	enum { BYTES = 4 << 20 };
	char text[256] = "", name[300];
	int p[2], s[2];

	while (strlen(text) < sizeof text - sizeof SECRET)
		strcat(text, SECRET);
	char *m = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(m != MAP_FAILED);
	for (size_t i = 0; i + sizeof SECRET < BYTES; i += strlen(SECRET))
		memcpy(m + i, SECRET, strlen(SECRET));
	OK(pipe2(p, O_NONBLOCK));
	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	for (int i = 0; i < 200; i++) {
		write(p[1], text, sizeof text);
		write(s[0], text, sizeof text);
		snprintf(name, sizeof name, "out/%.*s%d", 200, text, i);
		open(name, O_RDONLY); /* a name in the cache */
		symlink(text, "out/link");
		unlink("out/link");
		setxattr(CANARY_PATH, "user.none", text, sizeof text, 0);
		char *argv[] = { text, NULL }, *envp[] = { text, NULL };
		execve("/none", argv, envp);
	}
	put("out/file", "", 0600);
	int fd = OK(open("out/file", O_WRONLY));
	for (int i = 0; i < 512; i++)
		OK(write(fd, m, 4096));
	close(fd);
	OK(unlink("out/file"));
	_exit(0);
}

/* Everything that the kernel hands out; true if the secret is in it. */
static int leaked(void)
{
	enum { BYTES = 16 << 20 };
	static char text[65536];
	int n = 0, p[2], s[2];

	char *m = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(m != MAP_FAILED);
	for (size_t i = 0; i < BYTES; i += 4096)
		m[i + 4095] = 0;
	n += find_secret(m, BYTES);
	munmap(m, BYTES);
	char *brk = sbrk(1 << 20);
	if (brk != (char *)-1)
		n += find_secret(brk, 1 << 20);
	int fd = OK(open("/tmp/hole", O_RDWR | O_CREAT, 0600));
	for (int i = 0; i < 64; i++)
		OK(pwrite(fd, "x", 1, i * 8192)); /* the rest of the page, and a hole */
	for (int i = 0; i < 8; i++)
		n += find_secret(text, OK(pread(fd, text, sizeof text, i * (long)sizeof text)));
	m = mmap(NULL, 64 * 8192, PROT_READ, MAP_SHARED, fd, 0);
	REQUIRE(m != MAP_FAILED);
	n += find_secret(m, 63 * 8192 + 4096);
	OK(pipe(p));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	for (int i = 0; i < 100; i++) {
		memset(text, 0, sizeof text);
		OK(write(p[1], "y", 1));
		OK(read(p[0], text, sizeof text));
		OK(write(s[1], "y", 1));
		OK(recv(s[0], text + 100, 1000, 0));
		syscall(SYS_stat, "/tmp/hole", text + 2000);
		syscall(SYS_statx, AT_FDCWD, "/tmp/hole", 0, 0xfff, text + 3000);
		syscall(SYS_statfs, "/tmp", text + 4000);
		syscall(SYS_uname, text + 5000);
		syscall(SYS_sysinfo, text + 6000);
		syscall(SYS_cinfo, GETCID(), text + 7000, 4000L);
		syscall(SYS_getrusage, 0, text + 12000);
		syscall(SYS_getsockname, s[0], text + 13000, &(socklen_t){ 200 });
		syscall(SYS_getcwd, text + 14000, 4096L);
		syscall(SYS_readlink, "/proc/self/exe", text + 19000, 4096L);
		syscall(SYS_rt_sigaction, SIGUSR1, NULL, text + 24000, 8L);
		syscall(SYS_ioctl, 0, TCGETS, text + 25000);
		int dir = OK(open("/", O_RDONLY | O_DIRECTORY));
		syscall(SYS_getdents64, dir, text + 26000, 8192L);
		syscall(SYS_getdents, dir, text + 35000, 8192L);
		close(dir);
		n += find_secret(text, sizeof text);
	}
	static const char *const files[] = { "/proc/self/stat",	  "/proc/self/status",
					     "/proc/self/maps",	  "/proc/meminfo",
					     "/proc/self/auxv",	  "/proc/self/mountinfo",
					     "/proc/self/environ" };
	for (size_t i = 0; i < COUNT(files); i++) {
		memset(text, 0, sizeof text);
		if (get(files[i]))
			n += find_secret(get(files[i]), 65536);
	}
	return n;
}

static void freed_memory(void)
{
	pid_t pid;

	outside();
	int c = prison();
	for (int round = 0; round < 4; round++) {
		FORKED(pid) spill();
		EQ(reap(pid), 0);
		INSIDE(c)
		{
			/* the searcher's own text has the secret, its memory from the kernel has
			 * not */
			EQ(leaked(), 0);
		}
	}
	char *shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(shared != MAP_FAILED);
	strcpy(shared + 4090, SECRET); /* control: in memory that is shared it is found */
	INSIDE(c) EQ(find_secret(shared, 8192), 1);
	untouched();
	gone(c);
}

/* --- the machine's own --- */

static void the_clock(void)
{
	struct timespec before, after;
	struct timeval now;

	outside();
	int c = prison();
	clock_gettime(CLOCK_REALTIME, &before);
	INSIDE(c)
	{
		struct timespec wrong = { 1, 0 };
		struct timeval past = { 1, 0 };
		ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, &wrong), EPERM);
		ERR(syscall(SYS_settimeofday, &past, NULL), EPERM);
	}
	clock_gettime(CLOCK_REALTIME, &after);
	CHECK(after.tv_sec >= before.tv_sec && after.tv_sec < before.tv_sec + 1000);
	gettimeofday(&now, NULL);
	OK(syscall(SYS_settimeofday, &now, NULL)); /* control */
	untouched();
	gone(c);
}

static void the_log(void)
{
	static char text[65536];

	outside();
	int c = prison();
	INSIDE(c)
	{
		for (int action = 0; action <= 10; action++)
			ERR(syscall(SYS_syslog, action, text, sizeof text), EPERM);
		EQ(open("/dev/kmsg", O_RDWR), -1);
	}
	CHECK(syscall(SYS_syslog, 3, text, sizeof text) > 0); /* control */
	untouched();
	gone(c);
}

static void the_names(void)
{
	outside();
	int c = prison();
	INSIDE(c)
	{
		struct utsname u;
		OK(sethostname("taken-over", 10));
		OK(setdomainname("taken-over", 10));
		uname(&u);
		STREQ(u.nodename, "taken-over"); /* control */
	}
	untouched(); /* looks at the names */
	gone(c);
}

/* reboot(2) inside is the end of the container, and of nothing else. */
static void the_power(void)
{
	outside();
	int c = prison(), other = spawn();
	pid_t victim, pid;
	CFORKED(victim, other) idle();
	static const int how[] = { RB_AUTOBOOT, RB_HALT_SYSTEM, RB_POWER_OFF };
	for (size_t i = 0; i < COUNT(how); i++) {
		CFORKED(pid, c)
		{
			pid_t child;
			FORKED(child) reboot(how[i]);
			idle();
		}
		EQ(reap(pid), 128 + SIGKILL); /* control: it does end that one */
		EQ(info_of(c).state, CONTAINER_STOPPED);
	}
	EQ(waitpid(victim, NULL, WNOHANG), 0);
	gone(other);
	EQ(reap(victim), 128 + SIGKILL);
	untouched();
	gone(c);
}

/* More CPUs than one was given. */
static void other_cpus(void)
{
	if (get_nprocs() < 2)
		SKIP("one CPU");
	outside();
	int c = prison();
	OK(control_set(c, "cpuset.cpus", "0"));
	INSIDE(c)
	{
		cpu_set_t cpu;
		CPU_ZERO(&cpu);
		CPU_SET(1, &cpu);
		ERR(sched_setaffinity(0, sizeof cpu, &cpu), EINVAL);
		CPU_SET(0, &cpu);
		OK(sched_setaffinity(0, sizeof cpu, &cpu)); /* control */
		for (int i = 0; i < 100; i++) {
			EQ(sched_getcpu(), 0);
			sched_yield();
		}
	}
	pid_t pid; /* control: elsewhere one may run there */
	FORKED(pid)
	{
		cpu_set_t cpu;
		CPU_ZERO(&cpu);
		CPU_SET(1, &cpu);
		OK(sched_setaffinity(0, sizeof cpu, &cpu));
		EQ(sched_getcpu(), 1);
	}
	EQ(reap(pid), 0);
	untouched();
	gone(c);
}

static const struct tap_case cases[] = {
	T(signal_frames),    T(ports_and_instructions),
	T(kernel_addresses), T(shared_pages),
	T(freed_memory),     T(the_clock),
	T(the_log),	     T(the_names),
	T(the_power),	     T(other_cpus),
};

int main(int argc, char **argv)
{
	return TAP_RUN(cases, argc, argv);
}
